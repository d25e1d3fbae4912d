//! A PKCS#11 token keeps every promise of the conformance suite, on SoftHSM 2 in a folder of the test's own, and a module that
//! crashes, hangs or is not there takes nothing else along.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use support::{MODULE, PIN, SoftHsm, children, host, sign};
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceError, HandedKey, Provision, TouchPolicy, conformance,
};
use touchkeep_device_pkcs11::{
    Launch, ModuleFile, Options, Pkcs11Device, TokenChoice, module, tokens,
};

impl SoftHsm {
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

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

// Whoever had the PIN once can put both halves there. The token holds the private one then, and proves it; but it is not alone.
#[test]
fn a_key_pair_that_somebody_put_there_is_refused_and_nothing_is_made_beside_it() {
    for name in ["unlock", "seal", "sign-vault"] {
        let hsm = SoftHsm::new();
        let at = |name: &str| hsm.0.path().join(name).display().to_string();
        let (pem, private, public) = (at("k.pem"), at("k.der"), at("p.der"));
        let make = ["genpkey", "-algorithm", "EC", "-pkeyopt"];
        openssl(&[&make[..], &["ec_paramgen_curve:P-256", "-out", &pem]].concat());
        openssl(&["pkey", "-in", &pem, "-outform", "DER", "-out", &private]);
        openssl(&[
            "pkey", "-in", &pem, "-pubout", "-outform", "DER", "-out", &public,
        ]);
        let label = format!("touchkeep {name}");
        let token = hsm.choice().label;
        let of_token = ["--token-label", &token, "--login", "--pin", PIN];
        let of_key = ["--id", "aa01", "--label", &label];
        let usage = match name {
            "sign-vault" => "--usage-sign",
            _ => "--usage-derive",
        };
        for (file, kind) in [(&private, "privkey"), (&public, "pubkey")] {
            let write = ["--write-object", file, "--type", kind, usage];
            hsm.tool(&[&of_token[..], &of_key, &write].concat());
        }
        let mut device = hsm.open(hsm.launch(host())).unwrap();
        let pin = Pin::new(PIN.into());
        let refused = device.provision(Auth::Pin(&pin)).err().unwrap().to_string();
        for part in ["others may have it", "aa01", &label, "--delete-object"] {
            assert!(refused.contains(part), "{name}: {refused}");
        }
        let seen = hsm.open(hsm.launch(host())).unwrap().info().keys.len();
        assert_eq!(seen, 1, "nothing was made");

        // Where its owner says so, it is used as it is.
        let allowed = Options {
            danger_keys_may_leave: true,
            ..Options::default()
        };
        let mut device = hsm.open_with(hsm.launch(host()), allowed).unwrap();
        device.provision(Auth::Pin(&pin)).unwrap();

        // What the refusal says to do helps.
        let delete = |kind| {
            let object = ["--delete-object", "--type", kind, "--id", "aa01"];
            hsm.tool(&[&of_token[..], &object].concat());
        };
        delete("privkey");
        delete("pubkey");
        let mut device = hsm.open(hsm.launch(host())).unwrap();
        let info = device.provision(Auth::Pin(&pin)).unwrap();
        assert!(info.keys.iter().all(|key| key.key.0 != "aa01"));
    }
}

#[test]
fn a_token_of_softhsm_conforms() {
    let hsm = SoftHsm::new();
    let (mut device, pin) = hsm.enrolled();
    let never = TouchPolicy::Never;
    for algorithm in [
        Algorithm::Rsa2048,
        Algorithm::P256,
        Algorithm::Ed25519,
        Algorithm::Secp256k1,
    ] {
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

    let mut macs = Vec::new();
    for algorithm in [
        Algorithm::HmacSha256,
        Algorithm::HmacSha384,
        Algorithm::HmacSha512,
    ] {
        let secret = format!("a venue's secret for {algorithm:?}").into_bytes();
        let handed = HandedKey::hmac(algorithm, &secret).unwrap();
        let key = device.import_request_key(&handed, never, Auth::Pin(&pin));
        macs.push((key.unwrap().key, secret));
    }
    for hmac in [Algorithm::HmacSha256, Algorithm::X25519] {
        let refused = device.generate_request_key(hmac, never, Auth::Pin(&pin));
        assert!(matches!(refused, Err(DeviceError::Unsupported(_))));
    }

    let wrong = Pin::new("000000".into());
    conformance::run(&mut conformance::Bench {
        device: &mut device,
        right: Auth::Pin(&pin),
        wrong: Auth::Pin(&wrong),
        before_use: &mut |_| {},
        secrets_sent: None,
        macs: &macs,
    });
}

#[test]
fn a_token_is_chosen_by_serial_and_label_and_never_by_slot() {
    let hsm = SoftHsm::new();
    let choice = hsm.choice();
    hsm.init("another");
    let launch = hsm.launch(host());
    let found = tokens(&launch, PathBuf::from(MODULE)).unwrap();
    assert_eq!(found.len(), 2);
    for label in ["another", "touchkeep tes"] {
        let stranger = TokenChoice {
            label: label.into(),
            ..choice.clone()
        };
        let options = Options::default();
        let opened = Pkcs11Device::spawn(launch.clone(), PathBuf::from(MODULE), stranger, options);
        assert!(matches!(opened, Err(DeviceError::Removed)));
    }
    let opened = Pkcs11Device::spawn(
        launch,
        PathBuf::from(MODULE),
        choice.clone(),
        Options::default(),
    );
    assert_eq!(opened.unwrap().info().serial, Some(choice.serial));
}

#[test]
fn a_crash_at_any_answer_is_an_error_and_the_next_use_works() {
    let hsm = SoftHsm::new();
    let (_, pin) = hsm.enrolled();
    // Opening takes five answers; the sixth is the signature.
    for at in 1..=6 {
        let (launch, mark) = hsm.faulty("crash", at);
        if at < 6 {
            let crashed = hsm.open(launch.clone());
            assert!(matches!(crashed, Err(DeviceError::Middleware(_))), "{at}");
        }
        let mut device = hsm.open(launch).unwrap();
        if at == 6 {
            let crashed = sign(&mut device, Auth::Pin(&pin));
            assert!(matches!(crashed, Err(DeviceError::Middleware(_))));
        }
        assert!(mark.exists());
        sign(&mut device, Auth::Pin(&pin)).unwrap();
    }
}

#[test]
fn a_child_that_hangs_is_given_up_and_ended() {
    let hsm = SoftHsm::new();
    let (_, pin) = hsm.enrolled();
    let (launch, mark) = hsm.faulty("hang", 6);
    let mut device = hsm.open(launch).unwrap();
    let started = Instant::now();
    let hung = sign(&mut device, Auth::Pin(&pin));
    assert!(matches!(hung, Err(DeviceError::Middleware(_))));
    assert!(started.elapsed() < Duration::from_secs(7));
    let child = fs::read_to_string(mark).unwrap();
    assert!(
        !Path::new("/proc").join(child).exists(),
        "the child is still there"
    );
    sign(&mut device, Auth::Pin(&pin)).unwrap();
}

#[test]
fn a_module_that_everybody_may_replace_is_not_loaded() {
    let hsm = SoftHsm::new();
    let copy = hsm.0.path().join("module.so");
    fs::copy(MODULE, &copy).unwrap();
    let launch = hsm.launch(host());
    assert_eq!(tokens(&launch, copy.clone()).unwrap().len(), 1);
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o777)).unwrap();
    let others = ["libsofthsm2.so", "/nonexistent.so"].map(PathBuf::from);
    for bad in [copy].into_iter().chain(others) {
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

#[test]
fn a_module_that_was_changed_since_its_enrolment_is_not_loaded() {
    let hsm = SoftHsm::new();
    let path = hsm.0.path().join("module.so");
    fs::copy(MODULE, &path).unwrap();
    let open = |sha256| {
        let module = ModuleFile {
            sha256,
            ..ModuleFile::from(path.clone())
        };
        Pkcs11Device::spawn(hsm.launch(host()), module, hsm.choice(), Options::default())
    };
    let mut device = open(None).unwrap();
    let enrolled = device.module_hash().unwrap();
    assert_eq!(enrolled, module::hash_of(Path::new(MODULE)).unwrap());
    let pin = Pin::new(PIN.into());
    device.provision(Auth::Pin(&pin)).unwrap();
    assert!(open(Some(enrolled)).is_ok());

    // A byte behind the end changes nothing but the hash.
    let mut bytes = fs::read(&path).unwrap();
    bytes.push(0);
    fs::write(&path, bytes).unwrap();
    let changed = module::hash_of(&path).unwrap();
    let refused = open(Some(enrolled)).err().unwrap().to_string();
    for hash in [enrolled, changed] {
        assert!(refused.contains(&hash.to_string()[..16]), "{refused}");
    }
    assert!(
        refused.contains("is not the PKCS#11 module that was enrolled"),
        "{refused}"
    );
    // What was looked at and accepted is loaded.
    assert!(open(Some(changed)).is_ok());

    // The child that runs has its copy; another one of the same device would not take what is there now.
    sign(&mut device, Auth::Pin(&pin)).unwrap();
    let child: i32 = children().pop().unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(child).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    // It is gone for good when its last thread is.
    while threads_of(child) > 1 {
        std::thread::yield_now();
    }
    while fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
    {
        std::thread::yield_now();
    }
    let refused = sign(&mut device, Auth::Pin(&pin))
        .err()
        .unwrap()
        .to_string();
    assert!(refused.contains("enrolled"), "{refused}");
}

fn threads_of(child: i32) -> usize {
    fs::read_dir(format!("/proc/{child}/task")).map_or(0, Iterator::count)
}
