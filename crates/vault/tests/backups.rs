//! Older copies: listed and tried; and the deliberate way back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::fs;

use common::{NOW, Place, item, save, unlock};
use touchkeep_vault::{AuditHead, Locked, ReadOnly, Unlocked, VaultError, backups, danger_restore};

fn put(vault: &mut Unlocked, name: &str) {
    vault.put(item(vault.environment(), name)).unwrap();
    vault.save(NOW, AuditHead::empty()).unwrap();
}

#[test]
fn the_last_three_are_kept_and_each_is_tried() {
    let place = Place::new();
    let mut vault = place.create(false);
    for name in ["a", "b", "c", "d", "e"] {
        put(&mut vault, name);
    }
    let found = backups(&place.path).unwrap();
    assert_eq!(found.len(), 3);
    for (number, backup) in (1..).zip(&found) {
        assert_eq!((backup.number, backup.missing), (number, 0));
        assert!(backup.newest.is_ok() && backup.is_same_vault && backup.replaced.is_some());
    }
    // One that is damaged is said to be.
    let mut bytes = fs::read(&found[1].path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&found[1].path, bytes).unwrap();
    let found = backups(&place.path).unwrap();
    assert!(found[1].newest.is_err() && found[0].newest.is_ok());
}

#[test]
fn going_back_is_deliberate_and_can_be_undone() {
    let place = Place::new();
    let pins = place.folder.path().join("pins");
    drop(place.create(false));
    let mut vault = unlock(Locked::open_pinned(&place.path, &pins).unwrap());
    put(&mut vault, "a");
    put(&mut vault, "b");
    drop(vault);
    // By hand, the old file is seen for what it is.
    let newest = fs::read(&place.path).unwrap();
    fs::copy(place.path.with_extension("vault.1"), &place.path).unwrap();
    let old = Locked::open_pinned(&place.path, &pins).unwrap();
    assert_eq!(old.read_only(), Some(ReadOnly::Behind));
    fs::write(&place.path, newest).unwrap();

    danger_restore(&place.path, &pins, 1).unwrap();
    let mut vault = unlock(Locked::open_pinned(&place.path, &pins).unwrap());
    assert_eq!(vault.read_only(), None);
    assert_eq!(vault.items().len(), 1);
    // What was there is the first backup now, and says what it would bring back.
    let found = backups(&place.path).unwrap();
    assert_eq!(found[0].missing, 1);
    touchkeep_vault::merge_into(&place.path, &found[0].path).unwrap();
    vault.put(item(vault.environment(), "c")).unwrap();
    save(&mut vault);
    let names: Vec<_> = place
        .unlock()
        .items()
        .iter()
        .map(|i| i.name.clone())
        .collect();
    assert_eq!(names.len(), 3);
}

#[test]
fn another_vault_is_no_backup() {
    let [place, other] = [Place::new(), Place::new()];
    let pins = place.folder.path().join("pins");
    drop((place.create(false), other.create(false)));
    fs::copy(&other.path, place.path.with_extension("vault.1")).unwrap();
    assert!(!backups(&place.path).unwrap()[0].is_same_vault);
    let refused = danger_restore(&place.path, &pins, 1);
    assert!(
        matches!(refused, Err(VaultError::Damaged(_))),
        "{refused:?}"
    );
    let absent = danger_restore(&place.path, &pins, 2);
    assert!(matches!(absent, Err(VaultError::NoVault(_))));
}

#[test]
fn a_damaged_vault_is_replaced_by_a_backup_too() {
    let place = Place::new();
    let pins = place.folder.path().join("pins");
    let mut vault = place.create(false);
    put(&mut vault, "a");
    put(&mut vault, "b");
    drop(vault);
    fs::write(&place.path, b"not a vault").unwrap();
    assert_eq!(backups(&place.path).unwrap().len(), 2);
    danger_restore(&place.path, &pins, 1).unwrap();
    assert_eq!(place.unlock().items().len(), 1);
    assert_eq!(
        fs::read(place.path.with_extension("vault.1")).unwrap(),
        b"not a vault"
    );
}
