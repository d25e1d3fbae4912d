//! Secrets of an open vault: stored inside its ciphertext, or sealed to the devices themselves.

use std::collections::BTreeSet;

use touchkeep_container::{
    MemberName, SECRET_FIELD, Text, Value,
    state::{ItemState, parts_with_secret},
};
use touchkeep_core::{ApiSecret, DeviceId, EnvironmentId, Id, ItemId};
use touchkeep_device::{Auth, Device, Purpose};
use touchkeep_locked::on_small_wiped_stack;
use zeroize::Zeroizing;

use super::Unlocked;
use crate::{
    crypt,
    error::VaultError,
    item::{self, FurtherSecret, Item, MAX_EXTRA_FIELDS, MAX_FIELD_BYTES, Secret, SecretPlace},
    opened::OpenEnvironment,
    seal::Sealing,
};

impl Unlocked {
    // Every secret field that its saved state knows, earlier versions among them.
    pub(super) fn secret_fields(
        &self,
        environment: EnvironmentId,
        id: ItemId,
    ) -> Result<BTreeSet<String>, VaultError> {
        let told = match self.opened.environments.get(&environment) {
            Some(environment) => self.told(environment, environment.state.secret_places(id))?,
            None => Vec::new(),
        };
        let state = ItemState::of(&told, self.locked.container.history());
        let saved = state.iter().flat_map(ItemState::secrets);
        let saved = saved.map(|(name, _)| name.to_owned());
        Ok(saved.chain([SECRET_FIELD.to_owned()]).collect())
    }

    /// Stores an item's chief secret inside the environment's ciphertext.
    ///
    /// # Errors
    /// There is no such item, this user may not, or the secret is empty or too long.
    pub fn set_secret(&mut self, id: ItemId, secret: ApiSecret) -> Result<(), VaultError> {
        self.set_field_secret(id, SECRET_FIELD, secret)
    }

    /// Stores a secret field.
    ///
    /// # Errors
    /// As [`Unlocked::set_secret`]; or no secret field can have that name.
    pub fn set_field_secret(
        &mut self,
        id: ItemId,
        field: &str,
        secret: ApiSecret,
    ) -> Result<(), VaultError> {
        // EXPOSE: into the value that is saved.
        let value = item::stored(checked(&secret)?);
        let environment = self.secret_goes_into(id, field)?;
        self.write_secret(environment, id, field, Some(value))?;
        self.write_sealed_to(environment, id, field, None)?;
        self.show_secret(id, field, SecretPlace::Stored, Vec::new());
        Ok(())
    }

    /// Leaves a secret field without a secret.
    ///
    /// # Errors
    /// There is no such item, or this user may not.
    pub fn clear_secret(&mut self, id: ItemId, field: &str) -> Result<(), VaultError> {
        let environment = self.secret_goes_into(id, field)?;
        self.write_secret(environment, id, field, None)?;
        self.write_sealed_to(environment, id, field, None)?;
        self.show_secret(id, field, SecretPlace::Missing, Vec::new());
        Ok(())
    }

    // The environment of an item that may have a secret field of that name.
    fn secret_goes_into(&self, id: ItemId, field: &str) -> Result<EnvironmentId, VaultError> {
        let environment = self.environment_of(id)?;
        if field == SECRET_FIELD {
            return Ok(environment);
        }
        let item = self.item(id).ok_or(VaultError::NotFound)?;
        let is_new = !item.secrets.contains_key(field);
        if is_new && (!Item::may_be_called(field) || item.fields.contains_key(field)) {
            return Err(VaultError::Invalid("a secret field of that name"));
        }
        if is_new && item.secrets.len() >= MAX_EXTRA_FIELDS {
            return Err(VaultError::Invalid("an item with that many secret fields"));
        }
        Ok(environment)
    }

    fn show_secret(
        &mut self,
        id: ItemId,
        field: &str,
        place: SecretPlace,
        sealed_to: Vec<DeviceId>,
    ) {
        self.change_shown(|shown| {
            let Some(item) = shown.items.get_mut(&id) else {
                return;
            };
            if field == SECRET_FIELD {
                (item.secret, item.sealed_to) = (place, sealed_to);
            } else if place == SecretPlace::Missing {
                item.secrets.remove(field);
            } else {
                let secret = FurtherSecret { place, sealed_to };
                item.secrets.insert(field.to_owned(), secret);
            }
        });
    }

