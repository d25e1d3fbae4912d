//! The vault file on disk: locks, atomic saves, recipients, items and sealed values.
//!
//! [`create()`] makes a vault; [`Locked::open`] reads one and verifies all that needs no key; [`Locked::unlock`] opens it with
//! one operation of a device; [`Unlocked::save`] writes it. The bytes are `touchkeep-container`'s; here are files, keys and
//! recipients, and recipients come from the signed membership chain alone. Nothing here knows of requests, rules or clients.
//!
//! Read in this order: [`Locked`], [`Unlocked`], [`Item`], `opened`, `save`, `fold`, `file`; then `govern` for devices, members and
//! environments, and `backup` for the way back.

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

mod apart;
mod backup;
mod branches;
mod create;
mod crypt;
mod enrolled;
mod error;
mod file;
mod find;
mod fold;
mod foreign;
mod govern;
mod hand;
mod item;
mod locked;
pub mod one_time;
mod opened;
mod pins;
mod readme;
mod save;
mod seal;
mod stamp;
mod taken_in;
mod typed;
mod unlocked;
mod versions;

pub use apart::{Apart, SetAside};
pub use backup::{Backup, backups, danger_restore, merge_into};
pub use branches::{Branch, BranchLink, Undone};
pub use create::{NewDevice, NewVault, create, create_pinned, environment_name, user_name};
pub use enrolled::{EnrolledDevice, SealClass};
pub use error::VaultError;
pub use file::{BACKUPS, wait_for_others};
pub use fold::MAX_SEGMENTS;
pub use foreign::container_of;
pub use govern::{Newcomer, Proposal, Retired};
pub use hand::Hand;
pub use item::{
    AuthMethod, FurtherSecret, Item, ItemKind, MAX_EXTRA_FIELDS, MAX_FIELD_BYTES, MAX_NAME_BYTES,
    MAX_TAGS, SecretPlace,
};
pub use locked::Locked;
pub use pins::ReadOnly;
pub use taken_in::TakenIn;
pub use touchkeep_container::{AuditHead, SECRET_FIELD};
pub use typed::{EXPIRES, FieldType, Misfit};
pub use unlocked::Unlocked;
pub use versions::{MAX_VERSIONS, Version};
