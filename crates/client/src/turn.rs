//! Waiting for a place at an agent that has as many connections as it takes, and hangs up on one more.

use std::time::{Duration, Instant};

/// How long a place is waited for: many commands at once take some seconds.
const WITHIN: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// One that waits.
pub(crate) struct Turn {
    until: Instant,
    pause: Duration,
}

impl Turn {
    pub(crate) fn wait() -> Self {
        Self {
            until: Instant::now() + WITHIN,
            pause: Duration::from_millis(10),
        }
    }

    /// How long to pause before it is tried again; none where that was long enough.
    pub(crate) fn pause(&mut self) -> Option<Duration> {
        let pause = self.pause;
        self.pause = LONGEST_PAUSE.min(2 * pause);
        (Instant::now() < self.until).then_some(pause)
    }
}
