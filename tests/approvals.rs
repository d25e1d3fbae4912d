//! A person's word on a request: what a forged one is worth, how often one counts, what it may be remembered for, and what a
//! hostile text can do to whoever reads it. Real binaries, a real exchange, a terminal of its own, and a forger who shares
//! no code with us.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use touchkeep_client::FrontEnd;
use touchkeep_tests::{Bus, Card, Dunst, Home, Person, Screen, Venue, http, wait_for};

const ADDRESS: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";

const POLICY: &str = r#"
[[rule]]
name = "reading"
kinds = ["read"]
action = "allow"

[[rule]]
name = "orders"
kinds = ["trade", "cancel"]
action = "approve"

[[rule]]
name = "withdrawals"
kinds = ["withdraw"]
action = "touch"
"#;

/// A vault that a passphrase or a card opens, a key that trades and one that moves money, and a bot's way in.
struct Desk {
    home: Home,
    venue: Venue,
    person: Option<Person>,
    card: Option<Card>,
    token: String,
    base: String,
}

impl Desk {
    fn with_a_passphrase(config: &str) -> Self {
        Self::set(None, config)
    }

    fn with_a_card(config: &str) -> Self {
        Self::set(Some(Card::insert()), config)
    }

    fn set(card: Option<Card>, config: &str) -> Self {
        let home = Home::new(card.as_ref().map(|card| card.pcscd.as_str()));
        Self::at(home, card, config)
    }

    fn at(mut home: Home, card: Option<Card>, config: &str) -> Self {
        let venue = Venue::open();
        std::fs::write(home.path("home/config.toml"), config).unwrap();
        home.kill_agent();
        home.start_agent();
        let control = card.as_ref().map(|card| card.control.as_path());
        let person = Person::sit_down(&home.paths(), control);
        let path = home.path("v.touchkeep").display().to_string();
        let init = ["init", "--practice", "--path", &path];
        let _made = match &card {
            None => home.json(&[&init[..], &["--work-factor", "10"]].concat()),
            Some(card) => {
                let _changed = home.json(&["device", "set-pin", &card.serial]);
                let device = format!("piv:{}", card.serial);
                home.json(&[&init[..], &["--device", &device]].concat())
            }
        };
        let add = |name: &str, class: &str, may: &[&str], more: &[&str]| {
            let (api_key, secret) = venue.hmac_key(may);
            let args = [
                "add",
                name,
                "--venue",
                "binance",
                "--class",
                class,
                "--api-key",
                &api_key,
                "--base-url",
                &venue.url,
                "--secret-fd",
                "0",
            ];
            let _added = home.json_with(&[&args[..], more].concat(), &secret);
        };
        add("trade", "trade", &["read", "trade"], &[]);
        add("money", "move-money", &["read", "withdraw"], &["--sealed"]);
        let policy = home.path("policy.toml");
        std::fs::write(&policy, POLICY).unwrap();
        let _policy = home.json(&["policy", "set", policy.to_str().unwrap()]);
        let client = home.json(&["proxy", "add", "grid-bot"]);
        let text = |name: &str| client[name].as_str().unwrap().to_owned();
        Self {
            token: text("token"),
            base: text("base_url"),
            home,
            venue,
            person: Some(person),
            card,
        }
    }

    fn person(&self) -> &Person {
        self.person.as_ref().unwrap()
    }

    fn asked(&self) -> usize {
        self.person().requests().len()
    }

    fn grants_for(&self, minutes: Option<u32>) {
        self.person().mind.lock().unwrap().for_minutes = minutes;
    }

    fn order(&self, more: &str) -> u16 {
        let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&price=20000";
        self.send("/api/v3/order", &format!("{order}&{more}")).0
    }

    fn withdraw(&self, more: &str) -> (u16, String) {
        self.send(
            "/sapi/v1/capital/withdraw/apply",
            &format!("coin=BTC&network=BTC&address={ADDRESS}&amount=0.5{more}"),
        )
    }

