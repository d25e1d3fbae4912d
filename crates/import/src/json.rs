//! JSON as people and programs write it: with comments and trailing commas where a file has them, with the place of every
//! string, and with an error that names a line and never a value.
//!
//! # Why not `serde_json`
//! A literal that is to be replaced by a reference must be found again byte for byte, beside comments that have to stay; and
//! values must be wiped.

use std::ops::Range;

use zeroize::Zeroizing;

use crate::{
    error::ImportError,
    model::{Format, MAX_DEPTH, MAX_ROWS, Text},
    source::line_of,
};

/// Members of one object. Each name is held against all before it, so that this stays cheap.
const MAX_MEMBERS: usize = 10_000;

/// A value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Text),
    String(Text),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// A value and its place. Of a string it is what stands between the quotes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) json: Json,
    pub(crate) span: Range<usize>,
}

impl Node {
    /// A member of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.members()
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, node)| node)
    }

    /// The members of an object; none of anything else.
    pub(crate) fn members(&self) -> &[(String, Self)] {
        match &self.json {
            Json::Object(members) => members,
            _ => &[],
        }
    }

    /// The values of an array; none of anything else.
    pub(crate) fn values(&self) -> &[Self] {
        match &self.json {
            Json::Array(values) => values,
            _ => &[],
        }
    }

    /// A string.
    pub(crate) fn str(&self) -> Option<&str> {
        match &self.json {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// A member that is a string; empty where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).and_then(Self::str).unwrap_or_default()
    }

    /// A member that is a whole number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        match &self.get(name)?.json {
            Json::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A member that is `true`.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|node| node.json == Json::Bool(true))
    }

    /// As a value of a field: a string is what it says, anything else its text in the source; `null` is none.
    pub(crate) fn as_value(&self, source: &str) -> Option<Text> {
        match &self.json {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            _ => source
                .get(self.span.clone())
                .map(|raw| Zeroizing::new(raw.to_owned())),
        }
    }
}

/// Reads a document.
///
/// # Errors
/// With the line of what cannot be read.
pub(crate) fn parse(source: &str, format: Format) -> Result<Node, ImportError> {
    let mut parser = Parser {
        source,
        at: 0,
        format,
    };
    parser.blank()?;
    let node = parser.value(0)?;
    parser.blank()?;
    if parser.at < source.len() {
        return Err(parser.wrong("something stands after the end"));
    }
    Ok(node)
}

struct Parser<'a> {
    source: &'a str,
    at: usize,
    format: Format,
}

