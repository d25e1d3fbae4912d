//! `backup`.

use clap::Subcommand;

use super::number;

#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// The copies that are there. While the vault is open, each is opened, too.
    #[command(after_help = "Examples:\n  touchkeep backup list")]
    List,
    /// Make an older copy the vault again: a touch, or the passphrase. What is the vault now becomes the newest copy. Where that does
    /// not read, the copy is opened with a device, as at unlock.
    #[command(
        after_help = "Examples:\n  touchkeep backup restore 1\n  touchkeep backup restore 1 --device kit"
    )]
    Restore {
        /// Its number: see `touchkeep backup list`.
        #[arg(value_parser = number::whole::<u32>)]
        number: u32,
        /// With which device the copy is opened: its serial number, passphrase, or kit.
        #[arg(long)]
        device: Option<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}
