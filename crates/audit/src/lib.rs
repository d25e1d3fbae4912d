//! The audit log: rows recorded before the act, a Merkle tree over them, checkpoints, and the verifier.
//!
//! One SQLite file for a vault on a machine. It can be added to while the vault is locked: bodies are encrypted to the audit
//! recipient, and whoever records needs no secret. Every row is a leaf of an RFC 6962 tree; signed checkpoints and the head
//! in each commit of the vault make that a change, a cut or a rewriting of what they cover is found. The format is
//! `docs/formats/audit.md`.
//!
//! It refuses to answer before a row is on disk, to add to a log that is not as it was left, and to sign a head that does not
//! continue the one it signed before. What it cannot do: rows after the last checkpoint can be cut by whoever owns the
//! machine, and a process of the same user can add rows of its own.
//!
//! Read in this order: [`event`] (what is recorded), [`tree`], `row` and `seal` (what a row is), `schema`, `index`, `writer` and
//! `queue` (how it gets to disk), `pen`, [`log`] (the handle), [`checkpoint`], [`list`], `walk` and [`verify`](mod@verify), [`bundle`].

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

pub mod bundle;
pub mod checkpoint;
pub mod error;
pub mod event;
mod index;
pub mod list;
pub mod log;
mod pen;
mod queue;
mod row;
mod schema;
mod seal;
pub mod tree;
pub mod verify;
mod walk;
mod writer;

pub use bundle::{BundleVerdict, verify_bundle};
pub use checkpoint::{Checkpoint, CheckpointSigner};
pub use error::{CheckpointError, OpenError, ReadError, RecordError, VerifyError};
pub use event::{Decision, Event, Kind};
pub use list::{Page, Query, Row};
pub use log::{KEY_TOUCH, Log, Recorded};
pub use row::Seq;
pub use tree::{Hash, Head};
pub use verify::{Verdict, origin, verify};
pub use walk::{Damage, What};
pub use writer::MAX_BODY_BYTES;
