//! `audit`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// The newest rows.
    List {
        /// How many.
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: u32,
        /// Rows below this number.
        #[arg(long)]
        before: Option<u64>,
        /// Only this kind; may be repeated.
        #[arg(long)]
        kind: Vec<String>,
    },
    /// Check every row, the tree, the checkpoints and the vault's witness.
    Verify {
        /// A copy of the log instead of the agent's own.
        #[arg(long)]
        file: Option<PathBuf>,
    },
}
