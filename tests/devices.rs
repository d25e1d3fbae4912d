//! More than one key, a piece of paper, and older copies: with the real binaries and two practice cards, whose own counters
//! say what was sent to them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use touchkeep_client::{Event, FrontEnd};
use touchkeep_tests::{Card, Home, Person, wait_for};
use touchkeep_wire::{Answer, Kit, MakeKit, Question};

const STORED: &str = "canary-stored-secret";
const SEALED: &str = "canary-sealed-secret";

/// A vault on the first of the cards, with one stored and one sealed secret in it.
struct Desk {
    home: Home,
    card: Card,
    person: Person,
    vault: PathBuf,
}

impl Desk {
    fn set(card: Card) -> Self {
        let home = Home::new(Some(&card.pcscd));
        let person = Person::sit_down(&home.paths(), Some(&card.control));
        let vault = home.path("v.touchkeep");
        for serial in [Some(&card.serial), card.second.as_ref()]
            .into_iter()
            .flatten()
        {
            let _changed = home.json(&["device", "set-pin", serial]);
        }
        let device = format!("piv:{}", card.serial);
        let path = vault.to_str().unwrap();
        let _made = home.json(&["init", "--practice", "--path", path, "--device", &device]);
        let desk = Self {
            home,
            card,
            person,
            vault,
        };
        desk.add("stored", &["--class", "trade"], STORED);
        desk.add("money", &["--class", "move-money", "--sealed"], SEALED);
        desk
    }

    fn add(&self, name: &str, args: &[&str], secret: &str) {
        let fixed = ["--venue", "binance", "--api-key", name, "--secret-fd", "0"];
        let args = [&["add", name], args, &fixed].concat();
        let _added = self.home.json_with(&args, secret);
    }

    fn names(&self) -> Vec<String> {
        let items = self.home.json(&["list"]);
        let items = items.as_array().unwrap().iter();
        items
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    }

    fn verifies(&self, card: u8) -> u64 {
        let state = self.card.ask(&json!({ "do": "state", "card": card }));
        state["verify_count"]
            .as_u64()
            .unwrap_or_else(|| panic!("{state}"))
    }

    // How often a PIN was asked for.
    fn pins_asked(&self) -> usize {
        let asked = self.person.was_asked().into_iter();
        asked
            .filter(|it| matches!(it.question, Question::Pin { .. }))
            .count()
    }

    fn make_kit(&self) -> Kit {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let socket = self.home.paths().ui_socket();
            let front = FrontEnd::connect(&socket, "kit").await.unwrap();
            let (calls, _events) = front.split();
            calls.call(MakeKit {}).await.unwrap()
        })
    }

    /// Runs a command that is refused, and says why.
    fn refused(&self, args: &[&str]) -> Value {
        let done = self.home.cli(args);
        assert!(!done.status.success(), "{args:?}");
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        said["error"].clone()
    }
}

