//! The customer's address book, kept on the venue's web site: Kraken sends money only to a name that stands there.

use serde::{Deserialize, Serialize};

/// One entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Address {
    /// `BTC`, `ETH` or `USDT`.
    pub(crate) asset: String,
    /// The name that a withdrawal gives.
    pub(crate) key: String,
    pub(crate) address: String,
    /// One of the asset's networks; nothing said is its first.
    pub(crate) network: Option<String>,
}

/// All entries.
#[derive(Default)]
pub(crate) struct Addresses(Vec<Address>);

impl Addresses {
    /// Adds an entry; false if the name is taken.
    pub(crate) fn add(&mut self, new: Address) -> bool {
        let is_new = self.find(&new.key).is_none();
        if is_new {
            self.0.push(new);
        }
        is_new
    }

    /// Takes an entry away; false if there is none.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|address| address.key != key);
        self.0.len() < before
    }

    /// The entry of this name.
    pub(crate) fn find(&self, key: &str) -> Option<&Address> {
        self.0.iter().find(|address| address.key == key)
    }

    /// All entries, oldest first.
    pub(crate) fn all(&self) -> &[Address] {
        &self.0
    }
}
