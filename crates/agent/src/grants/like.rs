//! Which requests are like one that a person has read: the same endpoint, market and side, no more, at no worse a price, and
//! the same in everything else. A pure comparison of two operations.
//!
//! # Why so narrow
//! A yes to requests that nobody has seen yet must not be stretched. What the two differ in has to be something that the
//! person was told may differ: less of it, a better price, another id of the client's own. A parameter that is new, gone or
//! changed - a market order in place of a limit, a margin loan - is another request.

use touchkeep_core::{Decimal, text::visible};
use touchkeep_venue::{Operation, OperationKind, Side, expiry_name, venue};

/// Names longer than this are not put into words; nobody would read them.
const MAX_NAME: usize = 64;

/// Requests that are like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Like {
    venue: String,
    method: String,
    path: String,
    endpoint: String,
    kind: OperationKind,
    symbol: Option<String>,
    side: Option<Side>,
    amount: Option<Decimal>,
    quote_amount: Option<Decimal>,
    price: Option<Decimal>,
    parameters: Vec<(String, Value)>,
}

// What may differ in a parameter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    /// Nothing.
    Same(String),
    /// It says the amount.
    Amount,
    /// It says the amount in the quote asset.
    QuoteAmount,
    /// It says the price.
    Price,
    /// It is the client's own id.
    Own,
    /// Anything.
    Any,
}

impl Like {
    /// Requests like this one; none where it is of a kind, or of a shape, that is asked about each time.
    pub(crate) fn of(operation: &Operation) -> Option<Self> {
        let grantable = match operation.kind {
            OperationKind::Trade => {
                operation.symbol.is_some()
                    && operation.side.is_some()
                    && (operation.amount.is_some() || operation.quote_amount.is_some())
            }
            OperationKind::Read | OperationKind::Cancel => true,
            // A leverage is meant once. The others move money or rights, or nobody knows.
            OperationKind::Leverage
            | OperationKind::Transfer
            | OperationKind::Withdraw
            | OperationKind::KeyAdmin
            | OperationKind::Unknown => false,
        };
        let numbers = [&operation.amount, &operation.quote_amount, &operation.price];
        let below_zero = numbers.into_iter().flatten().any(Decimal::is_negative);
        let symbol = operation.symbol.as_deref().unwrap_or_default();
        if !grantable || below_zero || symbol.len() > MAX_NAME {
            return None;
        }
        Some(Self {
            venue: operation.venue.clone(),
            method: operation.method.clone(),
            path: operation.path.clone(),
            endpoint: operation.endpoint.clone(),
            kind: operation.kind,
            symbol: operation.symbol.clone(),
            side: operation.side,
            amount: operation.amount.clone(),
            quote_amount: operation.quote_amount.clone(),
            price: operation.price.clone(),
            parameters: parameters(operation),
        })
    }

    /// Whether another request is one of them.
    pub(crate) fn covers(&self, operation: &Operation) -> bool {
        let Some(other) = Self::of(operation) else {
            return false;
        };
        // Hyperliquid says what is meant in the body, and not by the path.
        let same = (&self.venue, &self.method, &self.path, self.kind)
            == (&other.venue, &other.method, &other.path, other.kind)
            && self.endpoint == other.endpoint
            && (&self.symbol, self.side) == (&other.symbol, other.side)
            && self.parameters == other.parameters;
        same && at_most(self.amount.as_ref(), other.amount.as_ref())
            && at_most(self.quote_amount.as_ref(), other.quote_amount.as_ref())
            && self.is_no_worse(other.price.as_ref())
    }

    fn is_no_worse(&self, price: Option<&Decimal>) -> bool {
        match (&self.price, price) {
            (Some(shown), Some(price)) if self.side == Some(Side::Sell) => price >= shown,
            (Some(shown), Some(price)) => price <= shown,
            (None, None) => true,
            _ => false,
        }
    }

    /// In plain words: `buy up to 0.01 BTCUSDT at 20000 or less on binance`.
    pub(crate) fn words(&self) -> String {
        let mut words = Vec::new();
        match self.side {
            Some(Side::Buy) => words.push("buy".to_owned()),
            Some(Side::Sell) => words.push("sell".to_owned()),
            None => words.push(visible(&self.endpoint)),
        }
        words.extend(self.amount.as_ref().map(|most| format!("up to {most}")));
        words.extend(self.symbol.as_deref().map(visible));
        words.extend(
            self.quote_amount
                .as_ref()
                .map(|most| format!("for up to {most}")),
        );
        let better = match self.side {
            Some(Side::Sell) => "more",
            _ => "less",
        };
        words.extend(
            self.price
                .as_ref()
                .map(|price| format!("at {price} or {better}")),
        );
        words.push(format!("on {}", visible(&self.venue)));
        words.join(" ")
    }
}

