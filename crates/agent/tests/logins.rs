//! The logins of every venue's sockets through the real agent. The venue is Python's aiohttp and judges the login by itself; the
//! client is an unmodified ccxt.pro, which the same venue takes without us between, too.
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

use common::{Agent, Person, practice_vault, undecided, until, yes};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};
use touchkeep_client::Connection;
use touchkeep_wire::*;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/logins_of_venues.py");
const POLICY: &str = "[[rule]]\nname = \"reads\"\nkinds = [\"read\"]\naction = \"allow\"\n";
// What the venue of the test gives out as a token, and what stands for it.
const TOKEN: &str = "the/venues+own=token";
const KEPT: &str = "kept-by-touchkeep";

const TEXT: &str = "canary-socket-secret-0123456789";
const BASE64: &str = "Y2FuYXJ5LXNvY2tldC1zZWNyZXQtMDEyMzQ1Njc4OQ==";
// Private keys that everybody has.
const P256: &str = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABoAoGCCqGSM49\nAwEHoUQDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/\nm47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END EC PRIVATE KEY-----\n";
const ED25519: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHRvdWNoa2VlcC1kdW1teS1zZWNyZXQtbm90LWEta2V5\n-----END PRIVATE KEY-----\n";
// The seed in it, and its public half, which is Backpack's API key.
const SEED: &str = "dG91Y2hrZWVwLWR1bW15LXNlY3JldC1ub3QtYS1rZXk=";
const OF_SEED: &str = "4fj7JpjIqeE6g09UbLBiR6750E6gFkQawzVZHpbcD9Y=";

