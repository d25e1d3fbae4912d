//! WebSockets: `ws://127.0.0.1:PORT/<venue>/<path there>`. One over which nothing but data can be asked for is spliced
//! through; of the others every message of the client is read first. What the venue says goes through either way.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{
        CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
    http::request::Parts,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use tokio::{task::JoinHandle, time::interval};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use touchkeep_core::Code;
use touchkeep_venue::stream::{Guard, Heard, Stream, stream};

use super::{Answer, Ends, Refusal, Seat, ToSend, answer::whole, guard, passed_on, sits};
use crate::{agent::Agent, sockets::Socket};

/// What a client may say at once.
const MAX_CLIENT_BYTES: usize = 64 * 1024;
/// What a venue may.
const MAX_VENUE_BYTES: usize = 16 * 1024 * 1024;
/// How often it is looked whether the client still has its token and the vault is open.
const LOOK: Duration = Duration::from_secs(2);
/// A client that is refused this often is not listened to any longer.
const MAX_REFUSALS: u32 = 16;

/// Whether a request asks for a WebSocket.
pub(super) fn is_asked_for<B>(request: &Request<B>) -> bool {
    let upgrade = request.headers().get(UPGRADE);
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
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
    let base = agent.opens(&socket)?;
    let asked = to_send(head, &going, base)?;
    let answer = agent
        .upstream()
        .open_socket(asked)
        .await
        .map_err(|why| Refusal::Decided(Code::Unreachable, why.to_string()))?;
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
            Some(guard) => guarded(&agent, &socket, guard, client, venue).await,
            None => spliced(&agent, &socket, client, venue).await,
        }
    });
    Ok(response)
}

// The client's opening handshake, to the venue. Without compression where messages are read.
fn to_send(head: &Parts, going: &Stream, base: Option<String>) -> Result<ToSend, Refusal> {
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
    let origin = base.unwrap_or_else(|| going.origin.replacen("ws", "http", 1));
    let query = head
        .uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    Ok(ToSend {
        method: "GET".to_owned(),
        address: format!("{}{}{query}", origin.trim_end_matches('/'), going.path),
        headers,
        body: Vec::new(),
    })
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
        () = shut_out(agent, socket) => {}
    }
}

// Returns once the client's token is worth nothing any more, or the vault is locked.
async fn shut_out(agent: &Agent, socket: &Socket) {
    let mut look = interval(LOOK);
    loop {
        look.tick().await;
        if agent.lets_in(&socket.token).is_err() {
            return;
        }
    }
}

type Side = WebSocketStream<TokioIo<Upgraded>>;

// What the client said, and what is said in its place, or why nothing is.
type LoggedIn = (Vec<u8>, Result<String, String>);

/// Both ends of a socket whose client is listened to.
struct Relay {
    agent: Arc<Agent>,
    socket: Socket,
    guard: Guard,
    client: Side,
    venue: Side,
    login: Option<JoinHandle<LoggedIn>>,
    refusals: u32,
}

async fn guarded(
    agent: &Arc<Agent>,
    socket: &Socket,
    guard: Guard,
    client: Upgraded,
    venue: Upgraded,
) {
    let bounded = |bytes| {
        WebSocketConfig::default()
            .max_message_size(Some(bytes))
            .max_frame_size(Some(bytes))
    };
    let (of_client, of_venue) = (bounded(MAX_CLIENT_BYTES), bounded(MAX_VENUE_BYTES));
    let client = TokioIo::new(client);
    let venue = TokioIo::new(venue);
    let mut relay = Relay {
        agent: Arc::clone(agent),
        socket: socket.clone(),
        guard,
        client: Side::from_raw_socket(client, Role::Server, Some(of_client)).await,
        venue: Side::from_raw_socket(venue, Role::Client, Some(of_venue)).await,
        login: None,
        refusals: 0,
    };
    tokio::select! {
        _ = relay.run() => {}
        () = shut_out(agent, socket) => {
            let why = CloseFrame {
                code: CloseCode::Policy,
                reason: "Touchkeep: no access any more".into(),
            };
            let _ = tokio::time::timeout(LOOK, relay.client.close(Some(why))).await;
        }
    }
    if let Some(login) = relay.login.take() {
        login.abort();
    }
    let _ = tokio::time::timeout(LOOK, relay.venue.close(None)).await;
}

impl Relay {
    // Ends with none when one side has ended.
    async fn run(&mut self) -> Option<()> {
        loop {
            tokio::select! {
                said = self.client.next() => self.client_said(said?.ok()?).await?,
                said = self.venue.next() => self.venue_said(said?.ok()?).await?,
                signed = done(&mut self.login) => self.logged_in(signed?).await?,
            }
        }
    }

    async fn venue_said(&mut self, said: Message) -> Option<()> {
        match said {
            Message::Text(_) | Message::Binary(_) => self.client.send(said).await.ok(),
            Message::Close(frame) => {
                let _ = self.client.close(frame).await;
                None
            }
            // Each side's are answered where they come in.
            _ => Some(()),
        }
    }

    async fn client_said(&mut self, said: Message) -> Option<()> {
        let text = match said {
            Message::Text(text) => text,
            Message::Binary(_) => return self.refuse(b"", "a message that is not text").await,
            Message::Close(_) => return None,
            _ => return Some(()),
        };
        match self.guard.hears(text.as_bytes()) {
            Heard::Reads => self.venue.send(Message::Text(text)).await.ok(),
            Heard::Refused(word) => self.refuse(text.as_bytes(), &word).await,
            Heard::Login(_) if self.login.is_some() => {
                self.refuse(text.as_bytes(), "a second login beside the first")
                    .await
            }
            Heard::Login(asked)
                if asked.key.starts_with("tkc_") && asked.key != self.socket.token =>
            {
                self.refuse(text.as_bytes(), "a login with another token")
                    .await
            }
            Heard::Login(asked) => {
                let (agent, socket, guard) =
                    (Arc::clone(&self.agent), self.socket.clone(), self.guard);
                let said = text.as_bytes().to_vec();
                self.login = Some(tokio::spawn(async move {
                    let signed = agent.logs_in(&socket, guard).await;
                    let ours = match signed {
                        Ok(signed) => guard
                            .login_message(&asked, &signed)
                            .ok_or_else(|| "the login cannot be written".to_owned()),
                        Err(refusal) => Err(refusal.words()),
                    };
                    (said, ours)
                }));
                Some(())
            }
        }
    }

    async fn logged_in(&mut self, (said, ours): LoggedIn) -> Option<()> {
        self.login = None;
        match ours {
            // EXPOSE: to the venue that the key is of.
            Ok(ours) => self.venue.send(Message::text(ours)).await.ok(),
            Err(words) => self.say_no(&said, &words).await,
        }
    }

    async fn refuse(&mut self, said: &[u8], word: &str) -> Option<()> {
        self.refusals += 1;
        if self.refusals > MAX_REFUSALS {
            return None;
        }
        self.agent.refused_over(&self.socket, word).await;
        let words = "only data is asked for over a socket; orders go over REST";
        self.say_no(said, words).await
    }

    async fn say_no(&mut self, said: &[u8], words: &str) -> Option<()> {
        let refusal = self.guard.refusal(said, &format!("Touchkeep: {words}"));
        self.client.send(Message::text(refusal)).await.ok()
    }
}

// What came of a login, once something did.
async fn done<T>(login: &mut Option<JoinHandle<T>>) -> Option<T> {
    match login {
        Some(login) => login.await.ok(),
        None => std::future::pending().await,
    }
}
