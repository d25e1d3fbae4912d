//! A program that nobody answers, or whom a person has said no to again and again, asks nobody for a while. Two unanswered
//! questions are enough to know that nobody is there, and a third and fourth would only tire whoever comes back. Three
//! refusals are enough to know that the answer is no: nobody is to be asked until he says yes to have it over with.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use touchkeep_core::text::visible;
use touchkeep_pipeline::Unasked;
use touchkeep_wire::{Question, Resting};

use super::asker::Counts;
use crate::uptime::Uptime;

/// Unanswered questions in a row before it rests.
const UNANSWERED: u32 = 2;
/// For how long.
const REST: Duration = Duration::from_secs(60);
/// Refused questions before it rests, where they come within [`WITHIN`].
const REFUSED: usize = 3;
/// Three rests long: who asks again after each, and is refused again, has one question in each.
const WITHIN: Duration = Duration::from_secs(15 * 60);
/// For how long it rests then, from the last refusal.
const REFUSED_REST: Duration = Duration::from_secs(5 * 60);
/// Programs that are counted.
const MAX_ASKERS: usize = 256;

#[derive(Default)]
pub(super) struct Patience(Mutex<HashMap<String, Count>>);

#[derive(Clone)]
struct Count {
    unanswered: u32,
    last: Uptime,
    // The last ones, the oldest first.
    refused: Vec<(Uptime, Worth)>,
    rests_until: Option<Uptime>,
}

/// What a yes to a question is worth. It takes refusals back of what is worth no more: nobody gets a withdrawal asked for
/// without an end by having a small order approved between two refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    /// A click.
    Click,
    /// A touch, a PIN, or a value.
    More,
}

impl Worth {
    pub(super) const fn of(question: &Question) -> Self {
        match question {
            Question::Approval(asked) if !asked.touch => Self::Click,
            _ => Self::More,
        }
    }
}

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// With a yes.
    Allowed(Worth),
    /// With a no.
    Refused(Worth),
    /// With what was to be typed.
    Typed,
    /// Nobody answered.
    Unanswered,
    /// In a way that says nothing of whether somebody is there.
    Otherwise,
}

/// Why somebody is not asked for, and for how much longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rest {
    left: Duration,
    refused: bool,
}

impl Rest {
    fn seconds(self) -> u64 {
        self.left.as_secs().max(1)
    }

    /// For whoever rests.
    pub(super) fn why(self) -> Unasked {
        let seconds = self.seconds();
        match self.refused {
            true => Unasked::Refused { seconds },
            false => Unasked::Unanswered { seconds },
        }
    }

    /// For whoever is left in peace.
    pub(super) fn of(self, asker: &str) -> Resting {
        Resting {
            asker: visible(asker),
            seconds_left: self.seconds(),
            refused: self.refused,
        }
    }
}

/// A question that waits. Given up by whoever asked, it counts as one that nobody answered: nobody asks without an end by
/// hanging up in time.
pub(super) struct Counted<'a> {
    patience: &'a Patience,
    asker: Option<Counts>,
    began: Uptime,
}

