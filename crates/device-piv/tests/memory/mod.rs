//! A card in memory, behind the driver's transport: PIN, PUK, their counters, one signing key. It is a model of the standard
//! (SP 800-73-4 part 2) and of Yubico's metadata, shares nothing with the driver, and signs with another library.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::{
    fs,
    process::Command,
    sync::{Arc, Mutex, OnceLock},
};

use p256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner};
use touchkeep_device::DeviceError;
use touchkeep_device_piv::transport::{Channel, Transport, Work};
use zeroize::Zeroizing;

/// Its serial number.
pub(crate) const SERIAL: u32 = 7;

const TRIES: u8 = 3;

/// A handle of the card, and of everything about it that somebody beside it can see.
pub(crate) struct MemoryCard(Arc<Mutex<State>>);

struct Secret {
    value: [u8; 8],
    tries: u8,
}

struct State {
    pin: Secret,
    puk: Secret,
    verified: bool,
    /// Whether selecting PIV again forgets the PIN.
    forgets: bool,
    verify_count: u64,
    change_count: u64,
    /// The command that pulls it out; 0 for none.
    fail_at: usize,
    out: bool,
    chained: Vec<u8>,
    pending: Vec<u8>,
}

/// The key, and its certificate with our name for it, made by openssl once.
struct Key {
    signing: SigningKey,
    point: Vec<u8>,
    certificate: Vec<u8>,
}

fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let openssl = |arguments: &[&str]| {
            let done = Command::new("openssl")
                .args(arguments)
                .current_dir(dir.path())
                .output();
            assert!(done.unwrap().status.success());
        };
        openssl(&[
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-outform",
            "DER",
            "-out",
            "key",
        ]);
        let subject = "/O=touchkeep/CN=touchkeep sign-vault";
        openssl(&[
            "req",
            "-x509",
            "-new",
            "-key",
            "key",
            "-keyform",
            "DER",
            "-outform",
            "DER",
            "-out",
            "certificate",
            "-subj",
            subject,
        ]);
        let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
        // RFC 5915: 30 77 { 02 01 01, 04 20 scalar, A0 curve, A1 { 03 42 00 point } }.
        let der = read("key");
        Key {
            signing: SigningKey::from_slice(&der[7..39]).unwrap(),
            point: der[der.len() - 65..].to_vec(),
            certificate: read("certificate"),
        }
    })
}

fn padded(text: &str) -> [u8; 8] {
    let mut value = [0xff; 8];
    value[..text.len()].copy_from_slice(text.as_bytes());
    value
}

impl MemoryCard {
    pub(crate) fn new(forgets: bool) -> Self {
        let secret = |text| Secret {
            value: padded(text),
            tries: TRIES,
        };
        Self(Arc::new(Mutex::new(State {
            pin: secret(crate::support::PIN),
            puk: secret(crate::support::PUK),
            verified: false,
            forgets,
            verify_count: 0,
            change_count: 0,
            fail_at: 0,
            out: false,
            chained: Vec::new(),
            pending: Vec::new(),
        })))
    }

    pub(crate) fn transport(&self) -> Box<dyn Transport> {
        Box::new(Way(Arc::clone(&self.0)))
    }

    /// PINs presented, changes tried, tries of PIN and PUK.
    pub(crate) fn counted(&self) -> (u64, u64, u8, u8) {
        let state = self.0.lock().unwrap();
        (
            state.verify_count,
            state.change_count,
            state.pin.tries,
            state.puk.tries,
        )
    }

    pub(crate) fn set_pin(&self, old: &str, new: &str) {
        let mut state = self.0.lock().unwrap();
        assert_eq!(state.pin.value, padded(old));
        state.pin = Secret {
            value: padded(new),
            tries: TRIES,
        };
    }

    pub(crate) fn waste_a_try(&self) {
        let mut state = self.0.lock().unwrap();
        state.pin.tries -= 1;
        state.verified = false;
    }

    pub(crate) fn leave_verified(&self) {
        let mut state = self.0.lock().unwrap();
        state.pin.tries = TRIES;
        state.verified = true;
    }

    pub(crate) fn power_cycle(&self) {
        self.0.lock().unwrap().verified = false;
    }

    pub(crate) fn fail_at(&self, apdu: usize) {
        let mut state = self.0.lock().unwrap();
        state.fail_at = apdu;
        state.out = false;
    }
}

struct Way(Arc<Mutex<State>>);

impl Transport for Way {
    fn exclusive(&mut self, work: Work<'_>) -> Result<(), DeviceError> {
        let mut state = self.0.lock().unwrap();
        work(&mut *state)
    }
}

impl Channel for State {
    fn transmit(&mut self, apdu: &[u8]) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        if self.out {
            return Err(DeviceError::Removed);
        }
        let answer = self.answer(apdu);
        if self.fail_at == 1 {
            (self.out, self.verified) = (true, false);
            return Err(DeviceError::Removed);
        }
        self.fail_at = self.fail_at.saturating_sub(1);
        Ok(Zeroizing::new(answer))
    }
}

