//! The whole way with a real audit log and a real decision; keys, person and venue are played, because those are ports.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "tests may fail loudly"
)]

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use touchkeep_audit::{Decision, Kind, Log, Query, Row};
use touchkeep_core::{
    ApiSecret, ClientId, Clock, Code, DeviceId, Id, ItemId, RequestId, SystemClock, UnixMillis,
};
use touchkeep_device::{
    Algorithm, Auth, Demand, Device, DeviceError, DeviceInfo, DeviceKind, KeyInfo, KeyRef, Purpose,
    SecretDemand, SignatureScheme, TouchPolicy, public::ed25519_spki,
};
use touchkeep_pipeline::*;
use touchkeep_policy::{Past, Policy};
use touchkeep_venue::{Encoding, KeyClass, Outgoing, Request, Scheme, SecretForm};

const SECRET: &str = "test-secret-0123456789abcdef";
const DEVICE: DeviceId = DeviceId(Id::from_bytes([9; 16]));

// What happened, in order, each with the rows that the log held then.
#[derive(Clone)]
struct Story {
    log: Log,
    told: Arc<Mutex<Vec<(&'static str, u64)>>>,
}

impl Story {
    fn tell(&self, what: &'static str) {
        let rows = self.log.head().size;
        self.told.lock().unwrap().push((what, rows));
    }

    fn words(&self) -> Vec<&'static str> {
        self.told
            .lock()
            .unwrap()
            .iter()
            .map(|(what, _)| *what)
            .collect()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Person {
    Yes,
    No,
    Nobody,
    Asleep,
    Undecided,
    OtherDigest,
    // Says yes once it is let go.
    Held,
}

struct Played {
    story: Story,
    person: Person,
    ready: fn() -> Result<(), KeyError>,
    // Nobody types what is to be typed before.
    waits: AtomicBool,
    // It is typed once it is let go.
    pin_held: bool,
    // Its touch comes once it is let go.
    secret_held: bool,
    // The venue answers once it is let go.
    venue_held: bool,
    let_go: AtomicBool,
    known_address: Option<&'static str>,
    consents: fn() -> Result<Consent, KeyError>,
    secret: fn() -> Result<ApiSecret, KeyError>,
    key: fn(KeyClass) -> Result<KeyHandle, KeyError>,
    device: fn(&[u8]) -> Result<Vec<u8>, DeviceError>,
    venue: fn() -> Result<u16, SendError>,
    sent: Mutex<Vec<Outgoing>>,
    asked: Mutex<Vec<Question>>,
    over: Mutex<Vec<RequestId>>,
    nonces: Mutex<std::collections::HashMap<Series, u64>>,
    turns: Turns,
}

impl Keys for Played {
    fn key_for(&self, venue: &str, key_set: &str, class: KeyClass) -> Result<KeyHandle, KeyError> {
        let known = ["binance", "bitstamp", "gate", "kraken"];
        assert!(known.contains(&venue) && key_set == "main");
        (self.key)(class)
    }
    fn base_url(&self, _: &str, _: &str) -> Result<Option<String>, KeyError> {
        Ok(Some("http://127.0.0.1:1".into()))
    }
    fn make_ready<'a>(&'a self, _: &'a Question) -> Answering<'a, Result<(), KeyError>> {
        Box::pin(async {
            self.story.tell("ready");
            if self.waits.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if self.pin_held {
                self.is_let_go().await;
            }
            (self.ready)()
        })
    }
    fn consent<'a>(&'a self, _: &'a Question) -> Answering<'a, Result<Consent, KeyError>> {
        Box::pin(async {
            self.story.tell("touch");
            (self.consents)()
        })
    }
    fn secret<'a>(
        &'a self,
        request: RequestId,
        _: &'a KeyHandle,
    ) -> Answering<'a, Result<ApiSecret, KeyError>> {
        assert!(!self.over.lock().unwrap().contains(&request));
        Box::pin(async {
            self.story.tell("sign");
            if self.secret_held {
                self.is_let_go().await;
            }
            (self.secret)()
        })
    }
    fn passphrase<'a>(
        &'a self,
        _: RequestId,
        _: &'a KeyHandle,
    ) -> Answering<'a, Result<ApiSecret, KeyError>> {
        Box::pin(async { Ok(ApiSecret::new("pass".into())) })
    }
    fn next_nonce(
        &self,
        _: ItemId,
        series: Series,
        floor: u64,
    ) -> Answering<'_, Result<u64, KeyError>> {
        Box::pin(async move {
            self.story.tell("nonce");
            let mut last = self.nonces.lock().unwrap();
            let next = last.get(&series).map_or(floor, |last| floor.max(last + 1));
            last.insert(series, next);
            Ok(next)
        })
    }
    fn turns(&self) -> Turns {
        self.turns.clone()
    }
    fn on_device<'a>(
        &'a self,
        request: RequestId,
        key: &'a KeyHandle,
        job: DeviceJob,
    ) -> Answering<'a, Result<Vec<u8>, KeyError>> {
        assert!(!self.over.lock().unwrap().contains(&request));
        assert!(matches!(&key.signer, Signer::Device { device, .. } if *device == DEVICE));
        Box::pin(async move {
            self.story.tell("sign");
            let mut device = PlayedDevice(self.device, info());
            Ok(job(&mut device, Auth::Nothing)?)
        })
    }
    fn nonce_refused(&self, _: &KeyHandle, _: &str) {
        self.story.tell("used elsewhere");
    }
    fn over(&self, request: RequestId) {
        self.over.lock().unwrap().push(request);
    }
}

