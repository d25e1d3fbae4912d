//! What a vault is after something went wrong: opened with its recovery kit, after a save that failed, with a file that does not
//! read, and with what another copy has decided. Real binaries, a real exchange, and a person who types.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use touchkeep_client::{CallError, FrontEnd};
use touchkeep_core::Code;
use touchkeep_tests::{Home, Person, Running, Venue, http, wait_for};
use touchkeep_wire::{MakeKit, Question, SecretText, UnlockWithKit};

const ADDRESS: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
/// A kit's words, of another kit: a vector of BIP 39.
const OTHER_WORDS: &str = "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth \
    useful legal winner thank year wave sausage worth title";
const ALL_ALLOWED: &str =
    "[[rule]]\nname = \"all\"\nkinds = [\"read\", \"trade\"]\naction = \"allow\"\n";
const TOUCHED: &str = "[[rule]]\nname = \"money\"\nkinds = [\"withdraw\"]\naction = \"touch\"\n";
const DENIED: &str =
    "[[rule]]\nname = \"nothing\"\nkinds = [\"read\", \"trade\"]\naction = \"deny\"\n";

/// Somebody at a machine with a vault that a passphrase opens.
struct Desk {
    home: Home,
    person: Option<Person>,
    vault: PathBuf,
}

impl Desk {
    fn empty() -> Self {
        let home = Home::new(None);
        Self {
            person: Some(Person::sit_down(&home.paths(), None)),
            vault: home.path("v.touchkeep"),
            home,
        }
    }

    fn set() -> Self {
        let desk = Self::empty();
        let path = desk.vault.to_str().unwrap();
        let init = ["init", "--practice", "--work-factor", "10", "--path", path];
        let _made = desk.home.json(&init);
        desk
    }

    fn key(&self, name: &str, class: &str, venue: &Venue, may: &[&str]) {
        let (api_key, secret) = venue.hmac_key(may);
        let args = ["add", name, "--venue", "binance", "--class", class];
        let more = ["--api-key", &api_key, "--base-url", &venue.url];
        let args = [&args[..], &more, &["--secret-fd", "0"]].concat();
        let _added = self.home.json_with(&args, &secret);
    }

    fn note(&self, name: &str) {
        let args = ["add", name, "--kind", "note", "--secret-fd", "0"];
        let _added = self.home.json_with(&args, "text");
    }

    fn policy(&self, text: &str) {
        let file = self.home.path("policy.toml");
        fs::write(&file, text).unwrap();
        let _set = self.home.json(&["policy", "set", file.to_str().unwrap()]);
    }

    fn kit(&self) -> String {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let socket = self.home.paths().ui_socket();
            let front = FrontEnd::connect(&socket, "kit").await.unwrap();
            let (calls, _events) = front.split();
            let kit = calls.call(MakeKit {}).await.unwrap();
            kit.words.expose().to_owned()
        })
    }

    fn types(&self, words: &str) {
        self.person.as_ref().unwrap().mind.lock().unwrap().words = words.to_owned();
    }

    // How often the words were asked for.
    fn words_asked(&self) -> usize {
        let asked = self.person.as_ref().unwrap().was_asked().into_iter();
        asked
            .filter(|it| matches!(it.question, Question::Words { .. }))
            .count()
    }

    fn unlock(&self) -> Value {
        let _locked = self.home.json(&["lock"]);
        let path = self.vault.to_str().unwrap();
        self.home.json(&["unlock", path, "--device", "passphrase"])
    }

    /// Runs a command that is refused, and says why.
    fn refused(&self, args: &[&str]) -> Value {
        let done = self.home.cli(args);
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(!done.status.success(), "{args:?}: {said}");
        let said: Value = serde_json::from_str(&said).unwrap();
        said["error"].clone()
    }

    // Everything of the vault that a person can look at, but times.
    fn looks(&self) -> Value {
        let of = |args: &[&str]| self.home.json(args);
        json!({
            "items": of(&["list"]),
            "trash": of(&["trash"]),
            "x": of(&["show", "x"]),
            "history": of(&["history", "x"]),
            "policy": of(&["policy", "show"]),
            "clients": of(&["proxy", "list"]),
            "environments": of(&["env", "list"]),
            "ways": of(&["recover", "list"]),
        })
    }

    fn looks_at_policy(&self) -> Value {
        self.home.json(&["policy", "show"])
    }

    fn names(&self) -> Vec<String> {
        let items = self.home.json(&["list"]);
        let items = items.as_array().unwrap().iter();
        let mut names: Vec<_> = items
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    fn newest(&self, kind: &str) -> Value {
        let page = self
            .home
            .json(&["audit", "list", "--kind", kind, "-n", "1"]);
        page["rows"][0].clone()
    }
}

