//! What stands beside the amount of an order: parameters that size, multiply or add to it, or borrow for it. An amount is said
//! only where nothing of the kind is there, because a limit of amounts is held against it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use common::{at, private, request};
use touchkeep_venue::{Operation, OperationKind, Request, Unreadable};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn post(path: &str, body: &str) -> Request {
    let kind = if body.starts_with(['{', '[']) {
        JSON
    } else {
        FORM
    };
    request("POST", path, "", body, kind)
}

fn operation(venue: &str, request: &Request) -> Operation {
    private(at(venue), request).operation().clone()
}

/// An order of each venue that says its amount; `@` is where more goes.
const ORDERS: [(&str, &str, &str); 24] = [
    (
        "backpack",
        "/api/v1/order",
        r#"{"orderType":"Limit","symbol":"SOL_USDC","side":"Bid","quantity":"1","price":"2"@}"#,
    ),
    (
        "binance",
        "/api/v3/order",
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=2@",
    ),
    (
        "binance",
        "/fapi/v1/order",
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=2@",
    ),
    (
        "bitfinex",
        "/v2/auth/w/order/submit",
        r#"{"type":"EXCHANGE LIMIT","symbol":"tBTCUSD","price":"2","amount":"1"@}"#,
    ),
    (
        "bitget",
        "/api/v2/spot/trade/place-order",
        r#"{"symbol":"BTCUSDT","side":"buy","orderType":"limit","size":"1","price":"2"@}"#,
    ),
    (
        "bitget",
        "/api/v2/mix/order/place-order",
        r#"{"symbol":"BTCUSDT","productType":"USDT-FUTURES","side":"buy","orderType":"limit","size":"1","price":"2"@}"#,
    ),
    ("bitstamp", "/api/v2/buy/btcusd/", "amount=1&price=2@"),
    (
        "bybit",
        "/v5/order/create",
        r#"{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"1","price":"2"@}"#,
    ),
    (
        "bybit",
        "/v5/order/create-batch",
        r#"{"category":"linear","request":[{"symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"1","price":"2"@}]}"#,
    ),
    (
        "coinbase",
        "/api/v3/brokerage/orders",
        r#"{"client_order_id":"c","product_id":"BTC-USD","side":"BUY","order_configuration":{"limit_limit_gtc":{"base_size":"1","limit_price":"2"}}@}"#,
    ),
    (
        "coinbaseexchange",
        "/orders",
        r#"{"product_id":"BTC-USD","side":"buy","type":"limit","size":"1","price":"2"@}"#,
    ),
    (
        "cryptocom",
        "/exchange/v1/private/create-order",
        r#"{"id":1,"method":"private/create-order","params":{"instrument_name":"BTC_USDT","side":"BUY","type":"LIMIT","quantity":"1","price":"2"@}}"#,
    ),
    (
        "gate",
        "/api/v4/spot/orders",
        r#"{"currency_pair":"BTC_USDT","side":"buy","amount":"1","price":"2"@}"#,
    ),
    (
        "gemini",
        "/v1/order/new",
        r#"{"symbol":"btcusd","amount":"1","price":"2","side":"buy","type":"exchange limit"@}"#,
    ),
    (
        "htx",
        "/v1/order/orders/place",
        r#"{"account-id":"1","symbol":"btcusdt","type":"buy-limit","amount":"1","price":"2"@}"#,
    ),
    (
        "kraken",
        "/0/private/AddOrder",
        "ordertype=limit&pair=XBTUSD&type=buy&volume=1&price=2@",
    ),
    (
        "krakenfutures",
        "/derivatives/api/v3/sendorder",
        "orderType=lmt&symbol=PF_XBTUSD&side=buy&size=1&limitPrice=2@",
    ),
    (
        "kucoin",
        "/api/v1/hf/orders",
        r#"{"symbol":"BTC-USDT","side":"buy","type":"limit","size":"1","price":"2"@}"#,
    ),
    (
        "kucoinfutures",
        "/api/v1/orders",
        r#"{"clientOid":"c","symbol":"XBTUSDTM","side":"buy","type":"limit","size":1,"price":"2"@}"#,
    ),
    (
        "okx",
        "/api/v5/trade/order",
        r#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","sz":"1","px":"2"@}"#,
    ),
    (
        "okx",
        "/api/v5/trade/batch-orders",
        r#"[{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","sz":"1","px":"2"@}]"#,
    ),
    (
        "revolutx",
        "/api/1.0/orders",
        r#"{"client_order_id":"c","symbol":"BTC-USD","side":"buy","order_configuration":{"limit":{"base_size":"1","price":"2"}}@}"#,
    ),
    (
        "robinhood",
        "/api/v1/crypto/trading/orders/",
        r#"{"client_order_id":"c","side":"buy","symbol":"BTC-USD","type":"market","market_order_config":{"asset_quantity":"1"}@}"#,
    ),
    (
        "upbit",
        "/v1/orders",
        r#"{"market":"KRW-BTC","side":"bid","price":"2","volume":"1","ord_type":"limit"@}"#,
    ),
];

