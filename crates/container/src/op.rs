//! Operations: what a segment or snapshot holds, one JSON object a line. One way to write each.
//!
//! ```text
//! {"at":"1790000000000.0","item":"<id>","set":{"<field>":"<text>","<field>":null}}     null: empty
//! {"at":"1790000000000.1","item":"<id>","removed":true}
//! {"at":"1790000000000.2","set":{"<setting>":"<text>"}}
//! {"from":"<hash>"}                        in a snapshot: the commit that made the operations that follow
//! ```
//!
//! # Why not serde
//! Values are secrets. They are read where they stand, in memory that is wiped, with no copy in a parser's scratch buffer.

use std::{fmt, sync::Arc};

use touchkeep_core::{ItemId, id::ID_TEXT_LEN};
use zeroize::Zeroizing;

use crate::hash::{HASH_TEXT_LEN, Hash};

/// Bytes that one value may have.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// Bytes that a field's or setting's name may have.
pub const MAX_KEY_BYTES: usize = 128;
/// Fields that one operation may set.
pub const MAX_FIELDS: usize = 256;
// As many as an item has, about: a guess at what to make room for.
const USUAL_FIELDS: usize = 12;
/// The last millisecond of the year 9999: clocks beyond it are refused.
pub const MAX_CLOCK_MS: u64 = 253_402_300_799_999;

/// The line is not an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of a segment cannot be read")]
pub struct BadOp {
    /// From 1.
    pub line: usize,
}

/// A hybrid logical clock: wall time, and a counter where that stands still or goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HybridClock {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// Counts within one millisecond.
    pub count: u32,
}

impl HybridClock {
    /// The next reading: after this one, and not before `now_ms`. At the end of the year 9999 it stands still, because a
    /// clock beyond it could not be read again.
    #[must_use]
    pub fn next(self, now_ms: u64) -> Self {
        let now_ms = now_ms.min(MAX_CLOCK_MS);
        if now_ms > self.ms {
            Self {
                ms: now_ms,
                count: 0,
            }
        } else if let Some(count) = self.count.checked_add(1) {
            Self { count, ..self }
        } else if self.ms < MAX_CLOCK_MS {
            Self {
                ms: self.ms + 1,
                count: 0,
            }
        } else {
            self
        }
    }
}

impl fmt::Display for HybridClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.ms, self.count)
    }
}

/// A value, wiped when the last holder lets go of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Arc<Zeroizing<String>>);

impl Value {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(Arc::new(text))
    }

    /// The text, for the shortest time. Write `// EXPOSE:` above the call where it may be a secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(hidden)")
    }
}

/// A value as it stands in a line: escaped, between quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// A text that was escaped here.
    pub(crate) const fn of(escaped: &'a str) -> Self {
        Self(escaped)
    }

    /// Its first bytes, none of which is part of an escape.
    pub(crate) fn first(self, bytes: usize) -> Self {
        Self(self.0.get(..bytes).unwrap_or_default())
    }

    /// The value.
    #[must_use]
    pub fn to_value(self) -> Value {
        let mut out = Zeroizing::new(String::with_capacity(self.0.len()));
        // It was found canonical when the line was read.
        let _ = unescape(self.0, |c| out.push(c));
        Value::new(out)
    }

    /// The value as plain text, for what is no secret.
    #[must_use]
    pub fn to_text(self) -> String {
        if self.0.contains('\\') {
            self.to_value().expose().to_owned()
        } else {
            self.0.to_owned()
        }
    }

    /// What stands between the quotes.
    #[must_use]
    pub const fn escaped(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text(hidden)")
    }
}

/// A field or setting, and what it is set to; none empties it.
pub type Field<'a, V> = (&'a str, Option<V>);

/// What an operation changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit<'a, V> {
    /// Sets fields of an item, or empties them. At least one, ascending.
    Put(ItemId, Vec<Field<'a, V>>),
    /// Removes an item.
    Remove(ItemId),
    /// Sets settings, or empties them. At least one, ascending.
    Set(Vec<Field<'a, V>>),
}

/// One operation, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op<'a> {
    /// When.
    pub at: HybridClock,
    /// What.
    pub edit: Edit<'a, Text<'a>>,
}

