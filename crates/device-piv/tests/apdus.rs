//! A card that goes, or answers nonsense, at every single command: said within two seconds, one try at most, and the next use
//! works. `TOUCHKEEP_SOAK` multiplies the rounds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::{
    fs,
    time::{Duration, Instant},
};

use age_core::{format::FileKey, format::Stanza, secrecy::ExposeSecret};
use support::{Card, PIN, PUK, is_campaign, on_a_card, rounds, tally::Tally};
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceError, Provision, Purpose, SignatureScheme, TouchPolicy,
    public::verifies, stanza,
};
use touchkeep_device_piv::{Keeping, PivDevice};
use yubikey::{MgmKey, Serial, YubiKey};

const AUTO: &[&str] = &["--touch", "auto"];
const SOON: Duration = Duration::from_secs(2);
const REMOVALS: [&str; 3] = ["remove-before", "remove-during", "remove-after"];
/// More commands than anything here sends.
const MANY: usize = 400;

/// What a person does with a card that is enrolled.
#[derive(Debug, Clone, Copy)]
enum Act {
    Unlock,
    OpenSealed,
    Sign,
    Look,
}

const ACTS: [Act; 4] = [Act::Unlock, Act::OpenSealed, Act::Sign, Act::Look];

struct Bench<'a> {
    card: &'a Card,
    device: PivDevice,
    pin: Pin,
    stanzas: [Vec<Stanza>; 2],
}

impl<'a> Bench<'a> {
    fn new(card: &'a Card) -> Self {
        let (device, pin) = card.enrolled();
        let stanzas = [Purpose::Unlock, Purpose::Seal].map(|purpose| {
            let key = device.info().key(purpose).unwrap();
            let recipient = stanza::recipient(key).unwrap();
            let secret = FileKey::new(Box::new([7; 16]));
            recipient.wrap_file_key(&secret).unwrap().0
        });
        Self {
            card,
            device,
            pin,
            stanzas,
        }
    }

    /// Does it; whatever comes out as a success is a true one.
    fn does(&mut self, act: Act) -> Result<(), DeviceError> {
        let key = |device: &PivDevice, purpose| device.info().key(purpose).unwrap().clone();
        let auth = Auth::Pin(&self.pin);
        match act {
            Act::Unlock | Act::OpenSealed => {
                let (purpose, at) = match act {
                    Act::Unlock => (Purpose::Unlock, 0),
                    _ => (Purpose::Seal, 1),
                };
                let key = key(&self.device, purpose).key;
                let opened = self.device.unwrap_file_key(&key, &self.stanzas[at], auth)?;
                assert_eq!(opened.expose_secret(), &[7; 16]);
            }
            Act::Sign => {
                let key = key(&self.device, Purpose::SignVault);
                let scheme = SignatureScheme::EcdsaP256Sha256;
                let signed = self.device.sign(&key.key, scheme, b"a statement", auth)?;
                assert!(verifies(scheme, &key.spki, b"a statement", &signed));
            }
            Act::Look => {
                self.device.refresh()?;
                self.device.pin_state()?;
            }
        }
        Ok(())
    }

