//! Making keys, taking keys in, and leaving the factory's secrets: with a person beside it, each in one transaction and with
//! each secret sent once.

use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, DeviceError, DeviceInfo, HandedKey, KeyInfo, KeyRef, PinPolicy, Provision,
    Purpose, TouchPolicy,
};

use crate::{
    card::{self, SLOTS, Slot},
    certificate::{Origin, Unsigned},
    device::{PivDevice, Target},
    held::{Held, Listed, read_keys},
    limits::can_hold,
    management::{self, Keeping, ManagementKey},
    objects,
    pin::{self, FACTORY_PIN, FACTORY_PUK, PinState},
    plan::Plan,
    reference::{self, Reference, verify_with_care},
    sign,
    transport::Channel,
};

const FIRST_REQUEST_SLOT: u8 = 0x85;

impl PivDevice {
    /// Replaces what is still the factory's of PIN, PUK and management key. `pin` is what it is afterwards: a new one where it is
    /// the factory's, else the present one. `puk` is a new one; where it is not the factory's, none is needed and one that is
    /// given is not used. The management key becomes random and is kept on the card under the PIN, as Yubico's own tools do it.
    /// When the card is pulled out in the middle, the same call does the rest.
    ///
    /// # Errors
    /// [`DeviceError::FactoryPin`] when `pin` or `puk` are the factory's again; [`DeviceError::Unsupported`] when they are not
    /// 6 to 8 ASCII characters; [`DeviceError::NeedsSecret`] when the PUK is the factory's and none is given; else why the card
    /// did not.
    pub fn change_factory_secrets<'a>(
        &mut self,
        pin: &Pin,
        puk: impl Into<Option<&'a Pin>>,
    ) -> Result<(), DeviceError> {
        let puk = puk.into();
        pin::allowed(Reference::Pin, pin)?;
        puk.map_or(Ok(()), |puk| pin::allowed(Reference::Puk, puk))?;
        let firmware = self.firmware;
        self.transact(|channel| {
            let state = PinState::read(channel)?;
            let factory = state.management_key == Keeping::Factory;
            if state.puk_is_factory && puk.is_none() {
                return Err(DeviceError::NeedsSecret);
            }
            if state.pin_is_factory {
                let old = Pin::new(FACTORY_PIN.into());
                reference::change(channel, Reference::Pin, &old, pin)?;
            }
            // A PIN that was there before may be another: nothing is changed after a wrong one.
            if factory || !state.pin_is_factory {
                verify_with_care(channel, pin, false)?;
            }
            if let Some(puk) = puk.filter(|_| state.puk_is_factory) {
                let old = Pin::new(FACTORY_PUK.into());
                reference::change(channel, Reference::Puk, &old, puk)?;
            }
            if factory {
                ManagementKey::factory(channel)?.authenticate(channel)?;
                let new = ManagementKey::random(firmware)?;
                new.keep(channel)?;
                new.set(channel)?;
                // What is kept is what the card has now; else nobody would have it.
                ManagementKey::kept(channel)?.authenticate(channel)?;
            }
            Ok(())
        })
    }

    /// Takes the key of `age-plugin-yubikey` in this slot for unlocking, instead of making one. It stays the plugin's as well:
    /// neither the key nor its certificate is changed. The choice is for this value; a vault that was made with it names it.
    ///
    /// # Errors
    /// [`DeviceError::NoKey`] when there is no such key; [`DeviceError::Unsupported`] when it is not what an unlock key has to be
    /// (made on the card, PIN once, touch cached or always), or when the card has an unlock key of ours.
    pub fn adopt_for_unlock(&mut self, key: &KeyRef) -> Result<KeyInfo, DeviceError> {
        self.refresh()?;
        let unlock = |info: &&KeyInfo| info.purpose == Purpose::Unlock && info.key != *key;
        if let Some(ours) = self.info.keys.iter().find(unlock) {
            return Err(DeviceError::Unsupported(format!(
                "another unlock key beside that in slot {}",
                ours.key.0
            )));
        }
        let held = self.held.iter().find(|held| held.info.key == *key);
        let held = held.ok_or_else(|| DeviceError::NoKey(key.clone()))?;
        if let Some(flaw) = held.flaw {
            return Err(flaw.not_adopted(&key.0));
        }
        if held.info.purpose != Purpose::Unlock {
            return Err(DeviceError::NoKey(key.clone()));
        }
        let info = held.info.clone();
        self.adopted = Some(held.slot);
        self.refresh()?;
        Ok(info)
    }

    /// Has these keys, by their public halves, not taken for ones of an enrolment that was broken off, where their certificates are
    /// gone: a vault that retired them never takes them again.
    pub fn avoid(&mut self, keys: Vec<Vec<u8>>) {
        self.avoided = keys;
    }

    /// Lists a key that was made. It is not read again: a card that goes now has it all the same.
    fn note(&mut self, made: Held) -> KeyInfo {
        let info = made.info.clone();
        let mut held = std::mem::take(&mut self.held);
        held.retain(|other| other.slot != made.slot);
        held.push(made);
        self.holds(held);
        info
    }
}

