//! A locked vault signs nothing, however it came to be locked.

use touchkeep_client::CallError;
use touchkeep_core::Code;
use touchkeep_wire::*;

use crate::{
    common::{Agent, PASSPHRASE, Person, until, yes},
    desk::{CONFIG, POLICY, desk, stored},
};

#[tokio::test]
async fn a_revoked_client_and_a_locked_vault_get_nothing() {
    let desk = desk(CONFIG, stored, true).await;
    assert_eq!(desk.order().await.0, 200);
    desk.client.call(LockVault {}).await.unwrap();
    let (status, answer) = desk.order().await;
    assert_eq!(status, 503, "{answer}");
    assert!(answer.contains("locked"), "{answer}");
    assert!(matches!(
        desk.client.call(ListItems {}).await,
        Err(CallError::Failed(failure)) if failure.code == Code::Locked
    ));
    let _person = Person::new(&desk.agent, yes).await;
    desk.client
        .call(UnlockVault {
            path: None,
            device: None,
        })
        .await
        .unwrap();
    assert_eq!(desk.order().await.0, 200, "the token outlives the lock");
    desk.client
        .call(RevokeClient {
            client: "grid-bot".into(),
        })
        .await
        .unwrap();
    assert_eq!(desk.order().await.0, 401);
    assert_eq!(desk.venue.got().len(), 2);
    let kinds: Vec<_> = desk
        .rows(&[])
        .await
        .into_iter()
        .map(|row| row.kind)
        .collect();
    for kind in [
        "vault-created",
        "item-added",
        "policy-changed",
        "client-added",
        "locked",
        "unlocked",
        "client-removed",
    ] {
        assert!(kinds.iter().any(|one| one == kind), "{kind} in {kinds:?}");
    }
}

#[tokio::test]
async fn a_vault_that_nobody_uses_is_locked() {
    let desk = desk("idle_lock_seconds = 3\n", stored, true).await;
    assert_eq!(desk.order().await.0, 200);
    until(async || !desk.client.call(GetStatus {}).await.unwrap().unlocked).await;
    assert_eq!(desk.order().await.0, 503);
}

#[tokio::test]
async fn a_lock_while_it_is_being_opened_leaves_it_locked() {
    let desk = desk(CONFIG, stored, true).await;
    desk.client.call(LockVault {}).await.unwrap();
    let (front_end, _events) = desk.agent.front_end().await.split();
    let unlock = UnlockVault {
        path: None,
        device: None,
    };
    let lock_and_type = async {
        until(async || desk.client.call(ListPrompts {}).await.unwrap().len() == 1).await;
        let prompt = desk.client.call(ListPrompts {}).await.unwrap()[0].id;
        desk.client.call(LockVault {}).await.unwrap();
        // The lock has closed it.
        let value = SecretText::new(PASSPHRASE.into());
        let late = front_end.answer(prompt, Answer::Secret { value }).await;
        assert!(
            matches!(&late, Err(CallError::Failed(failure)) if failure.code == Code::NotFound),
            "{late:?}"
        );
    };
    let (unlocked, ()) = tokio::join!(desk.client.call(unlock), lock_and_type);
    assert!(
        matches!(&unlocked, Err(CallError::Failed(failure)) if failure.code == Code::Locked),
        "{unlocked:?}"
    );
    let status = desk.client.call(GetStatus {}).await.unwrap();
    assert!(!status.unlocked);
}

#[tokio::test]
async fn a_vault_that_was_made_where_another_was_can_be_changed_after_a_lock() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    let _owner = Person::new(&agent, yes).await;
    let path = agent.home.path().join("v.touchkeep").display().to_string();
    for _ in 0..2 {
        let made = CreateVault {
            path: path.clone(),
            user: "Zoe".into(),
            environment: "test".into(),
            practice: true,
            device: NewDevice::Software { work_factor: 10 },
        };
        client.call(made).await.unwrap();
        client.call(LockVault {}).await.unwrap();
        let unlock = UnlockVault {
            path: Some(path.clone()),
            device: None,
        };
        client.call(unlock).await.unwrap();
        let text = POLICY.to_owned();
        client.call(SetPolicy { text }).await.unwrap();
        client.call(LockVault {}).await.unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn sigterm_locks() {
    let mut desk = desk(CONFIG, stored, true).await;
    assert!(desk.client.call(GetStatus {}).await.unwrap().unlocked);
    let pid = rustix::process::Pid::from_child(&desk.agent.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(desk.agent.ended().await.success());
    desk.agent.restart().await;
    desk.client = desk.agent.client().await;
    let rows = desk.rows(&[]).await;
    assert_eq!(rows[0].kind, "locked");
    let status = desk.client.call(GetStatus {}).await.unwrap();
    assert!(!status.unlocked && status.vault.is_some());
    // A bot finds the proxy where it was.
    assert!(desk.base.starts_with(&status.proxy.unwrap()));
}
