//! An attestation of the card, verified and compared with what the card says itself.

use touchkeep_device::{
    DeviceError, KeyRef,
    attestation::{AttestationError, Attested, Trust, verify},
};

use crate::{
    card::{self, Slot},
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
        let same = [
            ("key", attested.spki == held.spki),
            ("slot", attested.slot == slot),
            ("card", attested.serial == Some(self.serial)),
            ("PIN policy", attested.pin_policy == held.pin),
            ("touch policy", attested.touch == held.touch),
        ];
        let differs = same.iter().find(|(_, same)| !same);
        differs.map_or(Ok(attested), |(what, _)| Err(NotAttested::Differs(what)))
    }
}
