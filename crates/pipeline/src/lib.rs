//! The one way from a request to a signature: decode, choose the key, decide, ask, record, sign, send, record how it went.
//!
//! Nothing else in this program signs a request. Each step leaves a value that the next one takes away: a
//! [`touchkeep_policy::Verdict`] becomes an `Allowed`, the audit log turns that into a `Recorded`, and signing consumes it.
//! Whatever fails, fails on the side of not signing. What the agent must lend is small traits in [`ports`].
//!
//! Read in this order: [`pipeline`], [`ports`], [`error`], [`private_key`], then the private `book` (what was let through before), `sign` and
//! `turns`.
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

mod book;
mod end;
pub mod error;
mod kept;
mod outcome;
pub mod pipeline;
pub mod ports;
pub mod private_key;
mod repeats;
mod seldom;
mod sign;
mod turns;

pub use end::End;
pub use error::{KeyError, NotDone, NotSigned, SendError, Unasked};
pub use outcome::Outcome;
pub use pipeline::{
    Client, Done, Incoming, KEY_SET, LET_THROUGH, LoggedIn, LoginTurn, NOT_SIGNED, Pipeline,
    SAVED_ADDRESS, Settings, past_of,
};
pub use ports::{
    Answer, Answering, Approver, Consent, DeviceJob, HistorySource, KeyHandle, Keys, Named,
    Question, Signer, Standing, Upstream, Went,
};
pub use repeats::Again;
pub use turns::{Series, Turns};
