//! The practice reader as a program: how it starts, stops, refuses, and what its control socket says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests may fail loudly; the rig is shared by several of them"
)]

mod rig;

use rig::{Rig, ask, command};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use serde_json::json;
use std::{
    ffi::CString,
    fs,
    io::{BufRead, BufReader, Write},
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

fn handle(pid: Pid) -> OwnedFd {
    pidfd_open(pid, PidfdFlags::empty()).unwrap()
}

/// Waits until the process behind the handle has ended.
fn ends(handle: &OwnedFd) -> bool {
    let mut waiting = [PollFd::new(handle, PollFlags::IN)];
    poll(
        &mut waiting,
        Some(&Timespec {
            tv_sec: 20,
            tv_nsec: 0,
        }),
    )
    .unwrap()
        == 1
}

#[test]
fn check_says_that_a_reader_can_be_started_here() {
    let output = Command::new(rig::PROGRAM)
        .args(["reader", "check"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn told_to_stop_it_takes_pcscd_with_it_and_cleans_up() {
    let mut rig = Rig::beside(&[]);
    let pcscd = handle(rig.pcscd());
    assert!(rig.stop().success());
    assert!(ends(&pcscd));
    assert!(!rig.control().exists());
    assert!(!fs::exists(rig.socket()).unwrap());
}

#[test]
fn killed_outright_it_still_takes_pcscd_with_it() {
    let rig = Rig::beside(&[]);
    let pcscd = handle(rig.pcscd());
    kill_process(rig.pid(), Signal::KILL).unwrap();
    assert!(ends(&pcscd));
}

#[test]
fn it_ends_with_the_process_that_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("r");
    // A shell that starts the reader, says which process it is, and stays until its input ends.
    let mut shell = Command::new("sh")
        .args([
            "-c",
            "\"$0\" reader --dir \"$1\" </dev/null & echo $!; read -r _",
            rig::PROGRAM,
        ])
        .arg(&dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
    let mut said = [
        lines.next().unwrap().unwrap(),
        lines.next().unwrap().unwrap(),
    ];
    said.sort();
    let reader = handle(Pid::from_raw(said[0].parse().unwrap()).unwrap());
    let pcscd = fs::read_to_string(dir.join("run/pcscd.pid")).unwrap();
    let pcscd = handle(
        Pid::from_raw(
            pcscd
                .trim_matches(|c: char| !c.is_ascii_digit())
                .parse()
                .unwrap(),
        )
        .unwrap(),
    );
    shell.kill().unwrap();
    shell.wait().unwrap();
    assert!(ends(&reader));
    assert!(ends(&pcscd));
}

#[test]
fn it_does_not_end_with_the_thread_that_started_it() {
    let rig = thread::spawn(|| Rig::beside(&[])).join().unwrap();
    assert_eq!(rig.state()["ok"], true);
}

#[test]
fn readers_run_side_by_side_and_know_nothing_of_each_other() {
    let one = Rig::start(&["--serial", "4000000011"]);
    let two = Rig::beside(&["--serial", "4000000012"]);
    assert_eq!(
        (&one.state()["serial"], &two.state()["serial"]),
        (&json!(4_000_000_011_u32), &json!(4_000_000_012_u32))
    );
    let mut seen = yubikey::reader::Context::open().unwrap();
    let serials: Vec<u32> = seen
        .iter()
        .unwrap()
        .filter_map(|reader| reader.open().ok())
        .map(|key| key.serial().0)
        .collect();
    assert_eq!(serials, [4_000_000_011]);
}

#[test]
fn a_folder_holds_one_reader() {
    let rig = Rig::beside(&[]);
    let second = command(&rig.folder.path().join("r"), &[]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&second.stderr)
            .contains("another practice reader runs in this folder")
    );
    assert_eq!(rig.state()["ok"], true, "the first one is not disturbed");
}

#[test]
fn a_path_too_long_for_a_socket_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(&folder.path().join("x".repeat(100)), &[])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("choose a shorter --dir"), "{said}");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing was created"
    );
}

