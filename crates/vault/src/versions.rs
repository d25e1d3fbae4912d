//! Earlier versions of items: what a save keeps of what it replaces, how many, and how they come back.
//!
//! A save that changes an item makes its next version. What the change replaces stays in the file on purpose, as fields of its
//! own (docs/formats/vault.md, section 6): plain texts, stored secrets, and sealed ones as the members that they are. Who
//! wants them gone says so: [`Unlocked::forget_old`].

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use touchkeep_container::{
    MemberName, SECRET_FIELD, SECRET_PREFIX, Value, is_secret_field,
    op::Text,
    state::{ItemState, Told, items_of, parts_with_secret},
};
use touchkeep_core::{
    ApiSecret, DeviceId, EnvironmentId, Id, ItemId, UnixMillis, UserId, reference::is_field_name,
};
use touchkeep_locked::on_wiped_stack;
use zeroize::Zeroizing;

use crate::{
    crypt,
    error::VaultError,
    item::{self, Item, Secret},
    opened::{OpenEnvironment, PendingItem},
    unlocked::Unlocked,
};

/// Earlier versions of an item that are kept.
pub const MAX_VERSIONS: u32 = 20;

const VERSION: &str = "version";
const MADE: &str = "version.";
const OLD: &str = "old.";
const SEALED_TO: &str = "sealed-to";
// What is said of a key on a device: it is gone.
const ON_DEVICE: &str = "on-device";

/// A version of an item, without values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// From 1.
    pub number: u32,
    /// When it came to be.
    pub at: Option<UnixMillis>,
    /// Who made it.
    pub by: Option<UserId>,
    /// Names of the fields that it changed; none of the first.
    pub changed: Vec<String>,
    /// Whether it is the present one or can be had back.
    pub is_kept: bool,
}

/// What a field was in an earlier version.
pub(crate) enum Earlier {
    /// As it is now.
    Same,
    /// Empty, or not there.
    Empty,
    Plain(String),
    Stored(ApiSecret),
    /// The sealed value, and the devices that it is sealed to.
    Sealed(Id, Option<String>),
}

/// What a save adds to the changes of each item.
pub(crate) type Kept = BTreeMap<ItemId, BTreeMap<String, Option<Value>>>;

/// What a save adds to the changes of an environment.
#[derive(Default)]
pub(crate) struct Addition {
    /// Versions, and what they replace.
    pub(crate) kept: Kept,
    /// The parts that hold secrets of versions that go, by name.
    pub(crate) forgets: BTreeSet<String>,
    /// The sealed values that no field is left for.
    pub(crate) unsealed: Vec<MemberName>,
}

/// By environment.
pub(crate) type Additions = BTreeMap<EnvironmentId, Addition>;

/// Whether a field is part of what is kept of earlier versions.
pub(crate) fn is_of_versions(key: &str) -> bool {
    key == VERSION || kept_of(key).is_some()
}

// The version that a field is kept of, and which field it was; none where it says who made the version.
fn kept_of(key: &str) -> Option<(u32, Option<String>)> {
    if let Some(number) = key.strip_prefix(MADE) {
        return Some((number.parse().ok()?, None));
    }
    if let Some(rest) = key.strip_prefix(OLD) {
        let (number, key) = rest.split_once('.')?;
        return Some((number.parse().ok()?, Some(key.to_owned())));
    }
    let (name, number) = key.strip_prefix(SECRET_PREFIX)?.rsplit_once('.')?;
    let name = Some(name).filter(|name| is_field_name(name))?;
    Some((number.parse().ok()?, Some(item::secret_key(name))))
}

pub(crate) fn old_key(version: u32, key: &str) -> String {
    match item::secret_name(key) {
        Some(name) => format!("{SECRET_PREFIX}{name}.{version}"),
        None => format!("{OLD}{version}.{key}"),
    }
}

// The fields that say which version is the present one, when it came to be, and by whom.
pub(crate) fn made(version: u32, at: UnixMillis, by: Option<UserId>) -> [(String, String); 2] {
    let by = by.map_or_else(|| "-".to_owned(), |by| by.to_string());
    [
        (VERSION.to_owned(), version.to_string()),
        (format!("{MADE}{version}"), format!("{} {by}", at.0)),
    ]
}

