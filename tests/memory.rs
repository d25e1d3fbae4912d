//! What others can read of the agent: nothing that is secret after a lock, no keys and no typed secrets while it is
//! unlocked, no core dump, no `/proc` and no `ptrace` for programs of the same user, and no secret in logs, files and
//! arguments.
//!
//! The searches need root, and say so when they are not: the agent's memory is closed to everybody else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

#[path = "memory/paged_out.rs"]
mod paged_out;

use std::{
    collections::BTreeSet,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use touchkeep_tests::{
    Canary, Card, Found, Home, Person, Running, Venue, assert_nothing, http, installed_in,
    need_root, search_files, search_memory, wait_for,
};

const ADDRESS: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
/// Letters, so that no number in memory looks like it by chance.
const PIN: &str = "q7Zx9-wK";
const PUK: &str = "vR4-m2Xs";
const PASSPHRASE: &str = "violet anchor 7f3a sparrow";
/// Something that is no secret and stays in the agent's memory, to show that the search finds what is there.
const CONTROL: &str = "control 5d0c71e94ba2";

const POLICY: &str = r#"
[[rule]]
name = "small orders"
kinds = ["trade"]
action = "allow"

[[rule]]
name = "withdrawals"
kinds = ["withdraw"]
action = "touch"
"#;

/// A vault with a stored and a sealed secret, and a bot.
struct Desk {
    home: Home,
    venue: Venue,
    person: Person,
    token: String,
    base: String,
    /// Everything that is secret, and known to the test.
    canaries: Vec<Canary>,
    _card: Option<Card>,
}

impl Desk {
    fn on_a_card() -> Self {
        let card = Card::insert();
        let home = Home::with(&[("PCSCLITE_CSOCK_NAME", &card.pcscd), ("CONTROL", CONTROL)]);
        Self::with_card(home, card)
    }

    fn with_card(home: Home, card: Card) -> Self {
        let person = sit_down(&home, Some(&card.control));
        let _changed = home.json(&["device", "set-pin", &card.serial]);
        let device = format!("piv:{}", card.serial);
        let canaries = vec![Canary::text("PIN", PIN), Canary::text("PUK", PUK)];
        let mut desk = Self::set(home, person, &["--device", &device], canaries);
        desk._card = Some(card);
        desk
    }

    fn with_a_passphrase() -> Self {
        let home = Home::with(&[("CONTROL", CONTROL)]);
        let person = sit_down(&home, None);
        let canaries = vec![Canary::text("passphrase", PASSPHRASE)];
        let mut desk = Self::set(home, person, &["--work-factor", "10"], canaries);
        desk.canaries
            .extend(keys_of_the_vault(&desk.home.path("v.touchkeep")));
        desk
    }

    fn set(home: Home, person: Person, device: &[&str], canaries: Vec<Canary>) -> Self {
        let path = home.path("v.touchkeep").display().to_string();
        let _made = home.json(&[&["init", "--practice", "--path", &path], device].concat());
        let policy = home.path("policy.toml");
        std::fs::write(&policy, POLICY).unwrap();
        let _policy = home.json(&["policy", "set", policy.to_str().unwrap()]);
        let mut desk = Self {
            token: String::new(),
            base: String::new(),
            venue: Venue::open(),
            home,
            person,
            canaries,
            _card: None,
        };
        desk.add("trade", &["read", "trade"], &[]);
        desk.add("move-money", &["read", "withdraw"], &["--sealed"]);
        let client = desk.home.json(&["proxy", "add", "grid-bot"]);
        desk.token = client["token"].as_str().unwrap().into();
        desk.base = client["base_url"].as_str().unwrap().into();
        desk.canaries.push(Canary::text("token", &desk.token));
        desk
    }

    fn add(&mut self, class: &str, permissions: &[&str], more: &[&str]) {
        let (api_key, secret) = self.venue.hmac_key(permissions);
        let add = [
            "add",
            class,
            "--venue",
            "binance",
            "--class",
            class,
            "--api-key",
            &api_key,
        ];
        let place = ["--base-url", &self.venue.url, "--secret-fd", "0"];
        let _item = self
            .home
            .json_with(&[&add[..], &place[..], more].concat(), &secret);
        self.canaries
            .push(Canary::text(&format!("secret of {class}"), &secret));
    }

    /// Unlocks, signs an order by rule and a withdrawal that a person approves.
    fn work(&self) {
        let _unlocked = self.home.json(&["unlock"]);
        let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=20000";
        self.send("/api/v3/order", order);
        let withdrawal = format!("coin=BTC&network=BTC&address={ADDRESS}&amount=0.5");
        self.send("/sapi/v1/capital/withdraw/apply", &withdrawal);
        let last = self.venue.received("/withdraw/apply").pop().unwrap();
        assert_eq!(last["accepted"], true, "{last}");
    }

    fn send(&self, path: &str, body: &str) {
        let headers = [
            ("x-mbx-apikey", self.token.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let body = format!("{body}&timestamp=1&signature=0000");
        let (status, answer) = http(&self.base, "POST", path, &headers, &body);
        assert_eq!(status, 200, "{answer} {}", self.home.log());
    }

    fn lock(&self) {
        let _locked = self.home.json(&["lock"]);
    }

    /// The secrets that are words.
    fn texts(&self) -> Vec<String> {
        vec![PASSPHRASE.to_owned(), self.token.clone()]
    }

    /// Shows that the same search finds the same secrets where they do lie in memory.
    fn is_found_elsewhere(&self) {
        let mut holder = Command::new("sleep");
        holder.arg("60");
        for (number, text) in self.texts().iter().enumerate() {
            holder.env(format!("HELD_{number}"), text);
        }
        let mut holder = holder.spawn().unwrap();
        let stat = format!("/proc/{}/stat", holder.id());
        wait_for("the other program to sleep", || {
            let stat = std::fs::read_to_string(&stat).unwrap();
            stat.contains("(sleep) S").then_some(())
        });
        let found: BTreeSet<_> = search_memory(holder.id(), &self.canaries)
            .into_iter()
            .map(|found| found.canary)
            .collect();
        holder.kill().unwrap();
        holder.wait().unwrap();
        for name in ["passphrase", "token"] {
            assert!(found.contains(name), "{found:?}");
        }
    }

    /// The copies that can be read now.
    fn search(&self) -> Vec<Found> {
        let pid = self.home.agent_pid();
        let control = search_memory(pid, &[Canary::text("control", CONTROL)]);
        assert!(
            !control.is_empty(),
            "the search does not find what is there"
        );
        let mut found = search_memory(pid, &self.canaries);
        if !found.is_empty() {
            // A key that is at work just now is wiped when that is done; what stays is what was left behind.
            std::thread::sleep(std::time::Duration::from_millis(700));
            let still = search_memory(pid, &self.canaries);
            found.retain(|copy| still.iter().any(|other| other.at == copy.at));
        }
        found
    }

    /// What is left after a lock, and after some more of them.
    fn search_after_locks(&self) -> Vec<Found> {
        self.work();
        self.lock();
        let mut found = self.search();
        for _ in 0..5 {
            self.work();
            self.lock();
        }
        found.extend(self.search());
        found
    }
}

fn sit_down(home: &Home, card: Option<&Path>) -> Person {
    let person = Person::sit_down(&home.paths(), card);
    let mut mind = person.mind.lock().unwrap();
    (mind.pin, mind.puk, mind.passphrase) = (PIN.into(), PUK.into(), PASSPHRASE.into());
    drop(mind);
    person
}

/// What stock `tar` and `age` find in a vault that opens with the passphrase: the device's keys, the user's and the
/// environment's identities and the author key, as text and as the bytes that the text stands for.
fn keys_of_the_vault(vault: &Path) -> Vec<Canary> {
    let folder = tempfile::tempdir().unwrap();
    // `age` asks for the passphrase on a terminal; `expect` is one.
    let dialog = "set timeout 60; log_user 0; spawn sh -euc $env(SCRIPT); expect \"assphrase\"; \
        send -- \"$env(PASSPHRASE)\\r\"; expect eof; exit [lindex [wait] 3]";
    let script = "tar xf \"$VAULT\"; age -d -o device.txt d/*.age; age -d -i device.txt -o user.txt u/*.age; \
        age -d -i user.txt -o environment.txt k/*.age";
    let done = Command::new("expect")
        .args(["-c", dialog])
        .env("SCRIPT", script)
        .env("PASSPHRASE", PASSPHRASE)
        .env("VAULT", vault)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let mut canaries = Vec::new();
    for file in ["device", "user", "environment"] {
        let text = std::fs::read_to_string(folder.path().join(file).with_extension("txt")).unwrap();
        for (number, line) in text.lines().enumerate() {
            let (name, key) = (
                format!("{file} key {number}"),
                line.rsplit(' ').next().unwrap(),
            );
            canaries.push(Canary::text(&name, key));
            let bytes = bech32::decode(key)
                .map_or_else(|_| BASE64_STANDARD.decode(key).unwrap(), |(_, bytes)| bytes);
            assert_eq!(bytes.len(), 32);
            canaries.push(Canary::bytes(&format!("{name} (bytes)"), &bytes));
        }
    }
    assert_eq!(canaries.len(), 2 * 6, "four identities and two seeds");
    canaries
}

#[test]
fn a_vault_on_a_card_leaves_nothing_in_memory() {
    let desk = Desk::on_a_card();
    assert_nothing(&desk.search_after_locks());
    assert_eq!(desk.person.requests().len(), 6);
}

#[test]
fn a_vault_with_a_passphrase_leaves_nothing_in_memory() {
    let desk = Desk::with_a_passphrase();
    assert_nothing(&desk.search_after_locks());
}

#[test]
fn an_unlocked_vault_on_a_card_can_be_read_by_nobody() {
    let desk = Desk::on_a_card();
    desk.work();
    assert_nothing(&desk.search());
}

#[test]
fn an_unlocked_vault_with_a_passphrase_can_be_read_by_nobody() {
    let desk = Desk::with_a_passphrase();
    desk.work();
    assert_nothing(&desk.search());
    // Whatever reads the log does so with the vault's key.
    let policy = desk.home.path("policy.toml");
    for _ in 0..8 {
        let _tried = desk
            .home
            .json(&["policy", "replay", policy.to_str().unwrap()]);
        let _page = desk.home.json(&["audit", "list"]);
    }
    assert_nothing(&desk.search());
}

#[test]
fn a_vault_of_many_parts_is_read_by_several_threads_that_leave_nothing() {
    let desk = Desk::with_a_passphrase();
    for note in 0..12 {
        let name = format!("note-{note}");
        let add = ["add", &name, "--kind", "note", "--secret-fd", "0"];
        let _item = desk.home.json_with(&add, "nothing of worth");
    }
    desk.lock();
    desk.work();
    assert_nothing(&desk.search());
    desk.lock();
    assert_nothing(&desk.search());
}

#[test]
fn armed_keys_can_be_read_by_nobody_and_a_lock_of_everything_leaves_nothing() {
    let desk = Desk::with_a_passphrase();
    desk.is_found_elsewhere();
    desk.work();
    let armed = desk.home.json(&["arm", "10m"]);
    assert_eq!(armed["items"], serde_json::json!(["trade"]));
    desk.lock();
    // Locked, and the bot goes on.
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=20000";
    desk.send("/api/v3/order", order);
    assert_eq!(desk.home.json(&["status"])["unlocked"], false);
    // Its keys are in memory that nobody reads, and the rest is in none.
    assert_nothing(&desk.search());
    let _locked = desk.home.json(&["lock", "--all"]);
    let headers = [("x-mbx-apikey", desk.token.as_str())];
    let (status, _) = http(&desk.base, "POST", "/api/v3/order", &headers, order);
    assert_eq!(status, 503);
    assert_nothing(&desk.search());
    let logged = desk.home.log();
    for secret in desk.texts() {
        assert!(!logged.contains(&secret), "a secret is in the agent's log");
    }
}

#[test]
fn a_crash_leaves_no_core_dump() {
    let dumps = "ulimit -c unlimited; cd \"$FOLDER\"; exec \"$@\"";
    let folder = tempfile::tempdir().unwrap();
    let mut home = Home::with(&[("FOLDER", folder.path().to_str().unwrap())]);
    let control = Command::new("sh")
        .args(["-c", dumps, "sh", "sh", "-c", "kill -ABRT $$"])
        .env("FOLDER", folder.path())
        .status()
        .unwrap();
    assert!(control.core_dumped(), "others dump core here: {control:?}");
    let _dump = std::fs::remove_file(folder.path().join("core"));
    home.kill_agent();
    for signal in ["-ABRT", "-SEGV"] {
        home.start_agent_under(&["sh", "-c", dumps, "sh"]);
        let about =
            |file| std::fs::read_to_string(format!("/proc/{}/{file}", home.agent_pid())).unwrap();
        let words = |text: String, name| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            words(about("limits"), "Max core file size"),
            ["0", "0", "bytes"]
        );
        assert_eq!(words(about("status"), "NoNewPrivs:"), ["1"]);
        let ended = home.signal_agent(signal);
        assert!(
            ended.signal().is_some() && !ended.core_dumped(),
            "{ended:?}"
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn programs_of_the_same_user_cannot_look_into_the_agent() {
    need_root();
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let folder = tempfile::tempdir().unwrap();
    // Where the build is, that user may not come.
    let program = installed_in(folder.path());
    let owned = Command::new("chown")
        .args(["-R", "65534:65534"])
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(owned.success());
    let as_user = |program: &str| {
        let mut command = Command::new("setpriv");
        command.args(user).arg(program).current_dir("/");
        command
    };
    let mut command = as_user(program.to_str().unwrap());
    let home = folder.path().join("home");
    command
        .arg("agent")
        .env_clear()
        .env("TOUCHKEEP_HOME", &home)
        .stderr(Stdio::null());
    let agent = Running::start(command);
    let socket = touchkeep_client::Paths::below(&home).agent_socket();
    wait_for("the agent", || {
        std::os::unix::net::UnixStream::connect(&socket).ok()
    });
    let mut other = as_user("sleep");
    other.arg("5");
    let other = Running::start(other);
    wait_for("the other program", || {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", other.pid())).ok()?;
        (name == "sleep\n").then_some(())
    });
    for file in ["mem", "environ", "maps", "auxv", "stack"] {
        let read =
            |pid: u32| said(as_user("head").args(["-c", "1", &format!("/proc/{pid}/{file}")]));
        let (done, text) = read(agent.pid());
        assert!(
            !done && text.contains("Permission denied"),
            "{file}: {text}"
        );
        if file == "environ" {
            assert!(read(other.pid()).0, "it can look into other programs");
        }
    }
    let (done, text) = said(as_user("ls").arg(format!("/proc/{}/fd", agent.pid())));
    assert!(!done && text.contains("Permission denied"), "{text}");
    let trace = |pid: u32| said(as_user("timeout").args(["1", "strace", "-p", &pid.to_string()]));
    let (done, text) = trace(agent.pid());
    assert!(!done && text.contains("Operation not permitted"), "{text}");
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    if scope.is_err() || scope.is_ok_and(|scope| scope.trim() == "0") {
        assert!(
            trace(other.pid()).1.contains("attached"),
            "it can trace other programs"
        );
    }
}

/// Whether a program succeeded, and what it said.
fn said(command: &mut Command) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = [stdout, stderr].concat();
    (
        status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn secrets_come_by_private_sockets_and_only_a_pin_goes_out_to_the_card() {
    let card = Card::insert();
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace").display().to_string();
    let mut home = Home::with(&[
        ("PCSCLITE_CSOCK_NAME", &card.pcscd),
        ("TOUCHKEEP_LOG", "trace"),
        ("RUST_LOG", "trace"),
    ]);
    home.kill_agent();
    // A file per thread, so that no line is torn by another's.
    home.start_agent_under(&[
        "strace", "-D", "-ff", "-yy", "-qq", "-s", "9999", "-o", &trace,
    ]);
    let desk = Desk::with_card(home, card);
    desk.work();
    desk.lock();
    assert!(desk.home.log().contains("DEBUG"), "the log is wordy");
    assert_nothing(&search_files(&desk.home.path(""), &desk.canaries));
    let canaries = desk.canaries.clone();
    drop(desk);
    for canary in &canaries {
        let ways = ways_of(canary, folder.path());
        let expected: &[&str] = match canary.name.as_str() {
            "PIN" | "PUK" => &["from ui.sock", "to the card"],
            "token" => &["from a bot", "to agent.sock"],
            _ => &["from agent.sock"],
        };
        assert_eq!(
            ways.iter().map(String::as_str).collect::<Vec<_>>(),
            expected,
            "{}",
            canary.name
        );
    }
}

/// Which ways a secret has taken through system calls.
fn ways_of(canary: &Canary, traces: &Path) -> BTreeSet<String> {
    let to_pcscd = connections_to("pcscd.comm", traces);
    let found = search_files(traces, std::slice::from_ref(canary));
    let ways = found.iter().map(|found| {
        let line = found.line();
        let (call, rest) = line.split_once('(').unwrap();
        let (descriptor, _) = rest.split_once(", ").unwrap();
        let direction = match call {
            "recvfrom" | "read" => "from",
            "sendto" | "write" | "writev" | "sendmsg" => "to",
            _ => return line.clone(),
        };
        let peer = if descriptor.ends_with("/home/run/ui.sock\"]>") {
            "ui.sock"
        } else if descriptor.ends_with("/home/run/agent.sock\"]>") {
            "agent.sock"
        } else if socket_of(descriptor).is_some_and(|socket| to_pcscd.contains(socket)) {
            "the card"
        } else if descriptor.contains("<TCP:[127.0.0.1:") && direction == "from" {
            "a bot"
        } else {
            return line.clone();
        };
        format!("{direction} {peer}")
    });
    ways.collect()
}

/// Our ends of the connections to a socket.
fn connections_to(name: &str, traces: &Path) -> BTreeSet<String> {
    let connected = search_files(traces, &[Canary::text("", name)]);
    let lines = connected
        .iter()
        .map(Found::line)
        .filter(|line| line.starts_with("connect("));
    lines
        .filter_map(|line| socket_of(&line).map(str::to_owned))
        .collect()
}

/// The socket's number in `N<UNIX-STREAM:[number]>` and `N<UNIX-STREAM:[number->peer]>`.
fn socket_of(descriptor: &str) -> Option<&str> {
    let (_, socket) = descriptor.split_once("<UNIX-STREAM:[")?;
    socket.split(['-', ']']).next()
}
