//! Items: what the vault knows of one credential, and how that is written as fields.

use std::collections::{BTreeMap, BTreeSet};

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IntoDeserializer, value::StrDeserializer},
};
use touchkeep_container::{
    SECRET_FIELD, SECRET_PREFIX, Value,
    state::{ItemState, STORED},
};
use touchkeep_core::{DeviceId, EnvironmentId, Id, ItemId, UnixMillis, reference::is_field_name};
use touchkeep_device::KeyRef;
use touchkeep_venue::KeyClass;
use zeroize::Zeroizing;

/// Bytes that one field may have.
pub const MAX_FIELD_BYTES: usize = 64 << 10;
/// Bytes that a name may have which is given from now on; a field has room for those of before.
pub const MAX_NAME_BYTES: usize = 1 << 10;
/// Plain fields of one item beside those that have a place of their own, and secret ones beside the chief secret.
pub const MAX_EXTRA_FIELDS: usize = 48;
/// Tags of one item.
pub const MAX_TAGS: usize = 32;

/// What an item is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ItemKind {
    /// A key of a venue that requests are signed with. What an item without a kind is.
    #[default]
    ExchangeKey,
    /// A key that a program shows to a service.
    ApiKey,
    /// An OAuth client and its tokens.
    OauthClient,
    /// The seed of one-time codes (RFC 6238).
    OtpSeed,
    /// An SSH key, or another key in PEM.
    SshKey,
    /// A text.
    Note,
    /// A name and a password.
    Login,
}

impl ItemKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ExchangeKey,
        Self::ApiKey,
        Self::OauthClient,
        Self::OtpSeed,
        Self::SshKey,
        Self::Note,
        Self::Login,
    ];

    /// Its word, as files and people write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ExchangeKey => "exchange-key",
            Self::ApiKey => "api-key",
            Self::OauthClient => "oauth-client",
            Self::OtpSeed => "otp-seed",
            Self::SshKey => "ssh-key",
            Self::Note => "note",
            Self::Login => "login",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// Plain fields that have a name of their own in the file. Others are written as `x.<name>`.
const KNOWN: [&str; 19] = [
    "algorithm",
    "client-id",
    "consumers",
    "data-reach",
    "digits",
    "expires",
    "host",
    "ips",
    "issuer",
    "owner",
    "period",
    "permissions",
    "public-key",
    "rotation-class",
    "scopes",
    "token-url",
    "url",
    "username",
    "website",
];
pub(crate) const CUSTOM: &str = "x.";

/// Names that no field of a person's own may have: they are an item's parts, or what a reference means something else by.
const TAKEN: [&str; 16] = [
    "api-key",
    "auth",
    "base-url",
    "class",
    "created",
    "id",
    "key-set",
    "kind",
    "name",
    "note",
    "otp",
    "plaintext-seen",
    "rotate-after-days",
    "secret",
    "tags",
    "venue",
];

/// How requests with this credential are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMethod {
    /// HMAC with SHA-256, over a secret that the venue made.
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaSha256,
    /// Ed25519.
    Ed25519,
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256,
    /// ECDSA on secp256k1, over a digest.
    Secp256k1,
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

/// A secret field beside the chief one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FurtherSecret {
    /// Where it is; never missing.
    pub place: SecretPlace,
    /// As [`Item::sealed_to`].
    pub sealed_to: Vec<DeviceId>,
}

/// One credential; nothing here is secret but by being in the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: ItemId,
    /// The environment that it is in. It never moves.
    pub environment: EnvironmentId,
    /// What it is. It never changes.
    pub kind: ItemKind,
    /// What a person calls it.
    pub name: String,
    /// Words to find it by.
    pub tags: BTreeSet<String>,
    /// When it was thrown away, if it was: it is not used, and can be taken back.
    pub trashed: Option<UnixMillis>,
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
    /// When it was seen in plaintext, if it was: whoever could read that may have it, so it is to be rotated.
    pub plaintext_seen: Option<UnixMillis>,
    /// Further plain fields, by name.
    pub fields: BTreeMap<String, String>,
    /// Further secret fields, by name. Set by storing, sealing and clearing them alone.
    pub secrets: BTreeMap<String, FurtherSecret>,
}

/// The field in the file of a plain field's name.
pub(crate) fn file_key(field: &str) -> String {
    if KNOWN.contains(&field) || TAKEN.contains(&field) {
        field.to_owned()
    } else {
        format!("{CUSTOM}{field}")
    }
}

/// The field in the file of a secret field's name.
pub(crate) fn secret_key(field: &str) -> String {
    match field {
        SECRET_FIELD => SECRET_FIELD.to_owned(),
        further => format!("{SECRET_PREFIX}{further}"),
    }
}

