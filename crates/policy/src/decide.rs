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
use touchkeep_venue::{Operation, OperationKind, asset_names, market_names};

use crate::{
    Action, Before, Need, Policy, Rule, Verdict,
    history::notional,
    names::{fits, has},
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
    /// Another side, or nothing that has one.
    Side,
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
    /// The request does not say its side.
    SideUnsaid,
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
        let Judged {
            action,
            rule,
            doubted,
        } = self.judge(&asked, before);
        let doubted = doubted.map(|(rule, doubt)| (rule.name.clone(), doubt));
        let subject = Subject {
            request: asked.request,
            digest: asked.digest,
            operation: asked.operation,
        };
        let name = rule.map(|rule| rule.name.clone());
        let Some(action) = action else {
            return Verdict::deny(subject, name, doubted);
        };
        let named = name.unwrap_or_else(|| "by hand".to_owned());
        match action {
            Action::Allow => Verdict::allow(subject, named, false),
            Action::Notify => Verdict::allow(subject, named, true),
            Action::Approve => Verdict::ask(subject, named, Need::Click),
            Action::Touch => Verdict::ask(subject, named, Need::Touch),
            Action::Deny => Verdict::deny(subject, Some(named), doubted),
        }
    }

    /// The action, and the rule that it came from; no action when no rule fits.
    #[must_use]
    pub fn action(&self, asked: &Asked, before: &impl Before) -> (Option<Action>, Option<&Rule>) {
        let Judged { action, rule, .. } = self.judge(asked, before);
        (action, rule)
    }

    fn judge(&self, asked: &Asked, before: &impl Before) -> Judged<'_> {
        let Some(index) = self.index() else {
            return Judged {
                action: Some(Action::Touch),
                rule: None,
                doubted: None,
            };
        };
        let mut floor: Option<&Rule> = None;
        let mut doubted = None;
        let about = index.about(&asked.client, &asked.key_set, &asked.operation);
        let said = Said::of(asked);
        for place in about.places() {
            let Some(rule) = self.rules().get(place) else {
                continue;
            };
            let stand = stand_of_named(rule, &said, place, before);
            debug_assert_eq!(stand, stand_of(rule, &said, place, before));
            match stand {
                Stand::Not(_) => {}
                Stand::Floor(doubt) => {
                    floor = Some(stricter(floor, rule));
                    if rule.action < Action::Deny {
                        doubted = doubted.or(Some((rule, doubt)));
                    }
                }
                Stand::Fits => {
                    let rule = stricter(floor, rule);
                    let action = at_least(rule.action, asked.operation.kind);
                    return Judged {
                        action: Some(action),
                        rule: Some(rule),
                        doubted,
                    };
                }
            }
        }
        Judged {
            action: None,
            rule: None,
            doubted,
        }
    }
}

// What is done, by which rule; and the first rule that does not deny and did not fit, for its limit or for what is not said.
struct Judged<'a> {
    action: Option<Action>,
    rule: Option<&'a Rule>,
    doubted: Option<(&'a Rule, Doubt)>,
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

/// A request, and what it says of amounts: found once for all rules.
pub(crate) struct Said<'a> {
    asked: &'a Asked,
    amount: Option<&'a Decimal>,
    worth: Option<Decimal>,
}

impl<'a> Said<'a> {
    pub(crate) fn of(asked: &'a Asked) -> Self {
        let amount = asked.operation.amount.as_ref();
        Self {
            asked,
            amount: amount.filter(|amount| !amount.is_negative()),
            worth: notional(&asked.operation),
        }
    }
}

/// How a rule stands to a request. A sum is asked for only where it is limited and all before it leaves room.
pub(crate) fn stand_of(rule: &Rule, said: &Said<'_>, place: usize, before: &impl Before) -> Stand {
    let Asked {
        client,
        key_set,
        operation,
        ..
    } = said.asked;
    let names = [
        (rule.has_kind(operation.kind), Misfit::Kind),
        (fits(&rule.clients, client), Misfit::Client),
        (fits(&rule.venues, &operation.venue), Misfit::Venue),
        (fits(&rule.key_sets, key_set), Misfit::KeySet),
    ];
    if let Some((_, why)) = names.into_iter().find(|(fits, _)| !fits) {
        return Stand::Not(why);
    }
    let listed = [
        is_listed(
            &rule.symbols,
            &operation.symbol,
            &operation.venue,
            market_names,
        ),
        is_listed(
            &rule.assets,
            &operation.asset,
            &operation.venue,
            asset_names,
        ),
    ];
    stand_by_rest(rule, said, listed, place, before)
}

