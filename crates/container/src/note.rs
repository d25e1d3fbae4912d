//! Signed notes (C2SP `signed-note`, read 2026-11-22): a text, an empty line, one signature a line. Signature types
//! 0x01 (Ed25519) and 0x02 (ECDSA P-256 with SHA-256, DER).

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::hash::Hash;

/// Bytes that a note may have, signatures and all.
pub const MAX_NOTE_BYTES: usize = 4 << 20;
/// Signatures that a note may have (the specification asks for at least 16).
pub const MAX_SIGNATURES: usize = 64;
/// Bytes that one signature may have, its key id not counted.
pub const MAX_SIGNATURE_BYTES: usize = 8192;

/// Why bytes are not a note, or not one of a key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Not a note in the one form that is read.
    #[error("not a signed note")]
    Malformed,
    /// Larger than [`MAX_NOTE_BYTES`], or more than [`MAX_SIGNATURES`].
    #[error("the note is larger than this format allows")]
    TooLarge,
    /// No signature of this key is on it.
    #[error("the note is not signed by the key that it needs")]
    Unsigned,
    /// A signature in this key's name is not its signature.
    #[error("a signature on the note is wrong")]
    Forged,
    /// Not a public key that this format knows.
    #[error("not an Ed25519 or P-256 public key")]
    Key,
}

/// A text with signatures over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The text; ends in a newline.
    pub text: String,
    /// At least one.
    pub signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub key_id: [u8; 4],
    /// The signature itself.
    pub signature: Vec<u8>,
}

/// A public key that may stand on a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyKey {
    name: String,
    public: PublicKey,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PublicKey {
    Ed25519([u8; 32]),
    P256([u8; 65]),
}

// DER of a SubjectPublicKeyInfo up to the key (RFC 8410, RFC 5480); both have one encoding only.
const ED25519_SPKI: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const P256_SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

impl Note {
    /// Reads a note.
    ///
    /// # Errors
    /// Not UTF-8, control characters, no signatures, base64 that is not canonical, too large.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed)?;
        let (text, lines) = whole.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let signatures = lines
            .split('\n')
            .take(MAX_SIGNATURES + 1)
            .map(NoteSignature::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::TooLarge);
        }
        let text = format!("{text}\n");
        is_text(&text)
            .then_some(Self { text, signatures })
            .ok_or(NoteError::Malformed)
    }

    /// That `key` signed it.
    ///
    /// # Errors
    /// It did not, or a line in its name is wrong.
    pub fn verify(&self, key: &VerifyKey) -> Result<(), NoteError> {
        let id = key.id();
        let mut of_key = self
            .signatures
            .iter()
            .filter(|s| s.name == key.name && s.key_id == id)
            .peekable();
        of_key.peek().ok_or(NoteError::Unsigned)?;
        of_key.try_for_each(|s| key.check(self.text.as_bytes(), &s.signature))
    }
}

/// A text that may be signed: ends in a newline, no control characters but newlines.
#[must_use]
pub fn is_text(text: &str) -> bool {
    text.ends_with('\n') && text.bytes().all(|b| b >= 0x20 || b == b'\n')
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl NoteSignature {
    /// The line of a signature that `key` made.
    #[must_use]
    pub fn new(key: &VerifyKey, signature: Vec<u8>) -> Self {
        Self {
            name: key.name.clone(),
            key_id: key.id(),
            signature,
        }
    }

    fn parse(line: &str) -> Result<Self, NoteError> {
        let (name, data) = line
            .strip_prefix("— ")
            .and_then(|rest| rest.split_once(' '))
            .ok_or(NoteError::Malformed)?;
        let bytes = BASE64_STANDARD
            .decode(data)
            .map_err(|_| NoteError::Malformed)?;
        let (key_id, signature) = bytes.split_first_chunk().ok_or(NoteError::Malformed)?;
        if !is_key_name(name) || signature.is_empty() || signature.len() > MAX_SIGNATURE_BYTES {
            return Err(NoteError::Malformed);
        }
        Ok(Self {
            name: name.to_owned(),
            key_id: *key_id,
            signature: signature.to_vec(),
        })
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = BASE64_STANDARD.encode([&self.key_id[..], &self.signature].concat());
        write!(f, "— {} {data}", self.name)
    }
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c != '+' && !c.is_whitespace() && !c.is_control())
}

impl VerifyKey {
    /// An Ed25519 key (RFC 8032).
    ///
    /// # Errors
    /// When the name cannot be a key's.
    pub fn ed25519(name: impl Into<String>, public: [u8; 32]) -> Result<Self, NoteError> {
        Self::new(name.into(), PublicKey::Ed25519(public))
    }

    /// The key in a SubjectPublicKeyInfo: Ed25519 or an uncompressed point of P-256.
    ///
    /// # Errors
    /// Any other key, or a name that cannot be a key's.
    pub fn from_spki(name: impl Into<String>, spki: &[u8]) -> Result<Self, NoteError> {
        let ed25519 = spki
            .strip_prefix(ED25519_SPKI)
            .and_then(|key| Some(PublicKey::Ed25519(key.try_into().ok()?)));
        let p256 = spki
            .strip_prefix(P256_SPKI)
            .filter(|point| point.first() == Some(&4))
            .and_then(|point| Some(PublicKey::P256(point.try_into().ok()?)));
        Self::new(name.into(), ed25519.or(p256).ok_or(NoteError::Key)?)
    }

