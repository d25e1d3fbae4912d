//! The vault file: made, opened, locked, joined with another copy, put back.

use serde::{Deserialize, Serialize};
use touchkeep_core::{UnixMillis, VaultId};

use crate::{Done, EnrolledDevice, NewDevice};

calls! {
    /// Makes a vault. Asks for what the device needs through prompts.
    CreateVault = "vault.create" -> VaultSummary {
        /// Absolute path of the new file.
        path: String,
        /// The founder's display name.
        user: String,
        /// The first environment's display name.
        environment: String,
        /// A vault for practice: opens to practice devices and addresses, says so everywhere.
        practice: bool,
        /// The first device.
        device: NewDevice,
    }
    /// Opens the vault with the first enrolled device that is connected. Asks through prompts.
    UnlockVault = "vault.unlock" -> VaultSummary {
        /// Absolute path; the configured vault where absent.
        path: Option<String>,
        /// Which device, where several could: its id, its serial number, or `passphrase`.
        device: Option<String>,
    }
    /// Forgets every key.
    LockVault = "vault.lock" -> Done {}
    /// Takes another copy of the vault in.
    MergeCopy = "vault.merge" -> Merged {
        /// Absolute path of the other copy.
        path: String,
    }
    /// Older copies beside the vault.
    ListBackups = "backup.list" -> Vec<BackupSummary> {}
    /// Makes an older copy the vault again. A touch, or the passphrase; where the vault's file does not read, the copy is opened with
    /// a device instead.
    RestoreBackup = "backup.restore" -> Done {
        /// From 1, the newest.
        number: u32,
        /// With which device the copy is opened: its id, its serial number, `passphrase`, or `kit`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<String>,
    }
}

/// A vault, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct VaultSummary {
    /// Its id.
    #[cfg_attr(test, ts(type = "string"))]
    pub id: VaultId,
    /// Its file.
    pub path: String,
    /// Made for practice.
    pub practice: bool,
    /// Enrolled devices.
    pub devices: Vec<EnrolledDevice>,
    /// How many items; none said while locked.
    pub items: Option<u32>,
    /// Why it can be read but not changed, in a sentence.
    pub read_only: Option<String>,
    /// Whether a second device, or a recovery kit, was shown to open it; none said while locked.
    pub rehearsed: Option<bool>,
}

/// A merge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// Whether anything was new.
    pub changed: bool,
    /// Items whose secret was given twice by writers that did not know of each other; none said while locked.
    pub conflicts: Vec<String>,
    /// Whether the vault was locked for it, because it could only be read until then.
    pub locked: bool,
    /// Plain fields that both copies had changed, each without knowing of the other. These and what follows is not said while
    /// locked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<SetAside>,
    /// Items that had a secret in one of the copies, and have none now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_secret: Vec<String>,
    /// Items that were there, and are not now: the other copy has removed them for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Clients that one of the copies had let in, and that may not ask now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<String>,
    /// Clients that may ask now, and might not before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub let_in: Vec<String>,
    /// Whose policy holds, where the copies had two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<MergedPolicy>,
    /// Why the vault can only be read now, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<String>,
}

/// Of two texts of one field: which holds, and which does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// The item.
    pub item: String,
    /// The field.
    pub field: String,
    /// What holds; none where it is empty.
    pub holds: Option<String>,
    /// What was set aside.
    pub lost: Option<String>,
    /// The version of the item that has it, where it is kept.
    pub version: Option<u32>,
}

/// Whose policy holds after a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MergedPolicy {
    /// The one that was in force.
    Own,
    /// The other copy's.
    Other,
}

/// An older copy of the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSummary {
    /// From 1, the newest.
    pub number: u32,
    /// Where it is.
    pub path: String,
    /// When it stopped being the vault.
    pub replaced: Option<UnixMillis>,
    /// The time of its newest commit.
    pub newest: Option<UnixMillis>,
    /// Commits of it that the vault does not have.
    pub missing: u32,
    /// Whether its items could be opened with the keys at hand; none said while the vault is locked.
    pub items: Option<u32>,
    /// What it would bring back although it was ended since; none said while the vault is locked.
    pub undoes: Option<Undoes>,
    /// Why it is of no use.
    pub problem: Option<String>,
}

/// What an older copy of the vault says otherwise than the vault, by which somebody could do more again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undoes {
    /// Names of clients that are let in there, and were revoked since.
    pub clients: Vec<String>,
    /// Names of clients that were bound otherwise there.
    pub bound: Vec<String>,
    /// Devices that open it, and were retired since.
    pub devices: Vec<String>,
    /// Whether its policy is another one.
    pub policy: bool,
}
