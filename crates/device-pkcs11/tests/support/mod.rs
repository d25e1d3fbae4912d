//! A SoftHSM of a test's own, and the child that hosts it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly, and each uses a part of this"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use touchkeep_core::Pin;
use touchkeep_device::{Auth, Device, DeviceError, Provision, Purpose, SignatureScheme};
use touchkeep_device_pkcs11::{Launch, Options, Pkcs11Device, TokenChoice, tokens};

pub(crate) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
pub(crate) const PIN: &str = "271828";

/// A SoftHSM of this test's own, with one token. Its configuration is in the children's environment alone.
pub(crate) struct SoftHsm(pub(crate) TempDir);

impl SoftHsm {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn config(&self) -> PathBuf {
        self.0.path().join("softhsm2.conf")
    }

    pub(crate) fn init(&self, label: &str) {
        let output = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label])
            .args(["--so-pin", "31415926", "--pin", PIN])
            .env("SOFTHSM2_CONF", self.config())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    pub(crate) fn launch(&self, program: PathBuf) -> Launch {
        let config = self.config().into_os_string();
        Launch {
            program,
            args: Vec::new(),
            env: vec![("SOFTHSM2_CONF".into(), config)],
        }
    }

    pub(crate) fn choice(&self) -> TokenChoice {
        let found = tokens(&self.launch(host()), PathBuf::from(MODULE)).unwrap();
        assert_eq!(found.len(), 1);
        found[0].choice.clone()
    }

    pub(crate) fn open(&self, launch: Launch) -> Result<Pkcs11Device, DeviceError> {
        self.open_with(launch, Options::default())
    }

    pub(crate) fn open_with(
        &self,
        launch: Launch,
        options: Options,
    ) -> Result<Pkcs11Device, DeviceError> {
        Pkcs11Device::spawn(launch, PathBuf::from(MODULE), self.choice(), options)
    }

    pub(crate) fn enrolled(&self) -> (Pkcs11Device, Pin) {
        self.enrolled_with(Options::default())
    }

    pub(crate) fn enrolled_with(&self, options: Options) -> (Pkcs11Device, Pin) {
        let pin = Pin::new(PIN.into());
        let mut device = self.open_with(self.launch(host()), options).unwrap();
        device.provision(Auth::Pin(&pin)).unwrap();
        (device, pin)
    }

    /// `pkcs11-tool` on this SoftHSM: another implementation's view of the token.
    pub(crate) fn tool(&self, arguments: &[&str]) -> String {
        let output = Command::new("pkcs11-tool")
            .args(["--module", MODULE])
            .args(arguments)
            .env("SOFTHSM2_CONF", self.config())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Builds the module that forwards to another one (`shim/shim.c`).
pub(crate) fn shim(dir: &Path) -> PathBuf {
    let shim = dir.join("shim.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shim/shim.c");
    let built = Command::new("cc")
        .args(["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
        .args([shim.as_os_str(), source.as_ref()])
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    shim
}

/// The child's program: an example of this crate, so that it is built with the tests.
pub(crate) fn host() -> PathBuf {
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

pub(crate) fn sign(device: &mut Pkcs11Device, auth: Auth<'_>) -> Result<Vec<u8>, DeviceError> {
    let key = device.info().key(Purpose::SignVault).unwrap().key.clone();
    let scheme = SignatureScheme::EcdsaP256Sha256;
    device.sign(&key, scheme, b"a statement", auth)
}

/// Wraps a file key to the key of that purpose, and has the token open it.
pub(crate) fn unwrap(
    device: &mut Pkcs11Device,
    purpose: Purpose,
    auth: Auth<'_>,
) -> Result<(), DeviceError> {
    use age_core::{format::FileKey, secrecy::ExposeSecret};
    let info = device.info().key(purpose).unwrap().clone();
    let file_key = FileKey::init_with_mut(|place| place.copy_from_slice(b"yellow submarine"));
    let recipient = touchkeep_device::stanza::recipient(&info).unwrap();
    let (stanzas, _) = recipient.wrap_file_key(&file_key).unwrap();
    let opened = device.unwrap_file_key(&info.key, &stanzas, auth)?;
    assert_eq!(opened.expose_secret(), b"yellow submarine");
    Ok(())
}

/// The child processes of this process.
pub(crate) fn children() -> Vec<String> {
    let mut children = Vec::new();
    for thread in fs::read_dir("/proc/self/task").unwrap() {
        let text = fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default();
        children.extend(text.split_whitespace().map(String::from));
    }
    children
}
