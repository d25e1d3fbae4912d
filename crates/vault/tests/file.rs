//! What stands in the vault's place, and what a save leaves on the disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    process::Command,
};

use common::{NOW, Place, item, save, write_by_another_program};
use touchkeep_container::{HybridClock, op::Edit};
use touchkeep_vault::{AuditHead, BACKUPS, Locked, VaultError};

#[test]
fn files_are_private_and_three_older_ones_are_kept() {
    let place = Place::new();
    let mut vault = place.create(false);
    let mut versions = vec![fs::read(&place.path).unwrap()];
    for number in 0..5 {
        fs::set_permissions(&place.path, fs::Permissions::from_mode(0o644)).unwrap();
        vault
            .put(item(vault.environment(), &number.to_string()))
            .unwrap();
        save(&mut vault);
        versions.push(fs::read(&place.path).unwrap());
    }
    for (number, version) in (0..=BACKUPS).zip(versions.iter().rev()) {
        let mut path = place.path.clone().into_os_string();
        if number > 0 {
            path.push(format!(".{number}"));
        }
        assert_eq!(&fs::read(&path).unwrap(), version, "{number}");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        Locked::open(&path).unwrap();
    }
    let expected = ["", ".1", ".2", ".3", ".lock"].map(|end| format!("team.vault{end}"));
    assert_eq!(place.names(), expected);
}

#[test]
fn links_pipes_and_folders_are_refused() {
    let place = Place::new();
    let mut vault = place.create(false);
    vault.put(item(vault.environment(), "x")).unwrap();
    let beside = |name: &str| place.folder.path().join(name);
    let real = beside("real");
    let refuses = |vault: &mut touchkeep_vault::Unlocked| {
        let refused = Locked::open(&place.path).err().unwrap();
        assert!(matches!(refused, VaultError::NotAFile { .. }), "{refused}");
        let refused = vault.save(NOW, AuditHead::empty()).err().unwrap();
        assert!(matches!(refused, VaultError::NotAFile { .. }), "{refused}");
    };
    fs::rename(&place.path, &real).unwrap();
    let before = fs::read(&real).unwrap();

    symlink(&real, &place.path).unwrap();
    refuses(&mut vault);
    fs::remove_file(&place.path).unwrap();
    fs::hard_link(&real, &place.path).unwrap();
    refuses(&mut vault);
    fs::remove_file(&place.path).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&place.path)
            .status()
            .unwrap()
            .success()
    );
    refuses(&mut vault);
    fs::remove_file(&place.path).unwrap();
    fs::create_dir(&place.path).unwrap();
    refuses(&mut vault);
    fs::remove_dir(&place.path).unwrap();

    let refused = vault.save(NOW, AuditHead::empty()).err().unwrap();
    assert!(matches!(refused, VaultError::NoVault(_)));
    assert_eq!(fs::read(&real).unwrap(), before);
    // Nothing was lost: with the file back, the same session saves.
    fs::rename(&real, &place.path).unwrap();
    save(&mut vault);
    assert_eq!(place.unlock().items().len(), 1);
}

#[test]
fn what_is_there_is_never_replaced_by_a_new_vault() {
    let place = Place::new();
    fs::write(&place.path, "something").unwrap();
    let passphrase = common::passphrase();
    let device = touchkeep_vault::NewDevice::Software {
        passphrase: &passphrase,
        work_factor: common::WORK_FACTOR,
    };
    let new = touchkeep_vault::NewVault {
        user_name: String::new(),
        environment_name: String::new(),
        practice: true,
        device,
        now: NOW,
    };
    let refused = touchkeep_vault::create(&place.path, new).err().unwrap();
    assert!(matches!(refused, VaultError::Exists(_)));
    assert_eq!(fs::read(&place.path).unwrap(), b"something");
}

#[test]
fn what_a_killed_save_left_is_swept_by_the_next() {
    let place = Place::new();
    let mut vault = place.create(false);
    let left = place.folder.path().join(".team.vault.aB3xYz.tmp");
    let others = place.folder.path().join(".team.vault.2026.tmp.bak");
    fs::write(&left, "half").unwrap();
    fs::write(&others, "mine").unwrap();
    vault.put(item(vault.environment(), "x")).unwrap();
    save(&mut vault);
    assert!(!left.exists() && others.exists());
}

