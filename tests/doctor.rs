//! `touchkeep doctor`, told the truth by real things: a pcscd that is there, is not, or is kept busy; cards in every state;
//! modules that work, changed, hang and may not be loaded; files that are open to others; an agent that cannot be reached.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::{
    env,
    ffi::CString,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use touchkeep_tests::{
    Bus, Card, Dunst, Home, Person, Running, Screen, binary, installed_in, wait_for,
};

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// What the test person types.
const PIN: &str = "294173";
const ROLE: &str = "TOUCHKEEP_TEST_ROLE";

/// What the doctor said.
struct Said {
    findings: Vec<Value>,
    code: i32,
    text: String,
}

impl Said {
    /// The findings of this name, as level, sentence and advice.
    fn all(&self, id: &str) -> Vec<(&str, &str, &str)> {
        let of_it = self.findings.iter().filter(|finding| finding["id"] == id);
        of_it.map(parts_of).collect()
    }

    /// The one finding of this name.
    fn one(&self, id: &str) -> (&str, &str, &str) {
        let all = self.all(id);
        assert_eq!(all.len(), 1, "{id}: {}", self.text);
        all[0]
    }

    fn level(&self, id: &str) -> &str {
        self.one(id).0
    }

    fn facts(&self, id: &str, name: &str) -> Vec<String> {
        let of_it = self.findings.iter().filter(|finding| finding["id"] == id);
        let facts = of_it.flat_map(|finding| finding["facts"].as_array().unwrap());
        let named = facts.filter(|fact| fact[0] == name);
        named
            .map(|fact| fact[1].as_str().unwrap().to_owned())
            .collect()
    }
}

fn parts_of(finding: &Value) -> (&str, &str, &str) {
    let part = |name: &str| finding[name].as_str().unwrap();
    (part("level"), part("what"), part("fix"))
}

fn asked(home: &Home) -> Said {
    said(home.touchkeep())
}

