//! The PIV commands that we send, each as one function (NIST SP 800-73-4 and Yubico's extensions). All of them expect to be
//! in a transaction that began with [`select`].

use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, DeviceError, TouchPolicy,
    public::{P256Point, rsa_spki, tlv},
};
use zeroize::Zeroizing;

use crate::{
    apdu::{Command, OK, unexpected},
    ber,
    certificate::{PinPolicy, touch_from_byte},
    transport::Channel,
};

/// The retired key management slots: the only ones that age plugins look at, and so the only ones that we use.
pub(crate) const SLOTS: std::ops::RangeInclusive<u8> = 0x82..=0x95;

/// References of what GET METADATA knows beside keys.
pub(crate) const PIN: u8 = 0x80;
pub(crate) const PUK: u8 = 0x81;
pub(crate) const MANAGEMENT_KEY: u8 = 0x9b;

/// Bytes that a PIN or PUK may have.
pub(crate) const PIN_BYTES: std::ops::RangeInclusive<usize> = 6..=8;

const PIV_AID: &[u8] = &[0xa0, 0x00, 0x00, 0x03, 0x08];
const FIRST_CERTIFICATE: u8 = 0x0d;

const NOT_FOUND: u16 = 0x6a82;
const NO_REFERENCE: u16 = 0x6a88;
const UNKNOWN_COMMAND: u16 = 0x6d00;
const BLOCKED: u16 = 0x6983;
const NOT_SATISFIED: u16 = 0x6982;

/// A firmware version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u8, pub(crate) u8, pub(crate) u8);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Selects the PIV application. Forgets a verified PIN.
pub(crate) fn select(channel: &mut dyn Channel) -> Result<(), DeviceError> {
    let answer = Command::new(0xa4, 4, 0, PIV_AID).send(channel)?;
    match answer.status {
        OK => Ok(()),
        NOT_FOUND => Err(DeviceError::Unsupported("PIV".into())),
        status => Err(unexpected(status)),
    }
}

/// The firmware's version.
pub(crate) fn version(channel: &mut dyn Channel) -> Result<Version, DeviceError> {
    let data = Command::new(0xfd, 0, 0, &[]).send(channel)?.ok()?;
    match data[..] {
        [major, minor, patch, ..] => Ok(Version(major, minor, patch)),
        _ => Err(DeviceError::Unexpected("without a version".into())),
    }
}

/// The number that is printed on the key (firmware 5).
pub(crate) fn serial(channel: &mut dyn Channel) -> Result<u32, DeviceError> {
    let data = Command::new(0xf8, 0, 0, &[]).send(channel)?.ok()?;
    let bytes: Result<[u8; 4], _> = data[..].try_into();
    bytes
        .map(u32::from_be_bytes)
        .map_err(|_| DeviceError::Unexpected("without a serial number".into()))
}

/// Tries that the PIN has left. Spends none.
pub(crate) fn tries_left(channel: &mut dyn Channel) -> Result<u8, DeviceError> {
    match Command::new(0x20, 0, PIN, &[]).send(channel)?.status {
        status @ 0x63c0..=0x63cf => Ok(tries_of(status)),
        BLOCKED => Ok(0),
        status => Err(unexpected(status)),
    }
}

/// Sends the PIN, once.
pub(crate) fn verify(channel: &mut dyn Channel, pin: &Pin) -> Result<(), DeviceError> {
    let data = padded(pin);
    match Command::new(0x20, 0, PIN, &data[..]).send(channel)?.status {
        OK => Ok(()),
        status @ 0x63c0..=0x63cf => Err(DeviceError::WrongPin {
            tries_left: tries_of(status),
        }),
        BLOCKED => Err(DeviceError::PinBlocked),
        status => Err(unexpected(status)),
    }
}

