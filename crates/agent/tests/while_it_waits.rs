//! What happens to a key while a person is asked about a request that it would sign: it is the key of then, or nothing is signed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::collections::BTreeMap;

use common::{Agent, Person, Venue, add_bot, bot, key_of, let_in, practice_vault, until, yes};
use touchkeep_client::Event;
use touchkeep_wire::*;

const SECRET: &str = "canary-waiting-secret-0123456789";
const POLICY: &str = "[[rule]]\nname = \"orders\"\nkinds = [\"trade\"]\naction = \"approve\"\n\
                      [[rule]]\nname = \"reads\"\nkinds = [\"read\"]\naction = \"allow\"\n";
const ORDER: &str =
    "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=2&timestamp=1&signature=x";

fn edit(name: &str, value: &str) -> EditItem {
    EditItem {
        item: "trade".into(),
        name: None,
        set: BTreeMap::from([(name.to_owned(), value.to_owned())]),
        unset: Vec::new(),
        secrets: BTreeMap::new(),
        add_tags: Vec::new(),
        remove_tags: Vec::new(),
        forget_old: false,
        created: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_taken_away_or_replaced_while_a_person_is_asked_signs_nothing() {
    let item = || "trade".to_owned();
    for change in ["trash", "remove", "move", "rotate", "rename"] {
        let venue = Venue::start(SECRET, true).await;
        let agent = Agent::start_with("approval_seconds = 20\n", &[]).await;
        let (base, token) = let_in(&agent, &venue.url, SECRET, POLICY).await;
        let (person, mut events) = agent.front_end().await.split();
        let asked =
            tokio::spawn(async move { bot(&base, &token, "POST", "/api/v3/order", ORDER).await });
        let (prompt, digest) = loop {
            let Some(Event::Open(prompt)) = events.next().await else {
                continue;
            };
            if let Question::Approval(approval) = &prompt.question {
                break (prompt.id, approval.digest.clone());
            }
        };
        let client = agent.client().await;
        match change {
            "trash" => drop(client.call(TrashItem { item: item() }).await.unwrap()),
            "remove" => {
                client.call(TrashItem { item: item() }).await.unwrap();
                client.call(RemoveItem { item: item() }).await.unwrap();
            }
            "move" => drop(client.call(edit("key-set", "parked")).await.unwrap()),
            "rotate" => drop(client.call(edit("api-key", "another-key")).await.unwrap()),
            _ => {
                let name = Some("called otherwise".to_owned());
                let set = BTreeMap::new();
                let rename = EditItem {
                    name,
                    set,
                    ..edit("", "")
                };
                client.call(rename).await.unwrap();
            }
        }
        person
            .answer(prompt, Answer::Approve { digest })
            .await
            .unwrap();
        let (status, answer) = asked.await.unwrap();
        let orders = venue.got();
        if change == "rename" {
            assert_eq!((status, orders.len()), (200, 1), "{answer}");
            continue;
        }
        assert_eq!(status, 403, "{change}: {answer}");
        assert!(
            answer.contains("changed or taken away while this waited"),
            "{change}: {answer}"
        );
        assert!(orders.is_empty(), "{change}: {orders:?}");
        let rows = async |kind: &str| {
            let filter = AuditFilter {
                kinds: vec![kind.into()],
                ..Default::default()
            };
            let list = ListAudit {
                before: None,
                limit: 10,
                filter,
            };
            client.call(list).await.unwrap().rows
        };
        until(async || !rows("request-refused").await.is_empty()).await;
        assert!(rows("intent").await.is_empty(), "{change}");
    }
}

// Such a vault takes software keys and devices of a laboratory: nothing of it is to sign for money.
#[tokio::test]
async fn a_practice_vault_signs_for_no_real_venue() {
    let agent = Agent::start_with("", &[]).await;
    let client = agent.client().await;
    practice_vault(&agent, &client).await;
    let _owner = Person::new(&agent, yes).await;
    let mut add = key_of(
        "binance",
        "trade",
        "an-api-key",
        "http://127.0.0.1:1",
        SECRET,
    );
    add.fields.remove("base-url");
    client.call(add).await.unwrap();
    let text = POLICY.replace("approve", "allow");
    client.call(SetPolicy { text }).await.unwrap();
    let new = add_bot(&client).await;
    let (base, token) = (new.base_url(), new.token.into_inner());
    let (status, answer) = bot(&base, &token, "POST", "/api/v3/order", ORDER).await;
    assert!((400..500).contains(&status), "{status} {answer}");
    assert!(answer.contains("this is a practice vault"), "{answer}");
}
