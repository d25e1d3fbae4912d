//! What a person is told names what he typed, as he typed it: in quotes, with no sign escaped that can be shown, and none twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

use std::{
    cell::RefCell,
    io::Write,
    process::{Output, Stdio},
};

use serde_json::Value;
use touchkeep_tests::{Home, Person};

/// Names as people give them, and how they stand in a sentence: a backslash is two, and nothing else is another.
const NAMES: [(&str, &str); 5] = [
    (r#"caf"é"#, r#""caf"é""#),
    (r"back\slash", r#""back\\slash""#),
    ("漢字", r#""漢字""#),
    ("🔑 main", r#""🔑 main""#),
    (r#"é "\" 漢🔑"#, r#""é "\\" 漢🔑""#),
];

struct Desk {
    home: Home,
    _person: Person,
    // What was said otherwise: all of it is told at the end.
    wrong: RefCell<Vec<String>>,
}

impl Desk {
    fn set() -> Self {
        let home = Home::new(None);
        let person = Person::sit_down(&home.paths(), None);
        let path = home.path("v.touchkeep").display().to_string();
        let _made = home.json(&["init", "--practice", "--path", &path, "--work-factor", "10"]);
        Self {
            home,
            _person: person,
            wrong: RefCell::default(),
        }
    }

    fn run(&self, args: &[&str]) {
        let _done = self.home.json(args);
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    // What a person reads of a verb that fails, and what a script does.
    fn refused(&self, args: &[&str]) -> [String; 2] {
        let told = self.told(args);
        let said: Value = serde_json::from_slice(&self.home.cli(args).stdout).unwrap_or_default();
        let what = said["error"]["what"].as_str().unwrap_or_default();
        [told, what.to_owned()]
    }

    // The same where a verb passes its document on to others.
    fn told(&self, args: &[&str]) -> String {
        let (done, told) = self.shown(args);
        assert!(!done.status.success(), "touchkeep {args:?}: {told}");
        told
    }

    fn shown(&self, args: &[&str]) -> (Output, String) {
        let mut command = self.home.touchkeep();
        let mut child = command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"").unwrap();
        let done = child.wait_with_output().unwrap();
        let told = [done.stdout.clone(), done.stderr.clone()].concat();
        (done, String::from_utf8(told).unwrap())
    }

    // Whether a verb that fails says these words.
    fn names(&self, words: &str, args: &[&str]) {
        for said in self.refused(args) {
            self.says(words, args, &said);
        }
    }

    fn says(&self, words: &str, args: &[&str], said: &str) {
        if !said.contains(words) {
            let wrong = format!("touchkeep {args:?} says no {words}: {said}");
            self.wrong.borrow_mut().push(wrong);
        }
    }

    fn done(self) {
        let wrong = self.wrong.take();
        assert!(
            wrong.is_empty(),
            "{} times:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

fn inner(shown: &str) -> &str {
    let inner = shown.strip_prefix('"');
    inner.and_then(|rest| rest.strip_suffix('"')).unwrap()
}

// The same name with something around it.
fn within(before: &str, shown: &str, after: &str) -> String {
    format!("\"{before}{}{after}\"", inner(shown))
}

#[test]
fn items_and_environments_are_named_as_they_were_typed() {
    let desk = Desk::set();
    for (name, shown) in NAMES {
        let names = |args: &[&str]| desk.names(shown, args);
        names(&["show", name]);
        desk.names(
            &within("tk://", shown, ""),
            &["show", &format!("tk://{name}")],
        );
        let secret = ["--secret-fd", "0"];
        let add = |args: &[&str]| desk.home.json_with(&[args, &secret[..]].concat(), "s3cret");
        let _added = add(&["add", name, "--kind", "api-key"]);
        names(&["add", name, "--kind", "api-key", "--secret-fd", "0"]);
        let blank = [
            "add",
            &format!("{name} "),
            "--kind",
            "api-key",
            "--secret-fd",
            "0",
        ];
        desk.names(&within("", shown, " "), &blank);
        names(&["edit", name, "--set", &format!("{name}=x")]);
        names(&["edit", name, "--set", &format!("rotate-after-days={name}")]);
        names(&["device", "reseal", name]);
        let key = |item: &str| {
            let item = format!("{name} {item}");
            ["add", &item, "--kind", "exchange-key", "--venue", "binance"].map(str::to_owned)
        };
        let more = ["--class", "trade", "--key-set", name, "--api-key", "k"];
        let all = |item: &str| {
            let more = more.map(str::to_owned);
            [&key(item)[..], &more[..]].concat()
        };
        let first = all("1");
        let _key = add(&first.iter().map(String::as_str).collect::<Vec<_>>());
        let second = [&all("2")[..], &secret.map(str::to_owned)[..]].concat();
        names(&second.iter().map(String::as_str).collect::<Vec<_>>());
        desk.run(&["rm", name, "--yes"]);
        names(&["rm", name, "--yes"]);

        desk.run(&["env", "add", name]);
        names(&["env", "add", name]);
        names(&["env", "rename", name, name]);
    }
    desk.done();
}

#[test]
fn clients_devices_and_rules_are_named_as_they_were_typed() {
    let desk = Desk::set();
    for (at, (name, shown)) in NAMES.into_iter().enumerate() {
        let names = |args: &[&str]| desk.names(shown, args);
        names(&["proxy", "revoke", name]);
        names(&["proxy", "add", name, "--key-set", name]);
        names(&["proxy", "add", name, "--venue", name]);
        names(&["proxy", "add", name, "--kind", name]);
        desk.run(&["proxy", "add", name, "--webhooks"]);
        names(&["proxy", "add", name, "--webhooks"]);
        names(&["device", "retire", name, "--yes"]);
        let rows = ["audit", "list", "--client", name];
        desk.says(&format!("[{}]", inner(shown)), &rows, &desk.shown(&rows).1);
        names(&["venue", "show", name]);

        let text = serde_json::to_string(name).unwrap();
        let rule = format!("[[rule]]\nname = {text}\n");
        let deny = format!("{rule}action = \"deny\"\n");
        let mild = format!("{rule}action = \"allow\"\nkinds = [\"withdraw\"]\n");
        for (is, policy) in [("twice", format!("{deny}{deny}")), ("mild", mild)] {
            let file = desk.file(&format!("{is}-{at}.toml"), &policy);
            let check = ["policy", "check", &file];
            desk.says(shown, &check, &desk.told(&check));
            names(&["policy", "set", &file]);
        }
        // What is strange about a policy is no failure, and names the rule and what stands in it.
        let odd = format!(
            "{deny}{}action = \"deny\"\nclients = [{other}]\nvenues = [{other}]\nkey_sets = [{other}]\n",
            "[[rule]]\nname = \"later\"\n",
            other = serde_json::to_string(&format!("{name}2")).unwrap()
        );
        let file = desk.file(&format!("odd-{at}.toml"), &odd);
        let (_, told) = desk.shown(&["policy", "check", &file]);
        let other = within("", shown, "2");
        for words in [
            format!("{shown} decides before it"),
            format!("no client is called {other}"),
            format!("no key is in a set {other}"),
            format!("no venue is called {other}"),
            format!(
                "\"{}\" is new and says deny for everything",
                inner(shown).replace('"', "\\u{22}")
            ),
        ] {
            desk.says(&words, &["policy", "check"], &told);
        }
        desk.run(&["policy", "set", &file]);
        let explained = ["policy", "explain", "--venue", "binance", "--kind", "trade"];
        let (_, told) = desk.shown(&explained);
        desk.says(&format!("rule {shown}."), &explained, &told);
    }
    desk.done();
}

#[test]
fn files_programs_and_words_are_named_as_they_were_typed() {
    let desk = Desk::set();
    for (name, shown) in NAMES {
        let names = |args: &[&str]| desk.names(shown, args);
        let tells = |args: &[&str]| desk.says(shown, args, &desk.told(args));
        names(&["audit", "list", "--since", name]);
        names(&["audit", "list", "--kind", name]);
        names(&[
            "init",
            "--device",
            name,
            "--path",
            "/nowhere/v.touchkeep",
            "--recovery",
            "later",
        ]);
        tells(&["run", "--", name]);
        tells(&["credential", "docker", "--registry", name, "list"]);
        tells(&[
            "credential",
            "docker",
            "--registry",
            &format!("={name}"),
            "get",
        ]);
        tells(&["run", "--mount", name, "--", "true"]);
        let env = desk.file("one.env", "A=b\n");
        names(&[
            "import",
            &env,
            "--dry-run",
            "--map",
            &format!("{name}.kind=login"),
        ]);
        names(&[
            "import",
            &env,
            "--dry-run",
            "--map",
            &format!("x.kind={name}"),
        ]);
        names(&["import", &env, "--dry-run", "--map", &format!("x.{name}=y")]);
        names(&["import", &env, "--dry-run", "--format", name]);
        names(&[
            "webhook", "verify", "--scheme", "github", "x", "--header", name,
        ]);

        // A path has its folder in front.
        let path = desk.home.path(name).display().to_string();
        let place = shown.trim_start_matches('"');
        for args in [
            &["recover", "unlock", &path, "--words-fd", "0"][..],
            &["unlock", "--vault", &path][..],
        ] {
            for said in desk.refused(args) {
                desk.says(&format!("/{place}"), args, &said);
            }
        }
        std::fs::write(&path, "no vault").unwrap();
        for said in desk.refused(&["unlock", "--vault", &path]) {
            desk.says(&format!("/{place} is no"), &["unlock"], &said);
        }
    }
    desk.done();
}
