//! The decision: a pure function of rules, request and history.
//!
//! The first rule that fits decides. Two things make it strict where it does not know:
//! - a rule whose limit is exceeded, or whose limit cannot be checked because the request does not say how much, does not
//!   fit, and its action becomes the floor: nothing below it can be milder. So more money never gets a milder verdict.
//! - a rule that names markets, assets or destinations, when the request does not say its own (several orders in one, an
//!   unknown endpoint), may be meant: it does not fit either, and its action becomes the floor. So a deny list cannot be
//!   passed by leaving a name out.

use touchkeep_core::{Decimal, RequestId, UnixMillis};
use touchkeep_venue::{Operation, OperationKind};

use crate::{
    Action, History, Need, Policy, Rule, Verdict,
    history::{Sums, notional},
    rule::{Destination, any_fits, fits},
    verdict::Subject,
};

/// One request, as it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Which request.
    pub request: RequestId,
    /// Its digest: [`crate::request_digest`].
    pub digest: [u8; 32],
    /// Which client asks.
    pub client: String,
    /// Of which key set a key would sign.
    pub key_set: String,
    /// What it does, and at which venue.
    pub operation: Operation,
    /// When.
    pub now: UnixMillis,
}

// How a rule stands to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Fits,
    // Over a limit, or not to be ruled out.
    Floor,
    Not,
}

impl Policy {
    /// Decides. The same arguments give the same verdict.
    #[must_use]
    pub fn decide(&self, asked: Asked, history: &History) -> Verdict {
        let (action, rule) = self.action(&asked, history);
        let subject = Subject {
            request: asked.request,
            digest: asked.digest,
            operation: asked.operation,
        };
        let name = rule.map(|rule| rule.name.clone());
        let Some(action) = action else {
            return Verdict::deny(subject, name);
        };
        let named = name.unwrap_or_else(|| "by hand".to_owned());
        match action {
            Action::Allow => Verdict::allow(subject, named, false),
            Action::Notify => Verdict::allow(subject, named, true),
            Action::Approve => Verdict::ask(subject, named, Need::Click),
            Action::Touch => Verdict::ask(subject, named, Need::Touch),
            Action::Deny => Verdict::deny(subject, Some(named)),
        }
    }

    // The action, and the rule that it came from; no action when no rule fits.
    fn action(&self, asked: &Asked, history: &History) -> (Option<Action>, Option<&Rule>) {
        if self.is_by_hand() {
            return (Some(Action::Touch), None);
        }
        let mut floor: Option<&Rule> = None;
        let nothing = Sums::default();
        for rule in self.rules() {
            let sums = history.rules.get(&rule.name).unwrap_or(&nothing);
            match fit(rule, asked, sums) {
                Fit::Not => {}
                Fit::Floor => floor = Some(stricter(floor, rule)),
                Fit::Fits => {
                    let rule = stricter(floor, rule);
                    return (
                        Some(at_least(rule.action, asked.operation.kind)),
                        Some(rule),
                    );
                }
            }
        }
        (None, None)
    }
}

fn stricter<'a>(floor: Option<&'a Rule>, rule: &'a Rule) -> &'a Rule {
    floor
        .filter(|floor| floor.action > rule.action)
        .unwrap_or(rule)
}

// `Policy::parse` refuses such rules; this holds if it ever fails to.
fn at_least(action: Action, kind: OperationKind) -> Action {
    if kind.is_dangerous() {
        action.max(Action::Touch)
    } else {
        action
    }
}

fn fit(rule: &Rule, asked: &Asked, sums: &Sums) -> Fit {
    let operation = &asked.operation;
    if !fits(&rule.clients, &asked.client)
        || !fits(&rule.venues, &operation.venue)
        || !fits(&rule.key_sets, &asked.key_set)
        || !rule.has_kind(operation.kind)
    {
        return Fit::Not;
    }
    let particulars = [
        one_of(
            &rule.symbols,
            operation.symbol.as_deref(),
            trades(operation.kind),
        ),
        one_of(
            &rule.assets,
            operation.asset.as_deref(),
            moves(operation.kind),
        ),
        goes_to(rule, operation),
    ];
    if particulars.contains(&Fit::Not) {
        return Fit::Not;
    }
    if particulars.contains(&Fit::Floor) || !within_limits(rule, operation, sums) {
        return Fit::Floor;
    }
    Fit::Fits
}

// `says`: whether an operation of this kind has such a thing, so that its absence means that we do not know.
fn one_of(list: &Option<Vec<String>>, value: Option<&str>, says: bool) -> Fit {
    match (list, value) {
        (None, _) => Fit::Fits,
        (Some(list), Some(value)) if any_fits(list, value) => Fit::Fits,
        (Some(_), None) if says => Fit::Floor,
        (Some(_), _) => Fit::Not,
    }
}

fn goes_to(rule: &Rule, operation: &Operation) -> Fit {
    match (&rule.destinations, operation.destination.as_deref()) {
        (None, _) => Fit::Fits,
        (Some(list), Some(to)) if list.iter().any(|one| is_destination(one, to, operation)) => {
            Fit::Fits
        }
        (Some(_), None) if moves(operation.kind) => Fit::Floor,
        (Some(_), _) => Fit::Not,
    }
}

fn is_destination(one: &Destination, to: &str, operation: &Operation) -> bool {
    match one {
        Destination::Address(address) => address == to && operation.destination_tag.is_none(),
        Destination::Exact(exact) => {
            exact.address == to
                && exact.tag == operation.destination_tag
                && (exact.network.is_none() || exact.network == operation.network)
        }
    }
}

const fn trades(kind: OperationKind) -> bool {
    matches!(
        kind,
        OperationKind::Trade
            | OperationKind::Cancel
            | OperationKind::Leverage
            | OperationKind::Unknown
    )
}

const fn moves(kind: OperationKind) -> bool {
    matches!(
        kind,
        OperationKind::Transfer | OperationKind::Withdraw | OperationKind::Unknown
    )
}

fn within_limits(rule: &Rule, operation: &Operation, sums: &Sums) -> bool {
    let (amount, worth) = (operation.amount.as_ref(), notional(operation));
    within(rule.max_amount.as_ref(), amount, None)
        && within(rule.max_notional.as_ref(), worth.as_ref(), None)
        && within(rule.window_amount.as_ref(), amount, Some(&sums.amount))
        && within(
            rule.window_notional.as_ref(),
            worth.as_ref(),
            Some(&sums.notional),
        )
        && rule
            .requests_per_minute
            .is_none_or(|most| sums.requests < most)
}

// What is not known is over every limit.
fn within(limit: Option<&Decimal>, value: Option<&Decimal>, sum: Option<&Option<Decimal>>) -> bool {
    let Some(limit) = limit else {
        return true;
    };
    let Some(value) = value else {
        return false;
    };
    match sum {
        None => value <= limit,
        Some(None) => false,
        Some(Some(sum)) => sum.plus(value) <= *limit,
    }
}
