//! A YubiKey keeps every promise of the conformance suite, through pcscd and on the practice card.
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
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceError, Provision, Purpose, TouchPolicy, conformance,
};

fn conforms(card: &Card) {
    let (mut device, pin) = card.enrolled();
    for touch in [TouchPolicy::Always, TouchPolicy::Never] {
        device
            .generate_request_key(Algorithm::Rsa2048, touch, Auth::Pin(&pin))
            .unwrap();
    }
    // What another process reads of the card is the same.
    assert_eq!(device.info(), card.open().info());
    let wrong = Pin::new("000000".into());
    conformance::run(&mut conformance::Bench {
        device: &mut device,
        right: Auth::Pin(&pin),
        wrong: Auth::Pin(&wrong),
        before_use: &mut |_| {},
        secrets_sent: Some(&mut || card.verified().0),
    });
}

#[test]
fn a_yubikey_of_firmware_5_4_conforms() {
    on_a_card(
        "a_yubikey_of_firmware_5_4_conforms",
        &["--touch", "auto"],
        conforms,
    );
}

#[test]
fn a_yubikey_of_firmware_5_7_conforms() {
    on_a_card(
        "a_yubikey_of_firmware_5_7_conforms",
        &["--touch", "auto", "--firmware", "5.7.1"],
        conforms,
    );
}

#[test]
fn nothing_is_made_while_a_secret_is_the_factorys() {
    on_a_card(
        "nothing_is_made_while_a_secret_is_the_factorys",
        &["--touch", "auto"],
        |card| {
            let mut device = card.open();
            let (pin, puk) = (Pin::new(PIN.into()), Pin::new(PUK.into()));
            let factory = Pin::new("123456".into());
            let refused = device.provision(Auth::Pin(&factory));
            assert!(matches!(refused, Err(DeviceError::FactoryPin)));
            let refused = device.change_factory_secrets(&factory, &puk);
            assert!(matches!(refused, Err(DeviceError::FactoryPin)));
            assert_eq!(card.verified().0, 0, "no PIN was spent on finding out");

            device.change_factory_secrets(&pin, &puk).unwrap();
            device.change_factory_secrets(&pin, &puk).unwrap();
            let first = device.provision(Auth::Pin(&pin)).unwrap();
            // Made once: a second call replaces nothing.
            assert_eq!(device.provision(Auth::Pin(&pin)).unwrap(), first);
            let touches: Vec<_> = [Purpose::Unlock, Purpose::Seal, Purpose::SignVault]
                .map(|purpose| first.key(purpose).unwrap())
                .map(|key| (key.key.0.as_str(), key.touch))
                .into();
            let (cached, always) = (TouchPolicy::Cached, TouchPolicy::Always);
            assert_eq!(touches, [("82", cached), ("83", always), ("84", cached)]);
        },
    );
}
