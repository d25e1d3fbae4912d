//! PKCS#11 tokens through the real programs: a module that was updated, NSS with the argument that it wants, and keys that another
//! program made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use touchkeep_tests::{Card, Home, Mind, Person, wait_for};
use touchkeep_wire::{Prompt, Question};

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "canary-pin-97531";
const TOKEN: &str = "end-to-end";

fn run(program: &str, args: &[&str], environment: &[(&str, &str)]) -> String {
    let done = Command::new(program)
        .args(args)
        .envs(environment.iter().copied())
        .output()
        .unwrap_or_else(|error| panic!("{program} is missing: {error}"));
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "{program} {args:?}: {said}");
    said
}

/// A home with a SoftHSM of its own, whose module is a copy that can be updated.
struct Desk {
    home: Home,
    person: Person,
    module: PathBuf,
    config: String,
}

impl Desk {
    fn new() -> Self {
        let mut home = Home::new(None);
        let (tokens, config) = (home.path("tokens"), home.path("softhsm2.conf"));
        fs::create_dir(&tokens).unwrap();
        let text = format!("directories.tokendir = {}\n", tokens.display());
        fs::write(&config, text).unwrap();
        let config = config.display().to_string();
        let args = ["--init-token", "--free", "--label", TOKEN];
        let pins = ["--so-pin", "12345678", "--pin", PIN];
        run(
            "softhsm2-util",
            &[&args[..], &pins].concat(),
            &[("SOFTHSM2_CONF", &config)],
        );
        home.set("SOFTHSM2_CONF", &config);
        // A folder like /tmp is none for modules.
        let module = private(&home).join("libsofthsm2.so");
        fs::copy(SOFTHSM, &module).unwrap();
        let mut desk = Self {
            person: Person::sit_down(&home.paths(), None),
            home,
            module,
            config,
        };
        desk.restart("");
        desk
    }

    // The agent anew, with this configuration and somebody at its side.
    fn restart(&mut self, config: &str) {
        self.home.kill_agent();
        fs::write(self.home.paths().config, config).unwrap();
        self.home.start_agent();
        self.person = Person::sit_down(&self.home.paths(), None);
        *self.person.mind.lock().unwrap() = Mind {
            pin: PIN.into(),
            ..Mind::default()
        };
    }

    fn init(&self) {
        let path = self.home.path("v.touchkeep").display().to_string();
        let args = ["init", "--practice", "--path", &path];
        let _made = self
            .home
            .json(&[&args[..], &["--work-factor", "10"]].concat());
    }

    fn enroll(&self, module: &Path, token: &str) -> Value {
        let device = format!("pkcs11:{}:{token}", module.display());
        self.home.json(&["device", "enroll", &device])
    }

    // Locks, opens with this device, and says what is in there.
    fn reopened(&self, device: &str) -> Value {
        let _locked = self.home.json(&["lock"]);
        self.home.json(&["unlock", "--device", device])
    }

    fn pins_asked(&self) -> usize {
        let asked = self.person.was_asked().into_iter();
        asked
            .filter(|it| matches!(it.question, Question::Pin { .. }))
            .count()
    }

    fn refused(&self, args: &[&str]) -> Value {
        let done = self.home.cli(args);
        assert!(!done.status.success(), "{args:?}");
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        said["error"].clone()
    }
}

// What an update of a package does: another file in its place. A byte behind the end changes nothing but the hash.
fn replace(module: &Path) {
    let mut bytes = fs::read(module).unwrap();
    bytes.push(0);
    fs::remove_file(module).unwrap();
    fs::write(module, bytes).unwrap();
}

// A folder that nobody else can write to, up to the root.
fn private(home: &Home) -> PathBuf {
    let folder = home.path("modules");
    fs::create_dir(&folder).unwrap();
    folder
}

