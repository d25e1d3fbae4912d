//! Making keys, and leaving the factory's secrets: through the `yubikey` crate, once, with a person beside it.

use aws_lc_rs::rand;
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, DeviceError, DeviceInfo, KeyInfo, KeyRef, Provision, Purpose, TouchPolicy,
    public::{P256Point, tlv},
};
use yubikey::{
    Certificate, MgmAlgorithmId, MgmKey, PinPolicy as CardPin, Serial, TouchPolicy as CardTouch,
    YubiKey,
    certificate::CertInfo,
    piv::{self, AlgorithmId, SlotId},
};
use zeroize::Zeroizing;

use crate::{
    card::{self, MANAGEMENT_KEY, PIN, PIN_BYTES, PUK, SLOTS, Slot, Version},
    certificate::Unsigned,
    device::{Options, PivDevice, verify_with_care},
    plan::Plan,
    reader::explained,
};

const FACTORY_PIN: &[u8] = b"123456";
const FACTORY_PUK: &[u8] = b"12345678";
const FIRST_REQUEST_SLOT: u8 = 0x85;
const AES_BY_DEFAULT: Version = Version(5, 7, 0);

impl PivDevice {
    /// Replaces what is still the factory's of PIN, PUK and management key. `pin` and `puk` are what they are afterwards: new
    /// ones where they are the factory's, else the present ones. The management key becomes random and is kept on the card
    /// under the PIN, as Yubico's own tools do it.
    ///
    /// # Errors
    /// [`DeviceError::FactoryPin`] when `pin` or `puk` are the factory's again; [`DeviceError::Unsupported`] when they are not
    /// 6 to 8 ASCII characters; else why the card did not.
    pub fn change_factory_secrets(&mut self, pin: &Pin, puk: &Pin) -> Result<(), DeviceError> {
        // EXPOSE: PIN and PUK, to the command that sets them, which wipes its copy.
        let (pin_text, puk_text) = (pin.expose().as_bytes(), puk.expose().as_bytes());
        let fits = |text: &[u8]| PIN_BYTES.contains(&text.len()) && text.is_ascii();
        if !fits(pin_text) || !fits(puk_text) {
            let text = "a PIN or PUK that is not 6 to 8 ASCII characters";
            return Err(DeviceError::Unsupported(text.into()));
        }
        if pin_text == FACTORY_PIN || puk_text == FACTORY_PUK {
            return Err(DeviceError::FactoryPin);
        }
        let [factory_pin, factory_puk, factory_key] = self.factory_secrets()?;
        if !factory_pin {
            self.transact(|channel| verify_with_care(channel, pin, Options::default()))?;
        }
        let mut lease = Lease::open(self.serial)?;
        let yubikey = lease.get()?;
        if factory_pin {
            yubikey.change_pin(FACTORY_PIN, pin_text).map_err(failed)?;
        }
        if factory_puk {
            yubikey.change_puk(FACTORY_PUK, puk_text).map_err(failed)?;
        }
        if factory_key {
            yubikey.verify_pin(pin_text).map_err(failed)?;
            let old = MgmKey::get_default(yubikey).map_err(failed)?;
            yubikey.authenticate(&old).map_err(failed)?;
            self.random_management_key()?
                .set_protected(yubikey)
                .map_err(failed)?;
            // The crate only logs a failure to store it; a key that nobody has would be lost.
            yubikey.verify_pin(pin_text).map_err(failed)?;
            let kept = MgmKey::get_protected(yubikey).map_err(failed)?;
            yubikey.authenticate(&kept).map_err(failed)?;
        }
        Ok(())
    }

    fn factory_secrets(&mut self) -> Result<[bool; 3], DeviceError> {
        self.transact(|channel| {
            Ok([
                card::is_factory(channel, PIN)?,
                card::is_factory(channel, PUK)?,
                card::is_factory(channel, MANAGEMENT_KEY)?,
            ])
        })
    }

    fn random_management_key(&self) -> Result<MgmKey, DeviceError> {
        let mut bytes = Zeroizing::new([0; 24]);
        rand::fill(&mut bytes[..]).map_err(|_| no_randomness())?;
        let algorithm = if self.version < AES_BY_DEFAULT {
            MgmAlgorithmId::ThreeDes
        } else {
            MgmAlgorithmId::Aes192
        };
        MgmKey::from_bytes(&bytes[..], Some(algorithm)).map_err(failed)
    }

