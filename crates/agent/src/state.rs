//! What the agent remembers between its lives and no vault needs to know: its port, reminders that were raised, when a
//! client was last seen, the last number of each key whose venue counts requests. Plain SQLite; nothing in it is secret.
//! Losing it costs a repeated reminder; numbers begin again at the time, which is above them unless the clock was set back.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use touchkeep_core::{ClientId, Id, ItemId, UnixMillis, VaultId};
use touchkeep_device_pkcs11::ModuleFile;
use touchkeep_pipeline::Series;

/// The shape of the tables. An older program refuses a newer file.
const VERSION: i64 = 5;
const TABLES: &str = "
    CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE reminded (item TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
    CREATE TABLE module (path TEXT PRIMARY KEY, sha256 TEXT) STRICT;
    CREATE TABLE nonce (item TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;
    CREATE TABLE number (series TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;
    CREATE TABLE seen (client TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
    CREATE TABLE reminded_of_expiry (item TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
";

/// What makes a file of version 1, then 2, … one of the next.
const STEPS: [&str; 4] = [
    "ALTER TABLE module ADD COLUMN sha256 TEXT;",
    "CREATE TABLE nonce (item TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;",
    "CREATE TABLE reminded_of_expiry (item TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;",
    "CREATE TABLE number (series TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;",
];

/// The open database.
pub(crate) struct State(Mutex<Connection>);

/// The database cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// SQLite refused.
    #[error("the agent's state cannot be read or written: {0}")]
    Database(#[from] rusqlite::Error),
    /// Made by a newer program.
    #[error("the agent's state is of version {0}, and this program knows {VERSION}")]
    TooNew(i64),
}

impl State {
    pub(crate) fn open(path: &Path) -> Result<Self, StateError> {
        let mut db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        // A number that was given out must be known after a power cut.
        db.pragma_update(None, "synchronous", "FULL")?;
        // Another agent may be writing: then this one waits, and does not fail half-way.
        let before = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        match before.query_row("PRAGMA user_version", [], |row| row.get(0))? {
            VERSION => {}
            0 => before.execute_batch(TABLES)?,
            older @ 1..VERSION => {
                for step in STEPS.iter().skip(usize::try_from(older - 1).unwrap_or(0)) {
                    before.execute_batch(step)?;
                }
            }
            newer => return Err(StateError::TooNew(newer)),
        }
        before.pragma_update(None, "user_version", VERSION)?;
        before.commit()?;
        Ok(Self(Mutex::new(db)))
    }

    /// The port that the proxy had, so that bots find it again.
    pub(crate) fn proxy_port(&self) -> Option<u16> {
        let value = self
            .lock()
            .query_row(
                "SELECT value FROM fact WHERE name = 'proxy_port'",
                [],
                |row| row.get::<_, String>(0),
            )
            .optional();
        value.ok().flatten()?.parse().ok()
    }

    pub(crate) fn keep_proxy_port(&self, port: u16) -> Result<(), StateError> {
        self.lock().execute(
            "INSERT INTO fact VALUES ('proxy_port', ?1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [port.to_string()],
        )?;
        Ok(())
    }

    /// The vault that was used last.
    pub(crate) fn vault(&self) -> Option<PathBuf> {
        let value = self
            .lock()
            .query_row("SELECT value FROM fact WHERE name = 'vault'", [], |row| {
                row.get::<_, String>(0)
            })
            .optional();
        value.ok().flatten().map(PathBuf::from)
    }

    pub(crate) fn keep_vault(&self, path: &Path) -> Result<(), StateError> {
        self.lock().execute(
            "INSERT INTO fact VALUES ('vault', ?1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [path.to_string_lossy()],
        )?;
        Ok(())
    }

    /// The id of the log that this machine keeps for a vault.
    pub(crate) fn log(&self, vault: VaultId) -> Option<Id> {
        let value = self
            .lock()
            .query_row(
                "SELECT value FROM fact WHERE name = ?1",
                [format!("log.{vault}")],
                |row| row.get::<_, String>(0),
            )
            .optional();
        value.ok().flatten()?.parse().ok()
    }

    /// Keeps it, where none is kept yet.
    pub(crate) fn keep_log(&self, vault: VaultId, log: Id) -> Result<(), StateError> {
        self.lock().execute(
            "INSERT OR IGNORE INTO fact VALUES (?1, ?2)",
            [format!("log.{vault}"), log.to_string()],
        )?;
        Ok(())
    }

    /// The next number of a key: above all that were given out before, and at least `floor`. It is on disk when this returns.
    ///
    /// Older programs counted by item, in the table `nonce`. Whose key that was is not known before the vault is open, so that
    /// their numbers are looked at here.
    pub(crate) fn next_nonce(
        &self,
        item: ItemId,
        series: Series,
        floor: u64,
    ) -> Result<u64, StateError> {
        let mut db = self.lock();
        // SQLite gives the row before it writes it down: without an end of its own, nobody would hear that it could not.
        let writes = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let next = writes.query_row(
            "INSERT INTO number
             VALUES (?1, max(?2, coalesce((SELECT last + 1 FROM nonce WHERE item = ?3), 0)))
             ON CONFLICT (series) DO UPDATE SET last = max(last + 1, excluded.last)
             RETURNING last",
            params![series.to_string(), floor, item.to_string()],
            |row| row.get(0),
        )?;
        writes.commit()?;
        Ok(next)
    }

    /// When somebody was last reminded of this key.
    pub(crate) fn last_reminded(&self, item: ItemId) -> Option<UnixMillis> {
        self.time("SELECT at FROM reminded WHERE item = ?1", &item.to_string())
    }

    pub(crate) fn reminded(&self, item: ItemId, at: UnixMillis) -> Result<(), StateError> {
        self.lock().execute(
            "INSERT INTO reminded VALUES (?1, ?2) ON CONFLICT (item) DO UPDATE SET at = excluded.at",
            params![item.to_string(), sql_time(at)],
        )?;
        Ok(())
    }

    /// When somebody was last reminded that this key ends.
    pub(crate) fn last_reminded_of_expiry(&self, item: ItemId) -> Option<UnixMillis> {
        let sql = "SELECT at FROM reminded_of_expiry WHERE item = ?1";
        self.time(sql, &item.to_string())
    }

    pub(crate) fn reminded_of_expiry(
        &self,
        item: ItemId,
        at: UnixMillis,
    ) -> Result<(), StateError> {
        self.lock().execute(
            "INSERT INTO reminded_of_expiry VALUES (?1, ?2) ON CONFLICT (item) DO UPDATE SET at = excluded.at",
            params![item.to_string(), sql_time(at)],
        )?;
        Ok(())
    }

    /// PKCS#11 modules whose tokens were enrolled, as they were then.
    pub(crate) fn modules(&self) -> Vec<ModuleFile> {
        let db = self.lock();
        let Ok(mut statement) = db.prepare("SELECT path, sha256 FROM module ORDER BY path") else {
            return Vec::new();
        };
        let rows = statement.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
        });
        let module = |(path, hash): (String, Option<String>)| ModuleFile {
            sha256: hash.and_then(|hash| hash.try_into().ok()),
            ..ModuleFile::from(PathBuf::from(path))
        };
        rows.map(|rows| rows.flatten().map(module).collect())
            .unwrap_or_default()
    }

    /// Keeps a module as it is now; from then on another file in its place is refused.
    pub(crate) fn keep_module(&self, path: &Path, hash: &str) -> Result<(), StateError> {
        self.lock().execute(
            "INSERT INTO module VALUES (?1, ?2) ON CONFLICT (path) DO UPDATE SET sha256 = excluded.sha256",
            params![path.to_string_lossy(), hash],
        )?;
        Ok(())
    }

    pub(crate) fn saw_client(&self, client: ClientId, at: UnixMillis) -> Result<(), StateError> {
        self.lock().execute(
            "INSERT INTO seen VALUES (?1, ?2) ON CONFLICT (client) DO UPDATE SET at = excluded.at",
            params![client.to_string(), sql_time(at)],
        )?;
        Ok(())
    }

    pub(crate) fn last_seen(&self, client: ClientId) -> Option<UnixMillis> {
        self.time("SELECT at FROM seen WHERE client = ?1", &client.to_string())
    }

    fn time(&self, query: &str, id: &str) -> Option<UnixMillis> {
        let at = self
            .lock()
            .query_row(query, [id], |row| row.get::<_, i64>(0))
            .optional();
        at.ok()
            .flatten()
            .and_then(|at| u64::try_from(at).ok())
            .map(UnixMillis)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sql_time(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn it_is_remembered_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sqlite");
        let (item, client) = (ItemId::random(), ClientId::random());
        {
            let state = State::open(&path).unwrap();
            assert_eq!(state.proxy_port(), None);
            state.keep_proxy_port(4711).unwrap();
            state.reminded(item, UnixMillis(5)).unwrap();
            state.reminded_of_expiry(item, UnixMillis(7)).unwrap();
            state
                .keep_module(Path::new("/a.so"), &"ab".repeat(32))
                .unwrap();
            state.saw_client(client, UnixMillis(9)).unwrap();
        }
        let state = State::open(&path).unwrap();
        assert_eq!(state.proxy_port(), Some(4711));
        assert_eq!(state.last_reminded(item), Some(UnixMillis(5)));
        assert_eq!(state.last_reminded_of_expiry(item), Some(UnixMillis(7)));
        let [module] = &state.modules()[..] else {
            panic!("one module")
        };
        assert_eq!(module.path, PathBuf::from("/a.so"));
        assert_eq!(module.sha256.unwrap().to_string(), "ab".repeat(32));
        assert_eq!(state.last_seen(client), Some(UnixMillis(9)));
        assert_eq!(state.last_seen(ClientId::random()), None);
    }

    #[test]
    fn an_older_shape_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sqlite");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(
            "CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
             CREATE TABLE reminded (item TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
             CREATE TABLE module (path TEXT PRIMARY KEY) STRICT;
             CREATE TABLE seen (client TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
             INSERT INTO module VALUES ('/old.so'); INSERT INTO fact VALUES ('proxy_port', '7');
             PRAGMA user_version = 1;",
        )
        .unwrap();
        drop(db);
        let state = State::open(&path).unwrap();
        assert_eq!(state.proxy_port(), Some(7));
        assert_eq!(
            state.modules(),
            [ModuleFile::from(PathBuf::from("/old.so"))]
        );
        drop(state);
        assert_eq!(State::open(&path).unwrap().modules().len(), 1);
    }

    #[test]
    fn a_newer_shape_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sqlite");
        let db = Connection::open(&path).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        drop(db);
        assert!(matches!(State::open(&path), Err(StateError::TooNew(99))));
    }

    #[test]
    fn numbers_of_a_key_rise_over_restarts_and_whatever_the_clock_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sqlite");
        let (item, one) = (ItemId::random(), Series::of("kraken", "one"));
        let mut last = 0;
        // Forwards, standing still, back by a day, and far ahead.
        for floor in [1_000, 1_000, 999, 86_401_000, 5, 1_000_000, 86_402_000] {
            let state = State::open(&path).unwrap();
            let next = state.next_nonce(item, one, floor).unwrap();
            assert!(
                next > last && next >= floor,
                "{next} after {last}, at {floor}"
            );
            last = next;
        }
        let state = State::open(&path).unwrap();
        assert_eq!(
            state
                .next_nonce(item, Series::of("kraken", "other"), 7)
                .unwrap(),
            7,
            "each key counts for itself"
        );
        // Two items of one key are counted as one.
        assert_eq!(
            state.next_nonce(ItemId::random(), one, 5).unwrap(),
            last + 1
        );
    }

    // Where this test's own processes draw.
    const RACE_AT: &str = "TOUCHKEEP_RACE_AT";

    fn drawn(path: &Path) -> Vec<u64> {
        let state = State::open(path).unwrap();
        let (item, series) = (ItemId::random(), Series::of("kraken", "key"));
        let drawn = (0..10).map(|_| state.next_nonce(item, series, 1_000).unwrap());
        let drawn: Vec<u64> = drawn.collect();
        assert!(drawn.is_sorted_by(|a, b| a < b));
        drawn
    }

    // Ten threads and ten processes, a connection and an item each.
    #[test]
    fn no_two_of_many_at_once_get_the_same_number() {
        if let Some(path) = std::env::var_os(RACE_AT) {
            for number in drawn(Path::new(&path)) {
                println!("drawn {number}");
            }
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sqlite");
        drop(State::open(&path).unwrap());
        let this = "state::tests::no_two_of_many_at_once_get_the_same_number";
        let processes = (0..10).map(|_| {
            let mut process = Command::new(std::env::current_exe().unwrap());
            process.args(["--exact", this, "--nocapture"]);
            process.env(RACE_AT, &path).stdout(Stdio::piped());
            process.spawn().unwrap()
        });
        let processes: Vec<_> = processes.collect();
        let threads = (0..10).map(|_| {
            let path = path.clone();
            std::thread::spawn(move || drawn(&path))
        });
        let threads: Vec<_> = threads.collect();
        let mut all: Vec<u64> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        for process in processes {
            let said = process.wait_with_output().unwrap();
            let said = String::from_utf8(said.stdout).unwrap();
            let numbers = said.lines().filter_map(|line| line.strip_prefix("drawn "));
            all.extend(numbers.map(|number| number.parse::<u64>().unwrap()));
        }
        all.sort_unstable();
        assert_eq!(all, (1_000..1_200).collect::<Vec<_>>());
    }

    #[test]
    fn a_file_of_the_first_version_is_taken_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sqlite");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(
            "CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
             CREATE TABLE reminded (item TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
             CREATE TABLE module (path TEXT PRIMARY KEY) STRICT;
             CREATE TABLE seen (client TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
             INSERT INTO module VALUES ('/a.so');
             PRAGMA user_version = 1;",
        )
        .unwrap();
        drop(old);
        let state = State::open(&path).unwrap();
        assert_eq!(state.modules().len(), 1);
        let series = Series::of("kraken", "key");
        assert_eq!(state.next_nonce(ItemId::random(), series, 3).unwrap(), 3);
        assert_eq!(state.last_reminded_of_expiry(ItemId::random()), None);
    }

    #[test]
    fn numbers_that_were_counted_by_item_are_not_gone_below() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sqlite");
        let (low, high) = (ItemId::random(), ItemId::random());
        let old = Connection::open(&path).unwrap();
        old.execute_batch(&format!(
            "CREATE TABLE nonce (item TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;
             INSERT INTO nonce VALUES ('{low}', 500), ('{high}', 900);
             PRAGMA user_version = 4;"
        ))
        .unwrap();
        drop(old);
        let state = State::open(&path).unwrap();
        let series = Series::of("kraken", "key");
        let drawn = |item| state.next_nonce(item, series, 100).unwrap();
        assert_eq!(
            [drawn(low), drawn(high), drawn(low), drawn(high)],
            [501, 901, 902, 903]
        );
    }
}