// A list that is not there has all, as does what the request does not say.
pub(crate) fn is_listed(
    list: &Option<Vec<String>>,
    value: &Option<String>,
    venue: &str,
    names: fn(&str, &str) -> Vec<String>,
) -> bool {
    match (list, value) {
        (Some(list), Some(value)) => has(list, value, &names(venue, value)),
        _ => true,
    }
}

// The same for a rule of which the index says that it has the names that the request says.
fn stand_of_named(rule: &Rule, said: &Said<'_>, place: usize, before: &impl Before) -> Stand {
    stand_by_rest(rule, said, [true; 2], place, before)
}

// `listed`: whether its lists of markets and assets have what the request says, or it says none.
fn stand_by_rest(
    rule: &Rule,
    said: &Said<'_>,
    [symbol_is_listed, asset_is_listed]: [bool; 2],
    place: usize,
    before: &impl Before,
) -> Stand {
    if rule.is_timed() && !rule.holds_at(said.asked.now) {
        return Stand::Not(Misfit::Hours);
    }
    let operation = &said.asked.operation;
    let particulars = [
        on_side(rule, operation),
        one_of(
            &rule.symbols,
            operation.symbol.is_some().then_some(symbol_is_listed),
            trades(operation.kind).then_some(Doubt::SymbolUnsaid),
            Misfit::Symbol,
        ),
        one_of(
            &rule.assets,
            operation.asset.is_some().then_some(asset_is_listed),
            moves(operation.kind).then_some(Doubt::AssetUnsaid),
            Misfit::Asset,
        ),
        goes_to(rule, operation),
    ];
    if particulars != [Stand::Fits; 4] {
        let is_not = |stand: &&Stand| matches!(stand, Stand::Not(_));
        let is_doubted = |stand: &&Stand| matches!(stand, Stand::Floor(_));
        let stand = particulars.iter().find(is_not);
        if let Some(stand) = stand.or_else(|| particulars.iter().find(is_doubted)) {
            return *stand;
        }
    }
    if !rule.is_limited() {
        return Stand::Fits;
    }
    over_limit(rule, said, place, before).map_or(Stand::Fits, Stand::Floor)
}

// `listed`: whether the list has what the request says, where it says something. `unsaid`: what it means that an operation of
// this kind does not; nothing, where its kind has no such thing.
const fn one_of(
    list: &Option<Vec<String>>,
    listed: Option<bool>,
    unsaid: Option<Doubt>,
    other: Misfit,
) -> Stand {
    match (list, listed, unsaid) {
        (None, _, _) | (Some(_), Some(true), _) => Stand::Fits,
        (Some(_), None, Some(doubt)) => Stand::Floor(doubt),
        (Some(_), _, _) => Stand::Not(other),
    }
}

fn on_side(rule: &Rule, operation: &Operation) -> Stand {
    let may_have_one = matches!(
        operation.kind,
        OperationKind::Trade | OperationKind::Unknown
    );
    match (&rule.sides, operation.side) {
        (None, _) => Stand::Fits,
        (Some(_), Some(side)) if rule.has_side(side) => Stand::Fits,
        (Some(_), None) if may_have_one => Stand::Floor(Doubt::SideUnsaid),
        (Some(_), _) => Stand::Not(Misfit::Side),
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
fn over_limit(rule: &Rule, said: &Said<'_>, place: usize, before: &impl Before) -> Option<Doubt> {
    let (amount, worth) = (said.amount, said.worth.as_ref());
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
    match (&rule.window_amount, amount) {
        (Some(_), None) => return Some(Doubt::AmountUnsaid),
        (Some(limit), Some(value)) if !leaves_room(limit, before.amount(place), value) => {
            return Some(Doubt::WindowAmount);
        }
        _ => {}
    }
    match (&rule.window_notional, worth) {
        (Some(_), None) => return Some(Doubt::NotionalUnsaid),
        (Some(limit), Some(value)) if !leaves_room(limit, before.notional(place), value) => {
            return Some(Doubt::WindowNotional);
        }
        _ => {}
    }
    let is_full = |most: Option<u32>, so_far: fn(&_, usize) -> u32| {
        most.is_some_and(|most| so_far(before, place) >= most)
    };
    if is_full(rule.requests_per_minute, Before::minute) {
        return Some(Doubt::PerMinute);
    }
    is_full(rule.requests_per_day, Before::day).then_some(Doubt::PerDay)
}

// A sum that is not known leaves none.
fn leaves_room(limit: &Decimal, sum: Option<Decimal>, value: &Decimal) -> bool {
    sum.is_some_and(|sum| sum.plus_compared(value, limit).is_le())
}
