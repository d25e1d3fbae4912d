//! The sums of all rules, kept as time goes on: what comes in is added, what grows too old is taken off. A decision looks
//! them up, however many requests there were.
//!
//! They are those of [`History`](crate::History), to the digit, also when the clock goes back. What was let go cannot be
//! counted again: a clock that goes back behind that finds windows whose sums are not known, and nothing fits those.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
};

use touchkeep_core::{Decimal, RequestId, UnixMillis, time::DAY_MS};

use crate::{
    Asked, Before, Past, Policy, Rule,
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
    by_name: HashMap<ClassName, u32>,
    names: Names,
    spans: Vec<Span>,
    rules: Vec<RuleSums>,
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
    name: ClassName,
    market: u32,
    uses: Vec<Use>,
}

type ClassName = (
    touchkeep_venue::OperationKind,
    String,
    String,
    String,
    Option<String>,
    Option<String>,
);

// That requests of a class count in a span for a rule.
#[derive(Debug, Clone, Copy)]
struct Use {
    span: usize,
    rule: usize,
    what: What,
    // Which of the rule's sums.
    asker: Asker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Money,
    Minute,
    Day,
}

// Client and key set, where they are counted by themselves.
type Asker = (u32, u32);
const TOGETHER: u32 = 0;

// One length of window.
#[derive(Debug)]
struct Span {
    ms: u64,
    // The first act that is in it.
    start: usize,
}

#[derive(Debug, Default)]
struct RuleSums {
    per: [bool; 4],
    // Whether amounts, and whether amounts in the quote asset, are limited; others are not summed.
    limits: [bool; 2],
    amounts: Kept<(Asker, u32), Running>,
    notionals: Kept<Asker, Running>,
    minute: Kept<Asker, u32>,
    day: Kept<Asker, u32>,
    money_span: Option<usize>,
    minute_span: Option<usize>,
    day_span: Option<usize>,
}

// By numbers that are given out here, one after the other: nobody can choose them so that many meet in one place.
type Kept<K, V> = HashMap<K, V, BuildHasherDefault<OfNumbers>>;

#[derive(Default)]
struct OfNumbers(u64);

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

#[derive(Debug)]
struct Running {
    sum: Decimal,
    entries: u32,
    // Of those, the ones that did not say how much.
    unsaid: u32,
}

// Numbers for names; 0 is nobody's.
#[derive(Debug, Default)]
struct Names {
    clients: HashMap<String, u32>,
    key_sets: HashMap<(String, String), u32>,
    markets: HashMap<(Option<String>, Option<String>), u32>,
}

