//! What a venue takes, in words that a program can read.

use serde::{Deserialize, Serialize};

use crate::{KeyClass, table::Table};

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// HMAC with SHA-256 (RFC 2104).
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017).
    RsaPkcs1Sha256,
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA on P-256 with SHA-256 (FIPS 186), as r and s of 32 bytes each.
    EcdsaP256Sha256,
    /// ECDSA on secp256k1 over 32 bytes that are a digest already, as r and s of 32 bytes each and the recovery id, 27 or
    /// 28.
    Secp256k1Digest,
}

impl Algorithm {
    /// The bytes of a raw signature, where the kind alone says it; those of RSA hang on the key.
    #[must_use]
    pub const fn signature_bytes(self) -> Option<usize> {
        match self {
            Self::HmacSha256 => Some(32),
            Self::HmacSha384 => Some(48),
            Self::HmacSha512 | Self::Ed25519 | Self::EcdsaP256Sha256 => Some(64),
            Self::Secp256k1Digest => Some(65),
            Self::RsaPkcs1Sha256 => None,
        }
    }
}

/// How the secret's text becomes the key of the algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretForm {
    /// The bytes of the text itself.
    Text,
    /// The text is base64 of the key's bytes.
    Base64,
    /// A private key: PEM, PKCS#8, or the 32 bytes of a seed.
    PrivateKey,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Hexadecimal in small letters.
    Hex,
    /// Base64 with `+`, `/` and padding (RFC 4648, 4).
    Base64,
    /// Base64 with `-`, `_` and no padding (RFC 4648, 5), as tokens have it.
    Base64Url,
    /// A JSON text with `r`, `s` and `v`, as Hyperliquid has it.
    Rsv,
}

impl Encoding {
    /// A signature in this form.
    #[must_use]
    pub fn text(self, signature: &[u8]) -> String {
        match self {
            Self::Hex => data_encoding::HEXLOWER.encode(signature),
            Self::Base64 => data_encoding::BASE64.encode(signature),
            Self::Base64Url => data_encoding::BASE64URL_NOPAD.encode(signature),
            Self::Rsv => {
                let hex = |from, to| {
                    let part = signature.get(from..to).unwrap_or_default();
                    data_encoding::HEXLOWER.encode(part)
                };
                let v = signature.last().copied().unwrap_or_default();
                format!(
                    "{{\"r\":\"0x{}\",\"s\":\"0x{}\",\"v\":{v}}}",
                    hex(0, 32),
                    hex(32, 64)
                )
            }
        }
    }
}

/// One way in which a venue's keys sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Scheme {
    /// With what.
    pub algorithm: Algorithm,
    /// What the secret is.
    pub secret: SecretForm,
    /// How the signature is written.
    pub encoding: Encoding,
}

impl Scheme {
    pub(crate) const fn new(algorithm: Algorithm, secret: SecretForm, encoding: Encoding) -> Self {
        Self {
            algorithm,
            secret,
            encoding,
        }
    }
}

/// In which form a venue takes a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublicKeyForm {
    /// A SubjectPublicKeyInfo in PEM (RFC 7468).
    Pem,
    /// The bytes of the key itself in base64: 32 of Ed25519, 65 of a curve's point.
    Base64,
    /// The same in hexadecimal.
    Hex,
    /// The address of a secp256k1 key, as Ethereum has it (EIP-55).
    Address,
}

/// Who guards a venue against a request that is sent again, and so what [`crate::Moment`] must bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counter {
    /// Nobody counts: the time alone ages a request.
    Time,
    /// Each request of a key has a higher number than the one before; the milliseconds of the time, counted up where two
    /// requests share one, serve.
    Nonce,
    /// Each request carries 16 random bytes beside its time.
    Unique,
}

/// Over what a venue is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// HTTPS requests.
    Rest,
    /// The login of a WebSocket connection.
    WebSocketLogin,
}

/// What most of them have.
pub(crate) const WITH_SOCKETS: &[Transport] = &[Transport::Rest, Transport::WebSocketLogin];

/// A WebSocket that is relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SocketInfo {
    /// Its path at the proxy, after the venue's name. A path that ends in `*` is a beginning.
    pub path: &'static str,
    /// The venue's server, with the path there where it is another.
    pub server: &'static str,
    /// Whether somebody can log in there. Over the others only public data can be had.
    pub login: bool,
}

/// One venue, for a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VenueInfo {
    /// Its name in paths, items and rules: `kraken`.
    pub id: &'static str,
    /// Its name: `Kraken`.
    pub name: &'static str,
    /// How its keys sign.
    pub schemes: &'static [Scheme],
    /// Over what we speak to it.
    pub transports: &'static [Transport],
    /// Which classes of key the venue can tell apart.
    pub key_classes: &'static [KeyClass],
    /// What a holder of its keys should know.
    pub key_rules: &'static [String],
    /// In which form it takes the public half of a key that its holder made; none where it makes all keys itself.
    pub public_key: Option<PublicKeyForm>,
    /// Where at the venue that is done, or what is to be done instead.
    pub public_key_steps: Option<&'static str>,
    /// What each request must bring beside its signature.
    pub counter: Counter,
    /// Whether each request carries a passphrase.
    pub passphrase: bool,
    /// How far a request's time may be from the venue's, where that is known.
    pub time_window_ms: Option<u32>,
    /// The header in which clients may send the parameters as base64 of JSON. Whoever takes the request in hands them over
    /// as its body.
    pub payload_header: Option<&'static str>,
    /// The header with which a request says until when the venue may take it, in milliseconds of its time.
    pub expiry_header: Option<&'static str>,
    /// How many endpoints are in the table.
    pub endpoints: usize,
    /// When the data was last gone through.
    pub data_date: &'static str,
    /// Where it was read.
    pub source: &'static str,
}

/// What a venue's code says of itself; the rest of a [`VenueInfo`] is data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) id: &'static str,
    pub(crate) schemes: &'static [Scheme],
    pub(crate) transports: &'static [Transport],
    pub(crate) counter: Counter,
    pub(crate) passphrase: bool,
    pub(crate) payload_header: Option<&'static str>,
}

impl Facts {
    pub(crate) const fn new(id: &'static str, schemes: &'static [Scheme]) -> Self {
        Self {
            id,
            schemes,
            transports: &[Transport::Rest],
            counter: Counter::Time,
            passphrase: false,
            payload_header: None,
        }
    }

    pub(crate) fn info(self, table: &'static Table) -> VenueInfo {
        let about = &table.about;
        VenueInfo {
            id: self.id,
            name: &about.name,
            schemes: self.schemes,
            transports: self.transports,
            key_classes: &about.key_classes,
            key_rules: &about.key_rules,
            public_key: about.public_key,
            public_key_steps: about.public_key_steps.as_deref(),
            counter: self.counter,
            passphrase: self.passphrase,
            time_window_ms: about.time_window_ms,
            payload_header: self.payload_header,
            expiry_header: about.expiry_header.as_deref(),
            endpoints: table.len(),
            data_date: &about.date,
            source: &about.source,
        }
    }
}
