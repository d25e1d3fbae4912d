//! What comes after what: a decision, a person, a row, a signature; and what is not allowed has none of what comes later.

use aws_lc_rs::hmac;
use touchkeep_audit::{Decision, Kind};
use touchkeep_core::{ApiSecret, Code};
use touchkeep_device::{DeviceError, Purpose};
use touchkeep_pipeline::*;
use touchkeep_venue::KeyClass;
use touchkeep_venue::SecretForm;

use crate::{
    played::{Person, Played, SECRET, pair},
    scene::{handle, incoming, on_device, order, read, scene, withdrawal},
};

#[tokio::test]
async fn an_allowed_request_is_recorded_then_signed_then_sent_then_its_outcome_recorded() {
    let scene = scene(|_| {});
    let mut done = scene.pipeline.handle(read()).await.unwrap();
    assert_eq!(done.response, 200);
    drop(done.outcome.take());
    // With each step the rows that were on disk then: the intent is there before the secret is even fetched.
    let told = scene.played.story.told.lock().unwrap().clone();
    assert_eq!(told, [("ready", 0), ("sign", 1), ("send", 1)]);
    assert_eq!(
        scene.kinds(),
        [
            (Kind::Intent, Decision::Allowed),
            (Kind::Outcome, Decision::Done)
        ]
    );
    let rows = scene.rows();
    assert_eq!(rows[1].closes, done.recorded);
    let event = rows[0].event.as_ref().unwrap();
    assert_eq!(event.rule.as_deref(), Some("reads"));
    assert_eq!(event.client_name.as_deref(), Some("grid-bot"));
    assert!(past_of(event, rows[0].time).is_some());
    assert_eq!(past_of(rows[1].event.as_ref().unwrap(), rows[1].time), None);

    let sent = scene.played.sent.lock().unwrap();
    let (payload, signature) = sent[0].path_and_query.split_once("&signature=").unwrap();
    let payload = payload.strip_prefix("/api/v3/account?").unwrap();
    assert!(payload.starts_with("recvWindow=4000&timestamp=1") && !payload.ends_with("=1"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let hex: String = hmac::sign(&key, payload.as_bytes())
        .as_ref()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(signature, hex);
}

fn no_key(class: KeyClass) -> KeyError {
    KeyError::NoKey {
        venue: "binance".into(),
        key_set: "main".into(),
        class,
    }
}

#[tokio::test]
async fn what_is_not_allowed_is_neither_recorded_as_intent_nor_signed_nor_sent() {
    type Change = fn(&mut Played);
    type Row = Option<(Kind, Decision)>;
    type Case = (
        &'static str,
        Change,
        Incoming,
        Code,
        Row,
        &'static [&'static str],
    );
    let nothing: Change = |_| {};
    let cases: Vec<Case> = vec![
        (
            "no rule",
            nothing,
            incoming("POST", "/sapi/v1/asset/transfer", "", ""),
            Code::Denied,
            Some((Kind::RequestDenied, Decision::Denied)),
            &[],
        ),
        (
            "unknown endpoint",
            nothing,
            incoming("POST", "/sapi/v1/what/ever", "", ""),
            Code::Denied,
            Some((Kind::RequestDenied, Decision::Denied)),
            &[],
        ),
        (
            "unreadable",
            nothing,
            incoming("GET", "/api/v3/../x", "", ""),
            Code::Unreadable,
            Some((Kind::RequestUnreadable, Decision::Denied)),
            &[],
        ),
        (
            "no venue",
            nothing,
            Incoming {
                venue: "other".into(),
                ..read()
            },
            Code::NotFound,
            None,
            &[],
        ),
        (
            "locked",
            |p| p.key = |_| Err(KeyError::Locked),
            read(),
            Code::Locked,
            None,
            &[],
        ),
        (
            "a withdrawal while locked",
            |p| p.key = |_| Err(KeyError::Locked),
            withdrawal(),
            Code::Locked,
            Some((Kind::RequestRefused, Decision::Refused)),
            &[],
        ),
        (
            "an order while locked",
            |p| p.key = |_| Err(KeyError::Locked),
            order("LTCBTC", "1"),
            Code::Locked,
            None,
            &[],
        ),
        (
            "an order without a key",
            |p| p.key = |class| Err(no_key(class)),
            order("LTCBTC", "1"),
            Code::NotFound,
            Some((Kind::RequestRefused, Decision::Refused)),
            &[],
        ),
        (
            "a read without a key",
            |p| p.key = |class| Err(no_key(class)),
            read(),
            Code::NotFound,
            None,
            &[],
        ),
        (
            "refused",
            |p| p.person = Person::No,
            order("LTCBTC", "1"),
            Code::Refused,
            Some((Kind::RequestRefused, Decision::Refused)),
            &["ready", "ask"],
        ),
        (
            "nobody",
            |p| p.person = Person::Nobody,
            order("LTCBTC", "1"),
            Code::TimedOut,
            Some((Kind::RequestRefused, Decision::Refused)),
            &["ready", "ask"],
        ),
        (
            "asleep",
            |p| p.person = Person::Asleep,
            order("LTCBTC", "1"),
            Code::TimedOut,
            Some((Kind::RequestRefused, Decision::Refused)),
            &["ready", "ask"],
        ),
        (
            "another digest",
            |p| p.person = Person::OtherDigest,
            order("LTCBTC", "1"),
            Code::Refused,
            Some((Kind::RequestRefused, Decision::Refused)),
            &["ready", "ask"],
        ),
        (
            "another digest, no touch asked",
            |p| p.person = Person::OtherDigest,
            withdrawal(),
            Code::Refused,
            Some((Kind::RequestRefused, Decision::Refused)),
            &["ready", "ask"],
        ),
        (
            "wrong PIN before anybody is asked",
            |p| p.ready = || Err(DeviceError::WrongPin { tries_left: 2 }.into()),
            withdrawal(),
            Code::WrongPin,
            Some((Kind::RequestRefused, Decision::Refused)),
            &["ready"],
        ),
        (
            "not touched",
            |p| p.consents = || Err(DeviceError::NoTouch.into()),
            withdrawal(),
            Code::NoTouch,
            Some((Kind::RequestRefused, Decision::Refused)),
            &["ready", "ask", "touch"],
        ),
        (
            "allowed, but locked meanwhile",
            |p| p.ready = || Err(KeyError::Locked),
            read(),
            Code::Locked,
            None,
            &["ready"],
        ),
        (
            "allowed, but a person did not give the PIN",
            |p| p.ready = || Err(KeyError::Refused),
            read(),
            Code::Refused,
            Some((Kind::RequestRefused, Decision::Refused)),
            &["ready"],
        ),
        (
            "allowed, but nobody was asked for the PIN",
            |p| p.ready = || Err(KeyError::Unasked(Unasked::Refused { seconds: 7 })),
            read(),
            Code::Refused,
            Some((Kind::RequestRefused, Decision::Refused)),
            &["ready"],
        ),
    ];
    for (name, change, incoming, code, row, story) in cases {
        let scene = scene(change);
        let why = scene.pipeline.handle(incoming).await.unwrap_err();
        assert_eq!(why.code(), code, "{name}: {why}");
        assert_eq!(scene.kinds(), Vec::from_iter(row), "{name}");
        assert_eq!(scene.played.story.words(), story, "{name}");
        scene.nothing_was_signed();
    }
}

#[tokio::test]
async fn a_withdrawal_needs_a_yes_and_a_touch_of_its_own() {
    let scene = scene(|_| {});
    scene.pipeline.handle(withdrawal()).await.unwrap();
    assert_eq!(
        scene.played.story.words(),
        ["ready", "ask", "touch", "sign", "send"]
    );
    assert_eq!(scene.kinds()[0], (Kind::Intent, Decision::Touched));
    let asked = scene.played.asked.lock().unwrap();
    assert_eq!(
        asked[0].operation.sentence(),
        "Withdraw 0.5 BTC on Binance to bc1q"
    );
    assert_eq!(asked[0].client.name, "grid-bot");
}

#[tokio::test]
async fn a_key_that_waits_for_a_touch_is_touched_once_and_its_request_may_wait() {
    let scene = scene(|p| p.key = |_| Ok(on_device(Purpose::Request)));
    scene.pipeline.handle(withdrawal()).await.unwrap();
    assert_eq!(scene.played.story.words(), ["ready", "ask", "sign", "send"]);
    assert_eq!(scene.kinds()[0], (Kind::Intent, Decision::Approved));
    let sent = scene.played.sent.lock().unwrap();
    let body = String::from_utf8(sent[0].body.clone()).unwrap();
    assert!(body.contains("&recvWindow=60000&"), "{body}");
    assert!(body.contains("%3D%3D"), "base64, encoded: {body}");
}

#[tokio::test]
async fn a_signature_that_is_not_the_keys_is_thrown_away() {
    let scene = scene(|p| {
        p.key = |_| Ok(on_device(Purpose::Request));
        p.device = |message| {
            let mut signature = pair().sign(message).as_ref().to_vec();
            signature[40] ^= 1;
            Ok(signature)
        };
    });
    let why = scene.pipeline.handle(withdrawal()).await.unwrap_err();
    assert!(
        matches!(why, NotDone::NotSigned(NotSigned::BadSignature)),
        "{why}"
    );
    assert!(scene.played.sent.lock().unwrap().is_empty());
    assert_eq!(scene.kinds()[1], (Kind::Outcome, Decision::Failed));
}

#[tokio::test]
async fn a_key_with_another_purpose_signs_no_request() {
    for purpose in [Purpose::Unlock, Purpose::Seal, Purpose::SignVault] {
        let scene = scene(match purpose {
            Purpose::Unlock => |p: &mut Played| p.key = |_| Ok(on_device(Purpose::Unlock)),
            Purpose::Seal => |p: &mut Played| p.key = |_| Ok(on_device(Purpose::Seal)),
            _ => |p: &mut Played| p.key = |_| Ok(on_device(Purpose::SignVault)),
        });
        let why = scene.pipeline.handle(withdrawal()).await.unwrap_err();
        assert_eq!(why.code(), Code::Invalid, "{purpose:?}");
        assert!(!scene.played.story.words().contains(&"sign"));
    }
}

#[tokio::test]
async fn a_secret_that_is_not_what_the_venue_gives_out_signs_nothing() {
    let scene = scene(|played| {
        played.key = |_| {
            let mut handle = handle(Signer::Secret, false);
            handle.scheme.secret = SecretForm::Base64;
            Ok(handle)
        };
        played.secret = || Ok(ApiSecret::new("not base64!".into()));
    });
    let ended = scene.pipeline.handle(read()).await.unwrap_err();
    assert!(ended.to_string().contains("\"main key\""), "{ended}");
    assert!(!ended.to_string().contains("base64!"));
    assert!(scene.played.sent.lock().unwrap().is_empty());
    assert_eq!(
        scene.kinds().last(),
        Some(&(Kind::Outcome, Decision::Failed))
    );
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_leaves_an_intent_that_failed() {
    let scene = scene(|p| p.secret = || Err(DeviceError::Removed.into()));
    let why = scene.pipeline.handle(read()).await.unwrap_err();
    assert_eq!(why.code(), Code::DeviceRemoved);
    assert_eq!(
        scene.kinds(),
        [
            (Kind::Intent, Decision::Allowed),
            (Kind::Outcome, Decision::Failed)
        ]
    );
    assert!(scene.played.sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_signed() {
    for request in [read(), order("LTCBTC", "1"), withdrawal()] {
        let scene = scene(|_| {});
        // The log notices that its file is another one and refuses to go on.
        let path = scene.folder.path().join("audit.db");
        std::fs::rename(&path, scene.folder.path().join("gone.db")).unwrap();
        let why = scene.pipeline.handle(request).await.unwrap_err();
        assert_eq!(why.code(), Code::AuditFailed, "{why}");
        let words = scene.played.story.words();
        assert!(
            !words.contains(&"sign") && !words.contains(&"send"),
            "{words:?}"
        );
    }
}

#[tokio::test]
async fn a_rule_that_tells_does_not_wait() {
    let scene = scene(|p| p.person = Person::No);
    let cancel = incoming("DELETE", "/api/v3/openOrders", "symbol=BTCUSDT", "");
    scene.pipeline.handle(cancel).await.unwrap();
    assert_eq!(
        scene.played.story.words(),
        ["ready", "sign", "tell", "send"]
    );
}

#[tokio::test]
async fn nobody_is_told_of_a_signature_that_was_not_made() {
    let scene = scene(|p| p.secret = || Err(DeviceError::Removed.into()));
    let cancel = incoming("DELETE", "/api/v3/openOrders", "symbol=BTCUSDT", "");
    scene.pipeline.handle(cancel).await.unwrap_err();
    assert_eq!(scene.played.story.words(), ["ready", "sign"]);
}

#[tokio::test]
async fn public_data_needs_no_key_and_leaves_no_row() {
    let scene = scene(|p| p.key = |_| Err(KeyError::Locked));
    let done = scene
        .pipeline
        .handle(incoming("GET", "/api/v3/ping", "", ""))
        .await
        .unwrap();
    assert_eq!(done.recorded, None);
    assert_eq!(scene.played.story.words(), ["send"]);
    assert!(scene.rows().is_empty());
    assert!(scene.played.sent.lock().unwrap()[0].headers.is_empty());
}
