//! What this machine has seen of each vault: its heads. A copy that lacks one of them is older, or another branch.
//!
//! A small file of lines `<vault> <head>`, beside the caller's other state.

use std::path::Path;

use touchkeep_container::{Container, Hash};
use touchkeep_core::VaultId;

use crate::{
    error::VaultError,
    file::{self, Lock},
};

/// Whether a copy has all heads that were seen of its vault.
pub(crate) fn is_current(pins: &Path, container: &Container) -> Result<bool, VaultError> {
    let seen = read(pins)?;
    let mut of_vault = seen
        .iter()
        .filter(|(vault, _)| Some(*vault) == container.id());
    Ok(of_vault.all(|(_, head)| container.history().commits().contains_key(head)))
}

/// Remembers the heads of a vault.
pub(crate) fn remember(pins: &Path, container: &Container) -> Result<(), VaultError> {
    let Some(id) = container.id() else {
        return Ok(());
    };
    let lock = Lock::take(pins)?;
    let seen = read(pins)?;
    let heads = container.heads().into_iter().map(|head| (id, head));
    let mut new: Vec<_> = seen
        .iter()
        .copied()
        .filter(|(vault, _)| *vault != id)
        .chain(heads)
        .collect();
    new.sort_unstable();
    if new == seen {
        return Ok(());
    }
    let lines: String = new
        .iter()
        .map(|(vault, head)| format!("{vault} {head}\n"))
        .collect();
    lock.overwrite(lines.as_bytes())
}

fn read(pins: &Path) -> Result<Vec<(VaultId, Hash)>, VaultError> {
    let bytes = match file::read(pins) {
        Err(VaultError::NoVault(_)) => return Ok(Vec::new()),
        read => read?,
    };
    // An unreadable list must not pass for an empty one.
    let damaged = || VaultError::Content {
        member: format!("the list of seen heads {}", pins.display()),
    };
    let text = String::from_utf8(bytes).map_err(|_| damaged())?;
    text.lines()
        .map(|line| {
            let (vault, head) = line.split_once(' ').ok_or_else(damaged)?;
            Ok((
                vault.parse().map_err(|_| damaged())?,
                head.parse().map_err(|_| damaged())?,
            ))
        })
        .collect()
}
