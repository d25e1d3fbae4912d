//! Keys that are made on a device and never leave it.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use touchkeep_core::{DeviceId, text::visible};
use touchkeep_device::{Algorithm, DeviceKind, KeyInfo, TouchPolicy};
use touchkeep_vault::SecretPlace;
use touchkeep_wire::{Failure, PublicKeyPem};

use crate::{
    agent::Agent,
    calls::open_vault,
    devices::{Failed, Use},
    failure,
    ports::{open_enrolled, request_key},
    vault::device_label,
};

/// Characters of a line in PEM (RFC 7468).
const PEM_LINE: usize = 64;

// An RSA-2048 key that is made on the device, and asks for a touch at each signature where the device has such.
pub(super) async fn make_key(
    agent: &Arc<Agent>,
    wanted: Option<DeviceId>,
    item: &str,
) -> Result<(DeviceId, KeyInfo), Failure> {
    let (current, open) = open_vault(agent)?;
    let wanted = wanted.unwrap_or(open.device);
    let devices = current.devices();
    let device = devices.iter().find(|device| device.id == wanted);
    let device = device.cloned().ok_or_else(|| {
        failure::not_found(
            "device",
            &wanted.to_string(),
            "Look at: touchkeep device list",
        )
    })?;
    if matches!(device.kind, DeviceKind::Software | DeviceKind::Kit) {
        return Err(failure::invalid(
            "The software device makes no keys for requests.",
            "Use a YubiKey or an HSM, or store the venue's secret sealed.",
        ));
    }
    let touch = match device.kind {
        DeviceKind::Piv => TouchPolicy::Always,
        _ => TouchPolicy::Never,
    };
    let label = device_label(&device);
    let what = Use {
        device: label.clone(),
        serial: device.serial.clone(),
        key: None,
        why: format!("Make a key for {}", visible(item)),
        touch: None,
        fresh: false,
    };
    let (opened, modules) = (device.clone(), agent.modules());
    let made = agent.devices().with(
        what,
        move || open_enrolled(&opened, &open, &modules),
        move |device, auth| {
            let provision = device
                .provision()
                .ok_or_else(|| Failed::Other(failure::invalid("This device makes no keys.", "")))?;
            Ok(provision.generate_request_key(Algorithm::Rsa2048, touch, auth)?)
        },
    );
    let key = made.await.map_err(|failed| failed.failure(&label))?;
    Ok((device.id, key))
}

pub(crate) fn public_key(agent: &Arc<Agent>, name: &str) -> Result<PublicKeyPem, Failure> {
    let (_, open) = open_vault(agent)?;
    let item = open.item(name)?;
    let SecretPlace::OnDevice { key, .. } = &item.secret else {
        return Err(failure::invalid(
            "This item's key is not on a device, so it has no public half of ours.",
            "",
        ));
    };
    let info = request_key(&open.read(), item.id, key).ok_or_else(|| {
        failure::not_found(
            "public key of",
            &item.name,
            "Remove the item and make a new key.",
        )
    })?;
    Ok(PublicKeyPem {
        pem: pem(&info.spki),
    })
}

fn pem(spki: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(spki);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    for line in text.as_bytes().chunks(PEM_LINE) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_has_lines_of_64() {
        let text = pem(&[7; 100]);
        assert!(text.lines().all(|line| line.len() <= 64));
        assert!(text.starts_with("-----BEGIN PUBLIC KEY-----\nBwcH"));
    }
}
