//! The practice venue from outside: what it refuses, with which code, and what its record then says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    unreachable_pub,
    missing_docs,
    reason = "tests may fail loudly"
)]

mod venue_support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use venue_support::{Key, Venue, binary, http, now_ms, sign, stamped};

const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.5&price=50000";
const WITHDRAWAL: &str = "coin=BTC&address=bc1qexample&amount=0.5&network=BTC";
const APPLY: &str = "/sapi/v1/capital/withdraw/apply";

fn all(venue: &Venue) -> Key {
    venue.hmac_key(&["read", "trade", "withdraw"], &[])
}

/// Nothing was accepted, nothing was done; the record has this many refusals with this code.
fn nothing_happened(venue: &Venue, refused: usize, code: i64) {
    let record = venue.record();
    assert_eq!(record.len(), refused);
    for entry in record {
        assert_eq!(entry["accepted"], false, "{entry}");
        assert_eq!(entry["code"], code, "{entry}");
    }
    assert_eq!(venue.site("GET", "/orders", None).body, json!([]));
    assert_eq!(venue.site("GET", "/withdrawals", None).body, json!([]));
    let balances = venue.site("GET", "/balances", None).body;
    assert_eq!(balances[0]["free"], "10.00000000");
}

#[test]
fn an_order_is_placed_seen_and_cancelled() {
    let venue = Venue::start();
    let key = all(&venue);
    let placed = venue.signed(&key, "POST", "/api/v3/order", ORDER);
    assert_eq!(placed.status, 200, "{placed:?}");
    assert!(
        placed.head.contains("x-mbx-used-weight-1m: 1"),
        "{}",
        placed.head
    );
    assert_eq!(placed.body["status"], "NEW");
    let open = venue.signed(&key, "GET", "/api/v3/openOrders", "");
    assert_eq!(open.body[0]["orderId"], 1);
    let gone = venue.signed(&key, "DELETE", "/api/v3/order", "symbol=BTCUSDT&orderId=1");
    assert_eq!(gone.body["status"], "CANCELED");
    let again = venue.signed(&key, "DELETE", "/api/v3/openOrders", "symbol=BTCUSDT");
    assert_eq!(again.refusal(), (400, -2011));
    let record = venue.record();
    let words: Vec<&str> = record
        .iter()
        .filter_map(|entry| entry["operation"].as_str())
        .collect();
    let expected = [
        "buy 0.5 BTC for USDT at 50000",
        "open orders",
        "cancel order 1",
        "cancel all orders",
    ];
    assert_eq!(words, expected);
    assert_eq!(record[0]["api_key"], key.api_key);
    assert_eq!(record[3]["accepted"], false);
}

#[test]
fn a_wrong_signature_does_nothing() {
    let venue = Venue::start();
    let key = all(&venue);
    let other = all(&venue);
    let params = stamped(WITHDRAWAL, now_ms());
    let good = sign(&key.secret, &params);
    let changed = params.replace("0.5", "5.0");
    for attempt in [
        format!("{params}&signature={}", sign(&other.secret, &params)),
        format!("{changed}&signature={good}"),
        format!("{params}&signature={good}&addressTag=1"),
        format!("signature={good}&{params}"),
        format!("{params}&signature="),
        format!("{params}&signature={good}00"),
    ] {
        let reply = venue
            .send_raw(&key.api_key, "POST", APPLY, &attempt)
            .unwrap();
        assert_eq!(reply.refusal(), (400, -1022), "{attempt}");
    }
    nothing_happened(&venue, 6, -1022);
}

