//! `policy`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Print the policy.
    Show,
    /// Replace the policy: a touch, or the passphrase.
    Set {
        /// A TOML file; `-` for stdin.
        file: PathBuf,
    },
}
