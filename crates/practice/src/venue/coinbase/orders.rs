//! Orders and trades as Coinbase has them asked for and writes them down.
//!
//! Source: docs.cdp.coinbase.com "Create Order", "Cancel Orders", "List Orders", "List Fills" (read 2026-11-26). A
//! `client_order_id` that an earlier order has gets that order back; nothing new is placed.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::account::Owner;
use super::super::book::Trade;
use super::super::calendar;
use super::super::exchange::Exchange;
use super::super::market::Symbol;
use super::super::members::Members;
use super::super::order::{NewOrder, Order, Price, Side, Size, Status, TimeInForce};
use super::super::request::Done;
use super::endpoints::Call;
use super::market::plain;
use super::names;
use super::params::decimal;
use super::refusal::Refusal;

const UNSUPPORTED: Refusal = Refusal::Order {
    word: "UNSUPPORTED_ORDER_CONFIGURATION",
    message: "This kind of order is not taken here",
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    client_order_id: String,
    product_id: String,
    side: String,
    order_configuration: Members<Configuration>,
    leverage: Option<Value>,
    margin_type: Option<Value>,
    attached_order_configuration: Option<Value>,
    // These change nothing for a customer with one portfolio who does not trade with himself.
    #[serde(rename = "retail_portfolio_id")]
    _portfolio: Option<Value>,
    #[serde(rename = "self_trade_prevention_id")]
    _self_trade: Option<Value>,
    #[serde(rename = "preview_id")]
    _preview: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    base_size: Option<String>,
    quote_size: Option<String>,
    limit_price: Option<String>,
    #[serde(default)]
    post_only: bool,
}

#[derive(Deserialize)]
struct Cancel {
    order_ids: Vec<String>,
}

/// `POST /api/v3/brokerage/orders`
pub(crate) fn create(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let wish: Wish = call.params.body()?;
    if wish.client_order_id.is_empty() {
        return Err(Refusal::Invalid("client_order_id is empty"));
    }
    let same_id = |order: &&Order| order.new.client_id.as_ref() == Some(&wish.client_order_id);
    if let Some(earlier) = exchange.book.orders(call.owner).find(same_id) {
        let words = format!("repeated: {}", earlier.new.sentence());
        return Ok(Done::said(created(earlier), words));
    }
    let new = read(exchange, call.owner, wish)?;
    let words = new.sentence();
    let Exchange { book, accounts, .. } = exchange;
    let order = book.place(new, accounts, call.now_ms)?;
    Ok(Done::said(created(&order), words))
}

/// `POST /api/v3/brokerage/orders/batch_cancel`
pub(crate) fn cancel(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let Cancel { order_ids } = call.params.body()?;
    let Exchange { book, accounts, .. } = exchange;
    let mut numbers = Vec::new();
    let results: Vec<Value> = order_ids
        .iter()
        .map(|id| {
            let is =
                |order: &Order| order.new.owner == *call.owner && names::order(order.id) == *id;
            let gone = book.cancel(is, accounts, call.now_ms);
            numbers.extend(gone.iter().map(|order| order.id.to_string()));
            let reason = match gone.is_empty() {
                true => "UNKNOWN_CANCEL_ORDER",
                false => "UNKNOWN_CANCEL_FAILURE_REASON",
            };
            json!({ "success": !gone.is_empty(), "failure_reason": reason, "order_id": id })
        })
        .collect();
    let words = match numbers.as_slice() {
        [] => "cancel no order".to_owned(),
        [one] => format!("cancel order {one}"),
        several => format!("cancel orders {}", several.join(", ")),
    };
    Ok(Done::said(json!({ "results": results }), words))
}

/// `GET /api/v3/brokerage/orders/historical/batch`, newest first.
pub(crate) fn list(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let params = call.params;
    let products: Vec<&str> = params
        .all("product_id")
        .chain(params.all("product_ids"))
        .collect();
    let states: Vec<&str> = params.all("order_status").collect();
    let wanted = |order: &&Order| {
        let product = names::product(&order.new.symbol);
        (products.is_empty() || products.contains(&product.as_str()))
            && (states.is_empty() || states.contains(&status(order)))
    };
    let newest = exchange.book.orders(call.owner).rev();
    let rows: Value = newest.filter(wanted).map(shown).collect();
    Ok(json!({ "orders": rows, "sequence": "0", "has_next": false, "cursor": "" }).into())
}

