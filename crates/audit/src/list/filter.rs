//! What rows are found by: words, each with its postings, read from the newest block down as far as they are needed.

use rusqlite::Connection;

use super::Query;
use crate::{
    error::ReadError,
    index::{self, Bitmap, Word, bitmap},
    row::{Clear, UNKNOWN_TAG},
    schema::Description,
    seal::TagKey,
};

/// A row has to have one of these words.
pub(super) struct Filter(Vec<Postings>);

impl Filter {
    fn of(words: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(words.into_iter().map(Postings::of).collect())
    }

    /// The newest block from this one down in which some row has.
    pub(super) fn newest(&mut self, db: &Connection, block: u64) -> rusqlite::Result<Option<u64>> {
        let mut newest = None;
        for postings in &mut self.0 {
            newest = newest.max(postings.newest(db, block)?);
        }
        Ok(newest)
    }

    /// Which rows of the block do that was found last.
    pub(super) fn bits(&self, block: u64) -> Bitmap {
        let found = self.0.iter().filter_map(|postings| postings.at(block));
        found.fold(Bitmap::default(), Bitmap::or)
    }

    /// Whether this row does.
    pub(super) fn fits(&self, row: &Clear<'_>) -> bool {
        let has = |postings: &Postings| index::words_of(row).any(|own| own.is(&postings.word));
        self.0.iter().any(has)
    }
}

/// The postings of a word.
struct Postings {
    word: Vec<u8>,
    /// Read ahead, the newest last.
    found: Vec<(u64, Bitmap)>,
    /// How many are read at a time.
    ahead: u32,
}

/// Mostly one block has what a page needs; where it does not, many are needed.
const AHEAD: u32 = 2;
const MOST_AHEAD: u32 = 64;

impl Postings {
    const fn of(word: Vec<u8>) -> Self {
        Self {
            word,
            found: Vec::new(),
            ahead: AHEAD,
        }
    }

    fn newest(&mut self, db: &Connection, block: u64) -> rusqlite::Result<Option<u64>> {
        while self.found.pop_if(|(at, _)| *at > block).is_some() {}
        if self.found.is_empty() && self.ahead > 0 {
            self.read(db, block)?;
        }
        Ok(self.found.last().map(|(at, _)| *at))
    }

    fn read(&mut self, db: &Connection, block: u64) -> rusqlite::Result<()> {
        let mut stored = db.prepare_cached(
            "SELECT block, rows FROM posting WHERE word = ?1 AND block <= ?2 ORDER BY block DESC LIMIT ?3",
        )?;
        let mut stored = stored.query((&self.word, block, self.ahead))?;
        while let Some(row) = stored.next()? {
            self.found.push((row.get(0)?, bitmap(row, 1)?));
        }
        let all = (self.found.len() as u64) < u64::from(self.ahead);
        self.found.reverse();
        self.ahead = if all {
            0
        } else {
            (self.ahead * 4).min(MOST_AHEAD)
        };
        Ok(())
    }

    fn at(&self, block: u64) -> Option<Bitmap> {
        let (at, bits) = self.found.last()?;
        (*at == block).then_some(*bits)
    }
}

/// The filters of a query, the most telling first.
pub(super) fn filters(
    description: &Description,
    query: &Query,
    identity: Option<&age::x25519::Identity>,
) -> Result<Vec<Filter>, ReadError> {
    let mut filters = Vec::new();
    if let Some(identity) =
        identity.filter(|_| !query.items.is_empty() || !query.clients.is_empty())
    {
        let key =
            TagKey::open(&description.tag_key, identity).map_err(|_| ReadError::WrongIdentity)?;
        let any = |word: fn(&'static [u8]) -> Word<'static>, tags: Vec<Vec<u8>>| {
            let letter = word(UNKNOWN_TAG).to_bytes();
            let words = tags.iter().map(|tag| [&letter[..], tag].concat());
            Filter::of(words.chain([letter.clone()]))
        };
        if !query.items.is_empty() {
            let items = query.items.iter();
            let tags = items.map(|item| key.tag("item", item.0.as_bytes()));
            filters.push(any(Word::Item, tags.collect()));
        }
        if !query.clients.is_empty() {
            let clients = query.clients.iter();
            let tags = clients.map(|client| key.tag("client", client.0.as_bytes()));
            filters.push(any(Word::Client, tags.collect()));
        }
    }
    let kinds = query.kinds.iter().map(|kind| Word::Kind(kind.as_str()));
    let decisions = query.decisions.iter();
    let decisions = decisions.map(|decision| Word::Decision(decision.as_str()));
    let words = [
        Filter::of(kinds.map(Word::to_bytes)),
        Filter::of(decisions.map(Word::to_bytes)),
    ];
    filters.extend(words.into_iter().filter(|filter| !filter.0.is_empty()));
    Ok(filters)
}
