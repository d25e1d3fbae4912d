//! An unlocked vault: items, secrets and settings in memory, and what was changed since the last save.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use touchkeep_container::{Edit, MemberName, SECRET_FIELD, State, Value, op};
use touchkeep_core::{ApiSecret, EnvironmentId, Id, ItemId, UserId, VaultId};
use touchkeep_device::{Auth, Device, Purpose, TouchPolicy, stanza};
use zeroize::Zeroizing;

use crate::{
    create::{environment_name, user_name},
    crypt::{self, Bundle, Sealed},
    enrolled::EnrolledDevice,
    error::VaultError,
    item::{self, Item, MAX_FIELD_BYTES, Secret, SecretPlace},
    locked::Locked,
};

/// What a device opened.
pub(crate) struct Opened {
    pub(crate) user: UserId,
    pub(crate) bundle: Bundle,
    pub(crate) environment: EnvironmentId,
    pub(crate) identity: age::x25519::Identity,
}

/// A vault that is open until it is locked or dropped. Changes are in memory until [`Unlocked::save`].
pub struct Unlocked {
    pub(crate) locked: Locked,
    pub(crate) opened: Opened,
    /// As saved.
    pub(crate) state: State,
    /// What changed since.
    pub(crate) pending: Pending,
    // As it is now: the saved state and what changed since.
    items: BTreeMap<ItemId, Item>,
    secrets: BTreeMap<ItemId, Value>,
    settings: BTreeMap<String, Value>,
    unreadable: Vec<ItemId>,
}

/// Changes that are not saved yet.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) edits: Vec<Edit>,
    /// Sealed values that are new.
    pub(crate) sealed: BTreeMap<ItemId, (MemberName, Vec<u8>)>,
    /// Items whose sealed values so far are to go.
    pub(crate) unsealed: BTreeSet<ItemId>,
    /// Whether a stored secret was replaced or removed, so that old segments must not keep it.
    pub(crate) forgets: bool,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }
}

impl Unlocked {
    pub(crate) fn of(locked: Locked, opened: Opened, state: State) -> Result<Self, VaultError> {
        let mut unlocked = Self {
            locked,
            opened,
            state,
            pending: Pending::default(),
            items: BTreeMap::new(),
            secrets: BTreeMap::new(),
            settings: BTreeMap::new(),
            unreadable: Vec::new(),
        };
        unlocked.show_saved();
        Ok(unlocked)
    }

