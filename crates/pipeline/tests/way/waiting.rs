//! While somebody is waited for: whoever asked goes away, it is locked, rules change, a client is revoked.

use std::sync::atomic::Ordering;

use touchkeep_audit::{Decision, Kind};
use touchkeep_core::Code;
use touchkeep_pipeline::*;

use crate::{
    played::{Person, Played},
    scene::{ONE_BTC, handle, order, scene, under, until, withdrawal},
};

#[tokio::test]
async fn who_stops_waiting_before_the_answer_gets_nothing_signed() {
    let scene = scene(|p| p.person = Person::Asleep);
    let pipeline = scene.pipeline.clone();
    let waiting = tokio::time::timeout(
        std::time::Duration::from_millis(1),
        pipeline.handle(withdrawal()),
    );
    assert!(waiting.await.is_err());
    scene.nothing_was_signed();
}

#[tokio::test]
async fn who_goes_away_while_a_person_is_asked_leaves_a_row() {
    let scene = scene(|p| p.person = Person::Undecided);
    let (pipeline, incoming) = (scene.pipeline.clone(), withdrawal());
    let request = incoming.request;
    let waiting = tokio::spawn(async move { pipeline.handle(incoming).await });
    while scene.played.asked.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    assert!(waiting.await.is_err());
    while scene.rows().is_empty() {
        tokio::task::yield_now().await;
    }
    let rows = scene.rows();
    let event = rows[0].event.as_ref().unwrap();
    assert_eq!(
        (rows.len(), rows[0].kind, rows[0].decision),
        (1, Kind::RequestRefused, Decision::Refused)
    );
    assert_eq!(
        (event.request, event.rule.as_deref()),
        (Some(request), Some("withdrawals"))
    );
    assert_eq!(*scene.played.over.lock().unwrap(), [request]);
    scene.nothing_was_signed();
}

// What a rule lets through may wait for a PIN all the same.
#[tokio::test]
async fn what_waits_for_a_pin_and_is_given_up_or_ended_is_on_record() {
    for (gives_up, why) in [(true, "went away"), (false, "locked or opened anew")] {
        let scene = scene(|p| p.waits = true.into());
        let pipeline = scene.pipeline.clone();
        let incoming = order("BTCUSDT", "0.1");
        let waiting = tokio::spawn(async move { pipeline.handle(incoming).await });
        while scene.played.story.words().is_empty() {
            tokio::task::yield_now().await;
        }
        if gives_up {
            waiting.abort();
        } else {
            scene.pipeline.end();
        }
        assert!(!matches!(waiting.await, Ok(Ok(_))));
        while scene.rows().is_empty() {
            tokio::task::yield_now().await;
        }
        let rows = scene.rows();
        assert_eq!(scene.kinds(), [(Kind::RequestRefused, Decision::Refused)]);
        let event = rows[0].event.as_ref().unwrap();
        let said = event.details.iter().find(|(name, _)| name == "why");
        assert!(said.unwrap().1.contains(why), "{event:?}");
        assert!(event.rule.is_some() && event.digest.is_some());
        let by_rule = |(name, _): &(String, String)| name == LET_THROUGH;
        assert!(event.details.iter().any(by_rule));
        scene.nothing_was_signed();
    }
}

#[tokio::test]
async fn what_waits_for_a_person_is_refused_at_the_end_and_is_on_record() {
    let scene = scene(|p| p.person = Person::Undecided);
    let (pipeline, incoming) = (scene.pipeline.clone(), withdrawal());
    let waiting = tokio::spawn(async move { pipeline.handle(incoming).await });
    while scene.played.asked.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    scene.pipeline.end();
    let why = waiting.await.unwrap().unwrap_err();
    assert!(matches!(
        why,
        NotDone::NotSigned(NotSigned::Key(KeyError::Over))
    ));
    let rows = scene.rows();
    assert_eq!(
        (rows.len(), rows[0].kind, rows[0].decision),
        (1, Kind::RequestRefused, Decision::Refused)
    );
    let event = rows[0].event.as_ref().unwrap();
    let why = event.details.iter().find(|(name, _)| name == "why");
    assert!(why.unwrap().1.contains("locked or opened anew"));
    scene.nothing_was_signed();
}

#[tokio::test]
async fn nothing_is_sent_after_the_end_whatever_a_rule_or_a_person_says() {
    let scene = scene(|_| {});
    scene.pipeline.end();
    for incoming in [order("BTCUSDT", "0.1"), withdrawal()] {
        let why = scene.pipeline.handle(incoming).await.unwrap_err();
        assert_eq!(why.code(), Code::Locked);
    }
    assert!(scene.played.sent.lock().unwrap().is_empty());
}

