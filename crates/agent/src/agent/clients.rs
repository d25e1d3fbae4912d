//! Clients at the proxy: whom a token lets in, until when, and when he was here last.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use touchkeep_core::{ClientId, Clock, SystemClock, UnixMillis};

use super::Agent;
use crate::vault::client::{Client, Visitor};

/// How often it is looked whether a process is still there whose requests wait for somebody.
const LOOK: Duration = Duration::from_millis(500);

impl Agent {
    pub(crate) fn client_of(&self, clients: &[Client], token: &str) -> Option<Client> {
        if let Some(client) = Client::of_token(clients, token) {
            return Some(client.clone());
        }
        let visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        let mut visitors = visitors.iter().filter(|visitor| visitor.caller.lives());
        let has =
            |one: &&Visitor| Client::of_token(std::slice::from_ref(&one.client), token).is_some();
        visitors.find(has).map(|visitor| visitor.client.clone())
    }

    /// Clients that end with a process, of those that still run.
    pub(crate) fn visitors(&self) -> Vec<Visitor> {
        let mut visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        visitors.retain(|visitor| visitor.caller.lives());
        visitors.clone()
    }

    /// Lets one in.
    pub(crate) fn lets_visit(&self, visitor: Visitor) {
        let mut visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        visitors.retain(|visitor| visitor.caller.lives());
        visitors.push(visitor);
    }

    /// Ends all that are called so, or the one that has this id.
    pub(crate) fn ends_visits(&self, name_or_id: &str) -> Vec<Client> {
        let mut visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        let called = |one: &mut Visitor| one.client.is_called(name_or_id);
        let clients: Vec<Client> = visitors
            .extract_if(.., called)
            .map(|visitor| visitor.client)
            .collect();
        self.visits_ended.send_modify(|ended| {
            ended.extend(clients.iter().map(|client| client.id));
        });
        clients
    }

    /// Returns once a client is let in no more, or to less than it was. A lock ends what waits by itself. `is_listed`: whether the
    /// vault has it; else it is one that ends with a process.
    pub(crate) async fn has_ended(
        &self,
        client: &Client,
        is_listed: bool,
        news: Option<watch::Receiver<Arc<[Client]>>>,
    ) {
        let ended = if is_listed {
            match news {
                Some(mut news) => news.wait_for(|now| !now.contains(client)).await.is_ok(),
                None => false,
            }
        } else {
            let mut visits = self.visits_ended.subscribe();
            tokio::select! {
                ended = visits.wait_for(|ended| ended.contains(&client.id)) => ended.is_ok(),
                () = self.has_gone(client.id) => true,
            }
        };
        if !ended {
            std::future::pending::<()>().await;
        }
    }

    // Returns once the process has ended that a client ends with. Nobody says so.
    async fn has_gone(&self, client: ClientId) {
        loop {
            tokio::time::sleep(LOOK).await;
            let visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
            let mut visitors = visitors.iter().filter(|one| one.client.id == client);
            if !visitors.any(|one| one.caller.lives()) {
                return;
            }
        }
    }

    pub(crate) fn last_seen(&self, client: ClientId) -> Option<UnixMillis> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&client)
            .copied()
            .or_else(|| self.state.last_seen(client))
    }

    /// Notes that a client was here.
    pub(crate) fn saw(&self, client: ClientId) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(client, SystemClock.now());
    }

    /// Writes down when clients were last seen; blocks.
    pub(crate) fn flush_seen(&self) {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        for (client, at) in seen {
            if let Err(error) = self.state.saw_client(client, at) {
                tracing::warn!(%error, "a client's last request was not noted");
            }
        }
    }
}
