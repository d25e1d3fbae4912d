//! The questions that wait for a window: which one is shown, since when, and whether an approval may be taken yet.

use std::time::{Duration, Instant};

use serde::Serialize;
use touchkeep_core::PromptId;
use touchkeep_wire::{Prompt, Question};

/// For this long after a question is first shown no approval is taken: a click or a key press that was meant for what was
/// there before approves nothing.
pub(crate) const GUARD: Duration = Duration::from_millis(600);

/// How long an outcome stays to be read.
const OUTCOME_STAYS: Duration = Duration::from_millis(1600);
/// How long the window waits for what follows a yes: the device's turn, and how it went.
const MORE_COMES: Duration = Duration::from_secs(15);
/// How long it stays to be read that it was not done, or not known to be: nobody expects that.
const BAD_NEWS_STAYS: Duration = Duration::from_secs(8);

/// The questions for the approval window. Touches come first, since a device waits; then the oldest.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    open: Vec<Prompt>,
    shown: Option<(PromptId, Instant)>,
    /// What was answered with yes, until it is known how it went.
    allowed: Vec<PromptId>,
    /// What is shown stays until then.
    stays: Option<Instant>,
}

/// What the approval window shows now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CurrentPrompt {
    prompt: Prompt,
    behind: usize,
    guard_ms: u64,
}

/// Why an approval is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotYet {
    /// It is not the question that is shown, or it is closed.
    NotShown,
    /// It was shown only just now.
    TooSoon,
}

/// Whether a question is shown in the approval window; the others are asked in a native dialog.
pub(crate) const fn has_window(question: &Question) -> bool {
    matches!(
        question,
        Question::Approval(_) | Question::Use(_) | Question::Touch { .. }
    )
}

impl Questions {
    /// A question came. One that is there already is not doubled.
    pub(crate) fn opened(&mut self, prompt: Prompt) {
        if !self.open.iter().any(|open| open.id == prompt.id) {
            self.open.push(prompt);
        }
    }

    /// A question is closed. Says for how long its outcome stays, where it was one of these.
    pub(crate) fn closed(&mut self, id: PromptId, outcome: &str, now: Instant) -> Option<Duration> {
        let at = self.open.iter().position(|open| open.id == id)?;
        self.open.remove(at);
        if self.shown.is_none_or(|(shown, _)| shown != id) {
            // It was over before the page had it: there is nothing to be read.
            return Some(Duration::ZERO);
        }
        if matches!(outcome, "approved" | "allowed") {
            self.allowed.push(id);
        }
        let stays = match self.allowed.is_empty() {
            true => OUTCOME_STAYS,
            false => MORE_COMES,
        };
        Some(self.stay(stays, now))
    }

    /// What is said of the refusal that is shown is longer: who asks nobody from now on. Says for how long that stays.
    pub(crate) fn rests(&mut self, now: Instant) -> Duration {
        let stays = match self.allowed.is_empty() {
            true => BAD_NEWS_STAYS,
            false => MORE_COMES,
        };
        self.stay(stays, now)
    }

    /// It is known how it went with what was answered with yes. Says for how long that stays, where it was one of these.
    pub(crate) fn went(&mut self, id: PromptId, is_done: bool, now: Instant) -> Option<Duration> {
        let at = self.allowed.iter().position(|allowed| *allowed == id)?;
        self.allowed.remove(at);
        let stays = match is_done {
            true => OUTCOME_STAYS,
            false => BAD_NEWS_STAYS,
        };
        Some(self.stay(stays, now))
    }

    fn stay(&mut self, stays: Duration, now: Instant) -> Duration {
        self.stays = now.checked_add(stays);
        stays
    }

    /// Whether nothing is asked, and what was to be read has been there for long enough. Then nothing more is waited for.
    pub(crate) fn may_leave(&mut self, now: Instant) -> bool {
        let may = self.open.is_empty() && self.stays.is_none_or(|until| until <= now);
        if may {
            self.allowed.clear();
        }
        may
    }

    /// Every question at once, when the agent goes away.
    pub(crate) fn take_all(&mut self, now: Instant) -> Vec<PromptId> {
        self.shown = None;
        self.allowed.clear();
        self.stay(OUTCOME_STAYS, now);
        self.open.drain(..).map(|prompt| prompt.id).collect()
    }

