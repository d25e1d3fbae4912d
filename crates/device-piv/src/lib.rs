//! YubiKey PIV over PC/SC: VERIFY and use in one transaction.
//!
//! Using keys is our own thin layer over `pcsc`, because a PIN that was verified in one transaction can be gone, or be used
//! by another program, in the next. Making keys, changing PINs and the management key is the `yubikey` crate's: it happens
//! once, with a person beside it.
//!
//! What it refuses: to send a PIN that may be the last try, to keep a PIN, to trust a slot number, to use a vault's key
//! that was not made on the card or has other policies than ours, to return a signature that the exported key does not
//! verify, and to log what goes over the wire. (The `yubikey` crate logs commands, PINs among them, at `log`'s trace level;
//! this workspace speaks `tracing`, and no program of it may install a bridge from `log`.)
//!
//! Read in this order: [`transport`], `apdu`, `card`, `certificate`, `plan`, [`device`], `attested`, `provision`, [`reader`].

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
mod plan;
mod provision;
pub mod reader;
pub mod transport;

pub use attested::NotAttested;
pub use device::{Options, PivDevice};
pub use reader::{Found, list};
