//! Keys that somebody put on the card before its owner had it are not taken for ours, whatever their certificates say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::{fs, process::Command};

use support::{Card, PIN, PUK, on_a_card};
use touchkeep_core::Pin;
use touchkeep_device::{
    Auth, Device, DeviceError, KeyRef, Provision, Purpose, SignatureScheme, stanza,
};
use touchkeep_device_piv::PivDevice;
use yubikey::{
    Certificate, MgmKey, PinPolicy, Serial, TouchPolicy, YubiKey,
    certificate::CertInfo,
    piv::{self, AlgorithmId, SlotId},
};

const AUTO: &[&str] = &["--touch", "auto"];

const UNLOCK: &str = "/O=age-plugin-yubikey/CN=touchkeep unlock";
const SEAL: &str = "/O=age-plugin-yubikey/CN=touchkeep seal";
const SIGN_VAULT: &str = "/O=touchkeep/CN=touchkeep sign-vault";

/// Somebody who has the card, its factory's management key, and `openssl`.
struct Stranger<'a> {
    card: &'a Card,
    yubikey: YubiKey,
}

impl<'a> Stranger<'a> {
    fn with(card: &'a Card) -> Self {
        let mut yubikey = YubiKey::open_by_serial(Serial(card.serial())).unwrap();
        let factory = MgmKey::get_default(&yubikey).unwrap();
        yubikey.authenticate(&factory).unwrap();
        Self { card, yubikey }
    }

    /// A key that he keeps a copy of, with policies as ours.
    fn imports(&mut self, slot: u8, touch: TouchPolicy, subject: &str) {
        let (scalar, _, certificate) = self.key_and_certificate(subject);
        let (slot, algorithm) = (SlotId::try_from(slot).unwrap(), AlgorithmId::EccP256);
        let pin = PinPolicy::Once;
        piv::import_ecc_key(&mut self.yubikey, slot, algorithm, &scalar, touch, pin).unwrap();
        self.writes(slot, certificate);
    }

    /// A key that is made on the card; its public point.
    fn generates(
        &mut self,
        slot: u8,
        pin: PinPolicy,
        touch: TouchPolicy,
        subject: Option<&str>,
    ) -> Vec<u8> {
        let (slot, algorithm) = (SlotId::try_from(slot).unwrap(), AlgorithmId::EccP256);
        let made = piv::generate(&mut self.yubikey, slot, algorithm, pin, touch).unwrap();
        let made = made.subject_public_key.raw_bytes().to_vec();
        let Some(subject) = subject else {
            return made;
        };
        // His own certificate with the public key exchanged: nobody who reads the slot looks at the signature.
        let (_, point, mut certificate) = self.key_and_certificate(subject);
        let mut places = certificate.windows(point.len());
        let at = places.position(|bytes| bytes == point).unwrap();
        certificate[at..at + point.len()].copy_from_slice(&made);
        self.writes(slot, certificate);
        made
    }

    fn writes(&mut self, slot: SlotId, certificate: Vec<u8>) {
        let certificate = Certificate::from_bytes(certificate).unwrap();
        certificate
            .write(&mut self.yubikey, slot, CertInfo::Uncompressed)
            .unwrap();
    }

