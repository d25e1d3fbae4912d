//! What the operations of one environment add up to. The order in which they are taken in makes no difference.
//!
//! Per field the last writer wins, by the clock; of two with one reading, who knew the other, else the greater commit. For a secret field a write is replaced only by one that knew it:
//! two writes of which neither commit is the other's ancestor both stay, and the item is in conflict until a later write.
//!
//! # Why only an index
//! A vault of a hundred thousand items must open at once, and a secret that nobody asks for has no place in memory. So each
//! part is read once, strictly and whole, and then let go of: what stays is where the lines of each item stand. Who looks at
//! an item decrypts these lines again. Settings alone are kept, and small parts without secrets.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    ops::Range,
};

use touchkeep_core::ItemId;
use zeroize::Zeroizing;

use crate::{
    hash::Hash,
    history::History,
    name::MemberName,
    op::{self, BadOp, Edit, Head, HybridClock, Line, Op, Text, Writer, Written},
};

/// The chief secret field.
pub const SECRET_FIELD: &str = "secret";
/// How the names of further secret fields begin.
pub const SECRET_PREFIX: &str = "secret.";
/// How a secret field begins where the secret itself follows.
pub const STORED: &str = "stored:";

const NAME_FIELD: &str = "name";

/// A part of this size that says no secret is kept: to open each of many small ones again costs more than they take.
const MAX_KEPT_BYTES: usize = 4096;

/// Whether a field is secret: concurrent writes of it are both kept, what it holds is not shown and, once replaced, leaves the file.
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
    /// A line that is not what was read in its place before.
    #[error("it is not what it was")]
    Changed,
}

// A line that tells of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LineRef {
    item: ItemId,
    start: u32,
    end: u32,
    // Of the name that it gives the item; none has this number, but two may have one number.
    name: Option<NameHash>,
    secrets: SecretFields,
}

// Which secret fields a line sets: none for sure, or some of those with one bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct SecretFields(u8);

impl SecretFields {
    // The chief secret has a bit that is nobody else's: it is what signs. What a field was in earlier versions is in fields of their own.
    fn of(field: &str) -> Self {
        match field {
            SECRET_FIELD => Self(1),
            other if is_secret_field(other) => {
                let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(other);
                Self(2 << (hash % 7))
            }
            _ => Self(0),
        }
    }

    const fn any(self) -> bool {
        self.0 != 0
    }

    const fn may_have(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }

    const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

type NameHash = std::num::NonZeroU32;

// Not keyed: of two names with one number both are looked at.
fn name_hash(name: Text<'_>) -> NameHash {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name.escaped());
    let low = u32::try_from(hash & u64::from(u32::MAX)).unwrap_or_default();
    NameHash::new(low).unwrap_or(NameHash::MIN)
}

// A line that tells of settings, kept as it is.
struct SettingsLine {
    commit: Hash,
    text: Zeroizing<String>,
}

/// A segment or snapshot that was read: where its operations stand.
pub struct ReadPart {
    name: MemberName,
    commit: Hash,
    // From which byte on it speaks for other commits; ascending.
    froms: Vec<(u32, Hash)>,
    // Ascending by item.
    lines: Vec<LineRef>,
    settings: Vec<SettingsLine>,
    // All of it, if it is small and without secrets.
    kept: Zeroizing<Vec<u8>>,
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
        text: &[u8],
        history: &History,
    ) -> Result<Self, BadPart> {
        let text = std::str::from_utf8(text).map_err(|_| BadPart::Text)?;
        u32::try_from(text.len()).map_err(|_| BadPart::Text)?;
        let mut part = Self {
            name,
            commit,
            froms: Vec::new(),
            lines: Vec::new(),
            settings: Vec::new(),
            kept: Zeroizing::default(),
            clock: HybridClock::default(),
        };
        part.read_lines(text, history)?;
        if text.len() <= MAX_KEPT_BYTES && !part.lines.iter().any(|line| line.secrets.any()) {
            part.kept = Zeroizing::new(text.as_bytes().to_vec());
        }
        // A writer sorts them, so that there is nothing to do.
        part.lines.sort_unstable();
        part.lines.shrink_to_fit();
        Ok(part)
    }