    // A secret field as it is now, a stored secret with it. It is decrypted for this call.
    fn secret_field(
        &self,
        environment: &OpenEnvironment,
        id: ItemId,
        key: &str,
    ) -> Result<Option<Value>, VaultError> {
        let pending = environment.pending.items.get(&id);
        if let Some(value) = pending.and_then(|item| item.fields.get(key)) {
            return Ok(value.clone());
        }
        if pending.is_some_and(|item| item.removed) {
            return Ok(None);
        }
        // What it was before is not decrypted: a key that was often replaced is as quickly read as any.
        let told = self.told(environment, environment.state.places_of_secret(id, key))?;
        let state = ItemState::of(&told, self.locked.container.history());
        let text = state.and_then(|state| state.secret(key));
        Ok(text.map(Text::to_value))
    }

    /// An item's chief secret, where it is stored. It is decrypted for this call and nowhere kept; what that leaves on the stack is
    /// wiped.
    ///
    /// # Errors
    /// There is no such item, or its secret is not stored.
    pub fn secret(&self, id: ItemId) -> Result<ApiSecret, VaultError> {
        self.field_secret(id, SECRET_FIELD)
    }

    /// A secret field, where it is stored, as [`Unlocked::secret`].
    ///
    /// # Errors
    /// There is no such item, or no such secret is stored.
    pub fn field_secret(&self, id: ItemId, field: &str) -> Result<ApiSecret, VaultError> {
        on_small_wiped_stack(|| self.stored_secret(id, field))
    }

    fn stored_secret(&self, id: ItemId, field: &str) -> Result<ApiSecret, VaultError> {
        let environment = self.open_environment_of(id)?;
        let value = self.secret_field(environment, id, &item::secret_key(field))?;
        // EXPOSE: to who asked for it.
        let text = value.as_ref().map(Value::expose);
        match text.and_then(item::secret) {
            Some(Secret::Stored(secret)) => Ok(ApiSecret::new(secret.to_owned())),
            _ => Err(VaultError::NoSecret),
        }
    }

    /// Encrypts an item's chief secret straight to the devices that seal: nothing that unlocking opens can read it.
    ///
    /// # Errors
    /// There is no such item, no device that may seal, or the secret is empty or too long.
    pub fn seal(&mut self, id: ItemId, secret: ApiSecret) -> Result<(), VaultError> {
        self.seal_field(id, SECRET_FIELD, secret)
    }

    /// Seals a secret field.
    ///
    /// # Errors
    /// As [`Unlocked::seal`]; or no secret field can have that name.
    pub fn seal_field(
        &mut self,
        id: ItemId,
        field: &str,
        secret: ApiSecret,
    ) -> Result<(), VaultError> {
        let environment = self.secret_goes_into(id, field)?;
        let sealing = self.sealing(environment)?;
        // EXPOSE: to the age file that seals it.
        let file = sealing.seal(checked(&secret)?.as_bytes())?;
        let revision = Id::random();
        let name = MemberName::Sealed { item: id, revision };
        self.write_secret(environment, id, field, Some(item::sealed(revision)))?;
        self.write_sealed_to(environment, id, field, Some(sealing.names()))?;
        let pending = &mut self.writable(environment)?.pending;
        pending.sealed.insert((id, field.to_owned()), (name, file));
        self.show_secret(id, field, SecretPlace::Sealed, sealing.devices());
        Ok(())
    }

    /// Seals a secret again that was sealed before: the same value, for devices that came later. It makes no new version.
    ///
    /// # Errors
    /// As [`Unlocked::seal_field`].
    pub fn seal_again(
        &mut self,
        id: ItemId,
        field: &str,
        secret: ApiSecret,
    ) -> Result<(), VaultError> {
        let environment = self.environment_of(id)?;
        self.seal_field(id, field, secret)?;
        let pending = &mut self.writable(environment)?.pending;
        let item = pending.items.entry(id).or_default();
        item.resealed.insert(item::secret_key(field));
        Ok(())
    }

    // Makes a secret field one that was sealed earlier.
    pub(crate) fn point_to_sealed(
        &mut self,
        id: ItemId,
        field: &str,
        revision: Id,
        names: Option<String>,
    ) -> Result<(), VaultError> {
        let environment = self.secret_goes_into(id, field)?;
        self.write_secret(environment, id, field, Some(item::sealed(revision)))?;
        let devices = names.as_deref().and_then(item::devices);
        self.write_sealed_to(environment, id, field, names)?;
        self.show_secret(id, field, SecretPlace::Sealed, devices.unwrap_or_default());
        Ok(())
    }

