//! A person's word on a request: what a forged one is worth, how often one counts, what it may be remembered for, and what a
//! hostile text can do to whoever reads it. Real binaries, a real exchange, a terminal of its own, and a forger who shares
//! no code with us.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

mod desk;
mod forged;
mod queue;
mod remembered;
mod rests;
mod shown;
mod terminal;
mod typed;
