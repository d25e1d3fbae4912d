//! The way back from a vault file that does not read: one of its older copies, opened with a device or a kit. Who opens the copy is
//! the one who may say that it is the vault again.

use std::{path::Path, sync::Arc};

use touchkeep_device::{DeviceKind, Purpose};
use touchkeep_vault::{Locked, VaultError};
use touchkeep_wire::Failure;

use super::{
    Current,
    choose::{Wanted, choose},
    device_label,
    lifecycle::{keep_log_id, log_of},
};
use crate::{
    agent::Agent,
    devices::{Opened, Use, blocking},
    failure,
    ports::use_of,
};

/// Whether the vault's file is there and does not read.
pub(crate) fn is_damaged(path: &Path) -> bool {
    matches!(
        Locked::open(path),
        Err(VaultError::NotAVault { .. } | VaultError::Damaged(_) | VaultError::Content { .. })
    )
}

/// Opens an older copy, with whatever that asks of a person. The vault's log is there afterwards.
///
/// # Errors
/// It is no vault, no device of it is there, or a person or the device did not.
pub(crate) async fn open_copy(
    agent: &Arc<Agent>,
    copy: &Path,
    device: Option<&str>,
    why: String,
) -> Result<Arc<Current>, Failure> {
    let (current, locked) = blocking({
        let (agent, copy) = (Arc::clone(agent), copy.to_owned());
        move || {
            let locked = Locked::open(&copy).map_err(|error| failure::vault(&error))?;
            Ok::<_, Failure>((Current::of(&locked, agent.paths())?, locked))
        }
    })
    .await??;
    let (device, connected) = choose(agent, &current, Wanted::OrKit(device)).await?;
    let label = device_label(&device);
    let without_wire = match device.kind {
        DeviceKind::Software => Some(locked.software_device(device.id).map(Opened::Software)),
        DeviceKind::Kit => Some(locked.paper_kit(device.id).map(Opened::Kit)),
        DeviceKind::Piv | DeviceKind::Pkcs11 => None,
    };
    let without_wire = without_wire.transpose();
    let without_wire = without_wire.map_err(|error| failure::vault(&error))?;
    let what = Use {
        fresh: true,
        ..use_of(&device, Purpose::Unlock, why)
    };
    let (logged, agent_of_log) = (Arc::clone(&current), Arc::clone(agent));
    let opened = agent.devices().with(
        what,
        move || match (without_wire, connected) {
            (Some(opened), _) => Ok(opened),
            (None, Some(connected)) => Ok(connected.open_as(&device)?),
            (None, None) => Err(failure::locked().into()),
        },
        move |opened: &mut Opened, auth| {
            let vault = locked.unlock(opened.device(), auth).map(Box::new);
            let vault = vault.map_err(failure::vault_or_device)?;
            let log = log_of(&logged, &vault)?;
            Ok(keep_log_id(&agent_of_log, &logged, &log)?)
        },
    );
    opened.await.map_err(|failed| failed.failure(&label))?;
    Ok(current)
}
