//! An order: how it is asked for, what it becomes, and how Binance writes it down.

use bigdecimal::{BigDecimal, Zero};
use serde_json::{Map, Value, json};

use super::keys::random_text;
use super::market::{Symbol, is_multiple, plain};
use super::params::{Params, illegal};
use super::refusal::Refusal;

const CLIENT_ID: &str = "^[a-zA-Z0-9-_]{1,36}$";
const CLIENT_ID_CHARACTERS: usize = 22;
const ACK_FIELDS: [&str; 5] = [
    "symbol",
    "orderId",
    "orderListId",
    "clientOrderId",
    "transactTime",
];

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Buy,
    Sell,
}

/// At which price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Price {
    /// At this or a better one.
    Limit(BigDecimal),
    /// At this, and only if nobody is there to trade with at once.
    LimitMaker(BigDecimal),
    /// At whatever the market gives.
    Market,
}

/// How much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Size {
    /// Of the base asset.
    Base(BigDecimal),
    /// Of the quote asset, at most.
    Quote(BigDecimal),
}

/// How long a limit order waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeInForce {
    Gtc,
    Ioc,
    Fok,
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

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    New,
    Filled,
    Canceled,
    Expired,
}

/// A well-formed wish that passes the pair's filters.
#[derive(Debug, Clone)]
pub(crate) struct NewOrder {
    pub(crate) symbol: Symbol,
    pub(crate) side: Side,
    pub(crate) price: Price,
    pub(crate) size: Size,
    pub(crate) time_in_force: TimeInForce,
    pub(crate) client_id: String,
}

impl NewOrder {
    /// Reads and checks the parameters of `POST /api/v3/order`.
    pub(crate) fn read(params: &Params, symbol: &Symbol) -> Result<Self, Refusal> {
        let side = match params.required("side")? {
            "BUY" => Side::Buy,
            "SELL" => Side::Sell,
            _ => return Err(Refusal::Side),
        };
        let price = match params.required("type")? {
            "LIMIT" => Price::Limit(limit(params, symbol)?),
            "LIMIT_MAKER" => Price::LimitMaker(limit(params, symbol)?),
            "MARKET" => Price::Market,
            _ => return Err(Refusal::OrderType),
        };
        let order = Self {
            size: size(params, symbol, &price)?,
            time_in_force: time_in_force(params, &price)?,
            client_id: client_id(params)?,
            symbol: symbol.clone(),
            side,
            price,
        };
        if order.value() < symbol.min_notional {
            return Err(Refusal::Filter("NOTIONAL"));
        }
        Ok(order)
    }

    /// The price it trades at if it trades now.
    pub(crate) fn market_price(&self) -> BigDecimal {
        match self.side {
            Side::Buy => self.symbol.ask().clone(),
            Side::Sell => self.symbol.bid(),
        }
    }

    /// Does somebody stand ready to trade with it?
    pub(crate) fn crosses(&self) -> bool {
        match (&self.price, self.side) {
            (Price::Market, _) => true,
            (Price::Limit(limit) | Price::LimitMaker(limit), Side::Buy) => {
                limit >= self.symbol.ask()
            }
            (Price::Limit(limit) | Price::LimitMaker(limit), Side::Sell) => {
                *limit <= self.symbol.bid()
            }
        }
    }

    /// How much of the base asset that is at its price.
    pub(crate) fn quantity(&self) -> BigDecimal {
        match &self.size {
            Size::Base(quantity) => quantity.clone(),
            Size::Quote(quote) => {
                let most = quote / self.market_price();
                let steps = (most / &self.symbol.step).with_scale(0);
                steps * &self.symbol.step
            }
        }
    }

    /// Its words for the record: `buy 0.5 BTC for USDT at 50000`.
    pub(crate) fn sentence(&self) -> String {
        let side = match self.side {
            Side::Buy => "buy",
            Side::Sell => "sell",
        };
        let at = match &self.price {
            Price::Market => "at market".to_owned(),
            Price::Limit(limit) | Price::LimitMaker(limit) => {
                format!("at {}", limit.normalized().to_plain_string())
            }
        };
        let quantity = self.quantity().normalized().to_plain_string();
        let Symbol { base, quote, .. } = &self.symbol;
        format!("{side} {quantity} {base} for {quote} {at}")
    }

    fn value(&self) -> BigDecimal {
        match &self.price {
            Price::Limit(limit) | Price::LimitMaker(limit) => limit * self.quantity(),
            Price::Market => self.market_price() * self.quantity(),
        }
    }
}

