//! What follows from a change of the vault is said by name before it is done, and to whoever is asked for the touch or the passphrase: with
//! the real programs, a practice card, and a SoftHSM token beside it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use touchkeep_tests::{Card, Home, Mind, Person, Venue, http};
use touchkeep_wire::Question;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const TOKEN: &str = "beside";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

const TOUCH: &str = r#"
[[rule]]
name = "trading"
kinds = ["read", "trade"]
action = "allow"

[[rule]]
name = "money"
kinds = ["withdraw"]
action = "touch"
"#;

struct Desk {
    home: Home,
    card: Option<Card>,
    person: Person,
}

impl Desk {
    // A vault that a passphrase opens.
    fn plain() -> Self {
        let home = Home::new(None);
        let person = Person::sit_down(&home.paths(), None);
        let path = home.path("v.touchkeep").display().to_string();
        let init = ["init", "--practice", "--work-factor", "10", "--path", &path];
        let _made = home.json(&init);
        let card = None;
        Self { home, card, person }
    }

    // A vault that a card opens, and a token with the same PIN that is not in it yet.
    fn with_card() -> Self {
        let card = Card::insert();
        let mut home = Home::new(Some(&card.pcscd));
        let (tokens, config) = (home.path("tokens"), home.path("softhsm2.conf"));
        std::fs::create_dir(&tokens).unwrap();
        let text = format!("directories.tokendir = {}\n", tokens.display());
        std::fs::write(&config, text).unwrap();
        let config = config.display().to_string();
        let pin = Mind::default().pin;
        let args = ["--init-token", "--free", "--label", TOKEN];
        let pins = ["--so-pin", "12345678", "--pin", &pin];
        let made = Command::new("softhsm2-util")
            .args([&args[..], &pins].concat())
            .env("SOFTHSM2_CONF", &config)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        home.kill_agent();
        home.set("SOFTHSM2_CONF", &config);
        home.start_agent();
        let person = Person::sit_down(&home.paths(), Some(&card.control));
        let _changed = home.json(&["device", "set-pin", &card.serial]);
        let path = home.path("v.touchkeep").display().to_string();
        let device = format!("piv:{}", card.serial);
        let _made = home.json(&["init", "--practice", "--path", &path, "--device", &device]);
        let card = Some(card);
        let desk = Self { home, card, person };
        desk.policy(TOUCH);
        desk
    }

    fn serial(&self) -> &str {
        &self.card.as_ref().unwrap().serial
    }

    fn policy(&self, text: &str) {
        let path = self.home.path("policy.toml");
        std::fs::write(&path, text).unwrap();
        let _set = self.home.json(&["policy", "set", path.to_str().unwrap()]);
    }

    // What a person reads, and whether it went well.
    fn said(&self, args: &[&str], stdin: &str) -> (bool, String) {
        let mut touchkeep = self.home.touchkeep();
        touchkeep.args(args).arg("--no-interaction");
        let mut child = touchkeep
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(stdin.as_bytes()).unwrap();
        drop(input);
        let done = child.wait_with_output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        // As it is without a terminal's line ends.
        (done.status.success(), said.replace('\n', " "))
    }

    fn refused(&self, args: &[&str]) -> Value {
        let done = self.home.cli(args);
        assert!(!done.status.success(), "{args:?}");
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        said["error"].clone()
    }

    fn found(&self, id: &str) -> Value {
        let done = self.home.cli(&["doctor"]);
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        let mut findings = said["findings"].as_array().unwrap().iter();
        findings.find(|it| it["id"] == id).cloned().unwrap()
    }

    fn pins_asked(&self) -> usize {
        let asked = self.person.was_asked().into_iter();
        asked
            .filter(|it| matches!(it.question, Question::Pin { .. }))
            .count()
    }
}

