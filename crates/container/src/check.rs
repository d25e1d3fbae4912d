//! What makes a vault consistent: its chain, its commits and its members, each checked against the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    chain::{Chain, have_same_keys},
    commit::{Commit, MAX_PARENTS},
    container::{Container, ContainerError, Member},
    hash::Hash,
    history::{Entry, History, list_hash},
    membership::{Membership, MembershipError},
    name::MemberName,
    note::NoteError,
    past::Past,
    tar::{README_NAME, TarError},
    words::DeviceKind,
};

impl Container {
    // That members, commits and chain say the same. Signatures are checked where commits and links are read.
    pub(crate) fn check(&self) -> Result<(), ContainerError> {
        let heads = self.heads();
        if heads.is_empty() {
            return Err(ContainerError::Missing("c/".into()));
        }
        if let Some(told) = self.history.redundant().first() {
            return Err(ContainerError::Unlisted(
                MemberName::Commit(*told).to_string(),
            ));
        }
        if heads.len() > MAX_PARENTS {
            return Err(TarError::TooLarge.into());
        }
        let ends = self.chain.ends();
        let reached: Vec<_> = ends
            .iter()
            .map(|end| (*end, self.chain.reach(end.head)))
            .collect();
        let mut links = BTreeSet::new();
        for head in heads {
            self.check_writer(head, &reached)?;
            links.extend(self.check_head(head)?);
        }
        if !all_have_same_keys(&ends) {
            return Err(ContainerError::Rekeyed);
        }
        if links.len() != self.chain.len() {
            return Err(MembershipError::Place.into());
        }
        self.chain.check_ends()?;
        self.check_members()?;
        let mut members = self.members.values();
        members.try_for_each(|member| check_owner(member, &ends))
    }

    // Who may not write any more, and whoever has keys that were replaced, adds nothing to what others have taken in: else they
    // could go on from an old commit, or an old link, for ever.
    fn check_writer(&self, head: Hash, ends: &[Reached<'_>]) -> Result<(), ContainerError> {
        let wrong = || ContainerError::Contradiction(head);
        let commit = self.history.commits().get(&head).ok_or_else(wrong)?;
        let known = self.chain.get(commit.members).ok_or_else(wrong)?;
        let key = |members: &Membership| members.users.get(&commit.author).and_then(|u| u.author);
        let may_write = |link: &Membership| {
            let role = link.role(commit.author);
            role.is_some_and(|role| role.may_write()) && key(link) == key(known)
        };
        let lost = |(end, links): &Reached<'_>| {
            let mut links = links.iter().filter_map(|link| self.chain.get(*link));
            !may_write(end) && links.any(may_write)
        };
        (!ends.iter().any(lost))
            .then_some(())
            .ok_or(ContainerError::Lapsed(head))
    }

    // A head's list follows from its ancestors, and holds just the chain that it names. Returns that chain.
    fn check_head(&self, head: Hash) -> Result<BTreeSet<Hash>, ContainerError> {
        let wrong = || ContainerError::Contradiction(head);
        let commit = self.history.commits().get(&head).ok_or_else(wrong)?;
        let reach = self.history.reach(head);
        let live = self.history.live(&reach).ok_or_else(wrong)?;
        let stated = usize::try_from(commit.live_count).ok();
        if stated != Some(live.len()) || list_hash(live.keys()) != commit.live {
            return Err(wrong());
        }
        let links = self.chain.reach(commit.members);
        let known = self.chain.names(&links);
        let known: BTreeSet<Entry> = known.map(|member| Entry::of(&member)).collect();
        let listed = live.into_keys().filter(|entry| is_link(&entry.name));
        (listed.collect::<BTreeSet<_>>() == known)
            .then_some(links)
            .ok_or_else(wrong)
    }

    fn check_members(&self) -> Result<(), ContainerError> {
        let mut listed = live_by_name(&self.history)?;
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
            Some((name, _)) => Err(ContainerError::Missing(name.clone())),
            None => Ok(()),
        }
    }
}

fn all_have_same_keys(ends: &[&Membership]) -> bool {
    ends.iter().enumerate().all(|(at, one)| {
        let mut others = ends.iter().skip(at + 1);
        others.all(|other| have_same_keys(one, other))
    })
}

// An end of the chain, and the links up to it.
type Reached<'a> = (&'a Membership, BTreeSet<Hash>);

// Members belong to somebody whom the chain knows; keys under a passphrase only to a device that is marked software.
fn check_owner(member: &Member, ends: &[&Membership]) -> Result<(), ContainerError> {
    let mut ends = ends.iter();
    ends.any(|end| is_owned(member.name, end))
        .then_some(())
        .ok_or_else(|| ContainerError::Unlisted(member.name.to_string()))
}

