//! What a client may say over the socket of each venue, and what never passes for reading.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use touchkeep_core::UnixMillis;
use touchkeep_venue::{
    Algorithm, CannotSign, Credential, Decoded, Moment, OperationKind, Request, Transport, Venue,
    stream::{Guard, Heard, LOGIN, LoginAsked, Told, sockets, stream, token_kept},
    venues,
};

const CHALLENGE: &str = "226aee50-88fc-4618-a42a-34f7709570b2";

fn guard(venue: &str, path: &str) -> Guard {
    let stream = stream(venue, path).unwrap_or_else(|| panic!("{venue}{path}"));
    stream.guard.unwrap()
}

fn login(venue: &str, path: &str, message: &str) -> LoginAsked {
    match guard(venue, path).hears(message.as_bytes(), Some(CHALLENGE)) {
        Heard::Login(asked) => asked,
        heard => panic!("{venue}: {message}: {heard:?}"),
    }
}

#[test]
fn sockets_go_where_the_table_says_and_nowhere_else() {
    for (venue, path, server, there) in [
        (
            "okx",
            "/ws/v5/private",
            "wss://ws.okx.com:8443",
            "/ws/v5/private",
        ),
        ("kraken", "/auth/v2", "wss://ws-auth.kraken.com", "/v2"),
        ("coinbase", "/", "wss://advanced-trade-ws.coinbase.com", "/"),
        (
            "coinbase",
            "/user",
            "wss://advanced-trade-ws-user.coinbase.com",
            "/",
        ),
        ("htx", "/ws/v2", "wss://api.huobi.pro", "/ws/v2"),
    ] {
        let stream = stream(venue, path).unwrap();
        assert_eq!((stream.origin, stream.path.as_str()), (server, there));
        assert!(stream.guard.is_some());
    }
    assert_eq!(stream("binance", "/ws/btcusdt@trade").unwrap().guard, None);
    for (venue, path) in [
        ("bybit", "/v5/trade"),
        ("binance", "/ws-fapi/v1"),
        ("binance", "/ws/"),
        ("binance", "/ws/../ws-api/v3"),
        ("binance", "/ws/a b"),
        ("okx", "/ws/v5/private/"),
        ("htx", "/ws/trade"),
        ("htx", "/linear-swap-trade"),
        ("gemini", "/v1/order/events/"),
        ("nobody", "/ws"),
    ] {
        assert_eq!(stream(venue, path), None, "{venue}{path}");
    }
}

#[test]
fn a_venue_says_that_it_has_logins_where_the_table_has_them() {
    for info in venues() {
        let has = sockets(info.id).iter().any(|socket| socket.login);
        let says = info.transports.contains(&Transport::WebSocketLogin);
        assert_eq!(has, says, "{}", info.id);
    }
}

