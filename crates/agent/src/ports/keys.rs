//! The open vault's keys, and a person's hands at the devices that hold them.

mod enrolled;
mod handle;

use std::{
    future::ready,
    sync::{Arc, Weak},
};

use touchkeep_core::{ApiSecret, Code, DeviceId, ItemId, RequestId};
use touchkeep_device::{DeviceError, DeviceKind, KeyInfo, Purpose};
use touchkeep_pipeline::{
    Answering, Consent, DeviceJob, KeyError, KeyHandle, Keys, Question, Series, Signer, Turns,
};
use touchkeep_policy::Need;
use touchkeep_vault::{EnrolledDevice, Item, SecretPlace};
use touchkeep_venue::KeyClass;
use touchkeep_wire::Failure;

use self::enrolled::{is_there, sealing_device, seals_by_touch, use_of_key};
pub(crate) use self::{
    enrolled::{open_enrolled, unseal, use_of},
    handle::{PASSPHRASE, handle, request_key, request_key_setting},
};
use super::{Running, running::what_for};
use crate::{
    agent::Agent,
    consent::{challenge, consent_with},
    devices::{Devices, Failed, Opened, Place, Use, blocking},
    failure,
    vault::{Current, Open},
};

const SECRET: &str = touchkeep_vault::SECRET_FIELD;

pub(super) struct VaultKeys {
    current: Weak<Current>,
    agent: Weak<Agent>,
    devices: Arc<Devices>,
    running: Arc<Running>,
}

impl VaultKeys {
    pub(super) fn new(agent: &Arc<Agent>, current: &Arc<Current>) -> Self {
        Self {
            current: Arc::downgrade(current),
            agent: Arc::downgrade(agent),
            devices: Arc::clone(agent.devices()),
            running: Arc::clone(agent.running()),
        }
    }

    fn vault(&self) -> Result<(Arc<Current>, Arc<Open>), KeyError> {
        let current = self.current.upgrade().ok_or(KeyError::Locked)?;
        let open = current.peek().ok_or(KeyError::Locked)?;
        Ok((current, open))
    }

    fn item(&self, id: ItemId) -> Result<Item, KeyError> {
        let (_, open) = self.vault()?;
        let item = open.read().item(id).cloned();
        item.ok_or(KeyError::Damaged)
    }

    fn sealing_device(&self, item: ItemId, field: &str) -> Result<EnrolledDevice, KeyError> {
        let (current, open) = self.vault()?;
        let device = sealing_device(&current, &open, (item, field));
        device.ok_or(KeyError::Device(DeviceError::Closed))
    }

    fn can_be_had(&self, key: &KeyHandle) -> Result<(), KeyError> {
        let is_sealed = {
            let (_, open) = self.vault()?;
            let vault = open.read();
            let item = vault.item(key.item);
            item.is_some_and(|item| item.secret == SecretPlace::Sealed)
        };
        match is_sealed {
            true => self.sealing_device(key.item, SECRET).map(drop),
            false => Ok(()),
        }
    }

    fn device(&self, id: DeviceId) -> Result<EnrolledDevice, KeyError> {
        let (current, _) = self.vault()?;
        let devices = current.devices();
        let found = devices.iter().find(|device| device.id == id);
        found.cloned().ok_or(KeyError::Damaged)
    }

    // How to open an enrolled device, on the thread that will use it.
    fn opener(
        &self,
        device: &EnrolledDevice,
    ) -> Result<impl FnOnce() -> Result<Opened, Failed> + Send + 'static, KeyError> {
        let (_, open) = self.vault()?;
        let modules = self.agent.upgrade().map(|agent| agent.modules());
        let device = device.clone();
        Ok(move || open_enrolled(&device, &open, &modules.unwrap_or_default()))
    }

    // A secret for which nobody is to be asked, or that there is none; nothing where it is sealed.
    fn at_hand(&self, key: &KeyHandle, field: &str) -> Option<Result<ApiSecret, KeyError>> {
        let (_, open) = match self.vault() {
            Ok(vault) => vault,
            Err(locked) => return Some(Err(locked)),
        };
        let vault = open.read();
        let Some(item) = vault.item(key.item) else {
            return Some(Err(KeyError::Damaged));
        };
        match item.place(field) {
            // It is decrypted for this use.
            Some(SecretPlace::Stored) => {
                let secret = vault.field_secret(key.item, field);
                Some(secret.map_err(|_| KeyError::Damaged))
            }
            Some(SecretPlace::Sealed) => None,
            Some(SecretPlace::Missing | SecretPlace::OnDevice { .. }) | None => {
                Some(Err(KeyError::NoSecret(key.name.clone())))
            }
        }
    }

    // Gets the secret of a sealed item, with whatever its device asks for.
    async fn unsealed(
        &self,
        item: ItemId,
        field: &'static str,
        why: String,
        fresh: bool,
    ) -> Result<ApiSecret, KeyError> {
        let (_, open) = self.vault()?;
        let device = self.sealing_device(item, field)?;
        let what = Use {
            fresh,
            ..use_of(&device, Purpose::Seal, why)
        };
        let opener = self.opener(&device)?;
        let opened = self.devices.with(what, opener, move |device, auth| {
            open.read()
                .open_sealed_field(item, field, device.device(), auth)
                .map_err(failure::vault_or_device)
        });
        opened.await.map_err(key_error)
    }

    async fn ready(&self, device: &EnrolledDevice, why: String) -> Result<(), KeyError> {
        if device.kind == DeviceKind::Software {
            return Ok(());
        }
        let opener = self.opener(device)?;
        let what = use_of(device, Purpose::Seal, why);
        self.devices
            .make_ready(what, opener)
            .await
            .map_err(key_error)
    }

    // How to open the device of a request key, which must hold that key as the vault says it.
    fn opener_for(
        &self,
        device: &EnrolledDevice,
        key: &KeyInfo,
    ) -> Result<impl FnOnce() -> Result<Opened, Failed> + Send + 'static, KeyError> {
        let (opener, key) = (self.opener(device)?, key.clone());
        Ok(move || {
            let mut opened = opener()?;
            is_there(&mut opened, &key)?;
            Ok(opened)
        })
    }
}