/// One line, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line<'a> {
    /// The commit that made the operations that follow.
    From(Hash),
    /// An operation.
    Op(Op<'a>),
}

/// Whether a text may be the name of a field or a setting.
#[must_use]
pub fn is_key(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_KEY_BYTES && text.bytes().all(|byte| is_key_byte(&byte))
}

const fn is_key_byte(byte: &u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')
}

/// Writes lines into memory that is wiped; no half-written copy stays behind when it grows.
#[derive(Default)]
pub struct Writer {
    text: Zeroizing<String>,
}

/// A value to be written.
#[derive(Clone, Copy)]
pub enum Written<'a> {
    /// As it is.
    Plain(&'a str),
    /// As it stood in another line.
    Escaped(Text<'a>),
}

impl Writer {
    /// Says which commit made what follows.
    pub fn from(&mut self, commit: Hash) {
        self.push("{\"from\":\"");
        self.push(&commit.to_string());
        self.push("\"}\n");
    }

    /// Writes an operation.
    pub fn op(&mut self, at: HybridClock, edit: &Edit<'_, Written<'_>>) {
        self.push(&format!("{{\"at\":\"{at}\","));
        match edit {
            Edit::Put(item, fields) => {
                self.push(&format!("\"item\":\"{item}\","));
                self.fields(fields);
            }
            Edit::Remove(item) => self.push(&format!("\"item\":\"{item}\",\"removed\":true}}\n")),
            Edit::Set(fields) => self.fields(fields),
        }
    }

    fn fields(&mut self, fields: &[Field<'_, Written<'_>>]) {
        self.push("\"set\":{");
        for (at, (name, value)) in fields.iter().enumerate() {
            if at > 0 {
                self.push(",");
            }
            self.push("\"");
            self.push(name);
            self.push("\":");
            match value {
                None => self.push("null"),
                Some(Written::Escaped(text)) => {
                    self.push("\"");
                    self.push(text.escaped());
                    self.push("\"");
                }
                Some(Written::Plain(text)) => self.quoted(text),
            }
        }
        self.push("}}\n");
    }

    fn quoted(&mut self, text: &str) {
        self.push("\"");
        self.escaped(text);
        self.push("\"");
    }

    fn escaped(&mut self, text: &str) {
        // EXPOSE: to the segment, which is encrypted before it leaves the process.
        let mut rest = text;
        while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
            let (plain, special) = rest.split_at(at);
            self.push(plain);
            let mut chars = special.chars();
            match chars.next() {
                Some('"') => self.push("\\\""),
                Some('\\') => self.push("\\\\"),
                Some('\n') => self.push("\\n"),
                Some('\r') => self.push("\\r"),
                Some('\t') => self.push("\\t"),
                Some(c) => self.push(&format!("\\u{:04x}", u32::from(c))),
                None => {}
            }
            rest = chars.as_str();
        }
        self.push(rest);
    }

    fn push(&mut self, text: &str) {
        let needed = self.text.len() + text.len();
        if needed > self.text.capacity() {
            let room = needed.max(self.text.capacity() * 2).max(4096);
            let mut larger = Zeroizing::new(String::with_capacity(room));
            larger.push_str(&self.text);
            self.text = larger;
        }
        self.text.push_str(text);
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> Zeroizing<String> {
        self.text
    }
}

/// How a text stands in a line, between its quotes.
#[must_use]
pub fn escaped(text: &str) -> Zeroizing<String> {
    let mut writer = Writer::default();
    writer.escaped(text);
    writer.finish()
}

/// Reads lines, strictly: any that [`Writer`] would not have written is refused.
pub fn lines(text: &str) -> impl Iterator<Item = Result<Line<'_>, BadOp>> {
    let mut rest = text;
    let mut line = 0;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        line += 1;
        let mut fields = Vec::new();
        let read = read_line(rest, |name, value| {
            if fields.is_empty() {
                fields.reserve(USUAL_FIELDS);
            }
            fields.push((name, value));
        });
        let Some((head, after)) = read else {
            rest = "";
            return Some(Err(BadOp { line }));
        };
        rest = after;
        let op = |at, edit| Line::Op(Op { at, edit });
        Some(Ok(match head {
            Head::From(commit) => Line::From(commit),
            Head::Put(at, item) => op(at, Edit::Put(item, fields)),
            Head::Remove(at, item) => op(at, Edit::Remove(item)),
            Head::Set(at) => op(at, Edit::Set(fields)),
        }))
    })
}

