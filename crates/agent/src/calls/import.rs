//! Items that come from elsewhere: what would happen to each, then all of them in one commit or none, and read back from
//! what was saved.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{ApiSecret, Clock, Code, EnvironmentId, ItemId, SystemClock, text::visible};
use touchkeep_vault::{
    AuthMethod, FieldType, Item, ItemKind, MAX_EXTRA_FIELDS, MAX_FIELD_BYTES, MAX_TAGS,
    SecretPlace, Unlocked, one_time,
};
use touchkeep_wire::{
    Failure, ImportAction, ImportItems, ImportReport, ImportVerdict, KeptField, NewImport,
    NewImportField, OnDuplicate,
};

use super::{
    change,
    items::{checked_url, class_of},
    open_vault,
};
use crate::{agent::Agent, failure, method};

const CHIEF: &str = "secret";
/// Bytes of a value beside the word that stands before it in the file.
const MAX_VALUE_BYTES: usize = MAX_FIELD_BYTES - 16;

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
            // A row for each item beside that for all of them, because a row is found by one item.
            let rows = rows(&planned, &call.source);
            tokio::runtime::Handle::current().block_on(current.record_all(rows))?;
            let applied = apply(vault, &planned, &call);
            if applied.is_err() {
                // One of them cannot be put, so none is.
                vault.discard();
            }
            applied.map(|()| planned)
        })?;
        read_back(&open.read(), &done, &call)?;
        Ok(report(&open.read(), &done))
    })
    .await?;
    agent.prompts().changed("items");
    Ok(done)
}

