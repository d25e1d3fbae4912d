//! By which rows are found: for every full block of rows a bitmap for each word that stands in them.
//!
//! # Why not SQLite's own indexes
//! Each of them costs every append another page of the disk. A block's postings are written once, with its last row, so an
//! append writes the row and mostly nothing else; the rows of the last block, which is not full yet, are simply looked at.
//! Postings follow from the rows, so the verifier makes them again and compares.
//!
//! A word is a letter and what it is of: `k` a kind, `d` a decision, `i` and `c` the tag of an item or a client, `o` the number of a
//! block, whose intents the bits are and have an outcome in the posting's block, and `t` the earliest and the latest time
//! instead of bits.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, Hasher, RandomState},
};

use rusqlite::{Connection, OptionalExtension, Row};

use crate::{
    event::Kind,
    row::{Clear, Seq},
    schema,
};

/// Rows of a block.
pub(crate) const BLOCK_ROWS: u64 = 256;
const BITMAP_BYTES: usize = BLOCK_ROWS as usize / 8;

/// Which rows of a block: bit `n`, from the lowest of the first byte, is row `n` of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bitmap([u8; BITMAP_BYTES]);

impl Bitmap {
    pub(crate) const ALL: Self = Self([0xff; BITMAP_BYTES]);

    pub(crate) fn insert(&mut self, place: u64) {
        if let Some(byte) = self.0.get_mut(place as usize / 8) {
            *byte |= 1 << (place % 8);
        }
    }

    pub(crate) fn has(&self, place: u64) -> bool {
        let byte = self.0.get(place as usize / 8).copied().unwrap_or(0);
        byte >> (place % 8) & 1 == 1
    }

    /// Its bytes read back; `None` where they are none.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    pub(crate) fn or(self, other: Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    fn zip(mut self, other: Self, with: impl Fn(u8, u8) -> u8) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = with(*a, b);
        }
        self
    }

    /// The places in it, ascending.
    pub(crate) fn places(&self) -> impl DoubleEndedIterator<Item = u64> {
        let bits = *self;
        (0..BLOCK_ROWS).filter(move |place| bits.has(*place))
    }
}

/// The block of a row, and its place there.
pub(crate) const fn place(seq: Seq) -> (u64, u64) {
    ((seq - 1) / BLOCK_ROWS, (seq - 1) % BLOCK_ROWS)
}

/// The row at a place.
pub(crate) const fn seq_at(block: u64, place: u64) -> Seq {
    block * BLOCK_ROWS + place + 1
}

/// How many rows are in full blocks, of so many.
pub(crate) const fn in_full_blocks(size: u64) -> u64 {
    size - size % BLOCK_ROWS
}

/// What a row is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word<'a> {
    Kind(&'a str),
    Decision(&'a str),
    Item(&'a [u8]),
    Client(&'a [u8]),
}

impl Word<'_> {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let (letter, rest) = self.parts();
        [&[letter], rest].concat()
    }

    /// Whether these are its bytes.
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        let (letter, rest) = self.parts();
        bytes.split_first() == Some((&letter, rest))
    }

    const fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Kind(word) => (b'k', word.as_bytes()),
            Self::Decision(word) => (b'd', word.as_bytes()),
            Self::Item(tag) => (b'i', tag),
            Self::Client(tag) => (b'c', tag),
        }
    }
}

/// What kind of word that is, to say which rows are hidden.
fn name_of(word: &[u8]) -> &'static str {
    match word.first() {
        Some(b'k') => "kind",
        Some(b'd') => "decision",
        Some(b'i') => "item",
        Some(b'c') => "client",
        Some(b'o') => "outcome",
        Some(b't') => "time",
        _ => "unknown",
    }
}

/// What a row is found by, times and outcomes apart.
pub(crate) fn words_of<'a>(row: &'a Clear<'_>) -> impl Iterator<Item = Word<'a>> {
    let item = row.item_tag.as_deref().map(Word::Item);
    let client = row.client_tag.as_deref().map(Word::Client);
    [Word::Kind(&row.kind), Word::Decision(&row.decision)]
        .into_iter()
        .chain(item)
        .chain(client)
}

