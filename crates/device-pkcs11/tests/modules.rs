//! Modules of others: NSS, which decrypts RSA-OAEP itself and wants an argument; ykcs11 and OpenSC over the practice card, whose
//! keys were made by the maker's own tool.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use support::{host, shim, unwrap};
use tempfile::TempDir;
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceError, HandedKey, KeyRef, Provision, Purpose, SignatureScheme,
    TouchPolicy, conformance,
};
use touchkeep_device_pkcs11::{Launch, ModuleFile, NamedKey, Options, Pkcs11Device, Seen, tokens};

/// The module of that name below /usr/lib, in whichever architecture's folder it is.
fn module(name: &str, package: &str) -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap();
    let places = folders.map(|folder| folder.unwrap().path().join(name));
    let found = places.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is missing: apt install {package}"))
}

fn run(program: &str, arguments: &[&str], envs: &[(&str, &Path)]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .envs(envs.iter().copied())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?} {output:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

fn conforms(
    device: &mut Pkcs11Device,
    [pin, wrong]: [&Pin; 2],
    purposes: &[Purpose],
    mut sent: Option<impl FnMut() -> u64>,
) {
    let mut bench = conformance::Bench {
        device,
        right: Auth::Pin(pin),
        wrong: Auth::Pin(wrong),
        before_use: &mut |_| {},
        secrets_sent: sent.as_mut().map(|sent| sent as &mut dyn FnMut() -> u64),
        macs: &[],
    };
    conformance::run_for(&mut bench, purposes);
}

const VAULT: [Purpose; 3] = [Purpose::Unlock, Purpose::Seal, Purpose::SignVault];

/// A key database of NSS in a folder of the test's own.
struct Nss(TempDir);

const NSS_PIN: &str = "a passphrase of nss";

impl Nss {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pin = dir.path().join("pin");
        fs::write(&pin, NSS_PIN).unwrap();
        let place = format!("sql:{}", dir.path().display());
        run(
            "certutil",
            &["-N", "-d", &place, "-f", pin.to_str().unwrap()],
            &[],
        );
        Self(dir)
    }

    fn open(&self, options: Options) -> Pkcs11Device {
        let behind = module("libsoftokn3.so", "libnss3").into_os_string();
        let launch = Launch {
            program: host(),
            args: Vec::new(),
            env: vec![
                ("PKCS11_SHIM_DIR".into(), self.0.path().into()),
                ("PKCS11_SHIM_MODULE".into(), behind),
            ],
        };
        let mut module = ModuleFile::from(shim(self.0.path()));
        // Without its argument it says so.
        assert!(tokens(&launch, module.clone()).is_err());
        module.init = Some(format!(
            "configdir='sql:{}' certPrefix='' keyPrefix='' secmod='secmod.db'",
            self.0.path().display()
        ));
        let found = tokens(&launch, module.clone()).unwrap();
        let choice = found
            .into_iter()
            .map(|token| token.choice)
            .find(|choice| choice.label == "NSS Certificate DB")
            .unwrap();
        Pkcs11Device::spawn(launch, module, choice, options).unwrap()
    }
}

