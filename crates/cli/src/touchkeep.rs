//! `touchkeep`: what people and programs type.
//!
//! It does itself what programs call all the time: `read`, `run`, `inject`, `credential`. For everything else it becomes
//! `touchkeep-agent`, which lies beside it and is large: a program that starts with each request of another one must not
//! carry the agent, its database and its cryptography with it.

use std::{
    ffi::OsString,
    io::{self, Write},
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

use touchkeep_client::installed;
use touchkeep_core::Code;
use touchkeep_inject::program;
use touchkeep_locked::WipingAllocator;
use touchkeep_values::{
    args, closed, hide_memory,
    output::{self, Output},
    perform,
};
use touchkeep_wire::Failure;

/// Freed memory holds no values.
#[global_allocator]
static MEMORY: WipingAllocator = WipingAllocator;

fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    if is_question_for_version(&typed) {
        return say_version();
    }
    let Some((global, verb)) = args::quick(&typed) else {
        return not_done(&typed, &become_the_other(&typed));
    };
    let output = Output::new(global.json);
    match hide_memory().and_then(|()| perform(verb, global, output)) {
        Ok(code) => code,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.code.exit_code())
        }
    }
}

fn is_question_for_version(typed: &[OsString]) -> bool {
    matches!(typed, [_, one] if one == "--version" || one == "-V")
}

fn say_version() -> ExitCode {
    let written = closed::check_open().and_then(|()| {
        let version = env!("CARGO_PKG_VERSION");
        writeln!(io::stdout(), "{} {version}", installed::COMMAND)
    });
    Output::new(false).was_written(written);
    output::ends_with(ExitCode::SUCCESS)
}

// Before anything was understood of it.
fn not_done(typed: &[OsString], failure: &Failure) -> ExitCode {
    let mut own = typed.iter().take_while(|word| *word != "--");
    Output::new(own.any(|word| word == "--json")).failure(failure);
    ExitCode::from(if args::starts_a_program(typed) {
        program::FAILED
    } else {
        failure.code.exit_code()
    })
}

// Returns only when that fails.
fn become_the_other(typed: &[OsString]) -> Failure {
    let program = match installed::agent_program() {
        Ok(program) => program,
        Err(failure) => return failure,
    };
    closed::hand_over();
    let by = format!("{}{}", installed::HANDED_OVER, env!("CARGO_PKG_VERSION"));
    let error = Command::new(&program)
        .arg0(installed::COMMAND)
        .arg(by)
        .args(typed.get(1..).unwrap_or_default())
        .exec();
    Failure::new(
        Code::System,
        format!("{} cannot be started: {error}.", program.display()),
        "Check its permissions.",
    )
}
