//! What was replaced or removed is nowhere in the file, whatever two copies did before they met: every live member is opened with stock
//! `age`, from the passphrase down, and searched.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::path::Path;

use age::secrecy::SecretString;
use common::{PASSPHRASE, Place, item, save, unlock};
use touchkeep_container::Container;
use touchkeep_core::{ApiSecret, ItemId};
use touchkeep_vault::{Locked, Unlocked};

const OLD: [&str; 2] = ["old-canary-of-one", "old-canary-of-two"];

/// A vault with two stored secrets in one segment, and a copy of it beside it.
struct TwoCopies {
    place: Place,
    ids: [ItemId; 2],
}

impl TwoCopies {
    fn new() -> Self {
        let place = Place::new();
        let mut vault = place.create(false);
        let items = ["one", "two"].map(|name| item(vault.environment(), name));
        let ids = [items[0].id, items[1].id];
        for (item, old) in items.into_iter().zip(OLD) {
            let id = item.id;
            vault.put(item).unwrap();
            set(&mut vault, id, old);
        }
        save(&mut vault);
        let copies = Self { place, ids };
        std::fs::copy(&copies.place.path, copies.other()).unwrap();
        assert_eq!(copies.found(OLD[0]), 1, "the search finds what is there");
        assert_eq!(copies.found(OLD[1]), 1, "the search finds what is there");
        copies
    }

    fn other(&self) -> std::path::PathBuf {
        self.place.folder.path().join("copy.vault")
    }

    fn open(&self) -> Unlocked {
        self.place.unlock()
    }

    fn open_other(&self) -> Unlocked {
        unlock(Locked::open(self.other()).unwrap())
    }

    /// As a folder that syncs would do, or Git: without any key.
    fn merge(&self) {
        let [one, other] = [&self.place.path, &self.other()].map(|path| read(path));
        let merged = one.merge(&other).unwrap();
        std::fs::write(&self.place.path, merged.to_bytes().unwrap()).unwrap();
    }

    /// How many live members have this text in them.
    fn found(&self, text: &str) -> usize {
        let opened = everything(&read(&self.place.path));
        let has = |plain: &&Vec<u8>| plain.windows(text.len()).any(|w| w == text.as_bytes());
        opened.iter().filter(has).count()
    }
}

fn read(path: &Path) -> Container {
    Container::parse(&std::fs::read(path).unwrap()).unwrap()
}

fn set(vault: &mut Unlocked, id: ItemId, text: &str) {
    vault.set_secret(id, ApiSecret::new(text.into())).unwrap();
    // What is kept on purpose, as an earlier version, is looked at in a test of its own.
    vault.forget_old(id).unwrap();
}

// The plaintexts of all members that are age files. Each must open.
fn everything(container: &Container) -> Vec<Vec<u8>> {
    let members = container.names().filter_map(|name| {
        let bytes = container.member(&name)?;
        name.to_string().ends_with(".age").then_some(bytes)
    });
    let (mut closed, mut opened): (Vec<&[u8]>, Vec<Vec<u8>>) = (members.collect(), Vec::new());
    let passphrase = SecretString::from(PASSPHRASE.to_owned());
    let passphrase = age::scrypt::Identity::new(passphrase);
    take_opened(&mut closed, &mut opened, |bytes| {
        age::decrypt(&passphrase, bytes).ok()
    });
    loop {
        let before = closed.len();
        let words = opened
            .iter()
            .flat_map(|text| text.split(u8::is_ascii_whitespace));
        let keys: Vec<age::x25519::Identity> = words
            .filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
            .collect();
        take_opened(&mut closed, &mut opened, |bytes| {
            keys.iter().find_map(|key| age::decrypt(key, bytes).ok())
        });
        if closed.len() == before {
            break;
        }
    }
    assert!(closed.is_empty(), "{} members did not open", closed.len());
    opened
}

fn take_opened(
    closed: &mut Vec<&[u8]>,
    opened: &mut Vec<Vec<u8>>,
    open: impl Fn(&[u8]) -> Option<Vec<u8>>,
) {
    closed.retain(|bytes| {
        let plain = open(bytes);
        opened.extend(plain.clone());
        plain.is_none()
    });
}

