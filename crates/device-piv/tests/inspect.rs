//! What is said of a card before anybody trusts it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use support::{PIN, PUK, on_a_card};
use touchkeep_core::Pin;
use touchkeep_device::{
    Device, DeviceError, PinPolicy, Purpose, TouchPolicy,
    attestation::{AttestationError, Firmware, Root, Trust},
};
use touchkeep_device_piv::{
    Inspection, Keeping, Options, Origin, PivDevice, inspect,
    inspect::{Holds, SlotReport},
    transport::{Channel, Transport, Work},
};
use yubikey::{
    MgmKey, PinPolicy as CardPin, Serial, TouchPolicy as CardTouch, YubiKey,
    piv::{self, AlgorithmId, SlotId},
};
use zeroize::Zeroizing;

const AUTO: &[&str] = &["--touch", "auto"];

fn managed(serial: u32, pin: Option<&str>) -> YubiKey {
    let mut yubikey = YubiKey::open_by_serial(Serial(serial)).unwrap();
    let key = match pin {
        None => MgmKey::get_default(&yubikey).unwrap(),
        Some(pin) => {
            yubikey.verify_pin(pin.as_bytes()).unwrap();
            MgmKey::get_protected(&mut yubikey).unwrap()
        }
    };
    yubikey.authenticate(&key).unwrap();
    yubikey
}

fn at_of(seen: &Inspection, number: u8) -> &SlotReport {
    let mut slots = seen.slots.iter();
    slots.find(|slot| slot.slot == number).unwrap()
}

#[test]
fn a_new_card_is_described_as_new() {
    on_a_card("a_new_card_is_described_as_new", AUTO, |card| {
        let before = card.standing();
        let seen = inspect(card.serial(), Trust::YubicoAndPractice).unwrap();
        assert_eq!(seen.serial, card.serial());
        assert_eq!(seen.firmware, Firmware(5, 4, 3));
        assert_eq!(seen.slots, []);
        let pin = seen.pin.unwrap();
        assert!(pin.pin_is_factory && pin.puk_is_factory);
        assert_eq!(pin.management_key, Keeping::Factory);
        let limits = seen.limits.join("\n");
        assert!(limits.contains("Ed25519") && limits.contains("YSA-2024-03"));
        // Nothing attested, so nothing is known of these.
        assert_eq!((seen.form_factor, seen.fips), (None, None));
        assert_eq!(card.standing(), before);
        assert!(matches!(
            inspect(1, Trust::Yubico),
            Err(DeviceError::Removed)
        ));
    });
}

#[test]
fn each_slot_says_whose_it_is_and_where_its_key_is_from() {
    on_a_card(
        "each_slot_says_whose_it_is_and_where_its_key_is_from",
        &["--touch", "auto", "--firmware", "5.7.4"],
        |card| {
            let (mut device, _) = card.enrolled();
            let mut yubikey = managed(card.serial(), Some(PIN));
            let slot = |number: u8| SlotId::try_from(number).unwrap();
            let (never, always) = (CardTouch::Never, CardTouch::Always);
            piv::generate(
                &mut yubikey,
                slot(0x9a),
                AlgorithmId::EccP384,
                CardPin::Always,
                always,
            )
            .unwrap();
            piv::import_ecc_key(
                &mut yubikey,
                slot(0x95),
                AlgorithmId::EccP256,
                &[7; 32],
                never,
                CardPin::Never,
            )
            .unwrap();
            drop(yubikey);
            let before = card.standing();
            let seen = device.inspect(Trust::YubicoAndPractice).unwrap();
            assert_eq!(
                seen,
                inspect(card.serial(), Trust::YubicoAndPractice).unwrap()
            );
            assert_eq!(card.standing()["verify_count"], before["verify_count"]);
            assert_eq!(seen.limits, Vec::<String>::new());
            assert!(seen.form_factor.is_some());
            assert_eq!(seen.fips, Some(false));

            let slots: Vec<u8> = seen.slots.iter().map(|slot| slot.slot).collect();
            assert_eq!(slots, [0x9a, 0x82, 0x83, 0x84, 0x95]);
            let at = |number: u8| at_of(&seen, number);
            let expected = SlotReport {
                slot: 0x9a,
                holds: Holds::Bare,
                name: None,
                algorithm: Some("P-384"),
                pin: Some(PinPolicy::Always),
                touch: Some(TouchPolicy::Always),
                origin: Some(Origin::Generated),
                attested: Ok(Root::PracticeAttestation1),
                flaw: None,
            };
            assert_eq!(*at(0x9a), expected);
            let seal = at(0x83);
            assert_eq!(seal.holds, Holds::Ours(Purpose::Seal));
            assert_eq!(seal.name.as_deref(), Some("touchkeep seal"));
            assert_eq!(seal.attested, Ok(Root::PracticeAttestation1));
            assert_eq!(seal.flaw, None);
            let foreign = at(0x95);
            assert_eq!(
                (foreign.holds, foreign.origin),
                (Holds::Bare, Some(Origin::Imported))
            );
            assert_eq!(foreign.attested, Err(AttestationError::None));
            // Without the practice root nobody vouches, and so its shape is not known.
            let strict = device.inspect(Trust::Yubico).unwrap();
            assert!(strict.slots.iter().all(|slot| slot.attested.is_err()));
            assert_eq!(
                at_of(&strict, 0x83).attested,
                Err(AttestationError::Practice)
            );
            assert!(strict.limits.join("\n").contains("a practice card"));
            assert_eq!(strict.form_factor, None);
        },
    );
}

