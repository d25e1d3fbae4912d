//! Items: credentials and other secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use touchkeep_core::{EnvironmentId, ItemId, UnixMillis};

use crate::{Done, SecretText};

calls! {
    /// All items that are not in the trash, without secrets.
    ListItems = "item.list" -> Vec<ItemSummary> {}
    /// Items that fit, the best first where something is looked for, else by name.
    FindItems = "item.find" -> FoundItems {
        /// What they are to fit.
        filter: ItemFilter,
        /// Only what comes behind this one.
        after: Option<ItemId>,
    }
    /// One item: everything but its secrets.
    ShowItem = "item.show" -> ItemDetail {
        /// Name, id or `tk://environment/item/…`.
        item: String,
    }
    /// Stores an item.
    AddItem = "item.add" -> ItemSummary {
        /// Display name, unique in its environment.
        name: String,
        /// `exchange-key`, `api-key`, `oauth-client`, `otp-seed`, `ssh-key`, `note`, `login`.
        kind: String,
        /// The environment's name or id; the first one where absent.
        environment: Option<String>,
        /// Words to find it by.
        tags: Vec<String>,
        /// Plain fields by name, `note` among them. An exchange key needs `venue`, `key-set`, `class`, and `api-key` unless its
        /// secret is on a device; in practice vaults it may have a `base-url`.
        fields: BTreeMap<String, String>,
        /// Where its secrets are kept, by field; the chief one is called `secret`.
        secrets: BTreeMap<String, NewSecret>,
        /// Days after which it is due for rotation.
        rotate_after_days: Option<u32>,
        /// When the key was made at the venue; now where absent.
        created: Option<UnixMillis>,
        /// It was in plaintext somewhere: to be rotated.
        plaintext_seen: bool,
    }
    /// What speaks against storing an item, before anybody types its secrets. Changes nothing.
    CheckNewItem = "item.check-new" -> Done {
        /// The item, without its secrets.
        item: AddItem,
        /// The fields that are to be given as secrets.
        secrets: Vec<String>,
        /// Its chief secret is to be on a device.
        on_device: bool,
    }
    /// What speaks against changing an item, before anybody types its secrets. Changes nothing.
    CheckEdit = "item.check-edit" -> Done {
        /// The change, without its secrets.
        edit: EditItem,
        /// The fields that are to be given as secrets.
        secrets: Vec<String>,
    }
    /// Changes an item, as one new version.
    EditItem = "item.edit" -> ItemDetail {
        /// Name or id.
        item: String,
        /// Another name.
        name: Option<String>,
        /// Plain fields to set, `note` and `rotate-after-days` among them.
        set: BTreeMap<String, String>,
        /// Fields to empty, plain or secret.
        unset: Vec<String>,
        /// Secrets to set.
        secrets: BTreeMap<String, NewSecret>,
        /// Tags to add.
        add_tags: Vec<String>,
        /// Tags to take off.
        remove_tags: Vec<String>,
        /// Take what is kept of earlier versions out of the file.
        forget_old: bool,
        /// When the key was made. Now where its secret becomes another one and nothing is said.
        created: Option<UnixMillis>,
    }
    /// Puts an item into the trash: it is not used any more, and can be taken back.
    TrashItem = "item.trash" -> ItemSummary {
        /// Name or id.
        item: String,
    }
    /// Takes an item out of the trash.
    RestoreItem = "item.restore" -> ItemSummary {
        /// Name or id.
        item: String,
        /// What it is called from now on, where its name is taken.
        name: Option<String>,
    }
    /// The versions of an item, the newest first, without values.
    ListVersions = "item.versions" -> Vec<ItemVersion> {
        /// Name or id.
        item: String,
    }
    /// Makes an item what it was in an earlier version, as a new version.
    RestoreVersion = "item.restore-version" -> ItemDetail {
        /// Name or id.
        item: String,
        /// From 1.
        version: u32,
    }
    /// The environments that are open to whoever unlocked.
    ListEnvironments = "environment.list" -> Vec<EnvironmentSummary> {}
    /// Makes an environment. A touch of the device, or the passphrase.
    AddEnvironment = "environment.add" -> EnvironmentSummary {
        /// Display name, unique.
        name: String,
    }
    /// Gives an environment another name. References by the old name end.
    RenameEnvironment = "environment.rename" -> EnvironmentSummary {
        /// Name or id.
        environment: String,
        /// The new name.
        name: String,
    }
    /// Sets what the venue calls a key, once the venue has given it a name.
    SetApiKey = "item.set-api-key" -> ItemSummary {
        /// Name or id.
        item: String,
        /// The venue's name for it.
        api_key: String,
    }
    /// Removes an item for good, with its earlier versions. Backups still have it.
    RemoveItem = "item.remove" -> Done {
        /// Name or id.
        item: String,
    }
    /// Seals again what an enrolled device cannot open yet. A touch for each.
    ResealItems = "item.reseal" -> Vec<ItemSummary> {
        /// Names or ids; all that are behind where empty.
        items: Vec<String>,
    }
    /// The public key of a device-held key, as the venue wants it uploaded.
    ExportPublicKey = "item.public-key" -> PublicKey {
        /// Name or id.
        item: String,
        /// `pem`, `base64`, `hex`, `address`; what the venue takes where absent.
        form: Option<String>,
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
    /// A key that is made on a device and never leaves it.
    OnDevice {
        /// Which.
        key: NewKey,
    },
    /// Put into a device, which from then on uses it and does not give it out. No copy stays in the vault.
    IntoDevice {
        /// The secret, as the venue handed it out.
        value: SecretText,
        /// Where and how.
        key: NewKey,
    },
}

/// A key on a device that is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewKey {
    /// Which enrolled device, by its id or serial number; the one that unlocked where absent.
    pub device: Option<String>,
    /// `ed25519`, `p256`, `rsa2048`, `secp256k1`; the best that the venue takes and the device can where absent.
    pub algorithm: Option<String>,
    /// `never`, `cached`, `always`. Keys that move money or make keys are always touched; others never, where absent.
    pub touch: Option<String>,
}