/// The market of what says neither market nor asset: it may be any.
const ANY_MARKET: u32 = 0;

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
        let rules = policy.rules().iter();
        let rules = rules.map(|rule| RuleSums::of(rule, &mut spans)).collect();
        Self {
            acts: VecDeque::new(),
            uncounted: VecDeque::new(),
            classes: Vec::new(),
            by_name: HashMap::new(),
            names: Names::default(),
            spans,
            rules,
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
                count(&mut self.rules, &self.classes, &act, span, true);
            } else {
                it.start += 1;
            }
        }
        self.acts.insert(place, act);
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
        let key_set = (operation.venue.clone(), asked.key_set.clone());
        let market = (operation.symbol.clone(), operation.asset.clone());
        Seen {
            windows: self,
            client: self.names.clients.get(&asked.client).copied(),
            key_set: self.names.key_sets.get(&key_set).copied(),
            market: match &market {
                (None, None) => Some(ANY_MARKET),
                _ => self.names.markets.get(&market).copied(),
            },
        }
    }

    /// Everything that is still kept, and nothing is left.
    pub fn drain(&mut self) -> Vec<Past> {
        let classes = std::mem::take(&mut self.classes);
        let acts = std::mem::take(&mut self.acts);
        let uncounted = std::mem::take(&mut self.uncounted);
        let counted = acts.into_iter().filter_map(|act| {
            let (kind, client, venue, key_set, symbol, asset) =
                classes.get(act.class as usize)?.name.clone();
            Some(Past {
                request: act.request,
                at: act.at,
                client,
                venue,
                key_set,
                kind,
                symbol,
                asset,
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
            self.rules.iter_mut().for_each(|sums| sums.clear(span));
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
            count(&mut self.rules, &self.classes, act, span, adds);
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
        let name: ClassName = (
            act.kind,
            act.client.clone(),
            act.venue.clone(),
            act.key_set.clone(),
            act.symbol.clone(),
            act.asset.clone(),
        );
        if let Some(class) = self.by_name.get(&name) {
            return Some(*class);
        }
        let counting = policy.index()?.counting(act);
        let has_window = |rule: &usize| self.rules.get(*rule).is_some_and(RuleSums::has_window);
        let counting: Vec<usize> = counting.places().filter(has_window).collect();
        if counting.is_empty() {
            return None;
        }
        let (client, key_set, market) = self.names.of(act);
        let mut uses = Vec::new();
        for rule in counting {
            if let Some(sums) = self.rules.get(rule) {
                uses.extend(sums.uses(rule, client, key_set));
            }
        }
        let class = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
        self.by_name.insert(name.clone(), class);
        self.classes.push(Class { name, market, uses });
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
        let sums = self.windows.rules.get(rule)?;
        let [limited, _] = sums.limits;
        self.money(sums, limited, |asker| {
            let market = self.market.filter(|market| *market != ANY_MARKET);
            let own = market.and_then(|market| sums.amounts.get(&(asker, market)));
            together_said(own, sums.amounts.get(&(asker, ANY_MARKET)))
        })
    }

    fn notional(&self, rule: usize) -> Option<Decimal> {
        let sums = self.windows.rules.get(rule)?;
        let [_, limited] = sums.limits;
        self.money(sums, limited, |asker| {
            together_said(sums.notionals.get(&asker), None)
        })
    }

    fn minute(&self, rule: usize) -> u32 {
        let sums = self.windows.rules.get(rule);
        sums.map_or(u32::MAX, |sums| {
            self.requests(sums, &sums.minute, sums.minute_span)
        })
    }

    fn day(&self, rule: usize) -> u32 {
        let sums = self.windows.rules.get(rule);
        sums.map_or(u32::MAX, |sums| {
            self.requests(sums, &sums.day, sums.day_span)
        })
    }
}

impl Seen<'_> {
    fn money(
        &self,
        sums: &RuleSums,
        limited: bool,
        of: impl FnOnce(Asker) -> Option<Decimal>,
    ) -> Option<Decimal> {
        if !self.is_known(sums.money_span) {
            return None;
        }
        let [client, key_set, _, _] = sums.per;
        let asker = self.asker(client, key_set).filter(|_| limited);
        asker.map_or_else(|| Some(Decimal::zero()), of)
    }

    fn requests(&self, sums: &RuleSums, counts: &Kept<Asker, u32>, span: Option<usize>) -> u32 {
        if !self.is_known(span) {
            return u32::MAX;
        }
        let [_, _, client, key_set] = sums.per;
        let asker = self.asker(client, key_set);
        asker.map_or(0, |asker| counts.get(&asker).copied().unwrap_or(0))
    }

    fn is_known(&self, span: Option<usize>) -> bool {
        span.is_none_or(|span| self.windows.knows(span))
    }

    // None: somebody of whom nothing was let through.
    fn asker(&self, client: bool, key_set: bool) -> Option<Asker> {
        Some((
            if client { self.client? } else { TOGETHER },
            if key_set { self.key_set? } else { TOGETHER },
        ))
    }
}

impl RuleSums {
    fn of(rule: &Rule, spans: &mut Vec<Span>) -> Self {
        let mut span = |ms: u64, wanted: bool| {
            wanted.then(|| {
                let known = spans.iter().position(|span| span.ms == ms);
                known.unwrap_or_else(|| {
                    spans.push(Span { ms, start: 0 });
                    spans.len() - 1
                })
            })
        };
        Self {
            per: [
                rule.per_client(false),
                rule.per_key_set(false),
                rule.per_client(true),
                rule.per_key_set(true),
            ],
            limits: [rule.window_amount.is_some(), rule.window_notional.is_some()],
            money_span: span(rule.window_ms(), rule.has_window()),
            minute_span: span(MINUTE_MS, rule.requests_per_minute.is_some()),
            day_span: span(DAY_MS, rule.requests_per_day.is_some()),
            ..Self::default()
        }
    }

    const fn has_window(&self) -> bool {
        self.money_span.is_some() || self.minute_span.is_some() || self.day_span.is_some()
    }

    fn uses(&self, rule: usize, client: u32, key_set: u32) -> impl Iterator<Item = Use> {
        let [c, k, each_c, each_k] = self.per;
        let asker = |by_client: bool, by_key_set: bool| {
            (
                if by_client { client } else { TOGETHER },
                if by_key_set { key_set } else { TOGETHER },
            )
        };
        let (together, each) = (asker(c, k), asker(each_c, each_k));
        let uses = [
            (self.money_span, What::Money, together),
            (self.minute_span, What::Minute, each),
            (self.day_span, What::Day, each),
        ];
        uses.into_iter().filter_map(move |(span, what, asker)| {
            Some(Use {
                span: span?,
                rule,
                what,
                asker,
            })
        })
    }

    fn clear(&mut self, span: usize) {
        if self.money_span == Some(span) {
            self.amounts.clear();
            self.notionals.clear();
        }
        if self.minute_span == Some(span) {
            self.minute.clear();
        }
        if self.day_span == Some(span) {
            self.day.clear();
        }
    }

    fn count(&mut self, used: &Use, market: u32, act: &Act, adds: bool) {
        match used.what {
            What::Money => {
                let [amount, notional] = self.limits;
                if amount {
                    change(&mut self.amounts, (used.asker, market), &act.amount, adds);
                }
                if notional {
                    change(&mut self.notionals, used.asker, &act.notional, adds);
                }
            }
            What::Minute => change_count(&mut self.minute, used.asker, adds),
            What::Day => change_count(&mut self.day, used.asker, adds),
        }
    }
}

fn count(rules: &mut [RuleSums], classes: &[Class], act: &Act, span: usize, adds: bool) {
    let Some(class) = classes.get(act.class as usize) else {
        return;
    };
    for used in class.uses.iter().filter(|used| used.span == span) {
        if let Some(sums) = rules.get_mut(used.rule) {
            sums.count(used, class.market, act, adds);
        }
    }
}

fn change<K: std::hash::Hash + Eq>(
    sums: &mut Kept<K, Running>,
    key: K,
    value: &Option<Decimal>,
    adds: bool,
) {
    let sum = sums.entry(key);
    if adds {
        sum.or_default().add(value.as_ref());
    } else if let std::collections::hash_map::Entry::Occupied(mut sum) = sum {
        sum.get_mut().take_off(value.as_ref());
        if sum.get().entries == 0 {
            sum.remove();
        }
    }
}

fn change_count(counts: &mut Kept<Asker, u32>, asker: Asker, adds: bool) {
    if adds {
        let count = counts.entry(asker).or_insert(0);
        *count = count.saturating_add(1);
    } else if let Some(count) = counts.get_mut(&asker) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&asker);
        }
    }
}

