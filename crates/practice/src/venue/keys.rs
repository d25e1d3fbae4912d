//! The keys that the venue's web site has given out: what they may do, from where, and how they sign.

use std::collections::BTreeMap;
use std::net::IpAddr;

use rsa::RsaPublicKey;
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::signature::Credential;

const KEY_CHARACTERS: usize = 64;
const MIN_RSA_BITS: usize = 2048;
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Permission {
    Read,
    Trade,
    Withdraw,
}

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyType {
    Hmac,
    Rsa,
}

/// The form that a customer fills in to get a key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    label: String,
    #[serde(rename = "type")]
    key_type: KeyType,
    public_key_pem: Option<String>,
    permissions: Vec<Permission>,
    #[serde(default)]
    ips: Vec<IpAddr>,
}

/// Why a form was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NewKeyError {
    #[error("an RSA key needs public_key_pem, an HMAC key has none")]
    PublicKeyPresence,
    #[error("public_key_pem is not a SubjectPublicKeyInfo of an RSA key in PEM")]
    PublicKeyFormat,
    #[error("the RSA key has {bits} bits, at least {MIN_RSA_BITS} are needed")]
    PublicKeySize { bits: usize },
    #[error("the system gave no randomness")]
    Randomness,
}

/// One registered key.
pub(crate) struct Key {
    pub(crate) api_key: String,
    pub(crate) credential: Credential,
    pub(crate) created_ms: u64,
    label: String,
    key_type: KeyType,
    permissions: Vec<Permission>,
    ips: Vec<IpAddr>,
    last_used_ms: Option<u64>,
}

impl Key {
    /// May it be used for this? Without a permission asked for, any known key will do.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }

    /// Is it bound to addresses?
    pub(crate) fn has_ip_list(&self) -> bool {
        !self.ips.is_empty()
    }

    fn may_come_from(&self, peer: IpAddr) -> bool {
        self.ips.is_empty() || self.ips.contains(&peer)
    }

    fn public(&self) -> Value {
        json!({
            "api_key": self.api_key,
            "label": self.label,
            "type": self.key_type,
            "permissions": self.permissions,
            "ips": self.ips,
            "created_ms": self.created_ms,
            "last_used_ms": self.last_used_ms,
        })
    }
}

/// All registered keys.
#[derive(Default)]
pub(crate) struct Keys(BTreeMap<String, Key>);

impl Keys {
    /// Registers a key; the answer shows an HMAC secret this once.
    pub(crate) fn create(&mut self, form: NewKey, now_ms: u64) -> Result<Value, NewKeyError> {
        let api_key = random_text(KEY_CHARACTERS).ok_or(NewKeyError::Randomness)?;
        let (credential, secret) = match (form.key_type, form.public_key_pem) {
            (KeyType::Hmac, None) => {
                let secret = random_text(KEY_CHARACTERS).ok_or(NewKeyError::Randomness)?;
                (Credential::Hmac(secret.clone()), Some(secret))
            }
            (KeyType::Rsa, Some(pem)) => (Credential::Rsa(Box::new(rsa_key(&pem)?)), None),
            _ => return Err(NewKeyError::PublicKeyPresence),
        };
        let key = Key {
            api_key: api_key.clone(),
            credential,
            created_ms: now_ms,
            label: form.label,
            key_type: form.key_type,
            permissions: form.permissions,
            ips: form.ips,
            last_used_ms: None,
        };
        let mut shown = key.public();
        if let (Some(shown), Some(secret)) = (shown.as_object_mut(), secret) {
            shown.insert("secret".to_owned(), secret.into());
        }
        self.0.insert(api_key, key);
        Ok(shown)
    }

    /// Takes a key away; false if there was none.
    pub(crate) fn delete(&mut self, api_key: &str) -> bool {
        self.0.remove(api_key).is_some()
    }

    /// All keys without their secrets.
    pub(crate) fn list(&self) -> Value {
        self.0.values().map(Key::public).collect()
    }

    /// The key of a request, if it is well formed, known, and may come from that address.
    pub(crate) fn find(&self, api_key: &str, peer: IpAddr) -> Result<&Key, Refusal> {
        let well_formed =
            api_key.len() == KEY_CHARACTERS && api_key.bytes().all(|b| b.is_ascii_alphanumeric());
        if !well_formed {
            return Err(Refusal::KeyFormat);
        }
        match self.0.get(api_key) {
            Some(key) if key.may_come_from(peer) => Ok(key),
            _ => Err(Refusal::Key),
        }
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

fn rsa_key(pem: &str) -> Result<RsaPublicKey, NewKeyError> {
    let key = RsaPublicKey::from_public_key_pem(pem).map_err(|_| NewKeyError::PublicKeyFormat)?;
    let bits = key.size() * 8;
    if bits < MIN_RSA_BITS {
        return Err(NewKeyError::PublicKeySize { bits });
    }
    Ok(key)
}
