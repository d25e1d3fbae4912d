//! What the practice card attests is believed for practice vaults, by us and by openssl alike, and by nobody else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::{fs, path::Path, process::Command};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use support::{Card, on_a_card, practice};
use touchkeep_device::{
    Auth, Device, DeviceError, HandedKey, KeyInfo, KeyRef, PinPolicy, Provision, TouchPolicy,
    attestation::{AttestationError, Firmware, Root, Trust, verify},
};
use touchkeep_device_piv::{NotAttested, Origin, PivDevice};

const AUTO: &[&str] = &["--touch", "auto"];

fn attests(card: &Card, firmware: Firmware, root: Root) {
    let (mut device, pin) = card.enrolled();
    for key in device.info().keys.clone() {
        let attested = device.attested(&key.key, Trust::YubicoAndPractice).unwrap();
        assert_eq!(attested.spki, key.spki);
        assert_eq!(format!("{:02x}", attested.slot), key.key.0);
        assert_eq!(attested.serial, Some(card.serial()));
        assert_eq!(attested.firmware, firmware);
        assert_eq!(attested.touch, key.touch);
        assert_eq!(attested.pin_policy, PinPolicy::Once);
        assert_eq!(attested.chain, root);
        // Whoever does not ask for practice does not get it.
        let refused = device.attested(&key.key, Trust::Yubico);
        assert!(matches!(
            refused,
            Err(NotAttested::Attestation(AttestationError::Practice))
        ));
        openssl_agrees(card, &mut device, &key);
    }
    // Another key's statement is another key's.
    let [one, other, ..] = &device.info().keys.clone()[..] else {
        panic!()
    };
    let mut mixed = device.attest(&one.key).unwrap();
    mixed[0] = device.attest(&other.key).unwrap()[0].clone();
    let attested = verify(&mixed, Trust::YubicoAndPractice).unwrap();
    assert_eq!(attested.spki, other.spki);

    let imported = import(&mut device, Auth::Pin(&pin));
    assert_eq!(device.attest(&imported.key).unwrap(), Vec::<Vec<u8>>::new());
    let refused = device.attested(&imported.key, Trust::YubicoAndPractice);
    assert!(matches!(
        refused,
        Err(NotAttested::Attestation(AttestationError::None))
    ));
    assert_eq!(device.origin(&imported.key).unwrap(), Origin::Imported);
    let nobody = KeyRef("95".into());
    assert!(matches!(device.attest(&nobody), Err(DeviceError::NoKey(_))));
}

fn import(device: &mut PivDevice, auth: Auth<'_>) -> KeyInfo {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let key = HandedKey::read(key.to_pkcs8v1().unwrap().as_ref()).unwrap();
    device
        .import_request_key(&key, TouchPolicy::Never, auth)
        .unwrap()
}

/// The chain is good for `openssl verify` below the lab's roots as the practice card writes them out.
fn openssl_agrees(card: &Card, device: &mut PivDevice, key: &KeyInfo) {
    let dir = card.dir.join("lab");
    let written = Command::new(practice())
        .args(["lab-certificates", "--dir"])
        .arg(&dir)
        .status()
        .unwrap();
    assert!(written.success());
    let openssl = |arguments: &[&str]| {
        let done = Command::new("openssl").args(arguments).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    for (name, der) in ["leaf", "f9"].iter().zip(device.attest(&key.key).unwrap()) {
        fs::write(path("der"), der).unwrap();
        openssl(&[
            "x509",
            "-inform",
            "DER",
            "-in",
            &path("der"),
            "-out",
            &path(name),
        ]);
    }
    let join = |names: &[&str], to: &str| {
        let all: Vec<u8> = names
            .iter()
            .flat_map(|name| fs::read(path(name)).unwrap())
            .collect();
        fs::write(path(to), all).unwrap();
    };
    let between = [
        "f9",
        "attestation-intermediate-b-1.pem",
        "piv-attestation-b-1.pem",
    ];
    join(&["piv-root-ca.pem", "attestation-root-1.pem"], "roots");
    join(&between, "between");
    let (roots, between, leaf) = (path("roots"), path("between"), path("leaf"));
    openssl(&[
        "verify",
        "-no_check_time",
        "-CAfile",
        &roots,
        "-untrusted",
        &between,
        &leaf,
    ]);

    // And those that we carry are these.
    let carried = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device/certificates");
    for name in [
        "piv-root-ca",
        "attestation-root-1",
        "attestation-intermediate-b-1",
        "piv-attestation-b-1",
    ] {
        let (pem, der) = (path(&format!("{name}.pem")), path("der"));
        openssl(&["x509", "-in", &pem, "-outform", "DER", "-out", &der]);
        let ours = fs::read(carried.join(format!("practice-{name}.der"))).unwrap();
        assert_eq!(fs::read(der).unwrap(), ours, "{name}");
    }
}

#[test]
fn firmware_5_4_attests_below_the_older_root() {
    on_a_card("firmware_5_4_attests_below_the_older_root", AUTO, |card| {
        attests(card, Firmware(5, 4, 3), Root::PracticePiv);
    });
}

#[test]
fn firmware_5_7_4_attests_below_the_newer_root() {
    on_a_card(
        "firmware_5_7_4_attests_below_the_newer_root",
        &["--touch", "auto", "--firmware", "5.7.4"],
        |card| attests(card, Firmware(5, 7, 4), Root::PracticeAttestation1),
    );
}