/// What is live by all commits, by name. No name is given twice, but for the page of words: of two the greater hash.
pub(crate) fn live_by_name(history: &History) -> Result<BTreeMap<String, Hash>, ContainerError> {
    let live = history
        .live(&history.all())
        .ok_or_else(|| ContainerError::Missing("c/".into()))?;
    let mut listed: BTreeMap<String, Hash> = BTreeMap::new();
    for entry in live.into_keys() {
        // Ascending by name, then by hash.
        let before = listed.insert(entry.name.clone(), entry.hash);
        if before.is_some() && entry.name != README_NAME {
            return Err(ContainerError::Conflict(entry.name));
        }
    }
    Ok(listed)
}

fn is_link(name: &str) -> bool {
    name == "genesis" || name.starts_with("m/")
}

fn is_owned(name: MemberName, known: &Membership) -> bool {
    match name {
        MemberName::User { user, .. } => known.users.contains_key(&user),
        MemberName::Device { device, .. } => known
            .devices
            .get(&device)
            .is_some_and(|device| device.kind == DeviceKind::Software),
        MemberName::EnvironmentKey {
            environment, epoch, ..
        } => known
            .environments
            .get(&environment)
            .is_some_and(|known| epoch <= known.epoch()),
        MemberName::Segment(part) | MemberName::Snapshot(part) => {
            known.environments.contains_key(&part.environment)
        }
        _ => true,
    }
}

pub(crate) fn read_chain(members: &BTreeMap<String, Member>) -> Result<Chain, ContainerError> {
    let genesis = members
        .get("genesis")
        .ok_or_else(|| ContainerError::Missing("genesis".into()))?;
    let mut links: Vec<(u32, Hash, &Member)> = members
        .values()
        .filter_map(|member| match member.name {
            MemberName::Membership { number, hash } => Some((number, hash, member)),
            _ => None,
        })
        .collect();
    // A link's number is greater than those of all that it names.
    links.sort_by_key(|(number, hash, _)| (*number, *hash));
    let mut chain = Chain::found(&genesis.bytes)?;
    for (number, hash, member) in links {
        let link = chain.add(&member.bytes)?;
        if link.number != number || link.head != hash {
            return Err(ContainerError::Changed(member.name.to_string()));
        }
    }
    Ok(chain)
}

pub(crate) fn read_pasts(
    members: &BTreeMap<String, Member>,
    chain: &Chain,
) -> Result<BTreeMap<Hash, Arc<Past>>, ContainerError> {
    let mut pasts = BTreeMap::new();
    for member in members.values() {
        let MemberName::Past(hash) = member.name else {
            continue;
        };
        let changed = || ContainerError::Changed(member.name.to_string());
        let past = Past::parse(&member.bytes).map_err(|_| changed())?;
        if hash != member.hash || past.vault != chain.genesis().vault {
            return Err(changed());
        }
        pasts.insert(hash, Arc::new(past));
    }
    Ok(pasts)
}

pub(crate) fn read_commits(
    commits: &BTreeMap<Hash, Bytes>,
    pasts: BTreeMap<Hash, Arc<Past>>,
    chain: &Chain,
) -> Result<History, ContainerError> {
    let mut read = BTreeMap::new();
    for (hash, bytes) in commits {
        read.insert(*hash, Arc::new(read_commit(*hash, bytes, chain)?));
    }
    let missing = || ContainerError::Missing("c/".into());
    let history = History::of(read, pasts).ok_or_else(missing)?;
    for (hash, commit) in history.commits() {
        // Nobody forgets a membership change that a commit before him knew.
        let parents = commit.parents.iter();
        let parents = parents.filter_map(|parent| history.commits().get(parent));
        let mut others = parents
            .filter(|parent| parent.members != commit.members)
            .peekable();
        if others.peek().is_none() {
            continue;
        }
        let known = chain.reach(commit.members);
        if others.any(|parent| !known.contains(&parent.members)) {
            return Err(ContainerError::Contradiction(*hash));
        }
    }
    Ok(history)
}

// The author is judged by the chain as he knew it.
pub(crate) fn read_commit(
    hash: Hash,
    bytes: &[u8],
    chain: &Chain,
) -> Result<Commit, ContainerError> {
    let refused = |source| ContainerError::Commit {
        commit: hash,
        source,
    };
    let (commit, note) = Commit::read(bytes).map_err(refused)?;
    let known = chain
        .get(commit.members)
        .filter(|link| link.vault == commit.vault)
        .ok_or(ContainerError::Contradiction(hash))?;
    let may_write = known
        .role(commit.author)
        .is_some_and(|role| role.may_write());
    let key = known
        .author_verify_key(commit.author)
        .filter(|_| may_write)
        .ok_or_else(|| refused(NoteError::Unsigned))?;
    note.verify(&key).map_err(refused)?;
    Ok(commit)
}
