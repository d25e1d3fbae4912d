//! Keys on curves: P-256 and P-384 (FIPS 186, SP 800-56A), Ed25519 (RFC 8032), X25519 (RFC 7748).

use super::{Algorithm, Private};
use crate::card::status::Status;
use cipher::common::Generate;
use ed25519_dalek::Signer;
use p256::ecdsa::signature::hazmat::PrehashSigner;

/// Length of an Ed25519 or X25519 secret, and of their public halves.
const BYTES_25519: usize = 32;
/// The form of a point that cards take: not compressed.
const UNCOMPRESSED: u8 = 4;

/// Makes a key.
pub(super) fn generate(algorithm: Algorithm) -> Result<Private, Status> {
    let internal = |_| Status::INTERNAL;
    match algorithm {
        Algorithm::P256 => p256::SecretKey::try_generate()
            .map(Private::P256)
            .map_err(internal),
        Algorithm::P384 => p384::SecretKey::try_generate()
            .map(Private::P384)
            .map_err(internal),
        Algorithm::Ed25519 | Algorithm::X25519 => {
            let secret = <[u8; BYTES_25519]>::try_generate().map_err(internal)?;
            from_secret(algorithm, &secret)
        }
        _ => Err(Status::BAD_DATA),
    }
}

/// Reads a scalar of the right length and range, or the 32 bytes that stand for one on the other curves.
pub(super) fn from_secret(algorithm: Algorithm, secret: &[u8]) -> Result<Private, Status> {
    let bytes = || <[u8; BYTES_25519]>::try_from(secret).map_err(|_| Status::BAD_DATA);
    match algorithm {
        Algorithm::P256 => p256::SecretKey::from_slice(&bytes()?)
            .map(Private::P256)
            .map_err(|_| Status::BAD_DATA),
        Algorithm::P384 => {
            let scalar = <[u8; 48]>::try_from(secret).map_err(|_| Status::BAD_DATA)?;
            p384::SecretKey::from_slice(&scalar)
                .map(Private::P384)
                .map_err(|_| Status::BAD_DATA)
        }
        Algorithm::Ed25519 => Ok(Private::Ed25519(Box::new(
            ed25519_dalek::SigningKey::from_bytes(&bytes()?),
        ))),
        Algorithm::X25519 => Ok(Private::X25519(bytes()?.into())),
        _ => Err(Status::BAD_DATA),
    }
}

/// The secret as `from_secret` reads it; nothing for RSA.
pub(super) fn secret(key: &Private) -> Option<Vec<u8>> {
    match key {
        Private::P256(key) => Some(key.to_bytes().to_vec()),
        Private::P384(key) => Some(key.to_bytes().to_vec()),
        Private::Ed25519(key) => Some(key.to_bytes().to_vec()),
        Private::X25519(key) => Some(key.to_bytes().to_vec()),
        Private::Rsa(_) => None,
    }
}

/// The public point as cards write it; nothing for RSA.
pub(super) fn public(key: &Private) -> Vec<u8> {
    match key {
        Private::P256(key) => key.public_key().to_sec1_bytes().to_vec(),
        Private::P384(key) => key.public_key().to_sec1_bytes().to_vec(),
        Private::Ed25519(key) => key.verifying_key().to_bytes().to_vec(),
        Private::X25519(key) => x25519_dalek::PublicKey::from(key).to_bytes().to_vec(),
        Private::Rsa(_) => Vec::new(),
    }
}

/// Signs a digest, or a message if the curve is Ed25519.
pub(super) fn sign(key: &Private, input: &[u8]) -> Result<Vec<u8>, Status> {
    match key {
        Private::P256(key) => {
            let signature: p256::ecdsa::Signature = p256::ecdsa::SigningKey::from(key)
                .sign_prehash(&padded::<32>(input)?)
                .map_err(|_| Status::INTERNAL)?;
            Ok(signature.to_der().as_bytes().to_vec())
        }
        Private::P384(key) => {
            let signature: p384::ecdsa::Signature = p384::ecdsa::SigningKey::from(key)
                .sign_prehash(&padded::<48>(input)?)
                .map_err(|_| Status::INTERNAL)?;
            Ok(signature.to_der().as_bytes().to_vec())
        }
        Private::Ed25519(key) => Ok(key.sign(input).to_bytes().to_vec()),
        Private::X25519(_) | Private::Rsa(_) => Err(Status::BAD_DATA),
    }
}

/// Agrees with a point, which is checked to be on the curve.
pub(super) fn agree(key: &Private, point: &[u8]) -> Result<Vec<u8>, Status> {
    match key {
        Private::P256(key) => {
            let point = p256::PublicKey::from_sec1_bytes(uncompressed(point)?);
            let secret = key.diffie_hellman(&point.map_err(|_| Status::BAD_DATA)?);
            Ok(secret.raw_secret_bytes().to_vec())
        }
        Private::P384(key) => {
            let point = p384::PublicKey::from_sec1_bytes(uncompressed(point)?);
            let secret = key.diffie_hellman(&point.map_err(|_| Status::BAD_DATA)?);
            Ok(secret.raw_secret_bytes().to_vec())
        }
        Private::X25519(key) => {
            let point = <[u8; BYTES_25519]>::try_from(point).map_err(|_| Status::BAD_DATA)?;
            let secret = key.diffie_hellman(&point.into());
            // A point of small order makes everybody's secret the same one.
            if secret.was_contributory() {
                Ok(secret.to_bytes().to_vec())
            } else {
                Err(Status::BAD_DATA)
            }
        }
        Private::Ed25519(_) | Private::Rsa(_) => Err(Status::BAD_DATA),
    }
}

fn uncompressed(point: &[u8]) -> Result<&[u8], Status> {
    if point.first() == Some(&UNCOMPRESSED) {
        Ok(point)
    } else {
        Err(Status::BAD_DATA)
    }
}

/// A shorter digest, an empty one too, is padded on the left, as the number that it is.
fn padded<const BYTES: usize>(digest: &[u8]) -> Result<[u8; BYTES], Status> {
    let mut padded = [0; BYTES];
    let start = BYTES.checked_sub(digest.len()).ok_or(Status::BAD_DATA)?;
    padded
        .get_mut(start..)
        .ok_or(Status::INTERNAL)?
        .copy_from_slice(digest);
    Ok(padded)
}
