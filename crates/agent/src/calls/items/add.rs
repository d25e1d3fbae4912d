//! Items that come to be.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{
    ApiSecret, Clock, Code, DeviceId, ItemId, SystemClock,
    reference::is_field_name,
    text::{quoted, visible},
};
use touchkeep_vault::{FieldType, Item, ItemKind, MAX_NAME_BYTES, SecretPlace, Unlocked, one_time};
use touchkeep_wire::{AddItem, CheckNewItem, Done, Failure, ItemSummary, NewSecret, SecretText};

use super::{
    class_of,
    device_key::{RequestKey, make_key, put_key},
    show::summary_of_one,
};
use crate::{
    agent::Agent,
    calls::{change, open_vault},
    failure, method,
    ports::request_key_setting,
    vault::{Current, Open},
};

/// What is a secret by its name. As a plain field it would come from an argument, and be shown in lists.
const SECRET_NAMES: [&str; 14] = [
    "access-token",
    "api-secret",
    "auth-token",
    "bearer-token",
    "client-secret",
    "mnemonic",
    "passphrase",
    "password",
    "pin",
    "private-key",
    "refresh-token",
    "secret-key",
    "session-token",
    "token",
];

/// Where a secret of an item comes to be.
pub(super) enum Secret {
    Stored(ApiSecret),
    Sealed(ApiSecret),
    OnDevice(DeviceId, RequestKey),
}

pub(crate) async fn add(agent: &Arc<Agent>, mut call: AddItem) -> Result<ItemSummary, Failure> {
    let mut item = proposed(agent, &mut call)?;
    let mut secrets = BTreeMap::new();
    for (field, secret) in call.secrets {
        secrets.insert(field.clone(), kept(agent, &item, &field, secret).await?);
    }
    let on_device = matches!(secrets.get("secret"), Some(Secret::OnDevice(..)));
    complete(&item, &secrets.keys().cloned().collect(), on_device)?;
    settle_method(&mut item, secrets.get("secret"))?;
    let added = change(agent, move |agent| {
        let (current, open) = open_vault(agent)?;
        check_place(&current, &open, &item)?;
        let text = match item.kind {
            ItemKind::ExchangeKey => format!(
                "Stored the key {} of {}, key set {}.",
                visible(&item.name),
                visible(&item.venue),
                visible(&item.key_set)
            ),
            kind => format!("Stored the {} {}.", kind.word(), visible(&item.name)),
        };
        let event = Event::new(Kind::ItemAdded, Decision::Done)
            .text(text)
            .item(item.id, visible(&item.name));
        let id = item.id;
        current.change(event, move |vault| {
            vault.put(item).map_err(|error| failure::vault(&error))?;
            for (field, secret) in secrets {
                put_secret(vault, id, &field, secret)?;
            }
            let item = vault.item(id);
            let item =
                item.ok_or_else(|| failure::vault(&touchkeep_vault::VaultError::NotFound))?;
            Ok(summary_of_one(vault, item))
        })
    })
    .await?;
    agent.prompts().changed("items");
    Ok(added)
}

/// What speaks against an item before its secrets are there.
pub(crate) fn check_new(agent: &Arc<Agent>, mut call: CheckNewItem) -> Result<Done, Failure> {
    let item = proposed(agent, &mut call.item)?;
    for field in &call.secrets {
        check_secret_field(&item, field)?;
    }
    let mut secrets: BTreeSet<_> = call.secrets.into_iter().collect();
    if call.on_device {
        secrets.insert("secret".to_owned());
    }
    complete(&item, &secrets, call.on_device)?;
    let (current, open) = open_vault(agent)?;
    check_place(&current, &open, &item)?;
    Ok(Done {})
}

// The item as it would be, but for its secrets.
fn proposed(agent: &Arc<Agent>, call: &mut AddItem) -> Result<Item, Failure> {
    let kind = kind_of(&call.kind)?;
    let mut item = new_item(agent, kind, call)?;
    let mut fields = std::mem::take(&mut call.fields);
    fill(&mut item, &mut fields)?;
    set_fields(&mut item, fields)?;
    let checked = open_vault(agent)?.1.read().check(&item);
    checked.map_err(|error| failure::vault(&error))?;
    Ok(item)
}

fn check_place(current: &Current, open: &Open, item: &Item) -> Result<(), Failure> {
    if item.base_url.is_some() && !current.is_practice() {
        return Err(failure::vault(&touchkeep_vault::VaultError::PracticeOnly));
    }
    check_free(&open.read(), item)
}

