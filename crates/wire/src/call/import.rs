//! Import and export: items that came from elsewhere, and items that go elsewhere.

use serde::{Deserialize, Serialize};
use touchkeep_core::{ItemId, UnixMillis};

use crate::SecretText;

calls! {
    /// Adds items that were read from another program's file: all of them in one commit, or none. With `dry_run` it says
    /// what it would do, and changes nothing.
    ImportItems = "item.import" -> ImportReport {
        /// The environment's name or id; the usual one where absent.
        environment: Option<String>,
        /// Where they come from, for the log: a format's word.
        source: String,
        /// The items, in their order.
        items: Vec<NewImport>,
        /// What is done with one that is there already.
        on_duplicate: OnDuplicate,
        /// When their values were seen in plaintext; absent where the source was encrypted.
        plaintext_seen: Option<UnixMillis>,
        /// Only say what would happen.
        dry_run: bool,
    }
    /// Gives out every item that is not in the trash. It asks a person each time, and leaves no grant.
    ExportItems = "item.export" -> Exported {
        /// The environment's name or id; all that are readable where absent.
        environment: Option<String>,
        /// How.
        form: ExportForm,
    }
}

/// An item that is proposed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewImport {
    /// Display name.
    pub name: String,
    /// What it is: `exchange-key`, `api-key`, …
    pub kind: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// When it was made; now where absent.
    pub created: Option<UnixMillis>,
    /// After how many days it is to be rotated.
    pub rotate_after_days: Option<u32>,
    /// When its values were seen in plaintext, where the source says so.
    pub plaintext_seen: Option<UnixMillis>,
    /// Anything.
    pub note: String,
    /// Its fields; `venue`, `class`, `key-set`, `api-key` are among them.
    pub fields: Vec<NewImportField>,
}

/// A field of an item that is proposed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewImportField {
    /// Its name.
    pub name: String,
    /// Whether it is hidden.
    pub secret: bool,
    /// What it says.
    pub value: SecretText,
}

/// What is done with an item that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDuplicate {
    /// Nothing: the vault's stays as it is.
    Skip,
    /// The vault's gets the new fields; others of it stay.
    Update,
    /// The new one comes beside it, under another name.
    Both,
}

/// What happens, or happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// The environment's name.
    pub environment: String,
    /// For each item, in their order.
    pub items: Vec<ImportVerdict>,
}

/// What happens to one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportVerdict {
    /// Its name in the vault.
    pub name: String,
    /// What is done.
    pub action: ImportAction,
    /// The item that is there already, by its name.
    pub duplicate_of: Option<String>,
    /// By what it is known to be the same: `name` or `api-key`.
    pub known_by: Option<String>,
    /// Whether every value of it is in the vault already.
    pub same: bool,
    /// Why it is refused.
    pub refused: Option<String>,
    /// Its id, once it is in the vault.
    pub item: Option<ItemId>,
    /// Fields that are kept otherwise than they came.
    pub kept: Vec<KeptField>,
}

/// A plain field whose value is in the vault otherwise than it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptField {
    /// What it was called.
    pub field: String,
    /// What it is called in the vault: the same where only the form is another.
    pub kept_as: String,
    /// Why it has another name: what the field takes.
    pub takes: Option<String>,
}

/// What is done with one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportAction {
    /// It is added.
    Add,
    /// The one that is there gets its fields.
    Update,
    /// It is left out, because one is there.
    Skip,
    /// It cannot be in a vault.
    Refuse,
}

/// How an export is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum ExportForm {
    /// Encrypted with age to recipients.
    Recipients {
        /// `age1…`.
        recipients: Vec<String>,
    },
    /// Encrypted with age and a passphrase.
    Passphrase {
        /// The passphrase.
        passphrase: SecretText,
    },
    /// In the clear.
    Plain {
        /// `json`, `env`, `ccxt`, `csv`.
        format: String,
    },
}

/// An export.
#[derive(Debug, Serialize, Deserialize)]
pub struct Exported {
    /// The file: its text, or base64 of it where it is encrypted.
    pub file: SecretText,
    /// How many items are in it.
    pub items: u32,
    /// Items for which the format has no place.
    pub left: Vec<String>,
    /// Secret fields that cannot be given out, as `item: field (why)`.
    pub absent: Vec<String>,
}
