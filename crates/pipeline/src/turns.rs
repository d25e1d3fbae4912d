//! One request of a key after the other, where its venue counts them: a number that is overtaken on the way is refused.

use std::{
    collections::HashMap,
    fmt::{self, Display},
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use tokio::sync::OwnedMutexGuard;

/// Which requests a venue counts together: those of one API key, of which several items may speak. What is written down of it
/// is a SHA-256 of venue and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Series([u8; 32]);

impl Series {
    /// The requests of an API key at a venue.
    #[must_use]
    pub fn of(venue: &str, api_key: &str) -> Self {
        let mut hash = Context::new(&SHA256);
        // No venue's name has a zero byte.
        for part in ["touchkeep numbers", venue, api_key] {
            hash.update(part.as_bytes());
            hash.update(&[0]);
        }
        let mut series = [0; 32];
        for (to, from) in series.iter_mut().zip(hash.finish().as_ref()) {
            *to = *from;
        }
        Self(series)
    }
}

impl Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// The keys that have turns. Clones are the same ones: of two pipelines that sign with one key at the same time, as at a lock, each
/// waits for the other.
#[derive(Debug, Default, Clone)]
pub struct Turns(Arc<Mutex<HashMap<Series, Arc<tokio::sync::Mutex<()>>>>>);

/// A turn; over when it is dropped.
pub(crate) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits for the turn of a key; first come, first served.
    pub(crate) async fn take(&self, series: Series) -> Turn {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(series).or_default())
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_counted_by_venue_and_key_and_the_name_of_their_count_stays_what_it_is() {
        let one = Series::of("kraken", "key");
        assert_eq!(one, Series::of("kraken", "key"));
        assert_ne!(one, Series::of("kraken", "other"));
        assert_ne!(one, Series::of("bitfinex", "key"));
        assert_ne!(one, Series::of("krake", "nkey"));
        // Files hold it.
        assert_eq!(
            one.to_string(),
            "414d8bfe12c81913c8404be64ef88a330b977843312e84711d347f6bb52291fa"
        );
    }
}
