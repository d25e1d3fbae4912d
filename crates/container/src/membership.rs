//! What the membership chain says up to one of its links: who belongs to a vault, with which devices, keys, roles and
//! environments. Recipients are read from here and from nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use touchkeep_core::{DeviceId, EnvironmentId, UserId, VaultId};

use crate::{
    hash::Hash,
    link::{Change, Genesis},
    note::{Note, NoteError, VerifyKey},
    statement::{DeviceKey, Statement},
    words::{Algorithm, DeviceKind, Purpose, Role, VaultKind},
};

/// Why a link does not belong to a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// Not a note, or not signed by whoever must.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not one that this format writes.
    #[error("line {line} of a membership note cannot be read")]
    Line {
        /// From 1.
        line: usize,
    },
    /// A newer version of the format.
    #[error("the vault is of a newer format")]
    TooNew,
    /// Of another vault, out of its place, or after another link.
    #[error("a membership note is not in its place")]
    Place,
    /// What it says does not fit what was said before.
    #[error("statement {statement} of a membership note contradicts the chain")]
    Contradiction {
        /// From 1.
        statement: usize,
    },
    /// It retires a device, or takes an environment away from somebody, and lets old keys open what is written from then on.
    #[error("a membership note takes somebody's access away without new keys")]
    Exposed,
    /// It is in a branch beside one that took the right to sign it away.
    #[error(
        "a membership note is by somebody who may not sign any more, or with a device that was retired"
    )]
    Lapsed,
    /// It would leave too few admins with a device to sign the next link.
    #[error("a membership note would leave the vault without enough admins who can sign")]
    Ungoverned,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// What he may do.
    pub role: Option<Role>,
    /// What signs his commits.
    pub author: Option<[u8; 32]>,
    /// What environments' identities are encrypted to for him.
    pub recipient: Option<String>,
}

/// A device of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledDevice {
    /// Whose.
    pub user: UserId,
    /// Its kind.
    pub kind: DeviceKind,
    /// The number printed on it.
    pub serial: Option<String>,
    /// Its keys, one for each purpose.
    pub keys: Vec<DeviceKey>,
    /// What its maker says of its keys, as DER, from the key's own certificate on. Not judged here.
    pub attestations: BTreeMap<Purpose, Vec<Vec<u8>>>,
    /// Lost or put away.
    pub retired: bool,
}

impl EnrolledDevice {
    /// Its key for a purpose.
    #[must_use]
    pub fn key(&self, purpose: Purpose) -> Option<&DeviceKey> {
        self.keys.iter().find(|key| key.purpose == purpose)
    }
}

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    /// What its segments are encrypted to, one for each epoch; the last one holds.
    pub recipients: Vec<String>,
    /// Who may read it.
    pub readers: BTreeSet<UserId>,
}

impl Environment {
    /// The epoch that holds; 0 until it has a recipient.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        u32::try_from(self.recipients.len()).unwrap_or(u32::MAX)
    }

    /// What new segments are encrypted to.
    #[must_use]
    pub fn recipient(&self) -> Option<&str> {
        self.recipients.last().map(String::as_str)
    }
}

/// Devices that signed a link, and whose they are.
pub(crate) type Signers = BTreeMap<DeviceId, UserId>;

/// What the chain says up to one of its links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The vault's id.
    pub vault: VaultId,
    /// What the vault is for.
    pub kind: VaultKind,
    /// The last link's number; genesis has 0.
    pub number: u32,
    /// The last link's hash.
    pub head: Hash,
    /// How many admins have to sign a link.
    pub threshold: u32,
    /// Members.
    pub users: BTreeMap<UserId, User>,
    /// Devices.
    pub devices: BTreeMap<DeviceId, EnrolledDevice>,
    /// Environments.
    pub environments: BTreeMap<EnvironmentId, Environment>,
    /// The environment that was stated first: it holds what is the whole vault's.
    pub first_environment: Option<EnvironmentId>,
}