    fn send(&self, path: &str, body: &str) -> (u16, String) {
        let headers = [
            ("x-mbx-apikey", self.token.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let body = format!("{body}&timestamp=1&signature=0000");
        http(&self.base, "POST", path, &headers, &body)
    }

    fn rows(&self, kind: &str) -> Vec<Value> {
        let page = self.home.json(&["audit", "list", "--kind", kind]);
        page["rows"].as_array().unwrap().clone()
    }

    // A row with everything that stands in it.
    fn row(&self, row: &Value) -> Value {
        let shown = self.home.json(&["audit", "show", &row["seq"].to_string()]);
        shown["row"].clone()
    }

    fn forger(&self, mode: &str, seconds: &str) -> Forger {
        Forger::start(&self.home, mode, seconds)
    }
}

/// Another process of the same user.
struct Forger {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Forger {
    fn start(home: &Home, mode: &str, seconds: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("forger.py");
        let mut child = Command::new("python3")
            .arg(script)
            .arg(home.paths().ui_socket())
            .arg(home.paths().agent_socket())
            .args([mode, seconds])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut forger = Self { child, said };
        assert_eq!(forger.next(), json!({ "connected": true }));
        forger
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    // Until it says something about this.
    fn on(&mut self, what: &str) -> Value {
        loop {
            let said = self.next();
            assert!(said.get("end").is_none(), "{said}");
            if let Some(answer) = said.get(what) {
                return answer.clone();
            }
        }
    }
}

impl Drop for Forger {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn detail(row: &Value, name: &str) -> Option<String> {
    let details = row["details"].as_array()?;
    let found = details.iter().find(|one| one[0] == name)?;
    found[1].as_str().map(str::to_owned)
}

#[test]
fn a_forged_click_moves_no_money_without_the_finger() {
    let mut desk = Desk::with_a_card("");
    // Whoever unlocked it has gone, and has taken the finger off the key.
    desk.person().take_hands_off();
    drop(desk.person.take());
    // At once, and later than any guard of a window.
    for (mode, seconds) in [("at-once", "0"), ("guarded", "0.9")] {
        let mut forger = desk.forger(mode, seconds);
        let (status, answer) = desk.withdraw("");
        assert_eq!(
            forger.on("approval"),
            "taken",
            "the click itself was forged"
        );
        assert_eq!(forger.on("touch"), json!(["invalid", "invalid"]));
        assert_eq!(status, 403, "{answer}");
    }
    assert!(desk.venue.received("/withdraw/apply").is_empty());
    // The click is on record as what it was, and the signature as refused.
    // What was asked of the venue before the question is a rule's.
    let of_money = |kind| {
        let mut rows: Vec<Value> = desk.rows(kind);
        rows.retain(|row| row["item"] == "money");
        rows
    };
    let outcomes = of_money("outcome");
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    for row in &outcomes {
        assert_eq!(row["decision"], "refused", "{row}");
        assert!(
            row["what"].as_str().unwrap().starts_with("not signed"),
            "{row}"
        );
    }
    for row in of_money("intent") {
        assert_eq!(
            row["decision"], "approved",
            "nobody has touched anything: {row}"
        );
    }
    // The same question with a finger on the key is signed: what was missing above is the finger alone.
    let card = desk.card.as_ref().unwrap();
    let _person = Person::sit_down(&desk.home.paths(), Some(&card.control));
    assert_eq!(desk.withdraw("").0, 200, "{}", desk.home.log());
    assert_eq!(desk.venue.received("/withdraw/apply").len(), 1);
}

#[test]
fn a_forged_click_moves_no_money_without_the_passphrase() {
    let mut desk = Desk::with_a_passphrase("secret_seconds = 3");
    drop(desk.person.take());
    let mut forger = desk.forger("guarded", "0.7");
    let (status, answer) = desk.withdraw("");
    assert_eq!(forger.on("approval"), "taken");
    assert_eq!(
        forger.on("passphrase"),
        "taken",
        "a guess is an answer, and wrong"
    );
    assert_eq!(status, 403, "{answer}");
    assert!(desk.venue.received("/withdraw/apply").is_empty());
    let refused = desk.rows("request-refused");
    assert!(
        refused.len() == 1 && refused[0]["decision"] == "refused",
        "{refused:?}"
    );
    drop(forger);
    let _person = Person::sit_down(&desk.home.paths(), None);
    assert_eq!(desk.withdraw("").0, 200, "{}", desk.home.log());
}

#[test]
fn one_yes_is_to_one_digest_once_from_a_front_end_in_time() {
    let mut desk = Desk::with_a_passphrase("approval_seconds = 4");
    drop(desk.person.take());
    let mut forger = desk.forger("tricks", "0");
    let (status, _) = desk.withdraw("");
    assert_eq!(
        status, 403,
        "a yes to another digest is none, and the question is spent"
    );
    assert_eq!(forger.on("agent.sock"), "not-permitted");
    assert_eq!(
        forger.on("for a time"),
        "invalid",
        "never offered for a withdrawal"
    );
    assert_eq!(forger.on("allow"), "invalid");
    assert_eq!(forger.on("secret"), "invalid");
    assert_eq!(forger.on("no such prompt"), "not-found");
    assert_eq!(forger.on("another digest"), "taken");
    assert_eq!(forger.on("and then the right one"), "not-found");
    forger.on("ready");
    let begun = Instant::now();
    let (status, _) = desk.withdraw("&withdrawOrderId=second");
    assert!(status == 403 || status == 408 || status == 504, "{status}");
    assert!(
        begun.elapsed() >= Duration::from_secs(3),
        "silence is a refusal at the deadline"
    );
    assert_eq!(forger.on("too late"), "not-found");
    assert!(desk.venue.received("/withdraw/apply").is_empty());
    let refused: Vec<Value> = desk.rows("request-refused");
    assert_eq!(refused.len(), 2, "{refused:?}");
}

#[test]
fn the_same_again_is_flagged_in_the_question_and_in_the_log_even_after_a_restart() {
    let mut desk = Desk::with_a_passphrase("");
    let own = "&withdrawOrderId=my-own-id-1";
    assert_eq!(desk.withdraw(own).0, 200, "{}", desk.home.log());
    assert_eq!(desk.withdraw("&withdrawOrderId=my-own-id-2").0, 200);
    let shown = desk.person().requests();
    assert!(shown.iter().all(|one| one.again.is_empty()), "{shown:?}");
    let _second = desk.withdraw(own);
    let shown = desk.person().requests();
    assert!(shown[2].again.contains("asked for once"), "{:?}", shown[2]);
    let intent = desk.row(&desk.rows("intent")[0]);
    assert!(
        detail(&intent, "again").unwrap().contains("once"),
        "{intent}"
    );
    let received = desk.venue.received("/withdraw/apply");
    assert!(
        received[0].to_string().contains("my-own-id-1"),
        "kept as it was sent: {}",
        received[0]
    );

    drop(desk.person.take());
    desk.home.kill_agent();
    desk.home.start_agent();
    desk.person = Some(Person::sit_down(&desk.home.paths(), None));
    let _opened = desk.home.json(&["unlock"]);
    desk.person().mind.lock().unwrap().approves = false;
    assert_eq!(desk.withdraw(own).0, 403);
    let shown = desk.person().requests();
    assert!(shown[0].again.contains("twice"), "{:?}", shown[0]);
    let refused = desk.row(&desk.rows("request-refused")[0]);
    assert!(
        detail(&refused, "again").unwrap().contains("twice"),
        "{refused}"
    );
}

#[test]
fn a_yes_for_a_time_covers_requests_like_it_of_that_process_and_nothing_else() {
    let desk = Desk::with_a_passphrase("");
    desk.grants_for(Some(5));
    assert_eq!(desk.order("quantity=0.01"), 200, "{}", desk.home.log());
    let shown = &desk.person().requests()[0];
    let more = shown.more.as_ref().unwrap();
    assert_eq!(
        more.what,
        "buy up to 0.01 BTCUSDT at 20000 or less on binance"
    );
    assert!(
        shown
            .process
            .iter()
            .any(|one| one.contains(&std::process::id().to_string()))
    );
    assert!(shown.executable.contains("approvals"), "{shown:?}");
    assert_eq!(shown.kept, "in the vault");

    desk.grants_for(None);
    assert_eq!(desk.order("quantity=0.005"), 200);
    assert_eq!(desk.order("quantity=0.01"), 200);
    assert_eq!(desk.asked(), 1, "those are covered");
    let grants = desk.home.json(&["grant", "list"]);
    let grant = &grants[0];
    assert_eq!(grant["kind"], "requests");
    assert_eq!(
        (&grant["client"], &grant["uses_left"]),
        (&json!("grid-bot"), &json!(18))
    );
    let id = grant["id"].as_str().unwrap().to_owned();
    let intents = desk.rows("intent");
    let by = |n: usize| detail(&desk.row(&intents[n]), "grant");
    assert_eq!((by(0), by(1)), (Some(id.clone()), Some(id.clone())));
    assert_eq!(by(2), None, "the first was clicked");
    assert_eq!(intents[0]["decision"], "approved");
    let given = desk.row(&desk.rows("grant-given")[0]);
    assert_eq!(detail(&given, "grant"), Some(id.clone()));

    assert_eq!(desk.order("quantity=0.011"), 200);
    assert_eq!(desk.asked(), 2, "more than was allowed");
    let (status, said) = from_another_process(&desk);
    assert_eq!(status, 200, "{said}");
    assert_eq!(desk.asked(), 3, "another process with the same token");
    let twice = "quantity=0.01&newClientOrderId=mine";
    assert_eq!(desk.order(twice), 200);
    assert_eq!(desk.asked(), 4, "a parameter that the first did not have");

    let _revoked = desk.home.json(&["grant", "revoke", &id]);
    assert_eq!(desk.order("quantity=0.005"), 200);
    assert_eq!(desk.asked(), 5, "revoked");
    desk.grants_for(Some(15));
    assert_eq!(desk.order("quantity=0.005&newClientOrderId=a"), 200);
    assert_eq!(desk.order("quantity=0.005&newClientOrderId=b"), 200);
    assert_eq!(desk.asked(), 6, "covered, whatever the client's own id");
    desk.order("quantity=0.005&newClientOrderId=b");
    assert_eq!(
        desk.asked(),
        7,
        "the same id of the client's own is meant once"
    );
    desk.grants_for(None);
    let _locked = desk.home.json(&["lock"]);
    let _opened = desk.home.json(&["unlock"]);
    assert_eq!(desk.home.json(&["grant", "list"]), json!([]));
    assert_eq!(desk.order("quantity=0.005&newClientOrderId=c"), 200);
    assert_eq!(desk.asked(), 8, "a lock ends everything");
    let verdict = desk.home.json(&["audit", "verify"]);
    assert_eq!(verdict["sound"], true, "{verdict}");
}

#[test]
fn what_a_rule_would_have_let_through_is_said_with_its_sum_and_its_limit() {
    let desk = Desk::with_a_passphrase("");
    let small = "[[rule]]\nname = \"small orders\"\nkinds = [\"trade\"]\nsymbols = [\"BTCUSDT\"]\nwindow_amount = \"0.02\"\nwindow_hours = 24\naction = \"allow\"\n";
    let policy = desk.home.path("small.toml");
    std::fs::write(&policy, format!("{small}{POLICY}")).unwrap();
    let _set = desk.home.json(&["policy", "set", policy.to_str().unwrap()]);
    assert_eq!(desk.order("quantity=0.01"), 200, "{}", desk.home.log());
    assert_eq!(desk.order("quantity=0.01"), 200);
    assert_eq!(desk.asked(), 0);
    assert_eq!(desk.order("quantity=0.01"), 200);
    let shown = &desk.person().requests()[0];
    assert_eq!(shown.rule, "orders");
    let beyond = "beyond the rule small orders: 0.02 so far and 0.01 now, of at most 0.02 in 24 h";
    assert!(shown.unusual.contains(&beyond.to_owned()), "{shown:?}");
}

// The order that is covered, from a process of its own with the bot's token.
fn from_another_process(desk: &Desk) -> (u16, String) {
    let done = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}"])
        .args(["-H", &format!("x-mbx-apikey: {}", desk.token)])
        .args(["-d", "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&price=20000&quantity=0.005&timestamp=1&signature=0"])
        .arg(format!("{}/api/v3/order", desk.base))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    (said.parse().unwrap_or(0), said)
}

#[test]
fn a_process_that_becomes_another_program_has_lost_what_was_allowed_to_it() {
    let desk = Desk::with_a_passphrase("");
    desk.grants_for(Some(5));
    // Twice as one program, then, under the same number, as another.
    let script = r#"
import http.client, os, sys
host, path = sys.argv[1].removeprefix("http://").split("/", 1)
body = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&price=20000&quantity=0.005&timestamp=1&signature=0"
headers = {"x-mbx-apikey": sys.argv[2], "content-type": "application/x-www-form-urlencoded"}
for _ in range(2):
    bot = http.client.HTTPConnection(host)
    bot.request("POST", f"/{path}/api/v3/order", body, headers)
    assert bot.getresponse().status == 200
    bot.close()
os.execvp("curl", ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"x-mbx-apikey: {sys.argv[2]}", "-d", body, f"{sys.argv[1]}/api/v3/order"])
"#;
    let done = Command::new("python3")
        .args(["-c", script, &desk.base, &desk.token])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "200", "{done:?}");
    let programs: Vec<String> = desk
        .person()
        .requests()
        .into_iter()
        .map(|one| one.executable)
        .collect();
    assert_eq!(programs.len(), 2, "{programs:?}");
    assert!(
        programs[0].contains("python") && programs[1].contains("curl"),
        "{programs:?}"
    );
}

#[test]
fn two_unanswered_questions_bring_a_rest_that_a_person_sees_and_ends() {
    let mut desk = Desk::with_a_passphrase("approval_seconds = 1");
    drop(desk.person.take());
    for quantity in ["0.01", "0.02"] {
        let status = desk.order(&format!("quantity={quantity}"));
        assert_ne!(status, 200);
    }
    let status = desk.home.json(&["status"]);
    assert_eq!(status["resting"][0]["asker"], "client grid-bot", "{status}");
    let begun = Instant::now();
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&price=20000&quantity=0.03";
    let (status, answer) = desk.send("/api/v3/order", order);
    assert_eq!(status, 403);
    assert!(answer.contains("nobody was asked"), "{answer}");
    assert!(answer.contains("touchkeep approve ends that"), "{answer}");
    assert!(
        begun.elapsed() < Duration::from_millis(900),
        "nobody is asked meanwhile"
    );
    // `touchkeep approve` says that somebody is there.
    let terminal = Terminal::open(&desk.home, 80);
    terminal.until("client grid-bot may ask again");
    assert_eq!(desk.home.json(&["status"])["resting"], json!([]));
    std::thread::scope(|scope| {
        let bot = scope.spawn(|| desk.order("quantity=0.04"));
        terminal.until("buy 0.04");
        assert_ne!(bot.join().unwrap(), 200);
    });
}

#[test]
fn a_terminal_that_is_open_says_who_rests_because_nobody_answered() {
    let mut desk = Desk::with_a_passphrase("approval_seconds = 2");
    drop(desk.person.take());
    let terminal = Terminal::open(&desk.home, 100);
    for quantity in ["0.01", "0.02"] {
        assert_eq!(terminal.times("asks nobody"), 0);
        assert_ne!(desk.order(&format!("quantity={quantity}")), 200);
    }
    terminal.until("client grid-bot asks nobody for a minute now: nobody answered it twice");
    // And no line is left that looks as if it still waited for an answer.
    let shown = terminal.bytes();
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let stale = shown.split(" s left) > ").skip(1);
    for after in stale {
        assert!(after.starts_with("\r\u{1b}[K"), "{shown:?}");
    }
}

#[test]
fn a_terminal_says_that_a_secret_is_not_asked_for_any_more_and_shows_nothing_that_is_typed_then() {
    let mut desk = Desk::with_a_passphrase("");
    drop(desk.person.take());
    let _locked = desk.home.json(&["lock"]);
    let mut terminal = Terminal::open(&desk.home, 100);
    let unlock = || {
        let mut unlock = desk.home.touchkeep();
        unlock.args(["unlock", "--no-interaction"]);
        unlock.stdout(Stdio::null()).stderr(Stdio::null());
        unlock.spawn().unwrap()
    };
    let mut first = unlock();
    terminal.until(": passphrase: ");
    first.kill().unwrap();
    let _ended = first.wait().unwrap();
    terminal.until("The passphrase is not asked for any more: failed");
    let shown = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    let (_, after) = shown.split_once(": passphrase: ").unwrap();
    assert!(after.starts_with("\r\u{1b}[K"), "{shown:?}");
    std::thread::sleep(Duration::from_millis(600));
    terminal.types("typed too late\r");
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(terminal.times("typed too late"), 0);
    // The next one is asked, and what was typed before is no answer to it.
    let mut second = unlock();
    terminal.answers_secret(": passphrase: ", 2, "correct horse battery staple");
    assert!(second.wait().unwrap().success());
}

#[test]
fn a_terminal_that_showed_nothing_of_what_was_typed_does_again_once_it_is_left() {
    let mut desk = Desk::with_a_passphrase("");
    drop(desk.person.take());
    for is_asked in [true, false] {
        let program = Terminal::program(&desk.home);
        let script = format!("{program} approve; stty -a");
        let terminal = Terminal::run_script(&desk.home, 100, &script);
        terminal.until("Waiting for requests");
        std::thread::scope(|scope| {
            let bot = scope.spawn(|| is_asked.then(|| desk.order("quantity=0.01")));
            if is_asked {
                terminal.until(" s left) > ");
            }
            // It goes in the middle of that.
            let _stopped = desk.home.touchkeep().args(["agent", "stop"]).output();
            let _refused = bot.join();
        });
        terminal.until("the agent went away");
        terminal.until("noflsh");
        let shown = String::from_utf8_lossy(&terminal.bytes()).into_owned();
        let (_, after) = shown.split_once("the agent went away").unwrap();
        assert!(
            after.contains(" echo ") && after.contains(" icanon "),
            "{after:?}"
        );
        let _started = desk.home.json(&["status"]);
    }
}

// Whoever revokes a client while its withdrawal waits for the finger would else read that a touch is wanted, and give it.
#[test]
fn who_revokes_a_client_is_not_asked_to_touch_for_it() {
    let desk = Desk::with_a_card("");
    desk.person().take_hands_off();
    let begun = std::thread::scope(|scope| {
        let bot = scope.spawn(|| (desk.withdraw(""), Instant::now()));
        let touch = |prompt: &touchkeep_wire::Prompt| {
            matches!(prompt.question, touchkeep_wire::Question::Touch { .. })
        };
        wait_for("the touch", || {
            let asked = desk.person().was_asked();
            asked.iter().rfind(|one| touch(one)).filter(|one| {
                matches!(&one.question, touchkeep_wire::Question::Touch { why, .. } if why.contains("Withdraw"))
            }).map(|_| ())
        });
        let begun = Instant::now();
        let mut add = Terminal::run(&desk.home, 200, "proxy add another");
        add.until("is in use: client grid-bot waits for a touch");
        let mut revoke = Terminal::run(&desk.home, 200, "proxy revoke grid-bot");
        let ((status, answer), at) = bot.join().unwrap();
        assert_eq!(status, 403, "{answer}");
        assert!(answer.contains("this client was revoked"), "{answer}");
        for terminal in [&mut revoke, &mut add] {
            assert_eq!(terminal.ends_with(), Some(0));
            let shown = String::from_utf8_lossy(&terminal.bytes()).into_owned();
            assert!(
                !shown.contains("Touch YubiKey") && !shown.contains("Withdraw"),
                "{shown}"
            );
        }
        at.duration_since(begun)
    });
    assert!(
        begun < Duration::from_secs(8),
        "not behind the device: {begun:?}"
    );
    assert!(desk.venue.received("/withdraw/apply").is_empty());
}

#[test]
fn three_refusals_bring_a_rest_that_keeps_nobody_else_and_that_a_person_ends() {
    let mut desk = Desk::with_a_passphrase("approval_seconds = 20");
    drop(desk.person.take());
    let mut terminal = Terminal::open(&desk.home, 100);
    // Small and large in turn: what was refused counts, not which.
    for (nth, amount) in ["buy 0.01", "0.5 BTC", "buy 0.03"].into_iter().enumerate() {
        let (status, answer) = std::thread::scope(|scope| {
            let bot = scope.spawn(|| match nth {
                1 => desk.withdraw(""),
                _ => (
                    desk.order(&format!("quantity=0.0{}", nth + 1)),
                    String::new(),
                ),
            });
            terminal.until(amount);
            assert_eq!(terminal.times("asks nobody"), 0);
            terminal.answers("no\r");
            bot.join().unwrap()
        });
        assert_eq!(status, 403, "{answer}");
    }
    terminal.until("client grid-bot asks nobody for 5 minutes now");
    let begun = Instant::now();
    let (status, answer) = desk.withdraw("&withdrawOrderId=again");
    assert_eq!(status, 403);
    assert!(
        answer.contains("a person refused the last questions of this client")
            && answer.contains("for another 2")
            && answer.contains("touchkeep approve ends that"),
        "{answer}"
    );
    assert!(begun.elapsed() < Duration::from_secs(2), "nobody is asked");
    assert_eq!(terminal.times("Withdraw 0.5 BTC"), 1);
    // It is on record, with why.
    let rows = desk.rows("request-refused");
    assert_eq!(rows.len(), 4, "{rows:?}");
    let row = desk.row(&rows[0]).to_string();
    assert!(
        row.contains("nobody for another 2") && row.contains("Withdraw 0.5 BTC"),
        "{row}"
    );
    // A person sees it, and is kept from nothing himself; nor is another client.
    let status = desk.home.json(&["status"]);
    assert_eq!(status["resting"][0]["asker"], "client grid-bot", "{status}");
    assert_eq!(status["resting"][0]["refused"], true, "{status}");
    let shown = desk.home.touchkeep().arg("status").output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("three questions were refused"), "{shown}");
    drop(terminal);
    desk.person = Some(Person::sit_down(&desk.home.paths(), None));
    let other = desk.home.json(&["proxy", "add", "other-bot"]);
    let token = other["token"].as_str().unwrap().to_owned();
    let first = std::mem::replace(&mut desk.token, token);
    assert_eq!(desk.order("quantity=0.04"), 200);
    desk.token = first;
    assert_eq!(desk.order("quantity=0.05"), 403);
    assert_eq!(desk.asked(), 1, "the other one's");
    // Reads by rule go on: nobody is asked about them.
    let account = http(
        &desk.base,
        "GET",
        "/api/v3/account?timestamp=1&signature=0000",
        &[("x-mbx-apikey", desk.token.as_str())],
        "",
    );
    assert_eq!(account.0, 200, "{}", account.1);
    // `touchkeep approve` says that it may ask again.
    let terminal = Terminal::open(&desk.home, 100);
    terminal
        .until("client grid-bot may ask again: it rested after three questions that were refused");
    assert_eq!(desk.home.json(&["status"])["resting"], json!([]));
    assert_eq!(desk.order("quantity=0.06"), 200);
}

/// `touchkeep approve` on a terminal that `script` of util-linux gives it, whose bytes are kept.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

impl Terminal {
    fn open(home: &Home, columns: u32) -> Self {
        Self::open_with(home, columns, "")
    }

