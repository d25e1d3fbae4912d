//! How much of what is to be withdrawn the venue has free, where a person is to be asked: all of it and a hundredth of it are not
//! the same question.
//!
//! It is shown and decides nothing. So the venue is asked only where nobody is put a question for it: with a reading key that is
//! open anyway, where a rule lets the client read; and nobody is waited for longer than a person would mind.

use std::time::Duration;

use touchkeep_core::Decimal;
use touchkeep_policy::Action;
use touchkeep_venue::{KeyClass, balance};

use super::{Incoming, Pipeline, read::Read};
use crate::Upstream;

/// How long a question waits for this.
const WAITS: Duration = Duration::from_secs(3);

impl<U: Upstream> Pipeline<U> {
    /// What the venue says; none where it is not asked, or not heard in time.
    pub(super) async fn free(&self, read: &Read) -> Option<Decimal> {
        let asks = balance(read.private.operation())?;
        if !matches!(self.would_be(read), Some(Action::Approve | Action::Touch)) {
            return None;
        }
        let Incoming { venue, key_set, .. } = &read.incoming;
        let keys = &self.0.keys;
        let key = keys.key_for(venue, key_set, KeyClass::Read).ok()?;
        if key.touched_each_use || !keys.stays(&key) {
            return None;
        }
        let heard = Box::pin(self.hears(read, asks.request(), key));
        let heard = tokio::time::timeout(WAITS, heard).await;
        asks.read(&heard.ok()?.ok()?)
    }
}
