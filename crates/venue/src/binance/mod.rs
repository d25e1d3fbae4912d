//! Binance: spot, margin and SAPI; futures, options and portfolio margin sign alike.
//!
//! Signed are query and body, joined without anything between (Binance REST API, binance-spot-api-docs of 2026-07-21).
//! Neither method nor path is covered, so a signature alone is worth more than the request it was made for: it never
//! leaves this program without the request. A client's `signature` is dropped; its `timestamp` is replaced in its place.

mod table;

use touchkeep_core::{Decimal, UnixMillis};

use self::table::{Meaning, Shape, table};
use crate::{
    Decoded, Dialect, Operation, OperationKind, Outgoing, Parameter, Private, Request, Side,
    SignatureForm, ToSign, Unreadable, dialect::Slot, form,
};

/// The name in paths, items and rules.
pub const VENUE: &str = "binance";
/// The longest `recvWindow` that Binance accepts, in milliseconds.
pub const MAX_RECV_WINDOW_MS: u32 = 60_000;

const KEY_HEADER: &str = "X-MBX-APIKEY";
const FORM: &str = "application/x-www-form-urlencoded";
const OURS: [&str; 3] = ["timestamp", "recvWindow", "signature"];

/// The dialect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Binance;

impl Dialect for Binance {
    fn venue(&self) -> &'static str {
        VENUE
    }

    fn decode(&self, request: &Request) -> Result<Decoded, Unreadable> {
        let method = method(&request.method)?;
        let origin = origin(&request.path)?;
        let query = form::read(&request.query)?;
        let body = form::read(form_body(request, method)?)?;
        form::each_once(query.iter().chain(&body))?;
        exact_case(query.iter().chain(&body), &OURS)?;

        let (kind, words, shape) = match table().find(method, &request.path) {
            Some(endpoint) => match endpoint.meaning {
                Meaning::Public => return Ok(public(method, origin, request, &query)),
                Meaning::Private(kind) => (kind, endpoint.words.as_str(), endpoint.shape.as_ref()),
            },
            None => (OperationKind::Unknown, "unknown request", None),
        };
        let mut operation = Operation::new(kind, VENUE, method, &request.path, words);
        operation.parameters = query
            .iter()
            .chain(&body)
            .filter(|p| !OURS.contains(&p.name.as_str()))
            .cloned()
            .collect();
        if let Some(shape) = shape {
            describe(&mut operation, shape)?;
        }
        Ok(Decoded::Private(Box::new(Private {
            operation,
            origin,
            query: slots(query),
            body: slots(body),
        })))
    }

    fn prepare(
        &self,
        private: &Private,
        api_key: &str,
        now: UnixMillis,
        recv_window_ms: u32,
    ) -> ToSign {
        let window = recv_window_ms.clamp(1, MAX_RECV_WINDOW_MS);
        let mut query = private.query.clone();
        let mut body = private.body.clone();
        let (in_body, has) = (!body.is_empty(), |wanted: fn(&Slot) -> bool| {
            private.query.iter().chain(&private.body).any(wanted)
        });
        let last = if in_body { &mut body } else { &mut query };
        if !has(|slot| matches!(slot, Slot::RecvWindow(_))) {
            last.push(Slot::RecvWindow(None));
        }
        if !has(|slot| matches!(slot, Slot::Timestamp)) {
            last.push(Slot::Timestamp);
        }
        let (query, body) = (written(&query, now, window), written(&body, now, window));
        let mut headers = vec![(KEY_HEADER, api_key.to_owned())];
        if !body.is_empty() {
            headers.push(("Content-Type", FORM.to_owned()));
        }
        ToSign {
            method: private.operation.method.clone(),
            origin: private.origin,
            path: private.operation.path.clone(),
            payload: [query.as_slice(), body.as_slice()].concat(),
            query,
            body,
            headers,
        }
    }

    fn finish(&self, to_sign: ToSign, signature: &[u8], form: SignatureForm) -> Outgoing {
        let ToSign {
            mut query,
            mut body,
            ..
        } = to_sign;
        let last = if body.is_empty() {
            &mut query
        } else {
            &mut body
        };
        form::append(last, "signature", &signature_text(signature, form));
        Outgoing {
            method: to_sign.method,
            origin: to_sign.origin,
            path_and_query: with_query(to_sign.path, &query),
            headers: to_sign.headers,
            body,
        }
    }
}

