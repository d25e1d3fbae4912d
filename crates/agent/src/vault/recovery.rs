//! Ways back into the vault, and when each was last shown to work: not that it should, but that it did.

use touchkeep_core::{Code, DeviceId, UnixMillis};
use touchkeep_device::{Device, DeviceKind, KitDevice, Purpose, RecoveryKit};
use touchkeep_vault::{Locked, Unlocked};
use touchkeep_wire::{Failure, WayBack};

use super::device_summary;
use crate::failure;

/// The setting that says when a device last opened the vault from nothing.
pub(crate) fn setting(device: DeviceId) -> String {
    format!("recovery.{device}.tried")
}

/// The devices in use of whoever unlocked it, each with the time of its last rehearsal.
pub(crate) fn ways(vault: &Unlocked) -> Vec<WayBack> {
    vault
        .own_devices()
        .map(|device| WayBack {
            device: device_summary(device),
            tried: tried(vault, device.id),
        })
        .collect()
}

fn tried(vault: &Unlocked, device: DeviceId) -> Option<UnixMillis> {
    let text = vault.setting(&setting(device))?;
    text.parse().ok().map(UnixMillis)
}

/// Whether two devices, or one and a kit, were shown to open it: one is used every day, the other was tried.
pub(crate) fn is_rehearsed(vault: &Unlocked) -> bool {
    let devices: Vec<_> = vault.own_devices().collect();
    devices.len() > 1
        && devices
            .iter()
            .any(|device| tried(vault, device.id).is_some())
}

/// The kit of these words, as a device.
///
/// # Errors
/// They are not a kit's words.
pub(crate) fn kit_of(words: &str) -> Result<KitDevice, Failure> {
    let kit = RecoveryKit::from_words(words).map_err(|error| {
        failure::invalid(
            format!("These are not the words of a recovery kit: {error}."),
            "Compare them with the paper, one by one.",
        )
    })?;
    kit.device()
        .map_err(|error| {
            Failure::new(
                Code::DeviceFailed,
                format!("The kit's keys cannot be made of its words: {error}."),
                "Restart the agent (touchkeep agent stop) and try it again; the words alone open the vault with stock age, too: see README.txt in the vault file.",
            )
        })
}

/// Which of a vault's kits it is.
///
/// # Errors
/// None of them.
pub(crate) fn kit_in(vault: &Locked, kit: &KitDevice) -> Result<DeviceId, Failure> {
    let mut kits = vault.devices().iter();
    kits.find(|device| {
        device.kind == DeviceKind::Kit
            && !device.retired
            && device.key_on(kit.info(), Purpose::Unlock).is_some()
    })
    .map(|device| device.id)
    .ok_or_else(|| {
        Failure::new(
            Code::NoDevice,
            "These words are a recovery kit, but none of this vault's.",
            "Look for the paper of this vault; a kit that was replaced opens older copies only.",
        )
    })
}
