//! The sums of all rules, kept as time goes on: what comes in is added, what grows too old is taken off. A decision looks
//! them up, however many requests there were.
//!
//! They are those of [`History`](crate::History), to the digit, also when the clock goes back. What was let go cannot be
//! counted again: a clock that goes back behind that finds windows whose sums are not known, and nothing fits those.

mod tally;

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
};

use touchkeep_core::{Decimal, RequestId, UnixMillis};
use touchkeep_venue::{OperationKind, Side};

use self::tally::{ANY_MARKET, Asker, Group, Numbered, Places, TOGETHER, Tally, Uses};
use crate::{
    Asked, Before, Past, Policy,
    history::{MINUTE_MS, Sums},
};

/// How long something is kept after the last limit stopped looking at it: so far may a clock go back unnoticed.
pub const SLACK_MS: u64 = 60 * 60 * 1000;
// What is let go in one turn, so that none takes long.
const LET_GO: usize = 256;
// Classes that may stand around unused before everything is sorted anew.
const IDLE_CLASSES: usize = 4096;

/// What was let through, and the sums of it.
#[derive(Debug)]
pub struct Windows {
    // By time.
    acts: VecDeque<Act>,
    // The newest of what no limit counts: another policy may, and they are not on record yet.
    uncounted: VecDeque<Past>,
    classes: Vec<Class>,
    by_name: Numbered<ClassName, u32>,
    names: Names,
    spans: Vec<Span>,
    tally: Tally,
    reach_ms: u64,
    // What happened from here on is known.
    known_from: UnixMillis,
    now: UnixMillis,
}

/// The windows, for one request.
#[derive(Debug)]
pub struct Seen<'a> {
    windows: &'a Windows,
    client: Option<u32>,
    key_set: Option<u32>,
    market: Option<u32>,
    // None while nothing of its class was let through.
    class: Option<&'a Class>,
    // Where in the class the group was that was looked for last: they are mostly asked for in their order.
    near: Cell<usize>,
    // The amount of the group that was asked for last: rules that count alike ask for it one after the other.
    last: RefCell<Option<(u32, Option<Decimal>)>>,
}

#[derive(Debug)]
struct Act {
    request: RequestId,
    at: UnixMillis,
    class: u32,
    amount: Option<Decimal>,
    notional: Option<Decimal>,
}

// Requests that all rules treat alike, but for their amounts.
#[derive(Debug)]
struct Class {
    kind: OperationKind,
    side: Option<Side>,
    client: String,
    venue: String,
    key_set: String,
    symbol: Option<String>,
    asset: Option<String>,
    uses: Uses,
}

// What is done, client, key set with its venue, market.
type ClassName = (u32, u32, u32, u32);

// One length of window.
#[derive(Debug)]
struct Span {
    ms: u64,
    // The first act that is in it.
    start: usize,
}

// Numbers for names; 0 is nobody's.
#[derive(Debug, Default)]
struct Names {
    clients: HashMap<String, u32>,
    key_sets: HashMap<(String, String), u32>,
    markets: HashMap<(Option<String>, Option<String>), u32>,
}

impl Windows {
    /// The windows of a policy, over everything that happened since `known_from`, in any order.
    #[must_use]
    pub fn new(policy: &Policy, past: Vec<Past>, known_from: UnixMillis, now: UnixMillis) -> Self {
        let mut windows = Self::empty(policy, known_from, now);
        let mut past = past;
        past.sort_by_key(|act| act.at);
        for act in past {
            windows.push(policy, act);
        }
        windows
    }

    /// Windows that nothing happened in.
    #[must_use]
    pub fn empty(policy: &Policy, known_from: UnixMillis, now: UnixMillis) -> Self {
        let mut spans = Vec::new();
        let tally = Tally::of(policy.rules(), &mut spans);
        Self {
            acts: VecDeque::new(),
            uncounted: VecDeque::new(),
            classes: Vec::new(),
            by_name: Numbered::default(),
            names: Names::default(),
            spans,
            tally,
            reach_ms: policy.reach_ms(),
            known_from,
            now,
        }
    }

