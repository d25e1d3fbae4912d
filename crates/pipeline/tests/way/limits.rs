//! Limits: none is exceeded by requests that come together, by a restart or by what was given up, and refusals leave so many
//! rows.

use std::{convert::Infallible, sync::atomic::Ordering};

use touchkeep_audit::{Kind, Row};
use touchkeep_core::{Code, UnixMillis};
use touchkeep_pipeline::*;
use touchkeep_policy::{Past, Policy};

use crate::{
    played::Person,
    scene::{ONE_BTC, RULES, incoming, kraken_handle, order, scene, under, until, withdrawal},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_at_once_never_exceed_a_limit_together() {
    let scene = scene(|p| p.person = Person::No);
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let pipeline = scene.pipeline.clone();
            tokio::spawn(async move { pipeline.handle(order("BTCUSDT", "0.3")).await.is_ok() })
        })
        .collect();
    let mut allowed = 0;
    for task in tasks {
        allowed += usize::from(task.await.unwrap());
    }
    assert_eq!(allowed, 10, "10 x 0.3 = 3, exactly");
    let intents = scene
        .rows()
        .iter()
        .filter(|row| row.kind == Kind::Intent)
        .count();
    assert_eq!(intents, 10);
}

#[tokio::test]
async fn limits_go_on_after_a_restart_from_what_was_recorded() {
    struct Rows(Vec<Row>);
    impl HistorySource for Rows {
        type Error = Infallible;
        fn since(&self, since: UnixMillis) -> Result<Vec<Past>, Infallible> {
            let rows = self.0.iter().filter(|row| row.time >= since);
            Ok(rows
                .filter_map(|row| past_of(row.event.as_ref()?, row.time))
                .collect())
        }
    }
    let before = scene(|p| p.person = Person::No);
    for _ in 0..3 {
        before.pipeline.handle(order("BTCUSDT", "1")).await.unwrap();
    }
    let after = scene(|p| p.person = Person::No);
    let policy = Policy::parse(RULES).unwrap();
    after
        .pipeline
        .set_policy(policy, &Rows(before.rows()))
        .unwrap();
    let why = after
        .pipeline
        .handle(order("BTCUSDT", "0.1"))
        .await
        .unwrap_err();
    assert_eq!(why.code(), Code::Refused, "over the window, so it is asked");
}

// Each alone is within the limit that a person is shown, and each is asked about before another was approved.
#[tokio::test]
async fn what_is_asked_about_at_once_exceeds_no_limit_together() {
    let scene = scene(|p| p.person = Person::Held);
    under(&scene, ONE_BTC);
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let pipeline = scene.pipeline.clone();
            tokio::spawn(async move { pipeline.handle(withdrawal()).await })
        })
        .collect();
    until(|| scene.played.asked.lock().unwrap().len() == 4).await;
    scene.played.let_go.store(true, Ordering::SeqCst);
    let mut refused = Vec::new();
    for task in tasks {
        refused.extend(task.await.unwrap().err());
    }
    assert_eq!(scene.played.sent.lock().unwrap().len(), 2, "0.5 and 0.5");
    assert_eq!(refused.len(), 2);
    for why in refused {
        assert_eq!(why.code(), Code::Refused);
        assert!(why.to_string().contains("no rule allows it now"), "{why}");
    }
    let rows = scene.rows();
    let of = |kind: Kind| rows.iter().filter(|row| row.kind == kind).count();
    assert_eq!((of(Kind::Intent), of(Kind::RequestRefused)), (2, 2));
    let row = rows.iter().find(|row| row.kind == Kind::RequestRefused);
    let event = row.unwrap().event.as_ref().unwrap();
    assert_eq!(event.rule.as_deref(), Some("a coin an hour"));
    assert!(event.operation.is_some() && event.digest.is_some());
}

// Nothing of it is on record: after a restart it would not count either.
#[tokio::test]
async fn what_was_given_up_before_it_was_recorded_fills_no_limit() {
    let scene = scene(|p| {
        p.person = Person::No;
        p.waits = true.into();
    });
    let order = || order("BTCUSDT", "1");
    for _ in 0..5 {
        let pipeline = scene.pipeline.clone();
        let waiting = pipeline.handle(order());
        let within = std::time::Duration::from_millis(1);
        assert!(tokio::time::timeout(within, waiting).await.is_err());
    }
    scene.played.waits.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        scene.pipeline.handle(order()).await.unwrap();
    }
    let over = scene.pipeline.handle(order()).await.unwrap_err();
    assert_eq!(
        over.code(),
        Code::Refused,
        "over the window, so it is asked"
    );
}

// A bot that asks without end for what it may not have does not fill the disk.
#[tokio::test]
async fn refusals_without_end_leave_so_many_rows_an_hour() {
    let scene = scene(|played| played.person = Person::No);
    let rows = || scene.log.head().size;
    let unknown = || incoming("POST", "/sapi/v1/what/ever", "", "");
    let mut last = String::new();
    for _ in 0..1_020 {
        let why = scene.pipeline.handle(unknown()).await.unwrap_err();
        assert_eq!(why.code(), Code::Denied);
        last = why.to_string();
    }
    assert_eq!(rows(), 1_000);
    assert!(!last.contains("explain"), "there is no row for it: {last}");
    // Refusals of what moves no money are counted apart.
    for _ in 0..1_020 {
        let unreadable = incoming("GET", "/api/v3/../x", "", "");
        assert!(scene.pipeline.handle(unreadable).await.is_err());
    }
    assert_eq!(rows(), 2_000);
    // What a person was asked always has its row.
    assert!(scene.pipeline.handle(withdrawal()).await.is_err());
    assert_eq!(rows(), 2_001);
    scene.nothing_was_signed();
}

// A bot that goes on asking for what went to another address before.
#[tokio::test]
async fn names_that_have_moved_leave_so_many_rows_an_hour() {
    let scene = scene(|p| {
        p.key = |_| Ok(kraken_handle());
        p.known_address = Some("good");
    });
    under(
        &scene,
        "[[rule]]\nname = \"money\"\nkinds = [\"withdraw\"]\naction = \"touch\"",
    );
    for _ in 0..1_020 {
        let body = "nonce=1&asset=XBT&key=cold&amount=1&address=evil";
        let withdrawal = Incoming {
            venue: "kraken".into(),
            ..incoming("POST", "/0/private/Withdraw", "", body)
        };
        let why = scene.pipeline.handle(withdrawal).await.unwrap_err();
        assert!(
            matches!(why, NotDone::NotSigned(NotSigned::Moved { .. })),
            "{why}"
        );
    }
    assert_eq!(scene.log.head().size, 1_000);
    scene.nothing_was_signed();
}