#[test]
fn a_second_key_opens_what_the_first_one_wrote_and_stays_when_that_is_lost() {
    let desk = Desk::set(Card::two());
    let (home, second) = (&desk.home, desk.card.second.clone().unwrap());
    assert_eq!(home.json(&["status"])["vault"]["rehearsed"], false);
    // A new value of what was sealed is sealed as well, and what it was before stays as it was sealed.
    let edit = ["edit", "money", "--secret-fd", "0"];
    let _newer = home.json_with(&edit, SEALED);

    let on_it = ["--key-set", "on-it", "--class", "trade", "--on-device"];
    let add = ["add", "on-it", "--venue", "binance"];
    let _made = home.json(&[&add[..], &on_it].concat());

    let enrolled = home.json(&["device", "enroll", "piv"]);
    assert_eq!(enrolled["device"]["serial"], second.as_str());
    assert_eq!(enrolled["to_reseal"], json!(["money"]));
    let resealed = home.json(&["device", "reseal"]);
    assert_eq!(resealed[0]["name"], "money");
    assert_eq!(home.json(&["device", "reseal"]), json!([]));
    let tried = home.json(&["recover", "drill", "--device", &second]);
    assert_eq!(
        (&tried["items"], &tried["device"]["serial"]),
        (&json!(3), &json!(second))
    );
    assert_eq!(home.json(&["status"])["vault"]["rehearsed"], true);

    let attested = home.json(&["device", "attest", &second]);
    let keys = attested.as_array().unwrap();
    let purposes: Vec<_> = keys
        .iter()
        .map(|key| key["purpose"].as_str().unwrap())
        .collect();
    assert_eq!(purposes.len(), 3, "{purposes:?}");
    assert!(keys.iter().all(|key| key["problem"].is_null()), "{keys:?}");

    // The first one is lost.
    let removed = desk.card.ask(&json!({ "do": "remove" }));
    assert_eq!(removed["ok"], true);
    let _locked = home.json(&["lock"]);
    let _open = home.json(&["unlock"]);
    // That the first one is gone means nothing to who unlocked with the second; it is looked once a second.
    let until = Instant::now() + Duration::from_millis(1200);
    while Instant::now() < until {
        assert_eq!(home.json(&["status"])["unlocked"], true);
    }
    let would = home.json(&["device", "retire", &desk.card.serial, "--dry-run"]);
    assert_eq!(would["done"], false);
    assert_eq!(
        (&would["readable"], &would["sealed"]),
        (&json!(["stored"]), &json!(["money"]))
    );
    let retired = home.json(&["device", "retire", &desk.card.serial, "--yes"]);
    assert_eq!(retired["done"], true);
    for report in [&would, &retired] {
        let lost = report["lost"].as_array().unwrap();
        assert_eq!(lost[0], "money: secret (version 1)", "{report}");
        assert_eq!(report["on_device"], json!(["on-it"]), "{report}");
    }
    let _listed = home.json(&["device", "list"]);
    let _card = home.json(&["device", "inspect", &second]);
    let _ways = home.json(&["recover", "list"]);
    let last = desk.refused(&["device", "retire", &second, "--yes"]);
    assert!(
        last["what"].as_str().unwrap().contains("without a device"),
        "{last}"
    );

    // Whoever finds it cannot open what is written from then on.
    let _inserted = desk.card.ask(&json!({ "do": "insert" }));
    let _locked = home.json(&["lock"]);
    let found = desk.refused(&["unlock", "--device", &desk.card.serial]);
    assert_eq!(found["code"], "no-device", "{found}");
    let _open = home.json(&["unlock", "--device", &second]);
    assert_eq!(desk.names(), ["money", "on-it", "stored"]);
    let rows = home.json(&["audit", "list", "-n", "100"]).to_string();
    for kind in ["device-added", "device-retired", "recovery-tried"] {
        assert!(rows.contains(kind), "{kind}: {rows}");
    }
    assert_eq!(home.json(&["audit", "verify"])["sound"], true);
}

// As somebody has it who makes a vault at a terminal with two keys at hand.
#[test]
fn a_vault_that_is_made_with_a_second_device_as_the_way_back_has_it_tried_at_the_end() {
    let card = Card::two();
    let home = Home::new(Some(&card.pcscd));
    let _person = Person::sit_down(&home.paths(), Some(&card.control));
    let second = card.second.clone().unwrap();
    for serial in [&card.serial, &second] {
        let _changed = home.json(&["device", "set-pin", serial]);
    }
    let vault = home.path("v.touchkeep");
    let device = format!("piv:{}", card.serial);
    let args = [
        "init",
        "--practice",
        "--device",
        &device,
        "--recovery",
        "device",
        "--path",
    ];
    // Without a terminal there is nobody to connect it, and nothing is made.
    let alone = home.cli(&[&args[..], &[vault.to_str().unwrap()]].concat());
    assert!(!alone.status.success() && !vault.exists());

    // The first time the second one is out, so nothing is there yet: that is said, and asked again.
    let gone = card.ask(&json!({ "do": "remove", "card": 2 }));
    assert_eq!(gone["ok"], true);
    let dialog = "set timeout 60
spawn {*}$env(PROGRAM)
expect {
    \"no YubiKey is connected that is not in the vault\" { exec sh -c $env(INSERT); exp_continue }
    \"Press Enter when it is there\" { after 300; send \"\\r\"; exp_continue }
    timeout { exec kill -9 [exp_pid]; exit 91 }
    eof
}
exit [lindex [wait] 3]";
    let insert = format!(
        "import socket as s; c = s.socket(s.AF_UNIX); c.connect('{}'); \
         c.sendall(b'{{\"do\":\"insert\",\"card\":2}}\\n'); assert b'true' in c.recv(99)",
        card.control.display()
    );
    std::fs::write(home.path("insert.py"), insert).unwrap();
    let insert = format!("python3 {}", home.path("insert.py").display());
    let program = home.touchkeep();
    let program = format!(
        "{} {} {}",
        program.get_program().display(),
        args.join(" "),
        vault.display()
    );
    let done = Command::new("expect")
        .args(["-c", dialog])
        .envs(home.environment())
        .env("PROGRAM", program)
        .env("INSERT", insert)
        .env("TERM", "dumb")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{shown}");
    let status = home.json(&["status"]);
    assert_eq!(status["vault"]["rehearsed"], true, "{status}");
    let ways = home.json(&["recover", "list"]);
    let tried = ways.as_array().unwrap().iter();
    let mut tried = tried.filter(|way| way["device"]["serial"] == second.as_str());
    assert!(tried.next().unwrap()["tried"].is_u64(), "{ways}");

    let removed = card.ask(&json!({ "do": "remove" }));
    assert_eq!(removed["ok"], true);
    let _locked = home.json(&["lock"]);
    let _open = home.json(&["unlock"]);
}

