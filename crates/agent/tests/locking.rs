//! What locks the vault: a session that says so over a real bus, with logind played by python-dbusmock; idleness; and what
//! armed trade keys may still do then.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{Agent, PATIENCE, Person, Venue, bot, undecided, until, yes};
use touchkeep_client::{CallError, Connection};
use touchkeep_core::Code;
use touchkeep_wire::*;

/// A bus of the test's own, which is the system's and the session's to the agent, with a logind on it.
struct Bus {
    daemon: Child,
    logind: Option<Child>,
    address: String,
}

// Whose session it is not.
const ANOTHER: u32 = 54_321;

impl Bus {
    fn start() -> Self {
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        Self {
            daemon,
            logind: None,
            address: address.trim().to_owned(),
        }
    }

    fn with_logind() -> Self {
        let mut bus = Self::start();
        let logind = Command::new("/usr/bin/python3")
            .args(["-m", "dbusmock", "--system", "--template", "logind"])
            .env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("apt install python3-dbusmock");
        bus.logind = Some(logind);
        let deadline = Instant::now() + PATIENCE;
        while !bus
            .python("bus.get_object('org.freedesktop.login1', '/org/freedesktop/login1')")
            .0
        {
            assert!(
                Instant::now() < deadline,
                "python-dbusmock does not come up"
            );
        }
        let own = rustix::process::geteuid().as_raw();
        bus.does(&format!(
            "mock.AddSession('own', 'seat0', {own}, 'me', True)\nmock.AddSession('other', 'seat0', {ANOTHER}, 'she', True)"
        ));
        bus
    }

    async fn agent(&self, config: &str) -> Agent {
        let env = [
            ("DBUS_SYSTEM_BUS_ADDRESS", self.address.as_str()),
            ("DBUS_SESSION_BUS_ADDRESS", self.address.as_str()),
        ];
        let agent = Agent::start_with(config, &env).await;
        // The delay is asked for last: whoever sees it knows that signals are heard.
        self.until(true).await;
        agent
    }

