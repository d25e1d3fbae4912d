//! Kraken's private WebSocket, version 2, at `/v2`.
//!
//! Sources, read 2026-11-26: docs.kraken.com "Get Websockets Token", "Spot WebSocket Authentication" and the pages on
//! `add_order`, `cancel_order`, `cancel_all`, `executions` and `balances`. A token is made by a signed REST request, is good
//! for 15 minutes to begin with, and then for as long as the connection that used it. The words for a bad token are
//! `ESession:Invalid session`.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use bigdecimal::BigDecimal;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::account::Owner;
use super::super::calendar;
use super::super::exchange::{Asked, Exchange};
use super::super::faults::Instead;
use super::super::keys::{For, Permission};
use super::super::members::Members;
use super::super::request::{Done, Received, Refused};
use super::super::socket::Socket;
use super::endpoints::Call;
use super::feeds::Feeds;
use super::orders;
use super::params::Params;
use super::refusal::Refusal;

const LIFE_US: u64 = 900 * 1_000_000;
const TOKEN_BYTES: usize = 32;

/// Tokens that were given out: of which key, and until when they can be used first.
#[derive(Default)]
pub(crate) struct Sessions(BTreeMap<String, (String, u64)>);

/// `POST /0/private/GetWebSocketsToken`
pub(crate) fn token(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let mut bytes = [0_u8; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::INTERNAL)?;
    let token = BASE64.encode(&bytes);
    let until = call.now_us.saturating_add(LIFE_US);
    let session = (call.api_key.to_owned(), until);
    exchange.sessions.0.insert(token.clone(), session);
    Ok(json!({ "token": token, "expires": LIFE_US / 1_000_000 }).into())
}

#[derive(Deserialize)]
struct Message {
    method: String,
    req_id: Option<u64>,
    #[serde(default)]
    params: Members<Value>,
}

/// One connection.
#[derive(Default)]
pub(crate) struct KrakenSocket {
    /// Tokens that were used here in time.
    used: BTreeSet<String>,
    feeds: Feeds,
}

impl Socket for KrakenSocket {
    fn greeting(&self, _: u64) -> Option<Value> {
        let data = json!([{ "system": "online", "api_version": "v2", "version": "2.0.0" }]);
        Some(json!({ "channel": "status", "type": "update", "data": data }))
    }

    fn asked(&self, message: &Received) -> Asked {
        let method = read(message).map_or_else(|| "?".to_owned(), |message| message.method);
        Asked {
            dialect: "kraken",
            endpoint: endpoint(&method),
            api_key: None,
        }
    }

    fn run(
        &mut self,
        exchange: &mut Exchange,
        message: &Received,
        now_us: u64,
    ) -> Result<Done, Refused> {
        let asked = read(message);
        let done = match &asked {
            None => Err(Refusal::argument("message")),
            Some(asked) => self.act(exchange, message, asked, now_us),
        };
        match done {
            Ok(done) => Ok(Done {
                body: accepted(asked.as_ref(), done.body, now_us),
                ..done
            }),
            Err(refusal) => Err(refused(asked.as_ref(), refusal.into(), now_us)),
        }
    }

    fn instead(&self, message: &Received, instead: Instead, now_us: u64) -> Refused {
        let word = match instead {
            Instead::RateLimit => Refusal::RATE_LIMIT,
            Instead::Status(_) | Instead::Cut => Refusal::UNAVAILABLE,
        };
        refused(read(message).as_ref(), word.into(), now_us)
    }

    fn news(&mut self, exchange: &mut Exchange, now_us: u64) -> Vec<Value> {
        self.feeds.news(exchange, now_us)
    }
}

impl KrakenSocket {
    fn act(
        &mut self,
        exchange: &mut Exchange,
        message: &Received,
        asked: &Message,
        now_us: u64,
    ) -> Result<Done, Refusal> {
        if asked.method == "ping" {
            return Ok(json!({}).into());
        }
        let needed = match asked.method.as_str() {
            "subscribe" | "unsubscribe" => Permission::Read,
            "add_order" | "cancel_order" | "cancel_all" => Permission::Trade,
            _ => return Err(Refusal::UNKNOWN_METHOD),
        };
        let (api_key, owner) = self.authenticate(exchange, message, asked, needed, now_us)?;
        let params = translated(asked)?;
        let call = Call {
            params: &params,
            api_key: &api_key,
            owner: &owner,
            now_us,
        };
        match asked.method.as_str() {
            "add_order" => {
                let done = orders::add(exchange, &call)?;
                let body = json!({ "order_id": done.body.pointer("/txid/0") });
                Ok(Done { body, ..done })
            }
            "cancel_order" => {
                let done = orders::cancel(exchange, &call)?;
                let body = json!({ "order_id": params.text("txid") });
                Ok(Done { body, ..done })
            }
            "cancel_all" => orders::cancel_all(exchange, &call),
            _ => self.watch(exchange, asked, &owner),
        }
    }