#[test]
fn an_updated_module_is_refused_with_the_reason_until_its_owner_accepts_it() {
    let desk = Desk::new();
    desk.init();
    let serial = desk.enroll(&desk.module, TOKEN)["device"]["serial"].clone();
    let serial = serial.as_str().unwrap();
    desk.reopened(serial);
    let path = desk.module.to_str().unwrap();

    replace(&desk.module);
    let _locked = desk.home.json(&["lock"]);
    for _ in 0..2 {
        let refused = desk.refused(&["unlock", "--device", serial]);
        let (what, fix) = (refused["what"].to_string(), refused["fix"].to_string());
        assert!(
            what.contains("is not the PKCS#11 module that was enrolled") && what.contains(path),
            "{refused}"
        );
        assert!(
            fix.contains(&format!("device accept-module {path}")),
            "{refused}"
        );
        // A locked vault has nobody who could accept it.
        let locked = desk.refused(&["device", "accept-module", path]);
        assert_eq!(locked["code"], "locked", "{locked}");
    }

    let _open = desk.home.json(&["unlock", "--device", "passphrase"]);
    let other = desk.refused(&["device", "accept-module", "/usr/lib/other.so"]);
    assert_eq!(other["code"], "not-found", "{other}");
    // Nor does a wrong passphrase.
    desk.person.mind.lock().unwrap().passphrase = "wrong".into();
    let wrong = desk.refused(&["device", "accept-module", path]);
    assert_eq!(wrong["code"], "wrong-passphrase", "{wrong}");
    desk.person.mind.lock().unwrap().passphrase = Mind::default().passphrase;
    let _accepted = desk.home.json(&["device", "accept-module", path]);
    assert_eq!(desk.reopened(serial)["locked"], Value::Null);
    let listed = desk.home.json(&["device", "list"]);
    assert_eq!(listed[0]["serial"], serial, "{listed}");
}

#[test]
fn a_token_is_named_by_its_label_and_as_it_was_when_it_was_enrolled() {
    let desk = Desk::new();
    desk.init();
    let enrolled = desk.enroll(&desk.module, TOKEN)["device"].clone();
    let whole = format!("pkcs11:{}:{TOKEN}", desk.module.display());
    for name in [TOKEN, whole.as_str(), enrolled["id"].as_str().unwrap()] {
        let before = desk.pins_asked();
        let open = desk.reopened(name);
        assert_eq!(open["locked"], Value::Null, "{name}: {open}");
        assert_eq!(desk.pins_asked(), before + 1, "{name}: by the token");
    }
    let before = desk.pins_asked();
    assert_eq!(desk.reopened("software")["locked"], Value::Null);
    assert_eq!(desk.pins_asked(), before);
    // Another token of the module is none of the vault's.
    run(
        "softhsm2-util",
        &[
            "--init-token",
            "--free",
            "--label",
            "other",
            "--so-pin",
            "12345678",
            "--pin",
            PIN,
        ],
        &[("SOFTHSM2_CONF", &desk.config)],
    );
    let _locked = desk.home.json(&["lock"]);
    for name in ["other", "nobody", "pkcs11:/x:other"] {
        let refused = desk.refused(&["unlock", "--device", name]);
        assert_eq!(refused["code"], "no-device", "{name}: {refused}");
        assert!(refused["fix"].to_string().contains("label"), "{refused}");
    }
    assert_eq!(desk.pins_asked(), before);
    // One whose module was changed is not said to be missing.
    replace(&desk.module);
    let refused = desk.refused(&["unlock", "--device", TOKEN]);
    let what = refused["what"].to_string();
    assert!(what.contains("is not the PKCS#11 module"), "{refused}");
}

