//! The PIV commands that we send, each as one function (NIST SP 800-73-4 and Yubico's extensions). All of them expect to be
//! in a transaction that began with [`select`]. PIN and PUK are in `reference`, the management key in `management`, objects and certificates in `objects`.

use touchkeep_device::{
    Algorithm, DeviceError, HandedKey, PinPolicy, TouchPolicy,
    attestation::Firmware,
    public::{P256Point, ed25519_spki, rsa_spki, tlv},
};
use zeroize::Zeroizing;

use crate::{
    apdu::{Command, OK, UNKNOWN_COMMAND, unexpected},
    ber,
    limits::{ATTESTATION, METADATA, SERIAL, no_metadata},
    transport::Channel,
};

/// The retired key management slots: the only ones that age plugins look at, and so the only ones that we use.
pub(crate) const SLOTS: std::ops::RangeInclusive<u8> = 0x82..=0x95;
/// The other slots for keys: authentication, signature, key management, card authentication.
pub(crate) const STANDARD_SLOTS: [u8; 4] = [0x9a, 0x9c, 0x9d, 0x9e];

/// The reference of the management key, as of a key's slot.
pub(crate) const MANAGEMENT_KEY: u8 = 0x9b;

const PIV_AID: &[u8] = &[0xa0, 0x00, 0x00, 0x03, 0x08];

pub(crate) const BLOCKED: u16 = 0x6983;
const NOT_SATISFIED: u16 = 0x6982;
const WRONG_DATA: u16 = 0x6a80;
const NOT_SUPPORTED: u16 = 0x6a81;
pub(crate) const NOT_FOUND: u16 = 0x6a82;
const WRONG_PARAMETERS: u16 = 0x6a86;
const NO_REFERENCE: u16 = 0x6a88;

/// Selects the PIV application. May forget a verified PIN.
pub(crate) fn select(channel: &mut dyn Channel) -> Result<(), DeviceError> {
    let answer = Command::new(0xa4, 4, 0, PIV_AID).send(channel)?;
    match answer.status {
        OK => Ok(()),
        NOT_FOUND => Err(DeviceError::Unsupported("PIV".into())),
        status => Err(unexpected(status)),
    }
}

/// The firmware's version.
pub(crate) fn version(channel: &mut dyn Channel) -> Result<Firmware, DeviceError> {
    let data = Command::new(0xfd, 0, 0, &[]).send(channel)?.ok()?;
    match data[..] {
        [major, minor, patch, ..] => Ok(Firmware(major, minor, patch)),
        _ => Err(DeviceError::Unexpected("without a version".into())),
    }
}

/// The number that is printed on the key (firmware 5).
pub(crate) fn serial(channel: &mut dyn Channel) -> Result<u32, DeviceError> {
    let answer = Command::new(0xf8, 0, 0, &[]).send(channel)?;
    if answer.status == UNKNOWN_COMMAND && is_older(channel, SERIAL)? {
        let text = "this firmware does not tell its serial number to PIV; that needs 5 or later";
        return Err(DeviceError::Unsupported(text.into()));
    }
    let data = answer.ok()?;
    let bytes: Result<[u8; 4], _> = data[..].try_into();
    bytes
        .map(u32::from_be_bytes)
        .map_err(|_| DeviceError::Unexpected("without a serial number".into()))
}

// Whether it is the firmware that does not know a command, and not PIV that is not selected any more: then the card does not tell
// its version either.
fn is_older(channel: &mut dyn Channel, than: Firmware) -> Result<bool, DeviceError> {
    Ok(version(channel)? < than)
}

/// What a key is used for in GENERAL AUTHENTICATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Sign a padded or hashed message, or with Ed25519 the message.
    Sign,
    /// Multiply a point.
    Agree,
}

/// Why a key was not used.
pub(crate) enum NotUsed {
    /// The card wants a PIN or a touch that it did not get.
    NotSatisfied,
    /// Something else.
    Failed(DeviceError),
}

/// Uses the key in `slot` once. Blocks while the card waits for a touch.
pub(crate) fn use_key(
    channel: &mut dyn Channel,
    slot: u8,
    algorithm: Algorithm,
    what: Use,
    input: &[u8],
) -> Result<Zeroizing<Vec<u8>>, NotUsed> {
    let tag = match what {
        Use::Sign => 0x81,
        Use::Agree => 0x85,
    };
    let Some(id) = algorithm_id(algorithm) else {
        let text = format!("{algorithm:?}");
        return Err(NotUsed::Failed(DeviceError::Unsupported(text)));
    };
    let template = tlv(0x7c, &[tlv(0x82, &[]), tlv(tag, input)].concat());
    let answer = Command::new(0x87, id, slot, &template)
        .send(channel)
        .map_err(NotUsed::Failed)?;
    match answer.status {
        OK => result(&answer.data)
            .ok_or_else(|| NotUsed::Failed(DeviceError::Unexpected("what is no result".into()))),
        NOT_SATISFIED => Err(NotUsed::NotSatisfied),
        status => Err(NotUsed::Failed(unexpected(status))),
    }
}

