//! The real window: driven through WebKit's own driver on a screen of the test's, against a real agent, card and exchange.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    net::TcpListener,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use touchkeep_tests::{Card, Home, PATIENCE, Person, Screen, Venue, binary, http};

const ADDRESS: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";

/// WebKit's driver and the desktop that it starts: one process group, ended as a whole.
struct Driver {
    child: std::process::Child,
    port: u16,
}

impl Driver {
    fn start(home: &Home, screen: &Screen) -> Self {
        Self::start_with(home, screen, &[])
    }

    fn start_with(home: &Home, screen: &Screen, more: &[(&str, &str)]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut command = Command::new("WebKitWebDriver");
        for (name, value) in home.environment() {
            command.env(name, value);
        }
        command
            .arg(format!("--port={port}"))
            .env("TAURI_WEBVIEW_AUTOMATION", "true")
            .env("DISPLAY", &screen.display)
            .env("WEBKIT_DISABLE_DMABUF_RENDERER", "1")
            .env("NO_AT_BRIDGE", "1")
            .env_remove("WAYLAND_DISPLAY")
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let driver = Self {
            child: command.spawn().unwrap(),
            port,
        };
        touchkeep_tests::wait_for("WebKitWebDriver", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        driver
    }

    async fn open(&self) -> Client {
        let mut wanted = serde_json::Map::new();
        wanted.insert(
            "webkitgtk:browserOptions".into(),
            json!({ "binary": binary("touchkeep-desktop"), "args": [] }),
        );
        let connect = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{}", self.port))
            .await;
        connect.unwrap_or_else(|error| panic!("no window: {error}"))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Only the driver would leave the window behind.
        let group = format!("-{}", self.child.id());
        let _gone = Command::new("kill")
            .args(["-KILL", "--", &group])
            .stderr(Stdio::null())
            .status();
        let _gone = self.child.wait();
    }
}

fn id(name: &str) -> String {
    format!("[data-testid={name}]")
}

async fn text(client: &Client, css: &str) -> String {
    let find = async {
        loop {
            if let Ok(found) = client.find(Locator::Css(css)).await
                && let Ok(text) = found.text().await
                && !text.trim().is_empty()
            {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::time::timeout(PATIENCE, find)
        .await
        .unwrap_or_else(|_| panic!("nothing at {css}"))
}

async fn enabled(client: &Client, css: &str) {
    let look = async {
        while !matches!(client.find(Locator::Css(css)).await, Ok(found) if found.is_enabled().await.unwrap_or(false))
        {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look)
        .await
        .unwrap_or_else(|_| panic!("{css} was not enabled"));
}

async fn click(client: &Client, css: &str) {
    let press = async {
        loop {
            if let Ok(found) = client.find(Locator::Css(css)).await
                && found.is_enabled().await.unwrap_or(false)
                && found.click().await.is_ok()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::time::timeout(PATIENCE, press)
        .await
        .unwrap_or_else(|_| panic!("nothing to press at {css}"));
}

/// The window with this title becomes the one that is driven.
async fn switch_to(client: &Client, title: &str) {
    let look = async {
        loop {
            for window in client.windows().await.unwrap_or_default() {
                if client.switch_to_window(window).await.is_ok()
                    && client.title().await.is_ok_and(|t| t == title)
                {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look)
        .await
        .unwrap_or_else(|_| panic!("no window {title:?}"));
}

fn photograph(screen: &Screen, name: &str) {
    if let Some(folder) = std::env::var_os("TOUCHKEEP_PHOTOGRAPHS") {
        // What was asked for is in the page by now; let it be painted.
        std::thread::sleep(Duration::from_millis(400));
        screen.photograph(&std::path::Path::new(&folder).join(format!("{name}.png")));
    }
}

#[test]
fn a_withdrawal_is_read_approved_and_touched_in_the_window_and_stands_in_its_timeline() {
    let (screen, card, venue) = (Screen::on(), Card::insert(), Venue::open());
    let home = Home::new(Some(&card.pcscd));
    let (token, base) = {
        // The set-up is another test's story; here somebody at a terminal has done it.
        let _person = Person::sit_down(&home.paths(), Some(&card.control));
        let _pin = home.json(&["device", "set-pin", &card.serial]);
        let path = home.path("trading.touchkeep").display().to_string();
        let _made = home.json(&[
            "init",
            "--practice",
            "--path",
            &path,
            "--device",
            &format!("piv:{}", card.serial),
        ]);
        let add = |name: &str, class: &str, permissions: &[&str], more: &[&str]| {
            let (api_key, secret) = venue.hmac_key(permissions);
            let args = [
                &[
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
                ],
                more,
            ]
            .concat();
            let _added = home.json_with(&args, &secret);
        };
        add(
            "trade",
            "trade",
            &["read", "trade"],
            &["--rotate-after-days", "90", "--age-days", "83"],
        );
        add(
            "money",
            "move-money",
            &["read", "withdraw"],
            &["--sealed", "--rotate-after-days", "180", "--age-days", "20"],
        );
        add("look", "read", &["read"], &[]);
        let client = home.json(&["proxy", "add", "grid-bot"]);
        (
            client["token"].as_str().unwrap().to_owned(),
            client["base_url"].as_str().unwrap().to_owned(),
        )
    };
    let send = move |path: &str, body: String| {
        let headers = [
            ("x-mbx-apikey", token.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        http(
            &base,
            "POST",
            path,
            &headers,
            &format!("{body}&timestamp=1&signature=0"),
        )
    };
    let (status, _) = send(
        "/api/v3/order",
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.005&price=20000".into(),
    );
    assert_eq!(status, 200, "{}", home.log());

    let driver = Driver::start(&home, &screen);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let window = tokio::time::timeout(PATIENCE, driver.open()).await.unwrap();
        let _ready = text(&window, "body[data-ready=true]").await;
        assert_eq!(
            window
                .find(Locator::Css(&id("vault-state")))
                .await
                .unwrap()
                .attr("data-unlocked")
                .await
                .unwrap()
                .as_deref(),
            Some("true")
        );
        photograph(&screen, "overview");

        let withdrawal = std::thread::spawn(move || {
            send(
                "/sapi/v1/capital/withdraw/apply",
                format!("coin=BTC&network=BTC&address={ADDRESS}&amount=0.5"),
            )
        });
        switch_to(&window, "Touchkeep asks").await;
        let sentence = text(&window, &id("sentence")).await;
        assert!(
            sentence.contains(ADDRESS) && sentence.contains("0.5"),
            "{sentence}"
        );
        assert!(text(&window, &id("client")).await.contains("grid-bot"));
        assert!(
            text(&window, &id("practice"))
                .await
                .to_lowercase()
                .contains("practice")
        );
        let facts = text(&window, &id("facts")).await;
        assert!(facts.contains("that are free there"), "{facts}");
        enabled(&window, &id("approve")).await;
        photograph(&screen, "approval");
        assert!(
            venue.received("/withdraw/apply").is_empty(),
            "shown, and nothing sent"
        );
        click(&window, &id("approve")).await;
        let _why = text(&window, &id("touch")).await;
        photograph(&screen, "touch");
        assert!(
            venue.received("/withdraw/apply").is_empty(),
            "approved, and nothing sent before the touch"
        );
        let touched = card.ask(&json!({ "do": "touch", "wait_ms": 10_000 }));
        assert_eq!(touched["ok"], true, "{touched}");
        let went = text(&window, "[data-testid=outcome][data-went=done]").await;
        assert!(went.contains("The venue did it"), "{went}");
        let (status, answer) = tokio::task::spawn_blocking(|| withdrawal.join().unwrap())
            .await
            .unwrap();
        assert_eq!(status, 200, "{answer}");
        assert_eq!(venue.received("/withdraw/apply")[0]["accepted"], true);

        let closed = async {
            while window
                .windows()
                .await
                .is_ok_and(|windows| windows.len() > 1)
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, closed).await.unwrap();
        switch_to(&window, "Touchkeep").await;
        click(&window, &id("nav-timeline")).await;
        let row = text(&window, "[data-testid=audit-row][data-decision=approved]").await;
        assert!(row.contains("Withdraw 0.5 BTC"), "{row}");
        click(&window, &id("verify")).await;
        assert!(
            text(&window, &id("verdict"))
                .await
                .to_lowercase()
                .contains("sound")
        );
        photograph(&screen, "timeline");
        click(&window, &id("nav-keys")).await;
        assert!(
            text(&window, "[data-testid=key][data-name=money]")
                .await
                .contains("money")
        );
        photograph(&screen, "keys");
        click(&window, &id("nav-reminders")).await;
        assert!(
            text(&window, "[data-testid=reminder][data-name=trade]")
                .await
                .contains("trade")
        );
        photograph(&screen, "reminders");
    });
    let verdict: Value = home.json(&["audit", "verify"]);
    assert_eq!(verdict["sound"], true, "{verdict}");
}

#[test]
fn a_first_use_of_a_value_is_read_and_allowed_in_the_window_for_one_process() {
    let screen = Screen::on();
    let home = Home::new(None);
    {
        let _person = Person::sit_down(&home.paths(), None);
        let path = home.path("v.touchkeep").display().to_string();
        let init = ["init", "--practice", "--work-factor", "10", "--path"];
        let _made = home.json(&[&init[..], &[&path]].concat());
        let add = ["add", "openai", "--kind", "api-key", "--secret-fd", "0"];
        let _added = home.json_with(&add, "canary-value");
    }
    // A script without a terminal: whoever started the command line is who asks.
    let script = |lines: &str| {
        let mut command = Command::new("bash");
        command.args(["-c", lines, "nightly-report"]);
        for (name, value) in home.environment() {
            command.env(name, value);
        }
        command
            .env("TK", binary("touchkeep"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let pid = child.id();
        (
            pid,
            std::thread::spawn(|| child.wait_with_output().unwrap()),
        )
    };
    let driver = Driver::start(&home, &screen);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let window = tokio::time::timeout(PATIENCE, driver.open()).await.unwrap();
        let _ready = text(&window, "body[data-ready=true]").await;
        let (pid, asked) = script(
            "$TK read tk://prod/openai/secret && $TK read tk://prod/openai/secret; echo; exit 0",
        );
        switch_to(&window, "Touchkeep asks").await;
        let sentence = text(&window, &id("sentence")).await;
        assert!(sentence.contains("bash"), "{sentence}");
        assert!(
            text(&window, &id("practice"))
                .await
                .contains("No real keys")
        );
        assert_eq!(text(&window, &id("values")).await, "prod/openai: secret");
        let bash = text(&window, &id("executable")).await;
        assert!(bash.ends_with("/bash"), "{bash}");
        let process = text(&window, &id("process")).await;
        assert!(process.contains(&format!("bash ({pid})")), "{process}");
        assert!(!text(&window, "body").await.contains("canary-value"));
        photograph(&screen, "use");
        click(&window, &id("allow-process")).await;
        let done = tokio::task::spawn_blocking(|| asked.join().unwrap()).await;
        let said = String::from_utf8(done.unwrap().stdout).unwrap();
        assert_eq!(said.matches("canary-value").count(), 2, "{said}");

        // Another process is another client, and a no is a no.
        let (_, asked) = script("exec 2>&1; $TK read tk://prod/openai/secret; true");
        let shown = async {
            while window.windows().await.is_ok_and(|open| open.len() < 2) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, shown).await.unwrap();
        switch_to(&window, "Touchkeep asks").await;
        click(&window, &id("refuse")).await;
        let done = tokio::task::spawn_blocking(|| asked.join().unwrap()).await;
        let said = String::from_utf8(done.unwrap().stdout).unwrap();
        assert!(!said.contains("canary-value"), "{said}");
        assert!(said.contains("refused"), "{said}");
    });
    let rows = home.json(&["audit", "list", "--kind", "secret-revealed"]);
    let decisions: Vec<_> = rows["rows"].as_array().unwrap().iter().collect();
    let decisions: Vec<_> = decisions.iter().map(|row| &row["decision"]).collect();
    assert_eq!(decisions, ["refused", "allowed", "approved"]);
}

// The agent has another vault at first, and the dialog is typed into by a keyboard.
#[test]
fn the_vault_that_a_variable_names_is_unlocked_in_the_window() {
    let screen = Screen::on();
    let home = Home::new(None);
    let path = |name: &str| home.path(name).display().to_string();
    let (meant, other) = (path("meant.touchkeep"), path("other.touchkeep"));
    {
        let _person = Person::sit_down(&home.paths(), None);
        for vault in [&meant, &other] {
            let init = ["init", "--practice", "--work-factor", "10", "--path", vault];
            let _made = home.json(&init);
            let _locked = home.json(&["lock"]);
        }
    }
    let driver = Driver::start_with(&home, &screen, &[("TOUCHKEEP_VAULT", &meant)]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let window = tokio::time::timeout(PATIENCE, driver.open()).await.unwrap();
        let _ready = text(&window, "body[data-ready=true]").await;
        assert!(text(&window, &id("meant")).await.contains(&meant));
        click(&window, &id("unlock-meant")).await;
        screen.type_into("Touchkeep: Passphrase", "not this one");
        let trouble = text(&window, &id("trouble")).await;
        assert!(trouble.contains("passphrase"), "{trouble}");
        screen.until_gone("Touchkeep: Passphrase");

        // It is the agent's now. Escape is a refusal.
        click(&window, &id("unlock")).await;
        screen.focus("Touchkeep: Passphrase");
        screen.press("Escape");
        let refused = async {
            while !text(&window, &id("trouble")).await.contains("refused") {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, refused).await.unwrap();
        screen.until_gone("Touchkeep: Passphrase");

        click(&window, &id("unlock")).await;
        screen.type_into("Touchkeep: Passphrase", "correct horse battery staple");
        let state = text(&window, "[data-testid=vault-state][data-unlocked=true]").await;
        assert!(state.contains("meant.touchkeep"), "{state}");
        assert!(window.find(Locator::Css(&id("meant"))).await.is_err());
    });
    let status = home.json(&["status"]);
    assert_eq!(status["vault"]["path"], Value::from(meant), "{status}");
    assert_eq!(status["unlocked"], true, "{status}");
}

#[test]
fn a_long_question_has_a_dialog_within_the_screen_and_escape_refuses_it() {
    let screen = Screen::on();
    let home = Home::new(None);
    {
        let _person = Person::sit_down(&home.paths(), None);
        let path = home.path("v.touchkeep").display().to_string();
        let init = ["init", "--practice", "--work-factor", "10", "--path", &path];
        let _made = home.json(&init);
    }
    let rule = |n: u32| {
        format!(
            "[[rule]]\nname = \"rule {n}\"\nkinds = [\"trade\"]\nsymbols = [\"COIN{n}USDT\"]\nmax_amount = \"{n}\"\naction = \"allow\"\n"
        )
    };
    let policy = home.path("policy.toml");
    std::fs::write(&policy, (1..=40).map(rule).collect::<String>()).unwrap();
    let driver = Driver::start(&home, &screen);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let window = runtime.block_on(async {
        let window = tokio::time::timeout(PATIENCE, driver.open()).await.unwrap();
        let _ready = text(&window, "body[data-ready=true]").await;
        window
    });
    let refused = std::thread::scope(|scope| {
        let asked = scope.spawn(|| home.cli(&["policy", "set", policy.to_str().unwrap()]));
        let height = screen.height_of("Touchkeep: Passphrase");
        assert!((200..700).contains(&height), "{height}");
        screen.focus("Touchkeep: Passphrase");
        screen.press("Escape");
        asked.join().unwrap()
    });
    let said: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(said["error"]["code"], "refused", "{said}");
    drop(window);
}
