//! The recovery kit, and rehearsals: a way back counts when it has opened the vault.

use std::sync::Arc;

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{
    Clock, Code, DeviceId, SystemClock,
    text::{quoted, shell_word},
};
use touchkeep_device::{Auth, DeviceKind, KitDevice, Purpose, RecoveryKit};
use touchkeep_vault::{EnrolledDevice, Item, Locked, NewDevice, SecretPlace, Unlocked};
use touchkeep_wire::{Failure, Kit, Rehearsal, SecretText, WayBack};
use zeroize::Zeroizing;

use super::{
    change,
    enrol::{enrolled_device, govern},
    open_vault,
};
use crate::{
    agent::Agent,
    devices::{Opened, blocking},
    failure,
    ports::{open_enrolled, use_of},
    vault::{
        device_label, device_summary,
        recovery::{kit_in, kit_of, setting, ways},
    },
};

pub(crate) fn list(agent: &Arc<Agent>) -> Result<Vec<WayBack>, Failure> {
    let (_, open) = open_vault(agent)?;
    let vault = open.read();
    Ok(ways(&vault))
}

/// Makes a kit and enrols it. What is on the paper leaves the agent this once.
pub(crate) async fn make(agent: &Arc<Agent>) -> Result<Kit, Failure> {
    let (current, _) = open_vault(agent)?;
    let failed = |error: touchkeep_device::DeviceError| {
        Failure::new(
            Code::System,
            format!("The kit was not made: {error}."),
            "Nothing was changed. Restart the agent (touchkeep agent stop) and make it again.",
        )
    };
    let kit = RecoveryKit::generate().map_err(failed)?;
    // EXPOSE: the words and lines, to the front end that shows them to a person.
    let words = kit.words().map_err(failed)?;
    let [unlock_line, seal_line] = kit.identity_lines();
    let mut device = kit.device().map_err(failed)?;
    let made = SystemClock.now();
    let event = Event::new(Kind::DeviceAdded, Decision::Done).text("Enrolled a recovery kit.");
    let why = "Let a new recovery kit open the vault".to_owned();
    let (open, id) = govern(agent, why, event, move |vault| {
        vault.propose_enroll(NewDevice::Hardware(&mut device, Auth::Nothing), made)
    })
    .await?;
    let vault = open.read();
    let behind = vault.to_reseal().unwrap_or_default();
    let behind = behind.iter().filter_map(|id| vault.item(*id));
    let text = |text: Zeroizing<String>| SecretText::new(text.as_str().to_owned());
    Ok(Kit {
        device: id,
        words: text(words),
        unlock_line: text(unlock_line),
        seal_line: text(seal_line),
        made,
        vault: current.id(),
        to_reseal: behind.map(|item| item.name.clone()).collect(),
    })
}

/// Opens the vault file from nothing with the words of a kit.
pub(crate) async fn prove(agent: &Arc<Agent>, words: SecretText) -> Result<Rehearsal, Failure> {
    let (current, open) = open_vault(agent)?;
    let (path, own) = (current.path().to_owned(), open.device);
    let (device, seen) = blocking(move || {
        let locked = Locked::open(&path).map_err(|error| failure::vault(&error))?;
        let words = Zeroizing::new(words.into_inner());
        let mut kit = kit_of(&words)?;
        let id = kit_in(&locked, &kit)?;
        is_another(id, own)?;
        let opened = locked.unlock(&mut kit, Auth::Nothing);
        let opened = opened.map_err(|error| failure::vault(&error))?;
        unseal(&opened, id, &mut kit)?;
        Ok::<_, Failure>((id, Seen::of(&opened, id)?))
    })
    .await??;
    remember(agent, device, seen).await
}

/// Opens the vault file from nothing with another device than the one that unlocked.
pub(crate) async fn prove_device(agent: &Arc<Agent>, name: String) -> Result<Rehearsal, Failure> {
    let (current, open) = open_vault(agent)?;
    let device = enrolled_device(&open.read(), &name)?;
    if device.kind == DeviceKind::Kit {
        return Err(failure::invalid(
            "A recovery kit is tried with its words.",
            "Run: touchkeep recover drill",
        ));
    }
    let (id, label) = (device.id, device_label(&device));
    is_another(id, open.device)?;
    let path = current.path().to_owned();
    let (wanted, modules) = (device.clone(), agent.modules());
    let opened = agent.devices().with(
        use_of(&device, Purpose::Unlock, "Try the way back".to_owned()),
        move || open_enrolled(&wanted, &open, &modules),
        move |device: &mut Opened, auth| {
            let locked = Locked::open(&path).map_err(failure::vault_or_device)?;
            let opened = locked.unlock(device.device(), auth);
            let opened = opened.map_err(failure::vault_or_device)?;
            Ok(Seen::of(&opened, id)?)
        },
    );
    let seen = opened.await.map_err(|failed| failed.failure(&label))?;
    remember(agent, id, seen).await
}

