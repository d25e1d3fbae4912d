//! The loopback proxy: `http://127.0.0.1:PORT/<venue>/…`. It reads a bot's request whole, has it judged, and passes the
//! venue's answer on as it comes. It decides nothing itself.
//!
//! Read in this order: [`guard`] (what is served at all), [`upstream`], [`refusal`].

mod answer;
mod guard;
mod peer;
mod refusal;
mod upstream;
mod webhook;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

pub(crate) use self::{
    answer::{Answer, passed_on},
    peer::caller_of,
    refusal::Refusal,
    upstream::{SendError, ToSend, Upstream},
};
use crate::agent::{Agent, stopped};

/// Bodies are read whole up to here before anything is decided.
const MAX_BODY_BYTES: usize = 1024 * 1024;
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;
/// A head is there within this, and a body within this again.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at a time; one more waits in the kernel's queue.
const MAX_CONNECTIONS: usize = 256;

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

/// Serves until the agent stops.
pub(crate) async fn serve(agent: Arc<Agent>, listener: TcpListener, port: u16) {
    let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut stopping = agent.stopping();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = accept(&seats, &listener) => accepted,
            () = stopped(&mut stopping) => break,
        };
        let (seat, stream, peer) = match accepted {
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
        connections.spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&agent), request, peer, port));
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(READ_TIMEOUT)
                .max_buf_size(MAX_HEAD_BYTES)
                .max_headers(MAX_HEADERS)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(
                    timeout = error.is_timeout(),
                    parse = error.is_parse(),
                    "a connection ended"
                );
            }
            drop(seat);
        });
    }
}

async fn accept(
    seats: &Arc<Semaphore>,
    listener: &TcpListener,
) -> io::Result<(
    tokio::sync::OwnedSemaphorePermit,
    tokio::net::TcpStream,
    SocketAddr,
)> {
    let seat = Arc::clone(seats)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((seat, stream, peer))
}

async fn answer(
    agent: Arc<Agent>,
    request: Request<Incoming>,
    peer: SocketAddr,
    port: u16,
) -> Result<Response<Answer>, Infallible> {
    if webhook::is_meant(&request) {
        return Ok(webhook::answer(&agent, request, peer, port).await);
    }
    // A bot that hangs up drops this: what was not recorded yet is then not done, what was is finished by the pipeline.
    let decided = match read(request, peer, port).await {
        Ok(asked) => agent.request(asked).await,
        Err(refusal) => Err(refusal),
    };
    Ok(decided.unwrap_or_else(|refusal| refusal.response()))
}

async fn read(request: Request<Incoming>, peer: SocketAddr, port: u16) -> Result<Asked, Refusal> {
    let (head, body) = request.into_parts();
    let addressed = guard::check(&head, port)?;
    let (venue, path, token) = (
        addressed.venue.to_owned(),
        addressed.path.to_owned(),
        addressed.token.to_owned(),
    );
    let body = read_body(body).await?;
    let text = |name| {
        head.headers
            .get(name)
            .map(|value| value.to_str().map(str::to_owned))
    };
    let content_type = text(CONTENT_TYPE).transpose().map_err(|_| Refusal::Path)?;
    Ok(Asked {
        venue,
        token,
        request: touchkeep_venue::Request {
            method: head.method.to_string(),
            path,
            query: head.uri.query().unwrap_or_default().as_bytes().to_vec(),
            content_type,
            body: body.into(),
        },
        peer,
        port,
    })
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
