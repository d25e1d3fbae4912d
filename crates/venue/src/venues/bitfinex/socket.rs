//! Bitfinex's socket of version 2.
//!
//! `auth` signs a nonce. What orders, cancels, moves or calculates afterwards is a list and no object, so no list passes; nor
//! does `dms`, the wish that all orders be cancelled when the socket ends (docs.bitfinex.com, "Authenticated Channels";
//! `bitfinex` of ccxt.pro 4.5.90, read 2026-11-26).

use crate::{
    Json, Venue,
    drafting::{members, text},
    stream::{
        Drafted,
        dialect::{Asked, Dialect, Heard, Values, by_word, echoed, has_only, login},
    },
};

const READS: &[&str] = &["subscribe", "unsubscribe", "ping", "conf"];
const OF_LOGIN: &[&str] = &[
    "event",
    "apiKey",
    "authSig",
    "authNonce",
    "authPayload",
    "filter",
];

/// Version 2.
pub(crate) struct Bitfinex;

impl Dialect for Bitfinex {
    fn name(&self) -> &'static str {
        "bitfinex"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::Bitfinex
    }

    fn clock(&self) -> &'static str {
        "https://api.bitfinex.com"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        if let Json::List(list) = said {
            let word = list.get(1).and_then(Json::plain).unwrap_or("a list");
            return Heard::Refused(word.to_owned());
        }
        let word = said.member("event");
        match word.and_then(Json::plain) {
            Some("auth") if has_only(said, OF_LOGIN) => login(said.member("apiKey"), said),
            Some("auth") => Heard::Refused("a login with more than filters".into()),
            _ => by_word(word, READS),
        }
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let nonce = asked.moment.nonce()?;
        Ok(asked.signs(format!("AUTH{nonce}"), vec![asked.key(), ("nonce", nonce)]))
    }

    fn message(&self, said: &Json, values: &Values) -> Option<Json> {
        let nonce = values.of("nonce")?;
        let mut all = vec![
            ("event".to_owned(), text("auth")),
            ("apiKey".to_owned(), values.text("apiKey")?),
            ("authSig".to_owned(), values.text("sign")?),
            ("authPayload".to_owned(), text(format!("AUTH{nonce}"))),
            ("authNonce".to_owned(), Json::Number(nonce)),
        ];
        let filter = said.member("filter").cloned();
        all.extend(filter.map(|filter| ("filter".to_owned(), filter)));
        Some(Json::Members(all))
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        let event = match said.member("event").and_then(Json::plain) {
            Some("auth") => "auth",
            _ => "error",
        };
        members([
            ("event", text(event)),
            ("status", text("FAILED")),
            ("chanId", echoed(said, "chanId")),
            ("code", Json::Number("10100".into())),
            ("msg", text(words)),
        ])
    }
}