fn text(text: impl Into<String>) -> Option<Value> {
    Some(Value::new(Zeroizing::new(text.into())))
}

/// What is saved of an item, by field. Of stored secrets only that they are stored.
pub(crate) struct Saved<'a> {
    fields: BTreeMap<&'a str, Text<'a>>,
    version: u32,
    // Of each version the fields that the next one changed.
    changed: BTreeMap<u32, BTreeSet<String>>,
}

impl<'a> Saved<'a> {
    pub(crate) fn of(state: &ItemState<'a>) -> Self {
        let fields: BTreeMap<_, _> = state.fields().collect();
        let mut changed: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
        for key in fields.keys() {
            match kept_of(key) {
                Some((number, Some(key))) if !key.starts_with(SEALED_TO) => {
                    changed.entry(number).or_default().insert(key);
                }
                _ => {}
            }
        }
        // EXPOSE: a number.
        let version = fields
            .get(VERSION)
            .and_then(|text| text.to_text().parse().ok());
        Self {
            fields,
            version: version.unwrap_or(1),
            changed,
        }
    }

    // EXPOSE: fields that are not secret, and where secrets are.
    fn text(&self, key: &str) -> Option<String> {
        self.fields.get(key).map(|text| text.to_text())
    }

    // What happened to a field as a version was replaced. A time of being thrown away that is gone means that it was taken back.
    fn change(&self, version: u32, key: &str) -> String {
        let was = self.text(&old_key(version, key)).unwrap_or_default();
        match key {
            "trashed" if !was.is_empty() => "restored".to_owned(),
            _ => visible_name(key).to_owned(),
        }
    }

    // When, and by whom.
    fn made(&self, version: u32) -> Option<(UnixMillis, Option<UserId>)> {
        let said = self.text(&format!("{MADE}{version}"))?;
        let (at, by) = said.split_once(' ')?;
        Some((UnixMillis(at.parse().ok()?), by.parse().ok()))
    }

    /// The present version, or a later one where something is kept of that already.
    pub(crate) fn free(&self) -> u32 {
        let last = self.changed.keys().next_back();
        last.map_or(self.version, |last| {
            self.version.max(last.saturating_add(1))
        })
    }

    // Each version changes something, so one of which nothing is kept was forgotten, and those before it cannot be told.
    fn is_kept(&self, version: u32) -> bool {
        (version..self.version).all(|number| self.changed.contains_key(&number))
    }

    // Whether its chief secret was a key on a device and is another one now: what was on a device is not kept.
    fn had_device_key(&self, version: u32) -> bool {
        let key = item::secret_key(SECRET_FIELD);
        let changes = |number: &u32| {
            let keys = self.changed.get(number);
            keys.is_some_and(|keys| keys.contains(&key))
        };
        let next = (version..self.version).find(changes);
        let said = next.and_then(|number| self.text(&old_key(number, &key)));
        said.as_deref() == Some(ON_DEVICE)
    }

    // The versions from this one on, if it is an earlier one and kept.
    fn since(&self, version: u32) -> Result<std::ops::Range<u32>, VaultError> {
        if version == 0 || version > self.version {
            return Err(VaultError::NoVersion(version));
        }
        let is_kept = self.is_kept(version);
        is_kept
            .then_some(version..self.version)
            .ok_or(VaultError::NotKept)
    }
}

impl Unlocked {
    /// The versions of an item as it was saved, the newest first.
    ///
    /// # Errors
    /// There is no such item.
    pub fn versions(&self, id: ItemId) -> Result<Vec<Version>, VaultError> {
        let told = self.told_of(id)?;
        let state = self.state_of(&told)?;
        let saved = Saved::of(&state);
        let oldest = saved.version.saturating_sub(MAX_VERSIONS).max(1);
        let versions = (oldest..=saved.version).rev().map(|number| {
            let made = saved.made(number);
            let (at, by) = match made {
                Some((at, by)) => (Some(at), by),
                None if saved.version == 1 => self.made(&state),
                None => (None, None),
            };
            let changed = saved.changed.get(&(number - 1)).into_iter().flatten();
            Version {
                number,
                at,
                by,
                changed: changed.map(|key| saved.change(number - 1, key)).collect(),
                is_kept: saved.is_kept(number) && !saved.had_device_key(number),
            }
        });
        Ok(versions
            .filter(|version| version.is_kept || version.at.is_some())
            .collect())
    }

