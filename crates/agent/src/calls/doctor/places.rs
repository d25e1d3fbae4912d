//! Our own files: configuration, folders, room on the disk, the vault.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use touchkeep_client::{FolderError, Paths, folder};
use touchkeep_core::text::visible;
use touchkeep_device::DeviceKind;
use touchkeep_vault::{EnrolledDevice, Locked, SecretPlace, Unlocked};
use touchkeep_wire::{Finding, LateKeys};

use super::{Ground, finding::Id};
use crate::{
    config::{Config, ConfigError},
    failure,
    vault::{device_label, kind_word},
};

const MIB: u64 = 1024 * 1024;
/// A save writes the whole vault beside the old one, and each signature a row.
const LITTLE_ROOM: u64 = 200 * MIB;
const NO_ROOM: u64 = 10 * MIB;

/// What a vault's file says without a key.
#[derive(Debug, Clone, Default)]
pub(super) struct VaultView {
    pub(super) practice: bool,
    pub(super) devices: Vec<EnrolledDevice>,
}

impl VaultView {
    /// Whether the card with this serial number opens it.
    pub(super) fn has_card(&self, serial: u32) -> bool {
        let serial = serial.to_string();
        self.hardware()
            .any(|device| device.serial.as_ref() == Some(&serial))
    }

    /// The hardware that opens it.
    pub(super) fn hardware(&self) -> impl Iterator<Item = &EnrolledDevice> {
        let in_use = |device: &&EnrolledDevice| !device.retired;
        let hard =
            |device: &&EnrolledDevice| matches!(device.kind, DeviceKind::Piv | DeviceKind::Pkcs11);
        self.devices.iter().filter(in_use).filter(hard)
    }
}

/// The configuration: as it is on disk, and whether the agent goes by it.
pub(super) fn config(ground: &Ground) -> Vec<Finding> {
    let path = &ground.paths.config;
    let shown = visible(&path.display().to_string());
    let read = match Config::read(path) {
        Ok(read) => read,
        Err(error) => {
            let fix = "Correct the file. An agent that runs goes by what it read when it started; a new one does not start.";
            let finding = Id::ConfigFile.problem("The configuration cannot be used.", fix);
            return vec![finding.fact("why", reason(&error)).fact("path", shown)];
        }
    };
    let mode = match fs::metadata(path) {
        Ok(meta) => meta.permissions().mode() & 0o777,
        Err(_) => {
            let what = "There is no configuration file: the defaults are used.";
            return vec![Id::ConfigFile.ok(what).fact("path", shown)];
        }
    };
    let finding = if mode & 0o022 != 0 {
        Id::ConfigFile.problem(
            "Other users may change the configuration, and with it what is loaded as a PKCS#11 module.",
            format!("Run: chmod 600 {shown}"),
        )
    } else if ground
        .running
        .as_ref()
        .is_some_and(|running| running.config != read)
    {
        Id::ConfigFile.warning(
            "The configuration was changed after the agent had started, so it does not count yet.",
            "Restart the agent: touchkeep agent stop",
        )
    } else {
        Id::ConfigFile.ok("The configuration can be used.")
    };
    vec![
        finding
            .fact("path", shown)
            .fact("mode", format!("{mode:03o}")),
    ]
}

/// The place and the reason; a TOML error draws the line between them.
fn reason(error: &ConfigError) -> String {
    let text = match error {
        ConfigError::Invalid { why, .. } => why.clone(),
        other => other.to_string(),
    };
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().map(visible).unwrap_or_default();
    match lines.next_back() {
        Some(last) => format!("{first}: {}", visible(last)),
        None => first,
    }
}

/// Our folders, and the room in them.
pub(super) fn folders(paths: &Paths) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, name, path) in [
        (Id::FolderRun, "The folder of the sockets", &paths.run),
        (Id::FolderData, "The folder of logs and state", &paths.data),
    ] {
        let finding = match folder::check(path) {
            Ok(()) => id.ok(format!("{name} is yours alone.")),
            Err(FolderError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                id.note(format!("{name} is not made yet."), "")
            }
            Err(error) => {
                let failure = error.failure();
                id.problem(failure.what, failure.fix)
            }
        };
        findings.push(finding.fact("path", visible(&path.display().to_string())));
    }
    findings.extend(space(&paths.data));
    findings
}

