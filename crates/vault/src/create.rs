//! Making a vault: one user, one device, one environment.

use std::{collections::BTreeMap, path::Path};

use touchkeep_container::{
    AuditHead, Change, Container, Genesis, HybridClock, MemberName, Membership, NewCommit, Part,
    Statement, Value,
    words::{Role, VaultKind},
};
use touchkeep_core::{DeviceId, EnvironmentId, Id, Passphrase, UnixMillis, UserId, VaultId};
use touchkeep_device::{Auth, Device, DeviceKind, Purpose, SoftwareDevice, software, stanza};
use zeroize::Zeroizing;

use crate::{
    crypt::{self, Bundle, LockedIdentity},
    error::VaultError,
    file::Lock,
    hand::{Hand, Stated, needed},
    item::MAX_FIELD_BYTES,
    locked::Locked,
    opened::Pending,
    pins, readme,
    save::PART_BYTES,
    unlocked::Unlocked,
};

/// What a new vault is to be.
pub struct NewVault<'a> {
    /// What to call its first member; kept inside the ciphertext.
    pub user_name: String,
    /// What to call its first environment; kept inside the ciphertext.
    pub environment_name: String,
    /// Whether it is for trying out. Said in genesis, and never changed.
    pub practice: bool,
    /// What opens it.
    pub device: NewDevice<'a>,
    /// The time.
    pub now: UnixMillis,
}

/// What opens a new vault.
pub enum NewDevice<'a> {
    /// A passphrase. The keys under it are in the vault file.
    Software {
        /// The passphrase.
        passphrase: &'a Passphrase,
        /// The work factor of scrypt, as a power of two: [`software::WORK_FACTOR`], less only in tests.
        work_factor: u8,
    },
    /// A device that holds an unlock key, a seal key and a key to sign the vault with. It signs twice.
    Hardware(&'a mut dyn Device, Auth<'a>),
}

/// Makes a vault at a path where nothing is yet.
///
/// # Errors
/// Something is there; the device lacks a key or did not sign; the file cannot be written.
pub fn create(path: impl AsRef<Path>, new: NewVault<'_>) -> Result<Unlocked, VaultError> {
    let path = path.as_ref();
    let names = [&new.user_name, &new.environment_name];
    if names.iter().any(|name| name.len() > MAX_FIELD_BYTES) {
        return Err(VaultError::Invalid("a name that long"));
    }
    let lock = Lock::take(path)?;
    if path.symlink_metadata().is_ok() {
        return Err(VaultError::Exists(path.into()));
    }
    let NewVault { device, now, .. } = new;
    let founding = Founding {
        vault: VaultId::random(),
        user: UserId::random(),
        device: DeviceId::random(),
        environment: EnvironmentId::random(),
        practice: new.practice,
        names: [new.user_name, new.environment_name],
        now,
    };
    let (container, bundle) = match device {
        NewDevice::Software {
            passphrase,
            work_factor,
        } => {
            let (sealed, info) = software::generate(passphrase, work_factor)?;
            let mut device = SoftwareDevice::new(info, sealed.clone());
            founding.found(&mut device, Auth::Passphrase(passphrase), Some(sealed))?
        }
        NewDevice::Hardware(device, auth) => founding.found(device, auth, None)?,
    };
    let bytes = container
        .to_bytes()
        .map_err(|e| VaultError::Damaged(e.into()))?;
    // What is written is what can be read: nothing less strict than the parser decides.
    let container = Container::parse(&bytes)?;
    lock.create(&bytes)?;
    drop(lock);
    Locked::of(path, None, container).open_with(founding.user, bundle)
}

/// Like [`create`], and remembers in `pins` that this vault is here now, whatever was before, and what is saved into it: see
/// [`Locked::open_pinned`].
///
/// # Errors
/// As [`create`]; or the list cannot be read or written.
pub fn create_pinned(
    path: impl AsRef<Path>,
    pins: impl AsRef<Path>,
    new: NewVault<'_>,
) -> Result<Unlocked, VaultError> {
    let (path, pins) = (path.as_ref(), pins.as_ref());
    let mut vault = create(path, new)?;
    pins::remember(pins, path, &vault.locked.container)?;
    vault.locked.pins = Some(pins.into());
    Ok(vault)
}

