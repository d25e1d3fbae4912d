//! A vault on a PKCS#11 token: made, opened, sealed to, and a request key that never leaves it. SoftHSM 2 in a folder of
//! the test's own stands for the token.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use common::{
    Agent, PATIENCE, Person, Venue, bot,
    token::{MODULE, PIN, make_token, on_token, with_pin},
};
use touchkeep_client::{CallError, Connection};
use touchkeep_core::Code;
use touchkeep_wire::*;

const SECRET: &str = "canary-secret-of-the-money-key";

fn pins(person: &Person) -> usize {
    let seen = person.seen.lock().unwrap();
    seen.iter()
        .filter(|prompt| matches!(prompt.question, Question::Pin { .. }))
        .count()
}

async fn add(
    client: &Connection,
    name: &str,
    class: &str,
    secret: NewSecret,
    venue: &Venue,
) -> ItemSummary {
    let on_device = matches!(secret, NewSecret::OnDevice { .. });
    client
        .call(
            AddItem::new("exchange-key", name)
                .field("venue", "binance")
                .field("key-set", "main")
                .field("class", class)
                .field(
                    "api-key",
                    if on_device {
                        String::new()
                    } else {
                        format!("{name}-api-key")
                    },
                )
                .field("base-url", &venue.url)
                .secret("secret", secret),
        )
        .await
        .unwrap()
}

#[tokio::test]
async fn a_token_opens_seals_and_signs() {
    let folder = tempfile::tempdir().unwrap();
    let config = make_token(folder.path());
    let agent = Agent::start_with("approval_seconds = 20\n", &[("SOFTHSM2_CONF", &config)]).await;
    let client = agent.client().await;
    let person = Person::new(&agent, with_pin(PIN)).await;
    let path = agent.home.path().join("v.touchkeep").display().to_string();
    let made = client
        .call(CreateVault {
            path,
            user: "Zoe".into(),
            environment: "test".into(),
            practice: true,
            device: NewDevice::Pkcs11 {
                module: MODULE.into(),
                token: "agent-test".into(),
            },
        })
        .await
        .unwrap_or_else(|error| panic!("{error:?}\n{}", agent.log()));
    assert_eq!(made.devices[0].kind, "pkcs11");
    assert_eq!(pins(&person), 1);

    let venue = Venue::start(SECRET, true).await;
    add(
        &client,
        "money",
        "move-money",
        NewSecret::Sealed {
            value: SecretText::new(SECRET.into()),
        },
        &venue,
    )
    .await;
    let item = add(&client, "trade", "trade", on_token("rsa2048"), &venue).await;
    assert_eq!(
        (item.secret.as_str(), pins(&person)),
        ("on-device", 1),
        "the PIN is remembered"
    );
    client
        .call(SetApiKey {
            item: "trade".into(),
            api_key: "trade-api-key".into(),
        })
        .await
        .unwrap();
    let pem = client
        .call(ExportPublicKey {
            item: "trade".into(),
            form: None,
        })
        .await
        .unwrap()
        .pem;

    // An order is signed on the token, and openssl verifies it with the key that was exported.
    let text = "[[rule]]\nname = \"trades\"\nkinds = [\"trade\"]\naction = \"allow\"\n\n\
                [[rule]]\nname = \"money\"\nkinds = [\"withdraw\"]\naction = \"touch\"\n";
    client.call(SetPolicy { text: text.into() }).await.unwrap();
    assert_eq!(
        pins(&person),
        2,
        "a token has no touch, so the PIN is the consent"
    );
    let new = client
        .call(AddClient::unbound("bot", "main"))
        .await
        .unwrap();
    let (base_url, token) = (new.base_url(), new.token.into_inner());
    let order = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&timestamp=1&signature=x";
    let (status, answer) = bot(&base_url, &token, "POST", "/api/v3/order", order).await;
    assert_eq!(status, 200, "{answer}\n{}", agent.log());
    let got = venue.got().remove(0);
    assert!(openssl_verifies(
        folder.path(),
        &pem,
        &got.parameters,
        &got.signature
    ));
    assert!(!openssl_verifies(
        folder.path(),
        &pem,
        &got.parameters.replace("BUY", "SELL"),
        &got.signature
    ));

    // A withdrawal with the sealed secret: one yes, one PIN.
    let withdraw = "coin=BTC&address=bc1q&amount=1&timestamp=1&signature=x";
    let (status, answer) = bot(
        &base_url,
        &token,
        "POST",
        "/sapi/v1/capital/withdraw/apply",
        withdraw,
    )
    .await;
    assert_eq!(status, 200, "{answer}\n{}", agent.log());
    assert!(venue.got()[1].signed);
    assert_eq!((person.approvals().len(), pins(&person)), (1, 3));

    // After a lock the PIN is asked for again, and a wrong one is sent once.
    client.call(LockVault {}).await.unwrap();
    drop(person);
    let wrong = Person::new(&agent, with_pin("wrong-pin")).await;
    let refused = client
        .call(UnlockVault {
            path: None,
            device: None,
        })
        .await;
    assert!(
        matches!(&refused, Err(CallError::Failed(failure)) if failure.code == Code::WrongPin),
        "{refused:?}"
    );
    assert_eq!(pins(&wrong), 1);
    drop(wrong);
    let person = Person::new(&agent, with_pin(PIN)).await;
    client
        .call(UnlockVault {
            path: None,
            device: None,
        })
        .await
        .unwrap();
    assert_eq!(pins(&person), 1);
    let devices = client.call(ListDevices {}).await.unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].enrolled, Some(made.devices[0].id));
    assert!(!agent.log().contains(PIN) && !agent.log().contains(SECRET));
}

