//! Typed items: kinds, further fields, the trash; and what was replaced, kept and had back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use common::{NOW, Place, item, passphrase, save};
use touchkeep_container::MemberName;
use touchkeep_core::{ApiSecret, ItemId, UnixMillis};
use touchkeep_device::{Auth, DeviceKind};
use touchkeep_vault::{AuditHead, Item, ItemKind, MAX_VERSIONS, SecretPlace, Unlocked, VaultError};

fn secret(text: &str) -> ApiSecret {
    ApiSecret::new(text.into())
}

// How many parts of the file hold a text.
fn in_file(vault: &Unlocked, text: &str) -> usize {
    let parts = vault.as_locked().container().parts();
    let identity = vault.audit_identity().unwrap();
    let opened = parts
        .iter()
        .map(|part| age::decrypt(&*identity, part.bytes).unwrap());
    opened
        .filter(|ops| String::from_utf8_lossy(ops).contains(text))
        .count()
}

fn seals(vault: &Unlocked) -> usize {
    let names = vault.as_locked().container().names();
    names
        .filter(|name| matches!(name, MemberName::Sealed { .. }))
        .count()
}

fn stored(vault: &mut Unlocked, name: &str, text: &str) -> ItemId {
    let new = item(vault.environment(), name);
    let id = new.id;
    vault.put(new).unwrap();
    vault.set_secret(id, secret(text)).unwrap();
    save(vault);
    id
}

#[test]
fn every_kind_is_there_again_with_its_fields() {
    let place = Place::new();
    let mut vault = place.create(false);
    for kind in ItemKind::ALL {
        let mut new = match kind {
            ItemKind::ExchangeKey => item(vault.environment(), "exchange"),
            _ => Item::new(vault.environment(), kind, kind.word().to_owned()),
        };
        new.tags = ["bot", "eu"].map(str::to_owned).into();
        new.plaintext_seen = Some(NOW);
        new.fields.insert("permissions".into(), "spot trade".into());
        new.fields.insert("desk".into(), "two\nlines".into());
        let id = new.id;
        vault.put(new).unwrap();
        vault.set_secret(id, secret("chief")).unwrap();
        vault
            .set_field_secret(id, "passphrase", secret("further"))
            .unwrap();
        vault
            .seal_field(id, "refresh-token", secret("sealed"))
            .unwrap();
    }
    save(&mut vault);
    let again = place.unlock();
    assert_eq!(again.items(), vault.items());
    for item in again.items() {
        assert_eq!(
            again.field_secret(item.id, "passphrase").unwrap().expose(),
            "further"
        );
        let places: Vec<_> = item.places().collect();
        assert_eq!(
            places,
            [
                ("secret", &SecretPlace::Stored),
                ("passphrase", &SecretPlace::Stored),
                ("refresh-token", &SecretPlace::Sealed)
            ]
        );
        let device = again
            .devices()
            .iter()
            .find(|d| d.kind == DeviceKind::Software);
        let mut device = again
            .as_locked()
            .software_device(device.unwrap().id)
            .unwrap();
        let opened = again.open_sealed_field(
            item.id,
            "refresh-token",
            &mut device,
            Auth::Passphrase(&passphrase()),
        );
        assert_eq!(opened.unwrap().expose(), "sealed");
    }
}

#[test]
fn names_that_mean_something_else_and_what_is_too_much_are_refused() {
    let place = Place::new();
    let mut vault = place.create(false);
    let id = stored(&mut vault, "trade", "x");
    let known = vault.item(id).unwrap().clone();
    let with = |change: &dyn Fn(&mut Item)| {
        let mut item = known.clone();
        change(&mut item);
        item
    };
    let field = |name: &str| {
        let name = name.to_owned();
        with(&move |item: &mut Item| drop(item.fields.insert(name.clone(), "v".into())))
    };
    let bad = [
        field("secret"),
        field("otp"),
        field("name"),
        field("Upper"),
        field("a.b"),
        with(&|item| item.tags = ["two words".to_owned()].into()),
        with(&|item| item.tags = [String::new()].into()),
        with(&|item| item.kind = ItemKind::Note),
        with(&|item| item.fields = (0..=48).map(|n| (format!("f{n}"), "v".into())).collect()),
    ];
    for item in bad {
        assert!(matches!(vault.put(item), Err(VaultError::Invalid(_))));
    }
    for name in ["name", "otp", "a.b", "secret.x", ""] {
        let set = vault.set_field_secret(id, name, secret("x"));
        assert!(matches!(set, Err(VaultError::Invalid(_))), "{name}");
    }
    vault.put(field("pin")).unwrap();
    let both = vault.set_field_secret(id, "pin", secret("x"));
    assert!(matches!(both, Err(VaultError::Invalid(_))));
}

