//! The pairs that can be traded here, at prices that stand still.

use bigdecimal::{BigDecimal, Zero};

/// What can be owned here, by the names that everybody but Kraken uses.
pub(crate) const ASSETS: [&str; 3] = ["BTC", "ETH", "USDT"];
/// Levels on each side of the order book, one tick apart, one whole unit each.
pub(crate) const DEPTH_LEVELS: i64 = 20;

/// A pair, its price and its filters.
#[derive(Debug, Clone)]
pub(crate) struct Symbol {
    /// As Binance calls it.
    pub(crate) name: &'static str,
    pub(crate) base: &'static str,
    pub(crate) quote: &'static str,
    /// Buyers pay this; sellers get one tick less.
    ask: BigDecimal,
    pub(crate) tick: BigDecimal,
    pub(crate) step: BigDecimal,
    pub(crate) min_notional: BigDecimal,
}

impl Symbol {
    /// What a seller gets.
    pub(crate) fn bid(&self) -> BigDecimal {
        &self.ask - &self.tick
    }

    /// What a buyer pays.
    pub(crate) const fn ask(&self) -> &BigDecimal {
        &self.ask
    }

    /// Prices to sell at, the best first.
    pub(crate) fn asks(&self) -> impl Iterator<Item = BigDecimal> + '_ {
        (0..DEPTH_LEVELS).map(|n| &self.ask + &self.tick * BigDecimal::from(n))
    }

    /// Prices to buy at, the best first.
    pub(crate) fn bids(&self) -> impl Iterator<Item = BigDecimal> + '_ {
        (0..DEPTH_LEVELS).map(|n| self.bid() - &self.tick * BigDecimal::from(n))
    }
}

/// All pairs.
pub(crate) struct Market(Vec<Symbol>);

impl Default for Market {
    fn default() -> Self {
        let symbol = |base, quote, name, ask, tick, step, min_notional| Symbol {
            name,
            base,
            quote,
            ask,
            tick,
            step,
            min_notional,
        };
        Self(vec![
            symbol(
                "BTC",
                "USDT",
                "BTCUSDT",
                dec(60_000, 0),
                dec(1, 2),
                dec(1, 5),
                dec(5, 0),
            ),
            symbol(
                "ETH",
                "USDT",
                "ETHUSDT",
                dec(3_000, 0),
                dec(1, 2),
                dec(1, 4),
                dec(5, 0),
            ),
            symbol(
                "ETH",
                "BTC",
                "ETHBTC",
                dec(5, 2),
                dec(1, 5),
                dec(1, 3),
                dec(1, 4),
            ),
        ])
    }
}

impl Market {
    /// All pairs.
    pub(crate) fn symbols(&self) -> &[Symbol] {
        &self.0
    }

    /// The pair that this is true of.
    pub(crate) fn find(&self, is: impl Fn(&Symbol) -> bool) -> Option<&Symbol> {
        self.0.iter().find(|symbol| is(symbol))
    }
}

/// The asset of this name.
pub(crate) fn asset(name: &str) -> Option<&'static str> {
    ASSETS.into_iter().find(|known| *known == name)
}

/// The way amounts are written here: eight decimals, no exponent.
pub(crate) fn plain(amount: &BigDecimal) -> String {
    amount.with_scale(8).to_plain_string()
}

/// Is it a whole number of these steps?
pub(crate) fn is_multiple(amount: &BigDecimal, step: &BigDecimal) -> bool {
    (amount % step).is_zero()
}

/// `digits` with this many of them behind the point.
pub(crate) fn dec(digits: i64, behind_point: i64) -> BigDecimal {
    BigDecimal::new(digits.into(), behind_point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_eight_decimals_and_no_exponent() {
        assert_eq!(plain(&dec(0, 0)), "0.00000000");
        assert_eq!(plain(&dec(1, 8)), "0.00000001");
        assert_eq!(plain(&dec(10, 0)), "10.00000000");
        assert_eq!(plain(&dec(1, -12)), "1000000000000.00000000");
    }

    #[test]
    fn no_trade_needs_more_than_eight_decimals() {
        for symbol in Market::default().0 {
            let smallest = &symbol.tick * &symbol.step;
            assert_eq!(smallest.with_scale(8), smallest, "{}", symbol.name);
        }
    }
}
