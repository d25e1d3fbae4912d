//! Orders as Binance has them asked for and writes them down.

use bigdecimal::{BigDecimal, Zero};
use serde_json::{Map, Value, json};

use super::super::account::Owner;
use super::super::book::{Trade, Unplaced};
use super::super::keys::random_text;
use super::super::market::{Symbol, is_multiple, plain};
use super::super::order::{NewOrder, Order, Price, Side, Size, Status, TimeInForce, Unfit};
use super::params::{Params, illegal};
use super::refusal::Refusal;

const CLIENT_ID: &str = "^[a-zA-Z0-9-_]{1,36}$";
const CLIENT_ID_CHARACTERS: usize = 22;
/// What belongs to kinds of order that are not taken here, and would change the meaning of the others.
const NOT_DONE: [&str; 5] = [
    "icebergQty",
    "pegPriceType",
    "stopPrice",
    "trailingDelta",
    "pegOffsetValue",
];
const ACK_FIELDS: [&str; 5] = [
    "symbol",
    "orderId",
    "orderListId",
    "clientOrderId",
    "transactTime",
];

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        Self::Filter(match unfit {
            Unfit::Price => "PRICE_FILTER",
            Unfit::Lot => "LOT_SIZE",
            Unfit::Notional => "NOTIONAL",
        })
    }
}

impl From<Unplaced> for Refusal {
    fn from(why: Unplaced) -> Self {
        match why {
            Unplaced::Balance => Self::Balance,
            Unplaced::WouldTake => Self::WouldTake,
            Unplaced::DuplicateId(_) => Self::DuplicateOrder,
        }
    }
}

/// How long the answer to a new order is (`newOrderRespType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseType {
    Ack,
    Result,
    Full,
}

impl ResponseType {
    /// Reads it; LIMIT and MARKET orders default to FULL, LIMIT_MAKER to ACK.
    pub(crate) fn read(params: &Params) -> Result<Self, Refusal> {
        match (params.text("newOrderRespType")?, params.text("type")?) {
            (Some("ACK"), _) | (None, Some("LIMIT_MAKER")) => Ok(Self::Ack),
            (Some("RESULT"), _) => Ok(Self::Result),
            (Some("FULL"), _) | (None, _) => Ok(Self::Full),
            (Some(_), _) => Err(illegal("newOrderRespType", "^(ACK|RESULT|FULL)$")),
        }
    }
}

/// Reads and checks the parameters of `POST /api/v3/order`.
pub(crate) fn read(params: &Params, symbol: &Symbol, owner: &Owner) -> Result<NewOrder, Refusal> {
    let side = match params.required("side")? {
        "BUY" => Side::Buy,
        "SELL" => Side::Sell,
        _ => return Err(Refusal::Side),
    };
    let price = match params.required("type")? {
        "LIMIT" => Price::Limit(limit(params)?),
        "LIMIT_MAKER" => Price::LimitMaker(limit(params)?),
        "MARKET" => Price::Market,
        _ => return Err(Refusal::OrderType),
    };
    for name in NOT_DONE {
        if params.text(name)?.is_some() {
            return Err(Refusal::NotRequired(name));
        }
    }
    let order = NewOrder {
        owner: owner.clone(),
        size: size(params, symbol, &price)?,
        time_in_force: time_in_force(params, &price)?,
        client_id: Some(client_id(params)?),
        symbol: symbol.clone(),
        side,
        price,
    };
    order.fits()?;
    Ok(order)
}

/// As `GET /api/v3/order` shows it.
pub(crate) fn shown(order: &Order) -> Value {
    let mut row = result(order);
    row.extend(fields(json!({
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": order.time_ms,
        "updateTime": order.updated_ms,
        "isWorking": true,
        "origQuoteOrderQty": quote_size(order),
    })));
    row.remove("transactTime");
    row.into()
}

/// As `POST /api/v3/order` answers: ACK is short, RESULT longer, FULL (or nothing said) has the fills too.
pub(crate) fn answer(order: &Order, response_type: ResponseType, fills: Value) -> Value {
    let mut row = result(order);
    match response_type {
        ResponseType::Ack => row.retain(|name, _| ACK_FIELDS.contains(&name.as_str())),
        ResponseType::Result => {}
        ResponseType::Full => drop(row.insert("fills".to_owned(), fills)),
    }
    row.into()
}

/// As `DELETE /api/v3/order` answers.
pub(crate) fn cancelled(order: &Order, cancel_id: Option<&str>) -> Value {
    let mut row = result(order);
    row.insert(
        "origClientOrderId".to_owned(),
        order.new.client_id.clone().into(),
    );
    if let Some(cancel_id) = cancel_id {
        row.insert("clientOrderId".to_owned(), cancel_id.into());
    }
    row.insert("transactTime".to_owned(), order.updated_ms.into());
    row.into()
}

