//! WebSockets: `ws://127.0.0.1:PORT/<venue>/<path there>`. One over which nothing but data can be asked for is spliced
//! through; of the others every message of the client is read first, see [`relay`].

mod relay;

use std::{sync::Arc, time::Duration};

use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{
        CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
        SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
        UPGRADE,
    },
    http::request::Parts,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use tokio::time::interval;
use touchkeep_core::Code;
use touchkeep_pipeline::LoginTurn;
use touchkeep_venue::stream::{Guard, Stream, stream, token_kept};

use super::{Answer, Asked, Ends, Refusal, Seat, ToSend, answer::whole, guard, passed_on, sits};
use crate::{agent::Agent, sockets::Socket};

/// How often it is looked whether the client still has its token and the vault is open.
const LOOK: Duration = Duration::from_secs(2);

/// Whether a request asks for a WebSocket.
pub(super) fn is_asked_for<B>(request: &Request<B>) -> bool {
    let upgrade = request.headers().get(UPGRADE);
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The answer to a client that asks over REST for the token of a socket; none where it asks for something else. It gets no
/// token, only what lets it open a socket here.
pub(super) async fn without_token(
    agent: &Agent,
    asked: &Asked,
) -> Option<Result<Response<Answer>, Refusal>> {
    let (venue, port, token) = (&asked.venue, asked.port, &asked.token);
    let sockets = format!("ws://127.0.0.1:{port}/{token}/{venue}");
    let request = &asked.request;
    let kept = token_kept(venue, &request.method, &request.path, &sockets)?;
    let socket = Socket {
        token: token.clone(),
        venue: venue.clone(),
        path: request.path.clone(),
        peer: asked.peer,
        port,
    };
    let answer = |_| {
        let mut response = Response::new(whole(Bytes::from(kept.to_text())));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    };
    Some(Box::pin(agent.opens(&socket)).await.map(answer))
}

/// Opens one, and serves it from then on.
pub(super) async fn open(
    agent: Arc<Agent>,
    request: Request<Incoming>,
    from: Ends,
    seat: Arc<Seat>,
) -> Response<Answer> {
    let (mut head, _) = request.into_parts();
    let venue = guard::venue_of(&head).to_owned();
    let opened = begin(agent, &mut head, from, seat).await;
    opened.unwrap_or_else(|refusal| refusal.response(&venue))
}

async fn begin(
    agent: Arc<Agent>,
    head: &mut Parts,
    from: Ends,
    seat: Arc<Seat>,
) -> Result<Response<Answer>, Refusal> {
    let client = head.extensions.remove::<OnUpgrade>();
    let addressed = guard::check(head, from.port)?;
    let token = addressed.token(head, Some(b""))?.ok_or(Refusal::Token)?;
    sits(&agent, &seat, &token)?;
    let going = stream(addressed.venue, addressed.path).ok_or_else(|| {
        let why = "this WebSocket is not relayed; orders go over REST";
        Refusal::Decided(Code::NotFound, why.into())
    })?;
    let socket = Socket {
        token,
        venue: addressed.venue.to_owned(),
        path: addressed.path.to_owned(),
        peer: from.peer,
        port: from.port,
    };
    let base = agent.opens(&socket).await?;
    let mut asked = to_send(head, &going, base.as_deref())?;
    let query = head.uri.query().unwrap_or_default();
    let turn = enter(&agent, &socket, &going, query, base.is_some(), &mut asked).await?;
    let answer = agent
        .upstream()
        .open_socket(asked)
        .await
        .map_err(|why| Refusal::Decided(Code::Unreachable, why.to_string()))?;
    drop(turn);
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(passed_on(answer, None));
    }
    let client = client.ok_or(Refusal::Method)?;
    let response = switched(answer.headers());
    tokio::spawn(async move {
        let _seat = seat;
        let (Ok(client), Ok(venue)) = (client.await, hyper::upgrade::on(answer).await) else {
            return;
        };
        match going.guard {
            Some(guard) => relay::guarded(&agent, &socket, guard, client, venue).await,
            None => spliced(&agent, &socket, client, venue).await,
        }
    });
    Ok(response)
}

