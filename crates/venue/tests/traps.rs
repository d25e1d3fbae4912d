//! Requests that could be read in two ways, or that look milder than they are, at every venue that has such.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use common::{at, moment, private, request};
use proptest::prelude::*;
use touchkeep_venue::{
    Algorithm, CannotSign, Credential, Decoded, Operation, OperationKind, Request, Side,
    Unreadable, venues,
};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn operation(venue: &str, request: &Request) -> Operation {
    private(at(venue), request).operation().clone()
}

fn refused(venue: &str, request: &Request) -> Unreadable {
    match at(venue).decode(request) {
        Err(why) => why,
        Ok(read) => panic!("{venue} reads {request:?} as {read:?}"),
    }
}

fn post(path: &str, body: &str) -> Request {
    request("POST", path, "", body, JSON)
}

fn form(path: &str, body: &str) -> Request {
    request("POST", path, "", body, FORM)
}

fn get(path: &str, query: &str) -> Request {
    request("GET", path, query, "", "")
}

#[test]
fn a_get_can_withdraw() {
    let withdraw = get(
        "/api/v2/private/withdraw",
        "currency=BTC&address=bc1q&amount=0.5",
    );
    let operation = operation("deribit", &withdraw);
    assert_eq!(operation.kind, OperationKind::Withdraw);
    assert_eq!(operation.sentence(), "Withdraw 0.5 BTC on Deribit to bc1q");
    let admin = get("/api/v2/private/reset_api_key", "id=3");
    assert_eq!(
        self::operation("deribit", &admin).kind,
        OperationKind::KeyAdmin
    );
}

#[test]
fn a_post_can_be_a_read() {
    for (venue, request) in [
        ("kraken", form("/0/private/Balance", "nonce=1")),
        ("bitfinex", post("/v2/auth/r/wallets", "{}")),
        ("gemini", post("/v1/balances", "{}")),
        ("bitstamp", form("/api/v2/account_balances/", "foo=bar")),
        (
            "cryptocom",
            post("/exchange/v1/private/user-balance", "{\"params\":{}}"),
        ),
    ] {
        assert_eq!(
            operation(venue, &request).kind,
            OperationKind::Read,
            "{venue}"
        );
    }
}

#[test]
fn a_body_cannot_name_another_endpoint_than_the_path() {
    let path = "/exchange/v1/private/user-balance";
    let other = post(
        path,
        "{\"method\":\"private/create-withdrawal\",\"params\":{\"amount\":\"1\"}}",
    );
    assert_eq!(refused("cryptocom", &other), Unreadable::OtherEndpoint);
    let more = post(
        path,
        "{\"method\":\"private/user-balance\",\"amount\":\"1\"}",
    );
    assert_eq!(
        refused("cryptocom", &more),
        Unreadable::Value("amount".into())
    );
    let other = post("/v1/balances", "{\"request\":\"/v1/withdraw/btc\"}");
    assert_eq!(refused("gemini", &other), Unreadable::OtherEndpoint);
}

#[test]
fn parameters_in_query_and_body_are_read_once_or_not_at_all() {
    let both =
        |path: &str, query: &str, body: &str, kind: &str| request("POST", path, query, body, kind);
    for (venue, request, why) in [
        (
            "okx",
            both("/api/v5/asset/withdrawal", "amt=1", "{\"amt\":\"2\"}", JSON),
            Unreadable::Twice("amt".into()),
        ),
        (
            "okx",
            both("/api/v5/asset/withdrawal", "AMT=1", "{\"amt\":\"2\"}", JSON),
            Unreadable::Twice("amt".into()),
        ),
        (
            "gate",
            both(
                "/api/v4/withdrawals",
                "amount=1",
                "{\"amount\":\"2\"}",
                JSON,
            ),
            Unreadable::Twice("amount".into()),
        ),
        (
            "bybit",
            both(
                "/v5/asset/withdraw/create",
                "amount=1",
                "{\"coin\":\"BTC\"}",
                JSON,
            ),
            Unreadable::Uncovered,
        ),
        (
            "bybit",
            both("/v5/asset/withdraw/create", "amount=1", "", JSON),
            Unreadable::Uncovered,
        ),
        (
            "kraken",
            both("/0/private/Withdraw", "amount=1", "asset=XBT", FORM),
            Unreadable::Uncovered,
        ),
        (
            "bitfinex",
            both("/v2/auth/w/withdraw", "amount=1", "{}", JSON),
            Unreadable::Uncovered,
        ),
        (
            "gemini",
            both("/v1/withdraw/btc", "amount=1", "{}", JSON),
            Unreadable::Uncovered,
        ),
        (
            "cryptocom",
            both("/exchange/v1/private/create-withdrawal", "a=1", "", JSON),
            Unreadable::Uncovered,
        ),
        (
            "krakenfutures",
            both(
                "/derivatives/api/v3/withdrawal",
                "amount=1",
                "currency=XBT",
                FORM,
            ),
            Unreadable::Uncovered,
        ),
        (
            "htx",
            both("/v1/dw/withdraw/api/create", "amount=1", "{}", JSON),
            Unreadable::Uncovered,
        ),
        (
            "backpack",
            both("/wapi/v1/capital/withdrawals", "quantity=1", "{}", JSON),
            Unreadable::Uncovered,
        ),
        (
            "mexc",
            both(
                "/api/v1/private/order/submit",
                "vol=1",
                "{\"price\":1}",
                JSON,
            ),
            Unreadable::Uncovered,
        ),
        (
            "mexc",
            both("/api/v3/capital/withdraw", "", "{\"amount\":\"1\"}", JSON),
            Unreadable::ContentType,
        ),
        (
            "bitstamp",
            both("/api/v2/btc_withdrawal/", "address=good", "amount=1", FORM),
            Unreadable::Uncovered,
        ),
        (
            "upbit",
            both(
                "/v1/withdraws/coin",
                "amount=1",
                "{\"currency\":\"BTC\"}",
                JSON,
            ),
            Unreadable::Uncovered,
        ),
    ] {
        assert_eq!(refused(venue, &request), why, "{venue}");
    }
}

#[test]
fn a_change_at_gate_may_say_the_same_in_query_and_body_and_nothing_else() {
    let path = "/api/v4/spot/orders/7";
    let patch = |query: &str, body: &str| request("PATCH", path, query, body, JSON);
    let same = patch("amount=1&price=2", "{\"amount\":\"1\",\"price\":\"2\"}");
    assert_eq!(operation("gate", &same).kind, OperationKind::Trade);
    for body in [
        "{\"amount\":\"9\"}",
        "{\"Amount\":\"1\"}",
        "{\"amount\":[\"1\"]}",
    ] {
        let why = refused("gate", &patch("amount=1", body));
        assert!(matches!(why, Unreadable::Twice(_)), "{body}: {why:?}");
    }
}

// What stands in the query of a request with a body is signed, but the endpoint reads the body: it says nothing.
#[test]
fn a_query_beside_a_body_says_nothing_about_the_operation() {
    let decoy = request(
        "POST",
        "/api/v5/asset/withdrawal",
        "amt=1&toAddr=good",
        "{\"ccy\":\"BTC\"}",
        JSON,
    );
    let operation = operation("okx", &decoy);
    assert_eq!((operation.amount, operation.destination), (None, None));
    assert_eq!(operation.parameters.len(), 3, "but it is shown");
}

