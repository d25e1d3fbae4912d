//! Request keys on a card, with the real binaries: made there of the kind that venue and card have in common, put there as a portal handed
//! them out, in the form that the venue takes, and what they sign judged by the exchange itself. The card counts its touches.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use touchkeep_tests::{Card, Home, Person, Venue, http};

const POLICY: &str = r#"
[[rule]]
name = "trading"
kinds = ["read", "trade"]
action = "allow"

[[rule]]
name = "money"
kinds = ["withdraw"]
action = "touch"
"#;

struct Desk {
    home: Home,
    card: Card,
    person: Person,
}

impl Desk {
    fn set(card: Card) -> Self {
        let home = Home::new(Some(&card.pcscd));
        let person = Person::sit_down(&home.paths(), Some(&card.control));
        let _changed = home.json(&["device", "set-pin", &card.serial]);
        let path = home.path("v.touchkeep").display().to_string();
        let device = format!("piv:{}", card.serial);
        let _made = home.json(&["init", "--practice", "--path", &path, "--device", &device]);
        let policy = home.path("policy.toml");
        std::fs::write(&policy, POLICY).unwrap();
        let _policy = home.json(&["policy", "set", policy.to_str().unwrap()]);
        Self { home, card, person }
    }

    fn refused(&self, args: &[&str]) -> String {
        let done = self.home.cli(args);
        assert!(!done.status.success(), "{args:?}");
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        format!("{} {}", said["error"]["what"], said["error"]["fix"])
    }