    fn open_with(home: &Home, columns: u32, more: &str) -> Self {
        let terminal = Self::run(home, columns, &format!("approve {more}"));
        terminal.until("Waiting for requests");
        terminal
    }

    // With another verb than `approve`.
    fn run(home: &Home, columns: u32, verb: &str) -> Self {
        let program = Self::program(home);
        Self::run_script(home, columns, &format!("exec {program} {verb}"))
    }

    fn program(home: &Home) -> String {
        let command = home.touchkeep();
        command.get_program().to_string_lossy().into_owned()
    }

    fn run_script(home: &Home, columns: u32, script: &str) -> Self {
        let mut child = Command::new("script")
            .args(["-q", "-e", "-f", "-c"])
            .arg(format!("stty cols {columns} rows 60; {script}"))
            .arg("/dev/null")
            .envs(home.environment())
            .env("NO_COLOR", "1")
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let keys = child.stdin.take().unwrap();
        let mut out = child.stdout.take().unwrap();
        let shown = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let kept = std::sync::Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut some = [0_u8; 4096];
            while let Ok(read) = std::io::Read::read(&mut out, &mut some) {
                if read == 0 {
                    return;
                }
                kept.lock().unwrap().extend_from_slice(&some[..read]);
            }
        });
        Self { child, keys, shown }
    }

    // Types once a question is there for the n-th time.
    fn answers_secret(&mut self, question: &str, nth: usize, with: &str) {
        wait_for(question, || (self.times(question) >= nth).then_some(()));
        // What is typed before the terminal listens is no answer.
        std::thread::sleep(Duration::from_millis(900));
        self.types(&format!("{with}\r"));
    }

    fn ends_with(&mut self) -> Option<i32> {
        wait_for("the end", || self.child.try_wait().unwrap()).code()
    }

    fn bytes(&self) -> Vec<u8> {
        self.shown.lock().unwrap().clone()
    }

    fn until(&self, text: &str) {
        wait_for(text, || {
            let shown = self.bytes();
            String::from_utf8_lossy(&shown).contains(text).then_some(())
        });
    }

    // How often a text was shown.
    fn times(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.bytes()).matches(text).count()
    }

    // A question that has just come takes no answer yet.
    fn answers(&mut self, keys: &str) {
        std::thread::sleep(Duration::from_millis(900));
        self.types(keys);
    }

    fn approves_the_withdrawal(&mut self) {
        self.until("Withdraw 0.5 BTC");
        self.answers("approve\r");
        self.until(": passphrase: ");
        std::thread::sleep(Duration::from_millis(300));
        self.types("correct horse battery staple\r");
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

// A program of the bot's that is named to do harm to whoever reads the name.
fn hostile_program(desk: &Desk) -> std::path::PathBuf {
    let program = desk
        .home
        .path("\u{1b}[2K\u{1b}]0;owned\u{7}\u{202e}c\r\n  key  x");
    let found = Command::new("sh")
        .args(["-c", "command -v curl"])
        .output()
        .unwrap();
    let curl = String::from_utf8(found.stdout).unwrap();
    std::fs::copy(curl.trim(), &program).unwrap();
    program
}

#[test]
fn the_terminal_shows_hostile_text_as_text() {
    let mut desk = Desk::with_a_passphrase("");
    let hostile = desk.home.json(&["proxy", "add", "grid-b\u{43e}t"]);
    desk.token = hostile["token"].as_str().unwrap().to_owned();
    drop(desk.person.take());
    let mut terminal = Terminal::open(&desk.home, 80);
    let blanks = "%20".repeat(300);
    let long = "A".repeat(20_000);
    let body = format!(
        "coin=BTC&network=BTC&amount=0.5&address=bc1q%E2%80%AEevil%E2%80%8B%D0%B0\
         &withdrawOrderId=id{blanks}key%20%20%20%20harmless&name={long}&key=harmless&timestamp=1&signature=0"
    );
    let mut bot = Command::new(hostile_program(&desk))
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", &body])
        .args(["-H", &format!("x-mbx-apikey: {}", desk.token)])
        .arg(format!("{}/sapi/v1/capital/withdraw/apply", desk.base))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    terminal.until("s left) > ");
    // The terminal itself puts another carriage return before each line's end.
    let text = String::from_utf8(terminal.bytes()).unwrap();
    let text = text.replace("\r\r\n", "\r\n");
    for visible in [
        "bc1q\\u{202e}evil\\u{200b}\\u{430}",
        "\\u{1b}[2K\\u{1b}]0;owned\\u{7}\\u{202e}c\\u{d}\\u{a}",
        "grid-b\u{43e}t",
        "the address holds letters that look like others",
        "the client's name holds letters that look like others",
        "too long to be shown whole",
    ] {
        let unfolded: String = text.split("\r\n").map(str::trim).collect();
        let sought = visible.replace(' ', "");
        assert!(
            text.contains(visible) || unfolded.replace(' ', "").contains(&sought),
            "{visible} is not in:\n{text}"
        );
    }
    // The only control bytes are line ends and our own clearing of the line on which the answer is typed.
    let ours = text.replace("\r\n", "").replace("\r\u{1b}[K  (", "");
    let control: Vec<char> = ours.chars().filter(|c| c.is_control()).collect();
    assert!(control.is_empty(), "{control:?} in:\n{text}");
    for hidden in ['\u{202e}', '\u{200b}'] {
        assert!(!text.contains(hidden), "{text}");
    }
    // No line of theirs begins where ours begin, and none is so long that the terminal would break it.
    let keys: Vec<&str> = text
        .split("\r\n")
        .filter(|line| line.starts_with("  Key"))
        .collect();
    assert!(keys.len() == 1 && keys[0].contains("money"), "{keys:?}");
    for line in text.split("\r\n").filter(|line| !line.contains('\u{1b}')) {
        assert!(line.chars().count() <= 80, "{line:?}");
    }
    terminal.types("\u{1b}");
    let mut status = String::new();
    std::io::Read::read_to_string(bot.stdout.as_mut().unwrap(), &mut status).unwrap();
    bot.wait().unwrap();
    assert_eq!(status, "403");
    // What moves a cursor never comes as far as a question: it is refused unread.
    let (status, answer) = desk.withdraw("&withdrawOrderId=%1B%5B2K%0A");
    assert_eq!(status, 400, "{answer}");
    assert_eq!(
        terminal.times("Withdraw 0.5"),
        text.matches("Withdraw 0.5").count()
    );
    assert!(desk.venue.received("/withdraw/apply").is_empty());
}

#[test]
fn a_key_that_was_pressed_for_something_else_approves_nothing() {
    let mut desk = Desk::with_a_passphrase("");
    drop(desk.person.take());
    let mut terminal = Terminal::open(&desk.home, 100);
    std::thread::scope(|scope| {
        let bot = scope.spawn(|| desk.order("quantity=0.01"));
        terminal.until("buy 0.01");
        // Within the guard: thrown away, so that the question is still open afterwards.
        terminal.types("approve\r");
        terminal.until("s left) > ");
        std::thread::sleep(Duration::from_millis(300));
        assert!(!bot.is_finished());
        terminal.types("approve\r");
        assert_eq!(bot.join().unwrap(), 200, "{}", desk.home.log());
    });
    terminal.until("Request 1 approved");
    std::thread::scope(|scope| {
        let bot = scope.spawn(|| desk.order("quantity=0.02"));
        terminal.until("buy 0.02");
        terminal.answers("y\r");
        assert_eq!(bot.join().unwrap(), 403, "no word is a yes but the word");
    });
    std::thread::scope(|scope| {
        let bot = scope.spawn(|| desk.order("quantity=0.03"));
        terminal.until("buy 0.03");
        terminal.answers("approve 15\r");
        assert_eq!(bot.join().unwrap(), 200);
    });
    assert_eq!(
        desk.order("quantity=0.02"),
        200,
        "covered by what was just allowed"
    );
    assert_eq!(terminal.times("buy 0.02"), 1);
}

#[test]
fn a_terminal_for_one_request_stays_until_its_passphrase_was_typed() {
    let mut desk = Desk::with_a_passphrase("");
    drop(desk.person.take());
    let mut terminal = Terminal::open_with(&desk.home, 100, "--once");
    std::thread::scope(|scope| {
        let money = scope.spawn(|| desk.withdraw(""));
        terminal.approves_the_withdrawal();
        let (status, answer) = money.join().unwrap();
        assert_eq!(status, 200, "{answer} {}", desk.home.log());
    });
    let ended = wait_for("the end", || terminal.child.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));

    let mut terminal = Terminal::open_with(&desk.home, 100, "--once");
    std::thread::scope(|scope| {
        let bot = scope.spawn(|| desk.order("quantity=0.01"));
        terminal.until("buy 0.01");
        terminal.answers("\r");
        assert_eq!(bot.join().unwrap(), 403);
    });
    let ended = wait_for("the end", || terminal.child.try_wait().unwrap());
    assert_eq!(ended.code(), Some(1));
}

