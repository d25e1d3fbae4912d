//! A whole vault: its members, its membership chain and its commits, each checked against the others.
//!
//! A [`Container`] that exists is consistent: every member is live by a signed commit, with the hash that the commit states,
//! and every signature is that of whom the membership chain names. There is no way to have one that is not.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use touchkeep_core::{UnixMillis, UserId, VaultId, text::quoted};

use crate::{
    chain::Chain,
    check::{live_by_name, read_chain, read_commit, read_commits, read_pasts},
    commit::{AuditHead, Commit},
    hash::Hash,
    history::{Entry, History, list_hash},
    membership::{Membership, MembershipError},
    name::{MemberName, Part},
    note::{Note, NoteError, NoteSignature},
    past::Past,
    tar::{self, Archive, TarError},
    words::VaultKind,
};

/// Why bytes are not a vault, or a change to one is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// Not an archive of ours.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A member whose name says nothing.
    #[error("there is a member {} that this format does not know", quoted(.0))]
    Name(String),
    /// A member that must be there is not.
    #[error("the member {0} is missing")]
    Missing(String),
    /// A member that no commit lists.
    #[error("the member {0} is in no signed list")]
    Unlisted(String),
    /// A member whose bytes are not those that were signed for.
    #[error("the member {0} is not what was signed")]
    Changed(String),
    /// The membership chain is not one.
    #[error("the membership chain: {0}")]
    Membership(#[from] MembershipError),
    /// A commit is not signed by an author who may.
    #[error("the commit {commit}: {source}")]
    Commit {
        /// Which.
        commit: Hash,
        /// Why.
        source: NoteError,
    },
    /// A commit that no later one has taken in is by somebody who may not write any more, or under an author key that was
    /// replaced.
    #[error(
        "the commit {0} is by somebody who may not write any more, or under keys that were replaced"
    )]
    Lapsed(Hash),
    /// A commit states something that does not follow from its ancestors and the chain.
    #[error("the commit {0} contradicts what came before it")]
    Contradiction(Hash),
    /// The membership chain was continued in two ways, and nobody has joined them.
    #[error("the membership was changed in two places that did not know of each other")]
    Forked,
    /// Two branches of the chain of which one has an environment's key that the other has not: one of the two could not read what
    /// the other wrote.
    #[error("each of two copies made new keys for the vault, without knowing of the other")]
    Rekeyed,
    /// Two files of different vaults.
    #[error("these are not two copies of one vault")]
    Strangers,
    /// Two commits give one name to different members.
    #[error("two copies changed the member {0} in different ways")]
    Conflict(String),
}

/// One member's bytes and their hash.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: MemberName,
    pub(crate) hash: Hash,
    pub(crate) bytes: Bytes,
}

/// A whole vault.
#[derive(Debug, Clone)]
pub struct Container {
    pub(crate) members: BTreeMap<String, Member>,
    pub(crate) commits: BTreeMap<Hash, Bytes>,
    pub(crate) history: History,
    pub(crate) chain: Chain,
}

/// A segment or snapshot, with the commit that added it.
#[derive(Debug, Clone, Copy)]
pub struct LivePart<'a> {
    /// Its name.
    pub name: MemberName,
    /// Which.
    pub part: Part,
    /// Whether it is a snapshot.
    pub is_snapshot: bool,
    /// The commit that added it.
    pub commit: Hash,
    /// Its bytes: an age file to the environment.
    pub bytes: &'a [u8],
}

/// What a new commit does.
#[derive(Debug, Clone)]
pub struct NewCommit {
    /// Who signs it.
    pub author: UserId,
    /// The audit log's head.
    pub audit: AuditHead,
    /// When.
    pub time: UnixMillis,
    /// Members that it adds.
    pub add: Vec<(MemberName, Vec<u8>)>,
    /// Members that it drops.
    pub drop: Vec<MemberName>,
    /// Links of the membership chain that it adds, in their order.
    pub links: Vec<Vec<u8>>,
    /// Whether old commits may be folded into a list, where there are many.
    pub prune: bool,
}

