//! The way to the venues: one pool of connections, TLS with the system's roots, no redirect followed, every wait bounded.

use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{DATE, HeaderName, HeaderValue, USER_AGENT},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use touchkeep_core::{Clock, SystemClock};
use touchkeep_venue::clock::{TimeEndpoint, date, time_endpoint};

use super::clocks::{Clocks, Exchange};
use crate::uptime::Uptime;

/// A connection is there within this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The venue's answer has begun within this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A connection is kept this long for the next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_ANSWER_HEAD_BYTES: usize = 64 * 1024;
const MAX_ANSWER_HEAD_BYTES_2: u32 = 64 * 1024;
/// A connection of many requests is asked whether it is there, and answers within this.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// What an answer with the time may be long.
const MAX_TIME_BYTES: usize = 16 * 1024;

/// The pool.
pub(crate) struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    // WebSockets are opened over HTTP/1.1 (RFC 6455); few venues have them over HTTP/2.
    sockets: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    clocks: Clocks,
}

/// What is sent.
#[derive(Debug)]
pub(crate) struct ToSend {
    pub(crate) method: String,
    /// Origin, path and query.
    pub(crate) address: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// No answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SendError {
    /// It was not sent.
    #[error("the venue cannot be reached")]
    NotSent,
    /// It was sent, and the venue says that it did not look at it.
    #[error(
        "it ended the connection, or refused the stream, before it came to the request; nothing was done"
    )]
    NotTaken,
    /// It was sent, or may have been.
    #[error("the venue did not answer")]
    NoAnswer,
    /// It cannot be written as an HTTP request.
    #[error("the request cannot be written as HTTP")]
    NotHttp,
}

impl Upstream {
    /// A pool that trusts the system's certificate authorities.
    ///
    /// # Errors
    /// When the system has none.
    pub(crate) fn new() -> std::io::Result<Self> {
        let tcp = || {
            let mut tcp = HttpConnector::new();
            tcp.enforce_http(false);
            tcp.set_nodelay(true);
            tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
            tcp
        };
        // Plain HTTP reaches practice addresses alone: the vault takes no other, and venues' own origins are https.
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp());
        let for_sockets = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp());
        let sockets = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .http1_max_buf_size(MAX_ANSWER_HEAD_BYTES)
            .build(for_sockets);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http1_max_buf_size(MAX_ANSWER_HEAD_BYTES)
            .http2_max_header_list_size(MAX_ANSWER_HEAD_BYTES_2)
            .http2_adaptive_window(true)
            // A connection whose other end is gone without a word holds many requests: found out early, also while idle.
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE)
            .http2_keep_alive_while_idle(true)
            // Only a request of which no byte was written is given to another connection. Over HTTP/2 that is one that waits
            // for its turn: what a stream was opened for is never sent again, though the venue says that it refused the
            // stream or did not come to it before it went away. Whoever asked is told so.
            .retry_canceled_requests(true)
            .build(connector);
        Ok(Self {
            client,
            sockets,
            clocks: Clocks::default(),
        })
    }

    /// Sends, and waits for the head of the answer.
    pub(crate) async fn send(&self, request: ToSend) -> Result<Response<Incoming>, SendError> {
        let answer = answer_of(&self.client, request).await?;
        // Nobody asked for another protocol: what would follow is no answer, and no bot may read on.
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(SendError::NoAnswer);
        }
        Ok(answer)
    }

    /// Asks for a WebSocket.
    pub(super) async fn open_socket(
        &self,
        request: ToSend,
    ) -> Result<Response<Incoming>, SendError> {
        answer_of(&self.sockets, request).await
    }
}

async fn answer_of(
    client: &Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    request: ToSend,
) -> Result<Response<Incoming>, SendError> {
    {
        let request = request.into_http()?;
        match tokio::time::timeout(ANSWER_TIMEOUT, client.request(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::debug!(connect = error.is_connect(), "no answer from the venue");
                Err(if error.is_connect() {
                    SendError::NotSent
                } else if is_not_taken(&error) {
                    SendError::NotTaken
                } else {
                    SendError::NoAnswer
                })
            }
            Err(_) => Err(SendError::NoAnswer),
        }
    }
}

// A server says either only of what it guarantees to have done nothing of (RFC 9113, 6.8 and 8.7): a stream above the last
// one that its goodbye names, or a stream that it refused. Streams below that end with the connection, as an error of another
// kind.
fn is_not_taken(error: &(dyn Error + 'static)) -> bool {
    let (mut cause, mut spoken) = (Some(error), None);
    while let Some(error) = cause {
        spoken = spoken.or_else(|| error.downcast_ref::<h2::Error>());
        cause = error.source();
    }
    spoken.is_some_and(|said| {
        let refused = said.is_reset() && said.reason() == Some(h2::Reason::REFUSED_STREAM);
        said.is_remote() && (said.is_go_away() || refused)
    })
}

impl Upstream {
    /// What is known of the venues' clocks.
    pub(crate) const fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// Sees to it that the time at a server is measured, now and then, beside what is sent there. `origin` is the venue's,
    /// `server` that or what stands in its place.
    pub(crate) fn measure(self: &Arc<Self>, origin: &str, server: &str) {
        if !self.clocks.is_to_be_asked(server, Uptime::now()) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (this, server) = (Arc::clone(self), server.to_owned());
        let endpoint = time_endpoint(origin);
        runtime.spawn(async move {
            if this.ask_time(&server, endpoint).await.is_none() {
                tracing::debug!(server, "no time was said");
            }
        });
    }

    async fn ask_time(&self, server: &str, endpoint: Option<&TimeEndpoint>) -> Option<()> {
        let path = endpoint.map_or("/", |endpoint| endpoint.path.as_str());
        let ask = ToSend {
            method: if endpoint.is_some() { "GET" } else { "HEAD" }.to_owned(),
            address: format!("{}{path}", server.trim_end_matches('/')),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let sent = (SystemClock.now(), Uptime::now());
        let answer = self.send(ask).await.ok()?;
        let answered = Uptime::now();
        let (head, body) = answer.into_parts();
        let exchange = Exchange { sent, answered };
        let said = match endpoint {
            Some(endpoint) => {
                let body = Limited::new(body, MAX_TIME_BYTES).collect();
                let body = tokio::time::timeout(ANSWER_TIMEOUT, body)
                    .await
                    .ok()?
                    .ok()?;
                endpoint.read(&body.to_bytes())
            }
            None => None,
        };
        let said = said.or_else(|| date(head.headers.get(DATE)?.to_str().ok()?))?;
        self.clocks.said(server, said, exchange);
        Some(())
    }
}

impl ToSend {
    fn into_http(self) -> Result<Request<Full<Bytes>>, SendError> {
        let uri: Uri = self.address.parse().map_err(|_| SendError::NotHttp)?;
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| SendError::NotHttp)?;
        let mut request = Request::new(Full::new(Bytes::from(self.body)));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("touchkeep/", env!("CARGO_PKG_VERSION"))),
        );
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| SendError::NotHttp)?;
            let mut value = HeaderValue::from_str(value).map_err(|_| SendError::NotHttp)?;
            // An API key among them: not for anybody's debug output.
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(request)
    }
}
