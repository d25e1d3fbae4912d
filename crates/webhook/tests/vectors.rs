//! Vectors that others published, and what a changed byte makes of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use proptest::prelude::*;
use touchkeep_core::{ApiSecret, UnixMillis};
use touchkeep_webhook::{Genuine, Key, Presented, Refusal, Scheme, Tolerance};

struct Vector {
    scheme: Scheme,
    secret: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    // Seconds.
    sent: u64,
    id: Option<&'static str>,
}

impl Vector {
    fn judge_at(&self, now: UnixMillis) -> Result<Genuine, Refusal> {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        let key = Key::read(self.scheme, &ApiSecret::new(self.secret.to_owned())).unwrap();
        Presented::read(self.scheme, &headers, &self.body)?.judge(&key, Tolerance::USUAL, now)
    }

    fn judge(&self) -> Result<Genuine, Refusal> {
        self.judge_at(UnixMillis(self.sent * 1000))
    }
}

// "Testing the webhook payload validation", docs.github.com, read 2026-11-26.
fn github() -> Vector {
    Vector {
        scheme: Scheme::Github,
        secret: "It's a Secret to Everybody",
        headers: vec![
            (
                "X-Hub-Signature-256",
                "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17".into(),
            ),
            (
                "X-GitHub-Delivery",
                "72d3162e-cc78-11e3-81ab-4c9367dc0958".into(),
            ),
        ],
        body: b"Hello, World!".to_vec(),
        sent: 0,
        id: Some("72d3162e-cc78-11e3-81ab-4c9367dc0958"),
    }
}

// coinbase-commerce-node, test/testWebhook.spec.js.
fn coinbase() -> Vector {
    let body = r#"{"id":1,"scheduled_for":"2017-01-31T20:50:02Z","attempt_number":1,"event":{"id":"24934862-d980-46cb-9402-43c81b0cdba6","type":"charge:created","api_version":"2018-03-22","created_at":"2017-01-31T20:49:02Z","data":{"code":"66BEOV2A","name":"The Sovereign Individual","description":"Mastering the Transition to the Information Age","hosted_url":"https://commerce.coinbase.com/charges/66BEOV2A","created_at":"2017-01-31T20:49:02Z","expires_at":"2017-01-31T21:04:02Z","timeline":[{"time":"2017-01-31T20:49:02Z","status":"NEW"}],"metadata":{},"pricing_type":"no_price","payments":[],"addresses":{"bitcoin":"0000000000000000000000000000000000","ethereum":"0x0000000000000000000000000000000000000000","litecoin":"3000000000000000000000000000000000","bitcoincash":"bitcoincash:000000000000000000000000000000000000000000"}}}}"#;
    Vector {
        scheme: Scheme::CoinbaseCommerce,
        secret: "30291a20-0bd1-4267-9b0f-e6e7b123c0bf",
        headers: vec![(
            "X-CC-Webhook-Signature",
            "8be7742c7d372f08a6a3224edadf18a22b65fa9e28f3f2de97376cdaa092590d".into(),
        )],
        body: body.into(),
        sent: 0,
        id: Some("24934862-d980-46cb-9402-43c81b0cdba6"),
    }
}

// standard-webhooks, libraries/*/…: the signature that every one of its libraries is tested with.
fn standard() -> Vector {
    Vector {
        scheme: Scheme::Standard,
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        headers: vec![
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".into()),
            ("webhook-timestamp", "1614265330".into()),
            (
                "webhook-signature",
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".into(),
            ),
        ],
        body: br#"{"test": 2432232314}"#.to_vec(),
        sent: 1_614_265_330,
        id: Some("msg_p5jXN8AQM9LWM0D4loKWxJek"),
    }
}

// The same message, signed by Python's cryptography with the first key of RFC 8032, 7.1.
fn asymmetric() -> Vector {
    let mut vector = standard();
    vector.secret = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    vector.headers[2].1 = "v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7zgPePmPsle0zV9jSeGlHFG2NVAw== v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".into();
    vector
}

// The value was computed with openssl over `t.body`; Stripe publishes none. Its own library signs in tests/webhooks.rs.
fn stripe() -> Vector {
    Vector {
        scheme: Scheme::Stripe,
        secret: "whsec_test_secret",
        headers: vec![(
            "Stripe-Signature",
            "t=1614556800,v1=96943a0ceebda8d3913e8b90697d39bbe16342f950890d77a41a248e4fb22794,v0=0"
                .into(),
        )],
        body: br#"{"id":"evt_test_webhook","object":"event"}"#.to_vec(),
        sent: 1_614_556_800,
        id: Some("evt_test_webhook"),
    }
}

fn all() -> Vec<Vector> {
    vec![github(), coinbase(), standard(), asymmetric(), stripe()]
}

#[test]
fn each_is_genuine_with_its_id_and_its_time() {
    for vector in all() {
        let genuine = vector.judge().unwrap();
        assert_eq!(genuine.id(), vector.id);
        let sent = vector
            .scheme
            .has_time()
            .then(|| UnixMillis(vector.sent * 1000));
        assert_eq!(genuine.sent(), sent);
        assert_eq!(genuine.until().is_some(), sent.is_some());
    }
}

