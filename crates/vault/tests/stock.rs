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
use common::{Card, NO_AUDIT, NOW, PASSPHRASE, Place, enrolled, item, save, with_founder};
use touchkeep_container::MemberName;
use touchkeep_core::ApiSecret;
use touchkeep_device::{Auth, Purpose, RecoveryKit};
use touchkeep_vault::{AuditHead, Hand, NewDevice, Unlocked};

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
    let [stored, sealed] = ["stored", "sealed"].map(|name| item(vault.environment(), name));
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
    let readme = unpacked(&place, folder);
    // The commands are those of the README, with the ids filled in.
    let command = |starts: &str| {
        command(&readme, starts)
            .replace("<user>", &vault.user().to_string())
            .replace("<device>", &vault.devices()[0].id.to_string())
            .replace("<item>-<revision>", &format!("{}-*", ids[1]))
    };
    sh_with_passphrase(folder, &command("age -d -i d/"));
    sh(folder, &command("for k in"));
    sh(folder, &command("for f in"));
    let ops = Operations::read(folder);
    let id = ids[0].to_string();
    assert_eq!(ops.value("secret", &id), format!("stored:{pem}"));
    for (field, text) in [
        ("name", &stored.name),
        ("note", &stored.note),
        ("api-key", &stored.api_key),
    ] {
        assert_eq!(&ops.value(field, &id), text);
    }
    assert_eq!(ops.value("policy", ""), "default = \"deny\"\n");
    assert_eq!(
        ops.value(&touchkeep_vault::user_name(vault.user()), ""),
        "Ada"
    );
    assert!(
        ops.value("secret", &ids[1].to_string())
            .starts_with("sealed:")
    );

    sh_with_passphrase(folder, &command("age -d d/"));
    let sealed = sh(folder, &command("age -d -i seal.txt"));
    assert_eq!(sealed, "the sealed value");
    // Nothing that unlocking gives opens it.
    let opened = "age -d -i user.txt t/*.age || age -d -i environments.txt t/*.age || echo closed";
    assert_eq!(sh(folder, opened), "closed\n");
}

// The text of the README in an unpacked vault.
fn unpacked(place: &Place, folder: &Path) -> String {
    sh(folder, &format!("tar xf '{}'", place.path.display()));
    fs::read_to_string(folder.join("README.txt")).unwrap()
}

// The first command of the README that begins so.
fn command(readme: &str, starts: &str) -> String {
    let mut lines = readme.lines().map(str::trim);
    lines
        .find(|line| line.starts_with(starts))
        .unwrap()
        .to_owned()
}

struct Operations(Vec<serde_json::Value>);

impl Operations {
    fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("operations.jsonl")).unwrap();
        Self(
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        )
    }

    // Of an item, or of the settings where `item` is empty.
    fn value(&self, field: &str, item: &str) -> String {
        let of =
            |op: &&serde_json::Value| op.get("item").map_or("", |id| id.as_str().unwrap()) == item;
        let mut found = self
            .0
            .iter()
            .filter(of)
            .filter_map(|op| op.get("set")?.get(field)?.as_str());
        found.next().unwrap().to_owned()
    }
}

#[test]
fn the_printed_lines_of_the_recovery_kit_get_every_value_back_with_age_and_with_rage() {
    let place = Place::new();
    let mut vault = place.create(false);
    let kit = RecoveryKit::generate().unwrap();
    let lines = kit.identity_lines();
    let mut kit = kit.device().unwrap();
    let passphrase = common::passphrase();
    let mut own = vault
        .as_locked()
        .software_device(vault.devices()[0].id)
        .unwrap();
    let hand = Hand {
        device: &mut own,
        auth: Auth::Passphrase(&passphrase),
    };
    let new = NewDevice::Hardware(&mut kit, Auth::Nothing);
    vault.enroll(new, hand, NOW, AuditHead::empty()).unwrap();
    let items = ["stored", "sealed"].map(|name| item(vault.environment(), name));
    for item in &items {
        vault.put(item.clone()).unwrap();
    }
    vault
        .set_secret(items[0].id, ApiSecret::new("a stored value".into()))
        .unwrap();
    vault
        .seal(items[1].id, ApiSecret::new("a sealed value".into()))
        .unwrap();
    save(&mut vault);

    for tool in ["age", "rage"] {
        let out = tempfile::tempdir().unwrap();
        let folder = out.path();
        let readme = unpacked(&place, folder);
        for (name, line) in ["kit.txt", "seal.txt"].iter().zip(&lines) {
            fs::write(folder.join(name), format!("{}\n", line.as_str())).unwrap();
        }
        let run = |starts: &str| {
            let command = command(&readme, starts)
                .replace("<user>", &vault.user().to_string())
                .replace("<item>-<revision>", &format!("{}-*", items[1].id))
                .replace("age -d", &format!("{tool} -d"));
            sh(folder, &command)
        };
        run("age -d -i kit.txt");
        run("for k in");
        run("for f in");
        let ops = Operations::read(folder);
        assert_eq!(
            ops.value("secret", &items[0].id.to_string()),
            "stored:a stored value",
            "{tool}"
        );
        assert_eq!(run("age -d -i seal.txt"), "a sealed value", "{tool}");
    }
}

