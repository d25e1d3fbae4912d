//! Goes from the newest row that may be of a query to the oldest, and takes those that are.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{CachedStatement, Connection};

use super::{
    MAX_LOOKED_INTO, MAX_PAGE, Page, Query, Row, Times,
    filter::{Filter, filters},
    reader::Reader,
};
use crate::{
    error::ReadError,
    index::{BLOCK_ROWS, Bitmap, in_full_blocks, place, seq_at},
    row::{COLUMNS, Clear, Seq},
    schema::{self, Description},
};

/// [`COLUMNS`] without those that only the identity is of use for.
const BARE_COLUMNS: &str =
    "seq, time_ms, kind, decision, session, closes, NULL, NULL, hashes, NULL";
/// Where one row of so many is wanted or more, those between are read with them: that is quicker than to look each up.
const DENSE: u64 = 3;

/// A page in the making.
pub(super) struct Search<'a> {
    db: &'a Connection,
    at: CachedStatement<'a>,
    run: CachedStatement<'a>,
    /// What times are sought, and where they are; none for all.
    times: Option<(MutexGuard<'a, Times>, u64, u64)>,
    taking: Taking<'a>,
    size: u64,
    /// Everything below this row is still to be looked at.
    before: Seq,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        db: &'a Connection,
        times: &'a Mutex<Times>,
        description: &'a Description,
        query: &'a Query,
        identity: Option<&'a age::x25519::Identity>,
    ) -> Result<Self, ReadError> {
        let hidden = !query.items.is_empty() || !query.clients.is_empty() || query.text.is_some();
        if identity.is_none() && hidden {
            return Err(ReadError::Locked);
        }
        let columns = if identity.is_some() {
            COLUMNS
        } else {
            BARE_COLUMNS
        };
        let select = format!("SELECT {columns} FROM row WHERE seq");
        let size = schema::size(db)?;
        Ok(Self {
            db,
            at: db.prepare_cached(&format!("{select} = ?1"))?,
            run: db.prepare_cached(&format!("{select} BETWEEN ?1 AND ?2 ORDER BY seq DESC"))?,
            times: sought(db, times, query, size)?,
            taking: Taking {
                reader: Reader::new(db, description, identity),
                query,
                filters: filters(description, query, identity)?,
                limit: query.limit.min(MAX_PAGE),
                looked_into: 0,
                page: Page {
                    rows: Vec::with_capacity(query.limit.min(MAX_PAGE)),
                    next: None,
                },
            },
            size,
            before: query.before.unwrap_or(Seq::MAX).min(size.saturating_add(1)),
        })
    }

    /// The page.
    pub(super) fn page(mut self) -> Result<Page, ReadError> {
        while self.before > 1 && !self.taking.is_done() {
            self.go_on()?;
        }
        Ok(self.taking.page)
    }

    fn go_on(&mut self) -> Result<(), ReadError> {
        let tail = in_full_blocks(self.size) + 1;
        let plain = self.taking.filters.is_empty() && self.times.is_none();
        if plain || self.before > tail {
            let lowest = if plain { 1 } else { tail };
            self.take_run(lowest, None)?;
            self.before = lowest;
            return Ok(());
        }
        let Some((block, bits)) = self.next_block()? else {
            self.before = 1;
            return Ok(());
        };
        let (first, room) = (seq_at(block, 0), self.taking.room());
        let wanted: Vec<Seq> = bits
            .places()
            .rev()
            .map(|place| first + place)
            .filter(|seq| *seq < self.before)
            .take(room)
            .collect();
        if let (Some(newest), Some(oldest)) = (wanted.first(), wanted.last()) {
            if (newest - oldest) / DENSE <= wanted.len() as u64 {
                self.before = newest + 1;
                self.take_run(*oldest, Some(&bits))?;
            } else {
                self.take_each(&wanted)?;
            }
        }
        // Of those that were read only to be left out, there may be more in this block.
        self.before = match wanted.last() {
            Some(oldest) if wanted.len() == room => *oldest,
            _ => first,
        };
        Ok(())
    }

    // The next block below that has a row with a word of each filter and a time that is sought, as far as postings tell.
    fn next_block(&mut self) -> Result<Option<(u64, Bitmap)>, ReadError> {
        let (mut block, _) = place(self.before - 1);
        loop {
            let mut newest = Some(block);
            for filter in &mut self.taking.filters {
                newest = newest.min(filter.newest(self.db, block)?);
            }
            if let Some((times, since, until)) = &self.times {
                newest = newest.min(times.newest(block, (*since, *until)));
            }
            match newest {
                None => return Ok(None),
                Some(lower) if lower < block => block = lower,
                Some(_) => {
                    let bits = self.bits(block)?;
                    if bits != Bitmap::default() {
                        return Ok(Some((block, bits)));
                    }
                    let Some(lower) = block.checked_sub(1) else {
                        return Ok(None);
                    };
                    block = lower;
                }
            }
        }
    }

    fn bits(&self, block: u64) -> Result<Bitmap, ReadError> {
        let filters = self.taking.filters.iter();
        let bits = filters.fold(Bitmap::ALL, |bits, filter| bits.and(filter.bits(block)));
        match &self.times {
            Some((times, since, until)) => {
                let (first, last) = times.of(block);
                if first >= *since && last <= *until {
                    return Ok(bits);
                }
                Ok(bits.and(rows_in_time(self.db, block, (*since, *until))?))
            }
            None => Ok(bits),
        }
    }

    // From the row before `before` down to `lowest`, those in `bits`. Rows have no gaps: one that is not found by its number is
    // hidden, and that is said.
    fn take_run(&mut self, lowest: Seq, bits: Option<&Bitmap>) -> Result<(), ReadError> {
        let mut rows = self.run.query([lowest, self.before - 1])?;
        let mut expected = self.before;
        while let Some(row) = rows.next()? {
            expected -= 1;
            if row.get_ref(0)?.as_i64().ok() != Some(expected.cast_signed()) {
                return Err(ReadError::Damaged(expected));
            }
            if bits.is_none_or(|bits| bits.has(place(expected).1)) {
                self.taking.take(row)?;
                if self.taking.is_done() {
                    return Ok(());
                }
            }
        }
        if expected > lowest {
            return Err(ReadError::Damaged(expected - 1));
        }
        Ok(())
    }

    fn take_each(&mut self, wanted: &[Seq]) -> Result<(), ReadError> {
        for seq in wanted {
            let mut rows = self.at.query([seq])?;
            let row = rows.next()?.ok_or(ReadError::Damaged(*seq))?;
            self.taking.take(row)?;
            if self.taking.is_done() {
                break;
            }
        }
        Ok(())
    }
}

