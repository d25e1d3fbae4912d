//! The agent's log, on standard error. It holds events and errors, never a request's body, query, token or secret.

use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, filter::filter_fn, prelude::*};

/// Which variable says how much is logged (syntax of `RUST_LOG`).
const VARIABLE: &str = "TOUCHKEEP_LOG";

// Crates that log what we never may: `yubikey` every APDU with the PIN in VERIFY, `hyper` headers and bodies.
const CAPPED: &[&str] = &[
    "yubikey",
    "pcsc",
    "cryptoki",
    "hyper",
    "hyper_util",
    "rustls",
    "age",
];

/// Starts logging, where the program has not done so by itself. Some crates stay at `info` whatever is asked for.
pub(crate) fn start() {
    let wanted = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    // A program that has its own subscriber keeps it.
    let _ = tracing_subscriber::registry()
        .with(wanted)
        .with(filter_fn(may_log))
        .with(lines)
        .try_init();
}

fn may_log(meta: &Metadata<'_>) -> bool {
    let root = meta.target().split("::").next().unwrap_or_default();
    *meta.level() <= Level::INFO || !CAPPED.contains(&root)
}
