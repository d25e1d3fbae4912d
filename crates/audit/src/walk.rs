//! Reads a log from one row to its end and checks every row against the stored tree. Opening a log does it from the last
//! checkpoint, verifying from the first row.

use std::collections::{HashMap, hash_map::Entry};

use rusqlite::{Connection, ErrorCode, OptionalExtension, types::ValueRef};

use crate::{
    row::{COLUMNS, Clear, Seq, leaf},
    schema::{self, Description},
    tree::{Frontier, Hash, node_count, node_id},
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
    /// It is there, but an index by which rows are found does not show it, or shows it wrongly.
    #[error("is hidden from lists, the index {index} does not show it as it is")]
    Hidden {
        /// Which index.
        index: &'static str,
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

/// Walks from `edge` to the last row. `at_size` is asked after each row, and before the first.
pub(crate) fn walk(
    db: &Connection,
    description: &Description,
    edge: Frontier,
    at_size: &mut dyn FnMut(&Frontier) -> Result<(), Damage>,
) -> Result<Walked, Stop> {
    let mut walk = Walk {
        db,
        description,
        edge,
        sessions: HashMap::new(),
        completed: Vec::new(),
    };
    let next = walk.edge.size() + 1;
    walk.finish(at_size)
        .map_err(|stop| match stop {
            Stop::Failed(error) => blame(error, Some(walk.edge.size().max(next - 1) + 1)),
            damaged @ Stop::Damaged(_) => damaged,
        })
        .map(|()| Walked {
            edge: walk.edge,
            sessions: walk.sessions.len() as u64,
        })
}

/// A walk that came to the end.
pub(crate) struct Walked {
    pub(crate) edge: Frontier,
    /// How many sessions the rows belong to.
    pub(crate) sessions: u64,
}

struct Walk<'a> {
    db: &'a Connection,
    description: &'a Description,
    edge: Frontier,
    sessions: HashMap<u64, Hash>,
    completed: Vec<(u64, Hash)>, // by the row at hand
}

impl Walk<'_> {
    fn finish(
        &mut self,
        at_size: &mut dyn FnMut(&Frontier) -> Result<(), Damage>,
    ) -> Result<(), Stop> {
        let db = self.db;
        // Whatever stands before the first row is as wrong as what is missing; so a whole walk starts below all numbers.
        let from = |start: u64| match start {
            0 => i64::MIN,
            _ => i64::try_from(start).unwrap_or(i64::MAX),
        };
        let mut rows = db
            .prepare(&format!(
                "SELECT {COLUMNS} FROM row NOT INDEXED WHERE seq >= ?1 ORDER BY seq"
            ))
            .map_err(Stop::Failed)?;
        let first_row = match self.edge.size() {
            0 => 0,
            size => size + 1,
        };
        let mut rows = rows.query([from(first_row)]).map_err(Stop::Failed)?;
        let mut nodes = db
            .prepare("SELECT id, hash FROM node NOT INDEXED WHERE id >= ?1 ORDER BY id")
            .map_err(Stop::Failed)?;
        let first_node = node_count(self.edge.size());
        let mut nodes = nodes.query([from(first_node)]).map_err(Stop::Failed)?;

        at_size(&self.edge)?;
        while let Some(row) = rows.next().map_err(Stop::Failed)? {
            self.step(row, &mut nodes)?;
            at_size(&self.edge)?;
        }
        if nodes.next().map_err(Stop::Failed)?.is_some() {
            let next = self.edge.size() + 1;
            return Err(Damage::at(next, What::Cut { expected: next }).into());
        }
        Ok(())
    }

    fn step(
        &mut self,
        row: &rusqlite::Row<'_>,
        nodes: &mut rusqlite::Rows<'_>,
    ) -> Result<(), Stop> {
        let expected = self.edge.size() + 1;
        let number = row.get::<_, i64>(0).map_err(Stop::Failed)?;
        match u64::try_from(number) {
            Ok(seq) if seq == expected => {}
            Ok(seq) if seq > expected => return Err(Damage::at(expected, What::Missing).into()),
            _ => return Err(Damage::at(expected, What::Inserted).into()),
        }
        let altered = || Damage::at(expected, What::Altered);
        let clear = Clear::read(row).map_err(|_| altered())?;
        let ValueRef::Blob(body) = row.get_ref(8).map_err(Stop::Failed)? else {
            return Err(altered().into());
        };
        let session = self.session(clear.session)?.ok_or_else(altered)?;
        let hash = leaf(&clear.to_bytes(&session), body);

        self.completed.clear();
        self.edge
            .push(hash, |id, hash| self.completed.push((id, hash)));
        for (level, (id, hash)) in self.completed.iter().enumerate() {
            match (compare(nodes, *id, hash).map_err(Stop::Failed)?, level) {
                (Stored::Same, _) => {}
                (Stored::Other, 0) => return Err(self.misplaced(clear, body, &session).into()),
                (Stored::Nothing, 0) => return Err(Damage::at(expected, What::Inserted).into()),
                _ => {
                    let first = expected + 1 - (1 << level);
                    return Err(Damage::at(first, What::Tree { last: expected }).into());
                }
            }
        }
        Ok(())
    }

    fn session(&mut self, id: u64) -> Result<Option<Hash>, Stop> {
        let entry = match self.sessions.entry(id) {
            Entry::Occupied(known) => return Ok(Some(*known.get())),
            Entry::Vacant(entry) => entry,
        };
        let found = self
            .db
            .prepare_cached("SELECT started_ms, key FROM session WHERE id = ?1")
            .and_then(|mut statement| {
                statement
                    .query_one([id], |row| {
                        Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?))
                    })
                    .optional()
            })
            .map_err(Stop::Failed)?;
        Ok(found
            .map(|(started, key)| *entry.insert(self.description.session_hash(id, started, &key))))
    }

    // The row does not have the hash that was stored for its place: is it another place's?
    fn misplaced(&self, mut clear: Clear<'_>, body: &[u8], session: &Hash) -> Damage {
        const PLACES_TRIED: u64 = 100_000;
        let here = clear.seq;
        for seq in (1..here)
            .rev()
            .take(PLACES_TRIED as usize)
            .chain(here + 1..here + PLACES_TRIED)
        {
            let Ok(stored) = schema::node(self.db, node_id(0, seq - 1)) else {
                break;
            };
            clear.seq = seq;
            if leaf(&clear.to_bytes(session), body) == stored {
                return Damage::at(here, What::Reordered { was: seq });
            }
        }
        Damage::at(here, What::Altered)
    }
}

enum Stored {
    Same,
    Other,
    /// The next stored subtree is one of another number.
    Elsewhere,
    Nothing,
}

fn compare(nodes: &mut rusqlite::Rows<'_>, id: u64, hash: &Hash) -> rusqlite::Result<Stored> {
    let Some(node) = nodes.next()? else {
        return Ok(Stored::Nothing);
    };
    let number = node.get_ref(0)?.as_i64().ok();
    if number.and_then(|number| u64::try_from(number).ok()) != Some(id) {
        return Ok(Stored::Elsewhere);
    }
    let same = node
        .get_ref(1)?
        .as_blob()
        .is_ok_and(|stored| stored == hash);
    Ok(if same { Stored::Same } else { Stored::Other })
}
