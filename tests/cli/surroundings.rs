//! What a shell hands to the program: a full disk, a closed stream, few open files, a home that cannot be, a lock.

use std::{
    io::Read,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use touchkeep_tests::{Home, binary};

use crate::desk::Desk;

#[test]
fn a_result_that_could_not_be_written_is_no_success() {
    let desk = Desk::set();
    desk.add("x", "login", "pw", &["--field", "username=u"]);
    let ends = |args: &[&str], to: &str| {
        let mut verb = desk.home.touchkeep();
        verb.args(args).stdin(Stdio::null()).stderr(Stdio::piped());
        verb.stdout(std::fs::OpenOptions::new().write(true).open(to).unwrap());
        let done = verb.output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        (done.status.code(), said)
    };
    for args in [
        &["policy", "show"][..],
        &["audit", "checkpoint"],
        &["list", "--json"],
        &["status"],
        &["completions", "bash"],
        &["audit", "export"],
    ] {
        let (code, said) = ends(args, "/dev/full");
        assert_eq!(code, Some(1), "{args:?}: {said}");
        assert!(said.contains("No space left on device"), "{args:?}: {said}");
        assert_eq!(ends(args, "/dev/null").0, Some(0), "{args:?}");
    }
    // A stream that was closed, and what node and Python open for an output that nobody wants.
    let shell = |line: &str| {
        let program = binary("touchkeep").display().to_string();
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &format!("T={program}; {line}")])
            .envs(desk.home.environment())
            .stdin(Stdio::null());
        let done = shell.output().unwrap();
        (
            done.status.code(),
            String::from_utf8(done.stderr).unwrap() + &String::from_utf8(done.stdout).unwrap(),
        )
    };
    for verb in [
        "list",
        "list --json",
        "status",
        "completions bash",
        "audit export",
        "help add",
        "--help",
        "--version",
        "read tk://prod/x/username",
    ] {
        let (code, said) = shell(&format!("$T {verb} >&-"));
        assert_eq!(code, Some(1), "{verb}: {said}");
        assert!(said.contains("Bad file descriptor"), "{verb}: {said}");
        let unwanted = shell(&format!("$T {verb} 1<>/dev/null"));
        assert_eq!(unwanted, (Some(0), String::new()), "{verb}");
    }
    // What has nothing to say there has lost nothing.
    assert_eq!(shell("$T lock >&-").0, Some(0));
    desk.run(&["unlock"]);
    // Whoever has read enough is no failure.
    let mut verb = desk.home.touchkeep();
    verb.arg("policy")
        .arg("show")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut verb = verb.spawn().unwrap();
    drop(verb.stdout.take());
    let done = verb.wait_with_output().unwrap();
    assert_eq!(
        (done.status.code(), done.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

#[test]
fn with_few_open_files_it_works_or_says_why() {
    let desk = Desk::set();
    let program = binary("touchkeep").display().to_string();
    for (verb, enough) in [("status", 12), ("list", 12), ("agent", 0)] {
        for limit in 4..=14 {
            let mut shell = Command::new("bash");
            let line = format!("ulimit -n {limit}; exec {program} {verb}");
            shell.args(["-c", &line]).stdin(Stdio::null());
            let done = shell.envs(desk.home.environment()).output().unwrap();
            let said = String::from_utf8(done.stderr).unwrap();
            let code = done.status.code();
            let clear = said.contains("Too many open files")
                || said.contains("error while loading")
                || said.contains("another agent runs already");
            assert!(
                code == Some(0) || (matches!(code, Some(1 | 127)) && clear),
                "{verb}, {limit}: {code:?} {said}"
            );
            assert!(
                enough == 0 || limit < enough || code == Some(0),
                "{verb}, {limit}: {said}"
            );
        }
    }
}

#[test]
fn a_home_that_cannot_be_is_not_passed_over_for_the_usual_one() {
    let desk = Desk::set();
    let elsewhere = desk.home.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let long = elsewhere.join("x".repeat(120)).display().to_string();
    for (named, what, fix) in [
        (
            "demo",
            "TOUCHKEEP_HOME is no absolute path",
            "by its whole path",
        ),
        (&long, "must be shorter than SUN_LEN", "Name a shorter one"),
    ] {
        for args in [&["status"][..], &["read", "tk://prod/openai/secret"]] {
            let mut verb = desk.home.touchkeep();
            verb.args(args).current_dir(&elsewhere);
            verb.env("TOUCHKEEP_HOME", named).env("HOME", &elsewhere);
            for name in [
                "XDG_RUNTIME_DIR",
                "XDG_DATA_HOME",
                "XDG_STATE_HOME",
                "XDG_CONFIG_HOME",
            ] {
                verb.env_remove(name);
            }
            let done = verb.output().unwrap();
            let said = String::from_utf8(done.stderr).unwrap();
            assert_eq!(done.status.code(), Some(1), "{said}");
            assert!(said.contains(what) && said.contains(fix), "{said}");
        }
    }
    assert!(!elsewhere.join(".local").exists() && !elsewhere.join("demo").exists());
}

#[test]
fn an_agent_that_a_command_started_holds_nothing_of_what_the_command_had_open() {
    let mut home = Home::with(&[]);
    home.kill_agent();
    let lock = home.path("lock").display().to_string();
    let mut first = Command::new("bash");
    // With a pipe of ours besides, which ends when nobody has it any more.
    first
        .args([
            "-c",
            "exec flock -n \"$0\" \"$1\" status 7>&1 >/dev/null",
            &lock,
        ])
        .arg(binary("touchkeep"))
        .envs(home.environment())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut first = first.spawn().unwrap();
    let mut pipe = first.stdout.take().unwrap();
    assert!(first.wait().unwrap().success());
    let pid = home.json(&["status"])["pid"].clone();
    let again = Command::new("flock")
        .args(["-n", &lock, "true"])
        .status()
        .unwrap();
    let (tell, told) = mpsc::channel();
    let _reading = thread::spawn(move || {
        let mut rest = Vec::new();
        let _gone = Read::read_to_end(&mut pipe, &mut rest);
        let _ended = tell.send(());
    });
    let ended = told.recv_timeout(Duration::from_secs(5));
    let still = home.json(&["status"])["pid"].clone();
    let _stopped = home.cli(&["agent", "stop"]);
    assert_eq!(pid, still, "one agent all the time");
    assert!(again.success(), "the lock is held");
    assert!(ended.is_ok(), "the pipe is open");
}
