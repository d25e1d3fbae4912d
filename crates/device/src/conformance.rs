//! One suite that every backend runs against what it has: the same promises, whatever is behind [`Device`].
//!
//! Each function panics where a promise is broken, so a backend's test is one call. It addresses no device by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a conformance suite fails loudly; it is compiled for tests alone"
)]

use std::{fs, process::Command};

use age_core::{
    format::{FileKey, Stanza},
    secrecy::ExposeSecret,
};

use crate::{
    device::{Auth, Device, DeviceError, KeyInfo, KeyRef, Purpose, SecretDemand, SignatureScheme},
    public::{mac_bytes, may_go_out, scheme_of, tlv, unsigned, verifies},
    stanza,
};

/// A device with the three keys of a vault, and what a person would do.
pub struct Bench<'a> {
    /// The device.
    pub device: &'a mut dyn Device,
    /// Its PIN or passphrase.
    pub right: Auth<'a>,
    /// Another one.
    pub wrong: Auth<'a>,
    /// Called before each use of a key; a backend's test touches here when the key asks for it.
    pub before_use: &'a mut dyn FnMut(&KeyInfo),
    /// How often a secret was sent to the device so far, counted on its own side, where that can be counted.
    pub secrets_sent: Option<&'a mut dyn FnMut() -> u64>,
    /// The HMAC secrets that the test put into the device: with them openssl makes the MACs that it has to make.
    pub macs: &'a [(KeyRef, Vec<u8>)],
}

/// Runs all of it.
pub fn run(bench: &mut Bench<'_>) {
    run_for(bench, &ALL);
}

/// Runs it for a device that has keys for `purposes` and no others. Why it cannot have the others is for the caller to show;
/// that it has none is looked at here.
pub fn run_for(bench: &mut Bench<'_>, purposes: &[Purpose]) {
    purposes_never_share_a_key(bench, purposes);
    what_is_wrapped_opens(bench);
    what_is_for_nobody_here_costs_nothing(bench);
    nothing_goes_without_the_secret(bench);
    a_wrong_secret_is_refused_and_costs_one_try(bench);
    signatures_are_those_of_the_exported_key(bench);
    macs_are_those_of_the_secret(bench);
    what_is_no_digest_is_not_signed_as_one(bench);
    a_demand_says_what_the_key_is(bench);
    an_unknown_key_is_named(bench);
}

/// There is one key for each of `purposes`, none for the others, and all are in places of their own. None of them was made
/// elsewhere.
pub fn purposes_never_share_a_key(bench: &mut Bench<'_>, purposes: &[Purpose]) {
    let info = bench.device.info();
    assert!(!purposes.is_empty());
    for purpose in ALL {
        let count = info.keys.iter().filter(|k| k.purpose == purpose).count();
        assert_eq!(
            count,
            usize::from(purposes.contains(&purpose)),
            "{purpose:?}"
        );
    }
    for (at, one) in info.keys.iter().enumerate() {
        assert!(!one.imported || one.purpose == Purpose::Request, "{one:?}");
        for other in info.keys.iter().skip(at + 1) {
            assert_ne!(one.spki, other.spki);
            assert_ne!(one.key, other.key);
        }
    }
}

/// A file key that is wrapped to the recipient comes back, from our own stanzas and from each of them alone.
pub fn what_is_wrapped_opens(bench: &mut Bench<'_>) {
    for key in openers(bench) {
        let stanzas = wrapped(&key);
        for at in 0..stanzas.len() {
            (bench.before_use)(&key);
            let stanzas = stanzas.get(at..).unwrap();
            let opened = bench.device.unwrap_file_key(&key.key, stanzas, bench.right);
            assert_eq!(opened.unwrap().expose_secret(), SECRET, "{:?}", key.purpose);
        }
        // What is forged is refused in one way, whatever was changed.
        for at in [0, 7, 31] {
            let mut forged = wrapped(&key);
            for stanza in &mut forged {
                if let Some(byte) = stanza.body.get_mut(at) {
                    *byte ^= 1;
                }
            }
            (bench.before_use)(&key);
            let refused = bench.device.unwrap_file_key(&key.key, &forged, bench.right);
            assert!(matches!(refused, Err(DeviceError::NotForThisKey)), "{at}");
        }
    }
}

