//! Two items with one API key: to their venue they are one key, with one count of requests and the rights of both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use common::{Agent, Person, Venue, add_bot, http, key_of, place, practice_vault, yes};
use touchkeep_wire::{
    AddGrant, ArmTradeKeys, AskGrant, EditItem, Question, Scope, SetPolicy, ShowItem,
};

const KEY: &str = "one-api-key-0123456789";
const RULES: &str = r#"
[[rule]]
name = "all"
kinds = ["read", "trade", "cancel"]
action = "allow"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_one_key_rise_whichever_of_its_items_signs() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    practice_vault(&agent, &client).await;
    let _owner = Person::new(&agent, yes).await;
    let venue = Venue::start("not looked at here", true).await;
    for class in ["read", "trade"] {
        let add = key_of("kraken", class, KEY, &venue.url, "c2VjcmV0");
        client.call(add).await.unwrap();
    }
    let text = RULES.into();
    client.call(SetPolicy { text }).await.unwrap();
    let bot = add_bot(&client).await;
    let (port, _) = place(&bot.base_url());
    let token = bot.token.into_inner();
    let asked = (0..60).map(|number| {
        let (path, body) = match number % 2 {
            0 => ("Balance", "nonce=1"),
            _ => ("CancelOrder", "nonce=1&txid=O1"),
        };
        let request = format!(
            "POST /kraken/0/private/{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
             X-Touchkeep-Token: {token}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        tokio::spawn(async move { http(port, &request).await })
    });
    for done in asked.collect::<Vec<_>>() {
        let (status, answer) = done.await.unwrap();
        assert_eq!(status, 200, "{answer}");
    }
    let nonce = |parameters: &str| {
        let mut fields = parameters.split('&');
        let nonce = fields.find_map(|field| field.strip_prefix("nonce="));
        nonce.unwrap().parse::<u64>().unwrap()
    };
    // It is asked for the time as well.
    let mut got = venue.got();
    got.retain(|one| one.path.contains("/private/"));
    let nonces: Vec<u64> = got.iter().map(|one| nonce(&one.parameters)).collect();
    assert_eq!(nonces.len(), 60);
    assert!(nonces.is_sorted_by(|a, b| a < b), "{nonces:?}");
    let of = |path: &str| got.iter().filter(|one| one.path.ends_with(path)).count();
    assert_eq!((of("Balance"), of("CancelOrder")), (30, 30));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_item_of_one_key_is_said_and_what_moves_money_is_not_armed() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    practice_vault(&agent, &client).await;
    let owner = Person::new(&agent, yes).await;
    let add = |class: &str, api_key: &str| {
        client.call(key_of(
            "kraken",
            class,
            api_key,
            "http://127.0.0.1:1",
            "c2VjcmV0",
        ))
    };
    assert!(add("read", KEY).await.unwrap().same_key.is_empty());
    assert_eq!(add("trade", KEY).await.unwrap().same_key, ["read"]);
    let armed = client.call(ArmTradeKeys { seconds: 60 }).await.unwrap();
    assert_eq!(armed.items, ["read", "trade"]);
    assert!(
        add("move-money", "another-0123456789")
            .await
            .unwrap()
            .same_key
            .is_empty()
    );
    let edit = EditItem {
        item: "move-money".into(),
        name: None,
        set: [("api-key".to_owned(), KEY.to_owned())].into(),
        unset: Vec::new(),
        secrets: Default::default(),
        add_tags: Vec::new(),
        remove_tags: Vec::new(),
        forget_old: false,
        created: None,
    };
    let changed = client.call(edit).await.unwrap();
    assert_eq!(changed.summary.same_key, ["read", "trade"]);
    let item = "read".into();
    let shown = client.call(ShowItem { item }).await.unwrap().summary;
    assert_eq!(shown.same_key, ["move-money", "trade"]);
    client.call(ArmTradeKeys { seconds: 0 }).await.unwrap();
    client.call(ArmTradeKeys { seconds: 60 }).await.unwrap_err();
    // Nor is a yes about its values remembered.
    let ahead = AddGrant {
        program: "/bin/true".into(),
        items: vec!["read".into()],
        seconds: 60,
    };
    client.call(ahead).await.unwrap_err();
    let ask = AskGrant {
        items: vec!["read".into()],
        no_interaction: false,
    };
    client.call(ask).await.unwrap();
    let seen = owner.seen.lock().unwrap();
    let Question::Use(asked) = &seen.last().unwrap().question else {
        panic!("{seen:?}");
    };
    assert_eq!(asked.scopes, [Scope::Once]);
}
