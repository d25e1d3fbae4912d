//! A bot's desk: a vault that a passphrase or a card opens, an exchange, and a policy by which a person is asked.

use serde_json::Value;
use touchkeep_tests::{Card, Home, Person, Venue, http};

pub(crate) const ADDRESS: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";

pub(crate) const POLICY: &str = r#"
[[rule]]
name = "reading"
kinds = ["read"]
action = "allow"

[[rule]]
name = "orders"
kinds = ["trade", "cancel"]
action = "approve"

[[rule]]
name = "withdrawals"
kinds = ["withdraw"]
action = "touch"
"#;

/// A vault that a passphrase or a card opens, a key that trades and one that moves money, and a bot's way in.
pub(crate) struct Desk {
    pub(crate) home: Home,
    pub(crate) venue: Venue,
    pub(crate) person: Option<Person>,
    pub(crate) card: Option<Card>,
    pub(crate) token: String,
    pub(crate) base: String,
}

impl Desk {
    pub(crate) fn with_a_passphrase(config: &str) -> Self {
        Self::set(None, config)
    }

    pub(crate) fn with_a_card(config: &str) -> Self {
        Self::set(Some(Card::insert()), config)
    }

    fn set(card: Option<Card>, config: &str) -> Self {
        let home = Home::new(card.as_ref().map(|card| card.pcscd.as_str()));
        Self::at(home, card, config)
    }

    pub(crate) fn at(mut home: Home, card: Option<Card>, config: &str) -> Self {
        let venue = Venue::open();
        std::fs::write(home.path("home/config.toml"), config).unwrap();
        home.kill_agent();
        home.start_agent();
        let control = card.as_ref().map(|card| card.control.as_path());
        let person = Person::sit_down(&home.paths(), control);
        let path = home.path("v.touchkeep").display().to_string();
        let init = ["init", "--practice", "--path", &path];
        let _made = match &card {
            None => home.json(&[&init[..], &["--work-factor", "10"]].concat()),
            Some(card) => {
                let _changed = home.json(&["device", "set-pin", &card.serial]);
                let device = format!("piv:{}", card.serial);
                home.json(&[&init[..], &["--device", &device]].concat())
            }
        };
        let add = |name: &str, class: &str, may: &[&str], more: &[&str]| {
            let (api_key, secret) = venue.hmac_key(may);
            let args = [
                "add",
                name,
                "--venue",
                "binance",
                "--class",
                class,
                "--api-key",
                &api_key,
                "--base-url",
                &venue.url,
                "--secret-fd",
                "0",
            ];
            let _added = home.json_with(&[&args[..], more].concat(), &secret);
        };
        add("trade", "trade", &["read", "trade"], &[]);
        add("money", "move-money", &["read", "withdraw"], &["--sealed"]);
        let policy = home.path("policy.toml");
        std::fs::write(&policy, POLICY).unwrap();
        let _policy = home.json(&["policy", "set", policy.to_str().unwrap()]);
        let client = home.json(&["proxy", "add", "grid-bot"]);
        let text = |name: &str| client[name].as_str().unwrap().to_owned();
        Self {
            token: text("token"),
            base: text("base_url"),
            home,
            venue,
            person: Some(person),
            card,
        }
    }

    pub(crate) fn person(&self) -> &Person {
        self.person.as_ref().unwrap()
    }

    pub(crate) fn asked(&self) -> usize {
        self.person().requests().len()
    }

    pub(crate) fn grants_for(&self, minutes: Option<u32>) {
        self.person().mind.lock().unwrap().for_minutes = minutes;
    }

    pub(crate) fn order(&self, more: &str) -> u16 {
        let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&price=20000";
        self.send("/api/v3/order", &format!("{order}&{more}")).0
    }

    pub(crate) fn withdraw(&self, more: &str) -> (u16, String) {
        self.send(
            "/sapi/v1/capital/withdraw/apply",
            &format!("coin=BTC&network=BTC&address={ADDRESS}&amount=0.5{more}"),
        )
    }

    pub(crate) fn send(&self, path: &str, body: &str) -> (u16, String) {
        let headers = [
            ("x-mbx-apikey", self.token.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let body = format!("{body}&timestamp=1&signature=0000");
        http(&self.base, "POST", path, &headers, &body)
    }

    pub(crate) fn rows(&self, kind: &str) -> Vec<Value> {
        let page = self.home.json(&["audit", "list", "--kind", kind]);
        page["rows"].as_array().unwrap().clone()
    }

    // A row with everything that stands in it.
    pub(crate) fn row(&self, row: &Value) -> Value {
        let shown = self.home.json(&["audit", "show", &row["seq"].to_string()]);
        shown["row"].clone()
    }
}

pub(crate) fn detail(row: &Value, name: &str) -> Option<String> {
    let details = row["details"].as_array()?;
    let found = details.iter().find(|one| one[0] == name)?;
    found[1].as_str().map(str::to_owned)
}
