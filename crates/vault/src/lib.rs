//! The vault file on disk: locks, atomic saves, recipients, items and sealed values.
//!
//! [`create()`] makes a vault; [`Locked::open`] reads one and verifies all that needs no key; [`Locked::unlock`] opens it with
//! one operation of a device; [`Unlocked::save`] writes it. The bytes are `touchkeep-container`'s; here are files, keys and
//! recipients, and recipients come from the signed membership chain alone. Nothing here knows of requests, rules or clients.
//!
//! Read in this order: [`Locked`], [`Unlocked`], [`Item`], then `save` and `file`.

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

mod create;
mod crypt;
mod enrolled;
mod error;
mod file;
mod item;
mod locked;
mod pins;
mod readme;
mod save;
mod unlocked;

pub use create::{NewDevice, NewVault, create, create_pinned, environment_name, user_name};
pub use enrolled::EnrolledDevice;
pub use error::VaultError;
pub use file::BACKUPS;
pub use item::{AuthMethod, Item, MAX_FIELD_BYTES, SecretPlace};
pub use locked::Locked;
pub use save::MAX_SEGMENTS;
pub use touchkeep_container::AuditHead;
pub use unlocked::Unlocked;
