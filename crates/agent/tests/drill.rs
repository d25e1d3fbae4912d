//! A rehearsal of a way back that is none: what a kit is said to open and does not is found by trying it, and not remembered
//! as tried.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::path::Path;

use age_core::format::{FileKey, Stanza};
use common::{Agent, PASSPHRASE, Person, yes};
use touchkeep_client::CallError;
use touchkeep_container::{
    HybridClock, MemberName, NewCommit, Part,
    op::{Edit, Writer, Written},
};
use touchkeep_core::{ApiSecret, Code, DeviceId, Id, ItemId, Passphrase, UnixMillis};
use touchkeep_device::{
    Auth, Demand, Device, DeviceError, DeviceInfo, KeyRef, KitDevice, Purpose, RecoveryKit,
    SignatureScheme,
};
use touchkeep_vault::{AuditHead, Hand, Item, ItemKind, NewDevice, NewVault, Unlocked, create};
use touchkeep_wire::{
    Failure, GetStatus, ListRecovery, ProveKit, Rehearsal, SecretText, UnlockVault,
};

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn passphrase() -> Passphrase {
    Passphrase::new(PASSPHRASE.into())
}

/// A kit whose vault was told of another key for sealed values than its words give.
struct Mistold {
    kit: KitDevice,
    info: DeviceInfo,
}

impl Mistold {
    fn of(words: &str) -> Self {
        let kit = RecoveryKit::from_words(words).unwrap().device().unwrap();
        let other = RecoveryKit::generate().unwrap().device().unwrap();
        let mut info = kit.info().clone();
        for key in &mut info.keys {
            if key.purpose == Purpose::Seal {
                let mut others = other.info().keys.iter();
                *key = others
                    .find(|it| it.purpose == Purpose::Seal)
                    .unwrap()
                    .clone();
            }
        }
        Self { kit, info }
    }
}

impl Device for Mistold {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn demand(&mut self, key: &KeyRef) -> Result<Demand, DeviceError> {
        self.kit.demand(key)
    }

    fn unwrap_file_key(
        &mut self,
        key: &KeyRef,
        stanzas: &[Stanza],
        auth: Auth<'_>,
    ) -> Result<FileKey, DeviceError> {
        self.kit.unwrap_file_key(key, stanzas, auth)
    }

    fn sign(
        &mut self,
        key: &KeyRef,
        scheme: SignatureScheme,
        message: &[u8],
        auth: Auth<'_>,
    ) -> Result<Vec<u8>, DeviceError> {
        self.kit.sign(key, scheme, message, auth)
    }
}

/// A vault under a passphrase, opened.
fn made(path: &Path) -> Unlocked {
    let passphrase = passphrase();
    let device = NewDevice::Software {
        passphrase: &passphrase,
        work_factor: 10,
    };
    let new = NewVault {
        user_name: "Zoe".into(),
        environment_name: "test".into(),
        practice: true,
        device,
        now: NOW,
    };
    create(path, new).unwrap()
}

fn enrolled(vault: &mut Unlocked, new: &mut dyn Device) -> DeviceId {
    let own = vault.own_devices().next().unwrap().id;
    let mut device = vault.as_locked().software_device(own).unwrap();
    let passphrase = passphrase();
    let hand = Hand {
        device: &mut device,
        auth: Auth::Passphrase(&passphrase),
    };
    let new = NewDevice::Hardware(new, Auth::Nothing);
    vault.enroll(new, hand, NOW, AuditHead::empty()).unwrap()
}

fn sealed(vault: &mut Unlocked, name: &str) -> ItemId {
    let item = Item::new(vault.environment(), ItemKind::ApiKey, name.into());
    let id = item.id;
    vault.put(item).unwrap();
    vault.seal(id, ApiSecret::new("sealed".into())).unwrap();
    vault.save(NOW, AuditHead::empty()).unwrap();
    id
}

