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

/// Why a copy is opened for reading only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadOnly {
    /// It lacks what this machine has seen: an older copy, or another branch of the vault.
    Behind,
    /// Another vault was seen in this place.
    OtherVault,
    /// The membership was changed in two places that did not know of each other.
    Forked,
}

/// What speaks against writing to a copy at a path: another vault was seen there, or heads that it lacks.
pub(crate) fn against(
    pins: &Path,
    path: &Path,
    container: &Container,
) -> Result<Option<ReadOnly>, VaultError> {
    let seen = read(pins)?;
    let is_there = seen.places.get(&place(path)?);
    if is_there.is_some_and(|vault| *vault != container.id()) {
        return Ok(Some(ReadOnly::OtherVault));
    }
    let heads = seen.heads.iter();
    let mut of_vault = heads.filter(|(vault, _)| *vault == container.id());
    let lacks = of_vault.any(|(_, head)| !container.history().knows(*head));
    Ok(lacks.then_some(ReadOnly::Behind))
}

/// Forgets which heads of a vault were seen: from now on the copy that is there counts. For the deliberate way back alone.
pub(crate) fn danger_forget(pins: &Path, container: &Container) -> Result<(), VaultError> {
    let lock = Lock::take(pins)?;
    let mut seen = read(pins)?;
    seen.heads.retain(|(vault, _)| *vault != container.id());
    lock.overwrite(seen.to_text().as_bytes())
}

/// Remembers where a vault is, and its heads. Of those that were seen before, one stays that this copy does not have: two programs
/// that save one after the other may come here the other way round.
pub(crate) fn remember(pins: &Path, path: &Path, container: &Container) -> Result<(), VaultError> {
    let id = container.id();
    let lock = Lock::take(pins)?;
    let seen = read(pins)?;
    let mut new = seen.clone();
    let history = container.history();
    new.heads
        .retain(|(vault, head)| *vault != id || !history.knows(*head));
    new.heads
        .extend(container.heads().into_iter().map(|head| (id, head)));
    new.heads.sort_unstable();
    new.places.insert(place(path)?, id);
    if new == seen {
        return Ok(());
    }
    lock.overwrite(new.to_text().as_bytes())
}

impl Seen {
    fn to_text(&self) -> String {
        let heads = self.heads.iter();
        let places = self.places.iter();
        heads
            .map(|(vault, head)| format!("{vault} {head}\n"))
            .chain(places.map(|(path, vault)| format!("{path} {vault}\n")))
            .collect()
    }
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
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| damaged())?;
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

#[cfg(test)]
mod tests {
    use touchkeep_container::AuditHead;
    use touchkeep_core::{Passphrase, UnixMillis};

    use super::*;
    use crate::{NewDevice, NewVault, create};

    // Of two programs that save one after the other, the first may be the second to tell what it has seen.
    #[test]
    fn a_newer_head_is_not_forgotten_for_an_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let [path, pins] = ["vault", "heads"].map(|name| folder.path().join(name));
        let passphrase = Passphrase::new("correct horse".into());
        let device = NewDevice::Software {
            passphrase: &passphrase,
            work_factor: 10,
        };
        let new = NewVault {
            user_name: "me".into(),
            environment_name: "prod".into(),
            practice: true,
            device,
            now: UnixMillis(1),
        };
        let mut vault = create(&path, new).unwrap();
        let older = vault.locked.container.clone();
        vault.set_setting("x", "1").unwrap();
        vault.save(UnixMillis(2), AuditHead::empty()).unwrap();
        let newer = &vault.locked.container;
        remember(&pins, &path, newer).unwrap();
        remember(&pins, &path, &older).unwrap();
        let behind = Some(ReadOnly::Behind);
        assert_eq!(against(&pins, &path, &older).unwrap(), behind);
        assert_eq!(against(&pins, &path, newer).unwrap(), None);
        remember(&pins, &path, newer).unwrap();
        assert_eq!(read(&pins).unwrap().heads.len(), 1);
    }
}