/// A bot with its token.
struct Bot {
    token: String,
    base: String,
}

impl Bot {
    fn new(desk: &Desk, name: &str) -> Self {
        let client = desk.home.json(&["proxy", "add", name]);
        let text = |name: &str| client[name].as_str().unwrap().to_owned();
        Self {
            token: text("token"),
            base: text("base_url"),
        }
    }

    fn send(&self, path: &str, body: &str) -> u16 {
        let headers = [
            ("x-mbx-apikey", self.token.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let body = format!("{body}&timestamp=1&signature=0000");
        http(&self.base, "POST", path, &headers, &body).0
    }

    fn order(&self) -> u16 {
        let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&price=20000&quantity=0.001";
        self.send("/api/v3/order", order)
    }

    fn withdraw(&self) -> u16 {
        let body = format!("coin=BTC&network=BTC&address={ADDRESS}&amount=0.5");
        self.send("/sapi/v1/capital/withdraw/apply", &body)
    }
}

// What a command says that fails with this on stdin.
fn said_with(home: &Home, args: &[&str], stdin: &str) -> String {
    let mut command = home.touchkeep();
    command.args(args).args(["--json", "--no-interaction"]);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(stdin.as_bytes()).unwrap();
    drop(input);
    let done = child.wait_with_output().unwrap();
    assert!(!done.status.success());
    String::from_utf8(done.stdout).unwrap()
}

/// A tracer beside the agent, that strikes at a call which is about one path for as long as it is there.
struct Tracer {
    strace: Running,
    agent: u32,
}

impl Tracer {
    fn at(home: &Home, path: &Path, call: &str, effect: &str) -> Self {
        let agent = home.agent_pid();
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-p", &agent.to_string()]);
        command.arg("-P").arg(path);
        command.args(["-e", &format!("trace={call}")]);
        command.args(["-e", &format!("inject={call}:{effect}")]);
        command.stdout(Stdio::null());
        let this = Self {
            strace: Running::start(command),
            agent,
        };
        wait_for("the tracer", || this.traces(true).then_some(()));
        this
    }

    // Whether all threads of the agent are traced, or none.
    fn traces(&self, all: bool) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.agent)).unwrap();
        tasks.flatten().all(|task| {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            status.contains("TracerPid:\t0\n") != all
        })
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let pid = self.strace.pid().to_string();
        // Not asked to end: where the agent dies at that moment it may wait for it for ever. The kernel lets go of whom it traced.
        let _gone = Command::new("kill").args(["-KILL", &pid]).status();
        wait_for("the tracer's end", || self.traces(false).then_some(()));
    }
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_kit_that_opened_the_vault_says_yes_to_nothing_by_itself() {
    let (mut desk, venue) = (Desk::set(), Venue::open());
    desk.key("money", "move-money", &venue, &["read", "withdraw"]);
    desk.policy(TOUCHED);
    let bot = Bot::new(&desk, "bot");
    let words = desk.kit();
    let _locked = desk.home.json(&["lock"]);
    let unlock = ["recover", "unlock", "--words-fd", "0"];
    let _open = desk.home.json_with(&unlock, &words);

    let withdrawn = || venue.received("/withdraw/apply").len();
    let policy = ["policy", "start", "trader"];
    let retire = ["device", "retire", "passphrase", "--yes"];
    let before = desk.looks_at_policy();
    // Refused where they are asked for; and the words of another kit.
    for (typed, code) in [("", "refused"), (OTHER_WORDS, "wrong-passphrase")] {
        desk.types(typed);
        for args in [&policy[..], &retire] {
            assert_eq!(desk.refused(args)["code"], code, "{args:?}");
        }
        // The click alone was given.
        assert_eq!((bot.withdraw(), withdrawn()), (403, 0));
    }
    assert!(desk.words_asked() >= 6, "{}", desk.words_asked());
    // Nobody is there.
    drop(desk.person.take());
    let _refused = desk.refused(&policy);
    assert_eq!(desk.looks_at_policy(), before);
    let page = desk.home.json(&["audit", "list", "-n", "100"]);
    let rows = page["rows"].as_array().unwrap();
    assert!(
        rows.iter().all(|row| row["kind"] != "device-retired"),
        "{page}"
    );
    // Each time that it was not agreed to is on record, too.
    let set = rows.iter().filter(|row| row["kind"] == "policy-changed");
    let (refused, set): (Vec<_>, Vec<_>) = set.partition(|row| row["decision"] == "refused");
    assert!(set.len() == 1 && refused.len() >= 3, "{page}");

    desk.person = Some(Person::sit_down(&desk.home.paths(), None));
    desk.types(&words);
    assert_eq!(
        (bot.withdraw(), withdrawn()),
        (200, 1),
        "{}",
        desk.home.log()
    );
    let _set = desk.home.json(&policy);
    let row = desk.newest("policy-changed");
    let row = desk.home.json(&["audit", "show", &row["seq"].to_string()]);
    assert!(
        row.to_string().contains("words of the recovery kit"),
        "{row}"
    );
    let _retired = desk.home.json(&retire);
    // The kit itself is what opened it, and no way back that was tried.
    let drill = ["recover", "drill", "--words-fd", "0"];
    let said = said_with(&desk.home, &drill, &words);
    assert!(said.contains("this very device"), "{said}");
}

