//! What ccxt was asked for against what we read of the request that it makes of it. Nothing may be read that was not asked;
//! what is not read is counted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use common::{as_bot, at};
use serde_json::Value;
use touchkeep_core::Decimal;
use touchkeep_venue::{Decoded, Operation, OperationKind, Side, naming};

const ASKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ccxt_asks.py");
const SEED: &str = "20261127";
const VENUES: [&str; 20] = [
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
    "kraken",
    "krakenfutures",
    "kucoin",
    "mexc",
    "okx",
    "revolutx",
    "upbit",
];

/// A request of ccxt, and what it was asked for.
struct Asked {
    venue: String,
    what: String,
    said: Value,
    read: Operation,
}

fn asked() -> Vec<Result<Asked, String>> {
    let python = std::env::var_os("TOUCHKEEP_PYTHON").unwrap_or_else(|| "python3".into());
    let made = Command::new(python)
        .args(["-B", "-W", "ignore", ASKER, SEED])
        .args(VENUES)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "is ccxt there? {errors}");
    let lines = String::from_utf8(made.stdout).unwrap();
    lines.lines().map(read).collect()
}

fn read(line: &str) -> Result<Asked, String> {
    let said: Value = serde_json::from_str(line).unwrap();
    let (bot, origin) = as_bot(&said["result"]);
    let venue = match origin.as_str() {
        "https://api-futures.kucoin.com" => "kucoinfutures",
        _ => said["venue"].as_str().unwrap(),
    };
    match at(venue).decode(&bot) {
        Ok(Decoded::Private(private)) => Ok(Asked {
            venue: venue.to_owned(),
            what: said["what"].as_str().unwrap().to_owned(),
            said: said["asked"].clone(),
            read: private.operation().clone(),
        }),
        other => Err(format!("{other:?}: {line}")),
    }
}

// The first word that is there; ccxt changes an order by cancelling it, where the venue cannot.
const KINDS: [(&str, &[OperationKind]); 10] = [
    ("withdraw", &[OperationKind::Withdraw]),
    (
        "transfer",
        &[OperationKind::Transfer, OperationKind::Withdraw],
    ),
    ("convert", &[OperationKind::Transfer]),
    ("borrow", &[OperationKind::Transfer]),
    ("repay", &[OperationKind::Transfer]),
    ("leverage", &[OperationKind::Leverage]),
    ("margin mode", &[OperationKind::Leverage]),
    ("add margin", &[OperationKind::Leverage]),
    ("cancel", &[OperationKind::Cancel]),
    ("edit", &[OperationKind::Trade, OperationKind::Cancel]),
];

fn kinds(what: &str) -> &'static [OperationKind] {
    let found = KINDS.iter().find(|(word, _)| what.contains(word));
    found.map_or(&[OperationKind::Trade], |(_, kinds)| *kinds)
}

impl Asked {
    fn text(&self, name: &str) -> Option<&str> {
        self.said[name].as_str()
    }

    fn number(&self, name: &str) -> Option<Decimal> {
        Some(self.text(name)?.parse().unwrap())
    }

    /// Each thing that was asked: its name, and whether it was read; what was read and not asked is wrong.
    fn compare(&self, wrong: &mut Vec<String>) -> BTreeMap<&'static str, bool> {
        let op = &self.read;
        let mut read = BTreeMap::new();
        let mut compared = |name: &'static str, asked: Option<String>, found: Option<String>| {
            if found.is_some() && found != asked {
                let at = format!("{} {} {}", self.venue, self.what, op.path);
                wrong.push(format!("{at}: {name} is {found:?}, asked {asked:?}"));
            }
            if asked.is_some() {
                read.insert(name, found.is_some());
            }
        };
        let text = |name| self.text(name).map(str::to_owned);
        let is_order = op.kind == OperationKind::Trade;
        // ccxt writes `XXBTZUSD` at Kraken.
        let market = text("symbol").map(|name| naming::market(&self.venue, &name));
        let asset = text("asset").map(|name| naming::asset(&self.venue, &name));
        compared("symbol", market, op.symbol.clone());
        compared("asset", asset, op.asset.clone());
        let side = op.side.map(|side| match side {
            Side::Buy => "buy".to_owned(),
            Side::Sell => "sell".to_owned(),
        });
        compared("side", text("side").filter(|_| is_order), side);
        let number = |n: Option<Decimal>| n.map(|n| n.to_string());
        let money = op.quote_amount.clone();
        let amount = self.number("amount").filter(|_| money.is_none());
        compared("amount", number(amount), number(op.amount.clone()));
        let worth = self.worth(money.as_ref());
        compared("quote", worth, number(money));
        let price = self.number("price");
        compared("price", number(price), number(op.price.clone()));
        compared(
            "destination",
            text("destination"),
            op.destination
                .clone()
                .filter(|_| op.kind == OperationKind::Withdraw),
        );
        compared("tag", text("tag"), op.destination_tag.clone());
        read
    }

    // Money that an order may be worth: what was asked, or amount times price.
    fn worth(&self, read: Option<&Decimal>) -> Option<String> {
        let asked = self.number("quote");
        let bought = Some(self.number("amount")?.times(&self.number("at")?));
        let worth = [asked.clone(), bought].into_iter().flatten();
        let same = worth.into_iter().find(|worth| Some(worth) == read);
        same.or(asked).map(|worth| worth.to_string())
    }
}