    /// Private scalar, public point and self-signed certificate.
    fn key_and_certificate(&self, subject: &str) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        self.openssl("ecparam -name prime256v1 -genkey -noout -outform DER -out key.der");
        let request = "req -x509 -new -key key.der -keyform DER -outform DER -out certificate.der";
        let request = request.split(' ').chain(["-subj", subject]);
        self.run(&request.collect::<Vec<_>>());
        let read = |name| fs::read(self.card.dir.join(name)).unwrap();
        // RFC 5915: 30 77 { 02 01 01, 04 20 scalar, A0 curve, A1 { 03 42 00 point } }.
        let key = read("key.der");
        let (scalar, point) = (key[7..39].to_vec(), key[key.len() - 65..].to_vec());
        (scalar, point, read("certificate.der"))
    }

    fn openssl(&self, arguments: &str) {
        self.run(&arguments.split(' ').collect::<Vec<_>>());
    }

    fn run(&self, arguments: &[&str]) {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(&self.card.dir)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// The card after its owner has changed PIN, PUK and management key.
fn taken_over(card: &Card) -> (PivDevice, Pin) {
    let (pin, puk) = (Pin::new(PIN.into()), Pin::new(PUK.into()));
    let mut device = card.open();
    device.change_factory_secrets(&pin, &puk).unwrap();
    (device, pin)
}

/// Provisioning is refused with these words, and the card has seen no PIN and nothing that changes it.
fn is_refused(card: &Card, device: &mut PivDevice, pin: &Pin, words: &str) {
    let before = card.standing();
    for _ in 0..2 {
        let refused = device.provision(Auth::Pin(pin));
        let Err(DeviceError::Unsupported(text)) = refused else {
            panic!("{refused:?}");
        };
        assert!(text.starts_with(words), "{text}");
    }
    assert_eq!(card.standing(), before);
}

#[test]
fn a_key_that_was_imported_is_neither_adopted_nor_used() {
    on_a_card(
        "a_key_that_was_imported_is_neither_adopted_nor_used",
        AUTO,
        |card| {
            Stranger::with(card).imports(0x82, TouchPolicy::Cached, UNLOCK);
            let (mut device, pin) = taken_over(card);
            let words = "slot 82 holds a key that was not made on this card";
            is_refused(card, &mut device, &pin, words);
            is_refused(card, &mut card.open(), &pin, words);

            // A vault that was made with it before anybody looked: said before a PIN is asked for, and none is sent.
            let planted = device.info().key(Purpose::Unlock).unwrap().clone();
            let file_key = age_core::format::FileKey::new(Box::new([7; 16]));
            let recipient = stanza::recipient(&planted).unwrap();
            let (stanzas, _) = recipient.wrap_file_key(&file_key).unwrap();
            let before = card.standing();
            let demanded = device.demand(&planted.key).map(drop);
            let opened = device.unwrap_file_key(&planted.key, &stanzas, Auth::Pin(&pin));
            for refused in [demanded, opened.map(drop)] {
                assert!(
                    matches!(&refused, Err(DeviceError::Unsupported(text)) if text.starts_with(words)),
                    "{refused:?}"
                );
            }
            assert_eq!(card.standing(), before);

            // What the error says to do: without its certificate the key is left alone, and ours is made elsewhere.
            let mut yubikey = YubiKey::open_by_serial(Serial(card.serial())).unwrap();
            yubikey.verify_pin(PIN.as_bytes()).unwrap();
            let management = MgmKey::get_protected(&mut yubikey).unwrap();
            yubikey.authenticate(&management).unwrap();
            Certificate::delete(&mut yubikey, SlotId::try_from(0x82).unwrap()).unwrap();
            drop(yubikey);
            let info = device.provision(Auth::Pin(&pin)).unwrap();
            let unlock = info.key(Purpose::Unlock).unwrap();
            assert_eq!(unlock.key, KeyRef("85".into()));
            assert_ne!(unlock.spki, planted.spki);
        },
    );
}

#[test]
fn a_key_with_a_weaker_touch_policy_is_neither_adopted_nor_used() {
    on_a_card(
        "a_key_with_a_weaker_touch_policy_is_neither_adopted_nor_used",
        AUTO,
        |card| {
            let (once, cached) = (PinPolicy::Once, TouchPolicy::Cached);
            Stranger::with(card).generates(0x83, once, cached, Some(SEAL));
            let (mut device, pin) = taken_over(card);
            let words = "slot 83 holds a key with touch policy Cached where Always belongs";
            is_refused(card, &mut device, &pin, words);
            assert!(device.demand(&KeyRef("83".into())).is_err());
        },
    );
}

#[test]
fn a_key_with_a_weaker_pin_policy_is_neither_adopted_nor_used() {
    on_a_card(
        "a_key_with_a_weaker_pin_policy_is_neither_adopted_nor_used",
        AUTO,
        |card| {
            let (never, cached) = (PinPolicy::Never, TouchPolicy::Cached);
            // Not where ours would be, and beside none of ours.
            Stranger::with(card).generates(0x95, never, cached, Some(SIGN_VAULT));
            let (mut device, pin) = taken_over(card);
            let words = "slot 95 holds a key with PIN policy Never where Once belongs";
            is_refused(card, &mut device, &pin, words);
            let scheme = SignatureScheme::EcdsaP256Sha256;
            let before = card.standing();
            let signed = device.sign(
                &KeyRef("95".into()),
                scheme,
                b"a statement",
                Auth::Pin(&pin),
            );
            assert!(matches!(signed, Err(DeviceError::Unsupported(_))));
            assert_eq!(card.standing(), before);
        },
    );
}

#[test]
fn of_keys_without_certificates_only_those_as_planned_are_taken_up() {
    on_a_card(
        "of_keys_without_certificates_only_those_as_planned_are_taken_up",
        AUTO,
        |card| {
            let (once, cached) = (PinPolicy::Once, TouchPolicy::Cached);
            let mut stranger = Stranger::with(card);
            stranger.generates(0x82, once, TouchPolicy::Never, None);
            stranger.generates(0x83, once, cached, None);
            let as_planned = stranger.generates(0x84, once, cached, None);
            drop(stranger);
            let (mut device, pin) = taken_over(card);
            let info = device.provision(Auth::Pin(&pin)).unwrap();
            let slots = [Purpose::Unlock, Purpose::Seal, Purpose::SignVault]
                .map(|purpose| info.key(purpose).unwrap().key.0.clone());
            assert_eq!(slots, ["85", "86", "84"]);
            let sign_vault = info.key(Purpose::SignVault).unwrap();
            assert!(
                sign_vault.spki.ends_with(&as_planned),
                "nobody can have a copy of it, so it is taken up"
            );
        },
    );
}