#[test]
fn the_words_on_paper_open_the_vault_when_every_key_is_gone() {
    let desk = Desk::set(Card::insert());
    let kit = desk.make_kit();
    let words = kit.words.expose();
    assert_eq!(words.split(' ').count(), 24);
    assert_eq!(kit.to_reseal, ["money"]);
    let _resealed = desk.home.json(&["device", "reseal"]);

    let drill = ["recover", "drill", "--words-fd", "0"];
    let swapped = {
        let mut words: Vec<_> = words.split(' ').collect();
        words.reverse();
        words.join(" ")
    };
    let (well, said) = run(&desk.home, &drill, &swapped);
    assert!(!well && said.contains("do not fit together"), "{said}");
    let mut pairs = swapped.split(' ').zip(swapped.split(' ').skip(1));
    assert!(pairs.all(|(one, next)| !said.contains(&format!("{one} {next}"))));
    assert_eq!(desk.home.json_with(&drill, words)["items"], 2);
    assert_eq!(desk.home.json(&["status"])["vault"]["rehearsed"], true);

    let _removed = desk.card.ask(&json!({ "do": "remove" }));
    let _locked = desk.home.json(&["lock"]);
    assert_eq!(desk.refused(&["unlock"])["code"], "no-device");
    let open = desk
        .home
        .json_with(&["recover", "unlock", "--words-fd", "0"], words);
    assert_eq!(open["items"], 2);
    // It signs, too: another device is let in, and opens it alone.
    let enroll = ["device", "enroll", "software", "--work-factor", "10"];
    assert_eq!(desk.refused(&enroll)["code"], "refused");
    desk.person.mind.lock().unwrap().words = words.to_owned();
    let enrolled = desk.home.json(&enroll);
    assert_eq!(enrolled["device"]["kind"], "software");
    let _retired = desk.home.json(&["device", "retire", "kit", "--yes"]);
    let _locked = desk.home.json(&["lock"]);
    let gone = run(&desk.home, &["recover", "unlock", "--words-fd", "0"], words);
    assert!(
        !gone.0 && gone.1.contains("none of this vault"),
        "{}",
        gone.1
    );
    let _open = desk.home.json(&["unlock", "--device", "passphrase"]);
    assert_eq!(desk.names(), ["money", "stored"]);
}

// Whether it went well, and all it said.
fn run(home: &Home, args: &[&str], stdin: &str) -> (bool, String) {
    use std::io::Write;
    let mut child = home
        .touchkeep()
        .args(args)
        .arg("--no-interaction")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(stdin.as_bytes())
        .unwrap();
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    (done.status.success(), said)
}

