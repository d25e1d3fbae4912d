//! What happened before, as far as limits look back at it.

use std::collections::HashMap;

use touchkeep_core::{Decimal, RequestId, UnixMillis, time::DAY_MS};
use touchkeep_venue::{Operation, OperationKind, Side, naming};

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
    /// On which side.
    pub side: Option<Side>,
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
            side: operation.side,
            // Rows of before names were brought to one have others.
            symbol: operation
                .symbol
                .as_deref()
                .map(|name| naming::market(&operation.venue, name)),
            asset: operation
                .asset
                .as_deref()
                .map(|name| naming::asset(&operation.venue, name)),
            // So much of what nobody knows is as good as not said: it would count as that much of everything.
            amount: operation.amount.clone().filter(|amount| {
                !amount.is_negative() && (operation.symbol.is_some() || operation.asset.is_some())
            }),
            notional: notional(operation),
        }
    }
}

/// The most that an order can move in the quote asset: what it says itself, or amount times limit of a purchase. A sale
/// has no such bound, because it is filled at any better price.
#[must_use]
pub fn notional(operation: &Operation) -> Option<Decimal> {
    let bought = operation.side == Some(Side::Buy);
    let worth = match (&operation.quote_amount, &operation.amount, &operation.price) {
        (Some(quote), _, _) => quote.clone(),
        (None, Some(amount), Some(price)) if bought => amount.times(price),
        _ => return None,
    };
    (!worth.is_negative()).then_some(worth)
}

/// What a decision looks back at.
pub trait Before {
    /// What the windows of the rule at this place hold already, for the request that is judged.
    fn sums(&self, rule: usize) -> Sums;

    /// [`Sums::amount`] alone.
    fn amount(&self, rule: usize) -> Option<Decimal> {
        self.sums(rule).amount
    }

    /// [`Sums::notional`] alone.
    fn notional(&self, rule: usize) -> Option<Decimal> {
        self.sums(rule).notional
    }

    /// [`Sums::minute`] alone.
    fn minute(&self, rule: usize) -> u32 {
        self.sums(rule).minute
    }

    /// [`Sums::day`] alone.
    fn day(&self, rule: usize) -> u32 {
        self.sums(rule).day
    }
}

/// What one rule's windows hold already, for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// Of the asked asset or market, in the rule's window. Absent when it is not known: some request did not say how much.
    pub amount: Option<Decimal>,
    /// In the quote asset, in the rule's window. Absent when it is not known.
    pub notional: Option<Decimal>,
    /// Requests in the last minute.
    pub minute: u32,
    /// Requests in the last day.
    pub day: u32,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            amount: Some(Decimal::zero()),
            notional: Some(Decimal::zero()),
            minute: 0,
            day: 0,
        }
    }
}

impl Sums {
    /// What is in a window that nobody can look into any more: nothing more fits.
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            amount: None,
            notional: None,
            minute: u32::MAX,
            day: u32::MAX,
        }
    }
}

/// The sums for one request, added up from everything that happened: the plain definition of what limits mean.
/// [`crate::Windows`] keeps the same sums without adding them up each time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// By the place of the rule. What is not in it counts as nothing.
    pub rules: HashMap<usize, Sums>,
}

impl Before for History {
    fn sums(&self, rule: usize) -> Sums {
        self.rules.get(&rule).cloned().unwrap_or_default()
    }
}

impl History {
    /// The sums that `policy` needs to decide about `asked`.
    #[must_use]
    pub fn of(policy: &Policy, past: &[Past], asked: &Asked) -> Self {
        let rules = policy.rules().iter().enumerate();
        let sums = rules.map(|(place, rule)| (place, Sums::of(rule, past, asked)));
        Self {
            rules: sums.collect(),
        }
    }
}

impl Sums {
    pub(crate) fn of(rule: &Rule, past: &[Past], asked: &Asked) -> Self {
        let mut sums = Self::default();
        for act in past.iter().filter(|act| rule.counts(act)) {
            // Something from the future of a clock that went back still counts.
            let age = asked.now.since(act.at);
            if age < rule.window_ms() && counts_with(rule, act, asked, false) {
                let same =
                    (&act.symbol, &act.asset) == (&asked.operation.symbol, &asked.operation.asset);
                if same || (act.symbol.is_none() && act.asset.is_none()) {
                    sums.amount = add(sums.amount, act.amount.as_ref());
                }
                sums.notional = add(sums.notional, act.notional.as_ref());
            }
            if counts_with(rule, act, asked, true) {
                sums.minute = sums.minute.saturating_add(u32::from(age < MINUTE_MS));
                sums.day = sums.day.saturating_add(u32::from(age < DAY_MS));
            }
        }
        sums
    }
}

// Whether one is counted together with the other.
fn counts_with(rule: &Rule, act: &Past, asked: &Asked, each: bool) -> bool {
    let client = !rule.per_client(each) || act.client == asked.client;
    let key_set = !rule.per_key_set(each)
        || (&act.key_set, &act.venue) == (&asked.key_set, &asked.operation.venue);
    client && key_set
}

fn add(sum: Option<Decimal>, more: Option<&Decimal>) -> Option<Decimal> {
    Some(sum?.plus(more?))
}
