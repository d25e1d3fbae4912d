//! A vault's life: made, opened, filled, saved, locked; by a passphrase and by a card.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use common::{Card, NOW, Place, item, passphrase, save, unlock, write_by_another_program};
use touchkeep_container::{
    Hash, HybridClock, MemberName,
    op::{self, Edit, Written},
    words,
};
use touchkeep_core::{ApiSecret, Code, DeviceId, Id, Passphrase, Pin};
use touchkeep_device::{Auth, Device, DeviceError, KeyRef, Purpose};
use touchkeep_vault::{AuditHead, Locked, SecretPlace, Unlocked, VaultError};

fn secret(text: &str) -> ApiSecret {
    ApiSecret::new(text.into())
}

fn seal_and_store(vault: &mut Unlocked) -> [touchkeep_core::ItemId; 2] {
    let [stored, sealed] = ["trade", "money"].map(|name| item(vault.environment(), name));
    let ids = [stored.id, sealed.id];
    vault.put(stored).unwrap();
    vault.put(sealed).unwrap();
    vault.set_secret(ids[0], secret("stored-canary")).unwrap();
    vault.seal(ids[1], secret("sealed-canary")).unwrap();
    ids
}

#[test]
fn everything_is_there_again_after_saving_and_unlocking() {
    let place = Place::new();
    let mut vault = place.create(false);
    assert_eq!(
        (
            vault.user_name(),
            &*vault.environment_name(vault.environment())
        ),
        ("Ada", "prod")
    );
    let [stored, sealed] = seal_and_store(&mut vault);
    vault.set_setting("policy", "default = \"deny\"\n").unwrap();
    let shown: Vec<_> = vault.items().into_iter().cloned().collect();
    save(&mut vault);
    assert!(!vault.is_changed());
    drop(vault.lock());

    let vault = place.unlock();
    assert_eq!(
        vault.items().into_iter().cloned().collect::<Vec<_>>(),
        shown
    );
    assert_eq!(vault.find("trade").unwrap().secret, SecretPlace::Stored);
    assert_eq!(vault.find("money").unwrap().secret, SecretPlace::Sealed);
    assert_eq!(vault.secret(stored).unwrap().expose(), "stored-canary");
    assert!(matches!(vault.secret(sealed), Err(VaultError::NoSecret)));
    let mut device = vault
        .as_locked()
        .software_device(vault.devices()[0].id)
        .unwrap();
    let passphrase = passphrase();
    let opened = vault.open_sealed(sealed, &mut device, Auth::Passphrase(&passphrase));
    assert_eq!(opened.unwrap().expose(), "sealed-canary");
    assert_eq!(vault.setting("policy"), Some("default = \"deny\"\n"));
    assert!(vault.unreadable().is_empty() && vault.conflicts().is_empty());
}

#[test]
fn a_sealed_value_opens_before_it_was_saved_too() {
    let place = Place::new();
    let mut vault = place.create(false);
    let [_, sealed] = seal_and_store(&mut vault);
    let mut device = vault
        .as_locked()
        .software_device(vault.devices()[0].id)
        .unwrap();
    let passphrase = passphrase();
    let opened = vault.open_sealed(sealed, &mut device, Auth::Passphrase(&passphrase));
    assert_eq!(opened.unwrap().expose(), "sealed-canary");
}

#[test]
fn the_wrong_passphrase_and_a_stranger_open_nothing() {
    let place = Place::new();
    drop(place.create(false));
    let locked = Locked::open(&place.path).unwrap();
    let mut device = locked.software_device(locked.devices()[0].id).unwrap();
    let wrong = Passphrase::new("wrong".into());
    let refused = locked
        .unlock(&mut device, Auth::Passphrase(&wrong))
        .err()
        .unwrap();
    assert!(matches!(
        refused,
        VaultError::Device(DeviceError::WrongPassphrase)
    ));
    assert_eq!(refused.code(), Code::WrongPassphrase);

    let pin = Pin::new("654321".into());
    let stranger = Locked::open(&place.path).unwrap();
    let refused = stranger
        .unlock(&mut Card::new(), Auth::Pin(&pin))
        .err()
        .unwrap();
    assert!(matches!(refused, VaultError::NotEnrolled));
}

