//! What other programs keep secrets in, read into proposed items; and the document that an export is.
//!
//! Bytes in, proposals out: nothing here reads a file, asks for a password, or knows a vault. Each row of a source goes into
//! an item or is named with the reason; what is not known becomes a hidden field. Values are wiped when they go, and no error
//! quotes one. Files are hostile: sizes, depths and costs are bounded, and what two readers could read in two ways is refused.
//!
//! Read in this order: `model` (what comes out), `json` and `csv` (what files are made of), one file for each format,
//! `login` (which item an entry of a password manager is), `map` (what a person wants otherwise), `replace` (references
//! in place of literals), `document` and `render` (exports).

mod aws;
mod bitwarden;
mod ccxt;
mod csv;
mod document;
mod dotenv;
mod error;
mod freqtrade;
mod json;
mod keepass_csv;
mod keepass_xml;
mod login;
pub mod map;
mod model;
mod names;
mod onepux;
mod render;
mod replace;
mod source;
mod store;
mod zip;

pub use bitwarden::needs_password;
pub use document::{Exported, exported, write};
pub use error::ImportError;
pub use model::{
    Field, Format, Import, Kind, MAX_ROWS, MAX_TEXT_BYTES, MAX_VALUE_BYTES, Proposal, Reason,
    Remark, Row, Text,
};
pub use names::venue;
pub use render::{Plain, render};
pub use replace::{Edit, is_replaceable, reference, replace};
pub use source::detect;
pub use store::{StoreEntry, read_store};

/// A source that is one file.
pub struct Source<'a> {
    /// What is in it.
    pub bytes: &'a [u8],
    /// Its own password, where it has one.
    pub password: Option<&'a str>,
}

/// Reads a source, as the format that its contents show, or as the one that is given.
///
/// # Errors
/// When it is of no format that is known, or damaged; never with a value.
pub fn read(source: &Source<'_>, format: Option<Format>) -> Result<Import, ImportError> {
    let format = format
        .or_else(|| detect(source.bytes))
        .ok_or_else(|| source::why_unknown(source.bytes))?;
    match format {
        Format::Dotenv => dotenv::read(source.bytes),
        Format::Ccxt => ccxt::read(source.bytes),
        Format::Freqtrade => freqtrade::read(source.bytes),
        Format::OnePux => onepux::read(source.bytes),
        Format::Bitwarden => bitwarden::read(source.bytes, source.password),
        Format::KeepassCsv => keepass_csv::read(source.bytes),
        Format::KeepassXml => keepass_xml::read(source.bytes),
        Format::Aws => aws::read(source.bytes),
        Format::Touchkeep => document::read(source.bytes),
        Format::PasswordStore => Err(ImportError::Damaged {
            format,
            what: "it is a folder and no file",
        }),
    }
}
