//! What a module does that no real one does on demand: it loses sessions, fails, crashes, hangs, takes memory, at any call. The shim
//! (`shim/shim.c`) does so and else forwards to a SoftHSM of the test's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;
#[allow(
    dead_code,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "campaigns say what they did; shared with those against the vault, which use more of it"
)]
#[path = "../../vault/tests/faults/tally.rs"]
mod tally;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use support::{MODULE, PIN, SoftHsm, children, host, shim, sign, unwrap};
use tally::{Tally, amount, soak};
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceError, HandedKey, Provision, Purpose, SecretDemand,
    SignatureScheme, TouchPolicy,
};
use touchkeep_device_pkcs11::{Launch, Options, Pkcs11Device, tokens};

/// A SoftHSM behind the shim.
struct Shimmed {
    hsm: SoftHsm,
    shim: PathBuf,
    specs: u32,
}

/// What is done with the token while the fault waits.
#[derive(Debug, Clone, Copy)]
enum Act {
    Unlock,
    Seal,
    Sign,
}

impl Shimmed {
    fn new() -> Self {
        let hsm = SoftHsm::new();
        let shim = shim(hsm.0.path());
        Self {
            hsm,
            shim,
            specs: 0,
        }
    }

    fn launch(&self) -> Launch {
        let mut launch = self.hsm.launch(host());
        let dir = self.hsm.0.path().into();
        launch.env.push(("PKCS11_SHIM_DIR".into(), dir));
        launch
            .env
            .push(("PKCS11_SHIM_MODULE".into(), MODULE.into()));
        launch
    }

    fn open(&self, launch: Launch, options: Options) -> Pkcs11Device {
        let found = tokens(&launch, self.shim.clone()).unwrap();
        let choice = found[0].choice.clone();
        Pkcs11Device::spawn(launch, self.shim.clone(), choice, options).unwrap()
    }

    fn enrolled(&self, options: Options) -> (Pkcs11Device, Pin) {
        let pin = Pin::new(PIN.into());
        let mut device = self.open(self.launch(), options);
        device.provision(Auth::Pin(&pin)).unwrap();
        (device, pin)
    }

    fn spec(&self) -> PathBuf {
        self.hsm.0.path().join("spec")
    }

    fn arm(&mut self, fault: &str, at: usize) {
        self.specs += 1;
        let part = self.spec().with_extension("part");
        fs::write(&part, format!("{fault} {at} {}", self.specs)).unwrap();
        fs::rename(part, self.spec()).unwrap();
    }

    /// Whether the fault came; takes it back where it did not.
    fn fired(&self) -> bool {
        fs::remove_file(self.spec()).is_err()
    }

    /// Logins with a PIN since the last question: of the user, and for one operation.
    fn logins(&self) -> (usize, usize) {
        let log = self.hsm.0.path().join("logins");
        let text = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(log);
        (text.matches('U').count(), text.matches('C').count())
    }
}

fn act(device: &mut Pkcs11Device, act: Act, auth: Auth<'_>) -> Result<(), DeviceError> {
    match act {
        Act::Unlock => unwrap(device, Purpose::Unlock, auth),
        Act::Seal => unwrap(device, Purpose::Seal, auth),
        Act::Sign => sign(device, auth).map(drop),
    }
}

