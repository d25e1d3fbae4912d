//! Coinbase Exchange's feed: a subscription is signed as `GET /users/self/verify` would be.
//!
//! Nothing can be ordered here (docs.cdp.coinbase.com, Exchange "WebSocket authentication"; `coinbaseexchange` of ccxt.pro
//! 4.5.90, read 2026-11-26).

use crate::{
    Json, Venue,
    drafting::{members, text},
    stream::{
        Drafted,
        dialect::{Asked, Dialect, Heard, Values, by_word, has_only, login, with},
    },
};

/// Those that the venue wants signed.
const PRIVATE: &[&str] = &["user", "full", "level2", "level3", "balance", "rfq_matches"];
const KNOWN: &[&str] = &[
    "type",
    "product_ids",
    "channels",
    "account_ids",
    "signature",
    "key",
    "passphrase",
    "timestamp",
];

/// The feed.
pub(crate) struct CoinbaseExchange;

impl Dialect for CoinbaseExchange {
    fn name(&self) -> &'static str {
        "coinbaseexchange"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::CoinbaseExchange
    }

    fn clock(&self) -> &'static str {
        "https://api.exchange.coinbase.com"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let heard = by_word(said.member("type"), &["subscribe", "unsubscribe"]);
        if heard == Heard::Reads && !has_only(said, KNOWN) {
            return Heard::Refused("a message that is not a plain subscription".into());
        }
        let signed = said.member("signature").is_some() || is_private(said.member("channels"));
        match heard {
            Heard::Reads if signed => login(said.member("key"), said),
            heard => heard,
        }
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let time = asked.moment.seconds();
        let payload = format!("{time}GET/users/self/verify");
        let values = vec![
            asked.key(),
            ("passphrase", asked.passphrase()?),
            ("timestamp", time),
        ];
        Ok(asked.signs(payload, values))
    }

    fn message(&self, said: &Json, values: &Values) -> Option<Json> {
        let ours = vec![
            ("signature", values.text("sign")?),
            ("key", values.text("apiKey")?),
            ("passphrase", values.text("passphrase")?),
            ("timestamp", values.text("timestamp")?),
        ];
        with(said, ours)
    }

    fn refusal(&self, _: &Json, words: &str) -> Json {
        members([
            ("type", text("error")),
            ("message", text("Authentication Failed")),
            ("reason", text(words)),
        ])
    }
}

fn is_private(channels: Option<&Json>) -> bool {
    let Some(Json::List(channels)) = channels else {
        return false;
    };
    channels.iter().any(|channel| {
        let name = channel.plain().or_else(|| channel.member("name")?.plain());
        name.is_some_and(|name| PRIVATE.contains(&name))
    })
}
