//! A whole vault: its members, its membership chain and its commits, each checked against the others.
//!
//! A [`Container`] that exists is consistent: every member is live by a signed commit, with the hash that the commit states,
//! and every signature is that of whom the membership chain names. There is no way to have one that is not.

use std::{collections::BTreeMap, sync::Arc};

use touchkeep_core::{UnixMillis, UserId, VaultId};

use crate::{
    check::{read_chain, read_commit, read_commits},
    commit::{AuditHead, Commit},
    hash::Hash,
    history::{Entry, History, list_hash},
    membership::{Membership, MembershipError},
    name::{MemberName, Part},
    note::{Note, NoteError, NoteSignature},
    tar::{self, TarError},
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
    #[error("there is a member {0:?} that this format does not know")]
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
    /// A commit states something that does not follow from its ancestors and the chain.
    #[error("the commit {0} contradicts what came before it")]
    Contradiction(Hash),
    /// Two files of different vaults, or a chain that was continued in two ways.
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
    pub(crate) bytes: Arc<[u8]>,
}

/// A whole vault.
#[derive(Debug, Clone)]
pub struct Container {
    pub(crate) members: BTreeMap<String, Member>,
    pub(crate) commits: BTreeMap<Hash, Arc<[u8]>>,
    pub(crate) history: History,
    pub(crate) chain: Vec<Membership>,
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
    /// Members that it adds. A name that is live already is replaced.
    pub add: Vec<(MemberName, Vec<u8>)>,
    /// Members that it drops.
    pub drop: Vec<MemberName>,
}

