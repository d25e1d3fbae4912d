//! `audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::number;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// What happened, the newest last.
    #[command(
        after_help = "Examples:\n  touchkeep audit list --decision refused --decision denied\n  touchkeep audit list --item trade --since 2026-11-01\n  touchkeep audit list --client grid-bot --since 24h --text BTCUSDT"
    )]
    List {
        /// How many.
        #[arg(long, short = 'n', default_value_t = 20, value_parser = number::positive)]
        limit: u32,
        /// Rows below this number: the page before.
        #[arg(long, value_parser = number::whole::<u64>)]
        before: Option<u64>,
        #[command(flatten)]
        filter: Filter,
    },
    /// Everything that is known of one row.
    #[command(
        after_help = "Examples:\n  touchkeep audit show 42\n  touchkeep audit show 42 --json"
    )]
    Show {
        /// Its number.
        #[arg(value_parser = number::whole::<u64>)]
        row: u64,
    },
    /// Check every row, the tree, the checkpoints and the vault's witness; or a bundle, without vault and agent.
    #[command(
        after_help = "Ends with 4 and the first row that is damaged, missing, reordered, hidden, cut or rewritten.\n\nExamples:\n  touchkeep audit verify\n  touchkeep audit verify evidence.bundle --key 'u…+1234abcd+A…'\n  touchkeep audit verify copy-of-the-log.sqlite"
    )]
    Verify {
        /// A bundle, or a copy of the log, instead of the agent's own log.
        file: Option<PathBuf>,
        /// A public key that has to have signed a bundle, as `audit checkpoint` prints it; may be repeated. Without it, the keys in the
        /// bundle are believed, and printed.
        #[arg(long, requires = "file")]
        key: Vec<String>,
    },
    /// Prove that a row is in the log, to somebody who has neither the log nor the vault.
    #[command(
        after_help = "Writes a bundle with the row, its path to a signed checkpoint, and the proof that this continues an earlier one.\n\nExamples:\n  touchkeep audit prove 42 -o row-42.bundle\n  touchkeep audit prove 42 --since kept-checkpoint.txt | touchkeep audit verify -"
    )]
    Prove {
        /// The row's number.
        #[arg(value_parser = number::whole::<u64>)]
        row: u64,
        /// A file with an earlier checkpoint that somebody kept; the log's own one before, where absent.
        #[arg(long)]
        since: Option<PathBuf>,
        /// With the key that opens this row, and no other: whoever has the bundle can read it.
        #[arg(long)]
        disclose: bool,
        /// The file to write; standard output where absent.
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
    /// Take rows out: for a script, for a spreadsheet, or as evidence that verifies offline.
    #[command(
        after_help = "Without a filter a bundle has all rows that are signed. It shows no more than a locked vault does, unless --disclose says otherwise. JSON Lines and CSV show what `audit list` shows, the oldest first.\n\nExamples:\n  touchkeep audit export --format csv --since 2026-01-01 -o 2026.csv\n  touchkeep audit export --format bundle -o evidence.bundle\n  touchkeep audit export --format bundle --client grid-bot --disclose -o grid-bot.bundle"
    )]
    Export {
        /// The form.
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
        #[command(flatten)]
        filter: Filter,
        /// With the keys that open these rows, and no others: whoever has the bundle can read them.
        #[arg(long)]
        disclose: bool,
        /// The file to write; standard output where absent.
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
    /// Have the log signed as it is, and print the checkpoint for somebody to keep.
    #[command(
        after_help = "Whoever keeps a checkpoint can show later that the log was cut or rewritten: touchkeep audit prove ROW --since FILE\n\nExamples:\n  touchkeep audit checkpoint > kept-checkpoint.txt\n  touchkeep audit checkpoint --device"
    )]
    Checkpoint {
        /// By the device that unlocked the vault: its touch, or the passphrase.
        #[arg(long)]
        device: bool,
    },
}

/// Which rows.
#[derive(Debug, Clone, Args)]
pub(crate) struct Filter {
    /// Only this kind; may be repeated.
    #[arg(long)]
    pub(crate) kind: Vec<String>,
    /// Only what was decided so (allowed, approved, touched, denied, refused, …); may be repeated.
    #[arg(long)]
    pub(crate) decision: Vec<String>,
    /// Only of this item: a name, for all that have or had it, a reference, or an id.
    #[arg(long)]
    pub(crate) item: Option<String>,
    /// Only of this client: a name, for all that have or had it, or an id.
    #[arg(long)]
    pub(crate) client: Option<String>,
    /// Only from then on: 2026-11-01, 2026-11-01T08:30:00Z, or 24h, 7d ago.
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// Only up to then.
    #[arg(long)]
    pub(crate) until: Option<String>,
    /// Only where this stands.
    #[arg(long)]
    pub(crate) text: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a row.
    Jsonl,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// Rows with their proof.
    Bundle,
}
