//! Stable error codes: what a front end maps to words, and what a script may match on. Codes are never reused.

use serde::{Deserialize, Serialize};

/// Why something did not happen, sorted by what a person can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Code {
    /// The vault is locked: unlock it.
    Locked,
    /// There is no vault at that path.
    NoVault,
    /// There is a vault at that path already.
    VaultExists,
    /// A file is damaged or not authentic: restore a copy.
    Damaged,
    /// A file is of a newer version than this program: update.
    TooNew,
    /// No such item, client, device or prompt.
    NotFound,
    /// The name is in use, or means more than one thing.
    Ambiguous,
    /// What was given cannot be used: usage.
    Invalid,
    /// No device that can do it is connected.
    NoDevice,
    /// Another program holds the device.
    DeviceBusy,
    /// The device was taken away meanwhile.
    DeviceRemoved,
    /// The device failed or does not support it.
    DeviceFailed,
    /// The PIN was wrong.
    WrongPin,
    /// The passphrase was wrong.
    WrongPassphrase,
    /// The PIN is blocked: unblock it.
    PinBlocked,
    /// PIN or PUK are still those of the factory: change them.
    FactoryPin,
    /// Nobody touched the key in time.
    NoTouch,
    /// A person refused.
    Refused,
    /// A rule refused.
    Denied,
    /// Nobody answered in time.
    TimedOut,
    /// The request could not be understood.
    Unreadable,
    /// The audit log cannot be written, so nothing was done.
    AuditFailed,
    /// The venue cannot be reached.
    Unreachable,
    /// The agent is of another version than the program that asks.
    ProtocolMismatch,
    /// Not allowed on this channel or for this caller.
    NotPermitted,
    /// The file system or the operating system refused.
    System,
}

impl Code {
    /// The exit code of the command line: 1 refused or findings, 2 usage, 3 locked or no device, 4 damaged or not authentic.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Invalid
            | Self::Ambiguous
            | Self::NotFound
            | Self::VaultExists
            | Self::NoVault
            | Self::Unreadable => 2,
            Self::Locked
            | Self::NoDevice
            | Self::DeviceBusy
            | Self::DeviceRemoved
            | Self::DeviceFailed
            | Self::PinBlocked
            | Self::FactoryPin => 3,
            Self::Damaged | Self::TooNew => 4,
            _ => 1,
        }
    }
}
