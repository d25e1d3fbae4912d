//! The software device: three keys in one age file under a passphrase. Weaker than hardware, and called so everywhere:
//! whoever has the file may guess at the passphrase for as long as he likes, and a wrong one costs nothing but time.
//!
//! The file is an ordinary passphrase-encrypted identity file, so stock `age -d -i` opens what is encrypted to the first
//! of its keys. Its plaintext is three lines:
//! ```text
//! AGE-SECRET-KEY-1…             unlock
//! # seal AGE-SECRET-KEY-1…
//! # sign-ed25519 <base64 of the 32-byte seed>
//! ```
//! The device keeps nothing open: each use of each key asks for the passphrase.

use std::io::Write;

use age::{DecryptError, Identity as _, secrecy::SecretString};
use age_core::{
    format::{FileKey, Stanza},
    secrecy::ExposeSecret,
};
use aws_lc_rs::{
    rand,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use touchkeep_core::{Passphrase, text::quoted};
use zeroize::Zeroizing;

use crate::{
    device::{
        Algorithm, Auth, Demand, Device, DeviceError, DeviceInfo, DeviceKind, KeyInfo, KeyRef,
        Purpose, SecretDemand, SignatureScheme, TouchPolicy,
    },
    public::{ed25519_spki, x25519_spki},
    stanza::x25519_of_recipient,
};

/// Work factor for new files: N = 2^18, a quarter of a GiB and about a second.
pub const WORK_FACTOR: u8 = 18;
/// The largest work factor that is opened: stock age refuses more.
pub const MAX_WORK_FACTOR: u8 = 22;

const SEAL_LINE: &str = "# seal ";
const SIGN_LINE: &str = "# sign-ed25519 ";
pub(crate) const SEED_BYTES: usize = 32;

/// Makes the keys of a new software device: the file, and what is public of it.
///
/// # Errors
/// [`DeviceError::Unsupported`] for an empty passphrase, or a work factor of 0 or above [`MAX_WORK_FACTOR`].
pub fn generate(
    passphrase: &Passphrase,
    work_factor: u8,
) -> Result<(Vec<u8>, DeviceInfo), DeviceError> {
    if !(1..=MAX_WORK_FACTOR).contains(&work_factor) {
        let text = format!("a work factor of {work_factor}");
        return Err(DeviceError::Unsupported(text));
    }
    // EXPOSE: to a look at its length.
    if passphrase.expose().is_empty() {
        return Err(DeviceError::Unsupported("an empty passphrase".into()));
    }
    let keys = Keys::generate()?;
    let info = keys.info()?;
    Ok((keys.sealed(passphrase, work_factor)?, info))
}

/// A software device: its file, and what is public of it.
pub struct SoftwareDevice {
    info: DeviceInfo,
    sealed: Vec<u8>,
}

impl SoftwareDevice {
    /// The device of this file. The public half comes from where it is signed for, and is compared at each use.
    #[must_use]
    pub const fn new(info: DeviceInfo, sealed: Vec<u8>) -> Self {
        Self { info, sealed }
    }

    fn open(&self, auth: Auth<'_>) -> Result<Keys, DeviceError> {
        let Auth::Passphrase(passphrase) = auth else {
            return Err(DeviceError::NeedsSecret);
        };
        let keys = Keys::open(&self.sealed, passphrase)?;
        if keys.info()?.keys != self.info.keys {
            let text = "with other keys than those that were enrolled";
            return Err(DeviceError::Unexpected(text.into()));
        }
        Ok(keys)
    }
}

impl Device for SoftwareDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn demand(&mut self, key: &KeyRef) -> Result<Demand, DeviceError> {
        let touch = self.info.known(key)?.touch;
        Ok(Demand {
            secret: SecretDemand::Passphrase,
            touch,
        })
    }

    fn unwrap_file_key(
        &mut self,
        key: &KeyRef,
        stanzas: &[Stanza],
        auth: Auth<'_>,
    ) -> Result<FileKey, DeviceError> {
        let purpose = self.info.known(key)?.purpose;
        // An X25519 stanza does not say for whom it is; a file without any spends no second of scrypt.
        if !stanzas.iter().any(|stanza| stanza.tag == "X25519") {
            return Err(DeviceError::NotForThisKey);
        }
        let keys = self.open(auth)?;
        let identity = keys.identity(purpose)?;
        identity
            .unwrap_stanzas(stanzas)
            .and_then(Result::ok)
            .ok_or(DeviceError::NotForThisKey)
    }

    fn sign(
        &mut self,
        key: &KeyRef,
        scheme: SignatureScheme,
        message: &[u8],
        auth: Auth<'_>,
    ) -> Result<Vec<u8>, DeviceError> {
        let known = self.info.known(key)?;
        if known.algorithm != Algorithm::Ed25519 || scheme != SignatureScheme::Ed25519 {
            let text = format!("{scheme:?} with the key {}", quoted(&key.0));
            return Err(DeviceError::Unsupported(text));
        }
        let keys = self.open(auth)?;
        Ok(keys.signer()?.sign(message).as_ref().to_vec())
    }
}