fn method(given: &str) -> Result<&'static str, Unreadable> {
    ["GET", "POST", "PUT", "DELETE"]
        .into_iter()
        .find(|known| *known == given)
        .ok_or(Unreadable::Method)
}

// The path must be in the one form that every endpoint has: a server that normalises `//`, `..`, `%2e` or case would
// otherwise see another endpoint than we did.
fn origin(path: &str) -> Result<&'static str, Unreadable> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/_-".contains(&b);
    if !path.starts_with('/')
        || path.ends_with('/')
        || path.contains("//")
        || path.len() > 256
        || !path.bytes().all(plain)
    {
        return Err(Unreadable::Path);
    }
    if table().differs_only_in_case(path) {
        return Err(Unreadable::PathCase);
    }
    table().origin(path).ok_or(Unreadable::NoOrigin)
}

fn form_body<'a>(request: &'a Request, method: &str) -> Result<&'a [u8], Unreadable> {
    if request.body.is_empty() {
        return Ok(&[]);
    }
    if method == "GET" {
        return Err(Unreadable::BodyOfGet);
    }
    let given = request.content_type.as_deref().unwrap_or_default();
    let (kind, parameter) = given.split_once(';').unwrap_or((given, "charset=utf-8"));
    let utf8 = parameter.trim().eq_ignore_ascii_case("charset=utf-8");
    if !kind.trim().eq_ignore_ascii_case(FORM) || !utf8 {
        return Err(Unreadable::ContentType);
    }
    Ok(&request.body)
}

fn exact_case<'a>(
    parameters: impl Iterator<Item = &'a Parameter>,
    names: &[&str],
) -> Result<(), Unreadable> {
    for Parameter { name, .. } in parameters {
        // `address[]`, `address[0]` and `address.x` are an `address` to some servers.
        let plain = name.split(['[', '.']).next().unwrap_or_default();
        let other = |known: &&str| known.eq_ignore_ascii_case(plain) && *known != name;
        if names.iter().any(other) {
            return Err(Unreadable::NameCase(name.clone()));
        }
    }
    Ok(())
}

fn public(method: &str, origin: &'static str, request: &Request, query: &[Parameter]) -> Decoded {
    let mut bytes = Vec::new();
    for parameter in query.iter().filter(|p| !OURS.contains(&p.name.as_str())) {
        form::append(&mut bytes, &parameter.name, &parameter.value);
    }
    Decoded::Public(Outgoing {
        method: method.to_owned(),
        origin,
        path_and_query: with_query(request.path.clone(), &bytes),
        headers: Vec::new(),
        body: Vec::new(),
    })
}

fn slots(parameters: Vec<Parameter>) -> Vec<Slot> {
    parameters
        .into_iter()
        .filter_map(|parameter| match parameter.name.as_str() {
            "signature" => None,
            "timestamp" => Some(Slot::Timestamp),
            "recvWindow" => Some(Slot::RecvWindow(sane_window(&parameter.value))),
            _ => Some(Slot::Given(parameter)),
        })
        .collect()
}

// Binance allows fractions of a millisecond as well; nobody needs them, so they get our default.
fn sane_window(value: &str) -> Option<u32> {
    let plain = value.bytes().all(|b| b.is_ascii_digit());
    let window = value.parse().ok().filter(|_| plain)?;
    (1..=MAX_RECV_WINDOW_MS).contains(&window).then_some(window)
}

fn written(slots: &[Slot], now: UnixMillis, default_window: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for slot in slots {
        match slot {
            Slot::Given(parameter) => form::append(&mut out, &parameter.name, &parameter.value),
            Slot::Timestamp => form::append(&mut out, "timestamp", &now.0.to_string()),
            Slot::RecvWindow(window) => {
                let window = window.unwrap_or(default_window).min(MAX_RECV_WINDOW_MS);
                form::append(&mut out, "recvWindow", &window.to_string());
            }
        }
    }
    out
}