// The user has new keys then, and the environment a second epoch.
#[test]
fn tar_and_age_get_every_value_back_when_a_device_was_retired_and_that_one_gets_none_of_the_later()
{
    let place = Place::new();
    let mut vault = place.create(false);
    let kit = RecoveryKit::generate().unwrap();
    let lines = kit.identity_lines();
    let id = enrolled(&mut vault, &mut kit.device().unwrap());
    common::put_main(&mut vault, "before", "a value of before");
    let opened_by_kit = || {
        let out = tempfile::tempdir().unwrap();
        unpacked(&place, out.path());
        for (name, line) in ["kit.txt", "kit-seal.txt"].iter().zip(&lines) {
            fs::write(out.path().join(name), format!("{}\n", line.as_str())).unwrap();
        }
        let all = "for f in u/*.age k/*.age $(ls t/*.age || true); \
            do age -d -i kit.txt -i kit-seal.txt \"$f\" || true; done";
        sh(out.path(), all)
    };
    assert!(
        opened_by_kit().contains("AGE-SECRET-KEY-1"),
        "it is a way in"
    );
    with_founder(&mut vault, |vault, hand| {
        vault.retire(id, hand, NOW, AuditHead::empty())
    })
    .unwrap();
    common::put_main(&mut vault, "after", "a value of after");
    let sealed = item(vault.environment(), "sealed");
    vault.put(sealed.clone()).unwrap();
    vault
        .seal(sealed.id, ApiSecret::new("a sealed value".into()))
        .unwrap();
    save(&mut vault);

    let out = tempfile::tempdir().unwrap();
    let folder = out.path();
    let readme = unpacked(&place, folder);
    assert!(readme.contains(", retired\n"), "{readme}");
    let founder = common::founder_id(&vault).to_string();
    let command = |starts: &str| {
        command(&readme, starts)
            .replace("<user>", &vault.user().to_string())
            .replace("<device>", &founder)
            .replace("<item>-<revision>", &format!("{}-*", sealed.id))
    };
    sh_with_passphrase(folder, &command("age -d -i d/"));
    sh(folder, &command("for k in"));
    sh(folder, &command("for f in"));
    let ops = fs::read_to_string(folder.join("operations.jsonl")).unwrap();
    for value in ["stored:a value of before", "stored:a value of after"] {
        assert!(ops.contains(value), "{value}");
    }
    sh_with_passphrase(folder, &command("age -d d/"));
    assert_eq!(sh(folder, &command("age -d -i seal.txt")), "a sealed value");

    // Neither the bundle that is there now, nor what is sealed.
    assert_eq!(opened_by_kit(), "");
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
    assert!(readme.contains("age1tag1") && !readme.contains("Passphrase"));
}

// A paper in somebody's hands is tried by the page in the file: of one that opens nothing any more it says no way.
#[test]
fn the_page_of_words_tells_no_way_that_was_retired() {
    let place = Place::new();
    let mut vault = place.create(false);
    let page = |vault: &Unlocked| {
        let container = vault.as_locked().container();
        let page = container.member(&MemberName::Readme).unwrap();
        String::from_utf8(page.to_vec()).unwrap()
    };
    let lost = enrolled(&mut vault, &mut Card::new());
    let way = "PKCS#11 token: stock age cannot ask";
    assert!(page(&vault).contains(way));
    with_founder(&mut vault, |vault, hand| {
        vault.retire(lost, hand, NOW, NO_AUDIT())
    })
    .unwrap();
    let page = page(&vault);
    assert!(
        !page.contains(way) && page.contains("Passphrase: age asks"),
        "{page}"
    );
    assert!(page.contains(", retired"), "{page}");
}
