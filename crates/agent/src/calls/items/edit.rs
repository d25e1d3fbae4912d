//! Items that change: fields, the trash, earlier versions.

use std::{collections::BTreeMap, sync::Arc};

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{
    Clock, Code, SystemClock,
    text::{quoted, shell_word, visible},
};
use touchkeep_vault::{Item, Unlocked, VaultError};
use touchkeep_wire::{CheckEdit, Done, EditItem, Failure, ItemDetail, ItemSummary, ItemVersion};

use super::{
    add::{
        Secret, check_free, check_free_or, check_name, check_secret_field, kept, put_secret,
        set_fields, settle_method,
    },
    meant::none_in_trash,
    show::detail,
};
use crate::{
    agent::Agent,
    calls::{change, open_vault},
    failure,
    ports::request_key_setting,
};

pub(crate) async fn edit(agent: &Arc<Agent>, mut call: EditItem) -> Result<ItemDetail, Failure> {
    let name = std::mem::take(&mut call.item);
    let item = open_vault(agent)?.1.item(&name)?;
    let mut changed = with_changes(item.clone(), &mut call)?;
    let mut secrets = BTreeMap::new();
    for (field, secret) in std::mem::take(&mut call.secrets) {
        secrets.insert(field.clone(), kept(agent, &changed, &field, secret).await?);
    }
    settle_method(&mut changed, secrets.get("secret"))?;
    let renewed = secrets.get("secret").is_some_and(|new| {
        let open = open_vault(agent);
        open.is_ok_and(|(_, open)| is_another(&open.read(), &item, new))
    });
    let now = renewed.then(|| SystemClock.now());
    changed.created = call.created.or(now).unwrap_or(item.created);
    let words = what_changes(&item, &changed, &call, &secrets);
    if words.is_empty() {
        return Err(failure::invalid(
            "Nothing would change.",
            "Say what: touchkeep help edit",
        ));
    }
    let text = format!("Changed {}: {}.", visible(&item.name), words.join(", "));
    changing(agent, item, text, move |vault, before| {
        check_free(vault, &changed)?;
        let id = changed.id;
        vault.put(changed).map_err(|error| failure::vault(&error))?;
        for field in &call.unset {
            if before.place(field).is_some() {
                let cleared = vault.clear_secret(id, field);
                cleared.map_err(|error| failure::vault(&error))?;
            }
        }
        for (field, secret) in secrets {
            put_secret(vault, id, &field, secret)?;
        }
        if call.forget_old {
            vault
                .forget_old(id)
                .map_err(|error| failure::vault(&error))?;
        }
        Ok(())
    })
    .await
}

/// What speaks against a change before its secrets are there.
pub(crate) fn check_edit(agent: &Arc<Agent>, mut call: CheckEdit) -> Result<Done, Failure> {
    let (_, open) = open_vault(agent)?;
    let item = open.item(&call.edit.item)?;
    let changed = with_changes(item, &mut call.edit)?;
    for field in &call.secrets {
        check_secret_field(&changed, field)?;
    }
    let checked = open.read().check(&changed);
    checked.map_err(|error| failure::vault(&error))?;
    check_free(&open.read(), &changed)?;
    Ok(Done {})
}

fn with_changes(mut item: Item, call: &mut EditItem) -> Result<Item, Failure> {
    if let Some(name) = call.name.take() {
        check_name(&name)?;
        item.name = name;
    }
    item.tags.extend(std::mem::take(&mut call.add_tags));
    for tag in &call.remove_tags {
        item.tags.remove(tag);
    }
    for field in &call.unset {
        let is_known = match field.as_str() {
            "note" => !std::mem::take(&mut item.note).is_empty(),
            "rotate-after-days" => item.rotate_after_days.take().is_some(),
            "plaintext-seen" => item.plaintext_seen.take().is_some(),
            "base-url" => item.base_url.take().is_some(),
            field => item.fields.remove(field).is_some() || item.place(field).is_some(),
        };
        if !is_known {
            let fix = format!("Look at: touchkeep show {}", shell_word(&item.name));
            return Err(failure::not_found("field", field, &fix));
        }
    }
    set_fields(&mut item, std::mem::take(&mut call.set))?;
    Ok(item)
}

// Whether a secret is another one than the item has, as far as that can be seen: its age begins with it.
fn is_another(vault: &Unlocked, item: &Item, new: &Secret) -> bool {
    match new {
        // EXPOSE: both, to their comparison.
        Secret::Stored(new) => vault
            .secret(item.id)
            .map_or(true, |old| old.expose() != new.expose()),
        Secret::Sealed(_) | Secret::OnDevice(..) => true,
    }
}

