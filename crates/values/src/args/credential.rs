//! `credential`: for programs that ask a helper for a credential.

use clap::{Args, Subcommand};

/// Who asks.
#[derive(Debug, Subcommand)]
pub enum Credential {
    /// For `credential_process` in ~/.aws/config: the item's api-key is the access key, its secret the secret key.
    #[command(
        after_help = "Examples:\n  touchkeep credential aws prod/aws\n  credential_process = touchkeep credential aws prod/aws"
    )]
    Aws {
        /// environment/item
        item: String,
    },
    /// For `credential.helper` of git. Answers `get` alone, for one host, over https.
    #[command(
        after_help = "Examples:\n  git config credential.helper '!touchkeep credential git --item prod/github --host github.com'\n  touchkeep credential git --item prod/github --host github.com get"
    )]
    Git(Git),
    /// For `credHelpers` of docker, through a program docker-credential-NAME that calls this. Answers `get` and `list`.
    #[command(
        after_help = "Examples:\n  touchkeep credential docker --registry ghcr.io=prod/ghcr get"
    )]
    Docker(Docker),
}

/// `credential git`.
#[derive(Debug, Args)]
pub struct Git {
    /// environment/item
    #[arg(long)]
    pub item: String,
    /// The host that may have it, with the port where git says one.
    #[arg(long)]
    pub host: String,
    /// The user's name, where the item has no field `username`.
    #[arg(long)]
    pub username: Option<String>,
    /// What git wants: get, store or erase.
    pub operation: String,
}

/// `credential docker`.
#[derive(Debug, Args)]
pub struct Docker {
    /// A registry and the item that it may have: HOST=environment/item. May be repeated.
    #[arg(long = "registry", value_name = "HOST=ITEM", required = true)]
    pub registries: Vec<String>,
    /// What docker wants: get, list, store or erase.
    pub operation: String,
}