fn said(mut touchkeep: Command) -> Said {
    let output = touchkeep
        .args(["doctor", "--json"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let read: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    let said = Said {
        findings: read["findings"].as_array().unwrap().clone(),
        code: output.status.code().unwrap(),
        text,
    };
    for finding in &said.findings {
        let (_, what, fix) = parts_of(finding);
        assert!(what.ends_with('.') && !what.starts_with("the "), "{what}");
        assert!(!what.contains('\n') && !fix.contains('\n'), "{finding}");
    }
    let sick = said
        .findings
        .iter()
        .any(|finding| finding["level"] == "problem");
    assert_eq!(said.code, i32::from(sick), "{}", said.text);
    said
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// This test's own program in a role, so that pcsc-lite (one socket per process) looks at the card's pcscd.
fn in_role(test: &str, role: &str, program: &Path, card: &Card) -> Child {
    let mut child = Command::new(program)
        .args([test, "--exact", "--nocapture"])
        .env(ROLE, role)
        .env("PCSCLITE_CSOCK_NAME", &card.pcscd)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("done")));
    child
}

fn ended(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

fn connected(share: pcsc::ShareMode) -> pcsc::Card {
    let context = pcsc::Context::establish(pcsc::Scope::System).unwrap();
    let readers = context.list_readers_owned().unwrap();
    let name = CString::new(readers[0].to_bytes()).unwrap();
    context.connect(&name, share, pcsc::Protocols::ANY).unwrap()
}

/// Keeps the card, in a way, until standard input ends.
fn keep(role: &str) {
    let share = match role {
        "exclusive" => pcsc::ShareMode::Exclusive,
        _ => pcsc::ShareMode::Shared,
    };
    let mut card = connected(share);
    let transaction = (role == "transaction").then(|| card.transaction().unwrap());
    std::io::stdout().write_all(b"\ndone\n").unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(transaction);
    card.disconnect(pcsc::Disposition::LeaveCard)
        .map_err(|(_, error)| error)
        .unwrap();
}

/// Presents a wrong PIN this often (NIST SP 800-73-4, 3.2.1).
fn mistype(times: usize) {
    let card = connected(pcsc::ShareMode::Shared);
    let send = |apdu: &[u8]| card.transmit(apdu, &mut [0; 258]).unwrap().to_vec();
    assert!(send(&[0, 0xa4, 4, 0, 5, 0xa0, 0, 0, 3, 8]).ends_with(&[0x90, 0]));
    for _ in 0..times {
        send(&[
            0, 0x20, 0, 0x80, 8, 0x39, 0x39, 0x39, 0x39, 0x39, 0x39, 0xff, 0xff,
        ]);
    }
    std::io::stdout().write_all(b"\ndone\n").unwrap();
}

/// A SoftHSM of this test's own: its configuration.
fn softhsm(home: &Home) -> String {
    assert!(
        Path::new(SOFTHSM).exists(),
        "SoftHSM 2 is missing: apt install softhsm2"
    );
    let (tokens, config) = (home.path("tokens"), home.path("softhsm2.conf"));
    fs::create_dir(&tokens).unwrap();
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    fs::write(&config, text).unwrap();
    let made = Command::new("softhsm2-util")
        .args([
            "--init-token",
            "--free",
            "--label",
            "doctor",
            "--so-pin",
            "12345678",
            "--pin",
            PIN,
        ])
        .env("SOFTHSM2_CONF", &config)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    config.display().to_string()
}

/// A library that is no module as it should be.
fn module(folder: &Path, name: &str, source: &str) -> PathBuf {
    let path = folder.join(name);
    let mut cc = Command::new("cc")
        .args(["-shared", "-fPIC", "-x", "c", "-", "-o"])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    cc.stdin
        .take()
        .unwrap()
        .write_all(source.as_bytes())
        .unwrap();
    assert!(cc.wait().unwrap().success());
    path
}

fn configure(home: &mut Home, modules: &[&Path]) {
    home.kill_agent();
    let text = format!("[device.pkcs11]\nmodules = {modules:?}\n");
    fs::write(home.paths().config, text).unwrap();
    home.start_agent();
}

#[test]
fn without_pcscd_it_says_what_to_do_and_ends_with_one() {
    let home = Home::new(None);
    let said = asked(&home);
    let (level, what, fix) = said.one("pcscd.socket");
    assert_eq!((level, said.code), ("problem", 1));
    assert!(what.contains("not running"), "{what}");
    // It was set for this test, and leads to nowhere: that is what has to be said.
    assert!(fix.contains("PCSCLITE_CSOCK_NAME"), "{fix}");
    assert_eq!(said.level("agent.reach"), "ok");
    assert_eq!(said.level("vault.file"), "note");
    assert_eq!(said.facts("agent.version", "protocol"), ["7"]);
    assert_eq!(
        said.facts("agent.reach", "process"),
        [home.agent_pid().to_string()]
    );
}

#[test]
fn a_person_reads_the_worst_first_in_eighty_columns_and_the_sum_last() {
    let home = Home::new(None);
    let output = home.touchkeep().arg("doctor").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("✗ pcscd.socket  "), "{text}");
    assert!(text.trim_end().ends_with(" in order."), "{text}");
    assert!(
        text.lines().last().unwrap().starts_with("1 problem, "),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "no colour where nobody sees it");
    let long = text.lines().filter(|line| line.chars().count() > 80);
    for line in long {
        assert!(
            !line.trim().contains(' ') || line.contains('/'),
            "only a path is longer: {line}"
        );
    }
}

#[test]
fn colour_says_the_level_on_a_terminal_unless_it_is_not_wanted() {
    let home = Home::new(None);
    let on_a_terminal = |no_color: &str| {
        let doctor = format!("{} doctor", binary("touchkeep").display());
        let mut terminal = home.at_a_terminal(&doctor);
        terminal.env("NO_COLOR", no_color).stdin(Stdio::null());
        String::from_utf8(terminal.output().unwrap().stdout).unwrap()
    };
    assert!(on_a_terminal("").starts_with("\x1b[1;31m✗ pcscd.socket"));
    assert!(!on_a_terminal("1").contains('\x1b'));
}

#[test]
fn a_new_card_has_factory_secrets_and_a_set_up_one_opens_the_vault() {
    let card = Card::insert();
    let home = Home::new(Some(&card.pcscd));
    let said = asked(&home);
    let (level, what, fix) = said.one("card.factory");
    assert_eq!((level, said.code), ("warning", 0), "it is in no vault yet");
    assert!(what.starts_with("PIN, PUK and management key of"), "{what}");
    assert!(
        fix.ends_with(&format!("touchkeep device set-pin {}", card.serial)),
        "{fix}"
    );
    assert_eq!(said.level("pcscd.socket"), "ok");
    assert_eq!(said.level("card.firmware"), "note");
    assert!(
        said.facts("card.firmware", "limit")
            .iter()
            .any(|limit| limit.contains("Ed25519"))
    );

    let person = Person::sit_down(&home.paths(), Some(&card.control));
    let _changed = home.json(&["device", "set-pin", &card.serial]);
    let device = format!("piv:{}", card.serial);
    let _made = home.json(&["init", "--practice", "--device", &device]);
    let before = card.ask(&json!({ "do": "state" }));
    let questions = person.was_asked().len();
    let said = asked(&home);
    for id in [
        "card.factory",
        "card.pin",
        "card.puk",
        "card.management-key",
        "card.keys",
        "vault.device",
        "vault.file",
        "vault.mode",
    ] {
        assert_eq!(said.level(id), "ok", "{id}: {}", said.text);
    }
    assert!(
        said.one("card.keys").1.contains("holds 3 keys"),
        "{}",
        said.text
    );
    assert_eq!(
        said.facts("vault.file", "device"),
        [format!("piv {}", card.serial)]
    );

    // Nothing was spent, and nobody asked.
    let after = card.ask(&json!({ "do": "state" }));
    for name in [
        "verify_count",
        "pin_tries",
        "puk_tries",
        "touches",
        "operations",
    ] {
        assert_eq!(before[name], after[name], "{name}");
    }
    assert_eq!(person.was_asked().len(), questions);
}

#[test]
fn a_pin_that_was_mistyped_to_the_end_is_a_problem() {
    const NAME: &str = "a_pin_that_was_mistyped_to_the_end_is_a_problem";
    if let Ok(times) = env::var(ROLE) {
        return mistype(times.parse().unwrap());
    }
    let card = Card::insert();
    let home = Home::new(Some(&card.pcscd));
    let own = env::current_exe().unwrap();
    for (more, level) in [("1", "note"), ("1", "warning"), ("1", "problem")] {
        ended(in_role(NAME, more, &own, &card));
        let said = asked(&home);
        assert_eq!(said.level("card.pin"), level, "{}", said.text);
    }
    assert!(
        asked(&home)
            .one("card.pin")
            .2
            .contains("touchkeep device unblock")
    );
}

#[test]
fn a_card_that_is_kept_is_not_said_to_be_absent_when_it_is_to_unlock() {
    const NAME: &str = "a_card_that_is_kept_is_not_said_to_be_absent_when_it_is_to_unlock";
    if let Ok(role) = env::var(ROLE) {
        return keep(&role);
    }
    // Alone, and beside another one that nobody keeps.
    for card in [Card::insert(), Card::two()] {
        kept_at_unlock(NAME, &card);
    }
}

fn kept_at_unlock(test: &str, card: &Card) {
    let home = Home::new(Some(&card.pcscd));
    let _person = Person::sit_down(&home.paths(), Some(&card.control));
    let _changed = home.json(&["device", "set-pin", &card.serial]);
    let path = home.path("v.touchkeep").display().to_string();
    let device = format!("piv:{}", card.serial);
    let _made = home.json(&["init", "--practice", "--path", &path, "--device", &device]);
    let _locked = home.json(&["lock"]);
    let program = home.path("scdaemon");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let keeps = in_role(test, "exclusive", &program, card);
    for args in [&["unlock"][..], &["unlock", "--device", &card.serial]] {
        let done = home.cli(args);
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        let (what, fix) = (&said["error"]["what"], &said["error"]["fix"]);
        assert_eq!(said["error"]["code"], "device-busy", "{args:?}: {said}");
        assert!(what.as_str().unwrap().contains("scdaemon"), "{what}");
        assert!(
            fix.as_str().unwrap().contains("gpgconf --kill scdaemon"),
            "{fix}"
        );
    }
    ended(keeps);
    let _open = home.json(&["unlock"]);
}

#[test]
fn who_keeps_the_card_is_named_with_what_makes_it_let_go() {
    const NAME: &str = "who_keeps_the_card_is_named_with_what_makes_it_let_go";
    if let Ok(role) = env::var(ROLE) {
        return keep(&role);
    }
    let card = Card::insert();
    let home = Home::new(Some(&card.pcscd));
    let program = home.path("scdaemon");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();

    let shares = in_role(NAME, "shared", &program, &card);
    let said = asked(&home);
    assert_eq!(said.level("card.shared"), "note");
    let named = format!("scdaemon (process {})", shares.id());
    assert!(
        said.facts("card.shared", "program").contains(&named),
        "{}",
        said.text
    );
    assert_eq!(said.all("card.busy"), []);
    ended(shares);

    let before = card.ask(&json!({ "do": "state" }));
    for role in ["exclusive", "transaction"] {
        let keeps = in_role(NAME, role, &program, &card);
        let begun = Instant::now();
        let said = asked(&home);
        assert!(
            begun.elapsed() < Duration::from_secs(25),
            "{role}: it has an end"
        );
        let (level, _, fix) = said.one("card.busy");
        assert_eq!((level, said.code), ("problem", 1));
        assert!(fix.contains("gpgconf --kill scdaemon"), "{fix}");
        let named = format!("scdaemon (process {})", keeps.id());
        assert!(
            said.facts("card.busy", "program").contains(&named),
            "{}",
            said.text
        );
        assert_eq!(said.level("pcscd.socket"), "ok", "it is not pcscd's fault");
        ended(keeps);
    }
    let after = card.ask(&json!({ "do": "state" }));
    assert_eq!(before["verify_count"], after["verify_count"]);
    assert_eq!(asked(&home).all("card.busy"), []);
}

#[test]
fn a_device_in_use_is_left_alone() {
    let card = Card::insert();
    let home = Home::new(Some(&card.pcscd));
    let person = Person::sit_down(&home.paths(), Some(&card.control));
    let _changed = home.json(&["device", "set-pin", &card.serial]);
    let device = format!("piv:{}", card.serial);
    let _made = home.json(&["init", "--practice", "--device", &device]);
    let policy = home.path("policy.toml");
    let shown = home.touchkeep().args(["policy", "show"]).output().unwrap();
    fs::write(&policy, shown.stdout).unwrap();

    // The seal key is touched each time, and now it is not.
    person.take_hands_off();
    let mut consent = home.touchkeep();
    consent.args(["policy", "set"]).arg(&policy);
    let consent = consent.stdin(Stdio::null()).stdout(Stdio::null());
    let mut consent = consent.stderr(Stdio::null()).spawn().unwrap();
    let state = || card.ask(&json!({ "do": "state" }));
    wait_for("the card to blink", || {
        (state()["waiting"] == true).then_some(())
    });
    let apdus = || card.ask(&json!({ "do": "state" }))["apdus"].clone();
    let before = apdus();
    let said = asked(&home);
    assert_eq!(said.level("device.look"), "note");
    assert_eq!(said.all("pcscd.socket"), []);
    assert_eq!(apdus(), before, "not a byte reached the card");
    consent.kill().unwrap();
    consent.wait().unwrap();
}

#[test]
fn modules_are_told_apart_by_what_is_wrong_with_them() {
    let card = Card::insert();
    let mut home = Home::new(Some(&card.pcscd));
    let config = softhsm(&home);
    home.set("SOFTHSM2_CONF", &config);
    let open = home.path("open.so");
    fs::copy(SOFTHSM, &open).unwrap();
    set_mode(&open, 0o666);
    let folder = home.path("");
    let hangs = module(
        &folder,
        "hangs.so",
        "int pause(void); int C_GetFunctionList(void *l) { for (;;) pause(); }",
    );
    let crashes = module(
        &folder,
        "crashes.so",
        "int C_GetFunctionList(void *l) { __builtin_trap(); }",
    );
    let absent = home.path("absent.so");
    configure(
        &mut home,
        &[Path::new(SOFTHSM), &open, &hangs, &crashes, &absent],
    );

    let begun = Instant::now();
    let said = asked(&home);
    assert!(begun.elapsed() < Duration::from_secs(20), "it has an end");
    assert_eq!(said.code, 1);
    let about = |id: &str, name: &str| {
        let all = said.all(id);
        let one = all.into_iter().find(|(_, what, _)| what.contains(name));
        one.unwrap_or_else(|| panic!("{id} of {name}: {}", said.text))
    };
    assert_eq!(about("module.file", "libsofthsm2.so").0, "ok");
    assert_eq!(about("module.answers", "libsofthsm2.so").0, "ok");
    let tokens = said.facts("module.answers", "token");
    assert!(
        tokens.iter().any(|token| token.starts_with("doctor (")),
        "{tokens:?}"
    );
    let sum = Command::new("sha256sum").arg(SOFTHSM).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    let hashes = said.facts("module.file", "sha256");
    assert!(
        hashes.iter().any(|hash| sum.starts_with(hash)),
        "{hashes:?}"
    );

    let (level, _, fix) = about("module.file", "open.so");
    assert_eq!(level, "problem");
    assert!(
        fix.ends_with(&format!("chmod o-w {}", open.display())),
        "{fix}"
    );
    let (level, what, _) = about("module.answers", "hangs.so");
    assert!(
        level == "problem" && what.contains("did not answer"),
        "{what}"
    );
    assert_eq!(about("module.answers", "crashes.so").0, "problem");
    assert!(
        said.facts("module.file", "module")
            .contains(&absent.display().to_string())
    );
    let loaded = said.facts("module.answers", "module");
    assert!(
        !loaded.contains(&open.display().to_string()),
        "it is not loaded: {loaded:?}"
    );
    assert_eq!(
        said.level("pcscd.socket"),
        "ok",
        "what hangs keeps nothing else from being seen"
    );
}

#[test]
fn a_module_that_changed_after_its_vault_was_made_is_said_to_have() {
    let mut home = Home::new(None);
    let config = softhsm(&home);
    home.set("SOFTHSM2_CONF", &config);
    home.kill_agent();
    home.start_agent();
    let module = home.path("module.so");
    fs::copy(SOFTHSM, &module).unwrap();
    set_mode(&module, 0o644);
    let _person = Person::sit_down(&home.paths(), None);
    let device = format!("pkcs11:{}:doctor", module.display());
    let _made = home.json(&["init", "--practice", "--device", &device]);
    let said = asked(&home);
    assert_eq!(said.level("module.changed"), "ok");
    assert_eq!(said.level("vault.device"), "ok");

    let mut file = fs::File::options().append(true).open(&module).unwrap();
    file.write_all(b"\0").unwrap();
    drop(file);
    let said = asked(&home);
    let (level, _, fix) = said.one("module.changed");
    assert!(level == "problem" && fix.contains("accept-module"), "{fix}");
    assert_eq!(said.all("module.answers"), [], "it is not loaded");
    assert_eq!(said.level("vault.device"), "note");
    let (then, now) = (
        said.facts("module.changed", "sha256 then"),
        said.facts("module.changed", "sha256 now"),
    );
    assert!(
        then != now && then[0].len() == 64 && now[0].len() == 64,
        "{}",
        said.text
    );
}

#[test]
fn a_vault_that_others_can_reach_is_said_to_be() {
    let home = Home::new(None);
    let person = Person::sit_down(&home.paths(), None);
    let _made = home.json(&["init", "--practice", "--work-factor", "10"]);
    let vault = home.paths().default_vault();
    for (mode, level) in [
        (0o600, "ok"),
        (0o640, "note"),
        (0o644, "warning"),
        (0o646, "problem"),
    ] {
        set_mode(&vault, mode);
        let said = asked(&home);
        assert_eq!(said.level("vault.mode"), level, "{mode:o}");
        assert_eq!(said.facts("vault.mode", "mode"), [format!("{mode:o}")]);
        let passphrase = person.mind.lock().unwrap().passphrase.clone();
        assert!(!said.text.contains(&passphrase));
    }
    set_mode(&vault, 0o600);
    let future = Command::new("touch")
        .args(["-d", "next week"])
        .arg(&vault)
        .status();
    assert!(future.unwrap().success());
    assert_eq!(asked(&home).level("machine.clock"), "warning");
    fs::write(&vault, "not a vault").unwrap();
    assert_eq!(asked(&home).level("vault.file"), "problem");
}

#[test]
fn folders_and_configuration_that_others_can_write_are_said_to_be() {
    let mut home = Home::new(None);
    configure(&mut home, &[]);
    let config = home.paths().config;
    set_mode(&config, 0o622);
    assert_eq!(asked(&home).level("config.file"), "problem");
    set_mode(&config, 0o600);
    fs::write(&config, "approval_seconds = 30\n").unwrap();
    assert_eq!(
        asked(&home).level("config.file"),
        "warning",
        "it does not count yet"
    );
    set_mode(&home.paths().data, 0o755);
    let said = asked(&home);
    let (level, _, fix) = said.one("folder.data");
    assert!(level == "problem" && fix.contains("chmod 700"), "{fix}");
    // The command line does not talk to sockets that others could have put there.
    set_mode(&home.paths().run, 0o755);
    let said = asked(&home);
    assert_eq!(said.level("folder.run"), "problem");
    assert!(
        said.one("agent.reach").2.contains("chmod 700"),
        "{}",
        said.text
    );
}

#[test]
fn without_lockable_memory_no_vault_can_be_opened_and_it_says_so() {
    let mut home = Home::new(None);
    home.kill_agent();
    // Root may lock more than the limit, unless it is no such root.
    let root =
        fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let program: &[&str] = if root {
        &[
            "prlimit",
            "--memlock=0:0",
            "setpriv",
            "--bounding-set=-ipc_lock,-sys_resource",
        ]
    } else {
        &["prlimit", "--memlock=0:0"]
    };
    home.start_agent_under(program);
    let said = asked(&home);
    let (level, what, fix) = said.one("memory.locked");
    assert_eq!(level, "problem", "{what}");
    assert!(fix.contains("memlock"), "{fix}");
    assert_eq!(said.facts("memory.locked", "limit"), ["0 KiB"]);
}

#[test]
fn an_agent_that_cannot_start_is_the_first_finding_and_not_the_last() {
    let mut home = Home::new(None);
    home.kill_agent();
    fs::write(home.paths().config, "approval_secnods = 5\n").unwrap();
    let said = asked(&home);
    assert_eq!(said.findings[0]["id"], "agent.reach");
    assert_eq!((said.level("agent.reach"), said.code), ("problem", 1));
    let words = said.facts("agent.reach", "its log ends with");
    assert!(words[0].contains("approval_secnods"), "{words:?}");
    assert_eq!(said.level("config.file"), "problem");
    let why = said.facts("config.file", "why");
    assert!(
        why[0].contains("line 1") && why[0].contains("approval_secnods"),
        "{why:?}"
    );
    // What needs no agent was looked at all the same.
    for id in [
        "pcscd.socket",
        "vault.file",
        "memory.locked",
        "machine.clock",
        "folder.data",
    ] {
        assert_eq!(said.all(id).len(), 1, "{id}");
    }
}

#[test]
fn without_an_agent_devices_are_looked_at_all_the_same() {
    let card = Card::insert();
    let mut home = Home::new(Some(&card.pcscd));
    let config = softhsm(&home);
    home.set("SOFTHSM2_CONF", &config);
    // A port that is taken keeps it from starting.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    home.kill_agent();
    let text = format!("proxy_port = {port}\n[device.pkcs11]\nmodules = [{SOFTHSM:?}]\n");
    fs::write(home.paths().config, text).unwrap();
    // A busy machine may need more than one try until the agent has come far enough to say why it ends.
    let said = wait_for("the agent's last words", || {
        let said = asked(&home);
        assert_eq!(said.level("agent.reach"), "problem");
        let words = said.facts("agent.reach", "its log ends with");
        let is_said = words
            .first()
            .is_some_and(|it| it.contains(&port.to_string()));
        let is_gone = said.all("device.look").is_empty();
        (is_said && is_gone).then_some(said)
    });
    for id in [
        "pcscd.socket",
        "card.connected",
        "card.pin",
        "module.file",
        "module.answers",
    ] {
        assert_eq!(said.level(id), "ok", "{}", said.text);
    }

    // Where nobody can say what a module must be, it is not loaded.
    let state = home.paths().data.join("state.sqlite");
    for beside in ["state.sqlite-wal", "state.sqlite-shm"] {
        let _gone = fs::remove_file(state.with_file_name(beside));
    }
    fs::write(&state, "no database, whatever its name says").unwrap();
    let said = asked(&home);
    assert_eq!(said.level("module.file"), "ok");
    assert_eq!(said.all("module.answers"), []);
}

#[test]
fn an_agent_that_does_not_answer_is_told_from_none_and_its_devices_are_left_alone() {
    let card = Card::insert();
    let home = Home::new(Some(&card.pcscd));
    let signal = |name: &str| {
        let pid = home.agent_pid().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    };
    let before = card.ask(&json!({ "do": "state" }))["apdus"].clone();
    signal("-STOP");
    let said = asked(&home);
    signal("-CONT");
    assert_eq!(said.level("agent.reach"), "problem");
    assert_eq!(said.level("device.look"), "note");
    assert_eq!(card.ask(&json!({ "do": "state" }))["apdus"], before);
    assert_eq!(asked(&home).level("agent.reach"), "ok");
}

#[test]
fn a_terminal_with_another_pcscd_than_the_agents_is_told() {
    let card = Card::insert();
    let home = Home::new(Some(&card.pcscd));
    assert_eq!(asked(&home).all("agent.environment"), []);
    let mut elsewhere = home.touchkeep();
    elsewhere.env("PCSCLITE_CSOCK_NAME", home.path("other"));
    assert_eq!(said(elsewhere).level("agent.environment"), "warning");
}

#[test]
fn a_service_that_shows_reminders_is_named_and_shows_nothing_now() {
    let (screen, bus) = (Screen::on(), Bus::start());
    let dunst = Dunst::start(&screen, &bus);
    let home = Home::with(&[("DBUS_SESSION_BUS_ADDRESS", &bus.address)]);
    let said = asked(&home);
    assert_eq!(said.level("desktop.notifications"), "ok");
    assert!(said.facts("desktop.notifications", "service")[0].starts_with("dunst"));
    assert_eq!(dunst.displayed(), 0);
}

/// pcsc-lite closes the connection of who is refused by polkit, without a byte: so does this.
#[test]
fn a_pcscd_that_hangs_up_is_one_that_refuses() {
    let mut home = Home::new(None);
    home.kill_agent();
    let socket = home.path("refuses");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    home.set("PCSCLITE_CSOCK_NAME", socket.to_str().unwrap());
    home.start_agent();
    let said = asked(&home);
    let (level, what, _) = said.one("pcscd.access");
    assert!(level == "problem" && what.contains("polkit"), "{what}");
    assert_eq!(said.all("pcscd.socket"), []);
}

#[test]
fn an_agent_whose_program_was_replaced_says_so() {
    let mut home = Home::new(None);
    home.kill_agent();
    let mut agent = Command::new(installed_in(&home.path("")));
    agent
        .arg("agent")
        .envs(home.environment())
        .stderr(Stdio::null());
    let _agent = Running::start(agent);
    wait_for("the agent", || {
        std::os::unix::net::UnixStream::connect(home.paths().agent_socket()).ok()
    });
    fs::remove_file(home.path("touchkeep-agent")).unwrap();
    assert_eq!(asked(&home).level("agent.program"), "warning");
}
