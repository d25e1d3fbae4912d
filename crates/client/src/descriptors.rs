//! Whether there are open files enough to begin with.
//!
//! # Why
//! The runtime panics where it cannot have the descriptors for its signals. So it is asked before, and fails like anything else.

use std::io;

use rustix::{io::dup, stdio};

/// What the runtime opens before it runs anything.
const WANTED: usize = 6;

/// Fails where this process may not open what the runtime needs.
///
/// # Errors
/// As `open` would.
pub fn check() -> io::Result<()> {
    let held: Result<Vec<_>, _> = (0..WANTED).map(|_| dup(stdio::stderr())).collect();
    held.map(drop).map_err(io::Error::from)
}