/// A file for somebody else is refused by its stanzas, before a secret is sent.
pub fn what_is_for_nobody_here_costs_nothing(bench: &mut Bench<'_>) {
    let stranger = [age_core::format::grease_the_joint()];
    let before = sent(bench);
    for key in openers(bench) {
        for stanzas in [&[][..], &stranger] {
            let refused = bench.device.unwrap_file_key(&key.key, stanzas, bench.right);
            assert!(matches!(refused, Err(DeviceError::NotForThisKey)));
        }
    }
    assert_eq!(sent(bench), before);
}

/// Without PIN or passphrase nothing is opened or signed.
pub fn nothing_goes_without_the_secret(bench: &mut Bench<'_>) {
    for key in openers(bench) {
        let opened = bench
            .device
            .unwrap_file_key(&key.key, &wrapped(&key), Auth::Nothing);
        assert!(matches!(opened, Err(DeviceError::NeedsSecret)));
    }
    for key in signers(bench) {
        let scheme = scheme_of(key.algorithm).unwrap();
        let message = to_sign(scheme);
        let signed = bench.device.sign(&key.key, scheme, message, Auth::Nothing);
        assert!(matches!(signed, Err(DeviceError::NeedsSecret)));
    }
}

/// A wrong PIN spends exactly one try, a wrong passphrase nothing; the right one works afterwards.
pub fn a_wrong_secret_is_refused_and_costs_one_try(bench: &mut Bench<'_>) {
    let key = openers(bench).first().expect("a key that opens").clone();
    let stanzas = wrapped(&key);
    let (sent_before, tries_before) = (sent(bench), tries(bench, &key.key));
    let refused = bench
        .device
        .unwrap_file_key(&key.key, &stanzas, bench.wrong)
        .err()
        .expect("a wrong secret opened a file");
    match (bench.wrong, tries_before) {
        (Auth::Passphrase(_), _) => assert!(matches!(refused, DeviceError::WrongPassphrase)),
        (_, Some(before)) => {
            let left = before - 1;
            assert!(matches!(refused, DeviceError::WrongPin { tries_left } if tries_left == left));
            assert_eq!(tries(bench, &key.key), Some(left));
        }
        (_, None) => assert!(
            matches!(refused, DeviceError::WrongPinUncounted),
            "{refused}"
        ),
    }
    if let (Some(before), Some(after)) = (sent_before, sent(bench)) {
        assert_eq!(after, before + 1, "a secret is sent once per entry");
    }
    (bench.before_use)(&key);
    let opened = bench
        .device
        .unwrap_file_key(&key.key, &stanzas, bench.right);
    assert_eq!(opened.unwrap().expose_secret(), SECRET);
    assert_eq!(tries(bench, &key.key), tries_before);
}

/// Each signing key signs in its scheme and no other, for aws-lc and for the `openssl` command alike.
pub fn signatures_are_those_of_the_exported_key(bench: &mut Bench<'_>) {
    for key in bench.device.info().keys.clone() {
        let agreement = matches!(key.purpose, Purpose::Unlock | Purpose::Seal);
        for scheme in SCHEMES {
            let (message, another) = (to_sign(scheme), &[7; 32]);
            if agreement || scheme_of(key.algorithm) != Some(scheme) {
                let refused = bench.device.sign(&key.key, scheme, message, bench.right);
                assert!(matches!(refused, Err(DeviceError::Unsupported(_))));
            } else if mac_bytes(scheme).is_none() {
                (bench.before_use)(&key);
                let signed = bench.device.sign(&key.key, scheme, message, bench.right);
                let signature = signed.unwrap();
                assert!(verifies(scheme, &key.spki, message, &signature));
                assert!(!verifies(scheme, &key.spki, another, &signature));
                assert!(openssl_verifies(scheme, &key.spki, message, &signature));
                assert!(!openssl_verifies(scheme, &key.spki, another, &signature));
            }
        }
    }
}