impl Membership {
    /// Reads genesis: one user, who becomes admin, one device of his, its keys; signed by that device.
    ///
    /// # Errors
    /// Anything else.
    pub fn found(bytes: &[u8]) -> Result<Self, MembershipError> {
        let note = canonical_note(bytes)?;
        let genesis = Genesis::parse(&note.text)?;
        if genesis.to_text() != note.text {
            return Err(MembershipError::Line { line: 3 });
        }
        let mut founded = Self {
            vault: genesis.vault,
            kind: genesis.kind,
            number: 0,
            head: Hash::of(bytes),
            threshold: 1,
            users: BTreeMap::new(),
            devices: BTreeMap::new(),
            environments: BTreeMap::new(),
            first_environment: None,
        };
        let mut fresh = Vec::new();
        for (at, statement) in genesis.statements.iter().enumerate() {
            let allowed = matches!(
                statement,
                Statement::User(_)
                    | Statement::Device { .. }
                    | Statement::Key(..)
                    | Statement::Attestation(..)
            );
            (allowed && founded.users.len() <= 1 && founded.devices.len() <= 1)
                .then_some(())
                .and_then(|()| founded.state(statement, &mut fresh))
                .ok_or(MembershipError::Contradiction { statement: at + 1 })?;
        }
        let nobody = MembershipError::Contradiction {
            statement: genesis.statements.len(),
        };
        let (true, Some(founder)) = (
            founded.devices.len() == 1,
            founded.users.values_mut().next(),
        ) else {
            return Err(nobody);
        };
        founder.role = Some(Role::Admin);
        if founded.users.len() != 1 || founded.signers(&note)?.is_empty() {
            return Err(NoteError::Unsigned.into());
        }
        Ok(founded)
    }

    /// Reads the next link.
    ///
    /// # Errors
    /// Not the next link of this chain, not signed by enough admins' devices, or in contradiction to what was said. Whether the
    /// branches that it joins are there is the chain's to say.
    pub fn next(&self, bytes: &[u8]) -> Result<(Self, Change), MembershipError> {
        let (next, change, _) = self.next_signed(bytes)?;
        Ok((next, change))
    }

    /// The same, with the devices in use that signed it.
    pub(crate) fn next_signed(
        &self,
        bytes: &[u8],
    ) -> Result<(Self, Change, Signers), MembershipError> {
        let note = canonical_note(bytes)?;
        let change = Change::parse(&note.text)?;
        if change.vault != self.vault || change.previous != self.head {
            return Err(MembershipError::Place);
        }
        let signed = self.signers(&note)?;
        let signers: BTreeSet<_> = signed.values().copied().collect();
        let admins = signers.iter().filter(|user| self.is_admin(**user)).count();
        if u32::try_from(admins).unwrap_or(u32::MAX) < self.threshold {
            return Err(NoteError::Unsigned.into());
        }
        let mut next = Self {
            number: change.number,
            head: Hash::of(bytes),
            ..self.clone()
        };
        let mut fresh = Vec::new();
        let contradiction = |at: usize| MembershipError::Contradiction { statement: at + 1 };
        for (at, statement) in change.statements.iter().enumerate() {
            next.state(statement, &mut fresh)
                .ok_or_else(|| contradiction(at))?;
        }
        // No admin acts in another's name: keys and devices of a user are certified by a device of his, and those of a new one by the
        // device that he brings.
        let newcomers: BTreeSet<_> = next.signers(&note)?.into_values().collect();
        let is_new = |user: &UserId| !self.users.contains_key(user);
        let certified = |user| signers.contains(user) || (is_new(user) && newcomers.contains(user));
        for (at, statement) in change.statements.iter().enumerate() {
            let fits = match statement {
                Statement::Author(user, _) | Statement::UserRecipient(user, _) => certified(user),
                Statement::Device { user, .. } => is_new(user) || certified(user),
                _ => true,
            };
            if !fits {
                return Err(contradiction(at));
            }
        }
        if !next.is_cut_off(self, &change.statements) {
            return Err(MembershipError::Exposed);
        }
        next.is_governable()
            .then_some((next, change, signed))
            .ok_or(MembershipError::Ungoverned)
    }

    /// The key under which a device signs notes of this vault.
    #[must_use]
    pub fn device_verify_key(&self, device: DeviceId) -> Option<VerifyKey> {
        let key = self.devices.get(&device)?.key(Purpose::SignVault)?;
        VerifyKey::from_spki(device.to_string(), &key.spki).ok()
    }

