//! A request's own end: past it nothing is put to anybody, and nothing is signed.

use touchkeep_audit::{Decision, Kind};
use touchkeep_core::{ApiSecret, Clock, SystemClock};
use touchkeep_pipeline::*;
use touchkeep_venue::Encoding;

use crate::{
    played::{Person, SECRET},
    scene::{handle, incoming, scene, scheme},
};

fn gate_handle() -> KeyHandle {
    KeyHandle {
        scheme: scheme(touchkeep_venue::Algorithm::HmacSha512, Encoding::Hex),
        ..handle(Signer::Secret, false)
    }
}

// A small order at Gate that ends so many milliseconds from now.
fn ending(in_ms: i64) -> Incoming {
    let body =
        r#"{"currency_pair":"BTC_USDT","side":"buy","type":"limit","amount":"1","price":"2"}"#;
    let mut order = incoming("POST", "/api/v4/spot/orders", "", body);
    order.venue = "gate".into();
    order.http.content_type = Some("application/json".into());
    let until = SystemClock.now().0.saturating_add_signed(in_ms);
    order.http.expires = Some(until.to_string());
    order
}

#[tokio::test]
async fn a_request_whose_own_end_has_come_is_put_to_nobody_and_not_signed() {
    let scene = scene(|played| played.key = |_| Ok(gate_handle()));
    let ended = scene.pipeline.handle(ending(-1)).await;
    assert!(matches!(ended, Err(NotDone::NotSigned(NotSigned::Expired))));
    assert!(scene.played.asked.lock().unwrap().is_empty());
    scene.nothing_was_signed();
    assert_eq!(scene.kinds(), [(Kind::RequestRefused, Decision::Refused)]);
    let row = &scene.rows()[0];
    let said = row.event.as_ref().unwrap().operation.clone().unwrap();
    let shown = said.parameters.last().unwrap();
    assert_eq!(shown.name, "header x-gate-exptime");
}

#[tokio::test]
async fn nobody_has_longer_to_answer_than_the_request_itself_has() {
    let scene = scene(|played| {
        played.key = |_| Ok(gate_handle());
        played.person = Person::Nobody;
    });
    let order = ending(5_000);
    let until = order.http.expires.clone().unwrap();
    let ended = scene.pipeline.handle(order).await;
    assert!(matches!(
        ended,
        Err(NotDone::NotSigned(NotSigned::TimedOut))
    ));
    let deadline = scene.played.asked.lock().unwrap()[0].deadline;
    assert!(
        deadline.0 <= until.parse::<u64>().unwrap() + 50,
        "{deadline:?}"
    );
}

#[tokio::test]
async fn what_ends_while_the_secret_is_unlocked_is_not_signed() {
    let scene = scene(|played| {
        played.key = |_| Ok(gate_handle());
        played.secret = || {
            std::thread::sleep(std::time::Duration::from_millis(2_100));
            Ok(ApiSecret::new(SECRET.into()))
        };
    });
    let ended = scene.pipeline.handle(ending(2_000)).await;
    assert!(matches!(ended, Err(NotDone::NotSigned(NotSigned::Expired))));
    assert!(scene.played.sent.lock().unwrap().is_empty());
    let last = scene.rows().pop().unwrap();
    assert_eq!(
        (last.kind, last.decision),
        (Kind::Outcome, Decision::Refused)
    );
}
