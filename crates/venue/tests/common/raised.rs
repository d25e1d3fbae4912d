//! What ccxt raises for an answer.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ccxt_raises.py");
#[allow(dead_code, reason = "one of the tests that share this asks")]
const NONCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ccxt_nonces.py");

/// The names of the classes of what ccxt raises for each of venue, status, body and address, and its message.
pub(crate) fn raised(cases: &[(&str, u16, String, String)]) -> Vec<(Vec<String>, String)> {
    let mut lines = String::new();
    for (venue, status, body, url) in cases {
        let line = json!({"venue": venue, "status": status, "body": body, "url": url});
        lines += &format!("{line}\n");
    }
    let read: Vec<_> = asked(READER, &lines).lines().map(one).collect();
    assert_eq!(read.len(), cases.len());
    read
}

/// The codes and words that ccxt takes for a wrong number or time, of each of its venues.
#[allow(dead_code, reason = "one of the tests that share this asks")]
pub(crate) fn nonces(venues: &[&str]) -> Vec<Vec<String>> {
    let said = asked(NONCES, &format!("{}\n", venues.join("\n")));
    let read = said.lines().map(|line| serde_json::from_str(line).unwrap());
    let read: Vec<Vec<String>> = read.collect();
    assert_eq!(read.len(), venues.len());
    read
}

fn asked(script: &str, lines: &str) -> String {
    let python = std::env::var_os("TOUCHKEEP_PYTHON").unwrap_or_else(|| "python3".into());
    let mut child = Command::new(python)
        .args(["-B", "-W", "ignore", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines.as_bytes()).unwrap();
    drop(stdin);
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success(), "is ccxt there?");
    String::from_utf8(said.stdout).unwrap()
}

fn one(line: &str) -> (Vec<String>, String) {
    let said: Value = serde_json::from_str(line).unwrap();
    let raised = said["raised"].as_array().unwrap().iter();
    let raised = raised.map(|name| name.as_str().unwrap().to_owned());
    (
        raised.collect(),
        said["message"].as_str().unwrap().to_owned(),
    )
}
