//! What venues answer, as they quote it themselves, and whether ccxt takes it for a success as we do.
//!
//! `TOUCHKEEP_PYTHON` names a Python with `tests/requirements.txt`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::collections::BTreeSet;

use touchkeep_venue::{Meaning, answered, venues};

#[path = "common/raised.rs"]
mod raised;

// Venue, status and body of what was done.
const DONE: &[(&str, u16, &str)] = &[
    (
        "backpack",
        200,
        r#"{"id":"11","status":"New","side":"Bid"}"#,
    ),
    (
        "binance",
        200,
        r#"{"symbol":"BTCUSDT","orderId":28,"status":"NEW","transactTime":1507725176595}"#,
    ),
    ("binance", 200, r#"{"code":200,"msg":"success"}"#),
    (
        "binance",
        200,
        r#"{"id":"7213fea8e94b4a5593d507237e5a555b"}"#,
    ),
    (
        "bitfinex",
        200,
        r#"[1567590617.442,"on-req",null,null,[[30630788061]],null,"SUCCESS","Submitting 1 orders."]"#,
    ),
    (
        "bitget",
        200,
        r#"{"code":"00000","msg":"success","requestTime":1695808949356,"data":{"orderId":"121"}}"#,
    ),
    (
        "bitstamp",
        200,
        r#"{"id":"1234","datetime":"2024-01-01","type":"0","price":"1","amount":"1"}"#,
    ),
    (
        "bybit",
        200,
        r#"{"retCode":0,"retMsg":"OK","result":{"orderId":"1321003749386327552"},"retExtInfo":{},"time":1672211918471}"#,
    ),
    (
        "bybit",
        200,
        r#"{"retCode":0,"retMsg":"OK","result":{"list":[{"orderId":"1"}]},"retExtInfo":{"list":[{"code":0,"msg":"OK"}]},"time":1672211918471}"#,
    ),
    (
        "coinbase",
        200,
        r#"{"success":true,"success_response":{"order_id":"11111-00000-000000","side":"BUY"},"order_configuration":{}}"#,
    ),
    (
        "coinbaseexchange",
        200,
        r#"{"id":"d0c5340b","price":"0.1","status":"pending"}"#,
    ),
    (
        "cryptocom",
        200,
        r#"{"id":11,"method":"private/create-order","code":0,"result":{"order_id":"18342311"}}"#,
    ),
    (
        "deribit",
        200,
        r#"{"jsonrpc":"2.0","id":5275,"result":{"order":{"order_id":"ETH-349249","order_state":"open"}}}"#,
    ),
    (
        "gate",
        201,
        r#"{"id":"12332324","text":"t-123456","status":"open","side":"buy"}"#,
    ),
    (
        "gemini",
        200,
        r#"{"order_id":"106817811","is_live":true,"is_cancelled":false}"#,
    ),
    ("htx", 200, r#"{"status":"ok","data":"356501383558845"}"#),
    (
        "htx",
        200,
        r#"{"code":200,"data":[{"id":1}],"message":"success"}"#,
    ),
    (
        "hyperliquid",
        200,
        r#"{"status":"ok","response":{"type":"order","data":{"statuses":[{"resting":{"oid":77738308}}]}}}"#,
    ),
    (
        "hyperliquid",
        200,
        r#"{"status":"ok","response":{"type":"default"}}"#,
    ),
    (
        "kraken",
        200,
        r#"{"error":[],"result":{"descr":{"order":"buy 1.25 XBTUSD @ limit 27500.0"},"txid":["OU22CG-KLAF2-FWUDD7"]}}"#,
    ),
    (
        "krakenfutures",
        200,
        r#"{"result":"success","sendStatus":{"order_id":"179f9af8","status":"placed"},"serverTime":"2019-09-05T16:33:50.734Z"}"#,
    ),
    (
        "kucoin",
        200,
        r#"{"code":"200000","data":{"orderId":"670fd33bf9406e0007ab3945"}}"#,
    ),
    (
        "kucoinfutures",
        200,
        r#"{"code":"200000","data":{"orderId":"234125150956625920"}}"#,
    ),
    (
        "mexc",
        200,
        r#"{"symbol":"MXUSDT","orderId":"06a480e69e604477bfb48dddd5f0b750","price":"0.1"}"#,
    ),
    (
        "mexc",
        200,
        r#"{"success":true,"code":0,"data":1634095541710}"#,
    ),
    (
        "okx",
        200,
        r#"{"code":"0","msg":"","data":[{"ordId":"312269865356374016","sCode":"0","sMsg":""}]}"#,
    ),
    (
        "upbit",
        201,
        r#"{"uuid":"cdd92199","side":"bid","state":"wait"}"#,
    ),
];

// Venue, status, body of what was refused, and whether the number was too low.
const REFUSED: &[(&str, u16, &str, bool)] = &[
    (
        "backpack",
        400,
        r#"{"code":"INVALID_ORDER","message":"Invalid order"}"#,
        false,
    ),
    (
        "binance",
        400,
        r#"{"code":-2010,"msg":"Account has insufficient balance for requested action."}"#,
        false,
    ),
    (
        "binance",
        200,
        r#"{"msg":"The coin does not exist.","success":false}"#,
        false,
    ),
    (
        "binance",
        200,
        r#"[{"code":-2011,"msg":"Unknown order sent."}]"#,
        false,
    ),
    ("bitfinex", 500, r#"["error",10114,"nonce: small"]"#, true),
    (
        "bitfinex",
        500,
        r#"["error",10001,"Invalid order: not enough exchange balance"]"#,
        false,
    ),
    (
        "bitget",
        200,
        r#"{"code":"43012","msg":"Insufficient balance","requestTime":1595698564931,"data":null}"#,
        false,
    ),
    (
        "bitget",
        400,
        r#"{"code":"40017","msg":"Order id must not be blank","requestTime":1595702477835,"data":null}"#,
        false,
    ),
    (
        "bitstamp",
        200,
        r#"{"status":"error","reason":{"__all__":["Minimum order size is 5.0 EUR."]}}"#,
        false,
    ),
    (
        "bitstamp",
        403,
        r#"{"status":"error","reason":"Invalid nonce","code":"API0004"}"#,
        true,
    ),
    (
        "bybit",
        200,
        r#"{"retCode":170131,"retMsg":"Balance insufficient.","result":{},"retExtInfo":{},"time":1}"#,
        false,
    ),
    (
        "coinbase",
        200,
        r#"{"success":false,"error_response":{"error":"INSUFFICIENT_FUND","message":"Insufficient balance in source account","preview_failure_reason":"PREVIEW_INSUFFICIENT_FUND"}}"#,
        false,
    ),
    (
        "coinbase",
        401,
        r#"{"errors":[{"id":"authentication_error","message":"request timestamp expired"}]}"#,
        false,
    ),
    (
        "coinbaseexchange",
        400,
        r#"{"message":"Insufficient funds"}"#,
        false,
    ),
    (
        "cryptocom",
        200,
        r#"{"id":11,"method":"private/create-order","code":306,"message":"INSUFFICIENT_AVAILABLE_BALANCE"}"#,
        false,
    ),
    (
        "deribit",
        400,
        r#"{"jsonrpc":"2.0","error":{"message":"not_enough_funds","code":10009},"testnet":false}"#,
        false,
    ),
    (
        "gate",
        400,
        r#"{"label":"BALANCE_NOT_ENOUGH","message":"Not enough balance"}"#,
        false,
    ),
    (
        "gate",
        200,
        r#"{"user_id":1,"id":"id","succeeded":false,"message":"INVALID_PROTOCOL","label":"INVALID_PROTOCOL"}"#,
        false,
    ),
    (
        "gemini",
        400,
        r#"{"result":"error","reason":"InvalidNonce","message":"Nonce '1234' has not increased since your last call to the Gemini API."}"#,
        true,
    ),
    (
        "htx",
        200,
        r#"{"status":"error","err-code":"order-limitorder-amount-min-error","err-msg":"limit order amount error, min: `0.001`","data":null}"#,
        false,
    ),
    (
        "htx",
        200,
        r#"{"code":1003,"message":"invalid signature"}"#,
        false,
    ),
    (
        "hyperliquid",
        200,
        r#"{"status":"err","response":"User or API Wallet 0xb8a6 does not exist."}"#,
        false,
    ),
    (
        "hyperliquid",
        200,
        r#"{"status":"ok","response":{"type":"order","data":{"statuses":[{"error":"Insufficient margin to place order. asset=4"}]}}}"#,
        false,
    ),
    ("kraken", 200, r#"{"error":["EAPI:Invalid nonce"]}"#, true),
    (
        "kraken",
        200,
        r#"{"error":["EOrder:Insufficient funds"]}"#,
        false,
    ),
    (
        "krakenfutures",
        200,
        r#"{"result":"error","error":"nonceBelowThreshold","serverTime":"2016-02-25T09:45:53.818Z"}"#,
        true,
    ),
    (
        "krakenfutures",
        200,
        r#"{"result":"error","error":"insufficientAvailableFunds","serverTime":"2016-02-25T09:45:53.818Z"}"#,
        false,
    ),
    (
        "kucoin",
        200,
        r#"{"code":"400100","msg":"validation.createOrder.clientOidIsRequired"}"#,
        false,
    ),
    (
        "kucoinfutures",
        200,
        r#"{"code":"300003","msg":"Balance insufficient."}"#,
        false,
    ),
    (
        "mexc",
        400,
        r#"{"code":30004,"msg":"Insufficient position","_extend":null}"#,
        false,
    ),
    (
        "mexc",
        200,
        r#"{"success":false,"code":2005,"message":"Balance insufficient"}"#,
        false,
    ),
    (
        "okx",
        200,
        r#"{"code":"1","data":[{"clOrdId":"","ordId":"","sCode":"51008","sMsg":"Order placement failed due to insufficient balance. ","tag":""}],"msg":""}"#,
        false,
    ),
    (
        "okx",
        200,
        r#"{"code":"58001","data":[],"msg":"Incorrect trade password"}"#,
        false,
    ),
    (
        "upbit",
        400,
        r#"{"error":{"message":"not enough","name":"insufficient_funds_bid"}}"#,
        false,
    ),
];

fn asked(cases: &[(&str, u16, &str)]) -> Vec<(Vec<String>, String)> {
    let cases = cases.iter().map(|(venue, status, body)| {
        let url = format!("http://127.0.0.1:9/{venue}/order");
        (*venue, *status, (*body).to_owned(), url)
    });
    raised::raised(&cases.collect::<Vec<_>>())
}

#[test]
fn what_was_done_is_done_for_ccxt_too() {
    for ((venue, status, body), (raised, message)) in DONE.iter().zip(asked(DONE)) {
        let said = answered(venue, *status, Some(body.as_bytes()));
        assert_eq!(said.meaning, Meaning::Done, "{venue} {body}");
        assert_eq!((said.reason, said.nonce), (None, false), "{venue} {body}");
        assert!(raised.is_empty(), "{venue} {body}: {raised:?} {message}");
    }
}

#[test]
fn what_was_refused_is_an_error_for_ccxt_too() {
    let cases: Vec<_> = REFUSED.iter().map(|(v, s, b, _)| (*v, *s, *b)).collect();
    for ((venue, status, body, nonce), (raised, _)) in REFUSED.iter().zip(asked(&cases)) {
        let said = answered(venue, *status, Some(body.as_bytes()));
        assert_eq!(said.meaning, Meaning::Refused, "{venue} {body}");
        assert!(
            said.reason.is_some_and(|text| text.len() > 3),
            "{venue} {body}"
        );
        assert_eq!(said.nonce, *nonce, "{venue} {body}");
        assert!(!raised.is_empty(), "{venue} {body}");
        let by_ccxt = raised.iter().any(|class| class == "InvalidNonce");
        assert!(by_ccxt || !nonce, "{venue} {body}: {raised:?}");
    }
}

// In what a venue's answer says a code of its own, or words: venue, status, and the answer around them.
const AROUND: &[(&str, u16, &str)] = &[
    ("binance", 400, r#"{"code":CODE,"msg":"refused"}"#),
    ("bitfinex", 500, r#"["error",CODE,"refused"]"#),
    ("bitget", 400, r#"{"code":"CODE","msg":"CODE"}"#),
    ("bitstamp", 403, r#"{"status":"error","reason":"CODE"}"#),
    (
        "bybit",
        200,
        r#"{"retCode":CODE,"retMsg":"refused","result":{}}"#,
    ),
    (
        "coinbase",
        401,
        r#"{"errors":[{"id":"authentication_error","message":"CODE"}]}"#,
    ),
    (
        "cryptocom",
        400,
        r#"{"id":1,"method":"private/x","code":CODE,"message":"refused"}"#,
    ),
    (
        "gemini",
        400,
        r#"{"result":"error","reason":"CODE","message":"Nonce '1234' has not increased since your last call to the Gemini API."}"#,
    ),
    ("kraken", 200, r#"{"error":["EAPICODE"]}"#),
    ("krakenfutures", 200, r#"{"result":"error","error":"CODE"}"#),
    ("kucoin", 400, r#"{"code":"CODE","msg":"refused"}"#),
    ("kucoinfutures", 400, r#"{"code":"CODE","msg":"refused"}"#),
    ("mexc", 400, r#"{"code":CODE,"msg":"refused"}"#),
    ("okx", 401, r#"{"code":"CODE","msg":"refused","data":[]}"#),
    ("revolutx", 400, r#"{"message":"CODE"}"#),
];

// What is said over sockets, where no answer is read: Bitget's and OKX's logins. And a window that was longer than may be,
// which no clock mends.
const ELSEWHERE: &[(&str, &str)] = &[("bitget", "30005"), ("okx", "60006"), ("mexc", "700005")];

#[test]
fn what_ccxt_knows_of_wrong_numbers_and_times_is_known_here() {
    let ours: Vec<_> = venues().iter().map(|venue| venue.id).collect();
    // ccxt has no Robinhood.
    let ours: Vec<_> = ours.into_iter().filter(|id| *id != "robinhood").collect();
    let mut cases = Vec::new();
    for (venue, codes) in ours.iter().zip(raised::nonces(&ours)) {
        for code in codes {
            if ELSEWHERE.contains(&(venue, &code)) {
                continue;
            }
            let around = AROUND.iter().find(|(id, ..)| id == venue);
            let (_, status, around) = around.unwrap_or_else(|| panic!("{venue}: {code}"));
            let code = code.strip_prefix("EAPI").unwrap_or(&code);
            let url = format!("http://127.0.0.1:9/{venue}/order");
            cases.push((*venue, *status, around.replace("CODE", code), url));
        }
    }
    assert!(cases.len() >= 20, "{cases:?}");
    for ((venue, status, body, _), (raised, _)) in cases.iter().zip(raised::raised(&cases)) {
        let by_ccxt = raised.iter().any(|class| class == "InvalidNonce");
        // Of Coinbase's the id beside the words is looked at first.
        let expected = by_ccxt || (*venue == "coinbase" && !raised.is_empty());
        assert!(expected, "{venue} {body}: {raised:?}");
        let said = answered(venue, *status, Some(body.as_bytes()));
        assert!(said.nonce != said.clock, "{venue} {body}: {said:?}");
        // A number of our own is what only some of them are sent.
        let counts = ["bitfinex", "bitstamp", "gemini", "kraken", "krakenfutures"];
        assert_eq!(said.nonce, counts.contains(venue), "{venue} {body}");
    }
}

// What ccxt takes for something else, or for nothing, as those quote it whom it was said to (`data/answers.toml`).
#[test]
fn a_time_that_a_venue_refuses_in_words_is_not_a_number_of_somebody_elses() {
    for (venue, status, body) in [
        (
            "coinbaseexchange",
            400,
            r#"{"message":"request timestamp expired"}"#,
        ),
        (
            "gate",
            403,
            r#"{"message":"gap between request Timestamp and server time exceeds 60","label":"REQUEST_EXPIRED"}"#,
        ),
        (
            "gemini",
            400,
            r#"{"result":"error","reason":"InvalidNonce","message":"Nonce '1695066299324' is not within 30 seconds of server time '1695066301''"}"#,
        ),
        (
            "htx",
            200,
            r#"{"status":"error","err-code":"api-signature-not-valid","err-msg":"Signature not valid: Invalid submission time or incorrect time format [无效的提交时间，或时间格式错误]","data":null}"#,
        ),
    ] {
        let said = answered(venue, status, Some(body.as_bytes()));
        let read = (said.meaning, said.clock, said.nonce);
        assert_eq!(read, (Meaning::Refused, true, false), "{venue} {body}");
    }
    let taken = r#"{"status":"err","response":"Invalid nonce: duplicate nonce 1741107452532"}"#;
    let said = answered("hyperliquid", 200, Some(taken.as_bytes()));
    assert!(said.nonce && !said.clock, "{said:?}");
}

// Those that refuse with their status alone are the only ones without examples.
#[test]
fn every_venue_is_among_the_examples() {
    let shown: BTreeSet<&str> = DONE
        .iter()
        .map(|(venue, ..)| *venue)
        .filter(|venue| REFUSED.iter().any(|(other, ..)| other == venue))
        .collect();
    let all = venues();
    let missing: Vec<&str> = all
        .iter()
        .map(|venue| venue.id)
        .filter(|venue| !shown.contains(venue))
        .collect();
    assert_eq!(missing, ["revolutx", "robinhood"]);
}
