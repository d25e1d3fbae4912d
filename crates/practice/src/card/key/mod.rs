//! Asymmetric keys: what they are, what they can do, how they are written down. The arithmetic is in `curves` and `rsa`.

mod curves;
mod rsa;

use super::{
    Firmware,
    der::{self, oid},
    policy::Policies,
    status::Status,
    tlv,
};
use ::rsa::RsaPrivateKey;
use serde::{Deserialize, Serialize};

/// The first firmware with the larger RSA keys and the curves of Bernstein and others.
const MORE_ALGORITHMS: Firmware = (5, 7, 0);

/// What a key can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Algorithm {
    Rsa1024,
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
    Ed25519,
    X25519,
}

impl Algorithm {
    /// Reads an algorithm byte; what keys of this firmware do not have is refused like what no key has.
    pub(crate) fn new(byte: u8, firmware: Firmware) -> Result<Self, Status> {
        let algorithm = match byte {
            0x06 => Self::Rsa1024,
            0x07 => Self::Rsa2048,
            0x05 => Self::Rsa3072,
            0x16 => Self::Rsa4096,
            0x11 => Self::P256,
            0x14 => Self::P384,
            0xE0 => Self::Ed25519,
            0xE1 => Self::X25519,
            _ => return Err(Status::BAD_DATA),
        };
        if firmware < MORE_ALGORITHMS && algorithm.came_with_5_7() {
            return Err(Status::BAD_DATA);
        }
        Ok(algorithm)
    }

    /// The algorithm byte.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Rsa1024 => 0x06,
            Self::Rsa2048 => 0x07,
            Self::Rsa3072 => 0x05,
            Self::Rsa4096 => 0x16,
            Self::P256 => 0x11,
            Self::P384 => 0x14,
            Self::Ed25519 => 0xE0,
            Self::X25519 => 0xE1,
        }
    }

    /// Bits of the modulus, if it is RSA.
    fn rsa_bits(self) -> Option<usize> {
        match self {
            Self::Rsa1024 => Some(1024),
            Self::Rsa2048 => Some(2048),
            Self::Rsa3072 => Some(3072),
            Self::Rsa4096 => Some(4096),
            Self::P256 | Self::P384 | Self::Ed25519 | Self::X25519 => None,
        }
    }

    fn came_with_5_7(self) -> bool {
        matches!(
            self,
            Self::Rsa3072 | Self::Rsa4096 | Self::Ed25519 | Self::X25519
        )
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
    P384(p384::SecretKey),
    Ed25519(Box<ed25519_dalek::SigningKey>),
    X25519(x25519_dalek::StaticSecret),
    Rsa(Box<RsaPrivateKey>),
}

impl Private {
    /// Makes a new key from the operating system's randomness.
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, Status> {
        match algorithm.rsa_bits() {
            Some(bits) => rsa::generate(bits),
            None => curves::generate(algorithm),
        }
    }

    /// Reads an imported key from the elements of IMPORT; what it says beyond the secret numbers follows from them.
    pub(crate) fn import(
        algorithm: Algorithm,
        elements: &[tlv::Element<'_>],
    ) -> Result<Self, Status> {
        let part = |tag| tlv::find(elements, tag).ok_or(Status::BAD_DATA);
        match algorithm {
            Algorithm::P256 | Algorithm::P384 => curves::from_secret(algorithm, part(0x06)?),
            Algorithm::Ed25519 => curves::from_secret(algorithm, part(0x07)?),
            Algorithm::X25519 => curves::from_secret(algorithm, part(0x08)?),
            Algorithm::Rsa1024 | Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => {
                rsa::from_primes(algorithm, part(0x01)?, part(0x02)?)
            }
        }
    }

    /// What kind of key it is.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256(_) => Algorithm::P256,
            Self::P384(_) => Algorithm::P384,
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::X25519(_) => Algorithm::X25519,
            Self::Rsa(key) => rsa::algorithm(key),
        }
    }

    /// The public half, in the elements that GENERATE and METADATA answer with.
    pub(crate) fn public(&self) -> Vec<u8> {
        if let Self::Rsa(key) = self {
            let [modulus, exponent] = rsa::public(key);
            let mut out = tlv::element(&[0x81], &modulus);
            tlv::push(&mut out, &[0x82], &exponent);
            return out;
        }
        tlv::element(&[0x86], &curves::public(self))
    }

    /// The public half as certificates carry it: a SubjectPublicKeyInfo (RFC 5280, 5480, 8410).
    pub(crate) fn public_key_info(&self) -> Vec<u8> {
        if let Self::Rsa(key) = self {
            let [modulus, exponent] = rsa::public(key).map(|number| der::integer(&number));
            let numbers = der::sequence(&[&modulus, &exponent]);
            return der::sequence(&[&der::rsa_algorithm(oid::RSA), &der::bit_string(&numbers)]);
        }
        let algorithm = match self.algorithm() {
            Algorithm::P384 => der::algorithm(oid::EC, Some(oid::P384)),
            Algorithm::Ed25519 => der::algorithm(oid::ED25519, None),
            Algorithm::X25519 => der::algorithm(oid::X25519, None),
            _ => der::algorithm(oid::EC, Some(oid::P256)),
        };
        der::sequence(&[&algorithm, &der::bit_string(&curves::public(self))])
    }

    /// Signs: a digest (P-256, P-384), a whole message (Ed25519), or a padded block, raised to the private exponent (RSA).
    pub(crate) fn sign(&self, input: &[u8]) -> Result<Vec<u8>, Status> {
        match self {
            Self::Rsa(key) => rsa::raise(key, input),
            _ => curves::sign(self, input),
        }
    }

    /// Signs a message of which this is the SHA-256 digest, as certificates are signed.
    pub(crate) fn sign_sha256(&self, digest: &[u8; 32]) -> Result<Vec<u8>, Status> {
        match self {
            Self::Rsa(key) => rsa::raise(key, &rsa::padded(key, digest)?),
            Self::P256(_) | Self::P384(_) => curves::sign(self, digest),
            Self::Ed25519(_) | Self::X25519(_) => Err(Status::BAD_DATA),
        }
    }

    /// Agrees on a secret with the owner of a point: the x coordinate, or the u coordinate of X25519.
    pub(crate) fn agree(&self, point: &[u8]) -> Result<Vec<u8>, Status> {
        curves::agree(self, point)
    }

    /// The secret numbers, for the state file.
    pub(crate) fn secrets(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Rsa(key) => rsa::primes(key),
            _ => curves::secret(self).into_iter().collect(),
        }
    }

    /// The reverse of `secrets`.
    pub(crate) fn from_secrets(algorithm: Algorithm, secrets: &[Vec<u8>]) -> Result<Self, Status> {
        match secrets {
            [secret] => curves::from_secret(algorithm, secret),
            [p, q] => rsa::from_primes(algorithm, p, q),
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
