//! What a venue's answer means: done, refused, or that nobody knows. Several venues refuse with status 200, and some say that
//! they do not know themselves. Pure: the status and the body in, a meaning out.

use std::{collections::HashMap, sync::OnceLock};

use serde::Deserialize;

use crate::Json;

/// Of what a venue says of itself so much is kept.
const MOST_CHARS: usize = 200;

/// Whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It was taken.
    Done,
    /// Of a batch some were refused.
    Part {
        /// How many.
        refused: usize,
        /// Of how many.
        of: usize,
    },
    /// It was not done.
    Refused,
    /// It may have been done or not.
    Unknown,
}

/// An answer, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Whether it was done.
    pub meaning: Meaning,
    /// The venue's own code and words for what was not; as it wrote them, no longer than 200 characters.
    pub reason: Option<String>,
    /// The venue had seen a higher number from this key, or this one.
    pub nonce: bool,
    /// The time that was sent is not the venue's.
    pub clock: bool,
}

/// Reads an answer. Without a body, or with one that is not JSON or could be read in two ways, the status alone counts.
#[must_use]
pub fn answered(venue: &str, status: u16, body: Option<&[u8]>) -> Answered {
    let by_status = by_status(status);
    let read = body.and_then(|body| Json::read(body).ok());
    let (Some(json), Some(signs)) = (read, signs().get(venue)) else {
        return Answered {
            meaning: by_status,
            reason: None,
            nonce: false,
            clock: false,
        };
    };
    signs.judge(by_status, status, &json)
}

// A server error leaves open whether it was done: Binance says so of its 5xx. So does an answer that points elsewhere,
// because nobody goes there, and one that was not ready in time.
const fn by_status(status: u16) -> Meaning {
    match status {
        200..300 => Meaning::Done,
        408 => Meaning::Unknown,
        400..500 => Meaning::Refused,
        _ => Meaning::Unknown,
    }
}

/// By what a venue's refusals are known: a section of `data/answers.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signs {
    refused: Vec<Condition>,
    code: Vec<String>,
    text: Vec<String>,
    #[serde(default)]
    unknown: Vec<String>,
    #[serde(default)]
    nonce: Vec<String>,
    #[serde(default)]
    clock: Vec<String>,
    #[serde(default)]
    at_500: bool,
    each: Option<Each>,
}

/// The members of a batch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Each {
    path: String,
    /// Where those stand that were taken, if `path` holds the refused alone.
    of: Option<String>,
    #[serde(default)]
    refused: Vec<Condition>,
    code: String,
    text: String,
}

fn signs() -> &'static HashMap<String, Signs> {
    static SIGNS: OnceLock<HashMap<String, Signs>> = OnceLock::new();
    SIGNS.get_or_init(|| {
        let read = toml::from_str(include_str!("../data/answers.toml"));
        #[expect(clippy::panic, reason = "compiled-in data, read by every test")]
        read.unwrap_or_else(|why| panic!("data/answers: {why}"))
    })
}

impl Signs {
    fn judge(&self, by_status: Meaning, status: u16, json: &Json) -> Answered {
        let refused = self.refused.iter().any(|one| one.holds(json));
        let (bad, of) = self
            .each
            .as_ref()
            .map_or((Vec::new(), 0), |e| e.refused(json));
        let reason = match (&self.each, bad.first()) {
            (Some(each), Some(first)) => each.reason(first),
            _ if refused || by_status != Meaning::Done => self.reason(json),
            _ => None,
        };
        let says = |codes: &[String]| {
            let reason = reason.as_deref().unwrap_or_default();
            codes.iter().any(|code| is_of(reason, code))
        };
        let meaning = match by_status {
            _ if says(&self.unknown) => Meaning::Unknown,
            Meaning::Unknown if !(self.at_500 && status == 500 && refused) => Meaning::Unknown,
            Meaning::Unknown | Meaning::Refused => Meaning::Refused,
            _ if refused || (of > 0 && bad.len() == of) => Meaning::Refused,
            _ if !bad.is_empty() => Meaning::Part {
                refused: bad.len(),
                of,
            },
            _ => Meaning::Done,
        };
        let clock = meaning == Meaning::Refused && says(&self.clock);
        Answered {
            // Gemini calls both by one name.
            nonce: meaning == Meaning::Refused && says(&self.nonce) && !clock,
            clock,
            meaning,
            reason,
        }
    }

    fn reason(&self, json: &Json) -> Option<String> {
        let first = |paths: &[String]| paths.iter().find_map(|path| words(json, path));
        worded(first(&self.code), first(&self.text))
    }
}

impl Each {
    // Those that were refused, and how many there were.
    fn refused<'a>(&self, json: &'a Json) -> (Vec<&'a Json>, usize) {
        let list = list(json, &self.path);
        if let Some(taken) = &self.of {
            return (
                list.iter().collect(),
                list.len() + self::list(json, taken).len(),
            );
        }
        let bad = |one: &&Json| self.refused.iter().any(|condition| condition.holds(one));
        (list.iter().filter(bad).collect(), list.len())
    }

    fn reason(&self, one: &Json) -> Option<String> {
        worded(words(one, &self.code), words(one, &self.text))
    }
}

fn list<'a>(json: &'a Json, path: &str) -> &'a [Json] {
    match at(json, path) {
        Some(Json::List(list)) => list,
        _ => &[],
    }
}

