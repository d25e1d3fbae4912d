//! Every algorithm, made on the card and brought to it; OpenSSL checks what comes out, and makes what goes in.

use super::*;
use sha2::{Digest, Sha256, Sha384};
use std::{fs, process::Command};
use tempfile::TempDir;

const MESSAGE: &[u8] = b"what is to be signed";
const RSA: [(u8, &str); 4] = [
    (0x06, "1024"),
    (0x07, "2048"),
    (0x05, "3072"),
    (0x16, "4096"),
];

/// A folder in which OpenSSL works.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        bench.write("message", MESSAGE);
        bench
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.path().join(name), bytes).unwrap();
    }

    fn try_openssl(&self, arguments: &str) -> (bool, Vec<u8>, String) {
        let output = Command::new("openssl")
            .current_dir(self.0.path())
            .args(arguments.split_whitespace())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), output.stdout, said)
    }

    fn openssl(&self, arguments: &str) -> Vec<u8> {
        let (ok, out, said) = self.try_openssl(arguments);
        assert!(ok, "{arguments}: {said}");
        out
    }

    /// Keeps the public key that the card attests, as public.pem.
    fn attested(&self, host: &mut Host, slot: u8) {
        self.write("leaf.der", &host.ok([0xF9, slot, 0x00], &[]));
        self.openssl("x509 -inform DER -in leaf.der -noout -pubkey -out public.pem");
    }

    fn verifies(&self, how: &str, signature: &[u8]) -> bool {
        self.write("signature", signature);
        let verify = format!("{how} -verify public.pem -signature signature message");
        let raw = "pkeyutl -verify -rawin -pubin -inkey public.pem -sigfile signature -in message";
        self.try_openssl(if how.is_empty() { raw } else { &verify })
            .0
    }
}

fn operate(host: &mut Host, algorithm: u8, slot: u8, tag: u8, input: &[u8]) -> Vec<u8> {
    let mut inner = tlv::element(&[0x82], &[]);
    tlv::push(&mut inner, &[tag], input);
    let answer = host.ok([0x87, algorithm, slot], &tlv::element(&[0x7C], &inner));
    tlv::only(0x82, tlv::only(0x7C, &answer).unwrap())
        .unwrap()
        .to_vec()
}

/// PKCS #1 1.5 padding of a SHA-256 digest (RFC 8017, section 9.2), as hosts make it.
fn padded(bytes: usize) -> Vec<u8> {
    let prefix = data_encoding::HEXLOWER
        .decode(b"3031300d060960864801650304020105000420")
        .unwrap();
    let mut block = vec![0, 1];
    block.resize(bytes - 33 - prefix.len(), 0xFF);
    block.push(0);
    block.extend(prefix);
    block.extend_from_slice(&Sha256::digest(MESSAGE));
    block
}

/// The secret numbers of a key that OpenSSL made in `key.pem`, as IMPORT takes them.
fn import_data(bench: &Bench, algorithm: u8) -> Vec<u8> {
    if let Some((_, bits)) = RSA.iter().find(|(byte, _)| *byte == algorithm) {
        bench.openssl(&format!("genrsa -traditional -out key.pem {bits}"));
        let der = bench.openssl("rsa -in key.pem -traditional -outform DER");
        let numbers = tlv::all(tlv::only(0x30, &der).unwrap()).unwrap();
        let prime = |n: usize| {
            let bytes = numbers[n].1;
            bytes.strip_prefix(&[0]).unwrap_or(bytes).to_vec()
        };
        return [tlv::element(&[1], &prime(4)), tlv::element(&[2], &prime(5))].concat();
    }
    let (make, tag, length) = match algorithm {
        0x11 => ("EC -pkeyopt ec_paramgen_curve:P-256", 0x06, 32),
        0x14 => ("EC -pkeyopt ec_paramgen_curve:P-384", 0x06, 48),
        0xE0 => ("ED25519", 0x07, 32),
        _ => ("X25519", 0x08, 32),
    };
    bench.openssl(&format!("genpkey -algorithm {make} -out key.pem"));
    let secret = if tag == 0x06 {
        let der = bench.openssl("ec -in key.pem -outform DER");
        tlv::all(tlv::only(0x30, &der).unwrap()).unwrap()[1]
            .1
            .to_vec()
    } else {
        let der = bench.openssl("pkey -in key.pem -outform DER");
        der[der.len() - length..].to_vec()
    };
    tlv::element(&[tag], &secret)
}

/// Brings a key of OpenSSL's to the card; its public half is public.pem.
fn import(host: &mut Host, algorithm: u8, slot: u8) -> Bench {
    let bench = Bench::new();
    let data = [&import_data(&bench, algorithm)[..], &[0xAA, 1, 1]].concat();
    host.manage();
    host.ok([0xFE, algorithm, slot], &data);
    bench.openssl("pkey -in key.pem -pubout -out public.pem");
    let metadata = host.ok([0xF7, 0x00, slot], &[]);
    assert_eq!(metadata[..10], [1, 1, algorithm, 2, 2, 1, 1, 3, 1, 2]);
    bench
}

