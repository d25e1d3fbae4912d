//! The loopback proxy: `http://127.0.0.1:PORT/<venue>/…`. It reads a bot's request whole, has it judged, and passes the
//! venue's answer on as it comes. It decides nothing itself.
//!
//! Read in this order: [`guard`] (what is served at all), [`upstream`], [`refusal`].

mod answer;
mod clocks;
mod guard;
mod peer;
mod refusal;
mod seats;
mod socket;
mod upstream;
mod webhook;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    header::CONTENT_TYPE,
    http::request::Parts,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{net::TcpListener, task::JoinSet};

use self::seats::{Seat, Seats};
pub(crate) use self::{
    answer::{Answer, passed_on},
    peer::caller_of,
    refusal::Refusal,
    upstream::{SendError, ToSend, Upstream},
    webhook::PREFIX as WEBHOOKS,
};
use crate::agent::{Agent, stopped};

/// Bodies are read whole up to here before anything is decided.
const MAX_BODY_BYTES: usize = 1024 * 1024;
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;
/// So many connections are taken in before those are looked at that are there: far fewer than have a seat without a token.
const AT_ONCE: u32 = 16;
/// Open files that this process wants to be able to have.
const MAX_FILES: u64 = 16 * 1024;
/// A head is there within this, and a body within this again.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a request came from, and to.
#[derive(Debug, Clone, Copy)]
struct Ends {
    peer: SocketAddr,
    port: u16,
}

/// One request of a bot, read whole.
pub(crate) struct Asked {
    pub(crate) venue: String,
    pub(crate) token: String,
    pub(crate) request: touchkeep_venue::Request,
    pub(crate) peer: SocketAddr,
    pub(crate) port: u16,
}

/// Listens on loopback: at `wanted` where that is given, else where it was last time, else anywhere.
pub(crate) async fn listen(wanted: Option<u16>, last: Option<u16>) -> io::Result<TcpListener> {
    if let Some(port) = wanted {
        return TcpListener::bind(("127.0.0.1", port)).await;
    }
    if let Some(port) = last
        && let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await
    {
        return Ok(listener);
    }
    TcpListener::bind(("127.0.0.1", 0)).await
}

// Each connection has a descriptor, and another to a venue. What the system lets a process have at all is enough, so a
// refusal changes nothing but how many connections there can be.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(MAX_FILES, |most| most.min(MAX_FILES));
    if limit.current.is_some_and(|current| current < most) {
        let raised = Rlimit {
            current: Some(most),
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "there can be few connections: the limit of open files stays as it is");
        }
    }
}

/// Serves until the agent stops.
pub(crate) async fn serve(agent: Arc<Agent>, listener: TcpListener, port: u16) {
    raise_file_limit();
    let seats = Arc::<Seats>::default();
    let mut connections = JoinSet::new();
    let mut stopping = agent.stopping();
    let mut unseen = 0;
    loop {
        // Who sends a token with the first bytes is to have shown it before so many others come that the seat is theirs.
        unseen = (unseen + 1) % AT_ONCE;
        if unseen == 0 {
            tokio::task::yield_now().await;
        }
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stopping) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Only delays small answers, never fails them.
        let _ = stream.set_nodelay(true);
        let agent = Arc::clone(&agent);
        let seat = seats.sit();
        connections.spawn(async move {
            let from = Ends { peer, port };
            let service =
                service_fn(|request| answer(Arc::clone(&agent), request, from, Arc::clone(&seat)));
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(READ_TIMEOUT)
                .max_buf_size(MAX_HEAD_BYTES)
                .max_headers(MAX_HEADERS)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            let served = tokio::select! {
                served = serving => served,
                () = seat.is_taken_away() => return,
            };
            if let Err(error) = served {
                tracing::debug!(
                    timeout = error.is_timeout(),
                    parse = error.is_parse(),
                    "a connection ended"
                );
            }
        });
    }
}

