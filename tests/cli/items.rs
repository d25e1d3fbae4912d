//! Items from their adding to their end: what a field and a name may be, what is shown of a secret, what the trash gives back.

use std::process::Command;

use serde_json::{Value, json};

use crate::desk::{Desk, with_stdin};

#[test]
fn an_item_keeps_no_secret_in_what_is_shown_of_it() {
    let desk = Desk::set();
    // Two descriptors: the secret and a further one.
    let files = [
        ("secret", "chief-canary\n"),
        ("passphrase", "further-canary"),
    ];
    for (name, text) in files {
        std::fs::write(desk.home.path(name), text).unwrap();
    }
    let shell = "exec \"$@\" --secret-fd 3 --field-fd passphrase=4 3<\"$SECRET\" 4<\"$PASSPHRASE\"";
    let cli = desk.home.touchkeep();
    let done = Command::new("bash")
        .args(["-c", shell, "bash"])
        .arg(cli.get_program())
        .args([
            "add",
            "okx",
            "--kind",
            "api-key",
            "--json",
            "--no-interaction",
        ])
        .envs(desk.home.environment())
        .env("SECRET", desk.home.path("secret"))
        .env("PASSPHRASE", desk.home.path("passphrase"))
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let shown = desk.run(&["show", "okx"]);
    let names: Vec<_> = shown["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].clone())
        .collect();
    assert_eq!(names, ["secret", "passphrase"]);
    desk.run_with(&["edit", "okx", "--secret-fd", "0"], "second-canary");
    let history = desk.run(&["history", "okx"]);
    assert_eq!(history[0]["changed"], json!(["secret"]));
    assert_eq!(
        (&history[0]["is_current"], &history[1]["is_kept"]),
        (&json!(true), &json!(true))
    );
    desk.run(&["history", "okx", "--restore", "1", "--yes"]);
    desk.run(&["audit", "list"]);
    let human = desk
        .home
        .touchkeep()
        .args(["show", "okx"])
        .output()
        .unwrap();
    let human = String::from_utf8(human.stdout).unwrap();
    assert!(
        human.contains("••••••••") && human.contains("passphrase"),
        "{human}"
    );
    let all = format!("{human}{}{}", desk.home.printed(), desk.home.log());
    assert!(!all.contains("canary"), "{all}");
    // Trash: not found by name, not listed, back with everything.
    desk.run(&["rm", "okx", "--yes"]);
    assert_eq!(desk.run(&["list"]), json!([]));
    desk.run(&["restore", "okx"]);
    assert_eq!(desk.run(&["show", "okx"])["version"], 5);
}

#[test]
fn a_field_that_means_something_is_stored_in_one_form_or_refused_with_the_form() {
    let desk = Desk::set();
    let given = [
        (
            "expires",
            "2027-01-31T18:00:00+01:00",
            "2027-01-31T17:00:00Z",
        ),
        (
            "ips",
            "203.0.113.7,2001:DB8::/32",
            "203.0.113.7 2001:db8::/32",
        ),
        ("permissions", "spot-trade, read", "spot-trade read"),
        ("rotation-class", "Guided", "guided"),
        ("data-reach", "account", "account"),
        (
            "url",
            "https://API.example.com/v1",
            "https://api.example.com/v1",
        ),
        ("owner", "Ada Lovelace", "Ada Lovelace"),
    ];
    let pairs: Vec<String> = given
        .iter()
        .map(|(name, value, _)| format!("{name}={value}"))
        .collect();
    let args: Vec<&str> = pairs.iter().flat_map(|pair| ["--field", pair]).collect();
    desk.add("rpc", "api-key", "s3cret", &args);
    let shown = desk.run(&["show", "rpc"]);
    let fields = shown["fields"].as_array().unwrap();
    for (name, _, stored) in given {
        let field = fields.iter().find(|field| field["name"] == name);
        assert_eq!(field.unwrap()["value"], stored, "{name}");
    }
    // `date -u -d 2027-01-31T17:00:00Z +%s`
    assert_eq!(shown["summary"]["expires"], 1_801_414_800_000_u64);

    for (wrong, form) in [
        ("expires=next year", "a day (2027-01-31)"),
        ("ips=10.0.0.5/8", "(203.0.113.7 10.0.0.0/8)"),
        ("permissions=", "words"),
        ("rotation-class=never", "hands-free or guided"),
        ("data-reach=all", "public or account or personal"),
        ("url=http://example.com", "https://example.com/path"),
    ] {
        for args in [
            &["edit", "rpc", "--set", wrong][..],
            &[
                "add",
                "other",
                "--kind",
                "api-key",
                "--secret-fd",
                "0",
                "--field",
                wrong,
            ],
        ] {
            let mut command = desk.home.touchkeep();
            command.args(args).args(["--json", "--no-interaction"]);
            let done = with_stdin(&mut command, "s3cret");
            let said: Value = serde_json::from_slice(&done.stdout).unwrap();
            assert_eq!(done.status.code(), Some(2), "{said}");
            let (what, fix) = (&said["error"]["what"], &said["error"]["fix"]);
            assert!(what.as_str().unwrap().starts_with("The field "), "{said}");
            let fix = fix.as_str().unwrap();
            assert!(fix.starts_with("It takes ") && fix.contains(form), "{said}");
        }
    }
    assert_eq!(desk.run(&["list"]).as_array().unwrap().len(), 1);
    assert_eq!(desk.run(&["show", "rpc"])["version"], 1);
}

#[test]
fn a_name_is_one_that_can_be_said_and_one_of_before_keeps_it() {
    let desk = Desk::set();
    desk.add("rpc", "api-key", "k", &[]);
    let long = "n".repeat(1025);
    // Blanks at its ends, what is read as a reference, what no list has room for.
    for name in ["rpc ", " rpc", "rpc\u{a0}", " ", "tk://prod/rpc", &long] {
        let add = ["add", name, "--kind", "api-key", "--secret-fd", "0"];
        assert_eq!(desk.fails(&add), (2, "invalid".into()), "{name:?}");
        let edit = ["edit", "rpc", "--name", name];
        assert_eq!(desk.fails(&edit), (2, "invalid".into()), "{name:?}");
    }
    // As an older version let it be called: it comes back as it was, and is edited as it is.
    let export = desk.home.path("before.json");
    let item = json!({"id": "i", "environment": "prod", "name": "old ", "kind": "api-key", "note": "", "tags": [],
        "fields": [{"name": "secret", "secret": true, "value": "k"}]});
    let mut unsaid = item.clone();
    let long = "n".repeat(8193);
    unsaid["name"] = json!(long);
    let items = [item, unsaid];
    let text = json!({"format": "touchkeep-export", "version": 1, "exported": 3, "items": items});
    std::fs::write(&export, text.to_string()).unwrap();
    let import = ["import", export.to_str().unwrap(), "--yes"];
    let report = desk.run(&import).to_string();
    assert!(report.contains("longer than 8192 bytes"), "{report}");
    let map = format!("{long}.name=short");
    desk.run(&[&import[..], &["--map", &map]].concat());
    desk.run(&["show", "short"]);
    assert_eq!(desk.run(&["show", "old "])["summary"]["name"], "old ");
    desk.run(&["edit", "old ", "--set", "owner=ada"]);
    desk.run(&["edit", "old ", "--name", "old"]);
}

#[test]
fn an_item_that_is_not_there_is_named() {
    let desk = Desk::set();
    let shown = desk
        .home
        .touchkeep()
        .args(["show", "opanai"])
        .output()
        .unwrap();
    let said = String::from_utf8(shown.stderr).unwrap();
    assert!(said.contains("There is no item \"opanai\"."), "{said}");
    assert!(said.contains("Look at: touchkeep list"), "{said}");
}

#[test]
fn what_is_written_in_another_way_is_offered_and_not_taken() {
    let desk = Desk::set();
    desk.add("Trade", "api-key", "sk-1", &[]);
    desk.add("Transfers", "api-key", "sk-2", &[]);
    desk.add("thrown", "api-key", "sk-3", &[]);
    desk.run(&["rm", "thrown", "--yes"]);
    let fix = |args: &[&str]| {
        let said = desk.home.cli(args).stdout;
        let said: Value = serde_json::from_slice(&said).unwrap();
        let error = &said["error"];
        assert_eq!(error["code"], "not-found", "{args:?}: {said}");
        format!("{} {}", error["what"], error["fix"]).replace('\\', "")
    };
    for args in [
        &["show", "trade"][..],
        &["edit", "trade", "--set", "owner=x"],
        &["rm", "trade", "--yes"],
        &["history", "trade"],
        &["set-api-key", "trade", "k"],
    ] {
        let said = fix(args);
        assert!(said.contains("Did you mean \"Trade\"?"), "{args:?}: {said}");
    }
    let said = fix(&["show", "tra"]);
    assert!(
        said.contains("Did you mean \"Trade\" or \"Transfers\"?"),
        "{said}"
    );
    // What is in the trash is offered there alone.
    assert!(!fix(&["show", "throwm"]).contains("Did you mean"));
    assert!(!fix(&["show", "thrwn"]).contains("Did you mean"));
    let said = fix(&["restore", "Thrown"]);
    assert!(said.contains("Did you mean \"thrown\"?"), "{said}");
    let said = fix(&["read", "tk://prod/Trade/sekret"]);
    assert!(said.contains("touchkeep show ITEM"), "{said}");
    let said = fix(&["read", "tk://prod/trde/secret"]);
    assert!(
        said.contains("no item \"trde\"; did you mean \"Trade\"?"),
        "{said}"
    );
}

#[test]
fn an_item_whose_name_is_taken_comes_out_of_the_trash_under_another() {
    let desk = Desk::set();
    let key = ["--venue", "binance", "--api-key", "k", "--class", "read"];
    let add = || desk.add("trade", "exchange-key", "s", &key);
    let first = add()["id"].as_str().unwrap().to_owned();
    desk.run(&["rm", "trade", "--yes"]);
    add();
    let refused = |args: &[&str]| {
        let said: Value = serde_json::from_slice(&desk.home.cli(args).stdout).unwrap();
        assert_eq!(said["error"]["code"], "ambiguous", "{args:?}: {said}");
        said["error"]["fix"].as_str().unwrap().to_owned()
    };
    let fix = refused(&["restore", "trade"]);
    assert!(
        fix.contains(&format!("touchkeep restore {first} --as NAME")),
        "{fix}"
    );
    // What is said works, step by step.
    let fix = refused(&["restore", &first, "--as", "before"]);
    let set = format!("touchkeep edit {first} --set key-set=NAME");
    assert!(fix.contains(&set), "{fix}");
    desk.run(&["edit", &first, "--set", "key-set=old"]);
    let back = desk.run(&["restore", &first, "--as", "before"]);
    assert_eq!(
        (&back["name"], &back["trashed"], &back["id"]),
        (&json!("before"), &Value::Null, &json!(first))
    );
    assert_eq!(desk.run(&["trash"]), json!([]));
    let versions = desk.run(&["history", "before"]);
    let changed = |at: usize| versions[at]["changed"].to_string();
    assert!(changed(0).contains("restored"), "{versions}");
    let thrown = (1..4).map(changed).find(|it| it.contains("trashed"));
    assert!(thrown.is_some(), "{versions}");
    let rows = desk.run(&["audit", "list"]).to_string();
    assert!(
        rows.contains("Took trade out of the trash as before."),
        "{rows}"
    );
    // A version that was called as another is now.
    let fix = refused(&["history", "before", "--restore", "1", "--yes"]);
    assert!(fix.contains("--name NAME"), "{fix}");
}
