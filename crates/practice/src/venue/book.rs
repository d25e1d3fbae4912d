//! The order book of the one customer: an order that crosses the market fills at once and whole, any other rests.

use bigdecimal::BigDecimal;
use serde_json::{Value, json};

use super::account::{Account, TooLittle};
use super::market::{Symbol, plain};
use super::order::{NewOrder, Order, Price, Side, Status, TimeInForce};
use super::params::Params;
use super::refusal::Refusal;

struct Trade {
    id: u64,
    order_id: u64,
    symbol: &'static str,
    price: BigDecimal,
    quantity: BigDecimal,
    paid: BigDecimal,
    commission_asset: &'static str,
    is_buyer: bool,
    time_ms: u64,
}

impl Trade {
    fn shown(&self) -> Value {
        json!({
            "symbol": self.symbol,
            "id": self.id,
            "orderId": self.order_id,
            "orderListId": -1,
            "price": plain(&self.price),
            "qty": plain(&self.quantity),
            "quoteQty": plain(&self.paid),
            "commission": "0.00000000",
            "commissionAsset": self.commission_asset,
            "time": self.time_ms,
            "isBuyer": self.is_buyer,
            "isMaker": false,
            "isBestMatch": true
        })
    }
}

/// All orders and trades, oldest first.
#[derive(Default)]
pub(crate) struct Book {
    orders: Vec<Order>,
    trades: Vec<Trade>,
}

impl From<TooLittle> for Refusal {
    fn from(_: TooLittle) -> Self {
        Self::Balance
    }
}

impl Book {
    /// Takes an order in: fills it, lets it rest, or lets it expire.
    pub(crate) fn place(
        &mut self,
        new: NewOrder,
        account: &mut Account,
        now_ms: u64,
    ) -> Result<&Order, Refusal> {
        let taken =
            |order: &Order| order.status == Status::New && order.new.client_id == new.client_id;
        if self.orders.iter().any(taken) {
            return Err(Refusal::DuplicateOrder);
        }
        let crosses = new.crosses();
        let mut order = Order {
            id: self.orders.len() as u64 + 1,
            quantity: new.quantity(),
            executed: BigDecimal::default(),
            paid: BigDecimal::default(),
            status: Status::New,
            time_ms: now_ms,
            updated_ms: now_ms,
            new,
        };
        match (&order.new.price, crosses) {
            (Price::LimitMaker(_), true) => return Err(Refusal::WouldTake),
            (_, true) => self.fill(&mut order, account)?,
            (_, false) if order.new.time_in_force != TimeInForce::Gtc => {
                order.status = Status::Expired
            }
            (_, false) => {
                let (asset, amount) = order.held();
                account.lock(asset, &amount)?;
            }
        }
        self.orders.push(order);
        self.orders.last().ok_or(Refusal::Broken { status: 500 })
    }

    /// Takes back an open order, or says that there is none.
    pub(crate) fn cancel(
        &mut self,
        params: &Params,
        symbol: &Symbol,
        account: &mut Account,
        now_ms: u64,
    ) -> Result<&Order, Refusal> {
        let wanted = Wanted::read(params, symbol)?;
        let open = |order: &&mut Order| order.status == Status::New && wanted.is(order);
        let order = self
            .orders
            .iter_mut()
            .find(open)
            .ok_or(Refusal::UnknownOrder)?;
        take_back(order, account, now_ms);
        Ok(order)
    }

    /// Takes back all open orders of a pair.
    pub(crate) fn cancel_all(
        &mut self,
        symbol: &Symbol,
        account: &mut Account,
        now_ms: u64,
    ) -> Result<Vec<&Order>, Refusal> {
        let open = |order: &&mut Order| {
            order.status == Status::New && order.new.symbol.name == symbol.name
        };
        let mut gone = Vec::new();
        for order in self.orders.iter_mut().filter(open) {
            take_back(order, account, now_ms);
            gone.push(&*order);
        }
        if gone.is_empty() {
            Err(Refusal::UnknownOrder)
        } else {
            Ok(gone)
        }
    }

    /// One order of a pair.
    pub(crate) fn find(&self, params: &Params, symbol: &Symbol) -> Result<&Order, Refusal> {
        let wanted = Wanted::read(params, symbol)?;
        let mut newest_first = self.orders.iter().rev();
        newest_first
            .find(|order| wanted.is(order))
            .ok_or(Refusal::NoSuchOrder)
    }

