//! OKX's sockets, and Bitget's, which speak the same but for what is signed.
//!
//! Source: python-okx (`WsUtils`), bitget-api of tiagosiebler, `okx` and `bitget` of ccxt.pro 4.5.90, read 2026-11-26.

use crate::{
    Json, Venue,
    drafting::{members, text},
    logins,
    stream::{
        Drafted,
        dialect::{Asked, Dialect, Heard, Values, and_id, by_word, echoed, login},
    },
};

/// Both.
pub(crate) struct Okx {
    name: &'static str,
    venue: &'static dyn Venue,
    clock: &'static str,
    payload: fn(&Asked<'_>) -> String,
}

impl Okx {
    pub(crate) const OKX: Self = Self {
        name: "okx",
        venue: &super::Okx,
        clock: "https://www.okx.com",
        payload: |asked| logins::okx_websocket(asked.moment.now),
    };
    pub(crate) const BITGET: Self = Self {
        name: "bitget",
        venue: &crate::bitget::Bitget,
        clock: "https://api.bitget.com",
        payload: |asked| format!("{}GET/user/verify", asked.moment.seconds()),
    };
}

impl Dialect for Okx {
    fn name(&self) -> &'static str {
        self.name
    }

    fn venue(&self) -> &'static dyn Venue {
        self.venue
    }

    fn clock(&self) -> &'static str {
        self.clock
    }

    fn is_ping(&self, message: &[u8]) -> bool {
        message == b"ping"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let word = said.member("op");
        if word.and_then(Json::plain) == Some("login") {
            let first = said.member("args").and_then(Json::first);
            return login(first.and_then(|args| args.member("apiKey")), said);
        }
        by_word(word, &["subscribe", "unsubscribe"])
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let values = vec![
            asked.key(),
            ("passphrase", asked.passphrase()?),
            ("timestamp", asked.moment.seconds()),
        ];
        Ok(asked.signs((self.payload)(asked), values))
    }

    fn message(&self, said: &Json, values: &Values) -> Option<Json> {
        let argument = members([
            ("apiKey", values.text("apiKey")?),
            ("passphrase", values.text("passphrase")?),
            ("timestamp", values.text("timestamp")?),
            ("sign", values.text("sign")?),
        ]);
        let all = vec![("op", text("login")), ("args", Json::List(vec![argument]))];
        Some(and_id(all, "id", said))
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        members([
            ("event", text("error")),
            ("id", echoed(said, "id")),
            ("code", text("60011")),
            ("msg", text(words)),
        ])
    }
}
