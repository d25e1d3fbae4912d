//! Who vouches for an audit log: the device that unlocks, and the heads that a shared vault has seen of each machine's. With the
//! real binaries and practice cards, whose own counters say what was sent to them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use touchkeep_tests::{Card, Home, Person};
use touchkeep_wire::Question;

/// Somebody at a machine that has a reader.
struct Desk {
    home: Home,
    person: Person,
}

impl Desk {
    fn new(card: &Card) -> Self {
        let home = Home::new(Some(&card.pcscd));
        let person = Person::sit_down(&home.paths(), Some(&card.control));
        Self { home, person }
    }

    fn init(&self, vault: &Path, serial: &str) {
        let device = format!("piv:{serial}");
        let path = vault.to_str().unwrap();
        let args = ["init", "--practice", "--path", path, "--device", &device];
        let _made = self.home.json(&args);
    }

    fn add(&self, name: &str) {
        let args = ["add", name, "--class", "trade", "--venue", "binance"];
        let more = ["--key-set", name, "--api-key", name, "--secret-fd", "0"];
        let _added = self.home.json_with(&[&args[..], &more].concat(), "a");
    }

    fn log(&self) -> PathBuf {
        let found = Command::new("find")
            .args([&self.home.path("home"), Path::new("-name")])
            .arg("*.sqlite")
            .output()
            .unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        let mut found = found.lines().filter(|path| path.contains("audit"));
        let log = found.next().unwrap().into();
        assert_eq!(found.next(), None);
        log
    }

    /// The public key that signed a checkpoint made now.
    fn signer(&self, args: &[&str]) -> String {
        let signed = self.home.json(&[&["audit", "checkpoint"], args].concat());
        assert_eq!(signed["keys"].as_array().unwrap().len(), 1, "{signed}");
        signed["keys"][0].as_str().unwrap().to_owned()
    }

    fn is_sound(&self) -> bool {
        let done = self.home.cli(&["audit", "verify"]);
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        said["sound"].as_bool().unwrap_or_else(|| panic!("{said}"))
    }

    fn newest(&self, kind: &str) -> Value {
        let rows = self.home.json(&["audit", "list", "--kind", kind]);
        rows["rows"][0].clone()
    }

    // Pins that were typed and touches that were shown.
    fn asked(&self) -> (usize, usize) {
        let asked = self.person.was_asked();
        let count = |is: fn(&Question) -> bool| asked.iter().filter(|it| is(&it.question)).count();
        (
            count(|it| matches!(it, Question::Pin { .. })),
            count(|it| matches!(it, Question::Touch { .. })),
        )
    }
}

fn python() -> Command {
    Command::new(std::env::var("TOUCHKEEP_PYTHON").expect("run by ./dev test"))
}

fn state(card: &Card, what: &str) -> u64 {
    card.ask(&json!({ "do": "state" }))[what].as_u64().unwrap()
}

/// The certificate of the key that signs for vaults, as Yubico's own program reads it from the first card.
fn certificate(card: &Card, to: &Path) {
    let read = Command::new("yubico-piv-tool")
        .args(["-r", "Yubico", "-a", "read-certificate", "-s", "84", "-o"])
        .arg(to)
        .env("PCSCLITE_CSOCK_NAME", &card.pcscd)
        .output()
        .unwrap();
    assert!(read.status.success(), "{read:?}");
}

/// The sizes of the checkpoints that this key signed, in the opinion of a program that shares no code with ours.
fn signed_by(log: &Path, certificate: &Path, vkey: &str) -> Vec<u64> {
    let checked = python()
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/device_signed.py"))
        .args([log, certificate, Path::new(vkey)])
        .output()
        .unwrap();
    let said = String::from_utf8(checked.stdout).unwrap();
    let why = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{why}");
    said.lines().map(|size| size.parse().unwrap()).collect()
}

/// What the second verifier says of a log, when these keys sign it.
fn second_verifier(log: &Path, keys: &[String]) -> String {
    let mut verifier = python();
    verifier.env("PYTHONDONTWRITEBYTECODE", "1");
    verifier.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/audit/tests/verify.py"
    ));
    for key in keys {
        verifier.args(["--key", key]);
    }
    let said = verifier.arg(log).output().unwrap();
    String::from_utf8(said.stdout).unwrap()
}