fn space(path: &Path) -> Option<Finding> {
    let existing = path.ancestors().find(|path| path.exists())?;
    let stat = rustix::fs::statvfs(existing).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let fix = "Make room: when the audit log cannot be written, nothing is signed.";
    let finding = match free {
        free if free < NO_ROOM => Id::FolderSpace.problem("The disk is full.", fix),
        free if free < LITTLE_ROOM => Id::FolderSpace.warning("The disk is nearly full.", fix),
        _ => Id::FolderSpace.ok("There is room on the disk."),
    };
    let finding = finding.fact("path", visible(&existing.display().to_string()));
    Some(finding.fact("free", format!("{} MiB", free / MIB)))
}

/// The vault's file: there, sound as far as that needs no key, and private. Blocks for as long as reading it takes.
pub(super) fn vault(path: &Path) -> (Vec<Finding>, Option<VaultView>) {
    let shown = visible(&path.display().to_string());
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let finding = Id::VaultFile.note(
                "There is no vault yet.",
                "Make one: touchkeep init, or look at everything first: touchkeep demo",
            );
            return (vec![finding.fact("path", shown)], None);
        }
        Err(error) => {
            let what = format!("The vault cannot be looked at: {error}.");
            let finding = Id::VaultFile.problem(what, "Check the folders on the way to it.");
            return (vec![finding.fact("path", shown)], None);
        }
    };
    let (finding, view) = match Locked::open(path) {
        Ok(locked) => (sound(&locked), Some(view(&locked))),
        Err(error) => {
            let failure = failure::vault(&error);
            (Id::VaultFile.problem(failure.what, failure.fix), None)
        }
    };
    let mut findings = vec![finding.fact("path", shown.clone())];
    findings.extend(meta.is_file().then(|| mode(&meta, &shown)));
    (findings, view)
}

fn view(locked: &Locked) -> VaultView {
    VaultView {
        practice: locked.is_practice(),
        devices: locked.devices().to_vec(),
    }
}

fn sound(locked: &Locked) -> Finding {
    let finding = match locked.read_only() {
        Some(_) => Id::VaultFile.warning(
            "The vault can be read and not changed: two copies of it were changed apart from each other.",
            "Unlock it to see which: touchkeep unlock",
        ),
        None if locked.is_practice() => Id::VaultFile.ok("The vault is there, made for practice."),
        None => Id::VaultFile.ok("The vault is there, and what can be checked without a key is right."),
    };
    locked
        .devices()
        .iter()
        .filter(|device| !device.retired)
        .fold(finding, |finding, device| {
            let serial = device.serial.as_deref().map(visible).unwrap_or_default();
            let text = format!("{} {serial}", kind_word(device.kind));
            finding.fact("device", text.trim_end())
        })
}

fn mode(meta: &fs::Metadata, shown: &str) -> Finding {
    let mode = meta.permissions().mode() & 0o777;
    let ours = rustix::process::geteuid().as_raw();
    let private = format!("Unless it is shared on purpose, run: chmod 600 {shown}");
    let finding = if meta.uid() != ours {
        Id::VaultMode
            .note("The vault belongs to another user of this machine.", "")
            .fact("owner", meta.uid())
    } else if mode & 0o002 != 0 {
        Id::VaultMode.problem(
            "Every user of this machine may replace the vault.",
            format!("Run: chmod 600 {shown}"),
        )
    } else if mode & 0o004 != 0 {
        Id::VaultMode.warning(
            "Every user of this machine may copy the vault; what a passphrase opens can then be guessed at leisure.",
            format!("Run: chmod 600 {shown}"),
        )
    } else if mode & 0o070 != 0 {
        Id::VaultMode.note("Users of the vault's group may use the file.", private)
    } else {
        Id::VaultMode.ok("The vault file is yours alone.")
    };
    finding.fact("mode", format!("{mode:03o}"))
}

