//! Binance against its published vectors, against ccxt, and against another reader of forms.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "tests may fail loudly"
)]

use aws_lc_rs::hmac;
use proptest::prelude::*;
use serde_json::Value;
use touchkeep_core::UnixMillis;
use touchkeep_venue::{
    Algorithm, Credential, Decoded, Moment, OperationKind, Outgoing, Private, Request, Side,
    ToSign, Unreadable, Venue, binance::Binance,
};

const FORM: &str = "application/x-www-form-urlencoded";

fn request(method: &str, path: &str, query: &str, body: &str) -> Request {
    Request {
        method: method.into(),
        path: path.into(),
        query: query.into(),
        content_type: (!body.is_empty()).then(|| FORM.into()),
        body: body.into(),
        expires: None,
    }
}

fn private(request: &Request) -> Private {
    match Binance.decode(request).unwrap() {
        Decoded::Private(private) => *private,
        Decoded::Public(_) => panic!("{} is public", request.path),
    }
}

fn kind(method: &str, path: &str) -> OperationKind {
    private(&request(method, path, "", "")).operation().kind
}

fn mac(secret: &str, payload: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::sign(&key, payload).as_ref().to_vec()
}

fn draft(private: &Private, api_key: &str, algorithm: Algorithm, now: u64, window: u32) -> ToSign {
    let credential = Credential {
        key: api_key,
        algorithm,
        passphrase: None,
    };
    let moment = Moment {
        now: UnixMillis(now),
        window_ms: window,
        nonce: None,
        unique: None,
    };
    Binance.draft(private, &credential, &moment).unwrap()
}

fn sent(request: &Request, api_key: &str, secret: &str, now: u64) -> Outgoing {
    let to_sign = draft(&private(request), api_key, Algorithm::HmacSha256, now, 5000);
    let signature = mac(secret, to_sign.payload());
    to_sign.seal(&[signature]).unwrap()
}

