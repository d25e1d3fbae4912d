//! Two files, one program: the small one that is typed, and the large one beside it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use touchkeep_tests::{Home, Person, binary, installed_in, judge, wait_for};

const SECRET: &str = "s3cr3t-value-of-the-vault";
const REFERENCE: &str = "tk://prod/trade/secret";

// A vault with one key in it, and a person who lets programs through.
fn with_a_value() -> (Home, Person) {
    let home = Home::with(&[]);
    let person = Person::sit_down(&home.paths(), None);
    let path = home.path("v.touchkeep").display().to_string();
    let _made = home.json(&["init", "--practice", "--work-factor", "10", "--path", &path]);
    let add = ["add", "trade", "--kind", "api-key", "--secret-fd", "0"];
    let _added = home.json_with(&add, SECRET);
    (home, person)
}

// A program of this home that is not where it was built.
fn run(home: &Home, program: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args).envs(home.environment());
    command.stdin(Stdio::null()).output().unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn what_programs_call_needs_one_file_and_the_rest_says_which_is_missing() {
    let (home, _person) = with_a_value();
    let folder = home.path("alone");
    fs::create_dir(&folder).unwrap();
    let program = installed_in(&folder);
    assert!(run(&home, &program, &["status"]).status.success());
    fs::remove_file(folder.join("touchkeep-agent")).unwrap();

    assert_eq!(
        run(&home, &program, &["read", REFERENCE]).stdout,
        SECRET.as_bytes()
    );
    let said = run(&home, &program, &["--json", "status"]);
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    assert!(err(&said).contains("touchkeep-agent is missing in"));
    assert!(err(&said).contains("both of one version"));
    let document: Value = serde_json::from_slice(&said.stdout).unwrap();
    judge([("error", &document)]);
    // What is not understood is not told apart from what the other one would have understood.
    let said = run(&home, &program, &["run", "--no-such-flag", "--", "true"]);
    assert_eq!(said.status.code(), Some(125));
    // What `PATH` has of that name could be anybody's.
    let path = binary("touchkeep").parent().unwrap().to_owned();
    let mut command = Command::new(&program);
    command.arg("status").env("PATH", &path).env("HOME", "/");
    assert!(err(&command.output().unwrap()).contains("is missing in"));
}

#[test]
fn an_agent_that_cannot_be_started_is_said_before_anything_else() {
    let mut home = Home::with(&[]);
    home.kill_agent();
    let folder = home.path("alone");
    fs::create_dir(&folder).unwrap();
    let program = installed_in(&folder);
    fs::remove_file(folder.join("touchkeep-agent")).unwrap();
    let said = run(&home, &program, &["read", REFERENCE]);
    assert!(err(&said).contains("touchkeep-agent is missing in"));
    assert!(said.stdout.is_empty() && !said.status.success());
}

#[test]
fn a_link_is_enough_wherever_it_is() {
    let (home, _person) = with_a_value();
    let link = home.path("tk");
    symlink(binary("touchkeep"), &link).unwrap();
    assert!(run(&home, &link, &["status"]).status.success());
    assert_eq!(
        run(&home, &link, &["read", REFERENCE]).stdout,
        SECRET.as_bytes()
    );
}

#[test]
fn the_small_one_starts_the_agent_where_none_runs() {
    let mut home = Home::with(&[]);
    home.kill_agent();
    let said = run(&home, &binary("touchkeep"), &["read", REFERENCE]);
    assert!(err(&said).contains("vault"), "{said:?}");
    let stopped = run(&home, &binary("touchkeep"), &["agent", "stop"]);
    assert!(
        err(&stopped).contains("has locked and ended"),
        "{stopped:?}"
    );
}

#[test]
fn two_versions_do_not_do_half_of_it_each() {
    let home = Home::with(&[]);
    let other = ["--handed-over-by=99.0.0", "status", "--json"];
    let said = run(&home, &binary("touchkeep-agent"), &other);
    assert_eq!(said.status.code(), Some(1));
    assert!(err(&said).contains("99.0.0") && err(&said).contains("both files"));
    let document: Value = serde_json::from_slice(&said.stdout).unwrap();
    judge([("error", &document)]);
    let own = concat!("--handed-over-by=", env!("CARGO_PKG_VERSION"));
    let said = run(&home, &binary("touchkeep-agent"), &[own, "status"]);
    assert!(said.status.success(), "{said:?}");
}

// A terminal where a value is wanted, and `WORDS` are typed until there is an answer.
const AT_A_TERMINAL: &str = r#"
set timeout 30
spawn sh -c {stty -g >before; "$T" read "$REFERENCE"; echo " status $?"; stty -g >after}
expect -re {once} {puts "\nASKED"} timeout {exit 9}
if {$env(WORDS) ne ""} {
    # What is typed before a person can have read the question does not count.
    set timeout 1
    for {set i 0} {$i < 20} {incr i} {
        send "$env(WORDS)\r"
        expect {
            -re { status ([0-9]+)} {break}
            timeout {}
        }
    }
} else {
    expect -re { status ([0-9]+)} {} timeout {exit 8}
}
puts "\nENDED $expect_out(1,string)"
expect eof
"#;

fn at_a_terminal(home: &Home, words: &str) -> Command {
    let mut expect = Command::new("expect");
    expect
        .args(["-c", AT_A_TERMINAL])
        .envs(home.environment())
        .env("T", binary("touchkeep"))
        .env("REFERENCE", REFERENCE)
        .env("WORDS", words)
        .current_dir(home.path(""))
        .stdin(Stdio::null());
    expect
}

fn is_as_before(home: &Home) -> bool {
    fs::read_to_string(home.path("before")).unwrap()
        == fs::read_to_string(home.path("after")).unwrap()
}

#[test]
fn the_terminal_that_wants_a_value_is_asked_and_is_as_it_was_afterwards() {
    let (home, person) = with_a_value();
    drop(person);
    let done = at_a_terminal(&home, "once").output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(said.contains(SECRET) && said.contains("ENDED 0"), "{said}");
    assert!(is_as_before(&home));
    let done = at_a_terminal(&home, "no").output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(!said.contains(SECRET) && said.contains("ENDED 1"), "{said}");
    assert!(is_as_before(&home));
}

#[test]
fn somebody_else_may_answer_and_the_terminal_is_as_it_was() {
    let (home, person) = with_a_value();
    drop(person);
    let log = home.path("said");
    let mut expect = at_a_terminal(&home, "")
        .stdout(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let said = || fs::read_to_string(&log).unwrap();
    wait_for("the question", || said().contains("ASKED").then_some(()));
    let _person = Person::sit_down(&home.paths(), None);
    expect.wait().unwrap();
    assert!(
        said().contains(SECRET) && said().contains("ENDED 0"),
        "{}",
        said()
    );
    assert!(is_as_before(&home));
}
