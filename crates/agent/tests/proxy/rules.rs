//! What the policy says, told to whoever is refused, and how it is changed.

use touchkeep_client::CallError;
use touchkeep_core::Code;
use touchkeep_wire::*;

use crate::{
    common::{Person, bot, no, yes},
    desk::{CONFIG, ORDER, POLICY, desk, stored},
};

#[tokio::test]
async fn what_no_rule_knows_is_denied() {
    let desk = desk(CONFIG, stored, true).await;
    let (status, answer) = bot(
        &desk.base,
        &desk.token,
        "POST",
        "/sapi/v1/nobody/knows/this",
        "a=1",
    )
    .await;
    assert_eq!(status, 403, "{answer}");
    let row = desk.rows(&["request-denied"]).await[0].seq;
    let why = "denied by default: no rule allows it, and what it does is not known";
    let fix = format!("why: touchkeep policy explain {row}");
    assert!(answer.contains(&format!("{why}; {fix}")), "{answer}");
    let (status, answer) = bot(
        &desk.base,
        &desk.token,
        "POST",
        "/api/v3/order",
        "symbol=A&symbol=B",
    )
    .await;
    assert_eq!(status, 400, "{answer}");
    let small = "symbol=btcusdt&side=BUY&type=MARKET&quantity=0.001";
    let (status, answer) = bot(&desk.base, &desk.token, "POST", "/api/v3/order", small).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer.contains("write it as the venue does"), "{answer}");
    assert!(desk.venue.got().is_empty());
    assert_eq!(desk.rows(&["request-denied"]).await.len(), 1);
    assert_eq!(desk.rows(&["request-unreadable"]).await.len(), 2);
}

