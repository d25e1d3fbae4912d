//! An agent of a test's own: a private folder, a private process, ended with the test.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly, and each uses a part of this"
)]

pub mod asker;
pub mod token;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use touchkeep_client::{ConnectError, Connection, Event, FrontEnd, Paths};
use touchkeep_wire::{
    AddClient, AddItem, Answer, Approval, CreateVault, NewDevice, NewSecret, Prompt, PromptClosed,
    Question, Scope, SecretText, SetPolicy,
};

/// Nothing here takes this long on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running agent.
pub struct Agent {
    pub home: TempDir,
    pub paths: Paths,
    pub child: Child,
}

/// The example program that is nothing but the agent; cargo builds it with the tests.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/agent");
    assert!(
        program.is_file(),
        "build it: cargo build -p touchkeep-agent --example agent"
    );
    program
}

impl Agent {
    pub async fn start() -> Self {
        Self::start_with("approval_seconds = 20\n", &[]).await
    }

    pub async fn start_with(config: &str, env: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), config).unwrap();
        let child = spawn(home.path(), env);
        let paths = Paths::below(home.path());
        let agent = Self { home, paths, child };
        agent.client().await;
        agent
    }

    /// Starts it again in the same folder.
    pub async fn restart(&mut self) {
        self.child = spawn(self.home.path(), &[]);
        self.client().await;
    }

    pub async fn client(&self) -> Connection {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Connection::connect(&self.paths.agent_socket(), "test").await {
                Ok(connection) => return connection,
                Err(ConnectError::NotRunning) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error}; log: {}", self.log()),
            }
        }
    }

    pub async fn front_end(&self) -> FrontEnd {
        FrontEnd::connect(&self.paths.ui_socket(), "test front end")
            .await
            .unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&mut self) -> std::process::ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it does not end; log: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