#[test]
fn a_card_opens_its_vault_with_one_use_wherever_its_keys_lie() {
    let place = Place::new();
    let mut card = Card::new();
    let mut vault = place.create_on(&mut card).unwrap();
    assert_eq!(card.uses, 2); // genesis and the first link
    let [_, sealed] = seal_and_store(&mut vault);
    save(&mut vault);
    let locked = vault.lock();
    assert_eq!(locked.devices()[0].serial.as_deref(), Some("12345678"));

    let mut card = card.rearranged();
    let pin = Pin::new("654321".into());
    let vault = locked.unlock(&mut card, Auth::Pin(&pin)).unwrap();
    assert_eq!(card.uses, 3);
    let opened = vault
        .open_sealed(sealed, &mut card, Auth::Pin(&pin))
        .unwrap();
    assert_eq!((opened.expose().as_str(), card.uses), ("sealed-canary", 4));
}

#[test]
fn a_vault_for_hardware_only_has_nothing_under_a_passphrase() {
    let place = Place::new();
    let mut card = Card::new();
    let vault = place.create_on(&mut card).unwrap();
    let container = vault.as_locked().container();
    assert!(
        !container
            .names()
            .any(|name| matches!(name, MemberName::Device { .. }))
    );
    let devices = &container.membership().devices;
    assert!(
        devices
            .values()
            .all(|device| device.kind != words::DeviceKind::Software)
    );
    // No member is encrypted to a passphrase.
    for name in container.names() {
        let bytes = container.member(&name).unwrap();
        assert!(
            !bytes.windows(10).any(|window| window == b"-> scrypt "),
            "{name}"
        );
    }
    let id = vault.devices()[0].id;
    let locked = vault.lock();
    assert!(matches!(
        locked.software_device(id),
        Err(VaultError::NotEnrolled)
    ));
    let passphrase = passphrase();
    let refused = locked
        .unlock(&mut card, Auth::Passphrase(&passphrase))
        .err()
        .unwrap();
    assert!(matches!(
        refused,
        VaultError::Device(DeviceError::NeedsSecret)
    ));
}

