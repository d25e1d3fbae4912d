//! What others write to the vault's file while the agent has it: what they revoke or deny is in force without anybody's asking,
//! and of a vault that is locked no key goes on by what was in force before.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use common::{Agent, PASSPHRASE, PATIENCE, Person, Venue, bot, key_of, practice_vault, yes};
use touchkeep_client::Connection;
use touchkeep_core::{ClientId, Clock as _, Passphrase, SystemClock};
use touchkeep_device::Auth;
use touchkeep_vault::{AuditHead, Locked, Unlocked};
use touchkeep_wire::*;

const SECRET: &str = "canary-trade-secret-0123456789";
const ALL: &str = "[[rule]]\nname = \"all\"\nkinds = [\"trade\"]\naction = \"allow\"\n";
const NOTHING: &str = "[[rule]]\nname = \"nothing\"\nkinds = [\"trade\"]\naction = \"deny\"\n";
const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=100&timestamp=1&signature=dummy";
/// Longer than two looks at the file.
const LOOKED: Duration = Duration::from_secs(4);

struct Desk {
    client: Connection,
    file: PathBuf,
    base: String,
    token: String,
    id: ClientId,
    _person: Person,
    _venue: Venue,
    _agent: Agent,
}

impl Desk {
    async fn new() -> Self {
        let agent = Agent::start().await;
        let client = agent.client().await;
        let venue = Venue::start(SECRET, true).await;
        practice_vault(&agent, &client).await;
        let person = Person::new(&agent, yes).await;
        let key = key_of("binance", "trade", "trade-api-key", &venue.url, SECRET);
        client.call(key).await.unwrap();
        let text = ALL.to_owned();
        client.call(SetPolicy { text }).await.unwrap();
        let added = common::add_bot(&client).await;
        Self {
            client,
            file: agent.home.path().join("v.touchkeep"),
            base: added.base_url(),
            id: added.id,
            token: added.token.into_inner(),
            _person: person,
            _venue: venue,
            _agent: agent,
        }
    }

    async fn order(&self) -> u16 {
        bot(&self.base, &self.token, "POST", "/api/v3/order", ORDER)
            .await
            .0
    }

    async fn until(&self, status: u16) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.order().await;
            if now == status {
                return;
            }
            // One that is under way when its client is revoked is told so.
            let is_ended = status == 401 && now == 403;
            assert!(now == 200 || is_ended, "{status} was to come, not {now}");
            assert!(Instant::now() < deadline, "{status} does not come");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn revoked(&self) -> String {
        format!("client.{}.revoked", self.id)
    }

    async fn what(&self, kind: &str) -> Vec<String> {
        let rows = self.rows(kind).await;
        rows.into_iter().filter_map(|row| row.what).collect()
    }

    async fn newest(&self, kind: &str) -> u64 {
        self.rows(kind).await[0].seq
    }

    async fn notes(&self, row: u64) -> Vec<String> {
        let explain = ExplainPolicy {
            text: None,
            request: None,
            row: Some(row),
        };
        self.client.call(explain).await.unwrap().notes
    }

    async fn rows(&self, kind: &str) -> Vec<AuditRow> {
        let filter = AuditFilter {
            kinds: vec![kind.to_owned()],
            ..AuditFilter::default()
        };
        let page = ListAudit {
            before: None,
            limit: 10,
            filter,
        };
        self.client.call(page).await.unwrap().rows
    }

    async fn arms_and_locks(&self) {
        let arm = ArmTradeKeys { seconds: 600 };
        self.client.call(arm).await.unwrap();
        self.client.call(LockVault {}).await.unwrap();
        assert_eq!(self.order().await, 200);
    }

    async fn unlock(&self) {
        let unlock = UnlockVault {
            path: None,
            device: None,
        };
        self.client.call(unlock).await.unwrap();
    }

    async fn status(&self) -> Status {
        self.client.call(GetStatus {}).await.unwrap()
    }
}

// As another program writes it, or a person at another machine.
fn write(file: &Path, change: impl FnOnce(&mut Unlocked)) {
    let locked = Locked::open(file).unwrap();
    let mut own = locked.software_device(locked.devices()[0].id).unwrap();
    let passphrase = Passphrase::new(PASSPHRASE.into());
    let mut vault = locked
        .unlock(&mut own, Auth::Passphrase(&passphrase))
        .unwrap();
    change(&mut vault);
    vault.save(SystemClock.now(), AuditHead::empty()).unwrap();
}

