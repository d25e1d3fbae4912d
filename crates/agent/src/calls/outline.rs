//! What git and others may see of copies: merged without a key, and outlined without a value.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use touchkeep_container::{Container, MemberName};
use touchkeep_core::{Code, text::visible};
use touchkeep_vault::{Item, Locked, SecretPlace, Unlocked, container_of};
use touchkeep_wire::{Failure, ItemOutline};

use super::open_vault;
use crate::{agent::Agent, devices::blocking, failure};

/// Items and fields of another copy of the open vault.
pub(crate) async fn outline(agent: &Arc<Agent>, path: String) -> Result<Vec<ItemOutline>, Failure> {
    let (_, open) = open_vault(agent)?;
    blocking(move || {
        let copy = Locked::open(&path).and_then(|copy| copy.unlock_as(&open.read()));
        let copy = copy.map_err(|error| failure::vault(&error))?;
        let mut items: Vec<_> = copy
            .items()
            .into_iter()
            .map(|item| outline_of(&copy, item))
            .collect();
        items.sort_by(|a, b| {
            (&a.environment, &a.name, &a.id).cmp(&(&b.environment, &b.name, &b.id))
        });
        Ok(items)
    })
    .await?
}

fn outline_of(vault: &Unlocked, item: &Item) -> ItemOutline {
    let mut changed = BTreeMap::new();
    for version in vault.versions(item.id).unwrap_or_default() {
        for field in version.changed {
            let last = changed.entry(field).or_insert(version.number);
            *last = version.number.max(*last);
        }
    }
    let version = |name: &str| changed.get(name).copied();
    let secret = item
        .places()
        .map(|(name, place)| (name.to_owned(), place_word(place)));
    let plain = item
        .plain()
        .into_iter()
        .map(|(name, _)| (name.to_owned(), "plain"));
    let mut fields: Vec<_> = secret
        .chain(plain)
        .map(|(name, word)| (name.clone(), word.to_owned(), version(&name)))
        .collect();
    fields.sort();
    ItemOutline {
        environment: visible(&vault.environment_name(item.environment)),
        name: visible(&item.name),
        id: item.id.to_string(),
        kind: item.kind.word().to_owned(),
        trashed: item.trashed.is_some(),
        fields,
    }
}

const fn place_word(place: &SecretPlace) -> &'static str {
    match place {
        SecretPlace::Missing => "missing",
        SecretPlace::Stored => "stored",
        SecretPlace::Sealed => "sealed",
        SecretPlace::OnDevice { .. } => "on-device",
    }
}

/// What can be counted of a copy without a key.
///
/// # Errors
/// When it is no vault.
pub fn count_copy(path: &Path) -> Result<Vec<(&'static str, usize)>, Failure> {
    let container = read(path)?;
    let (mut devices, mut parts, mut sealed, mut keys) = (0, 0, 0, 0);
    for name in container.names() {
        match name {
            MemberName::Segment(_) | MemberName::Snapshot(_) => parts += 1,
            MemberName::Sealed { .. } => sealed += 1,
            MemberName::EnvironmentKey { .. } => keys += 1,
            MemberName::Membership { .. } => devices += 1,
            _ => {}
        }
    }
    let commits = container.history().commits().len();
    Ok(vec![
        ("commits", commits),
        ("parts", parts),
        ("sealed values", sealed),
        ("environment keys", keys),
        ("changes of the membership", devices),
    ])
}

/// Joins two copies of one vault in the place of the first: nothing is lost, whichever was newer. Needs no key and no agent.
///
/// # Errors
/// When one of them is no vault, they are two vaults, or the file system refuses.
pub fn merge_copies(ours: &Path, theirs: &Path) -> Result<(), Failure> {
    let merged = read(ours)?.merge(&read(theirs)?);
    let merged = merged.map_err(|error| failure::vault(&error.into()))?;
    let damaged = |error: String| {
        Failure::new(
            Code::Damaged,
            format!("The joined copy cannot be written: {error}."),
            "Nothing was changed. Keep both copies as they are, and please report this.",
        )
    };
    let archive = merged
        .archive()
        .map_err(|error| damaged(error.to_string()))?;
    let bytes = archive.to_bytes();
    std::fs::write(ours, bytes).map_err(|error| unreadable(ours, &error))
}

fn read(path: &Path) -> Result<Container, Failure> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    container_of(path, bytes).map_err(|error| failure::vault(&error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Code::System,
        format!("{}: {error}.", path.display()),
        "Check that the file is there, its permissions, and the space of that place.",
    )
}
