//! What survives when the card is started again from its file.

use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_restarted_card_has_its_keys_objects_pin_and_counters() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("card.json");
    let start = || {
        Host::with(
            (5, 4, 3),
            times(Duration::ZERO, Duration::ZERO),
            Some(&state),
        )
    };
    let mut host = start();
    let public = host.generate(0x82, 0x11, 2, 1);
    host.generate(0x9E, 0x07, 1, 1);
    let rsa = host.ok([0xF7, 0x00, 0x9E], &[]);
    host.ok(
        [0xDB, 0x3F, 0xFF],
        &[0x5C, 3, 0x5F, 0xC1, 0x0D, 0x53, 2, 1, 2],
    );
    host.ok([0x24, 0x00, 0x80], b"123456\xFF\xFF654321\xFF\xFF");
    assert_eq!(host.status([0x20, 0x00, 0x80], PIN), 0x63C2);
    drop(host);

    let mut host = start();
    assert_eq!(
        host.status([0x20, 0x00, 0x80], &[]),
        0x63C2,
        "a restart gives no try back"
    );
    host.ok([0x20, 0x00, 0x80], b"654321\xFF\xFF");
    assert_eq!(host.sign(0x82, &[1; 32]).1, OK);
    assert_eq!(&host.ok([0xF7, 0x00, 0x82], &[])[12..], &public[3..]);
    assert_eq!(host.ok([0xF7, 0x00, 0x9E], &[]), rsa);
    assert_eq!(
        host.ok([0xCB, 0x3F, 0xFF], &[0x5C, 3, 0x5F, 0xC1, 0x0D]),
        [0x53, 2, 1, 2]
    );
    assert_eq!(
        std::fs::metadata(&state).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn the_file_is_counted_more_than_the_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("card.json");
    let fresh = |serial| Memory::new(serial, (5, 7, 1), "111111", "22222222").unwrap();
    StateFile::open(&state, fresh(1)).unwrap();
    let (_, memory) = StateFile::open(&state, fresh(2)).unwrap();
    assert_eq!((memory.serial, memory.firmware), (1, (5, 7, 1)));
}

#[test]
fn a_file_that_is_no_state_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("card.json");
    let fresh = || Memory::new(1, (5, 4, 3), "111111", "22222222").unwrap();
    for text in ["", "{}", "not json"] {
        std::fs::write(&state, text).unwrap();
        assert!(StateFile::open(&state, fresh()).is_err());
        assert_eq!(
            std::fs::read_to_string(&state).unwrap(),
            text,
            "it is left as it was"
        );
    }
}
