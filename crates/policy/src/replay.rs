//! A policy tried against what happened: which decisions would be others.
//!
//! What the new policy lets through counts for its later decisions, and so does what it asks about and a person said yes to
//! then. What it asks about and nobody said yes to then does not.

use touchkeep_core::UnixMillis;

use crate::{Action, Asked, Past, Policy, Windows, windows::SLACK_MS};

/// A request that was decided about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What was asked, and when.
    pub asked: Asked,
    /// What was done about it.
    pub then: Then,
    /// The rule that decided then, where one did.
    pub rule: Option<String>,
}

/// What was done about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// A rule let it through.
    Allowed,
    /// A person said yes.
    Approved,
    /// A person said yes and touched the device.
    Touched,
    /// A rule denied it, or none let it through.
    Denied,
    /// A person was asked and said no, or nobody answered.
    Refused,
    /// A rule let it through, and it was not signed: nobody typed the PIN, or the device was not there.
    Unsigned,
}

/// What a policy would do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Now {
    /// The action; deny where no rule fits.
    pub action: Action,
    /// The rule that it comes from.
    pub rule: Option<String>,
}

/// How a decision of now is beside the one of then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// The same.
    Same,
    /// Less is asked of anybody.
    Milder,
    /// More is asked of somebody, or it is denied.
    Stricter,
}

/// Tries a policy against what happened, in the order in which it did.
#[derive(Debug)]
pub struct Replay {
    policy: Policy,
    windows: Windows,
}

impl Replay {
    /// Begins with what was let through before the first request, in any order, as far as the policy looks back.
    #[must_use]
    pub fn new(policy: Policy, before: Vec<Past>, since: UnixMillis) -> Self {
        let from = UnixMillis(since.0.saturating_sub(Self::reach_ms(&policy)));
        let windows = Windows::new(&policy, before, from, since);
        Self { policy, windows }
    }

    /// How far back from the first request it must be told what happened.
    #[must_use]
    pub fn reach_ms(policy: &Policy) -> u64 {
        policy.reach_ms() + SLACK_MS
    }

    /// What it would do about the next request.
    pub fn next(&mut self, recorded: &Recorded) -> Now {
        let asked = &recorded.asked;
        self.windows.turn(&self.policy, asked.now);
        let (action, rule) = {
            let seen = self.windows.seen(asked);
            let (action, rule) = self.policy.action(asked, &seen);
            (
                action.unwrap_or(Action::Deny),
                rule.map(|rule| rule.name.clone()),
            )
        };
        let passes = match action {
            Action::Allow | Action::Notify => recorded.then != Then::Unsigned,
            Action::Approve | Action::Touch => recorded.then.passed(),
            Action::Deny => false,
        };
        if passes {
            self.windows.push(&self.policy, Past::of(asked));
        }
        Now { action, rule }
    }
}

impl Then {
    /// Whether it was let through.
    #[must_use]
    pub const fn passed(self) -> bool {
        matches!(self, Self::Allowed | Self::Approved | Self::Touched)
    }

    /// The word for it in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Approved => "approved",
            Self::Touched => "touched",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Unsigned => "unsigned",
        }
    }

    /// How an action of now is beside this. Whoever refused may have been asked for a click or a touch: either is the same.
    #[must_use]
    pub fn beside(self, now: Action) -> Difference {
        let (then, now) = match (self, now) {
            (Self::Refused, Action::Approve | Action::Touch) => return Difference::Same,
            (Self::Refused, now) => (2, rank(now)),
            (Self::Allowed | Self::Unsigned, now) => (0, rank(now)),
            (Self::Approved, now) => (2, rank(now)),
            (Self::Touched, now) => (3, rank(now)),
            (Self::Denied, now) => (4, rank(now)),
        };
        match now.cmp(&then) {
            std::cmp::Ordering::Less => Difference::Milder,
            std::cmp::Ordering::Equal => Difference::Same,
            std::cmp::Ordering::Greater => Difference::Stricter,
        }
    }
}

// The log does not tell a notified person from an untold one.
const fn rank(action: Action) -> u8 {
    match action {
        Action::Allow | Action::Notify => 0,
        Action::Approve => 2,
        Action::Touch => 3,
        Action::Deny => 4,
    }
}
