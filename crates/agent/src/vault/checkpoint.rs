//! The author key as a signer of checkpoints, and the keys that may have signed one.

use std::collections::BTreeSet;

use touchkeep_audit::{CheckpointSigner, Head, Log};
use touchkeep_container::note::VerifyKey;
use touchkeep_core::Id;
use touchkeep_vault::{Locked, Unlocked};
use touchkeep_wire::Failure;

use crate::failure;

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

/// The keys under which checkpoints of this vault are signed, or were: every author's and every device's. An author gets new
/// ones when a device is retired, and what was signed before stays signed.
pub(super) fn keys(vault: &Locked) -> Vec<VerifyKey> {
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

/// The longest state of this log that a commit of the vault has seen: what is shorter has lost rows. Other machines have logs
/// of their own.
pub(super) fn seen_head(vault: &Locked, log: Id) -> Option<Head> {
    let commits = vault.container().history().commits();
    let seen = commits.values().map(|commit| commit.audit);
    seen.filter(|audit| audit.log == Some(log) && audit.size > 0)
        .max_by_key(|audit| audit.size)
        .map(|audit| Head {
            size: audit.size,
            root: audit.root.0,
        })
}
