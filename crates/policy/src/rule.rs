//! The rules: TOML, an ordered table, the first that fits decides.

use std::collections::HashSet;

use serde::Deserialize;
use touchkeep_core::{Decimal, UnixMillis, text::quoted, time::DAY_MS};
use touchkeep_venue::{OperationKind, Side, asset_names, market_names};

use crate::{
    Past,
    decide::is_listed,
    history::MINUTE_MS,
    hours::{Day, Hours, UtcOffset, is_at},
    index::Index,
    names::fits,
};

/// Bytes that a policy may have.
pub const MAX_BYTES: usize = 512 * 1024;
/// Rules that a policy may have.
pub const MAX_RULES: usize = 2048;
/// Bytes that a rule's name may have: it is read before a touch.
pub const MAX_NAME_BYTES: usize = 100;
/// Hours that a window may have: a month.
pub const MAX_WINDOW_HOURS: u32 = 31 * 24;

/// What a rule does. Ordered from mild to strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Lets it through.
    Allow,
    /// Lets it through and tells a person.
    Notify,
    /// Asks a person.
    Approve,
    /// Asks a person, who must touch the device.
    Touch,
    /// Refuses.
    Deny,
}

impl Action {
    /// All of them, the mildest first.
    pub const ALL: [Self; 5] = [
        Self::Allow,
        Self::Notify,
        Self::Approve,
        Self::Touch,
        Self::Deny,
    ];

    /// The word for it in rules and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Notify => "notify",
            Self::Approve => "approve",
            Self::Touch => "touch",
            Self::Deny => "deny",
        }
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose requests a limit counts by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Each client's.
    Client,
    /// Those with each key set of a venue.
    KeySet,
}

impl Per {
    /// The word for it in rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::KeySet => "key-set",
        }
    }
}

/// One rule. A field that is absent fits everything. In names and symbols `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique.
    pub name: String,
    /// Clients that it is for.
    pub clients: Option<Vec<String>>,
    /// Venues.
    pub venues: Option<Vec<String>>,
    /// Key sets.
    pub key_sets: Option<Vec<String>>,
    /// Kinds of operations.
    pub kinds: Option<Vec<OperationKind>>,
    /// Which sides of a trade.
    pub sides: Option<Vec<Side>>,
    /// Markets.
    pub symbols: Option<Vec<String>>,
    /// Assets. No `*`.
    pub assets: Option<Vec<String>>,
    /// Where money may go.
    pub destinations: Option<Vec<Destination>>,
    /// The most of the asset, or of the market's base asset, in one request.
    pub max_amount: Option<Decimal>,
    /// The most in the quote asset in one request: `quoteOrderQty`, or amount times limit of a purchase.
    pub max_notional: Option<Decimal>,
    /// The most of one asset or market in the window.
    pub window_amount: Option<Decimal>,
    /// The most in the quote asset in the window.
    pub window_notional: Option<Decimal>,
    /// How far back the window reaches.
    pub window_hours: Option<u32>,
    /// Requests in 60 seconds; of one client with one key set, unless `per` says otherwise.
    pub requests_per_minute: Option<u32>,
    /// Requests in 24 hours; likewise.
    pub requests_per_day: Option<u32>,
    /// Whose requests the limits of this rule count by themselves. Absent: amounts count all that the rule is for, requests
    /// each client with each key set.
    pub per: Option<Vec<Per>>,
    /// Times of day at which it holds.
    pub hours: Option<Hours>,
    /// Days on which it holds; a range of hours that passes midnight belongs to the day on which it begins.
    pub days: Option<Vec<Day>>,
    /// Where its hours and days are meant: a fixed distance from UTC.
    pub utc_offset: Option<UtcOffset>,
    /// What it does.
    pub action: Action,
}

/// Where money may go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Destination {
    /// This address over any network, without a tag.
    Address(String),
    /// This address with exactly this tag, over this network.
    Exact(Exact),
}

/// What stands in a starting policy where a person is to put addresses of his own.
pub(crate) const PLACEHOLDER: &str = "put-your-address-here";

impl Destination {
    pub(crate) fn is_placeholder(&self) -> bool {
        match self {
            Self::Address(address) => address == PLACEHOLDER,
            Self::Exact(exact) => exact.address == PLACEHOLDER,
        }
    }

    fn is_starred(&self) -> bool {
        match self {
            Self::Address(address) => address.contains('*'),
            Self::Exact(exact) => {
                let optional = exact.tag.iter().chain(&exact.network);
                let mut texts = [&exact.address].into_iter().chain(optional);
                texts.any(|text| text.contains('*'))
            }
        }
    }
}