/// Another program of this user says of a sealed value that it is sealed to this device as well.
fn said_to_be_sealed_to(path: &Path, vault: &Unlocked, id: ItemId, device: DeviceId) {
    let to: age::x25519::Recipient = vault.audit_recipient().parse().unwrap();
    let at = HybridClock {
        ms: NOW.0 + 60_000,
        count: 0,
    };
    let device = device.to_string();
    let edit = Edit::Put(id, vec![("sealed-to", Some(Written::Plain(&device)))]);
    let mut writer = Writer::default();
    writer.op(at, &edit);
    let part = Part {
        environment: vault.environment(),
        number: 99,
        random: Id::random(),
    };
    let mut new = NewCommit::new(vault.user(), AuditHead::empty(), NOW);
    let file = age::encrypt(&to, writer.finish().as_bytes()).unwrap();
    new.add = vec![(MemberName::Segment(part), file)];
    let container = vault.as_locked().container();
    let container = container
        .commit(new, |text| vault.author_sign(text))
        .unwrap();
    std::fs::write(path, container.to_bytes().unwrap()).unwrap();
}

fn words() -> String {
    let kit = RecoveryKit::generate().unwrap();
    kit.words().unwrap().as_str().to_owned()
}

/// What a rehearsal with these words says of the vault. It is remembered where it went well, and only there.
async fn rehearsed(agent: &Agent, path: &Path, words: &str) -> Result<Rehearsal, Failure> {
    let client = agent.client().await;
    let _owner = Person::new(agent, yes).await;
    let open = UnlockVault {
        path: Some(path.display().to_string()),
        device: None,
    };
    client.call(open).await.unwrap();
    let (calls, _events) = agent.front_end().await.split();
    let words = SecretText::new(words.into());
    let said = match calls.call(ProveKit { words }).await {
        Ok(done) => Ok(done),
        Err(CallError::Failed(failure)) => Err(failure),
        Err(error) => panic!("{error}"),
    };
    let ways = client.call(ListRecovery {}).await.unwrap();
    let tried = ways.iter().any(|way| way.tried.is_some());
    let status = client.call(GetStatus {}).await.unwrap();
    let remembered = status.vault.unwrap().rehearsed;
    assert_eq!((tried, remembered), (said.is_ok(), Some(said.is_ok())));
    said
}

fn is_told(said: Result<Rehearsal, Failure>, name: &str) {
    let failure = said.unwrap_err();
    assert_eq!(failure.code, Code::DeviceFailed, "{failure:?}");
    assert!(failure.what.contains(name), "{failure:?}");
    assert!(failure.fix.contains("device reseal"), "{failure:?}");
}

#[tokio::test]
async fn a_kit_whose_sealed_value_does_not_open_was_not_tried_with_success() {
    let agent = Agent::start().await;
    let path = agent.home.path().join("v.touchkeep");
    let words = words();
    let mut vault = made(&path);
    let _kit = enrolled(&mut vault, &mut Mistold::of(&words));
    let _item = sealed(&mut vault, "money");
    drop(vault);
    is_told(rehearsed(&agent, &path, &words).await, "money");
}

#[tokio::test]
async fn each_value_that_is_said_to_be_sealed_to_a_kit_is_tried() {
    let agent = Agent::start().await;
    let path = agent.home.path().join("v.touchkeep");
    let words = words();
    let mut vault = made(&path);
    let before = sealed(&mut vault, "before");
    let mut kit = RecoveryKit::from_words(&words).unwrap().device().unwrap();
    let kit = enrolled(&mut vault, &mut kit);
    for name in ["a", "z"] {
        let _opens = sealed(&mut vault, name);
    }
    said_to_be_sealed_to(&path, &vault, before, kit);
    drop(vault);
    is_told(rehearsed(&agent, &path, &words).await, "before");
}

#[tokio::test]
async fn what_a_kit_does_not_open_is_told_where_it_opens_the_vault() {
    let agent = Agent::start().await;
    let path = agent.home.path().join("v.touchkeep");
    let words = words();
    let mut vault = made(&path);
    let _before = sealed(&mut vault, "before");
    let mut kit = RecoveryKit::from_words(&words).unwrap().device().unwrap();
    let _kit = enrolled(&mut vault, &mut kit);
    let _opens = sealed(&mut vault, "after");
    drop(vault);
    let told = rehearsed(&agent, &path, &words).await.unwrap();
    assert_eq!((told.items, told.closed), (2, vec!["before".to_owned()]));
}