fn with_query(path: String, query: &[u8]) -> String {
    if query.is_empty() {
        return path;
    }
    // `form::append` writes ASCII only.
    format!("{path}?{}", String::from_utf8_lossy(query))
}

fn signature_text(signature: &[u8], form: SignatureForm) -> String {
    match form {
        SignatureForm::Hmac => data_encoding::HEXLOWER.encode(signature),
        SignatureForm::Rsa | SignatureForm::Ed25519 => data_encoding::BASE64.encode(signature),
    }
}

fn describe(operation: &mut Operation, shape: &Shape) -> Result<(), Unreadable> {
    exact_case(operation.parameters.iter(), &shape.names())?;
    let text = |name: &Option<String>| -> Result<Option<String>, Unreadable> {
        let Some(found) = value(&operation.parameters, name.as_deref()) else {
            return Ok(None);
        };
        if found.value.is_empty() {
            return Err(Unreadable::Value(found.name.clone()));
        }
        Ok(Some(found.value.clone()))
    };
    // Futures read a name in small letters like one in capitals, and a rule about a name must meet every spelling of it.
    let code = |name: &Option<String>| -> Result<Option<String>, Unreadable> {
        let small = |c: char| c.is_ascii_lowercase() || c.is_whitespace();
        match (text(name)?, name) {
            (Some(found), Some(name)) if found.contains(small) => {
                Err(Unreadable::Value(name.clone()))
            }
            (found, _) => Ok(found),
        }
    };
    let number = |name: &Option<String>| -> Result<Option<Decimal>, Unreadable> {
        let Some(found) = value(&operation.parameters, name.as_deref()) else {
            return Ok(None);
        };
        let number: Decimal = found
            .value
            .parse()
            .map_err(|_| Unreadable::Number(found.name.clone()))?;
        if number.is_negative() || found.value.starts_with('-') {
            return Err(Unreadable::Number(found.name.clone()));
        }
        Ok(Some(number))
    };
    let side = match text(&shape.side)?.as_deref() {
        None => None,
        Some("BUY") => Some(Side::Buy),
        Some("SELL") => Some(Side::Sell),
        Some(_) => return Err(Unreadable::Value("side".into())),
    };
    let (symbol, asset) = (code(&shape.symbol)?, code(&shape.asset)?);
    let (amount, quote_amount) = (number(&shape.amount)?, number(&shape.quote_amount)?);
    let price = number(&shape.price)?;
    let (destination, destination_tag) = (text(&shape.destination)?, text(&shape.destination_tag)?);
    let (network, client_id) = (text(&shape.network)?, text(&shape.client_id)?);
    if amount.is_some() && quote_amount.is_some() {
        return Err(Unreadable::TwoAmounts);
    }
    operation.price = price.filter(|_| price_is_the_limit(&operation.parameters));
    operation.symbol = symbol;
    operation.side = side;
    operation.asset = asset;
    operation.amount = amount;
    operation.quote_amount = quote_amount;
    operation.destination = destination;
    operation.destination_tag = destination_tag;
    operation.network = network;
    operation.client_id = client_id;
    Ok(())
}

// Only a plain limit order is bounded by its `price`; pegged and matched prices are set by the venue.
fn price_is_the_limit(parameters: &[Parameter]) -> bool {
    let limit = value(parameters, Some("type"))
        .is_some_and(|p| ["LIMIT", "LIMIT_MAKER"].contains(&p.value.as_str()));
    let moved = |p: &Parameter| {
        let name = p.name.to_ascii_lowercase();
        name.starts_with("peg") || name == "pricematch"
    };
    limit && !parameters.iter().any(moved)
}

fn value<'a>(parameters: &'a [Parameter], name: Option<&str>) -> Option<&'a Parameter> {
    let name = name?;
    parameters.iter().find(|p| p.name == name)
}
