//! The decision: a pure function of rules, request and history.
//!
//! The first rule that fits decides. Two things make it strict where it does not know:
//! - a rule whose limit is exceeded, or whose limit cannot be checked because the request does not say how much, does not
//!   fit, and its action becomes the floor: nothing below it can be milder. So more money never gets a milder verdict.
//! - a rule that names markets, assets or destinations, when the request does not say its own (several orders in one, an
//!   unknown endpoint), may be meant: it does not fit either, and its action becomes the floor. So a deny list cannot be
//!   passed by leaving a name out.
//!
//! A rule outside its hours is as good as not there: it neither fits nor leaves a floor.

use touchkeep_core::{Decimal, RequestId, UnixMillis};
use touchkeep_venue::{Operation, OperationKind};

use crate::{
    Action, Before, Need, Policy, Rule, Verdict,
    history::{Sums, notional},
    names::{any_fits, fits},
    rule::Destination,
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

/// How a rule stands to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// It decides.
    Fits,
    /// It may be meant, or would let through too much: nothing below can be milder than it.
    Floor(Doubt),
    /// It is not about this request.
    Not(Misfit),
}

/// Why a rule is not about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// Another kind of operation.
    Kind,
    /// Another client.
    Client,
    /// Another venue.
    Venue,
    /// Another key set.
    KeySet,
    /// Not at this time.
    Hours,
    /// Another market.
    Symbol,
    /// Another asset.
    Asset,
    /// Another destination, tag or network.
    Destination,
}

/// Why a rule that may be meant does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The request does not say its market.
    SymbolUnsaid,
    /// The request does not say its asset.
    AssetUnsaid,
    /// The request does not say where the money goes.
    DestinationUnsaid,
    /// It limits amounts, and the request does not say how much in one number.
    AmountUnsaid,
    /// It limits amounts in the quote asset, and the request does not say or bound its own.
    NotionalUnsaid,
    /// More than one request may have.
    MaxAmount,
    /// More in the quote asset than one request may have.
    MaxNotional,
    /// More than the window may have, or what the window has is not known.
    WindowAmount,
    /// More in the quote asset than the window may have, or what the window has is not known.
    WindowNotional,
    /// Too many requests in a minute.
    PerMinute,
    /// Too many requests in a day.
    PerDay,
}