/// Does the card sign with the key that OpenSSL knows as public.pem?
fn signs(host: &mut Host, bench: &Bench, algorithm: u8, slot: u8) -> bool {
    let sha256 = Sha256::digest(MESSAGE).to_vec();
    let (how, input) = match algorithm {
        0x11 => ("dgst -sha256", sha256),
        0x14 => ("dgst -sha384", Sha384::digest(MESSAGE).to_vec()),
        0xE0 => ("", MESSAGE.to_vec()),
        _ => {
            let (_, bits) = RSA.iter().find(|(byte, _)| *byte == algorithm).unwrap();
            ("dgst -sha256", padded(bits.parse::<usize>().unwrap() / 8))
        }
    };
    let signature = operate(host, algorithm, slot, 0x81, &input);
    let good = bench.verifies(how, &signature);
    bench.write("message", b"something else");
    assert!(!bench.verifies(how, &signature), "the check can fail");
    bench.write("message", MESSAGE);
    good
}

/// Does the card agree with OpenSSL on a secret?
fn agrees(host: &mut Host, bench: &Bench, algorithm: u8, slot: u8) -> bool {
    let (make, point) = match algorithm {
        0x11 => ("EC -pkeyopt ec_paramgen_curve:P-256", 65),
        0x14 => ("EC -pkeyopt ec_paramgen_curve:P-384", 97),
        _ => ("X25519", 32),
    };
    bench.openssl(&format!("genpkey -algorithm {make} -out other.pem"));
    let other = bench.openssl("pkey -in other.pem -pubout -outform DER");
    let ours = operate(host, algorithm, slot, 0x85, &other[other.len() - point..]);
    ours == bench.openssl("pkeyutl -derive -inkey other.pem -peerkey public.pem")
}

#[test]
fn keys_made_on_the_card_sign_and_agree() {
    let mut host = Host::with_firmware((5, 7, 4));
    for (algorithm, signing, agreeing) in [
        (0x11, true, true),
        (0x14, true, true),
        (0xE0, true, false),
        (0xE1, false, true),
        (0x06, true, false),
        (0x07, true, false),
        (0x05, true, false),
    ] {
        let slot = 0x82;
        host.generate(slot, algorithm, 1, 1);
        let bench = Bench::new();
        bench.attested(&mut host, slot);
        let nothing = tlv::element(&[0x7C], &[0x82, 0, if signing { 0x85 } else { 0x81 }, 0]);
        assert_eq!(host.status([0x87, algorithm, slot], &nothing), 0x6A80);
        assert!(
            !signing || signs(&mut host, &bench, algorithm, slot),
            "{algorithm:02x}"
        );
        assert!(
            !agreeing || agrees(&mut host, &bench, algorithm, slot),
            "{algorithm:02x}"
        );
    }
}

#[test]
fn keys_of_openssl_sign_and_agree_on_the_card() {
    let mut host = Host::with_firmware((5, 7, 4));
    for algorithm in [0x11, 0x14, 0xE0, 0x06, 0x07, 0x05, 0x16] {
        let bench = import(&mut host, algorithm, 0x95);
        assert!(signs(&mut host, &bench, algorithm, 0x95), "{algorithm:02x}");
    }
    for algorithm in [0x11, 0x14, 0xE1] {
        let bench = import(&mut host, algorithm, 0x95);
        assert!(
            agrees(&mut host, &bench, algorithm, 0x95),
            "{algorithm:02x}"
        );
    }
}

#[test]
fn every_kind_of_key_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("card.json");
    let start = || {
        Host::with(
            (5, 7, 4),
            times(Duration::ZERO, Duration::ZERO),
            Some(&state),
        )
    };
    let kinds = [(0x14, 0x82), (0xE0, 0x83), (0xE1, 0x84), (0x05, 0x85)];
    let mut host = start();
    let made: Vec<_> = kinds
        .map(|(algorithm, slot)| {
            host.generate(slot, algorithm, 1, 1);
            host.ok([0xF7, 0x00, slot], &[])
        })
        .into();
    drop(host);
    let mut host = start();
    let kept = kinds.map(|(_, slot)| host.ok([0xF7, 0x00, slot], &[]));
    assert_eq!(made, kept);
}

#[test]
fn secrets_of_a_wrong_length_are_refused_and_change_nothing() {
    let mut host = Host::with_firmware((5, 7, 4));
    host.generate(0x82, 0x11, 1, 1);
    let before = host.ok([0xF7, 0x00, 0x82], &[]);
    for (algorithm, tag, lengths) in [
        (0x11, 6, [1, 31, 33]),
        (0x14, 6, [1, 32, 47]),
        (0xE0, 7, [1, 31, 33]),
        (0xE1, 8, [1, 31, 33]),
    ] {
        for length in lengths {
            let data = tlv::element(&[tag], &vec![0x11; length]);
            assert_eq!(host.status([0xFE, algorithm, 0x82], &data), 0x6A80);
        }
    }
    assert_eq!(host.ok([0xF7, 0x00, 0x82], &[]), before);
}

#[test]
fn points_of_small_order_are_refused() {
    let mut host = Host::with_firmware((5, 7, 4));
    host.generate(0x82, 0xE1, 1, 1);
    for point in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        let mut inner = tlv::element(&[0x82], &[]);
        tlv::push(&mut inner, &[0x85], &point);
        assert_eq!(
            host.status([0x87, 0xE1, 0x82], &tlv::element(&[0x7C], &inner)),
            0x6A80
        );
    }
}

#[test]
fn a_long_message_is_signed_whole() {
    let mut host = Host::with_firmware((5, 7, 4));
    host.generate(0x82, 0xE0, 1, 1);
    let bench = Bench::new();
    bench.attested(&mut host, 0x82);
    let message = vec![0x5A; 3000];
    let signature = operate(&mut host, 0xE0, 0x82, 0x81, &message);
    bench.write("message", &message);
    assert!(bench.verifies("", &signature));
}