/// The postings of one block, as far as its rows are added.
#[derive(Debug, Default, Clone)]
pub(crate) struct Block {
    // For each letter its words: few, and mostly one after the other the same.
    bits: [Vec<Posting>; LETTERS.len()],
    times: Option<(u64, u64)>,
}

/// First letters of words that have bits.
const LETTERS: [u8; 5] = *b"cdiko";

#[derive(Debug, Clone)]
struct Posting {
    /// The word's first bytes, which mostly tell that it is another.
    start: u64,
    word: Vec<u8>,
    bits: Bitmap,
}

impl Block {
    pub(crate) fn clear(&mut self) {
        self.bits.iter_mut().for_each(Vec::clear);
        self.times = None;
    }

    pub(crate) fn add(&mut self, row: &Clear<'_>) {
        let (_, at) = place(row.seq);
        let [clients, decisions, items, kinds, outcomes] = &mut self.bits;
        set(kinds, row.kind.as_bytes(), at);
        set(decisions, row.decision.as_bytes(), at);
        if let Some(tag) = &row.item_tag {
            set(items, tag, at);
        }
        if let Some(tag) = &row.client_tag {
            set(clients, tag, at);
        }
        if let Some(intent) = row.closes.filter(|intent| *intent > 0) {
            let (block, at) = place(intent);
            set(outcomes, &block.to_be_bytes(), at);
        }
        let (first, last) = self.times.unwrap_or((row.time_ms, row.time_ms));
        self.times = Some((first.min(row.time_ms), last.max(row.time_ms)));
    }

    /// Tells word and value of each posting.
    fn each(&self, mut tell: impl FnMut(&[u8], &[u8])) {
        let mut word = Vec::with_capacity(64);
        for (letter, postings) in LETTERS.iter().zip(&self.bits) {
            for posting in postings {
                word.clear();
                word.push(*letter);
                word.extend_from_slice(&posting.word);
                tell(&word, &posting.bits.0);
            }
        }
        if let Some((first, last)) = self.times {
            let mut both = [0; 16];
            both[..8].copy_from_slice(&first.to_be_bytes());
            both[8..].copy_from_slice(&last.to_be_bytes());
            tell(b"t", &both);
        }
    }

    /// Word and value of each posting, in order.
    fn postings(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut all = BTreeMap::new();
        self.each(|word, rows| {
            all.insert(word.to_vec(), rows.to_vec());
        });
        all
    }
}

fn set(words: &mut Vec<Posting>, word: &[u8], at: u64) {
    let start = start_of(word);
    let is_it = |known: &&mut Posting| known.start == start && known.word == word;
    match words.iter_mut().rev().find(is_it) {
        Some(known) => known.bits.insert(at),
        None => {
            let mut bits = Bitmap::default();
            bits.insert(at);
            let word = word.to_vec();
            words.push(Posting { start, word, bits });
        }
    }
}

fn start_of(word: &[u8]) -> u64 {
    match word.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => word.len() as u64,
    }
}

/// Writes the postings of the block that is full with row `seq`, if one is.
pub(crate) fn write_full_block(db: &Connection, seq: Seq) -> rusqlite::Result<()> {
    if !seq.is_multiple_of(BLOCK_ROWS) {
        return Ok(());
    }
    let (number, _) = place(seq);
    let block = read_block(db, number)?;
    let mut insert =
        db.prepare_cached("INSERT INTO posting (word, block, rows) VALUES (?1, ?2, ?3)")?;
    for (word, rows) in block.postings() {
        insert.execute((word, number, rows))?;
    }
    Ok(())
}

fn read_block(db: &Connection, number: u64) -> rusqlite::Result<Block> {
    let mut rows = db.prepare_cached(
        "SELECT seq, time_ms, kind, decision, session, closes, item_tag, client_tag FROM row WHERE seq BETWEEN ?1 AND ?2",
    )?;
    let mut rows = rows.query((seq_at(number, 0), seq_at(number, BLOCK_ROWS - 1)))?;
    let mut block = Block::default();
    while let Some(row) = rows.next()? {
        block.add(&Clear::read(row)?);
    }
    Ok(block)
}

