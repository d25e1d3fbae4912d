//! Each program in `docs/clients/`, run as its first lines say, by a library that nobody has changed: against a practice
//! exchange which checks every signature by itself, through the real agent and proxy.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::json;
use touchkeep_tests::{Home, PATIENCE, Person, Running, Venue, wait_for};

const ADDRESS: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";

const POLICY: &str = r#"
[[rule]]
name = "reading and cancelling"
kinds = ["read", "cancel"]
action = "allow"

[[rule]]
name = "small orders"
kinds = ["trade"]
symbols = ["BTCUSDT", "BTC-USDT", "XBTUSDT"]
max_amount = "1"
action = "allow"

[[rule]]
name = "withdrawals"
kinds = ["withdraw"]
action = "touch"
"#;

/// A client of one venue, and everything that it needs.
struct Desk {
    home: Home,
    person: Person,
    exchange: Venue,
    venue: &'static str,
    program: Vec<String>,
}

impl Desk {
    /// With keys of that type: one to read and trade, one to withdraw.
    fn set(venue: &'static str, keys: &str, program: Vec<String>) -> Self {
        Self::at(Venue::open(), venue, keys, program)
    }

    fn at(exchange: Venue, venue: &'static str, keys: &str, program: Vec<String>) -> Self {
        let home = Home::new(None);
        let person = Person::sit_down(&home.paths(), None);
        let path = home.path("v.touchkeep").display().to_string();
        let _made = home.json(&["init", "--practice", "--path", &path, "--work-factor", "10"]);
        let policy = home.path("policy.toml");
        std::fs::write(&policy, POLICY).unwrap();
        let _policy = home.json(&["policy", "set", policy.to_str().unwrap()]);
        let desk = Self {
            home,
            person,
            exchange,
            venue,
            program,
        };
        desk.add("trade", keys, "trade", &["read", "trade"]);
        desk.add("money", keys, "move-money", &["read", "withdraw"]);
        desk
    }

    fn add(&self, name: &str, keys: &str, class: &str, permissions: &[&str]) {
        let (key, secret) = self.exchange.key(self.venue, keys, permissions);
        let args = ["add", name, "--venue", self.venue, "--class", class];
        let more = ["--api-key", &key, "--base-url", &self.exchange.url];
        let secret_from = ["--secret-fd", "0"];
        let args = [&args[..], &more, &secret_from].concat();
        let _added = self.home.json_with(&args, &secret);
    }

    /// The program, as its first lines say that it is run.
    fn touchkeep(&self) -> Command {
        let exec = ["--no-interaction", "proxy", "exec", "--venue", self.venue];
        let mut command = self.home.touchkeep();
        command.args(exec).arg("--").args(&self.program);
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.touchkeep().args(words).output().unwrap()
    }

    fn says(&self, words: &[&str]) -> String {
        let done = self.run(words);
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(
            done.status.success(),
            "{words:?}: {said}{}{}",
            String::from_utf8_lossy(&done.stderr),
            self.home.log()
        );
        said
    }

    /// Kraken sends money to its own address book alone.
    fn knows_the_address(&self) {
        let address =
            json!({ "asset": "BTC", "key": "cold", "address": ADDRESS, "network": "BTC" });
        self.exchange.address(&address);
    }

    // What it complains of.
    fn fails(&self, words: &[&str]) -> String {
        let done = self.run(words);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{words:?}: {said}");
        said
    }