// Whoever has made the rules stricter does not find that an older question was answered by them as they were.
#[tokio::test]
async fn a_yes_counts_under_the_rules_that_are_in_force_when_it_comes() {
    let deny = "[[rule]]\nname = \"nothing\"\naction = \"deny\"";
    let touch = "[[rule]]\nname = \"touched\"\nkinds = [\"trade\"]\naction = \"touch\"";
    let approve = "[[rule]]\nname = \"again\"\nkinds = [\"trade\"]\naction = \"approve\"";
    for (rules, said) in [
        (deny, Some("the rule \"nothing\" denies it now")),
        (touch, Some("the rule \"touched\" says touch now")),
        (approve, None),
    ] {
        let scene = scene(|p| p.person = Person::Held);
        let pipeline = scene.pipeline.clone();
        let waiting = tokio::spawn(async move { pipeline.handle(order("LTCBTC", "1")).await });
        until(|| !scene.played.asked.lock().unwrap().is_empty()).await;
        under(&scene, rules);
        scene.played.let_go.store(true, Ordering::SeqCst);
        match (waiting.await.unwrap(), said) {
            (Ok(done), None) => assert_eq!(done.response, 200),
            (Err(why), Some(said)) => {
                assert!(why.to_string().contains(said), "{why}");
                scene.nothing_was_signed();
                assert_eq!(scene.kinds(), [(Kind::RequestRefused, Decision::Refused)]);
            }
            (other, _) => panic!("{rules}: {other:?}"),
        }
    }
}

// The same for what a rule let through and a PIN had to be typed for.
#[tokio::test]
async fn what_waits_for_a_pin_is_signed_under_the_rules_of_then() {
    for (rules, passes) in [
        ("action = \"deny\"", false),
        ("kinds = [\"trade\"]\naction = \"allow\"", true),
    ] {
        let scene = scene(|p| p.pin_held = true);
        let pipeline = scene.pipeline.clone();
        let waiting = tokio::spawn(async move { pipeline.handle(order("BTCUSDT", "1")).await });
        until(|| !scene.played.story.words().is_empty()).await;
        under(&scene, &format!("[[rule]]\nname = \"new\"\n{rules}"));
        scene.played.let_go.store(true, Ordering::SeqCst);
        let done = waiting.await.unwrap();
        assert_eq!(done.is_ok(), passes, "{done:?}");
        if !passes {
            scene.nothing_was_signed();
        }
    }
}

// What is recorded waits for a finger alone, and whoever replaces the policy meanwhile is heard as well.
#[tokio::test]
async fn what_waits_for_its_touch_is_sent_under_the_rules_of_then() {
    let deny = "[[rule]]\nname = \"nothing\"\naction = \"deny\"";
    let touch = "[[rule]]\nname = \"money\"\nkinds = [\"withdraw\"]\naction = \"touch\"";
    for (rules, passes) in [(deny, false), (touch, true)] {
        let scene = scene(|p| {
            p.key = |_| Ok(handle(Signer::Secret, true));
            p.secret_held = true;
        });
        under(&scene, ONE_BTC);
        let pipeline = scene.pipeline.clone();
        let waiting = tokio::spawn(async move { pipeline.handle(withdrawal()).await });
        until(|| scene.played.story.words().last() == Some(&"sign")).await;
        under(&scene, rules);
        scene.played.let_go.store(true, Ordering::SeqCst);
        let done = waiting.await.unwrap();
        assert_eq!(done.is_ok(), passes, "{done:?}");
        let Err(why) = done else { continue };
        assert!(
            why.to_string()
                .contains("the rule \"nothing\" denies it now"),
            "{why}"
        );
        assert!(scene.played.sent.lock().unwrap().is_empty());
        assert_eq!(
            scene.kinds(),
            [
                (Kind::Intent, Decision::Approved),
                (Kind::Outcome, Decision::Refused)
            ]
        );
    }
}

#[tokio::test]
async fn a_client_that_is_revoked_gets_nothing_signed_whatever_is_waited_for() {
    let asked: fn(&mut Played) = |p| p.person = Person::Held;
    let touch: fn(&mut Played) = |p| p.secret_held = true;
    for (change, rows) in [
        (asked, &[(Kind::RequestRefused, Decision::Refused)][..]),
        (
            touch,
            &[
                (Kind::Intent, Decision::Touched),
                (Kind::Outcome, Decision::Refused),
            ],
        ),
    ] {
        let scene = scene(change);
        let (revokes, revoked) = tokio::sync::oneshot::channel::<()>();
        let pipeline = scene.pipeline.clone();
        let waiting = tokio::spawn(async move {
            let revoked = async { drop(revoked.await) };
            pipeline.handle_unless(revoked, withdrawal()).await
        });
        let last = if rows.len() == 1 { "ask" } else { "sign" };
        until(|| scene.played.story.words().last() == Some(&last)).await;
        revokes.send(()).unwrap();
        let why = waiting.await.unwrap().unwrap_err();
        assert!(
            matches!(why, NotDone::NotSigned(NotSigned::Revoked)),
            "{why}"
        );
        assert!(why.to_string().contains("nothing was sent"), "{why}");
        until(|| scene.rows().len() == rows.len()).await;
        assert_eq!(scene.kinds(), rows);
        assert!(scene.played.sent.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_was_sent_before_its_client_was_revoked_has_its_answer() {
    let scene = scene(|p| p.venue_held = true);
    let (revokes, revoked) = tokio::sync::oneshot::channel::<()>();
    let pipeline = scene.pipeline.clone();
    let waiting = tokio::spawn(async move {
        let revoked = async { drop(revoked.await) };
        pipeline.handle_unless(revoked, order("BTCUSDT", "1")).await
    });
    until(|| !scene.played.sent.lock().unwrap().is_empty()).await;
    revokes.send(()).unwrap();
    scene.played.let_go.store(true, Ordering::SeqCst);
    assert_eq!(waiting.await.unwrap().unwrap().response, 200);
}
