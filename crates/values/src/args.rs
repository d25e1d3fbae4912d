//! What can be typed for these verbs: their part of the tree that knows all, and [`quick()`], which needs no tree.

mod credential;
mod quick;
mod run;

use std::ffi::OsString;

use clap::{Args, Subcommand};

pub use credential::{Credential, Docker, Git};
pub use quick::quick;
pub use run::{Inject, Mask, Read, Run, RunMonitor};

/// Behind a verb's own options, before `--help`.
const LAST: usize = 900;

/// Whether the verb of what was typed starts a program (`run`, `proxy exec`), whose own failures end with 125. Before a verb,
/// `--vault` alone takes a value.
#[must_use]
pub fn starts_a_program(typed: &[OsString]) -> bool {
    let mut words = typed.iter().skip(1);
    let mut verb = || {
        while let Some(word) = words.next() {
            if word == "--vault" {
                words.next();
            } else if !word.as_encoded_bytes().starts_with(b"-") {
                return word.to_str();
            }
        }
        None
    };
    match verb() {
        Some("run") => true,
        Some("proxy") => verb() == Some("exec"),
        _ => false,
    }
}

/// For every verb.
#[derive(Debug, Default, Clone, Copy, Args)]
pub struct Global {
    /// Print JSON on stdout.
    #[arg(long, global = true, display_order = LAST)]
    pub json: bool,
    /// Never ask on this terminal. read, run, inject, credential and grant ask then ask nobody; other verbs fail unless the desktop or `touchkeep approve` is there to be asked.
    #[arg(long, global = true, display_order = LAST)]
    pub no_interaction: bool,
}

/// How programs get values.
#[derive(Debug, Subcommand)]
pub enum Values {
    /// Print one value.
    #[command(
        after_help = "A line break follows on a terminal alone.\n\nExamples:\n  touchkeep read tk://prod/trade/secret\n  touchkeep read tk://prod/trade/api-key | xclip\n  touchkeep read tk://prod/tls/secret --out key.pem"
    )]
    Read(Read),
    /// Run a program with values in its environment, and mask them in what it prints.
    #[command(
        after_help = "Variables whose value is a reference (tk://environment/item/field) get the value, in what is inherited and in --env-file.\n\nExamples:\n  API_SECRET=tk://prod/trade/secret touchkeep run -- ./bot\n  touchkeep run --env-file .env -- npm start\n  touchkeep run --mount KEYFILE=tk://prod/tls/secret,reads=1 -- sh -c 'server --key \"$KEYFILE\"'\n\nExit codes: the program's own; 128+n where signal n ended it; 125 nothing was started, 126 it cannot be run, 127 there is none."
    )]
    Run(Run),
    /// Be the process between a terminal and a program.
    #[command(hide = true)]
    RunMonitor(RunMonitor),
    /// Fill a template: {{ tk://environment/item/field }}, or bare references.
    #[command(
        after_help = "Examples:\n  touchkeep inject -i config.tpl -o config.json\n  touchkeep inject <config.tpl | server --config /dev/stdin"
    )]
    Inject(Inject),
    /// Answer programs that ask a helper for a credential: AWS, git, docker.
    #[command(
        subcommand,
        visible_alias = "credential-process",
        after_help = "Examples:\n  credential_process = touchkeep credential-process aws prod/aws        in ~/.aws/config\n  git config credential.https://github.com.helper '!touchkeep credential git --host github.com --item prod/github'\n  exec touchkeep credential docker --registry ghcr.io=prod/ghcr \"$@\"    in a program docker-credential-touchkeep"
    )]
    Credential(Credential),
}
