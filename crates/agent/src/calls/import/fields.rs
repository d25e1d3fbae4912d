//! What a proposal's fields become in an item, what of it cannot be kept, and whether an item has them.

use std::collections::BTreeSet;

use touchkeep_core::{
    ApiSecret, Clock, EnvironmentId, SystemClock, reference::SCHEME, text::visible,
};
use touchkeep_vault::{
    AuthMethod, FieldType, Item, ItemKind, MAX_EXTRA_FIELDS, MAX_FIELD_BYTES, MAX_NAME_BYTES,
    MAX_TAGS, SecretPlace, one_time,
};
use touchkeep_wire::{ImportItems, KeptField, NewImport};

use super::super::items::{checked_url, class_of};
use crate::method;

const CHIEF: &str = "secret";
/// Bytes of a value beside the word that stands before it in the file.
const MAX_VALUE_BYTES: usize = MAX_FIELD_BYTES - 16;

/// What somebody called it elsewhere is kept at more than the length of a name that is given here, but for what no row of the log holds.
const MAX_IMPORTED_NAME: usize = 8 * MAX_NAME_BYTES;

/// Whether an item has all of a proposal that is not hidden.
pub(super) fn holds_shown(item: &Item, new: &NewImport) -> bool {
    let mut shown = new.fields.iter().filter(|field| !field.secret);
    let days = new.rotate_after_days;
    (new.note.is_empty() || item.note == new.note)
        && new.tags.iter().all(|tag| item.tags.contains(tag))
        && (days.is_none() || item.rotate_after_days == days)
        && shown.all(|field| match field.name.as_str() {
            // How it is filed is no value of the source.
            "key-set" | "class" | "auth" => true,
            // EXPOSE: what is not hidden, to its comparison.
            name => has_plain(item, new, name, field.value.expose()),
        })
}

// As it came, or as it is kept.
fn has_plain(item: &Item, new: &NewImport, name: &str, value: &str) -> bool {
    let has = |name: &str, value: &str| item.plain_field(name).as_deref() == Some(value);
    if name == "base-url" {
        return checked_url(value).is_ok_and(|url| has(name, &url));
    }
    let (kept_as, kept) = fitted(item.kind, new, name, value.to_owned());
    has(name, value) || has(&kept_as, &kept)
}

/// What the vault would refuse is said before anything is put.
pub(super) fn check(new: &NewImport) -> Result<(), String> {
    if new.name.trim().is_empty() || new.name.chars().any(char::is_control) {
        return Err("Its name cannot be printed: --map 'ITEM.name=NAME'.".to_owned());
    }
    if new.name.len() > MAX_IMPORTED_NAME || new.name.starts_with(SCHEME) {
        return Err(format!(
            "Its name is longer than {MAX_IMPORTED_NAME} bytes, or begins as a reference does: --map 'ITEM.name=NAME'."
        ));
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

/// A new item, without its secrets.
pub(super) fn fresh(
    environment: EnvironmentId,
    new: &NewImport,
    call: &ImportItems,
) -> Result<Item, String> {
    let kind = ItemKind::of_word(&new.kind).unwrap_or_default();
    let mut item = Item::new(environment, kind, new.name.clone());
    item.created = new.created.unwrap_or_else(|| SystemClock.now());
    item.rotate_after_days = new.rotate_after_days;
    fill(&mut item, new, call)?;
    item.auth = auth_of(new, &item.venue);
    Ok(item)
}

/// An item of the vault with what one more row says, after the rows that were given for it before; without secrets.
pub(super) fn updated(
    other: &Item,
    given: &[&NewImport],
    new: &NewImport,
    call: &ImportItems,
) -> Result<Item, String> {
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
    let rows = given.iter().copied().chain([new]);
    let further: BTreeSet<&str> = rows
        .flat_map(|row| &row.fields)
        .filter(|field| field.secret && !other.secrets.contains_key(&field.name))
        .map(|field| field.name.as_str())
        .collect();
    if other.secrets.len() + further.len() > MAX_EXTRA_FIELDS {
        return Err(format!(
            "It would have more than {MAX_EXTRA_FIELDS} fields."
        ));
    }
    let mut item = other.clone();
    fill(&mut item, new, call)?;
    // What a person arranged in the vault is not rearranged by a file.
    item.key_set.clone_from(&other.key_set);
    item.class = other.class;
    item.rotate_after_days = new.rotate_after_days.or(other.rotate_after_days);
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

/// What is said of plain fields that are not kept as they came.
pub(super) fn kept_otherwise(new: &NewImport) -> Vec<KeptField> {
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
