//! Ten thousand random orders of what people, other programs and cards do, on a card in memory, and some on the practice card
//! through pcscd: a secret is sent exactly once for each entry, and a last try never unasked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod memory;
mod support;

use memory::MemoryCard;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use support::{Card, Reader, in_a_folder, rounds, tally::Tally};
use touchkeep_core::Pin;
use touchkeep_device::{
    Auth, Device, DeviceError, Purpose, SecretDemand, SignatureScheme, public::verifies,
};
use touchkeep_device_piv::{Options, PivDevice};

/// PINs that are in play, and PUKs. The first of each is the card's at the beginning.
const PINS: [&str; 4] = [support::PIN, "271828", "161803", "123123"];
const PUKS: [&str; 3] = [support::PUK, "87654321", "11223344"];

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A person types a PIN and wants a signature.
    Sign(usize),
    /// A person asks what a signature would need.
    Demand,
    /// A person changes the PIN: old, new.
    ChangePin(usize, usize),
    /// A person changes the PUK: old, new.
    ChangePuk(usize, usize),
    /// A person sets a new PIN with the PUK.
    Unblock(usize, usize),
    /// A person asks how the secrets stand.
    Look,
    /// A person says that the last try may be spent, or takes it back.
    AllowLastTry(bool),
    /// Another program changes the PIN, knowing it.
    PinChangedElsewhere(usize),
    /// Another program wastes a try of the PIN.
    TryWastedElsewhere,
    /// Another program leaves the PIN verified.
    VerifiedElsewhere,
    /// The card is pulled out, and put back before the next event.
    PulledAndBack,
    /// The card is pulled out at this command of the next thing that a person does, and put back afterwards.
    PulledAt(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let (pin, puk) = (0..PINS.len(), 0..PUKS.len());
    // Mostly the right one, so that orders go on.
    let likely = prop_oneof![3 => Just(0), 2 => pin.clone()];
    prop_oneof![
        6 => likely.clone().prop_map(Event::Sign),
        1 => Just(Event::Demand),
        2 => (likely, pin.clone()).prop_map(|(old, new)| Event::ChangePin(old, new)),
        1 => (puk.clone(), puk.clone()).prop_map(|(old, new)| Event::ChangePuk(old, new)),
        2 => (puk, pin.clone()).prop_map(|(puk, new)| Event::Unblock(puk, new)),
        1 => Just(Event::Look),
        1 => any::<bool>().prop_map(Event::AllowLastTry),
        1 => pin.prop_map(Event::PinChangedElsewhere),
        2 => Just(Event::TryWastedElsewhere),
        1 => Just(Event::VerifiedElsewhere),
        1 => Just(Event::PulledAndBack),
        2 => (1usize..10).prop_map(Event::PulledAt),
    ]
}

/// A card, as somebody who stands beside it sees it.
trait World {
    /// How often a PIN was presented, how often a PIN or PUK was changed or tried to be, and the tries of both.
    fn counts(&self) -> Counts;
    fn open(&self, options: Options) -> PivDevice;
    /// Another program: `pin` is the right one.
    fn changes_pin(&self, pin: &str, new: &str);
    fn wastes_a_try(&self);
    fn verifies(&self, pin: &str);
    fn pull_and_back(&self);
    fn pull_at(&self, apdu: usize);
    /// What was armed is not any more, and the card is in.
    fn settle(&self);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    verified: u64,
    changes: u64,
    pin: u8,
    puk: u8,
}

/// What we believe of the card, by the standard alone.
struct Shadow {
    pin: usize,
    puk: usize,
    allow: bool,
}

