//! Which program may have which value, told by what the kernel says of real processes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

#[path = "../common/mod.rs"]
mod common;

mod ahead;
mod asked;
mod desk;
mod rests;