fn python(arguments: &[&str]) -> Child {
    let python = std::env::var_os("TOUCHKEEP_PYTHON").unwrap_or_else(|| "python3".into());
    Command::new(python)
        .args(["-B", SCRIPT])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn said(client: Child) -> Vec<Value> {
    let said = client.wait_with_output().await.unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let lines = said.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn key_of(name: &str) -> (&'static str, &'static str) {
    match venue_of(name) {
        "coinbase" => ("organizations/a/apiKeys/b", P256),
        "backpack" => (OF_SEED, SEED),
        "kraken" | "krakenfutures" | "coinbaseexchange" => ("look-api-key-0123456789", BASE64),
        _ => ("look-api-key-0123456789", TEXT),
    }
}

fn keys_of((key, secret): (&str, &str)) -> Value {
    json!({ "key": key, "secret": secret, "passphrase": "the passphrase" })
}

type Heard = Lines<BufReader<ChildStdout>>;

// The venues, what they hear, and their addresses.
async fn serve(keys: &Value) -> (Child, Heard, Value) {
    let mut server = python(&["serve", &keys.to_string()]);
    let mut heard = BufReader::new(server.stdout.take().unwrap()).lines();
    let ports = heard.next_line().await.unwrap().expect("is aiohttp there?");
    let mut ports: Value = serde_json::from_str(&ports).unwrap();
    for port in ports.as_object_mut().unwrap().values_mut() {
        *port = format!("http://127.0.0.1:{port}").into();
    }
    (server, heard, ports)
}

// The next over a socket: its clock is asked for over REST, now and then.
async fn next(heard: &mut Heard) -> Value {
    loop {
        let line = tokio::time::timeout(common::PATIENCE, heard.next_line()).await;
        let said: Value = serde_json::from_str(&line.unwrap().unwrap().unwrap()).unwrap();
        assert_ne!(said["token"], true, "our token stays here: {said}");
        if said.get("rest").is_none() {
            return said;
        }
    }
}

struct Desk {
    agent: Agent,
    client: Connection,
    _venues: Child,
    heard: Heard,
    proxy: String,
    token: String,
}

impl Desk {
    // With a key for each of these venues, and each a server of its own.
    async fn new(venues: &[&str]) -> Self {
        let mut keys = json!({});
        for venue in venues {
            keys[venue] = keys_of(key_of(venue));
            // Where KuCoin sends its clients; a practice vault goes to the address that it was given.
            keys[venue]["endpoint"] = "wss://push-private.kucoin.com/endpoint".into();
        }
        Self::with(&keys).await
    }

    async fn with(keys: &Value) -> Self {
        let (server, heard, addresses) = serve(keys).await;
        let agent = Agent::start_with("", &[]).await;
        let client = agent.client().await;
        practice_vault(&agent, &client).await;
        let _owner = Person::new(&agent, yes).await;
        for (name, keys) in keys.as_object().unwrap() {
            let text = |name: &str| keys[name].as_str().unwrap().to_owned();
            let stored = |name: &str| NewSecret::Stored {
                value: SecretText::new(text(name)),
            };
            let venue = venue_of(name);
            let mut item = AddItem::new("exchange-key", name)
                .field("venue", venue)
                .field("key-set", name)
                .field("class", "read")
                .field("api-key", text("key"))
                .field("base-url", addresses[name].as_str().unwrap())
                .secret("secret", stored("secret"));
            if touchkeep_venue::venue(venue).unwrap().info().passphrase {
                item = item.secret("passphrase", stored("passphrase"));
            }
            client.call(item).await.unwrap();
        }
        let text = POLICY.into();
        client.call(SetPolicy { text }).await.unwrap();
        Self {
            agent,
            client,
            _venues: server,
            heard,
            proxy: String::new(),
            token: String::new(),
        }
    }

    // The bot of this venue from now on.
    async fn is_for(&mut self, name: &str) {
        let _owner = Person::new(&self.agent, yes).await;
        let add = AddClient::unbound(format!("bot-{name}"), name);
        let bot = self.client.call(add).await.unwrap();
        let port = bot.base_url().split('/').nth(2).unwrap().to_owned();
        self.proxy = format!("http://{port}");
        self.token = bot.token.into_inner();
    }

    // What the client hears after each of its messages.
    async fn say(&self, path: &str, messages: &[&str]) -> Vec<String> {
        let url = format!("{}/{path}", self.proxy.replacen("http", "ws", 1));
        let messages: Vec<String> = messages
            .iter()
            .map(|message| message.replace("TOKEN", &self.token))
            .collect();
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        let arguments = [&["say", &url, &self.token], messages.as_slice()].concat();
        let heard = said(python(&arguments)).await;
        let text = |line: &Value| match &line["data"] {
            Value::String(text) => text.clone(),
            _ => line.to_string(),
        };
        heard.iter().map(text).collect()
    }

    async fn rows(&self, kind: &str) -> Vec<AuditRow> {
        let list = ListAudit {
            before: None,
            limit: 100,
            filter: AuditFilter {
                kinds: vec![kind.into()],
                ..Default::default()
            },
        };
        self.client.call(list).await.unwrap().rows
    }
}

// `htx.swap` is HTX, of which ccxt watches contracts.
fn venue_of(name: &str) -> &str {
    name.split('.').next().unwrap()
}

const ALL: &[&str] = &[
    "backpack",
    "binance",
    "bitfinex",
    "bitget",
    "bitstamp",
    "bybit",
    "coinbase",
    "coinbaseexchange",
    "cryptocom",
    "deribit",
    "gate",
    "gemini",
    "htx",
    "htx.swap",
    "kraken",
    "krakenfutures",
    "kucoin",
    "kucoinfutures",
    "mexc",
    "okx",
    "upbit",
];

fn seen_at(name: &str) -> Value {
    match name {
        "bitstamp" | "gemini" | "htx" | "coinbase" | "coinbaseexchange" | "backpack" | "kraken" => {
            json!({ "venue": name, "order": "77" })
        }
        _ => json!({ "venue": name, "balance": 1.5 }),
    }
}

// What ccxt.pro sees at each venue.
async fn watched(them: Vec<Value>) -> std::collections::BTreeMap<String, Value> {
    let seen = said(python(&["watch", &json!(them).to_string()])).await;
    let name = |seen: &Value| seen["venue"].as_str().unwrap().to_owned();
    seen.into_iter().map(|seen| (name(&seen), seen)).collect()
}

// So that what the venues of these tests take for a login is not our belief alone.
#[tokio::test]
async fn ccxt_watches_accounts_straight_at_the_venues_with_the_real_keys() {
    let keys = |name: &&str| (name.to_string(), keys_of(key_of(name)));
    let keys: serde_json::Map<_, _> = ALL.iter().map(keys).collect();
    let (_server, mut heard, addresses) = serve(&json!(keys)).await;
    let them = keys
        .iter()
        .map(|(name, keys)| json!([name, addresses[name], keys]));
    let seen = watched(them.collect()).await;
    for name in ALL {
        assert_eq!(seen[*name], seen_at(name));
    }
    let mut logins = std::collections::BTreeSet::new();
    while logins.len() < ALL.len() {
        let heard = next(&mut heard).await;
        assert_ne!(heard["signed"], false, "{heard}");
        if heard.get("signed").is_some() {
            logins.insert(heard["venue"].to_string());
        }
    }
}

#[tokio::test]
async fn ccxt_watches_accounts_through_the_proxy_with_dummies() {
    let mut desk = Desk::new(ALL).await;
    let mut them = Vec::new();
    for name in ALL {
        desk.is_for(name).await;
        let (venue, token) = (venue_of(name), &desk.token);
        // ccxt 4.5.90 has no way to send a header of ours to Gemini: there the address has the token.
        let address = match venue {
            "gemini" => format!("{}/{token}/{venue}", desk.proxy),
            _ => format!("{}/{venue}", desk.proxy),
        };
        let keys = json!({
            "key": token, "secret": touchkeep_venue::dummy::secret(venue), "passphrase": "dummy", "token": token
        });
        them.push(json!([name, address, keys]));
    }
    let seen = watched(them).await;
    for name in ALL {
        assert_eq!(seen[*name], seen_at(name));
    }
    let mut logins = std::collections::BTreeSet::new();
    while logins.len() < ALL.len() {
        let heard = next(&mut desk.heard).await;
        assert_ne!(heard["signed"], false, "{heard}");
        if heard.get("closed").is_some() {
            continue;
        }
        assert_eq!(heard["token"], false, "our token stays here: {heard}");
        assert_eq!(
            heard["extensions"], "",
            "no compression where we read: {heard}"
        );
        if heard.get("signed").is_some() {
            logins.insert(heard["venue"].to_string());
        }
    }
    assert!(desk.rows("request-denied").await.is_empty());
    let intents = desk.rows("intent").await;
    for name in ALL {
        let bot = format!("bot-{name}");
        assert!(
            intents
                .iter()
                .any(|row| row.client.as_deref() == Some(&bot)),
            "{name}"
        );
    }
}

/// A venue, the path of its socket, whether it speaks first, a client's login, what trades there, and what only reads.
type Case = (
    &'static str,
    &'static str,
    bool,
    &'static [&'static str],
    &'static str,
    &'static str,
);

const CASES: &[Case] = &[
    (
        "backpack",
        "/",
        false,
        &[
            r#"{"method":"SUBSCRIBE","params":["account.orderUpdate"],"signature":["TOKEN","x","1","2"]}"#,
        ],
        r#"{"method":"orderExecute","params":[]}"#,
        r#"{"method":"SUBSCRIBE","params":["trade.BTC_USDC"]}"#,
    ),
    (
        "binance",
        "/ws-api/v3",
        false,
        &[
            r#"{"id":1,"method":"userDataStream.subscribe.signature","params":{"apiKey":"TOKEN","timestamp":1,"signature":"x"}}"#,
        ],
        r#"{"id":2,"method":"order.place","params":{"symbol":"BTCUSDT"}}"#,
        r#"{"id":3,"method":"time"}"#,
    ),
    (
        "bitfinex",
        "/ws/2",
        true,
        &[
            r#"{"event":"auth","apiKey":"TOKEN","authSig":"x","authNonce":1,"authPayload":"AUTH1","filter":["wallet"]}"#,
        ],
        r#"[0,"on",null,{"type":"EXCHANGE LIMIT","symbol":"tBTCUSD"}]"#,
        r#"{"event":"subscribe","channel":"ticker","symbol":"tBTCUSD"}"#,
    ),
    (
        "bitget",
        "/v2/ws/private",
        false,
        &[
            r#"{"op":"login","args":[{"apiKey":"TOKEN","passphrase":"x","timestamp":"1","sign":"x"}]}"#,
        ],
        r#"{"op":"trade","args":[{"channel":"place-order"}]}"#,
        r#"{"op":"subscribe","args":[{"channel":"account"}]}"#,
    ),
    (
        "bitstamp",
        "/",
        false,
        &[
            r#"{"event":"bts:subscribe","data":{"channel":"private-my_orders_btcusd-0","auth":"kept-by-touchkeep"}}"#,
        ],
        r#"{"event":"bts:subscribe","data":{"channel":"live_trades_btcusd","auth":"kept-by-touchkeep"}}"#,
        r#"{"event":"bts:subscribe","data":{"channel":"live_trades_btcusd"}}"#,
    ),
    (
        "mexc",
        "/edge",
        false,
        &[r#"{"method":"login","param":{"apiKey":"TOKEN","reqTime":"1","signature":"x"}}"#],
        r#"{"method":"order.submit","param":{"symbol":"BTC_USDT"}}"#,
        r#"{"method":"sub.deal","param":{"symbol":"BTC_USDT"}}"#,
    ),
    (
        "upbit",
        "/websocket/v1/private",
        false,
        &[],
        r#"[{"ticket":"a"},{"type":"myOrder"},{"method":"ORDER"}]"#,
        r#"[{"ticket":"a"},{"type":"myAsset"}]"#,
    ),
    (
        "bybit",
        "/v5/private",
        false,
        &[r#"{"req_id":"1","op":"auth","args":["TOKEN",1,"x"]}"#],
        r#"{"op":"order.create","args":[{"symbol":"BTCUSDT"}]}"#,
        r#"{"op":"subscribe","args":["order"]}"#,
    ),
    (
        "coinbase",
        "/user",
        false,
        &[r#"{"type":"subscribe","channel":"user","product_ids":[],"jwt":"x.y.z"}"#],
        r#"{"type":"order","channel":"user"}"#,
        r#"{"type":"subscribe","channel":"ticker","product_ids":["BTC-USD"]}"#,
    ),
    (
        "coinbaseexchange",
        "/",
        false,
        &[
            r#"{"type":"subscribe","channels":["user"],"product_ids":["BTC-USD"],"signature":"x","key":"TOKEN","passphrase":"x","timestamp":"1"}"#,
        ],
        r#"{"type":"order","channels":["user"]}"#,
        r#"{"type":"subscribe","channels":["ticker"],"product_ids":["BTC-USD"]}"#,
    ),
    (
        "cryptocom",
        "/exchange/v1/user",
        false,
        &[r#"{"id":1,"method":"public/auth","api_key":"TOKEN","sig":"x","nonce":1}"#],
        r#"{"id":2,"method":"private/create-order","params":{"instrument_name":"BTC_USDT"}}"#,
        r#"{"id":3,"method":"subscribe","params":{"channels":["user.balance"]}}"#,
    ),
    (
        "deribit",
        "/ws/api/v2",
        false,
        &[
            r#"{"jsonrpc":"2.0","id":1,"method":"public/auth","params":{"grant_type":"client_credentials","client_id":"TOKEN","client_secret":"x"}}"#,
        ],
        r#"{"jsonrpc":"2.0","id":2,"method":"private/buy","params":{"instrument_name":"BTC-PERPETUAL","amount":10}}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"private/subscribe","params":{"channels":["user.portfolio.btc"]}}"#,
    ),
    (
        "gate",
        "/ws/v4/",
        false,
        &[
            r#"{"id":1,"time":1,"channel":"spot.orders","event":"subscribe","payload":["!all"],"auth":{"method":"api_key","KEY":"TOKEN","SIGN":"x"}}"#,
        ],
        r#"{"id":2,"time":1,"channel":"spot.order_place","event":"api","payload":{"api_key":"TOKEN"}}"#,
        r#"{"id":3,"time":1,"channel":"spot.trades","event":"subscribe","payload":["BTC_USDT"]}"#,
    ),
    (
        "htx",
        "/ws/v2",
        false,
        &[
            r#"{"action":"req","ch":"auth","params":{"authType":"api","accessKey":"TOKEN","signature":"x"}}"#,
        ],
        r#"{"action":"req","ch":"create-order","params":{"symbol":"btcusdt"}}"#,
        r#"{"action":"sub","ch":"accounts.update#2"}"#,
    ),
    (
        "htx.swap",
        "/linear-swap-notification",
        false,
        &[r#"{"op":"auth","type":"api","AccessKeyId":"TOKEN","Signature":"x"}"#],
        r#"{"op":"create_order","data":{"contract_code":"BTC-USDT"}}"#,
        r#"{"op":"sub","topic":"orders.*"}"#,
    ),
    (
        "kraken",
        "/auth/v2",
        false,
        &[
            r#"{"method":"subscribe","params":{"channel":"executions","token":"kept-by-touchkeep"},"req_id":1}"#,
        ],
        r#"{"method":"add_order","params":{"order_type":"market","token":"kept-by-touchkeep"},"req_id":2}"#,
        r#"{"method":"subscribe","params":{"channel":"ticker","symbol":["BTC/USD"]},"req_id":3}"#,
    ),
    (
        "krakenfutures",
        "/ws/v1",
        true,
        &[
            r#"{"event":"challenge","api_key":"TOKEN"}"#,
            r#"{"event":"subscribe","feed":"fills","api_key":"TOKEN","original_challenge":"x/api/v3/sendorder","signed_challenge":"x"}"#,
        ],
        r#"{"event":"sendorder","symbol":"PI_XBTUSD"}"#,
        r#"{"event":"subscribe","feed":"ticker","product_ids":["PI_XBTUSD"]}"#,
    ),
    (
        "okx",
        "/ws/v5/private",
        false,
        &[
            r#"{"op":"login","args":[{"apiKey":"TOKEN","passphrase":"x","timestamp":"1","sign":"x"}]}"#,
        ],
        r#"{"id":"2","op":"order","args":[{"instId":"BTC-USDT","side":"buy","sz":"1"}]}"#,
        r#"{"op":"subscribe","args":[{"channel":"account"}]}"#,
    ),
    (
        "gemini",
        "/v1/order/events",
        true,
        &[],
        r#"{"method":"order.place","params":{}}"#,
        "",
    ),
    (
        "kucoin",
        "/endpoint?token=kept-by-touchkeep&connectId=a",
        true,
        &[],
        r#"{"id":1,"type":"order","topic":"x"}"#,
        r#"{"id":2,"type":"subscribe","topic":"/account/balance"}"#,
    ),
    (
        "kucoinfutures",
        "/endpoint?token=kept-by-touchkeep",
        true,
        &[],
        r#"{"id":1,"type":"order","topic":"x"}"#,
        r#"{"id":2,"type":"subscribe","topic":"/contractAccount/wallet"}"#,
    ),
];

#[tokio::test]
async fn who_is_logged_in_reads_and_no_order_reaches_the_venue() {
    let names: Vec<&str> = CASES.iter().map(|case| case.0).collect();
    let mut desk = Desk::new(&names).await;
    for (name, path, speaks_first, logins, order, reads) in CASES {
        desk.is_for(name).await;
        let mut messages = if *speaks_first {
            vec!["hear"]
        } else {
            Vec::new()
        };
        messages.extend(*logins);
        messages.push(order);
        if !reads.is_empty() {
            messages.push(reads);
        }
        // What answers the login may come in two messages; the refusal is looked for among all.
        messages.extend(
            ["hear"; 2]
                .iter()
                .filter(|_| ["gate", "bitfinex", "bitstamp", "mexc"].contains(name))
                .take(1),
        );
        let address = format!("{}{path}", venue_of(name));
        let answers = desk.say(&address, &messages).await;
        let refusal = answers
            .iter()
            .filter(|answer| answer.contains("Touchkeep: only data"));
        assert_eq!(refusal.count(), 1, "{name}: {answers:?}");
        for answer in &answers {
            let key = key_of(name).0;
            assert!(
                !answer.contains(TOKEN) && !answer.contains(key) && !answer.contains("4848701"),
                "{name}: {answer}"
            );
        }
        if *name == "deribit" {
            assert_eq!(answers[0].matches(KEPT).count(), 2, "{answers:?}");
        }
        let (mut signed, mut read) = (false, reads.is_empty());
        while !(signed && read) {
            let heard = next(&mut desk.heard).await;
            if heard["venue"] != *name || heard.get("closed").is_some() {
                continue;
            }
            assert_eq!(heard["token"], false, "our token stays here: {heard}");
            assert_ne!(heard["signed"], false, "{heard}");
            assert_ne!(heard["text"], *order, "{name}");
            signed |= heard["signed"] == true;
            read |= heard["text"] == *reads;
        }
        let bot = format!("bot-{name}");
        let of_bot = |rows: Vec<AuditRow>| {
            let mine = rows
                .into_iter()
                .filter(|row| row.client.as_deref() == Some(&bot));
            mine.count()
        };
        assert_eq!(of_bot(desk.rows("request-denied").await), 1, "{name}");
        assert_eq!(of_bot(desk.rows("intent").await), 1, "{name}");
    }
}

#[tokio::test]
async fn a_socket_that_opens_with_a_login_does_not_open_without_a_yes() {
    let mut desk = Desk::new(&["gemini", "kucoin", "upbit", "kraken"]).await;
    let _owner = Person::new(&desk.agent, yes).await;
    let text = POLICY.replace("allow", "deny");
    desk.client.call(SetPolicy { text }).await.unwrap();
    for (name, path) in [
        ("gemini", "gemini/v1/order/events"),
        ("upbit", "upbit/websocket/v1/private"),
        ("kucoin", "kucoin/endpoint?token=kept-by-touchkeep"),
    ] {
        desk.is_for(name).await;
        let answers = desk.say(path, &["x"]).await;
        assert!(
            answers[0].contains(r#""refused":401"#) || answers[0].contains(r#""refused":403"#),
            "{answers:?}"
        );
    }
    desk.is_for("kraken").await;
    let subscribe = r#"{"method":"subscribe","params":{"channel":"balances","token":"x"}}"#;
    let answers = desk.say("kraken/auth/v2", &[subscribe]).await;
    assert!(
        answers[0].contains("Touchkeep:") && answers[0].contains(r#""success":false"#),
        "{answers:?}"
    );
    assert!(desk.rows("intent").await.is_empty());
    assert_eq!(desk.rows("request-denied").await.len(), 4);
}

// What opens a socket for a client is not signed any more once that is sent away, whoever says yes to it then.
#[tokio::test]
async fn a_login_that_waits_for_a_yes_ends_with_its_client() {
    for name in ["gemini", "kraken"] {
        let mut desk = Desk::new(&[name]).await;
        let owner = Person::new(&desk.agent, yes).await;
        let text = POLICY.replace("allow", "approve");
        desk.client.call(SetPolicy { text }).await.unwrap();
        drop(owner);
        desk.is_for(name).await;
        let person = Person::new(&desk.agent, undecided).await;
        let (path, message) = match name {
            "gemini" => ("gemini/v1/order/events", "x"),
            _ => (
                "kraken/auth/v2",
                r#"{"method":"subscribe","params":{"channel":"balances","token":"x"}}"#,
            ),
        };
        let client = format!("bot-{name}");
        let revokes = async {
            until(async || !person.approvals().is_empty()).await;
            desk.client.call(RevokeClient { client }).await.unwrap();
        };
        let messages = [message];
        let (answers, ()) = tokio::join!(desk.say(path, &messages), revokes);
        let said = answers.join("\n");
        let expected = match name {
            "gemini" => r#""refused":403"#,
            _ => "this client was revoked",
        };
        assert!(said.contains(expected), "{name}: {said}");
        assert!(desk.client.call(ListPrompts {}).await.unwrap().is_empty());
        until(async || !desk.rows("request-refused").await.is_empty()).await;
        assert!(desk.rows("intent").await.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn coinbase_takes_subscriptions_of_every_kind_of_key() {
    let subscribe = r#"{"type":"subscribe","channel":"user","product_ids":["BTC-USD","ETH-USD"]}"#;
    for secret in [P256, ED25519, TEXT] {
        let keys = json!({ "coinbase": keys_of(("organizations/a/apiKeys/b", secret)) });
        let mut desk = Desk::with(&keys).await;
        desk.is_for("coinbase").await;
        let answers = desk.say("coinbase/user", &[subscribe]).await;
        assert!(answers[0].contains("\"channel\": \"user\""), "{answers:?}");
        let heard = next(&mut desk.heard).await;
        assert_eq!(heard["signed"], true, "{heard}");
        assert_eq!(
            heard["text"].as_str().unwrap().contains("jwt"),
            secret != TEXT
        );
    }
}

// ccxt signs sockets with HMAC alone; ours goes in its place, and the venue has nothing but the public half of the key.
#[tokio::test]
async fn keys_of_rsa_log_in_where_venues_take_them() {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt"])
        .arg("rsa_keygen_bits:2048")
        .output();
    let pem = String::from_utf8(made.await.unwrap().stdout).unwrap();
    let names = ["binance", "bitget", "bybit"];
    let of_venue = |name: &str| {
        let mut keys = keys_of(("look-api-key-0123456789", &pem));
        keys["endpoint"] = "".into();
        (name.to_owned(), keys)
    };
    let keys: serde_json::Map<_, _> = names.into_iter().map(of_venue).collect();
    let mut desk = Desk::with(&json!(keys)).await;
    let mut them = Vec::new();
    for name in names {
        desk.is_for(name).await;
        let (token, address) = (&desk.token, format!("{}/{name}", desk.proxy));
        let keys = json!({ "key": token, "secret": touchkeep_venue::dummy::secret(name), "passphrase": "dummy", "token": token });
        them.push(json!([name, address, keys]));
    }
    let seen = watched(them).await;
    for name in names {
        assert_eq!(seen[name], seen_at(name));
    }
    let mut logins = std::collections::BTreeSet::new();
    while logins.len() < names.len() {
        let heard = next(&mut desk.heard).await;
        assert_ne!(heard["signed"], false, "{heard}");
        if heard.get("signed").is_some() {
            logins.insert(heard["venue"].to_string());
        }
    }
}

// Binance's own connector logs on straight at the venue with the real key, and through the proxy with a dummy.
#[tokio::test]
async fn binances_own_connector_logs_on_with_ed25519_and_orders_nothing() {
    let keys = json!({ "binance": keys_of(("look-api-key-0123456789", ED25519)) });
    let (_server, mut heard, addresses) = serve(&keys).await;
    let address = addresses["binance"]
        .as_str()
        .unwrap()
        .replacen("http", "ws", 1);
    let url = format!("{address}/ws-api/v3");
    let direct = said(python(&[
        "connect",
        &url,
        "look-api-key-0123456789",
        ED25519,
    ]))
    .await;
    assert!(
        direct[0]["logon"].to_string().contains("look-api-key"),
        "{direct:?}"
    );
    assert_eq!(next(&mut heard).await["signed"], true);
    let order = next(&mut heard).await;
    assert!(
        order["text"].as_str().unwrap().contains("order.place"),
        "the connector orders: {order}"
    );

    let mut desk = Desk::with(&keys).await;
    desk.is_for("binance").await;
    let proxy = desk.proxy.replacen("http", "ws", 1);
    let url = format!("{proxy}/{}/binance/ws-api/v3", desk.token);
    let dummy = touchkeep_venue::dummy::secret("revolutx");
    let through = said(python(&["connect", &url, &desk.token, dummy])).await;
    assert!(
        through[0]["logon"].to_string().contains("authorized_since"),
        "{through:?}"
    );
    assert!(
        through[1].to_string().contains("Touchkeep: only data"),
        "{through:?}"
    );
    loop {
        let heard = next(&mut desk.heard).await;
        if heard.get("closed").is_some() {
            break;
        }
        assert_eq!(heard["token"], false, "our token stays here: {heard}");
        assert_ne!(heard["signed"], false, "{heard}");
        let text = heard["text"].as_str().unwrap_or_default();
        assert!(!text.contains("order.place"), "{heard}");
    }
    assert_eq!(desk.rows("request-denied").await.len(), 1);
}
