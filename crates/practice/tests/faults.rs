//! What goes wrong on demand: cards pulled out at a chosen command, late and senseless answers, a pcscd that dies, two cards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests may fail loudly; the rig is shared by several of them"
)]

mod rig;

use pcsc::{Card, Context, Error, Protocols, Scope, ShareMode};
use rig::{Rig, ask};
use serde_json::{Value, json};
use std::{
    ffi::CString,
    thread,
    time::{Duration, Instant},
};
use yubikey::{
    MgmKey, PinPolicy, Serial, TouchPolicy, YubiKey,
    piv::{self, AlgorithmId, RetiredSlotId, SlotId},
};

const R1: SlotId = SlotId::Retired(RetiredSlotId::R1);
const SELECT: &[u8] = &[0, 0xA4, 4, 0, 5, 0xA0, 0, 0, 3, 8];
const VERSION: &[u8] = &[0, 0xFD, 0, 0, 0];
const WRONG_PIN: &[u8] = b"\x00\x20\x00\x80\x08000000\xFF\xFF";

fn yes() -> Value {
    json!({ "ok": true })
}

fn readers() -> (Context, Vec<CString>) {
    let context = Context::establish(Scope::User).unwrap();
    let readers = context.list_readers_owned().unwrap();
    (context, readers)
}

fn connect() -> (Context, Card) {
    let (context, readers) = readers();
    let card = context
        .connect(&readers[0], ShareMode::Shared, Protocols::T1)
        .unwrap();
    (context, card)
}

fn transmit(card: &Card, apdu: &[u8]) -> Result<Vec<u8>, Error> {
    let mut answer = [0; 1024];
    card.transmit(apdu, &mut answer).map(<[u8]>::to_vec)
}

fn is_gone(result: &Result<Vec<u8>, Error>) -> bool {
    matches!(
        result,
        Err(Error::RemovedCard | Error::NotTransacted | Error::NoSmartcard | Error::ResetCard)
    )
}

#[test]
fn a_card_pulled_out_before_a_command_has_not_executed_it() {
    let rig = Rig::start(&[]);
    let (_context, card) = connect();
    transmit(&card, SELECT).unwrap();
    assert_eq!(
        rig.ask(&json!({ "do": "at", "apdu": 2, "then": "remove-before" })),
        yes()
    );
    assert_eq!(transmit(&card, VERSION).unwrap(), [5, 4, 3, 0x90, 0]);
    let lost = transmit(&card, WRONG_PIN);
    assert!(is_gone(&lost), "{lost:?}");
    let state = rig.state();
    assert_eq!(
        (&state["pin_tries"], &state["inserted"], &state["apdus"]),
        (&json!(3), &json!(false), &json!(3))
    );
    assert_eq!(rig.ask(&json!({ "do": "insert" })), yes());
    let (_context, card) = connect();
    assert_eq!(transmit(&card, SELECT).unwrap()[..2], [0x61, 0x11]);
}

#[test]
fn a_card_pulled_out_during_a_command_has_executed_it() {
    let rig = Rig::start(&[]);
    let (_context, card) = connect();
    transmit(&card, SELECT).unwrap();
    rig.ask(&json!({ "do": "at", "apdu": 1, "then": "remove-during" }));
    let lost = transmit(&card, WRONG_PIN);
    assert!(is_gone(&lost), "{lost:?}");
    assert_eq!(rig.state()["pin_tries"], 2, "the try is spent all the same");
    assert_eq!(rig.ask(&json!({ "do": "insert" })), yes());
}

#[test]
fn a_card_pulled_out_after_a_command_has_answered_it() {
    let rig = Rig::start(&[]);
    for round in 0..5 {
        let (_context, card) = connect();
        transmit(&card, SELECT).unwrap();
        rig.ask(&json!({ "do": "at", "apdu": 1, "then": "remove-after" }));
        assert_eq!(
            transmit(&card, VERSION).unwrap(),
            [5, 4, 3, 0x90, 0],
            "{round}"
        );
        let lost = transmit(&card, VERSION);
        assert!(is_gone(&lost), "{round} {lost:?}");
        assert_eq!(rig.state()["inserted"], false);
        assert_eq!(rig.ask(&json!({ "do": "insert" })), yes());
    }
}

#[test]
fn garbage_nothing_and_any_status_are_answered_without_executing() {
    let rig = Rig::start(&[]);
    let (_context, card) = connect();
    transmit(&card, SELECT).unwrap();
    for (order, answer) in [
        (
            json!({ "do": "at", "apdu": 1, "then": "garbage", "hex": "7c8401" }),
            &[0x7C, 0x84, 1][..],
        ),
        (
            json!({ "do": "at", "apdu": 1, "then": "status", "sw": "6f00" }),
            &[0x6F, 0],
        ),
    ] {
        assert_eq!(rig.ask(&order), yes());
        assert_eq!(transmit(&card, WRONG_PIN).unwrap(), answer);
    }
    rig.ask(&json!({ "do": "at", "apdu": 1, "then": "empty" }));
    assert!(transmit(&card, WRONG_PIN).unwrap().is_empty());
    assert_eq!(rig.state()["pin_tries"], 3);
    // The driver has let go of the card, and finds it again: it was not reset.
    let end = Instant::now() + Duration::from_secs(20);
    let again = loop {
        match transmit(&card, VERSION) {
            Err(Error::NotTransacted) if Instant::now() < end => thread::yield_now(),
            answer => break answer,
        }
    };
    assert_eq!(again.unwrap(), [5, 4, 3, 0x90, 0]);
}

