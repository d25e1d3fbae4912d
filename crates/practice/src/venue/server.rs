//! HTTP/1.1 on two loopback ports: the exchange's API and its web site.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::body::{Body, Torn};
use super::control;
use super::exchange::Exchange;
use super::request::{Answer, Received};
use super::socket;

const MAX_BODY_BYTES: usize = 1024 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The exchange, shared by all connections.
pub(crate) type Shared = Arc<Mutex<Exchange>>;

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum HungUp {
    #[error("a cut was ordered")]
    Ordered,
    #[error("the body is too long or broken")]
    Body,
    #[error("the record cannot be written")]
    Record(#[source] std::io::Error),
    #[error("the answer cannot be formed")]
    Answer(#[source] hyper::http::Error),
}

/// Which of the two ports.
#[derive(Clone, Copy)]
pub(crate) enum Port {
    Exchange,
    Control,
}

/// Serves a port until the program ends.
pub(crate) async fn serve(listener: TcpListener, exchange: Shared, port: Port) -> Infallible {
    loop {
        // Accepting fails when a client has already gone or the files run out: neither ends the venue.
        match listener.accept().await {
            Ok((stream, peer)) => drop(tokio::spawn(connection(
                stream,
                peer,
                Arc::clone(&exchange),
                port,
            ))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, exchange: Shared, port: Port) {
    // A connection without an address has already gone.
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let service = service_fn(move |request| {
        let exchange = Arc::clone(&exchange);
        async move {
            if matches!(port, Port::Exchange) && socket::is_wanted(&request) {
                let opened = socket::open(request, exchange, peer, local);
                return opened
                    .map(|answer| answer.map(Body::Empty))
                    .map_err(HungUp::Answer);
            }
            let received = receive(request, peer, local).await?;
            match port {
                Port::Exchange => trade(&exchange, received).await,
                Port::Control => {
                    let (status, body) = control::answer(&mut lock(&exchange), &received);
                    respond(Answer {
                        status,
                        headers: vec![("content-type", "application/json".to_owned())],
                        body,
                        is_torn: false,
                    })
                }
            }
        }
    });
    // Small answers are sent at once: without it, a client on a kept connection waits for the delayed ACK.
    let _ = stream.set_nodelay(true);
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new());
    // An error here is a client that left, or a cut that was ordered.
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let _ = connection.with_upgrades().await;
}

async fn trade(exchange: &Shared, received: Received) -> Result<Response<Body>, HungUp> {
    let fault = lock(exchange).faults.take(&received.path);
    tokio::time::sleep(fault.delay()).await;
    let answer = lock(exchange)
        .answer(&received, &fault)
        .map_err(HungUp::Record)?;
    let answer = answer.ok_or(HungUp::Ordered)?;
    respond(answer)
}

async fn receive(
    request: Request<Incoming>,
    peer: SocketAddr,
    local: SocketAddr,
) -> Result<Received, HungUp> {
    let at_us = now_us();
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY_BYTES)
        .collect()
        .await
        .map_err(|_| HungUp::Body)?;
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    Ok(Received {
        at_us,
        peer: peer.ip(),
        local,
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().as_bytes().to_vec(),
        body: body.to_bytes().to_vec(),
        headers: headers.collect(),
    })
}

fn respond(answer: Answer) -> Result<Response<Body>, HungUp> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    let text = match answer.body {
        Value::String(text) => text,
        json => json.to_string(),
    };
    response
        .header(CONTENT_LENGTH, text.len())
        .body(match answer.is_torn {
            false => Body::Whole(Full::from(text)),
            true => Body::Torn(Torn::half(text)),
        })
        .map_err(HungUp::Answer)
}

/// The exchange, for as long as nobody waits for anything.
pub(crate) fn lock(exchange: &Shared) -> MutexGuard<'_, Exchange> {
    exchange.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Microseconds since 1970, by the machine's clock.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
