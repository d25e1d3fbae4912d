//! The log: opened once by the agent, shared by all its threads.

use std::{
    fs,
    future::Future,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use data_encoding::HEXLOWER;
use rusqlite::{Connection, OptionalExtension};
use touchkeep_container::note::VerifyKey;
use touchkeep_core::{Clock, Id, SystemClock};
use touchkeep_policy::{Allowed, ApprovedBy, How};

use crate::{
    bundle,
    checkpoint::{self, Checkpoint, CheckpointSigner, ORIGIN_PREFIX},
    error::{CheckpointError, OpenError, ReadError, RecordError},
    event::{Decision, Event, Kind},
    index,
    list::{self, Page, Query, Times},
    pen::{Appending, Pen},
    row::{Seq, UNKNOWN_TAG},
    schema::{self, APPLICATION_ID, CreateError, Description, VERSION},
    seal::TagKey,
    tree::{Frontier, Head, extends, prove_consistency},
    walk::{Damage, Sessions, Stop, What, blame, is_damage, walk},
    writer::{Draft, Writer},
};

/// The detail of an intent whose key waits for a touch of its own when it signs.
pub const KEY_TOUCH: &str = "touch";

/// An open log. Clones are the same log.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    path: PathBuf,
    description: Arc<Description>,
    // Dropped before the writer: only the last connection folds the write-ahead log into the file, and this one cannot.
    reader: Mutex<Connection>,
    times: Mutex<Times>,
    pen: Pen,
    signed: Mutex<Option<Head>>,
    tag_key: RwLock<Option<TagKey>>,
}

/// An allowed request whose intent is on disk. Private fields, not `Clone`: it is made here and nowhere else, and signing
/// takes it away.
///
/// ```compile_fail,E0599
/// fn sign_twice(recorded: touchkeep_audit::Recorded) { let _again = recorded.clone(); }
/// ```
/// ```compile_fail,E0451
/// fn unrecorded(allowed: touchkeep_policy::Allowed) -> touchkeep_audit::Recorded {
///     touchkeep_audit::Recorded { allowed, seq: 1 }
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Recorded {
    allowed: Allowed,
    seq: Seq,
}

impl Recorded {
    /// The number of the intent's row, which the outcome names.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// What was allowed.
    pub const fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// What was allowed, for the one use of it.
    pub fn into_allowed(self) -> Allowed {
        self.allowed
    }
}

impl Log {
    /// Makes an empty log of the vault with this id, whose bodies `recipient` (`age1…`, X25519) can read.
    ///
    /// # Errors
    /// When there is a file already, the id or the recipient is none, or the file cannot be made.
    pub fn create(path: &Path, vault: &str, recipient: &str) -> Result<Self, OpenError> {
        Self::create_at(path, vault, recipient, Arc::new(SystemClock))
    }

    /// [`Log::create`] with another clock.
    ///
    /// # Errors
    /// As there.
    pub fn create_at(
        path: &Path,
        vault: &str,
        recipient: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let parsed = parse_recipient(recipient)?;
        let prefix = origin_prefix(vault)?;
        let (tag_key, file) = TagKey::generate(&parsed).map_err(|_| OpenError::Encryption)?;
        let description = Description {
            origin: format!("{prefix}{}", Id::random()),
            recipient: recipient.to_owned(),
            tag_key: file,
        };
        let db = schema::create(path, &description).map_err(|error| match error {
            CreateError::File(error) if error.kind() == ErrorKind::AlreadyExists => {
                OpenError::Exists(path.to_owned())
            }
            CreateError::File(error) => OpenError::File(error),
            CreateError::Database(error) => storage(error),
        })?;
        Self::start(
            db,
            path,
            description,
            parsed,
            Frontier::default(),
            Some(tag_key),
            clock,
        )
    }

