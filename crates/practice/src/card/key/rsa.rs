//! RSA (RFC 8017): the raw operation, as on a real key. Padding is the host's.

use super::{Algorithm, Private};
use crate::card::status::Status;
use cipher::common::getrandom::SysRng;
use rsa::{
    BoxedUint, RsaPrivateKey,
    rand_core::UnwrapErr,
    traits::{PrivateKeyParts, PublicKeyParts},
};

const PUBLIC_EXPONENT: u64 = 65537;
/// The public exponent as cards write it.
const PUBLIC_EXPONENT_BYTES: [u8; 3] = [1, 0, 1];
/// What stands before a SHA-256 digest in PKCS #1 1.5 (RFC 8017, section 9.2, note 1).
const SHA256_PREFIX: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// Makes a key.
pub(super) fn generate(bits: usize) -> Result<Private, Status> {
    RsaPrivateKey::new(&mut UnwrapErr(SysRng), bits)
        .map(|key| Private::Rsa(Box::new(key)))
        .map_err(|_| Status::INTERNAL)
}

/// Rebuilds a key from its primes.
pub(super) fn from_primes(algorithm: Algorithm, p: &[u8], q: &[u8]) -> Result<Private, Status> {
    let bytes = algorithm.rsa_bits().ok_or(Status::BAD_DATA)? / 8;
    if ![p, q].iter().all(|prime| is_prime_shaped(prime, bytes / 2)) {
        return Err(Status::BAD_DATA);
    }
    let number = BoxedUint::from_be_slice_vartime;
    let key = RsaPrivateKey::from_p_q(number(p), number(q), BoxedUint::from(PUBLIC_EXPONENT))
        .map_err(|_| Status::BAD_DATA)?;
    if key.size() == bytes {
        Ok(Private::Rsa(Box::new(key)))
    } else {
        Err(Status::BAD_DATA)
    }
}

/// Which of the four it is. No other length gets past `generate` and `from_primes`.
pub(super) fn algorithm(key: &RsaPrivateKey) -> Algorithm {
    match key.size() {
        128 => Algorithm::Rsa1024,
        384 => Algorithm::Rsa3072,
        512 => Algorithm::Rsa4096,
        _ => Algorithm::Rsa2048,
    }
}

/// Modulus and exponent.
pub(super) fn public(key: &RsaPrivateKey) -> [Vec<u8>; 2] {
    [key.n_bytes().to_vec(), PUBLIC_EXPONENT_BYTES.to_vec()]
}

/// Both primes.
pub(super) fn primes(key: &RsaPrivateKey) -> Vec<Vec<u8>> {
    key.primes()
        .iter()
        .map(|prime| prime.to_be_bytes_trimmed_vartime().to_vec())
        .collect()
}

/// A block that raised to the private exponent is a PKCS #1 1.5 signature.
pub(super) fn padded(key: &RsaPrivateKey, digest: &[u8; 32]) -> Result<Vec<u8>, Status> {
    let filling = key
        .size()
        .checked_sub(3 + SHA256_PREFIX.len() + digest.len())
        .ok_or(Status::INTERNAL)?;
    Ok([
        &[0x00, 0x01][..],
        &vec![0xFF; filling],
        &[0x00],
        &SHA256_PREFIX,
        digest,
    ]
    .concat())
}

/// Raises a block to the private exponent.
pub(super) fn raise(key: &RsaPrivateKey, block: &[u8]) -> Result<Vec<u8>, Status> {
    if block.len() != key.size() {
        return Err(Status::BAD_DATA);
    }
    let number =
        BoxedUint::from_be_slice(block, key.n_bits_precision()).map_err(|_| Status::BAD_DATA)?;
    if number >= **key.n() {
        return Err(Status::BAD_DATA);
    }
    let power = rsa::hazmat::rsa_decrypt_and_check(key, Some(&mut SysRng), &number)
        .map_err(|_| Status::INTERNAL)?;
    let bytes = power.to_be_bytes_trimmed_vartime();
    let mut out = vec![0; key.size().saturating_sub(bytes.len())];
    out.extend_from_slice(&bytes);
    Ok(out)
}

/// Full length, top bit set, odd: enough for the arithmetic not to meet a degenerate number. Whether it is a prime is
/// the importer's word, as on a real key.
fn is_prime_shaped(number: &[u8], bytes: usize) -> bool {
    number.len() == bytes
        && number.first().is_some_and(|byte| byte & 0x80 != 0)
        && number.last().is_some_and(|byte| byte & 1 == 1)
}
