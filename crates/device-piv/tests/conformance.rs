//! A YubiKey keeps every promise of the conformance suite, through pcscd and on the practice card.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::process::Command;

use support::{Card, PIN, PUK, on_a_card};
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceError, HandedKey, KeyInfo, Provision, Purpose, SignatureScheme,
    TouchPolicy, conformance, conformance::openssl_verifies, public::scheme_of,
};
use touchkeep_device_piv::{Origin, PivDevice};
use x509_cert::der::Encode;
use yubikey::{Certificate, YubiKey, piv::SlotId};

/// Request keys of each kind that the firmware has; the suite has openssl verify what they sign.
fn conforms(card: &Card, algorithms: &[Algorithm]) {
    let (mut device, pin) = card.enrolled();
    for algorithm in algorithms {
        for touch in [TouchPolicy::Always, TouchPolicy::Never] {
            let made = device
                .generate_request_key(*algorithm, touch, Auth::Pin(&pin))
                .unwrap();
            assert_eq!((made.algorithm, made.touch), (*algorithm, touch));
            certifies_itself(card, &made);
        }
    }
    let imported = imported(card, &mut device, Auth::Pin(&pin), algorithms);
    assert!(!imported.is_empty());
    for key in &device.info().keys {
        assert_eq!(imported.contains(key), key.imported);
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
        macs: &[],
    });
}

/// Keys that were made elsewhere, in the forms in which they are handed out; none goes in twice. What they sign openssl verifies with the
/// public half of the file that was handed out.
fn imported(
    card: &Card,
    device: &mut PivDevice,
    auth: Auth<'_>,
    algorithms: &[Algorithm],
) -> Vec<KeyInfo> {
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem").to_str().unwrap().to_owned();
    let p256 = [
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
    ];
    let ed25519 = ["genpkey", "-algorithm", "ED25519", "-out"];
    let sec1 = ["ec", "-in", &path];
    let pkcs8 = [
        "pkcs8", "-topk8", "-nocrypt", "-in", &path, "-outform", "DER",
    ];
    let pem = ["pkey", "-in", &path];
    let all = [
        (Algorithm::P256, &p256[..], &sec1[..]),
        (Algorithm::P256, &p256, &pkcs8),
        (Algorithm::Ed25519, &ed25519, &pem),
    ];
    let mut keys = Vec::new();
    for (algorithm, make, form) in all {
        openssl(&[make, &[&path]].concat());
        let spki = openssl(&["pkey", "-in", &path, "-pubout", "-outform", "DER"]);
        let handed = HandedKey::read(&openssl(form)).unwrap();
        let touch = TouchPolicy::Always;
        let before = card.standing();
        if !algorithms.contains(&algorithm) {
            let refused = device.import_request_key(&handed, touch, auth).unwrap_err();
            assert!(refused.to_string().contains("5.7 or later"), "{refused}");
            assert_eq!(card.standing(), before);
            continue;
        }
        let key = device.import_request_key(&handed, touch, auth).unwrap();
        assert_eq!(key.spki, spki);
        assert_eq!((key.algorithm, key.purpose), (algorithm, Purpose::Request));
        assert!(key.imported);
        assert_eq!(device.origin(&key.key).unwrap(), Origin::Imported);
        assert!(device.attest(&key.key).unwrap().is_empty());
        certifies_itself(card, &key);
        let scheme = scheme_of(algorithm).unwrap();
        let signed = device.sign(&key.key, scheme, b"GET /", auth).unwrap();
        assert!(openssl_verifies(scheme, &spki, b"GET /", &signed));

        let before = card.standing();
        let again = device.import_request_key(&handed, touch, auth);
        let again = again.unwrap_err().to_string();
        let there = format!("slot {} holds it", key.key.0);
        assert!(again.contains(&there), "{again}");
        for odd in [
            HandedKey::read("1".repeat(64).as_bytes()).unwrap(),
            HandedKey::hmac(Algorithm::HmacSha256, b"secret").unwrap(),
        ] {
            let refused = device.import_request_key(&odd, touch, auth);
            assert!(matches!(refused, Err(DeviceError::Unsupported(_))));
        }
        assert_eq!(card.standing(), before);
        keys.push(key);
    }
    keys
}

