//! The whole way with a real audit log and a real decision; keys, person and venue are played, because those are ports.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "tests may fail loudly"
)]

mod expiry;
mod limits;
mod numbers;
mod outcomes;
mod played;
mod scene;
mod steps;
mod waiting;
