//! Reading pages of rows: found by their numbers and by the postings of their blocks, never by counting rows off.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};
use touchkeep_core::{ClientId, ItemId, UnixMillis};

use crate::{
    bundle::{Proof, row_line, session_line},
    error::ReadError,
    event::{Decision, Event, Kind},
    index::{self, Bitmap, Word, in_full_blocks, seq_at},
    row::{BODY, COLUMNS, Clear, HASHES, Seq, UNKNOWN_TAG},
    schema::{self, Description},
    seal::{RowKey, SessionKey, TagKey},
    tree::{Hash, prove_inclusion},
};

/// Rows that one page has at most.
pub const MAX_PAGE: usize = 1000;
/// Rows that are looked into for one page at most, where only their bodies tell.
const MAX_LOOKED_INTO: usize = 50_000;

/// Which rows. The default is the newest hundred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only rows before this one: the last of the page before.
    pub before: Option<Seq>,
    /// At most so many; never more than [`MAX_PAGE`].
    pub limit: usize,
    /// Only these kinds. None: all.
    pub kinds: Vec<Kind>,
    /// Only these decisions. None: all.
    pub decisions: Vec<Decision>,
    /// Only rows of this item. Needs the audit identity.
    pub item: Option<ItemId>,
    /// Only rows of this client. Needs the audit identity.
    pub client: Option<ClientId>,
    /// Only rows from this time on, by the clock of then.
    pub since: Option<UnixMillis>,
    /// Only rows up to this time.
    pub until: Option<UnixMillis>,
    /// Only rows in whose body this stands, whether in capitals or not. Needs the audit identity.
    pub text: Option<String>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            before: None,
            limit: 100,
            kinds: Vec::new(),
            decisions: Vec::new(),
            item: None,
            client: None,
            since: None,
            until: None,
            text: None,
        }
    }
}

/// One row as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// Its number.
    pub seq: Seq,
    /// When, by the clock of then.
    pub time: UnixMillis,
    /// What it is about.
    pub kind: Kind,
    /// What was decided.
    pub decision: Decision,
    /// The session that it was recorded in.
    pub session: u64,
    /// For an outcome: the row of its intent.
    pub closes: Option<Seq>,
    /// Its leaf of the tree, as stored: what a proof of it is about. [`crate::verify()`] recomputes it.
    pub leaf: Hash,
    /// The particulars, for who has the audit identity.
    pub event: Option<Event>,
}

/// Rows, and whether there may be more of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Newest first.
    pub rows: Vec<Row>,
    /// Where the next page begins; none after the last.
    pub next: Option<Seq>,
}

pub(crate) fn list(
    db: &Connection,
    description: &Description,
    query: &Query,
    identity: Option<&age::x25519::Identity>,
) -> Result<Page, ReadError> {
    // One snapshot for all statements of a page.
    let work = db.unchecked_transaction()?;
    let mut search = Search::new(&work, description, query, identity)?;
    let limit = query.limit.min(MAX_PAGE);
    let mut page = Page::default();
    for looked_into in 0.. {
        let Some((clear, stored, body)) = search.next()? else {
            return Ok(page);
        };
        let seq = clear.seq;
        if page.rows.len() == limit || looked_into == MAX_LOOKED_INTO {
            page.next = Some(seq + 1);
            return Ok(page);
        }
        let row = search.reader.row(clear, &stored, body)?;
        if is_of(&row, query) {
            page.rows.push(row);
        }
    }
    Ok(page)
}

// A row without a tag, recorded while the vault was locked, is told by its body alone.
fn is_of(row: &Row, query: &Query) -> bool {
    let event = row.event.as_ref();
    let item = query.item.is_none() || event.is_some_and(|event| event.item == query.item);
    let client = query.client.is_none() || event.is_some_and(|event| event.client == query.client);
    let mentions = |text: &String| event.is_some_and(|event| event.mentions(&text.to_lowercase()));
    item && client && query.text.as_ref().is_none_or(mentions)
}

/// Words of which a row has to have one.
type Words = Vec<Vec<u8>>;
type Found = (Clear<'static>, Vec<u8>, Vec<u8>);

/// Goes from the newest row that may be of the query to the oldest.
struct Search<'a> {
    reader: Reader<'a>,
    query: &'a Query,
    filters: Vec<Words>,
    // Everything below this row is still to be looked at.
    before: Seq,
    run: u64,
    found: std::vec::IntoIter<Seq>,
    rows: std::vec::IntoIter<Found>,
}

