//! Reads rows in order and checks each against the hashes that are stored with it. Opening a log does it from the last
//! checkpoint, verifying does it in pieces, from the first row.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, ErrorCode, OptionalExtension};

use crate::{
    index::{BLOCK_ROWS, Block, Checksum, Sum, place},
    row::{BODY, Clear, HASHES, Seq},
    schema::{self, Description},
    tree::{Frontier, Hash, completed_with},
};

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The first row that is not as it was recorded. `None`: no row in particular, but the file.
    pub seq: Option<Seq>,
    /// What is wrong with it.
    pub what: What,
}

/// What can be wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum What {
    /// A column is not what was recorded, in the row or in the session that it belongs to.
    #[error("was altered")]
    Altered,
    /// It is not there, and later ones are.
    #[error("is missing")]
    Missing,
    /// It was recorded as another row.
    #[error("was recorded as row {was}")]
    Reordered {
        /// Its right place.
        was: Seq,
    },
    /// It was put there without having been recorded.
    #[error("was not recorded by this log")]
    Inserted,
    /// A stored hash over rows from here on does not fit them.
    #[error("and the rows up to {last} do not fit the stored tree")]
    Tree {
        /// Last row under that hash.
        last: Seq,
    },
    /// Rows from here on are not those that were signed, or that the vault knew of, though they fit each other.
    #[error("or one up to {last} is not as it was when it was signed")]
    Rewritten {
        /// Last row under that head.
        last: Seq,
    },
    /// It was cut off, with all that followed.
    #[error("is cut off, the log had at least {expected} rows")]
    Cut {
        /// Rows that there were.
        expected: u64,
    },
    /// The checkpoint over the rows up to here is malformed, or not signed by a key of this vault.
    #[error("has a checkpoint that is not authentic")]
    Checkpoint,
    /// It is there, but is not found by its number; or the postings by which rows are found do not show it, or show another in its
    /// place.
    #[error("is hidden: who looks for its {by} is not shown the rows as they are")]
    Hidden {
        /// By which kind of word.
        by: &'static str,
    },
    /// Tables, indexes or guards are not those of an audit log.
    #[error("the tables of the log were altered")]
    Schema,
    /// The file cannot be read as a database.
    #[error("the file is damaged: {0}")]
    File(String),
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "row {seq} {}", self.what),
            None => write!(f, "{}", self.what),
        }
    }
}

impl Damage {
    pub(crate) const fn at(seq: Seq, what: What) -> Self {
        Self {
            seq: Some(seq),
            what,
        }
    }

    pub(crate) const fn of_file(what: What) -> Self {
        Self { seq: None, what }
    }
}

/// Why a walk ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    Damaged(Damage),
    Failed(rusqlite::Error),
}

impl From<Damage> for Stop {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

/// Whether the error says something of the file, and not of the machine.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => matches!(
            failure.code,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown
        ),
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::InvalidColumnIndex(..)
        | rusqlite::Error::QueryReturnedMoreThanOneRow
        | rusqlite::Error::QueryReturnedNoRows => true,
        _ => false,
    }
}

/// At row `seq`, or of the whole file: damage where the file is to blame, else the failure.
pub(crate) fn blame(error: rusqlite::Error, seq: Option<Seq>) -> Stop {
    if is_damage(&error) {
        let what = What::File(error.to_string());
        return Damage { seq, what }.into();
    }
    Stop::Failed(error)
}

/// Walks from `edge` to the last row, in one thread.
pub(crate) fn walk(db: &Connection, sessions: &Sessions, edge: Frontier) -> Result<Frontier, Stop> {
    let size = schema::size(db).map_err(|error| blame(error, None))?;
    let from = edge.size();
    let walked = Walk::new(db, sessions, edge, 0).to(size, &[]);
    match walked.stop {
        Some((_, stop)) => Err(stop),
        None if from == 0 && has_rows_before_the_first(db)? => {
            Err(Damage::at(1, What::Inserted).into())
        }
        None => Ok(walked.edge),
    }
}

/// Whether something stands before row 1.
pub(crate) fn has_rows_before_the_first(db: &Connection) -> Result<bool, Stop> {
    db.prepare("SELECT seq FROM row NOT INDEXED ORDER BY seq LIMIT 1")
        .and_then(|mut rows| rows.query_one([], |row| row.get::<_, i64>(0)).optional())
        .map(|first| first.is_some_and(|first| first != 1))
        .map_err(|error| blame(error, None))
}

/// Hashes of a log's sessions, by their numbers. One that is malformed has none, like one that is not there.
pub(crate) struct Sessions {
    hashes: HashMap<u64, Hash>,
    /// How many are stored, malformed or not.
    pub(crate) stored: u64,
}

