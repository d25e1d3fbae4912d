//! `agent`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Agent {
    /// Started on demand by another program.
    #[arg(long, hide = true)]
    pub(crate) background: bool,
    #[command(subcommand)]
    pub(crate) verb: Option<AgentVerb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentVerb {
    /// End the agent that runs, after locking.
    #[command(after_help = "Examples:\n  touchkeep agent stop")]
    Stop,
    /// Have systemd listen for the agent in your sessions, and start it at the first call.
    #[command(after_help = "Examples:\n  touchkeep agent install")]
    Install,
    /// Take that back.
    #[command(after_help = "Examples:\n  touchkeep agent uninstall")]
    Uninstall,
    /// Serve one PKCS#11 module to the agent over stdin and stdout.
    #[command(hide = true)]
    Pkcs11Host {
        /// Absolute path of the module.
        #[arg(long)]
        module: PathBuf,
    },
}
