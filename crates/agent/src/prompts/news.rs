//! News that come thousands of times a second, and are told a few times: the last one always is.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Between two tellings.
const BETWEEN: Duration = Duration::from_millis(200);

/// When one kind of news was told.
#[derive(Debug, Default)]
pub(super) struct Often(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    last: Option<Instant>,
    /// Somebody will tell.
    due: bool,
}

impl Often {
    /// After how long whoever has the news is to tell them; none where somebody else will.
    pub(super) fn is_told_after(&self) -> Option<Duration> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.due {
            return None;
        }
        let passed = told.last.map(|last| last.elapsed());
        let left = passed.map_or(Duration::ZERO, |passed| BETWEEN.saturating_sub(passed));
        if left.is_zero() {
            told.last = Some(Instant::now());
        } else {
            told.due = true;
        }
        Some(left)
    }

    /// They are told now, by who was to wait.
    pub(super) fn is_told(&self) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *told = Told {
            last: Some(Instant::now()),
            due: false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_last_for_sure() {
        let often = Often::default();
        assert_eq!(often.is_told_after(), Some(Duration::ZERO));
        let waits = often.is_told_after().unwrap();
        assert!(!waits.is_zero() && waits <= BETWEEN);
        assert_eq!(often.is_told_after(), None, "one waits already");
        often.is_told();
        let waits = often.is_told_after();
        assert!(
            waits.is_some_and(|waits| !waits.is_zero()),
            "what came after it is told too"
        );
    }
}
