//! Older copies of the vault, and the deliberate way back.

use std::{path::PathBuf, sync::Arc};

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_vault::{Backup, Locked, backups, danger_restore};
use touchkeep_wire::{BackupSummary, Done, Failure};

use super::open_vault;
use crate::{
    agent::Agent,
    consent,
    devices::blocking,
    failure,
    vault::{self, Current, is_damaged, open_copy, pins},
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
                summary.items = Some(u32::try_from(items).unwrap_or(u32::MAX));
            }
            Err(error) => summary.problem = Some(failure::vault(&error).what),
        }
    }
    summary
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
        let (current, _) = open_vault(agent)?;
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
