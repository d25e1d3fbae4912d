//! Whatever comes in, the card answers with a status and lives on.

use super::*;
use proptest::prelude::*;

/// Commands that reach deep: known instructions, slots and parameters, random data.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let ins = prop::sample::select(vec![
        0x20, 0x24, 0x2C, 0x47, 0x87, 0xA4, 0xC0, 0xCB, 0xDB, 0xF6, 0xF7, 0xF8, 0xFA, 0xFB, 0xFD,
        0xFE, 0xFF,
    ]);
    let p1 = prop::sample::select(vec![0x00, 0x03, 0x04, 0x11, 0x3F, 0xFF]);
    let p2 = prop::sample::select(vec![0x00, 0x80, 0x81, 0x82, 0x9A, 0x9B, 0xFE, 0xFF]);
    let tag = prop::sample::select(vec![0x7C, 0xAC, 0x5C, 0x06, 0x01, 0x03]);
    let data = (tag, prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(tag, value)| tlv::element(&[tag], &value));
    let data = prop_oneof![data, prop::collection::vec(any::<u8>(), 0..40)];
    (prop::sample::select(vec![0x00, 0x10]), ins, p1, p2, data).prop_map(
        |(cla, ins, p1, p2, data)| {
            let mut apdu = vec![cla, ins, p1, p2, u8::try_from(data.len()).unwrap()];
            apdu.extend(data);
            apdu
        },
    )
}

/// Making RSA keys takes its time, the one in slot F9 too, and is tested elsewhere.
fn makes_rsa(apdu: &[u8]) -> bool {
    let attests = matches!(apdu, [_, 0xF9, ..] | [_, _, _, 0xF9, ..])
        || apdu.windows(3).any(|bytes| bytes == [0x5F, 0xFF, 0x01]);
    attests
        || apdu
            .windows(3)
            .any(|bytes| matches!(bytes, [0x80, 0x01, 0x05..=0x07 | 0x16]))
}

proptest! {
    #[test]
    fn no_sequence_of_commands_makes_it_panic(
        commands in prop::collection::vec(prop_oneof![plausible(), prop::collection::vec(any::<u8>(), 0..300)], 0..30),
        managed: bool,
    ) {
        let mut host = Host::new();
        if managed {
            host.manage();
            host.pin();
        }
        for command in commands.iter().filter(|command| !makes_rsa(command)) {
            let answer = host.card.execute(command);
            prop_assert!((2..=65538).contains(&answer.len()));
        }
        host.card.forget();
        host.select();
    }

    /// Nobody checks on a card whether imported numbers are primes.
    #[test]
    fn no_imported_number_makes_it_panic(
        p in prop::collection::vec(any::<u8>(), 128),
        q in prop::collection::vec(any::<u8>(), 128),
        block in prop::collection::vec(any::<u8>(), 256),
        shaped: bool,
    ) {
        let mut host = Host::new();
        host.manage();
        let shape = |mut number: Vec<u8>| {
            if shaped {
                number[0] |= 0xC0;
                number[127] |= 1;
            }
            tlv::element(&[1], &number)
        };
        let (p, mut q) = (shape(p), shape(q));
        q[0] = 2;
        let status = host.status([0xFE, 0x07, 0x82], &[&p[..], &q, &[0xAA, 1, 1]].concat());
        prop_assert!(matches!(status, OK | 0x6A80));
        if status == OK {
            let mut inner = tlv::element(&[0x82], &[]);
            tlv::push(&mut inner, &[0x81], &block);
            let status = host.status([0x87, 0x07, 0x82], &tlv::element(&[0x7C], &inner));
            prop_assert!(matches!(status, OK | 0x6A80 | 0x6F00));
        }
    }
}
