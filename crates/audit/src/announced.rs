//! Rows that somebody is about to write while others go on: the outcome of a request whose answer is passed on already. Whoever
//! reads the log sees what was announced before.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

/// A reader waits no longer for what was announced: a disk that hangs must not hide the rows that are there.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many are on their way.
#[derive(Debug, Default)]
pub(crate) struct Announcements {
    open: Mutex<u64>,
    settled: Condvar,
}

/// A row that is on its way. Dropped once it is written, or will not be.
#[derive(Debug)]
#[must_use]
pub struct Announced(Arc<Announcements>);

impl Announcements {
    pub(crate) fn announce(self: &Arc<Self>) -> Announced {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open = open.saturating_add(1);
        Announced(Arc::clone(self))
    }

    /// Waits until none is on its way, or patience ends.
    pub(crate) fn settle(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .settled
            .wait_timeout_while(open, PATIENCE, |open| *open > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open = open.saturating_sub(1);
        if *open == 0 {
            self.0.settled.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn who_settles_sees_what_was_announced_before() {
        let all = Arc::new(Announcements::default());
        all.settle();
        let (written, first, second) = (AtomicBool::new(false), all.announce(), all.announce());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                drop(first);
                std::thread::sleep(Duration::from_millis(50));
                written.store(true, Ordering::SeqCst);
                drop(second);
            });
            all.settle();
            assert!(written.load(Ordering::SeqCst));
        });
    }
}
