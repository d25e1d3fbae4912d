//! Enrolled devices: how one is opened and used, whether it has the key that the vault says, and which one opens what is sealed.

use std::sync::Arc;

use touchkeep_core::{ApiSecret, ItemId};
use touchkeep_device::{DeviceError, DeviceInfo, DeviceKind, KeyInfo, Purpose};
use touchkeep_vault::{EnrolledDevice, SealClass};
use touchkeep_wire::Failure;

use crate::{
    agent::Agent,
    devices::{Connected, Failed, Module, Opened, Use, Which, connected, known, why_missed},
    failure,
    vault::{Current, Open, device_label},
};

/// Opens an enrolled device wherever it is connected.
pub(crate) fn open_enrolled(
    device: &EnrolledDevice,
    open: &Open,
    modules: &[Module],
) -> Result<Opened, Failed> {
    if device.kind == DeviceKind::Kit {
        let kit = open.read().as_locked().paper_kit(device.id);
        return kit.map(Opened::Kit).map_err(failure::vault_or_device);
    }
    if device.kind == DeviceKind::Software {
        let software = open.read().as_locked().software_device(device.id);
        return software
            .map(Opened::Software)
            .map_err(failure::vault_or_device);
    }
    let found = match (
        device.kind,
        device
            .serial
            .as_deref()
            .and_then(|serial| serial.parse().ok()),
    ) {
        (DeviceKind::Piv, Some(serial)) => Some(Connected::Piv {
            serial,
            firmware: String::new(),
        }),
        _ => known(&connected(modules), device),
    };
    let found = match found {
        Some(found) => found,
        None if device.kind == DeviceKind::Pkcs11 => {
            return Err(why_missed(modules).map_or(DeviceError::Removed.into(), Failed::Other));
        }
        None => return Err(DeviceError::Removed.into()),
    };
    Ok(found.open_as(device)?)
}

/// A use of an enrolled device's key.
pub(crate) fn use_of(device: &EnrolledDevice, purpose: Purpose, why: String) -> Use {
    Use {
        device: device_label(device),
        which: Which::of(device),
        key: device.key(purpose).map(|key| key.key.clone()),
        why,
        touch: None,
        fresh: false,
    }
}

pub(super) fn use_of_key(device: &EnrolledDevice, key: &KeyInfo, why: String) -> Use {
    Use {
        key: Some(key.key.clone()),
        ..use_of(device, Purpose::Request, why)
    }
}

/// Whether a device has a request key as the vault says it.
pub(super) fn is_there(opened: &mut Opened, key: &KeyInfo) -> Result<(), DeviceError> {
    opened.device().recall(key);
    holds(opened.device().info(), key)
}

// Any writer of the vault can change what it says of a request key, and whether a touch of it counts as consent hangs on
// that. So the device itself has the last word, before anything is asked or spent.
fn holds(device: &DeviceInfo, said: &KeyInfo) -> Result<(), DeviceError> {
    let own = device.keys.iter().find(|own| own.key == said.key);
    let own = own.ok_or_else(|| DeviceError::NoKey(said.key.clone()))?;
    let of = |key: &KeyInfo| (key.purpose, key.algorithm, key.touch, key.imported);
    if of(own) == of(said) && own.spki == said.spki {
        return Ok(());
    }
    tracing::warn!(
        key = said.key.0,
        "the vault says something else of a request key than its device"
    );
    Err(DeviceError::Unexpected(format!(
        "that its key {} is not what the vault says of it",
        said.key.0
    )))
}

/// The device that opens an item's sealed secret: the one that unlocked, where it can. It must be sealed to it, or a person would be
/// asked for a PIN that helps nothing.
pub(super) fn sealing_device(
    current: &Current,
    open: &Open,
    (item, field): (ItemId, &str),
) -> Option<EnrolledDevice> {
    let touched = touches(current);
    let vault = open.read();
    let sealed_to = vault.item(item).map_or(&[][..], |it| it.sealed_to(field));
    let able = |device: &&EnrolledDevice| match device.seals {
        _ if device.retired => false,
        _ if !sealed_to.is_empty() && !sealed_to.contains(&device.id) => false,
        Ok(SealClass::Touch) => true,
        Ok(SealClass::Session) => !touched,
        Ok(SealClass::Kit) | Err(_) => false,
    };
    let devices = current.devices();
    let own = devices.iter().find(|device| device.id == open.device);
    own.filter(able)
        .or_else(|| devices.iter().find(able))
        .cloned()
}

/// Whether sealed values of this vault are opened by a touch and nothing less.
pub(super) fn touches(current: &Current) -> bool {
    current.devices().iter().any(seals_by_touch)
}

pub(super) fn seals_by_touch(device: &EnrolledDevice) -> bool {
    !device.retired && device.seals == Ok(SealClass::Touch)
}

/// Opens a sealed secret outside a request, with whatever its device asks for: typed or touched anew each time.
pub(crate) async fn unseal(
    agent: &Arc<Agent>,
    current: &Arc<Current>,
    open: &Arc<Open>,
    (item, field): (ItemId, String),
    why: String,
) -> Result<ApiSecret, Failure> {
    let device = sealing_device(current, open, (item, &field));
    let device = device.ok_or_else(|| {
        failure::invalid(
            "No device of this vault may open that sealed value.",
            "What to do about it says: touchkeep doctor",
        )
    })?;
    let (label, what) = (
        device_label(&device),
        Use {
            fresh: true,
            ..use_of(&device, Purpose::Seal, why)
        },
    );
    let (reading, opening, modules) = (Arc::clone(open), Arc::clone(open), agent.modules());
    let opened = agent.devices().with(
        what,
        move || open_enrolled(&device, &opening, &modules),
        move |device, auth| {
            let vault = reading.read();
            vault
                .open_sealed_field(item, &field, device.device(), auth)
                .map_err(failure::vault_or_device)
        },
    );
    opened.await.map_err(|failed| failed.failure(&label))
}
