//! Env files, read by us and by python-dotenv: where both read a file, they read the same.
//!
//! We differ on purpose in four places, which the generator leaves out: a backslash inside single quotes stands for itself (as in
//! a shell), `\$` inside double quotes is a dollar, an escaped backslash may stand before the closing quote (python-dotenv reads on
//! over it), and a line that python-dotenv skips with a warning is an error.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use touchkeep_inject::envfile;

const FILES: usize = 600;
const READER: &str = "
import json, sys, io, logging
from dotenv import dotenv_values
logging.disable(logging.CRITICAL)
files = json.load(sys.stdin)
print(json.dumps([dotenv_values(stream=io.StringIO(text, newline=''), interpolate=False) for text in files]))
";

fn line() -> impl Strategy<Value = String> {
    let name = "[A-Z][A-Z0-9_]{0,5}";
    let blank = "[ \\t]{0,2}";
    let value = prop_oneof![
        3 => "[a-zA-Z0-9:/#@.$%&*=+-]{0,3}( ?[a-z#'\"\\\\${}]{1,4}){0,3}",
        2 => "'[a-z #\"$=\\n{}]{0,12}'",
        2 => "\"([a-z #'$=\\n{}]|\\\\[nrtabfv\"]|\\\\\\\\z){0,12}\"",
        1 => Just(String::new()),
    ];
    let comment = prop_oneof![3 => Just(String::new()), 1 => "[ \\t]#[ a-z'\"=]{0,8}"];
    let export = prop_oneof![4 => Just(""), 1 => Just("export ")];
    let end = prop_oneof![6 => Just("\n"), 1 => Just("\r\n"), 1 => Just("\n\n")];
    prop_oneof![
        6 => (blank, export, name, blank, blank, value, comment, end)
            .prop_map(|(a, b, c, d, e, f, g, h)| format!("{a}{b}{c}{d}={e}{f}{g}{h}")),
        1 => "[ \\t]{0,2}#[ a-z'\"=]{0,10}\n",
        1 => "[ \\t]{0,2}\n",
    ]
}

#[test]
fn what_python_dotenv_reads_we_read_alike() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let file = prop::collection::vec(line(), 1..6).prop_map(|lines| lines.concat());
    let files: Vec<String> = (0..FILES)
        .map(|_| file.new_tree(&mut runner).unwrap().current())
        .collect();
    let theirs = python(&files);
    let mut compared = 0;
    for (text, theirs) in files.iter().zip(theirs) {
        let Ok(entries) = envfile::parse(text) else {
            continue;
        };
        let ours: BTreeMap<_, _> = entries
            .into_iter()
            .map(|entry| (entry.name, Some(entry.value.to_string())))
            .collect();
        assert_eq!(ours, theirs, "{text:?}");
        compared += 1;
    }
    assert!(
        compared > FILES / 2,
        "too many of the files are errors to us: {compared} of {FILES} compared"
    );
}

fn python(files: &[String]) -> Vec<BTreeMap<String, Option<String>>> {
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&serde_json::to_vec(files).unwrap())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "python3-dotenv is missing: run through ./dev test"
    );
    serde_json::from_slice(&output.stdout).unwrap()
}
