//! Commands: applets, chaining, objects, proofs of the management key, moving keys.

use super::*;

#[test]
fn the_first_operation_in_a_command_counts() {
    let mut host = Host::new();
    let public = host.generate(0x9D, 0x11, 1, 1);
    let point = tlv::only(0x86, &public[3..]).unwrap().to_vec();
    let mut use_it = |parts: &[(u8, &[u8])]| {
        let mut inner = tlv::element(&[0x82], &[]);
        for (tag, value) in parts {
            tlv::push(&mut inner, &[*tag], value);
        }
        let answer = host.ok([0x87, 0x11, 0x9D], &tlv::element(&[0x7C], &inner));
        tlv::only(0x82, tlv::only(0x7C, &answer).unwrap())
            .unwrap()
            .to_vec()
    };
    assert_eq!(use_it(&[(0x85, &point), (0x81, &[])]).len(), 32);
    assert_eq!(
        use_it(&[(0x81, &[]), (0x85, &point)])[0],
        0x30,
        "a signature"
    );
}

#[test]
fn keys_are_moved_and_deleted_from_firmware_5_7() {
    let mut host = Host::with_firmware((5, 7, 4));
    host.generate(0x9A, 0x11, 1, 2);
    let metadata = host.ok([0xF7, 0x00, 0x9A], &[]);
    host.ok([0xDB, 0x3F, 0xFF], &[0x5C, 3, 0x5F, 0xC1, 0x05, 0x53, 1, 7]);
    host.ok([0xF6, 0x82, 0x9A], &[]);
    assert_eq!(host.status([0xF7, 0x00, 0x9A], &[]), 0x6A88);
    assert_eq!(host.ok([0xF7, 0x00, 0x82], &[]), metadata);
    assert_eq!(
        host.ok([0xCB, 0x3F, 0xFF], &[0x5C, 3, 0x5F, 0xC1, 0x05]),
        [0x53, 1, 7]
    );
    host.generate(0x9C, 0x11, 1, 1);
    assert_eq!(host.status([0xF6, 0x9C, 0x82], &[]), 0x6B00, "not empty");
    assert_eq!(host.status([0xF6, 0x82, 0x82], &[]), 0x6B00);
    assert_eq!(
        host.status([0xF6, 0x83, 0x9A], &[]),
        0x6A88,
        "nothing to move"
    );
    assert_eq!(host.status([0xF6, 0xFF, 0x9B], &[]), 0x6A88);
    assert_eq!(host.status([0xF6, 0x83, 0xF9], &[]), 0x6B00);
    host.ok([0xF6, 0xFF, 0x82], &[]);
    assert_eq!(host.status([0xF6, 0xFF, 0x82], &[]), 0x6A88);
    host.ok([0xF6, 0xFF, 0xF9], &[]);
    assert_eq!(
        host.status([0xF7, 0x00, 0xF9], &[]),
        0x6A88,
        "gone for good"
    );
    host.select();
    assert_eq!(host.status([0xF6, 0xFF, 0x9C], &[]), 0x6982);
    let mut older = Host::new();
    older.manage();
    assert_eq!(older.status([0xF6, 0xFF, 0x9C], &[]), 0x6D00);
}

