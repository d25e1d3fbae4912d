//! What the customer of this exchange and the sub-accounts own, to the last digit.

use std::collections::BTreeMap;

use bigdecimal::BigDecimal;

use super::market::{ASSETS, dec};

/// There is less free than that.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLittle;

/// Whose money, orders and keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// The customer.
    #[default]
    Master,
    /// One of the customer's sub-accounts, by its e-mail address.
    Sub(String),
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Balance {
    pub(crate) free: BigDecimal,
    pub(crate) locked: BigDecimal,
}

/// Balances by asset.
#[derive(Debug, Default)]
pub(crate) struct Account(BTreeMap<&'static str, Balance>);

impl Account {
    /// What the customer begins with.
    pub(crate) fn opening() -> Self {
        let mut account = Self::default();
        account.credit("BTC", &dec(10, 0));
        account.credit("USDT", &dec(100_000, 0));
        account
    }

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

    /// Free and locked of an asset.
    pub(crate) fn of(&self, asset: &str) -> Balance {
        self.0.get(asset).cloned().unwrap_or_default()
    }

    /// All assets that are traded here, with what is there of each.
    pub(crate) fn balances(&self) -> impl Iterator<Item = (&'static str, Balance)> + '_ {
        ASSETS.iter().map(|&asset| (asset, self.of(asset)))
    }
}

/// The customer's account and those under it.
pub(crate) struct Accounts(BTreeMap<Owner, Account>);

impl Default for Accounts {
    fn default() -> Self {
        Self(BTreeMap::from([(Owner::Master, Account::opening())]))
    }
}

impl Accounts {
    /// The account of an owner; one that was never opened is empty.
    pub(crate) fn of(&mut self, owner: &Owner) -> &mut Account {
        self.0.entry(owner.clone()).or_default()
    }

    /// Opens a sub-account; false if there is one with this e-mail address.
    pub(crate) fn open(&mut self, email: &str) -> bool {
        let owner = Owner::Sub(email.to_owned());
        let is_new = !self.0.contains_key(&owner);
        self.of(&owner);
        is_new
    }

    /// Is there a sub-account with this e-mail address?
    pub(crate) fn has(&self, email: &str) -> bool {
        self.0.contains_key(&Owner::Sub(email.to_owned()))
    }

    /// The e-mail addresses of all sub-accounts.
    pub(crate) fn emails(&self) -> impl Iterator<Item = &str> {
        self.0.keys().filter_map(|owner| match owner {
            Owner::Master => None,
            Owner::Sub(email) => Some(email.as_str()),
        })
    }

    /// Moves free money from one account to another.
    pub(crate) fn transfer(
        &mut self,
        from: &Owner,
        to: &Owner,
        asset: &'static str,
        amount: &BigDecimal,
    ) -> Result<(), TooLittle> {
        self.of(from).spend(asset, amount)?;
        self.of(to).credit(asset, amount);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_spent_that_is_not_free() {
        let mut account = Account::opening();
        account.lock("BTC", &dec(99_999_999, 7)).unwrap();
        assert_eq!(account.spend("BTC", &dec(2, 7)), Err(TooLittle));
        account.spend("BTC", &dec(1, 7)).unwrap();
        let left = account.of("BTC");
        assert_eq!((left.free, left.locked), (dec(0, 0), dec(99_999_999, 7)));
        account.unlock("BTC", &dec(99_999_999, 7));
        assert_eq!(account.of("BTC").free, dec(99_999_999, 7));
    }

    #[test]
    fn a_transfer_moves_what_is_there_and_nothing_else() {
        let mut accounts = Accounts::default();
        let sub = Owner::Sub("a@b.example".to_owned());
        assert!(accounts.open("a@b.example"));
        assert!(!accounts.open("a@b.example"));
        let too_much = accounts.transfer(&Owner::Master, &sub, "BTC", &dec(11, 0));
        assert_eq!(too_much, Err(TooLittle));
        assert_eq!(accounts.of(&sub).of("BTC").free, dec(0, 0));
        accounts
            .transfer(&Owner::Master, &sub, "BTC", &dec(4, 0))
            .unwrap();
        assert_eq!(accounts.of(&sub).of("BTC").free, dec(4, 0));
        assert_eq!(accounts.of(&Owner::Master).of("BTC").free, dec(6, 0));
    }
}
