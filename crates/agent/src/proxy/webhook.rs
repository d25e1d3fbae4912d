//! `POST /-/webhook/<item>?scheme=…` on the proxy's port: another program hands a webhook's delivery over as it came, and is
//! told whether its sender signed it. Nothing is sent anywhere.
//!
//! The token says who may speak to the proxy at all, and stands in `X-Touchkeep-Token` alone: every other header is the
//! delivery's. Which program may use the item's secret is the gate's to say, of the process that connected.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, ORIGIN},
    http::request::Parts,
};
use percent_encoding::percent_decode_str;
use serde_json::json;
use touchkeep_core::{ClientId, Code, reference};
use touchkeep_wire::{Failure, WEBHOOK_TOLERANCE_SECONDS, WebhookVerdict};

use super::{
    Answer, Ends, Seat,
    answer::whole,
    guard::{FETCH_SITE, TOKEN_HEADER, check_host, head_bytes},
    peer::caller_of,
    read_body,
};
use crate::{
    agent::Agent,
    calls::webhook::{Check, Delivery, judge},
    devices::blocking,
    failure,
    vault::client::Client,
};

/// Where deliveries are handed over: this, and the item's name.
pub(crate) const PREFIX: &str = "/-/webhook/";

/// Whether a request is for this place, and for no venue.
pub(super) fn is_meant(request: &Request<Incoming>) -> bool {
    request.uri().path().starts_with(PREFIX)
}

/// Takes a delivery to its verdict.
pub(super) async fn answer(
    agent: &Arc<Agent>,
    request: Request<Incoming>,
    from: Ends,
    seat: &Seat,
) -> Response<Answer> {
    match judged(agent, request, from, seat).await {
        Ok(verdict) => said(status_of(&verdict), &json!(verdict)),
        Err(refused) => refused.response(),
    }
}

/// Why there is no verdict.
struct Refused {
    status: StatusCode,
    reason: String,
    what: String,
    fix: String,
}

async fn judged(
    agent: &Arc<Agent>,
    request: Request<Incoming>,
    Ends { peer, port }: Ends,
    seat: &Seat,
) -> Result<WebhookVerdict, Refused> {
    let (head, body) = request.into_parts();
    let token = guard(&head, port)?;
    let _working = agent.works();
    let client = client(agent, token)?;
    if !seat.is_of(client.0) {
        let what = "this client has too many connections open";
        return Err(refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "connections",
            what,
        ));
    }
    let mut check = wanted(&head)?;
    check.client = Some(client);
    let body = read_body(body).await.map_err(|_| {
        let what = "the body is longer than 1 MiB, or did not come in time";
        refused(StatusCode::PAYLOAD_TOO_LARGE, "body", what)
    })?;
    let delivery = Delivery {
        headers: headers(&head),
        body: body.to_vec(),
    };
    let caller = blocking(move || caller_of(peer, port)).await?;
    Ok(judge(agent, &caller, check, delivery).await?)
}

// The same ground as the venues': one exact host, no browser, and one token.
fn guard(head: &Parts, port: u16) -> Result<&str, Refused> {
    if check_host(head, port).is_err() {
        let what = "the request names another host than this agent";
        return Err(refused(StatusCode::MISDIRECTED_REQUEST, "host", what));
    }
    if head_bytes(head) > super::MAX_HEAD_BYTES {
        let (status, what) = (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "address and headers are too long",
        );
        return Err(refused(status, "head", what));
    }
    if head.headers.contains_key(ORIGIN) || head.headers.contains_key(FETCH_SITE) {
        let what = "requests of web pages are not served";
        return Err(refused(StatusCode::FORBIDDEN, "browser", what));
    }
    if head.method != Method::POST {
        let what = "a delivery is handed over with POST";
        return Err(refused(StatusCode::METHOD_NOT_ALLOWED, "method", what));
    }
    let mut tokens = head.headers.get_all(TOKEN_HEADER).iter();
    match (tokens.next().map(HeaderValue::to_str), tokens.next()) {
        (Some(Ok(token)), None) => Ok(token),
        _ => {
            let what = "the request must show one client token in X-Touchkeep-Token";
            Err(refused(StatusCode::UNAUTHORIZED, "token", what))
        }
    }
}

