//! JSON, read strictly and written in one form.
//!
//! # Why not `serde_json`
//! Readers differ on repeated members, on numbers with more digits than a float has, and on lone surrogates. So what differs
//! is refused, numbers keep the digits that they came with, members keep their order, and everything is written again
//! without blanks: the bytes that were judged are the bytes that are signed and sent (RFC 8259).

use crate::{Parameter, Unreadable, form::MAX_BYTES};

/// How deep arrays and objects may stand in each other.
pub const MAX_DEPTH: usize = 16;
/// Values that one text may have.
pub const MAX_VALUES: usize = 4096;
/// What most texts fit into.
const USUAL_BYTES: usize = 256;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// Members, in their order; no two of one name, in whatever case.
    Members(Vec<(String, Json)>),
}

impl Json {
    /// Reads one text.
    ///
    /// # Errors
    /// When it is broken or could be read in two ways.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.len() > MAX_BYTES {
            return Err(Unreadable::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::NotUtf8)?;
        let mut reader = Reader {
            rest: text,
            values: 0,
        };
        let value = reader.value(0)?;
        reader.blanks();
        if reader.rest.is_empty() {
            Ok(value)
        } else {
            Err(Unreadable::Json)
        }
    }

    /// The one form.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::with_capacity(USUAL_BYTES);
        self.write(&mut out);
        out
    }

    /// The member of that name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Members(members) => members.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The first of a list.
    #[must_use]
    pub fn first(&self) -> Option<&Self> {
        match self {
            Self::List(values) => values.first(),
            _ => None,
        }
    }

    /// A number's digits, or a text.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        match self {
            Self::Number(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Every value that holds no others, under the path to it: `orders[0].price`.
    #[must_use]
    pub fn flat(&self) -> Vec<Parameter> {
        self.flat_under(String::new())
    }

    /// The same under a name: `json.orders[0].price`.
    pub(crate) fn flat_under(&self, name: String) -> Vec<Parameter> {
        let mut out = Vec::new();
        self.flatten(name, &mut out);
        out
    }

    /// The list or members that a text is, as some venues have orders in a form; none where it is neither.
    ///
    /// # Errors
    /// When it is, and could be read in two ways.
    pub(crate) fn within(text: &str) -> Result<Option<Self>, Unreadable> {
        if !text.trim_start().starts_with(['[', '{']) {
            return Ok(None);
        }
        match Self::read(text.as_bytes()) {
            Ok(json) => Ok(Some(json)),
            // No JSON, for nobody: a text that begins like it.
            Err(Unreadable::Json) => Ok(None),
            Err(why) => Err(why),
        }
    }

    fn flatten(&self, name: String, out: &mut Vec<Parameter>) {
        let value = match self {
            Self::List(values) if !values.is_empty() => {
                for (at, value) in values.iter().enumerate() {
                    value.flatten(format!("{name}[{at}]"), out);
                }
                return;
            }
            Self::Members(members) if !members.is_empty() => {
                for (member, value) in members {
                    let dot = if name.is_empty() { "" } else { "." };
                    value.flatten(format!("{name}{dot}{member}"), out);
                }
                return;
            }
            Self::Text(text) | Self::Number(text) => text.clone(),
            _ => self.to_text(),
        };
        out.push(Parameter { name, value });
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(digits) => out.push_str(digits),
            Self::Text(text) => write_text(text, out),
            Self::List(values) => {
                out.push('[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Self::Members(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

// There are no control characters: none is read, and none is put in by us.
pub(crate) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|b| matches!(b, b'"' | b'\\')) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        out.push('\\');
        let (special, after) = special.split_at(1);
        out.push_str(special);
        rest = after;
    }
    out.push_str(rest);
    out.push('"');
}

struct Reader<'a> {
    rest: &'a str,
    values: usize,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn next(&mut self) -> Result<char, Unreadable> {
        let mut chars = self.rest.chars();
        let c = chars.next().ok_or(Unreadable::Json)?;
        self.rest = chars.as_str();
        Ok(c)
    }

    fn takes(&mut self, wanted: &str) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, Unreadable> {
        self.values += 1;
        if depth > MAX_DEPTH || self.values > MAX_VALUES {
            return Err(Unreadable::TooLong);
        }
        self.blanks();
        for (word, value) in [
            ("null", Json::Null),
            ("true", Json::Bool(true)),
            ("false", Json::Bool(false)),
        ] {
            if self.takes(word) {
                return Ok(value);
            }
        }
        if self.takes("{") {
            return self.members(depth);
        }
        if self.takes("[") {
            return self.list(depth);
        }
        if self.takes("\"") {
            return self.text().map(Json::Text);
        }
        self.number()
    }

    fn list(&mut self, depth: usize) -> Result<Json, Unreadable> {
        let mut values = Vec::new();
        self.blanks();
        if self.takes("]") {
            return Ok(Json::List(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            self.blanks();
            if self.takes("]") {
                return Ok(Json::List(values));
            }
            if !self.takes(",") {
                return Err(Unreadable::Json);
            }
        }
    }

    fn members(&mut self, depth: usize) -> Result<Json, Unreadable> {
        let mut members = Vec::new();
        let mut seen = std::collections::HashSet::new();
        self.blanks();
        if self.takes("}") {
            return Ok(Json::Members(members));
        }
        loop {
            self.blanks();
            if !self.takes("\"") {
                return Err(Unreadable::Json);
            }
            let name = self.text()?;
            if !is_name(&name) {
                return Err(Unreadable::Name);
            }
            if !seen.insert(name.to_ascii_lowercase()) {
                return Err(Unreadable::Twice(name));
            }
            self.blanks();
            if !self.takes(":") {
                return Err(Unreadable::Json);
            }
            members.push((name, self.value(depth + 1)?));
            self.blanks();
            if self.takes("}") {
                return Ok(Json::Members(members));
            }
            if !self.takes(",") {
                return Err(Unreadable::Json);
            }
        }
    }

    fn number(&mut self) -> Result<Json, Unreadable> {
        let number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let end = self.rest.find(|c| !number(c)).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if !is_number(digits) {
            return Err(Unreadable::Json);
        }
        self.rest = rest;
        Ok(Json::Number(digits.to_owned()))
    }

    // After its opening quote.
    fn text(&mut self) -> Result<String, Unreadable> {
        let mut out = String::new();
        loop {
            let c = match self.next()? {
                '"' => return Ok(out),
                '\\' => match self.next()? {
                    c @ ('"' | '\\' | '/') => c,
                    'u' => self.escape()?,
                    'b' | 'f' | 'n' | 'r' | 't' => return Err(Unreadable::Control),
                    _ => return Err(Unreadable::Json),
                },
                c => c,
            };
            if c.is_control() {
                return Err(Unreadable::Control);
            }
            out.push(c);
        }
    }

    fn escape(&mut self) -> Result<char, Unreadable> {
        let first = self.unit()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or(Unreadable::Json);
        }
        if first >= 0xdc00 || !self.takes("\\u") {
            return Err(Unreadable::Json);
        }
        let second = self.unit()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(Unreadable::Json);
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
            .ok_or(Unreadable::Json)
    }

    fn unit(&mut self) -> Result<u32, Unreadable> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit * 16 + self.next()?.to_digit(16).ok_or(Unreadable::Json)?;
        }
        Ok(unit)
    }
}

