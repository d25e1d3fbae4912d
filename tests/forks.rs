//! Two copies of a vault whose membership went on apart, through the real programs: what is merged, what is told, and what is joined.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use touchkeep_client::CallError;
use touchkeep_core::Code;
use touchkeep_tests::{Card, Home, Person};
use touchkeep_wire::JoinMembership;

/// Somebody at a machine with a copy of the vault.
struct Desk {
    home: Home,
    _person: Person,
    vault: PathBuf,
}

impl Desk {
    fn new(card: &Card) -> Self {
        let home = Home::new(Some(&card.pcscd));
        let person = Person::sit_down(&home.paths(), Some(&card.control));
        let vault = home.path("v.touchkeep");
        Self {
            home,
            _person: person,
            vault,
        }
    }

    fn unlock(&self) -> Value {
        let _locked = self.home.cli(&["lock"]);
        let path = self.vault.to_str().unwrap();
        self.home.json(&["unlock", path, "--device", "passphrase"])
    }

    fn enroll(&self, serial: &str) {
        let enrolled = self
            .home
            .json(&["device", "enroll", &format!("piv:{serial}")]);
        assert_eq!(enrolled["device"]["serial"], serial);
    }

    fn add(&self, name: &str) {
        let args = ["add", name, "--venue", "binance", "--api-key", name];
        let more = ["--key-set", name, "--class", "trade", "--secret-fd", "0"];
        let _added = self
            .home
            .json_with(&[&args[..], &more].concat(), "a-secret");
    }

    fn refused(&self, args: &[&str]) -> Value {
        let done = self.home.cli(args);
        assert!(!done.status.success(), "{args:?}");
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        said["error"].clone()
    }

    fn told(&self, args: &[&str]) -> String {
        let done = self.home.touchkeep().args(args).output().unwrap();
        String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
    }
}

// Two machines, one vault under one passphrase, and two cards within reach of both.
fn two_machines() -> (Card, [String; 2], [Desk; 2]) {
    let card = Card::two();
    let serials = [card.serial.clone(), card.second.clone().unwrap()];
    let [here, there] = [(); 2].map(|()| Desk::new(&card));
    for serial in &serials {
        let _changed = here.home.json(&["device", "set-pin", serial]);
    }
    let path = here.vault.to_str().unwrap();
    let args = ["init", "--practice", "--path", path, "--user", "Ada"];
    let _made = here
        .home
        .json(&[&args[..], &["--work-factor", "10"]].concat());
    here.add("common");
    fs::copy(&here.vault, &there.vault).unwrap();
    there.unlock();
    (card, serials, [here, there])
}