/// A way to a card that gives the unlock key's statement for the seal key's as well.
struct Mixed(pcsc::Card);

impl Mixed {
    fn up() -> Self {
        let context = pcsc::Context::establish(pcsc::Scope::System).unwrap();
        let readers = context.list_readers_owned().unwrap();
        let shared = pcsc::ShareMode::Shared;
        Self(
            context
                .connect(&readers[0], shared, pcsc::Protocols::ANY)
                .unwrap(),
        )
    }
}

impl Transport for Mixed {
    fn exclusive(&mut self, work: Work<'_>) -> Result<(), DeviceError> {
        work(self)
    }
}

impl Channel for Mixed {
    fn transmit(&mut self, apdu: &[u8]) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        let mut apdu = apdu.to_vec();
        if apdu[1..3] == [0xf9, 0x83] {
            apdu[2] = 0x82;
        }
        let mut buffer = [0; 258];
        let answer = self.0.transmit(&apdu, &mut buffer).unwrap();
        Ok(Zeroizing::new(answer.to_vec()))
    }
}

const MIXED: &str = "a_statement_about_another_slot_is_called_what_it_is";

#[test]
fn a_statement_about_another_slot_is_called_what_it_is() {
    on_a_card(MIXED, AUTO, |card| {
        let (device, _) = card.enrolled();
        let serial = card.serial();
        drop(device);
        let trust = Trust::YubicoAndPractice;
        let seen = inspect::over(&mut Mixed::up(), serial, trust).unwrap();
        let differs = Err(AttestationError::Differs("key"));
        assert_eq!(at_of(&seen, 0x83).attested, differs);
        let flaw = at_of(&seen, 0x83).flaw.as_deref().unwrap();
        assert!(flaw.contains("of another key"), "{flaw}");
        assert_eq!(at_of(&seen, 0x82).attested, Ok(Root::PracticePiv));
        assert_eq!(at_of(&seen, 0x82).flaw, None);

        let over = Box::new(Mixed::up());
        let mut device = PivDevice::over(over, serial, Options::default()).unwrap();
        let of = |device: &PivDevice, purpose| device.info().key(purpose).unwrap().key.clone();
        let (unlock, seal) = (of(&device, Purpose::Unlock), of(&device, Purpose::Seal));
        device.attested(&unlock, trust).unwrap();
        let (_, verdict) = device.statements(&seal, trust).unwrap();
        assert_eq!(verdict.unwrap_err(), AttestationError::Differs("key"));
    });
}

#[test]
fn firmware_that_cannot_say_what_it_holds_is_inspected_and_not_opened() {
    on_a_card(
        "firmware_that_cannot_say_what_it_holds_is_inspected_and_not_opened",
        &["--touch", "auto", "--firmware", "5.2.7"],
        |card| {
            let seen = inspect(card.serial(), Trust::Yubico).unwrap();
            assert_eq!((seen.firmware, seen.pin), (Firmware(5, 2, 7), None));
            assert!(seen.limits.join("\n").contains("which slots hold keys"));
            let refused = PivDevice::open(card.serial(), Options::default());
            let words = refused.err().unwrap().to_string();
            assert!(words.contains("5.3 or later"), "{words}");
        },
    );
}

#[test]
fn a_planted_key_with_our_name_is_said_to_be_flawed() {
    on_a_card(
        "a_planted_key_with_our_name_is_said_to_be_flawed",
        AUTO,
        |card| {
            let (pin, puk) = (Pin::new(PIN.into()), Pin::new(PUK.into()));
            let mut device = card.open();
            device.change_factory_secrets(&pin, &puk).unwrap();
            let mut yubikey = managed(card.serial(), Some(PIN));
            let slot = SlotId::try_from(0x83).unwrap();
            let (once, cached) = (CardPin::Once, CardTouch::Cached);
            piv::generate(&mut yubikey, slot, AlgorithmId::EccP256, once, cached).unwrap();
            yubikey.verify_pin(PIN.as_bytes()).unwrap();
            // Signed by the key itself, with the name of our seal key, by another implementation.
            let public = piv::metadata(&mut yubikey, slot).unwrap().public.unwrap();
            let name = "O=age-plugin-yubikey,CN=touchkeep seal".parse().unwrap();
            let validity =
                x509_cert::time::Validity::from_now(std::time::Duration::from_secs(3600)).unwrap();
            yubikey::Certificate::generate_self_signed::<_, p256::NistP256>(
                &mut yubikey,
                slot,
                x509_cert::serial_number::SerialNumber::new(&[1]).unwrap(),
                validity,
                name,
                public,
                |_| Ok(()),
            )
            .unwrap();
            drop(yubikey);
            let seen = card.open().inspect(Trust::YubicoAndPractice).unwrap();
            let seal = seen.slots.iter().find(|slot| slot.slot == 0x83).unwrap();
            assert_eq!(seal.holds, Holds::Ours(Purpose::Seal), "{seal:?}");
            let flaw = seal.flaw.as_deref().unwrap();
            assert!(
                flaw.contains("touch policy Cached where Always belongs"),
                "{flaw}"
            );
        },
    );
}
