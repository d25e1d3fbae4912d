//! A YubiKey as a device.

use age_core::format::{FileKey, Stanza};
use touchkeep_core::text::quoted;
use touchkeep_device::{
    Algorithm, Auth, Demand, Device, DeviceError, DeviceInfo, DeviceKind, KeyRef, PinPolicy,
    Purpose, SecretDemand, SignatureScheme, TouchPolicy, attestation::Firmware, public::scheme_of,
    stanza,
};
use zeroize::Zeroizing;

use crate::{
    card::{self, NotUsed, Slot, Use},
    certificate::Origin,
    held::{Held, Listed, read_keys},
    objects,
    reader::PcscTransport,
    reference::{self, verify_with_care},
    sign,
    transport::{Channel, Transport, transact},
};

/// Choices of whoever opens a device.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Send a PIN or PUK although it may be the last try. A person has to have said so in words.
    pub danger_allow_last_try: bool,
}

/// A YubiKey 5, known by its serial number and its public keys, wherever it is plugged in.
pub struct PivDevice {
    pub(crate) info: DeviceInfo,
    pub(crate) serial: u32,
    pub(crate) firmware: Firmware,
    /// What else is known of the keys of [`PivDevice::info`], and of those of `age-plugin-yubikey`, which are usable when
    /// they are what an unlock key has to be.
    pub(crate) held: Vec<Held>,
    /// The slot of a key of `age-plugin-yubikey` that its owner wants for unlocking.
    pub(crate) adopted: Option<u8>,
    pub(crate) options: Options,
    /// Keys without a certificate that are not taken up again, by their public halves.
    pub(crate) avoided: Vec<Vec<u8>>,
    transport: Box<dyn Transport>,
}

/// A key as it has to be found when it is used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) slot: u8,
    pub(crate) algorithm: Algorithm,
    pub(crate) pin: PinPolicy,
    pub(crate) touch: TouchPolicy,
    pub(crate) spki: &'a [u8],
}

impl PivDevice {
    /// Opens the YubiKey with this serial number and reads which keys it has. Asks for nothing.
    ///
    /// # Errors
    /// [`DeviceError::Removed`] when it is not there; else why it could not be read.
    pub fn open(serial: u32, options: Options) -> Result<Self, DeviceError> {
        Self::over(Box::new(PcscTransport::new(serial)), serial, options)
    }

    /// The same over another transport.
    ///
    /// # Errors
    /// As [`PivDevice::open`].
    pub fn over(
        mut transport: Box<dyn Transport>,
        serial: u32,
        options: Options,
    ) -> Result<Self, DeviceError> {
        let firmware = transact(&mut *transport, |channel| {
            begin(channel, serial)?;
            card::version(channel)
        })?;
        let info = DeviceInfo {
            kind: DeviceKind::Piv,
            label: format!("YubiKey {} ({serial})", firmware.0),
            serial: Some(serial.to_string()),
            firmware: Some(firmware.to_string()),
            keys: Vec::new(),
        };
        let mut device = Self {
            info,
            serial,
            firmware,
            held: Vec::new(),
            adopted: None,
            options,
            avoided: Vec::new(),
            transport,
        };
        device.refresh()?;
        Ok(device)
    }

    /// Its firmware.
    #[must_use]
    pub const fn firmware(&self) -> Firmware {
        self.firmware
    }

    /// Whether a key was made in the card or put there.
    ///
    /// # Errors
    /// [`DeviceError::NoKey`].
    pub fn origin(&self, key: &KeyRef) -> Result<Origin, DeviceError> {
        let held = self.held.iter().find(|held| held.info.key == *key);
        held.map(|held| held.origin)
            .ok_or_else(|| DeviceError::NoKey(key.clone()))
    }

    /// Reads again which keys are there: another program may have made or removed some.
    ///
    /// # Errors
    /// Why the card could not be read.
    pub fn refresh(&mut self) -> Result<(), DeviceError> {
        let (serial, adopted) = (self.serial, self.adopted);
        let held = self.transact(|channel| read_keys(channel, serial, adopted))?;
        self.holds(held);
        Ok(())
    }

    /// Takes note of what is on the card.
    pub(crate) fn holds(&mut self, mut held: Vec<Held>) {
        held.sort_by_key(|held| held.slot);
        self.held = held;
        let ours = self.held.iter().filter(|held| held.listed == Listed::Ours);
        self.info.keys = ours.map(|held| held.info.clone()).collect();
    }

    /// One transaction with our card, the PIV application selected and its serial number compared.
    pub(crate) fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Channel) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let serial = self.serial;
        transact(&mut *self.transport, |channel| {
            begin(channel, serial)?;
            work(channel)
        })
    }

    /// The slot of a key that is there, flawed or not.
    pub(crate) fn slot_of(&self, key: &KeyRef) -> Result<u8, DeviceError> {
        let held = self.held.iter().find(|held| held.info.key == *key);
        held.map(|held| held.slot)
            .ok_or_else(|| DeviceError::NoKey(key.clone()))
    }

    // A key that may be used. Asking what it demands is refused as well: before anybody types a PIN.
    fn known(&self, key: &KeyRef) -> Result<Held, DeviceError> {
        let held = self.held.iter().find(|held| held.info.key == *key);
        let held = held.ok_or_else(|| DeviceError::NoKey(key.clone()))?;
        match held.flaw {
            Some(flaw) => Err(flaw.refused(&key.0)),
            None => Ok(held.clone()),
        }
    }

    /// VERIFY and one use of a key, with nobody in between, and only when the slot still holds that key.
    pub(crate) fn with_key<T>(
        &mut self,
        target: Target<'_>,
        auth: Auth<'_>,
        work: impl FnOnce(&mut dyn Channel) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let pin = match (target.pin, auth) {
            (PinPolicy::Never, _) => None,
            (_, Auth::Pin(pin)) => Some(pin),
            (_, Auth::Nothing | Auth::Passphrase(_)) => return Err(DeviceError::NeedsSecret),
        };
        let allow = self.options.danger_allow_last_try;
        self.transact(|channel| {
            target.is_there(channel)?;
            if let Some(pin) = pin {
                verify_with_care(channel, pin, allow)?;
            }
            work(channel)
        })
    }
}

