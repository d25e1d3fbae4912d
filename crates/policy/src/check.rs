//! What is strange about a policy that can be read: rules that nothing reaches, that nothing fits, that let through what an
//! earlier one limits, and names that no venue has.

use touchkeep_core::text::quoted;
use touchkeep_venue::{OperationKind, Side, venues};

use crate::{
    Action, Policy, Rule,
    decide::moves,
    names::glob,
    rule::{Destination, PLACEHOLDER},
};

/// Something strange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The place of the rule that it is about.
    pub rule: usize,
    /// What it is.
    pub what: Strange,
    /// In one sentence.
    pub text: String,
}

/// What is strange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strange {
    /// Earlier rules always decide first.
    Unreachable,
    /// No request is like that.
    NeverFits,
    /// It lets through what is over the limit of an earlier one.
    Widens,
    /// No venue is called that.
    UnknownVenue,
    /// Not how the venues write it.
    Spelling,
    /// Outside its hours it protects nothing.
    TimedGuard,
}

impl Strange {
    /// The word for it in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::NeverFits => "never-fits",
            Self::Widens => "widens",
            Self::UnknownVenue => "unknown-venue",
            Self::Spelling => "spelling",
            Self::TimedGuard => "timed-guard",
        }
    }
}

impl Policy {
    /// What is strange about it, in the order of the rules.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let rules = self.rules();
        let mut found = Vec::new();
        for (place, rule) in rules.iter().enumerate() {
            let earlier = rules.get(..place).unwrap_or_default();
            let strange = unreachable(rule, earlier)
                .into_iter()
                .chain(never_fits(rule))
                .chain(widens(rule, earlier))
                .chain(unknown_venues(rule))
                .chain(spelling(rule))
                .chain(timed_guard(rule));
            found.extend(strange.map(|(what, text)| Finding {
                rule: place,
                what,
                text,
            }));
        }
        found
    }
}

type Found = (Strange, String);

fn unreachable(rule: &Rule, earlier: &[Rule]) -> Option<Found> {
    let decides = |kind: &OperationKind| {
        earlier
            .iter()
            .find(|one| one.has_kind(*kind) && always_decides(one, rule))
    };
    let first = OperationKind::ALL
        .into_iter()
        .find(|kind| rule.has_kind(*kind))?;
    let by = decides(&first)?;
    let all = OperationKind::ALL
        .into_iter()
        .filter(|kind| rule.has_kind(*kind));
    all.into_iter()
        .all(|kind| decides(&kind).is_some())
        .then(|| {
            (
                Strange::Unreachable,
                format!(
                    "never decides: whatever it is for, {} decides before it",
                    quoted(&by.name)
                ),
            )
        })
}

// Whether one decides wherever the other could, kinds aside. Where a request leaves a name out, both may be meant, and the
// other must add nothing to that.
fn always_decides(one: &Rule, other: &Rule) -> bool {
    let unsaid = (one.symbols.is_none() && one.assets.is_none() && one.destinations.is_none())
        || other.action <= one.action;
    let same_time = !one.is_timed()
        || (one.hours == other.hours
            && one.days == other.days
            && one.utc_offset == other.utc_offset);
    !one.is_limited()
        && same_time
        && unsaid
        && covers(&one.clients, &other.clients)
        && covers(&one.venues, &other.venues)
        && covers(&one.key_sets, &other.key_sets)
        && covers_sides(one, other)
        && covers(&one.symbols, &other.symbols)
        && covers(&one.assets, &other.assets)
        && (one.destinations.is_none() || one.destinations == other.destinations)
}

// A side that is not said may be meant by a rule that names one.
fn covers_sides(one: &Rule, other: &Rule) -> bool {
    one.sides.is_none()
        || (other.action <= one.action
            && other
                .sides
                .as_ref()
                .is_some_and(|sides| sides.iter().all(|side| one.has_side(*side))))
}

// Whether everything that fits the other list fits the one.
fn covers(one: &Option<Vec<String>>, other: &Option<Vec<String>>) -> bool {
    match (one, other) {
        (None, _) => true,
        (Some(_), None) => false,
        // A star in the other one is met by a star alone.
        (Some(one), Some(other)) => other
            .iter()
            .all(|name| one.iter().any(|pattern| glob(pattern, name))),
    }
}

fn never_fits(rule: &Rule) -> Vec<Found> {
    let mut found = Vec::new();
    let mut never = |is: bool, text: &str| {
        if is {
            found.push((Strange::NeverFits, text.to_owned()));
        }
    };
    let kinds = || {
        OperationKind::ALL
            .into_iter()
            .filter(|kind| rule.has_kind(*kind))
    };
    never(
        rule.destinations.is_some() && !kinds().any(moves),
        "never fits: its kinds have no destination",
    );
    let mut destinations = rule.destinations.iter().flatten();
    never(
        destinations.any(Destination::is_placeholder),
        &format!(
            "\"{PLACEHOLDER}\" is no address: put your own in its place; until then no withdrawal fits it"
        ),
    );
    never(
        rule.sides.is_some()
            && !kinds().any(|kind| matches!(kind, OperationKind::Trade | OperationKind::Unknown)),
        "never fits: its kinds have no side",
    );
    let is_listed = |kind: OperationKind| rule.kinds.is_some() && rule.has_kind(kind);
    never(
        rule.assets.is_some() && rule.has_kind(OperationKind::Trade),
        "no order fits it: orders say a market, which is named in symbols, and no asset",
    );
    never(
        rule.symbols.is_some() && is_listed(OperationKind::Withdraw),
        "no withdrawal fits it: withdrawals say an asset, which is named in assets, and no market",
    );
    never(
        rule.limits_money() && is_listed(OperationKind::Cancel),
        "no cancellation fits it: those say no amount, so that they are over its limits; give them a rule of their own",
    );
    let most = [
        (&rule.max_amount, &rule.window_amount, "amount"),
        (&rule.max_notional, &rule.window_notional, "notional"),
    ];
    for (max, window, what) in most {
        never(
            [max, window]
                .into_iter()
                .flatten()
                .any(|most| *most == touchkeep_core::Decimal::zero()),
            &format!("never fits: the most of its {what} is 0"),
        );
        if let (Some(max), Some(window)) = (max, window)
            && max > window
        {
            never(
                true,
                &format!("max_{what} is never reached: window_{what} is less"),
            );
        }
    }
    found
}