/// Three keys in memory, wiped with it.
pub(crate) struct Keys {
    pub(crate) unlock: age::x25519::Identity,
    pub(crate) seal: age::x25519::Identity,
    pub(crate) sign_seed: Zeroizing<[u8; SEED_BYTES]>,
}

impl Keys {
    fn generate() -> Result<Self, DeviceError> {
        let mut sign_seed = Zeroizing::new([0; SEED_BYTES]);
        rand::fill(&mut sign_seed[..])
            .map_err(|_| DeviceError::Middleware("no randomness".into()))?;
        Ok(Self {
            unlock: age::x25519::Identity::generate(),
            seal: age::x25519::Identity::generate(),
            sign_seed,
        })
    }

    /// What opens files of a purpose.
    pub(crate) fn identity(&self, purpose: Purpose) -> Result<&age::x25519::Identity, DeviceError> {
        match purpose {
            Purpose::Unlock => Ok(&self.unlock),
            Purpose::Seal => Ok(&self.seal),
            Purpose::SignVault | Purpose::Request => Err(DeviceError::NotForThisKey),
        }
    }

    pub(crate) fn signer(&self) -> Result<Ed25519KeyPair, DeviceError> {
        Ed25519KeyPair::from_seed_unchecked(&self.sign_seed[..]).map_err(|_| damaged())
    }

    pub(crate) fn info(&self) -> Result<DeviceInfo, DeviceError> {
        let signer = self.signer()?;
        let public = signer.public_key().as_ref();
        let public = public.try_into().map_err(|_| damaged())?;
        Ok(DeviceInfo {
            kind: DeviceKind::Software,
            label: "Passphrase".into(),
            serial: None,
            firmware: None,
            keys: vec![
                agreement_key("unlock", Purpose::Unlock, &self.unlock)?,
                agreement_key("seal", Purpose::Seal, &self.seal)?,
                KeyInfo {
                    key: KeyRef("sign-vault".into()),
                    purpose: Purpose::SignVault,
                    algorithm: Algorithm::Ed25519,
                    spki: ed25519_spki(public),
                    touch: TouchPolicy::Never,
                    recipient: None,
                    identity: None,
                    imported: false,
                },
            ],
        })
    }

    fn sealed(&self, passphrase: &Passphrase, work_factor: u8) -> Result<Vec<u8>, DeviceError> {
        // EXPOSE: the three secrets, to the age file that seals them.
        let (unlock, seal) = (self.unlock.to_string(), self.seal.to_string());
        let seed = Zeroizing::new(BASE64_STANDARD.encode(&self.sign_seed[..]));
        let lines = Zeroizing::new(
            [
                unlock.expose_secret(),
                "\n",
                SEAL_LINE,
                seal.expose_secret(),
                "\n",
                SIGN_LINE,
                &seed,
                "\n",
            ]
            .concat(),
        );
        let mut recipient = age::scrypt::Recipient::new(for_age(passphrase));
        recipient.set_work_factor(work_factor);
        let failed = |text: String| DeviceError::Middleware(text);
        let encryptor =
            age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
                .map_err(|error| failed(error.to_string()))?;
        let mut out = Vec::new();
        let written = encryptor.wrap_output(&mut out).and_then(|mut writer| {
            writer.write_all(lines.as_bytes())?;
            writer.finish()
        });
        written.map_err(|error| failed(error.to_string()))?;
        Ok(out)
    }

