//! Public keys: their DER, their points, and whether a signature is theirs.
//!
//! All of it is public data, so nothing here is constant-time.

use aws_lc_rs::{
    agreement::{self, ParsedPublicKey},
    signature::{self, UnparsedPublicKey},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use k256::ecdsa::{self, RecoveryId, VerifyingKey};
use num_bigint::BigUint;

use crate::device::{Algorithm, SignatureScheme};

/// Bytes of a compressed P-256 point (SEC 1, 2.3.3).
pub const COMPRESSED_BYTES: usize = 33;
/// Bytes of an uncompressed P-256 point.
pub const UNCOMPRESSED_BYTES: usize = 65;

// SubjectPublicKeyInfo up to the key itself: RFC 5480 for P-256, RFC 8410 for the others.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const X25519_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00,
];
const ED25519_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
// RFC 5480 and SEC 2: id-ecPublicKey on secp256k1.
const SECP256K1_PREFIX: [u8; 23] = [
    0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x0a, 0x03, 0x42, 0x00,
];
/// Bytes of what [`SignatureScheme::EcdsaSecp256k1Digest`] signs.
pub const DIGEST_BYTES: usize = 32;
/// What is added to the recovery id of a signature (SEC 1, 4.1.6), since Bitcoin.
const RECOVERY_BASE: u8 = 27;
/// The name of RSA keys in SSH, and of the stanza for them in age.
pub(crate) const SSH_RSA: &str = "ssh-rsa";
// AlgorithmIdentifier of rsaEncryption with its NULL (RFC 3279).
const RSA_ALGORITHM: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// A point on P-256 that was checked to be on the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct P256Point([u8; UNCOMPRESSED_BYTES]);

impl P256Point {
    /// From its 65 uncompressed bytes.
    #[must_use]
    pub fn from_uncompressed(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; UNCOMPRESSED_BYTES] = bytes.try_into().ok()?;
        let unparsed = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, bytes);
        (bytes.first() == Some(&4) && ParsedPublicKey::try_from(&unparsed).is_ok())
            .then_some(Self(bytes))
    }

    /// From its 33 compressed bytes (SEC 1, 2.3.4). The curve's prime is 3 modulo 4, so a root is one power.
    #[must_use]
    pub fn from_compressed(bytes: &[u8]) -> Option<Self> {
        let (sign @ (2 | 3), x) = bytes.split_first()? else {
            return None;
        };
        if bytes.len() != COMPRESSED_BYTES {
            return None;
        }
        let (p, b) = (BigUint::from_bytes_be(&P), BigUint::from_bytes_be(&B));
        let x_int = BigUint::from_bytes_be(x);
        // y² = x³ - 3x + b
        let square = (x_int.pow(3) + (&p - BigUint::from(3u8)) * &x_int + b) % &p;
        let mut y = square.modpow(&((&p + 1u8) / 4u8), &p);
        if y.bit(0) != (*sign == 3) {
            y = &p - y;
        }
        let y = y.to_bytes_be();
        let mut out = Vec::with_capacity(UNCOMPRESSED_BYTES);
        out.push(4);
        out.extend_from_slice(x);
        out.resize(UNCOMPRESSED_BYTES.saturating_sub(y.len()), 0);
        out.extend_from_slice(&y);
        Self::from_uncompressed(&out)
    }

    /// From a SubjectPublicKeyInfo.
    #[must_use]
    pub fn from_spki(spki: &[u8]) -> Option<Self> {
        Self::from_uncompressed(spki.strip_prefix(&P256_PREFIX)?)
    }

    /// As a SubjectPublicKeyInfo.
    #[must_use]
    pub fn to_spki(&self) -> Vec<u8> {
        [&P256_PREFIX[..], &self.0].concat()
    }

    /// Its 65 bytes.
    #[must_use]
    pub const fn uncompressed(&self) -> &[u8; UNCOMPRESSED_BYTES] {
        &self.0
    }

    /// Its 33 bytes.
    #[must_use]
    pub fn compressed(&self) -> [u8; COMPRESSED_BYTES] {
        let [_, xy @ ..] = &self.0;
        let mut out = [2; COMPRESSED_BYTES];
        for (to, from) in out.iter_mut().skip(1).zip(xy) {
            *to = *from;
        }
        if xy.last().is_some_and(|last| last & 1 == 1)
            && let Some(sign) = out.first_mut()
        {
            *sign = 3;
        }
        out
    }
}

