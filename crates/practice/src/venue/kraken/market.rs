//! Public data.

use bigdecimal::BigDecimal;
use serde_json::{Map, Value, json};

use super::super::calendar;
use super::super::exchange::Exchange;
use super::super::market::Symbol;
use super::super::request::Done;
use super::endpoints::Call;
use super::names::{self, Asset, PAIRS, Pair};
use super::refusal::Refusal;

/// `GET /0/public/Time`
pub(crate) fn time(_: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(
        json!({ "unixtime": call.now_us / 1_000_000, "rfc1123": calendar::rfc1123(call.now_ms()) })
            .into(),
    )
}

/// `GET /0/public/SystemStatus`
pub(crate) fn status(_: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(json!({ "status": "online", "timestamp": calendar::rfc3339(call.now_ms()) }).into())
}

/// `GET /0/public/Assets`
pub(crate) fn assets(_: &mut Exchange, _: &Call<'_>) -> Result<Done, Refusal> {
    let row = |asset: &Asset| {
        let shown = json!({
            "aclass": "currency",
            "altname": asset.altname,
            "decimals": asset.decimals,
            "display_decimals": 5,
            "status": "enabled"
        });
        (asset.id.to_owned(), shown)
    };
    Ok(Value::Object(names::ASSETS.iter().map(row).collect()).into())
}

/// `GET /0/public/AssetPairs`
pub(crate) fn pairs(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    each(exchange, call, |pair, symbol| {
        let fees = json!([[0, 0.0]]);
        json!({
            "altname": pair.altname,
            "wsname": pair.wsname,
            "aclass_base": "currency",
            "base": names::id_of(symbol.base),
            "aclass_quote": "currency",
            "quote": names::id_of(symbol.quote),
            "lot": "unit",
            "cost_decimals": 8,
            "pair_decimals": decimals(&symbol.tick),
            "lot_decimals": decimals(&symbol.step),
            "lot_multiplier": 1,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": fees,
            "fees_maker": fees,
            "fee_volume_currency": "ZUSD",
            "margin_call": 80,
            "margin_stop": 40,
            "ordermin": plain(&symbol.step),
            "costmin": plain(&symbol.min_notional),
            "tick_size": plain(&symbol.tick),
            "status": "online"
        })
    })
}

/// `GET /0/public/Ticker`
pub(crate) fn ticker(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    each(exchange, call, |_, symbol| {
        let (ask, bid) = (plain(symbol.ask()), plain(&symbol.bid()));
        let none = json!(["0.00000000", "0.00000000"]);
        json!({
            "a": [ask, "1", "1.000"],
            "b": [bid, "1", "1.000"],
            "c": [ask, plain(&symbol.step)],
            "v": none,
            "p": [ask, ask],
            "t": [0, 0],
            "l": [ask, ask],
            "h": [ask, ask],
            "o": ask
        })
    })
}

/// `GET /0/public/Depth`
pub(crate) fn depth(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    call.params.required("pair")?;
    let seconds = call.now_us / 1_000_000;
    each(exchange, call, |_, symbol| {
        let level = |price: BigDecimal| json!([plain(&price), "1.000", seconds]);
        json!({
            "asks": symbol.asks().map(level).collect::<Value>(),
            "bids": symbol.bids().map(level).collect::<Value>()
        })
    })
}

// One row for each pair that `pair` names, by the pair's id; all where it is not there.
fn each(
    exchange: &Exchange,
    call: &Call<'_>,
    row: impl Fn(&Pair, &Symbol) -> Value,
) -> Result<Done, Refusal> {
    let wanted: Vec<&Pair> = match call.params.text("pair") {
        None => PAIRS.iter().collect(),
        Some(list) => list
            .split(',')
            .map(|name| names::pair(name).ok_or(Refusal::PAIR))
            .collect::<Result<_, _>>()?,
    };
    let mut rows = Map::new();
    for pair in wanted {
        let symbol = names::symbol(&exchange.market, pair).ok_or(Refusal::PAIR)?;
        rows.insert(pair.id.to_owned(), row(pair, symbol));
    }
    Ok(Value::Object(rows).into())
}

fn decimals(step: &BigDecimal) -> i64 {
    step.normalized().fractional_digit_count()
}

fn plain(amount: &BigDecimal) -> String {
    amount.normalized().to_plain_string()
}
