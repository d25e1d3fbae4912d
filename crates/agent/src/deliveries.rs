//! Which webhooks' deliveries were taken, kept over restarts: SQLite beside the agent's state. Digests and times alone.
//!
//! What must never be forgotten too early is what its own time would not refuse: whatever is forgotten of deliveries with a
//! time leaves a mark behind, and nothing that was signed at that mark or before is taken any more, however the clock is
//! turned. Deliveries without a time have no such mark; they are kept for [`UNTIMED_DAYS`], the newest [`MAX_KEPT`] of an
//! item.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use touchkeep_core::{Code, ItemId, UnixMillis, time::DAY_MS};
use touchkeep_webhook::Genuine;
use touchkeep_wire::Failure;

/// Deliveries of one item that are remembered; the oldest make room.
const MAX_KEPT: u32 = 100_000;
/// Deliveries until it is looked again whether there are too many.
const COUNTED_EVERY: u32 = 500;
/// How long a delivery without a time is remembered.
const UNTIMED_DAYS: u64 = 400;
/// How long the id of a delivery with a time is remembered: senders try again for three days at most.
const IDS_DAYS: u64 = 7;

const VERSION: i64 = 1;
const TABLES: &str = "
    CREATE TABLE message (item TEXT, digest BLOB, at INTEGER NOT NULL, sent INTEGER, until INTEGER NOT NULL,
        PRIMARY KEY (item, digest)) STRICT, WITHOUT ROWID;
    CREATE INDEX message_until ON message (until);
    CREATE TABLE name (item TEXT, digest BLOB, at INTEGER NOT NULL, until INTEGER NOT NULL,
        PRIMARY KEY (item, digest)) STRICT, WITHOUT ROWID;
    CREATE INDEX name_until ON name (until);
    CREATE TABLE forgotten (item TEXT PRIMARY KEY, sent INTEGER NOT NULL) STRICT;
";

const MESSAGES: &str = "message";
const NAMES: &str = "name";
const TABLES_OF: [&str; 2] = [MESSAGES, NAMES];

/// Whether a delivery is new here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is, and is remembered from now on.
    Fresh,
    /// Signed anew by its sender, and remembered from now on; its id was taken then, and that was to be no reason against it.
    Retried(UnixMillis),
    /// The very same signed bytes were taken then.
    Replayed(UnixMillis),
    /// Signed anew by its sender; its id was taken then.
    Repeated(UnixMillis),
    /// Signed at or before what has been forgotten.
    Forgotten,
}

/// The memory of deliveries. The file is opened at the first one.
pub(crate) struct Deliveries {
    path: PathBuf,
    max: u32,
    db: Mutex<Option<Opened>>,
}

struct Opened {
    db: Connection,
    uncounted: u32,
}

impl Deliveries {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            max: MAX_KEPT,
            db: Mutex::new(None),
        }
    }

    /// Takes a delivery, if it is new or a retry that is wanted: it is on disk when this returns, and `record` has been
    /// called in between. One of several at the same time is new. Blocks.
    ///
    /// # Errors
    /// When nothing can be remembered or recorded; then it is not taken.
    pub(crate) fn take(
        &self,
        item: ItemId,
        genuine: &Genuine,
        retries: bool,
        now: UnixMillis,
        record: impl FnOnce(Taken) -> Result<(), Failure>,
    ) -> Result<Taken, Failure> {
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = match &mut *db {
            Some(opened) => opened,
            none => none.insert(open(&self.path)?),
        };
        let one = One::of(item, genuine, now);
        let transaction = opened
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let seen = one.look(&transaction, retries).map_err(failed)?;
        if !matches!(seen, Taken::Fresh | Taken::Retried(_)) {
            return Ok(seen);
        }
        opened.uncounted = opened.uncounted.saturating_sub(1);
        let counts = opened.uncounted == 0;
        one.keep(&transaction, counts.then_some(self.max))
            .map_err(failed)?;
        // First the record, then the memory: a crash between them leaves a delivery that the sender may bring again.
        record(seen)?;
        transaction.commit().map_err(failed)?;
        if counts {
            opened.uncounted = COUNTED_EVERY;
        }
        Ok(seen)
    }
}

fn open(path: &Path) -> Result<Opened, Failure> {
    let opened = || -> rusqlite::Result<(Connection, i64)> {
        let mut db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        let before = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version = before.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version == 0 {
            before.execute_batch(TABLES)?;
            before.pragma_update(None, "user_version", VERSION)?;
        }
        before.commit()?;
        Ok((db, version))
    };
    match opened().map_err(failed)? {
        (db, 0 | VERSION) => Ok(Opened { db, uncounted: 0 }),
        (_, newer) => Err(Failure::new(
            Code::TooNew,
            format!(
                "The memory of webhooks is of version {newer}, and this program knows {VERSION}."
            ),
            "Update Touchkeep.",
        )),
    }
}

