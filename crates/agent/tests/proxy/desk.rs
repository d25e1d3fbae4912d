//! A bot's desk: an agent with a vault of three keys, a venue, and a policy that allows little.

use touchkeep_client::Connection;
use touchkeep_wire::*;

use crate::common::{Agent, Person, Venue, bot, yes};

pub(crate) const TRADE_SECRET: &str = "canary-trade-secret-0123456789";
pub(crate) const POLICY: &str = r#"
[[rule]]
name = "small orders"
kinds = ["trade", "cancel"]
symbols = ["BTCUSDT"]
max_amount = "1"
action = "allow"

[[rule]]
name = "reads"
kinds = ["read"]
action = "allow"

[[rule]]
name = "money by hand"
kinds = ["withdraw", "transfer"]
action = "touch"
"#;
pub(crate) const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.5&price=100&timestamp=1&signature=dummy";
pub(crate) const WITHDRAW: &str =
    "coin=BTC&address=bc1qcanaryaddress&amount=0.5&network=BTC&timestamp=1&signature=dummy";
pub(crate) const WITHDRAW_PATH: &str = "/sapi/v1/capital/withdraw/apply";

pub(crate) struct Desk {
    pub(crate) agent: Agent,
    pub(crate) client: Connection,
    pub(crate) venue: Venue,
    pub(crate) base: String,
    pub(crate) token: String,
}

pub(crate) async fn desk(config: &str, money: fn(SecretText) -> NewSecret, answers: bool) -> Desk {
    let agent = Agent::start_with(config, &[]).await;
    let client = agent.client().await;
    let owner = Person::new(&agent, yes).await;
    let venue = Venue::start(TRADE_SECRET, answers).await;
    let path = agent.home.path().join("v.touchkeep").display().to_string();
    let made = client
        .call(CreateVault {
            path,
            user: "Zoe".into(),
            environment: "test".into(),
            practice: true,
            device: NewDevice::Software { work_factor: 10 },
        })
        .await
        .unwrap();
    assert!(made.practice && made.items == Some(0));
    for (name, class, secret) in [
        (
            "trade",
            "trade",
            (|value| NewSecret::Stored { value }) as fn(SecretText) -> NewSecret,
        ),
        ("money", "move-money", money),
        ("read", "read", |value| NewSecret::Stored { value }),
    ] {
        client
            .call(AddItem {
                rotate_after_days: Some(90),
                ..AddItem::new("exchange-key", name)
                    .field("venue", "binance")
                    .field("key-set", "main")
                    .field("class", class)
                    .field("api-key", format!("{name}-api-key-0123456789"))
                    .field("base-url", &venue.url)
                    .secret("secret", secret(SecretText::new(TRADE_SECRET.into())))
            })
            .await
            .unwrap();
    }
    client
        .call(SetPolicy {
            text: POLICY.into(),
        })
        .await
        .unwrap();
    let bot = client
        .call(AddClient::unbound("grid-bot", "main"))
        .await
        .unwrap();
    drop(owner);
    Desk {
        agent,
        client,
        venue,
        base: bot.base_url(),
        token: bot.token.into_inner(),
    }
}

pub(crate) fn stored(value: SecretText) -> NewSecret {
    NewSecret::Stored { value }
}

pub(crate) fn sealed(value: SecretText) -> NewSecret {
    NewSecret::Sealed { value }
}

pub(crate) const CONFIG: &str = "approval_seconds = 20\n";

impl Desk {
    pub(crate) async fn order(&self) -> (u16, String) {
        bot(&self.base, &self.token, "POST", "/api/v3/order", ORDER).await
    }

    pub(crate) async fn withdraw(&self) -> (u16, String) {
        bot(&self.base, &self.token, "POST", WITHDRAW_PATH, WITHDRAW).await
    }

    pub(crate) async fn rows(&self, kinds: &[&str]) -> Vec<AuditRow> {
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let page = self
            .client
            .call(ListAudit {
                before: None,
                limit: 500,
                filter: AuditFilter {
                    kinds,
                    ..Default::default()
                },
            })
            .await
            .unwrap();
        // What is free was asked before, by ourselves.
        let asked = |row: &AuditRow| {
            !row.what
                .as_deref()
                .is_some_and(|what| what.starts_with("Read account"))
        };
        page.rows.into_iter().filter(asked).collect()
    }
}
