//! Appending: one transaction for all that waits, durable before anybody is answered.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, OptionalExtension};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use touchkeep_core::{Clock, UnixMillis};

use crate::{
    error::RecordError,
    event::{Decision, Event, Kind},
    index::{follow_intents, open_intents, write_full_block},
    row::{Clear, Seq},
    schema::{self, Description, Work},
    seal::SessionKey,
    tree::{Frontier, Hash, Head, root_of},
};

/// Bytes that the body of one row may have.
pub const MAX_BODY_BYTES: usize = 64 << 10;
/// How far the clock may go back before a row says so.
const CLOCK_BACK_MS: u64 = 2_000;

/// A row that is to be.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    kind: Kind,
    decision: Decision,
    closes: Option<Seq>,
    item_tag: Option<Vec<u8>>,
    client_tag: Option<Vec<u8>>,
    body: Vec<u8>,
}

impl Draft {
    pub(crate) fn of(
        event: &Event,
        closes: Option<Seq>,
        item_tag: Option<Vec<u8>>,
        client_tag: Option<Vec<u8>>,
    ) -> Result<Self, RecordError> {
        let body = serde_json::to_vec(event).map_err(|_| RecordError::TooLarge)?;
        if body.len() > MAX_BODY_BYTES {
            return Err(RecordError::TooLarge);
        }
        Ok(Self {
            kind: event.kind,
            decision: event.decision,
            closes,
            item_tag,
            client_tag,
            body,
        })
    }
}

/// The one connection that writes.
pub(crate) struct Writer {
    db: Connection,
    files: Files,
    description: Arc<Description>,
    recipient: age::x25519::Recipient,
    tip: Tip,
    session: Option<Session>,
}

/// What an append needs to know of the rows before.
#[derive(Clone)]
struct Tip {
    edge: Frontier,
    last_ms: u64,
    /// Intents without an outcome.
    open: BTreeSet<Seq>,
}

struct Session {
    id: u64,
    hash: Hash,
    key: SessionKey,
}

impl Writer {
    pub(crate) fn new(
        db: Connection,
        path: &Path,
        description: Arc<Description>,
        recipient: age::x25519::Recipient,
        edge: Frontier,
    ) -> Result<Self, RecordError> {
        // Takes the write lock once, so that the write-ahead log exists and `files` can tell when it is taken away.
        db.execute_batch("BEGIN IMMEDIATE; COMMIT")
            .map_err(storage)?;
        let tip = Tip {
            edge,
            last_ms: last_ms(&db).map_err(storage)?,
            open: open_intents(&db).map_err(storage)?,
        };
        Ok(Self {
            files: Files::at(path)?,
            db,
            description,
            recipient,
            tip,
            session: None,
        })
    }

    /// The head over all rows that are on disk.
    pub(crate) fn head(&self) -> Head {
        self.tip.edge.head()
    }

    pub(crate) fn db(&self) -> &Connection {
        &self.db
    }

    /// Appends all of them in one transaction, in this order. A draft that closes what cannot be closed is refused by
    /// itself; any other failure refuses all.
    pub(crate) fn append(
        &mut self,
        drafts: &[Draft],
        clock: &dyn Clock,
    ) -> Result<Vec<Result<Seq, RecordError>>, RecordError> {
        let done = self.try_append(drafts, clock);
        if done.is_err() {
            // What was written may be on disk in part, under row numbers that will be used again: see `SessionKey`.
            self.session = None;
        }
        done
    }

