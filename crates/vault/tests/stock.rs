//! Without Touchkeep: `tar`, `age` and `openssl` of the distribution get everything back, by the vault's own README.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{fs, path::Path, process::Command};

use base64::{Engine, prelude::BASE64_STANDARD};
use common::{Card, PASSPHRASE, Place, item, save};
use touchkeep_core::ApiSecret;
use touchkeep_device::Purpose;

fn sh(folder: &Path, script: &str) -> String {
    let done = Command::new("sh")
        .args(["-euc", script])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{script}: {said}");
    String::from_utf8(done.stdout).unwrap()
}

// `age` asks for the passphrase on a terminal; `expect` is one.
fn sh_with_passphrase(folder: &Path, script: &str) {
    let dialog = "set timeout 60; log_user 0; spawn sh -euc $env(SCRIPT); expect \"assphrase\"; \
        send -- \"$env(PASSPHRASE)\\r\"; expect eof; exit [lindex [wait] 3]";
    let done = Command::new("expect")
        .args(["-c", dialog])
        .env("SCRIPT", script)
        .env("PASSPHRASE", PASSPHRASE)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{script}: {said}");
}

#[test]
fn tar_and_age_get_every_value_back() {
    let place = Place::new();
    let mut vault = place.create(false);
    let [stored, sealed] = ["stored", "sealed"].map(item);
    let ids = [stored.id, sealed.id];
    vault.put(stored.clone()).unwrap();
    vault.put(sealed).unwrap();
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQ\"\\é\n-----END PRIVATE KEY-----\n";
    vault
        .set_secret(ids[0], ApiSecret::new(pem.into()))
        .unwrap();
    vault
        .seal(ids[1], ApiSecret::new("the sealed value".into()))
        .unwrap();
    vault.set_setting("policy", "default = \"deny\"\n").unwrap();
    save(&mut vault);

    let out = tempfile::tempdir().unwrap();
    let folder = out.path();
    sh(folder, &format!("tar xf '{}'", place.path.display()));
    let readme = fs::read_to_string(folder.join("README.txt")).unwrap();
    // The commands are those of the README, with the ids filled in.
    let command = |starts: &str| {
        let mut lines = readme.lines().map(str::trim);
        let line = lines.find(|line| line.starts_with(starts)).unwrap();
        line.replace("<user>", &vault.user().to_string())
            .replace("<device>", &vault.devices()[0].id.to_string())
            .replace("<environment>", &vault.environment().to_string())
            .replace("<item>-<revision>", &format!("{}-*", ids[1]))
    };
    sh_with_passphrase(folder, &command("age -d -i d/"));
    sh(folder, &command("age -d -i user.txt"));
    sh(folder, &command("for f in"));
    let ops = fs::read_to_string(folder.join("operations.jsonl")).unwrap();
    let value = |field: &str, of: &str| {
        let ops = ops
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut found =
            ops.filter(|op| op["field"] == field && op["item"] == of || op["setting"] == field);
        found.next().unwrap()["value"].as_str().unwrap().to_owned()
    };
    let id = ids[0].to_string();
    assert_eq!(value("secret", &id), format!("stored:{pem}"));
    for (field, text) in [
        ("name", &stored.name),
        ("note", &stored.note),
        ("api-key", &stored.api_key),
    ] {
        assert_eq!(&value(field, &id), text);
    }
    assert_eq!(value("policy", ""), "default = \"deny\"\n");
    assert_eq!(value(&touchkeep_vault::user_name(vault.user()), ""), "Ada");
    assert!(value("secret", &ids[1].to_string()).starts_with("sealed:"));

    sh_with_passphrase(folder, &command("age -d d/"));
    let sealed = sh(folder, &command("age -d -i seal.txt"));
    assert_eq!(sealed, "the sealed value");
    // Nothing that unlocking gives opens it.
    let opened = "age -d -i user.txt t/*.age || age -d -i environment.txt t/*.age || echo closed";
    assert_eq!(sh(folder, opened), "closed\n");
}

#[test]
fn openssl_verifies_what_the_card_signed() {
    let place = Place::new();
    let mut card = Card::new();
    drop(place.create_on(&mut card).unwrap());
    let out = tempfile::tempdir().unwrap();
    let folder = out.path();
    sh(
        folder,
        &format!("tar xf '{}'; cp m/1-* link", place.path.display()),
    );
    fs::write(folder.join("spki"), card.spki(Purpose::SignVault)).unwrap();
    for note in ["genesis", "link"] {
        // The text up to the last empty line, and the signature after its four bytes of key id.
        let whole = fs::read_to_string(folder.join(note)).unwrap();
        let (text, line) = whole.rsplit_once("\n\n").unwrap();
        fs::write(folder.join("text"), format!("{text}\n")).unwrap();
        let data = BASE64_STANDARD
            .decode(line.split_whitespace().last().unwrap())
            .unwrap();
        fs::write(folder.join("signature"), &data[4..]).unwrap();
        let verified = "openssl pkey -pubin -inform DER -in spki -out key.pem && \
            openssl dgst -sha256 -verify key.pem -signature signature text";
        assert_eq!(sh(folder, verified), "Verified OK\n", "{note}");
    }
    let readme = fs::read_to_string(folder.join("README.txt")).unwrap();
    assert!(readme.contains("AGE-PLUGIN-YUBIKEY-1") && readme.contains("age1yubikey1"));
    assert!(!readme.contains("Passphrase"));
}
