//! `policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::number;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Print the policy.
    #[command(
        after_help = "Examples:\n  touchkeep policy show > policy.toml\n  touchkeep policy show --json"
    )]
    Show,
    /// What is wrong or strange about a policy. Needs no open vault where a file is given.
    #[command(
        after_help = "Finds rules that nothing reaches, rules that nothing fits, rules that let through what an earlier one limits, unknown venues, markets as no venue writes them, and, while the vault is open, unknown clients and key sets. Ends with 1 when there is something.\n\nExamples:\n  touchkeep policy check policy.toml\n  touchkeep policy check                     the policy in force"
    )]
    Check {
        /// A TOML file; `-` for stdin; the policy in force where absent.
        file: Option<PathBuf>,
    },
    /// Which rule decides about a request, why each earlier one does not, and what its limits have left.
    #[command(
        after_help = "A request is described, or is the one in a row of the audit log. Nothing is signed, and nothing counts.\n\nExamples:\n  touchkeep policy explain --kind trade --symbol BTCUSDT --side buy --amount 0.02 --price 60000\n  touchkeep policy explain --kind withdraw --asset BTC --amount 1 --to bc1q… --client grid-bot --key-set main\n  touchkeep policy explain --kind trade --symbol BTCUSDT --amount 1 --at 2026-11-28T03:00:00Z\n  touchkeep policy explain 42 --policy candidate.toml"
    )]
    Explain(Box<Explain>),
    /// How full the windows of the rules are, and when there is room again.
    #[command(
        after_help = "Nothing is signed, and nothing counts.\n\nExamples:\n  touchkeep policy limits\n  touchkeep policy limits --policy candidate.toml\n  watch touchkeep policy limits"
    )]
    Limits {
        /// Another policy than the one in force: a TOML file, or `-` for stdin.
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
    /// Which decisions of the own past would be others.
    #[command(
        after_help = "Takes the requests from the audit log, decides about each anew in the order in which they came, and says where that is milder or stricter than what was done.\n\nExamples:\n  touchkeep policy replay candidate.toml\n  touchkeep policy replay candidate.toml --since 30d --json\n  touchkeep policy replay                    the policy in force"
    )]
    Replay {
        /// A TOML file; `-` for stdin; the policy in force where absent.
        file: Option<PathBuf>,
        /// Only requests from then on: 2026-11-01, 2026-11-01T08:30:00Z, or 24h, 7d ago.
        #[arg(long)]
        since: Option<String>,
        /// How many changes are listed; all are counted.
        #[arg(long, short = 'n', default_value_t = 50, value_parser = number::whole::<u32>)]
        limit: u32,
    },
    /// Replace the policy: a touch, or the passphrase.
    #[command(
        after_help = "Shows what changes, and what it would have changed in the last 7 days, before it asks.\n\nExamples:\n  touchkeep policy set policy.toml\n  touchkeep policy start trader --print | touchkeep policy set -"
    )]
    Set {
        /// A TOML file; `-` for stdin.
        file: PathBuf,
    },
    /// Change the policy in $VISUAL or $EDITOR: a touch, or the passphrase.
    #[command(
        after_help = "Examples:\n  touchkeep policy edit\n  EDITOR='code --wait' touchkeep policy edit"
    )]
    Edit,
    /// Begin with a policy: trader, developer or read-only. A touch, or the passphrase.
    #[command(
        after_help = "trader      small orders by rule, the rest asked, withdrawals to listed addresses with a touch\ndeveloper   each order with a touch; in a practice vault by rule\nread-only   nothing but reading\n\nExamples:\n  touchkeep policy start trader --print > policy.toml\n  touchkeep policy start read-only"
    )]
    Start {
        /// Which.
        #[arg(value_parser = ["trader", "developer", "read-only"])]
        name: String,
        /// Print it, and change nothing.
        #[arg(long)]
        print: bool,
    },
}

/// A request, or the row of one.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A row of the audit log.
    #[arg(conflicts_with = "kind", required_unless_present = "kind", value_parser = number::whole::<u64>)]
    pub(crate) row: Option<u64>,
    /// Another policy than the one in force: a TOML file, or `-` for stdin.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// What it does: read, trade, cancel, leverage, transfer, withdraw, key-admin or unknown.
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// At which venue.
    #[arg(long, default_value = "binance")]
    pub(crate) venue: String,
    /// Which client asks.
    #[arg(long, default_value = "any")]
    pub(crate) client: String,
    /// With a key of which set.
    #[arg(long, default_value = "main")]
    pub(crate) key_set: String,
    /// On which market, as the venue writes it.
    #[arg(long)]
    pub(crate) symbol: Option<String>,
    /// buy or sell.
    #[arg(long)]
    pub(crate) side: Option<String>,
    /// With which asset.
    #[arg(long)]
    pub(crate) asset: Option<String>,
    /// How much of the asset, or of the market's base asset.
    #[arg(long)]
    pub(crate) amount: Option<String>,
    /// How much of the quote asset.
    #[arg(long)]
    pub(crate) quote_amount: Option<String>,
    /// The price of a limit order.
    #[arg(long)]
    pub(crate) price: Option<String>,
    /// Where the money goes.
    #[arg(long = "to", value_name = "ADDRESS")]
    pub(crate) destination: Option<String>,
    /// The memo or tag that belongs to the address.
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// Over which network.
    #[arg(long)]
    pub(crate) network: Option<String>,
    /// When: 2026-11-28T03:00:00Z, or 2h ago; now where absent.
    #[arg(long)]
    pub(crate) at: Option<String>,
}
