//! What ccxt raises for an answer.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ccxt_raises.py");

/// The names of the classes of what ccxt raises for each of venue, status, body and address, and its message.
pub(crate) fn raised(cases: &[(&str, u16, String, String)]) -> Vec<(Vec<String>, String)> {
    let python = std::env::var_os("TOUCHKEEP_PYTHON").unwrap_or_else(|| "python3".into());
    let mut child = Command::new(python)
        .args(["-B", "-W", "ignore", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = String::new();
    for (venue, status, body, url) in cases {
        let line = json!({"venue": venue, "status": status, "body": body, "url": url});
        lines += &format!("{line}\n");
    }
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines.as_bytes()).unwrap();
    drop(stdin);
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success(), "is ccxt there?");
    let said = String::from_utf8(said.stdout).unwrap();
    let read: Vec<_> = said.lines().map(one).collect();
    assert_eq!(read.len(), cases.len());
    read
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