    // Waits until logind has, or has not, been asked to delay a sleep.
    async fn until(&self, delayed: bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.delayed() != delayed {
            assert!(Instant::now() < deadline, "delayed is not {delayed}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn delayed(&self) -> bool {
        self.python(
            "print([i for i in manager.ListInhibitors() if i[0] == 'sleep' and i[1] == 'Touchkeep' and i[3] == 'delay'])",
        )
        .1
        .contains("Touchkeep")
    }

    fn does(&self, script: &str) {
        let (well, said) = self.python(script);
        assert!(well, "{said}");
    }

    fn signal(&self, path: &str, interface: &str, member: &str, signature: &str, arguments: &str) {
        let on = if path.is_empty() {
            "mock".to_owned()
        } else {
            format!(
                "dbus.Interface(bus.get_object('org.freedesktop.login1', '/org/freedesktop/login1/{path}'), 'org.freedesktop.DBus.Mock')"
            )
        };
        self.does(&format!(
            "{on}.EmitSignal('{interface}', '{member}', '{signature}', {arguments})"
        ));
    }

    fn changed(&self, session: &str, property: &str, value: &str) {
        self.signal(
            &format!("session/{session}"),
            "org.freedesktop.DBus.Properties",
            "PropertiesChanged",
            "sa{sv}as",
            &format!("['org.freedesktop.login1.Session', dbus.Dictionary({{'{property}': {value}}}, signature='sv'), dbus.Array([], signature='s')]"),
        );
    }

    fn screen_saver(&self, interface: &str) {
        self.does(&format!(
            "import dbus.lowlevel\nm = dbus.lowlevel.SignalMessage('/ScreenSaver', '{interface}', 'ActiveChanged')\nm.append(True, signature='b')\nbus.send_message(m)\nbus.flush()"
        ));
    }

    fn python(&self, script: &str) -> (bool, String) {
        let script = format!(
            "import dbus\nbus = dbus.SystemBus()\n\
             def at(name): return dbus.Interface(bus.get_object('org.freedesktop.login1', '/org/freedesktop/login1'), name)\n\
             if bus.name_has_owner('org.freedesktop.login1'):\n  mock = at('org.freedesktop.DBus.Mock')\n  manager = at('org.freedesktop.login1.Manager')\n{script}\n"
        );
        let output = Command::new("/usr/bin/python3")
            .args(["-c", &script])
            .env("DBUS_SYSTEM_BUS_ADDRESS", &self.address)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        for child in self.logind.iter_mut().chain([&mut self.daemon]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn open_vault(agent: &Agent) -> (Connection, Person) {
    let client = agent.client().await;
    let person = Person::new(agent, yes).await;
    client
        .call(CreateVault {
            path: agent.home.path().join("v.touchkeep").display().to_string(),
            user: "me".into(),
            environment: "prod".into(),
            practice: true,
            device: NewDevice::Software { work_factor: 1 },
        })
        .await
        .unwrap();
    (client, person)
}

async fn is_open(client: &Connection) -> bool {
    client.call(GetStatus {}).await.unwrap().unlocked
}

async fn locked(client: &Connection) {
    let deadline = Instant::now() + PATIENCE;
    while is_open(client).await {
        assert!(Instant::now() < deadline, "it is not locked");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

// Why it was locked, as the log says it.
async fn why(client: &Connection) -> String {
    client
        .call(UnlockVault {
            path: None,
            device: None,
        })
        .await
        .unwrap();
    let call = ListAudit {
        before: None,
        limit: 1,
        filter: AuditFilter {
            kinds: vec!["locked".into()],
            ..Default::default()
        },
    };
    client.call(call).await.unwrap().rows[0]
        .what
        .clone()
        .unwrap()
}

#[tokio::test]
async fn before_the_machine_sleeps_the_keys_are_wiped() {
    let bus = Bus::with_logind();
    let agent = bus.agent("").await;
    let (client, _person) = open_vault(&agent).await;
    assert!(client.call(GetStatus {}).await.unwrap().note.is_none());
    bus.signal(
        "",
        "org.freedesktop.login1.Manager",
        "PrepareForSleep",
        "b",
        "[True]",
    );
    bus.until(false).await;
    // It let the machine sleep, so it has locked.
    assert!(!is_open(&client).await);
    // And the next sleep is delayed again.
    bus.signal(
        "",
        "org.freedesktop.login1.Manager",
        "PrepareForSleep",
        "b",
        "[False]",
    );
    bus.until(true).await;
    assert_eq!(why(&client).await, "The machine went to sleep.");
}

#[tokio::test]
async fn a_lock_of_our_session_locks_and_one_of_another_users_does_not() {
    let bus = Bus::with_logind();
    let agent = bus.agent("").await;
    let (client, _person) = open_vault(&agent).await;
    // Another user's are first, so that they would be what the log names.
    bus.changed("other", "Active", "False");
    bus.signal(
        "session/other",
        "org.freedesktop.login1.Session",
        "Lock",
        "",
        "[]",
    );
    bus.changed("own", "IdleHint", "True");
    bus.changed("own", "Active", "True");
    bus.changed("own", "Active", "False");
    locked(&client).await;
    assert_eq!(why(&client).await, "Another user took the seat.");
    bus.signal(
        "session/own",
        "org.freedesktop.login1.Session",
        "Lock",
        "",
        "[]",
    );
    locked(&client).await;
    assert_eq!(why(&client).await, "The screen was locked.");
    bus.changed("own", "LockedHint", "True");
    locked(&client).await;
    assert_eq!(why(&client).await, "The screen was locked.");
}

#[tokio::test]
async fn a_screen_saver_locks_unless_that_is_switched_off() {
    let bus = Bus::with_logind();
    let agent = bus.agent("").await;
    let (client, _person) = open_vault(&agent).await;
    for desktop in ["freedesktop", "gnome", "cinnamon", "mate", "xfce"] {
        bus.screen_saver(&format!("org.{desktop}.ScreenSaver"));
        locked(&client).await;
        assert_eq!(why(&client).await, "The screen was locked.");
    }
    drop((client, agent));
    bus.until(false).await;
    let agent = bus.agent("[lock]\nscreen = false\n").await;
    let (client, _person) = open_vault(&agent).await;
    bus.screen_saver("org.gnome.ScreenSaver");
    bus.changed("own", "LockedHint", "True");
    bus.changed("own", "Active", "False");
    locked(&client).await;
    assert_eq!(why(&client).await, "Another user took the seat.");
}

#[tokio::test]
async fn without_a_bus_it_is_said_and_idleness_still_locks() {
    let agent = Agent::start_with("idle_lock_seconds = 2\n", &[]).await;
    let (client, _person) = open_vault(&agent).await;
    let deadline = Instant::now() + PATIENCE;
    let note = loop {
        if let Some(note) = client.call(GetStatus {}).await.unwrap().note
            && note.contains("screen locks")
            && note.contains("sleep")
        {
            break note;
        }
        assert!(Instant::now() < deadline, "nothing is said");
    };
    assert!(note.contains("no D-Bus"), "{note}");
    let found = client.call(Diagnose {}).await.unwrap().findings;
    assert!(
        found
            .iter()
            .any(|finding| finding.id == "agent.session" && finding.level == Level::Note),
        "{found:?}"
    );
    locked(&client).await;
    assert_eq!(why(&client).await, "Nobody used it for long.");
    let said = agent.log();
    assert_eq!(
        said.matches("no D-Bus is heard").count(),
        2,
        "once for each bus: {said}"
    );
}

#[tokio::test]
async fn a_window_that_shows_what_changes_keeps_no_vault_open() {
    let agent = Agent::start_with("idle_lock_seconds = 2\n", &[]).await;
    let (client, _person) = open_vault(&agent).await;
    let used_until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < used_until {
        let filter = ItemFilter::default();
        let call = FindItems {
            filter,
            after: None,
        };
        client.call(call).await.expect("it is used");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // As the desktop does at each news.
    let (window, _) = agent.front_end().await.split();
    let deadline = Instant::now() + PATIENCE;
    while is_open(&client).await {
        assert!(Instant::now() < deadline, "it is not locked");
        let _locked = window.call(ListItems {}).await;
        let _locked = window.call(ListReminders {}).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(why(&client).await, "Nobody used it for long.");
}

const SECRET: &str = "canary-trade-secret-0123456789";
const POLICY: &str = r#"
[[rule]]
name = "small orders"
kinds = ["trade", "cancel"]
symbols = ["BTCUSDT"]
max_amount = "1"
action = "allow"

[[rule]]
name = "money by hand"
kinds = ["withdraw", "transfer"]
action = "touch"
"#;
const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.5&price=100&timestamp=1&signature=dummy";
const WITHDRAW: &str =
    "coin=BTC&address=bc1qcanaryaddress&amount=0.5&network=BTC&timestamp=1&signature=dummy";

#[derive(Clone)]
struct Bot {
    base: String,
    token: String,
}

impl Bot {
    async fn order(&self) -> u16 {
        bot(&self.base, &self.token, "POST", "/api/v3/order", ORDER)
            .await
            .0
    }

    async fn order_of(&self, amount: &str) -> (u16, String) {
        let body = ORDER.replace("quantity=0.5", &format!("quantity={amount}"));
        bot(&self.base, &self.token, "POST", "/api/v3/order", &body).await
    }

    async fn withdraw(&self) -> u16 {
        bot(
            &self.base,
            &self.token,
            "POST",
            "/sapi/v1/capital/withdraw/apply",
            WITHDRAW,
        )
        .await
        .0
    }
}

async fn trading(client: &Connection, venue: &Venue) -> Bot {
    for class in ["trade", "move-money"] {
        client
            .call(
                AddItem::new("exchange-key", class)
                    .field("venue", "binance")
                    .field("key-set", "main")
                    .field("class", class)
                    .field("api-key", format!("{class}-api-key-0123456789"))
                    .field("base-url", &venue.url)
                    .secret(
                        "secret",
                        NewSecret::Stored {
                            value: SecretText::new(SECRET.into()),
                        },
                    ),
            )
            .await
            .unwrap();
    }
    client
        .call(SetPolicy {
            text: POLICY.into(),
        })
        .await
        .unwrap();
    let added = client
        .call(AddClient::unbound("grid-bot", "main"))
        .await
        .unwrap();
    Bot {
        base: added.base_url(),
        token: added.token.into_inner(),
    }
}

// The keys are taken out once the vault is locked.
async fn still_armed(client: &Connection) -> Status {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = client.call(GetStatus {}).await.unwrap();
        if status.armed.is_some() || Instant::now() > deadline {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn armed_trade_keys_outlive_the_screen_and_nothing_else_does() {
    let bus = Bus::with_logind();
    let agent = bus.agent("").await;
    let (client, person) = open_vault(&agent).await;
    let venue = Venue::start(SECRET, true).await;
    let grid = trading(&client, &venue).await;
    let before = person.passphrases();
    let armed = client.call(ArmTradeKeys { seconds: 600 }).await.unwrap();
    assert_eq!(armed.items, ["trade"], "the key that moves money is not");
    assert_eq!(person.passphrases(), before + 1, "it costs the passphrase");
    bus.screen_saver("org.freedesktop.ScreenSaver");
    locked(&client).await;
    let status = still_armed(&client).await;
    assert!(
        status.armed.is_some_and(|left| (500..=600).contains(&left)),
        "{status:?}"
    );
    // The bot goes on, by the same rules, signed and recorded.
    assert_eq!(grid.order().await, 200);
    assert!(venue.got().last().unwrap().signed);
    let got = venue.got().len();
    // Whatever needs a hand finds it locked, before anybody is asked.
    let asked = person.seen.lock().unwrap().len();
    assert_eq!(grid.withdraw().await, 503);
    assert_eq!(person.seen.lock().unwrap().len(), asked);
    assert_eq!(venue.got().len(), got);
    for refused in [
        client.call(ListItems {}).await.err(),
        client.call(ListGrants {}).await.err(),
        client.call(ArmTradeKeys { seconds: 600 }).await.err(),
    ] {
        assert!(
            matches!(refused, Some(CallError::Failed(failure)) if failure.code == Code::Locked)
        );
    }
    // Another unlock and lock later they are armed still, and sums go on.
    client
        .call(UnlockVault {
            path: None,
            device: None,
        })
        .await
        .unwrap();
    assert_eq!(grid.order().await, 200);
    client.call(LockVault {}).await.unwrap();
    assert_eq!(grid.order().await, 200);
    client.call(LockAll {}).await.unwrap();
    assert_eq!(grid.order().await, 503);
    assert!(client.call(GetStatus {}).await.unwrap().armed.is_none());
    client
        .call(UnlockVault {
            path: None,
            device: None,
        })
        .await
        .unwrap();
    assert!(client.call(GetStatus {}).await.unwrap().armed.is_none());
    let kinds = vec!["armed".into(), "disarmed".into(), "outcome".into()];
    let rows = client
        .call(ListAudit {
            before: None,
            limit: 50,
            filter: AuditFilter {
                kinds,
                ..Default::default()
            },
        })
        .await
        .unwrap()
        .rows;
    let kinds: Vec<_> = rows.iter().rev().map(|row| row.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["armed", "outcome", "outcome", "outcome", "disarmed"]
    );
    assert!(client.call(VerifyAudit { file: None }).await.unwrap().sound);
}

#[tokio::test]
async fn sleep_a_user_switch_and_the_end_of_their_time_end_armed_keys() {
    let bus = Bus::with_logind();
    let agent = bus.agent("").await;
    let (client, _person) = open_vault(&agent).await;
    let venue = Venue::start(SECRET, true).await;
    let grid = trading(&client, &venue).await;
    client.call(ArmTradeKeys { seconds: 600 }).await.unwrap();
    bus.signal(
        "",
        "org.freedesktop.login1.Manager",
        "PrepareForSleep",
        "b",
        "[True]",
    );
    bus.until(false).await;
    assert_eq!(grid.order().await, 503);
    let unlock = async || {
        client
            .call(UnlockVault {
                path: None,
                device: None,
            })
            .await
            .unwrap()
    };
    unlock().await;
    client.call(ArmTradeKeys { seconds: 600 }).await.unwrap();
    bus.changed("own", "Active", "False");
    locked(&client).await;
    assert_eq!(grid.order().await, 503);
    assert!(client.call(GetStatus {}).await.unwrap().armed.is_none());
    assert_eq!(why(&client).await, "Another user took the seat.");
    client.call(ArmTradeKeys { seconds: 3 }).await.unwrap();
    let until = Instant::now() + Duration::from_secs(3);
    client.call(LockVault {}).await.unwrap();
    assert_eq!(grid.order().await, 200);
    tokio::time::sleep_until(until.into()).await;
    assert_eq!(grid.order().await, 503);
    assert!(client.call(GetStatus {}).await.unwrap().armed.is_none());
    unlock().await;
    let call = ArmTradeKeys {
        seconds: 4 * 24 * 60 * 60,
    };
    let long = client.call(call).await;
    assert!(matches!(long, Err(CallError::Failed(failure)) if failure.code == Code::Invalid));
}

const BY_HAND: &str = r#"
[[rule]]
name = "a little each hour"
kinds = ["trade"]
symbols = ["BTCUSDT"]
window_amount = "5"
window_hours = 1
action = "allow"

[[rule]]
name = "more by hand"
kinds = ["trade"]
action = "approve"
"#;

// An order that waits for a person, and the question about it.
async fn waiting_order(
    grid: &Bot,
    client: &Connection,
    amount: &'static str,
) -> (tokio::task::JoinHandle<(u16, String)>, Prompt) {
    let known: Vec<_> = waiting(client).await.iter().map(|one| one.id).collect();
    let order = tokio::spawn({
        let grid = grid.clone();
        async move { grid.order_of(amount).await }
    });
    let deadline = Instant::now() + PATIENCE;
    loop {
        let prompts = waiting(client).await;
        if let Some(new) = prompts.into_iter().find(|one| !known.contains(&one.id)) {
            return (order, new);
        }
        assert!(Instant::now() < deadline, "nobody is asked");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn waiting(client: &Connection) -> Vec<Prompt> {
    client.call(ListPrompts {}).await.unwrap()
}

// Says yes to a question that should be over.
async fn yes_too_late(agent: &Agent, prompt: &Prompt) {
    let Question::Approval(approval) = &prompt.question else {
        panic!("{prompt:?}");
    };
    let answer = AnswerPrompt {
        prompt: prompt.id,
        answer: Answer::Approve {
            digest: approval.digest.clone(),
        },
    };
    let (desk, _) = agent.front_end().await.split();
    let late = desk.call(answer).await;
    assert!(
        matches!(&late, Err(CallError::Failed(failure)) if failure.code == Code::NotFound),
        "{late:?}"
    );
}

async fn refusals(client: &Connection) -> Vec<String> {
    let filter = AuditFilter {
        kinds: vec!["request-refused".into()],
        ..Default::default()
    };
    let call = ListAudit {
        before: None,
        limit: 50,
        filter,
    };
    let rows = client.call(call).await.unwrap().rows;
    rows.into_iter().map(|row| format!("{row:?}")).collect()
}

struct ByHand {
    agent: Agent,
    client: Connection,
    person: Person,
    venue: Venue,
    grid: Bot,
}

// Trade keys are armed, and some orders wait for somebody who thinks about it.
async fn by_hand() -> ByHand {
    let agent = Agent::start().await;
    let client = agent.client().await;
    let (_, owner) = open_vault(&agent).await;
    let venue = Venue::start(SECRET, true).await;
    let grid = trading(&client, &venue).await;
    let text = BY_HAND.into();
    client.call(SetPolicy { text }).await.unwrap();
    client.call(ArmTradeKeys { seconds: 600 }).await.unwrap();
    drop(owner);
    let person = Person::new(&agent, undecided).await;
    ByHand {
        agent,
        client,
        person,
        venue,
        grid,
    }
}

async fn unlock(client: &Connection) {
    let call = UnlockVault {
        path: None,
        device: None,
    };
    client.call(call).await.unwrap();
}

#[tokio::test]
async fn a_request_that_waits_ends_with_a_lock_of_everything() {
    let ByHand {
        agent,
        client,
        person,
        venue,
        grid,
    } = by_hand().await;
    client.call(LockVault {}).await.unwrap();
    still_armed(&client).await;
    let (order, prompt) = waiting_order(&grid, &client, "6").await;
    // What does not end armed keys leaves it.
    client.call(LockVault {}).await.unwrap();
    assert_eq!(waiting(&client).await.len(), 1);
    client.call(LockAll {}).await.unwrap();
    let (status, words) = order.await.unwrap();
    assert_eq!(status, 503);
    assert!(
        words.contains("locked or opened anew while it waited"),
        "{words}"
    );
    yes_too_late(&agent, &prompt).await;
    assert!(venue.got().is_empty(), "{:?}", venue.got());
    // Whoever watches hears of it a moment later.
    let outcome = || {
        person
            .closed
            .lock()
            .unwrap()
            .last()
            .map(|it| it.outcome.clone())
    };
    until(async || outcome().is_some()).await;
    assert_eq!(outcome().unwrap(), "locked");
    unlock(&client).await;
    let refused = refusals(&client).await;
    assert_eq!(refused.len(), 1, "{refused:?}");
    // Nobody failed to answer: the next one is put to somebody.
    drop(person);
    let _person = Person::new(&agent, yes).await;
    assert_eq!(grid.order_of("6").await.0, 200);
}

#[tokio::test]
async fn a_request_that_waits_for_the_open_vault_ends_with_its_lock() {
    let ByHand {
        agent,
        client,
        person: _person,
        venue,
        grid,
    } = by_hand().await;
    let (order, prompt) = waiting_order(&grid, &client, "6").await;
    client.call(LockVault {}).await.unwrap();
    assert_eq!(order.await.unwrap().0, 503);
    yes_too_late(&agent, &prompt).await;
    still_armed(&client).await;
    // With armed keys it is asked anew.
    let (order, _) = waiting_order(&grid, &client, "6").await;
    let arm = ArmTradeKeys { seconds: 0 };
    client.call(arm).await.unwrap();
    assert_eq!(order.await.unwrap().0, 503);
    assert!(venue.got().is_empty(), "{:?}", venue.got());
    unlock(&client).await;
    assert_eq!(refusals(&client).await.len(), 2);
}

#[tokio::test]
async fn a_request_that_waits_ends_with_the_time_of_its_key() {
    let ByHand {
        agent,
        client,
        person: _person,
        venue,
        grid,
    } = by_hand().await;
    client.call(ArmTradeKeys { seconds: 3 }).await.unwrap();
    client.call(LockVault {}).await.unwrap();
    still_armed(&client).await;
    let (order, prompt) = waiting_order(&grid, &client, "6").await;
    assert_eq!(order.await.unwrap().0, 503);
    yes_too_late(&agent, &prompt).await;
    assert!(venue.got().is_empty(), "{:?}", venue.got());
}

#[tokio::test]
async fn what_waits_at_an_unlock_is_in_no_window_and_is_not_signed() {
    let ByHand {
        agent,
        client,
        person: _person,
        venue,
        grid,
    } = by_hand().await;
    client.call(LockVault {}).await.unwrap();
    still_armed(&client).await;
    assert_eq!(grid.order_of("1").await.0, 200);
    let (order, prompt) = waiting_order(&grid, &client, "5").await;
    unlock(&client).await;
    let (status, words) = order.await.unwrap();
    assert_eq!(status, 503);
    assert!(words.contains("opened anew"), "{words}");
    yes_too_late(&agent, &prompt).await;
    // One of five was let go before, four more are within the hour's sum, and the next is not.
    assert_eq!(grid.order_of("4").await.0, 200);
    let (order, _) = waiting_order(&grid, &client, "0.1").await;
    assert_eq!(venue.got().len(), 2);
    order.abort();
}