    /// Opens the log of the vault with this id, encrypted to `recipient`, and checks the rows since the last checkpoint.
    ///
    /// # Errors
    /// When there is none, it is another vault's, newer than this program, or not as it was left.
    pub fn open(path: &Path, vault: &str, recipient: &str) -> Result<Self, OpenError> {
        Self::open_at(path, vault, Some(recipient), Arc::new(SystemClock))
    }

    /// Opens the log while the vault is locked: it is encrypted to the recipient that it names itself. Compare
    /// [`Log::recipient`] with the vault's as soon as that is open.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_locked(path: &Path, vault: &str) -> Result<Self, OpenError> {
        Self::open_at(path, vault, None, Arc::new(SystemClock))
    }

    /// [`Log::open`] and [`Log::open_locked`] with another clock.
    ///
    /// # Errors
    /// As there.
    pub fn open_at(
        path: &Path,
        vault: &str,
        recipient: Option<&str>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let prefix = origin_prefix(vault)?;
        if !fs::exists(path).map_err(OpenError::File)? {
            return Err(OpenError::NotFound(path.to_owned()));
        }
        let db = open_ours(path)?;
        let description = Description::load(&db).map_err(damaged)?;
        let other = recipient.is_some_and(|expected| expected != description.recipient);
        if other || !description.origin.starts_with(&prefix) {
            return Err(OpenError::OtherVault);
        }
        let parsed = parse_recipient(&description.recipient)?;
        let edge = check_tail(&db, &description)?;
        Self::start(db, path, description, parsed, edge, None, clock)
    }

    fn start(
        db: Connection,
        path: &Path,
        description: Description,
        recipient: age::x25519::Recipient,
        edge: Frontier,
        tag_key: Option<TagKey>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let path = fs::canonicalize(path).map_err(OpenError::File)?;
        let reader = schema::open_to_read(&path).map_err(storage)?;
        let signed = last_checkpoint(&reader).map_err(storage)?;
        let description = Arc::new(description);
        let writer =
            Writer::new(db, &path, Arc::clone(&description), recipient, edge).map_err(|error| {
                match error {
                    RecordError::Storage(error) => OpenError::Storage(error),
                    _ => OpenError::NotFound(path.clone()),
                }
            })?;
        Ok(Self(Arc::new(Shared {
            path,
            description,
            reader: Mutex::new(reader),
            times: Mutex::default(),
            pen: Pen::new(writer, clock).map_err(OpenError::File)?,
            signed: Mutex::new(signed.map(|checkpoint| checkpoint.head)),
            tag_key: RwLock::new(tag_key),
        })))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Its origin line: `touchkeep/audit/<vault id>/<log id>`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0.description.origin
    }

    /// The recipient that its bodies are encrypted to.
    #[must_use]
    pub fn recipient(&self) -> &str {
        &self.0.description.recipient
    }

    /// From now on rows get the tags of their item and client, so that they are found by them. For the time that the vault
    /// is unlocked.
    ///
    /// # Errors
    /// When the log is encrypted to another identity.
    pub fn hold_tag_key(&self, identity: &age::x25519::Identity) -> Result<(), ReadError> {
        let key = TagKey::open(&self.0.description.tag_key, identity)
            .map_err(|_| ReadError::WrongIdentity)?;
        *self
            .0
            .tag_key
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(key);
        Ok(())
    }

    /// Forgets the tag key, when the vault is locked.
    pub fn drop_tag_key(&self) {
        self.settle();
        *self
            .0
            .tag_key
            .write()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Records that something happened. It is on disk when this returns.
    ///
    /// # Errors
    /// When it is not; then nothing may be done that needed to be recorded.
    pub fn record(&self, event: &Event) -> Result<Seq, RecordError> {
        self.append(event, None)
    }

    /// Has it recorded that something happened, for a task: on disk once this is ready, in a moment if nobody waits.
    ///
    /// # Errors
    /// When it is not; then nothing may be done that needed to be recorded.
    pub fn recording(
        &self,
        event: &Event,
    ) -> impl Future<Output = Result<Seq, RecordError>> + Send + use<> {
        self.appending(event, None)
    }

    /// Records that an allowed request is about to be signed. Operation, digest, rule, request and how it was allowed are
    /// written as they were decided, whatever `event` says. It is on disk when this returns.
    ///
    /// # Errors
    /// When it is not. The permission is spent, then.
    pub fn record_intent(&self, allowed: Allowed, event: &Event) -> Result<Recorded, RecordError> {
        let seq = self.append(&intent_of(&allowed, event), None)?;
        Ok(Recorded { allowed, seq })
    }

    /// [`Log::record_intent`] for a task: on disk once this is ready.
    ///
    /// # Errors
    /// As there.
    pub fn recording_intent(
        &self,
        allowed: Allowed,
        event: &Event,
    ) -> impl Future<Output = Result<Recorded, RecordError>> + Send + use<> {
        let appending = self.appending(&intent_of(&allowed, event), None);
        async move {
            let seq = appending.await?;
            Ok(Recorded { allowed, seq })
        }
    }

    /// Records that something is about to be changed, in the words of what it will be. It is on disk when this returns.
    ///
    /// # Errors
    /// When it is not; then nothing may be changed.
    pub fn record_begun(&self, event: &Event) -> Result<Seq, RecordError> {
        self.append(&begun_of(event), None)
    }

    /// Records how that went, as the kind that it is. What was begun has one end.
    ///
    /// # Errors
    /// When it is not recorded, `begun` is no such row, or has an end.
    pub fn record_ended(&self, begun: Seq, event: &Event) -> Result<Seq, RecordError> {
        self.append(event, Some(begun))
    }

    /// Records how an intent went. An intent has one outcome.
    ///
    /// # Errors
    /// When it is not recorded, `intent` is no intent, or has an outcome.
    pub fn record_outcome(&self, intent: Seq, event: &Event) -> Result<Seq, RecordError> {
        self.append(&outcome_of(event), Some(intent))
    }

    /// [`Log::record_outcome`] for a task: on disk once this is ready.
    ///
    /// # Errors
    /// As there.
    pub fn recording_outcome(
        &self,
        intent: Seq,
        event: &Event,
    ) -> impl Future<Output = Result<Seq, RecordError>> + Send + use<> {
        self.appending(&outcome_of(event), Some(intent))
    }

    /// Has it recorded in a moment how an intent went, with what else is recorded then; `told` hears what came of that. Whoever
    /// reads the log from now on sees it.
    pub fn record_outcome_later(
        &self,
        intent: Seq,
        event: &Event,
        told: impl FnOnce(Result<Seq, RecordError>) + Send + 'static,
    ) {
        match self.draft(&outcome_of(event), Some(intent)) {
            Ok(draft) => self.0.pen.later(draft, told),
            Err(why) => told(Err(why)),
        }
    }

    /// Waits for what was to be recorded until now, for two seconds at most.
    pub fn settle(&self) {
        self.0.pen.settle();
    }

    fn append(&self, event: &Event, closes: Option<Seq>) -> Result<Seq, RecordError> {
        self.0.pen.append(self.draft(event, closes)?)
    }

    fn appending(&self, event: &Event, closes: Option<Seq>) -> Appending {
        match self.draft(event, closes) {
            Ok(draft) => self.0.pen.appending(draft),
            Err(why) => why.into(),
        }
    }

    fn draft(&self, event: &Event, closes: Option<Seq>) -> Result<Draft, RecordError> {
        let item = event.item.map(|item| self.tag("item", item.0));
        let client = event.client.map(|client| self.tag("client", client.0));
        Draft::of(event, closes, item, client)
    }

    fn tag(&self, of: &str, id: Id) -> Vec<u8> {
        let key = self
            .0
            .tag_key
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        key.as_ref()
            .map_or_else(|| UNKNOWN_TAG.to_vec(), |key| key.tag(of, id.as_bytes()))
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.0.pen.writer()
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.0.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head over all rows that are on disk. It goes into every commit of the vault.
    #[must_use]
    pub fn head(&self) -> Head {
        self.0.pen.head()
    }

    /// Rows of what was about to be done that no other row closes, oldest first: it was done or not, the log does not know.
    ///
    /// # Errors
    /// When the database cannot be read, or rows that were there are not.
    pub fn unfinished(&self) -> Result<Vec<Seq>, RecordError> {
        self.settle();
        self.writer().unfinished()
    }

    /// Rows, newest first. With the audit identity their bodies too.
    ///
    /// # Errors
    /// When the database cannot be read, a row cannot be decrypted, or rows are sought by item or client without identity.
    pub fn list(
        &self,
        query: &Query,
        identity: Option<&age::x25519::Identity>,
    ) -> Result<Page, ReadError> {
        self.settle();
        let Shared {
            description, times, ..
        } = &*self.0;
        list::list(&self.reader(), times, description, query, identity)
    }

    /// The newest checkpoint.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn last_checkpoint(&self) -> Result<Option<Checkpoint>, ReadError> {
        Ok(last_checkpoint(&self.reader())?)
    }

    /// Has the head signed and stores that, after proving that it continues the checkpoint before.
    ///
    /// # Errors
    /// When it does not, the key cannot sign, or the note cannot be stored.
    pub fn checkpoint(&self, signer: &dyn CheckpointSigner) -> Result<Checkpoint, CheckpointError> {
        self.settle();
        let (head, stored) = {
            let writer = self.writer();
            (writer.head(), last_checkpoint(writer.db())?)
        };
        let signed = *self.0.signed.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = [signed, stored.map(|checkpoint| checkpoint.head)];
        for before in earlier.into_iter().flatten() {
            self.prove_continues(&before, &head)?;
        }
        let made =
            checkpoint::sign(self.origin(), head, signer).map_err(CheckpointError::Signer)?;
        self.writer().db().execute(
            "INSERT INTO checkpoint (size, note) VALUES (?1, ?2)",
            (head.size, &made.note),
        )?;
        *self.0.signed.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
        Ok(made)
    }

    fn prove_continues(&self, before: &Head, head: &Head) -> Result<(), CheckpointError> {
        let reader = self.reader();
        let proof = prove_consistency(before.size, head.size, |level, index| {
            schema::node(&reader, level, index)
        })?;
        extends(before, head, &proof)
            .then_some(())
            .ok_or(CheckpointError::Inconsistent {
                signed: before.size,
            })
    }

    /// The newest checkpoint of fewer rows.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn checkpoint_before(&self, size: u64) -> Result<Option<Checkpoint>, ReadError> {
        checkpoint_upto(&self.reader(), size.saturating_sub(1))
    }

    /// The smallest checkpoint that covers row `seq`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn checkpoint_from(&self, seq: Seq) -> Result<Option<Checkpoint>, ReadError> {
        let reader = self.reader();
        let size: Option<u64> = reader
            .prepare_cached("SELECT size FROM checkpoint WHERE size >= ?1 ORDER BY size LIMIT 1")?
            .query_one([seq], |row| row.get(0))
            .optional()?;
        size.map_or(Ok(None), |size| checkpoint_upto(&reader, size))
    }

    /// The row that says how what was about to be done went.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn outcome_of(&self, intent: Seq) -> Result<Option<Seq>, ReadError> {
        self.settle();
        Ok(index::outcome_of(&self.reader(), intent)?)
    }

    /// The first line of a bundle of rows that `size`, the size of a checkpoint, covers. With all rows of the log go all its
    /// checkpoints; with some of them go this one and `earlier`, which it is shown to continue.
    ///
    /// # Errors
    /// When there is no such checkpoint, or it does not continue the earlier one.
    pub fn bundle_header(
        &self,
        keys: &[VerifyKey],
        size: u64,
        complete: Option<(Seq, Seq)>,
        earlier: Option<&Checkpoint>,
    ) -> Result<String, ReadError> {
        self.settle();
        let reader = self.reader();
        let read = |level, index| schema::node(&reader, level, index);
        let of_size = |found: &Checkpoint| found.head.size == size;
        let last = checkpoint_upto(&reader, size)?.filter(of_size);
        let last = last.ok_or(ReadError::NotSigned(size))?;
        let (mut checkpoints, mut consistency) = (Vec::new(), Vec::new());
        if complete == Some((1, size)) {
            checkpoints = checkpoints_before(&reader, size)?;
        } else if let Some(earlier) = earlier {
            let proof = prove_consistency(earlier.head.size, size, read)?;
            if !extends(&earlier.head, &last.head, &proof) {
                return Err(ReadError::OtherHistory(earlier.head.size));
            }
            checkpoints.push(earlier.clone());
            consistency.push(proof);
        }
        checkpoints.push(last);
        let description = &self.0.description;
        Ok(bundle::header_line(
            description,
            keys,
            &checkpoints,
            &consistency,
            complete,
        ))
    }

    /// The lines of these rows, and of their sessions, of a bundle over the first `size` rows; with the identity they are
    /// disclosed. `whole`: the bundle has all rows.
    ///
    /// # Errors
    /// When there is no such row, or it is damaged.
    pub fn bundle_rows(
        &self,
        (size, whole): (u64, bool),
        seqs: &[Seq],
        identity: Option<&age::x25519::Identity>,
    ) -> Result<Vec<String>, ReadError> {
        let reader = self.reader();
        let work = reader.unchecked_transaction()?;
        list::bundle(&work, &self.0.description, (size, whole), seqs, identity)
    }

    /// Copies the log as it is now to a new file, which can be verified elsewhere.
    ///
    /// # Errors
    /// When there is a file already, or it cannot be written.
    pub fn export(&self, to: &Path) -> Result<(), ReadError> {
        self.settle();
        let to = to.to_string_lossy();
        self.reader().execute("VACUUM INTO ?1", [to])?;
        Ok(())
    }
}