fn with(at: usize, more: &str) -> Operation {
    let (venue, path, body) = ORDERS.get(at).unwrap();
    operation(venue, &post(path, &body.replace('@', more)))
}

fn place(path: &str) -> usize {
    ORDERS.iter().position(|(_, at, _)| *at == path).unwrap()
}

#[test]
fn beside_what_nobody_has_looked_at_no_order_says_an_amount() {
    for (at, (venue, path, body)) in ORDERS.iter().enumerate() {
        assert_eq!(
            with(at, "").amount,
            "1".parse().ok(),
            "{venue} {path} by itself"
        );
        let more: &[&str] = if body.starts_with(['{', '[']) {
            &[
                r#","notHeardOf":"1""#,
                r#","orders":[{"side":"buy","amount":"1000"}]"#,
                r#","more":{"quantity":1000}"#,
                r#","multiplier":5"#,
            ]
        } else {
            &["&notHeardOf=1", "&orders=%5B%7B%7D%5D", "&more[quantity]=1"]
        };
        for more in more {
            let read = with(at, more);
            assert_eq!(
                (read.amount, read.quote_amount),
                (None, None),
                "{venue} {more}"
            );
            assert_eq!(read.kind, OperationKind::Trade);
            assert!(
                read.side.is_some() && read.symbol.is_some(),
                "{venue} {more}"
            );
        }
    }
}

