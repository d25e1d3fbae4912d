//! `touchkeep`: the command line. The same binary can also be the agent (`touchkeep agent`).
//!
//! Data goes to stdout, talk to stderr, prompts to the terminal or the desktop. Exit codes: 0 done, 1 refused or findings,
//! 2 usage, 3 locked or no device, 4 damaged or not authentic.
//!
//! Read in this order: [`args`], [`commands`], [`front_end`] (questions on the terminal), [`demo`].

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests may fail loudly"
    )
)]

mod args;
mod commands;
mod demo;
mod front_end;
mod layout;
mod output;
mod session;
mod terminal;

use std::process::ExitCode;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use touchkeep_core::Code;
use touchkeep_wire::Failure;

use crate::{args::Cli, output::Output};

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os().collect::<Vec<_>>()) {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    let output = Output::new(cli.global.json);
    match hide_memory().and_then(|()| commands::run(cli, output)) {
        Ok(code) => code,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.code.exit_code())
        }
    }
}

// `run` says with 125 whatever is not the program's own status.
fn misused(error: &clap::Error) -> ExitCode {
    let _closed = error.print();
    let is_run = std::env::args_os().nth(1).is_some_and(|verb| verb == "run");
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if is_run => ExitCode::from(touchkeep_inject::program::FAILED),
        _ => ExitCode::from(Code::Invalid.exit_code()),
    }
}

/// PINs are typed here, too: no core dump of this process, and no look into it by other programs of the user.
fn hide_memory() -> Result<(), Failure> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| {
        let what =
            format!("the operating system does not let this program protect its memory: {error}");
        Failure::new(Code::System, what, "")
    })
}
