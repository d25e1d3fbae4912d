//! Older copies beside the vault: listed, tried, and the one deliberate way back to one. And another copy of the same vault,
//! taken in without a key.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use touchkeep_container::Container;
use touchkeep_core::UnixMillis;

use crate::{
    error::VaultError,
    file::{self, BACKUPS, Lock},
    foreign::container_of,
    pins::{self, ReadOnly},
};

/// An older copy.
#[derive(Debug)]
pub struct Backup {
    /// From 1, the newest.
    pub number: u32,
    /// Where it is.
    pub path: PathBuf,
    /// When it was the vault for the last time.
    pub replaced: Option<UnixMillis>,
    /// The time of its newest commit; or why it is no vault.
    pub newest: Result<UnixMillis, VaultError>,
    /// Whether it is of the same vault as the file that it stands beside.
    pub is_same_vault: bool,
    /// Commits of it that the vault does not have. None are missing where nothing would be gained by going back to it.
    pub missing: usize,
}

/// The copies that are there; each was read and checked.
///
/// # Errors
/// The vault itself cannot be read: not for what it holds, but for what it is (a link, a folder).
pub fn backups(path: &Path) -> Result<Vec<Backup>, VaultError> {
    // A vault that is damaged has backups all the same.
    let vault = file::read(path)
        .and_then(|bytes| Ok(Container::read(bytes)?))
        .ok();
    let mut found = Vec::new();
    for number in 1..=BACKUPS {
        let place = file::backup_path(path, number)?;
        let bytes = match file::read(&place) {
            Err(VaultError::NoVault(_)) => continue,
            read => read,
        };
        let copy = bytes.and_then(|bytes| container_of(&place, bytes));
        let is_same_vault = match (&copy, &vault) {
            (Ok(copy), Some(vault)) => copy.id() == vault.id(),
            (Ok(_), None) => true,
            (Err(_), _) => false,
        };
        let missing = match (&copy, &vault) {
            (Ok(copy), Some(vault)) => {
                let heads = copy.history().all().into_iter();
                heads
                    .filter(|commit| !vault.history().knows(*commit))
                    .count()
            }
            _ => 0,
        };
        let changed = std::fs::metadata(&place)
            .and_then(|meta| meta.modified())
            .ok();
        found.push(Backup {
            number,
            replaced: changed.and_then(millis),
            newest: copy.map(|copy| newest(&copy)),
            path: place,
            is_same_vault,
            missing,
        });
    }
    Ok(found)
}

fn newest(copy: &Container) -> UnixMillis {
    let commits = copy.history().commits().values();
    commits
        .map(|commit| commit.time)
        .max()
        .unwrap_or(UnixMillis(0))
}

fn millis(time: SystemTime) -> Option<UnixMillis> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok().map(UnixMillis)
}

/// Makes a backup the vault again; what is the vault now becomes the first backup. What was seen later is forgotten here, and
/// other machines will say that this copy is older.
///
/// # Errors
/// There is no such backup, or it is no vault, or another one; or the file system refused.
pub fn danger_restore(path: &Path, pins: &Path, number: u32) -> Result<(), VaultError> {
    let place = file::backup_path(path, number)?;
    let bytes = file::read(&place)?;
    let copy = container_of(&place, bytes.clone())?;
    let lock = Lock::take(path)?;
    let now = lock.read()?;
    let is_other = match Container::read(now) {
        Ok(vault) => vault.id() != copy.id(),
        // Which vault was here says what was seen of it.
        Err(_) => pins::against(pins, path, &copy)? == Some(ReadOnly::OtherVault),
    };
    if is_other {
        return Err(VaultError::Damaged(
            touchkeep_container::ContainerError::Strangers,
        ));
    }
    pins::danger_forget(pins, &copy)?;
    lock.replace_by(|file| file.write_all(&bytes))?;
    pins::remember(pins, path, &copy)
}

/// Takes another copy of the same vault in, without a key. Whether anything was new.
///
/// # Errors
/// One of the two is no vault, or they are two vaults; or the file system refused.
pub fn merge_into(path: &Path, other: &Path) -> Result<bool, VaultError> {
    let theirs = container_of(other, file::read(other)?)?;
    let lock = Lock::take(path)?;
    let merged = container_of(path, lock.read()?)?.merge(&theirs)?;
    let archive = merged
        .archive()
        .map_err(|error| VaultError::Damaged(error.into()))?;
    let is_new = !lock.holds(&archive)?;
    if is_new {
        lock.replace(&archive)?;
    }
    Ok(is_new)
}
