//! A program beside us and in our place: how its end is told, what signals do, what of its output comes through.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail loudly"
)]

mod support;

use std::{
    io::{Read, Write},
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use support::{HIDDEN, SECRET, masked};

fn sh(way: &str, script: &str) -> Output {
    masked(way)
        .args(["sh", "-c", script])
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_status_is_the_programs_own_in_every_way() {
    for way in ["exec", "beside", "pipes"] {
        for status in [0, 1, 42, 125, 255] {
            let output = sh(way, &format!("exit {status}"));
            assert_eq!(output.status.code(), Some(status), "{way}");
        }
        for signal in ["TERM", "KILL", "SEGV", "HUP"] {
            // In our place the program is what is killed; a shell says the same of both.
            let bare = masked("beside")
                .args(["sh", "-c", &format!("kill -{signal} $$")])
                .output()
                .unwrap();
            let expected = 128
                + text(
                    &std::process::Command::new("kill")
                        .args(["-l", signal])
                        .output()
                        .unwrap()
                        .stdout,
                )
                .trim()
                .parse::<i32>()
                .unwrap();
            assert_eq!(bare.status.code(), Some(expected), "{way} {signal}");
        }
        assert_eq!(
            masked(way)
                .arg("/no/such/program")
                .output()
                .unwrap()
                .status
                .code(),
            Some(127),
            "{way}"
        );
        assert_eq!(
            masked(way)
                .arg("/etc/passwd")
                .output()
                .unwrap()
                .status
                .code(),
            Some(126),
            "{way}"
        );
        assert_eq!(
            masked(way).arg("/").output().unwrap().status.code(),
            Some(126),
            "{way}"
        );
    }
}

#[test]
fn output_and_errors_stay_apart_and_are_masked() {
    let output = sh("pipes", "echo out $FIRST; echo err $FIRST >&2");
    assert_eq!(text(&output.stdout), format!("out {HIDDEN}\n"));
    assert_eq!(text(&output.stderr), format!("err {HIDDEN}\n"));
    let bare = sh("beside", "echo $FIRST");
    assert_eq!(text(&bare.stdout), format!("{SECRET}\n"));
}

#[test]
fn a_value_that_is_split_over_writes_is_masked() {
    let script = "import os,time\nfor c in os.environ['FIRST'] + '!':\n os.write(1, c.encode())\n";
    let output = masked("pipes")
        .args(["python3", "-c", script])
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), format!("{HIDDEN}!"));
    let halves = "import os,time\nv=os.environ['FIRST'];n=len(v)//2+1\nos.write(1,v[:n].encode());time.sleep(5.5);os.write(1,v[n:].encode())\n";
    let output = masked("pipes")
        .args(["python3", "-c", halves])
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stdout),
        HIDDEN,
        "more than half of a value waits for the rest, however long"
    );
}

#[test]
fn bytes_of_any_kind_come_through_as_they_are() {
    let script = "import sys,random\nr=random.Random(1)\nd=bytes(range(256))*64+r.randbytes(3000000)\nsys.stdout.buffer.write(d)\n";
    let output = masked("pipes")
        .args(["python3", "-c", script])
        .output()
        .unwrap();
    let plain = std::process::Command::new("python3")
        .args(["-c", script])
        .output()
        .unwrap();
    assert!(
        output.stdout == plain.stdout,
        "{} bytes of {}",
        output.stdout.len(),
        plain.stdout.len()
    );
}

#[test]
fn a_prompt_without_a_line_break_is_not_held_back() {
    // The prompt ends with the first letters of the value.
    let mut child = masked("pipes")
        .args([
            "sh",
            "-c",
            "printf 'name: s3c'; read name; echo hello $name",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = [0; 9];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut seen)
        .unwrap();
    assert_eq!(&seen, b"name: s3c");
    child.stdin.take().unwrap().write_all(b"zoe\n").unwrap();
    assert_eq!(
        text(&child.wait_with_output().unwrap().stdout),
        "hello zoe\n"
    );
}

#[test]
fn signals_reach_the_program() {
    for (signal, status) in [("TERM", 71), ("INT", 72), ("HUP", 73), ("USR1", 74)] {
        let script = "trap 'exit 71' TERM; trap 'exit 72' INT; trap 'exit 73' HUP; trap 'exit 74' USR1; echo ready; while :; do sleep 0.05; done";
        let mut child = masked("pipes")
            .args(["bash", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut ready)
            .unwrap();
        let sent = std::process::Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), Some(status), "{signal}");
    }
}

