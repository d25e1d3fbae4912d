//! The venue's web site, for people and tests: keys, addresses, the record, what is owned, and faults to order.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::account::{Accounts, Owner};
use super::addresses::Address;
use super::binance;
use super::coins::coin;
use super::exchange::Exchange;
use super::faults;
use super::form;
use super::keys::{Change, NewKey};
use super::request::Received;

/// Status and body.
pub(crate) type Page = (u16, Value);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    skew_ms: i64,
}

/// Answers a request to the web site.
pub(crate) fn answer(exchange: &mut Exchange, request: &Received) -> Page {
    // A plus sign in a path is a plus sign.
    let path = request.path.replace('+', "%2B");
    let path = form::decode(path.as_bytes()).unwrap_or_default();
    let (place, name) = path
        .strip_prefix('/')
        .and_then(|path| path.split_once('/'))
        .unwrap_or((path.trim_start_matches('/'), ""));
    match (request.method.as_str(), place, name) {
        ("GET", "keys", "") => (200, exchange.keys.list()),
        ("POST", "keys", "") => with_form(request, |form| create(exchange, form, request)),
        ("PATCH", "keys", key) => with_form(request, |form: Change| {
            let now_ms = request.at_us / 1000;
            match exchange.keys.change(key, form, now_ms) {
                Some(key) => (200, key.public()),
                None => (404, problem("there is no such key")),
            }
        }),
        ("DELETE", "keys", key) => removed(exchange.keys.delete(key), key),
        ("GET", "withdrawal-addresses", "") => (200, json!(exchange.addresses.all())),
        ("POST", "withdrawal-addresses", "") => with_form(request, |form| enter(exchange, form)),
        ("DELETE", "withdrawal-addresses", key) => removed(exchange.addresses.remove(key), key),
        ("GET", "record", "") => (200, json!(exchange.record.entries())),
        ("GET", "withdrawals", "") => {
            let all = exchange.withdrawals.all().iter();
            (200, all.map(binance::withdrawal_shown).collect())
        }
        ("GET", "orders", "") => {
            let all = exchange.book.everybodys().iter();
            (200, all.map(binance::order_shown).collect())
        }
        ("GET", "balances", "") => (200, balances(&mut exchange.accounts, &Owner::Master)),
        ("GET", "balances", email) if exchange.accounts.has(email) => {
            let owner = Owner::Sub(email.to_owned());
            (200, balances(&mut exchange.accounts, &owner))
        }
        ("PUT", "clock", "") => with_form(request, |Clock { skew_ms }| {
            exchange.faults.set_clock(skew_ms);
            (200, json!({ "skew_ms": skew_ms }))
        }),
        ("POST", "faults", "") => with_form(request, |order| order_fault(exchange, order)),
        ("DELETE", "faults", "") => {
            exchange.faults.clear();
            (200, json!({ "ordered": false }))
        }
        (method, ..) => (
            404,
            problem(&format!("there is no {method} {}", request.path)),
        ),
    }
}

fn create(exchange: &mut Exchange, form: NewKey, request: &Received) -> Page {
    let known = |email: &str| exchange.accounts.has(email);
    if form.account.as_deref().is_some_and(|email| !known(email)) {
        return (400, problem("there is no such sub-account"));
    }
    match exchange.keys.create(form, request.at_us / 1000) {
        Ok((api_key, secret)) => {
            let mut shown = exchange.keys.shown(&api_key).unwrap_or_default();
            if let (Some(shown), Some(secret)) = (shown.as_object_mut(), secret) {
                shown.insert("secret".to_owned(), secret.into());
            }
            (200, shown)
        }
        Err(error) => (400, problem(&error.to_string())),
    }
}

fn enter(exchange: &mut Exchange, form: Address) -> Page {
    let network = form.network.as_deref();
    let Some(coin) = coin(&form.asset) else {
        return (400, problem("there is no such asset"));
    };
    if coin.network(network).is_none() {
        return (400, problem("the asset does not leave by that network"));
    }
    let shown = json!(form);
    match exchange.addresses.add(form) {
        true => (200, shown),
        false => (400, problem("an address of that name is known")),
    }
}

fn order_fault(exchange: &mut Exchange, order: faults::Order) -> Page {
    match exchange.faults.add(order) {
        true => (200, json!({ "ordered": true })),
        false => (
            400,
            problem("count is 0, nothing goes wrong, or status is not 400 to 599"),
        ),
    }
}

fn balances(accounts: &mut Accounts, owner: &Owner) -> Value {
    binance::balances(accounts.of(owner))
}

fn removed(was_there: bool, key: &str) -> Page {
    match was_there {
        true => (200, json!({ "deleted": key })),
        false => (404, problem("there is nothing of that name")),
    }
}

fn with_form<T: DeserializeOwned>(request: &Received, then: impl FnOnce(T) -> Page) -> Page {
    match serde_json::from_slice(&request.body) {
        Ok(form) => then(form),
        Err(error) => (400, problem(&error.to_string())),
    }
}

fn problem(what: &str) -> Value {
    json!({ "error": what })
}