fn run(world: &dyn World, events: &[Event]) -> Shadow {
    let mut device = world.open(Options::default());
    let (mut shadow, mut pulled) = (
        Shadow {
            pin: 0,
            puk: 0,
            allow: false,
        },
        None,
    );
    for event in events {
        let before = world.counts();
        match *event {
            Event::AllowLastTry(allow) => {
                shadow.allow = allow;
                let options = Options {
                    danger_allow_last_try: allow,
                };
                device = world.open(options);
            }
            Event::PinChangedElsewhere(new) if before.pin > 0 => {
                world.changes_pin(PINS[shadow.pin], PINS[new]);
                shadow.pin = new;
            }
            Event::VerifiedElsewhere if before.pin > 0 => world.verifies(PINS[shadow.pin]),
            Event::TryWastedElsewhere if before.pin > 0 => world.wastes_a_try(),
            Event::PinChangedElsewhere(_)
            | Event::VerifiedElsewhere
            | Event::TryWastedElsewhere => {}
            Event::PulledAndBack => world.pull_and_back(),
            Event::PulledAt(apdu) => pulled = Some(apdu),
            person => {
                if let Some(apdu) = pulled {
                    world.pull_at(apdu);
                }
                let outcome = shadow.does(&mut device, person);
                world.settle();
                shadow.judge(
                    person,
                    &outcome,
                    pulled.take().is_some(),
                    before,
                    world.counts(),
                );
            }
        }
    }
    shadow
}

#[derive(Debug)]
enum Outcome {
    Done,
    Failed(DeviceError),
}

impl Shadow {
    fn does(&self, device: &mut PivDevice, person: Event) -> Outcome {
        let pin = |at: usize| Pin::new(PINS[at].into());
        let puk = |at: usize| Pin::new(PUKS[at].into());
        let key = device.info().key(Purpose::SignVault).unwrap().clone();
        let done = match person {
            Event::Sign(at) => {
                let scheme = SignatureScheme::EcdsaP256Sha256;
                let signed = device.sign(&key.key, scheme, b"a statement", Auth::Pin(&pin(at)));
                signed.map(|signature| {
                    assert!(verifies(scheme, &key.spki, b"a statement", &signature));
                })
            }
            Event::Demand => device.demand(&key.key).map(|demand| {
                assert!(matches!(
                    demand.secret,
                    SecretDemand::Pin {
                        tries_left: Some(_)
                    }
                ));
            }),
            Event::ChangePin(old, new) => device.change_pin(&pin(old), &pin(new)),
            Event::ChangePuk(old, new) => device.change_puk(&puk(old), &puk(new)),
            Event::Unblock(at, new) => device.unblock(&puk(at), &pin(new)),
            _ => device.pin_state().map(drop),
        };
        match done {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Failed(error),
        }
    }

