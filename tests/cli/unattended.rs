//! Where nobody is there to be asked: that is said, and nobody is waited for.

use std::process::{Command, Stdio};

use serde_json::Value;
use touchkeep_client::vault::VAULT_VARIABLE;
use touchkeep_tests::{binary, wait_for};

use crate::desk::Desk;

#[test]
fn where_nobody_is_there_to_be_asked_nobody_is_waited_for() {
    let Desk {
        home,
        person: _person,
    } = Desk::set();
    let refused = |args: &[&str]| {
        let begun = std::time::Instant::now();
        let done = home.cli(args);
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert!(begun.elapsed().as_secs() < 20, "{args:?} waited: {said}");
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert_eq!(said["error"]["code"], "not-permitted", "{said}");
    };
    // Somebody else may answer as long as he is there.
    let _made = home.json(&["env", "add", "one"]);
    drop(_person);
    // The agent hears of it a moment later.
    let seats = home.paths().ui_socket().display().to_string();
    wait_for("the person's seat to be closed", || {
        let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
        let open = sockets.lines().filter(|line| line.ends_with(&seats));
        // The one that is left is where the next one would come in.
        (open.count() == 1).then_some(())
    });
    refused(&["env", "add", "two"]);
    let file = home.path("items.age").display().to_string();
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    refused(&["export", &file, "-r", recipient]);
    let _locked = home.json(&["lock"]);
    refused(&["unlock"]);
    assert_eq!(home.json(&["status"])["unlocked"], false);
    let unknown = home.cli(&["backup", "restore", "9", "--yes"]);
    assert_eq!(unknown.status.code(), Some(3), "locked");
}

#[test]
fn who_is_waited_for_is_said_where_there_is_no_terminal_and_no_front_end_pretends_to_be_there() {
    let desk = Desk::set();
    let _locked = desk.home.json(&["lock"]);
    let Desk { home, person } = desk;
    drop(person);
    let cli = binary("touchkeep");
    let mut alone = Command::new("setsid");
    alone
        .arg(&cli)
        .arg("unlock")
        .envs(home.environment())
        .env_remove(VAULT_VARIABLE);
    let mut alone = alone
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = std::io::BufReader::new(alone.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    alone.kill().unwrap();
    let _ended = alone.wait().unwrap();
    assert!(
        line.contains("a passphrase (Unlock the vault)") && line.contains("touchkeep approve"),
        "{line}"
    );
    let mut approving = Command::new("setsid");
    approving
        .args(["timeout", "20"])
        .arg(&cli)
        .arg("approve")
        .envs(home.environment());
    let done = approving.stdin(Stdio::null()).output().unwrap();
    assert_eq!(done.status.code(), Some(2), "{done:?}");
    assert!(
        String::from_utf8_lossy(&done.stderr).contains("at a terminal"),
        "{done:?}"
    );
}