    /// The key under which a user signs commits.
    #[must_use]
    pub fn author_verify_key(&self, user: UserId) -> Option<VerifyKey> {
        VerifyKey::ed25519(user.to_string(), self.users.get(&user)?.author?).ok()
    }

    /// What a user may do; nothing where he is none.
    #[must_use]
    pub fn role(&self, user: UserId) -> Option<Role> {
        self.users.get(&user)?.role
    }

    /// Who is admin.
    pub(crate) fn admins(&self) -> impl Iterator<Item = UserId> {
        let users = self.users.keys().copied();
        users.filter(|user| self.is_admin(*user))
    }

    /// The devices of a user that are in use.
    pub fn devices_of(&self, user: UserId) -> impl Iterator<Item = (&DeviceId, &EnrolledDevice)> {
        self.devices
            .iter()
            .filter(move |(_, device)| device.user == user && !device.retired)
    }

    pub(crate) fn is_admin(&self, user: UserId) -> bool {
        self.role(user) == Some(Role::Admin)
    }

    // The devices in use that signed. A wrong signature in the name of a known key spoils the note.
    fn signers(&self, note: &Note) -> Result<Signers, NoteError> {
        let mut signers = Signers::new();
        for (id, device) in &self.devices {
            let Some(key) = self.device_verify_key(*id) else {
                continue;
            };
            match note.verify(&key) {
                Ok(()) if !device.retired => drop(signers.insert(*id, device.user)),
                Ok(()) | Err(NoteError::Unsigned) => {}
                Err(forged) => return Err(forged),
            }
        }
        Ok(signers)
    }

    // Whether enough admins are left who can sign the next link.
    fn is_governable(&self) -> bool {
        let can_sign = |user: &UserId| {
            self.devices_of(*user)
                .any(|(_, device)| device.key(Purpose::SignVault).is_some())
        };
        let users = self.users.keys();
        let able = users.filter(|user| self.is_admin(**user) && can_sign(user));
        u32::try_from(able.count()).unwrap_or(u32::MAX) >= self.threshold.max(1)
    }

    // Whether old keys open nothing new: a retired device's user gets new ones, and what was taken away a new epoch. Who is gone
    // reads nothing.
    fn is_cut_off(&self, before: &Self, statements: &[Statement]) -> bool {
        let says = |wanted: &dyn Fn(&Statement) -> bool| statements.iter().any(wanted);
        let is_renewed = |of: &EnvironmentId| {
            says(&|it| matches!(it, Statement::EnvironmentRecipient(id, ..) if id == of))
        };
        let is_retired = |user: UserId| {
            let mut readable = before.environments.iter();
            readable.all(|(id, known)| !known.readers.contains(&user) || is_renewed(id))
                && says(&|it| matches!(it, Statement::Author(of, _) if *of == user))
                && says(&|it| matches!(it, Statement::UserRecipient(of, _) if *of == user))
        };
        let is_fit = |statement: &Statement| match statement {
            Statement::Retired(id) => self.devices.get(id).is_some_and(|it| is_retired(it.user)),
            Statement::Revoke(id, _) => is_renewed(id),
            _ => true,
        };
        let mut readers = self.environments.values().flat_map(|known| &known.readers);
        statements.iter().all(is_fit) && !readers.any(|user| self.role(*user) == Some(Role::Gone))
    }

