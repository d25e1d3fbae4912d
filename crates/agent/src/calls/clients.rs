//! Clients of the proxy: let in, listed, ended.

use std::{collections::BTreeSet, sync::Arc};

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{
    Clock, Code, SystemClock,
    text::{quoted, shell_word, visible},
};
use touchkeep_vault::Unlocked;
use touchkeep_venue::{OperationKind, dummy};
use touchkeep_wire::{
    AddClient, BindClient, ClientSummary, Done, Failure, NewClient, OpenClient, OpenedClient,
    SecretText, Variable,
};

use super::{change, items::check_spelling, open_vault};
use crate::{
    agent::Agent,
    caller::Caller,
    devices::{blocking, no_answer},
    failure,
    proxy::WEBHOOKS,
    vault::{
        Current, Open,
        client::{Client, SETTING, Visitor, revoked_setting},
    },
};

pub(crate) fn list(agent: &Arc<Agent>) -> Result<Vec<ClientSummary>, Failure> {
    let (_, open) = open_vault(agent)?;
    let visitors = agent.visitors();
    let visitors = visitors.iter().map(|visitor| &visitor.client);
    let all = open.clients();
    let all = all.iter().chain(visitors);
    Ok(all.map(|client| summary(agent, client)).collect())
}

fn summary(agent: &Agent, client: &Client) -> ClientSummary {
    ClientSummary {
        id: client.id,
        name: client.name.clone(),
        key_set: client.key_set.clone(),
        venues: client.venues.clone(),
        kinds: client.kinds.iter().map(ToString::to_string).collect(),
        created: client.created,
        last_seen: agent.last_seen(client.id),
    }
}

// With those that there are: an import calls them by their venues.
fn no_key_set(open: &Open, name: &str) -> Failure {
    let vault = open.read();
    let keys = vault
        .items()
        .into_iter()
        .filter(|item| item.is_signing_key());
    let sets: BTreeSet<String> = keys.map(|item| visible(&item.key_set)).collect();
    let sets: Vec<String> = sets.into_iter().collect();
    let fix = match sets[..] {
        [] => format!(
            "Add a key of it first: touchkeep add NAME --venue VENUE --class trade --api-key KEY --key-set {}",
            shell_word(name)
        ),
        _ => format!("There are: {}. Say which: --key-set NAME", sets.join(", ")),
    };
    failure::not_found("key set", name, &fix)
}

pub(crate) async fn add(agent: &Arc<Agent>, call: AddClient) -> Result<NewClient, Failure> {
    may_be_called(&call.name)?;
    let (only, kinds) = bounds(call.venues, &call.kinds)?;
    if call.key_set.is_empty() && !(only.is_empty() && kinds.is_empty()) {
        return Err(failure::invalid(
            "A client that hands over webhooks' deliveries has no keys, and so no venues and kinds.",
            "Let it in without them.",
        ));
    }
    let added = change(agent, move |agent| {
        let (current, open) = open_vault(agent)?;
        let venues: BTreeSet<String> = {
            let vault = open.read();
            let items = vault.items();
            let signing = items.into_iter().filter(|item| item.is_signing_key());
            let of_set = signing.filter(|item| item.key_set == call.key_set);
            of_set.map(|item| item.venue.clone()).collect()
        };
        if venues.is_empty() && !call.key_set.is_empty() {
            return Err(no_key_set(&open, &call.key_set));
        }
        check_name(&open.clients(), &call.name)?;
        let visiting: Vec<Client> = agent.visitors().into_iter().map(|one| one.client).collect();
        check_name(&visiting, &call.name)?;
        let (mut client, token) = Client::new(call.name, call.key_set, SystemClock.now())?;
        // In the same change, so that it is at no time more than it is meant to be.
        (client.venues, client.kinds) = (only, kinds);
        let event = Event::new(Kind::ClientAdded, Decision::Done)
            .text(may(&client))
            .client(client.id, visible(&client.name));
        let id = client.id;
        current.change(event, |vault| {
            let mut clients = Client::of_vault(vault);
            check_name(&clients, &client.name)?;
            clients.push(client);
            write(vault, &clients)
        })?;
        // EXPOSE: to whoever let the client in, this once.
        let token = SecretText::new(token.expose().clone());
        let base = agent.proxy_url().unwrap_or_default();
        Ok(NewClient {
            id,
            token,
            webhooks: format!("{base}{WEBHOOKS}"),
            base_urls: venues
                .into_iter()
                .map(|venue| (venue.clone(), format!("{base}/{venue}")))
                .collect(),
        })
    })
    .await?;
    agent.prompts().changed("clients");
    Ok(added)
}

