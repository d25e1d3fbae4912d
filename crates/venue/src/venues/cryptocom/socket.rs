//! Crypto.com's socket for users.
//!
//! `public/auth` signs as a request without parameters does; orders can follow over the same socket, and do not pass
//! (exchange-docs.crypto.com, "public/auth"; `cryptocom` of ccxt.pro 4.5.90, read 2026-11-26).

use crate::{
    Json, Venue,
    drafting::{members, text},
    stream::{
        Drafted,
        dialect::{Asked, Dialect, Heard, Values, and_id, by_word, echoed, login},
    },
};

const AUTH: &str = "public/auth";
const READS: &[&str] = &["subscribe", "unsubscribe", "public/respond-heartbeat"];

/// The socket for users.
pub(crate) struct CryptoCom;

impl Dialect for CryptoCom {
    fn name(&self) -> &'static str {
        "cryptocom"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::CryptoCom
    }

    fn clock(&self) -> &'static str {
        "https://api.crypto.com"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let word = said.member("method");
        if word.and_then(Json::plain) == Some(AUTH) {
            return login(said.member("api_key"), said);
        }
        by_word(word, READS)
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let nonce = asked.moment.nonce()?;
        let payload = format!("{AUTH}{nonce}{}{nonce}", asked.credential.key);
        Ok(asked.signs(payload, vec![asked.key(), ("nonce", nonce)]))
    }

    // The id is signed, so it is ours; ccxt and the venue's own examples do not look for theirs in the answer.
    fn message(&self, _: &Json, values: &Values) -> Option<Json> {
        Some(members([
            ("id", values.text("nonce")?),
            ("method", text(AUTH)),
            ("api_key", values.text("apiKey")?),
            ("sig", values.text("sign")?),
            ("nonce", values.text("nonce")?),
        ]))
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        let all = vec![
            ("method", echoed(said, "method")),
            ("code", Json::Number("40101".into())),
            ("message", text(words)),
        ];
        and_id(all, "id", said)
    }
}