impl Provision for PivDevice {
    /// Waits for two touches: each new key signs its certificate, two of them with a cached one. Refuses a card with a key
    /// that has the name of one of the three and was not made on the card, or is not as it should be; no PIN is sent then.
    fn provision(&mut self, auth: Auth<'_>) -> Result<DeviceInfo, DeviceError> {
        let (serial, adopted) = (self.serial, self.adopted);
        let allow = self.options.danger_allow_last_try;
        let avoided = self.avoided.clone();
        let (held, made) = self.transact(|channel| {
            let held = read_keys(channel, serial, adopted)?;
            adoptable(&held)?;
            let pin = pin_of(auth)?;
            let has = |plan: &Plan| {
                let mut ours = held.iter().filter(|held| held.listed == Listed::Ours);
                ours.any(|held| held.info.purpose == plan.purpose)
            };
            let missing: Vec<Plan> = Plan::VAULT.into_iter().filter(|plan| !has(plan)).collect();
            managing(channel, pin, allow)?;
            let made = make(channel, serial, &missing, &avoided, (pin, allow))?;
            Ok((held, made))
        })?;
        self.holds(held);
        for made in made {
            self.note(made);
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
        can_hold(self.firmware, algorithm)?;
        let pin = pin_of(auth)?;
        let (serial, allow) = (self.serial, self.options.danger_allow_last_try);
        let made = self.transact(|channel| {
            managing(channel, pin, allow)?;
            let plan = Plan::request(algorithm, touch);
            make(channel, serial, &[plan], &[], (pin, allow))
        })?;
        let made = made.into_iter().next();
        made.map(|made| self.note(made))
            .ok_or_else(|| DeviceError::Unexpected("without the key that it made".into()))
    }

    /// Takes P-256 keys, and from firmware 5.7 on Ed25519 keys. Waits for a touch where the key will: it signs its certificate.
    fn import_request_key(
        &mut self,
        key: &HandedKey,
        touch: TouchPolicy,
        auth: Auth<'_>,
    ) -> Result<KeyInfo, DeviceError> {
        can_hold(self.firmware, key.algorithm())?;
        let pin = pin_of(auth)?;
        let (plan, spki) = (Plan::request(key.algorithm(), touch), key.public());
        let (serial, allow) = (self.serial, self.options.danger_allow_last_try);
        let slot = self.transact(|channel| {
            let held = read_keys(channel, serial, None)?;
            if let Some(there) = held.iter().find(|held| held.info.spki == spki) {
                let text = format!("that key a second time: slot {} holds it", there.info.key.0);
                return Err(DeviceError::Unsupported(text));
            }
            managing(channel, pin, allow)?;
            let place = place_for_import(channel, plan, spki)?;
            if place.spki.is_none() {
                let (_, pin_policy, touch) = plan.policy();
                card::import(channel, place.slot, key, (pin_policy, touch))?;
            }
            let target = plan.target(place.slot, spki);
            let certificate = certified(channel, plan, target, Origin::Imported, (pin, allow))?;
            objects::put_certificate(channel, place.slot, &certificate)?;
            Ok(place.slot)
        })?;
        Ok(self.note(plan.held(self.serial, slot, spki.to_vec(), Origin::Imported)))
    }
}

fn pin_of(auth: Auth<'_>) -> Result<&Pin, DeviceError> {
    match auth {
        Auth::Pin(pin) => Ok(pin),
        Auth::Nothing | Auth::Passphrase(_) => Err(DeviceError::NeedsSecret),
    }
}

/// An error when a key that is named as one of a vault's is not what such a key has to be.
fn adoptable(held: &[Held]) -> Result<(), DeviceError> {
    let mut ours = held.iter().filter(|held| held.listed == Listed::Ours);
    match ours.find_map(|held| Some(held.flaw?.refused(&held.info.key.0))) {
        Some(refused) => Err(refused),
        None => Ok(()),
    }
}

/// When nothing is the factory's any more: sends the PIN once, and shows the card the management key that it keeps under it.
fn managing(channel: &mut dyn Channel, pin: &Pin, allow: bool) -> Result<(), DeviceError> {
    let state = PinState::read(channel)?;
    state.has_left_the_factory()?;
    if state.management_key == Keeping::Elsewhere {
        return Err(management::kept_elsewhere());
    }
    verify_with_care(channel, pin, allow)?;
    ManagementKey::kept(channel)?.authenticate(channel)
}

/// Makes keys by these plans. First all keys, then all certificates, so that one touch is good for all keys that cache it.
fn make(
    channel: &mut dyn Channel,
    serial: u32,
    plans: &[Plan],
    avoided: &[Vec<u8>],
    pin: (&Pin, bool),
) -> Result<Vec<Held>, DeviceError> {
    let mut made: Vec<(Plan, u8, Vec<u8>)> = Vec::new();
    for plan in plans {
        let taken: Vec<u8> = made.iter().map(|(_, slot, _)| *slot).collect();
        let place = place(channel, *plan, &taken, avoided)?;
        let (algorithm, pin_policy, touch) = plan.policy();
        let spki = match place.spki {
            Some(spki) => spki,
            None => card::generate(channel, place.slot, algorithm, (pin_policy, touch))?,
        };
        made.push((*plan, place.slot, spki));
    }
    let mut certificates = Vec::new();
    for (plan, slot, spki) in &made {
        let target = plan.target(*slot, spki);
        let certificate = certified(channel, *plan, target, Origin::Generated, pin)?;
        certificates.push((*slot, certificate));
    }
    for (slot, certificate) in &certificates {
        objects::put_certificate(channel, *slot, certificate)?;
    }
    let held = made
        .into_iter()
        .map(|(plan, slot, spki)| plan.held(serial, slot, spki, Origin::Generated));
    Ok(held.collect())
}

impl Plan {
    const fn request(algorithm: Algorithm, touch: TouchPolicy) -> Self {
        Self {
            purpose: Purpose::Request,
            algorithm,
            // A card that has seen the PIN once has seen it for every program, until it is taken out. What waits for no touch
            // is therefore used with the PIN alone, which nobody else has.
            pin: match touch {
                TouchPolicy::Always => PinPolicy::Once,
                TouchPolicy::Never | TouchPolicy::Cached => PinPolicy::Always,
            },
            touch,
            preferred: FIRST_REQUEST_SLOT,
        }
    }