// Whether a client may be called so from now on: rules speak of names, and so do questions.
fn may_be_called(name: &str) -> Result<(), Failure> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(failure::invalid(
            "A client needs a printable name.",
            "Give it one, as in: touchkeep proxy add grid-bot",
        ));
    }
    check_spelling(name, "Give it a short one.")?;
    // A backslash is shown as two, and seen.
    if visible(name) != name.replace('\\', "\\\\") {
        return Err(failure::invalid(
            format!(
                "The name {} has a character in it that is not seen.",
                quoted(name)
            ),
            "Leave that out: two clients could look the same else.",
        ));
    }
    Ok(())
}

fn check_name(clients: &[Client], name: &str) -> Result<(), Failure> {
    if clients.iter().all(|client| client.name != name) {
        return Ok(());
    }
    Err(Failure::new(
        Code::Ambiguous,
        format!("There is a client {} already.", quoted(name)),
        "Choose another name, or revoke that one first.",
    ))
}

fn write(vault: &mut Unlocked, clients: &[Client]) -> Result<(), Failure> {
    let written = vault.set_setting(SETTING, &Client::write_all(clients));
    written.map_err(|error| failure::vault(&error))
}

fn called(clients: &[Client], name: &str) -> Result<Client, Failure> {
    // One of before may have a name that cannot be typed: then it is meant by what is shown of it.
    let shown = || clients.iter().find(|client| visible(&client.name) == name);
    let found = clients.iter().find(|client| client.is_called(name));
    found
        .or_else(shown)
        .cloned()
        .ok_or_else(|| failure::not_found("client", name, "Look at: touchkeep proxy list"))
}

fn may(client: &Client) -> String {
    let name = visible(&client.name);
    match &*client.key_set {
        "" => format!("{name} may hand over webhooks' deliveries."),
        key_set if client.is_bound_to_nothing() => {
            format!("{name} may use the key set {}.", visible(key_set))
        }
        key_set => format!(
            "{name} may use the key set {}: {}.",
            visible(key_set),
            words(client)
        ),
    }
}

pub(crate) async fn bind(agent: &Arc<Agent>, call: BindClient) -> Result<ClientSummary, Failure> {
    let (venues, kinds) = bounds(call.venues, &call.kinds)?;
    if venues.is_empty() && kinds.is_empty() {
        return Err(failure::invalid(
            "There is nothing to bind it to.",
            "Say what it still may: --kind KIND or --venue VENUE",
        ));
    }
    let name = call.client;
    let bound = change(agent, move |agent| {
        let (current, open) = open_vault(agent)?;
        let known = called(&open.clients(), &name)?;
        let bound = closer(&known, &venues, &kinds)?;
        let event = Event::new(Kind::ClientAdded, Decision::Done)
            .text(format!(
                "{} is bound to {}.",
                visible(&bound.name),
                words(&bound)
            ))
            .client(bound.id, visible(&bound.name));
        current.change(event, |vault| {
            let mut clients = Client::of_vault(vault);
            let now = closer(&called(&clients, &name)?, &venues, &kinds)?;
            let known = clients.iter_mut().filter(|client| client.id == now.id);
            known.for_each(|client| *client = now.clone());
            write(vault, &clients)
        })?;
        Ok(bound)
    })
    .await?;
    agent.prompts().changed("clients");
    Ok(summary(agent, &bound))
}