/// A line without its fields.
pub(crate) enum Head {
    From(Hash),
    Put(HybridClock, ItemId),
    Remove(HybridClock, ItemId),
    Set(HybridClock),
}

/// Reads the line that a text begins with: what it is, and the text after it. Its fields are handed out one by one; of a line
/// that is then found bad, some.
pub(crate) fn read_line<'a>(
    text: &'a str,
    field: impl FnMut(&'a str, Option<Text<'a>>),
) -> Option<(Head, &'a str)> {
    if let Some(from) = text.strip_prefix("{\"from\":\"") {
        let (hash, rest) = from.split_at_checked(HASH_TEXT_LEN)?;
        return Some((Head::From(hash.parse().ok()?), rest.strip_prefix("\"}\n")?));
    }
    let (at, rest) = read_clock(text.strip_prefix("{\"at\":\"")?)?;
    let rest = rest.strip_prefix("\",")?;
    let Some(rest) = rest.strip_prefix("\"item\":\"") else {
        return Some((Head::Set(at), read_fields(rest, field)?));
    };
    let (item, rest) = rest.split_at_checked(ID_TEXT_LEN)?;
    let item = item.parse().ok()?;
    let rest = rest.strip_prefix("\",")?;
    match rest.strip_prefix("\"removed\":true}\n") {
        Some(rest) => Some((Head::Remove(at, item), rest)),
        None => Some((Head::Put(at, item), read_fields(rest, field)?)),
    }
}

// Up to the end of the line, and what follows it.
fn read_fields<'a>(
    text: &'a str,
    mut field: impl FnMut(&'a str, Option<Text<'a>>),
) -> Option<&'a str> {
    let mut rest = text.strip_prefix("\"set\":{")?;
    // A name is never empty.
    let mut before = (0, "");
    for _ in 0..MAX_FIELDS {
        let (key, after) = read_key(rest.strip_prefix('"')?)?;
        let (value, after) = read_value(after.strip_prefix("\":")?)?;
        if key <= before {
            return None;
        }
        before = key;
        let (_, name) = key;
        field(name, value);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return after.strip_prefix("}}\n"),
        }
    }
    None
}

// A name, before it its first eight bytes as a number: names are in the order of these, and only where they are the same has more to be
// compared.
fn read_key(text: &str) -> Option<((u64, &str), &str)> {
    let bytes = text.as_bytes();
    let (mut first, mut len) = (0, 0);
    if let Some((word, _)) = bytes.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let bits = 8 * key_bytes(word);
        first = (word & !u64::MAX.checked_shl(bits).unwrap_or(0)).swap_bytes();
        len = usize::try_from(bits / 8).ok()?;
    }
    if len == 8 || bytes.len() < 8 {
        let more = bytes.get(len..)?.iter().take(MAX_KEY_BYTES - len);
        for byte in more.take_while(|byte| is_key_byte(byte)) {
            if len < 8 {
                first |= u64::from(*byte) << (56 - 8 * len);
            }
            len += 1;
        }
    }
    let (name, rest) = text.split_at_checked(len)?;
    (len > 0).then_some(((first, name), rest))
}

