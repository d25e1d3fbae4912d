//! Another copy of the vault is taken in, and what that changed is said: what was set aside, what has no secret any more, who may
//! ask, and whose policy holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{ClientId, Clock as _, ItemId, SystemClock, text::visible};
use touchkeep_vault::{Apart, Item, Locked, SECRET_FIELD, SecretPlace, Unlocked, merge_into};
use touchkeep_wire::{Failure, Merged, MergedPolicy, SetAside};

use super::{change, open_vault};
use crate::{
    agent::Agent,
    devices::blocking,
    failure,
    vault::{self, Open, POLICY_SETTING, client::Client, read_only_words},
};

pub(crate) async fn merge(agent: &Arc<Agent>, path: String) -> Result<Merged, Failure> {
    let other = PathBuf::from(&path);
    if !other.is_absolute() {
        return Err(failure::invalid(
            "The other copy's path is not absolute.",
            "Give the whole path.",
        ));
    }
    let vault_path = agent.vault_path();
    let open = agent.vault().and_then(|current| current.peek());
    let before = match &open {
        Some(open) => Before::look(open, &other).await?,
        None => Before::default(),
    };
    let changed = change(agent, move |agent| {
        let merge = || merge_into(&vault_path, &other).map_err(|error| failure::vault(&error));
        let current = agent.vault();
        let Some(current) = current.filter(|current| current.log().is_some()) else {
            return merge();
        };
        let text = format!("Took in {}.", visible(&path));
        current.act(Event::new(Kind::Merged, Decision::Done).text(text), merge)
    })
    .await?;
    let mut merged = Merged {
        changed,
        ..Merged::default()
    };
    match open.filter(|_| changed) {
        // What could only be read may have all that it lacked now: the next unlock looks.
        Some(open) if open.read().read_only().is_some() => {
            merged.locked = true;
            vault::lock(agent).await?;
        }
        Some(open) => {
            in_force(agent).await?;
            say(agent, &open, before, &mut merged).await?;
        }
        None if changed => vault::disarm_because(agent, UNSEEN).await,
        None => {}
    }
    agent.prompts().changed("vault");
    Ok(merged)
}

/// Why armed keys end with a merge.
const UNSEEN: &str = "A copy was taken in, and while the vault is locked nobody can see whether that revoked something.";

// What came in is in force, or the vault is locked: it may have revoked what would be let through else.
async fn in_force(agent: &Arc<Agent>) -> Result<(), Failure> {
    let taken_in = change(agent, |agent| {
        let (current, _) = open_vault(agent)?;
        current.save_now()
    });
    let failure = match taken_in.await {
        Ok(()) => return Ok(()),
        Err(failure) => failure,
    };
    vault::lock_because(agent, vault::Because::Elsewhere).await?;
    agent.prompts().changed("vault");
    let what = format!(
        "The copy was taken in, and the vault was locked, for what it says could not be put in force: {}",
        failure.what
    );
    let fix = "Unlock it again, which reads all of it anew: touchkeep unlock";
    Err(Failure::new(failure.code, what, fix))
}

/// The two copies before they are one.
#[derive(Default)]
struct Before {
    apart: Vec<Apart>,
    // Of each item the fields that had a secret: in this copy, or in the other one where only that has the item.
    secrets: BTreeMap<ItemId, BTreeSet<String>>,
    own_items: BTreeMap<ItemId, String>,
    own_clients: BTreeMap<ClientId, String>,
    other_clients: BTreeMap<ClientId, String>,
    own_policy: Option<String>,
    other_policy: Option<String>,
}

impl Before {
    async fn look(open: &Arc<Open>, other: &Path) -> Result<Self, Failure> {
        let (open, other) = (Arc::clone(open), other.to_owned());
        blocking(move || {
            let own = open.read();
            let mut before = Self {
                own_clients: named(&open.clients()),
                own_policy: own.setting(POLICY_SETTING).map(str::to_owned),
                ..Self::default()
            };
            before.other_policy.clone_from(&before.own_policy);
            for item in own.items() {
                before.own_items.insert(item.id, item.name.clone());
                before.secrets.insert(item.id, had(item).collect());
            }
            // What does not open with these keys is taken in or refused all the same, which says why.
            let other = Locked::open(&other).and_then(|copy| copy.unlock_as(&own));
            let Ok(other) = other else {
                return Ok(before);
            };
            for item in other.items() {
                let known = before.secrets.entry(item.id);
                let _known = known.or_insert_with(|| had(item).collect());
            }
            before.other_clients = named(&Client::of_vault(&other));
            before.other_policy = other.setting(POLICY_SETTING).map(str::to_owned);
            let apart = own.written_apart(&other);
            before.apart = apart.map_err(|error| failure::vault(&error))?;
            Ok(before)
        })
        .await?
    }
}

// The fields of which an item has the secret.
fn had(item: &Item) -> impl Iterator<Item = String> {
    let chief = (item.secret != SecretPlace::Missing).then(|| SECRET_FIELD.to_owned());
    chief.into_iter().chain(item.secrets.keys().cloned())
}

fn named(clients: &[Client]) -> BTreeMap<ClientId, String> {
    let named = clients
        .iter()
        .map(|client| (client.id, client.name.clone()));
    named.collect()
}

