//! What became of a request, as it is recorded: what the venue says counts before its status.

use touchkeep_audit::{Decision, Kind};
use touchkeep_core::{ApiSecret, Code};
use touchkeep_pipeline::*;
use touchkeep_venue::Encoding;

use crate::scene::{balance_at_kraken, handle, incoming, kraken_handle, read, scene, scheme};

#[tokio::test]
async fn the_outcome_is_recorded_whatever_it_is() {
    type Venue = fn() -> Result<u16, SendError>;
    let cases: [(Venue, Decision, Option<u16>, Option<Code>); 6] = [
        (|| Ok(200), Decision::Done, Some(200), None),
        (|| Ok(302), Decision::Unknown, Some(302), None),
        (|| Ok(429), Decision::Failed, Some(429), None),
        (|| Ok(503), Decision::Unknown, Some(503), None),
        (
            || Err(SendError::NotSent("no route".into())),
            Decision::Failed,
            None,
            Some(Code::Unreachable),
        ),
        (
            || Err(SendError::Unknown("reset".into())),
            Decision::Unknown,
            None,
            Some(Code::Unreachable),
        ),
    ];
    for (venue, decision, status, code) in cases {
        let scene = scene(|p| p.venue = venue);
        let ended = scene.pipeline.handle(read()).await;
        assert_eq!(ended.err().map(|why| why.code()), code);
        let rows = scene.rows();
        assert_eq!((rows[1].kind, rows[1].decision), (Kind::Outcome, decision));
        assert_eq!(rows[1].closes, Some(rows[0].seq));
        assert_eq!(scene.played.over.lock().unwrap().len(), 1);
        assert_eq!(rows[1].event.as_ref().unwrap().venue_status, status);
        assert!(scene.log.unfinished().unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_the_venue_says_counts_before_its_status() {
    let cases: [(&str, Decision, &str); 4] = [
        (r#"{"error":[],"result":{}}"#, Decision::Done, ""),
        (
            r#"{"error":["EAPI:Invalid nonce"]}"#,
            Decision::Failed,
            "The venue refused it: EAPI:Invalid nonce",
        ),
        (
            r#"{"error":["EGeneral:Internal error"]}"#,
            Decision::Unknown,
            "The venue does not say whether it was done: EGeneral:Internal error",
        ),
        ("<html>", Decision::Done, ""),
    ];
    for (body, decision, text) in cases {
        let scene = scene(|played| {
            played.key = |_| Ok(kraken_handle());
            played.secret = || Ok(ApiSecret::new("c2VjcmV0".into()));
        });
        let done = scene.pipeline.handle(balance_at_kraken()).await.unwrap();
        assert_eq!(scene.rows().len(), 1, "nothing is said of the outcome yet");
        done.outcome.unwrap().heard(body.into());
        let rows = scene.rows();
        assert_eq!(rows[1].decision, decision);
        assert_eq!(rows[1].event.as_ref().unwrap().text, text);
        let told = scene.played.story.words().contains(&"used elsewhere");
        assert_eq!(told, body.contains("nonce"));
    }
}

// Bitstamp's is a random value: that it was refused says nothing of what others send.
#[tokio::test]
async fn a_nonce_that_does_not_count_accuses_nobody() {
    let scene = scene(|played| {
        played.key = |_| {
            Ok(KeyHandle {
                scheme: scheme(touchkeep_venue::Algorithm::HmacSha256, Encoding::Hex),
                ..handle(Signer::Secret, false)
            })
        };
    });
    let mut balance = incoming("POST", "/api/v2/account_balances/", "", "");
    balance.venue = "bitstamp".into();
    let done = scene.pipeline.handle(balance).await.unwrap();
    let refused = r#"{"status":"error","reason":"Invalid nonce","code":"API0004"}"#;
    done.outcome.unwrap().heard(refused.into());
    let rows = scene.rows();
    assert_eq!(rows[1].decision, Decision::Failed);
    let event = rows[1].event.as_ref().unwrap();
    assert!(event.text.contains("Invalid nonce"), "{event:?}");
    assert!(!event.details.iter().any(|(name, _)| name == "nonce"));
    assert!(!scene.played.story.words().contains(&"used elsewhere"));
}
