//! Reading pages of rows: found by their numbers and by the postings of their blocks, never by counting rows off.

mod filter;
mod reader;
mod search;
mod times;

use std::sync::Mutex;

use rusqlite::Connection;
use touchkeep_core::{ClientId, ItemId, UnixMillis};

use crate::{
    bundle::{Proof, row_line, session_line},
    error::ReadError,
    event::{Decision, Event, Kind},
    row::Seq,
    schema::{self, Description, Work},
    tree::{Hash, prove_inclusion},
};

use reader::{Reader, row_at, stored_session};
use search::Search;
pub(crate) use times::Times;

/// Rows that one page has at most.
pub const MAX_PAGE: usize = 1000;
/// Rows that are looked into for one page at most, where only their bodies tell.
const MAX_LOOKED_INTO: usize = 50_000;

/// Which rows. The default is the newest hundred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only rows before this one: the last of the page before.
    pub before: Option<Seq>,
    /// At most so many; never more than [`MAX_PAGE`].
    pub limit: usize,
    /// Only these kinds. None: all.
    pub kinds: Vec<Kind>,
    /// Only these decisions. None: all.
    pub decisions: Vec<Decision>,
    /// Only rows of these items. None: of all, and of nothing. Needs the audit identity.
    pub items: Vec<ItemId>,
    /// Only rows of these clients. None: of all, and of nobody. Needs the audit identity.
    pub clients: Vec<ClientId>,
    /// Only rows from this time on, by the clock of then.
    pub since: Option<UnixMillis>,
    /// Only rows up to this time.
    pub until: Option<UnixMillis>,
    /// Only rows in whose body this stands, whether in capitals or not. Needs the audit identity.
    pub text: Option<String>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            before: None,
            limit: 100,
            kinds: Vec::new(),
            decisions: Vec::new(),
            items: Vec::new(),
            clients: Vec::new(),
            since: None,
            until: None,
            text: None,
        }
    }
}

/// One row as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// Its number.
    pub seq: Seq,
    /// When, by the clock of then.
    pub time: UnixMillis,
    /// What it is about.
    pub kind: Kind,
    /// What was decided.
    pub decision: Decision,
    /// The session that it was recorded in.
    pub session: u64,
    /// For an outcome: the row of its intent.
    pub closes: Option<Seq>,
    /// Its leaf of the tree, as stored: what a proof of it is about. [`crate::verify()`] recomputes it.
    pub leaf: Hash,
    /// The particulars, for who has the audit identity.
    pub event: Option<Event>,
}

/// Rows, and whether there may be more of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Newest first.
    pub rows: Vec<Row>,
    /// Where the next page begins; none after the last.
    pub next: Option<Seq>,
}

/// The rows of a query. `times` is kept from one to the next.
pub(crate) fn list(
    db: &Connection,
    times: &Mutex<Times>,
    description: &Description,
    query: &Query,
    identity: Option<&age::x25519::Identity>,
) -> Result<Page, ReadError> {
    // One snapshot for all statements of a page.
    let work = Work::begin(db, "BEGIN")?;
    Search::new(&work, times, description, query, identity)?.page()
}

/// The lines of rows in a bundle.
pub(crate) fn bundle(
    db: &Connection,
    description: &Description,
    (size, whole): (u64, bool),
    seqs: &[Seq],
    identity: Option<&age::x25519::Identity>,
) -> Result<Vec<String>, ReadError> {
    let mut reader = Reader::new(db, description, identity);
    let mut lines = Vec::new();
    let mut before = None;
    for seq in seqs {
        let found = row_at(db, *seq)?.filter(|_| (1..=size).contains(seq));
        let (clear, hashes, body) = found.ok_or(ReadError::NoRow(*seq))?;
        if before != Some(clear.session) {
            before = Some(clear.session);
            let (started, key) = stored_session(db, &clear)?;
            lines.push(session_line(clear.session, started, &key));
        }
        let proof = if whole {
            Proof::Hashes(&hashes)
        } else {
            let read = |level, index| schema::node(db, level, index);
            Proof::Path(prove_inclusion(seq - 1, size, read)?)
        };
        let shown = match identity {
            Some(identity) => Some(reader.disclose(&clear, body.clone(), identity)?),
            None => None,
        };
        let shown = shown.as_ref().map(|(key, event)| (key, event.clone()));
        lines.push(row_line(&clear, &body, proof, shown));
    }
    Ok(lines)
}
