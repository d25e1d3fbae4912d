//! What a person does wrong, and what a card does: it costs what it says and no more, and the next use works.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::time::{Duration, Instant};

use support::{Card, on_a_card};
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceError, KeyInfo, Provision, Purpose, SecretDemand,
    SignatureScheme, TouchPolicy, conformance::openssl_verifies,
};
use touchkeep_device_piv::{Options, PivDevice};

const AUTO: &[&str] = &["--touch", "auto"];

fn key(device: &PivDevice, purpose: Purpose) -> KeyInfo {
    device.info().key(purpose).unwrap().clone()
}

fn sign(device: &mut PivDevice, pin: &Pin) -> Result<Vec<u8>, DeviceError> {
    let key = key(device, Purpose::SignVault);
    let scheme = SignatureScheme::EcdsaP256Sha256;
    device.sign(&key.key, scheme, b"a statement", Auth::Pin(pin))
}

#[test]
fn a_wrong_pin_is_sent_once_and_the_last_try_never() {
    on_a_card(
        "a_wrong_pin_is_sent_once_and_the_last_try_never",
        AUTO,
        |card| {
            let (mut device, pin) = card.enrolled();
            let wrong = Pin::new("000000".into());
            let (sent, _) = card.verified();
            for left in [2, 1] {
                let refused = sign(&mut device, &wrong);
                assert!(
                    matches!(refused, Err(DeviceError::WrongPin { tries_left }) if tries_left == left)
                );
            }
            assert_eq!(card.verified(), (sent + 2, 1));

            // Neither a wrong PIN nor the right one is sent now, and it was said before.
            let unlock = key(&device, Purpose::Unlock).key;
            let demand = device.demand(&unlock).unwrap();
            assert_eq!(
                demand.secret,
                SecretDemand::Pin {
                    tries_left: Some(1)
                }
            );
            for pin in [&wrong, &pin] {
                assert!(matches!(sign(&mut device, pin), Err(DeviceError::LastTry)));
            }
            assert_eq!(card.verified(), (sent + 2, 1));

            let options = Options {
                danger_allow_last_try: true,
            };
            let mut device = PivDevice::open(card.serial(), options).unwrap();
            sign(&mut device, &pin).unwrap();
            assert_eq!(card.verified(), (sent + 3, 3));

            for _ in 0..3 {
                sign(&mut device, &wrong).unwrap_err();
            }
            assert!(matches!(
                sign(&mut device, &pin),
                Err(DeviceError::PinBlocked)
            ));
            assert_eq!(card.verified(), (sent + 6, 0));
        },
    );
}

#[test]
fn what_cannot_be_a_pin_is_not_sent() {
    on_a_card("what_cannot_be_a_pin_is_not_sent", AUTO, |card| {
        let (mut device, _) = card.enrolled();
        let before = card.verified();
        for bad in ["", "12345", "123456789"] {
            let refused = sign(&mut device, &Pin::new(bad.into()));
            assert!(matches!(
                refused,
                Err(DeviceError::WrongPin { tries_left: 3 })
            ));
        }
        assert_eq!(card.verified(), before);
    });
}

#[test]
fn without_a_touch_nothing_is_signed_and_with_one_it_is() {
    on_a_card(
        "without_a_touch_nothing_is_signed_and_with_one_it_is",
        &["--touch-timeout-ms", "1500", "--touch-cached-ms", "0"],
        |card| {
            // Three keys sign their certificates; no touch counts for a second use here.
            let (mut device, pin) = enrolled(card, 3);
            let finger = card.finger();
            let (auth, touch) = (Auth::Pin(&pin), TouchPolicy::Always);
            let request = device
                .generate_request_key(Algorithm::Rsa2048, touch, auth)
                .unwrap();
            assert!(finger.join().unwrap());

            let scheme = SignatureScheme::RsaPkcs1Sha256;
            let refused = device.sign(&request.key, scheme, b"withdraw", auth);
            assert!(matches!(refused, Err(DeviceError::NoTouch)));

            let finger = card.finger();
            let signature = device
                .sign(&request.key, scheme, b"withdraw", auth)
                .unwrap();
            assert!(finger.join().unwrap());
            assert!(openssl_verifies(
                scheme,
                &request.spki,
                b"withdraw",
                &signature
            ));
        },
    );
}

/// Enrolment, with so many touches.
fn enrolled(card: &Card, touches: usize) -> (PivDevice, Pin) {
    let fingers: Vec<_> = (0..touches).map(|_| card.finger()).collect();
    let enrolled = card.enrolled();
    for finger in fingers {
        assert!(finger.join().unwrap());
    }
    enrolled
}

