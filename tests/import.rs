//! What other programs keep, taken over by the real binary and given out again: with real `pass`, gpg, `age`, and vaults that
//! the agent has saved.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    collections::HashMap,
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use serde_json::{Value, json};
use touchkeep_client::FrontEnd;
use touchkeep_core::Code;
use touchkeep_tests::{Home, PATIENCE, Person, binary, wait_for};
use touchkeep_wire::{ImportItems, NewImport, NewImportField, OnDuplicate, SecretText};

const ENV: &str = "# bots\r\nexport KRAKEN_API_KEY=canary-public\r\nKRAKEN_API_SECRET=\"canary-secret\" # mine\r\nBOT_TOKEN='canary-token'\r\nLOG_LEVEL=debug\r\n";

/// A home with an open vault.
fn desk() -> (Home, Person) {
    let home = Home::new(None);
    let person = Person::sit_down(&home.paths(), None);
    let path = home.path("v.touchkeep").display().to_string();
    let _made = home.json(&["init", "--practice", "--work-factor", "10", "--path", &path]);
    (home, person)
}

fn source(home: &Home, name: &str, text: &str) -> String {
    let path = home.path(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn import(home: &Home, file: &str, more: &[&str]) -> Value {
    home.json(&[&["import", file, "--yes"], more].concat())
}

fn names(home: &Home) -> Vec<String> {
    let items = home.json(&["list"]);
    let items = items.as_array().unwrap().iter();
    items
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

fn actions(done: &Value) -> Vec<(&str, &str)> {
    let items = done["items"].as_array().unwrap().iter();
    items
        .map(|item| {
            (
                item["name"].as_str().unwrap(),
                item["action"].as_str().unwrap(),
            )
        })
        .collect()
}

/// Everything that is in the vault, as an export in the clear says; the test's own key opens it with stock `age`.
fn contents(home: &Home, name: &str) -> Value {
    let key = home.path(&format!("{name}.key"));
    run(Command::new("age-keygen").arg("-o").arg(&key), "");
    let public = run(Command::new("age-keygen").arg("-y").arg(&key), "");
    let file = home.path(name).display().to_string();
    let _wrote = home.json(&["export", &file, "-r", public.trim()]);
    let text = run(
        Command::new("age").args(["-d", "-i"]).arg(&key).arg(&file),
        "",
    );
    serde_json::from_str(&text).unwrap()
}

fn run(command: &mut Command, stdin: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(stdin.as_bytes())
        .unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap()
}

fn value<'a>(contents: &'a Value, item: &str, field: &str) -> &'a str {
    let items = contents["items"].as_array().unwrap().iter();
    let item = items
        .clone()
        .find(|known| known["name"] == item)
        .unwrap_or_else(|| panic!("{item}: {contents}"));
    let mut fields = item["fields"].as_array().unwrap().iter();
    fields.find(|known| known["name"] == field).unwrap()["value"]
        .as_str()
        .unwrap()
}

#[test]
fn an_env_file_becomes_items_and_references_and_nothing_else_of_it_changes() {
    let (home, _person) = desk();
    let file = source(&home, ".env", ENV);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();

    let seen = home.json(&["import", &file, "--dry-run"]);
    assert_eq!(actions(&seen), [("kraken", "add"), ("BOT_TOKEN", "add")]);
    assert_eq!(names(&home), Vec::<String>::new());
    assert_eq!(fs::read_to_string(&file).unwrap(), ENV);
    let asked = home.cli(&["import", &file]);
    assert_eq!(asked.status.code(), Some(1), "nobody said yes");

    let done = import(&home, &file, &["--replace-with-references"]);
    assert_eq!(
        (&done["replaced"], &done["was_plaintext"]),
        (&json!(3), &json!(true))
    );
    let reasons = done["rows"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| !row["reason"].is_null());
    assert_eq!(
        reasons
            .map(|row| row["label"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["LOG_LEVEL"]
    );
    let expected = ENV
        .replace("canary-public", "tk://prod/kraken/api-key")
        .replace("canary-secret", "tk://prod/kraken/secret")
        .replace("canary-token", "tk://prod/BOT_TOKEN/secret");
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o640
    );

    // What is shown, logged and recorded names no value.
    let rows = home.json(&["audit", "list", "-n", "100"]).to_string();
    assert!(rows.contains("Imported from env: 2 items."), "{rows}");
    for text in [seen.to_string(), done.to_string(), rows, home.log()] {
        assert!(!text.contains("canary-"), "{text}");
    }
    let reminded = home.touchkeep().arg("remind").output().unwrap();
    assert!(
        String::from_utf8_lossy(&reminded.stderr)
            .contains("Was in plaintext, rotate: BOT_TOKEN, kraken")
    );
    let contents = contents(&home, "all.age");
    assert_eq!(value(&contents, "kraken", "secret"), "canary-secret");
    assert_eq!(value(&contents, "kraken", "venue"), "kraken");
    assert!(contents["items"][0]["plaintext-seen"].is_u64());
    assert_eq!(home.json(&["audit", "verify"])["sound"], true);
}

#[test]
fn duplicates_are_known_by_name_and_by_key_and_do_what_was_chosen() {
    let (home, _person) = desk();
    let keys =
        |secret: &str| format!("{{\"binance\": {{\"apiKey\": \"k1\", \"secret\": \"{secret}\"}}}}");
    let file = source(&home, "keys.json", &keys("first"));
    assert_eq!(actions(&import(&home, &file, &[])), [("binance", "add")]);
    let again = import(&home, &file, &[]);
    assert_eq!(
        (actions(&again)[0].1, &again["items"][0]["same"]),
        ("skip", &json!(true))
    );

    fs::write(&file, keys("second")).unwrap();
    let by_key = home.json(&["import", &file, "--dry-run", "--map", "binance.name=other"]);
    assert_eq!(
        (&by_key["items"][0]["known_by"], &by_key["items"][0]["same"]),
        (&json!("api-key"), &json!(false))
    );
    let lost = home.cli(&["import", &file, "--yes", "--delete-source"]);
    assert!(!lost.status.success() && Path::new(&file).exists());
    assert_eq!(
        actions(&import(&home, &file, &["--on-duplicate", "both"])),
        [("binance (2)", "add")]
    );
    let _old = home.json(&["edit", "binance", "--age-days", "50"]);
    assert_eq!(
        actions(&import(&home, &file, &["--on-duplicate", "update"])),
        [("binance", "update")]
    );
    // Another secret begins its age anew, wherever it comes from.
    let shown = home.json(&["show", "binance"]);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let day_ago = u64::try_from(now).unwrap() - 24 * 60 * 60 * 1000;
    let made = shown["summary"]["created"].as_u64().unwrap();
    assert!(made > day_ago, "{shown}");
    let contents = contents(&home, "all.age");
    assert_eq!(
        (
            value(&contents, "binance", "secret"),
            value(&contents, "binance (2)", "secret")
        ),
        ("second", "second")
    );

    let gone = import(&home, &file, &["--delete-source"]);
    assert_eq!(
        (&gone["deleted"], Path::new(&file).exists()),
        (&json!(true), false)
    );
}

#[test]
fn one_item_that_cannot_be_leaves_all_of_them_out() {
    let (home, _person) = desk();
    let item = |name: &str, kind: &str| NewImport {
        name: name.into(),
        kind: kind.into(),
        tags: Vec::new(),
        created: None,
        rotate_after_days: None,
        plaintext_seen: None,
        note: String::new(),
        fields: vec![NewImportField {
            name: "secret".into(),
            secret: true,
            value: SecretText::new("canary-none".into()),
        }],
    };
    let call = ImportItems {
        environment: None,
        source: "env".into(),
        items: vec![item("good", "api-key"), item("bad", "no-such-kind")],
        on_duplicate: OnDuplicate::Skip,
        plaintext_seen: None,
        dry_run: false,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let refused = runtime.block_on(async {
        let socket = home.paths().ui_socket();
        let (calls, _events) = FrontEnd::connect(&socket, "test").await.unwrap().split();
        calls.call(call).await
    });
    let why = refused.err().unwrap().failure();
    assert!(why.what.contains("\"bad\" cannot be"), "{why:?}");
    let asked = ImportItems {
        environment: None,
        source: "env".into(),
        items: Vec::new(),
        on_duplicate: OnDuplicate::Skip,
        plaintext_seen: None,
        dry_run: true,
    };
    let refused = runtime.block_on(async { home.connect().await.call(asked).await });
    assert_eq!(
        refused.err().unwrap().failure().code,
        Code::NotPermitted,
        "not for every program"
    );
    let _other = home.json_with(
        &[
            "add",
            "later",
            "--venue",
            "binance",
            "--class",
            "read",
            "--api-key",
            "k",
            "--secret-fd",
            "0",
        ],
        "s",
    );
    assert_eq!(names(&home), ["later"]);
}

#[test]
fn freqtrade_keeps_its_comments_and_bad_files_name_their_line() {
    let (home, _person) = desk();
    let config = "{\n  // live\n  \"dry_run\": false,\n  \"exchange\": {\"name\": \"gate\", \"key\": \"canary-k\", \"secret\": \"canary-s\",},\n}\n";
    let file = source(&home, "config.json", config);
    let done = import(
        &home,
        &file,
        &["--replace-with-references", "--map", "*.class=read"],
    );
    assert_eq!(done["replaced"], 2);
    let expected = config
        .replace("canary-k", "tk://prod/gate/api-key")
        .replace("canary-s", "tk://prod/gate/secret");
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    assert_eq!(home.json(&["list"])[0]["class"], "read");

    let bad = source(
        &home,
        "bad.json",
        "{\n \"binance\": {\"apiKey\": \"k\" canary-oops }}",
    );
    let said = home.cli(&["import", &bad, "--format", "ccxt"]);
    let text =
        String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(
        said.status.code() == Some(2) && text.contains("line 2") && !text.contains("canary"),
        "{text}"
    );
}

#[test]
fn a_store_of_pass_is_read_with_the_users_own_gpg() {
    let (mut home, _person) = desk();
    let (gnupg, store) = (home.path("gnupg"), home.path("store"));
    fs::create_dir(&gnupg).unwrap();
    fs::set_permissions(&gnupg, fs::Permissions::from_mode(0o700)).unwrap();
    let with = |program: &str| {
        let mut command = Command::new(program);
        command
            .env("GNUPGHOME", &gnupg)
            .env("PASSWORD_STORE_DIR", &store);
        command
    };
    run(
        with("gpg").args([
            "--batch",
            "--quiet",
            "--passphrase",
            "",
            "--quick-generate-key",
            "me@example.org",
            "default",
            "default",
            "never",
        ]),
        "",
    );
    run(with("pass").args(["init", "me@example.org"]), "");
    run(
        with("pass").args(["insert", "-m", "bots/kraken"]),
        "canary-first\nuser: me\napi key: canary-k\napi secret: canary-s\nfree words\n",
    );
    run(with("pass").args(["insert", "-m", "shop"]), "canary-shop\n");
    fs::write(store.join("broken.gpg"), "nonsense").unwrap();
    home.set("GNUPGHOME", gnupg.to_str().unwrap());
    let done = import(&home, store.to_str().unwrap(), &[]);
    run(with("gpgconf").args(["--kill", "gpg-agent"]), "");

    assert_eq!(actions(&done), [("kraken", "add"), ("shop", "add")]);
    assert_eq!(done["was_plaintext"], false);
    let broken = done["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["label"] == "broken")
        .unwrap();
    assert!(
        broken["reason"].as_str().unwrap().starts_with("gpg: "),
        "{broken}"
    );
    let contents = contents(&home, "all.age");
    assert_eq!(value(&contents, "kraken", "secret"), "canary-s");
    assert_eq!(value(&contents, "kraken", "password"), "canary-first");
    assert_eq!(value(&contents, "kraken", "notes"), "free words");
    assert_eq!(value(&contents, "shop", "secret"), "canary-shop");
}

#[test]
fn a_store_of_passage_is_read_with_the_users_own_age() {
    let (home, _person) = desk();
    let (store, key) = (home.path("store"), home.path("identities"));
    fs::create_dir_all(store.join("exchanges")).unwrap();
    run(Command::new("age-keygen").arg("-o").arg(&key), "");
    let public = run(Command::new("age-keygen").arg("-y").arg(&key), "");
    let entry = store.join("exchanges/gate.age");
    run(
        Command::new("age")
            .args(["-r", public.trim(), "-o"])
            .arg(&entry),
        "canary-one\nsecond line\n",
    );
    // What is not taken is named, and why, in age's own words.
    fs::write(store.join("broken.age"), "no age file").unwrap();
    std::os::unix::fs::symlink(&entry, store.join("linked.age")).unwrap();
    std::os::unix::fs::symlink(store.join("exchanges"), store.join("folder")).unwrap();
    let done = import(
        &home,
        store.to_str().unwrap(),
        &["-i", key.to_str().unwrap()],
    );
    assert_eq!(actions(&done), [("gate", "add")]);
    let rows = done["rows"].to_string();
    assert!(
        rows.contains("age: ") && !rows.contains("report unexpected"),
        "{rows}"
    );
    assert_eq!(rows.matches("It is a link").count(), 2, "{rows}");
    let contents = contents(&home, "all.age");
    assert_eq!(value(&contents, "gate", "secret"), "canary-one");
    assert_eq!(contents["items"][0]["tags"], json!(["exchanges"]));
}

#[test]
fn an_export_with_a_passphrase_comes_back_as_it_was() {
    let (home, person) = desk();
    let file = source(&home, ".env", ENV);
    let _in = import(&home, &file, &[]);
    let sealed = [
        "add",
        "x",
        "--venue",
        "binance",
        "--class",
        "move-money",
        "--api-key",
        "k",
        "--secret-fd",
        "0",
    ];
    let _added = home.json_with(&sealed, "quoted \" \\ é");
    let before = contents(&home, "before.age");

    let out = home.path("items.age").display().to_string();
    let asked = person.was_asked().len();
    let wrote = home.json_with(
        &["export", &out, "--passphrase-fd", "0"],
        "a long passphrase",
    );
    assert!(person.was_asked().len() > asked, "an export asks each time");
    assert_eq!(
        (&wrote["items"], &wrote["encrypted"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(
        fs::metadata(&out).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(
        !home.cli(&["export", &out, "-r", "age1x"]).status.success(),
        "never over a file"
    );

    let (other, _second) = desk();
    let wrong = other
        .touchkeep()
        .args(["import", &out, "--yes", "--json", "--password-fd", "0"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!wrong.status.success());
    let back = other.json_with(
        &["import", &out, "--yes", "--password-fd", "0"],
        "a long passphrase",
    );
    assert_eq!(
        (actions(&back).len(), &back["was_plaintext"]),
        (3, &json!(false))
    );
    let after = contents(&other, "after.age");
    let plain = |mut document: Value| {
        document["exported"] = Value::Null;
        for item in document["items"].as_array_mut().unwrap() {
            item["id"] = Value::Null;
        }
        document
    };
    assert_eq!(plain(before), plain(after));
}

#[test]
fn a_note_tags_and_a_rotation_come_back_before_their_export_is_deleted() {
    let (home, _person) = desk();
    for item in ["only a note", "tagged"] {
        let _added = home.json_with(&["add", item, "--kind", "note", "--secret-fd", "0"], "text");
    }
    let _taken = home.json(&["edit", "only a note", "--unset", "secret"]);
    let _noted = home.json(&[
        "edit",
        "only a note",
        "--note",
        "the safe is behind the map",
    ]);
    let _tagged = home.json(&[
        "edit",
        "tagged",
        "--tag",
        "first",
        "--rotate-after-days",
        "90",
    ]);
    let before = contents(&home, "before.age");
    let out = plain_export(&home, &before);

    let (other, _second) = desk();
    let _fewer = other.json_with(
        &["add", "tagged", "--kind", "note", "--secret-fd", "0"],
        "text",
    );
    let kept = other.cli(&["import", &out, "--yes", "--delete-source"]);
    assert!(
        !kept.status.success() && Path::new(&out).exists(),
        "tags and a rotation are missing there"
    );
    let gone = import(
        &other,
        &out,
        &["--delete-source", "--on-duplicate", "update"],
    );
    assert_eq!(
        (actions(&gone), &gone["deleted"]),
        (
            vec![("only a note", "add"), ("tagged", "update")],
            &json!(true)
        )
    );
    let after = contents(&other, "after.age");
    let said = |document: &Value| {
        let items = document["items"].as_array().unwrap().iter();
        let parts = ["name", "note", "tags", "rotate-after-days"];
        let mut items: Vec<_> = items
            .map(|item| parts.map(|part| item[part].clone()))
            .collect();
        items.sort_by_key(|item| item[0].to_string());
        items
    };
    assert_eq!(said(&before), said(&after));
    assert_eq!(after["items"].as_array().unwrap().len(), 2);
}

/// What was exported, as a file that is not encrypted.
fn plain_export(home: &Home, document: &Value) -> String {
    source(home, "items.json", &document.to_string())
}

#[test]
fn two_rows_that_fit_one_item_both_come_into_it_or_neither_does() {
    let (home, _person) = desk();
    let first = source(
        &home,
        "first.json",
        r#"{"binance": {"apiKey": "k1", "secret": "s"}}"#,
    );
    let _in = import(&home, &first, &[]);

    let rows = |uid: &str, wallet: &str| {
        format!(
            r#"{{"binance": {{"apiKey": "k1", "uid": "{uid}"}}, "binanceusdm": {{"apiKey": "k1", "walletAddress": "w1", "password": "{wallet}"}}}}"#
        )
    };
    let both = source(&home, "both.json", &rows("u1", "p1"));
    let done = import(
        &home,
        &both,
        &["--on-duplicate", "update", "--delete-source"],
    );
    assert_eq!(
        (actions(&done), &done["deleted"]),
        (
            vec![("binance", "update"), ("binance", "update")],
            &json!(true)
        )
    );
    let after = contents(&home, "after.age");
    for (field, wanted) in [
        ("uid", "u1"),
        ("wallet-address", "w1"),
        ("passphrase", "p1"),
        ("secret", "s"),
        ("api-key", "k1"),
    ] {
        assert_eq!(value(&after, "binance", field), wanted);
    }

    // One row says what the vault has, the next one otherwise: whichever went in, the other would be lost.
    let against = r#"{"binance": {"apiKey": "k1", "uid": "u1"}, "binanceusdm": {"apiKey": "k1", "uid": "u2"}}"#;
    let against = source(&home, "against.json", against);
    let args = ["import", &against, "--yes", "--on-duplicate", "update"];
    let kept = home.cli(&[&args[..], &["--delete-source"]].concat());
    assert!(!kept.status.success() && Path::new(&against).exists());
    let said = String::from_utf8_lossy(&kept.stderr).into_owned();
    assert!(said.contains("says otherwise of uid"), "{said}");
    let seen = home.json(&[&["import", &against, "--dry-run"][..], &args[3..]].concat());
    assert_eq!(seen["items"][1]["action"], "refuse");
}

/// A verb at a terminal of its own, to whose question a word is typed after something else has happened.
fn confirmed(
    home: &Home,
    verb: &str,
    word: &str,
    meanwhile: impl FnOnce(),
    is_typed: impl Fn() -> bool,
) -> (ExitStatus, String) {
    let line = format!("{} {verb}", binary("touchkeep").display());
    let mut terminal = home.at_a_terminal(&line).spawn().unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let question = format!("Type {word} to go on: ");
    let reading = std::thread::spawn(move || {
        let (mut shown, mut byte) = (String::new(), [0; 1]);
        while screen.read(&mut byte).is_ok_and(|count| count == 1) {
            shown.push(byte[0].into());
            if shown.ends_with(&question) {
                let _ended = tell.send(());
            }
        }
        shown
    });
    told.recv_timeout(PATIENCE).unwrap();
    meanwhile();
    // What is typed before the terminal is ready for it is no answer, so it is typed until it is one.
    let answer = format!("\x15{word}\r");
    let mut typed = false;
    let ended = wait_for("the end of it", || {
        typed = typed || is_typed();
        if !typed {
            let _ended = keys.write_all(answer.as_bytes());
        }
        terminal.try_wait().unwrap()
    });
    drop(keys);
    (ended, reading.join().unwrap())
}

#[test]
fn a_source_stays_where_the_vault_became_another_one_while_the_question_stood() {
    let (home, _person) = desk();
    let text = "GATE_API_KEY=canary-k\nGATE_API_SECRET=canary-s\n";
    let file = source(&home, ".env", text);
    let add = ["add", "gate", "--kind", "note", "--note", "somebody else's"];
    let meanwhile = || drop(home.json(&add));
    let verb = format!("import {file} --delete-source");
    let (ended, shown) = confirmed(&home, &verb, "import", meanwhile, || false);
    assert_eq!(ended.code(), Some(1), "{shown}");
    assert!(shown.contains("stays as it was"), "{shown}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(names(&home), ["gate"]);
}

#[test]
fn a_program_gets_from_the_vault_what_it_got_from_the_file() {
    let (home, _person) = desk();
    let odd = r#"A_SECRET="it\'s \"a\" \a\b\f\v\t \$HOME \z \\ é"
export B_SECRET='lit\n$x "y"'
C_SECRET = bare#word # and a comment
D_SECRET="two
lines"
E_SECRET=     blank before
"#;
    let file = source(&home, ".env", odd);
    let seen = |file: &str| {
        let script = r#"printf '%s|' "$A_SECRET" "$B_SECRET" "$C_SECRET" "$D_SECRET" "$E_SECRET""#;
        let words = [
            "run",
            "-q",
            "--no-mask",
            "--env-file",
            file,
            "--",
            "sh",
            "-c",
        ];
        let done = home.touchkeep().args(words).arg(script).output().unwrap();
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{error}");
        String::from_utf8(done.stdout).unwrap()
    };
    let before = seen(&file);
    assert!(
        before.contains("|bare#word|two\nlines|blank before|"),
        "{before}"
    );
    let done = import(&home, &file, &["--replace-with-references"]);
    assert_eq!(done["replaced"], 5, "{done}");
    assert!(!fs::read_to_string(&file).unwrap().contains("lines"));
    assert_eq!(seen(&file), before);
}

#[test]
fn where_no_export_can_be_made_nobody_is_asked_to_agree_to_one() {
    let (home, person) = desk();
    let asked = person.was_asked().len();
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let done = home.cli(&["export", "/nonexistent/items.age", "-r", recipient]);
    assert_eq!(done.status.code(), Some(2));
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    let what = &said["error"]["what"];
    assert_eq!(what, "no file can be made in /nonexistent", "{said}");
    assert_eq!(person.was_asked().len(), asked);
}

#[test]
fn an_export_in_the_clear_needs_a_typed_word_a_consent_and_leaves_a_row() {
    let (home, person) = desk();
    let file = source(
        &home,
        "keys.json",
        "{\"binance\": {\"apiKey\": \"k\", \"secret\": \"canary-s\"}}",
    );
    let _in = import(&home, &file, &[]);
    let out = home.path("out.json").display().to_string();
    let nobody = home.cli(&["export", &out, "--plaintext"]);
    assert!(!nobody.status.success() && !Path::new(&out).exists());

    let asked = person.was_asked().len();
    let verb = format!("export {out} --plaintext --format ccxt");
    let is_typed = || person.was_asked().len() > asked;
    let (ended, shown) = confirmed(&home, &verb, "plaintext", || {}, is_typed);
    assert!(ended.success(), "{shown}");

    assert!(person.was_asked().len() > asked);
    let text = fs::read_to_string(&out).unwrap();
    let keys: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        keys,
        json!({"binance": {"apiKey": "k", "secret": "canary-s"}})
    );
    let rows = home.json(&["audit", "list", "-n", "100"]).to_string();
    assert!(
        rows.contains("IN THE CLEAR, as ccxt") && !rows.contains("canary"),
        "{rows}"
    );
    let of_item = [
        "audit",
        "list",
        "--item",
        "binance",
        "--kind",
        "secret-revealed",
    ];
    let of_item = home.json(&of_item);
    assert_eq!(
        of_item["rows"][0]["what"],
        "Exported binance, IN THE CLEAR, as ccxt."
    );
}

/// A database of this many entries, as KeePass writes it, each with a password and so many bytes of notes of its own.
fn keepass(entries: usize, notes: usize) -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<KeePassFile><Root><Group><Name>Root</Name>\n",
    );
    for number in 0..entries {
        xml += "<Entry>";
        for (key, value) in [
            ("Title", format!("entry {number}")),
            ("UserName", format!("user-{number}")),
            ("Password", format!("canary-password-{number}")),
            ("URL", format!("https://host-{number}.example/")),
            ("Notes", format!("{}\nend of {number}", "n".repeat(notes))),
        ] {
            xml += &format!("<String><Key>{key}</Key><Value>{value}</Value></String>");
        }
        xml += "</Entry>\n";
    }
    xml + "</Group></Root></KeePassFile>\n"
}

// More than a client may send at once. With TOUCHKEEP_SOAK there are as many entries as a large team has, in 20 MiB.
#[test]
fn a_large_database_comes_in_as_one_commit_and_goes_out_again() {
    let (entries, notes) = match std::env::var("TOUCHKEEP_SOAK") {
        Ok(_) => (50_000, 200),
        Err(_) => (90, 60_000),
    };
    let (home, _person) = desk();
    let text = keepass(entries, notes);
    assert!(text.len() > 5 << 20, "{}", text.len());
    let file = source(&home, "database.xml", &text);
    let done = import(&home, &file, &["--delete-source"]);
    assert_eq!(actions(&done).len(), entries);
    assert!(actions(&done).iter().all(|(_, action)| *action == "add"));
    assert!(!Path::new(&file).exists(), "all of it is in the vault");
    let added = |narrowed: &[&str]| {
        let rows = home.json(&[&["audit", "list", "--kind", "item-added"], narrowed].concat());
        rows["rows"].as_array().unwrap().len()
    };
    assert_eq!(added(&["--text", "Imported from"]), 1, "one commit");
    assert_eq!(added(&["--item", "entry 7"]), 1, "and each is found");

    let all = contents(&home, "all.age");
    let items: HashMap<_, _> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["name"].as_str().unwrap(), item.to_string()))
        .collect();
    assert_eq!(items.len(), entries);
    for number in 0..entries {
        let item = &items[format!("entry {number}").as_str()];
        for value in ["user", "canary-password"] {
            assert!(item.contains(&format!("\"{value}-{number}\"")), "{item}");
        }
        assert!(item.contains(&format!("n\\nend of {number}\"")), "{item}");
    }
}

#[test]
fn a_file_in_which_nothing_was_found_is_not_deleted() {
    let (home, _person) = desk();
    for (format, text) in [
        (
            "keepass-xml",
            "<passwords><p>canary-password</p></passwords>",
        ),
        ("bitwarden", "{\"secrets\": [\"canary-password\"]}"),
        ("ccxt", "[\"canary-password\"]"),
        ("env", "# canary-password\n"),
        ("aws", ""),
    ] {
        let file = source(&home, "other", text);
        let args = [
            "import",
            &file,
            "--format",
            format,
            "--yes",
            "--delete-source",
        ];
        let done = home.cli(&args);
        assert_eq!(done.status.code(), Some(1), "{format}: {done:?}");
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        let what = said["error"]["what"].as_str().unwrap();
        assert_eq!(
            what,
            format!("nothing was found in it that the format {format} has")
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
fn what_a_second_column_of_one_name_says_is_kept_and_text_in_another_encoding_is_called_that() {
    let (home, _person) = desk();
    let text = "Title,Username,Password,Password\r\nmail,me,canary-first,canary-second\r\n";
    let file = source(&home, "twice.csv", text);
    let done = import(&home, &file, &["--delete-source"]);
    assert_eq!(actions(&done), [("mail", "add")]);
    assert!(!Path::new(&file).exists());
    let contents = contents(&home, "all.age");
    assert_eq!(value(&contents, "mail", "secret"), "canary-first");
    assert_eq!(value(&contents, "mail", "password"), "canary-second");
    // As PowerShell writes it.
    let wide: Vec<u8> = "\u{feff}A_TOKEN=canary\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let file = source(&home, "wide.env", "");
    fs::write(&file, wide).unwrap();
    for more in [&[][..], &["--format", "env"]] {
        let done = home.cli(&[&["import", &file], more].concat());
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        let what = said["error"]["what"].as_str().unwrap();
        assert!(
            what.ends_with("the file is text in UTF-16, and only UTF-8 is read"),
            "{said}"
        );
    }
}

#[test]
fn what_is_more_than_one_import_holds_is_refused_whole_with_what_to_do() {
    let (home, _person) = desk();
    let rows = format!("[{}{{}}]", "{},".repeat(100_000));
    let rows = format!("{{\"encrypted\": false, \"folders\": [], \"items\": {rows}}}");
    let rows = source(&home, "many.json", &rows);
    let long = source(&home, "long.xml", &keepass(800, 64_000));
    for (file, limit) in [(&rows, "100000"), (&long, "50331648")] {
        let done = home.cli(&["import", file, "--yes", "--delete-source"]);
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        let error = &said["error"];
        assert!(error["what"].as_str().unwrap().contains(limit), "{said}");
        let fix = error["fix"].as_str().unwrap();
        assert!(fix.starts_with("Divide it where it comes from"), "{said}");
        assert!(Path::new(file).exists());
    }
    assert_eq!(names(&home), Vec::<String>::new());
}

#[test]
fn a_value_that_its_field_does_not_take_is_kept_under_another_name_and_told() {
    let (home, _person) = desk();
    let items = json!({"encrypted": false, "folders": [], "items": [{
        "id": "1", "type": 1, "name": "rpc", "notes": null,
        "login": {"uris": [{"match": null, "uri": "rpc.example.com"}], "username": "ada", "password": "canary-password"},
        "fields": [
            {"name": "expires", "value": "whenever it ends", "type": 0},
            {"name": "ips", "value": "10.0.0.0/8, 10.0.0.0/8", "type": 0},
            {"name": "expires-as-written", "value": "taken", "type": 0},
        ],
    }]});
    let file = source(&home, "export.json", &items.to_string());
    // Bitwarden does not say what is no secret, so a person does.
    let plain = ["expires", "ips", "expires-as-written"].map(|name| format!("rpc.plain={name}"));
    let shown: Vec<&str> = plain.iter().flat_map(|map| ["--map", map]).collect();
    let with = |args: &[&'static str]| [&shown[..], args].concat();
    let preview = lines(
        &home,
        &[&["import", &file], &with(&["--dry-run"])[..]].concat(),
    );
    let told = preview.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        told.contains("The field expires takes a day (2027-01-31) or a time (2027-01-31T18:00:00Z); what the source says is kept as expires-as-written-2."),
        "{preview}"
    );
    let done = import(&home, &file, &shown);
    assert_eq!(actions(&done), [("rpc", "add")]);
    assert!(done["rows"][0]["reason"].is_null(), "{done}");
    let remarks = done["rows"][0]["remarks"].as_array().unwrap().len();
    assert_eq!(remarks, 2, "of the day and of the address: {done}");

    let contents = contents(&home, "all.age");
    for (field, kept) in [
        ("expires-as-written-2", "whenever it ends"),
        ("expires-as-written", "taken"),
        ("url-as-written", "rpc.example.com"),
        ("ips", "10.0.0.0/8"),
        ("username", "ada"),
        ("secret", "canary-password"),
    ] {
        assert_eq!(value(&contents, "rpc", field), kept, "{field}");
    }
    let fields = contents["items"][0]["fields"].as_array().unwrap();
    let has = |name: &str| fields.iter().any(|field| field["name"] == name);
    assert!(!has("expires") && !has("url"), "{contents}");
    // What is there already is known again, in its other form and under its other name.
    let again = import(&home, &file, &with(&["--on-duplicate", "update"]));
    assert_eq!(actions(&again), [("rpc", "skip")]);
    assert_eq!(again["items"][0]["same"], true, "{again}");
}

// As a person reads it.
fn lines(home: &Home, args: &[&str]) -> String {
    let done = home.touchkeep().args(args).output().unwrap();
    String::from_utf8(done.stdout).unwrap()
}
