//! Saves by several processes, and saves that are killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    collections::BTreeSet,
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use common::{NOW, Place, item, save, unlock};
use touchkeep_vault::{AuditHead, Locked, Unlocked};

const PATH: &str = "TOUCHKEEP_TEST_WRITER_PATH";
const NAMES: &str = "TOUCHKEEP_TEST_WRITER_NAMES";

/// Saves one item after the other. The other tests run this one as processes of their own, on a vault of theirs.
#[test]
fn a_writer_saves_items_one_by_one() {
    let own = Place::new();
    let path = match env::var(PATH) {
        Ok(path) => path.into(),
        Err(_) => {
            drop(own.create(false));
            own.path.clone()
        }
    };
    let names = env::var(NAMES).unwrap_or_else(|_| "a b".into());
    let mut vault = unlock(Locked::open(&path).unwrap());
    for name in names.split(' ') {
        vault.put(item(vault.environment(), name)).unwrap();
        vault.save(NOW, AuditHead::empty()).unwrap();
    }
    let there = names_in(&vault);
    assert!(names.split(' ').all(|name| there.contains(name)));
}

fn names_in(vault: &Unlocked) -> BTreeSet<String> {
    vault.items().iter().map(|item| item.name.clone()).collect()
}

fn writer(mut command: Command, path: &Path, names: &str) -> Command {
    command
        .arg(env::current_exe().unwrap())
        .args([
            "--exact",
            "a_writer_saves_items_one_by_one",
            "--test-threads",
            "1",
        ])
        // The loader would look into each of cargo's folders, and each look is a call that can be struck.
        .env_remove("LD_LIBRARY_PATH")
        .env(PATH, path)
        .env(NAMES, names)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn processes_that_save_at_once_lose_nothing() {
    let place = Place::new();
    drop(place.create(false));
    let all: Vec<String> = (0..4)
        .map(|w| {
            (0..5)
                .map(|n| format!("w{w}n{n}"))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    let running: Vec<_> = all
        .iter()
        .map(|names| {
            writer(Command::new("env"), &place.path, names)
                .spawn()
                .unwrap()
        })
        .collect();
    for mut process in running {
        assert!(process.wait().unwrap().success());
    }
    let vault = place.unlock();
    let expected = all
        .iter()
        .flat_map(|names| names.split(' ').map(str::to_owned));
    assert_eq!(names_in(&vault), expected.collect());
    assert_eq!(vault.as_locked().container().heads().len(), 1);
}

/// Runs the writer again and again, its n-th call of each kind struck by a fault, until there is no n-th call. Says how often
/// the file was the old one afterwards and how often the new one; anything else fails.
fn strike(place: &Place, calls: &[&str], fault: &str) -> (usize, usize) {
    let before = fs::read(&place.path).unwrap();
    let trace = place.folder.path().join("trace");
    let (mut olds, mut news) = (0, 0);
    for call in calls {
        for nth in 1.. {
            fs::write(&place.path, &before).unwrap();
            let mut strace = Command::new("strace");
            strace
                .args(["-f", "-qq", "-e", "signal=none", "-o"])
                .arg(&trace)
                .args(["-e", &format!("trace={call}")])
                .args(["-e", &format!("inject={call}:{fault}:when={nth}")]);
            let mut writer = writer(strace, &place.path, "after");
            let ended = writer.status().expect("strace is installed");
            let names = names_in(&place.unlock());
            assert!(names.contains("before"), "{call} {nth}");
            if fs::read(&place.path).unwrap() == before {
                // It never says that it saved when it did not.
                assert!(!ended.success(), "{call} {nth}");
                olds += 1;
            } else {
                assert!(names.contains("after") && names.len() == 2, "{call} {nth}");
                news += 1;
            }
            let struck = fs::read_to_string(&trace).unwrap();
            if ended.success() && !struck.contains("INJECTED") {
                break;
            }
            assert!(nth < 100, "{call} goes on for ever");
        }
    }
    (olds, news)
}

fn place_with_one_item() -> Place {
    let place = Place::new();
    let mut vault = place.create(false);
    vault.put(item(vault.environment(), "before")).unwrap();
    save(&mut vault);
    place
}

#[test]
fn a_save_killed_anywhere_leaves_the_old_or_the_new_file() {
    let place = place_with_one_item();
    let calls = [
        "openat",
        "write",
        "fsync",
        "rename",
        "renameat",
        "renameat2",
    ];
    let (olds, news) = strike(&place, &calls, "signal=SIGKILL");
    // Both sides of the last rename were seen.
    assert!(olds >= 8 && news > 5, "{olds} old, {news} new");
    // What the killed saves left beside it is swept by the next one.
    let mut vault = place.unlock();
    vault.put(item(vault.environment(), "last")).unwrap();
    save(&mut vault);
    assert!(place.names().iter().all(|name| !name.ends_with(".tmp")));
}

#[test]
fn a_full_or_failing_disk_leaves_the_old_or_the_new_file_and_is_said() {
    let place = place_with_one_item();
    for fault in ["error=ENOSPC", "error=EIO"] {
        let (olds, news) = strike(
            &place,
            &["write", "fsync", "rename", "renameat", "renameat2"],
            fault,
        );
        assert!(olds >= 4 && news >= 3, "{fault}: {olds} old, {news} new");
    }
    assert!(place.names().iter().all(|name| !name.ends_with(".tmp")));
}