    fn try_append(
        &mut self,
        drafts: &[Draft],
        clock: &dyn Clock,
    ) -> Result<Vec<Result<Seq, RecordError>>, RecordError> {
        self.files.are_in_place()?;
        let work = Work::begin(&self.db, "BEGIN IMMEDIATE").map_err(storage)?;
        // Only now: whoever waited long for his turn would seem to have a clock that went back.
        let now = clock.now();
        catch_up(&work, &mut self.tip)?;
        let mut fresh = None;
        let session = match &self.session {
            Some(session) => session,
            None => fresh.insert(self.begin_session(&work, now)?),
        };
        let mut adding = Adding {
            db: &work,
            session,
            now,
            edge: self.tip.edge.clone(),
            opened: BTreeSet::new(),
            closed: BTreeSet::new(),
        };
        if now.0.saturating_add(CLOCK_BACK_MS) < self.tip.last_ms {
            adding.insert(&clock_back(self.tip.last_ms, now)?)?;
        }
        let mut answers = Vec::with_capacity(drafts.len());
        for draft in drafts {
            answers.push(match adding.closable(&self.tip.open, draft.closes)? {
                Ok(()) => Ok(adding.insert(draft)?),
                Err(refused) => Err(refused),
            });
        }
        let refused_all = answers.iter().all(Result::is_err);
        if refused_all {
            return Ok(answers); // rolls back, the unused session with it
        }
        let Adding {
            edge,
            opened,
            closed,
            ..
        } = adding;
        work.commit().map_err(storage)?;
        self.tip.edge = edge;
        self.tip.last_ms = now.0;
        self.tip.open.extend(opened);
        for intent in closed {
            self.tip.open.remove(&intent);
        }
        if fresh.is_some() {
            self.session = fresh;
        }
        Ok(answers)
    }

    /// Intents without an outcome, oldest first.
    pub(crate) fn unfinished(&mut self) -> Result<Vec<Seq>, RecordError> {
        let work = Work::begin(&self.db, "BEGIN").map_err(storage)?;
        catch_up(&work, &mut self.tip)?;
        Ok(self.tip.open.iter().copied().collect())
    }

    fn begin_session(&self, db: &Connection, now: UnixMillis) -> Result<Session, RecordError> {
        let (key, file) =
            SessionKey::generate(&self.recipient).map_err(|_| RecordError::Encryption)?;
        let id = db
            .query_one("SELECT coalesce(max(id), 0) + 1 FROM session", [], |row| {
                row.get(0)
            })
            .map_err(storage)?;
        db.execute(
            "INSERT INTO session (id, started_ms, key) VALUES (?1, ?2, ?3)",
            (id, now.0, &file),
        )
        .map_err(storage)?;
        let hash = self.description.session_hash(id, now.0, &file);
        Ok(Session { id, hash, key })
    }
}

/// One transaction's rows.
struct Adding<'a> {
    db: &'a Connection,
    session: &'a Session,
    now: UnixMillis,
    edge: Frontier,
    opened: BTreeSet<Seq>,
    closed: BTreeSet<Seq>,
}

impl Adding<'_> {
    fn insert(&mut self, draft: &Draft) -> Result<Seq, RecordError> {
        let clear = Clear {
            seq: self.edge.size() + 1,
            time_ms: self.now.0,
            kind: Cow::Borrowed(draft.kind.as_str()),
            decision: Cow::Borrowed(draft.decision.as_str()),
            session: self.session.id,
            closes: draft.closes,
            item_tag: draft.item_tag.as_deref().map(Cow::Borrowed),
            client_tag: draft.client_tag.as_deref().map(Cow::Borrowed),
        };
        let mut bytes = clear.to_bytes(&self.session.hash);
        let key = self.session.key.row(clear.seq);
        let body = key
            .seal(&bytes, &draft.body)
            .map_err(|_| RecordError::Encryption)?;
        let leaf = clear.leaf(&self.session.hash, &body, &mut bytes);
        let mut hashes = Vec::with_capacity(64);
        self.edge.push(leaf, |hash| hashes.extend_from_slice(hash));
        self.write(&clear, &hashes, &body).map_err(storage)?;
        if draft.kind.opens() {
            self.opened.insert(clear.seq);
        }
        self.closed.extend(draft.closes);
        Ok(clear.seq)
    }

    fn write(&self, clear: &Clear<'_>, hashes: &[u8], body: &[u8]) -> rusqlite::Result<()> {
        let mut row = self.db.prepare_cached(
            "INSERT INTO row (seq, time_ms, kind, decision, session, closes, item_tag, client_tag, hashes, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        row.execute((
            clear.seq,
            clear.time_ms,
            &*clear.kind,
            &*clear.decision,
            clear.session,
            clear.closes,
            clear.item_tag.as_deref(),
            clear.client_tag.as_deref(),
            hashes,
            body,
        ))?;
        write_full_block(self.db, clear.seq)
    }

    fn closable(
        &self,
        open: &BTreeSet<Seq>,
        closes: Option<Seq>,
    ) -> Result<Result<(), RecordError>, RecordError> {
        let Some(seq) = closes else {
            return Ok(Ok(()));
        };
        let is_open = open.contains(&seq) || self.opened.contains(&seq);
        if is_open && !self.closed.contains(&seq) {
            return Ok(Ok(()));
        }
        let kind: Option<String> = self
            .db
            .prepare_cached("SELECT kind FROM row WHERE seq = ?1")
            .and_then(|mut row| row.query_one([seq], |row| row.get(0)).optional())
            .map_err(storage)?;
        Ok(Err(
            if kind.as_deref().and_then(Kind::of).is_some_and(Kind::opens) {
                RecordError::AlreadyClosed(seq)
            } else {
                RecordError::NotAnIntent(seq)
            },
        ))
    }
}