fn result(data: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (template, _) = ber::expect(0x7c, data)?;
    let (value, _) = ber::expect(0x82, template)?;
    Some(Zeroizing::new(value.to_vec()))
}

/// The card's number for an algorithm; none for those that we make no keys of.
const fn algorithm_id(algorithm: Algorithm) -> Option<u8> {
    match algorithm {
        Algorithm::Rsa2048 => Some(0x07),
        Algorithm::Rsa3072 => Some(0x05),
        Algorithm::Rsa4096 => Some(0x16),
        Algorithm::P256 => Some(0x11),
        Algorithm::Ed25519 => Some(0xe0),
        Algorithm::X25519
        | Algorithm::Secp256k1
        | Algorithm::HmacSha256
        | Algorithm::HmacSha384
        | Algorithm::HmacSha512 => None,
    }
}

const fn algorithm_of(id: u8) -> Option<Algorithm> {
    match id {
        0x07 => Some(Algorithm::Rsa2048),
        0x05 => Some(Algorithm::Rsa3072),
        0x16 => Some(Algorithm::Rsa4096),
        0x11 => Some(Algorithm::P256),
        0xe0 => Some(Algorithm::Ed25519),
        _ => None,
    }
}

/// What a person calls the card's number for an algorithm.
pub(crate) const fn algorithm_name(id: u8) -> &'static str {
    match id {
        0x06 => "RSA-1024",
        0x07 => "RSA-2048",
        0x05 => "RSA-3072",
        0x16 => "RSA-4096",
        0x11 => "P-256",
        0x14 => "P-384",
        0xe0 => "Ed25519",
        0xe1 => "X25519",
        _ => "unknown",
    }
}

/// What a person calls an algorithm.
pub(crate) const fn name(algorithm: Algorithm) -> &'static str {
    match (algorithm_id(algorithm), algorithm) {
        (Some(id), _) => algorithm_name(id),
        (None, Algorithm::Secp256k1) => "secp256k1",
        (None, Algorithm::X25519) => "X25519",
        (None, _) => "HMAC",
    }
}

/// What the card knows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) algorithm: Algorithm,
    pub(crate) pin: PinPolicy,
    pub(crate) touch: TouchPolicy,
    pub(crate) generated: bool,
    pub(crate) spki: Vec<u8>,
}

/// What is in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    /// No key.
    Empty,
    /// A key of a kind that we use.
    Known(Metadata),
    /// Another key, as the card describes it.
    Other(Vec<u8>),
}

/// What is in a slot; an error for firmware before 5.3, which cannot say.
pub(crate) fn metadata(channel: &mut dyn Channel, slot: u8) -> Result<Slot, DeviceError> {
    let answer = Command::new(0xf7, 0, slot, &[]).send(channel)?;
    match answer.status {
        // Without its kind it is no description of a key.
        OK if ber::find(0x01, &answer.data).is_none() => {
            Err(DeviceError::Unexpected("without the kind of a key".into()))
        }
        OK => Ok(read_metadata(&answer.data)
            .map_or_else(|| Slot::Other(answer.data.to_vec()), Slot::Known)),
        NO_REFERENCE | NOT_FOUND => Ok(Slot::Empty),
        UNKNOWN_COMMAND if is_older(channel, METADATA)? => Err(no_metadata()),
        status => Err(unexpected(status)),
    }
}

/// What the card knows of PIN, PUK or management key.
pub(crate) fn metadata_of(
    channel: &mut dyn Channel,
    reference: u8,
) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
    let answer = Command::new(0xf7, 0, reference, &[]).send(channel)?;
    match answer.status {
        OK => Ok(answer.data),
        UNKNOWN_COMMAND if is_older(channel, METADATA)? => Err(no_metadata()),
        status => Err(unexpected(status)),
    }
}

fn read_metadata(data: &[u8]) -> Option<Metadata> {
    let [id] = ber::find(0x01, data)? else {
        return None;
    };
    let algorithm = algorithm_of(*id)?;
    let [pin, touch] = ber::find(0x02, data)? else {
        return None;
    };
    Some(Metadata {
        algorithm,
        pin: PinPolicy::from_byte(*pin)?,
        touch: TouchPolicy::from_byte(*touch)?,
        generated: ber::find(0x03, data)? == [1],
        spki: public_key(algorithm, ber::find(0x04, data)?)?,
    })
}