#[test]
fn an_older_copy_comes_back_on_purpose_and_what_was_newer_is_merged() {
    let desk = Desk::set(Card::insert());
    let home = &desk.home;
    let copies = home.json(&["backup", "list"]);
    let copies = copies.as_array().unwrap();
    assert!(copies.len() >= 2, "{copies:?}");
    assert!(copies.iter().all(|copy| copy["problem"].is_null()));
    // The newest copy is from before the last item.
    assert_eq!(
        (&copies[0]["items"], &copies[0]["missing"]),
        (&json!(1), &json!(0))
    );

    // Put back by hand it is a rollback, and nothing is written to it.
    let newer = home.path("newer");
    std::fs::copy(&desk.vault, &newer).unwrap();
    let _locked = home.json(&["lock"]);
    std::fs::copy(beside(&desk.vault, 1), &desk.vault).unwrap();
    let old = home.json(&["unlock"]);
    assert!(old["read_only"].is_string(), "{old}");
    assert_eq!(desk.names(), ["stored"]);
    let refused = desk.refused(&["rm", "stored", "--yes"]);
    assert!(
        refused["fix"].as_str().unwrap().contains("touchkeep merge"),
        "{refused}"
    );
    let merged = home.json(&["merge", newer.to_str().unwrap()]);
    assert_eq!(
        (&merged["changed"], &merged["locked"]),
        (&json!(true), &json!(true))
    );
    let open = home.json(&["unlock"]);
    assert!(open["read_only"].is_null(), "{open}");
    assert_eq!(desk.names(), ["money", "stored"]);

    // On purpose it is not.
    let copies = home.json(&["backup", "list"]);
    let older = copies
        .as_array()
        .unwrap()
        .iter()
        .find(|copy| copy["items"] == 1)
        .unwrap();
    let number = older["number"].to_string();
    let touches = touches(&desk.card);
    let _restored = home.json(&["backup", "restore", &number, "--yes"]);
    assert!(
        touches_since(&desk.card, touches) > 0,
        "it asks for a touch"
    );
    let open = home.json(&["unlock"]);
    assert!(open["read_only"].is_null(), "{open}");
    assert_eq!(desk.names(), ["stored"]);
    let merged = home.json(&["merge", beside(&desk.vault, 1).to_str().unwrap()]);
    assert_eq!(merged["changed"], true);
    assert_eq!(desk.names(), ["money", "stored"]);
    assert_eq!(home.json(&["audit", "verify"])["sound"], true);
}

fn beside(vault: &Path, number: u32) -> PathBuf {
    PathBuf::from(format!("{}.{number}", vault.display()))
}

fn touches(card: &Card) -> u64 {
    card.ask(&json!({ "do": "state" }))["touches"]
        .as_u64()
        .unwrap()
}

fn touches_since(card: &Card, before: u64) -> u64 {
    touches(card) - before
}

#[test]
fn a_pin_is_changed_and_unblocked_and_its_last_try_is_never_spent_by_the_way() {
    let desk = Desk::set(Card::insert());
    let (home, serial) = (&desk.home, desk.card.serial.as_str());
    let mind = |pin: &str, new: &str| {
        let mut mind = desk.person.mind.lock().unwrap();
        mind.pin = pin.into();
        mind.new_pin = new.into();
    };
    mind("294173", "615243");
    let _changed = home.json(&["device", "pin", serial]);
    mind("615243", "");
    let _locked = home.json(&["lock"]);
    let (before, asked) = (desk.verifies(1), desk.person.was_asked().len());
    let _open = home.json(&["unlock"]);
    let typed = desk.person.was_asked().split_off(asked);
    let typed = typed
        .iter()
        .filter(|it| matches!(it.question, Question::Pin { .. }));
    assert_eq!(
        (desk.verifies(1) - before, typed.count()),
        (2, 1),
        "one PIN that was typed opens the vault, and has the log signed once it was found good"
    );

    // Somebody keeps typing the wrong one.
    let _locked = home.json(&["lock"]);
    mind("000111", "");
    for left in [2, 1] {
        let wrong = desk.refused(&["unlock"]);
        assert_eq!(wrong["code"], "wrong-pin", "{wrong}");
        let report = home.json(&["device", "inspect", serial]);
        assert_eq!(report["pin"]["pin_tries"][0], left, "{report}");
    }
    let before = desk.verifies(1);
    let last = desk.refused(&["unlock"]);
    assert!(
        last["fix"]
            .as_str()
            .unwrap()
            .contains("touchkeep device unblock"),
        "{last}"
    );
    assert_eq!(desk.verifies(1), before, "the last try is left");

    mind("000111", "807060");
    let _unblocked = home.json(&["device", "unblock", serial]);
    mind("807060", "");
    let _open = home.json(&["unlock"]);
    let report = home.json(&["device", "inspect", serial]);
    assert_eq!(report["pin"]["pin_tries"], json!([3, 3]), "{report}");
    let text = report.to_string() + &home.log();
    assert!(
        ["615243", "000111", "807060"]
            .iter()
            .all(|pin| !text.contains(pin))
    );
}