/// A delivery as it stands in the tables.
struct One {
    item: String,
    message: [u8; 32],
    name: Option<Vec<u8>>,
    sent: Option<i64>,
    now: i64,
    until: i64,
    name_until: i64,
}

impl One {
    fn of(item: ItemId, genuine: &Genuine, now: UnixMillis) -> Self {
        let name = genuine.id().map(|id| {
            let text = format!("{}\n{id}", genuine.scheme().word());
            digest(&SHA256, text.as_bytes()).as_ref().to_vec()
        });
        let untimed = now.plus_ms(UNTIMED_DAYS * DAY_MS);
        let ids = match genuine.sent() {
            Some(_) => now.plus_ms(IDS_DAYS * DAY_MS),
            None => untimed,
        };
        Self {
            item: item.to_string(),
            message: *genuine.message(),
            name,
            sent: genuine.sent().map(sql),
            now: sql(now),
            until: sql(genuine.until().unwrap_or(untimed)),
            name_until: sql(ids),
        }
    }

    fn look(&self, db: &Transaction<'_>, retries: bool) -> rusqlite::Result<Taken> {
        let seen = |table: &str, digest: &[u8], after: i64| {
            let query =
                format!("SELECT at FROM {table} WHERE item = ?1 AND digest = ?2 AND until > ?3");
            let at = db.query_row(&query, params![self.item, digest, after], |row| row.get(0));
            at.optional().map(|at| at.map(UnixMillis))
        };
        // A message counts for as long as it stands there, an id until its end.
        if let Some(at) = seen(MESSAGES, &self.message, i64::MIN)? {
            return Ok(Taken::Replayed(at));
        }
        let mark = "SELECT sent FROM forgotten WHERE item = ?1";
        let mark: Option<i64> = db
            .query_row(mark, [&self.item], |row| row.get(0))
            .optional()?;
        if self.sent.is_some_and(|sent| Some(sent) <= mark) {
            return Ok(Taken::Forgotten);
        }
        if let Some(name) = &self.name
            && let Some(at) = seen(NAMES, name, self.now)?
        {
            return Ok(if retries {
                Taken::Retried(at)
            } else {
                Taken::Repeated(at)
            });
        }
        Ok(Taken::Fresh)
    }

    fn keep(&self, db: &Transaction<'_>, max: Option<u32>) -> rusqlite::Result<()> {
        for table in TABLES_OF {
            forget(db, table, self.now, None)?;
        }
        if let Some(max) = max {
            self.make_room(db, max)?;
        }
        db.execute(
            "INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5)",
            params![self.item, self.message, self.now, self.sent, self.until],
        )?;
        if let Some(name) = &self.name {
            db.execute(
                "INSERT OR IGNORE INTO name VALUES (?1, ?2, ?3, ?4)",
                params![self.item, name, self.now, self.name_until],
            )?;
        }
        Ok(())
    }

    // A tenth goes at a time, so that it is seldom done.
    fn make_room(&self, db: &Transaction<'_>, max: u32) -> rusqlite::Result<()> {
        for table in TABLES_OF {
            let count = format!("SELECT COUNT(*) FROM {table} WHERE item = ?1");
            let kept: u32 = db.query_row(&count, [&self.item], |row| row.get(0))?;
            if kept < max {
                continue;
            }
            let last = format!(
                "SELECT until FROM {table} WHERE item = ?1 ORDER BY until LIMIT 1 OFFSET ?2"
            );
            let until: i64 =
                db.query_row(&last, params![self.item, kept - max + max / 10], |row| {
                    row.get(0)
                })?;
            forget(db, table, until, Some(&self.item))?;
        }
        Ok(())
    }
}

// Forgets what ends until then, of one item or of all; what is forgotten of deliveries with a time leaves its mark.
fn forget(
    db: &Transaction<'_>,
    table: &str,
    until: i64,
    item: Option<&str>,
) -> rusqlite::Result<()> {
    let which = "until <= ?1 AND (?2 IS NULL OR item = ?2)";
    if table == MESSAGES {
        db.execute(
            &format!(
                "INSERT INTO forgotten SELECT item, MAX(sent) FROM message WHERE {which} AND sent IS NOT NULL GROUP BY item
                 ON CONFLICT (item) DO UPDATE SET sent = MAX(sent, excluded.sent)"
            ),
            params![until, item],
        )?;
    }
    db.execute(
        &format!("DELETE FROM {table} WHERE {which}"),
        params![until, item],
    )?;
    Ok(())
}

fn sql(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

// By value, for `map_err`.
#[expect(clippy::needless_pass_by_value, reason = "the form that map_err wants")]
fn failed(error: rusqlite::Error) -> Failure {
    Failure::new(
        Code::System,
        format!(
            "What was taken of webhooks cannot be read or written, so nothing is taken: {error}."
        ),
        "Check the space and the permissions of the data folder.",
    )
}

#[cfg(test)]
mod tests;
