//! Which keys a card holds, as far as they concern us: ours, and those of `age-plugin-yubikey`.

use touchkeep_device::{
    DeviceError, KeyInfo, KeyRef, PinPolicy, Purpose, public::P256Point, stanza,
};

use crate::{
    card::{self, Metadata, SLOTS, Slot},
    certificate::{Certificate, Origin},
    device::Target,
    objects,
    plan::{Flaw, adoption_flaw, flaw_for},
    transport::Channel,
};

/// A key of the card.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) info: KeyInfo,
    pub(crate) slot: u8,
    pub(crate) pin: PinPolicy,
    pub(crate) origin: Origin,
    /// Why it is neither adopted nor used. It is still there, so that it can be said.
    pub(crate) flaw: Option<Flaw>,
    pub(crate) listed: Listed,
}

/// Whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    /// Ours, or adopted.
    Ours,
    /// Of `age-plugin-yubikey`: used when a vault names it, listed when its owner adopted it.
    AgePlugin,
}

impl Held {
    /// From what the card says of it, or of a key that was just made there.
    pub(crate) fn new(
        metadata: Metadata,
        (serial, slot): (u32, u8),
        purpose: Purpose,
        flaw: Option<Flaw>,
        listed: Listed,
    ) -> Self {
        let files = matches!(purpose, Purpose::Unlock | Purpose::Seal);
        let point = P256Point::from_spki(&metadata.spki).filter(|_| files);
        let origin = if metadata.generated {
            Origin::Generated
        } else {
            Origin::Imported
        };
        Self {
            info: KeyInfo {
                key: KeyRef(format!("{slot:02x}")),
                purpose,
                algorithm: metadata.algorithm,
                spki: metadata.spki,
                touch: metadata.touch,
                recipient: point.as_ref().map(stanza::yubikey_recipient),
                identity: point.map(|point| stanza::yubikey_identity(serial, slot, &point)),
                imported: !metadata.generated && purpose == Purpose::Request,
            },
            slot,
            pin: metadata.pin,
            origin,
            flaw,
            listed,
        }
    }

    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            slot: self.slot,
            algorithm: self.info.algorithm,
            pin: self.pin,
            touch: self.info.touch,
            spki: &self.info.spki,
        }
    }
}

/// The keys that concern us. `adopted` is the slot of one of `age-plugin-yubikey` that is to be listed.
pub(crate) fn read_keys(
    channel: &mut dyn Channel,
    serial: u32,
    adopted: Option<u8>,
) -> Result<Vec<Held>, DeviceError> {
    let mut keys = Vec::new();
    for slot in SLOTS {
        keys.extend(read_key(channel, serial, slot, adopted)?);
    }
    Ok(keys)
}

fn read_key(
    channel: &mut dyn Channel,
    serial: u32,
    slot: u8,
    adopted: Option<u8>,
) -> Result<Option<Held>, DeviceError> {
    let metadata = match card::metadata(channel, slot)? {
        Slot::Known(metadata) => metadata,
        Slot::Empty | Slot::Other(_) => return Ok(None),
    };
    let certificate = objects::certificate(channel, slot)?.and_then(|der| Certificate::read(&der));
    let Some(certificate) = certificate else {
        return Ok(None);
    };
    let (purpose, flaw, listed) = match (certificate.purpose, certificate.age_plugin) {
        (Some(purpose), _) => (purpose, flaw_for(purpose, &metadata), Listed::Ours),
        (None, true) => {
            let listed = if adopted == Some(slot) {
                Listed::Ours
            } else {
                Listed::AgePlugin
            };
            (Purpose::Unlock, adoption_flaw(&metadata), listed)
        }
        (None, false) => return Ok(None),
    };
    if certificate.spki != metadata.spki {
        tracing::warn!(slot, "the certificate is not of the slot's key");
        return Ok(None);
    }
    Ok(Some(Held::new(
        metadata,
        (serial, slot),
        purpose,
        flaw,
        listed,
    )))
}
