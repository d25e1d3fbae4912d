//! What makes a vault consistent: its chain, its commits and its members, each checked against the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    commit::Commit,
    container::{Container, ContainerError, Member},
    hash::Hash,
    history::{Entry, History, list_hash},
    membership::{Membership, MembershipError},
    name::MemberName,
    note::NoteError,
    words::DeviceKind,
};

impl Container {
    // That members, commits and chain say the same. Signatures are checked where commits and links are read.
    pub(crate) fn check(&self) -> Result<(), ContainerError> {
        let heads = self.heads();
        if heads.is_empty() {
            return Err(ContainerError::Missing("c/".into()));
        }
        for head in heads {
            self.check_head(head)?;
        }
        let live = self.history.live(&self.history.all());
        self.check_members(live.keys().collect())?;
        let latest = self.membership()?;
        self.members
            .values()
            .try_for_each(|member| check_owner(member, latest))
    }

    // A head's list follows from its ancestors, and holds just the chain that it names.
    fn check_head(&self, head: Hash) -> Result<(), ContainerError> {
        let wrong = ContainerError::Contradiction(head);
        let commit = self.history.commits().get(&head).ok_or(wrong.clone())?;
        let live = self.history.live(&self.history.reach(head));
        let stated = usize::try_from(commit.live_count).ok();
        if stated != Some(live.len()) || list_hash(live.keys()) != commit.live {
            return Err(wrong);
        }
        let listed = live.keys().filter(|entry| is_link(&entry.name)).cloned();
        let links = self.chain.iter().map(link_entry);
        let mut known: BTreeSet<Entry> = BTreeSet::new();
        for (link, entry) in self.chain.iter().zip(links) {
            known.insert(entry);
            if link.head == commit.members {
                break;
            }
        }
        (listed.collect::<BTreeSet<_>>() == known)
            .then_some(())
            .ok_or(wrong)
    }

    fn check_members(&self, live: BTreeSet<&Entry>) -> Result<(), ContainerError> {
        let mut listed: BTreeMap<&str, Hash> = BTreeMap::new();
        for entry in live {
            if listed.insert(&entry.name, entry.hash).is_some() {
                return Err(ContainerError::Conflict(entry.name.clone()));
            }
        }
        for (name, member) in &self.members {
            match listed.remove(name.as_str()) {
                None => return Err(ContainerError::Unlisted(name.clone())),
                Some(hash) if hash != member.hash => {
                    return Err(ContainerError::Changed(name.clone()));
                }
                Some(_) => {}
            }
        }
        match listed.first_key_value() {
            Some((name, _)) => Err(ContainerError::Missing((*name).to_owned())),
            None => Ok(()),
        }
    }
}

fn is_link(name: &str) -> bool {
    name == "genesis" || name.starts_with("m/")
}

fn link_entry(link: &Membership) -> Entry {
    let (number, hash) = (link.number, link.head);
    let name = match number {
        0 => MemberName::Genesis,
        _ => MemberName::Membership { number, hash },
    };
    Entry {
        name: name.to_string(),
        hash,
    }
}

// Members belong to somebody whom the chain knows; keys under a passphrase only to a device that is marked software.
fn check_owner(member: &Member, known: &Membership) -> Result<(), ContainerError> {
    let is_known = match member.name {
        MemberName::User(user) => known.users.contains_key(&user),
        MemberName::Device(id) => known
            .devices
            .get(&id)
            .is_some_and(|device| device.kind == DeviceKind::Software),
        MemberName::EnvironmentKey { environment, epoch } => known
            .environments
            .get(&environment)
            .is_some_and(|known| epoch <= known.epoch),
        MemberName::Segment(part) | MemberName::Snapshot(part) => {
            known.environments.contains_key(&part.environment)
        }
        _ => true,
    };
    is_known
        .then_some(())
        .ok_or_else(|| ContainerError::Unlisted(member.name.to_string()))
}

pub(crate) fn read_chain(
    members: &BTreeMap<String, Member>,
) -> Result<Vec<Membership>, ContainerError> {
    let genesis = members
        .get("genesis")
        .ok_or_else(|| ContainerError::Missing("genesis".into()))?;
    let mut links: Vec<(u32, &Member)> = members
        .values()
        .filter_map(|member| match member.name {
            MemberName::Membership { number, .. } => Some((number, member)),
            _ => None,
        })
        .collect();
    links.sort_by_key(|(number, _)| *number);
    let mut chain = vec![Membership::found(&genesis.bytes)?];
    for (_, member) in links {
        let MemberName::Membership { number, hash } = member.name else {
            continue;
        };
        let before = chain.last().ok_or(MembershipError::Place)?;
        let link = before.next(&member.bytes)?;
        if link.number != number || link.head != hash {
            return Err(ContainerError::Changed(member.name.to_string()));
        }
        chain.push(link);
    }
    Ok(chain)
}

pub(crate) fn read_commits(
    commits: &BTreeMap<Hash, Arc<[u8]>>,
    chain: &[Membership],
) -> Result<History, ContainerError> {
    let mut read = BTreeMap::new();
    for (hash, bytes) in commits {
        read.insert(*hash, Arc::new(read_commit(*hash, bytes, chain)?));
    }
    let missing = || ContainerError::Missing("c/".into());
    let history = History::of(read).ok_or_else(missing)?;
    let number = |commit: &Commit| chain.iter().position(|link| link.head == commit.members);
    for (hash, commit) in history.commits() {
        // Nobody forgets a membership change that a commit before him knew.
        let parents = commit.parents.iter();
        let mut parents = parents.filter_map(|parent| history.commits().get(parent));
        if parents.any(|parent| number(parent) > number(commit)) {
            return Err(ContainerError::Contradiction(*hash));
        }
    }
    Ok(history)
}

// The author is judged by the chain as he knew it.
pub(crate) fn read_commit(
    hash: Hash,
    bytes: &[u8],
    chain: &[Membership],
) -> Result<Commit, ContainerError> {
    let refused = |source| ContainerError::Commit {
        commit: hash,
        source,
    };
    let (commit, note) = Commit::read(bytes).map_err(refused)?;
    let known = chain.iter().find(|link| link.head == commit.members);
    let known = known
        .filter(|link| link.vault == commit.vault)
        .ok_or(ContainerError::Contradiction(hash))?;
    let role = known.users.get(&commit.author).and_then(|user| user.role);
    let key = known
        .author_verify_key(commit.author)
        .filter(|_| role.is_some_and(|role| role.may_write()))
        .ok_or_else(|| refused(NoteError::Unsigned))?;
    note.verify(&key).map_err(refused)?;
    Ok(commit)
}