fn kind_of(word: &str) -> Result<ItemKind, Failure> {
    ItemKind::of_word(word).ok_or_else(|| {
        let known = ItemKind::ALL.map(ItemKind::word).join(", ");
        failure::not_found("kind of item", word, &format!("Choose one of: {known}."))
    })
}

fn new_item(agent: &Arc<Agent>, kind: ItemKind, call: &AddItem) -> Result<Item, Failure> {
    check_name(&call.name)?;
    let (_, open) = open_vault(agent)?;
    let vault = open.read();
    let environment = match &call.environment {
        Some(name) => vault.find_environment(name),
        None => Ok(vault.environment()),
    };
    let environment = environment.map_err(|error| failure::vault(&error))?;
    let mut item = Item::new(environment, kind, call.name.clone());
    item.tags = call.tags.iter().cloned().collect();
    item.created = call.created.unwrap_or_else(|| SystemClock.now());
    item.rotate_after_days = call.rotate_after_days;
    item.plaintext_seen = call.plaintext_seen.then(|| SystemClock.now());
    Ok(item)
}

// What an exchange key has a place of its own for.
fn fill(item: &mut Item, fields: &mut BTreeMap<String, String>) -> Result<(), Failure> {
    if item.kind != ItemKind::ExchangeKey {
        return Ok(());
    }
    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
    item.venue = take("venue");
    item.key_set = take("key-set");
    item.class = class_of(&take("class"))?;
    item.api_key = take("api-key");
    let base_url = fields.remove("base-url");
    item.base_url = base_url.map(|url| super::checked_url(&url)).transpose()?;
    Ok(())
}

/// Sets plain fields, `note` and what else may be changed later among them.
pub(super) fn set_fields(item: &mut Item, fields: BTreeMap<String, String>) -> Result<(), Failure> {
    for (name, value) in fields {
        match name.as_str() {
            "note" => item.note = value,
            "rotate-after-days" => {
                let days = value.parse().ok().filter(|days| *days > 0);
                item.rotate_after_days = Some(days.ok_or_else(|| {
                    failure::invalid(
                        format!("{} is no number of days.", quoted(&value)),
                        "Write it as in: rotate-after-days=90",
                    )
                })?);
            }
            "api-key" | "key-set"
                if item.kind == ItemKind::ExchangeKey && value.trim().is_empty() =>
            {
                return Err(failure::invalid(
                    format!(
                        "The {name} of an exchange key cannot be empty: nothing signs without it."
                    ),
                    "Leave it as it is, or take the item out of use: touchkeep rm ITEM",
                ));
            }
            "age" | "age-days" if !item.fields.contains_key(&name) => {
                return Err(failure::invalid(
                    "The age of a key is no field: it is counted from when the key was made.",
                    "Say how many days ago that was: --age-days DAYS",
                ));
            }
            "api-key" if item.kind == ItemKind::ExchangeKey => item.api_key = value,
            "key-set" if item.kind == ItemKind::ExchangeKey => item.key_set = value,
            "class" if item.kind == ItemKind::ExchangeKey => item.class = class_of(&value)?,
            "base-url" if item.kind == ItemKind::ExchangeKey => {
                item.base_url = Some(super::checked_url(&value)?);
            }
            // Another kind has the public half of a pair, too.
            "api-key" => item.api_key = value,
            name if !Item::may_be_called(name) => return Err(no_field(name)),
            name if item.secrets.contains_key(name)
                || (is_secret_by_name(name) && !item.fields.contains_key(name)) =>
            {
                return Err(failure::invalid(
                    format!(
                        "The field {} is a secret, and a secret is never given as an argument.",
                        quoted(name)
                    ),
                    format!("Use --secret-field {name}, or --field-fd {name}=3."),
                ));
            }
            _ => {
                let value = typed(item.kind, &name, &value)?;
                drop(item.fields.insert(name, value));
            }
        }
    }
    Ok(())
}

fn is_secret_by_name(name: &str) -> bool {
    SECRET_NAMES.contains(&name.replace('_', "-").as_str())
}

// The form in which a field's text is stored.
fn typed(kind: ItemKind, name: &str, value: &str) -> Result<String, Failure> {
    FieldType::of(kind, name).read(value).map_err(|misfit| {
        failure::invalid(
            format!(
                "The field {name} cannot be {}: that is {}.",
                quoted(&misfit.part),
                misfit.why
            ),
            format!("It takes {}.", misfit.form),
        )
    })
}

