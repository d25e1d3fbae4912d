//! A row as it is read: decoded where it stands in SQLite, and decrypted for who has the identity.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};
use touchkeep_core::UnixMillis;

use super::Row;
use crate::{
    error::ReadError,
    event::{Decision, Event, Kind},
    row::{BODY, COLUMNS, Clear, HASHES, Seq},
    schema::Description,
    seal::{RowKey, SessionKey},
    tree::Hash,
};

/// Decodes rows of one log.
pub(super) struct Reader<'a> {
    db: &'a Connection,
    description: &'a Description,
    identity: Option<&'a age::x25519::Identity>,
    sessions: HashMap<u64, (Hash, Option<SessionKey>)>,
    // Kept from row to row.
    body: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        db: &'a Connection,
        description: &'a Description,
        identity: Option<&'a age::x25519::Identity>,
    ) -> Self {
        Self {
            db,
            description,
            identity,
            sessions: HashMap::new(),
            body: Vec::new(),
        }
    }

    /// The row at which a statement stands, whose clear columns are these.
    pub(super) fn row(
        &mut self,
        clear: &Clear<'_>,
        stored: &rusqlite::Row<'_>,
    ) -> Result<Row, ReadError> {
        let seq = clear.seq;
        let damaged = || ReadError::Damaged(seq);
        let hashes = stored.get_ref(HASHES)?.as_blob().map_err(|_| damaged())?;
        let event = match self.identity {
            Some(identity) => {
                let mut body = std::mem::take(&mut self.body);
                body.clear();
                body.extend_from_slice(stored.get_ref(BODY)?.as_blob().map_err(|_| damaged())?);
                let event = self.decrypt(clear, &mut body, identity);
                self.body = body;
                Some(event?)
            }
            None => None,
        };
        Ok(Row {
            seq,
            time: UnixMillis(clear.time_ms),
            kind: Kind::of(&clear.kind).ok_or(ReadError::TooNew(seq))?,
            decision: Decision::of(&clear.decision).ok_or(ReadError::TooNew(seq))?,
            session: clear.session,
            closes: clear.closes,
            leaf: *hashes.first_chunk().ok_or_else(damaged)?,
            event,
        })
    }

    fn decrypt(
        &mut self,
        clear: &Clear<'_>,
        body: &mut [u8],
        identity: &age::x25519::Identity,
    ) -> Result<Event, ReadError> {
        let damaged = || ReadError::Damaged(clear.seq);
        let (hash, key) = self.session(clear, identity)?;
        let key = key.as_ref().ok_or(ReadError::WrongIdentity)?;
        let body = key
            .row(clear.seq)
            .open(&clear.to_bytes(hash), body)
            .map_err(|_| damaged())?;
        serde_json::from_slice(body).map_err(|_| damaged())
    }

    /// The key of a row, and what it opens.
    pub(super) fn disclose(
        &mut self,
        clear: &Clear<'_>,
        mut body: Vec<u8>,
        identity: &age::x25519::Identity,
    ) -> Result<(RowKey, serde_json::Value), ReadError> {
        let damaged = || ReadError::Damaged(clear.seq);
        let (hash, key) = self.session(clear, identity)?;
        let key = key.as_ref().ok_or(ReadError::WrongIdentity)?;
        let key = key.row(clear.seq);
        let body = key
            .open(&clear.to_bytes(hash), &mut body)
            .map_err(|_| damaged())?;
        let event = serde_json::from_slice(body).map_err(|_| damaged())?;
        Ok((key, event))
    }

    fn session(
        &mut self,
        clear: &Clear<'_>,
        identity: &age::x25519::Identity,
    ) -> Result<&(Hash, Option<SessionKey>), ReadError> {
        let new = match self.sessions.entry(clear.session) {
            std::collections::hash_map::Entry::Occupied(known) => return Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(new) => new,
        };
        let (started, file) = stored_session(self.db, clear)?;
        let hash = self.description.session_hash(clear.session, started, &file);
        Ok(new.insert((hash, SessionKey::open(&file, identity).ok())))
    }
}

/// When a row's session began, and its key's file.
pub(super) fn stored_session(
    db: &Connection,
    clear: &Clear<'_>,
) -> Result<(u64, Vec<u8>), ReadError> {
    db.prepare_cached("SELECT started_ms, key FROM session WHERE id = ?1")?
        .query_one([clear.session], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(|_| ReadError::Damaged(clear.seq))
}

type Found = (Clear<'static>, Vec<u8>, Vec<u8>);

/// A row with its hashes and its body, for longer than a statement stands at it.
pub(super) fn row_at(db: &Connection, seq: Seq) -> rusqlite::Result<Option<Found>> {
    let mut row = db.prepare_cached(&format!("SELECT {COLUMNS} FROM row WHERE seq = ?1"))?;
    row.query_one([seq], |row| {
        Ok((
            Clear::read(row)?.into_owned(),
            row.get(HASHES)?,
            row.get(BODY)?,
        ))
    })
    .optional()
}
