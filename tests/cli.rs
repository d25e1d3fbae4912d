//! The command line as a script sees it: every document by its published schema, judged by somebody else's validator; exit
//! codes; items from their adding to their end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use touchkeep_client::vault::VAULT_VARIABLE;
use touchkeep_tests::{Home, Person, binary, is_known, wait_for};

const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// A vault that a passphrase opens, and a person who knows it.
struct Desk {
    home: Home,
    person: Person,
}

impl Desk {
    fn set() -> Self {
        let home = Home::new(None);
        let person = Person::sit_down(&home.paths(), None);
        let path = home.path("v.touchkeep").display().to_string();
        let desk = Self { home, person };
        desk.run(&["init", "--practice", "--path", &path, "--work-factor", "10"]);
        desk
    }

    // Runs a verb that prints a document, which the home has judged.
    fn run(&self, args: &[&str]) -> Value {
        self.run_with(args, "")
    }

    fn run_with(&self, args: &[&str], stdin: &str) -> Value {
        let said = self.home.json_with(args, stdin);
        assert!(!said.is_null(), "touchkeep {args:?} printed no document");
        said
    }

    // Runs a verb that fails: its exit code, and the code that it says.
    fn fails(&self, args: &[&str]) -> (i32, String) {
        let done = self.home.cli(args);
        let said: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
        let code = said["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let fix = &said["error"]["fix"];
        assert!(
            fix.as_str().is_some_and(|fix| !fix.is_empty()),
            "{args:?} says not what to do: {said}"
        );
        (done.status.code().unwrap(), code)
    }

    fn add(&self, name: &str, kind: &str, secret: &str, more: &[&str]) -> Value {
        let args = [&["add", name, "--kind", kind, "--secret-fd", "0"], more].concat();
        self.run_with(&args, secret)
    }
}

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

// The verbs that a help lists: of the program in groups, of a verb below one heading. A verb's line begins with two blanks, one
// that goes on with more.
fn listed_in(help: &str) -> Vec<&str> {
    let heads = help
        .split_once("Options:\n")
        .map_or(help, |(heads, _)| heads);
    let groups = heads.split("\n\n").filter(|part| {
        let head = part.lines().next().unwrap_or_default();
        head.ends_with(':')
            && part
                .lines()
                .nth(1)
                .is_some_and(|line| line.starts_with("  "))
    });
    let lines = groups.flat_map(|group| group.lines().skip(1));
    let lines = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    lines
        .filter_map(|line| line.split_whitespace().next())
        // Arguments have a heading as well.
        .filter(|word| !word.starts_with(['<', '[', '-']))
        .collect()
}

// Every verb that can be typed, as the help lists them.
fn verbs_below(home: &Home, path: &[&str]) -> Vec<String> {
    let help = home.touchkeep().args(path).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let verbs = listed_in(&help);
    if verbs.is_empty() {
        return vec![path.join(" ")];
    }
    let verbs = verbs.into_iter();
    verbs
        .filter(|verb| *verb != "help")
        .flat_map(|verb| verbs_below(home, &[path, &[verb]].concat()))
        .collect()
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
fn a_secret_is_whole_and_from_a_descriptor_of_the_callers_own() {
    let desk = Desk::set();
    let big = desk.home.path("big");
    std::fs::write(&big, "x".repeat((64 << 10) + 1)).unwrap();
    std::fs::write(desk.home.path("small"), "two lines\nof it\n").unwrap();
    let shell = |redirected: &str| {
        let script =
            format!("exec \"$TK\" add x --kind api-key --json --no-interaction {redirected}");
        let mut shell = Command::new("bash");
        shell.args(["-c", &script]).envs(desk.home.environment());
        shell.env("TK", desk.home.touchkeep().get_program());
        shell.env("BIG", &big).env("SMALL", desk.home.path("small"));
        let done = shell.stdin(Stdio::null()).output().unwrap();
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        (done.status.code(), error)
    };
    let (code, why) = shell("--secret-fd 3 3<\"$BIG\"");
    assert!(
        code == Some(2) && why.contains("longer than 64 KiB"),
        "{why}"
    );
    // What nobody has opened for it may be anything of its own: its connection, its clock.
    let closed: String = (3..20).map(|number| format!(" {number}<&-")).collect();
    for number in 3..20 {
        let (code, why) = shell(&format!("--secret-fd {number}{closed}"));
        assert!(
            code == Some(2) && why.contains("cannot be read"),
            "{number}: {code:?} {why}"
        );
    }
    let (code, why) = shell("--secret-fd 3 --field-fd passphrase=3 3<\"$SMALL\"");
    assert!(
        code == Some(2) && why.contains("the passphrase is empty"),
        "{why}"
    );
    assert_eq!(desk.run(&["list"]), json!([]));
    let (code, why) = shell("--secret-fd 3 --field-fd passphrase=4 3<\"$SMALL\" 4<\"$SMALL\"");
    assert_eq!(code, Some(0), "{why}");
    for field in [
        "passphrase=hunter22",
        "refresh-token=hunter22",
        "access_token=hunter22",
        "client-secret=hunter22",
        "token=hunter22",
    ] {
        let (code, why) = shell(&format!("--secret-fd 3 --field {field} 3<\"$SMALL\""));
        assert!(
            code == Some(2) && why.contains("never given as an argument"),
            "{why}"
        );
        assert!(!why.contains("hunter22"), "{why}");
        assert_eq!(
            desk.fails(&["edit", "x", "--set", field]),
            (2, "invalid".into())
        );
    }
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

fn with_stdin(command: &mut Command, text: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    Write::write_all(&mut stdin, text.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn where_nobody_is_there_to_be_asked_nobody_is_waited_for() {
    let Desk {
        home,
        person: _person,
    } = Desk::set();
    let refused = |args: &[&str]| {
        let begun = std::time::Instant::now();
        let done = home.cli(args);
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert!(begun.elapsed().as_secs() < 20, "{args:?} waited: {said}");
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert_eq!(said["error"]["code"], "not-permitted", "{said}");
    };
    // Somebody else may answer as long as he is there.
    let _made = home.json(&["env", "add", "one"]);
    drop(_person);
    // The agent hears of it a moment later.
    let seats = home.paths().ui_socket().display().to_string();
    wait_for("the person's seat to be closed", || {
        let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
        let open = sockets.lines().filter(|line| line.ends_with(&seats));
        // The one that is left is where the next one would come in.
        (open.count() == 1).then_some(())
    });
    refused(&["env", "add", "two"]);
    let file = home.path("items.age").display().to_string();
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    refused(&["export", &file, "-r", recipient]);
    let _locked = home.json(&["lock"]);
    refused(&["unlock"]);
    assert_eq!(home.json(&["status"])["unlocked"], false);
    let unknown = home.cli(&["backup", "restore", "9", "--yes"]);
    assert_eq!(unknown.status.code(), Some(3), "locked");
}

// Of a file's own passphrase; the vault's is asked for by the agent.
#[test]
fn a_passphrase_that_nobody_can_type_is_said_with_where_to_give_it() {
    let desk = Desk::set();
    let at = |name: &str| desk.home.path(name).display().to_string();
    let (file, other) = (at("items.age"), at("other.age"));
    desk.add("x", "login", "pw", &["--field", "username=u"]);
    let write = ["export", &file, "--passphrase-fd", "0"];
    desk.run_with(&write, "five words picked by chance");
    let asked = desk.person.was_asked().len();
    let verbs = [
        (["export", other.as_str()], "--passphrase-fd 3 3<file"),
        (["import", file.as_str()], "--password-fd 3 3<file"),
    ];
    for (verb, option) in verbs {
        // Where nobody is to be asked, and where there is no terminal.
        let mut alone = Command::new("setsid");
        alone.arg("--wait").arg(binary("touchkeep"));
        alone.envs(desk.home.environment()).args(verb).arg("--json");
        let alone = alone.stdin(Stdio::null()).output().unwrap();
        for done in [desk.home.cli(&verb), alone] {
            let said: Value = serde_json::from_slice(&done.stdout).unwrap();
            let (what, fix) = (&said["error"]["what"], &said["error"]["fix"]);
            assert_eq!(what, "a passphrase must come from somewhere", "{verb:?}");
            assert!(fix.as_str().unwrap().contains(option), "{verb:?}: {fix}");
            assert_eq!(done.status.code(), Some(2), "{verb:?}");
        }
    }
    assert!(!Path::new(&other).exists());
    assert_eq!(desk.person.was_asked().len(), asked);
    let short = ["export", &other, "--passphrase-fd", "0"];
    let mut short_one = desk.home.touchkeep();
    short_one.args(short).arg("--json");
    let done = with_stdin(&mut short_one, "short");
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(
        said.contains("too short for a file that holds everything"),
        "{said}"
    );
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

/// A shell that has loaded its completions, with the real command line in its path.
struct Shell<'a> {
    home: &'a Home,
    script: PathBuf,
    path: String,
}

impl<'a> Shell<'a> {
    fn with(home: &'a Home, shell: &str) -> Self {
        let printed = home.touchkeep().args(["completions", shell]).output();
        let script = home.path(&format!("completions.{shell}"));
        std::fs::write(&script, printed.unwrap().stdout).unwrap();
        let cli = home.touchkeep();
        let folder = Path::new(cli.get_program()).parent().unwrap().display();
        let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
        Self { home, script, path }
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        let mut command = Command::new("timeout");
        command.args(["30", program]).args(args);
        let environment = self.home.environment();
        command.envs(environment).env("PATH", &self.path);
        command
            .env("HOME", self.home.path("home"))
            .output()
            .unwrap()
    }

    // What fish offers for a line.
    fn completes(&self, line: &str) -> String {
        let ask = format!("source {}; complete -C '{line}'", self.script.display());
        let done = self.run("fish", &["--no-config", "-c", &ask]);
        let said = String::from_utf8(done.stdout).unwrap();
        let words = said.lines().filter_map(|line| line.split('\t').next());
        words.collect::<Vec<_>>().join(" ")
    }

    // That zsh, at a terminal, makes this of a line when Tab is pressed.
    fn shows(&self, line: &str, whole: &str) {
        let session = "zmodload zsh/zpty; zpty z 'zsh -f -i'
            zpty -w z \"autoload -U compinit; compinit -u -D; source $1; echo LOA''DED\"
            zpty -r -m z seen '*LOADED*' && zpty -w -n z \"$2\"$'\\t' && zpty -r -m z seen \"*$3*\"";
        let script = self.script.to_str().unwrap();
        let done = self.run("zsh", &["-f", "-c", session, "zsh", script, line, whole]);
        assert!(done.status.success(), "{line}: {done:?}");
    }
}

#[test]
fn completions_know_items_only_while_the_vault_is_open() {
    let desk = Desk::set();
    desk.add("openai", "api-key", "sk-1", &[]);
    let names = |desk: &Desk| {
        let said = desk
            .home
            .touchkeep()
            .arg("items-for-completion")
            .output()
            .unwrap();
        assert!(said.status.success());
        String::from_utf8(said.stdout).unwrap()
    };
    assert_eq!(names(&desk), "openai\n");
    // As bash itself completes.
    let script = desk.home.path("completions");
    let printed = desk
        .home
        .touchkeep()
        .args(["completions", "bash"])
        .output()
        .unwrap();
    std::fs::write(&script, printed.stdout).unwrap();
    let ask = "PATH=$2:$PATH; . \"$1\"; COMP_WORDS=(touchkeep show op); COMP_CWORD=2; _touchkeep_items touchkeep op show; echo \"${COMPREPLY[@]}\"";
    let cli = desk.home.touchkeep();
    let folder = Path::new(cli.get_program()).parent().unwrap();
    let said = Command::new("bash")
        .args(["-c", ask, "bash"])
        .args([&script, folder])
        .envs(desk.home.environment())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "openai\n");
    // With a blank in it, as it is typed.
    desk.add("my key", "api-key", "sk-2", &[]);
    let ask = ask.replace("show op)", "show 'my\\ k')");
    let said = Command::new("bash")
        .args(["-c", &ask, "bash"])
        .args([&script, folder])
        .envs(desk.home.environment())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "my\\ key\n");
    // Behind options; bash counts what stands before and behind a = as words.
    for (before, count) in [
        ("--json", 1),
        ("--vault /v --json", 3),
        ("--json --vault = /v", 4),
    ] {
        let words = format!(
            "COMP_WORDS=(touchkeep {before} show op); COMP_CWORD={}",
            count + 2
        );
        let ask = ask.replace("COMP_WORDS=(touchkeep show 'my\\ k'); COMP_CWORD=2", &words);
        let said = Command::new("bash")
            .args(["-c", &ask, "bash"])
            .args([&script, folder])
            .envs(desk.home.environment())
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&said.stdout),
            "openai\n",
            "{before}"
        );
    }
    let _gone = desk.run(&["rm", "my key", "--yes"]);
    // And as fish and zsh do, verbs of both levels and items.
    let [fish, zsh] = ["fish", "zsh"].map(|shell| Shell::with(&desk.home, shell));
    assert_eq!(fish.completes("touchkeep set-a"), "set-api-key");
    assert_eq!(fish.completes("touchkeep device insp"), "inspect");
    assert_eq!(fish.completes("touchkeep show op"), "openai");
    for (typed, whole) in [
        ("touchkeep set-a", "set-api-key"),
        ("touchkeep device insp", "inspect"),
        ("touchkeep show op", "openai"),
    ] {
        zsh.shows(typed, whole);
    }
    assert_eq!(fish.completes("touchkeep --json show op"), "openai");
    assert_eq!(fish.completes("touchkeep --vault /v show op"), "openai");
    for other in ["audit show op", "venue show op", "git show op"] {
        let offered = fish.completes(&format!("touchkeep {other}"));
        assert!(!offered.contains("openai"), "{other}: {offered}");
    }
    let _locked = desk.home.json(&["lock"]);
    assert_eq!(fish.completes("touchkeep show op"), "");
    assert_eq!(fish.completes("touchkeep set-a"), "set-api-key");
    assert_eq!(names(&desk), "");
    // Nothing is no name: zsh would complete an empty word.
    let ask = "compdef() {}; compadd() { print $#names }; source $1; _touchkeep_items";
    let said = zsh.run(
        "zsh",
        &["-f", "-c", ask, "zsh", zsh.script.to_str().unwrap()],
    );
    assert_eq!(String::from_utf8_lossy(&said.stdout), "0\n");
}

#[test]
fn a_vault_in_the_way_is_said_before_a_secret_is_typed_and_stays_open() {
    let desk = Desk::set();
    let path = desk.home.path("v.touchkeep").display().to_string();
    let asked = desk.person.was_asked().len();
    let init = ["init", "--practice", "--path", &path, "--work-factor", "10"];
    assert_eq!(desk.fails(&init), (2, "vault-exists".into()));
    assert_eq!(desk.person.was_asked().len(), asked, "nothing was asked");
    // Nor where no file can be made.
    for place in ["gone/v.touchkeep", "v.touchkeep/v.touchkeep"] {
        let path = desk.home.path(place).display().to_string();
        let init = ["init", "--practice", "--path", &path, "--work-factor", "10"];
        assert_eq!(desk.fails(&init), (2, "invalid".into()), "{place}");
    }
    assert_eq!(desk.person.was_asked().len(), asked, "nothing was asked");
    assert_eq!(desk.run(&["status"])["unlocked"], json!(true));
}

// There is no terminal here: whoever comes so far as to be asked for the secret is told that.
#[test]
fn what_cannot_be_stored_is_said_before_its_secret_is_typed() {
    let desk = Desk::set();
    let key = ["--class", "trade", "--api-key", "k"];
    let add = |more: &[&str]| desk.fails(&[&["add"], more, &key].concat());
    let usage = |code: &str| (2, code.to_owned());
    assert_eq!(
        add(&["a", "--venue", "binance"]),
        usage("invalid"),
        "the secret"
    );
    assert_eq!(add(&["a", "--venue", "nowhere"]), usage("not-found"));
    assert_eq!(
        add(&["a", "--venue", "binance", "-e", "gone"]),
        usage("not-found")
    );
    desk.add("openai", "api-key", "sk-1", &[]);
    desk.add("other", "api-key", "sk-2", &[]);
    assert_eq!(add(&["openai", "--venue", "binance"]), usage("ambiguous"));
    let edit = |more: &[&str]| desk.fails(&[&["edit", "openai", "--secret"], more].concat());
    assert_eq!(edit(&["--name", "other"]), usage("ambiguous"));
    assert_eq!(edit(&["--unset", "nothing"]), usage("not-found"));
    for said in [
        desk.home
            .cli(&["add", "a", "--kind", "api-key", "--tag", "two words"]),
        desk.home
            .cli(&["edit", "openai", "--secret", "--tag", "two words"]),
    ] {
        let said: Value = serde_json::from_slice(&said.stdout).unwrap();
        let what = said["error"]["what"].as_str().unwrap();
        assert!(what.contains("tag that is not one word"), "{what}");
    }
    desk.run(&["lock"]);
    let locked = (3, "locked".to_owned());
    assert_eq!(add(&["a", "--venue", "binance"]), locked);
    assert_eq!(edit(&[]), locked);
    let file = desk.home.path("items.age").display().to_string();
    assert_eq!(desk.fails(&["export", &file]), locked);
    assert_eq!(desk.fails(&["recover", "drill"]), locked);
    let gone = desk.home.path("gone").display().to_string();
    assert_eq!(desk.fails(&["recover", "unlock", &gone]), usage("no-vault"));
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
fn a_passphrase_that_is_guessed_soon_makes_no_vault() {
    let home = Home::new(None);
    let person = Person::sit_down(&home.paths(), None);
    let path = home.path("v.touchkeep");
    let init = |practice: bool| {
        let path = path.display().to_string();
        let more: &[&str] = if practice { &["--practice"] } else { &[] };
        let args = ["init", "--path", path.as_str(), "--recovery", "later"];
        let done = home.cli(&[args.as_slice(), more].concat());
        done.status.code().unwrap()
    };
    for (typed, practice) in [("", true), ("", false), ("fourteen chars", false)] {
        person.mind.lock().unwrap().passphrase = typed.into();
        assert_eq!(init(practice), 2, "{typed:?}");
        assert!(!path.exists(), "{typed:?}");
    }
    person.mind.lock().unwrap().passphrase = "fifteen letters".into();
    assert_eq!(init(false), 0);
    person.mind.lock().unwrap().passphrase = "short".into();
    assert_eq!(
        home.cli(&["device", "enroll", "software"]).status.code(),
        Some(2),
        "nor is it let in later"
    );
}

// What a verb shows on a terminal of so many columns.
fn in_columns(home: &Home, columns: u32, line: &str) -> String {
    let line = format!(
        "stty cols {columns} rows 24; exec {} {line}",
        binary("touchkeep").display()
    );
    let mut terminal = Command::new("script");
    terminal
        .args(["-qfec", &line, "/dev/null"])
        .envs(home.environment())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    let done = terminal.output().unwrap();
    String::from_utf8(done.stdout)
        .unwrap()
        .replace("\r\n", "\n")
}

#[test]
fn an_agent_that_a_command_started_holds_nothing_of_what_the_command_had_open() {
    let mut home = Home::with(&[]);
    home.kill_agent();
    let lock = home.path("lock").display().to_string();
    let mut first = Command::new("bash");
    // With a pipe of ours besides, which ends when nobody has it any more.
    first
        .args([
            "-c",
            "exec flock -n \"$0\" \"$1\" status 7>&1 >/dev/null",
            &lock,
        ])
        .arg(binary("touchkeep"))
        .envs(home.environment())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut first = first.spawn().unwrap();
    let mut pipe = first.stdout.take().unwrap();
    assert!(first.wait().unwrap().success());
    let pid = home.json(&["status"])["pid"].clone();
    let again = Command::new("flock")
        .args(["-n", &lock, "true"])
        .status()
        .unwrap();
    let (tell, told) = mpsc::channel();
    let _reading = thread::spawn(move || {
        let mut rest = Vec::new();
        let _gone = Read::read_to_end(&mut pipe, &mut rest);
        let _ended = tell.send(());
    });
    let ended = told.recv_timeout(Duration::from_secs(5));
    let still = home.json(&["status"])["pid"].clone();
    let _stopped = home.cli(&["agent", "stop"]);
    assert_eq!(pid, still, "one agent all the time");
    assert!(again.success(), "the lock is held");
    assert!(ended.is_ok(), "the pipe is open");
}

#[test]
fn what_is_typed_as_soon_as_a_question_is_there_is_read_and_not_shown() {
    let desk = Desk::set();
    // Each call that changes the terminal takes its time, so that nobody is quick enough by luck.
    let slow = "timeout --foreground 30 strace -f -qq -o /dev/null -e trace=ioctl -e inject=ioctl:delay_enter=50000";
    let line = format!(
        "{slow} {} add typed --kind api-key",
        binary("touchkeep").display()
    );
    let mut terminal = Command::new("script");
    terminal
        .args(["-qfec", &line, "/dev/null"])
        .envs(desk.home.environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut terminal = terminal.spawn().unwrap();
    let shown = answers(&mut terminal, "of typed: ", b"canary-typed\r");
    assert!(terminal.wait().unwrap().success(), "{shown}");
    assert!(
        shown.contains("Stored typed") && !shown.contains("canary"),
        "{shown}"
    );
    assert_eq!(desk.run(&["list"])[0]["name"], "typed");
}

// What a terminal shows until its end, where somebody answers its question at once.
fn answers(terminal: &mut Child, question: &str, answer: &[u8]) -> String {
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let (mut shown, mut byte) = (String::new(), [0; 1]);
    while screen.read(&mut byte).is_ok_and(|count| count == 1) {
        // A letter for a byte.
        shown.push(byte[0].into());
        if shown.ends_with(question) {
            keys.write_all(answer).unwrap();
        }
    }
    shown
}

#[test]
fn a_secret_of_several_lines_is_not_cut_to_its_first_and_no_shell_gets_the_rest() {
    let desk = Desk::set();
    let add = format!(
        "{} add pasted --kind api-key",
        binary("touchkeep").display()
    );
    let line = format!("{add}; echo status $?; IFS= read -r -t 2 rest; echo \"next: <$rest>\"");
    let mut terminal = Command::new("script");
    terminal
        .args(["-qfec", &line, "/dev/null"])
        .envs(desk.home.environment())
        .env("SHELL", "/bin/bash")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut terminal = terminal.spawn().unwrap();
    let shown = answers(
        &mut terminal,
        "of pasted: ",
        b"first-line\rsecond-line\rthird-line\r",
    );
    let _ended = terminal.wait().unwrap();
    assert!(
        shown.contains("--secret-fd") && shown.contains("status 2"),
        "{shown}"
    );
    assert!(
        shown.contains("next: <>") && !shown.contains("-line"),
        "the rest went on: {shown}"
    );
    assert_eq!(desk.run(&["list"]), json!([]));
}

#[test]
fn whatever_ends_a_question_leaves_the_terminal_as_it_was() {
    let desk = Desk::set();
    let program = binary("touchkeep").display().to_string();
    for (signal, verb) in [("TERM", "add x --kind api-key"), ("HUP", "rm openai")] {
        desk.add("openai", "api-key", "sk-1", &[]);
        let line =
            format!("timeout --foreground -s {signal} 5 {program} {verb}; echo ended $?; stty -a");
        let mut terminal = Command::new("script");
        terminal
            .args(["-qfec", &line, "/dev/null"])
            .envs(desk.home.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut terminal = terminal.spawn().unwrap();
        // Nothing is typed, and not the end of all typing either, which would be an answer.
        let shown = answers(&mut terminal, "never asked", b"");
        let _ended = terminal.wait().unwrap();
        let (asked, after) = shown
            .split_once("ended 124")
            .unwrap_or_else(|| panic!("{shown}"));
        assert!(asked.contains(": "), "it came to the question: {asked}");
        for mode in ["icanon", "echo", "isig"] {
            let mut modes = after.split_whitespace();
            assert!(modes.any(|it| it == mode), "{signal}: {after}");
        }
        desk.run(&["rm", "openai", "--forever", "--yes"]);
    }
}

#[test]
fn ctrl_c_at_a_question_is_what_it_is_elsewhere_and_leaves_nothing_half_made() {
    let home = Home::new(None);
    let program = binary("touchkeep").display().to_string();
    let vault = home.path("new.touchkeep");
    let init = format!("{program} init --practice --path {}", vault.display());
    // Esc refuses; Ctrl-C ends.
    for (key, code) in [(b"\x03", 130), (b"\x1b", 1)] {
        let line = format!("{init}; echo ended $?; stty -a");
        let mut terminal = Command::new("script");
        terminal
            .args(["-qfec", &line, "/dev/null"])
            .envs(home.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut terminal = terminal.spawn().unwrap();
        let shown = answers(&mut terminal, "New passphrase: ", key);
        let _ended = terminal.wait().unwrap();
        let ended = format!("ended {code}\r\n");
        let (_, after) = shown
            .split_once(&ended)
            .unwrap_or_else(|| panic!("{shown}"));
        for mode in ["icanon", "echo", "isig"] {
            let mut modes = after.split_whitespace();
            assert!(modes.any(|it| it == mode), "{after}");
        }
        let beside = std::fs::read_dir(vault.parent().unwrap()).unwrap();
        let beside = beside.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let made: Vec<_> = beside
            .filter(|name| name.contains("new.touchkeep"))
            .collect();
        assert_eq!(made, [""; 0]);
        assert_eq!(home.json(&["status"])["unlocked"], false);
    }
}

#[test]
fn what_is_copied_from_a_terminal_has_its_own_lines_and_the_rest_is_broken_well() {
    let desk = Desk::set();
    let policy = desk.run(&["policy", "show"]);
    let text = policy["text"].as_str().unwrap();
    assert!(text.lines().any(|line| line.len() > 60), "{text}");
    let shown = in_columns(&desk.home, 60, "policy show");
    assert_eq!(shown.trim_end(), text.trim_end());
    let note = in_columns(&desk.home, 60, "audit checkpoint");
    let signature = note.lines().find(|line| line.starts_with('—')).unwrap();
    assert_eq!(signature.split(' ').count(), 3, "a signed note: {note}");

    let help = in_columns(&desk.home, 60, "webhook verify --help");
    assert!(
        help.contains("--scheme stripe \\\n      --header"),
        "{help}"
    );
    let examples = help.split_once("Examples:").unwrap().1;
    for line in examples.lines() {
        assert!(line.chars().count() <= 60, "{line}");
    }
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

#[test]
fn a_result_that_could_not_be_written_is_no_success() {
    let desk = Desk::set();
    desk.add("x", "login", "pw", &["--field", "username=u"]);
    let ends = |args: &[&str], to: &str| {
        let mut verb = desk.home.touchkeep();
        verb.args(args).stdin(Stdio::null()).stderr(Stdio::piped());
        verb.stdout(std::fs::OpenOptions::new().write(true).open(to).unwrap());
        let done = verb.output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        (done.status.code(), said)
    };
    for args in [
        &["policy", "show"][..],
        &["audit", "checkpoint"],
        &["list", "--json"],
        &["status"],
        &["completions", "bash"],
        &["audit", "export"],
    ] {
        let (code, said) = ends(args, "/dev/full");
        assert_eq!(code, Some(1), "{args:?}: {said}");
        assert!(said.contains("No space left on device"), "{args:?}: {said}");
        assert_eq!(ends(args, "/dev/null").0, Some(0), "{args:?}");
    }
    // A stream that was closed, and what node and Python open for an output that nobody wants.
    let shell = |line: &str| {
        let program = binary("touchkeep").display().to_string();
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &format!("T={program}; {line}")])
            .envs(desk.home.environment())
            .stdin(Stdio::null());
        let done = shell.output().unwrap();
        (
            done.status.code(),
            String::from_utf8(done.stderr).unwrap() + &String::from_utf8(done.stdout).unwrap(),
        )
    };
    for verb in [
        "list",
        "list --json",
        "status",
        "completions bash",
        "audit export",
        "help add",
        "--help",
        "--version",
        "read tk://prod/x/username",
    ] {
        let (code, said) = shell(&format!("$T {verb} >&-"));
        assert_eq!(code, Some(1), "{verb}: {said}");
        assert!(said.contains("Bad file descriptor"), "{verb}: {said}");
        let unwanted = shell(&format!("$T {verb} 1<>/dev/null"));
        assert_eq!(unwanted, (Some(0), String::new()), "{verb}");
    }
    // What has nothing to say there has lost nothing.
    assert_eq!(shell("$T lock >&-").0, Some(0));
    desk.run(&["unlock"]);
    // Whoever has read enough is no failure.
    let mut verb = desk.home.touchkeep();
    verb.arg("policy")
        .arg("show")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut verb = verb.spawn().unwrap();
    drop(verb.stdout.take());
    let done = verb.wait_with_output().unwrap();
    assert_eq!(
        (done.status.code(), done.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

#[test]
fn with_few_open_files_it_works_or_says_why() {
    let desk = Desk::set();
    let program = binary("touchkeep").display().to_string();
    for (verb, enough) in [("status", 12), ("list", 12), ("agent", 0)] {
        for limit in 4..=14 {
            let mut shell = Command::new("bash");
            let line = format!("ulimit -n {limit}; exec {program} {verb}");
            shell.args(["-c", &line]).stdin(Stdio::null());
            let done = shell.envs(desk.home.environment()).output().unwrap();
            let said = String::from_utf8(done.stderr).unwrap();
            let code = done.status.code();
            let clear = said.contains("Too many open files")
                || said.contains("error while loading")
                || said.contains("another agent runs already");
            assert!(
                code == Some(0) || (matches!(code, Some(1 | 127)) && clear),
                "{verb}, {limit}: {code:?} {said}"
            );
            assert!(
                enough == 0 || limit < enough || code == Some(0),
                "{verb}, {limit}: {said}"
            );
        }
    }
}

#[test]
fn a_home_that_cannot_be_is_not_passed_over_for_the_usual_one() {
    let desk = Desk::set();
    let elsewhere = desk.home.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let long = elsewhere.join("x".repeat(120)).display().to_string();
    for (named, what, fix) in [
        (
            "demo",
            "TOUCHKEEP_HOME is no absolute path",
            "by its whole path",
        ),
        (&long, "must be shorter than SUN_LEN", "Name a shorter one"),
    ] {
        for args in [&["status"][..], &["read", "tk://prod/openai/secret"]] {
            let mut verb = desk.home.touchkeep();
            verb.args(args).current_dir(&elsewhere);
            verb.env("TOUCHKEEP_HOME", named).env("HOME", &elsewhere);
            for name in [
                "XDG_RUNTIME_DIR",
                "XDG_DATA_HOME",
                "XDG_STATE_HOME",
                "XDG_CONFIG_HOME",
            ] {
                verb.env_remove(name);
            }
            let done = verb.output().unwrap();
            let said = String::from_utf8(done.stderr).unwrap();
            assert_eq!(done.status.code(), Some(1), "{said}");
            assert!(said.contains(what) && said.contains(fix), "{said}");
        }
    }
    assert!(!elsewhere.join(".local").exists() && !elsewhere.join("demo").exists());
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
fn a_policy_is_checked_explained_and_edited() {
    let desk = Desk::set();
    let file = desk.home.path("policy.toml");
    let file = file.to_str().unwrap().to_owned();
    std::fs::write(
        &file,
        "[[rule]]\nname = \"x\"\nvenues = [\"Binance\"]\naction = \"deny\"\n",
    )
    .unwrap();
    let checked = desk.home.cli(&["policy", "check", &file]);
    assert_eq!(checked.status.code(), Some(1), "findings");
    let said: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(said["findings"][0]["what"], "unknown-venue");
    assert_eq!(said["changes"]["added"], json!(["x"]));
    let checked = desk
        .home
        .touchkeep()
        .args(["policy", "check", file.as_str()])
        .output();
    let shown = String::from_utf8(checked.unwrap().stdout).unwrap();
    assert!(
        shown.contains("Beside the policy in force, 1 rule added, ")
            && shown.contains("\n  \"x\" is new and says deny"),
        "{shown}"
    );
    std::fs::write(&file, "[[rule]]\nname = 1").unwrap();
    let checked = desk.home.cli(&["policy", "check", &file]);
    assert_eq!(checked.status.code(), Some(1), "it cannot be read");
    assert_eq!(
        desk.fails(&["policy", "check", "/no/such/file"]),
        (2, "invalid".into())
    );
    assert_eq!(desk.fails(&["policy", "set", &file]), (2, "invalid".into()));
    assert_eq!(
        desk.fails(&["policy", "edit"]),
        (2, "invalid".into()),
        "nobody is there"
    );
    assert_eq!(desk.home.cli(&["policy", "explain"]).status.code(), Some(2));

    // An editor that others have made, which changes one word.
    let edit = |with: &str| {
        let mut verb = desk.home.touchkeep();
        verb.args(["policy", "edit"])
            .env("EDITOR", with)
            .env_remove("VISUAL");
        verb.stdin(Stdio::null()).output().unwrap()
    };
    let policy = || {
        desk.home.json(&["policy", "show"])["text"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let before = policy();
    let same = edit("true");
    assert!(
        same.status.success()
            && String::from_utf8_lossy(&same.stderr).contains("Nothing was changed.")
    );
    let failed = edit("false");
    assert_eq!((failed.status.code(), policy()), (Some(2), before.clone()));
    let edited = edit("sed -i 's/^requests_per_minute = 1200$/requests_per_minute = 600/'");
    let said = String::from_utf8(edited.stderr).unwrap();
    assert!(edited.status.success(), "{said}");
    assert!(
        said.contains("- requests_per_minute = 1200\n+ requests_per_minute = 600\n"),
        "{said}"
    );
    assert!(
        said.contains(
            "In short: 1 rule changed; \"reads\": requests_per_minute was 1200 and becomes 600."
        ),
        "{said}"
    );
    assert_eq!(
        policy(),
        before.replacen("requests_per_minute = 1200", "requests_per_minute = 600", 1)
    );

    let explained = desk
        .home
        .touchkeep()
        .args([
            "policy", "explain", "--kind", "trade", "--symbol", "BTCUSDT", "--amount", "0.02",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8(explained.stdout).unwrap();
    for line in [
        "Place order 0.02 BTCUSDT on Binance",
        "small BTC trades  floor over max_amount: nothing below is milder than allow",
        "max_amount 0.01: this has 0.02",
        "A person is asked: rule \"other trades\".",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let market = |venue: &str, name: &str| {
        let asked = ["policy", "explain", "--kind", "trade", "--venue", venue];
        let asked = [&asked[..], &["--symbol", name]].concat();
        let said = desk.home.touchkeep().args(asked).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        said.contains(&format!("{name:?} is how ccxt writes a market"))
    };
    assert!(market("binance", "BTC/USDT"));
    assert!(!market("binance", "BTCUSDT") && !market("kraken", "XBT/USD"));
}

const COLOURFUL: &str = "xterm-256color";

// In a terminal of its own, so that colours are wanted.
fn on_a_terminal(home: &Home, args: &[&str], no_color: &str, term: &str) -> String {
    let line = [&["exec", "$TK"], args].concat().join(" ");
    let done = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .envs(home.environment())
        .env("TK", home.touchkeep().get_program())
        .env("TERM", term)
        .env("NO_COLOR", no_color)
        .output()
        .unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let desk = Desk::set();
    desk.add("openai", "api-key", "sk-1", &["--rotate-after-days", "90"]);
    let policy = desk.home.path("policy.toml").display().to_string();
    std::fs::write(&policy, "nonsense").unwrap();
    let verbs: [&[&str]; 28] = [
        &["status"],
        &["doctor"],
        &["list"],
        &["list", "nothing-like-it"],
        &["show", "openai"],
        &["show", "no-such-item"],
        &["history", "openai"],
        &["trash"],
        &["remind"],
        &["env", "list"],
        &["proxy", "list"],
        &["grant", "list"],
        &["policy", "show"],
        &["policy", "check", &policy],
        &["policy", "check"],
        &["policy", "replay"],
        &["policy", "explain", "--kind", "withdraw", "--amount", "1"],
        &["venue", "list"],
        &["venue", "show", "kraken"],
        &["audit", "list"],
        &["audit", "show", "1"],
        &["audit", "verify"],
        &["audit", "checkpoint"],
        &["device", "list"],
        &["device", "keys-for", "kraken"],
        &["recover", "list"],
        &["backup", "list"],
        &["--help"],
    ];
    let mut coloured = 0;
    for verb in verbs {
        let piped = desk.home.touchkeep().args(verb).output().unwrap();
        let plain = [piped.stdout, piped.stderr].concat();
        assert!(!plain.contains(&0x1b), "{verb:?} into a pipe");
        let shown = on_a_terminal(&desk.home, verb, "1", COLOURFUL);
        assert!(
            !shown.is_empty() && !shown.contains('\u{1b}'),
            "{verb:?}: {shown:?}"
        );
        let shown = on_a_terminal(&desk.home, verb, "", COLOURFUL);
        coloured += usize::from(shown.contains("\u{1b}["));
    }
    let dumb = on_a_terminal(&desk.home, &["status"], "", "dumb");
    assert!(
        dumb.contains("open") && !dumb.contains('\u{1b}'),
        "{dumb:?}"
    );
    assert!(coloured > 8, "{coloured} use colours where nobody minds");
}

#[test]
fn every_verb_has_examples_and_a_page() {
    let home = Home::new(None);
    let folder = home.path("man");
    std::fs::create_dir(&folder).unwrap();
    let done = home.touchkeep().arg("man").arg(&folder).output().unwrap();
    assert!(done.status.success());
    let help = home.touchkeep().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let verbs = listed_in(&help);
    assert!(verbs.len() > 25 && verbs.contains(&"history"), "{verbs:?}");
    for verb in verbs.into_iter().filter(|verb| *verb != "help") {
        let page = std::fs::read_to_string(folder.join(format!("touchkeep-{verb}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{verb}");
        assert!(page.contains(".SH EXAMPLES\n.nf\n"), "{verb}: {page}");
        assert!(!page.contains("EXTRA"), "{verb}: {page}");
        let title = page.lines().find(|line| line.starts_with(".TH "));
        assert!(title.unwrap().contains("\"touchkeep "), "{verb}: {page}");
        let help = home.touchkeep().args([verb, "--help"]).output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        assert!(help.contains("Examples:"), "{help}");
        assert!(!help.contains('\u{1b}'));
    }
    let page =
        |verb: &str| std::fs::read_to_string(folder.join(format!("touchkeep-{verb}.1"))).unwrap();
    // What is copied from a page is what was meant: a straight quote, and a hyphen that is none of typography.
    let helper = "\\(aq!touchkeep credential git \\-\\-host github.com";
    assert!(
        page("credential").contains(helper),
        "{}",
        page("credential")
    );
    let synopsis = "touchkeep run [OPTIONS] \\-\\- <CMD>...";
    assert!(page("run").contains(synopsis), "{}", page("run"));
    assert!(page("run").contains(".SH \"EXIT STATUS\""));
}

#[test]
fn a_long_name_spoils_no_list_and_a_narrow_terminal_has_a_line_for_each_fact() {
    let desk = Desk::set();
    let long = "n".repeat(500);
    for name in ["alpha", "beta", "gamma", "delta", &long] {
        desk.add(name, "api-key", "sk-1", &[]);
    }
    let wide = in_columns(&desk.home, 80, "list");
    let rest: Vec<&str> = wide.lines().filter(|line| !line.contains("nnn")).collect();
    assert!(rest.iter().all(|line| line.len() <= 80), "{wide}");
    // The head, four rows, and the rest of the long one's.
    assert_eq!(rest.len(), 6, "{wide}");
    assert!(wide.lines().any(|line| line == long), "{wide}");
    desk.run(&["rm", &long, "--forever", "--yes"]);
    let key = [
        "add",
        "trade",
        "--venue",
        "binance",
        "--class",
        "trade",
        "--api-key",
        "abcdefghijkl",
    ];
    desk.run_with(&[&key[..], &["--secret-fd", "0"]].concat(), "secret");
    let narrow = in_columns(&desk.home, 40, "list");
    assert!(narrow.lines().all(|line| line.len() <= 40), "{narrow}");
    assert!(
        narrow.contains("NAME     trade\nKIND     exchange-key\nVENUE    binance\n"),
        "{narrow}"
    );
    let piped = desk.home.touchkeep().arg("list").output().unwrap();
    let piped = String::from_utf8(piped.stdout).unwrap();
    assert_eq!(
        piped.lines().count(),
        6,
        "a script has a row a line: {piped}"
    );
}

#[test]
fn a_command_that_is_proposed_can_be_typed_as_it_stands() {
    let desk = Desk::set();
    let cli = binary("touchkeep");
    let path = format!(
        "{}:{}",
        cli.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    for name in ["two words", "it's", "$(touch x)", "🔑 main"] {
        desk.add(name, "api-key", "sk-1", &[]);
        let said = desk
            .home
            .touchkeep()
            .args(["rm", name, "--yes"])
            .output()
            .unwrap();
        let said = String::from_utf8(said.stderr).unwrap();
        let (_, proposed) = said.trim_end().rsplit_once("Take it back: ").unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", proposed]).env("PATH", &path);
        let typed = shell.envs(desk.home.environment()).output().unwrap();
        assert!(typed.status.success(), "{proposed}: {typed:?}");
        assert_eq!(desk.run(&["list"])[0]["name"], name);
        desk.run(&["rm", name, "--forever", "--yes"]);
    }
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
fn names_from_outside_are_shown_wherever_they_stand_so_that_nothing_of_them_acts() {
    let desk = Desk::set();
    desk.run(&["proxy", "add", "ab", "--webhooks"]);
    let listed = desk.home.touchkeep().args(["proxy", "list"]).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    assert!(
        listed.contains(" webhooks ") && !listed.contains("everything"),
        "{listed}"
    );
    desk.add("rpc\u{202e}", "api-key", "k", &[]);
    for verb in ["list", "proxy add c\u{202e}d --webhooks"] {
        let verb = verb.split(' ');
        let done = desk.home.touchkeep().args(verb).output().unwrap();
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        assert!(
            said.contains("\\u{202e}") && !said.contains('\u{202e}'),
            "{said}"
        );
    }
}

#[test]
fn where_there_is_no_vault_that_is_said_and_not_that_it_is_locked() {
    let home = Home::new(None);
    let none = |args: &[&str]| {
        let done = home.cli(args);
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        let error = &said["error"];
        assert_eq!(
            (done.status.code(), error["code"].as_str()),
            (Some(2), Some("no-vault")),
            "{args:?}: {said}"
        );
        assert!(
            error["fix"].as_str().unwrap().contains("touchkeep init"),
            "{said}"
        );
    };
    for args in [
        &["list"][..],
        &["show", "a"],
        &["env", "list"],
        &["policy", "show"],
        &["proxy", "list"],
        &["grant", "list"],
        &["remind"],
        &["arm", "8h"],
        &["read", "tk://prod/a/secret"],
        &["unlock"],
        &["audit", "list"],
        &["trash"],
    ] {
        none(args);
    }
    let run = ["run", "--", "sh", "-c", "exit 9"];
    let run = home
        .touchkeep()
        .args(run)
        .env("A", "tk://prod/a/secret")
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(125));
    assert!(
        String::from_utf8_lossy(&run.stderr).contains("touchkeep init"),
        "{run:?}"
    );
}

#[test]
fn who_is_waited_for_is_said_where_there_is_no_terminal_and_no_front_end_pretends_to_be_there() {
    let desk = Desk::set();
    let _locked = desk.home.json(&["lock"]);
    let Desk { home, person } = desk;
    drop(person);
    let cli = binary("touchkeep");
    let mut alone = Command::new("setsid");
    alone
        .arg(&cli)
        .arg("unlock")
        .envs(home.environment())
        .env_remove(VAULT_VARIABLE);
    let mut alone = alone
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = std::io::BufReader::new(alone.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    alone.kill().unwrap();
    let _ended = alone.wait().unwrap();
    assert!(
        line.contains("a passphrase (Unlock the vault)") && line.contains("touchkeep approve"),
        "{line}"
    );
    let mut approving = Command::new("setsid");
    approving
        .args(["timeout", "20"])
        .arg(&cli)
        .arg("approve")
        .envs(home.environment());
    let done = approving.stdin(Stdio::null()).output().unwrap();
    assert_eq!(done.status.code(), Some(2), "{done:?}");
    assert!(
        String::from_utf8_lossy(&done.stderr).contains("at a terminal"),
        "{done:?}"
    );
}

#[test]
fn a_passphrase_for_an_export_is_long_enough_before_it_is_typed_again() {
    let desk = Desk::set();
    desk.add("openai", "api-key", "sk-1", &[]);
    let file = desk.home.path("items.age");
    let line = format!(
        "{} export {}",
        binary("touchkeep").display(),
        file.display()
    );
    let mut terminal = Command::new("script");
    terminal
        .args(["-qfec", &line, "/dev/null"])
        .envs(desk.home.environment());
    let mut terminal = terminal
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let mut typed = [
        "short\r",
        "long enough it is\r",
        "another one here\r",
        "long enough it is\r",
        "long enough it is\r",
    ]
    .iter();
    let (mut shown, mut byte) = (Vec::new(), [0; 1]);
    while screen.read(&mut byte).is_ok_and(|count| count == 1) {
        shown.push(byte[0]);
        if shown.ends_with(b"or more: ") || shown.ends_with(b"Once more: ") {
            keys.write_all(typed.next().unwrap().as_bytes()).unwrap();
        }
    }
    let shown = String::from_utf8_lossy(&shown);
    assert!(terminal.wait().unwrap().success(), "{shown}");
    assert_eq!(
        shown.matches("fewer than 12 characters").count(),
        1,
        "{shown}"
    );
    assert_eq!(shown.matches("They differ").count(), 1, "{shown}");
    assert!(file.exists(), "{shown}");
}

// The agent was started from a shell that means a vault. Whoever is shown its questions is shown its vault.
#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_that_the_agent_starts_means_the_vault_that_the_agent_has() {
    let Desk { mut home, person } = Desk::set();
    let vault = home.path("v.touchkeep").display().to_string();
    drop(person);
    home.kill_agent();
    let program = home.path("desktop");
    let said = home.path("desktop.said");
    std::fs::write(
        &program,
        "#!/bin/sh\nenv > \"$0.part\" && mv \"$0.part\" \"$0.said\"\n",
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    home.set("DISPLAY", ":77");
    home.set("TOUCHKEEP_DESKTOP", program.to_str().unwrap());
    home.set(VAULT_VARIABLE, "/some/other.touchkeep");
    home.start_agent();
    let socket = home.paths().agent_socket();
    let client = touchkeep_client::Connection::connect(&socket, "test")
        .await
        .unwrap();
    let unlock = touchkeep_wire::UnlockVault {
        path: Some(vault),
        device: None,
    };
    let asked = tokio::spawn(async move { client.call(unlock).await });
    let said = wait_for("the desktop", || std::fs::read_to_string(&said).ok());
    assert!(
        said.contains("TOUCHKEEP_DESKTOP=") && !said.contains(VAULT_VARIABLE),
        "{said}"
    );
    asked.abort();
}

#[test]
fn nothing_is_done_with_another_vault_than_the_one_that_is_meant() {
    let mut desk = Desk::set();
    desk.add("openai", "api-key", "sk-1", &[]);
    let place = |name: &str| desk.home.path(name).display().to_string();
    let (here, there, link) = (place("v.touchkeep"), place("w.touchkeep"), place("link"));
    std::os::unix::fs::symlink(&here, &link).unwrap();
    let reference = "tk://prod/openai/secret";
    let items = |desk: &Desk, more: &[&str]| {
        let listed = desk.run(&[&["list"], more].concat());
        listed.as_array().unwrap().len()
    };
    let refused = (1, "not-permitted".to_owned());

    assert_eq!(items(&desk, &["--vault", &here]), 1);
    assert_eq!(items(&desk, &["--vault", &link]), 1);
    assert_eq!(desk.fails(&["list", "--vault", &there]), refused);
    assert_eq!(desk.fails(&["read", reference, "--vault", &there]), refused);

    desk.home.set(VAULT_VARIABLE, &there);
    assert_eq!(desk.fails(&["list"]), refused);
    assert_eq!(desk.fails(&["read", reference]), refused);
    let removed = desk.fails(&["rm", "openai"]);
    assert_eq!(removed, refused);
    assert_eq!(desk.run(&["status"])["path"], *here);

    // By another path it is the same, and open: nobody is asked, and nothing ends.
    let asked = desk.person.was_asked().len();
    desk.run(&["unlock", &link]);
    assert_eq!(desk.person.was_asked().len(), asked);
    assert_eq!(desk.run(&["status"])["path"], *here);

    // A device that is not there, a name that was mistyped, and a file that is no vault lock nothing.
    std::fs::copy(&here, &there).unwrap();
    let absent = desk.fails(&["unlock", &there, "--device", "12345678"]);
    assert_eq!(absent, (3, "no-device".to_owned()));
    assert_eq!(desk.run(&["status"])["unlocked"], true);
    std::fs::write(&there, "no vault").unwrap();
    assert_eq!(
        desk.fails(&["unlock", "/nonexistent"]),
        (2, "no-vault".to_owned())
    );
    assert_eq!(desk.fails(&["unlock", &there]), (4, "damaged".to_owned()));
    for verb in ["unlock", "merge"] {
        let done = desk.home.cli(&[verb, &there, "--vault", &here]);
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        let what = said["error"]["what"].as_str().unwrap();
        assert!(
            what.contains("is no Touchkeep vault: it is a text"),
            "{what}"
        );
        assert!(what.contains(&there), "{what}");
    }
    std::fs::remove_file(&there).unwrap();
    let status = desk.run(&["status"]);
    assert_eq!(
        (&status["path"], &status["unlocked"]),
        (&json!(here), &json!(true))
    );

    // It is the one that is made, and the one that is opened.
    desk.run(&["init", "--practice", "--work-factor", "10"]);
    assert_eq!(desk.run(&["status"])["path"], *there);
    assert_eq!(items(&desk, &[]), 0);
    desk.run(&["unlock", "--vault", &here]);
    assert_eq!(items(&desk, &["--vault", &here]), 1);
    assert_eq!(desk.fails(&["list"]), refused);
    desk.run(&["unlock"]);
    assert_eq!(items(&desk, &[]), 0);
}
