//! Starts a program as `touchkeep run` does, with values from the environment instead of a vault: what the tests of this crate
//! run. `run-masked exec|beside|pipes|terminal -- CMD`; values are in `VALUES`, one a line.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test's program may fail loudly"
)]

use std::{ffi::OsString, path::Path, process::ExitCode, sync::Arc};

use touchkeep_inject::{
    forms::Forms,
    mask::Patterns,
    monitor,
    program::{Ended, Program, StartError},
    supervise,
    terminal::{self, MonitorCommand},
};
use zeroize::Zeroizing;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let way = words.next().unwrap();
    let mut words: Vec<OsString> = words.collect();
    if way == "monitor" {
        let control = words.remove(0).to_str().unwrap().parse().unwrap();
        let foreground = words.remove(0) == "foreground";
        return monitor::monitor(control, foreground, &words)
            .map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    words.remove(0);
    let mut program = Program::new(words).unwrap();
    let values = std::env::var("VALUES").unwrap_or_default();
    if let Some(value) = values.lines().next() {
        program.set("FIRST", Zeroizing::new(value.to_owned()));
    }
    match run(way.to_str().unwrap(), &program, &values) {
        Ok(ended) => ended.status().into(),
        Err(error) => {
            eprintln!("run-masked: {error}");
            error.status().into()
        }
    }
}

fn run(way: &str, program: &Program, values: &str) -> Result<Ended, StartError> {
    let patterns = || Arc::new(Patterns::new(values.lines(), Forms::Encoded));
    let this = Path::new("/proc/self/exe");
    match way {
        "exec" => Err(program.exec()),
        "beside" => supervise::run(program, None),
        "pipes" => supervise::run(program, Some(patterns())),
        "terminal" => terminal::run(
            program,
            &patterns(),
            MonitorCommand {
                program: this,
                arguments: &["monitor"],
            },
        ),
        _ => panic!("no such way"),
    }
}
