//! Checkpoints of a log: heads that an author's key has signed.

use std::sync::PoisonError;

use rusqlite::{Connection, OptionalExtension};

use super::Log;
use crate::{
    checkpoint::{self, Checkpoint, CheckpointSigner},
    error::{CheckpointError, ReadError},
    row::Seq,
    schema,
    tree::{Head, extends, prove_consistency},
};

impl Log {
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
}

// A stored checkpoint that is none counts as damage.
pub(super) fn last_checkpoint(db: &Connection) -> rusqlite::Result<Option<Checkpoint>> {
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

pub(super) fn checkpoint_upto(db: &Connection, size: u64) -> Result<Option<Checkpoint>, ReadError> {
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
pub(super) fn checkpoints_before(db: &Connection, size: u64) -> Result<Vec<Checkpoint>, ReadError> {
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