    /// A key that was made by this plan.
    fn held(self, serial: u32, slot: u8, spki: Vec<u8>, origin: Origin) -> Held {
        let (algorithm, pin, touch) = self.policy();
        let metadata = card::Metadata {
            algorithm,
            pin,
            touch,
            generated: origin == Origin::Generated,
            spki,
        };
        Held::new(metadata, (serial, slot), self.purpose, None, Listed::Ours)
    }

    fn target(self, slot: u8, spki: &[u8]) -> Target<'_> {
        let (algorithm, pin, touch) = self.policy();
        Target {
            slot,
            algorithm,
            pin,
            touch,
            spki,
        }
    }
}

struct Place {
    slot: u8,
    spki: Option<Vec<u8>>,
}

/// A place for a key: where one of the same kind was made but never got its certificate (somebody pulled the card, or
/// missed the touch), else a slot without key and certificate, the preferred one first.
fn place(
    channel: &mut dyn Channel,
    plan: Plan,
    taken: &[u8],
    avoided: &[Vec<u8>],
) -> Result<Place, DeviceError> {
    place_where(channel, plan, taken, |made| {
        plan.flaw(made).is_none() && !avoided.contains(&made.spki)
    })
}

/// The same for a key that comes from elsewhere: where it was put but never got its certificate, or a free slot.
fn place_for_import(
    channel: &mut dyn Channel,
    plan: Plan,
    spki: &[u8],
) -> Result<Place, DeviceError> {
    let (algorithm, pin, touch) = plan.policy();
    place_where(channel, plan, &[], |found| {
        let policy = (found.algorithm, found.pin, found.touch) == (algorithm, pin, touch);
        policy && !found.generated && found.spki == spki
    })
}

fn place_where(
    channel: &mut dyn Channel,
    plan: Plan,
    taken: &[u8],
    suits: impl Fn(&card::Metadata) -> bool,
) -> Result<Place, DeviceError> {
    let mut free = None;
    let later = SLOTS.filter(|slot| *slot >= FIRST_REQUEST_SLOT);
    for slot in std::iter::once(plan.preferred).chain(later) {
        if taken.contains(&slot) || objects::certificate(channel, slot)?.is_some() {
            continue;
        }
        match card::metadata(channel, slot)? {
            Slot::Empty => free = free.or(Some(slot)),
            Slot::Known(made) if suits(&made) => {
                let spki = Some(made.spki);
                return Ok(Place { slot, spki });
            }
            Slot::Known(_) | Slot::Other(_) => {}
        }
    }
    free.map(|slot| Place { slot, spki: None })
        .ok_or_else(|| DeviceError::Unsupported("another key: every slot is used".into()))
}

/// The certificate of a key, signed by itself. A key that wants the PIN each time gets it once more, after it was found good.
fn certified(
    channel: &mut dyn Channel,
    plan: Plan,
    target: Target<'_>,
    origin: Origin,
    (pin, allow): (&Pin, bool),
) -> Result<Vec<u8>, DeviceError> {
    let mut serial = [0; 16];
    management::random(&mut serial)?;
    let [first, ..] = &mut serial;
    *first &= 0x7f;
    let (algorithm, pin_policy, touch) = plan.policy();
    let policy: (PinPolicy, TouchPolicy) = (pin_policy, touch);
    let (slot, spki) = (target.slot, target.spki);
    let unsigned = Unsigned::new(plan.purpose, slot, algorithm, spki, policy, origin, serial);
    let input = sign::prepared(algorithm, unsigned.to_sign())?;
    if pin_policy == PinPolicy::Always {
        verify_with_care(channel, pin, allow)?;
    }
    let signature = sign::sign(channel, target, unsigned.to_sign(), &input)?;
    Ok(unsigned.signed(&signature))
}