/// An ECDSA signature on P-256 as r and s of 32 bytes each, from its DER (RFC 3279, 2.2.3).
#[must_use]
pub fn raw_ecdsa(der: &[u8]) -> Option<[u8; 64]> {
    let (integers, rest) = der_value(0x30, der)?;
    let (r, s_der) = der_value(0x02, integers)?;
    let (s, after) = der_value(0x02, s_der)?;
    if !rest.is_empty() || !after.is_empty() {
        return None;
    }
    let mut raw = [0; 64];
    let (to_r, to_s) = raw.split_at_mut(32);
    for (to, number) in [(to_r, r), (to_s, s)] {
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        let start = to.len().checked_sub(number.len())?;
        to.get_mut(start..)?.copy_from_slice(number);
    }
    Some(raw)
}

// A value with one byte of length, and what follows it: no integer or signature on P-256 is longer.
fn der_value(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let [found, length @ 0..0x80, rest @ ..] = der else {
        return None;
    };
    (*found == tag).then(|| rest.split_at_checked(usize::from(*length)))?
}

/// The SubjectPublicKeyInfo of a raw Curve25519 key.
#[must_use]
pub fn x25519_spki(raw: &[u8; 32]) -> Vec<u8> {
    [&X25519_PREFIX[..], raw].concat()
}

/// The raw key of a Curve25519 SubjectPublicKeyInfo.
#[must_use]
pub fn x25519_raw(spki: &[u8]) -> Option<[u8; 32]> {
    spki.strip_prefix(&X25519_PREFIX)?.try_into().ok()
}

/// The SubjectPublicKeyInfo of a raw Ed25519 key.
#[must_use]
pub fn ed25519_spki(raw: &[u8; 32]) -> Vec<u8> {
    [&ED25519_PREFIX[..], raw].concat()
}

/// The raw key of an Ed25519 SubjectPublicKeyInfo.
#[must_use]
pub fn ed25519_raw(spki: &[u8]) -> Option<[u8; 32]> {
    spki.strip_prefix(&ED25519_PREFIX)?.try_into().ok()
}

/// The SubjectPublicKeyInfo of a point on secp256k1, from its 65 uncompressed bytes; none where it is on another curve.
#[must_use]
pub fn secp256k1_spki(point: &[u8]) -> Option<Vec<u8>> {
    let spki = [&SECP256K1_PREFIX[..], point].concat();
    secp256k1_key(&spki).map(|_| spki)
}

/// The 65 uncompressed bytes of a point on secp256k1.
#[must_use]
pub fn secp256k1_point(spki: &[u8]) -> Option<&[u8]> {
    secp256k1_key(spki)?;
    spki.strip_prefix(&SECP256K1_PREFIX)
}

fn secp256k1_key(spki: &[u8]) -> Option<VerifyingKey> {
    let point = spki.strip_prefix(&SECP256K1_PREFIX)?;
    let whole = point.len() == UNCOMPRESSED_BYTES && point.first() == Some(&4);
    whole.then(|| VerifyingKey::from_sec1_bytes(point).ok())?
}

/// An ECDSA signature on secp256k1, r and s as a device gave them, with s in its lower half and the number behind them by which
/// the key is found again; none where it is not that key's signature of `digest`.
#[must_use]
pub fn recoverable(spki: &[u8], digest: &[u8], r_and_s: &[u8]) -> Option<[u8; 65]> {
    let key = secp256k1_key(spki).filter(|_| digest.len() == DIGEST_BYTES)?;
    let signature = ecdsa::Signature::from_slice(r_and_s).ok()?.normalize_s();
    let id = RecoveryId::trial_recovery_from_prehash(&key, digest, &signature).ok()?;
    let mut out = [0; 65];
    let (place, [last]) = out.split_at_mut(64) else {
        return None;
    };
    place.copy_from_slice(&signature.to_bytes());
    *last = RECOVERY_BASE + id.to_byte();
    Some(out)
}