impl Counted<'_> {
    /// It ended by itself. Says who rests from now on, where a refusal brought that.
    pub(super) fn ended(mut self, how: Ended) -> Option<Resting> {
        let asker = self.asker.take()?;
        self.patience.ended(asker, self.began, how)
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
    pub(super) fn counts(&self, asker: Option<Counts>) -> Counted<'_> {
        Counted {
            patience: self,
            asker,
            began: Uptime::now(),
        }
    }

    /// Whether it rests.
    pub(super) fn rest(&self, asker: &Counts) -> Option<Rest> {
        let counts = self.lock();
        let rest = counts.get(&asker.name)?.rest(Uptime::now());
        rest.filter(|rest| !(rest.refused && asker.is_at_terminal))
    }

    /// The rest that the last question of this one has brought, which nobody answered; none where it rested before.
    pub(super) fn has_begun_to_rest(&self, asker: &Counts) -> Option<Resting> {
        let counts = self.lock();
        let count = counts.get(&asker.name)?;
        let rest = count.rest(Uptime::now()).filter(|rest| !rest.refused)?;
        (count.unanswered == UNANSWERED).then(|| rest.of(&asker.name))
    }

    /// Who rests, the longest first.
    pub(super) fn list(&self) -> Vec<Resting> {
        let now = Uptime::now();
        let counts = self.lock();
        let resting = counts
            .iter()
            .filter_map(|(asker, count)| Some(count.rest(now)?.of(asker)));
        let mut resting: Vec<Resting> = resting.collect();
        resting.sort_by_key(|one| std::cmp::Reverse(one.seconds_left));
        resting
    }

    /// Begins every count anew.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn ended(&self, asker: Counts, began: Uptime, how: Ended) -> Option<Resting> {
        let now = Uptime::now();
        match how {
            Ended::Refused(worth) => self.refused(asker, worth, now),
            Ended::Allowed(worth) => {
                self.answered(&asker, Some(worth));
                None
            }
            Ended::Typed => {
                self.answered(&asker, None);
                None
            }
            Ended::Unanswered => {
                self.unanswered(asker, began, now);
                None
            }
            Ended::Otherwise => None,
        }
    }

    // An answer, whichever, begins the count of those without one anew.
    fn answered(&self, asker: &Counts, yes: Option<Worth>) {
        let mut counts = self.lock();
        let Some(count) = counts.get_mut(&asker.name) else {
            return;
        };
        count.unanswered = 0;
        if let Some(worth) = yes {
            count.forgive(worth);
        }
        if count.refused.is_empty() {
            counts.remove(&asker.name);
        }
    }

    fn refused(&self, asker: Counts, worth: Worth, now: Uptime) -> Option<Resting> {
        self.answered(&asker, None);
        if asker.is_at_terminal {
            return None;
        }
        let mut counts = self.lock();
        let count = of(&mut counts, &asker.name, now);
        count.refuse(worth, now);
        let rest = count.rest(now)?;
        Some(rest.of(&asker.name))
    }

    fn unanswered(&self, asker: Counts, began: Uptime, now: Uptime) {
        let mut counts = self.lock();
        let count = of(&mut counts, &asker.name, now);
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

fn of<'a>(counts: &'a mut HashMap<String, Count>, asker: &str, now: Uptime) -> &'a mut Count {
    if counts.len() >= MAX_ASKERS {
        counts.retain(|_, count| !count.is_over(now));
    }
    counts.entry(asker.to_owned()).or_insert(Count {
        unanswered: 0,
        last: now,
        refused: Vec::new(),
        rests_until: None,
    })
}

impl Count {
    fn rest(&self, now: Uptime) -> Option<Rest> {
        let until = self.rests_until.map_or(Duration::ZERO, |at| at.since(now));
        if !until.is_zero() {
            return Some(Rest {
                left: until,
                refused: true,
            });
        }
        let left = REST.saturating_sub(now.since(self.last));
        (self.unanswered >= UNANSWERED && !left.is_zero()).then_some(Rest {
            left,
            refused: false,
        })
    }

    fn refuse(&mut self, worth: Worth, now: Uptime) {
        self.refused.retain(|(at, _)| now.since(*at) < WITHIN);
        if self.refused.len() >= REFUSED {
            self.refused.remove(0);
        }
        self.refused.push((now, worth));
        if self.refused.len() >= REFUSED {
            self.rests_until = Some(now.after(REFUSED_REST));
        }
    }

    fn forgive(&mut self, worth: Worth) {
        self.refused.retain(|(_, refused)| *refused > worth);
        if self.refused.len() < REFUSED {
            self.rests_until = None;
        }
    }

