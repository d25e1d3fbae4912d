//! Private keys that are text: what a person pasted or a venue's portal gave out.
//!
//! Read are PEM (PKCS#8, PKCS#1, SEC 1), also with its line breaks written as `\n`, as it stands in JSON files; the seed of an
//! Ed25519 key in base64 or hex, with or without its public half behind it (libsodium's form, and Coinbase's); and the
//! number of a secp256k1 key in hex.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair,
    },
};
use k256::ecdsa::SigningKey;
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use touchkeep_core::ApiSecret;
use touchkeep_locked::{in_locked_memory, on_small_wiped_stack, on_stack_wiped_of, on_wiped_stack};
use touchkeep_venue::Algorithm;
use zeroize::Zeroizing;

const SEED_BYTES: usize = 32;
/// The least modulus that is used, in bytes.
const MIN_RSA_BYTES: usize = 256;
/// What is wiped after a signature on a curve, which takes 16 to 19 kB. C that is not optimised takes three to four times as much.
const CURVE_STACK_BYTES: usize = match cfg!(debug_assertions) {
    true => 128 * 1024,
    false => 32 * 1024,
};
/// What Ethereum adds to the recovery id (Yellow Paper, appendix F).
const RECOVERY_BASE: u8 = 27;

// A private key, for the time of one signature.
enum PrivateKey {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Secp256k1(Box<SigningKey>),
}

/// The kind of a private key that stands in PEM, or in a text that nothing else can be: a seed of Ed25519 with its own
/// public half behind it. None for other texts: a passphrase, an HMAC secret, a bare seed.
#[must_use]
pub fn kind_of(secret: &ApiSecret) -> Option<Algorithm> {
    // EXPOSE: to a look at what it is; what that leaves on the stack is wiped.
    on_wiped_stack(|| {
        let text = secret.expose();
        if !text.contains("-----BEGIN") {
            let bytes = decoded(text)?;
            let whole = bytes.len() == 2 * SEED_BYTES;
            return (whole && ed25519(&bytes).is_some()).then_some(Algorithm::Ed25519);
        }
        match in_pem(text)? {
            PrivateKey::Rsa(_) => Some(Algorithm::RsaPkcs1Sha256),
            PrivateKey::Ed25519(_) => Some(Algorithm::Ed25519),
            PrivateKey::P256(_) => Some(Algorithm::EcdsaP256Sha256),
            PrivateKey::Secp256k1(_) => Some(Algorithm::Secp256k1Digest),
        }
    })
}

/// Whether a secret is a private key that signs so.
#[must_use]
pub fn signs(secret: &ApiSecret, algorithm: Algorithm) -> bool {
    // EXPOSE: to a look at whether it can be used; what that leaves on the stack is wiped.
    on_wiped_stack(|| PrivateKey::read(secret.expose(), algorithm).is_some())
}

/// Signs with a private key; raw, as [`touchkeep_venue::ToSign::seal`] wants it. None where the secret is no such key.
#[must_use]
pub fn signature(secret: &ApiSecret, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
    // EXPOSE: to one signature; what that leaves on the stack is wiped.
    on_wiped_stack(|| {
        let key = PrivateKey::read(secret.expose(), algorithm)?;
        key.sign(message)
    })
}

/// A private key that was read and stays, in locked memory.
pub struct Stays(PrivateKey);

impl Stays {
    /// Reads one. None where the secret is no such key, or the key cannot be had in locked memory alone.
    #[must_use]
    pub fn read(secret: &ApiSecret, algorithm: Algorithm) -> Option<Self> {
        // k256 has its key in memory of its own.
        if algorithm == Algorithm::Secp256k1Digest {
            return None;
        }
        // What the provider keeps for a thread is there before; what it keeps with a key is there after a first signature.
        aws_lc_rs::rand::fill(&mut [0; 1]).ok()?;
        // EXPOSE: to be read once; what that leaves on the stack is wiped.
        on_wiped_stack(|| {
            in_locked_memory(|| {
                let key = PrivateKey::read(secret.expose(), algorithm)?;
                key.sign(b"")?;
                Some(Self(key))
            })
        })?
    }

    /// Signs; raw, as [`signature`] does.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self.0 {
            PrivateKey::Rsa(_) => on_small_wiped_stack(|| self.0.sign(message)),
            _ => on_stack_wiped_of::<CURVE_STACK_BYTES, _>(|| self.0.sign(message)),
        }
    }
}