pub fn spawn(home: &Path, env: &[(&str, &str)]) -> Child {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(home.join("log"))
        .unwrap();
    Command::new(program())
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        // No bus but one that a test makes.
        .env(
            "DBUS_SESSION_BUS_ADDRESS",
            format!("unix:path={}", home.join("no-bus").display()),
        )
        .env(
            "DBUS_SYSTEM_BUS_ADDRESS",
            format!("unix:path={}", home.join("no-bus").display()),
        )
        .env("TOUCHKEEP_HOME", home)
        // No reader and no token but those that a test makes.
        .env("PCSCLITE_CSOCK_NAME", home.join("no-pcscd"))
        .env("SOFTHSM2_CONF", home.join("no-softhsm"))
        .env("TOUCHKEEP_LOG", "trace")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A person at a front end, who does the same thing with every question.
pub struct Person {
    pub seen: Arc<Mutex<Vec<Prompt>>>,
    pub closed: Arc<Mutex<Vec<PromptClosed>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Person {
    pub async fn new(
        agent: &Agent,
        answer: impl Fn(&Question) -> Option<Answer> + Send + 'static,
    ) -> Self {
        let (connection, mut events) = agent.front_end().await.split();
        let (seen, closed) = (
            Arc::<Mutex<Vec<Prompt>>>::default(),
            Arc::<Mutex<Vec<PromptClosed>>>::default(),
        );
        let task = tokio::spawn({
            let (seen, closed) = (Arc::clone(&seen), Arc::clone(&closed));
            async move {
                while let Some(event) = events.next().await {
                    match event {
                        Event::Open(prompt) => {
                            seen.lock().unwrap().push((*prompt).clone());
                            if let Some(answer) = answer(&prompt.question) {
                                let _ = connection.answer(prompt.id, answer).await;
                            }
                        }
                        Event::Close(prompt) => closed.lock().unwrap().push(prompt),
                        _ => {}
                    }
                }
            }
        });
        Self { seen, closed, task }
    }

    /// The approvals that were asked for.
    pub fn approvals(&self) -> Vec<Approval> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter_map(|prompt| match &prompt.question {
                Question::Approval(approval) => Some(approval.clone()),
                _ => None,
            })
            .collect()
    }

    /// How many times the passphrase was asked for.
    pub fn passphrases(&self) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|prompt| matches!(prompt.question, Question::Passphrase { .. }))
            .count()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub const PASSPHRASE: &str = "canary-passphrase-of-the-test";

fn typed(text: &str) -> Option<Answer> {
    Some(Answer::Secret {
        value: SecretText::new(text.into()),
    })
}

/// Types the passphrase and says yes.
pub fn yes(question: &Question) -> Option<Answer> {
    match question {
        Question::Approval(approval) => Some(Answer::Approve {
            digest: approval.digest.clone(),
        }),
        Question::Passphrase { .. } | Question::NewPassphrase { .. } => typed(PASSPHRASE),
        Question::Use(_) => Some(Answer::Allow { scope: Scope::Once }),
        _ => None,
    }
}

/// Types the passphrase and says no.
pub fn no(question: &Question) -> Option<Answer> {
    match question {
        Question::Approval(_) | Question::Use(_) => Some(Answer::Refuse {}),
        other => yes(other),
    }
}

/// Types the passphrase and never decides.
pub fn undecided(question: &Question) -> Option<Answer> {
    match question {
        Question::Approval(_) | Question::Use(_) => None,
        other => yes(other),
    }
}

/// Waits for something to come about.
pub async fn until(condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "it does not come about");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What a venue got.
#[derive(Debug, Clone)]
pub struct Got {
    pub method: String,
    pub path: String,
    pub parameters: String,
    pub api_key: String,
    pub signature: String,
    pub signed: bool,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
}

/// A venue of the test's own, that checks signatures by itself and remembers what it got.
pub struct Venue {
    pub url: String,
    pub got: Arc<Mutex<Vec<Got>>>,
    /// How far its clock is ahead of this machine's. Questions for the time and for what is free are answered and not remembered.
    pub ahead_ms: Arc<AtomicI64>,
    /// How often it was asked for the time.
    pub asked_time: Arc<AtomicI64>,
    task: tokio::task::JoinHandle<()>,
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    i64::try_from(now).unwrap()
}

impl Venue {
    /// `answers`: whether it answers at all.
    pub async fn start(secret: &'static str, answers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let got = Arc::<Mutex<Vec<Got>>>::default();
        let (ahead_ms, asked_time) = (Arc::<AtomicI64>::default(), Arc::<AtomicI64>::default());
        let task = tokio::spawn({
            let got = Arc::clone(&got);
            let (ahead_ms, asked_time) = (Arc::clone(&ahead_ms), Arc::clone(&asked_time));
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let got = Arc::clone(&got);
                    let (ahead_ms, asked_time) = (Arc::clone(&ahead_ms), Arc::clone(&asked_time));
                    let service = service_fn(move |request: Request<Incoming>| {
                        let got = Arc::clone(&got);
                        let ahead = ahead_ms.load(Ordering::SeqCst);
                        let asked_time = Arc::clone(&asked_time);
                        async move {
                            if request.uri().path() == "/api/v3/time" {
                                asked_time.fetch_add(1, Ordering::SeqCst);
                                let time = format!("{{\"serverTime\":{}}}", now_ms() + ahead);
                                return Ok(Response::new(Full::new(Bytes::from(time))));
                            }
                            // Asked before a question about a withdrawal.
                            if request
                                .uri()
                                .query()
                                .is_some_and(|q| q.starts_with("omitZero"))
                            {
                                let nothing = Bytes::from_static(br#"{"balances":[]}"#);
                                return Ok(Response::new(Full::new(nothing)));
                            }
                            let one = read(request, secret).await;
                            got.lock().unwrap().push(one);
                            if !answers {
                                std::future::pending::<()>().await;
                            }
                            let mut response =
                                Response::new(Full::new(Bytes::from_static(br#"{"orderId":7}"#)));
                            response
                                .headers_mut()
                                .insert("x-mbx-used-weight-1m", "3".parse().unwrap());
                            Ok::<_, std::convert::Infallible>(response)
                        }
                    });
                    tokio::spawn(
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                    );
                }
            }
        });
        Self {
            url,
            got,
            ahead_ms,
            asked_time,
            task,
        }
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Waits until it got something.
    pub async fn first(&self) -> Got {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(got) = self.got().first() {
                return got.clone();
            }
            assert!(Instant::now() < deadline, "the venue got nothing");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(request: Request<Incoming>, secret: &str) -> Got {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let query = head.uri.query().unwrap_or_default();
    // Binance signs query and body as they stand, without the signature, which is last.
    let all = format!("{query}{}", String::from_utf8_lossy(&body));
    let (parameters, signature) = all.rsplit_once("&signature=").unwrap_or((&all, ""));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    let expected =
        data_encoding::HEXLOWER.encode(aws_lc_rs::hmac::sign(&key, parameters.as_bytes()).as_ref());
    let header = |name: &str| {
        head.headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let all_headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.to_string(), value)
    });
    Got {
        headers: all_headers.collect(),
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        parameters: parameters.to_owned(),
        api_key: header("x-mbx-apikey").unwrap_or_default(),
        signed: signature == expected,
        signature: signature.to_owned(),
    }
}

/// One HTTP exchange, written by hand so that nothing is corrected on the way.
pub async fn http(port: u16, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    (status, answer)
}

/// What a bot with a library like ccxt sends.
pub async fn bot(base: &str, token: &str, method: &str, target: &str, body: &str) -> (u16, String) {
    let (port, prefix) = place(base);
    let request = format!(
        "{method} {prefix}{target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nX-MBX-APIKEY: {token}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    http(port, &request).await
}

/// Port and path of a proxy's base address.
pub fn place(base: &str) -> (u16, String) {
    let rest = base.strip_prefix("http://127.0.0.1:").unwrap();
    let (port, path) = rest.split_once('/').unwrap_or((rest, ""));
    (port.parse().unwrap(), format!("/{path}"))
}

/// Makes a practice vault that a passphrase opens, in the agent's folder.
pub async fn practice_vault(agent: &Agent, client: &Connection) {
    let _owner = Person::new(agent, yes).await;
    let new = CreateVault {
        path: agent.home.path().join("v.touchkeep").display().to_string(),
        user: "Zoe".into(),
        environment: "test".into(),
        practice: true,
        device: NewDevice::Software { work_factor: 10 },
    };
    client.call(new).await.unwrap();
}

/// A key of the set `main` of a venue at that address.
pub fn key_of(venue: &str, class: &str, api_key: &str, url: &str, secret: &str) -> AddItem {
    let value = SecretText::new(secret.into());
    AddItem::new("exchange-key", class)
        .field("venue", venue)
        .field("key-set", "main")
        .field("class", class)
        .field("api-key", api_key)
        .field("base-url", url)
        .secret("secret", NewSecret::Stored { value })
}

/// Lets a bot in to the set `main`.
pub async fn add_bot(client: &Connection) -> touchkeep_wire::NewClient {
    let add = AddClient::unbound("bot", "main");
    client.call(add).await.unwrap()
}

/// Makes a practice vault with keys of a Binance at that address, and lets a bot in: its base address and token.
pub async fn let_in(agent: &Agent, venue: &str, secret: &str, policy: &str) -> (String, String) {
    let client = agent.client().await;
    practice_vault(agent, &client).await;
    let _owner = Person::new(agent, yes).await;
    for class in ["trade", "read"] {
        let api_key = format!("{class}-api-key-0123456789");
        let add = key_of("binance", class, &api_key, venue, secret);
        client.call(add).await.unwrap();
    }
    let text = policy.into();
    client.call(SetPolicy { text }).await.unwrap();
    let bot = add_bot(&client).await;
    (bot.base_url(), bot.token.into_inner())
}
