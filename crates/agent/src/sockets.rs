//! What the agent decides about WebSockets: who may open one, and what of a login is signed.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Limited};
use hyper::{Response, body::Incoming as Body};
use tokio::sync::watch;
use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{Code, RequestId, text::visible};
use touchkeep_pipeline::{Client as Asker, Incoming, LoggedIn, LoginTurn, NotSigned};
use touchkeep_policy::Action;
use touchkeep_venue::{
    OperationKind, Request,
    stream::{Guard, LOGIN, LoginAsked, Values},
};

use crate::{
    agent::{Agent, refusal_of},
    ports::Line,
    proxy::Refusal,
    vault::client::Client,
};

/// What an answer with a token may be long, and how long it may take after its head.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// A login that was signed, or the token that was fetched for it.
pub(crate) struct Ours {
    pub(crate) values: Values,
    /// To be dropped once the login was said.
    pub(crate) turn: Option<LoginTurn>,
}

// Who opens a socket, by which line, and how it is heard that he is let in no more.
struct LetIn {
    client: Client,
    pipeline: Line,
    is_listed: bool,
    news: Option<watch::Receiver<Arc<[Client]>>>,
}

/// Whose socket it is, and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct Socket {
    pub(crate) token: String,
    pub(crate) venue: String,
    /// The path as the client gave it.
    pub(crate) path: String,
    pub(crate) peer: SocketAddr,
    pub(crate) port: u16,
}

impl Agent {
    /// Lets a client open a socket: the practice venue's address in place of the venue's own, where there is one.
    pub(crate) async fn opens(&self, socket: &Socket) -> Result<Option<String>, Refusal> {
        let _working = self.works();
        let LetIn {
            client, pipeline, ..
        } = self.lets_open(socket)?;
        stays_within(socket, None, &client, &pipeline).await?;
        let base = pipeline.base_url(&socket.venue, &client.key_set);
        self.saw(client.id);
        base.map_err(|why| refusal_of(&why.into()))
    }

    /// The name of the key that would log in over a socket.
    pub(crate) async fn name_of_key(&self, socket: &Socket) -> Result<Values, Refusal> {
        let LetIn {
            client, pipeline, ..
        } = self.lets_open(socket)?;
        stays_within(socket, Some(OperationKind::Read), &client, &pipeline).await?;
        let name = pipeline.name_of_key(&socket.venue, &client.key_set);
        name.map(|name| Values::of_key(&name))
            .map_err(|why| refusal_of(&why.into()))
    }

    /// Takes the login of a socket to its signature, or to the token that the venue gives for it.
    pub(crate) async fn logs_in(
        &self,
        socket: &Socket,
        guard: Guard,
        asked: &LoginAsked,
    ) -> Result<Ours, Refusal> {
        let _working = self.works();
        let LetIn {
            client,
            pipeline,
            is_listed,
            news,
        } = self.lets_open(socket)?;
        stays_within(socket, Some(OperationKind::Read), &client, &pipeline).await?;
        let incoming = login_of(socket, &client, asked.body());
        let running = self.running();
        let _seat = running.begin(incoming.request, socket.peer, socket.port);
        self.signs_here()?;
        self.saw(client.id);
        // A question of a client that is revoked ends with it.
        let done = tokio::select! {
            biased;
            () = self.has_ended(&client, is_listed, news) => Err(NotSigned::Revoked.into()),
            done = pipeline.login(guard, incoming) => done,
        };
        self.prompts().changed("audit");
        match done.map_err(|why| refusal_of(&why))? {
            LoggedIn::Signed { values, turn } => Ok(Ours {
                values: guard.signed(&values),
                turn,
            }),
            LoggedIn::Answered(answer) => Ok(Ours {
                values: token_in(guard, answer).await?,
                turn: None,
            }),
        }
    }

