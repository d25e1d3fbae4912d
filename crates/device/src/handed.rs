//! Keys that a venue hands out, in the forms in which it does: read, checked, wiped.
//!
//! | form | key |
//! |---|---|
//! | PEM, `EC PRIVATE KEY` (RFC 5915) or `PRIVATE KEY` (RFC 5958); line ends may be written `\n`, as in JSON | P-256, Ed25519 |
//! | the DER in it | P-256, Ed25519 |
//! | base64 of 64 bytes: seed and public key, as Coinbase writes it | Ed25519 |
//! | base64 of a seed of 32 bytes | Ed25519 |
//! | 64 hexadecimal digits, perhaps after `0x` | secp256k1 |
//! | any bytes | an HMAC secret, where the caller says so |

use aws_lc_rs::{
    agreement::{ECDH_P256, PrivateKey},
    encoding::{AsBigEndian, AsDer, Curve25519SeedBin, EcPrivateKeyBin, PublicKeyX509Der},
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use data_encoding::HEXLOWER_PERMISSIVE;
use k256::ecdsa::SigningKey;
use zeroize::Zeroizing;

use crate::{
    device::{Algorithm, MAC_CHECK},
    public::{ed25519_spki, secp256k1_spki},
};

const SEED_BYTES: usize = 32;
/// The longest text that is looked at.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Why a text is no key that could be put into a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    /// None of the forms.
    #[error(
        "that is no private key in a form that is known: PEM of a P-256 or Ed25519 key, base64 of an Ed25519 key, or 64 hexadecimal digits"
    )]
    Form,
    /// It is under a passphrase.
    #[error("that private key is encrypted")]
    Encrypted,
    /// RSA keys are made on devices alone: no venue hands one out.
    #[error("that is an RSA key, and no RSA key is taken into a device")]
    Rsa,
    /// The two halves of it do not belong together.
    #[error("the private half is not that of the public key beside it")]
    Halves,
    /// HMAC with nothing.
    #[error("that secret is empty")]
    Empty,
}

/// A key that was made elsewhere, on its way into a device. Wiped with it.
pub struct HandedKey {
    algorithm: Algorithm,
    public: Vec<u8>,
    secret: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for HandedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandedKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl HandedKey {
    /// Reads a private key.
    ///
    /// # Errors
    /// [`NotAKey`] says what is wrong with it.
    pub fn read(text: &[u8]) -> Result<Self, NotAKey> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(NotAKey::Form);
        }
        if let Ok(words) = std::str::from_utf8(text) {
            let words = words.trim();
            if words.contains("-----BEGIN") {
                return Self::of_der(&of_pem(words)?);
            }
            if let Some(read) = of_hex(words).or_else(|| of_base64(words)) {
                return read;
            }
        }
        Self::of_der(text)
    }

    /// A secret for HMAC, of its bytes.
    ///
    /// # Errors
    /// [`NotAKey::Empty`], or [`NotAKey::Form`] where `algorithm` is no HMAC.
    pub fn hmac(algorithm: Algorithm, secret: &[u8]) -> Result<Self, NotAKey> {
        let hash = hmac_of(algorithm).ok_or(NotAKey::Form)?;
        if secret.is_empty() {
            return Err(NotAKey::Empty);
        }
        let check = hmac::sign(&hmac::Key::new(hash, secret), MAC_CHECK);
        Ok(Self {
            algorithm,
            public: check.as_ref().to_vec(),
            secret: Zeroizing::new(secret.to_vec()),
        })
    }

    /// What it is.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What is public of it, as in [`KeyInfo::spki`](crate::KeyInfo::spki).
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The scalar of a key on a curve, the seed of an Ed25519 key, the bytes of an HMAC secret.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.secret
    }

    fn of_der(der: &[u8]) -> Result<Self, NotAKey> {
        if let Ok(key) = PrivateKey::from_private_key_der(&ECDH_P256, der) {
            return of_p256(&key).ok_or(NotAKey::Form);
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            let seed = pair.seed().map_err(|_| NotAKey::Form)?;
            let seed: Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(|_| NotAKey::Form)?;
            return of_seed(seed.as_ref());
        }
        let rsa = aws_lc_rs::rsa::KeyPair::from_pkcs8(der).is_ok()
            || aws_lc_rs::rsa::KeyPair::from_der(der).is_ok();
        Err(if rsa { NotAKey::Rsa } else { NotAKey::Form })
    }
}

