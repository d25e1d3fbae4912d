//! The recovery kit: one secret of 32 bytes on paper, as 24 words. It opens the vault when every other device is lost.
//!
//! The secret is an X25519 key as age knows it, so the words are also an `AGE-SECRET-KEY-1…` line, which stock age takes.
//! The other two keys of the kit follow from it (HKDF-SHA256, RFC 5869), because purposes never share a key: one opens
//! sealed values and has a line of its own on the paper; one signs the vault's membership, so that a new device can be let
//! in.

use age::Identity as _;
use age_core::{
    format::{FileKey, Stanza},
    primitives::hkdf,
    secrecy::ExposeSecret,
};
use bip39::{Language, Mnemonic};
use touchkeep_core::text::quoted;
use zeroize::Zeroizing;

use crate::{
    device::{
        Auth, Demand, Device, DeviceError, DeviceInfo, DeviceKind, KeyRef, Purpose, SecretDemand,
        SignatureScheme,
    },
    software::{Keys, SEED_BYTES},
    stanza::secret_key_line,
};

/// Words of a kit.
pub const WORDS: usize = 24;

const SEAL_INFO: &[u8] = b"touchkeep/kit/v1 seal";
const SIGN_INFO: &[u8] = b"touchkeep/kit/v1 sign-vault";

/// Why words are not a kit's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadWords {
    /// Fewer or more than there are.
    #[error("a recovery kit has {WORDS} words, and these are {0}")]
    Count(usize),
    /// One that is not in the list.
    #[error("word {0} is not one of the list")]
    Unknown(usize),
    /// Each is a word, but together they are none.
    #[error("the words do not fit together: one is wrong, or two are swapped")]
    Checksum,
}

/// A recovery kit, open.
pub struct RecoveryKit {
    keys: Keys,
    root: Zeroizing<[u8; SEED_BYTES]>,
}

impl RecoveryKit {
    /// A new one.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn generate() -> Result<Self, DeviceError> {
        let mut root = Zeroizing::new([0; SEED_BYTES]);
        aws_lc_rs::rand::fill(&mut root[..])
            .map_err(|_| DeviceError::Middleware("no randomness".into()))?;
        Self::of(root)
    }

    /// The kit of these words (BIP 39, English), whatever stands between them.
    ///
    /// # Errors
    /// When they are not 24 words of the list that fit together.
    pub fn from_words(words: &str) -> Result<Self, BadWords> {
        let lower = Zeroizing::new(words.to_lowercase());
        let list: Vec<&str> = lower.split_whitespace().collect();
        if list.len() != WORDS {
            return Err(BadWords::Count(list.len()));
        }
        let is_known = |word: &&str| Language::English.find_word(word).is_some();
        if let Some(at) = list.iter().position(|word| !is_known(word)) {
            return Err(BadWords::Unknown(at + 1));
        }
        let mut one_line = Zeroizing::new(String::with_capacity(lower.len()));
        for (at, word) in list.iter().enumerate() {
            if at > 0 {
                one_line.push(' ');
            }
            one_line.push_str(word);
        }
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &one_line);
        let mnemonic = mnemonic.map_err(|_| BadWords::Checksum)?;
        let (entropy, len) = mnemonic.to_entropy_array();
        let entropy = Zeroizing::new(entropy);
        let mut root = Zeroizing::new([0; SEED_BYTES]);
        let bytes = entropy.get(..len).filter(|bytes| bytes.len() == SEED_BYTES);
        root.copy_from_slice(bytes.ok_or(BadWords::Count(list.len()))?);
        Self::of(root).map_err(|_| BadWords::Checksum)
    }

    fn of(root: Zeroizing<[u8; SEED_BYTES]>) -> Result<Self, DeviceError> {
        let derived = |info: &[u8]| Zeroizing::new(hkdf(&[], info, &root[..]));
        let keys = Keys::of(&root, &derived(SEAL_INFO), derived(SIGN_INFO))?;
        Ok(Self { keys, root })
    }

    /// Its words, a blank between them.
    ///
    /// # Errors
    /// Never for a kit that exists.
    pub fn words(&self) -> Result<Zeroizing<String>, DeviceError> {
        // EXPOSE: the root, as words, for the paper.
        let mnemonic = Mnemonic::from_entropy_in(Language::English, &self.root[..])
            .map_err(|_| DeviceError::Unexpected("with a kit without words".into()))?;
        let mut words = Zeroizing::new(String::with_capacity(WORDS * 9));
        for word in mnemonic.words() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        Ok(words)
    }

    /// What stock age takes: the identity that opens the vault, and the one that opens sealed values.
    #[must_use]
    pub fn identity_lines(&self) -> [Zeroizing<String>; 2] {
        // EXPOSE: both, for the paper.
        [&self.keys.unlock, &self.keys.seal]
            .map(|identity| Zeroizing::new(identity.to_string().expose_secret().to_owned()))
    }

    /// As a device that needs nothing more: whoever has the words has it.
    ///
    /// # Errors
    /// Never for a kit that exists.
    pub fn device(self) -> Result<KitDevice, DeviceError> {
        let mut info = self.keys.info()?;
        info.kind = DeviceKind::Kit;
        info.label = "Recovery kit".into();
        Ok(KitDevice {
            info,
            keys: self.keys,
        })
    }
}