#[test]
fn a_late_answer_is_late_and_right() {
    let rig = Rig::start(&[]);
    let (_context, card) = connect();
    transmit(&card, SELECT).unwrap();
    rig.ask(&json!({ "do": "at", "apdu": 1, "then": "delay", "ms": 400 }));
    let start = Instant::now();
    assert_eq!(transmit(&card, VERSION).unwrap(), [5, 4, 3, 0x90, 0]);
    assert!(start.elapsed() >= Duration::from_millis(400));
    rig.ask(&json!({ "do": "at", "apdu": 1, "then": "delay", "ms": 60_000 }));
    rig.ask(&json!({ "do": "at", "apdu": 0 }));
    transmit(&card, VERSION).unwrap();
}

#[test]
fn pulling_the_card_out_ends_a_delay() {
    let rig = Rig::start(&[]);
    let (_context, card) = connect();
    transmit(&card, SELECT).unwrap();
    rig.ask(&json!({ "do": "at", "apdu": 1, "then": "delay", "ms": 600_000 }));
    let apdus = rig.state()["apdus"].as_u64().unwrap();
    let waiting = thread::spawn(move || transmit(&card, WRONG_PIN));
    while rig.state()["apdus"] == apdus {
        thread::yield_now();
    }
    assert_eq!(rig.ask(&json!({ "do": "remove" })), yes());
    let lost = waiting.join().unwrap();
    assert!(is_gone(&lost), "{lost:?}");
    assert_eq!(rig.state()["pin_tries"], 3, "never executed");
}

#[test]
fn a_card_pulled_out_twice_at_once_is_put_back_once() {
    let rig = Rig::start(&["--touch-timeout-ms", "60000"]);
    let mut key = touch_key(4_000_000_001);
    rig.ask(&json!({ "do": "at", "apdu": 1, "then": "remove-during" }));
    let signer = thread::spawn(move || sign(&mut key));
    while rig.state()["waiting"] == false {
        thread::yield_now();
    }
    assert_eq!(rig.ask(&json!({ "do": "remove" })), yes());
    signer.join().unwrap().unwrap_err();
    assert_eq!(rig.ask(&json!({ "do": "insert" })), yes());
    YubiKey::open().unwrap();
}

/// Makes a key that wants a touch, in the card with this serial number.
fn touch_key(serial: u32) -> YubiKey {
    let mut key = YubiKey::open_by_serial(Serial(serial)).unwrap();
    let management = MgmKey::get_default(&key).unwrap();
    key.authenticate(&management).unwrap();
    piv::generate(
        &mut key,
        R1,
        AlgorithmId::EccP256,
        PinPolicy::Never,
        TouchPolicy::Always,
    )
    .unwrap();
    key
}

fn sign(key: &mut YubiKey) -> Result<(), yubikey::Error> {
    piv::sign_data(key, &[7; 32], AlgorithmId::EccP256, R1).map(drop)
}

#[test]
fn a_finger_waits_through_a_delay() {
    let rig = Rig::start(&["--touch-timeout-ms", "60000"]);
    let mut key = touch_key(4_000_000_001);
    assert_eq!(
        rig.ask(&json!({ "do": "at", "apdu": 1, "then": "delay", "ms": 500 })),
        yes()
    );
    let control = rig.control();
    let finger = thread::spawn(move || ask(&control, &json!({ "do": "touch", "wait_ms": 30_000 })));
    let start = Instant::now();
    sign(&mut key).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(500));
    assert_eq!(finger.join().unwrap(), yes());
    assert_eq!(rig.state()["touches"], 1);
}

#[test]
fn a_touch_that_was_given_does_not_help_a_card_pulled_out_during_the_command() {
    let rig = Rig::start(&["--touch", "auto"]);
    let mut key = touch_key(4_000_000_001);
    rig.ask(&json!({ "do": "at", "apdu": 1, "then": "remove-during" }));
    assert!(matches!(
        sign(&mut key),
        Err(yubikey::Error::PcscError { .. })
    ));
    assert_eq!(rig.state()["touches"], 1);
}