    /// The PIN, when it is right and nothing is the factory's any more.
    fn admitted<'a>(&mut self, auth: Auth<'a>) -> Result<&'a Pin, DeviceError> {
        let Auth::Pin(pin) = auth else {
            return Err(DeviceError::NeedsSecret);
        };
        if self.factory_secrets()?.contains(&true) {
            return Err(DeviceError::FactoryPin);
        }
        self.transact(|channel| verify_with_care(channel, pin, Options::default()))?;
        Ok(pin)
    }

    /// An error when a key that is named as one of a vault's is not what such a key has to be.
    fn adoptable(&self) -> Result<(), DeviceError> {
        let flawed = self.held.iter().find_map(|held| {
            let flaw = held.flaw?;
            Some(flaw.refused(&held.key.0))
        });
        flawed.map_or(Ok(()), Err)
    }

    /// A place for a key: where one of the same kind was made but never got its certificate (somebody pulled the card, or
    /// missed the touch), else a slot without key and certificate, the preferred one first.
    fn place(&mut self, plan: Plan, taken: &[u8]) -> Result<Place, DeviceError> {
        self.transact(|channel| {
            let mut free = None;
            let later = SLOTS.filter(|slot| *slot >= FIRST_REQUEST_SLOT);
            for slot in std::iter::once(plan.preferred).chain(later) {
                if taken.contains(&slot) || card::certificate(channel, slot)?.is_some() {
                    continue;
                }
                match card::metadata(channel, slot)? {
                    Slot::Empty => free = free.or(Some(slot)),
                    Slot::Known(made) if plan.flaw(&made).is_none() => {
                        let spki = Some(made.spki);
                        return Ok(Place { slot, spki });
                    }
                    Slot::Known(_) | Slot::Other => {}
                }
            }
            free.map(|slot| Place { slot, spki: None })
                .ok_or_else(|| DeviceError::Unsupported("another key: every slot is used".into()))
        })
    }

    /// Makes keys by these plans. First all keys, then all certificates, so that one touch is good for all keys that cache it.
    fn make(&mut self, plans: &[Plan], pin: &Pin) -> Result<Vec<u8>, DeviceError> {
        let mut places = Vec::new();
        for plan in plans {
            let taken: Vec<u8> = places.iter().map(|place: &Place| place.slot).collect();
            places.push(self.place(*plan, &taken)?);
        }
        let mut lease = Lease::managing(self.serial, pin)?;
        for (plan, place) in plans.iter().zip(&mut places) {
            if place.spki.is_none() {
                place.spki = Some(generate(lease.get()?, *plan, place.slot)?);
            }
        }
        drop(lease);

        let mut made = Vec::new();
        for (plan, place) in plans.iter().zip(places) {
            let spki = place.spki.unwrap_or_default();
            made.push((place.slot, self.certified(*plan, place.slot, &spki, pin)?));
        }
        let mut lease = Lease::managing(self.serial, pin)?;
        for (slot, der) in &made {
            let certificate = Certificate::from_bytes(der.clone()).map_err(failed)?;
            certificate
                .write(lease.get()?, slot_id(*slot)?, CertInfo::Uncompressed)
                .map_err(failed)?;
        }
        drop(lease);
        self.read_keys()?;
        Ok(made.into_iter().map(|(slot, _)| slot).collect())
    }

    fn certified(
        &mut self,
        plan: Plan,
        slot: u8,
        spki: &[u8],
        pin: &Pin,
    ) -> Result<Vec<u8>, DeviceError> {
        let mut serial = [0; 16];
        rand::fill(&mut serial).map_err(|_| no_randomness())?;
        let [first, ..] = &mut serial;
        *first &= 0x7f;
        let (algorithm, pin_policy, touch) = plan.policy();
        let policy = (pin_policy, touch);
        let unsigned = Unsigned::new(plan.purpose, slot, algorithm, spki, policy, serial);
        let signature = self.sign_with(
            slot,
            (algorithm, touch, pin_policy),
            spki,
            unsigned.to_sign(),
            Auth::Pin(pin),
        )?;
        Ok(unsigned.signed(&signature))
    }
}

impl Provision for PivDevice {
    /// Waits for two touches: each new key signs its certificate, two of them with a cached one. Refuses a card with a key
    /// that has the name of one of the three and was not made on the card, or is not as it should be; no PIN is sent then.
    fn provision(&mut self, auth: Auth<'_>) -> Result<DeviceInfo, DeviceError> {
        self.read_keys()?;
        self.adoptable()?;
        let pin = self.admitted(auth)?;
        let missing: Vec<Plan> = Plan::VAULT
            .into_iter()
            .filter(|plan| self.info.key(plan.purpose).is_none())
            .collect();
        if !missing.is_empty() {
            self.make(&missing, pin)?;
            // Keys were read again, and somebody could have been faster.
            self.adoptable()?;
        }
        Ok(self.info.clone())
    }

