//! YubiKey PIV over PC/SC: VERIFY and use in one transaction.
//!
//! A thin layer of our own over `pcsc`: a PIN that was verified in one transaction can be gone, or be used by another
//! program, in the next, so whatever needs a PIN is one transaction and sends it once.
//!
//! What it refuses: to send a PIN or PUK that may be the last try, to keep a PIN, to trust a slot number, to use a vault's
//! key that was not made on the card or has other policies than ours, to return a signature that the exported key does not
//! verify, and to log what goes over the wire.
//!
//! Read in this order: [`transport`], `apdu`, `card`, `objects`, `reference`, `certificate`, `plan`, `held`, [`device`], `sign`, [`pin`],
//! `attested`, [`management`], `provision`, [`limits`], [`mod@inspect`], [`holders`], `turn`, [`reader`].

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

mod apdu;
mod attested;
mod ber;
mod card;
mod certificate;
pub mod device;
mod held;
pub mod holders;
pub mod inspect;
pub mod limits;
pub mod management;
mod objects;
pub mod pin;
mod plan;
mod provision;
pub mod reader;
mod reference;
mod sign;
pub mod transport;
mod turn;

pub use attested::{Judged, NotAttested};
pub use certificate::Origin;
pub use device::{Options, PivDevice};
pub use inspect::{Holds, Inspection, SlotReport, inspect};
pub use management::Keeping;
pub use pin::{PinState, may_become};
pub use reader::{Found, Presence, Service, find, is_still, list, presence};
pub use reference::Tries;