impl Approver for Played {
    fn ask<'a>(&'a self, question: &'a Question) -> Answering<'a, Answer> {
        Box::pin(async {
            self.story.tell("ask");
            self.asked.lock().unwrap().push(question.clone());
            let digest = question.digest;
            match self.person {
                Person::Yes => Answer::Yes { digest },
                Person::No => Answer::No,
                Person::Nobody => Answer::Nobody,
                Person::Asleep | Person::Undecided => std::future::pending().await,
                Person::OtherDigest => Answer::Yes { digest: [0; 32] },
                Person::Held => {
                    self.is_let_go().await;
                    Answer::Yes { digest }
                }
            }
        })
    }
    fn tell(&self, _: &Question) {
        self.story.tell("tell");
    }
    fn known_address<'a>(
        &'a self,
        _: &'a KeyHandle,
        _: &'a touchkeep_venue::Operation,
    ) -> Answering<'a, Option<String>> {
        let known = self.known_address.map(str::to_owned);
        Box::pin(async { known })
    }
}

impl Played {
    async fn is_let_go(&self) {
        while !self.let_go.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    }
}

struct Wire(Arc<Played>);

impl Upstream for Wire {
    type Response = u16;
    fn send(
        &self,
        outgoing: Outgoing,
        base_url: Option<String>,
    ) -> Answering<'_, Result<u16, SendError>> {
        Box::pin(async move {
            assert_eq!(base_url.as_deref(), Some("http://127.0.0.1:1"));
            self.0.story.tell("send");
            self.0.sent.lock().unwrap().push(outgoing);
            if self.0.venue_held {
                self.0.is_let_go().await;
            }
            (self.0.venue)()
        })
    }
    fn venue_time(&self, _: &str, _: Option<&str>, now: UnixMillis) -> UnixMillis {
        now
    }
    fn status(response: &u16) -> u16 {
        *response
    }
}

struct PlayedDevice(fn(&[u8]) -> Result<Vec<u8>, DeviceError>, DeviceInfo);

