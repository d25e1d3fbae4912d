//! What a secret checks signatures with.

use aws_lc_rs::{
    hmac,
    signature::{ED25519, ParsedPublicKey},
};
use data_encoding::BASE64;
use touchkeep_core::ApiSecret;
use zeroize::Zeroizing;

use crate::Scheme;

const SYMMETRIC: &str = "whsec_";
const PUBLIC: &str = "whpk_";
const PRIVATE: &str = "whsk_";
// The standard's own bounds: 192 to 512 bits.
const STANDARD_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const ED25519_BYTES: usize = 32;

/// A secret, or a sender's public key, made ready to check signatures of one scheme. `Debug` hides it.
pub struct Key {
    pub(crate) scheme: Scheme,
    pub(crate) checks: Checks,
}

pub(crate) enum Checks {
    Hmac(Box<hmac::Key>),
    Ed25519(ParsedPublicKey),
}

/// A secret cannot be used for its scheme. What it is stays unsaid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadKey {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// Not one of the standard's.
    #[error("a secret of this scheme begins with whsec_ or, where it is a public key, with whpk_")]
    Prefix,
    /// The sender's own key.
    #[error(
        "it is the sender's private key, which nobody else should have; checking needs the public one, whpk_"
    )]
    Private,
    /// What follows the prefix is no key.
    #[error("what follows its prefix is not base64 of 24 to 64 bytes, or of an Ed25519 key's 32")]
    Encoding,
}

impl Key {
    /// Reads a secret as the sender's console shows it. A line's end after it is not part of it.
    ///
    /// # Errors
    /// When it is none of this scheme's.
    pub fn read(scheme: Scheme, secret: &ApiSecret) -> Result<Self, BadKey> {
        // EXPOSE: to the primitive that checks with it.
        let text = secret.expose().trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(BadKey::Empty);
        }
        let checks = match scheme {
            Scheme::Standard => standard(text)?,
            // Stripe's prefix is part of what it signs with.
            _ => hmac_key(text.as_bytes()),
        };
        Ok(Self { scheme, checks })
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}, hidden)", self.scheme.word())
    }
}

fn standard(text: &str) -> Result<Checks, BadKey> {
    if text.starts_with(PRIVATE) {
        return Err(BadKey::Private);
    }
    if let Some(encoded) = text.strip_prefix(SYMMETRIC) {
        let bytes = decoded(encoded)?;
        return if STANDARD_BYTES.contains(&bytes.len()) {
            Ok(hmac_key(&bytes))
        } else {
            Err(BadKey::Encoding)
        };
    }
    let bytes = decoded(text.strip_prefix(PUBLIC).ok_or(BadKey::Prefix)?)?;
    if bytes.len() != ED25519_BYTES {
        return Err(BadKey::Encoding);
    }
    let key = ParsedPublicKey::new(&ED25519, &*bytes).map_err(|_| BadKey::Encoding)?;
    Ok(Checks::Ed25519(key))
}

fn hmac_key(bytes: &[u8]) -> Checks {
    Checks::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
}

fn decoded(text: &str) -> Result<Zeroizing<Vec<u8>>, BadKey> {
    let bytes = BASE64.decode(text.as_bytes());
    bytes.map(Zeroizing::new).map_err(|_| BadKey::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(scheme: Scheme, text: &str) -> Result<Key, BadKey> {
        Key::read(scheme, &ApiSecret::new(text.into()))
    }

    #[test]
    fn a_secret_of_the_standard_has_its_form() {
        let symmetric = format!("whsec_{}", BASE64.encode(&[7; 24]));
        let public = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        for good in [symmetric.as_str(), &format!("{symmetric}\n"), public] {
            assert!(read(Scheme::Standard, good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", BadKey::Empty),
            ("\n", BadKey::Empty),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", BadKey::Prefix),
            ("whsk_AAAA", BadKey::Private),
            ("whsec_", BadKey::Encoding),
            ("whsec_AAAA", BadKey::Encoding),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", BadKey::Encoding),
            ("whpk_AAAA", BadKey::Encoding),
            (
                &format!("whsec_{}", BASE64.encode(&[7; 65])),
                BadKey::Encoding,
            ),
        ] {
            assert_eq!(read(Scheme::Standard, bad).unwrap_err(), why, "{bad}");
        }
    }

    #[test]
    fn nothing_of_a_secret_is_printed() {
        let key = read(Scheme::Stripe, "whsec_canary").unwrap();
        assert_eq!(format!("{key:?}"), "Key(stripe, hidden)");
        let why = read(Scheme::Standard, "canary").unwrap_err();
        assert!(!format!("{why} {why:?}").contains("canary"));
    }
}