#[test]
fn an_enrolment_or_a_new_vault_does_not_go_round_the_pin_of_a_module() {
    let desk = Desk::new();
    desk.init();
    let serial = desk.enroll(&desk.module, TOKEN)["device"]["serial"].clone();
    let serial = serial.as_str().unwrap();
    replace(&desk.module);
    let path = desk.module.to_str().unwrap();
    let device = format!("pkcs11:{path}:{TOKEN}");
    let other = desk.home.path("other.touchkeep").display().to_string();
    let init = ["init", "--practice", "--path", &other, "--device", &device];
    let enroll = ["device", "enroll", &device];
    // Whatever a person would answer: nothing of it is loaded, so nobody is asked for a PIN.
    let before = desk.pins_asked();
    for args in [&enroll[..], &init[..]] {
        let refused = desk.refused(args);
        let (what, fix) = (refused["what"].to_string(), refused["fix"].to_string());
        assert!(
            what.contains("is not the PKCS#11 module that was enrolled"),
            "{refused}"
        );
        assert!(
            fix.contains(&format!("device accept-module {path}")),
            "{refused}"
        );
    }
    assert_eq!(desk.pins_asked(), before);
    assert!(!Path::new(&other).exists());
    let vault = desk.home.path("v.touchkeep").display().to_string();
    let _locked = desk.home.json(&["lock"]);
    let refused = desk.refused(&["unlock", &vault, "--device", serial]);
    let what = refused["what"].to_string();
    assert!(
        what.contains("is not the PKCS#11 module that was enrolled"),
        "{refused}"
    );
    // It is the owner's word that helps.
    let _open = desk
        .home
        .json(&["unlock", &vault, "--device", "passphrase"]);
    let _accepted = desk.home.json(&["device", "accept-module", path]);
    desk.reopened(serial);
}

#[test]
fn an_enrolment_that_failed_leaves_no_word_about_its_module() {
    let desk = Desk::new();
    desk.init();
    desk.person.mind.lock().unwrap().pin = "wrong-pin-here".into();
    let device = format!("pkcs11:{}:{TOKEN}", desk.module.display());
    let refused = desk.refused(&["device", "enroll", &device]);
    assert_eq!(refused["code"], "wrong-pin", "{refused}");
    let path = desk.module.to_str().unwrap();
    let unknown = desk.refused(&["device", "accept-module", path]);
    assert_eq!(unknown["code"], "not-found", "{unknown}");
    // Nor is the next one held to what it was then.
    replace(&desk.module);
    desk.person.mind.lock().unwrap().pin = PIN.into();
    let _enrolled = desk.enroll(&desk.module, TOKEN);
    replace(&desk.module);
    let refused = desk.refused(&["device", "enroll", &device]);
    assert_eq!(refused["code"], "device-failed", "{refused}");
}

#[test]
fn keys_that_another_program_made_open_the_vault_where_the_configuration_names_them() {
    let mut desk = Desk::new();
    let module = desk.module.display().to_string();
    for (id, usage) in [
        ("0a", "--usage-derive"),
        ("0b", "--usage-derive"),
        ("0c", "--usage-sign"),
    ] {
        let login = [
            "--module",
            &module,
            "--login",
            "--pin",
            PIN,
            "--token-label",
            TOKEN,
        ];
        let make = [
            "--keypairgen",
            "--key-type",
            "EC:prime256v1",
            "--id",
            id,
            usage,
        ];
        let args = [&login[..], &make, &["--label", "anybody's"]].concat();
        run("pkcs11-tool", &args, &[("SOFTHSM2_CONF", &desk.config)]);
    }
    let key = |id: &str, purpose: &str| {
        format!("{{ token = \"{TOKEN}\", id = \"{id}\", purpose = \"{purpose}\" }}")
    };
    let keys = [
        key("0A", "unlock"),
        key("0b", "seal"),
        key("0c", "sign-vault"),
    ]
    .join(", ");
    desk.restart(&format!(
        "[[device.pkcs11.modules]]\npath = \"{module}\"\nkeys = [{keys}]\n"
    ));
    desk.init();
    let serial = desk.enroll(&desk.module, TOKEN)["device"]["serial"].clone();
    desk.reopened(serial.as_str().unwrap());
    // None was made beside them.
    let list = ["--module", &module, "--list-objects", "--type", "pubkey"];
    let login = ["--login", "--pin", PIN, "--token-label", TOKEN];
    let said = run(
        "pkcs11-tool",
        &[&list[..], &login].concat(),
        &[("SOFTHSM2_CONF", &desk.config)],
    );
    assert_eq!(said.matches("Public Key Object").count(), 3, "{said}");
}

