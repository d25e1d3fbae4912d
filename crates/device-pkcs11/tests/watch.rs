//! A token that is taken away is seen to go, and a module that fails is not taken for it: SoftHSM, whose token is a folder, and the
//! shim in front of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::{fs, path::PathBuf};

use support::{MODULE, SoftHsm, children, host, shim, sign};
use touchkeep_device::{Auth, DeviceError};
use touchkeep_device_pkcs11::{Options, Pkcs11Device, Seen, tokens};

impl SoftHsm {
    /// The only token's folder, and where it is when it was taken away.
    fn folder(&self) -> [PathBuf; 2] {
        let store = self.0.path().join("tokens");
        let there = fs::read_dir(&store).unwrap().next().unwrap().unwrap();
        [there.path(), self.0.path().join("away")]
    }
}

#[test]
fn a_token_that_is_taken_away_is_gone_and_comes_back() {
    let hsm = SoftHsm::new();
    let (mut device, pin) = hsm.enrolled();
    let mut watch = device.watch();
    assert_eq!(watch.look().unwrap(), Seen::There);
    let [there, away] = hsm.folder();
    for _ in 0..2 {
        fs::rename(&there, &away).unwrap();
        assert_eq!(watch.look().unwrap(), Seen::Gone);
        assert_eq!(watch.look().unwrap(), Seen::Gone);
        fs::rename(&away, &there).unwrap();
        assert_eq!(watch.look().unwrap(), Seen::There);
    }
    assert!(!watch.is_by_socket());
    drop(watch);
    sign(&mut device, Auth::Pin(&pin)).unwrap();
}

#[test]
fn another_token_that_goes_is_none_of_its_business() {
    let hsm = SoftHsm::new();
    let (device, _) = hsm.enrolled();
    let [own, _] = hsm.folder();
    hsm.init("another");
    let mut watch = device.watch();
    assert_eq!(watch.look().unwrap(), Seen::There);
    let mut folders = fs::read_dir(own.parent().unwrap()).unwrap();
    let other = folders.find(|it| it.as_ref().unwrap().path() != own);
    fs::rename(other.unwrap().unwrap().path(), hsm.0.path().join("away")).unwrap();
    for _ in 0..2 {
        assert_eq!(watch.look().unwrap(), Seen::There);
    }
}

// One after the other, as the agent has it: neither makes the other fail. (SoftHSM writes its files anew at each login, and a look
// just then may fail, or miss the token.)
#[test]
fn a_look_disturbs_no_use() {
    let hsm = SoftHsm::new();
    let (mut device, pin) = hsm.enrolled();
    let mut watch = device.watch();
    for _ in 0..50 {
        assert_eq!(watch.look().unwrap(), Seen::There);
        sign(&mut device, Auth::Pin(&pin)).unwrap();
    }
}

#[test]
fn a_module_that_fails_has_not_said_that_the_token_is_gone() {
    let hsm = SoftHsm::new();
    let shim = shim(hsm.0.path());
    let mut launch = hsm.launch(host());
    let dir = hsm.0.path().into();
    launch.env.push(("PKCS11_SHIM_DIR".into(), dir));
    launch
        .env
        .push(("PKCS11_SHIM_MODULE".into(), MODULE.into()));
    let choice = tokens(&launch, shim.clone()).unwrap()[0].choice.clone();
    let device = Pkcs11Device::spawn(launch, shim.clone(), choice, Options::default()).unwrap();
    let mut watch = device.watch();
    let spec = hsm.0.path().join("spec");
    let mut fired = 0;
    for (number, fault) in [
        "crash",
        "exit",
        "hang",
        "general-error",
        "device-removed",
        "token-not-present",
    ]
    .into_iter()
    .enumerate()
    {
        for at in 1..=4 {
            if fault == "hang" && at > 1 {
                break;
            }
            assert_eq!(watch.look().unwrap(), Seen::There);
            let part = spec.with_extension("part");
            fs::write(&part, format!("{fault} {at} {}", 10 * number + at)).unwrap();
            fs::rename(part, &spec).unwrap();
            // A new child says that it is there.
            assert_eq!(watch.look().unwrap(), Seen::There, "{fault} at {at}");
            fired += usize::from(fs::remove_file(&spec).is_err());
        }
    }
    assert!(fired > 10, "{fired} came");

    // Nor has one that cannot be loaded any more, as while it is updated.
    fs::rename(&shim, shim.with_extension("old")).unwrap();
    assert_eq!(watch.look().unwrap(), Seen::There, "it is loaded still");
    fs::write(&spec, "crash 1 100").unwrap();
    for _ in 0..2 {
        let unknown = watch.look();
        assert!(
            matches!(unknown, Err(DeviceError::Middleware(_))),
            "{unknown:?}"
        );
    }
    fs::copy(shim.with_extension("old"), &shim).unwrap();
    assert_eq!(watch.look().unwrap(), Seen::There);
    drop((watch, device));
    assert_eq!(children(), Vec::<String>::new());
}
