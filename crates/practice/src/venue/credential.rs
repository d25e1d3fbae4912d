//! What a key was registered with: it alone says how a signature is checked.
//!
//! Binance and the like take a public key that the customer made, or make a secret for HMAC. Kraken makes the secret.
//! Coinbase's portal makes the pair and shows the private key once.

use data_encoding::BASE64;
use ed25519_dalek::SigningKey;
use p256::pkcs8::LineEnding;
use rsa::RsaPublicKey;
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts;
use serde::{Deserialize, Serialize};

use super::keys::{For, random_text};

const BINANCE_CHARACTERS: usize = 64;
const KRAKEN_KEY_BYTES: usize = 42;
const KRAKEN_SECRET_BYTES: usize = 64;
const MIN_RSA_BITS: usize = 2048;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyType {
    Hmac,
    Rsa,
    Ed25519,
    /// ECDSA over P-256 with SHA-256.
    Es256,
}

/// What is needed to check.
pub(crate) enum Credential {
    /// The secret, as bytes.
    Hmac(Vec<u8>),
    Rsa(Box<RsaPublicKey>),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
    Es256(Box<p256::ecdsa::VerifyingKey>),
}

/// Why a form was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NewKeyError {
    #[error("this kind of exchange has no keys of that type")]
    Type,
    #[error(
        "an RSA or Ed25519 key for Binance needs public_key_pem; all others are made here and have none"
    )]
    PublicKeyPresence,
    #[error("public_key_pem is not a SubjectPublicKeyInfo of a key of that type in PEM")]
    PublicKeyFormat,
    #[error("the RSA key has {bits} bits, at least {MIN_RSA_BITS} are needed")]
    PublicKeySize { bits: usize },
    #[error("the system gave no randomness")]
    Randomness,
}

/// A new key's name, what checks it, and the secret that its owner is shown.
pub(crate) struct Made {
    pub(crate) api_key: String,
    pub(crate) credential: Credential,
    pub(crate) secret: Option<String>,
}

impl Made {
    /// Makes a key of this type for that kind of exchange.
    pub(crate) fn new(
        dialect: For,
        key_type: KeyType,
        public_key_pem: Option<&str>,
    ) -> Result<Self, NewKeyError> {
        match (dialect, key_type, public_key_pem) {
            (For::Binance, KeyType::Hmac, None) => binance_secret(),
            (For::Binance, KeyType::Rsa, Some(pem)) => {
                binance_public(Credential::Rsa(Box::new(rsa_key(pem)?)))
            }
            (For::Binance, KeyType::Ed25519, Some(pem)) => {
                let key = ed25519_dalek::VerifyingKey::from_public_key_pem(pem)
                    .map_err(|_| NewKeyError::PublicKeyFormat)?;
                binance_public(Credential::Ed25519(Box::new(key)))
            }
            (For::Kraken, KeyType::Hmac, None) => kraken(),
            (For::Coinbase, KeyType::Ed25519, None) => coinbase_ed25519(),
            (For::Coinbase, KeyType::Es256, None) => coinbase_es256(),
            (For::Binance, KeyType::Es256, _)
            | (For::Kraken, KeyType::Rsa | KeyType::Ed25519 | KeyType::Es256, _)
            | (For::Coinbase, KeyType::Hmac | KeyType::Rsa, _) => Err(NewKeyError::Type),
            _ => Err(NewKeyError::PublicKeyPresence),
        }
    }
}

fn binance_secret() -> Result<Made, NewKeyError> {
    let secret = random_text(BINANCE_CHARACTERS).ok_or(NewKeyError::Randomness)?;
    let credential = Credential::Hmac(secret.clone().into_bytes());
    Ok(Made {
        secret: Some(secret),
        ..binance_public(credential)?
    })
}

fn binance_public(credential: Credential) -> Result<Made, NewKeyError> {
    Ok(Made {
        api_key: random_text(BINANCE_CHARACTERS).ok_or(NewKeyError::Randomness)?,
        credential,
        secret: None,
    })
}

fn kraken() -> Result<Made, NewKeyError> {
    let name: [u8; KRAKEN_KEY_BYTES] = random()?;
    let secret: [u8; KRAKEN_SECRET_BYTES] = random()?;
    Ok(Made {
        api_key: BASE64.encode(&name),
        credential: Credential::Hmac(secret.to_vec()),
        secret: Some(BASE64.encode(&secret)),
    })
}

// The file that the portal offers has the seed and the public key, one after the other, in base64.
fn coinbase_ed25519() -> Result<Made, NewKeyError> {
    let pair = SigningKey::from_bytes(&random()?);
    Ok(Made {
        api_key: uuid()?,
        credential: Credential::Ed25519(Box::new(pair.verifying_key())),
        secret: Some(BASE64.encode(&pair.to_keypair_bytes())),
    })
}

// SEC1 in PEM, `-----BEGIN EC PRIVATE KEY-----`, as the portal's file has it.
fn coinbase_es256() -> Result<Made, NewKeyError> {
    let secret = loop {
        // All but about one in 2^32 of all 32 bytes are a P-256 key.
        if let Ok(secret) = p256::SecretKey::from_slice(&random::<32>()?) {
            break secret;
        }
    };
    let pem = secret
        .to_sec1_pem(LineEnding::LF)
        .map_err(|_| NewKeyError::PublicKeyFormat)?;
    let public = p256::ecdsa::VerifyingKey::from(secret.public_key());
    Ok(Made {
        api_key: format!("organizations/{}/apiKeys/{}", uuid()?, uuid()?),
        credential: Credential::Es256(Box::new(public)),
        secret: Some(pem.to_string()),
    })
}

fn rsa_key(pem: &str) -> Result<RsaPublicKey, NewKeyError> {
    let key = RsaPublicKey::from_public_key_pem(pem).map_err(|_| NewKeyError::PublicKeyFormat)?;
    let bits = key.size() * 8;
    if bits < MIN_RSA_BITS {
        return Err(NewKeyError::PublicKeySize { bits });
    }
    Ok(key)
}

/// A random UUID (RFC 9562, version 4).
pub(crate) fn uuid() -> Result<String, NewKeyError> {
    let bytes: [u8; 16] = random()?;
    Ok(uuid_of(bytes))
}

/// These bytes as a UUID, whatever they were.
pub(crate) fn uuid_of(mut bytes: [u8; 16]) -> String {
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
    *version = *version & 0x0F | 0x40;
    *variant = *variant & 0x3F | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    let mut text = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

fn random<const N: usize>() -> Result<[u8; N], NewKeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NewKeyError::Randomness)?;
    Ok(bytes)
}