#[test]
fn a_terminal_says_how_it_went_and_ends_with_that() {
    let mut desk = Desk::with_a_passphrase("");
    drop(desk.person.take());
    let ends = |typed: &[&str], said: &str, code: i32| {
        let mut terminal = Terminal::open_with(&desk.home, 100, "--once");
        let status = std::thread::scope(|scope| {
            let bot = scope.spawn(|| match typed {
                [] => desk.order("quantity=9"),
                _ => desk.withdraw("").0,
            });
            terminal.until("Asked by");
            std::thread::sleep(Duration::from_millis(900));
            terminal.types("approve\r");
            for (at, passphrase) in typed.iter().enumerate() {
                terminal.answers_secret(": passphrase: ", at + 1, passphrase);
            }
            bot.join().unwrap()
        });
        assert_eq!(terminal.ends_with(), Some(code), "{said}");
        terminal.until(said);
        status
    };
    let right = "correct horse battery staple";
    assert_eq!(ends(&[right], "Signed and sent. The venue did it.", 0), 200);
    // That costs more than there is.
    assert_eq!(ends(&[], "Signed and sent. The venue refused it: ", 1), 400);
    assert_eq!(ends(&["wrong"], "Nothing was signed: ", 1), 403);
}

#[test]
fn a_mistyped_passphrase_is_asked_for_again_three_times_in_all() {
    let mut desk = Desk::with_a_passphrase("");
    drop(desk.person.take());
    let _locked = desk.home.json(&["lock"]);
    let question = ": passphrase: ";
    let mut terminal = Terminal::run(&desk.home, 80, "unlock");
    terminal.answers_secret(question, 1, "wrong");
    terminal.answers_secret(question, 2, "correct horse battery staple");
    assert_eq!(terminal.ends_with(), Some(0));
    assert_eq!(terminal.times("wrong passphrase"), 1);
    assert_eq!(desk.home.json(&["status"])["unlocked"], true);

    let _locked = desk.home.json(&["lock"]);
    let mut terminal = Terminal::run(&desk.home, 80, "unlock");
    for nth in 1..=3 {
        terminal.answers_secret(question, nth, "wrong");
    }
    assert_eq!(terminal.ends_with(), Some(1));
    assert_eq!(terminal.times("wrong passphrase"), 3);
    let mut terminal = Terminal::run(&desk.home, 80, "unlock");
    terminal.answers_secret(question, 1, "correct horse battery staple");
    assert_eq!(terminal.ends_with(), Some(0));
    // What a program asks for is as good, and whether it may have that is asked once.
    let read = "read tk://prod/money/secret";
    let mut terminal = Terminal::run(&desk.home, 80, read);
    terminal.until("Question 1");
    terminal.answers("once\r");
    terminal.answers_secret(question, 1, "wrong");
    terminal.answers_secret(question, 2, "correct horse battery staple");
    assert_eq!(terminal.ends_with(), Some(0));
    assert_eq!(terminal.times("Question "), 2, "it came and was answered");
    // That yes is used up: the next program is asked about, and one whose person gives up has nothing for the next either.
    for (number, typed) in [(2, ["wrong"; 3]), (3, ["wrong"; 3])] {
        let mut terminal = Terminal::run(&desk.home, 80, read);
        terminal.until(&format!("Question {number}"));
        terminal.answers("once\r");
        for (at, wrong) in typed.iter().enumerate() {
            terminal.answers_secret(question, at + 1, wrong);
        }
        assert_eq!(terminal.ends_with(), Some(1));
    }
}

