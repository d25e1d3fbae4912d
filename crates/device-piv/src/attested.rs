//! An attestation of the card, verified and compared with what the card says itself.

use touchkeep_device::{
    DeviceError, KeyRef,
    attestation::{AttestationError, Attested, Trust, verify},
};

use crate::{
    card::{self, Metadata, Slot},
    device::{PivDevice, statements},
};

/// Why a key of a card is not known to be attested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAttested {
    /// The card could not be asked.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// What it gave is not believed.
    #[error(transparent)]
    Attestation(#[from] AttestationError),
    /// What it gave is about another key, card or policy than what it says itself.
    #[error("the attestation is of another {0} than the card says")]
    Differs(&'static str),
}

impl PivDevice {
    /// What the maker's signature says about a key, when that is the key, the slot, the card and the policies that the card
    /// itself names. Asks for nothing.
    ///
    /// # Errors
    /// Why the key is not known to be attested.
    pub fn attested(&mut self, key: &KeyRef, trust: Trust) -> Result<Attested, NotAttested> {
        let slot = self.slot_of(key)?;
        let (held, certificates) = self
            .transact(|channel| Ok((card::metadata(channel, slot)?, statements(channel, slot)?)))?;
        let Slot::Known(held) = held else {
            return Err(DeviceError::NoKey(key.clone()).into());
        };
        let attested = verify(&certificates, trust)?;
        match difference(&attested, &held, slot, self.serial) {
            None => Ok(attested),
            Some(what) => Err(NotAttested::Differs(what)),
        }
    }
}

/// What is attested otherwise than the card says.
fn difference(attested: &Attested, held: &Metadata, slot: u8, serial: u32) -> Option<&'static str> {
    let same = [
        ("key", attested.spki == held.spki),
        ("slot", attested.slot == slot),
        ("card", attested.serial == Some(serial)),
        ("PIN policy", attested.pin_policy == held.pin),
        ("touch policy", attested.touch == held.touch),
    ];
    same.iter()
        .find_map(|(what, same)| (!same).then_some(*what))
}

#[cfg(test)]
mod tests {
    use touchkeep_device::{
        Algorithm, PinPolicy, TouchPolicy,
        attestation::{Firmware, Root},
    };

    use super::*;

    #[test]
    fn each_thing_that_differs_is_named() {
        let attested = || Attested {
            spki: vec![1],
            slot: 0x83,
            serial: Some(7),
            firmware: Firmware(5, 7, 4),
            pin_policy: PinPolicy::Once,
            touch: TouchPolicy::Always,
            form_factor: None,
            fips: false,
            chain: Root::YubicoAttestation1,
        };
        let held = Metadata {
            algorithm: Algorithm::P256,
            pin: PinPolicy::Once,
            touch: TouchPolicy::Always,
            generated: true,
            spki: vec![1],
        };
        let differs = |change: fn(&mut Attested)| {
            let mut changed = attested();
            change(&mut changed);
            difference(&changed, &held, 0x83, 7)
        };
        assert_eq!(differs(|_| {}), None);
        assert_eq!(differs(|it| it.spki = vec![2]), Some("key"));
        assert_eq!(differs(|it| it.slot = 0x82), Some("slot"));
        assert_eq!(differs(|it| it.serial = Some(8)), Some("card"));
        assert_eq!(differs(|it| it.serial = None), Some("card"));
        assert_eq!(
            differs(|it| it.pin_policy = PinPolicy::Never),
            Some("PIN policy")
        );
        assert_eq!(
            differs(|it| it.touch = TouchPolicy::Cached),
            Some("touch policy")
        );
    }
}