fn widens(rule: &Rule, earlier: &[Rule]) -> Option<Found> {
    let lets_through = |rule: &Rule| rule.action < Action::Approve;
    if !lets_through(rule) {
        return None;
    }
    let limited = earlier.iter().find(|one| {
        lets_through(one) && one.limits_money() && meet(one, rule) && is_wider(rule, one)
    })?;
    Some((
        Strange::Widens,
        format!(
            "lets through without asking what is over the limits of {}",
            quoted(&limited.name)
        ),
    ))
}

// Whether what is over a limit of the one is within those of the other; of limits in another unit nothing is said.
fn is_wider(other: &Rule, one: &Rule) -> bool {
    if !other.limits_money() {
        return true;
    }
    let pairs = [
        (&one.max_amount, &other.max_amount),
        (&one.max_notional, &other.max_notional),
    ];
    let windows = [
        (&one.window_amount, &other.window_amount),
        (&one.window_notional, &other.window_notional),
    ];
    let wider = |(one, other): (&Option<_>, &Option<_>)| matches!((one, other), (Some(one), Some(other)) if other > one);
    pairs.into_iter().any(wider)
        || (one.window_hours >= other.window_hours && windows.into_iter().any(wider))
}

// Whether some request may be meant by both.
fn meet(one: &Rule, other: &Rule) -> bool {
    let mut kinds = OperationKind::ALL.into_iter();
    kinds.any(|kind| one.has_kind(kind) && other.has_kind(kind))
        && lists_meet(&one.clients, &other.clients)
        && lists_meet(&one.venues, &other.venues)
        && lists_meet(&one.key_sets, &other.key_sets)
        && (one.sides.is_none()
            || [Side::Buy, Side::Sell]
                .into_iter()
                .any(|side| one.has_side(side) && other.has_side(side)))
        && lists_meet(&one.symbols, &other.symbols)
        && lists_meet(&one.assets, &other.assets)
}

fn lists_meet(one: &Option<Vec<String>>, other: &Option<Vec<String>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one
            .iter()
            .any(|a| other.iter().any(|b| glob(a, b) || glob(b, a))),
        _ => true,
    }
}

fn unknown_venues(rule: &Rule) -> Vec<Found> {
    let known = venues();
    let names = rule.venues.iter().flatten();
    let unknown = names.filter(|name| !known.iter().any(|venue| glob(name, venue.id)));
    unknown
        .map(|name| {
            let near = known.iter().find(|venue| {
                venue.id.eq_ignore_ascii_case(name) || venue.name.eq_ignore_ascii_case(name)
            });
            let near = near.map_or_else(String::new, |venue| {
                format!("; did you mean {}?", quoted(venue.id))
            });
            (
                Strange::UnknownVenue,
                format!("no venue is called {}{near}", quoted(name)),
            )
        })
        .collect()
}

// Venues whose markets or assets have small letters.
const SMALL_LETTERS: [&str; 6] = [
    "bitfinex",
    "bitstamp",
    "gemini",
    "htx",
    "hyperliquid",
    "krakenfutures",
];

fn spelling(rule: &Rule) -> Vec<Found> {
    let meant = |venue: &str| {
        let venues = rule.venues.as_ref();
        venues.is_some_and(|names| names.iter().any(|name| glob(name, venue)))
    };
    let names = rule.symbols.iter().chain(&rule.assets).flatten();
    names
        .filter_map(|name| Some((Strange::Spelling, misspelt(name, &meant)?)))
        .collect()
}

/// How a name of a market or an asset is not written at that venue, in one sentence.
#[must_use]
pub fn misspelt_at(venue: &str, name: &str) -> Option<String> {
    misspelt(name, &|meant| meant == venue)
}

// `meant`: whether a venue may be meant.
fn misspelt(name: &str, meant: &impl Fn(&str) -> bool) -> Option<String> {
    let is_small = SMALL_LETTERS.into_iter().any(meant);
    let problem = if name.chars().any(char::is_whitespace) {
        "has a blank in it"
    } else if !is_small && name.chars().any(|c| c.is_ascii_lowercase()) {
        "has small letters, which these venues do not write"
    } else if name.contains('/') && !meant("kraken") && !meant("revolutx") {
        "is how ccxt writes a market; the venue's own name is meant, such as BTCUSDT or BTC-USDT"
    } else if name.contains(':') && !meant("bitfinex") {
        "is how ccxt writes a contract; the venue's own name is meant"
    } else {
        return None;
    };
    Some(format!("{} {problem}", quoted(name)))
}

fn timed_guard(rule: &Rule) -> Option<Found> {
    (rule.is_timed() && rule.action == Action::Deny).then(|| {
        (
            Strange::TimedGuard,
            "denies at its hours only: at other times the rules below decide as if it were not there"
                .to_owned(),
        )
    })
}