/// The HMAC of a kind of secret.
#[must_use]
pub(crate) const fn hmac_of(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    match algorithm {
        Algorithm::HmacSha256 => Some(hmac::HMAC_SHA256),
        Algorithm::HmacSha384 => Some(hmac::HMAC_SHA384),
        Algorithm::HmacSha512 => Some(hmac::HMAC_SHA512),
        _ => None,
    }
}

fn of_p256(key: &PrivateKey) -> Option<HandedKey> {
    let scalar: EcPrivateKeyBin<'_> = key.as_be_bytes().ok()?;
    let public = key.compute_public_key().ok()?;
    let spki: PublicKeyX509Der<'_> = public.as_der().ok()?;
    Some(HandedKey {
        algorithm: Algorithm::P256,
        public: spki.as_ref().to_vec(),
        // EXPOSE: the private key, to the command that puts it into a device.
        secret: Zeroizing::new(scalar.as_ref().to_vec()),
    })
}

fn of_seed(seed: &[u8]) -> Result<HandedKey, NotAKey> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NotAKey::Form)?;
    let public = pair.public_key().as_ref().try_into();
    Ok(HandedKey {
        algorithm: Algorithm::Ed25519,
        public: ed25519_spki(public.map_err(|_| NotAKey::Form)?),
        secret: Zeroizing::new(seed.to_vec()),
    })
}

// None where the text is no base64 of as many bytes.
fn of_base64(text: &str) -> Option<Result<HandedKey, NotAKey>> {
    let bytes = decoded(text.as_bytes())?;
    match bytes.split_at_checked(SEED_BYTES)? {
        (seed, []) => Some(of_seed(seed)),
        (seed, public) if public.len() == SEED_BYTES => Some(of_seed(seed).and_then(|key| {
            let fits = key.public.ends_with(public);
            fits.then_some(key).ok_or(NotAKey::Halves)
        })),
        _ => None,
    }
}

fn of_hex(text: &str) -> Option<Result<HandedKey, NotAKey>> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    if digits.len() != 2 * SEED_BYTES || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut scalar = Zeroizing::new([0; SEED_BYTES]);
    HEXLOWER_PERMISSIVE
        .decode_mut(digits, &mut scalar[..])
        .ok()?;
    // Zero and what is above the curve's order are no keys.
    let Ok(key) = SigningKey::from_slice(&scalar[..]) else {
        return Some(Err(NotAKey::Form));
    };
    let point = key.verifying_key().to_sec1_point(false);
    let public = secp256k1_spki(point.as_bytes())?;
    Some(Ok(HandedKey {
        algorithm: Algorithm::Secp256k1,
        public,
        secret: Zeroizing::new(scalar.to_vec()),
    }))
}

