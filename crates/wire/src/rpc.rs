//! JSON-RPC 2.0, without batches.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use touchkeep_core::Code;

/// The `jsonrpc` member: always `"2.0"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Version2;

impl Serialize for Version2 {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str("2.0")
    }
}

impl<'de> Deserialize<'de> for Version2 {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match &*std::borrow::Cow::<'de, str>::deserialize(d)? {
            "2.0" => Ok(Self),
            _ => Err(serde::de::Error::custom("jsonrpc must be \"2.0\"")),
        }
    }
}

/// A call that wants an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `"2.0"`.
    pub jsonrpc: Version2,
    /// Chosen by the caller; comes back in the answer.
    pub id: u64,
    /// Which call.
    pub method: String,
    /// Its parameters, parsed once the method is known.
    pub params: Box<RawValue>,
}

/// A message that wants no answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notification {
    /// `"2.0"`.
    pub jsonrpc: Version2,
    /// Which one.
    pub method: String,
    /// Its parameters.
    pub params: Box<RawValue>,
}

/// An answer: exactly one of `result` and `error`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// `"2.0"`.
    pub jsonrpc: Version2,
    /// The caller's.
    pub id: u64,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RpcError>,
}

/// The `error` member.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RpcError {
    /// -32000 for a [`Failure`]; the codes of JSON-RPC for a call that could not be read.
    pub code: i32,
    /// What happened.
    pub message: String,
    /// The failure.
    pub data: Failure,
}

/// Why a call did not do what it was asked: a stable code, what happened, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
#[error("{what}")]
pub struct Failure {
    /// Stable; front ends and scripts match on it.
    #[cfg_attr(test, ts(type = "Code"))]
    pub code: Code,
    /// What happened, in one sentence.
    pub what: String,
    /// What to do about it. Where nothing can be done, what it means.
    pub fix: String,
}

impl Failure {
    /// A failure in a pair of sentences, neither of them empty (`tests/pairs.rs`).
    #[must_use]
    pub fn new(code: Code, what: impl Into<String>, fix: impl Into<String>) -> Self {
        let (what, fix) = (what.into(), fix.into());
        debug_assert!(!what.is_empty() && !fix.is_empty(), "no pair: {what:?}");
        Self { code, what, fix }
    }
}

/// Any message: a request has `id` and `method`, a notification `method` alone, a response `id` alone.
#[derive(Debug)]
pub enum Message {
    /// A call.
    Request(Request),
    /// News.
    Notification(Notification),
    /// An answer.
    Response(Response),
}

impl Message {
    /// Reads a message, strictly.
    ///
    /// # Errors
    /// When it is none of the three.
    pub fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Shape {
            id: Option<u64>,
            method: Option<serde::de::IgnoredAny>,
        }
        let shape: Shape = serde_json::from_slice(body)?;
        match (shape.id, shape.method) {
            (Some(_), Some(_)) => serde_json::from_slice(body).map(Self::Request),
            (None, Some(_)) => serde_json::from_slice(body).map(Self::Notification),
            _ => serde_json::from_slice(body).map(Self::Response),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_are_told_apart() {
        let parse = |text: &str| Message::parse(text.as_bytes());
        assert!(matches!(
            parse(r#"{"jsonrpc":"2.0","id":1,"method":"status","params":{}}"#),
            Ok(Message::Request(_))
        ));
        assert!(matches!(
            parse(r#"{"jsonrpc":"2.0","method":"changed","params":{}}"#),
            Ok(Message::Notification(_))
        ));
        assert!(matches!(
            parse(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
            Ok(Message::Response(_))
        ));
    }

    #[test]
    fn what_is_not_json_rpc_two_is_refused() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"jsonrpc":"1.0","id":1,"method":"a","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{},"x":1}"#,
        ] {
            assert!(Message::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
