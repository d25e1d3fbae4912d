//! A process of its own that adds to a log, says what it has done, and may be killed or starved meanwhile.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use touchkeep_audit::{Decision, Event, Kind, Log};

use crate::support::{Author, VAULT};

const LOG: &str = "TOUCHKEEP_TEST_AUDIT_LOG";
const ROWS: &str = "TOUCHKEEP_TEST_AUDIT_ROWS";
/// Looked at, and not there: a trace shows by it where appending begins, and where it ends.
pub(crate) const BEGINS: &str = "/touchkeep-appending-begins";
pub(crate) const ENDS: &str = "/touchkeep-appending-ends";

/// What every second row says; long enough for more than one page of the disk.
pub(crate) const LONG: usize = 6000;

// Not a test of its own: what the campaigns start.
#[test]
fn child_that_appends() {
    let Some(path) = env::var_os(LOG).map(PathBuf::from) else {
        return;
    };
    let rows: u64 = env::var(ROWS).unwrap().parse().unwrap();
    let log = match Log::open_locked(&path, VAULT) {
        Ok(log) => log,
        Err(error) => return println!("unopened {error:?}"),
    };
    let _none = fs::metadata(BEGINS);
    for n in 0..rows {
        let event = Event::new(Kind::Intent, Decision::Allowed);
        let event = event.text("x".repeat(if n % 2 == 0 { 20 } else { LONG }));
        match log.record(&event) {
            Ok(seq) => {
                println!("ack {seq}");
                match log.record_outcome(seq, &Event::new(Kind::Outcome, Decision::Done)) {
                    Ok(seq) => println!("ack {seq}"),
                    Err(error) => println!("refused {error:?} unclosed {seq}"),
                }
            }
            Err(error) => println!("refused {error:?}"),
        }
    }
    match log.checkpoint(&Author::new(7)) {
        Ok(checkpoint) => println!("signed {}", checkpoint.head.size),
        Err(error) => println!("unsigned {error:?}"),
    }
    let _none = fs::metadata(ENDS);
}

/// The command that is the child, behind another one or none.
pub(crate) fn child(path: &Path, rows: u64, behind: &[String]) -> Command {
    let this = env::current_exe().unwrap();
    let mut command = match behind.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(this);
            command
        }
        None => Command::new(this),
    };
    command.args([
        "--exact",
        "child::child_that_appends",
        "--nocapture",
        "--test-threads=1",
    ]);
    command.env(LOG, path).env(ROWS, rows.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// What a child said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) acknowledged: Vec<u64>,
    pub(crate) refused: usize,
    /// Intents whose outcome was refused.
    pub(crate) unclosed: Vec<u64>,
    pub(crate) unopened: bool,
    pub(crate) signed: Option<u64>,
}

impl Said {
    pub(crate) fn of(output: &[u8]) -> Self {
        let mut said = Self::default();
        for line in String::from_utf8_lossy(output).lines() {
            let number = |word: &str| line.split_once(word)?.1.trim().parse().ok();
            said.acknowledged.extend(number("ack "));
            said.signed = number("signed ").or(said.signed);
            said.refused += usize::from(line.contains("refused "));
            said.unclosed.extend(number("unclosed "));
            said.unopened |= line.contains("unopened ");
        }
        said
    }
}
