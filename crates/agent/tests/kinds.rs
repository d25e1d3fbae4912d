//! What a request can do decides what is asked of it, whatever its name, its method and its sender's intention.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use common::{Agent, Person, Venue, add_bot, http, key_of, place, practice_vault, yes};
use touchkeep_wire::{NewSecret, SecretText, SetPolicy};

const READS: &str = "[[rule]]\nname = \"reads\"\nkinds = [\"read\"]\naction = \"allow\"\n";
const TRADES: &str =
    "[[rule]]\nname = \"all\"\nkinds = [\"read\", \"trade\"]\naction = \"allow\"\n";

/// A bot at a venue of which it has two keys, under these rules.
struct Desk {
    _agent: Agent,
    venue: Venue,
    port: u16,
    token: String,
    id: &'static str,
}

impl Desk {
    async fn of(id: &'static str, rules: &str) -> Self {
        let agent = Agent::start().await;
        let client = agent.client().await;
        practice_vault(&agent, &client).await;
        let owner = Person::new(&agent, yes).await;
        let venue = Venue::start("not looked at here", true).await;
        for class in ["trade", "move-money"] {
            let key = format!("{class}-api-key-0123456789");
            let mut add = key_of(id, class, &key, &venue.url, "c2VjcmV0");
            if id != "deribit" {
                let value = SecretText::new("words".into());
                add = add.secret("passphrase", NewSecret::Stored { value });
            }
            client.call(add).await.unwrap();
        }
        let text = rules.into();
        client.call(SetPolicy { text }).await.unwrap();
        let bot = add_bot(&client).await;
        drop(owner);
        Self {
            port: place(&bot.base_url()).0,
            token: bot.token.into_inner(),
            _agent: agent,
            venue,
            id,
        }
    }

    async fn ask(&self, method: &str, target: &str, headers: &str, body: &str) -> (u16, String) {
        let Self {
            port, token, id, ..
        } = self;
        let request = format!(
            "{method} /{id}{target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
             X-Touchkeep-Token: {token}\r\n{headers}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        http(*port, &request).await
    }

    // The paths of private requests that reached the venue.
    fn got(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.venue.got().into_iter().map(|got| got.path).collect();
        paths.retain(|path| path.contains("/private/") || path.contains("order"));
        paths
    }
}

// Deribit lets whoever may read make the signature with which another party executes a block trade with this account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_that_may_read_agrees_to_no_block_trade() {
    let desk = Desk::of("deribit", READS).await;
    let trades = "%5B%7B%22instrument_name%22%3A%22BTC-PERPETUAL%22%2C%22direction%22%3A%22sell%22%2C%22price%22%3A1%2C%22amount%22%3A1000%7D%5D";
    let agreed = format!(
        "/api/v2/private/verify_block_trade?timestamp=1&nonce=a&role=maker&trades={trades}"
    );
    let (status, answer) = desk.ask("GET", &agreed, "", "").await;
    assert_eq!(status, 403, "{answer}");
    let (status, answer) = desk
        .ask("GET", "/api/v2/private/list_api_keys", "", "")
        .await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer.contains("no key of the class KeyAdmin"), "{answer}");
    assert!(desk.got().is_empty(), "{:?}", desk.got());
    let look = "/api/v2/private/get_positions";
    let (status, answer) = desk.ask("GET", look, "", "").await;
    assert_eq!(
        (status, desk.got()),
        (200, vec![look.to_owned()]),
        "{answer}"
    );
}

// No header of a client goes on, so a request for the demo account would be one for the real one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_for_a_demo_account_is_placed_in_no_other() {
    let orders = [
        (
            "okx",
            "x-simulated-trading",
            "/api/v5/trade/order",
            r#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","sz":"1","px":"2"}"#,
        ),
        (
            "bitget",
            "PAPTRADING",
            "/api/v2/spot/trade/place-order",
            r#"{"symbol":"BTCUSDT","side":"buy","orderType":"limit","force":"gtc","size":"1","price":"2"}"#,
        ),
    ];
    for (venue, header, path, order) in orders {
        let desk = Desk::of(venue, TRADES).await;
        let (status, answer) = desk
            .ask("POST", path, &format!("{header}: 1\r\n"), order)
            .await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer.contains("demo account"), "{answer}");
        assert!(desk.got().is_empty(), "{venue}: {:?}", desk.got());
        let real = format!("{header}: 0\r\n");
        let (status, answer) = desk.ask("POST", path, &real, order).await;
        assert_eq!(
            (status, desk.got()),
            (200, vec![path.to_owned()]),
            "{answer}"
        );
    }
}
