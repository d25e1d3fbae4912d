//! What the demo starts, and ends: a folder, an exchange, a card behind a private pcscd, an agent.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use touchkeep_client::{Connection, FrontEnd, Paths, start_on_demand};
use touchkeep_core::{Code, text::quoted};
use touchkeep_wire::{Call, Failure, StopAgent};

use super::{broken, person::Person, venue::Venue};
use crate::{
    args::Demo,
    output::{Output, Style},
};

/// How long a practice program may take to be ready.
const READY: Duration = Duration::from_secs(30);

/// How often a person may slip at one step.
const TRIES: usize = 5;

const fn is_a_slip(code: Code) -> bool {
    matches!(
        code,
        Code::Invalid | Code::NoTouch | Code::TimedOut | Code::WrongPin
    )
}

/// Everything that the story stands on. Ends its processes when dropped.
pub(super) struct Stage {
    folder: TempDir,
    _exchange: Child,
    _reader: Child,
    agent: Option<Child>,
    pub(super) venue: Venue,
    pub(super) card_serial: String,
    pub(super) connection: Connection,
    pub(super) person: Person,
    python: PathBuf,
    pub(super) paths: Paths,
    auto: bool,
}

#[derive(Deserialize)]
struct VenueReady {
    url: String,
    control: String,
}

#[derive(Deserialize)]
struct ReaderReady {
    pcsclite_csock_name: String,
    control: PathBuf,
    serial: u32,
}

impl Stage {
    pub(super) async fn set(args: &Demo, output: Output) -> Result<Self, Failure> {
        let exe = std::env::current_exe().map_err(|error| broken(error.to_string()))?;
        let practice = exe.with_file_name("touchkeep-practice");
        if !practice.exists() {
            return Err(Failure::new(
                Code::NotFound,
                format!("{} is missing", practice.display()),
                "Build it: cargo build -p touchkeep-practice",
            ));
        }
        let folder = tempfile::Builder::new()
            .prefix("touchkeep-demo-")
            .tempdir()
            .map_err(|error| broken(error.to_string()))?;
        output.say(&output.err(
            Style::Quiet,
            &format!(
                "The demo lives in {} and touches nothing of yours.",
                folder.path().display()
            ),
        ));

        let python = python_with_ccxt(output).await?;
        let (exchange, ready) = start::<VenueReady>(
            &practice,
            &[
                "venue".as_ref(),
                "--dir".as_ref(),
                folder.path().join("venue").as_os_str(),
            ],
        )
        .await?;
        let venue = Venue::new(ready.url, ready.control);
        let touch: &std::ffi::OsStr = "control".as_ref();
        let card = folder.path().join("card");
        let (reader, ready) = start::<ReaderReady>(
            &practice,
            &[
                "reader".as_ref(),
                "--dir".as_ref(),
                card.as_os_str(),
                "--touch".as_ref(),
                touch,
            ],
        )
        .await?;
        let card_serial = ready.serial.to_string();

        // A home of its own, so that the person's agent and vault stay out of it; and the private pcscd, never the machine's.
        let home = folder.path().join("home");
        fs::create_dir(&home).map_err(|error| broken(error.to_string()))?;
        let paths = Paths::below(&home);
        let agent = Command::new(&exe)
            .args(["agent"])
            .env(touchkeep_client::paths::HOME_VARIABLE, &home)
            .env("PCSCLITE_CSOCK_NAME", &ready.pcsclite_csock_name)
            .env_remove("TOUCHKEEP_DESKTOP")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(
                fs::File::create(folder.path().join("agent.log"))
                    .map_err(|error| broken(error.to_string()))?,
            )
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| broken(format!("the agent did not start: {error}")))?;
        let connection = connect(&exe, &paths).await?;
        let front = FrontEnd::connect(&paths.ui_socket(), "touchkeep demo")
            .await
            .map_err(|error| error.failure())?;
        let person = Person::appear(front, ready.control, args.auto, output);
        Ok(Self {
            folder,
            _exchange: exchange,
            _reader: reader,
            agent: Some(agent),
            venue,
            card_serial,
            connection,
            person,
            python,
            paths,
            auto: args.auto,
        })
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) const fn is_auto(&self) -> bool {
        self.auto
    }

    pub(super) async fn call<C: Call>(&self, call: C) -> Result<C::Result, Failure> {
        let done = self.connection.call(call).await;
        self.person.is_done().await;
        done.map_err(|error| error.failure())
    }

    /// The same for what a person has a hand in: whoever mistypes, or is late with a finger, is asked again.
    pub(super) async fn ask<C: Call>(
        &self,
        call: impl Fn() -> C,
        output: Output,
    ) -> Result<C::Result, Failure> {
        for _ in 1..TRIES {
            match self.call(call()).await {
                Err(failure) if !self.auto && is_a_slip(failure.code) => output.failure(&failure),
                done => return done,
            }
        }
        self.call(call()).await
    }

    /// Runs the bot: a ccxt script that knows a token and no secret. Its lines go to the terminal; whether it was content comes back.
    pub(super) async fn bot(
        &self,
        token: &str,
        base_url: &str,
        words: &[&str],
        output: Output,
    ) -> Result<bool, Failure> {
        let script = self.file("grid_bot.py");
        fs::write(
            &script,
            include_str!("../../../../docs/clients/ccxt_binance.py"),
        )
        .map_err(|error| broken(error.to_string()))?;
        output.say(&output.err(
            Style::Quiet,
            &format!("  $ grid_bot.py {}", words.join(" ")),
        ));
        let done = Command::new(&self.python)
            .arg(&script)
            .args(words)
            .env("BINANCE_API_KEY", token)
            .env("TOUCHKEEP_BINANCE_URL", base_url)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| broken(format!("the bot did not start: {error}")))?;
        self.person.is_done().await;
        for line in [&done.stdout, &done.stderr].into_iter().flat_map(|text| {
            String::from_utf8_lossy(text)
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        }) {
            output.say(&format!("  bot │ {}", touchkeep_core::text::visible(&line)));
        }
        Ok(done.status.success())
    }

    pub(super) async fn clear(mut self, keep: bool, output: Output) {
        // The agent locks and ends by itself; dropping the rest ends the exchange, and the card with its pcscd.
        let _gone = self.connection.call(StopAgent {}).await;
        if let Some(mut agent) = self.agent.take() {
            let _late = tokio::time::timeout(Duration::from_secs(5), agent.wait()).await;
        }
        if keep {
            let kept = self.folder.keep();
            output.say(&format!("Kept: {}", kept.display()));
        }
    }
}

