//! `git`: a vault in a repository.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum GitVerb {
    /// Teach the repository of this folder to merge vaults and to show what changed in them.
    Install {
        /// Which files are vaults, as .gitattributes has it.
        #[arg(long, default_value = "*.touchkeep")]
        pattern: String,
    },
    /// Show items and fields of a vault file, without values. What `git diff` calls.
    Show {
        /// The file.
        path: PathBuf,
    },
    /// Join two copies in the place of the first. What `git merge` calls.
    MergeDriver {
        /// Ours, and the result.
        ours: PathBuf,
        /// Theirs.
        theirs: PathBuf,
    },
}