    /// Makes the view that of the saved state.
    pub(crate) fn show_saved(&mut self) {
        self.items.clear();
        self.secrets.clear();
        self.unreadable.clear();
        for id in self.state.items() {
            // Whoever may write may write any field: what a real vault cannot have is not read back either.
            let is_allowed = |item: &Item| item.base_url.is_none() || self.locked.is_practice();
            match Item::read(id, &self.state).filter(is_allowed) {
                Some(item) => drop(self.items.insert(id, item)),
                None => self.unreadable.push(id),
            }
            let mut fields = self.state.fields(id);
            if let Some((_, value)) = fields.find(|(field, _)| *field == SECRET_FIELD) {
                self.secrets.insert(id, value.clone());
            }
        }
        let settings = self.state.settings();
        self.settings = settings
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect();
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

    /// Whether it can be read but not changed.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.locked.is_read_only
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

    /// The environment that is open.
    #[must_use]
    pub const fn environment(&self) -> EnvironmentId {
        self.opened.environment
    }

    /// The display name of the environment.
    #[must_use]
    pub fn environment_name(&self) -> &str {
        let name = environment_name(self.opened.environment);
        self.setting(&name).unwrap_or_default()
    }

    /// All items, by id.
    #[must_use]
    pub fn items(&self) -> Vec<&Item> {
        self.items.values().collect()
    }

    /// One item.
    #[must_use]
    pub fn item(&self, id: ItemId) -> Option<&Item> {
        self.items.get(&id)
    }

    /// The item of a name.
    ///
    /// # Errors
    /// None has it, or more than one.
    pub fn find(&self, name: &str) -> Result<&Item, VaultError> {
        let found: Vec<&Item> = self.items.values().filter(|i| i.name == name).collect();
        match *found {
            [] => Err(VaultError::NotFound),
            [item] => Ok(item),
            _ => Err(VaultError::Ambiguous(found.iter().map(|i| i.id).collect())),
        }
    }

    /// Items whose secret was given twice by writers that did not know of each other. The later one is used until somebody
    /// sets it again.
    #[must_use]
    pub fn conflicts(&self) -> Vec<ItemId> {
        let items = self.items.keys().copied();
        items.filter(|id| self.state.is_in_conflict(*id)).collect()
    }

    /// Items that another program wrote and this one cannot read, or must not: an address of one's own outside of practice.
    /// They stay as they are until they are removed.
    #[must_use]
    pub fn unreadable(&self) -> &[ItemId] {
        &self.unreadable
    }

    /// Adds an item, or changes the fields that differ. A secret is set with [`Unlocked::set_secret`] or
    /// [`Unlocked::seal`]; here its place can become [`SecretPlace::OnDevice`] or [`SecretPlace::Missing`].
    ///
    /// # Errors
    /// An empty or unprintable name, a field that is too long, an address of one's own outside of practice, or a place that
    /// says that there is a secret where none was given.
    pub fn put(&mut self, item: Item) -> Result<(), VaultError> {
        self.check(&item)?;
        let before = self.items.get(&item.id);
        let place = before.map_or(&SecretPlace::Missing, |before| &before.secret);
        let moves = *place != item.secret;
        if moves && matches!(item.secret, SecretPlace::Stored | SecretPlace::Sealed) {
            return Err(VaultError::NoSecret);
        }
        let old = before.map(Item::fields);
        // An id that was there before: what it had then must not come back.
        let was_there = self.state.fields(item.id).next().is_some();
        for (at, (field, value)) in item.fields().into_iter().enumerate() {
            let known = old.as_ref().and_then(|old| old.get(at));
            let is_changed = known.map(|(_, known)| known) != Some(&value);
            if is_changed && (known.is_some() || value.is_some() || was_there) {
                self.pending.edits.push(Edit::Put {
                    item: item.id,
                    field: field.into(),
                    value: value.map(|text| Value::new(Zeroizing::new(text))),
                });
            }
        }
        if moves {
            self.write_secret(item.id, item.secret.to_value());
        }
        self.items.insert(item.id, item);
        Ok(())
    }

    fn check(&self, item: &Item) -> Result<(), VaultError> {
        if item.base_url.is_some() && !self.is_practice() {
            return Err(VaultError::PracticeOnly);
        }
        if item.name.trim().is_empty() || item.name.chars().any(char::is_control) {
            return Err(VaultError::Invalid("an item without a printable name"));
        }
        let mut fields = item.fields().into_iter().filter_map(|(_, value)| value);
        if fields.any(|value| value.len() > MAX_FIELD_BYTES) {
            return Err(VaultError::Invalid("a field that long"));
        }
        Ok(())
    }

    /// Removes an item. Its secret leaves the file at the next save; backups and other copies still have it.
    ///
    /// # Errors
    /// There is no such item.
    pub fn remove(&mut self, id: ItemId) -> Result<(), VaultError> {
        if self.items.remove(&id).is_none() && !self.unreadable.contains(&id) {
            return Err(VaultError::NotFound);
        }
        self.unreadable.retain(|unreadable| *unreadable != id);
        // Emptied as well: should the item come back, its secret must not.
        self.write_secret(id, None);
        self.pending.edits.push(Edit::Remove(id));
        Ok(())
    }

    /// Stores an item's secret inside the environment's ciphertext.
    ///
    /// # Errors
    /// There is no such item, or the secret is empty or too long.
    pub fn set_secret(&mut self, id: ItemId, secret: ApiSecret) -> Result<(), VaultError> {
        // EXPOSE: into the value that is saved.
        let value = item::stored(checked(&secret)?);
        let item = self.items.get_mut(&id).ok_or(VaultError::NotFound)?;
        item.secret = SecretPlace::Stored;
        self.write_secret(id, Some(value));
        Ok(())
    }

    /// An item's stored secret.
    ///
    /// # Errors
    /// There is no such item, or its secret is not stored.
    pub fn secret(&self, id: ItemId) -> Result<ApiSecret, VaultError> {
        self.items.get(&id).ok_or(VaultError::NotFound)?;
        match self.secrets.get(&id).and_then(item::secret) {
            Some(Secret::Stored(secret)) => Ok(ApiSecret::new(secret.to_owned())),
            _ => Err(VaultError::NoSecret),
        }
    }

    /// Encrypts an item's secret straight to the devices that seal: nothing that unlocking opens can read it.
    ///
    /// # Errors
    /// There is no such item, no device with a seal key, or the secret is empty or too long.
    pub fn seal(&mut self, id: ItemId, secret: ApiSecret) -> Result<(), VaultError> {
        self.items.get(&id).ok_or(VaultError::NotFound)?;
        let recipients = self.seal_recipients()?;
        let recipients = recipients.iter().map(|to| to as &dyn age::Recipient);
        // EXPOSE: to the age file that seals it.
        let file = crypt::encrypt(recipients, checked(&secret)?.as_bytes())?;
        let revision = Id::random();
        let name = MemberName::Sealed { item: id, revision };
        self.write_secret(id, Some(item::sealed(revision)));
        self.pending.sealed.insert(id, (name, file));
        if let Some(item) = self.items.get_mut(&id) {
            item.secret = SecretPlace::Sealed;
        }
        Ok(())
    }

    /// Opens a sealed secret with one use of a device's seal key.
    ///
    /// # Errors
    /// There is no such item, its secret is not sealed, or the device is none of the vault's or did not.
    pub fn open_sealed(
        &self,
        id: ItemId,
        device: &mut dyn Device,
        auth: Auth<'_>,
    ) -> Result<ApiSecret, VaultError> {
        self.items.get(&id).ok_or(VaultError::NotFound)?;
        let Some(Secret::Sealed(revision)) = self.secrets.get(&id).and_then(item::secret) else {
            return Err(VaultError::NoSecret);
        };
        let name = MemberName::Sealed { item: id, revision };
        let new = self.pending.sealed.get(&id);
        let bytes = new
            .filter(|(new, _)| *new == name)
            .map(|(_, bytes)| bytes.as_slice())
            .or_else(|| self.locked.container.member(&name))
            .ok_or_else(|| crypt::content(&name.to_string()))?;
        let info = device.info();
        let mut keys = self.devices().iter();
        let key = keys
            .find_map(|enrolled| enrolled.key_on(info, Purpose::Seal))
            .ok_or(VaultError::NotEnrolled)?;
        let text = crypt::open_with_device(device, &key, auth, &name.to_string(), bytes)?;
        let text = std::str::from_utf8(&text).map_err(|_| crypt::content(&name.to_string()))?;
        Ok(ApiSecret::new(text.to_owned()))
    }

    // The seal keys that the chain names. Where one waits for a touch each time, only such keys.
    fn seal_recipients(&self) -> Result<Vec<Sealed>, VaultError> {
        let keys = || self.devices().iter().filter_map(|d| d.key(Purpose::Seal));
        let touched = keys().any(|key| key.touch == TouchPolicy::Always);
        let recipients = keys()
            .filter(|key| !touched || key.touch == TouchPolicy::Always)
            .map(|key| Ok(Sealed(stanza::recipient(key)?)))
            .collect::<Result<Vec<_>, VaultError>>()?;
        if recipients.is_empty() {
            return Err(VaultError::NoKey(Purpose::Seal));
        }
        Ok(recipients)
    }

    fn write_secret(&mut self, id: ItemId, value: Option<Value>) {
        self.forget_secret(id);
        match &value {
            Some(value) => drop(self.secrets.insert(id, value.clone())),
            None => drop(self.secrets.remove(&id)),
        }
        self.pending.edits.push(Edit::Put {
            item: id,
            field: SECRET_FIELD.into(),
            value,
        });
    }

    // What an item's secret was so far must not stay in the file.
    fn forget_secret(&mut self, id: ItemId) {
        self.pending.sealed.remove(&id);
        match self.secrets.get(&id).and_then(item::secret) {
            Some(Secret::Stored(_)) => self.pending.forgets = true,
            Some(Secret::Sealed(_)) => drop(self.pending.unsealed.insert(id)),
            Some(Secret::OnDevice(..)) | None => {}
        }
        // Of two in conflict only one is shown.
        if self.state.is_in_conflict(id) {
            self.pending.forgets = true;
            self.pending.unsealed.insert(id);
        }
    }

    /// A setting.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        // EXPOSE: a setting; no secret is kept in one.
        self.settings.get(name).map(Value::expose)
    }