    /// Whether nothing is asked.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The question to show, which is shown from now on.
    pub(crate) fn look(&mut self, now: Instant) -> Option<CurrentPrompt> {
        let prompt = self.first()?.clone();
        if self.shown.is_none_or(|(id, _)| id != prompt.id) {
            self.shown = Some((prompt.id, now));
        }
        Some(CurrentPrompt {
            prompt,
            behind: self.open.len().saturating_sub(1),
            guard_ms: u64::try_from(GUARD.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Whether this question has been shown for long enough.
    pub(crate) fn may_approve(&self, id: PromptId, now: Instant) -> Result<(), NotYet> {
        match (self.first(), self.shown) {
            (Some(first), Some((shown, since))) if first.id == id && shown == id => {
                if now.saturating_duration_since(since) < GUARD {
                    Err(NotYet::TooSoon)
                } else {
                    Ok(())
                }
            }
            _ => Err(NotYet::NotShown),
        }
    }

    /// The question that the window shows.
    pub(crate) fn shown(&self) -> Option<PromptId> {
        self.first().map(|prompt| prompt.id)
    }

    fn first(&self) -> Option<&Prompt> {
        let is_touch = |prompt: &&Prompt| matches!(prompt.question, Question::Touch { .. });
        self.open
            .iter()
            .find(is_touch)
            .or_else(|| self.open.first())
    }
}

#[cfg(test)]
mod tests {
    use touchkeep_core::UnixMillis;
    use touchkeep_wire::Approval;

    use super::*;

    fn prompt(question: Question) -> Prompt {
        Prompt {
            id: PromptId::random(),
            number: 1,
            asked: UnixMillis(0),
            deadline: UnixMillis(60_000),
            question,
            asker: None,
        }
    }

    fn approval(touch: bool) -> Prompt {
        prompt(Question::Approval(Approval {
            sentence: "Withdraw 1 BTC".into(),
            operation: "withdraw".into(),
            client: "bot".into(),
            touch,
            digest: "00".into(),
            practice: true,
            ..Approval::default()
        }))
    }

    fn touch() -> Prompt {
        prompt(Question::Touch {
            device: "d".into(),
            why: "w".into(),
            pad: false,
        })
    }

    #[test]
    fn an_approval_counts_only_after_the_guard_and_only_for_what_is_shown() {
        let (mut questions, start) = (Questions::default(), Instant::now());
        let (first, second) = (approval(false), approval(false));
        questions.opened(first.clone());
        questions.opened(second.clone());
        assert_eq!(
            questions.may_approve(first.id, start + GUARD),
            Err(NotYet::NotShown)
        );
        questions.look(start);
        let just_before = start + GUARD - Duration::from_millis(1);
        assert_eq!(
            questions.may_approve(first.id, just_before),
            Err(NotYet::TooSoon)
        );
        assert_eq!(questions.may_approve(first.id, start + GUARD), Ok(()));
        assert_eq!(
            questions.may_approve(second.id, start + GUARD),
            Err(NotYet::NotShown)
        );
    }

    #[test]
    fn looking_again_does_not_begin_the_guard_again() {
        let (mut questions, start) = (Questions::default(), Instant::now());
        let only = approval(false);
        questions.opened(only.clone());
        questions.look(start);
        questions.look(start + GUARD);
        assert_eq!(questions.may_approve(only.id, start + GUARD), Ok(()));
    }

    #[test]
    fn what_comes_back_after_a_touch_has_a_guard_again() {
        let (mut questions, start) = (Questions::default(), Instant::now());
        let (asked, between) = (approval(true), touch());
        questions.opened(asked.clone());
        questions.look(start);
        questions.opened(between.clone());
        assert_eq!(
            questions.look(start + GUARD).map(|now| now.prompt.id),
            Some(between.id)
        );
        assert_eq!(
            questions.may_approve(asked.id, start + GUARD),
            Err(NotYet::NotShown)
        );
        questions.closed(between.id, "done", start + GUARD);
        questions.look(start + GUARD);
        assert_eq!(
            questions.may_approve(asked.id, start + GUARD),
            Err(NotYet::TooSoon)
        );
    }

    #[test]
    fn a_waiting_device_comes_first_and_the_rest_in_order() {
        let (mut questions, now) = (Questions::default(), Instant::now());
        let (first, second, device) = (approval(false), approval(false), touch());
        for prompt in [&first, &second, &device, &second] {
            questions.opened(prompt.clone());
        }
        let mut order = vec![];
        while let Some(current) = questions.look(now) {
            order.push((current.prompt.id, current.behind));
            questions.closed(current.prompt.id, "refused", now);
        }
        assert_eq!(order, [(device.id, 2), (first.id, 1), (second.id, 0)]);
    }

    #[test]
    fn what_was_over_before_it_was_shown_keeps_no_window() {
        let (mut questions, start) = (Questions::default(), Instant::now());
        let (shown, quick) = (approval(false), touch());
        questions.opened(quick.clone());
        assert_eq!(
            questions.closed(quick.id, "done", start),
            Some(Duration::ZERO)
        );
        assert!(questions.may_leave(start));
        // What is read meanwhile stays.
        questions.opened(shown.clone());
        questions.look(start);
        questions.closed(shown.id, "refused", start);
        questions.opened(quick.clone());
        questions.closed(quick.id, "done", start);
        assert!(!questions.may_leave(start));
        assert!(questions.may_leave(start + OUTCOME_STAYS));
        // Who asks nobody from now on takes longer to be read.
        assert_eq!(questions.rests(start), BAD_NEWS_STAYS);
        assert!(!questions.may_leave(start + OUTCOME_STAYS));
    }

    #[test]
    fn the_window_waits_for_what_follows_a_yes() {
        let (mut questions, start) = (Questions::default(), Instant::now());
        let (one, between, other) = (approval(true), touch(), approval(true));
        questions.opened(one.clone());
        questions.look(start);
        assert!(!questions.may_leave(start));
        assert_eq!(
            questions.closed(one.id, "approved", start),
            Some(MORE_COMES)
        );
        assert_eq!(questions.closed(one.id, "approved", start), None);
        questions.opened(between.clone());
        questions.look(start);
        let touched = start + Duration::from_secs(14);
        // Not for as long as a device takes alone: the venue's answer comes after it.
        assert_eq!(
            questions.closed(between.id, "done", touched),
            Some(MORE_COMES)
        );
        assert!(!questions.may_leave(start + MORE_COMES));
        let known = touched + Duration::from_secs(1);
        assert_eq!(questions.went(one.id, false, known), Some(BAD_NEWS_STAYS));
        assert_eq!(questions.went(one.id, true, known), None);
        assert!(!questions.may_leave(known + OUTCOME_STAYS));
        assert!(questions.may_leave(known + BAD_NEWS_STAYS));
        questions.opened(other.clone());
        questions.look(known);
        assert_eq!(
            questions.closed(other.id, "refused", known),
            Some(OUTCOME_STAYS)
        );
        questions.opened(one.clone());
        assert_eq!(questions.take_all(known), [one.id]);
        assert!(questions.is_empty() && questions.shown().is_none());
    }
}