// A word that was mistyped, or the wrong paper, ends nothing that runs.
#[test]
fn words_that_open_nothing_lock_nothing() {
    let desk = Desk::set();
    let _kit = desk.kit();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (words, code) in [
        (OTHER_WORDS, Code::NoDevice),
        ("legal winner thank", Code::Invalid),
    ] {
        let refused = runtime.block_on(async {
            let socket = desk.home.paths().ui_socket();
            let front = FrontEnd::connect(&socket, "kit").await.unwrap();
            let (calls, _events) = front.split();
            let unlock = UnlockWithKit {
                path: None,
                words: SecretText::new(words.to_owned()),
            };
            calls.call(unlock).await.unwrap_err()
        });
        assert!(
            matches!(&refused, CallError::Failed(failure) if failure.code == code),
            "{refused:?}"
        );
        assert_eq!(desk.home.json(&["status"])["unlocked"], true);
    }
}

#[test]
fn words_are_typed_once_to_seal_everything_again_for_a_new_device() {
    let desk = Desk::set();
    let words = desk.kit();
    for name in ["s", "t"] {
        let add = ["add", name, "--kind", "api-key", "--api-key", name];
        let add = [&add[..], &["--sealed", "--secret-fd", "0"]].concat();
        let _sealed = desk.home.json_with(&add, "sealed-secret");
    }
    let _locked = desk.home.json(&["lock"]);
    let unlock = ["recover", "unlock", "--words-fd", "0"];
    let _open = desk.home.json_with(&unlock, &words);
    desk.types(&words);
    let enroll = ["device", "enroll", "software", "--work-factor", "10"];
    let enrolled = desk.home.json(&enroll);
    let behind = enrolled["to_reseal"].as_array().unwrap();
    assert_eq!(behind.len(), 2, "{enrolled}");
    let asked = desk.words_asked();
    let sealed = desk.home.json(&["device", "reseal"]);
    assert_eq!(sealed.as_array().unwrap().len(), 2, "{sealed}");
    assert_eq!(desk.words_asked(), asked + 1);
    assert_eq!(desk.home.json(&["device", "reseal"]), json!([]));
}