#[test]
fn whoever_waits_for_requests_hears_that_the_agent_has_gone() {
    let mut desk = Desk::with_a_passphrase("");
    drop(desk.person.take());
    let mut terminal = Terminal::open(&desk.home, 80);
    desk.home.kill_agent();
    terminal.until("the agent went away");
    assert_eq!(terminal.ends_with(), Some(1));
}

#[test]
fn a_mistyped_pin_is_asked_for_with_its_tries_and_never_for_the_last_one() {
    let mut desk = Desk::with_a_card("");
    drop(desk.person.take());
    let card = desk.card.as_ref().unwrap();
    let state = || card.ask(&json!({ "do": "state" }));
    let sent = || state()["verify_count"].as_u64().unwrap();
    let _locked = desk.home.json(&["lock"]);
    let before = sent();
    let mut terminal = Terminal::run(&desk.home, 80, "unlock");
    terminal.answers_secret("3 tries left: ", 1, "000111");
    terminal.answers_secret("2 tries left: ", 1, "000222");
    assert_eq!(terminal.ends_with(), Some(3));
    terminal.until("device unblock");
    assert_eq!(
        (sent() - before, state()["pin_tries"].as_u64()),
        (2, Some(1))
    );
}

#[test]
fn a_request_that_nobody_sees_is_announced_without_what_it_moves() {
    let (screen, bus) = (Screen::on(), Bus::start());
    let dunst = Dunst::start(&screen, &bus);
    let home = Home::with(&[("DBUS_SESSION_BUS_ADDRESS", &bus.address)]);
    let mut desk = Desk::at(home, None, "approval_seconds = 3");
    let (status, _) = desk.withdraw("");
    assert_eq!(status, 200, "{}", desk.home.log());
    assert_eq!(dunst.displayed(), 0, "somebody was there");
    drop(desk.person.take());
    // The agent hears of it a moment later.
    std::thread::sleep(Duration::from_millis(500));
    let (status, _) = desk.withdraw("");
    assert_eq!(status, 403);
    assert_eq!(dunst.displayed(), 1);
    let shown = dunst.history();
    assert!(
        shown.contains("grid-bot waits for you: withdraw at binance"),
        "{shown}"
    );
    assert!(shown.contains("touchkeep approve"), "{shown}");
    assert!(
        !shown.contains("0.5") && !shown.contains(&ADDRESS[..8]),
        "{shown}"
    );
    // The second without an answer brings a rest. What is put to nobody then does not wait.
    let (status, _) = desk.withdraw("");
    assert_eq!((status, dunst.displayed()), (403, 1));
    let _closed = dunst.history();
    let (status, answer) = desk.withdraw("");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!((status, dunst.displayed()), (403, 0), "{answer}");
}

