//! The traits, and the words they are written in.

use age_core::format::{FileKey, Stanza};
use touchkeep_core::{Code, Passphrase, Pin, text::quoted};

use crate::handed::HandedKey;

/// What a key is for. Purposes never share a key.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Opens the user's bundle, once per session.
    Unlock,
    /// Opens sealed values, touched each time.
    Seal,
    /// Signs the membership chain and checkpoints.
    SignVault,
    /// Signs requests to one venue.
    Request,
}

/// The kinds of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// Keys in the vault file under a passphrase. Weaker than hardware, and shown so everywhere.
    Software,
    /// The PIV applet of a YubiKey.
    Piv,
    /// A token behind a PKCS#11 module.
    Pkcs11,
    /// Keys on paper: the recovery kit.
    Kit,
}

/// Whether the device waits for a touch before it uses a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TouchPolicy {
    /// No touch.
    Never,
    /// One touch is good for 15 seconds.
    Cached,
    /// A touch for each use.
    Always,
}

impl TouchPolicy {
    /// From Yubico's byte for it.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Never),
            2 => Some(Self::Always),
            3 => Some(Self::Cached),
            _ => None,
        }
    }

    /// Yubico's byte for it.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Never => 1,
            Self::Always => 2,
            Self::Cached => 3,
        }
    }
}

/// How often a YubiKey wants its PIN for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PinPolicy {
    /// Not at all.
    Never,
    /// Once, until the card is reset.
    Once,
    /// For each use.
    Always,
}

impl PinPolicy {
    /// From Yubico's byte for it.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Never),
            2 => Some(Self::Once),
            3 => Some(Self::Always),
            _ => None,
        }
    }

    /// Yubico's byte for it.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Never => 1,
            Self::Once => 2,
            Self::Always => 3,
        }
    }
}

/// Algorithms of device keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// NIST P-256 (FIPS 186-5).
    P256,
    /// RSA with a modulus of 2048 bits.
    Rsa2048,
    /// RSA with a modulus of 3072 bits.
    Rsa3072,
    /// RSA with a modulus of 4096 bits.
    Rsa4096,
    /// Curve25519 for signatures (RFC 8032).
    Ed25519,
    /// Curve25519 for key agreement (RFC 7748).
    X25519,
    /// The curve secp256k1 (SEC 2, 2.4.1), for signatures.
    Secp256k1,
    /// A secret for HMAC with SHA-256 (RFC 2104).
    HmacSha256,
    /// A secret for HMAC with SHA-384.
    HmacSha384,
    /// A secret for HMAC with SHA-512.
    HmacSha512,
}

/// How a message becomes a signature. The device gets the message, never a hash that a caller made; except where its name
/// says so, because nobody but the caller knows that hash (Keccak-256).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureScheme {
    /// ECDSA with SHA-256, DER-encoded.
    EcdsaP256Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// Ed25519 over the message itself.
    Ed25519,
    /// HMAC with SHA-256: 32 bytes, which nobody can verify who has not the secret.
    HmacSha256,
    /// HMAC with SHA-384: 48 bytes.
    HmacSha384,
    /// HMAC with SHA-512: 64 bytes.
    HmacSha512,
    /// ECDSA on secp256k1 over 32 bytes that are a digest already: r, s in its lower half, and 27 or 28, by which the public key
    /// is found from the signature (SEC 1, 4.1.6).
    EcdsaSecp256k1Digest,
}

/// Which key of a device: the slot of a PIV key in hex (`82`), the CKA_ID of a PKCS#11 key in hex, or a name of the
/// software device's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct KeyRef(pub String);

/// One key of a device.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyInfo {
    /// Which one.
    pub key: KeyRef,
    /// What for.
    pub purpose: Purpose,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Its public half: DER of a SubjectPublicKeyInfo (RFC 5280), base64 in JSON. An HMAC secret has none; what knows one is its
    /// MAC of [`MAC_CHECK`].
    #[serde(with = "crate::device::base64_bytes")]
    pub spki: Vec<u8>,
    /// Whether it waits for a touch.
    pub touch: TouchPolicy,
    /// For [`Purpose::Unlock`] and [`Purpose::Seal`]: the age recipient of this key (`age1yubikey1…`, `age1tag1…`, `age1…`).
    pub recipient: Option<String>,
    /// The identity line that stock age understands (`AGE-PLUGIN-YUBIKEY-1…`), where there is one. Public.
    pub identity: Option<String>,
    /// Whether it was made elsewhere and put there: whoever had it then may have it still. Of request keys only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
}

/// What is signed to see which HMAC secret it is: nothing that a venue would take for a request.
pub const MAC_CHECK: &[u8] = b"touchkeep: which secret is this?";