#[test]
fn a_rehearsal_is_of_another_device_than_the_one_that_unlocked() {
    let desk = Desk::set();
    let add = [
        "add",
        "s",
        "--kind",
        "api-key",
        "--api-key",
        "p",
        "--sealed",
        "--secret-fd",
        "0",
    ];
    let words = desk.kit();
    let _sealed = desk.home.json_with(&add, "sealed-secret");
    let same = desk.refused(&["recover", "drill", "--device", "passphrase"]);
    assert!(
        same["what"].as_str().unwrap().contains("this very device"),
        "{same}"
    );
    assert_eq!(desk.home.json(&["status"])["vault"]["rehearsed"], false);
    let drill = ["recover", "drill", "--words-fd", "0"];
    let tried = desk.home.json_with(&drill, &words);
    assert_eq!(tried["items"], 1);
    assert_eq!(desk.home.json(&["status"])["vault"]["rehearsed"], true);
}

#[test]
fn what_was_told_to_have_failed_does_not_come_with_the_next_save() {
    let desk = Desk::set();
    let home = &desk.home;
    desk.note("x");
    let _renamed = home.json(&["edit", "x", "--name", "y"]);
    desk.note("x");
    let _tagged = home.json(&["edit", "x", "--tag", "a"]);
    desk.note("z");
    let _trashed = home.json(&["rm", "z", "--yes"]);
    let _client = home.json(&["proxy", "add", "hooks", "--webhooks"]);
    let before = desk.looks();

    // Refused by what it would make, and not by the save.
    let taken = desk.refused(&["history", "y", "--restore", "1", "--yes"]);
    assert_eq!(taken["code"], "ambiguous", "{taken}");
    assert_eq!(desk.looks(), before);
    desk.note("w");
    assert_eq!(desk.names(), ["w", "x", "y"]);
    let before = desk.looks();

    // No save can be made.
    let lock = PathBuf::from(format!("{}.lock", desk.vault.display()));
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    let commands: [&[&str]; 9] = [
        &["edit", "x", "--name", "q"],
        &["edit", "x", "--tag", "t"],
        &["rm", "x", "--yes"],
        &["rm", "x", "--forever", "--yes"],
        &["restore", "z"],
        &["history", "x", "--restore", "1", "--yes"],
        &["policy", "start", "trader"],
        &["env", "add", "more"],
        &["proxy", "add", "other", "--webhooks"],
    ];
    for args in commands {
        let failed = desk.refused(args);
        assert_eq!(failed["code"], "system", "{args:?}: {failed}");
        assert_eq!(desk.looks(), before, "{args:?}");
    }
    let args = ["add", "n", "--kind", "note", "--secret-fd", "0"];
    assert!(!home.cli(&args).status.success());
    assert_eq!(desk.looks(), before);
    // The log says that each was begun, and that it failed; of none that it was done.
    let said = |kind: &str| -> Vec<Value> {
        let page = home.json(&["audit", "list", "--kind", kind, "-n", "10"]);
        page["rows"].as_array().unwrap().clone()
    };
    let begun = said("begun");
    let edits = said("item-changed");
    for (row, n) in edits.iter().zip(0..5) {
        assert_eq!(row["decision"], "failed", "{n}: {row}");
        assert!(begun.iter().any(|begun| begun["seq"] == row["of"]), "{row}");
    }
    fs::remove_dir(&lock).unwrap();

    desk.note("v");
    let _gone = home.json(&["rm", "v", "--forever", "--yes"]);
    assert_eq!(desk.looks(), before);
    desk.unlock();
    assert_eq!(desk.looks(), before);
    assert_eq!(home.json(&["audit", "verify"])["sound"], true);

    // A client that was revoked has ended here whatever became of the file, and can be revoked again.
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    let _failed = desk.refused(&["proxy", "revoke", "hooks"]);
    assert_eq!(home.json(&["proxy", "list"]), json!([]));
    fs::remove_dir(&lock).unwrap();
    let _revoked = home.json(&["proxy", "revoke", "hooks"]);
    desk.unlock();
    assert_eq!(home.json(&["proxy", "list"]), json!([]));
}