/// The SubjectPublicKeyInfo of a public key as the card has it.
fn public_key(algorithm: Algorithm, public: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::P256 => {
            let point = P256Point::from_uncompressed(ber::find(0x86, public)?)?;
            Some(point.to_spki())
        }
        Algorithm::Ed25519 => {
            let raw = ber::find(0x86, public)?.try_into().ok()?;
            Some(ed25519_spki(raw))
        }
        Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => {
            let (modulus, exponent) = (ber::find(0x81, public)?, ber::find(0x82, public)?);
            let bytes = rsa_bytes(algorithm)?;
            (modulus.len() == bytes).then(|| rsa_spki(modulus, exponent))
        }
        Algorithm::X25519
        | Algorithm::Secp256k1
        | Algorithm::HmacSha256
        | Algorithm::HmacSha384
        | Algorithm::HmacSha512 => None,
    }
}

/// Bytes of the modulus of an RSA key.
pub(crate) const fn rsa_bytes(algorithm: Algorithm) -> Option<usize> {
    match algorithm {
        Algorithm::Rsa2048 => Some(256),
        Algorithm::Rsa3072 => Some(384),
        Algorithm::Rsa4096 => Some(512),
        _ => None,
    }
}

/// Makes a key in a slot; its SubjectPublicKeyInfo. Needs the management key. Replaces what is there: look first.
pub(crate) fn generate(
    channel: &mut dyn Channel,
    slot: u8,
    algorithm: Algorithm,
    policy: (PinPolicy, TouchPolicy),
) -> Result<Vec<u8>, DeviceError> {
    let unsupported = || DeviceError::Unsupported(format!("making keys of kind {algorithm:?}"));
    let id = algorithm_id(algorithm).ok_or_else(unsupported)?;
    let template = [tlv(0x80, &[id]), policies(policy)].concat();
    let answer = Command::new(0x47, 0, slot, &tlv(0xac, &template)).send(channel)?;
    match answer.status {
        OK => answer
            .data
            // Tag 7F49 has two bytes; what follows is one element like any.
            .strip_prefix(&[0x7f])
            .and_then(|rest| ber::expect(0x49, rest))
            .and_then(|(public, _)| public_key(algorithm, public))
            .ok_or_else(|| DeviceError::Unexpected("with a public key that is none".into())),
        WRONG_DATA | NOT_SUPPORTED => Err(unsupported()),
        status => Err(unexpected(status)),
    }
}

/// Puts a key on a curve into a slot: its scalar, or its seed. Needs the management key. Replaces what is there: look first.
pub(crate) fn import(
    channel: &mut dyn Channel,
    slot: u8,
    key: &HandedKey,
    policy: (PinPolicy, TouchPolicy),
) -> Result<(), DeviceError> {
    let (id, tag) = match key.algorithm() {
        Algorithm::P256 => (0x11, 0x06),
        Algorithm::Ed25519 => (0xe0, 0x07),
        other => {
            let text = format!("keys of kind {} that were made elsewhere", name(other));
            return Err(DeviceError::Unsupported(text));
        }
    };
    // EXPOSE: the private key, to the command that puts it into the card.
    let secret = Zeroizing::new(tlv(tag, key.expose()));
    let data = Zeroizing::new([&secret[..], &policies(policy)].concat());
    Command::new(0xfe, id, slot, &data)
        .send(channel)?
        .ok()
        .map(drop)
}

fn policies((pin, touch): (PinPolicy, TouchPolicy)) -> Vec<u8> {
    [tlv(0xaa, &[pin.byte()]), tlv(0xab, &[touch.byte()])].concat()
}

/// What the card signs about the key in a slot, as DER; none about one that was imported, or by firmware before 4.3.
pub(crate) fn attest(channel: &mut dyn Channel, slot: u8) -> Result<Option<Vec<u8>>, DeviceError> {
    let answer = Command::new(0xf9, slot, 0, &[]).send(channel)?;
    match answer.status {
        OK => Ok(Some(answer.data.to_vec())),
        UNKNOWN_COMMAND if is_older(channel, ATTESTATION)? => Ok(None),
        WRONG_DATA | NOT_SUPPORTED | WRONG_PARAMETERS | NO_REFERENCE | NOT_FOUND => Ok(None),
        status => Err(unexpected(status)),
    }
}
