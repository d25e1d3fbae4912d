//! What `audit list` and `audit export` are asked for, in the log's own terms.

use std::collections::BTreeSet;

use touchkeep_audit::{Decision, Event, Kind, Query};
use touchkeep_core::{ClientId, ItemId, text::visible};
use touchkeep_wire::{AuditFilter, Failure};

use super::identity_of;
use crate::{failure, vault::Current};

/// Rows that are read at a time.
const PAGE: usize = 1000;

/// What a filter asks for.
pub(super) fn query_of(current: &Current, filter: &AuditFilter) -> Result<Query, Failure> {
    let mut query = Query::default();
    let words = |all: Vec<&'static str>| format!("Known: {}.", all.join(", "));
    for word in &filter.kinds {
        query.kinds.push(Kind::of(word).ok_or_else(|| {
            let known = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
            failure::not_found("kind of row", word, &words(known))
        })?);
    }
    for word in &filter.decisions {
        query.decisions.push(Decision::of(word).ok_or_else(|| {
            let known = Decision::ALL.iter().map(|one| one.as_str()).collect();
            failure::not_found("decision", word, &words(known))
        })?);
    }
    // Names are in the vault, so these need it open; an id is one whether it is still there or not.
    if let Some(name) = &filter.item {
        query.items = items_called(current, name)?;
    }
    if let Some(name) = &filter.client {
        query.clients = clients_called(current, name)?;
    }
    (query.since, query.until) = (filter.since, filter.until);
    query.text.clone_from(&filter.text);
    Ok(query)
}

// All that have or had that name: the one that is let in now, and those whose rows say that they were let in or removed.
fn clients_called(current: &Current, name: &str) -> Result<Vec<ClientId>, Failure> {
    let now = current.open()?.clients();
    if let Some(client) = now.iter().find(|client| client.id.to_string() == name) {
        return Ok(vec![client.id]);
    }
    let named = now.iter().filter(|client| client.name == name);
    let mut ids: BTreeSet<ClientId> = named.map(|client| client.id).collect();
    let kinds = vec![Kind::ClientAdded, Kind::ClientRemoved];
    ids.extend(on_record(current, name, kinds, |event| {
        (event.client_name.as_deref(), event.client)
    })?);
    if ids.is_empty() {
        ids.extend(name.parse::<ClientId>());
    }
    if ids.is_empty() {
        let fix = "Look at: touchkeep proxy list; the log has none of that name either.";
        return Err(failure::not_found("client", name, fix));
    }
    Ok(ids.into_iter().collect())
}

// All that have or had that name, in whatever environment: those of now, and those whose rows say that they were added, changed
// or removed. A reference means the one that is there.
fn items_called(current: &Current, name: &str) -> Result<Vec<ItemId>, Failure> {
    let open = current.open()?;
    if let Ok(id) = name.parse() {
        return Ok(vec![id]);
    }
    let mut ids: BTreeSet<ItemId> = {
        let vault = open.read();
        let named = vault.items().into_iter().filter(|item| item.name == name);
        named.map(|item| item.id).collect()
    };
    let kinds = vec![Kind::ItemAdded, Kind::ItemChanged, Kind::ItemRemoved];
    ids.extend(on_record(current, name, kinds, |event| {
        (event.item_name.as_deref(), event.item)
    })?);
    if ids.is_empty() {
        ids.insert(open.item(name)?.id);
    }
    Ok(ids.into_iter().collect())
}

// The ids that rows of these kinds have with that name.
fn on_record<T: Ord>(
    current: &Current,
    name: &str,
    kinds: Vec<Kind>,
    named: impl Fn(&Event) -> (Option<&str>, Option<T>),
) -> Result<BTreeSet<T>, Failure> {
    let mut ids = BTreeSet::new();
    let (Some(log), Some(identity)) = (current.log(), identity_of(current)) else {
        return Ok(ids);
    };
    let name = visible(name);
    let mut query = Query {
        kinds,
        limit: PAGE,
        ..Query::default()
    };
    loop {
        let page = log.list(&query, Some(&identity));
        let page = page.map_err(|error| failure::read_log(&error))?;
        let events = page.rows.iter().filter_map(|row| row.event.as_ref());
        let found = events.map(&named).filter(|(is, _)| *is == Some(&*name));
        ids.extend(found.filter_map(|(_, id)| id));
        query.before = page.next;
        if query.before.is_none() {
            return Ok(ids);
        }
    }
}
