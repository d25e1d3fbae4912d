//! How much of an asset a venue has free for a withdrawal: how it is asked, and how the answer is read. Dated data, compiled in;
//! a venue that is not in it is not asked.

use std::sync::OnceLock;

use serde::Deserialize;
use touchkeep_core::Decimal;

use crate::{Json, Operation, OperationKind, Request};

/// What is asked about one withdrawal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    of: &'static Place,
    asset: String,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    id: String,
    method: String,
    path: String,
    #[serde(default)]
    query: String,
    list: String,
    #[serde(default)]
    asset: String,
    free: String,
    #[serde(default)]
    also: Vec<String>,
}

/// What to ask about this operation; none where it is no withdrawal of so much of an asset, or its venue is not asked.
#[must_use]
pub fn balance(operation: &Operation) -> Option<Balance> {
    let asset = operation.asset.clone()?;
    let plain = |c: char| c.is_ascii_alphanumeric();
    let is_one = operation.kind == OperationKind::Withdraw && operation.amount.is_some();
    // It becomes part of a request: nothing that could mean anything else there.
    if !is_one || asset.is_empty() || !asset.chars().all(plain) {
        return None;
    }
    let of = places().iter().find(|place| place.id == operation.venue)?;
    Some(Balance { of, asset })
}

fn places() -> &'static [Place] {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        venue: Vec<Place>,
    }
    static PLACES: OnceLock<Vec<Place>> = OnceLock::new();
    PLACES.get_or_init(|| {
        let file: Result<File, _> = toml::from_str(include_str!("../data/balances.toml"));
        #[expect(clippy::panic, reason = "compiled-in data, read by every test")]
        file.unwrap_or_else(|why| panic!("data/balances: {why}"))
            .venue
    })
}

impl Balance {
    /// The request that asks.
    #[must_use]
    pub fn request(&self) -> Request {
        Request {
            method: self.of.method.clone(),
            path: self.of.path.clone(),
            query: self.of.query.replace("{asset}", &self.asset).into_bytes(),
            content_type: None,
            body: Vec::new(),
            expires: None,
        }
    }

    /// Reads the answer to it; none where it does not say one number for the asset.
    #[must_use]
    pub fn read(&self, answer: &[u8]) -> Option<Decimal> {
        let answer = Json::read(answer).ok()?;
        let mut at = &answer;
        for step in self.of.list.split('.').filter(|step| !step.is_empty()) {
            at = at.member(step)?;
        }
        let found = match at {
            Json::List(all) => {
                let named = |one: &&Json| {
                    let name = one.member(&self.of.asset).and_then(Json::plain);
                    name.is_some_and(|name| name.eq_ignore_ascii_case(&self.asset))
                };
                one_of(all.iter().filter(named))
            }
            Json::Members(all) => {
                let is = |name: &str| {
                    let mut before = self.of.also.iter().map(String::as_str).chain([""]);
                    before.any(|before| name.strip_prefix(before) == Some(self.asset.as_str()))
                };
                one_of(all.iter().filter(|(name, _)| is(name)).map(|(_, one)| one))
            }
            _ => None,
        }?;
        let free = match self.of.free.as_str() {
            "" => found,
            free => found.member(free)?,
        };
        let free: Decimal = free.plain()?.parse().ok()?;
        (!free.is_negative()).then_some(free)
    }
}