#[test]
fn query_and_body_are_signed_together_without_a_separator() {
    let venue = Venue::start();
    let key = all(&venue);
    let (query, body) = ("coin=BTC&address=a", stamped("amount=0.5", now_ms()));
    let headers = [
        ("x-mbx-apikey", key.api_key.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let target = format!("{APPLY}?{query}");
    let wrong = format!(
        "{body}&signature={}",
        sign(&key.secret, &format!("{query}&{body}"))
    );
    let refused = http(&venue.url, "POST", &target, &headers, &wrong).unwrap();
    assert_eq!(refused.refusal(), (400, -1022));
    let right = format!(
        "{body}&signature={}",
        sign(&key.secret, &format!("{query}{body}"))
    );
    let done = http(&venue.url, "POST", &target, &headers, &right).unwrap();
    assert_eq!(done.status, 200, "{done:?}");
}

#[test]
fn a_clock_that_is_off_does_nothing() {
    let venue = Venue::start();
    let key = all(&venue);
    for at_ms in [now_ms() - 6_000, now_ms() + 10_000] {
        let reply = venue
            .send(&key, "POST", APPLY, &stamped(WITHDRAWAL, at_ms))
            .unwrap();
        assert_eq!(reply.refusal(), (400, -1021));
    }
    nothing_happened(&venue, 2, -1021);
    let wide = stamped(&format!("{WITHDRAWAL}&recvWindow=60000"), now_ms() - 6_000);
    assert_eq!(venue.send(&key, "POST", APPLY, &wide).unwrap().status, 200);
    let wider = stamped(&format!("{WITHDRAWAL}&recvWindow=60001"), now_ms());
    assert_eq!(
        venue.send(&key, "POST", APPLY, &wider).unwrap().refusal(),
        (400, -1131)
    );
}

#[test]
fn a_key_may_only_do_what_it_may() {
    let venue = Venue::start();
    let reader = venue.hmac_key(&["read"], &[]);
    let trader = venue.hmac_key(&["trade"], &[]);
    let attempts = [
        venue.signed(&reader, "POST", "/api/v3/order", ORDER),
        venue.signed(&reader, "POST", APPLY, WITHDRAWAL),
        venue.signed(&trader, "POST", APPLY, WITHDRAWAL),
        venue.signed(&trader, "GET", "/api/v3/account", ""),
    ];
    for reply in attempts {
        assert_eq!(reply.refusal(), (401, -2015));
    }
    nothing_happened(&venue, 4, -2015);
    let restrictions = venue
        .signed(&reader, "GET", "/sapi/v1/account/apiRestrictions", "")
        .body;
    assert_eq!(restrictions["enableReading"], true);
    assert_eq!(restrictions["enableWithdrawals"], false);
    assert_eq!(restrictions["ipRestrict"], false);
}

#[test]
fn a_key_only_works_from_its_addresses() {
    let venue = Venue::start();
    let elsewhere = venue.hmac_key(&["read", "withdraw"], &["127.0.0.2", "10.0.0.1"]);
    let reply = venue.signed(&elsewhere, "POST", APPLY, WITHDRAWAL);
    assert_eq!(reply.refusal(), (401, -2015));
    nothing_happened(&venue, 1, -2015);
    let here = venue.hmac_key(&["withdraw"], &["127.0.0.1"]);
    assert_eq!(venue.signed(&here, "POST", APPLY, WITHDRAWAL).status, 200);
}

#[test]
fn a_key_is_known_until_it_is_deleted() {
    let venue = Venue::start();
    let key = all(&venue);
    assert_eq!(venue.signed(&key, "GET", "/api/v3/account", "").status, 200);
    let path = format!("/keys/{}", key.api_key);
    assert_eq!(venue.site("DELETE", &path, None).status, 200);
    assert_eq!(venue.site("DELETE", &path, None).status, 404);
    assert_eq!(
        venue.signed(&key, "GET", "/api/v3/account", "").refusal(),
        (401, -2015)
    );
    for malformed in ["", "short", &"-".repeat(64), &"a".repeat(65)] {
        let reply = venue.send_raw(
            malformed,
            "GET",
            "/api/v3/account",
            "timestamp=1&signature=00",
        );
        assert_eq!(reply.unwrap().refusal(), (401, -2014), "{malformed}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let venue = Venue::start();
    let key = all(&venue);
    let unsigned = stamped(WITHDRAWAL, now_ms());
    let reply = venue
        .send_raw(&key.api_key, "POST", APPLY, &unsigned)
        .unwrap();
    assert_eq!(reply.refusal(), (400, -1102));
    assert!(reply.body["msg"].as_str().unwrap().contains("'signature'"));
    let no_time = venue.send(&key, "POST", APPLY, WITHDRAWAL).unwrap();
    assert_eq!(no_time.refusal(), (400, -1102));
    let json = [
        ("x-mbx-apikey", key.api_key.as_str()),
        ("content-type", "application/json"),
    ];
    let reply = http(&venue.url, "POST", APPLY, &json, &unsigned).unwrap();
    assert_eq!(reply.refusal(), (400, -1102));
    let twice = venue.signed(&key, "POST", APPLY, &format!("{WITHDRAWAL}&amount=1"));
    assert_eq!(twice.refusal(), (400, -1101));
    let unknown = venue.signed(
        &key,
        "POST",
        "/sapi/v1/asset/transfer",
        "type=MAIN_UMFUTURE",
    );
    assert_eq!(unknown.refusal(), (404, -5000));
}

#[test]
fn more_than_there_is_cannot_be_spent() {
    let venue = Venue::start();
    let key = all(&venue);
    let order = venue.signed(&key, "POST", "/api/v3/order", &ORDER.replace("0.5", "2.1"));
    assert_eq!(order.refusal(), (400, -2010));
    let withdrawal = venue.signed(
        &key,
        "POST",
        APPLY,
        &WITHDRAWAL.replace("0.5", "10.00000001"),
    );
    assert_eq!(withdrawal.refusal(), (400, -4026));
    let test = venue.signed(&key, "POST", "/api/v3/order/test", ORDER);
    assert_eq!((test.status, test.body), (200, json!({})));
    assert_eq!(venue.site("GET", "/orders", None).body, json!([]));
    let record = venue.record();
    let accepted: Vec<&Value> = record.iter().map(|entry| &entry["accepted"]).collect();
    assert_eq!(accepted, [false, false, true]);
}

#[test]
fn secrets_are_shown_once() {
    let venue = Venue::start();
    let key = all(&venue);
    assert_eq!(key.secret.len(), 64);
    let listed = venue.site("GET", "/keys", None).body;
    assert_eq!(listed[0]["api_key"], key.api_key);
    assert!(!listed.to_string().contains(&key.secret));
    let vectors: Value = serde_json::from_str(include_str!("vectors/rsa-openssl.json")).unwrap();
    let pem = &vectors["vectors"][0]["public_key_pem"];
    let rsa =
        json!({ "label": "r", "type": "rsa", "public_key_pem": pem, "permissions": ["read"] });
    let page = venue.site("POST", "/keys", Some(rsa));
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.body.get("secret").is_none());
    for bad in [
        json!({ "label": "r", "type": "rsa", "permissions": [] }),
        json!({ "label": "r", "type": "rsa", "public_key_pem": "x", "permissions": [] }),
        json!({ "label": "r", "type": "hmac", "public_key_pem": pem, "permissions": [] }),
        json!({ "label": "r", "type": "hmac", "permissions": ["everything"] }),
        json!({ "label": "r", "type": "hmac", "permissions": [], "admin": true }),
    ] {
        assert_eq!(venue.site("POST", "/keys", Some(bad)).status, 400);
    }
}

#[test]
fn ordered_faults_strike_and_are_recorded() {
    let venue = Venue::start();
    let key = all(&venue);
    let withdraw = || venue.send(&key, "POST", APPLY, &stamped(WITHDRAWAL, now_ms()));
    venue.fault(json!({ "next": { "status": 503 } }));
    assert_eq!(withdraw().unwrap().refusal(), (503, -1000));
    venue.fault(json!({ "next": { "rate_limit": true } }));
    let limited = withdraw().unwrap();
    assert_eq!(limited.refusal(), (429, -1003));
    assert!(limited.head.contains("retry-after: 1"));
    venue.fault(json!({ "next": { "cut": true } }));
    assert!(withdraw().is_none());
    venue.fault(json!({ "next": { "skew_ms": 20_000 } }));
    assert_eq!(withdraw().unwrap().refusal(), (400, -1021));
    venue.fault(json!({ "next": { "cut": true }, "path": "/api/" }));
    assert_eq!(venue.site("DELETE", "/faults", None).status, 200);
    assert_eq!(venue.site("GET", "/withdrawals", None).body, json!([]));
    venue.fault(json!({ "next": { "cut": true, "after": true } }));
    assert!(withdraw().is_none());
    assert_eq!(
        venue
            .site("GET", "/withdrawals", None)
            .body
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let record = venue.record();
    let ends: Vec<(bool, i64)> = record
        .iter()
        .map(|entry| (entry["accepted"] == true, entry["status"].as_i64().unwrap()))
        .collect();
    assert_eq!(
        ends,
        [
            (false, 503),
            (false, 429),
            (false, 0),
            (false, 400),
            (true, 0)
        ]
    );
    assert_eq!(
        record[4]["operation"],
        "withdraw 0.5 BTC to bc1qexample (network BTC)"
    );
    assert_eq!(record[4]["fault"], r#"{"cut":true,"after":true}"#);
}

#[test]
fn a_delay_delays() {
    let venue = Venue::start();
    venue.fault(json!({ "next": { "delay_ms": 300 } }));
    let before = std::time::Instant::now();
    assert_eq!(
        http(&venue.url, "GET", "/api/v3/ping", &[], "")
            .unwrap()
            .status,
        200
    );
    assert!(before.elapsed().as_millis() >= 300);
}

#[test]
fn the_record_is_also_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let venue = Venue::start_with(&["--dir", folder.path().to_str().unwrap()]);
    let key = all(&venue);
    venue.signed(&key, "POST", APPLY, WITHDRAWAL);
    venue.signed(&key, "GET", "/api/v3/nothing", "");
    let text = std::fs::read_to_string(folder.path().join("record.jsonl")).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines, venue.record());
    assert_eq!(lines.len(), 2);
}

#[test]
fn it_listens_on_this_machine_alone() {
    for option in ["--listen", "--control"] {
        let output = binary()
            .args(["venue", option, "0.0.0.0:0"])
            .output()
            .unwrap();
        assert!(!output.status.success());
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).contains("0.0.0.0:0 is not an address"));
    }
}

#[test]
fn it_ends_when_asked() {
    let mut venue = Venue::start();
    let kill = Command::new("kill")
        .args(["-TERM", &venue.pid().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    assert!(venue.wait().success());
}

#[test]
fn it_ends_with_its_parent() {
    let binary = env!("CARGO_BIN_EXE_touchkeep-practice");
    let mut parent = Command::new("sh")
        .args(["-c", "\"$0\" venue & wait", binary])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(parent.stdout.take().unwrap());
    let mut ready = String::new();
    stdout.read_line(&mut ready).unwrap();
    assert!(ready.contains("\"ready\":true"));
    parent.kill().unwrap();
    parent.wait().unwrap();
    // The venue holds the other end of this pipe: it ends when the venue does.
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}
