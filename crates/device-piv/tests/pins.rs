//! The life of PIN and PUK: each secret is sent once, the last try of either never unasked, and the factory's never come back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use support::{Card, PIN, PUK, on_a_card};
use touchkeep_core::Pin;
use touchkeep_device::{Auth, Device, DeviceError, Provision, Purpose, SignatureScheme};
use touchkeep_device_piv::{Keeping, Options, PinState, PivDevice, Tries};
use yubikey::{MgmKey, Serial, YubiKey};

const AUTO: &[&str] = &["--touch", "auto"];

fn pin(text: &str) -> Pin {
    Pin::new(text.into())
}

fn tries(card: &Card) -> (u64, u64) {
    let state = card.ask(r#"{"do":"state"}"#);
    (
        state["pin_tries"].as_u64().unwrap(),
        state["puk_tries"].as_u64().unwrap(),
    )
}

/// The commands that sent a PIN or PUK, as the card counted them.
fn sent(card: &Card) -> usize {
    let state = card.ask(r#"{"do":"state"}"#);
    let operations = state["operations"].as_array().unwrap();
    let changes = operations
        .iter()
        .filter(|op| op["ins"] == "24" || op["ins"] == "2c");
    changes.count() + usize::try_from(state["verify_count"].as_u64().unwrap()).unwrap()
}

fn signs(device: &mut PivDevice, pin: &Pin) -> Result<(), DeviceError> {
    let key = device.info().key(Purpose::SignVault).unwrap().key.clone();
    let scheme = SignatureScheme::EcdsaP256Sha256;
    device
        .sign(&key, scheme, b"a statement", Auth::Pin(pin))
        .map(drop)
}

#[test]
fn a_card_says_how_its_secrets_stand() {
    on_a_card("a_card_says_how_its_secrets_stand", AUTO, |card| {
        let mut device = card.open();
        let three = Tries { left: 3, of: 3 };
        let new = PinState {
            pin: three,
            puk: three,
            pin_is_factory: true,
            puk_is_factory: true,
            management_key: Keeping::Factory,
        };
        assert_eq!(device.pin_state().unwrap(), new);
        assert!(new.has_factory_secret());
        device.change_factory_secrets(&pin(PIN), &pin(PUK)).unwrap();
        let own = PinState {
            pin_is_factory: false,
            puk_is_factory: false,
            management_key: Keeping::Protected,
            ..new
        };
        assert_eq!(device.pin_state().unwrap(), own);
        assert!(!own.has_factory_secret());

        // Somebody else configures five tries of the PIN and seven of the PUK, which brings the factory's back.
        let mut yubikey = YubiKey::open_by_serial(Serial(card.serial())).unwrap();
        yubikey.verify_pin(PIN.as_bytes()).unwrap();
        let management = MgmKey::get_protected(&mut yubikey).unwrap();
        yubikey.authenticate(&management).unwrap();
        yubikey.verify_pin(PIN.as_bytes()).unwrap();
        yubikey.set_pin_retries(5, 7).unwrap();
        drop(yubikey);
        let state = device.pin_state().unwrap();
        assert_eq!(state.pin, Tries { left: 5, of: 5 });
        assert_eq!(state.puk, Tries { left: 7, of: 7 });
        assert!(state.pin_is_factory && state.puk_is_factory);
    });
}

// A PIN of one's own is not all: who knows the management key puts other keys there.
#[test]
fn a_card_with_its_own_pin_says_what_else_is_the_factorys_before_the_pin_is_spent() {
    on_a_card(
        "a_card_with_its_own_pin_says_what_else_is_the_factorys_before_the_pin_is_spent",
        AUTO,
        |card| {
            let mut device = card.open();
            device.change_pin(&pin("123456"), &pin(PIN)).unwrap();
            let before = sent(card);
            let refused = device.provision(Auth::Pin(&pin(PIN))).unwrap_err();
            let both = "PUK and management key";
            assert!(
                matches!(refused, DeviceError::FactorySecret(which) if which == both),
                "{refused}"
            );
            device.change_puk(&pin("12345678"), &pin(PUK)).unwrap();
            let refused = device.provision(Auth::Pin(&pin(PIN))).unwrap_err();
            assert!(
                matches!(refused, DeviceError::FactorySecret("management key")),
                "{refused}"
            );
            assert_eq!(sent(card), before + 1, "the PUK alone");
            device.change_factory_secrets(&pin(PIN), None).unwrap();
            device.provision(Auth::Pin(&pin(PIN))).unwrap();
        },
    );
}

#[test]
fn a_pin_is_changed_with_the_old_one_and_a_wrong_one_costs_one_try() {
    on_a_card(
        "a_pin_is_changed_with_the_old_one_and_a_wrong_one_costs_one_try",
        AUTO,
        |card| {
            let (mut device, _) = card.enrolled();
            let before = sent(card);
            let refused = device.change_pin(&pin("000000"), &pin("271828"));
            assert!(matches!(
                refused,
                Err(DeviceError::WrongPin { tries_left: 2 })
            ));
            device.change_pin(&pin(PIN), &pin("271828")).unwrap();
            assert_eq!((sent(card), tries(card)), (before + 2, (3, 3)));
            signs(&mut device, &pin("271828")).unwrap();
            let stale = signs(&mut device, &pin(PIN));
            assert!(matches!(
                stale,
                Err(DeviceError::WrongPin { tries_left: 2 })
            ));
        },
    );
}

#[test]
fn what_may_not_become_a_pin_is_refused_before_anything_is_sent() {
    on_a_card(
        "what_may_not_become_a_pin_is_refused_before_anything_is_sent",
        AUTO,
        |card| {
            let (mut device, old) = card.enrolled();
            let puk = pin(PUK);
            let before = sent(card);
            for odd in ["12345", "123456789", "", "pässword", "12345é"] {
                let new = pin(odd);
                for refused in [
                    device.change_pin(&old, &new),
                    device.change_puk(&puk, &new),
                    device.unblock(&puk, &new),
                ] {
                    assert!(matches!(refused, Err(DeviceError::Unsupported(_))), "{odd}");
                }
            }
            let (factory_pin, factory_puk) = (pin("123456"), pin("12345678"));
            for refused in [
                device.change_pin(&old, &factory_pin),
                device.change_puk(&puk, &factory_puk),
                device.unblock(&puk, &factory_pin),
            ] {
                assert!(matches!(refused, Err(DeviceError::FactoryPin)));
            }
            // Neither is what cannot be the old one.
            let short = device.change_pin(&pin("1"), &pin("271828"));
            assert!(matches!(
                short,
                Err(DeviceError::WrongPin { tries_left: 3 })
            ));
            let short = device.unblock(&pin("1"), &pin("271828"));
            assert!(matches!(
                short,
                Err(DeviceError::WrongPuk { tries_left: 3 })
            ));
            assert_eq!((sent(card), tries(card)), (before, (3, 3)));
        },
    );
}

#[test]
fn a_blocked_pin_is_set_anew_with_the_puk() {
    on_a_card("a_blocked_pin_is_set_anew_with_the_puk", AUTO, |card| {
        let (device, right) = card.enrolled();
        drop(device);
        let options = Options {
            danger_allow_last_try: true,
        };
        let mut device = PivDevice::open(card.serial(), options).unwrap();
        for _ in 0..3 {
            signs(&mut device, &pin("000000")).unwrap_err();
        }
        let mut device = card.open();
        assert!(matches!(
            signs(&mut device, &right),
            Err(DeviceError::PinBlocked)
        ));
        let blocked = device.change_pin(&right, &pin("271828"));
        assert!(matches!(blocked, Err(DeviceError::PinBlocked)));
        device.unblock(&pin(PUK), &pin("271828")).unwrap();
        assert_eq!(tries(card), (3, 3));
        signs(&mut device, &pin("271828")).unwrap();
    });
}

#[test]
fn the_last_try_of_the_puk_is_spent_only_when_somebody_said_so() {
    on_a_card(
        "the_last_try_of_the_puk_is_spent_only_when_somebody_said_so",
        AUTO,
        |card| {
            let (mut device, _) = card.enrolled();
            let wrong = pin("00000000");
            for left in [2, 1] {
                let refused = device.change_puk(&wrong, &pin("87654321"));
                assert!(
                    matches!(refused, Err(DeviceError::WrongPuk { tries_left }) if tries_left == left)
                );
            }
            let before = sent(card);
            for puk in [PUK, "00000000"] {
                let refused = device.unblock(&pin(puk), &pin("271828"));
                assert!(matches!(refused, Err(DeviceError::LastPukTry)));
            }
            assert_eq!((sent(card), tries(card)), (before, (3, 1)));

            let options = Options {
                danger_allow_last_try: true,
            };
            let mut device = PivDevice::open(card.serial(), options).unwrap();
            device.change_puk(&pin(PUK), &pin("87654321")).unwrap();
            assert_eq!(tries(card), (3, 3));
            for _ in 0..3 {
                device.unblock(&wrong, &pin("271828")).unwrap_err();
            }
            let blocked = device.unblock(&pin("87654321"), &pin("271828"));
            assert!(matches!(blocked, Err(DeviceError::PukBlocked)));
            // The PIN is another matter.
            signs(&mut device, &pin(PIN)).unwrap();
        },
    );
}

#[test]
fn a_management_key_that_is_kept_elsewhere_is_said_to_be_before_a_pin_is_sent() {
    on_a_card(
        "a_management_key_that_is_kept_elsewhere_is_said_to_be_before_a_pin_is_sent",
        AUTO,
        |card| {
            let (mut device, right) = card.enrolled();
            let mut yubikey = YubiKey::open_by_serial(Serial(card.serial())).unwrap();
            yubikey.verify_pin(PIN.as_bytes()).unwrap();
            let management = MgmKey::get_protected(&mut yubikey).unwrap();
            yubikey.authenticate(&management).unwrap();
            let elsewhere =
                MgmKey::from_bytes([0x5a; 24], Some(management.algorithm_id())).unwrap();
            elsewhere.set_manual(&mut yubikey, false).unwrap();
            drop(yubikey);
            assert_eq!(
                device.pin_state().unwrap().management_key,
                Keeping::Elsewhere
            );
            let before = card.standing();
            let refused = device.provision(Auth::Pin(&right)).unwrap_err().to_string();
            assert!(refused.contains("--protect"), "{refused}");
            assert_eq!(card.standing(), before);
            // What needs no management key works.
            signs(&mut device, &right).unwrap();
        },
    );
}

#[test]
fn provisioning_sends_the_pin_once() {
    on_a_card("provisioning_sends_the_pin_once", AUTO, |card| {
        let mut device = card.open();
        device.change_factory_secrets(&pin(PIN), &pin(PUK)).unwrap();
        let (before, _) = card.verified();
        device.provision(Auth::Pin(&pin(PIN))).unwrap();
        assert_eq!(card.verified(), (before + 1, 3));
        let refused = device.provision(Auth::Pin(&pin("000000")));
        assert!(matches!(
            refused,
            Err(DeviceError::WrongPin { tries_left: 2 })
        ));
        assert_eq!(card.verified(), (before + 2, 2));
    });
}
