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
    assert_eq!(dunst.displayed(), 0);

    let raised = home.json(&["remind", "--now"]);
    assert_eq!(raised.as_array().unwrap().len(), 1, "{raised}");
    assert_eq!(dunst.displayed(), 1);
    if let Some(folder) = std::env::var_os("TOUCHKEEP_PHOTOGRAPHS") {
        screen.photograph(&std::path::Path::new(&folder).join("reminder.png"));
    }
    let shown = dunst.history();
    assert!(
        shown.contains("grid-trade") && shown.contains("7 days"),
        "{shown}"
    );
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
