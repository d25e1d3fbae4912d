//! What was let through before, and the policy that looks back at it, under one lock: deciding and reserving is one step,
//! so that two requests at once never exceed a limit together.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use touchkeep_core::{RequestId, UnixMillis};
use touchkeep_policy::{
    Action, Asked, Past, Policy, Stand, Step, Verdict, Windows, windows::SLACK_MS,
};

use crate::{HistorySource, Standing};

/// The book of what was let through.
#[derive(Debug)]
pub(crate) struct Book(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    policy: Policy,
    windows: Windows,
}

impl Book {
    /// An empty book under [`Policy::by_hand`], which needs no history.
    pub(crate) fn new() -> Self {
        let policy = Policy::by_hand();
        let windows = Windows::empty(&policy, UnixMillis(0), UnixMillis(0));
        Self(Mutex::new(Inner { policy, windows }))
    }

    /// Puts a policy in force, after reading the history that it looks back at. When that cannot be read, everything is
    /// by hand. What is here already stays: it may not be recorded yet.
    pub(crate) fn set_policy<S: HistorySource>(
        &self,
        policy: Policy,
        source: &S,
        now: UnixMillis,
    ) -> Result<(), S::Error> {
        let mut guard = self.lock();
        let Inner {
            policy: in_force,
            windows,
        } = &mut *guard;
        *in_force = Policy::by_hand();
        let from = UnixMillis(now.0.saturating_sub(policy.reach_ms() + SLACK_MS));
        let recorded = source.since(from)?;
        let mut past = windows.drain();
        let known: HashSet<RequestId> = past.iter().map(|act| act.request).collect();
        let new = recorded
            .into_iter()
            .filter(|act| !known.contains(&act.request));
        past.extend(new);
        *windows = Windows::new(&policy, past, from, now);
        *in_force = policy;
        Ok(())
    }

    /// Decides, and reserves what a rule allows.
    pub(crate) fn decide(&self, asked: Asked) -> Verdict {
        let mut guard = self.lock();
        let Inner { policy, windows } = &mut *guard;
        windows.turn(policy, asked.now);
        let act = Past::of(&asked);
        let seen = windows.seen(&asked);
        let verdict = policy.decide(asked, &seen);
        if matches!(verdict, Verdict::Allow(_)) {
            windows.push(policy, act);
        }
        verdict
    }

    /// What would be decided. Reserves nothing.
    pub(crate) fn action(&self, asked: &Asked) -> Option<Action> {
        let mut guard = self.lock();
        let Inner { policy, windows } = &mut *guard;
        windows.turn(policy, asked.now);
        policy.action(asked, &windows.seen(asked)).0
    }

    /// How the limits of the rules stand to a request that a person is asked about, as far as the rule that fits.
    pub(crate) fn standing(&self, asked: &Asked) -> Vec<Standing> {
        let guard = self.lock();
        let Inner { policy, windows } = &*guard;
        let explanation = policy.explain(asked, &windows.seen(asked));
        let of = |step: Step| {
            let rule = policy.rules().get(step.rule)?;
            let doubt = match step.stand {
                Stand::Floor(doubt) => Some(doubt),
                Stand::Fits => None,
                Stand::Not(_) => return None,
            };
            Some(Standing {
                rule: rule.name.clone(),
                doubt,
                limits: step.limits,
                window_hours: rule.window_hours,
            })
        };
        explanation.steps.into_iter().filter_map(of).collect()
    }

