//! The verifier: recomputes everything from the rows and needs neither the vault nor a key to read them.

mod pieces;

use std::{path::Path, thread};

use rusqlite::Connection;
use touchkeep_container::note::VerifyKey;

use crate::{
    checkpoint::Checkpoint,
    error::VerifyError,
    index::{Checksum, Sum, first_hidden},
    schema::{self, APPLICATION_ID, Description, VERSION},
    tree::{Frontier, Head},
    walk::{Damage, Sessions, Stop, What, blame, has_rows_before_the_first},
};

/// What a log is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Everything fits.
    Sound {
        /// The head.
        head: Head,
        /// Rows up to here are signed by one of the keys; the rest could be cut or replaced by who owns the machine.
        signed: u64,
    },
    /// Something does not, and this is the first.
    Damaged(Damage),
}

/// Checks the log at `path`: each row against the tree, each checkpoint against `keys` and the rows, and all of it against
/// `expected`, heads of this log that are known from elsewhere (a commit of the vault, the agent's memory).
///
/// Without keys the signatures are not looked at, and nothing counts as signed.
///
/// # Errors
/// When there is no such file, or it cannot be read for a reason that says nothing of the log. A file that is none is a
/// damaged log.
pub fn verify(path: &Path, keys: &[VerifyKey], expected: &[Head]) -> Result<Verdict, VerifyError> {
    let not_found = |_| VerifyError::NotFound(path.to_owned());
    let whole = std::fs::canonicalize(path).map_err(not_found)?;
    std::fs::File::open(&whole).map_err(not_found)?;
    let opened = schema::open_to_read(&whole).and_then(|db| Ok((schema::format(&db)?, db)));
    let checked = match opened {
        Ok(((APPLICATION_ID, found), _)) if found > VERSION => {
            return Err(VerifyError::TooNew { found });
        }
        Ok(((APPLICATION_ID, VERSION), db)) => check(&whole, &db, keys, expected),
        Ok(_) => Err(Damage::of_file(What::Schema).into()),
        Err(error) => Err(blame(error, None)),
    };
    checked.or_else(|stop| match stop {
        Stop::Damaged(damage) => Ok(Verdict::Damaged(damage)),
        Stop::Failed(error) => Err(VerifyError::Storage(error)),
    })
}

/// The origin line that the log at `path` says it has; none where it says none.
#[must_use]
pub fn origin(path: &Path) -> Option<String> {
    let db = schema::open_to_read(&std::fs::canonicalize(path).ok()?).ok()?;
    Description::load(&db)
        .ok()
        .map(|description| description.origin)
}

fn check(
    path: &Path,
    db: &Connection,
    keys: &[VerifyKey],
    expected: &[Head],
) -> Result<Verdict, Stop> {
    let of_file = |error| blame(error, None);
    // One snapshot, so that a log that is being added to is not taken for a damaged one.
    let db = db.unchecked_transaction().map_err(of_file)?;
    let size = schema::size(&db).map_err(of_file)?;
    let description = Description::load(&db).map_err(of_file)?;
    let mut anchors = checkpoints(&db, &description, keys).map_err(of_file)?;
    let signed = anchors
        .iter()
        .filter(|anchor| !keys.is_empty() && anchor.head.is_some());
    let signed = signed.map(|anchor| anchor.size).max().unwrap_or(0);
    anchors.extend(expected.iter().map(|head| Anchor {
        size: head.size,
        head: Some(*head),
    }));
    anchors.sort_by_key(|anchor| anchor.size);

    let sessions = Sessions::load(&db, &description).map_err(of_file)?;
    let look = |checksum: &Checksum| Views::of(&db, checksum);
    let (found, views) = pieces::walk_all((path, &db), &sessions, size, &anchors, look)?;
    if has_rows_before_the_first(&db)? {
        return Err(Damage::at(1, What::Inserted).into());
    }
    if let Some(last) = anchors.last().filter(|last| last.size > size) {
        let expected = last.size;
        return Err(Damage::at(size + 1, What::Cut { expected }).into());
    }
    views?.check(&db, size, &found)?;
    if sessions.stored != found.used.len() as u64 {
        let extra = format!(
            "{} sessions, and rows of {}",
            sessions.stored,
            found.used.len()
        );
        return Err(Damage::of_file(What::File(extra)).into());
    }
    let head = found.edge.head();
    Ok(Verdict::Sound { head, signed })
}

