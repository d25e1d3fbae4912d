//! The membership chain: genesis, and the links that follow it. Each link is signed by devices of admins as of the link
//! before it.
//!
//! Two machines that do not know of each other can both add a link: then the chain has two ends, and no commit can be made
//! until an admin joins them. A joining link goes on from one end and names the other; of the other branch holds only what
//! the joining link states again, so that nothing of it comes into force that an admin did not sign for knowingly.
//!
//! Whose rights ended in one branch gives up neither that nor the branch: what he signs beside it, however old the link that it
//! goes on from, may not stand in one file with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use touchkeep_core::{DeviceId, UserId};

use crate::{
    hash::Hash,
    membership::{Membership, MembershipError, Signers},
    name::MemberName,
};

/// Links that one chain may have, genesis not counted.
pub const MAX_LINKS: usize = 4096;

/// One link: what the chain says up to it, and the links that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    state: Arc<Membership>,
    // The one that it goes on from first.
    before: Vec<Hash>,
    signers: Signers,
}

/// All links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    links: BTreeMap<Hash, Link>,
    genesis: Arc<Membership>,
}

impl Chain {
    /// Begins with genesis.
    ///
    /// # Errors
    /// It is none.
    pub fn found(genesis: &[u8]) -> Result<Self, MembershipError> {
        let state = Arc::new(Membership::found(genesis)?);
        let link = Link {
            state: Arc::clone(&state),
            before: Vec::new(),
            signers: Signers::new(),
        };
        Ok(Self {
            links: BTreeMap::from([(state.head, link)]),
            genesis: state,
        })
    }

    /// Adds a link, and says what the chain says with it.
    ///
    /// # Errors
    /// It does not follow a link that is here, or is not signed as it must.
    pub fn add(&mut self, bytes: &[u8]) -> Result<Arc<Membership>, MembershipError> {
        if self.links.len() > MAX_LINKS {
            return Err(MembershipError::Place);
        }
        let link = self.read(bytes)?;
        let state = Arc::clone(&link.state);
        self.links.insert(state.head, link);
        Ok(state)
    }

    fn read(&self, bytes: &[u8]) -> Result<Link, MembershipError> {
        let previous = crate::link::previous_of(bytes)?;
        let before = self.get(previous).ok_or(MembershipError::Place)?;
        let (state, change, signers) = before.next_signed(bytes)?;
        let mut link = Link {
            state: Arc::new(state),
            before: vec![previous],
            signers,
        };
        let mut highest = before.number;
        for joined in change.joined {
            let other = self.get(joined).ok_or(MembershipError::Place)?;
            // What came before is joined already; what came after cannot be.
            if self.reach(previous).contains(&joined) || self.reach(joined).contains(&previous) {
                return Err(MembershipError::Place);
            }
            let own = self.reach(previous);
            self.may_stand_beside(
                own.iter()
                    .filter_map(|hash| self.links.get(hash))
                    .chain([&link]),
                joined,
            )?;
            if !have_same_keys(before, other) {
                return Err(MembershipError::Place);
            }
            highest = highest.max(other.number);
            link.before.push(joined);
        }
        (Some(change.number) == highest.checked_add(1))
            .then_some(link)
            .ok_or(MembershipError::Place)
    }

    /// Whether the branches that end here may stand in one file.
    ///
    /// # Errors
    /// One took away the right to sign a link of another one.
    pub(crate) fn check_ends(&self) -> Result<(), MembershipError> {
        let ends = self.ends();
        for one in &ends {
            let links = self.reach(one.head);
            for other in ends.iter().filter(|other| other.head != one.head) {
                let links = links.iter().filter_map(|hash| self.links.get(hash));
                self.may_stand_beside(links, other.head)?;
            }
        }
        Ok(())
    }

