//! What a disk, a crash, a copy or another program can do to a vault, tried on purpose and counted.
//!
//! `./dev test` tries a bounded sample of each, drawn from a seed; with `TOUCHKEEP_SOAK=<multiplier>` everything is tried, and
//! with `TOUCHKEEP_TALLY=<folder>` each campaign writes down what it did: `tests/soak` makes `docs/reliability.md` of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests may fail loudly, and campaigns say what they did"
)]

#[path = "../common/mod.rs"]
mod common;

mod calls;
mod damage;
mod limits;
mod operation;
mod oracle;
mod power;
mod scene;
mod storage;
mod strike;
mod tally;
mod writers;
