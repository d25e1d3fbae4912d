//! Upbit's socket for users: who opens it shows a bearer token, the same as for a request without parameters. Over it nothing
//! can be asked for but data.
//!
//! Source: docs.upbit.com, "WebSocket guide", "My Order", "My Asset"; `upbit` of ccxt.pro 4.5.90, read 2026-11-27.

use crate::{
    Json, Venue,
    drafting::{members, text},
    stream::{
        Drafted, Entrance,
        dialect::{Asked, Dialect, Heard, LoginAsked, Values, has_only},
    },
    token::{Claim, token},
};

/// What a part of a subscription may hold.
const PARTS: &[&str] = &[
    "ticket",
    "type",
    "codes",
    "level",
    "is_only_snapshot",
    "is_only_realtime",
    "isOnlySnapshot",
    "isOnlyRealtime",
    "format",
    "method",
];
const METHODS: &[&str] = &["LIST_SUBSCRIPTIONS"];

/// The socket for users.
pub(crate) struct Upbit;

impl Dialect for Upbit {
    fn name(&self) -> &'static str {
        "upbit"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::Upbit
    }

    fn clock(&self) -> &'static str {
        "https://api.upbit.com"
    }

    fn is_ping(&self, message: &[u8]) -> bool {
        message == b"PING"
    }

    // `[{"ticket":…},{"type":"myOrder","codes":[…]},{"format":"DEFAULT"}]`
    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let Json::List(parts) = said else {
            return Heard::Refused("a message that is no list".into());
        };
        let is_known = |part: &Json| {
            let method = part.member("method").map(Json::plain);
            has_only(part, PARTS)
                && method.is_none_or(|method| method.is_some_and(|word| METHODS.contains(&word)))
        };
        match parts.iter().find(|part| !is_known(part)) {
            None => Heard::Reads,
            Some(_) => Heard::Refused("a part of a subscription that we do not know".into()),
        }
    }

    fn entered(&self, _: &str) -> Option<LoginAsked> {
        Some(LoginAsked {
            key: String::new(),
            facts: Json::Null,
            said: Json::Null,
        })
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let nonce = asked.moment.uuid()?;
        let claims = [
            ("access_key", Claim::Text(asked.credential.key)),
            ("nonce", Claim::Text(&nonce)),
        ];
        let payload = token(asked.scheme.algorithm, &[], &claims);
        Ok(asked.signs(payload.clone(), vec![("payload", payload)]))
    }

    fn entrance(&self, query: &str, values: &Values) -> Option<Entrance> {
        let bearer = format!("Bearer {}.{}", values.of("payload")?, values.of("sign")?);
        Some(Entrance {
            origin: None,
            query: query.to_owned(),
            headers: vec![("Authorization", bearer)],
        })
    }

    // A client is let in by what opened the socket.
    fn message(&self, _: &Json, _: &Values) -> Option<Json> {
        None
    }

    fn refusal(&self, _: &Json, words: &str) -> Json {
        let error = [("name", text("WRONG_FORMAT")), ("message", text(words))];
        members([("error", members(error))])
    }
}