// What the token itself wants at each use, and not only we.
#[test]
fn a_seal_key_that_wants_the_pin_each_time_is_made_where_the_configuration_says_so() {
    let mut desk = Desk::new();
    let module = desk.module.display().to_string();
    desk.restart(&format!(
        "[[device.pkcs11.modules]]\npath = \"{module}\"\nseal_asks_each_time = true\n"
    ));
    desk.init();
    let enrolled = desk.enroll(&desk.module, TOKEN);
    let list = ["--module", &module, "--list-objects", "--type", "privkey"];
    let login = ["--login", "--pin", PIN, "--token-label", TOKEN];
    let said = run(
        "pkcs11-tool",
        &[&list[..], &login].concat(),
        &[("SOFTHSM2_CONF", &desk.config)],
    );
    let asks = said.split("Private Key Object").skip(1);
    let asks: Vec<_> = asks
        .filter(|key| key.contains("always authenticate"))
        .collect();
    assert!(
        asks.len() == 1 && asks[0].contains("touchkeep seal (PIN each time)"),
        "{said}"
    );

    desk.reopened(enrolled["device"]["serial"].as_str().unwrap());
    let args = [
        "add",
        "money",
        "--kind",
        "note",
        "--sealed",
        "--secret-fd",
        "0",
    ];
    let _added = desk.home.json_with(&args, "canary-of-the-token");
    // Opened by the token, and sealed anew.
    let opened = desk.home.json(&["device", "reseal", "money"]);
    assert_eq!(opened[0]["name"], "money", "{opened}");
}

/// What NSS calls its token, whichever database that is; all have the number 0000000000000000.
const NSS: &str = "NSS Certificate DB";

fn softokn() -> PathBuf {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    let mut paths = folders
        .map(|folder| Path::new(folder).join("libsoftokn3.so"))
        .into_iter();
    let found = paths.find(|path| path.exists());
    found.unwrap_or_else(|| panic!("NSS is missing: apt install libnss3 libnss3-tools"))
}

// A key database of NSS with this PIN, and what its module wants to be initialised with.
fn key_database(home: &Home, name: &str, pin: &str) -> String {
    let (folder, file) = (home.path(name), home.path(&format!("{name}.pin")));
    fs::create_dir(&folder).unwrap();
    fs::write(&file, pin).unwrap();
    let place = format!("sql:{}", folder.display());
    let file = file.to_str().unwrap();
    run("certutil", &["-N", "-d", &place, "-f", file], &[]);
    format!("configdir='{place}' certPrefix='' keyPrefix='' secmod='secmod.db'")
}

// The module that forwards to another one and counts what it is asked.
fn build_shim(to: &Path) {
    let source = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/device-pkcs11/tests/shim/shim.c"
    );
    let into = ["-shared", "-fPIC", "-o", to.to_str().unwrap(), source];
    run("cc", &into, &[]);
}

