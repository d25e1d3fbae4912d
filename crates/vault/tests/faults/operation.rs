//! What is struck: one operation on a vault, done by a process of its own that ends with how it went.

use std::{
    env, fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process,
};

use touchkeep_core::{ApiSecret, Id, ItemId};
use touchkeep_device::{Auth, KitDevice, RecoveryKit};
use touchkeep_vault::{
    AuditHead, Hand, Locked, NewDevice, NewVault, Unlocked, VaultError, create_pinned,
    danger_restore, merge_into,
};

use crate::common::{NOW, WORK_FACTOR, item, passphrase, unlock};

pub(crate) const OPERATION: &str = "TOUCHKEEP_FAULT_OPERATION";
pub(crate) const FOLDER: &str = "TOUCHKEEP_FAULT_FOLDER";

/// Looked for (and never there) when the operation begins and when it has ended, so that a trace shows where.
pub(crate) const BEGINS: &str = "/touchkeep-operation-begins";
pub(crate) const ENDS: &str = "/touchkeep-operation-ends";

/// How the process ends: it said that it had saved, or that it had not.
pub(crate) const SAVED: i32 = 0;
pub(crate) const REFUSED: i32 = 3;

/// No file, archive or temporary file may hold this in the clear.
pub(crate) const CANARY: &str = "canary-of-a-secret";

/// BIP 39's all-zero entropy: the kit is the same in every process.
pub(crate) const KIT: &str = "abandon abandon abandon abandon abandon abandon abandon abandon \
    abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
    abandon abandon abandon abandon art";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    /// One change, with a setting of so many bytes.
    Save(usize),
    /// One change, after somebody has touched the file: it is compared with what was read, and is the same.
    SaveTouched,
    /// One change in a vault of 10 000 items.
    SaveInMany,
    /// A save that folds segments into a snapshot, because a secret is replaced and there are many.
    Fold,
    Enroll,
    Retire,
    Merge,
    Restore,
    /// A second vault comes into the list of what was seen.
    Pins,
}

impl Operation {
    pub(crate) fn what(self) -> String {
        match self {
            Self::Create => "create a vault".into(),
            Self::Save(bytes) => format!("save one change, {bytes} bytes"),
            Self::SaveTouched => "save one change to a file that was touched".into(),
            Self::SaveInMany => "save one change among 10 000 items".into(),
            Self::Fold => "save and fold 64 segments".into(),
            Self::Enroll => "enrol a device".into(),
            Self::Retire => "retire a device".into(),
            Self::Merge => "merge another copy".into(),
            Self::Restore => "go back to a backup".into(),
            Self::Pins => "remember a vault in the list of seen heads".into(),
        }
    }

    fn word(self) -> String {
        format!("{self:?}")
    }

    fn of_word(word: &str) -> Self {
        let plain = [
            Self::Create,
            Self::SaveTouched,
            Self::SaveInMany,
            Self::Fold,
            Self::Enroll,
            Self::Retire,
            Self::Merge,
            Self::Restore,
            Self::Pins,
        ];
        let size = word
            .strip_prefix("Save(")
            .and_then(|rest| rest.strip_suffix(')'));
        match size {
            Some(bytes) => Self::Save(bytes.parse().unwrap()),
            None => plain.into_iter().find(|it| it.word() == word).unwrap(),
        }
    }
}

pub(crate) struct Paths {
    pub(crate) vault: PathBuf,
    pub(crate) other: PathBuf,
    pub(crate) pins: PathBuf,
}

impl Paths {
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            vault: folder.join("team.vault"),
            other: folder.join("other.vault"),
            pins: folder.join("pins"),
        }
    }

    pub(crate) fn open(&self) -> Result<Unlocked, VaultError> {
        Ok(unlock(Locked::open_pinned(&self.vault, &self.pins)?))
    }
}

pub(crate) fn kit() -> KitDevice {
    RecoveryKit::from_words(KIT).unwrap().device().unwrap()
}

pub(crate) fn make(path: &Path, pins: &Path) -> Result<Unlocked, VaultError> {
    let passphrase = passphrase();
    let new = NewVault {
        user_name: "Ada".into(),
        environment_name: "prod".into(),
        practice: false,
        device: NewDevice::Software {
            passphrase: &passphrase,
            work_factor: WORK_FACTOR,
        },
        now: NOW,
    };
    create_pinned(path, pins, new)
}