// The client's opening handshake, to the venue. Without compression where messages are read.
fn to_send(head: &Parts, going: &Stream, base: Option<&str>) -> Result<ToSend, Refusal> {
    let text = |name: &HeaderName| {
        let value = head.headers.get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let version = text(&SEC_WEBSOCKET_VERSION);
    let key = text(&SEC_WEBSOCKET_KEY);
    let (Some(key), true) = (
        key,
        version.as_deref() == Some("13") && head.method == Method::GET,
    ) else {
        return Err(Refusal::Method);
    };
    let mut headers = vec![
        (CONNECTION.to_string(), "Upgrade".to_owned()),
        (UPGRADE.to_string(), "websocket".to_owned()),
        (SEC_WEBSOCKET_VERSION.to_string(), "13".to_owned()),
        (SEC_WEBSOCKET_KEY.to_string(), key),
    ];
    let mut passed = vec![SEC_WEBSOCKET_PROTOCOL];
    if going.guard.is_none() {
        passed.push(SEC_WEBSOCKET_EXTENSIONS);
    }
    headers.extend(
        passed
            .iter()
            .filter_map(|name| Some((name.to_string(), text(name)?))),
    );
    let query = head.uri.query().unwrap_or_default();
    Ok(ToSend {
        method: "GET".to_owned(),
        address: address(base.unwrap_or(going.origin), &going.path, query),
        headers,
        body: Vec::new(),
    })
}

fn address(origin: &str, path: &str, query: &str) -> String {
    let origin = origin.replacen("ws", "http", usize::from(origin.starts_with("ws")));
    let asked = if query.is_empty() { "" } else { "?" };
    format!("{}{path}{asked}{query}", origin.trim_end_matches('/'))
}

// Where the opening itself is the login, ours is put in. What it returns is kept until the venue has it.
async fn enter(
    agent: &Agent,
    socket: &Socket,
    going: &Stream,
    query: &str,
    practice: bool,
    to_send: &mut ToSend,
) -> Result<Option<LoginTurn>, Refusal> {
    let entered = going
        .guard
        .and_then(|guard| Some((guard, guard.entered(query)?)));
    let Some((guard, asked)) = entered else {
        return Ok(None);
    };
    let ours = agent.logs_in(socket, guard, &asked).await?;
    let unwritten =
        || Refusal::Decided(Code::Denied, "the venue named no server of its own".into());
    let entrance = guard.entrance(query, &ours.values).ok_or_else(unwritten)?;
    let origin = entrance.origin.filter(|_| !practice);
    let there = to_send.address.split('?').next().unwrap_or_default();
    // EXPOSE: to the venue that the key is of.
    to_send.address = match origin {
        Some(origin) => address(&origin, &going.path, &entrance.query),
        None => address(there, "", &entrance.query),
    };
    let headers = entrance.headers.into_iter();
    to_send
        .headers
        .extend(headers.map(|(name, value)| (name.to_owned(), value)));
    Ok(ours.turn)
}

fn switched(venue: &HeaderMap) -> Response<Answer> {
    let mut response = Response::new(whole(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let passed = [
        CONNECTION,
        UPGRADE,
        SEC_WEBSOCKET_ACCEPT,
        SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_EXTENSIONS,
    ];
    for name in passed {
        if let Some(value) = venue.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

async fn spliced(agent: &Agent, socket: &Socket, client: Upgraded, venue: Upgraded) {
    let (mut client, mut venue) = (TokioIo::new(client), TokioIo::new(venue));
    let spliced = tokio::io::copy_bidirectional(&mut client, &mut venue);
    tokio::select! {
        _ = spliced => {}
        () = shut_out(agent, socket, None) => {}
    }
}

// Returns once the client's token is worth nothing any more, the vault is locked, or, where the client is listened to, rules are
// stricter with its login than they were since the socket was opened.
async fn shut_out(agent: &Agent, socket: &Socket, guard: Option<Guard>) {
    let by_rules = |guard: Option<Guard>| match guard {
        Some(guard) => agent.login_by_rules(socket, guard).map(Some),
        None => agent.lets_in(&socket.token).map(|_| None),
    };
    let mut look = interval(LOOK);
    let mut mildest = None;
    loop {
        look.tick().await;
        let Ok(now) = by_rules(guard) else {
            return;
        };
        if mildest.is_some_and(|mildest| now > mildest) {
            return;
        }
        mildest = Some(now);
    }
}