impl Sessions {
    pub(crate) fn load(db: &Connection, description: &Description) -> rusqlite::Result<Self> {
        let mut stored = db.prepare("SELECT id, started_ms, key FROM session")?;
        let mut stored = stored.query([])?;
        let mut sessions = Self {
            hashes: HashMap::new(),
            stored: 0,
        };
        while let Some(row) = stored.next()? {
            sessions.stored += 1;
            if let (Ok(id), Ok(started)) = (row.get(0), row.get(1))
                && let Ok(key) = row.get_ref(2)?.as_blob()
            {
                let hash = description.session_hash(id, started, key);
                sessions.hashes.insert(id, hash);
            }
        }
        Ok(sessions)
    }
}

/// Rows in their order; and with each another one is looked up by its number, from the far end of the run down: where that is not
/// found, the number is negative. One after the other upwards would be no looking up, for SQLite goes on from where it stands.
const IN_ORDER: &str = "
    SELECT iif(found.seq, r.seq, -r.seq),
        r.time_ms, r.kind, r.decision, r.session, r.closes, r.item_tag, r.client_tag, r.hashes, r.body
    FROM row AS r NOT INDEXED LEFT JOIN row AS found NOT INDEXED ON found.seq = ?3 - r.seq
    WHERE r.seq >= ?1 ORDER BY r.seq LIMIT ?2";
/// Rows of a run: as many as SQLite keeps the pages of.
const LOOKED_UP: u64 = 1024;