struct Founding {
    vault: VaultId,
    user: UserId,
    device: DeviceId,
    environment: EnvironmentId,
    practice: bool,
    names: [String; 2],
    now: UnixMillis,
}

impl Founding {
    fn found(
        &self,
        device: &mut dyn Device,
        auth: Auth<'_>,
        sealed: Option<Vec<u8>>,
    ) -> Result<(Container, Bundle), VaultError> {
        let mut hand = Hand { device, auth };
        let stated = Stated::of(&mut hand, self.device, self.practice)?;
        if (stated.info.kind == DeviceKind::Software) != sealed.is_some() {
            return Err(VaultError::Invalid("a software device without its file"));
        }
        let to_device = stanza::recipient(needed(&stated.info, Purpose::Unlock)?)?;
        let genesis = hand.sign_as(self.device, self.genesis(&stated).to_text())?;
        let founded = Membership::found(&genesis)?;

        let bundle = Bundle::generate()?;
        let identity = LockedIdentity::generate()?;
        let change = self.change(&founded, &bundle, &identity);
        let change = hand.sign_as(self.device, change.to_text())?;
        let (members, _) = founded.next(&change)?;

        let own = bundle.identity.recipient();
        let to_device: [&dyn age::Recipient; 1] = [&*to_device];
        let mut first = NewCommit::new(self.user, AuditHead::empty(), self.now);
        first.links = vec![change];
        first.add = vec![
            (MemberName::Readme, readme::text(&members).into_bytes()),
            (
                MemberName::User {
                    user: self.user,
                    revision: Id::random(),
                },
                crypt::encrypt(to_device.into_iter(), &bundle.to_plaintext())?,
            ),
            (
                MemberName::EnvironmentKey {
                    environment: self.environment,
                    epoch: 1,
                    revision: Id::random(),
                },
                crypt::encrypt_to(own, &identity.to_plaintext())?,
            ),
        ];
        for (number, ops) in (1..).zip(self.name_ops()) {
            let segment = MemberName::Segment(Part {
                environment: self.environment,
                number,
                random: Id::random(),
            });
            let ops = crypt::encrypt_to(identity.recipient(), ops.as_bytes())?;
            first.add.push((segment, ops));
        }
        let device_file = MemberName::Device {
            device: self.device,
            revision: Id::random(),
        };
        first.add.extend(sealed.map(|sealed| (device_file, sealed)));
        let container = Container::found(genesis, first, |text| bundle.sign(text))?;
        Ok((container, bundle))
    }

    fn genesis(&self, stated: &Stated) -> Genesis {
        let mut statements = vec![Statement::User(self.user)];
        statements.extend(stated.statements(self.device, self.user));
        Genesis {
            vault: self.vault,
            kind: if self.practice {
                VaultKind::Practice
            } else {
                VaultKind::Real
            },
            time: self.now,
            statements,
        }
    }

    fn change(&self, founded: &Membership, bundle: &Bundle, identity: &LockedIdentity) -> Change {
        let (user, environment) = (self.user, self.environment);
        Change {
            vault: self.vault,
            number: founded.number + 1,
            previous: founded.head,
            joined: vec![],
            time: self.now,
            statements: vec![
                Statement::Author(user, bundle.author_public_key()),
                Statement::Role(user, Role::Admin),
                Statement::UserRecipient(user, bundle.identity.recipient().to_owned()),
                Statement::Environment(environment),
                Statement::Grant(environment, user),
                Statement::EnvironmentRecipient(environment, 1, identity.recipient().to_owned()),
            ],
        }
    }

    fn name_ops(&self) -> Vec<Zeroizing<String>> {
        let [user, environment] = &self.names;
        let mut pending = Pending::default();
        for (name, text) in [
            (user_name(self.user), user),
            (environment_name(self.environment), environment),
        ] {
            let value = Value::new(Zeroizing::new(text.clone()));
            pending.settings.insert(name, Some(value));
        }
        pending.write(
            &BTreeMap::new(),
            HybridClock::default(),
            self.now.0,
            PART_BYTES,
        )
    }
}

/// The setting that holds a member's display name.
#[must_use]
pub fn user_name(user: UserId) -> String {
    format!("user.{user}.name")
}

/// The setting that holds an environment's display name.
#[must_use]
pub fn environment_name(environment: EnvironmentId) -> String {
    format!("environment.{environment}.name")
}