/// The SubjectPublicKeyInfo of an RSA key, from its big-endian modulus and public exponent.
#[must_use]
pub fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = tlv(0x30, &[unsigned(modulus), unsigned(exponent)].concat());
    let bits = tlv(0x03, &[&[0], &key[..]].concat());
    tlv(0x30, &[&RSA_ALGORITHM[..], &bits].concat())
}

/// An RSA public key: big-endian numbers without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsaPublic {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl RsaPublic {
    /// From a SubjectPublicKeyInfo in DER. What would be written in another way is refused.
    #[must_use]
    pub fn from_spki(spki: &[u8]) -> Option<Self> {
        let bits = element(0x30, spki)?.0.strip_prefix(&RSA_ALGORITHM)?;
        let key = element(0x03, bits)?.0.strip_prefix(&[0])?;
        let (modulus, rest) = element(0x02, element(0x30, key)?.0)?;
        let (exponent, _) = element(0x02, rest)?;
        let bare = |number: &[u8]| number.strip_prefix(&[0]).unwrap_or(number).to_vec();
        let (modulus, exponent) = (bare(modulus), bare(exponent));
        (rsa_spki(&modulus, &exponent) == spki).then_some(Self { modulus, exponent })
    }

    /// The algorithm, where it is one of ours.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        let full = self.modulus.first().is_some_and(|first| *first >= 0x80);
        match self.modulus.len() {
            256 if full => Some(Algorithm::Rsa2048),
            384 if full => Some(Algorithm::Rsa3072),
            512 if full => Some(Algorithm::Rsa4096),
            _ => None,
        }
    }

    /// Bytes of the modulus, and of everything that is encrypted to the key.
    #[must_use]
    pub const fn modulus_bytes(&self) -> usize {
        self.modulus.len()
    }

    /// As OpenSSH writes it (RFC 4253, 6.6): name, exponent, modulus.
    #[must_use]
    pub fn ssh_wire(&self) -> Vec<u8> {
        let mut wire = Vec::new();
        for (field, number) in [
            (SSH_RSA.as_bytes(), false),
            (&self.exponent, true),
            (&self.modulus, true),
        ] {
            // A number whose first bit is set would be read as negative.
            let pad = number && field.first().is_some_and(|first| *first >= 0x80);
            let length = u32::try_from(field.len() + usize::from(pad)).unwrap_or_default();
            wire.extend_from_slice(&length.to_be_bytes());
            wire.extend(pad.then_some(0));
            wire.extend_from_slice(field);
        }
        wire
    }

    /// `ssh-rsa AAAA…`
    #[must_use]
    pub fn ssh_text(&self) -> String {
        format!("{SSH_RSA} {}", BASE64_STANDARD.encode(self.ssh_wire()))
    }
}

