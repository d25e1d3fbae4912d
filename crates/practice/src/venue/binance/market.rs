//! Public market data as Binance shows it.

use bigdecimal::BigDecimal;
use serde_json::{Value, json};

use super::super::market::{Market, Symbol, plain};
use super::params::{Params, illegal};
use super::refusal::Refusal;

const SYMBOL: &str = "^[A-Z0-9-_.]{1,20}$";

/// The pair that the parameter `symbol` names.
pub(crate) fn required<'m>(market: &'m Market, params: &Params) -> Result<&'m Symbol, Refusal> {
    params.required("symbol")?;
    optional(market, params)?.ok_or(Refusal::Symbol)
}

/// The pair that the parameter `symbol` names, if it was sent.
pub(crate) fn optional<'m>(
    market: &'m Market,
    params: &Params,
) -> Result<Option<&'m Symbol>, Refusal> {
    let Some(name) = params.text("symbol")? else {
        return Ok(None);
    };
    let legal = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    if name.len() > 20 || !name.bytes().all(legal) {
        return Err(illegal("symbol", SYMBOL));
    }
    let found = market.find(|symbol| symbol.name == name);
    found.map(Some).ok_or(Refusal::Symbol)
}

/// `GET /api/v3/exchangeInfo`
pub(crate) fn info(market: &Market, params: &Params, now_ms: u64) -> Result<Value, Refusal> {
    let one = optional(market, params)?;
    let symbols = market.symbols().iter();
    let wanted = symbols.filter(|s| one.is_none_or(|one| one.name == s.name));
    Ok(json!({
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [
            { "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000 }
        ],
        "exchangeFilters": [],
        "symbols": wanted.map(pair).collect::<Value>()
    }))
}

/// `GET /api/v3/ticker/price`
pub(crate) fn prices(market: &Market, params: &Params) -> Result<Value, Refusal> {
    one_or_all(
        market,
        params,
        |s| json!({ "symbol": s.name, "price": plain(s.ask()) }),
    )
}

/// `GET /api/v3/ticker/24hr`
pub(crate) fn tickers(market: &Market, params: &Params, now_ms: u64) -> Result<Value, Refusal> {
    one_or_all(market, params, |s| ticker(s, now_ms))
}

/// `GET /api/v3/depth`
pub(crate) fn depth(market: &Market, params: &Params, now_ms: u64) -> Result<Value, Refusal> {
    let symbol = required(market, params)?;
    let level = |price: BigDecimal| json!([plain(&price), "1.00000000"]);
    Ok(json!({
        "lastUpdateId": now_ms,
        "bids": symbol.bids().map(level).collect::<Value>(),
        "asks": symbol.asks().map(level).collect::<Value>()
    }))
}

/// `GET /api/v3/klines`: prices stand still, and so does every candle.
pub(crate) fn candles(market: &Market, params: &Params, now_ms: u64) -> Result<Value, Refusal> {
    let symbol = required(market, params)?;
    let width_ms = width_ms(params.required("interval")?).ok_or(Refusal::Interval)?;
    let limit = params.integer("limit")?.unwrap_or(500).clamp(1, 1000);
    let last = params.integer("endTime")?.unwrap_or(now_ms).min(now_ms) / width_ms;
    let first = match params.integer("startTime")? {
        Some(start) => start.div_ceil(width_ms),
        None => (last + 1).saturating_sub(limit),
    };
    let open_times = (first..=last).take(limit as usize).map(|n| n * width_ms);
    Ok(open_times
        .map(|open_ms| candle(symbol, open_ms, width_ms))
        .collect())
}

// Binance's intervals of minutes, hours and one day.
fn width_ms(interval: &str) -> Option<u64> {
    let minutes = match interval {
        "1m" => 1,
        "3m" => 3,
        "5m" => 5,
        "15m" => 15,
        "30m" => 30,
        "1h" => 60,
        "2h" => 120,
        "4h" => 240,
        "6h" => 360,
        "8h" => 480,
        "12h" => 720,
        "1d" => 1440,
        _ => return None,
    };
    Some(minutes * 60_000)
}

fn candle(symbol: &Symbol, open_ms: u64, width_ms: u64) -> Value {
    let (price, none) = (plain(symbol.ask()), "0.00000000");
    let close_ms = open_ms + width_ms - 1;
    json!([
        open_ms, price, price, price, price, none, close_ms, none, 0, none, none, "0"
    ])
}

fn one_or_all(
    market: &Market,
    params: &Params,
    row: impl Fn(&Symbol) -> Value,
) -> Result<Value, Refusal> {
    Ok(match optional(market, params)? {
        Some(symbol) => row(symbol),
        None => market.symbols().iter().map(row).collect(),
    })
}

fn pair(symbol: &Symbol) -> Value {
    json!({
        "symbol": symbol.name,
        "status": "TRADING",
        "baseAsset": symbol.base,
        "baseAssetPrecision": 8,
        "quoteAsset": symbol.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": false,
        "ocoAllowed": false,
        "otoAllowed": false,
        "quoteOrderQtyMarketAllowed": true,
        "allowTrailingStop": false,
        "cancelReplaceAllowed": false,
        "isSpotTradingAllowed": true,
        "isMarginTradingAllowed": false,
        "filters": [
            { "filterType": "PRICE_FILTER", "minPrice": plain(&symbol.tick), "maxPrice": "1000000.00000000", "tickSize": plain(&symbol.tick) },
            { "filterType": "LOT_SIZE", "minQty": plain(&symbol.step), "maxQty": "9000.00000000", "stepSize": plain(&symbol.step) },
            { "filterType": "NOTIONAL", "minNotional": plain(&symbol.min_notional), "applyMinToMarket": true, "maxNotional": "9000000.00000000", "applyMaxToMarket": false, "avgPriceMins": 5 }
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"]
    })
}

fn ticker(symbol: &Symbol, now_ms: u64) -> Value {
    let ask = plain(symbol.ask());
    json!({
        "symbol": symbol.name,
        "priceChange": "0.00000000",
        "priceChangePercent": "0.000",
        "weightedAvgPrice": ask,
        "prevClosePrice": ask,
        "lastPrice": ask,
        "lastQty": plain(&symbol.step),
        "bidPrice": plain(&symbol.bid()),
        "bidQty": "1.00000000",
        "askPrice": ask,
        "askQty": "1.00000000",
        "openPrice": ask,
        "highPrice": ask,
        "lowPrice": ask,
        "volume": "0.00000000",
        "quoteVolume": "0.00000000",
        "openTime": now_ms.saturating_sub(86_400_000),
        "closeTime": now_ms,
        "firstId": -1,
        "lastId": -1,
        "count": 0
    })
}