    // Whether of these links those that another branch does not have are signed by enough who have lost nothing there.
    fn may_stand_beside<'a>(
        &'a self,
        links: impl Iterator<Item = &'a Link>,
        other: Hash,
    ) -> Result<(), MembershipError> {
        let known = self.reach(other);
        let other = self.get(other).ok_or(MembershipError::Place)?;
        let mut own = links.filter(|link| !known.contains(&link.state.head));
        let were_admins: BTreeSet<UserId> = known
            .iter()
            .filter_map(|hash| self.get(*hash))
            .flat_map(Membership::admins)
            .collect();
        let is_retired = |device: &DeviceId| other.devices.get(device).is_some_and(|it| it.retired);
        let may_sign = |device: &DeviceId, user: UserId| {
            let is_admin = other.is_admin(user) || !were_admins.contains(&user);
            is_admin && !is_retired(device)
        };
        let enough = |link: &Link| {
            let before = link.before.first().and_then(|hash| self.get(*hash));
            let admins: BTreeSet<UserId> = link
                .signers
                .iter()
                .filter(|(device, user)| {
                    before.is_some_and(|it| it.is_admin(**user)) && may_sign(device, **user)
                })
                .map(|(_, user)| *user)
                .collect();
            let needed = before.map_or(1, |it| it.threshold).max(other.threshold);
            u32::try_from(admins.len()).unwrap_or(u32::MAX) >= needed
        };
        own.all(enough).then_some(()).ok_or(MembershipError::Lapsed)
    }

    /// What the chain says up to a link.
    #[must_use]
    pub fn get(&self, link: Hash) -> Option<&Membership> {
        self.links.get(&link).map(|link| &*link.state)
    }

    /// What genesis says.
    #[must_use]
    pub fn genesis(&self) -> &Membership {
        &self.genesis
    }

    /// The links that no other names, ascending by their hashes. More than one: somebody has to join them.
    #[must_use]
    pub fn ends(&self) -> Vec<&Membership> {
        let named: BTreeSet<_> = self.links.values().flat_map(|link| &link.before).collect();
        let links = self.links.iter();
        links
            .filter(|(hash, _)| !named.contains(hash))
            .map(|(_, link)| &*link.state)
            .collect()
    }

    /// What holds: the end of the chain. Of several the longest, and of two as long the one with the greater hash; nothing is
    /// written then.
    #[must_use]
    pub fn latest(&self) -> &Membership {
        let ends = self.ends().into_iter();
        ends.max_by_key(|end| (end.number, end.head))
            .unwrap_or(&self.genesis)
    }

    /// A link and all that came before it.
    #[must_use]
    pub fn reach(&self, from: Hash) -> BTreeSet<Hash> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![from];
        while let Some(hash) = waiting.pop() {
            if let Some(link) = self.links.get(&hash)
                && reached.insert(hash)
            {
                waiting.extend(&link.before);
            }
        }
        reached
    }

    /// The links of both.
    ///
    /// # Errors
    /// They do not begin alike.
    pub fn union(&self, other: &Self) -> Result<Self, MembershipError> {
        if self.genesis != other.genesis {
            return Err(MembershipError::Place);
        }
        let mut both = self.clone();
        both.links.extend(other.links.clone());
        Ok(both)
    }

    /// The names of the members that these links are.
    pub fn names<'a>(
        &'a self,
        links: &'a BTreeSet<Hash>,
    ) -> impl Iterator<Item = (MemberName, Hash)> + 'a {
        let known = links.iter().filter_map(|hash| self.links.get(hash));
        known.map(|link| {
            let (number, hash) = (link.state.number, link.state.head);
            let name = match link.before.is_empty() {
                true => MemberName::Genesis,
                false => MemberName::Membership { number, hash },
            };
            (name, hash)
        })
    }

    /// How many links there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Never: genesis is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }
}

/// Whether two branches have the same keys for each environment that both know. Where one has a key that the other has not,
/// whichever of them held would close what the other wrote.
pub(crate) fn have_same_keys(one: &Membership, other: &Membership) -> bool {
    one.environments.iter().all(|(id, here)| {
        let there = other.environments.get(id);
        there.is_none_or(|there| here.recipients == there.recipients)
    })
}

#[cfg(test)]
mod tests {
    use touchkeep_core::UnixMillis;

    use super::*;
    use crate::{link::Change, statement::Statement, testing::World};

    fn link(
        world: &World,
        before: &Membership,
        number: u32,
        joined: Vec<Hash>,
    ) -> (Vec<u8>, UserId) {
        let user = UserId::random();
        let change = Change {
            vault: world.vault,
            number,
            previous: before.head,
            joined,
            time: UnixMillis(0),
            statements: vec![Statement::User(user)],
        };
        (world.sign(change.to_text()).into_bytes(), user)
    }

    #[test]
    fn of_a_joined_branch_holds_what_is_stated_again() {
        let world = World::new();
        let mut chain = Chain::found(&world.genesis()).unwrap();
        let genesis = chain.genesis().clone();
        let (one, kept) = link(&world, &genesis, 1, vec![]);
        let (two, given_up) = link(&world, &genesis, 1, vec![]);
        let one = chain.add(&one).unwrap();
        let two = chain.add(&two).unwrap();
        assert_eq!(chain.ends().len(), 2);
        let (join, new) = link(&world, &one, 2, vec![two.head]);
        let joined = chain.add(&join).unwrap();
        assert_eq!(chain.ends(), [&*joined]);
        assert!(joined.users.contains_key(&kept) && joined.users.contains_key(&new));
        assert!(!joined.users.contains_key(&given_up));
        assert_eq!(chain.reach(joined.head).len(), 4);
    }

    #[test]
    fn a_join_of_what_came_before_is_refused() {
        let world = World::new();
        let mut chain = Chain::found(&world.genesis()).unwrap();
        let genesis = chain.genesis().clone();
        let (one, _) = link(&world, &genesis, 1, vec![]);
        let one = chain.add(&one).unwrap();
        for (joined, number) in [(genesis.head, 2), (one.head, 2), (Hash([9; 32]), 2)] {
            let (wrong, _) = link(&world, &one, number, vec![joined]);
            assert_eq!(chain.add(&wrong), Err(MembershipError::Place));
        }
        let (wrong_number, _) = link(&world, &one, 3, vec![]);
        assert_eq!(chain.add(&wrong_number), Err(MembershipError::Place));
    }
}