#[test]
fn a_pin_goes_to_the_token_that_it_was_typed_for_and_to_no_other_of_its_number() {
    let mut desk = Desk::new();
    let counted = desk.module.parent().unwrap().to_owned();
    let softokn = softokn().display().to_string();
    desk.home.set("PKCS11_SHIM_MODULE", &softokn);
    desk.home.set("PKCS11_SHIM_DIR", counted.to_str().unwrap());
    let tokens = [
        ("first", "canary-pin-11111"),
        ("second", "canary-pin-22222"),
    ];
    let (mut table, mut modules) = (String::new(), Vec::new());
    for (name, pin) in tokens {
        let shim = counted.join(format!("{name}.so"));
        build_shim(&shim);
        let init = key_database(&desk.home, name, pin);
        table += &format!(
            "[[device.pkcs11.modules]]\npath = \"{}\"\ninit = \"{init}\"\nkeys_may_leave = true\n",
            shim.display()
        );
        modules.push(shim);
    }
    desk.restart(&table);
    desk.init();
    let sent = || {
        let log = fs::read_to_string(counted.join("logins")).unwrap_or_default();
        log.matches('U').count()
    };
    let types = |desk: &Desk, pin: &str| desk.person.mind.lock().unwrap().pin = pin.into();
    let mut ids = Vec::new();
    for (module, (_, pin)) in modules.iter().zip(tokens) {
        types(&desk, pin);
        let before = (desk.pins_asked(), sent());
        let enrolled = desk.enroll(module, NSS);
        assert_eq!(enrolled["device"]["serial"], "0000000000000000");
        assert_eq!((desk.pins_asked(), sent()), (before.0 + 1, before.1 + 1));
        ids.push(enrolled["device"]["id"].as_str().unwrap().to_owned());
    }
    // Each is known by now, and nobody is asked again.
    types(&desk, "neither of them");
    let before = (desk.pins_asked(), sent());
    for id in ids.iter().chain(&ids) {
        let tried = desk.home.json(&["recover", "drill", "--device", id]);
        assert_eq!(tried["items"], 0, "{tried}");
    }
    assert_eq!((desk.pins_asked(), sent()), (before.0, before.1 + 4));
    // A PIN that one of them refuses is forgotten, and the other's is not.
    desk.reopened("passphrase");
    types(&desk, tokens[0].1);
    let _tried = desk.home.json(&["recover", "drill", "--device", &ids[0]]);
    let refused = desk.refused(&["recover", "drill", "--device", &ids[1]]);
    assert_eq!(refused["code"], "wrong-pin", "{refused}");
    let before = desk.pins_asked();
    let _tried = desk.home.json(&["recover", "drill", "--device", &ids[0]]);
    assert_eq!(desk.pins_asked(), before);
}

#[test]
fn an_nss_database_is_enrolled_and_opens_the_vault_with_the_argument_that_it_wants() {
    let softokn = softokn();
    let mut desk = Desk::new();
    desk.init();
    let init = key_database(&desk.home, "nss", PIN);
    let device = format!("pkcs11:{}:{NSS}", softokn.display());
    // Without its argument it is none.
    let refused = desk.refused(&["device", "enroll", &device]);
    assert_eq!(refused["code"], "device-failed", "{refused}");

    let table = format!(
        "[[device.pkcs11.modules]]\npath = \"{}\"\ninit = \"{init}\"\n",
        softokn.display()
    );
    desk.restart(&table);
    let _open = desk.home.json(&["unlock", "--device", "passphrase"]);
    // It does not say that it keeps its keys.
    let refused = desk.refused(&["device", "enroll", &device]);
    assert_eq!(refused["code"], "device-failed", "{refused}");
    desk.restart(&format!("{table}keys_may_leave = true\n"));
    let _open = desk.home.json(&["unlock", "--device", "passphrase"]);
    let enrolled = desk.home.json(&["device", "enroll", &device]);
    let id = enrolled["device"]["id"].as_str().unwrap();
    let args = [
        "add",
        "money",
        "--venue",
        "binance",
        "--api-key",
        "k",
        "--class",
        "move-money",
    ];
    let more = ["--sealed", "--secret-fd", "0"];
    let _added = desk
        .home
        .json_with(&[&args[..], &more].concat(), "a-secret");
    desk.reopened(id);
    assert_eq!(desk.home.json(&["device", "reseal"]), json!([]));
    // What opened the vault is no way back.
    desk.reopened("passphrase");
    let tried = desk.home.json(&["recover", "drill", "--device", id]);
    assert_eq!(tried["items"], 1, "{tried}");
}

// No token with keys of its own for the PIN can be had in software; a shim in front of SoftHSM says of itself that it has them.
// What a child of the agent runs as.
fn module_hosts(agent: u32) -> Vec<u32> {
    let mut hosts = Vec::new();
    for thread in fs::read_dir(format!("/proc/{agent}/task")).unwrap() {
        let children = thread.unwrap().path().join("children");
        let children = fs::read_to_string(children).unwrap_or_default();
        hosts.extend(
            children
                .split_whitespace()
                .map(|pid| pid.parse::<u32>().unwrap()),
        );
    }
    hosts
}

