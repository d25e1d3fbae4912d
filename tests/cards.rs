//! Cards that are found again, and a pcscd that does not answer: the real programs, a practice card, a pcscd of the test's own.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use touchkeep_tests::{Card, Home, Mind, Person, wait_for};
use touchkeep_wire::Question;

/// A vault under a passphrase, and a card that is no part of it yet.
struct Desk {
    home: Home,
    card: Card,
    person: Person,
}

impl Desk {
    fn set() -> Self {
        let card = Card::insert();
        let home = Home::new(Some(&card.pcscd));
        let person = Person::sit_down(&home.paths(), Some(&card.control));
        let _changed = home.json(&["device", "set-pin", &card.serial]);
        let path = home.path("v.touchkeep").display().to_string();
        let init = ["init", "--practice", "--work-factor", "10", "--path", &path];
        let _made = home.json(&init);
        Self { home, card, person }
    }

    fn refused(&self, args: &[&str]) -> Value {
        let done = self.home.cli(args);
        assert!(!done.status.success(), "{args:?}");
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        said["error"].clone()
    }

    fn pins_asked(&self) -> usize {
        let asked = self.person.was_asked().into_iter();
        asked
            .filter(|it| matches!(it.question, Question::Pin { .. }))
            .count()
    }

    /// Takes a certificate off the card as its maker's tools do it, with the management key that lies there under the PIN.
    fn delete_certificate(&self, slot: &str) {
        let pin = Mind::default().pin;
        let tool = |args: &[&str]| {
            let mut tool = Command::new("yubico-piv-tool");
            tool.env("PCSCLITE_CSOCK_NAME", &self.card.pcscd);
            let done = tool.args(args).output().unwrap();
            assert!(done.status.success(), "{args:?}: {done:?}");
            String::from_utf8(done.stdout).unwrap()
        };
        let verify = ["-a", "verify-pin", "-P", &pin];
        let read = ["-a", "read-object", "--id", "0x5fc109"];
        let kept = tool(&[&verify[..], &read].concat());
        let (_, key) = kept.split_once("8918").unwrap();
        let key = format!("--key={}", &key[..48]);
        let _deleted = tool(&[&key, "-a", "delete-certificate", "-s", slot]);
    }
}

#[test]
fn a_card_that_was_retired_and_is_found_again_says_what_to_do_and_that_helps() {
    let desk = Desk::set();
    let (home, serial) = (&desk.home, &desk.card.serial);
    let device = format!("piv:{serial}");
    let first = home.json(&["device", "enroll", &device])["device"]["id"].clone();
    let pins = desk.pins_asked();
    let refused = desk.refused(&["device", "enroll", &device]);
    assert!(
        refused["what"].to_string().contains("is enrolled already"),
        "{refused}"
    );

    let _retired = home.json(&["device", "retire", serial, "--yes"]);
    let listed = home.json(&["device", "list"]);
    let row = |listed: &Value| {
        let mut rows = listed.as_array().unwrap().iter();
        let row = rows.find(|row| row["connected"] == true && row["kind"] == "piv");
        row.cloned().unwrap_or_else(|| panic!("{listed}"))
    };
    let known = |listed: &Value| {
        (
            row(listed)["enrolled"].clone(),
            row(listed)["retired"].clone(),
        )
    };
    assert_eq!(known(&listed), (first.clone(), json!(true)));

    let refused = desk.refused(&["device", "enroll", &device]);
    let (what, fix) = (
        refused["what"].as_str().unwrap(),
        refused["fix"].as_str().unwrap(),
    );
    assert!(what.contains("was retired"), "{refused}");
    assert_eq!(desk.pins_asked(), pins, "nobody typed a PIN in vain");
    let slots = ["82", "83", "84"];
    for slot in slots {
        assert!(
            fix.contains(&format!("ykman piv certificates delete {slot}")),
            "{fix}"
        );
    }
    assert!(fix.contains(&format!("device enroll {device}")), "{fix}");

    for slot in slots {
        desk.delete_certificate(slot);
    }
    let again = home.json(&["device", "enroll", &device])["device"]["id"].clone();
    assert_ne!(again, first);
    let listed = home.json(&["device", "list"]);
    assert_eq!(known(&listed), (again.clone(), json!(false)));
    let _locked = home.json(&["lock"]);
    let _open = home.json(&["unlock", "--device", again.as_str().unwrap()]);
}

