//! Asymmetric keys: P-256 (FIPS 186, SP 800-56A) and RSA-2048 (RFC 8017, the raw operation: padding is the host's).

use super::{policy::Policies, status::Status, tlv};
use cipher::common::{Generate, getrandom::SysRng};
use p256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner};
use rsa::{
    BoxedUint, RsaPrivateKey,
    rand_core::UnwrapErr,
    traits::{PrivateKeyParts, PublicKeyParts},
};
use serde::{Deserialize, Serialize};

const P256_BYTES: usize = 32;
const RSA_BITS: usize = 2048;
const RSA_BYTES: usize = RSA_BITS / 8;
const PRIME_BYTES: usize = RSA_BYTES / 2;
const PUBLIC_EXPONENT: u64 = 65537;
/// The public exponent as cards write it.
const PUBLIC_EXPONENT_BYTES: [u8; 3] = [1, 0, 1];

/// What a key can be on the practice card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Algorithm {
    P256,
    Rsa2048,
}

impl Algorithm {
    /// Reads an algorithm byte. What real keys of this firmware have and the practice card has not is told apart from
    /// what no such key has.
    pub(crate) fn new(byte: u8, firmware: (u8, u8, u8)) -> Result<Self, Status> {
        match byte {
            0x11 => Ok(Self::P256),
            0x07 => Ok(Self::Rsa2048),
            0x06 | 0x14 => Err(Status::NOT_EMULATED),
            0x05 | 0x16 | 0xE0 | 0xE1 if firmware >= (5, 7, 0) => Err(Status::NOT_EMULATED),
            _ => Err(Status::BAD_DATA),
        }
    }

    /// The algorithm byte.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::P256 => 0x11,
            Self::Rsa2048 => 0x07,
        }
    }
}

/// Where a key came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    Generated,
    Imported,
}

/// The secret half.
#[derive(Clone)]
pub(crate) enum Private {
    P256(p256::SecretKey),
    Rsa2048(Box<RsaPrivateKey>),
}

impl Private {
    /// Makes a new key from the operating system's randomness.
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, Status> {
        match algorithm {
            Algorithm::P256 => p256::SecretKey::try_generate()
                .map(Self::P256)
                .map_err(|_| Status::INTERNAL),
            Algorithm::Rsa2048 => RsaPrivateKey::new(&mut UnwrapErr(SysRng), RSA_BITS)
                .map(|key| Self::Rsa2048(Box::new(key)))
                .map_err(|_| Status::INTERNAL),
        }
    }

    /// Reads a P-256 scalar.
    pub(crate) fn from_scalar(scalar: &[u8]) -> Result<Self, Status> {
        let scalar = <[u8; P256_BYTES]>::try_from(scalar).map_err(|_| Status::BAD_DATA)?;
        p256::SecretKey::from_slice(&scalar)
            .map(Self::P256)
            .map_err(|_| Status::BAD_DATA)
    }

    /// Rebuilds an RSA-2048 key from its primes; what else an import says follows from them.
    pub(crate) fn from_primes(p: &[u8], q: &[u8]) -> Result<Self, Status> {
        if ![p, q].iter().all(|prime| is_prime_shaped(prime)) {
            return Err(Status::BAD_DATA);
        }
        let number = BoxedUint::from_be_slice_vartime;
        let key = RsaPrivateKey::from_p_q(number(p), number(q), BoxedUint::from(PUBLIC_EXPONENT))
            .map_err(|_| Status::BAD_DATA)?;
        if key.size() == RSA_BYTES {
            Ok(Self::Rsa2048(Box::new(key)))
        } else {
            Err(Status::BAD_DATA)
        }
    }

    /// What kind of key it is.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256(_) => Algorithm::P256,
            Self::Rsa2048(_) => Algorithm::Rsa2048,
        }
    }

    /// The public half, in the elements that GENERATE and METADATA answer with.
    pub(crate) fn public(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::P256(key) => tlv::push(&mut out, &[0x86], &key.public_key().to_sec1_bytes()),
            Self::Rsa2048(key) => {
                tlv::push(&mut out, &[0x81], &key.n_bytes());
                tlv::push(&mut out, &[0x82], &PUBLIC_EXPONENT_BYTES);
            }
        }
        out
    }

    /// Signs a digest (P-256) or raises a padded block to the private exponent (RSA).
    pub(crate) fn sign(&self, input: &[u8]) -> Result<Vec<u8>, Status> {
        match self {
            Self::P256(key) => sign_digest(key, input),
            Self::Rsa2048(key) => raise(key, input),
        }
    }

    /// Agrees on a secret with the owner of a point: the x coordinate.
    pub(crate) fn agree(&self, point: &[u8]) -> Result<Vec<u8>, Status> {
        let Self::P256(key) = self else {
            return Err(Status::BAD_DATA);
        };
        // Only the uncompressed form, as on a real key; parsing checks that the point is on the curve.
        if point.first() != Some(&4) {
            return Err(Status::BAD_DATA);
        }
        let point = p256::PublicKey::from_sec1_bytes(point).map_err(|_| Status::BAD_DATA)?;
        Ok(key.diffie_hellman(&point).raw_secret_bytes().to_vec())
    }

    /// The secret numbers, for the state file.
    pub(crate) fn secrets(&self) -> Vec<Vec<u8>> {
        match self {
            Self::P256(key) => vec![key.to_bytes().to_vec()],
            Self::Rsa2048(key) => key
                .primes()
                .iter()
                .map(|prime| prime.to_be_bytes_trimmed_vartime().to_vec())
                .collect(),
        }
    }

    /// The reverse of `secrets`.
    pub(crate) fn from_secrets(algorithm: Algorithm, secrets: &[Vec<u8>]) -> Result<Self, Status> {
        match (algorithm, secrets) {
            (Algorithm::P256, [scalar]) => Self::from_scalar(scalar),
            (Algorithm::Rsa2048, [p, q]) => Self::from_primes(p, q),
            _ => Err(Status::BAD_DATA),
        }
    }
}

/// A key in a slot.
#[derive(Clone)]
pub(crate) struct SlotKey {
    pub(crate) private: Private,
    pub(crate) policies: Policies,
    pub(crate) origin: Origin,
}

/// Full length, top bit set, odd: enough for the arithmetic not to meet a degenerate number. Whether it is a prime is
/// the importer's word, as on a real key.
fn is_prime_shaped(number: &[u8]) -> bool {
    number.len() == PRIME_BYTES
        && number.first().is_some_and(|byte| byte & 0x80 != 0)
        && number.last().is_some_and(|byte| byte & 1 == 1)
}

fn sign_digest(key: &p256::SecretKey, digest: &[u8]) -> Result<Vec<u8>, Status> {
    let mut padded = [0; P256_BYTES];
    let start = P256_BYTES
        .checked_sub(digest.len())
        .filter(|_| !digest.is_empty())
        .ok_or(Status::BAD_DATA)?;
    padded
        .get_mut(start..)
        .ok_or(Status::INTERNAL)?
        .copy_from_slice(digest);
    let signature: Signature = SigningKey::from(key)
        .sign_prehash(&padded)
        .map_err(|_| Status::INTERNAL)?;
    Ok(signature.to_der().as_bytes().to_vec())
}

fn raise(key: &RsaPrivateKey, block: &[u8]) -> Result<Vec<u8>, Status> {
    if block.len() != RSA_BYTES {
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
    let mut out = vec![0; RSA_BYTES.saturating_sub(bytes.len())];
    out.extend_from_slice(&bytes);
    Ok(out)
}