// What is written of an intent.
fn intent_of(allowed: &Allowed, event: &Event) -> Event {
    let mut event = event.clone();
    event.kind = Kind::Intent;
    event.decision = match allowed.how() {
        How::Rule | How::RuleAndNotify => Decision::Allowed,
        // The key waits for its touch when it signs, which is after this: the outcome says whether it came.
        How::Approved(ApprovedBy::Click | ApprovedBy::Grant(_) | ApprovedBy::KeyTouch) => {
            Decision::Approved
        }
        How::Approved(_) => Decision::Touched,
    };
    if let How::Approved(ApprovedBy::KeyTouch) = allowed.how() {
        event = event.detail(KEY_TOUCH, "asked for by the key, at this use");
    }
    if let How::Approved(ApprovedBy::Grant(grant)) = allowed.how() {
        event = event.detail("grant", grant.to_string());
    }
    event.request = Some(allowed.request());
    event.digest = Some(HEXLOWER.encode(allowed.digest()));
    event.rule = Some(allowed.rule().to_owned());
    event.text = allowed.operation().sentence();
    event.operation = Some(allowed.operation().clone());
    event
}

// What is written of a change before it is made.
fn begun_of(event: &Event) -> Event {
    let text = format!("Begun: {}", event.text);
    let mut begun = event.clone().text(text).detail("kind", event.kind.as_str());
    (begun.kind, begun.decision) = (Kind::Begun, Decision::Info);
    begun
}