// What a bot sends that `proxy add` let in.
fn withdraw(client: &Value) -> (u16, String) {
    let headers = [
        ("x-mbx-apikey", client["token"].as_str().unwrap()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let body = "coin=BTC&network=BTC&address=bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq&amount=0.5&timestamp=1&signature=0";
    let base = client["base_url"].as_str().unwrap();
    let path = "/sapi/v1/capital/withdraw/apply";
    http(base, "POST", path, &headers, body)
}

#[test]
fn what_no_device_opens_any_more_is_named_before_the_last_one_goes() {
    let (desk, venue) = (Desk::with_card(), Venue::open());
    let home = &desk.home;
    let add = ["add", "kmoney", "--venue", "binance", "--class"];
    let how = ["move-money", "--api-key", "k", "--sealed", "--secret-fd"];
    let place = ["0", "--base-url", &venue.url];
    let _added = home.json_with(&[&add[..], &how, &place].concat(), "a sealed secret");

    let device = format!("pkcs11:{MODULE}:{TOKEN}");
    let enrolled = home.json(&["device", "enroll", &device]);
    // Nothing is sealed to what waits for no finger, where another device does.
    assert_eq!(
        (&enrolled["to_reseal"], &enrolled["closed"]),
        (&json!([]), &json!(["kmoney"]))
    );
    let token = enrolled["device"]["serial"].as_str().unwrap();
    let (_, said) = desk.said(&["device", "reseal"], "");
    assert!(said.contains("open none") && said.contains(token), "{said}");
    let found = desk.found("vault.sealed");
    assert_eq!(found["level"], "warning", "{found}");
    assert!(found["what"].to_string().contains("kmoney"), "{found}");

    let _locked = home.json(&["lock"]);
    let _open = home.json(&["unlock", "--device", token]);
    // By the device that opens it, whichever unlocked the vault.
    let again = home.json(&["device", "reseal", "kmoney"]);
    assert_eq!(again[0]["name"], "kmoney", "{again}");

    let retire = ["device", "retire", desk.serial()];
    let would = home.json(&[&retire[..], &["--dry-run"]].concat());
    assert_eq!(would["closed"], json!(["kmoney"]), "{would}");
    for more in [&["--dry-run"][..], &[]] {
        let (_, said) = desk.said(&[&retire[..], more].concat(), "");
        assert!(said.contains("NOTHING opens"), "{said}");
        assert!(said.contains("after that: kmoney."), "{said}");
    }
    let ways = home.json(&["recover", "list"]);
    assert_eq!(
        ways.as_array().unwrap().len(),
        2,
        "nothing was done: {ways}"
    );

    // A PIN that is remembered is no consent to a change of who opens the vault.
    let before = desk.pins_asked();
    let retired = home.json(&[&retire[..], &["--yes"]].concat());
    assert_eq!(retired["closed"], json!(["kmoney"]), "{retired}");
    assert_eq!(desk.pins_asked(), before + 1);
    let asked = desk.person.was_asked();
    let why = format!("{:?}", asked.last().unwrap().question);
    assert!(
        why.contains("nothing opens what is sealed in: kmoney"),
        "{why}"
    );

    // From then on nobody types or approves what helps nothing.
    let refused = desk.refused(&["device", "reseal"]);
    assert!(refused["what"].to_string().contains("kmoney"), "{refused}");
    let client = home.json(&["proxy", "add", "bot"]);
    let (status, answer) = withdraw(&client);
    assert_eq!(status, 403, "{answer}");
    assert!(answer.contains("no device in use may open"), "{answer}");
    assert_eq!(desk.pins_asked(), before + 1);
    assert_eq!(desk.person.requests().len(), 0);
    let found = desk.found("vault.sealed");
    assert_eq!(found["level"], "problem", "{found}");
    assert!(found["fix"].to_string().contains("edit NAME"), "{found}");
    assert!(venue.received("/withdraw/apply").is_empty());
}

#[test]
fn a_key_on_a_device_is_replaced_after_a_yes_alone_and_nobody_is_asked_to_bring_it_back() {
    let desk = Desk::with_card();
    let place = ["--venue", "binance", "--class", "trade", "--on-device"];
    let _added = desk.home.json(&[&["add", "ted"][..], &place].concat());
    let edit = ["edit", "ted", "--secret-fd", "0"];
    let (done, said) = desk.said(&edit, "x");
    assert!(!done && said.contains("is on a device"), "{said}");
    let shown = desk.home.json(&["show", "ted"]);
    assert_eq!(shown["summary"]["secret"], "on-device");
    let (done, said) = desk.said(&[&edit[..], &["--yes"]].concat(), "another secret");
    assert!(done && said.contains("touchkeep set-api-key ted"), "{said}");
    let history = desk.home.json(&["history", "ted"]);
    assert_eq!(history[0]["is_current"], true);
    assert_eq!(history[1]["is_kept"], false, "{history}");
    let (done, said) = desk.said(&["history", "ted", "--restore", "1"], "");
    assert!(!done && said.contains("is not kept"), "{said}");
    assert!(!said.contains("--yes"), "nobody was asked: {said}");
}

#[test]
fn the_age_of_a_key_begins_with_its_secret_and_can_be_said_otherwise() {
    let desk = Desk::plain();
    let add = ["add", "old", "--venue", "binance", "--class", "read"];
    let how = ["--api-key", "k", "--age-days", "100"];
    let rule = ["--rotate-after-days", "90", "--secret-fd", "0"];
    let _added = desk
        .home
        .json_with(&[&add[..], &how, &rule].concat(), "one");
    let keys = desk.found("vault.keys");
    assert_eq!(keys["level"], "warning", "{keys}");
    // Both halves of a key are new at its venue.
    let fix = keys["fix"].to_string();
    assert!(fix.contains("--secret --set api-key=KEY"), "{fix}");

    let age = || {
        let shown = desk.home.json(&["show", "old"]);
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let made = shown["summary"]["created"].as_i64().unwrap();
        (i64::try_from(now).unwrap() - made) / DAY_MS
    };
    let edit = ["edit", "old", "--secret-fd", "0", "--set", "owner=ada"];
    let _same = desk.home.json_with(&edit, "one");
    assert_eq!(age(), 100, "the same secret is no younger");
    let _new = desk.home.json_with(&edit, "two");
    assert_eq!(age(), 0);
    assert_eq!(desk.found("vault.keys")["level"], "ok");
    let _told = desk.home.json(&["edit", "old", "--age-days", "30"]);
    assert_eq!(age(), 30);
    let _told = desk
        .home
        .json_with(&[&edit[..], &["--age-days", "7"]].concat(), "three");
    assert_eq!(age(), 7);
    let refused = desk.refused(&["edit", "old", "--set", "age=0"]);
    assert!(
        refused["fix"].to_string().contains("--age-days"),
        "{refused}"
    );
    for empty in ["api-key=", "key-set="] {
        let refused = desk.refused(&["edit", "old", "--set", empty]);
        assert!(refused["what"].to_string().contains("cannot be empty"));
    }
}

#[test]
fn an_older_copy_names_whom_it_lets_in_again_and_that_its_rules_are_others() {
    let desk = Desk::plain();
    let home = &desk.home;
    desk.policy(TOUCH);
    let add = ["add", "trade", "--venue", "binance", "--class", "trade"];
    let how = ["--api-key", "k", "--secret-fd", "0"];
    let _added = home.json_with(&[&add[..], &how].concat(), "secret");
    let _let_in = home.json(&["proxy", "add", "grid"]);
    let _bound = home.json(&["proxy", "add", "scout"]);
    let _closer = home.json(&["proxy", "bind", "scout", "--kind", "read"]);
    let _ended = home.json(&["proxy", "revoke", "grid"]);
    desk.policy(&TOUCH.replace("\"read\", \"trade\"", "\"read\""));

    let copies = home.json(&["backup", "list"]);
    let undone = |copy: &Value| {
        let undoes = &copy["undoes"];
        (undoes["clients"].clone(), undoes["bound"].clone())
    };
    let wanted = (json!(["grid"]), json!(["scout"]));
    let mut of = copies.as_array().unwrap().iter();
    let copy = of.find(|copy| undone(copy) == wanted);
    let copy = copy.unwrap_or_else(|| panic!("{copies:#}"));
    assert_eq!(
        (&copy["undoes"]["policy"], &copy["missing"]),
        (&json!(true), &json!(0))
    );
    let number = copy["number"].to_string();
    let words = "revoked grid; otherwise bound scout; another policy";
    let restore = ["backup", "restore", &number];
    for args in [&restore[..], &["backup", "list"]] {
        let (_, said) = desk.said(args, "");
        assert!(said.contains(words), "{said}");
    }
    let _restored = home.json(&[&restore[..], &["--yes"]].concat());
    let asked = desk.person.was_asked();
    let Some(Question::Passphrase { why }) = asked.last().map(|it| &it.question) else {
        panic!("{asked:?}");
    };
    for word in [
        "let in again: grid",
        "bound otherwise: scout",
        "another policy",
    ] {
        assert!(why.contains(word), "{why}");
    }
    // While it is locked nobody can say.
    let (_, said) = desk.said(&["backup", "list"], "");
    assert!(said.contains("not known"), "{said}");
}

#[test]
fn nothing_typed_for_a_pin_is_a_no_before_anybody_approves_and_touches() {
    let (desk, venue) = (Desk::with_card(), Venue::open());
    let home = &desk.home;
    let device = format!("pkcs11:{MODULE}:{TOKEN}");
    let enrolled = home.json(&["device", "enroll", &device]);
    let token = enrolled["device"]["serial"].as_str().unwrap();
    let add = [
        "add",
        "kmoney",
        "--venue",
        "binance",
        "--class",
        "move-money",
    ];
    let how = ["--on-device", "--device", token, "--algorithm", "rsa2048"];
    let place = ["--base-url", &venue.url];
    let _added = home.json(&[&add[..], &how, &place].concat());
    let public = home.json(&["public-key", "kmoney"]);
    let name = venue.rsa_key(public["pem"].as_str().unwrap(), &["read", "withdraw"]);
    let _set = home.json(&["set-api-key", "kmoney", &name]);
    let client = home.json(&["proxy", "add", "bot"]);
    // So that the token's PIN is not known.
    let _locked = home.json(&["lock"]);
    let _open = home.json(&["unlock", "--device", desk.serial()]);

    for (pin, status) in [(String::new(), 403), (Mind::default().pin, 200)] {
        let before = (desk.pins_asked(), desk.person.requests().len());
        desk.person.mind.lock().unwrap().pin = pin;
        let (answered, answer) = withdraw(&client);
        assert_eq!(answered, status, "{answer}");
        assert_eq!(desk.pins_asked(), before.0 + 1);
        let approved = usize::from(status == 200);
        assert_eq!(desk.person.requests().len(), before.1 + approved);
    }
    assert_eq!(venue.received("/withdraw/apply").len(), 1);
}