    /// Takes in what was let through.
    pub fn push(&mut self, policy: &Policy, act: Past) {
        let Some(class) = self.class_of(policy, &act) else {
            self.uncounted.push_back(act);
            return;
        };
        let act = Act {
            request: act.request,
            at: act.at,
            class,
            amount: act.amount,
            notional: act.notional,
        };
        let place = match self.acts.back() {
            Some(last) if last.at > act.at => self.acts.partition_point(|one| one.at <= act.at),
            _ => self.acts.len(),
        };
        for span in 0..self.spans.len() {
            let Some(it) = self.spans.get_mut(span) else {
                continue;
            };
            if self.now.since(act.at) < it.ms {
                count(&mut self.tally, &self.classes, &act, span, true);
            } else {
                it.start += 1;
            }
        }
        self.acts.insert(place, act);
    }

    /// Takes out what was taken in and came to nothing: nothing of it is on record, so that nothing of it was done.
    pub fn take_back(&mut self, request: RequestId) {
        self.uncounted.retain(|act| act.request != request);
        // Mostly it was the last.
        let place = self.acts.iter().rposition(|act| act.request == request);
        let Some((place, act)) = place.and_then(|at| Some((at, self.acts.remove(at)?))) else {
            return;
        };
        for span in 0..self.spans.len() {
            let Some(it) = self.spans.get_mut(span) else {
                continue;
            };
            if place < it.start {
                it.start -= 1;
            } else {
                count(&mut self.tally, &self.classes, &act, span, false);
            }
        }
    }

    /// Moves all windows to where they end at `now`, in either direction.
    pub fn turn(&mut self, policy: &Policy, now: UnixMillis) {
        self.now = now;
        for span in 0..self.spans.len() {
            self.turn_span(span);
        }
        self.let_go();
        let many = self.classes.len() > IDLE_CLASSES + self.acts.len();
        if many {
            let (from, past) = (self.known_from, self.drain());
            *self = Self::new(policy, past, from, now);
        }
    }

