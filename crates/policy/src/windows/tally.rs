//! The sums themselves. An act changes those that its class counts in, found once for the class; a decision finds them there,
//! too. Rules that count the same requests in the same way share theirs, whatever they then allow.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use touchkeep_core::{Decimal, time::DAY_MS};
use touchkeep_venue::{OperationKind, Side};

use super::Span;
use crate::{Rule, history::MINUTE_MS};

/// Client and key set, where they are counted by themselves.
pub(super) type Asker = (u32, u32);
/// In the place of those that are not.
pub(super) const TOGETHER: u32 = 0;
/// The market of what says neither market nor asset: it may be any.
pub(super) const ANY_MARKET: u32 = 0;

/// All sums.
#[derive(Debug, Default)]
pub(super) struct Tally {
    groups: Vec<Group>,
    // The group of each rule.
    of_rules: Vec<u32>,
    places: Numbered<Name, u32>,
    counts: Vec<Count>,
    money: Vec<Running>,
}

/// Rules that count alike.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) per: [bool; 4],
    // Whether amounts, and whether amounts in the quote asset, are limited; others are not summed.
    pub(super) limits: [bool; 2],
    pub(super) money_span: Option<usize>,
    pub(super) minute_span: Option<usize>,
    pub(super) day_span: Option<usize>,
}

/// Where a group's sums for one asker and market are. What has no place is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) own: Place,
    pub(super) any: Place,
    pub(super) notional: Place,
    pub(super) minute: Place,
    pub(super) day: Place,
}

/// A place among the counts or the sums of money.
pub(super) type Place = Option<u32>;

/// What the requests of one class count in: the places of their groups, and all of them by the span that they are for.
#[derive(Debug, Default)]
pub(super) struct Uses {
    pub(super) groups: Vec<(u32, Places)>,
    spans: Vec<OfSpan>,
}

#[derive(Debug, Default, Clone)]
struct OfSpan {
    counts: Vec<u32>,
    amounts: Vec<u32>,
    notionals: Vec<u32>,
}

// What makes rules count alike.
#[derive(PartialEq, Eq, Hash)]
struct Alike<'a> {
    kinds: &'a Option<Vec<OperationKind>>,
    sides: &'a Option<Vec<Side>>,
    names: [&'a Option<Vec<String>>; 5],
    per: [bool; 4],
    window_ms: u64,
}

// Group, what of it, asker, market.
type Name = (u32, u32, Asker, u32);
const AMOUNT: u32 = 0;
const NOTIONAL: u32 = 1;
const MINUTE: u32 = 2;
const DAY: u32 = 3;

#[derive(Debug)]
struct Count {
    span: usize,
    count: u32,
}

#[derive(Debug)]
struct Running {
    span: usize,
    sum: Decimal,
    // Of those counted, the ones that did not say how much.
    unsaid: u32,
}

impl Tally {
    /// No sums yet, of these rules. Their lengths of window go to `spans`.
    pub(super) fn of(rules: &[Rule], spans: &mut Vec<Span>) -> Self {
        let mut tally = Self::default();
        let mut known = HashMap::new();
        for rule in rules {
            let next = u32::try_from(tally.groups.len()).unwrap_or(u32::MAX);
            let alike = Alike::of(rule);
            let per = alike.per;
            let group = *known.entry(alike).or_insert(next);
            if group == next {
                tally.groups.push(Group {
                    per,
                    ..Group::default()
                });
            }
            tally.of_rules.push(group);
            if let Some(group) = tally.groups.get_mut(group as usize) {
                group.take_in(rule, spans);
            }
        }
        tally
    }

    /// The group of a rule.
    pub(super) fn group(&self, rule: usize) -> Option<(u32, &Group)> {
        let number = *self.of_rules.get(rule)?;
        Some((number, self.groups.get(number as usize)?))
    }

    /// Whether a rule limits what was before.
    pub(super) fn looks_back(&self, rule: usize) -> bool {
        let group = self.group(rule).map(|(_, group)| group);
        group.is_some_and(|group| {
            let spans = [group.money_span, group.minute_span, group.day_span];
            spans.iter().any(Option::is_some)
        })
    }

