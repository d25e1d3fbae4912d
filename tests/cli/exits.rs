//! Exit codes, and what is said of what was refused: what happened, and what can be typed.

use serde_json::{Value, json};

use crate::desk::Desk;

#[test]
fn each_exit_code_says_what_it_is_for() {
    let desk = Desk::set();
    desk.add("openai", "api-key", "sk-1", &[]);
    // 1: refused. Nobody can be asked, so nobody said yes.
    assert_eq!(desk.fails(&["rm", "openai"]), (1, "refused".into()));
    // 2: usage.
    assert_eq!(
        desk.fails(&["backup", "restore", "9", "--yes"]),
        (2, "not-found".into()),
        "before anybody is asked"
    );
    assert_eq!(
        desk.fails(&["backup", "restore", "9"]),
        (2, "not-found".into()),
        "nor is a word asked for"
    );
    for misused in [
        &["list", "--no-such-flag"][..],
        &["list", "-n", "0"],
        &["add"],
    ] {
        assert_eq!(desk.fails(misused), (2, "invalid".into()), "{misused:?}");
    }
    assert_eq!(desk.fails(&["add", "x"]), (2, "invalid".into()));
    assert_eq!(
        desk.fails(&["add", "x", "--kind", "api-key"]),
        (2, "invalid".into())
    );
    assert_eq!(
        desk.fails(&["add", "x", "--kind", "ssh-key"]),
        (2, "invalid".into())
    );
    assert_eq!(desk.fails(&["edit", "openai"]).0, 2);
    assert_eq!(desk.fails(&["show", "nobody"]), (2, "not-found".into()));
    assert_eq!(
        desk.fails(&["show", "tk://nowhere/openai"]),
        (2, "not-found".into())
    );
    assert_eq!(
        desk.fails(&["show", "tk://prod/open ai"]),
        (2, "invalid".into())
    );
    assert_eq!(desk.fails(&["restore", "openai"]), (2, "not-found".into()));
    assert_eq!(
        desk.fails(&["env", "rename", "prod", " "]),
        (2, "invalid".into())
    );
    assert_eq!(
        desk.fails(&["edit", "openai", "--tag", "two words"]),
        (2, "invalid".into())
    );
    assert_eq!(
        desk.fails(&["proxy", "add", "\u{7}"]),
        (2, "invalid".into())
    );
    assert_eq!(
        desk.fails(&["inject", "-i", "/no/such/file"]),
        (2, "invalid".into())
    );
    assert_eq!(
        desk.fails(&["git", "show", "/no/such/file"]).0,
        1,
        "the operating system"
    );
    assert_eq!(
        desk.fails(&["history", "openai", "--restore", "7", "--yes"]),
        (2, "not-found".into())
    );
    assert_eq!(
        desk.fails(&["edit", "openai", "--set", "secret=x"]),
        (2, "invalid".into())
    );
    // 3: locked.
    desk.run(&["lock"]);
    assert_eq!(desk.fails(&["list"]), (3, "locked".into()));
    // 4: damaged.
    let path = desk.home.path("v.touchkeep");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[700] ^= 1;
    let damaged = desk.home.path("damaged.touchkeep");
    std::fs::write(&damaged, bytes).unwrap();
    assert_eq!(
        desk.fails(&["unlock", damaged.to_str().unwrap()]),
        (4, "damaged".into())
    );
}

#[test]
fn what_is_refused_says_what_there_is_and_what_can_be_typed() {
    let desk = Desk::set();
    let fix = |args: &[&str]| {
        let done = desk.home.cli(args);
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(done.status.code(), Some(2), "{args:?}: {said}");
        said["error"]["fix"].as_str().unwrap().to_owned()
    };
    let none = fix(&["proxy", "add", "bot"]);
    assert!(none.ends_with("--key-set main"), "{none}");
    let key = [
        "add",
        "trade",
        "--venue",
        "binance",
        "--class",
        "trade",
        "--api-key",
        "k",
    ];
    desk.run_with(
        &[&key[..], &["--key-set", "spot 1", "--secret-fd", "0"]].concat(),
        "secret",
    );
    let others = fix(&["proxy", "add", "bot"]);
    assert!(others.contains("There are: spot 1."), "{others}");
    assert_eq!(
        fix(&["edit", "trade", "--unset", "nothing"]),
        "Look at: touchkeep show trade"
    );
    assert!(fix(&["edit", "trade", "--set", "venue=kraken"]).contains("touchkeep add"));
    assert!(
        fix(&["history", "trade", "--restore", "9", "--yes"]).ends_with("touchkeep history ITEM")
    );
    assert!(fix(&["env", "rename", "prod", "prod"]).contains("Nothing was changed"));
    // Before a person is asked whether the value may leave.
    let out = desk.home.path("gone/x").display().to_string();
    fix(&["read", "tk://prod/trade/secret", "--out", &out]);
    fix(&["inject", "-i", "/dev/null", "-o", &out]);
}

#[test]
fn a_vault_that_cannot_be_armed_is_open_and_says_so_once() {
    let desk = Desk::set();
    desk.run(&["lock"]);
    let done = desk.home.cli(&["unlock", "--arm", "8h"]);
    let said: Value = serde_json::from_slice(&done.stdout).expect("one document");
    assert_eq!((done.status.code(), &said["items"]), (Some(2), &json!(0)));
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(why.contains("No key can be armed"), "{why}");
    assert_eq!(desk.run(&["status"])["unlocked"], true);
}

#[test]
fn a_key_for_a_bundle_is_not_passed_over_where_a_log_is_given() {
    let desk = Desk::set();
    desk.run(&["lock"]);
    let data = desk.home.paths().data;
    let mut files = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap());
    let log = files.find(|file| {
        let name = file.file_name().into_string().unwrap();
        name.starts_with("audit-") && name.ends_with(".sqlite")
    });
    let log = log.unwrap().path().display().to_string();
    desk.run(&["audit", "verify", &log]);
    let key = "nobody+00000000+AQAA";
    assert_eq!(
        desk.fails(&["audit", "verify", &log, "--key", key]),
        (2, "invalid".into())
    );
}