// The PIN that is remembered is another one's by now.
#[test]
fn a_pin_that_another_program_changed_is_sent_once_and_then_asked_for() {
    let desk = Desk::set(Card::insert());
    let changed = Command::new("yubico-piv-tool")
        .args(["-a", "change-pin", "-P", "294173", "-N", "615243"])
        .env("PCSCLITE_CSOCK_NAME", &desk.card.pcscd)
        .output()
        .unwrap();
    assert!(changed.status.success(), "{changed:?}");
    let (before, asked) = (desk.verifies(1), desk.pins_asked());
    let reseal = ["device", "reseal", "money"];
    let refused = desk.refused(&reseal);
    assert_eq!(refused["code"], "wrong-pin", "{refused}");
    assert_eq!((desk.verifies(1), desk.pins_asked()), (before + 1, asked));
    // From then on it is forgotten: what is sent next, somebody typed.
    let refused = desk.refused(&reseal);
    assert_eq!(refused["code"], "wrong-pin", "{refused}");
    assert_eq!(
        (desk.verifies(1), desk.pins_asked()),
        (before + 2, asked + 1)
    );
    let last = desk.refused(&reseal);
    let fix = last["fix"].as_str().unwrap();
    for way in ["device unblock", "device pin"] {
        let command = format!("{way} {}", desk.card.serial);
        assert!(fix.contains(&command), "{last}");
    }
    assert_eq!(
        (desk.verifies(1), desk.pins_asked()),
        (before + 2, asked + 1),
        "the last try is left, and nobody is asked in vain"
    );
    let mut mind = desk.person.mind.lock().unwrap();
    mind.new_pin = "807060".into();
    drop(mind);
    let _unblocked = desk.home.json(&["device", "unblock", &desk.card.serial]);
    desk.person.mind.lock().unwrap().pin = "807060".into();
    let _resealed = desk.home.json(&reseal);
    assert_eq!(desk.pins_asked(), asked + 2);
}

#[test]
fn a_pin_goes_with_its_card_where_that_locks_nothing() {
    let mut desk = Desk::set(Card::insert());
    desk.home.kill_agent();
    let config = desk.home.paths().config;
    std::fs::write(config, "[lock]\nremoval = false\n").unwrap();
    desk.home.start_agent();
    desk.person = Person::sit_down(&desk.home.paths(), Some(&desk.card.control));
    let _open = desk.home.json(&["unlock"]);
    let reseal = ["device", "reseal", "money"];
    let _resealed = desk.home.json(&reseal);
    assert_eq!(desk.pins_asked(), 1, "it is remembered");

    let _gone = desk.card.ask(&json!({ "do": "remove" }));
    let absent = desk.refused(&reseal);
    assert_eq!(absent["code"], "device-removed", "{absent}");
    let _back = desk.card.ask(&json!({ "do": "insert" }));
    let _resealed = desk.home.json(&reseal);
    assert_eq!(desk.pins_asked(), 2, "by a use that found no card");

    // And by nobody's use at all.
    let forgotten = || desk.home.log().matches("its PIN is forgotten").count();
    let before = forgotten();
    let _gone = desk.card.ask(&json!({ "do": "remove" }));
    wait_for("the PIN to be forgotten", || {
        (forgotten() > before).then_some(())
    });
    let _back = desk.card.ask(&json!({ "do": "insert" }));
    assert_eq!(desk.home.json(&["status"])["unlocked"], true);
    let _resealed = desk.home.json(&reseal);
    assert_eq!(desk.pins_asked(), 3);
}

