//! What was let through before, and the policy that looks back at it, under one lock: deciding and reserving is one step,
//! so that two requests at once never exceed a limit together.

use std::{
    collections::HashSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use touchkeep_core::{RequestId, UnixMillis};
use touchkeep_policy::{
    Action, Allowed, ApprovedBy, Asked, History, How, Past, Policy, Stand, Step, Verdict, Windows,
    windows::SLACK_MS,
};

use crate::{HistorySource, Standing};

/// The book of what was let through.
#[derive(Debug)]
pub(crate) struct Book {
    inner: Mutex<Inner>,
    // How often a policy was put in force.
    policies: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    policy: Policy,
    windows: Windows,
}

/// What the rules say by now of something that they, or a person by them, had allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stricter {
    /// What is to be done about it now.
    pub(crate) action: Action,
    /// The rule that says so, where one does.
    pub(crate) rule: Option<String>,
}

/// What a rule let through, until it is recorded; given back where it never is, so that no limit fills with what was not done.
#[derive(Debug)]
pub(crate) struct Reserved<'a> {
    book: &'a Book,
    request: RequestId,
    stays: bool,
}

impl Reserved<'_> {
    /// It is about to be recorded.
    pub(crate) fn stays(mut self) {
        self.stays = true;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if !self.stays {
            self.book.lock().windows.take_back(self.request);
        }
    }
}

