//! The agent alone, in the folder that `TOUCHKEEP_HOME` names: what the tests drive over its sockets.

use std::process::ExitCode;

use touchkeep_agent::{Options, run};
use touchkeep_client::Paths;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let ended = match words.as_slice() {
        ["agent", "pkcs11-host", "--module", module] => {
            touchkeep_agent::pkcs11_host(module.as_ref()).map_err(|error| error.to_string())
        }
        words => Paths::from_environment()
            .map_err(|error| error.to_string())
            .and_then(|paths| {
                let background = words.contains(&"--background");
                run(&Options { paths, background }).map_err(|error| error.to_string())
            }),
    };
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
