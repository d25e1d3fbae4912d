//! Stock `age` with `age-plugin-yubikey`, and we, open each other's files with the same key on the practice card.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::{
    env,
    ffi::OsString,
    fs,
    io::Write,
    iter,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use support::{Card, on_a_card};
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceError, DeviceIdentity, KeyInfo, KeyRef, Provision, Purpose,
    TouchPolicy, stanza,
};
use touchkeep_device_piv::PivDevice;

const AUTO: &[&str] = &["--touch", "auto"];

/// `PATH` with the plugin in front.
fn path_with_plugin() -> OsString {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tools = || workspace.join("target/tools/bin");
    let dir = env::var_os("TOUCHKEEP_AGE_PLUGIN_DIR").map_or_else(tools, PathBuf::from);
    assert!(
        dir.join("age-plugin-yubikey").exists(),
        "age-plugin-yubikey is missing in {}: `cargo install age-plugin-yubikey --version 0.5.1 --locked --root target/tools`",
        dir.display()
    );
    let path = env::var_os("PATH").unwrap();
    env::join_paths(iter::once(dir).chain(env::split_paths(&path))).unwrap()
}

fn encrypted(key: &KeyInfo, text: &[u8]) -> Vec<u8> {
    let recipient = stanza::recipient(key).unwrap();
    let recipient: &dyn age::Recipient = &*recipient;
    let mut out = Vec::new();
    let encryptor = age::Encryptor::with_recipients(iter::once(recipient)).unwrap();
    let mut writer = encryptor.wrap_output(&mut out).unwrap();
    writer.write_all(text).unwrap();
    writer.finish().unwrap();
    out
}

/// `age -d` on a terminal where somebody types the PIN. The plugin throws away what was typed before its question, so the
/// answer comes when the question stands.
fn decrypted_by_age(card: &Card, identity: &str, file: &[u8]) -> Vec<u8> {
    let write = |name: &str, bytes: &[u8]| fs::write(card.dir.join(name), bytes).unwrap();
    write("identity.txt", format!("{identity}\n").as_bytes());
    write("file.age", file);
    write(
        "age.exp",
        b"set timeout 30
spawn age -d -i identity.txt -o plain file.age
expect {
    -nocase \"enter pin\" { after 400; send \"$env(TEST_PIN)\\r\"; exp_continue }
    timeout { exit 91 }
    eof
}
exit [lindex [wait] 3]
",
    );
    let output = Command::new("expect")
        .arg("age.exp")
        .current_dir(&card.dir)
        .env("PATH", path_with_plugin())
        .env("TEST_PIN", support::PIN)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    fs::read(card.dir.join("plain")).unwrap()
}

/// What the plugin itself makes: its identity and its recipient. Somebody types the PIN, and the name of nothing else.
fn plugin_identity(card: &Card, slot: u8, touch: &str) -> (String, String) {
    fs::write(
        card.dir.join("generate.exp"),
        format!(
            "set timeout 30
spawn age-plugin-yubikey --generate --slot {slot} --name theirs --pin-policy once --touch-policy {touch} --force
expect {{
    -nocase \"enter pin\" {{ after 400; send \"$env(TEST_PIN)\\r\"; exp_continue }}
    timeout {{ exit 91 }}
    eof
}}
exit [lindex [wait] 3]
"
        ),
    )
    .unwrap();
    let output = Command::new("expect")
        .arg("generate.exp")
        .current_dir(&card.dir)
        .env("PATH", path_with_plugin())
        .env("TEST_PIN", support::PIN)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let find = |start: &str| {
        let words = text.split_whitespace();
        let mut found = words.filter(|word| word.starts_with(start));
        found
            .next_back()
            .unwrap_or_else(|| panic!("{text}"))
            .to_owned()
    };
    (find("AGE-PLUGIN-YUBIKEY-1"), find("age1yubikey1"))
}