#[test]
fn arguments_that_cannot_be_meant_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["--pin", "12345"][..],
        &["--firmware", "5.4"],
        &["--firmware", "6.0.0"],
        &["--touch", "foot"],
    ] {
        let output = command(&folder.path().join("r"), arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn its_files_are_private() {
    let rig = Rig::beside(&[]);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&rig.folder.path().join("r")), 0o700);
    assert_eq!(mode(&rig.control()), 0o600);
}

#[test]
fn removal_and_insertion_are_seen_by_pcsc() {
    let rig = Rig::start(&[]);
    let context = pcsc::Context::establish(pcsc::Scope::User).unwrap();
    let reader: CString = context.list_readers_owned().unwrap().remove(0);
    let card = context
        .connect(&reader, pcsc::ShareMode::Shared, pcsc::Protocols::T1)
        .unwrap();
    assert_eq!(rig.ask(&json!({ "do": "remove" })), json!({ "ok": true }));
    assert_eq!(rig.state()["inserted"], false);
    assert_eq!(rig.ask(&json!({ "do": "remove" }))["why"], "already out");
    let mut answer = [0; 300];
    let lost = card
        .transmit(&[0x00, 0xFD, 0x00, 0x00], &mut answer)
        .unwrap_err();
    assert!(
        matches!(lost, pcsc::Error::RemovedCard | pcsc::Error::NotTransacted),
        "{lost:?}"
    );
    assert!(matches!(
        context
            .connect(&reader, pcsc::ShareMode::Shared, pcsc::Protocols::T1)
            .map(drop),
        Err(pcsc::Error::NoSmartcard | pcsc::Error::RemovedCard)
    ));
    assert_eq!(rig.ask(&json!({ "do": "insert" })), json!({ "ok": true }));
    context
        .connect(&reader, pcsc::ShareMode::Shared, pcsc::Protocols::T1)
        .unwrap();
}

#[test]
fn the_control_socket_refuses_what_it_does_not_understand() {
    let rig = Rig::beside(&[]);
    for question in [
        json!({}),
        json!({ "do": "dance" }),
        json!({ "do": "touch", "force": true }),
        json!(7),
    ] {
        let answer = rig.ask(&question);
        assert_eq!(answer["ok"], false, "{question}");
        assert!(answer["why"].is_string());
    }
    assert_eq!(
        rig.ask(&json!({ "do": "touch" })),
        json!({ "ok": false, "why": "not waiting" })
    );
    let state = rig.state();
    assert_eq!(
        (&state["touches"], &state["waiting"], &state["pin_tries"]),
        (&json!(0), &json!(false), &json!(3))
    );
}

#[test]
fn a_restarted_reader_has_the_same_card() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("card.json");
    let state = state.to_str().unwrap();
    drop(Rig::beside(&["--state", state, "--serial", "4000000077"]));
    let again = Rig::beside(&["--state", state]);
    assert_eq!(again.ready["serial"], 4_000_000_077_u32);
}

#[test]
fn touch_by_terminal_needs_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    // setsid takes the controlling terminal away, if the test had one.
    let output = Command::new("setsid")
        .args([
            "--wait",
            rig::PROGRAM,
            "reader",
            "--touch",
            "terminal",
            "--dir",
        ])
        .arg(folder.path().join("r"))
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("needs a terminal"));
}

#[test]
fn several_questions_fit_on_one_connection() {
    let rig = Rig::beside(&[]);
    let mut stream = std::os::unix::net::UnixStream::connect(rig.control()).unwrap();
    stream
        .write_all(b"{\"do\":\"state\"}\n{\"do\":\"touch\"}\n")
        .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let answers: Vec<String> = BufReader::new(stream)
        .lines()
        .take(2)
        .map(Result::unwrap)
        .collect();
    assert!(answers[0].contains("\"pin_tries\":3") && answers[1].contains("not waiting"));
    assert_eq!(ask(&rig.control(), &json!({ "do": "state" }))["ok"], true);
}