#[test]
fn the_device_that_unlocks_signs_what_the_log_was_meanwhile_for_no_more_than_its_pin_and_touch() {
    let card = Card::two();
    let (first, second) = (card.serial.clone(), card.second.clone().unwrap());
    let desk = Desk::new(&card);
    let home = &desk.home;
    for serial in [&first, &second] {
        let _changed = home.json(&["device", "set-pin", serial]);
    }
    desk.init(&home.path("v.touchkeep"), &first);
    let pem = home.path("sign-vault.pem");
    certificate(&card, &pem);
    let by_device = desk.signer(&["--device"]);
    let on_demand = signed_by(&desk.log(), &pem, &by_device);
    assert_eq!(
        on_demand.len(),
        1,
        "what `--device` asked for is the card's"
    );

    // Something is written while the vault is locked, and nobody has signed it.
    let _locked = home.json(&["lock"]);
    desk.person.mind.lock().unwrap().pin = "111111".into();
    assert!(!home.cli(&["unlock", "--device", &first]).status.success());
    desk.person.mind.lock().unwrap().pin = "294173".into();
    // A card that comes back has forgotten its PIN and its touch.
    assert_eq!(card.ask(&json!({ "do": "remove" }))["ok"], true);
    assert_eq!(card.ask(&json!({ "do": "insert" }))["ok"], true);
    let (pins, shown) = desk.asked();
    let (touches, verifies) = (state(&card, "touches"), state(&card, "verify_count"));
    let _open = home.json(&["unlock", "--device", &first]);
    assert_eq!(desk.asked(), (pins + 1, shown + 1), "asked once of each");
    assert_eq!(state(&card, "touches"), touches + 1);
    assert_eq!(
        state(&card, "verify_count"),
        verifies + 2,
        "two uses: to open, and to sign"
    );

    let unlocked = desk.newest("unlocked");
    let before = unlocked["seq"].as_u64().unwrap() - 1;
    assert_eq!(desk.newest("unlock-failed")["seq"], before);
    let shown = home.json(&["audit", "show", &(before + 1).to_string()]);
    assert!(
        shown.to_string().contains(&format!("row {before}")),
        "{shown}"
    );
    let signed = signed_by(&desk.log(), &pem, &by_device);
    assert_eq!(signed, [on_demand[0], before]);

    // The key's word stays good after its device has gone, for both verifiers.
    let _enrolled = home.json(&["device", "enroll", &format!("piv:{second}")]);
    let _locked = home.json(&["lock"]);
    let _open = home.json(&["unlock", "--device", &second]);
    let author = desk.signer(&[]);
    let _retired = home.json(&["device", "retire", &first, "--yes"]);
    assert!(desk.is_sound());
    let keys = [
        author,
        desk.signer(&[]),
        by_device,
        desk.signer(&["--device"]),
    ];
    let said = second_verifier(&desk.log(), &keys);
    assert!(said.starts_with("sound "), "{said}");
    let said = second_verifier(&desk.log(), &keys[..2]);
    assert!(
        said.starts_with("damaged "),
        "without the devices' keys: {said}"
    );
}

#[test]
fn a_log_is_judged_by_its_own_heads_and_not_by_those_of_another_machine() {
    let card = Card::insert();
    let (long, short) = (Desk::new(&card), Desk::new(&card));
    let vault = long.home.path("v.touchkeep");
    let _changed = long.home.json(&["device", "set-pin", &card.serial]);
    long.init(&vault, &card.serial);
    for name in [
        "one", "two", "three", "four", "five", "six", "seven", "eight",
    ] {
        long.add(name);
    }
    let open = ["unlock", vault.to_str().unwrap()];
    let _open = short.home.json(&open);
    short.add("nine");
    // Each has written the vault, with the head of its own log in the commit, and has read the other's.
    long.add("ten");
    short.add("eleven");
    let items = short.home.json(&["list"]);
    assert_eq!(items.as_array().unwrap().len(), 11, "{items}");
    let size = |desk: &Desk| {
        desk.home.json(&["audit", "verify"])["size"]
            .as_u64()
            .unwrap()
    };
    assert!(size(&long) > size(&short), "the other would be a cut");
    assert!(long.is_sound() && short.is_sound());

    // What would be a cut of the longer log is one of that alone.
    let copy = long.home.path("copy.sqlite");
    let backup = "import sqlite3, sys\n\
                  sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))";
    let mut backing = python();
    let copied = backing.args(["-c", backup]).args([&short.log(), &copy]);
    assert!(copied.status().unwrap().success());
    let copied = ["audit", "verify", copy.to_str().unwrap()];
    assert!(long.home.cli(&copied).status.success(), "judged elsewhere");
    let rows = size(&long) - 2;
    for desk in [&long, &short] {
        let _locked = desk.home.json(&["lock", "--all"]);
        let _stopped = desk.home.cli(&["agent", "stop"]);
    }
    let cut = format!(
        "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\n\
         [db.execute('DROP TRIGGER ' + it[0]) for it in db.execute(\"SELECT name FROM sqlite_master WHERE type = 'trigger'\").fetchall()]\n\
         db.execute('DELETE FROM row WHERE seq > {rows}')\n\
         db.execute('DELETE FROM checkpoint WHERE size > {rows}')\ndb.commit()"
    );
    let done = python()
        .args(["-c", &cut])
        .arg(long.log())
        .status()
        .unwrap();
    assert!(done.success());
    assert!(!long.is_sound(), "its own head was seen by the vault");
    assert!(short.is_sound());
}
