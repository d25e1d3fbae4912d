//! Keys for requests on a YubiKey: each kind that the firmware has, made on the card or put into it, signs what openssl verifies; a key
//! that waits for a touch takes one for each signature, as the card counts them; without one, or without the card, there is none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::process::Command;

use support::{Card, on_a_card};
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceError, HandedKey, KeyInfo, Provision, TouchPolicy,
    attestation::Trust, conformance::openssl_verifies, public::scheme_of,
};
use touchkeep_device_piv::PivDevice;

const KINDS: [Algorithm; 3] = [Algorithm::Rsa2048, Algorithm::P256, Algorithm::Ed25519];
const REQUEST: &[u8] = b"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&timestamp=1";

fn touches(card: &Card) -> u64 {
    card.ask(r#"{"do":"state"}"#)["touches"].as_u64().unwrap()
}

fn touched<T>(card: &Card, work: impl FnOnce() -> T) -> T {
    let finger = card.finger();
    let done = work();
    assert!(finger.join().unwrap());
    done
}

fn enrolled(card: &Card) -> (PivDevice, Pin) {
    let fingers = [card.finger(), card.finger()];
    let enrolled = card.enrolled();
    for finger in fingers {
        assert!(finger.join().unwrap());
    }
    enrolled
}

fn sign(device: &mut PivDevice, key: &KeyInfo, pin: &Pin) -> Result<Vec<u8>, DeviceError> {
    let scheme = scheme_of(key.algorithm).unwrap();
    device.sign(&key.key, scheme, REQUEST, Auth::Pin(pin))
}

fn verifies(key: &KeyInfo, signature: &[u8]) -> bool {
    openssl_verifies(
        scheme_of(key.algorithm).unwrap(),
        &key.spki,
        REQUEST,
        signature,
    )
}

// Whether the card asks for the PIN at each use of a key, as another implementation of PIV reads it.
fn asks_each_time(key: &KeyInfo) -> bool {
    let slot = yubikey::piv::SlotId::try_from(u8::from_str_radix(&key.key.0, 16).unwrap());
    let mut card = yubikey::YubiKey::open().unwrap();
    let found = yubikey::piv::metadata(&mut card, slot.unwrap()).unwrap();
    found.policy.unwrap().0 == yubikey::PinPolicy::Always
}

// One that a portal made, as openssl writes it.
fn handed(algorithm: Algorithm) -> (HandedKey, Vec<u8>) {
    let kind: &[&str] = match algorithm {
        Algorithm::Ed25519 => &["-algorithm", "ED25519"],
        _ => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    let openssl = |arguments: &[&str]| {
        let done = Command::new("openssl").args(arguments).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        done.stdout
    };
    let path = path.to_str().unwrap();
    openssl(&[&["genpkey", "-out", path], kind].concat());
    let spki = openssl(&["pkey", "-in", path, "-pubout", "-outform", "DER"]);
    let text = std::fs::read(path).unwrap();
    (HandedKey::read(&text).unwrap(), spki)
}

#[test]
fn each_signature_of_a_key_that_waits_for_it_takes_a_touch() {
    on_a_card(
        "each_signature_of_a_key_that_waits_for_it_takes_a_touch",
        &["--firmware", "5.7.1"],
        |card| {
            let (mut device, pin) = enrolled(card);
            let mut keys = Vec::new();
            for kind in KINDS {
                let always = TouchPolicy::Always;
                let made = touched(card, || {
                    device.generate_request_key(kind, always, Auth::Pin(&pin))
                });
                keys.push(made.unwrap());
            }
            for kind in [Algorithm::P256, Algorithm::Ed25519] {
                let (handed, spki) = handed(kind);
                let put = touched(card, || {
                    device.import_request_key(&handed, TouchPolicy::Always, Auth::Pin(&pin))
                });
                let put = put.unwrap();
                assert_eq!(put.spki, spki);
                keys.push(put);
            }
            let (mut counted, mut sent) = (touches(card), card.verified().0);
            for key in keys.iter().cycle().take(3 * keys.len()) {
                let signed = touched(card, || sign(&mut device, key, &pin)).unwrap();
                assert!(verifies(key, &signed), "{key:?}");
                (counted, sent) = (counted + 1, sent + 1);
                assert_eq!((touches(card), card.verified().0), (counted, sent));
            }
            // What was made here the card vouches for, with its policies; of the others it says nothing.
            for key in &keys {
                let attested = device.attested(&key.key, Trust::YubicoAndPractice);
                match key.imported {
                    true => assert!(attested.is_err(), "{key:?}"),
                    false => assert_eq!(attested.unwrap().touch, TouchPolicy::Always),
                }
            }
        },
    );
}

#[test]
fn a_key_that_trades_by_rule_signs_without_a_finger() {
    on_a_card(
        "a_key_that_trades_by_rule_signs_without_a_finger",
        &["--firmware", "5.7.1"],
        |card| {
            let (mut device, pin) = enrolled(card);
            for kind in KINDS {
                let never = TouchPolicy::Never;
                let key = device.generate_request_key(kind, never, Auth::Pin(&pin));
                let (key, before) = (key.unwrap(), touches(card));
                for _ in 0..3 {
                    let signed = sign(&mut device, &key, &pin).unwrap();
                    assert!(verifies(&key, &signed), "{kind:?}");
                }
                assert_eq!(touches(card), before, "{kind:?}");
                // The card has seen the PIN; a program that has not gets nothing of this key.
                assert!(asks_each_time(&key), "{kind:?}");
            }
        },
    );
}

#[test]
fn without_a_touch_or_without_the_card_nothing_is_signed() {
    on_a_card(
        "without_a_touch_or_without_the_card_nothing_is_signed",
        &["--firmware", "5.7.1", "--touch-timeout-ms", "500"],
        |card| {
            let (mut device, pin) = enrolled(card);
            for kind in KINDS {
                let always = TouchPolicy::Always;
                let key = touched(card, || {
                    device.generate_request_key(kind, always, Auth::Pin(&pin))
                });
                let key = key.unwrap();
                let before = touches(card);
                let missed = sign(&mut device, &key, &pin);
                assert!(matches!(missed, Err(DeviceError::NoTouch)), "{missed:?}");
                assert_eq!(touches(card), before);

                let dir = card.dir.clone();
                let hand = std::thread::spawn(move || {
                    let card = Card { dir };
                    while card.ask(r#"{"do":"state"}"#)["waiting"] != true {
                        std::thread::yield_now();
                    }
                    card.ask(r#"{"do":"remove"}"#);
                });
                let gone = sign(&mut device, &key, &pin);
                assert!(matches!(gone, Err(DeviceError::Removed)), "{gone:?}");
                hand.join().unwrap();
                card.ask(r#"{"do":"insert"}"#);
                let signed = touched(card, || sign(&mut device, &key, &pin)).unwrap();
                assert!(verifies(&key, &signed), "{kind:?}");
            }
        },
    );
}
