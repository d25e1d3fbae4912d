//! The vault that this agent looks after: its file, its audit log, and what is open of it.
//!
//! Read in this order: [`Current`], [`Open`], [`lifecycle`] (made, opened, locked), [`acts`] (what is done, and its rows),
//! [`in_force`] (what follows the vault), [`choose`], [`client`], [`checkpoint`], [`rescue`].

mod acts;
mod armed;
mod checkpoint;
mod choose;
pub(crate) mod client;
mod in_force;
mod lifecycle;
mod modules;
pub(crate) mod recovery;
mod rescue;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use touchkeep_audit::{Event, Kind, Log, OpenError, Seq};
use touchkeep_client::Paths;
use touchkeep_container::Hash;
use touchkeep_core::{Clock, DeviceId, Id, SystemClock, VaultId};
use touchkeep_device::DeviceKind;
use touchkeep_policy::Policy;
use touchkeep_vault::{
    AuditHead, EnrolledDevice, Item, Locked, ReadOnly, SealClass, Unlocked, VaultError,
};
use touchkeep_venue::KeyClass;
use touchkeep_wire::{EnrolledDevice as DeviceSummary, Failure, VaultSummary};

use crate::{calls::items, devices::in_place, failure, uptime::Uptime};

pub(crate) use self::acts::is_beside_another;
pub(crate) use self::armed::{Armed, arm, disarm_because};
pub(crate) use self::checkpoint::{
    DeviceSigner, Witnesses, keys as checkpoint_keys, sign_log, witnesses,
};
pub(crate) use self::choose::{by_label as token_called, find as find_device, find_token};
pub(crate) use self::in_force::{POLICY_HASH, hash_of_policy};
pub(crate) use self::lifecycle::{
    Because, MIN_WORK_FACTOR, create, lock, lock_because, new_passphrase, unlock, unlock_with_kit,
};
pub(crate) use self::modules::{keep_module, keep_used_module};
pub(crate) use self::rescue::{is_damaged, open_copy};

/// The setting of the vault that holds the policy's text.
pub(crate) const POLICY_SETTING: &str = "policy";

/// The vault that is open, or was last.
pub(crate) struct Current {
    id: VaultId,
    path: PathBuf,
    practice: bool,
    devices: RwLock<Arc<[EnrolledDevice]>>,
    log_path: PathBuf,
    log: OnceLock<Log>,
    open: RwLock<Option<Arc<Open>>>,
}

/// What is there while it is unlocked. Dropping the last reference wipes every key.
pub(crate) struct Open {
    vault: RwLock<Unlocked>,
    /// Which device opened it.
    pub(crate) device: DeviceId,
    /// The pipeline: decides, asks, records, signs and sends.
    pub(crate) pipeline: crate::ports::Line,
    in_force: in_force::InForce,
    // Until when its trade keys are to outlive a lock.
    armed: Mutex<Option<Uptime>>,
    // Milliseconds since `born` of the last use.
    used: AtomicU64,
    born: Uptime,
}

impl Current {
    /// Reads a vault's file, and its log where there is one on this machine.
    ///
    /// # Errors
    /// When there is no vault, or its log cannot be used.
    pub(crate) fn load(path: &Path, paths: &Paths) -> Result<(Arc<Self>, Locked), Failure> {
        let locked = read(path, paths)?;
        Ok((Self::of(&locked, paths)?, locked))
    }

    fn of(locked: &Locked, paths: &Paths) -> Result<Arc<Self>, Failure> {
        let log_path = log_path(paths, locked.id());
        let current = Self {
            id: locked.id(),
            path: locked.path().to_owned(),
            practice: locked.is_practice(),
            devices: RwLock::new(locked.devices().into()),
            log_path,
            log: OnceLock::new(),
            open: RwLock::new(None),
        };
        match Log::open_locked(&current.log_path, &current.id.to_string()) {
            Ok(log) => {
                acts::close_unfinished(&log, locked)?;
                let _ = current.log.set(log);
            }
            Err(OpenError::NotFound(_)) => {}
            Err(error) => return Err(failure::open_log(&error)),
        }
        Ok(Arc::new(current))
    }

    pub(crate) const fn id(&self) -> VaultId {
        self.id
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) const fn is_practice(&self) -> bool {
        self.practice
    }