// For the log: which fields, never what.
fn what_changes(
    before: &Item,
    after: &Item,
    call: &EditItem,
    secrets: &BTreeMap<String, Secret>,
) -> Vec<String> {
    let fields = |item: &Item| -> BTreeMap<String, String> {
        let plain = item.plain().into_iter();
        plain
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    };
    let (old, new) = (fields(before), fields(after));
    let names = old
        .keys()
        .chain(new.keys().filter(|name| !old.contains_key(*name)));
    let changed = names
        .filter(|name| old.get(*name) != new.get(*name))
        .cloned();
    let cleared = call
        .unset
        .iter()
        .filter(|field| before.place(field).is_some());
    let mut words: Vec<String> = changed.chain(cleared.cloned()).collect();
    words.extend(secrets.keys().cloned());
    leave_age_out(&mut words);
    let parts = [
        (before.name != after.name, "name"),
        (before.tags != after.tags, "tags"),
        (call.forget_old, "earlier versions forgotten"),
    ];
    words.extend(
        parts
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, word)| (*word).to_owned()),
    );
    words
}

// That a new secret is young says nothing more.
fn leave_age_out(changed: &mut Vec<String>) {
    if changed.iter().any(|field| field == "secret") {
        changed.retain(|field| field != "created");
    }
}

// Records and does a change of one item.
async fn changing(
    agent: &Arc<Agent>,
    item: Item,
    text: String,
    work: impl FnOnce(&mut Unlocked, Item) -> Result<(), Failure> + Send + 'static,
) -> Result<ItemDetail, Failure> {
    let changed = change(agent, move |agent| {
        let (current, _) = open_vault(agent)?;
        let event = Event::new(Kind::ItemChanged, Decision::Done)
            .text(text)
            .item(item.id, visible(&item.name));
        let id = item.id;
        current.change(event, move |vault| {
            // Somebody else may have changed it since it was looked at.
            if vault.item(id) != Some(&item) {
                let what = "The item was changed by somebody else meanwhile.";
                let fix = "Look at it, and try again.";
                return Err(Failure::new(Code::Ambiguous, what, fix));
            }
            work(vault, item)
        })?;
        // After the save: the version that it made counts.
        let (_, open) = open_vault(agent)?;
        let vault = open.read();
        let item = vault.item(id);
        let item = item.ok_or_else(|| failure::vault(&VaultError::NotFound))?;
        Ok(detail(&vault, item))
    })
    .await?;
    agent.prompts().changed("items");
    Ok(changed)
}

pub(crate) async fn set_api_key(
    agent: &Arc<Agent>,
    name: String,
    api_key: String,
) -> Result<ItemSummary, Failure> {
    if api_key.is_empty() || !api_key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(failure::invalid(
            "That is no API key.",
            "Copy it from the venue's page.",
        ));
    }
    let item = open_vault(agent)?.1.item(&name)?;
    let text = format!("Named the key {} as the venue does.", visible(&item.name));
    let changed = changing(agent, item, text, move |vault, mut item| {
        item.api_key = api_key;
        vault.put(item).map_err(|error| failure::vault(&error))
    });
    Ok(changed.await?.summary)
}

pub(crate) async fn trash(agent: &Arc<Agent>, name: String) -> Result<ItemSummary, Failure> {
    let item = open_vault(agent)?.1.item(&name)?;
    if item.trashed.is_some() {
        return Err(failure::invalid(
            format!("{} is in the trash already.", quoted(&item.name)),
            "Take it back: touchkeep restore ITEM; or remove it for good: touchkeep rm ITEM --forever",
        ));
    }
    let text = format!("Put {} into the trash.", visible(&item.name));
    let changed = changing(agent, item, text, |vault, mut item| {
        item.trashed = Some(SystemClock.now());
        vault.put(item).map_err(|error| failure::vault(&error))
    });
    Ok(changed.await?.summary)
}

pub(crate) async fn restore(
    agent: &Arc<Agent>,
    name: String,
    new_name: Option<String>,
) -> Result<ItemSummary, Failure> {
    let item = trashed(agent, &name)?;
    let mut text = format!("Took {} out of the trash", visible(&item.name));
    if let Some(new_name) = &new_name {
        check_name(new_name)?;
        text.push_str(&format!(" as {}", visible(new_name)));
    }
    text.push('.');
    let changed = changing(agent, item, text, |vault, mut item| {
        item.trashed = None;
        item.name = new_name.unwrap_or(item.name);
        check_free_or(vault, &item, |_| {
            format!(
                "Take it back under another name: touchkeep restore {} --as NAME",
                item.id
            )
        })?;
        vault.put(item).map_err(|error| failure::vault(&error))
    });
    Ok(changed.await?.summary)
}