impl Device for PlayedDevice {
    fn info(&self) -> &DeviceInfo {
        &self.1
    }
    fn demand(&mut self, _: &KeyRef) -> Result<Demand, DeviceError> {
        Ok(Demand {
            secret: SecretDemand::Nothing,
            touch: TouchPolicy::Always,
        })
    }
    fn unwrap_file_key(
        &mut self,
        key: &KeyRef,
        _: &[age_core::format::Stanza],
        _: Auth<'_>,
    ) -> Result<age_core::format::FileKey, DeviceError> {
        Err(DeviceError::NoKey(key.clone()))
    }
    fn sign(
        &mut self,
        key: &KeyRef,
        scheme: SignatureScheme,
        message: &[u8],
        _: Auth<'_>,
    ) -> Result<Vec<u8>, DeviceError> {
        assert_eq!((key.0.as_str(), scheme), ("82", SignatureScheme::Ed25519));
        (self.0)(message)
    }
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap()
}

fn info() -> DeviceInfo {
    DeviceInfo {
        kind: DeviceKind::Piv,
        label: "played".into(),
        serial: None,
        firmware: None,
        keys: vec![request_key(Purpose::Request)],
    }
}

fn request_key(purpose: Purpose) -> KeyInfo {
    KeyInfo {
        key: KeyRef("82".into()),
        purpose,
        algorithm: Algorithm::Ed25519,
        spki: ed25519_spki(pair().public_key().as_ref().try_into().unwrap()),
        touch: TouchPolicy::Always,
        recipient: None,
        identity: None,
        imported: false,
    }
}

fn handle(signer: Signer, touched_each_use: bool) -> KeyHandle {
    KeyHandle {
        item: ItemId(Id::from_bytes([5; 16])),
        name: "main key".into(),
        api_key: "api".into(),
        scheme: match signer {
            Signer::Secret => scheme(touchkeep_venue::Algorithm::HmacSha256, Encoding::Hex),
            Signer::Device { .. } => scheme(touchkeep_venue::Algorithm::Ed25519, Encoding::Base64),
        },
        signer,
        passphrase: false,
        touched_each_use,
        base_url: Some("http://127.0.0.1:1".into()),
    }
}

fn scheme(algorithm: touchkeep_venue::Algorithm, encoding: Encoding) -> Scheme {
    Scheme {
        algorithm,
        secret: SecretForm::Text,
        encoding,
    }
}

fn on_device(purpose: Purpose) -> KeyHandle {
    let signer = Signer::Device {
        device: DEVICE,
        key: request_key(purpose),
    };
    handle(signer, true)
}

struct Scene {
    played: Arc<Played>,
    pipeline: Pipeline<Wire>,
    log: Log,
    identity: age::x25519::Identity,
    folder: tempfile::TempDir,
}

struct NoHistory;
impl HistorySource for NoHistory {
    type Error = Infallible;
    fn since(&self, _: UnixMillis) -> Result<Vec<Past>, Infallible> {
        Ok(Vec::new())
    }
}

const RULES: &str = r#"
[[rule]]
name = "reads"
kinds = ["read"]
action = "allow"
[[rule]]
name = "told"
kinds = ["cancel"]
action = "notify"
[[rule]]
name = "small"
kinds = ["trade"]
symbols = ["BTCUSDT"]
max_amount = "1"
window_amount = "3"
window_hours = 1
action = "allow"
[[rule]]
name = "trades"
kinds = ["trade"]
action = "approve"
[[rule]]
name = "withdrawals"
kinds = ["withdraw"]
action = "touch"
"#;