    // Takes a statement in. `None`: it contradicts what is known. Keys are stated in the note that states their device.
    fn state(&mut self, statement: &Statement, fresh: &mut Vec<DeviceId>) -> Option<()> {
        match statement {
            Statement::User(user) => is_new(self.users.insert(*user, User::default())),
            Statement::Device {
                id,
                user,
                kind,
                serial,
            } => {
                self.users.get(user)?;
                fresh.push(*id);
                let device = EnrolledDevice {
                    user: *user,
                    kind: *kind,
                    serial: serial.clone(),
                    keys: Vec::new(),
                    attestations: BTreeMap::new(),
                    retired: false,
                };
                is_new(self.devices.insert(*id, device))
            }
            Statement::Key(id, key) => self.state_key(*id, key, fresh),
            Statement::Attestation(id, purpose, certificates) => {
                let device = self.devices.get_mut(id).filter(|_| fresh.contains(id))?;
                device.key(*purpose)?;
                is_new(device.attestations.insert(*purpose, certificates.clone()))
            }
            Statement::Retired(id) => {
                let device = self.devices.get_mut(id)?;
                (!device.retired && !fresh.contains(id)).then(|| device.retired = true)
            }
            Statement::Author(user, key) => {
                self.users.get_mut(user)?.author = Some(*key);
                Some(())
            }
            Statement::Role(user, role) => {
                self.users.get_mut(user)?.role = Some(*role);
                Some(())
            }
            Statement::Threshold(admins) => (*admins > 0).then(|| self.threshold = *admins),
            Statement::Environment(id) => {
                self.first_environment.get_or_insert(*id);
                is_new(self.environments.insert(*id, Environment::default()))
            }
            Statement::Grant(environment, user) => {
                self.users.get(user)?;
                let readers = &mut self.environments.get_mut(environment)?.readers;
                readers.insert(*user).then_some(())
            }
            Statement::Revoke(environment, user) => {
                let readers = &mut self.environments.get_mut(environment)?.readers;
                readers.remove(user).then_some(())
            }
            Statement::UserRecipient(user, recipient) => {
                self.users.get_mut(user)?.recipient = Some(recipient.clone());
                Some(())
            }
            Statement::EnvironmentRecipient(id, epoch, recipient) => {
                let environment = self.environments.get_mut(id)?;
                (Some(*epoch) == environment.epoch().checked_add(1))
                    .then(|| environment.recipients.push(recipient.clone()))
            }
        }
    }

    fn state_key(&mut self, id: DeviceId, key: &DeviceKey, fresh: &[DeviceId]) -> Option<()> {
        let mut known = self.devices.values().flat_map(|device| &device.keys);
        let is_known = known.any(|other| other.spki == key.spki);
        let signs = key.purpose == Purpose::SignVault;
        let usable = !signs || signing_algorithm(&key.spki) == Some(key.algorithm);
        let device = self.devices.get_mut(&id)?;
        let once = device.key(key.purpose).is_none() && fresh.contains(&id);
        (once && usable && !is_known).then(|| device.keys.push(key.clone()))
    }
}

fn signing_algorithm(spki: &[u8]) -> Option<Algorithm> {
    let key = VerifyKey::from_spki("key", spki).ok()?;
    Some(match key.is_p256() {
        true => Algorithm::P256,
        false => Algorithm::Ed25519,
    })
}

fn is_new<T>(before: Option<T>) -> Option<()> {
    before.is_none().then_some(())
}

fn canonical_note(bytes: &[u8]) -> Result<Note, NoteError> {
    let note = Note::parse(bytes)?;
    (note.to_string().as_bytes() == bytes)
        .then_some(note)
        .ok_or(NoteError::Malformed)
}

#[cfg(test)]
mod tests {
    use touchkeep_core::UnixMillis;

    use super::*;
    use crate::testing;

    #[test]
    fn a_link_signed_by_nobody_known_is_refused() {
        let world = testing::World::new();
        let founded = Membership::found(&world.genesis()).unwrap();
        let stranger = testing::World::new();
        let change = world.first_change(&founded);
        let note = stranger.sign_as_device(change.to_text(), world.device);
        assert_eq!(
            founded.next(note.as_bytes()).unwrap_err(),
            NoteError::Unsigned.into()
        );
        assert!(
            founded
                .next(world.sign(change.to_text()).as_bytes())
                .is_ok()
        );
    }

    #[test]
    fn a_link_of_another_vault_or_place_is_refused() {
        let world = testing::World::new();
        let founded = Membership::found(&world.genesis()).unwrap();
        let change = world.first_change(&founded);
        for wrong in [
            Change {
                vault: VaultId::random(),
                ..change.clone()
            },
            Change {
                previous: Hash([0; 32]),
                ..change.clone()
            },
        ] {
            let note = world.sign(wrong.to_text());
            let refused = founded.next(note.as_bytes()).unwrap_err();
            assert_eq!(refused, MembershipError::Place);
        }
    }

