//! The values that a decision leaves behind.
//!
//! Nobody else can make an [`Allowed`]:
//! ```compile_fail,E0451
//! use touchkeep_policy::{Allowed, How};
//! fn forge(allowed: Allowed) -> Allowed {
//!     Allowed { how: How::Rule, ..allowed }
//! }
//! ```
//! and nobody can use one twice:
//! ```compile_fail,E0382
//! fn sign(_: touchkeep_policy::Allowed) {}
//! fn twice(allowed: touchkeep_policy::Allowed) {
//!     sign(allowed);
//!     sign(allowed);
//! }
//! ```
//! ```compile_fail,E0599
//! fn copy(allowed: &touchkeep_policy::Allowed) -> touchkeep_policy::Allowed {
//!     Clone::clone(allowed);
//!     allowed.clone()
//! }
//! ```
//! An approval cannot be given twice, because the question is spent with it:
//! ```compile_fail,E0382
//! fn twice(question: touchkeep_policy::NeedsApproval, yes: touchkeep_policy::Approval) {
//!     let _once = question.approve(yes);
//!     let _again = question.approve(yes);
//! }
//! ```
//! ```compile_fail,E0599
//! fn copy(question: touchkeep_policy::NeedsApproval) { let _copy = question.clone(); }
//! ```
//! An approval is good for the one request whose digest it names, and a wrong one spends the question:
//! ```
//! # use touchkeep_policy::*;
//! # use touchkeep_core::{RequestId, UnixMillis};
//! # use touchkeep_venue::{Operation, OperationKind};
//! # let asked = || Asked {
//! #     request: RequestId::random(), digest: [1; 32], client: "bot".into(), key_set: "main".into(), now: UnixMillis(0),
//! #     operation: Operation::new(OperationKind::Trade, "binance", "POST", "/api/v3/order", "place order"),
//! # };
//! let policy = Policy::starting();
//! let Verdict::Ask(question) = policy.decide(asked(), &History::default()) else { panic!() };
//! let other = Approval { digest: [2; 32], by: ApprovedBy::Click };
//! assert_eq!(question.approve(other).unwrap_err(), Mismatch::OtherRequest);
//!
//! let Verdict::Ask(question) = policy.decide(asked(), &History::default()) else { panic!() };
//! let same = Approval { digest: [1; 32], by: ApprovedBy::Click };
//! assert_eq!(question.approve(same).unwrap().digest(), &[1; 32]);
//! ```

use serde::{Deserialize, Serialize};
use touchkeep_core::{DeviceId, Id, RequestId};
use touchkeep_venue::Operation;

use crate::Doubt;

/// What was decided about one request.
#[derive(Debug)]
pub enum Verdict {
    /// A rule lets it through.
    Allow(Allowed),
    /// A person is to be asked.
    Ask(NeedsApproval),
    /// No.
    Deny(Denied),
}

/// One request is allowed, once. Private fields, not `Clone`: only this crate makes one, and signing takes it away.
#[derive(Debug)]
#[must_use]
pub struct Allowed {
    subject: Subject,
    rule: String,
    how: How,
}

/// A person must approve it first.
#[derive(Debug)]
#[must_use]
pub struct NeedsApproval {
    subject: Subject,
    rule: String,
    need: Need,
}

/// It may not be done.
#[derive(Debug)]
#[must_use]
pub struct Denied {
    subject: Subject,
    rule: Option<String>,
    reason: DenyReason,
    doubted: Option<(String, Doubt)>,
}

impl Verdict {
    pub(crate) fn allow(subject: Subject, rule: String, notify: bool) -> Self {
        let how = if notify {
            How::RuleAndNotify
        } else {
            How::Rule
        };
        Self::Allow(Allowed { subject, rule, how })
    }

    pub(crate) fn ask(subject: Subject, rule: String, need: Need) -> Self {
        Self::Ask(NeedsApproval {
            subject,
            rule,
            need,
        })
    }

    pub(crate) fn deny(
        subject: Subject,
        rule: Option<String>,
        doubted: Option<(String, Doubt)>,
    ) -> Self {
        let reason = match rule {
            Some(_) => DenyReason::Rule,
            None => DenyReason::NoRule,
        };
        Self::Deny(Denied {
            subject,
            rule,
            reason,
            doubted,
        })
    }
}

// The one request that a verdict is about.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) request: RequestId,
    pub(crate) digest: [u8; 32],
    pub(crate) operation: Operation,
}