impl State {
    fn answer(&mut self, apdu: &[u8]) -> Vec<u8> {
        let [class, ins, p1, p2, rest @ ..] = apdu else {
            return vec![0x67, 0];
        };
        let data = rest.get(1..).unwrap_or_default();
        if *ins == 0xc0 {
            return self.next_part();
        }
        self.chained.extend_from_slice(data);
        if *class == 0x10 {
            return vec![0x90, 0];
        }
        let data = std::mem::take(&mut self.chained);
        let (answer, status) = self.command(*ins, *p1, *p2, &data);
        if status != 0x9000 {
            return status.to_be_bytes().to_vec();
        }
        self.pending = answer;
        self.next_part()
    }

    fn next_part(&mut self) -> Vec<u8> {
        let rest = self.pending.split_off(self.pending.len().min(256));
        let mut part = std::mem::replace(&mut self.pending, rest);
        let left = u8::try_from(self.pending.len()).unwrap_or(0);
        part.extend(if self.pending.is_empty() {
            [0x90, 0]
        } else {
            [0x61, left]
        });
        part
    }

    fn command(&mut self, ins: u8, p1: u8, p2: u8, data: &[u8]) -> (Vec<u8>, u16) {
        let good = |answer: Vec<u8>| (answer, 0x9000);
        match (ins, p1, p2) {
            (0xa4, 4, 0) => {
                self.verified &= !self.forgets;
                good(vec![])
            }
            (0xfd, ..) => good(vec![5, 4, 3]),
            (0xf8, ..) => good(SERIAL.to_be_bytes().to_vec()),
            (0xf7, 0, 0x80) => good(metadata(&self.pin)),
            (0xf7, 0, 0x81) => good(metadata(&self.puk)),
            (0xf7, 0, 0x9b) => good(vec![1, 1, 3, 2, 2, 0, 1, 5, 1, 0]),
            (0xf7, 0, 0x84) => {
                let head = [1, 1, 0x11, 2, 2, 2, 3, 3, 1, 1, 4, 0x43, 0x86, 0x41];
                good([&head[..], &key().point].concat())
            }
            (0xf7, ..) => (vec![], 0x6a88),
            (0xcb, 0x3f, 0xff) => match data {
                [0x5c, 3, 0x5f, 0xc1, 0x0f] => good(object(&key().certificate)),
                [0x5c, 3, 0x5f, 0xff, 0x00] => good(vec![0x53, 5, 0x80, 3, 0x81, 1, 2]),
                _ => (vec![], 0x6a82),
            },
            (0x20, 0, 0x80) if data.is_empty() => match (self.verified, self.pin.tries) {
                (true, _) => good(vec![]),
                (false, 0) => (vec![], 0x6983),
                (false, tries) => (vec![], 0x63c0 | u16::from(tries)),
            },
            (0x20, 0, 0x80) => {
                self.verify_count += 1;
                let status = self.pin.check(data);
                self.verified = status == 0x9000;
                (vec![], status)
            }
            (0x24, 0, 0x80 | 0x81) | (0x2c, 0, 0x80) => {
                self.change_count += 1;
                (vec![], self.change(ins, p2, data))
            }
            (0x87, 0x11, 0x84) if !self.verified => (vec![], 0x6982),
            (0x87, 0x11, 0x84) => {
                let digest = &data[data.len() - 32..];
                let signature: Signature = key().signing.sign_prehash(digest).unwrap();
                let signature = signature.to_der();
                let bytes = signature.as_bytes();
                let length = u8::try_from(bytes.len()).unwrap();
                good([&[0x7c, length + 2, 0x82, length], bytes].concat())
            }
            _ => (vec![], 0x6d00),
        }
    }

    fn change(&mut self, ins: u8, p2: u8, data: &[u8]) -> u16 {
        let (old, new) = data.split_at(8);
        let proof = if ins == 0x24 && p2 == 0x80 {
            &mut self.pin
        } else {
            &mut self.puk
        };
        let status = proof.check(old);
        if status == 0x9000 {
            let changed = if p2 == 0x81 {
                &mut self.puk
            } else {
                &mut self.pin
            };
            *changed = Secret {
                value: new.try_into().unwrap(),
                tries: TRIES,
            };
        }
        self.verified &= ins == 0x24 && status == 0x9000;
        status
    }
}

impl Secret {
    fn check(&mut self, shown: &[u8]) -> u16 {
        if self.tries == 0 {
            return 0x6983;
        }
        self.tries = if shown == self.value {
            TRIES
        } else {
            self.tries - 1
        };
        if shown == self.value {
            0x9000
        } else {
            0x63c0 | u16::from(self.tries)
        }
    }
}

fn metadata(secret: &Secret) -> Vec<u8> {
    vec![1, 1, 0xff, 5, 1, 0, 6, 2, TRIES, secret.tries]
}

fn object(certificate: &[u8]) -> Vec<u8> {
    let long = |tag: u8, value: &[u8]| {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], value].concat()
    };
    let content = [long(0x70, certificate), vec![0x71, 1, 0, 0xfe, 0]].concat();
    long(0x53, &content)
}