#[test]
fn repeated_members_and_other_case_are_refused_in_json() {
    for (body, why) in [
        (
            "{\"amt\":\"1\",\"amt\":\"9\"}",
            Unreadable::Twice("amt".into()),
        ),
        (
            "{\"amt\":\"1\",\"AMT\":\"9\"}",
            Unreadable::Twice("AMT".into()),
        ),
        (
            "{\"amt\":\"1\",\"\\u0061mt\":\"9\"}",
            Unreadable::Twice("amt".into()),
        ),
        ("{\"Amt\":\"1\"}", Unreadable::NameCase("Amt".into())),
        (
            "{\"a\":{\"Amt\":\"1\"}}",
            Unreadable::NameCase("Amt".into()),
        ),
        ("{\"amt\":{\"v\":\"1\"}}", Unreadable::Value("amt".into())),
        ("{\"amt\":[\"1\"]}", Unreadable::Value("amt".into())),
        ("{\"amt\":true}", Unreadable::Value("amt".into())),
        ("{\"amt\":null}", Unreadable::Value("amt".into())),
        ("{\"amt\":1e3}", Unreadable::Number("amt".into())),
        ("{\"amt\":-1}", Unreadable::Number("amt".into())),
        ("{\"amt\":\"0x10\"}", Unreadable::Number("amt".into())),
        ("{\"amt\":\" 1\"}", Unreadable::Number("amt".into())),
        ("{\"ccy\":\"btc\"}", Unreadable::Value("ccy".into())),
        ("{\"toAddr\":\"a\\u0000b\"}", Unreadable::Control),
        ("[{\"amt\":\"1\"}]", Unreadable::NoMembers),
        ("\"amt\"", Unreadable::NoMembers),
        ("{\"amt\":\"1\"", Unreadable::Json),
        ("amt=1", Unreadable::Json),
    ] {
        let request = post("/api/v5/asset/withdrawal", body);
        assert_eq!(refused("okx", &request), why, "{body}");
    }
}

