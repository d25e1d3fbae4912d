//! age, as a vault uses it: to the recipients of the membership chain, with plaintext only in memory that is wiped.

use std::{collections::HashSet, io::Write};

use age::{DecryptError, EncryptError};
use age_core::{
    format::{FileKey, Stanza},
    secrecy::ExposeSecret,
};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_STANDARD};
use touchkeep_device::{Auth, Device, DeviceIdentity, KeyRef};
use touchkeep_locked::LockedBytes;
use zeroize::Zeroizing;

use crate::error::VaultError;

pub(crate) mod header;
mod payload;
mod x25519;

pub(crate) use payload::{Payload, PayloadKey, Scratch};
pub(crate) use x25519::X25519Identity;

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
    let recipients: Vec<_> = recipients.collect();
    if recipients.len() > header::MAX_STANZAS {
        return Err(failed(format!(
            "to more than {} recipients",
            header::MAX_STANZAS
        )));
    }
    let encryptor = age::Encryptor::with_recipients(recipients.into_iter())
        .map_err(|error| failed(error.to_string()))?;
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

/// Decrypts; the plaintext never moves.
pub(crate) fn decrypt(
    identity: &dyn age::Identity,
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    decrypt_with(std::iter::once(identity), bytes)
}

/// Decrypts with the first of these that can.
pub(crate) fn decrypt_with<'a>(
    identities: impl Iterator<Item = &'a dyn age::Identity>,
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    Payload::of(identities, bytes)?.open()
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

/// An X25519 identity in memory that nobody else can read. It is put together for each use.
pub(crate) struct LockedIdentity {
    line: LockedBytes,
    recipient: String,
}

impl LockedIdentity {
    pub(crate) fn generate() -> Result<Self, VaultError> {
        Self::keep(&age::x25519::Identity::generate())
    }

