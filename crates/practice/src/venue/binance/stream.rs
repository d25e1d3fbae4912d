//! Binance's market streams, at `/ws/…` and `/stream?streams=…`: prices that stand still, told each second.
//!
//! Source: binance-spot-api-docs `web-socket-streams.md` (read 2026-07-21). There are `<symbol>@ticker`,
//! `@miniTicker` and `@bookTicker`; as there, a name that means nothing is taken and nothing is ever told about it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::exchange::{Asked, Exchange};
use super::super::faults::Instead;
use super::super::form;
use super::super::market::{Symbol, plain};
use super::super::request::{Done, Received, Refused};
use super::super::socket::Socket;
use super::refusal::Refusal;

const BEAT: Duration = Duration::from_secs(1);
const LEGAL: &str = "^(SUBSCRIBE|UNSUBSCRIBE|LIST_SUBSCRIPTIONS)$";

#[derive(Deserialize)]
struct Message {
    method: String,
    #[serde(default)]
    params: Vec<String>,
    id: Value,
}

/// One connection.
pub(crate) struct BinanceStream {
    names: Vec<String>,
    /// Each event is told with its stream's name around it.
    is_combined: bool,
}

impl BinanceStream {
    /// The streams that a path and query ask for; nothing if this is no place for streams.
    pub(crate) fn at(path: &str, query: &str) -> Option<Self> {
        if path == "/stream" {
            let pairs = form::pairs(query.as_bytes()).ok()?;
            let named = pairs.into_iter().find(|(name, _)| name == "streams");
            let list = named.map(|(_, list)| list).unwrap_or_default();
            return Some(Self {
                names: list.split('/').map(ToOwned::to_owned).collect(),
                is_combined: true,
            });
        }
        let names = path.strip_prefix("/ws")?;
        (names.is_empty() || names.starts_with('/')).then(|| Self {
            names: names.split('/').map(ToOwned::to_owned).collect(),
            is_combined: false,
        })
    }
}

impl Socket for BinanceStream {
    fn greeting(&self, _: u64) -> Option<Value> {
        None
    }

    fn asked(&self, _: &Received) -> Asked {
        Asked {
            dialect: "binance",
            endpoint: "market streams",
            api_key: None,
        }
    }

    fn run(&mut self, _: &mut Exchange, message: &Received, _: u64) -> Result<Done, Refused> {
        let asked: Message = serde_json::from_slice(&message.body)
            .map_err(|_| Refusal::Mandatory("method".to_owned()))?;
        let result = match asked.method.as_str() {
            "SUBSCRIBE" => {
                self.names.extend(asked.params);
                Value::Null
            }
            "UNSUBSCRIBE" => {
                self.names.retain(|name| !asked.params.contains(name));
                Value::Null
            }
            "LIST_SUBSCRIPTIONS" => json!(self.names),
            _ => return Err(super::params::illegal("method", LEGAL).into()),
        };
        Ok(json!({ "result": result, "id": asked.id }).into())
    }

    fn instead(&self, _: &Received, instead: Instead, _: u64) -> Refused {
        Refusal::from(instead).into()
    }

    fn news(&mut self, _: &mut Exchange, _: u64) -> Vec<Value> {
        Vec::new()
    }

    fn beat(&self) -> Option<Duration> {
        Some(BEAT)
    }

    fn tick(&mut self, exchange: &mut Exchange, now_us: u64) -> Vec<Value> {
        let event = |name: &String| {
            let (symbol, kind) = name.split_once('@')?;
            let symbol = symbol.to_uppercase();
            let symbol = exchange.market.find(|known| known.name == symbol)?;
            let data = match kind {
                "ticker" => ticker(symbol, now_us / 1000),
                "miniTicker" => mini_ticker(symbol, now_us / 1000),
                "bookTicker" => best(symbol, now_us),
                _ => return None,
            };
            Some(match self.is_combined {
                true => json!({ "stream": name, "data": data }),
                false => data,
            })
        };
        self.names.iter().filter_map(event).collect()
    }
}

fn best(symbol: &Symbol, now_us: u64) -> Value {
    json!({
        "u": now_us,
        "s": symbol.name,
        "b": plain(&symbol.bid()),
        "B": "1.00000000",
        "a": plain(symbol.ask()),
        "A": "1.00000000"
    })
}

fn mini_ticker(symbol: &Symbol, now_ms: u64) -> Value {
    let (ask, none) = (plain(symbol.ask()), "0.00000000");
    json!({
        "e": "24hrMiniTicker", "E": now_ms, "s": symbol.name,
        "c": ask, "o": ask, "h": ask, "l": ask, "v": none, "q": none
    })
}

fn ticker(symbol: &Symbol, now_ms: u64) -> Value {
    let (ask, bid) = (plain(symbol.ask()), plain(&symbol.bid()));
    let (none, one) = ("0.00000000", "1.00000000");
    json!({
        "e": "24hrTicker", "E": now_ms, "s": symbol.name,
        "p": none, "P": "0.000", "w": ask, "x": ask, "c": ask, "Q": plain(&symbol.step),
        "b": bid, "B": one, "a": ask, "A": one, "o": ask, "h": ask, "l": ask,
        "v": none, "q": none, "O": now_ms.saturating_sub(86_400_000), "C": now_ms,
        "F": -1, "L": -1, "n": 0
    })
}