    /// Records that something was asked for over a socket which is not done there.
    pub(crate) async fn refused_over(&self, socket: &Socket, word: &str) {
        let event = Event::new(Kind::RequestDenied, Decision::Denied)
            .text(format!(
                "{} over the socket {} at {}",
                visible(word),
                visible(&socket.path),
                visible(&socket.venue)
            ))
            .detail("why", "only data is asked for over a socket");
        match self.lets_open(socket) {
            Ok(LetIn {
                client, pipeline, ..
            }) => {
                let event = event.client(client.id, visible(&client.name));
                pipeline.note_refusal(client.id, event).await;
            }
            // It was let in a moment ago.
            Err(_) => self.record(event).await,
        }
    }

    async fn record(&self, event: Event) {
        let Some(current) = self.vault() else {
            return;
        };
        let recording = tokio::task::spawn_blocking(move || current.record(&event));
        if let Ok(Err(failure)) = recording.await {
            tracing::error!(what = failure.what, "a refusal was not recorded");
        }
    }

    /// What the rules do with the login of a socket by now, but for what they limit: it was judged when it was made, and the socket
    /// may be open for days.
    pub(crate) fn login_by_rules(&self, socket: &Socket, guard: Guard) -> Result<Action, Refusal> {
        let LetIn {
            client, pipeline, ..
        } = self.lets_open(socket)?;
        let beyond = client.is_beyond(&socket.venue, Some(OperationKind::Read));
        if beyond.is_some() {
            return Ok(Action::Deny);
        }
        let incoming = login_of(socket, &client, Vec::new());
        Ok(pipeline.login_by_rules(guard, &incoming))
    }

    fn lets_open(&self, socket: &Socket) -> Result<LetIn, Refusal> {
        let of = |clients: &[Client], line: &Line, news| {
            let client = self.client_of(clients, &socket.token)?;
            Some(LetIn {
                is_listed: clients.contains(&client),
                client,
                pipeline: line.clone(),
                news,
            })
        };
        let current = self.vault().ok_or(Refusal::Locked)?;
        let found = if let Some(open) = current.peek() {
            let news = open.news_of_clients();
            of(&open.clients(), &open.pipeline, Some(news))
        } else {
            let armed = self.armed().ok_or(Refusal::Locked)?;
            of(armed.clients(), armed.pipeline(), None)
        };
        found.ok_or(Refusal::UnknownToken)
    }
}

fn login_of(socket: &Socket, client: &Client, body: Vec<u8>) -> Incoming {
    Incoming {
        request: RequestId::random(),
        client: Asker {
            id: client.id,
            name: client.name.clone(),
        },
        venue: socket.venue.clone(),
        key_set: client.key_set.clone(),
        http: Request {
            method: LOGIN.to_owned(),
            path: socket.path.clone(),
            query: Vec::new(),
            content_type: None,
            body,
            expires: None,
        },
    }
}

// What a client is bound to holds for sockets, too, and what it is not let in to is on record.
async fn stays_within(
    socket: &Socket,
    kind: Option<OperationKind>,
    client: &Client,
    pipeline: &Line,
) -> Result<(), Refusal> {
    let Some(why) = client.is_beyond(&socket.venue, kind) else {
        return Ok(());
    };
    let (path, venue) = (visible(&socket.path), visible(&socket.venue));
    let event = Event::new(Kind::RequestDenied, Decision::Denied)
        .text(format!("The socket {path} at {venue}"))
        .client(client.id, visible(&client.name))
        .detail("why", &*why);
    pipeline.note_refusal(client.id, event).await;
    Err(Refusal::Decided(Code::Denied, why))
}

// What the venue answers a request for a token with. Its own words on why there is none stay in the log.
async fn token_in(guard: Guard, answer: Response<Body>) -> Result<Values, Refusal> {
    let none = || {
        let why = "the venue gave no token for this socket; does the key have the right to its WebSockets?";
        Refusal::Decided(Code::Denied, why.to_owned())
    };
    let body = Limited::new(answer.into_body(), MAX_TOKEN_BYTES).collect();
    let body = tokio::time::timeout(TOKEN_TIMEOUT, body).await;
    let body = body.map_err(|_| none())?.map_err(|_| none())?;
    guard.answered(&body.to_bytes()).ok_or_else(none)
}