// No endpoint has others; what looks like a path into the text is none.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-:/".contains(&b))
}

fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['-', '+']).unwrap_or(e)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn again(text: &str) -> Result<String, Unreadable> {
        Json::read(text.as_bytes()).map(|json| json.to_text())
    }

    #[test]
    fn blanks_go_and_everything_else_stays() {
        assert_eq!(
            again(" { \"b\" : [1.50, -0e+9,\"x\\u00e9\\ud83d\\ude00\\/\\\"\"], \"a\": {}, \"c\":[ ] } ").as_deref(),
            Ok("{\"b\":[1.50,-0e+9,\"xé😀/\\\"\"],\"a\":{},\"c\":[]}")
        );
    }

    #[test]
    fn what_has_two_readings_or_none_is_refused() {
        for (text, why) in [
            ("{\"a\":1,\"a\":2}", Unreadable::Twice("a".into())),
            ("{\"a\":1,\"A\":2}", Unreadable::Twice("A".into())),
            ("{\"a\":1,\"\\u0061\":2}", Unreadable::Twice("a".into())),
            ("{\"x\":{\"a\":1,\"a\":2}}", Unreadable::Twice("a".into())),
            ("{\"a.b\":1}", Unreadable::Name),
            ("{\"a[0]\":1}", Unreadable::Name),
            ("{\"a \":1}", Unreadable::Name),
            ("{\"\":1}", Unreadable::Name),
            ("\"\\ud800\"", Unreadable::Json),
            ("\"\\udc00\\ud800\"", Unreadable::Json),
            ("\"\\u0000\"", Unreadable::Control),
            ("\"\\n\"", Unreadable::Control),
            ("\"\n\"", Unreadable::Control),
            ("[1,]", Unreadable::Json),
            ("{\"a\":1,}", Unreadable::Json),
            ("[01]", Unreadable::Json),
            ("[+1]", Unreadable::Json),
            ("[.5]", Unreadable::Json),
            ("[1.]", Unreadable::Json),
            ("[NaN]", Unreadable::Json),
            ("{} {}", Unreadable::Json),
            ("// x\n{}", Unreadable::Json),
            ("{'a':1}", Unreadable::Json),
            ("\u{feff}{}", Unreadable::Json),
            ("", Unreadable::Json),
        ] {
            assert_eq!(again(text), Err(why), "{text:?}");
        }
        let deep = "[".repeat(MAX_DEPTH + 2) + &"]".repeat(MAX_DEPTH + 2);
        assert_eq!(again(&deep), Err(Unreadable::TooLong));
        assert_eq!(Json::read(b"\"\xff\""), Err(Unreadable::NotUtf8));
    }

    #[test]
    fn a_text_is_laid_flat_under_its_paths() {
        let flat = Json::read(br#"{"a":[{"b":1},"x"],"c":{},"d":null}"#)
            .unwrap()
            .flat();
        let flat: Vec<_> = flat
            .iter()
            .map(|p| (p.name.as_str(), p.value.as_str()))
            .collect();
        assert_eq!(
            flat,
            [("a[0].b", "1"), ("a[1]", "x"), ("c", "{}"), ("d", "null")]
        );
    }

    #[test]
    fn a_list_or_members_within_a_text_are_read_as_strictly() {
        for text in ["", "1", "\"a\"", "[grid] 5", "{curly", "[1,]"] {
            assert_eq!(Json::within(text), Ok(None), "{text}");
        }
        let flat = Json::within(" [{\"a\":1},{\"a\":2}]").unwrap().unwrap();
        let flat = flat.flat_under("orders".into());
        let flat: Vec<_> = flat
            .iter()
            .map(|p| (p.name.as_str(), p.value.as_str()))
            .collect();
        assert_eq!(flat, [("orders[0].a", "1"), ("orders[1].a", "2")]);
        for (text, why) in [
            ("[{\"a\":1,\"a\":2}]", Unreadable::Twice("a".into())),
            ("{\"a\":1,\"A\":2}", Unreadable::Twice("A".into())),
            ("[\"\\n\"]", Unreadable::Control),
        ] {
            assert_eq!(Json::within(text), Err(why), "{text}");
        }
    }

    proptest! {
        // What we read, another reader reads as the same; what it refuses, we refuse.
        #[test]
        fn another_reader_agrees(text in "[\\[\\]{},:\"ab0-9.eE+ \\\\u-]{0,24}") {
            let theirs: Result<serde_json::Value, _> = serde_json::from_str(&text);
            if let Ok(ours) = again(&text) {
                match theirs {
                    Ok(theirs) => prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&ours).unwrap(), theirs),
                    Err(e) => prop_assert!(e.to_string().contains("out of range"), "{text:?} is read as {ours:?}, but {e}"),
                }
            }
        }

        #[test]
        fn what_another_writes_we_read(text in "\\PC{0,12}", number in any::<i64>()) {
            let written = serde_json::json!({"a": text, "b": [number, {"c": null}]}).to_string();
            prop_assert_eq!(again(&written), Ok(written));
        }
    }
}