#[test]
fn what_is_replaced_is_kept_and_had_back_as_a_new_version() {
    let place = Place::new();
    let mut vault = place.create(false);
    let id = stored(&mut vault, "trade", "first-canary");
    let mut changed = vault.item(id).unwrap().clone();
    changed.api_key = "second key".into();
    changed.fields.insert("owner".into(), "ada".into());
    vault.put(changed).unwrap();
    vault.set_secret(id, secret("second")).unwrap();
    vault
        .set_field_secret(id, "passphrase", secret("new"))
        .unwrap();
    vault
        .save(UnixMillis(NOW.0 + 5), AuditHead::empty())
        .unwrap();
    // It stands in the file once: as the earlier version, not where it stood.
    assert_eq!(in_file(&vault, "\"secret\":\"stored:first-canary\""), 0);
    assert_eq!(
        in_file(&vault, "\"secret.secret.1\":\"stored:first-canary\""),
        1
    );

    let mut vault = place.unlock();
    let versions = vault.versions(id).unwrap();
    let [second, first] = &versions[..] else {
        panic!("{versions:?}")
    };
    assert_eq!((second.number, first.number), (2, 1));
    assert_eq!(second.changed, ["api-key", "owner", "secret", "passphrase"]);
    assert_eq!(second.at, Some(UnixMillis(NOW.0 + 5)));
    assert_eq!(
        (second.by, first.by),
        (Some(vault.user()), Some(vault.user()))
    );
    assert!(first.is_kept && first.changed.is_empty() && first.at.is_some());
    assert_eq!(
        vault.secret_at(id, "secret", 1).unwrap().expose(),
        "first-canary"
    );
    assert_eq!(vault.secret_at(id, "secret", 2).unwrap().expose(), "second");
    assert!(matches!(
        vault.secret_at(id, "passphrase", 1),
        Err(VaultError::NoSecret)
    ));
    assert_eq!(
        vault.plain_at(id, "api-key", 2).unwrap().unwrap(),
        "second key"
    );
    assert_eq!(vault.plain_at(id, "owner", 1).unwrap(), None);
    assert!(matches!(
        vault.secret_at(id, "secret", 3),
        Err(VaultError::NoVersion(3))
    ));
    assert!(matches!(
        vault.restore_version(id, 2),
        Err(VaultError::NoVersion(2))
    ));

    vault.restore_version(id, 1).unwrap();
    save(&mut vault);
    let vault = place.unlock();
    assert_eq!(vault.secret(id).unwrap().expose(), "first-canary");
    let item = vault.item(id).unwrap();
    assert!(item.secrets.is_empty() && item.fields.is_empty());
    assert!(item.api_key.starts_with("vmPUZE"));
    assert_eq!(vault.versions(id).unwrap().len(), 3);
    assert_eq!(
        vault.secret_at(id, "passphrase", 2).unwrap().expose(),
        "new"
    );
}

#[test]
fn an_earlier_sealed_value_stays_as_it_was_sealed() {
    let place = Place::new();
    let mut vault = place.create(false);
    let id = stored(&mut vault, "money", "stored");
    vault.seal(id, secret("sealed one")).unwrap();
    save(&mut vault);
    let sealed_to = vault.item(id).unwrap().sealed_to.clone();
    assert!(!sealed_to.is_empty());
    vault.seal(id, secret("sealed two")).unwrap();
    save(&mut vault);
    // The same value sealed anew is no version, and what it was sealed as before goes.
    vault
        .seal_again(id, "secret", secret("sealed two"))
        .unwrap();
    save(&mut vault);
    assert_eq!((vault.versions(id).unwrap().len(), seals(&vault)), (3, 2));
    vault.restore_version(id, 2).unwrap();
    save(&mut vault);
    let vault = place.unlock();
    assert_eq!(vault.item(id).unwrap().sealed_to, sealed_to);
    let mut device = vault.as_locked().software_device(sealed_to[0]).unwrap();
    let opened = vault.open_sealed(id, &mut device, Auth::Passphrase(&passphrase()));
    assert_eq!(opened.unwrap().expose(), "sealed one");
    assert_eq!(seals(&vault), 2);
}