/// Keys of the open vault whose time is over.
pub(super) fn keys(late: LateKeys) -> Finding {
    let finding = match late.words() {
        None => Id::VaultKeys.ok("No key has expired, and none is older than its rule says."),
        Some(what) => Id::VaultKeys.warning(
            what,
            "See which: touchkeep remind. Make new ones at their venues, and take those over: touchkeep edit NAME --secret --set api-key=KEY (where it has one). One on a device: touchkeep add NEW --on-device",
        ),
    };
    finding
        .fact("expired", late.expired)
        .fact("overdue", late.overdue)
}

/// Which devices open what is sealed in the open vault: names of items.
pub(super) struct SealedView {
    any: bool,
    closed: Vec<String>,
    alone: Vec<(String, String)>,
    behind: Vec<String>,
}

impl SealedView {
    pub(super) fn of(vault: &Unlocked) -> Self {
        let devices: Vec<_> = vault.devices().iter().filter(|it| !it.retired).collect();
        let behind = vault.to_reseal().unwrap_or_default();
        let mut view = Self {
            any: false,
            closed: Vec::new(),
            alone: Vec::new(),
            behind: Vec::new(),
        };
        for item in vault.items() {
            let mut sealed: Vec<_> = item
                .places()
                .filter(|(_, place)| **place == SecretPlace::Sealed)
                .map(|(field, _)| item.sealed_to(field))
                .filter(|to| !to.is_empty())
                .map(|to| devices.iter().filter(|it| to.contains(&it.id)))
                .collect();
            sealed.sort_by_cached_key(|by| by.clone().count());
            let Some(by) = sealed.first().filter(|_| item.trashed.is_none()) else {
                continue;
            };
            view.any = true;
            let name = visible(&item.name);
            let mut by = by.clone();
            match (by.next(), by.next()) {
                (None, _) => view.closed.push(name),
                _ if behind.contains(&item.id) => view.behind.push(name),
                (Some(only), None) if devices.len() > 1 => {
                    view.alone.push((name, device_label(only)));
                }
                _ => {}
            }
        }
        view
    }

    /// None where nothing is sealed.
    pub(super) fn finding(&self) -> Option<Finding> {
        let finding = if !self.closed.is_empty() {
            Id::VaultSealed.problem(
                format!(
                    "No device in use opens what is sealed in: {}.",
                    self.closed.join(", ")
                ),
                "Make new keys at their venues, and put those in: touchkeep edit NAME --secret",
            )
        } else if !self.behind.is_empty() {
            Id::VaultSealed.note(
                format!(
                    "Devices came later, and do not open yet what is sealed in: {}.",
                    self.behind.join(", ")
                ),
                "Run: touchkeep device reseal",
            )
        } else if let Some((_, device)) = self.alone.first() {
            let names = self.alone.iter().map(|(name, _)| name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            let devices = self.alone.iter().all(|(_, other)| other == device);
            let who = if devices { device } else { "One device each" };
            Id::VaultSealed.warning(
                format!("{who} alone opens what is sealed in: {names}. Without it that is lost, although others open the vault."),
                "Let another device that waits for a touch in, or make a recovery kit (touchkeep device enroll piv, touchkeep recover kit); then: touchkeep device reseal",
            )
        } else {
            Id::VaultSealed.ok("What is sealed opens with the devices that are in use.")
        };
        self.any.then_some(finding)
    }
}

/// Whether something that opens the vault is connected. `there` are the serial numbers that were seen.
pub(super) fn device(vault: &VaultView, there: &[String]) -> Option<Finding> {
    let seen = |device: &&EnrolledDevice| {
        device
            .serial
            .as_ref()
            .is_some_and(|serial| there.contains(serial))
    };
    let hardware = vault.hardware().count();
    match (hardware, vault.hardware().find(seen)) {
        (0, _) => None,
        (_, Some(device)) => {
            let finding = Id::VaultDevice.ok("A device that opens the vault is connected.");
            let serial = device.serial.as_deref().map(visible).unwrap_or_default();
            Some(finding.fact("device", format!("{} {serial}", kind_word(device.kind))))
        }
        (_, None) => Some(Id::VaultDevice.note(
            "None of the devices that open the vault is connected.",
            "Plug one in to unlock it.",
        )),
    }
}
