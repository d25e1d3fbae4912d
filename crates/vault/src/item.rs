//! Items: what the vault knows of one credential, and how that is written as fields.

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IntoDeserializer, value::StrDeserializer},
};
use touchkeep_container::{
    SECRET_FIELD, Value,
    state::{ItemState, STORED},
};
use touchkeep_core::{DeviceId, EnvironmentId, Id, ItemId, UnixMillis};
use touchkeep_device::KeyRef;
use touchkeep_venue::KeyClass;
use zeroize::Zeroizing;

/// Bytes that one field may have.
pub const MAX_FIELD_BYTES: usize = 64 << 10;

/// How requests with this credential are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMethod {
    /// HMAC with SHA-256, over a secret that the venue made.
    HmacSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaSha256,
    /// Ed25519.
    Ed25519,
}

/// Where the secret half is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretPlace {
    /// Nowhere yet.
    Missing,
    /// In the environment's ciphertext: readable while the vault is unlocked.
    Stored,
    /// Encrypted straight to devices: opened for one use.
    Sealed,
    /// A key on a device; it never leaves it.
    OnDevice {
        /// Which device.
        device: DeviceId,
        /// Which key.
        key: KeyRef,
    },
}

/// One credential; nothing here is secret but by being in the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: ItemId,
    /// The environment that it is in. It never moves.
    pub environment: EnvironmentId,
    /// What a person calls it.
    pub name: String,
    /// The venue, as dialects name it.
    pub venue: String,
    /// The venue account's name: the keys of one account are a set.
    pub key_set: String,
    /// What the key may do.
    pub class: KeyClass,
    /// How it signs.
    pub auth: AuthMethod,
    /// The public half, as the venue printed it.
    pub api_key: String,
    /// Where the secret half is.
    pub secret: SecretPlace,
    /// An address other than the venue's own; in practice vaults only.
    pub base_url: Option<String>,
    /// When it was made.
    pub created: UnixMillis,
    /// After how many days it is to be rotated.
    pub rotate_after_days: Option<u32>,
    /// Anything.
    pub note: String,
    /// The devices that open its sealed secret, as of when it was sealed. Set by sealing alone.
    pub sealed_to: Vec<DeviceId>,
}

const SEALED: &str = "sealed:";
const DEVICE: &str = "device:";

/// The secret field's text for a value that is stored.
pub(crate) fn stored(secret: &str) -> Value {
    // EXPOSE: into memory that is wiped; written once, at its full length.
    let mut text = Zeroizing::new(String::with_capacity(STORED.len() + secret.len()));
    text.push_str(STORED);
    text.push_str(secret);
    Value::new(text)
}

/// The secret field's text for a value that is sealed.
pub(crate) fn sealed(revision: Id) -> Value {
    Value::new(Zeroizing::new(format!("{SEALED}{revision}")))
}

/// What the secret field's text says.
pub(crate) enum Secret<'a> {
    Stored(&'a str),
    Sealed(Id),
    OnDevice(DeviceId, KeyRef),
}

/// Reads the secret field's text.
pub(crate) fn secret(text: &str) -> Option<Secret<'_>> {
    if let Some(secret) = text.strip_prefix(STORED) {
        Some(Secret::Stored(secret))
    } else if let Some(revision) = text.strip_prefix(SEALED) {
        Some(Secret::Sealed(revision.parse().ok()?))
    } else {
        let (device, key) = text.strip_prefix(DEVICE)?.split_once(':')?;
        Some(Secret::OnDevice(device.parse().ok()?, KeyRef(key.into())))
    }
}

impl SecretPlace {
    /// The secret field's text, where the place alone says it.
    pub(crate) fn to_value(&self) -> Option<Value> {
        let Self::OnDevice { device, key } = self else {
            return None;
        };
        Some(Value::new(Zeroizing::new(format!(
            "{DEVICE}{device}:{}",
            key.0
        ))))
    }

    fn of(text: &str) -> Option<Self> {
        Some(match secret(text)? {
            Secret::Stored(_) => Self::Stored,
            Secret::Sealed(_) => Self::Sealed,
            Secret::OnDevice(device, key) => Self::OnDevice { device, key },
        })
    }
}

impl Item {
    /// All its fields but the secret, by name; empty ones are `None`.
    pub(crate) fn fields(&self) -> [(&'static str, Option<String>); 10] {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        [
            ("name", text(&self.name)),
            ("venue", text(&self.venue)),
            ("key-set", text(&self.key_set)),
            ("class", word(&self.class)),
            ("auth", word(&self.auth)),
            ("api-key", text(&self.api_key)),
            ("base-url", self.base_url.clone()),
            ("created", Some(self.created.0.to_string())),
            (
                "rotate-after-days",
                self.rotate_after_days.map(|days| days.to_string()),
            ),
            ("note", text(&self.note)),
        ]
    }

    /// Reads an item; `None` when something that it needs is missing or of a version that is not known here.
    pub(crate) fn read(
        id: ItemId,
        environment: EnvironmentId,
        state: &ItemState<'_>,
    ) -> Option<Self> {
        let mut item = Self {
            id,
            environment,
            name: String::new(),
            venue: String::new(),
            key_set: String::new(),
            class: KeyClass::Read,
            auth: AuthMethod::HmacSha256,
            api_key: String::new(),
            secret: SecretPlace::Missing,
            base_url: None,
            created: UnixMillis(0),
            rotate_after_days: None,
            note: String::new(),
            sealed_to: Vec::new(),
        };
        let (mut class, mut auth, mut created) = (None, None, None);
        for (field, text) in state.fields() {
            // EXPOSE: fields that are not secret; a stored secret is blotted out here.
            let text = text.to_text();
            match field {
                "name" => item.name = text,
                "venue" => item.venue = text,
                "key-set" => item.key_set = text,
                "class" => class = Some(of_word(&text)?),
                "auth" => auth = Some(of_word(&text)?),
                "api-key" => item.api_key = text,
                "base-url" => item.base_url = Some(text),
                "created" => created = Some(UnixMillis(text.parse().ok()?)),
                "rotate-after-days" => item.rotate_after_days = Some(text.parse().ok()?),
                "note" => item.note = text,
                SECRET_FIELD => item.secret = SecretPlace::of(&text)?,
                "sealed-to" => item.sealed_to = devices(&text)?,
                // A field of a newer version: kept in the file, not shown.
                _ => {}
            }
        }
        item.class = class?;
        item.auth = auth?;
        item.created = created?;
        (!item.name.is_empty()).then_some(item)
    }
}

fn devices(text: &str) -> Option<Vec<DeviceId>> {
    text.split(' ').map(|id| id.parse().ok()).collect()
}

fn word<T: Serialize>(value: &T) -> Option<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Some(word),
        _ => None,
    }
}

fn of_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    let word: StrDeserializer<'_, serde::de::value::Error> = word.into_deserializer();
    T::deserialize(word).ok()
}
