//! What one client of the proxy, or somebody who is none, can do to the others.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Agent, PATIENCE, Venue, bot, http, let_in, place};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use touchkeep_client::CallError;
use touchkeep_core::Code;
use touchkeep_wire::{AddClient, OpenClient, RevokeClient};

const SECRET: &str = "canary-bounds-secret-0123456789";
const POLICY: &str = "[[rule]]\nname = \"reads\"\nkinds = [\"read\"]\naction = \"allow\"\n";
const READ: &str = "/api/v3/account?timestamp=1";

struct Desk {
    _agent: Agent,
    venue: Venue,
    base: String,
    token: String,
}

impl Desk {
    async fn new() -> Self {
        let venue = Venue::start(SECRET, true).await;
        let agent = Agent::start_with("", &[]).await;
        let (base, token) = let_in(&agent, &venue.url, SECRET, POLICY).await;
        Self {
            _agent: agent,
            venue,
            base,
            token,
        }
    }

    fn port(&self) -> u16 {
        place(&self.base).0
    }

    // A connection that has sent this and goes on to send nothing.
    async fn stuck(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port()))
            .await
            .unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    async fn times(&self, requests: usize) -> Vec<Duration> {
        let mut times = Vec::new();
        for _ in 0..requests {
            let began = Instant::now();
            let (status, answer) = bot(&self.base, &self.token, "GET", READ, "").await;
            assert_eq!(status, 200, "{answer}");
            times.push(began.elapsed());
        }
        times.sort();
        times
    }
}

// The slowest of them say more about what else the machine does; `bench proxy` looks at those.
fn mostly(times: &[Duration]) -> Duration {
    times[times.len() / 2]
}

// `TOUCHKEEP_SOAK_SLOW` is how many of them there are; 10000 in a soak.
#[tokio::test]
async fn slow_clients_without_a_token_hold_nobody_up() {
    let many = std::env::var("TOUCHKEEP_SOAK_SLOW").map_or(1500, |many| many.parse().unwrap());
    let desk = Desk::new().await;
    desk.times(20).await;
    let before = mostly(&desk.times(100).await);
    let mut slow = Vec::new();
    for n in 0..many {
        let head = [
            "GET /binance/api/v3/acc",
            "",
            "POST /binance/a HTTP/1.1\r\nHost: ",
        ][n % 3];
        slow.push(desk.stuck(head).await);
    }
    let during = mostly(&desk.times(100).await);
    println!("{many} slow clients: median {before:?} before, {during:?} during");
    // Twice as long, and what a busy machine does anyway.
    assert!(
        during < before * 2 + Duration::from_millis(20),
        "{before:?} {during:?}"
    );
    // Most of them are gone already.
    let mut open = 0;
    for stream in &mut slow {
        let read = tokio::time::timeout(Duration::from_millis(1), stream.read(&mut [0])).await;
        open += usize::from(read.is_err());
    }
    assert!(open <= 256, "{open} still have a seat");
}

#[tokio::test]
async fn heads_and_bodies_that_do_not_end_are_not_waited_for() {
    let desk = Desk::new().await;
    let host = format!("Host: 127.0.0.1:{}\r\n", desk.port());
    let token = format!("X-MBX-APIKEY: {}\r\n", desk.token);
    let head = format!("GET /binance{READ} HTTP/1.1\r\n{host}");
    let body = format!(
        "POST /binance/api/v3/order HTTP/1.1\r\n{host}{token}Content-Length: 50\r\n\r\nsymbol="
    );
    for sent in [head, body] {
        let mut stream = desk.stuck(&sent).await;
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{sent}");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    assert!(desk.venue.got().is_empty());
}

#[tokio::test]
async fn bodies_of_100_mb_and_heads_of_1_mb_are_refused_unread() {
    let desk = Desk::new().await;
    let host = format!("Host: 127.0.0.1:{}\r\n", desk.port());
    let token = format!("X-MBX-APIKEY: {}\r\n", desk.token);
    let long = format!(
        "POST /binance/api/v3/order HTTP/1.1\r\n{host}{token}Content-Length: 100000000\r\n\r\nsymbol="
    );
    assert_eq!(http(desk.port(), &long).await.0, 413);
    // Nobody's body is not read at all.
    let nobodys = long.replace(&desk.token, "tkc_nobody");
    assert_eq!(http(desk.port(), &nobodys).await.0, 401);
    let mut stream = desk
        .stuck(&format!("GET /binance{READ} HTTP/1.1\r\n{host}{token}"))
        .await;
    let line = format!("X-Long: {}\r\n", "a".repeat(8000));
    let mut sent = 0;
    while sent < 1_000_000 && stream.write_all(line.as_bytes()).await.is_ok() {
        sent += line.len();
    }
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    assert!(desk.venue.got().is_empty());
}

#[tokio::test]
async fn requests_that_are_sent_at_once_are_answered_in_their_order() {
    let desk = Desk::new().await;
    let host = format!("Host: 127.0.0.1:{}\r\n", desk.port());
    let one = |path: &str, more: &str| {
        format!(
            "GET /binance{path} HTTP/1.1\r\n{host}X-MBX-APIKEY: {}\r\n{more}\r\n",
            desk.token
        )
    };
    let all = [
        one(READ, ""),
        one("/api/v3/openOrders?timestamp=1", ""),
        one("/../x", ""),
        one(READ, "Connection: close\r\n"),
    ];
    let (_, answer) = http(desk.port(), &all.concat()).await;
    let statuses: Vec<&str> = answer
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &answer[at + 9..at + 12])
        .collect();
    assert_eq!(statuses, ["200", "200", "404", "200"], "{answer}");
    let got: Vec<_> = desk
        .venue
        .got()
        .iter()
        .map(|got| got.path.clone())
        .collect();
    assert_eq!(
        got,
        ["/api/v3/account", "/api/v3/openOrders", "/api/v3/account"]
    );
}

