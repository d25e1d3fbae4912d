//! Devices of the vault: enrolled, retired; values sealed again for those that came later.

use std::sync::Arc;

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{
    ApiSecret, Clock, Code, DeviceId, ItemId, SystemClock,
    text::{quoted, visible},
};
use touchkeep_device::{Auth, DeviceKind, Purpose, attestation::Trust};
use touchkeep_vault::{
    EnrolledDevice, Hand, NewDevice as Newcomer, Proposal, SealClass, SecretPlace, Unlocked,
};
use touchkeep_wire::{Done, Enrolled, Failure, ItemSummary, NewDevice, RetireReport};

use super::{change, items, open_vault};
use crate::{
    agent::Agent,
    consent,
    devices::{Connected, Failed, Opened, Use, blocking},
    failure,
    ports::{open_enrolled, use_of},
    vault::{
        MIN_WORK_FACTOR, Open, device_label, device_summary, find_device, find_token, is_called,
        keep_module, keep_used_module, new_passphrase,
    },
};

pub(crate) async fn enroll(agent: &Arc<Agent>, wanted: NewDevice) -> Result<Enrolled, Failure> {
    let (current, _) = open_vault(agent)?;
    match wanted {
        NewDevice::Software { work_factor } => {
            if work_factor < MIN_WORK_FACTOR && !current.is_practice() {
                return Err(failure::invalid(
                    format!(
                        "A work factor of {work_factor} is too weak for a vault that is no practice."
                    ),
                    format!("Use {MIN_WORK_FACTOR} or more."),
                ));
            }
            let passphrase = new_passphrase(agent, current.is_practice()).await?;
            enrolled(agent, "a passphrase".into(), move |vault| {
                let new = Newcomer::Software {
                    passphrase: &passphrase,
                    work_factor,
                };
                vault.propose_enroll(new, SystemClock.now())
            })
            .await
        }
        NewDevice::Piv { serial, adopt } => {
            let device = find_device(agent, DeviceKind::Piv, &serial).await?;
            newcomer(agent, device, adopt).await
        }
        NewDevice::Pkcs11 { module, token } => {
            let device = find_token(agent, &module, &token).await?;
            newcomer(agent, device, None).await
        }
    }
}

async fn newcomer(
    agent: &Arc<Agent>,
    device: Connected,
    adopt: Option<String>,
) -> Result<Enrolled, Failure> {
    let newcomer = device.newcomer();
    let used = device.module().cloned();
    let enrolled = on_hardware(agent, device, adopt).await;
    let id = enrolled.as_ref().ok().map(|enrolled| enrolled.device.id);
    agent.devices().becomes(&newcomer, id);
    let enrolled = enrolled?;
    keep_used_module(agent, used.as_ref())?;
    Ok(enrolled)
}

async fn on_hardware(
    agent: &Arc<Agent>,
    device: Connected,
    adopt: Option<String>,
) -> Result<Enrolled, Failure> {
    let label = device.label();
    let looked_at = device.clone();
    let wanted = adopt.clone();
    let (current, _) = open_vault(agent)?;
    let known = current.devices();
    let vault_has = known.clone();
    let trust = Trust::of(current.is_practice());
    blocking(move || looked_at.may_be_enrolled(wanted.as_deref(), &vault_has, trust)).await??;
    let what = Use {
        device: label.clone(),
        which: Some(device.newcomer()),
        key: None,
        why: "Make the vault's keys on it".to_owned(),
        touch: None,
        fresh: false,
    };
    let (opener, adopted) = (device.clone(), adopt.clone());
    let made = agent.devices().with(
        what,
        move || Ok(opener.open()?),
        move |opened: &mut Opened, auth| {
            opened.adopt(adopted.as_deref())?;
            opened.avoid(&known);
            if let Some(provision) = opened.provision() {
                provision.provision(auth)?;
            }
            Ok(())
        },
    );
    made.await.map_err(|failed| failed.failure(&label))?;
    enrolled(agent, label, move |vault| {
        let mut opened = device.open()?;
        opened.adopt(adopt.as_deref())?;
        opened.is_as_attested()?;
        // What it states of itself needs no PIN.
        let new = Newcomer::Hardware(opened.device(), Auth::Nothing);
        vault.propose_enroll(new, SystemClock.now())
    })
    .await
}

