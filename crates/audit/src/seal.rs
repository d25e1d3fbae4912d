//! Keys of a log: who can read the bodies of its rows, and who can tell which rows belong to one item.
//!
//! Both keys are random and stored as ordinary age files for the audit recipient; so whoever records needs no secret, and
//! reading needs the audit identity, which the vault keeps.
//!
//! Each row is under a key of its own, made from its session's. So one row can be shown to somebody who then sees that this is
//! what was recorded, and reads no other.

use aws_lc_rs::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hmac,
};
use zeroize::Zeroizing;

use crate::{
    row::Seq,
    tree::{Hash, plain_hash},
};

/// Bytes of each of the keys.
const KEY_BYTES: usize = 32;
/// Bytes of a tag.
pub(crate) const TAG_BYTES: usize = 16;

/// Something could not be encrypted or decrypted. What and why is not told, for want of anything that would help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("encryption failed")]
pub(crate) struct Unsealed;

/// Makes the keys of the rows of one session. A session is one opening of the log.
///
/// # Why a row's key is used once
/// A session's key is in one process alone, and that process uses each row number once: after an append that failed it
/// takes a new session, since a torn write may have left the ciphertext of a row that has no place in the log.
pub(crate) struct SessionKey(hmac::Key);

impl SessionKey {
    /// A fresh key, and the age file in which it is kept.
    pub(crate) fn generate(
        recipient: &age::x25519::Recipient,
    ) -> Result<(Self, Vec<u8>), Unsealed> {
        let (key, file) = wrapped_key(recipient)?;
        Ok((Self(hmac::Key::new(hmac::HMAC_SHA256, &key[..])), file))
    }

    /// The key in this age file.
    pub(crate) fn open(file: &[u8], identity: &age::x25519::Identity) -> Result<Self, Unsealed> {
        let key = unwrap_key(file, identity)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key[..])))
    }

    /// The key of row `seq`.
    pub(crate) fn row(&self, seq: Seq) -> RowKey {
        let mut label = *b"touchkeep/audit/row-key/v1\0________";
        if let Some(place) = label.last_chunk_mut() {
            *place = seq.to_be_bytes();
        }
        RowKey::copy(hmac::sign(&self.0, &label).as_ref())
    }
}

/// Encrypts the body of one row: a commitment to this key, then ChaCha20-Poly1305 (RFC 8439) under the nonce zero, for the key
/// is used once.
///
/// # Why a commitment
/// ChaCha20-Poly1305 does not commit to a key: who makes both could make one ciphertext that two keys open. With the hash of
/// the key before it, a body that was shown to somebody is the body that was recorded.
pub(crate) struct RowKey(Zeroizing<[u8; KEY_BYTES]>);

/// Bytes of the commitment.
const COMMITMENT_BYTES: usize = 32;

impl RowKey {
    /// The key with these bytes; `None` where their number is wrong.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == KEY_BYTES).then(|| Self::copy(bytes))
    }

    /// Its bytes, for who is to read this row and no other.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0[..]
    }

    fn copy(bytes: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        for (to, from) in key.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self(key)
    }

    fn commitment(&self) -> Hash {
        let label = b"touchkeep/audit/row-commitment/v1\0";
        let mut bytes = Zeroizing::new(Vec::with_capacity(label.len() + KEY_BYTES));
        bytes.extend_from_slice(label);
        bytes.extend_from_slice(&self.0[..]);
        plain_hash(&bytes)
    }

    fn cipher(&self) -> Result<LessSafeKey, Unsealed> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.0[..]).map_err(|_| Unsealed)?;
        Ok(LessSafeKey::new(key))
    }

    /// Encrypts the body of a row, bound to its clear columns.
    pub(crate) fn seal(&self, clear: &[u8], body: &[u8]) -> Result<Vec<u8>, Unsealed> {
        let mut sealed = Vec::with_capacity(COMMITMENT_BYTES + body.len() + 16);
        sealed.extend_from_slice(&self.commitment());
        sealed.extend_from_slice(body);
        let place = sealed.get_mut(COMMITMENT_BYTES..).ok_or(Unsealed)?;
        let tag = self
            .cipher()?
            .seal_in_place_separate_tag(nonce(), Aad::from(clear), place)
            .map_err(|_| Unsealed)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Decrypts it.
    pub(crate) fn open<'a>(
        &self,
        clear: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a [u8], Unsealed> {
        let (commitment, body) = sealed
            .split_at_mut_checked(COMMITMENT_BYTES)
            .ok_or(Unsealed)?;
        if *commitment != self.commitment() {
            return Err(Unsealed);
        }
        self.cipher()?
            .open_in_place(nonce(), Aad::from(clear), body)
            .map(|body| &*body)
            .map_err(|_| Unsealed)
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// Makes the tags by which rows of one item or client are found (HMAC-SHA256, cut to 16 bytes). One key for the whole log,
/// so that a tag is the same in every session.
pub(crate) struct TagKey(hmac::Key);

impl TagKey {
    /// A fresh key, and the age file in which it is kept.
    pub(crate) fn generate(
        recipient: &age::x25519::Recipient,
    ) -> Result<(Self, Vec<u8>), Unsealed> {
        let (key, file) = wrapped_key(recipient)?;
        Ok((Self(hmac::Key::new(hmac::HMAC_SHA256, &key[..])), file))
    }

    /// The key in this age file.
    pub(crate) fn open(file: &[u8], identity: &age::x25519::Identity) -> Result<Self, Unsealed> {
        let key = unwrap_key(file, identity)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key[..])))
    }

    /// The tag of `id` among the things called `of`.
    pub(crate) fn tag(&self, of: &str, id: &[u8; 16]) -> Vec<u8> {
        let message = [of.as_bytes(), &[0], id].concat();
        let tag = hmac::sign(&self.0, &message);
        tag.as_ref().iter().take(TAG_BYTES).copied().collect()
    }
}

