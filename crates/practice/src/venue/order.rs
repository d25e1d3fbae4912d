//! An order: what it asks for, whether that fits the pair, and what it becomes.

use bigdecimal::{BigDecimal, Zero};

use super::account::Owner;
use super::market::{Symbol, is_multiple};

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

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    New,
    Filled,
    Canceled,
    Expired,
}

/// Which of the pair's filters a wish does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The price is none, or no whole number of ticks.
    Price,
    /// The amount is none, or no whole number of steps.
    Lot,
    /// It is worth too little.
    Notional,
}

/// What is wished for.
#[derive(Debug, Clone)]
pub(crate) struct NewOrder {
    pub(crate) owner: Owner,
    pub(crate) symbol: Symbol,
    pub(crate) side: Side,
    pub(crate) price: Price,
    pub(crate) size: Size,
    pub(crate) time_in_force: TimeInForce,
    pub(crate) client_id: Option<String>,
}

impl NewOrder {
    /// Refuses what the pair's filters do not let through.
    pub(crate) fn fits(&self) -> Result<(), Unfit> {
        let Symbol { tick, step, .. } = &self.symbol;
        let whole =
            |amount: &BigDecimal, of: &BigDecimal| !amount.is_zero() && is_multiple(amount, of);
        if let Price::Limit(price) | Price::LimitMaker(price) = &self.price
            && !whole(price, tick)
        {
            return Err(Unfit::Price);
        }
        if let Size::Base(quantity) = &self.size
            && !whole(quantity, step)
        {
            return Err(Unfit::Lot);
        }
        if self.value() < self.symbol.min_notional {
            return Err(Unfit::Notional);
        }
        Ok(())
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

    /// Does it still wait?
    pub(crate) fn is_open(&self) -> bool {
        self.status == Status::New
    }
}