/// A walk over some of the rows, each checked by itself and with the others of the walk.
pub(crate) struct Walk<'a> {
    db: &'a Connection,
    sessions: &'a Sessions,
    edge: Frontier,
    here: Seq,
    above: Vec<Hash>,
    used: BTreeSet<u64>,
    session: Option<(u64, &'a Hash)>,
    block: Block,
    postings: Option<(&'a Checksum, Sum)>,
    // Kept from row to row, so that a row costs no allocation.
    scratch: Vec<u8>,
    completed: Vec<Hash>,
}

/// What a walk came to.
pub(crate) struct Walked {
    /// The edge of the rows that it went over.
    pub(crate) edge: Frontier,
    /// The hashes that stand in its last row and are of larger subtrees than the walk.
    pub(crate) above: Vec<Hash>,
    /// Sessions that the rows belong to.
    pub(crate) used: BTreeSet<u64>,
    /// Of the postings of the blocks that are full in it.
    pub(crate) postings: Sum,
    /// The edge at each of the sizes that were asked for, as far as it came.
    pub(crate) at: Vec<(u64, Frontier)>,
    /// At which row it ended early, and why.
    pub(crate) stop: Option<(Seq, Stop)>,
}

impl<'a> Walk<'a> {
    /// Over the rows after `base` and those of `edge`. The base is a multiple of the number of rows that are walked, or 0.
    pub(crate) fn new(
        db: &'a Connection,
        sessions: &'a Sessions,
        edge: Frontier,
        base: u64,
    ) -> Self {
        Self {
            db,
            sessions,
            here: base + edge.size() + 1,
            edge,
            above: Vec::new(),
            used: BTreeSet::new(),
            session: None,
            block: Block::default(),
            postings: None,
            scratch: Vec::new(),
            completed: Vec::new(),
        }
    }

    /// Makes the postings of its blocks again, too.
    pub(crate) fn with_postings(mut self, checksum: &'a Checksum) -> Self {
        self.postings = Some((checksum, Sum::default()));
        self
    }

    /// To row `last`. Tells the edge at each of these sizes, which are ascending.
    pub(crate) fn to(mut self, last: u64, sizes: &[u64]) -> Walked {
        let mut at = Vec::with_capacity(sizes.len());
        let stop = self
            .rows(last, sizes, &mut at)
            .err()
            .map(|stop| match stop {
                Stop::Failed(error) => (self.here, blame(error, Some(self.here))),
                damaged @ Stop::Damaged(_) => (self.here, damaged),
            });
        Walked {
            edge: self.edge,
            above: self.above,
            used: self.used,
            postings: self.postings.map(|(_, sum)| sum).unwrap_or_default(),
            at,
            stop,
        }
    }

    fn rows(
        &mut self,
        last: u64,
        sizes: &[u64],
        at: &mut Vec<(u64, Frontier)>,
    ) -> Result<(), Stop> {
        let mut sizes = sizes.iter().copied().peekable();
        let db = self.db;
        let mut rows = db.prepare_cached(IN_ORDER).map_err(Stop::Failed)?;
        while self.here <= last {
            let (first, end) = (self.here, last.min(self.here + LOOKED_UP - 1));
            let (mut hidden, mut before) = (None, true);
            // From the row before, so that also between two runs nothing can stand.
            let range = (first - 1, end - first + 2, first + end);
            let mut rows = rows.query(range).map_err(Stop::Failed)?;
            while self.here <= end {
                let Some(row) = rows.next().map_err(Stop::Failed)? else {
                    return Err(Damage::at(self.here, What::Missing).into());
                };
                let number: i64 = row.get(0).map_err(Stop::Failed)?;
                let seq = number.unsigned_abs();
                if std::mem::take(&mut before) && seq == first - 1 {
                    continue;
                }
                self.step(seq, row)?;
                if sizes.next_if_eq(&self.here).is_some() {
                    at.push((self.here, self.edge.clone()));
                }
                if number < 0 {
                    hidden = Some(first + end - seq);
                }
                self.here += 1;
            }
            if let Some(seq) = hidden {
                let by = "number";
                return Err(Damage::at(seq, What::Hidden { by }).into());
            }
        }
        Ok(())
    }

    fn step(&mut self, seq: Seq, row: &rusqlite::Row<'_>) -> Result<(), Stop> {
        let here = self.here;
        if seq != here {
            return Err(Damage::at(here, What::Missing).into());
        }
        let altered = || Stop::from(Damage::at(here, What::Altered));
        let clear = Clear::numbered(seq, row).map_err(|_| altered())?;
        let stored = row
            .get_ref(HASHES)
            .ok()
            .and_then(|value| value.as_blob().ok());
        let body = row
            .get_ref(BODY)
            .ok()
            .and_then(|value| value.as_blob().ok());
        let ((stored, []), body) = (
            stored.map(<[u8]>::as_chunks).ok_or_else(altered)?,
            body.ok_or_else(altered)?,
        ) else {
            return Err(altered());
        };
        let session = self.session(clear.session).ok_or_else(altered)?;
        let leaf = clear.leaf(session, body, &mut self.scratch);
        if stored.first() != Some(&leaf) {
            return Err(self.misplaced(clear, body, session, stored.first()).into());
        }
        if stored.len() != completed_with(here) as usize {
            return Err(altered());
        }
        self.check_tree(leaf, stored)?;
        self.index(&clear);
        Ok(())
    }

    // Mostly the one of the row before.
    fn session(&mut self, id: u64) -> Option<&'a Hash> {
        if let Some((known, hash)) = self.session
            && known == id
        {
            return Some(hash);
        }
        let hash = self.sessions.hashes.get(&id)?;
        self.session = Some((id, hash));
        self.used.insert(id);
        Some(hash)
    }

    fn check_tree(&mut self, leaf: Hash, stored: &[Hash]) -> Result<(), Stop> {
        self.completed.clear();
        let completed = &mut self.completed;
        self.edge.push(leaf, |hash| completed.push(*hash));
        if let Some(level) = first_other(completed, stored) {
            return Err(misfit(self.here, level).into());
        }
        self.above.clear();
        let above = stored.get(self.completed.len()..).unwrap_or_default();
        self.above.extend_from_slice(above);
        Ok(())
    }

    fn index(&mut self, clear: &Clear<'_>) {
        let Some((checksum, sum)) = &mut self.postings else {
            return;
        };
        self.block.add(clear);
        let (number, at) = place(clear.seq);
        if at + 1 == BLOCK_ROWS {
            *sum = sum.plus(checksum.of_block(number, &self.block));
            self.block.clear();
        }
    }

    // The row does not have the leaf that is stored with it: was it recorded as another row?
    fn misplaced(
        &mut self,
        mut clear: Clear<'_>,
        body: &[u8],
        session: &Hash,
        stored: Option<&Hash>,
    ) -> Damage {
        const PLACES_TRIED: u64 = 100_000;
        let here = clear.seq;
        let before = here.saturating_sub(PLACES_TRIED).max(1)..here;
        for seq in before.rev().chain(here + 1..=here + PLACES_TRIED) {
            clear.seq = seq;
            if Some(&clear.leaf(session, body, &mut self.scratch)) == stored {
                // Where the row still stands in its own place, this is a copy of it.
                let there = schema::node(self.db, 0, seq - 1).ok();
                return Damage::at(
                    here,
                    if there.as_ref() == stored {
                        What::Inserted
                    } else {
                        What::Reordered { was: seq }
                    },
                );
            }
        }
        Damage::at(here, What::Altered)
    }
}

/// The first level at which hashes are not those that are stored.
pub(crate) fn first_other(completed: &[Hash], stored: &[Hash]) -> Option<u32> {
    let mut levels = 0u32..;
    let other = |(level, (made, stored))| (made != stored).then_some(level);
    let pairs = completed.iter().zip(stored);
    levels.by_ref().zip(pairs).find_map(other)
}

/// A subtree that is complete with this row is not the one that is stored: the rows under it do not fit.
pub(crate) const fn misfit(row: Seq, level: u32) -> Damage {
    Damage::at(row + 1 - (1 << level), What::Tree { last: row })
}