// Both copies fold the segment, each for its own reason: what stays of it then stands in two snapshots.
#[test]
fn a_secret_that_two_copies_folded_apart_leaves_both_snapshots() {
    for removes in [false, true] {
        let copies = TwoCopies::new();
        let [one, two] = copies.ids;
        let (mut here, mut there) = (copies.open(), copies.open_other());
        for vault in [&mut here, &mut there] {
            set(vault, two, "new-of-two");
            save(vault);
        }
        copies.merge();
        assert_eq!(copies.found(OLD[0]), 2, "each copy's snapshot has it");

        let mut vault = copies.open();
        if removes {
            vault.remove(one).unwrap();
        } else {
            set(&mut vault, one, "new-of-one");
        }
        save(&mut vault);
        assert_eq!(copies.found(OLD[0]), 0, "removes: {removes}");
        assert_eq!(
            copies.found("new-of-two") > 0,
            !vault.conflicts().is_empty()
        );
        assert_eq!(copies.open().items().len(), 2 - usize::from(removes));
    }
}

// The version before is kept on purpose, once, and goes when somebody says so.
#[test]
fn the_version_before_is_kept_once_and_goes_on_a_word() {
    let copies = TwoCopies::new();
    let [one, two] = copies.ids;
    let (mut here, mut there) = (copies.open(), copies.open_other());
    for vault in [&mut here, &mut there] {
        set(vault, two, "new-of-two");
        save(vault);
    }
    copies.merge();
    let mut vault = copies.open();
    vault
        .set_secret(one, ApiSecret::new("new-of-one".into()))
        .unwrap();
    save(&mut vault);
    assert_eq!(
        copies.found(OLD[0]),
        1,
        "of two snapshots and a version, the version"
    );
    assert_eq!(vault.secret_at(one, "secret", 1).unwrap().expose(), OLD[0]);
    vault.forget_old(one).unwrap();
    save(&mut vault);
    assert_eq!(copies.found(OLD[0]), 0);
}

// One copy replaces it while the other carries it on into a snapshot.
#[test]
fn a_secret_that_one_copy_replaced_and_the_other_folded_goes_with_the_joining() {
    for merges_without_a_key in [false, true] {
        for removes in [false, true] {
            let copies = TwoCopies::new();
            let [one, two] = copies.ids;
            let (mut here, mut there) = (copies.open(), copies.open_other());
            if removes {
                here.remove(one).unwrap();
            } else {
                set(&mut here, one, "new-of-one");
            }
            set(&mut there, two, "new-of-two");
            save(&mut there);
            if merges_without_a_key {
                save(&mut here);
                copies.merge();
                assert!(copies.found(OLD[0]) + copies.found(OLD[1]) > 0);
                here = copies.open();
            } else {
                std::fs::copy(copies.other(), &copies.place.path).unwrap();
            }
            save(&mut here);
            let case = format!("without a key: {merges_without_a_key}, removes: {removes}");
            for old in OLD {
                assert_eq!(copies.found(old), 0, "{old}, {case}");
            }
            assert!(here.conflicts().is_empty(), "{case}");
            let again = copies.open();
            assert_eq!(again.secret(two).unwrap().expose(), "new-of-two");
            assert_eq!(again.items().len(), 2 - usize::from(removes), "{case}");
            assert_eq!(read(&copies.place.path).heads().len(), 1, "{case}");
        }
    }
}

// Whoever joined could not read this environment, or kept no such rule: the next writer's first save makes up for it.
#[test]
fn what_others_joined_carelessly_goes_with_the_next_save() {
    let copies = TwoCopies::new();
    let [one, two] = copies.ids;
    let (mut here, mut there) = (copies.open(), copies.open_other());
    set(&mut here, one, "new-of-one");
    set(&mut there, two, "new-of-two");
    save(&mut here);
    save(&mut there);
    copies.merge();
    let author = copies.open();
    let joined = read(&copies.place.path)
        .commit(
            touchkeep_container::NewCommit::new(
                author.user(),
                touchkeep_vault::AuditHead::empty(),
                common::NOW,
            ),
            |text| author.author_sign(text),
        )
        .unwrap();
    std::fs::write(&copies.place.path, joined.to_bytes().unwrap()).unwrap();
    assert!(copies.found(OLD[0]) + copies.found(OLD[1]) > 0);

    let mut vault = copies.open();
    vault.set_setting("x", "1").unwrap();
    save(&mut vault);
    for old in OLD {
        assert_eq!(copies.found(old), 0, "{old}");
    }
}
