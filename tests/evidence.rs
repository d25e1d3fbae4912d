//! What is taken out of an audit log by the command line: as text, read by Python's own readers; as a bundle, checked by
//! `audit verify` in a home that knows nothing of the vault, and by the second verifier, which shares no code with us.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    fs,
    path::Path,
    process::{Command, ExitStatus},
    slice::from_ref,
};

use serde_json::{Value, json};
use touchkeep_tests::{Home, Person};

/// A name that CSV has to put in quotes, and that a spreadsheet would take for a formula.
const ODD: &str = "=2+3, \"quoted\"";

struct Desk {
    home: Home,
    _person: Person,
}

impl Desk {
    fn set() -> Self {
        let home = Home::new(None);
        let _person = Person::sit_down(&home.paths(), None);
        let path = home.path("v.touchkeep").display().to_string();
        let _made = home.json(&["init", "--practice", "--path", &path, "--work-factor", "10"]);
        for name in ["plain", ODD] {
            let add = ["add", name, "--kind", "api-key", "--secret-fd", "0"];
            let _added = home.json_with(&add, "a-secret");
        }
        let _signed = home.json(&["audit", "checkpoint"]);
        Self { home, _person }
    }

    // Writes a file by a verb of the audit log, and reads it.
    fn file(&self, name: &str, args: &[&str]) -> String {
        let path = self.home.path(name).display().to_string();
        let args = [&["audit"], args, &["--output", &path]].concat();
        let done = self.home.cli(&args);
        assert!(done.status.success(), "{args:?}: {done:?}");
        fs::read_to_string(path).unwrap()
    }

    fn rows(&self) -> Vec<Value> {
        let listed = self.home.json(&["audit", "list", "-n", "100"]);
        assert_eq!(listed["next"], Value::Null);
        let mut rows = listed["rows"].as_array().unwrap().clone();
        rows.reverse();
        rows
    }
}

#[test]
fn a_client_that_was_removed_is_found_by_its_name_and_so_is_the_next_of_that_name() {
    let desk = Desk::set();
    let ids: Vec<String> = (0..2)
        .map(|_| {
            let added = desk.home.json(&["proxy", "add", "payout", "--webhooks"]);
            let _revoked = desk.home.json(&["proxy", "revoke", "payout"]);
            added["id"].as_str().unwrap().to_owned()
        })
        .collect();
    let other = desk.home.json(&["proxy", "add", "other", "--webhooks"]);
    let id_of = |row: &Value| {
        let details = row["details"].as_array().unwrap();
        let fact = details.iter().find(|fact| fact[0] == "client-id");
        fact.map(|fact| fact[1].as_str().unwrap().to_owned())
    };
    let rows = |name: &str| {
        let listed = desk.home.json(&["audit", "list", "--client", name]);
        let rows = listed["rows"].as_array().unwrap().clone();
        let mut kinds: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    id_of(row).unwrap(),
                    row["kind"].as_str().unwrap().to_owned(),
                )
            })
            .filter(|(_, kind)| kind.starts_with("client-"))
            .collect();
        kinds.reverse();
        kinds
    };
    let acts =
        |id: &str| ["client-added", "client-removed"].map(|kind| (id.to_owned(), kind.to_owned()));
    // No client of that name is left, and both are found by it, and each by its id.
    assert_eq!(rows("payout"), [acts(&ids[0]), acts(&ids[1])].concat());
    assert_eq!(rows(&ids[0]), acts(&ids[0]));
    // One that has the name again hides none of them.
    let again = desk.home.json(&["proxy", "add", "payout", "--webhooks"]);
    assert_eq!(rows("payout").len(), 5);
    let exported = desk.file("payout.jsonl", &["export", "--client", "payout"]);
    for id in [&ids[0], &ids[1], again["id"].as_str().unwrap()] {
        assert!(exported.contains(id), "{exported}");
    }
    assert!(!exported.contains(other["id"].as_str().unwrap()));
    // The id stands where a person looks.
    let seq = desk.home.json(&["audit", "list", "--client", &ids[0]])["rows"][0]["seq"].to_string();
    let shown = desk.home.cli(&["audit", "show", &seq]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains(&ids[0]) && shown.contains("client-id"),
        "{shown}"
    );
    let none = desk.home.cli(&["audit", "list", "--client", "nobody"]);
    assert!(!none.status.success());
}

