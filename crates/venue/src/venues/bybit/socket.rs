//! Bybit's private channel.
//!
//! Source: bybit docs (v5, websocket/connect) of 2026-07-24, pybit 5.17.0, `bybit` of ccxt.pro 4.5.90, read 2026-11-26.

use touchkeep_core::UnixMillis;

use crate::{
    Json, Venue,
    drafting::{members, text},
    logins,
    stream::{
        Drafted,
        dialect::{Asked, Dialect, Heard, Values, and_id, by_word, echoed, login},
    },
};

/// The private channel. Orders have a socket of their own, which is not relayed.
pub(crate) struct Bybit;

impl Dialect for Bybit {
    fn name(&self) -> &'static str {
        "bybit"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::Bybit
    }

    fn clock(&self) -> &'static str {
        "https://api.bybit.com"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let word = said.member("op");
        if word.and_then(Json::plain) == Some("auth") {
            return login(said.member("args").and_then(Json::first), said);
        }
        by_word(word, &["subscribe", "unsubscribe", "ping"])
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let (now, window) = (asked.moment.now.0, asked.moment.window_ms);
        let expires = UnixMillis(now.saturating_add(u64::from(window)));
        let values = vec![asked.key(), ("expires", expires.0.to_string())];
        // In hexadecimal, as with its requests.
        Ok(asked.signs(logins::bybit_websocket(expires), values))
    }

    fn message(&self, said: &Json, values: &Values) -> Option<Json> {
        let args = vec![
            values.text("apiKey")?,
            values.number("expires")?,
            values.text("sign")?,
        ];
        let all = vec![("op", text("auth")), ("args", Json::List(args))];
        Some(and_id(all, "req_id", said))
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        members([
            ("success", Json::Bool(false)),
            ("ret_msg", text(words)),
            ("op", echoed(said, "op")),
            ("req_id", echoed(said, "req_id")),
            ("conn_id", text("")),
        ])
    }
}
