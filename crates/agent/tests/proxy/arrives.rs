//! What arrives at the venue, with which key, and who is let in to have it sent.

use touchkeep_wire::*;

use crate::{
    common::{Agent, Person, bot, http, place, yes},
    desk::{CONFIG, desk, stored},
};

#[tokio::test]
async fn an_order_within_the_rule_arrives_signed_and_recorded() {
    let desk = desk(CONFIG, stored, true).await;
    let (status, answer) = desk.order().await;
    assert_eq!(status, 200, "{answer}\n{}", desk.agent.log());
    assert!(
        answer.contains(r#"{"orderId":7}"#) && answer.contains("x-mbx-used-weight-1m: 3"),
        "{answer}"
    );
    let got = desk.venue.got();
    assert_eq!(got.len(), 1);
    assert!(got[0].signed, "{got:?}");
    assert_eq!(got[0].api_key, "trade-api-key-0123456789");
    assert!(
        got[0].parameters.starts_with("symbol=BTCUSDT&side=BUY")
            && !got[0].parameters.contains("dummy")
    );
    let rows = desk.rows(&["intent", "outcome"]).await;
    assert_eq!(rows[0].of, Some(rows[1].seq));
    assert_eq!(
        (rows[1].decision.as_str(), rows[0].decision.as_str()),
        ("allowed", "done")
    );
    assert_eq!(rows[1].client.as_deref(), Some("grid-bot"));
    let clients = desk.client.call(ListClients {}).await.unwrap();
    assert!(clients[0].last_seen.is_some());
}

#[tokio::test]
async fn reads_are_signed_by_the_trade_key_where_there_is_no_other() {
    let desk = desk(CONFIG, stored, true).await;
    let account = "/api/v3/account?timestamp=1&signature=x";
    assert_eq!(
        bot(&desk.base, &desk.token, "GET", account, "").await.0,
        200
    );
    desk.client
        .call(RemoveItem {
            item: "read".into(),
        })
        .await
        .unwrap();
    assert_eq!(
        bot(&desk.base, &desk.token, "GET", account, "").await.0,
        200
    );
    let keys: Vec<_> = desk
        .venue
        .got()
        .into_iter()
        .map(|got| got.api_key)
        .collect();
    assert_eq!(
        keys,
        ["read-api-key-0123456789", "trade-api-key-0123456789"]
    );
}

#[tokio::test]
async fn public_data_needs_a_token_and_no_key() {
    let desk = desk(CONFIG, stored, true).await;
    let (status, answer) = bot(
        &desk.base,
        &desk.token,
        "GET",
        "/api/v3/ticker/price?symbol=BTCUSDT",
        "",
    )
    .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(desk.venue.got()[0].api_key, "");
    let (status, answer) = bot(
        &desk.base,
        "tkc_nobody",
        "GET",
        "/api/v3/ticker/price?symbol=BTCUSDT",
        "",
    )
    .await;
    assert_eq!(status, 401, "{answer}");
    assert_eq!(desk.venue.got().len(), 1);
}

// Each would count sums and numbers for itself.
#[tokio::test]
async fn of_two_agents_with_copies_of_a_vault_one_signs() {
    let desk = desk(CONFIG, stored, true).await;
    assert_eq!(desk.order().await.0, 200);
    // Whatever each was started with.
    let elsewhere = desk.agent.home.path().to_str().unwrap();
    let other = Agent::start_with(CONFIG, &[("TMPDIR", elsewhere)]).await;
    let copy = other.home.path().join("copy.touchkeep");
    std::fs::copy(desk.agent.home.path().join("v.touchkeep"), &copy).unwrap();
    let owner = Person::new(&other, yes).await;
    let client = other.client().await;
    client
        .call(UnlockVault {
            path: Some(copy.display().to_string()),
            device: None,
        })
        .await
        .unwrap();
    drop(owner);
    let base = client.call(GetStatus {}).await.unwrap().proxy.unwrap();
    let base = format!("{base}/binance");
    let reads = || bot(&base, &desk.token, "GET", "/api/v3/account", "");
    let (status, answer) = reads().await;
    assert_eq!(status, 403, "{answer}");
    let holder = format!("process {}", desk.agent.child.id());
    assert!(
        answer.contains("another agent") && answer.contains(&holder),
        "{answer}"
    );
    assert_eq!(desk.venue.got().len(), 1);
    // Once the first one is locked, the other one signs, and the first one does not.
    desk.client.call(LockVault {}).await.unwrap();
    assert_eq!(reads().await.0, 200);
    assert_eq!(desk.venue.got().len(), 2);
}

#[tokio::test]
async fn loopback_is_hostile_ground() {
    let desk = desk(CONFIG, stored, true).await;
    let (port, prefix) = place(&desk.base);
    let ask = async |target: &str, headers: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
        http(port, &request).await.0
    };
    let target = format!("{prefix}/api/v3/account?timestamp=1");
    let (token, host) = (
        format!("X-MBX-APIKEY: {}\r\n", desk.token),
        format!("Host: 127.0.0.1:{port}\r\n"),
    );
    for other in ["evil.test", "127.0.0.1", "127.0.0.1.evil", "[::1]"] {
        assert_eq!(
            ask(&target, &format!("Host: {other}\r\n{token}")).await,
            421,
            "{other}"
        );
    }
    assert_eq!(
        ask(&target, &format!("{host}{token}Origin: null\r\n")).await,
        403
    );
    assert_eq!(
        ask(
            &target,
            &format!("{host}{token}Sec-Fetch-Site: cross-site\r\n")
        )
        .await,
        403
    );
    assert_eq!(ask(&target, &host).await, 401);
    assert_eq!(ask("/binance/../etc", &format!("{host}{token}")).await, 404);
    assert_eq!(
        ask(
            &format!("http://evil.test{target}"),
            &format!("{host}{token}")
        )
        .await,
        421
    );
    let preflight = format!(
        "OPTIONS {target} HTTP/1.1\r\nConnection: close\r\n{host}Origin: http://evil.test\r\n\r\n"
    );
    let (status, answer) = http(port, &preflight).await;
    assert!(
        status == 403 && !answer.to_lowercase().contains("access-control"),
        "{answer}"
    );
    let twice = format!("{host}{token}Content-Type: a/b\r\nContent-Type: c/d\r\n");
    assert_eq!(ask(&target, &twice).await, 400);
    let long = format!("{host}{token}X-Long: {}\r\n", "a".repeat(100_000));
    assert_eq!(ask(&target, &long).await, 431);
    assert!(desk.venue.got().is_empty());
    assert_eq!(
        ask(&target, &format!("{host}{token}")).await,
        200,
        "and the honest one passes"
    );
}