/// A size at which the root is known from elsewhere; without a head, one that somebody only claims to know.
struct Anchor {
    size: u64,
    head: Option<Head>,
}

impl Anchor {
    fn check(&self, edge: &Frontier, vouched: u64) -> Result<(), Damage> {
        match self.head {
            None => Err(Damage::at(self.size, What::Checkpoint)),
            Some(head) if head == edge.head() => Ok(()),
            Some(_) => {
                let last = self.size;
                Err(Damage::at(
                    (vouched + 1).min(last),
                    What::Rewritten { last },
                ))
            }
        }
    }
}

fn checkpoints(
    db: &Connection,
    description: &Description,
    keys: &[VerifyKey],
) -> rusqlite::Result<Vec<Anchor>> {
    let mut stored = db.prepare("SELECT size, note FROM checkpoint NOT INDEXED ORDER BY id")?;
    let stored: Vec<(i64, String)> = stored
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let anchor = |(size, note): &(i64, String)| {
        let size = u64::try_from(*size).unwrap_or(0);
        let read = if keys.is_empty() {
            Checkpoint::parse(note)
        } else {
            Checkpoint::verify(note, keys)
        };
        let ours = read
            .ok()
            .filter(|found| found.origin == description.origin && found.head.size == size);
        Anchor {
            size,
            head: ours.map(|found| found.head),
        }
    };
    // A signature takes as long as a hundred rows.
    let share = stored.len().div_ceil(pieces::threads()).max(1);
    Ok(thread::scope(|scope| {
        let shares: Vec<_> = stored
            .chunks(share)
            .map(|share| scope.spawn(move || share.iter().map(anchor).collect::<Vec<_>>()))
            .collect();
        let joined = shares.into_iter().map(|share| share.join());
        joined
            .flat_map(|anchors| anchors.unwrap_or_default())
            .collect()
    }))
}

/// Whether everybody gets to see the rows.
struct Views {
    tables: Result<(), Stop>,
    stored: Sum,
}

impl Views {
    fn of(db: &Connection, checksum: &Checksum) -> Result<Self, Stop> {
        let of_file = |error| blame(error, None);
        if !schema::is_ours(db).map_err(of_file)? {
            return Err(Damage::of_file(What::Schema).into());
        }
        let tables = ["log", "session", "posting", "checkpoint"];
        let check = |table| check_table(db, table).map_err(of_file).flatten();
        Ok(Self {
            stored: checksum.of_stored(db).map_err(of_file)?,
            tables: tables.into_iter().try_for_each(check),
        })
    }

    fn check(self, db: &Connection, size: u64, found: &pieces::Found) -> Result<(), Stop> {
        if self.stored != found.postings {
            return Err(
                match first_hidden(db, size).map_err(|error| blame(error, None))? {
                    Some((seq, by)) => Damage::at(seq, What::Hidden { by }).into(),
                    None => Damage::of_file(What::File("its postings are damaged".into())).into(),
                },
            );
        }
        self.tables
    }
}

// What SQLite says of a table.
fn check_table(db: &Connection, table: &str) -> rusqlite::Result<Result<(), Stop>> {
    let pragma = format!("PRAGMA integrity_check({table})");
    let report: String = db.query_one(&pragma, [], |row| row.get(0))?;
    Ok(match report.as_str() {
        "ok" => Ok(()),
        _ => Err(Damage::of_file(What::File(report)).into()),
    })
}
