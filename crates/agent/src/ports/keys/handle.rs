//! How an item's key signs: what the vault says of it, and where the key is.

use touchkeep_core::ItemId;
use touchkeep_device::{KeyRef, Purpose, TouchPolicy};
use touchkeep_pipeline::{KeyError, KeyHandle, Signer};
use touchkeep_vault::{Item, SecretPlace, Unlocked};

use super::enrolled::touches;
use crate::{calls::items::RequestKey, method::scheme_of, vault::Current};

/// The field of what some venues want beside the secret.
pub(crate) const PASSPHRASE: &str = "passphrase";

/// How an item's key signs.
pub(crate) fn handle(
    current: &Current,
    vault: &Unlocked,
    item: &Item,
) -> Result<KeyHandle, KeyError> {
    // What is let pass for practice, software keys and devices of a laboratory, guards no money.
    if current.is_practice() && item.base_url.is_none() {
        return Err(KeyError::NotPractice(item.name.clone()));
    }
    let (signer, touched_each_use) = match &item.secret {
        SecretPlace::Missing => return Err(KeyError::NoSecret(item.name.clone())),
        SecretPlace::Stored => (Signer::Secret, false),
        SecretPlace::Sealed => (Signer::Secret, touches(current)),
        SecretPlace::OnDevice { device, key } => {
            let info = request_key(vault, item.id, key)
                .ok_or(KeyError::Damaged)?
                .info;
            let touched = info.touch == TouchPolicy::Always;
            let signer = Signer::Device {
                device: *device,
                key: info,
            };
            (signer, touched)
        }
    };
    let scheme = scheme_of(&item.venue, item.auth);
    let scheme = scheme.ok_or_else(|| KeyError::NotForRequests(item.name.clone()))?;
    if item.api_key.is_empty() {
        return Err(KeyError::NoApiKey(item.name.clone()));
    }
    Ok(KeyHandle {
        item: item.id,
        name: item.name.clone(),
        api_key: item.api_key.clone(),
        scheme,
        signer,
        passphrase: item.place(PASSPHRASE).is_some(),
        touched_each_use,
        base_url: item.base_url.clone(),
    })
}

/// The setting of the vault that holds what is public of an item's device key.
pub(crate) fn request_key_setting(item: ItemId) -> String {
    format!("request-key.{item}")
}

/// What is public of an item's device key, as it was when the key was made.
pub(crate) fn request_key(vault: &Unlocked, item: ItemId, key: &KeyRef) -> Option<RequestKey> {
    let known: RequestKey =
        serde_json::from_str(vault.setting(&request_key_setting(item))?).ok()?;
    let info = &known.info;
    (info.key == *key && info.purpose == Purpose::Request).then_some(known)
}