fn scene(change: impl FnOnce(&mut Played)) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let log = Log::create(&folder.path().join("audit.db"), "vault", &recipient).unwrap();
    let story = Story {
        log: log.clone(),
        told: Arc::default(),
    };
    let mut played = Played {
        story,
        person: Person::Yes,
        ready: || Ok(()),
        waits: AtomicBool::new(false),
        pin_held: false,
        secret_held: false,
        venue_held: false,
        let_go: AtomicBool::new(false),
        known_address: None,
        consents: || Ok(Consent::Touch(DEVICE)),
        secret: || Ok(ApiSecret::new(SECRET.into())),
        key: |_| Ok(handle(Signer::Secret, false)),
        device: |message| Ok(pair().sign(message).as_ref().to_vec()),
        venue: || Ok(200),
        sent: Mutex::default(),
        asked: Mutex::default(),
        over: Mutex::default(),
        nonces: Mutex::default(),
        turns: Turns::default(),
    };
    change(&mut played);
    let played = Arc::new(played);
    let settings = Settings {
        approval_ms: if played.person == Person::Asleep {
            20
        } else {
            60_000
        },
        ..Settings::default()
    };
    let pipeline = Pipeline::new(
        Arc::clone(&played) as Arc<dyn Keys>,
        Arc::clone(&played) as Arc<dyn Approver>,
        Wire(Arc::clone(&played)),
        log.clone(),
        Arc::new(SystemClock),
        settings,
        End::default(),
    );
    pipeline
        .set_policy(Policy::parse(RULES).unwrap(), &NoHistory)
        .unwrap();
    Scene {
        played,
        pipeline,
        log,
        identity,
        folder,
    }
}

fn incoming(method: &str, path: &str, query: &str, body: &str) -> Incoming {
    Incoming {
        request: RequestId::random(),
        client: Client {
            id: ClientId(Id::from_bytes([1; 16])),
            name: "grid-bot".into(),
        },
        venue: "binance".into(),
        key_set: "main".into(),
        http: Request {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            content_type: Some("application/x-www-form-urlencoded".into()),
            body: body.into(),
            expires: None,
        },
    }
}

fn read() -> Incoming {
    incoming(
        "GET",
        "/api/v3/account",
        "recvWindow=4000&timestamp=1&signature=x",
        "",
    )
}

fn order(symbol: &str, amount: &str) -> Incoming {
    let body =
        format!("symbol={symbol}&side=BUY&type=MARKET&quantity={amount}&timestamp=1&signature=x");
    incoming("POST", "/api/v3/order", "", &body)
}

fn withdrawal() -> Incoming {
    let body = "coin=BTC&address=bc1q&amount=0.5&recvWindow=1000&timestamp=1&signature=x";
    incoming("POST", "/sapi/v1/capital/withdraw/apply", "", body)
}

impl Scene {
    fn rows(&self) -> Vec<Row> {
        let mut rows = self
            .log
            .list(&Query::default(), Some(&self.identity))
            .unwrap()
            .rows;
        rows.reverse();
        rows
    }

    fn kinds(&self) -> Vec<(Kind, Decision)> {
        self.rows()
            .iter()
            .map(|row| (row.kind, row.decision))
            .collect()
    }

    fn nothing_was_signed(&self) {
        for word in ["sign", "send"] {
            assert!(!self.played.story.words().contains(&word), "{word}");
        }
        assert!(self.rows().iter().all(|row| row.kind != Kind::Intent));
        assert!(self.played.sent.lock().unwrap().is_empty());
    }
}

// Kraken refuses a number that is not above the last one that came.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_of_a_key_reach_their_venue_in_their_order_whichever_item_it_is() {
    let scene = scene(|played| {
        // Two items, one key.
        played.key = |class| {
            let item = ItemId(Id::from_bytes([class as u8; 16]));
            Ok(KeyHandle {
                item,
                ..kraken_handle()
            })
        };
        played.secret = || Ok(ApiSecret::new("c2VjcmV0".into()));
    });
    let asked = (0..40).map(|number| {
        let incoming = match number % 2 {
            0 => balance_at_kraken(),
            _ => cancel_at_kraken(),
        };
        let pipeline = scene.pipeline.clone();
        tokio::spawn(async move { pipeline.handle(incoming).await.unwrap() })
    });
    for done in asked.collect::<Vec<_>>() {
        assert_eq!(done.await.unwrap().response, 200);
    }
    let sent = scene.played.sent.lock().unwrap();
    let nonce = |out: &Outgoing| {
        let body = String::from_utf8(out.body.clone()).unwrap();
        let mut fields = body.split('&');
        let nonce = fields.find_map(|field| field.strip_prefix("nonce="));
        nonce.unwrap().parse::<u64>().unwrap()
    };
    let nonces: Vec<u64> = sent.iter().map(nonce).collect();
    assert_eq!(nonces.len(), 40);
    assert!(nonces.is_sorted_by(|a, b| a < b), "{nonces:?}");
    let now = SystemClock.now().0;
    assert!(nonces.iter().all(|nonce| now.abs_diff(*nonce) < 60_000));
}

