//! A request as it came off the wire, and what a dialect makes of it.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

/// A request as it came off the wire.
pub(crate) struct Received {
    /// Microseconds since 1970, by the machine's clock.
    pub(crate) at_us: u64,
    pub(crate) peer: IpAddr,
    /// Where the venue was reached.
    pub(crate) local: SocketAddr,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Without the question mark, byte for byte.
    pub(crate) query: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// Names in lower case; a name that came twice stands here twice.
    pub(crate) headers: Vec<(String, String)>,
}

impl Received {
    /// The one value of a header; nothing if it is absent or came twice.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// The type of the body in lower case and without its parameters.
    pub(crate) fn content_type(&self) -> String {
        let kind = self.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default();
        kind.trim().to_ascii_lowercase()
    }
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Done {
    /// 200, or 201 where something new came into being and the dialect says so.
    pub(crate) status: u16,
    /// The answer.
    pub(crate) body: Value,
    /// In words, where there is more to say than the endpoint's name.
    pub(crate) words: Option<String>,
}

impl Done {
    /// An answer with its words for the record.
    pub(crate) const fn said(body: Value, words: String) -> Self {
        Self {
            status: 200,
            body,
            words: Some(words),
        }
    }
}

impl From<Value> for Done {
    fn from(body: Value) -> Self {
        Self {
            status: 200,
            body,
            words: None,
        }
    }
}

/// Why it was not done, as the client is told.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    /// The dialect's number for it, 0 where it has none.
    pub(crate) code: i32,
    /// The dialect's word or sentence for it.
    pub(crate) error: String,
    pub(crate) body: Value,
}

/// What goes back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// JSON; a text that stands alone is sent as it is, without quotes.
    pub(crate) body: Value,
    /// Half of the body is sent, and then the connection ends.
    pub(crate) is_torn: bool,
}
