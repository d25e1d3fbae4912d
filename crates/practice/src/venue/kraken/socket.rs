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
use serde_json::{Map, Value, json};

use super::super::account::Owner;
use super::super::calendar;
use super::super::exchange::{Asked, Exchange};
use super::super::faults::Instead;
use super::super::keys::{For, Permission};
use super::super::market::ASSETS;
use super::super::order::{Order, Price, Side, Status, TimeInForce};
use super::super::request::{Done, Received, Refused};
use super::super::socket::Socket;
use super::endpoints::Call;
use super::params::Params;
use super::refusal::Refusal;
use super::{names, orders};

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
    params: Map<String, Value>,
}

/// One connection.
#[derive(Default)]
pub(crate) struct KrakenSocket {
    /// Tokens that were used here in time.
    used: BTreeSet<String>,
    /// Whose orders are watched, and what was last told about each.
    executions: Option<(Owner, BTreeMap<u64, Status>)>,
    /// Whose money is watched, and what was last told about each asset.
    balances: Option<(Owner, BTreeMap<&'static str, BigDecimal>)>,
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
        let mut news = Vec::new();
        if let Some((owner, seen)) = &mut self.executions {
            let changed: Vec<&Order> = exchange
                .book
                .orders(owner)
                .filter(|order| seen.get(&order.id) != Some(&order.status))
                .collect();
            if !changed.is_empty() {
                let rows = changed.iter().map(|order| execution(exchange, order));
                news.push(json!({ "channel": "executions", "type": "update", "data": rows.collect::<Value>() }));
            }
            seen.extend(changed.iter().map(|order| (order.id, order.status)));
        }
        if let Some((owner, seen)) = &mut self.balances {
            let changed = changed(exchange, owner, seen);
            let time = calendar::rfc3339(now_us / 1000);
            let rows: Vec<Value> = changed
                .iter()
                .map(|(asset, difference, total)| {
                    json!({
                        "asset": asset,
                        "asset_class": "currency",
                        "amount": number(difference),
                        "balance": number(total),
                        "wallet_type": "spot",
                        "wallet_id": "main",
                        "timestamp": time
                    })
                })
                .collect();
            if !rows.is_empty() {
                news.push(json!({ "channel": "balances", "type": "update", "data": rows }));
            }
        }
        news
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
            Some("executions") => {
                // Without the snapshot, what is known already is not told.
                let known = exchange.book.orders(owner).filter(|order| {
                    let is_wanted = match order.is_open() {
                        true => wants("snap_orders").unwrap_or(true),
                        false => wants("snap_trades").unwrap_or(false),
                    };
                    !is_wanted
                });
                let known = known.map(|order| (order.id, order.status)).collect();
                self.executions = begins.then(|| (owner.clone(), known));
            }
            Some("balances") => self.balances = begins.then(|| (owner.clone(), BTreeMap::new())),
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
    for (name, value) in &asked.params {
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

fn changed(
    exchange: &mut Exchange,
    owner: &Owner,
    seen: &mut BTreeMap<&'static str, BigDecimal>,
) -> Vec<(&'static str, BigDecimal, BigDecimal)> {
    let account = exchange.accounts.of(owner);
    let mut changed = Vec::new();
    for asset in ASSETS {
        let balance = account.of(asset);
        let total = balance.free + balance.locked;
        let before = seen.insert(asset, total.clone());
        if before.as_ref() != Some(&total) {
            let difference = &total - before.unwrap_or_default();
            changed.push((asset, difference, total));
        }
    }
    changed
}

fn execution(exchange: &Exchange, order: &Order) -> Value {
    let mut row = json!({
        "order_id": names::order_id(order.id),
        "cl_ord_id": order.new.client_id,
        "symbol": format!("{}/{}", order.new.symbol.base, order.new.symbol.quote),
        "order_qty": number(&order.quantity),
        "cum_qty": number(&order.executed),
        "cum_cost": number(&order.paid),
        "time_in_force": match order.new.time_in_force {
            TimeInForce::Gtc => "GTC",
            TimeInForce::Ioc => "IOC",
            TimeInForce::Fok => "FOK",
        },
        "side": match order.new.side {
            Side::Buy => "buy",
            Side::Sell => "sell",
        },
        "order_type": match order.new.price {
            Price::Market => "market",
            Price::Limit(_) | Price::LimitMaker(_) => "limit",
        },
        "exec_type": match order.status {
            Status::New => "new",
            Status::Filled => "trade",
            Status::Canceled => "canceled",
            Status::Expired => "expired",
        },
        "order_status": match order.status {
            Status::New => "new",
            Status::Filled => "filled",
            Status::Canceled => "canceled",
            Status::Expired => "expired",
        },
        "timestamp": calendar::rfc3339(order.updated_ms)
    });
    if let (Some(row), Price::Limit(limit) | Price::LimitMaker(limit)) =
        (row.as_object_mut(), &order.new.price)
    {
        row.insert("limit_price".to_owned(), number(limit));
    }
    let mut trades = exchange.book.trades(&order.new.owner);
    let trade = trades.find(|trade| trade.order_id == order.id);
    if let (Some(row), Some(trade)) = (row.as_object_mut(), trade) {
        row.insert("exec_id".to_owned(), names::trade_id(trade.id).into());
        row.insert("trade_id".to_owned(), trade.id.into());
        row.insert("last_qty".to_owned(), number(&trade.quantity));
        row.insert("last_price".to_owned(), number(&trade.price));
        row.insert("cost".to_owned(), number(&trade.paid));
        row.insert("liquidity_ind".to_owned(), "t".into());
    }
    row
}

// This API has numbers, not text.
fn number(amount: &BigDecimal) -> Value {
    let text = amount.normalized().to_plain_string();
    text.parse().map_or(Value::Null, Value::Number)
}
