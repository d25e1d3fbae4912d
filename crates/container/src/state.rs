//! What the operations of one environment add up to. The order in which they are taken in makes no difference.
//!
//! Per field the last writer wins, by the clock; of two with one reading, who knew the other, else the greater commit. For a secret field a write is replaced only by one that knew it:
//! two writes of which neither commit is the other's ancestor both stay, and the item is in conflict until a later write.
//!
//! # Why only an index
//! A vault of a hundred thousand items must open at once, and a secret that nobody asks for has no place in memory. So lines
//! stay where they are, in text that is wiped; an item is put together when somebody looks at it; and stored secrets are
//! blotted out as soon as their line was read. Who needs one decrypts its part again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
};

use touchkeep_core::ItemId;
use zeroize::Zeroizing;

use crate::{
    hash::Hash,
    history::History,
    name::MemberName,
    op::{self, BadOp, Edit, HybridClock, Line, Op, Text, Writer, Written},
    parallel,
};

/// The chief secret field.
pub const SECRET_FIELD: &str = "secret";
/// How the names of further secret fields begin.
pub const SECRET_PREFIX: &str = "secret.";
/// How a secret field begins where the secret itself follows.
pub const STORED: &str = "stored:";

const BLOT: u8 = b'*';

/// Whether a field is secret: concurrent writes of it are both kept, what it held leaves memory and, once replaced, the file.
#[must_use]
pub fn is_secret_field(name: &str) -> bool {
    name == SECRET_FIELD || name.starts_with(SECRET_PREFIX)
}

/// When and by which commit something was written. Ordered as writes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// The writer's clock.
    pub at: HybridClock,
    /// The commit that made it.
    pub commit: Hash,
}

/// Why the plaintext of a segment or snapshot is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPart {
    /// Not UTF-8, or longer than 4 GiB.
    #[error("it is not text")]
    Text,
    /// A line that is no operation.
    #[error(transparent)]
    Op(#[from] BadOp),
    /// It speaks for a commit that it cannot speak for.
    #[error("it speaks for a commit that did not come before it")]
    From,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LineRef {
    at: HybridClock,
    // Index into `State::commits`.
    commit: u32,
    part: u32,
    start: u32,
    end: u32,
}

impl LineRef {
    const FIRST: Self = Self::at_either_end(HybridClock { ms: 0, count: 0 }, 0);
    const LAST: Self = {
        let (ms, count) = (u64::MAX, u32::MAX);
        Self::at_either_end(HybridClock { ms, count }, u32::MAX)
    };

    const fn at_either_end(at: HybridClock, end: u32) -> Self {
        Self {
            at,
            commit: end,
            part: end,
            start: end,
            end,
        }
    }
}

struct Indexed {
    item: Option<ItemId>,
    at: HybridClock,
    from: Hash,
    range: Range<u32>,
}

/// A segment or snapshot that was read: where its operations stand. Its stored secrets are blotted out.
pub struct ReadPart {
    name: MemberName,
    text: Zeroizing<Vec<u8>>,
    lines: Vec<Indexed>,
    clock: HybridClock,
}

impl ReadPart {
    /// Reads the plaintext of a part that `commit` added.
    ///
    /// # Errors
    /// Whatever in it is not exactly as the format says.
    pub fn read(
        name: MemberName,
        commit: Hash,
        mut text: Zeroizing<Vec<u8>>,
        history: &History,
    ) -> Result<Self, BadPart> {
        let (mut lines, mut secrets) = (Vec::new(), Vec::new());
        let mut clock = HybridClock::default();
        {
            let text = std::str::from_utf8(&text).map_err(|_| BadPart::Text)?;
            u32::try_from(text.len()).map_err(|_| BadPart::Text)?;
            let is_snapshot = matches!(name, MemberName::Snapshot(_));
            let mut past: Option<BTreeSet<Hash>> = None;
            let (mut from, mut start) = (commit, 0);
            for (line, raw) in op::lines(text).zip(text.split_inclusive('\n')) {
                let range = start..start + raw.len();
                start = range.end;
                let op = match line? {
                    Line::Op(op) => op,
                    // Only a snapshot speaks for other commits, and only for ones that came before it.
                    Line::From(said) => {
                        let past = past.get_or_insert_with(|| history.reach(commit));
                        if !is_snapshot || said == commit || !past.contains(&said) {
                            return Err(BadPart::From);
                        }
                        from = said;
                        continue;
                    }
                };
                clock = clock.max(op.at);
                secrets.extend(
                    stored_in(&op)
                        .into_iter()
                        .map(|secret| place_of(text, secret)),
                );
                lines.push(Indexed {
                    item: match op.edit {
                        Edit::Put(item, _) | Edit::Remove(item) => Some(item),
                        Edit::Set(_) => None,
                    },
                    at: op.at,
                    from,
                    range: narrow(range),
                });
            }
            if start != text.len() {
                return Err(BadOp {
                    line: lines.len() + 1,
                }
                .into());
            }
        }
        for place in secrets {
            if let Some(secret) = text.get_mut(place) {
                secret.fill(BLOT);
            }
        }
        Ok(Self {
            name,
            text,
            lines,
            clock,
        })
    }
}

fn narrow(range: Range<usize>) -> Range<u32> {
    // The text was found short enough.
    let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    narrow(range.start)..narrow(range.end)
}

fn item_of(line: &str) -> Option<ItemId> {
    match op::lines(line).next()?.ok()? {
        Line::Op(Op {
            edit: Edit::Put(item, _) | Edit::Remove(item),
            ..
        }) => Some(item),
        _ => None,
    }
}

// The secrets in an operation that stores some, as they stand there.
fn stored_in<'a>(op: &Op<'a>) -> Vec<&'a str> {
    let Edit::Put(_, fields) = &op.edit else {
        return Vec::new();
    };
    let secret = fields.iter().filter(|(name, _)| is_secret_field(name));
    let stored = secret.filter_map(|(_, text)| text.as_ref()?.escaped().strip_prefix(STORED));
    stored.collect()
}

