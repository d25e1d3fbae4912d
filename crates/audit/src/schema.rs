//! The database: its shape, and how it is made and opened.

use std::{
    fs::{self, OpenOptions},
    io,
    ops::Deref,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, config::DbConfig};
use touchkeep_core::Id;

use crate::tree::{Hash, plain_hash};

/// `PRAGMA application_id`: "TKAU".
pub(crate) const APPLICATION_ID: i32 = 0x544b_4155;
/// `PRAGMA user_version`. A program refuses a log with a higher one.
pub(crate) const VERSION: i32 = 1;

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

// The triggers are a guard against accidents, not against an owner of the machine; that is what the tree is for.
const SCHEMA: &str = "
CREATE TABLE log (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    origin TEXT NOT NULL,
    recipient TEXT NOT NULL,
    tag_key BLOB NOT NULL
) STRICT;
CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    started_ms INTEGER NOT NULL,
    key BLOB NOT NULL
) STRICT;
CREATE TABLE row (
    seq INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    decision TEXT NOT NULL,
    session INTEGER NOT NULL,
    closes INTEGER,
    item_tag BLOB,
    client_tag BLOB,
    hashes BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE posting (
    word BLOB NOT NULL,
    block INTEGER NOT NULL,
    rows BLOB NOT NULL,
    PRIMARY KEY (word, block)
) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoint (
    id INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,
    note TEXT NOT NULL
) STRICT;
CREATE INDEX checkpoint_size ON checkpoint (size);
";

const TABLES: [&str; 5] = ["log", "session", "row", "posting", "checkpoint"];

/// What a log says of itself, bound into every row through its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) origin: String,
    pub(crate) recipient: String,
    pub(crate) tag_key: Vec<u8>,
}

impl Description {
    /// The hash that stands for a session in its rows.
    pub(crate) fn session_hash(&self, id: u64, started_ms: u64, key: &[u8]) -> Hash {
        let mut bytes = b"touchkeep/audit/session/v1\0".to_vec();
        crate::row::put(&mut bytes, Some(self.origin.as_bytes()));
        crate::row::put(&mut bytes, Some(self.recipient.as_bytes()));
        crate::row::put(&mut bytes, Some(&self.tag_key));
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.extend_from_slice(&started_ms.to_be_bytes());
        crate::row::put(&mut bytes, Some(key));
        plain_hash(&bytes)
    }

    pub(crate) fn load(db: &Connection) -> rusqlite::Result<Self> {
        db.query_one(
            "SELECT origin, recipient, tag_key FROM log WHERE id = 1",
            [],
            |row| {
                Ok(Self {
                    origin: row.get(0)?,
                    recipient: row.get(1)?,
                    tag_key: row.get(2)?,
                })
            },
        )
    }
}

/// Makes the file, readable by its owner alone, with an empty log in it, on disk when this returns. It is made under
/// another name first: what stands at `path` is a whole log or nothing.
pub(crate) fn create(path: &Path, description: &Description) -> Result<Connection, CreateError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let unfinished = folder.join(format!(".audit-{}", Id::random()));
    let made = fill(&unfinished, description).and_then(|()| Ok(fs::hard_link(&unfinished, path)?)); // unlike a rename, it replaces nothing
    fs::remove_file(&unfinished)?;
    made?;
    fs::File::open(folder)?.sync_all()?;
    Ok(open(path)?)
}

fn fill(path: &Path, description: &Description) -> Result<(), CreateError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.execute_batch(&format!(
        "PRAGMA synchronous = FULL; BEGIN IMMEDIATE;
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; {}",
        definition()
    ))?;
    db.execute(
        "INSERT INTO log (id, origin, recipient, tag_key) VALUES (1, ?1, ?2, ?3)",
        (
            &description.origin,
            &description.recipient,
            &description.tag_key,
        ),
    )?;
    db.execute_batch("COMMIT")?;
    db.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Why a file could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    /// The file system.
    #[error(transparent)]
    File(#[from] io::Error),
    /// SQLite.
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
}

fn definition() -> String {
    let guards = TABLES.iter().flat_map(|table| {
        ["UPDATE", "DELETE"].map(|verb| {
            format!(
                "CREATE TRIGGER {table}_no_{} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;\n",
                verb.to_lowercase()
            )
        })
    });
    std::iter::once(SCHEMA.to_owned()).chain(guards).collect()
}

/// A connection for appending.
pub(crate) fn open(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

/// A connection for reading. A log on a medium that cannot be written, which SQLite would refuse for want of a place for
/// its index of the write-ahead log, is read as it is, unless there is a write-ahead log that would be left out.
pub(crate) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let readable = |db: Connection| {
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .map(|()| db)
    };
    let plain = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(readable);
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if plain.is_ok() || Path::new(&wal).exists() || !path.is_absolute() {
        return plain;
    }
    let mut uri = String::from("file:");
    for byte in std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()) {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            _ if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    connect(
        Path::new(&uri),
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
    )
    .and_then(readable)
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    if flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
        db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "secure_delete", "ON")?;
    }
    db.set_prepared_statement_cache_capacity(32);
    Ok(db)
}

/// A transaction, by statements that are kept. Without a commit it is rolled back.
pub(crate) struct Work<'a> {
    db: &'a Connection,
}

impl<'a> Work<'a> {
    pub(crate) fn begin(db: &'a Connection, how: &str) -> rusqlite::Result<Self> {
        db.prepare_cached(how)?.execute([])?;
        Ok(Self { db })
    }

    pub(crate) fn commit(self) -> rusqlite::Result<()> {
        self.db.prepare_cached("COMMIT")?.execute([]).map(drop)
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        if !self.db.is_autocommit() {
            // Where this fails, the next one to begin is told so.
            let rolled_back = self.db.prepare_cached("ROLLBACK");
            let _ = rolled_back.and_then(|mut statement| statement.execute([]));
        }
    }
}

impl Deref for Work<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.db
    }
}

/// Which format the file says it is.
pub(crate) fn format(db: &Connection) -> rusqlite::Result<(i32, i32)> {
    let read = |name| db.pragma_query_value(None, name, |row| row.get(0));
    Ok((read("application_id")?, read("user_version")?))
}

/// Whether tables, indexes and triggers are exactly those that this version makes. A view in the place of a table, or an
/// index over some of the rows, would hide rows from every reader.
pub(crate) fn is_ours(db: &Connection) -> rusqlite::Result<bool> {
    let ours = Connection::open_in_memory()?;
    ours.execute_batch(&definition())?;
    Ok(objects(db)? == objects(&ours)?)
}

type Object = (String, String, String, Option<String>);

fn objects(db: &Connection) -> rusqlite::Result<Vec<Object>> {
    let mut statement = db.prepare(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    rows.collect()
}

/// The number of rows: the last row's.
pub(crate) fn size(db: &Connection) -> rusqlite::Result<u64> {
    let last = db
        .prepare_cached("SELECT seq FROM row ORDER BY seq DESC LIMIT 1")?
        .query_one([], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(u64::try_from(last.unwrap_or(0)).unwrap_or(0))
}

/// A stored subtree: it stands in the row that completes it, after those below it.
pub(crate) fn node(db: &Connection, level: u32, index: u64) -> rusqlite::Result<Hash> {
    let completed_by = (index + 1) << level;
    db.prepare_cached("SELECT substr(hashes, 1 + 32 * ?2, 32) FROM row WHERE seq = ?1")?
        .query_one((completed_by, level), |row| row.get(0))
}