/// Items in one answer at most, so that it fits into a frame; fewer where their texts are long.
pub const MOST_ITEMS: u32 = 5000;

impl AddItem {
    /// An item of a kind, with nothing in it yet.
    #[must_use]
    pub fn new(kind: &str, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            environment: None,
            tags: Vec::new(),
            fields: BTreeMap::new(),
            secrets: BTreeMap::new(),
            rotate_after_days: None,
            created: None,
            plaintext_seen: false,
        }
    }

    /// With one more plain field.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// With one more secret.
    #[must_use]
    pub fn secret(mut self, name: &str, secret: NewSecret) -> Self {
        self.secrets.insert(name.into(), secret);
        self
    }
}

/// What items are to fit; everything where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ItemFilter {
    /// Letters that its name, venue, tags or key set have in this order.
    pub query: Option<String>,
    /// The kind.
    pub kind: Option<String>,
    /// Tags that it has, all of them.
    pub tags: Vec<String>,
    /// The venue.
    pub venue: Option<String>,
    /// The environment's name or id.
    pub environment: Option<String>,
    /// Only what is in the trash; else only what is not.
    pub trash: bool,
    /// At most this many; [`MOST_ITEMS`] where nothing or more is said.
    pub limit: Option<u32>,
}

/// Items that were found, as many as an answer takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundItems {
    /// They.
    pub items: Vec<ItemSummary>,
    /// There are more behind the last one.
    pub more: bool,
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
    /// `exchange-key`, `api-key`, `oauth-client`, `otp-seed`, `ssh-key`, `note`, `login`.
    pub kind: String,
    /// The display name of its environment.
    pub environment: String,
    /// Words to find it by, in order.
    pub tags: Vec<String>,
    /// When it was put into the trash.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub trashed: Option<UnixMillis>,
    /// When it was seen in plaintext: to be rotated.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub plaintext_seen: Option<UnixMillis>,
    /// Its venue; empty for other kinds than exchange keys, as the next two.
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
    /// When it ends by itself at its venue or service.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub expires: Option<UnixMillis>,
    /// Other items with the same API key at this venue: the rights of the key are those of all. Said where one item is added,
    /// changed or looked at, and not in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(skip))]
    pub same_key: Vec<String>,
}

/// Everything of an item but its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemDetail {
    /// In short.
    pub summary: ItemSummary,
    /// How it is referred to, without the field: `tk://prod/trade`.
    pub reference: String,
    /// Plain fields, in the order in which they are shown.
    pub fields: Vec<PlainField>,
    /// Secret fields, the chief one first.
    pub secrets: Vec<SecretField>,
    /// The key on a device, where its chief secret is one.
    pub device_key: Option<DeviceKey>,
    /// Which version it is, from 1.
    pub version: u32,
    /// Secret fields that two writers gave different values without knowing of each other.
    pub conflicts: Vec<String>,
}

/// A plain field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainField {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A secret field, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretField {
    /// Its name.
    pub name: String,
    /// `stored`, `sealed`, `on-device`.
    pub place: String,
    /// What devices that open it are called, where it is sealed; the one that holds it, where it is on a device.
    pub devices: Vec<String>,
}

/// A version of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemVersion {
    /// From 1.
    pub version: u32,
    /// When it came to be.
    pub at: Option<UnixMillis>,
    /// The display name of who made it.
    pub by: Option<String>,
    /// Fields that it changed; none of the first, and of one whose forerunner is not kept.
    pub changed: Vec<String>,
    /// Whether it is the present one.
    pub is_current: bool,
    /// Whether it can be had back.
    pub is_kept: bool,
}

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentSummary {
    /// Its id.
    pub id: EnvironmentId,
    /// Its display name.
    pub name: String,
    /// How many items it has, those in the trash not counted.
    pub items: u32,
    /// Whether new items come into it where none is named.
    pub is_default: bool,
}

/// A key on a device, as it was when it came to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceKey {
    /// Which: the slot of a PIV key, the CKA_ID of a token's.
    pub key: String,
    /// Its kind: `Ed25519`, `HMAC-SHA512`.
    pub algorithm: String,
    /// `never`, `cached`, `always`.
    pub touch: String,
    /// Whether it was made elsewhere and put there: whoever had it then may have it still.
    pub imported: bool,
    /// Whose signature says that it was made in a device and nowhere else; none where nobody says it.
    pub attested: Option<String>,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// SubjectPublicKeyInfo (RFC 5280) in PEM (RFC 7468).
    pub pem: String,
    /// `pem`, `base64`, `hex`, `address`: the form of the next.
    pub form: String,
    /// The key in that form.
    pub text: String,
    /// What to do with it at the venue.
    pub steps: Option<String>,
}
