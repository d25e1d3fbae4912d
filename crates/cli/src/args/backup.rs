//! `backup`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// The copies that are there. While the vault is open, each is opened, too.
    #[command(after_help = "Examples:\n  touchkeep backup list")]
    List,
    /// Make an older copy the vault again: a touch, or the passphrase. What is the vault now becomes the newest copy.
    #[command(after_help = "Examples:\n  touchkeep backup restore 1")]
    Restore {
        /// Its number: see `touchkeep backup list`.
        number: u32,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}
