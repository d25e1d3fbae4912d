//! The venue's web site, for people and tests: keys, the record, what is owned, and faults to order.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::exchange::{Exchange, Received};
use super::faults;
use super::keys::NewKey;

/// Status and body.
pub(crate) type Page = (u16, Value);

/// Answers a request to the web site.
pub(crate) fn answer(exchange: &mut Exchange, request: &Received) -> Page {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/keys") => (200, exchange.keys.list()),
        ("POST", "/keys") => with_form(request, |form: NewKey| {
            match exchange.keys.create(form, request.at_us / 1000) {
                Ok(key) => (200, key),
                Err(error) => (400, problem(&error.to_string())),
            }
        }),
        ("DELETE", path) if path.starts_with("/keys/") => {
            let key = path.trim_start_matches("/keys/");
            match exchange.keys.delete(key) {
                true => (200, json!({ "deleted": key })),
                false => (404, problem("there is no such key")),
            }
        }
        ("GET", "/record") => (200, json!(exchange.record.entries())),
        ("GET", "/withdrawals") => (200, exchange.withdrawals.all()),
        ("GET", "/orders") => (200, exchange.book.all(None)),
        ("GET", "/balances") => (200, exchange.account.balances()),
        ("POST", "/faults") => with_form(request, |order: faults::Order| {
            match exchange.faults.add(order) {
                true => (200, json!({ "ordered": true })),
                false => (
                    400,
                    problem("count is 0, nothing goes wrong, or status is not 400 to 599"),
                ),
            }
        }),
        ("DELETE", "/faults") => {
            exchange.faults.clear();
            (200, json!({ "ordered": false }))
        }
        (method, path) => (404, problem(&format!("there is no {method} {path}"))),
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