    // All that tells of an item, decrypted for this call.
    pub(crate) fn told_of(&self, id: ItemId) -> Result<Vec<Told>, VaultError> {
        let environment = self.open_environment_of(id)?;
        environment.told(&self.locked.container, environment.state.places(id))
    }

    pub(crate) fn state_of<'a>(&self, told: &'a [Told]) -> Result<ItemState<'a>, VaultError> {
        ItemState::of(told, self.locked.container.history()).ok_or(VaultError::NotFound)
    }

    /// Earlier versions of sealed fields that this device opens and none of the others does: they go with it. By field, and the
    /// last version in which it was that.
    pub(crate) fn sealed_to_alone(
        &self,
        id: ItemId,
        device: DeviceId,
        others: &[DeviceId],
    ) -> Result<Vec<(String, u32)>, VaultError> {
        let told = self.told_of(id)?;
        let state = self.state_of(&told)?;
        let saved = Saved::of(&state);
        let lost = saved.fields.keys().filter_map(|key| {
            let (number, kept) = kept_of(key)?;
            let field = item::sealed_to_name(&kept?)?.to_owned();
            let devices = item::devices(&saved.text(key)?)?;
            let alone = devices.contains(&device) && !devices.iter().any(|it| others.contains(it));
            alone.then_some((field, number))
        });
        Ok(lost.collect())
    }

    // Who wrote it first, as far as its commit is still there.
    fn made(&self, state: &ItemState<'_>) -> (Option<UnixMillis>, Option<UserId>) {
        let Some(stamp) = state.first_write() else {
            return (None, None);
        };
        let commits = self.locked.container.history().commits();
        let author = commits.get(&stamp.commit).map(|commit| commit.author);
        (Some(UnixMillis(stamp.at.ms)), author)
    }

    // What a field of the file was in a version.
    fn earlier(&self, id: ItemId, key: &str, version: u32) -> Result<Earlier, VaultError> {
        let told = self.told_of(id)?;
        let state = self.state_of(&told)?;
        let saved = Saved::of(&state);
        let mut since = saved.since(version)?;
        let changes = |number: &u32| {
            saved
                .changed
                .get(number)
                .is_some_and(|keys| keys.contains(key))
        };
        let Some(number) = since.find(changes) else {
            return Ok(Earlier::Same);
        };
        let old = old_key(number, key);
        let said = saved.text(&old).unwrap_or_default();
        if said.is_empty() {
            return Ok(Earlier::Empty);
        }
        if !is_secret_field(key) {
            return Ok(Earlier::Plain(said));
        }
        match item::secret(&said) {
            Some(Secret::Sealed(revision)) => {
                let sealed_to = item::sealed_to_key(visible_name(key));
                let devices = saved.text(&old_key(number, &sealed_to));
                Ok(Earlier::Sealed(revision, devices))
            }
            Some(Secret::Stored(_)) => {
                let secret = stored_in(&state, &old).ok_or(VaultError::NotKept)?;
                Ok(Earlier::Stored(secret))
            }
            _ => Err(VaultError::NotKept),
        }
    }

    /// A field's stored secret as it was in an earlier version.
    ///
    /// # Errors
    /// There is no such item or version, it is not kept any more, or it was no stored secret.
    pub fn secret_at(
        &self,
        id: ItemId,
        field: &str,
        version: u32,
    ) -> Result<ApiSecret, VaultError> {
        let earlier = on_wiped_stack(|| self.earlier(id, &item::secret_key(field), version));
        match earlier? {
            Earlier::Same => self.field_secret(id, field),
            Earlier::Stored(secret) => Ok(secret),
            _ => Err(VaultError::NoSecret),
        }
    }

    /// A plain field as it was in an earlier version; none where it was empty.
    ///
    /// # Errors
    /// There is no such item or version, or it is not kept any more.
    pub fn plain_at(
        &self,
        id: ItemId,
        field: &str,
        version: u32,
    ) -> Result<Option<String>, VaultError> {
        match self.earlier(id, &item::file_key(field), version)? {
            Earlier::Same => {
                let item = self.item(id).ok_or(VaultError::NotFound)?;
                Ok(item.plain_field(field))
            }
            Earlier::Plain(text) => Ok(Some(text)),
            _ => Ok(None),
        }
    }

    /// Makes an item what it was in an earlier version, as a new version; says which fields that changes. Whether it is in the
    /// trash stays as it is.
    ///
    /// # Errors
    /// There is no such item or version, it is not kept any more, or this user may not write.
    pub fn restore_version(&mut self, id: ItemId, version: u32) -> Result<Vec<String>, VaultError> {
        let keys = self.changed_since(id, version)?;
        let item = self.with_earlier(id, &keys, version)?;
        let mut secrets = Vec::new();
        for key in keys.iter().filter(|key| is_secret_field(key)) {
            let earlier = self.earlier(id, key, version)?;
            secrets.push((visible_name(key).to_owned(), earlier));
        }
        self.put(item)?;
        for (field, earlier) in secrets {
            match earlier {
                Earlier::Stored(secret) => self.set_field_secret(id, &field, secret)?,
                Earlier::Sealed(revision, devices) => {
                    self.point_to_sealed(id, &field, revision, devices)?;
                }
                _ => self.clear_secret(id, &field)?,
            }
        }
        Ok(keys
            .iter()
            .map(|key| visible_name(key).to_owned())
            .collect())
    }

    /// What an item would be as it was in an earlier version, but for its secrets.
    ///
    /// # Errors
    /// There is no such item or version, or it is not kept any more.
    pub fn as_in_version(&self, id: ItemId, version: u32) -> Result<Item, VaultError> {
        let keys = self.changed_since(id, version)?;
        self.with_earlier(id, &keys, version)
    }

    fn with_earlier(
        &self,
        id: ItemId,
        keys: &BTreeSet<String>,
        version: u32,
    ) -> Result<Item, VaultError> {
        let mut item = self.item(id).cloned().ok_or(VaultError::NotFound)?;
        for key in keys.iter().filter(|key| !is_secret_field(key)) {
            let text = match self.earlier(id, key, version)? {
                Earlier::Plain(text) => Some(text),
                _ => None,
            };
            item.take(key, text).ok_or(VaultError::NotKept)?;
        }
        Ok(item)
    }

    fn changed_since(&self, id: ItemId, version: u32) -> Result<BTreeSet<String>, VaultError> {
        let told = self.told_of(id)?;
        let saved = Saved::of(&self.state_of(&told)?);
        if version == saved.version {
            return Err(VaultError::NoVersion(version));
        }
        let since = saved.since(version)?;
        let keys = since.filter_map(|number| saved.changed.get(&number));
        let keys = keys.flatten().filter(|key| *key != "trashed");
        Ok(keys.cloned().collect())
    }

    /// Takes what is kept of an item's earlier versions out of the file at the next save, which keeps none of what it replaces
    /// either. Backups and other copies still have it.
    ///
    /// # Errors
    /// There is no such item, or this user may not write.
    pub fn forget_old(&mut self, id: ItemId) -> Result<(), VaultError> {
        let environment = self.environment_of(id)?;
        let pending = &mut self.writable(environment)?.pending;
        pending.items.entry(id).or_default().forget_old = true;
        Ok(())
    }

    /// What a save adds to the pending changes of each environment.
    pub(crate) fn additions(&self, now: UnixMillis) -> Result<Additions, VaultError> {
        let changed = self.opened.environments.values();
        let changed = changed.filter(|environment| !environment.pending.is_empty());
        changed
            .map(|environment| {
                let (kept, forgets) = self.keep_earlier(environment, now)?;
                let unsealed = self.unsealed(environment, &kept)?;
                let addition = Addition {
                    kept,
                    forgets,
                    unsealed,
                };
                Ok((environment.id, addition))
            })
            .collect()
    }

    fn keep_earlier(
        &self,
        environment: &OpenEnvironment,
        now: UnixMillis,
    ) -> Result<(Kept, BTreeSet<String>), VaultError> {
        let (mut kept, mut forgets) = (Kept::new(), BTreeSet::new());
        let container = &self.locked.container;
        let ids = environment.pending.items.keys();
        let places = ids.flat_map(|id| environment.state.places(*id));
        let told = environment.told(container, places.collect())?;
        let states = items_of(&told, container.history());
        for (id, pending) in &environment.pending.items {
            let state = states.get(id);
            let Some(state) = state.filter(|state| state.is_there() && !pending.removed) else {
                continue;
            };
            let saved = Saved::of(state);
            let mut fields = BTreeMap::new();
            self.next_version(pending, state, &saved, now, &mut fields)?;
            let next = saved.version + u32::from(!fields.is_empty());
            for key in saved.fields.keys() {
                let Some((number, of)) = kept_of(key) else {
                    continue;
                };
                // Who made the present version is known as long as it is the present one.
                if of.is_none() && number == next {
                    continue;
                }
                let is_over = number.saturating_add(MAX_VERSIONS) < next;
                if (is_over || pending.forget_old) && !fields.contains_key(*key) {
                    fields.insert((*key).to_owned(), None);
                    if is_secret_field(key) {
                        let of_it = told.iter().filter(|told| told.item() == *id);
                        forgets.extend(parts_with_secret(of_it, key));
                    }
                }
            }
            if !fields.is_empty() {
                kept.insert(*id, fields);
            }
        }
        Ok((kept, forgets))
    }

    fn next_version(
        &self,
        pending: &PendingItem,
        state: &ItemState<'_>,
        saved: &Saved<'_>,
        now: UnixMillis,
        fields: &mut BTreeMap<String, Option<Value>>,
    ) -> Result<(), VaultError> {
        let changed = changed_by(pending, saved);
        if changed.is_empty() {
            return Ok(());
        }
        let (before, next) = (saved.version, saved.version.saturating_add(1));
        let present = made(next, now, Some(self.user())).into_iter();
        fields.extend(present.map(|(key, said)| (key, text(said))));
        if pending.forget_old {
            return Ok(());
        }
        if before == 1 && saved.made(1).is_none() {
            let (at, by) = self.made(state);
            let [_, (key, said)] = made(1, at.unwrap_or(now), by);
            fields.insert(key, text(said));
        }
        for key in changed {
            match saved.text(key) {
                Some(was) if is_secret_field(key) => {
                    keep_secret(state, (key, &was), saved, fields)?;
                }
                was => drop(fields.insert(old_key(before, key), text(was.unwrap_or_default()))),
            }
        }
        Ok(())
    }

    /// The sealed values in the file that a save leaves no field for.
    ///
    /// # Errors
    /// The saved state cannot be read any more.
    fn unsealed(
        &self,
        environment: &OpenEnvironment,
        kept: &Kept,
    ) -> Result<Vec<MemberName>, VaultError> {
        let changed = &environment.pending.items;
        let sealed = self.locked.container.names().filter_map(|name| match name {
            MemberName::Sealed { item, revision } if changed.contains_key(&item) => {
                Some((item, revision, name))
            }
            _ => None,
        });
        let mut held: BTreeMap<ItemId, BTreeSet<Id>> = BTreeMap::new();
        let mut unsealed = Vec::new();
        for (item, revision, name) in sealed {
            let held = match held.entry(item) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.sealed_held(environment, item, kept)?),
            };
            if !held.contains(&revision) {
                unsealed.push(name);
            }
        }
        Ok(unsealed)
    }

    // The sealed values that fields of an item point to, once its changes are saved.
    fn sealed_held(
        &self,
        environment: &OpenEnvironment,
        id: ItemId,
        kept: &Kept,
    ) -> Result<BTreeSet<Id>, VaultError> {
        let pending = environment.pending.items.get(&id);
        let fields = pending.into_iter().map(|pending| &pending.fields);
        let new: BTreeMap<_, _> = fields.chain(kept.get(&id)).flatten().collect();
        let revision = |said: &str| match item::secret(said) {
            Some(Secret::Sealed(revision)) => Some(revision),
            _ => None,
        };
        let is_secret = |(key, _): &(&&String, _)| is_secret_field(key);
        // EXPOSE: where secrets are; stored ones are passed over.
        let of_new = new
            .iter()
            .filter(is_secret)
            .filter_map(|(_, value)| revision(value.as_ref()?.expose()));
        let container = &self.locked.container;
        let told = environment.told(container, environment.state.secret_places(id))?;
        let state = ItemState::of(&told, container.history());
        let state = state.filter(|_| pending.is_none_or(|pending| !pending.removed));
        let left = state.iter().flat_map(ItemState::secrets);
        let left = left.filter(|(key, _)| !new.contains_key(&(*key).to_owned()));
        Ok(of_new
            .chain(left.filter_map(|(_, said)| revision(&said.to_text())))
            .collect())
    }
}