// Where a slice of a text stands in it.
fn place_of(text: &str, slice: &str) -> Range<usize> {
    let start = slice.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
    start..start + slice.len()
}

/// Where a stored secret stands: in the plaintext of a part, escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which part.
    pub part: MemberName,
    /// Which bytes of its plaintext.
    pub bytes: Range<u64>,
}

impl Place {
    /// The secret in the bytes that stand there.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<op::Value> {
        let line =
            Zeroizing::new([b"{\"at\":\"0.0\",\"set\":{\"x\":\"", bytes, b"\"}}\n"].concat());
        let text = std::str::from_utf8(&line).ok()?;
        match op::lines(text).next()?.ok()? {
            Line::Op(Op {
                edit: Edit::Set(fields),
                ..
            }) => Some(fields.first()?.1?.to_value()),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Write<'a> {
    field: &'a str,
    stamp: Stamp,
    text: Option<Text<'a>>,
    part: u32,
}

/// An item, put together.
#[derive(Debug, Clone)]
pub struct ItemState<'a> {
    // Ascending by field, then by stamp. One of each field, but for secrets in conflict.
    writes: Vec<Write<'a>>,
    // The last one, once it is put together.
    removed: Vec<Stamp>,
    is_there: bool,
    state: &'a State,
}

impl<'a> ItemState<'a> {
    /// Whether it is there: written after it was removed, or never removed.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.is_there
    }

    /// The earliest write of it that still holds.
    #[must_use]
    pub fn first_write(&self) -> Option<Stamp> {
        self.writes.iter().map(|write| write.stamp).min()
    }

    /// Its fields that are not empty. A stored secret is blotted out.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, Text<'a>)> {
        let fields = self.writes.chunk_by(|a, b| a.field == b.field);
        fields.filter_map(|writes| {
            let last = writes.last()?;
            Some((last.field, last.text?))
        })
    }

    /// Where the stored secret of a field is.
    #[must_use]
    pub fn stored_secret(&self, field: &str) -> Option<Place> {
        let write = self.of_field(field).last()?;
        let secret = write.text?.escaped().strip_prefix(STORED)?;
        let part = self.state.parts.get(&write.part)?;
        let text = std::str::from_utf8(&part.text).ok()?;
        let bytes = place_of(text, secret);
        Some(Place {
            part: part.name,
            bytes: u64::try_from(bytes.start).ok()?..u64::try_from(bytes.end).ok()?,
        })
    }

    /// The parts that hold a stored secret of a field, of every write that is not replaced yet.
    pub fn parts_with_secret(&self, field: &str) -> impl Iterator<Item = MemberName> {
        let writes = self.of_field(field).iter();
        let stored =
            writes.filter(|write| write.text.is_some_and(|t| t.escaped().starts_with(STORED)));
        stored.filter_map(|write| Some(self.state.parts.get(&write.part)?.name))
    }

    /// What every write of its secret fields says that is not replaced yet: the field, and the text. Stored secrets are blotted
    /// out. Of a field that is not empty for one writer and emptied by another, both count.
    pub fn secrets(&self) -> impl Iterator<Item = (&'a str, Text<'a>)> {
        let secret = self
            .writes
            .iter()
            .filter(|write| is_secret_field(write.field));
        secret.filter_map(|write| Some((write.field, write.text?)))
    }

    /// Secret fields that two writers gave different texts without knowing of each other.
    pub fn conflicts(&self) -> impl Iterator<Item = &'a str> {
        let fields = self.writes.chunk_by(|a, b| a.field == b.field);
        let several = fields.filter(|writes| writes.len() > 1);
        several.filter_map(|writes| Some(writes.first()?.field))
    }

    /// Whether a secret field is in conflict.
    #[must_use]
    pub fn is_in_conflict(&self) -> bool {
        self.conflicts().next().is_some()
    }

    fn take(&mut self, op: &Op<'a>, stamp: Stamp, part: u32) {
        match &op.edit {
            Edit::Put(_, fields) | Edit::Set(fields) => {
                self.writes.reserve(fields.len());
                for &(field, text) in fields {
                    self.writes.push(Write {
                        field,
                        stamp,
                        text,
                        part,
                    });
                }
            }
            Edit::Remove(_) => self.removed.push(stamp),
        }
    }

    // Leaves what holds.
    fn settle(&mut self, history: &History) {
        let is_of_same = |a: &Write<'_>, b: &Write<'_>| a.field == b.field;
        self.writes.sort_by_key(|write| write.field);
        // Nearly always each field was written once.
        if !self.writes.is_sorted_by(|a, b| !is_of_same(a, b)) {
            let written = std::mem::take(&mut self.writes);
            for writes in written.chunk_by(is_of_same) {
                self.writes.extend(holding(writes.to_vec(), history));
            }
        }
        self.removed = latest(self.removed.iter().copied(), history)
            .into_iter()
            .collect();
        self.is_there = self.writes.iter().any(|write| {
            let mut removed = self.removed.iter();
            removed.all(|removed| is_later(write.stamp, *removed, history))
        });
    }

    fn of_field(&self, name: &str) -> &[Write<'a>] {
        let start = self.writes.partition_point(|write| write.field < name);
        let end = self.writes.partition_point(|write| write.field <= name);
        self.writes.get(start..end).unwrap_or_default()
    }

    fn holds(&self, name: &str, stamp: Stamp) -> bool {
        self.holds_setting(name, stamp) && (!is_secret_field(name) || self.is_there())
    }

    fn holds_setting(&self, name: &str, stamp: Stamp) -> bool {
        self.of_field(name).iter().any(|write| write.stamp == stamp)
    }
}

