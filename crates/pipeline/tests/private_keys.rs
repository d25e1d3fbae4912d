//! Private keys as openssl writes them and as venues' portals give them out; what they sign is checked by openssl, and by
//! Python where that is another implementation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use touchkeep_core::ApiSecret;
use touchkeep_pipeline::private_key::{kind_of, signature, signs};
use touchkeep_venue::Algorithm;

const MESSAGE: &[u8] = b"symbol=BTCUSDT&timestamp=1700000000000";

struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, args: &[&str]) -> Vec<u8> {
        let done = Command::new("openssl")
            .args(args)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "openssl {args:?}: {said}");
        done.stdout
    }

    // A key in the form that openssl writes, and its public half in `public.pem`.
    fn key(&self, args: &[&str]) -> String {
        let (verb, rest) = args.split_first().unwrap();
        self.openssl(&[&[*verb, "-out", "key.pem"], rest].concat());
        self.openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"]);
        std::fs::read_to_string(self.path("key.pem")).unwrap()
    }

    fn verifies(&self, args: &[&str], signed: &[u8]) -> bool {
        std::fs::write(self.path("message"), MESSAGE).unwrap();
        std::fs::write(self.path("signature"), signed).unwrap();
        Command::new("openssl")
            .args(["pkeyutl", "-verify", "-pubin", "-inkey", "public.pem"])
            .args(["-sigfile", "signature", "-in", "message", "-rawin"])
            .args(args)
            .current_dir(self.0.path())
            .output()
            .unwrap()
            .status
            .success()
    }
}

fn secret(text: &str) -> ApiSecret {
    ApiSecret::new(text.to_owned())
}

// r and s as DER, by hand: the other way round than the code under test.
fn der(raw: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let number: Vec<u8> = number.iter().copied().skip_while(|b| *b == 0).collect();
        let sign = number.first().is_none_or(|b| *b >= 0x80);
        let number = [if sign { &[0][..] } else { &[] }, &number].concat();
        [&[2, u8::try_from(number.len()).unwrap()][..], &number].concat()
    };
    let both = [integer(&raw[..32]), integer(&raw[32..])].concat();
    [&[0x30, u8::try_from(both.len()).unwrap()][..], &both].concat()
}

#[test]
fn keys_in_every_form_of_pem_sign_what_openssl_verifies() {
    let rsa = ["genrsa", "-traditional", "2048"];
    let cases: [(&[&str], Algorithm, &[&str]); 5] = [
        (
            &["genrsa", "2048"],
            Algorithm::RsaPkcs1Sha256,
            &["-digest", "sha256"],
        ),
        (&rsa, Algorithm::RsaPkcs1Sha256, &["-digest", "sha256"]),
        (
            &["genpkey", "-algorithm", "ed25519"],
            Algorithm::Ed25519,
            &[],
        ),
        (
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ],
            Algorithm::EcdsaP256Sha256,
            &["-digest", "sha256"],
        ),
        (
            &["ecparam", "-name", "prime256v1", "-genkey", "-noout"],
            Algorithm::EcdsaP256Sha256,
            &["-digest", "sha256"],
        ),
    ];
    for (make, algorithm, verify) in cases {
        let desk = Desk::new();
        let pem = desk.key(make);
        // As it stands in a JSON file whose text somebody pasted.
        for text in [pem.clone(), pem.replace('\n', "\\n")] {
            let key = secret(&text);
            assert_eq!(kind_of(&key), Some(algorithm), "{make:?}");
            let mut signed = signature(&key, algorithm, MESSAGE).unwrap();
            if algorithm == Algorithm::EcdsaP256Sha256 {
                assert_eq!(signed.len(), 64);
                signed = der(&signed);
            }
            assert!(desk.verifies(verify, &signed), "{make:?}");
            signed[40] ^= 1;
            assert!(
                !desk.verifies(verify, &signed),
                "{make:?}: anything verifies"
            );
        }
        for other in [
            Algorithm::RsaPkcs1Sha256,
            Algorithm::Ed25519,
            Algorithm::EcdsaP256Sha256,
        ] {
            assert_eq!(signs(&secret(&pem), other), other == algorithm, "{make:?}");
        }
    }
}

#[test]
fn seeds_are_read_as_portals_give_them_out() {
    let desk = Desk::new();
    let _pem = desk.key(&["genpkey", "-algorithm", "ed25519"]);
    let seed = desk.openssl(&["pkey", "-in", "key.pem", "-outform", "DER"])[16..].to_vec();
    let public =
        desk.openssl(&["pkey", "-pubin", "-in", "public.pem", "-outform", "DER"])[12..].to_vec();
    assert_eq!((seed.len(), public.len()), (32, 32));
    let whole = [seed.clone(), public].concat();
    let base64 = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    for text in [
        base64(&seed),
        base64(&whole),
        hex(&seed),
        format!("0x{}", hex(&seed)),
    ] {
        let signed = signature(&secret(&text), Algorithm::Ed25519, MESSAGE).unwrap();
        assert!(desk.verifies(&[], &signed), "{text}");
    }
    // Only what can be nothing else is taken for a key unasked.
    assert_eq!(kind_of(&secret(&base64(&whole))), Some(Algorithm::Ed25519));
    assert_eq!(kind_of(&secret(&base64(&seed))), None);
    let mut other = whole;
    other[63] ^= 1;
    assert_eq!(kind_of(&secret(&base64(&other))), None);
    assert_eq!(
        signature(&secret(&base64(&other)), Algorithm::Ed25519, MESSAGE),
        None
    );
}

#[test]
fn what_cannot_sign_is_refused() {
    let desk = Desk::new();
    let small = desk.key(&["genrsa", "1024"]);
    let other_curve = desk.key(&["ecparam", "-name", "secp384r1", "-genkey", "-noout"]);
    let encrypted = {
        desk.openssl(&[
            "pkcs8", "-topk8", "-in", "key.pem", "-passout", "pass:x", "-out", "e.pem",
        ]);
        std::fs::read_to_string(desk.path("e.pem")).unwrap()
    };
    let public = std::fs::read_to_string(desk.path("public.pem")).unwrap();
    for text in [
        small,
        other_curve,
        encrypted,
        public,
        "-----BEGIN".into(),
        String::new(),
    ] {
        let key = secret(&text);
        assert_eq!(kind_of(&key), None);
        for algorithm in [
            Algorithm::RsaPkcs1Sha256,
            Algorithm::Ed25519,
            Algorithm::EcdsaP256Sha256,
            Algorithm::Secp256k1Digest,
        ] {
            assert_eq!(signature(&key, algorithm, &[7; 32]), None);
        }
    }
}

#[test]
fn a_signature_on_secp256k1_names_its_own_key() {
    let python = std::env::var_os("TOUCHKEEP_PYTHON").expect("TOUCHKEEP_PYTHON");
    let key = secret(&"0b".repeat(32));
    let digest = [7; 32];
    let signed = signature(&key, Algorithm::Secp256k1Digest, &digest).unwrap();
    assert_eq!(signed.len(), 65);
    // ccxt brings an implementation of its own, with which it signs for Hyperliquid.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/secp256k1_of_ccxt.py");
    let done = Command::new(python).arg(script).output().unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(
        data_encoding::HEXLOWER.encode(&signed),
        String::from_utf8(done.stdout).unwrap().trim()
    );
    assert_eq!(
        signature(&key, Algorithm::Secp256k1Digest, b"no digest"),
        None
    );
}