// What a secret field was goes on in a field of its own.
fn keep_secret(
    state: &ItemState<'_>,
    (key, was): (&str, &str),
    saved: &Saved<'_>,
    fields: &mut BTreeMap<String, Option<Value>>,
) -> Result<(), VaultError> {
    let old = old_key(saved.version, key);
    let kept = match item::secret(was) {
        Some(Secret::Stored(_)) => {
            let secret = stored_in(state, key).ok_or_else(|| crypt::content("s/"))?;
            // EXPOSE: from the part that it stands in to the one that is written.
            Some(item::stored(secret.expose()))
        }
        Some(Secret::Sealed(revision)) => {
            let sealed_to = item::sealed_to_key(visible_name(key));
            let devices = saved.text(&sealed_to).and_then(text);
            fields.insert(old_key(saved.version, &sealed_to), devices);
            Some(item::sealed(revision))
        }
        Some(Secret::OnDevice(..)) => text(ON_DEVICE),
        None => text(""),
    };
    fields.insert(old, kept);
    Ok(())
}

// The stored secret of a field.
fn stored_in(state: &ItemState<'_>, key: &str) -> Option<ApiSecret> {
    let value = state.secret(key)?.to_value();
    // EXPOSE: to who asked for it, or keeps it.
    match item::secret(value.expose())? {
        Secret::Stored(secret) => Some(ApiSecret::new(secret.to_owned())),
        _ => None,
    }
}

