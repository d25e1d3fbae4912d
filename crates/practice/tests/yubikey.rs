//! The practice card as the `yubikey` crate sees it through a real pcscd: what works with a key must work here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests may fail loudly; the rig is shared by several of them"
)]

mod rig;

use cipher::common::{Generate, getrandom::SysRng};
use p256::{
    NistP256,
    ecdsa::{Signature, VerifyingKey, signature::Verifier, signature::hazmat::PrehashVerifier},
    pkcs8::{EncodePublicKey, LineEnding},
};
use rig::Rig;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    str::FromStr,
    thread,
    time::Duration,
};
use x509_cert::{
    der::{Decode, Encode, EncodePem, referenced::OwnedToRef},
    name::Name,
    serial_number::SerialNumber,
    spki::SubjectPublicKeyInfoOwned,
    time::Validity,
};
use yubikey::{
    Error, MgmKey, PinPolicy, Serial, TouchPolicy, YubiKey,
    certificate::Certificate,
    piv::{self, AlgorithmId, ManagementSlotId, Origin, RetiredSlotId, SlotAlgorithmId, SlotId},
};

const R1: SlotId = SlotId::Retired(RetiredSlotId::R1);
const PIN: &[u8] = b"123456";
const MESSAGE: &[u8] = b"what is to be signed";

fn open(serial: u32) -> YubiKey {
    YubiKey::open_by_serial(Serial(serial)).unwrap()
}

/// Proves the management key and makes a key.
fn generate(
    key: &mut YubiKey,
    algorithm: AlgorithmId,
    pin: PinPolicy,
    touch: TouchPolicy,
) -> SubjectPublicKeyInfoOwned {
    let management = MgmKey::get_default(key).unwrap();
    key.authenticate(&management).unwrap();
    piv::generate(key, R1, algorithm, pin, touch).unwrap()
}

fn sign(key: &mut YubiKey) -> Result<Signature, Error> {
    let signature = piv::sign_data(key, &Sha256::digest(MESSAGE), AlgorithmId::EccP256, R1)?;
    Ok(Signature::from_der(&signature).unwrap())
}

fn verifying(public: &SubjectPublicKeyInfoOwned) -> VerifyingKey {
    VerifyingKey::try_from(public.owned_to_ref()).unwrap()
}

#[test]
fn it_is_found_with_serial_and_version() {
    let rig = Rig::start(&["--serial", "4000000042", "--firmware", "5.4.3"]);
    let key = open(4_000_000_042);
    assert_eq!(key.version().to_string(), "5.4.3");
    assert!(key.name().starts_with("Yubico YubiKey OTP+FIDO+CCID"));
    assert_eq!(rig.ready["serial"], 4_000_000_042_u32);
}

#[test]
fn a_firmware_4_key_is_found_too() {
    let _rig = Rig::start(&["--firmware", "4.3.5"]);
    assert_eq!(open(4_000_000_001).version().to_string(), "4.3.5");
}

#[test]
fn wrong_pins_count_down_block_and_are_unblocked() {
    let rig = Rig::start(&[]);
    let mut key = open(4_000_000_001);
    assert_eq!(key.get_pin_retries(), Ok(3));
    for tries in [2, 1, 0, 0] {
        assert_eq!(key.verify_pin(b"000000"), Err(Error::WrongPin { tries }));
    }
    assert_eq!(key.verify_pin(PIN), Err(Error::WrongPin { tries: 0 }));
    assert_eq!(rig.state()["pin_tries"], 0);
    assert_eq!(
        key.unblock_pin(b"00000000", b"654321"),
        Err(Error::WrongPin { tries: 2 })
    );
    key.unblock_pin(b"12345678", b"654321").unwrap();
    key.verify_pin(b"654321").unwrap();
    let state = rig.state();
    assert_eq!(
        (
            &state["pin_tries"],
            &state["puk_tries"],
            &state["verify_count"]
        ),
        (&json!(3), &json!(3), &json!(6))
    );
}