fn one_of<'a>(mut found: impl Iterator<Item = &'a Json>) -> Option<&'a Json> {
    let one = found.next()?;
    found.next().is_none().then_some(one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoded, venue};

    fn asks(venue: &str, asset: &str) -> Option<Balance> {
        let mut operation =
            Operation::new(OperationKind::Withdraw, venue, "POST", "/w", "withdraw");
        operation.asset = Some(asset.into());
        operation.amount = "1".parse().ok();
        balance(&operation)
    }

    #[test]
    fn every_question_is_a_read_of_its_venue() {
        for place in places() {
            let asked = asks(&place.id, "BTC").unwrap().request();
            match venue(&place.id).unwrap().decode(&asked) {
                Ok(Decoded::Private(read)) => {
                    assert_eq!(read.operation().kind, OperationKind::Read, "{}", place.id);
                }
                other => panic!("{}: {other:?}", place.id),
            }
        }
        assert_eq!(places().len(), 11);
    }

    // As ccxt quotes them beside the code that reads them.
    #[test]
    fn answers_are_read() {
        for (venue, asset, answer, free) in [
            (
                "binance",
                "BTC",
                r#"{"canTrade":true,"balances":[{"asset":"BTC","free":"4723846.89208129","locked":"0.1"},{"asset":"LTC","free":"1","locked":"0"}]}"#,
                Some("4723846.89208129"),
            ),
            (
                "kraken",
                "XBT",
                r#"{"error":[],"result":{"ZUSD":"25435.21","XXBT":"1.2435"}}"#,
                Some("1.2435"),
            ),
            (
                "kraken",
                "USDT",
                r#"{"error":[],"result":{"USDT":"7","XXBT":"1.2435"}}"#,
                Some("7"),
            ),
            (
                "kraken",
                "BT",
                r#"{"error":[],"result":{"XXBT":"1.2435"}}"#,
                None,
            ),
            (
                "backpack",
                "USDC",
                r#"{"USDC":{"available":"120","locked":"0","staked":"0"}}"#,
                Some("120"),
            ),
            (
                "bitstamp",
                "usdt",
                r#"[{"currency":"usdt","total":"7.00000","available":"6.00000","reserved":"1"}]"#,
                Some("6"),
            ),
            (
                "upbit",
                "BTC",
                r#"[{"currency":"BTC","balance":"0.005","locked":"0.0"}]"#,
                Some("0.005"),
            ),
            (
                "kucoin",
                "BTC",
                r#"{"code":"200000","data":[{"balance":"0.2","available":"0.1","holds":"0.1","currency":"BTC","id":"1","type":"main"}]}"#,
                Some("0.1"),
            ),
            (
                "okx",
                "BTC",
                r#"{"code":"0","data":[{"availBal":"37.1","bal":"37.5","ccy":"BTC","frozenBal":"0.4"}]}"#,
                Some("37.1"),
            ),
            (
                "bitget",
                "BTC",
                r#"{"code":"00000","data":[{"coin":"BTC","available":"0.5","frozen":"0"}]}"#,
                Some("0.5"),
            ),
            (
                "gate",
                "BTC",
                r#"[{"currency":"BTC","available":"0.4","locked":"0"}]"#,
                Some("0.4"),
            ),
            (
                "gemini",
                "btc",
                r#"[{"type":"exchange","currency":"BTC","amount":"2","available":"1.5","availableForWithdrawal":"1"}]"#,
                Some("1"),
            ),
            (
                "mexc",
                "BTC",
                r#"{"balances":[{"asset":"BTC","free":"0.3","locked":"0"}]}"#,
                Some("0.3"),
            ),
            (
                "binance",
                "BTC",
                r#"{"balances":[{"asset":"BTC","free":"1"},{"asset":"BTC","free":"2"}]}"#,
                None,
            ),
            (
                "binance",
                "BTC",
                r#"{"balances":[{"asset":"BTC","free":"-1"}]}"#,
                None,
            ),
            ("binance", "BTC", r#"{"balances":[]}"#, None),
            (
                "binance",
                "BTC",
                r#"{"code":-2015,"msg":"Invalid API-key"}"#,
                None,
            ),
            ("binance", "BTC", "", None),
        ] {
            let read = asks(venue, asset).unwrap().read(answer.as_bytes());
            assert_eq!(
                read,
                free.map(|free| free.parse().unwrap()),
                "{venue} {answer}"
            );
        }
    }

    #[test]
    fn nothing_of_a_client_gets_into_the_question() {
        assert!(asks("binance", "BTC&x=1").is_none());
        assert!(asks("robinhood", "BTC").is_none());
        let mut operation = Operation::new(OperationKind::Transfer, "okx", "POST", "/t", "t");
        operation.asset = Some("BTC".into());
        operation.amount = "1".parse().ok();
        assert_eq!(balance(&operation), None);
    }
}
