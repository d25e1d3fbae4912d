//! Kraken's sockets of version 2.
//!
//! Whoever subscribes to something private, and whoever orders, shows a token from REST (`GetWebSocketsToken`), which is good
//! for all that its key can do. So no client gets one: asked for over REST, the answer is [`KEPT`]; where a client subscribes
//! with whatever token, one is fetched for that and goes in its place (docs.kraken.com, "Get Websockets Token", "Spot WebSocket
//! Authentication"; `kraken` of ccxt.pro 4.5.90, read 2026-11-26).

use crate::{
    Json, Venue,
    drafting::{members, number, text},
    stream::{
        Drafted,
        dialect::{
            Asked, Dialect, Heard, KEPT, Values, by_word, echoed, has_only, login, token_request,
            with,
        },
    },
};

const TOKEN: &str = "/0/private/GetWebSocketsToken";
const PRIVATE: &[&str] = &["executions", "balances", "level3"];

/// Version 2.
pub(crate) struct Kraken;

impl Dialect for Kraken {
    fn name(&self) -> &'static str {
        "kraken"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::Kraken
    }

    fn clock(&self) -> &'static str {
        "https://api.kraken.com"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let word = said.member("method");
        let params = said.member("params");
        let channel = params.and_then(|params| params.member("channel"));
        let channel = channel.and_then(Json::plain).unwrap_or_default();
        let with_token = params.is_some_and(|params| params.member("token").is_some());
        match by_word(word, &["subscribe", "unsubscribe", "ping"]) {
            Heard::Reads if PRIVATE.contains(&channel) && is_known(said) => login(None, said),
            Heard::Reads if PRIVATE.contains(&channel) || with_token => {
                Heard::Refused("a subscription with a token that we do not know".into())
            }
            heard => heard,
        }
    }

    fn asks_the_venue(&self) -> bool {
        true
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        token_request(&super::Kraken, TOKEN, asked)
    }

    fn answered(&self, answer: &Json) -> Option<Values> {
        let token = answer.member("result")?.member("token")?.plain()?;
        Some(Values(vec![("token", token.to_owned())]))
    }

    fn message(&self, said: &Json, values: &Values) -> Option<Json> {
        let params = with(
            said.member("params")?,
            vec![("token", values.text("token")?)],
        )?;
        with(said, vec![("params", params)])
    }

    fn token_kept(&self, path: &str, _: &str) -> Option<Json> {
        let result = [("token", text(KEPT)), ("expires", number(900))];
        let answer = [
            ("error", Json::List(Vec::new())),
            ("result", members(result)),
        ];
        (path == TOKEN).then(|| members(answer))
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        members([
            ("error", text(words)),
            ("method", echoed(said, "method")),
            ("success", Json::Bool(false)),
            ("req_id", echoed(said, "req_id")),
        ])
    }
}

fn is_known(said: &Json) -> bool {
    has_only(said, &["method", "params", "req_id"])
}