    /// Everything that a bot does: a balance, an order by rule, one too large, a cancellation, and a withdrawal that a person
    /// first refuses and then approves.
    fn works_for_a_day(&self, market: &str, denied: &str, money: &[&str]) {
        let placed = self.says(&["order", market, "buy", "0.5", "50000"]);
        let order = placed.strip_prefix("order ").unwrap();
        let (order, _) = order.split_once(": ").unwrap();
        let balance = self.says(&["balance", "USDT"]);
        assert!(balance.contains("balance: 75000"), "{balance}");
        let cancelled = self.says(&["cancel", order, market]);
        assert!(cancelled.to_lowercase().contains("cancel"), "{cancelled}");
        let kept = self.exchange.owned("USDT");
        assert_eq!(kept, "100000.00000000", "nothing is locked any more");
        assert_eq!(
            self.person.requests().len(),
            0,
            "by rule is without a person"
        );

        let too_large = self.fails(&["order", market, "buy", "1.5", "50000"]);
        assert!(too_large.starts_with(denied), "{too_large}");
        assert!(too_large.contains("Touchkeep: "), "{too_large}");

        let withdraw = [&["withdraw"], money].concat();
        self.person.mind.lock().unwrap().approves = false;
        let refused = self.fails(&withdraw);
        assert!(refused.starts_with(denied), "{refused}");
        assert_eq!(self.sent(), Vec::<String>::new());
        self.person.mind.lock().unwrap().approves = true;
        let accepted = self.says(&withdraw);
        assert!(accepted.contains("accepted"), "{accepted}");
        assert_eq!(self.sent(), [sent()], "the venue's own record");
        let shown = self.person.requests();
        assert_eq!(shown.len(), 2, "each was shown once: {shown:?}");
        for asked in &shown {
            assert!(asked.touch && asked.sentence.contains("0.5"), "{asked:?}");
        }
        let verdict = self.home.json(&["audit", "verify"]);
        assert_eq!(verdict["sound"], true, "{verdict}");
    }

    // The withdrawals that the venue has carried out, in its words.
    fn sent(&self) -> Vec<String> {
        let record = self.exchange.received("");
        let mut done = record.iter().filter(|row| row["accepted"] == json!(true));
        let withdrawal = |row: &serde_json::Value| {
            let what = row["operation"].as_str()?;
            what.starts_with("withdraw 0").then(|| what.to_owned())
        };
        done.by_ref().filter_map(withdrawal).collect()
    }
}

fn example(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/clients");
    std::fs::canonicalize(folder).unwrap().join(name)
}

fn interpreter() -> String {
    std::env::var("TOUCHKEEP_PYTHON")
        .unwrap_or_else(|_| panic!("TOUCHKEEP_PYTHON is not set: run through ./dev test"))
}

fn python(name: &str) -> Vec<String> {
    vec![interpreter(), example(name).display().to_string()]
}

/// A program in a folder of its own, as npm's are, beside the library.
fn node(folder: &Path, name: &str) -> Vec<String> {
    let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/clients-npm/node_modules");
    assert!(
        Path::new(modules).exists(),
        "{modules} is missing: run through ./dev test, or `npm ci` there"
    );
    std::os::unix::fs::symlink(modules, folder.join("node_modules")).unwrap();
    let program = folder.join(name);
    std::fs::copy(example(name), &program).unwrap();
    vec!["node".to_owned(), program.display().to_string()]
}

// How a withdrawal to `ADDRESS` stands in the venue's record.
fn sent() -> String {
    format!("withdraw 0.5 BTC to {ADDRESS} (network BTC)")
}

#[test]
fn python_ccxt_works_at_binance() {
    let desk = Desk::set("binance", "hmac", python("ccxt_binance.py"));
    desk.works_for_a_day(
        "BTC/USDT",
        "AuthenticationError: ",
        &["BTC", "0.5", ADDRESS],
    );
}

#[test]
fn python_ccxt_works_at_binance_asynchronously() {
    let desk = Desk::set("binance", "hmac", python("ccxt_binance_async.py"));
    desk.works_for_a_day(
        "BTC/USDT",
        "AuthenticationError: ",
        &["BTC", "0.5", ADDRESS],
    );
}

#[test]
fn python_ccxt_follows_the_market_over_a_websocket() {
    let desk = Desk::set("binance", "hmac", python("ccxt_binance_pro.py"));
    let said = desk.says(&["follow", "BTC/USDT"]);
    let lines: Vec<_> = said.lines().collect();
    let [price, placed, cancelled] = lines.as_slice() else {
        panic!("{said}")
    };
    assert_eq!(*price, "BTC/USDT is at 60000.0");
    assert!(placed.ends_with(": open"), "{said}");
    assert!(cancelled.ends_with(": canceled"), "{said}");
    assert_eq!(desk.exchange.owned("USDT"), "100000.00000000");
}

