//! Gate's sockets: spot, and contracts on other servers.
//!
//! There is no login that lasts: each subscription to something private is signed by itself, over channel, event and time. The
//! session that `spot.login` and its like open is for orders alone, so nothing with the event `api` passes (gate.com/docs,
//! WebSocket v4; `gate` of ccxt.pro 4.5.90, read 2026-11-26).

use crate::{
    CannotSign, Json, Venue,
    drafting::{members, number, text},
    stream::{
        Drafted,
        dialect::{
            Asked, Dialect, Heard, Values, by_word, echoed, has_only, is_name, login_with, with,
        },
    },
};

const KNOWN: &[&str] = &["id", "time", "channel", "event", "payload", "auth"];
const PINGS: &[&str] = &["spot.ping", "futures.ping", "options.ping"];

/// All of them.
pub(crate) struct Gate;

impl Dialect for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::Gate
    }

    fn clock(&self) -> &'static str {
        "https://api.gateio.ws"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let plain = |name| said.member(name).and_then(Json::plain).unwrap_or_default();
        let (channel, event) = (plain("channel"), plain("event"));
        if !has_only(said, KNOWN) || !is_name(channel, "._") {
            return Heard::Refused("a message that is not a plain subscription".into());
        }
        if PINGS.contains(&channel) && event.is_empty() && said.member("auth").is_none() {
            return Heard::Reads;
        }
        match by_word(said.member("event"), &["subscribe", "unsubscribe"]) {
            Heard::Reads => match said.member("auth") {
                Some(auth) => {
                    let facts = [("channel", text(channel)), ("event", text(event))];
                    login_with(auth.member("KEY"), members(facts), said)
                }
                None => Heard::Reads,
            },
            // The event says nothing of what it is for.
            Heard::Refused(event) => Heard::Refused(format!("{event} {channel}")),
            heard => heard,
        }
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let (channel, event) = (asked.fact("channel")?, asked.fact("event")?);
        if !is_name(channel, "._") || !["subscribe", "unsubscribe"].contains(&event) {
            return Err(CannotSign::Values);
        }
        let time = asked.moment.seconds();
        let payload = format!("channel={channel}&event={event}&time={time}");
        Ok(asked.signs(payload, vec![asked.key(), ("time", time)]))
    }

    fn message(&self, said: &Json, values: &Values) -> Option<Json> {
        let auth = members([
            ("method", text("api_key")),
            ("KEY", values.text("apiKey")?),
            ("SIGN", values.text("sign")?),
        ]);
        with(said, vec![("time", values.number("time")?), ("auth", auth)])
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        let error = [("code", number(4)), ("message", text(words))];
        members([
            ("id", echoed(said, "id")),
            ("time", echoed(said, "time")),
            ("channel", echoed(said, "channel")),
            ("event", echoed(said, "event")),
            ("error", members(error)),
            ("result", Json::Null),
        ])
    }
}
