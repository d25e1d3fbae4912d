//! What can go wrong, one enum per operation.

use std::{io, path::PathBuf, sync::Arc};

use touchkeep_core::Code;

use crate::{row::Seq, walk::Damage};

/// Why a log could not be made or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no log at that path.
    #[error("there is no audit log at {}", .0.display())]
    NotFound(PathBuf),
    /// There is a file at that path already.
    #[error("there is a file at {} already", .0.display())]
    Exists(PathBuf),
    /// It is a database, but not an audit log.
    #[error("{} is not an audit log", .0.display())]
    NotALog(PathBuf),
    /// A newer version of this program wrote it.
    #[error(
        "the audit log is of version {found}, this program reads up to {}",
        crate::schema::VERSION
    )]
    TooNew {
        /// Its version.
        found: i32,
    },
    /// It is the log of another vault, or encrypted to another recipient.
    #[error("it is the audit log of another vault")]
    OtherVault,
    /// The id or the recipient cannot be those of a log.
    #[error("not a vault id, or not an age X25519 recipient")]
    Invalid,
    /// It is not as it was left. Nothing is added to it before a person has seen that.
    #[error("the audit log is damaged: {0}")]
    Damaged(Damage),
    /// A key could not be made.
    #[error("the log's keys cannot be made")]
    Encryption,
    /// The file system failed.
    #[error("the audit log's file cannot be used")]
    File(#[source] io::Error),
    /// SQLite failed.
    #[error("the audit log cannot be used")]
    Storage(#[source] Arc<rusqlite::Error>),
}

/// Why something was not recorded. It must not be done, then.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The database could not be written durably: disk full, read-only, busy.
    #[error("the audit log cannot be written")]
    Storage(#[source] Arc<rusqlite::Error>),
    /// The file at the log's path is not the one that was opened.
    #[error("the audit log's file was moved, deleted or replaced")]
    Replaced,
    /// Rows that were there are gone, or are others.
    #[error("the audit log had {had} rows and has {has}, or others")]
    Changed {
        /// Rows when this process last wrote.
        had: u64,
        /// Rows now.
        has: u64,
    },
    /// The event is larger than [`crate::MAX_BODY_BYTES`].
    #[error("the event is too large to be recorded")]
    TooLarge,
    /// There is no intent with that number.
    #[error("row {0} is not an intent")]
    NotAnIntent(Seq),
    /// The intent has an outcome already.
    #[error("row {0} has an outcome already")]
    AlreadyClosed(Seq),
    /// A body could not be encrypted.
    #[error("the event cannot be encrypted")]
    Encryption,
    /// The thread that was to write it ended.
    #[error("the append was interrupted")]
    Interrupted,
}

/// Why a checkpoint was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// What was signed before is not the beginning of the log as it is. Nothing was signed.
    #[error("the log does not continue what was signed at row {signed}")]
    Inconsistent {
        /// Rows under the earlier checkpoint.
        signed: u64,
    },
    /// The key cannot sign now.
    #[error("the checkpoint was not signed: {0}")]
    Signer(String),
    /// SQLite failed.
    #[error("the audit log cannot be used")]
    Storage(#[from] rusqlite::Error),
}

/// Why rows could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Rows of one item or client are found by the tag key, text is in the bodies: for both the audit identity is needed.
    #[error("rows can be sought by item, client or text only while the vault is unlocked")]
    Locked,
    /// The identity is not the one that the log is encrypted to.
    #[error("the log is encrypted to another identity")]
    WrongIdentity,
    /// The row cannot be decrypted or understood.
    #[error("row {0} is damaged")]
    Damaged(Seq),
    /// The row is of a kind that a newer version of this program made.
    #[error("row {0} was written by a newer version")]
    TooNew(Seq),
    /// There is no checkpoint of that size.
    #[error("nothing was signed at row {0}")]
    NotSigned(u64),
    /// There is no such row, or none that is signed.
    #[error("there is no row {0} that is signed")]
    NoRow(Seq),
    /// A checkpoint is of a log that this one does not continue.
    #[error("the log does not continue what was signed at row {0}")]
    OtherHistory(u64),
    /// SQLite failed.
    #[error("the audit log cannot be read")]
    Storage(#[from] rusqlite::Error),
}

/// Why a log could not be verified at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no file at that path, or it may not be read.
    #[error("there is no audit log at {} that can be read", .0.display())]
    NotFound(PathBuf),
    /// A newer version of this program wrote it.
    #[error(
        "the audit log is of version {found}, this program reads up to {}",
        crate::schema::VERSION
    )]
    TooNew {
        /// Its version.
        found: i32,
    },
    /// SQLite failed.
    #[error("the audit log cannot be read")]
    Storage(#[source] rusqlite::Error),
}

impl OpenError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NotFound(_) => Code::NotFound,
            Self::TooNew { .. } => Code::TooNew,
            Self::Exists(_) | Self::OtherVault | Self::Invalid => Code::Invalid,
            Self::NotALog(_) | Self::Damaged(_) => Code::Damaged,
            Self::Encryption | Self::File(_) | Self::Storage(_) => Code::AuditFailed,
        }
    }
}

impl RecordError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::AuditFailed
    }
}

impl CheckpointError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Inconsistent { .. } => Code::Damaged,
            Self::Signer(_) => Code::DeviceFailed,
            Self::Storage(_) => Code::AuditFailed,
        }
    }
}

impl ReadError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Locked => Code::Locked,
            Self::WrongIdentity | Self::Damaged(_) | Self::OtherHistory(_) => Code::Damaged,
            Self::NotSigned(_) | Self::NoRow(_) => Code::NotFound,
            Self::TooNew(_) => Code::TooNew,
            Self::Storage(_) => Code::System,
        }
    }
}

impl VerifyError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NotFound(_) => Code::NotFound,
            Self::TooNew { .. } => Code::TooNew,
            Self::Storage(_) => Code::System,
        }
    }
}
