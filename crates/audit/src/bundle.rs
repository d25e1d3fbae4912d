//! What is taken out of a log to be shown elsewhere: rows, and the proof that a signed log has them. A text, one JSON object a
//! line (`docs/formats/audit.md`), which is verified without the log, the vault or the agent.
//!
//! All rows of a log are proved by making its tree again; some of them each by its path in the tree. Rows can be disclosed: the
//! key of each goes with it, and opens no other.

use std::io::{self, BufRead, Read as _};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use touchkeep_container::note::VerifyKey;

use crate::{
    checkpoint::{BadCheckpoint, Checkpoint},
    row::{Clear, Seq},
    schema::Description,
    seal::RowKey,
    tree::{Frontier, Hash, Head, completed_with, extends, includes},
    walk::{Damage, What, first_other, misfit},
};

const FORMAT: &str = "touchkeep/audit/bundle/v1";
/// Bytes of a line of a bundle. A row has at most 64 KiB, and its base64 and its JSON once more.
const MAX_LINE: u64 = 1 << 20;

/// What a bundle is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum BundleVerdict {
    /// Everything in it fits.
    Sound(Box<Shown>),
    /// Something does not, and this is the first.
    Damaged(Damage),
}

/// What a sound bundle shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The origin line of the log.
    pub origin: String,
    /// What was signed.
    pub head: Head,
    /// The keys that signed it, in the form of other tools for signed notes.
    pub signers: Vec<String>,
    /// Earlier checkpoints that it was shown to continue, by their sizes.
    pub earlier: Vec<u64>,
    /// How many rows there are in it.
    pub rows: u64,
    /// The first and the last of them.
    pub span: Option<(Seq, Seq)>,
    /// Whether all rows from the first to the last are there.
    pub complete: bool,
    /// How many of them are disclosed.
    pub disclosed: u64,
}

