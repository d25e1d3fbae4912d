//! Which device is meant, where something is kept of it from one use to the next: its PIN, the turn to type it, the look after it.
//!
//! # Why not its serial number
//! Every token of NSS has the same, and nobody keeps makers from giving one number twice. A PIN that is sent to another token of
//! the number is a try that its owner did not spend.

use std::path::PathBuf;

use touchkeep_core::DeviceId;
use touchkeep_vault::EnrolledDevice;

/// A device that can be told from others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Which {
    /// One of the vault. It is opened as that only where its keys are found.
    Enrolled {
        /// Its id in the vault.
        id: DeviceId,
        /// Its serial number.
        serial: String,
    },
    /// One that no vault knows yet, and that nothing but its place tells from others: it is asked for its PIN each time.
    Newcomer {
        /// Behind which module; none for a YubiKey.
        module: Option<PathBuf>,
        /// Its serial number.
        serial: String,
        /// What it is called.
        label: String,
    },
}

impl Which {
    /// A device of the vault; none that has no number and is not taken away.
    pub(crate) fn of(device: &EnrolledDevice) -> Option<Self> {
        let serial = device.serial.clone()?;
        Some(Self::Enrolled {
            id: device.id,
            serial,
        })
    }

    /// What a newcomer is once a vault knows it.
    pub(crate) fn enrolled_as(&self, id: DeviceId) -> Self {
        Self::Enrolled {
            id,
            serial: self.serial().to_owned(),
        }
    }

    /// The number, which others may have as well.
    pub(crate) fn serial(&self) -> &str {
        match self {
            Self::Enrolled { serial, .. } | Self::Newcomer { serial, .. } => serial,
        }
    }

    /// Whether no vault knows it yet.
    pub(crate) const fn is_newcomer(&self) -> bool {
        matches!(self, Self::Newcomer { .. })
    }
}
