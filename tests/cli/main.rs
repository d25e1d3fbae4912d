//! The command line as a script sees it: every document by its published schema, judged by somebody else's validator; exit
//! codes; items from their adding to their end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

mod desk;
mod documents;
mod exits;
mod help;
mod items;
mod policy;
mod questions;
mod secrets;
mod shown;
mod surroundings;
mod unattended;
mod which_vault;
