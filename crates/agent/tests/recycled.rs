//! The number of a process that has ended is given to another one, which runs the same program: it gets nothing of what the
//! first one was granted. The kernel does it, in a process name space of the test's own, where the next number can be said.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{env, fs, os::unix::fs::MetadataExt, process::Command, time::Instant};

use common::{
    Agent, PATIENCE, Person,
    asker::{Asker, asker, vault_with},
    yes,
};
use touchkeep_wire::{Answer, ListGrants, Question, Scope};

const INSIDE: &str = "TOUCHKEEP_NUMBERS_INSIDE";
const TEST: &str = "a_number_that_is_given_again_brings_no_grant_with_it";

// Runs the test once more as the only one whose processes take numbers, or nearly.
fn inside() {
    let mut unshare = Command::new("unshare");
    if fs::metadata("/proc/self").is_ok_and(|us| us.uid() != 0) {
        unshare.arg("-r");
    }
    let done = unshare
        .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare is installed");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let why = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "a process name space is needed for this test.\n{said}{why}"
    );
    print!("{said}");
}

// The same program with the number that another one had. The agent's threads take numbers too, so it is tried again.
fn asker_of(number: u32, agent: &Agent) -> Asker {
    let since = Instant::now();
    loop {
        // ns_last_pid of proc(5): the number after it is the next one, where it is free.
        fs::write("/proc/sys/kernel/ns_last_pid", (number - 1).to_string()).unwrap();
        let asker = Asker::start(&asker(), agent);
        if asker.pid() == number {
            return asker;
        }
        assert!(
            since.elapsed() < PATIENCE,
            "the number is not given again, but {}",
            asker.pid()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_is_given_again_brings_no_grant_with_it() {
    if env::var(INSIDE).is_err() {
        return inside();
    }
    let agent = Agent::start().await;
    let client = agent.client().await;
    let _person = Person::new(&agent, |question: &Question| match question {
        Question::Use(_) => Some(Answer::Allow {
            scope: Scope::Process,
        }),
        other => yes(other),
    })
    .await;
    vault_with(&client, &agent, &[("bot", "trade", false)]).await;
    for round in 0..20 {
        let mut first = Asker::start(&asker(), &agent);
        assert_eq!(first.ask("ask bot").await, "allowed");
        assert_eq!(first.ask("quietly bot").await, "allowed");
        let number = first.pid();
        drop(first);
        let mut second = asker_of(number, &agent);
        assert_eq!(second.ask("quietly bot").await, "NotPermitted", "{round}");
        assert_eq!(client.call(ListGrants {}).await.unwrap(), []);
        assert_eq!(second.ask("ask bot").await, "allowed", "asked for itself");
    }
}
