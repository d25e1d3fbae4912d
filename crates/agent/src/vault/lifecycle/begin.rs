//! What begins when a vault is open: its log is found or made and goes on, its policy is in force, armed keys give way. What
//! cannot be recorded does not begin.

use std::sync::{Arc, Mutex, RwLock, atomic::AtomicU64};

use touchkeep_audit::{Decision, Event, Kind, Log, OpenError};
use touchkeep_core::{Code, DeviceId};
use touchkeep_vault::Unlocked;
use touchkeep_wire::Failure;

use crate::{
    agent::Agent,
    devices::{Session, blocking},
    failure,
    grants::Ahead,
    ports::{self, LogHistory},
    uptime::Uptime,
    vault::{Current, Open, acts, checkpoint, device_label, in_force::InForce, log_id},
};

/// What a vault was opened with.
pub(super) struct OpenedBy {
    pub(super) device: DeviceId,
    /// What became of the log's head in the device's hands.
    pub(super) signed: Option<String>,
}

impl OpenedBy {
    pub(super) const fn device(device: DeviceId) -> Self {
        Self {
            device,
            signed: None,
        }
    }
}

/// The vault is open: from here on it is recorded, and its policy is in force.
pub(super) async fn begin(
    agent: &Arc<Agent>,
    current: &Arc<Current>,
    vault: Box<Unlocked>,
    by: OpenedBy,
    kind: Kind,
    session: Session,
) -> Result<(), Failure> {
    let (agent, current) = (Arc::clone(agent), Arc::clone(current));
    blocking(move || put_in_force(&agent, &current, vault, by, kind, session)).await?
}

fn put_in_force(
    agent: &Arc<Agent>,
    current: &Arc<Current>,
    vault: Box<Unlocked>,
    by: OpenedBy,
    kind: Kind,
    session: Session,
) -> Result<(), Failure> {
    if agent.devices().session() != session {
        return Err(locked_meanwhile());
    }
    let log = log_of(current, &vault)?;
    // One that was made now has it already.
    let tags = Tags {
        of: (agent, current),
        log: &log,
        stay: false,
    };
    keep_log_id(agent, current, &log)?;
    let identity = vault.audit_identity();
    let identity = identity.map_err(|error| failure::vault(&error))?;
    log.hold_tag_key(&identity)
        .map_err(|error| failure::read_log(&error))?;
    let devices = current.devices();
    let opened_by = devices.iter().find(|one| one.id == by.device);
    let text = opened_by.map_or_else(String::new, |one| {
        format!("{} with {}.", did(kind), device_label(one))
    });
    let mut event = Event::new(kind, Decision::Done).text(text);
    event.device = opened_by.and_then(|one| one.serial.clone());
    if let Some(signed) = by.signed {
        event = event.detail("signed the log", signed);
    }
    current.record(&event)?;
    checkpoint::sign(&log, &vault)?;
    let history = LogHistory {
        log: log.clone(),
        identity,
    };
    let pipeline = ports::line(agent, current, log.clone());
    // Before the log is read: what armed keys sign is in its sums, or is not signed.
    let armed = agent.disarm();
    if let Some(armed) = &armed {
        armed.pipeline().tell_unsaid();
    }
    let in_force = match InForce::begin(&pipeline, &vault, &history) {
        Ok(in_force) => in_force,
        Err(failure) => {
            if let Some(armed) = armed {
                armed.is_over("The vault was opened, and its log could not be read.");
            }
            return Err(failure);
        }
    };
    pipeline.remember(history.asked());
    let machine = agent.state().log(current.id());
    let mut ahead = Ahead::read_all(&vault);
    ahead.retain(|one| Some(one.machine) == machine);
    agent.gate().load(ahead);
    let open = Open {
        vault: RwLock::new(*vault),
        device: by.device,
        pipeline,
        in_force,
        armed: Mutex::new(armed.as_ref().map(|armed| armed.until())),
        used: AtomicU64::new(0),
        born: Uptime::now(),
    };
    drop(current.replace(Some(Arc::new(open))));
    // A lock ends the session first and closes then, so that one of the two sees the other.
    if agent.devices().session() != session {
        if let Some(open) = current.replace(None) {
            open.pipeline.end();
        }
        if let Some(armed) = armed {
            armed.is_over("It was locked while it was being opened.");
        }
        agent.gate().forget();
        return Err(locked_meanwhile());
    }
    tags.stay();
    tracing::info!("the vault is open");
    Ok(())
}

fn did(kind: Kind) -> &'static str {
    match kind {
        Kind::VaultCreated => "Made the vault",
        _ => "Opened the vault",
    }
}

/// What the log has to tag its rows with, until it is known that the vault stays open. Armed keys that write to the same log need it
/// where it does not.
struct Tags<'a> {
    of: (&'a Agent, &'a Arc<Current>),
    log: &'a Log,
    stay: bool,
}

impl Tags<'_> {
    fn stay(mut self) {
        self.stay = true;
    }
}

impl Drop for Tags<'_> {
    fn drop(&mut self) {
        let (agent, current) = self.of;
        let is_needed = || agent.armed().is_some_and(|armed| armed.write_to(current));
        if !self.stay && !is_needed() {
            self.log.drop_tag_key();
        }
    }
}

pub(super) fn locked_meanwhile() -> Failure {
    Failure::new(
        Code::Locked,
        "It was locked while it was being opened.",
        "Unlock it again.",
    )
}

pub(in crate::vault) fn log_of(current: &Current, vault: &Unlocked) -> Result<Log, Failure> {
    let recipient = vault.audit_recipient();
    if let Some(log) = current.log() {
        return if log.recipient() == recipient {
            Ok(log.clone())
        } else {
            Err(failure::open_log(&OpenError::OtherVault))
        };
    }
    let log = Log::create(current.log_path(), &current.id().to_string(), &recipient)
        .map_err(|error| failure::open_log(&error))?;
    acts::found(&log);
    Ok(current.log.get_or_init(|| log).clone())
}

// A log that takes another one's place is found by this.
pub(in crate::vault) fn keep_log_id(
    agent: &Agent,
    current: &Current,
    log: &Log,
) -> Result<(), Failure> {
    let Some(id) = log_id(log.origin()) else {
        return Ok(());
    };
    let kept = agent.state().keep_log(current.id(), id);
    kept.map_err(|error| failure::state(&error))
}

#[cfg(test)]
mod tests;