/// Starts a practice program and waits for the line that says that it is ready.
async fn start<R: for<'de> Deserialize<'de>>(
    program: &Path,
    args: &[&std::ffi::OsStr],
) -> Result<(Child, R), Failure> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| broken(format!("{} did not start: {error}", program.display())))?;
    let Some(stdout) = child.stdout.take() else {
        return Err(broken("no stdout"));
    };
    let mut lines = BufReader::new(stdout).lines();
    let line = tokio::time::timeout(READY, lines.next_line()).await;
    match line {
        Ok(Ok(Some(line))) => {
            let ready = serde_json::from_str(&line).map_err(|error| {
                broken(format!("unexpected ready line {}: {error}", quoted(&line)))
            })?;
            Ok((child, ready))
        }
        _ => {
            let mut said = String::new();
            if let Some(stderr) = child.stderr.take() {
                let _ended = child.start_kill();
                let mut lines = BufReader::new(stderr).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    said.push_str(&line);
                    said.push('\n');
                }
            }
            Err(Failure::new(
                Code::System,
                format!(
                    "the practice {} did not start",
                    args.first()
                        .map(|a| a.to_string_lossy())
                        .unwrap_or_default()
                ),
                said.trim().to_owned(),
            ))
        }
    }
}

async fn connect(exe: &Path, paths: &Paths) -> Result<Connection, Failure> {
    let patience = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match Connection::connect(&paths.agent_socket(), "touchkeep demo").await {
            Ok(connection) => return Ok(connection),
            Err(_) if tokio::time::Instant::now() < patience => {
                tokio::time::sleep(Duration::from_millis(30)).await
            }
            // Says why in words; by now the agent is there or never will be.
            Err(_) => {
                return start_on_demand(exe, paths, "touchkeep demo")
                    .await
                    .map_err(|error| error.failure());
            }
        }
    }
}

/// A Python that has ccxt: `TOUCHKEEP_PYTHON`, the machine's, or a private environment made for the demo.
async fn python_with_ccxt(output: Output) -> Result<PathBuf, Failure> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    let private = cache.map(|cache| cache.join("touchkeep-demo-python"));
    let candidates = [
        std::env::var_os("TOUCHKEEP_PYTHON").map(PathBuf::from),
        private.as_ref().map(|env| env.join("bin/python3")),
        Some("python3".into()),
    ];
    for python in candidates.into_iter().flatten() {
        let imported = Command::new(&python)
            .args(["-c", "import ccxt"])
            .stderr(Stdio::null())
            .status()
            .await;
        if imported.is_ok_and(|status| status.success()) {
            return Ok(python);
        }
    }
    let missing = || {
        Failure::new(
            Code::NotFound,
            "the demo's bot needs Python 3 with ccxt",
            "Install it: python3 -m venv E && E/bin/pip install ccxt, then set TOUCHKEEP_PYTHON=E/bin/python3",
        )
    };
    let private = private.ok_or_else(missing)?;
    output.say(&format!(
        "Installing ccxt for the demo's bot into {} (once, a minute) …",
        private.display()
    ));
    let made = Command::new("python3")
        .args(["-m", "venv"])
        .arg(&private)
        .status()
        .await;
    if !made.is_ok_and(|status| status.success()) {
        return Err(missing());
    }
    let pip = private.join("bin/pip");
    let installed = Command::new(pip)
        .args(["install", "--quiet", "ccxt"])
        .stdout(Stdio::null())
        .status()
        .await;
    if installed.is_ok_and(|status| status.success()) {
        Ok(private.join("bin/python3"))
    } else {
        Err(missing())
    }
}
