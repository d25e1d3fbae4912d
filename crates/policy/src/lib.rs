//! Rules, history and time in; verdict out.
//!
//! Pure: no clock, no files, no async, so that a decision can be replayed from the audit log. What was decided is a value
//! that only this crate can make: whoever signs must hold an [`Allowed`], and nobody can make or copy one.
//!
//! Read in this order: [`rule`], [`decide`], [`verdict`], [`history`] (what limits mean), [`windows`] (the same, kept as time
//! goes on), [`digest`]; then what is for people: [`check`], [`explain`], [`compare`], [`replay`], [`starting`].
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::float_arithmetic,
        reason = "tests may fail loudly"
    )
)]

pub mod check;
pub mod compare;
pub mod decide;
pub mod digest;
pub mod explain;
pub mod history;
pub mod hours;
mod index;
mod names;
pub mod replay;
pub mod rule;
pub mod starting;
pub mod usage;
pub mod verdict;
pub mod windows;

pub use check::{Finding, Strange, misspelt_at};
pub use compare::{Differences, KindChange};
pub use decide::{Asked, Doubt, Misfit, Stand};
pub use digest::request_digest;
pub use explain::{Explanation, Limit, Step};
pub use history::{Before, History, Past, Sums};
pub use names::is_named;
pub use replay::{Difference, Now, Recorded, Replay, Then};
pub use rule::{Action, BadPolicy, Per, Policy, Rule};
pub use starting::Starting;
pub use usage::Usage;
pub use verdict::{
    Allowed, Approval, ApprovedBy, Denied, DenyReason, How, Mismatch, Need, NeedsApproval, Refusal,
    Verdict,
};
pub use windows::{Seen, Windows};