impl NewCommit {
    /// One that does nothing yet.
    #[must_use]
    pub const fn new(author: UserId, audit: AuditHead, time: UnixMillis) -> Self {
        Self {
            author,
            audit,
            time,
            add: Vec::new(),
            drop: Vec::new(),
            links: Vec::new(),
            prune: false,
        }
    }
}

impl Container {
    /// Reads and checks a whole vault.
    ///
    /// # Errors
    /// Whatever is not exactly a vault; nothing of it can then be used.
    pub fn parse(archive: &[u8]) -> Result<Self, ContainerError> {
        Self::read(Bytes::copy_from_slice(archive))
    }

    /// Reads and checks a whole vault, and keeps the bytes that it was given.
    ///
    /// # Errors
    /// As [`Container::parse`].
    pub fn read(archive: impl Into<Bytes>) -> Result<Self, ContainerError> {
        let (mut members, mut commits) = (BTreeMap::new(), BTreeMap::new());
        for (name, hash, bytes) in read_members(&archive.into())? {
            match name {
                MemberName::Commit(stated) if stated != hash => {
                    return Err(ContainerError::Changed(name.to_string()));
                }
                MemberName::Commit(_) => drop(commits.insert(hash, bytes)),
                _ => drop(members.insert(name.to_string(), Member { name, hash, bytes })),
            }
        }
        let chain = read_chain(&members)?;
        let pasts = read_pasts(&members, &chain)?;
        let history = read_commits(&commits, pasts, &chain)?;
        let container = Self {
            members,
            commits,
            history,
            chain,
        };
        container.check()?;
        Ok(container)
    }