#[test]
fn pcscd_dies_and_comes_back_on_the_same_socket_with_the_same_card() {
    let rig = Rig::start(&[]);
    let (_context, card) = connect();
    transmit(&card, SELECT).unwrap();
    transmit(&card, WRONG_PIN).unwrap();
    let before = rig.pcscd();
    assert_eq!(rig.ask(&json!({ "do": "pcscd", "then": "kill" })), yes());
    let lost = transmit(&card, VERSION);
    assert!(
        matches!(
            lost,
            Err(Error::NoService | Error::CommError | Error::InvalidHandle | Error::InternalError)
        ),
        "{lost:?}"
    );
    assert!(matches!(
        Context::establish(Scope::User),
        Err(Error::NoService)
    ));
    assert_eq!(
        rig.ask(&json!({ "do": "pcscd", "then": "kill" }))["ok"],
        false
    );
    assert_eq!(rig.ask(&json!({ "do": "pcscd", "then": "start" })), yes());
    assert_eq!(
        rig.ask(&json!({ "do": "pcscd", "then": "start" }))["ok"],
        false
    );
    assert_ne!(rig.pcscd(), before);
    let (_context, card) = connect();
    transmit(&card, SELECT).unwrap();
    assert_eq!(
        transmit(&card, &[0, 0x20, 0, 0x80]).unwrap(),
        [0x63, 0xC2],
        "the card kept its counter"
    );
    for _ in 0..3 {
        assert_eq!(rig.ask(&json!({ "do": "pcscd", "then": "restart" })), yes());
        let (_context, card) = connect();
        transmit(&card, SELECT).unwrap();
    }
}

#[test]
fn cards_come_and_go_while_pcscd_is_dead() {
    let rig = Rig::start(&[]);
    rig.ask(&json!({ "do": "pcscd", "then": "kill" }));
    assert_eq!(rig.ask(&json!({ "do": "remove" })), yes());
    assert_eq!(rig.ask(&json!({ "do": "pcscd", "then": "start" })), yes());
    let (context, readers) = readers();
    let connect = || {
        context
            .connect(&readers[0], ShareMode::Shared, Protocols::T1)
            .map(drop)
    };
    assert!(matches!(connect(), Err(Error::NoSmartcard)));
    assert_eq!(rig.ask(&json!({ "do": "insert" })), yes());
    connect().unwrap();
}

#[test]
fn a_reader_without_pcscd_still_ends_when_told_to() {
    let mut rig = Rig::beside(&[]);
    rig.ask(&json!({ "do": "pcscd", "then": "kill" }));
    assert!(rig.stop().success());
    assert!(!rig.control().exists());
}

#[test]
fn two_cards_are_two_cards() {
    let rig = Rig::start(&[
        "--serial",
        "4000000031",
        "--second",
        "4000000032",
        "--pin",
        "111111",
    ]);
    assert_eq!(
        (&rig.ready["serial"], &rig.ready["second_serial"]),
        (&json!(4_000_000_031_u32), &json!(4_000_000_032_u32))
    );
    let mut one = YubiKey::open_by_serial(Serial(4_000_000_031)).unwrap();
    let mut two = YubiKey::open_by_serial(Serial(4_000_000_032)).unwrap();
    one.verify_pin(b"111111").unwrap();
    two.verify_pin(b"000000").unwrap_err();
    let state = |card: u32| rig.ask(&json!({ "do": "state", "card": card }));
    assert_eq!(
        (&state(1)["pin_tries"], &state(2)["pin_tries"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(state(2)["serial"], 4_000_000_032_u32);
    assert_eq!(state(3)["ok"], false);
    assert_eq!(state(0)["ok"], false);
    drop((one, two));

    assert_eq!(rig.ask(&json!({ "do": "remove", "card": 2 })), yes());
    assert!(YubiKey::open_by_serial(Serial(4_000_000_032)).is_err());
    YubiKey::open_by_serial(Serial(4_000_000_031)).unwrap();
    assert_eq!(rig.ask(&json!({ "do": "insert", "card": 2 })), yes());
    assert_eq!(
        rig.ask(&json!({ "do": "at", "card": 2, "apdu": 1, "then": "remove-before" })),
        yes()
    );
    assert!(YubiKey::open_by_serial(Serial(4_000_000_032)).is_err());
    assert_eq!(state(1)["inserted"], true);
    assert_eq!(rig.ask(&json!({ "do": "insert", "card": 2 })), yes());
    assert_eq!(rig.ask(&json!({ "do": "pcscd", "then": "restart" })), yes());
    YubiKey::open_by_serial(Serial(4_000_000_032)).unwrap();
}

#[test]
fn each_card_has_its_own_finger_and_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("card.json");
    let rig = Rig::start(&[
        "--second",
        "4000000002",
        "--touch-timeout-ms",
        "60000",
        "--state",
        state.to_str().unwrap(),
    ]);
    let mut key = touch_key(4_000_000_002);
    let control = rig.control();
    let finger = thread::spawn(move || {
        ask(
            &control,
            &json!({ "do": "touch", "wait_ms": 30_000, "card": 2 }),
        )
    });
    sign(&mut key).unwrap();
    assert_eq!(finger.join().unwrap(), yes());
    assert_eq!(rig.state()["touches"], 0);
    drop((key, rig));
    let again = Rig::beside(&["--second", "7", "--state", state.to_str().unwrap()]);
    assert_eq!(again.ready["second_serial"], 4_000_000_002_u32);
}
