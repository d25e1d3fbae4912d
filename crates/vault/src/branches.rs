//! A membership that went on in two ways, told for who has to join it: who did what in each branch, which of them holds, and what is
//! undone with the others.

use std::collections::{BTreeMap, BTreeSet};

use touchkeep_container::{
    Change, Hash, MemberName, Membership, Note, Statement,
    words::{Purpose as Stated, Role},
};
use touchkeep_core::{DeviceId, EnvironmentId, UnixMillis, UserId};

use crate::{
    enrolled::{self, EnrolledDevice},
    unlocked::Unlocked,
};

/// One branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Whether it is the one that goes on.
    pub holds: bool,
    /// The hash of its last link.
    pub end: Hash,
    /// What was done in it and in no other, oldest first.
    pub links: Vec<BranchLink>,
    /// Devices as they are at its end.
    pub devices: BTreeMap<DeviceId, EnrolledDevice>,
    /// What of it does not hold once it is joined. Nothing of the one that holds.
    pub undone: Vec<Undone>,
}

/// One change of the membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchLink {
    /// When, as its writer says.
    pub time: UnixMillis,
    /// Which devices signed it, and whose they are.
    pub signers: BTreeSet<(UserId, DeviceId)>,
    /// What it says.
    pub statements: Vec<Statement>,
}

/// Something that a branch did and that a join gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// A retired device is in use again.
    InUseAgain(DeviceId),
    /// A device that was let in opens nothing any more.
    NotEnrolled(DeviceId),
    /// Somebody who was let in is no member.
    NoMember(UserId),
    /// Somebody's role is another one again; he may be one who was to go.
    RoleAgain(UserId, Option<Role>),
    /// An environment is gone, with all that is in it.
    NoEnvironment(EnvironmentId),
    /// Somebody who was to read an environment may not.
    ReadsNoMore(EnvironmentId, UserId),
    /// So many admins have to sign a change again.
    ThresholdAgain(u32),
}

impl Unlocked {
    /// The branches of a membership that went on in several ways, the one that holds first. One where nobody forked it.
    #[must_use]
    pub fn branches(&self) -> Vec<Branch> {
        let container = self.locked.container();
        let (chain, holding) = (container.chain(), container.membership());
        let mut ends = chain.ends();
        ends.sort_by_key(|end| std::cmp::Reverse((end.number, end.head)));
        let reached: Vec<_> = ends.iter().map(|end| chain.reach(end.head)).collect();
        let in_all = |link: &Hash| reached.iter().all(|links| links.contains(link));
        let common = reached.iter().flatten().filter(|link| in_all(link));
        let common = common.filter_map(|link| chain.get(*link));
        let base = common.max_by_key(|link| link.number);
        let base = base.unwrap_or_else(|| chain.genesis());
        let branches = ends.iter().zip(&reached);
        branches
            .map(|(end, links)| Branch {
                holds: end.head == holding.head,
                end: end.head,
                links: self.links_of(links.iter().filter(|link| !in_all(link))),
                devices: enrolled::of_members(end, self.is_practice()),
                undone: undone(end, base, holding),
            })
            .collect()
    }

    fn links_of<'a>(&self, links: impl Iterator<Item = &'a Hash>) -> Vec<BranchLink> {
        let mut read: Vec<_> = links.filter_map(|link| self.link(*link)).collect();
        read.sort_by_key(|(number, _)| *number);
        read.into_iter().map(|(_, link)| link).collect()
    }

    // Every link of a container was read and verified once already.
    fn link(&self, hash: Hash) -> Option<(u32, BranchLink)> {
        let container = self.locked.container();
        let number = container.chain().get(hash)?.number;
        let bytes = container.member(&MemberName::Membership { number, hash })?;
        let note = Note::parse(bytes).ok()?;
        let change = Change::parse(&note.text).ok()?;
        let before = container.chain().get(change.previous)?;
        Some((
            number,
            BranchLink {
                time: change.time,
                signers: signers(before, &note),
                statements: change.statements,
            },
        ))
    }
}

fn signers(members: &Membership, note: &Note) -> BTreeSet<(UserId, DeviceId)> {
    let in_use = members.devices.iter().filter(|(_, device)| !device.retired);
    let signed = in_use.filter(|(id, device)| {
        let key = members.device_verify_key(**id);
        device.key(Stated::SignVault).is_some() && key.is_some_and(|key| note.verify(&key).is_ok())
    });
    signed.map(|(id, device)| (device.user, *id)).collect()
}

// What an end changed of what both go on from, and the end that holds did not.
fn undone(end: &Membership, base: &Membership, holding: &Membership) -> Vec<Undone> {
    let mut undone = Vec::new();
    for (id, device) in &end.devices {
        match holding.devices.get(id) {
            None if !device.retired => undone.push(Undone::NotEnrolled(*id)),
            Some(held) if device.retired && !held.retired => undone.push(Undone::InUseAgain(*id)),
            _ => {}
        }
    }
    for (id, user) in &end.users {
        match holding.users.get(id) {
            None => undone.push(Undone::NoMember(*id)),
            Some(held) if user.role != base.role(*id) && user.role != held.role => {
                undone.push(Undone::RoleAgain(*id, held.role));
            }
            Some(_) => {}
        }
    }
    for (id, environment) in &end.environments {
        let Some(held) = holding.environments.get(id) else {
            undone.push(Undone::NoEnvironment(*id));
            continue;
        };
        let before = base.environments.get(id);
        let is_let_in = |user: &&UserId| {
            !before.is_some_and(|before| before.readers.contains(user))
                && holding.users.contains_key(user)
        };
        let lost = environment.readers.difference(&held.readers);
        let lost = lost.filter(is_let_in);
        undone.extend(lost.map(|user| Undone::ReadsNoMore(*id, *user)));
    }
    if end.threshold != base.threshold && end.threshold != holding.threshold {
        undone.push(Undone::ThresholdAgain(holding.threshold));
    }
    undone
}