fn of_pem(text: &str) -> Result<Zeroizing<Vec<u8>>, NotAKey> {
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(NotAKey::Form)?;
    let (label, rest) = rest.split_once("-----").ok_or(NotAKey::Form)?;
    let (body, _) = rest.split_once("-----END ").ok_or(NotAKey::Form)?;
    match label {
        "EC PRIVATE KEY" | "PRIVATE KEY" if !body.contains("ENCRYPTED") => {}
        "RSA PRIVATE KEY" => return Err(NotAKey::Rsa),
        label if label.starts_with("ENCRYPTED") || body.contains("ENCRYPTED") => {
            return Err(NotAKey::Encrypted);
        }
        _ => return Err(NotAKey::Form),
    }
    let mut base64 = Zeroizing::new(Vec::with_capacity(body.len()));
    for line in body.split("\\n") {
        base64.extend(line.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    }
    decoded(&base64).ok_or(NotAKey::Form)
}

// Room for all of it at once, so that no copy stays behind where a growing buffer was.
fn decoded(base64: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; base64.len() + 3]);
    let length = BASE64_STANDARD.decode_slice(base64, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn openssl(arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    struct File(tempfile::TempDir);

    impl File {
        fn made(arguments: &[&str]) -> Self {
            let file = Self(tempfile::tempdir().unwrap());
            let path = file.path();
            openssl(&[arguments, &["-out", &path]].concat());
            file
        }

        fn path(&self) -> String {
            self.0.path().join("key.pem").to_str().unwrap().to_owned()
        }

        fn text(&self) -> String {
            std::fs::read_to_string(self.path()).unwrap()
        }

        fn public(&self) -> Vec<u8> {
            openssl(&["pkey", "-in", &self.path(), "-pubout", "-outform", "DER"])
        }
    }

    #[test]
    fn keys_on_p256_are_read_in_each_form_that_openssl_writes() {
        let sec1 = File::made(&["ecparam", "-name", "prime256v1", "-genkey", "-noout"]);
        let pkcs8 = openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", &sec1.path()]);
        let der = openssl(&["ec", "-in", &sec1.path(), "-outform", "DER"]);
        let in_json = sec1.text().replace('\n', "\\n");
        let forms = [sec1.text().into_bytes(), pkcs8, der, in_json.into_bytes()];
        for form in forms {
            let key = HandedKey::read(&form).unwrap();
            assert_eq!(key.algorithm(), Algorithm::P256);
            assert_eq!(key.public(), sec1.public());
            assert_eq!(key.expose().len(), 32);
        }
    }

    #[test]
    fn ed25519_keys_are_read_as_coinbase_and_openssl_write_them() {
        let file = File::made(&["genpkey", "-algorithm", "ED25519"]);
        let der = openssl(&["pkey", "-in", &file.path(), "-outform", "DER"]);
        let (seed, public) = (&der[16..], file.public());
        let both = BASE64_STANDARD.encode([seed, &public[12..]].concat());
        let seed = BASE64_STANDARD.encode(seed);
        let forms = [file.text(), both.clone(), format!("{both}\n"), seed];
        for form in forms {
            let key = HandedKey::read(form.as_bytes()).unwrap();
            assert_eq!(key.algorithm(), Algorithm::Ed25519);
            assert_eq!(key.public(), public);
        }
        let mut other = BASE64_STANDARD.decode(&both).unwrap();
        other[40] ^= 1;
        let other = BASE64_STANDARD.encode(other);
        assert_eq!(
            HandedKey::read(other.as_bytes()).unwrap_err(),
            NotAKey::Halves
        );
    }

    #[test]
    fn a_key_on_secp256k1_is_read_from_its_digits() {
        let file = File::made(&["ecparam", "-name", "secp256k1", "-genkey", "-noout"]);
        let der = openssl(&["ec", "-in", &file.path(), "-outform", "DER"]);
        let hex = data_encoding::HEXLOWER.encode(&der[7..39]);
        for form in [hex.clone(), format!("0x{hex}"), hex.to_uppercase()] {
            let key = HandedKey::read(form.as_bytes()).unwrap();
            assert_eq!(key.algorithm(), Algorithm::Secp256k1);
            assert_eq!(key.public(), file.public());
        }
        for none in ["0".repeat(64), "f".repeat(64)] {
            assert_eq!(HandedKey::read(none.as_bytes()).unwrap_err(), NotAKey::Form);
        }
    }

    #[test]
    fn what_is_no_such_key_is_refused_with_what_it_is() {
        let rsa = File::made(&["genpkey", "-algorithm", "RSA"]);
        let old = openssl(&["rsa", "-traditional", "-in", &rsa.path()]);
        let locked = openssl(&[
            "pkcs8",
            "-topk8",
            "-in",
            &rsa.path(),
            "-passout",
            "pass:canary",
        ]);
        let other = File::made(&["ecparam", "-name", "secp384r1", "-genkey", "-noout"]);
        for (form, why) in [
            (rsa.text().into_bytes(), NotAKey::Rsa),
            (old, NotAKey::Rsa),
            (locked, NotAKey::Encrypted),
            (other.text().into_bytes(), NotAKey::Form),
            (b"".to_vec(), NotAKey::Form),
            (b"no key".to_vec(), NotAKey::Form),
            (vec![b'A'; 1 << 20], NotAKey::Form),
            (b"-----BEGIN PRIVATE KEY-----".to_vec(), NotAKey::Form),
        ] {
            assert_eq!(HandedKey::read(&form).unwrap_err(), why);
        }
        assert_eq!(
            HandedKey::hmac(Algorithm::HmacSha256, b"").unwrap_err(),
            NotAKey::Empty
        );
        assert!(HandedKey::hmac(Algorithm::P256, b"secret").is_err());
    }

    #[test]
    fn nothing_of_a_secret_is_shown() {
        let key = HandedKey::hmac(Algorithm::HmacSha512, b"canary").unwrap();
        let shown = format!("{key:?}");
        assert!(
            !shown.contains("canary") && shown.contains("HmacSha512"),
            "{shown}"
        );
        assert_eq!(key.expose(), b"canary");
    }
}
