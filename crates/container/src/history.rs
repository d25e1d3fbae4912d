//! The graph of commits: heads, ancestors, and what is live after them. Of old commits only traces may be left; the graph is
//! whole all the same.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use crate::{
    commit::Commit,
    hash::Hash,
    name::MemberName,
    past::{Past, Trace},
};

/// Commits that stay whole when older ones are folded into a list.
const KEPT_WHOLE: usize = 32;
/// Whole commits from which on it is worth folding.
const FOLDED_FROM: usize = 128;

/// Commits by their hashes; each has its parents beside it, whole or as a trace.
#[derive(Debug, Clone, Default)]
pub struct History {
    commits: BTreeMap<Hash, Arc<Commit>>,
    // By the hash of the member.
    pasts: BTreeMap<Hash, Arc<Past>>,
    parents: BTreeMap<Hash, Vec<Hash>>,
}

impl History {
    /// The history of these commits and lists. `None`: a parent is missing, two say different parents of one commit, or a list
    /// says that a commit added what the commit itself does not say. There
    /// are no circles: nobody knows two texts that name each other's hash, and a list that claims one is refused.
    #[must_use]
    pub fn of(
        commits: BTreeMap<Hash, Arc<Commit>>,
        pasts: BTreeMap<Hash, Arc<Past>>,
    ) -> Option<Self> {
        let mut parents: BTreeMap<Hash, Vec<Hash>> = commits
            .iter()
            .map(|(hash, commit)| (*hash, commit.parents.clone()))
            .collect();
        for trace in pasts.values().flat_map(|past| &past.traces) {
            let known = parents.entry(trace.commit);
            if *known.or_insert_with(|| trace.parents.clone()) != trace.parents {
                return None;
            }
            if let Some(whole) = commits.get(&trace.commit)
                && !is_part(&trace.added, &whole.added)
            {
                return None;
            }
        }
        let history = Self {
            commits,
            pasts,
            parents,
        };
        (history.is_whole() && history.in_order().len() == history.parents.len()).then_some(history)
    }

    fn is_whole(&self) -> bool {
        let mut named = self.parents.values().flatten();
        named.all(|parent| self.parents.contains_key(parent))
    }

    /// The commits that are whole, by their hashes.
    #[must_use]
    pub const fn commits(&self) -> &BTreeMap<Hash, Arc<Commit>> {
        &self.commits
    }

    /// The lists, by the hashes of their members.
    #[must_use]
    pub const fn pasts(&self) -> &BTreeMap<Hash, Arc<Past>> {
        &self.pasts
    }

    /// Whether there is, or was, such a commit.
    #[must_use]
    pub fn knows(&self, commit: Hash) -> bool {
        self.parents.contains_key(&commit)
    }

    /// The commits that no other names, ascending. Two or more: nobody has merged them yet.
    #[must_use]
    pub fn heads(&self) -> Vec<Hash> {
        let named: BTreeSet<_> = self.parents.values().flatten().collect();
        let hashes = self.parents.keys();
        hashes
            .filter(|hash| !named.contains(hash))
            .copied()
            .collect()
    }

    /// A commit and all that came before it.
    #[must_use]
    pub fn reach(&self, from: Hash) -> BTreeSet<Hash> {
        self.reach_of(vec![from])
    }

    fn reach_of(&self, mut waiting: Vec<Hash>) -> BTreeSet<Hash> {
        let mut reached = BTreeSet::new();
        while let Some(hash) = waiting.pop() {
            if let Some(parents) = self.parents.get(&hash)
                && reached.insert(hash)
            {
                waiting.extend(parents);
            }
        }
        reached
    }

    /// All commits that came before one of these.
    #[must_use]
    pub fn before(&self, commits: &BTreeSet<Hash>) -> BTreeSet<Hash> {
        let known = commits.iter().filter_map(|hash| self.parents.get(hash));
        self.reach_of(known.flatten().copied().collect())
    }

    /// What the commits of a reach add, less what any of them drops; with the commit that added it. Lists that none of these
    /// commits added are not looked at. `None`: of one of the commits there is neither the whole nor a trace.
    #[must_use]
    pub fn live(&self, reach: &BTreeSet<Hash>) -> Option<BTreeMap<Entry, Hash>> {
        let traces = self.traces(&self.lists_of(reach));
        let mut dropped = BTreeSet::new();
        for commit in reach.iter().filter_map(|hash| self.commits.get(hash)) {
            dropped.extend(commit.dropped.iter().map(Entry::of));
        }
        let mut live = BTreeMap::new();
        for hash in reach {
            for entry in self.added(*hash, &traces)? {
                if !dropped.contains(&entry) {
                    live.entry(entry).or_insert(*hash);
                }
            }
        }
        Some(live)
    }

    // What a commit added; of that, what every list still knows that tells of it.
    fn added(&self, commit: Hash, traces: &Traces<'_>) -> Option<Vec<Entry>> {
        let of_lists = traces.get(&commit).map_or(&[][..], Vec::as_slice);
        let whole = self.commits.get(&commit).map(|commit| &commit.added);
        let (first, rest) = match (whole, of_lists) {
            (Some(whole), lists) => (whole, lists),
            (None, [first, rest @ ..]) => (&first.added, rest),
            (None, []) => return None,
        };
        let rest: Vec<HashSet<_>> = rest.iter().map(|t| t.added.iter().collect()).collect();
        let known = |member: &&(MemberName, Hash)| rest.iter().all(|added| added.contains(member));
        Some(first.iter().filter(known).map(Entry::of).collect())
    }