// What is bound stays so: a program that has reached this socket could else undo it.
fn closer(client: &Client, venues: &[String], kinds: &[OperationKind]) -> Result<Client, Failure> {
    let name = visible(&client.name);
    if client.key_set.is_empty() {
        return Err(failure::invalid(
            format!("{name} has no keys: it hands over webhooks' deliveries, and nothing else."),
            "It cannot do less. End its access with: touchkeep proxy revoke NAME",
        ));
    }
    if !is_within(venues, &client.venues) || !is_within(kinds, &client.kinds) {
        return Err(Failure::new(
            Code::NotPermitted,
            format!("{name} may do less than that already: {}.", words(client)),
            "Revoke it, and let it in anew.",
        ));
    }
    let mut bound = client.clone();
    if !venues.is_empty() {
        bound.venues = venues.to_vec();
    }
    if !kinds.is_empty() {
        bound.kinds = kinds.to_vec();
    }
    Ok(bound)
}

/// Lets the calling process in until it ends.
pub(crate) async fn open(
    agent: &Arc<Agent>,
    caller: &Caller,
    call: OpenClient,
) -> Result<OpenedClient, Failure> {
    if !caller.lives() {
        return Err(Failure::new(
            Code::NotPermitted,
            "The system does not say which program asks, so its end would not be seen.",
            "Use: touchkeep proxy add NAME",
        ));
    }
    may_be_called(&call.name)?;
    let (wanted, kinds) = bounds(call.venues, &call.kinds)?;
    let (current, open) = open_vault(agent)?;
    let mut venues: Vec<String> = {
        let vault = open.read();
        let items = vault.items().into_iter();
        let of_set = items.filter(|item| item.is_signing_key() && item.key_set == call.key_set);
        of_set.map(|item| item.venue.clone()).collect()
    };
    venues.sort();
    venues.dedup();
    if let Some(missing) = wanted.iter().find(|venue| !venues.contains(venue)) {
        let what = format!("{} of key set {}", missing, call.key_set);
        return Err(failure::not_found("key", &what, "Look at: touchkeep list"));
    }
    if venues.is_empty() {
        return Err(no_key_set(&open, &call.key_set));
    }
    if !wanted.is_empty() {
        venues = wanted;
    }
    if open.clients().iter().any(|client| client.name == call.name) {
        return Err(Failure::new(
            Code::Ambiguous,
            format!(
                "There is a client {} already, with a token of its own.",
                quoted(&call.name)
            ),
            "Rules speak of names: choose another one, or give the program that token.",
        ));
    }
    let (mut client, token) = Client::new(call.name, call.key_set, SystemClock.now())?;
    (client.venues, client.kinds) = (venues, kinds);
    let event = Event::new(Kind::ClientAdded, Decision::Done)
        .text(format!(
            "{} may use the key set {} until it ends: {}.",
            visible(&client.name),
            visible(&client.key_set),
            words(&client)
        ))
        .client(client.id, visible(&client.name));
    current.record(&event)?;
    let proxy = agent.proxy_url().unwrap_or_default();
    let venues: Vec<&str> = client.venues.iter().map(String::as_str).collect();
    // EXPOSE: to the environment of the program that is let in.
    let variables = dummy::environment(&venues, token.expose(), &proxy);
    let variables = variables.into_iter().map(|(name, value)| Variable {
        name,
        value: SecretText::new(value),
    });
    let opened = OpenedClient {
        id: client.id,
        variables: variables.collect(),
    };
    agent.lets_visit(Visitor {
        client,
        caller: caller.clone(),
    });
    agent.prompts().changed("clients");
    Ok(opened)
}

fn bounds(
    venues: Vec<String>,
    kinds: &[String],
) -> Result<(Vec<String>, Vec<OperationKind>), Failure> {
    if let Some(unknown) = venues
        .iter()
        .find(|id| touchkeep_venue::venue(id).is_none())
    {
        let what = format!("There is no venue {}.", quoted(unknown));
        return Err(failure::invalid(what, "Look at: touchkeep venue list"));
    }
    let kind = |name: &String| {
        let mut all = OperationKind::ALL.into_iter();
        all.find(|kind| kind.as_str() == name).ok_or_else(|| {
            let names: Vec<_> = OperationKind::ALL
                .iter()
                .map(|kind| kind.as_str())
                .collect();
            failure::invalid(
                format!("There is no kind {}.", quoted(name)),
                format!("Kinds are: {}", names.join(", ")),
            )
        })
    };
    let kinds = kinds.iter().map(kind).collect::<Result<_, _>>()?;
    Ok((venues, kinds))
}

// Nothing named is everything.
fn is_within<T: PartialEq>(new: &[T], old: &[T]) -> bool {
    old.is_empty() || new.iter().all(|one| old.contains(one))
}

