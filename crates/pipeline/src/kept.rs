//! Private keys of the open vault that were read once. Reading one costs more than signing with it, an RSA key four times as much.
//!
//! They lie in locked memory and nowhere else, or are not kept. The secret itself is taken from the vault for each signature all
//! the same: a key is kept beside the hash of the text that it was read from, and another text is read anew.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::digest::{SHA256, digest};
use touchkeep_core::{ApiSecret, ItemId};
use touchkeep_venue::Algorithm;

use crate::private_key::{self, Stays};

/// Keys that are kept; the others are read anew. There is little locked memory.
const MAX: usize = 16;

/// The keys.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    keys: HashMap<ItemId, One>,
    over: bool,
}

struct One {
    text_sha256: [u8; 32],
    algorithm: Algorithm,
    key: Arc<Stays>,
}

impl Kept {
    /// Signs with an item's private key; raw, as [`private_key::signature`] does.
    pub(crate) fn signature(
        &self,
        item: ItemId,
        secret: &ApiSecret,
        algorithm: Algorithm,
        message: &[u8],
    ) -> Option<Vec<u8>> {
        // EXPOSE: to a hash, by which a key of another text is not taken for this one's.
        let text_sha256 = hash(secret.expose().as_bytes());
        let is_it = |one: &&One| one.text_sha256 == text_sha256 && one.algorithm == algorithm;
        let known = self
            .lock()
            .keys
            .get(&item)
            .filter(is_it)
            .map(|one| Arc::clone(&one.key));
        if let Some(key) = known {
            return key.sign(message);
        }
        let Some(key) = Stays::read(secret, algorithm).map(Arc::new) else {
            return private_key::signature(secret, algorithm, message);
        };
        let signature = key.sign(message);
        let mut inner = self.lock();
        if !inner.over && (inner.keys.len() < MAX || inner.keys.contains_key(&item)) {
            let one = One {
                text_sha256,
                algorithm,
                key,
            };
            inner.keys.insert(item, one);
        }
        signature
    }

    /// Wipes them, and keeps none from now on.
    pub(crate) fn forget(&self) {
        let mut inner = self.lock();
        inner.over = true;
        inner.keys.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(text: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest(&SHA256, text).as_ref()) {
        *to = *from;
    }
    hash
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

    use super::*;

    // A seed of Ed25519, as a portal gives one out, and its public half.
    fn key(byte: u8) -> (ApiSecret, Vec<u8>) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[byte; 32]).unwrap();
        let text = data_encoding::BASE64.encode(&[byte; 32]);
        (ApiSecret::new(text), pair.public_key().as_ref().to_vec())
    }

    #[test]
    fn a_key_is_kept_for_its_text_alone_and_until_it_is_forgotten() {
        touchkeep_locked::keep_keys_apart();
        let (kept, item) = (Kept::default(), ItemId::random());
        let signs = |(secret, public): &(ApiSecret, Vec<u8>)| {
            let signed = kept.signature(item, secret, Algorithm::Ed25519, b"message");
            let public = UnparsedPublicKey::new(&ED25519, public);
            public.verify(b"message", &signed.unwrap()).is_ok()
        };
        let known = || kept.lock().keys.get(&item).map(|one| Arc::as_ptr(&one.key));
        let (one, other) = (key(1), key(2));
        assert!(signs(&one));
        let first = known();
        assert!(first.is_some() && signs(&one) && known() == first);
        // Replaced in the vault.
        assert!(signs(&other) && known() != first);
        let no_key = kept.signature(item, &one.0, Algorithm::RsaPkcs1Sha256, b"message");
        assert_eq!(no_key, None);
        kept.forget();
        assert_eq!(known(), None);
        assert!(signs(&one), "a request that is on its way is signed");
        assert_eq!(known(), None, "and its key is not kept");
    }

    #[test]
    fn there_is_room_for_some() {
        touchkeep_locked::keep_keys_apart();
        let (kept, (secret, _)) = (Kept::default(), key(3));
        for _ in 0..MAX + 3 {
            let signed = kept.signature(ItemId::random(), &secret, Algorithm::Ed25519, b"m");
            assert!(signed.is_some());
        }
        assert_eq!(kept.lock().keys.len(), MAX);
    }
}
