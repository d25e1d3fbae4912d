//! Items that come from elsewhere: what would happen to each, then all of them in one commit or none, and read back from
//! what was saved.

mod fields;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{
    ApiSecret, Clock, Code, EnvironmentId, ItemId, SystemClock,
    text::{quoted, visible},
};
use touchkeep_vault::{Item, ItemKind, SECRET_FIELD, SecretPlace, Unlocked};
use touchkeep_wire::{
    Failure, ImportAction, ImportItems, ImportReport, ImportVerdict, NewImport, NewImportField,
    OnDuplicate,
};

use self::fields::{check, fresh, holds_shown, kept_otherwise, updated};
use super::{change, open_vault};
use crate::{agent::Agent, failure};

pub(crate) async fn import(agent: &Arc<Agent>, call: ImportItems) -> Result<ImportReport, Failure> {
    if call.dry_run {
        let (_, open) = open_vault(agent)?;
        return Ok(report(&open.read(), &plan(&open.read(), &call)?));
    }
    let done = change(agent, move |agent| {
        let (current, open) = open_vault(agent)?;
        let count = call.items.len();
        let event = Event::new(Kind::ItemAdded, Decision::Done).text(format!(
            "Imported from {}: {count} {}.",
            visible(&call.source),
            if count == 1 { "item" } else { "items" }
        ));
        let done = current.change(event, |vault| {
            let planned = plan(vault, &call)?;
            let applied = apply(vault, &planned, &call);
            if applied.is_err() {
                // One of them cannot be put, so none is.
                vault.discard();
            }
            applied.map(|()| planned)
        })?;
        read_back(&open.read(), &done, &call)?;
        // A row for each item beside that for all of them, because a row is found by one item.
        let rows = rows(&done, &call.source);
        tokio::runtime::Handle::current().block_on(current.record_all(rows))?;
        Ok(report(&open.read(), &done))
    })
    .await?;
    agent.prompts().changed("items");
    Ok(done)
}

fn rows(plan: &Plan, source: &str) -> Vec<Event> {
    let row = |planned: &Planned| {
        let item = plan.becomes.get(&planned.item?)?;
        let (kind, did) = match planned.verdict.action {
            ImportAction::Update => (Kind::ItemChanged, "Changed"),
            _ => (Kind::ItemAdded, "Imported"),
        };
        let name = visible(&item.name);
        let text = format!("{did} {name}, from {}.", visible(source));
        Some(
            Event::new(kind, Decision::Done)
                .text(text)
                .item(item.id, name),
        )
    };
    plan.items.iter().filter_map(row).collect()
}

/// All proposals, where they go, and what the items become by them.
struct Plan {
    environment: EnvironmentId,
    items: Vec<Planned>,
    becomes: BTreeMap<ItemId, Item>,
}

/// One proposal: what is said of it, and the item that it becomes part of.
struct Planned {
    verdict: ImportVerdict,
    item: Option<ItemId>,
}

/// What was planned so far: several rows may fit one item, and each builds on what the ones before it made of the item.
#[derive(Default)]
struct Draft<'a> {
    taken: Taken,
    becomes: BTreeMap<ItemId, Item>,
    given: HashMap<ItemId, Vec<&'a NewImport>>,
}

fn report(vault: &Unlocked, plan: &Plan) -> ImportReport {
    ImportReport {
        environment: vault.environment_name(plan.environment),
        items: plan
            .items
            .iter()
            .map(|planned| planned.verdict.clone())
            .collect(),
    }
}

fn plan(vault: &Unlocked, call: &ImportItems) -> Result<Plan, Failure> {
    let environment = environment_of(vault, call.environment.as_deref())?;
    let known = Known::of(vault, environment);
    let mut draft = Draft {
        taken: known.taken.clone(),
        ..Draft::default()
    };
    let mut items = Vec::with_capacity(call.items.len());
    for new in &call.items {
        let planned = one(vault, &known, &mut draft, environment, new, call);
        items.push(planned.unwrap_or_else(|why| Planned {
            verdict: ImportVerdict {
                refused: Some(why),
                ..verdict(&new.name, ImportAction::Refuse)
            },
            item: None,
        }));
    }
    Ok(Plan {
        environment,
        items,
        becomes: draft.becomes,
    })
}

/// The environment of a name or an id.
pub(super) fn environment_of(
    vault: &Unlocked,
    wanted: Option<&str>,
) -> Result<EnvironmentId, Failure> {
    let Some(wanted) = wanted else {
        return Ok(vault.environment());
    };
    vault
        .find_environment(wanted)
        .map_err(|error| failure::vault(&error))
}

/// What is in the environment, to find duplicates by.
struct Known<'a> {
    by_name: HashMap<&'a str, &'a Item>,
    by_key: HashMap<&'a str, &'a Item>,
    taken: Taken,
}

// Names, and keys of key sets, of which there can be one each.
#[derive(Clone, Default)]
struct Taken {
    names: BTreeSet<String>,
    keys: BTreeSet<(String, String, String)>,
}