#[test]
fn earlier_versions_are_bounded_and_go_when_one_says_so() {
    let place = Place::new();
    let mut vault = place.create(false);
    let id = stored(&mut vault, "trade", "value 1 ");
    for number in 2..=MAX_VERSIONS + 5 {
        vault
            .set_secret(id, secret(&format!("value {number} ")))
            .unwrap();
        save(&mut vault);
    }
    let versions = vault.versions(id).unwrap();
    assert_eq!(versions.len(), usize::try_from(MAX_VERSIONS).unwrap() + 1);
    assert!(versions.iter().all(|version| version.is_kept));
    assert_eq!(
        (in_file(&vault, "value 4 "), in_file(&vault, "value 5 ")),
        (0, 1)
    );
    assert!(matches!(
        vault.secret_at(id, "secret", 4),
        Err(VaultError::NotKept)
    ));
    assert_eq!(
        vault.secret_at(id, "secret", 5).unwrap().expose(),
        "value 5 "
    );

    vault.forget_old(id).unwrap();
    save(&mut vault);
    for number in 1..MAX_VERSIONS + 5 {
        assert_eq!(in_file(&vault, &format!("value {number} ")), 0, "{number}");
    }
    let again = place.unlock();
    let [version] = &again.versions(id).unwrap()[..] else {
        panic!("nothing but the present one is kept")
    };
    assert_eq!(version.by, Some(again.user()));
    assert!(again.secret(id).unwrap().expose().starts_with("value 25"));
}

#[test]
fn a_removed_item_leaves_no_earlier_secret() {
    let place = Place::new();
    let mut vault = place.create(false);
    let id = stored(&mut vault, "trade", "first-canary");
    vault
        .set_field_secret(id, "passphrase", secret("further-canary"))
        .unwrap();
    vault.seal(id, secret("sealed")).unwrap();
    save(&mut vault);
    vault.seal(id, secret("sealed again")).unwrap();
    save(&mut vault);
    assert_eq!((in_file(&vault, "-canary"), seals(&vault)), (1, 2));
    let kept = vault.item(id).unwrap().clone();
    vault.remove(id).unwrap();
    save(&mut vault);
    assert_eq!((in_file(&vault, "-canary"), seals(&vault)), (0, 0));
    // Nor does the same id bring any of it back.
    let again = Item {
        secrets: [].into(),
        secret: SecretPlace::Missing,
        sealed_to: vec![],
        ..kept
    };
    vault.put(again).unwrap();
    save(&mut vault);
    let vault = place.unlock();
    assert_eq!(vault.versions(id).unwrap().len(), 1);
    assert!(matches!(
        vault.field_secret(id, "passphrase"),
        Err(VaultError::NoSecret)
    ));
}

// Two who change different fields of one version keep what both replaced.
#[test]
fn versions_that_were_made_apart_are_joined() {
    let place = Place::new();
    let mut one = place.create(false);
    let id = stored(&mut one, "trade", "first");
    let mut other = place.unlock();
    let mut changed = one.item(id).unwrap().clone();
    changed.api_key = "second key".into();
    one.put(changed).unwrap();
    other.set_secret(id, secret("second")).unwrap();
    save(&mut one);
    save(&mut other);
    let mut vault = place.unlock();
    assert_eq!(
        vault.versions(id).unwrap()[0].changed,
        ["api-key", "secret"]
    );
    vault.restore_version(id, 1).unwrap();
    save(&mut vault);
    assert_eq!(vault.secret(id).unwrap().expose(), "first");
    assert!(vault.item(id).unwrap().api_key.starts_with("vmPUZE"));
}