    /// Sets a setting; an empty text removes it.
    ///
    /// # Errors
    /// The name is not `[a-z0-9._-]+`, or the text is too long.
    pub fn set_setting(&mut self, name: &str, text: &str) -> Result<(), VaultError> {
        if !op::is_key(name) {
            return Err(VaultError::Invalid("a setting of that name"));
        }
        if text.len() > op::MAX_VALUE_BYTES {
            return Err(VaultError::Invalid("a setting that long"));
        }
        let value = Some(text).filter(|text| !text.is_empty());
        let value = value.map(|text| Value::new(Zeroizing::new(text.to_owned())));
        match &value {
            Some(value) => drop(self.settings.insert(name.into(), value.clone())),
            None => drop(self.settings.remove(name)),
        }
        self.pending.edits.push(Edit::Set {
            name: name.into(),
            value,
        });
        Ok(())
    }

    /// Whether anything was changed since the last save.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The public half of what signs this user's commits.
    #[must_use]
    pub fn author_public_key(&self) -> [u8; 32] {
        // The bundle was compared with the chain, so there is one.
        self.opened.bundle.author_public_key().unwrap_or_default()
    }

    /// Signs with the user's author key (Ed25519). The message says what it is: this key also signs commits.
    #[must_use]
    pub fn author_sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.opened.bundle.author.sign(message);
        let mut bytes = [0; 64];
        for (to, from) in bytes.iter_mut().zip(signature.as_ref()) {
            *to = *from;
        }
        bytes
    }

    /// To whom audit rows are encrypted: the environment's recipient. It needs no unlocked vault.
    #[must_use]
    pub fn audit_recipient(&self) -> String {
        self.opened.identity.to_public().to_string()
    }

    /// What opens audit rows.
    #[must_use]
    pub const fn audit_identity(&self) -> &age::x25519::Identity {
        &self.opened.identity
    }

    /// Locks: all keys and values are dropped and wiped. What was not saved is lost.
    #[must_use]
    pub fn lock(self) -> Locked {
        self.locked
    }
}

fn checked(secret: &ApiSecret) -> Result<&str, VaultError> {
    // EXPOSE: to a look at its length, and to the caller.
    let text = secret.expose();
    if text.is_empty() || text.len() > MAX_FIELD_BYTES {
        return Err(VaultError::Invalid("an empty or very long secret"));
    }
    Ok(text)
}
