//! PIN, PUK and what they cost.

use super::*;

const WRONG: &[u8; 8] = b"000000\xFF\xFF";
const VERIFY: [u8; 3] = [0x20, 0x00, 0x80];

fn pair(old: &[u8; 8], new: &[u8; 8]) -> Vec<u8> {
    [*old, *new].concat()
}

#[test]
fn asking_costs_nothing_and_a_wrong_pin_costs_a_try() {
    let mut host = Host::new();
    assert_eq!(host.status(VERIFY, &[]), 0x63C3);
    assert_eq!(host.status(VERIFY, WRONG), 0x63C2);
    assert_eq!(host.status(VERIFY, &[]), 0x63C2);
    host.pin();
    assert_eq!(host.status(VERIFY, &[]), OK);
    host.select();
    assert_eq!(host.status(VERIFY, &[]), 0x63C3);
}

#[test]
fn three_wrong_pins_block_and_the_puk_unblocks() {
    let mut host = Host::new();
    for status in [0x63C2, 0x63C1, 0x63C0, 0x6983] {
        assert_eq!(host.status(VERIFY, WRONG), status);
    }
    assert_eq!(host.status(VERIFY, PIN), 0x6983);
    assert_eq!(host.status(VERIFY, &[]), 0x6983);
    assert_eq!(
        host.status([0x2C, 0x00, 0x80], &pair(b"00000000", b"654321\xFF\xFF")),
        0x63C2
    );
    host.ok([0x2C, 0x00, 0x80], &pair(b"12345678", b"654321\xFF\xFF"));
    host.ok(VERIFY, b"654321\xFF\xFF");
}

#[test]
fn pin_and_puk_are_changed_only_by_who_knows_them() {
    let mut host = Host::new();
    assert_eq!(
        host.status([0x24, 0x00, 0x80], &pair(WRONG, b"654321\xFF\xFF")),
        0x63C2
    );
    host.ok([0x24, 0x00, 0x80], &pair(PIN, b"654321\xFF\xFF"));
    assert_eq!(host.status(VERIFY, PIN), 0x63C2);
    host.ok([0x24, 0x00, 0x81], &pair(b"12345678", b"87654321"));
    assert_eq!(
        host.status([0x24, 0x00, 0x81], &pair(b"12345678", b"11111111")),
        0x63C2
    );
    assert_eq!(
        host.status(
            [0x24, 0x00, 0x80],
            &pair(b"654321\xFF\xFF", b"123\xFF\xFF\xFF\xFF\xFF")
        ),
        0x6A80
    );
}

#[test]
fn the_pin_is_forgotten_on_reset_and_on_selecting_anything() {
    let mut host = Host::new();
    host.pin();
    host.card.forget();
    assert_eq!(
        host.status(VERIFY, &[]),
        0x6D00,
        "nothing is selected after a reset"
    );
    host.select();
    assert_eq!(host.status(VERIFY, &[]), 0x63C3);
    host.pin();
    host.ok(
        [0xA4, 0x04, 0x00],
        &[0xA0, 0x00, 0x00, 0x05, 0x27, 0x20, 0x01],
    );
    host.select();
    assert_eq!(host.status(VERIFY, &[]), 0x63C3);
    host.pin();
    host.ok([0x20, 0xFF, 0x80], &[]);
    assert_eq!(host.status(VERIFY, &[]), 0x63C3, "logged out");
}

#[test]
fn reset_wants_both_blocked_and_forgets_everything() {
    let mut host = Host::new();
    host.generate(0x82, 0x11, 1, 1);
    assert_eq!(host.status([0xFB, 0, 0], &[]), 0x6985);
    for _ in 0..3 {
        host.status(VERIFY, WRONG);
    }
    assert_eq!(host.status([0xFB, 0, 0], &[]), 0x6985);
    for _ in 0..3 {
        host.status([0x2C, 0x00, 0x80], &pair(WRONG, PIN));
    }
    host.ok([0xFB, 0, 0], &[]);
    assert_eq!(host.status([0xF7, 0x00, 0x82], &[]), 0x6A88);
    host.pin();
    host.manage();
}

#[test]
fn tries_are_set_with_management_key_and_pin() {
    let mut host = Host::new();
    assert_eq!(host.status([0xFA, 5, 4], &[]), 0x6982);
    host.manage();
    assert_eq!(host.status([0xFA, 5, 4], &[]), 0x6982);
    host.pin();
    host.ok([0xFA, 5, 4], &[]);
    assert_eq!(host.status(VERIFY, &[]), 0x63C5);
    assert_eq!(
        host.ok([0xF7, 0x00, 0x81], &[]),
        [1, 1, 0xFF, 5, 1, 1, 6, 2, 4, 4]
    );
}

#[test]
fn what_cannot_be_a_pin_costs_no_try_but_ends_the_login() {
    let mut host = Host::new();
    host.pin();
    assert_eq!(host.status(VERIFY, b"123456"), 0x6A80);
    assert_eq!(host.status(VERIFY, &[]), 0x63C3);
    host.pin();
    for head in [[0x20, 0x01, 0x80], [0x20, 0x00, 0x81], [0x20, 0xFF, 0x80]] {
        assert_eq!(host.status(head, PIN), 0x6A80, "{head:02x?}");
        assert_eq!(host.status(VERIFY, &[]), OK);
    }
    assert_eq!(host.status(VERIFY, b"1"), 0x6A80);
    assert_eq!(
        host.status(VERIFY, &[]),
        OK,
        "one byte is no command at all"
    );
}

#[test]
fn the_old_value_is_judged_before_the_new_one() {
    let mut host = Host::new();
    let empty = [0xFF; 8];
    assert_eq!(
        host.status([0x24, 0x00, 0x80], &pair(WRONG, &empty)),
        0x63C2
    );
    assert_eq!(
        host.status([0x2C, 0x00, 0x80], &pair(&empty, &empty)),
        0x63C2
    );
    assert_eq!(host.status([0x24, 0x00, 0x80], &pair(PIN, &empty)), 0x6A80);
    assert_eq!(
        host.status(VERIFY, &[]),
        0x63C3,
        "the right old one refills"
    );
    assert_eq!(host.status([0x24, 0x00, 0x80], &PIN[..]), 0x6A80);
    for head in [[0x24, 0x00, 0x82], [0x24, 0x01, 0x80], [0x2C, 0x00, 0x81]] {
        assert_eq!(host.status(head, &pair(PIN, PIN)), 0x6A88);
    }
}

#[test]
fn only_a_refused_verify_ends_the_login() {
    let mut host = Host::new();
    host.generate(0x82, 0x11, 2, 1);
    host.pin();
    host.status([0x24, 0x00, 0x80], &pair(WRONG, PIN));
    host.status([0x2C, 0x00, 0x80], &pair(WRONG, PIN));
    assert_eq!(host.sign(0x82, &[1; 32]).1, OK);
    host.status(VERIFY, WRONG);
    assert_eq!(host.sign(0x82, &[1; 32]).1, 0x6982);
}

#[test]
fn the_ledger_counts_presented_pins_only() {
    let mut host = Host::new();
    host.status(VERIFY, &[]);
    host.status(VERIFY, WRONG);
    host.pin();
    let seen = host.card.ledger().seen();
    assert_eq!(
        (seen.verify_count, seen.pin_tries, seen.operations.len()),
        (2, 3, 0)
    );
}
