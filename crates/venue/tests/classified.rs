//! Whether the tables know the endpoints that ccxt knows, and take none for milder than it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "tests may fail loudly"
)]

mod common;

use std::collections::{BTreeMap, HashMap, HashSet};

use common::{at, json, request};
use touchkeep_venue::{
    Algorithm, Counter, Decoded, OperationKind, Transport, Unreadable, venue, venues,
};

const ENDPOINTS: &str = include_str!("vectors/ccxt-endpoints.tsv");

struct Endpoint {
    venue: &'static str,
    method: &'static str,
    path: String,
    name: &'static str,
}

fn endpoints() -> Vec<Endpoint> {
    let rows = ENDPOINTS.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let cells: Vec<&'static str> = line.split('\t').collect();
        let venue = match (cells[0], cells[2]) {
            ("kucoin", "api-futures.kucoin.com") => "kucoinfutures",
            (venue, _) => venue,
        };
        Endpoint {
            venue,
            method: cells[1],
            path: filled(cells[3]),
            name: cells[4],
        }
    })
    .collect()
}

// With something in its places, as a request has it.
fn filled(path: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in path.chars() {
        match c {
            '{' => {
                inside = true;
                out.push_str("11");
            }
            '}' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

fn kind(endpoint: &Endpoint) -> Option<OperationKind> {
    let request = request(endpoint.method, &endpoint.path, "", "", "");
    match at(endpoint.venue).decode(&request) {
        Ok(Decoded::Private(private)) => Some(private.operation().kind),
        Ok(Decoded::Public(_)) => Some(OperationKind::Read),
        Err(_) => None,
    }
}

#[test]
fn nearly_all_private_endpoints_of_ccxt_are_known() {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut missing = Vec::new();
    for endpoint in &endpoints() {
        let (known, all) = counts.entry(endpoint.venue).or_default();
        *all += 1;
        match kind(endpoint) {
            None | Some(OperationKind::Unknown) => {
                missing.push(format!(
                    "{} {} {}",
                    endpoint.venue, endpoint.method, endpoint.path
                ));
            }
            Some(_) => *known += 1,
        }
    }
    for (venue, (known, all)) in &counts {
        println!("{venue}: {known} of {all}");
    }
    assert_eq!(
        counts.len(),
        21,
        "all but Robinhood, which ccxt does not have, and Hyperliquid, of which it has two"
    );
    for (venue, (known, all)) in counts {
        assert!(
            known * 100 >= all * 95,
            "{venue}: {known} of {all}: {missing:#?}"
        );
    }
}

#[test]
fn nothing_of_ccxt_is_taken_for_public() {
    for endpoint in &endpoints() {
        let request = request(endpoint.method, &endpoint.path, "", "", "");
        let read = at(endpoint.venue).decode(&request);
        assert!(
            !matches!(read, Ok(Decoded::Public(_))),
            "{} {}",
            endpoint.venue,
            endpoint.path
        );
    }
}

// Where the list, which was sorted by words of the names, takes an endpoint for more than it is.
const MILDER: &[(&str, &str, OperationKind, &str)] = &[
    (
        "bitget",
        "POST private.spot:spot/v1/account/sub-account-spot-assets",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitget",
        "POST private.mix:mix/v1/account/sub-account-contract-assets",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitget",
        "POST private.spot:spot/v1/trace/order/orderCurrentList",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitget",
        "POST private.spot:spot/v1/trace/order/orderHistoryList",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitget",
        "POST private.spot:spot/v1/trace/order/spotInfoList",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitget",
        "POST private.mix:mix/v1/trace/report/order/historyList",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitget",
        "POST private.mix:mix/v1/trace/report/order/currentList",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitget",
        "POST private.margin:margin/v1/isolated/account/riskRate",
        OperationKind::Read,
        "shows a rate",
    ),
    (
        "cryptocom",
        "POST v2.private:private/get-cancel-on-disconnect",
        OperationKind::Read,
        "shows a setting",
    ),
    (
        "cryptocom",
        "POST derivatives.private:private/get-cancel-on-disconnect",
        OperationKind::Read,
        "shows a setting",
    ),
    (
        "cryptocom",
        "POST v2.private:private/get-subaccount-balances",
        OperationKind::Read,
        "lists",
    ),
    (
        "cryptocom",
        "POST derivatives.private:private/get-subaccount-balances",
        OperationKind::Read,
        "lists",
    ),
    (
        "cryptocom",
        "POST v2.private:private/get-withdrawal-history",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitget",
        "POST private.spot:spot/v1/convert/quoted-price",
        OperationKind::Read,
        "asks a price; the trade is a transfer",
    ),
    (
        "bitfinex",
        "POST private:auth/r/permissions",
        OperationKind::Read,
        "shows the rights of this key",
    ),
    (
        "bitfinex",
        "POST private:auth/r/orders",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitfinex",
        "POST private:auth/r/orders/{symbol}",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitfinex",
        "POST private:auth/r/orders/{symbol}/hist",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitfinex",
        "POST private:auth/r/orders/hist",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitfinex",
        "POST private:auth/r/orders/otc/{symbol}/hist",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitfinex",
        "POST private:auth/r/order/{symbol}:{id}/trades",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitfinex",
        "POST private:auth/calc/order/avail",
        OperationKind::Read,
        "computes",
    ),
    (
        "bitfinex",
        "POST private:auth/r/ext/wallets/transfers/free/count",
        OperationKind::Read,
        "counts",
    ),
    (
        "bitstamp",
        "POST private:fees/withdrawal/",
        OperationKind::Read,
        "lists fees",
    ),
    (
        "bitstamp",
        "POST private:fees/withdrawal/{currency}/",
        OperationKind::Read,
        "lists fees",
    ),
    (
        "bitstamp",
        "POST private:withdrawal-requests/",
        OperationKind::Read,
        "lists",
    ),
    (
        "bitstamp",
        "POST private:withdrawal/status/",
        OperationKind::Read,
        "shows a state",
    ),
    (
        "coinbase",
        "POST v3.private:brokerage/orders/edit_preview",
        OperationKind::Read,
        "computes, places nothing",
    ),
    (
        "coinbase",
        "POST v3.private:brokerage/orders/preview",
        OperationKind::Read,
        "computes, places nothing",
    ),
    (
        "coinbase",
        "POST v3.private:brokerage/convert/quote",
        OperationKind::Read,
        "asks a price; the commit is a transfer",
    ),
    (
        "cryptocom",
        "POST v1.private:private/get-cancel-on-disconnect",
        OperationKind::Read,
        "shows a setting",
    ),
    (
        "cryptocom",
        "POST v1.private:private/get-subaccount-balances",
        OperationKind::Read,
        "lists",
    ),
    (
        "cryptocom",
        "POST v1.private:private/staking/get-open-convert",
        OperationKind::Read,
        "lists",
    ),
    (
        "cryptocom",
        "POST v1.private:private/staking/get-convert-history",
        OperationKind::Read,
        "lists",
    ),
    (
        "cryptocom",
        "POST v1.private:private/get-withdrawal-history",
        OperationKind::Read,
        "lists",
    ),
    (
        "cryptocom",
        "POST v1.private:private/fiat/fiat-withdraw-history",
        OperationKind::Read,
        "lists",
    ),
    (
        "deribit",
        "GET private:get_cancel_on_disconnect",
        OperationKind::Read,
        "shows a setting",
    ),
    (
        "deribit",
        "GET private:get_subaccounts",
        OperationKind::Read,
        "lists",
    ),
    (
        "deribit",
        "GET private:get_subaccounts_details",
        OperationKind::Read,
        "lists",
    ),
    (
        "deribit",
        "GET private:get_transfers",
        OperationKind::Read,
        "lists",
    ),
    (
        "deribit",
        "GET private:get_withdrawals",
        OperationKind::Read,
        "lists",
    ),
    (
        "gemini",
        "POST private:v1/order/status",
        OperationKind::Read,
        "shows a state",
    ),
    (
        "gemini",
        "POST private:v1/orders",
        OperationKind::Read,
        "lists",
    ),
    (
        "gemini",
        "POST private:v1/margin/order/preview",
        OperationKind::Read,
        "computes, places nothing",
    ),
    (
        "gemini",
        "POST private:v1/prediction-markets/orders/active",
        OperationKind::Read,
        "lists",
    ),
    (
        "gemini",
        "POST private:v1/prediction-markets/orders/history",
        OperationKind::Read,
        "lists",
    ),
    (
        "gemini",
        "POST private:v1/transfers",
        OperationKind::Read,
        "lists",
    ),
    (
        "gemini",
        "POST private:v2/transfers",
        OperationKind::Read,
        "lists",
    ),
    (
        "gemini",
        "POST private:v1/withdraw/{currencyCodeLowerCase}/feeEstimate",
        OperationKind::Read,
        "computes a fee",
    ),
    (
        "gemini",
        "POST private:v2/withdraw/{network}/{ticker}/feeEstimate",
        OperationKind::Read,
        "computes a fee",
    ),
    (
        "htx",
        "POST contract.private:api/v1/contract_openorders",
        OperationKind::Read,
        "lists",
    ),
    (
        "htx",
        "POST contract.private:api/v1/contract_trigger_openorders",
        OperationKind::Read,
        "lists",
    ),
    (
        "htx",
        "POST contract.private:api/v1/contract_tpsl_openorders",
        OperationKind::Read,
        "lists",
    ),
    (
        "htx",
        "POST contract.private:api/v1/contract_track_openorders",
        OperationKind::Read,
        "lists",
    ),
    (
        "htx",
        "POST contract.private:swap-api/v1/swap_openorders",
        OperationKind::Read,
        "lists",
    ),
    (
        "htx",
        "POST contract.private:swap-api/v1/swap_trigger_openorders",
        OperationKind::Read,
        "lists",
    ),
    (
        "htx",
        "POST contract.private:swap-api/v1/swap_tpsl_openorders",
        OperationKind::Read,
        "lists",
    ),
    (
        "htx",
        "POST contract.private:swap-api/v1/swap_track_openorders",
        OperationKind::Read,
        "lists",
    ),
    (
        "htx",
        "POST contract.private:api/v1/contract_transfer_limit",
        OperationKind::Read,
        "shows a limit",
    ),
    (
        "htx",
        "POST contract.private:api/v1/contract_master_sub_transfer_record",
        OperationKind::Read,
        "lists",
    ),
    (
        "htx",
        "POST contract.private:swap-api/v1/swap_transfer_limit",
        OperationKind::Read,
        "shows a limit",
    ),
    (
        "htx",
        "POST contract.private:swap-api/v1/swap_master_sub_transfer_record",
        OperationKind::Read,
        "lists",
    ),
    (
        "kraken",
        "POST private:OpenOrders",
        OperationKind::Read,
        "lists",
    ),
    (
        "kraken",
        "POST private:GetApiKeyInfo",
        OperationKind::Read,
        "shows the rights of this key",
    ),
    (
        "kraken",
        "POST private:WithdrawMethods",
        OperationKind::Read,
        "lists",
    ),
    (
        "kraken",
        "POST private:WithdrawAddresses",
        OperationKind::Read,
        "lists",
    ),
    (
        "kraken",
        "POST private:WithdrawInfo",
        OperationKind::Read,
        "computes a fee",
    ),
    (
        "kraken",
        "POST private:WithdrawStatus",
        OperationKind::Read,
        "lists",
    ),
    (
        "kucoin",
        "POST private:hf/orders/multi",
        OperationKind::Trade,
        "places several orders; ccxt's word is the cancel's",
    ),
    (
        "kucoin",
        "POST private:hf/orders/multi/sync",
        OperationKind::Trade,
        "places several orders",
    ),
    (
        "kucoin",
        "POST private:orders/multi",
        OperationKind::Trade,
        "places several orders",
    ),
    (
        "kucoin",
        "POST futuresPrivate:orders/multi",
        OperationKind::Trade,
        "places several orders",
    ),
    (
        "kucoin",
        "POST futuresPrivate:margin/withdrawMargin",
        OperationKind::Leverage,
        "takes margin off a position, inside the account",
    ),
    (
        "kucoin",
        "POST futuresPrivate:copy-trade/futures/position/margin/withdraw-margin",
        OperationKind::Leverage,
        "takes margin off a position, inside the account",
    ),
    (
        "mexc",
        "POST contract.private:order/open_order_total_count",
        OperationKind::Read,
        "counts",
    ),
    (
        "mexc",
        "POST contract.private:order/batch_query_with_external",
        OperationKind::Read,
        "lists",
    ),
    (
        "okx",
        "POST private:asset/convert/estimate-quote",
        OperationKind::Read,
        "asks a price; the trade is a transfer",
    ),
];

fn least(class: &str) -> OperationKind {
    match class {
        "withdraw" => OperationKind::Withdraw,
        "transfer" | "sub_account" => OperationKind::Transfer,
        "key_management" => OperationKind::KeyAdmin,
        "leverage_margin" => OperationKind::Leverage,
        "cancel_all" | "kill_switch" => OperationKind::Cancel,
        "order_place" => OperationKind::Trade,
        other => panic!("{other}"),
    }
}

#[test]
fn no_sensitive_endpoint_of_ccxt_falls_into_a_milder_kind() {
    let file = json(include_str!("vectors/sensitive_endpoints_ccxt.json"));
    let all = endpoints();
    let by_name: HashMap<(&str, String), &Endpoint> = all
        .iter()
        .map(|e| {
            let house = if e.venue.starts_with("kucoin") {
                "kucoin"
            } else {
                e.venue
            };
            ((house, format!("{} {}", e.method, e.name)), e)
        })
        .collect();
    let (mut seen, mut used, mut wrong) = (0, HashSet::new(), Vec::new());
    for (venue, classes) in file.as_object().unwrap() {
        for (class, names) in classes.as_object().unwrap() {
            for name in names.as_array().unwrap() {
                let name = name.as_str().unwrap();
                // ccxt has no server for these two; `swaps_of_gate_are_known` looks at them.
                if venue == "gate" && name.contains("flash_swap") {
                    continue;
                }
                let Some(endpoint) = by_name.get(&(venue.as_str(), name.to_owned())) else {
                    wrong.push(format!("{venue} {name}: not made by ccxt"));
                    continue;
                };
                // A GET looks, but at Deribit.
                let least = match endpoint.method {
                    "GET" if venue != "deribit" => OperationKind::Read,
                    _ => least(class),
                };
                let is = kind(endpoint);
                seen += 1;
                if is.is_some_and(|is| is >= least && is != OperationKind::Unknown) {
                    continue;
                }
                let milder = MILDER.iter().find(|(v, n, ..)| v == venue && *n == name);
                match milder {
                    Some((.., kind, _)) if Some(*kind) == is => {
                        used.insert((venue.clone(), name.to_owned()));
                    }
                    _ => wrong.push(format!("{venue}|{name}|{is:?}|{class}")),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(used.len(), MILDER.len(), "an exception that is none");
    assert_eq!(seen, 984);
}

// What ccxt's map, and a look at the name, take for a look or an order.
const MORE_THAN_ITS_NAME: [(&str, &str, &str, OperationKind); 36] = [
    // Whoever has the answer executes the trade; the right to read is enough to get it.
    (
        "deribit",
        "GET",
        "/api/v2/private/verify_block_trade",
        OperationKind::Transfer,
    ),
    // Trades outside the book, with a counterparty and at a price of the asker's choice.
    (
        "deribit",
        "GET",
        "/api/v2/private/execute_block_trade",
        OperationKind::Transfer,
    ),
    (
        "deribit",
        "GET",
        "/api/v2/private/approve_block_trade",
        OperationKind::Transfer,
    ),
    (
        "okx",
        "POST",
        "/api/v5/rfq/execute-quote",
        OperationKind::Transfer,
    ),
    (
        "okx",
        "POST",
        "/api/v5/rfq/create-quote",
        OperationKind::Transfer,
    ),
    (
        "backpack",
        "POST",
        "/api/v1/rfq/accept",
        OperationKind::Transfer,
    ),
    // The first quote is taken unseen, if it says so.
    ("backpack", "POST", "/api/v1/rfq", OperationKind::Transfer),
    (
        "gemini",
        "POST",
        "/v1/clearing/new",
        OperationKind::Transfer,
    ),
    (
        "gemini",
        "POST",
        "/v1/clearing/confirm",
        OperationKind::Transfer,
    ),
    (
        "gemini",
        "POST",
        "/v1/clearing/broker/new",
        OperationKind::Transfer,
    ),
    (
        "binance",
        "POST",
        "/eapi/v1/block/order/create",
        OperationKind::Transfer,
    ),
    (
        "binance",
        "PUT",
        "/eapi/v1/block/order/create",
        OperationKind::Transfer,
    ),
    (
        "binance",
        "POST",
        "/eapi/v1/block/order/execute",
        OperationKind::Transfer,
    ),
    // The answer holds what signs or orders past us.
    (
        "deribit",
        "GET",
        "/api/v2/private/list_api_keys",
        OperationKind::KeyAdmin,
    ),
    (
        "okx",
        "POST",
        "/api/v5/tradingBot/signal/create-signal",
        OperationKind::KeyAdmin,
    ),
    (
        "okx",
        "GET",
        "/api/v5/tradingBot/signal/signals",
        OperationKind::KeyAdmin,
    ),
    // To another user.
    (
        "deribit",
        "GET",
        "/api/v2/private/submit_transfer_to_user",
        OperationKind::Withdraw,
    ),
    (
        "mexc",
        "POST",
        "/api/v3/capital/transfer/internal",
        OperationKind::Withdraw,
    ),
    (
        "bybit",
        "POST",
        "/v5/broker/award/distribute-award",
        OperationKind::Withdraw,
    ),
    (
        "binance",
        "POST",
        "/sapi/v1/mining/hash-transfer/config",
        OperationKind::Withdraw,
    ),
    (
        "gate",
        "POST",
        "/api/v4/withdrawals/push",
        OperationKind::Withdraw,
    ),
    (
        "bitget",
        "POST",
        "/api/spot/v1/wallet/withdrawal-inner",
        OperationKind::Withdraw,
    ),
    // To a bank, and from one.
    (
        "coinbase",
        "POST",
        "/v2/accounts/1/sells",
        OperationKind::Withdraw,
    ),
    (
        "coinbase",
        "POST",
        "/v2/accounts/1/sells/2/commit",
        OperationKind::Withdraw,
    ),
    (
        "coinbase",
        "POST",
        "/v2/accounts/1/buys",
        OperationKind::Transfer,
    ),
    (
        "coinbase",
        "POST",
        "/v2/accounts/1/buys/2/commit",
        OperationKind::Transfer,
    ),
    (
        "gemini",
        "POST",
        "/v1/instant/execute",
        OperationKind::Transfer,
    ),
    // It lends what is there, for a day at least.
    (
        "okx",
        "POST",
        "/api/v5/account/set-auto-earn",
        OperationKind::Transfer,
    ),
    // Somebody else decides what it trades.
    (
        "okx",
        "POST",
        "/api/v5/tradingBot/grid/copy-order-algo",
        OperationKind::Transfer,
    ),
    (
        "okx",
        "POST",
        "/api/v5/tradingBot/signal/order-algo",
        OperationKind::Transfer,
    ),
    // Another account, and at Bybit for good.
    (
        "kucoin",
        "POST",
        "/api/ua/v1/account/mode",
        OperationKind::KeyAdmin,
    ),
    (
        "bybit",
        "POST",
        "/v5/account/upgrade-to-uta",
        OperationKind::KeyAdmin,
    ),
    (
        "bitget",
        "POST",
        "/api/v2/spot/account/upgrade",
        OperationKind::KeyAdmin,
    ),
    (
        "bitget",
        "POST",
        "/api/v3/account/switch",
        OperationKind::KeyAdmin,
    ),
    // ccxt has it as a GET.
    (
        "bybit",
        "GET",
        "/v5/user/del-submember",
        OperationKind::KeyAdmin,
    ),
    (
        "bybit",
        "POST",
        "/v5/user/del-submember",
        OperationKind::KeyAdmin,
    ),
];

#[test]
fn what_gives_money_or_rights_to_somebody_else_is_no_look_and_no_order() {
    for (venue, method, path, kind) in MORE_THAN_ITS_NAME {
        match at(venue).decode(&request(method, path, "", "", "")) {
            Ok(Decoded::Private(private)) => {
                assert_eq!(private.operation().kind, kind, "{venue} {method} {path}");
            }
            other => panic!("{venue} {path}: {other:?}"),
        }
    }
}

#[test]
fn swaps_of_gate_are_known() {
    for (path, kind) in [
        ("/api/v4/flash_swap/orders", OperationKind::Transfer),
        ("/api/v4/flash_swap/orders/preview", OperationKind::Read),
    ] {
        match at("gate").decode(&request("POST", path, "", "", "")) {
            Ok(Decoded::Private(private)) => assert_eq!(private.operation().kind, kind),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_venue_says_what_it_is() {
    let all = venues();
    assert_eq!(all.len(), 23);
    for info in &all {
        assert_eq!(venue(info.id).unwrap().id(), info.id);
        assert!(
            !info.schemes.is_empty() && !info.transports.is_empty(),
            "{}",
            info.id
        );
        assert!(
            !info.key_classes.is_empty() && info.endpoints > 5,
            "{}",
            info.id
        );
        assert_eq!(info.data_date.len(), 10, "{}", info.id);
        assert!(info.data_date.starts_with("2026-"), "{}", info.id);
        assert!(info.source.len() > 10, "{}", info.id);
        assert!(serde_json::to_value(info).unwrap()["schemes"][0]["algorithm"].is_string());
    }
    let ids: Vec<_> = all.iter().map(|info| info.id).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    assert!(venue("bitmex").is_none(), "closed");
}

#[test]
fn a_path_in_other_case_is_refused_everywhere() {
    for endpoint in &endpoints() {
        let other = endpoint.path.to_ascii_uppercase();
        if other == endpoint.path || venue(endpoint.venue).is_none() {
            continue;
        }
        let request = request(endpoint.method, &other, "", "", "");
        let read = at(endpoint.venue).decode(&request);
        assert!(
            matches!(read, Err(Unreadable::PathCase | Unreadable::NoOrigin)),
            "{} {other}: {read:?}",
            endpoint.venue
        );
    }
}

#[test]
fn the_page_of_the_venues_is_true() {
    let page = include_str!("../../../docs/venues.md");
    for info in venues() {
        let row = format!("| `{}` | {} |", info.id, info.name);
        let mut rows = page.lines().filter(|line| line.starts_with(&row));
        let line = rows.next().unwrap_or_else(|| panic!("no row {row}"));
        let end = format!("| {} | {} |", info.endpoints, info.data_date);
        assert!(line.ends_with(&end), "{line} should end in {end}");
        assert_eq!(line.contains("passphrase"), info.passphrase, "{line}");
        assert_eq!(
            line.contains("nonce of ours"),
            info.counter == Counter::Nonce,
            "{line}"
        );
        assert_eq!(
            line.contains("random value"),
            info.counter == Counter::Unique,
            "{line}"
        );
        let transports = info.transports;
        assert_eq!(
            line.contains("WebSocket login"),
            transports.contains(&Transport::WebSocketLogin),
            "{line}"
        );
        let keys = line.split('|').nth(3).unwrap();
        let named = |algorithm| match algorithm {
            Algorithm::HmacSha256 => "-SHA256",
            Algorithm::HmacSha384 => "HMAC-SHA384",
            Algorithm::HmacSha512 => "HMAC-SHA512",
            Algorithm::RsaPkcs1Sha256 => "RSA",
            Algorithm::Ed25519 if info.id == "coinbase" => "EdDSA",
            Algorithm::Ed25519 => "Ed25519",
            Algorithm::EcdsaP256Sha256 => "ES256",
            Algorithm::Secp256k1Digest => "secp256k1",
        };
        for scheme in info.schemes {
            assert!(keys.contains(named(scheme.algorithm)), "{line}: {scheme:?}");
        }
        let said = keys.matches(',').count() + keys.matches(" and ").count() + 1;
        assert_eq!(said, info.schemes.len(), "{line}");
    }
}
