//! Coinbase's sockets for Advanced Trade: a subscription carries its own token.
//!
//! The token names no method and no path, so that REST does not take it (coinbase-advanced-py of 2026-06-19, `build_ws_jwt`).
//! Old keys sign time, channel and products. Nothing can be ordered here (docs.cdp.coinbase.com, "WebSocket overview";
//! `coinbase` of ccxt.pro 4.5.90, read 2026-11-26).

use crate::{
    Algorithm, Json, Place, Venue,
    drafting::{members, text},
    stream::{
        Drafted,
        dialect::{
            Asked, Dialect, Heard, Values, by_word, echoed, has_only, is_name, login_with, shown,
            with,
        },
    },
    token::{Claim, token},
};

/// Those that tell something of an account.
const PRIVATE: &[&str] = &["user", "futures_balance_summary"];
const KNOWN: &[&str] = &[
    "type",
    "channel",
    "product_ids",
    "jwt",
    "api_key",
    "timestamp",
    "signature",
];

/// Both servers.
pub(crate) struct Coinbase;

impl Dialect for Coinbase {
    fn name(&self) -> &'static str {
        "coinbase"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::Coinbase
    }

    fn clock(&self) -> &'static str {
        "https://api.coinbase.com"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let heard = by_word(said.member("type"), &["subscribe", "unsubscribe"]);
        if heard != Heard::Reads {
            return heard;
        }
        let channel = shown(said.member("channel"));
        let products = products(said.member("product_ids"));
        let (true, true, Some(products)) =
            (has_only(said, KNOWN), is_name(&channel, "_"), products)
        else {
            return Heard::Refused("a message that is not a plain subscription".into());
        };
        let signed = ["jwt", "signature"];
        if !PRIVATE.contains(&channel.as_str()) && !signed.iter().any(|s| said.member(s).is_some())
        {
            return Heard::Reads;
        }
        let facts = [("channel", text(channel)), ("products", text(products))];
        let key = said
            .member("api_key")
            .cloned()
            .or_else(|| of_token(said.member("jwt")?));
        login_with(key.as_ref(), members(facts), said)
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let (key, moment) = (asked.credential.key, asked.moment);
        let time = moment.seconds();
        if asked.scheme.algorithm == Algorithm::HmacSha256 {
            let (channel, products) = (asked.fact("channel")?, asked.fact("products")?);
            let payload = format!("{time}{channel}{products}");
            return Ok(asked.signs(payload, vec![asked.key(), ("timestamp", time)]));
        }
        let now = moment.now.0 / 1000;
        let nonce = moment.random_hex()?;
        let payload = token(
            asked.scheme.algorithm,
            &[("kid", Claim::Text(key)), ("nonce", Claim::Text(&nonce))],
            &[
                ("sub", Claim::Text(key)),
                ("iss", Claim::Text("cdp")),
                ("nbf", Claim::Number(now)),
                ("exp", Claim::Number(now + super::TOKEN_LIFE_S)),
            ],
        );
        let place = Place::Header("jwt", format!("{payload}."), String::new());
        Ok(asked.part(asked.scheme.part(payload, place), Vec::new()))
    }

    fn message(&self, said: &Json, values: &Values) -> Option<Json> {
        let mut all = vec![("type", said.member("type")?.clone())];
        all.push(("channel", said.member("channel")?.clone()));
        all.extend(
            said.member("product_ids")
                .cloned()
                .map(|ids| ("product_ids", ids)),
        );
        if let Some(token) = values.text("jwt") {
            all.push(("jwt", token));
        } else {
            all.push(("api_key", values.text("apiKey")?));
            all.push(("timestamp", values.text("timestamp")?));
            all.push(("signature", values.text("sign")?));
        }
        with(&Json::Members(Vec::new()), all)
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        members([
            ("type", text("error")),
            ("channel", echoed(said, "channel")),
            ("message", text(words)),
        ])
    }
}

// The markets as they are signed, with a comma between.
fn products(ids: Option<&Json>) -> Option<String> {
    let Some(ids) = ids else {
        return Some(String::new());
    };
    let Json::List(ids) = ids else {
        return None;
    };
    let names: Option<Vec<&str>> = ids.iter().map(Json::plain).collect();
    let names = names?;
    names
        .iter()
        .all(|name| is_name(name, "-_"))
        .then(|| names.join(","))
}

// What the client's own token shows as its key.
fn of_token(token: &Json) -> Option<Json> {
    let claims = token.plain()?.split('.').nth(1)?;
    let claims = data_encoding::BASE64URL_NOPAD.decode(claims.trim_end_matches('=').as_bytes());
    Json::read(&claims.ok()?).ok()?.member("sub").cloned()
}
