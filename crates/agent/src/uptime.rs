//! A clock that nobody can set: it goes on while the machine sleeps, and no change of the time of day moves it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment since the machine was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Uptime(Duration);

impl Uptime {
    /// Now. CLOCK_BOOTTIME of clock_gettime(2), so that an end that lies in a sleep has come when the machine wakes up.
    pub(crate) fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        Self(Duration::new(
            u64::try_from(time.tv_sec).unwrap_or(0),
            u32::try_from(time.tv_nsec).unwrap_or(0),
        ))
    }

    /// The moment that much later.
    pub(crate) const fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }

    /// How long ago an earlier moment was; nothing where it is still to come.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_forwards() {
        let before = Uptime::now();
        let later = before.after(Duration::from_secs(5));
        assert!(Uptime::now() >= before && later > before);
        assert_eq!(later.since(before), Duration::from_secs(5));
        assert_eq!(before.since(later), Duration::ZERO);
    }
}