    /// What requests count in that these rules count.
    pub(super) fn uses(
        &mut self,
        rules: impl Iterator<Item = usize>,
        (client, key_set): Asker,
        market: u32,
        spans: usize,
    ) -> Uses {
        let mut groups: Vec<u32> = rules
            .filter_map(|rule| self.group(rule))
            .map(|g| g.0)
            .collect();
        groups.sort_unstable();
        groups.dedup();
        let mut uses = Uses {
            spans: vec![OfSpan::default(); spans],
            ..Uses::default()
        };
        for number in groups {
            let Some(group) = self.groups.get(number as usize) else {
                continue;
            };
            let [c, k, each_c, each_k] = group.per;
            let asker = |c: bool, k: bool| {
                (
                    if c { client } else { TOGETHER },
                    if k { key_set } else { TOGETHER },
                )
            };
            let (together, each) = (asker(c, k), asker(each_c, each_k));
            let [amount, notional] = group.limits;
            let (money, minute, day) = (group.money_span, group.minute_span, group.day_span);
            let own = market != ANY_MARKET;
            let places = Places {
                own: self.summed(
                    (number, AMOUNT, together, market),
                    money.filter(|_| amount && own),
                ),
                any: self.summed(
                    (number, AMOUNT, together, ANY_MARKET),
                    money.filter(|_| amount),
                ),
                notional: self.summed(
                    (number, NOTIONAL, together, ANY_MARKET),
                    money.filter(|_| notional),
                ),
                minute: self.counted((number, MINUTE, each, ANY_MARKET), minute),
                day: self.counted((number, DAY, each, ANY_MARKET), day),
            };
            uses.take_in(number, places, [money, minute, day]);
        }
        uses
    }

    /// Where the sums of a group are for somebody of whose class nothing was let through yet. None: somebody that is not known.
    pub(super) fn places(
        &self,
        number: u32,
        together: Option<Asker>,
        each: Option<Asker>,
        market: Option<u32>,
    ) -> Places {
        let place = |what: u32, asker: Option<Asker>, market: Option<u32>| {
            self.places.get(&(number, what, asker?, market?)).copied()
        };
        Places {
            own: place(
                AMOUNT,
                together,
                market.filter(|market| *market != ANY_MARKET),
            ),
            any: place(AMOUNT, together, Some(ANY_MARKET)),
            notional: place(NOTIONAL, together, Some(ANY_MARKET)),
            minute: place(MINUTE, each, Some(ANY_MARKET)),
            day: place(DAY, each, Some(ANY_MARKET)),
        }
    }

    /// A count.
    pub(super) fn count(&self, at: Place) -> u32 {
        let count = at.and_then(|at| self.counts.get(at as usize));
        count.map_or(0, |count| count.count)
    }

    /// A sum of money; absent when some request did not say how much.
    pub(super) fn sum(&self, at: Place) -> Option<Decimal> {
        match at.and_then(|at| self.money.get(at as usize)) {
            None => Some(Decimal::zero()),
            Some(running) => (running.unsaid == 0).then(|| running.sum.clone()),
        }
    }

    /// Adds an act in a span, or takes it off.
    pub(super) fn change(
        &mut self,
        uses: &Uses,
        span: usize,
        (amount, notional): (Option<&Decimal>, Option<&Decimal>),
        adds: bool,
    ) {
        let Some(of_span) = uses.spans.get(span) else {
            return;
        };
        for at in &of_span.counts {
            if let Some(count) = self.counts.get_mut(*at as usize) {
                count.change(adds);
            }
        }
        for (places, value) in [(&of_span.amounts, amount), (&of_span.notionals, notional)] {
            for at in places {
                if let Some(running) = self.money.get_mut(*at as usize) {
                    running.change(value, adds);
                }
            }
        }
    }

    /// Nothing is in a span any more.
    pub(super) fn clear(&mut self, span: usize) {
        for count in self.counts.iter_mut().filter(|count| count.span == span) {
            count.count = 0;
        }
        for running in self.money.iter_mut().filter(|running| running.span == span) {
            *running = Running::nothing(span);
        }
    }

