//! Finding items: by exact name, by reference, and by what somebody remembers of them.

use std::{cmp::Reverse, collections::HashMap};

use touchkeep_core::{EnvironmentId, ItemId, Reference};

use crate::{error::VaultError, item::Item, unlocked::Unlocked};

// Entries that one core looks through at a time.
const CHUNK: usize = 4096;
// Finds that are put in order at once.
const FIRST: usize = 256;

/// What is looked through: kept beside the items until one of them changes.
#[derive(Default)]
pub(crate) struct Index {
    // All that is looked through, in lower case, one item after the other: a hundred thousand small texts would cost more.
    text: String,
    entries: Vec<Entry>,
    by_name: HashMap<String, Vec<ItemId>>,
}

struct Entry {
    id: ItemId,
    // The name's and the rest's place in the text.
    start: u32,
    name_end: u32,
    end: u32,
    // Which letters it has at all.
    letters: u64,
}

impl Index {
    pub(crate) fn of<'a>(items: impl Iterator<Item = &'a Item>) -> Self {
        let mut index = Self::default();
        for item in items {
            let place = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX);
            let start = place(&index.text);
            index.push(&item.name);
            let name_end = place(&index.text);
            let tags = item.tags.iter().map(String::as_str);
            let words = [&item.venue, &item.key_set].map(String::as_str);
            for word in words.into_iter().chain([item.kind.word()]).chain(tags) {
                index.text.push('\n');
                index.push(word);
            }
            let end = place(&index.text);
            let own = index.text.get(range(start, end)).unwrap_or_default();
            index.entries.push(Entry {
                id: item.id,
                start,
                name_end,
                end,
                letters: letters(own),
            });
            let name = item.name.to_lowercase();
            index.by_name.entry(name).or_default().push(item.id);
        }
        index
    }

    fn push(&mut self, text: &str) {
        self.text.extend(text.chars().flat_map(char::to_lowercase));
    }

    // What fits: ordered, the best first; of those that fit as well the shorter name, because it says more.
    fn fitting(&self, query: &str) -> Vec<(Reverse<u32>, u32, ItemId)> {
        let query = query.to_lowercase();
        let words: Vec<(&str, u64)> = query
            .split_whitespace()
            .map(|word| (word, letters(word)))
            .collect();
        let chunks: Vec<&[Entry]> = self.entries.chunks(CHUNK).collect();
        let found = touchkeep_parallel::map(&chunks, |entries| {
            let fit = |entry: &Entry| {
                let score = Reverse(self.score(entry, &words)?);
                Some((score, entry.name_end - entry.start, entry.id))
            };
            entries.iter().filter_map(fit).collect::<Vec<_>>()
        });
        found.into_iter().flatten().collect()
    }

    fn score(&self, entry: &Entry, words: &[(&str, u64)]) -> Option<u32> {
        let has_all = |(_, letters): &(&str, u64)| entry.letters & letters == *letters;
        if !words.iter().all(has_all) {
            return None;
        }
        let name = self.text.get(range(entry.start, entry.name_end))?;
        let rest = self.text.get(range(entry.name_end, entry.end))?;
        words.iter().try_fold(0, |sum: u32, (word, _)| {
            Some(sum.saturating_add(score_of(word, name, rest)?))
        })
    }
}

fn range(start: u32, end: u32) -> std::ops::Range<usize> {
    let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    place(start)..place(end)
}

// A bit for each letter and digit, one for all others.
fn letters(text: &str) -> u64 {
    text.bytes().fold(0, |bits, byte| {
        bits | match byte {
            b'a'..=b'z' => 1 << (byte - b'a'),
            b'0'..=b'9' => 1 << (26 + (byte - b'0')),
            _ => 1 << 40,
        }
    })
}