// A venue that takes its time.
struct Slow(Arc<Played>, Arc<tokio::sync::Notify>);

impl Upstream for Slow {
    type Response = u16;
    fn send(&self, outgoing: Outgoing, _: Option<String>) -> Answering<'_, Result<u16, SendError>> {
        Box::pin(async move {
            self.0.story.tell("send");
            self.0.sent.lock().unwrap().push(outgoing);
            self.1.notified().await;
            Ok(200)
        })
    }
    fn venue_time(&self, _: &str, _: Option<&str>, now: UnixMillis) -> UnixMillis {
        now
    }
    fn status(response: &u16) -> u16 {
        *response
    }
}

// As at a lock, after which armed keys go on in a pipeline of their own while a request is still on its way.
#[tokio::test]
async fn a_number_waits_for_the_one_that_another_pipeline_has_sent() {
    let scene = scene(|played| {
        played.key = |_| Ok(kraken_handle());
        played.secret = || Ok(ApiSecret::new("c2VjcmV0".into()));
    });
    let answers = Arc::new(tokio::sync::Notify::new());
    let before = Pipeline::new(
        Arc::clone(&scene.played) as Arc<dyn Keys>,
        Arc::clone(&scene.played) as Arc<dyn Approver>,
        Slow(Arc::clone(&scene.played), Arc::clone(&answers)),
        scene.log.clone(),
        Arc::new(SystemClock),
        Settings::default(),
        End::default(),
    );
    before
        .set_policy(Policy::parse(RULES).unwrap(), &NoHistory)
        .unwrap();
    let first = tokio::spawn({
        let before = before.clone();
        async move { before.handle(balance_at_kraken()).await }
    });
    while !scene.played.story.words().contains(&"send") {
        tokio::task::yield_now().await;
    }
    before.end();
    let mut second = tokio::spawn({
        let after = scene.pipeline.clone();
        async move { after.handle(balance_at_kraken()).await }
    });
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut second);
    assert!(early.await.is_err(), "it overtook the first");
    assert_eq!(scene.played.sent.lock().unwrap().len(), 1);
    answers.notify_one();
    assert_eq!(first.await.unwrap().unwrap().response, 200);
    assert_eq!(second.await.unwrap().unwrap().response, 200);
    assert_eq!(scene.played.sent.lock().unwrap().len(), 2);
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

fn kraken_handle() -> KeyHandle {
    KeyHandle {
        scheme: Scheme {
            algorithm: touchkeep_venue::Algorithm::HmacSha512,
            secret: SecretForm::Base64,
            encoding: Encoding::Base64,
        },
        ..handle(Signer::Secret, false)
    }
}

fn cancel_at_kraken() -> Incoming {
    Incoming {
        venue: "kraken".into(),
        ..incoming("POST", "/0/private/CancelOrder", "", "nonce=1&txid=O1")
    }
}

fn balance_at_kraken() -> Incoming {
    Incoming {
        venue: "kraken".into(),
        ..incoming("POST", "/0/private/Balance", "", "nonce=1")
    }
}

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

fn under(scene: &Scene, rules: &str) {
    let policy = Policy::parse(rules).unwrap();
    scene.pipeline.set_policy(policy, &NoHistory).unwrap();
}

async fn until(condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "it does not come");
        tokio::task::yield_now().await;
    }
}

const ONE_BTC: &str = r#"
[[rule]]
name = "a coin an hour"
kinds = ["withdraw"]
assets = ["BTC"]
window_amount = "1"
window_hours = 1
action = "touch"
"#;

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
