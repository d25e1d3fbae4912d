//! A vault that was read and checked, as far as that needs no key.

use std::path::{Path, PathBuf};

use touchkeep_container::{Container, Hash, MemberName, Membership, State, op};
use touchkeep_core::{DeviceId, EnvironmentId, UserId, VaultId};
use touchkeep_device::{Auth, Device, DeviceKind, Purpose, SoftwareDevice};

use crate::{
    crypt::{self, Bundle},
    enrolled::EnrolledDevice,
    error::VaultError,
    file, pins,
    unlocked::{Opened, Unlocked},
};

/// A vault file whose signatures, hashes and lists were all found right. What is inside its ciphertext is still closed.
#[derive(Debug)]
pub struct Locked {
    pub(crate) path: PathBuf,
    pub(crate) pins: Option<PathBuf>,
    pub(crate) id: VaultId,
    pub(crate) container: Container,
    /// The hash of the file as it was read.
    pub(crate) read: Hash,
    pub(crate) devices: Vec<EnrolledDevice>,
    pub(crate) is_read_only: bool,
}

impl Locked {
    /// Reads a vault and verifies everything that needs no key.
    ///
    /// # Errors
    /// No plain file there, or not a vault.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, VaultError> {
        let path = path.as_ref();
        let bytes = file::read(path)?;
        Self::of(path, None, Container::parse(&bytes)?, Hash::of(&bytes))
    }

    /// Like [`Locked::open`], and compares with what was seen here before: a copy that does not come after the heads that
    /// were seen, or another vault than the one that was seen at this path, can be read but not changed. `pins` is a small
    /// file of the caller's, for all his vaults.
    ///
    /// # Errors
    /// As [`Locked::open`]; or the list of seen heads cannot be read or written.
    pub fn open_pinned(path: impl AsRef<Path>, pins: impl AsRef<Path>) -> Result<Self, VaultError> {
        let pins = pins.as_ref();
        let mut locked = Self::open(path)?;
        if pins::is_current(pins, &locked.path, &locked.container)? {
            pins::remember(pins, &locked.path, &locked.container)?;
        } else {
            locked.is_read_only = true;
        }
        locked.pins = Some(pins.into());
        Ok(locked)
    }

    pub(crate) fn of(
        path: &Path,
        pins: Option<PathBuf>,
        container: Container,
        read: Hash,
    ) -> Result<Self, VaultError> {
        let membership = container.membership()?;
        let devices = membership.devices.iter();
        let devices = devices.map(|(id, stated)| EnrolledDevice::of(*id, stated));
        Ok(Self {
            path: path.into(),
            pins,
            id: membership.vault,
            devices: devices.collect(),
            container,
            read,
            is_read_only: false,
        })
    }

    /// The vault's id, the same in every copy.
    #[must_use]
    pub const fn id(&self) -> VaultId {
        self.id
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its genesis says that it is for trying out.
    #[must_use]
    pub fn is_practice(&self) -> bool {
        self.container.is_practice()
    }

    /// Whether it can be read but not changed, because this machine has seen a later one, or another vault here.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// The devices that the membership chain names.
    #[must_use]
    pub fn devices(&self) -> &[EnrolledDevice] {
        &self.devices
    }

    /// The members, by their ids: names are inside the ciphertext.
    #[must_use]
    pub fn members(&self) -> Vec<UserId> {
        let membership = self.container.membership();
        membership.map_or_else(|_| Vec::new(), |m| m.users.keys().copied().collect())
    }

    /// What was signed, for who wants to look closer.
    #[must_use]
    pub const fn container(&self) -> &Container {
        &self.container
    }

    /// The software device whose keys are in this file.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn software_device(&self, id: DeviceId) -> Result<SoftwareDevice, VaultError> {
        let enrolled = self
            .devices
            .iter()
            .find(|device| device.id == id && device.kind == DeviceKind::Software)
            .ok_or(VaultError::NotEnrolled)?;
        let sealed = self
            .container
            .member(&MemberName::Device(id))
            .ok_or(VaultError::NotEnrolled)?;
        Ok(SoftwareDevice::new(
            enrolled.info("Passphrase"),
            sealed.to_vec(),
        ))
    }

    /// Opens the vault with one operation of an enrolled device, which is known by its public keys.
    ///
    /// # Errors
    /// A device of somebody else's, or one that did not; or what was inside is not what it must be.
    pub fn unlock(self, device: &mut dyn Device, auth: Auth<'_>) -> Result<Unlocked, VaultError> {
        let info = device.info();
        let mut found = self.devices.iter().filter_map(|enrolled| {
            let key = enrolled.key_on(info, Purpose::Unlock)?;
            Some((enrolled.user, key))
        });
        let (user, key) = found.next().ok_or(VaultError::NotEnrolled)?;
        let name = MemberName::User(user);
        let damaged = || crypt::content(&name.to_string());
        let bytes = self.container.member(&name).ok_or_else(damaged)?;
        let plaintext = crypt::open_with_device(device, &key, auth, &name.to_string(), bytes)?;
        let bundle = Bundle::parse(&plaintext).ok_or_else(damaged)?;
        self.open_with(user, bundle)
    }

    /// Opens the rest with a user's identity.
    pub(crate) fn open_with(self, user: UserId, bundle: Bundle) -> Result<Unlocked, VaultError> {
        let membership = self.container.membership()?;
        if !is_of(user, &bundle, membership) {
            return Err(crypt::content(&MemberName::User(user).to_string()));
        }
        let (environment, identity) = self.open_environment(&bundle)?;
        let opened = Opened {
            user,
            bundle,
            environment,
            identity,
        };
        let state = read_state(&self.container, &opened)?;
        Unlocked::of(self, opened, state)
    }

    // The first environment whose key this user can open.
    fn open_environment(
        &self,
        bundle: &Bundle,
    ) -> Result<(EnvironmentId, age::x25519::Identity), VaultError> {
        for (id, environment) in &self.container.membership()?.environments {
            let name = MemberName::EnvironmentKey {
                environment: *id,
                epoch: environment.epoch,
            };
            let Some(bytes) = self.container.member(&name) else {
                continue;
            };
            let Ok(plaintext) = crypt::decrypt(&bundle.identity, bytes) else {
                continue;
            };
            let identity = crypt::parse_identity_line(&plaintext)
                .filter(|identity| Some(identity.to_public().to_string()) == environment.recipient)
                .ok_or_else(|| crypt::content(&name.to_string()))?;
            return Ok((*id, identity));
        }
        Err(crypt::content("k/"))
    }
}

