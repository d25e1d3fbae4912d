//! Devices that are connected, and their factory secrets.

use std::sync::Arc;

use touchkeep_core::{Code, Pin};
use touchkeep_device::DeviceKind;
use touchkeep_wire::{ConnectedDevice, Done, Failure, Question};

use crate::{
    agent::Agent,
    devices::{Connected, Opened, blocking, connected, device_failure},
    failure,
    vault::{find_device, kind_word},
};

pub(crate) async fn list(agent: &Arc<Agent>) -> Result<Vec<ConnectedDevice>, Failure> {
    // A device that is in use is not to be disturbed by looking at it.
    let quiet = agent.devices().quiet().await;
    let agent = Arc::clone(agent);
    blocking(move || {
        let found = connected(&agent.modules());
        let listed = found
            .iter()
            .map(|device| described(&agent, device))
            .collect();
        drop(quiet);
        listed
    })
    .await
}

fn described(agent: &Agent, device: &Connected) -> ConnectedDevice {
    let current = agent.vault();
    let enrolled = current.iter().flat_map(|current| current.devices());
    let mut enrolled = enrolled.filter(|known| {
        known.kind == device.kind() && known.serial.as_deref() == Some(&device.serial())
    });
    let state = device.pin_state();
    ConnectedDevice {
        kind: kind_word(device.kind()).to_owned(),
        label: touchkeep_core::text::visible(&device.label()),
        serial: Some(device.serial()),
        firmware: Some(device.firmware()),
        tries_left: state.tries_left,
        factory_pin: state.factory,
        enrolled: enrolled.next().map(|known| known.id),
    }
}

/// Replaces what is still the factory's of a card's PIN, PUK and management key.
pub(crate) async fn set_pin(agent: &Arc<Agent>, serial: String) -> Result<Done, Failure> {
    let device = find_device(agent, DeviceKind::Piv, &serial).await?;
    let label = device.label();
    let new = |which: &str| Question::NewPin {
        device: label.clone(),
        which: which.to_owned(),
    };
    let pin = Pin::new(agent.devices().ask_new(new("PIN")).await?);
    let puk = Pin::new(agent.devices().ask_new(new("PUK")).await?);
    let quiet = agent.devices().quiet().await;
    let done = blocking(move || {
        let changed = match device.open() {
            Ok(Opened::Piv(mut card)) => card.change_factory_secrets(&pin, &puk),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        drop(quiet);
        changed
    });
    match done.await? {
        Ok(()) => Ok(Done {}),
        Err(touchkeep_device::DeviceError::Unsupported(what)) => Err(Failure::new(
            Code::Invalid,
            format!("{label} does not take {what}."),
            "PIN and PUK are 6 to 8 letters and digits.",
        )),
        Err(touchkeep_device::DeviceError::FactoryPin) => Err(failure::invalid(
            "That is the factory's PIN or PUK.",
            "Choose others.",
        )),
        Err(error) => Err(device_failure(&error, &label)),
    }
}
