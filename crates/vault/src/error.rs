//! Why something about a vault did not happen, sorted by what a person can do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

use touchkeep_container::{ContainerError, MembershipError};
use touchkeep_core::{Code, EnvironmentId, ItemId, text::quoted};
use touchkeep_device::{DeviceError, Purpose};

/// Why something about a vault did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// There is nothing at that path.
    #[error("there is no vault at {}", place(.0))]
    NoVault(PathBuf),
    /// There is something at that path already.
    #[error("there is already something at {}", place(.0))]
    Exists(PathBuf),
    /// A link, a pipe, a folder or a device, or a file with a second name: never followed, never written.
    #[error("{} is {what}, not a plain file of its own", place(.path))]
    NotAFile {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The file system or the operating system refused.
    #[error("could not {what} {}: {source}", place(.path))]
    Io {
        /// What was being done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody else has held the lock beside the vault for longer than a save takes. Nothing was written.
    #[error("another program holds {}, and does not let go of it", place(.0))]
    Busy(PathBuf),
    /// What failed came after the file was replaced: the change is in it, and whether it outlives a loss of power is not known.
    #[error("the vault was written, but then: {0}")]
    Written(#[source] Box<Self>),
    /// The file is no vault, and not one that was damaged.
    #[error("{} is no Touchkeep vault: {looks}", place(.path))]
    NotAVault {
        /// Where.
        path: PathBuf,
        /// What it is, as far as that is seen.
        looks: &'static str,
    },
    /// The file is not a vault, or not what its members signed.
    #[error("the vault is damaged or not authentic: {0}")]
    Damaged(ContainerError),
    /// Of a newer version than this program.
    #[error("the vault is of a newer format than this program knows")]
    TooNew,
    /// What a member holds, once opened, is not what it must be.
    #[error("the vault is damaged or not authentic: inside of {member}")]
    Content {
        /// Which member.
        member: String,
    },
    /// The copy does not come after one that this machine has seen, or is of another vault than was seen in this place; it
    /// can be read but not changed.
    #[error(
        "this copy of the vault is older than one that was seen here, another branch of it, or another vault in its place"
    )]
    ReadOnly,
    /// The device is none of this vault's.
    #[error("this device is not enrolled in the vault")]
    NotEnrolled,
    /// The device lacks a key that it needs.
    #[error("the device has no key for {0:?}")]
    NoKey(Purpose),
    /// The device did not.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// No such item.
    #[error("there is no such item")]
    NotFound,
    /// No environment of that name is open to this user.
    #[error("there is no such environment")]
    NoEnvironment,
    /// The name means more than one item.
    #[error("the name means more than one item")]
    Ambiguous(Vec<ItemId>),
    /// The name means more than one environment.
    #[error("the name means more than one environment")]
    AmbiguousEnvironment(Vec<EnvironmentId>),
    /// The item has no secret of that sort.
    #[error("the item has no secret that can be opened this way")]
    NoSecret,
    /// The item has no version of that number, or it is the present one.
    #[error("the item has no earlier version {0}")]
    NoVersion(u32),
    /// The earlier version was forgotten, or was a key on a device that was replaced.
    #[error("what the item was in that version is not kept any more")]
    NotKept,
    /// Only a vault whose genesis says practice may have it.
    #[error("an address of one's own is accepted in a practice vault only")]
    PracticeOnly,
    /// What was given cannot be stored.
    #[error("{0} cannot be stored")]
    Invalid(&'static str),
    /// The membership chain was changed in two places that did not know of each other. Until an admin joins them the vault can
    /// be read but not changed.
    #[error(
        "the membership of the vault was changed in two places that did not know of each other"
    )]
    Forked,
    /// What was written is by somebody who may not write any more, or under keys that were replaced since. It is not taken in.
    #[error(
        "this was written by a member who may not write any more, or with keys that were replaced since"
    )]
    Lapsed,
    /// One copy has keys that the other does not have: of two that retired a device each, without knowing of each other, one has to go.
    #[error(
        "somebody's access was taken away in one copy, with new keys, and the other copy does not know of it"
    )]
    Rekeyed,
    /// Somebody else changed the membership while this change was being signed. Nothing was written.
    #[error("somebody else has changed the vault's membership meanwhile")]
    MembersChanged,
    /// His role does not let him.
    #[error("this member of the vault may not do that")]
    NotAllowed,
    /// There would be nothing left that opens the vault.
    #[error("the vault would be left without a device that can look after it")]
    LastDevice,
    /// The device's maker does not vouch for the key as it has to.
    #[error("the device's maker does not vouch for its key: {0}")]
    NotAttested(String),
    /// The operating system locks no memory for keys.
    #[error("no memory for keys can be locked: {0}")]
    Memory(io::Error),
    /// The age library or the crypto provider refused.
    #[error("could not encrypt: {0}")]
    Encrypt(String),
}

fn place(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

impl VaultError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NoVault(_) => Code::NoVault,
            Self::Exists(_) => Code::VaultExists,
            Self::NotAFile { .. }
            | Self::Io { .. }
            | Self::Busy(_)
            | Self::Written(_)
            | Self::Encrypt(_)
            | Self::Memory(_) => Code::System,
            Self::NotAVault { .. } | Self::Damaged(_) | Self::Content { .. } => Code::Damaged,
            Self::TooNew => Code::TooNew,
            Self::ReadOnly
            | Self::Forked
            | Self::MembersChanged
            | Self::Lapsed
            | Self::Rekeyed
            | Self::NotAllowed
            | Self::LastDevice
            | Self::NotAttested(_) => Code::NotPermitted,
            Self::NotEnrolled | Self::NoKey(_) => Code::NoDevice,
            Self::Device(error) => error.code(),
            Self::NotFound
            | Self::NoEnvironment
            | Self::NoSecret
            | Self::NoVersion(_)
            | Self::NotKept => Code::NotFound,
            Self::Ambiguous(_) | Self::AmbiguousEnvironment(_) => Code::Ambiguous,
            Self::PracticeOnly | Self::Invalid(_) => Code::Invalid,
        }
    }
}

impl From<ContainerError> for VaultError {
    fn from(error: ContainerError) -> Self {
        match error {
            ContainerError::Membership(MembershipError::TooNew) => Self::TooNew,
            ContainerError::Membership(MembershipError::Ungoverned) => Self::LastDevice,
            ContainerError::Membership(MembershipError::Lapsed) => Self::Lapsed,
            ContainerError::Forked => Self::Forked,
            ContainerError::Lapsed(_) => Self::Lapsed,
            ContainerError::Rekeyed => Self::Rekeyed,
            error => Self::Damaged(error),
        }
    }
}

impl From<MembershipError> for VaultError {
    fn from(error: MembershipError) -> Self {
        ContainerError::from(error).into()
    }
}
