//! The end of a way: a lock, or that the time of its keys is over.

use tokio::sync::{oneshot, watch};

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

/// Whether the client of one request is let in no more.
#[derive(Debug)]
pub(crate) struct Revoked(oneshot::Receiver<()>);

/// Who says so.
#[derive(Debug)]
pub(crate) struct Revokes(oneshot::Sender<()>);

impl Revoked {
    /// One that may come.
    pub(crate) fn later() -> (Revokes, Self) {
        let (revokes, revoked) = oneshot::channel();
        (Revokes(revokes), Self(revoked))
    }

    /// One that does not: what is asked beside a request ends with that.
    pub(crate) fn never() -> Self {
        Self::later().1
    }

    /// Returns once it has come.
    pub(crate) async fn reached(self) {
        if self.0.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Revokes {
    /// It has come.
    pub(crate) fn comes(self) {
        // What is over need not hear of it.
        let _ = self.0.send(());
    }
}
