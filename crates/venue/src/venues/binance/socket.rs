//! Binance's WebSocket API for spot.
//!
//! Two things show who asks: `session.logon`, with Ed25519 alone, and the signed subscription to one's own data, with any key.
//! Both sign their parameters in the order of their names (binance-spot-api-docs of 2026-07-21, web-socket-api.md and
//! user-data-stream.md; `binance` of ccxt.pro 4.5.90, read 2026-11-26).

use crate::{
    Algorithm, CannotSign, Json, Venue,
    drafting::{members, number, text},
    logins,
    stream::{
        Drafted,
        dialect::{Asked, Dialect, Heard, Values, by_word, echoed, has_only, login_with, with},
    },
};

const LOGON: &str = "session.logon";
const SUBSCRIBE: &str = "userDataStream.subscribe.signature";
const READS: &[&str] = &[
    "ping",
    "time",
    "exchangeInfo",
    "depth",
    "trades.recent",
    "trades.aggregate",
    "klines",
    "uiKlines",
    "avgPrice",
    "ticker",
    "ticker.24hr",
    "ticker.price",
    "ticker.book",
    "ticker.tradingDay",
    "session.status",
    "session.logout",
    "session.subscriptions",
    "userDataStream.subscribe",
    "userDataStream.unsubscribe",
];

/// The WebSocket API.
pub(crate) struct Binance;

impl Dialect for Binance {
    fn name(&self) -> &'static str {
        "binance"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::Binance
    }

    fn clock(&self) -> &'static str {
        "https://api.binance.com"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let word = said.member("method");
        match word.and_then(Json::plain) {
            Some(word @ (LOGON | SUBSCRIBE)) if has_only(said, &["id", "method", "params"]) => {
                let key = said.member("params").and_then(|all| all.member("apiKey"));
                login_with(key, members([("method", text(word))]), said)
            }
            _ => by_word(word, READS),
        }
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        // Other keys sign each request over a socket, and cannot log in.
        if asked.fact("method")? == LOGON && asked.scheme.algorithm != Algorithm::Ed25519 {
            return Err(CannotSign::Algorithm);
        }
        let (key, moment) = (asked.credential.key, asked.moment);
        let parameters = logins::binance_session_logon(key, moment.now, moment.window_ms);
        let values = vec![
            asked.key(),
            ("recvWindow", moment.window_ms.to_string()),
            ("timestamp", moment.millis()),
        ];
        Ok(asked.signs(logins::binance_websocket(&parameters), values))
    }

    fn message(&self, said: &Json, values: &Values) -> Option<Json> {
        let params = members([
            ("apiKey", values.text("apiKey")?),
            ("recvWindow", values.number("recvWindow")?),
            ("timestamp", values.number("timestamp")?),
            ("signature", values.text("sign")?),
        ]);
        with(said, vec![("params", params)])
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        let error = [("code", Json::Number("-1002".into())), ("msg", text(words))];
        members([
            ("id", echoed(said, "id")),
            ("status", number(403)),
            ("error", members(error)),
        ])
    }
}
