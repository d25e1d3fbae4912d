//! What a vault under git takes: each edit committed, then packed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use touchkeep_vault::AuditHead;

use crate::rig::{NOW, Place};

const EDITS: usize = 50;

pub(crate) fn growth(place: &Place) {
    let mut vault = place.unlocked();
    let id = vault.find(&place.name()).unwrap().id;
    let [alone, edited] = ["alone", "edited"].map(|name| repository(name, place));
    let mut written = 0;
    for round in 0..EDITS {
        let mut item = vault.item(id).unwrap().clone();
        item.note = format!("edit {round}");
        written += item.note.len();
        vault.put(item).unwrap();
        vault.save(NOW, AuditHead::empty()).unwrap();
        commit(&edited, place);
    }
    let each = (packed(&edited) - packed(&alone)) / EDITS;
    println!(
        "git, {} items, {EDITS} edits of {} bytes: {each} bytes an edit after git gc",
        place.items,
        written / EDITS
    );
}

// One that has the vault as it is now.
fn repository(name: &str, place: &Place) -> PathBuf {
    let folder = place.vault.with_file_name(name);
    fs::create_dir(&folder).unwrap();
    git(&folder, &["init", "--quiet"]);
    commit(&folder, place);
    folder
}

fn commit(folder: &Path, place: &Place) {
    fs::copy(&place.vault, folder.join("items.vault")).unwrap();
    git(folder, &["add", "items.vault"]);
    let name = ["-c", "user.name=b", "-c", "user.email=b@localhost"];
    let commit = [
        "-c",
        "commit.gpgsign=false",
        "commit",
        "--quiet",
        "-m",
        "edit",
    ];
    git(folder, &[&name[..], &commit[..]].concat());
}

// Bytes of the packs when everything is in one.
fn packed(folder: &Path) -> usize {
    // Each of git's threads keeps one whole file to tell the others from; one thread, so that the edits are what is counted.
    git(
        folder,
        &["-c", "pack.threads=1", "gc", "--quiet", "--prune=now"],
    );
    let entries = fs::read_dir(folder.join(".git/objects/pack")).unwrap();
    let packs = entries.map(|entry| entry.unwrap().path());
    let packs = packs.filter(|path| path.extension().is_some_and(|e| e == "pack"));
    packs
        .map(|path| usize::try_from(fs::metadata(path).unwrap().len()).unwrap())
        .sum()
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    let done = git
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .status();
    assert!(done.unwrap().success());
}
