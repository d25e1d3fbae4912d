//! A vault that was read and checked, as far as that needs no key.

use std::path::{Path, PathBuf};

use touchkeep_container::{Container, MemberName, Membership};
use touchkeep_core::{DeviceId, UserId, VaultId};
use touchkeep_device::{Auth, Device, DeviceError, DeviceKind, PaperKit, Purpose, SoftwareDevice};

use crate::{
    crypt::{self, Bundle},
    enrolled::{self, EnrolledDevice},
    error::VaultError,
    file,
    foreign::container_of,
    opened::Opened,
    pins::{self, ReadOnly},
    stamp::Stamp,
    unlocked::Unlocked,
};

/// A vault file whose signatures, hashes and lists were all found right. What is inside its ciphertext is still closed.
#[derive(Debug)]
pub struct Locked {
    pub(crate) path: PathBuf,
    pub(crate) pins: Option<PathBuf>,
    pub(crate) id: VaultId,
    pub(crate) container: Container,
    pub(crate) devices: Vec<EnrolledDevice>,
    pub(crate) read_only: Option<ReadOnly>,
    /// The file that `container` was read from or written to, where it can be known again without reading it.
    pub(crate) stamp: Option<Stamp>,
}

impl Locked {
    /// Reads a vault and verifies everything that needs no key.
    ///
    /// # Errors
    /// No plain file there, or not a vault.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, VaultError> {
        let path = path.as_ref();
        let (bytes, stamp) = file::read_stamped(path)?;
        let mut locked = Self::of(path, None, container_of(path, bytes)?);
        locked.stamp = stamp;
        Ok(locked)
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
        match pins::against(pins, &locked.path, &locked.container)? {
            Some(why) => locked.read_only = Some(why),
            None => pins::remember(pins, &locked.path, &locked.container)?,
        }
        locked.pins = Some(pins.into());
        Ok(locked)
    }

    pub(crate) fn of(path: &Path, pins: Option<PathBuf>, container: Container) -> Self {
        Self {
            path: path.into(),
            pins,
            id: container.id(),
            devices: enrolled::all(&container),
            read_only: forked(&container),
            container,
            stamp: None,
        }
    }

    /// What is in the file by now. Another copy that was taken in may tell another story of the members.
    pub(crate) fn follow(&mut self, container: Container) {
        self.read_only = forked(&container);
        self.container = container;
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

    /// Why it can be read but not changed, where that is so.
    #[must_use]
    pub const fn read_only(&self) -> Option<ReadOnly> {
        self.read_only
    }

    /// The devices that the membership chain names.
    #[must_use]
    pub fn devices(&self) -> &[EnrolledDevice] {
        &self.devices
    }

    /// The members, by their ids: names are inside the ciphertext.
    #[must_use]
    pub fn members(&self) -> Vec<UserId> {
        self.container.membership().users.keys().copied().collect()
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
            .names()
            .find(|name| matches!(name, MemberName::Device { device, .. } if *device == id))
            .and_then(|name| self.container.member(&name))
            .ok_or(VaultError::NotEnrolled)?;
        crypt::header::check(sealed).map_err(|_| crypt::content(&format!("d/{id}")))?;
        Ok(SoftwareDevice::new(
            enrolled.info("Passphrase"),
            sealed.to_vec(),
        ))
    }

    /// The recovery kit of this id, which asks for its words at each use.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn paper_kit(&self, id: DeviceId) -> Result<PaperKit, VaultError> {
        let enrolled = self
            .devices
            .iter()
            .find(|device| device.id == id && device.kind == DeviceKind::Kit)
            .ok_or(VaultError::NotEnrolled)?;
        Ok(PaperKit::new(enrolled.info("Recovery kit")))
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
        let damaged = || crypt::content(&format!("u/{user}"));
        let mut last = damaged();
        // Several only of a merge of two copies; the chain says which of them is in force.
        for name in self.bundles_of(user) {
            let bytes = self.container.member(&name).ok_or_else(damaged)?;
            match crypt::open_with_device(device, &key, auth, &name.to_string(), bytes) {
                Ok(plaintext) => {
                    let bundle = Bundle::parse(&plaintext)?;
                    let members = self.container.membership();
                    if let Some(bundle) = bundle.filter(|bundle| is_of(user, bundle, members)) {
                        return self.open_with(user, bundle);
                    }
                }
                // It was written before this device was enrolled, or after it was retired.
                Err(
                    VaultError::Device(DeviceError::NotForThisKey) | VaultError::Content { .. },
                ) => {}
                Err(error) => last = error,
            }
            if matches!(last, VaultError::Device(_)) {
                break;
            }
        }
        Err(last)
    }

    /// Opens another copy of a vault that is open, with the same keys: to see what is in it.
    ///
    /// # Errors
    /// It is of another vault, or these keys do not open it.
    pub fn unlock_as(self, open: &Unlocked) -> Result<Unlocked, VaultError> {
        if self.id != open.id() {
            return Err(VaultError::Damaged(
                touchkeep_container::ContainerError::Strangers,
            ));
        }
        self.open_with(open.opened.user, open.opened.bundle.again()?)
    }

    fn bundles_of(&self, of: UserId) -> Vec<MemberName> {
        let names = self.container.names();
        names
            .filter(|name| matches!(name, MemberName::User { user, .. } if *user == of))
            .collect()
    }

    /// Opens the rest with a user's identity.
    pub(crate) fn open_with(self, user: UserId, bundle: Bundle) -> Result<Unlocked, VaultError> {
        if !is_of(user, &bundle, self.container.membership()) {
            return Err(crypt::content("u/"));
        }
        let opened = Opened::of(user, bundle, &self.container)?;
        Ok(Unlocked::of(self, opened))
    }
}

fn forked(container: &Container) -> Option<ReadOnly> {
    container.is_forked().then_some(ReadOnly::Forked)
}

// The bundle is the one whose public halves the chain states: nobody can put another in its place.
pub(crate) fn is_of(user: UserId, bundle: &Bundle, membership: &Membership) -> bool {
    membership.users.get(&user).is_some_and(|stated| {
        stated.author == Some(bundle.author_public_key())
            && stated.recipient.as_deref() == Some(bundle.identity.recipient())
    })
}
