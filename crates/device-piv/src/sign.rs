//! Signatures: what a message becomes before the card sees it, and a look at what comes back.

use aws_lc_rs::digest::{SHA256, digest};
use touchkeep_device::{
    Algorithm, DeviceError, SignatureScheme,
    public::{scheme_of, verifies},
};

use crate::{
    card::{Use, rsa_bytes},
    device::Target,
    transport::Channel,
};

/// What the card is to sign for this message; an error for what it could not sign, before a PIN is asked for.
pub(crate) fn prepared(algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, DeviceError> {
    let unsupported = || DeviceError::Unsupported(format!("signatures with {algorithm:?}"));
    let hash = || digest(&SHA256, message);
    match scheme_of(algorithm).ok_or_else(unsupported)? {
        SignatureScheme::EcdsaP256Sha256 => Ok(hash().as_ref().to_vec()),
        SignatureScheme::RsaPkcs1Sha256 => {
            let bytes = rsa_bytes(algorithm).ok_or_else(unsupported)?;
            Ok(pkcs1_padded(hash().as_ref(), bytes))
        }
        // The card hashes, so it gets the whole message.
        SignatureScheme::Ed25519 if message.len() <= MAX_MESSAGE_BYTES => Ok(message.to_vec()),
        SignatureScheme::Ed25519 => Err(DeviceError::Unsupported(format!(
            "Ed25519 over more than {MAX_MESSAGE_BYTES} bytes"
        ))),
        SignatureScheme::HmacSha256
        | SignatureScheme::HmacSha384
        | SignatureScheme::HmacSha512
        | SignatureScheme::EcdsaSecp256k1Digest => Err(unsupported()),
    }
}

/// Signs with a key, whatever it is for, and looks at the signature before it goes anywhere: a fault in a signature can give
/// the key away. The PIN was verified in this transaction.
pub(crate) fn sign(
    channel: &mut dyn Channel,
    target: Target<'_>,
    message: &[u8],
    prepared: &[u8],
) -> Result<Vec<u8>, DeviceError> {
    let signature = target.operate(channel, Use::Sign, prepared)?;
    let good = scheme_of(target.algorithm)
        .is_some_and(|scheme| verifies(scheme, target.spki, message, &signature));
    if !good {
        let text = "with a signature that is not its key's";
        return Err(DeviceError::Unexpected(text.into()));
    }
    Ok(signature.to_vec())
}

/// A YubiKey takes about 3 KiB in one chained command (*assumed* from its largest object).
const MAX_MESSAGE_BYTES: usize = 3000;

// EMSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 9.2).
fn pkcs1_padded(hash: &[u8], modulus_bytes: usize) -> Vec<u8> {
    const DIGEST_INFO: [u8; 19] = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    let padding = modulus_bytes.saturating_sub(3 + DIGEST_INFO.len() + hash.len());
    [&[0, 1], &vec![0xff; padding][..], &[0], &DIGEST_INFO, hash].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_padded_to_the_modulus() {
        for bytes in [256, 384, 512] {
            let padded = pkcs1_padded(&[7; 32], bytes);
            assert_eq!(padded.len(), bytes);
            assert_eq!(padded[..3], [0, 1, 0xff]);
            assert_eq!(padded[bytes - 52], 0);
        }
    }
}
