//! What the agent decides about WebSockets: who may open one, and what of a login is signed.

use std::net::SocketAddr;

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{Code, RequestId, text::visible};
use touchkeep_pipeline::{Client as Asker, Incoming};
use touchkeep_venue::{
    OperationKind, Outgoing, Request,
    stream::{Guard, LOGIN},
};

use crate::{
    agent::{Agent, refusal_of},
    ports::Line,
    proxy::Refusal,
    vault::client::Client,
};

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
    pub(crate) fn opens(&self, socket: &Socket) -> Result<Option<String>, Refusal> {
        self.works();
        self.with_client(socket, |client, pipeline| {
            if let Some(why) = client.is_beyond(&socket.venue, None) {
                return Err(Refusal::Decided(Code::Denied, why));
            }
            let base = pipeline.base_url(&socket.venue, &client.key_set);
            self.saw(client.id);
            base.map_err(|why| refusal_of(&why.into()))
        })
    }

    /// Takes the login of a socket to its signature.
    pub(crate) async fn logs_in(&self, socket: &Socket, guard: Guard) -> Result<Outgoing, Refusal> {
        self.works();
        let (client, pipeline) = self.with_client(socket, |client, pipeline| {
            Ok((client.clone(), pipeline.clone()))
        })?;
        if let Some(why) = client.is_beyond(&socket.venue, Some(OperationKind::Read)) {
            return Err(Refusal::Decided(Code::Denied, why));
        }
        let request = RequestId::random();
        let _seat = self.running().begin(request, socket.peer, socket.port);
        self.signs_here()?;
        self.saw(client.id);
        let incoming = Incoming {
            request,
            client: Asker {
                id: client.id,
                name: client.name.clone(),
            },
            venue: socket.venue.clone(),
            key_set: client.key_set,
            http: Request {
                method: LOGIN.to_owned(),
                path: socket.path.clone(),
                query: Vec::new(),
                content_type: None,
                body: Vec::new(),
            },
        };
        let signed = pipeline.login(guard, incoming).await;
        self.prompts().changed("audit");
        signed.map_err(|why| refusal_of(&why))
    }

    /// Records that something was asked for over a socket which is not done there.
    pub(crate) async fn refused_over(&self, socket: &Socket, word: &str) {
        let asker = self.with_client(socket, |client, _| Ok((client.id, client.name.clone())));
        let mut event = Event::new(Kind::RequestDenied, Decision::Denied)
            .text(format!(
                "{} over the socket {} at {}",
                visible(word),
                visible(&socket.path),
                visible(&socket.venue)
            ))
            .detail("why", "only data is asked for over a socket");
        if let Ok((id, name)) = asker {
            event = event.client(id, visible(&name));
        }
        let Some(current) = self.vault() else {
            return;
        };
        let recording = tokio::task::spawn_blocking(move || current.record(&event));
        if let Ok(Err(failure)) = recording.await {
            tracing::error!(what = failure.what, "a refusal was not recorded");
        }
    }

    fn with_client<T>(
        &self,
        socket: &Socket,
        then: impl FnOnce(&Client, &Line) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let unknown = || Refusal::UnknownToken;
        let current = self.vault().ok_or(Refusal::Locked)?;
        if let Some(open) = current.peek() {
            let client = self.client_of(&open.clients(), &socket.token);
            return then(&client.ok_or_else(unknown)?, &open.pipeline);
        }
        let armed = self.armed().ok_or(Refusal::Locked)?;
        let client = self.client_of(armed.clients(), &socket.token);
        then(&client.ok_or_else(unknown)?, armed.pipeline())
    }
}
