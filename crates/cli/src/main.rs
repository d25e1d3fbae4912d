//! `touchkeep-agent`: the agent, and every verb of the command line. What is typed is `touchkeep`, a small program
//! (`touchkeep.rs`), which does itself what programs call all the time and becomes this one for the rest.
//!
//! Data goes to stdout, talk to stderr, prompts to the terminal or the desktop. Exit codes: 0 done, 1 refused or findings,
//! 2 usage, 3 locked or no device, 4 damaged or not authentic, 130 ended with Ctrl-C at a question.
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
mod session;
mod terminal;

use std::{
    ffi::OsString,
    io::{Write, stdout},
    process::ExitCode,
};

use touchkeep_client::installed;
use touchkeep_core::Code;
use touchkeep_values::{args::starts_a_program, closed, hide_memory, layout, output};
use touchkeep_wire::Failure;

use crate::{args::Cli, output::Output};

fn main() -> ExitCode {
    let (typed, by) = typed(std::env::args_os());
    let cli = match Cli::read(&typed) {
        Ok(cli) => cli,
        Err(error) => return misused(&error, &typed),
    };
    let output = Output::new(cli.global.json);
    let fits = by.map_or(Ok(()), |by| installed::is_of_one_version(&by));
    match fits
        .and_then(|()| hide_memory())
        .and_then(|()| commands::run(cli, output))
    {
        Ok(code) => output::ends_with(code),
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(terminal::exit_code(&failure))
        }
    }
}

// What a person typed, and of which version the small program is, where that was it which was typed.
fn typed(words: impl Iterator<Item = OsString>) -> (Vec<OsString>, Option<String>) {
    let mut words = words.skip(1).peekable();
    let by = words.peek().and_then(|word| {
        let version = word.to_str()?.strip_prefix(installed::HANDED_OVER)?;
        Some(version.to_owned())
    });
    let rest = words.skip(usize::from(by.is_some()));
    // It is called what is typed, in its usage, too.
    let typed = std::iter::once(installed::COMMAND.into()).chain(rest);
    (typed.collect(), by)
}

// `run` and `proxy exec` say with 125 whatever is not the program's own status.
fn misused(error: &clap::Error, typed: &[OsString]) -> ExitCode {
    if error.exit_code() == 0 {
        let shown = closed::check_open().and_then(|()| error.print());
        Output::new(false).was_written(shown);
        return output::ends_with(ExitCode::SUCCESS);
    }
    let _closed = error.print();
    let mut own = typed.iter().take_while(|word| *word != "--");
    if own.any(|word| word == "--json") {
        let text = error.render().to_string();
        let what = text.lines().next().unwrap_or_default();
        let what = what.trim_start_matches("error: ").trim_end_matches(':');
        let failure = Failure::new(Code::Invalid, what, "See: touchkeep help");
        let _closed = writeln!(stdout(), "{}", serde_json::json!({ "error": failure }));
    }
    ExitCode::from(if starts_a_program(typed) {
        touchkeep_inject::program::FAILED
    } else {
        Code::Invalid.exit_code()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> (Vec<OsString>, Option<String>) {
        typed(words.iter().map(OsString::from))
    }

    #[test]
    fn what_was_handed_over_reads_as_it_was_typed() {
        let (typed, by) = read(&["touchkeep", "--handed-over-by=1.2.3", "run", "--", "x"]);
        assert_eq!(typed, ["touchkeep", "run", "--", "x"]);
        assert_eq!(by.as_deref(), Some("1.2.3"));
        let (typed, by) = read(&["/usr/bin/touchkeep-agent", "status"]);
        assert_eq!(
            (typed, by),
            (vec!["touchkeep".into(), "status".into()], None)
        );
        let (typed, by) = read(&["x", "run", "--handed-over-by=1"]);
        assert_eq!((typed.len(), by), (3, None));
    }
}