// The shim tells with which mechanism it decrypts; 9 is RSA-OAEP, 3 is plain RSA.
#[test]
fn nss_conforms_with_p256_and_with_rsa() {
    for (file_keys, algorithm) in [
        (None, Algorithm::P256),
        (Some(Algorithm::Rsa2048), Algorithm::Rsa2048),
    ] {
        let nss = Nss::new();
        let mut device = nss.open(Options {
            file_keys,
            ..Options::default()
        });
        let pin = Pin::new(NSS_PIN.into());
        // It does not say that it keeps its keys, and then none is made.
        let refused = device.provision(Auth::Pin(&pin));
        assert!(
            matches!(refused, Err(DeviceError::Unexpected(_))),
            "{refused:?}"
        );
        let mut device = nss.open(Options {
            file_keys,
            danger_keys_may_leave: true,
            ..Options::default()
        });
        assert!(device.info().keys.is_empty());
        device.provision(Auth::Pin(&pin)).unwrap();
        assert_eq!(
            device.info().key(Purpose::Unlock).unwrap().algorithm,
            algorithm
        );
        device
            .generate_request_key(Algorithm::Rsa2048, TouchPolicy::Never, Auth::Pin(&pin))
            .unwrap();
        let wrong = Pin::new("another passphrase".into());
        conforms(&mut device, [&pin, &wrong], &VAULT, None::<fn() -> u64>);

        device.keep_session();
        unwrap(&mut device, Purpose::Unlock, Auth::Pin(&pin)).unwrap();
        unwrap(&mut device, Purpose::Seal, Auth::Nothing).unwrap();
        device.end_session().unwrap();
        let handed = HandedKey::hmac(Algorithm::HmacSha256, b"key").unwrap();
        let key = device
            .import_request_key(&handed, TouchPolicy::Never, Auth::Pin(&pin))
            .unwrap();
        let mac = device
            .sign(
                &key.key,
                SignatureScheme::HmacSha256,
                b"The quick brown fox jumps over the lazy dog",
                Auth::Pin(&pin),
            )
            .unwrap();
        // The example that everybody has.
        assert_eq!(
            hex(&mac),
            "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
        );
        let mechanisms = fs::read_to_string(nss.0.path().join("decrypts")).unwrap_or_default();
        // Nothing but the six forgeries of the suite is looked at without the token's padding.
        let begun = |with: &str| mechanisms.lines().filter(|line| *line == with).count();
        let forged = if file_keys.is_some() { 6 } else { 0 };
        assert_eq!(begun("3"), forged, "{mechanisms}");
        assert_eq!(begun("9") > forged, file_keys.is_some(), "{mechanisms}");
        // What it cannot: Ed25519.
        let never = TouchPolicy::Never;
        let refused = device.generate_request_key(Algorithm::Ed25519, never, Auth::Pin(&pin));
        assert!(
            matches!(refused, Err(DeviceError::Unsupported(_))),
            "{refused:?}"
        );
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The practice card in a reader of its own. Its PIN and management key are the factory's, as the maker's tool takes them.
struct Card {
    dir: TempDir,
    reader: Child,
}

const PIV_PIN: &str = "123456";

impl Card {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut reader = Command::new(practice())
            .args(["reader", "--touch", "auto", "--dir"])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = reader.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).expect("the reader says ready");
        assert_eq!(ready["ready"], true, "{line}");
        Self { dir, reader }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("run/pcscd.comm")
    }

    /// Makes a key with yubico-piv-tool, and gives it a certificate, without which OpenSC does not see it.
    fn make(&self, slot: &str, algorithm: &str) {
        let at = |name: &str| self.dir.path().join(name).to_str().unwrap().to_string();
        let (key, other, request, certificate) = (at("key"), at("other"), at("csr"), at("crt"));
        let socket = self.socket();
        let envs = [("PCSCLITE_CSOCK_NAME", socket.as_path())];
        let tool = |arguments: &[&str]| run("yubico-piv-tool", arguments, &envs);
        tool(&["-a", "generate", "-s", slot, "-A", algorithm, "-o", &key]);
        let new = [
            "req", "-new", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=test",
        ];
        run(
            "openssl",
            &[&new[..], &["-keyout", &other, "-out", &request]].concat(),
            &[],
        );
        let sign = ["x509", "-req", "-in", &request, "-signkey", &other];
        let forced = ["-force_pubkey", &key, "-out", &certificate];
        run("openssl", &[&sign[..], &forced].concat(), &[]);
        tool(&["-a", "import-certificate", "-s", slot, "-i", &certificate]);
    }

    fn open(&self, module: PathBuf, named: Vec<NamedKey>) -> Pkcs11Device {
        let socket = self.socket().into_os_string();
        let launch = Launch {
            program: host(),
            args: Vec::new(),
            env: vec![("PCSCLITE_CSOCK_NAME".into(), socket)],
        };
        let found = tokens(&launch, module.clone()).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        let options = Options {
            named,
            ..Options::default()
        };
        Pkcs11Device::spawn(launch, module, found[0].choice.clone(), options).unwrap()
    }

    fn ask(&self, what: &str) -> serde_json::Value {
        let mut stream = UnixStream::connect(self.dir.path().join("card.sock")).unwrap();
        writeln!(stream, "{what}").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// How often a PIN was presented, and tries that are left, as the card counts them.
    fn verified(&self) -> (u64, u64) {
        let state = self.ask(r#"{"do":"state"}"#);
        let number = |name: &str| state[name].as_u64().unwrap();
        (number("verify_count"), number("pin_tries"))
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        kill_process(Pid::from_child(&self.reader), Signal::TERM).unwrap();
        self.reader.wait().unwrap();
    }
}

fn practice() -> PathBuf {
    let beside = || {
        host()
            .parent()
            .unwrap()
            .parent()
            .unwrap()
            .join("touchkeep-practice")
    };
    let path = env::var_os("TOUCHKEEP_PRACTICE").map_or_else(beside, PathBuf::from);
    assert!(
        path.exists(),
        "{} is missing: `cargo build -p touchkeep-practice`, or name it in TOUCHKEEP_PRACTICE",
        path.display()
    );
    path
}

fn named(id: &str, purpose: Purpose, asks_each_time: bool) -> NamedKey {
    NamedKey {
        key: KeyRef(id.into()),
        purpose,
        asks_each_time,
    }
}

// CKA_ID in ykcs11: 02 is slot 9c, whose PIN policy is "always"; 05 to 07 are 82 to 84.
#[test]
fn ykcs11_conforms_over_a_piv_card() {
    let card = Card::new();
    for (slot, algorithm) in [
        ("82", "ECCP256"),
        ("83", "RSA2048"),
        ("84", "ECCP256"),
        ("9c", "ECCP256"),
    ] {
        card.make(slot, algorithm);
    }
    let module = module("libykcs11.so", "ykcs11");
    let keys = vec![
        named("05", Purpose::Unlock, false),
        named("06", Purpose::Seal, false),
        named("07", Purpose::SignVault, false),
        named("02", Purpose::Request, true),
    ];
    let mut device = card.open(module.clone(), keys);
    let pin = Pin::new(PIV_PIN.into());
    // It makes none, and has those prove themselves.
    device.provision(Auth::Pin(&pin)).unwrap();
    let wrong = Pin::new("000000".into());
    let (before, tries) = card.verified();
    let sent = || card.verified().0;
    conforms(&mut device, [&pin, &wrong], &VAULT, Some(sent));
    let (after, left) = card.verified();
    assert_eq!(
        left, tries,
        "the wrong PIN cost one try, and the right one gave it back"
    );
    // Two keys open one stanza and refuse three; one wrong entry and one right; two signatures, one of which asks once more.
    assert_eq!(after - before, 2 * 4 + 2 + 2 + 1, "one for each entry");

    // It has no key of ours by label, and does not make any.
    let mut by_label = card.open(module, Vec::new());
    assert!(by_label.info().keys.is_empty());
    assert!(by_label.provision(Auth::Pin(&pin)).is_err());
}

// CKA_ID in OpenSC: 01 is slot 9a, 03 is 9d, 05 is 82.
#[test]
fn opensc_conforms_for_what_it_can_over_a_piv_card() {
    let card = Card::new();
    for slot in ["9a", "9d", "82"] {
        card.make(slot, "ECCP256");
    }
    let module = module("opensc-pkcs11.so", "opensc-pkcs11");
    let pin = Pin::new(PIV_PIN.into());
    let (unlock, sign) = (Purpose::Unlock, Purpose::SignVault);
    let keys = vec![named("03", unlock, false), named("01", sign, false)];
    let mut device = card.open(module.clone(), keys);
    let wrong = Pin::new("000000".into());
    let sent = || card.verified().0;
    conforms(&mut device, [&pin, &wrong], &[unlock, sign], Some(sent));
    assert_eq!(card.verified().1, 3);

    // Why it has no more: retired slots are not shown, 9a only signs, 9d only agrees.
    let hidden = card.open(module.clone(), vec![named("05", Purpose::Seal, false)]);
    assert!(hidden.info().keys.is_empty());
    let keys = vec![named("01", unlock, false), named("03", sign, false)];
    let mut crossed = card.open(module, keys);
    let agreed = unwrap(&mut crossed, unlock, Auth::Pin(&pin));
    assert!(
        matches!(agreed, Err(DeviceError::Unsupported(_))),
        "{agreed:?}"
    );
    let key = crossed.info().key(sign).unwrap().key.clone();
    let scheme = SignatureScheme::EcdsaP256Sha256;
    let signed = crossed.sign(&key, scheme, b"x", Auth::Pin(&pin));
    assert!(
        matches!(signed, Err(DeviceError::Unsupported(_))),
        "{signed:?}"
    );
}

#[test]
fn a_card_that_is_pulled_is_seen_to_go_and_looks_send_it_no_pin() {
    let card = Card::new();
    for (name, package) in [
        ("opensc-pkcs11.so", "opensc-pkcs11"),
        ("libykcs11.so", "ykcs11"),
    ] {
        let mut watch = card.open(module(name, package), Vec::new()).watch();
        let before = card.verified();
        for _ in 0..5 {
            assert_eq!(watch.look().unwrap(), Seen::There, "{name}");
        }
        assert!(watch.is_by_socket(), "{name}");
        for _ in 0..2 {
            card.ask(r#"{"do":"remove"}"#);
            assert_eq!(watch.look().unwrap(), Seen::Gone, "{name}");
            card.ask(r#"{"do":"insert"}"#);
            assert_eq!(watch.look().unwrap(), Seen::There, "{name}");
        }
        assert_eq!(card.verified(), before, "{name}");
    }
}

/// A TPM in software of the test's own, and the token that tpm2-pkcs11 makes of it.
struct Tpm {
    dir: TempDir,
    emulator: Child,
}

impl Tpm {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        fs::create_dir(at("state")).unwrap();
        fs::create_dir(at("store")).unwrap();
        let emulator = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={}", at("state"))])
            .args(["--server", &format!("type=unixio,path={}", at("socket"))])
            // What libtss2 finds the control channel by.
            .args(["--ctrl", &format!("type=unixio,path={}", at("socket.ctrl"))])
            .spawn()
            .expect("swtpm is missing: apt install swtpm");
        while !dir.path().join("socket").exists() {
            std::thread::yield_now();
        }
        let tpm = Self { dir, emulator };
        let (so, first) = (["--so-pin", "31415926"], ["--slot-index", "0"]);
        let init = ["--init-token", "--label", "touchkeep test"];
        tpm.tool(&[&first[..], &so, &init].concat());
        let login = [
            "--login",
            "--login-type",
            "so",
            "--init-pin",
            "--pin",
            support::PIN,
        ];
        tpm.tool(&[&first[..], &so, &login].concat());
        tpm
    }

    fn module() -> PathBuf {
        module("libtpm2_pkcs11.so.1", "libtpm2-pkcs11-1")
    }

    fn env(&self) -> [(&'static str, String); 4] {
        let dir = self.dir.path().display();
        [
            ("TPM2_PKCS11_STORE", format!("{dir}/store")),
            ("TPM2_PKCS11_TCTI", format!("swtpm:path={dir}/socket")),
            ("TPM2_PKCS11_BACKEND", "esysdb".into()),
            ("TSS2_LOG", "all+none".into()),
        ]
    }

    fn tool(&self, arguments: &[&str]) {
        let output = Command::new("pkcs11-tool")
            .arg("--module")
            .arg(Self::module())
            .args(arguments)
            .envs(self.env())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn open(&self) -> Pkcs11Device {
        let env = self.env().map(|(name, value)| (name.into(), value.into()));
        let launch = Launch {
            program: host(),
            args: Vec::new(),
            env: env.to_vec(),
        };
        let found = tokens(&launch, Self::module()).unwrap();
        let choice = found[0].choice.clone();
        Pkcs11Device::spawn(launch, Self::module(), choice, Options::default()).unwrap()
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        kill_process(Pid::from_child(&self.emulator), Signal::TERM).unwrap();
        self.emulator.wait().unwrap();
    }
}

// A TPM does not agree on keys in this module, and hashes labels in its own way: both are found by trying. Without a resource
// manager in front of it there is room for one key at a time, so enrolment ends after the first.
#[test]
fn a_token_without_key_agreement_gets_an_rsa_key_by_itself() {
    let tpm = Tpm::new();
    let mut device = tpm.open();
    let pin = Pin::new(support::PIN.into());
    let ended = device.provision(Auth::Pin(&pin));
    assert!(
        matches!(ended, Err(DeviceError::Unsupported(_))),
        "{ended:?}"
    );
    drop(device);

    let mut device = tpm.open();
    let keys = device.info().keys.clone();
    assert_eq!(keys.len(), 1, "what was tried in vain is gone: {keys:?}");
    assert_eq!(keys[0].purpose, Purpose::Unlock);
    assert!(matches!(
        keys[0].algorithm,
        Algorithm::Rsa3072 | Algorithm::Rsa2048
    ));
    unwrap(&mut device, Purpose::Unlock, Auth::Pin(&pin)).unwrap();
    let wrong = Pin::new("000000".into());
    conforms(
        &mut device,
        [&pin, &wrong],
        &[Purpose::Unlock],
        None::<fn() -> u64>,
    );
}