    /// Reserves what a person approved.
    pub(crate) fn reserve(&self, act: Past) {
        let mut guard = self.lock();
        let Inner { policy, windows } = &mut *guard;
        windows.push(policy, act);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use touchkeep_venue::{Operation, OperationKind};

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
    const TEN: &str = "[[rule]]\nname = \"ten\"\nkinds = [\"trade\"]\nsymbols = [\"BTCUSDT\"]\nwindow_amount = \"10\"\nwindow_hours = 1\naction = \"allow\"";

    struct Recorded(Vec<Past>);
    impl HistorySource for Recorded {
        type Error = Infallible;
        fn since(&self, since: UnixMillis) -> Result<Vec<Past>, Infallible> {
            Ok(self
                .0
                .iter()
                .filter(|act| act.at >= since)
                .cloned()
                .collect())
        }
    }

    struct Unreadable;
    impl HistorySource for Unreadable {
        type Error = &'static str;
        fn since(&self, _: UnixMillis) -> Result<Vec<Past>, &'static str> {
            Err("unreadable")
        }
    }

    fn asked() -> Asked {
        let mut operation = Operation::new(OperationKind::Trade, "binance", "POST", "/x", "x");
        operation.symbol = Some("BTCUSDT".into());
        operation.amount = "1".parse().ok();
        Asked {
            request: RequestId::random(),
            digest: [0; 32],
            client: "bot".into(),
            key_set: "main".into(),
            operation,
            now: NOW,
        }
    }

    fn allows(book: &Book) -> bool {
        matches!(book.decide(asked()), Verdict::Allow(_))
    }

    #[test]
    fn many_at_once_never_exceed_a_limit_together() {
        let book = Arc::new(Book::new());
        let policy = Policy::parse(TEN).unwrap();
        book.set_policy(policy, &Recorded(Vec::new()), NOW).unwrap();
        let threads: Vec<_> = (0..64)
            .map(|_| {
                let book = Arc::clone(&book);
                std::thread::spawn(move || allows(&book))
            })
            .collect();
        let allowed = threads.into_iter().map(|t| t.join().unwrap());
        assert_eq!(allowed.filter(|allowed| *allowed).count(), 10);
    }

    #[test]
    fn a_person_is_told_how_full_a_window_is() {
        let book = Book::new();
        let asking = TEN.replace("allow", "approve");
        let recorded = Recorded((0..9).map(|_| Past::of(&asked())).collect());
        book.set_policy(Policy::parse(&asking).unwrap(), &recorded, NOW)
            .unwrap();
        let standing = book.standing(&asked());
        assert_eq!(
            (standing[0].rule.as_str(), standing[0].doubt),
            ("ten", None)
        );
        let limit = &standing[0].limits[0];
        assert_eq!(
            (
                limit.most.as_str(),
                limit.so_far.as_deref(),
                limit.adds.as_str()
            ),
            ("10", Some("9"), "1")
        );
        book.reserve(Past::of(&asked()));
        let standing = book.standing(&asked());
        assert_eq!(
            standing[0].doubt,
            Some(touchkeep_policy::Doubt::WindowAmount)
        );
    }

    #[test]
    fn recorded_and_reserved_are_counted_once() {
        let book = Book::new();
        let policy = || Policy::parse(TEN).unwrap();
        let first = asked();
        let recorded = Recorded(
            (0..7)
                .map(|_| Past::of(&asked()))
                .chain([Past::of(&first)])
                .collect(),
        );
        book.reserve(Past::of(&first));
        book.set_policy(policy(), &recorded, NOW).unwrap();
        assert!(
            allows(&book) && allows(&book) && !allows(&book),
            "8 + 2 = 10"
        );
        book.set_policy(policy(), &recorded, NOW).unwrap();
        assert!(!allows(&book));
    }

    #[test]
    fn without_history_everything_is_by_hand() {
        let book = Book::new();
        assert!(
            matches!(book.decide(asked()), Verdict::Ask(_)),
            "before a policy"
        );
        book.set_policy(Policy::parse(TEN).unwrap(), &Recorded(Vec::new()), NOW)
            .unwrap();
        assert!(allows(&book));
        book.set_policy(Policy::parse(TEN).unwrap(), &Unreadable, NOW)
            .unwrap_err();
        assert!(matches!(book.decide(asked()), Verdict::Ask(_)));
    }
}
