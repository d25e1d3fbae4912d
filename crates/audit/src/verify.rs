//! The verifier: recomputes everything from the rows and needs neither the vault nor a key to read them.

use std::path::Path;

use rusqlite::Connection;
use touchkeep_container::note::VerifyKey;

use crate::{
    checkpoint::Checkpoint,
    error::VerifyError,
    schema::{self, APPLICATION_ID, Description, ROW_INDEXES, VERSION},
    tree::{Frontier, Head},
    walk::{Damage, Stop, What, blame, walk},
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
/// `expected`, a head that is known from elsewhere (a commit of the vault).
///
/// Without keys the signatures are not looked at, and nothing counts as signed.
///
/// # Errors
/// When there is no such file, or it cannot be read for a reason that says nothing of the log. A file that is none is a
/// damaged log.
pub fn verify(
    path: &Path,
    keys: &[VerifyKey],
    expected: Option<&Head>,
) -> Result<Verdict, VerifyError> {
    let not_found = |_| VerifyError::NotFound(path.to_owned());
    let whole = std::fs::canonicalize(path).map_err(not_found)?;
    std::fs::File::open(&whole).map_err(not_found)?;
    let opened = schema::open_to_read(&whole).and_then(|db| Ok((schema::format(&db)?, db)));
    let checked = match opened {
        Ok(((APPLICATION_ID, found), _)) if found > VERSION => {
            return Err(VerifyError::TooNew { found });
        }
        Ok(((APPLICATION_ID, VERSION), db)) => check(&db, keys, expected),
        Ok(_) => Err(Damage::of_file(What::Schema).into()),
        Err(error) => Err(blame(error, None)),
    };
    checked.or_else(|stop| match stop {
        Stop::Damaged(damage) => Ok(Verdict::Damaged(damage)),
        Stop::Failed(error) => Err(VerifyError::Storage(error)),
    })
}

fn check(db: &Connection, keys: &[VerifyKey], expected: Option<&Head>) -> Result<Verdict, Stop> {
    let of_file = |error| blame(error, None);
    // One snapshot, so that a log that is being added to is not taken for a damaged one.
    let db = db.unchecked_transaction().map_err(of_file)?;
    let description = Description::load(&db).map_err(of_file)?;
    let mut anchors = checkpoints(&db, &description, keys).map_err(of_file)?;
    let signed = anchors
        .iter()
        .filter(|anchor| !keys.is_empty() && anchor.head.is_some());
    let signed = signed.map(|anchor| anchor.size).max().unwrap_or(0);
    anchors.extend(expected.map(|head| Anchor {
        size: head.size,
        head: Some(*head),
    }));
    anchors.sort_by_key(|anchor| anchor.size);

    let mut ahead = anchors.iter().peekable();
    let mut vouched = 0;
    let mut at_size = |edge: &Frontier| {
        while let Some(anchor) = ahead.next_if(|anchor| anchor.size <= edge.size()) {
            anchor.check(edge, vouched)?;
            vouched = anchor.size;
        }
        Ok(())
    };
    let walked = walk(&db, &description, Frontier::default(), &mut at_size)?;
    let size = walked.edge.size();
    if let Some(last) = anchors.last().filter(|last| last.size > size) {
        return Err(Damage::at(
            size + 1,
            What::Cut {
                expected: last.size,
            },
        )
        .into());
    }
    check_views(&db, walked.sessions)?;
    let head = walked.edge.head();
    Ok(Verdict::Sound { head, signed })
}

// A size at which the root is known from elsewhere; without a head, one that somebody only claims to know.
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
    let mut statement = db.prepare("SELECT size, note FROM checkpoint NOT INDEXED ORDER BY id")?;
    let rows = statement.query_map([], |row| {
        let (size, note): (i64, String) = (row.get(0)?, row.get(1)?);
        let size = u64::try_from(size).unwrap_or(0);
        let read = if keys.is_empty() {
            Checkpoint::parse(&note)
        } else {
            Checkpoint::verify(&note, keys)
        };
        let ours = read
            .ok()
            .filter(|found| found.origin == description.origin && found.head.size == size);
        Ok(Anchor {
            size,
            head: ours.map(|found| found.head),
        })
    })?;
    rows.collect()
}

// The rows are right. Does everybody get to see them? SQLite compares each index with its table, entry by entry; which row
// is hidden is sought only where one is.
fn check_views(db: &Connection, sessions: u64) -> Result<(), Stop> {
    let of_file = |error| blame(error, None);
    if !schema::is_ours(db).map_err(of_file)? {
        return Err(Damage::of_file(What::Schema).into());
    }
    let report: String = db
        .query_one("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(of_file)?;
    if report != "ok" {
        for (index, column, shown) in ROW_INDEXES {
            if let Some(seq) = first_hidden(db, index, column, shown).map_err(of_file)? {
                return Err(Damage::at(seq, What::Hidden { index }).into());
            }
        }
        return Err(Damage::of_file(What::File(report)).into());
    }
    let kept: u64 = db
        .query_one("SELECT count(*) FROM session", [], |row| row.get(0))
        .map_err(of_file)?;
    if kept != sessions {
        let extra = format!("{kept} sessions, and rows of {sessions}");
        return Err(Damage::of_file(What::File(extra)).into());
    }
    Ok(())
}

// The first row that the index has otherwise than the table has it. Both are read whole, each from its own pages.
fn first_hidden(
    db: &Connection,
    index: &str,
    column: &str,
    shown: &str,
) -> rusqlite::Result<Option<u64>> {
    let table = format!("SELECT {column} AS value, seq FROM row NOT INDEXED WHERE {shown}");
    let listed = format!("SELECT {column} AS value, seq FROM row INDEXED BY {index} WHERE {shown}");
    let first = db.query_one(
        &format!(
            "SELECT min(seq) FROM (SELECT * FROM ({table} EXCEPT {listed}) UNION ALL SELECT * FROM ({listed} EXCEPT {table}))"
        ),
        [],
        |row| row.get::<_, Option<i64>>(0),
    )?;
    Ok(first.map(|seq| u64::try_from(seq).unwrap_or(0)))
}
