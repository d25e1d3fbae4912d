//! Orders and trades as Kraken has them asked for and writes them down.
//!
//! Source: docs.kraken.com "Add Order", "Cancel Order", "Get Open Orders", "Query Orders Info", "Get Trades History" (read
//! 2026-11-26).

use bigdecimal::{BigDecimal, Zero};
use serde_json::{Map, Value, json};

use super::super::book::Trade;
use super::super::exchange::Exchange;
use super::super::market::Symbol;
use super::super::order::{NewOrder, Order, Price, Side, Size, Status, TimeInForce};
use super::super::request::Done;
use super::endpoints::Call;
use super::names;
use super::params::Params;
use super::refusal::Refusal;

const MAX_CLIENT_ID: usize = 36;
const MAX_QUERIED: usize = 50;
/// Wishes that are not granted here, and which an order must not lose silently.
const NOT_DONE: [&str; 10] = [
    "close",
    "deadline",
    "displayvol",
    "expiretm",
    "leverage",
    "price2",
    "reduce_only",
    "starttm",
    "stptype",
    "trigger",
];

/// `POST /0/private/AddOrder`
pub(crate) fn add(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let new = read(exchange, call)?;
    let shown = json!({ "order": description(&new) });
    if call.params.flag("validate") {
        let words = format!("test order: {}", new.sentence());
        return Ok(Done::said(json!({ "descr": shown }), words));
    }
    let words = new.sentence();
    let Exchange { book, accounts, .. } = exchange;
    let order = book.place(new, accounts, call.now_ms())?;
    let txid = [names::order_id(order.id)];
    Ok(Done::said(json!({ "descr": shown, "txid": txid }), words))
}

/// `POST /0/private/CancelOrder`
pub(crate) fn cancel(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let txid = call.params.text("txid");
    let client_id = call.params.text("cl_ord_id");
    if txid.is_none() && client_id.is_none() {
        return Err(Refusal::argument("txid"));
    }
    let is = |order: &Order| {
        order.new.owner == *call.owner
            && txid.is_none_or(|id| id == names::order_id(order.id))
            && client_id.is_none_or(|id| order.new.client_id.as_deref() == Some(id))
    };
    let Exchange { book, accounts, .. } = exchange;
    let gone = book.cancel(is, accounts, call.now_ms());
    let order = gone.first().ok_or(Refusal::ORDER)?;
    let words = format!("cancel order {}", order.id);
    Ok(Done::said(json!({ "count": gone.len() }), words))
}

/// `POST /0/private/CancelAll`
pub(crate) fn cancel_all(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let Exchange { book, accounts, .. } = exchange;
    let is = |order: &Order| order.new.owner == *call.owner;
    let gone = book.cancel(is, accounts, call.now_ms());
    let words = format!("cancel all {} orders", gone.len());
    Ok(Done::said(json!({ "count": gone.len() }), words))
}

/// `POST /0/private/OpenOrders`
pub(crate) fn open(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let client_id = call.params.text("cl_ord_id");
    let rows = rows(exchange, call, |order| {
        order.is_open() && client_id.is_none_or(|id| order.new.client_id.as_deref() == Some(id))
    });
    Ok(json!({ "open": rows }).into())
}

/// `POST /0/private/ClosedOrders`
pub(crate) fn closed(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let rows = rows(exchange, call, |order| !order.is_open());
    Ok(json!({ "closed": rows, "count": rows.len() }).into())
}

/// `POST /0/private/QueryOrders`
pub(crate) fn query(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let list: Vec<&str> = call.params.required("txid")?.split(',').collect();
    if list.len() > MAX_QUERIED {
        return Err(Refusal::argument("txid"));
    }
    let rows = rows(exchange, call, |order| {
        list.contains(&names::order_id(order.id).as_str())
    });
    if rows.is_empty() {
        return Err(Refusal::ORDER);
    }
    Ok(Value::Object(rows).into())
}

/// `POST /0/private/TradesHistory`
pub(crate) fn trades(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let newest = exchange.book.trades(call.owner).rev();
    let rows: Map<String, Value> = newest
        .map(|trade| (names::trade_id(trade.id), trade_shown(trade)))
        .collect();
    Ok(json!({ "trades": rows, "count": rows.len() }).into())
}

fn read(exchange: &Exchange, call: &Call<'_>) -> Result<NewOrder, Refusal> {
    let params = call.params;
    params.without(&NOT_DONE)?;
    let pair = names::pair(params.required("pair")?).ok_or(Refusal::PAIR)?;
    let symbol = names::symbol(&exchange.market, pair).ok_or(Refusal::PAIR)?;
    let flags: Vec<&str> = params
        .text("oflags")
        .unwrap_or_default()
        .split(',')
        .collect();
    let new = NewOrder {
        owner: call.owner.clone(),
        symbol: symbol.clone(),
        side: match params.required("type")? {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            _ => return Err(Refusal::argument("type")),
        },
        price: price(params, &flags)?,
        size: size(params, &flags)?,
        time_in_force: time_in_force(params)?,
        client_id: client_id(params)?,
    };
    new.fits()?;
    Ok(new)
}

fn price(params: &Params, flags: &[&str]) -> Result<Price, Refusal> {
    match (params.required("ordertype")?, flags.contains(&"post")) {
        ("limit", true) => Ok(Price::LimitMaker(params.decimal("price")?)),
        ("limit", false) => Ok(Price::Limit(params.decimal("price")?)),
        ("market", false) => Ok(Price::Market),
        _ => Err(Refusal::argument("ordertype")),
    }
}