/// A device and its keys; all of it public.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeviceInfo {
    /// Its kind.
    pub kind: DeviceKind,
    /// What to call it: `YubiKey 5 (12345678)`.
    pub label: String,
    /// The number that is printed on it, or the token's serial.
    pub serial: Option<String>,
    /// Its firmware, where it says so.
    pub firmware: Option<String>,
    /// Its keys that are ours.
    pub keys: Vec<KeyInfo>,
}

impl DeviceInfo {
    /// The first key for a purpose.
    #[must_use]
    pub fn key(&self, purpose: Purpose) -> Option<&KeyInfo> {
        self.keys.iter().find(|key| key.purpose == purpose)
    }

    /// The key of this name.
    ///
    /// # Errors
    /// [`DeviceError::NoKey`] when there is none.
    pub fn known(&self, key: &KeyRef) -> Result<&KeyInfo, DeviceError> {
        let mut keys = self.keys.iter();
        keys.find(|known| known.key == *key)
            .ok_or_else(|| DeviceError::NoKey(key.clone()))
    }
}

/// What a person must give before a key can be used, asked before anything is spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Typed.
    pub secret: SecretDemand,
    /// Touched.
    pub touch: TouchPolicy,
}

/// What must be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretDemand {
    /// Nothing.
    Nothing,
    /// The PIN; with the tries that are left, where the device says so.
    Pin {
        /// Tries left before the PIN is blocked.
        tries_left: Option<u8>,
    },
    /// The PIN, at keys of the device itself: it asks when it is used, and no secret is given.
    PinPad,
    /// The passphrase.
    Passphrase,
    /// The words of a recovery kit, given as a passphrase is.
    Words,
}

