//! The order book of the one customer: an order that crosses the market fills at once and whole, any other rests.

use bigdecimal::BigDecimal;

use super::account::{Account, Accounts, Owner, TooLittle};
use super::market::Symbol;
use super::order::{NewOrder, Order, Price, Side, Status, TimeInForce};

/// An order that met the market.
#[derive(Debug, Clone)]
pub(crate) struct Trade {
    pub(crate) id: u64,
    pub(crate) order_id: u64,
    pub(crate) owner: Owner,
    pub(crate) symbol: Symbol,
    pub(crate) price: BigDecimal,
    pub(crate) quantity: BigDecimal,
    pub(crate) paid: BigDecimal,
    pub(crate) is_market: bool,
    pub(crate) is_buyer: bool,
    pub(crate) time_ms: u64,
}

/// Why the book did not take an order in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unplaced {
    /// There is less free than it costs.
    Balance,
    /// It was to make, and would have taken.
    WouldTake,
    /// An open order of the same owner has its client id: this one.
    DuplicateId(u64),
}

impl From<TooLittle> for Unplaced {
    fn from(_: TooLittle) -> Self {
        Self::Balance
    }
}

/// All orders and trades, oldest first.
#[derive(Default)]
pub(crate) struct Book {
    orders: Vec<Order>,
    trades: Vec<Trade>,
}

impl Book {
    /// Takes an order in: fills it, lets it rest, or lets it expire.
    pub(crate) fn place(
        &mut self,
        new: NewOrder,
        accounts: &mut Accounts,
        now_ms: u64,
    ) -> Result<Order, Unplaced> {
        if let Some(open) = self.open_twin(&new) {
            return Err(Unplaced::DuplicateId(open.id));
        }
        let account = accounts.of(&new.owner);
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
            (Price::LimitMaker(_), true) => return Err(Unplaced::WouldTake),
            (_, true) => self.fill(&mut order, account)?,
            (_, false) if order.new.time_in_force != TimeInForce::Gtc => {
                order.status = Status::Expired;
            }
            (_, false) => {
                let (asset, amount) = order.held();
                account.lock(asset, &amount)?;
            }
        }
        self.orders.push(order.clone());
        Ok(order)
    }

    /// Takes back the open orders that this is true of.
    pub(crate) fn cancel(
        &mut self,
        wanted: impl Fn(&Order) -> bool,
        accounts: &mut Accounts,
        now_ms: u64,
    ) -> Vec<Order> {
        let open = |order: &&mut Order| order.is_open() && wanted(order);
        let mut gone = Vec::new();
        for order in self.orders.iter_mut().filter(open) {
            let (asset, amount) = order.held();
            accounts.of(&order.new.owner).unlock(asset, &amount);
            order.status = Status::Canceled;
            order.updated_ms = now_ms;
            gone.push(order.clone());
        }
        gone
    }

    /// The orders of an owner, oldest first.
    pub(crate) fn orders<'a>(
        &'a self,
        owner: &'a Owner,
    ) -> impl DoubleEndedIterator<Item = &'a Order> {
        self.orders
            .iter()
            .filter(move |order| order.new.owner == *owner)
    }

    /// Everybody's orders, oldest first.
    pub(crate) fn everybodys(&self) -> &[Order] {
        &self.orders
    }

    /// The trades of an owner, oldest first.
    pub(crate) fn trades<'a>(
        &'a self,
        owner: &'a Owner,
    ) -> impl DoubleEndedIterator<Item = &'a Trade> {
        self.trades
            .iter()
            .filter(move |trade| trade.owner == *owner)
    }

    fn open_twin(&self, new: &NewOrder) -> Option<&Order> {
        let id = new.client_id.as_ref()?;
        let same = |order: &&Order| {
            order.is_open()
                && order.new.owner == new.owner
                && order.new.client_id.as_ref() == Some(id)
        };
        self.orders.iter().find(same)
    }

    fn fill(&mut self, order: &mut Order, account: &mut Account) -> Result<(), TooLittle> {
        let Symbol { base, quote, .. } = order.new.symbol;
        let price = order.new.market_price();
        let paid = &price * &order.quantity;
        match order.new.side {
            Side::Buy => {
                account.spend(quote, &paid)?;
                account.credit(base, &order.quantity);
            }
            Side::Sell => {
                account.spend(base, &order.quantity)?;
                account.credit(quote, &paid);
            }
        }
        order.status = Status::Filled;
        order.executed.clone_from(&order.quantity);
        order.paid.clone_from(&paid);
        self.trades.push(Trade {
            id: self.trades.len() as u64 + 1,
            order_id: order.id,
            owner: order.new.owner.clone(),
            symbol: order.new.symbol.clone(),
            price,
            quantity: order.quantity.clone(),
            paid,
            is_market: order.new.price == Price::Market,
            is_buyer: order.new.side == Side::Buy,
            time_ms: order.time_ms,
        });
        Ok(())
    }
}
