//! Why a source cannot be read. Never a value in one: a line, a place, and what was expected there.

use crate::model::Format;

/// Why a source cannot be read, by what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// No format fits.
    #[error("the file looks like none of the formats that are known here")]
    UnknownFormat,
    /// Nothing, or nothing but blanks.
    #[error("the file is empty")]
    Empty,
    /// Neither text in UTF-8 nor an archive that is known.
    #[error("the file is neither text in UTF-8 nor an archive that is known here")]
    NotText,
    /// It is not what it should be.
    #[error("line {line}: {what} ({})", .format.word())]
    Malformed {
        /// Read as this.
        format: Format,
        /// Where, from 1.
        line: usize,
        /// What was found or missed.
        what: &'static str,
    },
    /// It is not what it should be, and has no lines.
    #[error("{what} ({})", .format.word())]
    Damaged {
        /// Read as this.
        format: Format,
        /// What was found or missed.
        what: &'static str,
    },
    /// Text that is not in UTF-8.
    #[error("the file is text in UTF-16, and only UTF-8 is read")]
    Utf16,
    /// More than is read.
    #[error("{what} is more than the {limit} that are read")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How much is read.
        limit: usize,
    },
    /// It is protected with a password.
    #[error("the file is protected with a password")]
    NeedsPassword,
    /// The password does not open it.
    #[error("the password does not open the file")]
    WrongPassword,
    /// It can be opened by the account alone that wrote it.
    #[error("the export is encrypted for the account that made it, so nobody else can open it")]
    AccountEncrypted,
    /// A cost that nobody would choose, or one that would take the machine's memory.
    #[error("the file asks for more work than any export does, so it is not opened")]
    CostTooHigh,
}

impl ImportError {
    /// What to do.
    #[must_use]
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::UnknownFormat => "Say which it is: --format",
            Self::Empty => "Look whether it is the file that you mean.",
            Self::NotText => {
                "Look whether it is the file that you mean; text in another encoding can be saved as UTF-8 in an editor."
            }
            Self::Malformed { .. } => "Mend that line, or say another --format.",
            Self::Damaged { .. } => "Export it again, or say another --format.",
            Self::Utf16 => "Have what wrote it write UTF-8, or save it as that in an editor.",
            Self::TooLarge { .. } => {
                "Divide it where it comes from (one group, folder or vault at a time), and import those files."
            }
            Self::NeedsPassword => "Give it on the terminal, or with --password-fd N.",
            Self::WrongPassword => "Try again with the password that was chosen for the export.",
            Self::AccountEncrypted => {
                "Export again as `.json`, or as `.json (Encrypted)` with the type \"Password protected\"."
            }
            Self::CostTooHigh => "Export it again with the usual settings.",
        }
    }
}