#[test]
fn nothing_in_the_file_says_what_things_are_called() {
    let place = Place::new();
    let mut vault = place.create(true);
    let [stored, sealed] = seal_and_store(&mut vault);
    save(&mut vault);
    let bytes = std::fs::read(&place.path).unwrap();
    let has = |text: &str| {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    // The search finds what is there.
    assert!(has(&vault.id().to_string()) && has("kind practice") && has(&sealed.to_string()));
    for hidden in [
        "Ada",
        "prod\"",
        "trade",
        "binance",
        "canary",
        "vmPUZE6mv9SD5VNHk4Hl",
    ] {
        assert!(!has(hidden), "{hidden}");
    }
    assert!(!has(&stored.to_string()));
}

#[test]
fn an_address_of_ones_own_is_for_practice() {
    for practice in [false, true] {
        let place = Place::new();
        let mut vault = place.create(practice);
        assert_eq!(vault.is_practice(), practice);
        let mut own = item(vault.environment(), "own");
        own.base_url = Some("http://127.0.0.1:1".into());
        match vault.put(own) {
            Ok(()) => assert!(practice),
            Err(error) => assert!(!practice && matches!(error, VaultError::PracticeOnly)),
        }
    }
}

#[test]
fn a_place_without_a_secret_is_not_taken_for_one() {
    let place = Place::new();
    let mut vault = place.create(false);
    let mut claims = item(vault.environment(), "x");
    claims.secret = SecretPlace::Stored;
    assert!(matches!(
        vault.put(claims.clone()),
        Err(VaultError::NoSecret)
    ));
    claims.secret = SecretPlace::OnDevice {
        device: DeviceId::random(),
        key: KeyRef("9a".into()),
    };
    vault.put(claims.clone()).unwrap();
    save(&mut vault);
    assert_eq!(place.unlock().item(claims.id), Some(&claims));
    let nobody = touchkeep_core::ItemId::random();
    assert!(matches!(
        vault.set_secret(nobody, secret("x")),
        Err(VaultError::NotFound)
    ));
    assert!(matches!(vault.find("nobody"), Err(VaultError::NotFound)));
    let mut twin = item(vault.environment(), "x");
    twin.api_key.clear();
    vault.put(twin).unwrap();
    assert!(matches!(vault.find("x"), Err(VaultError::Ambiguous(ids)) if ids.len() == 2));
}

#[test]
fn a_replaced_secret_is_gone_from_the_file() {
    let place = Place::new();
    let mut vault = place.create(false);
    let [stored, sealed] = seal_and_store(&mut vault);
    save(&mut vault);
    let in_file = |vault: &Unlocked, text: &str| {
        let container = vault.as_locked().container();
        let parts = container.parts();
        let identity = vault.audit_identity().unwrap();
        let opened = parts
            .iter()
            .map(|p| age::decrypt(&*identity, p.bytes).unwrap());
        opened
            .filter(|ops| String::from_utf8_lossy(ops).contains(text))
            .count()
    };
    let seals = |vault: &Unlocked| {
        let names = vault.as_locked().container().names();
        names
            .filter(|name| matches!(name, MemberName::Sealed { .. }))
            .count()
    };
    assert_eq!((in_file(&vault, "stored-canary"), seals(&vault)), (1, 1));
    vault.seal(stored, secret("now sealed")).unwrap();
    vault.seal(sealed, secret("another")).unwrap();
    // Kept on purpose, unless one says so.
    vault.forget_old(stored).unwrap();
    vault.forget_old(sealed).unwrap();
    save(&mut vault);
    assert_eq!((in_file(&vault, "stored-canary"), seals(&vault)), (0, 2));
    vault.remove(sealed).unwrap();
    vault.set_secret(stored, secret("stored again")).unwrap();
    vault.forget_old(stored).unwrap();
    save(&mut vault);
    assert_eq!((in_file(&vault, "stored again"), seals(&vault)), (1, 0));
    let again = place.unlock();
    assert_eq!(again.items().len(), 1);
    assert_eq!(again.secret(stored).unwrap().expose(), "stored again");
    assert_eq!(again.item(stored), vault.item(stored));
}

#[test]
fn many_saves_are_folded_into_a_snapshot() {
    let place = Place::new();
    let mut vault = place.create(false);
    for number in 0..touchkeep_vault::MAX_SEGMENTS + 3 {
        vault.set_setting("count", &number.to_string()).unwrap();
        vault.set_setting(&format!("n.{number}"), "x").unwrap();
        save(&mut vault);
    }
    assert!(vault.as_locked().container().parts().len() < 10);
    let again = place.unlock();
    assert_eq!(again.setting("count"), vault.setting("count"));
    assert_eq!(again.setting("n.0"), Some("x"));
    assert_eq!(again.user_name(), "Ada");
}

#[test]
fn a_save_without_changes_writes_nothing_and_a_new_audit_head_is_committed() {
    let place = Place::new();
    let mut vault = place.create(false);
    let before = std::fs::read(&place.path).unwrap();
    save(&mut vault);
    assert_eq!(std::fs::read(&place.path).unwrap(), before);
    let audit = AuditHead {
        log: Some(Id::random()),
        size: 7,
        root: Hash([7; 32]),
    };
    vault.save(NOW, audit).unwrap();
    let locked = Locked::open(&place.path).unwrap();
    let head = locked.container().heads()[0];
    assert_eq!(locked.container().history().commits()[&head].audit, audit);
}

#[test]
fn two_sessions_keep_each_others_changes_and_show_conflicts() {
    let place = Place::new();
    let mut one = place.create(false);
    let shared = item(one.environment(), "shared");
    let id = shared.id;
    one.put(shared).unwrap();
    one.set_secret(id, secret("first")).unwrap();
    save(&mut one);

    let mut two = place.unlock();
    for (vault, name) in [(&mut one, "one"), (&mut two, "two")] {
        vault.put(item(vault.environment(), name)).unwrap();
        vault.set_secret(id, secret(name)).unwrap();
    }
    save(&mut one);
    save(&mut two);
    assert_eq!(two.as_locked().container().heads().len(), 1);
    assert_eq!(two.items().len(), 3);
    assert_eq!(two.conflicts(), [id]);

    // The other session learns of it at its next save; a new value ends the conflict for both.
    one.set_setting("x", "1").unwrap();
    save(&mut one);
    assert_eq!((one.items().len(), one.conflicts()), (3, vec![id]));
    one.set_secret(id, secret("agreed")).unwrap();
    save(&mut one);
    let third = place.unlock();
    assert!(third.conflicts().is_empty());
    assert_eq!(third.secret(id).unwrap().expose(), "agreed");
}

#[test]
fn an_older_copy_can_be_read_but_not_changed() {
    let place = Place::new();
    let pins = place.folder.path().join("pins");
    drop(place.create(false));
    let old = std::fs::read(&place.path).unwrap();
    let mut vault = unlock(Locked::open_pinned(&place.path, &pins).unwrap());
    vault.put(item(vault.environment(), "new")).unwrap();
    save(&mut vault);
    assert!(
        Locked::open_pinned(&place.path, &pins)
            .unwrap()
            .read_only()
            .is_none()
    );

    std::fs::write(&place.path, &old).unwrap();
    let locked = Locked::open_pinned(&place.path, &pins).unwrap();
    assert!(locked.read_only().is_some());
    let mut vault = unlock(locked);
    assert!(vault.items().is_empty());
    vault.put(item(vault.environment(), "other")).unwrap();
    let refused = vault.save(NOW, AuditHead::empty()).err().unwrap();
    assert!(matches!(refused, VaultError::ReadOnly));
    assert_eq!(std::fs::read(&place.path).unwrap(), old);
}

#[test]
fn the_author_signs_as_the_chain_says() {
    let place = Place::new();
    let vault = place.create(false);
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ED25519,
        vault.author_public_key(),
    );
    key.verify(b"a checkpoint", &vault.author_sign(b"a checkpoint"))
        .unwrap();
    let stated = vault.as_locked().container().membership().users[&vault.user()].author;
    assert_eq!(stated, Some(vault.author_public_key()));
    assert_eq!(
        vault.audit_recipient(),
        vault.audit_identity().unwrap().to_public().to_string()
    );
    assert!(vault.devices()[0].key(Purpose::Seal).is_some());
}