    /// Begins a vault: genesis and the first links of its chain, and the first commit.
    ///
    /// # Errors
    /// What [`Container::parse`] would refuse.
    pub fn found(
        genesis: Vec<u8>,
        mut first: NewCommit,
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Self, ContainerError> {
        let nothing = Self {
            members: BTreeMap::new(),
            commits: BTreeMap::new(),
            history: History::default(),
            chain: Chain::found(&genesis)?,
        };
        first.add.push((MemberName::Genesis, genesis));
        nothing.commit(first, sign)
    }

    /// The vault after one more commit, on top of all heads.
    ///
    /// # Errors
    /// When the result would not be a vault; [`ContainerError::Forked`] when the chain has several ends and nothing joins them.
    pub fn commit(
        &self,
        new: NewCommit,
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Self, ContainerError> {
        let mut next = self.clone();
        let mut change = Change::default();
        for link in new.links {
            let state = next.chain.add(&link)?;
            let (number, hash) = (state.number, state.head);
            let name = MemberName::Membership { number, hash };
            change.add(&mut next.members, name, link);
        }
        let [members] = next.chain.ends()[..] else {
            return Err(ContainerError::Forked);
        };
        let (vault, members_head) = (members.vault, members.head);
        let key = members
            .author_verify_key(new.author)
            .ok_or(MembershipError::Note(NoteError::Key))?;
        for name in &new.drop {
            change.drop(&mut next.members, name)?;
        }
        for (name, bytes) in new.add {
            change.add(&mut next.members, name, bytes);
        }
        // Two pages of words after a merge: both go, whatever comes.
        change.drop_hidden_readme(&self.history, &next.members)?;
        if new.prune
            && let Some(live) = self.history.live(&self.history.all())
            && let Some(past) = self.history.folded(vault, &change.left_of(live))
        {
            let text = past.to_text().into_bytes();
            let hash = Hash::of(&text);
            next.history = self.history.with_past(hash, past);
            change.add(&mut next.members, MemberName::Past(hash), text);
        }
        let live = next.entries();
        let (added, dropped) = change.sorted();
        let commit = Commit {
            vault,
            author: new.author,
            members: members_head,
            parents: self.heads(),
            live_count: u32::try_from(live.len()).unwrap_or(u32::MAX),
            live: list_hash(&live),
            audit: new.audit,
            time: new.time,
            added,
            dropped,
        };
        let text = commit.to_text();
        let signature = NoteSignature::new(&key, sign(text.as_bytes()));
        let note = Note {
            text,
            signatures: vec![signature],
        };
        let bytes = Bytes::from(note.to_string());
        let hash = Hash::of(&bytes);
        let read = read_commit(hash, &bytes, &next.chain)?;
        next.commits.insert(hash, bytes);
        let mut commits = self.history.commits().clone();
        commits.insert(hash, Arc::new(read));
        next.take_history(commits, next.history.pasts().clone())
            .ok_or(ContainerError::Contradiction(hash))?;
        next.check()?;
        Ok(next)
    }

    // The history of these, without whole commits that only say what lists say.
    fn take_history(
        &mut self,
        mut commits: BTreeMap<Hash, Arc<Commit>>,
        pasts: BTreeMap<Hash, Arc<Past>>,
    ) -> Option<()> {
        self.history = History::of(commits.clone(), pasts.clone())?;
        let redundant = self.history.redundant();
        if !redundant.is_empty() {
            for hash in redundant {
                commits.remove(&hash);
                self.commits.remove(&hash);
            }
            self.history = History::of(commits, pasts)?;
        }
        Some(())
    }

    /// The union of two copies of one vault. It may have two heads, and its chain two ends; the next commit joins them. No key
    /// is needed, and the result is the same whichever way round.
    ///
    /// # Errors
    /// Copies of different vaults.
    pub fn merge(&self, other: &Self) -> Result<Self, ContainerError> {
        let chain = self.chain.union(&other.chain);
        let history = self.history.union(&other.history);
        let mut merged = Self {
            members: BTreeMap::new(),
            commits: self.commits.clone(),
            chain: chain.map_err(|_| ContainerError::Strangers)?,
            history: history.ok_or(ContainerError::Strangers)?,
        };
        merged.commits.extend(other.commits.clone());
        let (commits, pasts) = (merged.history.commits(), merged.history.pasts());
        let (commits, pasts) = (commits.clone(), pasts.clone());
        merged
            .take_history(commits, pasts)
            .ok_or(ContainerError::Strangers)?;
        for (name, hash) in live_by_name(&merged.history)? {
            let held = [self, other].map(|copy| copy.members.get(&name));
            let held = held.into_iter().flatten().find(|m| m.hash == hash);
            let member = held.ok_or_else(|| ContainerError::Missing(name.clone()))?;
            merged.members.insert(name, member.clone());
        }
        merged.check()?;
        Ok(merged)
    }

    /// The archive.
    ///
    /// # Errors
    /// When it is larger than the format allows.
    pub fn archive(&self) -> Result<Archive<'_>, TarError> {
        let commits = self.commits.iter();
        let commits = commits.map(|(hash, bytes)| {
            let name = MemberName::Commit(*hash).to_string();
            (Cow::Owned(name), &**bytes)
        });
        let members = self.members.iter();
        let members = members.map(|(name, member)| (Cow::Borrowed(&**name), &*member.bytes));
        Archive::of(members.chain(commits))
    }

    /// The archive's bytes.
    ///
    /// # Errors
    /// As [`Container::archive`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, TarError> {
        self.archive().map(|archive| archive.to_bytes())
    }

    /// The vault's id.
    #[must_use]
    pub fn id(&self) -> VaultId {
        self.chain.genesis().vault
    }

    /// Whether its genesis says that it is for trying out.
    #[must_use]
    pub fn is_practice(&self) -> bool {
        self.chain.genesis().kind == VaultKind::Practice
    }