#[test]
fn an_item_that_was_removed_or_renamed_is_found_by_its_name_and_so_is_the_next_of_that_name() {
    let desk = Desk::set();
    let add = || {
        let add = ["add", "payout", "--kind", "api-key", "--secret-fd", "0"];
        let added = desk.home.json_with(&add, "a-secret");
        added["id"].as_str().unwrap().to_owned()
    };
    let rows = |name: &str| {
        let listed = desk
            .home
            .json(&["audit", "list", "--item", name, "--kind", "item-added"]);
        let rows = listed["rows"].as_array().unwrap().clone();
        let id_of = |row: &Value| {
            let details = row["details"].as_array().unwrap();
            let fact = details.iter().find(|fact| fact[0] == "item-id");
            fact.unwrap()[1].as_str().unwrap().to_owned()
        };
        let mut ids: Vec<_> = rows.iter().map(id_of).collect();
        ids.reverse();
        ids
    };
    let first = add();
    let _removed = desk.home.json(&["rm", "payout", "--forever", "--yes"]);
    assert_eq!(rows("payout"), from_ref(&first));
    let second = add();
    assert_eq!(rows("payout"), [first.clone(), second.clone()]);
    let _renamed = desk.home.json(&["edit", "payout", "--name", "other"]);
    assert_eq!(rows("payout"), [first.clone(), second.clone()]);
    assert_eq!(rows("other"), from_ref(&second));
    assert_eq!(rows(&first), from_ref(&first));
    let third = add();
    assert_eq!(rows("payout"), [first, second, third.clone()]);
    // A reference means the one that is there.
    assert_eq!(rows("tk://prod/payout"), [third]);
    let none = desk.home.cli(&["audit", "list", "--item", "nobody"]);
    assert!(!none.status.success());
}

// What the second verifier says of a file.
fn second(path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let done = Command::new(std::env::var("TOUCHKEEP_PYTHON").expect("run by ./dev test"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(root.join("crates/audit/tests/verify_bundle.py"))
        .arg(path)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

// What `audit verify` says of one, where nothing but the file is known.
fn ours(stranger: &Home, path: &Path) -> (ExitStatus, Value) {
    let mut verify = stranger.touchkeep();
    verify.args(["audit", "verify", "--json"]).arg(path);
    let done = verify.output().unwrap();
    let said = serde_json::from_slice(&done.stdout).unwrap_or_default();
    stranger.to_judge("bundle-verdict", &said);
    (done.status, said)
}

#[test]
fn text_has_every_row_of_the_list_the_oldest_first() {
    let desk = Desk::set();
    let lines = desk.file("rows.jsonl", &["export"]);
    let exported: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(exported.len() > 2, "{lines}");
    assert_eq!(exported, desk.rows());
    assert!(!lines.contains("a-secret"));

    desk.file(
        "rows.csv",
        &["export", "--format", "csv", "--kind", "item-added"],
    );
    let read = "import csv,json,sys; print(json.dumps(list(csv.DictReader(open(sys.argv[1], newline='')))))";
    let python = std::env::var("TOUCHKEEP_PYTHON").expect("run by ./dev test");
    let mut reader = Command::new(python);
    reader.args(["-c", read]).arg(desk.home.path("rows.csv"));
    let cells: Value = serde_json::from_slice(&reader.output().unwrap().stdout).unwrap();
    let items: Vec<&str> = cells
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["item"].as_str().unwrap())
        .collect();
    // Plain text for a spreadsheet: nothing begins like a formula.
    assert_eq!(items, ["plain", &format!("'{ODD}")]);
}

#[test]
fn a_bundle_is_sound_for_two_verifiers_that_know_nothing_else_until_a_byte_changes() {
    let desk = Desk::set();
    let stranger = Home::new(None);
    let size = desk.rows().len();
    let all = desk.file("all.bundle", &["export", "--format", "bundle"]);
    let only = [
        "export",
        "--format",
        "bundle",
        "--kind",
        "item-added",
        "--disclose",
    ];
    let shown = desk.file("shown.bundle", &only);
    assert!(!all.contains("plain") && shown.contains("plain"));
    for (name, rows, disclosed) in [("all.bundle", size, 0), ("shown.bundle", 2, 2)] {
        let path = desk.home.path(name);
        assert_eq!(second(&path), format!("sound {size} {rows} {disclosed}"));
        let (ended, said) = ours(&stranger, &path);
        assert!(ended.success(), "{said}");
        assert_eq!(said["sound"], true);
    }

    // One row, with the key that opens it and no other.
    let seq = desk
        .rows()
        .iter()
        .find(|row| row["item"] == "plain")
        .unwrap()["seq"]
        .to_string();
    let proof = desk.file("one.bundle", &["prove", &seq, "--disclose"]);
    let path = desk.home.path("one.bundle");
    assert_eq!(second(&path), format!("sound {size} 1 1"));
    assert!(proof.contains("plain") && !proof.contains("quoted"));
    let changed = proof.replace("plain", "plane");
    fs::write(&path, changed).unwrap();
    assert_eq!(second(&path), format!("damaged {seq}"));
    let (ended, said) = ours(&stranger, &path);
    assert_eq!(
        (ended.code(), &said["sound"]),
        (Some(4), &json!(false)),
        "{said}"
    );

    // Nothing is there to be proved, and no file is left behind.
    let nothing = desk.home.path("nothing.bundle");
    let far = [
        "audit",
        "prove",
        "100000",
        "--output",
        nothing.to_str().unwrap(),
    ];
    let refused = desk.home.cli(&far);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(!nothing.exists());
}
