//! A new vault beside one that is open: what was open gives way once the new one is made, and not before.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::path::Path;

use serde_json::{Value, json};
use touchkeep_tests::{Card, Home, Mind, Person};
use touchkeep_wire::Question;

const SECRET: &str = "canary-of-the-open-vault";

/// A vault under a passphrase that is open, with an armed trade key, and a card that is no part of it.
struct Desk {
    home: Home,
    card: Card,
    person: Person,
    first: String,
}

impl Desk {
    fn set() -> Self {
        let card = Card::insert();
        let home = Home::new(Some(&card.pcscd));
        let person = Person::sit_down(&home.paths(), Some(&card.control));
        let _changed = home.json(&["device", "set-pin", &card.serial]);
        let first = home.path("first.touchkeep").display().to_string();
        let init = [
            "init",
            "--practice",
            "--work-factor",
            "10",
            "--path",
            &first,
        ];
        let _made = home.json(&init);
        let key = [
            "--venue",
            "binance",
            "--class",
            "trade",
            "--api-key",
            "name",
        ];
        let add = [&["add", "trade", "--secret-fd", "0"], &key[..]].concat();
        let _added = home.json_with(&add, SECRET);
        let armed = home.json(&["arm", "10m"]);
        assert_eq!(armed["items"], json!(["trade"]));
        Self {
            home,
            card,
            person,
            first,
        }
    }

    fn thinks(&self, change: impl FnOnce(&mut Mind)) {
        change(&mut self.person.mind.lock().unwrap());
    }

    fn init(&self, path: &str, device: &str) -> Result<Value, Value> {
        let mut args = vec!["init", "--practice", "--recovery", "later", "--path", path];
        args.extend(match device {
            "passphrase" => ["--work-factor", "10"],
            device => ["--device", device],
        });
        let done = self.home.cli(&args);
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        match done.status.success() {
            true => Ok(said),
            false => Err(said["error"].clone()),
        }
    }

    fn asked(&self) -> usize {
        let asked = self.person.was_asked().into_iter();
        let typed =
            |it: &Question| matches!(it, Question::Pin { .. } | Question::Passphrase { .. });
        asked.filter(|it| typed(&it.question)).count()
    }

    /// Which rows of the open vault's log there are.
    fn rows(&self, kind: &str) -> Vec<Value> {
        let listed = self.home.json(&["audit", "list"]);
        let rows = listed["rows"]
            .as_array()
            .unwrap_or_else(|| panic!("{listed}"));
        rows.iter()
            .filter(|row| row["kind"] == kind)
            .cloned()
            .collect()
    }
}

#[test]
fn a_vault_that_is_not_made_leaves_the_open_one_and_its_armed_keys() {
    let desk = Desk::set();
    let second = desk.home.path("second.touchkeep").display().to_string();
    let piv = format!("piv:{}", desk.card.serial);
    let nowhere = desk
        .home
        .path("none/second.touchkeep")
        .display()
        .to_string();
    let is_as_before = |why: &str| {
        let status = desk.home.json(&["status"]);
        assert_eq!(status["unlocked"], true, "{why}: {status}");
        assert_eq!(status["vault"]["path"], json!(desk.first), "{why}");
        assert!(status["armed"].is_u64(), "{why}: {status}");
        for ended in ["locked", "disarmed"] {
            assert_eq!(desk.rows(ended), Vec::<Value>::new(), "{why}");
        }
        assert!(!Path::new(&second).exists(), "{why}");
    };
    is_as_before("nothing happened");

    let refused = desk.init(&second, "piv:4999999999").unwrap_err();
    is_as_before(&format!("no such card: {refused}"));
    desk.thinks(|mind| mind.pin = "000000".into());
    let refused = desk.init(&second, &piv).unwrap_err();
    assert!(refused["what"].to_string().contains("PIN"), "{refused}");
    is_as_before("a wrong PIN");
    desk.thinks(|mind| *mind = Mind::default());
    desk.thinks(|mind| mind.passphrase = String::new());
    let refused = desk.init(&second, "passphrase").unwrap_err();
    is_as_before(&format!("no passphrase: {refused}"));
    desk.thinks(|mind| *mind = Mind::default());
    let refused = desk.init(&nowhere, "passphrase").unwrap_err();
    is_as_before(&format!("no such folder: {refused}"));
    let before = desk.asked();
    let read = desk.home.cli(&["show", "trade"]);
    assert!(read.status.success());
    assert_eq!(desk.asked(), before, "it is open still");
}

#[test]
fn what_was_open_gives_way_to_a_vault_that_was_made_and_its_log_says_so() {
    let desk = Desk::set();
    let second = desk.home.path("second.touchkeep").display().to_string();
    let piv = format!("piv:{}", desk.card.serial);
    let made = desk.init(&second, &piv);
    assert!(made.is_ok(), "{made:?}");
    let status = desk.home.json(&["status"]);
    assert_eq!(
        (&status["unlocked"], &status["vault"]["path"]),
        (&json!(true), &json!(second))
    );
    assert!(status["armed"].is_null(), "{status}");
    // The PIN that was typed for it is known still.
    let asked = desk.asked();
    let _made = desk.home.json(&["env", "add", "testnet"]);
    assert_eq!(desk.asked(), asked);

    let _first = desk.home.json(&["unlock", "--vault", &desk.first]);
    let locked = desk.rows("locked");
    let text = locked[0].to_string();
    assert!(
        text.contains("A new vault was made, and is open in its place."),
        "{text}"
    );
}