// Of the writes of one field, those that hold.
fn holding<'a>(mut writes: Vec<Write<'a>>, history: &History) -> Vec<Write<'a>> {
    match writes.first() {
        Some(write) if is_secret_field(write.field) => keep_unseen(&mut writes, history),
        _ => keep_latest(&mut writes, history),
    }
    writes
}

// The last of some writes or removals. Of those with one reading of the clock, one that knew another is later: else whoever
// writes with the last reading that there is could never be overruled.
fn latest(stamps: impl Iterator<Item = Stamp> + Clone, history: &History) -> Option<Stamp> {
    let at = stamps.clone().map(|stamp| stamp.at).max()?;
    let mut commits: BTreeSet<Hash> = stamps.filter(|s| s.at == at).map(|s| s.commit).collect();
    if commits.len() > 1 {
        let before = history.before(&commits);
        commits.retain(|commit| !before.contains(commit));
    }
    let commit = commits.pop_last()?;
    Some(Stamp { at, commit })
}

fn is_later(one: Stamp, other: Stamp, history: &History) -> bool {
    let both = BTreeSet::from([one.commit, other.commit]);
    one.at > other.at
        || one.at == other.at && both.len() > 1 && {
            let before = history.before(&both);
            let [one_is, other_is] = [one, other].map(|it| before.contains(&it.commit));
            (other_is, !one_is, one.commit) > (one_is, !other_is, other.commit)
        }
}

