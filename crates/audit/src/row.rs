//! One row as bytes: what a leaf of the tree is the hash of, and what the body's encryption is bound to.

use std::borrow::Cow;

use rusqlite::types::{Type, ValueRef};

use crate::tree::{Hash, plain_hash};

/// Number of a row, from 1, without gaps.
pub type Seq = u64;

/// Columns in the order in which every query of rows asks for them.
pub(crate) const COLUMNS: &str =
    "seq, time_ms, kind, decision, session, closes, item_tag, client_tag, hashes, body";
/// Places of the last two among them.
pub(crate) const HASHES: usize = 8;
pub(crate) const BODY: usize = 9;

/// A tag of an item or a client whose key was not at hand, because the vault was locked.
pub(crate) const UNKNOWN_TAG: &[u8] = &[];

/// Everything but the hashes and the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clear<'a> {
    pub(crate) seq: Seq,
    pub(crate) time_ms: u64,
    pub(crate) kind: Cow<'a, str>,
    pub(crate) decision: Cow<'a, str>,
    pub(crate) session: u64,
    pub(crate) closes: Option<Seq>,
    pub(crate) item_tag: Option<Cow<'a, [u8]>>,
    pub(crate) client_tag: Option<Cow<'a, [u8]>>,
}

impl<'a> Clear<'a> {
    /// The one encoding of the clear columns (`docs/formats/audit.md`), with the session's hash in it.
    pub(crate) fn to_bytes(&self, session: &Hash) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(192);
        self.write(session, &mut bytes);
        bytes
    }

    fn write(&self, session: &Hash, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(b"touchkeep/audit/row/v1\0");
        bytes.extend_from_slice(&self.seq.to_be_bytes());
        bytes.extend_from_slice(&self.time_ms.to_be_bytes());
        bytes.extend_from_slice(&self.session.to_be_bytes());
        bytes.extend_from_slice(session);
        bytes.extend_from_slice(&self.closes.unwrap_or(0).to_be_bytes());
        put(bytes, Some(self.kind.as_bytes()));
        put(bytes, Some(self.decision.as_bytes()));
        put(bytes, self.item_tag.as_deref());
        put(bytes, self.client_tag.as_deref());
    }

    /// The leaf of a row: clear columns, then the body, under the tree's prefix for leaves. `scratch` is overwritten; kept
    /// from row to row it costs no allocation.
    pub(crate) fn leaf(&self, session: &Hash, body: &[u8], scratch: &mut Vec<u8>) -> Hash {
        scratch.clear();
        scratch.push(0);
        self.write(session, scratch);
        put(scratch, Some(body));
        plain_hash(scratch)
    }

    /// Reads the first columns of [`COLUMNS`].
    ///
    /// Every column has one stored form only, so that a value that SQLite would convert (`5` to `5.0`, `NULL` to 0) is as
    /// much an alteration as any other.
    pub(crate) fn read(row: &'a rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Self::numbered(number(row, 0)?, row)
    }

    /// The same, where the number is known.
    pub(crate) fn numbered(seq: Seq, row: &'a rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq,
            time_ms: number(row, 1)?,
            kind: text(row, 2)?,
            decision: text(row, 3)?,
            session: number(row, 4)?,
            closes: match row.get_ref(5)? {
                ValueRef::Null => None,
                ValueRef::Integer(0) => return Err(wrong(5, "row number", Type::Integer)),
                _ => Some(number(row, 5)?),
            },
            item_tag: tag(row, 6)?,
            client_tag: tag(row, 7)?,
        })
    }

    /// The same, for longer than the statement stands at the row.
    pub(crate) fn into_owned(self) -> Clear<'static> {
        let owned = |tag: Cow<'_, [u8]>| Cow::Owned(tag.into_owned());
        Clear {
            seq: self.seq,
            time_ms: self.time_ms,
            kind: Cow::Owned(self.kind.into_owned()),
            decision: Cow::Owned(self.decision.into_owned()),
            session: self.session,
            closes: self.closes,
            item_tag: self.item_tag.map(owned),
            client_tag: self.client_tag.map(owned),
        }
    }
}

/// Length, then bytes; `None` is the length that nothing can have.
pub(crate) fn put(into: &mut Vec<u8>, field: Option<&[u8]>) {
    into.extend_from_slice(&length(field));
    into.extend_from_slice(field.unwrap_or_default());
}

fn length(field: Option<&[u8]>) -> [u8; 4] {
    let length = field.map(|field| u32::try_from(field.len()).unwrap_or(u32::MAX));
    length.unwrap_or(u32::MAX).to_be_bytes()
}

fn number(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<u64> {
    let value = row.get_ref(index)?;
    let signed = value.as_i64().ok();
    let number = signed.and_then(|signed| u64::try_from(signed).ok());
    number.ok_or_else(|| wrong(index, "number", value.data_type()))
}

fn text<'a>(row: &'a rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Cow<'a, str>> {
    let value = row.get_ref(index)?;
    let text = value.as_str().map(Cow::Borrowed);
    text.map_err(|_| wrong(index, "text", value.data_type()))
}

fn tag<'a>(row: &'a rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Option<Cow<'a, [u8]>>> {
    let value = row.get_ref(index)?;
    let tag = value.as_blob_or_null().map(|tag| tag.map(Cow::Borrowed));
    tag.map_err(|_| wrong(index, "tag", value.data_type()))
}

fn wrong(index: usize, expected: &str, found: Type) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(index, expected.to_owned(), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cannot_flow_into_each_other() {
        let encode = |fields: &[Option<&[u8]>]| {
            let mut bytes = Vec::new();
            fields.iter().for_each(|field| put(&mut bytes, *field));
            bytes
        };
        let forms: [&[Option<&[u8]>]; 5] = [
            &[Some(b"ab"), Some(b"c")],
            &[Some(b"a"), Some(b"bc")],
            &[Some(b""), Some(b"abc")],
            &[None, Some(b"abc")],
            &[Some(b"abc"), None],
        ];
        for (i, one) in forms.iter().enumerate() {
            for other in &forms[i + 1..] {
                assert_ne!(encode(one), encode(other));
            }
        }
    }
}
