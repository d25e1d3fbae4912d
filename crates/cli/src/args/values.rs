//! The verbs that programs call all the time. They are parsed without the tree of all the others, which takes longer to build than a
//! value to be read.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use super::{Cli, Credential, Global, Inject, Read, Run, RunMonitor, Verb};

/// How programs get values.
#[derive(Debug, Subcommand)]
pub(crate) enum Values {
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

impl Cli {
    /// What was typed. Whatever is not plainly one of these verbs is left to the parser that knows them all.
    ///
    /// # Errors
    /// It is not understood, or asks for help.
    pub(crate) fn read(
        typed: impl IntoIterator<Item = OsString> + Clone,
    ) -> Result<Self, clap::Error> {
        match Quick::try_parse_from(typed.clone()) {
            Ok(Quick { global, verb }) => Ok(Self {
                global,
                verb: Verb::Values(verb),
            }),
            Err(_) => Self::try_parse_from(typed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parsers_are_of_one_opinion() {
        for line in [
            "touchkeep read tk://prod/a/secret",
            "touchkeep --no-interaction read tk://prod/a/secret --out f",
            "touchkeep run --env-file .env -- sh -c x --json",
            "touchkeep run -q --no-mask -- true",
            "touchkeep inject -i a -o b",
            "touchkeep credential-process aws prod/aws",
            "touchkeep credential docker --registry ghcr.io=prod/g get",
            "touchkeep status --json",
            "touchkeep run",
            "touchkeep run --help",
            "touchkeep read",
            "touchkeep nothing",
            "touchkeep",
        ] {
            let typed = || line.split(' ').map(OsString::from);
            let all = Cli::try_parse_from(typed());
            let quick = Cli::read(Vec::from_iter(typed()));
            match (all, quick) {
                (Ok(all), Ok(quick)) => assert_eq!(format!("{all:?}"), format!("{quick:?}")),
                (Err(all), Err(quick)) => assert_eq!(all.to_string(), quick.to_string()),
                differ => panic!("{line}: {differ:?}"),
            }
        }
    }
}