    /// Compares what was sent and what came of it with what has to be; takes note of what is now.
    fn judge(
        &mut self,
        person: Event,
        outcome: &Outcome,
        pulled: bool,
        before: Counts,
        after: Counts,
    ) {
        let context = || format!("{person:?} {outcome:?} pulled {pulled}: {before:?} {after:?}");
        let sent = (
            after.verified - before.verified,
            after.changes - before.changes,
        );
        let (of_pin, right, tries) = match person {
            Event::Sign(at) | Event::ChangePin(at, _) => (true, at == self.pin, before.pin),
            Event::ChangePuk(at, _) | Event::Unblock(at, _) => (false, at == self.puk, before.puk),
            _ => {
                assert_eq!(sent, (0, 0), "{}", context());
                assert!(pulled || matches!(outcome, Outcome::Done), "{}", context());
                return;
            }
        };
        let may_be_sent = tries > 1 || (tries == 1 && self.allow);
        let once = match person {
            Event::Sign(_) => (1, 0),
            _ => (0, 1),
        };
        // Exactly once for this entry; a card that went before it was sent has not seen it.
        match (may_be_sent, pulled) {
            (false, _) => assert_eq!(sent, (0, 0), "{}", context()),
            (true, false) => assert_eq!(sent, once, "{}", context()),
            (true, true) => assert!(sent == once || sent == (0, 0), "{}", context()),
        }
        let was_sent = sent == once;
        let left = |after: u8| match (was_sent, right) {
            (false, _) => assert_eq!(after, tries, "{}", context()),
            (true, true) => assert_eq!(after, 3, "{}", context()),
            (true, false) => assert_eq!(after, tries - 1, "{}", context()),
        };
        left(if of_pin { after.pin } else { after.puk });
        if was_sent && right {
            match person {
                Event::ChangePin(_, new) | Event::Unblock(_, new) => self.pin = new,
                Event::ChangePuk(_, new) => self.puk = new,
                _ => {}
            }
        }
        match (outcome, pulled) {
            (Outcome::Done, _) => assert!(was_sent && right, "{}", context()),
            (Outcome::Failed(_), true) => {}
            (Outcome::Failed(error), false) => {
                let expected = match (error, of_pin) {
                    (DeviceError::PinBlocked, true) | (DeviceError::PukBlocked, false) => {
                        tries == 0 || (tries == 1 && was_sent)
                    }
                    (DeviceError::LastTry, true) | (DeviceError::LastPukTry, false) => {
                        tries == 1 && !self.allow
                    }
                    (DeviceError::WrongPin { tries_left }, true)
                    | (DeviceError::WrongPuk { tries_left }, false) => {
                        was_sent && !right && *tries_left == tries - 1
                    }
                    _ => false,
                };
                assert!(expected, "{}", context());
            }
        }
    }
}

/// Orders that are the same in every run of the same round, and others in the next round of a campaign.
fn orders(
    count: usize,
    length: std::ops::Range<usize>,
    round: u8,
) -> impl Iterator<Item = Vec<Event>> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[round; 32]);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let strategy = proptest::collection::vec(event(), length);
    (0..count).map(move |_| strategy.new_tree(&mut runner).unwrap().current())
}

#[test]
fn ten_thousand_orders_on_a_card_in_memory_send_each_secret_once_and_no_last_try_unasked() {
    let what = "random orders of people, programs and a card in memory; each secret counted";
    let mut tally = Tally::new("H-01 H-13", what);
    for round in 0..rounds() {
        for events in orders(10_000, 4..16, u8::try_from(round % 256).unwrap()) {
            // A real card forgets its PIN when PIV is selected again, or keeps it: both are worlds to live in.
            for forgets in [true, false] {
                run(&MemoryCard::new(forgets), &events);
                tally.tried(|| format!("{events:?}"), Ok(()));
            }
        }
    }
}

impl World for MemoryCard {
    fn counts(&self) -> Counts {
        let (verified, changes, pin, puk) = self.counted();
        Counts {
            verified,
            changes,
            pin,
            puk,
        }
    }

    fn open(&self, options: Options) -> PivDevice {
        PivDevice::over(self.transport(), memory::SERIAL, options).unwrap()
    }

    fn changes_pin(&self, pin: &str, new: &str) {
        self.set_pin(pin, new);
    }

    fn wastes_a_try(&self) {
        self.waste_a_try();
    }

    fn verifies(&self, _: &str) {
        self.leave_verified();
    }

    fn pull_and_back(&self) {
        self.power_cycle();
    }

    fn pull_at(&self, apdu: usize) {
        self.fail_at(apdu);
    }

    fn settle(&self) {
        self.fail_at(0);
    }
}

/// The practice card behind pcscd, and another program at it.
struct Practice<'a> {
    card: &'a Card,
    /// Spent by the other program.
    elsewhere: std::cell::Cell<(u64, u64)>,
}