    /// Reads an identity line, without its newline.
    pub(crate) fn parse(line: &str) -> Result<Option<Self>, VaultError> {
        match line.parse::<age::x25519::Identity>() {
            Ok(identity) => Self::keep(&identity).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn keep(identity: &age::x25519::Identity) -> Result<Self, VaultError> {
        // EXPOSE: to the locked copy; the text is wiped here.
        let line = identity.to_string();
        let line = LockedBytes::copy_of(line.expose_secret().as_bytes());
        Ok(Self {
            line: line.map_err(VaultError::Memory)?,
            recipient: identity.to_public().to_string(),
        })
    }

    /// The public half.
    pub(crate) fn recipient(&self) -> &str {
        &self.recipient
    }

    /// The identity, for a moment. It is on the heap, where handing it on leaves no copies on stacks.
    pub(crate) fn unlocked(&self) -> Option<Box<age::x25519::Identity>> {
        // EXPOSE: to the age crate, which wipes its copy when it is dropped.
        let line = std::str::from_utf8(self.line.expose()).ok()?;
        line.parse().ok().map(Box::new)
    }

    /// What opens many files with it, as long as it is kept.
    pub(crate) fn opener(&self) -> Option<X25519Identity> {
        // EXPOSE: to the provider, which wipes its copy when it is dropped.
        let line = std::str::from_utf8(self.line.expose()).ok()?;
        X25519Identity::read(line)
    }

    /// The plaintext that holds it.
    pub(crate) fn to_plaintext(&self) -> Zeroizing<Vec<u8>> {
        // EXPOSE: to the age file that seals it.
        let line = self.line.expose();
        let mut text = Zeroizing::new(Vec::with_capacity(line.len() + 1));
        text.extend_from_slice(line);
        text.push(b'\n');
        text
    }
}

/// What `u/<id>-<rev>.age` holds: a user's identity and what signs his commits.
pub(crate) struct Bundle {
    pub(crate) identity: LockedIdentity,
    author: LockedBytes,
    author_public: [u8; 32],
}

impl Bundle {
    /// A new user's.
    pub(crate) fn generate() -> Result<Self, VaultError> {
        let random = |seed: &mut [u8]| aws_lc_rs::rand::fill(seed);
        let author = LockedBytes::fill(SEED_BYTES, |seed| {
            random(seed).map_err(|_| std::io::Error::other("no randomness"))
        });
        Self::of(
            LockedIdentity::generate()?,
            author.map_err(VaultError::Memory)?,
        )
    }

    fn of(identity: LockedIdentity, author: LockedBytes) -> Result<Self, VaultError> {
        // EXPOSE: the seed, to the provider, which wipes its copy.
        let pair = Ed25519KeyPair::from_seed_unchecked(author.expose())
            .map_err(|_| VaultError::Encrypt("no key from a seed".into()))?;
        let public = pair.public_key().as_ref().try_into();
        Ok(Self {
            identity,
            author,
            author_public: public.map_err(|_| VaultError::Encrypt("no public key".into()))?,
        })
    }

    /// Reads the plaintext of the member; none when it is not one.
    pub(crate) fn parse(plaintext: &[u8]) -> Result<Option<Self>, VaultError> {
        let lines = || {
            let text = std::str::from_utf8(plaintext).ok()?;
            let (identity, rest) = text.split_once('\n')?;
            let seed = rest.strip_prefix(AUTHOR_LINE)?.strip_suffix('\n')?;
            let seed = Zeroizing::new(BASE64_STANDARD.decode(seed).ok()?);
            (seed.len() == SEED_BYTES).then_some((identity, seed))
        };
        let Some((identity, seed)) = lines() else {
            return Ok(None);
        };
        let Some(identity) = LockedIdentity::parse(identity)? else {
            return Ok(None);
        };
        let author = LockedBytes::copy_of(&seed).map_err(VaultError::Memory)?;
        Self::of(identity, author).map(Some)
    }

    /// The plaintext of the member.
    pub(crate) fn to_plaintext(&self) -> Zeroizing<Vec<u8>> {
        // EXPOSE: both, to the age file that seals them.
        let seed = Zeroizing::new(BASE64_STANDARD.encode(self.author.expose()));
        let identity = self.identity.to_plaintext();
        let parts = [
            &identity[..],
            AUTHOR_LINE.as_bytes(),
            seed.as_bytes(),
            b"\n",
        ];
        let mut text = Zeroizing::new(Vec::with_capacity(parts.iter().map(|p| p.len()).sum()));
        parts.iter().for_each(|part| text.extend_from_slice(part));
        text
    }

    /// Another copy of it, in memory of its own.
    pub(crate) fn again(&self) -> Result<Self, VaultError> {
        let author = LockedBytes::copy_of(self.author.expose()).map_err(VaultError::Memory)?;
        let line = LockedBytes::copy_of(self.identity.line.expose());
        Ok(Self {
            identity: LockedIdentity {
                line: line.map_err(VaultError::Memory)?,
                recipient: self.identity.recipient.clone(),
            },
            author,
            author_public: self.author_public,
        })
    }

    pub(crate) const fn author_public_key(&self) -> [u8; 32] {
        self.author_public
    }

    /// Signs with the author key.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        // EXPOSE: the seed, to the provider, which wipes its copy. It was found a key when it was read.
        let pair = Ed25519KeyPair::from_seed_unchecked(self.author.expose());
        pair.map_or_else(|_| Vec::new(), |pair| pair.sign(message).as_ref().to_vec())
    }
}

/// Reads one identity line.
pub(crate) fn parse_identity_line(plaintext: &[u8]) -> Result<Option<LockedIdentity>, VaultError> {
    let text = std::str::from_utf8(plaintext).ok();
    match text.and_then(|text| text.strip_suffix('\n')) {
        Some(line) => LockedIdentity::parse(line),
        None => Ok(None),
    }
}

#[cfg(test)]
mod cctv;

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
        let bundle = Bundle::generate().unwrap();
        let text = bundle.to_plaintext();
        let again = Bundle::parse(&text).unwrap().unwrap();
        assert_eq!(again.author_public_key(), bundle.author_public_key());
        assert_eq!(again.identity.recipient(), bundle.identity.recipient());
        assert!(
            Bundle::parse(&[&text[..], b"\n"].concat())
                .unwrap()
                .is_none()
        );
        assert!(Bundle::parse(&text[..text.len() - 1]).unwrap().is_none());
    }

    #[test]
    fn some_bytes_are_read_without_the_rest() {
        let identity = age::x25519::Identity::generate();
        let plain: Vec<u8> = (0..300_000u32).flat_map(u32::to_be_bytes).collect();
        let file = encrypt_to(&identity.to_public().to_string(), &plain).unwrap();
        let payload = || Payload::of(std::iter::once(&identity as &dyn age::Identity), &file);
        for range in [
            0..4u64,
            65_530..65_540,
            65_536..65_536,
            1_199_990..1_200_000,
            700_001..700_001,
            10..1_199_999,
        ] {
            let read = payload().unwrap().open_range(range.clone()).unwrap();
            let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
            assert_eq!(read[..], plain[start..end]);
        }
        let beyond = payload().unwrap().open_range(1_199_999..1_200_001);
        assert!(beyond.is_err());
    }

    // The age crate writes, and reads the same.
    #[test]
    fn a_payload_of_any_length_is_what_age_reads_and_no_flipped_bit_is() {
        use std::io::Read;
        let identity = age::x25519::Identity::generate();
        let mut scratch = Scratch::default();
        for len in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
            let plain = vec![7; len];
            let mut file = encrypt_to(&identity.to_public().to_string(), &plain).unwrap();
            let lent = || std::iter::once(&identity as &dyn age::Identity);
            let mut by_age = Vec::new();
            let decryptor = age::Decryptor::new_buffered(&file[..]).unwrap();
            let mut reader = decryptor.decrypt(lent()).unwrap();
            reader.read_to_end(&mut by_age).unwrap();
            assert!(by_age == plain && *decrypt(&identity, &file).unwrap() == plain);
            let payload = Payload::of(lent(), &file).unwrap();
            assert!(payload.open_in(&mut scratch).unwrap() == plain);
            for at in [file.len() - 1, file.len() - 16, file.len() - len - 16] {
                file[at] ^= 1;
                assert!(decrypt(&identity, &file).is_err(), "{len} {at}");
                file[at] ^= 1;
            }
            assert!(decrypt(&identity, &file[..file.len() - 1]).is_err());
            file.push(0);
            assert!(decrypt(&identity, &file).is_err());
        }
    }
}
