//! Gemini's order events: who opens the socket shows by three headers who it is, and says nothing afterwards.
//!
//! Source: docs.gemini.com, "Order Events"; `gemini` of ccxt.pro 4.5.90, read 2026-11-26.

use crate::{
    Json, Venue,
    drafting::{members, text},
    stream::{
        Drafted, Entrance,
        dialect::{Asked, Dialect, Heard, LoginAsked, Values},
    },
};

/// Order events.
pub(crate) struct Gemini;

impl Dialect for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::Gemini
    }

    fn clock(&self) -> &'static str {
        "https://api.gemini.com"
    }

    fn hears(&self, _: &Json, _: Option<&str>) -> Heard {
        Heard::Refused("a message, where the venue hears none".into())
    }

    fn entered(&self, _: &str) -> Option<LoginAsked> {
        Some(LoginAsked {
            key: String::new(),
            facts: Json::Null,
            said: Json::Null,
        })
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let payload = members([
            ("request", text(asked.private.path())),
            ("nonce", text(asked.moment.nonce()?)),
        ]);
        let payload = data_encoding::BASE64.encode(payload.to_text().as_bytes());
        Ok(asked.signs(payload.clone(), vec![asked.key(), ("payload", payload)]))
    }

    fn entrance(&self, query: &str, values: &Values) -> Option<Entrance> {
        Some(Entrance {
            origin: None,
            query: query.to_owned(),
            headers: vec![
                ("X-GEMINI-APIKEY", values.of("apiKey")?),
                ("X-GEMINI-PAYLOAD", values.of("payload")?),
                ("X-GEMINI-SIGNATURE", values.of("sign")?),
            ],
        })
    }

    // A client is let in by what opened the socket.
    fn message(&self, _: &Json, _: &Values) -> Option<Json> {
        None
    }

    fn refusal(&self, _: &Json, words: &str) -> Json {
        members([
            ("result", text("error")),
            ("reason", text("EndpointMismatch")),
            ("message", text(words)),
        ])
    }
}