// Whole names first, then beginnings, then words in a name, then what stands anywhere, then letters in this order.
fn score_of(word: &str, name: &str, rest: &str) -> Option<u32> {
    if let Some(at) = name.find(word) {
        let before = name.get(..at).and_then(|before| before.chars().next_back());
        let is_begin = before.is_none_or(|before| !before.is_alphanumeric());
        return Some(match (name.len() == word.len(), at, is_begin) {
            (true, ..) => 1000,
            (_, 0, _) => 800,
            (_, _, true) => 600,
            _ => 500,
        });
    }
    if rest.contains(word) {
        return Some(300);
    }
    let mut letters = name.char_indices();
    let mut last = None;
    let mut gaps = 0;
    for wanted in word.chars() {
        let (at, _) = letters.find(|(_, letter)| *letter == wanted)?;
        gaps += last.map_or(at, |last| at - last - 1);
        last = Some(at);
    }
    Some(
        200_u32
            .saturating_sub(u32::try_from(gaps).unwrap_or(u32::MAX))
            .max(1),
    )
}

impl Unlocked {
    /// Items that fit what somebody remembers, the best first: each word stands in the name, the venue, the key set, the kind or
    /// a tag, or its letters do in the name, in this order.
    pub fn search(&self, query: &str) -> impl Iterator<Item = &Item> {
        let mut found = self.index().fitting(query);
        // Whoever looks for something reads the first few; the others are put in order only for who goes on.
        let late = if found.len() > FIRST {
            found.select_nth_unstable(FIRST);
            found.split_off(FIRST)
        } else {
            Vec::new()
        };
        found.sort_unstable();
        let late = std::iter::once_with(move || {
            let mut late = late;
            late.sort_unstable();
            late
        });
        let found = found.into_iter().chain(late.flatten());
        found.filter_map(|(_, _, id)| self.item(id))
    }

    /// The environment that a person means by a name or an id. Case says which, where it has to.
    ///
    /// # Errors
    /// None is called so, or more than one.
    pub fn find_environment(&self, name: &str) -> Result<EnvironmentId, VaultError> {
        let environments = self.environments();
        if let Some(id) = name.parse().ok().filter(|id| environments.contains(id)) {
            return Ok(id);
        }
        let folded = name.to_lowercase();
        let named = environments
            .into_iter()
            .map(|id| (id, self.environment_name(id)))
            .filter(|(_, known)| known.to_lowercase() == folded);
        let mut named: Vec<_> = named.collect();
        if named.iter().any(|(_, known)| known == name) {
            named.retain(|(_, known)| known == name);
        }
        match &named[..] {
            [] => Err(VaultError::NoEnvironment),
            [(id, _)] => Ok(*id),
            _ => Err(VaultError::AmbiguousEnvironment(
                named.iter().map(|(id, _)| *id).collect(),
            )),
        }
    }

    /// The item that a reference means. What is in the trash is meant by its id only.
    ///
    /// # Errors
    /// There is none, or its name means more than one.
    pub fn resolve(&self, reference: &Reference) -> Result<&Item, VaultError> {
        let environment = self.find_environment(&reference.environment)?;
        let is_there = |item: &&Item| item.environment == environment;
        if let Some(id) = reference.item.parse().ok()
            && let Some(item) = self.item(id).filter(is_there)
        {
            return Ok(item);
        }
        let ids = self.index().by_name.get(&reference.item.to_lowercase());
        let items = ids.into_iter().flatten().filter_map(|id| self.item(*id));
        let mut items: Vec<&Item> = items
            .filter(is_there)
            .filter(|item| item.trashed.is_none())
            .collect();
        // Case says which, where it has to.
        if items.iter().any(|item| item.name == reference.item) {
            items.retain(|item| item.name == reference.item);
        }
        match items[..] {
            [] => Err(VaultError::NotFound),
            [item] => Ok(item),
            _ => Err(VaultError::Ambiguous(
                items.iter().map(|item| item.id).collect(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_it_fits_the_more_it_scores() {
        let score = |word| score_of(word, "binance grid trade", "\nkraken\nmain");
        let order = [
            "binance grid trade",
            "binance",
            "trade",
            "rid",
            "kraken",
            "bgt",
        ];
        let scores: Vec<_> = order.iter().map(|word| score(word).unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a > b), "{scores:?}");
        assert_eq!(score("tgb"), None);
        assert_eq!(score("zebra"), None);
    }
}