fn worded(code: Option<String>, text: Option<String>) -> Option<String> {
    let said = match (code, text) {
        (Some(code), Some(text)) if code == text => text,
        (Some(code), Some(text)) => format!("{code} {text}"),
        (code, text) => code.or(text)?,
    };
    Some(said.chars().take(MOST_CHARS).collect())
}

// The whole code, or a part of what was said that is no part of another number or word.
fn is_of(reason: &str, code: &str) -> bool {
    let edge = |c: Option<char>| !c.is_some_and(|c| c.is_ascii_alphanumeric());
    reason.match_indices(code).any(|(from, _)| {
        let (before, after) = reason.split_at(from);
        edge(before.chars().next_back()) && edge(after.chars().nth(code.chars().count()))
    })
}

/// `path`, `path=a,b` or `path!=a,b`.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
struct Condition {
    path: String,
    words: Vec<String>,
    holds_for: bool,
}

impl From<String> for Condition {
    fn from(text: String) -> Self {
        let (path, words, holds_for) = match (text.split_once("!="), text.split_once('=')) {
            (Some((path, words)), _) => (path, words, false),
            (None, Some((path, words))) => (path, words, true),
            (None, None) => (&*text, "", true),
        };
        let words = words.split(',').filter(|word| !word.is_empty());
        Self {
            path: path.to_owned(),
            words: words.map(str::to_owned).collect(),
            holds_for,
        }
    }
}

impl Condition {
    fn holds(&self, json: &Json) -> bool {
        let Some(value) = at(json, &self.path) else {
            return false;
        };
        if self.words.is_empty() {
            return !is_empty(value);
        }
        let said = match value {
            Json::Bool(true) => "true",
            Json::Bool(false) => "false",
            other => match other.plain() {
                Some(said) => said,
                // Something else stands there than what is compared.
                None => return false,
            },
        };
        self.words.iter().any(|word| word == said) == self.holds_for
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::Bool(true) | Json::Number(_) => false,
        Json::Text(text) => text.is_empty(),
        Json::List(list) => list.is_empty(),
        Json::Members(members) => members.is_empty(),
    }
}

// `data.0.sCode`; the empty path is the whole.
fn at<'a>(json: &'a Json, path: &str) -> Option<&'a Json> {
    let steps = path.split('.').filter(|step| !step.is_empty());
    steps.into_iter().try_fold(json, |value, step| match value {
        Json::List(list) => list.get(step.parse::<usize>().ok()?),
        other => other.member(step),
    })
}

fn words(json: &Json, path: &str) -> Option<String> {
    if path.is_empty() {
        return None;
    }
    let said = at(json, path)?.plain()?;
    (!said.is_empty()).then(|| said.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(venue: &str, status: u16, body: &str) -> Answered {
        answered(venue, status, Some(body.as_bytes()))
    }

    #[test]
    fn every_venue_has_its_signs() {
        let known: Vec<&str> = crate::venues().iter().map(|venue| venue.id).collect();
        let mut said: Vec<&str> = signs().keys().map(String::as_str).collect();
        said.sort_unstable();
        assert_eq!(said, known);
    }

    #[test]
    fn a_status_counts_where_nothing_else_can_be_read() {
        let twice = r#"{"error":[],"error":["EAPI:Invalid nonce"]}"#;
        for body in ["", "<html>", twice] {
            assert_eq!(read("kraken", 200, body).meaning, Meaning::Done, "{body}");
            assert_eq!(read("kraken", 403, body).meaning, Meaning::Refused);
            for status in [302, 408, 500, 503, 520] {
                assert_eq!(read("kraken", status, body).meaning, Meaning::Unknown);
            }
        }
    }

    #[test]
    fn a_code_is_a_whole_word() {
        assert!(is_of("-1007 Timeout", "-1007") && is_of("10114 nonce: small", "10114"));
        assert!(!is_of("110114 x", "10114") && !is_of("-10071 x", "-1007"));
    }

    #[test]
    fn who_does_not_know_says_so_whatever_the_status() {
        let timeout = r#"{"code":-1007,"msg":"Timeout waiting for response from backend server."}"#;
        let busy = r#"{"retCode":10016,"retMsg":"Server error."}"#;
        assert_eq!(read("binance", 400, timeout).meaning, Meaning::Unknown);
        assert_eq!(read("bybit", 200, busy).meaning, Meaning::Unknown);
    }

    #[test]
    fn a_time_that_is_not_the_venues_is_known_for_that() {
        let late =
            r#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#;
        assert!(read("binance", 400, late).clock);
        let expired = r#"{"retCode":10002,"retMsg":"invalid request, please check your server timestamp or recv_window param."}"#;
        assert!(read("bybit", 200, expired).clock);
        let other = r#"{"code":-1022,"msg":"Signature for this request is not valid."}"#;
        assert!(!read("binance", 400, other).clock);
    }

    #[test]
    fn a_batch_is_counted() {
        let some = r#"{"code":"2","data":[{"sCode":"0"},{"sCode":"51008","sMsg":"Insufficient balance"}],"msg":""}"#;
        let said = read("okx", 200, some);
        assert_eq!(said.meaning, Meaning::Part { refused: 1, of: 2 });
        assert_eq!(said.reason.unwrap(), "51008 Insufficient balance");
        let failed = r#"{"code":"00000","data":{"successList":[],"failureList":[{"errorCode":"43012","errorMsg":"Insufficient balance"}]}}"#;
        assert_eq!(read("bitget", 200, failed).meaning, Meaning::Refused);
    }
}