/// `GET /api/v3/brokerage/orders/historical/{order_id}`
pub(crate) fn get(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let mut orders = exchange.book.orders(call.owner);
    let found = orders.find(|order| names::order(order.id) == call.id);
    Ok(json!({ "order": shown(found.ok_or(Refusal::NotFound("order"))?) }).into())
}

/// `GET /api/v3/brokerage/orders/historical/fills`, newest first.
pub(crate) fn fills(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let params = call.params;
    let products: Vec<&str> = params
        .all("product_id")
        .chain(params.all("product_ids"))
        .collect();
    let orders: Vec<&str> = params
        .all("order_id")
        .chain(params.all("order_ids"))
        .collect();
    let wanted = |trade: &&Trade| {
        let product = names::product(&trade.symbol);
        (products.is_empty() || products.contains(&product.as_str()))
            && (orders.is_empty() || orders.contains(&names::order(trade.order_id).as_str()))
    };
    let newest = exchange.book.trades(call.owner).rev();
    let rows: Value = newest.filter(wanted).map(fill_shown).collect();
    Ok(json!({ "fills": rows, "cursor": "" }).into())
}

fn read(exchange: &Exchange, owner: &Owner, wish: Wish) -> Result<NewOrder, Refusal> {
    let symbol = names::symbol(&exchange.market, &wish.product_id);
    let symbol: &Symbol = symbol.ok_or(Refusal::Invalid("product_id is not known"))?;
    // Borrowed money and orders that hang on this one would change the meaning.
    let borrows = wish.leverage.is_some() || wish.margin_type.is_some();
    if borrows || wish.attached_order_configuration.is_some() {
        return Err(UNSUPPORTED);
    }
    let side = match wish.side.as_str() {
        "BUY" => Side::Buy,
        "SELL" => Side::Sell,
        _ => return Err(Refusal::Invalid("side is BUY or SELL")),
    };
    let mut configurations = wish.order_configuration.0.into_iter();
    let (Some((kind, sizes)), None) = (configurations.next(), configurations.next()) else {
        return Err(Refusal::Invalid("order_configuration holds exactly one"));
    };
    let (price, time_in_force) = price(&kind, &sizes)?;
    let new = NewOrder {
        owner: owner.clone(),
        symbol: symbol.clone(),
        size: size(&price, side, &sizes)?,
        side,
        price,
        time_in_force,
        client_id: Some(wish.client_order_id),
    };
    new.fits()?;
    Ok(new)
}

fn price(kind: &str, sizes: &Configuration) -> Result<(Price, TimeInForce), Refusal> {
    let limit = || match &sizes.limit_price {
        Some(text) => decimal(text),
        None => Err(Refusal::Invalid("limit_price is missing")),
    };
    Ok(match (kind, sizes.post_only) {
        ("market_market_ioc", false) if sizes.limit_price.is_none() => {
            (Price::Market, TimeInForce::Ioc)
        }
        ("limit_limit_gtc", false) => (Price::Limit(limit()?), TimeInForce::Gtc),
        ("limit_limit_gtc", true) => (Price::LimitMaker(limit()?), TimeInForce::Gtc),
        ("limit_limit_fok", false) => (Price::Limit(limit()?), TimeInForce::Fok),
        ("sor_limit_ioc", false) => (Price::Limit(limit()?), TimeInForce::Ioc),
        _ => return Err(UNSUPPORTED),
    })
}

// A size in the quote currency is for buying at market only.
fn size(price: &Price, side: Side, sizes: &Configuration) -> Result<Size, Refusal> {
    match (&sizes.base_size, &sizes.quote_size) {
        (Some(base), None) => Ok(Size::Base(decimal(base)?)),
        (None, Some(quote)) if *price == Price::Market && side == Side::Buy => {
            Ok(Size::Quote(decimal(quote)?))
        }
        _ => Err(Refusal::Invalid("one of base_size and quote_size")),
    }
}