#[test]
fn python_ccxt_watches_its_orders_over_krakens_private_websocket_and_places_none_there() {
    let desk = Desk::set("kraken", "hmac", python("ccxt_kraken_pro.py"));
    let said = desk.says(&["follow", "BTC/USDT"]);
    assert_eq!(said, "seen open\nseen canceled\n");
    let refused = desk.fails(&["order", "BTC/USDT"]);
    assert!(refused.starts_with("ExchangeError: "), "{refused}");
    assert!(
        refused.contains("Touchkeep: only data is asked for over a socket"),
        "{refused}"
    );
    let kept = desk.exchange.owned("USDT");
    assert_eq!(kept, "100000.00000000", "nothing is locked by an order");
}

#[test]
fn python_ccxt_works_at_kraken() {
    let desk = Desk::set("kraken", "hmac", python("ccxt_kraken.py"));
    desk.knows_the_address();
    desk.works_for_a_day(
        "BTC/USDT",
        "PermissionDenied: ",
        &["BTC", "0.5", ADDRESS, "cold"],
    );
}

#[test]
fn python_ccxt_works_at_coinbase() {
    let desk = Desk::set("coinbase", "es256", python("ccxt_coinbase.py"));
    desk.works_for_a_day("BTC/USDT", "PermissionDenied: ", &["BTC", "0.5", ADDRESS]);
}

#[test]
fn npm_ccxt_works_at_binance() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::set("binance", "hmac", node(folder.path(), "ccxt_binance.mjs"));
    desk.works_for_a_day(
        "BTC/USDT",
        "AuthenticationError: ",
        &["BTC", "0.5", ADDRESS],
    );
}

#[test]
fn npm_ccxt_works_at_kraken() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::set("kraken", "hmac", node(folder.path(), "ccxt_kraken.mjs"));
    desk.knows_the_address();
    desk.works_for_a_day(
        "BTC/USDT",
        "PermissionDenied: ",
        &["BTC", "0.5", ADDRESS, "cold"],
    );
}

#[test]
fn python_binance_works() {
    let desk = Desk::set("binance", "hmac", python("python_binance.py"));
    desk.works_for_a_day("BTCUSDT", "BinanceAPIException: ", &["BTC", "0.5", ADDRESS]);
}

#[test]
fn pybit_works_at_bybit() {
    let mut exchange = Command::new(interpreter());
    exchange.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/bybit_venue.py"));
    let exchange = Venue::run(exchange);
    // The exchange is one that notices what the bot signs with.
    let (key, _) = exchange.key("bybit", "hmac", &["read"]);
    let direct = Command::new(interpreter())
        .arg(example("pybit_bybit.py"))
        .args(["balance", "USDT"])
        .env("BYBIT_API_KEY", key)
        .env("TOUCHKEEP_BYBIT_URL", &exchange.url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&direct.stderr);
    assert!(said.contains("ErrCode: 10004"), "{said}");

    let desk = Desk::at(exchange, "bybit", "hmac", python("pybit_bybit.py"));
    desk.works_for_a_day("BTCUSDT", "InvalidRequestError: ", &["BTC", "0.5", ADDRESS]);
}

/// freqtrade, which trades by itself until it is ended.
struct Bot {
    process: Running,
    log: PathBuf,
}

impl Bot {
    fn start(desk: &Desk, settings: &[(&str, &str)]) -> Self {
        let python = std::env::var_os("TOUCHKEEP_FREQTRADE")
            .unwrap_or_else(|| panic!("TOUCHKEEP_FREQTRADE is not set: run through ./dev test"));
        let folder = Path::new(&python).parent().unwrap().to_owned();
        let others = std::env::var_os("PATH").unwrap();
        let path = [folder].into_iter().chain(std::env::split_paths(&others));
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients-freqtrade");
        let own = tempfile::tempdir_in(desk.home.path("")).unwrap().keep();
        let mut command = desk.touchkeep();
        command
            .args(["trade", "--db-url", "sqlite://", "--userdir"])
            .arg(&own)
            .arg("--config")
            .arg(files.join("config.json"))
            .args(["--strategy", "Always", "--strategy-path"])
            .arg(&files)
            .env("PATH", std::env::join_paths(path).unwrap())
            .envs(settings.iter().copied());
        let log = own.join("log");
        let file = std::fs::File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let process = Running::start(command);
        Self { process, log }
    }