    /// The nth command goes wrong by `fault`. Whether anything did; else there is no nth one.
    fn goes_wrong(&mut self, act: Act, n: usize, fault: &str) -> bool {
        let (sent, _) = self.card.verified();
        let armed = self
            .card
            .ask(&format!(r#"{{"do":"at","apdu":{n},"then":{fault}}}"#));
        assert_eq!(armed["ok"], true, "{armed}");
        let before = apdus(self.card);
        let started = Instant::now();
        let done = self.does(act);
        let took = started.elapsed();
        assert!(took < SOON, "{act:?} {n} {fault}: {took:?}");
        let happened = apdus(self.card) - before >= n as u64;
        assert!(done.is_ok() || happened, "{act:?} {n} {fault}: {done:?}");
        let (now, tries) = self.card.verified();
        assert!(
            now <= sent + 1,
            "{act:?} {n} {fault}: the PIN was sent twice"
        );
        assert_eq!(tries, 3);
        is_back(self.card, happened && fault.contains("remove"));
        happened
    }

    /// Works again, within two seconds, with the same value.
    fn works_again(&mut self, act: Act, why: &str) {
        let started = Instant::now();
        while let Err(error) = self.does(act) {
            assert!(
                started.elapsed() < SOON,
                "{act:?} after {why}: still {error}"
            );
        }
    }
}

/// The card is in again. One that was pulled out behind its last answer may be on its way yet.
fn is_back(card: &Card, was_pulled: bool) {
    let started = Instant::now();
    while was_pulled && card.ask(r#"{"do":"state"}"#)["inserted"] == true {
        assert!(started.elapsed() < SOON, "the card was not pulled out");
    }
    card.ask(r#"{"do":"at","apdu":0}"#);
    card.ask(r#"{"do":"insert"}"#);
}

fn apdus(card: &Card) -> u64 {
    card.ask(r#"{"do":"state"}"#)["apdus"].as_u64().unwrap()
}

#[test]
fn a_card_that_is_pulled_out_at_any_command_of_a_use_works_when_it_is_back() {
    on_a_card(
        "a_card_that_is_pulled_out_at_any_command_of_a_use_works_when_it_is_back",
        AUTO,
        |card| {
            let mut bench = Bench::new(card);
            let mut tally = Tally::new("H-03", "the card pulled at each command of a use");
            // The three removals take turns from command to command; in a campaign each comes at each command.
            let turns = if is_campaign() { REMOVALS.len() } else { 1 };
            for _ in 0..rounds() {
                for (at, act) in [Act::Unlock, Act::OpenSealed, Act::Sign].iter().enumerate() {
                    for turn in 0..turns {
                        let last = (1..MANY).find(|n| {
                            let removal = REMOVALS[(n + at + turn) % REMOVALS.len()];
                            let fault = format!(r#""{removal}""#);
                            let happened = bench.goes_wrong(*act, *n, &fault);
                            bench.works_again(*act, &fault);
                            if happened {
                                tally.tried(|| format!("{act:?} {n} {fault}"), Ok(()));
                            }
                            !happened
                        });
                        assert!((7..20).contains(&last.unwrap()), "{act:?} {last:?}");
                    }
                }
            }
        },
    );
}

#[test]
fn nonsense_at_any_command_of_a_use_is_refused_and_the_next_use_works() {
    // Nothing at all, half a status, success without data, elements that are longer than they are, and answers of another
    // question: a serial number, a version, a point that is none.
    const NONSENSE: [&str; 9] = [
        "00",
        "9000",
        "7c829000",
        "7c8200009000",
        "7c0382017f9000",
        "538203ff709000",
        "ee6b28019000",
        "0504039000",
        "7c2282200000000000000000000000000000000000000000000000000000000000000000009000",
    ];
    on_a_card(
        "nonsense_at_any_command_of_a_use_is_refused_and_the_next_use_works",
        AUTO,
        |card| {
            let mut bench = Bench::new(card);
            let mut tally = Tally::new("H-12", "nonsense, and wrong statuses, at each command");
            let before = bench.device.info().clone();
            let statuses = [
                "6300", "6982", "6983", "6a80", "6a82", "6d00", "6f00", "61ff", "6700",
            ];
            let faults = NONSENSE
                .iter()
                .map(|hex| format!(r#""garbage","hex":"{hex}""#))
                .chain(statuses.map(|sw| format!(r#""status","sw":"{sw}""#)));
            for fault in faults {
                for act in ACTS {
                    let acts = match act {
                        Act::Look => 1..30,
                        _ => 1..MANY,
                    };
                    for n in acts {
                        let happened = bench.goes_wrong(act, n, &fault);
                        bench.device.refresh().unwrap();
                        assert_eq!(bench.device.info(), &before, "{act:?} {n} {fault}");
                        bench.works_again(act, &fault);
                        if !happened {
                            break;
                        }
                        tally.tried(|| format!("{act:?} {n} {fault}"), Ok(()));
                    }
                }
            }
        },
    );
}

#[test]
fn a_reader_that_loses_the_card_over_an_empty_answer_finds_it_again() {
    on_a_card(
        "a_reader_that_loses_the_card_over_an_empty_answer_finds_it_again",
        AUTO,
        |card| {
            let mut bench = Bench::new(card);
            for n in 1..=9 {
                bench.goes_wrong(Act::Sign, n, r#""empty""#);
                bench.works_again(Act::Sign, "an empty answer");
            }
        },
    );
}

#[test]
fn an_enrolment_that_is_broken_off_at_any_command_is_finished_by_the_next() {
    on_a_card(
        "an_enrolment_that_is_broken_off_at_any_command_is_finished_by_the_next",
        AUTO,
        |card| {
            let (pin, puk) = (Pin::new(PIN.into()), Pin::new(PUK.into()));
            let mut device = card.open();
            let mut tally = Tally::new("H-03", "the card pulled at each command of an enrolment");
            // Each command in a campaign, every third in an ordinary run.
            let step = if is_campaign() { 1 } else { 3 };
            // Each attempt goes a little further, as the one before has left its mark; the removals take turns.
            let mut broken = 0;
            let mut attempt =
                |what: &str,
                 n: usize,
                 run: &mut dyn FnMut(&mut PivDevice) -> Result<(), DeviceError>| {
                    let (sent, _) = card.verified();
                    let removal = REMOVALS[n / step % REMOVALS.len()];
                    card.ask(&format!(r#"{{"do":"at","apdu":{n},"then":"{removal}"}}"#));
                    let before = apdus(card);
                    let started = Instant::now();
                    let done = run(&mut device);
                    assert!(started.elapsed() < SOON + SOON, "{what} {n} {removal}");
                    let (now, tries) = card.verified();
                    assert!(now <= sent + 1, "{what} {n}: the PIN was sent twice");
                    assert_eq!(tries, 3, "{what} {n} {removal}");
                    let happened = apdus(card) - before >= n as u64;
                    is_back(card, happened);
                    broken += usize::from(done.is_err());
                    if happened {
                        tally.tried(|| format!("{what} {n} {removal}"), Ok(()));
                    }
                    done.is_ok()
                };
            let change = (1..MANY).step_by(step).find(|n| {
                attempt("change", *n, &mut |device| {
                    device.change_factory_secrets(&pin, &puk)
                })
            });
            let provision = (1..MANY).step_by(step).find(|n| {
                attempt("provision", *n, &mut |device| {
                    device.provision(Auth::Pin(&pin)).map(drop)
                })
            });
            assert!(change.is_some() && provision.is_some());
            assert!(broken > 60 / step, "{broken} were broken off");

            let mut device = card.open();
            let state = device.pin_state().unwrap();
            assert!(!state.has_factory_secret());
            assert_eq!(state.management_key, Keeping::Protected);
            // Another implementation finds the management key where it is to be, and the card takes it.
            let mut yubikey = YubiKey::open_by_serial(Serial(card.serial())).unwrap();
            yubikey.verify_pin(PIN.as_bytes()).unwrap();
            let kept = MgmKey::get_protected(&mut yubikey).unwrap();
            yubikey.authenticate(&kept).unwrap();
            drop(yubikey);
            // Three keys in their three slots: nothing was made twice.
            let seen = device
                .inspect(touchkeep_device::attestation::Trust::Yubico)
                .unwrap();
            let slots: Vec<u8> = seen.slots.iter().map(|slot| slot.slot).collect();
            assert_eq!(slots, [0x82, 0x83, 0x84]);
            for purpose in [Purpose::Unlock, Purpose::Seal, Purpose::SignVault] {
                assert!(device.info().key(purpose).is_some());
            }
        },
    );
}

#[test]
fn a_request_key_that_is_broken_off_at_any_command_is_finished_by_the_next() {
    on_a_card(
        "a_request_key_that_is_broken_off_at_any_command_is_finished_by_the_next",
        AUTO,
        |card| {
            let (mut device, pin) = card.enrolled();
            let what = "the card pulled at each command of the making of a request key";
            let mut tally = Tally::new("H-03", what);
            // Each command and each removal in a campaign; else they take turns.
            let (rounds, step) = if is_campaign() { (3, 1) } else { (1, 2) };
            for round in 0..rounds {
                let made = (1..MANY).step_by(step).find_map(|n| {
                    let removal = REMOVALS[(n / step + round) % REMOVALS.len()];
                    card.ask(&format!(r#"{{"do":"at","apdu":{n},"then":"{removal}"}}"#));
                    let before = apdus(card);
                    let (algorithm, touch) = (Algorithm::P256, TouchPolicy::Always);
                    let made = device.generate_request_key(algorithm, touch, Auth::Pin(&pin));
                    let happened = apdus(card) - before >= n as u64;
                    is_back(card, happened);
                    if happened {
                        tally.tried(|| format!("{n} {removal}"), Ok(()));
                    }
                    made.ok()
                });
                let made = made.unwrap();
                let scheme = SignatureScheme::EcdsaP256Sha256;
                device.refresh().unwrap();
                device
                    .sign(&made.key, scheme, b"a request", Auth::Pin(&pin))
                    .unwrap();
            }
            // One key for each round, and one where the card had written the certificate and was not heard to say so.
            let keys = device.info().keys.iter();
            let requests = keys.filter(|key| key.purpose == Purpose::Request).count();
            assert!((rounds..=3 * rounds).contains(&requests), "{requests}");
            assert_eq!(card.verified().1, 3);
        },
    );
}

#[test]
fn a_touch_that_comes_late_counts_and_one_that_never_comes_is_said_so_without_a_thread_left_behind()
{
    on_a_card(
        "a_touch_that_comes_late_counts_and_one_that_never_comes_is_said_so_without_a_thread_left_behind",
        &["--touch-timeout-ms", "700", "--touch-cached-ms", "0"],
        |card| {
            let (pin, puk) = (Pin::new(PIN.into()), Pin::new(PUK.into()));
            let mut device = card.open();
            device.change_factory_secrets(&pin, &puk).unwrap();
            let fingers = [card.finger(), card.finger(), card.finger()];
            device.provision(Auth::Pin(&pin)).unwrap();
            for finger in fingers {
                assert!(finger.join().unwrap());
            }
            let key = device.info().key(Purpose::SignVault).unwrap().key.clone();
            let mut sign = || {
                let scheme = SignatureScheme::EcdsaP256Sha256;
                let started = Instant::now();
                (
                    device.sign(&key, scheme, b"a statement", Auth::Pin(&pin)),
                    started.elapsed(),
                )
            };
            let (threads, (sent, _)) = (threads(), card.verified());
            let mut tally = Tally::new("H-06", "touches that come late, and that never come");
            for _ in 0..3 * rounds() {
                let (missed, took) = sign();
                assert!(matches!(missed, Err(DeviceError::NoTouch)), "{missed:?}");
                assert!(
                    took >= Duration::from_millis(700) && took < SOON,
                    "{took:?}"
                );
                // The card itself is slow to begin; the finger waits for it.
                card.ask(r#"{"do":"at","apdu":7,"then":"delay","ms":300}"#);
                let finger = card.finger();
                sign().0.unwrap();
                assert!(finger.join().unwrap());
                tally.tried(|| "never".into(), Ok(()));
                tally.tried(|| "late".into(), Ok(()));
            }
            assert_eq!(self::threads(), threads);
            assert_eq!(
                card.verified(),
                (sent + 6 * rounds() as u64, 3),
                "once for each entry"
            );
        },
    );
}

// One that was joined is listed for a moment longer, and one that is left behind in every look.
fn threads() -> usize {
    let looks = (0..10).map(|_| {
        std::thread::sleep(Duration::from_millis(10));
        fs::read_dir("/proc/self/task").unwrap().count()
    });
    looks.min().unwrap()
}