#[test]
fn repeated_members_are_refused_in_json_that_stands_in_a_parameter() {
    let order = "{%22symbol%22:%22BTCUSDT%22,%22quantity%22:%220.001%22,%22quantity%22:%229%22}";
    let order = order.replace('{', "%7B").replace('}', "%7D");
    let list = format!("batchOrders=[{order}]");
    let quotes = "quotes=[%7B%22amount%22:1,%22Amount%22:9%7D]";
    for (venue, request) in [
        ("binance", form("/fapi/v1/batchOrders", &list)),
        (
            "binance",
            request("PUT", "/dapi/v1/batchOrders", &list, "", ""),
        ),
        (
            "mexc",
            request("POST", "/api/v3/batchOrders", &list, "", ""),
        ),
        (
            "krakenfutures",
            form(
                "/derivatives/api/v3/batchorder",
                &format!("json=%7B%22batchOrder%22:[{order}]%7D"),
            ),
        ),
        ("deribit", get("/api/v2/private/mass_quote", quotes)),
        (
            "okx",
            post("/api/v5/trade/order", r#"{"tag":"{\"a\":1,\"a\":2}"}"#),
        ),
    ] {
        let why = refused(venue, &request);
        assert!(matches!(why, Unreadable::Twice(_)), "{venue}: {why:?}");
    }
}

// As python-okx sends an order: every parameter, the unset ones empty.
#[test]
fn an_empty_text_in_json_says_nothing_and_is_shown() {
    let body = "{\"instId\":\"BTC-USDT\",\"tdMode\":\"cash\",\"side\":\"buy\",\"ordType\":\"market\",\"sz\":\"2\",\"ccy\":\"\",\
        \"clOrdId\":\"\",\"px\":\"\",\"tgtCcy\":\"\"}";
    let operation = operation("okx", &post("/api/v5/trade/order", body));
    assert_eq!((operation.price, operation.client_id), (None, None));
    assert_eq!(operation.symbol.as_deref(), Some("BTC-USDT"));
    assert_eq!(operation.parameters.len(), 9);
    let nowhere = post(
        "/api/v5/asset/withdrawal",
        "{\"ccy\":\"BTC\",\"amt\":\"\",\"toAddr\":\"\"}",
    );
    let nowhere = self::operation("okx", &nowhere);
    assert_eq!((nowhere.amount, nowhere.destination), (None, None));
}

#[test]
fn paths_have_one_spelling() {
    for path in [
        "/api/v5/asset//withdrawal",
        "/api/v5/asset/./withdrawal",
        "/api/v5/account/../asset/withdrawal",
        "/api/v5/asset/%77ithdrawal",
        "/api/v5/asset/withdrawal/",
        "/api/v5/asset/withdrawal;a=1",
        "/api/v5/asset/withdrawal\u{200b}",
        "//api/v5/asset/withdrawal",
        "",
    ] {
        assert_eq!(
            refused("okx", &post(path, "{}")),
            Unreadable::Path,
            "{path}"
        );
    }
    let case = post("/api/v5/asset/Withdrawal", "{}");
    assert_eq!(refused("okx", &case), Unreadable::PathCase);
    let case = post("/v2/accounts/1/Transactions", "{}");
    assert_eq!(refused("coinbase", &case), Unreadable::PathCase);
    let elsewhere = post("/priapi/v5/asset/withdrawal", "{}");
    assert_eq!(refused("okx", &elsewhere), Unreadable::NoOrigin);
    // A `.` alone is no place of a path.
    assert_eq!(
        refused("gemini", &post("/v1/withdraw/..", "{}")),
        Unreadable::Path
    );
    // Bitstamp's paths end in `/`, and only there is that plain.
    assert_eq!(
        operation("bitstamp", &form("/api/v2/btc_withdrawal/", "amount=1")).kind,
        OperationKind::Withdraw
    );
    assert_eq!(
        operation("bitstamp", &form("/api/v2/btc_withdrawal", "amount=1")).kind,
        OperationKind::Unknown
    );
}

#[test]
fn content_types_are_those_of_the_venue() {
    for (venue, path, kind) in [
        ("okx", "/api/v5/asset/withdrawal", FORM),
        ("okx", "/api/v5/asset/withdrawal", "text/json"),
        (
            "okx",
            "/api/v5/asset/withdrawal",
            "application/json; charset=utf-16",
        ),
        ("okx", "/api/v5/asset/withdrawal", ""),
        ("bitstamp", "/api/v2/btc_withdrawal/", JSON),
        ("krakenfutures", "/derivatives/api/v3/withdrawal", JSON),
        (
            "kraken",
            "/0/private/Withdraw",
            "multipart/form-data; boundary=x",
        ),
    ] {
        let request = request("POST", path, "", "{}", kind);
        assert_eq!(
            refused(venue, &request),
            Unreadable::ContentType,
            "{venue} {kind}"
        );
    }
    assert_eq!(
        refused(
            "okx",
            &request("GET", "/api/v5/account/balance", "", "{}", JSON)
        ),
        Unreadable::BodyOfGet
    );
    assert_eq!(
        refused(
            "deribit",
            &request("POST", "/api/v2/private/buy", "", "{}", JSON)
        ),
        Unreadable::Method
    );
}

#[test]
fn several_orders_in_one_have_no_single_amount_anywhere() {
    for (venue, request) in [
        (
            "okx",
            post(
                "/api/v5/trade/batch-orders",
                "[{\"instId\":\"BTC-USDT\",\"sz\":\"9\",\"side\":\"buy\",\"tdMode\":\"cash\",\"ordType\":\"limit\",\"px\":\"1\"},\
                 {\"instId\":\"BTC-USDT\",\"sz\":\"9\",\"side\":\"buy\",\"tdMode\":\"cash\",\"ordType\":\"limit\",\"px\":\"1\"}]",
            ),
        ),
        (
            "bybit",
            post(
                "/v5/order/create-batch",
                "{\"category\":\"spot\",\"request\":[{\"qty\":\"9\",\"orderType\":\"Limit\"},{\"qty\":\"9\",\"orderType\":\"Limit\"}],\"qty\":\"1\"}",
            ),
        ),
        (
            "kraken",
            post(
                "/0/private/AddOrderBatch",
                "{\"pair\":\"XBTUSD\",\"orders\":[{\"volume\":\"9\"}],\"volume\":\"1\"}",
            ),
        ),
        (
            "krakenfutures",
            form(
                "/derivatives/api/v3/batchorder",
                "json=%7B%22batchOrder%22%3A%5B%5D%7D&size=1",
            ),
        ),
        (
            "kucoin",
            post(
                "/api/v1/hf/orders/multi",
                "{\"orderList\":[{\"size\":\"9\"}],\"size\":\"1\"}",
            ),
        ),
        (
            "gate",
            post(
                "/api/v4/spot/batch_orders",
                "[{\"amount\":\"9\"},{\"amount\":\"9\"}]",
            ),
        ),
        (
            "bitget",
            post(
                "/api/v2/spot/trade/batch-orders",
                "{\"orderList\":[{\"size\":\"9\"}],\"size\":\"1\"}",
            ),
        ),
        (
            "bitfinex",
            post(
                "/v2/auth/w/order/multi",
                "{\"ops\":[[\"on\",{\"amount\":\"9\"}]],\"amount\":\"1\"}",
            ),
        ),
        (
            "backpack",
            post(
                "/api/v1/orders",
                "[{\"symbol\":\"SOL_USDC\",\"quantity\":\"9\"},{\"symbol\":\"SOL_USDC\",\"quantity\":\"9\"}]",
            ),
        ),
        (
            "htx",
            post(
                "/v1/order/batch-orders",
                "[{\"amount\":\"9\",\"type\":\"sell-limit\"},{\"amount\":\"9\",\"type\":\"sell-limit\"}]",
            ),
        ),
        (
            "cryptocom",
            post(
                "/exchange/v1/private/create-order-list",
                "{\"params\":{\"order_list\":[{\"quantity\":\"9\"}]}}",
            ),
        ),
    ] {
        let operation = operation(venue, &request);
        assert_eq!(operation.kind, OperationKind::Trade, "{venue}");
        assert_eq!(
            (operation.amount, operation.quote_amount, operation.price),
            (None, None, None),
            "{venue}"
        );
        assert!(
            operation
                .parameters
                .iter()
                .any(|p| p.value.contains('9') || p.name == "json"),
            "{venue} shows it"
        );
    }
}

// ccxt sends every order of OKX in a list.
#[test]
fn a_list_of_one_order_is_read_as_that_order() {
    let one = r#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","sz":"9","px":"2","clOrdId":"c"}"#;
    let other = one.replace("BTC-USDT", "ETH-USDT").replace("buy", "sell");
    let read = |orders: &[&str]| {
        let body = format!("[{}]", orders.join(","));
        operation("okx", &post("/api/v5/trade/batch-orders", &body))
    };
    let order = read(&[one]);
    assert_eq!(
        order.sentence(),
        "Place several orders buy 9 BTC-USDT at 2 on Okx"
    );
    assert_eq!(order.client_id.as_deref(), Some("c"));
    // Of several no number is said, and only what all of them say.
    let two = read(&[one, one]);
    assert_eq!(two.symbol.as_deref(), Some("BTC-USDT"));
    assert_eq!((two.side, &two.amount), (Some(Side::Buy), &None));
    assert_eq!((two.price, two.client_id), (None, None));
    let different = read(&[one, &other]);
    assert_eq!((different.symbol, different.side), (None, None));
    let half = read(&[one, r#"{"sz":"9"}"#]);
    assert_eq!(half.symbol, None, "one that does not say it");
    // Members of the list that are none, and a market beside it, say nothing.
    let beside = post(
        "/v5/order/create-batch",
        r#"{"category":"linear","symbol":"BTCUSDT","request":[{"symbol":"ETHUSDT","qty":"1"}]}"#,
    );
    assert_eq!(
        operation("bybit", &beside).symbol.as_deref(),
        Some("ETHUSDT")
    );
    let no_list = post(
        "/v5/order/create-batch",
        r#"{"request":{"symbol":"BTCUSDT"}}"#,
    );
    assert!(matches!(refused("bybit", &no_list), Unreadable::Value(_)));
}

// An order of the market counts money at some venues where it buys; then it is told as money, and never as an amount.
#[test]
fn an_order_of_the_market_says_money_or_an_amount() {
    let okx = |more: &str| {
        let body = format!(
            r#"{{"instId":"BTC-USDT","tdMode":"cash","ordType":"market","sz":"50",{more}}}"#
        );
        let read = operation("okx", &post("/api/v5/trade/order", &body));
        (read.amount.is_some(), read.quote_amount.is_some())
    };
    assert_eq!(okx(r#""side":"buy""#), (false, true));
    assert_eq!(okx(r#""side":"buy","tgtCcy":"quote_ccy""#), (false, true));
    assert_eq!(okx(r#""side":"buy","tgtCcy":"base_ccy""#), (true, false));
    assert_eq!(okx(r#""side":"sell""#), (true, false));
    assert_eq!(okx(r#""side":"sell","tgtCcy":"base_ccy""#), (true, false));
    assert_eq!(okx(r#""side":"sell","tgtCcy":"quote_ccy""#), (false, true));
    let bybit = |more: &str| {
        let body = format!(r#"{{"symbol":"BTCUSDT","orderType":"Market","qty":"50",{more}}}"#);
        operation("bybit", &post("/v5/order/create", &body))
            .amount
            .is_some()
    };
    assert!(bybit(r#""category":"linear","side":"Buy""#));
    assert!(bybit(r#""category":"spot","side":"Sell""#));
    for unsure in [
        r#""category":"spot","side":"Buy""#,
        r#""category":"spot","side":"Buy","marketUnit":"baseCoin""#,
        r#""category":"spot","side":"Sell","marketUnit":"quoteCoin""#,
        r#""category":"inverse","side":"Sell""#,
    ] {
        assert!(!bybit(unsure), "{unsure}");
    }
}

#[test]
fn what_would_sign_or_listen_past_us_is_refused_and_says_what_to_do() {
    let bearer = "grant_type=client_credentials&client_id=token&client_secret=x";
    for (venue, request, does) in [
        ("binance", form("/fapi/v1/listenKey", ""), "over REST"),
        ("binance", form("/api/v3/userDataStream", ""), "/ws-api/v3"),
        ("mexc", form("/api/v3/userDataStream", ""), "over REST"),
        (
            "deribit",
            get("/api/v2/public/auth", bearer),
            "deri-hmac-sha256",
        ),
    ] {
        let why = refused(venue, &request);
        assert!(matches!(why, Unreadable::NotServed(_)), "{venue}: {why:?}");
        assert!(why.to_string().contains(does), "{why}");
    }
}

#[test]
fn withdrawals_are_read_in_full() {
    let said = [
        (
            "kraken",
            form("/0/private/Withdraw", "asset=XBT&key=cold&amount=0.50"),
            "Withdraw to saved address 0.5 XBT on Kraken to cold",
        ),
        (
            "bybit",
            post(
                "/v5/asset/withdraw/create",
                "{\"coin\":\"USDT\",\"chain\":\"ETH\",\"address\":\"0xabc\",\"tag\":\"7\",\"amount\":\"10\"}",
            ),
            "Withdraw 10 USDT on Bybit to 0xabc tag 7 (network ETH)",
        ),
        (
            "okx",
            post(
                "/api/v5/asset/withdrawal",
                "{\"ccy\":\"BTC\",\"amt\":\"1\",\"dest\":\"4\",\"toAddr\":\"1abc\",\"chain\":\"BTC-Bitcoin\"}",
            ),
            "Withdraw 1 BTC on Okx to 1abc (network BTC-Bitcoin)",
        ),
        (
            "kucoin",
            post(
                "/api/v3/withdrawals",
                "{\"currency\":\"BTC\",\"toAddress\":\"1abc\",\"amount\":1,\"chain\":\"btc\"}",
            ),
            "Withdraw 1 BTC on Kucoin to 1abc (network btc)",
        ),
        (
            "coinbase",
            post(
                "/v2/accounts/1/transactions",
                "{\"type\":\"send\",\"to\":\"a@b.c\",\"amount\":\"1\",\"currency\":\"BTC\"}",
            ),
            "Send, transfer or request money 1 BTC on Coinbase to a@b.c",
        ),
        (
            "coinbaseexchange",
            post(
                "/withdrawals/crypto",
                "{\"amount\":1,\"currency\":\"BTC\",\"crypto_address\":\"1abc\"}",
            ),
            "Withdraw 1 BTC on Coinbaseexchange to 1abc",
        ),
        (
            "bitfinex",
            post(
                "/v2/auth/w/withdraw",
                "{\"wallet\":\"exchange\",\"method\":\"bitcoin\",\"amount\":\"1\",\"address\":\"1abc\"}",
            ),
            "Withdraw 1 on Bitfinex to 1abc (network bitcoin)",
        ),
        (
            "gemini",
            post(
                "/v1/withdraw/btc",
                "{\"request\":\"/v1/withdraw/btc\",\"nonce\":1,\"address\":\"1abc\",\"amount\":\"1\"}",
            ),
            "Withdraw 1 btc on Gemini to 1abc",
        ),
        (
            "bitstamp",
            form("/api/v2/btc_withdrawal/", "amount=1&address=1abc"),
            "Withdraw 1 btc on Bitstamp to 1abc",
        ),
        (
            "gate",
            post(
                "/api/v4/withdrawals",
                "{\"currency\":\"BTC\",\"address\":\"1abc\",\"amount\":\"1\",\"chain\":\"BTC\"}",
            ),
            "Withdraw 1 BTC on Gate to 1abc (network BTC)",
        ),
        (
            "bitget",
            post(
                "/api/v2/spot/wallet/withdrawal",
                "{\"coin\":\"BTC\",\"transferType\":\"on_chain\",\"address\":\"1abc\",\"size\":\"1\"}",
            ),
            "Withdraw 1 BTC on Bitget to 1abc",
        ),
        (
            "cryptocom",
            post(
                "/exchange/v1/private/create-withdrawal",
                "{\"params\":{\"currency\":\"BTC\",\"amount\":\"1\",\"address\":\"1abc\"}}",
            ),
            "Withdraw 1 BTC on Cryptocom to 1abc",
        ),
        (
            "htx",
            post(
                "/v1/dw/withdraw/api/create",
                "{\"address\":\"1abc\",\"currency\":\"btc\",\"amount\":\"1\"}",
            ),
            "Withdraw 1 btc on Htx to 1abc",
        ),
        (
            "mexc",
            request(
                "POST",
                "/api/v3/capital/withdraw",
                "coin=BTC&address=1abc&amount=1&timestamp=1",
                "",
                "",
            ),
            "Withdraw 1 BTC on Mexc to 1abc",
        ),
        (
            "backpack",
            post(
                "/wapi/v1/capital/withdrawals",
                "{\"address\":\"a\",\"blockchain\":\"Solana\",\"quantity\":\"1\",\"symbol\":\"SOL\"}",
            ),
            "Withdraw 1 SOL on Backpack to a (network Solana)",
        ),
        (
            "upbit",
            post(
                "/v1/withdraws/coin",
                "{\"currency\":\"BTC\",\"amount\":\"1\",\"address\":\"a\"}",
            ),
            "Withdraw 1 BTC on Upbit to a",
        ),
    ];
    for (venue, request, sentence) in said {
        let operation = operation(venue, &request);
        assert_eq!(operation.kind, OperationKind::Withdraw, "{venue}");
        assert_eq!(operation.sentence(), sentence);
    }
}

// Bitfinex takes an invoice of Lightning in place of amount and address, which are then not looked at.
#[test]
fn an_address_beside_an_invoice_is_no_destination() {
    let bitfinex = |more: &str| {
        let body = format!("{{\"wallet\":\"exchange\",\"method\":\"lnx\",\"amount\":\"1\"{more}}}");
        post("/v2/auth/w/withdraw", &body)
    };
    let (address, invoice) = (",\"address\":\"1abc\"", ",\"invoice\":\"lnbc1\"");
    let why = refused("bitfinex", &bitfinex(&format!("{address}{invoice}")));
    assert!(matches!(why, Unreadable::Either(..)), "{why:?}");
    let paid = operation("bitfinex", &bitfinex(invoice));
    assert_eq!(paid.destination.as_deref(), Some("lnbc1"));
    assert_eq!(paid.amount, None, "the invoice says how much");
    let sent = operation("bitfinex", &bitfinex(address));
    assert!(sent.amount.is_some() && sent.destination.as_deref() == Some("1abc"));
    // Nor is one of its two names of an account a decoy for the other.
    let moved = |more: &str| {
        let body = format!(
            "{{\"from\":\"exchange\",\"to\":\"exchange\",\"currency\":\"UST\",\"amount\":\"1\"{more}}}"
        );
        post("/v2/auth/w/transfer", &body)
    };
    let to_user = operation("bitfinex", &moved(",\"user_id_dst\":7"));
    assert_eq!(to_user.destination_tag.as_deref(), Some("7"));
    let both = moved(",\"user_id_dst\":7,\"email_dst\":\"a@b.c\"");
    let why = refused("bitfinex", &both);
    assert!(matches!(why, Unreadable::Either(..)), "{why:?}");
}

#[test]
fn orders_are_read_in_full() {
    let said = [
        (
            "kraken",
            form(
                "/0/private/AddOrder",
                "ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25",
            ),
            "Place order buy 1.25 XBTUSD at 37500 on Kraken",
        ),
        (
            "bybit",
            post(
                "/v5/order/create",
                "{\"category\":\"spot\",\"symbol\":\"BTCUSDT\",\"side\":\"Buy\",\"orderType\":\"Limit\",\"qty\":\"0.01\",\"price\":\"2\"}",
            ),
            "Place order buy 0.01 BTCUSDT at 2 on Bybit",
        ),
        (
            "okx",
            post(
                "/api/v5/trade/order",
                "{\"instId\":\"BTC-USDT\",\"tdMode\":\"cash\",\"side\":\"sell\",\"ordType\":\"limit\",\"px\":\"2.15\",\"sz\":\"2\"}",
            ),
            "Place order sell 2 BTC-USDT at 2.15 on Okx",
        ),
        (
            "kucoin",
            post(
                "/api/v1/hf/orders",
                "{\"side\":\"buy\",\"symbol\":\"BTC-USDT\",\"type\":\"market\",\"funds\":\"5\"}",
            ),
            "Place order buy BTC-USDT for 5 on Kucoin",
        ),
        (
            "coinbase",
            post(
                "/api/v3/brokerage/orders",
                "{\"client_order_id\":\"c\",\"product_id\":\"BTC-USD\",\"side\":\"BUY\",\"order_configuration\":{\"limit_limit_gtc\":{\"base_size\":\"1\",\"limit_price\":\"2\"}}}",
            ),
            "Place order buy 1 BTC-USD at 2 on Coinbase",
        ),
        (
            "bitfinex",
            post(
                "/v2/auth/w/order/submit",
                "{\"type\":\"EXCHANGE LIMIT\",\"symbol\":\"tBTCUSD\",\"price\":\"1\",\"amount\":\"-2\"}",
            ),
            "Place order sell 2 tBTCUSD at 1 on Bitfinex",
        ),
        (
            "gemini",
            post(
                "/v1/order/new",
                "{\"symbol\":\"btcusd\",\"amount\":\"5\",\"price\":\"3633.00\",\"side\":\"buy\",\"type\":\"exchange limit\"}",
            ),
            "Place order buy 5 btcusd at 3633 on Gemini",
        ),
        (
            "bitstamp",
            form("/api/v2/buy/btcusd/", "amount=1&price=2"),
            "Place order buy 1 btcusd at 2 on Bitstamp",
        ),
        (
            "gate",
            post(
                "/api/v4/spot/orders",
                "{\"currency_pair\":\"BTC_USDT\",\"side\":\"buy\",\"amount\":\"1\",\"price\":\"2\"}",
            ),
            "Place order buy 1 BTC_USDT at 2 on Gate",
        ),
        (
            "gate",
            post(
                "/api/v4/futures/usdt/orders",
                "{\"contract\":\"BTC_USDT\",\"size\":-3,\"price\":\"2\"}",
            ),
            "Place order sell BTC_USDT on Gate",
        ),
        (
            "htx",
            post(
                "/v1/order/orders/place",
                "{\"account-id\":\"1\",\"symbol\":\"btcusdt\",\"type\":\"sell-limit\",\"amount\":\"1\",\"price\":\"2\"}",
            ),
            "Place order sell 1 btcusdt at 2 on Htx",
        ),
        (
            "deribit",
            get(
                "/api/v2/private/buy",
                "instrument_name=BTC-PERPETUAL&amount=10&type=limit&price=1",
            ),
            "Place order buy 10 BTC-PERPETUAL on Deribit",
        ),
        (
            "backpack",
            post(
                "/api/v1/order",
                "{\"orderType\":\"Limit\",\"price\":\"141\",\"quantity\":\"12\",\"side\":\"Ask\",\"symbol\":\"SOL_USDC\"}",
            ),
            "Place order sell 12 SOL_USDC at 141 on Backpack",
        ),
        (
            "upbit",
            post(
                "/v1/orders",
                "{\"market\":\"KRW-BTC\",\"side\":\"bid\",\"price\":\"100\",\"ord_type\":\"price\"}",
            ),
            "Place order buy KRW-BTC for 100 on Upbit",
        ),
        (
            "revolutx",
            post(
                "/api/1.0/orders",
                "{\"client_order_id\":\"c\",\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"order_configuration\":{\"limit\":{\"base_size\":\"1\",\"price\":\"2\"}}}",
            ),
            "Place order buy 1 BTC-USD at 2 on Revolutx",
        ),
        (
            "robinhood",
            post(
                "/api/v1/crypto/trading/orders/",
                "{\"client_order_id\":\"c\",\"side\":\"buy\",\"symbol\":\"BTC-USD\",\"type\":\"market\",\"market_order_config\":{\"asset_quantity\":\"0.1\"}}",
            ),
            "Place order buy 0.1 BTC-USD on Robinhood",
        ),
    ];
    for (venue, request, sentence) in said {
        let operation = operation(venue, &request);
        assert_eq!(operation.kind, OperationKind::Trade, "{venue}");
        assert_eq!(operation.sentence(), sentence);
        assert!(matches!(operation.side, Some(Side::Buy | Side::Sell)));
    }
}

// Where the request leaves open in what the amount is counted, or gives two prices for one, no number is shown.
#[test]
fn an_amount_counts_only_where_it_is_in_the_base_asset() {
    for (venue, request) in [
        (
            "kraken",
            form(
                "/0/private/AddOrder",
                "ordertype=market&pair=XBTUSD&type=buy&volume=5000&oflags=viqc",
            ),
        ),
        (
            "kraken",
            form(
                "/0/private/AddOrder",
                "ordertype=market&pair=XBTUSD&type=buy&volume=5000&oflags=post%2Cviqc",
            ),
        ),
        (
            "bybit",
            post(
                "/v5/order/create",
                "{\"category\":\"spot\",\"symbol\":\"BTCUSDT\",\"side\":\"Buy\",\"orderType\":\"Market\",\"qty\":\"5000\"}",
            ),
        ),
        (
            "bybit",
            post(
                "/v5/order/create",
                "{\"category\":\"inverse\",\"symbol\":\"BTCUSD\",\"side\":\"Buy\",\"orderType\":\"Limit\",\"qty\":\"5000\",\"price\":\"1\"}",
            ),
        ),
        (
            "okx",
            post(
                "/api/v5/trade/order",
                "{\"instId\":\"BTC-USDT\",\"tdMode\":\"cash\",\"side\":\"buy\",\"ordType\":\"market\",\"sz\":\"5000\"}",
            ),
        ),
        (
            "okx",
            post(
                "/api/v5/trade/order",
                "{\"instId\":\"BTC-USDT-SWAP\",\"tdMode\":\"cross\",\"side\":\"buy\",\"ordType\":\"limit\",\"sz\":\"5000\",\"px\":\"1\"}",
            ),
        ),
        (
            "gate",
            post(
                "/api/v4/spot/orders",
                "{\"currency_pair\":\"BTC_USDT\",\"type\":\"market\",\"side\":\"buy\",\"amount\":\"5000\"}",
            ),
        ),
        (
            "htx",
            post(
                "/v1/order/orders/place",
                "{\"symbol\":\"btcusdt\",\"type\":\"buy-market\",\"amount\":\"5000\"}",
            ),
        ),
    ] {
        let operation = operation(venue, &request);
        assert_eq!(
            (operation.amount, operation.price),
            (None, None),
            "{venue} {request:?}"
        );
    }
    // A dated future of Coinbase counts contracts of thousands of a coin: no price is told, so no worth is reckoned.
    let future = post(
        "/api/v3/brokerage/orders",
        "{\"client_order_id\":\"c\",\"product_id\":\"DOG-28NOV26-CDE\",\"side\":\"BUY\",\"order_configuration\":\
         {\"limit_limit_gtc\":{\"base_size\":\"1\",\"limit_price\":\"2\"}}}",
    );
    let future = operation("coinbase", &future);
    assert_eq!((future.amount, future.price), ("1".parse().ok(), None));
    for (venue, request) in [
        (
            "bybit",
            post(
                "/v5/order/create",
                "{\"category\":\"linear\",\"orderType\":\"Limit\",\"qty\":\"1\",\"price\":\"1\",\"bboSideType\":\"Queue\"}",
            ),
        ),
        (
            "okx",
            post(
                "/api/v5/trade/order",
                "{\"tdMode\":\"cash\",\"ordType\":\"limit\",\"sz\":\"1\",\"px\":\"1\",\"pxAmendType\":\"1\"}",
            ),
        ),
        (
            "bitstamp",
            form("/api/v2/buy/btcusd/", "amount=1&price=1&subtype=pegged"),
        ),
    ] {
        let operation = operation(venue, &request);
        assert_eq!(operation.amount, "1".parse().ok());
        assert_eq!(
            operation.price, None,
            "the venue sets another price: {venue}"
        );
    }
    let two = "{\"order_configuration\":{\"limit_limit_gtc\":{\"base_size\":\"1\"},\"market_market_ioc\":{\"base_size\":\"9\"}}}";
    let why = refused("coinbase", &post("/api/v3/brokerage/orders", two));
    assert!(matches!(why, Unreadable::Either(..)), "{why:?}");
}

// Where the venue closes a whole position, however large, the number beside it is no amount, and every limit is passed.
#[test]
fn what_closes_a_whole_position_says_no_amount() {
    for (venue, request) in [
        (
            "kraken",
            form(
                "/0/private/AddOrder",
                "ordertype=limit&pair=XBTUSD&type=sell&volume=0.0&price=1&leverage=5",
            ),
        ),
        (
            "bybit",
            post(
                "/v5/order/create",
                "{\"category\":\"linear\",\"symbol\":\"BTCUSDT\",\"side\":\"Sell\",\"orderType\":\"Limit\",\"qty\":\"0\",\"price\":\"1\",\
                 \"reduceOnly\":true,\"closeOnTrigger\":true}",
            ),
        ),
        (
            "gate",
            post(
                "/api/v4/futures/usdt/orders",
                "{\"contract\":\"BTC_USDT\",\"size\":0,\"price\":\"0\",\"close\":true,\"tif\":\"ioc\"}",
            ),
        ),
        (
            "kucoinfutures",
            post(
                "/api/v1/orders",
                "{\"clientOid\":\"c\",\"symbol\":\"XBTUSDTM\",\"side\":\"sell\",\"size\":1,\"closeOrder\":true}",
            ),
        ),
        (
            "binance",
            form(
                "/fapi/v1/order",
                "symbol=BTCUSDT&side=SELL&type=STOP_MARKET&stopPrice=1&quantity=1&closePosition=true",
            ),
        ),
        (
            "bitfinex",
            post(
                "/v2/auth/w/order/submit",
                "{\"type\":\"LIMIT\",\"symbol\":\"tBTCF0:USTF0\",\"price\":\"1\",\"amount\":\"-1\",\"flags\":512}",
            ),
        ),
    ] {
        let read = operation(venue, &request);
        assert_eq!(read.kind, OperationKind::Trade, "{venue}");
        assert_eq!(read.amount, None, "{venue} {request:?}");
        // The sign of nothing is no side.
        let says_side = venue != "gate";
        assert!(
            read.symbol.is_some() && read.side.is_some() == says_side,
            "{venue}"
        );
    }
    let stop = |kind: &str| {
        let body = format!(
            "{{\"symbol\":\"BTCUSDT\",\"productType\":\"USDT-FUTURES\",\"marginCoin\":\"USDT\",\"planType\":\"{kind}\",\
             \"triggerPrice\":\"1\",\"holdSide\":\"long\",\"size\":\"1\"}}"
        );
        operation("bitget", &post("/api/v2/mix/order/place-tpsl-order", &body)).amount
    };
    assert_eq!(stop("pos_loss"), None);
    assert_eq!(stop("loss_plan"), "1".parse().ok());
    let futures = |more: &str| {
        let order = "symbol=BTCUSDT&side=SELL&type=LIMIT&price=1&quantity=1";
        operation(
            "binance",
            &form("/fapi/v1/order", &format!("{order}{more}")),
        )
        .amount
    };
    assert_eq!(futures(""), "1".parse().ok());
    assert_eq!(futures("&closePosition=false"), "1".parse().ok());
}

#[test]
fn what_a_condition_looks_at_has_one_spelling() {
    for (venue, request, name) in [
        (
            "gate",
            post(
                "/api/v4/spot/orders",
                "{\"currency_pair\":\"BTC_USDT\",\"Type\":\"market\",\"side\":\"buy\",\"amount\":\"1\"}",
            ),
            "Type",
        ),
        (
            "kraken",
            form(
                "/0/private/AddOrder",
                "ordertype=market&pair=XBTUSD&type=buy&volume=1&OFlags=viqc",
            ),
            "OFlags",
        ),
    ] {
        assert_eq!(
            refused(venue, &request),
            Unreadable::NameCase(name.into()),
            "{venue}"
        );
    }
}

// Readers of protocol buffers, as Coinbase has them, take `productId` for `product_id`, and the first of both.
#[test]
fn a_name_in_another_spelling_is_no_way_past_the_one_that_counts() {
    let order = |members: &str, size: &str| {
        post(
            "/api/v3/brokerage/orders",
            &format!(
                "{{\"client_order_id\":\"c\",{members},\"side\":\"BUY\",\"order_configuration\":{{\"market_market_ioc\":{{{size}}}}}}}"
            ),
        )
    };
    let size = "\"base_size\":\"1\"";
    for (members, size, name) in [
        (
            "\"product_id\":\"BTC-USD\",\"productId\":\"DOGE-USD\"",
            size,
            "productId",
        ),
        ("\"productId\":\"DOGE-USD\"", size, "productId"),
        (
            "\"product_id\":\"BTC-USD\",\"PRODUCT-ID\":\"DOGE-USD\"",
            size,
            "PRODUCT-ID",
        ),
        (
            "\"product_id\":\"BTC-USD\"",
            "\"base_size\":\"1\",\"baseSize\":\"5000\"",
            "baseSize",
        ),
    ] {
        let why = refused("coinbase", &order(members, size));
        assert_eq!(why, Unreadable::NameCase(name.into()), "{members}");
    }
    let to = |name: &str| {
        post(
            "/api/v3/brokerage/portfolios/move_funds",
            &format!(
                "{{\"funds\":{{\"value\":\"1\",\"currency\":\"USD\"}},\"source_portfolio_uuid\":\"a\",\"target_portfolio_uuid\":\"b\"{name}}}"
            ),
        )
    };
    let plain = operation("coinbase", &to(""));
    assert_eq!(plain.destination.as_deref(), Some("b"));
    let why = refused("coinbase", &to(",\"targetPortfolioUuid\":\"c\""));
    assert_eq!(why, Unreadable::NameCase("targetPortfolioUuid".into()));
    // ccxt's own word beside the venue's for the same is none that counts.
    let both = order("\"product_id\":\"BTC-USD\",\"clientOrderId\":\"d\"", size);
    let read = operation("coinbase", &both);
    assert_eq!(read.client_id.as_deref(), Some("c"));
    assert_eq!(read.amount, "1".parse().ok());
}

#[test]
fn one_url_is_read_by_the_type_of_its_action() {
    let act = |action: &str| {
        post(
            "/exchange",
            &format!("{{\"action\":{action},\"nonce\":1,\"signature\":{{}}}}"),
        )
    };
    let withdraw = act(
        "{\"type\":\"withdraw3\",\"hyperliquidChain\":\"Mainnet\",\"signatureChainId\":\"0xa4b1\",\"amount\":\"5\",\"destination\":\"0xabc\",\"time\":1}",
    );
    let read = operation("hyperliquid", &withdraw);
    assert_eq!(read.kind, OperationKind::Withdraw);
    assert_eq!(read.sentence(), "Withdraw 5 USDC on Hyperliquid to 0xabc");
    assert!(
        read.parameters
            .iter()
            .all(|p| p.name != "action.time" && p.name != "nonce"),
        "ours"
    );
    for (action, kind) in [
        ("{\"type\":\"order\",\"orders\":[]}", OperationKind::Trade),
        (
            "{\"type\":\"cancel\",\"cancels\":[]}",
            OperationKind::Cancel,
        ),
        ("{\"type\":\"approveAgent\"}", OperationKind::KeyAdmin),
        ("{\"type\":\"usdSend\"}", OperationKind::Withdraw),
        ("{\"type\":\"Order\"}", OperationKind::Unknown),
        ("{\"type\":\"new\"}", OperationKind::Unknown),
    ] {
        assert_eq!(
            operation("hyperliquid", &act(action)).kind,
            kind,
            "{action}"
        );
    }
    for (body, why) in [
        (
            "{\"action\":{\"type\":\"order\",\"type\":\"withdraw3\"}}",
            Unreadable::Twice("type".into()),
        ),
        (
            "{\"action\":{\"type\":\"order\",\"Type\":\"withdraw3\"}}",
            Unreadable::Twice("Type".into()),
        ),
        ("{\"action\":{}}", Unreadable::Value("action.type".into())),
        ("{\"action\":[]}", Unreadable::NoMembers),
        (
            "{\"action\":{\"type\":\"order\"},\"more\":1}",
            Unreadable::Value("more".into()),
        ),
        (
            "{\"action\":{\"type\":\"withdraw3\",\"hyperliquidChain\":\"Testnet\"}}",
            Unreadable::Value("hyperliquidChain".into()),
        ),
    ] {
        assert_eq!(
            refused("hyperliquid", &post("/exchange", body)),
            why,
            "{body}"
        );
    }
    // A question needs no key, and goes out with what it asks.
    let info = post("/info", "{ \"type\": \"meta\" }");
    match at("hyperliquid").decode(&info) {
        Ok(Decoded::Public(out)) => assert_eq!(out.body, b"{\"type\":\"meta\"}"),
        other => panic!("{other:?}"),
    }
}

// Each spelling would have a window of its own, and pass a list that has another.
#[test]
fn a_market_has_one_name_and_is_sent_as_it_was_written() {
    for (written, sent) in [
        ("XBTUSD", "XBTUSD"),
        ("XXBTZUSD", "XXBTZUSD"),
        ("XBT%2FUSD", "XBT%2FUSD"),
        ("BTC%2FUSD", "BTC%2FUSD"),
        ("BTCUSD", "BTCUSD"),
    ] {
        let body = format!("ordertype=limit&pair={written}&price=2&type=buy&volume=1");
        let read = private(at("kraken"), &form("/0/private/AddOrder", &body));
        let said = read.operation();
        assert_eq!(said.symbol.as_deref(), Some("XBTUSD"), "{written}");
        assert_eq!(said.sentence(), "Place order buy 1 XBTUSD at 2 on Kraken");
        let shown = said.parameters.iter().find(|p| p.name == "pair").unwrap();
        assert_eq!(shown.value, written.replace("%2F", "/"));
        let body = String::from_utf8(read.judged_body()).unwrap();
        assert!(body.contains(&format!("pair={sent}&")), "{body}");
    }
    for (asset, one) in [
        ("XXBT", "XBT"),
        ("BTC", "XBT"),
        ("ZUSD", "USD"),
        ("XTZ", "XTZ"),
    ] {
        let body = format!("asset={asset}&key=cold&amount=0.50");
        let said = operation("kraken", &form("/0/private/Withdraw", &body));
        assert_eq!(said.asset.as_deref(), Some(one));
    }
    let order = r#"{"symbol":"tBTC:USD","type":"EXCHANGE LIMIT","amount":"1","price":"2"}"#;
    let said = operation("bitfinex", &post("/v2/auth/w/order/submit", order));
    assert_eq!(said.symbol.as_deref(), Some("tBTCUSD"));
}

// The number counts before the name beside it, so that a rule about the name would be passed.
#[test]
fn a_market_by_its_number_is_refused_at_okx() {
    let order = r#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","sz":"1","px":"2"@}"#;
    let with = |more: &str| order.replace('@', more);
    let read = operation("okx", &post("/api/v5/trade/order", &with("")));
    assert_eq!(read.symbol.as_deref(), Some("BTC-USDT"));
    for more in [
        r#","instIdCode":7"#,
        r#","instIdCode":"7""#,
        r#","INSTIDCODE":7"#,
    ] {
        let one = post("/api/v5/trade/order", &with(more));
        let several = post(
            "/api/v5/trade/batch-orders",
            &format!("[{},{}]", with(""), with(more)),
        );
        for request in [one, several] {
            assert_eq!(
                refused("okx", &request),
                Unreadable::Numbered("instIdCode".into())
            );
        }
    }
    let nested = with(r#","attachAlgoOrds":[{"tpTriggerPx":"3","instIdCode":7}]"#);
    refused("okx", &post("/api/v5/trade/order", &nested));
    refused("okx", &get("/api/v5/trade/order", "instIdCode=7&ordId=1"));
}

#[test]
fn sides_that_are_no_words_of_the_venue_are_refused() {
    for (venue, request, name) in [
        (
            "bybit",
            post("/v5/order/create", "{\"side\":\"buy\"}"),
            "side",
        ),
        (
            "okx",
            post("/api/v5/trade/order", "{\"side\":\"BUY\"}"),
            "side",
        ),
        (
            "backpack",
            post("/api/v1/order", "{\"side\":\"buy\"}"),
            "side",
        ),
        ("upbit", post("/v1/orders", "{\"side\":\"buy\"}"), "side"),
        (
            "htx",
            post("/v1/order/orders/place", "{\"type\":\"limit\"}"),
            "type",
        ),
    ] {
        assert_eq!(
            refused(venue, &request),
            Unreadable::Value(name.into()),
            "{venue}"
        );
    }
}

#[test]
fn a_one_time_password_in_a_request_is_not_carried() {
    let request = form("/0/private/Balance", "otp=123456");
    assert_eq!(refused("kraken", &request), Unreadable::Value("otp".into()));
}

#[test]
fn what_is_not_in_a_table_is_unknown_everywhere() {
    for (venue, path) in [
        ("bitfinex", "/v2/auth/w/new"),
        ("bitget", "/api/v3/new/thing"),
        ("bitstamp", "/api/v2/new/"),
        ("bybit", "/v5/new/thing"),
        ("coinbase", "/api/v3/brokerage/new"),
        ("coinbaseexchange", "/new"),
        ("cryptocom", "/exchange/v1/private/new"),
        ("gate", "/api/v4/new"),
        ("gemini", "/v1/new"),
        ("htx", "/v1/new"),
        ("kraken", "/0/private/New"),
        ("krakenfutures", "/derivatives/api/v3/new"),
        ("kucoin", "/api/v1/new"),
        ("kucoinfutures", "/api/v1/new"),
        ("mexc", "/api/v3/new"),
        ("okx", "/api/v5/new"),
        ("revolutx", "/api/1.0/new"),
        ("robinhood", "/api/v1/crypto/new/"),
        ("upbit", "/v1/new"),
        ("backpack", "/api/v1/new"),
    ] {
        let operation = operation(venue, &request("POST", path, "", "", ""));
        assert_eq!(operation.kind, OperationKind::Unknown, "{venue}");
        assert!(
            operation.sentence().contains("[not understood: POST"),
            "{venue}"
        );
    }
    let unknown = get("/api/v2/private/new", "a=1");
    assert_eq!(operation("deribit", &unknown).kind, OperationKind::Unknown);
}

fn draft(
    venue: &str,
    request: &Request,
    credential: &Credential<'_>,
    moment: &touchkeep_venue::Moment,
) -> Result<Vec<u8>, CannotSign> {
    let read = private(at(venue), request);
    at(venue)
        .draft(&read, credential, moment)
        .map(|to_sign| to_sign.payload().to_vec())
}

#[test]
fn what_a_venue_needs_and_does_not_get_is_said() {
    let hmac = |algorithm| Credential {
        key: "k",
        algorithm,
        passphrase: None,
    };
    let bare = touchkeep_venue::Moment {
        nonce: None,
        unique: None,
        ..moment(1)
    };
    let kraken = form("/0/private/Balance", "");
    assert_eq!(
        draft("kraken", &kraken, &hmac(Algorithm::HmacSha512), &bare),
        Err(CannotSign::NoNonce)
    );
    assert_eq!(
        draft("kraken", &kraken, &hmac(Algorithm::HmacSha256), &moment(1)),
        Err(CannotSign::Algorithm)
    );
    let bitstamp = form("/api/v2/balance/", "");
    assert_eq!(
        draft("bitstamp", &bitstamp, &hmac(Algorithm::HmacSha256), &bare),
        Err(CannotSign::NoUnique)
    );
    let okx = get("/api/v5/account/balance", "");
    assert_eq!(
        draft("okx", &okx, &hmac(Algorithm::HmacSha256), &moment(1)),
        Err(CannotSign::NoPassphrase)
    );
    let split = Credential {
        key: "k\r\nX-Evil: 1",
        algorithm: Algorithm::HmacSha256,
        passphrase: Some("p"),
    };
    assert_eq!(
        draft("okx", &okx, &split, &moment(1)),
        Err(CannotSign::Header)
    );
    let unknown = post("/api/v1/new", "{}");
    assert_eq!(
        draft("backpack", &unknown, &hmac(Algorithm::Ed25519), &moment(1)),
        Err(CannotSign::Unknown)
    );
    let strange = post(
        "/exchange/v1/private/create-order",
        "{\"params\":{\"a\":true}}",
    );
    assert_eq!(
        draft(
            "cryptocom",
            &strange,
            &hmac(Algorithm::HmacSha256),
            &moment(1)
        ),
        Err(CannotSign::Values)
    );
}

#[test]
fn a_signature_of_another_length_is_not_put_in() {
    let read = private(at("okx"), &get("/api/v5/account/balance", ""));
    let credential = Credential {
        key: "k",
        algorithm: Algorithm::HmacSha256,
        passphrase: Some("p"),
    };
    let again = || at("okx").draft(&read, &credential, &moment(1)).unwrap();
    assert!(again().seal(&[[0_u8; 32]]).is_ok());
    assert_eq!(
        again().seal(&[[0_u8; 31]]).unwrap_err(),
        CannotSign::Signature
    );
    assert_eq!(
        again().seal::<[u8; 32]>(&[]).unwrap_err(),
        CannotSign::Signature
    );
    assert_eq!(
        again().seal(&[[0_u8; 32], [0_u8; 32]]).unwrap_err(),
        CannotSign::Signature
    );
}

proptest! {
    #[test]
    fn no_venue_panics(
        which in 0_usize..23,
        method in prop_oneof![Just("GET".to_owned()), Just("POST".to_owned()), "\\PC{0,6}"],
        path in prop_oneof![
            Just("/api/v5/asset/withdrawal".to_owned()), Just("/v5/order/create".to_owned()), Just("/0/private/Withdraw".to_owned()),
            "/(api|v1|v2|v5|0)/[a-zA-Z0-9/{}_.:-]{0,24}", "\\PC{0,20}",
        ],
        query in prop::collection::vec(any::<u8>(), 0..40),
        body in prop_oneof![prop::collection::vec(any::<u8>(), 0..60), "[\\[\\]{},:\"a-e0-9.-]{0,40}".prop_map(String::into_bytes)],
        kind in prop_oneof![Just(Some(JSON.to_owned())), Just(Some(FORM.to_owned())), prop::option::of("\\PC{0,20}")],
    ) {
        let info = &venues()[which];
        let request = Request { method, path, query, content_type: kind, body, expires: None };
        if let Ok(Decoded::Private(private)) = at(info.id).decode(&request) {
            let credential = Credential { key: "k", algorithm: info.schemes[0].algorithm, passphrase: Some("p") };
            let _ = at(info.id).draft(&private, &credential, &moment(7));
            let _ = (private.judged_query(), private.judged_body(), private.operation().sentence());
        }
    }
}