    /// What the windows say to one request.
    #[must_use]
    pub fn seen(&self, asked: &Asked) -> Seen<'_> {
        let operation = &asked.operation;
        let [client, key_set, market] = self.names.known(
            [&asked.client, &operation.venue, &asked.key_set],
            (&operation.symbol, &operation.asset),
        );
        let done = done(operation.kind, operation.side);
        let name = (|| Some((done, client?, key_set?, market?)))();
        let class = name.and_then(|name| self.by_name.get(&name));
        Seen {
            windows: self,
            client,
            key_set,
            market,
            class: class.and_then(|class| self.classes.get(*class as usize)),
            near: Cell::new(0),
            last: RefCell::new(None),
        }
    }

    /// Everything that is still kept, and nothing is left.
    pub fn drain(&mut self) -> Vec<Past> {
        let classes = std::mem::take(&mut self.classes);
        let acts = std::mem::take(&mut self.acts);
        let uncounted = std::mem::take(&mut self.uncounted);
        let counted = acts.into_iter().filter_map(|act| {
            let class = classes.get(act.class as usize)?;
            Some(Past {
                request: act.request,
                at: act.at,
                client: class.client.clone(),
                venue: class.venue.clone(),
                key_set: class.key_set.clone(),
                kind: class.kind,
                side: class.side,
                symbol: class.symbol.clone(),
                asset: class.asset.clone(),
                amount: act.amount,
                notional: act.notional,
            })
        });
        counted.chain(uncounted).collect()
    }

    /// How many requests are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.acts.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.acts.is_empty()
    }

    fn turn_span(&mut self, span: usize) {
        let Some((ms, start)) = self.spans.get(span).map(|span| (span.ms, span.start)) else {
            return;
        };
        let now = self.now;
        let is_out = |act: &Act| now.since(act.at) >= ms;
        // Mostly nothing has changed since the last time.
        let stays = self.acts.get(start).is_none_or(|act| !is_out(act))
            && start
                .checked_sub(1)
                .and_then(|before| self.acts.get(before))
                .is_none_or(is_out);
        if stays {
            return;
        }
        let new = self.acts.partition_point(is_out);
        let left = self.acts.len() - new.max(start).min(self.acts.len());
        if new > start && left < new - start {
            // Shorter to begin again than to take off one by one.
            self.tally.clear(span);
            self.add_all(span, new..self.acts.len(), true);
        } else if new > start {
            self.add_all(span, start..new, false);
        } else {
            self.add_all(span, new..start, true);
        }
        if let Some(span) = self.spans.get_mut(span) {
            span.start = new;
        }
    }

    fn add_all(&mut self, span: usize, acts: std::ops::Range<usize>, adds: bool) {
        for act in self.acts.range(acts) {
            count(&mut self.tally, &self.classes, act, span, adds);
        }
    }

    fn let_go(&mut self) {
        let is_recorded = |act: &Past| self.now.since(act.at) >= MINUTE_MS;
        while self.uncounted.front().is_some_and(is_recorded) {
            self.uncounted.pop_front();
        }
        let kept_ms = self.reach_ms.saturating_add(SLACK_MS);
        for _ in 0..LET_GO {
            let is_old = |act: &Act| self.now.since(act.at) >= kept_ms;
            if !self.acts.front().is_some_and(is_old) {
                return;
            }
            if let Some(act) = self.acts.pop_front() {
                self.known_from = self.known_from.max(act.at.plus_ms(1));
            }
            for span in &mut self.spans {
                span.start = span.start.saturating_sub(1);
            }
        }
    }

    // Whether everything is known that a window of this length looks at.
    fn knows(&self, span: usize) -> bool {
        self.spans.get(span).is_some_and(|span| {
            let from = self.now.0.saturating_add(1).saturating_sub(span.ms);
            from >= self.known_from.0
        })
    }

    // None: no limit counts it, and nothing is remembered of it.
    fn class_of(&mut self, policy: &Policy, act: &Past) -> Option<u32> {
        let names = [&act.client, &act.venue, &act.key_set];
        let market = (&act.symbol, &act.asset);
        let done = done(act.kind, act.side);
        if let [Some(client), Some(key_set), Some(market)] = self.names.known(names, market)
            && let Some(class) = self.by_name.get(&(done, client, key_set, market))
        {
            return Some(*class);
        }
        let counting = policy.index()?.counting(act);
        let of_side = |rule: &usize| {
            let rule = policy.rules().get(*rule);
            rule.is_some_and(|rule| rule.may_count(act.side))
        };
        let looks_back = |rule: &usize| self.tally.looks_back(*rule) && of_side(rule);
        let counting: Vec<usize> = counting.places().filter(looks_back).collect();
        if counting.is_empty() {
            return None;
        }
        let [client, key_set, market] = self.names.of(names, market);
        let asker = (client, key_set);
        let uses = self
            .tally
            .uses(counting.into_iter(), asker, market, self.spans.len());
        let class = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
        self.by_name.insert((done, client, key_set, market), class);
        self.classes.push(Class {
            kind: act.kind,
            side: act.side,
            client: act.client.clone(),
            venue: act.venue.clone(),
            key_set: act.key_set.clone(),
            symbol: act.symbol.clone(),
            asset: act.asset.clone(),
            uses,
        });
        Some(class)
    }
}

impl Before for Seen<'_> {
    fn sums(&self, rule: usize) -> Sums {
        Sums {
            amount: self.amount(rule),
            notional: self.notional(rule),
            minute: self.minute(rule),
            day: self.day(rule),
        }
    }

    fn amount(&self, rule: usize) -> Option<Decimal> {
        let (number, _) = self.windows.tally.group(rule)?;
        if let Some((of, amount)) = &*self.last.borrow()
            && *of == number
        {
            return amount.clone();
        }
        let amount = self.money(rule, |places, tally| {
            Some(match (places.own, tally.sum(places.any)?) {
                (None, any) => any,
                (own, any) => tally.sum(own)?.plus(&any),
            })
        });
        *self.last.borrow_mut() = Some((number, amount.clone()));
        amount
    }

    fn notional(&self, rule: usize) -> Option<Decimal> {
        self.money(rule, |places, tally| tally.sum(places.notional))
    }

    fn minute(&self, rule: usize) -> u32 {
        self.requests(rule, |group| group.minute_span, |places| places.minute)
    }

    fn day(&self, rule: usize) -> u32 {
        self.requests(rule, |group| group.day_span, |places| places.day)
    }
}

