//! Items: credentials and other secrets.

use serde::{Deserialize, Serialize};
use touchkeep_core::{DeviceId, ItemId, UnixMillis};

use crate::{Done, SecretText};

calls! {
    /// All items, without secrets.
    ListItems = "item.list" -> Vec<ItemSummary> {}
    /// Stores a credential.
    AddItem = "item.add" -> ItemSummary {
        /// Display name, unique.
        name: String,
        /// Venue: `binance`.
        venue: String,
        /// The venue account that the key belongs to; the keys of one account form a key set.
        key_set: String,
        /// `read`, `trade`, `move-money` or `key-admin`.
        class: String,
        /// What the venue calls the API key: the public half. Empty for a device key whose public half is uploaded later.
        api_key: String,
        /// Where the secret half is kept.
        secret: NewSecret,
        /// The venue's address, for practice vaults.
        base_url: Option<String>,
        /// Days after which it is due for rotation.
        rotate_after_days: Option<u32>,
        /// When the key was made at the venue; now where absent.
        created: Option<UnixMillis>,
    }
    /// Sets what the venue calls a key, once the venue has given it a name.
    SetApiKey = "item.set-api-key" -> ItemSummary {
        /// Name or id.
        item: String,
        /// The venue's name for it.
        api_key: String,
    }
    /// Removes an item. The file keeps older versions in its backups.
    RemoveItem = "item.remove" -> Done {
        /// Name or id.
        item: String,
    }
    /// Seals again what an enrolled device cannot open yet. A touch for each.
    ResealItems = "item.reseal" -> Vec<ItemSummary> {
        /// Names or ids; all that are behind where empty.
        items: Vec<String>,
    }
    /// The public key of a device-held key, as the venue wants it uploaded (PEM).
    ExportPublicKey = "item.public-key" -> PublicKeyPem {
        /// Name or id.
        item: String,
    }
}

/// Where the secret half of a new item is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum NewSecret {
    /// In the vault: usable for the whole session.
    Stored {
        /// The secret.
        value: SecretText,
    },
    /// Sealed to touch-requiring devices: opened for one use at a time.
    Sealed {
        /// The secret.
        value: SecretText,
    },
    /// An RSA-2048 key, made on the device and never leaving it; a touch per signature.
    OnDevice {
        /// Which enrolled device; the one that unlocked where absent.
        device: Option<DeviceId>,
    },
}

/// An item, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ItemSummary {
    /// Its id.
    #[cfg_attr(test, ts(type = "string"))]
    pub id: ItemId,
    /// Its name.
    pub name: String,
    /// Its venue.
    pub venue: String,
    /// The venue account.
    pub key_set: String,
    /// `read`, `trade`, `move-money`, `key-admin`.
    pub class: String,
    /// `stored`, `sealed`, `on-device`, `missing`.
    pub secret: String,
    /// The first and last characters of the API key.
    pub api_key_hint: String,
    /// When the key was made at the venue.
    #[cfg_attr(test, ts(type = "number"))]
    pub created: UnixMillis,
    /// When it is due.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub due: Option<UnixMillis>,
}

/// A public key in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeyPem {
    /// SubjectPublicKeyInfo (RFC 5280) in PEM (RFC 7468).
    pub pem: String,
}