    /// What the membership chain says; of a chain with several ends, its longest.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        self.chain.latest()
    }

    /// The membership chain.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Whether the chain was continued in two ways, so that an admin has to join them before anything is written.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.chain.ends().len() > 1
    }

    /// The commits that no other names.
    #[must_use]
    pub fn heads(&self) -> Vec<Hash> {
        self.history.heads()
    }

    /// The commits.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// A member's bytes.
    #[must_use]
    pub fn member(&self, name: &MemberName) -> Option<&[u8]> {
        self.members.get(&name.to_string()).map(|m| &*m.bytes)
    }

    /// The names of all members but commits, ascending.
    pub fn names(&self) -> impl Iterator<Item = MemberName> {
        self.members.values().map(|member| member.name)
    }

    /// All segments and snapshots, with the commits that added them.
    #[must_use]
    pub fn parts(&self) -> Vec<LivePart<'_>> {
        // A container that exists has all of them.
        let live = self.history.live(&self.history.all()).unwrap_or_default();
        live.into_iter()
            .filter_map(|(entry, commit)| {
                let member = self.members.get(&entry.name)?;
                let (part, is_snapshot) = match member.name {
                    MemberName::Segment(part) => (part, false),
                    MemberName::Snapshot(part) => (part, true),
                    _ => return None,
                };
                Some(LivePart {
                    name: member.name,
                    part,
                    is_snapshot,
                    commit,
                    bytes: &member.bytes,
                })
            })
            .collect()
    }

    fn entries(&self) -> Vec<Entry> {
        let pairs = self.members.iter();
        pairs
            .map(|(name, member)| Entry {
                name: name.clone(),
                hash: member.hash,
            })
            .collect()
    }
}

// What a commit adds and drops, while it is put together.
#[derive(Default)]
struct Change {
    added: NamedHashes,
    dropped: NamedHashes,
}

impl Change {
    fn add(&mut self, members: &mut BTreeMap<String, Member>, name: MemberName, bytes: Vec<u8>) {
        let (hash, bytes) = (Hash::of(&bytes), Bytes::from(bytes));
        let member = Member { name, hash, bytes };
        self.added.push((name, hash));
        if let Some(before) = members.insert(name.to_string(), member) {
            self.dropped.push((before.name, before.hash));
        }
    }

    fn drop(
        &mut self,
        members: &mut BTreeMap<String, Member>,
        name: &MemberName,
    ) -> Result<(), ContainerError> {
        let gone = members.remove(&name.to_string());
        let gone = gone.ok_or_else(|| ContainerError::Missing(name.to_string()))?;
        self.dropped.push((gone.name, gone.hash));
        Ok(())
    }

    // Of two pages of words the file holds one; the other is live all the same.
    fn drop_hidden_readme(
        &mut self,
        history: &History,
        members: &BTreeMap<String, Member>,
    ) -> Result<(), ContainerError> {
        let name = MemberName::Readme;
        let shown = members.get(&name.to_string()).map(|member| member.hash);
        let live = history.live(&history.all()).unwrap_or_default();
        for entry in live
            .into_keys()
            .filter(|entry| entry.name == name.to_string())
        {
            let dropped = (name, entry.hash);
            if Some(entry.hash) != shown && !self.dropped.contains(&dropped) {
                self.dropped.push(dropped);
            }
        }
        Ok(())
    }

    fn left_of(&self, mut live: BTreeMap<Entry, Hash>) -> BTreeMap<Entry, Hash> {
        for member in &self.dropped {
            live.remove(&Entry::of(member));
        }
        live
    }

    fn sorted(mut self) -> (NamedHashes, NamedHashes) {
        for list in [&mut self.added, &mut self.dropped] {
            list.sort_by_key(|(name, hash)| (name.to_string(), *hash));
        }
        (self.added, self.dropped)
    }
}

type NamedHashes = Vec<(MemberName, Hash)>;
type Read = (MemberName, Hash, Bytes);

// Hashing is most of what reading costs, so the cores share it.
fn read_members(archive: &Bytes) -> Result<Vec<Read>, ContainerError> {
    let named = tar::read(archive)?
        .into_iter()
        .map(|(text, bytes)| match text.parse() {
            Ok(name) => Ok((name, archive.slice_ref(bytes))),
            Err(_) => Err(ContainerError::Name(text.to_owned())),
        })
        .collect::<Result<Vec<(MemberName, Bytes)>, _>>()?;
    let hashed = |(name, bytes): &(MemberName, Bytes)| (*name, Hash::of(bytes), bytes.clone());
    Ok(touchkeep_parallel::map(&named, hashed))
}

#[cfg(test)]
mod tests;