    fn read_lines(&mut self, text: &str, history: &History) -> Result<(), BadPart> {
        let mut past: Option<BTreeSet<Hash>> = None;
        let (mut rest, mut line) = (text, 0);
        while !rest.is_empty() {
            line += 1;
            let (mut name, mut secrets) = (None, SecretFields::default());
            let read = op::read_line(rest, |field, value| match field {
                NAME_FIELD => name = value.map(name_hash),
                field => secrets = secrets.with(SecretFields::of(field)),
            });
            let (head, after) = read.ok_or(BadOp { line })?;
            let range = place_of(
                text,
                rest.get(..rest.len() - after.len()).unwrap_or_default(),
            );
            let (start, end) = (narrow(range.start), narrow(range.end));
            rest = after;
            let (at, item) = match head {
                Head::Put(at, item) | Head::Remove(at, item) => (at, item),
                Head::Set(at) => {
                    let text = Zeroizing::new(text.get(range).unwrap_or_default().to_owned());
                    let commit = self.from(start);
                    self.settings.push(SettingsLine { commit, text });
                    self.clock = self.clock.max(at);
                    continue;
                }
                // Only a snapshot speaks for other commits, and only for ones that came before it.
                Head::From(said) => {
                    let past = past.get_or_insert_with(|| history.reach(self.commit));
                    let is_snapshot = matches!(self.name, MemberName::Snapshot(_));
                    if !is_snapshot || said == self.commit || !past.contains(&said) {
                        return Err(BadPart::From);
                    }
                    self.froms.push((start, said));
                    continue;
                }
            };
            self.clock = self.clock.max(at);
            self.lines.push(LineRef {
                item,
                start,
                end,
                name,
                secrets,
            });
        }
        Ok(())
    }

    // The commit that what stands there is of.
    fn from(&self, start: u32) -> Hash {
        let before = self.froms.partition_point(|(from, _)| *from <= start);
        let said = before.checked_sub(1).and_then(|at| self.froms.get(at));
        said.map_or(self.commit, |(_, said)| *said)
    }

    fn of_item(&self, item: ItemId) -> &[LineRef] {
        let start = self.lines.partition_point(|line| line.item < item);
        let rest = self.lines.get(start..).unwrap_or_default();
        let len = rest.iter().take_while(|line| line.item == item).count();
        rest.get(..len).unwrap_or_default()
    }

    fn place(&self, line: &LineRef) -> Place {
        Place {
            item: line.item,
            part: self.name,
            commit: self.from(line.start),
            bytes: u64::from(line.start)..u64::from(line.end),
        }
    }
}

fn narrow(at: usize) -> u32 {
    // The text was found short enough.
    u32::try_from(at).unwrap_or(u32::MAX)
}

// Where a slice of a text stands in it.
fn place_of(text: &str, slice: &str) -> Range<usize> {
    let start = slice.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
    start..start + slice.len()
}

/// Where a line stands that tells of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Of which item.
    pub item: ItemId,
    /// In which part.
    pub part: MemberName,
    /// Which bytes of its plaintext.
    pub bytes: Range<u64>,
    // Who made it.
    commit: Hash,
}

impl Place {
    /// What stands there, in the whole plaintext of the part.
    #[must_use]
    pub fn of<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        let [start, end] = [self.bytes.start, self.bytes.end].map(usize::try_from);
        text.get(start.ok()?..end.ok()?)
    }
}

/// A line that was read again where it stands.
pub struct Told {
    place: Place,
    text: Zeroizing<String>,
}

impl Told {
    /// The line in the bytes that stand there.
    ///
    /// # Errors
    /// It is not one that tells of this item, and nothing else.
    pub fn read(place: Place, bytes: &[u8]) -> Result<Self, BadPart> {
        let text = std::str::from_utf8(bytes).map_err(|_| BadPart::Text)?;
        let text = Zeroizing::new(text.to_owned());
        let told = Self { place, text };
        told.op().map(drop)?;
        Ok(told)
    }

    /// The item that it tells of.
    #[must_use]
    pub const fn item(&self) -> ItemId {
        self.place.item
    }

    fn op(&self) -> Result<Op<'_>, BadPart> {
        read_again(&self.place, &self.text)
    }
}

impl Told {
    // The fields whose secrets it stores, and when it was written.
    fn stored(&self) -> impl Iterator<Item = (&str, Stamp)> {
        let op = self.op().ok();
        op.into_iter().flat_map(|op| {
            let (at, commit) = (op.at, self.place.commit);
            let fields = match op.edit {
                Edit::Put(_, fields) => fields,
                _ => Vec::new(),
            };
            let stored = fields.into_iter().filter(|(name, text)| {
                is_secret_field(name) && text.is_some_and(|it| it.escaped().starts_with(STORED))
            });
            stored.map(move |(name, _)| (name, Stamp { at, commit }))
        })
    }

