//! Looking with a deadline: what does not answer is a finding, not a hang.

use std::{
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

/// Something that is being looked at.
pub(super) struct Look<T> {
    answer: Receiver<T>,
    until: Instant,
}

impl<T: Send + 'static> Look<T> {
    /// Looks on a thread of its own. One that never answers is left behind: it holds nothing of ours, and does not keep the
    /// agent from ending.
    pub(super) fn start(within: Duration, look: impl FnOnce() -> T + Send + 'static) -> Self {
        let (sender, answer) = mpsc::sync_channel(1);
        thread::spawn(move || {
            // Nobody waits any more where it is too late.
            let _late = sender.send(look());
        });
        Self {
            answer,
            until: Instant::now() + within,
        }
    }

    /// What was seen; none when it did not answer in time.
    pub(super) fn wait(self) -> Option<T> {
        let left = self.until.saturating_duration_since(Instant::now());
        self.answer.recv_timeout(left).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_not_waited_for() {
        let (open, closed) = mpsc::channel::<()>();
        let begun = Instant::now();
        let hangs = Look::start(Duration::from_millis(50), move || closed.recv().is_err());
        let answers = Look::start(Duration::from_secs(60), || 7);
        assert_eq!(answers.wait(), Some(7));
        assert_eq!(hangs.wait(), None);
        assert!(begun.elapsed() < Duration::from_secs(30));
        drop(open);
    }

    #[test]
    fn what_panics_has_not_answered() {
        let look = Look::start(Duration::from_secs(60), || -> u8 { panic!("as it should") });
        assert_eq!(look.wait(), None);
    }
}
