//! One request of a bot, from its token to the venue's answer.

use std::sync::Arc;

use hyper::Response;
use tokio::sync::watch;
use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{ClientId, Code, RequestId, text::visible};
use touchkeep_pipeline::{Client as Asker, Incoming, KeyError, NotDone, NotSigned};
use touchkeep_venue::{Decoded, Operation};

use super::Agent;
use crate::{
    ports::Line,
    proxy::{self, Answer, Asked, Refusal},
    vault::client::Client,
};

impl Agent {
    /// Who has this token, before anything else is read of a request.
    pub(crate) fn lets_in(&self, token: &str) -> Result<ClientId, Refusal> {
        let current = self.vault().ok_or(Refusal::Locked)?;
        let client = match current.peek() {
            Some(open) => self.client_of(&open.clients(), token),
            None => {
                let armed = self.armed().ok_or(Refusal::Locked)?;
                self.client_of(armed.clients(), token)
            }
        };
        client.map(|client| client.id).ok_or(Refusal::UnknownToken)
    }

    /// Takes one request of a bot to its answer.
    pub(crate) async fn request(&self, asked: Asked) -> Result<Response<Answer>, Refusal> {
        let _working = self.works();
        let current = self.vault().ok_or(Refusal::Locked)?;
        // What is open is held by nobody while he waits, so that a lock wipes it at once.
        let Some((clients, news, pipeline, keeps_open)) = current.peek().map(|open| {
            // A bot whose keys are armed goes on after the lock, so that it need not keep the rest of the vault open.
            let keeps_open = open.armed_until().is_none();
            if keeps_open {
                open.touch();
            }
            let news = open.news_of_clients();
            (open.clients(), news, open.pipeline.clone(), keeps_open)
        }) else {
            // Nobody is revoked while it is locked.
            let armed = self.armed().ok_or(Refusal::Locked)?;
            let (clients, pipeline) = (armed.clients(), armed.pipeline());
            return self.answer(asked, clients, None, pipeline).await;
        };
        let answered = self.answer(asked, &clients, Some(news), &pipeline).await;
        if keeps_open
            && !matches!(answered, Err(Refusal::UnknownToken))
            && let Some(open) = current.peek()
        {
            open.touch();
        }
        answered
    }

    async fn answer(
        &self,
        asked: Asked,
        clients: &[Client],
        news: Option<watch::Receiver<Arc<[Client]>>>,
        pipeline: &Line,
    ) -> Result<Response<Answer>, Refusal> {
        let client = self
            .client_of(clients, &asked.token)
            .ok_or(Refusal::UnknownToken)?;
        self.stays_within(&client, &asked, pipeline).await?;
        self.signs_here()?;
        let request = RequestId::random();
        let _seat = self.running.begin(request, asked.peer, asked.port);
        self.saw(client.id);
        let incoming = Incoming {
            request,
            client: Asker {
                id: client.id,
                name: client.name.clone(),
            },
            venue: asked.venue,
            key_set: client.key_set.clone(),
            http: asked.request,
        };
        // A question of a client that is revoked ends with it: nobody says yes to it any more.
        let revoked = self.has_ended(&client, clients.contains(&client), news);
        let answered = pipeline.handle_unless(revoked, incoming).await;
        self.prompts.more_in_log();
        answered
            .map(|done| proxy::passed_on(done.response, done.outcome))
            .map_err(|why| refusal_of(&why))
    }

    /// Sees to it that no other agent of this machine signs with the same vault.
    pub(crate) fn signs_here(&self) -> Result<(), Refusal> {
        let vault = self.vault().ok_or(Refusal::Locked)?;
        self.signing.take(vault.id()).map_err(|why| {
            let fix = "lock it there, or point your programs at that agent's proxy";
            Refusal::Decided(Code::NotPermitted, format!("{why}; {fix}"))
        })
    }

    // What a client is bound to comes before what a policy says of it.
    async fn stays_within(
        &self,
        client: &Client,
        asked: &Asked,
        pipeline: &Line,
    ) -> Result<(), Refusal> {
        if client.is_bound_to_nothing() {
            return Ok(());
        }
        let read = touchkeep_venue::venue(&asked.venue).and_then(|v| v.decode(&asked.request).ok());
        let operation = match &read {
            Some(Decoded::Private(private)) => Some(private.operation()),
            _ => None,
        };
        let kind = operation.map(|operation| operation.kind);
        let Some(why) = client.is_beyond(&asked.venue, kind) else {
            return Ok(());
        };
        let path = || visible(&asked.request.path);
        let what = operation.map_or_else(path, Operation::sentence);
        let mut event = Event::new(Kind::RequestDenied, Decision::Denied)
            .text(what)
            .client(client.id, visible(&client.name))
            .detail("why", &*why);
        event.operation = operation.cloned();
        Box::pin(pipeline.note_refusal(client.id, event)).await;
        Err(Refusal::Decided(Code::Denied, why))
    }
}

pub(crate) fn refusal_of(why: &NotDone) -> Refusal {
    match why {
        NotDone::Unknown(why) => Refusal::StateUnknown(why.clone()),
        // It may be open again by now.
        NotDone::NotSigned(NotSigned::Key(KeyError::Over)) => {
            Refusal::Decided(why.code(), why.to_string())
        }
        _ if why.code() == Code::Locked => Refusal::Locked,
        _ => Refusal::Decided(why.code(), why.to_string()),
    }
}
