//! Older copies of the vault, the deliberate way back, and other copies that are taken in.

use std::{path::PathBuf, sync::Arc};

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_vault::{Backup, Locked, backups, danger_restore, merge_into};
use touchkeep_wire::{BackupSummary, Done, Failure, Merged};

use super::{change, open_vault};
use crate::{
    agent::Agent,
    consent,
    devices::blocking,
    failure,
    vault::{self, Current, Open, is_damaged, open_copy, pins},
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

pub(crate) async fn merge(agent: &Arc<Agent>, path: String) -> Result<Merged, Failure> {
    let other = PathBuf::from(&path);
    if !other.is_absolute() {
        return Err(failure::invalid(
            "The other copy's path is not absolute.",
            "Give the whole path.",
        ));
    }
    let vault_path = agent.vault_path();
    let changed = {
        let (agent, other) = (Arc::clone(agent), other.clone());
        change(&agent, move |agent| {
            let merge = || merge_into(&vault_path, &other).map_err(|error| failure::vault(&error));
            let current = agent.vault();
            let Some(current) = current.filter(|current| current.log().is_some()) else {
                return merge();
            };
            let text = format!("Took in {}.", touchkeep_core::text::visible(&path));
            current.act(Event::new(Kind::Merged, Decision::Done).text(text), merge)
        })
        .await?
    };
    let open = agent.vault().and_then(|current| current.peek());
    let mut conflicts = Vec::new();
    let mut locked = false;
    match open {
        _ if !changed => {}
        Some(open) => {
            // What could only be read may have all that it lacked now: the next unlock looks.
            locked = open.read().read_only().is_some();
            if locked {
                vault::lock(agent).await?;
            } else {
                conflicts = in_force(agent, &open).await?;
            }
        }
        None => vault::disarm_because(agent, UNSEEN).await,
    }
    agent.prompts().changed("vault");
    Ok(Merged {
        changed,
        conflicts,
        locked,
    })
}

/// Why armed keys end with a merge.
const UNSEEN: &str = "A copy was taken in, and while the vault is locked nobody can see whether that revoked something.";

// What came in is in force, or the vault is locked: it may have revoked what would be let through else.
async fn in_force(agent: &Arc<Agent>, open: &Arc<Open>) -> Result<Vec<String>, Failure> {
    let failure = match taken_in(agent, open).await {
        Ok(conflicts) => return Ok(conflicts),
        Err(failure) => failure,
    };
    vault::lock_because(agent, vault::Because::Elsewhere).await?;
    agent.prompts().changed("vault");
    let what = format!(
        "The copy was taken in, and the vault was locked, for what it says could not be put in force: {}",
        failure.what
    );
    let fix = "Unlock it again, which reads all of it anew: touchkeep unlock";
    Err(Failure::new(failure.code, what, fix))
}

// An open vault joins what came in, and sees it.
async fn taken_in(agent: &Arc<Agent>, open: &Arc<Open>) -> Result<Vec<String>, Failure> {
    change(agent, |agent| {
        let (current, _) = open_vault(agent)?;
        current.save_now()
    })
    .await?;
    let vault = open.read();
    let ids = vault.conflicts();
    let items = ids.iter().filter_map(|id| vault.item(*id));
    Ok(items.map(|item| item.name.clone()).collect())
}