// A limit that is full is no missing rule.
#[tokio::test]
async fn an_order_over_a_limit_is_told_which() {
    let desk = desk(CONFIG, stored, true).await;
    let _owner = Person::new(&desk.agent, yes).await;
    let rule = "[[rule]]\nname = \"small orders\"\nkinds = [\"trade\"]\nsymbols = [\"BTCUSDT\"]\naction = \"allow\"\n";
    let rest = "[[rule]]\nname = \"rest\"\naction = \"deny\"\n";
    for (limit, below, why) in [
        ("max_amount = \"0.1\"", "", "over max_amount"),
        ("requests_per_minute = 1", "", "over requests_per_minute"),
        (
            "window_amount = \"0.1\"\nwindow_hours = 1",
            rest,
            "over window_amount",
        ),
        ("sides = [\"sell\"]", "", ""),
    ] {
        let text = format!("{rule}{limit}\n{below}");
        desk.client.call(SetPolicy { text }).await.unwrap();
        let (mut status, mut answer) = desk.order().await;
        if limit.starts_with("requests") {
            assert_eq!(status, 200, "{answer}");
            (status, answer) = desk.order().await;
        }
        assert_eq!(status, 403, "{answer}");
        let row = desk.rows(&["request-denied"]).await.remove(0);
        let fix = format!("; why: touchkeep policy explain {}", row.seq);
        let words = format!(r#"{why} of the rule \"small orders\""#);
        let told = match (why, below) {
            ("", _) => "denied by default: no rule allows it".to_owned(),
            (_, "") => format!("denied: {words}, and no other rule allows it"),
            _ => format!(r#"denied by the rule \"rest\": {words}"#),
        };
        assert!(answer.contains(&format!("{told}{fix}")), "{answer}");
        let recorded = row.details.iter().find(|(name, _)| name == "why");
        let recorded = recorded.map(|(_, why)| why.as_str());
        let words = words.replace('\\', "");
        assert_eq!(recorded, (!why.is_empty()).then_some(&*words), "{row:?}");
    }
}

#[tokio::test]
async fn a_policy_is_changed_with_the_passphrase_alone() {
    let desk = desk(CONFIG, stored, true).await;
    let empty = || SetPolicy {
        text: String::new(),
    };
    let unreadable = desk
        .client
        .call(SetPolicy {
            text: "rule = 1".into(),
        })
        .await;
    assert!(matches!(unreadable, Err(CallError::Failed(failure)) if failure.code == Code::Invalid));
    {
        let _wrong = Person::new(&desk.agent, |question| match question {
            Question::Passphrase { .. } => Some(Answer::Secret {
                value: SecretText::new("wrong".into()),
            }),
            _ => None,
        })
        .await;
        let refused = desk.client.call(empty()).await;
        assert!(
            matches!(refused, Err(CallError::Failed(failure)) if failure.code == Code::WrongPassphrase)
        );
        assert_eq!(desk.client.call(GetPolicy {}).await.unwrap().text, POLICY);
    }
    assert_eq!(desk.order().await.0, 200);
    let _person = Person::new(&desk.agent, yes).await;
    let deny = "[[rule]]\nname = \"nothing\"\naction = \"deny\"\n";
    desk.client
        .call(SetPolicy { text: deny.into() })
        .await
        .unwrap();
    assert_eq!(desk.order().await.0, 403, "it is in force at once");
}

// Whoever put an older copy there may want the policy that it holds.
#[tokio::test]
async fn a_copy_that_can_only_be_read_has_a_person_asked_for_whatever_its_policy_allows() {
    let desk = desk(CONFIG, stored, true).await;
    let file = desk.agent.home.path().join("v.touchkeep");
    let old = std::fs::read(&file).unwrap();
    let read = ("GET", "/api/v3/account?timestamp=1&signature=dummy", "");
    let order = ("POST", "/api/v3/order", ORDER);
    let open = (
        "GET",
        "/api/v3/openOrders?symbol=BTCUSDT&timestamp=1&signature=dummy",
        "",
    );
    for (method, target, body) in [read, order, open] {
        let (status, answer) = bot(&desk.base, &desk.token, method, target, body).await;
        assert_eq!(status, 200, "allowed as long as it is the newest: {answer}");
    }
    assert_eq!(desk.venue.got().len(), 3);
    let owner = Person::new(&desk.agent, yes).await;
    let text = POLICY.replace("\"1\"", "\"0.1\"");
    desk.client.call(SetPolicy { text }).await.unwrap();
    desk.client.call(LockVault {}).await.unwrap();
    std::fs::write(&file, &old).unwrap();
    let unlock = || UnlockVault {
        path: None,
        device: None,
    };
    let opened = desk.client.call(unlock()).await.unwrap();
    assert!(opened.read_only.is_some(), "{opened:?}");
    drop(owner);

    let person = Person::new(&desk.agent, no).await;
    for (asked, (method, target, body)) in (1..).zip([read, order, open]) {
        let (status, answer) = bot(&desk.base, &desk.token, method, target, body).await;
        assert_eq!(status, 403, "{answer}");
        assert_eq!(person.approvals().len(), asked, "{answer}");
    }
    assert_eq!(desk.venue.got().len(), 3, "nothing more arrived");
    drop(person);
    // Three refusals have brought a rest, which a person ends.
    let (front, _events) = desk.agent.front_end().await.split();
    let ended = front.call(EndRests {}).await.unwrap();
    assert!(ended.len() == 1 && ended[0].refused, "{ended:?}");
    drop((front, _events));
    // Each by its own yes, and nothing is taken for granted after it.
    let person = Person::new(&desk.agent, yes).await;
    for asked in 1..=2 {
        assert_eq!(desk.order().await.0, 200);
        assert_eq!(person.approvals().len(), asked);
    }
    let nobody_may_write = desk.client.call(SetPolicy {
        text: POLICY.into(),
    });
    assert!(matches!(
        nobody_may_write.await,
        Err(CallError::Failed(failure)) if failure.code == Code::NotPermitted
    ));
    assert_eq!(std::fs::read(&file).unwrap(), old);
}