fn keep_latest(writes: &mut Vec<Write<'_>>, history: &History) {
    if writes.len() < 2 {
        return;
    }
    let latest = latest(writes.iter().map(|write| write.stamp), history);
    writes.retain(|write| Some(write.stamp) == latest);
    // One commit may have written twice with one reading: then the greater text holds, whatever the order.
    writes.sort_by_key(|write| write.text.map(Text::escaped));
    writes.drain(..writes.len().saturating_sub(1));
}

// Of each commit the last write, and of these the ones whose commits came before no other's.
fn keep_unseen(writes: &mut Vec<Write<'_>>, history: &History) {
    writes.sort_by_key(|write| (write.stamp.commit, write.stamp.at));
    writes.reverse();
    writes.dedup_by_key(|write| write.stamp.commit);
    if writes.len() > 1 {
        let commits = writes.iter().map(|write| write.stamp.commit).collect();
        let before = history.before(&commits);
        writes.retain(|write| !before.contains(&write.stamp.commit));
    }
    writes.sort_by_key(|write| write.stamp);
}

struct PartText {
    name: MemberName,
    text: Zeroizing<Vec<u8>>,
}

/// The state of one environment.
#[derive(Default)]
pub struct State {
    parts: BTreeMap<u32, PartText>,
    commits: Vec<Hash>,
    known: HashMap<Hash, u32>,
    // Not a list for each item: a hundred thousand small ones cost more than all the rest.
    items: BTreeSet<(ItemId, LineRef)>,
    settings: Vec<LineRef>,
    clock: HybridClock,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State({} items)", self.known_items().count())
    }
}

impl State {
    /// Takes a part in.
    pub fn add(&mut self, part: ReadPart) {
        let number = self.parts.last_key_value().map_or(0, |(last, _)| last + 1);
        for line in part.lines {
            let commit = self.commit(line.from);
            let line_ref = LineRef {
                at: line.at,
                commit,
                part: number,
                start: line.range.start,
                end: line.range.end,
            };
            match line.item {
                Some(item) => drop(self.items.insert((item, line_ref))),
                None => self.settings.push(line_ref),
            }
        }
        self.clock = self.clock.max(part.clock);
        let (name, text) = (part.name, part.text);
        self.parts.insert(number, PartText { name, text });
    }

    fn commit(&mut self, hash: Hash) -> u32 {
        let next = u32::try_from(self.commits.len()).unwrap_or(u32::MAX);
        *self.known.entry(hash).or_insert_with(|| {
            self.commits.push(hash);
            next
        })
    }

    /// Forgets parts that are no longer there; what still counted of them stands in others by now.
    pub fn forget(&mut self, gone: &BTreeSet<String>) {
        let is_gone = |part: &PartText| gone.contains(&part.name.to_string());
        let numbers: BTreeSet<u32> = self
            .parts
            .iter()
            .filter(|(_, part)| is_gone(part))
            .map(|(number, _)| *number)
            .collect();
        let keeps = |line: &LineRef| !numbers.contains(&line.part);
        self.settings.retain(keeps);
        for number in &numbers {
            let Some(part) = self.parts.remove(number) else {
                continue;
            };
            // Of the items, only those that it tells of.
            let text = std::str::from_utf8(&part.text).unwrap_or_default();
            for item in text.split_inclusive('\n').filter_map(item_of) {
                let lines: Vec<LineRef> = self.lines_of(item).copied().collect();
                for line in lines.into_iter().filter(|line| !keeps(line)) {
                    self.items.remove(&(item, line));
                }
            }
        }
    }