impl PrivateKey {
    // Reads a key that signs so.
    fn read(text: &str, algorithm: Algorithm) -> Option<Self> {
        let read = if text.contains("-----BEGIN") {
            in_pem(text)
        } else {
            let bytes = decoded(text)?;
            match algorithm {
                Algorithm::Ed25519 => ed25519(&bytes).map(Self::Ed25519),
                Algorithm::Secp256k1Digest => SigningKey::from_slice(&bytes)
                    .ok()
                    .map(|key| Self::Secp256k1(Box::new(key))),
                _ => None,
            }
        };
        read.filter(|key| key.is_for(algorithm))
    }

    const fn is_for(&self, algorithm: Algorithm) -> bool {
        matches!(
            (self, algorithm),
            (Self::Rsa(_), Algorithm::RsaPkcs1Sha256)
                | (Self::Ed25519(_), Algorithm::Ed25519)
                | (Self::P256(_), Algorithm::EcdsaP256Sha256)
                | (Self::Secp256k1(_), Algorithm::Secp256k1Digest)
        )
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .ok()?;
                Some(signature)
            }
            Self::Ed25519(key) => Some(key.sign(message).as_ref().to_vec()),
            Self::P256(key) => {
                let signature = key.sign(&SystemRandom::new(), message).ok()?;
                Some(signature.as_ref().to_vec())
            }
            Self::Secp256k1(key) => {
                if message.len() != SEED_BYTES {
                    return None;
                }
                let (signature, recovery) = key.sign_prehash_recoverable(message);
                let v = RECOVERY_BASE.checked_add(recovery.to_byte())?;
                Some([signature.to_bytes().as_slice(), &[v]].concat())
            }
        }
    }
}

// What it leaves on the heap is wiped by the allocator.
fn in_pem(text: &str) -> Option<PrivateKey> {
    let text = Zeroizing::new(text.replace("\\n", "\n"));
    in_der(&PrivateKeyDer::from_pem_slice(text.as_bytes()).ok()?)
}

fn in_der(der: &PrivateKeyDer<'_>) -> Option<PrivateKey> {
    let rsa = |pair: RsaKeyPair| {
        (pair.public_modulus_len() >= MIN_RSA_BYTES).then(|| PrivateKey::Rsa(Box::new(pair)))
    };
    match der {
        PrivateKeyDer::Pkcs8(der) => {
            let der = der.secret_pkcs8_der();
            if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
                return Some(PrivateKey::Ed25519(pair));
            }
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
                return Some(PrivateKey::P256(pair));
            }
            rsa(RsaKeyPair::from_pkcs8(der).ok()?)
        }
        PrivateKeyDer::Pkcs1(der) => rsa(RsaKeyPair::from_der(der.secret_pkcs1_der()).ok()?),
        PrivateKeyDer::Sec1(der) => {
            let der = der.secret_sec1_der();
            EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                .ok()
                .map(PrivateKey::P256)
        }
        _ => None,
    }
}

// Hex or base64 of 32 or 64 bytes.
fn decoded(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.trim();
    let hex = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let bytes = data_encoding::HEXLOWER_PERMISSIVE
        .decode(hex)
        .or_else(|_| data_encoding::BASE64.decode(text.as_bytes()))
        .ok()
        .map(Zeroizing::new)?;
    [SEED_BYTES, 2 * SEED_BYTES]
        .contains(&bytes.len())
        .then_some(bytes)
}

// A public half that is not the seed's own is somebody's mistake, or another kind of secret.
fn ed25519(bytes: &[u8]) -> Option<Ed25519KeyPair> {
    let (seed, public) = bytes.split_at_checked(SEED_BYTES)?;
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
    (public.is_empty() || pair.public_key().as_ref() == public).then_some(pair)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use aws_lc_rs::{
        encoding::{AsDer, Pkcs8V1Der},
        rsa::KeySize,
    };
    use touchkeep_locked::{SMALL_STACK_BYTES, bytes_left_by};

    use super::*;

    // A margin for processors that aws-lc has other code for.
    #[test]
    fn a_signature_takes_three_quarters_at_most_of_the_stack_that_is_wiped_after_it() {
        let random = SystemRandom::new();
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let [rsa2048, rsa4096] = [KeySize::Rsa2048, KeySize::Rsa4096].map(|size| {
            let key = RsaKeyPair::generate(size).unwrap();
            AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap()
        });
        for (der, wiped) in [
            (ed25519.as_ref(), CURVE_STACK_BYTES),
            (p256.as_ref(), CURVE_STACK_BYTES),
            (rsa2048.as_ref(), SMALL_STACK_BYTES),
            (rsa4096.as_ref(), SMALL_STACK_BYTES),
        ] {
            let key = in_der(&PrivateKeyDer::Pkcs8(der.into())).unwrap();
            let depth = bytes_left_by(|| drop(black_box(key.sign(&[7; 500])))).unwrap();
            // It does leave something there, or this would see nothing.
            assert!((1024..wiped / 4 * 3).contains(&depth), "{depth}");
        }
    }
}