/// Why a bundle could not be read at all.
#[derive(Debug, thiserror::Error)]
#[error("the bundle cannot be read")]
pub struct BundleError(#[from] io::Error);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    bundle: String,
    origin: String,
    recipient: String,
    tag_key: String,
    keys: Vec<String>,
    checkpoints: Vec<String>,
    /// From each checkpoint to the next, where not all rows are there.
    consistency: Vec<Vec<String>>,
    /// The first and the last row, where all between are there.
    complete: Option<(Seq, Seq)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionLine {
    session: u64,
    started_ms: u64,
    key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowLine {
    row: Seq,
    time_ms: u64,
    kind: String,
    decision: String,
    session: u64,
    closes: Option<Seq>,
    item_tag: Option<String>,
    client_tag: Option<String>,
    body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hashes: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    row_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    end: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Row(Box<RowLine>),
    Session(SessionLine),
    End(EndLine),
}

/// The last line of a bundle with so many rows.
#[must_use]
pub fn end_line(rows: u64) -> String {
    line(&EndLine { end: rows })
}

fn line(of: &impl Serialize) -> String {
    serde_json::to_string(of).unwrap_or_default()
}

/// The first line.
pub(crate) fn header_line(
    description: &Description,
    keys: &[VerifyKey],
    checkpoints: &[Checkpoint],
    consistency: &[Vec<Hash>],
    complete: Option<(Seq, Seq)>,
) -> String {
    line(&Header {
        bundle: FORMAT.to_owned(),
        origin: description.origin.clone(),
        recipient: description.recipient.clone(),
        tag_key: encode(&description.tag_key),
        keys: keys.iter().map(VerifyKey::to_vkey).collect(),
        checkpoints: checkpoints.iter().map(|one| one.note.clone()).collect(),
        consistency: consistency.iter().map(|proof| encode_all(proof)).collect(),
        complete,
    })
}

/// The line of a session.
pub(crate) fn session_line(session: u64, started_ms: u64, key: &[u8]) -> String {
    line(&SessionLine {
        session,
        started_ms,
        key: encode(key),
    })
}

/// How a row is proved.
pub(crate) enum Proof<'a> {
    /// With all the others.
    Hashes(&'a [u8]),
    /// By its path.
    Path(Vec<Hash>),
}

/// The line of a row; with its key and what that opens, if it is disclosed.
pub(crate) fn row_line(
    row: &Clear<'_>,
    body: &[u8],
    proof: Proof<'_>,
    disclosed: Option<(&RowKey, Value)>,
) -> String {
    let (hashes, proof) = match proof {
        Proof::Hashes(hashes) => (Some(encode(hashes)), None),
        Proof::Path(path) => (None, Some(encode_all(&path))),
    };
    let (key, event) = disclosed.unzip();
    line(&RowLine {
        row: row.seq,
        time_ms: row.time_ms,
        kind: row.kind.to_string(),
        decision: row.decision.to_string(),
        session: row.session,
        closes: row.closes,
        item_tag: row.item_tag.as_deref().map(encode),
        client_tag: row.client_tag.as_deref().map(encode),
        body: encode(body),
        hashes,
        proof,
        // EXPOSE: the key of this one row, to whoever gets the bundle in which it is disclosed.
        row_key: key.map(|key| encode(key.as_bytes())),
        event,
    })
}

fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn encode_all(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| encode(hash)).collect()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

fn decode_all(texts: &[String]) -> Option<Vec<Hash>> {
    let hash = |text: &String| decode(text)?.try_into().ok();
    texts.iter().map(hash).collect()
}

/// Reads a public key in the form that [`VerifyKey::to_vkey`] writes.
#[must_use]
pub fn read_key(vkey: &str) -> Option<VerifyKey> {
    // A name has no plus sign, and base64 may.
    let (name, rest) = vkey.split_once('+')?;
    let (_, data) = rest.split_once('+')?;
    let data = decode(data)?;
    let key = match data.split_first()? {
        (1, key) => VerifyKey::ed25519(name, key.try_into().ok()?),
        (2, spki) => VerifyKey::from_spki(name, spki),
        _ => return None,
    };
    key.ok().filter(|key| key.to_vkey() == vkey)
}

/// Verifies a bundle: its checkpoints against `keys`, or where there are none against the keys that it brings along, and its
/// rows against the last of them.
///
/// # Errors
/// When it cannot be read. What is no bundle is a damaged one.
pub fn verify_bundle(
    bundle: impl BufRead,
    keys: &[VerifyKey],
) -> Result<BundleVerdict, BundleError> {
    let mut lines = Lines(bundle);
    let header = lines.next()?.and_then(|line| Reading::begin(&line, keys));
    let mut reading = match header.unwrap_or_else(|| Err(not_a_bundle())) {
        Ok(reading) => reading,
        Err(damage) => return Ok(BundleVerdict::Damaged(damage)),
    };
    loop {
        let done = match lines.next()? {
            Some(line) => reading.take(&line),
            None => Err(reading.cut()),
        };
        match done {
            Ok(false) => {}
            Ok(true) if lines.next()?.is_some() => {
                return Ok(BundleVerdict::Damaged(not_a_bundle()));
            }
            Ok(true) => return Ok(reading.finish()),
            Err(damage) => return Ok(BundleVerdict::Damaged(damage)),
        }
    }
}

fn not_a_bundle() -> Damage {
    Damage::of_file(What::File("it is not a bundle of an audit log".to_owned()))
}

struct Lines<R>(R);

impl<R: BufRead> Lines<R> {
    // A line that is too long is none.
    fn next(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let read = (&mut self.0).take(MAX_LINE).read_until(b'\n', &mut line)?;
        Ok(match read {
            0 => None,
            _ => Some(String::from_utf8(line).unwrap_or_default()),
        })
    }
}

struct Reading {
    description: Description,
    checkpoints: Vec<Checkpoint>,
    signers: Vec<String>,
    complete: Option<(Seq, Seq)>,
    sessions: std::collections::HashMap<u64, Hash>,
    /// Where all rows are there: the tree, and the next checkpoint.
    tree: Option<(Frontier, usize)>,
    rows: u64,
    disclosed: u64,
    first: Option<Seq>,
    last: Seq,
    scratch: Vec<u8>,
}

impl Reading {
    fn begin(line: &str, trusted: &[VerifyKey]) -> Option<Result<Self, Damage>> {
        let header: Header = serde_json::from_str(line).ok()?;
        if header.bundle != FORMAT {
            return None;
        }
        let brought: Option<Vec<_>> = header.keys.iter().map(|key| read_key(key)).collect();
        let brought = brought?;
        let keys = if trusted.is_empty() {
            &brought
        } else {
            trusted
        };
        let is_ours = |note: &String| match Checkpoint::verify(note, keys) {
            Ok(checkpoint) if checkpoint.origin == header.origin => Ok(checkpoint),
            _ => Err(BadCheckpoint),
        };
        let checkpoints: Result<Vec<_>, _> = header.checkpoints.iter().map(is_ours).collect();
        let unsigned = || Err(Damage::of_file(What::Checkpoint));
        let Ok(checkpoints) = checkpoints else {
            return Some(unsigned());
        };
        let last = checkpoints.last()?;
        let signers = keys
            .iter()
            .filter(|key| Checkpoint::verify(&last.note, std::slice::from_ref(key)).is_ok());
        let whole = header.complete == Some((1, last.head.size));
        let reading = Self {
            description: Description {
                origin: header.origin.clone(),
                recipient: header.recipient,
                tag_key: decode(&header.tag_key)?,
            },
            signers: signers.map(VerifyKey::to_vkey).collect(),
            complete: header.complete,
            sessions: std::collections::HashMap::new(),
            tree: whole.then(|| (Frontier::default(), 0)),
            checkpoints,
            rows: 0,
            disclosed: 0,
            first: None,
            last: 0,
            scratch: Vec::new(),
        };
        let mut reading = reading;
        Some(if whole {
            reading.look().map(|()| reading)
        } else {
            reading.continues(&header.consistency).map(|()| reading)
        })
    }

    fn continues(&self, proofs: &[Vec<String>]) -> Result<(), Damage> {
        let pairs = self.checkpoints.iter().zip(self.checkpoints.iter().skip(1));
        if proofs.len() + 1 != self.checkpoints.len() {
            return Err(not_a_bundle());
        }
        for ((old, new), proof) in pairs.zip(proofs) {
            let proof = decode_all(proof).ok_or_else(not_a_bundle)?;
            if !extends(&old.head, &new.head, &proof) {
                let last = new.head.size;
                return Err(Damage::at(old.head.size + 1, What::Rewritten { last }));
            }
        }
        Ok(())
    }

    // Checkpoints at the size that the tree has now.
    fn look(&mut self) -> Result<(), Damage> {
        let Some((edge, next)) = &mut self.tree else {
            return Ok(());
        };
        while let Some(checkpoint) = self.checkpoints.get(*next) {
            let head = checkpoint.head;
            if head.size > edge.size() {
                return Ok(());
            }
            if head != edge.head() {
                let before = next
                    .checked_sub(1)
                    .and_then(|one| self.checkpoints.get(one));
                let vouched = before.map_or(0, |one| one.head.size);
                let last = head.size;
                return Err(Damage::at(
                    (vouched + 1).min(last),
                    What::Rewritten { last },
                ));
            }
            *next += 1;
        }
        Ok(())
    }

    // Whether that was the end.
    fn take(&mut self, line: &str) -> Result<bool, Damage> {
        match serde_json::from_str(line) {
            Ok(Line::Row(row)) => self.row(&row).map(|()| false),
            Ok(Line::Session(session)) => self.session(&session).map(|()| false),
            Ok(Line::End(EndLine { end })) if end == self.rows => self.end().map(|()| true),
            _ => Err(self.unreadable()),
        }
    }

    fn session(&mut self, line: &SessionLine) -> Result<(), Damage> {
        let key = decode(&line.key).ok_or_else(|| self.unreadable())?;
        let hash = self
            .description
            .session_hash(line.session, line.started_ms, &key);
        self.sessions.insert(line.session, hash);
        Ok(())
    }

    fn row(&mut self, line: &RowLine) -> Result<(), Damage> {
        let seq = line.row;
        self.is_next(seq)?;
        let altered = || Damage::at(seq, What::Altered);
        let text = |text: &Option<String>| match text {
            None => Some(None),
            Some(text) => decode(text).map(|bytes| Some(bytes.into())),
        };
        let clear = Clear {
            seq,
            time_ms: line.time_ms,
            kind: line.kind.as_str().into(),
            decision: line.decision.as_str().into(),
            session: line.session,
            closes: line.closes,
            item_tag: text(&line.item_tag).ok_or_else(altered)?,
            client_tag: text(&line.client_tag).ok_or_else(altered)?,
        };
        let mut body = decode(&line.body).ok_or_else(altered)?;
        let session = *self.sessions.get(&clear.session).ok_or_else(altered)?;
        if clear.closes == Some(0) {
            return Err(altered());
        }
        let leaf = clear.leaf(&session, &body, &mut self.scratch);
        self.prove(line, leaf)?;
        if let Some(key) = &line.row_key {
            let key = decode(key).and_then(|key| RowKey::from_bytes(&key));
            let key = key.ok_or_else(altered)?;
            let shown = key.open(&clear.to_bytes(&session), &mut body);
            let shown = shown
                .ok()
                .and_then(|body| serde_json::from_slice(body).ok());
            if shown.is_none() || shown != line.event {
                return Err(altered());
            }
            self.disclosed += 1;
        } else if line.event.is_some() {
            return Err(altered());
        }
        self.rows += 1;
        self.first.get_or_insert(seq);
        self.last = seq;
        self.look()
    }

    fn is_next(&self, seq: Seq) -> Result<(), Damage> {
        let expected = match (self.complete, self.first) {
            (Some((first, _)), None) => first,
            (Some(_), Some(_)) => self.last + 1,
            (None, _) if seq > self.last => return Ok(()),
            (None, _) => self.last + 1,
        };
        match seq {
            _ if seq == expected => Ok(()),
            _ if seq > expected => Err(Damage::at(expected, What::Missing)),
            _ => Err(Damage::at(expected, What::Inserted)),
        }
    }

    fn prove(&mut self, line: &RowLine, leaf: Hash) -> Result<(), Damage> {
        let seq = line.row;
        let altered = || Damage::at(seq, What::Altered);
        match (&mut self.tree, &line.hashes, &line.proof) {
            (Some((edge, _)), Some(hashes), None) => {
                let stored = decode(hashes).ok_or_else(altered)?;
                let (stored, rest) = stored.as_chunks();
                if !rest.is_empty() || stored.len() != completed_with(seq) as usize {
                    return Err(altered());
                }
                if stored.first() != Some(&leaf) {
                    return Err(altered());
                }
                let mut completed = Vec::new();
                edge.push(leaf, |hash| completed.push(*hash));
                first_other(&completed, stored).map_or(Ok(()), |level| Err(misfit(seq, level)))
            }
            (None, None, Some(path)) => {
                let path = decode_all(path).ok_or_else(altered)?;
                let head = self.checkpoints.last().map(|last| last.head);
                let fits = head.is_some_and(|head| includes(&head, seq - 1, &leaf, &path));
                fits.then_some(()).ok_or_else(altered)
            }
            _ => Err(altered()),
        }
    }

    fn end(&self) -> Result<(), Damage> {
        match self.complete {
            Some((_, last)) if self.last != last => {
                Err(Damage::at(self.last + 1, What::Cut { expected: last }))
            }
            _ => Ok(()),
        }
    }

    fn cut(&self) -> Damage {
        match self.complete {
            Some((_, last)) => Damage::at(self.last + 1, What::Cut { expected: last }),
            None => Damage::of_file(What::File("its end is missing".to_owned())),
        }
    }

    fn unreadable(&self) -> Damage {
        let what = What::File("it has a line that is none of a bundle's".to_owned());
        match self.complete {
            Some(_) => Damage::at(self.last + 1, what),
            None => Damage::of_file(what),
        }
    }

    fn finish(self) -> BundleVerdict {
        let (last, earlier) = match self.checkpoints.split_last() {
            Some((last, earlier)) => (last.head, earlier),
            None => return BundleVerdict::Damaged(not_a_bundle()),
        };
        BundleVerdict::Sound(Box::new(Shown {
            origin: self.description.origin,
            head: last,
            signers: self.signers,
            earlier: earlier.iter().map(|one| one.head.size).collect(),
            rows: self.rows,
            span: self.first.map(|first| (first, self.last)),
            complete: self.complete.is_some(),
            disclosed: self.disclosed,
        }))
    }
}