// Any writer of the vault can say of a request key that it asks for a touch; were that believed, a click would do.
#[tokio::test]
async fn what_the_vault_says_of_a_request_key_is_held_against_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let config = make_token(folder.path());
    let agent = Agent::start_with("approval_seconds = 20\n", &[("SOFTHSM2_CONF", &config)]).await;
    let client = agent.client().await;
    let person = Person::new(&agent, with_pin(PIN)).await;
    let path = agent.home.path().join("v.touchkeep");
    client
        .call(CreateVault {
            path: path.display().to_string(),
            user: "Zoe".into(),
            environment: "test".into(),
            practice: true,
            device: NewDevice::Pkcs11 {
                module: MODULE.into(),
                token: "agent-test".into(),
            },
        })
        .await
        .unwrap();
    let venue = Venue::start(SECRET, true).await;
    let place = on_token("rsa2048");
    let item = add(&client, "money", "move-money", place, &venue).await;
    client
        .call(SetApiKey {
            item: "money".into(),
            api_key: "money-api-key".into(),
        })
        .await
        .unwrap();
    let text = "[[rule]]\nname = \"money\"\nkinds = [\"withdraw\"]\naction = \"touch\"\n";
    client.call(SetPolicy { text: text.into() }).await.unwrap();
    let bot_of = AddClient::unbound("bot", "main");
    let new = client.call(bot_of).await.unwrap();
    let (base_url, token) = (new.base_url(), new.token.into_inner());
    let withdraw = async || {
        let body = "coin=BTC&address=bc1q&amount=1&timestamp=1&signature=x";
        let target = "/sapi/v1/capital/withdraw/apply";
        bot(&base_url, &token, "POST", target, body).await
    };
    let (status, answer) = withdraw().await;
    assert_eq!((status, venue.got().len()), (200, 1), "{answer}");

    client.call(LockVault {}).await.unwrap();
    say_touched(&path, &config, &format!("request-key.{}", item.id));
    client
        .call(UnlockVault {
            path: None,
            device: None,
        })
        .await
        .unwrap();
    let typed = pins(&person);
    let (status, answer) = withdraw().await;
    assert_eq!((status, venue.got().len()), (403, 1), "{answer}");
    assert!(answer.contains("not what the vault says"), "{answer}");
    assert_eq!(pins(&person), typed, "and nobody typed anything for it");
}