fn outcome_of(event: &Event) -> Event {
    let mut event = event.clone();
    event.kind = Kind::Outcome;
    event
}

fn parse_recipient(recipient: &str) -> Result<age::x25519::Recipient, OpenError> {
    recipient.parse().map_err(|_| OpenError::Invalid)
}

fn origin_prefix(vault: &str) -> Result<String, OpenError> {
    let is_id = !vault.is_empty() && vault.bytes().all(|b| b.is_ascii_alphanumeric());
    is_id
        .then(|| format!("{ORIGIN_PREFIX}{vault}/"))
        .ok_or(OpenError::Invalid)
}

fn open_ours(path: &Path) -> Result<Connection, OpenError> {
    // Reads before it writes: the file of another program is not to be changed, not even its journal mode.
    let peek = schema::open_to_read(path).map_err(damaged)?;
    match schema::format(&peek).map_err(damaged)? {
        (APPLICATION_ID, VERSION) => {}
        (APPLICATION_ID, found) if found > VERSION => return Err(OpenError::TooNew { found }),
        _ => return Err(OpenError::NotALog(path.to_owned())),
    }
    let db = schema::open(path).map_err(damaged)?;
    if !schema::is_ours(&db).map_err(damaged)? {
        return Err(OpenError::Damaged(Damage::of_file(What::Schema)));
    }
    Ok(db)
}