// A member's program that does not keep our rules has written a part that nobody can read.
#[test]
fn what_cannot_be_opened_is_not_written_over_what_can() {
    let place = Place::new();
    let mut vault = place.create(false);
    let sound = fs::read(&place.path).unwrap();
    let at = HybridClock {
        ms: NOW.0 + 1,
        count: 0,
    };
    let edit = Edit::Set(vec![("NO KEY", None)]);
    write_by_another_program(&place, &vault, at, &edit);
    let unreadable = fs::read(&place.path).unwrap();
    vault.put(item(vault.environment(), "x")).unwrap();
    let refused = vault.save(NOW, AuditHead::empty()).err().unwrap();
    assert!(matches!(refused, VaultError::Content { .. }), "{refused}");
    assert_eq!(fs::read(&place.path).unwrap(), unreadable);
    assert!(!place.names().contains(&"team.vault.1".to_owned()));
    // What was changed is not lost, either.
    fs::write(&place.path, sound).unwrap();
    save(&mut vault);
    assert_eq!(place.unlock().items().len(), 1);
}

// It has keys in memory while it waits.
#[test]
fn a_save_does_not_wait_for_ever_for_who_holds_the_lock() {
    let place = Place::new();
    let mut vault = place.create(false);
    vault.put(item(vault.environment(), "x")).unwrap();
    let held = fs::File::open(place.folder.path().join("team.vault.lock")).unwrap();
    held.lock().unwrap();
    let before = fs::read(&place.path).unwrap();
    let refused = vault.save(NOW, AuditHead::empty()).err().unwrap();
    assert!(matches!(refused, VaultError::Busy(_)), "{refused}");
    assert_eq!(fs::read(&place.path).unwrap(), before);
    drop(held);
    save(&mut vault);
    assert_eq!(place.unlock().items().len(), 1);
}

#[test]
fn another_vault_in_the_file_is_not_merged_into_this_one() {
    let [place, other] = [Place::new(), Place::new()];
    let mut vault = place.create(false);
    drop(other.create(false));
    fs::copy(&other.path, &place.path).unwrap();
    let there = fs::read(&place.path).unwrap();
    vault.put(item(vault.environment(), "x")).unwrap();
    let refused = vault.save(NOW, AuditHead::empty()).err().unwrap();
    assert!(matches!(refused, VaultError::Damaged(_)), "{refused}");
    assert_eq!(fs::read(&place.path).unwrap(), there);
}

#[test]
fn a_byte_that_changed_in_place_under_the_old_time_is_seen_by_the_next_save() {
    let place = Place::new();
    let mut vault = place.create(false);
    for name in ["one", "two"] {
        vault.put(item(vault.environment(), name)).unwrap();
        save(&mut vault);
    }
    let meta = fs::metadata(&place.path).unwrap();
    let probe = place.folder.path().join("probe");
    // The clock of files stands still for some milliseconds.
    loop {
        fs::write(&probe, "").unwrap();
        let now = fs::metadata(&probe).unwrap();
        if (now.ctime(), now.ctime_nsec()) > (meta.ctime(), meta.ctime_nsec()) {
            break;
        }
    }
    let mut bytes = fs::read(&place.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let file = fs::File::options().write(true).open(&place.path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
    file.set_modified(meta.modified().unwrap()).unwrap();

    vault.put(item(vault.environment(), "three")).unwrap();
    let refused = vault.save(NOW, AuditHead::empty()).err().unwrap();
    assert!(matches!(refused, VaultError::Damaged(_)), "{refused}");
    assert_eq!(fs::read(&place.path).unwrap(), bytes);
    // Nothing was lost: with the byte as it was, the same session saves.
    bytes[middle] ^= 1;
    fs::write(&place.path, &bytes).unwrap();
    save(&mut vault);
    assert_eq!(place.unlock().items().len(), 3);
}
