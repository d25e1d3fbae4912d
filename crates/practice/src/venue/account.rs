//! What the one customer of this exchange owns, to the last digit.

use std::collections::BTreeMap;

use bigdecimal::{BigDecimal, Zero};
use serde_json::{Value, json};

use super::market::{dec, plain};

/// There is less free than that.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLittle;

#[derive(Debug, Default)]
struct Balance {
    free: BigDecimal,
    locked: BigDecimal,
}

/// Balances by asset.
pub(crate) struct Account(BTreeMap<&'static str, Balance>);

impl Default for Account {
    fn default() -> Self {
        let start = [
            ("BTC", dec(10, 0)),
            ("ETH", dec(0, 0)),
            ("USDT", dec(100_000, 0)),
        ];
        let locked = BigDecimal::zero;
        Self(
            start
                .into_iter()
                .map(|(asset, free)| {
                    (
                        asset,
                        Balance {
                            free,
                            locked: locked(),
                        },
                    )
                })
                .collect(),
        )
    }
}

impl Account {
    /// Takes this much away from what is free.
    pub(crate) fn spend(
        &mut self,
        asset: &'static str,
        amount: &BigDecimal,
    ) -> Result<(), TooLittle> {
        let balance = self.0.entry(asset).or_default();
        if balance.free < *amount {
            return Err(TooLittle);
        }
        balance.free -= amount;
        Ok(())
    }

    /// Adds this much.
    pub(crate) fn credit(&mut self, asset: &'static str, amount: &BigDecimal) {
        self.0.entry(asset).or_default().free += amount;
    }

    /// Sets this much aside for a resting order.
    pub(crate) fn lock(
        &mut self,
        asset: &'static str,
        amount: &BigDecimal,
    ) -> Result<(), TooLittle> {
        self.spend(asset, amount)?;
        self.0.entry(asset).or_default().locked += amount;
        Ok(())
    }

    /// Frees what was set aside.
    pub(crate) fn unlock(&mut self, asset: &'static str, amount: &BigDecimal) {
        let balance = self.0.entry(asset).or_default();
        balance.locked -= amount;
        balance.free += amount;
    }

    /// Free and locked of an asset, as text.
    pub(crate) fn shown(&self, asset: &str) -> (String, String) {
        let zero = Balance::default();
        let balance = self.0.get(asset).unwrap_or(&zero);
        (plain(&balance.free), plain(&balance.locked))
    }

    /// The `balances` of `GET /api/v3/account`.
    pub(crate) fn balances(&self) -> Value {
        let row = |asset: &&'static str| {
            let (free, locked) = self.shown(asset);
            json!({ "asset": asset, "free": free, "locked": locked })
        };
        self.0.keys().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_spent_that_is_not_free() {
        let mut account = Account::default();
        account.lock("BTC", &dec(99_999_999, 7)).unwrap();
        assert_eq!(account.spend("BTC", &dec(2, 7)), Err(TooLittle));
        account.spend("BTC", &dec(1, 7)).unwrap();
        let shown = ("0.00000000".to_owned(), "9.99999990".to_owned());
        assert_eq!(account.shown("BTC"), shown);
        account.unlock("BTC", &dec(99_999_999, 7));
        assert_eq!(account.shown("BTC").0, "9.99999990");
    }
}
