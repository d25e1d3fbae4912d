//! WebSockets (RFC 6455): one conversation at a time, message by message.
//!
//! A message is treated as a request is: faults strike it, and it is recorded, with `WS` as its method and the socket's path.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use super::binance::{BinanceSocket, BinanceStream};
use super::exchange::{Asked, Exchange};
use super::faults::{Fault, Instead};
use super::kraken::KrakenSocket;
use super::request::{Done, Received, Refused};
use super::server::{Shared, lock, now_us};

const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
const DAY: Duration = Duration::from_secs(86_400);

/// One side of a conversation.
pub(crate) trait Socket: Send {
    /// What is said first.
    fn greeting(&self, now_us: u64) -> Option<Value>;

    /// The name of what a message asks for, and the key that it names.
    fn asked(&self, message: &Received) -> Asked;

    /// Checks a message and does what it asks.
    fn run(
        &mut self,
        exchange: &mut Exchange,
        message: &Received,
        now_us: u64,
    ) -> Result<Done, Refused>;

    /// What is answered to this message when a fault was ordered.
    fn instead(&self, message: &Received, instead: Instead, now_us: u64) -> Refused;

    /// What there is to say without having been asked.
    fn news(&mut self, exchange: &mut Exchange, now_us: u64) -> Vec<Value>;

    /// How often there is something to say whatever happens, if there is.
    fn beat(&self) -> Option<Duration> {
        None
    }

    /// What there is to say then.
    fn tick(&mut self, _: &mut Exchange, _: u64) -> Vec<Value> {
        Vec::new()
    }
}

/// Does a client want to change from HTTP to a WebSocket?
pub(crate) fn is_wanted<B>(request: &Request<B>) -> bool {
    let upgrade = request.headers().get(UPGRADE);
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Changes to a WebSocket where there is one at this path, and answers with the status that says so.
pub(crate) fn open(
    mut request: Request<Incoming>,
    exchange: Shared,
    peer: SocketAddr,
    local: SocketAddr,
) -> Result<Response<Empty<Bytes>>, hyper::http::Error> {
    let path = request.uri().path().to_owned();
    let socket: Box<dyn Socket> = match path.as_str() {
        "/v2" => Box::new(KrakenSocket::default()),
        "/ws-api/v3" => Box::new(BinanceSocket::default()),
        path => match BinanceStream::at(path, request.uri().query().unwrap_or_default()) {
            Some(stream) => Box::new(stream),
            None => return status(StatusCode::NOT_FOUND),
        },
    };
    let version = request.headers().get(SEC_WEBSOCKET_VERSION);
    let is_known = version.is_some_and(|version| version.as_bytes() == b"13");
    let Some(key) = request
        .headers()
        .get(SEC_WEBSOCKET_KEY)
        .filter(|_| is_known)
    else {
        return status(StatusCode::BAD_REQUEST);
    };
    let accept = derive_accept_key(key.as_bytes());
    let talk = Talk {
        socket,
        exchange,
        peer,
        local,
        path,
    };
    drop(tokio::spawn(talk.begin(hyper::upgrade::on(&mut request))));
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept)
        .body(Empty::new())
}

fn status(status: StatusCode) -> Result<Response<Empty<Bytes>>, hyper::http::Error> {
    Response::builder().status(status).body(Empty::new())
}

struct Talk {
    socket: Box<dyn Socket>,
    exchange: Shared,
    peer: SocketAddr,
    local: SocketAddr,
    path: String,
}

type Stream = WebSocketStream<TokioIo<Upgraded>>;

impl Talk {
    async fn begin(mut self, upgrade: OnUpgrade) {
        // A client that left before the change was made has nobody to be told.
        let Ok(upgraded) = upgrade.await else {
            return;
        };
        let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE_BYTES));
        let io = TokioIo::new(upgraded);
        let mut stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        // Any error is a client that left or broke the protocol: the conversation is over.
        let _ = self.converse(&mut stream).await;
    }

    async fn converse(
        &mut self,
        stream: &mut Stream,
    ) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        let mut changes = lock(&self.exchange).changes.subscribe();
        if let Some(greeting) = self.socket.greeting(self.clock(&Fault::default())) {
            say(stream, &greeting).await?;
        }
        // A socket without a beat of its own is not woken by this one for a day.
        let mut beat = tokio::time::interval(self.socket.beat().unwrap_or(DAY));
        loop {
            let message = tokio::select! {
                message = stream.next() => message.transpose()?,
                _ = beat.tick() => {
                    let now_us = self.clock(&Fault::default());
                    let said = self.socket.tick(&mut lock(&self.exchange), now_us);
                    for piece in said {
                        say(stream, &piece).await?;
                    }
                    continue;
                }
                _ = changes.changed() => {
                    self.tell_news(stream).await?;
                    continue;
                }
            };
            match message {
                Some(Message::Text(text)) => {
                    if !self.hear(stream, text.as_bytes()).await? {
                        return Ok(());
                    }
                    self.tell_news(stream).await?;
                }
                Some(Message::Ping(_) | Message::Pong(_)) => stream.flush().await?,
                // Neither venue takes anything but text.
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Answers a message; false: hang up.
    async fn hear(
        &mut self,
        stream: &mut Stream,
        text: &[u8],
    ) -> Result<bool, tokio_tungstenite::tungstenite::Error> {
        let message = self.received(text);
        let fault = lock(&self.exchange).faults.take(&self.path);
        tokio::time::sleep(fault.delay()).await;
        match self.answer(&message, &fault)? {
            None => Ok(false),
            Some(answer) => say(stream, &answer).await.map(|()| true),
        }
    }

    fn answer(&mut self, message: &Received, fault: &Fault) -> io::Result<Option<Value>> {
        let now_us = self.clock(fault);
        let exchange = &mut *lock(&self.exchange);
        let instead = fault.instead();
        let instead = instead.map(|kind| (kind, self.socket.instead(message, kind, now_us)));
        let done = match &instead {
            Some((kind, _)) if !fault.strikes_after() => {
                Err(self.socket.instead(message, *kind, now_us))
            }
            _ => self.socket.run(exchange, message, now_us),
        };
        let asked = self.socket.asked(message);
        let sent = exchange.conclude(message, fault, asked, done, instead)?;
        Ok(sent.map(|(_, body)| body))
    }

    async fn tell_news(
        &mut self,
        stream: &mut Stream,
    ) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        let now_us = self.clock(&Fault::default());
        let news = self.socket.news(&mut lock(&self.exchange), now_us);
        for piece in news {
            say(stream, &piece).await?;
        }
        Ok(())
    }

    fn clock(&self, fault: &Fault) -> u64 {
        lock(&self.exchange).faults.clock_us(now_us(), fault)
    }

    fn received(&self, text: &[u8]) -> Received {
        Received {
            at_us: now_us(),
            peer: self.peer.ip(),
            local: self.local,
            method: "WS".to_owned(),
            path: self.path.clone(),
            query: Vec::new(),
            body: text.to_vec(),
            headers: Vec::new(),
        }
    }
}

async fn say(
    stream: &mut Stream,
    what: &Value,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    stream.send(Message::text(what.to_string())).await
}
