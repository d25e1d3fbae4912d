//! What a disk, a crash, a clock, other processes or the owner of the machine can do to a log, tried on purpose and counted.
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

#[path = "../support/mod.rs"]
mod support;
#[allow(
    dead_code,
    reason = "shared with the campaigns against the vault, which use more of it"
)]
#[path = "../../../vault/tests/faults/tally.rs"]
mod tally;

mod calls;
mod child;
mod clock;
mod owner;
mod writers;
