//! A practice card in a reader of its own, and a test that runs where nothing but that card can be seen.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly, and each uses a part of this"
)]

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
};

#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "campaigns say what they did; shared with those against the vault"
)]
#[path = "../../../vault/tests/faults/tally.rs"]
pub(crate) mod tally;

pub(crate) mod line;

use line::Line;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use touchkeep_core::Pin;
use touchkeep_device::{Auth, Device, DeviceInfo, Provision};
use touchkeep_device_piv::{Options, PivDevice, list};

/// Where the child process of a test finds its card. Set by [`on_a_card`] alone.
const RIG: &str = "TOUCHKEEP_TEST_RIG";
const SOCKET: &str = "PCSCLITE_CSOCK_NAME";
/// In the rig's folder: the socket of its pcscd, and that of a line to it.
const PCSCD: &str = "run/pcscd.comm";
const WATCHED: &str = "watched.comm";

/// The PIN and PUK that [`Card::enrolled`] sets.
pub(crate) const PIN: &str = "314159";
pub(crate) const PUK: &str = "27182818";

/// Runs `body` as a process of its own that sees one practice card and no other reader. `test` is the test's own name:
/// libpcsclite reads its socket's name once per process, so the process is started with it.
pub(crate) fn on_a_card(test: &str, reader_options: &[&str], body: fn(&Card)) {
    if let Some(dir) = env::var_os(RIG) {
        return body(&Card::in_child(PathBuf::from(dir)));
    }
    let dir = tempfile::tempdir().unwrap();
    let _reader = Reader::start(dir.path(), reader_options);
    in_a_process(test, dir.path(), PCSCD);
}

/// The same with a [`Line`] between the test and pcscd.
pub(crate) fn on_a_watched_card(test: &str, reader_options: &[&str], body: fn(&Card, &Line)) {
    if let Some(dir) = env::var_os(RIG) {
        let dir = PathBuf::from(dir);
        let line = Line::lay(&dir.join(WATCHED), dir.join(PCSCD));
        return body(&Card::in_child(dir), &line);
    }
    let dir = tempfile::tempdir().unwrap();
    let _reader = Reader::start(dir.path(), reader_options);
    in_a_process(test, dir.path(), WATCHED);
}

/// The same without a reader: the body starts readers in this folder itself, one after the other.
pub(crate) fn in_a_folder(test: &str, body: fn(&Path)) {
    if let Some(dir) = env::var_os(RIG) {
        return body(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    in_a_process(test, dir.path(), PCSCD);
}

fn in_a_process(test: &str, dir: &Path, socket: &str) {
    let output = Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(RIG, dir)
        .env(SOCKET, dir.join(socket))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A practice reader that ends with this value.
pub(crate) struct Reader(Child);

impl Reader {
    pub(crate) fn start(dir: &Path, options: &[&str]) -> Self {
        let mut child = Command::new(practice())
            .args(["reader", "--dir"])
            .arg(dir)
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("the practice reader says ready");
        assert_eq!(ready["ready"], true, "{line}");
        Self(child)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, Signal::TERM).unwrap();
        self.0.wait().unwrap();
    }
}

/// The binary of the practice card.
pub(crate) fn practice() -> PathBuf {
    let beside = || {
        let deps = env::current_exe().unwrap();
        deps.parent()
            .unwrap()
            .parent()
            .unwrap()
            .join("touchkeep-practice")
    };
    let path = env::var_os("TOUCHKEEP_PRACTICE").map_or_else(beside, PathBuf::from);
    assert!(
        path.exists(),
        "{} is missing: `cargo build -p touchkeep-practice`, or name it in TOUCHKEEP_PRACTICE",
        path.display()
    );
    path
}

/// Whether everything is tried: in a campaign (`TOUCHKEEP_SOAK`), else a part of it.
pub(crate) fn is_campaign() -> bool {
    tally::soak() > 0
}

/// How often the long tests go round: once, in a campaign as often as it says.
pub(crate) fn rounds() -> usize {
    tally::soak().max(1)
}

/// The card of this test.
pub(crate) struct Card {
    pub(crate) dir: PathBuf,
}

impl Card {
    fn in_child(dir: PathBuf) -> Self {
        let socket = env::var_os(SOCKET).expect("a private pcscd");
        let ours = [PCSCD, WATCHED].map(|name| dir.join(name));
        assert!(ours.iter().any(|path| path.as_os_str() == socket));
        assert!(fs::exists(&socket).unwrap(), "no private pcscd");
        Self { dir }
    }

    /// One question to the card's control socket.
    pub(crate) fn ask(&self, question: &str) -> Value {
        ask(&self.dir, question)
    }

    /// All that the card knows of itself, but for how often it was asked.
    pub(crate) fn standing(&self) -> Value {
        let mut state = self.ask(r#"{"do":"state"}"#);
        state.as_object_mut().unwrap().remove("apdus");
        state
    }

    /// How often a PIN was presented, and tries that it has left, as the card counts them.
    pub(crate) fn verified(&self) -> (u64, u64) {
        let state = self.ask(r#"{"do":"state"}"#);
        (
            state["verify_count"].as_u64().unwrap(),
            state["pin_tries"].as_u64().unwrap(),
        )
    }

    /// Touches the card as soon as it waits for it.
    pub(crate) fn finger(&self) -> JoinHandle<bool> {
        let dir = self.dir.clone();
        thread::spawn(move || ask(&dir, r#"{"do":"touch","wait_ms":10000}"#)["ok"] == true)
    }

    /// The serial number of the one card that can be seen.
    pub(crate) fn serial(&self) -> u32 {
        let found = list().unwrap();
        assert_eq!(found.len(), 1);
        found[0].serial
    }

    /// The card as a device, opened.
    pub(crate) fn open(&self) -> PivDevice {
        PivDevice::open(self.serial(), Options::default()).unwrap()
    }

    /// The card with our PIN and PUK and the keys of a vault.
    pub(crate) fn enrolled(&self) -> (PivDevice, Pin) {
        let (pin, puk) = (Pin::new(PIN.into()), Pin::new(PUK.into()));
        let mut device = self.open();
        device.change_factory_secrets(&pin, &puk).unwrap();
        let info: DeviceInfo = device.provision(Auth::Pin(&pin)).unwrap();
        assert_eq!(&info, device.info());
        (device, pin)
    }
}

fn ask(dir: &Path, question: &str) -> Value {
    let mut stream = UnixStream::connect(dir.join("card.sock")).unwrap();
    writeln!(stream, "{question}").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}
