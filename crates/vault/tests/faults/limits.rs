//! V-10: very many items, very long texts, and names that are no plain words.

use std::{env, fs, path::Path, process::Command};

use touchkeep_container::{Container, op::MAX_VALUE_BYTES, tar};
use touchkeep_core::{ApiSecret, Id, ItemId};
use touchkeep_vault::{MAX_FIELD_BYTES, VaultError};

use crate::{
    common::item,
    operation::{Paths, make, save},
    tally::{Tally, amount},
};

// The most that this process had of its own. What it has mapped of its program is not counted: the kernel maps that in pieces of
// up to 2 MiB where the file was just written.
fn peak_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let kib = |name: &str| -> usize {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let amount = line.unwrap().trim().trim_end_matches(" kB");
        amount.parse().unwrap()
    };
    kib("VmHWM:") - kib("RssFile:")
}

const OPEN: &str = "TOUCHKEEP_FAULT_OPEN";

// What a process that does nothing else needs to open a vault and to look at its items.
fn opened_afresh(folder: &Path) -> usize {
    let child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "limits::very_many_items_are_saved_and_opened",
            "--nocapture",
        ])
        .env(OPEN, folder)
        .output()
        .unwrap();
    let said = String::from_utf8(child.stdout).unwrap();
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("GROWN "))
        .unwrap();
    line.parse().unwrap()
}

#[test]
fn very_many_items_are_saved_and_opened() {
    if let Ok(folder) = env::var(OPEN) {
        let before = peak_kib();
        let vault = Paths::of(Path::new(&folder)).open().unwrap();
        assert!(!vault.items().is_empty());
        println!("\nGROWN {}", peak_kib().saturating_sub(before));
        return;
    }
    let count = u32::try_from(amount(2_000, 100_000).min(100_000)).unwrap();
    let mut tally = Tally::new("V-10", format!("{count} items in one vault"));
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::of(folder.path());
    let mut vault = make(&paths.vault, &paths.pins).unwrap();
    let id = |number: u32| {
        let [a, b, c, d] = number.to_be_bytes();
        ItemId(Id::from_bytes([
            5, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ]))
    };
    for number in 0..count {
        let mut new = item(vault.environment(), &format!("item {number}"));
        new.id = id(number);
        vault.put(new).unwrap();
        vault
            .set_secret(id(number), ApiSecret::new(format!("secret {number}")))
            .unwrap();
    }
    save(&mut vault).unwrap();
    drop(vault);
    let file_kib = usize::try_from(fs::metadata(&paths.vault).unwrap().len()).unwrap() / 1024;
    let vault = paths.open().unwrap();
    assert_eq!(vault.items().len(), usize::try_from(count).unwrap());
    let grown = opened_afresh(folder.path());
    for number in [0, count / 2, count - 1] {
        let secret = vault.secret(id(number)).unwrap();
        let same = *secret.expose() == format!("secret {number}");
        tally.tried(
            || number.to_string(),
            same.then_some(()).ok_or_else(|| "another secret".into()),
        );
    }
    // The archive, its members, their plaintext and the items as they are shown; 5 times the file was measured.
    let held = (grown <= 6 * file_kib + (16 << 10)).then_some(());
    tally.tried(
        || "memory".into(),
        held.ok_or_else(|| format!("{grown} KiB for a file of {file_kib} KiB")),
    );
    tally.saw(format!(
        "file {file_kib} KiB, opening took {grown} KiB more"
    ));
}