/// What a person gave, lent for one use.
#[derive(Debug, Clone, Copy)]
pub enum Auth<'a> {
    /// Nothing was asked.
    Nothing,
    /// A PIN.
    Pin(&'a Pin),
    /// A passphrase.
    Passphrase(&'a Passphrase),
}

/// A device that is connected now.
pub trait Device: Send {
    /// What it is, as read when it was opened.
    fn info(&self) -> &DeviceInfo;

    /// What a use of this key will ask of a person. Spends no PIN try and needs no touch.
    ///
    /// # Errors
    /// When the device cannot be asked, or has no such key.
    fn demand(&mut self, key: &KeyRef) -> Result<Demand, DeviceError>;

    /// Whether each use of this key waits for a person: for a touch, or for the PIN anew. Anything else is open to whoever has
    /// the session.
    fn asks_each_time(&self, key: &KeyRef) -> bool {
        let mut keys = self.info().keys.iter();
        keys.any(|info| info.key == *key && info.touch == TouchPolicy::Always)
    }

    /// Opens a file key. Picks the one stanza that is for this key before it touches hardware.
    ///
    /// # Errors
    /// [`DeviceError::NotForThisKey`] when no stanza is for this key; else why the device did not.
    fn unwrap_file_key(
        &mut self,
        key: &KeyRef,
        stanzas: &[Stanza],
        auth: Auth<'_>,
    ) -> Result<FileKey, DeviceError>;

    /// Says which key is meant that the device cannot list by itself: an HMAC secret has no public half. What else the device
    /// knows of itself stays as it is; which secret is in that place the device proves before it uses it.
    fn recall(&mut self, _key: &KeyInfo) {}

    /// Signs a message. At most one use of the key and one VERIFY.
    ///
    /// # Errors
    /// Why the device did not sign.
    fn sign(
        &mut self,
        key: &KeyRef,
        scheme: SignatureScheme,
        message: &[u8],
        auth: Auth<'_>,
    ) -> Result<Vec<u8>, DeviceError>;

    /// What the device's maker signed about this key: DER certificates, the key's own first, then that of the device's
    /// attestation key. None from a device that cannot. [`attestation::verify`](crate::attestation::verify) says what it is
    /// worth. Spends no PIN try and needs no touch.
    ///
    /// # Errors
    /// When the device cannot be asked, or has no such key.
    fn attest(&mut self, _key: &KeyRef) -> Result<Vec<Vec<u8>>, DeviceError> {
        Ok(Vec::new())
    }
}

/// Making keys. Kept apart from [`Device`], so that code which only uses keys cannot make or replace one.
pub trait Provision {
    /// Makes what is missing of the three keys of a vault ([`Purpose::Unlock`], [`Purpose::Seal`], [`Purpose::SignVault`])
    /// and says what the device holds afterwards. Never replaces a key.
    ///
    /// # Errors
    /// Why not; [`DeviceError::FactoryPin`] when the PIN must be changed first.
    fn provision(&mut self, auth: Auth<'_>) -> Result<DeviceInfo, DeviceError>;

    /// Makes a key for requests in a free place.
    ///
    /// # Errors
    /// Why not; [`DeviceError::Unsupported`] where the firmware cannot.
    fn generate_request_key(
        &mut self,
        algorithm: Algorithm,
        touch: TouchPolicy,
        auth: Auth<'_>,
    ) -> Result<KeyInfo, DeviceError>;

    /// Puts a key that was made elsewhere into a free place, for requests. Whoever handed it out can have a copy, so it is
    /// [`KeyInfo::imported`], never attested, and never becomes a key of a vault.
    ///
    /// # Errors
    /// Why not; [`DeviceError::Unsupported`] where the device holds no keys of this kind, or holds that one already.
    fn import_request_key(
        &mut self,
        key: &HandedKey,
        touch: TouchPolicy,
        auth: Auth<'_>,
    ) -> Result<KeyInfo, DeviceError>;
}

/// A process that may be holding a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name, as the system has it: `scdaemon`.
    pub name: String,
    /// Its process id.
    pub pid: u32,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

fn listed(holders: &[Holder]) -> String {
    match holders {
        [] => String::new(),
        some => {
            let names: Vec<String> = some.iter().map(Holder::to_string).collect();
            format!(": {} may be holding it", names.join(", "))
        }
    }
}

fn tries(left: u8) -> String {
    match left {
        1 => "1 try left".to_owned(),
        left => format!("{left} tries left"),
    }
}

/// Why a device did not, sorted by what a person can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// Not connected (any more).
    #[error("the device is not connected")]
    Removed,
    /// Somebody else holds it.
    #[error("another program is using the device{}", listed(.holders))]
    Busy {
        /// Who that may be.
        holders: Vec<Holder>,
    },
    /// It forgot in the middle what was begun: another program reset it, or ended while it was connected.
    #[error("another program reset the device in the middle of it")]
    Reset,
    /// A PIN or passphrase is needed.
    #[error("the device asks for its PIN or passphrase")]
    NeedsSecret,
    /// The PIN was wrong.
    #[error("wrong PIN, {}", tries(*.tries_left))]
    WrongPin {
        /// Tries left before the PIN is blocked.
        tries_left: u8,
    },
    /// The PUK was wrong.
    #[error("wrong PUK, {}", tries(*.tries_left))]
    WrongPuk {
        /// Tries left before the PUK is blocked.
        tries_left: u8,
    },
    /// The PIN was wrong, and the device does not count its tries aloud.
    #[error("wrong PIN")]
    WrongPinUncounted,
    /// The passphrase was wrong.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The words are those of no recovery kit, or of another one.
    #[error("these are not its words: {0}")]
    WrongWords(String),
    /// The PIN is blocked.
    #[error("the PIN is blocked")]
    PinBlocked,
    /// The PUK is blocked.
    #[error("the PUK is blocked")]
    PukBlocked,
    /// One try is left, and it is not spent without an explicit word. Nothing was sent.
    #[error("one PIN try is left")]
    LastTry,
    /// The same of the PUK.
    #[error("one PUK try is left")]
    LastPukTry,
    /// It is, or would be, the factory's.
    #[error("the PIN is still the factory's")]
    FactoryPin,
    /// The PIN is somebody's own, and something else is the factory's: which.
    #[error(
        "its own PIN is set, but not its own {0}: that is still the factory's, which everybody knows"
    )]
    FactorySecret(&'static str),
    /// Nobody touched it in time.
    #[error("nobody touched the device in time")]
    NoTouch,
    /// No such key.
    #[error("the device has no key {}", quoted(&.0.0))]
    NoKey(KeyRef),
    /// No stanza is for this key.
    #[error("the file is not encrypted to this key")]
    NotForThisKey,
    /// Nothing that is in use may open it.
    #[error("no device in use may open this sealed value")]
    Closed,
    /// It cannot do that.
    #[error("the device cannot do that: {0}")]
    Unsupported(String),
    /// The middleware below it is missing or broken (pcscd, a PKCS#11 module).
    #[error("the device's middleware failed: {0}")]
    Middleware(String),
    /// It answered something that it should not.
    #[error("the device answered {0}")]
    Unexpected(String),
}

impl DeviceError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Removed => Code::DeviceRemoved,
            Self::Busy { .. } | Self::Reset => Code::DeviceBusy,
            Self::WrongPin { .. } | Self::WrongPuk { .. } | Self::WrongPinUncounted => {
                Code::WrongPin
            }
            Self::WrongPassphrase | Self::WrongWords(_) => Code::WrongPassphrase,
            Self::PinBlocked | Self::PukBlocked | Self::LastTry | Self::LastPukTry => {
                Code::PinBlocked
            }
            Self::FactoryPin | Self::FactorySecret(_) => Code::FactoryPin,
            Self::NoTouch => Code::NoTouch,
            Self::NoKey(_) | Self::NotForThisKey | Self::Closed => Code::NoDevice,
            Self::NeedsSecret
            | Self::Unsupported(_)
            | Self::Middleware(_)
            | Self::Unexpected(_) => Code::DeviceFailed,
        }
    }
}

pub(crate) mod base64_bytes {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        BASE64_STANDARD
            .decode(String::deserialize(d)?)
            .map_err(D::Error::custom)
    }
}