fn vectors(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn doc_vector(id: &str) -> Value {
    let all = vectors(include_str!("vectors/venue-doc-vectors.json"));
    let found = all.as_array().unwrap().iter().find(|v| v["id"] == id);
    found.unwrap().clone()
}

#[test]
fn published_vectors_come_out_byte_for_byte() {
    for id in ["binance-rest-hmac-query", "binance-rest-hmac-nonascii"] {
        let vector = doc_vector(id);
        let text = |name: &str| vector[name].as_str().unwrap().to_owned();
        let dummy = text("payload").replace("1499827319559", "1") + "&signature=dummy";
        let out = sent(
            &request("POST", "/api/v3/order", &dummy, ""),
            &text("api_key"),
            &text("key"),
            1_499_827_319_559,
        );
        assert_eq!(
            out.path_and_query,
            format!(
                "/api/v3/order?{}&signature={}",
                text("payload"),
                text("expected")
            )
        );
        assert!(out.body.is_empty());
        assert_eq!(out.headers, [("X-MBX-APIKEY", text("api_key"))]);

        let in_body = sent(
            &request("POST", "/api/v3/order", "", &dummy),
            &text("api_key"),
            &text("key"),
            1_499_827_319_559,
        );
        assert_eq!(in_body.path_and_query, "/api/v3/order");
        assert_eq!(
            String::from_utf8(in_body.body).unwrap(),
            format!("{}&signature={}", text("payload"), text("expected"))
        );
    }
}

#[test]
fn the_published_mixed_vector_comes_out_with_its_parts_in_their_places() {
    let vector = doc_vector("binance-rest-hmac-mixed");
    let query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC";
    let body = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
    assert_eq!(vector["payload"], format!("{query}{body}"));
    let out = sent(
        &request("POST", "/api/v3/order", query, body),
        "k",
        vector["key"].as_str().unwrap(),
        1_499_827_319_559,
    );
    assert_eq!(out.path_and_query, format!("/api/v3/order?{query}"));
    assert_eq!(
        String::from_utf8(out.body).unwrap(),
        format!("{body}&signature={}", vector["expected"].as_str().unwrap())
    );
}

// What a bot that points at us sends is what ccxt made, with a dummy signature.
fn as_bot(result: &Value) -> (Request, String) {
    let url = result["url"].as_str().unwrap();
    let (origin, rest) = url.split_at(url.find(".com").unwrap() + 4);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let dummy = |text: &str| text.split("signature=").next().unwrap().to_owned();
    let end = |text: String| {
        if text.is_empty() {
            text
        } else {
            text + "signature=dummy"
        }
    };
    let body = result["body"].as_str().unwrap_or_default();
    let method = result["method"].as_str().unwrap();
    (
        request(method, path, &end(dummy(query)), &end(dummy(body))),
        origin.to_owned(),
    )
}

#[test]
fn what_ccxt_signs_comes_out_byte_for_byte() {
    let file = vectors(include_str!("vectors/ccxt-signed/binance.json"));
    let mut seen = 0;
    for fixture in file["fixtures"].as_array().unwrap() {
        let result = &fixture["result"];
        let (bot, origin) = as_bot(result);
        let credentials = &fixture["credentials"];
        let out = sent(
            &bot,
            credentials["apiKey"].as_str().unwrap(),
            credentials["secret"].as_str().unwrap(),
            fixture["clock_ms"].as_u64().unwrap(),
        );
        let body = String::from_utf8(out.body).unwrap();
        if body.contains("0xabc") {
            continue; // signed over a raw space: the next test
        }
        assert_eq!(
            format!("{origin}{}", out.path_and_query),
            result["url"].as_str().unwrap()
        );
        assert_eq!(out.origin, origin);
        assert_eq!(body, result["body"].as_str().unwrap_or_default());
        assert_eq!(out.method, result["method"].as_str().unwrap());
        for (name, value) in &out.headers {
            assert_eq!(result["headers"][*name], *value);
        }
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
fn a_raw_space_of_ccxt_is_encoded_before_it_is_signed() {
    let file = vectors(include_str!("vectors/ccxt-signed/binance.json"));
    let fixture = file["fixtures"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["call"]["path"] == "capital/withdraw/apply")
        .unwrap();
    let secret = fixture["credentials"]["secret"].as_str().unwrap();
    let (raw, theirs) = fixture["result"]["body"]
        .as_str()
        .unwrap()
        .split_once("&signature=")
        .unwrap();
    assert!(raw.contains("address=0xabc def"));
    assert_eq!(
        data_encoding::HEXLOWER.encode(&mac(secret, raw.as_bytes())),
        theirs,
        "ccxt signs the raw space"
    );

    let (bot, _) = as_bot(&fixture["result"]);
    let operation = private(&bot).operation().clone();
    assert_eq!(operation.kind, OperationKind::Withdraw);
    assert_eq!(operation.destination.as_deref(), Some("0xabc def"));
    let out = sent(&bot, "test-api-key", secret, 1_700_000_000_000);
    let encoded = raw.replace(' ', "%20");
    let ours = data_encoding::HEXLOWER.encode(&mac(secret, encoded.as_bytes()));
    assert_eq!(
        String::from_utf8(out.body).unwrap(),
        format!("{encoded}&signature={ours}")
    );
}

#[test]
fn signatures_of_keys_are_base64_and_percent_encoded() {
    let order = request("GET", "/api/v3/account", "", "");
    for (algorithm, bytes) in [(Algorithm::RsaPkcs1Sha256, 256), (Algorithm::Ed25519, 64)] {
        let to_sign = draft(&private(&order), "k", algorithm, 7, 5000);
        // python3: urllib.parse.quote(base64.b64encode((b"\xfb\xff\xbf" * 100)[:n]), safe="")
        let signature: Vec<u8> = [0xfb, 0xff, 0xbf].into_iter().cycle().take(bytes).collect();
        assert_eq!(to_sign.payload(), b"recvWindow=5000&timestamp=7");
        let out = to_sign.seal(&[signature]).unwrap();
        let middle = "%2B%2F%2B%2F".repeat(bytes / 3);
        assert_eq!(
            out.path_and_query,
            format!("/api/v3/account?recvWindow=5000&timestamp=7&signature={middle}%2Bw%3D%3D")
        );
    }
}

#[test]
fn a_window_is_kept_when_sane_and_replaced_when_not() {
    for (given, kept) in [
        ("1", "1"),
        ("60000", "60000"),
        ("60001", "5000"),
        ("0", "5000"),
        ("-1", "5000"),
        ("%2B9", "5000"),
        ("9999999999999", "5000"),
        ("5.5", "5000"),
        ("", "5000"),
    ] {
        let read = request(
            "GET",
            "/api/v3/account",
            &format!("recvWindow={given}&timestamp=1"),
            "",
        );
        let to_sign = draft(&private(&read), "k", Algorithm::HmacSha256, 2, 5000);
        assert_eq!(
            String::from_utf8_lossy(to_sign.payload()),
            format!("recvWindow={kept}&timestamp=2"),
            "{given}"
        );
    }
    let read = private(&request("GET", "/api/v3/account", "", ""));
    let to_sign = draft(&read, "k", Algorithm::HmacSha256, 2, 1_000_000);
    assert_eq!(to_sign.payload(), b"recvWindow=60000&timestamp=2");
}

#[test]
fn a_window_can_be_widened_for_a_touch_and_not_beyond_what_binance_takes() {
    for (given, at_least, sent) in [
        (3000, 60_000, 60_000),
        (3000, 1, 3000),
        (3000, 99_999, 60_000),
    ] {
        let read = request(
            "GET",
            "/api/v3/account",
            &format!("recvWindow={given}&timestamp=1"),
            "",
        );
        let waiting = private(&read).with_window_of_at_least(at_least);
        let to_sign = draft(&waiting, "k", Algorithm::HmacSha256, 2, 5000);
        let payload = String::from_utf8_lossy(to_sign.payload()).into_owned();
        assert_eq!(payload, format!("recvWindow={sent}&timestamp=2"));
    }
}

#[test]
fn an_order_is_read_with_exact_amounts() {
    let order = request(
        "POST",
        "/api/v3/order",
        "",
        "symbol=LTCBTC&side=BUY&type=LIMIT&quantity=1.50&price=0.1&newClientOrderId=c1&timestamp=1&signature=x",
    );
    let private = private(&order);
    let operation = private.operation();
    assert_eq!(operation.kind, OperationKind::Trade);
    assert_eq!(operation.side, Some(Side::Buy));
    assert_eq!(operation.amount, "1.5".parse().ok());
    assert_eq!(operation.price, "0.1".parse().ok());
    assert_eq!(operation.client_id.as_deref(), Some("c1"));
    assert_eq!(
        operation.sentence(),
        "Place order buy 1.5 LTCBTC at 0.1 on Binance"
    );
    assert_eq!(operation.parameters.len(), 6, "without time and signature");
    assert_eq!(
        private.judged_body(),
        b"symbol=LTCBTC&side=BUY&type=LIMIT&quantity=1.50&price=0.1&newClientOrderId=c1"
    );
}

#[test]
fn a_price_counts_only_where_it_bounds_the_order() {
    for rest in [
        "type=MARKET&price=1",
        "price=1",
        "type=LIMIT&price=1&pegPriceType=PRIMARY_PEG",
        "type=LIMIT&price=1&priceMatch=OPPONENT",
        "type=STOP_LOSS_LIMIT&price=1",
    ] {
        let body = format!("symbol=A&side=BUY&quantity=1&{rest}");
        let order = private(&request("POST", "/api/v3/order", "", &body));
        assert_eq!(order.operation().price, None, "{rest}");
    }
}

#[test]
fn several_orders_in_one_have_no_single_amount() {
    let body = "batchOrders=[{\"symbol\":\"BTCUSDT\",\"quantity\":\"9\"}]&quantity=1";
    let batch = private(&request("POST", "/fapi/v1/batchOrders", "", body));
    assert_eq!(batch.operation().kind, OperationKind::Trade);
    assert_eq!(batch.operation().amount, None);
    assert_eq!(
        batch.operation().parameters[0].value,
        "[{\"symbol\":\"BTCUSDT\",\"quantity\":\"9\"}]"
    );
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let order = "/api/v3/order";
    let withdraw = "/sapi/v1/capital/withdraw/apply";
    let twice = |name: &str| Unreadable::Twice(name.into());
    let number = |name: &str| Unreadable::Number(name.into());
    for (method, path, query, body, why) in [
        (
            "POST",
            order,
            "quantity=1&quantity=2",
            "",
            twice("quantity"),
        ),
        ("POST", order, "quantity=1", "quantity=1", twice("quantity")),
        ("POST", order, "quantity=1", "Quantity=9", twice("Quantity")),
        (
            "POST",
            order,
            "timestamp=1",
            "timestamp=1",
            twice("timestamp"),
        ),
        (
            "POST",
            order,
            "signature=1&signature=2",
            "",
            twice("signature"),
        ),
        (
            "POST",
            order,
            "quantit%79=1",
            "quantity=2",
            twice("quantity"),
        ),
        (
            "POST",
            order,
            "Quantity=1",
            "",
            Unreadable::NameCase("Quantity".into()),
        ),
        (
            "POST",
            order,
            "Timestamp=1",
            "",
            Unreadable::NameCase("Timestamp".into()),
        ),
        ("POST", order, "quantity=1e3", "", number("quantity")),
        ("POST", order, "quantity=-0", "", number("quantity")),
        ("POST", order, "quantity=-1", "", number("quantity")),
        ("POST", order, "quantity=", "", number("quantity")),
        ("POST", order, "quantity=%201", "", number("quantity")),
        ("POST", order, "quantity=%D9%A3", "", number("quantity")),
        (
            "POST",
            order,
            "side=buy",
            "",
            Unreadable::Value("side".into()),
        ),
        (
            "POST",
            order,
            "symbol=",
            "",
            Unreadable::Value("symbol".into()),
        ),
        (
            "POST",
            order,
            "quantity=1&quoteOrderQty=1",
            "",
            Unreadable::TwoAmounts,
        ),
        (
            "POST",
            withdraw,
            "",
            "address=",
            Unreadable::Value("address".into()),
        ),
        ("POST", withdraw, "", "address=a%00b", Unreadable::Control),
        (
            "POST",
            withdraw,
            "",
            "address=a%0d%0aX-Evil:1",
            Unreadable::Control,
        ),
        ("GET", "/api/v3/account", "", "a=1", Unreadable::BodyOfGet),
        ("get", "/api/v3/account", "", "", Unreadable::Method),
        ("PATCH", order, "", "", Unreadable::Method),
        ("GET", "/api//v3/account", "", "", Unreadable::Path),
        ("GET", "/api/v3/../../sapi/v1/x", "", "", Unreadable::Path),
        ("GET", "/api/v3/%61ccount", "", "", Unreadable::Path),
        ("GET", "/api/v3/account/", "", "", Unreadable::Path),
        ("GET", "/api/v3/account;x", "", "", Unreadable::Path),
        ("GET", "/api/v3/account ", "", "", Unreadable::Path),
        ("GET", "/api/v3/account?x", "", "", Unreadable::Path),
        (
            "GET",
            "http://evil/api/v3/account",
            "",
            "",
            Unreadable::Path,
        ),
        ("GET", "", "", "", Unreadable::Path),
        ("GET", "/api/v3/Account", "", "", Unreadable::PathCase),
        (
            "POST",
            "/SAPI/v1/capital/withdraw/apply",
            "",
            "",
            Unreadable::PathCase,
        ),
        ("GET", "/wapi/v3/account", "", "", Unreadable::NoOrigin),
        ("GET", "/apix", "", "", Unreadable::NoOrigin),
    ] {
        assert_eq!(
            Binance.decode(&request(method, path, query, body)),
            Err(why),
            "{method} {path} {query} {body}"
        );
    }
}

#[test]
fn a_body_must_say_that_it_is_a_form() {
    for (given, fine) in [
        (Some(FORM), true),
        (
            Some("application/x-www-form-urlencoded; charset=UTF-8"),
            true,
        ),
        (
            Some("application/x-www-form-urlencoded; charset=utf-16"),
            false,
        ),
        (Some("application/json"), false),
        (Some("multipart/form-data; boundary=x"), false),
        (None, false),
    ] {
        let mut order = request("POST", "/api/v3/order", "", "symbol=A");
        order.content_type = given.map(Into::into);
        assert_eq!(Binance.decode(&order).is_ok(), fine, "{given:?}");
    }
}

#[test]
fn public_market_data_goes_out_without_any_authentication() {
    let ticker = request(
        "GET",
        "/api/v3/ticker/price",
        "symbol=BTCUSDT&timestamp=1&signature=x&recvWindow=1",
        "",
    );
    let Decoded::Public(out) = Binance.decode(&ticker).unwrap() else {
        panic!("not public");
    };
    assert_eq!(out.path_and_query, "/api/v3/ticker/price?symbol=BTCUSDT");
    assert!(out.headers.is_empty());
    assert_eq!(out.origin, "https://api.binance.com");
}

#[test]
fn what_is_not_in_the_table_is_unknown() {
    for (method, path) in [
        ("POST", "/sapi/v9/capital/withdraw/apply"),
        ("GET", "/sapi/v1/not/there"),
        ("PUT", "/api/v3/account"),
        ("DELETE", "/api/v3/ticker/price"),
    ] {
        assert_eq!(
            kind(method, path),
            OperationKind::Unknown,
            "{method} {path}"
        );
    }
}

#[test]
fn endpoints_that_others_call_harmless_are_dangerous_here() {
    for (method, path, at_least) in [
        (
            "POST",
            "/sapi/v1/account/enableFastWithdrawSwitch",
            OperationKind::KeyAdmin,
        ),
        ("POST", "/sapi/v1/margin/apiKey", OperationKind::KeyAdmin),
        ("PUT", "/sapi/v1/margin/apiKey/ip", OperationKind::KeyAdmin),
        (
            "POST",
            "/sapi/v1/sub-account/subAccountApi",
            OperationKind::KeyAdmin,
        ),
        (
            "DELETE",
            "/sapi/v1/sub-account/subAccountApi",
            OperationKind::KeyAdmin,
        ),
        (
            "POST",
            "/sapi/v1/sub-account/subAccountApiPermission",
            OperationKind::KeyAdmin,
        ),
        (
            "POST",
            "/sapi/v1/localentity/withdraw/apply",
            OperationKind::Withdraw,
        ),
        ("POST", "/sapi/v2/fiat/withdraw", OperationKind::Withdraw),
        (
            "POST",
            "/sapi/v1/giftcard/createCode",
            OperationKind::Withdraw,
        ),
        (
            "POST",
            "/sapi/v1/sub-account/universalTransfer",
            OperationKind::Transfer,
        ),
        (
            "POST",
            "/sapi/v1/convert/acceptQuote",
            OperationKind::Transfer,
        ),
        ("POST", "/api/v3/order/test", OperationKind::Trade),
    ] {
        assert_eq!(kind(method, path), at_least, "{method} {path}");
    }
}

#[test]
fn every_sensitive_endpoint_of_ccxt_has_at_least_its_dangerous_kind() {
    let file = vectors(include_str!("vectors/sensitive_endpoints_ccxt.json"));
    let mut seen = 0;
    for (class, endpoints) in file["binance"].as_object().unwrap() {
        for endpoint in endpoints.as_array().unwrap() {
            let (method, rest) = endpoint.as_str().unwrap().split_once(' ').unwrap();
            let (section, name) = rest.split_once(':').unwrap();
            let base = match section {
                "private" => "/api/v3",
                "sapi" => "/sapi/v1",
                "sapiV2" => "/sapi/v2",
                "fapiPrivate" => "/fapi/v1",
                "dapiPrivate" => "/dapi/v1",
                "eapiPrivate" => "/eapi/v1",
                "papi" => "/papi/v1",
                other => panic!("{other}"),
            };
            let least = match class.as_str() {
                _ if method == "GET" => OperationKind::Read, // shows keys and timers, changes none
                "withdraw" => OperationKind::Withdraw,
                "transfer" | "sub_account" => OperationKind::Transfer,
                "key_management" => OperationKind::KeyAdmin,
                "leverage_margin" => OperationKind::Leverage,
                "cancel_all" | "kill_switch" => OperationKind::Cancel,
                "order_place" => OperationKind::Trade,
                other => panic!("{other}"),
            };
            let is = kind(method, &format!("{base}/{name}"));
            assert!(is >= least, "{endpoint} is {is}, at least {least}");
            assert_ne!(is, OperationKind::Unknown, "{endpoint}");
            seen += 1;
        }
    }
    assert!(seen > 140, "{seen}");
}

fn form_text() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("symbol".to_owned()),
        Just("quantity".to_owned()),
        Just("address".to_owned()),
        Just("timestamp".to_owned()),
        Just("recvWindow".to_owned()),
        Just("signature".to_owned()),
        "[a-zA-Z0-9_.-]{1,8}",
    ];
    let value = prop_oneof![
        "[0-9]{1,6}(\\.[0-9]{1,6})?",
        "[ -~]{0,12}",
        "\\PC{0,6}",
        "(%[0-9a-fA-F]{2}){1,4}"
    ];
    prop::collection::vec((name, value), 0..6).prop_map(|pairs| {
        let pairs: Vec<_> = pairs.into_iter().map(|(n, v)| format!("{n}={v}")).collect();
        pairs.join("&")
    })
}

fn read_by_another(bytes: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(bytes)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

proptest! {
    #[test]
    fn decode_never_panics(
        method in prop_oneof![Just("GET".to_owned()), Just("POST".to_owned()), "\\PC{0,6}"],
        path in prop_oneof![Just("/api/v3/order".to_owned()), "/(api|sapi)/v[0-9]/[a-zA-Z/]{0,12}", "\\PC{0,20}"],
        query in prop::collection::vec(any::<u8>(), 0..60),
        body in prop::collection::vec(any::<u8>(), 0..60),
        content_type in prop::option::of("\\PC{0,40}"),
    ) {
        let _ = Binance.decode(&Request { method, path, query, content_type, body, expires: None });
    }

    #[test]
    fn what_is_sent_reads_as_what_was_judged(
        path in prop_oneof![
            Just("/api/v3/order"), Just("/sapi/v1/capital/withdraw/apply"), Just("/sapi/v1/x"),
        ],
        query in form_text(),
        body in form_text(),
    ) {
        let bot = request("POST", path, &query, &body);
        if let Ok(Decoded::Private(private)) = Binance.decode(&bot) {
            let to_sign = draft(&private, "k", Algorithm::HmacSha256, 42, 5000);
            let payload = to_sign.payload().to_vec();
            let out = to_sign.seal(&[[0xfb; 32]]).unwrap();

            let (sent_path, sent_query) = out.path_and_query.split_once('?').unwrap_or((&out.path_and_query, ""));
            prop_assert_eq!(sent_path, path);
            let signed_and_more = [sent_query.as_bytes(), &out.body].concat();
            prop_assert!(signed_and_more.starts_with(&payload), "the signed bytes are the sent bytes");
            let signature = format!("signature={}", "fb".repeat(32));
            prop_assert!(signed_and_more.ends_with(signature.as_bytes()));

            let mut read = read_by_another(sent_query.as_bytes());
            read.extend(read_by_another(&out.body));
            prop_assert_eq!(read.pop(), Some(("signature".to_owned(), "fb".repeat(32))));
            prop_assert_eq!(read.iter().filter(|(n, v)| n == "timestamp" && v == "42").count(), 1);
            read.retain(|(name, _)| name != "timestamp" && name != "recvWindow");
            let judged: Vec<_> = private.operation().parameters.iter()
                .map(|p| (p.name.clone(), p.value.clone())).collect();
            prop_assert_eq!(read, judged);

            let mut judged_bytes = read_by_another(&private.judged_query());
            judged_bytes.extend(read_by_another(&private.judged_body()));
            let judged: Vec<_> = private.operation().parameters.iter()
                .map(|p| (p.name.clone(), p.value.clone())).collect();
            prop_assert_eq!(judged_bytes, judged);
        }
    }
}

// A purchase of one dollar by its words; a stop that closes the whole position at the venue, whose futures have no
// `quoteOrderQty` (ccxt 4.5.90, `create_order_request`, never sends it there).
#[test]
fn a_quote_amount_that_futures_do_not_have_bounds_no_futures_order() {
    for path in [
        "/fapi/v1/order",
        "/papi/v1/um/order",
        "/dapi/v1/order",
        "/papi/v1/cm/order",
        "/eapi/v1/order",
        "/api/v3/sor/order",
    ] {
        let body = "symbol=BTCUSDT&side=BUY&type=STOP_MARKET&stopPrice=1&closePosition=true&quoteOrderQty=1";
        let order = private(&request("POST", path, "", body));
        assert_eq!(order.operation().quote_amount, None, "{path}");
    }
}

// `quantity` counts contracts there, of 10 or 100 dollars each, or of 1000 coins: times the price it is no sum of money.
#[test]
fn contracts_times_price_are_not_taken_for_money() {
    for path in ["/dapi/v1/order", "/papi/v1/cm/order", "/eapi/v1/order"] {
        let body = "symbol=DOGEUSD_PERP&side=BUY&type=LIMIT&quantity=50&price=0.1";
        let order = private(&request("POST", path, "", body));
        assert_eq!(order.operation().amount, "50".parse().ok(), "{path}");
        assert_eq!(order.operation().price, None, "{path}");
    }
}

// A parameter that the endpoint does not read says nothing about what it does.
#[test]
fn an_asset_that_the_endpoint_does_not_read_is_not_shown_as_what_moves() {
    for (path, real, asset) in [
        (
            "/sapi/v1/loan/borrow",
            "loanCoin=BTC&loanAmount=9",
            Some("BTC"),
        ),
        (
            "/sapi/v1/simple-earn/flexible/redeem",
            "productId=BTC001",
            None,
        ),
        (
            "/sapi/v1/giftcard/buyCode",
            "baseToken=BTC&faceToken=BTC&baseTokenAmount=9",
            Some("BTC"),
        ),
        (
            "/sapi/v1/bswap/swap",
            "quoteAsset=BTC&baseAsset=ETH&quoteQty=9",
            None,
        ),
        (
            "/fapi/v1/batchOrders",
            "batchOrders=%5B%5D&symbol=BTCUSDT&quantity=1",
            None,
        ),
    ] {
        let body = format!("{real}&asset=USDT&token=USDT&amount=1");
        let decoy = private(&request("POST", path, "", &body));
        let operation = decoy.operation();
        let amount = asset.and_then(|_| "9".parse().ok());
        assert_eq!(operation.asset.as_deref(), asset, "{path}");
        assert_eq!(
            (&operation.amount, &operation.symbol),
            (&amount, &None),
            "{path}"
        );
    }
}

#[test]
fn a_name_in_small_letters_or_with_blanks_passes_no_deny_list() {
    for (path, name, value) in [
        ("/fapi/v1/order", "symbol", "lunausdt"),
        ("/api/v3/order", "symbol", "LUNAUSDT%20"),
        ("/sapi/v1/capital/withdraw/apply", "coin", "btc"),
        ("/sapi/v1/capital/withdraw/apply", "coin", "BTC%C2%A0"),
    ] {
        let body = format!("{name}={value}");
        assert_eq!(
            Binance.decode(&request("POST", path, "", &body)),
            Err(Unreadable::Value(name.into())),
            "{body}"
        );
    }
    let chinese = private(&request("POST", "/api/v3/order", "", "symbol=币安人生USDT"));
    assert_eq!(chinese.operation().symbol.as_deref(), Some("币安人生USDT"));
}

// Servers of the Spring kind read `address[]` where `address` is not there.
#[test]
fn a_parameter_in_array_form_is_not_overlooked() {
    for name in [
        "address[]",
        "address[0]",
        "Address[]",
        "amount.value",
        "timestamp[]",
    ] {
        let body = format!("coin=BTC&{name}=1");
        let path = "/sapi/v1/capital/withdraw/apply";
        assert_eq!(
            Binance.decode(&request("POST", path, "", &body)),
            Err(Unreadable::NameCase(name.into())),
        );
    }
}
