//! Keys of other kinds on a token: RSA that opens files, keys that ask for the PIN at each use, Ed25519, HMAC secrets; and sessions
//! that are kept. What they give is compared with other implementations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

use support::{PIN, SoftHsm, host, sign, unwrap};
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceError, DeviceIdentity, HandedKey, KeyInfo, Provision, Purpose,
    SecretDemand, SignatureScheme, TouchPolicy, conformance,
    conformance::{openssl_mac, openssl_verifies},
    public::scheme_of,
};
use touchkeep_device_pkcs11::{NamedKey, Options, Pkcs11Device};

fn rsa(algorithm: Algorithm) -> Options {
    Options {
        file_keys: Some(algorithm),
        ..Options::default()
    }
}

// SoftHSM has no OAEP with SHA-256: the padding is taken off by us. NSS has it: see `modules.rs`.
#[test]
fn a_token_with_rsa_keys_conforms() {
    for algorithm in [Algorithm::Rsa2048, Algorithm::Rsa4096] {
        let hsm = SoftHsm::new();
        let (mut device, pin) = hsm.enrolled_with(rsa(algorithm));
        let algorithms: Vec<_> = device.info().keys.iter().map(|key| key.algorithm).collect();
        assert_eq!(algorithms, [algorithm, algorithm, Algorithm::P256]);
        device
            .generate_request_key(Algorithm::Rsa3072, TouchPolicy::Never, Auth::Pin(&pin))
            .unwrap();
        let wrong = Pin::new("000000".into());
        conformance::run(&mut conformance::Bench {
            device: &mut device,
            right: Auth::Pin(&pin),
            wrong: Auth::Pin(&wrong),
            before_use: &mut |_| {},
            secrets_sent: None,
            macs: &[],
        });
    }
}

#[test]
fn the_token_opens_what_stock_age_encrypts_to_its_rsa_key() {
    let hsm = SoftHsm::new();
    let (mut device, pin) = hsm.enrolled_with(rsa(Algorithm::Rsa3072));
    let key = device.info().key(Purpose::Unlock).unwrap().clone();
    let recipient = key.recipient.unwrap();
    assert!(recipient.starts_with("ssh-rsa AAAA"), "{recipient}");
    let mut age = Command::new("age")
        .args(["-r", &recipient])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    age.stdin.take().unwrap().write_all(b"from age").unwrap();
    let output = age.wait_with_output().unwrap();
    assert!(output.status.success());

    let identity = DeviceIdentity::new(&mut device, key.key, Auth::Pin(&pin));
    let mut text = Vec::new();
    let file = age::Decryptor::new(&output.stdout[..]).unwrap();
    file.decrypt(std::iter::once(&identity as _))
        .unwrap()
        .read_to_end(&mut text)
        .unwrap();
    assert_eq!(text, b"from age");
}

#[test]
fn a_seal_key_that_asks_each_time_does_so_also_in_an_open_session() {
    let hsm = SoftHsm::new();
    let (mut device, pin) = hsm.enrolled_with(Options {
        seal_asks_each_time: true,
        ..Options::default()
    });
    let seal = device.info().key(Purpose::Seal).unwrap().clone();
    let unlock = device.info().key(Purpose::Unlock).unwrap().clone();
    assert_eq!(
        (unlock.algorithm, seal.algorithm),
        (Algorithm::P256, Algorithm::Rsa3072)
    );
    assert!(device.asks_each_time(&seal.key) && !device.asks_each_time(&unlock.key));
    // Another process sees the same, without a PIN.
    let again = hsm.open(hsm.launch(host())).unwrap();
    assert!(again.asks_each_time(&seal.key));
    assert_eq!(again.info(), device.info());

    device.keep_session();
    unwrap(&mut device, Purpose::Unlock, Auth::Pin(&pin)).unwrap();
    assert_eq!(
        device.demand(&unlock.key).unwrap().secret,
        SecretDemand::Nothing
    );
    unwrap(&mut device, Purpose::Unlock, Auth::Nothing).unwrap();
    let demand = device.demand(&seal.key).unwrap();
    assert_eq!(demand.secret, SecretDemand::Pin { tries_left: None });
    let refused = unwrap(&mut device, Purpose::Seal, Auth::Nothing);
    assert!(matches!(refused, Err(DeviceError::NeedsSecret)));
    unwrap(&mut device, Purpose::Seal, Auth::Pin(&pin)).unwrap();
    let wrong = Pin::new("000000".into());
    let refused = unwrap(&mut device, Purpose::Seal, Auth::Pin(&wrong));
    assert!(
        matches!(refused, Err(DeviceError::WrongPinUncounted)),
        "{refused:?}"
    );

    // The whole suite holds for it.
    device.end_session().unwrap();
    conformance::run(&mut conformance::Bench {
        device: &mut device,
        right: Auth::Pin(&pin),
        wrong: Auth::Pin(&wrong),
        before_use: &mut |_| {},
        secrets_sent: None,
        macs: &[],
    });
}