    fn new(name: String, public: PublicKey) -> Result<Self, NoteError> {
        is_key_name(&name)
            .then_some(Self { name, public })
            .ok_or(NoteError::Key)
    }

    /// Whether it is of P-256, not Ed25519.
    #[must_use]
    pub const fn is_p256(&self) -> bool {
        matches!(self.public, PublicKey::P256(_))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id: of the name, the type and the key for Ed25519; of the SubjectPublicKeyInfo for P-256.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let hash = match &self.public {
            PublicKey::Ed25519(public) => {
                Hash::of(&[self.name.as_bytes(), b"\n\x01", public].concat())
            }
            PublicKey::P256(point) => Hash::of(&[P256_SPKI, point].concat()),
        };
        let [a, b, c, d, ..] = hash.0;
        [a, b, c, d]
    }

    /// Its text form, as other tools for signed notes take it: `<name>+<id>+<base64 of type and key>`.
    #[must_use]
    pub fn to_vkey(&self) -> String {
        let key = match &self.public {
            PublicKey::Ed25519(public) => [&[1], &public[..]].concat(),
            PublicKey::P256(point) => [&[2], P256_SPKI, point].concat(),
        };
        let id = u32::from_be_bytes(self.id());
        format!("{}+{id:08x}+{}", self.name, BASE64_STANDARD.encode(key))
    }

    fn check(&self, text: &[u8], signature: &[u8]) -> Result<(), NoteError> {
        match &self.public {
            PublicKey::Ed25519(public) => {
                UnparsedPublicKey::new(&ED25519, public).verify(text, signature)
            }
            PublicKey::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(text, signature)
            }
        }
        .map_err(|_| NoteError::Forged)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    // From golang.org/x/mod/sumdb/note, the reference of the format: `TestVerify` in note_test.go.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn peter() -> VerifyKey {
        let key = BASE64_STANDARD
            .decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
            .unwrap();
        VerifyKey::ed25519("PeterNeumann", key[1..].try_into().unwrap()).unwrap()
    }

    #[test]
    fn the_note_of_the_go_reference_verifies() {
        assert_eq!(peter().to_vkey(), PETER);
        let note = Note::parse(NOTE.as_bytes()).unwrap();
        assert_eq!(note.verify(&peter()), Ok(()));
        assert_eq!(note.to_string(), NOTE);
    }

    #[test]
    fn a_changed_text_a_changed_signature_and_a_stranger_are_refused() {
        let changed = Note::parse(NOTE.replace("answer", "problem").as_bytes()).unwrap();
        assert_eq!(changed.verify(&peter()), Err(NoteError::Forged));
        let mut forged = Note::parse(NOTE.as_bytes()).unwrap();
        forged.signatures[0].signature[9] ^= 1;
        assert_eq!(forged.verify(&peter()), Err(NoteError::Forged));
        let stranger = VerifyKey::ed25519("PeterNeumann", [7; 32]).unwrap();
        let note = Note::parse(NOTE.as_bytes()).unwrap();
        assert_eq!(note.verify(&stranger), Err(NoteError::Unsigned));
    }

    #[test]
    fn one_wrong_line_of_a_known_key_spoils_the_note() {
        let mut note = Note::parse(NOTE.as_bytes()).unwrap();
        let mut wrong = note.signatures[0].clone();
        wrong.signature[0] ^= 1;
        note.signatures.push(wrong);
        assert_eq!(note.verify(&peter()), Err(NoteError::Forged));
    }

    #[test]
    fn malformed_notes_are_refused() {
        let line = "— a AAAAAAA=";
        for bad in [
            "".to_owned(),
            "x\n".into(),
            "x\n\n".into(),
            format!("x\n{line}\n"),
            format!("x\n\n{line}"),
            format!("x\n\n{line}\n\n"),
            format!("\tx\n\n{line}\n"),
            format!("x\r\n\n{line}\n"),
            format!("x\n\n{line} \n"),
            "x\n\n— a AAAAAAB=\n".into(),
            "x\n\n— a+b AAAAAAA=\n".into(),
            "x\n\n—  AAAAAAA=\n".into(),
            "x\n\n- a AAAAAAA=\n".into(),
            "x\n\n— a AAAA\n".into(),
        ] {
            assert_eq!(
                Note::parse(bad.as_bytes()),
                Err(NoteError::Malformed),
                "{bad:?}"
            );
        }
        assert!(Note::parse(format!("x\n\n{line}\n").as_bytes()).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let _ = Note::parse(&bytes);
        }

        #[test]
        fn parse_of_print_is_the_same(text in "([ -~é]{0,20}\n){1,4}", name in "[!-*,-~]{1,12}", signature in proptest::collection::vec(proptest::num::u8::ANY, 1..80)) {
            let note = Note { text, signatures: vec![NoteSignature { name, key_id: [1, 2, 3, 4], signature }] };
            proptest::prop_assert_eq!(Note::parse(note.to_string().as_bytes()), Ok(note));
        }

        #[test]
        fn whatever_is_signed_verifies(text in "([ -~]{0,20}\n){1,4}", seed in proptest::array::uniform32(0u8..)) {
            let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
            let key = VerifyKey::ed25519("k", pair.public_key().as_ref().try_into().unwrap()).unwrap();
            let signature = pair.sign(text.as_bytes()).as_ref().to_vec();
            let note = Note { text, signatures: vec![NoteSignature::new(&key, signature)] };
            proptest::prop_assert_eq!(note.verify(&key), Ok(()));
        }
    }
}
