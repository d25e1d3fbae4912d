//! `git`: a vault in a repository.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum GitVerb {
    /// Teach the repository of this folder to merge vaults and to show what changed in them.
    #[command(
        after_help = "Examples:\n  touchkeep git install\n  touchkeep git install --pattern 'secrets/*.touchkeep'"
    )]
    Install {
        /// Which files are vaults, as .gitattributes has it.
        #[arg(long, default_value = "*.touchkeep")]
        pattern: String,
    },
    /// Show items and fields of a vault file, without values. What `git diff` calls.
    #[command(after_help = "Examples:\n  touchkeep git show team.touchkeep")]
    Show {
        /// The file.
        path: PathBuf,
    },
    /// Join two copies in the place of the first. What `git merge` calls.
    #[command(
        after_help = "Examples:\n  touchkeep git merge-driver ours.touchkeep theirs.touchkeep"
    )]
    MergeDriver {
        /// Ours, and the result.
        ours: PathBuf,
        /// Theirs.
        theirs: PathBuf,
    },
}
