//! A scene: a pipeline over a real log and the ports as they are played, and what bots ask of it.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use touchkeep_audit::{Decision, Kind, Log, Query, Row};
use touchkeep_core::{ApiSecret, ClientId, Id, ItemId, RequestId, SystemClock, UnixMillis};
use touchkeep_device::Purpose;
use touchkeep_pipeline::*;
use touchkeep_policy::{Past, Policy};
use touchkeep_venue::{Encoding, Request, Scheme, SecretForm};

use crate::played::{DEVICE, Person, Played, SECRET, Story, Wire, pair, request_key};

pub(crate) fn handle(signer: Signer, touched_each_use: bool) -> KeyHandle {
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

pub(crate) fn scheme(algorithm: touchkeep_venue::Algorithm, encoding: Encoding) -> Scheme {
    Scheme {
        algorithm,
        secret: SecretForm::Text,
        encoding,
    }
}

pub(crate) fn on_device(purpose: Purpose) -> KeyHandle {
    let signer = Signer::Device {
        device: DEVICE,
        key: request_key(purpose),
    };
    handle(signer, true)
}

pub(crate) fn kraken_handle() -> KeyHandle {
    KeyHandle {
        scheme: Scheme {
            algorithm: touchkeep_venue::Algorithm::HmacSha512,
            secret: SecretForm::Base64,
            encoding: Encoding::Base64,
        },
        ..handle(Signer::Secret, false)
    }
}

pub(crate) struct Scene {
    pub(crate) played: Arc<Played>,
    pub(crate) pipeline: Pipeline<Wire>,
    pub(crate) log: Log,
    pub(crate) identity: age::x25519::Identity,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) struct NoHistory;
impl HistorySource for NoHistory {
    type Error = Infallible;
    fn since(&self, _: UnixMillis) -> Result<Vec<Past>, Infallible> {
        Ok(Vec::new())
    }
}

pub(crate) const RULES: &str = r#"
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

pub(crate) const ONE_BTC: &str = r#"
[[rule]]
name = "a coin an hour"
kinds = ["withdraw"]
assets = ["BTC"]
window_amount = "1"
window_hours = 1
action = "touch"
"#;

pub(crate) fn scene(change: impl FnOnce(&mut Played)) -> Scene {
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

pub(crate) fn incoming(method: &str, path: &str, query: &str, body: &str) -> Incoming {
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

pub(crate) fn read() -> Incoming {
    incoming(
        "GET",
        "/api/v3/account",
        "recvWindow=4000&timestamp=1&signature=x",
        "",
    )
}

pub(crate) fn order(symbol: &str, amount: &str) -> Incoming {
    let body =
        format!("symbol={symbol}&side=BUY&type=MARKET&quantity={amount}&timestamp=1&signature=x");
    incoming("POST", "/api/v3/order", "", &body)
}

pub(crate) fn withdrawal() -> Incoming {
    let body = "coin=BTC&address=bc1q&amount=0.5&recvWindow=1000&timestamp=1&signature=x";
    incoming("POST", "/sapi/v1/capital/withdraw/apply", "", body)
}

pub(crate) fn cancel_at_kraken() -> Incoming {
    Incoming {
        venue: "kraken".into(),
        ..incoming("POST", "/0/private/CancelOrder", "", "nonce=1&txid=O1")
    }
}

pub(crate) fn balance_at_kraken() -> Incoming {
    Incoming {
        venue: "kraken".into(),
        ..incoming("POST", "/0/private/Balance", "", "nonce=1")
    }
}

impl Scene {
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = self
            .log
            .list(&Query::default(), Some(&self.identity))
            .unwrap()
            .rows;
        rows.reverse();
        rows
    }

    pub(crate) fn kinds(&self) -> Vec<(Kind, Decision)> {
        self.rows()
            .iter()
            .map(|row| (row.kind, row.decision))
            .collect()
    }

    pub(crate) fn nothing_was_signed(&self) {
        for word in ["sign", "send"] {
            assert!(!self.played.story.words().contains(&word), "{word}");
        }
        assert!(self.rows().iter().all(|row| row.kind != Kind::Intent));
        assert!(self.played.sent.lock().unwrap().is_empty());
    }
}

pub(crate) fn under(scene: &Scene, rules: &str) {
    let policy = Policy::parse(rules).unwrap();
    scene.pipeline.set_policy(policy, &NoHistory).unwrap();
}

pub(crate) async fn until(condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "it does not come");
        tokio::task::yield_now().await;
    }
}
