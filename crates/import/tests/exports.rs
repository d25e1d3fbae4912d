//! Exports that other programs and other libraries wrote: KeePassXC itself, Python's `zipfile`, `configparser` and `cryptography`.
//!
//! `TOUCHKEEP_PYTHON` names a Python with `tests/requirements.txt`; `./dev test` makes one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use touchkeep_import::{
    Format, Import, ImportError, Kind, Proposal, Source, detect, needs_password, read,
};

const WRITER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/write_exports.py");
const PASSWORD: &str = "correct horse é";

/// A folder with an export of each kind.
fn exports() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let python = std::env::var_os("TOUCHKEEP_PYTHON").unwrap_or_else(|| "python3".into());
    let done = Command::new(python)
        .args(["-B", WRITER])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    folder
}

fn file(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

fn open(bytes: &[u8], password: Option<&str>) -> Result<Import, ImportError> {
    read(&Source { bytes, password }, None)
}

fn fields(item: &Proposal) -> Vec<(&str, bool, &str)> {
    item.fields
        .iter()
        .map(|field| (field.name.as_str(), field.secret, field.value.as_str()))
        .collect()
}

/// Every canary of a source is in a hidden field, but for the public halves.
fn nothing_is_lost(bytes: &[u8], import: &Import) {
    let source = String::from_utf8_lossy(bytes);
    let canaries: Vec<&str> = source
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(|word| word.starts_with("canary-"))
        .collect();
    assert!(!canaries.is_empty());
    for canary in canaries {
        let found = import
            .items
            .iter()
            .flat_map(|item| &item.fields)
            .find(|field| field.value.contains(canary));
        let found = found.unwrap_or_else(|| panic!("{canary} is nowhere"));
        assert!(
            found.secret || canary == "canary-key",
            "{canary} is not hidden"
        );
    }
}

#[test]
fn bitwarden_plain_and_with_a_password_say_the_same() {
    let folder = exports();
    let bytes = file(folder.path(), "plain.json");
    let plain = open(&bytes, None).unwrap();
    assert_eq!(plain.format, Format::Bitwarden);
    nothing_is_lost(&bytes, &plain);
    let kraken = &plain.items[0];
    assert_eq!(
        (kraken.kind, kraken.venue.as_deref()),
        (Kind::ExchangeKey, Some("kraken"))
    );
    assert_eq!(kraken.tags, ["Bots", "EU"]);
    assert_eq!(kraken.created, Some(1_709_210_096_000));
    assert_eq!(
        fields(kraken),
        [
            ("api-key", false, "canary-key"),
            ("secret", true, "canary-secret"),
            ("username", false, "me"),
            ("password", true, "canary-password"),
            ("url", false, "https://kraken.com"),
            ("totp", true, "otpauth://totp/x?secret=AAAA"),
            ("field", true, "canary-odd"),
            ("on", true, "true"),
            ("url-2", false, "https://pro.kraken.com"),
            ("older-passwords", true, "canary-older"),
            ("notes", true, "two\nlines"),
        ]
    );
    let kinds: Vec<_> = plain.items.iter().map(|item| item.kind).collect();
    assert_eq!(
        kinds,
        [
            Kind::ExchangeKey,
            Kind::Note,
            Kind::SshKey,
            Kind::Note,
            Kind::Note
        ]
    );
    assert_eq!(
        fields(&plain.items[4]),
        [
            ("hint", true, "canary-hint"),
            ("accountnumber", true, "canary-account"),
            ("limits", true, "{\"daily\": \"canary-limit\"}"),
        ]
    );
    for name in ["pbkdf2.json", "argon2.json"] {
        let bytes = file(folder.path(), name);
        assert!(needs_password(&bytes) && detect(&bytes) == Some(Format::Bitwarden));
        assert_eq!(open(&bytes, Some(PASSWORD)).unwrap(), plain, "{name}");
        assert_eq!(open(&bytes, None), Err(ImportError::NeedsPassword));
        assert_eq!(open(&bytes, Some("wrong")), Err(ImportError::WrongPassword));
    }
}

#[test]
fn a_protected_export_that_was_changed_is_not_opened() {
    let folder = exports();
    let text = String::from_utf8(file(folder.path(), "pbkdf2.json")).unwrap();
    let at = text.find("\"data\"").unwrap() + 60;
    let mut changed = text.clone().into_bytes();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    assert!(matches!(
        open(&changed, Some(PASSWORD)),
        Err(ImportError::Damaged { .. })
    ));
    let costly = text.replace("6000", "4000000000");
    assert_eq!(
        open(costly.as_bytes(), Some(PASSWORD)),
        Err(ImportError::CostTooHigh)
    );
    let account = file(folder.path(), "account.json");
    assert_eq!(
        open(&account, Some(PASSWORD)),
        Err(ImportError::AccountEncrypted)
    );
}

#[test]
fn a_1pux_archive_becomes_items_and_its_files_are_named() {
    let folder = exports();
    let import = open(&file(folder.path(), "export.1pux"), None).unwrap();
    let named: Vec<_> = import
        .items
        .iter()
        .map(|item| (item.name.as_str(), item.kind))
        .collect();
    assert_eq!(
        named,
        [
            ("Shop", Kind::Login),
            ("Binance bot", Kind::ExchangeKey),
            ("host", Kind::SshKey),
            ("Note", Kind::Note)
        ]
    );
    assert_eq!(
        fields(&import.items[0]),
        [
            ("secret", true, "canary-password"),
            ("username", false, "me"),
            ("url", false, "https://shop.example"),
            ("totp", true, "AAAA"),
            ("pin", true, "canary-pin"),
            ("since", false, "1600000000"),
            (
                "home",
                true,
                "{\"street\": \"canary-street\", \"city\": \"x\"}"
            ),
            ("passkey", true, "{\"privateKey\": \"canary-passkey\"}"),
            ("older-passwords", true, "canary-older"),
            ("notes", true, "canary-note"),
        ]
    );
    let second = ("older-key", true, "{\"privateKey\": \"canary-second\"}");
    assert!(fields(&import.items[2]).contains(&second));
    assert_eq!(
        fields(&import.items[1]),
        [
            ("api-key", false, "canary-key"),
            ("secret", true, "canary-secret")
        ]
    );
    assert_eq!(import.items[1].tags, ["Private", "archived"]);
    let losing = |row: usize, file: &str| {
        let mut remarks = import.rows[row].remarks.iter();
        assert!(
            remarks.any(|remark| remark.loses && remark.words.contains(file)),
            "{file}"
        );
    };
    losing(0, "contract.pem");
    losing(4, "plan.pdf");
    assert_eq!(
        import.rows[5].outcome.as_ref().map_err(|why| why.loses),
        Err(true),
        "a file that no item names"
    );
    assert_eq!(
        (import.rows.len(), import.rows[5].label.as_str()),
        (6, "d3__nobody's.txt")
    );
}

#[test]
fn an_archive_that_unpacks_to_more_than_it_may_is_refused_at_once() {
    let folder = exports();
    let begun = Instant::now();
    assert!(matches!(
        open(&file(folder.path(), "bomb.1pux"), None),
        Err(ImportError::TooLarge { .. })
    ));
    assert!(matches!(
        open(&file(folder.path(), "lying.1pux"), None),
        Err(ImportError::Damaged { .. })
    ));
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[test]
fn aws_profiles_are_read_as_their_own_program_writes_them() {
    let folder = exports();
    let import = open(&file(folder.path(), "credentials"), None).unwrap();
    assert_eq!(import.format, Format::Aws);
    assert_eq!(
        fields(&import.items[0]),
        [
            ("api-key", false, "AKIAcanary"),
            ("secret", true, "canary/secret+=%(x)s")
        ]
    );
    assert_eq!(
        fields(&import.items[1])[2],
        ("session-token", true, "canary-token")
    );
    assert!(import.rows[1].outcome.is_err());
}

/// What KeePassXC makes of a database, when it writes it out again.
fn keepassxc(args: &[&str], folder: &Path) -> Vec<u8> {
    let mut command = Command::new("keepassxc-cli");
    // It draws nothing, and shall look for nothing of whoever runs the test.
    command
        .args(args)
        .current_dir(folder)
        .env("HOME", folder)
        .env("QT_QPA_PLATFORM", "offscreen");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"pass word\npass word\n")
        .unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(
        done.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    done.stdout
}

#[test]
fn what_keepassxc_writes_is_read_from_both_of_its_formats() {
    let folder = tempfile::tempdir().unwrap();
    let source = include_str!("keepass.xml");
    std::fs::write(folder.path().join("in.xml"), source).unwrap();
    let _made = keepassxc(
        &["import", "--set-password", "-t", "100", "in.xml", "db.kdbx"],
        folder.path(),
    );
    let xml = keepassxc(
        &["export", "-q", "--format", "xml", "db.kdbx"],
        folder.path(),
    );
    let csv = keepassxc(
        &["export", "-q", "--format", "csv", "db.kdbx"],
        folder.path(),
    );

    let import = open(&xml, None).unwrap();
    assert_eq!(import.format, Format::KeepassXml);
    nothing_is_lost(&xml, &import);
    let kraken = &import.items[0];
    assert_eq!(
        (kraken.name.as_str(), kraken.venue.as_deref(), kraken.kind),
        ("Kraken <main>", Some("kraken"), Kind::ExchangeKey)
    );
    assert_eq!(kraken.tags[0], "Bots");
    assert!(fields(kraken).contains(&("secret", true, "canary-secret")));
    assert!(fields(kraken).contains(&("older-passwords", true, "canary-older")));

    let import = open(&csv, None).unwrap();
    assert_eq!(import.format, Format::KeepassCsv);
    let kraken = &import.items[0];
    assert!(fields(kraken).contains(&("secret", true, "canary \"pass\", word & more")));
    assert!(fields(kraken).contains(&("notes", true, "canary-note\nsecond line")));
    assert!(fields(kraken).iter().any(|(name, ..)| *name == "totp"));
    assert_eq!(import.items.len(), 2);
}