// A card that was pulled out in the middle of its first `set-pin`, or whose PIN somebody changed with another program.
#[test]
fn what_is_the_factorys_is_replaced_and_nothing_else() {
    let card = Card::insert();
    let home = Home::new(Some(&card.pcscd));
    let person = Person::sit_down(&home.paths(), Some(&card.control));
    let changed = Command::new("yubico-piv-tool")
        .args(["-a", "change-pin", "-P", "123456", "-N", "294173"])
        .env("PCSCLITE_CSOCK_NAME", &card.pcscd)
        .output()
        .unwrap();
    assert!(changed.status.success(), "{changed:?}");
    let place = home.path("v.touchkeep");
    let device = format!("piv:{}", card.serial);
    let init = ["init", "--practice", "--user", "Ada", "--device", &device];
    let refused = home.cli(&[&init[..], &["--path", place.to_str().unwrap()]].concat());
    let said = String::from_utf8_lossy(&refused.stdout);
    assert!(
        said.contains("but not its own PUK and management key"),
        "{said}"
    );
    assert_eq!(person.was_asked().len(), 0, "nobody types in vain");
    let set = ["device", "set-pin", &card.serial];
    let _set = home.json(&set);
    let asked = person.was_asked().into_iter().map(|it| it.question);
    let asked: Vec<_> = asked
        .map(|question| match question {
            Question::Pin { tries_left, .. } => format!("the present PIN, {tries_left:?}"),
            Question::NewPin { which, .. } => format!("a new {which}"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(asked, ["the present PIN, Some(3)", "a new PUK"]);
    let report = home.json(&["device", "inspect", &card.serial]);
    assert_eq!(
        (
            &report["pin"]["factory_pin"],
            &report["pin"]["factory_puk"],
            &report["pin"]["management_key"]
        ),
        (&json!(false), &json!(false), &json!("protected")),
        "{report}"
    );
    let before = card.ask(&json!({ "do": "state" }));
    let again = home.cli(&set);
    let said = String::from_utf8_lossy(&again.stdout);
    let pin = format!("touchkeep device pin {}", card.serial);
    assert!(!again.status.success() && said.contains(&pin), "{said}");
    assert_eq!(person.was_asked().len(), 2, "nobody types in vain");
    let after = card.ask(&json!({ "do": "state" }));
    assert_eq!(before["operations"], after["operations"]);
}

// Who does not want to wait for a finger says so. The card waits on by itself, and the next use waits for that.
#[test]
fn a_touch_that_is_refused_ends_the_wait_at_once() {
    let desk = Desk::set(Card::insert());
    let reseal = ["device", "reseal", "money"];
    let _resealed = desk.home.json(&reseal);
    desk.person.take_hands_off();
    let socket = desk.home.paths().ui_socket();
    let refuses = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let front = FrontEnd::connect(&socket, "refuses").await.unwrap();
            let (answers, mut events) = front.split();
            loop {
                let event = events.next().await.expect("a touch is asked for");
                let Event::Open(prompt) = event else { continue };
                if matches!(prompt.question, Question::Touch { .. }) {
                    answers.answer(prompt.id, Answer::Refuse {}).await.unwrap();
                    return Instant::now();
                }
            }
        })
    });
    let refused = desk.refused(&reseal);
    let waited = refuses.join().unwrap().elapsed();
    assert_eq!(refused["code"], "refused", "{refused}");
    // The card itself gives up after four seconds.
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    wait_for("the card to blink all the same", || {
        let state = desk.card.ask(&json!({ "do": "state" }));
        (state["waiting"] == true).then_some(())
    });
    desk.person.mind.lock().unwrap().touches = true;
    let _resealed = desk.home.json(&reseal);
}

/// A finger on the card for as long as it lives.
struct Finger {
    lifted: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Finger {
    fn on(card: &Arc<Card>) -> Self {
        let lifted = Arc::new(AtomicBool::new(false));
        let (card, until) = (Arc::clone(card), Arc::clone(&lifted));
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let _touched = card.ask(&json!({ "do": "touch", "wait_ms": 200 }));
            }
        });
        Self {
            lifted,
            thread: Some(thread),
        }
    }
}