#[test]
fn requests_wait_in_order_and_one_that_nobody_answers_holds_up_none() {
    let mut desk = Desk::with_a_passphrase("approval_seconds = 20");
    drop(desk.person.take());
    let mut terminal = Terminal::open(&desk.home, 100);
    std::thread::scope(|scope| {
        let one = scope.spawn(|| desk.order("quantity=0.01"));
        terminal.until("buy 0.01");
        let two = scope.spawn(|| desk.order("quantity=0.02"));
        terminal.until("1 more wait");
        terminal.types("next\r");
        terminal.until("buy 0.02");
        terminal.answers("approve\r");
        assert_eq!(two.join().unwrap(), 200, "{}", desk.home.log());
        assert!(!one.is_finished(), "the first still waits");
        terminal.until("Request 2 approved");
        wait_for("the first again", || {
            (terminal.times("buy 0.01") >= 2).then_some(())
        });
        // A passphrase cannot wait behind a request: it takes the terminal, and the request comes back.
        let money = scope.spawn(|| desk.withdraw(""));
        terminal.until("1 more wait");
        terminal.answers("next\r");
        terminal.approves_the_withdrawal();
        let (status, answer) = money.join().unwrap();
        assert_eq!(status, 200, "{answer} {}", desk.home.log());
        wait_for("the first once more", || {
            (terminal.times("buy 0.01") >= 3).then_some(())
        });
        terminal.answers("approve\r");
        assert_eq!(one.join().unwrap(), 200);
    });
}

