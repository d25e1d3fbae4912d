//! What a venue's requests mean, and how they are signed.
//!
//! Pure: bytes in, words and bytes out; no network, no clock, no keys. A request of a client is read once, strictly; what
//! can be read in two ways is refused. What was read is written anew in one canonical form, and those bytes are what is
//! judged, signed and sent.
//!
//! Read in this order: [`operation`], [`request`], [`mod@dialect`], [`mod@venue`], [`form`], [`json`], then a venue:
//! [`binance`] for forms, [`okx`] for JSON. What is common to all of them stands in `reading` (strictness), `said` (what a
//! request says), `table` (dated data) and `drafting` (what is signed).
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

pub mod answer;
pub mod balance;
mod beside;
pub mod clock;
pub mod dialect;
mod drafting;
pub mod dummy;
pub mod form;
pub mod json;
pub mod logins;
pub mod naming;
pub mod operation;
mod reading;
pub mod refusing;
pub mod request;
mod said;
pub mod saved;
pub mod shown;
pub mod stream;
mod table;
mod token;
pub mod venue;
mod venues;

pub use answer::{Answered, Meaning, answered};
pub use balance::{Balance, balance};
pub use dialect::{
    CannotSign, Credential, Decoded, Moment, Outgoing, Part, Place, Private, ToSign, Venue,
};
pub use json::Json;
pub use naming::{asset_names, market_names};
pub use operation::{KeyClass, Operation, OperationKind, Parameter, Side, expiry_name};
pub use refusing::{Reason, refusal};
pub use request::{Request, Unreadable};
pub use saved::{Kept, NotKept, Saved, saved};
pub use shown::{Showing, demo_header};
pub use venue::{
    Algorithm, Counter, Encoding, PublicKeyForm, Scheme, SecretForm, SocketInfo, Transport,
    VenueInfo,
};
pub use venues::{
    backpack, binance, bitfinex, bitget, bitstamp, bybit, coinbase, coinbaseexchange, cryptocom,
    deribit, gate, gemini, htx, hyperliquid, kraken, krakenfutures, kucoin, kucoinfutures, mexc,
    okx, revolutx, robinhood, upbit,
};

/// A venue, by the name that it has in paths, items and rules.
#[must_use]
pub fn venue(id: &str) -> Option<&'static dyn Venue> {
    venues::ALL.iter().copied().find(|venue| venue.id() == id)
}

/// All venues, by name: what each takes, and since when we know.
#[must_use]
pub fn venues() -> Vec<VenueInfo> {
    venues::ALL.iter().map(|venue| venue.info()).collect()
}