#[test]
fn nothing_is_read_that_ccxt_was_not_asked_for() {
    let (mut wrong, mut unread) = (Vec::new(), BTreeSet::new());
    let all: Vec<Asked> = asked()
        .into_iter()
        .filter_map(|one| one.map_err(|why| wrong.push(why)).ok())
        .collect();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for one in &all {
        if !kinds(&one.what).contains(&one.read.kind) {
            wrong.push(format!("{} {}: {}", one.venue, one.what, one.read.kind));
        }
        for (name, is_read) in one.compare(&mut wrong) {
            let (read, of) = counts.entry(name).or_default();
            *of += 1;
            *read += usize::from(is_read);
            if !is_read {
                let what = one.what.trim_end_matches(" buy").trim_end_matches(" sell");
                unread.insert(format!("{} {what} {name} {}", one.venue, one.read.path));
            }
        }
    }
    for one in &unread {
        println!("not read: {one}");
    }
    println!("{} requests: {counts:?}", all.len());
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
    assert!(all.len() > 1200, "{}", all.len());
    for (name, floor) in FLOORS {
        let (read, of) = counts[name];
        assert!(read * 100 >= of * floor, "{name}: {read} of {of}");
    }
    // What bots do all day goes by a rule with a limit of amounts, but where the amount counts contracts.
    let daily = ["limit", "post-only", "ioc", "named", "reducing"];
    let asks: Vec<&String> = unread
        .iter()
        .filter(|one| {
            let words: Vec<&str> = one.split(' ').collect();
            words[3] == "amount" && daily.contains(&words[2]) && !counts_contracts(&words)
        })
        .collect();
    assert!(asks.is_empty(), "{asks:?}");
    let moves = |one: &&String| !one.contains("spot ") && !one.contains("swap ");
    let moves = unread.iter().filter(moves).map(String::as_str);
    assert_eq!(moves.collect::<Vec<_>>(), NOT_SAID, "of what moves money");
}

fn counts_contracts(words: &[&str]) -> bool {
    words[1] == "swap" && ["gate", "htx", "mexc", "okx"].contains(&words[0])
}

// Of 100 that were asked. An order that is changed or cancelled by its id says nothing else; the price is a limit only where
// nothing moves it; a market order says money or an amount, not both, and none where ccxt hands on a `cost` or a `takeProfit` to
// a venue that has none, or where it borrows.
const FLOORS: [(&str, usize); 6] = [
    ("asset", 95),
    ("destination", 100),
    ("amount", 72),
    ("side", 85),
    ("symbol", 88),
    ("price", 50),
];

// A conversion is committed by the id of a quote; Bitfinex names the asset in the method of the withdrawal. Of the tags ccxt
// sends none for that asset there.
const NOT_SAID: [&str; 12] = [
    "backpack withdraw tag /wapi/v1/capital/withdrawals",
    "binance convert amount /sapi/v1/convert/acceptQuote",
    "binance convert asset /sapi/v1/convert/acceptQuote",
    "bitfinex withdraw asset /v2/auth/w/withdraw",
    "bitstamp withdraw tag /api/v2/btc_withdrawal/",
    "bybit convert amount /v5/asset/exchange/convert-execute",
    "bybit convert asset /v5/asset/exchange/convert-execute",
    "bybit margin mode symbol /v5/account/set-margin-mode",
    "coinbase convert amount /api/v3/brokerage/convert/trade/77",
    "coinbase convert asset /api/v3/brokerage/convert/trade/77",
    "deribit withdraw tag /api/v2/private/withdraw",
    "gemini withdraw tag /v1/withdraw/BTC",
];
