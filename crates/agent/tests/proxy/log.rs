//! What the log says of it all: what began and did not end, what had no row, what was changed in it; and no secret.

use touchkeep_wire::*;

use crate::{
    common::{PASSPHRASE, Person, bot, yes},
    desk::{CONFIG, ORDER, TRADE_SECRET, desk, sealed, stored},
};

#[tokio::test]
async fn a_kill_between_record_and_answer_leaves_a_record_that_says_so() {
    let mut desk = desk(CONFIG, stored, false).await;
    let order = tokio::spawn({
        let (base, token) = (desk.base.clone(), desk.token.clone());
        async move { bot(&base, &token, "POST", "/api/v3/order", ORDER).await }
    });
    assert!(desk.venue.first().await.signed);
    desk.agent.kill();
    let _ = order.await;
    desk.agent.restart().await;
    desk.client = desk.agent.client().await;
    let rows = desk.rows(&["intent", "outcome"]).await;
    assert_eq!(rows[0].of, Some(rows[1].seq), "{rows:?}");
    assert_eq!(rows[0].decision, "unknown");
    let _person = Person::new(&desk.agent, yes).await;
    desk.client
        .call(UnlockVault {
            path: None,
            device: None,
        })
        .await
        .unwrap();
    let rows = desk.rows(&["outcome"]).await;
    assert!(
        rows[0].what.as_deref().unwrap().contains("State unknown"),
        "{rows:?}"
    );
    let verdict = desk.client.call(VerifyAudit { file: None }).await.unwrap();
    assert!(verdict.sound, "{verdict:?}");
}

// How many refusals had no row is not lost with a lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_tells_how_many_refusals_had_no_row() {
    let desk = desk(CONFIG, sealed, true).await;
    let unreadable = || {
        bot(
            &desk.base,
            &desk.token,
            "GET",
            "/api/v3/account?a=1&a=2",
            "",
        )
    };
    for _ in 0..1_003 {
        let (status, answer) = unreadable().await;
        assert_eq!(status, 400, "{answer}");
    }
    assert_eq!(desk.rows(&["request-denied"]).await.len(), 0);
    desk.client.call(LockVault {}).await.unwrap();
    // Once: another lock has nothing to tell.
    let unlock = || UnlockVault {
        path: None,
        device: None,
    };
    let _person = Person::new(&desk.agent, yes).await;
    desk.client.call(unlock()).await.unwrap();
    desk.client.call(LockVault {}).await.unwrap();
    desk.client.call(unlock()).await.unwrap();
    let told = desk.rows(&["request-denied"]).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].client.as_deref(), Some("grid-bot"));
    let unsaid = ("refused without a row before it".to_owned(), "3".to_owned());
    assert!(told[0].details.contains(&unsaid), "{told:?}");
    // Before the lock's own row, so that the log signed at the lock has it.
    let locked = desk.rows(&["locked"]).await;
    assert_eq!(locked.last().unwrap().seq, told[0].seq + 1, "{locked:?}");
}

#[tokio::test]
async fn the_log_verifies_and_one_flipped_byte_is_found() {
    let desk = desk(CONFIG, stored, true).await;
    desk.order().await;
    let verdict = desk.client.call(VerifyAudit { file: None }).await.unwrap();
    assert!(
        verdict.sound && verdict.size > 5 && verdict.signed > 0,
        "{verdict:?}"
    );
    desk.client.call(LockVault {}).await.unwrap();
    let locked = desk.client.call(VerifyAudit { file: None }).await.unwrap();
    assert_eq!(
        (locked.sound, locked.signed),
        (true, locked.size),
        "locking signs the log"
    );
    let id = desk
        .client
        .call(GetStatus {})
        .await
        .unwrap()
        .vault
        .unwrap()
        .id;
    let log = desk.agent.paths.data.join(format!("audit-{id}.sqlite"));
    let copy = desk.agent.home.path().join("copy.sqlite");
    let sql = format!("VACUUM INTO '{}'", copy.display());
    rusqlite::Connection::open(&log)
        .unwrap()
        .execute(&sql, [])
        .unwrap();
    let body: Vec<u8> = rusqlite::Connection::open(&copy)
        .unwrap()
        .query_one("SELECT body FROM row WHERE seq = 4", [], |row| row.get(0))
        .unwrap();
    let mut bytes = std::fs::read(&copy).unwrap();
    // SQLite leaves an older copy of a row where it moved it from, and nobody reads that.
    let found = bytes.windows(body.len()).enumerate();
    let found = found.filter(|(_, window)| *window == body);
    let places: Vec<usize> = found.map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at + 1] ^= 1);
    std::fs::write(&copy, bytes).unwrap();
    let file = Some(copy.display().to_string());
    let damaged = desk.client.call(VerifyAudit { file }).await.unwrap();
    assert!(
        !damaged.sound && damaged.first_bad == Some(4),
        "{damaged:?}"
    );
}

#[tokio::test]
async fn a_key_that_is_due_is_said_once() {
    let desk = desk(CONFIG, stored, true).await;
    let old = touchkeep_core::UnixMillis(1_000_000_000_000);
    desk.client
        .call(AddItem {
            rotate_after_days: Some(30),
            created: Some(old),
            ..AddItem::new("exchange-key", "old")
                .field("venue", "binance")
                .field("key-set", "old")
                .field("class", "read")
                .field("api-key", "old-api-key-0123456789")
                .secret(
                    "secret",
                    stored(SecretText::new("canary-old-secret".into())),
                )
        })
        .await
        .unwrap();
    let ages = desk.client.call(ListReminders {}).await.unwrap();
    assert_eq!(ages[0].name, "old");
    assert!(ages[0].days_left.unwrap() < -1000);
    // The scheduler may have been faster; together they say it once.
    desk.client.call(CheckReminders {}).await.unwrap();
    assert!(
        desk.client
            .call(CheckReminders {})
            .await
            .unwrap()
            .is_empty()
    );
    let rows = desk.rows(&["reminder"]).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert!(rows[0].what.as_deref().unwrap().contains("old"));
}

#[tokio::test]
async fn nothing_secret_is_in_the_log_at_its_loudest() {
    let desk = desk(CONFIG, sealed, true).await;
    let _person = Person::new(&desk.agent, yes).await;
    assert_eq!(desk.order().await.0, 200);
    assert_eq!(desk.withdraw().await.0, 200);
    let _ = bot(
        &desk.base,
        "tkc_canarytoken",
        "GET",
        "/api/v3/account?canaryquery=1",
        "",
    )
    .await;
    let _ = desk.client.call(AddClient::unbound("x", "nothing")).await;
    desk.client.call(LockVault {}).await.unwrap();
    let log = desk.agent.log();
    assert!(log.contains("the vault is open"), "the log is there: {log}");
    assert!(
        log.contains("TRACE") || log.contains("DEBUG"),
        "and it is loud"
    );
    for canary in [
        PASSPHRASE,
        TRADE_SECRET,
        &desk.token,
        "canaryaddress",
        "tkc_canarytoken",
        "canaryquery",
        "api-key-0123456789",
        "quantity=",
    ] {
        assert!(!log.contains(canary), "{canary} is in the log");
    }
    // Nor in what it keeps on disk, but for the vault's and the log's ciphertext.
    for file in std::fs::read_dir(&desk.agent.paths.data).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for canary in [
            PASSPHRASE,
            TRADE_SECRET,
            &desk.token,
            "canaryaddress",
            "grid-bot",
        ] {
            let found = bytes
                .windows(canary.len())
                .any(|window| window == canary.as_bytes());
            assert!(!found, "{canary} is in {}", path.display());
        }
    }
}
