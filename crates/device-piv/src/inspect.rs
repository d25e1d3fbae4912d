//! What a person wants to know about a card before trusting it. Asks for nothing and changes nothing; needs no PIN.

use touchkeep_core::text::visible;
use touchkeep_device::{
    DeviceError, PinPolicy, Purpose, TouchPolicy,
    attestation::{AttestationError, Firmware, FormFactor, Root, Trust},
};

use crate::{
    attested::judged,
    ber,
    card::{self, SLOTS, STANDARD_SLOTS, Slot, algorithm_name},
    certificate::{Certificate, Origin},
    device::{PivDevice, begin, statements},
    limits::limits,
    objects,
    pin::PinState,
    plan::{adoption_flaw, flaw_for},
    reader::PcscTransport,
    transport::{Channel, Transport, transact},
};

/// A card, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The number that is printed on it.
    pub serial: u32,
    /// Its firmware.
    pub firmware: Firmware,
    /// Its shape, where an attested key says so.
    pub form_factor: Option<FormFactor>,
    /// Whether it is of the FIPS series, where an attested key says so.
    pub fips: Option<bool>,
    /// What it cannot do, or should not be trusted with; one sentence each.
    pub limits: Vec<String>,
    /// How PIN, PUK and management key stand; none before firmware 5.3, which cannot say.
    pub pin: Option<PinState>,
    /// The slots that hold something.
    pub slots: Vec<SlotReport>,
}

/// A slot that holds something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotReport {
    /// Which one.
    pub slot: u8,
    /// Whose it is.
    pub holds: Holds,
    /// The common name of its certificate, made fit to be shown.
    pub name: Option<String>,
    /// The kind of its key: `P-256`.
    pub algorithm: Option<&'static str>,
    /// How often its key wants the PIN.
    pub pin: Option<PinPolicy>,
    /// Whether its key wants a touch.
    pub touch: Option<TouchPolicy>,
    /// Where its key was made, as the card says.
    pub origin: Option<Origin>,
    /// Whose signature says that this key was made in this slot of this YubiKey, or why that is not known.
    pub attested: Result<Root, AttestationError>,
    /// Why the key is not used although its name says that it is ours, or could not be adopted for unlocking; or in what its
    /// attestation is of something else.
    pub flaw: Option<String>,
}

/// Whose a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A key of ours.
    Ours(Purpose),
    /// A key of `age-plugin-yubikey`. It is left alone, or adopted for unlocking when its owner asks for it.
    AgePlugin,
    /// A key of something else. It is left alone.
    Other,
    /// A key without a certificate: of nobody, or of an enrolment that was broken off.
    Bare,
    /// A certificate without a key, or of another one.
    CertificateAlone,
}

/// Looks at the card with this serial number, also where its firmware is too old for [`PivDevice`].
///
/// # Errors
/// Why it could not be looked at.
pub fn inspect(serial: u32, trust: Trust) -> Result<Inspection, DeviceError> {
    over(&mut PcscTransport::new(serial), serial, trust)
}

/// The same over another transport.
///
/// # Errors
/// As [`inspect`].
pub fn over(
    transport: &mut dyn Transport,
    serial: u32,
    trust: Trust,
) -> Result<Inspection, DeviceError> {
    transact(transport, |channel| {
        begin(channel, serial)?;
        look(channel, serial, trust)
    })
}

impl PivDevice {
    /// Looks at everything on the card.
    ///
    /// # Errors
    /// Why it could not be looked at.
    pub fn inspect(&mut self, trust: Trust) -> Result<Inspection, DeviceError> {
        let serial = self.serial;
        self.transact(|channel| look(channel, serial, trust))
    }
}