fn created(order: &Order) -> Value {
    let id = names::order(order.id);
    json!({
        "success": true,
        "failure_reason": "UNKNOWN_FAILURE_REASON",
        "order_id": id,
        "success_response": {
            "order_id": id,
            "product_id": names::product(&order.new.symbol),
            "side": side(order.new.side),
            "client_order_id": order.new.client_id
        },
        "order_configuration": configuration(&order.new)
    })
}

fn shown(order: &Order) -> Value {
    let is_filled = order.status == Status::Filled;
    let average = match is_filled {
        true => plain(&order.new.market_price()),
        false => "0".to_owned(),
    };
    json!({
        "order_id": names::order(order.id),
        "product_id": names::product(&order.new.symbol),
        "user_id": names::portfolio(),
        "order_configuration": configuration(&order.new),
        "side": side(order.new.side),
        "client_order_id": order.new.client_id,
        "status": status(order),
        "time_in_force": match order.new.time_in_force {
            TimeInForce::Gtc => "GOOD_UNTIL_CANCELLED",
            TimeInForce::Ioc => "IMMEDIATE_OR_CANCEL",
            TimeInForce::Fok => "FILL_OR_KILL",
        },
        "created_time": calendar::rfc3339(order.time_ms),
        "completion_percentage": if is_filled { "100" } else { "0" },
        "filled_size": plain(&order.executed),
        "average_filled_price": average,
        "fee": "",
        "number_of_fills": if is_filled { "1" } else { "0" },
        "filled_value": plain(&order.paid),
        "pending_cancel": false,
        "size_in_quote": matches!(order.new.size, Size::Quote(_)),
        "total_fees": "0",
        "size_inclusive_of_fees": false,
        "total_value_after_fees": plain(&order.paid),
        "trigger_status": "INVALID_ORDER_TYPE",
        "order_type": match order.new.price {
            Price::Market => "MARKET",
            Price::Limit(_) | Price::LimitMaker(_) => "LIMIT",
        },
        "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "settled": is_filled,
        "product_type": "SPOT",
        "reject_message": "",
        "cancel_message": ""
    })
}

fn fill_shown(trade: &Trade) -> Value {
    let time = calendar::rfc3339(trade.time_ms);
    json!({
        "entry_id": names::trade(trade.id),
        "trade_id": names::trade(trade.id),
        "order_id": names::order(trade.order_id),
        "trade_time": time,
        "trade_type": "FILL",
        "price": plain(&trade.price),
        "size": plain(&trade.quantity),
        "commission": "0",
        "product_id": names::product(&trade.symbol),
        "sequence_timestamp": time,
        "liquidity_indicator": "TAKER",
        "size_in_quote": false,
        "user_id": names::portfolio(),
        "side": if trade.is_buyer { "BUY" } else { "SELL" }
    })
}

fn configuration(new: &NewOrder) -> Value {
    let (size, amount) = match &new.size {
        Size::Base(amount) => ("base_size", plain(amount)),
        Size::Quote(amount) => ("quote_size", plain(amount)),
    };
    match (&new.price, new.time_in_force) {
        (Price::Market, _) => json!({ "market_market_ioc": { size: amount } }),
        (Price::LimitMaker(limit), _) => {
            json!({ "limit_limit_gtc": { size: amount, "limit_price": plain(limit), "post_only": true } })
        }
        (Price::Limit(limit), TimeInForce::Gtc) => {
            json!({ "limit_limit_gtc": { size: amount, "limit_price": plain(limit), "post_only": false } })
        }
        (Price::Limit(limit), TimeInForce::Ioc) => {
            json!({ "sor_limit_ioc": { size: amount, "limit_price": plain(limit) } })
        }
        (Price::Limit(limit), TimeInForce::Fok) => {
            json!({ "limit_limit_fok": { size: amount, "limit_price": plain(limit) } })
        }
    }
}

const fn status(order: &Order) -> &'static str {
    match order.status {
        Status::New => "OPEN",
        Status::Filled => "FILLED",
        Status::Canceled => "CANCELLED",
        Status::Expired => "EXPIRED",
    }
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}