impl Seen<'_> {
    fn money(
        &self,
        rule: usize,
        of: impl FnOnce(Places, &Tally) -> Option<Decimal>,
    ) -> Option<Decimal> {
        let (number, group) = self.windows.tally.group(rule)?;
        if !self.is_known(group.money_span) {
            return None;
        }
        of(self.places(number, group), &self.windows.tally)
    }

    fn requests(
        &self,
        rule: usize,
        span: fn(&Group) -> Option<usize>,
        of: fn(Places) -> Option<u32>,
    ) -> u32 {
        match self.windows.tally.group(rule) {
            Some((number, group)) if self.is_known(span(group)) => {
                self.windows.tally.count(of(self.places(number, group)))
            }
            _ => u32::MAX,
        }
    }

    fn is_known(&self, span: Option<usize>) -> bool {
        span.is_none_or(|span| self.windows.knows(span))
    }

    fn places(&self, number: u32, group: &Group) -> Places {
        self.places_of_class(number).unwrap_or_else(|| {
            let [c, k, each_c, each_k] = group.per;
            let (together, each) = (self.asker(c, k), self.asker(each_c, each_k));
            self.windows
                .tally
                .places(number, together, each, self.market)
        })
    }

    fn places_of_class(&self, number: u32) -> Option<Places> {
        let groups = &self.class?.uses.groups;
        let near = self.near.get();
        let is_it = |at: &usize| groups.get(*at).is_some_and(|(group, _)| *group == number);
        let at = [near, near + 1].into_iter().find(is_it);
        let at = at.or_else(|| {
            groups
                .binary_search_by_key(&number, |(group, _)| *group)
                .ok()
        })?;
        self.near.set(at);
        groups.get(at).map(|(_, places)| *places)
    }

    // None: somebody of whom nothing was let through.
    fn asker(&self, client: bool, key_set: bool) -> Option<Asker> {
        Some((
            if client { self.client? } else { TOGETHER },
            if key_set { self.key_set? } else { TOGETHER },
        ))
    }
}

// Kind and side in one number.
const fn done(kind: OperationKind, side: Option<Side>) -> u32 {
    let side = match side {
        None => 0,
        Some(Side::Buy) => 1,
        Some(Side::Sell) => 2,
    };
    kind as u32 * 3 + side
}

fn count(tally: &mut Tally, classes: &[Class], act: &Act, span: usize, adds: bool) {
    if let Some(class) = classes.get(act.class as usize) {
        let said = (act.amount.as_ref(), act.notional.as_ref());
        tally.change(&class.uses, span, said, adds);
    }
}

impl Names {
    // As far as they have numbers: client, key set, market.
    fn known(
        &self,
        [client, venue, key_set]: [&String; 3],
        (symbol, asset): (&Option<String>, &Option<String>),
    ) -> [Option<u32>; 3] {
        [
            self.clients.get(client).copied(),
            self.key_sets
                .get(&(venue.clone(), key_set.clone()))
                .copied(),
            match (symbol, asset) {
                (None, None) => Some(ANY_MARKET),
                (symbol, asset) => self.markets.get(&(symbol.clone(), asset.clone())).copied(),
            },
        ]
    }

    fn of(
        &mut self,
        [client, venue, key_set]: [&String; 3],
        (symbol, asset): (&Option<String>, &Option<String>),
    ) -> [u32; 3] {
        [
            number(&mut self.clients, client.clone()),
            number(&mut self.key_sets, (venue.clone(), key_set.clone())),
            match (symbol, asset) {
                (None, None) => ANY_MARKET,
                (symbol, asset) => number(&mut self.markets, (symbol.clone(), asset.clone())),
            },
        ]
    }
}

fn number<K: std::hash::Hash + Eq>(names: &mut HashMap<K, u32>, name: K) -> u32 {
    let next = u32::try_from(names.len()).unwrap_or(u32::MAX - 1) + 1;
    *names.entry(name).or_insert(next)
}