impl Container {
    /// Reads and checks a whole vault.
    ///
    /// # Errors
    /// Whatever is not exactly a vault; nothing of it can then be used.
    pub fn parse(archive: &[u8]) -> Result<Self, ContainerError> {
        let (mut members, mut commits) = (BTreeMap::new(), BTreeMap::new());
        for (text, bytes) in tar::read(archive)? {
            let name: MemberName = text
                .parse()
                .map_err(|_| ContainerError::Name(text.to_owned()))?;
            let (hash, bytes) = (Hash::of(bytes), Arc::from(bytes));
            match name {
                MemberName::Commit(stated) if stated != hash => {
                    return Err(ContainerError::Changed(text.to_owned()));
                }
                MemberName::Commit(_) => drop(commits.insert(hash, bytes)),
                _ => drop(members.insert(text.to_owned(), Member { name, hash, bytes })),
            }
        }
        let chain = read_chain(&members)?;
        let history = read_commits(&commits, &chain)?;
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
        changes: Vec<Vec<u8>>,
        mut first: NewCommit,
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Self, ContainerError> {
        let mut chain = vec![Membership::found(&genesis)?];
        first.add.push((MemberName::Genesis, genesis));
        for change in changes {
            let before = chain.last().ok_or(ContainerError::Strangers)?;
            let link = before.next(&change)?;
            let (number, hash) = (link.number, link.head);
            let name = MemberName::Membership { number, hash };
            first.add.push((name, change));
            chain.push(link);
        }
        let nothing = Self {
            members: BTreeMap::new(),
            commits: BTreeMap::new(),
            history: History::default(),
            chain,
        };
        nothing.commit(first, sign)
    }

    /// The vault after one more commit, on top of all heads.
    ///
    /// # Errors
    /// When the result would not be a vault.
    pub fn commit(
        &self,
        new: NewCommit,
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Self, ContainerError> {
        let mut next = self.clone();
        let (mut added, mut dropped) = (Vec::new(), Vec::new());
        for name in &new.drop {
            let gone = next.members.remove(&name.to_string());
            let gone = gone.ok_or_else(|| ContainerError::Missing(name.to_string()))?;
            dropped.push((gone.name, gone.hash));
        }
        for (name, bytes) in new.add {
            let (hash, bytes) = (Hash::of(&bytes), Arc::from(bytes));
            let member = Member { name, hash, bytes };
            added.push((name, hash));
            if let Some(before) = next.members.insert(name.to_string(), member) {
                dropped.push((before.name, before.hash));
            }
        }
        for list in [&mut added, &mut dropped] {
            list.sort_by_key(|(name, _)| name.to_string());
        }
        let members = self.membership()?;
        let live = next.entries();
        let commit = Commit {
            vault: members.vault,
            author: new.author,
            members: members.head,
            parents: self.heads(),
            live_count: u32::try_from(live.len()).unwrap_or(u32::MAX),
            live: list_hash(&live),
            audit: new.audit,
            time: new.time,
            added,
            dropped,
        };
        let key = members
            .author_verify_key(new.author)
            .ok_or(MembershipError::Note(NoteError::Key))?;
        let text = commit.to_text();
        let signature = NoteSignature::new(&key, sign(text.as_bytes()));
        let note = Note {
            text,
            signatures: vec![signature],
        };
        let bytes: Arc<[u8]> = Arc::from(note.to_string().into_bytes());
        let hash = Hash::of(&bytes);
        let read = read_commit(hash, &bytes, &self.chain)?;
        next.commits.insert(hash, bytes);
        let mut commits = self.history.commits().clone();
        commits.insert(hash, Arc::new(read));
        next.history = History::of(commits).ok_or(ContainerError::Contradiction(hash))?;
        next.check()?;
        Ok(next)
    }

    /// The union of two copies of one vault. It may have two heads; the next commit joins them.
    ///
    /// # Errors
    /// Copies of different vaults, or two changes that cannot both stand.
    pub fn merge(&self, other: &Self) -> Result<Self, ContainerError> {
        let (long, short) = if self.chain.len() >= other.chain.len() {
            (&self.chain, &other.chain)
        } else {
            (&other.chain, &self.chain)
        };
        if !long.starts_with(short) {
            return Err(ContainerError::Strangers);
        }
        let mut all = self.history.commits().clone();
        all.extend(other.history.commits().clone());
        let history = History::of(all).ok_or(ContainerError::Strangers)?;
        let mut commits = self.commits.clone();
        commits.extend(other.commits.clone());
        let mut members: BTreeMap<String, Member> = BTreeMap::new();
        for entry in history.live(&history.all()).into_keys() {
            let held = [self, other].map(|c| c.members.get(&entry.name));
            let held = held.into_iter().flatten().find(|m| m.hash == entry.hash);
            let member = held.ok_or_else(|| ContainerError::Missing(entry.name.clone()))?;
            if members.insert(entry.name.clone(), member.clone()).is_some() {
                return Err(ContainerError::Conflict(entry.name));
            }
        }
        let merged = Self {
            members,
            commits,
            history,
            chain: long.clone(),
        };
        merged.check()?;
        Ok(merged)
    }

    /// The archive.
    ///
    /// # Errors
    /// When it is larger than the format allows.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TarError> {
        let names: Vec<(String, &Arc<[u8]>)> = self
            .commits
            .iter()
            .map(|(hash, bytes)| (MemberName::Commit(*hash).to_string(), bytes))
            .collect();
        let commits = names.iter().map(|(name, bytes)| (name.as_str(), &***bytes));
        let members = self
            .members
            .iter()
            .map(|(name, m)| (name.as_str(), &*m.bytes));
        tar::write(members.chain(commits))
    }

    /// The vault's id.
    #[must_use]
    pub fn id(&self) -> Option<VaultId> {
        self.chain.first().map(|genesis| genesis.vault)
    }

    /// Whether its genesis says that it is for trying out.
    #[must_use]
    pub fn is_practice(&self) -> bool {
        self.chain.first().map(|genesis| genesis.kind) == Some(VaultKind::Practice)
    }

    /// What the whole membership chain says.
    ///
    /// # Errors
    /// Never for a container that exists; said in the type so that no caller invents a membership.
    pub fn membership(&self) -> Result<&Membership, MembershipError> {
        self.chain.last().ok_or(MembershipError::Place)
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
        let live = self.history.live(&self.history.all());
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

#[cfg(test)]
mod tests;
