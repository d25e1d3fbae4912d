//! A PIN is sent and used in one transaction: seen on the line to pcscd, which is all that other programs have a say in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use support::{
    Card, PIN, PUK,
    line::{Line, Seen},
    on_a_watched_card,
};
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, Device, Provision, Purpose, SignatureScheme, TouchPolicy, stanza,
};

const SELECT: u8 = 0xa4;
const SERIAL: u8 = 0xf8;
const METADATA: u8 = 0xf7;
const VERIFY: u8 = 0x20;
const USE: u8 = 0x87;
const GENERATE: u8 = 0x47;
const CHANGE: u8 = 0x24;

/// The commands of each transaction, one transaction after the other: instructions, and whether they have data. An error for a
/// command outside of any.
fn transactions(line: &Line) -> Result<Vec<Vec<(u8, bool)>>, String> {
    let (mut done, mut open) = (Vec::new(), Vec::new());
    for (connection, seen) in line.taken() {
        let here = open.iter().position(|(whose, _)| *whose == connection);
        match (seen, here) {
            (Seen::Begin, None) => open.push((connection, Vec::new())),
            // Asked once more: another program had the card.
            (Seen::Begin, Some(at)) if open[at].1.is_empty() => {}
            (Seen::Begin, Some(_)) => return Err("one transaction in another".into()),
            (Seen::Command(ins, data), Some(at)) => open[at].1.push((ins, data)),
            (Seen::Command(ins, _), None) => return Err(format!("{ins:02x} in no transaction")),
            (Seen::End, Some(at)) => done.push(open.remove(at).1),
            (Seen::End, None) => {}
        }
    }
    done.extend(open.into_iter().map(|(_, commands)| commands));
    done.retain(|commands: &Vec<_>| !commands.is_empty());
    Ok(done)
}

/// The one transaction in which the PIN was sent, once, and a key was used; the card and the key were looked at before.
fn is_one(line: &Line, what: &str) {
    let all = transactions(line).unwrap();
    let at = |commands: &[(u8, bool)], ins, data| {
        commands.iter().position(|command| *command == (ins, data))
    };
    let with = |ins: u8| {
        let with = all.iter().filter(|one| at(one, ins, true).is_some());
        with.collect::<Vec<_>>()
    };
    let (verified, used) = (with(VERIFY), with(USE));
    assert_eq!((verified.len(), used.len()), (1, 1), "{what}: {all:x?}");
    assert_eq!(verified, used, "{what}: {all:x?}");
    let one = verified[0];
    let sent = one.iter().filter(|it| **it == (VERIFY, true)).count();
    assert_eq!(sent, 1, "{what}: {one:x?}");
    let order = [
        at(one, SELECT, true),
        at(one, SERIAL, false),
        at(one, METADATA, false),
        at(one, VERIFY, true),
        at(one, USE, true),
    ];
    assert!(order.iter().all(Option::is_some), "{what}: {one:x?}");
    assert!(order.is_sorted(), "{what}: {one:x?}");
}

const NAME: &str = "a_pin_is_sent_and_used_in_one_transaction";

#[test]
fn a_pin_is_sent_and_used_in_one_transaction() {
    let options = ["--touch", "auto", "--firmware", "5.7.1"];
    on_a_watched_card(NAME, &options, |card: &Card, line| {
        let (pin, puk) = (Pin::new(PIN.into()), Pin::new(PUK.into()));
        let auth = Auth::Pin(&pin);
        let mut device = card.open();
        assert!(
            transactions(line).unwrap().len() > 1,
            "the line tells them apart"
        );

        // What changes a card is one transaction as well: a PIN that was sent for it is in no other.
        device.change_factory_secrets(&pin, &puk).unwrap();
        let changed = transactions(line).unwrap();
        let changes =
            |one: &&Vec<_>| one.contains(&(CHANGE, true)) || one.contains(&(VERIFY, true));
        assert_eq!(changed.iter().filter(changes).count(), 1, "{changed:x?}");
        device.provision(auth).unwrap();
        let made = transactions(line).unwrap();
        let makes = |one: &&Vec<_>| {
            one.iter()
                .any(|(ins, _)| [VERIFY, GENERATE, USE].contains(ins))
        };
        assert_eq!(made.iter().filter(makes).count(), 1, "{made:x?}");

        for purpose in [Purpose::Unlock, Purpose::Seal] {
            let key = device.info().key(purpose).unwrap().clone();
            let recipient = stanza::recipient(&key).unwrap();
            let secret = age_core::format::FileKey::new(Box::new([7; 16]));
            let stanzas = recipient.wrap_file_key(&secret).unwrap().0;
            device.unwrap_file_key(&key.key, &stanzas, auth).unwrap();
            is_one(line, &format!("{purpose:?}"));
        }
        let key = device.info().key(Purpose::SignVault).unwrap().key.clone();
        let scheme = SignatureScheme::EcdsaP256Sha256;
        device.sign(&key, scheme, b"a statement", auth).unwrap();
        is_one(line, "a statement");

        for (algorithm, touch, scheme) in [
            (
                Algorithm::Ed25519,
                TouchPolicy::Never,
                SignatureScheme::Ed25519,
            ),
            (
                Algorithm::P256,
                TouchPolicy::Always,
                SignatureScheme::EcdsaP256Sha256,
            ),
        ] {
            let made = device.generate_request_key(algorithm, touch, auth).unwrap();
            line.taken();
            device.sign(&made.key, scheme, b"a request", auth).unwrap();
            is_one(line, &format!("a request with {algorithm:?}"));
        }
    });
}