/// Rows that are read at a time at most, where all in a row are wanted.
const RUN: u64 = 256;

impl<'a> Search<'a> {
    fn new(
        db: &'a Connection,
        description: &'a Description,
        query: &'a Query,
        identity: Option<&'a age::x25519::Identity>,
    ) -> Result<Self, ReadError> {
        let hidden = query.item.is_some() || query.client.is_some() || query.text.is_some();
        if identity.is_none() && hidden {
            return Err(ReadError::Locked);
        }
        let end = schema::size(db)?.saturating_add(1);
        Ok(Self {
            filters: filters(description, query, identity)?,
            reader: Reader {
                db,
                description,
                identity,
                sessions: HashMap::new(),
            },
            query,
            before: query.before.map_or(end, |before| before.min(end)),
            // One more than the page has, which tells whether there is another.
            run: (query.limit as u64 + 1).min(RUN),
            found: Vec::new().into_iter(),
            rows: Vec::new().into_iter(),
        })
    }

    fn next(&mut self) -> Result<Option<Found>, ReadError> {
        loop {
            if let Some(row) = self.rows.next() {
                if self.fits(&row.0) {
                    return Ok(Some(row));
                }
            } else if let Some(seq) = self.found.next() {
                // Rows have no gaps: one that is not found by its number is hidden, and that is said.
                let row = self.reader.at(seq)?.ok_or(ReadError::Damaged(seq))?;
                self.rows = vec![row].into_iter();
            } else if self.before <= 1 {
                return Ok(None);
            } else {
                self.go_on()?;
            }
        }
    }

    fn go_on(&mut self) -> Result<(), ReadError> {
        let size = schema::size(self.reader.db)?;
        let tail = in_full_blocks(size);
        if self.is_plain() || self.before > tail + 1 {
            let lowest = if self.is_plain() { 1 } else { tail + 1 };
            let from = self.before.saturating_sub(self.run).max(lowest);
            let rows = self.reader.run(from, self.before)?;
            let expected = (from..self.before).rev();
            if let Some(missing) = first_missing(expected, &rows) {
                return Err(ReadError::Damaged(missing));
            }
            self.rows = rows.into_iter();
            self.before = from;
            return Ok(());
        }
        match self.next_block()? {
            Some((block, bits)) => {
                let before = self.before;
                let seqs = bits.places().rev().map(|place| seq_at(block, place));
                let seqs: Vec<_> = seqs.filter(|seq| *seq < before).collect();
                self.found = seqs.into_iter();
                self.before = seq_at(block, 0);
            }
            None => self.before = 1,
        }
        Ok(())
    }

    fn is_plain(&self) -> bool {
        self.filters.is_empty() && self.query.since.is_none() && self.query.until.is_none()
    }

    // The next block below that has a row with a word of each filter, and a time that is asked for.
    fn next_block(&self) -> Result<Option<(u64, Bitmap)>, ReadError> {
        let db = self.reader.db;
        let mut below = (self.before - 2) / index::BLOCK_ROWS + 1;
        loop {
            let with_word = match self.filters.first() {
                Some(words) => newest_block(db, words, below)?,
                None => below.checked_sub(1),
            };
            let Some(block) = with_word else {
                return Ok(None);
            };
            let Some(in_time) = self.newest_in_time(block)? else {
                return Ok(None);
            };
            if in_time < block {
                below = in_time + 1;
                continue;
            }
            let mut bits = Bitmap::ALL;
            for words in &self.filters {
                bits = bits.and(with_any(db, words, block)?);
            }
            if bits != Bitmap::default() {
                return Ok(Some((block, bits)));
            }
            below = block;
        }
    }

    // The newest block from this one down that has a time that is asked for.
    fn newest_in_time(&self, block: u64) -> Result<Option<u64>, ReadError> {
        let (since, until) = (self.query.since, self.query.until);
        if since.is_none() && until.is_none() {
            return Ok(Some(block));
        }
        let since = since.map_or(0, |since| since.0).to_be_bytes();
        let until = until.map_or(u64::MAX, |until| until.0).to_be_bytes();
        let mut newest = self.reader.db.prepare_cached(
            "SELECT block FROM posting WHERE word = x'74' AND block <= ?1
             AND substr(rows, 9) >= ?2 AND substr(rows, 1, 8) <= ?3 ORDER BY block DESC LIMIT 1",
        )?;
        let newest = newest.query_one((block, since, until), |row| row.get(0));
        Ok(newest.optional()?)
    }

