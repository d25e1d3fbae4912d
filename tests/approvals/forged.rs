//! What a yes is worth that another process of the same user forges.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use touchkeep_tests::{Home, Person};

use crate::desk::Desk;

/// Another process of the same user.
struct Forger {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Forger {
    fn start(home: &Home, mode: &str, seconds: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("forger.py");
        let mut child = Command::new("python3")
            .arg(script)
            .arg(home.paths().ui_socket())
            .arg(home.paths().agent_socket())
            .args([mode, seconds])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut forger = Self { child, said };
        assert_eq!(forger.next(), json!({ "connected": true }));
        forger
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    // Until it says something about this.
    fn on(&mut self, what: &str) -> Value {
        loop {
            let said = self.next();
            assert!(said.get("end").is_none(), "{said}");
            if let Some(answer) = said.get(what) {
                return answer.clone();
            }
        }
    }
}

impl Drop for Forger {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

#[test]
fn a_forged_click_moves_no_money_without_the_finger() {
    let mut desk = Desk::with_a_card("");
    // Whoever unlocked it has gone, and has taken the finger off the key.
    desk.person().take_hands_off();
    drop(desk.person.take());
    // At once, and later than any guard of a window.
    for (mode, seconds) in [("at-once", "0"), ("guarded", "0.9")] {
        let mut forger = Forger::start(&desk.home, mode, seconds);
        let (status, answer) = desk.withdraw("");
        assert_eq!(
            forger.on("approval"),
            "taken",
            "the click itself was forged"
        );
        assert_eq!(forger.on("touch"), json!(["invalid", "invalid"]));
        assert_eq!(status, 403, "{answer}");
    }
    assert!(desk.venue.received("/withdraw/apply").is_empty());
    // The click is on record as what it was, and the signature as refused.
    // What was asked of the venue before the question is a rule's.
    let of_money = |kind| {
        let mut rows: Vec<Value> = desk.rows(kind);
        rows.retain(|row| row["item"] == "money");
        rows
    };
    let outcomes = of_money("outcome");
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    for row in &outcomes {
        assert_eq!(row["decision"], "refused", "{row}");
        assert!(
            row["what"].as_str().unwrap().starts_with("not signed"),
            "{row}"
        );
    }
    for row in of_money("intent") {
        assert_eq!(
            row["decision"], "approved",
            "nobody has touched anything: {row}"
        );
    }
    // The same question with a finger on the key is signed: what was missing above is the finger alone.
    let card = desk.card.as_ref().unwrap();
    let _person = Person::sit_down(&desk.home.paths(), Some(&card.control));
    assert_eq!(desk.withdraw("").0, 200, "{}", desk.home.log());
    assert_eq!(desk.venue.received("/withdraw/apply").len(), 1);
}

#[test]
fn a_forged_click_moves_no_money_without_the_passphrase() {
    let mut desk = Desk::with_a_passphrase("secret_seconds = 3");
    drop(desk.person.take());
    let mut forger = Forger::start(&desk.home, "guarded", "0.7");
    let (status, answer) = desk.withdraw("");
    assert_eq!(forger.on("approval"), "taken");
    assert_eq!(
        forger.on("passphrase"),
        "taken",
        "a guess is an answer, and wrong"
    );
    assert_eq!(status, 403, "{answer}");
    assert!(desk.venue.received("/withdraw/apply").is_empty());
    let refused = desk.rows("request-refused");
    assert!(
        refused.len() == 1 && refused[0]["decision"] == "refused",
        "{refused:?}"
    );
    drop(forger);
    let _person = Person::sit_down(&desk.home.paths(), None);
    assert_eq!(desk.withdraw("").0, 200, "{}", desk.home.log());
}

#[test]
fn one_yes_is_to_one_digest_once_from_a_front_end_in_time() {
    let mut desk = Desk::with_a_passphrase("approval_seconds = 4");
    drop(desk.person.take());
    let mut forger = Forger::start(&desk.home, "tricks", "0");
    let (status, _) = desk.withdraw("");
    assert_eq!(
        status, 403,
        "a yes to another digest is none, and the question is spent"
    );
    assert_eq!(forger.on("agent.sock"), "not-permitted");
    assert_eq!(
        forger.on("for a time"),
        "invalid",
        "never offered for a withdrawal"
    );
    assert_eq!(forger.on("allow"), "invalid");
    assert_eq!(forger.on("secret"), "invalid");
    assert_eq!(forger.on("no such prompt"), "not-found");
    assert_eq!(forger.on("another digest"), "taken");
    assert_eq!(forger.on("and then the right one"), "not-found");
    forger.on("ready");
    let begun = Instant::now();
    let (status, _) = desk.withdraw("&withdrawOrderId=second");
    assert!(status == 403 || status == 408 || status == 504, "{status}");
    assert!(
        begun.elapsed() >= Duration::from_secs(3),
        "silence is a refusal at the deadline"
    );
    assert_eq!(forger.on("too late"), "not-found");
    assert!(desk.venue.received("/withdraw/apply").is_empty());
    let refused: Vec<Value> = desk.rows("request-refused");
    assert_eq!(refused.len(), 2, "{refused:?}");
}