    fn authenticate(
        &mut self,
        exchange: &mut Exchange,
        message: &Received,
        asked: &Message,
        needed: Permission,
        now_us: u64,
    ) -> Result<(String, Owner), Refusal> {
        let token = asked.params.get("token").and_then(Value::as_str);
        let token = token.ok_or(Refusal::SESSION)?;
        let (api_key, until) = exchange.sessions.0.get(token).ok_or(Refusal::SESSION)?;
        if now_us >= *until && !self.used.contains(token) {
            return Err(Refusal::SESSION);
        }
        // A key that is gone takes its sessions with it.
        let key = exchange.keys.find(For::Kraken, api_key);
        let key = key.ok_or(Refusal::SESSION)?;
        if !key.may_come_from(message.peer) || !key.may(needed) {
            return Err(Refusal::PERMISSION);
        }
        self.used.insert(token.to_owned());
        Ok((api_key.clone(), key.owner.clone()))
    }

    fn watch(
        &mut self,
        exchange: &Exchange,
        asked: &Message,
        owner: &Owner,
    ) -> Result<Done, Refusal> {
        let channel = asked.params.get("channel").and_then(Value::as_str);
        let begins = asked.method == "subscribe";
        let wants = |name: &str| asked.params.get(name).and_then(Value::as_bool);
        match channel {
            Some("executions") if begins => {
                let open = wants("snap_orders").unwrap_or(true);
                let done = wants("snap_trades").unwrap_or(false);
                self.feeds.watch_orders(&exchange.book, owner, open, done);
            }
            Some("balances") if begins => self.feeds.watch_balances(owner),
            Some("executions") => self.feeds.forget_orders(),
            Some("balances") => self.feeds.forget_balances(),
            _ => return Err(Refusal::argument("channel")),
        }
        Ok(json!({ "channel": channel, "snapshot": begins }).into())
    }
}

fn read(message: &Received) -> Option<Message> {
    serde_json::from_slice(&message.body).ok()
}

fn endpoint(method: &str) -> &'static str {
    match method {
        "ping" => "ping",
        "subscribe" => "subscribe",
        "unsubscribe" => "unsubscribe",
        "add_order" => "place order",
        "cancel_order" => "cancel order",
        "cancel_all" => "cancel all orders",
        _ => "unknown method",
    }
}

fn accepted(asked: Option<&Message>, result: Value, now_us: u64) -> Value {
    let time = calendar::rfc3339(now_us / 1000);
    let method = asked.map_or("", |asked| asked.method.as_str());
    let mut body = json!({ "method": method, "time_in": time, "time_out": time });
    if let Some(body) = body.as_object_mut() {
        match method {
            "ping" => drop(body.insert("method".to_owned(), "pong".into())),
            _ => {
                body.insert("result".to_owned(), result);
                body.insert("success".to_owned(), true.into());
            }
        }
        if let Some(id) = asked.and_then(|asked| asked.req_id) {
            body.insert("req_id".to_owned(), id.into());
        }
    }
    body
}

fn refused(asked: Option<&Message>, no: Refused, now_us: u64) -> Refused {
    let time = calendar::rfc3339(now_us / 1000);
    let mut body =
        json!({ "error": no.error, "success": false, "time_in": time, "time_out": time });
    if let (Some(body), Some(asked)) = (body.as_object_mut(), asked) {
        body.insert("method".to_owned(), asked.method.clone().into());
        if let Some(id) = asked.req_id {
            body.insert("req_id".to_owned(), id.into());
        }
    }
    Refused { body, ..no }
}

/// The parameters by the names that REST has for them. What has none there is refused, as the venue does.
fn translated(asked: &Message) -> Result<Params, Refusal> {
    let mut found = Vec::new();
    for (name, value) in &asked.params.0 {
        let name = match (asked.method.as_str(), name.as_str()) {
            (_, "token") | ("subscribe" | "unsubscribe", _) => continue,
            ("add_order", "symbol") => "pair",
            ("add_order", "side") => "type",
            ("add_order", "order_type") => "ordertype",
            ("add_order", "order_qty") => "volume",
            ("add_order", "limit_price") => "price",
            ("add_order", "time_in_force") => "timeinforce",
            ("add_order", "validate") => "validate",
            ("add_order" | "cancel_order", "cl_ord_id") => "cl_ord_id",
            ("add_order", "post_only") if *value == Value::Bool(false) => continue,
            ("add_order", "post_only") => {
                found.push(("oflags".to_owned(), "post".to_owned()));
                continue;
            }
            ("cancel_order", "order_id") => "txid",
            (_, name) => return Err(Refusal::argument(name)),
        };
        found.push((name.to_owned(), text(name, value)?));
    }
    Ok(Params::of(found))
}

fn text(name: &str, value: &Value) -> Result<String, Refusal> {
    let bad = || Refusal::argument(name);
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => BigDecimal::from_str(&number.to_string())
            .map(|number| number.normalized().to_plain_string())
            .map_err(|_| bad()),
        // `order_id` and `cl_ord_id` come in lists; one at a time is taken here.
        Value::Array(list) => match list.as_slice() {
            [one] => text(name, one),
            _ => Err(bad()),
        },
        Value::Null | Value::Object(_) => Err(bad()),
    }
}