#[test]
fn a_fork_is_told_in_words_before_it_is_joined_and_what_is_given_up_opens_nothing() {
    let (_card, [first, second], [here, there]) = two_machines();
    here.enroll(&first);
    here.add("here");
    there.enroll(&second);
    there.add("there");
    let merged = here.home.json(&["merge", there.vault.to_str().unwrap()]);
    assert_eq!(merged["changed"], true);
    let said = merged["read_only"].as_str().unwrap_or_default();
    assert!(said.contains("device join"), "{merged}");
    // At once, and not after the next unlock: until then everything is by hand.
    let status = here.home.json(&["status"]);
    let why = status["vault"]["read_only"].as_str().unwrap_or_default();
    assert!(why.contains("device join"), "{status}");
    let open = here.unlock();
    assert!(
        open["read_only"].as_str().unwrap().contains("device join"),
        "{open}"
    );
    let before = fs::read(&here.vault).unwrap();

    // Looked at, and not asked: nothing is changed.
    let looked = here.home.json(&["device", "join", "--dry-run"]);
    assert_eq!(looked["done"], false);
    let branches = looked["branches"].as_array().unwrap();
    assert_eq!(
        (&branches[0]["holds"], &branches[1]["holds"]),
        (&json!(true), &json!(false))
    );
    let [held, given_up] = [0, 1].map(|at| {
        let did = branches[at]["changes"][0]["did"][0].as_str().unwrap();
        let serials = [&first, &second];
        let mut of = serials.into_iter().filter(|serial| did.contains(*serial));
        let serial = of.next().unwrap_or_else(|| panic!("{did}"));
        assert_eq!(did, format!("let YubiKey ({serial}) of Ada open the vault"));
        let by = &branches[at]["changes"][0]["by"];
        assert_eq!(*by, json!(["Ada, with Passphrase (software device)"]));
        serial.clone()
    });
    assert_ne!(held, given_up);
    assert_eq!(branches[0]["undone"], json!([]));
    let sentence =
        format!("YubiKey ({given_up}) will not open the vault: enroll it again if you want that.");
    assert_eq!(branches[1]["undone"], json!([sentence]));
    let page = here.told(&["device", "join", "--dry-run"]);
    for part in [
        "Branch 1 holds",
        "Branch 2 is given up",
        &sentence,
        "Z  Ada, with",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let not_asked = here.refused(&["device", "join"]);
    assert_eq!(not_asked["code"], "refused", "{not_asked}");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let others = runtime.block_on(async {
        let calls = here.home.connect().await;
        let join = JoinMembership {
            dry_run: false,
            seen: vec!["other".into(), "ends".into()],
        };
        calls.call(join).await.unwrap_err()
    });
    assert!(
        matches!(&others, CallError::Failed(failure) if failure.code == Code::NotPermitted),
        "{others:?}"
    );
    assert_eq!(fs::read(&here.vault).unwrap(), before);

    let joined = here.home.json(&["device", "join", "--yes"]);
    assert_eq!(
        (&joined["done"], &joined["branches"]),
        (&json!(true), &looked["branches"])
    );
    let open = here.unlock();
    assert!(open["read_only"].is_null(), "{open}");
    assert_eq!(open["items"], 3);
    here.add("after");
    let rows = here.home.json(&["audit", "list", "-n", "100"]).to_string();
    assert!(rows.contains(&sentence), "{rows}");
    let nothing = here.refused(&["device", "join", "--dry-run"]);
    assert_eq!(nothing["code"], "invalid", "{nothing}");
    let _locked = here.home.json(&["lock"]);
    let _open = here.home.json(&["unlock", "--device", &held]);
    let _locked = here.home.json(&["lock"]);
    let gone = here.refused(&["unlock", "--device", &given_up]);
    assert_eq!(gone["code"], "no-device", "{gone}");
}

// A retirement is never undone by whoever did not know of it: what cannot be joined without that is not merged.
#[test]
fn a_copy_that_did_not_know_of_a_retirement_is_not_merged_and_both_stay_as_they_are() {
    for both_retire in [false, true] {
        let (_card, [first, second], [here, there]) = two_machines();
        here.enroll(&first);
        here.enroll(&second);
        fs::copy(&here.vault, &there.vault).unwrap();
        there.unlock();
        let _retired = here.home.json(&["device", "retire", &first, "--yes"]);
        if both_retire {
            let _retired = there.home.json(&["device", "retire", &second, "--yes"]);
        }
        there.add("there");
        let whole = [&here, &there].map(|desk| fs::read(&desk.vault).unwrap());
        for (into, from) in [(&here, &there), (&there, &here)] {
            let refused = into.refused(&["merge", from.vault.to_str().unwrap()]);
            assert_eq!(refused["code"], "not-permitted", "{refused}");
            let fix = refused["fix"].as_str().unwrap();
            assert!(fix.contains("open"), "{fix}");
        }
        for (desk, whole) in [&here, &there].into_iter().zip(whole) {
            assert_eq!(fs::read(&desk.vault).unwrap(), whole);
            desk.unlock();
        }
        let devices = here.home.json(&["status"])["vault"]["devices"].clone();
        let devices = devices.as_array().unwrap().iter();
        let mut retired = devices.filter(|device| device["retired"] == true);
        assert_eq!(retired.next().unwrap()["serial"], first.as_str());
    }
}

// The keys that the open vault was opened with read nothing of what was written since: it must not go on by what it knew.
#[test]
fn a_merge_that_brings_a_retirement_and_a_revocation_locks_what_was_open() {
    let (_card, [first, _second], [here, there]) = two_machines();
    here.enroll(&first);
    let _added = here
        .home
        .json(&["proxy", "add", "bot", "--key-set", "common"]);
    fs::copy(&here.vault, &there.vault).unwrap();
    there.unlock();
    let _retired = there.home.json(&["device", "retire", &first, "--yes"]);
    let _revoked = there.home.json(&["proxy", "revoke", "bot"]);
    assert_eq!(here.home.json(&["status"])["unlocked"], true);
    let refused = here.refused(&["merge", there.vault.to_str().unwrap()]);
    let what = refused["what"].as_str().unwrap();
    assert!(
        what.contains("The copy was taken in, and the vault was locked"),
        "{refused}"
    );
    assert!(
        refused["fix"]
            .as_str()
            .unwrap()
            .contains("touchkeep unlock"),
        "{refused}"
    );
    // While it is locked, too, it is known what opens it.
    let opens = || here.home.json(&["status"])["vault"]["devices"].clone();
    let is_retired = |devices: &Value| {
        let mut devices = devices.as_array().unwrap().iter();
        devices.any(|device| device["serial"] == first.as_str() && device["retired"] == true)
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !is_retired(&opens()) {
        assert!(std::time::Instant::now() < deadline, "{}", opens());
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert_eq!(here.home.json(&["status"])["unlocked"], false);
    here.unlock();
    assert_eq!(here.home.json(&["proxy", "list"]), json!([]));
    let devices = here.home.json(&["status"])["vault"]["devices"].clone();
    let mut devices = devices.as_array().unwrap().iter();
    let retired = devices
        .find(|device| device["serial"] == first.as_str())
        .unwrap();
    assert_eq!(retired["retired"], true);
    here.add("after");
}

// Of what did not come through nothing is passed over.
#[test]
fn a_merge_says_what_was_set_aside_what_lost_its_secret_and_who_may_ask_no_more() {
    let (_card, _serials, [here, there]) = two_machines();
    here.add("gone");
    let bot = ["proxy", "add", "grid-bot", "--key-set", "common"];
    let _added = here.home.json(&bot);
    fs::copy(&here.vault, &there.vault).unwrap();
    there.unlock();
    let owner = |desk: &Desk, owner: &str| {
        let set = format!("owner={owner}");
        let _set = desk.home.json(&["edit", "common", "--set", &set]);
    };
    owner(&here, "Ada");
    owner(&there, "Bob");
    let _revoked = there.home.json(&["proxy", "revoke", "grid-bot"]);
    let _removed = here.home.json(&["rm", "gone", "--forever", "--yes"]);
    let _noted = there.home.json(&["edit", "gone", "--set", "owner=Cy"]);

    let merged = here.home.json(&["merge", there.vault.to_str().unwrap()]);
    assert_eq!(merged["ended"], json!(["grid-bot"]), "{merged}");
    assert_eq!(merged["without_secret"], json!(["gone"]), "{merged}");
    let aside = &merged["set_aside"][0];
    assert_eq!(
        (&aside["item"], &aside["field"]),
        (&json!("common"), &json!("owner")),
        "{merged}"
    );
    let mut both = [&aside["holds"], &aside["lost"]].map(|text| text.as_str().unwrap());
    let lost = both[1];
    both.sort_unstable();
    assert_eq!(both, ["Ada", "Bob"]);
    let rows = here.home.json(&["audit", "list", "-n", "100"]).to_string();
    for part in [
        "grid-bot may not ask any more",
        "Without a secret after the merge: gone.",
        "Two copies had changed the same: owner of common.",
    ] {
        assert!(rows.contains(part), "{part}: {rows}");
    }
    let version = aside["version"].to_string();
    let _back = here
        .home
        .json(&["history", "common", "--restore", &version, "--yes"]);
    let shown = here.home.json(&["show", "common"]).to_string();
    assert!(shown.contains(&format!("\"{lost}\"")), "{shown}");
    // And who reads rather than parses is told the same.
    owner(&here, "Dee");
    owner(&there, "Eve");
    let page = here.told(&["merge", there.vault.to_str().unwrap()]);
    for part in [
        "set aside: owner of common",
        "touchkeep history common --restore",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}
