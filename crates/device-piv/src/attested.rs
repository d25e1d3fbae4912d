//! An attestation of the card, verified and compared with what the card says itself.

use touchkeep_device::{
    DeviceError, KeyRef,
    attestation::{AttestationError, Attested, Root, Trust, verify, vouched_for},
};

use crate::{
    card::{self, Metadata, Slot},
    device::{PivDevice, statements},
    objects,
};

/// Why a key of a card is not known to be attested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAttested {
    /// The card could not be asked.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// What it gave is not believed, or is about another key, card or policy than what it says itself.
    #[error(transparent)]
    Attestation(#[from] AttestationError),
}

/// What a card gave about a key, and what that is worth.
pub type Judged = (Vec<Vec<u8>>, Result<Attested, AttestationError>);

impl PivDevice {
    /// What the maker's signature says about a key, when that is the key, the slot, the card and the policies that the card
    /// itself names. Asks for nothing.
    ///
    /// # Errors
    /// Why the key is not known to be attested.
    pub fn attested(&mut self, key: &KeyRef, trust: Trust) -> Result<Attested, NotAttested> {
        let (_, verdict) = self.statements(key, trust)?;
        Ok(verdict?)
    }

    /// The same, with the certificates that say so.
    ///
    /// # Errors
    /// Why the card could not be asked.
    pub fn statements(&mut self, key: &KeyRef, trust: Trust) -> Result<Judged, DeviceError> {
        let slot = self.slot_of(key)?;
        let (held, certificates) = self
            .transact(|channel| Ok((card::metadata(channel, slot)?, statements(channel, slot)?)))?;
        if !matches!(held, Slot::Known(_)) {
            return Err(DeviceError::NoKey(key.clone()));
        }
        let verdict = judged(&certificates, trust, (&held, slot, self.serial));
        Ok((certificates, verdict))
    }

    /// Who vouches for what the card attests, as far as that is known before there is a key. Asks for nothing.
    ///
    /// # Errors
    /// Why nobody is believed to.
    pub fn vouched_for(&mut self, trust: Trust) -> Result<Root, NotAttested> {
        let f9 = self.transact(objects::attestation_certificate)?;
        let f9 = f9.ok_or(AttestationError::None)?;
        Ok(vouched_for(&f9, trust)?)
    }
}

/// What certificates are worth as a statement about the key in that slot of that card.
///
/// # Errors
/// They are not believed, or say something else than the card.
pub(crate) fn judged(
    certificates: &[Vec<u8>],
    trust: Trust,
    (held, slot, serial): (&Slot, u8, u32),
) -> Result<Attested, AttestationError> {
    let attested = verify(certificates, trust)?;
    let differs = match held {
        Slot::Known(held) => difference(&attested, held, slot, serial),
        // What the card does not tell in our words is not compared.
        Slot::Empty | Slot::Other(_) => elsewhere(&attested, slot, serial),
    };
    match differs {
        None => Ok(attested),
        Some(what) => Err(AttestationError::Differs(what)),
    }
}

/// What is attested otherwise than the card says.
fn difference(attested: &Attested, held: &Metadata, slot: u8, serial: u32) -> Option<&'static str> {
    let key = [("key", attested.spki == held.spki)];
    let policies = [
        ("PIN policy", attested.pin_policy == held.pin),
        ("touch policy", attested.touch == held.touch),
    ];
    first(&key)
        .or_else(|| elsewhere(attested, slot, serial))
        .or_else(|| first(&policies))
}

/// Whether it is of another place.
fn elsewhere(attested: &Attested, slot: u8, serial: u32) -> Option<&'static str> {
    first(&[
        ("slot", attested.slot == slot),
        ("card", attested.serial == Some(serial)),
    ])
}

fn first(compared: &[(&'static str, bool)]) -> Option<&'static str> {
    let mut compared = compared.iter();
    compared.find_map(|(what, same)| (!same).then_some(*what))
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