#[test]
fn a_missed_touch_at_enrolment_is_made_good_by_the_next_try() {
    on_a_card(
        "a_missed_touch_at_enrolment_is_made_good_by_the_next_try",
        &["--touch-timeout-ms", "500"],
        |card| {
            let (pin, puk) = (Pin::new(support::PIN.into()), Pin::new(support::PUK.into()));
            let mut device = card.open();
            device.change_factory_secrets(&pin, &puk).unwrap();
            let missed = device.provision(Auth::Pin(&pin));
            assert!(matches!(missed, Err(DeviceError::NoTouch)));
            assert!(card.open().info().keys.is_empty());

            // One touch for the key that waits for each, one for the two that cache it.
            let fingers = [card.finger(), card.finger()];
            let info = device.provision(Auth::Pin(&pin)).unwrap();
            for finger in fingers {
                assert!(finger.join().unwrap());
            }
            let slots: Vec<_> = info.keys.iter().map(|key| key.key.0.as_str()).collect();
            assert_eq!(slots, ["82", "83", "84"]);
            assert_eq!(card.ask(r#"{"do":"state"}"#)["touches"], 2);
        },
    );
}

#[test]
fn a_removed_card_is_said_to_be_and_works_when_it_is_back() {
    on_a_card(
        "a_removed_card_is_said_to_be_and_works_when_it_is_back",
        &[],
        |card| {
            let (mut device, pin) = enrolled(card, 2);
            for _ in 0..3 {
                card.ask(r#"{"do":"remove"}"#);
                let started = Instant::now();
                assert!(matches!(sign(&mut device, &pin), Err(DeviceError::Removed)));
                let unlock = key(&device, Purpose::Unlock).key;
                assert!(matches!(device.demand(&unlock), Err(DeviceError::Removed)));
                assert!(started.elapsed() < Duration::from_secs(2));
                card.ask(r#"{"do":"insert"}"#);
                let finger = card.finger();
                sign(&mut device, &pin).unwrap();
                assert!(finger.join().unwrap());
            }
        },
    );
}

#[test]
fn a_card_that_goes_while_it_waits_for_the_touch_is_removed() {
    on_a_card(
        "a_card_that_goes_while_it_waits_for_the_touch_is_removed",
        &[],
        |card| {
            let (mut device, pin) = enrolled(card, 2);
            let seal = key(&device, Purpose::Seal);
            let stanzas = {
                let file_key = age_core::format::FileKey::new(Box::new([7; 16]));
                let recipient = touchkeep_device::stanza::recipient(&seal).unwrap();
                recipient.wrap_file_key(&file_key).unwrap().0
            };
            let dir = card.dir.clone();
            let hand = std::thread::spawn(move || {
                let card = Card { dir };
                while card.ask(r#"{"do":"state"}"#)["waiting"] != true {
                    std::thread::yield_now();
                }
                card.ask(r#"{"do":"remove"}"#);
            });
            let gone = device.unwrap_file_key(&seal.key, &stanzas, Auth::Pin(&pin));
            assert!(
                matches!(gone, Err(DeviceError::Removed)),
                "{:?}",
                gone.err()
            );
            hand.join().unwrap();
            card.ask(r#"{"do":"insert"}"#);
            let finger = card.finger();
            device
                .unwrap_file_key(&seal.key, &stanzas, Auth::Pin(&pin))
                .unwrap();
            assert!(finger.join().unwrap());
        },
    );
}

#[test]
fn another_card_in_the_reader_is_not_ours() {
    on_a_card("another_card_in_the_reader_is_not_ours", AUTO, |card| {
        let stranger = card.serial() ^ 1;
        let opened = PivDevice::open(stranger, Options::default());
        assert!(matches!(opened, Err(DeviceError::Removed)));
    });
}

#[test]
fn a_card_that_somebody_keeps_is_busy_and_no_pin_is_spent() {
    on_a_card(
        "a_card_that_somebody_keeps_is_busy_and_no_pin_is_spent",
        AUTO,
        |card| {
            let (device, pin) = card.enrolled();
            let reader = &touchkeep_device_piv::list().unwrap()[0].reader;
            let serial = card.serial();
            drop(device);
            let before = card.verified();
            let context = pcsc::Context::establish(pcsc::Scope::System).unwrap();
            let name = std::ffi::CString::new(reader.as_str()).unwrap();
            let kept = context
                .connect(&name, pcsc::ShareMode::Exclusive, pcsc::Protocols::ANY)
                .unwrap();
            let opened = PivDevice::open(serial, Options::default());
            assert!(matches!(opened, Err(DeviceError::Busy { .. })));
            assert!(matches!(
                touchkeep_device_piv::list(),
                Err(DeviceError::Busy { .. })
            ));
            kept.disconnect(pcsc::Disposition::ResetCard)
                .map_err(|(_, e)| e)
                .unwrap();
            assert_eq!(card.verified(), before);
            sign(&mut card.open(), &pin).unwrap();
        },
    );
}
