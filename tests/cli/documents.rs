//! What a verb prints for a program: one document, by its published schema, and whole.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use touchkeep_tests::{Home, is_known};

use crate::{desk::Desk, help::verbs_below};

const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

#[test]
fn what_every_verb_prints_is_of_its_schema() {
    let desk = Desk::set();
    let exchange = [
        "--venue",
        "binance",
        "--class",
        "trade",
        "--api-key",
        "vmPUZE6mv9SD5VNH",
    ];
    desk.add("trade", "exchange-key", "secret", &exchange);
    desk.add(
        "openai",
        "api-key",
        "sk-1",
        &[
            "--tag",
            "ai",
            "--field",
            "owner=ada",
            "--rotate-after-days",
            "90",
        ],
    );
    desk.add("login", "otp-seed", SEED, &["--sealed"]);
    desk.add("deploy", "ssh-key", "-----BEGIN\nx\n-----END", &[]);
    desk.run(&["add", "memo", "--kind", "note", "--note", "two\nlines"]);
    desk.run(&["list"]);
    desk.run(&["list", "opn", "--kind", "api-key", "--tag", "ai"]);
    desk.run(&["show", "login"]);
    desk.run_with(
        &[
            "edit",
            "openai",
            "--secret-fd",
            "0",
            "--set",
            "owner=grace",
            "--tag",
            "x",
        ],
        "sk-2",
    );
    desk.run(&["history", "openai"]);
    desk.run(&["history", "openai", "--restore", "1", "--yes"]);
    desk.run(&["edit", "openai", "--forget-old", "--yes"]);
    desk.run(&["rm", "openai", "--yes"]);
    desk.run(&["trash"]);
    desk.run(&["restore", "openai"]);
    desk.run(&["rm", "memo", "--forever", "--yes"]);
    desk.run(&["set-api-key", "trade", "another-api-key"]);
    desk.run(&["env", "list"]);
    desk.run(&["env", "add", "testnet"]);
    desk.run(&["env", "rename", "testnet", "sandbox"]);
    desk.run(&["proxy", "add", "bot"]);
    desk.run(&["proxy", "list"]);
    desk.run(&["proxy", "revoke", "bot"]);
    desk.run(&["policy", "show"]);
    desk.run(&["device", "keys-for", "kraken"]);
    let policy = desk.home.path("policy.toml");
    std::fs::write(&policy, "").unwrap();
    desk.run(&["policy", "check", policy.to_str().unwrap()]);
    desk.run(&["policy", "set", policy.to_str().unwrap()]);
    desk.run(&["policy", "start", "trader", "--print"]);
    desk.run(&["policy", "start", "trader"]);
    let order = ["--symbol", "BTCUSDT", "--side", "buy", "--amount", "1"];
    let explain = [&["policy", "explain", "--kind", "trade"], &order[..]].concat();
    desk.run(&explain);
    desk.run(&["policy", "replay", "--since", "7d"]);
    desk.run(&["remind"]);
    desk.run(&["venue", "list"]);
    desk.run(&["venue", "show", "kraken"]);
    desk.run(&["audit", "list"]);
    desk.run(&["audit", "verify"]);
    desk.run(&["audit", "show", "1"]);
    desk.run(&["audit", "checkpoint"]);
    desk.run(&["grant", "add", "/bin/true", "openai"]);
    let grants = desk.run(&["grant", "list"]);
    for grant in grants.as_array().unwrap() {
        desk.run(&["grant", "revoke", grant["id"].as_str().unwrap()]);
    }
    desk.run(&["arm", "10m"]);
    desk.run(&["arm", "off"]);
    desk.run(&["recover", "list"]);
    desk.run(&["backup", "list"]);
    let mut ask = desk.home.touchkeep();
    let asked = ask
        .args(["grant", "ask", "trade", "--json"])
        .output()
        .unwrap();
    assert!(asked.status.success(), "{asked:?}");
    let said = serde_json::from_slice(&asked.stdout).unwrap();
    desk.home.to_judge("done", &said);
    let older = desk.home.path("v.touchkeep.1").display().to_string();
    desk.run(&["merge", &older]);
    desk.run(&["status"]);
    // It ends with 1 where it finds something.
    let _found = desk.home.cli(&["doctor"]);
    desk.run(&["lock"]);
    desk.run(&["status"]);
    desk.run(&["unlock"]);
    desk.run(&["agent", "stop"]);
}

#[test]
fn there_is_no_verb_of_which_nobody_knows_what_it_prints() {
    let home = Home::new(None);
    let verbs = verbs_below(&home, &[]);
    assert!(verbs.len() > 80, "{verbs:?}");
    let unknown: Vec<_> = verbs.iter().filter(|verb| !is_known(verb)).collect();
    assert!(unknown.is_empty(), "no schema: {unknown:?}");
}

