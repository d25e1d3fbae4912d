//! Orders from Binance's parameters through the book to Binance's JSON.

use serde_json::Value;

use super::super::account::{Accounts, Owner};
use super::super::book::Book;
use super::super::market::{Market, plain};
use super::market;
use super::orders::{Wanted, read, shown};
use super::params::Params;
use super::refusal::Refusal;

#[derive(Default)]
struct World {
    market: Market,
    accounts: Accounts,
    book: Book,
}

impl World {
    fn place(&mut self, query: &str) -> Result<Value, Refusal> {
        let params = Params::parse(query.as_bytes(), b"").unwrap();
        let symbol = market::required(&self.market, &params)?;
        let new = read(&params, symbol, &Owner::Master)?;
        Ok(shown(&self.book.place(new, &mut self.accounts, 1)?))
    }

    fn cancel(&mut self, query: &str) -> Result<Value, Refusal> {
        let params = Params::parse(query.as_bytes(), b"").unwrap();
        let symbol = market::required(&self.market, &params)?;
        let wanted = Wanted::read(&params, symbol)?;
        let gone = self
            .book
            .cancel(|order| wanted.is(order), &mut self.accounts, 2);
        gone.first().map(shown).ok_or(Refusal::UnknownOrder)
    }

    fn owns(&mut self, asset: &str) -> (String, String) {
        let balance = self.accounts.of(&Owner::Master).of(asset);
        (plain(&balance.free), plain(&balance.locked))
    }

    fn open(&self) -> usize {
        let orders = self.book.orders(&Owner::Master);
        orders.filter(|order| order.is_open()).count()
    }
}

fn pair(free: &str, locked: &str) -> (String, String) {
    (free.to_owned(), locked.to_owned())
}

const REST: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.5&price=50000.01";

#[test]
fn a_limit_order_off_the_market_rests_and_gives_everything_back() {
    let mut world = World::default();
    let order = world.place(REST).unwrap();
    assert_eq!(order["status"], "NEW");
    assert_eq!(world.owns("USDT"), pair("74999.99500000", "25000.00500000"));
    assert_eq!(world.open(), 1);
    let gone = world.cancel("symbol=BTCUSDT&orderId=1").unwrap();
    assert_eq!(gone["status"], "CANCELED");
    assert_eq!(world.owns("USDT"), pair("100000.00000000", "0.00000000"));
    assert_eq!(
        world.cancel("symbol=BTCUSDT&orderId=1"),
        Err(Refusal::UnknownOrder)
    );
}

#[test]
fn what_crosses_fills_at_the_market_price() {
    let mut world = World::default();
    let bought = world
        .place("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.5&price=61000")
        .unwrap();
    assert_eq!(bought["status"], "FILLED");
    assert_eq!(bought["cummulativeQuoteQty"], "30000.00000000");
    assert_eq!(world.owns("BTC").0, "10.50000000");
    world
        .place("symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.5")
        .unwrap();
    assert_eq!(world.owns("USDT").0, "99999.99500000");
    world
        .place("symbol=ETHUSDT&side=BUY&type=MARKET&quoteOrderQty=1000")
        .unwrap();
    assert_eq!(world.owns("ETH").0, "0.33330000");
    assert_eq!(world.owns("USDT").0, "99000.09500000");
}

#[test]
fn an_order_that_cannot_be_paid_changes_nothing() {
    let mut world = World::default();
    for query in [
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=2.00001&price=50000",
        "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=2",
        "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=10.00001",
    ] {
        assert_eq!(world.place(query), Err(Refusal::Balance), "{query}");
    }
    assert_eq!(world.owns("USDT"), pair("100000.00000000", "0.00000000"));
    assert!(world.book.everybodys().is_empty());
}

#[test]
fn filters_and_words_are_checked() {
    let mut world = World::default();
    let base = |change: (&str, &str)| REST.replace(change.0, change.1);
    for (query, refusal) in [
        (base(("0.5", "0.000001")), Refusal::Filter("LOT_SIZE")),
        (base(("0.5", "0")), Refusal::Filter("LOT_SIZE")),
        (
            base(("50000.01", "50000.001")),
            Refusal::Filter("PRICE_FILTER"),
        ),
        (base(("0.5", "0.00001")), Refusal::Filter("NOTIONAL")),
        (base(("BUY", "HOLD")), Refusal::Side),
        (base(("LIMIT", "STOP")), Refusal::OrderType),
        (base(("GTC", "GTX")), Refusal::TimeInForce),
        (base(("BTCUSDT", "DOGEUSDT")), Refusal::Symbol),
        (
            format!("{REST}&stopPrice=1"),
            Refusal::NotRequired("stopPrice"),
        ),
        (
            base(("&price=50000.01", "")),
            Refusal::Mandatory("price".to_owned()),
        ),
    ] {
        assert_eq!(world.place(&query), Err(refusal), "{query}");
    }
}

#[test]
fn makers_never_take_and_impatient_orders_expire() {
    let mut world = World::default();
    let maker = "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.5&price=60000";
    assert_eq!(world.place(maker), Err(Refusal::WouldTake));
    let expired = world.place(&REST.replace("GTC", "IOC")).unwrap();
    assert_eq!(expired["status"], "EXPIRED");
    assert_eq!(world.owns("USDT").1, "0.00000000");
}

#[test]
fn a_client_id_is_open_once() {
    let mut world = World::default();
    let named = format!("{REST}&newClientOrderId=a-1");
    world.place(&named).unwrap();
    assert_eq!(world.place(&named), Err(Refusal::DuplicateOrder));
    world
        .cancel("symbol=BTCUSDT&origClientOrderId=a-1")
        .unwrap();
    world.place(&named).unwrap();
}