// Whatever was signed last must be the beginning of what is there; the rows after it must fit the tree.
fn check_tail(db: &Connection, description: &Description) -> Result<Frontier, OpenError> {
    let last = last_checkpoint(db).map_err(damaged)?;
    let signed = last.map_or(
        Head {
            size: 0,
            root: Frontier::default().head().root,
        },
        |last| last.head,
    );
    let size = schema::size(db).map_err(damaged)?;
    if size < signed.size {
        let cut = What::Cut {
            expected: signed.size,
        };
        return Err(OpenError::Damaged(Damage::at(size + 1, cut)));
    }
    let edge = Frontier::load(signed.size, |level, index| schema::node(db, level, index))
        .map_err(damaged)?;
    if edge.head() != signed {
        let rewritten = What::Rewritten { last: signed.size };
        return Err(OpenError::Damaged(Damage::at(1, rewritten)));
    }
    let sessions = Sessions::load(db, description).map_err(damaged)?;
    walk(db, &sessions, edge).map_err(|stop| match stop {
        Stop::Damaged(damage) => OpenError::Damaged(damage),
        Stop::Failed(error) => storage(error),
    })
}

// A stored checkpoint that is none counts as damage.
fn last_checkpoint(db: &Connection) -> rusqlite::Result<Option<Checkpoint>> {
    let note: Option<String> = db
        .prepare_cached("SELECT note FROM checkpoint ORDER BY size DESC, id DESC LIMIT 1")?
        .query_one([], |row| row.get(0))
        .optional()?;
    note.map(|note| Checkpoint::parse(&note))
        .transpose()
        .map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                0,
                rusqlite::types::Type::Text,
                Box::new(error),
            )
        })
}

