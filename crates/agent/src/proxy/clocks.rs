//! What time it is at each venue. A venue refuses requests whose time is not its own, so the difference is measured: at its
//! public time endpoint where it has one, else from the `Date` of its answers.
//!
//! A measured time goes on with a clock that nobody can set, so that a change of the machine's own time does not reach a
//! venue. It never goes back by little. One that the venue contradicts is measured anew. A venue that differs by minutes is not
//! followed: then one of the two clocks is wrong, and a person is told.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use touchkeep_core::UnixMillis;
use touchkeep_venue::clock::Said;

use crate::uptime::Uptime;

/// A measurement is made anew after this.
const REFRESH: Duration = Duration::from_secs(5 * 60);
/// One that failed, after this.
const AGAIN: Duration = Duration::from_secs(30);
/// One that the venue has contradicted, after this.
const SOON: Duration = Duration::from_secs(5);
/// A difference above this is not followed.
const WILD_MS: u64 = 5 * 60 * 1000;
/// A measurement over a slower exchange than this says too little.
const SLOW_MS: u64 = 10_000;
/// The time at a venue stands still for up to this instead of going back.
const STEP_BACK_MS: u64 = 5_000;
/// Servers that are kept in mind.
const MAX_SERVERS: usize = 256;

/// The clocks of all venues.
#[derive(Debug, Default)]
pub(crate) struct Clocks(Mutex<HashMap<String, Known>>);

#[derive(Debug, Default)]
struct Known {
    measured: Option<Measured>,
    asked: Option<Uptime>,
    // The venue has refused a time that went by this measurement.
    doubted: bool,
    // How far the venue is off, in seconds, where it is not followed.
    wild: Option<u64>,
    last: Option<UnixMillis>,
}

#[derive(Debug, Clone, Copy)]
struct Measured {
    time: UnixMillis,
    at: Uptime,
    within_ms: u64,
}

/// Between sending a question and having its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    pub(super) sent: (UnixMillis, Uptime),
    pub(super) answered: Uptime,
}

impl Clocks {
    /// The time at a server.
    pub(crate) fn time(&self, server: &str, now: UnixMillis, at: Uptime) -> UnixMillis {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = all.get_mut(server) else {
            return now;
        };
        let measured = known.measured.map(|measured| measured.at(at));
        let time = measured.unwrap_or(now);
        let time = match known.last {
            Some(last) if last > time && last.since(time) <= STEP_BACK_MS => last,
            _ => time,
        };
        known.last = Some(time);
        time
    }

    /// Whether this server is to be asked now. Whoever gets a yes asks.
    pub(super) fn is_to_be_asked(&self, server: &str, at: Uptime) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_SERVERS && !all.contains_key(server) {
            return false;
        }
        let known = all.entry(server.to_owned()).or_default();
        let old = |since: Option<Uptime>, than| since.is_none_or(|since| at.since(since) > than);
        let due = if known.doubted {
            old(known.asked, SOON)
        } else {
            old(known.asked, AGAIN) && old(known.measured.map(|m| m.at), REFRESH)
        };
        if due {
            known.asked = Some(at);
        }
        due
    }

    /// A server has refused a time: what was measured is not to be gone by any longer than it must.
    pub(crate) fn doubt(&self, server: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(server) {
            known.doubted = true;
        }
    }

    /// Takes in what a server said.
    pub(super) fn said(&self, server: &str, said: Said, exchange: Exchange) {
        let took = exchange.answered.since(exchange.sent.1);
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if took > SLOW_MS {
            return;
        }
        // Said at some moment of the exchange, and true for the whole of its exactness: what the time was at its beginning
        // lies between these two.
        let (least, most) = (minus(said.at, took), said.at.plus_ms(said.within_ms));
        let ours = exchange.sent.0;
        let time = if (least..=most).contains(&ours) {
            ours
        } else {
            least.plus_ms(most.since(least) / 2)
        };
        let off = time.since(ours).max(ours.since(time));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = all.get_mut(server) else {
            return;
        };
        let doubted = std::mem::take(&mut known.doubted);
        if off > WILD_MS {
            if known.wild.is_none() {
                tracing::warn!(
                    server,
                    seconds = off / 1000,
                    "a venue's clock differs by minutes and is not followed"
                );
            }
            known.wild = Some(off / 1000);
            known.measured = None;
            return;
        }
        known.wild = None;
        let new = Measured {
            time,
            at: exchange.sent.1,
            within_ms: most.since(least),
        };
        let better = doubted
            || known
                .measured
                .is_none_or(|old| new.within_ms <= old.within_ms || new.at.since(old.at) > REFRESH);
        if better {
            known.measured = Some(new);
        }
    }

    /// A sentence on a clock that is not followed, or none.
    pub(crate) fn wild(&self) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wild = all
            .iter()
            .filter_map(|(server, known)| Some((known.wild?, server)));
        let (seconds, server) = wild.next()?;
        Some(format!(
            "The clock of {server} and this machine's differ by {} minutes, so that it may refuse requests: set this machine's clock.",
            seconds / 60
        ))
    }
}

