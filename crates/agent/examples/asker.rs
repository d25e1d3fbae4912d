//! A program that asks the agent for items, for tests: one line of standard input, one question; one word per answer.
//!
//! `ask NAME…` asks and may have a person asked, `quietly NAME…` may not, `become PATH` becomes another program, `visit NAME` is let
//! in to the proxy with the key set `main` and says its token.

use std::{io::BufRead, os::unix::process::CommandExt, process::Command};

use touchkeep_client::{CallError, Connection, Paths};
use touchkeep_wire::{AskGrant, OpenClient};

#[expect(clippy::print_stdout, reason = "its answers are its purpose")]
fn main() {
    let paths = Paths::from_environment().ok();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok();
    let (Some(paths), Some(runtime)) = (paths, runtime) else {
        return;
    };
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some(verb @ ("ask" | "quietly")) => {
                let call = AskGrant {
                    items: words.map(str::to_owned).collect(),
                    no_interaction: verb == "quietly",
                };
                let answer = runtime.block_on(async {
                    let connection = Connection::connect(&paths.agent_socket(), "asker").await;
                    match connection {
                        Ok(connection) => connection.call(call).await.map_err(said),
                        Err(error) => Err(error.to_string()),
                    }
                });
                match answer {
                    Ok(_) => println!("allowed"),
                    Err(why) => println!("{why}"),
                }
            }
            Some("visit") => {
                let call = OpenClient {
                    name: words.next().unwrap_or_default().to_owned(),
                    key_set: "main".to_owned(),
                    venues: Vec::new(),
                    kinds: Vec::new(),
                };
                let opened = runtime.block_on(async {
                    let connection = Connection::connect(&paths.agent_socket(), "asker").await;
                    connection.ok()?.call(call).await.ok()
                });
                let variables = opened.into_iter().flat_map(|opened| opened.variables);
                let mut tokens = variables.filter(|one| one.name == "TOUCHKEEP_TOKEN");
                // EXPOSE: a token of the test's.
                let token = tokens.next().map(|one| one.value.into_inner());
                println!("{}", token.unwrap_or_default());
            }
            Some("become") => {
                // Said before, so that nobody writes what this program would read and take along.
                println!("becoming");
                let error = Command::new(words.next().unwrap_or_default()).exec();
                println!("{error}");
            }
            _ => println!("what?"),
        }
    }
}

fn said(error: CallError) -> String {
    match error {
        CallError::Failed(failure) => format!("{:?}", failure.code),
        other => other.to_string(),
    }
}
