//! Which connected device is meant.

use std::{path::PathBuf, sync::Arc};

use touchkeep_core::Code;
use touchkeep_device::{DeviceError, DeviceKind};
use touchkeep_device_pkcs11::module::{ModuleError, hash_of};
use touchkeep_vault::EnrolledDevice;
use touchkeep_wire::Failure;

use super::{Current, device_label, is_called};
use crate::{
    agent::Agent,
    devices::{
        Connected, Module, blocking, connected, device_failure, known, tokens, why_missed, yubikeys,
    },
};

/// An enrolled device, and where it is connected; the software device and a kit are nowhere.
pub(crate) type Chosen = (EnrolledDevice, Option<Connected>);

/// Which device somebody wants, where he says so.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// One that is used every day.
    Daily(Option<&'a str>),
    /// One of those, or a recovery kit that is named.
    OrKit(Option<&'a str>),
}

/// The device that was named; else the first that is connected, hardware before the passphrase.
pub(super) async fn choose(
    agent: &Arc<Agent>,
    current: &Arc<Current>,
    wanted: Wanted<'_>,
) -> Result<Chosen, Failure> {
    let (wanted, takes_kit) = match wanted {
        Wanted::Daily(wanted) => (wanted, false),
        Wanted::OrKit(wanted) => (wanted, wanted.is_some()),
    };
    let mut candidates: Vec<EnrolledDevice> = current
        .devices()
        .iter()
        .filter(|device| !device.retired && (takes_kit || device.kind != DeviceKind::Kit))
        .filter(|device| wanted.is_none_or(|wanted| is_called(device, wanted)))
        .cloned()
        .collect();
    if let (Some(name), true) = (wanted, candidates.is_empty()) {
        return by_label(agent, current, name).await;
    }
    let is_at_hand =
        |device: &EnrolledDevice| matches!(device.kind, DeviceKind::Software | DeviceKind::Kit);
    candidates.sort_by_key(is_at_hand);
    let needs_hardware = !candidates.iter().all(is_at_hand);
    let there = if needs_hardware {
        let modules = agent.modules();
        blocking(move || connected(&modules)).await?
    } else {
        Vec::new()
    };
    for device in &candidates {
        if is_at_hand(device) {
            return Ok((device.clone(), None));
        }
        let (found, wanted) = (there.clone(), device.clone());
        if let Some(found) = blocking(move || known(&found, &wanted)).await? {
            return Ok((device.clone(), Some(found)));
        }
    }
    let is_wanted = |kind| candidates.iter().any(|device| device.kind == kind);
    let mut cards = candidates.iter().filter(|it| it.kind == DeviceKind::Piv);
    if let Some(card) = cards.find_map(|card| card.serial.as_deref()?.parse().ok()) {
        blocking(move || may_be_kept(card)).await??;
    }
    if is_wanted(DeviceKind::Pkcs11) {
        let modules = agent.modules();
        if let Some(failure) = blocking(move || why_missed(&modules)).await? {
            return Err(failure);
        }
    }
    let names: Vec<_> = candidates.iter().map(device_label).collect();
    if is_wanted(DeviceKind::Pkcs11) && agent.modules().is_empty() {
        return Err(no_module(agent, &names));
    }
    Err(Failure::new(
        Code::NoDevice,
        if names.is_empty() {
            "The vault knows no such device.".to_owned()
        } else {
            format!(
                "None of the vault's devices is connected: {}.",
                names.join(", ")
            )
        },
        "Plug one in and try again; `touchkeep device list` shows what is seen.",
    ))
}

// Which module a token is behind is this machine's: the vault does not say it, and no file of a vault has anything loaded.
fn no_module(agent: &Agent, names: &[String]) -> Failure {
    let config = agent.paths().config.display().to_string();
    Failure::new(
        Code::NoDevice,
        format!(
            "None of the vault's devices is connected: {}. This machine knows no PKCS#11 module, so no token is seen.",
            names.join(", ")
        ),
        format!(
            "Name the module in {}, as `[[device.pkcs11.modules]]` with `path = \"…\"`, and start the agent anew: touchkeep agent stop",
            touchkeep_core::text::visible(&config)
        ),
    )
}

// A card that another program has is there, and nobody can say which it is.
fn may_be_kept(serial: u32) -> Result<(), Failure> {
    match touchkeep_device_piv::find(serial) {
        Err(error @ (DeviceError::Busy { .. } | DeviceError::Reset)) => {
            Err(device_failure(&error, "The YubiKey"))
        }
        _ => Ok(()),
    }
}

/// The vault's token that calls itself so, now that it is connected: the vault keeps its number alone.
pub(crate) async fn by_label(
    agent: &Arc<Agent>,
    current: &Arc<Current>,
    name: &str,
) -> Result<Chosen, Failure> {
    let mut tokens = current.devices().to_vec();
    tokens.retain(|device| device.kind == DeviceKind::Pkcs11 && !device.retired);
    let (modules, label) = (agent.modules(), label_in(name).to_owned());
    let (mut found, missed) = blocking(move || {
        if tokens.is_empty() {
            return (Vec::new(), None);
        }
        let there = connected(&modules);
        let place = |device: EnrolledDevice| {
            let found = known(&there, &device).filter(|found| found.is_labelled(&label))?;
            Some((device, Some(found)))
        };
        let found: Vec<Chosen> = tokens.into_iter().filter_map(place).collect();
        let missed = found.is_empty().then(|| why_missed(&modules)).flatten();
        (found, missed)
    })
    .await?;
    match (found.pop(), &found[..]) {
        (Some(only), []) => Ok(only),
        (Some(last), others) => {
            let ids = others.iter().chain([&last]).map(|(it, _)| it.id.to_string());
            Err(Failure::new(
                Code::Ambiguous,
                "Several of the vault's tokens are called so.",
                format!(
                    "Use the id of the one that is meant: {}",
                    ids.collect::<Vec<_>>().join(", ")
                ),
            ))
        }
        (None, _) => Err(missed.unwrap_or_else(|| Failure::new(
            Code::NoDevice,
            "The vault knows no such device, and no token of it that is connected is called so.",
            "Use a serial number, an id, a token's label, or passphrase; `touchkeep device list` shows what is seen.",
        ))),
    }
}

// The label in what `init` takes, `pkcs11:MODULE:TOKEN`, or a label.
fn label_in(name: &str) -> &str {
    let whole = name.strip_prefix("pkcs11:");
    let whole = whole.and_then(|rest| rest.split_once(':'));
    whole.map_or(name, |(_, label)| label)
}

/// The connected device with this serial number.
pub(crate) async fn find(
    agent: &Arc<Agent>,
    kind: DeviceKind,
    serial: &str,
) -> Result<Connected, Failure> {
    let modules = agent.modules();
    let found = blocking(move || match kind {
        DeviceKind::Piv => yubikeys(),
        DeviceKind::Pkcs11 | DeviceKind::Software | DeviceKind::Kit => Ok(connected(&modules)),
    })
    .await?
    .map_err(|error| device_failure(&error, "The YubiKey"))?;
    let is_it = |device: &Connected| device.kind() == kind && device.serial() == serial;
    if let Some(device) = found.into_iter().find(is_it) {
        return Ok(device);
    }
    if let (DeviceKind::Piv, Ok(card)) = (kind, serial.parse()) {
        blocking(move || may_be_kept(card)).await??;
    }
    Err(no_device(kind, serial))
}

/// The connected token with this label.
pub(crate) async fn find_token(
    agent: &Agent,
    module: &str,
    token: &str,
) -> Result<Connected, Failure> {
    let path = PathBuf::from(module);
    let mut known = agent.state().modules().into_iter();
    let pinned = known.find(|known| known.path == path);
    let file = pinned.unwrap_or_else(|| path.into());
    let module = Module::new(file, agent.configured_modules());
    let found = blocking(move || behind(module)).await??;
    found
        .into_iter()
        .find(|device| device.is_labelled(token))
        .ok_or_else(|| no_device(DeviceKind::Pkcs11, token))
}

// The tokens of a module as it was when one of them was enrolled, or as it is now: what is looked at, loaded and kept in the end is
// one file. Of one that was changed since nothing is loaded, whatever it is wanted for.
fn behind(mut module: Module) -> Result<Vec<Connected>, Failure> {
    if module.file.sha256.is_none() {
        let now = hash_of(&module.file.path);
        module.file.sha256 = Some(now.map_err(|error| unfit(&error))?);
    }
    match module.refused_as_changed() {
        Some(failure) => Err(failure),
        None => tokens(&module).map_err(|error| device_failure(&error, "The module")),
    }
}

fn unfit(error: &ModuleError) -> Failure {
    Failure::new(
        Code::DeviceFailed,
        format!("The module: {error}."),
        "Name a module that only you or root can change, by its whole path.",
    )
}

fn no_device(kind: DeviceKind, name: &str) -> Failure {
    let what = match kind {
        DeviceKind::Piv => "YubiKey",
        DeviceKind::Pkcs11 => "token",
        DeviceKind::Software | DeviceKind::Kit => "device",
    };
    let name = touchkeep_core::text::quoted(name);
    Failure::new(
        Code::NoDevice,
        format!("No {what} {name} is connected."),
        match kind {
            DeviceKind::Pkcs11 => {
                "Look at: touchkeep device list. A module that finds its tokens by a variable (SOFTHSM2_CONF, YUBIHSM_PKCS11_CONF) sees those that the agent was started with: touchkeep agent stop, then again from a shell that has the variable."
            }
            _ => "Look at: touchkeep device list",
        },
    )
}
