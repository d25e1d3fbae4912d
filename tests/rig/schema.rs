//! Documents that the command line prints, judged by somebody else's validator.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

/// Says that each document is what `docs/schema/cli.json` promises of its schema.
///
/// # Panics
/// When one is not, or the validator takes what is of no schema.
pub fn judge<'a>(documents: impl IntoIterator<Item = (&'a str, &'a Value)>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = std::env::var("TOUCHKEEP_PYTHON").expect("run by ./dev test");
    let mut judge = Command::new(python)
        .arg(root.join("tests/json_schema.py"))
        .arg(root.join("docs/schema/cli.json"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let documents: Vec<_> = documents.into_iter().collect();
    // One that fits no schema shows that this judge refuses at all.
    let wrong = json!({"name": 1});
    let mut asked = judge.stdin.take().unwrap();
    for (schema, document) in [("item", &wrong)].iter().chain(&documents) {
        writeln!(asked, "{}", json!({"schema": schema, "document": document})).unwrap();
    }
    drop(asked);
    let said = judge.wait_with_output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let mut verdicts = said.lines();
    assert_ne!(verdicts.next(), Some("valid"));
    let verdicts: Vec<_> = verdicts.collect();
    assert_eq!(verdicts.len(), documents.len(), "{said}");
    for (verdict, (schema, document)) in verdicts.into_iter().zip(documents) {
        assert_eq!(verdict, "valid", "{schema}: {document:#}");
    }
}