// What is not said is no amount at all, so it cannot be more or less.
fn at_most(most: Option<&Decimal>, amount: Option<&Decimal>) -> bool {
    match (most, amount) {
        (Some(most), Some(amount)) => amount <= most,
        (None, None) => true,
        _ => false,
    }
}

// By name. Each fact is taken from the first parameter that says it; whatever says the same number beside it has to stay.
fn parameters(operation: &Operation) -> Vec<(String, Value)> {
    let mut sorted: Vec<(&str, &str)> = operation
        .parameters
        .iter()
        .map(|one| (one.name.as_str(), one.value.as_str()))
        .collect();
    sorted.sort_unstable();
    let number = |fact: &Option<Decimal>, value: &str| {
        fact.as_ref()
            .is_some_and(|fact| value.parse().as_ref() == Ok(fact))
    };
    let until = venue(&operation.venue).and_then(|venue| venue.info().expiry_header);
    let until = until.map(expiry_name);
    let mut said: Vec<Value> = Vec::new();
    let mut once = |value: Value| {
        let new = !said.contains(&value);
        said.extend(new.then(|| value.clone()));
        new.then_some(value)
    };
    let mut all: Vec<(String, Value)> = sorted
        .into_iter()
        .map(|(name, value)| {
            let meant = if operation.kind != OperationKind::Trade {
                Some(Value::Any)
            } else if number(&operation.amount, value) {
                once(Value::Amount)
            } else if number(&operation.quote_amount, value) {
                once(Value::QuoteAmount)
            } else if number(&operation.price, value) {
                once(Value::Price)
            } else if operation.client_id.as_deref() == Some(value) {
                once(Value::Own)
            } else if until.as_deref() == Some(name) {
                // One that is sent later ends later.
                Some(Value::Any)
            } else {
                None
            };
            let value = meant.unwrap_or_else(|| Value::Same(value.to_owned()));
            (name.to_owned(), value)
        })
        .collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use touchkeep_venue::{Decoded, Request, venue};

    use super::*;

    fn operation(method: &str, path: &str, body: &str) -> Operation {
        let request = Request {
            method: method.into(),
            path: path.into(),
            query: String::new().into(),
            content_type: Some("application/x-www-form-urlencoded".into()),
            body: body.into(),
            expires: None,
        };
        match venue("binance").unwrap().decode(&request).unwrap() {
            Decoded::Private(private) => private.operation().clone(),
            Decoded::Public(_) => panic!("public"),
        }
    }

    fn order(body: &str) -> Operation {
        operation("POST", "/api/v3/order", body)
    }

    const BUY: &str =
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=20000";

    #[test]
    fn less_at_a_better_price_is_like_it_whatever_the_clients_own_id() {
        let like = Like::of(&order(BUY)).unwrap();
        assert_eq!(
            like.words(),
            "buy up to 0.01 BTCUSDT at 20000 or less on binance"
        );
        for same in [
            BUY,
            "side=BUY&symbol=BTCUSDT&type=LIMIT&timeInForce=GTC&quantity=0.0100&price=19999.5",
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=20000&timestamp=5",
        ] {
            assert!(like.covers(&order(same)), "{same}");
        }
        let own = |id: &str| order(&format!("{BUY}&newClientOrderId={id}"));
        assert!(Like::of(&own("a")).unwrap().covers(&own("b")));
        assert!(!like.covers(&own("a")), "a parameter that was not there");
    }

    #[test]
    fn one_that_ends_later_by_its_header_is_like_it() {
        let ending = |expires: Option<&str>, price: &str| {
            let request = Request {
                method: "POST".into(),
                path: "/api/v4/spot/orders".into(),
                query: Vec::new(),
                content_type: Some("application/json".into()),
                body: format!(
                    r#"{{"currency_pair":"BTC_USDT","side":"buy","type":"limit","amount":"1","price":"{price}"}}"#
                )
                .into(),
                expires: expires.map(str::to_owned),
            };
            match venue("gate").unwrap().decode(&request).unwrap() {
                Decoded::Private(private) => private.operation().clone(),
                Decoded::Public(_) => panic!("public"),
            }
        };
        let like = Like::of(&ending(Some("1800000000000"), "2")).unwrap();
        assert!(like.covers(&ending(Some("1800000005000"), "2")));
        assert!(!like.covers(&ending(Some("1800000005000"), "3")));
        assert!(!like.covers(&ending(None, "2")), "one without an end");
    }

    #[test]
    fn whatever_else_differs_is_another_request() {
        let like = Like::of(&order(BUY)).unwrap();
        for other in [
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010001&price=20000",
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=20000.01",
            "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.01&price=20000",
            "symbol=ETHUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=20000",
            "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01",
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.01&price=20000",
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=20000&icebergQty=0.001",
            "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=0.01",
        ] {
            assert!(!like.covers(&order(other)), "{other}");
        }
        let margin = operation("POST", "/sapi/v1/margin/order", BUY);
        assert!(!like.covers(&margin), "another endpoint");
    }

    #[test]
    fn a_sale_is_covered_at_its_price_or_more() {
        let sale = |price: &str| {
            order(&format!(
                "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price={price}"
            ))
        };
        let like = Like::of(&sale("60000")).unwrap();
        assert!(like.covers(&sale("60000")) && like.covers(&sale("61000")));
        assert!(!like.covers(&sale("59999.99")));
        assert!(like.words().contains("at 60000 or more"));
    }

    #[test]
    fn a_number_that_stands_twice_can_change_in_its_own_place_alone() {
        let stop = |quantity: &str, stop: &str| {
            order(&format!(
                "symbol=BTCUSDT&side=BUY&type=STOP_LOSS&quantity={quantity}&stopPrice={stop}"
            ))
        };
        let like = Like::of(&stop("10", "10")).unwrap();
        assert!(like.covers(&stop("9", "10")));
        assert!(!like.covers(&stop("10", "9")) && !like.covers(&stop("9", "9")));
    }

    #[test]
    fn what_moves_money_or_rights_is_like_nothing() {
        for (method, path, body) in [
            (
                "POST",
                "/sapi/v1/capital/withdraw/apply",
                "coin=BTC&network=BTC&address=x&amount=0.5",
            ),
            (
                "POST",
                "/sapi/v1/asset/transfer",
                "type=MAIN_UMFUTURE&asset=USDT&amount=1",
            ),
            ("POST", "/api/v3/nobody/knows/this", "x=1"),
            ("POST", "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=5"),
            (
                "POST",
                "/fapi/v1/batchOrders",
                "batchOrders=%5B%7B%22symbol%22%3A%22BTCUSDT%22%7D%5D",
            ),
        ] {
            let operation = operation(method, path, body);
            assert_eq!(Like::of(&operation), None, "{operation:?}");
        }
    }

    #[test]
    fn cancelling_is_of_one_market() {
        let cancel = |symbol: &str, id: &str| {
            operation(
                "DELETE",
                "/api/v3/order",
                &format!("symbol={symbol}&orderId={id}"),
            )
        };
        let like = Like::of(&cancel("BTCUSDT", "1")).unwrap();
        assert!(like.covers(&cancel("BTCUSDT", "2")));
        assert!(!like.covers(&cancel("ETHUSDT", "2")));
        let all = operation("DELETE", "/api/v3/openOrders", "symbol=BTCUSDT");
        assert!(!like.covers(&all), "another endpoint");
    }

    #[test]
    fn what_is_meant_by_the_body_is_another_request() {
        let action = |action: &str| {
            let request = Request {
                method: "POST".into(),
                path: "/exchange".into(),
                query: Vec::new(),
                content_type: Some("application/json".into()),
                body: format!(r#"{{"action":{action}}}"#).into(),
                expires: None,
            };
            match venue("hyperliquid").unwrap().decode(&request).unwrap() {
                Decoded::Private(private) => private.operation().clone(),
                Decoded::Public(_) => panic!("public"),
            }
        };
        let noop = |time: u32| action(&format!(r#"{{"type":"noop","time":{time}}}"#));
        let like = Like::of(&noop(1)).unwrap();
        assert_eq!(like.words(), "use up a nonce on hyperliquid");
        assert!(like.covers(&noop(2)));
        let cancels_all = action(r#"{"type":"scheduleCancel","time":1}"#);
        assert_eq!(cancels_all.kind, OperationKind::Cancel);
        assert!(!like.covers(&cancels_all));
    }
}