fn words(client: &Client) -> String {
    let or_all = |all: &str, some: String| {
        if some.is_empty() {
            all.to_owned()
        } else {
            some
        }
    };
    let kinds: Vec<_> = client.kinds.iter().map(|kind| kind.as_str()).collect();
    format!(
        "{} at {}",
        or_all("all kinds", kinds.join(", ")),
        or_all("all venues", client.venues.join(", "))
    )
}

pub(crate) async fn revoke(agent: &Arc<Agent>, name: String) -> Result<Done, Failure> {
    let ended = {
        let agent = Arc::clone(agent);
        // Not behind a device: a touch that is waited for may be for this very client's request, which ends here.
        blocking(move || end_at_once(&agent, &name)).await??
    };
    if let Some((current, client)) = ended {
        let agent = Arc::clone(agent);
        // What was begun is carried out, and recorded, though whoever asked for it does not wait for the device.
        let written = tokio::spawn(async move {
            let _working = agent.works();
            write_revoked(&agent, current, client).await
        });
        let written = written.await;
        written.map_err(|error| no_answer(error.is_panic()))??;
    }
    agent.prompts().changed("clients");
    Ok(Done {})
}

// Rules speak of names, and several programs may have one. All end at once, whatever becomes of the file and the log. Returns the
// one that the vault knows.
fn end_at_once(agent: &Arc<Agent>, name: &str) -> Result<Option<(Arc<Current>, Client)>, Failure> {
    let (current, open) = open_vault(agent)?;
    let visits = agent.ends_visits(name);
    // Of the vault's own list: one that has ended here may be in it still, where it could not be saved.
    let listed = called(&Client::of_vault(&open.read()), name);
    if let Ok(client) = &listed {
        open.end_client(client.id);
    }
    for client in &visits {
        let event = Event::new(Kind::ClientRemoved, Decision::Done)
            .text(format!("{} may not ask any more.", visible(&client.name)))
            .client(client.id, visible(&client.name));
        let _row = current.record(&event)?;
    }
    match listed {
        Err(_) if !visits.is_empty() => Ok(None),
        found => found.map(|client| Some((current, client))),
    }
}

async fn write_revoked(
    agent: &Arc<Agent>,
    current: Arc<Current>,
    revoked: Client,
) -> Result<(), Failure> {
    change(agent, move |_| {
        let event = Event::new(Kind::ClientRemoved, Decision::Done)
            .text(format!(
                "{} may not ask any more: its token is worth nothing.",
                visible(&revoked.name)
            ))
            .client(revoked.id, visible(&revoked.name));
        current.change(event, |vault| {
            let mut clients = Client::of_vault(vault);
            clients.retain(|client| client.id != revoked.id);
            write(vault, &clients)?;
            let at = SystemClock.now().0.to_string();
            let set = vault.set_setting(&revoked_setting(revoked.id), &at);
            set.map_err(|error| failure::vault(&error))
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_whose_name_cannot_be_typed_is_meant_by_what_is_shown_of_it() {
        let [hidden, plain] = ["bot\u{200b}", "bot"].map(|name| {
            let made = Client::new(name.into(), "main".into(), touchkeep_core::UnixMillis(1));
            made.unwrap().0
        });
        let (of_hidden, of_plain) = (hidden.id, plain.id);
        let clients = [hidden, plain];
        assert_eq!(called(&clients, "bot\\u{200b}").unwrap().id, of_hidden);
        assert_eq!(called(&clients, "bot").unwrap().id, of_plain);
        assert!(called(&clients, "bo").is_err());
    }

    #[test]
    fn bounds_are_only_drawn_closer() {
        assert!(is_within(&[1], &[]) && is_within::<u8>(&[], &[1]) && is_within(&[1], &[1, 2]));
        assert!(!is_within(&[1, 2], &[1]) && !is_within(&[2], &[1]));
    }

    #[test]
    fn bounds_name_what_there_is() {
        assert!(bounds(vec!["kraken".into()], &["read".into()]).is_ok());
        assert!(bounds(vec!["krakken".into()], &[]).is_err());
        assert!(bounds(vec![], &["reed".into()]).is_err());
    }
}