async fn answer(
    agent: Arc<Agent>,
    request: Request<Incoming>,
    from: Ends,
    seat: Arc<Seat>,
) -> Result<Response<Answer>, Infallible> {
    // Boxed, because this future is as large as the largest of its parts, and is moved before it first runs.
    if webhook::is_meant(&request) {
        return Ok(Box::pin(webhook::answer(&agent, request, from, &seat)).await);
    }
    if socket::is_asked_for(&request) {
        return Ok(Box::pin(socket::open(agent, request, from, seat)).await);
    }
    let (head, body) = request.into_parts();
    let venue = guard::venue_of(&head).to_owned();
    // A bot that hangs up drops this: what was not recorded yet is then not done, what was is finished by the pipeline.
    let decided = match read(&agent, head, body, from, &seat).await {
        Ok(asked) => match socket::without_token(&agent, &asked).await {
            Some(answer) => answer,
            None => agent.request(asked).await,
        },
        Err(refusal) => Err(refusal),
    };
    Ok(decided.unwrap_or_else(|refusal| refusal.response(&venue)))
}

async fn read(
    agent: &Agent,
    head: Parts,
    body: Incoming,
    from: Ends,
    seat: &Seat,
) -> Result<Asked, Refusal> {
    let addressed = guard::check(&head, from.port)?;
    // Nobody's body is read, unless it must be to see whose it is.
    let in_head = addressed.token(&head, None)?;
    if let Some(token) = &in_head {
        sits(agent, seat, token)?;
    }
    let body = read_body(body).await?;
    let token = addressed.token(&head, Some(&body))?.ok_or(Refusal::Token)?;
    if in_head.is_none() {
        sits(agent, seat, &token)?;
    }
    let (content_type, body) = content(&head, addressed.venue, body)?;
    let expires = expires(&head, addressed.venue);
    Ok(Asked {
        venue: addressed.venue.to_owned(),
        token,
        request: touchkeep_venue::Request {
            method: head.method.to_string(),
            path: addressed.path.to_owned(),
            query: head.uri.query().unwrap_or_default().as_bytes().to_vec(),
            content_type,
            body,
            expires,
        },
        peer: from.peer,
        port: from.port,
    })
}

// Whose token it is has a seat, as far as there is one.
fn sits(agent: &Agent, seat: &Seat, token: &str) -> Result<(), Refusal> {
    let client = agent.lets_in(token)?;
    seat.is_of(client).then_some(()).ok_or(Refusal::NoSeat)
}

// The parameters: the body, or the header in which the venue has them in its place.
fn content(head: &Parts, venue: &str, body: Bytes) -> Result<(Option<String>, Vec<u8>), Refusal> {
    let text = |name: &str| {
        let mut given = head.headers.get_all(name).iter();
        match (given.next(), given.next()) {
            (Some(value), None) => Ok(Some(
                value.to_str().map_err(|_| Refusal::Header)?.to_owned(),
            )),
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(Refusal::Header),
        }
    };
    let header = touchkeep_venue::venue(venue).and_then(|venue| venue.info().payload_header);
    if let Some(payload) = header.map(text).transpose()?.flatten() {
        let payload = data_encoding::BASE64.decode(payload.as_bytes());
        let payload = payload.map_err(|_| Refusal::Header)?;
        return Ok((Some("application/json".to_owned()), payload));
    }
    Ok((text(CONTENT_TYPE.as_str())?, body.into()))
}

// All that is said of its end: two that say so are read as neither.
fn expires(head: &Parts, venue: &str) -> Option<String> {
    let name = touchkeep_venue::venue(venue)?.info().expiry_header?;
    let said = head.headers.get_all(name).iter();
    let said = said.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let said: Vec<_> = said.collect();
    (!said.is_empty()).then(|| said.join(", "))
}

async fn read_body(body: Incoming) -> Result<Bytes, Refusal> {
    let too_long = body.size_hint().lower() > MAX_BODY_BYTES as u64;
    if too_long {
        return Err(Refusal::Body);
    }
    let read = Limited::new(body, MAX_BODY_BYTES).collect();
    match tokio::time::timeout(READ_TIMEOUT, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) | Err(_) => Err(Refusal::Body),
    }
}
