//! `list`.

use clap::Args;

use super::{add::Kind, number};

#[derive(Debug, Default, Args)]
pub(crate) struct List {
    /// Letters of what is looked for; the best first.
    pub(crate) query: Option<String>,
    /// Only this kind.
    #[arg(long, value_enum)]
    pub(crate) kind: Option<Kind>,
    /// Only what has this tag; may be repeated.
    #[arg(long, value_name = "WORD")]
    pub(crate) tag: Vec<String>,
    /// Only of this venue.
    #[arg(long)]
    pub(crate) venue: Option<String>,
    /// Only of this environment: a name or an id.
    #[arg(long, short = 'e', value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// What is in the trash, instead.
    #[arg(long)]
    pub(crate) trash: bool,
    /// At most this many; 50 of what is looked for.
    #[arg(long, short = 'n', value_name = "COUNT", value_parser = number::positive)]
    pub(crate) limit: Option<u32>,
}
