//! What this machine has seen: the heads of each vault, and which vault lies where. A copy that lacks a head is older, or
//! another branch; another vault in the place of a known one may be an intruder's, made out to the same devices, whose
//! public keys stand in every vault file.
//!
//! A small file beside the caller's other state, of lines `<vault> <head>` and `<hash of the absolute path> <vault>`.

use std::{collections::BTreeMap, os::unix::ffi::OsStrExt, path::Path};

use touchkeep_container::{Container, Hash};
use touchkeep_core::VaultId;

use crate::{
    error::VaultError,
    file::{self, Lock},
};

#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Seen {
    // Ascending.
    heads: Vec<(VaultId, Hash)>,
    places: BTreeMap<Hash, VaultId>,
}

/// Whether a copy at a path is of the vault that was seen there, and has all heads that were seen of it.
pub(crate) fn is_current(
    pins: &Path,
    path: &Path,
    container: &Container,
) -> Result<bool, VaultError> {
    let seen = read(pins)?;
    let is_there = seen.places.get(&place(path)?);
    let commits = container.history().commits();
    let mut of_vault = seen
        .heads
        .iter()
        .filter(|(vault, _)| Some(*vault) == container.id());
    let is_in_its_place = is_there.is_none_or(|vault| Some(*vault) == container.id());
    Ok(is_in_its_place && of_vault.all(|(_, head)| commits.contains_key(head)))
}

/// Remembers where a vault is, and its heads.
pub(crate) fn remember(pins: &Path, path: &Path, container: &Container) -> Result<(), VaultError> {
    let Some(id) = container.id() else {
        return Ok(());
    };
    let lock = Lock::take(pins)?;
    let seen = read(pins)?;
    let mut new = seen.clone();
    new.heads.retain(|(vault, _)| *vault != id);
    new.heads
        .extend(container.heads().into_iter().map(|head| (id, head)));
    new.heads.sort_unstable();
    new.places.insert(place(path)?, id);
    if new == seen {
        return Ok(());
    }
    let heads = new
        .heads
        .iter()
        .map(|(vault, head)| format!("{vault} {head}\n"));
    let places = new
        .places
        .iter()
        .map(|(path, vault)| format!("{path} {vault}\n"));
    let lines: String = heads.chain(places).collect();
    lock.overwrite(lines.as_bytes())
}

fn place(path: &Path) -> Result<Hash, VaultError> {
    let absolute = std::path::absolute(path).map_err(|source| VaultError::Io {
        what: "find",
        path: path.into(),
        source,
    })?;
    Ok(Hash::of(absolute.as_os_str().as_bytes()))
}

fn read(pins: &Path) -> Result<Seen, VaultError> {
    let bytes = match file::read(pins) {
        Err(VaultError::NoVault(_)) => return Ok(Seen::default()),
        read => read?,
    };
    // An unreadable list must not pass for an empty one.
    let damaged = || VaultError::Content {
        member: format!("the list of seen heads {}", pins.display()),
    };
    let text = String::from_utf8(bytes).map_err(|_| damaged())?;
    let mut seen = Seen::default();
    for line in text.lines() {
        let (key, value) = line.split_once(' ').ok_or_else(damaged)?;
        if let Ok(path) = key.parse::<Hash>() {
            let vault = value.parse().map_err(|_| damaged())?;
            seen.places.insert(path, vault);
        } else {
            let vault = key.parse().map_err(|_| damaged())?;
            seen.heads
                .push((vault, value.parse().map_err(|_| damaged())?));
        }
    }
    Ok(seen)
}
