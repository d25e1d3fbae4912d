//! The ports, played: keys, a person, a device and a venue that do as a test says, and tell what was asked of them.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use touchkeep_audit::Log;
use touchkeep_core::{ApiSecret, DeviceId, Id, ItemId, RequestId, UnixMillis};
use touchkeep_device::{
    Algorithm, Auth, Demand, Device, DeviceError, DeviceInfo, DeviceKind, KeyInfo, KeyRef, Purpose,
    SecretDemand, SignatureScheme, TouchPolicy, public::ed25519_spki,
};
use touchkeep_pipeline::*;
use touchkeep_venue::{KeyClass, Outgoing};

pub(crate) const SECRET: &str = "test-secret-0123456789abcdef";
pub(crate) const DEVICE: DeviceId = DeviceId(Id::from_bytes([9; 16]));

// What happened, in order, each with the rows that the log held then.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) log: Log,
    pub(crate) told: Arc<Mutex<Vec<(&'static str, u64)>>>,
}

impl Story {
    pub(crate) fn tell(&self, what: &'static str) {
        let rows = self.log.head().size;
        self.told.lock().unwrap().push((what, rows));
    }

    pub(crate) fn words(&self) -> Vec<&'static str> {
        self.told
            .lock()
            .unwrap()
            .iter()
            .map(|(what, _)| *what)
            .collect()
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Person {
    Yes,
    No,
    Nobody,
    Asleep,
    Undecided,
    OtherDigest,
    // Says yes once it is let go.
    Held,
}

pub(crate) struct Played {
    pub(crate) story: Story,
    pub(crate) person: Person,
    pub(crate) ready: fn() -> Result<(), KeyError>,
    // Nobody types what is to be typed before.
    pub(crate) waits: AtomicBool,
    // It is typed once it is let go.
    pub(crate) pin_held: bool,
    // Its touch comes once it is let go.
    pub(crate) secret_held: bool,
    // The venue answers once it is let go.
    pub(crate) venue_held: bool,
    pub(crate) let_go: AtomicBool,
    pub(crate) known_address: Option<&'static str>,
    pub(crate) consents: fn() -> Result<Consent, KeyError>,
    pub(crate) secret: fn() -> Result<ApiSecret, KeyError>,
    pub(crate) key: fn(KeyClass) -> Result<KeyHandle, KeyError>,
    pub(crate) device: fn(&[u8]) -> Result<Vec<u8>, DeviceError>,
    pub(crate) venue: fn() -> Result<u16, SendError>,
    pub(crate) sent: Mutex<Vec<Outgoing>>,
    pub(crate) asked: Mutex<Vec<Question>>,
    pub(crate) over: Mutex<Vec<RequestId>>,
    pub(crate) nonces: Mutex<std::collections::HashMap<Series, u64>>,
    pub(crate) turns: Turns,
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

pub(crate) struct Wire(pub(crate) Arc<Played>);

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

pub(crate) fn pair() -> Ed25519KeyPair {
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

pub(crate) fn request_key(purpose: Purpose) -> KeyInfo {
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
