//! `demo`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Ask nothing: press the keys that a person would press, and say so.
    #[arg(long)]
    pub(crate) auto: bool,
    /// Leave the demo's folder in place.
    #[arg(long)]
    pub(crate) keep: bool,
}