fn padded(pin: &Pin) -> Zeroizing<[u8; 8]> {
    let mut data = Zeroizing::new([0xff; 8]);
    // EXPOSE: the PIN, to the command that sends it to the card.
    for (to, from) in data.iter_mut().zip(pin.expose().as_bytes()) {
        *to = *from;
    }
    data
}

fn tries_of(status: u16) -> u8 {
    let [_, low] = status.to_be_bytes();
    low & 0x0f
}

/// What a key is used for in GENERAL AUTHENTICATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Sign a padded or hashed message.
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

const fn algorithm_id(algorithm: Algorithm) -> Option<u8> {
    match algorithm {
        Algorithm::Rsa2048 => Some(0x07),
        Algorithm::P256 => Some(0x11),
        Algorithm::Rsa3072 | Algorithm::Rsa4096 | Algorithm::Ed25519 | Algorithm::X25519 => None,
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
    /// Another key.
    Other,
}

/// What is in a slot; an error for firmware before 5.3, which cannot say.
pub(crate) fn metadata(channel: &mut dyn Channel, slot: u8) -> Result<Slot, DeviceError> {
    let answer = Command::new(0xf7, 0, slot, &[]).send(channel)?;
    match answer.status {
        OK => Ok(read_metadata(&answer.data).map_or(Slot::Other, Slot::Known)),
        NO_REFERENCE | NOT_FOUND => Ok(Slot::Empty),
        UNKNOWN_COMMAND => Err(no_metadata()),
        status => Err(unexpected(status)),
    }
}

fn no_metadata() -> DeviceError {
    DeviceError::Unsupported("GET METADATA, which firmware has from 5.3 on".into())
}

fn read_metadata(data: &[u8]) -> Option<Metadata> {
    let public = ber::find(0x04, data)?;
    let (algorithm, spki) = match ber::find(0x01, data)? {
        [0x11] => {
            let point = P256Point::from_uncompressed(ber::find(0x86, public)?)?;
            (Algorithm::P256, point.to_spki())
        }
        [0x07] => {
            let (modulus, exponent) = (ber::find(0x81, public)?, ber::find(0x82, public)?);
            (Algorithm::Rsa2048, rsa_spki(modulus, exponent))
        }
        _ => return None,
    };
    let [pin, touch] = ber::find(0x02, data)? else {
        return None;
    };
    Some(Metadata {
        algorithm,
        pin: PinPolicy::from_byte(*pin)?,
        touch: touch_from_byte(*touch)?,
        generated: ber::find(0x03, data)? == [1],
        spki,
    })
}

/// Whether PIN, PUK or management key are still those of the factory.
pub(crate) fn is_factory(channel: &mut dyn Channel, reference: u8) -> Result<bool, DeviceError> {
    let answer = Command::new(0xf7, 0, reference, &[]).send(channel)?;
    match answer.status {
        OK => Ok(ber::find(0x05, &answer.data) == Some(&[1])),
        UNKNOWN_COMMAND => Err(no_metadata()),
        status => Err(unexpected(status)),
    }
}

/// The certificate object of a slot, as DER.
pub(crate) fn certificate(
    channel: &mut dyn Channel,
    slot: u8,
) -> Result<Option<Vec<u8>>, DeviceError> {
    let object = slot - SLOTS.start() + FIRST_CERTIFICATE;
    let answer = Command::new(0xcb, 0x3f, 0xff, &[0x5c, 3, 0x5f, 0xc1, object]).send(channel)?;
    match answer.status {
        OK => Ok(certificate_of(&answer.data)),
        NOT_FOUND => Ok(None),
        status => Err(unexpected(status)),
    }
}

// SP 800-73-4, appendix A: 53 { 70 certificate, 71 "not compressed", FE }.
fn certificate_of(object: &[u8]) -> Option<Vec<u8>> {
    let (content, _) = ber::expect(0x53, object)?;
    let plain = ber::find(0x71, content).is_none_or(|info| info == [0]);
    plain.then(|| ber::find(0x70, content).map(<[u8]>::to_vec))?
}
