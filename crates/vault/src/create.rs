//! Making a vault: one user, one device, one environment.

use std::path::Path;

use touchkeep_container::{
    AuditHead, Change, Container, Edit, Genesis, Hash, MemberName, Membership, NewCommit, Note,
    NoteSignature, Op, Part, Statement, Value, VerifyKey, op,
    words::{Role, VaultKind},
};
use touchkeep_core::{DeviceId, EnvironmentId, Id, Passphrase, UnixMillis, UserId, VaultId};
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceInfo, DeviceKind, KeyInfo, Purpose, SignatureScheme,
    SoftwareDevice, software, stanza,
};
use zeroize::Zeroizing;

use crate::{
    crypt::{self, Bundle},
    enrolled,
    error::VaultError,
    file::Lock,
    item::MAX_FIELD_BYTES,
    locked::Locked,
    pins, readme,
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
    Locked::of(path, None, container, Hash::of(&bytes))?.open_with(founding.user, bundle)
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
        let info = device.info().clone();
        if (info.kind == DeviceKind::Software) != sealed.is_some() {
            return Err(VaultError::Invalid("a software device without its file"));
        }
        let unlock = needed(&info, Purpose::Unlock)?;
        let to_device = stanza::recipient(unlock)?;
        stanza::recipient(needed(&info, Purpose::Seal)?)?;
        let signer = Signer::of(device, auth, &info, self.device)?;
        let genesis = self.genesis(&info).to_text();
        let mut signer = signer;
        let genesis = signer.sign(genesis)?;
        let founded = Membership::found(&genesis)?;

        let (bundle, bundle_text) = Bundle::generate()?;
        let identity = age::x25519::Identity::generate();
        let change = signer.sign(self.change(&founded, &bundle, &identity)?.to_text())?;
        let members = founded.next(&change)?;

        let own = bundle.identity.to_public();
        let own: [&dyn age::Recipient; 1] = [&own];
        let to_device: [&dyn age::Recipient; 1] = [&*to_device];
        let key = crypt::identity_line(&identity);
        let environment = identity.to_public().to_string();
        let mut add = vec![
            (MemberName::Readme, readme::text(&members).into_bytes()),
            (
                MemberName::User(self.user),
                crypt::encrypt(to_device.into_iter(), &bundle_text)?,
            ),
            (
                MemberName::EnvironmentKey {
                    environment: self.environment,
                    epoch: 1,
                },
                crypt::encrypt(own.into_iter(), &key)?,
            ),
            (
                MemberName::Segment(Part {
                    environment: self.environment,
                    number: 1,
                    random: Id::random(),
                }),
                crypt::encrypt_to(&environment, op::write(&self.name_ops()).as_bytes())?,
            ),
        ];
        add.extend(sealed.map(|sealed| (MemberName::Device(self.device), sealed)));
        let first = NewCommit {
            author: self.user,
            audit: AuditHead::empty(),
            time: self.now,
            add,
            drop: vec![],
        };
        let sign = |text: &[u8]| bundle.author.sign(text).as_ref().to_vec();
        let container = Container::found(genesis, vec![change], first, sign)?;
        Ok((container, bundle))
    }

    fn genesis(&self, info: &DeviceInfo) -> Genesis {
        let mut statements = vec![
            Statement::User(self.user),
            Statement::Device {
                id: self.device,
                user: self.user,
                kind: enrolled::stated_kind(info.kind),
                serial: info.serial.clone(),
            },
        ];
        // One key for each purpose, as `DeviceInfo::key` finds it.
        for purpose in [Purpose::Unlock, Purpose::Seal, Purpose::SignVault] {
            let key = info.key(purpose).and_then(enrolled::stated_key);
            statements.extend(key.map(|key| Statement::Key(self.device, key)));
        }
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

    fn change(
        &self,
        founded: &Membership,
        bundle: &Bundle,
        identity: &age::x25519::Identity,
    ) -> Result<Change, VaultError> {
        let author = bundle
            .author_public_key()
            .ok_or(VaultError::Invalid("an author key"))?;
        let own = bundle.identity.to_public().to_string();
        let environment = identity.to_public().to_string();
        Ok(Change {
            vault: self.vault,
            number: founded.number + 1,
            previous: founded.head,
            time: self.now,
            statements: vec![
                Statement::Author(self.user, author),
                Statement::Role(self.user, Role::Admin),
                Statement::UserRecipient(self.user, own),
                Statement::Environment(self.environment),
                Statement::EnvironmentRecipient(self.environment, 1, environment),
            ],
        })
    }

    fn name_ops(&self) -> Vec<Op> {
        let [user, environment] = &self.names;
        let named = [
            (user_name(self.user), user),
            (environment_name(self.environment), environment),
        ];
        (0..)
            .zip(named)
            .map(|(count, (name, text))| Op {
                at: touchkeep_container::HybridClock {
                    ms: self.now.0.min(op::MAX_CLOCK_MS),
                    count,
                },
                edit: Edit::Set {
                    name,
                    value: Some(Value::new(Zeroizing::new(text.clone()))),
                },
                from: None,
            })
            .collect()
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

fn needed(info: &DeviceInfo, purpose: Purpose) -> Result<&KeyInfo, VaultError> {
    info.key(purpose).ok_or(VaultError::NoKey(purpose))
}

struct Signer<'a, 'b> {
    device: &'a mut dyn Device,
    auth: Auth<'b>,
    key: KeyInfo,
    scheme: SignatureScheme,
    verify: VerifyKey,
}

impl<'a, 'b> Signer<'a, 'b> {
    fn of(
        device: &'a mut dyn Device,
        auth: Auth<'b>,
        info: &DeviceInfo,
        id: DeviceId,
    ) -> Result<Self, VaultError> {
        let key = needed(info, Purpose::SignVault)?.clone();
        let unusable = VaultError::NoKey(Purpose::SignVault);
        let scheme = match key.algorithm {
            Algorithm::P256 => SignatureScheme::EcdsaP256Sha256,
            Algorithm::Ed25519 => SignatureScheme::Ed25519,
            Algorithm::Rsa2048
            | Algorithm::Rsa3072
            | Algorithm::Rsa4096
            | Algorithm::X25519 => return Err(unusable),
        };
        let verify = VerifyKey::from_spki(id.to_string(), &key.spki).map_err(|_| unusable)?;
        Ok(Self {
            device,
            auth,
            key,
            scheme,
            verify,
        })
    }

    fn sign(&mut self, text: String) -> Result<Vec<u8>, VaultError> {
        let signature = self
            .device
            .sign(&self.key.key, self.scheme, text.as_bytes(), self.auth)?;
        let signatures = vec![NoteSignature::new(&self.verify, signature)];
        Ok(Note { text, signatures }.to_string().into_bytes())
    }
}
