//! Opening HPKE (RFC 9180) in base mode with DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305, where the
//! Diffie-Hellman value comes from a device that keeps its key to itself. Sealing is the `age` crate's.

use aws_lc_rs::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hmac,
};
use zeroize::Zeroizing;

use crate::public::P256Point;

const KEM_SUITE: &[u8] = b"KEM\x00\x10";
const HPKE_SUITE: &[u8] = b"HPKE\x00\x10\x00\x01\x00\x03";
const MODE_BASE: u8 = 0;

/// Opens what was sealed to `recipient` under `enc`; `dh` is the x-coordinate of the shared point.
pub(crate) fn open(
    dh: &[u8],
    enc: &P256Point,
    recipient: &P256Point,
    info: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let context = [&enc.uncompressed()[..], recipient.uncompressed()].concat();
    let eae = extract(KEM_SUITE, &[], b"eae_prk", dh);
    let shared = expand(KEM_SUITE, &eae, b"shared_secret", &context, 32)?;

    let mut schedule = vec![MODE_BASE];
    schedule.extend_from_slice(extract(HPKE_SUITE, &[], b"psk_id_hash", &[]).as_ref());
    schedule.extend_from_slice(extract(HPKE_SUITE, &[], b"info_hash", info).as_ref());
    let secret = extract(HPKE_SUITE, &shared, b"secret", &[]);
    let key = expand(HPKE_SUITE, &secret, b"key", &schedule, 32)?;
    let nonce = expand(HPKE_SUITE, &secret, b"base_nonce", &schedule, 12)?;

    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).ok()?);
    let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
    let mut text = Zeroizing::new(sealed.to_vec());
    let length = key
        .open_in_place(nonce, Aad::empty(), &mut text)
        .ok()?
        .len();
    text.truncate(length);
    Some(text)
}

/// HKDF-Extract (RFC 5869) without HPKE's labels.
pub(crate) fn plain_extract(salt: &[u8], input: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), input)
}

// LabeledExtract, RFC 9180 section 4.
fn extract(suite: &[u8], salt: &[u8], label: &[u8], input: &[u8]) -> Zeroizing<Vec<u8>> {
    let input = Zeroizing::new([b"HPKE-v1", suite, label, input].concat());
    Zeroizing::new(plain_extract(salt, &input).as_ref().to_vec())
}

// LabeledExpand for at most one block of SHA-256, which is all that is asked for here.
fn expand(
    suite: &[u8],
    key: &[u8],
    label: &[u8],
    info: &[u8],
    length: u8,
) -> Option<Zeroizing<Vec<u8>>> {
    let info = [&[0, length], &b"HPKE-v1"[..], suite, label, info, &[1]].concat();
    let block = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &info);
    let wanted = block.as_ref().get(..usize::from(length))?;
    Some(Zeroizing::new(wanted.to_vec()))
}
