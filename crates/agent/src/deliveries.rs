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
mod tests {
    use aws_lc_rs::hmac;
    use data_encoding::HEXLOWER;
    use touchkeep_core::ApiSecret;
    use touchkeep_webhook::{Key, Presented, Scheme, Tolerance};

    use super::*;

    const SECRET: &str = "whsec_of_the_test";
    const WINDOW: u64 = 300_000;

    // Signed at that second.
    fn stripe(sent: u64, body: &str) -> Genuine {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let signature = hmac::sign(&key, format!("{sent}.{body}").as_bytes());
        let value = format!("t={sent},v1={}", HEXLOWER.encode(signature.as_ref()));
        judged(Scheme::Stripe, &[("Stripe-Signature", &value)], body, sent)
    }

    fn github(id: &str, body: &str) -> Genuine {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let signature = hmac::sign(&key, body.as_bytes());
        let value = format!("sha256={}", HEXLOWER.encode(signature.as_ref()));
        let headers = [("X-Hub-Signature-256", &*value), ("X-GitHub-Delivery", id)];
        judged(Scheme::Github, &headers, body, 0)
    }

    fn judged(scheme: Scheme, headers: &[(&str, &str)], body: &str, now: u64) -> Genuine {
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        let key = Key::read(scheme, &ApiSecret::new(SECRET.into())).unwrap();
        Presented::read(scheme, &headers, body.as_bytes())
            .unwrap()
            .judge(&key, Tolerance::USUAL, UnixMillis(now * 1000))
            .unwrap()
    }

    struct Memory {
        kept: Deliveries,
        item: ItemId,
        _folder: tempfile::TempDir,
    }

    impl Memory {
        fn of(max: u32) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut kept = Deliveries::new(folder.path().join("webhooks.sqlite"));
            kept.max = max;
            Self {
                kept,
                item: ItemId::random(),
                _folder: folder,
            }
        }

        fn take(&self, genuine: &Genuine, now_ms: u64) -> Taken {
            let now = UnixMillis(now_ms);
            let taken = self.kept.take(self.item, genuine, false, now, |_| Ok(()));
            taken.unwrap()
        }

        fn restart(&mut self) {
            let (path, max) = (self.kept.path.clone(), self.kept.max);
            self.kept = Deliveries::new(path);
            self.kept.max = max;
        }