#[test]
fn what_is_in_the_file_is_what_is_shown_where_a_save_failed_after_it_was_there() {
    let desk = Desk::set();
    let home = &desk.home;
    desk.note("x");
    let folder = desk.vault.parent().unwrap();
    let tracer = Tracer::at(home, folder, "fsync", "error=EIO");
    let failed = desk.refused(&["edit", "x", "--name", "q"]);
    assert!(
        failed["what"].as_str().unwrap().contains("was written"),
        "{failed}"
    );
    drop(tracer);
    assert_eq!(desk.names(), ["q"]);
    let row = desk.newest("item-changed");
    assert_eq!(row["decision"], "failed", "{row}");
    let what = row["what"].as_str().unwrap();
    assert!(what.starts_with("It was done, but"), "{what}");
    // Nothing is written a second time.
    desk.note("z");
    let versions = home.json(&["history", "q"]);
    assert_eq!(versions.as_array().unwrap().len(), 2, "{versions}");
    desk.unlock();
    assert_eq!(desk.names(), ["q", "z"]);
    assert_eq!(home.json(&["history", "q"]), versions);
}

#[test]
fn what_an_agent_was_at_when_it_died_is_known_where_the_file_says_so() {
    let mut desk = Desk::set();
    desk.note("x");
    let lock = PathBuf::from(format!("{}.lock", desk.vault.display()));
    let folder = desk.vault.parent().unwrap().to_owned();
    // The first lock is only waited for; with the second one it saves.
    let strikes = [
        (
            &lock,
            "flock",
            "signal=KILL:when=2",
            "q",
            "x",
            "unknown",
            "look whether it is there",
        ),
        (
            &folder,
            "fsync",
            "signal=KILL",
            "q",
            "q",
            "done",
            "It was saved",
        ),
    ];
    for (path, call, effect, asked, is, decision, words) in strikes {
        let tracer = Tracer::at(&desk.home, path, call, effect);
        let _cut = desk.home.cli(&["edit", "x", "--name", asked]);
        drop(tracer);
        // The next agent asks somebody else.
        drop(desk.person.take());
        desk.home.start_agent();
        desk.person = Some(Person::sit_down(&desk.home.paths(), None));
        desk.unlock();
        assert_eq!(desk.names(), [is], "{call}");
        let row = desk.newest("outcome");
        assert_eq!(row["decision"], decision, "{call}: {row}");
        assert!(
            row["what"].as_str().unwrap().contains(words),
            "{call}: {row}"
        );
        let begun = desk.newest("begun");
        assert_eq!(begun["seq"], row["of"], "{call}");
        assert_eq!(begun["item"], "x", "{call}");
        assert_eq!(desk.home.json(&["audit", "verify"])["sound"], true);
    }
}

#[test]
fn a_vault_that_does_not_read_comes_back_from_a_copy_that_a_device_or_the_kit_opens() {
    let desk = Desk::set();
    let home = &desk.home;
    desk.note("x");
    let words = desk.kit();
    for name in ["a", "b", "c"] {
        desk.note(name);
    }
    let _locked = home.json(&["lock"]);
    for device in ["passphrase", "kit"] {
        flip(&desk.vault);
        let damaged = fs::read(&desk.vault).unwrap();
        let said = desk.refused(&["unlock"]);
        assert_eq!(said["code"], "damaged", "{said}");
        let fix = said["fix"].as_str().unwrap();
        assert!(fix.contains("touchkeep backup restore"), "{fix}");
        // One of them may be what was damaged the time before.
        let copies = home.cli(&["backup", "list"]).stdout;
        let copies: Value = serde_json::from_slice(&copies).unwrap();
        assert!(copies[0]["problem"].is_null(), "{copies}");
        let number = copies[0]["number"].to_string();
        let restore = ["backup", "restore", &number, "--yes", "--device", device];

        // Nobody else goes back to it.
        let passphrase = {
            let mut mind = desk.person.as_ref().unwrap().mind.lock().unwrap();
            mind.words = OTHER_WORDS.to_owned();
            std::mem::replace(&mut mind.passphrase, "another passphrase".to_owned())
        };
        assert_eq!(desk.refused(&restore)["code"], "wrong-passphrase");
        assert_eq!(fs::read(&desk.vault).unwrap(), damaged);
        {
            let mut mind = desk.person.as_ref().unwrap().mind.lock().unwrap();
            (mind.words, mind.passphrase) = (words.clone(), passphrase);
        }
        let _restored = home.json(&restore);
        let open = home.json(&["unlock"]);
        assert!(open["read_only"].is_null(), "{open}");
        assert_eq!(desk.names(), ["a", "b", "x"]);
        desk.note("c");
        assert_eq!(desk.newest("restored")["decision"], "touched");
        let _locked = home.json(&["lock"]);
    }
    assert_eq!(home.json(&["audit", "verify"])["sound"], true);
}