// Which rows of a block have such a time.
fn rows_in_time(
    db: &Connection,
    block: u64,
    (since, until): (u64, u64),
) -> Result<Bitmap, ReadError> {
    let mut rows = db.prepare_cached("SELECT seq, time_ms FROM row WHERE seq BETWEEN ?1 AND ?2")?;
    let mut rows = rows.query((seq_at(block, 0), seq_at(block, BLOCK_ROWS - 1)))?;
    let mut bits = Bitmap::default();
    for at in 0..BLOCK_ROWS {
        let seq = seq_at(block, at);
        let row = rows.next()?.ok_or(ReadError::Damaged(seq))?;
        if row.get::<_, u64>(0)? != seq {
            return Err(ReadError::Damaged(seq));
        }
        if (since..=until).contains(&row.get(1)?) {
            bits.insert(at);
        }
    }
    Ok(bits)
}

type Sought<'a> = Option<(MutexGuard<'a, Times>, u64, u64)>;

fn sought<'a>(
    db: &Connection,
    times: &'a Mutex<Times>,
    query: &Query,
    size: u64,
) -> rusqlite::Result<Sought<'a>> {
    if query.since.is_none() && query.until.is_none() {
        return Ok(None);
    }
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
    times.catch_up(db, size / BLOCK_ROWS)?;
    let since = query.since.map_or(0, |since| since.0);
    let until = query.until.map_or(u64::MAX, |until| until.0);
    Ok(Some((times, since, until)))
}

/// Takes rows into a page until it is done.
struct Taking<'a> {
    reader: Reader<'a>,
    query: &'a Query,
    filters: Vec<Filter>,
    limit: usize,
    looked_into: usize,
    page: Page,
}

impl Taking<'_> {
    // Full, and known that there is another row.
    const fn is_done(&self) -> bool {
        self.page.next.is_some()
    }

    // How many rows it still takes, and the one that tells that there are more.
    const fn room(&self) -> usize {
        self.limit - self.page.rows.len() + 1
    }

    fn take(&mut self, stored: &rusqlite::Row<'_>) -> Result<(), ReadError> {
        let clear = Clear::read(stored)?;
        if !self.fits(&clear) {
            return Ok(());
        }
        if self.page.rows.len() == self.limit || self.looked_into == MAX_LOOKED_INTO {
            self.page.next = Some(clear.seq + 1);
            return Ok(());
        }
        self.looked_into += 1;
        let row = self.reader.row(&clear, stored)?;
        if is_of(&row, self.query) {
            self.page.rows.push(row);
        }
        Ok(())
    }

    // What the postings say of a row is made sure of; of rows that have none yet it is found out here.
    fn fits(&self, row: &Clear<'_>) -> bool {
        let (since, until) = (self.query.since, self.query.until);
        since.is_none_or(|since| row.time_ms >= since.0)
            && until.is_none_or(|until| row.time_ms <= until.0)
            && self.filters.iter().all(|filter| filter.fits(row))
    }
}

// A row without a tag, recorded while the vault was locked, is told by its body alone.
fn is_of(row: &Row, query: &Query) -> bool {
    let event = row.event.as_ref();
    let of_one = |item| query.items.contains(&item);
    let item = query.items.is_empty() || event.is_some_and(|event| event.item.is_some_and(of_one));
    let of_one = |client| query.clients.contains(&client);
    let client =
        query.clients.is_empty() || event.is_some_and(|event| event.client.is_some_and(of_one));
    let mentions = |text: &String| event.is_some_and(|event| event.mentions(&text.to_lowercase()));
    item && client && query.text.as_ref().is_none_or(mentions)
}