#[tokio::test]
async fn a_front_end_that_comes_late_sees_what_waits_in_its_order() {
    let mut desk = Desk::with_a_passphrase("approval_seconds = 20");
    drop(desk.person.take());
    let desk = std::sync::Arc::new(desk);
    let mut bots = Vec::new();
    for quantity in ["0.01", "0.02", "0.03"] {
        let bot = std::sync::Arc::clone(&desk);
        bots.push(std::thread::spawn(move || {
            bot.order(&format!("quantity={quantity}"))
        }));
        let waiting = bots.len() as u64;
        wait_for("the question", || {
            (desk.home.json(&["status"])["waiting"] == waiting).then_some(())
        });
    }
    let front = FrontEnd::connect(&desk.home.paths().ui_socket(), "late")
        .await
        .unwrap();
    let (answers, mut events) = front.split();
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let Some(touchkeep_client::Event::Open(prompt)) = events.next().await else {
            panic!("no question");
        };
        waiting.push((prompt.number, prompt.id));
    }
    for (_, id) in &waiting {
        let refuse = touchkeep_wire::Answer::Refuse {};
        answers.answer(*id, refuse).await.unwrap();
    }
    let numbers: Vec<u32> = waiting.into_iter().map(|(number, _)| number).collect();
    assert!(
        numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{numbers:?}"
    );
    for bot in bots {
        assert_eq!(bot.join().unwrap(), 403);
    }
}

