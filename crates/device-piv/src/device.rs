//! A YubiKey as a device.

use age_core::format::{FileKey, Stanza};
use aws_lc_rs::digest::{SHA256, digest};
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, Demand, Device, DeviceError, DeviceInfo, DeviceKind, KeyInfo, KeyRef,
    PinPolicy, Purpose, SecretDemand, SignatureScheme, TouchPolicy,
    attestation::Firmware,
    public::{P256Point, scheme_of, verifies},
    stanza,
};
use zeroize::Zeroizing;

use crate::{
    card::{self, NotUsed, SLOTS, Slot, Use},
    certificate::Certificate,
    plan::{Flaw, flaw_for},
    reader::PcscTransport,
    transport::{Channel, Transport, transact},
};

/// Choices of whoever opens a device.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Send a PIN although it may be the last try. A person has to have said so in words.
    pub danger_allow_last_try: bool,
}

/// A YubiKey 5, known by its serial number and its public keys, wherever it is plugged in.
pub struct PivDevice {
    pub(crate) info: DeviceInfo,
    pub(crate) serial: u32,
    pub(crate) version: Firmware,
    pub(crate) held: Vec<Held>,
    transport: Box<dyn Transport>,
    options: Options,
}

/// What else is known of a key.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) key: KeyRef,
    pin: PinPolicy,
    /// Why it is neither adopted nor used. It is still listed, so that it can be said.
    pub(crate) flaw: Option<Flaw>,
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
        let version = transact(&mut *transport, |channel| {
            begin(channel, serial)?;
            card::version(channel)
        })?;
        let info = DeviceInfo {
            kind: DeviceKind::Piv,
            label: format!("YubiKey {} ({serial})", version.0),
            serial: Some(serial.to_string()),
            firmware: Some(version.to_string()),
            keys: Vec::new(),
        };
        let mut device = Self {
            info,
            serial,
            version,
            held: Vec::new(),
            transport,
            options,
        };
        device.read_keys()?;
        Ok(device)
    }

    /// How the PIN stands: tries left, and whether it is still the factory's. Spends no try.
    ///
    /// # Errors
    /// Why the card could not be asked.
    pub fn pin_state(&mut self) -> Result<(u8, bool), DeviceError> {
        self.transact(|channel| {
            Ok((
                card::tries_left(channel)?,
                card::is_factory(channel, card::PIN)?,
            ))
        })
    }

    /// Reads again which keys are there.
    pub(crate) fn read_keys(&mut self) -> Result<(), DeviceError> {
        let serial = self.serial;
        let keys = self.transact(|channel| {
            let mut keys = Vec::new();
            for slot in SLOTS {
                keys.extend(read_key(channel, serial, slot)?);
            }
            Ok(keys)
        })?;
        (self.info.keys, self.held) = keys.into_iter().unzip();
        Ok(())
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

    /// The slot of a key that is listed, flawed or not.
    pub(crate) fn slot_of(&self, key: &KeyRef) -> Result<u8, DeviceError> {
        let listed = self.info.keys.iter().any(|info| info.key == *key);
        let slot = u8::from_str_radix(&key.0, 16).ok();
        slot.filter(|_| listed)
            .ok_or_else(|| DeviceError::NoKey(key.clone()))
    }

    // A key that may be used. Asking what it demands is refused as well: before anybody types a PIN.
    fn known(&self, key: &KeyRef) -> Result<(KeyInfo, u8, PinPolicy), DeviceError> {
        let missing = || DeviceError::NoKey(key.clone());
        let info = self.info.keys.iter().find(|info| info.key == *key);
        let held = self.held.iter().find(|held| held.key == *key);
        let slot = u8::from_str_radix(&key.0, 16).ok();
        let (Some(info), Some(slot), Some(held)) = (info, slot, held) else {
            return Err(missing());
        };
        match held.flaw {
            Some(flaw) => Err(flaw.refused(&key.0)),
            None => Ok((info.clone(), slot, held.pin)),
        }
    }

    /// VERIFY and one use of a key, with nobody in between.
    pub(crate) fn use_key(
        &mut self,
        slot: u8,
        (algorithm, touch, pin): (Algorithm, TouchPolicy, PinPolicy),
        what: Use,
        input: &[u8],
        auth: Auth<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        let pin = match (pin, auth) {
            (PinPolicy::Never, _) => None,
            (_, Auth::Pin(pin)) => Some(pin),
            (_, Auth::Nothing | Auth::Passphrase(_)) => return Err(DeviceError::NeedsSecret),
        };
        let options = self.options;
        self.transact(|channel| {
            if let Some(pin) = pin {
                verify_with_care(channel, pin, options)?;
            }
            card::use_key(channel, slot, algorithm, what, input).map_err(|not| match not {
                NotUsed::NotSatisfied if touch != TouchPolicy::Never => DeviceError::NoTouch,
                NotUsed::NotSatisfied => DeviceError::NeedsSecret,
                NotUsed::Failed(error) => error,
            })
        })
    }

    /// Signs with a key, whatever it is for, and looks at the signature before it goes anywhere: a fault in a signature can
    /// give the key away.
    pub(crate) fn sign_with(
        &mut self,
        slot: u8,
        (algorithm, touch, pin): (Algorithm, TouchPolicy, PinPolicy),
        spki: &[u8],
        message: &[u8],
        auth: Auth<'_>,
    ) -> Result<Vec<u8>, DeviceError> {
        let unsupported = || DeviceError::Unsupported(format!("signatures with {algorithm:?}"));
        let scheme = scheme_of(algorithm).ok_or_else(unsupported)?;
        let hash = digest(&SHA256, message);
        let input = match scheme {
            SignatureScheme::EcdsaP256Sha256 => hash.as_ref().to_vec(),
            SignatureScheme::RsaPkcs1Sha256 => pkcs1_padded(hash.as_ref()),
            SignatureScheme::Ed25519 => return Err(unsupported()),
        };
        let policy = (algorithm, touch, pin);
        let signature = self.use_key(slot, policy, Use::Sign, &input, auth)?;
        if !verifies(scheme, spki, message, &signature) {
            let text = "with a signature that is not its key's";
            return Err(DeviceError::Unexpected(text.into()));
        }
        Ok(signature.to_vec())
    }
}