#[test]
fn a_vault_of_somebody_else_does_not_come_back_in_the_place_of_a_damaged_one() {
    let (desk, other) = (Desk::set(), Desk::set());
    desk.note("x");
    desk.note("y");
    let _locked = desk.home.json(&["lock"]);
    flip(&desk.vault);
    let damaged = fs::read(&desk.vault).unwrap();
    fs::copy(&other.vault, format!("{}.1", desk.vault.display())).unwrap();
    let _refused = desk.refused(&["backup", "restore", "1", "--yes"]);
    assert_eq!(fs::read(&desk.vault).unwrap(), damaged);
}

#[test]
fn what_another_copy_denied_and_revoked_is_in_force_when_it_is_merged() {
    let (here, venue) = (Desk::set(), Venue::open());
    here.key("trade", "trade", &venue, &["read", "trade"]);
    here.policy(ALL_ALLOWED);
    let [bot, revoked, late] = ["bot", "revoked", "late"].map(|name| Bot::new(&here, name));
    let there = Desk::empty();
    fs::copy(&here.vault, &there.vault).unwrap();
    there.unlock();
    for bot in [&bot, &revoked, &late] {
        assert_eq!(bot.order(), 200, "{}", here.home.log());
    }
    there.policy(DENIED);
    let _revoked = there.home.json(&["proxy", "revoke", "revoked"]);
    let merge = ["merge", there.vault.to_str().unwrap()];
    assert_eq!(here.home.json(&merge)["changed"], true);
    assert_eq!((bot.order(), revoked.order()), (403, 401));
    let row = here.newest("policy-changed");
    assert!(
        row["what"].as_str().unwrap().contains("another copy"),
        "{row}"
    );

    // A list that is written here does not bring it back; nor does one that was written before the other copy was known.
    let _added = Bot::new(&here, "newer");
    let _revoked = there.home.json(&["proxy", "revoke", "late"]);
    let _added = Bot::new(&here, "newest");
    assert_eq!(here.home.json(&merge)["changed"], true);
    for (when, desk) in [("merged", &here), ("opened", &here)] {
        let clients = desk.home.json(&["proxy", "list"]);
        let names = clients.as_array().unwrap().iter();
        let names: Vec<_> = names.map(|it| it["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"bot"), "{when}: {names:?}");
        assert!(
            !names.contains(&"revoked") && !names.contains(&"late"),
            "{when}: {names:?}"
        );
        desk.unlock();
    }
    assert_eq!((revoked.order(), late.order()), (401, 401));
}

// Another program was stopped in the middle of a save, or whoever can open the lock does not let go of it.
#[test]
fn a_file_that_another_program_holds_keeps_nobody_from_looking_or_locking() {
    let desk = Desk::set();
    desk.note("x");
    let lock = desk.vault.with_file_name("v.touchkeep.lock");
    let held = fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    let add = ["add", "y", "--kind", "note", "--secret-fd", "0"];
    let said = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| said_with(&desk.home, &add, "text"));
        let fds = format!("/proc/{}/fd", desk.home.agent_pid());
        wait_for("the agent to wait for the lock", || {
            let mut fds = fs::read_dir(&fds).unwrap().flatten();
            fds.any(|fd| fs::read_link(fd.path()).is_ok_and(|file| file == lock))
                .then_some(())
        });
        assert!(!waiting.is_finished(), "it waits for a while");
        let asked = Instant::now();
        assert_eq!(desk.names(), ["x"]);
        let _locked = desk.home.json(&["lock"]);
        let status = desk.home.json(&["status"]);
        assert!(asked.elapsed() < Duration::from_secs(5), "{status}");
        waiting.join().unwrap()
    });
    assert!(said.contains("does not let go of it"), "{said}");
    assert!(said.contains("Nothing was changed"), "{said}");
    drop(held);
    let _open = desk.unlock();
    desk.note("y");
    assert_eq!(desk.names(), ["x", "y"]);
}

