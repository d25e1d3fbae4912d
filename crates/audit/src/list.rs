//! Reading pages of rows: by row number from an index, never by counting rows off.

use std::collections::HashMap;

use rusqlite::{Connection, types::Value};
use touchkeep_core::{ClientId, ItemId, UnixMillis};

use crate::{
    error::ReadError,
    event::{Decision, Event, Kind},
    row::{COLUMNS, Clear, Seq, UNKNOWN_TAG},
    schema::{self, Description},
    seal::{SessionKey, TagKey},
    tree::{Hash, node_id},
};

/// Rows that one page has at most.
pub const MAX_PAGE: usize = 1000;

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
    /// Only rows of this item. Needs the audit identity.
    pub item: Option<ItemId>,
    /// Only rows of this client. Needs the audit identity.
    pub client: Option<ClientId>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            before: None,
            limit: 100,
            kinds: Vec::new(),
            decisions: Vec::new(),
            item: None,
            client: None,
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
    /// For an outcome: the row of its intent.
    pub closes: Option<Seq>,
    /// Its leaf of the tree, as stored: what a proof of it is about. [`crate::verify()`] recomputes it.
    pub leaf: Hash,
    /// The particulars, for who has the audit identity.
    pub event: Option<Event>,
}

pub(crate) fn list(
    db: &Connection,
    description: &Description,
    query: &Query,
    identity: Option<&age::x25519::Identity>,
) -> Result<Vec<Row>, ReadError> {
    if identity.is_none() && (query.item.is_some() || query.client.is_some()) {
        return Err(ReadError::Locked);
    }
    // One snapshot for all statements of a page.
    let work = db.unchecked_transaction()?;
    let mut reader = Reader {
        db: &work,
        description,
        identity,
        sessions: HashMap::new(),
    };
    let streams = reader.streams(query)?;
    let limit = query.limit.min(MAX_PAGE);
    let mut before = query.before;
    let mut found = Vec::new();
    while found.len() < limit {
        let page = reader.page(&streams, query, before, limit)?;
        before = page.last().map(|row| row.seq);
        let whole = page.len() == limit;
        found.extend(page.into_iter().filter(|row| is_of(row, query)));
        if !whole {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

// A row without a tag, recorded while the vault was locked, is told by its body alone.
fn is_of(row: &Row, query: &Query) -> bool {
    let event = row.event.as_ref();
    let item = query.item.is_none() || event.is_some_and(|event| event.item == query.item);
    let client = query.client.is_none() || event.is_some_and(|event| event.client == query.client);
    item && client
}

struct Reader<'a> {
    db: &'a Connection,
    description: &'a Description,
    identity: Option<&'a age::x25519::Identity>,
    sessions: HashMap<u64, (Hash, Option<SessionKey>)>,
}

// A value of an indexed column. SQLite walks one value of an index in the order of row numbers, so a page is merged from
// one walk for each value that is sought.
type Stream = Option<(&'static str, Value)>;

impl Reader<'_> {
    fn streams(&self, query: &Query) -> Result<Vec<Stream>, ReadError> {
        let sought = match (query.item, query.client) {
            (Some(item), _) => Some(("item_tag", "item", item.0)),
            (None, Some(client)) => Some(("client_tag", "client", client.0)),
            (None, None) => None,
        };
        if let (Some((column, of, id)), Some(identity)) = (sought, self.identity) {
            let key = TagKey::open(&self.description.tag_key, identity)
                .map_err(|_| ReadError::WrongIdentity)?;
            let tags = [key.tag(of, id.as_bytes()), UNKNOWN_TAG.to_vec()];
            return Ok(tags.map(|tag| Some((column, Value::Blob(tag)))).into());
        }
        let mut kinds = query.kinds.clone();
        kinds.sort_unstable();
        kinds.dedup();
        let of_kind = |kind: Kind| Some(("kind", Value::Text(kind.as_str().to_owned())));
        Ok(if kinds.is_empty() {
            vec![None]
        } else {
            kinds.into_iter().map(of_kind).collect()
        })
    }

    fn page(
        &mut self,
        streams: &[Stream],
        query: &Query,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Row>, ReadError> {
        let mut rows = Vec::new();
        for stream in streams {
            self.read(stream.as_ref(), query, before, limit, &mut rows)?;
        }
        rows.sort_unstable_by_key(|(clear, _)| std::cmp::Reverse(clear.seq));
        rows.truncate(limit);
        rows.into_iter()
            .map(|(clear, body)| self.row(clear, body))
            .collect()
    }

    fn read(
        &self,
        stream: Option<&(&'static str, Value)>,
        query: &Query,
        before: Option<Seq>,
        limit: usize,
        rows: &mut Vec<(Clear<'static>, Vec<u8>)>,
    ) -> Result<(), ReadError> {
        let before = before.map_or(i64::MAX, |seq| i64::try_from(seq).unwrap_or(i64::MAX));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut values = vec![Value::Integer(before), Value::Integer(limit)];
        let mut sql = format!("SELECT {COLUMNS} FROM row WHERE seq < ?1");
        let mut one_of = |column: &str, among: Vec<Value>| {
            if !among.is_empty() {
                let first = values.len() + 1;
                let places: Vec<_> = (first..first + among.len())
                    .map(|n| format!("?{n}"))
                    .collect();
                sql.push_str(&format!(" AND {column} IN ({})", places.join(", ")));
                values.extend(among);
            }
        };
        if let Some((column, value)) = stream {
            one_of(column, vec![value.clone()]);
        }
        let words = |words: Vec<&str>| {
            words
                .into_iter()
                .map(|word| Value::Text(word.to_owned()))
                .collect()
        };
        // `+`: a filter, not a way in.
        one_of(
            "+kind",
            words(query.kinds.iter().map(|kind| kind.as_str()).collect()),
        );
        one_of(
            "+decision",
            words(
                query
                    .decisions
                    .iter()
                    .map(|decision| decision.as_str())
                    .collect(),
            ),
        );
        sql.push_str(" ORDER BY seq DESC LIMIT ?2");
        let mut statement = self.db.prepare_cached(&sql)?;
        let found = statement.query_map(rusqlite::params_from_iter(values), |row| {
            Ok((Clear::read(row)?.into_owned(), row.get(8)?))
        })?;
        for row in found {
            rows.push(row?);
        }
        Ok(())
    }

    fn row(&mut self, clear: Clear<'_>, mut body: Vec<u8>) -> Result<Row, ReadError> {
        let seq = clear.seq;
        let event = match self.identity {
            Some(identity) => Some(self.decrypt(&clear, &mut body, identity)?),
            None => None,
        };
        Ok(Row {
            seq,
            time: UnixMillis(clear.time_ms),
            kind: Kind::of(&clear.kind).ok_or(ReadError::TooNew(seq))?,
            decision: Decision::of(&clear.decision).ok_or(ReadError::TooNew(seq))?,
            closes: clear.closes,
            leaf: schema::node(self.db, node_id(0, seq.saturating_sub(1)))?,
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
        let (hash, key) = match self.sessions.entry(clear.session) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let (started, file): (u64, Vec<u8>) = self
                    .db
                    .prepare_cached("SELECT started_ms, key FROM session WHERE id = ?1")?
                    .query_one([clear.session], |row| Ok((row.get(0)?, row.get(1)?)))
                    .map_err(|_| damaged())?;
                let hash = self.description.session_hash(clear.session, started, &file);
                new.insert((hash, SessionKey::open(&file, identity).ok()))
            }
        };
        let key = key.as_ref().ok_or(ReadError::WrongIdentity)?;
        let body = key
            .open_body(clear.seq, &clear.to_bytes(hash), body)
            .map_err(|_| damaged())?;
        serde_json::from_slice(body).map_err(|_| damaged())
    }
}