impl Parser<'_> {
    fn wrong(&self, what: &'static str) -> ImportError {
        ImportError::Malformed {
            format: self.format,
            line: line_of(self.source, self.at),
            what,
        }
    }

    const fn bounded(
        &self,
        length: usize,
        limit: usize,
        what: &'static str,
    ) -> Result<(), ImportError> {
        if length < limit {
            return Ok(());
        }
        Err(ImportError::TooLarge { what, limit })
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn word(&mut self, word: &str) -> bool {
        let there = self.rest().starts_with(word);
        if there {
            self.at += word.len();
        }
        there
    }

    // Blanks and comments.
    fn blank(&mut self) -> Result<(), ImportError> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                Some(b'/') if self.rest().starts_with("//") => {
                    self.at += self.rest().find('\n').unwrap_or(self.rest().len());
                }
                Some(b'/') if self.rest().starts_with("/*") => {
                    let inside = self.rest().get(2..).and_then(|rest| rest.find("*/"));
                    match inside {
                        Some(length) => self.at += length + 4,
                        None => return Err(self.wrong("a comment does not end")),
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, ImportError> {
        if depth >= MAX_DEPTH {
            return Err(self.wrong("it nests too deeply"));
        }
        let start = self.at;
        let json = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => {
                let text = self.string()?;
                let span = start + 1..self.at - 1;
                return Ok(Node {
                    json: Json::String(text),
                    span,
                });
            }
            _ if self.word("null") => Json::Null,
            _ if self.word("true") => Json::Bool(true),
            _ if self.word("false") => Json::Bool(false),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            None => return Err(self.wrong("it ends too early")),
            _ => return Err(self.wrong("a value is missing or not JSON")),
        };
        Ok(Node {
            json,
            span: start..self.at,
        })
    }

    fn object(&mut self, depth: usize) -> Result<Json, ImportError> {
        self.at += 1;
        let mut members: Vec<(String, Node)> = Vec::new();
        loop {
            self.blank()?;
            if self.take(b'}') {
                break;
            }
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a name in quotes is missing"));
            }
            let mut name = self.string()?;
            // Which of the two counts is something that two readers answer differently.
            if members.iter().any(|(known, _)| *known == *name) {
                return Err(self.wrong("a name stands twice in one object"));
            }
            self.blank()?;
            if !self.take(b':') {
                return Err(self.wrong("a colon is missing"));
            }
            self.blank()?;
            self.bounded(members.len(), MAX_MEMBERS, "an object of this many members")?;
            members.push((std::mem::take(&mut *name), self.value(depth + 1)?));
            if !self.comma(b'}')? {
                break;
            }
        }
        Ok(Json::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Json, ImportError> {
        self.at += 1;
        let mut values = Vec::new();
        loop {
            self.blank()?;
            if self.take(b']') {
                break;
            }
            self.bounded(values.len(), MAX_ROWS, "a list of this length")?;
            values.push(self.value(depth + 1)?);
            if !self.comma(b']')? {
                break;
            }
        }
        Ok(Json::Array(values))
    }

    // Whether more may come.
    fn comma(&mut self, end: u8) -> Result<bool, ImportError> {
        self.blank()?;
        if self.take(b',') {
            Ok(true)
        } else if self.take(end) {
            Ok(false)
        } else {
            Err(self.wrong("a comma or the end of a list is missing"))
        }
    }

    fn number(&mut self) -> Result<Json, ImportError> {
        let rest = self.rest();
        let length = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
        let length = length.unwrap_or(rest.len());
        let number = Zeroizing::new(rest.get(..length).unwrap_or_default().to_owned());
        if number.parse::<f64>().is_err() {
            return Err(self.wrong("a number cannot be read"));
        }
        self.at += length;
        Ok(Json::Number(number))
    }

    fn string(&mut self) -> Result<Text, ImportError> {
        self.at += 1;
        let rest = self.rest();
        let mut length = rest.len();
        let mut escaped = false;
        for (at, byte) in rest.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    length = at;
                    break;
                }
                0..0x20 => return Err(self.wrong("a string does not end on its line")),
                _ => {}
            }
        }
        if length == rest.len() {
            return Err(self.wrong("a string does not end"));
        }
        // Written once at its full length, so that no copy stays behind: an escape is never shorter than what it means.
        let mut text = Zeroizing::new(String::with_capacity(length));
        let raw = rest.get(..length).unwrap_or_default();
        if !unescape(raw, &mut text) {
            return Err(self.wrong("an escape in a string cannot be read"));
        }
        self.at += length + 1;
        Ok(text)
    }
}

fn unescape(raw: &str, text: &mut String) -> bool {
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let plain = match chars.next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => match code_point(&mut chars) {
                Some(c) => c,
                None => return false,
            },
            _ => return false,
        };
        text.push(plain);
    }
    true
}

fn code_point(chars: &mut std::str::Chars<'_>) -> Option<char> {
    let first = hex4(chars)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    let low = (chars.next() == Some('\\') && chars.next() == Some('u')).then(|| hex4(chars))??;
    let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + low)
}

fn hex4(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    let mut value = 0;
    for _ in 0..4 {
        value = value * 16 + chars.next()?.to_digit(16)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Result<Node, ImportError> {
        parse(source, Format::Ccxt)
    }

    #[test]
    fn comments_and_trailing_commas_are_read_over() {
        let source = "// a\n{ /* b */ \"a\": [1, 2,], \"b\": \"x//y\", }\n";
        let node = read(source).unwrap();
        assert_eq!(node.get("a").unwrap().values().len(), 2);
        assert_eq!(node.text("b"), "x//y");
        assert_eq!(&source[node.get("b").unwrap().span.clone()], "x//y");
    }

    #[test]
    fn escapes_mean_what_json_says() {
        let node = read(r#"["\u00e9\ud83d\ude00\n\"\\\/"]"#).unwrap();
        assert_eq!(node.values()[0].str(), Some("é😀\n\"\\/"));
        for bad in [
            r#""\ud83d""#,
            r#""\udc00""#,
            r#""\x""#,
            r#""\u12"#,
            "\"a\nb\"",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_names_the_line_and_not_the_value() {
        let error = read("{\n \"a\": \"hunter2\",\n \"b\" hunter2 }")
            .err()
            .unwrap();
        assert_eq!(error.to_string(), "line 3: a colon is missing (ccxt)");
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_refused() {
        assert!(read(r#"{"a":1,"a":2}"#).is_err());
        assert!(read("{} {}").is_err());
    }

    #[test]
    fn depth_is_bounded() {
        assert!(read(&"[".repeat(100_000)).is_err());
        assert!(read(&format!("{}{}", "[".repeat(60), "]".repeat(60))).is_ok());
    }
}