// The content of a DER element of up to 65535 bytes, and what follows it.
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes.strip_prefix(&[tag])? {
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [0x81, low, rest @ ..] => (usize::from(*low), rest),
        [low @ 0..=0x7f, rest @ ..] => (usize::from(*low), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// One DER element (X.690) of up to 65535 bytes, which is more than anything here has.
#[must_use]
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    let head: &[u8] = match (high, low) {
        (0, 0..=0x7f) => &[tag, low],
        (0, _) => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [head, content].concat()
}

/// A DER INTEGER of a big-endian number that is not negative.
#[must_use]
pub fn unsigned(number: &[u8]) -> Vec<u8> {
    let digits = number.iter().position(|byte| *byte != 0);
    let digits = digits.and_then(|at| number.get(at..)).unwrap_or(&[0]);
    let pad: &[u8] = if digits.first().is_some_and(|first| *first >= 0x80) {
        &[0]
    } else {
        &[]
    };
    tlv(0x02, &[pad, digits].concat())
}

/// Whether `signature` over `message` is that of the key. Never of a MAC: see [`may_go_out`].
#[must_use]
pub fn verifies(scheme: SignatureScheme, spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let algorithm: &'static dyn signature::VerificationAlgorithm = match scheme {
        SignatureScheme::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
        SignatureScheme::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        SignatureScheme::Ed25519 => &signature::ED25519,
        SignatureScheme::EcdsaSecp256k1Digest => {
            let (r_and_s, _) = signature.split_at_checked(64).unwrap_or_default();
            return recoverable(spki, message, r_and_s).is_some_and(|whole| whole == signature);
        }
        SignatureScheme::HmacSha256 | SignatureScheme::HmacSha384 | SignatureScheme::HmacSha512 => {
            return false;
        }
    };
    UnparsedPublicKey::new(algorithm, spki)
        .verify(message, signature)
        .is_ok()
}

/// Whether a signature that a device gave may go to a venue: it verifies. Nobody without the secret can say that of a MAC; there it has
/// the length of one, and that it is under the right secret is what the device had to prove before it used it: the secret's
/// MAC of [`MAC_CHECK`](crate::MAC_CHECK) is compared in the session of its use. (Two equal MACs would prove nothing: a broken token can be wrong
/// twice. A wrong MAC tells nobody the secret, as a wrong RSA or ECDSA signature can; the venue refuses it.)
#[must_use]
pub fn may_go_out(scheme: SignatureScheme, spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    match mac_bytes(scheme) {
        Some(bytes) => signature.len() == bytes,
        None => verifies(scheme, spki, message, signature),
    }
}

/// The bytes of a MAC; none for what is verified by a public key.
#[must_use]
pub const fn mac_bytes(scheme: SignatureScheme) -> Option<usize> {
    match scheme {
        SignatureScheme::HmacSha256 => Some(32),
        SignatureScheme::HmacSha384 => Some(48),
        SignatureScheme::HmacSha512 => Some(64),
        SignatureScheme::EcdsaP256Sha256
        | SignatureScheme::RsaPkcs1Sha256
        | SignatureScheme::Ed25519
        | SignatureScheme::EcdsaSecp256k1Digest => None,
    }
}

/// The scheme in which a key of this algorithm signs; none for key agreement.
#[must_use]
pub const fn scheme_of(algorithm: Algorithm) -> Option<SignatureScheme> {
    match algorithm {
        Algorithm::P256 => Some(SignatureScheme::EcdsaP256Sha256),
        Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => {
            Some(SignatureScheme::RsaPkcs1Sha256)
        }
        Algorithm::Ed25519 => Some(SignatureScheme::Ed25519),
        Algorithm::Secp256k1 => Some(SignatureScheme::EcdsaSecp256k1Digest),
        Algorithm::HmacSha256 => Some(SignatureScheme::HmacSha256),
        Algorithm::HmacSha384 => Some(SignatureScheme::HmacSha384),
        Algorithm::HmacSha512 => Some(SignatureScheme::HmacSha512),
        Algorithm::X25519 => None,
    }
}

// The prime and the constant b of P-256 (SP 800-186, 3.2.1.3).
const P: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
];
const B: [u8; 32] = [
    0x5a, 0xc6, 0x35, 0xd8, 0xaa, 0x3a, 0x93, 0xe7, 0xb3, 0xeb, 0xbd, 0x55, 0x76, 0x98, 0x86, 0xbc,
    0x65, 0x1d, 0x06, 0xb0, 0xcc, 0x53, 0xb0, 0xf6, 0x3b, 0xce, 0x3c, 0x3e, 0x27, 0xd2, 0x60, 0x4b,
];

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        agreement::{ECDH_P256, PrivateKey},
        encoding::{AsBigEndian, AsDer, EcPublicKeyCompressedBin, PublicKeyX509Der},
    };

    use super::*;

    #[test]
    fn points_are_those_of_aws_lc() {
        for _ in 0..64 {
            let key = PrivateKey::generate(&ECDH_P256).unwrap();
            let public = key.compute_public_key().unwrap();
            let point = P256Point::from_uncompressed(public.as_ref()).unwrap();
            let compressed: EcPublicKeyCompressedBin = public.as_be_bytes().unwrap();
            assert_eq!(&point.compressed()[..], compressed.as_ref());
            assert_eq!(P256Point::from_compressed(compressed.as_ref()), Some(point));
            let spki: PublicKeyX509Der = public.as_der().unwrap();
            assert_eq!(point.to_spki(), spki.as_ref());
            assert_eq!(P256Point::from_spki(spki.as_ref()), Some(point));
        }
    }

    #[test]
    fn what_is_not_a_point_is_refused() {
        let mut off_curve = [1; UNCOMPRESSED_BYTES];
        off_curve[0] = 4;
        assert_eq!(P256Point::from_uncompressed(&off_curve), None);
        assert_eq!(P256Point::from_uncompressed(&[]), None);
        assert_eq!(P256Point::from_compressed(&[]), None);
        assert_eq!(P256Point::from_compressed(&[2; 32]), None);
        assert_eq!(P256Point::from_compressed(&[0xff; 33]), None);
        let mut above_p = [0xff; COMPRESSED_BYTES];
        above_p[0] = 2;
        assert_eq!(P256Point::from_compressed(&above_p), None);
        // About half of all x are on no point.
        let on_curve = (0..=255u8).filter(|x| {
            let mut bytes = [0; COMPRESSED_BYTES];
            (bytes[0], bytes[32]) = (2, *x);
            P256Point::from_compressed(&bytes).is_some()
        });
        assert!((96..160).contains(&on_curve.count()));
    }

    #[test]
    fn an_rsa_key_is_written_as_aws_lc_writes_it() {
        use aws_lc_rs::{
            rsa::KeySize,
            signature::{KeyPair, RsaKeyPair},
        };
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = pair.public_key();
        let ours = rsa_spki(
            public.modulus().big_endian_without_leading_zero(),
            public.exponent().big_endian_without_leading_zero(),
        );
        let theirs: PublicKeyX509Der = public.as_der().unwrap();
        assert_eq!(ours, theirs.as_ref());
        let read = RsaPublic::from_spki(theirs.as_ref()).unwrap();
        assert_eq!(read.algorithm(), Some(Algorithm::Rsa2048));
    }

    // The file and its public key are those of ssh-keygen.
    #[test]
    fn an_ssh_key_is_written_as_openssh_writes_it() {
        use std::process::Command;
        for (bits, algorithm) in [
            ("2048", Algorithm::Rsa2048),
            ("3072", Algorithm::Rsa3072),
            ("4096", Algorithm::Rsa4096),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("key");
            let run = |program: &str, arguments: &[&str]| {
                let output = Command::new(program).args(arguments).output().unwrap();
                assert!(output.status.success(), "{output:?}");
                output.stdout
            };
            let path = path.to_str().unwrap();
            let make = ["-q", "-t", "rsa", "-m", "PKCS8", "-N", "", "-b", bits, "-f"];
            run("ssh-keygen", &[&make[..], &[path]].concat());
            let der = ["rsa", "-pubout", "-outform", "DER", "-in", path];
            let read = RsaPublic::from_spki(&run("openssl", &der)).unwrap();
            assert_eq!(read.algorithm(), Some(algorithm));
            let text = std::fs::read_to_string(format!("{path}.pub")).unwrap();
            let (ours, theirs) = (read.ssh_text(), text.trim());
            assert!(theirs.starts_with(&format!("{ours} ")), "{ours} {theirs}");
        }
    }

    #[test]
    fn what_is_no_rsa_key_is_refused() {
        let good = rsa_spki(&[0xc1; 256], &[1, 0, 1]);
        assert!(RsaPublic::from_spki(&good).is_some());
        for cut in 0..good.len() {
            assert_eq!(RsaPublic::from_spki(&good[..cut]), None);
        }
        let longer = [&good[..], &[0]].concat();
        assert_eq!(RsaPublic::from_spki(&longer), None);
        let odd = RsaPublic::from_spki(&rsa_spki(&[0x41; 256], &[3])).unwrap();
        assert_eq!(odd.algorithm(), None, "2047 bits are not 2048");
    }
}