fn client(agent: &Agent, token: &str) -> Result<(ClientId, String), Refused> {
    let current = agent.vault().ok_or_else(failure::locked)?;
    let clients = current.open()?.clients();
    let client = Client::of_token(&clients, token).ok_or_else(|| {
        let what = "no client has this token; `touchkeep proxy list` names those that are let in";
        refused(StatusCode::UNAUTHORIZED, "token", what)
    })?;
    if !client.key_set.is_empty() && !client.is_bound_to_nothing() {
        let what = "this client is bound to requests at venues; one that hands over deliveries: touchkeep proxy add NAME --webhooks";
        return Err(refused(StatusCode::FORBIDDEN, "client", what));
    }
    agent.saw(client.id);
    Ok((client.id, client.name.clone()))
}

// `/-/webhook/<item>` or `/-/webhook/<environment>/<item>`, percent-encoded; `scheme`, `tolerance`, `retries`, `ask`.
fn wanted(head: &Parts) -> Result<Check, Refused> {
    let no_path = || {
        let what = "the address must be /-/webhook/<item> or /-/webhook/<environment>/<item>";
        refused(StatusCode::NOT_FOUND, "path", what)
    };
    let rest = head.uri.path().strip_prefix(PREFIX).ok_or_else(no_path)?;
    let parts: Vec<&str> = rest.split('/').collect();
    let item = match parts[..] {
        [item] if !item.is_empty() => {
            let decoded = percent_decode_str(item).decode_utf8();
            decoded.map_err(|_| no_path())?.into_owned()
        }
        [environment, item] if !environment.is_empty() && !item.is_empty() => {
            format!("{}{environment}/{item}", reference::SCHEME)
        }
        _ => return Err(no_path()),
    };
    let mut check = Check {
        item,
        scheme: String::new(),
        tolerance_seconds: WEBHOOK_TOLERANCE_SECONDS,
        retries: false,
        asks: true,
        client: None,
    };
    let query = head.uri.query().unwrap_or_default();
    let mut seen = Vec::new();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let bad = || {
            let what = "the query may have scheme, tolerance, retries=accept and ask=no, each once";
            refused(StatusCode::BAD_REQUEST, "query", what)
        };
        if seen.contains(&name) {
            return Err(bad());
        }
        seen.push(name);
        match (name, value) {
            ("scheme", word) => word.clone_into(&mut check.scheme),
            ("tolerance", seconds) => {
                check.tolerance_seconds = seconds.parse().map_err(|_| bad())?;
            }
            ("retries", "accept") => check.retries = true,
            ("ask", "no") => check.asks = false,
            _ => return Err(bad()),
        }
    }
    Ok(check)
}

// What is the delivery's; the rest is between the program and us.
fn headers(head: &Parts) -> Vec<(String, Vec<u8>)> {
    let ours = |name| [HOST, CONNECTION, TOKEN_HEADER].contains(name);
    let headers = head.headers.iter().filter(|(name, _)| !ours(name));
    headers
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

fn status_of(verdict: &WebhookVerdict) -> StatusCode {
    match verdict.reason.as_deref() {
        None => StatusCode::OK,
        Some("replayed" | "repeated") => StatusCode::CONFLICT,
        Some(_) => StatusCode::BAD_REQUEST,
    }
}

fn refused(status: StatusCode, reason: &str, what: &str) -> Refused {
    let fix = match reason {
        "connections" => "Close those that are done with; a few at a time are enough.",
        "body" => "Hand the sender's body over whole, at once; none that is known here sends more.",
        "host" => "Use the address that `touchkeep proxy add --webhooks` printed.",
        "head" => "Hand over the sender's own headers alone.",
        "browser" => "Send it from the program that received the delivery.",
        "token" => {
            "Put the token that `touchkeep proxy add --webhooks` printed into X-Touchkeep-Token."
        }
        _ => "See docs/webhooks.md.",
    };
    Refused {
        status,
        reason: reason.to_owned(),
        what: what.to_owned(),
        fix: fix.to_owned(),
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let status = match failure.code {
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Invalid | Code::Ambiguous => StatusCode::BAD_REQUEST,
            Code::Refused | Code::TimedOut | Code::NotPermitted | Code::NoTouch => {
                StatusCode::FORBIDDEN
            }
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let reason = serde_json::to_value(failure.code).unwrap_or_default();
        Self {
            status,
            reason: reason.as_str().unwrap_or_default().to_owned(),
            what: failure.what,
            fix: failure.fix,
        }
    }
}

impl Refused {
    fn response(self) -> Response<Answer> {
        let body = json!({
            "verified": false,
            "reason": self.reason,
            "what": self.what,
            "fix": self.fix,
        });
        let mut response = said(self.status, &body);
        // The rest of what it sends is not read.
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

fn said(status: StatusCode, body: &serde_json::Value) -> Response<Answer> {
    let mut response = Response::new(whole(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
