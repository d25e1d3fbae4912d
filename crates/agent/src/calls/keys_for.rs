//! Which request keys the devices of the vault can have, per venue.

use std::sync::Arc;

use touchkeep_device::{DeviceKind, attestation::Firmware};
use touchkeep_vault::EnrolledDevice;
use touchkeep_venue::{VenueInfo, venues};
use touchkeep_wire::{DeviceKeys, Failure, PossibleKey, VenueKeys};

use super::{enrol::enrolled_device, items::form_word, open_vault};
use crate::{
    agent::Agent,
    devices::{Connected, blocking, connected, known},
    method,
    possible::{Able, Possible, Way, name, possible},
    vault::device_summary,
};

/// A row for each device that is not retired, with every venue, or the one that is asked about.
pub(crate) async fn keys_for(
    agent: &Arc<Agent>,
    venue: Option<String>,
    device: Option<String>,
) -> Result<Vec<DeviceKeys>, Failure> {
    let about = match venue {
        Some(id) => vec![method::venue_of(&id)?],
        None => venues(),
    };
    let (_, open) = open_vault(agent)?;
    let devices = {
        let vault = open.read();
        match device {
            Some(name) => vec![enrolled_device(&vault, &name)?],
            // A paper holds no keys of requests, and nobody thinks that it does.
            None => vault
                .own_devices()
                .filter(|known| known.kind != DeviceKind::Kit)
                .cloned()
                .collect(),
        }
    };
    // A device that is in use is not to be disturbed by looking at it.
    let quiet = agent.devices().quiet().await;
    let agent = Arc::clone(agent);
    blocking(move || {
        let found = connected(&agent.modules());
        let rows = devices.iter().map(|device| row(device, &found, &about));
        let rows = rows.collect();
        drop(quiet);
        rows
    })
    .await
}

fn row(device: &EnrolledDevice, found: &[Connected], about: &[VenueInfo]) -> DeviceKeys {
    let able = able(device, found);
    DeviceKeys {
        device: device_summary(device),
        connected: able != Able::Away,
        venues: about.iter().map(|venue| of_venue(venue, &able)).collect(),
    }
}

fn able(device: &EnrolledDevice, found: &[Connected]) -> Able {
    if matches!(device.kind, DeviceKind::Software | DeviceKind::Kit) {
        return Able::Nothing;
    }
    let opened = known(found, device).and_then(|connected| match connected {
        Connected::Piv { firmware, .. } => firmware_of(&firmware).map(Able::Piv),
        token @ Connected::Pkcs11 { .. } => token.open().ok()?.able().ok(),
    });
    opened.unwrap_or(Able::Away)
}

fn firmware_of(text: &str) -> Option<Firmware> {
    let mut numbers = text.split('.').map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Firmware(next()?, next()?, next()?))
}

fn of_venue(venue: &VenueInfo, able: &Able) -> VenueKeys {
    VenueKeys {
        venue: venue.id.to_owned(),
        name: venue.name.to_owned(),
        keys: possible(venue, able).iter().map(key).collect(),
        public_key: venue.public_key.map(|form| form_word(form).to_owned()),
        steps: venue.public_key_steps.map(str::to_owned),
    }
}

fn key(possible: &Possible) -> PossibleKey {
    let word = serde_json::to_value(possible.algorithm).unwrap_or_default();
    PossibleKey {
        algorithm: word.as_str().unwrap_or_default().to_owned(),
        name: name(possible.algorithm).to_owned(),
        way: match possible.way {
            Ok(Way::Made) => "made",
            Ok(Way::PutIn) => "put-in",
            Err(_) => "no",
        }
        .to_owned(),
        why: possible.way.as_ref().err().cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_is_three_numbers() {
        assert_eq!(firmware_of("5.7.1"), Some(Firmware(5, 7, 1)));
        for odd in ["", "5.7", "5.x.1", "5..1"] {
            assert_eq!(firmware_of(odd), None, "{odd}");
        }
    }
}