/// What nobody can verify with a public key is what openssl makes with the secret; each HMAC secret of the device is one that
/// the test knows.
pub fn macs_are_those_of_the_secret(bench: &mut Bench<'_>) {
    for key in bench.device.info().keys.clone() {
        let scheme = scheme_of(key.algorithm);
        let Some(scheme) = scheme.filter(|scheme| mac_bytes(*scheme).is_some()) else {
            continue;
        };
        let mut known = bench.macs.iter();
        let known = known.find(|(place, _)| *place == key.key);
        let (_, secret) = known.expect("the secret of an HMAC key");
        for message in [MESSAGE, b"another", b"x"] {
            (bench.before_use)(&key);
            let signed = bench.device.sign(&key.key, scheme, message, bench.right);
            let mac = signed.unwrap();
            assert_eq!(mac, openssl_mac(scheme, secret, message), "{scheme:?}");
            assert!(!verifies(scheme, &key.spki, message, &mac));
            assert!(may_go_out(scheme, &key.spki, message, &mac));
            assert!(!may_go_out(scheme, &key.spki, message, &mac[1..]));
        }
        assert!(key.imported, "nobody makes an HMAC secret but the venue");
    }
}

/// A key that signs a digest signs 32 bytes and nothing else, and says which key it was in the signature.
pub fn what_is_no_digest_is_not_signed_as_one(bench: &mut Bench<'_>) {
    let scheme = SignatureScheme::EcdsaSecp256k1Digest;
    let mut keys = bench.device.info().keys.clone();
    keys.retain(|key| scheme_of(key.algorithm) == Some(scheme));
    for key in keys {
        for odd in [&[][..], &[1; 31], &[1; 33], MESSAGE] {
            let refused = bench.device.sign(&key.key, scheme, odd, bench.right);
            assert!(matches!(refused, Err(DeviceError::Unsupported(_))));
        }
        for at in 0..8 {
            let digest = [at; 32];
            (bench.before_use)(&key);
            let signed = bench.device.sign(&key.key, scheme, &digest, bench.right);
            let signature = signed.unwrap();
            let (recovery, r_and_s) = signature.split_last().unwrap();
            assert!(matches!(recovery, 27 | 28), "{recovery}");
            assert_eq!(r_and_s.len(), 64);
            let mut other = signature.clone();
            *other.last_mut().unwrap() = 55 - recovery;
            assert!(!verifies(scheme, &key.spki, &digest, &other));
        }
    }
}

/// What is demanded of a person is what the key's policy says; asking sends no secret.
pub fn a_demand_says_what_the_key_is(bench: &mut Bench<'_>) {
    let before = sent(bench);
    for key in bench.device.info().keys.clone() {
        let demand = bench.device.demand(&key.key).unwrap();
        assert_eq!(demand.touch, key.touch);
        match bench.right {
            Auth::Nothing => assert_eq!(demand.secret, SecretDemand::Nothing),
            Auth::Pin(_) => assert!(matches!(demand.secret, SecretDemand::Pin { .. })),
            Auth::Passphrase(_) => assert_eq!(demand.secret, SecretDemand::Passphrase),
        }
    }
    assert_eq!(sent(bench), before);
}

/// A key that is not there is an error that names it.
pub fn an_unknown_key_is_named(bench: &mut Bench<'_>) {
    let nobody = KeyRef("none such".into());
    let demand = bench.device.demand(&nobody);
    assert!(matches!(demand, Err(DeviceError::NoKey(named)) if named == nobody));
    let scheme = SignatureScheme::EcdsaP256Sha256;
    let signed = bench.device.sign(&nobody, scheme, MESSAGE, bench.right);
    assert!(matches!(signed, Err(DeviceError::NoKey(named)) if named == nobody));
}