    fn after(
        members: &Membership,
        world: &testing::World,
        statements: Vec<Statement>,
    ) -> Result<Membership, MembershipError> {
        let change = Change {
            vault: world.vault,
            number: members.number + 1,
            previous: members.head,
            joined: vec![],
            time: UnixMillis(0),
            statements,
        };
        let next = members.next(world.sign(change.to_text()).as_bytes());
        next.map(|(next, _)| next)
    }

    #[test]
    fn contradictions_are_refused() {
        let world = testing::World::new();
        let members = world.membership();
        let (user, stranger) = (world.user, UserId::random());
        let key = members.devices[&world.device].keys[0].clone();
        for wrong in [
            Statement::User(user),
            Statement::Role(stranger, Role::Admin),
            Statement::Author(stranger, [0; 32]),
            Statement::UserRecipient(stranger, "age1".into()),
            Statement::Key(world.device, key),
            Statement::Attestation(world.device, Purpose::SignVault, vec![vec![1]]),
            Statement::Retired(DeviceId::random()),
            Statement::EnvironmentRecipient(world.environment, 3, "age1".into()),
            Statement::Environment(world.environment),
            Statement::Grant(world.environment, user),
            Statement::Grant(world.environment, stranger),
            Statement::Revoke(world.environment, stranger),
            Statement::Threshold(0),
        ] {
            let refused = after(&members, &world, vec![wrong.clone()]);
            let expected = MembershipError::Contradiction { statement: 1 };
            assert_eq!(refused, Err(expected), "{wrong}");
        }
    }

    #[test]
    fn nobody_is_locked_out_of_the_chain() {
        let world = testing::World::new();
        let members = world.membership();
        for last in [
            Statement::Retired(world.device),
            Statement::Role(world.user, Role::Reader),
            Statement::Role(world.user, Role::Gone),
            Statement::Threshold(2),
        ] {
            let mut statements = renewed(&world, world.user);
            statements.push(Statement::Revoke(world.environment, world.user));
            statements.push(last);
            let refused = after(&members, &world, statements);
            assert_eq!(refused, Err(MembershipError::Ungoverned));
        }
    }

    // New keys of a user, and for what he can read.
    fn renewed(world: &testing::World, user: UserId) -> Vec<Statement> {
        vec![
            Statement::Author(user, [9; 32]),
            Statement::UserRecipient(user, "age1new".into()),
            Statement::EnvironmentRecipient(world.environment, 2, "age1new".into()),
        ]
    }

    #[test]
    fn old_keys_open_nothing_that_is_written_from_then_on() {
        let [world, other] = [testing::World::new(), testing::World::new()];
        let members = after(&world.membership(), &world, second_admin(&world, &other)).unwrap();
        let next = |statements: Vec<Statement>| {
            let change = Change {
                vault: world.vault,
                number: 3,
                previous: members.head,
                joined: vec![],
                time: UnixMillis(0),
                statements,
            };
            let note = world.sign_with(change.to_text(), &[&other]);
            members.next(note.as_bytes()).map(|(next, _)| next)
        };
        let retired = [
            renewed(&world, other.user),
            vec![Statement::Retired(other.device)],
        ]
        .concat();
        assert!(next(retired.clone()).is_ok());
        for left_out in 0..3 {
            let mut less = retired.clone();
            less.remove(left_out);
            assert_eq!(next(less).unwrap_err(), MembershipError::Exposed);
        }
        let revoke = Statement::Revoke(world.environment, other.user);
        let epoch = retired[2].clone();
        assert_eq!(
            next(vec![revoke.clone()]).unwrap_err(),
            MembershipError::Exposed
        );
        assert!(next(vec![revoke.clone(), epoch.clone()]).is_ok());
        let gone = Statement::Role(other.user, Role::Gone);
        assert_eq!(
            next(vec![gone.clone()]).unwrap_err(),
            MembershipError::Exposed
        );
        assert_eq!(
            next(vec![gone.clone(), epoch.clone()]).unwrap_err(),
            MembershipError::Exposed
        );
        assert!(next(vec![gone, revoke, epoch]).is_ok());
    }