#[test]
fn a_hang_up_that_the_leader_of_the_session_alone_gets_reaches_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = "trap 'echo hung up; exit 73' HUP; echo $$; while :; do sleep 0.05; done";
    let line = format!(
        "exec {} pipes -- bash -c \"{}\" >{} 2>&1",
        support::program().display(),
        script.replace('$', "\\$"),
        log.display()
    );
    // `script` makes a session, whose leader becomes us; when it is gone, the terminal is.
    let mut terminal = std::process::Command::new("script")
        .args(["-qfec", &line, "/dev/null"])
        .env("VALUES", SECRET)
        .env("SHELL", "/bin/bash")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let said = |wanted: &dyn Fn(&str) -> bool| {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            if wanted(&said) || Instant::now() > end {
                return said;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let pid = said(&|said| said.ends_with('\n'));
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    let heard = said(&|said| said.contains("hung up"));
    if !heard.contains("hung up") {
        let _ended = std::process::Command::new("kill")
            .args(["-KILL", pid.trim()])
            .status();
    }
    assert!(heard.contains("hung up"), "{heard}");
}

#[test]
fn a_reader_that_goes_away_ends_the_program_as_it_would_without_us() {
    let begun = Instant::now();
    let mut child = masked("pipes")
        .args(["yes"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut some = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 13));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_is_inherited_stays_so() {
    let script = "trap '' USR1; exec \"$@\"";
    let program = support::program();
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            script,
            "sh",
            program.to_str().unwrap(),
            "pipes",
            "--",
            "grep",
            "Sig[BI]",
            "/proc/self/status",
        ])
        .env("VALUES", SECRET)
        .output()
        .unwrap();
    let bare = std::process::Command::new("sh")
        .args(["-c", script, "sh", "grep", "Sig[BI]", "/proc/self/status"])
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stdout),
        text(&bare.stdout),
        "blocked and ignored signals"
    );
}

#[test]
fn closed_streams_are_no_trouble() {
    let program = support::program();
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let script = format!("\"$0\" pipes -- sh -c 'exit 9' {closed}; echo $?");
        let output = std::process::Command::new("sh")
            .args(["-c", &script, program.to_str().unwrap()])
            .env("VALUES", SECRET)
            .output()
            .unwrap();
        assert_eq!(
            text(&output.stdout),
            "9\n",
            "{closed}: {}",
            text(&output.stderr)
        );
    }
}

#[test]
fn with_few_descriptors_it_works_or_says_why() {
    let program = support::program();
    for limit in 3..16 {
        let script = format!("ulimit -n {limit}; exec \"$0\" pipes -- /bin/true");
        let output = std::process::Command::new("bash")
            .args(["-c", &script, program.to_str().unwrap()])
            .env("VALUES", SECRET)
            .output()
            .unwrap();
        let code = output.status.code().unwrap();
        let said = text(&output.stderr);
        assert!(
            code == 0
                || (code >= 125 && said.contains("Too many open files"))
                || said.contains("error while loading"),
            "{limit}: {code} {said}"
        );
    }
}

#[test]
fn a_large_environment_and_a_signal_storm_change_nothing() {
    let big = "x".repeat(100_000);
    let mut command = masked("pipes");
    for number in 0..10 {
        command.env(format!("BIG_{number}"), &big);
    }
    let output = command
        .args(["sh", "-c", "printf %s \"$BIG_9\" | wc -c"])
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout).trim(), "100000");
    let mut child = masked("pipes").args(["bash", "-c", "trap : USR1; echo ready; n=0; while [ $n -lt 40 ]; do sleep 0.01; n=$((n+1)); done; exit 5"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut ready)
        .unwrap();
    let storm = format!(
        "for i in $(seq 200); do kill -USR1 {0} 2>/dev/null; done",
        child.id()
    );
    std::process::Command::new("bash")
        .args(["-c", &storm])
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(5));
}
