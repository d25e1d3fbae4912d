//! A disk that is full, or fails, where something must be written down before anything is signed: A-07 and S-07 at the agent.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use touchkeep_tests::{Home, Running, need_root, wait_for};

use crate::{
    desk::{Act, Desk},
    tally::Tally,
};

const INSIDE: &str = "TOUCHKEEP_FAULT_INSIDE";

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {arguments:?}: {said}");
}

// Runs the test that is named once more, where it may mount what it likes.
fn inside(test: &str) {
    let mut unshare = Command::new("unshare");
    let root =
        fs::metadata("/proc/self").is_ok_and(|us| std::os::unix::fs::MetadataExt::uid(&us) == 0);
    // Who is not root is so in a name space of his own.
    unshare.args(if root { &["-m"][..] } else { &["-r", "-m"] });
    let done = unshare
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare is installed");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(
        done.status.success(),
        "a file system of its own is needed for this test; where mounting is forbidden it cannot run.\n{said}"
    );
    print!("{said}");
}

#[test]
fn a_disk_that_is_really_full_lets_nothing_be_done_until_there_is_space() {
    if env::var(INSIDE).is_err() {
        return inside(
            "disk::a_disk_that_is_really_full_lets_nothing_be_done_until_there_is_space",
        );
    }
    let mut tally = Tally::new("A-07 S-07", "requests while the agent's disk is full");
    let mut home = Home::new(None);
    home.kill_agent();
    let data = home.paths().data;
    let folder = data.display().to_string();
    run(
        "mount",
        &["-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", &folder],
    );
    home.start_agent();
    let desk = Desk::set(home);
    for (act, number) in Act::ALL.into_iter().zip(1..) {
        assert_eq!(desk.ask(act, number).unwrap().0, 200, "there is space");
    }
    for act in Act::ALL {
        for round in 0..5 {
            let (full, after) = (10 + round * 2, 11 + round * 2);
            let last = desk.last_row();
            fill(&data);
            let answer = desk.ask(act, full);
            fs::remove_file(data.join("filler")).unwrap();
            let arrived = desk.arrived(act, full).len();
            let intents = desk.rows(last).intents.len();
            let again = desk.ask(act, after).map(|(status, _)| status);
            let refused = answer
                .as_ref()
                .is_some_and(|(_, body)| body.contains("Touchkeep: "));
            let held =
                (arrived == 0 && intents == 0 && refused && again == Some(200) && desk.is_sound())
                    .then_some(())
                    .ok_or_else(|| {
                        format!("{arrived} arrived, {intents} recorded, {answer:?}, then {again:?}")
                    });
            tally.tried(|| format!("{act:?}"), held);
        }
    }
}

// Until not one byte more can be written, nor a page be taken for what is mapped.
fn fill(folder: &Path) {
    let mut file = fs::File::create(folder.join("filler")).unwrap();
    for size in [65536, 4096, 1] {
        let part = vec![0; size];
        while std::io::Write::write_all(&mut file, &part).is_ok() {}
    }
}

#[test]
fn a_number_that_cannot_be_kept_is_not_used() {
    struck(
        "state.sqlite",
        Act::Numbered,
        "A-07 S-02",
        "the number of a request cannot be written down",
    );
}

#[test]
fn a_row_that_is_not_on_disk_lets_nothing_be_signed() {
    struck(
        "audit",
        Act::Order,
        "A-07 S-07",
        "the row of a request cannot be written down",
    );
}

// Every write to a file fails, while a request comes.
fn struck(file: &str, act: Act, id: &'static str, what: &str) {
    need_root();
    let mut tally = Tally::new(id, what);
    let desk = Desk::set(Home::new(None));
    assert_eq!(desk.ask(act, 0).unwrap().0, 200);
    let mut number = 0;
    for error in ["ENOSPC", "EIO", "EROFS", "EDQUOT"] {
        for calls in ["pwrite64,write,pwritev,writev", "fdatasync,fsync"] {
            // What the kernel says of a sync that could not be done is one error for all causes but one.
            if calls.starts_with("fdatasync") && error == "EROFS" {
                continue;
            }
            number += 2;
            let last = desk.last_row();
            let fault = Injected::into(&desk, file, calls, error);
            let answer = desk.ask(act, number);
            drop(fault);
            let arrived = desk.arrived(act, number).len();
            let rows = desk.rows(last);
            let again = desk.ask(act, number + 1).map(|(status, _)| status);
            let done = rows.outcomes.iter().any(|row| row.decision != "failed");
            let refused = answer
                .as_ref()
                .is_some_and(|(_, body)| body.contains("Touchkeep: "));
            let held = (arrived == 0 && !done && refused && again == Some(200) && desk.is_sound())
                .then_some(())
                .ok_or_else(|| format!("{arrived} arrived, {rows:?}, {answer:?}, then {again:?}"));
            tally.tried(|| format!("{error} of {calls}"), held);
        }
    }
}

/// A tracer beside the agent, that makes calls on some files fail for as long as it is there.
struct Injected {
    strace: Running,
    agent: u32,
}

impl Injected {
    fn into(desk: &Desk, file: &str, calls: &str, error: &str) -> Self {
        let agent = desk.home.agent_pid();
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-p"]);
        command.arg(agent.to_string());
        for found in fs::read_dir(desk.home.paths().data).unwrap() {
            let path = found.unwrap().path();
            if path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(file)
            {
                command.arg("-P").arg(path);
            }
        }
        command.args([
            "-e",
            &format!("trace={calls}"),
            "-e",
            &format!("inject={calls}:error={error}"),
        ]);
        command.stdout(Stdio::null());
        let strace = Running::start(command);
        let this = Self { strace, agent };
        wait_for("the tracer", || this.traces(true).then_some(()));
        this
    }

    // Whether all threads of the agent are traced, or none.
    fn traces(&self, all: bool) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.agent)).unwrap();
        tasks.flatten().all(|task| {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            status.contains("TracerPid:\t0\n") != all
        })
    }
}

impl Drop for Injected {
    fn drop(&mut self) {
        let pid = self.strace.pid().to_string();
        let _gone = Command::new("kill").args(["-INT", &pid]).status();
        wait_for("the tracer's end", || self.traces(false).then_some(()));
    }
}