impl Measured {
    fn at(self, at: Uptime) -> UnixMillis {
        let passed = at.since(self.at).as_millis();
        self.time.plus_ms(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}

const fn minus(time: UnixMillis, ms: u64) -> UnixMillis {
    UnixMillis(time.0.saturating_sub(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn told(clocks: &Clocks, at: Uptime, ours: u64, theirs: u64, within_ms: u64, took_ms: u64) {
        clocks.is_to_be_asked("v", at);
        let exchange = Exchange {
            sent: (UnixMillis(ours), at),
            answered: at.after(Duration::from_millis(took_ms)),
        };
        let said = Said {
            at: UnixMillis(theirs),
            within_ms,
        };
        clocks.said("v", said, exchange);
    }

    fn time(clocks: &Clocks, at: Uptime, now: u64) -> u64 {
        clocks.time("v", UnixMillis(now), at).0
    }

    // A measurement over a slow exchange may be wrong by seconds; so is one of before the machine stood still.
    #[test]
    fn a_measurement_that_the_venue_contradicts_is_made_anew_soon_and_counts() {
        let (clocks, at) = (Clocks::default(), Uptime::now());
        told(&clocks, at, NOW, NOW + 4_000, 1, 10);
        let later = |seconds| at.after(Duration::from_secs(seconds));
        assert!(!clocks.is_to_be_asked("v", later(6)));
        clocks.doubt("v");
        assert!(!clocks.is_to_be_asked("v", later(4)), "not at each refusal");
        assert!(clocks.is_to_be_asked("v", later(6)));
        told(&clocks, later(6), NOW + 6_000, NOW + 6_000, 1_000, 10);
        assert_eq!(time(&clocks, later(12), NOW + 12_000), NOW + 12_000);
        assert!(
            !clocks.is_to_be_asked("v", later(18)),
            "it is believed again"
        );
    }

    #[test]
    fn nobodys_word_is_our_own_clock() {
        let (clocks, at) = (Clocks::default(), Uptime::now());
        assert_eq!(time(&clocks, at, NOW), NOW);
        assert!(clocks.is_to_be_asked("v", at) && !clocks.is_to_be_asked("v", at));
        assert_eq!(time(&clocks, at, NOW), NOW);
    }

    #[test]
    fn a_difference_is_followed_and_one_that_explains_itself_is_not() {
        let (clocks, at) = (Clocks::default(), Uptime::now());
        told(&clocks, at, NOW, NOW + 90_050, 1, 100);
        let then = at.after(Duration::from_secs(10));
        assert!(time(&clocks, then, NOW + 10_000).abs_diff(NOW + 100_000) <= 51);
        // Half a second within a Date is no difference.
        let clocks = Clocks::default();
        told(&clocks, at, NOW + 700, NOW, 1000, 100);
        assert_eq!(time(&clocks, at, NOW + 700), NOW + 700);
    }

    #[test]
    fn who_sets_this_machines_clock_does_not_set_the_venues() {
        let (clocks, at) = (Clocks::default(), Uptime::now());
        told(&clocks, at, NOW, NOW, 1, 0);
        let then = at.after(Duration::from_secs(60));
        for jumped in [NOW - 3_600_000, NOW + 3_600_000] {
            assert_eq!(time(&clocks, then, jumped), NOW + 60_000);
        }
    }

    #[test]
    fn it_does_not_go_back_by_little() {
        let (clocks, at) = (Clocks::default(), Uptime::now());
        told(&clocks, at, NOW, NOW + 2_000, 1, 0);
        let first = time(&clocks, at, NOW);
        told(
            &clocks,
            at.after(Duration::from_secs(1)),
            NOW + 1_000,
            NOW + 1_500,
            1,
            0,
        );
        let second = time(&clocks, at.after(Duration::from_secs(1)), NOW + 1_000);
        assert!(second >= first, "{first} {second}");
    }

    #[test]
    fn a_wild_time_is_not_followed_and_said() {
        let (clocks, at) = (Clocks::default(), Uptime::now());
        assert_eq!(clocks.wild(), None);
        told(&clocks, at, NOW, NOW + 3_600_000, 1, 0);
        assert_eq!(time(&clocks, at, NOW), NOW);
        assert!(clocks.wild().unwrap().contains("60 minutes"));
        told(&clocks, at, NOW, NOW + 1, 1, 0);
        assert_eq!(clocks.wild(), None);
    }

    #[test]
    fn a_slow_answer_says_nothing() {
        let (clocks, at) = (Clocks::default(), Uptime::now());
        told(&clocks, at, NOW, NOW + 90_000, 1, 20_000);
        assert_eq!(time(&clocks, at, NOW), NOW);
    }
}
