//! `import` and `export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file, or the folder of a `pass` or `passage` store.
    pub(crate) file: PathBuf,
    /// What it is: env, ccxt, freqtrade, 1pux, bitwarden, keepassxc-csv, keepass-xml, aws, pass, touchkeep. Its contents say
    /// so where absent.
    #[arg(long)]
    pub(crate) format: Option<String>,
    /// The environment that the items come into: a name or an id.
    #[arg(short = 'e', long, value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// Show what would happen, and end.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Take something over otherwise: `ITEM.kind=KIND`, `.venue=`, `.class=`, `.key-set=`, `.name=`, `.field.OLD=NEW`,
    /// `.plain=FIELD`, `.secret=FIELD`; `*` is every item.
    #[arg(long, value_name = "ITEM.WHAT=VALUE")]
    pub(crate) map: Vec<String>,
    /// What to do with an item that is there already (the same name, or the same API key).
    #[arg(long, value_enum, default_value = "skip")]
    pub(crate) on_duplicate: Duplicates,
    /// Put `tk://` references in place of the values (env, ccxt, freqtrade). Everything else in the file stays.
    #[arg(long, conflicts_with = "delete_source")]
    pub(crate) replace_with_references: bool,
    /// Delete the file once the vault was saved and read back.
    #[arg(long)]
    pub(crate) delete_source: bool,
    /// The export's own password from this descriptor, instead of the terminal.
    #[arg(long, value_name = "N")]
    pub(crate) password_fd: Option<i32>,
    /// The identities file that opens `.age` files.
    #[arg(long, short = 'i', value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Duplicates {
    /// Leave the vault's as it is.
    Skip,
    /// Give the vault's the new fields.
    Update,
    /// Keep both, the new one under another name.
    Both,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The new file. It is never written over.
    pub(crate) file: PathBuf,
    /// Encrypt to this age recipient (`age1…`); may be given more than once. A passphrase is asked for where absent.
    #[arg(long, short = 'r', value_name = "RECIPIENT")]
    pub(crate) recipient: Vec<String>,
    /// Only this environment: a name or an id.
    #[arg(short = 'e', long, value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// Write it in the clear. Asks for a typed word and the device's touch.
    #[arg(long, conflicts_with = "recipient")]
    pub(crate) plaintext: bool,
    /// How it is written in the clear.
    #[arg(long, value_enum, default_value = "json", requires = "plaintext")]
    pub(crate) format: PlainFormat,
    /// The passphrase from this descriptor, instead of the terminal.
    #[arg(long, value_name = "N", conflicts_with_all = ["recipient", "plaintext"])]
    pub(crate) passphrase_fd: Option<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlainFormat {
    /// Everything.
    Json,
    /// `ITEM_FIELD=value` lines.
    Env,
    /// ccxt's keys.json: exchange keys alone.
    Ccxt,
    /// One row for each field.
    Csv,
}

impl PlainFormat {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Env => "env",
            Self::Ccxt => "ccxt",
            Self::Csv => "csv",
        }
    }
}
