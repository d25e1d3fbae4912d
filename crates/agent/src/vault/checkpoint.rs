//! The author key and the device as signers of checkpoints, and the keys that may have signed one.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use touchkeep_audit::{CheckpointSigner, Head, Log};
use touchkeep_container::note::VerifyKey;
use touchkeep_core::Id;
use touchkeep_device::{
    Auth, Device, DeviceError, KeyRef, Purpose, SecretDemand, SignatureScheme, TouchPolicy,
};
use touchkeep_vault::{EnrolledDevice, Locked, Unlocked};
use touchkeep_wire::Failure;

use super::Current;
use crate::{agent::Agent, failure};

struct Author<'a> {
    key: VerifyKey,
    vault: &'a Unlocked,
}

impl CheckpointSigner for Author<'_> {
    fn key(&self) -> VerifyKey {
        self.key.clone()
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.vault.author_sign(text))
    }
}

/// Has the log's head signed by who unlocked the vault, unless it is signed already.
pub(super) fn sign(log: &Log, vault: &Unlocked) -> Result<(), Failure> {
    let signed = log
        .last_checkpoint()
        .map_err(|error| failure::read_log(&error))?;
    if signed.is_some_and(|checkpoint| checkpoint.head == log.head()) {
        return Ok(());
    }
    let locked = vault.as_locked();
    let chain = locked.container().membership();
    let Some(key) = chain.author_verify_key(vault.user()) else {
        return Ok(());
    };
    log.checkpoint(&Author { key, vault })
        .map(drop)
        .map_err(|error| failure::checkpoint(&error))
}

/// Has the log signed, when there is something new to sign.
pub(crate) fn sign_log(current: &Current) -> Result<(), Failure> {
    match (current.log(), current.peek()) {
        (Some(log), Some(open)) => sign(log, &open.read()),
        _ => Ok(()),
    }
}

/// The keys under which checkpoints of this vault are signed, or were: every author's and every device's. An author gets new
/// ones when a device is retired, and what was signed before stays signed.
pub(crate) fn keys(vault: &Locked) -> Vec<VerifyKey> {
    let chain = vault.container().chain();
    let links: BTreeSet<_> = chain
        .ends()
        .iter()
        .flat_map(|end| chain.reach(end.head))
        .collect();
    let known: Vec<_> = links.iter().filter_map(|link| chain.get(*link)).collect();
    let mut authors = BTreeSet::new();
    for members in &known {
        let users = members.users.iter();
        authors.extend(users.filter_map(|(user, it)| Some((*user, it.author?))));
    }
    let authors = authors
        .into_iter()
        .filter_map(|(user, key)| VerifyKey::ed25519(user.to_string(), key).ok());
    let latest = chain.latest();
    let devices = latest.devices.keys();
    let devices = devices.filter_map(|device| latest.device_verify_key(*device));
    authors.chain(devices).collect()
}

/// The longest state of each machine's log that a commit of the vault has seen: what is shorter has lost rows.
pub(super) fn seen_heads(vault: &Locked) -> BTreeMap<Id, Head> {
    let mut seen: BTreeMap<Id, Head> = BTreeMap::new();
    for commit in vault.container().history().commits().values() {
        let audit = commit.audit;
        let Some(log) = audit.log.filter(|_| audit.size > 0) else {
            continue;
        };
        let head = Head {
            size: audit.size,
            root: audit.root.0,
        };
        let longest = seen.entry(log).or_insert(head);
        if longest.size < head.size {
            *longest = head;
        }
    }
    seen
}

/// What a verification of a vault's log is against.
pub(crate) struct Witnesses {
    /// The keys that sign it.
    pub(crate) keys: Vec<VerifyKey>,
    /// The longest head that the vault has seen of each machine's log.
    pub(crate) seen: BTreeMap<Id, Head>,
    /// Where this machine's log is.
    pub(crate) log: PathBuf,
    /// Its id, where this machine had one.
    pub(crate) own: Option<Id>,
}