#[test]
fn the_page_of_the_proxy_has_every_socket() {
    let page = include_str!("../../../docs/proxy.md");
    let mut of = "";
    let mut said = Vec::new();
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let mut cells = line.split('|').skip(1);
        let (Some(venue), Some(paths)) = (cells.next(), cells.next()) else {
            continue;
        };
        if !venue.trim().is_empty() {
            of = venue;
        }
        let quoted = |cell: &'static str| cell.split('`').skip(1).step_by(2);
        for venue in quoted(of) {
            let paths = quoted(paths).filter(|path| path.starts_with('/'));
            said.extend(paths.map(|path| (venue, path)));
        }
    }
    let mut known = Vec::new();
    for info in venues() {
        known.extend(sockets(info.id).iter().map(|socket| (info.id, socket.path)));
    }
    said.sort_unstable();
    known.sort_unstable();
    assert_eq!(said, known);
}

#[test]
fn reading_passes() {
    for (venue, path, message) in [
        ("okx", "/ws/v5/private", "ping"),
        (
            "okx",
            "/ws/v5/private",
            r#"{"op":"subscribe","args":[{"channel":"account"}]}"#,
        ),
        (
            "bitget",
            "/v2/ws/private",
            r#"{"op":"unsubscribe","args":[]}"#,
        ),
        (
            "bybit",
            "/v5/private",
            r#"{"op":"subscribe","args":["order"]}"#,
        ),
        (
            "binance",
            "/ws-api/v3",
            r#"{"id":1,"method":"userDataStream.subscribe"}"#,
        ),
        (
            "kraken",
            "/v2",
            r#"{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD"]}}"#,
        ),
        ("kraken", "/v2", r#"{"method":"ping","req_id":1}"#),
        (
            "krakenfutures",
            "/ws/v1",
            r#"{"event":"subscribe","feed":"ticker","product_ids":["PI_XBTUSD"]}"#,
        ),
        (
            "kucoin",
            "/endpoint",
            r#"{"id":1,"type":"subscribe","topic":"/account/balance"}"#,
        ),
        ("kucoinfutures", "/endpoint", r#"{"id":1,"type":"ping"}"#),
        (
            "deribit",
            "/ws/api/v2",
            r#"{"jsonrpc":"2.0","id":1,"method":"private/subscribe","params":{"channels":["user.orders.any.any.raw"]}}"#,
        ),
        (
            "deribit",
            "/ws/api/v2",
            r#"{"jsonrpc":"2.0","id":1,"method":"public/get_time"}"#,
        ),
        ("gate", "/ws/v4/", r#"{"time":1,"channel":"spot.ping"}"#),
        (
            "gate",
            "/ws/v4/",
            r#"{"time":1,"channel":"spot.trades","event":"subscribe","payload":["BTC_USDT"]}"#,
        ),
        (
            "cryptocom",
            "/exchange/v1/user",
            r#"{"id":1,"method":"subscribe","params":{"channels":["user.order"]}}"#,
        ),
        (
            "cryptocom",
            "/exchange/v1/user",
            r#"{"id":1,"method":"public/respond-heartbeat"}"#,
        ),
        (
            "htx",
            "/ws/v2",
            r#"{"action":"sub","ch":"accounts.update#2"}"#,
        ),
        ("htx", "/notification", r#"{"op":"pong","ts":1}"#),
        (
            "bitfinex",
            "/ws/2",
            r#"{"event":"subscribe","channel":"ticker","symbol":"tBTCUSD"}"#,
        ),
        (
            "coinbase",
            "/",
            r#"{"type":"subscribe","channel":"ticker","product_ids":["BTC-USD"]}"#,
        ),
        (
            "coinbaseexchange",
            "/",
            r#"{"type":"subscribe","channels":["ticker"],"product_ids":["BTC-USD"]}"#,
        ),
        (
            "backpack",
            "/",
            r#"{"method":"SUBSCRIBE","params":["trade.BTC_USDC"]}"#,
        ),
    ] {
        let heard = guard(venue, path).hears(message.as_bytes(), None);
        assert_eq!(heard, Heard::Reads, "{venue}: {message}");
    }
}

// What orders, cancels, moves, opens another session, or makes a token at each venue, in the venue's own words.
#[test]
fn what_trades_never_passes_for_reading() {
    for (venue, path, messages) in [
        (
            "okx",
            "/ws/v5/private",
            &[
                r#"{"op":"order","args":[{}]}"#,
                r#"{"op":"batch-orders","args":[{}]}"#,
                r#"{"op":"mass-cancel","args":[{}]}"#,
                r#"{"op":"Subscribe"}"#,
                r#"{"op":["subscribe"]}"#,
                r#"{"op":"subscribe","op":"order"}"#,
                r#"{"op":"subscribe","OP":"order"}"#,
                r#"{"args":[]}"#,
                "order",
            ][..],
        ),
        (
            "bitget",
            "/v2/ws/private",
            &[r#"{"op":"trade","args":[{"channel":"place-order"}]}"#],
        ),
        (
            "bybit",
            "/v5/private",
            &[r#"{"op":"order.create","args":[]}"#, "ping"],
        ),
        (
            "binance",
            "/ws-api/v3",
            &[
                r#"{"id":1,"method":"order.place","params":{}}"#,
                r#"{"id":1,"method":"order.cancelReplace","params":{}}"#,
                r#"{"id":1,"method":"openOrders.cancelAll","params":{}}"#,
                r#"{"id":1,"method":"sor.order.place","params":{}}"#,
                r#"{"id":1,"method":"userDataStream.subscribe.listenToken","params":{"listenToken":"x"}}"#,
                r#"{"id":1,"method":"session.logon","params":{"apiKey":"x"},"also":{"method":"order.place"}}"#,
            ],
        ),
        (
            "kraken",
            "/v2",
            &[
                r#"{"method":"add_order","params":{"token":"t"}}"#,
                r#"{"method":"batch_add","params":{}}"#,
                r#"{"method":"edit_order","params":{}}"#,
                r#"{"method":"cancel_all"}"#,
                r#"{"method":"cancel_all_orders_after","params":{"timeout":1}}"#,
                r#"{"method":"subscribe","params":{"channel":"ticker","token":"t"}}"#,
            ],
        ),
        (
            "krakenfutures",
            "/ws/v1",
            &[
                r#"{"event":"sendorder","symbol":"PI_XBTUSD"}"#,
                r#"{"event":"subscribe","feed":"fills","api_key":"x","original_challenge":"orderType=mkt/api/v3/sendorder","signed_challenge":"x"}"#,
                r#"{"event":"subscribe","feed":"fills","order":{}}"#,
            ],
        ),
        (
            "kucoin",
            "/endpoint",
            &[
                r#"{"id":1,"type":"order"}"#,
                r#"{"id":1,"type":"openTunnel"}"#,
            ],
        ),
        (
            "kucoinfutures",
            "/endpoint",
            &[r#"{"id":1,"type":"order"}"#],
        ),
        (
            "deribit",
            "/ws/api/v2",
            &[
                r#"{"jsonrpc":"2.0","id":1,"method":"private/buy","params":{"instrument_name":"BTC-PERPETUAL","amount":10}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"private/withdraw","params":{}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"private/cancel_all"}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"private/enable_cancel_on_disconnect"}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"public/exchange_token","params":{"refresh_token":"x","subject_id":1}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"public/fork_token","params":{"refresh_token":"x"}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"public/auth","params":{"grant_type":"refresh_token","refresh_token":"x"}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"private/subscribe","params":{"channels":[],"access_token":"x"}}"#,
                r#"[{"jsonrpc":"2.0","id":1,"method":"public/test"}]"#,
            ],
        ),
        (
            "gate",
            "/ws/v4/",
            &[
                r#"{"time":1,"channel":"spot.order_place","event":"api","payload":{}}"#,
                r#"{"time":1,"channel":"spot.login","event":"api","payload":{}}"#,
                r#"{"time":1,"channel":"spot.ping","event":"api","payload":{}}"#,
                r#"{"time":1,"channel":"spot.order_place"}"#,
                r#"{"time":1,"channel":"spot.orders&event=api","event":"subscribe","auth":{"KEY":"x"}}"#,
                r#"{"time":1,"channel":"spot.orders","event":"subscribe","order":{}}"#,
            ],
        ),
        (
            "gate",
            "/v4/ws/usdt",
            &[r#"{"time":1,"channel":"futures.order_place","event":"api","payload":{}}"#],
        ),
        (
            "cryptocom",
            "/exchange/v1/user",
            &[
                r#"{"id":1,"method":"private/create-order","params":{}}"#,
                r#"{"id":1,"method":"private/cancel-all-orders","params":{}}"#,
                r#"{"id":1,"method":"private/create-withdrawal","params":{}}"#,
                r#"{"id":1,"method":"private/set-cancel-on-disconnect","params":{"scope":"CONNECTION"}}"#,
            ],
        ),
        (
            "htx",
            "/ws/v2",
            &[
                r#"{"action":"req","ch":"create-order","params":{}}"#,
                r#"{"ch":"create-order","params":{}}"#,
                r#"{"op":"create_order"}"#,
            ],
        ),
        (
            "htx",
            "/linear-swap-notification",
            &[
                r#"{"op":"create_order","data":{}}"#,
                r#"{"action":"sub","ch":"x"}"#,
            ],
        ),
        (
            "gemini",
            "/v1/order/events",
            &[
                r#"{"method":"order.place","params":{}}"#,
                r#"{"type":"subscribe","subscriptions":[]}"#,
            ],
        ),
        (
            "bitfinex",
            "/ws/2",
            &[
                r#"[0,"on",null,{"type":"EXCHANGE LIMIT"}]"#,
                r#"[0,"ou",null,{"id":1}]"#,
                r#"[0,"oc_multi",null,{"all":1}]"#,
                r#"[0,"ox_multi",null,[["on",{}]]]"#,
                r#"[0,"fon",null,{}]"#,
                r#"{"event":"auth","apiKey":"x","dms":4}"#,
                r#"{"event":"auth","token":"x"}"#,
            ],
        ),
        (
            "coinbase",
            "/",
            &[
                r#"{"type":"order","channel":"user"}"#,
                r#"{"type":"subscribe","channel":"user","order":{}}"#,
                r#"{"type":"subscribe","channel":"GET/v2/accounts","signature":"x"}"#,
                r#"{"type":"subscribe","channel":"user","product_ids":["/v2/accounts"]}"#,
            ],
        ),
        (
            "coinbaseexchange",
            "/",
            &[
                r#"{"type":"order"}"#,
                r#"{"type":"subscribe","channels":["user"],"order":{}}"#,
            ],
        ),
        (
            "bitstamp",
            "/",
            &[
                r#"{"event":"bts:order","data":{}}"#,
                r#"{"event":"bts:subscribe","data":{"channel":"live_trades_btcusd","auth":"x"}}"#,
                r#"{"event":"bts:subscribe","data":{"channel":"Private-my_orders_btcusd-0","auth":"x"}}"#,
                r#"{"event":"bts:subscribe","data":{"channel":"private-my_orders_btcusd-0","auth":"x","user":1}}"#,
                r#"{"event":"bts:subscribe","data":{"channel":"private-my_orders_btcusd-a\u0022","auth":"x"}}"#,
                r#"{"event":"bts:subscribe","data":{"channel":"private-my_orders_btcusd"}}"#,
            ],
        ),
        (
            "mexc",
            "/edge",
            &[
                r#"{"method":"order.submit","param":{}}"#,
                r#"{"method":"login","param":{"apiKey":"x"},"order":{}}"#,
                r#"{"method":"subscribe"}"#,
            ],
        ),
        (
            "upbit",
            "/websocket/v1/private",
            &[
                r#"{"type":"myOrder"}"#,
                r#"[{"ticket":"a"},{"method":"ORDER"}]"#,
                r#"[{"ticket":"a"},{"type":"myOrder","order":{}}]"#,
                r#"["PING"]"#,
            ],
        ),
        (
            "backpack",
            "/",
            &[
                r#"{"method":"orderExecute","params":[]}"#,
                r#"{"method":"SUBSCRIBE","params":["account.orderUpdate"],"order":{}}"#,
            ],
        ),
    ] {
        for message in messages {
            let heard = guard(venue, path).hears(message.as_bytes(), None);
            assert!(
                matches!(heard, Heard::Refused(_)),
                "{venue}: {message}: {heard:?}"
            );
            let refusal = guard(venue, path).refusal(message.as_bytes(), "Touchkeep: no");
            assert!(refusal.contains("Touchkeep: no"), "{refusal}");
        }
    }
}

#[test]
fn a_private_subscription_is_a_login_though_the_client_shows_no_key() {
    for (venue, path, message) in [
        (
            "kraken",
            "/v2",
            r#"{"method":"subscribe","params":{"channel":"executions"}}"#,
        ),
        (
            "coinbase",
            "/user",
            r#"{"type":"subscribe","channel":"user"}"#,
        ),
        (
            "coinbaseexchange",
            "/",
            r#"{"type":"subscribe","channels":[{"name":"user","product_ids":["BTC-USD"]}]}"#,
        ),
        (
            "backpack",
            "/",
            r#"{"method":"SUBSCRIBE","params":["account.positionUpdate"]}"#,
        ),
    ] {
        assert_eq!(login(venue, path, message).key, "");
    }
}

#[test]
fn a_refusal_answers_what_was_said() {
    let order = br#"{"id":7,"method":"order.place","params":{}}"#;
    let refusal = guard("binance", "/ws-api/v3").refusal(order, "no");
    let wanted = r#"{"id":7,"status":403,"error":{"code":-1002,"msg":"no"}}"#;
    assert_eq!(refusal, wanted);
    let broken = guard("bybit", "/v5/private").refusal(b"\xff", "no");
    assert!(
        broken.contains(r#""success":false,"ret_msg":"no""#),
        "{broken}"
    );
}

fn request(path: &str, asked: &LoginAsked) -> Request {
    Request {
        method: LOGIN.into(),
        path: path.into(),
        query: Vec::new(),
        content_type: None,
        body: asked.body(),
        expires: None,
    }
}

const MOMENT: Moment = Moment {
    now: UnixMillis(1_649_729_878_532),
    window_ms: 5000,
    nonce: Some(1_649_729_878_533),
    unique: Some([7; 16]),
};

fn payload(
    venue: &str,
    path: &str,
    asked: &LoginAsked,
    algorithm: Algorithm,
) -> Result<Vec<u8>, CannotSign> {
    let login = guard(venue, path).login();
    let Ok(Decoded::Private(private)) = login.decode(&request(path, asked)) else {
        panic!("a login");
    };
    assert_eq!(private.operation().kind, OperationKind::Read);
    let credential = Credential {
        key: "key",
        algorithm,
        passphrase: Some("words"),
    };
    let to_sign = login.draft(&private, &credential, &MOMENT)?;
    Ok(to_sign.payload().to_vec())
}

#[test]
fn binance_logs_in_with_ed25519_alone_over_parameters_in_the_order_of_their_names() {
    let path = "/ws-api/v3";
    let logon = login(
        "binance",
        path,
        r#"{"id":"a","method":"session.logon","params":{"apiKey":"x"}}"#,
    );
    assert_eq!(logon.key, "x");
    let hmac = payload("binance", path, &logon, Algorithm::HmacSha256);
    assert_eq!(hmac, Err(CannotSign::Algorithm));
    // As web-socket-api.md writes the payload of a signed request.
    let wanted = b"apiKey=key&recvWindow=5000&timestamp=1649729878532";
    assert_eq!(
        payload("binance", path, &logon, Algorithm::Ed25519).unwrap(),
        wanted
    );
    let subscribe =
        r#"{"id":"a","method":"userDataStream.subscribe.signature","params":{"apiKey":"x"}}"#;
    let subscribe = login("binance", path, subscribe);
    assert_eq!(
        payload("binance", path, &subscribe, Algorithm::HmacSha256).unwrap(),
        wanted
    );
    let elsewhere = request("/ws/btcusdt@trade", &logon);
    assert!(guard("binance", path).login().decode(&elsewhere).is_err());
}

// The bytes of a login must never be those of a request: a client chooses what it says over a socket.
#[test]
fn what_a_client_says_never_becomes_the_bytes_of_a_request() {
    let auth = r#"{"jsonrpc":"2.0","id":1,"method":"public/auth","params":{"grant_type":"client_signature","client_id":"x","timestamp":1,"nonce":"n","data":"GET\u002fapi/v2/private/withdraw","signature":"x"}}"#;
    let asked = login("deribit", "/ws/api/v2", auth);
    let signed = payload("deribit", "/ws/api/v2", &asked, Algorithm::HmacSha256).unwrap();
    let nonce = "07".repeat(16);
    assert_eq!(signed, format!("1649729878532\n{nonce}\n").as_bytes());

    let futures = guard("krakenfutures", "/ws/v1");
    for (said, told) in [
        (
            format!(r#"{{"event":"challenge","message":"{CHALLENGE}"}}"#),
            Told::Noted(CHALLENGE.into()),
        ),
        (
            r#"{"event":"challenge","message":"orderType=mkt/api/v3/sendorder"}"#.into(),
            Told::Passes,
        ),
        (
            r#"{"feed":"challenge","message":"226aee50-88fc-4618-a42a-34f7709570b2"}"#.into(),
            Told::Passes,
        ),
    ] {
        assert_eq!(futures.told(&said), told, "{said}");
    }
    // Not what the client says that the challenge was.
    let subscribe = r#"{"event":"subscribe","feed":"fills","api_key":"x","original_challenge":"orderType=mkt/api/v3/sendorder","signed_challenge":"x"}"#;
    let asked = login("krakenfutures", "/ws/v1", subscribe);
    assert_eq!(
        asked.body(),
        format!(r#"{{"challenge":"{CHALLENGE}"}}"#).as_bytes()
    );
    let forged = br#"{"challenge":"orderType=mkt/api/v3/sendorder"}"#;
    let mut request = request("/ws/v1", &asked);
    request.body = forged.to_vec();
    let Ok(Decoded::Private(private)) = futures.login().decode(&request) else {
        panic!("a login");
    };
    let credential = Credential {
        key: "key",
        algorithm: Algorithm::HmacSha512,
        passphrase: None,
    };
    let drafted = futures.login().draft(&private, &credential, &MOMENT);
    assert_eq!(drafted.err(), Some(CannotSign::Values));
}

#[test]
fn what_deribit_says_is_heard_without_its_tokens() {
    let deribit = guard("deribit", "/ws/api/v2");
    let answer =
        r#"{"id":1,"result":{"access_token":"a.b","refresh_token":"c.d","scope":"connection"}}"#;
    let Told::Instead(passed) = deribit.told(answer) else {
        panic!("with its tokens");
    };
    assert_eq!(
        passed,
        r#"{"id":1,"result":{"access_token":"kept-by-touchkeep","refresh_token":"kept-by-touchkeep","scope":"connection"}}"#
    );
    assert_eq!(
        deribit.told(r#"{"access_token":"a","access_token":"b"}"#),
        Told::Cut
    );
    assert_eq!(deribit.told(r#"{"method":"heartbeat"}"#), Told::Passes);
}

#[test]
fn bitstamps_account_has_a_number_that_no_client_hears() {
    let bitstamp = guard("bitstamp", "/");
    let answer = br#"{"valid_sec":60,"token":"t","user_id":4848701}"#;
    let values = bitstamp.answered(answer).unwrap();
    let subscribe =
        r#"{"event":"bts:subscribe","data":{"channel":"private-my_orders_btcusd-0","auth":"x"}}"#;
    let asked = login("bitstamp", "/", subscribe);
    assert_eq!(
        bitstamp.message(&asked, &values).unwrap(),
        r#"{"event":"bts:subscribe","data":{"channel":"private-my_orders_btcusd-4848701","auth":"t"}}"#
    );
    let end = r#"{"event":"bts:unsubscribe","data":{"channel":"private-my_orders_btcusd-0"}}"#;
    let asked = login("bitstamp", "/", end);
    assert_eq!(
        bitstamp.message(&asked, &values).unwrap(),
        r#"{"event":"bts:unsubscribe","data":{"channel":"private-my_orders_btcusd-4848701"}}"#
    );
    let event =
        r#"{"data":{"id":7},"channel":"private-my_orders_btcusd-4848701","event":"order_created"}"#;
    let passed =
        r#"{"data":{"id":7},"event":"order_created","channel":"private-my_orders_btcusd-0"}"#;
    assert_eq!(bitstamp.told(event), Told::Instead(passed.into()));
    let public = r#"{"data":{},"channel":"live_trades_btcusd","event":"trade"}"#;
    assert_eq!(bitstamp.told(public), Told::Passes);
    assert_eq!(
        bitstamp.told(r#"{"data":"private-my_orders_btcusd-4848701"}"#),
        Told::Cut
    );
    assert!(
        bitstamp
            .answered(br#"{"token":"t","user_id":"a-b"}"#)
            .is_none()
    );
}

#[test]
fn upbits_and_mexcs_logins_are_signed_as_their_pages_say() {
    let upbit = guard("upbit", "/websocket/v1/private");
    let opening = upbit.entered("").unwrap();
    let signed = payload(
        "upbit",
        "/websocket/v1/private",
        &opening,
        Algorithm::HmacSha256,
    );
    let signed = String::from_utf8(signed.unwrap()).unwrap();
    let part = |at: usize| {
        let part = signed.split('.').nth(at).unwrap().as_bytes();
        String::from_utf8(data_encoding::BASE64URL_NOPAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(part(0), r#"{"alg":"HS256","typ":"JWT"}"#);
    assert_eq!(
        part(1),
        r#"{"access_key":"key","nonce":"07070707-0707-4707-8707-070707070707"}"#
    );
    assert_eq!(upbit.hears(b"PING", None), Heard::Reads);

    let asked = login(
        "mexc",
        "/edge",
        r#"{"method":"login","param":{"apiKey":"x"},"subscribe":false}"#,
    );
    assert_eq!(asked.key, "x");
    assert_eq!(
        payload("mexc", "/edge", &asked, Algorithm::HmacSha256).unwrap(),
        b"key1649729878532"
    );
}

#[test]
fn a_client_that_asks_for_a_token_gets_none() {
    let at = |venue, path| token_kept(venue, "POST", path, "ws://127.0.0.1:9/t/kucoin");
    let kraken = at("kraken", "/0/private/GetWebSocketsToken")
        .unwrap()
        .to_text();
    assert_eq!(
        kraken,
        r#"{"error":[],"result":{"token":"kept-by-touchkeep","expires":900}}"#
    );
    let kucoin = at("kucoin", "/api/v1/bullet-private").unwrap().to_text();
    assert!(
        kucoin.contains("ws://127.0.0.1:9/t/kucoin/endpoint")
            && kucoin.contains("kept-by-touchkeep")
    );
    assert!(at("kucoinfutures", "/api/v1/bullet-private").is_some());
    assert_eq!(
        at("bitstamp", "/api/v2/websockets_token/")
            .unwrap()
            .to_text(),
        r#"{"valid_sec":60,"token":"kept-by-touchkeep","user_id":0}"#
    );
    assert!(at("kucoin", "/api/v1/bullet-public").is_none());
    assert!(at("okx", "/api/v1/bullet-private").is_none());
    let get = token_kept("kraken", "GET", "/0/private/GetWebSocketsToken", "");
    assert!(get.is_none());
}