#[test]
fn the_management_key_is_proved_in_one_direction_too() {
    let mut host = Host::with_firmware((5, 7, 4));
    let head = [0x87, 0x0A, 0x9B];
    let answer = host.ok(head, &[0x7C, 0x02, 0x81, 0x00]);
    let challenge = tlv::only(0x81, tlv::only(0x7C, &answer).unwrap())
        .unwrap()
        .to_vec();
    let response = host.card.memory.management.encrypt(&challenge).unwrap();
    let with = |tag: u8, block: &[u8]| tlv::element(&[0x7C], &tlv::element(&[tag], block));
    host.ok(head, &with(0x82, &response));
    assert_eq!(host.status([0xF6, 0xFF, 0x9A], &[]), 0x6A88, "proved");
    host.ok(head, &[0x7C, 0x02, 0x81, 0x00]);
    assert_eq!(
        host.status([0xF6, 0xFF, 0x9A], &[]),
        0x6982,
        "asking anew takes the proof away"
    );
    assert_eq!(
        host.status(head, &with(0x82, &response)),
        0x6982,
        "an old answer"
    );
    // The plain challenge of one way must not do as the witness of the other.
    let answer = host.ok(head, &[0x7C, 0x02, 0x81, 0x00]);
    let challenge = tlv::only(0x81, tlv::only(0x7C, &answer).unwrap())
        .unwrap()
        .to_vec();
    let mut replayed = tlv::element(&[0x80], &challenge);
    tlv::push(&mut replayed, &[0x81], &[7; 16]);
    assert_eq!(host.status(head, &tlv::element(&[0x7C], &replayed)), 0x6982);
    assert_eq!(
        host.status(head, &with(0x81, &challenge)),
        0x6A80,
        "no oracle"
    );
}

#[test]
fn policies_are_left_out_or_meant() {
    let mut host = Host::new();
    host.manage();
    for bad in [[0xAA, 1, 0], [0xAB, 1, 0], [0xAA, 1, 4], [0xAB, 1, 9]] {
        let template = [&[0xAC, 6, 0x80, 1, 0x11][..], &bad].concat();
        assert_eq!(host.status([0x47, 0x00, 0x82], &template), 0x6A80);
    }
    assert_eq!(
        host.status([0xF7, 0x00, 0x82], &[]),
        0x6A88,
        "nothing was made"
    );
}

#[test]
fn a_management_key_can_want_a_touch() {
    let mut host = Host::new();
    host.manage();
    host.ok(
        [0xFF, 0xFF, 0xFE],
        &[&[0x03, 0x9B, 24][..], &[5; 24]].concat(),
    );
    host.select();
    assert_eq!(host.try_manage(), 0x6982);
    host.card.times.touch = Duration::from_secs(20);
    let finger = host.finger();
    host.manage();
    assert!(finger.join().unwrap());
}

#[test]
fn applets_are_selected_by_their_names() {
    let mut host = Host::new();
    let select = [0xA4, 0x04, 0x00];
    let full = [
        0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00,
    ];
    let property = host.ok(select, &full);
    assert_eq!(property[..2], [0x61, 0x11]);
    assert_eq!(host.ok([0xFD, 0, 0], &[]), [5, 4, 3]);
    assert_eq!(host.ok([0xF8, 0, 0], &[]), SERIAL.to_be_bytes());
    for unknown in [
        &[0xA0, 0, 0, 3][..],
        &[0xA0, 0, 0, 6, 0x47, 0x2F, 0, 1],
        &[],
        &[full.as_slice(), &[0]].concat(),
    ] {
        assert_eq!(host.status(select, unknown), 0x6A82);
    }
    host.ok([0xFD, 0, 0], &[]);
    assert_eq!(host.status([0xA4, 0x00, 0x00], &full), 0x6A86);
    assert_eq!(host.status([0x01, 0x10, 0x00], &[]), 0x6D00);
    assert_eq!(host.send(0x80, [0xFD, 0, 0], &[]).1, 0x6E00);

    let mut older = Host::with_firmware((4, 3, 5));
    assert_eq!(older.status([0xF8, 0, 0], &[]), 0x6D00);
    older.ok(select, &[0xA0, 0x00, 0x00, 0x05, 0x27, 0x20, 0x01]);
    assert_eq!(older.ok([0x01, 0x10, 0x00], &[]), SERIAL.to_be_bytes());
}

