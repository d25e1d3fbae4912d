//! A PKCS#11 token keeps every promise of the conformance suite, on SoftHSM 2 in a folder of the test's own, and a module that
//! crashes, hangs or is not there takes nothing else along.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceError, Provision, Purpose, SignatureScheme, TouchPolicy,
    conformance,
};
use touchkeep_device_pkcs11::{Launch, Options, Pkcs11Device, TokenChoice, tokens};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "271828";

/// A SoftHSM of this test's own, with one token. Its configuration is in the children's environment alone.
struct SoftHsm(TempDir);

impl SoftHsm {
    fn new() -> Self {
        assert!(
            Path::new(MODULE).exists(),
            "SoftHSM 2 is missing: apt install softhsm2"
        );
        let hsm = Self(tempfile::tempdir().unwrap());
        let store = hsm.0.path().join("tokens");
        fs::create_dir(&store).unwrap();
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            store.display()
        );
        fs::write(hsm.config(), text).unwrap();
        hsm.init("touchkeep test");
        hsm
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("softhsm2.conf")
    }

    fn init(&self, label: &str) {
        let output = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label])
            .args(["--so-pin", "31415926", "--pin", PIN])
            .env("SOFTHSM2_CONF", self.config())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn launch(&self, program: PathBuf) -> Launch {
        let config = self.config().into_os_string();
        Launch {
            program,
            args: Vec::new(),
            env: vec![("SOFTHSM2_CONF".into(), config)],
        }
    }

    fn choice(&self) -> TokenChoice {
        let found = tokens(&self.launch(host()), MODULE.into()).unwrap();
        assert_eq!(found.len(), 1);
        found[0].choice.clone()
    }

    fn open(&self, launch: Launch) -> Result<Pkcs11Device, DeviceError> {
        Pkcs11Device::spawn(launch, MODULE.into(), self.choice(), Options::default())
    }

    fn enrolled(&self) -> (Pkcs11Device, Pin) {
        let pin = Pin::new(PIN.into());
        let mut device = self.open(self.launch(host())).unwrap();
        device.provision(Auth::Pin(&pin)).unwrap();
        (device, pin)
    }

    /// A child that crashes or hangs in place of its `at`th answer, once; and the file that says that it did.
    fn faulty(&self, fault: &str, at: u32) -> (Launch, PathBuf) {
        let mark = self.0.path().join(format!("{fault}-{at}"));
        let mut launch = self.launch(host());
        let fault = format!("{fault}:{at}:{}", mark.display());
        launch.env.push(("PKCS11_HOST_FAULT".into(), fault.into()));
        (launch, mark)
    }
}

