//! HTX's sockets: spot of version 2, and those of contracts.
//!
//! Both sign method, host, path and their own parameters, as REST does; spot names them in another way. Orders have sockets of
//! their own, which are not relayed (huobiapi.github.io, "Authentication" of the sockets; `htx` of ccxt.pro 4.5.90, read
//! 2026-11-26). With Ed25519 nobody documents this, so HMAC alone logs in.

use crate::{
    Algorithm, CannotSign, Json, Venue,
    drafting::{encoded, members, number, text},
    stream::{
        Drafted,
        dialect::{Asked, Dialect, Heard, Values, by_word, echoed, login},
    },
};

/// Spot, version 2.
pub(crate) struct Spot;

/// Contracts.
pub(crate) struct Contracts;

impl Dialect for Spot {
    fn name(&self) -> &'static str {
        "htx"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::Htx
    }

    fn clock(&self) -> &'static str {
        "https://api.huobi.pro"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let plain = |name| said.member(name).and_then(Json::plain).unwrap_or_default();
        match (plain("action"), plain("ch")) {
            ("req", "auth") => {
                let params = said.member("params");
                login(params.and_then(|params| params.member("accessKey")), said)
            }
            ("req", channel) => Heard::Refused(format!("req {channel}")),
            _ => by_word(said.member("action"), &["sub", "unsub", "ping", "pong"]),
        }
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let names = [
            "accessKey",
            "signatureMethod",
            "signatureVersion",
            "timestamp",
        ];
        draft(asked, names, "2.1")
    }

    fn message(&self, _: &Json, values: &Values) -> Option<Json> {
        let params = members([
            ("authType", text("api")),
            ("accessKey", values.text("apiKey")?),
            ("signatureMethod", text(METHOD)),
            ("signatureVersion", text("2.1")),
            ("timestamp", values.text("timestamp")?),
            ("signature", values.text("sign")?),
        ]);
        Some(members([
            ("action", text("req")),
            ("ch", text("auth")),
            ("params", params),
        ]))
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        members([
            ("action", echoed(said, "action")),
            ("code", number(2002)),
            ("ch", echoed(said, "ch")),
            ("message", text(words)),
        ])
    }
}

impl Dialect for Contracts {
    fn name(&self) -> &'static str {
        "htx-contracts"
    }

    fn venue(&self) -> &'static dyn Venue {
        &super::Htx
    }

    fn clock(&self) -> &'static str {
        "https://api.hbdm.com"
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        let word = said.member("op");
        if word.and_then(Json::plain) == Some("auth") {
            return login(said.member("AccessKeyId"), said);
        }
        by_word(word, &["sub", "unsub", "ping", "pong"])
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        let names = [
            "AccessKeyId",
            "SignatureMethod",
            "SignatureVersion",
            "Timestamp",
        ];
        draft(asked, names, "2")
    }

    fn message(&self, _: &Json, values: &Values) -> Option<Json> {
        Some(members([
            ("op", text("auth")),
            ("type", text("api")),
            ("AccessKeyId", values.text("apiKey")?),
            ("SignatureMethod", text(METHOD)),
            ("SignatureVersion", text("2")),
            ("Timestamp", values.text("timestamp")?),
            ("Signature", values.text("sign")?),
        ]))
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        members([
            ("op", echoed(said, "op")),
            ("type", text("api")),
            ("cid", echoed(said, "cid")),
            ("err-code", number(2002)),
            ("err-msg", text(words)),
        ])
    }
}

const METHOD: &str = "HmacSHA256";

fn draft(asked: &Asked<'_>, names: [&str; 4], version: &str) -> Drafted {
    if asked.scheme.algorithm != Algorithm::HmacSha256 {
        return Err(CannotSign::Algorithm);
    }
    let time = asked.moment.iso();
    let time = time.get(..19).unwrap_or_default();
    let [key, method, of_version, timestamp] = names;
    let query = encoded(&[
        (key, asked.credential.key),
        (method, METHOD),
        (of_version, version),
        (timestamp, time),
    ]);
    let mut payload = format!("GET\n{}\n{}\n", asked.host, asked.private.path()).into_bytes();
    payload.extend(query);
    Ok(asked.signs(payload, vec![asked.key(), ("timestamp", time.to_owned())]))
}