/// Reads what is needed to verify the log of the vault that is meant where none is named. The log itself may be in any
/// state.
///
/// # Errors
/// When there is no vault, or it cannot be read.
pub(crate) fn witnesses(agent: &Agent) -> Result<Witnesses, Failure> {
    let locked = super::read(&agent.vault_path(), agent.paths())?;
    Ok(Witnesses {
        keys: keys(&locked),
        seen: seen_heads(&locked),
        log: super::log_path(agent.paths(), locked.id()),
        own: agent.state().log(locked.id()),
    })
}

/// Has the device that has just opened the vault sign the log as it was found, where that costs nobody anything: what was
/// added while the vault was locked is then vouched for by a key that no program has. A word for the log about it; none
/// where there is nothing to sign, or the device would ask for more than it was given already.
pub(super) fn sign_at_unlock(
    log: Option<&Log>,
    known: &EnrolledDevice,
    device: &mut dyn Device,
    auth: Auth<'_>,
) -> Option<String> {
    let log = log.filter(|log| log.head().size > 0)?;
    if !signs_unasked(known, device) {
        return None;
    }
    let hand = DeviceSigner::new(known, device, auth)?;
    let word = match log.checkpoint(&hand) {
        Ok(signed) => format!("row {}", signed.head.size),
        Err(error) => {
            tracing::warn!(%error, "the device did not sign the log");
            format!("not: {error}")
        }
    };
    Some(word)
}

// After it was just used for unlocking: with the same PIN, and the same touch where the card keeps one for a while. The
// software device would hash the passphrase a second time, for a key that is worth no more than the author's.
fn signs_unasked(known: &EnrolledDevice, device: &mut dyn Device) -> bool {
    let mut demand = |purpose| {
        let key = known.key_on(device.info(), purpose)?;
        device.demand(&key).ok()
    };
    let (Some(unlocks), Some(signs)) = (demand(Purpose::Unlock), demand(Purpose::SignVault)) else {
        return false;
    };
    let touched = match signs.touch {
        TouchPolicy::Never => true,
        TouchPolicy::Cached => unlocks.touch == TouchPolicy::Cached,
        TouchPolicy::Always => false,
    };
    touched
        && matches!(
            signs.secret,
            SecretDemand::Nothing | SecretDemand::Pin { .. }
        )
}

/// A device as a signer of checkpoints, for the one time that it is lent.
pub(crate) struct DeviceSigner<'a, 'b> {
    key: VerifyKey,
    signs: KeyRef,
    // Behind a lock, for a signer is asked through a shared reference.
    device: Mutex<&'a mut dyn Device>,
    auth: Auth<'b>,
    failed: Mutex<Option<DeviceError>>,
}

impl<'a, 'b> DeviceSigner<'a, 'b> {
    /// None where the device has not the key by which the vault knows its signatures: one of another key would make the log
    /// look forged.
    pub(crate) fn new(
        known: &EnrolledDevice,
        device: &'a mut dyn Device,
        auth: Auth<'b>,
    ) -> Option<Self> {
        let enrolled = known.key(Purpose::SignVault)?;
        Some(Self {
            key: VerifyKey::from_spki(known.id.to_string(), &enrolled.spki).ok()?,
            signs: known.key_on(device.info(), Purpose::SignVault)?,
            device: Mutex::new(device),
            auth,
            failed: Mutex::new(None),
        })
    }

    /// Why it did not sign, where the device said so.
    pub(crate) fn failed(self) -> Option<DeviceError> {
        self.failed
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl CheckpointSigner for DeviceSigner<'_, '_> {
    fn key(&self) -> VerifyKey {
        self.key.clone()
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        let scheme = if self.key.is_p256() {
            SignatureScheme::EcdsaP256Sha256
        } else {
            SignatureScheme::Ed25519
        };
        let mut device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        device
            .sign(&self.signs, scheme, text, self.auth)
            .map_err(|error| {
                let words = error.to_string();
                *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                words
            })
    }
}
