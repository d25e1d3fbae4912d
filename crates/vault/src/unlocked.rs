//! An unlocked vault: items, secrets and settings, and what was changed since the last save.

mod secrets;
mod shown;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::OnceLock,
};

use touchkeep_container::{
    SECRET_FIELD, Value, is_secret_field, op,
    state::{ItemState, Place, Told},
};
use touchkeep_core::{DeviceId, EnvironmentId, Id, ItemId, UserId, VaultId};
use zeroize::Zeroizing;

use self::shown::Shown;
use crate::{
    create::{environment_name, user_name},
    crypt::{self, LockedIdentity},
    enrolled::EnrolledDevice,
    error::VaultError,
    item::{self, Item, MAX_EXTRA_FIELDS, MAX_FIELD_BYTES, MAX_TAGS, SecretPlace},
    locked::Locked,
    opened::{OpenEnvironment, Opened},
    pins::ReadOnly,
};

/// A vault that is open until it is locked or dropped. Changes are in memory until [`Unlocked::save`].
pub struct Unlocked {
    pub(crate) locked: Locked,
    pub(crate) opened: Opened,
    // As it is now: the saved state and what changed since. Put together when somebody looks.
    shown: OnceLock<Shown>,
    settings: BTreeMap<String, Value>,
}

impl Unlocked {
    pub(crate) fn of(locked: Locked, opened: Opened) -> Self {
        let mut unlocked = Self {
            locked,
            opened,
            shown: OnceLock::new(),
            settings: BTreeMap::new(),
        };
        unlocked.show_saved();
        unlocked
    }

    // The lines of one item, and no others, are decrypted.
    fn told(
        &self,
        environment: &OpenEnvironment,
        places: Vec<Place>,
    ) -> Result<Vec<Told>, VaultError> {
        environment.told(&self.locked.container, places)
    }

    /// The vault's id.
    #[must_use]
    pub const fn id(&self) -> VaultId {
        self.locked.id
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.locked.path
    }

    /// Whether its genesis says that it is for trying out.
    #[must_use]
    pub fn is_practice(&self) -> bool {
        self.locked.is_practice()
    }

    /// Why it can be read but not changed, where that is so.
    #[must_use]
    pub const fn read_only(&self) -> Option<ReadOnly> {
        self.locked.read_only
    }

    /// The devices that the membership chain names.
    #[must_use]
    pub fn devices(&self) -> &[EnrolledDevice] {
        &self.locked.devices
    }

    /// The vault without its keys: what it also is while it is locked.
    #[must_use]
    pub const fn as_locked(&self) -> &Locked {
        &self.locked
    }