#[test]
fn a_request_key_that_asks_each_time_signs_with_the_pin_alone() {
    let hsm = SoftHsm::new();
    let (mut device, pin) = hsm.enrolled();
    let made = device
        .generate_asking_request_key(Algorithm::P256, Auth::Pin(&pin))
        .unwrap();
    assert!(device.asks_each_time(&made.key));
    device.keep_session();
    sign(&mut device, Auth::Pin(&pin)).unwrap();
    sign(&mut device, Auth::Nothing).unwrap();
    let scheme = SignatureScheme::EcdsaP256Sha256;
    let refused = device.sign(&made.key, scheme, b"x", Auth::Nothing);
    assert!(matches!(refused, Err(DeviceError::NeedsSecret)));
    for _ in 0..2 {
        let signature = device
            .sign(&made.key, scheme, b"x", Auth::Pin(&pin))
            .unwrap();
        assert!(openssl_verifies(scheme, &made.spki, b"x", &signature));
    }
    // It does not even agree in the safe way that other keys do: said to be what it is not, it is not used.
    let key = device.info().key(Purpose::SignVault).unwrap().key.clone();
    let mut stranger = hsm
        .open_with(
            hsm.launch(host()),
            Options {
                named: vec![NamedKey {
                    key: key.clone(),
                    purpose: Purpose::SignVault,
                    asks_each_time: true,
                }],
                ..Options::default()
            },
        )
        .unwrap();
    let refused = stranger.sign(&key, scheme, b"x", Auth::Pin(&pin));
    assert!(
        matches!(refused, Err(DeviceError::Unexpected(_))),
        "{refused:?}"
    );
}

#[test]
fn a_session_is_kept_while_told_so_and_a_pin_is_always_proved() {
    let hsm = SoftHsm::new();
    let (mut device, pin) = hsm.enrolled();
    let key = device.info().key(Purpose::Unlock).unwrap().key.clone();
    let asks = |device: &mut Pkcs11Device| device.demand(&key).unwrap().secret;
    let pin_asked = SecretDemand::Pin { tries_left: None };

    sign(&mut device, Auth::Pin(&pin)).unwrap();
    assert!(matches!(
        sign(&mut device, Auth::Nothing),
        Err(DeviceError::NeedsSecret)
    ));
    device.keep_session();
    assert_eq!(asks(&mut device), pin_asked);
    assert!(matches!(
        sign(&mut device, Auth::Nothing),
        Err(DeviceError::NeedsSecret)
    ));
    sign(&mut device, Auth::Pin(&pin)).unwrap();
    assert_eq!(asks(&mut device), SecretDemand::Nothing);
    for purpose in [Purpose::Unlock, Purpose::Seal] {
        unwrap(&mut device, purpose, Auth::Nothing).unwrap();
    }
    sign(&mut device, Auth::Nothing).unwrap();
    // A wrong PIN is wrong although the session is open, and ends it.
    let wrong = Pin::new("000000".into());
    let refused = sign(&mut device, Auth::Pin(&wrong));
    assert!(matches!(refused, Err(DeviceError::WrongPinUncounted)));
    assert_eq!(asks(&mut device), pin_asked);
    assert!(matches!(
        sign(&mut device, Auth::Nothing),
        Err(DeviceError::NeedsSecret)
    ));
    sign(&mut device, Auth::Pin(&pin)).unwrap();
    sign(&mut device, Auth::Nothing).unwrap();

    device.end_session().unwrap();
    assert_eq!(asks(&mut device), pin_asked);
    assert!(matches!(
        sign(&mut device, Auth::Nothing),
        Err(DeviceError::NeedsSecret)
    ));
}