#[test]
fn what_a_rule_tells_is_read_in_the_terminal_and_a_busy_bot_buries_nobody() {
    let desk = Desk::with_a_passphrase("");
    let policy = desk.home.path("policy.toml");
    let text = POLICY.replace("action = \"approve\"", "action = \"notify\"");
    std::fs::write(&policy, text).unwrap();
    let _policy = desk.home.json(&["policy", "set", policy.to_str().unwrap()]);
    let terminal = Terminal::open(&desk.home, 200);
    assert_eq!(desk.order("quantity=0.001"), 200);
    terminal.until("Signed by rule: Place order buy 0.001 BTCUSDT at 20000 on Binance. Asked by grid-bot, let through by the rule orders.");
    for nth in 2..=31 {
        assert_eq!(desk.order(&format!("quantity=0.0{nth:02}")), 200, "{nth}");
    }
    // Each is in one line, and the last is named.
    wait_for("all of them", || {
        let shown = String::from_utf8_lossy(&terminal.bytes()).into_owned();
        let lines: Vec<&str> = shown
            .lines()
            .filter(|line| line.contains("Signed by rule: "))
            .collect();
        let of = |line: &&str| {
            let (_, said) = line.split_once("Signed by rule: ")?;
            let many = said.split_once(" requests, the last of them: ");
            many.map_or(Some(1), |(many, _)| many.parse::<u32>().ok())
        };
        let told: u32 = lines.iter().filter_map(of).sum();
        let last = lines.last()?.contains("buy 0.031 BTCUSDT");
        (told == 31 && last && lines.len() < 15).then_some(())
    });
}
