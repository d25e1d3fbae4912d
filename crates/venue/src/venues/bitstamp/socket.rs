//! Bitstamp's socket.
//!
//! Who subscribes to something private shows a token from REST, and names the number of the account, which comes with the token
//! (bitstamp.net/websocket/v2, "Private channels"; `bitstamp` of ccxt.pro 4.5.90, read 2026-11-27). No client gets either: the
//! answer over REST is [`KEPT`] and the account [`NOBODY`]. Where a client subscribes with those, a token is fetched for it and
//! goes in with the account's number, which is taken out again of what the venue says.

use crate::{
    Json, Venue,
    drafting::{members, number, text},
    stream::{
        Drafted, Told,
        dialect::{
            Asked, Dialect, Heard, KEPT, Values, by_word, echoed, has_only, is_name, login,
            token_request, with,
        },
    },
};

const TOKEN: &str = "/api/v2/websockets_token/";
/// What stands for the number of the account.
const NOBODY: &str = "0";
const PRIVATE: &str = "private-";
const SUBSCRIBE: &str = "bts:subscribe";
const UNSUBSCRIBE: &str = "bts:unsubscribe";

/// Version 2.
pub(crate) struct Bitstamp;

impl Dialect for Bitstamp {
    fn name(&self) -> &'static str {
        "bitstamp"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::Bitstamp
    }

    fn clock(&self) -> &'static str {
        "https://www.bitstamp.net"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let word = said.member("event");
        let data = said.member("data");
        let with_token = data.is_some_and(|data| data.member("auth").is_some());
        match by_word(word, &[SUBSCRIBE, UNSUBSCRIBE, "bts:heartbeat"]) {
            Heard::Reads if !is_private(channel(said)) && !with_token => Heard::Reads,
            Heard::Reads if kind(channel(said)).is_some() && is_known(said) => login(None, said),
            Heard::Reads => {
                Heard::Refused("a subscription with a token that we do not know".into())
            }
            refused => refused,
        }
    }

    fn asks_the_venue(&self) -> bool {
        true
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        token_request(&super::Bitstamp, TOKEN, asked)
    }

    fn answered(&self, answer: &Json) -> Option<Values> {
        let said = |name: &str| answer.member(name)?.plain().map(str::to_owned);
        let user = said("user_id").filter(|user| is_number(user))?;
        Some(Values(vec![("token", said("token")?), ("user", user)]))
    }

    fn message(&self, said: &Json, values: &Values) -> Option<Json> {
        let channel = format!("{}-{}", kind(channel(said))?, values.of("user")?);
        let mut data = vec![("channel", text(channel))];
        if said.member("event")?.plain() == Some(SUBSCRIBE) {
            data.push(("auth", values.text("token")?));
        }
        with(
            said,
            vec![("data", with(&Json::Members(Vec::new()), data)?)],
        )
    }

    fn listens(&self) -> bool {
        true
    }

    fn told(&self, message: &str) -> Told {
        if !message.contains(PRIVATE) {
            return Told::Passes;
        }
        let Ok(told) = Json::read(message.as_bytes()) else {
            return Told::Cut;
        };
        let channel = told.member("channel").and_then(Json::plain);
        let named = channel
            .and_then(kind)
            .map(|kind| format!("{kind}-{NOBODY}"));
        let other = named.and_then(|named| with(&told, vec![("channel", text(named))]));
        other.map_or(Told::Cut, |other| Told::Instead(other.to_text()))
    }

    fn token_kept(&self, path: &str, _: &str) -> Option<Json> {
        let answer = [
            ("valid_sec", number(60)),
            ("token", text(KEPT)),
            ("user_id", Json::Number(NOBODY.into())),
        ];
        (path == TOKEN).then(|| members(answer))
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        let data = [("code", Json::Null), ("message", text(words))];
        let channel = said
            .member("data")
            .map_or(Json::Null, |data| echoed(data, "channel"));
        members([
            ("event", text("bts:error")),
            ("channel", channel),
            ("data", members(data)),
        ])
    }
}

fn channel(said: &Json) -> &str {
    let channel = said.member("data").and_then(|data| data.member("channel"));
    channel.and_then(Json::plain).unwrap_or_default()
}

fn is_private(channel: &str) -> bool {
    channel.to_ascii_lowercase().starts_with(PRIVATE)
}

// `private-my_orders_btcusd` of `private-my_orders_btcusd-4848701`.
fn kind(channel: &str) -> Option<&str> {
    let (kind, user) = channel.rsplit_once('-')?;
    let plain = kind.strip_prefix(PRIVATE)?;
    (is_number(user) && is_name(plain, "_")).then_some(kind)
}

fn is_number(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_known(said: &Json) -> bool {
    let data = said.member("data");
    has_only(said, &["event", "data"])
        && data.is_some_and(|data| has_only(data, &["channel", "auth"]))
}
