//! What happened before, as far as limits look back at it.

use std::collections::BTreeMap;

use touchkeep_core::{Decimal, RequestId, UnixMillis};
use touchkeep_venue::{Operation, OperationKind};

use crate::{Asked, Policy, Rule};

/// Milliseconds of the window of `requests_per_minute`.
pub const MINUTE_MS: u64 = 60_000;

/// One request that was let through earlier. Recorded before it was signed, so what may have happened counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Which request.
    pub request: RequestId,
    /// When.
    pub at: UnixMillis,
    /// Which client asked.
    pub client: String,
    /// At which venue.
    pub venue: String,
    /// With a key of which set.
    pub key_set: String,
    /// What it did.
    pub kind: OperationKind,
    /// On which market.
    pub symbol: Option<String>,
    /// With which asset.
    pub asset: Option<String>,
    /// How much.
    pub amount: Option<Decimal>,
    /// Worth how much at most, in the quote asset.
    pub notional: Option<Decimal>,
}

impl Past {
    /// What a request will be to those after it.
    #[must_use]
    pub fn of(asked: &Asked) -> Self {
        let Asked {
            client, key_set, ..
        } = asked;
        Self::new(asked.request, asked.now, client, key_set, &asked.operation)
    }

    /// What was let through then.
    #[must_use]
    pub fn new(
        request: RequestId,
        at: UnixMillis,
        client: &str,
        key_set: &str,
        operation: &Operation,
    ) -> Self {
        Self {
            request,
            at,
            client: client.to_owned(),
            venue: operation.venue.clone(),
            key_set: key_set.to_owned(),
            kind: operation.kind,
            symbol: operation.symbol.clone(),
            asset: operation.asset.clone(),
            amount: operation.amount.clone(),
            notional: notional(operation),
        }
    }
}

/// The most that an order can move in the quote asset: what it says itself, or amount times limit of a purchase. A sale
/// has no such bound, because it is filled at any better price.
#[must_use]
pub fn notional(operation: &Operation) -> Option<Decimal> {
    if let Some(quote) = &operation.quote_amount {
        return Some(quote.clone());
    }
    let bought = operation.side == Some(touchkeep_venue::Side::Buy);
    let (amount, price) = (operation.amount.as_ref()?, operation.price.as_ref()?);
    bought.then(|| amount.times(price))
}

/// Sums over the windows of each rule, for one request. What is not in it counts as nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// By the name of the rule.
    pub rules: BTreeMap<String, Sums>,
}

/// What one rule's windows hold already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// Of the asked asset or market, in the rule's window. Absent when some request did not say how much.
    pub amount: Option<Decimal>,
    /// In the quote asset, in the rule's window. Absent when some request did not say how much.
    pub notional: Option<Decimal>,
    /// Requests of the same client with the same key set in the last minute.
    pub requests: u32,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            amount: Some(Decimal::zero()),
            notional: Some(Decimal::zero()),
            requests: 0,
        }
    }
}

impl History {
    /// The sums that `policy` needs to decide about `asked`.
    #[must_use]
    pub fn of(policy: &Policy, past: &[Past], asked: &Asked) -> Self {
        let rules = policy.rules().iter().map(|rule| {
            let sums = Sums::of(rule, past, asked);
            (rule.name.clone(), sums)
        });
        Self {
            rules: rules.collect(),
        }
    }
}

impl Sums {
    fn of(rule: &Rule, past: &[Past], asked: &Asked) -> Self {
        let mut sums = Self::default();
        for act in past.iter().filter(|act| rule.counts(act)) {
            // Something from the future of a clock that went back still counts.
            let age = asked.now.since(act.at);
            if age < rule.window_ms() {
                let same =
                    (&act.symbol, &act.asset) == (&asked.operation.symbol, &asked.operation.asset);
                if same || (act.symbol.is_none() && act.asset.is_none()) {
                    sums.amount = add(sums.amount, act.amount.as_ref());
                }
                sums.notional = add(sums.notional, act.notional.as_ref());
            }
            let same = act.client == asked.client
                && act.key_set == asked.key_set
                && act.venue == asked.operation.venue;
            if same && age < MINUTE_MS {
                sums.requests = sums.requests.saturating_add(1);
            }
        }
        sums
    }
}

fn add(sum: Option<Decimal>, more: Option<&Decimal>) -> Option<Decimal> {
    Some(sum?.plus(more?))
}