    fn part(&self) -> String {
        self.place.part.to_string()
    }
}

/// The parts in which a stored secret of a field stands, by name, in lines that tell of one item: one that holds, one that was
/// replaced, and each copy of one that several copies of the file carried on.
pub fn parts_with_secret<'a>(
    told: impl IntoIterator<Item = &'a Told>,
    field: &str,
) -> BTreeSet<String> {
    let told = told.into_iter();
    let stored = told.filter(|told| told.stored().any(|(of, _)| of == field));
    stored.map(Told::part).collect()
}

/// The parts in which a stored secret stands that holds no longer, by name, in lines that are all that tell of their items. A
/// writer takes such a part out of the file as he replaces the secret; another copy may have carried it on meanwhile.
#[must_use]
pub fn parts_with_old_secrets(told: &[Told], history: &History) -> BTreeSet<String> {
    let items = items_of(told, history);
    let is_old = |told: &&Told| {
        let item = items.get(&told.item());
        told.stored()
            .any(|(field, stamp)| item.is_some_and(|item| !item.holds(field, stamp)))
    };
    told.iter().filter(is_old).map(Told::part).collect()
}

fn read_again<'a>(place: &Place, text: &'a str) -> Result<Op<'a>, BadPart> {
    let mut lines = op::lines(text);
    match (lines.next(), lines.next()) {
        (Some(Ok(Line::Op(op))), None) if item_of(&op) == Some(place.item) => Ok(op),
        _ => Err(BadPart::Changed),
    }
}

const fn item_of(op: &Op<'_>) -> Option<ItemId> {
    match op.edit {
        Edit::Put(item, _) | Edit::Remove(item) => Some(item),
        Edit::Set(_) => None,
    }
}

#[derive(Debug, Clone, Copy)]
struct Write<'a> {
    field: &'a str,
    stamp: Stamp,
    text: Option<Text<'a>>,
}

/// An item, put together.
#[derive(Debug, Clone, Default)]
pub struct ItemState<'a> {
    // Ascending by field, then by stamp. One of each field, but for secrets in conflict.
    writes: Vec<Write<'a>>,
    // The last one, once it is put together.
    removed: Vec<Stamp>,
    is_there: bool,
}

impl<'a> ItemState<'a> {
    /// What lines add up to that all tell of one item, and are all that tell of it; none where there are none.
    #[must_use]
    pub fn of(told: impl IntoIterator<Item = &'a Told>, history: &History) -> Option<Self> {
        let mut item = Self::default();
        for told in told {
            // It was read before.
            item.take_line(told.place.commit, told.op().ok()?);
        }
        item.settled(history)
    }

    /// What one line adds up to that alone tells of its item.
    ///
    /// # Errors
    /// As [`Told::read`].
    pub fn of_one(place: &Place, bytes: &'a [u8], history: &History) -> Result<Self, BadPart> {
        let mut item = Self::default();
        let text = std::str::from_utf8(bytes).map_err(|_| BadPart::Text)?;
        item.take_line(place.commit, read_again(place, text)?);
        item.settled(history).ok_or(BadPart::Changed)
    }

    fn take_line(&mut self, commit: Hash, op: Op<'a>) {
        let at = op.at;
        self.take(op, Stamp { at, commit });
    }

    fn settled(mut self, history: &History) -> Option<Self> {
        let is_told_of = !self.writes.is_empty() || !self.removed.is_empty();
        self.settle(history);
        is_told_of.then_some(self)
    }

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

