//! The end of a way: a lock, or that the time of its keys is over.

use tokio::sync::watch;

/// The end of one pipeline. Clones are the same one. Once it has come nothing is signed any more, and what waits for a
/// person, a device or its turn is refused.
#[derive(Debug, Clone, Default)]
pub struct End(watch::Sender<bool>);

impl End {
    /// It comes, for good.
    pub fn comes(&self) {
        self.0.send_replace(true);
    }

    /// Whether it has come.
    #[must_use]
    pub fn has_come(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once it has come.
    pub async fn reached(&self) {
        // This holds the sender, so that there is always something to wait for.
        let _ = self.0.subscribe().wait_for(|end| *end).await;
    }
}
