//! The practice venue: a local exchange that checks what real ones check.
use std::process::ExitCode;

/// What the practice venue listens on.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Serves the practice venue until it is stopped.
pub(crate) fn run(_args: Args) -> ExitCode {
    ExitCode::SUCCESS
}