#[test]
fn verbs_whose_output_is_a_text_have_a_document_too() {
    let desk = Desk::set();
    desk.add("openai", "api-key", "sk-1", &[]);
    let folder = desk.home.path("repository");
    std::fs::create_dir(&folder).unwrap();
    let git = Command::new("git")
        .args(["init", "-q"])
        .current_dir(&folder)
        .status();
    assert!(git.unwrap().success());
    for copy in ["ours", "theirs"] {
        std::fs::copy(desk.home.path("v.touchkeep"), folder.join(copy)).unwrap();
    }
    // A person is asked for the value, so that these are not told to ask nobody.
    let document = |args: &[&str], schema: &'static str| -> Value {
        let mut verb = desk.home.touchkeep();
        verb.args(args)
            .arg("--json")
            .current_dir(&folder)
            .stdin(Stdio::null());
        let done = verb.output().unwrap();
        let said = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success(), "{args:?}: {said}");
        // One, and nothing beside it.
        let said = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{args:?}: {said}"));
        desk.home.to_judge(schema, &said);
        said
    };
    let read = document(&["read", "tk://prod/openai/secret"], "read");
    assert_eq!(read["value"], "sk-1");
    document(&["man", "."], "done");
    document(&["git", "install"], "done");
    document(&["git", "merge-driver", "ours", "theirs"], "done");
    let outline = document(&["git", "show", "ours"], "outline");
    assert_eq!(outline["items"][0]["name"], "openai", "{outline}");
    for (verb, file) in [("export", "rows.jsonl"), ("prove", "row.bundle")] {
        let args: &[&str] = match verb {
            "prove" => &["audit", verb, "1", "-o", file],
            _ => &["audit", verb, "-o", file],
        };
        let written = document(args, "written");
        assert_eq!(written["file"], file);
        let lines = std::fs::read_to_string(folder.join(file)).unwrap();
        let rows = lines.lines().filter(|line| line.contains("\"decision\""));
        assert_eq!(json!(rows.count()), written["rows"], "{lines}");
    }
    desk.run(&["lock"]);
    let locked = document(&["git", "show", "ours"], "outline");
    assert_eq!(
        (&locked["locked"], &locked["items"]),
        (&json!(true), &json!([]))
    );
}

#[test]
fn a_list_of_devices_has_what_else_the_vault_knows() {
    let desk = Desk::set();
    let listed = desk.run(&["device", "list"]);
    let known = desk.run(&["status"])["vault"]["devices"].clone();
    let [device] = &known.as_array().unwrap()[..] else {
        panic!("{known}");
    };
    let of_it = |one: &&Value| one["enrolled"] == device["id"];
    let shown = listed.as_array().unwrap().iter().find(of_it).unwrap();
    assert_eq!(
        (&shown["kind"], &shown["connected"], &shown["retired"]),
        (&json!("software"), &json!(false), &json!(false))
    );
}

#[test]
fn a_list_is_whole_however_long() {
    let desk = Desk::set();
    // More than one answer has room for: 3 MiB.
    let (all, long) = (600, "x".repeat(6_000));
    let items = (0..all).map(|n| {
        let login = json!({ "username": "ada", "password": format!("secret-{n}") });
        json!({ "type": 1, "name": format!("{n:03} {long}"), "login": login })
    });
    let export = json!({ "encrypted": false, "folders": [], "items": items.collect::<Vec<_>>() });
    let file = desk.home.path("bitwarden.json");
    std::fs::write(&file, export.to_string()).unwrap();
    desk.run(&["import", file.to_str().unwrap(), "--yes"]);
    let names = |args: &[&str]| {
        let listed = desk.run(&[&["list"], args].concat());
        let names = listed.as_array().unwrap().iter();
        let names = names.map(|item| item["name"].as_str().unwrap()[..3].to_owned());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(names(&[]).len(), all);
    assert_eq!(names(&["-n", "590"]).len(), 590);
    assert_eq!(names(&["-n", "5"]).len(), 5);
    let completed = desk.home.touchkeep().arg("items-for-completion").output();
    let completed = String::from_utf8(completed.unwrap().stdout).unwrap();
    assert_eq!(completed.lines().count(), all);
}

#[test]
fn a_list_of_some_rows_says_of_how_many_and_a_file_of_rows_is_done() {
    let desk = Desk::set();
    desk.add("openai", "api-key", "sk-1", &[]);
    let listed = desk
        .home
        .touchkeep()
        .args(["audit", "list", "--item", "openai"])
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("\n2 of 3 rows, signed up to row 1, 2 not yet"),
        "{listed}"
    );
    let file = desk.home.path("rows.bundle").display().to_string();
    let done = desk.run(&["audit", "export", "--format", "bundle", "-o", &file]);
    assert_eq!(done, json!({ "file": file, "rows": 3 }));
    let again = desk.fails(&["audit", "export", "-o", &file]);
    assert_eq!(
        again,
        (2, "invalid".to_owned()),
        "a file that is there stays"
    );
    let verified = desk
        .home
        .touchkeep()
        .args(["audit", "verify"])
        .output()
        .unwrap();
    let verified = String::from_utf8(verified.stdout).unwrap();
    assert!(
        verified.starts_with("Sound: 3 rows, all signed\n"),
        "{verified}"
    );
}
