//! What a venue's requests mean, and how they are signed.
//!
//! Pure: bytes in, words and bytes out; no network, no clock, no keys. A request of a client is read once, strictly; what
//! can be read in two ways is refused. What was read is written anew in one canonical form, and those bytes are what is
//! judged, signed and sent.
//!
//! Read in this order: [`operation`], [`request`], [`mod@dialect`], [`form`], [`binance`].
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

pub mod binance;
pub mod dialect;
pub mod form;
pub mod operation;
pub mod request;

pub use dialect::{Decoded, Dialect, Outgoing, Private, SignatureForm, ToSign};
pub use operation::{KeyClass, Operation, OperationKind, Parameter, Side};
pub use request::{Request, Unreadable};

/// The dialect of a venue, by the name that it has in paths, items and rules.
#[must_use]
pub fn dialect(venue: &str) -> Option<&'static dyn Dialect> {
    match venue {
        binance::VENUE => Some(&binance::Binance),
        _ => None,
    }
}
