//! Our bytes against those that ccxt signs: random endpoints, times and odd characters, from a seed. Kinds of key that ccxt has
//! no signature for, Bitget's RSA and HTX' Ed25519, sign what it would have signed by another library.
//!
//! `TOUCHKEEP_PYTHON` names a Python with `tests/requirements.txt`; `./dev test` makes one. `TOUCHKEEP_SOAK_CALLS` is how many
//! calls each venue gets, 10000 in a soak (keys of RSA a twentieth, because ccxt reads them anew each time), and
//! `TOUCHKEEP_SOAK_SEED` which; `TOUCHKEEP_SOAK_VENUES` picks some of them, with blanks between. With `TOUCHKEEP_TALLY=<folder>` it
//! writes down what was compared.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use common::{Key, as_bot, at};
use percent_encoding::percent_decode;
use serde_json::Value;
use touchkeep_core::UnixMillis;
use touchkeep_venue::{
    Algorithm, CannotSign, Credential, Decoded, Moment, Outgoing, Request, Unreadable,
};

const ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ccxt_signs.py");
const SEED: &str = "20261126";
const KINDS: &[&str] = &[
    "backpack",
    "binance",
    "binance:ed25519",
    "binance:rsa",
    "bitfinex",
    "bitget",
    "bitget:rsa",
    "bitstamp",
    "bybit",
    "bybit:rsa",
    "coinbase",
    "coinbase:es256",
    "coinbaseexchange",
    "cryptocom",
    "deribit",
    "gate",
    "gemini",
    "htx",
    "htx:ed25519",
    "hyperliquid",
    "kraken",
    "krakenfutures",
    "kucoin",
    "mexc",
    "okx",
    "revolutx",
    "upbit",
];

#[derive(Debug, Default)]
struct Tally {
    same: usize,
    // Same once the percent-encoding is taken off.
    raw: usize,
    refused: usize,
}

fn calls() -> usize {
    let soak = std::env::var("TOUCHKEEP_SOAK_CALLS").ok();
    soak.map_or(200, |n| n.parse().unwrap())
}

#[test]
fn we_sign_the_bytes_that_ccxt_signs() {
    let python = std::env::var_os("TOUCHKEEP_PYTHON").unwrap_or_else(|| "python3".into());
    let some = std::env::var("TOUCHKEEP_SOAK_VENUES").unwrap_or_default();
    let seed = std::env::var("TOUCHKEEP_SOAK_SEED").unwrap_or_else(|_| SEED.into());
    let kinds: Vec<&str> = match some.is_empty() {
        true => KINDS.to_vec(),
        false => some.split(' ').collect(),
    };
    let mut child = Command::new(python)
        .args(["-B", "-W", "ignore", ORACLE, &seed, &calls().to_string()])
        .args(&kinds)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let said: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let which = said["which"].as_str().unwrap().to_owned();
        compare(&said, tallies.entry(which).or_default());
    }
    assert!(child.wait().unwrap().success(), "is ccxt there?");
    for (which, tally) in &tallies {
        println!("{which}: {tally:?}");
    }
    assert_eq!(tallies.len(), kinds.len());
    for (which, tally) in &tallies {
        let all = tally.same + tally.raw + tally.refused;
        assert!(tally.same * 2 > all, "{which}: {tally:?}");
        assert!(tally.refused * 4 < all, "{which}: {tally:?}");
        if !RAW.contains(&which.split(':').next().unwrap()) {
            assert_eq!(tally.raw, 0, "{which}");
        }
        if let Ok(folder) = std::env::var("TOUCHKEEP_TALLY") {
            let seen = format!(
                "{} the same, {} the same once decoded, {} refused",
                tally.same, tally.raw, tally.refused
            );
            let row =
                format!("| S-11 | calls that ccxt signs, of {which} | {all} | {seen} | 0 |\n");
            std::fs::write(format!("{folder}/S-11-{which}"), row).unwrap();
        }
    }
}

// Venues for which ccxt signs and sends some parameters as they are. That is no form that every reader reads alike, and of
// Binance it is refused since 2026-01-15 (-1022), so we percent-encode first, as sieblyio/bybit-api does: the same text, but
// for that.
const RAW: &[&str] = &["binance", "bybit"];