#[test]
fn objects_are_kept_whole_and_behind_their_rules() {
    let mut host = Host::new();
    let (get, put) = ([0xCB, 0x3F, 0xFF], [0xDB, 0x3F, 0xFF]);
    let id = [0x5C, 3, 0x5F, 0xC1, 0x0D];
    let large = tlv::element(&[0x53], &[0xAB; 3063]);
    assert_eq!(host.status(get, &id), 0x6A82);
    assert_eq!(host.status(put, &[&id[..], &large].concat()), 0x6982);
    host.manage();
    host.ok(put, &[&id[..], &large].concat());
    assert_eq!(host.ok(get, &id), large);
    assert_eq!(
        host.status(put, &[&id[..], &tlv::element(&[0x53], &[1; 3064])].concat()),
        0x6A84
    );
    host.ok(put, &[&id[..], &[0x53, 0]].concat());
    assert_eq!(host.status(get, &id), 0x6A82);

    let printed = [0x5C, 3, 0x5F, 0xC1, 0x09];
    host.ok(put, &[&printed[..], &[0x53, 1, 7]].concat());
    assert_eq!(host.status(get, &printed), 0x6982);
    host.pin();
    assert_eq!(host.ok(get, &printed), [0x53, 1, 7]);
    assert_eq!(host.ok(get, &[0x5C, 1, 0x7E])[0], 0x7E);
}

#[test]
fn the_card_is_full_some_day() {
    let mut host = Host::new();
    host.manage();
    let put = |host: &mut Host, id: u8| {
        let id = [0x5C, 3, 0x5F, 0xFF, id];
        host.status(
            [0xDB, 0x3F, 0xFF],
            &[&id[..], &tlv::element(&[0x53], &[1; 3063])].concat(),
        )
    };
    let stored = (0..30).take_while(|id| put(&mut host, *id) == OK).count();
    assert_eq!(stored, 16);
    assert_eq!(put(&mut host, 0), OK, "replacing needs no more room");
}

#[test]
fn a_chain_is_broken_by_another_command_and_bounded() {
    let mut host = Host::new();
    assert_eq!(host.send(0x10, [0x20, 0x00, 0x80], b"1234").1, OK);
    host.ok([0xFD, 0, 0], &[]);
    assert_eq!(
        host.status([0x20, 0x00, 0x80], b"56\xFF\xFF"),
        0x6A80,
        "the first half is gone"
    );
    let refused = (0..20).position(|_| host.send(0x10, [0xDB, 0x3F, 0xFF], &[0; 255]).1 != OK);
    assert_eq!(refused, Some(12));
}

#[test]
fn one_plugin_decryption_works_as_age_plugin_yubikey_does_it() {
    let mut host = Host::new();
    host.generate(0x82, 0x11, 2, 1);
    let certificate = tlv::element(&[0x53], &[0x70; 500]);
    host.ok(
        [0xDB, 0x3F, 0xFF],
        &[&[0x5C, 3, 0x5F, 0xC1, 0x0D][..], &certificate].concat(),
    );
    host.card.forget();
    host.select();
    host.ok([0xFD, 0, 0], &[]);
    host.ok([0xF8, 0, 0], &[]);
    let (first, status) = host.send(0x00, [0xCB, 0x3F, 0xFF], &[0x5C, 3, 0x5F, 0xC1, 0x0D]);
    assert_eq!((first.len(), status), (256, 0x61F8));
    assert_eq!(
        host.send(0x00, [0xC0, 0, 0], &[]),
        (certificate[256..].to_vec(), OK)
    );
    assert_eq!(host.status([0x20, 0x00, 0x80], &[]), 0x63C3);
    host.pin();
    let other = p256::SecretKey::from_slice(&[9; 32]).unwrap();
    let mut inner = tlv::element(&[0x82], &[]);
    tlv::push(&mut inner, &[0x85], &other.public_key().to_sec1_bytes());
    host.ok([0x87, 0x11, 0x82], &tlv::element(&[0x7C], &inner));
    let seen = host.card.ledger().seen();
    let last = seen.operations.back().unwrap();
    assert_eq!(
        (&*last.ins, &*last.slot, &*last.status),
        ("87", "82", "9000")
    );
}