// What came of it, in the answer and in the log. What was set aside is kept where the vault can be written.
async fn say(
    agent: &Arc<Agent>,
    open: &Arc<Open>,
    mut before: Before,
    merged: &mut Merged,
) -> Result<(), Failure> {
    let apart = std::mem::take(&mut before.apart);
    let may_keep = {
        let vault = open.read();
        vault.read_only().is_none() && vault.may_write()
    };
    let set_aside = match may_keep {
        true if !apart.is_empty() => keep(agent, open, apart).await?,
        _ => open.read().set_aside(&apart),
    };
    let lines = {
        let vault = open.read();
        let name = |id: ItemId| {
            let item = vault.item(id);
            item.map_or_else(|| id.to_string(), |item| item.name.clone())
        };
        merged.set_aside = set_aside
            .into_iter()
            .map(|aside| SetAside {
                item: name(aside.item),
                field: aside.field,
                holds: aside.holds,
                lost: aside.lost,
                version: aside.version,
            })
            .collect();
        merged.conflicts = vault.conflicts().into_iter().map(name).collect();
        compared(&vault, &open.clients(), before, merged);
        lines(merged)
    };
    if lines.is_empty() {
        return Ok(());
    }
    change(agent, move |agent| {
        let (current, _) = open_vault(agent)?;
        let event = Event::new(Kind::Merged, Decision::Info).text(lines.join(" "));
        current.record(&event).map(|_| ())
    })
    .await
}

async fn keep(
    agent: &Arc<Agent>,
    open: &Arc<Open>,
    apart: Vec<Apart>,
) -> Result<Vec<touchkeep_vault::SetAside>, Failure> {
    let fields: Vec<String> = {
        let vault = open.read();
        let name = |id| {
            vault
                .item(id)
                .map_or_else(String::new, |item| visible(&item.name))
        };
        let named = apart
            .iter()
            .map(|apart| format!("{} of {}", visible(&apart.field), name(apart.item)));
        named.collect()
    };
    let text = format!(
        "Two copies had changed the same: {}. What does not hold now is kept as an earlier version.",
        fields.join(", ")
    );
    change(agent, move |agent| {
        let (current, _) = open_vault(agent)?;
        let event = Event::new(Kind::Merged, Decision::Done).text(text);
        current.change(event, |vault| {
            let kept = vault.keep_set_aside(apart, SystemClock.now());
            kept.map_err(|error| failure::vault(&error))
        })
    })
    .await
}

fn compared(vault: &Unlocked, clients: &[Client], before: Before, merged: &mut Merged) {
    for item in vault.items() {
        let present: BTreeSet<String> = had(item).collect();
        let earlier = before.secrets.get(&item.id);
        if earlier.is_some_and(|earlier| !earlier.is_subset(&present)) {
            merged.without_secret.push(item.name.clone());
        }
    }
    let gone = before.own_items.into_iter();
    let gone = gone.filter(|(id, _)| vault.item(*id).is_none());
    merged.removed = gone.map(|(_, name)| name).collect();
    let now = named(clients);
    let own = before.own_clients;
    let all = own.iter().chain(&before.other_clients);
    let ended: BTreeMap<_, _> = all.filter(|(id, _)| !now.contains_key(*id)).collect();
    // Whom one of the copies had revoked, and nobody had let in there, ended long ago.
    let is_new = |id: &ClientId| own.contains_key(id) || !is_revoked(vault, *id);
    let ended = ended.into_iter().filter(|(id, _)| is_new(id));
    merged.ended = ended.map(|(_, name)| name.clone()).collect();
    let came = now.into_iter().filter(|(id, _)| !own.contains_key(id));
    merged.let_in = came.map(|(_, name)| name).collect();
    let policy = vault.setting(POLICY_SETTING).map(str::to_owned);
    if policy != before.own_policy {
        merged.policy = Some(MergedPolicy::Other);
    } else if policy != before.other_policy {
        merged.policy = Some(MergedPolicy::Own);
    }
    let why = vault.read_only();
    merged.read_only = why.map(|why| read_only_words(why).to_owned());
}

fn is_revoked(vault: &Unlocked, client: ClientId) -> bool {
    let revoked = vault::client::revoked_setting(client);
    vault.setting(&revoked).is_some()
}

// For the log. Policies and clients that changed have rows of their own, and so has what was kept.
fn lines(merged: &Merged) -> Vec<String> {
    let names = |names: &[String]| {
        let names: Vec<String> = names.iter().map(|name| visible(name)).collect();
        names.join(", ")
    };
    let mut lines = Vec::new();
    if !merged.without_secret.is_empty() {
        let names = names(&merged.without_secret);
        lines.push(format!("Without a secret after the merge: {names}."));
    }
    if !merged.removed.is_empty() {
        let names = names(&merged.removed);
        lines.push(format!("Removed for good by the other copy: {names}."));
    }
    if !merged.conflicts.is_empty() {
        let names = names(&merged.conflicts);
        lines.push(format!("Given two secrets: {names}."));
    }
    if let Some(why) = &merged.read_only {
        lines.push(format!("The vault can only be read now. {why}"));
    }
    lines
}