    fn is_over(&self, now: Uptime) -> bool {
        let last = self.refused.last();
        now.since(self.last) >= REST && last.is_none_or(|(at, _)| now.since(*at) >= WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bot() -> Counts {
        Counts::of("a")
    }

    fn unanswered(patience: &Patience) {
        patience.counts(Some(bot())).ended(Ended::Unanswered);
    }

    fn second(second: u64) -> Uptime {
        Uptime::now().after(Duration::from_secs(second))
    }

    fn minute(minute: u64) -> Uptime {
        second(60 * minute)
    }

    #[test]
    fn two_unanswered_questions_bring_a_rest_to_that_program_alone() {
        let patience = Patience::default();
        unanswered(&patience);
        assert_eq!(patience.rest(&bot()), None);
        unanswered(&patience);
        let rest = patience.rest(&bot()).unwrap();
        assert!(rest.left <= REST && !rest.refused);
        assert_eq!(patience.rest(&Counts::of("b")), None);
    }

    #[test]
    fn questions_that_are_open_for_longer_than_a_rest_bring_one_all_the_same() {
        let patience = Patience::default();
        patience.unanswered(bot(), second(0), second(120));
        assert_eq!(patience.rest(&bot()), None);
        // It asks again five seconds later, and waits as long.
        patience.unanswered(bot(), second(125), second(245));
        assert!(patience.rest(&bot()).is_some());
        // Who has rested begins anew.
        patience.unanswered(bot(), second(306), second(426));
        assert_eq!(patience.rest(&bot()), None);
    }

    #[test]
    fn an_answer_begins_the_count_anew() {
        for answer in [
            Ended::Allowed(Worth::Click),
            Ended::Refused(Worth::Click),
            Ended::Typed,
        ] {
            let patience = Patience::default();
            unanswered(&patience);
            patience.counts(Some(bot())).ended(answer);
            unanswered(&patience);
            assert_eq!(patience.rest(&bot()), None, "{answer:?}");
        }
    }

    #[test]
    fn one_that_was_given_up_counts_and_one_that_a_lock_ended_does_not() {
        let patience = Patience::default();
        for _ in 0..2 {
            patience.counts(Some(bot())).ended(Ended::Otherwise);
        }
        assert_eq!(patience.rest(&bot()), None);
        for _ in 0..2 {
            drop(patience.counts(Some(bot())));
        }
        assert!(patience.rest(&bot()).is_some());
    }

    #[test]
    fn three_refusals_bring_a_longer_rest_to_that_program_alone() {
        let patience = Patience::default();
        let refuse = || {
            let counted = patience.counts(Some(bot()));
            counted.ended(Ended::Refused(Worth::More))
        };
        assert_eq!((refuse(), refuse()), (None, None));
        assert_eq!(patience.rest(&bot()), None);
        let begun = refuse().unwrap();
        assert!(begun.refused && begun.asker == "a" && begun.seconds_left <= 300);
        let rest = patience.rest(&bot()).unwrap();
        assert!(rest.refused && rest.left > REFUSED_REST - REST);
        assert!(matches!(rest.why(), Unasked::Refused { seconds } if seconds <= 300));
        assert_eq!(patience.list().len(), 1);
        assert_eq!(patience.rest(&Counts::of("b")), None);
        patience.forget();
        assert_eq!((patience.rest(&bot()), refuse()), (None, None));
    }

    #[test]
    fn who_is_refused_again_after_each_rest_asks_once_in_each() {
        let patience = Patience::default();
        let refused = |at| patience.refused(bot(), Worth::More, at).is_some();
        assert!(!refused(minute(0)) && !refused(minute(0)) && refused(minute(0)));
        for rests in 1..20 {
            let now = minute(5 * rests);
            let count = patience.lock().get("a").cloned().unwrap();
            assert!(count.rest(second(300 * rests - 1)).is_some() && count.rest(now).is_none());
            assert!(refused(now) || rests == 3, "{rests}");
        }
    }

    #[test]
    fn three_refusals_that_are_far_apart_bring_no_rest() {
        let patience = Patience::default();
        for at in [0, 8, 16, 24] {
            assert_eq!(patience.refused(bot(), Worth::More, minute(at)), None);
        }
    }

    #[test]
    fn a_yes_takes_back_refusals_of_what_is_worth_no_more() {
        let (click, more) = (Worth::Click, Worth::More);
        for (refused, yes, rests) in [
            (click, click, false),
            (more, more, false),
            (click, more, false),
            (more, click, true),
        ] {
            let patience = Patience::default();
            for ended in [
                Ended::Refused(refused),
                Ended::Refused(refused),
                Ended::Allowed(yes),
                Ended::Refused(refused),
            ] {
                patience.counts(Some(bot())).ended(ended);
            }
            let rest = patience.rest(&bot());
            assert_eq!(rest.is_some(), rests, "{refused:?} {yes:?}");
        }
        // What is typed for a request that a rule lets through takes nothing back.
        let patience = Patience::default();
        for ended in [Ended::Refused(more), Ended::Refused(more), Ended::Typed] {
            patience.counts(Some(bot())).ended(ended);
        }
        let third = patience.counts(Some(bot()));
        assert!(third.ended(Ended::Refused(more)).is_some());
        // One that was open meanwhile and is approved ends the rest.
        let open = patience.counts(Some(bot()));
        open.ended(Ended::Allowed(more));
        assert_eq!(patience.rest(&bot()), None);
    }

    #[test]
    fn refusals_keep_nobody_from_what_he_does_at_his_own_terminal() {
        let patience = Patience::default();
        let own = Counts {
            is_at_terminal: true,
            ..bot()
        };
        for _ in 0..4 {
            let counted = patience.counts(Some(own.clone()));
            assert_eq!(counted.ended(Ended::Refused(Worth::More)), None);
        }
        assert_eq!(patience.rest(&bot()), None, "nor do his own count");
        for _ in 0..3 {
            let counted = patience.counts(Some(bot()));
            counted.ended(Ended::Refused(Worth::More));
        }
        assert!(patience.rest(&bot()).is_some());
        assert_eq!(patience.rest(&own), None);
    }

    #[test]
    fn counts_that_still_matter_are_not_let_go_for_room() {
        let patience = Patience::default();
        for _ in 0..3 {
            patience.refused(bot(), Worth::More, minute(0));
        }
        for other in 0..2 * MAX_ASKERS {
            let other = Counts::of(&other.to_string());
            patience.unanswered(other, minute(0), minute(0));
        }
        let later = minute(4);
        patience.unanswered(Counts::of("b"), later, later);
        let counts = patience.lock();
        assert!(counts.len() < MAX_ASKERS && counts["a"].rest(later).is_some());
    }
}
