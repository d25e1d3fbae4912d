//! The rules around a key: PIN policy and touch policy.

use super::*;
use std::time::Instant;

const DIGEST: [u8; 32] = [3; 32];

#[test]
fn pin_policy_once_wants_the_pin_once() {
    let mut host = Host::new();
    host.generate(0x82, 0x11, 2, 1);
    assert_eq!(host.sign(0x82, &DIGEST).1, 0x6982);
    host.pin();
    assert_eq!(host.sign(0x82, &DIGEST).1, OK);
    assert_eq!(host.sign(0x82, &DIGEST).1, OK);
    host.select();
    assert_eq!(host.sign(0x82, &DIGEST).1, 0x6982);
}

#[test]
fn pin_policy_always_is_spent_by_any_other_command() {
    let mut host = Host::new();
    host.generate(0x82, 0x11, 3, 1);
    host.pin();
    assert_eq!(host.sign(0x82, &DIGEST).1, OK);
    assert_eq!(host.sign(0x82, &DIGEST).1, 0x6982);
    host.pin();
    host.ok([0xFD, 0, 0], &[]);
    assert_eq!(host.sign(0x82, &DIGEST).1, 0x6982);
    host.pin();
    assert_eq!(host.sign(0x82, &DIGEST).1, OK);
}

#[test]
fn from_firmware_5_7_only_keys_that_want_a_pin_spend_it() {
    let mut host = Host::with_firmware((5, 7, 4));
    host.generate(0x82, 0x11, 3, 1);
    host.generate(0x83, 0x11, 1, 1);
    host.generate(0x84, 0x11, 2, 1);
    host.pin();
    host.ok([0xFD, 0, 0], &[]);
    assert_eq!(host.status([0x20, 0x00, 0x80], &[]), OK);
    assert_eq!(host.sign(0x83, &DIGEST).1, OK);
    assert_eq!(host.sign(0x85, &DIGEST).1, 0x6A88);
    assert_eq!(host.sign(0x82, &DIGEST).1, OK);
    assert_eq!(host.sign(0x82, &DIGEST).1, 0x6982);
    assert_eq!(host.sign(0x84, &DIGEST).1, OK, "the login itself stays");
    host.pin();
    assert_eq!(host.sign(0x84, &DIGEST).1, OK);
    assert_eq!(host.sign(0x82, &DIGEST).1, 0x6982, "spent by the other key");
    host.pin();
    assert_eq!(host.sign(0x84, &[1; 33]).1, 0x6A80);
    assert_eq!(
        host.sign(0x82, &DIGEST).1,
        0x6982,
        "a failed use spends too"
    );
}

#[test]
fn a_missed_touch_spends_no_fresh_pin() {
    let mut host = Host::with_firmware((5, 7, 4));
    host.generate(0x82, 0x11, 3, 2);
    host.generate(0x83, 0x11, 3, 1);
    host.pin();
    assert_eq!(host.sign(0x82, &DIGEST).1, 0x6982);
    assert_eq!(host.sign(0x83, &DIGEST).1, OK);
}

#[test]
fn pin_policy_always_survives_the_parts_of_a_chained_command() {
    let mut host = Host::new();
    host.generate(0x82, 0x07, 3, 1);
    host.pin();
    let mut inner = tlv::element(&[0x82], &[]);
    tlv::push(&mut inner, &[0x81], &[1; 256]);
    assert_eq!(
        host.status([0x87, 0x07, 0x82], &tlv::element(&[0x7C], &inner)),
        OK
    );
}

#[test]
fn without_a_touch_nothing_is_signed() {
    let mut host = Host::new();
    host.generate(0x82, 0x11, 1, 2);
    assert_eq!(host.sign(0x82, &DIGEST), (vec![], 0x6982));
    assert_eq!(host.button.touches(), 0);
}

#[test]
fn the_card_waits_for_a_touch_and_then_signs() {
    let mut host = Host::with(
        (5, 4, 3),
        times(Duration::from_secs(20), Duration::from_secs(15)),
        None,
    );
    host.generate(0x82, 0x11, 1, 2);
    for touches in 1..3 {
        let finger = host.finger();
        assert_eq!(host.sign(0x82, &DIGEST).1, OK);
        assert!(finger.join().unwrap());
        assert_eq!(host.button.touches(), touches, "always means every time");
    }
}

#[test]
fn the_wait_ends_by_itself() {
    let wait = Duration::from_millis(50);
    let mut host = Host::with((5, 4, 3), times(wait, Duration::from_secs(15)), None);
    host.generate(0x82, 0x11, 1, 2);
    let start = Instant::now();
    assert_eq!(host.sign(0x82, &DIGEST).1, 0x6982);
    assert!(start.elapsed() >= wait);
}

#[test]
fn a_cached_touch_lasts_for_its_time_and_not_beyond_a_reset() {
    let mut host = Host::with(
        (5, 4, 3),
        times(Duration::from_secs(20), Duration::from_secs(1000)),
        None,
    );
    host.generate(0x82, 0x11, 1, 3);
    let finger = host.finger();
    assert_eq!(host.sign(0x82, &DIGEST).1, OK);
    assert!(finger.join().unwrap());
    host.card.times.touch = Duration::ZERO;
    assert_eq!(host.sign(0x82, &DIGEST).1, OK);
    host.card.times.cached_touch = Duration::ZERO;
    assert_eq!(host.sign(0x82, &DIGEST).1, 0x6982, "its time is over");
    host.card.times.cached_touch = Duration::from_secs(1000);
    host.card.forget();
    host.select();
    assert_eq!(host.sign(0x82, &DIGEST).1, 0x6982);
}

#[test]
fn a_touch_is_not_asked_for_what_cannot_be_done() {
    let mut host = Host::with(
        (5, 4, 3),
        times(Duration::from_secs(60), Duration::from_secs(15)),
        None,
    );
    host.generate(0x82, 0x11, 2, 2);
    assert_eq!(host.sign(0x82, &DIGEST).1, 0x6982, "no PIN, no blinking");
    host.pin();
    assert_eq!(host.sign(0x82, &[1; 33]).1, 0x6A80);
    assert_eq!(host.sign(0x83, &DIGEST).1, 0x6A88);
}
