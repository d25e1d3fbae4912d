//! The agent alone, in the folder that `TOUCHKEEP_HOME` names: what the tests drive over its sockets.

use std::process::ExitCode;

use touchkeep_agent::{Options, run};
use touchkeep_client::Paths;

fn main() -> ExitCode {
    let ended = Paths::from_environment()
        .map_err(|error| error.to_string())
        .and_then(|paths| {
            let background = std::env::args().any(|argument| argument == "--background");
            run(&Options { paths, background }).map_err(|error| error.to_string())
        });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            #[expect(clippy::print_stderr, reason = "a program for tests says why it ends")]
            {
                eprintln!("{why}");
            }
            ExitCode::FAILURE
        }
    }
}
