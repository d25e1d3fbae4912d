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
use touchkeep_device::{Auth, Device, DeviceIdentity, KeyInfo, Purpose, stanza};

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
        let mut age = Command::new("age")
            .args(["-r", key.recipient.as_deref().unwrap()])
            .env("PATH", path_with_plugin())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        age.stdin
            .take()
            .unwrap()
            .write_all(b"from stock age")
            .unwrap();
        let output = age.wait_with_output().unwrap();
        assert!(output.status.success());
        let identity = DeviceIdentity::new(&mut device, key.key, Auth::Pin(&pin));
        assert_eq!(
            age::decrypt(&identity, &output.stdout).unwrap(),
            b"from stock age"
        );
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