// How many of eight bytes may stand in a name, from the lowest one on.
fn key_bytes(word: u64) -> u32 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // Of seven bits each byte, those that are at least `n` have the high bit.
    let at_least = |n: u8| (word | HIGH).wrapping_sub(ONES.wrapping_mul(u64::from(n)));
    let within = |first: u8, last: u8| at_least(first) & !at_least(last + 1);
    let plain = within(b'a', b'z') | within(b'0', b'9') | within(b'-', b'.') | within(b'_', b'_');
    (!(plain & !word) & HIGH).trailing_zeros() / 8
}

// What stands after the colon, and what follows it. The value's end is the first quote without a backslash.
fn read_value(text: &str) -> Option<(Option<Text<'_>>, &str)> {
    if let Some(rest) = text.strip_prefix("null") {
        return Some((None, rest));
    }
    let text = text.strip_prefix('"')?;
    let bytes = text.as_bytes();
    let (mut end, mut escapes) = (0, false);
    loop {
        end += plain_bytes(bytes.get(end..)?);
        match bytes.get(end)? {
            b'"' => break,
            b'\\' => {
                escapes = true;
                end += 2;
            }
            _ => return None,
        }
    }
    let (quoted, rest) = text.split_at_checked(end)?;
    let len = if escapes {
        let mut len = 0;
        unescape(quoted, |c| len += c.len_utf8())?;
        len
    } else {
        quoted.len()
    };
    (len <= MAX_VALUE_BYTES).then_some((Some(Text(quoted)), rest.strip_prefix('"')?))
}

// How many bytes come before the first that is a quote, a backslash or below U+0020: eight at a time.
fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // Bytes that are less than `n` (at most 0x80) get their high bit; of greater ones only such that come after one that is.
    let less = |word: u64, n: u64| word.wrapping_sub(ONES.wrapping_mul(n)) & !word & HIGH;
    let same = |word: u64, byte: u8| less(word ^ u64::from_ne_bytes([byte; 8]), 1);
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = less(word, 0x20) | same(word, b'"') | same(word, b'\\');
        if found != 0 {
            let within = usize::try_from(found.trailing_zeros() / 8);
            return at * 8 + within.unwrap_or_default();
        }
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..=0x1f);
    words.len() * 8 + rest.iter().take_while(is_plain).count()
}

// Up to the quote.
fn read_clock(text: &str) -> Option<(HybridClock, &str)> {
    let (ms, rest) = read_number(text)?;
    let (count, rest) = read_number(rest.strip_prefix('.')?)?;
    let count = u32::try_from(count).ok()?;
    (ms <= MAX_CLOCK_MS).then_some((HybridClock { ms, count }, rest))
}

// Digits without leading zeros.
fn read_number(text: &str) -> Option<(u64, &str)> {
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(len)?;
    let is_plain = digits == "0" || !digits.starts_with('0');
    Some((is_plain.then(|| digits.parse().ok())??, rest))
}