/// An address with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exact {
    /// The address.
    pub address: String,
    /// Its memo or tag; absent means that there must be none.
    pub tag: Option<String>,
    /// The network; absent means any.
    pub network: Option<String>,
}

/// A set of rules that was read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
    // None: everything is asked.
    index: Option<Box<Index>>,
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPolicy {
    /// Longer than it may be.
    #[error("the policy is too long")]
    TooLong,
    /// Not TOML of the right shape; with the place.
    #[error("the policy cannot be read: {0}")]
    Syntax(String),
    /// A rule without a name, or with another one's.
    #[error("the name {} is empty or there twice", quoted(.0))]
    Name(String),
    /// A dangerous kind, milder than a touch.
    #[error(
        "rule {} would let {kind} through without a touch; only touch and deny are possible for it",
        quoted(.rule)
    )]
    TooMild {
        /// The rule.
        rule: String,
        /// The kind.
        kind: OperationKind,
    },
    /// A field that fits nothing, or means nothing.
    #[error("rule {}: {problem}", quoted(.rule))]
    Field {
        /// The rule.
        rule: String,
        /// What is wrong.
        problem: &'static str,
    },
}

const STARTING: &str = include_str!("../data/starting.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Rule>,
}

impl Policy {
    /// Reads and checks rules. A text without rules denies everything.
    ///
    /// # Errors
    /// What is wrong with it; then [`Policy::by_hand`] is to be used.
    pub fn parse(text: &str) -> Result<Self, BadPolicy> {
        if text.len() > MAX_BYTES {
            return Err(BadPolicy::TooLong);
        }
        let file: File = toml::from_str(text)
            .map_err(|e| BadPolicy::Syntax(e.to_string().trim_end().to_owned()))?;
        if file.rule.len() > MAX_RULES {
            return Err(BadPolicy::TooLong);
        }
        let mut names = HashSet::new();
        for rule in &file.rule {
            if rule.name.trim().is_empty() || !names.insert(rule.name.as_str()) {
                return Err(BadPolicy::Name(rule.name.clone()));
            }
            rule.check()?;
        }
        let index = Some(Box::new(Index::of(&file.rule)));
        Ok(Self {
            rules: file.rule,
            index,
        })
    }

    /// Everything is asked, with a touch. For when the rules cannot be read.
    #[must_use]
    pub const fn by_hand() -> Self {
        Self {
            rules: Vec::new(),
            index: None,
        }
    }

    /// The rules of a new vault.
    #[must_use]
    pub fn starting() -> Self {
        Self::parse(STARTING).unwrap_or(Self::by_hand())
    }

    /// The text of the rules of a new vault, to be shown and edited.
    #[must_use]
    pub const fn starting_text() -> &'static str {
        STARTING
    }

    /// The rules, in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether everything is asked because the rules could not be read.
    #[must_use]
    pub const fn is_by_hand(&self) -> bool {
        self.index.is_none()
    }

    pub(crate) fn index(&self) -> Option<&Index> {
        self.index.as_deref()
    }

    /// How far back the history must reach.
    #[must_use]
    pub fn reach_ms(&self) -> u64 {
        let reaches = self.rules.iter().map(Rule::reach_ms);
        reaches.max().unwrap_or(0)
    }
}

impl Rule {
    /// Milliseconds of its window; 0 without one.
    #[must_use]
    pub fn window_ms(&self) -> u64 {
        u64::from(self.window_hours.unwrap_or(0)) * 3_600_000
    }

    /// How far back its limits look.
    #[must_use]
    pub fn reach_ms(&self) -> u64 {
        let minute = self.requests_per_minute.map_or(0, |_| MINUTE_MS);
        let day = self.requests_per_day.map_or(0, |_| DAY_MS);
        self.window_ms().max(minute).max(day)
    }

    /// Whether it holds at this time of the day and the week.
    #[must_use]
    pub fn holds_at(&self, now: UnixMillis) -> bool {
        is_at(
            self.hours,
            self.days.as_deref(),
            self.utc_offset.unwrap_or_default(),
            now,
        )
    }

    /// Whether it holds at some times only.
    #[must_use]
    pub const fn is_timed(&self) -> bool {
        self.hours.is_some() || self.days.is_some()
    }