/// Why a field cannot be called so.
pub(super) fn no_field(name: &str) -> Failure {
    let shown = quoted(name);
    if name == "venue" {
        failure::invalid(
            "The venue of an exchange key is said when it is added, and stays.",
            "Add the key anew under another name: touchkeep add NAME --venue VENUE --class CLASS",
        )
    } else if is_field_name(name) {
        failure::invalid(
            format!("The field {shown} is set in another way, or not at all."),
            "Choose another name; see: touchkeep help edit",
        )
    } else {
        failure::invalid(
            format!("{shown} cannot be the name of a field."),
            "Use a-z, 0-9, - and _, beginning with a letter or a digit; at most 64.",
        )
    }
}

/// Whether a field can be a secret one.
pub(super) fn check_secret_field(item: &Item, field: &str) -> Result<(), Failure> {
    if field != "secret" && (!Item::may_be_called(field) || item.fields.contains_key(field)) {
        return Err(no_field(field));
    }
    Ok(())
}

/// Where a secret is to be kept; a key on a device is made here.
pub(super) async fn kept(
    agent: &Arc<Agent>,
    item: &Item,
    field: &str,
    secret: NewSecret,
) -> Result<Secret, Failure> {
    check_secret_field(item, field)?;
    Ok(match secret {
        // What was sealed does not become less than that.
        NewSecret::Stored { value } if item.place(field) == Some(&SecretPlace::Sealed) => {
            Secret::Sealed(checked(item, field, value)?)
        }
        NewSecret::Stored { value } => Secret::Stored(checked(item, field, value)?),
        NewSecret::Sealed { value } => Secret::Sealed(checked(item, field, value)?),
        NewSecret::OnDevice { .. } | NewSecret::IntoDevice { .. }
            if field != "secret" || item.kind != ItemKind::ExchangeKey =>
        {
            return Err(failure::invalid(
                "Only the secret of an exchange key can be on a device.",
                "Store it, or seal it.",
            ));
        }
        NewSecret::OnDevice { key } => {
            let (device, key) = make_key(agent, item, key).await?;
            Secret::OnDevice(device, key)
        }
        NewSecret::IntoDevice { value, key } => {
            let secret = checked(item, field, value)?;
            let (device, key) = put_key(agent, item, &secret, key).await?;
            Secret::OnDevice(device, key)
        }
    })
}

// A seed that makes no codes is found out when somebody types it, not when he needs one.
fn checked(item: &Item, field: &str, value: SecretText) -> Result<ApiSecret, Failure> {
    let secret = ApiSecret::new(value.into_inner());
    if item.kind == ItemKind::OtpSeed && field == "secret" {
        // EXPOSE: to a look at whether codes can be made with it.
        one_time::check(secret.expose()).map_err(|error| {
            failure::invalid(
                format!("That is no seed of one-time codes: {error}."),
                "Copy the key that the service shows beside its QR code, or the otpauth:// address in it.",
            )
        })?;
    }
    Ok(secret)
}

// What an item cannot do without.
fn complete(item: &Item, secrets: &BTreeSet<String>, on_device: bool) -> Result<(), Failure> {
    match item.kind {
        ItemKind::ExchangeKey => {
            let venue = method::venue_of(&item.venue)?;
            method::check_passphrase(&venue, secrets.contains("passphrase"))?;
            if item.key_set.trim().is_empty() {
                let what = "An exchange key needs a key set: the name of the venue account.";
                return Err(failure::invalid(what, "Use --key-set."));
            }
            if item.api_key.is_empty() && !on_device {
                return Err(failure::invalid(
                    "The API key is missing.",
                    "Give the public half too: --api-key",
                ));
            }
        }
        ItemKind::Note if item.note.is_empty() && secrets.is_empty() => {
            return Err(failure::invalid("The note is empty.", "Give it a text."));
        }
        _ => {}
    }
    let needs_secret = item.kind != ItemKind::Note;
    if needs_secret && !secrets.contains("secret") {
        return Err(failure::invalid(
            format!("The {} needs its secret.", item.kind.word()),
            "Type it when asked, or use --secret-fd.",
        ));
    }
    Ok(())
}