fn checkpoint_upto(db: &Connection, size: u64) -> Result<Option<Checkpoint>, ReadError> {
    let note: Option<String> = db
        .prepare_cached(
            "SELECT note FROM checkpoint WHERE size <= ?1 ORDER BY size DESC, id DESC LIMIT 1",
        )?
        .query_one([size], |row| row.get(0))
        .optional()?;
    let read = |note: String| Checkpoint::parse(&note).map_err(|_| ReadError::Damaged(size));
    note.map(read).transpose()
}

/// Earlier checkpoints that go with a bundle at most.
const EARLIER: u32 = 1000;

// One of each size is enough.
fn checkpoints_before(db: &Connection, size: u64) -> Result<Vec<Checkpoint>, ReadError> {
    let mut notes = db.prepare(
        "SELECT note, max(id) FROM checkpoint WHERE size < ?1 GROUP BY size ORDER BY size DESC LIMIT ?2",
    )?;
    let mut notes: Vec<String> = notes
        .query_map((size, EARLIER), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    notes.reverse();
    let read = |note: &String| Checkpoint::parse(note).map_err(|_| ReadError::Damaged(size));
    notes.iter().map(read).collect()
}

fn storage(error: rusqlite::Error) -> OpenError {
    OpenError::Storage(Arc::new(error))
}

fn damaged(error: rusqlite::Error) -> OpenError {
    if !is_damage(&error) {
        return storage(error);
    }
    match blame(error, None) {
        Stop::Damaged(damage) => OpenError::Damaged(damage),
        Stop::Failed(error) => storage(error),
    }
}