    // The lists that commits of this reach added.
    fn lists_of(&self, reach: &BTreeSet<Hash>) -> BTreeSet<Hash> {
        if self.pasts.is_empty() {
            return BTreeSet::new();
        }
        let whole = reach.iter().filter_map(|hash| self.commits.get(hash));
        let mut members: Vec<&(MemberName, Hash)> = whole.flat_map(|c| &c.added).collect();
        let folded = self.pasts.values().flat_map(|past| &past.traces);
        let folded = folded.filter(|trace| reach.contains(&trace.commit));
        members.extend(folded.flat_map(|trace| &trace.added));
        members
            .into_iter()
            .filter(|(name, _)| matches!(name, MemberName::Past(_)))
            .map(|(_, hash)| *hash)
            .collect()
    }

    fn traces(&self, lists: &BTreeSet<Hash>) -> Traces<'_> {
        let mut traces = Traces::new();
        for past in lists.iter().filter_map(|hash| self.pasts.get(hash)) {
            for trace in &past.traces {
                traces.entry(trace.commit).or_default().push(trace);
            }
        }
        traces
    }

    /// Whole commits that say no more than what every head knows from lists: they are not kept.
    #[must_use]
    pub fn redundant(&self) -> Vec<Hash> {
        if self.pasts.is_empty() {
            return Vec::new();
        }
        let mut told: Option<BTreeSet<Hash>> = None;
        for head in self.heads() {
            let lists = self.lists_of(&self.reach(head));
            let commits: BTreeSet<Hash> = self.traces(&lists).into_keys().collect();
            told = Some(match told {
                Some(before) => before.intersection(&commits).copied().collect(),
                None => commits,
            });
        }
        let told = told.unwrap_or_default();
        let whole = self.commits.keys();
        whole.filter(|hash| told.contains(hash)).copied().collect()
    }

    /// A list of the older commits, when there are so many whole ones that it is worth it. `live` is what is live now.
    #[must_use]
    pub fn folded(
        &self,
        vault: touchkeep_core::VaultId,
        live: &BTreeMap<Entry, Hash>,
    ) -> Option<Past> {
        if self.commits.len() < FOLDED_FROM {
            return None;
        }
        let order = self.in_order().into_iter();
        let (whole, told): (Vec<Hash>, Vec<Hash>) =
            order.partition(|hash| self.commits.contains_key(hash));
        let (old, _) = whole.split_at_checked(whole.len().checked_sub(KEPT_WHOLE)?)?;
        let lists = self.traces(&self.lists_of(&self.all()));
        // What an old commit drops, nothing says any more when only its trace is left: who added it is told of again.
        let again = told.into_iter().filter(|hash| {
            let added = self.added(*hash, &lists).unwrap_or_default();
            added.iter().any(|entry| !live.contains_key(entry))
        });
        let traces = again.chain(old.iter().copied()).filter_map(|hash| {
            let added = match self.commits.get(&hash) {
                Some(commit) => &commit.added,
                None => &lists.get(&hash)?.first()?.added,
            };
            let is_live = |member: &&(MemberName, Hash)| live.contains_key(&Entry::of(member));
            Some(Trace {
                commit: hash,
                parents: self.parents.get(&hash)?.clone(),
                added: added.iter().filter(is_live).copied().collect(),
            })
        });
        Some(Past {
            vault,
            traces: traces.collect(),
        })
    }

    // Parents before children; whoever is free goes by his hash, but a child follows its parent where it can.
    fn in_order(&self) -> Vec<Hash> {
        let mut missing: BTreeMap<Hash, usize> = BTreeMap::new();
        let mut children: BTreeMap<Hash, Vec<Hash>> = BTreeMap::new();
        for (hash, parents) in &self.parents {
            missing.insert(*hash, parents.len());
            for parent in parents {
                children.entry(*parent).or_default().push(*hash);
            }
        }
        let free = missing.iter().filter(|(_, count)| **count == 0);
        let mut free: Vec<Hash> = free.map(|(hash, _)| *hash).rev().collect();
        let mut order = Vec::with_capacity(missing.len());
        while let Some(next) = free.pop() {
            order.push(next);
            for child in children.remove(&next).unwrap_or_default() {
                if let Some(count) = missing.get_mut(&child) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        free.push(child);
                    }
                }
            }
        }
        order
    }

    /// The commits and lists of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Option<Self> {
        let mut commits = self.commits.clone();
        commits.extend(other.commits.clone());
        let mut pasts = self.pasts.clone();
        pasts.extend(other.pasts.clone());
        Self::of(commits, pasts)
    }

    pub(crate) fn with_past(&self, hash: Hash, past: Past) -> Self {
        let mut with = self.clone();
        with.pasts.insert(hash, Arc::new(past));
        with
    }

    /// All commits, whole or not.
    #[must_use]
    pub fn all(&self) -> BTreeSet<Hash> {
        self.parents.keys().copied().collect()
    }
}

fn is_part(some: &[(MemberName, Hash)], all: &[(MemberName, Hash)]) -> bool {
    let all: HashSet<_> = all.iter().collect();
    some.iter().all(|member| all.contains(member))
}

type Traces<'a> = BTreeMap<Hash, Vec<&'a Trace>>;

/// A member with the hash of its bytes. Ordered by the text of the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name as text.
    pub name: String,
    /// The hash of its bytes.
    pub hash: Hash,
}

impl Entry {
    pub(crate) fn of((name, hash): &(MemberName, Hash)) -> Self {
        Self {
            name: name.to_string(),
            hash: *hash,
        }
    }
}

/// The hash of a list of members, as commits state it: a line `<name> <hash>` for each, ascending by name.
#[must_use]
pub fn list_hash<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Hash {
    let mut text = String::new();
    for entry in entries {
        text.push_str(&format!("{} {}\n", entry.name, entry.hash));
    }
    Hash::of(text.as_bytes())
}