fn result(order: &Order) -> Map<String, Value> {
    let (kind, price) = match &order.new.price {
        Price::Limit(limit) => ("LIMIT", plain(limit)),
        Price::LimitMaker(limit) => ("LIMIT_MAKER", plain(limit)),
        Price::Market => ("MARKET", plain(&BigDecimal::zero())),
    };
    fields(json!({
        "symbol": order.new.symbol.name,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.new.client_id,
        "transactTime": order.time_ms,
        "price": price,
        "origQty": plain(&order.quantity),
        "executedQty": plain(&order.executed),
        "origQuoteOrderQty": quote_size(order),
        "cummulativeQuoteQty": plain(&order.paid),
        "status": match order.status {
            Status::New => "NEW",
            Status::Filled => "FILLED",
            Status::Canceled => "CANCELED",
            Status::Expired => "EXPIRED",
        },
        "timeInForce": match order.new.time_in_force {
            TimeInForce::Gtc => "GTC",
            TimeInForce::Ioc => "IOC",
            TimeInForce::Fok => "FOK",
        },
        "type": kind,
        "side": match order.new.side {
            Side::Buy => "BUY",
            Side::Sell => "SELL",
        },
        "workingTime": order.time_ms,
        "selfTradePreventionMode": "EXPIRE_MAKER"
    }))
}

fn quote_size(order: &Order) -> String {
    match &order.new.size {
        Size::Quote(quote) => plain(quote),
        Size::Base(_) => plain(&BigDecimal::zero()),
    }
}

/// As `GET /api/v3/myTrades` shows it.
pub(crate) fn trade(trade: &Trade) -> Value {
    json!({
        "symbol": trade.symbol.name,
        "id": trade.id,
        "orderId": trade.order_id,
        "orderListId": -1,
        "price": plain(&trade.price),
        "qty": plain(&trade.quantity),
        "quoteQty": plain(&trade.paid),
        "commission": "0.00000000",
        "commissionAsset": commission_asset(trade),
        "time": trade.time_ms,
        "isBuyer": trade.is_buyer,
        "isMaker": false,
        "isBestMatch": true
    })
}

/// One of the `fills` of a new order.
pub(crate) fn fill(trade: &Trade) -> Value {
    json!({
        "price": plain(&trade.price),
        "qty": plain(&trade.quantity),
        "commission": "0.00000000",
        "commissionAsset": commission_asset(trade),
        "tradeId": trade.id
    })
}

/// Which order is meant: `orderId`, `origClientOrderId`, or both.
pub(crate) struct Wanted<'a> {
    symbol: &'static str,
    id: Option<u64>,
    client_id: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// Reads the parameters.
    pub(crate) fn read(params: &'a Params, symbol: &Symbol) -> Result<Self, Refusal> {
        let id = params.integer("orderId")?;
        let client_id = params.text("origClientOrderId")?;
        if id.is_none() && client_id.is_none() {
            return Err(Refusal::OneOf {
                first: "origClientOrderId",
                second: "orderId",
            });
        }
        Ok(Self {
            symbol: symbol.name,
            id,
            client_id,
        })
    }

    /// Is it this one?
    pub(crate) fn is(&self, order: &Order) -> bool {
        order.new.symbol.name == self.symbol
            && self.id.is_none_or(|id| id == order.id)
            && self
                .client_id
                .is_none_or(|id| order.new.client_id.as_deref() == Some(id))
    }
}

fn commission_asset(trade: &Trade) -> &'static str {
    if trade.is_buyer {
        trade.symbol.base
    } else {
        trade.symbol.quote
    }
}

fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn limit(params: &Params) -> Result<BigDecimal, Refusal> {
    params.required("price")?;
    Ok(params.decimal("price")?.unwrap_or_default())
}

fn size(params: &Params, symbol: &Symbol, price: &Price) -> Result<Size, Refusal> {
    if *price == Price::Market {
        let quote = params.decimal("quoteOrderQty")?;
        match (quote, params.text("quantity")?) {
            (Some(quote), None) if is_multiple(&quote, &symbol.tick) => {
                return Ok(Size::Quote(quote));
            }
            (Some(_), None) => {
                return Err(illegal("quoteOrderQty", "^([0-9]{1,20})(\\.[0-9]{1,2})?$"));
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(Refusal::OneOf {
                    first: "quoteOrderQty",
                    second: "quantity",
                });
            }
            (None, Some(_)) => {}
        }
    }
    params.required("quantity")?;
    Ok(Size::Base(params.decimal("quantity")?.unwrap_or_default()))
}

fn time_in_force(params: &Params, price: &Price) -> Result<TimeInForce, Refusal> {
    if let Price::LimitMaker(_) | Price::Market = price {
        return Ok(TimeInForce::Gtc);
    }
    match params.required("timeInForce")? {
        "GTC" => Ok(TimeInForce::Gtc),
        "IOC" => Ok(TimeInForce::Ioc),
        "FOK" => Ok(TimeInForce::Fok),
        _ => Err(Refusal::TimeInForce),
    }
}

fn client_id(params: &Params) -> Result<String, Refusal> {
    let broken = Refusal::Broken { status: 500 };
    let Some(id) = params.text("newClientOrderId")? else {
        return random_text(CLIENT_ID_CHARACTERS).ok_or(broken);
    };
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if id.len() > 36 || !id.bytes().all(legal) {
        return Err(illegal("newClientOrderId", CLIENT_ID));
    }
    Ok(id.to_owned())
}