    /// The devices that the vault knows; without a recovery kit and without those that are retired nothing is left out.
    pub(crate) fn devices(&self) -> Arc<[EnrolledDevice]> {
        Arc::clone(&self.devices.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace_devices(&self, with: &[EnrolledDevice]) {
        *self.devices.write().unwrap_or_else(PoisonError::into_inner) = with.into();
    }

    /// The log; none while a vault that is new to this machine has never been unlocked here.
    pub(crate) fn log(&self) -> Option<&Log> {
        self.log.get()
    }

    pub(crate) fn log_path(&self) -> &Path {
        &self.log_path
    }

    /// Records something that happened. It is on disk when this returns; it blocks.
    ///
    /// # Errors
    /// When it is not recorded; then nothing may be done that needed to be.
    pub(crate) fn record(&self, event: &Event) -> Result<Seq, Failure> {
        let log = self.log().ok_or_else(failure::locked)?;
        log.record(event).map_err(|error| failure::record(&error))
    }

    /// Records several things at once, in one commit or few. All are on disk when this is ready.
    ///
    /// # Errors
    /// When one is not recorded; then nothing may be done that needed to be.
    pub(crate) async fn record_all(&self, mut events: Vec<Event>) -> Result<(), Failure> {
        let Some(last) = events.pop() else {
            return Ok(());
        };
        let log = self.log().ok_or_else(failure::locked)?;
        // Who writes the last one takes along what was put in before it.
        let others: Vec<_> = events.iter().map(|event| log.recording(event)).collect();
        in_place(|| self.record(&last))??;
        for other in others {
            other.await.map_err(|error| failure::record(&error))?;
        }
        Ok(())
    }

    /// What is open, or that it is locked.
    pub(crate) fn open(&self) -> Result<Arc<Open>, Failure> {
        self.peek().ok_or_else(failure::locked)
    }

    /// What is open.
    pub(crate) fn peek(&self) -> Option<Arc<Open>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(Arc::clone)
    }

    fn replace(&self, with: Option<Arc<Open>>) -> Option<Arc<Open>> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut open, with)
    }

    /// The head of the log, as commits state it.
    pub(crate) fn audit_head(&self) -> AuditHead {
        let head = self.log().map(Log::head);
        let log = self.log().and_then(|log| log_id(log.origin()));
        head.map_or_else(AuditHead::empty, |head| AuditHead {
            log,
            size: head.size,
            root: Hash(head.root),
        })
    }

    /// Saves what is open, and takes in what others wrote.
    ///
    /// # Errors
    /// When it is locked, or could not be saved.
    pub(crate) fn save_now(&self) -> Result<(), Failure> {
        self.wait_for_others()?;
        let open = self.open()?;
        let mut vault = open.write();
        let saved = self.save(&mut vault);
        let followed = self.follow(&open, &vault, Kind::Merged);
        saved.and(followed)
    }

    fn save(&self, vault: &mut Unlocked) -> Result<(), Failure> {
        vault
            .save(SystemClock.now(), self.audit_head())
            .map_err(|error| failure::vault(&error))
    }

    pub(crate) fn summary(&self) -> VaultSummary {
        let open = self.peek();
        let items = open.as_ref().map(|open| {
            let vault = open.read();
            let items = vault.items().into_iter();
            items.filter(|item| item.trashed.is_none()).count()
        });
        let rehearsed = open
            .as_ref()
            .map(|open| recovery::is_rehearsed(&open.read()));
        let read_only = open.as_ref().and_then(|open| open.read().read_only());
        VaultSummary {
            id: self.id,
            path: self.path.display().to_string(),
            practice: self.practice,
            devices: self.devices().iter().map(device_summary).collect(),
            items: items.map(|items| u32::try_from(items).unwrap_or(u32::MAX)),
            read_only: read_only.map(|why| read_only_words(why).to_owned()),
            rehearsed,
        }
    }
}

impl Open {
    /// The vault, to look at.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Unlocked> {
        self.vault.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Unlocked> {
        self.vault.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The item that a person means by a name or an id.
    pub(crate) fn item(&self, name_or_id: &str) -> Result<Item, Failure> {
        let vault = self.read();
        if let Some(item) = items::referred(&vault, name_or_id) {
            return item.cloned();
        }
        let by_id = name_or_id.parse().ok().and_then(|id| vault.item(id));
        match by_id {
            Some(item) => Ok(item.clone()),
            None => vault.find(name_or_id).map_err(|error| match error {
                VaultError::NotFound => items::no_item(&vault, name_or_id),
                other => failure::vault(&other),
            }),
        }
    }

    /// Until when its trade keys are to outlive a lock; none where they are not, or that is over.
    pub(crate) fn armed_until(&self) -> Option<Uptime> {
        let until = *self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| Uptime::now() < *until)
    }

    fn arm_until(&self, until: Option<Uptime>) {
        *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Notes that it is in use.
    pub(crate) fn touch(&self) {
        self.used.store(self.age_ms(), Ordering::Relaxed);
    }

    /// Milliseconds without a use.
    pub(crate) fn idle_ms(&self) -> u64 {
        self.age_ms()
            .saturating_sub(self.used.load(Ordering::Relaxed))
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(Uptime::now().since(self.born).as_millis()).unwrap_or(u64::MAX)
    }
}

/// What opens the rows of the vault's log.
pub(crate) fn audit_identity(open: &Open) -> Result<Box<age::x25519::Identity>, Failure> {
    let identity = open.read().audit_identity();
    identity.map_err(|error| failure::vault(&error))
}

/// Other items with the API key of this one: whatever the venue lets one of them do, it lets all.
pub(crate) fn same_key<'a>(vault: &'a Unlocked, item: &Item) -> Vec<&'a Item> {
    let is_same = |other: &&Item| {
        other.id != item.id
            && other.is_signing_key()
            && (&other.venue, &other.api_key) == (&item.venue, &item.api_key)
    };
    if !item.is_signing_key() || item.api_key.is_empty() {
        return Vec::new();
    }
    let mut same: Vec<&Item> = vault.items().into_iter().filter(is_same).collect();
    same.sort_by(|one, other| one.name.cmp(&other.name));
    same
}

