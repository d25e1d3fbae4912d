//! Whether a webhook's delivery is what its sender signed, and in time.
//!
//! Pure: headers, the body's bytes as they came, a secret and the time in; a verdict with its reason out. Who has seen a
//! delivery before is asked by whoever keeps a memory: [`Genuine::message`] and [`Genuine::id`] are what to remember.
//!
//! What it refuses to do: to read a body before its signature is right, to take one of two headers of a name, to say more
//! of a secret than that it cannot be used.
//!
//! Read in this order: [`Scheme`], [`Presented::read`] (what a delivery shows), [`Key`], [`Presented::judge`].
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests may fail loudly"
    )
)]

mod headers;
mod judge;
mod key;
mod presented;
mod refusal;
mod scheme;

pub use headers::Header;
pub use judge::Genuine;
pub use key::{BadKey, Key};
pub use presented::{MAX_SIGNATURES, Presented};
pub use refusal::Refusal;
pub use scheme::{Scheme, Tolerance};
