//! The log: opened once by the agent, shared by all its threads.

mod opening;
mod signed;

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use data_encoding::HEXLOWER;
use rusqlite::Connection;
use touchkeep_container::note::VerifyKey;
use touchkeep_core::Id;
use touchkeep_policy::{Allowed, ApprovedBy, How};

use self::signed::{checkpoint_upto, checkpoints_before};
use crate::{
    bundle,
    checkpoint::Checkpoint,
    error::{ReadError, RecordError},
    event::{Decision, Event, Kind},
    index,
    list::{self, Page, Query, Times},
    pen::{Appending, Pen},
    row::{Seq, UNKNOWN_TAG},
    schema::{self, Description},
    seal::TagKey,
    tree::{Head, extends, prove_consistency},
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

    /// Whether it has the tag key.
    #[must_use]
    pub fn holds_tag_key(&self) -> bool {
        let key = self.0.tag_key.read();
        key.unwrap_or_else(PoisonError::into_inner).is_some()
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
