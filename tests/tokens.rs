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
use touchkeep_wire::Question;

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

    fn refused(&self, args: &[&str]) -> Value {
        let done = self.home.cli(args);
        assert!(!done.status.success(), "{args:?}");
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        said["error"].clone()
    }
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

    // What an update of a package does: another file in its place. A byte behind the end changes nothing but the hash.
    let mut bytes = fs::read(&desk.module).unwrap();
    bytes.push(0);
    fs::remove_file(&desk.module).unwrap();
    fs::write(&desk.module, bytes).unwrap();
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

#[test]
fn an_nss_database_is_enrolled_and_opens_the_vault_with_the_argument_that_it_wants() {
    let softokn = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
        .map(|folder| Path::new(folder).join("libsoftokn3.so"))
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("NSS is missing: apt install libnss3 libnss3-tools"));
    let mut desk = Desk::new();
    desk.init();
    let (folder, pin) = (desk.home.path("nss"), desk.home.path("pin"));
    fs::create_dir(&folder).unwrap();
    fs::write(&pin, PIN).unwrap();
    let place = format!("sql:{}", folder.display());
    run(
        "certutil",
        &["-N", "-d", &place, "-f", pin.to_str().unwrap()],
        &[],
    );
    let device = format!("pkcs11:{}:NSS Certificate DB", softokn.display());
    // Without its argument it is none.
    let refused = desk.refused(&["device", "enroll", &device]);
    assert_eq!(refused["code"], "device-failed", "{refused}");

    let init = format!("configdir='{place}' certPrefix='' keyPrefix='' secmod='secmod.db'");
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
    let source = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/device-pkcs11/tests/shim/shim.c"
    );
    let into = ["-shared", "-fPIC", "-o", shim.to_str().unwrap(), source];
    run("cc", &into, &[]);
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
}