fn compare(said: &Value, tally: &mut Tally) {
    let which = said["which"].as_str().unwrap();
    let (house, kind) = which.split_once(':').unwrap_or((which, ""));
    let made = &said["result"];
    let (bot, origin) = as_bot(made);
    let id = match origin.as_str() {
        "https://api-futures.kucoin.com" => "kucoinfutures",
        _ => house,
    };
    let venue = at(id);
    let private = match venue.decode(&bot) {
        Ok(Decoded::Private(private)) => private,
        Ok(Decoded::Public(_)) => panic!("{said} is public"),
        Err(why) => {
            assert!(is_expected(&why), "{why:?}: {said}");
            tally.refused += 1;
            return;
        }
    };
    let algorithm = match (house, kind) {
        (_, "rsa") => Algorithm::RsaPkcs1Sha256,
        (_, "ed25519") | ("backpack" | "revolutx" | "coinbase", "") => Algorithm::Ed25519,
        ("hyperliquid", _) => Algorithm::Secp256k1Digest,
        (_, "es256") => Algorithm::EcdsaP256Sha256,
        ("upbit", _) => Algorithm::HmacSha256,
        _ => venue.info().schemes.last().unwrap().algorithm,
    };
    let unique = data_encoding::HEXLOWER
        .decode(said["unique"].as_str().unwrap().as_bytes())
        .unwrap();
    let now = said["now"].as_u64().unwrap();
    let moment = Moment {
        now: UnixMillis(now),
        window_ms: 5000,
        nonce: Some(now),
        unique: unique.try_into().ok(),
    };
    let credential = Credential {
        key: said["key"].as_str().unwrap(),
        algorithm,
        passphrase: Some("pass phrase"),
    };
    let to_sign = match venue.draft(&private, &credential, &moment) {
        Ok(to_sign) => to_sign,
        // An endpoint of Backpack whose instruction ccxt does not know either: it signs an empty one.
        Err(CannotSign::Unknown) if house == "backpack" => {
            tally.refused += 1;
            return;
        }
        Err(why) => panic!("{why:?}: {said}"),
    };
    let theirs: Vec<Vec<u8>> = said["signed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bytes| {
            data_encoding::BASE64
                .decode(bytes.as_str().unwrap().as_bytes())
                .unwrap()
        })
        .collect();
    assert!(!theirs.is_empty(), "ccxt signed nothing: {said}");
    let ours = to_sign.payload().to_vec();
    if kind == "es256" {
        return es256(&ours, &theirs, said, tally);
    }
    let raw = !theirs.contains(&ours);
    if raw {
        let plain: Vec<u8> = percent_decode(&ours).collect();
        let known = RAW.contains(&house) && theirs.contains(&plain);
        assert!(
            known,
            "ours {:?}, theirs {:?}: {said}",
            lossy(&ours),
            theirs.iter().map(|t| lossy(t)).collect::<Vec<_>>()
        );
    }
    let secret = said["secret"].as_str().unwrap();
    let der = data_encoding::BASE64
        .decode(said["der"].as_str().unwrap().as_bytes())
        .unwrap();
    let key = match algorithm {
        Algorithm::Ed25519 => Key::Seed(&der),
        Algorithm::Secp256k1Digest => Key::Secp256k1(&der),
        Algorithm::RsaPkcs1Sha256 => Key::Pkcs8(&der),
        _ => Key::Secret(secret),
    };
    let parts = to_sign.parts().to_vec();
    let signatures: Vec<Vec<u8>> = parts.iter().map(|part| key.sign(venue, part)).collect();
    let sent = sent_by_ccxt(made);
    if raw {
        // That ccxt's bytes are really signed: this key's signature of them is what it sends.
        let plain: Vec<u8> = percent_decode(&ours).collect();
        let text = parts[0]
            .encoding()
            .text(&key.sign_bytes(venue, &parts[0], &plain));
        assert!(sent.contains(&text), "ccxt does not send {text}: {said}");
    } else {
        for (part, signature) in parts.iter().zip(&signatures) {
            let text = part.encoding().text(signature);
            assert!(sent.contains(&text), "ccxt does not send {text}: {said}");
        }
    }
    let out = to_sign.seal(&signatures).unwrap();
    assert_eq!(out.origin, origin);
    if raw {
        tally.raw += 1;
    } else {
        same_request(house, &out, made, &bot);
        tally.same += 1;
    }
}

// Not only what is signed, also what is sent is the same, but for the order of members and for bodies that no venue reads.
fn same_request(house: &str, out: &Outgoing, made: &Value, bot: &Request) {
    let plain = |text: &str| percent_decode(text.as_bytes()).collect::<Vec<u8>>();
    let url = made["url"].as_str().unwrap().trim_end_matches('?');
    let ours = format!("{}{}", out.origin, out.path_and_query);
    assert_eq!(lossy(&plain(&ours)), lossy(&plain(url)));
    match house {
        "gemini" => assert!(out.body.is_empty()),
        "cryptocom" | "hyperliquid" => {
            let json = |bytes: &[u8]| -> Value { serde_json::from_slice(bytes).unwrap() };
            assert_eq!(json(&out.body), json(&bot.body));
        }
        _ => assert_eq!(
            lossy(&plain(&lossy(&out.body))),
            lossy(&plain(&lossy(&bot.body)))
        ),
    }
}

// ES256 keys get the claims of Coinbase's own library (`cdp`, one `uri`, no audience); ccxt still sends the older ones. What
// binds the request is the same.
fn es256(ours: &[u8], theirs: &[Vec<u8>], said: &Value, tally: &mut Tally) {
    let claims = |token: &[u8]| -> Value {
        let part = token.split(|b| *b == b'.').nth(1).unwrap();
        let json = data_encoding::BASE64URL_NOPAD.decode(part).unwrap();
        serde_json::from_slice(&json).unwrap()
    };
    let (ours, theirs) = (claims(ours), claims(theirs.last().unwrap()));
    for name in ["sub", "nbf", "exp", "uri"] {
        assert_eq!(ours[name], theirs[name], "{name}: {said}");
    }
    assert_eq!(
        (&ours["iss"], &theirs["iss"]),
        (&"cdp".into(), &"coinbase-cloud".into())
    );
    tally.same += 1;
}

fn sent_by_ccxt(made: &Value) -> String {
    let url = made["url"].as_str().unwrap();
    let plain = percent_decode(url.as_bytes())
        .decode_utf8_lossy()
        .into_owned();
    let body = made["body"].as_str().unwrap_or_default();
    let form = percent_decode(body.as_bytes())
        .decode_utf8_lossy()
        .into_owned();
    let headers = made["headers"].as_object().unwrap();
    let headers: Vec<&str> = headers.values().filter_map(Value::as_str).collect();
    format!("{url} {plain} {body} {form} {}", headers.join(" "))
}

// What the random calls hold that no endpoint takes: names of assets and markets in small letters or with blanks in a path,
// control characters in what ccxt does not encode, members where a list of orders belongs; and what is not served.
fn is_expected(why: &Unreadable) -> bool {
    let of_names = matches!(why, Unreadable::Value(_) | Unreadable::Number(_));
    of_names || matches!(why, Unreadable::NotServed(_))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