/// A stored one.
pub(crate) fn bitmap(row: &Row<'_>, column: usize) -> rusqlite::Result<Bitmap> {
    let bytes: Vec<u8> = row.get(column)?;
    Bitmap::read(&bytes).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, 0))
}

/// Intents without an outcome.
pub(crate) fn open_intents(db: &Connection) -> rusqlite::Result<BTreeSet<Seq>> {
    let mut blocks: BTreeMap<u64, Bitmap> = BTreeMap::new();
    let mut intents = db.prepare("SELECT block, rows FROM posting WHERE word = ?1")?;
    for kind in Kind::ALL.iter().filter(|kind| kind.opens()) {
        let mut of_kind = intents.query([Word::Kind(kind.as_str()).to_bytes()])?;
        while let Some(row) = of_kind.next()? {
            let bits = bitmap(row, 1)?;
            let block = blocks.entry(row.get(0)?).or_default();
            *block = block.or(bits);
        }
    }
    let mut closed =
        db.prepare("SELECT word, rows FROM posting WHERE word >= x'6f' AND word < x'70'")?;
    let mut closed = closed.query([])?;
    while let Some(row) = closed.next()? {
        let (word, bits): (Vec<u8>, _) = (row.get(0)?, bitmap(row, 1)?);
        if let Some(open) = closed_block(&word).and_then(|block| blocks.get_mut(&block)) {
            *open = open.zip(bits, |open, closed| open & !closed);
        }
    }
    let mut open: BTreeSet<_> = blocks
        .iter()
        .flat_map(|(block, bits)| bits.places().map(|place| seq_at(*block, place)))
        .collect();
    follow_intents(db, in_full_blocks(schema::size(db)?), &mut open)?;
    Ok(open)
}

fn closed_block(word: &[u8]) -> Option<u64> {
    let block = word.strip_prefix(b"o")?;
    block.try_into().ok().map(u64::from_be_bytes)
}

/// The row of an intent's outcome.
pub(crate) fn outcome_of(db: &Connection, intent: Seq) -> rusqlite::Result<Option<Seq>> {
    let (block, at) = place(intent);
    let word = [b"o", &block.to_be_bytes()[..]].concat();
    let mut closed = db.prepare("SELECT block, rows FROM posting WHERE word = ?1")?;
    let mut closed = closed.query([word])?;
    let mut from = in_full_blocks(schema::size(db)?) + 1;
    while let Some(row) = closed.next()? {
        if bitmap(row, 1)?.places().any(|place| place == at) {
            from = seq_at(row.get(0)?, 0);
            break;
        }
    }
    db.prepare("SELECT seq FROM row WHERE seq >= ?1 AND closes = ?2 LIMIT 1")?
        .query_one((from, intent), |row| row.get(0))
        .optional()
}

