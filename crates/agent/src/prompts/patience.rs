//! A program whose questions nobody answers asks nobody for a while: two are enough to know that nobody is there, and a
//! third and fourth would only tire whoever comes back.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use touchkeep_core::text::visible;
use touchkeep_wire::Resting;

use crate::uptime::Uptime;

/// Unanswered questions in a row before it rests.
const UNANSWERED: u32 = 2;
/// For how long.
const REST: Duration = Duration::from_secs(60);
/// Programs that are counted.
const MAX_ASKERS: usize = 256;

#[derive(Default)]
pub(super) struct Patience(Mutex<HashMap<String, Count>>);

#[derive(Clone, Copy)]
struct Count {
    unanswered: u32,
    last: Uptime,
}

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// With an answer, whichever.
    Answered,
    /// Nobody answered.
    Unanswered,
    /// In a way that says nothing of whether somebody is there.
    Otherwise,
}

/// A question that waits. Given up by whoever asked, it counts as one that nobody answered: nobody asks without an end by
/// hanging up in time.
pub(super) struct Counted<'a> {
    patience: &'a Patience,
    asker: Option<String>,
    began: Uptime,
}

impl Counted<'_> {
    /// It ended by itself.
    pub(super) fn ended(mut self, how: Ended) {
        if let Some(asker) = self.asker.take() {
            self.patience.ended(asker, self.began, how);
        }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if let Some(asker) = self.asker.take() {
            self.patience.ended(asker, self.began, Ended::Unanswered);
        }
    }
}

impl Patience {
    /// Counts a question that is put to a person now, where a program asks it.
    pub(super) fn counts(&self, asker: Option<String>) -> Counted<'_> {
        Counted {
            patience: self,
            asker,
            began: Uptime::now(),
        }
    }

    /// How much longer it rests.
    pub(super) fn rest(&self, asker: &str) -> Option<Duration> {
        let counts = self.lock();
        let count = counts
            .get(asker)
            .filter(|count| count.unanswered >= UNANSWERED)?;
        let left = REST.saturating_sub(Uptime::now().since(count.last));
        (!left.is_zero()).then_some(left)
    }

    /// Who rests, the longest first.
    pub(super) fn list(&self) -> Vec<Resting> {
        let now = Uptime::now();
        let counts = self.lock();
        let resting = counts
            .iter()
            .filter(|(_, count)| count.unanswered >= UNANSWERED)
            .map(|(asker, count)| (asker, REST.saturating_sub(now.since(count.last))))
            .filter(|(_, left)| !left.is_zero());
        let mut resting: Vec<Resting> = resting
            .map(|(asker, left)| Resting {
                asker: visible(asker),
                seconds_left: left.as_secs().max(1),
            })
            .collect();
        resting.sort_by_key(|one| std::cmp::Reverse(one.seconds_left));
        resting
    }

    /// Begins every count anew.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    // An answer, whichever, begins the count anew.
    fn ended(&self, asker: String, began: Uptime, how: Ended) {
        match how {
            Ended::Answered => {
                self.lock().remove(&asker);
            }
            Ended::Unanswered => self.unanswered(asker, began, Uptime::now()),
            Ended::Otherwise => {}
        }
    }

    fn unanswered(&self, asker: String, began: Uptime, now: Uptime) {
        let mut counts = self.lock();
        if counts.len() >= MAX_ASKERS {
            counts.retain(|_, count| now.since(count.last) < REST);
        }
        let count = counts.entry(asker).or_insert(Count {
            unanswered: 0,
            last: now,
        });
        // Whoever had rested before it asked begins anew. The time that its question was open is no rest: it may be longer.
        if began.since(count.last) >= REST {
            count.unanswered = 0;
        }
        count.unanswered += 1;
        count.last = now;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unanswered(patience: &Patience) {
        patience.counts(Some("a".into())).ended(Ended::Unanswered);
    }

    #[test]
    fn two_unanswered_questions_bring_a_rest_to_that_program_alone() {
        let patience = Patience::default();
        unanswered(&patience);
        assert_eq!(patience.rest("a"), None);
        unanswered(&patience);
        assert!(patience.rest("a").is_some_and(|left| left <= REST));
        assert_eq!(patience.rest("b"), None);
    }

    #[test]
    fn questions_that_are_open_for_longer_than_a_rest_bring_one_all_the_same() {
        let patience = Patience::default();
        let second = |second| Uptime::now().after(Duration::from_secs(second));
        patience.unanswered("a".into(), second(0), second(120));
        assert_eq!(patience.rest("a"), None);
        // It asks again five seconds later, and waits as long.
        patience.unanswered("a".into(), second(125), second(245));
        assert!(patience.rest("a").is_some());
        // Who has rested begins anew.
        patience.unanswered("a".into(), second(306), second(426));
        assert_eq!(patience.rest("a"), None);
    }

    #[test]
    fn an_answer_begins_the_count_anew() {
        let patience = Patience::default();
        unanswered(&patience);
        patience.counts(Some("a".into())).ended(Ended::Answered);
        unanswered(&patience);
        assert_eq!(patience.rest("a"), None);
    }

    #[test]
    fn one_that_was_given_up_counts_and_one_that_a_lock_ended_does_not() {
        let patience = Patience::default();
        for _ in 0..2 {
            patience.counts(Some("a".into())).ended(Ended::Otherwise);
        }
        assert_eq!(patience.rest("a"), None);
        for _ in 0..2 {
            drop(patience.counts(Some("a".into())));
        }
        assert!(patience.rest("a").is_some());
    }
}
