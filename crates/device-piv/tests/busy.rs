//! When another process keeps the card, it is named, and what lets go of it.
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
    ffi::CString,
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use support::{Card, on_a_card};
use touchkeep_device::{
    Auth, Device, DeviceError, Holder, Purpose, SignatureScheme, attestation::Trust,
};
use touchkeep_device_piv::{
    Options, PivDevice, Service,
    holders::{holders, what_to_do},
    inspect, is_still, list, presence,
};

const NAME: &str = "another_process_that_keeps_the_card_is_named";
const ROLE: &str = "TOUCHKEEP_TEST_ROLE";

/// This test's own program under another name, in the role of one that keeps the card.
fn keeper(card: &Card, test: &str, name: &str, role: &str) -> Child {
    let program = card.dir.join(name);
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let mut child = Command::new(program)
        .args([test, "--exact", "--nocapture"])
        .env(ROLE, role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("kept")));
    child
}

/// Connects, and keeps the card until standard input ends.
fn keep(role: &str) {
    let share = match role {
        "exclusive" => pcsc::ShareMode::Exclusive,
        _ => pcsc::ShareMode::Shared,
    };
    let context = pcsc::Context::establish(pcsc::Scope::System).unwrap();
    let readers = context.list_readers_owned().unwrap();
    let name = CString::new(readers[0].to_bytes()).unwrap();
    let mut card = context.connect(&name, share, pcsc::Protocols::ANY).unwrap();
    let transaction = (role == "transaction").then(|| card.transaction().unwrap());
    std::io::stdout().write_all(b"\nkept\n").unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(transaction);
    card.disconnect(pcsc::Disposition::LeaveCard)
        .map_err(|(_, error)| error)
        .unwrap();
}

fn ended(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn another_process_that_keeps_the_card_is_named() {
    on_a_card(NAME, &["--touch", "auto"], |card| {
        if let Ok(share) = env::var(ROLE) {
            return keep(&share);
        }
        let (mut device, pin) = card.enrolled();
        let key = device.info().key(Purpose::SignVault).unwrap().key.clone();
        let sign = |device: &mut PivDevice| {
            let scheme = SignatureScheme::EcdsaP256Sha256;
            device.sign(&key, scheme, b"a statement", Auth::Pin(&pin))
        };
        assert_eq!(others(), [], "nobody else uses this pcscd");

        // Beside one that shares nothing is wrong; it can be seen all the same.
        let shares = keeper(card, NAME, "sharer", "shared");
        sign(&mut device).unwrap();
        assert_eq!(others(), [holder("sharer", &shares)]);
        ended(shares);
        assert_eq!(others(), []);

        drop(device);
        let before = card.verified();
        let keeps = keeper(card, NAME, "scdaemon", "exclusive");
        for refused in [
            PivDevice::open(4_000_000_001, Options::default())
                .err()
                .unwrap(),
            list().unwrap_err(),
        ] {
            let words = format!(
                "another program is using the device: scdaemon (pid {})",
                keeps.id()
            );
            assert!(refused.to_string().starts_with(&words), "{refused}");
            let DeviceError::Busy { holders } = refused else {
                panic!("{refused}");
            };
            assert_eq!(holders[0], holder("scdaemon", &keeps));
            let fix = what_to_do(&holders);
            assert!(fix.contains("gpgconf --kill scdaemon"), "{fix}");
        }
        assert_eq!(card.verified(), before);
        ended(keeps);
        sign(&mut card.open()).unwrap();
    });
}

const TRANSACTION: &str =
    "a_program_that_holds_a_transaction_is_waited_for_a_few_seconds_and_named";

// pcscd itself has everybody wait, without an end.
#[test]
fn a_program_that_holds_a_transaction_is_waited_for_a_few_seconds_and_named() {
    on_a_card(TRANSACTION, &["--touch", "auto"], |card| {
        if let Ok(role) = env::var(ROLE) {
            return keep(&role);
        }
        let (mut device, pin) = card.enrolled();
        let key = device.info().key(Purpose::SignVault).unwrap().key.clone();
        let sign = |device: &mut PivDevice| {
            let scheme = SignatureScheme::EcdsaP256Sha256;
            device.sign(&key, scheme, b"a statement", Auth::Pin(&pin))
        };
        let open = || PivDevice::open(4_000_000_001, Options::default());
        let before = card.verified();
        let keeps = keeper(card, TRANSACTION, "scdaemon", "transaction");
        for refused in [
            timed(|| sign(&mut device).map(drop)),
            timed(|| open().map(drop)),
            timed(|| list().map(drop)),
        ] {
            let DeviceError::Busy { holders } = refused.unwrap_err() else {
                panic!("not busy");
            };
            assert_eq!(holders[0], holder("scdaemon", &keeps));
        }
        assert_eq!(card.verified(), before, "no PIN was sent");
        // Nor does leaving the card wait for ever.
        timed(|| drop(device));
        ended(keeps);
        let mut device = open().unwrap();
        sign(&mut device).unwrap();

        // One that lets go in time is only waited for.
        let keeps = keeper(card, TRANSACTION, "scdaemon", "transaction");
        let going = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            ended(keeps);
        });
        let begun = Instant::now();
        sign(&mut device).unwrap();
        assert!(
            begun.elapsed() > Duration::from_millis(500),
            "it was waited for"
        );
        going.join().unwrap();
        assert_eq!(card.verified().0, before.0 + 2);
    });
}

