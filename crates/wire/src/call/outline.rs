//! What is in a copy of the vault, without any value: for whoever compares copies.

use serde::{Deserialize, Serialize};

calls! {
    /// Items and fields of a copy of the open vault.
    OutlineCopy = "vault.outline" -> Vec<ItemOutline> {
        /// Absolute path.
        path: String,
    }
}

/// An item, without any value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemOutline {
    /// Its environment's name.
    pub environment: String,
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// `exchange-key`, `login`, ...
    pub kind: String,
    /// Whether it is in the trash.
    pub trashed: bool,
    /// Its fields by name: `plain`, `stored`, `sealed`, `on-device`, and the version that last changed them, where that is known.
    pub fields: Vec<(String, String, Option<u32>)>,
}
