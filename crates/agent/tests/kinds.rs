//! What a request can do decides what is asked of it, whatever its name, its method and its sender's intention.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use common::{
    Agent, Person, Venue, add_bot, http, key_of, now_ms, place, practice_vault, undecided, yes,
};
use touchkeep_wire::{Answer, NewSecret, Question, SecretText, SetPolicy};

const READS: &str = "[[rule]]\nname = \"reads\"\nkinds = [\"read\"]\naction = \"allow\"\n";
const TRADES: &str =
    "[[rule]]\nname = \"all\"\nkinds = [\"read\", \"trade\"]\naction = \"allow\"\n";

/// A bot at a venue of which it has two keys, under these rules.
struct Desk {
    _agent: Agent,
    owner: Person,
    venue: Venue,
    port: u16,
    token: String,
    id: &'static str,
}

impl Desk {
    async fn of(id: &'static str, rules: &str) -> Self {
        Self::with(id, rules, yes).await
    }

    async fn with(
        id: &'static str,
        rules: &str,
        person: impl Fn(&Question) -> Option<Answer> + Send + 'static,
    ) -> Self {
        let agent = Agent::start().await;
        let client = agent.client().await;
        practice_vault(&agent, &client).await;
        let owner = Person::new(&agent, person).await;
        let venue = Venue::start("not looked at here", true).await;
        for class in ["trade", "move-money"] {
            let key = format!("{class}-api-key-0123456789");
            let mut add = key_of(id, class, &key, &venue.url, "c2VjcmV0");
            if !["deribit", "gate"].contains(&id) {
                let value = SecretText::new("words".into());
                add = add.secret("passphrase", NewSecret::Stored { value });
            }
            client.call(add).await.unwrap();
        }
        let text = rules.into();
        client.call(SetPolicy { text }).await.unwrap();
        let bot = add_bot(&client).await;
        Self {
            port: place(&bot.base_url()).0,
            token: bot.token.into_inner(),
            _agent: agent,
            owner,
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
    assert!(
        answer.contains("no key of the class key-admin at "),
        "{answer}"
    );
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

// An order that waited for a person would else be placed at a price of long ago.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_ends_when_its_header_says_so() {
    let orders = [
        (
            "okx",
            "expTime",
            "/api/v5/trade/order",
            r#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","sz":"1","px":"2"}"#,
        ),
        (
            "gate",
            "X-Gate-Exptime",
            "/api/v4/spot/orders",
            r#"{"currency_pair":"BTC_USDT","side":"buy","type":"limit","amount":"1","price":"2"}"#,
        ),
    ];
    for (venue, header, path, order) in orders {
        let desk = Desk::of(venue, TRADES).await;
        let past = format!("{header}: {}\r\n", now_ms() - 1);
        let (status, answer) = desk.ask("POST", path, &past, order).await;
        assert_eq!(status, 403, "{answer}");
        assert!(answer.contains("has passed"), "{answer}");
        for strange in ["0x10", "", "1e15", "9999999999999.5", "09999999999999"] {
            let strange = format!("{header}: {strange}\r\n");
            let (status, answer) = desk.ask("POST", path, &strange, order).await;
            assert_eq!(status, 400, "{strange}: {answer}");
            assert!(answer.contains("not a plain decimal number"), "{answer}");
        }
        let twice = format!("{header}: 9999999999999\r\n{header}: 1\r\n");
        let (status, answer) = desk.ask("POST", path, &twice, order).await;
        assert_eq!(status, 400, "{answer}");
        assert!(desk.got().is_empty(), "{venue}: {:?}", desk.got());
        let later = (now_ms() + 60_000).to_string();
        let given = format!("{header}: {later}\r\n");
        let (status, answer) = desk.ask("POST", path, &given, order).await;
        assert_eq!(
            (status, desk.got()),
            (200, vec![path.to_owned()]),
            "{answer}"
        );
        let got = desk.venue.got();
        let passed = got.iter().find(|got| got.path == path).unwrap();
        let name = header.to_ascii_lowercase();
        assert!(
            passed.headers.contains(&(name, later)),
            "{:?}",
            passed.headers
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_about_an_order_ends_with_the_order() {
    let rules = TRADES.replace("allow", "approve");
    let desk = Desk::with("okx", &rules, undecided).await;
    let order =
        r#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","sz":"1","px":"2"}"#;
    let until = format!("expTime: {}\r\n", now_ms() + 3_000);
    let asked = std::time::Instant::now();
    let (status, answer) = desk.ask("POST", "/api/v5/trade/order", &until, order).await;
    assert_eq!(status, 403, "{answer}");
    assert!(
        asked.elapsed().as_secs() < 15,
        "not the time that a person has"
    );
    let approvals = desk.owner.approvals();
    let shown = &approvals[0].facts;
    assert!(
        shown.iter().any(|(_, value)| value.contains("expTime")),
        "{shown:?}"
    );
    assert!(desk.got().is_empty(), "{:?}", desk.got());
}
