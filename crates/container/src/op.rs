//! Operations: what a segment holds, one JSON object a line, each with its clock. One way to write each.
//!
//! ```text
//! {"at":"1790000000000.0","item":"<id>","field":"<name>","value":"<text>"}       null instead of a text: empty
//! {"at":"1790000000000.1","item":"<id>","removed":true}
//! {"at":"1790000000000.2","setting":"<name>","value":"<text>"}
//! ```
//! In a snapshot each ends with `,"from":"<hash>"`: the commit that made it first.
//!
//! # Why not serde
//! Values are secrets. They are read straight into memory that is wiped, with no copy in a parser's scratch buffer.

use std::{fmt, str::FromStr, sync::Arc};

use touchkeep_core::ItemId;
use zeroize::Zeroizing;

use crate::hash::Hash;

/// Bytes that one value may have.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// Bytes that a field's or setting's name may have.
pub const MAX_KEY_BYTES: usize = 128;
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

/// What an operation changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Sets a field of an item, or empties it.
    Put {
        /// Of which item.
        item: ItemId,
        /// Which field: `[a-z0-9._-]+`.
        field: String,
        /// To what.
        value: Option<Value>,
    },
    /// Removes an item.
    Remove(ItemId),
    /// Sets a setting, or empties it.
    Set {
        /// Which: `[a-z0-9._-]+`.
        name: String,
        /// To what.
        value: Option<Value>,
    },
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// When.
    pub at: HybridClock,
    /// What.
    pub edit: Edit,
    /// In a snapshot: the commit that made it first.
    pub from: Option<Hash>,
}

/// Whether a text may be the name of a field or a setting.
#[must_use]
pub fn is_key(text: &str) -> bool {
    let plain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    !text.is_empty() && text.len() <= MAX_KEY_BYTES && text.bytes().all(plain)
}

/// Writes operations, one a line. The buffer is wiped when it is dropped, and never moves while it grows.
#[must_use]
pub fn write(ops: &[Op]) -> Zeroizing<String> {
    // The longest escape makes six bytes of one; with room for all, no half-written copy stays behind.
    let values = ops.iter().filter_map(Op::value).map(|v| v.expose().len());
    let mut out = Zeroizing::new(String::with_capacity(
        values.map(|len| 6 * len).sum::<usize>() + ops.len() * (256 + MAX_KEY_BYTES),
    ));
    for op in ops {
        write_op(&mut out, op);
        out.push('\n');
    }
    out
}

/// Reads operations.
///
/// # Errors
/// Any line that [`write()`] would not have written.
pub fn read(text: &str) -> Result<Vec<Op>, BadOp> {
    let mut ops = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let bad = BadOp {
            line: ops.len() + 1,
        };
        let (line, after) = rest.split_once('\n').ok_or(bad)?;
        ops.push(read_op(line).ok_or(bad)?);
        rest = after;
    }
    Ok(ops)
}

impl Op {
    const fn value(&self) -> Option<&Value> {
        match &self.edit {
            Edit::Put { value, .. } | Edit::Set { value, .. } => value.as_ref(),
            Edit::Remove(_) => None,
        }
    }
}

fn write_op(out: &mut String, op: &Op) {
    out.push_str(&format!("{{\"at\":\"{}\",", op.at));
    match &op.edit {
        Edit::Put { item, field, value } => {
            out.push_str(&format!(
                "\"item\":\"{item}\",\"field\":\"{field}\",\"value\":"
            ));
            write_value(out, value.as_ref());
        }
        Edit::Remove(item) => out.push_str(&format!("\"item\":\"{item}\",\"removed\":true")),
        Edit::Set { name, value } => {
            out.push_str(&format!("\"setting\":\"{name}\",\"value\":"));
            write_value(out, value.as_ref());
        }
    }
    if let Some(from) = op.from {
        out.push_str(&format!(",\"from\":\"{from}\""));
    }
    out.push('}');
}

fn write_value(out: &mut String, value: Option<&Value>) {
    let Some(value) = value else {
        return out.push_str("null");
    };
    out.push('"');
    // EXPOSE: to the segment, which is encrypted before it leaves the process.
    for c in value.expose().chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}