impl Default for Running {
    fn default() -> Self {
        Self {
            sum: Decimal::zero(),
            entries: 0,
            unsaid: 0,
        }
    }
}

impl Running {
    fn add(&mut self, value: Option<&Decimal>) {
        self.entries += 1;
        match value {
            Some(value) => self.sum = self.sum.plus(value),
            None => self.unsaid += 1,
        }
    }

    fn take_off(&mut self, value: Option<&Decimal>) {
        self.entries = self.entries.saturating_sub(1);
        match value {
            Some(value) => self.sum = self.sum.minus(value),
            None => self.unsaid = self.unsaid.saturating_sub(1),
        }
    }

    fn said(&self) -> Option<&Decimal> {
        (self.unsaid == 0).then_some(&self.sum)
    }
}

fn together_said(one: Option<&Running>, other: Option<&Running>) -> Option<Decimal> {
    match (one, other) {
        (None, None) => Some(Decimal::zero()),
        (Some(only), None) | (None, Some(only)) => only.said().cloned(),
        (Some(one), Some(other)) => Some(one.said()?.plus(other.said()?)),
    }
}

impl Names {
    fn of(&mut self, act: &Past) -> (u32, u32, u32) {
        let market = (act.symbol.clone(), act.asset.clone());
        let market = match market {
            (None, None) => ANY_MARKET,
            market => number(&mut self.markets, market),
        };
        (
            number(&mut self.clients, act.client.clone()),
            number(&mut self.key_sets, (act.venue.clone(), act.key_set.clone())),
            market,
        )
    }
}

fn number<K: std::hash::Hash + Eq>(names: &mut HashMap<K, u32>, name: K) -> u32 {
    let next = u32::try_from(names.len()).unwrap_or(u32::MAX - 1) + 1;
    *names.entry(name).or_insert(next)
}