fn rows(plan: &Plan, source: &str) -> Vec<Event> {
    let row = |planned: &Planned| {
        let item = planned.item.as_ref()?;
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

/// All proposals, and where they go.
struct Plan {
    environment: EnvironmentId,
    items: Vec<Planned>,
}

/// One proposal: what is said of it, and the item that it becomes part of.
struct Planned {
    verdict: ImportVerdict,
    item: Option<Item>,
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
    let mut taken = known.taken.clone();
    let items = call.items.iter().map(|new| {
        let planned = one(vault, &known, &mut taken, environment, new, call);
        planned.unwrap_or_else(|why| Planned {
            verdict: ImportVerdict {
                refused: Some(why),
                ..verdict(&new.name, ImportAction::Refuse)
            },
            item: None,
        })
    });
    Ok(Plan {
        environment,
        items: items.collect(),
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

fn one(
    vault: &Unlocked,
    known: &Known<'_>,
    taken: &mut Taken,
    environment: EnvironmentId,
    new: &NewImport,
    call: &ImportItems,
) -> Result<Planned, String> {
    check(new)?;
    let found = duplicate(known, new);
    let Some((other, by)) = found else {
        return added(
            vault,
            taken,
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
        OnDuplicate::Update if told.same => Ok(Planned {
            verdict: told,
            item: None,
        }),
        OnDuplicate::Update => {
            told.action = ImportAction::Update;
            let item = Some(updated(other, new, call)?);
            Ok(Planned {
                verdict: told,
                item,
            })
        }
        OnDuplicate::Both => {
            let mut item = fresh(environment, new, call)?;
            item.name = free_name(&taken.names, &new.name);
            if item.key_set == new.name {
                item.key_set.clone_from(&item.name);
            }
            told.action = ImportAction::Add;
            told.name.clone_from(&item.name);
            told.item = None;
            added(vault, taken, item, told)
        }
    }
}

fn added(
    vault: &Unlocked,
    taken: &mut Taken,
    item: Item,
    mut told: ImportVerdict,
) -> Result<Planned, String> {
    if item.base_url.is_some() && !vault.is_practice() {
        return Err(
            "It has an address of its own, which practice vaults alone may have.".to_owned(),
        );
    }
    if key_of(&item).is_some_and(|key| taken.keys.contains(&key)) {
        return Err(format!(
            "The key set {:?} has a key of this class already: --map 'ITEM.key-set=NAME'.",
            visible(&item.key_set)
        ));
    }
    taken.add(&item);
    told.item = Some(item.id);
    Ok(Planned {
        verdict: told,
        item: Some(item),
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

// What the vault would refuse is said before anything is put.
fn check(new: &NewImport) -> Result<(), String> {
    if new.name.trim().is_empty() || new.name.chars().any(char::is_control) {
        return Err("Its name cannot be printed: --map 'ITEM.name=NAME'.".to_owned());
    }
    let kind = ItemKind::of_word(&new.kind).ok_or("It is of a kind that is not known here.")?;
    let is_word = |tag: &String| {
        !tag.is_empty()
            && tag.len() <= 64
            && !tag.chars().any(|c| c.is_whitespace() || c.is_control())
    };
    if new.tags.len() > MAX_TAGS || !new.tags.iter().all(is_word) {
        return Err("It has too many tags, or one that is no word.".to_owned());
    }
    if new.fields.len() > MAX_EXTRA_FIELDS {
        return Err(format!("It has more than {MAX_EXTRA_FIELDS} fields."));
    }
    let mut names = BTreeSet::new();
    for field in &new.fields {
        // EXPOSE: to a look at its length.
        let length = field.value.expose().len();
        if length == 0 || length > MAX_VALUE_BYTES {
            return Err(format!(
                "Its field {} is empty or too long.",
                visible(&field.name)
            ));
        }
        let may_be = if field.secret {
            field.name == CHIEF || Item::may_be_called(&field.name)
        } else {
            is_plain_name(&field.name)
        };
        if !may_be || !names.insert(&field.name) {
            return Err(format!(
                "It cannot have a field that is called {}: --map 'ITEM.field.{0}=NAME'.",
                visible(&field.name)
            ));
        }
    }
    check_seed(kind, new)?;
    let has = |name: &str| names.contains(&name.to_owned());
    if kind == ItemKind::ExchangeKey && !(has("venue") && has("class")) {
        return Err(
            "It is no known exchange's: --map 'ITEM.venue=VENUE', or 'ITEM.kind=api-key'."
                .to_owned(),
        );
    }
    Ok(())
}

// A seed that makes no codes is found out now, not when somebody needs one.
fn check_seed(kind: ItemKind, new: &NewImport) -> Result<(), String> {
    let seed = new.fields.iter().find(|field| field.name == CHIEF);
    match seed {
        // EXPOSE: to a look at whether codes can be made with it.
        Some(seed) if kind == ItemKind::OtpSeed => {
            one_time::check(seed.value.expose()).map_err(|error| {
                format!("It is no seed of one-time codes ({error}): --map 'ITEM.kind=note'.")
            })
        }
        _ => Ok(()),
    }
}

fn is_plain_name(name: &str) -> bool {
    matches!(
        name,
        "venue" | "key-set" | "class" | "auth" | "api-key" | "base-url"
    ) || Item::may_be_called(name)
}

fn fresh(environment: EnvironmentId, new: &NewImport, call: &ImportItems) -> Result<Item, String> {
    let kind = ItemKind::of_word(&new.kind).unwrap_or_default();
    let mut item = Item::new(environment, kind, new.name.clone());
    item.created = new.created.unwrap_or_else(|| SystemClock.now());
    item.rotate_after_days = new.rotate_after_days;
    fill(&mut item, new, call)?;
    item.auth = auth_of(new, &item.venue);
    Ok(item)
}

fn updated(other: &Item, new: &NewImport, call: &ImportItems) -> Result<Item, String> {
    if other.kind.word() != new.kind {
        return Err(format!(
            "The one in the vault is of another kind ({}): --map 'ITEM.name=NAME'.",
            other.kind.word()
        ));
    }
    for field in new.fields.iter().filter(|field| field.secret) {
        if matches!(other.place(&field.name), Some(SecretPlace::OnDevice { .. })) {
            return Err("The one in the vault has its key on a device.".to_owned());
        }
        if other.fields.contains_key(&field.name) {
            return Err(format!(
                "The one in the vault shows its field {}, and here it is hidden.",
                visible(&field.name)
            ));
        }
    }
    let shown = new
        .fields
        .iter()
        .find(|field| !field.secret && other.secrets.contains_key(&field.name));
    if let Some(field) = shown {
        return Err(format!(
            "The one in the vault hides its field {}, and here it is shown.",
            visible(&field.name)
        ));
    }
    let further = new
        .fields
        .iter()
        .filter(|field| field.secret && !other.secrets.contains_key(&field.name))
        .count();
    if other.secrets.len() + further > MAX_EXTRA_FIELDS {
        return Err(format!(
            "It would have more than {MAX_EXTRA_FIELDS} fields."
        ));
    }
    let mut item = other.clone();
    fill(&mut item, new, call)?;
    // What a person arranged in the vault is not rearranged by a file.
    item.key_set.clone_from(&other.key_set);
    item.class = other.class;
    if item.tags.len() > MAX_TAGS || item.fields.len() > MAX_EXTRA_FIELDS {
        return Err("It would have too many tags or fields.".to_owned());
    }
    Ok(item)
}

// Everything but the secrets.
fn fill(item: &mut Item, new: &NewImport, call: &ImportItems) -> Result<(), String> {
    item.tags.extend(new.tags.iter().cloned());
    item.plaintext_seen = call
        .plaintext_seen
        .or(new.plaintext_seen)
        .or(item.plaintext_seen);
    if !new.note.is_empty() {
        item.note.clone_from(&new.note);
    }
    for field in new.fields.iter().filter(|field| !field.secret) {
        // EXPOSE: fields that are not hidden, into the item.
        let value = field.value.expose().to_owned();
        match field.name.as_str() {
            "venue" => item.venue = value,
            "key-set" => item.key_set = value,
            "class" => item.class = class_of(&value).map_err(|failure| failure.what)?,
            "auth" => {}
            "api-key" => item.api_key = value,
            "base-url" => {
                item.base_url = Some(checked_url(&value).map_err(|failure| failure.what)?);
            }
            name => {
                let (name, value) = fitted(item.kind, new, name, value);
                drop(item.fields.insert(name, value));
            }
        }
    }
    Ok(())
}

// A plain field as the vault keeps it: a text that its field does not take is kept as it was written, under a name of its own.
fn fitted(kind: ItemKind, new: &NewImport, name: &str, value: String) -> (String, String) {
    match FieldType::of(kind, name).read(&value) {
        Ok(value) => (name.to_owned(), value),
        Err(_) => (as_written(new, name), value),
    }
}

fn as_written(new: &NewImport, name: &str) -> String {
    let plain = format!("{name}-as-written");
    let numbered = (2_u32..).map(|number| format!("{plain}-{number}"));
    let is_free = |name: &String| new.fields.iter().all(|field| field.name != *name);
    let mut names = std::iter::once(plain.clone()).chain(numbered);
    names.find(is_free).unwrap_or(plain)
}

// What is said of plain fields that are not kept as they came.
fn kept_otherwise(new: &NewImport) -> Vec<KeptField> {
    let kind = ItemKind::of_word(&new.kind).unwrap_or_default();
    let plain = new
        .fields
        .iter()
        .filter(|field| !field.secret && Item::may_be_called(&field.name));
    let kept = plain.filter_map(|field| {
        // EXPOSE: a field that is not hidden, to a look at its form.
        let value = field.value.expose();
        let (kept_as, takes) = match FieldType::of(kind, &field.name).read(value) {
            Ok(stored) if stored == *value => return None,
            Ok(_) => (field.name.clone(), None),
            Err(misfit) => (as_written(new, &field.name), Some(misfit.form)),
        };
        Some(KeptField {
            field: field.name.clone(),
            kept_as,
            takes,
        })
    });
    kept.collect()
}

// As the key looks to its venue. A secret that the venue would not take is imported all the same, so that nothing is lost;
// signing with it says what is wrong.
fn auth_of(new: &NewImport, venue: &str) -> AuthMethod {
    let mut fields = new.fields.iter();
    let secret = fields.find(|field| field.name == CHIEF);
    // EXPOSE: to a look at what kind it is.
    let secret = secret.map(|field| ApiSecret::new(field.value.expose().to_owned()));
    let venue = method::venue_of(venue).ok();
    venue
        .zip(secret)
        .and_then(|(venue, secret)| method::of_secret(&venue, &secret).ok())
        .unwrap_or(AuthMethod::HmacSha256)
}

fn apply(vault: &mut Unlocked, plan: &Plan, call: &ImportItems) -> Result<(), Failure> {
    for (planned, new) in plan.items.iter().zip(&call.items) {
        if let Some(why) = &planned.verdict.refused {
            return Err(failure::invalid(
                format!(
                    "Nothing was imported: {:?} cannot be. {why}",
                    visible(&new.name)
                ),
                "Look at --dry-run.",
            ));
        }
        let Some(item) = &planned.item else { continue };
        let id = item.id;
        vault
            .put(item.clone())
            .map_err(|error| failure::vault(&error))?;
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

// Whether an item has every value of a proposal.
fn holds(vault: &Unlocked, item: &Item, new: &NewImport) -> bool {
    item.kind.word() == new.kind
        && new
            .fields
            .iter()
            .all(|field| match (field.secret, field.name.as_str()) {
                (true, _) => is_in(vault, item.id, field),
                // How it is filed is no value of the source.
                (false, "key-set" | "class" | "auth") => true,
                // EXPOSE: what is not hidden, to its comparison.
                (false, name) => has_plain(item, new, name, field.value.expose()),
            })
}

// As it came, or as it is kept.
fn has_plain(item: &Item, new: &NewImport, name: &str, value: &str) -> bool {
    let has = |name: &str, value: &str| item.plain_field(name).as_deref() == Some(value);
    let (kept_as, kept) = fitted(item.kind, new, name, value.to_owned());
    has(name, value) || has(&kept_as, &kept)
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
        let Some(item) = planned.item.as_ref().and_then(|item| vault.item(item.id)) else {
            if planned.item.is_some() {
                return Err(damaged("An item is not in the vault after it was saved."));
            }
            continue;
        };
        let sealed = |field: &NewImportField| item.place(&field.name) == Some(&SecretPlace::Sealed);
        let whole = new
            .fields
            .iter()
            .filter(|field| field.secret)
            .all(|field| sealed(field) || is_in(vault, item.id, field));
        if !whole {
            return Err(damaged("An item reads otherwise after it was saved."));
        }
    }
    Ok(())
}