// The fields of the file that a change really changes.
fn changed_by<'a>(pending: &'a PendingItem, saved: &Saved<'_>) -> Vec<&'a str> {
    let is_changed = |key: &str, value: &Option<Value>| match is_secret_field(key) {
        true => value.is_some() || saved.fields.contains_key(key),
        // EXPOSE: a field that is not secret.
        false => value.as_ref().map(Value::expose) != saved.text(key).as_deref(),
    };
    let fields = pending.fields.iter().filter(|(key, value)| {
        is_changed(key, value)
            && !key.starts_with(SEALED_TO)
            && !is_of_versions(key)
            && !pending.resealed.contains(*key)
    });
    fields.map(|(key, _)| key.as_str()).collect()
}

/// The name of a field as a person sees it.
pub(crate) fn visible_name(key: &str) -> &str {
    item::secret_name(key)
        .or_else(|| key.strip_prefix(item::CUSTOM))
        .unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_versions_are_told_from_fields() {
        for (key, kept) in [
            ("version.3", Some((3, None))),
            ("old.12.api-key", Some((12, Some("api-key")))),
            ("old.12.x.custom", Some((12, Some("x.custom")))),
            ("secret.secret.4", Some((4, Some("secret")))),
            (
                "secret.pass-phrase.4",
                Some((4, Some("secret.pass-phrase"))),
            ),
            ("secret", None),
            ("secret.passphrase", None),
            ("secret.4", None),
            ("x.version", None),
            ("old.x", None),
        ] {
            let kept = kept.map(|(number, key)| (number, key.map(str::to_owned)));
            assert_eq!(kept_of(key), kept, "{key}");
        }
        assert_eq!(old_key(4, SECRET_FIELD), "secret.secret.4");
        assert_eq!(old_key(4, "secret.4"), "secret.4.4");
        assert_eq!(old_key(4, "x.a"), "old.4.x.a");
    }
}
