//! PIN and PUK as the card has them (NIST SP 800-73-4 part 2, 3.2, and Yubico's GET METADATA): how they stand, and each of
//! the commands that sends one. Each is sent once, and what was sent is wiped.

use touchkeep_core::Pin;
use touchkeep_device::DeviceError;
use zeroize::Zeroizing;

use crate::{
    apdu::{Command, OK, unexpected},
    ber,
    card::{self, BLOCKED},
    transport::Channel,
};

/// Bytes that a PIN or PUK may have.
pub(crate) const PIN_BYTES: std::ops::RangeInclusive<usize> = 6..=8;

const VERIFY: u8 = 0x20;
const CHANGE: u8 = 0x24;
const RESET_RETRY: u8 = 0x2c;
const PADDED_BYTES: usize = 8;
const CONDITIONS: u16 = 0x6985;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference {
    Pin,
    Puk,
}

/// Tries of a PIN or PUK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// How many are left before it is blocked.
    pub left: u8,
    /// How many there are after a right one.
    pub of: u8,
}

/// How one of them stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) tries: Tries,
    pub(crate) factory: bool,
}

impl Reference {
    const fn byte(self) -> u8 {
        match self {
            Self::Pin => 0x80,
            Self::Puk => 0x81,
        }
    }

    /// How it stands. Spends no try; needs firmware 5.3.
    pub(crate) fn standing(self, channel: &mut dyn Channel) -> Result<Standing, DeviceError> {
        let data = card::metadata_of(channel, self.byte())?;
        let [of, left] = ber::find(0x06, &data).unwrap_or_default() else {
            return Err(DeviceError::Unexpected("without its tries".into()));
        };
        Ok(Standing {
            tries: Tries {
                left: *left,
                of: *of,
            },
            factory: ber::find(0x05, &data) == Some(&[1]),
        })
    }

    /// An error when it cannot be sent: blocked, or the last try, and nobody said that it may be spent.
    pub(crate) fn may_be_sent(self, left: u8, allow_last_try: bool) -> Result<(), DeviceError> {
        match (left, self) {
            (0, Self::Pin) => Err(DeviceError::PinBlocked),
            (0, Self::Puk) => Err(DeviceError::PukBlocked),
            (1, Self::Pin) if !allow_last_try => Err(DeviceError::LastTry),
            (1, Self::Puk) if !allow_last_try => Err(DeviceError::LastPukTry),
            _ => Ok(()),
        }
    }

    pub(crate) const fn wrong(self, tries_left: u8) -> DeviceError {
        match self {
            Self::Pin => DeviceError::WrongPin { tries_left },
            Self::Puk => DeviceError::WrongPuk { tries_left },
        }
    }

    fn answered(self, status: u16) -> Result<(), DeviceError> {
        match (status, self) {
            (OK, _) => Ok(()),
            (0x63c0..=0x63cf, _) => Err(self.wrong(tries_of(status))),
            (BLOCKED, Self::Pin) => Err(DeviceError::PinBlocked),
            (BLOCKED, Self::Puk) => Err(DeviceError::PukBlocked),
            (CONDITIONS, _) => Err(DeviceError::Unsupported(
                "a PIN or PUK that this YubiKey finds too simple".into(),
            )),
            (status, _) => Err(unexpected(status)),
        }
    }
}

/// Tries that the PIN has left. Spends none. A card that another program has verified the PIN with does not say it here,
/// but in its metadata.
pub(crate) fn tries_left(channel: &mut dyn Channel) -> Result<u8, DeviceError> {
    match Command::new(VERIFY, 0, Reference::Pin.byte(), &[])
        .send(channel)?
        .status
    {
        status @ 0x63c0..=0x63cf => Ok(tries_of(status)),
        BLOCKED => Ok(0),
        OK => Ok(Reference::Pin.standing(channel)?.tries.left),
        status => Err(unexpected(status)),
    }
}

/// Sends the PIN, once, and not at all when it cannot be one, or when it would be the last try and nobody said so.
pub(crate) fn verify_with_care(
    channel: &mut dyn Channel,
    pin: &Pin,
    allow_last_try: bool,
) -> Result<(), DeviceError> {
    let left = tries_left(channel)?;
    Reference::Pin.may_be_sent(left, allow_last_try)?;
    if !is_possible(pin) {
        return Err(Reference::Pin.wrong(left));
    }
    let data = padded([pin]);
    let status = Command::new(VERIFY, 0, Reference::Pin.byte(), &data)
        .send(channel)?
        .status;
    Reference::Pin.answered(status)
}

/// Replaces the PIN or the PUK. The caller has looked at the tries.
pub(crate) fn change(
    channel: &mut dyn Channel,
    what: Reference,
    old: &Pin,
    new: &Pin,
) -> Result<(), DeviceError> {
    let data = padded([old, new]);
    let status = Command::new(CHANGE, 0, what.byte(), &data)
        .send(channel)?
        .status;
    what.answered(status)
}

/// Sets a new PIN with the PUK. The caller has looked at the PUK's tries.
pub(crate) fn unblock(
    channel: &mut dyn Channel,
    puk: &Pin,
    new_pin: &Pin,
) -> Result<(), DeviceError> {
    let data = padded([puk, new_pin]);
    let status = Command::new(RESET_RETRY, 0, Reference::Pin.byte(), &data)
        .send(channel)?
        .status;
    Reference::Puk.answered(status)
}

/// Whether it has a length that the card would look at.
pub(crate) fn is_possible(secret: &Pin) -> bool {
    // EXPOSE: to a look at its length.
    PIN_BYTES.contains(&secret.expose().len())
}

fn padded<const N: usize>(secrets: [&Pin; N]) -> Zeroizing<Vec<u8>> {
    let mut data = Zeroizing::new(vec![0xff; N * PADDED_BYTES]);
    for (place, secret) in data.chunks_mut(PADDED_BYTES).zip(secrets) {
        // EXPOSE: PIN or PUK, to the command that sends it to the card.
        for (to, from) in place.iter_mut().zip(secret.expose().as_bytes()) {
            *to = *from;
        }
    }
    data
}

fn tries_of(status: u16) -> u8 {
    let [_, low] = status.to_be_bytes();
    low & 0x0f
}
