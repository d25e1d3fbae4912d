//! What has to hold after a strike: the vault is as before or as after the operation, in every respect, and can be used.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt};

use touchkeep_device::Auth;
use touchkeep_vault::{Locked, SecretPlace, Unlocked, backups};

use crate::{
    operation::{CANARY, Operation, Paths, kit, make, save},
    scene::{Scene, files},
};

/// Everything that a vault says, opened: items with their secrets, settings, devices, and what opens it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct State(pub(crate) BTreeMap<String, String>);

impl State {
    pub(crate) fn read(paths: &Paths) -> Result<Self, String> {
        let text = |error: touchkeep_vault::VaultError| error.to_string();
        let locked = Locked::open_pinned(&paths.vault, &paths.pins).map_err(text)?;
        if let Some(why) = locked.read_only() {
            return Err(format!("read-only: {why:?}"));
        }
        let by_kit = Locked::open(&paths.vault)
            .map_err(text)?
            .unlock(&mut kit(), Auth::Nothing);
        let vault = paths.open().map_err(text)?;
        let mut state = Self::of(&vault);
        if let Ok(by_kit) = by_kit {
            let same = Self::of(&by_kit) == state;
            state.0.insert(
                "the kit opens it, and sees the same".into(),
                same.to_string(),
            );
        }
        if fs::exists(&paths.other).unwrap() {
            let pins = fs::read_to_string(&paths.pins).unwrap_or_default();
            let other = Locked::open(&paths.other).map_err(text)?.id();
            let is_known = pins.contains(&other.to_string()).to_string();
            state.0.insert("the other vault is known".into(), is_known);
        }
        Ok(state)
    }

    pub(crate) fn of(vault: &Unlocked) -> Self {
        let mut lines = BTreeMap::new();
        for item in vault.items() {
            let secret = match item.secret {
                SecretPlace::Stored => vault.secret(item.id).unwrap().expose().clone(),
                _ => String::new(),
            };
            lines.insert(format!("item {}", item.id), format!("{item:?} {secret}"));
        }
        for name in ["size", "count", "next"] {
            lines.extend(
                vault
                    .setting(name)
                    .map(|text| (format!("setting {name}"), text.to_owned())),
            );
        }
        let devices = vault.devices().iter();
        let mut devices: Vec<_> = devices
            .map(|it| format!("{:?} {}", it.kind, it.retired))
            .collect();
        devices.sort();
        lines.insert("devices".into(), devices.join(", "));
        lines.insert("unreadable".into(), format!("{:?}", vault.unreadable()));
        // Environments have ids of their own in each scene, and in each vault that is made.
        let own = vault.environment().to_string();
        for line in lines.values_mut() {
            *line = line.replace(&own, "main");
        }
        Self(lines)
    }

    fn with_next(mut self) -> Self {
        self.0.insert("setting next".into(), "written".into());
        self
    }
}

/// Which of the two it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Old,
    New,
}

/// Judges what a strike left. `said_saved`: the process said that it had saved.
pub(crate) fn judge(scene: &Scene, said_saved: bool) -> Result<Side, String> {
    let (side, now) = side(scene)?;
    if said_saved && side == Side::Old {
        return Err("it said that it had saved, and had not".into());
    }
    check_files(scene)?;
    check_old_version(scene)?;
    check_next(scene, now)?;
    check_files(scene)?;
    check_old_version(scene)?;
    let left = files(scene.folder.path()).into_iter().map(|(name, _)| name);
    match left.into_iter().find(|name| name.ends_with(".tmp")) {
        Some(name) => Err(format!("{name} was not swept")),
        None => Ok(side),
    }
}

fn side(scene: &Scene) -> Result<(Side, Option<State>), String> {
    if !scene.paths.vault.exists() {
        return match scene.before {
            None => Ok((Side::Old, None)),
            Some(_) => Err("the vault is gone".into()),
        };
    }
    let now = State::read(&scene.paths)?;
    if now == scene.after {
        Ok((Side::New, Some(now)))
    } else if Some(&now) == scene.before.as_ref() {
        Ok((Side::Old, Some(now)))
    } else {
        Err(format!("neither the old nor the new vault: {now:?}"))
    }
}

// Every file is private, and none holds a secret in the clear; every backup is a whole vault.
fn check_files(scene: &Scene) -> Result<(), String> {
    for entry in fs::read_dir(scene.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        if mode != 0o600 {
            return Err(format!("{:?} has mode {mode:o}", entry.file_name()));
        }
        let bytes = fs::read(entry.path()).unwrap();
        if bytes
            .windows(CANARY.len())
            .any(|window| window == CANARY.as_bytes())
        {
            return Err(format!(
                "{:?} holds a secret in the clear",
                entry.file_name()
            ));
        }
    }
    if fs::read_dir(scene.temporary.path())
        .unwrap()
        .next()
        .is_some()
    {
        return Err("something was put into the folder for temporary files".into());
    }
    if scene.paths.vault.exists() {
        for backup in backups(&scene.paths.vault).map_err(|error| error.to_string())? {
            backup
                .newest
                .map_err(|error| format!("backup {}: {error}", backup.number))?;
        }
    }
    Ok(())
}

// What was the vault is the vault still, or a backup.
fn check_old_version(scene: &Scene) -> Result<(), String> {
    let Some(old) = scene.old() else {
        return Ok(());
    };
    let is_kept = files(scene.folder.path()).iter().any(|(name, bytes)| {
        name.starts_with("team.vault") && !name.ends_with(".tmp") && bytes == old
    });
    is_kept
        .then_some(())
        .ok_or_else(|| "what was the vault is nowhere any more".into())
}

// The next to come can do what he came for, and loses nothing.
fn check_next(scene: &Scene, now: Option<State>) -> Result<(), String> {
    let text = |error: touchkeep_vault::VaultError| format!("next: {error}");
    let Some(now) = now else {
        drop(make(&scene.paths.vault, &scene.paths.pins).map_err(text)?);
        let made = State::read(&scene.paths)?;
        return (made == scene.after)
            .then_some(())
            .ok_or_else(|| "another vault was made".into());
    };
    let mut vault = scene.paths.open().map_err(text)?;
    vault.set_setting("next", "written").map_err(text)?;
    save(&mut vault).map_err(text)?;
    let then = State::read(&scene.paths)?;
    if then != now.with_next() {
        return Err(format!("the next save gave {then:?}"));
    }
    // An older copy is still known for one: no strike makes this machine forget what it has seen.
    let (old, new) = (scene.old(), scene.operation != Operation::Restore);
    if let Some(old) = old.filter(|_| new) {
        let there = fs::read(&scene.paths.vault).unwrap();
        fs::write(&scene.paths.vault, old).unwrap();
        let rolled_back =
            Locked::open_pinned(&scene.paths.vault, &scene.paths.pins).map_err(text)?;
        let is_known = rolled_back.read_only().is_some();
        fs::write(&scene.paths.vault, there).unwrap();
        return is_known
            .then_some(())
            .ok_or_else(|| "an older copy passed for the newest".into());
    }
    Ok(())
}