// Volume in the quote currency is for buying at market only.
fn size(params: &Params, flags: &[&str]) -> Result<Size, Refusal> {
    let volume = params.decimal("volume")?;
    let buys_at_market =
        params.text("type") == Some("buy") && params.text("ordertype") == Some("market");
    match (flags.contains(&"viqc"), buys_at_market) {
        (false, _) => Ok(Size::Base(volume)),
        (true, true) => Ok(Size::Quote(volume)),
        (true, false) => Err(Refusal::argument("oflags")),
    }
}

fn time_in_force(params: &Params) -> Result<TimeInForce, Refusal> {
    match params.text("timeinforce") {
        None | Some("GTC" | "gtc") => Ok(TimeInForce::Gtc),
        Some("IOC" | "ioc") => Ok(TimeInForce::Ioc),
        Some("FOK" | "fok") => Ok(TimeInForce::Fok),
        Some(_) => Err(Refusal::argument("timeinforce")),
    }
}

fn client_id(params: &Params) -> Result<Option<String>, Refusal> {
    match params.text("cl_ord_id") {
        Some(id) if id.len() > MAX_CLIENT_ID => Err(Refusal::argument("cl_ord_id")),
        id => Ok(id.map(ToOwned::to_owned)),
    }
}

fn rows(
    exchange: &Exchange,
    call: &Call<'_>,
    wanted: impl Fn(&Order) -> bool,
) -> Map<String, Value> {
    let orders = exchange.book.orders(call.owner);
    let found = orders.filter(|order| wanted(order));
    found
        .map(|order| {
            let trades = exchange.book.trades(call.owner);
            let of_order = trades.filter(|trade| trade.order_id == order.id);
            let ids = of_order.map(|trade| names::trade_id(trade.id)).collect();
            (names::order_id(order.id), shown(order, ids))
        })
        .collect()
}

fn shown(order: &Order, trades: Vec<String>) -> Value {
    let decimals = decimals(&order.new.symbol);
    let none = names::amount(&BigDecimal::zero(), decimals);
    let (status, reason) = match order.status {
        Status::New => ("open", None),
        Status::Filled => ("closed", None),
        Status::Canceled => ("canceled", Some("User requested")),
        Status::Expired => ("expired", None),
    };
    let paid = match order.status {
        Status::Filled => names::amount(&order.new.market_price(), decimals),
        _ => none.clone(),
    };
    json!({
        "refid": null,
        "userref": null,
        "cl_ord_id": order.new.client_id,
        "status": status,
        "reason": reason,
        "opentm": seconds(order.time_ms),
        "closetm": (!order.is_open()).then(|| seconds(order.updated_ms)),
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": altname(&order.new.symbol),
            "type": side(order.new.side),
            "ordertype": kind(&order.new.price),
            "price": limit(&order.new),
            "price2": "0",
            "leverage": "none",
            "order": description(&order.new),
            "close": ""
        },
        "vol": names::amount(&order.quantity, 8),
        "vol_exec": names::amount(&order.executed, 8),
        "cost": names::amount(&order.paid, 8),
        "fee": "0.00000",
        "price": paid,
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": match order.new.price {
            Price::LimitMaker(_) => "fciq,post",
            _ => "fciq",
        },
        "trades": trades
    })
}

fn trade_shown(trade: &Trade) -> Value {
    json!({
        "ordertxid": names::order_id(trade.order_id),
        "postxid": "",
        "pair": names::pair_of(&trade.symbol).map(|pair| pair.id),
        "time": seconds(trade.time_ms),
        "type": if trade.is_buyer { "buy" } else { "sell" },
        "ordertype": if trade.is_market { "market" } else { "limit" },
        "price": names::amount(&trade.price, decimals(&trade.symbol)),
        "cost": names::amount(&trade.paid, 8),
        "fee": "0.00000",
        "vol": names::amount(&trade.quantity, 8),
        "margin": "0.00000",
        "leverage": "0",
        "misc": "",
        "trade_id": trade.id,
        "maker": false
    })
}

/// `buy 0.50000000 XBTUSDT @ limit 50000.00`
fn description(new: &NewOrder) -> String {
    let at = match &new.price {
        Price::Market => "market".to_owned(),
        Price::Limit(_) | Price::LimitMaker(_) => format!("limit {}", limit(new)),
    };
    let volume = match &new.size {
        Size::Base(volume) | Size::Quote(volume) => names::amount(volume, 8),
    };
    format!(
        "{} {volume} {} @ {at}",
        side(new.side),
        altname(&new.symbol)
    )
}

fn limit(new: &NewOrder) -> String {
    match &new.price {
        Price::Market => "0".to_owned(),
        Price::Limit(price) | Price::LimitMaker(price) => {
            names::amount(price, decimals(&new.symbol))
        }
    }
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

const fn kind(price: &Price) -> &'static str {
    match price {
        Price::Market => "market",
        Price::Limit(_) | Price::LimitMaker(_) => "limit",
    }
}

fn altname(symbol: &Symbol) -> &'static str {
    names::pair_of(symbol).map_or(symbol.name, |pair| pair.altname)
}

fn decimals(symbol: &Symbol) -> i64 {
    symbol.tick.normalized().fractional_digit_count()
}

// Kraken gives seconds with a fraction; milliseconds are exact in it for the next thousands of years.
fn seconds(ms: u64) -> Value {
    format!("{}.{:03}", ms / 1000, ms % 1000)
        .parse()
        .map_or(Value::Null, Value::Number)
}