// The bundle is the one whose public halves the chain states: nobody can put another in its place.
fn is_of(user: UserId, bundle: &Bundle, membership: &Membership) -> bool {
    membership.users.get(&user).is_some_and(|stated| {
        stated.author.is_some()
            && stated.author == bundle.author_public_key()
            && stated.recipient == Some(bundle.identity.to_public().to_string())
    })
}

/// Replays all segments and snapshots of the environment.
pub(crate) fn read_state(container: &Container, opened: &Opened) -> Result<State, VaultError> {
    let mut state = State::default();
    for part in container.parts() {
        if part.part.environment != opened.environment {
            continue;
        }
        let name = part.name.to_string();
        let plaintext = crypt::open(&opened.identity, &name, part.bytes)?;
        let ops = std::str::from_utf8(&plaintext)
            .ok()
            .and_then(|text| op::read(text).ok())
            .ok_or_else(|| crypt::content(&name))?;
        for op in &ops {
            // Only a snapshot speaks for other commits, and only for ones that came before it.
            let is_own = op.from.is_none_or(|from| {
                part.is_snapshot && container.history().is_before(from, part.commit)
            });
            if !is_own {
                return Err(crypt::content(&name));
            }
            state.apply(op, part.commit, container.history());
        }
    }
    Ok(state)
}