impl Keys for VaultKeys {
    fn key_for(&self, venue: &str, key_set: &str, class: KeyClass) -> Result<KeyHandle, KeyError> {
        let (current, open) = self.vault()?;
        let vault = open.read();
        let of_class = |class| {
            let items = vault.items();
            let mut fitting = items.into_iter().filter(move |item| {
                item.is_signing_key()
                    && item.venue == venue
                    && item.key_set == key_set
                    && item.class == class
            });
            let first = fitting.next().cloned();
            match (first, fitting.next()) {
                (Some(_), Some(_)) => Err(KeyError::Ambiguous(key_set.to_owned())),
                (Some(item), None) => handle(&current, &vault, &item).map(Some),
                (None, _) => Ok(None),
            }
        };
        if let Some(key) = of_class(class)? {
            return Ok(key);
        }
        // A key that may trade may look as well. Not one that asks for a finger: nobody looks that often.
        let trade = match class {
            KeyClass::Read => of_class(KeyClass::Trade)?.filter(|key| !key.touched_each_use),
            _ => None,
        };
        trade.ok_or_else(|| KeyError::NoKey {
            venue: venue.to_owned(),
            key_set: key_set.to_owned(),
            class,
        })
    }

    fn base_url(&self, venue: &str, key_set: &str) -> Result<Option<String>, KeyError> {
        let (_, open) = self.vault()?;
        let vault = open.read();
        let items = vault.items();
        let mut of_set = items
            .into_iter()
            .filter(|item| item.is_signing_key() && item.venue == venue && item.key_set == key_set);
        Ok(of_set.find_map(|item| item.base_url.clone()))
    }

    // What asks nobody is not boxed with what does: that is sixteen kilobytes, and most requests need none of it.
    fn make_ready<'a>(&'a self, question: &'a Question) -> Answering<'a, Result<(), KeyError>> {
        self.running.is_for(question);
        // Nobody approves, or types anything for, what nothing opens.
        if let Err(closed) = self.can_be_had(&question.key) {
            return Box::pin(ready(Err(closed)));
        }
        let stays = matches!(question.key.signer, Signer::Secret) && !question.key.touched_each_use;
        if stays && question.need != Need::Touch {
            return Box::pin(ready(Ok(())));
        }
        Box::pin(self.running.asking(question.request, async move {
            let why = what_for(question);
            match &question.key.signer {
                Signer::Device { device, key, .. } => {
                    let device = self.device(*device)?;
                    let opener = self.opener_for(&device, key)?;
                    let what = use_of_key(&device, key, why.clone());
                    let ready = self.devices.make_ready(what, opener);
                    ready.await.map_err(key_error)?;
                }
                Signer::Secret if question.key.touched_each_use => {
                    let device = self.sealing_device(question.key.item, SECRET)?;
                    self.ready(&device, why.clone()).await?;
                }
                Signer::Secret => {}
            }
            if question.need == Need::Touch && !question.key.touched_each_use {
                let (_, open) = self.vault()?;
                let device = self.device(open.device)?;
                // Where the typing itself is the consent, it comes after the yes.
                if seals_by_touch(&device) {
                    self.ready(&device, why).await?;
                }
            }
            Ok(())
        }))
    }