/// `init` of a vault that is no practice, on a terminal whose owner reads the words off it; a passphrase is chosen elsewhere.
fn init_on_a_terminal(desk: &Desk, then: &str) -> (Option<i32>, String) {
    let dialog = format!(
        "set timeout 20
proc until {{what}} {{
    global expect_out spawn_id
    expect {{
        $what {{ return }}
        timeout {{ exec kill -9 [exp_pid]; exit 91 }}
        eof {{ exit 92 }}
    }}
}}
proc types {{words}} {{
    until \"Now type the 24 words\"
    after 300; send \"[join [lrange $words 0 11]]\\r\"
    until \"12 of 24\"
    after 300; send \"[join [lrange $words 12 23]]\\r\"
}}
spawn {{*}}$env(PROGRAM)
until \"when all of it is on paper\"
foreach {{all n word}} [regexp -all -inline {{(\\d+) ([a-z]+)}} $expect_out(buffer)] {{ set kit($n) $word }}
set words {{}}
for {{set n 1}} {{$n <= 24}} {{incr n}} {{ lappend words $kit($n) }}
after 300
{then}
expect eof
exit [lindex [wait] 3]"
    );
    let (program, path) = (desk.home.touchkeep(), desk.vault.display());
    let program = program.get_program().display();
    let done = Command::new("expect")
        .args(["-c", &dialog])
        .envs(desk.home.environment())
        .env("PROGRAM", format!("{program} init --path {path}"))
        .env("OTHER", OTHER_WORDS)
        .env("TERM", "dumb")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&done.stdout).into_owned();
    (done.status.code(), shown)
}

#[test]
fn a_new_vault_is_finished_when_its_kit_has_opened_it() {
    let desk = Desk::empty();
    let nobody = desk.refused(&["init", "--path", desk.vault.to_str().unwrap()]);
    let fix = nobody["fix"].as_str().unwrap();
    assert!(
        fix.contains("--recovery later") && !desk.vault.exists(),
        "{nobody}"
    );

    let typed = "send \"\\r\"
until \"Press Enter to go on\"
after 300; send \"\\r\"
types $env(OTHER)
until \"none of this vault\"
types $words
until \"The way back works\"";
    let (code, shown) = init_on_a_terminal(&desk, typed);
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(desk.home.json(&["status"])["vault"]["rehearsed"], true);
    let ways = desk.home.json(&["recover", "list"]);
    let tried = |way: &Value| (way["device"]["kind"].clone(), way["tried"].is_u64());
    let ways: Vec<_> = ways.as_array().unwrap().iter().map(tried).collect();
    assert!(ways.contains(&(json!("kit"), true)), "{ways:?}");
    assert!(ways.contains(&(json!("software"), false)), "{ways:?}");
}

#[test]
fn a_new_vault_whose_kit_was_left_for_later_is_said_to_have_no_way_back() {
    let desk = Desk::empty();
    let (code, shown) = init_on_a_terminal(&desk, "send \"\\033\"");
    assert!(
        !matches!(code, None | Some(0 | 91 | 92)),
        "{code:?} {shown}"
    );
    assert!(shown.contains("touchkeep device retire"), "{shown}");
    let status = desk.home.json(&["status"]);
    assert_eq!(status["vault"]["rehearsed"], false, "{status}");
}