    /// Opens the sealed chief secret with one use of a device's seal key.
    ///
    /// # Errors
    /// There is no such item, its secret is not sealed, or the device is none of the vault's or did not.
    pub fn open_sealed(
        &self,
        id: ItemId,
        device: &mut dyn Device,
        auth: Auth<'_>,
    ) -> Result<ApiSecret, VaultError> {
        self.open_sealed_field(id, SECRET_FIELD, device, auth)
    }

    /// Opens a sealed secret field with one use of a device's seal key.
    ///
    /// # Errors
    /// As [`Unlocked::open_sealed`].
    pub fn open_sealed_field(
        &self,
        id: ItemId,
        field: &str,
        device: &mut dyn Device,
        auth: Auth<'_>,
    ) -> Result<ApiSecret, VaultError> {
        let environment = self.open_environment_of(id)?;
        let value = self.secret_field(environment, id, &item::secret_key(field))?;
        // EXPOSE: to a look at where the secret is.
        let text = value.as_ref().map(Value::expose);
        let Some(Secret::Sealed(revision)) = text.and_then(item::secret) else {
            return Err(VaultError::NoSecret);
        };
        let name = MemberName::Sealed { item: id, revision };
        let new = environment.pending.sealed.get(&(id, field.to_owned()));
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

    /// Opens the sealed chief secret and seals it again, to the devices that seal now.
    ///
    /// # Errors
    /// As [`Unlocked::open_sealed`] and [`Unlocked::seal`].
    pub fn reseal(
        &mut self,
        id: ItemId,
        device: &mut dyn Device,
        auth: Auth<'_>,
    ) -> Result<(), VaultError> {
        let secret = self.open_sealed(id, device, auth)?;
        self.seal_again(id, SECRET_FIELD, secret)
    }

    /// Sealed items that a device which seals now cannot open, because they were sealed before it was enrolled.
    ///
    /// # Errors
    /// When no device may seal.
    pub fn to_reseal(&self) -> Result<Vec<ItemId>, VaultError> {
        let mut behind = Vec::new();
        for item in self.items() {
            let mut sealed = item
                .places()
                .filter(|(_, place)| **place == SecretPlace::Sealed);
            if item
                .places()
                .any(|(_, place)| *place == SecretPlace::Sealed)
            {
                let wanted = self.sealing(item.environment)?.devices();
                let lacks = |field: &str| {
                    let has = item.sealed_to(field);
                    wanted.iter().any(|device| !has.contains(device))
                };
                if sealed.any(|(field, _)| lacks(field)) {
                    behind.push(item.id);
                }
            }
        }
        Ok(behind)
    }

    /// Sealed values that no device in use opens: item and field. `without` is a device that is to be counted as gone; then it is what
    /// would be closed because of that.
    #[must_use]
    pub fn closed(&self, without: Option<DeviceId>) -> Vec<(ItemId, String)> {
        let opens = |id: &DeviceId| {
            let mut devices = self.devices().iter();
            devices.any(|device| device.id == *id && !device.retired && Some(*id) != without)
        };
        let is_closed = |sealed_to: &[DeviceId]| {
            // Of what says nobody, nobody knows.
            !sealed_to.is_empty()
                && !sealed_to.iter().any(opens)
                && without.is_none_or(|id| sealed_to.contains(&id))
        };
        let of = |item: &Item| {
            let sealed = item
                .places()
                .filter(|(_, place)| **place == SecretPlace::Sealed);
            let closed = sealed.filter(|(field, _)| is_closed(item.sealed_to(field)));
            closed
                .map(|(field, _)| (item.id, field.to_owned()))
                .collect::<Vec<_>>()
        };
        self.items().into_iter().flat_map(of).collect()
    }

    fn sealing(&self, environment: EnvironmentId) -> Result<Sealing, VaultError> {
        let membership = self.locked.container.membership();
        let readers = membership.environments.get(&environment);
        let readers = readers.ok_or(VaultError::NotAllowed)?;
        Sealing::to(
            self.devices()
                .iter()
                .filter(|device| readers.readers.contains(&device.user)),
        )
    }

    pub(super) fn write_secret(
        &mut self,
        environment: EnvironmentId,
        id: ItemId,
        field: &str,
        value: Option<Value>,
    ) -> Result<(), VaultError> {
        let key = item::secret_key(field);
        self.writable(environment)?;
        self.forget_secret(environment, id, &key)?;
        let pending = &mut self.writable(environment)?.pending;
        pending.sealed.remove(&(id, field.to_owned()));
        let item = pending.items.entry(id).or_default();
        item.resealed.remove(&key);
        item.fields.insert(key, value);
        Ok(())
    }

    fn write_sealed_to(
        &mut self,
        environment: EnvironmentId,
        id: ItemId,
        field: &str,
        value: Option<String>,
    ) -> Result<(), VaultError> {
        let item = self.item(id);
        let known = item.is_some_and(|item| !item.sealed_to(field).is_empty());
        if value.is_none() && !known {
            return Ok(());
        }
        let pending = &mut self.writable(environment)?.pending;
        let item = pending.items.entry(id).or_default();
        let value = value.map(|text| Value::new(Zeroizing::new(text)));
        item.fields.insert(item::sealed_to_key(field), value);
        Ok(())
    }

    // What an item's secret was so far must not stay where it was: its parts go, and what is kept of it is written anew.
    pub(super) fn forget_secret(
        &mut self,
        environment: EnvironmentId,
        id: ItemId,
        key: &str,
    ) -> Result<(), VaultError> {
        let container = &self.locked.container;
        let Some(environment) = self.opened.environments.get_mut(&environment) else {
            return Ok(());
        };
        let told = environment.told(container, environment.state.secret_places(id))?;
        let parts = parts_with_secret(&told, key);
        environment.pending.forgets.extend(parts);
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use touchkeep_core::{Passphrase, UnixMillis};
    use touchkeep_locked::{SMALL_STACK_BYTES, bytes_left_by};

    use super::*;
    use crate::{AuditHead, ItemKind, Locked, NewDevice, NewVault, create};

    /// So often a secret was replaced: in more parts than one core reads alone.
    const REPLACED: usize = 24;
    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

    fn write(vault: &mut Unlocked, id: ItemId, text: &str) {
        vault.set_secret(id, ApiSecret::new(text.into())).unwrap();
        vault.save(NOW, AuditHead::empty()).unwrap();
    }

    fn add(vault: &mut Unlocked, name: &str, text: &str) -> ItemId {
        let item = Item::new(vault.environment(), ItemKind::ApiKey, name.into());
        let id = item.id;
        vault.put(item).unwrap();
        write(vault, id, text);
        id
    }

    fn leaves_little(vault: &Unlocked, id: ItemId) {
        let read = || drop(black_box(vault.stored_secret(id, SECRET_FIELD).unwrap()));
        let depth = bytes_left_by(read).unwrap();
        // It does leave something there, or this would see nothing.
        let within = 1024..SMALL_STACK_BYTES / 4 * 3;
        assert!(within.contains(&depth), "{depth}");
    }

    #[test]
    fn a_secret_takes_three_quarters_at_most_of_the_stack_that_is_wiped_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault");
        let passphrase = Passphrase::new("correct horse battery staple".into());
        let new = NewVault {
            user_name: "Ada".into(),
            environment_name: "prod".into(),
            practice: false,
            device: NewDevice::Software {
                passphrase: &passphrase,
                work_factor: 4,
            },
            now: NOW,
        };
        let mut vault = create(&path, new).unwrap();
        let long = "\"\\\n\u{e4}".repeat(MAX_FIELD_BYTES / 8);
        let ids = [("short", "s"), ("long", &long), ("replaced", "0")];
        let ids = ids.map(|(name, text)| add(&mut vault, name, text));
        for n in 0..REPLACED {
            write(&mut vault, ids[2], &n.to_string());
        }
        // What was just saved has parts whose keys nobody has looked for yet: the first reading of each finds it.
        for id in ids.into_iter().flat_map(|id| [id, id]) {
            leaves_little(&vault, id);
        }
        drop(vault);
        let locked = Locked::open(&path).unwrap();
        let device = locked.devices().first().unwrap().id;
        let mut device = locked.software_device(device).unwrap();
        let vault = locked.unlock(&mut device, Auth::Passphrase(&passphrase));
        let vault = vault.unwrap();
        for id in ids {
            leaves_little(&vault, id);
        }
        // Of what it was before nothing is read, in no thread's stack.
        let environment = vault.open_environment_of(ids[2]).unwrap();
        let [all, now] = [
            environment.state.secret_places(ids[2]),
            environment.state.places_of_secret(ids[2], SECRET_FIELD),
        ];
        assert!(
            all.len() > 8 && now.len() == 1,
            "{} {}",
            all.len(),
            now.len()
        );
    }
}
