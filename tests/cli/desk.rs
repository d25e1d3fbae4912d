//! A desk where the command line is used: a vault that a passphrase opens, and a person who knows it.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use touchkeep_tests::{Home, Person};

/// A vault that a passphrase opens, and a person who knows it.
pub(crate) struct Desk {
    pub(crate) home: Home,
    pub(crate) person: Person,
}

impl Desk {
    pub(crate) fn set() -> Self {
        let home = Home::new(None);
        let person = Person::sit_down(&home.paths(), None);
        let path = home.path("v.touchkeep").display().to_string();
        let desk = Self { home, person };
        desk.run(&["init", "--practice", "--path", &path, "--work-factor", "10"]);
        desk
    }

    // Runs a verb that prints a document, which the home has judged.
    pub(crate) fn run(&self, args: &[&str]) -> Value {
        self.run_with(args, "")
    }

    pub(crate) fn run_with(&self, args: &[&str], stdin: &str) -> Value {
        let said = self.home.json_with(args, stdin);
        assert!(!said.is_null(), "touchkeep {args:?} printed no document");
        said
    }

    // Runs a verb that fails: its exit code, and the code that it says.
    pub(crate) fn fails(&self, args: &[&str]) -> (i32, String) {
        let done = self.home.cli(args);
        let said: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
        let code = said["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let fix = &said["error"]["fix"];
        assert!(
            fix.as_str().is_some_and(|fix| !fix.is_empty()),
            "{args:?} says not what to do: {said}"
        );
        (done.status.code().unwrap(), code)
    }

    pub(crate) fn add(&self, name: &str, kind: &str, secret: &str, more: &[&str]) -> Value {
        let args = [&["add", name, "--kind", kind, "--secret-fd", "0"], more].concat();
        self.run_with(&args, secret)
    }
}

pub(crate) fn with_stdin(command: &mut Command, text: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    Write::write_all(&mut stdin, text.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}
