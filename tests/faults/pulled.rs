//! The card is pulled at each command of a signature for a request: H-03, where money is at stake.

use serde_json::{Value, json};
use touchkeep_tests::{Card, Home, Person, Venue, http, wait_for};

use crate::tally::{Draw, Tally, soak};

const POLICY: &str =
    "[[rule]]\nname = \"withdrawals\"\nkinds = [\"withdraw\"]\naction = \"touch\"\n";
const PATH: &str = "/sapi/v1/capital/withdraw/apply";

struct Desk {
    card: Card,
    venue: Venue,
    home: Home,
    _person: Person,
    base: String,
    token: String,
}

impl Desk {
    // A vault on a card, and on that a key that signs withdrawals.
    fn set() -> Self {
        let (card, venue) = (Card::insert(), Venue::open());
        let home = Home::new(Some(&card.pcscd));
        let person = Person::sit_down(&home.paths(), Some(&card.control));
        let _changed = home.json(&["device", "set-pin", &card.serial]);
        let vault = home.path("v.touchkeep").display().to_string();
        let device = format!("piv:{}", card.serial);
        let _made = home.json(&["init", "--practice", "--path", &vault, "--device", &device]);
        let add = [
            "add",
            "money",
            "--venue",
            "binance",
            "--class",
            "move-money",
            "--on-device",
            "--base-url",
        ];
        let _key = home.json(&[&add[..], &[&venue.url]].concat());
        let pem = home.json(&["public-key", "money"])["pem"].clone();
        let name = venue.rsa_key(pem.as_str().unwrap(), &["read", "withdraw"]);
        let _named = home.json(&["set-api-key", "money", &name]);
        let policy = home.path("policy.toml");
        std::fs::write(&policy, POLICY).unwrap();
        let _policy = home.json(&["policy", "set", policy.to_str().unwrap()]);
        let bot = home.json(&["proxy", "add", "bot"]);
        let text = |name: &str| bot[name].as_str().unwrap().to_owned();
        Self {
            base: text("base_url"),
            token: text("token"),
            card,
            venue,
            home,
            _person: person,
        }
    }

    fn withdraw(&self, number: usize) -> (u16, String) {
        let headers = [
            ("x-mbx-apikey", self.token.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let body = format!(
            "coin=BTC&network=BTC&address=bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq&amount=0.01{number:03}&timestamp=1&signature=0"
        );
        http(&self.base, "POST", PATH, &headers, &body)
    }

    fn arrived(&self, number: usize) -> Vec<Value> {
        let mark = format!("amount=0.01{number:03}&");
        let mut received = self.venue.received(PATH);
        received.retain(|row| format!("{}&{}&", row["query"], row["body"]).contains(&mark));
        received
    }

    fn commands(&self) -> u64 {
        self.card.ask(&json!({ "do": "state" }))["apdus"]
            .as_u64()
            .unwrap()
    }

    // The rows since, newest first.
    fn rows(&self, after: u64) -> Vec<Value> {
        let page = self.home.json(&["audit", "list", "--limit", "30"]);
        let rows = page["rows"].as_array().unwrap().iter();
        rows.filter(|row| row["seq"].as_u64().unwrap() > after)
            .cloned()
            .collect()
    }

    // Back in, and open, whether or not its absence was noticed.
    fn insert(&self) {
        let _disarmed = self.card.ask(&json!({ "do": "at", "apdu": 0 }));
        let state = self.card.ask(&json!({ "do": "state" }));
        if state["inserted"] == false {
            wait_for("the lock", || {
                (self.home.json(&["status"])["unlocked"] == false).then_some(())
            });
            let _in = self.card.ask(&json!({ "do": "insert" }));
        }
        if self.home.json(&["status"])["unlocked"] == false {
            let _open = self.home.json(&["unlock"]);
        }
    }
}

#[test]
fn a_card_that_is_pulled_at_each_command_leaves_no_doubt() {
    let mut tally = Tally::new(
        "H-03 S-07",
        "the card pulled at each command of a withdrawal",
    );
    let desk = Desk::set();
    let before = desk.commands();
    let (status, answer) = desk.withdraw(0);
    assert_eq!(status, 200, "{answer} {}", desk.home.log());
    let commands = desk.commands() - before;
    let mut points = Vec::new();
    for at in 1..=commands {
        for then in ["remove-before", "remove-during", "remove-after"] {
            points.push((at, then));
        }
    }
    if soak() == 0 {
        points = Draw::new("pulled").some(points, 5);
    }
    let (mut sent, mut not) = (0, 0);
    for (number, (at, then)) in (1..).zip(points) {
        let last = desk.rows(0)[0]["seq"].as_u64().unwrap();
        let _armed = desk
            .card
            .ask(&json!({ "do": "at", "apdu": at, "then": then }));
        let (status, answer) = desk.withdraw(number);
        let arrived = desk.arrived(number);
        desk.insert();
        let rows = desk.rows(last);
        let of = |kind: &str| -> Vec<Value> {
            rows.iter()
                .filter(|row| row["kind"] == kind)
                .cloned()
                .collect()
        };
        let (intents, outcomes) = (of("intent"), of("outcome"));
        let fits = match (arrived.as_slice(), outcomes.as_slice()) {
            ([one], [outcome]) => {
                sent += 1;
                status == 200 && one["accepted"] == true && outcome["decision"] == "done"
            }
            ([], []) => {
                not += 1;
                status >= 400 && intents.is_empty()
            }
            ([], [outcome]) => {
                not += 1;
                status >= 400
                    && outcome["decision"] == "failed"
                    && outcome["of"] == intents[0]["seq"]
            }
            _ => false,
        };
        let next = desk.withdraw(number + 500);
        let held = (fits && intents.len() <= 1 && next.0 == 200)
            .then_some(())
            .ok_or_else(|| format!("{status} {answer}, {arrived:?}, {rows:?}, then {next:?}"));
        tally.tried(|| format!("{then} {at} of {commands}"), held);
    }
    tally.saw(format!("{not} not sent, {sent} sent and done"));
    assert_eq!(desk.home.json(&["audit", "verify"])["sound"], true);
}