#[test]
fn another_secret_another_body_and_another_time_are_wrong() {
    for vector in all() {
        let mut other = Vector {
            body: vector.body.clone(),
            ..vector
        };
        other.body[0] ^= 1;
        assert_eq!(
            other.judge(),
            Err(Refusal::WrongSignature),
            "{:?}",
            other.scheme
        );
        other.body[0] ^= 1;
        other.body.push(b'\n');
        assert_eq!(other.judge(), Err(Refusal::WrongSignature));
        other.body.pop();
        assert!(other.judge().is_ok());
        other.secret = match other.scheme {
            Scheme::Standard if other.secret.starts_with("whpk_") => {
                "whpk_PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
            }
            Scheme::Standard => "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            _ => "another",
        };
        assert_eq!(other.judge(), Err(Refusal::WrongSignature));
    }
    for mut timed in [standard(), asymmetric(), stripe()] {
        timed.sent += 1;
        for (name, value) in &mut timed.headers {
            if *name == "webhook-timestamp" {
                *value = timed.sent.to_string();
            }
            *value = value.replace("t=1614556800", "t=1614556801");
        }
        assert_eq!(timed.judge(), Err(Refusal::WrongSignature));
    }
}

#[test]
fn the_window_has_two_edges_and_both_belong_to_it() {
    for timed in [standard(), stripe()] {
        let sent = timed.sent * 1000;
        let at = |now: u64| timed.judge_at(UnixMillis(now)).map(drop);
        assert_eq!(at(sent + 300_000), Ok(()));
        assert_eq!(at(sent + 300_001), Err(Refusal::TooOld(300)));
        assert_eq!(at(sent - 300_000), Ok(()));
        assert_eq!(at(sent - 300_001), Err(Refusal::TooNew(301)));
        assert_eq!(at(0), Err(Refusal::TooNew(timed.sent)));
        assert!(matches!(at(u64::MAX), Err(Refusal::TooOld(_))));
        // What need not be remembered any more is refused by its time.
        let until = timed.judge_at(UnixMillis(sent)).unwrap().until().unwrap();
        assert!(at(until.0 - 1).is_ok() && at(until.0).is_err());
    }
    assert!(github().judge_at(UnixMillis(u64::MAX)).is_ok());
}

#[test]
fn a_secret_checks_its_own_kind_of_signature_alone() {
    let both = |secret| Vector {
        secret,
        ..asymmetric()
    };
    assert!(both(asymmetric().secret).judge().is_ok());
    let mut only_hmac = both(asymmetric().secret);
    only_hmac.headers = standard().headers;
    assert_eq!(only_hmac.judge(), Err(Refusal::NoSignature));
    let key = Key::read(Scheme::Github, &ApiSecret::new("x".into())).unwrap();
    let vector = coinbase();
    let headers = [(vector.headers[0].0, vector.headers[0].1.as_bytes())];
    let presented = Presented::read(vector.scheme, &headers, &vector.body).unwrap();
    let judged = presented.judge(&key, Tolerance::USUAL, UnixMillis(0));
    assert_eq!(judged, Err(Refusal::NoSignature));
}

#[test]
fn one_right_signature_among_several_is_enough() {
    let mut vector = standard();
    let (_, value) = vector
        .headers
        .iter_mut()
        .find(|(n, _)| *n == "webhook-signature")
        .unwrap();
    let wrong = format!("v1,{}=", "A".repeat(43));
    let right = value.clone();
    *value = format!("{wrong} {right} {wrong}");
    assert!(vector.judge().is_ok());
    let (_, value) = vector
        .headers
        .iter_mut()
        .find(|(n, _)| *n == "webhook-signature")
        .unwrap();
    *value = format!("{wrong} {wrong}");
    assert_eq!(vector.judge(), Err(Refusal::WrongSignature));
}

#[test]
fn a_message_is_of_its_scheme_and_of_all_that_was_signed() {
    let message = |one: Vector| *one.judge().unwrap().message();
    let messages = [github(), coinbase(), standard(), stripe()].map(message);
    for (at, message) in messages.iter().enumerate() {
        assert!(!messages[..at].contains(message));
    }
    // One message, whichever kind of signature it came with.
    assert_eq!(message(asymmetric()), messages[2]);
    // GitHub's id is not signed: another one is the same message.
    let mut other = github();
    other.headers[1].1 = "another-id".into();
    assert_eq!(other.judge().unwrap().message(), &messages[0]);
}

proptest! {
    // Whatever comes, there is a verdict and no panic; and nothing but the sender's own signature is taken.
    #[test]
    fn no_bytes_break_it(
        scheme in 0usize..4,
        value in prop::collection::vec(any::<u8>(), 0..200),
        id in ".{0,40}",
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let scheme = Scheme::ALL[scheme];
        let headers: Vec<(&str, &[u8])> = vec![
            ("Stripe-Signature", &value), ("X-Hub-Signature-256", &value), ("X-CC-Webhook-Signature", &value),
            ("webhook-signature", &value), ("webhook-id", id.as_bytes()), ("X-GitHub-Delivery", id.as_bytes()),
            ("webhook-timestamp", b"1614556800"),
        ];
        let secret = ApiSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into());
        let key = Key::read(scheme, &secret).unwrap();
        let judged = Presented::read(scheme, &headers, &body)
            .and_then(|one| one.judge(&key, Tolerance::USUAL, UnixMillis(1_614_556_800_000)));
        prop_assert!(judged.is_err());
    }
}
