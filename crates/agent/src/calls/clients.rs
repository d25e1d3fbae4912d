//! Clients of the proxy: let in, listed, ended.

use std::sync::Arc;

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{Clock, Code, SystemClock, text::visible};
use touchkeep_wire::{AddClient, ClientSummary, Done, Failure, NewClient, SecretText};

use super::{change, open_vault};
use crate::{
    agent::Agent,
    failure,
    vault::client::{Client, SETTING},
};

pub(crate) fn list(agent: &Arc<Agent>) -> Result<Vec<ClientSummary>, Failure> {
    let (_, open) = open_vault(agent)?;
    let summary = |client: &Client| ClientSummary {
        id: client.id,
        name: client.name.clone(),
        key_set: client.key_set.clone(),
        created: client.created,
        last_seen: agent.last_seen(client.id),
    };
    Ok(open.clients().iter().map(summary).collect())
}

pub(crate) async fn add(agent: &Arc<Agent>, call: AddClient) -> Result<NewClient, Failure> {
    if call.name.trim().is_empty() || call.name.chars().any(char::is_control) {
        return Err(failure::invalid("A client needs a printable name.", ""));
    }
    let added = change(agent, move |agent| {
        let (current, open) = open_vault(agent)?;
        let venue = {
            let vault = open.read();
            let items = vault.items();
            let mut signing = items.into_iter().filter(|item| item.is_signing_key());
            let of_set = signing.find(|item| item.key_set == call.key_set);
            of_set.map(|item| item.venue.clone())
        };
        let venue = venue.ok_or_else(|| {
            failure::not_found(
                "key set",
                &call.key_set,
                "Add an item of that key set first: touchkeep add",
            )
        })?;
        let mut clients = open.clients().to_vec();
        if clients.iter().any(|client| client.name == call.name) {
            return Err(Failure::new(
                Code::Ambiguous,
                format!("There is a client {:?} already.", visible(&call.name)),
                "Choose another name, or revoke that one first.",
            ));
        }
        let (client, token) = Client::new(call.name, call.key_set, SystemClock.now())?;
        let event = Event::new(Kind::ClientAdded, Decision::Done)
            .text(format!(
                "{} may use the key set {}.",
                visible(&client.name),
                visible(&client.key_set)
            ))
            .client(client.id, visible(&client.name));
        let id = client.id;
        clients.push(client);
        current.change(event, |vault| {
            vault
                .set_setting(SETTING, &Client::write_all(&clients))
                .map_err(|error| failure::vault(&error))
        })?;
        open.replace_clients(clients);
        // EXPOSE: to whoever let the client in, this once.
        let token = SecretText::new(token.expose().clone());
        let base = agent.proxy_url().unwrap_or_default();
        Ok(NewClient {
            id,
            token,
            base_url: format!("{base}/{venue}"),
        })
    })
    .await?;
    agent.prompts().changed("clients");
    Ok(added)
}

pub(crate) async fn revoke(agent: &Arc<Agent>, name: String) -> Result<Done, Failure> {
    change(agent, move |agent| {
        let (current, open) = open_vault(agent)?;
        let clients = open.clients();
        let revoked = clients
            .iter()
            .find(|client| client.is_called(&name))
            .ok_or_else(|| failure::not_found("client", &name, "Look at: touchkeep proxy list"))?;
        let event = Event::new(Kind::ClientRemoved, Decision::Done)
            .text(format!(
                "{} may not ask any more: its token is worth nothing.",
                visible(&revoked.name)
            ))
            .client(revoked.id, visible(&revoked.name));
        let left: Vec<_> = clients
            .iter()
            .filter(|one| one.id != revoked.id)
            .cloned()
            .collect();
        // Ends at once, whatever becomes of the file.
        open.replace_clients(left.clone());
        current.change(event, |vault| {
            vault
                .set_setting(SETTING, &Client::write_all(&left))
                .map_err(|error| failure::vault(&error))
        })
    })
    .await?;
    agent.prompts().changed("clients");
    Ok(Done {})
}
