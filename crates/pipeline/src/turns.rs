//! One request of a key after the other, where its venue counts them: a number that is overtaken on the way is refused.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;
use touchkeep_core::ItemId;

/// The keys that have turns.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<ItemId, Arc<tokio::sync::Mutex<()>>>>);

/// A turn; over when it is dropped.
pub(crate) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits for the turn of a key; first come, first served.
    pub(crate) async fn take(&self, item: ItemId) -> Turn {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(item).or_default())
        };
        turn.lock_owned().await
    }
}