/// An item whose id is that of its number, with a stored secret.
pub(crate) fn put(vault: &mut Unlocked, number: u8, secret: &str) -> Result<(), VaultError> {
    let mut new = item(vault.environment(), &format!("item {number}"));
    new.id = ItemId(Id::from_bytes([number; 16]));
    let id = new.id;
    vault.put(new)?;
    vault.set_secret(id, ApiSecret::new(format!("{CANARY} {secret}")))
}

pub(crate) fn save(vault: &mut Unlocked) -> Result<(), VaultError> {
    vault.save(NOW, AuditHead::empty())
}

/// What the passphrase device signs for.
pub(crate) fn govern<T>(
    vault: &mut Unlocked,
    work: impl FnOnce(&mut Unlocked, Hand<'_, '_>) -> Result<T, VaultError>,
) -> Result<T, VaultError> {
    let software = |device: &&touchkeep_vault::EnrolledDevice| device.marked_software;
    let own = vault.own_devices().find(software).map(|device| device.id);
    let mut device = vault.as_locked().software_device(own.unwrap())?;
    let passphrase = passphrase();
    let hand = Hand {
        device: &mut device,
        auth: Auth::Passphrase(&passphrase),
    };
    work(vault, hand)
}

pub(crate) fn enroll_kit(vault: &mut Unlocked) -> Result<(), VaultError> {
    let mut kit = kit();
    let new = NewDevice::Hardware(&mut kit, Auth::Nothing);
    govern(vault, |vault, hand| {
        vault.enroll(new, hand, NOW, AuditHead::empty()).map(drop)
    })
}

fn retire_kit(vault: &mut Unlocked) -> Result<(), VaultError> {
    let kit = vault.own_devices().find(|device| !device.marked_software);
    let kit = kit.map(|device| device.id).unwrap();
    govern(vault, |vault, hand| {
        vault.retire(kit, hand, NOW, AuditHead::empty()).map(drop)
    })
}

/// Does one operation; `begin` is called when everything before it is done.
pub(crate) fn perform(
    operation: Operation,
    paths: &Paths,
    begin: impl FnOnce(),
) -> Result<(), VaultError> {
    if operation == Operation::Create {
        begin();
        return make(&paths.vault, &paths.pins).map(drop);
    }
    let mut vault = paths.open()?;
    match operation {
        Operation::Save(bytes) => {
            put(&mut vault, 1, "changed")?;
            put(&mut vault, 2, "new")?;
            vault.set_setting("size", &"s".repeat(bytes))?;
        }
        Operation::SaveTouched | Operation::SaveInMany | Operation::Fold => {
            put(&mut vault, 1, "changed")?;
        }
        _ => {}
    }
    if operation == Operation::SaveTouched {
        fs::set_permissions(&paths.vault, fs::Permissions::from_mode(0o600)).unwrap();
    }
    begin();
    match operation {
        Operation::Enroll => enroll_kit(&mut vault),
        Operation::Retire => retire_kit(&mut vault),
        Operation::Merge => merge_into(&paths.vault, &paths.other).map(drop),
        Operation::Restore => danger_restore(&paths.vault, &paths.pins, 1),
        Operation::Pins => Locked::open_pinned(&paths.other, &paths.pins).map(drop),
        _ => save(&mut vault),
    }
}

pub(crate) fn look(at: &str) {
    assert!(fs::metadata(at).is_err());
}

/// As a process of its own: the operation that the environment names, then an end that says how it went.
pub(crate) fn perform_as_told() {
    let operation = Operation::of_word(&env::var(OPERATION).unwrap());
    let paths = Paths::of(Path::new(&env::var(FOLDER).unwrap()));
    let done = perform(operation, &paths, || {
        outnumber_other_threads();
        look(BEGINS);
    });
    look(ENDS);
    process::exit(if done.is_ok() { SAVED } else { REFUSED });
}

// Calls are counted for each thread, and the n-th of each thread is struck: this one's begin where no other ever comes to.
fn outnumber_other_threads() {
    for _ in 0..64 {
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap();
        file.write_all(&[0]).unwrap();
        assert_eq!(file.read(&mut [0]).unwrap(), 0);
    }
}

pub(crate) fn command(
    mut command: process::Command,
    operation: Operation,
    folder: &Path,
) -> process::Command {
    command
        .arg(env::current_exe().unwrap())
        .args([
            "--exact",
            "calls::every_operation_does_what_it_is_to_do",
            "--test-threads",
            "1",
            "--nocapture",
        ])
        // The loader would look into each of cargo's folders, and each look is a call that can be struck.
        .env_remove("LD_LIBRARY_PATH")
        .env(OPERATION, operation.word())
        .env(FOLDER, folder)
        .stdout(process::Stdio::null())
        .stderr(process::Stdio::null());
    command
}