impl Device for PivDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn demand(&mut self, key: &KeyRef) -> Result<Demand, DeviceError> {
        let (info, _, pin) = self.known(key)?;
        let secret = match pin {
            PinPolicy::Never => SecretDemand::Nothing,
            PinPolicy::Once | PinPolicy::Always => SecretDemand::Pin {
                tries_left: Some(self.transact(card::tries_left)?),
            },
        };
        Ok(Demand {
            secret,
            touch: info.touch,
        })
    }

    fn unwrap_file_key(
        &mut self,
        key: &KeyRef,
        stanzas: &[Stanza],
        auth: Auth<'_>,
    ) -> Result<FileKey, DeviceError> {
        let (info, slot, pin) = self.known(key)?;
        if !matches!(info.purpose, Purpose::Unlock | Purpose::Seal) {
            return Err(DeviceError::NotForThisKey);
        }
        let stanza = stanza::addressed(&info, stanzas)?;
        let point = stanza.share().uncompressed();
        let policy = (info.algorithm, info.touch, pin);
        let x = self.use_key(slot, policy, Use::Agree, point, auth)?;
        stanza.open(&x)
    }

    fn sign(
        &mut self,
        key: &KeyRef,
        scheme: SignatureScheme,
        message: &[u8],
        auth: Auth<'_>,
    ) -> Result<Vec<u8>, DeviceError> {
        let (info, slot, pin) = self.known(key)?;
        let signs = matches!(info.purpose, Purpose::SignVault | Purpose::Request);
        if !signs || scheme_of(info.algorithm) != Some(scheme) {
            let text = format!("{scheme:?} with the key {:?}", key.0);
            return Err(DeviceError::Unsupported(text));
        }
        let policy = (info.algorithm, info.touch, pin);
        self.sign_with(slot, policy, &info.spki, message, auth)
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
    let signer = card::attestation_certificate(channel)?;
    Ok(signer.map_or_else(Vec::new, |signer| vec![statement, signer]))
}

fn begin(channel: &mut dyn Channel, serial: u32) -> Result<(), DeviceError> {
    card::select(channel)?;
    // Readers are named alike, and a slot number says nothing: another card in the same reader is not ours.
    (card::serial(channel)? == serial)
        .then_some(())
        .ok_or(DeviceError::Removed)
}

/// Sends the PIN once, and not at all when it cannot be one, or when it would be the last try and nobody said so.
pub(crate) fn verify_with_care(
    channel: &mut dyn Channel,
    pin: &Pin,
    options: Options,
) -> Result<(), DeviceError> {
    let tries_left = card::tries_left(channel)?;
    // EXPOSE: to a look at its length.
    let possible = card::PIN_BYTES.contains(&pin.expose().len());
    match tries_left {
        0 => Err(DeviceError::PinBlocked),
        1 if !options.danger_allow_last_try => Err(DeviceError::LastTry),
        _ if !possible => Err(DeviceError::WrongPin { tries_left }),
        _ => card::verify(channel, pin),
    }
}

fn read_key(
    channel: &mut dyn Channel,
    serial: u32,
    slot: u8,
) -> Result<Option<(KeyInfo, Held)>, DeviceError> {
    let metadata = match card::metadata(channel, slot)? {
        Slot::Known(metadata) => metadata,
        Slot::Empty | Slot::Other => return Ok(None),
    };
    let certificate = card::certificate(channel, slot)?.and_then(|der| Certificate::read(&der));
    let Some((certificate, purpose)) = certificate.and_then(|c| Some((c.clone(), c.purpose?)))
    else {
        return Ok(None);
    };
    if certificate.spki != metadata.spki {
        tracing::warn!(slot, "the certificate is not of the slot's key");
        return Ok(None);
    }
    let key = KeyRef(format!("{slot:02x}"));
    let held = Held {
        key: key.clone(),
        pin: metadata.pin,
        flaw: flaw_for(purpose, &metadata),
    };
    let files = matches!(purpose, Purpose::Unlock | Purpose::Seal);
    let point = P256Point::from_spki(&metadata.spki).filter(|_| files);
    let info = KeyInfo {
        key,
        purpose,
        algorithm: metadata.algorithm,
        spki: metadata.spki,
        touch: metadata.touch,
        recipient: point.as_ref().map(stanza::yubikey_recipient),
        identity: point.map(|point| stanza::yubikey_identity(serial, slot, &point)),
    };
    Ok(Some((info, held)))
}

// EMSA-PKCS1-v1_5 with SHA-256 to 2048 bits (RFC 8017, 9.2).
fn pkcs1_padded(hash: &[u8]) -> Vec<u8> {
    const MODULUS_BYTES: usize = 256;
    const DIGEST_INFO: [u8; 19] = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    let padding = MODULUS_BYTES.saturating_sub(3 + DIGEST_INFO.len() + hash.len());
    [&[0, 1], &vec![0xff; padding][..], &[0], &DIGEST_INFO, hash].concat()
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

    #[test]
    fn a_message_is_padded_to_the_modulus() {
        let padded = pkcs1_padded(&[7; 32]);
        assert_eq!(padded.len(), 256);
        assert_eq!(padded[..3], [0, 1, 0xff]);
        assert_eq!(padded[256 - 52], 0);
    }
}
