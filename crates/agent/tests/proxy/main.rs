//! A bot's requests on their way through the real agent to a venue: what arrives, what does not, and what the log says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

#[path = "../common/mod.rs"]
mod common;

mod arrives;
mod asked;
mod desk;
mod locks;
mod log;
mod rules;