    /// Whether it limits anything.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.limits_money() || self.requests_per_minute.is_some() || self.requests_per_day.is_some()
    }

    /// Whether it limits amounts.
    #[must_use]
    pub const fn limits_money(&self) -> bool {
        self.max_amount.is_some() || self.max_notional.is_some() || self.has_window()
    }

    /// Whether it has a window of amounts.
    #[must_use]
    pub const fn has_window(&self) -> bool {
        self.window_amount.is_some() || self.window_notional.is_some()
    }

    const fn is_windowed(&self) -> bool {
        self.has_window() || self.requests_per_minute.is_some() || self.requests_per_day.is_some()
    }

    // Whether amounts, and whether requests, are counted for each client and each key set by itself.
    pub(crate) fn per_client(&self, unless_said: bool) -> bool {
        self.per
            .as_ref()
            .map_or(unless_said, |per| per.contains(&Per::Client))
    }

    pub(crate) fn per_key_set(&self, unless_said: bool) -> bool {
        self.per
            .as_ref()
            .map_or(unless_said, |per| per.contains(&Per::KeySet))
    }

    /// Whether it is for one of these sides, where it names any.
    pub(crate) fn has_side(&self, side: Side) -> bool {
        self.sides
            .as_ref()
            .is_none_or(|sides| sides.contains(&side))
    }

    // Whether an earlier request of that side counts: one that did not say its side may have been of either.
    pub(crate) fn may_count(&self, side: Option<Side>) -> bool {
        side.is_none_or(|side| self.has_side(side))
    }

    // Whether an earlier request counts against this rule's limits. Where it did not say its market or asset, it counts.
    pub(crate) fn counts(&self, act: &Past) -> bool {
        fits(&self.clients, &act.client)
            && fits(&self.venues, &act.venue)
            && fits(&self.key_sets, &act.key_set)
            && self.has_kind(act.kind)
            && self.may_count(act.side)
            && is_listed(&self.symbols, &act.symbol, &act.venue, market_names)
            && is_listed(&self.assets, &act.asset, &act.venue, asset_names)
    }

    pub(crate) fn has_kind(&self, kind: OperationKind) -> bool {
        self.kinds
            .as_ref()
            .is_none_or(|kinds| kinds.contains(&kind))
    }

    fn check(&self) -> Result<(), BadPolicy> {
        if self.action < Action::Touch {
            let mut dangerous = OperationKind::ALL.into_iter().filter(|k| k.is_dangerous());
            if let Some(kind) = dangerous.find(|kind| self.has_kind(*kind)) {
                return Err(BadPolicy::TooMild {
                    rule: self.name.clone(),
                    kind,
                });
            }
        }
        match self.problem() {
            None => Ok(()),
            Some(problem) => Err(BadPolicy::Field {
                rule: self.name.clone(),
                problem,
            }),
        }
    }

    fn problem(&self) -> Option<&'static str> {
        let lists = [
            &self.clients,
            &self.venues,
            &self.key_sets,
            &self.symbols,
            &self.assets,
        ];
        let hollow = |list: &Vec<String>| list.is_empty() || list.iter().any(String::is_empty);
        let starred = |list: &Option<Vec<String>>| {
            let mut names = list.iter().flatten();
            names.any(|name| name.contains('*'))
        };
        let amounts = [
            &self.max_amount,
            &self.max_notional,
            &self.window_amount,
            &self.window_notional,
        ];
        let by_amount = self.max_amount.is_some() || self.window_amount.is_some();
        let by_notional = self.max_notional.is_some() || self.window_notional.is_some();
        let problems = [
            (
                self.name.len() > MAX_NAME_BYTES,
                "its name has more than 100 bytes",
            ),
            (
                lists.into_iter().flatten().any(hollow)
                    || self.kinds.as_ref().is_some_and(Vec::is_empty)
                    || self.sides.as_ref().is_some_and(Vec::is_empty)
                    || self.destinations.as_ref().is_some_and(Vec::is_empty),
                "an empty list or name fits nothing; leave the field out to fit everything",
            ),
            (
                amounts.into_iter().flatten().any(Decimal::is_negative),
                "an amount is below zero",
            ),
            (
                self.action == Action::Deny && self.is_limited(),
                "a limit on a deny rule has no meaning",
            ),
            (
                starred(&self.assets) || (by_amount && starred(&self.symbols)),
                "assets, and symbols with an amount, must be named without *, else the amount has no unit",
            ),
            (
                self.destinations
                    .iter()
                    .flatten()
                    .any(Destination::is_starred),
                "destinations must be named whole, without *: a `*` there is no address, so the rule would never fit. Leave destinations out for a rule about every address",
            ),
            (
                by_amount && self.symbols.is_none() && self.assets.is_none(),
                "an amount needs symbols or assets, else it has no unit",
            ),
            (
                by_notional
                    && self
                        .symbols
                        .as_ref()
                        .is_none_or(|s| s.iter().any(|s| s.ends_with('*'))),
                "a notional needs symbols that end in a quote asset, else it has no unit",
            ),
            (
                self.has_window() != self.window_hours.is_some(),
                "window_hours and window_amount or window_notional go together",
            ),
            (
                self.window_hours
                    .is_some_and(|h| h == 0 || h > MAX_WINDOW_HOURS),
                "window_hours is 1 to 744",
            ),
            (
                self.requests_per_minute == Some(0),
                "requests_per_minute of 0 denies; say deny",
            ),
            (
                self.requests_per_day == Some(0),
                "requests_per_day of 0 denies; say deny",
            ),
            (
                self.per.is_some() && !(self.is_windowed()),
                "per says how window amounts and requests are counted, and the rule limits neither",
            ),
            (
                self.days.as_ref().is_some_and(Vec::is_empty),
                "an empty list of days never holds; leave days out for every day",
            ),
            (
                self.utc_offset.is_some() && !self.is_timed(),
                "utc_offset says where hours and days are meant, and the rule has neither",
            ),
        ];
        problems
            .into_iter()
            .find_map(|(is, text)| is.then_some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starting_rules_can_be_read() {
        assert!(!Policy::starting().is_by_hand());
        Policy::parse(STARTING).unwrap();
    }

    #[test]
    fn a_dangerous_kind_is_never_milder_than_touch() {
        for action in ["allow", "notify", "approve"] {
            for kinds in [
                "kinds = [\"withdraw\"]\n",
                "kinds = [\"read\", \"transfer\"]\n",
                "kinds = [\"key-admin\"]\n",
                "kinds = [\"unknown\"]\n",
                "",
            ] {
                let text = format!("[[rule]]\nname = \"x\"\n{kinds}action = \"{action}\"");
                let refused = Policy::parse(&text);
                assert!(matches!(refused, Err(BadPolicy::TooMild { .. })), "{text}");
            }
        }
        Policy::parse("[[rule]]\nname = \"x\"\naction = \"touch\"").unwrap();
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for fields in [
            "max_amount = 0.1",
            "max_amount = \"1e3\"",
            "max_amount = \"1\"",
            "max_amount = \"1\"\nsymbols = [\"BTC*\"]",
            "max_amount = \"-1\"\nsymbols = [\"BTCUSDT\"]",
            "max_notional = \"1\"",
            "window_hours = 24",
            "window_amount = \"1\"\nsymbols = [\"A\"]",
            "window_amount = \"1\"\nsymbols = [\"A\"]\nwindow_hours = 0",
            "window_amount = \"1\"\nsymbols = [\"A\"]\nwindow_hours = 745",
            "requests_per_minute = 0",
            "symbols = []",
            "sides = []",
            "sides = [\"both\"]",
            "clients = [\"\"]",
            "assets = [\"*\"]",
            "colour = \"red\"",
            "kinds = [\"trades\"]",
            "destinations = []",
            "destinations = [\"*\"]",
            "destinations = [\"bc1qhome\", \"bc1q*\"]",
            "destinations = [{ address = \"a*\" }]",
            "destinations = [{ address = \"a\", tag = \"*\" }]",
            "destinations = [{ address = \"a\", network = \"*\" }]",
            "destinations = [{ address = \"a\", memo = \"b\" }]",
        ] {
            let kinds = if fields.contains("kinds") {
                ""
            } else {
                "kinds = [\"trade\"]\n"
            };
            let text = format!("[[rule]]\nname = \"x\"\naction = \"allow\"\n{kinds}{fields}");
            assert!(Policy::parse(&text).is_err(), "{fields}");
        }
        let deny = "[[rule]]\nname = \"x\"\naction = \"deny\"\nrequests_per_minute = 1";
        assert!(Policy::parse(deny).is_err());
        let long = format!(
            "[[rule]]\nname = \"{}\"\naction = \"deny\"",
            "x".repeat(101)
        );
        assert!(matches!(Policy::parse(&long), Err(BadPolicy::Field { .. })));
        let twice = "[[rule]]\nname = \"x\"\naction = \"deny\"\n".repeat(2);
        assert_eq!(Policy::parse(&twice), Err(BadPolicy::Name("x".into())));
        assert_eq!(
            Policy::parse(&" ".repeat(MAX_BYTES + 1)),
            Err(BadPolicy::TooLong)
        );
    }
}