async fn enrolled(
    agent: &Arc<Agent>,
    what: String,
    propose: impl FnOnce(&Unlocked) -> Result<(DeviceId, Proposal), touchkeep_vault::VaultError>
    + Send
    + 'static,
) -> Result<Enrolled, Failure> {
    let why = format!("Let {what} open the vault");
    let event = Event::new(Kind::DeviceAdded, Decision::Done).text(format!("Enrolled {what}."));
    let (open, id) = govern(agent, why, event, propose).await?;
    let vault = open.read();
    let device = vault.device(id).ok_or_else(failure::locked)?;
    let to_reseal = behind(&vault);
    let sealed = vault.items().into_iter().filter(|item| {
        let mut places = item.places();
        places.any(|(field, place)| {
            *place == SecretPlace::Sealed && !item.sealed_to(field).contains(&id)
        })
    });
    let sealed = sealed.map(|item| item.name.clone());
    Ok(Enrolled {
        device: device_summary(device),
        closed: sealed.filter(|name| !to_reseal.contains(name)).collect(),
        to_reseal,
    })
}

fn behind(vault: &Unlocked) -> Vec<String> {
    let ids = vault.to_reseal().unwrap_or_default();
    names(vault, &ids)
}

fn names(vault: &Unlocked, ids: &[ItemId]) -> Vec<String> {
    let items = ids.iter().filter_map(|id| vault.item(*id));
    items.map(|item| item.name.clone()).collect()
}

// Each item once, of whichever fields.
fn names_of(vault: &Unlocked, fields: &[(ItemId, String)]) -> Vec<String> {
    let mut ids: Vec<ItemId> = fields.iter().map(|(id, _)| *id).collect();
    ids.dedup();
    names(vault, &ids)
}

fn lost(vault: &Unlocked, versions: &[(ItemId, String, u32)]) -> Vec<String> {
    let versions = versions.iter().filter_map(|(id, field, version)| {
        let name = &vault.item(*id)?.name;
        Some(format!("{name}: {field} (version {version})"))
    });
    versions.collect()
}

/// A change of the membership: proposed while the vault is only looked at, signed by the device that unlocked it, with
/// whatever that asks of a person, recorded, and saved.
///
/// # Errors
/// When any of these did not.
pub(crate) async fn govern<T: Send + 'static>(
    agent: &Arc<Agent>,
    why: String,
    event: Event,
    propose: impl FnOnce(&Unlocked) -> Result<(T, Proposal), touchkeep_vault::VaultError>
    + Send
    + 'static,
) -> Result<(Arc<Open>, T), Failure> {
    let (current, open) = open_vault(agent)?;
    let signer = current
        .devices()
        .iter()
        .find(|device| device.id == open.device)
        .cloned()
        .ok_or_else(failure::locked)?;
    let proposed = blocking({
        let open = Arc::clone(&open);
        move || propose(&open.read()).map_err(|error| failure::vault(&error))
    });
    let (result, mut proposal) = proposed.await??;
    let (id, label) = (signer.id, device_label(&signer));
    let (wanted, opened, modules) = (signer.clone(), Arc::clone(&open), agent.modules());
    // Anybody who runs as this user can ask for it. Where no finger is waited for, a PIN that is remembered would be no consent.
    let what = Use {
        fresh: signer.seals != Ok(SealClass::Touch),
        ..use_of(&signer, Purpose::SignVault, why)
    };
    let signed = agent.devices().with(
        what,
        move || open_enrolled(&wanted, &opened, &modules),
        move |opened: &mut Opened, auth| {
            let mut hand = Hand {
                device: opened.device(),
                auth,
            };
            let signed = proposal.sign(id, &mut hand);
            signed.map_err(failure::vault_or_device)?;
            Ok(proposal)
        },
    );
    let proposal = signed.await.map_err(|failed| failed.failure(&label))?;
    let mut event = event;
    event.device = signer.serial;
    change(agent, move |agent| {
        let (current, _) = open_vault(agent)?;
        current.change(event, |vault| {
            let done = vault.enact(proposal, SystemClock.now(), current.audit_head());
            done.map_err(|error| failure::vault(&error))
        })
    })
    .await?;
    agent.prompts().changed("vault");
    Ok((open, result))
}

