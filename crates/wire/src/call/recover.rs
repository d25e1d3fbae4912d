//! The way back when a device is lost.

use serde::{Deserialize, Serialize};
use touchkeep_core::{DeviceId, UnixMillis, VaultId};

use crate::{EnrolledDevice, SecretText, VaultSummary};

calls! {
    /// Makes a recovery kit and enrols it. The words are said this once. Only on `ui.sock`.
    MakeKit = "recover.kit" -> Kit {}
    /// Opens the vault file with the words of a kit, from nothing, and remembers that. Only on `ui.sock`.
    ProveKit = "recover.prove" -> Rehearsal {
        /// The words.
        words: SecretText,
    }
    /// Opens the vault file with another device than the one that unlocked, from nothing, and remembers that.
    ProveDevice = "recover.prove-device" -> Rehearsal {
        /// Its id in the vault, or its serial number.
        device: String,
    }
    /// Which ways back there are, and when each was last tried.
    ListRecovery = "recover.list" -> Vec<WayBack> {}
    /// Opens the vault with the words of a kit, to look after it when every other device is lost. Only on `ui.sock`.
    UnlockWithKit = "recover.unlock" -> VaultSummary {
        /// Absolute path; the configured vault where absent.
        path: Option<String>,
        /// The words.
        words: SecretText,
    }
}

/// A new recovery kit.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kit {
    /// Its id in the vault.
    pub device: DeviceId,
    /// Its 24 words.
    pub words: SecretText,
    /// What stock age takes to open the vault.
    pub unlock_line: SecretText,
    /// What stock age takes to open sealed values.
    pub seal_line: SecretText,
    /// When it was made.
    pub made: UnixMillis,
    /// Which vault it is of.
    pub vault: VaultId,
    /// Names of sealed items that it cannot open until they are sealed again.
    pub to_reseal: Vec<String>,
}

/// A way back that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// With which device.
    pub device: EnrolledDevice,
    /// When.
    pub at: UnixMillis,
    /// How many items it opened.
    pub items: u32,
    /// Names of those with a sealed value that it does not open, because it is sealed to other devices.
    pub closed: Vec<String>,
}

/// A way back into the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct WayBack {
    /// The device.
    pub device: EnrolledDevice,
    /// When it was last shown to open the vault.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub tried: Option<UnixMillis>,
}