    // What the postings say of a row is made sure of; of rows that have none yet it is found out here.
    fn fits(&self, row: &Clear<'_>) -> bool {
        let (since, until) = (self.query.since, self.query.until);
        since.is_none_or(|since| row.time_ms >= since.0)
            && until.is_none_or(|until| row.time_ms <= until.0)
            && self.filters.iter().all(|words| {
                let mut own = index::words_of(row);
                own.any(|own| words.contains(&own.to_bytes()))
            })
    }
}

fn first_missing(expected: impl Iterator<Item = Seq>, rows: &[Found]) -> Option<Seq> {
    let mut rows = rows.iter().map(|(clear, ..)| clear.seq);
    expected.into_iter().find(|seq| rows.next() != Some(*seq))
}

/// The most telling first.
fn filters(
    description: &Description,
    query: &Query,
    identity: Option<&age::x25519::Identity>,
) -> Result<Vec<Words>, ReadError> {
    let mut filters = Vec::new();
    if let Some(identity) = identity.filter(|_| query.item.is_some() || query.client.is_some()) {
        let key =
            TagKey::open(&description.tag_key, identity).map_err(|_| ReadError::WrongIdentity)?;
        let either = |word: fn(&'static [u8]) -> Word<'static>, tag: Vec<u8>| {
            let letter = word(UNKNOWN_TAG).to_bytes();
            vec![[&letter[..], &tag].concat(), letter]
        };
        if let Some(item) = query.item {
            filters.push(either(Word::Item, key.tag("item", item.0.as_bytes())));
        }
        if let Some(client) = query.client {
            filters.push(either(Word::Client, key.tag("client", client.0.as_bytes())));
        }
    }
    let kinds = query.kinds.iter().map(|kind| Word::Kind(kind.as_str()));
    let decisions = query.decisions.iter();
    let decisions = decisions.map(|decision| Word::Decision(decision.as_str()));
    let words: [Words; 2] = [
        kinds.map(Word::to_bytes).collect(),
        decisions.map(Word::to_bytes).collect(),
    ];
    filters.extend(words.into_iter().filter(|words| !words.is_empty()));
    Ok(filters)
}

fn newest_block(db: &Connection, words: &Words, below: u64) -> rusqlite::Result<Option<u64>> {
    let mut newest = db.prepare_cached(
        "SELECT block FROM posting WHERE word = ?1 AND block < ?2 ORDER BY block DESC LIMIT 1",
    )?;
    let mut found = None;
    for word in words {
        let block = newest
            .query_one((word, below), |row| row.get(0))
            .optional()?;
        found = found.max(block);
    }
    Ok(found)
}

fn with_any(db: &Connection, words: &Words, block: u64) -> rusqlite::Result<Bitmap> {
    words.iter().try_fold(Bitmap::default(), |any, word| {
        Ok(any.or(index::bits(db, word, block)?))
    })
}

/// The lines of rows in a bundle.
pub(crate) fn bundle(
    db: &Connection,
    description: &Description,
    (size, whole): (u64, bool),
    seqs: &[Seq],
    identity: Option<&age::x25519::Identity>,
) -> Result<Vec<String>, ReadError> {
    let mut reader = Reader {
        db,
        description,
        identity,
        sessions: HashMap::new(),
    };
    let mut lines = Vec::new();
    let mut before = None;
    for seq in seqs {
        let found = reader.at(*seq)?.filter(|_| (1..=size).contains(seq));
        let (clear, hashes, body) = found.ok_or(ReadError::NoRow(*seq))?;
        if before != Some(clear.session) {
            before = Some(clear.session);
            let (started, key) = stored_session(db, &clear)?;
            lines.push(session_line(clear.session, started, &key));
        }
        let proof = if whole {
            Proof::Hashes(&hashes)
        } else {
            let read = |level, index| schema::node(db, level, index);
            Proof::Path(prove_inclusion(seq - 1, size, read)?)
        };
        let shown = match identity {
            Some(identity) => Some(reader.disclose(&clear, body.clone(), identity)?),
            None => None,
        };
        let shown = shown.as_ref().map(|(key, event)| (key, event.clone()));
        lines.push(row_line(&clear, &body, proof, shown));
    }
    Ok(lines)
}

struct Reader<'a> {
    db: &'a Connection,
    description: &'a Description,
    identity: Option<&'a age::x25519::Identity>,
    sessions: HashMap<u64, (Hash, Option<SessionKey>)>,
}