    /// Its fields that are not empty. Of a stored secret only that it is stored.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, Text<'a>)> {
        let fields = self.writes.chunk_by(|a, b| a.field == b.field);
        fields.filter_map(|writes| {
            let last = writes.last()?;
            Some((last.field, last.shown()?))
        })
    }

    /// The last write of each field: which, when, and what it says; of a stored secret only that it is stored.
    pub fn last_writes(&self) -> impl Iterator<Item = (&'a str, Stamp, Option<Text<'a>>)> {
        let fields = self.writes.chunk_by(|a, b| a.field == b.field);
        fields.filter_map(|writes| {
            let last = writes.last()?;
            Some((last.field, last.stamp, last.shown()))
        })
    }

    /// What a secret field says, a stored secret with it.
    #[must_use]
    pub fn secret(&self, field: &str) -> Option<Text<'a>> {
        self.of_field(field).last()?.text
    }

    /// What every write of its secret fields says that is not replaced yet: the field, and the text. Of stored secrets only that
    /// they are stored. Of a field that is not empty for one writer and emptied by another, both count.
    pub fn secrets(&self) -> impl Iterator<Item = (&'a str, Text<'a>)> {
        let secret = self
            .writes
            .iter()
            .filter(|write| is_secret_field(write.field));
        secret.filter_map(|write| Some((write.field, write.shown()?)))
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

    fn take(&mut self, op: Op<'a>, stamp: Stamp) {
        match op.edit {
            Edit::Put(_, fields) | Edit::Set(fields) => {
                self.writes.reserve(fields.len());
                for (field, text) in fields {
                    self.writes.push(Write { field, stamp, text });
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

impl<'a> Write<'a> {
    fn stores(&self) -> bool {
        is_secret_field(self.field) && self.text.is_some_and(|it| it.escaped().starts_with(STORED))
    }

    fn shown(&self) -> Option<Text<'a>> {
        let text = self.text?;
        Some(if self.stores() {
            text.first(STORED.len())
        } else {
            text
        })
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
    // Of two of one commit with one reading the greater text: either will do, but it must not depend on the order.
    writes.sort_by_key(|write| {
        let Stamp { at, commit } = write.stamp;
        (commit, at, write.text.map(Text::escaped))
    });
    writes.reverse();
    writes.dedup_by_key(|write| write.stamp.commit);
    if writes.len() > 1 {
        let commits = writes.iter().map(|write| write.stamp.commit).collect();
        let before = history.before(&commits);
        writes.retain(|write| !before.contains(&write.stamp.commit));
    }
    writes.sort_by_key(|write| write.stamp);
}

/// The state of one environment.
#[derive(Default)]
pub struct State {
    parts: Vec<ReadPart>,
    clock: HybridClock,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State({} parts)", self.parts.len())
    }
}

impl State {
    /// Takes a part in.
    pub fn add(&mut self, part: ReadPart) {
        self.clock = self.clock.max(part.clock);
        self.parts.push(part);
    }

    /// Forgets parts that are no longer there; what still counted of them stands in others by now.
    pub fn forget(&mut self, gone: &BTreeSet<String>) {
        self.parts
            .retain(|part| !gone.contains(&part.name.to_string()));
    }

    /// The parts that were taken in.
    pub fn parts(&self) -> impl Iterator<Item = MemberName> {
        self.parts.iter().map(|part| part.name)
    }

    /// The latest clock that was taken in.
    #[must_use]
    pub const fn clock(&self) -> HybridClock {
        self.clock
    }

    fn lines(&self) -> impl Iterator<Item = &LineRef> {
        self.parts.iter().flat_map(|part| &part.lines)
    }

    /// Every item that anything is known of, there or removed; and of how many lines.
    #[must_use]
    pub fn known_items(&self) -> BTreeMap<ItemId, usize> {
        let mut items: Vec<ItemId> = self.lines().map(|line| line.item).collect();
        items.sort_unstable();
        let same = items.chunk_by(|a, b| a == b);
        same.filter_map(|same| Some((*same.first()?, same.len())))
            .collect()
    }

    /// Where the lines stand that tell of an item.
    #[must_use]
    pub fn places(&self, id: ItemId) -> Vec<Place> {
        self.places_where(id, |_| true)
    }

    /// Where the lines stand that say an item's secrets. They alone add up to the secrets that it has while it is there.
    #[must_use]
    pub fn secret_places(&self, id: ItemId) -> Vec<Place> {
        self.places_where(id, |line| line.secrets.any())
    }

    /// Where the lines stand that say one of an item's secret fields, and maybe others. They alone add up to what that field is while
    /// the item is there.
    #[must_use]
    pub fn places_of_secret(&self, id: ItemId, field: &str) -> Vec<Place> {
        let wanted = SecretFields::of(field);
        self.places_where(id, |line| line.secrets.may_have(wanted))
    }

    fn places_where(&self, id: ItemId, is_wanted: impl Fn(&LineRef) -> bool) -> Vec<Place> {
        let parts = self.parts.iter();
        let places = parts.flat_map(|part| {
            let lines = part.of_item(id).iter().filter(|line| is_wanted(line));
            lines.map(|line| part.place(line))
        });
        places.collect()
    }

    /// Where the lines of a part stand.
    pub fn places_in(&self, name: MemberName) -> impl Iterator<Item = Place> {
        let parts = self.parts.iter().filter(move |part| part.name == name);
        parts.flat_map(|part| part.lines.iter().map(|line| part.place(line)))
    }

    /// The line that stands there, where it was kept.
    #[must_use]
    pub fn kept(&self, place: &Place) -> Option<&[u8]> {
        let part = self.parts.iter().find(|part| part.name == place.part)?;
        place.of(&part.kept)
    }

    /// Whether anything is known of an item.
    #[must_use]
    pub fn knows(&self, id: ItemId) -> bool {
        self.parts.iter().any(|part| !part.of_item(id).is_empty())
    }

    /// Items that may be called so: of each some line says it, or a name like it. What holds is another question.
    #[must_use]
    pub fn maybe_named(&self, name: &str) -> BTreeSet<ItemId> {
        let hash = Some(name_hash(Text::of(&op::escaped(name))));
        let named = self.lines().filter(|line| line.name == hash);
        named.map(|line| line.item).collect()
    }

    /// Items of which several lines tell, one of them a secret: what an earlier line says of it may hold no longer.
    #[must_use]
    pub fn retold_secrets(&self) -> BTreeSet<ItemId> {
        let secrets = self.lines().filter(|line| line.secrets.any());
        let secrets: BTreeSet<ItemId> = secrets.map(|line| line.item).collect();
        let known = self.known_items();
        let retold = |id: &ItemId| known.get(id).is_some_and(|lines| *lines > 1);
        secrets.into_iter().filter(retold).collect()
    }

    /// The settings that are not empty.
    #[must_use]
    pub fn settings(&self, history: &History) -> Vec<(&str, Text<'_>)> {
        self.settings_state(history).fields().collect()
    }

    fn settings_state(&self, history: &History) -> ItemState<'_> {
        let mut settings = ItemState::default();
        for line in self.parts.iter().flat_map(|part| &part.settings) {
            if let Some(Ok(Line::Op(op))) = op::lines(&line.text).next() {
                let (at, commit) = (op.at, line.commit);
                settings.take(op, Stamp { at, commit });
            }
        }
        settings.settle(history);
        settings
    }

    /// What still counts of some parts, given their plaintexts with the commits that added them, and `told`, all that tells of the
    /// items in them: texts of snapshots of about `bytes` each. `replaced` says what the commit that is being made replaces. Secrets
    /// of removed items do not count.
    #[must_use]
    pub fn folded(
        &self,
        parts: &[(Hash, &str)],
        told: &[Told],
        history: &History,
        replaced: &Replaced,
        bytes: usize,
    ) -> Vec<Zeroizing<String>> {
        let mut by_commit: BTreeMap<Hash, Vec<Op<'_>>> = BTreeMap::new();
        let items = items_of(told, history);
        let settings = self.settings_state(history);
        let left = Left {
            items,
            settings,
            replaced,
        };
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
                        by_commit
                            .entry(from)
                            .or_default()
                            .extend(left.of(op, stamp));
                    }
                }
            }
        }
        written(by_commit, bytes)
    }
}

/// Lines of several items, put together. Those of one item are all that tell of it.
#[must_use]
pub fn items_of<'a>(told: &'a [Told], history: &History) -> HashMap<ItemId, ItemState<'a>> {
    let mut by_item: HashMap<ItemId, Vec<&Told>> = HashMap::new();
    for told in told {
        by_item.entry(told.item()).or_default().push(told);
    }
    let items = by_item.into_iter();
    items
        .filter_map(|(id, told)| Some((id, ItemState::of(told, history)?)))
        .collect()
}

// What there is, and what of it a commit that is being made replaces.
struct Left<'a> {
    items: HashMap<ItemId, ItemState<'a>>,
    settings: ItemState<'a>,
    replaced: &'a Replaced,
}

impl Left<'_> {
    fn of<'a>(&self, op: Op<'a>, stamp: Stamp) -> Option<Op<'a>> {
        let (settings, replaced) = (&self.settings, self.replaced);
        let edit = match op.edit {
            Edit::Put(id, mut fields) => {
                let item = self.items.get(&id)?;
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
                let counts = self.items.get(&id)?.removed.contains(&stamp);
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
