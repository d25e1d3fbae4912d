//! A token stays logged in from one signature to the next. What comes to be on it meanwhile, and what does not, changes nothing of that.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use common::{
    Agent, Person, Venue, add_bot, bot,
    token::{MODULE, PIN, make_token, on_token, with_pin},
};
use tempfile::TempDir;
use touchkeep_client::Connection;
use touchkeep_wire::*;

const RULES: &str = "[[rule]]\nname = \"all\"\nkinds = [\"read\", \"trade\"]\naction = \"allow\"\n";
const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&timestamp=1&signature=x";

struct Desk {
    agent: Agent,
    client: Connection,
    person: Person,
    venue: Venue,
    _folder: TempDir,
}

impl Desk {
    // A vault that a token opens, and a key on that which has signed once.
    async fn set() -> (Self, (String, String)) {
        let folder = tempfile::tempdir().unwrap();
        let config = make_token(folder.path());
        let short = "approval_seconds = 3\n";
        let agent = Agent::start_with(short, &[("SOFTHSM2_CONF", &config)]).await;
        let client = agent.client().await;
        let person = Person::new(&agent, with_pin(PIN)).await;
        let device = NewDevice::Pkcs11 {
            module: MODULE.into(),
            token: "agent-test".into(),
        };
        let new = CreateVault {
            path: agent.home.path().join("v.touchkeep").display().to_string(),
            user: "Zoe".into(),
            environment: "test".into(),
            practice: true,
            device,
        };
        client.call(new).await.unwrap();
        client.call(SetPolicy { text: RULES.into() }).await.unwrap();
        let venue = Venue::start("none", true).await;
        let desk = Self {
            agent,
            client,
            person,
            venue,
            _folder: folder,
        };
        desk.add("binance", "trade").await.unwrap();
        let bot = add_bot(&desk.client).await;
        let bot = (bot.base_url(), bot.token.into_inner());
        desk.sends(&bot, "POST", "/api/v3/order", ORDER).await;
        (desk, bot)
    }

    async fn add(&self, venue: &str, class: &str) -> Result<(), String> {
        let key = AddItem::new("exchange-key", format!("{venue}-{class}"))
            .field("venue", venue)
            .field("key-set", "main")
            .field("class", class)
            .field("api-key", format!("the-{class}-key"))
            .field("base-url", &self.venue.url)
            .secret("secret", on_token("ed25519"));
        let added = self.client.call(key).await;
        added.map(drop).map_err(|error| error.to_string())
    }

    async fn sends(&self, (base, token): &(String, String), method: &str, path: &str, body: &str) {
        let (status, answer) = bot(base, token, method, path, body).await;
        assert_eq!(status, 200, "{answer}\n{}", self.agent.log());
    }

    fn pins_asked(&self) -> usize {
        let seen = self.person.seen.lock().unwrap();
        let pins = seen.iter();
        pins.filter(|it| matches!(it.question, Question::Pin { .. }))
            .count()
    }
}

#[tokio::test]
async fn a_key_that_was_made_while_the_token_stays_logged_in_signs_at_its_first_use() {
    let (desk, client) = Desk::set().await;
    desk.add("binance", "read").await.unwrap();
    let pins = desk.pins_asked();
    let account = "/api/v3/account?timestamp=1&signature=x";
    desk.sends(&client, "GET", account, "").await;
    let got = desk.venue.got();
    assert_eq!(got[1].api_key, "the-read-key", "{got:?}");
    assert_eq!(desk.pins_asked(), pins);
}

#[tokio::test]
async fn a_key_that_cannot_be_made_makes_nobody_type_a_pin_again() {
    let (desk, client) = Desk::set().await;
    let pins = desk.pins_asked();
    let why = desk.add("kraken", "trade").await.unwrap_err();
    assert!(why.contains("Ed25519"), "{why}");
    desk.sends(&client, "POST", "/api/v3/order", ORDER).await;
    assert_eq!(desk.pins_asked(), pins);
}
