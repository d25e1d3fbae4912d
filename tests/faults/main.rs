//! What can go wrong between a bot's request and the venue's answer, made to go wrong with the real programs, and counted.
//!
//! `./dev test` tries a bounded sample of each campaign, drawn from a seed; with `TOUCHKEEP_SOAK=<multiplier>` everything is
//! tried, and with `TOUCHKEEP_TALLY=<folder>` each campaign writes down what it did: `tests/soak` makes `docs/reliability.md` of
//! it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests may fail loudly, and campaigns say what they did"
)]

#[allow(
    dead_code,
    reason = "shared with the campaigns against the vault, which use more of it"
)]
#[path = "../../crates/vault/tests/faults/tally.rs"]
mod tally;

mod again;
mod answers;
mod bytes;
mod desk;
mod disk;
mod kills;
mod odd;
mod page;
mod process;
mod pulled;
mod restarts;