#[test]
fn a_token_that_is_taken_away_locks_the_vault_and_a_module_that_ends_does_not() {
    let mut desk = Desk::new();
    desk.init();
    let serial = desk.enroll(&desk.module, TOKEN)["device"]["serial"].clone();
    let serial = serial.as_str().unwrap();
    desk.reopened(serial);
    let store = fs::read_dir(desk.home.path("tokens")).unwrap();
    let [there] = &store.map(|it| it.unwrap().path()).collect::<Vec<_>>()[..] else {
        panic!("one token");
    };
    let away = desk.home.path("away");
    let is_open = |desk: &Desk| desk.home.json(&["status"])["unlocked"] == true;

    // The process in which the module is asked ends: that is no token that is gone.
    let host = wait_for("the look", || module_hosts(desk.home.agent_pid()).pop());
    let pid = rustix::process::Pid::from_raw(host.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    wait_for("another", || {
        let hosts = module_hosts(desk.home.agent_pid());
        (!hosts.is_empty() && !hosts.contains(&host)).then_some(())
    });
    assert!(is_open(&desk));

    fs::rename(there, &away).unwrap();
    wait_for("the lock", || (!is_open(&desk)).then_some(()));
    assert_eq!(module_hosts(desk.home.agent_pid()), Vec::<u32>::new());
    fs::rename(&away, there).unwrap();
    desk.reopened(serial);

    // Where that locks nothing, the PIN is forgotten.
    desk.restart("[lock]\nremoval = false\n");
    desk.reopened(serial);
    let forgotten = |desk: &Desk| desk.home.log().contains("its PIN is forgotten");
    assert!(!forgotten(&desk));
    fs::rename(there, &away).unwrap();
    wait_for("the PIN to be forgotten", || forgotten(&desk).then_some(()));
    assert!(is_open(&desk));
}

// Makes a key with the maker's own tool, and gives it a certificate, without which ykcs11 does not show it.
fn make(home: &Home, card: &Card, slot: &str) {
    let at = |name: &str| home.path(name).display().to_string();
    let (key, other, request, certificate) = (at("key"), at("other"), at("csr"), at("crt"));
    let pcscd = [("PCSCLITE_CSOCK_NAME", card.pcscd.as_str())];
    let generate = ["-a", "generate", "-s", slot, "-A", "ECCP256", "-o", &key];
    run("yubico-piv-tool", &generate, &pcscd);
    let new = [
        "req", "-new", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=test",
    ];
    let new = [&new[..], &["-keyout", &other, "-out", &request]].concat();
    run("openssl", &new, &[]);
    let sign = ["x509", "-req", "-in", &request, "-signkey", &other];
    let sign = [&sign[..], &["-force_pubkey", &key, "-out", &certificate]].concat();
    run("openssl", &sign, &[]);
    let import = ["-a", "import-certificate", "-s", slot, "-i", &certificate];
    run("yubico-piv-tool", &import, &pcscd);
}

#[test]
fn a_card_behind_a_module_locks_when_it_is_pulled_while_its_pcscd_may_come_and_go() {
    let card = Card::insert();
    let mut home = Home::new(Some(&card.pcscd));
    for slot in ["82", "83", "84"] {
        make(&home, &card, slot);
    }
    let mut folders = fs::read_dir("/usr/lib").unwrap();
    let module = folders.find_map(|it| {
        let path = it.unwrap().path().join("libykcs11.so");
        path.exists().then_some(path)
    });
    let module = module.expect("apt install ykcs11").display().to_string();
    let token = format!("YubiKey PIV #{}", card.serial);
    let key = |id: &str, purpose: &str| {
        format!("{{ token = \"{token}\", id = \"{id}\", purpose = \"{purpose}\" }}")
    };
    let keys = [
        key("05", "unlock"),
        key("06", "seal"),
        key("07", "sign-vault"),
    ]
    .join(", ");
    home.kill_agent();
    let config = format!("[[device.pkcs11.modules]]\npath = \"{module}\"\nkeys = [{keys}]\n");
    fs::write(home.paths().config, config).unwrap();
    home.start_agent();
    let person = Person::sit_down(&home.paths(), Some(&card.control));
    *person.mind.lock().unwrap() = Mind {
        pin: "123456".into(),
        ..Mind::default()
    };
    let path = home.path("v.touchkeep").display().to_string();
    let _made = home.json(&["init", "--practice", "--path", &path, "--work-factor", "10"]);
    let device = format!("pkcs11:{module}:{token}");
    let enrolled = home.json(&["device", "enroll", &device]);
    let id = enrolled["device"]["id"].as_str().unwrap();
    let _locked = home.json(&["lock"]);
    let _open = home.json(&["unlock", "--device", id]);

    let is_open = || home.json(&["status"])["unlocked"] == true;
    let open_for_a_while = || {
        let until = Instant::now() + Duration::from_secs(4);
        while Instant::now() < until {
            assert!(is_open(), "{}", home.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    open_for_a_while();
    for then in ["kill", "start"] {
        let done = card.ask(&json!({ "do": "pcscd", "then": then }));
        assert_eq!(done["ok"], true);
        open_for_a_while();
    }
    let _gone = card.ask(&json!({ "do": "remove" }));
    wait_for("the lock", || (!is_open()).then_some(()));
}

#[test]
fn a_token_with_a_pad_is_enrolled_and_used_without_a_pin_being_asked_for_here() {
    let mut desk = Desk::new();
    let folder = desk.module.parent().unwrap().to_owned();
    let shim = folder.join("shim.so");
    build_shim(&shim);
    let (behind, beside) = (desk.module.clone(), folder.clone());
    desk.home
        .set("PKCS11_SHIM_MODULE", behind.to_str().unwrap());
    desk.home.set("PKCS11_SHIM_DIR", beside.to_str().unwrap());
    desk.home.set("PKCS11_SHIM_PAD", PIN);
    desk.restart("");
    desk.init();
    let enrolled = desk.enroll(&shim, TOKEN);
    desk.reopened(enrolled["device"]["serial"].as_str().unwrap());
    let asked = desk.person.was_asked();
    let pins = asked
        .iter()
        .filter(|it| matches!(it.question, Question::Pin { .. }));
    assert_eq!(pins.count(), 0, "{asked:?}");
    // Where it is to be typed is said, each time.
    let told = |it: &&Prompt| matches!(&it.question, Question::Touch { pad: true, .. });
    assert_eq!(asked.iter().filter(told).count(), 2, "{asked:?}");
}

// Which module a token is behind is each machine's own, and a vault has none loaded.
#[test]
fn a_second_machine_says_where_the_tokens_module_is_to_be_named() {
    let desk = Desk::new();
    desk.init();
    let serial = desk.enroll(&desk.module, TOKEN)["device"]["serial"].clone();
    let serial = serial.as_str().unwrap();
    let mut home = Home::new(None);
    home.set("SOFTHSM2_CONF", &desk.config);
    let vault = home.path("v.touchkeep");
    fs::copy(desk.home.path("v.touchkeep"), &vault).unwrap();
    let mut there = Desk {
        person: Person::sit_down(&home.paths(), None),
        home,
        module: desk.module.clone(),
        config: desk.config.clone(),
    };
    there.restart("");
    let unlock = ["unlock", vault.to_str().unwrap(), "--device", serial];
    let refused = there.refused(&unlock);
    let fix = refused["fix"].as_str().unwrap();
    let config = there.home.paths().config;
    for part in [config.to_str().unwrap(), "[[device.pkcs11.modules]]"] {
        assert!(fix.contains(part), "{part}: {refused}");
    }
    there.restart(&format!(
        "[[device.pkcs11.modules]]\npath = {:?}\n",
        desk.module
    ));
    let _open = there.home.json(&unlock);
}
