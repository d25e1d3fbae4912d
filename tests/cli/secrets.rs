//! How a secret gets in: whole, from where it is given, good enough, and asked for only where it can be stored.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use touchkeep_tests::{Home, Person, binary};

use crate::desk::{Desk, with_stdin};

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