    fn told(&self) -> String {
        // Its lines are broken for people.
        let words = std::fs::read_to_string(&self.log).unwrap();
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    // As a person ends it.
    fn end(mut self) {
        let pid = self.process.pid().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status();
        assert!(sent.unwrap().success());
        wait_for("its end", || (!self.process.is_running()).then_some(()));
    }

    // What it says in the end.
    fn says(&mut self, what: &str) {
        // It reads half of Python before it begins.
        let end = Instant::now() + 2 * PATIENCE;
        while !self.told().contains(what) {
            let is_late = Instant::now() > end || !self.process.is_running();
            assert!(!is_late, "{what:?} did not come: {}", self.told());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn freqtrade_trades_by_rule_and_goes_on_when_it_is_refused() {
    let program = vec![
        "sh".into(),
        example("freqtrade_binance.sh").display().to_string(),
    ];
    let desk = Desk::set("binance", "hmac", program);
    let done = || -> Vec<_> {
        let asked = desk.exchange.received("/api/v3/order").into_iter();
        asked
            .inspect(|row| assert_eq!(row["accepted"], true, "{row}"))
            .map(|row| row["operation"].as_str().unwrap().to_owned())
            .collect()
    };
    let bought = "buy 0.01666 BTC for USDT at 60000";
    let mut bot = Bot::start(&desk, &[]);
    bot.says("LIMIT_BUY has been fulfilled");
    bot.end();
    assert_eq!(done(), [bought]);

    // At the other side of the book nobody sells to it; it cancels when it ends.
    let waits = [("FREQTRADE__ENTRY_PRICING__PRICE_SIDE", "same")];
    let mut bot = Bot::start(&desk, &waits);
    bot.says("was created for BTC/USDT and status is open");
    // It says so before it has written the order down; once it asks after it, it knows it.
    wait_for("a look at the order", || {
        let looked = done().iter().any(|what| what.starts_with("query order"));
        looked.then_some(())
    });
    // Broken off in the middle of an answer it would give the order up; its rounds are a second apart.
    let asked = || desk.exchange.received("").len();
    wait_for("the end of its round", || {
        let before = asked();
        std::thread::sleep(Duration::from_millis(300));
        (asked() == before).then_some(())
    });
    bot.end();
    let seen = done();
    let cancelled = seen.iter().any(|what| what.starts_with("cancel order"));
    assert!(cancelled, "{seen:?}");

    let before = seen.len();
    let mut bot = Bot::start(&desk, &[("FREQTRADE__STAKE_AMOUNT", "90000")]);
    bot.says("Unable to create trade for BTC/USDT: Could not place buy order due to AuthenticationError.");
    bot.says("Touchkeep: denied: over max_amount of the rule");
    assert_eq!(done().len(), before, "nothing more has reached the venue");
    assert!(desk.person.requests().is_empty());
}

#[test]
fn the_page_names_each_example_and_what_it_was_tried_with() {
    let page = std::fs::read_to_string(example("README.md")).unwrap();
    let own = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/clients.rs")).unwrap();
    for file in std::fs::read_dir(example("")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let is_run =
            own.contains(&format!("(\"{name}\")")) || own.contains(&format!("\"{name}\"))"));
        assert!(name == "README.md" || is_run, "{name} is run by no test");
        assert!(name == "README.md" || page.contains(&name), "{name}");
    }
    let pins = |file: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(folder.join(file)).unwrap()
    };
    let python = [
        pins("requirements.txt"),
        pins("clients-freqtrade/requirements.txt"),
    ];
    for client in ["ccxt", "python-binance", "pybit", "freqtrade"] {
        let pinned = python.iter().flat_map(|pins| pins.lines());
        let is_of = |line: &&str| line.starts_with(&format!("{client}=="));
        let versions: BTreeSet<_> = pinned.filter(is_of).collect();
        let [pin] = versions.iter().collect::<Vec<_>>()[..] else {
            panic!("{versions:?}")
        };
        assert!(page.contains(&pin.replace("==", " ")), "{pin}");
    }
    let npm: serde_json::Value = serde_json::from_str(&pins("clients-npm/package.json")).unwrap();
    let npm = npm["dependencies"]["ccxt"].as_str().unwrap();
    assert!(page.contains(&format!("ccxt {npm}")), "{npm}");
}