    /// Open orders, of one pair or of all.
    pub(crate) fn open(&self, symbol: Option<&Symbol>) -> Value {
        self.list(|order| {
            order.status == Status::New && symbol.is_none_or(|s| s.name == order.new.symbol.name)
        })
    }

    /// All orders, of one pair or of all.
    pub(crate) fn all(&self, symbol: Option<&Symbol>) -> Value {
        self.list(|order| symbol.is_none_or(|s| s.name == order.new.symbol.name))
    }

    /// All trades of a pair.
    pub(crate) fn trades(&self, symbol: &Symbol) -> Value {
        let of_pair = self
            .trades
            .iter()
            .filter(|trade| trade.symbol == symbol.name);
        of_pair.map(Trade::shown).collect()
    }

    /// The `fills` of an order.
    pub(crate) fn fills(&self, order_id: u64) -> Value {
        let of_order = self
            .trades
            .iter()
            .filter(|trade| trade.order_id == order_id);
        let fill = |trade: &Trade| {
            json!({
                "price": plain(&trade.price),
                "qty": plain(&trade.quantity),
                "commission": "0.00000000",
                "commissionAsset": trade.commission_asset,
                "tradeId": trade.id
            })
        };
        of_order.map(fill).collect()
    }

    fn list(&self, wanted: impl Fn(&Order) -> bool) -> Value {
        let found = self.orders.iter().filter(|order| wanted(order));
        found.map(Order::shown).collect()
    }

    fn fill(&mut self, order: &mut Order, account: &mut Account) -> Result<(), Refusal> {
        let Symbol {
            name, base, quote, ..
        } = order.new.symbol;
        let price = order.new.market_price();
        let paid = &price * &order.quantity;
        let commission_asset = match order.new.side {
            Side::Buy => {
                account.spend(quote, &paid)?;
                account.credit(base, &order.quantity);
                base
            }
            Side::Sell => {
                account.spend(base, &order.quantity)?;
                account.credit(quote, &paid);
                quote
            }
        };
        order.status = Status::Filled;
        order.executed.clone_from(&order.quantity);
        order.paid.clone_from(&paid);
        self.trades.push(Trade {
            id: self.trades.len() as u64 + 1,
            order_id: order.id,
            symbol: name,
            price,
            quantity: order.quantity.clone(),
            paid,
            commission_asset,
            is_buyer: order.new.side == Side::Buy,
            time_ms: order.time_ms,
        });
        Ok(())
    }
}

fn take_back(order: &mut Order, account: &mut Account, now_ms: u64) {
    let (asset, amount) = order.held();
    account.unlock(asset, &amount);
    order.status = Status::Canceled;
    order.updated_ms = now_ms;
}

struct Wanted<'a> {
    symbol: &'static str,
    id: Option<u64>,
    client_id: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn read(params: &'a Params, symbol: &Symbol) -> Result<Self, Refusal> {
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

    fn is(&self, order: &Order) -> bool {
        order.new.symbol.name == self.symbol
            && self.id.is_none_or(|id| id == order.id)
            && self.client_id.is_none_or(|id| id == order.new.client_id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::market::Market;
    use super::*;

    #[derive(Default)]
    struct World {
        market: Market,
        account: Account,
        book: Book,
    }

    impl World {
        fn place(&mut self, query: &str) -> Result<Value, Refusal> {
            let params = Params::parse(query.as_bytes(), b"").unwrap();
            let symbol = self.market.required(&params)?;
            let new = NewOrder::read(&params, symbol)?;
            self.book.place(new, &mut self.account, 1).map(Order::shown)
        }

        fn cancel(&mut self, query: &str) -> Result<Value, Refusal> {
            let params = Params::parse(query.as_bytes(), b"").unwrap();
            let symbol = self.market.required(&params)?;
            let order = self.book.cancel(&params, symbol, &mut self.account, 2)?;
            Ok(order.shown())
        }

        fn owns(&self, asset: &str) -> (String, String) {
            self.account.shown(asset)
        }
    }

    fn pair(free: &str, locked: &str) -> (String, String) {
        (free.to_owned(), locked.to_owned())
    }

    const REST: &str =
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.5&price=50000.01";

    #[test]
    fn a_limit_order_off_the_market_rests_and_gives_everything_back() {
        let mut world = World::default();
        let order = world.place(REST).unwrap();
        assert_eq!(order["status"], "NEW");
        assert_eq!(world.owns("USDT"), pair("74999.99500000", "25000.00500000"));
        assert_eq!(world.book.open(None).as_array().unwrap().len(), 1);
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
        assert_eq!(world.book.all(None), json!([]));
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
}