/// The fault at each call of each use: counts how often the use went well all the same, and how often it was an error.
fn at_each_call(fault: &str, calls: impl Fn(usize) -> bool) -> (usize, usize) {
    let id = match fault {
        "crash" | "exit" | "hang" | "allocate" => "H-09",
        _ => "H-08",
    };
    let mut tally = Tally::new(id, format!("a module at each call of a use: {fault}"));
    let mut shimmed = Shimmed::new();
    // The seal key is RSA, so that decryption is among the uses.
    let (mut device, pin) = shimmed.enrolled(Options {
        seal_asks_each_time: true,
        file_keys: None,
        ..Options::default()
    });
    // One entry made all keys and proved them; the seal key asked at its making and at the end.
    assert_eq!(shimmed.logins(), (1, 2));
    let (mut recovered, mut failed) = (0, 0);
    for what in [Act::Unlock, Act::Seal, Act::Sign] {
        for kept in [false, true] {
            for at in (1..).filter(|at| calls(*at)) {
                if kept {
                    device.keep_session();
                    act(&mut device, what, Auth::Pin(&pin)).unwrap();
                }
                shimmed.logins();
                shimmed.arm(fault, at);
                let asked = matches!(what, Act::Seal) || !kept;
                let auth = if asked {
                    Auth::Pin(&pin)
                } else {
                    Auth::Nothing
                };
                let started = Instant::now();
                let outcome = act(&mut device, what, auth);
                let took = started.elapsed();
                if !shimmed.fired() {
                    outcome.unwrap();
                    assert!(at > 3, "{fault} {what:?}: only {at} calls");
                    break;
                }
                let place = format!("{fault} at call {at} of {what:?}, kept: {kept}");
                assert!(took < Duration::from_millis(6500), "{place}: {took:?}");
                let (user, operation) = shimmed.logins();
                assert!(user <= usize::from(asked), "{place}: {user} logins");
                let asks = matches!(what, Act::Seal);
                assert!(
                    operation <= usize::from(asks),
                    "{place}: {operation} consents"
                );
                match outcome {
                    Ok(()) => recovered += 1,
                    Err(
                        DeviceError::Removed
                        | DeviceError::NeedsSecret
                        | DeviceError::Middleware(_)
                        | DeviceError::Unsupported(_)
                        | DeviceError::NotForThisKey,
                    ) => failed += 1,
                    Err(other) => panic!("{place}: {other:?}"),
                }
                // The next use works, and nothing waits to be noticed by a person.
                act(&mut device, what, Auth::Pin(&pin)).unwrap_or_else(|error| {
                    panic!("after {place}: {error}");
                });
                assert!(shimmed.logins().0 <= 1);
                assert!(children().len() <= 1, "{place}");
                tally.tried(|| place, Ok(()));
            }
            device.end_session().unwrap();
        }
    }
    tally.saw(format!("{recovered} recovered, {failed} errors"));
    (recovered, failed)
}

#[test]
fn a_lost_session_is_opened_again_once_or_is_an_error() {
    for fault in [
        "session-handle-invalid",
        "device-removed",
        "token-not-present",
    ] {
        let (recovered, failed) = at_each_call(fault, |_| true);
        assert!(
            recovered > 10 && failed > 10,
            "{fault}: {recovered} {failed}"
        );
    }
}

#[test]
fn a_lost_login_is_an_error_or_is_made_up_for_with_the_pin_of_the_entry() {
    let (recovered, failed) = at_each_call("user-not-logged-in", |_| true);
    assert!(recovered > 10 && failed > 10, "{recovered} {failed}");
}

// The token says that something is lost, and it is not: then the PIN is not needed again.
#[test]
fn a_hiccup_is_recovered_from() {
    for fault in ["handle-hiccup", "login-hiccup"] {
        let (recovered, failed) = at_each_call(fault, |_| true);
        assert!(recovered > 30, "{fault}: {recovered} {failed}");
    }
}

#[test]
fn an_error_at_any_call_is_an_error_of_that_use_alone() {
    let (_, failed) = at_each_call("general-error", |_| true);
    assert!(failed > 30, "{failed}");
}

#[test]
fn a_crash_or_an_exit_at_any_call_is_an_error_of_that_use_alone() {
    for fault in ["crash", "exit"] {
        let (recovered, failed) = at_each_call(fault, |_| true);
        assert!(
            recovered == 0 && failed > 30,
            "{fault}: {recovered} {failed}"
        );
    }
}

#[test]
fn memory_that_a_module_wants_too_much_of_is_not_given() {
    let (_, failed) = at_each_call("allocate", |_| true);
    assert!(failed > 30, "{failed}");
}

// Each costs the five seconds that are waited; all calls in the long campaign.
#[test]
fn a_module_that_hangs_is_given_up_in_five_seconds() {
    let long = soak() > 0;
    let (recovered, failed) = at_each_call("hang", |at| long || at == 9 || at > 60);
    assert!(recovered == 0 && failed >= 3, "{recovered} {failed}");
}

// What is half made is completed by the next enrolment, and nothing is there twice.
#[test]
fn an_enrolment_that_was_interrupted_is_completed_by_the_next() {
    let step = if soak() > 0 { 1 } else { 19 };
    let mut tally = Tally::new(
        "H-08 H-09",
        "an enrolment on a token, broken off at each call",
    );
    for fault in ["general-error", "crash", "device-removed"] {
        for at in (1..).step_by(step) {
            let mut shimmed = Shimmed::new();
            let pin = Pin::new(PIN.into());
            let mut device = shimmed.open(shimmed.launch(), Options::default());
            shimmed.arm(fault, at);
            let first = device.provision(Auth::Pin(&pin));
            if !shimmed.fired() {
                first.unwrap();
                assert!(at > 50, "{at}");
                break;
            }
            assert!(shimmed.logins().0 <= 1, "{fault} at call {at}");
            let info = device.provision(Auth::Pin(&pin)).unwrap_or_else(|error| {
                panic!("after {fault} at call {at} ({first:?}): {error}");
            });
            let purposes: Vec<_> = info.keys.iter().map(|key| key.purpose).collect();
            let all = [Purpose::Unlock, Purpose::Seal, Purpose::SignVault];
            assert_eq!(purposes, all, "{fault} at call {at}");
            tally.tried(|| format!("{fault} at call {at}"), Ok(()));
        }
    }
}

