//! What is shown to whoever is to decide, and of how it went.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use touchkeep_tests::{Bus, Dunst, Home, Screen, wait_for};

use crate::{
    desk::{ADDRESS, Desk, POLICY},
    terminal::Terminal,
};

// A program of the bot's that is named to do harm to whoever reads the name.
fn hostile_program(desk: &Desk) -> PathBuf {
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
fn whoever_waits_for_requests_hears_that_the_agent_has_gone() {
    let mut desk = Desk::with_a_passphrase("");
    drop(desk.person.take());
    let mut terminal = Terminal::open(&desk.home, 80);
    desk.home.kill_agent();
    terminal.until("the agent went away");
    assert_eq!(terminal.ends_with(), Some(1));
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

#[test]
fn how_full_the_windows_are_is_seen_at_a_glance() {
    let desk = Desk::with_a_passphrase("");
    let policy = desk.home.path("policy.toml");
    let window = "action = \"allow\"\nsymbols = [\"BTCUSDT\"]\nwindow_amount = \"0.01\"\nwindow_hours = 24\nrequests_per_minute = 9";
    let text = POLICY.replace("action = \"approve\"", window);
    std::fs::write(&policy, text).unwrap();
    let _policy = desk.home.json(&["policy", "set", policy.to_str().unwrap()]);
    let limits = || {
        let mut limits = desk.home.touchkeep();
        let done = limits.args(["policy", "limits"]).output().unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    let empty = limits();
    assert!(
        empty.contains("0.01 in 24 h") && empty.contains("░░░░░░░░░░ 0 % (0)"),
        "{empty}"
    );
    for quantity in ["0.004", "0.003"] {
        assert_eq!(desk.order(&format!("quantity={quantity}")), 200);
    }
    let shown = limits();
    assert!(
        shown.contains("0.01 of BTCUSDT in 24 h") && shown.contains("███████░░░ 70 % (0.007)"),
        "{shown}"
    );
    assert!(
        shown.contains("grid-bot, main at binance") && shown.contains("in 24 h"),
        "{shown}"
    );
    let said = desk.home.json(&["policy", "limits"]);
    let window = &said["windows"][0];
    assert_eq!(
        [
            &window["rule"],
            &window["of"],
            &window["so_far"],
            &window["percent"]
        ],
        [
            &json!("orders"),
            &json!("BTCUSDT"),
            &json!("0.007"),
            &json!(70)
        ]
    );
    // A rule looks back at as much as it says.
    assert_eq!(desk.order("quantity=0.003"), 200);
    assert_eq!(
        desk.home.json(&["policy", "limits"])["windows"][0]["percent"],
        100
    );
    let _locked = desk.home.json(&["lock"]);
    assert_ne!(desk.home.cli(&["policy", "limits"]).status.code(), Some(0));
}
