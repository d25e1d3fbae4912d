//! Where clients show their key: what ccxt really sends, for every venue that it has, and for every kind of key.
//!
//! `TOUCHKEEP_PYTHON` names a Python with `tests/requirements.txt`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::process::Command;

use common::as_bot;
use serde_json::Value;
use touchkeep_venue::Showing;

const ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ccxt_signs.py");
const KINDS: &[&str] = &[
    "backpack",
    "binance",
    "bitfinex",
    "bitget",
    "bitstamp",
    "bybit",
    "coinbase",
    "coinbase:es256",
    "coinbaseexchange",
    "cryptocom",
    "deribit",
    "gate",
    "gemini",
    "htx",
    "hyperliquid",
    "kraken",
    "krakenfutures",
    "kucoin",
    "mexc",
    "okx",
    "revolutx",
    "upbit",
];

#[test]
fn the_key_of_every_request_that_ccxt_signs_is_found() {
    let python = std::env::var_os("TOUCHKEEP_PYTHON").unwrap_or_else(|| "python3".into());
    let said = Command::new(python)
        .args(["-B", "-W", "ignore", ORACLE, "20261126", "20"])
        .args(KINDS)
        .output()
        .unwrap();
    assert!(said.status.success(), "is ccxt there?");
    let mut seen = 0;
    for line in String::from_utf8(said.stdout).unwrap().lines() {
        let said: Value = serde_json::from_str(line).unwrap();
        let which = said["which"].as_str().unwrap();
        let venue = which.split(':').next().unwrap();
        let (bot, origin) = as_bot(&said["result"]);
        let venue = match origin.as_str() {
            "https://api-futures.kucoin.com" => "kucoinfutures",
            _ => venue,
        };
        let headers = said["result"]["headers"].as_object().unwrap();
        let headers: Vec<(String, &[u8])> = headers
            .iter()
            .map(|(n, v)| (n.to_ascii_lowercase(), v.as_str().unwrap().as_bytes()))
            .collect();
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        let keys = Showing {
            headers: &headers,
            query: &bot.query,
            body: &bot.body,
        }
        .keys(venue);
        assert_eq!(keys.is_empty(), venue == "hyperliquid", "{line}");
        assert!(
            keys.iter().all(|key| said["key"] == key.as_str()),
            "{keys:?}: {line}"
        );
        seen += 1;
    }
    assert_eq!(seen, 20 * KINDS.len());
}