    /// The parts that were taken in.
    pub fn parts(&self) -> impl Iterator<Item = MemberName> {
        self.parts.values().map(|part| part.name)
    }

    /// The latest clock that was taken in.
    #[must_use]
    pub const fn clock(&self) -> HybridClock {
        self.clock
    }

    /// Every item that anything is known of, there or removed.
    pub fn known_items(&self) -> impl Iterator<Item = ItemId> {
        let mut items = self.items.iter().map(|(item, _)| *item).peekable();
        std::iter::from_fn(move || {
            let item = items.next()?;
            while items.next_if_eq(&item).is_some() {}
            Some(item)
        })
    }

    fn lines_of(&self, item: ItemId) -> impl Iterator<Item = &LineRef> {
        let all = (item, LineRef::FIRST)..=(item, LineRef::LAST);
        self.items.range(all).map(|(_, line)| line)
    }

    /// Whether anything is known of an item.
    #[must_use]
    pub fn knows(&self, id: ItemId) -> bool {
        self.lines_of(id).next().is_some()
    }

    /// An item, there or removed; none where nothing is known of it.
    #[must_use]
    pub fn item(&self, id: ItemId, history: &History) -> Option<ItemState<'_>> {
        let mut lines = self.lines_of(id).peekable();
        lines.peek()?;
        Some(self.resolved(lines, history))
    }

    /// Items of which some line sets a field to this text. Whether it still holds is another question.
    #[must_use]
    pub fn items_told(&self, field: &str, text: &str) -> BTreeSet<ItemId> {
        let looked_for = op::field_text(field, text);
        let parts: Vec<&PartText> = self.parts.values().collect();
        let told = parallel::map(&parts, |part| {
            let text = std::str::from_utf8(&part.text).unwrap_or_default();
            let places = text.match_indices(looked_for.as_str());
            let lines = places.filter_map(|(at, _)| {
                let (before, after) = text.split_at_checked(at)?;
                let start = before.rfind('\n').map_or(0, |end| end + 1);
                text.get(start..at + after.find('\n')? + 1)
            });
            lines.filter_map(item_of).collect::<Vec<_>>()
        });
        told.into_iter().flatten().collect()
    }

    /// Whether an item was written more than once, so that it may be in conflict.
    #[must_use]
    pub fn may_be_in_conflict(&self, id: ItemId) -> bool {
        self.lines_of(id).nth(1).is_some()
    }

    /// The settings that are not empty.
    #[must_use]
    pub fn settings(&self, history: &History) -> Vec<(&str, Text<'_>)> {
        self.resolved(&self.settings, history).fields().collect()
    }

    fn resolved<'a>(
        &'a self,
        lines: impl IntoIterator<Item = &'a LineRef>,
        history: &History,
    ) -> ItemState<'a> {
        let mut item = ItemState {
            writes: Vec::new(),
            removed: Vec::new(),
            is_there: false,
            state: self,
        };
        for line in lines {
            if let Some((op, stamp)) = self.read(line) {
                item.take(&op, stamp, line.part);
            }
        }
        item.settle(history);
        item
    }

    // Every line was read once already.
    fn read(&self, line: &LineRef) -> Option<(Op<'_>, Stamp)> {
        let commit = *self.commits.get(usize::try_from(line.commit).ok()?)?;
        let part = self.parts.get(&line.part)?;
        let range = usize::try_from(line.start).ok()?..usize::try_from(line.end).ok()?;
        let text = std::str::from_utf8(part.text.get(range)?).ok()?;
        match op::lines(text).next()?.ok()? {
            Line::Op(op) => Some((
                op,
                Stamp {
                    at: line.at,
                    commit,
                },
            )),
            Line::From(_) => None,
        }
    }

    /// What still counts of some parts, given their plaintexts with the commits that added them: texts of snapshots of about
    /// `bytes` each. `replaced` says what the commit that is being made replaces. Secrets of removed items do not count.
    #[must_use]
    pub fn folded(
        &self,
        parts: &[(Hash, &str)],
        history: &History,
        replaced: &Replaced,
        bytes: usize,
    ) -> Vec<Zeroizing<String>> {
        let mut by_commit: BTreeMap<Hash, Vec<Op<'_>>> = BTreeMap::new();
        let settings = self.resolved(&self.settings, history);
        for (commit, text) in parts {
            let mut from = *commit;
            for line in op::lines(text).flatten() {
                match line {
                    Line::From(said) => from = said,
                    Line::Op(op) => {
                        let stamp = Stamp {
                            at: op.at,
                            commit: from,
                        };
                        let left = self.left_of(op, stamp, &settings, history, replaced);
                        by_commit.entry(from).or_default().extend(left);
                    }
                }
            }
        }
        written(by_commit, bytes)
    }

    fn left_of<'a>(
        &self,
        op: Op<'a>,
        stamp: Stamp,
        settings: &ItemState<'_>,
        history: &History,
        replaced: &Replaced,
    ) -> Option<Op<'a>> {
        let edit = match op.edit {
            Edit::Put(id, mut fields) => {
                let item = self.item(id, history)?;
                let counts = |name: &str| item.holds(name, stamp) && !replaced.has(Some(id), name);
                fields.retain(|(name, _)| counts(name));
                Edit::Put(id, fields)
            }
            Edit::Set(mut fields) => {
                let counts =
                    |name: &str| settings.holds_setting(name, stamp) && !replaced.has(None, name);
                fields.retain(|(name, _)| counts(name));
                Edit::Set(fields)
            }
            Edit::Remove(id) => {
                let counts = self.item(id, history)?.removed.contains(&stamp);
                counts.then_some(Edit::Remove(id))?
            }
        };
        match &edit {
            Edit::Put(_, fields) | Edit::Set(fields) if fields.is_empty() => None,
            _ => Some(Op { at: op.at, edit }),
        }
    }
}

