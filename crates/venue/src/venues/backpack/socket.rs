//! Backpack's sockets: a subscription to something private carries a signature of the instruction `subscribe`.
//!
//! Nothing can be ordered here (docs.backpack.exchange, "Streams"; `backpack` of ccxt.pro 4.5.90, read 2026-11-26).

use crate::{
    Json, Venue,
    drafting::{members, number, text},
    reading::MAX_WINDOW_MS,
    stream::{
        Drafted,
        dialect::{Asked, Dialect, Heard, Values, by_word, echoed, has_only, login, with},
    },
};

/// Streams.
pub(crate) struct Backpack;

impl Dialect for Backpack {
    fn name(&self) -> &'static str {
        "backpack"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::Backpack
    }

    fn clock(&self) -> &'static str {
        "https://api.backpack.exchange"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let heard = by_word(said.member("method"), &["SUBSCRIBE", "UNSUBSCRIBE"]);
        if heard == Heard::Reads && !has_only(said, &["method", "params", "signature", "id"]) {
            return Heard::Refused("a message that is not a plain subscription".into());
        }
        let signature = said.member("signature");
        match heard {
            Heard::Reads if signature.is_some() || is_private(said.member("params")) => {
                login(signature.and_then(Json::first), said)
            }
            heard => heard,
        }
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let moment = asked.moment;
        let (time, window) = (moment.millis(), moment.window_ms.clamp(1, MAX_WINDOW_MS));
        let payload = format!("instruction=subscribe&timestamp={time}&window={window}");
        let values = vec![
            asked.key(),
            ("timestamp", time),
            ("window", window.to_string()),
        ];
        Ok(asked.signs(payload, values))
    }

    fn message(&self, said: &Json, values: &Values) -> Option<Json> {
        let signature = vec![
            values.text("apiKey")?,
            values.text("sign")?,
            values.text("timestamp")?,
            values.text("window")?,
        ];
        with(said, vec![("signature", Json::List(signature))])
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        let error = [("code", number(4003)), ("message", text(words))];
        members([("id", echoed(said, "id")), ("error", members(error))])
    }
}

fn is_private(streams: Option<&Json>) -> bool {
    let Some(Json::List(streams)) = streams else {
        return false;
    };
    let mut names = streams.iter().filter_map(Json::plain);
    names.any(|name| name.starts_with("account."))
}