// Of several of one name, those that are not in the trash are not meant.
fn trashed(agent: &Arc<Agent>, name: &str) -> Result<Item, Failure> {
    let (_, open) = open_vault(agent)?;
    let vault = open.read();
    let by_id = name.parse().ok().and_then(|id| vault.item(id));
    let named = vault.items().into_iter().filter(|item| item.name == name);
    let found: Vec<&Item> = match by_id {
        Some(item) => vec![item],
        None => named.collect(),
    };
    let mut thrown = found.iter().filter(|item| item.trashed.is_some());
    match (thrown.next(), thrown.next()) {
        (Some(item), None) => Ok((*item).clone()),
        (Some(_), Some(_)) => {
            let ids = found.iter().map(|item| item.id).collect();
            Err(failure::vault(&VaultError::Ambiguous(ids)))
        }
        (None, _) => Err(none_in_trash(&vault, name)),
    }
}

pub(crate) async fn remove(agent: &Arc<Agent>, name: String) -> Result<Done, Failure> {
    change(agent, move |agent| {
        let (current, open) = open_vault(agent)?;
        let item = open.item(&name)?;
        let event = Event::new(Kind::ItemRemoved, Decision::Done)
            .text(format!("Removed {} for good.", visible(&item.name)))
            .item(item.id, visible(&item.name));
        current.change(event, |vault| {
            let setting = request_key_setting(item.id);
            if vault.setting(&setting).is_some() {
                vault
                    .set_setting(&setting, "")
                    .map_err(|error| failure::vault(&error))?;
            }
            vault
                .remove(item.id)
                .map_err(|error| failure::vault(&error))
        })
    })
    .await?;
    agent.prompts().changed("items");
    Ok(Done {})
}

pub(crate) fn versions(agent: &Arc<Agent>, name: &str) -> Result<Vec<ItemVersion>, Failure> {
    let (_, open) = open_vault(agent)?;
    let item = open.item(name)?;
    let vault = open.read();
    let versions = vault.versions(item.id);
    let versions = versions.map_err(|error| failure::vault(&error))?;
    let newest = versions.first().map(|version| version.number);
    let shown = versions.into_iter().map(|mut version| {
        leave_age_out(&mut version.changed);
        ItemVersion {
            version: version.number,
            at: version.at,
            by: version.by.map(|by| vault.name_of(by)),
            changed: version.changed,
            is_current: Some(version.number) == newest,
            is_kept: version.is_kept,
        }
    });
    Ok(shown.collect())
}

pub(crate) async fn restore_version(
    agent: &Arc<Agent>,
    name: String,
    version: u32,
) -> Result<ItemDetail, Failure> {
    let item = open_vault(agent)?.1.item(&name)?;
    let text = format!(
        "Made {} what it was in version {version}.",
        visible(&item.name)
    );
    changing(agent, item, text, move |vault, item| {
        let earlier = vault.as_in_version(item.id, version);
        let earlier = earlier.map_err(|error| failure::vault(&error))?;
        // Before anything is put back.
        if earlier.trashed.is_none() {
            check_free_or(vault, &earlier, |other| {
                format!(
                    "That is what it was called then. Give the other one another name first: touchkeep edit {} --name NAME",
                    other.id
                )
            })?;
        }
        let restored = vault.restore_version(item.id, version);
        restored.map_err(|error| failure::vault(&error)).map(drop)
    })
    .await
}

#[cfg(test)]
mod tests {
    use touchkeep_core::EnvironmentId;
    use touchkeep_vault::ItemKind;

    use super::*;

    #[test]
    fn what_a_field_held_before_it_had_a_type_stays_until_it_is_set() {
        let environment = EnvironmentId::random();
        let mut item = Item::new(environment, ItemKind::ApiKey, "rpc".to_owned());
        item.fields.insert("expires".into(), "next spring".into());
        let mut call = EditItem {
            item: "rpc".into(),
            name: None,
            set: BTreeMap::from([("owner".into(), "ada".into())]),
            unset: Vec::new(),
            secrets: BTreeMap::new(),
            add_tags: Vec::new(),
            remove_tags: Vec::new(),
            forget_old: false,
            created: None,
        };
        let changed = with_changes(item.clone(), &mut call).unwrap();
        assert_eq!(changed.fields["expires"], "next spring");
        assert_eq!(changed.expires(), None);
        call.set = BTreeMap::from([("expires".into(), "next spring".into())]);
        assert!(with_changes(item.clone(), &mut call).is_err());
        call.set = BTreeMap::from([("expires".into(), "2027-03-21".into())]);
        let changed = with_changes(item, &mut call).unwrap();
        assert_eq!(changed.fields["expires"], "2027-03-21T00:00:00Z");
    }
}
