//! systemd's way of starting the agent: it listens, and hands the sockets over at the first call.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use touchkeep_client::{ConnectError, Connection, FrontEnd, Paths};
use touchkeep_wire::{GetStatus, StopAgent};

struct Activator(Child);

impl Drop for Activator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// systemd-socket-activate waits for the first connection, and then becomes the agent with the sockets as descriptors.
fn activate(home: &Path, sockets: &[&Path]) -> Activator {
    let mut command = Command::new("systemd-socket-activate");
    for socket in sockets {
        command.arg("--listen").arg(socket);
    }
    for name in [
        "TOUCHKEEP_HOME",
        "PCSCLITE_CSOCK_NAME",
        "DBUS_SESSION_BUS_ADDRESS",
        "DBUS_SYSTEM_BUS_ADDRESS",
    ] {
        command.arg("--setenv").arg(name);
    }
    let log = fs::File::create(home.join("log")).unwrap();
    let activator = command
        .arg(common::program())
        .env("TOUCHKEEP_HOME", home)
        .arg("agent")
        .env("PCSCLITE_CSOCK_NAME", home.join("no-pcscd"))
        .env(
            "DBUS_SESSION_BUS_ADDRESS",
            format!("unix:path={}", home.join("no-bus").display()),
        )
        .env(
            "DBUS_SYSTEM_BUS_ADDRESS",
            format!("unix:path={}", home.join("no-bus").display()),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("apt install systemd");
    let deadline = Instant::now() + common::PATIENCE;
    while sockets.iter().any(|socket| !is_listened_at(socket)) {
        assert!(Instant::now() < deadline, "nobody listens");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Activator(activator)
}

// Without calling there: the first call starts the agent. A socket has its name before anybody listens at it.
fn is_listened_at(socket: &Path) -> bool {
    const ACCEPTS: &str = "00010000"; // __SO_ACCEPTCON
    let sockets = fs::read_to_string("/proc/net/unix").unwrap();
    let socket = socket.to_str().unwrap();
    sockets.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.nth(3) == Some(ACCEPTS) && words.last() == Some(socket)
    })
}

fn private(home: &Path) -> Paths {
    let paths = Paths::below(home);
    fs::create_dir(&paths.run).unwrap();
    fs::set_permissions(&paths.run, PermissionsExt::from_mode(0o700)).unwrap();
    paths
}

#[tokio::test]
async fn the_agent_takes_over_what_systemd_listens_at() {
    let home = tempfile::tempdir().unwrap();
    let paths = private(home.path());
    let (agent, ui) = (paths.agent_socket(), paths.ui_socket());
    let activator = activate(home.path(), &[&ui, &agent]);
    assert!(!paths.lock_file().exists(), "it runs before anybody called");
    let before = fs::symlink_metadata(&agent).unwrap();
    let client = Connection::connect(&agent, "first").await.unwrap();
    assert!(!client.call(GetStatus {}).await.unwrap().unlocked);
    assert_eq!(client.welcome().pid, activator.0.id());
    // A front end finds its own socket: neither is taken for the other.
    let (front, _events) = FrontEnd::connect(&ui, "front").await.unwrap().split();
    front.call(touchkeep_wire::ListPrompts {}).await.unwrap();
    let after = fs::symlink_metadata(&agent).unwrap();
    assert_eq!(
        std::os::unix::fs::MetadataExt::ino(&before),
        std::os::unix::fs::MetadataExt::ino(&after),
        "it has not listened anew"
    );
    client.call(StopAgent {}).await.unwrap();
}

#[tokio::test]
async fn sockets_at_another_place_are_not_taken_for_ours() {
    let home = tempfile::tempdir().unwrap();
    let paths = private(home.path());
    let elsewhere = home.path().join("elsewhere.sock");
    let _activator = activate(home.path(), &[&elsewhere]);
    let _first = tokio::net::UnixStream::connect(&elsewhere).await.unwrap();
    let deadline = Instant::now() + common::PATIENCE;
    let client = loop {
        match Connection::connect(&paths.agent_socket(), "client").await {
            Ok(client) => break client,
            Err(ConnectError::NotRunning) if Instant::now() < deadline => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    client.call(GetStatus {}).await.unwrap();
    let said = fs::read_to_string(home.path().join("log")).unwrap();
    assert!(said.contains("systemd listens at another place"), "{said}");
    client.call(StopAgent {}).await.unwrap();
}