/// A recovery kit on its paper: what is public of it, and for each use its words, typed anew. Nothing of it is kept, so that a
/// vault that a kit has opened is not one in which the kit says yes by itself.
pub struct PaperKit {
    info: DeviceInfo,
}

impl PaperKit {
    /// The kit of these keys. They come from where they are signed for, and are compared at each use.
    #[must_use]
    pub const fn new(info: DeviceInfo) -> Self {
        Self { info }
    }

    fn open(&self, auth: Auth<'_>) -> Result<KitDevice, DeviceError> {
        let Auth::Passphrase(words) = auth else {
            return Err(DeviceError::NeedsSecret);
        };
        // EXPOSE: the words, to the kit's keys.
        let kit = RecoveryKit::from_words(words.expose())
            .map_err(|error| DeviceError::WrongWords(error.to_string()))?;
        let kit = kit.device()?;
        if kit.info.keys != self.info.keys {
            let text = "they are another recovery kit's";
            return Err(DeviceError::WrongWords(text.into()));
        }
        Ok(kit)
    }
}

impl Device for PaperKit {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn demand(&mut self, key: &KeyRef) -> Result<Demand, DeviceError> {
        let touch = self.info.known(key)?.touch;
        Ok(Demand {
            secret: SecretDemand::Words,
            touch,
        })
    }

    fn unwrap_file_key(
        &mut self,
        key: &KeyRef,
        stanzas: &[Stanza],
        auth: Auth<'_>,
    ) -> Result<FileKey, DeviceError> {
        self.open(auth)?.unwrap_file_key(key, stanzas, auth)
    }

    fn sign(
        &mut self,
        key: &KeyRef,
        scheme: SignatureScheme,
        message: &[u8],
        auth: Auth<'_>,
    ) -> Result<Vec<u8>, DeviceError> {
        self.open(auth)?.sign(key, scheme, message, auth)
    }
}

/// A recovery kit in use.
pub struct KitDevice {
    info: DeviceInfo,
    keys: Keys,
}

impl Device for KitDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn demand(&mut self, key: &KeyRef) -> Result<Demand, DeviceError> {
        let known = self.info.known(key)?;
        Ok(Demand {
            secret: SecretDemand::Nothing,
            touch: known.touch,
        })
    }

    fn unwrap_file_key(
        &mut self,
        key: &KeyRef,
        stanzas: &[Stanza],
        _: Auth<'_>,
    ) -> Result<FileKey, DeviceError> {
        let purpose = self.info.known(key)?.purpose;
        let identity = self.keys.identity(purpose)?;
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
        _: Auth<'_>,
    ) -> Result<Vec<u8>, DeviceError> {
        let known = self.info.known(key)?;
        if known.purpose != Purpose::SignVault || scheme != SignatureScheme::Ed25519 {
            let text = format!("{scheme:?} with the key {}", quoted(&key.0));
            return Err(DeviceError::Unsupported(text));
        }
        Ok(self.keys.signer()?.sign(message).as_ref().to_vec())
    }
}

