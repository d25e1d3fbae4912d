//! `env`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Env {
    /// The environments that are open to you.
    #[command(after_help = "Examples:\n  touchkeep env list\n  touchkeep env list --json")]
    List,
    /// Make an environment: a touch, or the passphrase.
    #[command(
        after_help = "Examples:\n  touchkeep env add testnet\n  touchkeep add trade -e testnet --venue binance --class trade --api-key KEY"
    )]
    Add {
        /// Its name.
        name: String,
    },
    /// Give an environment another name. References by the old name end.
    #[command(after_help = "Examples:\n  touchkeep env rename prod production")]
    Rename {
        /// Name or id.
        environment: String,
        /// The new name.
        name: String,
    },
}
