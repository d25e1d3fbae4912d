//! Taking RSA-OAEP padding off (RFC 8017, 7.1.2) in our own code, for tokens that give out the raw block: SHA-256, MGF1 with
//! SHA-256, and a message of one known length.
//!
//! # Why in constant time
//! Whoever learns which check failed, and be it by the clock, can decrypt with some thousand questions (Manger, CRYPTO 2001). Since the
//! message's length is known, nothing is searched for: every byte is looked at, and there is one answer.

use aws_lc_rs::digest::{SHA256, digest};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

const HASH_BYTES: usize = 32;

/// The message in a block of the modulus' length; `None`, whatever is wrong with it.
pub(crate) fn unpad<const MESSAGE: usize>(
    block: &[u8],
    label: &[u8],
) -> Option<Zeroizing<[u8; MESSAGE]>> {
    // The lengths are public.
    let (first, rest) = block.split_first()?;
    let (seed, data) = rest.split_at_checked(HASH_BYTES)?;
    let zeros = data.len().checked_sub(HASH_BYTES + 1 + MESSAGE)?;
    let seed = masked(seed, data);
    let data = masked(data, &seed);
    let (hash, tail) = data.split_at_checked(HASH_BYTES)?;
    let (padding, tail) = tail.split_at_checked(zeros)?;
    let (one, message) = tail.split_first()?;

    let mut good: Choice = first.ct_eq(&0) & one.ct_eq(&1);
    good &= hash.ct_eq(digest(&SHA256, label).as_ref());
    good &= padding.iter().fold(0, |all, byte| all | byte).ct_eq(&0);
    let message = Zeroizing::new(message.try_into().ok()?);
    bool::from(good).then_some(message)
}

// MGF1 (RFC 8017, B.2.1) of `seed`, over `bytes`.
fn masked(bytes: &[u8], seed: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(bytes.to_vec());
    for (counter, chunk) in (0u32..).zip(out.chunks_mut(HASH_BYTES)) {
        let input = Zeroizing::new([seed, &counter.to_be_bytes()].concat());
        for (byte, mask) in chunk.iter_mut().zip(digest(&SHA256, &input).as_ref()) {
            *byte ^= mask;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    const LABEL: &[u8] = b"a label";

    // OpenSSL pads and encrypts; it decrypts raw, and what we take off is compared with what was put in.
    fn block(message: &[u8], label: &str) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
        let openssl = |arguments: &[&str]| {
            let output = Command::new("openssl").args(arguments).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        let (key, text, sealed, raw) = (at("key"), at("text"), at("sealed"), at("raw"));
        fs::write(&text, message).unwrap();
        openssl(&["genrsa", "-out", &key, "2048"]);
        let label: String = label.bytes().map(|byte| format!("{byte:02x}")).collect();
        openssl(&[
            "pkeyutl",
            "-encrypt",
            "-inkey",
            &key,
            "-in",
            &text,
            "-out",
            &sealed,
            "-pkeyopt",
            "rsa_padding_mode:oaep",
            "-pkeyopt",
            "rsa_oaep_md:sha256",
            "-pkeyopt",
            "rsa_mgf1_md:sha256",
            "-pkeyopt",
            &format!("rsa_oaep_label:{label}"),
        ]);
        openssl(&[
            "pkeyutl",
            "-decrypt",
            "-inkey",
            &key,
            "-in",
            &sealed,
            "-out",
            &raw,
            "-pkeyopt",
            "rsa_padding_mode:none",
        ]);
        fs::read(raw).unwrap()
    }

    #[test]
    fn what_openssl_pads_is_taken_off_and_nothing_else() {
        let block = block(b"yellow submarine", "a label");
        let opened = unpad::<16>(&block, LABEL).unwrap();
        assert_eq!(&opened[..], b"yellow submarine");
        assert!(unpad::<16>(&block, b"another label").is_none());
        assert!(unpad::<15>(&block, LABEL).is_none());
        assert!(unpad::<17>(&block, LABEL).is_none());
        assert!(unpad::<16>(&block[1..], LABEL).is_none());
        assert!(unpad::<16>(&[], LABEL).is_none());
        // A change of any byte changes the mask of all others, so there is no byte that nobody looks at.
        for at in 0..block.len() {
            let mut changed = block.clone();
            changed[at] ^= 1;
            assert!(unpad::<16>(&changed, LABEL).is_none(), "byte {at}");
        }
    }
}
