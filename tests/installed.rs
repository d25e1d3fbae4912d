//! Two files, one program: the small one that is typed, and the large one beside it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    fs,
    os::unix::fs::{OpenOptionsExt, symlink},
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use touchkeep_tests::{Home, Person, binary, installed_in, judge, need_root, wait_for};

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
    for question in ["--version", "-V"] {
        let small = run(&home, &binary("touchkeep"), &[question]);
        let large = run(&home, &binary("touchkeep-agent"), &[question]);
        assert!(small.status.success());
        assert_eq!(small.stdout, large.stdout);
    }
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

// What `readelf` of binutils says of a program.
fn readelf(option: &str, program: &Path) -> String {
    let done = Command::new("readelf")
        .args([option, "-W"])
        .arg(program)
        .output();
    String::from_utf8(done.expect("apt install binutils").stdout).unwrap()
}

// The address and the flags of the first segment of a kind.
fn segment(program: &Path, kind: &str) -> Option<(u64, String)> {
    let said = readelf("-l", program);
    let line = said
        .lines()
        .find(|line| line.trim_start().starts_with(kind))?;
    let fields: Vec<&str> = line.split_whitespace().collect();
    let address = u64::from_str_radix(fields[2].trim_start_matches("0x"), 16).unwrap();
    Some((address, fields[6..fields.len() - 1].concat()))
}

#[test]
fn both_files_are_position_independent_and_read_only_where_they_were_relocated() {
    for name in ["touchkeep", "touchkeep-agent"] {
        let program = binary(name);
        assert!(
            readelf("-h", &program).contains("DYN (Position-Independent"),
            "{name}"
        );
        let said = readelf("-l", &program);
        assert!(segment(&program, "GNU_RELRO").is_some(), "{name}: {said}");
        assert_eq!(segment(&program, "GNU_STACK").unwrap().1, "RW", "{name}");
        let mut loaded = said
            .lines()
            .filter(|line| line.trim_start().starts_with("LOAD"));
        assert!(loaded.all(|line| !line.contains("RWE")), "{name}: {said}");
        let said = readelf("-d", &program);
        assert!(!said.contains("TEXTREL"), "{name}: {said}");
        // What is loaded is bound before the first instruction, so that no table of addresses stays writable.
        let is_bound = said.contains("BIND_NOW") || said.contains("Flags: NOW");
        assert!(is_bound || !said.contains("(NEEDED)"), "{name}: {said}");
    }
}

// It waits for its template, and is looked at meanwhile: where it is, and with what right its relocated part is mapped.
fn mapped(home: &Home) -> (u64, String) {
    let program = binary("touchkeep");
    let (relocated, _) = segment(&program, "GNU_RELRO").unwrap();
    let template = home.path("template");
    let made = Command::new("mkfifo").arg(&template).status().unwrap();
    assert!(made.success());
    let mut command = home.touchkeep();
    command.arg("inject").arg("-i").arg(&template);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    // Without O_NONBLOCK this would wait, and with it this fails until the other end is open (fifo(7)).
    let mut options = fs::OpenOptions::new();
    options.write(true).custom_flags(0o4000);
    let filled = wait_for("its template", || options.open(&template).ok());
    let maps = fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
    drop(filled);
    child.wait().unwrap();
    fs::remove_file(&template).unwrap();
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    let own: Vec<(u64, u64, &str)> = maps
        .lines()
        .filter(|line| line.ends_with(program.to_str().unwrap()))
        .map(|line| {
            let (place, rest) = line.split_once(' ').unwrap();
            let (from, to) = place.split_once('-').unwrap();
            (number(from), number(to), &rest[..4])
        })
        .collect();
    let base = own[0].0;
    let there = base + relocated;
    let right = own
        .iter()
        .find(|(from, to, _)| (*from..*to).contains(&there));
    (base, right.unwrap_or_else(|| panic!("{maps}")).2.to_owned())
}

#[test]
fn the_small_file_lies_elsewhere_each_time_and_its_addresses_cannot_be_written_to() {
    need_root();
    let home = Home::with(&[]);
    let (first, second) = (mapped(&home), mapped(&home));
    assert_eq!((first.1.as_str(), second.1.as_str()), ("r--p", "r--p"));
    assert_ne!(first.0, second.0);
}