/// What a commit that is being made replaces.
#[derive(Debug, Default)]
pub struct Replaced {
    fields: BTreeSet<(Option<ItemId>, String)>,
    secrets_of: BTreeSet<ItemId>,
}

impl Replaced {
    /// A field of an item, or a setting.
    pub fn field(&mut self, item: Option<ItemId>, name: &str) {
        self.fields.insert((item, name.to_owned()));
    }

    /// The secrets of an item that is removed.
    pub fn removed(&mut self, item: ItemId) {
        self.secrets_of.insert(item);
    }

    fn has(&self, item: Option<ItemId>, name: &str) -> bool {
        self.fields.contains(&(item, name.to_owned()))
            || (is_secret_field(name) && item.is_some_and(|item| self.secrets_of.contains(&item)))
    }
}

// Operations of many commits, each said to be of its own.
fn written(by_commit: BTreeMap<Hash, Vec<Op<'_>>>, bytes: usize) -> Vec<Zeroizing<String>> {
    let (mut texts, mut writer) = (Vec::new(), Writer::default());
    for (commit, mut ops) in by_commit {
        // An operation may stand in two parts of a merged copy.
        ops.sort_by_key(|op| (op.at, place(op)));
        ops.dedup();
        let mut said = false;
        for op in ops {
            if writer.len() >= bytes {
                texts.push(std::mem::take(&mut writer).finish());
                said = false;
            }
            if !std::mem::replace(&mut said, true) {
                writer.from(commit);
            }
            writer.op(op.at, &as_written(&op.edit));
        }
    }
    if !writer.is_empty() {
        texts.push(writer.finish());
    }
    texts
}

fn place(op: &Op<'_>) -> (Option<ItemId>, bool) {
    match &op.edit {
        Edit::Put(item, _) => (Some(*item), false),
        Edit::Remove(item) => (Some(*item), true),
        Edit::Set(_) => (None, false),
    }
}

fn as_written<'a>(edit: &Edit<'a, Text<'a>>) -> Edit<'a, Written<'a>> {
    let escaped = |fields: &[op::Field<'a, Text<'a>>]| {
        let fields = fields.iter();
        fields
            .map(|(name, text)| (*name, text.map(Written::Escaped)))
            .collect()
    };
    match edit {
        Edit::Put(item, fields) => Edit::Put(*item, escaped(fields)),
        Edit::Remove(item) => Edit::Remove(*item),
        Edit::Set(fields) => Edit::Set(escaped(fields)),
    }
}

#[cfg(test)]
mod tests;
