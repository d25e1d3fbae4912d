//! The bytes of a vault file: strict tar, signed notes, membership, commits, operations.
//!
//! Pure: bytes in, bytes out; no files, no clock, no keys that are secret. What is not exactly in this format is refused,
//! with the reason; the normative page is `docs/formats/vault.md`. Nothing here decrypts: members with the suffix `.age`
//! are bytes whose hash is signed for.
//!
//! Read in this order: [`tar`], [`note`], [`name`], [`statement`], [`link`], [`membership`],
//! [`chain`], [`commit`], [`past`], [`history`], [`container`];
//! then [`op`] and [`state`] for what is inside the ciphertext.

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

pub mod chain;
mod check;
pub mod commit;
pub mod container;
pub mod hash;
pub mod history;
pub mod link;
pub mod membership;
pub mod name;
pub mod note;
pub mod op;
pub mod past;
pub mod state;
pub mod statement;
pub mod tar;
#[cfg(test)]
pub(crate) mod testing;
pub mod words;

pub use chain::Chain;
pub use commit::{AuditHead, Commit};
pub use container::{Container, ContainerError, LivePart, NewCommit};
pub use hash::Hash;
pub use history::{Entry, History};
pub use link::{Change, Genesis};
pub use membership::{EnrolledDevice, Membership, MembershipError};
pub use name::{MemberName, Part};
pub use note::{Note, NoteError, NoteSignature, VerifyKey};
pub use op::{Edit, HybridClock, Op, Text, Value};
pub use state::{ReadPart, SECRET_FIELD, SECRET_PREFIX, State, is_secret_field};
pub use statement::{DeviceKey, Statement};