#[test]
fn an_open_vault_can_be_handed_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Unlocked>();
    is_send::<Locked>();
}

// A member's program that does not keep our rules may write any field.
#[test]
fn an_address_of_ones_own_that_another_program_wrote_into_a_real_vault_is_not_used() {
    for practice in [false, true] {
        let place = Place::new();
        let mut vault = place.create(practice);
        let real = item(vault.environment(), "real");
        let id = real.id;
        vault.put(real).unwrap();
        save(&mut vault);
        let at = HybridClock {
            ms: NOW.0 + 1,
            count: 0,
        };
        let evil = Some(Written::Plain("https://evil.example"));
        let edit = Edit::Put(id, vec![("base-url", evil)]);
        write_by_another_program(&place, &vault, at, &edit);
        let mut vault = place.unlock();
        if practice {
            assert!(vault.item(id).unwrap().base_url.is_some());
        } else {
            assert_eq!((vault.item(id), vault.unreadable()), (None, &[id][..]));
            vault.remove(id).unwrap();
            save(&mut vault);
            assert_eq!(place.unlock().unreadable(), []);
        }
    }
}

#[test]
fn the_secret_of_a_removed_item_does_not_come_back_with_its_id() {
    let place = Place::new();
    let mut vault = place.create(false);
    let [stored, sealed] = seal_and_store(&mut vault);
    save(&mut vault);
    // Each is removed and put again.
    for id in [stored, sealed] {
        let mut again = vault.item(id).unwrap().clone();
        again.secret = SecretPlace::Missing;
        again.note.clear();
        vault.remove(id).unwrap();
        vault.put(again).unwrap();
    }
    save(&mut vault);
    for vault in [vault, place.unlock()] {
        for id in [stored, sealed] {
            assert_eq!(vault.item(id).unwrap().secret, SecretPlace::Missing);
            assert_eq!(vault.item(id).unwrap().note, "");
            assert!(matches!(vault.secret(id), Err(VaultError::NoSecret)));
        }
    }
}

#[test]
fn a_name_that_cannot_be_kept_makes_no_vault() {
    let place = Place::new();
    let passphrase = passphrase();
    let new = touchkeep_vault::NewVault {
        user_name: "x".repeat(op::MAX_VALUE_BYTES + 1),
        environment_name: "prod".into(),
        practice: false,
        device: touchkeep_vault::NewDevice::Software {
            passphrase: &passphrase,
            work_factor: common::WORK_FACTOR,
        },
        now: NOW,
    };
    let refused = touchkeep_vault::create(&place.path, new).err().unwrap();
    assert!(matches!(refused, VaultError::Invalid(_)), "{refused}");
    assert!(!place.path.exists());
}

// What an intruder can make out of what README.txt says of a card: its public keys, with a key of his own to sign.
struct Forged(Card, touchkeep_device::DeviceInfo);

