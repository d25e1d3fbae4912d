//! Checkpoints: a signed word that the log had this root at this size (C2SP `tlog-checkpoint` in a C2SP `signed-note`,
//! read 2026-11-22).

use base64::{Engine, prelude::BASE64_STANDARD};
use touchkeep_container::note::{Note, NoteSignature, VerifyKey};

use crate::tree::Head;

/// First part of a log's origin line; the vault's id and the log's own follow.
pub const ORIGIN_PREFIX: &str = "touchkeep/audit/";

/// A key that signs checkpoints: the author's, or a device's.
pub trait CheckpointSigner {
    /// Its public half, with the name under which it signs.
    fn key(&self) -> VerifyKey;

    /// Signs `text`: Ed25519 (64 bytes), or ECDSA P-256 with SHA-256 (DER), after the kind of key.
    ///
    /// # Errors
    /// In words, when the key cannot sign now.
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String>;
}

/// A head, and the note that vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's origin line.
    pub origin: String,
    /// What was signed.
    pub head: Head,
    /// The note, as it is stored.
    pub note: String,
}

/// The text is not a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint")]
pub struct BadCheckpoint;

impl Checkpoint {
    /// Reads a note as a checkpoint. Says nothing of its signatures.
    ///
    /// # Errors
    /// Not a note, or not origin, size and root in their one form.
    pub fn parse(note: &str) -> Result<Self, BadCheckpoint> {
        Ok(Self::read(note)?.0)
    }

    /// Reads a note as a checkpoint that one of `keys` signed.
    ///
    /// # Errors
    /// As [`Checkpoint::parse`], or none of the keys signed it, or a line in the name of one is wrong.
    pub fn verify(note: &str, keys: &[VerifyKey]) -> Result<Self, BadCheckpoint> {
        use touchkeep_container::note::NoteError::Unsigned;
        let (checkpoint, note) = Self::read(note)?;
        let checks = || keys.iter().map(|key| note.verify(key));
        let forged = checks().any(|check| matches!(&check, Err(error) if *error != Unsigned));
        (!forged && checks().any(|check| check.is_ok()))
            .then_some(checkpoint)
            .ok_or(BadCheckpoint)
    }

    fn read(note: &str) -> Result<(Self, Note), BadCheckpoint> {
        let parsed = Note::parse(note.as_bytes()).map_err(|_| BadCheckpoint)?;
        let lines: Vec<_> = parsed.text.split('\n').collect();
        let [origin, size, root, ""] = lines.as_slice() else {
            return Err(BadCheckpoint);
        };
        let number = size.parse::<u64>().map_err(|_| BadCheckpoint)?;
        let root = BASE64_STANDARD.decode(root).map_err(|_| BadCheckpoint)?;
        let head = Head {
            size: number,
            root: root.try_into().map_err(|_| BadCheckpoint)?,
        };
        let checkpoint = Self {
            origin: (*origin).to_owned(),
            head,
            note: note.to_owned(),
        };
        // One form only: no leading zeros or signs, no second way to write the same note.
        let canonical = parsed.text == text(origin, &head) && parsed.to_string() == note;
        canonical
            .then_some((checkpoint, parsed))
            .ok_or(BadCheckpoint)
    }
}

fn text(origin: &str, head: &Head) -> String {
    format!(
        "{origin}\n{}\n{}\n",
        head.size,
        BASE64_STANDARD.encode(head.root)
    )
}

/// Has `head` signed.
pub(crate) fn sign(
    origin: &str,
    head: Head,
    signer: &dyn CheckpointSigner,
) -> Result<Checkpoint, String> {
    let (key, text) = (signer.key(), text(origin, &head));
    let signature = signer.sign(text.as_bytes())?;
    let note = Note {
        text,
        signatures: vec![NoteSignature::new(&key, signature)],
    };
    Checkpoint::verify(&note.to_string(), &[key])
        .map_err(|_| "the signature does not verify with the key's public half".to_owned())
}
