//! Requests that were put to a person, by their digest: exactly the same one again within a while may be a bot that tries
//! again, or somebody who plays an old request back. Either is said to whoever decides, and stands in the log.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use touchkeep_core::UnixMillis;

/// For how long one is remembered.
pub(crate) const WINDOW_MS: u64 = 60 * 60 * 1000;
/// Requests that are remembered; the oldest makes room. A person is asked far less often.
const MAX: usize = 4096;

/// Exactly the same request was put to a person before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// How often, within the hour before it was asked last.
    pub times: u32,
    /// How long ago it was asked last, in milliseconds.
    pub ago_ms: u64,
}

/// The requests.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<HashMap<[u8; 32], Seen>>);

#[derive(Debug, Clone, Copy)]
struct Seen {
    times: u32,
    last: UnixMillis,
}

impl Repeats {
    /// Notes a request that was asked for `at`, and says whether it was before.
    pub(crate) fn note(&self, digest: [u8; 32], at: UnixMillis, now: UnixMillis) -> Option<Again> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back makes nothing older than it is.
        seen.retain(|_, one| now.since(one.last) < WINDOW_MS);
        if now.since(at) >= WINDOW_MS {
            return None;
        }
        let before = seen.get(&digest).copied();
        if before.is_none()
            && seen.len() >= MAX
            && let Some(oldest) = seen.iter().min_by_key(|(_, one)| one.last)
        {
            let oldest = *oldest.0;
            seen.remove(&oldest);
        }
        let times = before.map_or(0, |one| one.times);
        let last = before.map_or(at, |one| one.last.max(at));
        seen.insert(
            digest,
            Seen {
                times: times.saturating_add(1),
                last,
            },
        );
        before.map(|one| Again {
            times: one.times,
            ago_ms: at.since(one.last),
        })
    }
}

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = match self.times {
            1 => "once".to_owned(),
            2 => "twice".to_owned(),
            n => format!("{n} times"),
        };
        let ago = match self.ago_ms / 1000 {
            seconds @ 0..=119 => format!("{seconds} s"),
            seconds => format!("{} min", seconds / 60),
        };
        write!(
            f,
            "exactly the same was asked for {times} within the hour, last {ago} ago"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn later(ms: u64) -> UnixMillis {
        NOW.plus_ms(ms)
    }

    #[test]
    fn the_same_again_is_seen_and_another_is_not() {
        let repeats = Repeats::default();
        assert_eq!(repeats.note([1; 32], NOW, NOW), None);
        assert_eq!(repeats.note([2; 32], NOW, NOW), None);
        let again = repeats.note([1; 32], later(14_000), later(14_000)).unwrap();
        assert_eq!((again.times, again.ago_ms), (1, 14_000));
        let again = repeats.note([1; 32], later(20_000), later(20_000)).unwrap();
        assert_eq!(
            again.to_string(),
            "exactly the same was asked for twice within the hour, last 6 s ago"
        );
    }

    #[test]
    fn it_is_forgotten_after_the_window_and_not_when_the_clock_goes_back() {
        let repeats = Repeats::default();
        repeats.note([1; 32], NOW, NOW);
        let back = UnixMillis(NOW.0 - 5_000_000);
        assert!(repeats.note([1; 32], back, back).is_some());
        assert_eq!(
            repeats.note([1; 32], later(WINDOW_MS), later(WINDOW_MS)),
            None
        );
    }

    #[test]
    fn what_the_log_remembers_counts_too() {
        let repeats = Repeats::default();
        assert_eq!(repeats.note([1; 32], NOW, later(60_000)), None);
        let minute = later(60_000);
        assert!(repeats.note([1; 32], minute, minute).is_some());
        let repeats = Repeats::default();
        assert_eq!(repeats.note([2; 32], NOW, later(WINDOW_MS)), None);
        let end = later(WINDOW_MS);
        assert_eq!(repeats.note([2; 32], end, end), None, "it was too old");
    }

    #[test]
    fn many_are_kept_within_bounds_and_the_newest_stay() {
        let repeats = Repeats::default();
        let digest = |n: usize| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_be_bytes());
            digest
        };
        for n in 0..MAX + 10 {
            let at = later(n as u64);
            assert_eq!(repeats.note(digest(n), at, at), None);
        }
        assert!(repeats.0.lock().unwrap().len() <= MAX);
        let end = later(MAX as u64 + 10);
        assert!(repeats.note(digest(MAX + 9), end, end).is_some());
        assert_eq!(repeats.note(digest(0), end, end), None);
    }
}