/// The certificate in the slot is that key's and signed by it, for openssl.
fn certifies_itself(card: &Card, key: &KeyInfo) {
    let mut yubikey = YubiKey::open().unwrap();
    let slot = SlotId::try_from(u8::from_str_radix(&key.key.0, 16).unwrap()).unwrap();
    let certificate = Certificate::read(&mut yubikey, slot).unwrap();
    drop(yubikey);
    let path = |name: &str| card.dir.join(name).to_str().unwrap().to_owned();
    std::fs::write(path("der"), certificate.cert.to_der().unwrap()).unwrap();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    openssl(&[
        "x509",
        "-inform",
        "DER",
        "-in",
        &path("der"),
        "-out",
        &path("pem"),
    ]);
    openssl(&[
        "verify",
        "-check_ss_sig",
        "-CAfile",
        &path("pem"),
        &path("pem"),
    ]);
}

#[test]
fn a_yubikey_of_firmware_5_4_conforms() {
    on_a_card(
        "a_yubikey_of_firmware_5_4_conforms",
        &["--touch", "auto"],
        |card| {
            conforms(card, &[Algorithm::Rsa2048, Algorithm::P256]);
            let (mut device, pin) = (card.open(), Pin::new(PIN.into()));
            let before = card.standing();
            for newer in [Algorithm::Ed25519, Algorithm::Rsa3072, Algorithm::Rsa4096] {
                let refused =
                    device.generate_request_key(newer, TouchPolicy::Never, Auth::Pin(&pin));
                let words = refused.unwrap_err().to_string();
                assert!(
                    words.contains("firmware 5.7 or later, this is 5.4.3"),
                    "{words}"
                );
            }
            assert_eq!(card.standing(), before, "said before anything was sent");
        },
    );
}

#[test]
fn ed25519_signs_messages_of_any_length_that_fits_the_card() {
    on_a_card(
        "ed25519_signs_messages_of_any_length_that_fits_the_card",
        &["--touch", "auto", "--firmware", "5.7.1"],
        |card| {
            let (mut device, pin) = card.enrolled();
            let touch = TouchPolicy::Never;
            let key = device
                .generate_request_key(Algorithm::Ed25519, touch, Auth::Pin(&pin))
                .unwrap();
            let scheme = SignatureScheme::Ed25519;
            // Around every length at which a command or an element takes another form.
            for length in [
                0, 1, 110, 127, 128, 240, 255, 256, 257, 510, 1010, 1024, 2000, 3000,
            ] {
                let message = vec![0xa5; length];
                let signed = device
                    .sign(&key.key, scheme, &message, Auth::Pin(&pin))
                    .unwrap();
                if length > 0 {
                    assert!(
                        openssl_verifies(scheme, &key.spki, &message, &signed),
                        "{length}"
                    );
                }
            }
            let (before, _) = card.verified();
            let long = device.sign(&key.key, scheme, &[0; 3001], Auth::Pin(&pin));
            assert!(matches!(long, Err(DeviceError::Unsupported(_))));
            assert_eq!(card.verified().0, before, "no PIN for what cannot be");
        },
    );
}

#[test]
fn a_yubikey_of_firmware_5_7_conforms() {
    on_a_card(
        "a_yubikey_of_firmware_5_7_conforms",
        &["--touch", "auto", "--firmware", "5.7.1"],
        |card| {
            let algorithms = [
                Algorithm::Ed25519,
                Algorithm::Rsa2048,
                Algorithm::Rsa3072,
                Algorithm::Rsa4096,
                Algorithm::P256,
            ];
            conforms(card, &algorithms);
        },
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
