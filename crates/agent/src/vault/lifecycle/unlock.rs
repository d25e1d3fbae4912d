//! A vault is opened: with a device of it, or with the words of a recovery kit.

use std::{path::PathBuf, sync::Arc};

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_device::{Auth, Purpose};
use touchkeep_vault::Locked;
use touchkeep_wire::{Failure, SecretText, VaultSummary};

use super::{
    begin::{OpenedBy, begin},
    lock::{Because, lock, lock_because},
};
use crate::{
    agent::Agent,
    devices::{Failed, Opened, Use, Which, blocking},
    failure,
    vault::{
        Current, checkpoint,
        choose::{Chosen, Wanted, choose},
        device_label, is_same_file, read, recovery,
    },
};

/// Opens a vault with the first enrolled device that is connected.
pub(crate) async fn unlock(
    agent: &Arc<Agent>,
    path: Option<String>,
    device: Option<String>,
) -> Result<VaultSummary, Failure> {
    let _turn = agent.lifecycle().await;
    let path = match path {
        Some(path) => PathBuf::from(path),
        None => agent.vault_path(),
    };
    let here = agent
        .vault()
        .filter(|current| is_same_file(current.path(), &path));
    // What is armed of this very vault goes on until that is open again.
    let same = here.is_some();
    if let Some(current) = here.filter(|current| current.peek().is_some()) {
        return Ok(current.summary());
    }
    let (current, locked) = blocking({
        let (agent, path) = (Arc::clone(agent), path.clone());
        move || Current::load(&path, agent.paths())
    })
    .await??;
    let chosen = choose(agent, &current, Wanted::Daily(device.as_deref())).await;
    let is_used = |other: Arc<Current>| other.peek().is_some() || agent.armed().is_some();
    // Neither a device that is not there nor, before it, a file that is no vault is a reason to lock another one.
    if !same && agent.vault().is_some_and(is_used) && chosen.is_err() {
        return chosen.map(|_| current.summary());
    }
    lock_because(
        agent,
        if same {
            Because::Asked
        } else {
            Because::AskedAll
        },
    )
    .await?;
    agent.remember_vault(&current);
    let chosen = chosen?;
    let opened = open_with(agent, &current, locked, chosen.clone()).await;
    if let Err(failure) = &opened {
        let event = Event::new(Kind::UnlockFailed, Decision::Failed).text(format!(
            "With {}: {}",
            device_label(&chosen.0),
            failure.what
        ));
        let current = Arc::clone(&current);
        // A vault that was never open here has no log yet.
        blocking(move || current.log().map(|_| current.record(&event)))
            .await?
            .transpose()?;
    }
    opened?;
    agent.prompts().changed("vault");
    Ok(current.summary())
}

async fn open_with(
    agent: &Arc<Agent>,
    current: &Arc<Current>,
    locked: Locked,
    (device, connected): Chosen,
) -> Result<(), Failure> {
    let label = device_label(&device);
    let session = agent.devices().session();
    let what = Use {
        device: label.clone(),
        which: Which::of(&device),
        key: device.key(Purpose::Unlock).map(|key| key.key.clone()),
        why: "Unlock the vault".to_owned(),
        touch: None,
        fresh: false,
    };
    let software = match connected {
        None => Some(
            locked
                .software_device(device.id)
                .map_err(|error| failure::vault(&error))?,
        ),
        Some(_) => None,
    };
    let (id, known, log) = (device.id, device.clone(), current.log().cloned());
    let opened = agent.devices().with(
        what,
        move || match (software, connected) {
            (Some(software), _) => Ok(Opened::Software(software)),
            (None, Some(connected)) => Ok(connected.open_as(&known)?),
            (None, None) => Err(Failed::Other(failure::locked())),
        },
        move |opened: &mut Opened, auth: Auth<'_>| {
            let vault = locked.unlock(opened.device(), auth).map(Box::new);
            let vault = vault.map_err(failure::vault_or_device)?;
            let signed = checkpoint::sign_at_unlock(log.as_ref(), &device, opened.device(), auth);
            Ok((vault, signed))
        },
    );
    // Not in the use itself: that goes on when whoever asked has gone or has refused the touch, and then nothing may open.
    let (vault, signed) = opened.await.map_err(|failed| failed.failure(&label))?;
    let by = OpenedBy {
        signed,
        ..OpenedBy::device(id)
    };
    begin(agent, current, vault, by, Kind::Unlocked, session).await
}

/// Opens a vault with the words of a recovery kit. They are not kept: each consent asks for them again.
pub(crate) async fn unlock_with_kit(
    agent: &Arc<Agent>,
    path: Option<String>,
    words: SecretText,
) -> Result<VaultSummary, Failure> {
    let _turn = agent.lifecycle().await;
    let path = path.map_or_else(|| agent.vault_path(), PathBuf::from);
    let words = zeroize::Zeroizing::new(words.into_inner());
    // Words that were mistyped, or are of another paper, are no reason to lock what is open.
    let (words, path) = blocking({
        let agent = Arc::clone(agent);
        move || {
            let locked = read(&path, agent.paths())?;
            recovery::kit_in(&locked, &recovery::kit_of(&words)?)?;
            Ok::<_, Failure>((words, path))
        }
    })
    .await??;
    lock(agent).await?;
    let session = agent.devices().session();
    let opened = blocking({
        let agent = Arc::clone(agent);
        move || {
            let (current, locked) = Current::load(&path, agent.paths())?;
            let mut kit = recovery::kit_of(&words)?;
            let id = recovery::kit_in(&locked, &kit)?;
            let vault = locked.unlock(&mut kit, Auth::Nothing);
            let vault = vault.map_err(|error| failure::vault(&error))?;
            Ok::<_, Failure>((current, Box::new(vault), id))
        }
    });
    let (current, vault, id) = opened.await??;
    agent.remember_vault(&current);
    let by = OpenedBy::device(id);
    begin(agent, &current, vault, by, Kind::Unlocked, session).await?;
    agent.prompts().changed("vault");
    Ok(current.summary())
}