impl<'a> Known<'a> {
    fn of(vault: &'a Unlocked, environment: EnvironmentId) -> Self {
        let mut known = Self {
            by_name: HashMap::new(),
            by_key: HashMap::new(),
            taken: Taken::default(),
        };
        let here = vault
            .items()
            .into_iter()
            .filter(|item| item.environment == environment && item.trashed.is_none());
        for item in here {
            known.by_name.insert(&item.name, item);
            if !item.api_key.is_empty() {
                known.by_key.insert(&item.api_key, item);
            }
            known.taken.add(item);
        }
        known
    }
}

impl Taken {
    fn add(&mut self, item: &Item) {
        self.names.insert(item.name.clone());
        self.keys.extend(key_of(item));
    }
}

fn key_of(item: &Item) -> Option<(String, String, String)> {
    let class = item.plain_field("class")?;
    (item.kind == ItemKind::ExchangeKey).then(|| (item.venue.clone(), item.key_set.clone(), class))
}

fn verdict(name: &str, action: ImportAction) -> ImportVerdict {
    ImportVerdict {
        name: name.to_owned(),
        action,
        duplicate_of: None,
        known_by: None,
        same: false,
        refused: None,
        item: None,
        kept: Vec::new(),
    }
}

fn one<'a>(
    vault: &Unlocked,
    known: &Known<'_>,
    draft: &mut Draft<'a>,
    environment: EnvironmentId,
    new: &'a NewImport,
    call: &ImportItems,
) -> Result<Planned, String> {
    check(new)?;
    let found = duplicate(known, new);
    let Some((other, by)) = found else {
        return added(
            vault,
            draft,
            fresh(environment, new, call)?,
            ImportVerdict {
                kept: kept_otherwise(new),
                ..verdict(&new.name, ImportAction::Add)
            },
        );
    };
    let mut told = verdict(&other.name, ImportAction::Skip);
    told.duplicate_of = Some(other.name.clone());
    told.known_by = Some(by.to_owned());
    told.same = holds(vault, other, new);
    told.item = Some(other.id);
    told.kept = kept_otherwise(new);
    match call.on_duplicate {
        OnDuplicate::Skip => Ok(Planned {
            verdict: told,
            item: None,
        }),
        OnDuplicate::Update => {
            let item = draft.updated(other, new, told.same, call)?;
            if item.is_some() {
                told.action = ImportAction::Update;
            }
            Ok(Planned {
                verdict: told,
                item,
            })
        }
        OnDuplicate::Both => {
            let mut item = fresh(environment, new, call)?;
            item.name = free_name(&draft.taken.names, &new.name);
            if item.key_set == new.name {
                item.key_set.clone_from(&item.name);
            }
            told.action = ImportAction::Add;
            told.name.clone_from(&item.name);
            told.item = None;
            added(vault, draft, item, told)
        }
    }
}

impl<'a> Draft<'a> {
    // The item with the values of one more row; none where it has them already.
    fn updated(
        &mut self,
        other: &Item,
        new: &'a NewImport,
        same: bool,
        call: &ImportItems,
    ) -> Result<Option<ItemId>, String> {
        let given = self.given.entry(other.id).or_default();
        if let Some(field) = given.iter().find_map(|earlier| contradicts(earlier, new)) {
            return Err(format!(
                "Another row is for the same item, and says otherwise of {}: --map 'ITEM.name=NAME'.",
                visible(field)
            ));
        }
        if !same {
            let before = self.becomes.get(&other.id).unwrap_or(other);
            let item = updated(before, given, new, call)?;
            drop(self.becomes.insert(other.id, item));
        }
        given.push(new);
        Ok((!same).then_some(other.id))
    }
}

// What two rows for one item say differently, so that one of them would be lost.
fn contradicts<'a>(earlier: &NewImport, new: &'a NewImport) -> Option<&'a str> {
    // EXPOSE: both, to their comparison.
    let differs = |one: &NewImportField, other: &NewImportField| {
        one.name == other.name
            && (one.secret != other.secret || one.value.expose() != other.value.expose())
    };
    // How it is filed is the vault's, and not the file's.
    let filed = |field: &&NewImportField| {
        !field.secret && matches!(field.name.as_str(), "key-set" | "class" | "auth")
    };
    let mut fields = new.fields.iter().filter(|field| !filed(field));
    let field = fields.find(|field| earlier.fields.iter().any(|known| differs(known, field)));
    if let Some(field) = field {
        return Some(&field.name);
    }
    if !earlier.note.is_empty() && !new.note.is_empty() && earlier.note != new.note {
        return Some("note");
    }
    let days = earlier.rotate_after_days.zip(new.rotate_after_days);
    days.is_some_and(|(one, other)| one != other)
        .then_some("rotate-after-days")
}