    /// Who unlocked it.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.opened.user
    }

    /// The display name of who unlocked it.
    #[must_use]
    pub fn user_name(&self) -> &str {
        self.setting(&user_name(self.opened.user))
            .unwrap_or_default()
    }

    /// The display name of a member; his id where he has none.
    #[must_use]
    pub fn name_of(&self, user: UserId) -> String {
        let name = self.setting(&user_name(user));
        name.map_or_else(|| user.to_string(), str::to_owned)
    }

    /// The environments that this user can read: the main one first, the others by id.
    #[must_use]
    pub fn environments(&self) -> Vec<EnvironmentId> {
        let main = self.main();
        let mut ids: Vec<_> = self.opened.environments.keys().copied().collect();
        ids.sort_by_key(|id| (*id != main, *id));
        ids
    }

    /// The environment that new items come into where none is named: the vault's first, or the first that this user can read.
    #[must_use]
    pub fn environment(&self) -> EnvironmentId {
        let main = self.main();
        let ids = &self.opened.environments;
        match ids.first_key_value() {
            Some((first, _)) if !ids.contains_key(&main) => *first,
            _ => main,
        }
    }

    // What is the whole vault's is kept in the environment that was stated first.
    pub(crate) fn main(&self) -> EnvironmentId {
        let stated = self.locked.container.membership().first_environment;
        let first = self.opened.environments.keys().next();
        stated
            .or(first.copied())
            .unwrap_or(EnvironmentId(Id::from_bytes([0; 16])))
    }

    /// The display name of an environment.
    #[must_use]
    pub fn environment_name(&self, environment: EnvironmentId) -> String {
        let name = environment_name(environment);
        if let Some(text) = self.setting(&name) {
            return text.to_owned();
        }
        let history = self.locked.container.history();
        let own = self.opened.environments.get(&environment);
        let settings = own.map_or_else(Vec::new, |own| own.state.settings(history));
        let found = settings.into_iter().find(|(known, _)| *known == name);
        // EXPOSE: a name.
        found.map_or_else(String::new, |(_, text)| text.to_value().expose().to_owned())
    }

    /// All items, by id.
    #[must_use]
    pub fn items(&self) -> Vec<&Item> {
        self.shown().items.values().collect()
    }

    /// One item.
    #[must_use]
    pub fn item(&self, id: ItemId) -> Option<&Item> {
        self.shown().items.get(&id)
    }

    /// The item of a name.
    ///
    /// # Errors
    /// None has it, or more than one.
    pub fn find(&self, name: &str) -> Result<Item, VaultError> {
        let mut found: Vec<Item> = match self.shown.get() {
            Some(shown) => shown
                .items
                .values()
                .filter(|i| i.name == name)
                .cloned()
                .collect(),
            None => self.named(name)?,
        };
        // What is in the trash does not stand in the way of what is not.
        if found.iter().any(|item| item.trashed.is_none()) {
            found.retain(|item| item.trashed.is_none());
        }
        match (found.pop(), &found[..]) {
            (None, _) => Err(VaultError::NotFound),
            (Some(item), []) => Ok(item),
            (Some(last), others) => {
                let ids = others.iter().map(|item| item.id);
                Err(VaultError::Ambiguous(ids.chain([last.id]).collect()))
            }
        }
    }

    // The saved items of a name, without putting all others together.
    fn named(&self, name: &str) -> Result<Vec<Item>, VaultError> {
        let environments = self.opened.environments.values();
        let maybe = environments.flat_map(|environment| environment.state.maybe_named(name));
        let maybe: BTreeSet<ItemId> = maybe.collect();
        let mut found = Vec::new();
        for id in maybe {
            found.extend(self.saved_item(id)?.filter(|item| item.name == name));
        }
        Ok(found)
    }

    // What stands in two environments is shown as the later one has it.
    fn saved_item(&self, id: ItemId) -> Result<Option<Item>, VaultError> {
        let history = self.locked.container.history();
        for environment in self.opened.environments.values().rev() {
            let told = self.told(environment, environment.state.places(id))?;
            let state = ItemState::of(&told, history).filter(ItemState::is_there);
            let item = state.and_then(|state| self.read_item(environment.id, id, &state));
            if item.is_some() {
                return Ok(item);
            }
        }
        Ok(None)
    }

    /// Items of which a secret was given twice by writers that did not know of each other. The later one is used until somebody
    /// sets it again.
    #[must_use]
    pub fn conflicts(&self) -> Vec<ItemId> {
        let shown = self.shown();
        let ids = shown
            .in_conflict
            .iter()
            .filter(|id| shown.items.contains_key(*id));
        ids.filter(|id| !self.conflicts_of(**id).is_empty())
            .copied()
            .collect()
    }

    /// The secret fields of an item that were given twice so. That two kept the same earlier value is no conflict.
    #[must_use]
    pub fn conflicts_of(&self, id: ItemId) -> Vec<String> {
        // Only of those is it still a question.
        if !self.shown().in_conflict.contains(&id) {
            return Vec::new();
        }
        let told = self
            .open_environment_of(id)
            .and_then(|environment| self.told(environment, environment.state.secret_places(id)));
        let Ok(told) = told else {
            return Vec::new();
        };
        let state = ItemState::of(&told, self.locked.container.history());
        let fields = state.iter().flat_map(ItemState::conflicts);
        let names = fields.filter_map(item::secret_name);
        names.map(str::to_owned).collect()
    }

    /// Items that another program wrote and this one cannot read, or must not: an address of one's own outside of practice.
    /// They stay as they are until they are removed.
    #[must_use]
    pub fn unreadable(&self) -> &[ItemId] {
        &self.shown().unreadable
    }

    /// Adds an item, or changes the fields that differ. A secret is set with [`Unlocked::set_secret`] or
    /// [`Unlocked::seal`]; here its place can become [`SecretPlace::OnDevice`] or [`SecretPlace::Missing`].
    ///
    /// # Errors
    /// An empty or unprintable name, a field that is too long, an address of one's own outside of practice, an environment that
    /// is closed to this user or another one than it is in, or a place that says that there is a secret where none was given.
    pub fn put(&mut self, item: Item) -> Result<(), VaultError> {
        self.check(&item)?;
        let before = self.item(item.id);
        let place = before.map_or(&SecretPlace::Missing, |before| &before.secret);
        let moves = *place != item.secret;
        if moves && matches!(item.secret, SecretPlace::Stored | SecretPlace::Sealed) {
            return Err(VaultError::NoSecret);
        }
        if before.is_some_and(|before| before.environment != item.environment) {
            return Err(VaultError::Invalid(
                "an item in another environment than it is in",
            ));
        }
        if before.is_some_and(|before| before.kind != item.kind) {
            return Err(VaultError::Invalid("an item of another kind than it was"));
        }
        let (new, mut old) = (item.file_fields(), BTreeMap::new());
        match before {
            Some(before) => old.extend(before.file_fields().into_iter().map(|(k, v)| (k, Some(v)))),
            // An id that was there before: what it had then must not come back.
            None => old.extend(self.once_had(item.environment, item.id)?),
        }
        let mut changed: BTreeMap<String, Option<String>> = BTreeMap::new();
        for (field, value) in &new {
            if old.get(field).is_none_or(|old| old.as_ref() != Some(value)) {
                changed.insert(field.clone(), Some(value.clone()));
            }
        }
        changed.extend(
            old.into_keys()
                .filter(|f| !new.contains_key(f))
                .map(|f| (f, None)),
        );
        let environment = self.writable(item.environment)?;
        let pending = environment.pending.items.entry(item.id).or_default();
        for (field, value) in changed {
            let value = value.map(|text| Value::new(Zeroizing::new(text)));
            pending.fields.insert(field, value);
        }
        if pending.fields.is_empty() && !pending.removed {
            environment.pending.items.remove(&item.id);
        }
        if moves {
            self.write_secret(
                item.environment,
                item.id,
                SECRET_FIELD,
                item.secret.to_value(),
            )?;
        }
        self.change_shown(|shown| drop(shown.items.insert(item.id, item)));
        Ok(())
    }

    // The fields of an item that was removed, and came back or is put anew: which, not what they were. Its secrets are emptied
    // with the removal.
    fn once_had(
        &self,
        environment: EnvironmentId,
        id: ItemId,
    ) -> Result<Vec<(String, Option<String>)>, VaultError> {
        let told = match self.opened.environments.get(&environment) {
            Some(environment) => self.told(environment, environment.state.places(id))?,
            None => Vec::new(),
        };
        let state = ItemState::of(&told, self.locked.container.history());
        let fields = state.iter().flat_map(|state| state.fields());
        let plain = fields.filter(|(name, _)| !is_secret_field(name));
        Ok(plain.map(|(name, _)| (name.to_owned(), None)).collect())
    }

    /// Whether an item could be put here, whatever its secrets are.
    ///
    /// # Errors
    /// What of it cannot be: its name, a tag, a field, an address of one's own.
    pub fn check(&self, item: &Item) -> Result<(), VaultError> {
        if item.base_url.is_some() && !self.is_practice() {
            return Err(VaultError::PracticeOnly);
        }
        if item.name.trim().is_empty() || item.name.chars().any(char::is_control) {
            return Err(VaultError::Invalid("an item without a printable name"));
        }
        if item.fields.len() > MAX_EXTRA_FIELDS || item.tags.len() > MAX_TAGS {
            return Err(VaultError::Invalid("an item with that many fields or tags"));
        }
        let is_word = |tag: &String| {
            !tag.is_empty()
                && tag.len() <= 64
                && !tag.chars().any(|c| c.is_whitespace() || c.is_control())
        };
        if !item.tags.iter().all(is_word) {
            return Err(VaultError::Invalid("a tag that is not one word"));
        }
        let mut names = item.fields.keys();
        if !names.all(|name| Item::may_be_called(name) && !item.secrets.contains_key(name)) {
            return Err(VaultError::Invalid("a field of that name"));
        }
        let fields = item.file_fields();
        if fields.values().any(|value| value.len() > MAX_FIELD_BYTES) {
            return Err(VaultError::Invalid("a field that long"));
        }
        Ok(())
    }

    // An environment that this user may write in.
    pub(crate) fn writable(
        &mut self,
        id: EnvironmentId,
    ) -> Result<&mut OpenEnvironment, VaultError> {
        if !self.may_write() {
            return Err(VaultError::NotAllowed);
        }
        let environment = self.opened.environments.get_mut(&id);
        environment
            .filter(|environment| environment.is_current)
            .ok_or(VaultError::NotAllowed)
    }

    /// Whether this user's role lets him change items.
    #[must_use]
    pub fn may_write(&self) -> bool {
        let role = self.locked.container.membership().role(self.opened.user);
        role.is_some_and(|role| role.may_write())
    }

    pub(crate) fn environment_of(&self, id: ItemId) -> Result<EnvironmentId, VaultError> {
        let environment = match self.shown.get() {
            Some(shown) => shown.items.get(&id).map(|item| item.environment),
            None => self.saved_item(id)?.map(|item| item.environment),
        };
        environment.ok_or(VaultError::NotFound)
    }

    /// Removes an item. Its secret leaves the file at the next save; backups and other copies still have it.
    ///
    /// # Errors
    /// There is no such item, or this user may not.
    pub fn remove(&mut self, id: ItemId) -> Result<(), VaultError> {
        let environment = match self.item(id) {
            Some(item) => item.environment,
            None if self.unreadable().contains(&id) => self.environment_knowing(id)?,
            None => return Err(VaultError::NotFound),
        };
        self.writable(environment)?;
        let secrets = self.secret_fields(environment, id)?;
        for field in &secrets {
            self.forget_secret(environment, id, field)?;
        }
        self.change_shown(|shown| {
            shown.items.remove(&id);
            shown.unreadable.retain(|unreadable| *unreadable != id);
        });
        let pending = &mut self.writable(environment)?.pending;
        pending.sealed.retain(|(item, _), _| *item != id);
        let item = pending.items.entry(id).or_default();
        item.fields.clear();
        item.emptied.extend(secrets);
        item.removed = true;
        Ok(())
    }

    fn environment_knowing(&self, id: ItemId) -> Result<EnvironmentId, VaultError> {
        let mut environments = self.opened.environments.values();
        environments
            .find(|environment| environment.state.knows(id))
            .map(|environment| environment.id)
            .ok_or(VaultError::NotFound)
    }

    /// The environment that an item is in, opened.
    pub(crate) fn open_environment_of(&self, id: ItemId) -> Result<&OpenEnvironment, VaultError> {
        let environment = self.environment_of(id)?;
        let environment = self.opened.environments.get(&environment);
        environment.ok_or(VaultError::NotFound)
    }

    /// A setting.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        // EXPOSE: a setting; no secret is kept in one.
        self.settings.get(name).map(Value::expose)
    }

    /// Sets a setting; an empty text removes it. What is the whole vault's is kept in the first environment.
    ///
    /// # Errors
    /// The name is not `[a-z0-9._-]+`, the text is too long, or this user may not write there.
    pub fn set_setting(&mut self, name: &str, text: &str) -> Result<(), VaultError> {
        if !op::is_key(name) {
            return Err(VaultError::Invalid("a setting of that name"));
        }
        if text.len() > op::MAX_VALUE_BYTES {
            return Err(VaultError::Invalid("a setting that long"));
        }
        let main = self.main();
        let value = Some(text).filter(|text| !text.is_empty());
        let value = value.map(|text| Value::new(Zeroizing::new(text.to_owned())));
        let pending = &mut self.writable(main)?.pending;
        pending.settings.insert(name.into(), value.clone());
        match value {
            Some(value) => drop(self.settings.insert(name.into(), value)),
            None => drop(self.settings.remove(name)),
        }
        Ok(())
    }

    /// Whether anything was changed since the last save.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        let mut environments = self.opened.environments.values();
        environments.any(|environment| !environment.pending.is_empty())
    }

    /// The public half of what signs this user's commits.
    #[must_use]
    pub const fn author_public_key(&self) -> [u8; 32] {
        self.opened.bundle.author_public_key()
    }

    /// Signs with the user's author key (Ed25519). The message says what it is: this key also signs commits.
    #[must_use]
    pub fn author_sign(&self, message: &[u8]) -> Vec<u8> {
        self.opened.bundle.sign(message)
    }

    /// To whom audit rows are encrypted: the first recipient of the environment. It needs no unlocked vault.
    #[must_use]
    pub fn audit_recipient(&self) -> String {
        let first = self.audit_key().map(LockedIdentity::recipient);
        first.unwrap_or_default().to_owned()
    }

    /// What opens audit rows, for a moment.
    ///
    /// # Errors
    /// Never for a vault that is open.
    pub fn audit_identity(&self) -> Result<Box<age::x25519::Identity>, VaultError> {
        let identity = self.audit_key().and_then(LockedIdentity::unlocked);
        identity.ok_or_else(|| crypt::content("k/"))
    }

    // A log outlives epochs, so it is of the first.
    fn audit_key(&self) -> Option<&LockedIdentity> {
        let environment = self.opened.environments.get(&self.environment())?;
        environment.identities.first()
    }

    /// Locks: all keys and values are dropped and wiped. What was not saved is lost.
    #[must_use]
    pub fn lock(self) -> Locked {
        self.locked
    }

    /// The devices of whoever unlocked it that are in use.
    pub fn own_devices(&self) -> impl Iterator<Item = &EnrolledDevice> {
        let user = self.opened.user;
        self.devices()
            .iter()
            .filter(move |device| device.user == user && !device.retired)
    }

    /// A device by its id.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&EnrolledDevice> {
        self.devices().iter().find(|device| device.id == id)
    }
}