/// How a request came to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// By a rule.
    Rule,
    /// By a rule that wants a person to be told.
    RuleAndNotify,
    /// By a person.
    Approved(ApprovedBy),
}

/// What a person must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Read it and say yes.
    Click,
    /// Read it, say yes, and touch the device (on a software device: type the passphrase), for this request alone.
    Touch,
}

/// What a person did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovedBy {
    /// Said yes in a front end. Another process of the same user can forge this.
    Click,
    /// Said yes, and the key that signs waits for a touch at each use, so the signature itself is the proof.
    KeyTouch,
    /// Said yes and touched this device.
    Touch(DeviceId),
    /// Said yes and typed the passphrase of this software device.
    Passphrase(DeviceId),
    /// Said yes to an earlier request, and to those like it for a time: by this grant. Never enough where a touch is needed.
    Grant(Id),
}

/// A person's yes to what was shown: the digest says to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval {
    /// The digest of the request that the person read.
    pub digest: [u8; 32],
    /// What the person did.
    pub by: ApprovedBy,
}

/// The approval does not cover this request. The request is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// It was given for another request.
    #[error("the approval was given for another request")]
    OtherRequest,
    /// A click, where a touch is needed.
    #[error("a click is not enough, this needs the device's touch or the passphrase")]
    NotTouched,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DenyReason {
    /// A rule says so.
    Rule,
    /// No rule says anything else.
    NoRule,
    /// A person refused.
    Refused,
    /// Nobody answered in time.
    TimedOut,
}

/// How a question ended without a yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A person refused.
    Person,
    /// Nobody answered in time, or nobody was there to ask.
    Deadline,
}

impl Allowed {
    /// The request.
    #[must_use]
    pub const fn request(&self) -> RequestId {
        self.subject.request
    }

    /// The digest of what may be signed.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.subject.digest
    }

    /// What it does.
    #[must_use]
    pub const fn operation(&self) -> &Operation {
        &self.subject.operation
    }

    /// The name of the rule that decided.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// How it came to be allowed.
    #[must_use]
    pub const fn how(&self) -> How {
        self.how
    }
}

impl NeedsApproval {
    /// The request.
    #[must_use]
    pub const fn request(&self) -> RequestId {
        self.subject.request
    }

    /// The digest that an approval must name.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.subject.digest
    }

    /// What it does.
    #[must_use]
    pub const fn operation(&self) -> &Operation {
        &self.subject.operation
    }

    /// The name of the rule that decided.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// What a person must do.
    #[must_use]
    pub const fn need(&self) -> Need {
        self.need
    }

    /// Takes a person's approval. Consumes the question whatever the answer: a wrong approval cannot be tried again.
    ///
    /// # Errors
    /// When it was given for another request, or is less than what is needed.
    pub fn approve(self, approval: Approval) -> Result<Allowed, Mismatch> {
        if approval.digest != self.subject.digest {
            return Err(Mismatch::OtherRequest);
        }
        let touched = !matches!(approval.by, ApprovedBy::Click | ApprovedBy::Grant(_));
        let granted = matches!(approval.by, ApprovedBy::Grant(_));
        let dangerous = self.subject.operation.kind.is_dangerous();
        if (self.need == Need::Touch && !touched) || (granted && dangerous) {
            return Err(Mismatch::NotTouched);
        }
        Ok(Allowed {
            subject: self.subject,
            rule: self.rule,
            how: How::Approved(approval.by),
        })
    }

    /// A person or the deadline refused.
    pub fn refuse(self, refusal: Refusal) -> Denied {
        Denied {
            subject: self.subject,
            rule: Some(self.rule),
            reason: match refusal {
                Refusal::Person => DenyReason::Refused,
                Refusal::Deadline => DenyReason::TimedOut,
            },
            doubted: None,
        }
    }
}

impl Denied {
    /// The request.
    #[must_use]
    pub const fn request(&self) -> RequestId {
        self.subject.request
    }

    /// The digest of what was asked for.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.subject.digest
    }

    /// What it would have done.
    #[must_use]
    pub const fn operation(&self) -> &Operation {
        &self.subject.operation
    }

    /// The name of the rule that decided, where one did.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> DenyReason {
        self.reason
    }

    /// The first rule that does not deny such a request and yet did not fit this one, and why: its limit is full, or the
    /// request leaves out what it is limited by.
    #[must_use]
    pub fn doubted(&self) -> Option<(&str, Doubt)> {
        let (rule, doubt) = self.doubted.as_ref()?;
        Some((rule, *doubt))
    }
}