impl Keys {
    // The keys of a kit: an X25519 key each of 32 bytes, and a seed.
    fn of(
        unlock: &[u8; SEED_BYTES],
        seal: &[u8; SEED_BYTES],
        sign_seed: Zeroizing<[u8; SEED_BYTES]>,
    ) -> Result<Self, DeviceError> {
        let identity = |bytes: &[u8; SEED_BYTES]| {
            // EXPOSE: to the age crate, which wipes its copy.
            let line = secret_key_line(bytes);
            line.parse::<age::x25519::Identity>()
                .map_err(|_| DeviceError::Unexpected("with a key that is none".into()))
        };
        Ok(Self {
            unlock: identity(unlock)?,
            seal: identity(seal)?,
            sign_seed,
        })
    }
}

#[cfg(test)]
mod tests {
    use touchkeep_core::Passphrase;

    use super::*;

    // From the test vectors of BIP 39 (trezor/python-mnemonic, vectors.json): 32 bytes of 0x7f.
    const VECTOR: &str = "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth \
        useful legal winner thank year wave sausage worth title";

    #[test]
    fn words_are_those_of_bip_39() {
        let kit = RecoveryKit::of(Zeroizing::new([0x7f; 32])).unwrap();
        assert_eq!(kit.words().unwrap().as_str(), VECTOR);
        let again = RecoveryKit::from_words(&VECTOR.to_uppercase().replace(' ', "\n ")).unwrap();
        assert_eq!(again.identity_lines(), kit.identity_lines());
    }

    #[test]
    fn wrong_words_are_told_apart() {
        let refused = |words: &str| RecoveryKit::from_words(words).err().unwrap();
        assert_eq!(refused("legal winner"), BadWords::Count(2));
        assert_eq!(
            refused(&VECTOR.replace("title", "titel")),
            BadWords::Unknown(24)
        );
        assert_eq!(
            refused(&VECTOR.replace("title", "legal")),
            BadWords::Checksum
        );
    }

    #[test]
    fn a_kit_has_three_keys_and_they_are_the_same_each_time() {
        let kit = RecoveryKit::generate().unwrap();
        let words = kit.words().unwrap();
        let [unlock, seal] = kit.identity_lines();
        assert_ne!(unlock, seal);
        let info = kit.device().unwrap().info().clone();
        let again = RecoveryKit::from_words(&words).unwrap().device().unwrap();
        assert_eq!(again.info(), &info);
        // The recipients are those of the printed lines, for age itself.
        for (line, purpose) in [(unlock, Purpose::Unlock), (seal, Purpose::Seal)] {
            let identity: age::x25519::Identity = line.parse().unwrap();
            let recipient = info.key(purpose).unwrap().recipient.clone();
            assert_eq!(recipient, Some(identity.to_public().to_string()));
        }
    }

    #[test]
    fn a_kit_on_paper_does_nothing_without_its_own_words() {
        let kit = RecoveryKit::generate().unwrap();
        let words = Passphrase::new(kit.words().unwrap().to_string());
        let mut paper = PaperKit::new(kit.device().unwrap().info().clone());
        let key = paper.info.key(Purpose::SignVault).unwrap().key.clone();
        let demand = paper.demand(&key).unwrap();
        assert_eq!(demand.secret, SecretDemand::Words);
        let mut sign = |auth: Auth<'_>| paper.sign(&key, SignatureScheme::Ed25519, b"m", auth);
        assert!(sign(Auth::Passphrase(&words)).is_ok());
        assert!(matches!(sign(Auth::Nothing), Err(DeviceError::NeedsSecret)));
        for wrong in [VECTOR, "", "correct horse"] {
            let wrong = Passphrase::new(wrong.to_owned());
            let refused = sign(Auth::Passphrase(&wrong));
            assert!(matches!(refused, Err(DeviceError::WrongWords(_))));
        }
    }

    #[test]
    fn derived_keys_are_those_of_another_implementation() {
        // python3: HKDF(SHA256(), 32, salt=b"", info=…).derive(bytes([0x7f]) * 32) of the package cryptography.
        let kit = RecoveryKit::of(Zeroizing::new([0x7f; 32])).unwrap();
        let seed = data_encoding::HEXLOWER.encode(&kit.keys.sign_seed[..]);
        assert_eq!(seed, SIGN_SEED);
    }

    const SIGN_SEED: &str = "a008e87ce258c330ab55f57227b5fc2e25755d981817328986ebf2467ed27a09";
}
