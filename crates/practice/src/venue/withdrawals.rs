//! Money that leaves: at once, after the checks that all dialects share.
//!
//! Addresses are checked for their characters only, not for a network's address format.

use bigdecimal::{BigDecimal, Zero};

use super::account::{Accounts, Owner};
use super::coins::{Network, coin};
use super::keys::random_text;
use super::market::is_multiple;

const ID_CHARACTERS: usize = 32;
const MAX_ADDRESS_BYTES: usize = 128;

/// What is wished for.
pub(crate) struct NewWithdrawal<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) asset: &'a str,
    /// Nothing said is the asset's first.
    pub(crate) network: Option<&'a str>,
    pub(crate) amount: BigDecimal,
    pub(crate) address: &'a str,
    pub(crate) address_tag: Option<&'a str>,
    /// The name in the address book, where it was sent to one.
    pub(crate) key: Option<&'a str>,
    pub(crate) client_id: Option<&'a str>,
    pub(crate) fee: Fee,
}

/// Who pays the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fee {
    /// It is taken from the amount: less arrives.
    Inside,
    /// It is taken on top: the amount arrives.
    OnTop,
}

/// Why money did not leave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    Asset,
    Network,
    Address,
    /// The amount is no whole number of these.
    Step(BigDecimal),
    /// The amount is less than this.
    Minimum(BigDecimal),
    Balance,
    Randomness,
}

/// Money that left.
#[derive(Debug, Clone)]
pub(crate) struct Withdrawal {
    pub(crate) id: String,
    pub(crate) owner: Owner,
    pub(crate) client_id: Option<String>,
    pub(crate) asset: &'static str,
    pub(crate) network: Network,
    /// What was asked for.
    pub(crate) amount: BigDecimal,
    /// What the account paid.
    pub(crate) gross: BigDecimal,
    /// What arrives.
    pub(crate) net: BigDecimal,
    pub(crate) address: String,
    pub(crate) address_tag: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) time_ms: u64,
}

impl Withdrawal {
    /// Its words for the record: `withdraw 0.5 BTC to bc1q… (network BTC)`.
    pub(crate) fn sentence(&self) -> String {
        format!(
            "withdraw {} {} to {} (network {})",
            self.amount.normalized().to_plain_string(),
            self.asset,
            self.address,
            self.network.name
        )
    }

    /// The transaction that nobody will find in a chain.
    pub(crate) fn transaction(&self) -> String {
        format!("practice-{}", self.id)
    }
}

/// All withdrawals, oldest first.
#[derive(Default)]
pub(crate) struct Withdrawals(Vec<Withdrawal>);

impl Withdrawals {
    /// Takes the money and keeps the withdrawal.
    pub(crate) fn apply(
        &mut self,
        new: NewWithdrawal<'_>,
        accounts: &mut Accounts,
        now_ms: u64,
    ) -> Result<Withdrawal, Unsent> {
        let withdrawal = checked(new, now_ms)?;
        accounts
            .of(&withdrawal.owner)
            .spend(withdrawal.asset, &withdrawal.gross)
            .map_err(|_| Unsent::Balance)?;
        self.0.push(withdrawal.clone());
        Ok(withdrawal)
    }

    /// The withdrawals of an owner, newest first.
    pub(crate) fn newest<'a>(&'a self, owner: &'a Owner) -> impl Iterator<Item = &'a Withdrawal> {
        self.0.iter().rev().filter(move |w| w.owner == *owner)
    }

    /// Everybody's, oldest first.
    pub(crate) fn all(&self) -> &[Withdrawal] {
        &self.0
    }
}

fn checked(new: NewWithdrawal<'_>, now_ms: u64) -> Result<Withdrawal, Unsent> {
    let coin = coin(new.asset).ok_or(Unsent::Asset)?;
    let network = coin.network(new.network).ok_or(Unsent::Network)?.clone();
    let graphic = new.address.bytes().all(|b| b.is_ascii_graphic());
    if new.address.is_empty() || new.address.len() > MAX_ADDRESS_BYTES || !graphic {
        return Err(Unsent::Address);
    }
    if !is_multiple(&new.amount, &network.step) {
        return Err(Unsent::Step(network.step));
    }
    if new.amount.is_zero() || new.amount < network.minimum {
        return Err(Unsent::Minimum(network.minimum));
    }
    let (gross, net) = match new.fee {
        Fee::Inside => (new.amount.clone(), &new.amount - &network.fee),
        Fee::OnTop => (&new.amount + &network.fee, new.amount.clone()),
    };
    Ok(Withdrawal {
        id: random_text(ID_CHARACTERS).ok_or(Unsent::Randomness)?,
        owner: new.owner.clone(),
        client_id: new.client_id.map(ToOwned::to_owned),
        asset: coin.asset,
        network,
        amount: new.amount,
        gross,
        net,
        address: new.address.to_owned(),
        address_tag: new.address_tag.map(ToOwned::to_owned),
        key: new.key.map(ToOwned::to_owned),
        time_ms: now_ms,
    })
}