fn look(channel: &mut dyn Channel, serial: u32, trust: Trust) -> Result<Inspection, DeviceError> {
    let firmware = card::version(channel)?;
    let tells = firmware >= Firmware(5, 3, 0);
    let (mut slots, mut facts) = (Vec::new(), None);
    for slot in STANDARD_SLOTS.into_iter().chain(SLOTS) {
        let certificate = objects::certificate(channel, slot)?;
        let key = match (tells, &certificate) {
            (true, _) => card::metadata(channel, slot)?,
            // Nobody can say; a certificate is taken for a sign of a key that nothing more is known of.
            (false, Some(_)) => Slot::Other(Vec::new()),
            (false, None) => Slot::Empty,
        };
        if key == Slot::Empty && certificate.is_none() {
            continue;
        }
        let attested = judged(&statements(channel, slot)?, trust, (&key, slot, serial));
        let ours = attested.as_ref().ok();
        facts = facts.or_else(|| ours.map(|attested| (attested.form_factor, attested.fips)));
        let certificate = certificate.map(|der| Certificate::read(&der));
        let attested = attested.map(|attested| attested.chain);
        slots.push(report(slot, &key, certificate.as_ref(), attested));
    }
    let pin = match tells {
        true => Some(PinState::read(channel)?),
        false => None,
    };
    let is_practice = |slot: &SlotReport| slot.attested == Err(AttestationError::Practice);
    let practice = slots.iter().any(is_practice).then(|| {
        "It is a practice card of Touchkeep: the keys that vouch for it are public, and it protects nothing.".to_owned()
    });
    Ok(Inspection {
        serial,
        firmware,
        form_factor: facts.and_then(|(form_factor, _)| form_factor),
        fips: facts.map(|(_, fips)| fips),
        limits: practice
            .into_iter()
            .chain(limits(firmware, facts.is_some_and(|(_, fips)| fips)))
            .collect(),
        pin,
        slots,
    })
}

/// `certificate` is `Some(None)` where there is one that cannot be read.
fn report(
    slot: u8,
    key: &Slot,
    certificate: Option<&Option<Certificate>>,
    attested: Result<Root, AttestationError>,
) -> SlotReport {
    let read = certificate.and_then(Option::as_ref);
    let (algorithm, pin, touch, origin) = described(key);
    let holds = match (key, certificate, read) {
        (Slot::Empty, ..) => Holds::CertificateAlone,
        (_, None, _) => Holds::Bare,
        (Slot::Known(known), _, Some(read)) if read.spki != known.spki => Holds::CertificateAlone,
        (_, _, Some(read)) => match (read.purpose, read.age_plugin) {
            (Some(purpose), _) => Holds::Ours(purpose),
            (None, true) => Holds::AgePlugin,
            (None, false) => Holds::Other,
        },
        (_, Some(_), None) => Holds::Other,
    };
    let flaw = match (holds, key) {
        (Holds::Ours(purpose), Slot::Known(known)) => flaw_for(purpose, known),
        (Holds::AgePlugin, Slot::Known(known)) => adoption_flaw(known),
        _ => None,
    };
    let differs = match attested {
        Err(error @ AttestationError::Differs(_)) => Some(error.to_string()),
        _ => None,
    };
    SlotReport {
        slot,
        holds,
        name: read.and_then(|read| read.name.as_deref().map(visible)),
        algorithm,
        pin,
        touch,
        origin,
        attested,
        flaw: flaw.map(|flaw| flaw.to_string()).or(differs),
    }
}

type Described = (
    Option<&'static str>,
    Option<PinPolicy>,
    Option<TouchPolicy>,
    Option<Origin>,
);

fn described(key: &Slot) -> Described {
    let origin = |generated| match generated {
        true => Origin::Generated,
        false => Origin::Imported,
    };
    match key {
        Slot::Empty => (None, None, None, None),
        Slot::Known(key) => (
            Some(card::name(key.algorithm)),
            Some(key.pin),
            Some(key.touch),
            Some(origin(key.generated)),
        ),
        Slot::Other(data) => {
            let first = |tag| ber::find(tag, data).and_then(|value| value.first().copied());
            let policy = ber::find(0x02, data).and_then(|value| value.first_chunk::<2>());
            (
                first(0x01).map(algorithm_name),
                policy.and_then(|[pin, _]| PinPolicy::from_byte(*pin)),
                policy.and_then(|[_, touch]| TouchPolicy::from_byte(*touch)),
                first(0x03).map(|byte| origin(byte == 1)),
            )
        }
    }
}