fn encrypted_by_age(recipient: &str, text: &[u8]) -> Vec<u8> {
    let mut age = Command::new("age")
        .args(["-r", recipient])
        .env("PATH", path_with_plugin())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    age.stdin.take().unwrap().write_all(text).unwrap();
    let output = age.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn with_own_secrets(card: &Card) -> (PivDevice, Pin) {
    let (pin, puk) = (Pin::new(support::PIN.into()), Pin::new(support::PUK.into()));
    let mut device = card.open();
    device.change_factory_secrets(&pin, &puk).unwrap();
    (device, pin)
}

#[test]
fn a_key_of_the_plugin_that_was_there_first_is_left_alone() {
    on_a_card(
        "a_key_of_the_plugin_that_was_there_first_is_left_alone",
        AUTO,
        |card| {
            let (mut device, pin) = with_own_secrets(card);
            // Slot 1 is 82: where ours would be.
            let (identity, recipient) = plugin_identity(card, 1, "cached");
            let file = encrypted_by_age(&recipient, b"theirs");
            let info = device.provision(Auth::Pin(&pin)).unwrap();
            let slots = [Purpose::Unlock, Purpose::Seal, Purpose::SignVault]
                .map(|purpose| info.key(purpose).unwrap().key.0.clone());
            assert_eq!(slots, ["85", "83", "84"]);
            device
                .generate_request_key(Algorithm::P256, TouchPolicy::Never, Auth::Pin(&pin))
                .unwrap();
            assert_eq!(decrypted_by_age(card, &identity, &file), b"theirs");
        },
    );
}

#[test]
fn a_key_that_the_plugin_makes_later_harms_none_of_ours() {
    on_a_card(
        "a_key_that_the_plugin_makes_later_harms_none_of_ours",
        AUTO,
        |card| {
            let (device, pin) = card.enrolled();
            let ours = device.info().clone();
            let (identity, recipient) = plugin_identity(card, 4, "always");
            let file = encrypted_by_age(&recipient, b"theirs");
            assert_eq!(decrypted_by_age(card, &identity, &file), b"theirs");
            let mut device = card.open();
            assert_eq!(device.info(), &ours);
            let unlock = ours.key(Purpose::Unlock).unwrap();
            let opened = encrypted(unlock, b"ours");
            let identity = DeviceIdentity::new(&mut device, unlock.key.clone(), Auth::Pin(&pin));
            assert_eq!(age::decrypt(&identity, &opened).unwrap(), b"ours");
        },
    );
}

#[test]
fn a_key_of_the_plugin_is_adopted_for_unlocking_when_its_owner_wants_it() {
    on_a_card(
        "a_key_of_the_plugin_is_adopted_for_unlocking_when_its_owner_wants_it",
        AUTO,
        |card| {
            let (mut device, pin) = with_own_secrets(card);
            let (identity, recipient) = plugin_identity(card, 1, "cached");
            let key = KeyRef("82".into());
            let adopted = device.adopt_for_unlock(&key).unwrap();
            assert_eq!(adopted.recipient.as_deref(), Some(&recipient[..]));
            assert_eq!(adopted.identity.as_deref(), Some(&identity[..]));
            let info = device.provision(Auth::Pin(&pin)).unwrap();
            assert_eq!(info.key(Purpose::Unlock), Some(&adopted));
            assert_eq!(info.keys.len(), 3, "two were made beside it");

            // A vault that names the key opens with it in a later session, where nobody adopts anything.
            let file = encrypted(&adopted, b"for both");
            let mut later = card.open();
            assert!(later.info().key(Purpose::Unlock).is_none());
            let lent = DeviceIdentity::new(&mut later, key.clone(), Auth::Pin(&pin));
            assert_eq!(age::decrypt(&lent, &file).unwrap(), b"for both");
            // And it is the plugin's as it was.
            assert_eq!(decrypted_by_age(card, &identity, &file), b"for both");
            let taken = later.adopt_for_unlock(&key).unwrap();
            assert_eq!(taken, adopted);
        },
    );
}

#[test]
fn a_key_of_the_plugin_that_is_not_fit_for_unlocking_is_not_adopted_and_it_is_said_why() {
    on_a_card(
        "a_key_of_the_plugin_that_is_not_fit_for_unlocking_is_not_adopted_and_it_is_said_why",
        AUTO,
        |card| {
            let (mut device, pin) = with_own_secrets(card);
            plugin_identity(card, 2, "never");
            let before = card.standing();
            let key = KeyRef("83".into());
            let refused = device.adopt_for_unlock(&key).unwrap_err().to_string();
            assert!(refused.contains("touch policy Never"), "{refused}");
            let nobody = device.adopt_for_unlock(&KeyRef("95".into()));
            assert!(matches!(nobody, Err(DeviceError::NoKey(_))));
            assert_eq!(card.standing(), before);
            let info = device.provision(Auth::Pin(&pin)).unwrap();
            let unlock = &info.key(Purpose::Unlock).unwrap().key;
            assert_eq!(unlock.0, "82");
            // With one of ours there is nothing to adopt.
            let refused = device.adopt_for_unlock(&key).unwrap_err().to_string();
            assert!(refused.contains("beside that in slot 82"), "{refused}");
        },
    );
}

#[test]
fn stock_age_opens_what_is_encrypted_to_our_keys() {
    on_a_card(
        "stock_age_opens_what_is_encrypted_to_our_keys",
        AUTO,
        |card| {
            let (device, _) = card.enrolled();
            for purpose in [Purpose::Unlock, Purpose::Seal] {
                let key = device.info().key(purpose).unwrap();
                let file = encrypted(key, b"recovered without Touchkeep");
                let plain = decrypted_by_age(card, key.identity.as_deref().unwrap(), &file);
                assert_eq!(plain, b"recovered without Touchkeep");
            }
        },
    );
}

#[test]
fn we_open_what_stock_age_encrypts_to_our_key() {
    on_a_card("we_open_what_stock_age_encrypts_to_our_key", AUTO, |card| {
        let (mut device, pin) = card.enrolled();
        let key = device.info().key(Purpose::Unlock).unwrap().clone();
        let file = encrypted_by_age(key.recipient.as_deref().unwrap(), b"from stock age");
        let identity = DeviceIdentity::new(&mut device, key.key, Auth::Pin(&pin));
        assert_eq!(age::decrypt(&identity, &file).unwrap(), b"from stock age");
    });
}

#[test]
fn the_plugin_lists_our_two_keys_and_no_other() {
    on_a_card("the_plugin_lists_our_two_keys_and_no_other", AUTO, |card| {
        let (device, _) = card.enrolled();
        let output = Command::new("age-plugin-yubikey")
            .arg("--list")
            .env("PATH", path_with_plugin())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let listed: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("age1yubikey"))
            .collect();
        let ours: Vec<_> = [Purpose::Unlock, Purpose::Seal]
            .map(|purpose| device.info().key(purpose).unwrap())
            .map(|key| key.recipient.as_deref().unwrap())
            .into();
        assert_eq!(listed, ours, "{text}");
    });
}