    fn open(sealed: &[u8], passphrase: &Passphrase) -> Result<Self, DeviceError> {
        let mut identity = age::scrypt::Identity::new(for_age(passphrase));
        identity.set_max_work_factor(MAX_WORK_FACTOR);
        let lines = age::decrypt(&identity, sealed).map_err(|error| match error {
            DecryptError::DecryptionFailed => DeviceError::WrongPassphrase,
            DecryptError::ExcessiveWork { required, .. } => {
                DeviceError::Unsupported(format!("a work factor of {required}"))
            }
            _ => damaged(),
        })?;
        let lines = Zeroizing::new(lines);
        let text = std::str::from_utf8(&lines).map_err(|_| damaged())?;
        Self::parse(text).ok_or_else(damaged)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let unlock = lines.next()?.parse().ok()?;
        let seal = lines.next()?.strip_prefix(SEAL_LINE)?.parse().ok()?;
        let seed = lines.next()?.strip_prefix(SIGN_LINE)?;
        let seed = Zeroizing::new(BASE64_STANDARD.decode(seed).ok()?);
        let mut sign_seed = Zeroizing::new([0; SEED_BYTES]);
        if seed.len() != SEED_BYTES || lines.next().is_some() {
            return None;
        }
        sign_seed.copy_from_slice(&seed);
        Some(Self {
            unlock,
            seal,
            sign_seed,
        })
    }
}

fn agreement_key(
    name: &str,
    purpose: Purpose,
    identity: &age::x25519::Identity,
) -> Result<KeyInfo, DeviceError> {
    let recipient = identity.to_public().to_string();
    let raw = x25519_of_recipient(&recipient).ok_or_else(damaged)?;
    Ok(KeyInfo {
        key: KeyRef(name.into()),
        purpose,
        algorithm: Algorithm::X25519,
        spki: x25519_spki(&raw),
        touch: TouchPolicy::Never,
        recipient: Some(recipient),
        identity: None,
        imported: false,
    })
}

fn for_age(passphrase: &Passphrase) -> SecretString {
    // EXPOSE: the passphrase, to the age crate's scrypt, which wipes its copy.
    SecretString::from(passphrase.expose().clone())
}

fn damaged() -> DeviceError {
    DeviceError::Unexpected("with a damaged key file".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: u8 = 4;

    #[test]
    fn a_file_under_another_devices_name_is_refused() {
        let passphrase = Passphrase::new("correct horse".into());
        let (sealed, _) = generate(&passphrase, FAST).unwrap();
        let (_, other) = generate(&passphrase, FAST).unwrap();
        let mut device = SoftwareDevice::new(other, sealed);
        let signed = device.sign(
            &KeyRef("sign-vault".into()),
            SignatureScheme::Ed25519,
            b"m",
            Auth::Passphrase(&passphrase),
        );
        assert!(matches!(signed, Err(DeviceError::Unexpected(_))));
    }

    #[test]
    fn a_work_factor_that_stock_age_refuses_is_never_written() {
        let passphrase = Passphrase::new("correct horse".into());
        for bad in [0, MAX_WORK_FACTOR + 1, u8::MAX] {
            assert!(generate(&passphrase, bad).is_err());
        }
        assert!(generate(&Passphrase::new(String::new()), FAST).is_err());
    }

    #[test]
    fn only_three_lines_in_their_order_are_read() {
        let keys = Keys::generate().unwrap();
        let passphrase = Passphrase::new("correct horse".into());
        let sealed = keys.sealed(&passphrase, FAST).unwrap();
        let mut identity = age::scrypt::Identity::new(for_age(&passphrase));
        identity.set_max_work_factor(FAST);
        let text = String::from_utf8(age::decrypt(&identity, &sealed).unwrap()).unwrap();
        assert!(Keys::parse(&text).is_some());
        assert!(Keys::parse(text.trim_end()).is_none());
        assert!(Keys::parse(&format!("{text}\n")).is_none());
        let mut turned: Vec<_> = text.lines().collect();
        turned.reverse();
        assert!(Keys::parse(&format!("{}\n", turned.join("\n"))).is_none());
    }
}
