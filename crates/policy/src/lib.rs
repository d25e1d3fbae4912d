//! Rules, history and time in; verdict out.
//!
//! Pure: no clock, no files, no async, so that a decision can be replayed from the audit log. What was decided is a value
//! that only this crate can make: whoever signs must hold an [`Allowed`], and nobody can make or copy one.
//!
//! Read in this order: [`verdict`].

pub mod verdict;

pub use verdict::{
    Allowed, Approval, ApprovedBy, Denied, DenyReason, How, Mismatch, Need, NeedsApproval, Verdict,
};
