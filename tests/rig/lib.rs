//! What the end-to-end tests stand on: private folders, real binaries, and an end for every process that they started.
//!
//! Nothing here addresses a reader, token, module, file or port that it did not make itself: each [`Home`] is a temporary
//! folder with an agent of its own, each [`Card`] a private pcscd, each [`Venue`] an exchange on a free port.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test rig fails loudly"
)]

mod memory;
mod person;
mod schema;
mod screen;
mod terminal;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

pub use memory::{Canary, Found, assert_nothing, need_root, search_files, search_memory};
pub use person::{Mind, Person};
pub use schema::{is_known, judge};
pub use screen::{Bus, Dunst, Screen};
use serde_json::Value;
use tempfile::TempDir;
use touchkeep_client::{Connection, Paths, vault::VAULT_VARIABLE};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The binary of this build with that name.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is missing: run through ./dev test, or `cargo build --workspace --bins` first",
        path.display()
    );
    path
}

/// Copies of the command line's two files, in a folder where another user may come, or that a test may change. The one that
/// is typed.
#[must_use]
pub fn installed_in(folder: &Path) -> PathBuf {
    for name in ["touchkeep", "touchkeep-agent"] {
        std::fs::copy(binary(name), folder.join(name)).unwrap();
    }
    folder.join("touchkeep")
}

