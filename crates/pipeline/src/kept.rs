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