#[tokio::test]
async fn one_client_cannot_take_all_seats() {
    let desk = Desk::new().await;
    let ask = format!(
        "GET /binance/api/v3/time HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nX-MBX-APIKEY: {}\r\n\r\n",
        desk.port(),
        desk.token
    );
    let mut kept = Vec::new();
    let mut refused = 0;
    for _ in 0..140 {
        let mut stream = desk.stuck(&ask).await;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        if answer.ends_with(b" 503") {
            refused += 1;
        } else {
            assert!(answer.ends_with(b" 200"));
            kept.push(stream);
        }
    }
    assert_eq!((kept.len(), refused), (128, 12));
    // A place that is given up is free again.
    drop(kept);
    let deadline = Instant::now() + PATIENCE;
    while bot(&desk.base, &desk.token, "GET", READ, "").await.0 != 200 {
        assert!(Instant::now() < deadline);
    }
}

// Rules speak of names, and so does whoever revokes.
#[tokio::test]
async fn all_that_have_a_name_lose_their_access_with_it() {
    let desk = Desk::new().await;
    let client = desk._agent.client().await;
    let visit = async || {
        let open = OpenClient {
            name: "runner".into(),
            key_set: "main".into(),
            venues: Vec::new(),
            kinds: Vec::new(),
        };
        let opened = client.call(open).await.unwrap();
        let token = opened.variables.into_iter();
        let mut token = token.filter(|one| one.name == "TOUCHKEEP_TOKEN");
        token.next().unwrap().value.into_inner()
    };
    let tokens = [visit().await, visit().await];
    let statuses = async || {
        let mut all = Vec::new();
        for token in &tokens {
            all.push(bot(&desk.base, token, "GET", READ, "").await.0);
        }
        all
    };
    assert_eq!(statuses().await, [200, 200]);
    // Nobody is let in for good under a name that somebody else has by now.
    let add = || AddClient::unbound("runner", "main");
    let taken = client.call(add()).await;
    assert!(
        matches!(&taken, Err(CallError::Failed(failure)) if failure.code == Code::Ambiguous),
        "{taken:?}"
    );
    let revoke = || RevokeClient {
        client: "runner".into(),
    };
    client.call(revoke()).await.unwrap();
    assert_eq!(statuses().await, [401, 401]);
    client.call(add()).await.unwrap();
    client.call(revoke()).await.unwrap();
}

// Rules and questions name a client, and a command that ends one is typed.
#[tokio::test]
async fn a_clients_name_is_one_that_can_be_said_and_typed() {
    let desk = Desk::new().await;
    let client = desk._agent.client().await;
    let long = "n".repeat(1025);
    let names = [
        "bot ",
        " bot",
        "bot\u{a0}",
        " ",
        "bot\u{200b}",
        "b\u{202e}ot",
        "b\not",
        &long,
    ];
    for name in names {
        let refused = client.call(AddClient::unbound(name, "main")).await;
        assert!(
            matches!(&refused, Err(CallError::Failed(failure)) if failure.code == Code::Invalid),
            "{name:?}: {refused:?}"
        );
    }
    for name in ["Zoë’s bot", "グリッド", r"a\b"] {
        client.call(AddClient::unbound(name, "main")).await.unwrap();
    }
}