/// Waits for a condition.
///
/// # Panics
/// When it does not come within [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            Instant::now() < end,
            "{what} did not come within {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that ends with the test.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts a program and reads the JSON line that says that it is ready.
    #[must_use]
    pub fn ready(mut command: Command) -> (Self, Value) {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{command:?} said {line:?}: {error}"));
        (Self(child), ready)
    }

    /// Starts a program.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        Self(
            command
                .stdin(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("{command:?}: {error}")),
        )
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has not ended by itself.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGTERM first, so that a rig can take its pcscd along; then no mercy.
        let pid = self.0.id().to_string();
        let _gone = Command::new("kill")
            .args(["-TERM", &pid])
            .stderr(Stdio::null())
            .status();
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            if matches!(self.0.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// A practice exchange.
#[derive(Debug)]
pub struct Venue {
    _process: Running,
    /// Where requests go.
    pub url: String,
    control: String,
}

impl Venue {
    /// Opens for business.
    #[must_use]
    pub fn open() -> Self {
        let mut command = Command::new(binary("touchkeep-practice"));
        command.arg("venue");
        Self::run(command)
    }

    /// Another program that is an exchange with the same web site.
    #[must_use]
    pub fn run(command: Command) -> Self {
        let (process, ready) = Running::ready(command);
        Self {
            _process: process,
            url: ready["url"].as_str().unwrap().into(),
            control: ready["control"].as_str().unwrap().into(),
        }
    }

    /// Makes an HMAC key: its name and its secret.
    #[must_use]
    pub fn hmac_key(&self, permissions: &[&str]) -> (String, String) {
        self.hmac_key_of("binance", permissions)
    }

    /// The same, for the exchange that it plays under that name.
    #[must_use]
    pub fn hmac_key_of(&self, dialect: &str, permissions: &[&str]) -> (String, String) {
        let key = self.control(
            "POST",
            "/keys",
            &serde_json::json!({ "label": "k", "dialect": dialect, "type": "hmac", "permissions": permissions }),
        );
        (
            key["api_key"].as_str().unwrap().into(),
            key["secret"].as_str().unwrap().into(),
        )
    }

    /// Makes a key in another venue's dialect: its name and its secret.
    #[must_use]
    pub fn key(&self, dialect: &str, kind: &str, permissions: &[&str]) -> (String, String) {
        let form = serde_json::json!({ "label": "k", "dialect": dialect, "type": kind, "permissions": permissions });
        let key = self.control("POST", "/keys", &form);
        (
            key["api_key"].as_str().unwrap().into(),
            key["secret"].as_str().unwrap().into(),
        )
    }

    /// Enters an address to its address book.
    pub fn address(&self, address: &Value) {
        let _entered = self.control("POST", "/withdrawal-addresses", address);
    }

    /// Registers the public half of a key: its name.
    #[must_use]
    pub fn rsa_key(&self, pem: &str, permissions: &[&str]) -> String {
        let key = self.control("POST", "/keys", &serde_json::json!({ "label": "k", "type": "rsa", "public_key_pem": pem, "permissions": permissions }));
        key["api_key"]
            .as_str()
            .unwrap_or_else(|| panic!("{key}"))
            .into()
    }

    /// How much of an asset the customer has free.
    #[must_use]
    pub fn owned(&self, asset: &str) -> String {
        let balances = self.control("GET", "/balances", &Value::Null);
        let mut balances = balances.as_array().unwrap().iter();
        let row = balances.find(|row| row["asset"] == asset).unwrap();
        row["free"].as_str().unwrap().into()
    }

    /// Everything that it has received with this end of a path.
    #[must_use]
    pub fn received(&self, path: &str) -> Vec<Value> {
        let record = self.control("GET", "/record", &Value::Null);
        record
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["path"].as_str().unwrap().ends_with(path))
            .cloned()
            .collect()
    }

    /// Sets its clock ahead of this machine's, or behind.
    pub fn skew(&self, ms: i64) {
        let _set = self.control("PUT", "/clock", &serde_json::json!({ "skew_ms": ms }));
    }

    /// Tells it to misbehave.
    pub fn fault(&self, fault: &Value) {
        let _done = self.control("POST", "/faults", fault);
    }

    fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (status, text) = http(
            &self.control,
            method,
            path,
            &[("content-type", "application/json")],
            &body,
        );
        assert!(status < 300, "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

/// One plain HTTP/1.1 request to `base`, and the answer's status and body. Written out, so that the tests share no client with the product.
#[must_use]
pub fn http(
    base: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let (host, prefix) = base.trim_start_matches("http://").split_once('/').map_or(
        (base.trim_start_matches("http://"), String::new()),
        |(host, rest)| (host, format!("/{rest}")),
    );
    let mut stream = TcpStream::connect(host).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(120)))
        .unwrap();
    let mut request = format!(
        "{method} {prefix}{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream
        .write_all(format!("{request}\r\n{body}").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let body = if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        dechunk(body)
    } else {
        body.to_owned()
    };
    (status, body)
}

fn dechunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

/// A practice card in a private reader.
#[derive(Debug)]
pub struct Card {
    _process: Running,
    /// The private pcscd's socket.
    pub pcscd: String,
    /// Where fingers and thieves are played.
    pub control: PathBuf,
    /// Its serial number.
    pub serial: String,
    /// That of the second card, where there is one.
    pub second: Option<String>,
    _folder: TempDir,
}

impl Card {
    /// A card as it leaves the factory. It is touched only through `control`.
    #[must_use]
    pub fn insert() -> Self {
        Self::with(&[])
    }

    /// Two of them, in two readers of one pcscd.
    #[must_use]
    pub fn two() -> Self {
        Self::with(&["--second", "4000000002"])
    }

    /// One that behaves like this firmware.
    #[must_use]
    pub fn of_firmware(version: &str) -> Self {
        Self::with(&["--firmware", version])
    }

    fn with(args: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("tkc").tempdir().unwrap();
        let mut command = Command::new(binary("touchkeep-practice"));
        command
            .args([
                "reader",
                "--touch",
                "control",
                "--touch-timeout-ms",
                "4000",
                "--dir",
            ])
            .arg(folder.path().join("r"))
            .args(args);
        let (process, ready) = Running::ready(command);
        Self {
            _process: process,
            pcscd: ready["pcsclite_csock_name"].as_str().unwrap().into(),
            control: ready["control"].as_str().unwrap().into(),
            serial: ready["serial"].to_string(),
            second: ready["second_serial"].as_u64().map(|n| n.to_string()),
            _folder: folder,
        }
    }

    /// Its pcscd.
    #[must_use]
    pub fn pcscd_pid(&self) -> i32 {
        let file = Path::new(&self.pcscd).with_file_name("pcscd.pid");
        let pid = std::fs::read_to_string(file).unwrap();
        // With a zero byte behind it.
        let digits = pid.trim_matches(|it: char| !it.is_ascii_digit());
        digits.parse().unwrap()
    }

    /// Says something to its control socket, and gives the answer.
    #[must_use]
    pub fn ask(&self, what: &Value) -> Value {
        person::ask_card(&self.control, what)
    }
}

/// A home of its own: an agent, a vault, and the command line that talks to them.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    agent: Option<Running>,
    environment: Vec<(String, String)>,
    /// What the command line has printed so far, with the schema that it has to be of.
    printed: Mutex<Vec<(&'static str, Value)>>,
}

impl Drop for Home {
    fn drop(&mut self) {
        self.agent = None;
        // One that a verb has started in the background is nobody's child.
        if UnixStream::connect(self.paths().agent_socket()).is_ok() {
            let _ended = self.touchkeep().args(["agent", "stop"]).output();
        }
        let printed = std::mem::take(self.printed.get_mut().unwrap());
        if !printed.is_empty() && !std::thread::panicking() {
            judge(printed.iter().map(|(schema, it)| (*schema, it)));
        }
    }
}

impl Home {
    /// An empty home whose agent sees this private pcscd, or none at all.
    #[must_use]
    pub fn new(pcscd: Option<&str>) -> Self {
        pcscd.map_or_else(
            || Self::with(&[]),
            |socket| Self::with(&[("PCSCLITE_CSOCK_NAME", socket)]),
        )
    }

    /// An empty home with this in its environment.
    #[must_use]
    pub fn with(environment: &[(&str, &str)]) -> Self {
        Self::within(&std::env::temp_dir(), environment)
    }

    /// An empty home in a folder of its own inside of this one.
    #[must_use]
    pub fn within(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let mut named = tempfile::Builder::new();
        let folder = named.prefix("tkh").tempdir_in(folder).unwrap();
        let inside = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(inside("home")).unwrap();
        // What is not given is a place where nothing is, never the machine's own.
        let nowhere = [
            ("TOUCHKEEP_HOME", inside("home")),
            ("PCSCLITE_CSOCK_NAME", inside("no-pcscd")),
            (
                "DBUS_SESSION_BUS_ADDRESS",
                format!("unix:path={}", inside("no-bus")),
            ),
            (
                "DBUS_SYSTEM_BUS_ADDRESS",
                format!("unix:path={}", inside("no-bus")),
            ),
            ("TOUCHKEEP_DESKTOP", String::new()),
            ("DISPLAY", String::new()),
            ("WAYLAND_DISPLAY", String::new()),
        ];
        let given = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = nowhere
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .chain(given)
            .collect();
        let mut home = Self {
            folder,
            agent: None,
            environment,
            printed: Mutex::default(),
        };
        home.start_agent();
        home
    }

    /// Starts the agent (again).
    pub fn start_agent(&mut self) {
        self.start_agent_under(&[]);
    }

    /// Starts the agent (again) by a program that becomes it: `strace -D`, `setpriv`.
    pub fn start_agent_under(&mut self, program: &[&str]) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("agent.log"))
            .unwrap();
        let mut command = match program {
            [] => self.touchkeep(),
            [program, args @ ..] => {
                let mut command = Command::new(program);
                command.args(args).arg(binary("touchkeep-agent"));
                command.envs(self.environment());
                command
            }
        };
        command.arg("agent").stdout(Stdio::null()).stderr(log);
        self.agent = Some(Running::start(command));
        // Not by the command line: it would start an agent of its own, faster than this one is there.
        let socket = self.paths().agent_socket();
        wait_for("the agent", || UnixStream::connect(&socket).ok());
    }

    /// Ends the agent as a crash would.
    pub fn kill_agent(&mut self) {
        self.agent.take().unwrap().kill();
    }

    /// Ends the agent by a signal, and says how it ended.
    pub fn signal_agent(&mut self, signal: &str) -> ExitStatus {
        let mut agent = self.agent.take().unwrap();
        let pid = agent.pid().to_string();
        // Rust's runtime takes a first SIGSEGV for a possible stack overflow, and dies of the second.
        wait_for("the agent's end", || {
            let sent = Command::new("kill").args([signal, &pid]).status();
            assert!(sent.unwrap().success());
            agent.0.try_wait().unwrap()
        })
    }

    /// The agent's process id.
    #[must_use]
    pub fn agent_pid(&self) -> u32 {
        self.agent.as_ref().unwrap().pid()
    }

    /// More environment for the agent that is started next, and for the command line.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.into(), value.into()));
    }

    /// What its programs have in their environment.
    pub fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A file of this home.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The product's own places.
    #[must_use]
    pub fn paths(&self) -> Paths {
        Paths::below(&self.path("home"))
    }

    /// `touchkeep`, in this home.
    #[must_use]
    pub fn touchkeep(&self) -> Command {
        let mut command = Command::new(binary("touchkeep"));
        command.env_remove(VAULT_VARIABLE);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the command line without a person.
    #[must_use]
    pub fn cli(&self, args: &[&str]) -> Output {
        let mut command = self.touchkeep();
        command.args(args).args(["--json", "--no-interaction"]);
        let done = command.stdin(Stdio::null()).output().unwrap();
        self.note(args, &done.stdout);
        done
    }

    // What is a document is judged in the end.
    fn note(&self, args: &[&str], stdout: &[u8]) -> Value {
        let document = serde_json::from_slice(stdout).unwrap_or(Value::Null);
        let schema = match document.is_null() {
            true => None,
            false => schema::of(args),
        };
        if let Some(schema) = schema {
            self.to_judge(schema, &document);
        }
        document
    }

    /// Has a document that the command line has printed judged in the end, by a schema; by that of errors where it is one.
    pub fn to_judge(&self, schema: &'static str, document: &Value) {
        let schema = document.get("error").map_or(schema, |_| "error");
        let mut printed = self.printed.lock().unwrap();
        printed.push((schema, document.clone()));
    }

    /// All documents that the command line has printed in this home.
    #[must_use]
    pub fn printed(&self) -> String {
        format!("{:?}", self.printed.lock().unwrap())
    }

    /// Runs the command line without a person, and reads what it prints. Questions go to the front ends that are connected.
    #[must_use]
    pub fn json(&self, args: &[&str]) -> Value {
        self.json_with(args, "")
    }

    /// The same, with something on stdin (`--secret-fd 0`).
    #[must_use]
    pub fn json_with(&self, args: &[&str], stdin: &str) -> Value {
        let mut child = self
            .touchkeep()
            .args(args)
            .args(["--json", "--no-interaction"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(stdin.as_bytes())
            .unwrap();
        let done = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&done.stdout);
        assert!(
            done.status.success(),
            "touchkeep {args:?}: {text}{}\n{}",
            String::from_utf8_lossy(&done.stderr),
            self.log()
        );
        self.note(args, &done.stdout)
    }

    /// What the agent has logged.
    #[must_use]
    pub fn log(&self) -> String {
        let own = std::fs::read_to_string(self.paths().log_file()).unwrap_or_default();
        format!(
            "{}{own}",
            std::fs::read_to_string(self.path("agent.log")).unwrap_or_default()
        )
    }

    /// A connection of the test's own.
    pub async fn connect(&self) -> Connection {
        Connection::connect(&self.paths().agent_socket(), "test")
            .await
            .unwrap()
    }
}