/// How an exchange key signs, once its secret is given.
pub(super) fn settle_method(item: &mut Item, secret: Option<&Secret>) -> Result<(), Failure> {
    if item.kind != ItemKind::ExchangeKey {
        return Ok(());
    }
    let venue = method::venue_of(&item.venue)?;
    item.auth = match secret {
        Some(Secret::Stored(secret) | Secret::Sealed(secret)) => method::of_secret(&venue, secret)?,
        Some(Secret::OnDevice(_, key)) => method::of_device(&venue, key.info.algorithm)?,
        None => item.auth,
    };
    Ok(())
}

/// Whether an item may be called so from now on. What is seen nowhere tells no two names apart, and is lost where a name is typed.
pub(super) fn check_name(name: &str) -> Result<(), Failure> {
    if name.starts_with(touchkeep_core::reference::SCHEME) {
        return Err(failure::invalid(
            format!("The name {} begins as a reference does.", quoted(name)),
            "Give it another one: wherever an item is named, that would be read as a reference.",
        ));
    }
    check_spelling(name, "Give it a short one, and put the rest into a note.")
}

/// Whether a name of an item or a client is short, and begins and ends with what is seen. `shorten` says what to do else.
pub(crate) fn check_spelling(name: &str, shorten: &str) -> Result<(), Failure> {
    if name.len() > MAX_NAME_BYTES {
        return Err(failure::invalid(
            format!("The name is longer than {MAX_NAME_BYTES} bytes."),
            shorten,
        ));
    }
    if name.trim() == name {
        return Ok(());
    }
    Err(failure::invalid(
        format!("The name {} begins or ends with a blank.", quoted(name)),
        format!("Leave that out: {}.", quoted(name.trim())),
    ))
}

/// Whether nobody else has its name, or its place in a key set.
pub(super) fn check_free(vault: &Unlocked, item: &Item) -> Result<(), Failure> {
    check_free_or(vault, item, |_| "Choose another name.".to_owned())
}

/// The same, with what can be done where the other item has its name.
pub(super) fn check_free_or(
    vault: &Unlocked,
    item: &Item,
    renaming: impl FnOnce(&Item) -> String,
) -> Result<(), Failure> {
    // What is in the trash stands in nobody's way.
    if item.trashed.is_some() {
        return Ok(());
    }
    let others = vault.items().into_iter();
    let mut others = others.filter(|other| other.id != item.id && other.trashed.is_none());
    let taken = |other: &&Item| other.environment == item.environment && other.name == item.name;
    let same_use = |other: &&Item| {
        item.kind == ItemKind::ExchangeKey
            && other.is_signing_key()
            && (&other.venue, &other.key_set, other.class)
                == (&item.venue, &item.key_set, item.class)
    };
    let Some(other) = others.find(|other| taken(other) || same_use(other)) else {
        return Ok(());
    };
    if taken(&other) {
        return Err(Failure::new(
            Code::Ambiguous,
            format!("There is an item {} already.", quoted(&item.name)),
            renaming(other),
        ));
    }
    Err(Failure::new(
        Code::Ambiguous,
        format!(
            "The key set {} has a key of this class already: {}.",
            quoted(&item.key_set),
            quoted(&other.name)
        ),
        match vault.item(item.id) {
            Some(_) => format!(
                "Remove that one first, or put this one into another key set: touchkeep edit {} --set key-set=NAME",
                item.id
            ),
            None => "Remove that one first, or use another key set.".to_owned(),
        },
    ))
}

/// Puts a secret where it is to be kept.
pub(super) fn put_secret(
    vault: &mut Unlocked,
    id: ItemId,
    field: &str,
    secret: Secret,
) -> Result<(), Failure> {
    let to_failure = |error| failure::vault(&error);
    match secret {
        Secret::Stored(secret) => vault
            .set_field_secret(id, field, secret)
            .map_err(to_failure),
        Secret::Sealed(secret) => vault.seal_field(id, field, secret).map_err(to_failure),
        Secret::OnDevice(device, key) => {
            let text = serde_json::to_string(&key)
                .map_err(|_| failure::fault("The device's key cannot be written down."))?;
            let item = vault.item(id).cloned();
            let mut item =
                item.ok_or_else(|| failure::vault(&touchkeep_vault::VaultError::NotFound))?;
            item.secret = SecretPlace::OnDevice {
                device,
                key: key.info.key,
            };
            vault.put(item).map_err(to_failure)?;
            let setting = request_key_setting(id);
            vault.set_setting(&setting, &text).map_err(to_failure)
        }
    }
}