impl Device for Forged {
    fn info(&self) -> &touchkeep_device::DeviceInfo {
        &self.1
    }
    fn demand(&mut self, key: &KeyRef) -> Result<touchkeep_device::Demand, DeviceError> {
        self.0.demand(key)
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
        scheme: touchkeep_device::SignatureScheme,
        message: &[u8],
        auth: Auth<'_>,
    ) -> Result<Vec<u8>, DeviceError> {
        self.0.sign(key, scheme, message, auth)
    }
}

#[test]
fn another_vault_in_the_place_of_a_seen_one_can_be_read_but_not_changed() {
    let place = Place::new();
    let (mut card, intruder) = (Card::new(), Card::new());
    let pins = place.folder.path().join("pins");
    drop(place.create_on(&mut card).unwrap());
    assert!(
        Locked::open_pinned(&place.path, &pins)
            .unwrap()
            .read_only()
            .is_none()
    );

    std::fs::remove_file(&place.path).unwrap();
    let mut info = card.info().clone();
    info.keys[2] = intruder.info().keys[2].clone();
    let mut forged = Forged(intruder, info);
    let pin = Pin::new("654321".into());
    let device = touchkeep_vault::NewDevice::Hardware(&mut forged, Auth::Pin(&pin));
    let new = touchkeep_vault::NewVault {
        user_name: "Ada".into(),
        environment_name: "prod".into(),
        practice: false,
        device,
        now: NOW,
    };
    drop(touchkeep_vault::create(&place.path, new).unwrap());

    let locked = Locked::open_pinned(&place.path, &pins).unwrap();
    let is_read_only = locked.read_only().is_some();
    let mut vault = locked.unlock(&mut card, Auth::Pin(&pin)).unwrap();
    vault.put(item(vault.environment(), "x")).unwrap();
    let saved = vault.save(NOW, AuditHead::empty());
    assert!(
        is_read_only && matches!(saved, Err(VaultError::ReadOnly)),
        "{saved:?}"
    );
}

#[test]
fn a_vault_that_was_made_in_the_place_of_a_seen_one_is_known_from_its_first_save() {
    let place = Place::new();
    let pins = place.folder.path().join("pins");
    drop(place.create(false));
    drop(Locked::open_pinned(&place.path, &pins).unwrap());
    std::fs::remove_file(&place.path).unwrap();
    let passphrase = passphrase();
    let new = touchkeep_vault::NewVault {
        user_name: "Ada".into(),
        environment_name: "prod".into(),
        practice: false,
        device: touchkeep_vault::NewDevice::Software {
            passphrase: &passphrase,
            work_factor: common::WORK_FACTOR,
        },
        now: NOW,
    };
    let mut vault = touchkeep_vault::create_pinned(&place.path, &pins, new).unwrap();
    let first = std::fs::read(&place.path).unwrap();
    vault.put(item(vault.environment(), "x")).unwrap();
    save(&mut vault);
    let reopened = || Locked::open_pinned(&place.path, &pins).unwrap();
    assert!(reopened().read_only().is_none());
    std::fs::write(&place.path, first).unwrap();
    assert!(reopened().read_only().is_some());
}

#[test]
fn an_item_is_found_by_the_name_that_it_has_now() {
    let place = Place::new();
    let mut vault = place.create(false);
    let mut renamed = item(vault.environment(), "old \"name\"");
    let id = renamed.id;
    vault.put(renamed.clone()).unwrap();
    vault.put(item(vault.environment(), "gone")).unwrap();
    save(&mut vault);
    renamed.name = "new\\name".into();
    vault.put(renamed).unwrap();
    let gone = vault.find("gone").unwrap().id;
    vault.remove(gone).unwrap();
    for note in ["one", "two"] {
        let mut twin = item(vault.environment(), "twin");
        twin.note = note.into();
        vault.put(twin).unwrap();
    }
    save(&mut vault);
    // Just unlocked, and after all items were looked at, it is the same.
    let vault = place.unlock();
    for _ in 0..2 {
        assert_eq!(vault.find("new\\name").unwrap().id, id);
        for not in ["old \"name\"", "gone", "new", ""] {
            assert!(
                matches!(vault.find(not), Err(VaultError::NotFound)),
                "{not}"
            );
        }
        assert!(matches!(vault.find("twin"), Err(VaultError::Ambiguous(ids)) if ids.len() == 2));
        assert_eq!(vault.items().len(), 3);
    }
}