// What opened the vault today is no way back for the day on which it is lost.
fn is_another(tried: DeviceId, own: DeviceId) -> Result<(), Failure> {
    if tried != own {
        return Ok(());
    }
    Err(failure::invalid(
        "The vault was unlocked with this very device, so trying it shows no way back.",
        "Try another one: touchkeep recover drill --device NAME, or a recovery kit: touchkeep recover drill",
    ))
}

// The kit has a key of its own for sealed values: each that is said to be sealed to it is opened. It asks for nothing more.
fn unseal(vault: &Unlocked, id: DeviceId, kit: &mut KitDevice) -> Result<(), Failure> {
    for item in vault.items() {
        for field in sealed(item).filter(|field| item.sealed_to(field).contains(&id)) {
            let opened = vault.open_sealed_field(item.id, field, kit, Auth::Nothing);
            drop(opened.map_err(|error| does_not_unseal(&item.name, &failure::vault(&error)))?);
        }
    }
    Ok(())
}

fn does_not_unseal(name: &str, failure: &Failure) -> Failure {
    Failure::new(
        Code::DeviceFailed,
        format!(
            "The kit opened the vault, and not the sealed value of {}: {}",
            quoted(name),
            failure.what
        ),
        format!(
            "Seal it again and try again: touchkeep device reseal {}, touchkeep recover drill. If it stays so, make another kit (touchkeep recover kit) and retire this one.",
            shell_word(name)
        ),
    )
}

fn sealed(item: &Item) -> impl Iterator<Item = &str> {
    let places = item.places();
    let sealed = places.filter(|(_, place)| **place == SecretPlace::Sealed);
    sealed.map(|(field, _)| field)
}

// Items with a value that is sealed to others, and not to this device.
fn closed_to(vault: &Unlocked, id: DeviceId) -> Vec<String> {
    let items = vault.items().into_iter();
    let closed =
        items.filter(|item| sealed(item).any(|field| !item.sealed_to(field).contains(&id)));
    closed.map(|item| item.name.clone()).collect()
}

/// What a device that opened the vault from nothing got to see.
struct Seen {
    items: u32,
    closed: Vec<String>,
}

impl Seen {
    // Every stored secret is read, so that the rehearsal is of what matters.
    fn of(vault: &Unlocked, id: DeviceId) -> Result<Self, Failure> {
        let items = vault.items();
        for item in &items {
            for (field, place) in item.places() {
                if *place == SecretPlace::Stored {
                    let secret = vault.field_secret(item.id, field);
                    drop(secret.map_err(|error| failure::vault(&error))?);
                }
            }
        }
        Ok(Self {
            items: u32::try_from(items.len()).unwrap_or(u32::MAX),
            closed: closed_to(vault, id),
        })
    }
}

async fn remember(agent: &Arc<Agent>, id: DeviceId, seen: Seen) -> Result<Rehearsal, Failure> {
    let at = SystemClock.now();
    let done = change(agent, move |agent| {
        let (current, open) = open_vault(agent)?;
        let device: Option<EnrolledDevice> = open.read().device(id).cloned();
        let device = device.ok_or_else(failure::locked)?;
        let but = match seen.closed.len() {
            0 => String::new(),
            closed => format!(", {closed} with sealed values that it does not open"),
        };
        let event = Event::new(Kind::RecoveryTried, Decision::Done).text(format!(
            "{} opened the vault from nothing: {} items{but}.",
            device_label(&device),
            seen.items
        ));
        current.change(event, |vault| {
            let set = vault.set_setting(&setting(id), &at.0.to_string());
            set.map_err(|error| failure::vault(&error))
        })?;
        Ok(Rehearsal {
            device: device_summary(&device),
            at,
            items: seen.items,
            closed: seen.closed,
        })
    })
    .await?;
    agent.prompts().changed("vault");
    Ok(done)
}