/// Takes in the rows after `size`.
pub(crate) fn follow_intents(
    db: &Connection,
    size: u64,
    open: &mut BTreeSet<Seq>,
) -> rusqlite::Result<()> {
    let mut rows =
        db.prepare_cached("SELECT seq, kind, closes FROM row WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = rows.query([size])?;
    while let Some(row) = rows.next()? {
        let kind = row.get_ref(1)?.as_str().ok().and_then(Kind::of);
        if kind.is_some_and(Kind::opens) {
            open.insert(row.get(0)?);
        }
        if let Some(closed) = row.get(2)? {
            open.remove(&closed);
        }
    }
    Ok(())
}

/// A sum over postings that does not depend on their order. Its key is drawn anew for every verification, so nobody can make
/// postings for it that are others and have the same sum.
#[derive(Default, Clone)]
pub(crate) struct Checksum(RandomState);

/// What a [`Checksum`] came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum(u64);

impl Sum {
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl Checksum {
    /// Of one block.
    pub(crate) fn of_block(&self, number: u64, block: &Block) -> Sum {
        let (mut sum, mut scratch) = (Sum::default(), Vec::with_capacity(128));
        block.each(|word, rows| sum = sum.plus(self.of(word, number, rows, &mut scratch)));
        sum
    }

    /// Of all that are stored.
    pub(crate) fn of_stored(&self, db: &Connection) -> rusqlite::Result<Sum> {
        let mut stored = db.prepare("SELECT word, block, rows FROM posting")?;
        let mut stored = stored.query([])?;
        let (mut sum, mut scratch) = (Sum::default(), Vec::with_capacity(128));
        while let Some(row) = stored.next()? {
            let block = u64::try_from(row.get_ref(1)?.as_i64()?).unwrap_or(u64::MAX);
            let rows = row.get_ref(2)?.as_blob()?;
            let word = row.get_ref(0)?.as_blob()?;
            sum = sum.plus(self.of(word, block, rows, &mut scratch));
        }
        Ok(sum)
    }

    // In one piece: that is what the hash is quick with.
    fn of(&self, word: &[u8], block: u64, rows: &[u8], scratch: &mut Vec<u8>) -> Sum {
        scratch.clear();
        scratch.extend_from_slice(&block.to_be_bytes());
        crate::row::put(scratch, Some(word));
        scratch.extend_from_slice(rows);
        let mut hasher = self.0.build_hasher();
        hasher.write(scratch);
        Sum(hasher.finish())
    }
}

/// The first row that is hidden, or shown where it is not, and by which kind of word. Slow: for when the sums differ.
pub(crate) fn first_hidden(
    db: &Connection,
    size: u64,
) -> rusqlite::Result<Option<(Seq, &'static str)>> {
    let mut expected = BTreeMap::new();
    for number in 0..size / BLOCK_ROWS {
        let block = read_block(db, number)?;
        for (word, rows) in block.postings() {
            expected.insert((word, number), rows);
        }
    }
    let mut wrong = Vec::new();
    let mut stored = db.prepare("SELECT word, block, rows FROM posting")?;
    let mut stored = stored.query([])?;
    while let Some(row) = stored.next()? {
        let key: (Vec<u8>, u64) = (
            row.get(0)?,
            u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
        );
        let rows: Vec<u8> = row.get(2)?;
        let right = expected.remove(&key).unwrap_or_default();
        if right != rows {
            wrong.push((key, right, rows));
        }
    }
    wrong.extend(
        expected
            .into_iter()
            .map(|(key, right)| (key, right, Vec::new())),
    );
    let firsts = wrong.iter().map(|((word, block), right, found)| {
        let differs = differing(right, found).unwrap_or(0);
        // The bits of an outcome are its intent's.
        let of = closed_block(word).unwrap_or(*block);
        (seq_at(of.min(size / BLOCK_ROWS), differs), name_of(word))
    });
    Ok(firsts.min())
}

// The first bit in which two bitmaps differ.
fn differing(a: &[u8], b: &[u8]) -> Option<u64> {
    let (a, b) = (
        Bitmap::read(a).unwrap_or_default(),
        Bitmap::read(b).unwrap_or_default(),
    );
    a.zip(b, |a, b| a ^ b).places().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_go_in_and_come_out_in_order() {
        let mut bits = Bitmap::default();
        for place in [0, 255, 7, 8, 100] {
            bits.insert(place);
        }
        assert_eq!(bits.places().collect::<Vec<_>>(), [0, 7, 8, 100, 255]);
        assert_eq!(Bitmap::read(&bits.0), Some(bits));
        assert_eq!(Bitmap::read(&[0; 31]), None);
        assert_eq!(bits.and(Bitmap::default()), Bitmap::default());
        assert_eq!(bits.or(Bitmap::ALL), Bitmap::ALL);
    }

    #[test]
    fn rows_and_places_are_one_to_one() {
        for seq in 1..=1000 {
            let (block, at) = place(seq);
            assert_eq!(seq_at(block, at), seq);
            assert!(at < BLOCK_ROWS);
        }
        assert_eq!((place(256), place(257)), ((0, 255), (1, 0)));
        assert_eq!([255, 256, 257].map(in_full_blocks), [0, 256, 256]);
    }
}
