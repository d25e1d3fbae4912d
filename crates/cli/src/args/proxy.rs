//! `proxy`.

use std::ffi::OsString;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Proxy {
    /// Let a program use a key set; prints its token once.
    #[command(
        after_help = "Examples:\n  touchkeep proxy add grid-bot\n  touchkeep proxy add report --key-set main --venue kraken --kind read"
    )]
    Add {
        /// Its name.
        name: String,
        #[command(flatten)]
        bounds: Bounds,
        /// No keys at all: it hands over webhooks' deliveries.
        #[arg(long, conflicts_with_all = ["key_set", "venue", "kind"])]
        webhooks: bool,
    },
    /// Let a program do less than before. Its token stays, and what it waits for ends.
    #[command(
        after_help = "What it was is not given back: revoke it, and let it in anew.\n\nExamples:\n  touchkeep proxy bind grid-bot --kind read --kind trade\n  touchkeep proxy bind grid-bot --venue binance"
    )]
    Bind {
        /// Name or id.
        client: String,
        /// Only this venue; may be given again.
        #[arg(long, required_unless_present = "kind")]
        venue: Vec<String>,
        /// Only operations of this kind, as rules name them; may be given again.
        #[arg(long)]
        kind: Vec<String>,
    },
    /// Programs that may use it.
    #[command(after_help = "Examples:\n  touchkeep proxy list\n  touchkeep proxy list --json")]
    List,
    /// End a program's access at once.
    #[command(after_help = "Examples:\n  touchkeep proxy revoke grid-bot")]
    Revoke {
        /// Name or id.
        client: String,
    },
    /// Run a program that may use it until it ends, with dummy keys and addresses in its environment.
    #[command(
        after_help = "The program finds TOUCHKEEP_PROXY_URL, TOUCHKEEP_TOKEN, and for each venue, as for binance: BINANCE_API_KEY, BINANCE_API_SECRET, TOUCHKEEP_BINANCE_URL. The token is worth nothing once it has ended.\n\nExamples:\n  touchkeep proxy exec -- python3 bot.py\n  touchkeep proxy exec --venue kraken --kind read -- ./report\n  touchkeep proxy exec --client grid-bot -- freqtrade trade"
    )]
    Exec(Exec),
}

/// What a client is bound to.
#[derive(Debug, Args)]
pub(crate) struct Bounds {
    /// What it may use.
    #[arg(long, default_value = "main")]
    pub(crate) key_set: String,
    /// Only this venue of it; may be given again.
    #[arg(long)]
    pub(crate) venue: Vec<String>,
    /// Only operations of this kind, as rules name them; may be given again.
    #[arg(long)]
    pub(crate) kind: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// The name that rules and the audit log know it by; the program's own where absent.
    #[arg(long, value_name = "NAME")]
    pub(crate) client: Option<String>,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    /// The program and its arguments, after `--`.
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}