// The secrets and MACs are compared with OpenSSL's.
#[test]
fn an_hmac_secret_makes_the_macs_that_openssl_makes_and_does_not_come_out() {
    let hsm = SoftHsm::new();
    let (mut device, pin) = hsm.enrolled();
    let mut known = Vec::new();
    for algorithm in HMACS {
        let scheme = scheme_of(algorithm).unwrap();
        for length in [1, 16, 64, 65, 128, 200] {
            let secret: Vec<u8> = (0..length).map(|at| (at * 7 + 1) as u8).collect();
            let key = put_in(&mut device, &HandedKey::hmac(algorithm, &secret).unwrap());
            let message = b"timestamp=1&recvWindow=5000";
            let mac = device.sign(&key.key, scheme, message, Auth::Pin(&pin));
            let (mac, other) = (mac.unwrap(), openssl_mac(scheme, &secret, message));
            assert_eq!(mac, other, "{scheme:?} {length}");
            known.push(key);
        }
    }
    let listed = hsm.tool(&[
        "--login",
        "--pin",
        PIN,
        "--list-objects",
        "--type",
        "secrkey",
    ]);
    assert_eq!(
        listed.matches(" imported\n").count(),
        known.len(),
        "{listed}"
    );
    assert!(
        !listed.contains("extractable\n") || listed.contains("never extractable"),
        "{listed}"
    );
    let read = Command::new("pkcs11-tool")
        .args(["--module", support::MODULE, "--login", "--pin", PIN])
        .args([
            "--read-object",
            "--type",
            "secrkey",
            "--id",
            &known[0].key.0,
        ])
        .env("SOFTHSM2_CONF", hsm.config())
        .output()
        .unwrap();
    assert!(!read.status.success(), "{read:?}");

    // Another process knows none of them until it is told, and uses none that is another.
    let mut again = hsm.open(hsm.launch(host())).unwrap();
    let scheme = SignatureScheme::HmacSha256;
    let unknown = again.sign(&known[0].key, scheme, b"x", Auth::Pin(&pin));
    assert!(matches!(unknown, Err(DeviceError::NoKey(_))), "{unknown:?}");
    let touched = KeyInfo {
        touch: TouchPolicy::Always,
        imported: false,
        ..known[0].clone()
    };
    again.recall(&touched);
    again.recall(&touched);
    assert_eq!(again.info().known(&known[0].key).unwrap(), &known[0]);
    again
        .sign(&known[0].key, scheme, b"x", Auth::Pin(&pin))
        .unwrap();
    let mut swapped = hsm.open(hsm.launch(host())).unwrap();
    swapped.recall(&KeyInfo {
        spki: known[1].spki.clone(),
        ..known[0].clone()
    });
    let refused = swapped.sign(&known[0].key, scheme, b"x", Auth::Pin(&pin));
    assert!(
        matches!(refused, Err(DeviceError::Unexpected(_))),
        "{refused:?}"
    );
    // What a token can list is not taken from hearsay.
    let vault_key = device.info().key(Purpose::SignVault).unwrap().clone();
    swapped.recall(&KeyInfo {
        key: touchkeep_device::KeyRef("00".into()),
        ..vault_key
    });
    assert!(swapped.info().keys.iter().all(|key| key.key.0 != "00"));
    let text = serde_json::to_string(&known[0]).unwrap();
    assert_eq!(serde_json::from_str::<KeyInfo>(&text).unwrap(), known[0]);
}

