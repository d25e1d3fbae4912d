//! The pairs that can be traded here, at prices that stand still, and the public market data about them.

use bigdecimal::{BigDecimal, Zero};
use serde_json::{Value, json};

use super::params::{Params, illegal};
use super::refusal::Refusal;

const SYMBOL: &str = "^[A-Z0-9-_.]{1,20}$";
const DEPTH_LEVELS: i64 = 20;

/// A pair, its price and its filters.
#[derive(Debug, Clone)]
pub(crate) struct Symbol {
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

    fn info(&self) -> Value {
        json!({
            "symbol": self.name,
            "status": "TRADING",
            "baseAsset": self.base,
            "baseAssetPrecision": 8,
            "quoteAsset": self.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
            "icebergAllowed": false,
            "ocoAllowed": false,
            "otoAllowed": false,
            "quoteOrderQtyMarketAllowed": true,
            "allowTrailingStop": false,
            "cancelReplaceAllowed": false,
            "isSpotTradingAllowed": true,
            "isMarginTradingAllowed": false,
            "filters": [
                { "filterType": "PRICE_FILTER", "minPrice": plain(&self.tick), "maxPrice": "1000000.00000000", "tickSize": plain(&self.tick) },
                { "filterType": "LOT_SIZE", "minQty": plain(&self.step), "maxQty": "9000.00000000", "stepSize": plain(&self.step) },
                { "filterType": "NOTIONAL", "minNotional": plain(&self.min_notional), "applyMinToMarket": true, "maxNotional": "9000000.00000000", "applyMaxToMarket": false, "avgPriceMins": 5 }
            ],
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
            "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"]
        })
    }

    fn ticker(&self, now_ms: u64) -> Value {
        let ask = plain(&self.ask);
        json!({
            "symbol": self.name,
            "priceChange": "0.00000000",
            "priceChangePercent": "0.000",
            "weightedAvgPrice": ask,
            "prevClosePrice": ask,
            "lastPrice": ask,
            "lastQty": plain(&self.step),
            "bidPrice": plain(&self.bid()),
            "bidQty": "1.00000000",
            "askPrice": ask,
            "askQty": "1.00000000",
            "openPrice": ask,
            "highPrice": ask,
            "lowPrice": ask,
            "volume": "0.00000000",
            "quoteVolume": "0.00000000",
            "openTime": now_ms.saturating_sub(86_400_000),
            "closeTime": now_ms,
            "firstId": -1,
            "lastId": -1,
            "count": 0
        })
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
    /// The pair that the parameter `symbol` names.
    pub(crate) fn required(&self, params: &Params) -> Result<&Symbol, Refusal> {
        params.required("symbol")?;
        self.optional(params)?.ok_or(Refusal::Symbol)
    }

    /// The pair that the parameter `symbol` names, if it was sent.
    pub(crate) fn optional(&self, params: &Params) -> Result<Option<&Symbol>, Refusal> {
        let Some(name) = params.text("symbol")? else {
            return Ok(None);
        };
        let legal = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-_.".contains(&b);
        if name.len() > 20 || !name.bytes().all(legal) {
            return Err(illegal("symbol", SYMBOL));
        }
        let found = self.0.iter().find(|symbol| symbol.name == name);
        found.map(Some).ok_or(Refusal::Symbol)
    }

    /// `GET /api/v3/exchangeInfo`
    pub(crate) fn info(&self, params: &Params, now_ms: u64) -> Result<Value, Refusal> {
        let one = self.optional(params)?;
        let symbols = self
            .0
            .iter()
            .filter(|s| one.is_none_or(|one| one.name == s.name));
        Ok(json!({
            "timezone": "UTC",
            "serverTime": now_ms,
            "rateLimits": [
                { "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000 }
            ],
            "exchangeFilters": [],
            "symbols": symbols.map(Symbol::info).collect::<Value>()
        }))
    }

    /// `GET /api/v3/ticker/price`
    pub(crate) fn prices(&self, params: &Params) -> Result<Value, Refusal> {
        self.one_or_all(
            params,
            |s| json!({ "symbol": s.name, "price": plain(&s.ask) }),
        )
    }

    /// `GET /api/v3/ticker/24hr`
    pub(crate) fn tickers(&self, params: &Params, now_ms: u64) -> Result<Value, Refusal> {
        self.one_or_all(params, |s| s.ticker(now_ms))
    }

    /// `GET /api/v3/depth`
    pub(crate) fn depth(&self, params: &Params, now_ms: u64) -> Result<Value, Refusal> {
        let symbol = self.required(params)?;
        let level = |price: BigDecimal| json!([plain(&price), "1.00000000"]);
        let away = |n: i64| &symbol.tick * BigDecimal::from(n);
        let asks = (0..DEPTH_LEVELS).map(|n| level(symbol.ask() + away(n)));
        let bids = (0..DEPTH_LEVELS).map(|n| level(symbol.bid() - away(n)));
        Ok(json!({
            "lastUpdateId": now_ms,
            "bids": bids.collect::<Value>(),
            "asks": asks.collect::<Value>()
        }))
    }

    fn one_or_all(
        &self,
        params: &Params,
        row: impl Fn(&Symbol) -> Value,
    ) -> Result<Value, Refusal> {
        Ok(match self.optional(params)? {
            Some(symbol) => row(symbol),
            None => self.0.iter().map(row).collect(),
        })
    }
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
