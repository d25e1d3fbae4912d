//! age, as a vault uses it: to the recipients of the membership chain, with plaintext only in memory that is wiped.

use std::{
    collections::HashSet,
    io::{Read, Write},
};

use age::{DecryptError, EncryptError};
use age_core::{
    format::{FileKey, Stanza},
    secrecy::ExposeSecret,
};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_STANDARD};
use touchkeep_device::{Auth, Device, DeviceIdentity, KeyRef};
use zeroize::Zeroizing;

use crate::error::VaultError;

const AUTHOR_LINE: &str = "# author-ed25519 ";
const SEED_BYTES: usize = 32;
/// Label of sealed values (`age` refuses recipients of different labels in one file). It is not stored.
const SEALED_LABEL: &str = "touchkeep/sealed";

/// Encrypts to all of these.
pub(crate) fn encrypt<'a>(
    recipients: impl Iterator<Item = &'a dyn age::Recipient>,
    plaintext: &[u8],
) -> Result<Vec<u8>, VaultError> {
    let failed = |text: String| VaultError::Encrypt(text);
    let encryptor =
        age::Encryptor::with_recipients(recipients).map_err(|error| failed(error.to_string()))?;
    let mut out = Vec::with_capacity(plaintext.len() + 1024);
    encryptor
        .wrap_output(&mut out)
        .and_then(|mut writer| {
            writer.write_all(plaintext)?;
            writer.finish()
        })
        .map_err(|error| failed(error.to_string()))?;
    Ok(out)
}

/// Encrypts to one recipient in text form.
pub(crate) fn encrypt_to(recipient: &str, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
    let recipient: age::x25519::Recipient = recipient
        .parse()
        .map_err(|text: &str| VaultError::Encrypt(text.into()))?;
    encrypt(
        std::iter::once(&recipient as &dyn age::Recipient),
        plaintext,
    )
}

/// Decrypts; the plaintext never moves while it grows.
pub(crate) fn decrypt(
    identity: &dyn age::Identity,
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let decryptor = age::Decryptor::new_buffered(bytes)?;
    let mut plaintext = Zeroizing::new(Vec::with_capacity(bytes.len()));
    decryptor
        .decrypt(std::iter::once(identity))?
        .read_to_end(&mut plaintext)?;
    Ok(plaintext)
}

/// Decrypts with an identity that the vault itself holds: a failure is damage.
pub(crate) fn open(
    identity: &age::x25519::Identity,
    member: &str,
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    decrypt(identity, bytes).map_err(|_| content(member))
}

/// Decrypts with a key of a device, in one use of it.
pub(crate) fn open_with_device(
    device: &mut dyn Device,
    key: &KeyRef,
    auth: Auth<'_>,
    member: &str,
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let identity = DeviceIdentity::new(device, key.clone(), auth);
    decrypt(&identity, bytes).map_err(|_| match identity.failure() {
        Some(error) => error.into(),
        None => content(member),
    })
}

pub(crate) fn content(member: &str) -> VaultError {
    VaultError::Content {
        member: member.into(),
    }
}

/// A recipient that may stand on a sealed value. Mixed with any other, `age` refuses to encrypt.
pub(crate) struct Sealed(pub(crate) Box<dyn age::Recipient + Send>);

impl age::Recipient for Sealed {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let (stanzas, labels) = self.0.wrap_file_key(file_key)?;
        if !labels.is_empty() {
            let r_labels = HashSet::from([SEALED_LABEL.to_owned()]);
            return Err(EncryptError::IncompatibleRecipients {
                l_labels: labels,
                r_labels,
            });
        }
        Ok((stanzas, HashSet::from([SEALED_LABEL.to_owned()])))
    }
}

/// What `u/<id>.age` holds: a user's identity and what signs his commits.
pub(crate) struct Bundle {
    pub(crate) identity: age::x25519::Identity,
    pub(crate) author: Ed25519KeyPair,
}

impl Bundle {
    /// A new user's, with the plaintext of the member.
    pub(crate) fn generate() -> Result<(Self, Zeroizing<Vec<u8>>), VaultError> {
        let identity = age::x25519::Identity::generate();
        let mut seed = Zeroizing::new([0u8; SEED_BYTES]);
        aws_lc_rs::rand::fill(&mut seed[..])
            .map_err(|_| VaultError::Encrypt("no randomness".into()))?;
        let author = Ed25519KeyPair::from_seed_unchecked(&seed[..])
            .map_err(|_| VaultError::Encrypt("no key from a seed".into()))?;
        // EXPOSE: both, to the age file that seals them.
        let (line, seed) = (
            identity.to_string(),
            Zeroizing::new(BASE64_STANDARD.encode(&seed[..])),
        );
        let text = [line.expose_secret(), "\n", AUTHOR_LINE, seed.as_str(), "\n"].concat();
        Ok((Self { identity, author }, Zeroizing::new(text.into_bytes())))
    }

    /// Reads the plaintext of the member.
    pub(crate) fn parse(plaintext: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(plaintext).ok()?;
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let identity = lines.next()?.parse().ok()?;
        let seed = lines.next()?.strip_prefix(AUTHOR_LINE)?;
        let seed = Zeroizing::new(BASE64_STANDARD.decode(seed).ok()?);
        let author = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        lines.next().is_none().then_some(Self { identity, author })
    }

    pub(crate) fn author_public_key(&self) -> Option<[u8; 32]> {
        self.author.public_key().as_ref().try_into().ok()
    }
}

/// What `k/<id>.<epoch>.age` holds: one identity line.
pub(crate) fn identity_line(identity: &age::x25519::Identity) -> Zeroizing<Vec<u8>> {
    // EXPOSE: to the age file that seals it.
    Zeroizing::new(
        [identity.to_string().expose_secret(), "\n"]
            .concat()
            .into_bytes(),
    )
}

/// Reads one identity line.
pub(crate) fn parse_identity_line(plaintext: &[u8]) -> Option<age::x25519::Identity> {
    let text = std::str::from_utf8(plaintext).ok()?;
    text.strip_suffix('\n')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_takes_no_other_recipient() {
        let [one, two] = [(); 2].map(|()| age::x25519::Identity::generate());
        let sealed = Sealed(Box::new(one.to_public()));
        let (alone, other) = ([&sealed as &dyn age::Recipient], two.to_public());
        let file = encrypt(alone.into_iter(), b"value").unwrap();
        assert_eq!(decrypt(&one, &file).unwrap().as_slice(), b"value");
        let mixed: [&dyn age::Recipient; 2] = [&sealed, &other];
        assert!(matches!(
            encrypt(mixed.into_iter(), b"value"),
            Err(VaultError::Encrypt(_))
        ));
    }

    #[test]
    fn a_bundle_is_two_lines_and_nothing_else() {
        let (bundle, text) = Bundle::generate().unwrap();
        let again = Bundle::parse(&text).unwrap();
        assert_eq!(again.author_public_key(), bundle.author_public_key());
        assert!(Bundle::parse(&[&text[..], b"\n"].concat()).is_none());
        assert!(Bundle::parse(&text[..text.len() - 1]).is_none());
    }
}
