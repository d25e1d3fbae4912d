//! Whatever goes away and comes back - the card, pcscd, both - the same value works again within two seconds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::{
    ffi::CString,
    time::{Duration, Instant},
};

use support::{
    Card, PIN, PUK, Reader, in_a_folder, on_a_card, rounds,
    tally::{Tally, amount},
};
use touchkeep_core::Pin;
use touchkeep_device::{Auth, Device, DeviceError, Provision, Purpose, SignatureScheme, stanza};
use touchkeep_device_piv::{Options, PivDevice, Service, list};

const AUTO: &[&str] = &["--touch", "auto"];
const SOON: Duration = Duration::from_secs(2);

fn sign(device: &mut PivDevice, pin: &Pin) -> Result<Vec<u8>, DeviceError> {
    let key = device.info().key(Purpose::SignVault).unwrap().key.clone();
    let scheme = SignatureScheme::EcdsaP256Sha256;
    device.sign(&key, scheme, b"a statement", Auth::Pin(pin))
}

fn pcscd(card: &Card, then: &str) {
    let answer = card.ask(&format!(r#"{{"do":"pcscd","then":"{then}"}}"#));
    assert_eq!(answer["ok"], true, "{answer}");
}

/// Tries until it works, as somebody would who presses the button again; how long that took.
fn works_again(device: &mut PivDevice, pin: &Pin) -> Duration {
    let started = Instant::now();
    loop {
        match sign(device, pin) {
            Ok(_) => return started.elapsed(),
            Err(error) => assert!(started.elapsed() < SOON, "still {error}"),
        }
    }
}

/// It says at once that something is missing, and spends no PIN on it.
fn fails_soon(card: &Card, device: &mut PivDevice, pin: &Pin) -> DeviceError {
    let before = card.verified();
    let started = Instant::now();
    let error = sign(device, pin).unwrap_err();
    assert!(
        started.elapsed() < SOON,
        "{error} took {:?}",
        started.elapsed()
    );
    assert_eq!(card.verified(), before);
    error
}

#[test]
fn a_pcscd_that_dies_and_comes_back_is_found_again() {
    on_a_card(
        "a_pcscd_that_dies_and_comes_back_is_found_again",
        AUTO,
        |card| {
            let (mut device, pin) = card.enrolled();
            let mut tally = Tally::new("H-04", "pcscd killed, and restarted");
            for _ in 0..amount(5, 50) {
                pcscd(card, "kill");
                let gone = fails_soon(card, &mut device, &pin);
                assert!(matches!(gone, DeviceError::Middleware(_)), "{gone}");
                let absent = PivDevice::open(1, Options::default());
                assert!(matches!(absent, Err(DeviceError::Middleware(_))));
                pcscd(card, "start");
                assert!(works_again(&mut device, &pin) < SOON);
                tally.tried(|| "killed".into(), Ok(()));
                // And one that nobody saw go: it can be asked for, all the same.
                let service = Service::now().unwrap();
                assert!(service.still_runs());
                pcscd(card, "restart");
                assert!(!service.still_runs() && Service::now().unwrap().still_runs());
                assert!(works_again(&mut device, &pin) < SOON);
                tally.tried(|| "restarted".into(), Ok(()));
            }
        },
    );
}

#[test]
fn a_suspended_machine_wakes_with_the_card_out_and_it_comes_back() {
    on_a_card(
        "a_suspended_machine_wakes_with_the_card_out_and_it_comes_back",
        AUTO,
        |card| {
            let (mut device, pin) = card.enrolled();
            let mut tally = Tally::new("H-04", "a wake without the card, which comes back");
            for _ in 0..amount(3, 20) {
                pcscd(card, "kill");
                card.ask(r#"{"do":"remove"}"#);
                pcscd(card, "start");
                let gone = fails_soon(card, &mut device, &pin);
                assert!(matches!(gone, DeviceError::Removed), "{gone}");
                card.ask(r#"{"do":"insert"}"#);
                assert!(works_again(&mut device, &pin) < SOON);
                tally.tried(|| "woken".into(), Ok(()));
            }
        },
    );
}

// So does pcscd where another program ends while it is connected, also within a transaction of ours.
#[test]
fn a_card_that_is_reset_in_the_middle_is_said_to_be_and_its_firmware_is_not_blamed() {
    on_a_card(
        "a_card_that_is_reset_in_the_middle_is_said_to_be_and_its_firmware_is_not_blamed",
        AUTO,
        |card| {
            let (mut device, pin) = card.enrolled();
            let serial = card.serial();
            let resets = |order: &str| {
                let order = format!(r#"{{"do":"at","then":"reset",{order}}}"#);
                assert_eq!(card.ask(&order)["ok"], true);
            };
            let open = || PivDevice::open(serial, Options::default()).map(drop);
            let (mut said, mut undone) = (0, 0);
            for nth in 1..=12 {
                resets(&format!(r#""apdu":{nth}"#));
                match open() {
                    Ok(()) => undone += 1,
                    Err(DeviceError::Reset) => said += 1,
                    // Between the parts of a long answer: what is left of it is none.
                    Err(DeviceError::Unexpected(text)) if text.contains("that is none") => {}
                    Err(other) => panic!("{nth}: {other}"),
                }
            }
            assert!(said > 3 && undone > 3, "{said} {undone}");
            for nth in 1..=6 {
                let (before, _) = card.verified();
                resets(&format!(r#""apdu":{nth}"#));
                let signed = sign(&mut device, &pin);
                assert!(
                    matches!(signed, Ok(_) | Err(DeviceError::Reset)),
                    "{nth}: {signed:?}"
                );
                assert!(card.verified().0 <= before + 1, "{nth}: sent twice");
                resets(r#""apdu":1000"#);
                sign(&mut device, &pin).unwrap();
            }
            // The card that is there is not said to be gone, however often it happens.
            resets(r#""apdu":1,"ins":"f8","times":1000"#);
            assert!(matches!(open(), Err(DeviceError::Reset)));
            assert!(matches!(list(), Err(DeviceError::Reset)));
            resets(r#""apdu":2,"ins":"f8","times":1"#);
            assert_eq!(list().unwrap().len(), 1);
        },
    );
}

#[test]
fn a_reset_by_another_program_is_not_even_noticed() {
    on_a_card(
        "a_reset_by_another_program_is_not_even_noticed",
        AUTO,
        |card| {
            let (mut device, pin) = card.enrolled();
            let reader = CString::new(list().unwrap()[0].reader.clone()).unwrap();
            for _ in 0..10 * rounds() {
                let (before, _) = card.verified();
                let context = pcsc::Context::establish(pcsc::Scope::System).unwrap();
                let other = context
                    .connect(&reader, pcsc::ShareMode::Shared, pcsc::Protocols::ANY)
                    .unwrap();
                other
                    .disconnect(pcsc::Disposition::ResetCard)
                    .map_err(|(_, error)| error)
                    .unwrap();
                sign(&mut device, &pin).unwrap();
                assert_eq!(card.verified(), (before + 1, 3));
            }
        },
    );
}

#[test]
fn two_cards_are_told_apart_by_their_numbers_and_keys() {
    on_a_card(
        "two_cards_are_told_apart_by_their_numbers_and_keys",
        &[
            "--touch",
            "auto",
            "--serial",
            "4000000011",
            "--second",
            "4000000022",
        ],
        |card| {
            let (pin, puk) = (Pin::new(PIN.into()), Pin::new(PUK.into()));
            let serials = [4_000_000_011_u32, 4_000_000_022];
            let mut found: Vec<_> = list().unwrap().into_iter().map(|one| one.serial).collect();
            found.sort_unstable();
            assert_eq!(found, serials);
            let [mut one, mut two] = serials.map(|serial| {
                let mut device = PivDevice::open(serial, Options::default()).unwrap();
                device.change_factory_secrets(&pin, &puk).unwrap();
                device.provision(Auth::Pin(&pin)).unwrap();
                device
            });
            let slots = |device: &PivDevice| -> Vec<_> {
                device
                    .info()
                    .keys
                    .iter()
                    .map(|key| key.key.clone())
                    .collect()
            };
            assert_eq!(slots(&one), slots(&two), "same slots, other keys");
            assert!(
                one.info()
                    .keys
                    .iter()
                    .zip(&two.info().keys)
                    .all(|(a, b)| a.spki != b.spki)
            );

            // A file for one is not for the other, and costs it nothing.
            let unlock = one.info().key(Purpose::Unlock).unwrap().clone();
            let file_key = age_core::format::FileKey::new(Box::new([7; 16]));
            let stanzas = stanza::recipient(&unlock)
                .unwrap()
                .wrap_file_key(&file_key)
                .unwrap()
                .0;
            let theirs = two.info().key(Purpose::Unlock).unwrap().key.clone();
            let refused = two.unwrap_file_key(&theirs, &stanzas, Auth::Pin(&pin));
            assert!(matches!(refused, Err(DeviceError::NotForThisKey)));
            one.unwrap_file_key(&unlock.key, &stanzas, Auth::Pin(&pin))
                .unwrap();

            // Each goes and comes on its own; the other one is no stand-in.
            for (question, gone, other) in [("", 0, 1), (r#","card":2"#, 1, 0)] {
                card.ask(&format!(r#"{{"do":"remove"{question}}}"#));
                let devices = [&mut one, &mut two];
                assert!(matches!(
                    sign(devices[gone], &pin),
                    Err(DeviceError::Removed)
                ));
                sign(devices[other], &pin).unwrap();
                card.ask(&format!(r#"{{"do":"insert"{question}}}"#));
                works_again(devices[gone], &pin);
            }
        },
    );
}

/// A card with this number in a reader of this folder; the reader's name is always the same.
fn reader(dir: &std::path::Path, serial: &str) -> Reader {
    Reader::start(dir, &["--touch", "auto", "--serial", serial])
}

#[test]
fn another_card_in_a_reader_of_the_same_name_is_refused() {
    in_a_folder(
        "another_card_in_a_reader_of_the_same_name_is_refused",
        |dir| {
            let (pin, puk) = (Pin::new(PIN.into()), Pin::new(PUK.into()));
            let ours = reader(dir, "4000000033");
            let name = list().unwrap()[0].reader.clone();
            let mut device = PivDevice::open(4_000_000_033, Options::default()).unwrap();
            device.change_factory_secrets(&pin, &puk).unwrap();
            device.provision(Auth::Pin(&pin)).unwrap();
            sign(&mut device, &pin).unwrap();
            drop(ours);

            let another = reader(dir, "4000000044");
            assert_eq!(list().unwrap()[0].reader, name);
            assert!(matches!(sign(&mut device, &pin), Err(DeviceError::Removed)));
            drop(another);

            // The same number, and none of the keys: reset, or a fake. No PIN is given to it.
            let _emptied = reader(dir, "4000000033");
            let card = Card { dir: dir.into() };
            let refused = sign(&mut device, &pin);
            assert!(matches!(refused, Err(DeviceError::NoKey(_))), "{refused:?}");
            assert_eq!(card.verified(), (0, 3));
            // Even with new keys in the same slots.
            let mut fresh = card.open();
            fresh.change_factory_secrets(&pin, &puk).unwrap();
            fresh.provision(Auth::Pin(&pin)).unwrap();
            let before = card.verified();
            let refused = sign(&mut device, &pin);
            assert!(matches!(refused, Err(DeviceError::NoKey(_))), "{refused:?}");
            assert_eq!(card.verified(), before);
        },
    );
}
