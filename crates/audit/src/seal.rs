//! Keys of a log: who can read the bodies of its rows, and who can tell which rows belong to one item.
//!
//! Both keys are random and stored as ordinary age files for the audit recipient; so whoever records needs no secret, and
//! reading needs the audit identity, which the vault keeps.

use aws_lc_rs::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hmac,
};
use zeroize::Zeroizing;

use crate::row::Seq;

/// Bytes of each of the keys.
const KEY_BYTES: usize = 32;
/// Bytes of a tag.
pub(crate) const TAG_BYTES: usize = 16;

/// Something could not be encrypted or decrypted. What and why is not told, for want of anything that would help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("encryption failed")]
pub(crate) struct Unsealed;

/// Encrypts the bodies of one session (ChaCha20-Poly1305, RFC 8439). A session is one opening of the log.
///
/// # Why the nonce is the row's number
/// A session's key is in one process alone, and that process uses each row number once: after an append that failed it
/// takes a new session, since a torn write may have left the ciphertext of a row that has no place in the log.
pub(crate) struct SessionKey(LessSafeKey);

impl SessionKey {
    /// A fresh key, and the age file in which it is kept.
    pub(crate) fn generate(
        recipient: &age::x25519::Recipient,
    ) -> Result<(Self, Vec<u8>), Unsealed> {
        let (key, file) = wrapped_key(recipient)?;
        Ok((Self::new(&key[..])?, file))
    }

    /// The key in this age file.
    pub(crate) fn open(file: &[u8], identity: &age::x25519::Identity) -> Result<Self, Unsealed> {
        Self::new(&unwrap_key(file, identity)?)
    }

    fn new(key: &[u8]) -> Result<Self, Unsealed> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| Unsealed)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts the body of row `seq`, bound to its clear columns.
    pub(crate) fn seal(
        &self,
        seq: Seq,
        clear: &[u8],
        mut body: Vec<u8>,
    ) -> Result<Vec<u8>, Unsealed> {
        self.0
            .seal_in_place_append_tag(nonce(seq), Aad::from(clear), &mut body)
            .map_err(|_| Unsealed)?;
        Ok(body)
    }

    /// Decrypts it.
    pub(crate) fn open_body<'a>(
        &self,
        seq: Seq,
        clear: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a [u8], Unsealed> {
        self.0
            .open_in_place(nonce(seq), Aad::from(clear), sealed)
            .map(|body| &*body)
            .map_err(|_| Unsealed)
    }
}

fn nonce(seq: Seq) -> Nonce {
    let mut bytes = [0; 12];
    for (place, byte) in bytes.iter_mut().skip(4).zip(seq.to_be_bytes()) {
        *place = byte;
    }
    Nonce::assume_unique_for_key(bytes)
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
        let sealed = key.seal(7, b"clear", b"body".to_vec()).unwrap();
        let again = SessionKey::open(&file, &identity).unwrap();
        assert_eq!(
            again.open_body(7, b"clear", &mut sealed.clone()),
            Ok(&b"body"[..])
        );
        assert!(again.open_body(8, b"clear", &mut sealed.clone()).is_err());
        assert!(again.open_body(7, b"other", &mut sealed.clone()).is_err());
        assert!(SessionKey::open(&file, &age::x25519::Identity::generate()).is_err());
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
