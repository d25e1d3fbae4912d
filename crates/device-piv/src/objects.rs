//! Data objects of the card, the certificates of slots among them (NIST SP 800-73-4 part 1, appendix A; part 2, 3.1.2 and 3.3.2).

use touchkeep_device::{DeviceError, public::tlv};
use zeroize::Zeroizing;

use crate::{
    apdu::{Command, OK, unexpected},
    ber,
    card::NOT_FOUND,
    transport::Channel,
};

/// The object of slot f9's certificate (Yubico's).
const ATTESTATION_CERTIFICATE: [u8; 3] = [0x5f, 0xff, 0x01];
const NO_SPACE: u16 = 0x6a84;

/// The certificate object of a slot, as DER.
pub(crate) fn certificate(
    channel: &mut dyn Channel,
    slot: u8,
) -> Result<Option<Vec<u8>>, DeviceError> {
    certificate_in(channel, certificate_object(slot))
}

/// Writes the certificate of a slot. Needs the management key.
pub(crate) fn put_certificate(
    channel: &mut dyn Channel,
    slot: u8,
    der: &[u8],
) -> Result<(), DeviceError> {
    let parts = [tlv(0x70, der), tlv(0x71, &[0]), tlv(0xfe, &[])];
    put_object(channel, certificate_object(slot), &parts.concat())
}

/// The certificate of the key that attests others, as DER.
pub(crate) fn attestation_certificate(
    channel: &mut dyn Channel,
) -> Result<Option<Vec<u8>>, DeviceError> {
    certificate_in(channel, ATTESTATION_CERTIFICATE)
}

const fn certificate_object(slot: u8) -> [u8; 3] {
    let last = match slot {
        0x9a => 0x05,
        0x9c => 0x0a,
        0x9d => 0x0b,
        0x9e => 0x01,
        retired => retired.wrapping_sub(0x82).wrapping_add(0x0d),
    };
    [0x5f, 0xc1, last]
}

fn certificate_in(channel: &mut dyn Channel, id: [u8; 3]) -> Result<Option<Vec<u8>>, DeviceError> {
    Ok(object(channel, id)?.and_then(|content| certificate_of(&content)))
}

// SP 800-73-4, appendix A: 70 certificate, 71 "not compressed", FE.
fn certificate_of(content: &[u8]) -> Option<Vec<u8>> {
    let plain = ber::find(0x71, content).is_none_or(|info| info == [0]);
    plain.then(|| ber::find(0x70, content).map(<[u8]>::to_vec))?
}

/// What is in an object.
pub(crate) fn object(
    channel: &mut dyn Channel,
    [a, b, c]: [u8; 3],
) -> Result<Option<Zeroizing<Vec<u8>>>, DeviceError> {
    let answer = Command::new(0xcb, 0x3f, 0xff, &[0x5c, 3, a, b, c]).send(channel)?;
    match answer.status {
        OK => {
            let content = ber::expect(0x53, &answer.data).map(|(content, _)| content.to_vec());
            let odd = || DeviceError::Unexpected("with an object that is none".into());
            Ok(Some(Zeroizing::new(content.ok_or_else(odd)?)))
        }
        NOT_FOUND => Ok(None),
        status => Err(unexpected(status)),
    }
}

/// Writes an object. Needs the management key.
pub(crate) fn put_object(
    channel: &mut dyn Channel,
    [a, b, c]: [u8; 3],
    content: &[u8],
) -> Result<(), DeviceError> {
    let content = Zeroizing::new(tlv(0x53, content));
    let data = Zeroizing::new([&[0x5c, 3, a, b, c][..], &content].concat());
    let answer = Command::new(0xdb, 0x3f, 0xff, &data).send(channel)?;
    match answer.status {
        NO_SPACE => Err(DeviceError::Unsupported("more objects: it is full".into())),
        _ => answer.ok().map(drop),
    }
}