/// An order in the book, open or done.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) new: NewOrder,
    pub(crate) quantity: BigDecimal,
    pub(crate) executed: BigDecimal,
    pub(crate) paid: BigDecimal,
    pub(crate) status: Status,
    pub(crate) time_ms: u64,
    pub(crate) updated_ms: u64,
}

impl Order {
    /// What a resting order holds back: an asset and an amount.
    pub(crate) fn held(&self) -> (&'static str, BigDecimal) {
        match (self.new.side, &self.new.price) {
            (Side::Buy, Price::Limit(limit) | Price::LimitMaker(limit)) => {
                (self.new.symbol.quote, limit * &self.quantity)
            }
            _ => (self.new.symbol.base, self.quantity.clone()),
        }
    }

    /// As `GET /api/v3/order` shows it.
    pub(crate) fn shown(&self) -> Value {
        let mut row = self.result();
        row.extend(fields(json!({
            "stopPrice": "0.00000000",
            "icebergQty": "0.00000000",
            "time": self.time_ms,
            "updateTime": self.updated_ms,
            "isWorking": true,
            "origQuoteOrderQty": self.quote_size(),
        })));
        row.remove("transactTime");
        row.into()
    }

    /// As `POST /api/v3/order` answers: ACK is short, RESULT longer, FULL (or nothing said) has the fills too.
    pub(crate) fn answer(&self, response_type: ResponseType, fills: Value) -> Value {
        let mut row = self.result();
        match response_type {
            ResponseType::Ack => row.retain(|name, _| ACK_FIELDS.contains(&name.as_str())),
            ResponseType::Result => {}
            ResponseType::Full => drop(row.insert("fills".to_owned(), fills)),
        }
        row.into()
    }

    /// As `DELETE /api/v3/order` answers.
    pub(crate) fn cancelled(&self, cancel_id: &str) -> Value {
        let mut row = self.result();
        row.insert(
            "origClientOrderId".to_owned(),
            self.new.client_id.clone().into(),
        );
        row.insert("clientOrderId".to_owned(), cancel_id.into());
        row.insert("transactTime".to_owned(), self.updated_ms.into());
        row.into()
    }

    fn result(&self) -> Map<String, Value> {
        let (kind, price) = match &self.new.price {
            Price::Limit(limit) => ("LIMIT", plain(limit)),
            Price::LimitMaker(limit) => ("LIMIT_MAKER", plain(limit)),
            Price::Market => ("MARKET", plain(&BigDecimal::zero())),
        };
        fields(json!({
            "symbol": self.new.symbol.name,
            "orderId": self.id,
            "orderListId": -1,
            "clientOrderId": self.new.client_id,
            "transactTime": self.time_ms,
            "price": price,
            "origQty": plain(&self.quantity),
            "executedQty": plain(&self.executed),
            "origQuoteOrderQty": self.quote_size(),
            "cummulativeQuoteQty": plain(&self.paid),
            "status": match self.status {
                Status::New => "NEW",
                Status::Filled => "FILLED",
                Status::Canceled => "CANCELED",
                Status::Expired => "EXPIRED",
            },
            "timeInForce": match self.new.time_in_force {
                TimeInForce::Gtc => "GTC",
                TimeInForce::Ioc => "IOC",
                TimeInForce::Fok => "FOK",
            },
            "type": kind,
            "side": match self.new.side {
                Side::Buy => "BUY",
                Side::Sell => "SELL",
            },
            "workingTime": self.time_ms,
            "selfTradePreventionMode": "EXPIRE_MAKER"
        }))
    }

    fn quote_size(&self) -> String {
        match &self.new.size {
            Size::Quote(quote) => plain(quote),
            Size::Base(_) => plain(&BigDecimal::zero()),
        }
    }
}

fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn limit(params: &Params, symbol: &Symbol) -> Result<BigDecimal, Refusal> {
    params.required("price")?;
    let price = params.decimal("price")?.unwrap_or_default();
    if price.is_zero() || !is_multiple(&price, &symbol.tick) {
        return Err(Refusal::Filter("PRICE_FILTER"));
    }
    Ok(price)
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
    let quantity = params.decimal("quantity")?.unwrap_or_default();
    if quantity.is_zero() || !is_multiple(&quantity, &symbol.step) {
        return Err(Refusal::Filter("LOT_SIZE"));
    }
    Ok(Size::Base(quantity))
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
