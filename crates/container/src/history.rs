//! The graph of commits: heads, ancestors, and what is live after them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{commit::Commit, hash::Hash, name::MemberName};

/// Commits by their hashes; each has its parents beside it.
#[derive(Debug, Clone, Default)]
pub struct History {
    commits: BTreeMap<Hash, Arc<Commit>>,
}

impl History {
    /// The history of these commits. `None`: a parent is missing. There are no circles: nobody knows two texts that name
    /// each other's hash.
    #[must_use]
    pub fn of(commits: BTreeMap<Hash, Arc<Commit>>) -> Option<Self> {
        let is_whole = commits
            .values()
            .flat_map(|commit| &commit.parents)
            .all(|parent| commits.contains_key(parent));
        is_whole.then_some(Self { commits })
    }

    /// The commits by their hashes.
    #[must_use]
    pub const fn commits(&self) -> &BTreeMap<Hash, Arc<Commit>> {
        &self.commits
    }

    /// The commits that no other names, ascending. Two or more: nobody has merged them yet.
    #[must_use]
    pub fn heads(&self) -> Vec<Hash> {
        let named: BTreeSet<_> = self.commits.values().flat_map(|c| &c.parents).collect();
        let hashes = self.commits.keys();
        hashes
            .filter(|hash| !named.contains(hash))
            .copied()
            .collect()
    }

    /// A commit and all that came before it.
    #[must_use]
    pub fn reach(&self, from: Hash) -> BTreeSet<Hash> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![from];
        while let Some(hash) = waiting.pop() {
            if let Some(commit) = self.commits.get(&hash)
                && reached.insert(hash)
            {
                waiting.extend(&commit.parents);
            }
        }
        reached
    }

    /// Whether `earlier` came before `later`.
    #[must_use]
    pub fn is_before(&self, earlier: Hash, later: Hash) -> bool {
        earlier != later && self.reach(later).contains(&earlier)
    }

    /// What these commits add, less what any of them drops; with the commit that added it.
    #[must_use]
    pub fn live(&self, commits: &BTreeSet<Hash>) -> BTreeMap<Entry, Hash> {
        let known = || {
            let pairs = commits.iter().map(|hash| (hash, self.commits.get(hash)));
            pairs.filter_map(|(hash, commit)| Some((*hash, commit?)))
        };
        let dropped: BTreeSet<Entry> = known()
            .flat_map(|(_, commit)| commit.dropped.iter().map(Entry::of))
            .collect();
        let mut live = BTreeMap::new();
        for (by, commit) in known() {
            for entry in commit.added.iter().map(Entry::of) {
                if !dropped.contains(&entry) {
                    live.entry(entry).or_insert(by);
                }
            }
        }
        live
    }

    /// Of all commits.
    #[must_use]
    pub fn all(&self) -> BTreeSet<Hash> {
        self.commits.keys().copied().collect()
    }
}

/// A member with the hash of its bytes. Ordered by the text of the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name as text.
    pub name: String,
    /// The hash of its bytes.
    pub hash: Hash,
}

impl Entry {
    fn of((name, hash): &(MemberName, Hash)) -> Self {
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
