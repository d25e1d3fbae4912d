//! Public data.

use bigdecimal::BigDecimal;
use serde_json::{Map, Value, json};

use super::super::calendar;
use super::super::coins::{Coin, coins};
use super::super::exchange::Exchange;
use super::super::market::Symbol;
use super::super::request::Done;
use super::endpoints::Call;
use super::names;
use super::refusal::Refusal;

/// `GET /api/v3/brokerage/time`
pub(crate) fn time(_: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(json!({
        "iso": calendar::rfc3339(call.now_ms),
        "epochSeconds": (call.now_ms / 1000).to_string(),
        "epochMillis": call.now_ms.to_string()
    })
    .into())
}

/// `GET /v2/time`
pub(crate) fn time_v2(_: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let (iso, epoch) = (calendar::rfc3339(call.now_ms), call.now_ms / 1000);
    Ok(json!({ "data": { "iso": iso, "epoch": epoch } }).into())
}

/// `GET /api/v3/brokerage/market/products` and `…/products`. There are no futures.
pub(crate) fn products(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let is_spot = call
        .params
        .text("product_type")
        .is_none_or(|kind| kind == "SPOT");
    let symbols = exchange.market.symbols().iter().filter(|_| is_spot);
    let products: Vec<Value> = symbols.map(product_shown).collect();
    Ok(json!({ "products": products, "num_products": products.len() }).into())
}

/// `GET …/products/{product_id}`
pub(crate) fn product(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(product_shown(find(exchange, call.id)?).into())
}

/// `GET …/products/{product_id}/ticker`
pub(crate) fn ticker(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let symbol = find(exchange, call.id)?;
    let (bid, ask) = (plain(&symbol.bid()), plain(symbol.ask()));
    let trade = json!({
        "trade_id": "0",
        "product_id": names::product(symbol),
        "price": ask,
        "size": plain(&symbol.step),
        "time": calendar::rfc3339(call.now_ms),
        "side": "BUY",
        "bid": "",
        "ask": ""
    });
    Ok(json!({ "trades": [trade], "best_bid": bid, "best_ask": ask }).into())
}

/// `GET …/product_book`
pub(crate) fn book(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let product_id = call.params.text("product_id").unwrap_or_default();
    let symbol = find(exchange, product_id)?;
    Ok(json!({ "pricebook": pricebook(symbol, call.now_ms, usize::MAX) }).into())
}

/// `GET …/best_bid_ask`
pub(crate) fn best(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let wanted: Vec<&str> = call.params.all("product_ids").collect();
    let fits =
        |symbol: &&Symbol| wanted.is_empty() || wanted.contains(&names::product(symbol).as_str());
    let symbols = exchange.market.symbols().iter().filter(fits);
    let books: Value = symbols.map(|s| pricebook(s, call.now_ms, 1)).collect();
    Ok(json!({ "pricebooks": books }).into())
}

/// `GET /v2/currencies`: money of states, of which there is none here.
pub(crate) fn fiat(_: &mut Exchange, _: &Call<'_>) -> Result<Done, Refusal> {
    Ok(json!({ "data": [] }).into())
}

/// `GET /v2/currencies/crypto`
pub(crate) fn crypto(_: &mut Exchange, _: &Call<'_>) -> Result<Done, Refusal> {
    let row = |(index, coin): (usize, Coin)| {
        json!({
            "asset_id": names::transaction(coin.asset),
            "code": coin.asset,
            "name": coin.name,
            "color": "#000000",
            "sort_index": index,
            "exponent": 8,
            "type": "crypto",
            "address_regex": "^[!-~]{1,128}$"
        })
    };
    let rows: Value = coins().into_iter().enumerate().map(row).collect();
    Ok(json!({ "data": rows }).into())
}

/// `GET /v2/exchange-rates`, in USDT: what one of it buys.
pub(crate) fn rates(exchange: &mut Exchange, _: &Call<'_>) -> Result<Done, Refusal> {
    let in_usdt = exchange.market.symbols().iter();
    let in_usdt = in_usdt.filter(|symbol| symbol.quote == "USDT");
    let rates: Map<String, Value> = in_usdt
        .map(|symbol| {
            let buys = BigDecimal::from(1) / symbol.ask();
            (symbol.base.to_owned(), plain(&buys.with_scale(8)).into())
        })
        .collect();
    Ok(json!({ "data": { "currency": "USDT", "rates": rates } }).into())
}

/// An amount as Coinbase writes it.
pub(crate) fn plain(amount: &BigDecimal) -> String {
    amount.normalized().to_plain_string()
}

fn find<'e>(exchange: &'e Exchange, product_id: &str) -> Result<&'e Symbol, Refusal> {
    names::symbol(&exchange.market, product_id).ok_or(Refusal::NotFound("product"))
}

fn pricebook(symbol: &Symbol, now_ms: u64, levels: usize) -> Value {
    let level = |price: BigDecimal| json!({ "price": plain(&price), "size": "1" });
    json!({
        "product_id": names::product(symbol),
        "bids": symbol.bids().take(levels).map(level).collect::<Value>(),
        "asks": symbol.asks().take(levels).map(level).collect::<Value>(),
        "time": calendar::rfc3339(now_ms)
    })
}

fn product_shown(symbol: &Symbol) -> Value {
    json!({
        "product_id": names::product(symbol),
        "price": plain(symbol.ask()),
        "price_percentage_change_24h": "0",
        "volume_24h": "0",
        "volume_percentage_change_24h": "0",
        "base_increment": plain(&symbol.step),
        "quote_increment": plain(&symbol.tick),
        "quote_min_size": plain(&symbol.min_notional),
        "quote_max_size": "9000000",
        "base_min_size": plain(&symbol.step),
        "base_max_size": "9000",
        "base_name": symbol.base,
        "quote_name": symbol.quote,
        "watched": false,
        "is_disabled": false,
        "new": false,
        "status": "online",
        "cancel_only": false,
        "limit_only": false,
        "post_only": false,
        "trading_disabled": false,
        "auction_mode": false,
        "product_type": "SPOT",
        "quote_currency_id": symbol.quote,
        "base_currency_id": symbol.base,
        "fcm_trading_session_details": null,
        "mid_market_price": "",
        "alias": "",
        "alias_to": [],
        "base_display_symbol": symbol.base,
        "quote_display_symbol": symbol.quote,
        "view_only": false,
        "price_increment": plain(&symbol.tick),
        "display_name": names::product(symbol),
        "product_venue": "CBE"
    })
}
