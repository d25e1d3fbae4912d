//! What a YubiKey writes into the certificate of a key: its subject and the extensions under 1.3.6.1.4.1.41482.3.

use super::{Attested, Firmware, FormFactor, Root, x509::Certificate};
use crate::device::{PinPolicy, TouchPolicy};

const SUBJECT: &str = "YubiKey PIV Attestation ";
const PRACTICE_SUBJECT: &str = "Touchkeep Practice PIV Attestation ";
const FIPS_FLAG: u8 = 0x80;

// The last arc under Yubico's PIV attestation; see the page that `attestation` names.
const FIRMWARE: u8 = 3;
const SERIAL: u8 = 7;
const POLICY: u8 = 8;
const FORM_FACTOR: u8 = 9;

pub(super) fn read(leaf: &Certificate<'_>, chain: Root) -> Option<Attested> {
    let [pin, touch] = yubico(leaf, POLICY)? else {
        return None;
    };
    let form_factor = match yubico(leaf, FORM_FACTOR) {
        None => None,
        Some([byte]) => Some(*byte),
        Some(_) => return None,
    };
    Some(Attested {
        spki: leaf.spki.to_vec(),
        slot: slot(leaf.subject_name()?, chain)?,
        serial: match yubico(leaf, SERIAL) {
            None => None,
            Some(integer) => Some(number(integer)?),
        },
        firmware: firmware(leaf)?,
        pin_policy: PinPolicy::from_byte(*pin)?,
        touch: TouchPolicy::from_byte(*touch)?,
        form_factor: form_factor.and_then(|byte| FormFactor::from_byte(byte & !FIPS_FLAG)),
        fips: form_factor.is_some_and(|byte| byte & FIPS_FLAG != 0),
        chain,
    })
}

/// The firmware that stands in a certificate.
pub(super) fn firmware(certificate: &Certificate<'_>) -> Option<Firmware> {
    match yubico(certificate, FIRMWARE)? {
        [major, minor, patch] => Some(Firmware(*major, *minor, *patch)),
        _ => None,
    }
}

fn yubico<'a>(certificate: &Certificate<'a>, arc: u8) -> Option<&'a [u8]> {
    let oid = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xc4, 0x0a, 0x03, arc];
    certificate.extension(&oid)
}

fn slot(subject: &str, chain: Root) -> Option<u8> {
    let digits = match chain.is_practice() {
        true => subject.strip_prefix(PRACTICE_SUBJECT)?,
        false => subject.strip_prefix(SUBJECT)?,
    };
    let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u8::from_str_radix(digits, 16).ok())?
}

// A DER INTEGER that is not negative and fits.
fn number(integer: &[u8]) -> Option<u32> {
    let (2, digits, []) = super::x509::element(integer)? else {
        return None;
    };
    let digits = match digits {
        [0, rest @ ..] if rest.first().is_some_and(|next| *next >= 0x80) => rest,
        [0] => digits,
        [0 | 0x80..=0xff, ..] | [] => return None,
        _ => digits,
    };
    let mut padded = [0; 4];
    let start = padded.len().checked_sub(digits.len())?;
    padded.get_mut(start..)?.copy_from_slice(digits);
    Some(u32::from_be_bytes(padded))
}