    fn touches(&self) -> u64 {
        let state = self.card.ask(&json!({ "do": "state" }));
        state["touches"].as_u64().unwrap()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

fn openssl(args: &[&str]) -> Vec<u8> {
    let done = Command::new("openssl").args(args).output().unwrap();
    assert!(done.status.success(), "{args:?} {done:?}");
    done.stdout
}

fn ways(rows: &Value) -> Vec<(String, String, String)> {
    let keys = rows[0]["venues"][0]["keys"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    keys.map(|key| (text(&key["name"]), text(&key["way"]), text(&key["why"])))
        .collect()
}

#[test]
fn the_kind_of_a_key_is_chosen_by_venue_and_firmware_and_said_in_advance() {
    for (firmware, kind, bits) in [
        ("5.4.3", "RSA-2048", "2048"),
        ("5.7.1", "Ed25519", "ED25519"),
    ] {
        let desk = Desk::set(Card::of_firmware(firmware));
        let rows = desk.home.json(&["device", "keys-for", "binance"]);
        let able = ways(&rows);
        let best = able.iter().find(|(_, way, _)| way == "made").unwrap();
        assert_eq!(best.0, kind, "{rows:#}");
        let hmac = able
            .iter()
            .find(|(name, ..)| name == "HMAC-SHA256")
            .unwrap();
        assert!(
            hmac.1 == "no" && hmac.2.contains("PIV has no HMAC"),
            "{hmac:?}"
        );
        let all = desk.home.json(&["device", "keys-for"]);
        assert!(all[0]["venues"].as_array().unwrap().len() > 20);

        let place = ["--venue", "binance", "--class", "trade", "--on-device"];
        let before = desk.touches();
        let _added = desk.home.json(&[&["add", "trade"][..], &place].concat());
        assert_eq!(
            desk.touches(),
            before,
            "a key that trades waits for no finger"
        );
        let shown = desk.home.json(&["show", "trade"]);
        let key = &shown["device_key"];
        assert_eq!(
            (&key["algorithm"], &key["touch"]),
            (&json!(kind), &json!("never"))
        );
        assert_eq!(key["imported"], false);
        let root = key["attested"].as_str().unwrap();
        assert!(root.to_lowercase().contains("practice"), "{root}");
        let public = desk.home.json(&["public-key", "trade"]);
        assert_eq!(public["form"], "pem");
        assert!(public["steps"].as_str().unwrap().contains("self-generated"));
        let pem = desk.file("trade.pem", public["text"].as_str().unwrap());
        let said = openssl(&["pkey", "-pubin", "-noout", "-text", "-in", &pem]);
        assert!(String::from_utf8_lossy(&said).contains(bits));

        for (args, words) in [
            (
                ["--venue", "kraken", "--class", "read", "--on-device"],
                "--sealed",
            ),
            (
                ["--venue", "coinbase", "--class", "read", "--on-device"],
                "--into-device",
            ),
        ] {
            let said = desk.refused(&[&["add", "other"][..], &args].concat());
            assert!(said.contains(words), "{said}");
        }
        let touch = [
            "--touch",
            "never",
            "--venue",
            "bybit",
            "--class",
            "move-money",
            "--on-device",
        ];
        let said = desk.refused(&[&["add", "money"][..], &touch].concat());
        assert!(said.contains("waits for a touch"), "{said}");
    }
}

#[test]
fn a_key_of_a_portal_is_put_into_the_card_and_marked() {
    let desk = Desk::set(Card::of_firmware("5.7.1"));
    let path = desk.file("portal.pem", "");
    openssl(&[
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-out",
        &path,
    ]);
    let p256 = (
        std::fs::read_to_string(&path).unwrap(),
        openssl(&["ec", "-pubout", "-in", &path]),
    );
    openssl(&["genpkey", "-algorithm", "ED25519", "-out", &path]);
    let public = openssl(&["pkey", "-pubout", "-in", &path]);
    let der = openssl(&["pkey", "-in", &path, "-outform", "DER"]);
    let spki = openssl(&["pkey", "-pubout", "-in", &path, "-outform", "DER"]);
    // As the portal writes it: base64 of seed and public key.
    let both = desk.home.path("both");
    std::fs::write(&both, [&der[16..], &spki[12..]].concat()).unwrap();
    let text = openssl(&["base64", "-A", "-in", both.to_str().unwrap()]);
    let ed25519 = (String::from_utf8(text).unwrap(), public);

    let keys = [
        ("P-256", "trade", 0, p256),
        ("Ed25519", "move-money", 1, ed25519),
    ];
    for (kind, class, fingers, (secret, public)) in keys {
        let before = desk.touches();
        let args = [
            "add",
            kind,
            "--venue",
            "coinbase",
            "--class",
            class,
            "--api-key",
            "organizations/1/apiKeys/2",
            "--into-device",
            "--secret-fd",
            "0",
        ];
        let _added = desk.home.json_with(&args, &secret);
        assert_eq!(desk.touches() - before, fingers, "{kind}");
        let shown = desk.home.json(&["show", kind]);
        let key = &shown["device_key"];
        assert_eq!(
            (&key["algorithm"], &key["imported"]),
            (&json!(kind), &json!(true))
        );
        assert_eq!(key["attested"], Value::Null);
        let exported = desk.home.json(&["public-key", kind]);
        assert_eq!(exported["text"].as_str().unwrap().as_bytes(), public);
        assert_eq!(exported["steps"], Value::Null, "the venue has it");
        // Neither the log nor the vault's file says anything of it.
        assert!(!desk.home.log().contains(&secret[30..60]));
    }
    let slots = desk.home.json(&["device", "inspect", &desk.card.serial]);
    let origins = slots["slots"].as_array().unwrap().iter();
    let imported = origins.filter(|slot| slot["origin"] == "imported").count();
    assert_eq!(imported, 2, "{slots:#}");
    // A secret that PIV cannot hold is refused before anybody types or touches anything.
    let asked = desk.person.was_asked().len();
    let args = [
        "add",
        "hmac",
        "--venue",
        "kraken",
        "--class",
        "trade",
        "--api-key",
        "k",
    ];
    let more = ["--into-device", "--secret-fd", "0", "--json"];
    let mut touchkeep = desk.home.touchkeep();
    touchkeep.args(args).args(more);
    let mut child = touchkeep
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"MDEyMzQ1Njc4OWFiY2RlZg==")
        .unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(!said.status.success());
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("PIV has no HMAC"), "{said}");
    assert_eq!(desk.person.was_asked().len(), asked);
}

#[test]
fn money_is_signed_with_a_touch_for_each_and_not_without_the_card() {
    let desk = Desk::set(Card::of_firmware("5.7.1"));
    let venue = Venue::open();
    let make = [
        "add",
        "money",
        "--venue",
        "binance",
        "--class",
        "move-money",
        "--on-device",
        "--algorithm",
        "rsa2048",
        "--base-url",
        &venue.url,
    ];
    let _made = desk.home.json(&make);
    let shown = desk.home.json(&["show", "money"]);
    assert_eq!(shown["device_key"]["touch"], "always");
    let public = desk.home.json(&["public-key", "money"]);
    let name = venue.rsa_key(public["pem"].as_str().unwrap(), &["read", "withdraw"]);
    let _set = desk.home.json(&["set-api-key", "money", &name]);
    let client = desk.home.json(&["proxy", "add", "bot"]);
    let (base, token) = (
        client["base_url"].as_str().unwrap(),
        client["token"].as_str().unwrap(),
    );
    let withdraw = || {
        let headers = [
            ("x-mbx-apikey", token),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let body = "coin=BTC&network=BTC&address=bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq&amount=0.5&timestamp=1&signature=0";
        http(
            base,
            "POST",
            "/sapi/v1/capital/withdraw/apply",
            &headers,
            body,
        )
    };
    for at in 0..2 {
        let before = desk.touches();
        let (status, answer) = withdraw();
        assert_eq!(status, 200, "{answer} {}", desk.home.log());
        assert_eq!(desk.touches() - before, 1);
        assert_eq!(venue.received("/withdraw/apply")[at]["accepted"], true);
    }
    // The card goes while it waits for the finger: the venue sees nothing.
    desk.person.take_hands_off();
    let control = desk.card.control.clone();
    std::thread::scope(|scope| {
        let bot = scope.spawn(withdraw);
        touchkeep_tests::wait_for("the card to wait for a finger", || {
            let state = desk.card.ask(&json!({ "do": "state" }));
            (state["waiting"] == true).then_some(())
        });
        assert!(control.exists());
        let _out = desk.card.ask(&json!({ "do": "remove" }));
        let (status, answer) = bot.join().unwrap();
        assert_eq!(status, 403, "{answer}");
    });
    assert_eq!(venue.received("/withdraw/apply").len(), 2);
    let _in = desk.card.ask(&json!({ "do": "insert" }));
    let verdict = desk.home.json(&["audit", "verify"]);
    assert_eq!(verdict["sound"], true, "{verdict}");
}