    // Another world's device, as one of this vault.
    fn second_admin(world: &testing::World, other: &testing::World) -> Vec<Statement> {
        let genesis = Membership::found(&other.genesis()).unwrap();
        let key = genesis.devices[&other.device].keys[0].clone();
        vec![
            Statement::User(other.user),
            Statement::Device {
                id: other.device,
                user: other.user,
                kind: DeviceKind::Piv,
                serial: None,
            },
            Statement::Key(other.device, key),
            Statement::Role(other.user, Role::Admin),
            Statement::Grant(world.environment, other.user),
        ]
    }

    #[test]
    fn an_author_key_is_certified_by_a_device_of_the_same_user() {
        let [world, other] = [testing::World::new(), testing::World::new()];
        let members = world.membership();
        let mut statements = second_admin(&world, &other);
        statements.push(Statement::Author(other.user, [7; 32]));
        let alone = after(&members, &world, statements.clone());
        assert_eq!(alone, Err(MembershipError::Contradiction { statement: 6 }));
        let change = Change {
            vault: world.vault,
            number: 2,
            previous: members.head,
            joined: vec![],
            time: UnixMillis(0),
            statements,
        };
        let note = world.sign_with(change.to_text(), &[&other]);
        let (next, _) = members.next(note.as_bytes()).unwrap();
        assert_eq!(next.users[&other.user].author, Some([7; 32]));
    }

    #[test]
    fn two_admins_have_to_sign_where_the_threshold_says_so() {
        let [world, other] = [testing::World::new(), testing::World::new()];
        let members = after(&world.membership(), &world, second_admin(&world, &other)).unwrap();
        let members = after(&members, &world, vec![Statement::Threshold(2)]).unwrap();
        let change = Change {
            vault: world.vault,
            number: 4,
            previous: members.head,
            joined: vec![],
            time: UnixMillis(0),
            statements: vec![Statement::User(UserId::random())],
        };
        let alone = members.next(world.sign(change.to_text()).as_bytes());
        assert_eq!(alone.unwrap_err(), NoteError::Unsigned.into());
        let both = world.sign_with(change.to_text(), &[&other]);
        assert!(members.next(both.as_bytes()).is_ok());
    }

    #[test]
    fn an_admin_states_neither_keys_nor_devices_of_another() {
        let [world, other] = [testing::World::new(), testing::World::new()];
        let members = after(&world.membership(), &world, second_admin(&world, &other)).unwrap();
        let device = Statement::Device {
            id: DeviceId::random(),
            user: other.user,
            kind: DeviceKind::Kit,
            serial: None,
        };
        for statement in [
            Statement::Author(other.user, [7; 32]),
            Statement::UserRecipient(other.user, "age1own".into()),
            device,
        ] {
            let refused = after(&members, &world, vec![statement.clone()]);
            assert_eq!(
                refused,
                Err(MembershipError::Contradiction { statement: 1 })
            );
            let change = Change {
                vault: world.vault,
                number: 3,
                previous: members.head,
                joined: vec![],
                time: UnixMillis(0),
                statements: vec![statement],
            };
            let both = world.sign_with(change.to_text(), &[&other]);
            assert!(members.next(both.as_bytes()).is_ok());
        }
    }

    #[test]
    fn a_retired_device_signs_nothing_any_more() {
        let [world, other] = [testing::World::new(), testing::World::new()];
        let members = after(&world.membership(), &world, second_admin(&world, &other)).unwrap();
        let retired = Change {
            vault: world.vault,
            number: 3,
            previous: members.head,
            joined: vec![],
            time: UnixMillis(0),
            statements: [
                renewed(&world, other.user),
                vec![Statement::Retired(other.device)],
            ]
            .concat(),
        };
        let note = world.sign_with(retired.to_text(), &[&other]);
        let (members, _) = members.next(note.as_bytes()).unwrap();
        assert_eq!(members.devices_of(other.user).count(), 0);
        let change = Change {
            vault: world.vault,
            number: 4,
            previous: members.head,
            joined: vec![],
            time: UnixMillis(0),
            statements: vec![Statement::Role(world.user, Role::Writer)],
        };
        let note = other.sign(change.to_text());
        assert_eq!(
            members.next(note.as_bytes()).unwrap_err(),
            NoteError::Unsigned.into()
        );
    }
}