/// The field in the file that says to which devices a secret field is sealed.
pub(crate) fn sealed_to_key(field: &str) -> String {
    match field {
        SECRET_FIELD => SEALED_TO.to_owned(),
        further => format!("{SEALED_TO}.{further}"),
    }
}

/// The secret field whose devices a field in the file names.
pub(crate) fn sealed_to_name(key: &str) -> Option<&str> {
    match key.strip_prefix(SEALED_TO)? {
        "" => Some(SECRET_FIELD),
        further => further.strip_prefix('.'),
    }
}

/// The name of the secret field that a field in the file is; none where it is an earlier version of one, or not secret.
pub(crate) fn secret_name(key: &str) -> Option<&str> {
    if key == SECRET_FIELD {
        return Some(key);
    }
    let further = key.strip_prefix(SECRET_PREFIX)?;
    (further != SECRET_FIELD && is_field_name(further)).then_some(further)
}

const SEALED_TO: &str = "sealed-to";

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
    /// A new one, of which nothing is known but what it is.
    #[must_use]
    pub fn new(environment: EnvironmentId, kind: ItemKind, name: String) -> Self {
        Self::empty(ItemId::random(), environment, kind, name)
    }

    fn empty(id: ItemId, environment: EnvironmentId, kind: ItemKind, name: String) -> Self {
        Self {
            id,
            environment,
            kind,
            name,
            tags: BTreeSet::new(),
            trashed: None,
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
            plaintext_seen: None,
            fields: BTreeMap::new(),
            secrets: BTreeMap::new(),
        }
    }

    /// Whether requests to a venue may be signed with it.
    #[must_use]
    pub fn is_signing_key(&self) -> bool {
        self.kind == ItemKind::ExchangeKey && self.trashed.is_none()
    }

    /// Where a secret field is; none where it has no such field.
    #[must_use]
    pub fn place(&self, field: &str) -> Option<&SecretPlace> {
        match field {
            SECRET_FIELD => Some(&self.secret).filter(|place| **place != SecretPlace::Missing),
            further => self.secrets.get(further).map(|secret| &secret.place),
        }
    }

    /// Its secret fields and where they are, the chief one first.
    pub fn places(&self) -> impl Iterator<Item = (&str, &SecretPlace)> {
        let chief = self.place(SECRET_FIELD).map(|place| (SECRET_FIELD, place));
        let further = self.secrets.iter();
        chief
            .into_iter()
            .chain(further.map(|(name, secret)| (name.as_str(), &secret.place)))
    }

    /// The devices that open a secret field, as of when it was sealed.
    #[must_use]
    pub fn sealed_to(&self, field: &str) -> &[DeviceId] {
        match field {
            SECRET_FIELD => &self.sealed_to,
            further => self
                .secrets
                .get(further)
                .map_or(&[], |secret| &secret.sealed_to),
        }
    }

    /// The plain fields that a person sees and a reference can name, but the item's name; empty ones are left out.
    #[must_use]
    pub fn plain(&self) -> Vec<(&str, String)> {
        let own = self.own_fields().into_iter();
        let own = own.filter(|(name, _)| !matches!(*name, "name" | "tags" | "trashed" | "kind"));
        let own = own.filter_map(|(name, value)| Some((name, value?)));
        let further = self.fields.iter();
        own.chain(further.map(|(name, value)| (name.as_str(), value.clone())))
            .collect()
    }

    /// A plain field that a person sees, by name.
    #[must_use]
    pub fn plain_field(&self, field: &str) -> Option<String> {
        if field == "name" {
            return Some(self.name.clone());
        }
        let mut plain = self.plain().into_iter();
        plain.find(|(name, _)| *name == field).map(|(_, text)| text)
    }

    /// Whether a person may name a field of his own so.
    #[must_use]
    pub fn may_be_called(field: &str) -> bool {
        is_field_name(field) && !TAKEN.contains(&field)
    }

    // What has a place of its own.
    fn own_fields(&self) -> [(&'static str, Option<String>); 14] {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let is_exchange = self.kind == ItemKind::ExchangeKey;
        let time = |time: UnixMillis| time.0.to_string();
        let tags: Vec<&str> = self.tags.iter().map(String::as_str).collect();
        [
            ("name", text(&self.name)),
            ("kind", (!is_exchange).then(|| self.kind.word().to_owned())),
            ("tags", text(&tags.join(" "))),
            ("trashed", self.trashed.map(time)),
            ("venue", text(&self.venue)),
            ("key-set", text(&self.key_set)),
            ("class", word(&self.class).filter(|_| is_exchange)),
            ("auth", word(&self.auth).filter(|_| is_exchange)),
            ("api-key", text(&self.api_key)),
            ("base-url", self.base_url.clone()),
            ("created", Some(time(self.created))),
            (
                "rotate-after-days",
                self.rotate_after_days.map(|days| days.to_string()),
            ),
            ("note", text(&self.note)),
            ("plaintext-seen", self.plaintext_seen.map(time)),
        ]
    }

    /// All its fields in the file but secrets and what belongs to them; empty ones are left out.
    pub(crate) fn file_fields(&self) -> BTreeMap<String, String> {
        let own = self.own_fields().into_iter();
        let own = own.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let further = self.fields.iter();
        let further = further.map(|(name, value)| (file_key(name), value.clone()));
        own.chain(further).collect()
    }

    /// Reads an item; `None` when something that it needs is missing or of a version that is not known here.
    pub(crate) fn read(
        id: ItemId,
        environment: EnvironmentId,
        state: &ItemState<'_>,
    ) -> Option<Self> {
        let mut item = Self::empty(id, environment, ItemKind::ExchangeKey, String::new());
        let (mut needed, mut sealed_to) = (BTreeSet::new(), Vec::new());
        for (field, text) in state.fields() {
            // Earlier versions are put together when somebody looks at them.
            if crate::versions::is_of_versions(field) {
                continue;
            }
            // EXPOSE: fields that are not secret; a stored secret is blotted out here.
            let text = text.to_text();
            if NEEDED.contains(&field) {
                needed.insert(field);
            }
            match field.strip_prefix("sealed-to.") {
                Some(name) => sealed_to.push((name, devices(&text)?)),
                None => item.take(field, Some(text))?,
            }
        }
        for (field, devices) in sealed_to {
            if let Some(secret) = item.secrets.get_mut(field) {
                secret.sealed_to = devices;
            }
        }
        let has = |field| needed.contains(field);
        let is_whole =
            has("created") && (item.kind != ItemKind::ExchangeKey || has("class") && has("auth"));
        (is_whole && !item.name.is_empty()).then_some(item)
    }

    /// Takes over one field of the file, or that it is empty.
    pub(crate) fn take(&mut self, key: &str, text: Option<String>) -> Option<()> {
        let is_empty = text.is_none();
        let text = text.unwrap_or_default();
        let time = || text.parse().ok().map(UnixMillis);
        match key {
            "name" => self.name = text,
            "kind" => self.kind = ItemKind::of_word(&text)?,
            "tags" => {
                self.tags = text
                    .split(' ')
                    .filter(|tag| !tag.is_empty())
                    .map(str::to_owned)
                    .collect()
            }
            "trashed" => self.trashed = if is_empty { None } else { Some(time()?) },
            "venue" => self.venue = text,
            "key-set" => self.key_set = text,
            "class" => self.class = of_word(&text)?,
            "auth" => self.auth = of_word(&text)?,
            "api-key" => self.api_key = text,
            "base-url" => self.base_url = (!is_empty).then_some(text),
            "created" => self.created = time()?,
            "rotate-after-days" => {
                self.rotate_after_days = if is_empty {
                    None
                } else {
                    Some(text.parse().ok()?)
                };
            }
            "note" => self.note = text,
            "plaintext-seen" => self.plaintext_seen = if is_empty { None } else { Some(time()?) },
            SECRET_FIELD => self.secret = SecretPlace::of(&text)?,
            SEALED_TO => self.sealed_to = devices(&text)?,
            _ => self.take_further(key, (!is_empty).then_some(text))?,
        }
        Some(())
    }

    // A field of a newer version is kept in the file and not shown.
    fn take_further(&mut self, key: &str, text: Option<String>) -> Option<()> {
        let custom = key.strip_prefix(CUSTOM).filter(|name| is_field_name(name));
        let plain = custom.or(Some(key).filter(|key| KNOWN.contains(key)));
        match (plain, secret_name(key), text) {
            (Some(name), _, Some(text)) => drop(self.fields.insert(name.to_owned(), text)),
            (Some(name), _, None) => drop(self.fields.remove(name)),
            (None, Some(name), Some(text)) => {
                let further = FurtherSecret {
                    place: SecretPlace::of(&text)?,
                    sealed_to: Vec::new(),
                };
                self.secrets.insert(name.to_owned(), further);
            }
            (None, ..) => {}
        }
        Some(())
    }
}

// Without these an item of that kind is none.
const NEEDED: [&str; 3] = ["created", "class", "auth"];

pub(crate) fn devices(text: &str) -> Option<Vec<DeviceId>> {
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