#[test]
fn a_pcscd_that_does_not_answer_keeps_no_change_of_a_vault_waiting() {
    let desk = Desk::set();
    let serial = &desk.card.serial;
    let inspect = ["device", "inspect", serial];
    let late = json!({ "do": "at", "apdu": 6, "then": "delay", "ms": 1500 });
    assert_eq!(desk.card.ask(&late)["ok"], true);
    let arrived = || desk.card.ask(&json!({ "do": "state" }))["apdus"].as_u64();
    let before = arrived().unwrap();
    let stopped = Pid::from_raw(desk.card.pcscd_pid()).unwrap();
    let limit = Duration::from_secs(20);
    std::thread::scope(|scope| {
        let inspecting = scope.spawn(|| (desk.refused(&inspect), Instant::now()));
        let begun = Instant::now();
        wait_for("the command that is answered late", || {
            (arrived()? >= before + 6).then_some(())
        });
        kill_process(stopped, Signal::STOP).unwrap();
        let args = ["add", "q", "--kind", "note", "--secret-fd", "0"];
        let _added = desk.home.json_with(&args, "a note");
        let added = Instant::now();
        let (refused, given_up) = inspecting.join().unwrap();
        assert!(added < given_up, "the change waited for the card");
        assert!(given_up - begun < limit, "{:?}", given_up - begun);
        assert!(
            refused["what"]
                .to_string()
                .contains("pcscd does not answer"),
            "{refused}"
        );
    });
    let begun = Instant::now();
    let listed = desk.home.json(&["device", "list"]);
    assert!(begun.elapsed() < limit);
    assert_eq!(listed[0]["connected"], false, "{listed}");
    kill_process(stopped, Signal::CONT).unwrap();
    let seen = desk.home.json(&inspect);
    assert_eq!(seen["serial"], json!(serial), "{seen}");
}

#[test]
fn a_practice_card_is_called_that_where_no_vault_practises() {
    let card = Card::insert();
    let home = Home::new(Some(&card.pcscd));
    let _person = Person::sit_down(&home.paths(), Some(&card.control));
    let _changed = home.json(&["device", "set-pin", &card.serial]);
    let path = home.path("v.touchkeep").display().to_string();
    let device = format!("piv:{}", card.serial);
    let _made = home.json(&["init", "--practice", "--path", &path, "--device", &device]);
    let attested = home.json(&["device", "attest", &card.serial]);
    assert!(attested[0]["problem"].is_null(), "{attested}");

    // The same card, to somebody who has no vault.
    let other = Home::new(Some(&card.pcscd));
    let done = other.cli(&["device", "attest", &card.serial]);
    let keys: Value = serde_json::from_slice(&done.stdout).unwrap();
    for key in keys.as_array().unwrap() {
        let problem = key["problem"].as_str().unwrap();
        assert!(problem.contains("a practice card"), "{problem}");
        assert!(key["chain"].is_null());
    }
    let seen = other.json(&["device", "inspect", &card.serial]);
    assert!(
        seen["limits"].to_string().contains("a practice card"),
        "{seen}"
    );
    let slots = seen["slots"].as_array().unwrap();
    assert!(
        slots.iter().all(|slot| slot["attested"].is_null()),
        "{seen}"
    );
}