// A token that nobody can take out stays logged in for the next order, in the process that has its module; a lock ends that.
#[tokio::test]
async fn a_token_stays_logged_in_between_orders_until_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let config = make_token(folder.path());
    let agent = Agent::start_with("approval_seconds = 20\n", &[("SOFTHSM2_CONF", &config)]).await;
    let client = agent.client().await;
    let person = Person::new(&agent, with_pin(PIN)).await;
    let path = agent.home.path().join("v.touchkeep").display().to_string();
    let vault = CreateVault {
        path,
        user: "Zoe".into(),
        environment: "test".into(),
        practice: true,
        device: NewDevice::Pkcs11 {
            module: MODULE.into(),
            token: "agent-test".into(),
        },
    };
    client.call(vault).await.unwrap();
    let venue = Venue::start(SECRET, true).await;
    add(&client, "trade", "trade", on_token("rsa2048"), &venue).await;
    let key = SetApiKey {
        item: "trade".into(),
        api_key: "trade-api-key".into(),
    };
    client.call(key).await.unwrap();
    let text = "[[rule]]\nname = \"trades\"\nkinds = [\"trade\"]\naction = \"allow\"\n";
    client.call(SetPolicy { text: text.into() }).await.unwrap();
    let bot_of = AddClient::unbound("bot", "main");
    let new = client.call(bot_of).await.unwrap();
    let (base_url, token) = (new.base_url(), new.token.into_inner());
    // From its first look on, the agent keeps a process that looks after its token: what else stays is logged in.
    let looks = modules_at_rest(agent.child.id(), 1).await;
    let order = async |looks: &[String]| {
        let order = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&timestamp=1&signature=x";
        let (status, answer) = bot(&base_url, &token, "POST", "/api/v3/order", order).await;
        assert_eq!(status, 200, "{answer}\n{}", agent.log());
        let mut there = modules_at_rest(agent.child.id(), looks.len() + 1).await;
        there.retain(|process| !looks.contains(process));
        there
    };
    let typed = pins(&person);
    let kept = order(&looks).await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(order(&looks).await, kept);
    // One whose process is gone is opened again, with the PIN that is remembered.
    let killed = Command::new("kill").args(["-KILL", &kept[0]]).status();
    assert!(killed.unwrap().success());
    // While it is dying it may still be asked to sign, which then fails.
    let left = modules_at_rest(agent.child.id(), looks.len()).await;
    assert_eq!(left, looks);
    let other = order(&looks).await;
    assert!(other.len() == 1 && other != kept, "{kept:?} {other:?}");
    assert_eq!(pins(&person), typed, "nobody typed anything for all that");

    client.call(LockVault {}).await.unwrap();
    assert!(!modules_of(agent.child.id()).contains(&other[0]));
    assert!(modules_at_rest(agent.child.id(), 0).await.is_empty());
    let unlock = UnlockVault {
        path: None,
        device: None,
    };
    client.call(unlock).await.unwrap();
    assert_eq!(pins(&person), typed + 1);
    let looks = modules_at_rest(agent.child.id(), 1).await;
    assert_eq!(order(&looks).await.len(), 1);
    assert_eq!(venue.got().len(), 4);
}