        fn count(&self, table: &str) -> u32 {
            let db = Connection::open(&self.kept.path).unwrap();
            let count = format!("SELECT COUNT(*) FROM {table}");
            db.query_row(&count, [], |row| row.get(0)).unwrap()
        }
    }

    #[test]
    fn a_delivery_is_taken_once_over_restarts_and_by_each_item() {
        let mut memory = Memory::of(MAX_KEPT);
        let one = stripe(1_000, r#"{"id":"evt_1"}"#);
        assert_eq!(memory.take(&one, 1_000_000), Taken::Fresh);
        memory.restart();
        assert_eq!(
            memory.take(&one, 1_000_001),
            Taken::Replayed(UnixMillis(1_000_000))
        );
        memory.item = ItemId::random();
        assert_eq!(memory.take(&one, 1_000_002), Taken::Fresh);
    }

    #[test]
    fn a_retry_is_signed_anew_and_taken_where_that_is_wanted() {
        let memory = Memory::of(MAX_KEPT);
        let body = r#"{"id":"evt_1"}"#;
        assert_eq!(memory.take(&stripe(1_000, body), 1_000_000), Taken::Fresh);
        let retry = stripe(5_000, body);
        assert_eq!(
            memory.take(&retry, 5_000_000),
            Taken::Repeated(UnixMillis(1_000_000))
        );
        let now = UnixMillis(5_000_000);
        let wanted = |one| {
            memory
                .kept
                .take(memory.item, one, true, now, |_| Ok(()))
                .unwrap()
        };
        let first = UnixMillis(1_000_000);
        assert_eq!(wanted(&retry), Taken::Retried(first));
        assert_eq!(wanted(&retry), Taken::Replayed(now));
    }

    #[test]
    fn an_id_comes_to_its_end() {
        let memory = Memory::of(MAX_KEPT);
        let body = r#"{"id":"evt_1"}"#;
        assert_eq!(memory.take(&stripe(1_000, body), 1_000_000), Taken::Fresh);
        let end = 1_000_000 + IDS_DAYS * DAY_MS;
        let later = stripe(end / 1000, body);
        let repeated = Taken::Repeated(UnixMillis(1_000_000));
        assert_eq!(memory.take(&later, end - 1), repeated);
        assert_eq!(memory.take(&later, end), Taken::Fresh);
    }

    #[test]
    fn githubs_unsigned_id_and_its_body_are_both_remembered() {
        let memory = Memory::of(MAX_KEPT);
        assert_eq!(memory.take(&github("a", "one"), 1), Taken::Fresh);
        assert_eq!(
            memory.take(&github("b", "one"), 2),
            Taken::Replayed(UnixMillis(1))
        );
        assert_eq!(
            memory.take(&github("a", "two"), 3),
            Taken::Repeated(UnixMillis(1))
        );
        let later = UNTIMED_DAYS * DAY_MS;
        assert_eq!(
            memory.take(&github("b", "one"), later),
            Taken::Replayed(UnixMillis(1))
        );
    }

    #[test]
    fn what_is_forgotten_is_not_taken_when_the_clock_is_turned_back() {
        let memory = Memory::of(MAX_KEPT);
        let (first, second) = (stripe(1_000, "a"), stripe(9_000, "b"));
        assert_eq!(memory.take(&first, 1_000_000), Taken::Fresh);
        // At the window's end it is still remembered; just after it is forgotten, and was refused by its time before.
        assert_eq!(
            memory.take(&first, 1_000_000 + WINDOW),
            Taken::Replayed(UnixMillis(1_000_000))
        );
        assert_eq!(memory.take(&second, 9_000_000), Taken::Fresh);
        assert_eq!(memory.count(MESSAGES), 1);
        assert_eq!(memory.take(&first, 1_000_000), Taken::Forgotten);
        assert_eq!(
            memory.take(&stripe(999, "never seen"), 1_000_000),
            Taken::Forgotten
        );
        assert_eq!(
            memory.take(&stripe(1_001, "never seen"), 1_000_000),
            Taken::Fresh
        );
    }

    #[test]
    fn more_than_is_kept_makes_room_and_lets_no_replay_in() {
        let memory = Memory::of(50);
        let all: Vec<_> = (0..520)
            .map(|n| stripe(1_000 + n / 4, &format!("{n}")))
            .collect();
        let taken = all
            .iter()
            .filter(|one| memory.take(one, 1_150_000) == Taken::Fresh);
        assert_eq!(taken.count(), 520);
        assert!(memory.count(MESSAGES) < 520, "room was made");
        for one in &all {
            assert_ne!(memory.take(one, 1_150_000), Taken::Fresh);
        }
    }

    #[test]
    fn what_cannot_be_recorded_is_not_taken_and_may_come_again() {
        let memory = Memory::of(MAX_KEPT);
        let one = stripe(1_000, "a");
        let full = |_| Err(Failure::new(Code::AuditFailed, "full", "Make room."));
        let now = UnixMillis(1_000_000);
        let taken = memory.kept.take(memory.item, &one, false, now, full);
        assert_eq!(taken.unwrap_err().code, Code::AuditFailed);
        assert_eq!(memory.take(&one, 1_000_000), Taken::Fresh);
        // And one that was seen is not recorded as taken.
        let recorded = |_| panic!("it was not taken");
        let taken = memory.kept.take(memory.item, &one, false, now, recorded);
        assert_eq!(taken.unwrap(), Taken::Replayed(now));
    }

    #[test]
    fn of_ten_at_once_one_is_fresh() {
        let memory = Memory::of(MAX_KEPT);
        let one = stripe(1_000, "a");
        let fresh = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..10)
                .map(|_| scope.spawn(|| memory.take(&one, 1_000_000)))
                .collect();
            let taken = threads.into_iter().map(|thread| thread.join().unwrap());
            taken.filter(|taken| *taken == Taken::Fresh).count()
        });
        assert_eq!(fresh, 1);
    }

    #[test]
    fn a_newer_shape_and_a_file_that_is_none_take_nothing() {
        let memory = Memory::of(MAX_KEPT);
        let one = stripe(1_000, "a");
        let take = || {
            memory
                .kept
                .take(memory.item, &one, false, UnixMillis(1), |_| Ok(()))
        };
        let db = Connection::open(&memory.kept.path).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        assert_eq!(take().unwrap_err().code, Code::TooNew);
        drop(db);
        std::fs::write(
            &memory.kept.path,
            "not a database, and longer than its header is".repeat(9),
        )
        .unwrap();
        assert_eq!(take().unwrap_err().code, Code::System);
    }
}