const VICTIM: &str = "TOUCHKEEP_TEST_VICTIM";

// This test starts itself as the agent that is killed, while its module hangs.
#[test]
fn the_child_ends_with_an_agent_that_is_killed() {
    if let Some(place) = env::var_os(VICTIM) {
        return hang_until_killed(&PathBuf::from(place));
    }
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("child");
    let test = "the_child_ends_with_an_agent_that_is_killed";
    let mut agent = Command::new(env::current_exe().unwrap())
        .args([test, "--exact"])
        .env(VICTIM, &place)
        .spawn()
        .unwrap();
    let waited = Instant::now();
    let child = loop {
        let text = fs::read_to_string(&place).unwrap_or_default();
        match text.strip_suffix('\n') {
            Some(child) => break PathBuf::from("/proc").join(child),
            None => assert!(
                waited.elapsed() < Duration::from_secs(20),
                "it does not hang"
            ),
        }
        thread::yield_now();
    };
    assert!(child.exists());
    agent.kill().unwrap();
    agent.wait().unwrap();
    // Sooner than it would notice the end of its questions.
    let waited = Instant::now();
    let gone = || {
        let stat = fs::read_to_string(child.join("stat"));
        stat.is_ok_and(|stat| stat.contains(") Z")) || !child.exists()
    };
    while !gone() {
        assert!(
            waited.elapsed() < Duration::from_millis(1500),
            "{child:?} is still there"
        );
        thread::yield_now();
    }
}

fn hang_until_killed(place: &Path) {
    let mut shimmed = Shimmed::new();
    let (mut device, pin) = shimmed.enrolled(Options::default());
    shimmed.arm("hang", 9);
    let spec = shimmed.spec();
    let place = place.to_owned();
    let watch = thread::spawn(move || {
        while spec.exists() {
            thread::yield_now();
        }
        fs::write(place, format!("{}\n", children().pop().unwrap())).unwrap();
    });
    let hung = sign(&mut device, Auth::Pin(&pin));
    watch.join().unwrap();
    panic!("not killed: {hung:?}");
}

// Somebody replaces the key under its CKA_ID while a session is open, and the session is lost: the new key is not used.
#[test]
fn a_key_that_was_exchanged_is_not_used_after_the_session_was_lost() {
    let mut shimmed = Shimmed::new();
    let (mut device, pin) = shimmed.enrolled(Options::default());
    device.keep_session();
    sign(&mut device, Auth::Pin(&pin)).unwrap();
    let key = device.info().key(Purpose::SignVault).unwrap().clone();
    let login = ["--login", "--pin", PIN, "--id", &key.key.0];
    for kind in ["privkey", "pubkey"] {
        let delete = ["--delete-object", "--type", kind];
        shimmed.hsm.tool(&[&login[..], &delete].concat());
    }
    let make = ["--keypairgen", "--key-type", "EC:prime256v1"];
    let label = ["--label", "touchkeep sign-vault"];
    shimmed.hsm.tool(&[&login[..], &make, &label].concat());

    shimmed.arm("session-handle-invalid", 2);
    for _ in 0..2 {
        let refused = sign(&mut device, Auth::Pin(&pin)).err().unwrap();
        // Before it was used: not by its signature.
        assert!(refused.to_string().contains("another key"), "{refused}");
    }
    assert!(shimmed.fired());
}

