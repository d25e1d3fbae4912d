//! Private keys that stay: they sign as those that are read anew, what they sign is checked by openssl, and nothing of them lies in
//! memory that others could read.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::{fs::File, os::unix::fs::FileExt, path::Path, process::Command};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use touchkeep_core::ApiSecret;
use touchkeep_locked::{WipingAllocator, keep_keys_apart};
use touchkeep_pipeline::private_key::Stays;
use touchkeep_venue::Algorithm;

/// As in the agent.
#[global_allocator]
static MEMORY: WipingAllocator = WipingAllocator;

const MESSAGE: &[u8] = b"symbol=BTCUSDT&timestamp=1700000000000";
const MASK: u8 = 0x5a;

/// Bytes that are looked for, kept so that the search does not find its own.
struct Needle(Vec<u8>);

impl Needle {
    fn of(bytes: &[u8]) -> Self {
        Self(bytes.iter().map(|byte| byte ^ MASK).collect())
    }

    // As it is written, and as numbers of several words lie in memory.
    fn is_in(&self, memory: &[u8]) -> bool {
        let fits = |window: &[u8]| {
            let mut pairs = window.iter().zip(&self.0);
            pairs.all(|(byte, masked)| *byte == masked ^ MASK)
        };
        let fits_backwards = |window: &[u8]| {
            let mut pairs = window.iter().zip(self.0.iter().rev());
            pairs.all(|(byte, masked)| *byte == masked ^ MASK)
        };
        let mut windows = memory.windows(self.0.len());
        windows.any(|window| fits(window) || fits_backwards(window))
    }
}

// Whether it lies in memory of this process that is not locked.
fn lies_open(needle: &Needle) -> bool {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let memory = File::open("/proc/self/mem").unwrap();
    let mut range = None;
    let mut found = false;
    for line in smaps.lines() {
        if let Some((place, rest)) = line.split_once(' ')
            && let Some((from, to)) = place.split_once('-')
            && rest.starts_with("rw")
        {
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            range = Some((number(from), number(to)));
        }
        if let Some(flags) = line.strip_prefix("VmFlags:")
            && let Some((from, to)) = range.take()
            && !flags.split(' ').any(|flag| flag == "lo")
        {
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            // The end of a stack may not be there yet.
            if memory.read_exact_at(&mut bytes, from).is_ok() {
                found |= needle.is_in(&bytes);
            }
        }
    }
    found
}

fn openssl(folder: &Path, args: &[&str]) -> Vec<u8> {
    let done = Command::new("openssl")
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "openssl {args:?}: {said}");
    done.stdout
}

// The number or the octets on the n-th line of its kind, as openssl reads the file.
fn part(folder: &Path, kind: &str, at: usize) -> Needle {
    let read = String::from_utf8(openssl(folder, &["asn1parse", "-in", "key.pem"])).unwrap();
    let mut lines = read.lines().filter(|line| line.contains(kind));
    let (_, hex) = lines.nth(at).unwrap().rsplit_once(':').unwrap();
    Needle::of(&data_encoding::HEXUPPER.decode(hex.as_bytes()).unwrap())
}

// openssl reads ECDSA as DER, which is written easily where both numbers begin with a high bit.
fn der_signature(key: &Stays) -> Vec<u8> {
    let number = |raw: &[u8]| [&[2, 33, 0][..], raw].concat();
    let mut signatures = std::iter::repeat_with(|| key.sign(MESSAGE).unwrap());
    let fits = signatures.find(|raw| raw[0] >= 0x80 && raw[32] >= 0x80);
    let (r, s) = fits.as_deref().unwrap().split_at(32);
    [&[0x30, 70][..], &number(r), &number(s)].concat()
}

