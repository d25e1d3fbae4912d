//! A touch, or a typed secret, for one thing alone: the device opens a riddle that was made for this moment, with the key
//! that waits for a finger at each use. What opens it proves that the device was there and was let.
//!
//! # Why the seal key and not the one that signs
//! The signing key of a YubiKey takes one touch for 15 seconds, so that a second use right after the first would ask
//! nobody. The seal key asks each time.

use std::{collections::HashSet, sync::Arc};

use age_core::{
    format::{FILE_KEY_BYTES, FileKey, Stanza},
    secrecy::ExposeSecret,
};
use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::Code;
use touchkeep_device::{DeviceKind, KeyRef, Purpose, stanza};
use touchkeep_pipeline::Consent;
use touchkeep_vault::{EnrolledDevice, SealClass};
use touchkeep_wire::Failure;

use crate::{
    agent::Agent,
    devices::{Devices, Failed, Opened, blocking},
    failure,
    ports::{open_enrolled, use_of},
    vault::{Current, device_label},
};

/// Something that only the device can open, and what is in it.
pub(crate) struct Riddle {
    key: KeyRef,
    stanzas: Vec<Stanza>,
    answer: FileKey,
}

/// A riddle for a device's seal key.
///
/// # Errors
/// When the device has no such key, or the system no randomness.
pub(crate) fn challenge(device: &EnrolledDevice) -> Result<Riddle, Failed> {
    let unable = |why: &str| {
        let fix = "Use another device of the vault: touchkeep device list";
        Failed::Other(Failure::new(Code::DeviceFailed, why.to_owned(), fix))
    };
    let key = device
        .key(Purpose::Seal)
        .ok_or_else(|| unable("The device has no key that could ask for a touch."))?;
    let answer =
        FileKey::try_init_with_mut(|bytes: &mut [u8; FILE_KEY_BYTES]| getrandom::fill(bytes))
            .map_err(|_| unable("The operating system has no randomness."))?;
    let (stanzas, _labels): (Vec<Stanza>, HashSet<String>) = stanza::recipient(key)?
        .wrap_file_key(&answer)
        .map_err(|_| unable("The device's key cannot be encrypted to."))?;
    Ok(Riddle {
        key: key.key.clone(),
        stanzas,
        answer,
    })
}

/// Has the device open a riddle, with whatever it asks of a person.
///
/// # Errors
/// When a person or the device did not.
pub(crate) async fn consent_with(
    devices: &Devices,
    device: &EnrolledDevice,
    why: String,
    open: impl FnOnce() -> Result<Opened, Failed> + Send + 'static,
    riddle: Riddle,
) -> Result<Consent, Failed> {
    // A touch counts where the device's maker says that the key waits for one.
    let touched = device.seals == Ok(SealClass::Touch);
    let mut what = use_of(device, Purpose::Seal, why);
    // Without a touch, typing is the consent, and a PIN that is remembered would be none.
    what.fresh = !touched;
    devices
        .with(what, open, move |opened: &mut Opened, auth| {
            let found = opened
                .device()
                .unwrap_file_key(&riddle.key, &riddle.stanzas, auth)?;
            // EXPOSE: both halves, to their comparison.
            if found.expose_secret() == riddle.answer.expose_secret() {
                Ok(())
            } else {
                Err(Failed::Other(failure::invalid(
                    "The device answered wrongly, which is no consent.",
                    "Nothing was done. Take it out and put it in again; if it stays so, use another device, and do not trust this one.",
                )))
            }
        })
        .await?;
    Ok(if touched && device.kind != DeviceKind::Software {
        Consent::Touch(device.id)
    } else {
        Consent::Passphrase(device.id)
    })
}

/// A touch, or the passphrase, of the device that unlocked the vault: for what a person does to the vault itself, which is `kind` in
/// the log. Anybody who runs as this user can ask for it, so that a no is on record too.
///
/// # Errors
/// When it was not given, or the vault is locked.
pub(crate) async fn of_owner(
    agent: &Arc<Agent>,
    kind: Kind,
    why: &str,
) -> Result<Consent, Failure> {
    let current = agent.some_vault()?;
    let consent = asked_of_owner(agent, &current, why).await;
    if consent.is_err() {
        let why = why.replace('\n', "; ");
        let refusal =
            Event::new(kind, Decision::Refused).text(format!("{why}. It was not agreed to."));
        let recorded = blocking(move || current.record(&refusal)).await?;
        if let Err(error) = recorded {
            tracing::error!(why = error.what, "a refusal was not recorded");
        }
    }
    consent
}

async fn asked_of_owner(
    agent: &Arc<Agent>,
    current: &Current,
    why: &str,
) -> Result<Consent, Failure> {
    let open = current.open()?;
    let devices = current.devices();
    let device = devices.iter().find(|device| device.id == open.device);
    let device = device.cloned().ok_or_else(failure::locked)?;
    let label = device_label(&device);
    let riddle = challenge(&device).map_err(|failed| failed.failure(&label))?;
    let (wanted, modules) = (device.clone(), agent.modules());
    let opener = move || open_enrolled(&wanted, &open, &modules);
    consent_with(agent.devices(), &device, why.to_owned(), opener, riddle)
        .await
        .map_err(|failed| failed.failure(&label))
}