const SILENT: &str = "a_pcscd_that_does_not_answer_is_given_up_and_used_again_once_it_does";

#[test]
fn a_pcscd_that_does_not_answer_is_given_up_and_used_again_once_it_does() {
    on_a_card(SILENT, &["--touch", "auto"], |card| {
        let (mut device, pin) = card.enrolled();
        let key = device.info().key(Purpose::SignVault).unwrap().key.clone();
        let sign = |device: &mut PivDevice| {
            let scheme = SignatureScheme::EcdsaP256Sha256;
            device.sign(&key, scheme, b"a statement", Auth::Pin(&pin))
        };
        let serial = card.serial();
        let here = presence(serial).unwrap().unwrap();
        let before = card.verified();
        let stopped = Stopped::pcscd(card);
        for refused in [
            timed(|| sign(&mut device).map(drop)),
            timed(|| PivDevice::open(serial, Options::default()).map(drop)),
            timed(|| list().map(drop)),
            timed(|| presence(serial).map(drop)),
            timed(|| is_still(&here).map(drop)),
        ] {
            assert_eq!(refused.unwrap_err().to_string(), SAID);
        }
        assert!(timed(Service::now).is_none());
        drop(stopped);
        sign(&mut device).unwrap();
        assert_eq!(
            card.verified(),
            (before.0 + 1, before.1),
            "no PIN was sent in vain"
        );
        assert!(is_still(&here).unwrap());

        // In the middle of a command.
        let before = card.verified();
        let late = r#"{"do":"at","apdu":6,"then":"delay","ms":1500}"#;
        assert_eq!(card.ask(late)["ok"], true);
        let arrived = || card.ask(r#"{"do":"state"}"#)["apdus"].as_u64().unwrap();
        let sixth = arrived() + 6;
        let inspecting =
            std::thread::spawn(move || timed(|| inspect(serial, Trust::Yubico).map(drop)));
        while arrived() < sixth {
            assert!(!inspecting.is_finished(), "it was not answered late");
            std::thread::sleep(Duration::from_millis(10));
        }
        let stopped = Stopped::pcscd(card);
        let refused = inspecting.join().unwrap();
        assert_eq!(refused.unwrap_err().to_string(), SAID);
        drop(stopped);
        inspect(serial, Trust::Yubico).unwrap();
        sign(&mut device).unwrap();
        assert_eq!(card.verified(), (before.0 + 1, before.1));
    });
}

const SAID: &str = "the device's middleware failed: pcscd does not answer";

/// The private pcscd of a card, stopped until this ends.
struct Stopped(Pid);

impl Stopped {
    fn pcscd(card: &Card) -> Self {
        let pid = fs::read_to_string(card.dir.join("run/pcscd.pid")).unwrap();
        let pid = Pid::from_raw(number(&pid)).unwrap();
        let program = fs::read_to_string(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
        let folder = card.dir.to_str().unwrap();
        assert!(program.unwrap().contains(folder), "not our pcscd");
        kill_process(pid, Signal::STOP).unwrap();
        Self(pid)
    }
}

// pcscd writes a zero byte behind it.
fn number(pid: &str) -> i32 {
    let digits = pid.trim_matches(|it: char| !it.is_ascii_digit());
    digits.parse().unwrap()
}

impl Drop for Stopped {
    fn drop(&mut self) {
        kill_process(self.0, Signal::CONT).unwrap();
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    done
}

/// Those that may be holding the card, but for the practice reader, which looks at it as well.
fn others() -> Vec<Holder> {
    let mut holders = holders();
    holders.retain(|holder| holder.name != "touchkeep-practice");
    holders
}

fn holder(name: &str, child: &Child) -> Holder {
    Holder {
        name: name.into(),
        pid: child.id(),
    }
}