#[tokio::test]
async fn what_was_revoked_or_denied_elsewhere_is_in_force_without_a_save_here() {
    for (setting, text, status) in [(None, "1790000000000", 401), (Some("policy"), NOTHING, 403)] {
        let desk = Desk::new().await;
        assert_eq!(desk.order().await, 200);
        let setting = setting.map_or_else(|| desk.revoked(), str::to_owned);
        write(&desk.file, |vault| {
            vault.set_setting(&setting, text).unwrap()
        });
        let written = fs::read(&desk.file).unwrap();
        desk.until(status).await;
        assert_eq!(fs::read(&desk.file).unwrap(), written, "nothing is written");
        let merged = desk.what("merged").await;
        assert!(merged[0].contains("elsewhere"), "{merged:?}");
        // And what is saved here goes on from there.
        let other = AddClient::unbound("other", "main");
        desk.client.call(other).await.unwrap();
        assert_eq!(desk.order().await, status);
    }
}

#[tokio::test]
async fn a_file_that_is_being_written_is_waited_for_and_one_that_is_no_vault_changes_nothing() {
    let desk = Desk::new().await;
    let whole = fs::read(&desk.file).unwrap();
    fs::write(&desk.file, &whole[..whole.len() / 2]).unwrap();
    tokio::time::sleep(LOOKED).await;
    assert_eq!(desk.order().await, 200);
    fs::write(&desk.file, &whole).unwrap();
    write(&desk.file, |vault| {
        vault.set_setting(&desk.revoked(), "1").unwrap();
    });
    desk.until(401).await;
}

#[tokio::test]
async fn armed_keys_end_with_a_change_that_nobody_can_see_while_it_is_locked() {
    let desk = Desk::new().await;
    desk.arms_and_locks().await;
    // The same bytes in another file are no change.
    let same = fs::read(&desk.file).unwrap();
    fs::remove_file(&desk.file).unwrap();
    fs::write(&desk.file, same).unwrap();
    tokio::time::sleep(LOOKED).await;
    assert_eq!(desk.order().await, 200);
    write(&desk.file, |vault| vault.set_setting("x", "1").unwrap());
    desk.until(503).await;
    assert!(desk.status().await.armed.is_none());
    desk.unlock().await;
    let disarmed = desk.what("disarmed").await;
    assert!(disarmed[0].contains("changed elsewhere"), "{disarmed:?}");
}

#[tokio::test]
async fn armed_keys_end_at_once_with_a_copy_that_is_merged_while_it_is_locked() {
    let desk = Desk::new().await;
    let copy = desk.file.with_file_name("copy.touchkeep");
    fs::copy(&desk.file, &copy).unwrap();
    write(&copy, |vault| {
        vault.set_setting(&desk.revoked(), "1").unwrap();
    });
    desk.arms_and_locks().await;
    let path = copy.display().to_string();
    assert!(desk.client.call(MergeCopy { path }).await.unwrap().changed);
    assert_eq!(desk.order().await, 503);
    assert!(desk.status().await.armed.is_none());
    desk.unlock().await;
    assert_eq!(desk.order().await, 401);
}

// What is said of a decision of then under the policy of now.
#[tokio::test]
async fn a_policy_that_came_with_a_copy_is_said_to_have_come_since_and_one_that_is_the_same_again_is_not()
 {
    let other = ALL.replace("\"all\"", "\"other\"");
    let desk = Desk::new().await;
    assert_eq!(desk.order().await, 200);
    let first = desk.newest("intent").await;
    assert_eq!(desk.notes(first).await, [""; 0]);
    let put = |text: &str| {
        write(&desk.file, |vault| {
            vault.set_setting("policy", text).unwrap();
        });
    };
    put(NOTHING);
    desk.until(403).await;
    let came = desk.newest("policy-changed").await;
    let said = format!("The policy came with another copy of the vault since (row {came}): ");
    assert!(desk.notes(first).await[0].starts_with(&said));

    // It was put into the file while nobody had it open.
    let put_locked = async |text: &str| {
        desk.client.call(LockVault {}).await.unwrap();
        put(text);
        desk.unlock().await;
    };
    put_locked(ALL).await;
    assert_eq!(desk.notes(first).await, [""; 0], "it is the same again");
    put_locked(&other).await;
    assert!(desk.notes(first).await[0].starts_with(&said));
    assert_eq!(desk.order().await, 200);
    let later = desk.newest("intent").await;
    let said = "The policy came with another copy of the vault, and no row says when: ";
    assert!(desk.notes(later).await[0].starts_with(said));

    let text = NOTHING.to_owned();
    desk.client.call(SetPolicy { text }).await.unwrap();
    assert_eq!(desk.order().await, 403);
    let denied = desk.newest("request-denied").await;
    assert_eq!(desk.notes(denied).await, [""; 0]);
    let restore = RestoreBackup {
        number: 1,
        device: None,
    };
    desk.client.call(restore).await.unwrap();
    desk.unlock().await;
    let restored = desk.newest("restored").await;
    let said = format!("The vault went back to an older copy since (row {restored}), ");
    assert!(desk.notes(denied).await[0].starts_with(&said));
}
