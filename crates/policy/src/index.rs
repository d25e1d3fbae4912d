//! Which rules may be about a request, found by its names instead of by going through all rules.

use std::collections::HashMap;

use touchkeep_venue::{Operation, OperationKind, asset_names, market_names};

use crate::{Past, Rule, decide::moves, decide::trades, names::glob};

/// For each name that rules speak of, the rules that do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    kinds: HashMap<OperationKind, Bits>,
    clients: Field,
    venues: Field,
    key_sets: Field,
    symbols: Field,
    assets: Field,
    all: Bits,
}

/// A set of rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bits(Vec<u64>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    // Rules that do not have the field.
    any: Bits,
    exact: HashMap<String, Bits>,
    patterns: Vec<(String, Bits)>,
}

impl Index {
    pub(crate) fn of(rules: &[Rule]) -> Self {
        let field = |list: fn(&Rule) -> &Option<Vec<String>>| Field::of(rules, list);
        let kinds = OperationKind::ALL.into_iter().map(|kind| {
            let of_kind = rules.iter().map(|rule| rule.has_kind(kind));
            (kind, of_kind.collect())
        });
        Self {
            kinds: kinds.collect(),
            clients: field(|rule| &rule.clients),
            venues: field(|rule| &rule.venues),
            key_sets: field(|rule| &rule.key_sets),
            symbols: field(|rule| &rule.symbols),
            assets: field(|rule| &rule.assets),
            all: rules.iter().map(|_| true).collect(),
        }
    }

    /// Rules that may fit a request, or may be meant by one that leaves a name out, in their order.
    pub(crate) fn about(&self, client: &str, key_set: &str, asked: &Operation) -> Bits {
        let unsaid = |says: bool, field: &Field| {
            if says {
                self.all.clone()
            } else {
                field.any.clone()
            }
        };
        let mut found = self.by_asker(asked.kind, client, &asked.venue, key_set);
        found.and(&match &asked.symbol {
            Some(symbol) => self
                .symbols
                .with(symbol, &market_names(&asked.venue, symbol)),
            None => unsaid(trades(asked.kind), &self.symbols),
        });
        found.and(&match &asked.asset {
            Some(asset) => self.assets.with(asset, &asset_names(&asked.venue, asset)),
            None => unsaid(moves(asked.kind), &self.assets),
        });
        found
    }

    /// Rules against whose limits an earlier request counts.
    pub(crate) fn counting(&self, act: &Past) -> Bits {
        let mut found = self.by_asker(act.kind, &act.client, &act.venue, &act.key_set);
        if let Some(symbol) = &act.symbol {
            found.and(&self.symbols.with(symbol, &market_names(&act.venue, symbol)));
        }
        if let Some(asset) = &act.asset {
            found.and(&self.assets.with(asset, &asset_names(&act.venue, asset)));
        }
        found
    }

    fn by_asker(&self, kind: OperationKind, client: &str, venue: &str, key_set: &str) -> Bits {
        let mut found = self.kinds.get(&kind).cloned().unwrap_or_default();
        found.and(&self.clients.with(client, &[]));
        found.and(&self.venues.with(venue, &[]));
        found.and(&self.key_sets.with(key_set, &[]));
        found
    }
}

impl Field {
    fn of(rules: &[Rule], list: fn(&Rule) -> &Option<Vec<String>>) -> Self {
        let mut field = Self {
            any: rules.iter().map(|rule| list(rule).is_none()).collect(),
            exact: HashMap::new(),
            patterns: Vec::new(),
        };
        let none: Bits = rules.iter().map(|_| false).collect();
        let mut patterns: HashMap<&str, Bits> = HashMap::new();
        for (place, rule) in rules.iter().enumerate() {
            for name in list(rule).iter().flatten() {
                let bits = if name.contains('*') {
                    patterns.entry(name).or_insert_with(|| none.clone())
                } else {
                    field
                        .exact
                        .entry(name.clone())
                        .or_insert_with(|| none.clone())
                };
                bits.set(place);
            }
        }
        field.patterns = patterns
            .into_iter()
            .map(|(pattern, bits)| (pattern.to_owned(), bits))
            .collect();
        field.patterns.sort_by(|a, b| a.0.cmp(&b.0));
        field
    }

    // `others`: all its names, where it has several.
    fn with(&self, name: &str, others: &[String]) -> Bits {
        let mut found = self.any.clone();
        for name in std::iter::once(name).chain(others.iter().map(String::as_str)) {
            if let Some(bits) = self.exact.get(name) {
                found.or(bits);
            }
            for (pattern, bits) in &self.patterns {
                if glob(pattern, name) {
                    found.or(bits);
                }
            }
        }
        found
    }
}

impl Bits {
    fn set(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn and(&mut self, other: &Self) {
        let others = other.0.iter().chain(std::iter::repeat(&0));
        for (word, other) in self.0.iter_mut().zip(others) {
            *word &= other;
        }
    }

    fn or(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word |= other;
        }
    }

    /// The places of the rules, the first first.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let place = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(at * 64 + place)
            })
        })
    }
}

impl FromIterator<bool> for Bits {
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
        let mut words = Vec::new();
        for (place, bit) in bits.into_iter().enumerate() {
            if place % 64 == 0 {
                words.push(0);
            }
            if let Some(word) = words.last_mut() {
                *word |= u64::from(bit) << (place % 64);
            }
        }
        Self(words)
    }
}
