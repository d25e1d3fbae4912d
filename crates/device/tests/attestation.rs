//! Attestations that owners of real YubiKeys published, and what openssl says of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::{fs, path::PathBuf, process::Command};

use base64::{Engine, prelude::BASE64_STANDARD};
use touchkeep_device::{
    PinPolicy, TouchPolicy,
    attestation::{AttestationError, Attested, Firmware, FormFactor, Root, Trust, verify},
};

/// The name of a vector, and what `openssl asn1parse` shows in it.
struct Known {
    name: &'static str,
    slot: u8,
    serial: Option<u32>,
    firmware: Firmware,
    policy: (PinPolicy, TouchPolicy),
    form_factor: Option<FormFactor>,
    fips: bool,
    chain: Root,
}

const fn known(
    name: &'static str,
    (slot, serial): (u8, Option<u32>),
    firmware: Firmware,
    policy: (PinPolicy, TouchPolicy),
    form_factor: Option<FormFactor>,
    chain: Root,
) -> Known {
    Known {
        name,
        slot,
        serial,
        firmware,
        policy,
        form_factor,
        fips: false,
        chain,
    }
}

const KNOWN: [Known; 7] = [
    known(
        "5.7.4-rsa",
        (0x9a, Some(32_718_477)),
        Firmware(5, 7, 4),
        (PinPolicy::Always, TouchPolicy::Never),
        Some(FormFactor::UsbCNano),
        Root::YubicoAttestation1,
    ),
    known(
        "5.4.3-touch-cached",
        (0x9a, Some(19_661_687)),
        Firmware(5, 4, 3),
        (PinPolicy::Once, TouchPolicy::Cached),
        Some(FormFactor::UsbAKeychain),
        Root::YubicoPiv,
    ),
    known(
        "5.4.3-no-touch",
        (0x9a, Some(15_732_500)),
        Firmware(5, 4, 3),
        (PinPolicy::Once, TouchPolicy::Never),
        Some(FormFactor::UsbCNano),
        Root::YubicoPiv,
    ),
    Known {
        fips: true,
        ..known(
            "5.4.3-fips",
            (0x9a, Some(28_989_702)),
            Firmware(5, 4, 3),
            (PinPolicy::Never, TouchPolicy::Always),
            Some(FormFactor::UsbAKeychain),
            Root::YubicoPiv,
        )
    },
    known(
        "5.4.2-cspn-rsa",
        (0x9a, Some(22_399_878)),
        Firmware(5, 4, 2),
        (PinPolicy::Once, TouchPolicy::Never),
        Some(FormFactor::UsbAKeychain),
        Root::YubicoPiv,
    ),
    known(
        "4.3.5-rsa",
        (0x9a, Some(5_970_478)),
        Firmware(4, 3, 5),
        (PinPolicy::Always, TouchPolicy::Never),
        None,
        Root::YubicoPiv,
    ),
    known(
        "4.3.7-u2f-root",
        (0x9a, None),
        Firmware(4, 3, 7),
        (PinPolicy::Once, TouchPolicy::Never),
        None,
        Root::YubicoU2f,
    ),
];

fn dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/attestation")
}

fn der(name: &str, part: &str) -> Vec<u8> {
    let pem = fs::read_to_string(dir().join(format!("{name}.{part}.pem"))).unwrap();
    let body: String = pem.lines().filter(|l| !l.starts_with("-----")).collect();
    BASE64_STANDARD.decode(body).unwrap()
}

fn chain(name: &str) -> Vec<Vec<u8>> {
    vec![der(name, "leaf"), der(name, "f9")]
}

/// Standard output of `openssl`, which is fed through files.
fn openssl(arguments: &[&str]) -> (bool, Vec<u8>) {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    (output.status.success(), output.stdout)
}

