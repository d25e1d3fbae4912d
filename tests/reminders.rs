//! A rotation reminder, seen on a real notification daemon.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use touchkeep_tests::{Bus, Dunst, Home, Person, Screen};

#[test]
fn a_key_that_is_due_in_a_week_pops_up_once() {
    let (screen, bus) = (Screen::on(), Bus::start());
    let dunst = Dunst::start(&screen, &bus);
    let home = Home::with(&[("DBUS_SESSION_BUS_ADDRESS", &bus.address)]);
    let _person = Person::sit_down(&home.paths(), None);
    let path = home.path("v.touchkeep").display().to_string();
    let _made = home.json(&["init", "--practice", "--work-factor", "10", "--path", &path]);
    let add = |name: &str, class: &str, age: &str, rule: &str| {
        home.json_with(
            &[
                "add",
                name,
                "--venue",
                "binance",
                "--class",
                class,
                "--api-key",
                "k",
                "--age-days",
                age,
                "--rotate-after-days",
                rule,
                "--secret-fd",
                "0",
            ],
            "hidden-from-notifications",
        )
    };
    let _due = add("grid-trade", "trade", "83", "90");
    let _young = add("fresh", "read", "1", "90");
    let _raised = home.json(&["remind", "--now"]);
    assert_eq!(dunst.displayed(), 1);
    if let Some(folder) = std::env::var_os("TOUCHKEEP_PHOTOGRAPHS") {
        screen.photograph(&std::path::Path::new(&folder).join("reminder.png"));
    }
    let shown = dunst.history();
    assert_eq!(titled(&shown, "Rotate grid-trade in 7 days"), 1, "{shown}");
    assert!(
        !shown.contains("fresh") && !shown.contains("hidden-from-notifications"),
        "{shown}"
    );

    let again = home.json(&["remind", "--now"]);
    assert_eq!(
        again.as_array().unwrap().len(),
        0,
        "each stage is said once: {again}"
    );
}

#[test]
fn a_key_that_ends_is_said_in_time_and_once() {
    let (screen, bus) = (Screen::on(), Bus::start());
    let dunst = Dunst::start(&screen, &bus);
    let home = Home::with(&[("DBUS_SESSION_BUS_ADDRESS", &bus.address)]);
    let _person = Person::sit_down(&home.paths(), None);
    let path = home.path("v.touchkeep").display().to_string();
    let _made = home.json(&["init", "--practice", "--work-factor", "10", "--path", &path]);
    // Days as GNU date counts them; each begins at midnight, so that the one in 12 days is 11 days and some hours away.
    for (name, when) in [
        ("soon", "12 days"),
        ("later", "60 days"),
        ("over", "-3 days"),
    ] {
        let day = day(when);
        let expires = format!("expires={day}");
        let add = [
            "add",
            name,
            "--kind",
            "api-key",
            "--secret-fd",
            "0",
            "--field",
            &expires,
        ];
        let _added = home.json_with(&add, "hidden-from-notifications");
    }
    let listed = lines(&home, &["list"]);
    for (name, said) in [
        ("soon", "expires in 12 d"),
        ("later", "expires in 60 d"),
        ("over", "expired 3 d ago"),
    ] {
        let line = listed.iter().find(|line| line.starts_with(name));
        assert!(line.unwrap().ends_with(said), "{listed:#?}");
    }
    let shown = lines(&home, &["show", "soon"]).join("\n");
    let wanted = format!("{}T00:00:00Z, in 12 d", day("12 days"));
    assert!(shown.contains(&wanted), "{shown}");

    // Two ways to see at once that one is over.
    let _late = home.json_with(
        &[
            "add",
            "old",
            "--kind",
            "api-key",
            "--secret-fd",
            "0",
            "--age-days",
            "91",
            "--rotate-after-days",
            "90",
        ],
        "x",
    );
    let status = home.json(&["status"]);
    assert_eq!(
        status["late"],
        serde_json::json!({"expired": 1, "overdue": 1})
    );
    let late = "1 key has expired, 1 key is older than its rule says.";
    let shown = lines(&home, &["status"]).join("\n");
    assert!(
        shown.contains(&format!("late   {late} Which: touchkeep remind")),
        "{shown}"
    );
    let doctor = home.cli(&["doctor"]);
    let doctor: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let findings = doctor.get("findings").unwrap().as_array().unwrap();
    let found = findings
        .iter()
        .find(|finding| finding["id"] == "vault.keys")
        .unwrap();
    assert_eq!(
        (found["level"].as_str(), found["what"].as_str()),
        (Some("warning"), Some(late))
    );
    let _gone = home.json(&["rm", "old", "--yes"]);
    let status = home.json(&["status"]);
    assert_eq!(
        status["late"],
        serde_json::json!({"expired": 1, "overdue": 0})
    );

    let _raised = home.json(&["remind", "--now"]);
    let said = dunst.history();
    for words in ["soon expires in 12 days", "over expired 3 days ago"] {
        assert_eq!(titled(&said, words), 1, "{words}: {said}");
    }
    assert!(
        !said.contains("later") && !said.contains("hidden-from-notifications"),
        "{said}"
    );
    let again = home.json(&["remind", "--now"]);
    assert_eq!(again.as_array().unwrap().len(), 0, "{again}");

    // A new day, and it is said when that comes near.
    let moved = format!("expires={}", day("6 days"));
    let _moved = home.json(&["edit", "later", "--set", &moved]);
    let _raised = home.json(&["remind", "--now"]);
    let said = dunst.history();
    assert_eq!(titled(&said, "later expires in 6 days"), 1, "{said}");
}

// How many notifications have this title. The agent looks by itself after an unlock, perhaps while a test adds its keys: so it
// is counted what was said, and not by which look.
fn titled(history: &str, title: &str) -> usize {
    history.matches(&format!("{title:?}")).count()
}

fn day(when: &str) -> String {
    let said = std::process::Command::new("date")
        .args(["-u", "-d", when, "+%F"])
        .output();
    let said = String::from_utf8(said.unwrap().stdout).unwrap();
    said.trim().to_owned()
}

// As a person reads it, without the blanks at the ends of lines.
fn lines(home: &Home, args: &[&str]) -> Vec<String> {
    let done = home.touchkeep().args(args).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}
