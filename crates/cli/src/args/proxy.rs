//! `proxy`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Proxy {
    /// Let a program use a key set; prints its token once.
    Add {
        /// Its name.
        name: String,
        /// What it may use.
        #[arg(long, default_value = "main")]
        key_set: String,
    },
    /// Programs that may use it.
    List,
    /// End a program's access at once.
    Revoke {
        /// Name or id.
        client: String,
    },
}