impl Drop for Finger {
    fn drop(&mut self) {
        self.lifted.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

// Runs a script on a terminal where somebody types the PIN and touches the card; what it showed.
fn on_a_terminal(card: &Arc<Card>, folder: &Path, script: &str) -> String {
    let _finger = Finger::on(card);
    // A list of patterns has to begin on a line of its own, or it is one pattern.
    let dialog = "set timeout 30
spawn sh -euc $env(SCRIPT)
expect {
    -nocase \"enter pin\" { after 400; send \"294173\\r\"; exp_continue }
    timeout { exec kill -9 [exp_pid]; exit 91 }
    eof
}
exit [lindex [wait] 3]";
    let plugin = std::env::var("TOUCHKEEP_AGE_PLUGIN_DIR").unwrap();
    let path = format!("{plugin}:{}", std::env::var("PATH").unwrap());
    let done = Command::new("expect")
        .args(["-c", dialog])
        .env("SCRIPT", script)
        .env("PATH", path)
        .env("PCSCLITE_CSOCK_NAME", &card.pcscd)
        .current_dir(folder)
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{script}: {shown}");
    shown
}

#[test]
fn tar_age_and_the_plugin_get_back_what_a_card_has_locked() {
    let mut desk = Desk::set(Card::insert());
    desk.home.kill_agent();
    let folder = desk.home.path("out");
    std::fs::create_dir(&folder).unwrap();
    let card = Arc::new(desk.card);
    let shell = |script: &str| drop(on_a_terminal(&card, &folder, script));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    shell(&format!("tar xf '{}'", desk.vault.display()));
    let readme = read("README.txt");
    let command = |starts: &str| {
        let mut lines = readme.lines().map(str::trim);
        let line = lines.find(|line| line.starts_with(starts)).unwrap();
        line.replace("<user>", "*")
            .replace("<item>-<revision>", "*")
    };
    // The identity lines stand at the end of the README, each with what it is for.
    let identity = |purpose: &str| {
        let mut lines = readme
            .lines()
            .skip_while(|line| !line.starts_with("Devices"));
        let line = lines
            .find(|line| line.contains("AGE-PLUGIN-YUBIKEY-1") && line.contains(purpose))
            .unwrap_or_else(|| panic!("{readme}"));
        let mut words = line.split_whitespace();
        words
            .find(|word| word.starts_with("AGE-PLUGIN-YUBIKEY-1"))
            .unwrap()
            .to_owned()
    };
    for (file, purpose) in [("identity.txt", "unlock"), ("seal.txt", "seal")] {
        std::fs::write(folder.join(file), identity(purpose) + "\n").unwrap();
    }
    shell(&command("age -d -i identity.txt u/"));
    shell(&command("for k in"));
    shell(&command("for f in"));
    assert!(read("operations.jsonl").contains(&format!("stored:{STORED}")));
    shell(&format!("{} > sealed", command("age -d -i seal.txt t/")));
    assert_eq!(read("sealed"), SEALED);
}

#[test]
fn a_key_of_the_plugin_is_taken_over_and_stays_the_plugins() {
    let card = Arc::new(Card::insert());
    let home = Home::new(Some(&card.pcscd));
    let person = Person::sit_down(&home.paths(), Some(&card.control));
    let _changed = home.json(&["device", "set-pin", &card.serial]);
    let made = on_a_terminal(
        &card,
        home.path("home").as_path(),
        "age-plugin-yubikey --generate --slot 1 --name theirs --pin-policy once --touch-policy cached --force",
    );
    let find = |start: &str| {
        let mut words = made.split_whitespace();
        let found = words.rfind(|word| word.starts_with(start));
        found.unwrap_or_else(|| panic!("{made}")).to_owned()
    };
    let (identity, recipient) = (find("AGE-PLUGIN-YUBIKEY-1"), find("age1yubikey1"));

    let vault = home.path("v.touchkeep");
    let (path, device) = (vault.to_str().unwrap(), format!("piv:{}", card.serial));
    let init = ["init", "--practice", "--path", path, "--device", &device];
    // Where there is none nobody types a PIN for it.
    let asked = person.was_asked().len();
    let none = home.cli(&[&init[..], &["--adopt", "90"]].concat());
    let said = String::from_utf8_lossy(&none.stdout);
    assert!(
        !none.status.success() && said.contains("there is no key of age-plugin-yubikey"),
        "{said}"
    );
    assert_eq!(person.was_asked().len(), asked);
    // The plugin calls it slot 1, the card 82.
    let _made = home.json(&[&init[..], &["--adopt", "1"]].concat());
    let _locked = home.json(&["lock"]);
    let _open = home.json(&["unlock"]);
    let report = home.json(&["device", "inspect", &card.serial]);
    let slots = report["slots"].as_array().unwrap();
    assert_eq!(slots.len(), 3, "{report}");
    // The plugin's own identity opens the vault, and a file of its own still.
    let folder = home.path("out");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("identity.txt"), identity + "\n").unwrap();
    let _opened = on_a_terminal(
        &card,
        &folder,
        &format!(
            "tar xf '{path}'; age -d -i identity.txt u/*.age > user.txt; \
             echo theirs | age -r {recipient} > file.age; age -d -i identity.txt file.age > plain"
        ),
    );
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(read("user.txt").contains("AGE-SECRET-KEY-1"));
    assert_eq!(read("plain"), "theirs\n");
}

#[test]
fn a_card_that_is_taken_away_locks_the_vault_and_a_sealed_value_wants_its_touch() {
    let desk = Desk::set(Card::insert());
    // A sealed value goes to a program that a person let through, with a PIN and a touch for it.
    let before = touches(&desk.card);
    let program = desk
        .home
        .touchkeep()
        .args([
            "run",
            "--",
            "sh",
            "-c",
            "printf %s \"$S\" | sha256sum; echo \"$S\"",
        ])
        .env("S", "tk://prod/money/secret")
        .output()
        .unwrap();
    let said = String::from_utf8(program.stdout).unwrap();
    let mut lines = said.lines();
    // printf %s canary-sealed-secret | sha256sum
    let hash = "2a2381a80a6e32bfd98b9f15656a5affeef0495ce66660a4c5f434ef9b83960d";
    assert!(lines.next().unwrap().starts_with(hash), "{said}");
    assert_eq!(lines.next(), Some("<hidden by touchkeep>"));
    assert_eq!(touches_since(&desk.card, before), 1);

    // A pcscd that goes is no card that goes, and the next one shows it again. (It is looked once a second.)
    let open_for_a_while = || {
        let until = Instant::now() + Duration::from_millis(2500);
        while Instant::now() < until {
            assert_eq!(desk.home.json(&["status"])["unlocked"], true);
        }
    };
    open_for_a_while();
    for then in ["kill", "start"] {
        let done = desk.card.ask(&json!({ "do": "pcscd", "then": then }));
        assert_eq!(done["ok"], true);
        open_for_a_while();
    }
    let _resealed = desk.home.json(&["device", "reseal", "money"]);
    let _gone = desk.card.ask(&json!({ "do": "remove" }));
    wait_for("the lock", || {
        (desk.home.json(&["status"])["unlocked"] == false).then_some(())
    });
}

// Whoever locks the screen and takes his key along means what he means without the first of the two.
#[test]
fn a_card_that_is_taken_away_after_the_lock_ends_armed_keys() {
    let desk = Desk::set(Card::insert());
    let _armed = desk.home.json(&["arm", "10m"]);
    let _locked = desk.home.json(&["lock"]);
    let status = || desk.home.json(&["status"]);
    let until = Instant::now() + Duration::from_millis(2500);
    while Instant::now() < until {
        let status = status();
        assert!(status["armed"].is_u64(), "{status} {}", desk.home.log());
        assert_eq!(status["unlocked"], false);
    }
    assert_eq!(desk.card.ask(&json!({ "do": "remove" }))["ok"], true);
    wait_for("the end of the armed keys", || {
        status()["armed"].is_null().then_some(())
    });
    assert_eq!(desk.card.ask(&json!({ "do": "insert" }))["ok"], true);
    let _open = desk.home.json(&["unlock"]);
    let rows = desk.home.json(&["audit", "list", "--kind", "disarmed"]);
    let what = rows["rows"][0]["what"].as_str().unwrap();
    assert!(what.contains("taken away"), "{rows}");
}

// `systemctl restart pcscd` takes less than the second between two looks, and the next pcscd counts cards from the beginning.
#[test]
fn a_pcscd_that_is_restarted_between_two_looks_is_no_card_that_goes() {
    let desk = Desk::set(Card::insert());
    for what in ["remove", "insert"] {
        assert_eq!(desk.card.ask(&json!({ "do": what }))["ok"], true);
    }
    let _locked = desk.home.json(&["lock"]);
    let _open = desk.home.json(&["unlock"]);
    let open_for_a_while = || {
        let until = Instant::now() + Duration::from_millis(2500);
        while Instant::now() < until {
            assert_eq!(
                desk.home.json(&["status"])["unlocked"],
                true,
                "{} {:?}",
                desk.home.log(),
                until
            );
        }
    };
    open_for_a_while();
    for _ in 0..2 {
        let done = desk.card.ask(&json!({ "do": "pcscd", "then": "restart" }));
        assert_eq!(done["ok"], true);
        open_for_a_while();
    }
    // It is looked after as before.
    assert_eq!(desk.card.ask(&json!({ "do": "remove" }))["ok"], true);
    wait_for("the lock", || {
        (desk.home.json(&["status"])["unlocked"] == false).then_some(())
    });
}