impl Book {
    /// An empty book under [`Policy::by_hand`], which needs no history.
    pub(crate) fn new() -> Self {
        let policy = Policy::by_hand();
        let windows = Windows::empty(&policy, UnixMillis(0), UnixMillis(0));
        Self {
            inner: Mutex::new(Inner { policy, windows }),
            policies: AtomicU64::new(0),
        }
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
        self.policies.fetch_add(1, Ordering::SeqCst);
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

    /// What the rules do where nothing was let through before.
    pub(crate) fn as_the_first(&self, asked: &Asked) -> Action {
        let guard = self.lock();
        let action = guard.policy.action(asked, &History::default()).0;
        action.unwrap_or(Action::Deny)
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

    /// How often a policy was put in force.
    pub(crate) fn policies(&self) -> u64 {
        self.policies.load(Ordering::SeqCst)
    }

    /// What was reserved for a request that a rule let through.
    pub(crate) const fn reserved(&self, request: RequestId) -> Reserved<'_> {
        Reserved {
            book: self,
            request,
            stays: false,
        }
    }

    /// Reserves what was allowed, if the rules still have it so: while it waited for somebody they may have been replaced, and
    /// others may have used up what they limit. What was reserved for it before is not counted twice.
    ///
    /// # Errors
    /// What the rules say now, where that is stricter than how it was allowed. Nothing is reserved then.
    pub(crate) fn reserve(&self, asked: &Asked, allowed: &Allowed) -> Result<(), Stricter> {
        let mut guard = self.lock();
        guard.judge_again(asked, allowed.how(), allowed.rule())?;
        let Inner { policy, windows } = &mut *guard;
        windows.push(policy, Past::of(asked));
        Ok(())
    }

    /// Whether the rules still have it so of what is recorded already, and counts whatever becomes of it.
    ///
    /// # Errors
    /// What the rules say now, where that is stricter than how it was allowed.
    pub(crate) fn holds(&self, asked: &Asked, how: How, rule: &str) -> Result<(), Stricter> {
        let mut guard = self.lock();
        let judged = guard.judge_again(asked, how, rule);
        let Inner { policy, windows } = &mut *guard;
        windows.push(policy, Past::of(asked));
        judged
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    // As if it had not been there yet; what was reserved for it is taken out.
    fn judge_again(&mut self, asked: &Asked, how: How, by: &str) -> Result<(), Stricter> {
        let Self { policy, windows } = self;
        windows.take_back(asked.request);
        windows.turn(policy, asked.now);
        let (action, rule) = policy.action(asked, &windows.seen(asked));
        let action = action.unwrap_or(Action::Deny);
        let rule = rule.map(|rule| rule.name.as_str());
        if !is_enough(how, by, action, rule) {
            let rule = rule.map(str::to_owned);
            return Err(Stricter { action, rule });
        }
        Ok(())
    }
}

// Whether how one rule had it allowed is as much as is wanted for it now. A yes for a time is to what one rule asks about.
fn is_enough(how: How, by: &str, wanted: Action, of: Option<&str>) -> bool {
    let most = match how {
        How::Rule | How::RuleAndNotify => Action::Notify,
        How::Approved(ApprovedBy::Click) => Action::Approve,
        How::Approved(ApprovedBy::Grant(_)) if of == Some(by) => Action::Approve,
        How::Approved(ApprovedBy::Grant(_)) => Action::Notify,
        How::Approved(ApprovedBy::KeyTouch | ApprovedBy::Touch(_) | ApprovedBy::Passphrase(_)) => {
            Action::Touch
        }
    };
    wanted <= most
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use touchkeep_core::{DeviceId, Id};
    use touchkeep_policy::Approval;
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
        approved(&book, asked()).unwrap();
        let standing = book.standing(&asked());
        assert_eq!(
            standing[0].doubt,
            Some(touchkeep_policy::Doubt::WindowAmount)
        );
    }

    // A person's click, whatever it was asked for by.
    fn approved(book: &Book, asked: Asked) -> Result<(), Stricter> {
        let by_click = "[[rule]]\nname = \"ten\"\nkinds = [\"trade\"]\naction = \"approve\"";
        allowed_by(book, asked, by_click, ApprovedBy::Click)
    }

    fn allowed_by(book: &Book, asked: Asked, rules: &str, by: ApprovedBy) -> Result<(), Stricter> {
        let policy = Policy::parse(rules).unwrap();
        let Verdict::Ask(asks) = policy.decide(asked.clone(), &History::default()) else {
            panic!("it is asked about");
        };
        let digest = *asks.digest();
        book.reserve(&asked, &asks.approve(Approval { digest, by }).unwrap())
    }

    #[test]
    fn what_was_allowed_holds_as_long_as_the_rules_ask_for_no_more() {
        let book = Book::new();
        let nothing = || Recorded(Vec::new());
        let set = |action: &str| {
            let policy = Policy::parse(&TEN.replace("allow", action)).unwrap();
            book.set_policy(policy, &nothing(), NOW).unwrap();
        };
        let (click, grant) = (ApprovedBy::Click, ApprovedBy::Grant(Id::random()));
        let touch = ApprovedBy::Touch(DeviceId::random());
        let ten = TEN.replace("allow", "approve");
        let other = ten.replace("ten", "other");
        let touched = TEN.replace("allow", "touch");
        for (now, by, holds) in [
            ("allow", click, true),
            ("approve", click, true),
            ("touch", click, false),
            ("touch", touch, true),
            ("allow", grant, true),
            ("approve", grant, true),
            ("touch", grant, false),
        ] {
            set(now);
            let rules = if by == touch { &touched } else { &ten };
            let reserved = allowed_by(&book, asked(), rules, by);
            assert_eq!(reserved.is_ok(), holds, "{now} {by:?}");
        }
        set("approve");
        let of_another_rule = allowed_by(&book, asked(), &other, grant);
        assert!(of_another_rule.is_err(), "a grant is of one rule");
        let denied = TEN
            .replace("allow", "deny")
            .replace("window_amount = \"10\"\nwindow_hours = 1\n", "");
        book.set_policy(Policy::parse(&denied).unwrap(), &nothing(), NOW)
            .unwrap();
        assert!(allowed_by(&book, asked(), &touched, touch).is_err());
    }

    #[test]
    fn what_is_not_recorded_is_given_back() {
        let book = Book::new();
        book.set_policy(Policy::parse(TEN).unwrap(), &Recorded(Vec::new()), NOW)
            .unwrap();
        for _ in 0..20 {
            let one = asked();
            let request = one.request;
            assert!(matches!(book.decide(one), Verdict::Allow(_)));
            drop(book.reserved(request));
        }
        for _ in 0..10 {
            let one = asked();
            let request = one.request;
            assert!(matches!(book.decide(one), Verdict::Allow(_)));
            book.reserved(request).stays();
        }
        assert!(!allows(&book));
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
        // It was let through by hand, and is in the log by now.
        book.lock()
            .windows
            .push(&Policy::by_hand(), Past::of(&first));
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