#[test]
fn what_sizes_multiplies_or_chains_takes_the_amount_away() {
    for (path, more) in [
        (
            "/api/v3/order",
            "&pendingType=LIMIT&pendingQuantity=5000000",
        ),
        ("/fapi/v1/order", "&leverage=125"),
        ("/v2/auth/w/order/submit", r#","lev":100"#),
        ("/api/v2/spot/trade/place-order", r#","total":"5000000""#),
        (
            "/api/v2/mix/order/place-order",
            r#","presetStopSurplusPrice":"3","presetStopSurplusSize":"5000000""#,
        ),
        ("/api/v2/buy/btcusd/", "&leverage=10"),
        ("/api/v2/buy/btcusd/", "&limit_price=1"),
        (
            "/v5/order/create",
            r#","tpslMode":"Partial","takeProfit":"3","tpSize":"5000000""#,
        ),
        (
            "/v5/order/create-batch",
            r#","tpslMode":"Partial","stopLoss":"1","slSize":"5000000""#,
        ),
        ("/api/v3/brokerage/orders", r#","leverage":"10""#),
        (
            "/api/v3/brokerage/orders",
            r#","attached_order_configuration":{"limit_limit_gtc":{"base_size":"5000000","limit_price":"3"}}"#,
        ),
        (
            "/exchange/v1/private/create-order",
            r#","contingency_type":"OTO""#,
        ),
        ("/v1/order/new", r#","total_spend":"5000000""#),
        (
            "/0/private/AddOrder",
            "&close%5Bordertype%5D=limit&close%5Bprice%5D=3",
        ),
        ("/api/v1/orders", r#","qty":"5000000""#),
        ("/api/v1/orders", r#","valueQty":"5000000""#),
        ("/api/v1/orders", r#","leverage":100"#),
        (
            "/api/v5/trade/order",
            r#","attachAlgoOrds":[{"tpTriggerPx":"3","tpOrdPx":"-1","sz":"5000000"}]"#,
        ),
        (
            "/api/v5/trade/batch-orders",
            r#","attachAlgoOrds":[{"tpTriggerPx":"3","tpOrdPx":"-1","sz":"5000000"}]"#,
        ),
    ] {
        let read = with(place(path), more);
        assert_eq!(
            (read.amount, read.quote_amount),
            (None, None),
            "{path} {more}"
        );
        assert!(!read.borrows, "{path} {more}");
    }
}

// Deribit takes further orders as a text in the query, with amounts of their own.
#[test]
fn orders_that_are_chained_to_one_of_deribit_take_its_amount_away() {
    let order = "instrument_name=BTC-PERPETUAL&amount=10&type=limit&price=1";
    let buy = |more: &str| {
        let query = format!("{order}{more}");
        let get = request("GET", "/api/v2/private/buy", &query, "", "");
        operation("deribit", &get).amount
    };
    assert_eq!(buy(""), "10".parse().ok());
    assert_eq!(
        buy("&time_in_force=good_til_cancelled&post_only=true"),
        "10".parse().ok()
    );
    let chained = "%5B%7B%22amount%22%3A5000000%2C%22direction%22%3A%22buy%22%7D%5D";
    for more in [
        &format!("&linked_order_type=one_triggers_other&otoco_config={chained}"),
        &format!("&otoco_config={chained}"),
        "&contracts=5000000",
    ] {
        assert_eq!(buy(more), None, "{more}");
    }
}

#[test]
fn an_order_of_backpack_that_waits_is_sized_by_its_own_name() {
    let order = |sizes: &str| {
        let body = format!(
            r#"{{"orderType":"Market","symbol":"SOL_USDC_PERP","side":"Ask","triggerPrice":"100",{sizes}}}"#
        );
        post("/api/v1/order", &body)
    };
    let waits = operation("backpack", &order(r#""triggerQuantity":"7""#));
    assert_eq!(waits.amount, "7".parse().ok());
    let part = operation("backpack", &order(r#""triggerQuantity":"100%""#));
    assert_eq!(part.amount, None);
    let both = at("backpack").decode(&order(r#""quantity":"1","triggerQuantity":"5000""#));
    assert!(matches!(both, Err(Unreadable::Either(..))), "{both:?}");
}

#[test]
fn an_order_that_borrows_says_so_and_no_amount() {
    let spot = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=2";
    let margin = |more: &str| {
        operation(
            "binance",
            &post("/sapi/v1/margin/order", &format!("{spot}{more}")),
        )
    };
    assert_eq!(
        margin("&sideEffectType=NO_SIDE_EFFECT&isIsolated=TRUE").amount,
        "1".parse().ok()
    );
    let borrowing = [
        margin("&sideEffectType=MARGIN_BUY"),
        margin("&sideEffectType=AUTO_BORROW_REPAY"),
        with(place("/v5/order/create"), r#","isLeverage":1"#),
        with(place("/v5/order/create-batch"), r#","isLeverage":"1""#),
        with(place("/api/v1/hf/orders"), r#","autoBorrow":true"#),
        with(place("/api/v4/spot/orders"), r#","auto_borrow":true"#),
        with(place("/api/v1/order"), r#","autoBorrow":true"#),
        with(place("/0/private/AddOrder"), "&leverage=5"),
        with(
            place("/exchange/v1/private/create-order"),
            r#","spot_margin":"MARGIN""#,
        ),
    ];
    for read in borrowing {
        assert!(read.borrows && read.amount.is_none(), "{read:?}");
        assert!(
            read.sentence().ends_with("and borrows what is missing"),
            "{}",
            read.sentence()
        );
    }
    // Nothing says so there but that the type is none of the exchange's; derivatives have the same types, and no loans.
    let bitfinex = |kind: &str, symbol: &str| {
        let body = format!(r#"{{"type":"{kind}","symbol":"{symbol}","price":"2","amount":"1"}}"#);
        operation("bitfinex", &post("/v2/auth/w/order/submit", &body))
    };
    for kind in ["LIMIT", "MARKET", "STOP LIMIT", "NOT HEARD OF"] {
        let margin = bitfinex(kind, "tBTCUSD");
        assert!(margin.borrows && margin.amount.is_none(), "{margin:?}");
    }
    for (kind, symbol) in [
        ("EXCHANGE LIMIT", "tBTCUSD"),
        ("EXCHANGE TRAILING STOP", "tDUSK:USD"),
        ("LIMIT", "tBTCF0:USTF0"),
    ] {
        let own = bitfinex(kind, symbol);
        assert!(!own.borrows && own.amount.is_some(), "{own:?}");
    }
    // Money that leaves is as much as it says, borrowed or not.
    let withdrawal = |more: &str| {
        let body = format!(
            r#"{{"address":"a","blockchain":"Solana","quantity":"5","symbol":"USDC"{more}}}"#
        );
        operation("backpack", &post("/wapi/v1/capital/withdrawals", &body))
    };
    let leaves = withdrawal(r#","autoBorrow":true"#);
    assert!(leaves.borrows && leaves.amount == "5".parse().ok());
    assert_eq!(
        leaves.sentence(),
        "Withdraw 5 USDC on Backpack and borrows what is missing to a (network Solana)"
    );
    assert!(!withdrawal(r#","autoBorrow":false"#).borrows);
    // It repays what was borrowed, of what the order brings in: no loan, and not only this order.
    let repays = margin("&sideEffectType=AUTO_REPAY");
    assert!(!repays.borrows && repays.amount.is_none());
    let without = with(place("/api/v1/hf/orders"), r#","autoBorrow":false"#);
    assert!(!without.borrows && without.amount.is_some());
}

// Only what the order's own type reads bounds it; a price that stands beside it for another type made a purchase at any price
// look small.
#[test]
fn parameters_of_another_type_bound_no_order() {
    let robinhood = |more: &str| {
        let order = r#"{"client_order_id":"c","side":"buy","symbol":"BTC-USD","#;
        let request = post(
            "/api/v1/crypto/trading/orders/",
            &format!("{order}{more}}}"),
        );
        operation("robinhood", &request)
    };
    let limit = r#""type":"limit","limit_order_config":{"asset_quantity":"1","limit_price":"2","time_in_force":"gtc"}"#;
    let read = robinhood(limit);
    assert_eq!(
        (read.amount, read.price),
        ("1".parse().ok(), "2".parse().ok())
    );
    for decoy in [
        r#""type":"market","market_order_config":{"asset_quantity":"1"},"limit_order_config":{"limit_price":"2"}"#,
        r#""type":"stop_loss","stop_loss_order_config":{"asset_quantity":"1","stop_price":"9"},"limit_order_config":{"limit_price":"2"}"#,
    ] {
        let read = robinhood(decoy);
        assert_eq!(
            (read.amount, read.price),
            ("1".parse().ok(), None),
            "{decoy}"
        );
    }
    let one = |price: &str, other: &str| {
        [
            (
                "coinbase",
                "/api/v3/brokerage/orders",
                format!(
                    r#"{{"client_order_id":"c","product_id":"BTC-USD","side":"BUY","order_configuration":{{"market_market_ioc":{{"base_size":"1"}},"limit_limit_gtc":{price}}}}}"#
                ),
            ),
            (
                "revolutx",
                "/api/1.0/orders",
                format!(
                    r#"{{"client_order_id":"c","symbol":"BTC-USD","side":"buy","order_configuration":{{"market":{{"base_size":"1"}},"limit":{other}}}}}"#
                ),
            ),
        ]
    };
    for (venue, path, body) in one(r#"{"limit_price":"2"}"#, r#"{"price":"2"}"#) {
        let read = at(venue).decode(&post(path, &body));
        assert!(
            matches!(read, Err(Unreadable::Either(..))),
            "{venue}: {read:?}"
        );
    }
    // A library that writes out what it does not set says nothing with it.
    for (venue, path, body) in one("null", "null") {
        let read = operation(venue, &post(path, &body));
        assert_eq!(
            (read.amount, read.price),
            ("1".parse().ok(), None),
            "{venue}"
        );
    }
}

// Gate takes `0` for the price of the market in its contracts; elsewhere nobody knows, and nothing costs nothing.
#[test]
fn a_price_of_nothing_bounds_no_order() {
    let mut priced = 0;
    for (at, (venue, path, body)) in ORDERS.iter().enumerate() {
        if with(at, "").price.is_none() {
            continue;
        }
        priced += 1;
        for (one, nothing) in [("\"2\"", "\"0.00\""), ("price=2", "price=0.00")] {
            let body = body.replace('@', "").replace(one, nothing);
            let read = operation(venue, &post(path, &body));
            let is_other = body.contains(nothing);
            assert_eq!(read.price.is_none(), is_other, "{venue} {path} {body}");
            assert!(read.amount.is_some(), "{venue} {path}");
        }
    }
    assert!(priced > 15, "{priced}");
}

#[test]
fn what_a_query_adds_beside_a_body_takes_the_amount_away() {
    for (path, query) in [
        ("/orders", "funds=5000000"),
        ("/api/v4/spot/orders", "type=market"),
        ("/api/v5/trade/order", "tgtCcy=quote_ccy"),
        ("/api/v5/trade/batch-orders", "sz=5000000"),
    ] {
        let (venue, path, body) = ORDERS.get(place(path)).unwrap();
        let body = body.replace('@', "");
        let ask = |query: &str| request("POST", path, query, &body, JSON);
        assert!(operation(venue, &ask("")).amount.is_some(), "{venue}");
        let read = operation(venue, &ask(query));
        assert_eq!((read.amount, read.quote_amount), (None, None), "{venue}");
    }
    // What says the same in both, as ccxt does there, adds nothing.
    let change = request(
        "PATCH",
        "/api/v4/spot/orders/1",
        "currency_pair=BTC_USDT&amount=1",
        r#"{"currency_pair":"BTC_USDT","amount":"1"}"#,
        JSON,
    );
    assert_eq!(operation("gate", &change).amount, "1".parse().ok());
}

// What bots say every day: when it holds, that it only reduces, where it stops, and what closes it.
#[test]
fn what_bots_say_beside_an_order_leaves_its_amount() {
    for (path, more) in [
        (
            "/api/v3/order",
            "&timeInForce=GTC&newOrderRespType=FULL&timestamp=1&recvWindow=5000&signature=ab&newClientOrderId=x",
        ),
        (
            "/fapi/v1/order",
            "&positionSide=LONG&reduceOnly=true&workingType=MARK_PRICE",
        ),
        (
            "/api/v2/mix/order/place-order",
            r#","marginCoin":"USDT","marginMode":"isolated","force":"gtc","presetStopSurplusPrice":"3","clientOid":"x""#,
        ),
        (
            "/v5/order/create",
            r#","timeInForce":"GTC","positionIdx":0,"takeProfit":"3","stopLoss":"1","tpslMode":"Full""#,
        ),
        (
            "/api/v5/trade/order",
            r#","tag":"x","attachAlgoOrds":[{"tpTriggerPx":"3","tpOrdPx":"-1","sz":""}],"expTime":null"#,
        ),
        (
            "/0/private/AddOrder",
            "&oflags=post&timeinforce=GTC&nonce=1",
        ),
        ("/v1/order/new", r#","options":["maker-or-cancel"]"#),
        (
            "/api/v1/orders",
            r#","leverage":1,"timeInForce":"GTC","marginMode":"CROSS""#,
        ),
    ] {
        assert_eq!(
            with(place(path), more).amount,
            "1".parse().ok(),
            "{path} {more}"
        );
    }
}