/// Whether the `openssl` command finds the signature good.
#[must_use]
pub fn openssl_verifies(
    scheme: SignatureScheme,
    spki: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let signature = match scheme {
        SignatureScheme::EcdsaSecp256k1Digest => {
            let (r, s) = (&signature[..32], &signature[32..64]);
            tlv(0x30, &[unsigned(r), unsigned(s)].concat())
        }
        _ => signature.to_vec(),
    };
    let (key, signature) = (write("key.der", spki), write("signature", &signature));
    let message = write("message", message);
    let mut command = Command::new("openssl");
    match scheme {
        SignatureScheme::Ed25519 | SignatureScheme::EcdsaSecp256k1Digest => command
            .args(["pkeyutl", "-verify", "-pubin", "-keyform", "DER"])
            .args((scheme == SignatureScheme::Ed25519).then_some("-rawin"))
            .arg("-inkey")
            .arg(key)
            .arg("-sigfile")
            .arg(signature)
            .arg("-in")
            .arg(message),
        SignatureScheme::HmacSha256 | SignatureScheme::HmacSha384 | SignatureScheme::HmacSha512 => {
            return false;
        }
        SignatureScheme::EcdsaP256Sha256 | SignatureScheme::RsaPkcs1Sha256 => command
            .args(["dgst", "-sha256", "-keyform", "DER", "-verify"])
            .arg(key)
            .arg("-signature")
            .arg(signature)
            .arg(message),
    };
    command.output().expect("openssl is there").status.success()
}

/// The MAC that the `openssl` command makes with a secret.
#[must_use]
pub fn openssl_mac(scheme: SignatureScheme, secret: &[u8], message: &[u8]) -> Vec<u8> {
    let hash = match mac_bytes(scheme) {
        Some(32) => "sha256",
        Some(48) => "sha384",
        _ => "sha512",
    };
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("message");
    fs::write(&path, message).unwrap();
    let made = Command::new("openssl")
        .args(["mac", "-digest", hash, "-binary", "-macopt"])
        .arg(format!("hexkey:{hex}"))
        .arg("-in")
        .arg(path)
        .arg("HMAC")
        .output()
        .expect("openssl is there");
    assert!(made.status.success(), "{made:?}");
    made.stdout
}

// What stands for a message: a digest, where one is signed.
const fn to_sign(scheme: SignatureScheme) -> &'static [u8] {
    match scheme {
        SignatureScheme::EcdsaSecp256k1Digest => &[3; 32],
        _ => MESSAGE,
    }
}

const SECRET: &[u8; 16] = b"yellow submarine";
const MESSAGE: &[u8] = b"touchkeep conformance, a message to sign";
const SCHEMES: [SignatureScheme; 7] = [
    SignatureScheme::EcdsaP256Sha256,
    SignatureScheme::RsaPkcs1Sha256,
    SignatureScheme::Ed25519,
    SignatureScheme::HmacSha256,
    SignatureScheme::HmacSha384,
    SignatureScheme::HmacSha512,
    SignatureScheme::EcdsaSecp256k1Digest,
];

const ALL: [Purpose; 3] = [Purpose::Unlock, Purpose::Seal, Purpose::SignVault];

fn openers(bench: &Bench<'_>) -> Vec<KeyInfo> {
    let opens = |info: &&KeyInfo| matches!(info.purpose, Purpose::Unlock | Purpose::Seal);
    bench
        .device
        .info()
        .keys
        .iter()
        .filter(opens)
        .cloned()
        .collect()
}

fn signers(bench: &Bench<'_>) -> Vec<KeyInfo> {
    let signs = |info: &&KeyInfo| matches!(info.purpose, Purpose::SignVault | Purpose::Request);
    bench
        .device
        .info()
        .keys
        .iter()
        .filter(signs)
        .cloned()
        .collect()
}

fn wrapped(key: &KeyInfo) -> Vec<Stanza> {
    let file_key = FileKey::init_with_mut(|place| place.copy_from_slice(SECRET));
    let recipient = stanza::recipient(key).unwrap();
    recipient.wrap_file_key(&file_key).unwrap().0
}

fn sent(bench: &mut Bench<'_>) -> Option<u64> {
    bench.secrets_sent.as_mut().map(|count| count())
}

fn tries(bench: &mut Bench<'_>, key: &KeyRef) -> Option<u8> {
    match bench.device.demand(key).unwrap().secret {
        SecretDemand::Pin { tries_left } => tries_left,
        SecretDemand::Nothing
        | SecretDemand::PinPad
        | SecretDemand::Passphrase
        | SecretDemand::Words => None,
    }
}
