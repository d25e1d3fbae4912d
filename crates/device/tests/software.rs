//! The software device keeps every promise of the conformance suite, and stock `age` opens what is encrypted to it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::{cell::Cell, fs, iter, process::Command};

use touchkeep_core::Passphrase;
use touchkeep_device::{
    Auth, Device, DeviceError, DeviceIdentity, Purpose, SoftwareDevice, conformance, software,
    stanza,
};

const FAST: u8 = 4;

fn device(passphrase: &Passphrase) -> SoftwareDevice {
    let (sealed, info) = software::generate(passphrase, FAST).unwrap();
    SoftwareDevice::new(info, sealed)
}

fn encrypted(device: &SoftwareDevice, text: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let recipient = stanza::recipient(device.info().key(Purpose::Unlock).unwrap()).unwrap();
    let recipient: &dyn age::Recipient = &*recipient;
    let mut out = Vec::new();
    let mut writer = age::Encryptor::with_recipients(iter::once(recipient))
        .unwrap()
        .wrap_output(&mut out)
        .unwrap();
    writer.write_all(text).unwrap();
    writer.finish().unwrap();
    out
}

#[test]
fn software_device_conforms() {
    let (right, wrong) = (
        Passphrase::new("correct horse".into()),
        Passphrase::new("battery staple".into()),
    );
    let uses = Cell::new(0);
    conformance::run(&mut conformance::Bench {
        device: &mut device(&right),
        right: Auth::Passphrase(&right),
        wrong: Auth::Passphrase(&wrong),
        before_use: &mut |_| uses.set(uses.get() + 1),
        secrets_sent: None,
        macs: &[],
    });
    assert!(uses.get() > 0);
}

#[test]
fn a_whole_file_opens_through_the_device_and_a_refusal_says_why() {
    let (right, wrong) = (
        Passphrase::new("correct horse".into()),
        Passphrase::new("battery staple".into()),
    );
    let mut device = device(&right);
    let file = encrypted(&device, b"hello");
    let key = device.info().key(Purpose::Unlock).unwrap().key.clone();

    let identity = DeviceIdentity::new(&mut device, key.clone(), Auth::Passphrase(&right));
    assert_eq!(age::decrypt(&identity, &file).unwrap(), b"hello");
    assert!(identity.failure().is_none());

    let identity = DeviceIdentity::new(&mut device, key, Auth::Passphrase(&wrong));
    age::decrypt(&identity, &file).unwrap_err();
    assert!(matches!(
        identity.failure(),
        Some(DeviceError::WrongPassphrase)
    ));
}

/// Recovery needs no Touchkeep: the device's file is an identity file that stock `age` takes as it is.
#[test]
fn stock_age_opens_a_file_with_the_devices_own_file() {
    let passphrase = Passphrase::new("correct horse".into());
    let (sealed, info) = software::generate(&passphrase, FAST).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    write("device.age", &sealed);
    let device = SoftwareDevice::new(info, sealed);
    write("file.age", &encrypted(&device, b"recovered"));
    write(
        "age.exp",
        b"set timeout 30
spawn age -d -i device.age -o plain file.age
expect {
    -nocase \"enter passphrase\" { send \"correct horse\\r\"; exp_continue }
    timeout { exit 91 }
    eof
}
exit [lindex [wait] 3]
",
    );
    let output = Command::new("expect")
        .arg("age.exp")
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read(dir.path().join("plain")).unwrap(), b"recovered");
}