impl Target<'_> {
    /// An error when the slot holds another key by now: one that was made there since, or that of a card with the same number.
    fn is_there(&self, channel: &mut dyn Channel) -> Result<(), DeviceError> {
        match card::metadata(channel, self.slot)? {
            Slot::Known(found)
                if found.spki == self.spki
                    && (found.pin, found.touch) == (self.pin, self.touch) =>
            {
                Ok(())
            }
            _ => Err(DeviceError::NoKey(KeyRef(format!("{:02x}", self.slot)))),
        }
    }

    /// Uses it once; the PIN was verified in this transaction.
    pub(crate) fn operate(
        &self,
        channel: &mut dyn Channel,
        what: Use,
        input: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        card::use_key(channel, self.slot, self.algorithm, what, input).map_err(|not| match not {
            NotUsed::NotSatisfied if self.touch != TouchPolicy::Never => DeviceError::NoTouch,
            NotUsed::NotSatisfied => DeviceError::NeedsSecret,
            NotUsed::Failed(error) => error,
        })
    }
}

impl Device for PivDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn demand(&mut self, key: &KeyRef) -> Result<Demand, DeviceError> {
        let held = self.known(key)?;
        let secret = match held.pin {
            PinPolicy::Never => SecretDemand::Nothing,
            PinPolicy::Once | PinPolicy::Always => SecretDemand::Pin {
                tries_left: Some(self.transact(reference::tries_left)?),
            },
        };
        Ok(Demand {
            secret,
            touch: held.info.touch,
        })
    }

    fn unwrap_file_key(
        &mut self,
        key: &KeyRef,
        stanzas: &[Stanza],
        auth: Auth<'_>,
    ) -> Result<FileKey, DeviceError> {
        let held = self.known(key)?;
        if !matches!(held.info.purpose, Purpose::Unlock | Purpose::Seal) {
            return Err(DeviceError::NotForThisKey);
        }
        let stanza = stanza::addressed(&held.info, stanzas)?;
        let point = stanza.share().uncompressed();
        let target = held.target();
        let x = self.with_key(target, auth, |channel| {
            target.operate(channel, Use::Agree, point)
        })?;
        stanza.open(&x)
    }

    fn sign(
        &mut self,
        key: &KeyRef,
        scheme: SignatureScheme,
        message: &[u8],
        auth: Auth<'_>,
    ) -> Result<Vec<u8>, DeviceError> {
        let held = self.known(key)?;
        let signs = matches!(held.info.purpose, Purpose::SignVault | Purpose::Request);
        if !signs || scheme_of(held.info.algorithm) != Some(scheme) {
            let text = format!("{scheme:?} with the key {}", quoted(&key.0));
            return Err(DeviceError::Unsupported(text));
        }
        let target = held.target();
        let input = sign::prepared(target.algorithm, message)?;
        self.with_key(target, auth, |channel| {
            sign::sign(channel, target, message, &input)
        })
    }

    fn attest(&mut self, key: &KeyRef) -> Result<Vec<Vec<u8>>, DeviceError> {
        let slot = self.slot_of(key)?;
        self.transact(|channel| statements(channel, slot))
    }
}

/// The two certificates of an attestation, or none.
pub(crate) fn statements(channel: &mut dyn Channel, slot: u8) -> Result<Vec<Vec<u8>>, DeviceError> {
    let Some(statement) = card::attest(channel, slot)? else {
        return Ok(Vec::new());
    };
    let signer = objects::attestation_certificate(channel)?;
    Ok(signer.map_or_else(Vec::new, |signer| vec![statement, signer]))
}

/// Selects PIV on a card, and refuses another card than ours.
pub(crate) fn begin(channel: &mut dyn Channel, serial: u32) -> Result<(), DeviceError> {
    card::select(channel)?;
    // Readers are named alike, and a slot number says nothing: another card in the same reader is not ours.
    (card::serial(channel)? == serial)
        .then_some(())
        .ok_or(DeviceError::Removed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transport::Work;

    /// A card that answers anything.
    struct Liar(Vec<Vec<u8>>, usize);

    impl Channel for Liar {
        fn transmit(&mut self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
            let at = self.1 % self.0.len().max(1);
            self.1 += 1;
            Ok(Zeroizing::new(self.0.get(at).cloned().unwrap_or_default()))
        }
    }

    impl Transport for Liar {
        fn exclusive(&mut self, work: Work<'_>) -> Result<(), DeviceError> {
            work(self)
        }
    }

    fn answer() -> impl Strategy<Value = Vec<u8>> {
        let status = prop_oneof![
            Just(vec![0x90, 0]),
            Just(vec![0x61, 9]),
            any::<[u8; 2]>().prop_map(Vec::from)
        ];
        let data = prop_oneof![
            Just(vec![0, 0, 0, 7]),
            Just(vec![5, 4, 3]),
            proptest::collection::vec(any::<u8>(), 0..64),
        ];
        (data, status).prop_map(|(data, status)| [data, status].concat())
    }

    proptest! {
        #[test]
        fn whatever_a_card_answers_it_is_opened_or_refused(answers in proptest::collection::vec(answer(), 1..40)) {
            let _ = PivDevice::over(Box::new(Liar(answers, 0)), 7, Options::default());
        }
    }
}
