//! The membership chain: who belongs to a vault, with which devices, keys, roles and environments. Genesis is its first
//! link and says who founded the vault; every further link names the hash of the one before it and is signed by a device
//! of an admin. Recipients are read from here and from nowhere else.

use std::{collections::BTreeMap, fmt::Write as _, str::FromStr};

use touchkeep_core::{DeviceId, EnvironmentId, UnixMillis, UserId, VaultId};

use crate::{
    hash::Hash,
    note::{Note, NoteError, VerifyKey},
    statement::{DeviceKey, Statement},
    words::{DeviceKind, Purpose, Role, VaultKind},
};

/// First word of genesis' text. What is signed says what it is, so that no signature fits two purposes.
pub const GENESIS_HEADER: &str = "touchkeep/vault/v1";
/// First word of a membership change's text.
pub const CHANGE_HEADER: &str = "touchkeep/members/v1";
/// Statements that one link may make.
pub const MAX_STATEMENTS: usize = 4096;

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
}

/// Genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// The vault's id.
    pub vault: VaultId,
    /// What it is for.
    pub kind: VaultKind,
    /// When it was made.
    pub time: UnixMillis,
    /// The founder, his device and its keys.
    pub statements: Vec<Statement>,
}

/// A further link of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The vault's id.
    pub vault: VaultId,
    /// From 1.
    pub number: u32,
    /// The hash of the link before it.
    pub previous: Hash,
    /// When it was made.
    pub time: UnixMillis,
    /// What it changes.
    pub statements: Vec<Statement>,
}

impl Genesis {
    /// The text to be signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let head = format!(
            "{GENESIS_HEADER} {}\nkind {}\ntime {}\n",
            self.vault, self.kind, self.time.0
        );
        with_statements(head, &self.statements)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Anything that [`Genesis::to_text`] would not have written.
    pub fn parse(text: &str) -> Result<Self, MembershipError> {
        let mut lines = Lines::of(text, GENESIS_HEADER)?;
        Ok(Self {
            vault: lines.value(GENESIS_HEADER)?,
            kind: lines.value("kind")?,
            time: lines.time()?,
            statements: lines.statements()?,
        })
    }
}

impl Change {
    /// The text to be signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let head = format!(
            "{CHANGE_HEADER} {}\nnumber {}\nprev {}\ntime {}\n",
            self.vault, self.number, self.previous, self.time.0
        );
        with_statements(head, &self.statements)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Anything that [`Change::to_text`] would not have written.
    pub fn parse(text: &str) -> Result<Self, MembershipError> {
        let mut lines = Lines::of(text, CHANGE_HEADER)?;
        let change = Self {
            vault: lines.value(CHANGE_HEADER)?,
            number: lines.value("number")?,
            previous: lines.value("prev")?,
            time: lines.time()?,
            statements: lines.statements()?,
        };
        // One text for each link: `+1` and `01` are not canonical.
        (change.to_text() == text)
            .then_some(change)
            .ok_or(MembershipError::Line { line: 2 })
    }
}

fn with_statements(mut text: String, statements: &[Statement]) -> String {
    for statement in statements {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{statement}");
    }
    text
}