    /// Waits for a touch where the key will: it signs its certificate.
    fn generate_request_key(
        &mut self,
        algorithm: Algorithm,
        touch: TouchPolicy,
        auth: Auth<'_>,
    ) -> Result<KeyInfo, DeviceError> {
        if !matches!(algorithm, Algorithm::Rsa2048 | Algorithm::P256) {
            let text = format!("request keys with {algorithm:?}");
            return Err(DeviceError::Unsupported(text));
        }
        let pin = self.admitted(auth)?;
        let plan = Plan {
            purpose: Purpose::Request,
            algorithm,
            touch,
            preferred: FIRST_REQUEST_SLOT,
        };
        let slots = self.make(&[plan], pin)?;
        let key = slots.first().map(|slot| KeyRef(format!("{slot:02x}")));
        let mut keys = self.info.keys.iter();
        keys.find(|info| Some(&info.key) == key.as_ref())
            .cloned()
            .ok_or_else(|| DeviceError::Unexpected("without the key that it made".into()))
    }
}

struct Place {
    slot: u8,
    spki: Option<Vec<u8>>,
}

fn generate(yubikey: &mut YubiKey, plan: Plan, slot: u8) -> Result<Vec<u8>, DeviceError> {
    let algorithm = match plan.algorithm {
        Algorithm::Rsa2048 => AlgorithmId::Rsa2048,
        _ => AlgorithmId::EccP256,
    };
    let touch = match plan.touch {
        TouchPolicy::Never => CardTouch::Never,
        TouchPolicy::Cached => CardTouch::Cached,
        TouchPolicy::Always => CardTouch::Always,
    };
    let made = piv::generate(yubikey, slot_id(slot)?, algorithm, CardPin::Once, touch);
    let made = made.map_err(failed)?;
    let key = made.subject_public_key.raw_bytes();
    let spki = match plan.algorithm {
        Algorithm::Rsa2048 => Some(rsa_spki_of(key)),
        _ => P256Point::from_uncompressed(key).map(|point| point.to_spki()),
    };
    spki.ok_or_else(|| DeviceError::Unexpected("with a public key that is none".into()))
}

// The crate gives the RSAPublicKey; what wraps it is constant (RFC 3279).
fn rsa_spki_of(key: &[u8]) -> Vec<u8> {
    const RSA_ENCRYPTION: [u8; 15] = [
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let bits = tlv(0x03, &[&[0], key].concat());
    tlv(0x30, &[&RSA_ENCRYPTION[..], &bits].concat())
}

fn slot_id(slot: u8) -> Result<SlotId, DeviceError> {
    SlotId::try_from(slot).map_err(failed)
}

/// The `yubikey` crate's handle, which resets the card when it is dropped; ours leaves it as it is.
struct Lease(Option<YubiKey>);

impl Lease {
    fn open(serial: u32) -> Result<Self, DeviceError> {
        let opened = YubiKey::open_by_serial(Serial(serial));
        opened.map(|yubikey| Self(Some(yubikey))).map_err(failed)
    }

    /// With the management key shown to the card.
    fn managing(serial: u32, pin: &Pin) -> Result<Self, DeviceError> {
        let mut lease = Self::open(serial)?;
        let yubikey = lease.get()?;
        // EXPOSE: the PIN, to the crate's VERIFY; its copy is wiped when the lease ends.
        yubikey
            .verify_pin(pin.expose().as_bytes())
            .map_err(failed)?;
        let key = MgmKey::get_protected(yubikey).map_err(|error| match error {
            yubikey::Error::PcscError { .. } => failed(error),
            _ => DeviceError::Unsupported("a management key that is not kept under the PIN".into()),
        })?;
        yubikey.authenticate(&key).map_err(failed)?;
        Ok(lease)
    }

    fn get(&mut self) -> Result<&mut YubiKey, DeviceError> {
        self.0.as_mut().ok_or(DeviceError::Removed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(yubikey) = self.0.take() {
            let _ = yubikey.disconnect(pcsc::Disposition::LeaveCard);
        }
    }
}

fn failed(error: yubikey::Error) -> DeviceError {
    use yubikey::Error as E;
    match error {
        E::WrongPin { tries: 0 } | E::PinLocked => DeviceError::PinBlocked,
        E::WrongPin { tries } => DeviceError::WrongPin { tries_left: tries },
        E::PcscError { inner: Some(error) } => explained(error),
        E::NotFound | E::PcscError { inner: None } => DeviceError::Removed,
        E::NotSupported | E::AlgorithmError => DeviceError::Unsupported(error.to_string()),
        other => DeviceError::Unexpected(format!("with an error: {other}")),
    }
}

fn no_randomness() -> DeviceError {
    DeviceError::Middleware("no randomness".into())
}
