//! Items: found and shown without their secrets, added, changed, thrown away.

mod add;
mod device_key;
mod edit;
mod meant;
mod public_key;
mod show;

use std::sync::Arc;

use touchkeep_core::{Code, ItemId, Reference, text::quoted};
use touchkeep_vault::{Item, ItemKind, Unlocked};
use touchkeep_venue::KeyClass;
use touchkeep_wire::{Failure, FoundItems, ItemDetail, ItemFilter, ItemSummary, MOST_ITEMS};

use super::{look_at_vault, open_vault};
use crate::{agent::Agent, failure};

pub(crate) use add::{add, check_new, check_spelling};
pub(crate) use device_key::RequestKey;
pub(crate) use edit::{
    check_edit, edit, remove, restore, restore_version, set_api_key, trash, versions,
};
pub(crate) use meant::{meant, no_item};
pub(crate) use public_key::{public_key, word_of as form_word};
pub(crate) use show::summary;

/// Bytes of summaries in one answer; the frame has room for escapes beside them.
const FRAME_ROOM: usize = 3 << 20;

pub(crate) fn list(agent: &Arc<Agent>) -> Result<Vec<ItemSummary>, Failure> {
    let (_, open) = look_at_vault(agent)?;
    let vault = open.read();
    found_in(&vault, &ItemFilter::default(), None).map(|found| found.items)
}

pub(crate) fn find(
    agent: &Arc<Agent>,
    filter: &ItemFilter,
    after: Option<ItemId>,
) -> Result<FoundItems, Failure> {
    let (_, open) = open_vault(agent)?;
    let vault = open.read();
    found_in(&vault, filter, after)
}

fn found_in(
    vault: &Unlocked,
    filter: &ItemFilter,
    after: Option<ItemId>,
) -> Result<FoundItems, Failure> {
    let kind = filter.kind.as_deref().map(|word| {
        ItemKind::of_word(word).ok_or_else(|| {
            let known = ItemKind::ALL.map(ItemKind::word).join(", ");
            failure::not_found("kind of item", word, &format!("Choose one of: {known}."))
        })
    });
    let kind = kind.transpose()?;
    let environment = filter.environment.as_deref();
    let environment = environment.map(|name| vault.find_environment(name));
    let environment = environment
        .transpose()
        .map_err(|error| failure::vault(&error))?;
    let fits = |item: &&Item| {
        item.trashed.is_some() == filter.trash
            && kind.is_none_or(|kind| item.kind == kind)
            && environment.is_none_or(|environment| item.environment == environment)
            && filter
                .venue
                .as_ref()
                .is_none_or(|venue| item.venue == *venue)
            && filter.tags.iter().all(|tag| item.tags.contains(tag))
    };
    let query = filter
        .query
        .as_deref()
        .filter(|query| !query.trim().is_empty());
    let most = filter.limit.unwrap_or(MOST_ITEMS).min(MOST_ITEMS);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut found: Box<dyn Iterator<Item = &Item>> = match query {
        Some(query) => Box::new(vault.search(query).filter(fits)),
        None => {
            let mut items = vault.items();
            items.retain(fits);
            items.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
            Box::new(items.into_iter())
        }
    };
    if let Some(after) = after {
        found
            .find(|item| item.id == after)
            .ok_or_else(list_changed)?;
    }
    let mut found = found.map(|item| summary(vault, item)).peekable();
    let (mut items, mut room) = (Vec::new(), FRAME_ROOM);
    while items.len() < most
        && let Some(item) = found.next_if(|next| items.is_empty() || size(next) < room)
    {
        room = room.saturating_sub(size(&item));
        items.push(item);
    }
    let more = found.peek().is_some();
    Ok(FoundItems { items, more })
}

fn list_changed() -> Failure {
    Failure::new(
        Code::Ambiguous,
        "The items changed while they were listed.",
        "List them again.",
    )
}

// What a summary takes in a frame, about: its texts, and the names of its fields.
fn size(summary: &ItemSummary) -> usize {
    let texts = [
        &summary.name,
        &summary.environment,
        &summary.venue,
        &summary.key_set,
    ];
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    texts + summary.tags.iter().map(String::len).sum::<usize>() + 400
}

pub(crate) fn show(agent: &Arc<Agent>, name: &str) -> Result<ItemDetail, Failure> {
    let (_, open) = open_vault(agent)?;
    let item = open.item(name)?;
    Ok(show::detail(&open.read(), &item))
}

/// The item that a person means by `tk://environment/item`, with or without a field; none where the text is no such thing.
pub(crate) fn referred<'a>(vault: &'a Unlocked, text: &str) -> Option<Result<&'a Item, Failure>> {
    let path = text.strip_prefix(touchkeep_core::reference::SCHEME)?;
    let whole = match path.split('/').count() {
        2 => format!("{text}/secret"),
        _ => text.to_owned(),
    };
    let item = whole.parse::<Reference>().map_err(|error| {
        failure::invalid(
            format!("{} is no reference: {error}.", quoted(text)),
            "Write it as in: tk://prod/trade/secret",
        )
    });
    Some(item.and_then(|it| vault.resolve(&it).map_err(|error| failure::vault(&error))))
}

pub(super) fn class_of(word: &str) -> Result<KeyClass, Failure> {
    [
        KeyClass::Read,
        KeyClass::Trade,
        KeyClass::MoveMoney,
        KeyClass::KeyAdmin,
    ]
    .into_iter()
    .find(|class| class.as_str() == word)
    .ok_or_else(|| {
        failure::not_found(
            "class of keys",
            word,
            "Choose read, trade, move-money or key-admin.",
        )
    })
}

// `http://host:port`, for practice: no path, no user, nothing that a second reader could read otherwise.
pub(super) fn checked_url(url: &str) -> Result<String, Failure> {
    let parsed = url.parse::<hyper::Uri>().ok().filter(|uri| {
        let authority = uri.authority().map(|authority| authority.as_str());
        matches!(uri.scheme_str(), Some("http" | "https"))
            && authority.is_some_and(|authority| !authority.contains('@'))
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none()
    });
    match parsed {
        Some(_) => Ok(url.trim_end_matches('/').to_owned()),
        None => Err(failure::invalid(
            "That is no address of a venue.",
            "Write it as http://127.0.0.1:PORT.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_second_reading() {
        assert_eq!(
            checked_url("http://127.0.0.1:8080/").unwrap(),
            "http://127.0.0.1:8080"
        );
        for bad in [
            "",
            "127.0.0.1:80",
            "ftp://a",
            "http://a@b",
            "http://a/b",
            "http://a/?b",
            "file:///etc",
        ] {
            assert!(checked_url(bad).is_err(), "{bad}");
        }
    }
}
