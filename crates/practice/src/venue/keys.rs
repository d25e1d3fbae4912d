//! The keys that the venue has given out: for which dialect, what they may do, from where, and how they sign.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::account::Owner;
use super::credential::{Credential, KeyType, Made, NewKeyError};

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Permission {
    Read,
    Trade,
    Withdraw,
    /// Move money between the customer's own accounts.
    Transfer,
}

/// Which kind of exchange a key is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum For {
    #[default]
    Binance,
    Kraken,
    Coinbase,
}

/// The form that a customer fills in to get a key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    pub(crate) label: String,
    #[serde(default)]
    pub(crate) dialect: For,
    #[serde(rename = "type")]
    pub(crate) key_type: KeyType,
    pub(crate) public_key_pem: Option<String>,
    pub(crate) permissions: Vec<Permission>,
    #[serde(default)]
    pub(crate) ips: Vec<IpAddr>,
    /// The sub-account that it is for, by e-mail address; nothing said is the customer's own.
    pub(crate) account: Option<String>,
}

/// What can be changed about a key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    pub(crate) permissions: Option<Vec<Permission>>,
    pub(crate) ips: Option<Vec<IpAddr>>,
}

/// One registered key.
pub(crate) struct Key {
    pub(crate) api_key: String,
    pub(crate) dialect: For,
    pub(crate) credential: Credential,
    pub(crate) created_ms: u64,
    pub(crate) changed_ms: u64,
    pub(crate) label: String,
    pub(crate) owner: Owner,
    pub(crate) key_type: KeyType,
    pub(crate) permissions: Vec<Permission>,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) last_used_ms: Option<u64>,
    /// The highest nonce that was accepted (Kraken).
    pub(crate) nonce: u64,
}

impl Key {
    /// May it be used for this?
    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }

    /// Is it bound to addresses?
    pub(crate) fn has_ip_list(&self) -> bool {
        !self.ips.is_empty()
    }

    /// May it be used from here?
    pub(crate) fn may_come_from(&self, peer: IpAddr) -> bool {
        self.ips.is_empty() || self.ips.contains(&peer)
    }

    /// As the web site shows it, without its secret.
    pub(crate) fn public(&self) -> Value {
        json!({
            "api_key": self.api_key,
            "dialect": self.dialect,
            "label": self.label,
            "type": self.key_type,
            "permissions": self.permissions,
            "ips": self.ips,
            "account": match &self.owner {
                Owner::Master => None,
                Owner::Sub(email) => Some(email),
            },
            "created_ms": self.created_ms,
            "last_used_ms": self.last_used_ms,
        })
    }
}

/// All registered keys.
#[derive(Default)]
pub(crate) struct Keys(BTreeMap<String, Key>);

impl Keys {
    /// Registers a key; its secret, where the venue makes one, is given out this once.
    pub(crate) fn create(
        &mut self,
        form: NewKey,
        now_ms: u64,
    ) -> Result<(String, Option<String>), NewKeyError> {
        let Made {
            api_key,
            credential,
            secret,
        } = Made::new(form.dialect, form.key_type, form.public_key_pem.as_deref())?;
        let key = Key {
            api_key: api_key.clone(),
            dialect: form.dialect,
            credential,
            created_ms: now_ms,
            changed_ms: now_ms,
            label: form.label,
            owner: form.account.map_or(Owner::Master, Owner::Sub),
            key_type: form.key_type,
            permissions: form.permissions,
            ips: form.ips,
            last_used_ms: None,
            nonce: 0,
        };
        // The name is as random as the secret: it is not there yet.
        self.0.insert(api_key.clone(), key);
        Ok((api_key, secret))
    }

    /// Changes what a key may do or where it may come from; nothing if there is no such key.
    pub(crate) fn change(&mut self, api_key: &str, change: Change, now_ms: u64) -> Option<&Key> {
        let key = self.0.get_mut(api_key)?;
        key.permissions = change
            .permissions
            .unwrap_or_else(|| key.permissions.clone());
        key.ips = change.ips.unwrap_or_else(|| key.ips.clone());
        key.changed_ms = now_ms;
        Some(key)
    }

    /// Takes a key away; false if there was none.
    pub(crate) fn delete(&mut self, api_key: &str) -> bool {
        self.0.remove(api_key).is_some()
    }

    /// All keys without their secrets.
    pub(crate) fn list(&self) -> Value {
        self.0.values().map(Key::public).collect()
    }

    /// All keys of an owner.
    pub(crate) fn of<'a>(&'a self, owner: &'a Owner) -> impl Iterator<Item = &'a Key> {
        self.0.values().filter(move |key| key.owner == *owner)
    }

    /// The key of this name, as the web site shows it.
    pub(crate) fn shown(&self, api_key: &str) -> Option<Value> {
        self.0.get(api_key).map(Key::public)
    }

    /// The key of this name, if it is for that kind of exchange.
    pub(crate) fn find(&self, dialect: For, api_key: &str) -> Option<&Key> {
        let key = self.0.get(api_key)?;
        (key.dialect == dialect).then_some(key)
    }

    /// The same, to change.
    pub(crate) fn find_mut(&mut self, dialect: For, api_key: &str) -> Option<&mut Key> {
        let key = self.0.get_mut(api_key)?;
        (key.dialect == dialect).then_some(key)
    }

    /// Notes that a signed request of this key was accepted.
    pub(crate) fn used(&mut self, api_key: &str, now_ms: u64) {
        if let Some(key) = self.0.get_mut(api_key) {
            key.last_used_ms = Some(now_ms);
        }
    }
}

/// Random letters and digits, each as likely as the others; nothing if the system has no randomness.
pub(crate) fn random_text(characters: usize) -> Option<String> {
    let mut text = String::with_capacity(characters);
    while text.len() < characters {
        let mut bytes = [0_u8; 64];
        getrandom::fill(&mut bytes).ok()?;
        // 248 is the largest multiple of 62 below 256: above it some letters would be likelier.
        let fair = bytes.iter().filter(|&&b| b < 248);
        let letters = fair.filter_map(|&b| ALPHABET.get(usize::from(b) % ALPHABET.len()));
        text.extend(
            letters
                .take(characters - text.len())
                .map(|&b| char::from(b)),
        );
    }
    Some(text)
}
