//! What can be typed for these verbs. They are parsed without the tree of all the others, which takes longer to build than a
//! value to be read.

mod credential;
mod run;

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

pub use credential::{Credential, Docker, Git};
pub use run::{Inject, Mask, Read, Run, RunMonitor};

/// For every verb.
#[derive(Debug, Clone, Copy, Args)]
pub struct Global {
    /// Print JSON on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// Never ask anything: fail instead.
    #[arg(long, global = true)]
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

#[derive(Debug, Parser)]
#[command(name = "touchkeep", version)]
struct Quick {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Values,
}

/// What was typed, where it is plainly one of these verbs; whatever else it is, the parser that knows them all says.
#[must_use]
pub fn quick(typed: impl IntoIterator<Item = OsString>) -> Option<(Global, Values)> {
    let Quick { global, verb } = Quick::try_parse_from(typed).ok()?;
    Some((global, verb))
}