#[test]
fn pin_puk_and_management_key_are_changed() {
    let _rig = Rig::start(&["--pin", "111111", "--puk", "22222222"]);
    let mut key = open(4_000_000_001);
    key.change_pin(b"111111", b"333333").unwrap();
    key.verify_pin(b"333333").unwrap();
    key.change_puk(b"22222222", b"44444444").unwrap();
    assert_eq!(
        key.change_puk(b"22222222", b"44444444"),
        Err(Error::WrongPin { tries: 2 })
    );

    let factory = MgmKey::get_default(&key).unwrap();
    key.authenticate(&factory).unwrap();
    MgmKey::generate_for(&key, &mut SysRng)
        .unwrap()
        .set_protected(&mut key)
        .unwrap();
    assert!(key.authenticate(&factory).is_err());
    let protected = MgmKey::get_protected(&mut key).unwrap();
    key.authenticate(&protected).unwrap();
    let metadata =
        piv::metadata(&mut key, SlotId::Management(ManagementSlotId::Management)).unwrap();
    assert_eq!(metadata.default, Some(false));
    let metadata = piv::metadata(&mut key, SlotId::Management(ManagementSlotId::Pin)).unwrap();
    assert_eq!(
        (
            metadata.default,
            metadata.retries.map(|r| r.remaining_count)
        ),
        (Some(false), Some(3))
    );
}

#[test]
fn from_firmware_5_7_the_management_key_is_aes() {
    let _rig = Rig::start(&["--firmware", "5.7.1"]);
    let mut key = open(4_000_000_001);
    let management = MgmKey::get_default(&key).unwrap();
    key.authenticate(&management).unwrap();
    let metadata =
        piv::metadata(&mut key, SlotId::Management(ManagementSlotId::Management)).unwrap();
    assert!(matches!(
        metadata.algorithm,
        SlotAlgorithmId::Management(yubikey::MgmAlgorithmId::Aes192)
    ));
}

#[test]
fn a_p256_key_signs_after_the_pin_and_says_what_it_is() {
    let _rig = Rig::start(&[]);
    let mut key = open(4_000_000_001);
    let public = generate(
        &mut key,
        AlgorithmId::EccP256,
        PinPolicy::Once,
        TouchPolicy::Never,
    );
    assert_eq!(sign(&mut key), Err(Error::AuthenticationError));
    key.verify_pin(PIN).unwrap();
    let signature = sign(&mut key).unwrap();
    verifying(&public).verify(MESSAGE, &signature).unwrap();

    let metadata = piv::metadata(&mut key, R1).unwrap();
    assert_eq!(
        metadata.algorithm,
        SlotAlgorithmId::Asymmetric(AlgorithmId::EccP256)
    );
    assert_eq!(metadata.policy, Some((PinPolicy::Once, TouchPolicy::Never)));
    assert_eq!(metadata.origin, Some(Origin::Generated));
    assert_eq!(metadata.public, Some(public));
    assert!(matches!(
        piv::metadata(&mut key, SlotId::Retired(RetiredSlotId::R2)),
        Err(Error::NotFound)
    ));
}

#[test]
fn pin_policy_always_wants_the_pin_each_time() {
    let _rig = Rig::start(&[]);
    let mut key = open(4_000_000_001);
    generate(
        &mut key,
        AlgorithmId::EccP256,
        PinPolicy::Always,
        TouchPolicy::Never,
    );
    for _ in 0..2 {
        key.verify_pin(PIN).unwrap();
        sign(&mut key).unwrap();
        assert_eq!(sign(&mut key), Err(Error::AuthenticationError));
    }
}

#[test]
fn a_self_signed_certificate_is_stored_and_found() {
    let _rig = Rig::start(&[]);
    let mut key = open(4_000_000_001);
    let public = generate(
        &mut key,
        AlgorithmId::EccP256,
        PinPolicy::Once,
        TouchPolicy::Never,
    );
    key.verify_pin(PIN).unwrap();
    let certificate = Certificate::generate_self_signed::<_, NistP256>(
        &mut key,
        R1,
        SerialNumber::new(&[7; 19]).unwrap(),
        Validity::from_now(Duration::from_secs(1_000_000)).unwrap(),
        Name::from_str("CN=practice,O=age-plugin-yubikey").unwrap(),
        public.clone(),
        |_| Ok(()),
    )
    .unwrap();
    let signed = certificate.cert.tbs_certificate().to_der().unwrap();
    let signature = Signature::from_der(certificate.cert.signature().raw_bytes()).unwrap();
    verifying(&public).verify(&signed, &signature).unwrap();
    let keys = key.piv_keys().unwrap();
    assert_eq!(
        keys.iter().map(piv::Key::slot).collect::<Vec<_>>(),
        [SlotId::Attestation, R1]
    );
    assert_eq!(keys[1].certificate().cert, certificate.cert);
}

