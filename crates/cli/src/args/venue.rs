//! `venue`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Venue {
    /// Venues that requests are signed for, and what their keys can be.
    #[command(after_help = "Examples:\n  touchkeep venue list\n  touchkeep venue list --json")]
    List,
    /// One venue: its keys, its limits, and what a holder of its keys should know.
    #[command(after_help = "Examples:\n  touchkeep venue show kraken")]
    Show {
        /// Its name, as in `touchkeep venue list`.
        venue: String,
    },
}
