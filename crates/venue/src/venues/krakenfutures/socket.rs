//! Kraken Futures' socket: the venue gives a challenge, and each subscription to something private carries it back, signed.
//!
//! A challenge is signed as a REST request is. So only what the venue itself said over this socket is signed, and only where it
//! has the form of a UUID, which no request has. Nothing can be ordered here (docs.kraken.com, futures WebSocket "Challenge";
//! `krakenfutures` of ccxt.pro 4.5.90, read 2026-11-26).

use aws_lc_rs::digest::{SHA256, digest};

use crate::{
    CannotSign, Json, Venue,
    drafting::{members, text},
    stream::{
        Drafted, Told,
        dialect::{
            Asked, Dialect, Heard, LoginAsked, Values, by_word, echoed, has_only, login_with,
            shown, with,
        },
    },
};

const KNOWN: &[&str] = &[
    "event",
    "feed",
    "product_ids",
    "api_key",
    "original_challenge",
    "signed_challenge",
];
const SIGNED: &[&str] = &["api_key", "original_challenge", "signed_challenge"];

/// The one socket.
pub(crate) struct KrakenFutures;

impl Dialect for KrakenFutures {
    fn name(&self) -> &'static str {
        "krakenfutures"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::KrakenFutures
    }

    fn clock(&self) -> &'static str {
        "https://futures.kraken.com"
    }

    fn hears(&self, said: &Json, noted: Option<&str>) -> Heard {
        let word = said.member("event");
        let key = said.member("api_key");
        if word.and_then(Json::plain) == Some("challenge") {
            return Heard::Names(LoginAsked {
                key: shown(key),
                facts: Json::Null,
                said: said.clone(),
            });
        }
        let heard = by_word(word, &["subscribe", "unsubscribe", "ping"]);
        let private = SIGNED.iter().any(|name| said.member(name).is_some());
        match (heard, noted) {
            (Heard::Reads, _) if !has_only(said, KNOWN) => {
                Heard::Refused("a message that is not a plain subscription".into())
            }
            (Heard::Reads, Some(challenge)) if private => {
                login_with(key, members([("challenge", text(challenge))]), said)
            }
            (Heard::Reads, None) if private => {
                Heard::Refused("a login before the venue gave its challenge".into())
            }
            (heard, _) => heard,
        }
    }

    fn listens(&self) -> bool {
        true
    }

    fn told(&self, message: &str) -> Told {
        if !message.contains("\"challenge\"") {
            return Told::Passes;
        }
        let Ok(said) = Json::read(message.as_bytes()) else {
            return Told::Passes;
        };
        let challenge = said.member("message").and_then(Json::plain);
        match (said.member("event").and_then(Json::plain), challenge) {
            (Some("challenge"), Some(challenge)) if is_challenge(challenge) => {
                Told::Noted(challenge.to_owned())
            }
            _ => Told::Passes,
        }
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let challenge = asked.fact("challenge")?;
        if !is_challenge(challenge) {
            return Err(CannotSign::Values);
        }
        let hash = digest(&SHA256, challenge.as_bytes());
        let values = vec![asked.key(), ("challenge", challenge.to_owned())];
        Ok(asked.signs(hash.as_ref(), values))
    }

    fn message(&self, said: &Json, values: &Values) -> Option<Json> {
        let mut ours = vec![("api_key", values.text("apiKey")?)];
        if let Some(signature) = values.text("sign") {
            ours.push(("original_challenge", values.text("challenge")?));
            ours.push(("signed_challenge", signature));
        }
        with(said, ours)
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        members([
            ("event", text("error")),
            ("feed", echoed(said, "feed")),
            ("message", text(words)),
        ])
    }
}

// `c100b894-1729-464d-ace1-52dbce11db42`.
fn is_challenge(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}