/// What the key of an item may do by the worst class that it has under any name.
pub(crate) fn worst_right(vault: &Unlocked, item: &Item) -> KeyClass {
    let others = same_key(vault, item).into_iter().map(|other| other.class);
    others.fold(item.class, Ord::max)
}

/// The id in a log's origin line.
pub(crate) fn log_id(origin: &str) -> Option<Id> {
    origin.rsplit('/').next()?.parse().ok()
}

/// The policy that a vault's setting says, its text, and whether that could be read.
pub(crate) fn policy_of(vault: &Unlocked) -> (Policy, String, bool) {
    // A copy that is not the one that was seen last, or one of two stories, may hold a policy that somebody else wants.
    if vault.read_only().is_some() {
        let text = vault.setting(POLICY_SETTING);
        let text = text.map_or_else(|| Policy::starting_text().to_owned(), str::to_owned);
        return (Policy::by_hand(), text, true);
    }
    match vault.setting(POLICY_SETTING) {
        None => (Policy::starting(), Policy::starting_text().to_owned(), true),
        Some(text) => match Policy::parse(text) {
            Ok(policy) => (policy, text.to_owned(), true),
            Err(error) => {
                tracing::error!(%error, "the policy cannot be read, so everything is by hand");
                (Policy::by_hand(), text.to_owned(), false)
            }
        },
    }
}

/// What a device is called where it cannot be asked.
pub(crate) fn device_label(device: &EnrolledDevice) -> String {
    let kind = match device.kind {
        DeviceKind::Software => return "Passphrase (software device)".to_owned(),
        // The mark stands on the paper, too: there may be several.
        DeviceKind::Kit => return format!("Recovery kit {}", device.id.mark()),
        DeviceKind::Piv => "YubiKey",
        DeviceKind::Pkcs11 => "HSM token",
    };
    match &device.serial {
        Some(serial) => format!("{kind} ({})", touchkeep_core::text::visible(serial)),
        None => kind.to_owned(),
    }
}

pub(crate) const fn kind_word(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Software => "software",
        DeviceKind::Piv => "piv",
        DeviceKind::Pkcs11 => "pkcs11",
        DeviceKind::Kit => "kit",
    }
}

/// Why a copy is only read, and what to do, in words.
pub(crate) const fn read_only_words(why: ReadOnly) -> &'static str {
    match why {
        ReadOnly::Behind => {
            "This copy lacks what this machine has seen: it is older, or another branch. `touchkeep merge` takes the newer one in."
        }
        ReadOnly::OtherVault => {
            "Another vault was seen in this place: somebody may have put this one here."
        }
        ReadOnly::Forked => {
            "The membership was changed in two places that did not know of each other: `touchkeep device join`."
        }
        _ => "This version cannot write to it.",
    }
}

/// Whether a person means this device: by its id, its serial number, as what there is mostly one of, or as it was named when it
/// was enrolled.
pub(crate) fn is_called(device: &EnrolledDevice, name: &str) -> bool {
    let is_numbered = |number: &str| device.serial.as_deref() == Some(number);
    device.id.to_string() == name
        || is_numbered(name)
        || match device.kind {
            DeviceKind::Kit => name == "kit" || name == device.id.mark(),
            DeviceKind::Software => matches!(name, "passphrase" | "software"),
            DeviceKind::Piv => name.strip_prefix("piv:").is_some_and(is_numbered),
            DeviceKind::Pkcs11 => false,
        }
}

pub(crate) fn device_summary(device: &EnrolledDevice) -> DeviceSummary {
    DeviceSummary {
        id: device.id,
        kind: kind_word(device.kind).to_owned(),
        label: device_label(device),
        serial: device.serial.clone(),
        seals: match device.seals {
            _ if device.retired => None,
            Ok(SealClass::Touch) => Some("touch".to_owned()),
            Ok(SealClass::Kit) => Some("kit".to_owned()),
            Ok(SealClass::Session) => Some("session".to_owned()),
            Err(_) => None,
        },
        retired: device.retired,
    }
}

/// Whether two paths lead to one file, by links or not.
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    one == other || place(one) == place(other)
}

fn read(path: &Path, paths: &Paths) -> Result<Locked, Failure> {
    Locked::open_pinned(path, pins(paths)).map_err(|error| failure::vault(&error))
}

// The list of what this machine has seen of its vaults.
pub(crate) fn pins(paths: &Paths) -> PathBuf {
    paths.data.join("heads")
}

fn log_path(paths: &Paths, id: VaultId) -> PathBuf {
    paths.data.join(format!("audit-{id}.sqlite"))
}