fn read_op(line: &str) -> Option<Op> {
    let (at, rest) = line.strip_prefix("{\"at\":\"")?.split_once("\",")?;
    let (edit, rest) = if let Some(rest) = rest.strip_prefix("\"item\":\"") {
        let (item, rest) = rest.split_once("\",")?;
        let item = item.parse().ok()?;
        if let Some(rest) = rest.strip_prefix("\"removed\":true") {
            (Edit::Remove(item), rest)
        } else {
            let (field, rest) = rest.strip_prefix("\"field\":\"")?.split_once("\",")?;
            let (value, rest) = read_value(rest)?;
            let field = key(field)?;
            (Edit::Put { item, field, value }, rest)
        }
    } else {
        let (name, rest) = rest.strip_prefix("\"setting\":\"")?.split_once("\",")?;
        let (value, rest) = read_value(rest)?;
        let name = key(name)?;
        (Edit::Set { name, value }, rest)
    };
    let from = match rest.strip_suffix('}')? {
        "" => None,
        from => Some(from.strip_prefix(",\"from\":\"")?.strip_suffix('"')?),
    };
    Some(Op {
        at: clock(at)?,
        edit,
        from: from.map(str::parse).transpose().ok()?,
    })
}

fn key(text: &str) -> Option<String> {
    is_key(text).then(|| text.to_owned())
}

fn clock(text: &str) -> Option<HybridClock> {
    let (ms, count) = text.split_once('.')?;
    let clock = HybridClock {
        ms: u64::from_str(ms).ok()?,
        count: count.parse().ok()?,
    };
    (clock.to_string() == text && clock.ms <= MAX_CLOCK_MS).then_some(clock)
}

// `"value":` and what stands there; and what follows it. The value's end is the first quote without a backslash.
fn read_value(text: &str) -> Option<(Option<Value>, &str)> {
    let text = text.strip_prefix("\"value\":")?;
    if let Some(rest) = text.strip_prefix("null") {
        return Some((None, rest));
    }
    let text = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = text.bytes().position(|b| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    })?;
    let (quoted, rest) = text.split_at_checked(end)?;
    Some((Some(unescape(quoted)?), rest.strip_prefix('"')?))
}

// Only the escapes that `write_value` makes.
fn unescape(quoted: &str) -> Option<Value> {
    let mut out = Zeroizing::new(String::with_capacity(quoted.len()));
    let mut rest = quoted.chars();
    while let Some(c) = rest.next() {
        out.push(match c {
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
    (out.len() <= MAX_VALUE_BYTES).then(|| Value::new(out))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use touchkeep_core::Id;

    use super::*;

    pub(crate) fn any_value() -> impl Strategy<Value = Option<Value>> {
        let text = any::<String>().prop_map(|text| Value::new(Zeroizing::new(text)));
        proptest::option::of(text)
    }

    fn any_op() -> impl Strategy<Value = Op> {
        let item = any::<[u8; 16]>().prop_map(|id| ItemId(Id::from_bytes(id)));
        let edit = prop_oneof![
            (item.clone(), "[a-z0-9._-]{1,12}", any_value())
                .prop_map(|(item, field, value)| { Edit::Put { item, field, value } }),
            item.prop_map(Edit::Remove),
            ("[a-z0-9._-]{1,12}", any_value()).prop_map(|(name, value)| Edit::Set { name, value }),
        ];
        let from = proptest::option::of(any::<[u8; 32]>().prop_map(Hash));
        (0..MAX_CLOCK_MS, any::<u32>(), edit, from).prop_map(|(ms, count, edit, from)| Op {
            at: HybridClock { ms, count },
            edit,
            from,
        })
    }

    proptest! {
        #[test]
        fn parse_of_print_is_the_same(ops in proptest::collection::vec(any_op(), 0..5)) {
            let text = write(&ops);
            prop_assert_eq!(read(&text), Ok(ops.clone()));
            // Stock tools read the same: every line is JSON, and its value is the value.
            for (line, op) in text.lines().zip(&ops) {
                let json: serde_json::Value = serde_json::from_str(line).unwrap();
                prop_assert_eq!(json.get("value").and_then(|v| v.as_str()), op.value().map(Value::expose));
            }
        }

        #[test]
        fn arbitrary_lines_never_panic_and_are_canonical(
            line in "\\{\"at\":\"[0-9]{1,3}\\.[0-9]{1,2}\",\"setting\":\"[a-z]{1,3}\",\"value\":\"([ -~]|\\\\u00[01][0-9a-f]|\\\\n){0,12}\"(,\"from\":\"[a-f0-9]{64}\")?\\}\n"
        ) {
            if let Ok(ops) = read(&line) {
                let again = write(&ops);
                prop_assert_eq!(again.as_str(), line);
            }
        }

        #[test]
        fn arbitrary_texts_never_panic(text in any::<String>()) {
            let _ = read(&text);
        }
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
        let edit = Edit::Set {
            name: "a".into(),
            value: Some(Value::new(Zeroizing::new("secret".into()))),
        };
        assert!(!format!("{edit:?}").contains("secret"));
    }
}