// Only the escapes that `Writer` makes.
fn unescape(quoted: &str, mut take: impl FnMut(char)) -> Option<()> {
    let mut rest = quoted.chars();
    while let Some(c) = rest.next() {
        take(match c {
            '\\' => match rest.next()? {
                '"' => '"',
                '\\' => '\\',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let hex = rest.as_str().get(..4)?;
                    let code = u32::from_str_radix(hex, 16).ok()?;
                    let c = char::from_u32(code).filter(|c| *c < ' ')?;
                    let is_canonical =
                        format!("{code:04x}") == hex && !matches!(c, '\n' | '\r' | '\t');
                    rest = rest.as_str().get(4..)?.chars();
                    is_canonical.then_some(c)?
                }
                _ => return None,
            },
            '\0'..='\u{1f}' | '"' => return None,
            _ => c,
        });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use touchkeep_core::Id;

    use super::*;

    type Fields = std::collections::BTreeMap<String, Option<String>>;

    #[derive(Debug, Clone, PartialEq)]
    enum Owned {
        From([u8; 32]),
        Put([u8; 16], Fields),
        Remove([u8; 16]),
        Set(Fields),
    }

    fn any_line() -> impl Strategy<Value = (HybridClock, Owned)> {
        let value = proptest::option::of(any::<String>());
        let fields = || proptest::collection::btree_map("[a-z0-9._-]{1,12}", value.clone(), 1..4);
        let line = prop_oneof![
            any::<[u8; 32]>().prop_map(Owned::From),
            (any::<[u8; 16]>(), fields()).prop_map(|(item, fields)| Owned::Put(item, fields)),
            any::<[u8; 16]>().prop_map(Owned::Remove),
            fields().prop_map(Owned::Set),
        ];
        (0..MAX_CLOCK_MS, any::<u32>(), line)
            .prop_map(|(ms, count, line)| (HybridClock { ms, count }, line))
    }

    fn written(fields: &Fields) -> Vec<Field<'_, Written<'_>>> {
        let plain = fields.iter();
        plain
            .map(|(name, value)| (name.as_str(), value.as_deref().map(Written::Plain)))
            .collect()
    }

    fn write(lines: &[(HybridClock, Owned)]) -> String {
        let mut writer = Writer::default();
        for (at, line) in lines {
            let item = |id: &[u8; 16]| ItemId(Id::from_bytes(*id));
            match line {
                Owned::From(hash) => writer.from(Hash(*hash)),
                Owned::Put(id, fields) => writer.op(*at, &Edit::Put(item(id), written(fields))),
                Owned::Remove(id) => writer.op(*at, &Edit::Remove(item(id))),
                Owned::Set(fields) => writer.op(*at, &Edit::Set(written(fields))),
            }
        }
        writer.finish().to_string()
    }

    fn owned(fields: &[Field<'_, Text<'_>>]) -> Fields {
        let value = |text: &Text<'_>| text.to_value().expose().to_owned();
        fields
            .iter()
            .map(|(name, text)| ((*name).to_owned(), text.as_ref().map(value)))
            .collect()
    }

    fn read(text: &str) -> Result<Vec<Owned>, BadOp> {
        let owned = |line| match line {
            Line::From(hash) => Owned::From(hash.0),
            Line::Op(op) => match op.edit {
                Edit::Put(item, fields) => Owned::Put(*item.0.as_bytes(), owned(&fields)),
                Edit::Remove(item) => Owned::Remove(*item.0.as_bytes()),
                Edit::Set(fields) => Owned::Set(owned(&fields)),
            },
        };
        lines(text).map(|line| line.map(owned)).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_stock_tools_read_the_same(ops in proptest::collection::vec(any_line(), 0..5)) {
            let text = write(&ops);
            let expected: Vec<Owned> = ops.iter().map(|(_, line)| line.clone()).collect();
            prop_assert_eq!(read(&text), Ok(expected));
            for (line, (_, op)) in text.lines().zip(&ops) {
                let json: serde_json::Value = serde_json::from_str(line).unwrap();
                if let Owned::Put(_, fields) | Owned::Set(fields) = op {
                    prop_assert_eq!(&serde_json::to_value(fields).unwrap(), &json["set"]);
                }
            }
        }

        #[test]
        fn arbitrary_lines_never_panic_and_are_canonical(
            line in "\\{\"at\":\"[0-9]{1,3}\\.[0-9]{1,2}\",(\"item\":\"[a-z2-7]{26}\",)?\"set\":\\{(\"[a-z]{1,3}\":(null|\"([ -~]|\\\\u00[01][0-9a-f]|\\\\n){0,12}\"),?){1,3}\\}\\}\n"
        ) {
            if let Ok([line_read]) = lines(&line).collect::<Result<Vec<_>, _>>().as_deref() {
                let mut again = Writer::default();
                if let Line::Op(op) = line_read {
                    let (Edit::Put(_, fields) | Edit::Set(fields)) = &op.edit else {
                        unreachable!("the pattern has no removal")
                    };
                    let values = owned(fields);
                    let fields = written(&values);
                    again.op(op.at, &match op.edit {
                        Edit::Put(item, _) => Edit::Put(item, fields),
                        _ => Edit::Set(fields),
                    });
                }
                let again = again.finish();
                prop_assert_eq!(again.as_str(), line);
            }
        }

        #[test]
        fn eight_bytes_at_a_time_find_what_one_at_a_time_does(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0x1eu8..0x24, 0x5au8..0x5e], 0..40)) {
            let one_by_one = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            prop_assert_eq!(plain_bytes(&bytes), one_by_one.unwrap_or(bytes.len()));
        }

        #[test]
        fn names_are_read_as_they_are_one_byte_at_a_time(text in prop_oneof!["[-_.a-z0-9]{0,20}", "[ -~\u{7f}-\u{1ff}]{0,20}", "[-_.a-z0-9]{0,9}[!-\u{ff}]{0,20}"]) {
            let len = text.bytes().take_while(is_key_byte).count();
            let first = text.bytes().take(len).chain([0; 8]).take(8).fold(0, |first, byte| first << 8 | u64::from(byte));
            let expected = (len > 0).then(|| ((first, &text[..len]), &text[len..]));
            prop_assert_eq!(read_key(&text), expected);
        }

        #[test]
        fn arbitrary_texts_never_panic(text in any::<String>()) {
            let _ = read(&text);
        }
    }

    #[test]
    fn names_are_in_the_order_of_their_bytes() {
        let names = [
            "-",
            "a",
            "a-",
            "a.b",
            "aaaaaaa",
            "aaaaaaaa",
            "aaaaaaaa-",
            "aaaaaaaaa",
            "b",
        ];
        for (at, one) in names.iter().enumerate() {
            for (other_at, other) in names.iter().enumerate() {
                let line =
                    format!("{{\"at\":\"1.0\",\"set\":{{\"{one}\":null,\"{other}\":null}}}}\n");
                assert_eq!(read(&line).is_ok(), at < other_at, "{line}");
            }
        }
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        for bad in [
            r#"{"at":"01.0","set":{"a":null}}"#,
            r#"{"at":"+1.0","set":{"a":null}}"#,
            r#"{"at":"1.0","set":{}}"#,
            r#"{"at":"1.0","set":{"b":null,"a":null}}"#,
            r#"{"at":"1.0","set":{"a":null,"a":null}}"#,
            r#"{"at":"1.0","set":{"a":null},}"#,
            r#"{"at":"1.0", "set":{"a":null}}"#,
            r#"{"at":"1.0","set":{"a":"\u0041"}}"#,
            r#"{"at":"1.0","set":{"a":"\u000a"}}"#,
            r#"{"at":"1.0","set":{"a":"\/"}}"#,
            r#"{"at":"1.0","set":{"a":1}}"#,
            r#"{"at":"253402300800000.0","set":{"a":null}}"#,
            r#"{"from":"aa"}"#,
        ] {
            assert!(read(&format!("{bad}\n")).is_err(), "{bad}");
        }
        assert!(
            read(r#"{"at":"1.0","set":{"a":null}}"#).is_err(),
            "no newline"
        );
    }

    #[test]
    fn a_clock_never_goes_back() {
        let clock = HybridClock { ms: 5, count: 7 };
        assert_eq!(clock.next(9), HybridClock { ms: 9, count: 0 });
        assert_eq!(clock.next(1), HybridClock { ms: 5, count: 8 });
        let full = HybridClock {
            ms: 5,
            count: u32::MAX,
        };
        assert_eq!(full.next(5), HybridClock { ms: 6, count: 0 });
        let last = HybridClock {
            ms: MAX_CLOCK_MS,
            count: u32::MAX,
        };
        assert_eq!(last.next(u64::MAX), last);
    }

    #[test]
    fn debug_does_not_show_a_value() {
        let line = r#"{"at":"1.0","set":{"a":"secret"}}"#.to_owned() + "\n";
        let read: Vec<_> = lines(&line).collect();
        let value = Value::new(Zeroizing::new("secret".into()));
        assert!(!format!("{read:?}{value:?}").contains("secret"));
    }
}