pub(crate) async fn retire(
    agent: &Arc<Agent>,
    name: String,
    dry_run: bool,
) -> Result<RetireReport, Failure> {
    let (_, open) = open_vault(agent)?;
    let device = enrolled_device(&open.read(), &name)?;
    let id = device.id;
    let looked_at = {
        let vault = open.read();
        let follows = vault.propose_retire(id, SystemClock.now());
        let (follows, _) = follows.map_err(|error| failure::vault(&error))?;
        let left = vault.own_devices().filter(|left| left.id != id);
        RetireReport {
            device: device_summary(&device),
            done: false,
            readable: names(&vault, &follows.readable),
            sealed: names(&vault, &follows.sealed),
            closed: names_of(&vault, &follows.closed),
            on_device: names(&vault, &follows.on_device),
            lost: lost(&vault, &follows.lost),
            left: left.map(device_summary).collect(),
        }
    };
    if dry_run {
        return Ok(looked_at);
    }
    let label = device_label(&device);
    let event = Event::new(Kind::DeviceRetired, Decision::Done).text(format!(
        "Retired {label}. Keys that it may have read: {}; sealed: {}.",
        looked_at.readable.len(),
        looked_at.sealed.len()
    ));
    // Whoever is asked for the touch may see that question alone.
    let names: Vec<String> = looked_at.closed.iter().map(|name| visible(name)).collect();
    let (why, event) = match &names[..] {
        [] => (format!("Retire {label}"), event),
        closed => {
            let closed = closed.join(", ");
            let why =
                format!("Retire {label}, after which nothing opens what is sealed in: {closed}");
            (why, event.detail("closed", closed))
        }
    };
    govern(agent, why, event, move |vault| {
        vault.propose_retire(id, SystemClock.now())
    })
    .await?;
    Ok(RetireReport {
        done: true,
        ..looked_at
    })
}

/// A device of the vault, by its id, its serial number, or `kit` where there is one.
///
/// # Errors
/// There is none, or more than one.
pub(crate) fn enrolled_device(vault: &Unlocked, name: &str) -> Result<EnrolledDevice, Failure> {
    let means = |device: &&EnrolledDevice| is_called(device, name);
    let found: Vec<_> = vault.own_devices().filter(means).collect();
    match found[..] {
        [device] => Ok(device.clone()),
        [] => Err(failure::not_found(
            "device",
            name,
            "Look at: touchkeep device list",
        )),
        _ => Err(Failure::new(
            Code::Ambiguous,
            format!("{} means more than one device.", quoted(name)),
            "Use the device's id: touchkeep device list --json",
        )),
    }
}

pub(crate) async fn reseal(
    agent: &Arc<Agent>,
    wanted: Vec<String>,
) -> Result<Vec<ItemSummary>, Failure> {
    let (_, open) = open_vault(agent)?;
    let ids = if wanted.is_empty() {
        let behind = open.read().to_reseal();
        behind.map_err(|error| failure::vault(&error))?
    } else {
        let mut ids = Vec::new();
        for name in &wanted {
            let item = open.item(name)?;
            if item
                .places()
                .all(|(_, place)| *place != SecretPlace::Sealed)
            {
                return Err(failure::invalid(
                    format!("No secret of {} is sealed.", quoted(name)),
                    "Look at: touchkeep list",
                ));
            }
            ids.push(item.id);
        }
        ids
    };
    let (openers, closed) = openers(&open.read(), &ids, open.device);
    for (device, fields) in openers {
        // A touch or a passphrase is for one value; 24 words are typed once for all.
        let at_once = match device.kind {
            DeviceKind::Kit => fields.len(),
            DeviceKind::Software | DeviceKind::Piv | DeviceKind::Pkcs11 => 1,
        };
        for fields in fields.chunks(at_once) {
            reseal_some(agent, &open, &device, fields.to_vec()).await?;
        }
    }
    let vault = open.read();
    if !closed.is_empty() {
        let names = names_of(&vault, &closed);
        let names: Vec<String> = names.iter().map(|name| visible(name)).collect();
        return Err(Failure::new(
            Code::NoDevice,
            format!(
                "No device in use opens what is sealed in {}, so it cannot be sealed again.",
                names.join(", ")
            ),
            "Put it in anew, from the venue: touchkeep edit NAME --secret",
        ));
    }
    let done = ids.iter().filter_map(|id| vault.item(*id));
    Ok(done.map(|item| items::summary(&vault, item)).collect())
}

type Fields = Vec<(ItemId, String)>;