// No YubiKey says of one key what is so of another: this one does, of its seal key.
#[test]
fn a_card_that_attests_another_key_than_it_has_opens_no_vault() {
    let desk = Desk::set();
    let (home, serial) = (&desk.home, &desk.card.serial);
    let device = format!("piv:{serial}");
    let says_of_83_what_is_so_of_82 = || {
        let order = json!({
            "do": "at", "apdu": 1, "ins": "f9", "times": 100, "then": "instead", "hex": "00f9820000",
        });
        assert_eq!(desk.card.ask(&order)["ok"], true);
    };
    let is_refused = |args: &[&str]| {
        says_of_83_what_is_so_of_82();
        let refused = desk.refused(args);
        let what = refused["what"].as_str().unwrap();
        assert!(
            what.contains("not so") && what.contains("slot 83"),
            "{refused}"
        );
        assert_ne!(refused["fix"], "", "{refused}");
    };
    is_refused(&["device", "enroll", &device]);
    let is_enrolled = || {
        let devices = home.json(&["status"])["vault"]["devices"].clone();
        devices.to_string().contains(serial.as_str())
    };
    assert!(!is_enrolled());

    // Its keys are good, and so it is enrolled once it tells the truth.
    assert_eq!(desk.card.ask(&json!({ "do": "at", "apdu": 0 }))["ok"], true);
    let _enrolled = home.json(&["device", "enroll", &device]);
    assert!(is_enrolled());

    let of_a_new_vault = home.path("second.touchkeep").display().to_string();
    is_refused(&[
        "init",
        "--practice",
        "--path",
        &of_a_new_vault,
        "--device",
        &device,
    ]);
    assert!(!std::path::Path::new(&of_a_new_vault).exists());
}

// Its maker's keys are public: whoever has them can have a key attested that he has copies of.
#[test]
fn a_card_of_the_practice_opens_no_real_vault() {
    let card = Card::insert();
    let home = Home::new(Some(&card.pcscd));
    let person = Person::sit_down(&home.paths(), Some(&card.control));
    let _changed = home.json(&["device", "set-pin", &card.serial]);
    let device = format!("piv:{}", card.serial);
    let state = || {
        let mut state = card.ask(&json!({ "do": "state" }));
        state.as_object_mut().unwrap().remove("apdus");
        (state, home.json(&["device", "inspect", &card.serial]))
    };
    let before = state();
    let pins_asked = || {
        let asked = person.was_asked().into_iter();
        asked
            .filter(|it| matches!(it.question, Question::Pin { .. }))
            .count()
    };
    let refused = |args: &[&str]| {
        let done = home.cli(args);
        assert!(!done.status.success(), "{args:?}");
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        let what = said["error"]["what"].as_str().unwrap();
        assert!(
            what.contains("does not vouch") && what.contains("practice card"),
            "{said}"
        );
        assert_eq!(said["error"]["code"], "not-permitted");
        // No key was made, no PIN typed or sent.
        assert_eq!(state(), before);
        assert_eq!(pins_asked(), 0);
    };
    let path = home.path("real.touchkeep").display().to_string();
    let init = ["init", "--recovery", "later", "--path", &path];
    refused(&[&init[..], &["--device", &device]].concat());
    assert!(!std::path::Path::new(&path).exists());

    let _made = home.json(&init);
    refused(&["device", "enroll", &device]);
    let devices = home.json(&["status"])["vault"]["devices"].clone();
    let kinds: Vec<_> = devices
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["kind"])
        .collect();
    assert_eq!(kinds, ["software"]);
}

// Before a key of it says so: the certificate that is to sign for its keys is gone, or of somebody else.
#[test]
fn a_card_that_has_nobody_to_vouch_for_it_gets_no_keys() {
    let desk = Desk::set();
    let device = format!("piv:{}", desk.card.serial);
    let none = ["device", "enroll", &device];
    // The object of slot f9 is asked for once, after what the card is and which keys it has.
    for (status, expected) in [("6a82", "not attested"), ("6982", "status 6982")] {
        let first = desk.card.ask(&json!({ "do": "state" }));
        let order = json!({ "do": "at", "apdu": 1, "ins": "cb", "then": "status", "sw": status });
        assert_eq!(desk.card.ask(&order)["ok"], true);
        let said = desk.refused(&none);
        assert!(said["what"].to_string().contains(expected), "{said}");
        let after = desk.card.ask(&json!({ "do": "state" }));
        assert_eq!(first["operations"], after["operations"]);
        assert_eq!(desk.pins_asked(), 0);
    }
    let _enrolled = desk.home.json(&none);
}
