//! Frames that no well-meant client or venue sends (RFC 6455), written by hand into a socket through the real agent.
//!
//! `TOUCHKEEP_PYTHON` names a Python with `tests/requirements.txt`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::process::Stdio;

use common::{Agent, PATIENCE, Person, add_bot, key_of, practice_vault, yes};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use touchkeep_client::Connection;
use touchkeep_wire::*;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/logins_of_venues.py");
const SUBSCRIBE: &str = r#"{"op":"subscribe","args":[{"channel":"account"}]}"#;
const ORDER: &str = r#"{"id":"9","op":"order","args":[{"instId":"BTC-USDT","sz":"1"}]}"#;

const CONTINUES: u8 = 0;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const LAST: u8 = 0x80;

struct Desk {
    agent: Agent,
    client: Connection,
    _venue: Child,
    heard: Lines<BufReader<ChildStdout>>,
    address: String,
    token: String,
}

impl Desk {
    async fn new() -> Self {
        let python = std::env::var_os("TOUCHKEEP_PYTHON").unwrap_or_else(|| "python3".into());
        let keys = json!({ "key": "look-api-key", "secret": "canary", "passphrase": "words" });
        let mut server = Command::new(python)
            .args(["-B", SCRIPT, "serve", &json!({ "okx": keys }).to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut heard = BufReader::new(server.stdout.take().unwrap()).lines();
        let ports = heard.next_line().await.unwrap().expect("is aiohttp there?");
        let ports: Value = serde_json::from_str(&ports).unwrap();
        let agent = Agent::start_with("", &[]).await;
        let client = agent.client().await;
        practice_vault(&agent, &client).await;
        let _owner = Person::new(&agent, yes).await;
        let url = format!("http://127.0.0.1:{}", ports["okx"]);
        let value = SecretText::new("words".into());
        let item = key_of("okx", "read", "look-api-key", &url, "canary")
            .secret("passphrase", NewSecret::Stored { value });
        client.call(item).await.unwrap();
        let bot = add_bot(&client).await;
        let address = bot.base_url().split('/').nth(2).unwrap().to_owned();
        Self {
            agent,
            client,
            _venue: server,
            heard,
            address,
            token: bot.token.into_inner(),
        }
    }

    // A socket, opened by hand.
    async fn socket(&self) -> Socket {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let (address, token) = (&self.address, &self.token);
        let head = format!(
            "GET /okx/ws/v5/private HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Touchkeep-Token: {token}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(
            answer.starts_with(b"HTTP/1.1 101"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        Socket(stream)
    }

    async fn heard(&mut self) -> Value {
        let line = timeout(PATIENCE, self.heard.next_line()).await.unwrap();
        serde_json::from_str(&line.unwrap().unwrap()).unwrap()
    }

    // What the venue hears of a socket up to its end.
    async fn heard_until_closed(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let heard = self.heard().await;
            match heard["text"].as_str() {
                Some(text) => all.push(text.to_owned()),
                None => {
                    assert_eq!(heard["closed"], true, "{heard}");
                    return all;
                }
            }
        }
    }

    async fn denied(&self) -> usize {
        let list = ListAudit {
            before: None,
            limit: 100,
            filter: AuditFilter {
                kinds: vec!["request-denied".into()],
                ..Default::default()
            },
        };
        self.client.call(list).await.unwrap().rows.len()
    }

    // Memory of the agent, now and at its most.
    fn memory_kib(&self, name: &str) -> u64 {
        let status = format!("/proc/{}/status", self.agent.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    // The most that the agent had of its own. What it has mapped of its program is not counted: the kernel maps that in pieces of
    // up to 2 MiB where the file was just written.
    fn peak_kib(&self) -> u64 {
        self.memory_kib("VmHWM") - self.memory_kib("RssFile")
    }
}

struct Socket(TcpStream);

impl Socket {
    async fn frame(&mut self, head: u8, payload: &[u8]) {
        self.0.write_all(&masked(head, payload)).await.unwrap();
    }

    // The next frame of the other side: its first byte and what it holds. None at the end.
    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let read = async {
            let head = self.0.read_u8().await.ok()?;
            let length = self.0.read_u8().await.ok()?;
            assert_eq!(length & 0x80, 0, "a server masks nothing");
            let length = match length {
                126 => u64::from(self.0.read_u16().await.ok()?),
                127 => self.0.read_u64().await.ok()?,
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).await.ok()?;
            Some((head, payload))
        };
        timeout(PATIENCE, read).await.unwrap()
    }

    // Whether the other side ends it, whatever it says before.
    async fn ends(&mut self) -> bool {
        while let Some((head, _)) = self.next().await {
            if head == LAST | CLOSE {
                return true;
            }
        }
        true
    }
}

fn masked(head: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![head];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

#[tokio::test]
async fn a_message_in_parts_is_judged_whole() {
    let mut desk = Desk::new().await;
    let mut socket = desk.socket().await;
    let (first, rest) = SUBSCRIBE.as_bytes().split_at(7);
    let (second, third) = rest.split_at(20);
    socket.frame(TEXT, first).await;
    socket.frame(LAST | PING, b"between").await;
    socket.frame(CONTINUES, second).await;
    socket.frame(LAST | CONTINUES, third).await;
    assert_eq!(desk.heard().await["text"], SUBSCRIBE);
    let (first, rest) = ORDER.as_bytes().split_at(15);
    socket.frame(TEXT, first).await;
    socket.frame(LAST | CONTINUES, rest).await;
    let mut refused = false;
    while !refused {
        let (head, said) = socket.next().await.unwrap();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(head != LAST | PONG || said == "between", "{said}");
        refused = said.contains("Touchkeep: only data");
    }
    socket.frame(LAST | CLOSE, &1000u16.to_be_bytes()).await;
    assert!(socket.ends().await);
    assert!(
        desk.heard_until_closed().await.is_empty(),
        "no part of the order went out"
    );
    assert_eq!(desk.denied().await, 1);
}

#[tokio::test]
async fn what_is_no_frame_or_too_long_ends_the_socket_and_passes_nothing_on() {
    let mut desk = Desk::new().await;
    let before = desk.peak_kib();
    let huge = |head: u8| {
        [
            &[head, 0x80 | 127][..],
            &(1u64 << 40).to_be_bytes(),
            &[1, 2, 3, 4],
        ]
        .concat()
    };
    let parts = [
        masked(TEXT, &[b'['; 40_000]),
        masked(LAST | CONTINUES, &[b']'; 40_000]),
    ]
    .concat();
    let unmasked = [&[LAST | TEXT, 49][..], &SUBSCRIBE.as_bytes()[..49]].concat();
    for (what, bytes) in [
        ("no mask", unmasked),
        (
            "a reserved bit",
            masked(LAST | 0x40 | TEXT, SUBSCRIBE.as_bytes()),
        ),
        (
            "a kind that there is not",
            masked(LAST | 3, SUBSCRIBE.as_bytes()),
        ),
        (
            "a part of nothing",
            masked(LAST | CONTINUES, SUBSCRIBE.as_bytes()),
        ),
        (
            "a message in a message",
            [masked(TEXT, b"{"), masked(LAST | TEXT, b"{}")].concat(),
        ),
        ("no UTF-8", masked(LAST | TEXT, b"{\"op\":\"\xff\"}")),
        ("a ping in parts", masked(PING, b"x")),
        ("a long ping", masked(LAST | PING, &[b'x'; 126])),
        ("a frame of a tebibyte", huge(LAST | TEXT)),
        (
            "a frame that is too long",
            masked(LAST | TEXT, &[b' '; 64 * 1024 + 1]),
        ),
        ("parts that are too long together", parts),
    ] {
        let mut socket = desk.socket().await;
        socket.0.write_all(&bytes).await.unwrap();
        assert!(socket.ends().await, "{what}");
        assert!(desk.heard_until_closed().await.is_empty(), "{what}");
    }
    let grown = desk.peak_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB");
    // Nobody else is hurt.
    let mut socket = desk.socket().await;
    socket.frame(LAST | TEXT, SUBSCRIBE.as_bytes()).await;
    assert_eq!(desk.heard().await["text"], SUBSCRIBE);
}

#[tokio::test]
async fn a_flood_takes_no_memory_and_keeps_nobody_else_waiting() {
    let mut desk = Desk::new().await;
    let flood: Vec<u8> = std::iter::repeat_n(masked(LAST | PING, &[b'x'; 125]), 1000)
        .flatten()
        .collect();
    let mut flooding = desk.socket().await;
    let before = desk.memory_kib("RssAnon");
    let writing = tokio::spawn(async move {
        // 26 MB, whose answers nobody reads. It stops where the agent stops reading, which is as well.
        for _ in 0..200 {
            let written = timeout(
                std::time::Duration::from_secs(1),
                flooding.0.write_all(&flood),
            );
            if written.await.is_err() {
                break;
            }
        }
        flooding
    });
    let mut socket = desk.socket().await;
    for _ in 0..20 {
        socket.frame(LAST | TEXT, SUBSCRIBE.as_bytes()).await;
        assert_eq!(desk.heard().await["text"], SUBSCRIBE);
        assert!(socket.next().await.is_some());
    }
    let flooding = writing.await.unwrap();
    let grown = desk.memory_kib("RssAnon").saturating_sub(before);
    assert!(grown < 4 * 1024, "{grown} KiB");
    drop(flooding);
}

#[tokio::test]
async fn who_only_orders_is_not_listened_to_for_long() {
    let mut desk = Desk::new().await;
    let mut socket = desk.socket().await;
    let flood: Vec<u8> = std::iter::repeat_n(masked(LAST | TEXT, ORDER.as_bytes()), 500)
        .flatten()
        .collect();
    // The socket may end while it is written.
    let _ = socket.0.write_all(&flood).await;
    let mut refusals = 0;
    while let Some((head, _)) = socket.next().await {
        refusals += usize::from(head == LAST | TEXT);
        if head == LAST | CLOSE {
            break;
        }
    }
    assert!(refusals <= 16, "{refusals}");
    assert!(desk.heard_until_closed().await.is_empty());
    assert_eq!(desk.denied().await, 16);
}

#[tokio::test]
async fn a_client_that_is_gone_without_a_word_is_gone_at_the_venue() {
    let mut desk = Desk::new().await;
    let mut socket = desk.socket().await;
    socket.frame(LAST | TEXT, SUBSCRIBE.as_bytes()).await;
    assert_eq!(desk.heard().await["text"], SUBSCRIBE);
    socket.0.set_zero_linger().unwrap();
    drop(socket);
    assert!(desk.heard_until_closed().await.is_empty());
}

#[tokio::test]
async fn a_venue_that_floods_ends_its_own_socket_alone() {
    let mut desk = Desk::new().await;
    let mut other = desk.socket().await;
    let floods = |how: &str| format!(r#"{{"op":"subscribe","args":["floods with {how}"]}}"#);
    // Its pings are answered by us, and its data still comes.
    let mut pinged = desk.socket().await;
    pinged.frame(LAST | TEXT, floods("pings").as_bytes()).await;
    let (_, said) = pinged.next().await.unwrap();
    assert_eq!(said, b"after the flood");
    // More than a message may be: that socket ends.
    let mut drowned = desk.socket().await;
    drowned
        .frame(LAST | TEXT, floods("one message").as_bytes())
        .await;
    while let Some((head, said)) = drowned.next().await {
        assert_ne!(said, b"after the flood");
        if head == LAST | CLOSE {
            break;
        }
    }
    other.frame(LAST | TEXT, SUBSCRIBE.as_bytes()).await;
    while desk.heard().await["text"] != SUBSCRIBE {}
    let grown = desk.peak_kib();
    assert!(grown < 256 * 1024, "{grown} KiB");
}