#[test]
fn ecdh_agrees_with_another_implementation() {
    let rig = Rig::start(&[]);
    let mut key = open(4_000_000_001);
    let public = generate(
        &mut key,
        AlgorithmId::EccP256,
        PinPolicy::Never,
        TouchPolicy::Never,
    );
    let path = |name: &str| rig.folder.path().join(name);
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .current_dir(rig.folder.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    fs::write(path("card.der"), public.to_der().unwrap()).unwrap();
    openssl(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
        "other.pem",
    ]);
    let other = openssl(&["pkey", "-in", "other.pem", "-pubout", "-outform", "DER"]);
    let point = &other[other.len() - 65..];
    let ours = piv::decrypt_data(&mut key, point, AlgorithmId::EccP256, R1).unwrap();
    openssl(&[
        "pkey", "-pubin", "-inform", "DER", "-in", "card.der", "-out", "card.pem",
    ]);
    let theirs = openssl(&[
        "pkeyutl",
        "-derive",
        "-inkey",
        "other.pem",
        "-peerkey",
        "card.pem",
    ]);
    assert_eq!(ours.as_slice(), theirs);
}

#[test]
fn openssl_verifies_what_the_card_signed() {
    let rig = Rig::start(&[]);
    let mut key = open(4_000_000_001);
    let public = generate(
        &mut key,
        AlgorithmId::EccP256,
        PinPolicy::Never,
        TouchPolicy::Never,
    );
    let pem = p256::PublicKey::from(verifying(&public))
        .to_public_key_pem(LineEnding::LF)
        .unwrap();
    let path = |name: &str| rig.folder.path().join(name);
    fs::write(path("public.pem"), pem).unwrap();
    fs::write(path("message"), MESSAGE).unwrap();
    fs::write(
        path("signature"),
        sign(&mut key).unwrap().to_der().as_bytes(),
    )
    .unwrap();
    let verify = || {
        let arguments = [
            "dgst",
            "-sha256",
            "-verify",
            "public.pem",
            "-signature",
            "signature",
            "message",
        ];
        Command::new("openssl")
            .current_dir(rig.folder.path())
            .args(arguments)
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(verify());
    fs::write(path("message"), b"something else").unwrap();
    assert!(!verify());
}

#[test]
fn rsa_2048_signs() {
    let _rig = Rig::start(&[]);
    let mut key = open(4_000_000_001);
    let public = generate(
        &mut key,
        AlgorithmId::Rsa2048,
        PinPolicy::Always,
        TouchPolicy::Never,
    );
    let digest = Sha256::digest(MESSAGE);
    let prefix = [
        0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    let block = [&[0, 1][..], &[0xFF; 202], &[0], &prefix, &digest].concat();
    key.verify_pin(PIN).unwrap();
    let signature = piv::sign_data(&mut key, &block, AlgorithmId::Rsa2048, R1).unwrap();
    let public = rsa::RsaPublicKey::try_from(public.owned_to_ref()).unwrap();
    public
        .verify(rsa::Pkcs1v15Sign::new::<Sha256>(), &digest, &signature)
        .unwrap();
}

#[test]
fn an_imported_key_signs() {
    let _rig = Rig::start(&[]);
    let mut key = open(4_000_000_001);
    let management = MgmKey::get_default(&key).unwrap();
    key.authenticate(&management).unwrap();
    let secret = p256::SecretKey::generate();
    piv::import_ecc_key(
        &mut key,
        R1,
        AlgorithmId::EccP256,
        &secret.to_bytes(),
        TouchPolicy::Never,
        PinPolicy::Never,
    )
    .unwrap();
    let signature = sign(&mut key).unwrap();
    VerifyingKey::from(&secret.public_key())
        .verify_prehash(&Sha256::digest(MESSAGE), &signature)
        .unwrap();
    assert_eq!(
        piv::metadata(&mut key, R1).unwrap().origin,
        Some(Origin::Imported)
    );
}

#[test]
fn dropping_the_handle_loses_the_pin_and_leaving_the_card_keeps_it() {
    let _rig = Rig::start(&[]);
    let mut key = open(4_000_000_001);
    generate(
        &mut key,
        AlgorithmId::EccP256,
        PinPolicy::Once,
        TouchPolicy::Never,
    );
    key.verify_pin(PIN).unwrap();
    drop(key);
    let mut key = open(4_000_000_001);
    assert_eq!(sign(&mut key), Err(Error::AuthenticationError));
    key.verify_pin(PIN).unwrap();
    sign(&mut key).unwrap();
}

#[test]
fn a_key_that_nobody_touches_refuses_after_its_time() {
    let rig = Rig::start(&["--touch-timeout-ms", "300"]);
    let mut key = open(4_000_000_001);
    generate(
        &mut key,
        AlgorithmId::EccP256,
        PinPolicy::Never,
        TouchPolicy::Always,
    );
    assert_eq!(sign(&mut key), Err(Error::AuthenticationError));
    assert_eq!(rig.state()["touches"], 0);
}

#[test]
fn a_touch_lets_it_sign_once() {
    let rig = Rig::start(&["--touch-timeout-ms", "60000"]);
    let mut key = open(4_000_000_001);
    let public = generate(
        &mut key,
        AlgorithmId::EccP256,
        PinPolicy::Never,
        TouchPolicy::Always,
    );
    assert_eq!(
        rig.ask(&json!({ "do": "touch" })),
        json!({ "ok": false, "why": "not waiting" })
    );
    let control = rig.control();
    let finger =
        thread::spawn(move || rig::ask(&control, &json!({ "do": "touch", "wait_ms": 30_000 })));
    let signature = sign(&mut key).unwrap();
    verifying(&public).verify(MESSAGE, &signature).unwrap();
    assert_eq!(finger.join().unwrap(), json!({ "ok": true }));
    let state = rig.state();
    assert_eq!(
        (&state["touches"], &state["waiting"]),
        (&json!(1), &json!(false))
    );
    let used: Vec<&Value> = state["operations"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|o| o["slot"] == "82")
        .collect();
    assert_eq!(
        used.last().unwrap(),
        &&json!({ "ins": "87", "slot": "82", "status": "9000" })
    );
}

#[test]
fn touch_auto_needs_no_finger() {
    let rig = Rig::start(&["--touch", "auto"]);
    let mut key = open(4_000_000_001);
    generate(
        &mut key,
        AlgorithmId::EccP256,
        PinPolicy::Never,
        TouchPolicy::Always,
    );
    sign(&mut key).unwrap();
    assert_eq!(rig.state()["touches"], 1);
}

#[test]
fn enter_in_the_terminal_touches_it_while_it_blinks_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let reader = format!(
        "exec {} reader --dir {} --touch terminal",
        rig::PROGRAM,
        folder.path().join("r").display()
    );
    // `script` gives the reader a terminal, and us its keyboard and screen.
    let mut terminal = Command::new("script")
        .args(["-qfec", &reader, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keyboard = terminal.stdin.take().unwrap();
    let mut screen = BufReader::new(terminal.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let ready: Value = serde_json::from_str(&screen.next().unwrap()).unwrap();
    rig::use_socket(
        ready["pcsclite_csock_name"].as_str().unwrap(),
        folder.path(),
    );
    let mut key = open(4_000_000_001);
    let public = generate(
        &mut key,
        AlgorithmId::EccP256,
        PinPolicy::Never,
        TouchPolicy::Always,
    );
    keyboard.write_all(b"\n").unwrap();
    assert_eq!(
        screen.next().unwrap().trim(),
        "",
        "the terminal has taken the early Enter"
    );

    let signer = thread::spawn(move || sign(&mut key));
    assert_eq!(
        screen.next().unwrap().trim(),
        "The key is blinking: press Enter to touch it"
    );
    let control = folder.path().join("r/card.sock");
    assert_eq!(rig::ask(&control, &json!({ "do": "state" }))["touches"], 0);
    keyboard.write_all(b"\n").unwrap();
    verifying(&public)
        .verify(MESSAGE, &signer.join().unwrap().unwrap())
        .unwrap();
    assert_eq!(rig::ask(&control, &json!({ "do": "state" }))["touches"], 1);
    // Control-C, as a person would.
    keyboard.write_all(b"\x03").unwrap();
    terminal.wait().unwrap();
}

#[test]
fn pulling_it_out_while_it_blinks_ends_the_operation() {
    let rig = Rig::start(&["--touch-timeout-ms", "60000"]);
    let mut key = open(4_000_000_001);
    generate(
        &mut key,
        AlgorithmId::EccP256,
        PinPolicy::Never,
        TouchPolicy::Always,
    );
    let signer = thread::spawn(move || sign(&mut key));
    while rig.state()["waiting"] == false {
        thread::yield_now();
    }
    assert_eq!(rig.ask(&json!({ "do": "remove" })), json!({ "ok": true }));
    let lost = signer.join().unwrap();
    assert!(
        matches!(lost, Err(Error::PcscError { .. })),
        "{lost:?} {}",
        fs::read_to_string(rig.folder.path().join("r/pcscd.log")).unwrap()
    );
    assert!(matches!(YubiKey::open(), Err(Error::NotFound)));
    assert_eq!(rig.ask(&json!({ "do": "insert" })), json!({ "ok": true }));
    let mut key = open(4_000_000_001);
    assert!(
        piv::metadata(&mut key, R1).is_ok(),
        "keys survive being pulled out"
    );
    assert_eq!(rig.state()["touches"], 0);
}

#[test]
fn a_key_is_reset_once_pin_and_puk_are_blocked() {
    let _rig = Rig::start(&[]);
    let mut key = open(4_000_000_001);
    generate(
        &mut key,
        AlgorithmId::EccP256,
        PinPolicy::Never,
        TouchPolicy::Never,
    );
    assert!(key.reset_device().is_err());
    for _ in 0..3 {
        key.verify_pin(b"000000").unwrap_err();
    }
    key.block_puk().unwrap();
    key.reset_device().unwrap();
    assert!(matches!(piv::metadata(&mut key, R1), Err(Error::NotFound)));
    key.verify_pin(PIN).unwrap();
}

#[test]
fn what_a_card_lacks_is_an_error_and_no_surprise() {
    let _rig = Rig::start(&[]);
    let mut key = open(4_000_000_001);
    let management = MgmKey::get_default(&key).unwrap();
    key.authenticate(&management).unwrap();
    assert_eq!(
        piv::generate(
            &mut key,
            R1,
            AlgorithmId::Ed25519,
            PinPolicy::Never,
            TouchPolicy::Never
        )
        .map(drop),
        Err(Error::AlgorithmError)
    );
    assert_eq!(
        piv::attest(&mut key, R1).map(drop),
        Err(Error::GenericError)
    );
    assert!(matches!(key.chuid(), Err(Error::NotFound)));
}

#[test]
fn an_attestation_comes_through_the_reader() {
    let rig = Rig::start(&["--firmware", "5.7.4"]);
    let mut key = open(4_000_000_001);
    let public = generate(
        &mut key,
        AlgorithmId::EccP256,
        PinPolicy::Once,
        TouchPolicy::Always,
    );
    let attestation =
        x509_cert::Certificate::from_der(&piv::attest(&mut key, R1).unwrap()).unwrap();
    assert_eq!(
        attestation.tbs_certificate().subject_public_key_info(),
        &public
    );
    let by = Certificate::read(&mut key, SlotId::Attestation).unwrap();
    assert_eq!(
        attestation.tbs_certificate().issuer(),
        by.cert.tbs_certificate().subject()
    );
    let folder = rig.folder.path().join("lab");
    let output = Command::new(rig::PROGRAM)
        .args(["lab-certificates", "--dir"])
        .arg(&folder)
        .status()
        .unwrap();
    assert!(output.success());
    let chain = [
        fs::read_to_string(folder.join("attestation-intermediate-b-1.pem")).unwrap(),
        fs::read_to_string(folder.join("piv-attestation-b-1.pem")).unwrap(),
        by.cert.to_pem(LineEnding::LF).unwrap(),
    ];
    fs::write(folder.join("chain"), chain.concat()).unwrap();
    fs::write(
        folder.join("leaf"),
        attestation.to_pem(LineEnding::LF).unwrap(),
    )
    .unwrap();
    let verify = |root: &str| {
        Command::new("openssl")
            .current_dir(&folder)
            .args(["verify", "-CAfile", root, "-untrusted", "chain", "leaf"])
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(verify("attestation-root-1.pem"));
    assert!(!verify("piv-root-ca.pem"));
}
