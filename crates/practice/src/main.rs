//! `touchkeep-practice`: a local exchange and a virtual PIV card, so that Touchkeep can be tried, shown and tested
//! without an account and without hardware. It shares no code with the product: what both got wrong in the same way
//! would otherwise look right.
//!
//! Read in this order: `card` (what the key does), `lab` (who vouches for it), `reader` (how pcscd comes to see it), `venue` (the exchange).
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

mod card;
mod lab;
mod reader;
mod venue;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "touchkeep-practice",
    version,
    about = "A local exchange and a virtual PIV card"
)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Serve a practice exchange on this machine.
    Venue(venue::Args),
    /// Put a practice card into a reader of its own.
    Reader(reader::Args),
    /// Write the certificates that attestations of practice cards end at.
    LabCertificates(lab::Args),
}

fn main() -> ExitCode {
    match Cli::parse().what {
        What::Venue(args) => venue::run(args),
        What::Reader(args) => reader::run(args),
        What::LabCertificates(args) => lab::run(&args),
    }
}