#[test]
fn texts_at_the_limit_are_kept_and_one_byte_more_is_refused() {
    let mut tally = Tally::new(
        "V-10",
        "notes, secrets and settings at their limit and one byte over",
    );
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::of(folder.path());
    let mut vault = make(&paths.vault, &paths.pins).unwrap();
    let mut invalid = |what: &str, done: Result<(), VaultError>| {
        let held = match done {
            Err(VaultError::Invalid(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        };
        tally.tried(|| format!("{what}, one byte over"), held);
    };
    let mut new = item(vault.environment(), "long");
    let id = new.id;
    new.note = "n".repeat(MAX_FIELD_BYTES + 1);
    invalid("note", vault.put(new.clone()));
    new.note.pop();
    vault.put(new.clone()).unwrap();
    let secret = |length| ApiSecret::new("\u{e9}".repeat(length / 2) + &"s".repeat(length % 2));
    invalid("secret", vault.set_secret(id, secret(MAX_FIELD_BYTES + 1)));
    vault.set_secret(id, secret(MAX_FIELD_BYTES)).unwrap();
    let long = "s".repeat(MAX_VALUE_BYTES);
    invalid("setting", vault.set_setting("policy", &format!("{long}x")));
    vault.set_setting("policy", &long).unwrap();
    save(&mut vault).unwrap();
    let again = paths.open().unwrap();
    for (what, same) in [
        ("note", again.item(id) == vault.item(id)),
        (
            "secret",
            again.secret(id).unwrap().expose() == secret(MAX_FIELD_BYTES).expose(),
        ),
        ("setting", again.setting("policy") == Some(&long)),
    ] {
        tally.tried(
            || format!("{what} at its limit"),
            same.then_some(()).ok_or_else(|| "another text".into()),
        );
    }
}

#[test]
fn sizes_that_are_only_claimed_cost_nothing() {
    let mut tally = Tally::new("V-09", "archives that claim up to 8 GiB");
    for size in [
        "10000000000",
        "07777777777",
        "00400000000",
        "00400000001",
        "77777777777",
    ] {
        let mut archive = tar::write([("genesis", &b"x"[..])]).unwrap();
        archive[124..135].copy_from_slice(size.as_bytes());
        archive[148..156].copy_from_slice(b"        ");
        let sum: u32 = archive[..512].iter().copied().map(u32::from).sum();
        archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = peak_kib();
        let refused = Container::parse(&archive).is_err();
        let held = (refused && peak_kib() < before + 1024).then_some(());
        tally.tried(
            || size.into(),
            held.ok_or_else(|| "was taken, or took memory".into()),
        );
    }
}

#[test]
fn names_are_kept_byte_for_byte_or_refused() {
    let mut tally = Tally::new(
        "V-10",
        "names: NFC, NFD, right to left, NUL and other controls",
    );
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::of(folder.path());
    let mut vault = make(&paths.vault, &paths.pins).unwrap();
    let kept = [
        "caf\u{e9}",
        "cafe\u{301}",
        "\u{202e}drowssap",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
        "\u{200b}x",
        "x\u{200d}y",
        "\u{1f511}",
        "a\u{fffd}b",
        "\u{10ffff}",
        "\u{feff}x",
        "../../etc/passwd",
        "\"quoted\\",
        "{}",
        "null",
        "-",
        "%",
    ];
    let refused = [
        "",
        " ",
        "\u{2003}",
        "a\0b",
        "\0",
        "a\nb",
        "a\rb",
        "\u{1b}[31mred",
        "a\tb",
        "\u{85}",
        "\u{7f}",
    ];
    for name in kept {
        vault.put(item(vault.environment(), name)).unwrap();
    }
    for name in refused {
        let done = vault.put(item(vault.environment(), name));
        let held = matches!(done, Err(VaultError::Invalid(_)));
        tally.tried(
            || format!("{name:?}"),
            held.then_some(()).ok_or_else(|| format!("{done:?}")),
        );
    }
    save(&mut vault).unwrap();
    let again = paths.open().unwrap();
    assert_eq!(again.items().len(), kept.len());
    for name in kept {
        // NFC and NFD are two names; nothing is folded.
        let found = again.find(name).map(|item| item.name.clone());
        let same = found.is_ok_and(|found| found == name);
        tally.tried(
            || format!("{name:?}"),
            same.then_some(()).ok_or_else(|| "another name".into()),
        );
    }
}