impl Policy {
    /// Decides. The same arguments give the same verdict.
    #[must_use]
    pub fn decide(&self, asked: Asked, before: &impl Before) -> Verdict {
        let (action, rule) = self.action(&asked, before);
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

    /// The action, and the rule that it came from; no action when no rule fits.
    #[must_use]
    pub fn action(&self, asked: &Asked, before: &impl Before) -> (Option<Action>, Option<&Rule>) {
        let Some(index) = self.index() else {
            return (Some(Action::Touch), None);
        };
        let mut floor: Option<&Rule> = None;
        let about = index.about(&asked.client, &asked.key_set, &asked.operation);
        for place in about.places() {
            let Some(rule) = self.rules().get(place) else {
                continue;
            };
            match stand(rule, asked, || before.sums(place)) {
                Stand::Not(_) => {}
                Stand::Floor(_) => floor = Some(stricter(floor, rule)),
                Stand::Fits => {
                    let rule = stricter(floor, rule);
                    let action = at_least(rule.action, asked.operation.kind);
                    return (Some(action), Some(rule));
                }
            }
        }
        (None, None)
    }
}

pub(crate) fn stricter<'a>(floor: Option<&'a Rule>, rule: &'a Rule) -> &'a Rule {
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

/// How a rule stands to a request. The sums are asked for only where it limits something.
pub(crate) fn stand(rule: &Rule, asked: &Asked, sums: impl FnOnce() -> Sums) -> Stand {
    let operation = &asked.operation;
    let common = [
        (rule.has_kind(operation.kind), Misfit::Kind),
        (fits(&rule.clients, &asked.client), Misfit::Client),
        (fits(&rule.venues, &operation.venue), Misfit::Venue),
        (fits(&rule.key_sets, &asked.key_set), Misfit::KeySet),
        (rule.holds_at(asked.now), Misfit::Hours),
    ];
    if let Some((_, why)) = common.into_iter().find(|(fits, _)| !fits) {
        return Stand::Not(why);
    }
    let symbol = operation.symbol.as_deref();
    let asset = operation.asset.as_deref();
    let particulars = [
        one_of(
            &rule.symbols,
            symbol,
            trades(operation.kind).then_some(Doubt::SymbolUnsaid),
            Misfit::Symbol,
        ),
        one_of(
            &rule.assets,
            asset,
            moves(operation.kind).then_some(Doubt::AssetUnsaid),
            Misfit::Asset,
        ),
        goes_to(rule, operation),
    ];
    let is_not = |stand: &&Stand| matches!(stand, Stand::Not(_));
    let is_doubted = |stand: &&Stand| matches!(stand, Stand::Floor(_));
    let stand = particulars.iter().find(is_not);
    if let Some(stand) = stand.or_else(|| particulars.iter().find(is_doubted)) {
        return *stand;
    }
    if !rule.is_limited() {
        return Stand::Fits;
    }
    over_limit(rule, operation, sums).map_or(Stand::Fits, Stand::Floor)
}

// `unsaid`: what it means that an operation of this kind does not say it; nothing, where its kind has no such thing.
fn one_of(
    list: &Option<Vec<String>>,
    value: Option<&str>,
    unsaid: Option<Doubt>,
    other: Misfit,
) -> Stand {
    match (list, value, unsaid) {
        (None, _, _) => Stand::Fits,
        (Some(list), Some(value), _) if any_fits(list, value) => Stand::Fits,
        (Some(_), None, Some(doubt)) => Stand::Floor(doubt),
        (Some(_), _, _) => Stand::Not(other),
    }
}

fn goes_to(rule: &Rule, operation: &Operation) -> Stand {
    match (&rule.destinations, operation.destination.as_deref()) {
        (None, _) => Stand::Fits,
        (Some(list), Some(to)) if list.iter().any(|one| is_destination(one, to, operation)) => {
            Stand::Fits
        }
        (Some(_), None) if moves(operation.kind) => Stand::Floor(Doubt::DestinationUnsaid),
        (Some(_), _) => Stand::Not(Misfit::Destination),
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

pub(crate) const fn trades(kind: OperationKind) -> bool {
    matches!(
        kind,
        OperationKind::Trade
            | OperationKind::Cancel
            | OperationKind::Leverage
            | OperationKind::Unknown
    )
}

pub(crate) const fn moves(kind: OperationKind) -> bool {
    matches!(
        kind,
        OperationKind::Transfer | OperationKind::Withdraw | OperationKind::Unknown
    )
}

// The first limit that the request is over, or may be.
fn over_limit(rule: &Rule, operation: &Operation, sums: impl FnOnce() -> Sums) -> Option<Doubt> {
    let amount = operation
        .amount
        .as_ref()
        .filter(|amount| !amount.is_negative());
    let worth = notional(operation);
    let worth = worth.as_ref();
    let one = [
        (
            &rule.max_amount,
            amount,
            Doubt::AmountUnsaid,
            Doubt::MaxAmount,
        ),
        (
            &rule.max_notional,
            worth,
            Doubt::NotionalUnsaid,
            Doubt::MaxNotional,
        ),
    ];
    for (limit, value, unsaid, over) in one {
        match (limit, value) {
            (Some(_), None) => return Some(unsaid),
            (Some(limit), Some(value)) if value > limit => return Some(over),
            _ => {}
        }
    }
    if rule.reach_ms() == 0 {
        return None;
    }
    let sums = sums();
    let window = [
        (
            &rule.window_amount,
            amount,
            &sums.amount,
            Doubt::AmountUnsaid,
            Doubt::WindowAmount,
        ),
        (
            &rule.window_notional,
            worth,
            &sums.notional,
            Doubt::NotionalUnsaid,
            Doubt::WindowNotional,
        ),
    ];
    for (limit, value, sum, unsaid, over) in window {
        match (limit, value) {
            (Some(_), None) => return Some(unsaid),
            (Some(limit), Some(value)) if !leaves_room(limit, sum.as_ref(), value) => {
                return Some(over);
            }
            _ => {}
        }
    }
    let requests = [
        (rule.requests_per_minute, sums.minute, Doubt::PerMinute),
        (rule.requests_per_day, sums.day, Doubt::PerDay),
    ];
    let mut requests = requests.into_iter();
    requests
        .find_map(|(most, so_far, over)| most.is_some_and(|most| so_far >= most).then_some(over))
}

// A sum that is not known leaves none.
fn leaves_room(limit: &Decimal, sum: Option<&Decimal>, value: &Decimal) -> bool {
    sum.is_some_and(|sum| sum.plus(value) <= *limit)
}
