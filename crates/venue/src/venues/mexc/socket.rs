//! MEXC's socket of contracts: `login`, and then what is asked for by `sub.…`. It takes no orders.
//!
//! Source: mexc.com/api-docs, contracts, "WebSocket API"; `mexc` of ccxt.pro 4.5.90, read 2026-11-27.

use crate::{
    Json, Venue,
    drafting::{members, text},
    stream::{
        Drafted,
        dialect::{Asked, Dialect, Heard, Values, by_word, has_only, login},
    },
};

/// The socket of contracts.
pub(crate) struct Mexc;

impl Dialect for Mexc {
    fn name(&self) -> &'static str {
        "mexc"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::Mexc
    }

    fn clock(&self) -> &'static str {
        "https://api.mexc.com"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let word = said.member("method");
        match word.and_then(Json::plain).unwrap_or_default() {
            "login" if has_only(said, &["method", "param", "subscribe"]) => {
                let shown = said.member("param");
                login(shown.and_then(|param| param.member("apiKey")), said)
            }
            "login" => Heard::Refused("a login with more than we know".into()),
            data if data.starts_with("sub.") || data.starts_with("unsub.") => Heard::Reads,
            _ => by_word(word, &["ping", "personal.filter"]),
        }
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let time = asked.moment.millis();
        let payload = format!("{}{time}", asked.credential.key);
        Ok(asked.signs(payload, vec![asked.key(), ("reqTime", time)]))
    }

    fn message(&self, said: &Json, values: &Values) -> Option<Json> {
        let param = members([
            ("apiKey", values.text("apiKey")?),
            ("reqTime", values.text("reqTime")?),
            ("signature", values.text("sign")?),
        ]);
        let mut all = vec![
            ("method".to_owned(), text("login")),
            ("param".to_owned(), param),
        ];
        // Whether everything of the account is pushed at once.
        if let Some(yes @ Json::Bool(_)) = said.member("subscribe") {
            all.push(("subscribe".to_owned(), yes.clone()));
        }
        Some(Json::Members(all))
    }

    fn refusal(&self, _: &Json, words: &str) -> Json {
        members([("channel", text("rs.error")), ("data", text(words))])
    }
}