// Files of openssl's go in, and openssl verifies what the token signs with the public half of the file.
#[test]
fn a_private_key_that_was_handed_out_signs_in_the_token_and_does_not_come_out() {
    let hsm = SoftHsm::new();
    let (mut device, pin) = hsm.enrolled();
    let path = hsm.0.path().join("key.pem").to_str().unwrap().to_owned();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let ec = ["genpkey", "-algorithm", "EC", "-pkeyopt"];
    let mut keys = Vec::new();
    for (algorithm, make) in [
        (
            Algorithm::P256,
            [&ec[..], &["ec_paramgen_curve:P-256"]].concat(),
        ),
        (Algorithm::Ed25519, vec!["genpkey", "-algorithm", "ED25519"]),
        (
            Algorithm::Secp256k1,
            [&ec[..], &["ec_paramgen_curve:secp256k1"]].concat(),
        ),
    ] {
        openssl(&[&make[..], &["-out", &path]].concat());
        let spki = openssl(&["pkey", "-in", &path, "-pubout", "-outform", "DER"]);
        let text = if algorithm == Algorithm::Secp256k1 {
            let der = openssl(&["ec", "-in", &path, "-outform", "DER"]);
            data_encoding::HEXLOWER.encode(&der[7..39]).into_bytes()
        } else {
            std::fs::read(&path).unwrap()
        };
        let handed = HandedKey::read(&text).unwrap();
        let key = put_in(&mut device, &handed);
        assert_eq!((key.algorithm, &key.spki), (algorithm, &spki));
        let (scheme, digest) = (scheme_of(algorithm).unwrap(), [9; 32]);
        let signed = device.sign(&key.key, scheme, &digest, Auth::Pin(&pin));
        assert!(openssl_verifies(scheme, &spki, &digest, &signed.unwrap()));
        let never = TouchPolicy::Never;
        let again = device.import_request_key(&handed, never, Auth::Pin(&pin));
        let again = again.unwrap_err().to_string();
        assert!(again.contains("a second time"), "{again}");
        let listed = hsm.tool(&[
            "--login",
            "--pin",
            PIN,
            "--list-objects",
            "--type",
            "privkey",
            "--id",
            &key.key.0,
        ]);
        assert!(
            listed.contains("sensitive") && !listed.contains("extractable\n"),
            "{listed}"
        );
        keys.push(key);
    }
    // Another process reads of the token that they were made elsewhere; those that were made in it are not marked.
    let again = hsm.open(hsm.launch(host())).unwrap();
    for key in &again.info().keys {
        assert_eq!(key.imported, keys.contains(key), "{key:?}");
    }
    assert_eq!(again.info(), device.info());
    let touched = device.import_request_key(
        &HandedKey::hmac(Algorithm::HmacSha256, b"s").unwrap(),
        TouchPolicy::Always,
        Auth::Pin(&pin),
    );
    assert!(matches!(touched, Err(DeviceError::Unsupported(_))));
}

#[test]
fn a_token_says_which_kinds_of_keys_it_has() {
    let hsm = SoftHsm::new();
    let mut device = hsm.open(hsm.launch(host())).unwrap();
    let mut kinds = device.kinds().unwrap();
    kinds.sort_by_key(|kind| format!("{kind:?}"));
    assert_eq!(
        kinds,
        [
            Algorithm::Ed25519,
            Algorithm::HmacSha256,
            Algorithm::HmacSha384,
            Algorithm::HmacSha512,
            Algorithm::P256,
            Algorithm::Rsa2048,
            Algorithm::Secp256k1,
        ]
    );
}

const HMACS: [Algorithm; 3] = [
    Algorithm::HmacSha256,
    Algorithm::HmacSha384,
    Algorithm::HmacSha512,
];

fn put_in(device: &mut Pkcs11Device, key: &HandedKey) -> KeyInfo {
    let pin = Pin::new(PIN.into());
    let info = device.import_request_key(key, TouchPolicy::Never, Auth::Pin(&pin));
    let info = info.unwrap();
    assert!(info.imported && info.purpose == Purpose::Request);
    info
}