// Public objects are made without a PIN, so any program of this machine can put a public key on the token whose private
// half it keeps, under our label. A vault that is encrypted to it would be open to that program.
#[test]
fn a_public_key_that_somebody_put_there_is_not_taken_for_ours() {
    for name in ["unlock", "seal", "sign-vault"] {
        let hsm = SoftHsm::new();
        let choice = hsm.choice();
        let (private, public) = (hsm.0.path().join("k.pem"), hsm.0.path().join("k.der"));
        let openssl = |arguments: &[&str]| {
            let output = Command::new("openssl").args(arguments).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        let (private, public) = (private.to_str().unwrap(), public.to_str().unwrap());
        let curve = [
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
        ];
        openssl(&[&curve[..], &[private]].concat());
        let half = ["ec", "-pubout", "-outform", "DER", "-in", private, "-out"];
        openssl(&[&half[..], &[public]].concat());
        let planted = Command::new("pkcs11-tool")
            .args(["--module", MODULE, "--token-label", &choice.label])
            .args(["--write-object", public, "--type", "pubkey", "--id", "00"])
            .args(["--label", &format!("touchkeep {name}")])
            .env("SOFTHSM2_CONF", hsm.config())
            .output()
            .unwrap();
        assert!(planted.status.success(), "{planted:?}");
        let mut device = hsm.open(hsm.launch(host())).unwrap();
        assert_eq!(device.info().keys.len(), 1, "it is seen");
        let pin = Pin::new(PIN.into());
        let made = device.provision(Auth::Pin(&pin));
        assert!(
            matches!(&made, Err(DeviceError::Unexpected(_))),
            "{name}: {made:?}"
        );
    }
}

fn host() -> PathBuf {
    let exe = env::current_exe().unwrap();
    let path = exe
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/pkcs11-host");
    assert!(path.exists(), "{}: build the examples", path.display());
    path
}

fn sign(device: &mut Pkcs11Device, pin: &Pin) -> Result<Vec<u8>, DeviceError> {
    let key = device.info().key(Purpose::SignVault).unwrap().key.clone();
    let scheme = SignatureScheme::EcdsaP256Sha256;
    device.sign(&key, scheme, b"a statement", Auth::Pin(pin))
}

#[test]
fn a_token_of_softhsm_conforms() {
    let hsm = SoftHsm::new();
    let (mut device, pin) = hsm.enrolled();
    let never = TouchPolicy::Never;
    for algorithm in [Algorithm::Rsa2048, Algorithm::P256] {
        device
            .generate_request_key(algorithm, never, Auth::Pin(&pin))
            .unwrap();
    }
    let always = TouchPolicy::Always;
    let refused = device.generate_request_key(Algorithm::Rsa2048, always, Auth::Pin(&pin));
    assert!(matches!(refused, Err(DeviceError::Unsupported(_))));

    // Another child reads the same keys, without a PIN; and nothing is made twice.
    let again = hsm.open(hsm.launch(host())).unwrap();
    assert_eq!(again.info(), device.info());
    let info = device.info().clone();
    assert_eq!(device.provision(Auth::Pin(&pin)).unwrap(), info);

    let wrong = Pin::new("000000".into());
    conformance::run(&mut conformance::Bench {
        device: &mut device,
        right: Auth::Pin(&pin),
        wrong: Auth::Pin(&wrong),
        before_use: &mut |_| {},
        secrets_sent: None,
    });
}

#[test]
fn a_token_is_chosen_by_serial_and_label_and_never_by_slot() {
    let hsm = SoftHsm::new();
    let choice = hsm.choice();
    hsm.init("another");
    let launch = hsm.launch(host());
    let found = tokens(&launch, MODULE.into()).unwrap();
    assert_eq!(found.len(), 2);
    for label in ["another", "touchkeep tes"] {
        let stranger = TokenChoice {
            label: label.into(),
            ..choice.clone()
        };
        let options = Options::default();
        let opened = Pkcs11Device::spawn(launch.clone(), MODULE.into(), stranger, options);
        assert!(matches!(opened, Err(DeviceError::Removed)));
    }
    let opened = Pkcs11Device::spawn(launch, MODULE.into(), choice.clone(), Options::default());
    assert_eq!(opened.unwrap().info().serial, Some(choice.serial));
}

#[test]
fn a_crash_at_any_answer_is_an_error_and_the_next_use_works() {
    let hsm = SoftHsm::new();
    let (_, pin) = hsm.enrolled();
    // Opening takes three answers; the fourth is the signature.
    for at in 1..=4 {
        let (launch, mark) = hsm.faulty("crash", at);
        if at < 4 {
            let crashed = hsm.open(launch.clone());
            assert!(matches!(crashed, Err(DeviceError::Middleware(_))), "{at}");
        }
        let mut device = hsm.open(launch).unwrap();
        if at == 4 {
            let crashed = sign(&mut device, &pin);
            assert!(matches!(crashed, Err(DeviceError::Middleware(_))));
        }
        assert!(mark.exists());
        sign(&mut device, &pin).unwrap();
    }
}

#[test]
fn a_child_that_hangs_is_given_up_and_ended() {
    let hsm = SoftHsm::new();
    let (_, pin) = hsm.enrolled();
    let (launch, mark) = hsm.faulty("hang", 4);
    let mut device = hsm.open(launch).unwrap();
    let started = Instant::now();
    let hung = sign(&mut device, &pin);
    assert!(matches!(hung, Err(DeviceError::Middleware(_))));
    assert!(started.elapsed() < Duration::from_secs(7));
    let child = fs::read_to_string(mark).unwrap();
    assert!(
        !Path::new("/proc").join(child).exists(),
        "the child is still there"
    );
    sign(&mut device, &pin).unwrap();
}

#[test]
fn a_module_that_everybody_may_replace_is_not_loaded() {
    let hsm = SoftHsm::new();
    let copy = hsm.0.path().join("module.so");
    fs::copy(MODULE, &copy).unwrap();
    let launch = hsm.launch(host());
    assert_eq!(tokens(&launch, copy.clone()).unwrap().len(), 1);
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o777)).unwrap();
    for bad in [copy, "libsofthsm2.so".into(), "/nonexistent.so".into()] {
        assert!(matches!(
            tokens(&launch, bad),
            Err(DeviceError::Middleware(_))
        ));
    }
    // A file that is no module is said to be none, by the child.
    let text = hsm.0.path().join("text.so");
    fs::write(&text, b"not a module").unwrap();
    assert!(matches!(
        tokens(&launch, text),
        Err(DeviceError::Middleware(_))
    ));
}

#[test]
fn the_child_ends_with_the_device() {
    let hsm = SoftHsm::new();
    let device = hsm.open(hsm.launch(host())).unwrap();
    assert_eq!(children().len(), 1);
    drop(device);
    assert!(children().is_empty());
}

/// The child processes that this thread started.
fn children() -> Vec<String> {
    let children = fs::read_to_string("/proc/thread-self/children").unwrap();
    children.split_whitespace().map(String::from).collect()
}