// Sealed fields of these items under the device that is to open them, preferably the one that unlocked; and those that none opens.
fn openers(
    vault: &Unlocked,
    ids: &[ItemId],
    preferred: DeviceId,
) -> (Vec<(EnrolledDevice, Fields)>, Fields) {
    let mut devices: Vec<_> = vault.own_devices().cloned().collect();
    // Words from paper are typed where nothing else helps.
    devices.sort_by_key(|device| (device.id != preferred, device.kind == DeviceKind::Kit));
    let mut openers: Vec<_> = devices.into_iter().map(|it| (it, Vec::new())).collect();
    let mut closed = Vec::new();
    for item in ids.iter().filter_map(|id| vault.item(*id)) {
        let sealed = item
            .places()
            .filter(|(_, place)| **place == SecretPlace::Sealed);
        for (field, _) in sealed {
            let to = item.sealed_to(field);
            let mut able = openers.iter_mut();
            let able = able.find(|(device, _)| to.is_empty() || to.contains(&device.id));
            let fields = able.map_or(&mut closed, |(_, fields)| fields);
            fields.push((item.id, field.to_owned()));
        }
    }
    openers.retain(|(_, fields)| !fields.is_empty());
    (openers, closed)
}

async fn reseal_some(
    agent: &Arc<Agent>,
    open: &Arc<Open>,
    device: &EnrolledDevice,
    fields: Vec<(ItemId, String)>,
) -> Result<(), Failure> {
    let mut ids: Vec<ItemId> = fields.iter().map(|(id, _)| *id).collect();
    ids.dedup();
    let shown = names(&open.read(), &ids);
    let shown: Vec<String> = shown.iter().map(|name| visible(name)).collect();
    let why = format!("Seal {} again", shown.join(", "));
    let label = device_label(device);
    let (wanted, opened, modules) = (device.clone(), Arc::clone(open), agent.modules());
    let (read, opened_fields) = (Arc::clone(open), fields.clone());
    let secrets = agent.devices().with(
        use_of(device, Purpose::Seal, why),
        move || open_enrolled(&wanted, &opened, &modules),
        move |device, auth| {
            let mut open_one = |(id, field): &(ItemId, String)| {
                read.read()
                    .open_sealed_field(*id, field, device.device(), auth)
                    .map_err(failure::vault_or_device)
            };
            opened_fields
                .iter()
                .map(&mut open_one)
                .collect::<Result<Vec<ApiSecret>, Failed>>()
        },
    );
    let secrets = secrets.await.map_err(|failed| failed.failure(&label))?;
    for ((id, field), secret) in fields.into_iter().zip(secrets) {
        seal_again(agent, open, (id, field), secret).await?;
    }
    Ok(())
}

async fn seal_again(
    agent: &Arc<Agent>,
    open: &Arc<Open>,
    (id, field): (ItemId, String),
    secret: ApiSecret,
) -> Result<(), Failure> {
    let name = open.read().item(id).map(|item| item.name.clone());
    let name = name.unwrap_or_default();
    change(agent, move |agent| {
        let (current, _) = open_vault(agent)?;
        let event = Event::new(Kind::ItemChanged, Decision::Done).text(format!(
            "Sealed the secret of {} again, for devices that came later.",
            visible(&name)
        ));
        current.change(event, |vault| {
            let sealed = vault.seal_again(id, &field, secret);
            sealed.map_err(|error| failure::vault(&error))
        })
    })
    .await
}

/// Takes a PKCS#11 module that was updated as the one that is meant from now on.
pub(crate) async fn accept_module(agent: &Arc<Agent>, path: String) -> Result<Done, Failure> {
    let known = agent.state().modules();
    if known
        .iter()
        .all(|module| module.path.as_os_str() != path.as_str())
    {
        return Err(failure::not_found(
            "enrolled PKCS#11 module",
            &path,
            "Look at: touchkeep doctor",
        ));
    }
    let why = format!("Take the module {} as it is now", visible(&path));
    consent::of_owner(agent, Kind::DeviceAdded, &why).await?;
    let current = agent.some_vault()?;
    let event = Event::new(Kind::DeviceAdded, Decision::Touched).text(format!("{why}."));
    let agent = Arc::clone(agent);
    blocking(move || current.act(event, || keep_module(&agent, &path))).await??;
    Ok(Done {})
}