fn wrapped_key(
    recipient: &age::x25519::Recipient,
) -> Result<(Zeroizing<[u8; KEY_BYTES]>, Vec<u8>), Unsealed> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    aws_lc_rs::rand::fill(&mut key[..]).map_err(|_| Unsealed)?;
    let file = age::encrypt(recipient, &key[..]).map_err(|_| Unsealed)?;
    Ok((key, file))
}

fn unwrap_key(
    file: &[u8],
    identity: &age::x25519::Identity,
) -> Result<Zeroizing<Vec<u8>>, Unsealed> {
    let key = Zeroizing::new(age::decrypt(identity, file).map_err(|_| Unsealed)?);
    (key.len() == KEY_BYTES).then_some(key).ok_or(Unsealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_opens_in_its_own_row_only() {
        let identity = age::x25519::Identity::generate();
        let (key, file) = SessionKey::generate(&identity.to_public()).unwrap();
        let sealed = key.row(7).seal(b"clear", b"body").unwrap();
        let again = SessionKey::open(&file, &identity).unwrap();
        let open = |key: &RowKey, clear: &[u8]| {
            let mut sealed = sealed.clone();
            key.open(clear, &mut sealed).map(<[u8]>::to_vec)
        };
        assert_eq!(open(&again.row(7), b"clear"), Ok(b"body".to_vec()));
        let shown = RowKey::from_bytes(again.row(7).as_bytes()).unwrap();
        assert_eq!(open(&shown, b"clear"), Ok(b"body".to_vec()));
        assert!(open(&again.row(8), b"clear").is_err());
        assert!(open(&again.row(7), b"other").is_err());
        assert!(SessionKey::open(&file, &age::x25519::Identity::generate()).is_err());
    }

    #[test]
    fn every_changed_byte_of_a_body_is_refused() {
        let identity = age::x25519::Identity::generate();
        let (key, _) = SessionKey::generate(&identity.to_public()).unwrap();
        let sealed = key.row(7).seal(b"clear", b"body").unwrap();
        assert_eq!(sealed.len(), 32 + 4 + 16);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.row(7).open(b"clear", &mut changed).is_err(), "{at}");
        }
        assert!(
            key.row(7)
                .open(b"clear", &mut sealed[..31].to_vec())
                .is_err()
        );
    }

    #[test]
    fn tags_depend_on_key_and_sort() {
        let identity = age::x25519::Identity::generate();
        let (key, file) = TagKey::generate(&identity.to_public()).unwrap();
        let (other, _) = TagKey::generate(&identity.to_public()).unwrap();
        let tag = key.tag("item", &[1; 16]);
        assert_eq!(tag.len(), TAG_BYTES);
        assert_eq!(
            TagKey::open(&file, &identity)
                .unwrap()
                .tag("item", &[1; 16]),
            tag
        );
        assert_ne!(key.tag("client", &[1; 16]), tag);
        assert_ne!(other.tag("item", &[1; 16]), tag);
    }
}