    fn summed(&mut self, name: Name, span: Option<usize>) -> Place {
        let (span, next) = (span?, number(self.money.len()));
        let at = *self.places.entry(name).or_insert(next);
        if at == next {
            self.money.push(Running::nothing(span));
        }
        Some(at)
    }

    fn counted(&mut self, name: Name, span: Option<usize>) -> Place {
        let (span, next) = (span?, number(self.counts.len()));
        let at = *self.places.entry(name).or_insert(next);
        if at == next {
            self.counts.push(Count { span, count: 0 });
        }
        Some(at)
    }
}

fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl<'a> Alike<'a> {
    fn of(rule: &'a Rule) -> Self {
        Self {
            kinds: &rule.kinds,
            sides: &rule.sides,
            names: [
                &rule.clients,
                &rule.venues,
                &rule.key_sets,
                &rule.symbols,
                &rule.assets,
            ],
            per: [
                rule.per_client(false),
                rule.per_key_set(false),
                rule.per_client(true),
                rule.per_key_set(true),
            ],
            window_ms: rule.window_ms(),
        }
    }
}

impl Group {
    fn take_in(&mut self, rule: &Rule, spans: &mut Vec<Span>) {
        let mut span = |known: &mut Option<usize>, ms: u64, wanted: bool| {
            if wanted && known.is_none() {
                let at = spans.iter().position(|span| span.ms == ms);
                *known = Some(at.unwrap_or_else(|| {
                    spans.push(Span { ms, start: 0 });
                    spans.len() - 1
                }));
            }
        };
        span(&mut self.money_span, rule.window_ms(), rule.has_window());
        span(
            &mut self.minute_span,
            MINUTE_MS,
            rule.requests_per_minute.is_some(),
        );
        span(&mut self.day_span, DAY_MS, rule.requests_per_day.is_some());
        let [amount, notional] = &mut self.limits;
        *amount |= rule.window_amount.is_some();
        *notional |= rule.window_notional.is_some();
    }
}

impl Uses {
    fn take_in(&mut self, group: u32, places: Places, [money, minute, day]: [Option<usize>; 3]) {
        self.groups.push((group, places));
        let mut counts_in =
            |span: Option<usize>, at: Place, list: fn(&mut OfSpan) -> &mut Vec<u32>| {
                if let Some(span) = span.and_then(|span| self.spans.get_mut(span)) {
                    list(span).extend(at);
                }
            };
        counts_in(money, places.own.or(places.any), |span| &mut span.amounts);
        counts_in(money, places.notional, |span| &mut span.notionals);
        counts_in(minute, places.minute, |span| &mut span.counts);
        counts_in(day, places.day, |span| &mut span.counts);
    }
}

impl Count {
    const fn change(&mut self, adds: bool) {
        self.count = if adds {
            self.count.saturating_add(1)
        } else {
            self.count.saturating_sub(1)
        };
    }
}

impl Running {
    const fn nothing(span: usize) -> Self {
        Self {
            span,
            sum: Decimal::zero(),
            unsaid: 0,
        }
    }

    fn change(&mut self, value: Option<&Decimal>, adds: bool) {
        match (value, adds) {
            (Some(value), true) => self.sum = self.sum.plus(value),
            (Some(value), false) => self.sum = self.sum.minus(value),
            (None, true) => self.unsaid += 1,
            (None, false) => self.unsaid = self.unsaid.saturating_sub(1),
        }
    }
}

/// By numbers that are given out here, one after the other: nobody can choose them so that many meet in one place.
pub(super) type Numbered<K, V> = HashMap<K, V, BuildHasherDefault<OfNumbers>>;

/// The hash of some numbers.
#[derive(Default)]
pub(super) struct OfNumbers(u64);

impl Hasher for OfNumbers {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32((*byte).into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        // The golden ratio of 2^64 (Knuth, vol. 3, 6.4).
        self.0 = (self.0.rotate_left(29) ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
