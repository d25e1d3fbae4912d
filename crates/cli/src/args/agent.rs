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
    Stop,
    /// Serve one PKCS#11 module to the agent over stdin and stdout.
    #[command(hide = true)]
    Pkcs11Host {
        /// Absolute path of the module.
        #[arg(long)]
        module: PathBuf,
    },
}
