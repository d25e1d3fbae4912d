//! Older copies of the vault, and the deliberate way back.

use std::{path::PathBuf, sync::Arc};

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{DeviceId, text::visible};
use touchkeep_vault::{Backup, Locked, Unlocked, VaultError, backups, danger_restore};
use touchkeep_wire::{BackupSummary, Done, Failure, Undoes};

use super::open_vault;
use crate::{
    agent::Agent,
    consent,
    devices::blocking,
    failure,
    vault::{self, Current, client::Client, device_label, is_damaged, open_copy, pins, policy_of},
};

pub(crate) async fn list(agent: &Arc<Agent>) -> Result<Vec<BackupSummary>, Failure> {
    let agent = Arc::clone(agent);
    blocking(move || {
        let found = backups(&agent.vault_path()).map_err(|error| failure::vault(&error))?;
        Ok(found
            .into_iter()
            .map(|backup| tried(&agent, backup))
            .collect())
    })
    .await?
}

// A copy is worth what can be opened of it, so with the vault open each is opened.
fn tried(agent: &Agent, backup: Backup) -> BackupSummary {
    let mut summary = BackupSummary {
        number: backup.number,
        path: backup.path.display().to_string(),
        replaced: backup.replaced,
        newest: backup.newest.as_ref().ok().copied(),
        missing: u32::try_from(backup.missing).unwrap_or(u32::MAX),
        items: None,
        undoes: None,
        problem: match &backup.newest {
            Err(error) => Some(failure::vault(error).what),
            Ok(_) if !backup.is_same_vault => Some("It is of another vault.".to_owned()),
            Ok(_) => None,
        },
    };
    let open = agent.vault().and_then(|current| current.peek());
    if let (None, Some(open)) = (&summary.problem, open) {
        let copy = Locked::open(&backup.path);
        match copy.and_then(|copy| copy.unlock_as(&open.read())) {
            Ok(copy) => {
                let items = copy.items().len();
                summary.undoes = Some(undoes(&copy, &open.read()));
                summary.items = Some(u32::try_from(items).unwrap_or(u32::MAX));
            }
            Err(error) => summary.problem = Some(failure::vault(&error).what),
        }
    }
    summary
}

// What was ended since a copy was the vault, and would not be any more.
fn undoes(copy: &Unlocked, now: &Unlocked) -> Undoes {
    let (then, present) = (Client::of_vault(copy), Client::of_vault(now));
    let known = |client: &Client| present.iter().find(|known| known.id == client.id);
    let names = |of: &dyn Fn(&Client) -> bool| {
        let of = then.iter().filter(|client| of(client));
        of.map(|client| client.name.clone()).collect()
    };
    let is_retired = |id: DeviceId| {
        let mut devices = now.devices().iter();
        devices.any(|device| device.id == id && device.retired)
    };
    let back = copy.devices().iter().filter(|device| !device.retired);
    let back = back.filter(|device| is_retired(device.id));
    Undoes {
        clients: names(&|client| known(client).is_none()),
        bound: names(&|client| known(client).is_some_and(|known| known != client)),
        devices: back.map(device_label).collect(),
        policy: policy_of(copy).1 != policy_of(now).1,
    }
}

// For the question at the device, which whoever is asked may see alone.
fn in_words(undoes: &Undoes) -> String {
    let named = |what: &str, names: &[String]| {
        let names: Vec<String> = names.iter().map(|name| visible(name)).collect();
        (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
    };
    let parts = [
        named("revoked clients let in again", &undoes.clients),
        named("clients bound otherwise", &undoes.bound),
        named("retired devices open it again", &undoes.devices),
        undoes.policy.then(|| "another policy".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

pub(crate) async fn restore(
    agent: &Arc<Agent>,
    number: u32,
    device: Option<String>,
) -> Result<Done, Failure> {
    let path = agent.vault_path();
    let is_open = agent
        .vault()
        .is_some_and(|current| current.peek().is_some());
    let (known, is_damaged) = blocking({
        let path = path.clone();
        move || (backups(&path), !is_open && is_damaged(&path))
    })
    .await?;
    if !is_damaged {
        open_vault(agent)?;
    }
    // Before anybody is asked for a touch.
    let known = known.map_err(|error| failure::vault(&error))?;
    let Some(backup) = known.into_iter().find(|backup| backup.number == number) else {
        let fix = "Look at: touchkeep backup list";
        return Err(failure::not_found("older copy", &number.to_string(), fix));
    };
    let why = "Make an older copy the vault again".to_owned();
    let (current, turn) = if is_damaged {
        let turn = agent.lifecycle().await;
        let opened = open_copy(agent, &backup.path, device.as_deref(), why).await?;
        (opened, turn)
    } else {
        let (current, open) = open_vault(agent)?;
        let path = backup.path.clone();
        let undoes = blocking(move || {
            let copy = Locked::open(&path)?.unlock_as(&open.read())?;
            Ok::<_, VaultError>(undoes(&copy, &open.read()))
        })
        .await?;
        // One that this user cannot open brings back what nobody here can name.
        let why = match undoes.as_ref().map(in_words) {
            Ok(words) if words.is_empty() => why,
            Ok(words) => format!("{why}: {words}"),
            Err(_) => format!("{why}, which cannot be looked into"),
        };
        consent::of_owner(agent, Kind::Restored, &why).await?;
        (current, agent.lifecycle().await)
    };
    go_back(agent, current, path, number).await?;
    // What is open is the other one.
    vault::lock(agent).await?;
    drop(turn);
    Ok(Done {})
}

async fn go_back(
    agent: &Arc<Agent>,
    current: Arc<Current>,
    path: PathBuf,
    number: u32,
) -> Result<(), Failure> {
    let agent = Arc::clone(agent);
    blocking(move || {
        let event = Event::new(Kind::Restored, Decision::Touched)
            .text(format!("Made backup {number} the vault again."));
        current.act(event, || {
            let done = danger_restore(&path, &pins(agent.paths()), number);
            done.map_err(|error| failure::vault(&error))
        })
    })
    .await?
}