fn added(
    vault: &Unlocked,
    draft: &mut Draft<'_>,
    item: Item,
    mut told: ImportVerdict,
) -> Result<Planned, String> {
    if item.base_url.is_some() && !vault.is_practice() {
        return Err(
            "It has an address of its own, which practice vaults alone may have.".to_owned(),
        );
    }
    if key_of(&item).is_some_and(|key| draft.taken.keys.contains(&key)) {
        return Err(format!(
            "The key set {} has a key of this class already: --map 'ITEM.key-set=NAME'.",
            quoted(&item.key_set)
        ));
    }
    let id = item.id;
    draft.taken.add(&item);
    drop(draft.becomes.insert(id, item));
    told.item = Some(id);
    Ok(Planned {
        verdict: told,
        item: Some(id),
    })
}

fn free_name(taken: &BTreeSet<String>, wanted: &str) -> String {
    let mut names = (2_u32..).map(|number| format!("{wanted} ({number})"));
    names.find(|name| !taken.contains(name)).unwrap_or_default()
}

fn duplicate<'a>(known: &Known<'a>, new: &NewImport) -> Option<(&'a Item, &'static str)> {
    if let Some(item) = known.by_name.get(new.name.as_str()) {
        return Some((item, "name"));
    }
    let key = new.fields.iter().find(|field| field.name == "api-key")?;
    // EXPOSE: the public half, to its comparison.
    known
        .by_key
        .get(key.value.expose())
        .map(|item| (*item, "api-key"))
}

fn apply(vault: &mut Unlocked, plan: &Plan, call: &ImportItems) -> Result<(), Failure> {
    let mut becomes = plan.becomes.clone();
    for (planned, new) in plan.items.iter().zip(&call.items) {
        if let Some(why) = &planned.verdict.refused {
            return Err(failure::invalid(
                format!(
                    "Nothing was imported: {} cannot be. {why}",
                    quoted(&new.name)
                ),
                "Look at --dry-run.",
            ));
        }
        let Some(id) = planned.item else { continue };
        // Once, before its secrets: what a row has put is not taken back by the next row's.
        if let Some(mut item) = becomes.remove(&id) {
            let chief = new.fields.iter().find(|field| field.name == SECRET_FIELD);
            if vault.item(id).is_some() && chief.is_some_and(|new| !is_in(vault, id, new)) {
                item.created = new.created.unwrap_or_else(|| SystemClock.now());
            }
            vault.put(item).map_err(|error| failure::vault(&error))?;
        }
        for field in new.fields.iter().filter(|field| field.secret) {
            put_secret(vault, id, field)?;
        }
    }
    Ok(())
}

fn put_secret(vault: &mut Unlocked, id: ItemId, field: &NewImportField) -> Result<(), Failure> {
    if is_in(vault, id, field) {
        return Ok(());
    }
    // EXPOSE: into the type that the vault takes.
    let secret = ApiSecret::new(field.value.expose().to_owned());
    let is_sealed =
        vault.item(id).and_then(|item| item.place(&field.name)) == Some(&SecretPlace::Sealed);
    // What was sealed does not become less than that.
    let put = if is_sealed {
        vault.seal_field(id, &field.name, secret)
    } else {
        vault.set_field_secret(id, &field.name, secret)
    };
    put.map_err(|error| failure::vault(&error))
}

// Whether a secret field has this value. One that is sealed cannot be looked at.
fn is_in(vault: &Unlocked, id: ItemId, field: &NewImportField) -> bool {
    // EXPOSE: both, to their comparison.
    vault
        .field_secret(id, &field.name)
        .is_ok_and(|secret| secret.expose() == field.value.expose())
}

// Whether an item has everything that a proposal says.
fn holds(vault: &Unlocked, item: &Item, new: &NewImport) -> bool {
    let mut secrets = new.fields.iter().filter(|field| field.secret);
    item.kind.word() == new.kind
        && holds_shown(item, new)
        && secrets.all(|field| is_in(vault, item.id, field))
}

// The file has what the vault has, and the vault has what came in: only then may a source go.
fn read_back(vault: &Unlocked, plan: &Plan, call: &ImportItems) -> Result<(), Failure> {
    let damaged = |what: &str| {
        Failure::new(
            Code::Damaged,
            what,
            "Keep the source, and look at: touchkeep backup list",
        )
    };
    if !vault.is_on_disk().map_err(|error| failure::vault(&error))? {
        return Err(damaged("The vault's file is not what was just saved."));
    }
    for (planned, new) in plan.items.iter().zip(&call.items) {
        let Some(item) = planned.item.and_then(|id| vault.item(id)) else {
            if planned.item.is_some() {
                return Err(damaged("An item is not in the vault after it was saved."));
            }
            continue;
        };
        let sealed = |field: &NewImportField| item.place(&field.name) == Some(&SecretPlace::Sealed);
        let mut secrets = new.fields.iter().filter(|field| field.secret);
        let whole = holds_shown(item, new)
            && secrets.all(|field| sealed(field) || is_in(vault, item.id, field));
        if !whole {
            return Err(damaged("An item reads otherwise after it was saved."));
        }
    }
    Ok(())
}