// A consent is typed each time. While nobody types it the token signs for others, whose PIN is kept.
#[tokio::test]
async fn a_consent_that_nobody_types_keeps_no_order_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let config = make_token(folder.path());
    let agent = Agent::start_with("approval_seconds = 20\n", &[("SOFTHSM2_CONF", &config)]).await;
    let client = agent.client().await;
    let owner = Person::new(&agent, with_pin(PIN)).await;
    let path = agent.home.path().join("v.touchkeep").display().to_string();
    let vault = CreateVault {
        path,
        user: "Zoe".into(),
        environment: "test".into(),
        practice: true,
        device: NewDevice::Pkcs11 {
            module: MODULE.into(),
            token: "agent-test".into(),
        },
    };
    client.call(vault).await.unwrap();
    let venue = Venue::start(SECRET, true).await;
    add(&client, "trade", "trade", on_token("rsa2048"), &venue).await;
    let key = SetApiKey {
        item: "trade".into(),
        api_key: "trade-api-key".into(),
    };
    client.call(key).await.unwrap();
    let text = "[[rule]]\nname = \"trades\"\nkinds = [\"trade\"]\naction = \"allow\"\n";
    client.call(SetPolicy { text: text.into() }).await.unwrap();
    let new = common::add_bot(&client).await;
    let (base_url, token) = (new.base_url(), new.token.into_inner());
    drop(owner);
    let person = Person::new(&agent, |_| None).await;
    let other = agent.client().await;
    let consent = tokio::spawn(async move {
        let call = AddGrant {
            program: "/bin/true".into(),
            items: vec!["trade".into()],
            seconds: 60,
        };
        other.call(call).await
    });
    while pins(&person) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..2 {
        let order = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&timestamp=1&signature=x";
        let order = bot(&base_url, &token, "POST", "/api/v3/order", order);
        let within = Duration::from_secs(20);
        let (status, answer) = tokio::time::timeout(within, order).await.unwrap();
        assert_eq!(status, 200, "{answer}\n{}", agent.log());
    }
    assert!(!consent.is_finished() && pins(&person) == 1);
    consent.abort();
}

// The processes that an agent has modules in.
fn modules_of(agent: u32) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{agent}/task")).unwrap();
    let children = threads.map(|thread| {
        let children = thread.unwrap().path().join("children");
        std::fs::read_to_string(children).unwrap_or_default()
    });
    let children: String = children.collect();
    let hosts = children.split_whitespace().filter(|child| {
        let line = std::fs::read_to_string(format!("/proc/{child}/cmdline"));
        line.unwrap_or_default().contains("pkcs11-host")
    });
    hosts.map(String::from).collect()
}

// The same, once there are so many for a while: others come and go with a use.
async fn modules_at_rest(agent: u32, count: usize) -> Vec<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let before = modules_of(agent);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let there = modules_of(agent);
        if there.len() == count && there == before {
            return there;
        }
        assert!(Instant::now() < end, "{count} of {there:?}");
    }
}

// What another program with the same token can write.
fn say_touched(path: &Path, softhsm: &str, setting: &str) {
    use touchkeep_core::{Clock, Pin, SystemClock};
    use touchkeep_device::Auth;
    use touchkeep_device_pkcs11::{Launch, Pkcs11Device, device::Options, tokens};

    let launch = Launch {
        program: common::program(),
        args: vec!["agent".into(), "pkcs11-host".into()],
        env: vec![("SOFTHSM2_CONF".into(), softhsm.into())],
    };
    let found = tokens(&launch, std::path::PathBuf::from(MODULE)).unwrap();
    let choice = found
        .into_iter()
        .map(|token| token.choice)
        .find(|choice| choice.label == "agent-test");
    let mut device = Pkcs11Device::spawn(
        launch,
        std::path::PathBuf::from(MODULE),
        choice.unwrap(),
        Options::default(),
    )
    .unwrap();
    let locked = touchkeep_vault::Locked::open(path).unwrap();
    let pin = Pin::new(PIN.into());
    let mut vault = locked.unlock(&mut device, Auth::Pin(&pin)).unwrap();
    let said = vault.setting(setting).unwrap();
    let lie = said.replace(r#""touch":"never""#, r#""touch":"always""#);
    assert_ne!(said, lie);
    vault.set_setting(setting, &lie).unwrap();
    let nothing_new = touchkeep_vault::AuditHead::empty();
    vault.save(SystemClock.now(), nothing_new).unwrap();
}

fn openssl_verifies(folder: &Path, pem: &str, message: &str, signature: &str) -> bool {
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let signature = percent_decoded(signature);
    let signature = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, signature).unwrap();
    Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(file("key.pem", pem.as_bytes()))
        .arg("-signature")
        .arg(file("signature", &signature))
        .arg(file("message", message.as_bytes()))
        .output()
        .unwrap()
        .status
        .success()
}

fn percent_decoded(text: &str) -> String {
    text.replace("%2B", "+")
        .replace("%2F", "/")
        .replace("%3D", "=")
}