impl Reader<'_> {
    fn at(&self, seq: Seq) -> rusqlite::Result<Option<Found>> {
        let mut row = self
            .db
            .prepare_cached(&format!("SELECT {COLUMNS} FROM row WHERE seq = ?1"))?;
        row.query_one([seq], read).optional()
    }

    // Rows `from` to the one before `before`, newest first.
    fn run(&self, from: Seq, before: Seq) -> rusqlite::Result<Vec<Found>> {
        let mut rows = self.db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM row WHERE seq >= ?1 AND seq < ?2 ORDER BY seq DESC"
        ))?;
        let rows = rows.query_map([from, before], read)?;
        rows.collect()
    }

    fn row(
        &mut self,
        clear: Clear<'_>,
        stored: &[u8],
        mut body: Vec<u8>,
    ) -> Result<Row, ReadError> {
        let seq = clear.seq;
        let event = match self.identity {
            Some(identity) => Some(self.decrypt(&clear, &mut body, identity)?),
            None => None,
        };
        Ok(Row {
            seq,
            time: UnixMillis(clear.time_ms),
            kind: Kind::of(&clear.kind).ok_or(ReadError::TooNew(seq))?,
            decision: Decision::of(&clear.decision).ok_or(ReadError::TooNew(seq))?,
            session: clear.session,
            closes: clear.closes,
            leaf: *stored.first_chunk().ok_or(ReadError::Damaged(seq))?,
            event,
        })
    }

    fn decrypt(
        &mut self,
        clear: &Clear<'_>,
        body: &mut [u8],
        identity: &age::x25519::Identity,
    ) -> Result<Event, ReadError> {
        let damaged = || ReadError::Damaged(clear.seq);
        let (hash, key) = self.session(clear, identity)?;
        let key = key.as_ref().ok_or(ReadError::WrongIdentity)?;
        let body = key
            .row(clear.seq)
            .open(&clear.to_bytes(hash), body)
            .map_err(|_| damaged())?;
        serde_json::from_slice(body).map_err(|_| damaged())
    }

    fn disclose(
        &mut self,
        clear: &Clear<'_>,
        mut body: Vec<u8>,
        identity: &age::x25519::Identity,
    ) -> Result<(RowKey, serde_json::Value), ReadError> {
        let damaged = || ReadError::Damaged(clear.seq);
        let (hash, key) = self.session(clear, identity)?;
        let key = key.as_ref().ok_or(ReadError::WrongIdentity)?;
        let key = key.row(clear.seq);
        let body = key
            .open(&clear.to_bytes(hash), &mut body)
            .map_err(|_| damaged())?;
        let event = serde_json::from_slice(body).map_err(|_| damaged())?;
        Ok((key, event))
    }

    fn session(
        &mut self,
        clear: &Clear<'_>,
        identity: &age::x25519::Identity,
    ) -> Result<&(Hash, Option<SessionKey>), ReadError> {
        let new = match self.sessions.entry(clear.session) {
            std::collections::hash_map::Entry::Occupied(known) => return Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(new) => new,
        };
        let (started, file) = stored_session(self.db, clear)?;
        let hash = self.description.session_hash(clear.session, started, &file);
        Ok(new.insert((hash, SessionKey::open(&file, identity).ok())))
    }
}

fn stored_session(db: &Connection, clear: &Clear<'_>) -> Result<(u64, Vec<u8>), ReadError> {
    db.prepare_cached("SELECT started_ms, key FROM session WHERE id = ?1")?
        .query_one([clear.session], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(|_| ReadError::Damaged(clear.seq))
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
    Ok((
        Clear::read(row)?.into_owned(),
        row.get(HASHES)?,
        row.get(BODY)?,
    ))
}