    fn consent<'a>(&'a self, question: &'a Question) -> Answering<'a, Result<Consent, KeyError>> {
        Box::pin(self.running.asking(question.request, async move {
            let why = what_for(question);
            // Opening the sealed secret with a passphrase is the consent; it is typed once and not twice.
            if self.item(question.key.item)?.secret == SecretPlace::Sealed {
                let device = self.sealing_device(question.key.item, SECRET)?;
                let secret = self.unsealed(question.key.item, SECRET, why, true).await?;
                let (request, item) = (question.request, question.key.item);
                self.running.keep_secret(request, item, secret);
                // A lock that came in between has wiped already, and would not come by again.
                if let Err(locked) = self.vault() {
                    self.running.over(request);
                    return Err(locked);
                }
                return Ok(Consent::Passphrase(device.id));
            }
            let (_, open) = self.vault()?;
            let device = self.device(open.device)?;
            let opener = self.opener(&device)?;
            let asked = challenge(&device).map_err(key_error)?;
            consent_with(&self.devices, &device, why, opener, asked)
                .await
                .map_err(key_error)
        }))
    }

    fn secret<'a>(
        &'a self,
        request: RequestId,
        key: &'a KeyHandle,
    ) -> Answering<'a, Result<ApiSecret, KeyError>> {
        if let Some(secret) = self.at_hand(key, SECRET) {
            return Box::pin(ready(secret));
        }
        if let Some(secret) = self.running.take_secret(request, key.item) {
            return Box::pin(ready(Ok(secret)));
        }
        Box::pin(self.running.asking(request, async move {
            let why = self.running.why(request);
            self.unsealed(key.item, SECRET, why, false).await
        }))
    }

    fn passphrase<'a>(
        &'a self,
        request: RequestId,
        key: &'a KeyHandle,
    ) -> Answering<'a, Result<ApiSecret, KeyError>> {
        if let Some(text) = self.at_hand(key, PASSPHRASE) {
            return Box::pin(ready(text));
        }
        Box::pin(self.running.asking(request, async move {
            let why = self.running.why(request);
            self.unsealed(key.item, PASSPHRASE, why, false).await
        }))
    }

    fn next_nonce(
        &self,
        item: ItemId,
        series: Series,
        floor: u64,
    ) -> Answering<'_, Result<u64, KeyError>> {
        let agent = self.agent.upgrade();
        Box::pin(async move { next_nonce(agent, (item, series), floor).await })
    }

    fn turns(&self) -> Turns {
        let agent = self.agent.upgrade();
        agent.map_or_else(Turns::default, |agent| agent.turns().clone())
    }

    fn on_device<'a>(
        &'a self,
        request: RequestId,
        key: &'a KeyHandle,
        job: DeviceJob,
    ) -> Answering<'a, Result<Vec<u8>, KeyError>> {
        Box::pin(self.running.asking(request, async move {
            let Signer::Device {
                device, key: info, ..
            } = &key.signer
            else {
                return Err(KeyError::NotForRequests(key.name.clone()));
            };
            let enrolled = self.device(*device)?;
            let opener = self.opener_for(&enrolled, info)?;
            let what = use_of_key(&enrolled, info, self.running.why(request));
            let modules = self.agent.upgrade().map(|agent| agent.modules());
            let place = Place {
                device: enrolled.id,
                modules: modules.unwrap_or_default(),
            };
            let info = info.clone();
            let signed = self
                .devices
                .with_kept(what, place, opener, move |device, auth| {
                    is_there(device, &info)?;
                    job(device.device(), auth).map_err(Failed::Device)
                });
            signed.await.map_err(key_error)
        }))
    }

    fn stays(&self, key: &KeyHandle) -> bool {
        let Ok((_, open)) = self.vault() else {
            return false;
        };
        let vault = open.read();
        let item = vault.item(key.item);
        item.is_some_and(|item| item.secret == SecretPlace::Stored)
    }

    fn nonce_refused(&self, key: &KeyHandle, venue: &str) {
        if let Some(agent) = self.agent.upgrade() {
            agent.saw_key_elsewhere(key.item, &key.name, venue);
        }
    }

    fn over(&self, request: RequestId) {
        self.running.over(request);
    }
}

/// The next number of a key, written down first.
pub(crate) async fn next_nonce(
    agent: Option<Arc<Agent>>,
    (item, series): (ItemId, Series),
    floor: u64,
) -> Result<u64, KeyError> {
    let agent = agent.ok_or(KeyError::Locked)?;
    blocking(move || agent.state().next_nonce(item, series, floor))
        .await
        .map_err(|_| KeyError::NoNonce("the agent stops".into()))?
        .map_err(|error| KeyError::NoNonce(error.to_string()))
}

fn key_error(failed: Failed) -> KeyError {
    match failed {
        Failed::Device(error) => KeyError::Device(error),
        Failed::Unasked(why) => KeyError::Unasked(why),
        Failed::Unable(failure) | Failed::Other(failure) => of_failure(&failure),
    }
}

fn of_failure(failure: &Failure) -> KeyError {
    match failure.code {
        Code::Locked => KeyError::Locked,
        Code::TimedOut => KeyError::TimedOut,
        Code::Refused => KeyError::Refused,
        Code::NoDevice | Code::DeviceRemoved => KeyError::Device(DeviceError::Removed),
        Code::System | Code::DeviceFailed => {
            KeyError::Device(DeviceError::Middleware(failure.what.clone()))
        }
        _ => KeyError::Damaged,
    }
}
