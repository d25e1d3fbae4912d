//! A lock and an unlock while a request is at its venue: the log says what came of it, and not that the agent had died.

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
    sync::Arc,
    time::{Duration, Instant},
};

use common::{Agent, PATIENCE, Person, bot, yes};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{Notify, Semaphore},
};
use touchkeep_client::Connection;
use touchkeep_wire::*;

const SECRET: &str = "canary-trade-secret-0123456789";
const ALL: &str = "[[rule]]\nname = \"all\"\nkinds = [\"trade\"]\naction = \"allow\"\n";
const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=100&timestamp=1&signature=dummy";
const DONE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"orderId\":7}";

// A venue that answers an order when it is told to: its address, that an order came, and the word to answer.
async fn slow() -> (String, Arc<Semaphore>, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (came, answer) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let (coming, answers) = (Arc::clone(&came), Arc::clone(&answer));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (coming, answers) = (Arc::clone(&coming), Arc::clone(&answers));
            tokio::spawn(async move {
                let mut read = vec![0; 65536];
                let n = stream.read(&mut read).await.unwrap_or(0);
                if n > 0 && read.starts_with(b"POST") {
                    coming.add_permits(1);
                    answers.notified().await;
                    let _gone = stream.write_all(DONE).await;
                }
            });
        }
    });
    (url, came, answer)
}

async fn outcomes(client: &Connection) -> Vec<AuditRow> {
    let filter = AuditFilter {
        kinds: vec!["outcome".into()],
        ..AuditFilter::default()
    };
    let page = ListAudit {
        before: None,
        limit: 10,
        filter,
    };
    client.call(page).await.unwrap().rows
}

// It is written while the bot has its answer.
async fn outcomes_soon(client: &Connection, agent: &Agent) -> Vec<AuditRow> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows = outcomes(client).await;
        if !rows.is_empty() {
            return rows;
        }
        assert!(Instant::now() < deadline, "no outcome: {}", agent.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_the_venue_answers_after_an_unlock_is_what_came_of_it() {
    for armed in [false, true] {
        let agent = Agent::start().await;
        let (venue, came, answer) = slow().await;
        let (base, token) = common::let_in(&agent, &venue, SECRET, ALL).await;
        let client = agent.client().await;
        let _person = Person::new(&agent, yes).await;
        if armed {
            client.call(ArmTradeKeys { seconds: 600 }).await.unwrap();
            client.call(LockVault {}).await.unwrap();
        }
        let order =
            tokio::spawn(async move { bot(&base, &token, "POST", "/api/v3/order", ORDER).await });
        came.acquire().await.unwrap().forget();
        client.call(LockVault {}).await.unwrap();
        let unlock = UnlockVault {
            path: None,
            device: None,
        };
        client.call(unlock).await.unwrap();
        assert!(outcomes(&client).await.is_empty(), "nobody knows yet");
        answer.notify_one();
        assert_eq!(order.await.unwrap().0, 200);
        let rows = outcomes_soon(&client, &agent).await;
        assert_eq!(
            (rows.len(), rows[0].decision.as_str()),
            (1, "done"),
            "{rows:?}"
        );
        let verified = client.call(VerifyAudit { file: None }).await.unwrap();
        assert!(verified.sound);
    }
}

// An agent that outlived its login goes on for its bots, and the next login begins another one in a folder of its own.
#[tokio::test]
async fn an_agent_that_begins_beside_another_leaves_that_one_its_requests() {
    let base = tempfile::tempdir().unwrap();
    let first = at_login(base.path(), "first");
    let (venue, came, answer) = slow().await;
    let (address, token) = common::let_in(&first, &venue, SECRET, ALL).await;
    let client = first.client().await;
    let order =
        tokio::spawn(async move { bot(&address, &token, "POST", "/api/v3/order", ORDER).await });
    came.acquire().await.unwrap().forget();
    let second = at_login(base.path(), "second");
    let other = second.client().await;
    let status = other.call(GetStatus {}).await.unwrap();
    assert!(!status.unlocked && status.vault.is_some(), "{status:?}");
    answer.notify_one();
    assert_eq!(order.await.unwrap().0, 200);
    let rows = outcomes_soon(&client, &first).await;
    assert_eq!(
        (rows.len(), rows[0].decision.as_str()),
        (1, "done"),
        "{rows:?}"
    );
}

// An agent that was started at a login: the data is the user's, and the folder of its sockets that login's.
fn at_login(base: &Path, login: &str) -> Agent {
    let runtime = base.join(login);
    std::fs::create_dir_all(&runtime).unwrap();
    let log = std::fs::File::create(runtime.join("log")).unwrap();
    let none = |name: &str| format!("unix:path={}", base.join(name).display());
    let child = std::process::Command::new(common::program())
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("TOUCHKEEP_HOME")
        .env("DBUS_SESSION_BUS_ADDRESS", none("no-bus"))
        .env("DBUS_SYSTEM_BUS_ADDRESS", none("no-bus"))
        .env("PCSCLITE_CSOCK_NAME", base.join("no-pcscd"))
        .env("SOFTHSM2_CONF", base.join("no-softhsm"))
        .env("XDG_RUNTIME_DIR", &runtime)
        .env("XDG_DATA_HOME", base.join("data"))
        .env("XDG_CONFIG_HOME", base.join("config"))
        .env("TOUCHKEEP_LOG", "info")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    Agent {
        home: tempfile::tempdir().unwrap(),
        paths: touchkeep_client::Paths {
            run: runtime.join("touchkeep"),
            data: base.join("data/touchkeep"),
            config: base.join("config/touchkeep/config.toml"),
        },
        child,
    }
}