fn kept_key(
    make: &[&str],
    algorithm: Algorithm,
    verify: &[&str],
    secret: &dyn Fn(&Path) -> Needle,
) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    openssl(
        folder,
        &[&[make[0], "-out", "key.pem"], &make[1..]].concat(),
    );
    openssl(
        folder,
        &["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"],
    );
    let needle = secret(folder);
    let text = ApiSecret::new(std::fs::read_to_string(folder.join("key.pem")).unwrap());
    let key = Stays::read(&text, algorithm).unwrap();
    // Often enough for whatever the provider keeps with a key and makes anew.
    (0..40).for_each(|_| drop(key.sign(MESSAGE).unwrap()));
    let signed = match algorithm {
        Algorithm::EcdsaP256Sha256 => der_signature(&key),
        _ => key.sign(MESSAGE).unwrap(),
    };
    assert!(!lies_open(&needle), "{algorithm:?} lies in ordinary memory");
    std::fs::write(folder.join("message"), MESSAGE).unwrap();
    std::fs::write(folder.join("signature"), &signed).unwrap();
    let ask = [
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "public.pem",
        "-rawin",
    ];
    let files = ["-sigfile", "signature", "-in", "message"];
    openssl(folder, &[&ask[..], &files, verify].concat());
    let with_other = Stays::read(&text, Algorithm::Secp256k1Digest);
    assert!(with_other.is_none());
    drop(key);
    assert!(!lies_open(&needle));
}

// One test: where aws-lc's memory comes from is said once in a process.
#[test]
fn keys_that_stay_sign_and_lie_nowhere_else() {
    let text = || ApiSecret::new(String::new());
    assert!(Stays::read(&text(), Algorithm::Ed25519).is_none());
    keep_keys_apart();
    assert!(Stays::read(&text(), Algorithm::Ed25519).is_none(), "no key");
    let rsa = ["genrsa", "-traditional", "2048"];
    // A key that does not stay is found, so the search finds what is there: its first prime.
    {
        let folder = tempfile::tempdir().unwrap();
        openssl(
            folder.path(),
            &[&["genrsa", "-out", "key.pem"], &rsa[1..]].concat(),
        );
        let needle = part(folder.path(), "INTEGER", 4);
        let der = openssl(
            folder.path(),
            &["rsa", "-in", "key.pem", "-traditional", "-outform", "DER"],
        );
        let pair = RsaKeyPair::from_der(&der).unwrap();
        drop(der);
        assert!(lies_open(&needle), "the search finds nothing");
        drop(pair);
        assert!(!lies_open(&needle), "the test itself left something");
    }
    let digest = ["-digest", "sha256"];
    kept_key(&rsa, Algorithm::RsaPkcs1Sha256, &digest, &|folder| {
        part(folder, "INTEGER", 4)
    });
    kept_key(&rsa, Algorithm::RsaPkcs1Sha256, &digest, &|folder| {
        part(folder, "INTEGER", 3)
    });
    let p256 = ["ecparam", "-name", "prime256v1", "-genkey", "-noout"];
    kept_key(&p256, Algorithm::EcdsaP256Sha256, &digest, &|folder| {
        part(folder, "OCTET STRING", 0)
    });
    let ed25519 = ["genpkey", "-algorithm", "ed25519"];
    kept_key(&ed25519, Algorithm::Ed25519, &[], &|folder| {
        let read = openssl(folder, &["pkey", "-in", "key.pem", "-outform", "DER"]);
        Needle::of(&read[read.len() - 32..])
    });
}

// What is wiped after a signature, 64 KiB, is more than a signature takes: it has enough of a stack of this size, or this ends
// here.
#[test]
fn a_signature_takes_less_of_the_stack_than_is_wiped() {
    const STACK: usize = 48 * 1024;
    let random = SystemRandom::new();
    let rsa = RsaKeyPair::generate(KeySize::Rsa4096).unwrap();
    let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let p256 = EcdsaKeyPair::generate(kind).unwrap();
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let signs: [Box<dyn Fn() + Send>; 3] = [
        Box::new(move || {
            let mut signature = [0; 512];
            rsa.sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                MESSAGE,
                &mut signature,
            )
            .unwrap();
        }),
        Box::new(move || _ = p256.sign(&random, MESSAGE).unwrap()),
        Box::new(move || _ = ed25519.sign(MESSAGE)),
    ];
    for sign in signs {
        let small = std::thread::Builder::new().stack_size(STACK);
        small.spawn(sign).unwrap().join().unwrap();
    }
}
