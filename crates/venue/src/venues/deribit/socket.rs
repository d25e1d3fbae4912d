//! Deribit's socket, over which everything that REST has can be asked for.
//!
//! `public/auth` signs time, nonce and data; data is empty, for with data of a client's choice the same bytes could be those of
//! a REST request. Whatever grant a client names, ours is `client_signature`. The venue's answer holds an access token and a
//! refresh token, good over REST as well: they are taken out before the client hears it (docs.deribit.com, public/auth;
//! `deribit` of ccxt.pro 4.5.90, read 2026-11-26).

use crate::{
    Json, Venue,
    drafting::{members, number, text},
    logins,
    stream::{
        Drafted, Told,
        dialect::{Asked, Dialect, Heard, Values, by_word, echoed, has_only, login, with},
    },
};

const READS: &[&str] = &[
    "public/disable_heartbeat",
    "public/hello",
    "public/set_heartbeat",
    "public/status",
    "public/subscribe",
    "public/test",
    "public/ticker",
    "public/unsubscribe",
    "public/unsubscribe_all",
    "private/subscribe",
    "private/unsubscribe",
    "private/unsubscribe_all",
];
const TOKENS: &[&str] = &["access_token", "refresh_token"];
const KEPT: &str = "kept-by-touchkeep";

/// JSON-RPC over a socket.
pub(crate) struct Deribit;

impl Dialect for Deribit {
    fn name(&self) -> &'static str {
        "deribit"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::Deribit
    }

    fn clock(&self) -> &'static str {
        "https://www.deribit.com"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let word = said.member("method");
        let method = word.and_then(Json::plain).unwrap_or_default();
        let params = said.member("params");
        let refused = || Heard::Refused(method.to_owned());
        if !has_only(said, &["jsonrpc", "id", "method", "params"]) {
            return refused();
        }
        if method == "public/auth" {
            let of = |name| params.and_then(|params| params.member(name));
            let grant = of("grant_type").and_then(Json::plain).unwrap_or_default();
            return match grant {
                "client_signature" | "client_credentials" => login(of("client_id"), said),
                _ => refused(),
            };
        }
        // A token that a client got elsewhere is none of ours to carry.
        let with_token = TOKENS
            .iter()
            .any(|token| params.is_some_and(|params| params.member(token).is_some()));
        let public = method.starts_with("public/get_");
        match by_word(word, READS) {
            _ if with_token => refused(),
            Heard::Refused(_) if public => Heard::Reads,
            heard => heard,
        }
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let nonce = asked.moment.random_hex()?;
        let payload = logins::deribit(asked.moment.now, &nonce, "");
        let values = vec![
            asked.key(),
            ("timestamp", asked.moment.millis()),
            ("nonce", nonce),
        ];
        Ok(asked.signs(payload, values))
    }

    fn message(&self, said: &Json, values: &Values) -> Option<Json> {
        let params = members([
            ("grant_type", text("client_signature")),
            ("client_id", values.text("apiKey")?),
            ("timestamp", values.number("timestamp")?),
            ("signature", values.text("sign")?),
            ("nonce", values.text("nonce")?),
            ("data", text("")),
        ]);
        with(said, vec![("params", params)])
    }

    fn listens(&self) -> bool {
        true
    }

    fn told(&self, message: &str) -> Told {
        if !TOKENS.iter().any(|token| message.contains(token)) {
            return Told::Passes;
        }
        match Json::read(message.as_bytes()) {
            Ok(said) => Told::Instead(without_tokens(said).to_text()),
            Err(_) => Told::Cut,
        }
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        let error = [
            ("code", Json::Number("13021".into())),
            ("message", text(words)),
        ];
        members([
            ("jsonrpc", text("2.0")),
            ("id", echoed(said, "id")),
            ("error", members(error)),
            ("usIn", number(0)),
        ])
    }
}

fn without_tokens(said: Json) -> Json {
    match said {
        Json::List(values) => Json::List(values.into_iter().map(without_tokens).collect()),
        Json::Members(all) => {
            let kept = |(name, value): (String, Json)| {
                let value = if TOKENS.contains(&name.as_str()) {
                    text(KEPT)
                } else {
                    without_tokens(value)
                };
                (name, value)
            };
            Json::Members(all.into_iter().map(kept).collect())
        }
        other => other,
    }
}