#[test]
fn published_attestations_of_real_keys_are_believed_and_read() {
    for known in &KNOWN {
        let attested = verify(&chain(known.name), Trust::Yubico).unwrap();
        let pem = dir().join(format!("{}.leaf.pem", known.name));
        let (done, public) = openssl(&["x509", "-noout", "-pubkey", "-in", pem.to_str().unwrap()]);
        assert!(done);
        let public: String = String::from_utf8(public)
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        let expected = Attested {
            spki: BASE64_STANDARD.decode(public).unwrap(),
            slot: known.slot,
            serial: known.serial,
            firmware: known.firmware,
            pin_policy: known.policy.0,
            touch: known.policy.1,
            form_factor: known.form_factor,
            fips: known.fips,
            chain: known.chain,
        };
        assert_eq!(attested, expected, "{}", known.name);
    }
}

#[test]
fn openssl_believes_those_whose_path_is_by_the_book() {
    let carried = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certificates");
    let work = tempfile::tempdir().unwrap();
    let pem = |name: &str| {
        let (from, to) = (carried.join(name), work.path().join(name));
        let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
        assert!(openssl(&["x509", "-inform", "DER", "-in", from, "-out", to]).0);
        fs::read(to).unwrap()
    };
    let legacy = pem("yubico-piv-root-263751-2018.der");
    let new = pem("yubico-attestation-root-1.der");
    let between = [
        "yubico-attestation-intermediate-a-1.der",
        "yubico-attestation-intermediate-b-1.der",
        "yubico-piv-attestation-a-1.der",
        "yubico-piv-attestation-b-1.der",
        "yubico-piv-attestation-b2-1.der",
    ];
    let between = between.map(pem).concat();
    let file = |name: &str, bytes: &[u8]| {
        let path = work.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for known in KNOWN.iter().filter(|known| known.firmware.0 == 5) {
        let root = match known.chain {
            Root::YubicoAttestation1 => &new,
            _ => &legacy,
        };
        let f9 = fs::read(dir().join(format!("{}.f9.pem", known.name))).unwrap();
        let root = file("root.pem", root);
        let untrusted = file("untrusted.pem", &[&between[..], &f9].concat());
        let leaf = dir().join(format!("{}.leaf.pem", known.name));
        let leaf = leaf.to_str().unwrap();
        let good = [
            "verify",
            "-no_check_time",
            "-CAfile",
            &root,
            "-untrusted",
            &untrusted,
            leaf,
        ];
        assert!(openssl(&good).0, "{}", known.name);
        // Not without what stands between.
        assert!(!openssl(&["verify", "-no_check_time", "-CAfile", &root, leaf]).0);
    }
}

#[test]
fn no_flipped_bit_is_believed() {
    for (index, known) in KNOWN.iter().enumerate() {
        let good = chain(known.name);
        for part in 0..2 {
            for at in 0..good[part].len() {
                // Every bit of one vector of each kind of chain, one bit of each byte of the others.
                let bits = if index < 2 { 0..8 } else { at % 8..at % 8 + 1 };
                for bit in bits {
                    let mut flipped = good.clone();
                    flipped[part][at] ^= 1 << bit;
                    let verdict = verify(&flipped, Trust::YubicoAndPractice);
                    assert!(verdict.is_err(), "{} {part} {at} {bit}", known.name);
                }
            }
        }
    }
}

#[test]
fn what_is_cut_or_longer_is_not_believed() {
    for known in &KNOWN {
        let good = chain(known.name);
        for part in 0..2 {
            for length in 0..good[part].len() {
                let mut cut = good.clone();
                cut[part].truncate(length);
                assert!(matches!(
                    verify(&cut, Trust::Yubico),
                    Err(AttestationError::Malformed(_))
                ));
            }
            let mut longer = good.clone();
            longer[part].push(0);
            assert!(verify(&longer, Trust::Yubico).is_err());
        }
    }
}

#[test]
fn certificates_of_two_devices_do_not_go_together() {
    for one in &KNOWN {
        for other in KNOWN.iter().filter(|other| other.name != one.name) {
            // Some batches share one attestation key.
            let (f9, their_f9) = (der(one.name, "f9"), der(other.name, "f9"));
            if f9 != their_f9 {
                let mixed = [der(one.name, "leaf"), their_f9];
                assert!(verify(&mixed, Trust::Yubico).is_err());
            }
        }
    }
}

#[test]
fn anything_but_the_two_certificates_in_their_order_is_refused() {
    let good = chain("5.7.4-rsa");
    let (leaf, f9) = (good[0].clone(), good[1].clone());
    let refused = [
        (vec![], AttestationError::None),
        (
            vec![leaf.clone()],
            AttestationError::Malformed("list of certificates"),
        ),
        (
            vec![leaf.clone(), f9.clone(), f9.clone()],
            AttestationError::Malformed("list of certificates"),
        ),
        // The certificate of a key signs nothing, and slot f9's is no statement about a key.
        (
            vec![f9.clone(), leaf.clone()],
            AttestationError::UnknownIssuer,
        ),
        (vec![f9.clone(), f9], AttestationError::NotAllowed),
        (vec![leaf.clone(), leaf], AttestationError::UnknownIssuer),
    ];
    for (certificates, why) in refused {
        assert_eq!(verify(&certificates, Trust::Yubico), Err(why));
    }
}

/// A chain that somebody made with `openssl`: a root and a certificate of slot f9 named as Yubico's, and a statement.
fn forged(extra: &str) -> Vec<Vec<u8>> {
    let work = tempfile::tempdir().unwrap();
    let path = |name: &str| work.path().join(name).to_str().unwrap().to_owned();
    let config = format!(
        "[none]\n[ca]\nbasicConstraints=critical,CA:TRUE\n[f9]\nbasicConstraints=critical,CA:TRUE,pathlen:0\n[key]\n\
         1.3.6.1.4.1.41482.3.3=DER:050403\n1.3.6.1.4.1.41482.3.7=DER:02030f4240\n1.3.6.1.4.1.41482.3.8=DER:0202\n{extra}\n"
    );
    fs::write(path("config"), config).unwrap();
    let mut issuer = None;
    for (name, subject, section) in [
        ("root", Root::YubicoPiv.name(), "ca"),
        ("f9", "Yubico PIV Attestation", "f9"),
        ("leaf", "YubiKey PIV Attestation 82", "key"),
    ] {
        let (key, request, pem) = (path(&format!("{name}.key")), path("request"), path(name));
        let made = ["genpkey", "-algorithm", "RSA", "-out", &key];
        assert!(openssl(&made).0);
        let subject = format!("/CN={subject}");
        let asked = [
            "req", "-new", "-utf8", "-key", &key, "-subj", &subject, "-out", &request,
        ];
        assert!(openssl(&asked).0);
        let config = path("config");
        let mut signed = vec![
            "x509",
            "-req",
            "-sha256",
            "-in",
            &request,
            "-out",
            &pem,
            "-extfile",
            &config,
            "-extensions",
            section,
        ];
        let above: Option<[String; 2]> = issuer.clone();
        match &above {
            None => signed.extend(["-signkey", &key]),
            Some([certificate, key]) => {
                signed.extend(["-CA", certificate, "-CAkey", key, "-set_serial", "7"]);
            }
        }
        assert!(openssl(&signed).0, "{name}");
        issuer = Some([pem, key]);
    }
    ["leaf", "f9"]
        .map(|name| {
            let (_, der) = openssl(&["x509", "-in", &path(name), "-outform", "DER"]);
            der
        })
        .into()
}

#[test]
fn names_alone_convince_nobody() {
    for trust in [Trust::Yubico, Trust::YubicoAndPractice] {
        assert_eq!(verify(&forged(""), trust), Err(AttestationError::Signature));
    }
}

#[test]
fn an_unknown_critical_extension_is_refused_before_anything_else() {
    let critical = forged("1.3.6.1.4.1.41482.3.99=critical,DER:0500");
    let what = "certificate of the key";
    assert_eq!(
        verify(&critical, Trust::Yubico),
        Err(AttestationError::Malformed(what))
    );
    let harmless = forged("1.3.6.1.4.1.41482.3.99=DER:0500");
    assert_eq!(
        verify(&harmless, Trust::Yubico),
        Err(AttestationError::Signature)
    );
}