// Another process may have appended meanwhile. It may only have added: rows that were there must be there.
fn catch_up(db: &Connection, tip: &mut Tip) -> Result<(), RecordError> {
    let (size, had) = (schema::size(db).map_err(storage)?, tip.edge.size());
    if size == had {
        return Ok(());
    }
    let read = |level, index| schema::node(db, level, index);
    let same = size > had && root_of(had, read).is_ok_and(|root| root == tip.edge.head().root);
    if !same {
        return Err(RecordError::Changed { had, has: size });
    }
    tip.edge = Frontier::load(size, read).map_err(storage)?;
    tip.last_ms = last_ms(db).map_err(storage)?;
    follow_intents(db, had, &mut tip.open).map_err(storage)
}

fn clock_back(from_ms: u64, to: UnixMillis) -> Result<Draft, RecordError> {
    let event = Event::new(Kind::ClockBack, Decision::Info)
        .text("The clock went back")
        .detail("from_ms", from_ms.to_string())
        .detail("to_ms", to.0.to_string());
    Draft::of(&event, None, None, None)
}

fn last_ms(db: &Connection) -> rusqlite::Result<u64> {
    let last = db
        .prepare_cached("SELECT time_ms FROM row ORDER BY seq DESC LIMIT 1")?
        .query_one([], |row| row.get(0))
        .optional()?;
    Ok(last.unwrap_or(0))
}

/// A row in a file that nobody can find again is no record: before each append, the database and its write-ahead log must
/// still be what stands at their paths.
struct Files([(PathBuf, Identity); 2]);

type Identity = (u32, u32, u64);

impl Files {
    fn at(path: &Path) -> Result<Self, RecordError> {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        let seen = |path: PathBuf| {
            let identity = identity(&path).map_err(|_| RecordError::Replaced)?;
            Ok((path, identity))
        };
        Ok(Self([seen(path.to_owned())?, seen(PathBuf::from(wal))?]))
    }

    fn are_in_place(&self) -> Result<(), RecordError> {
        let mut files = self.0.iter();
        files
            .all(|(path, seen)| identity(path).is_ok_and(|now| now == *seen))
            .then_some(())
            .ok_or(RecordError::Replaced)
    }
}

// Asks for nothing but the number: once somebody has looked at a file's times, Linux gives the next write to it an exact one,
// and to sync a file with a new time costs a third more.
fn identity(path: &Path) -> io::Result<Identity> {
    let found = statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::INO)?;
    Ok((found.stx_dev_major, found.stx_dev_minor, found.stx_ino))
}

fn storage(error: rusqlite::Error) -> RecordError {
    RecordError::Storage(Arc::new(error))
}