impl Practice<'_> {
    fn asked(&self) -> Counts {
        let state = self.card.ask(r#"{"do":"state"}"#);
        let number = |name: &str| state[name].as_u64().unwrap();
        let operations = state["operations"].as_array().unwrap().iter();
        let changes = operations
            .filter(|op| op["ins"] == "24" || op["ins"] == "2c")
            .count();
        Counts {
            verified: number("verify_count"),
            changes: changes as u64,
            pin: u8::try_from(number("pin_tries")).unwrap(),
            puk: u8::try_from(number("puk_tries")).unwrap(),
        }
    }

    fn other<T>(&self, work: impl FnOnce(&mut yubikey::YubiKey) -> T) -> T {
        let before = self.asked();
        let mut yubikey = yubikey::YubiKey::open().unwrap();
        let result = work(&mut yubikey);
        yubikey
            .disconnect(pcsc::Disposition::LeaveCard)
            .map_err(|(_, error)| error)
            .unwrap();
        let after = self.asked();
        let (verified, changes) = self.elsewhere.get();
        self.elsewhere.set((
            verified + after.verified - before.verified,
            changes + after.changes - before.changes,
        ));
        result
    }
}

impl World for Practice<'_> {
    fn counts(&self) -> Counts {
        let (verified, changes) = self.elsewhere.get();
        let asked = self.asked();
        Counts {
            verified: asked.verified - verified,
            changes: asked.changes - changes,
            ..asked
        }
    }

    fn open(&self, options: Options) -> PivDevice {
        PivDevice::open(self.card.serial(), options).unwrap()
    }

    fn changes_pin(&self, pin: &str, new: &str) {
        self.other(|yubikey| yubikey.change_pin(pin.as_bytes(), new.as_bytes()).unwrap());
    }

    fn wastes_a_try(&self) {
        self.other(|yubikey| yubikey.verify_pin(b"000000").unwrap_err());
    }

    fn verifies(&self, pin: &str) {
        self.other(|yubikey| yubikey.verify_pin(pin.as_bytes()).unwrap());
    }

    fn pull_and_back(&self) {
        self.card.ask(r#"{"do":"remove"}"#);
        self.card.ask(r#"{"do":"insert"}"#);
    }

    fn pull_at(&self, apdu: usize) {
        let order = format!(r#"{{"do":"at","apdu":{apdu},"then":"remove-during"}}"#);
        self.card.ask(&order);
    }

    fn settle(&self) {
        self.card.ask(r#"{"do":"at","apdu":0}"#);
        self.card.ask(r#"{"do":"insert"}"#);
    }
}

#[test]
fn some_orders_on_the_practice_card_do_as_well() {
    in_a_folder("some_orders_on_the_practice_card_do_as_well", |dir| {
        let mut tally = Tally::new("H-01 H-13", "such orders on the practice card behind pcscd");
        for round in 0..rounds() {
            let _reader = Reader::start(dir, &["--touch", "auto"]);
            let card = Card { dir: dir.into() };
            card.enrolled();
            for events in orders(200, 2..5, u8::try_from(round % 256).unwrap()) {
                let world = Practice {
                    card: &card,
                    elsewhere: std::cell::Cell::new((0, 0)),
                };
                let shadow = run(&world, &events);
                begin_again(&card, &shadow);
                tally.tried(|| format!("{events:?}"), Ok(()));
            }
        }
    });
}

/// PIN and PUK are again those of the beginning: by the PUK, or where that is blocked by a reset.
fn begin_again(card: &Card, shadow: &Shadow) {
    let state = card.ask(r#"{"do":"state"}"#);
    let mut yubikey = yubikey::YubiKey::open().unwrap();
    let (pin, puk) = (PINS[0].as_bytes(), PUKS[0].as_bytes());
    if state["puk_tries"].as_u64().unwrap() > 0 {
        let now = PUKS[shadow.puk].as_bytes();
        yubikey.unblock_pin(now, pin).unwrap();
        yubikey.change_puk(now, puk).unwrap();
    } else {
        for _ in 0..state["pin_tries"].as_u64().unwrap() {
            yubikey.verify_pin(b"000000").unwrap_err();
        }
        yubikey.reset_device().unwrap();
        drop(yubikey);
        card.enrolled();
    }
}
