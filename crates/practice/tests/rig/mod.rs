//! A practice reader of one's own, for one test in one process.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    env,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};
use tempfile::TempDir;

/// The binary under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_touchkeep-practice");
/// pcsc-lite reads its socket's name once in the life of a process.
static USED: AtomicBool = AtomicBool::new(false);

/// A running reader with a card in it.
pub struct Rig {
    child: Child,
    pub folder: TempDir,
    pub ready: Value,
}

impl Rig {
    /// Starts a reader and makes it the one that this process talks to.
    pub fn start(arguments: &[&str]) -> Self {
        let rig = Self::beside(arguments);
        use_socket(rig.socket(), rig.folder.path());
        rig
    }

    /// Starts a reader and leaves this process alone.
    pub fn beside(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = command(&folder.path().join("r"), arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("no ready line ({error}): {:?}", child.wait()));
        assert_eq!(ready["ready"], true);
        Self {
            child,
            folder,
            ready,
        }
    }

    /// Asks the card's control socket.
    pub fn ask(&self, question: &Value) -> Value {
        ask(&self.control(), question)
    }

    /// What the card has seen.
    pub fn state(&self) -> Value {
        self.ask(&json!({ "do": "state" }))
    }

    pub fn control(&self) -> PathBuf {
        PathBuf::from(self.ready["control"].as_str().unwrap())
    }

    pub fn socket(&self) -> &str {
        self.ready["pcsclite_csock_name"].as_str().unwrap()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The process id of this reader's pcscd.
    pub fn pcscd(&self) -> Pid {
        let text = std::fs::read_to_string(self.folder.path().join("r/run/pcscd.pid")).unwrap();
        Pid::from_raw(
            text.trim_matches(|c: char| !c.is_ascii_digit())
                .parse()
                .unwrap(),
        )
        .unwrap()
    }

    /// Tells the reader to stop and waits for it.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        kill_process(self.pid(), Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.stop();
        }
    }
}

/// Makes the reader with this socket, in this folder of ours, the one that this process talks to.
pub fn use_socket(socket: &str, ours: &Path) {
    assert!(
        !USED.swap(true, Ordering::SeqCst),
        "pcsc-lite takes one socket per process: run these tests with `cargo nextest run`, one process per test"
    );
    assert!(
        Path::new(socket).starts_with(ours),
        "never another pcscd than our own"
    );
    #[expect(unsafe_code, reason = "the one way to tell pcsc-lite")]
    // SAFETY: the runner gives each test a process of its own (checked above), and no thread of it runs yet.
    unsafe {
        env::set_var("PCSCLITE_CSOCK_NAME", socket);
    }
}

/// The command that starts a reader in `dir`.
pub fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg("reader")
        .arg("--dir")
        .arg(dir)
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// One question, one answer.
pub fn ask(control: &Path, question: &Value) -> Value {
    let mut stream = UnixStream::connect(control).unwrap();
    writeln!(stream, "{question}").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}