struct Lines<'a> {
    lines: std::str::Split<'a, char>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str, header: &str) -> Result<Self, MembershipError> {
        let (name, _) = header.rsplit_once('/').unwrap_or((header, ""));
        let is_newer = text
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with("/v") && !rest.starts_with("/v1 "));
        if is_newer {
            return Err(MembershipError::TooNew);
        }
        let text = text
            .strip_suffix('\n')
            .ok_or(MembershipError::Line { line: 1 })?;
        Ok(Self {
            lines: text.split('\n'),
            at: 0,
        })
    }

    fn value<T: FromStr>(&mut self, word: &str) -> Result<T, MembershipError> {
        self.at += 1;
        self.lines
            .next()
            .and_then(|line| line.strip_prefix(word)?.strip_prefix(' ')?.parse().ok())
            .ok_or(MembershipError::Line { line: self.at })
    }

    fn time(&mut self) -> Result<UnixMillis, MembershipError> {
        self.value("time").map(UnixMillis)
    }

    fn statements(&mut self) -> Result<Vec<Statement>, MembershipError> {
        let mut statements = Vec::new();
        for line in self.lines.by_ref() {
            self.at += 1;
            let bad = MembershipError::Line { line: self.at };
            if statements.len() == MAX_STATEMENTS {
                return Err(bad);
            }
            statements.push(line.parse().map_err(|_| bad)?);
        }
        Ok(statements)
    }
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
    /// 0 until it has a recipient.
    pub epoch: u32,
    /// What its segments are encrypted to.
    pub recipient: Option<String>,
}

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
    /// Members.
    pub users: BTreeMap<UserId, User>,
    /// Devices.
    pub devices: BTreeMap<DeviceId, EnrolledDevice>,
    /// Environments.
    pub environments: BTreeMap<EnvironmentId, Environment>,
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
            users: BTreeMap::new(),
            devices: BTreeMap::new(),
            environments: BTreeMap::new(),
        };
        let mut fresh = Vec::new();
        for (at, statement) in genesis.statements.iter().enumerate() {
            let allowed = matches!(
                statement,
                Statement::User(_) | Statement::Device { .. } | Statement::Key(..)
            );
            (allowed && founded.users.len() <= 1 && founded.devices.len() <= 1)
                .then_some(())
                .and_then(|()| founded.state(statement, &[], &mut fresh))
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
    /// Not the next link of this chain, not signed by an admin's device, or in contradiction to what was said.
    pub fn next(&self, bytes: &[u8]) -> Result<Self, MembershipError> {
        let note = canonical_note(bytes)?;
        let change = Change::parse(&note.text)?;
        let follows = change.vault == self.vault
            && Some(change.number) == self.number.checked_add(1)
            && change.previous == self.head;
        if !follows {
            return Err(MembershipError::Place);
        }
        let signers = self.signers(&note)?;
        if signers.is_empty() {
            return Err(NoteError::Unsigned.into());
        }
        let mut next = Self {
            number: change.number,
            head: Hash::of(bytes),
            ..self.clone()
        };
        let mut fresh = Vec::new();
        for (at, statement) in change.statements.iter().enumerate() {
            next.state(statement, &signers, &mut fresh)
                .ok_or(MembershipError::Contradiction { statement: at + 1 })?;
        }
        Ok(next)
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

    // The users whose devices signed, each an admin. A wrong signature in the name of a known key spoils the note.
    fn signers(&self, note: &Note) -> Result<Vec<UserId>, NoteError> {
        let mut signers = Vec::new();
        for (id, device) in &self.devices {
            let Some(key) = self.device_verify_key(*id) else {
                continue;
            };
            match note.verify(&key) {
                Ok(()) if self.role(device.user) == Some(Role::Admin) => signers.push(device.user),
                Ok(()) | Err(NoteError::Unsigned) => {}
                Err(forged) => return Err(forged),
            }
        }
        Ok(signers)
    }

    fn role(&self, user: UserId) -> Option<Role> {
        self.users.get(&user)?.role
    }

    // Takes a statement in. `None`: it contradicts what is known. Keys are stated in the note that states their device.
    fn state(
        &mut self,
        statement: &Statement,
        signers: &[UserId],
        fresh: &mut Vec<DeviceId>,
    ) -> Option<()> {
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
                };
                is_new(self.devices.insert(*id, device))
            }
            Statement::Key(id, key) => {
                let known = self.devices.values().flat_map(|device| &device.keys);
                let is_known = known.clone().any(|other| other.spki == key.spki);
                let signs = key.purpose == Purpose::SignVault;
                let usable = !signs || VerifyKey::from_spki(id.to_string(), &key.spki).is_ok();
                let device = self.devices.get_mut(id)?;
                let once = device.key(key.purpose).is_none() && fresh.contains(id);
                (once && usable && !is_known).then(|| device.keys.push(key.clone()))
            }
            Statement::Author(user, key) => {
                let certified = signers.contains(user);
                let user = self.users.get_mut(user)?;
                certified.then(|| user.author = Some(*key))
            }
            Statement::Role(user, role) => {
                self.users.get_mut(user)?.role = Some(*role);
                Some(())
            }
            Statement::Environment(id) => {
                is_new(self.environments.insert(*id, Environment::default()))
            }
            Statement::UserRecipient(user, recipient) => {
                self.users.get_mut(user)?.recipient = Some(recipient.clone());
                Some(())
            }
            Statement::EnvironmentRecipient(id, epoch, recipient) => {
                let environment = self.environments.get_mut(id)?;
                (Some(*epoch) == environment.epoch.checked_add(1)).then(|| {
                    environment.epoch = *epoch;
                    environment.recipient = Some(recipient.clone());
                })
            }
        }
    }
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
    use proptest::prelude::*;
    use touchkeep_core::Id;

    use super::*;
    use crate::{statement::tests::any_statement, testing};

    proptest! {
        #[test]
        fn parse_of_print_is_the_same(
            id in any::<[u8; 16]>(), number in any::<u32>(), hash in any::<[u8; 32]>(), time in any::<u64>(),
            statements in proptest::collection::vec(any_statement(), 0..5),
        ) {
            let vault = VaultId(Id::from_bytes(id));
            let change = Change { vault, number, previous: Hash(hash), time: UnixMillis(time), statements: statements.clone() };
            prop_assert_eq!(Change::parse(&change.to_text()), Ok(change));
            let genesis = Genesis { vault, kind: VaultKind::Real, time: UnixMillis(time), statements };
            prop_assert_eq!(Genesis::parse(&genesis.to_text()), Ok(genesis));
        }

        #[test]
        fn arbitrary_texts_never_panic(text in ".{0,80}\n") {
            let _ = Genesis::parse(&text);
            let _ = Change::parse(&text);
        }
    }

    #[test]
    fn a_link_signed_by_nobody_known_is_refused() {
        let world = testing::World::new();
        let founded = Membership::found(&world.genesis()).unwrap();
        let stranger = testing::World::new();
        let change = world.first_change(&founded);
        let note = stranger.sign_as_device(change.to_text(), world.device);
        assert_eq!(
            founded.next(note.as_bytes()),
            Err(NoteError::Unsigned.into())
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
                number: 2,
                ..change.clone()
            },
            Change {
                previous: Hash([0; 32]),
                ..change.clone()
            },
        ] {
            let note = world.sign(wrong.to_text());
            assert_eq!(founded.next(note.as_bytes()), Err(MembershipError::Place));
        }
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
            Statement::EnvironmentRecipient(world.environment, 3, "age1".into()),
            Statement::Environment(world.environment),
        ] {
            let change = Change {
                vault: world.vault,
                number: members.number + 1,
                previous: members.head,
                time: UnixMillis(0),
                statements: vec![wrong.clone()],
            };
            let refused = members.next(world.sign(change.to_text()).as_bytes());
            let expected = MembershipError::Contradiction { statement: 1 };
            assert_eq!(refused, Err(expected), "{wrong}");
        }
    }

    #[test]
    fn a_newer_format_is_said_to_be_newer() {
        let text = "touchkeep/vault/v2 x\n";
        assert_eq!(Genesis::parse(text), Err(MembershipError::TooNew));
    }
}