// Serial number and label can be copied: this one was, before ours had keys. Who put it there waits for the PIN.
#[test]
fn a_token_of_the_same_name_and_number_with_another_key_gets_no_pin() {
    let shimmed = Shimmed::new();
    let at = |name: &str| shimmed.hsm.0.path().join(name);
    let token = fs::read_dir(at("tokens")).unwrap().next().unwrap().unwrap();
    let copy = at("others").join(token.file_name());
    fs::create_dir_all(&copy).unwrap();
    for file in fs::read_dir(token.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let (mut device, pin) = shimmed.enrolled(Options::default());
    let choice = shimmed.hsm.choice();
    for what in [Act::Unlock, Act::Seal, Act::Sign] {
        act(&mut device, what, Auth::Pin(&pin)).unwrap();
    }
    let keys = device.info().keys.clone();
    let secret = HandedKey::hmac(Algorithm::HmacSha256, b"a secret of the test").unwrap();
    let hmac = device.import_request_key(&secret, TouchPolicy::Never, Auth::Pin(&pin));
    let hmac = hmac.unwrap();
    // It looked at what the token shows before there was an HMAC secret, and at nothing since.
    let mut knows_secret = shimmed.open(shimmed.launch(), Options::default());
    knows_secret.recall(&hmac);
    let mac = |device: &mut Pkcs11Device, pin| {
        device.sign(&hmac.key, SignatureScheme::HmacSha256, b"m", Auth::Pin(pin))
    };
    mac(&mut knows_secret, &pin).unwrap();

    fs::rename(at("tokens"), at("ours")).unwrap();
    fs::rename(at("others"), at("tokens")).unwrap();
    assert_eq!(
        shimmed.hsm.choice(),
        choice,
        "nothing but keys tells them apart"
    );
    for (key, label) in keys.iter().zip(["unlock", "seal", "sign-vault"]) {
        let login = ["--login", "--pin", PIN, "--id", &key.key.0];
        let make = ["--keypairgen", "--key-type", "EC:prime256v1"];
        let label = ["--label", &format!("touchkeep {label}")];
        shimmed.hsm.tool(&[&login[..], &make, &label].concat());
    }
    // What has the module loaded knows the token as it was.
    let children = children();
    assert_eq!(children.len(), 2);
    let killed = Command::new("kill").arg("-KILL").args(&children).status();
    assert!(killed.unwrap().success());
    let lost = sign(&mut device, Auth::Pin(&pin)).err();
    let _lost = mac(&mut knows_secret, &pin);
    shimmed.logins();
    for what in [Act::Unlock, Act::Seal, Act::Sign] {
        let refused = act(&mut device, what, Auth::Pin(&pin)).err().unwrap();
        assert!(
            refused.to_string().contains("another key"),
            "{what:?}: {refused}, after {lost:?}"
        );
    }
    // An HMAC secret has no public half; another key of the token has. Nor is one put into a token that is another.
    let refused = mac(&mut knows_secret, &pin).err().unwrap();
    assert!(refused.to_string().contains("another key"), "{refused}");
    let more = HandedKey::hmac(Algorithm::HmacSha256, b"another secret").unwrap();
    let put = knows_secret.import_request_key(&more, TouchPolicy::Never, Auth::Pin(&pin));
    assert!(put.err().unwrap().to_string().contains("another key"));
    assert_eq!(shimmed.logins(), (0, 0), "it got no PIN");

    fs::rename(at("tokens"), at("others")).unwrap();
    fs::rename(at("ours"), at("tokens")).unwrap();
    let mut again = shimmed.open(shimmed.launch(), Options::default());
    sign(&mut again, Auth::Pin(&pin)).unwrap();
    assert_eq!(shimmed.logins(), (1, 0));
}

#[test]
fn a_token_with_keys_of_its_own_is_logged_in_there() {
    let shimmed = Shimmed::new();
    let (_, pin) = shimmed.enrolled(Options::default());
    let mut launch = shimmed.launch();
    launch.env.push(("PKCS11_SHIM_PAD".into(), PIN.into()));
    let mut device = shimmed.open(launch, Options::default());
    assert!(device.has_pin_pad());
    let key = device.info().key(Purpose::Unlock).unwrap().key.clone();
    let secret = |device: &mut Pkcs11Device| device.demand(&key).unwrap().secret;
    assert_eq!(secret(&mut device), SecretDemand::PinPad);
    shimmed.logins();
    for what in [Act::Unlock, Act::Seal, Act::Sign] {
        act(&mut device, what, Auth::Nothing).unwrap();
    }
    device.keep_session();
    sign(&mut device, Auth::Nothing).unwrap();
    assert_eq!(secret(&mut device), SecretDemand::Nothing);
    sign(&mut device, Auth::Nothing).unwrap();
    device.end_session().unwrap();
    let never = TouchPolicy::Never;
    device
        .generate_request_key(Algorithm::P256, never, Auth::Nothing)
        .unwrap();
    let made = device
        .generate_asking_request_key(Algorithm::P256, Auth::Nothing)
        .unwrap();
    assert!(device.asks_each_time(&made.key));
    assert_eq!(shimmed.logins(), (0, 0), "no PIN came from us");

    // One that is typed there and wrong is wrong.
    let mut launch = shimmed.launch();
    launch.env.push(("PKCS11_SHIM_PAD".into(), "000000".into()));
    let mut device = shimmed.open(launch, Options::default());
    let refused = sign(&mut device, Auth::Nothing);
    assert!(
        matches!(refused, Err(DeviceError::WrongPinUncounted)),
        "{refused:?}"
    );
    // A PIN that is given all the same is used.
    sign(&mut device, Auth::Pin(&pin)).unwrap();
}

// Sixteen threads, half of them with a token and a child of their own, half of them at one; sessions kept and not. (SoftHSM says
// GENERAL_ERROR when several processes log in to one token at once, so there is one child for a token, as in the agent.) Every
// signature is verified by the device before it is given out, and here once more.
#[test]
fn sixteen_threads_sign_and_every_signature_is_good() {
    let hsm = SoftHsm::new();
    let (device, pin) = hsm.enrolled();
    let (shared, each) = (Mutex::new(device), amount(25, 10_000));
    let mut tally = Tally::new(
        "H-11",
        "sixteen threads sign on tokens, half of them on one",
    );
    thread::scope(|scope| {
        for number in 0..16_usize {
            let (shared, pin) = (&shared, &pin);
            scope.spawn(move || {
                let own_hsm = (number % 2 == 0).then(SoftHsm::new);
                let own = own_hsm.as_ref().map(|hsm| Mutex::new(hsm.enrolled().0));
                let device = own.as_ref().unwrap_or(shared);
                for at in 0..each {
                    let mut device = device.lock().unwrap();
                    match at % 10 {
                        3 => device.keep_session(),
                        8 => device.end_session().unwrap(),
                        _ => {}
                    }
                    signs(&mut device, &format!("{number} signs {at}"), pin);
                }
            });
        }
    });
    for _ in 0..16 * each {
        tally.tried(String::new, Ok(()));
    }
}

fn signs(device: &mut Pkcs11Device, message: &str, pin: &Pin) {
    let key = device.info().key(Purpose::SignVault).unwrap().clone();
    let scheme = SignatureScheme::EcdsaP256Sha256;
    let message = message.as_bytes();
    let signature = device
        .sign(&key.key, scheme, message, Auth::Pin(pin))
        .unwrap();
    let good = touchkeep_device::public::verifies(scheme, &key.spki, message, &signature);
    assert!(good, "{message:?}");
}

// Told by the module, from inside; and by /proc, what that shows of a process that is not dumpable.
#[test]
fn the_child_has_given_up_what_it_does_not_need() {
    let shimmed = Shimmed::new();
    // What this process has open without close-on-exec, a child would get.
    let config = shimmed.hsm.config();
    let inherited = fs::File::open(&config).unwrap();
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
    assert!(env::vars().any(|(name, _)| name.starts_with("CARGO")));
    let _device = shimmed.open(shimmed.launch(), Options::default());

    let text = fs::read_to_string(shimmed.hsm.0.path().join("process")).unwrap();
    let told = |what: &str| {
        let lines = text.lines().filter_map(move |line| line.strip_prefix(what));
        lines.map(str::trim).collect::<Vec<_>>()
    };
    assert_eq!(told("dumpable"), ["0"]);
    let open = told("fd ");
    assert!(
        open.iter()
            .any(|target| target.starts_with("/memfd:pkcs11-module")),
        "{open:?}"
    );
    assert!(!open.contains(&config.to_str().unwrap()), "{open:?}");
    let variables: Vec<_> = told("env ");
    let has = |start: &str| variables.iter().any(|variable| variable.starts_with(start));
    assert!(
        has("SOFTHSM2_CONF=") && has("PKCS11_SHIM_DIR="),
        "{variables:?}"
    );
    assert!(!has("CARGO") && !has("LD_"), "{variables:?}");

    let child = PathBuf::from("/proc").join(children().pop().unwrap());
    let status = fs::read_to_string(child.join("status")).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let limits = fs::read_to_string(child.join("limits")).unwrap();
    let limit = |name: &str| {
        let line = limits
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.split_whitespace().next().unwrap().to_string()
    };
    assert_eq!(limit("Max core file size"), "0");
    assert_eq!(limit("Max address space"), (4_u64 << 30).to_string());
    assert!(limit("Max cpu time").parse::<u64>().unwrap() < 200);
}
