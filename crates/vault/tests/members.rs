//! Several devices, several members with different rights, several environments; lost devices; copies that went apart.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::fs;

use common::{
    Card, NO_AUDIT, NOW, Place, enrolled, environment, founder, item, names, passphrase, pin, put,
    put_main, save, secret, unlock_with, with_founder,
};
use touchkeep_container::words::Role;
use touchkeep_core::{EnvironmentId, Passphrase};
use touchkeep_device::{Auth, DeviceKind, RecoveryKit};
use touchkeep_vault::{Hand, Locked, NewDevice, Newcomer, SecretPlace, VaultError, merge_into};

#[test]
fn a_vault_opens_with_each_of_several_devices() {
    let place = Place::new();
    let mut vault = place.create(false);
    put_main(&mut vault, "key", "value");
    let mut card = Card::new();
    enrolled(&mut vault, &mut card);
    let kit = RecoveryKit::generate().unwrap();
    let words = kit.words().unwrap();
    enrolled(&mut vault, &mut kit.device().unwrap());
    assert!(vault.has_spare());
    drop(vault);

    let mut kit = RecoveryKit::from_words(&words).unwrap().device().unwrap();
    for vault in [
        place.unlock(),
        unlock_with(&place, &mut card).unwrap(),
        unlock_with(&place, &mut kit).unwrap(),
    ] {
        let id = vault.find("key").unwrap().id;
        assert_eq!(vault.secret(id).unwrap().expose(), "value");
        assert_eq!(vault.devices().len(), 3);
    }
}

#[test]
fn a_device_is_not_enrolled_twice() {
    let place = Place::new();
    let mut vault = place.create(false);
    let mut card = Card::new();
    enrolled(&mut vault, &mut card);
    let again = with_founder(&mut vault, |vault, hand| {
        vault.enroll(
            NewDevice::Hardware(&mut card, Auth::Nothing),
            hand,
            NOW,
            NO_AUDIT(),
        )
    });
    assert!(matches!(again, Err(VaultError::Invalid(_))));
}

#[test]
fn the_kit_lets_a_new_device_in_when_everything_else_is_lost() {
    let place = Place::new();
    let mut card = Card::new();
    let mut vault = place.create_on(&mut card).unwrap();
    put_main(&mut vault, "key", "value");
    let kit = RecoveryKit::generate().unwrap();
    let words = kit.words().unwrap();
    let pin = pin();
    let hand = Hand {
        device: &mut card,
        auth: Auth::Pin(&pin),
    };
    let new = &mut kit.device().unwrap();
    vault
        .enroll(
            NewDevice::Hardware(new, Auth::Nothing),
            hand,
            NOW,
            NO_AUDIT(),
        )
        .unwrap();
    drop((vault, card));

    let mut kit = RecoveryKit::from_words(&words).unwrap().device().unwrap();
    let mut vault = unlock_with(&place, &mut kit).unwrap();
    let lost = vault
        .devices()
        .iter()
        .find(|d| d.kind == DeviceKind::Pkcs11)
        .unwrap()
        .id;
    let hand = Hand {
        device: &mut kit,
        auth: Auth::Nothing,
    };
    let mut another = Card::new();
    let new = NewDevice::Hardware(&mut another, Auth::Nothing);
    vault.enroll(new, hand, NOW, NO_AUDIT()).unwrap();
    let hand = Hand {
        device: &mut kit,
        auth: Auth::Nothing,
    };
    let follows = vault.retire(lost, hand, NOW, NO_AUDIT()).unwrap();
    assert_eq!(follows.readable, [vault.find("key").unwrap().id]);
    let vault = unlock_with(&place, &mut another).unwrap();
    assert_eq!(names(&vault), ["key"]);
}

#[test]
fn a_lost_device_opens_nothing_that_is_written_from_then_on() {
    let place = Place::new();
    let mut vault = place.create(false);
    let mut card = Card::new();
    let lost = enrolled(&mut vault, &mut card);
    let sealed = item(vault.environment(), "sealed");
    let sealed_id = sealed.id;
    vault.put(sealed).unwrap();
    vault.seal(sealed_id, secret("sealed")).unwrap();
    put_main(&mut vault, "before", "old value");
    let older = fs::read(&place.path).unwrap();
    let follows = with_founder(&mut vault, |vault, hand| {
        vault.retire(lost, hand, NOW, NO_AUDIT())
    });
    let follows = follows.unwrap();
    assert_eq!(follows.sealed, [sealed_id]);
    assert_eq!(follows.readable, [vault.find("before").unwrap().id]);
    put_main(&mut vault, "after", "new value");
    vault.seal(sealed_id, secret("sealed again")).unwrap();
    save(&mut vault);
    assert_eq!(vault.item(sealed_id).unwrap().sealed_to.len(), 1);

    // It opens the older copy, as it always did, and what it finds there opens nothing of the newer one.
    assert!(unlock_with(&place, &mut card).is_err());
    let elsewhere = Place::new();
    fs::write(&elsewhere.path, &older).unwrap();
    let old = unlock_with(&elsewhere, &mut card).unwrap();
    assert_eq!(names(&old), ["before", "sealed"]);
    let stolen = old.audit_identity().unwrap();
    let newer = Locked::open(&place.path).unwrap();
    let newest = newer
        .container()
        .parts()
        .into_iter()
        .max_by_key(|part| part.part.number);
    assert!(age::decrypt(&*stolen, newest.unwrap().bytes).is_err());

    // It signs nothing either.
    let pin = pin();
    let hand = Hand {
        device: &mut card,
        auth: Auth::Pin(&pin),
    };
    let refused = vault.enroll(
        NewDevice::Hardware(&mut Card::new(), Auth::Nothing),
        hand,
        NOW,
        NO_AUDIT(),
    );
    assert!(matches!(refused, Err(VaultError::NotEnrolled)));
    // The owner has everything, in the old epoch and the new.
    let again = place.unlock();
    assert_eq!(names(&again), ["after", "before", "sealed"]);
    let id = again.find("before").unwrap().id;
    assert_eq!(again.secret(id).unwrap().expose(), "old value");
    assert!(
        again.audit_identity().unwrap().to_public() == old.audit_identity().unwrap().to_public()
    );
}

#[test]
fn the_last_device_stays() {
    let place = Place::new();
    let mut vault = place.create(false);
    let only = vault.devices()[0].id;
    let refused = with_founder(&mut vault, |vault, hand| {
        vault.retire(only, hand, NOW, NO_AUDIT())
    });
    assert!(matches!(refused, Err(VaultError::LastDevice)));
    assert_eq!(
        refused.unwrap_err().code(),
        touchkeep_core::Code::NotPermitted
    );
    drop(place.unlock());
}

#[test]
fn sealed_values_wait_for_a_new_device_until_they_are_sealed_again() {
    let place = Place::new();
    let mut vault = place.create(false);
    let sealed = item(vault.environment(), "money");
    let id = sealed.id;
    vault.put(sealed).unwrap();
    vault.seal(id, secret("value")).unwrap();
    save(&mut vault);
    let mut card = Card::new();
    enrolled(&mut vault, &mut card);
    assert_eq!(vault.to_reseal().unwrap(), [id]);
    let pin = pin();
    assert!(vault.open_sealed(id, &mut card, Auth::Pin(&pin)).is_err());
    let (mut own, words) = (founder(&vault), passphrase());
    vault
        .reseal(id, &mut own, Auth::Passphrase(&words))
        .unwrap();
    save(&mut vault);
    assert!(vault.to_reseal().unwrap().is_empty());
    let vault = place.unlock();
    assert_eq!(vault.item(id).unwrap().sealed_to.len(), 2);
    let opened = vault.open_sealed(id, &mut card, Auth::Pin(&pin)).unwrap();
    assert_eq!(opened.expose(), "value");
}

// An admin, a writer and a reader; production for the first two, a test environment for all.
struct Team {
    place: Place,
    writer: Card,
    reader: Card,
    prod: EnvironmentId,
    test: EnvironmentId,
}

fn team() -> Team {
    let place = Place::new();
    let mut vault = place.create(false);
    let prod = vault.environment();
    let test = environment(&mut vault, "testnet");
    put(&mut vault, prod, "prod key", "prod value");
    put(&mut vault, test, "test key", "test value");
    let [mut writer, mut reader] = [(); 2].map(|()| Card::new());
    for (card, role, environments) in [
        (&mut writer, Role::Writer, &[prod, test][..]),
        (&mut reader, Role::Reader, &[test]),
    ] {
        let newcomer = Newcomer::new(format!("{role}"), card, false).unwrap();
        let pin = pin();
        let (mut own, words) = (founder(&vault), passphrase());
        let own = Hand {
            device: &mut own,
            auth: Auth::Passphrase(&words),
        };
        let theirs = Hand {
            device: card,
            auth: Auth::Pin(&pin),
        };
        let when = (NOW, NO_AUDIT());
        vault
            .admit(&newcomer, (role, environments), own, theirs, when)
            .unwrap();
    }
    Team {
        place,
        writer,
        reader,
        prod,
        test,
    }
}

#[test]
fn three_members_see_and_change_what_they_may() {
    let mut team = team();
    let admin = team.place.unlock();
    assert_eq!(names(&admin), ["prod key", "test key"]);
    let mut writer = unlock_with(&team.place, &mut team.writer).unwrap();
    assert_eq!(writer.user_name(), "writer");
    assert_eq!(names(&writer), ["prod key", "test key"]);
    put(&mut writer, team.prod, "from the writer", "x");
    let mut reader = unlock_with(&team.place, &mut team.reader).unwrap();
    assert_eq!(
        (reader.environments(), reader.may_write()),
        (vec![team.test], false)
    );
    assert_eq!(names(&reader), ["test key"]);
    assert_eq!(reader.environment_name(team.test), "testnet");
    let id = reader.find("test key").unwrap().id;
    assert_eq!(reader.secret(id).unwrap().expose(), "test value");
    let refused = reader.put(item(team.test, "no"));
    assert!(matches!(refused, Err(VaultError::NotAllowed)));
    assert!(matches!(reader.remove(id), Err(VaultError::NotAllowed)));
    assert!(matches!(
        reader.set_setting("x", "y"),
        Err(VaultError::NotAllowed)
    ));
    // The writer may not touch the membership.
    let pin = pin();
    let hand = Hand {
        device: &mut team.writer,
        auth: Auth::Pin(&pin),
    };
    let refused = writer.add_environment("more", hand, NOW, NO_AUDIT());
    assert!(matches!(refused, Err(VaultError::NotAllowed)));
    assert_eq!(
        names(&team.place.unlock()),
        ["from the writer", "prod key", "test key"]
    );
}

#[test]
fn copies_of_three_members_merge_without_a_key() {
    let mut team = team();
    let other = Place::new();
    fs::copy(&team.place.path, &other.path).unwrap();
    let mut writer = unlock_with(&other, &mut team.writer).unwrap();
    put(&mut writer, team.test, "by the writer", "w");
    let mut admin = team.place.unlock();
    put(&mut admin, team.prod, "by the admin", "a");

    assert!(merge_into(&team.place.path, &other.path).unwrap());
    assert!(merge_into(&other.path, &team.place.path).unwrap());
    assert_eq!(
        fs::read(&other.path).unwrap(),
        fs::read(&team.place.path).unwrap()
    );
    let merged = Locked::open(&team.place.path).unwrap();
    assert_eq!(merged.container().heads().len(), 2);
    let reader = unlock_with(&team.place, &mut team.reader).unwrap();
    assert_eq!(names(&reader), ["by the writer", "test key"]);
    // The next save joins.
    let mut writer = unlock_with(&team.place, &mut team.writer).unwrap();
    put(&mut writer, team.test, "joined", "j");
    assert_eq!(writer.as_locked().container().heads().len(), 1);
    assert_eq!(names(&team.place.unlock()).len(), 5);
    assert!(!merge_into(&team.place.path, &other.path).unwrap());
}

#[test]
fn who_is_gone_writes_nothing_any_more() {
    let mut team = team();
    let mut writer = unlock_with(&team.place, &mut team.writer).unwrap();
    let mut admin = team.place.unlock();
    let user = writer.user();
    with_founder(&mut admin, |admin, hand| {
        admin.set_role(user, Role::Gone, hand, (NOW, NO_AUDIT()))
    })
    .unwrap();
    writer.put(item(team.test, "late")).unwrap();
    // Nobody can tell whether he had begun before he knew, or says so a year later.
    let file = fs::read(&team.place.path).unwrap();
    assert!(matches!(
        writer.save(NOW, NO_AUDIT()),
        Err(VaultError::Lapsed)
    ));
    assert_eq!(fs::read(&team.place.path).unwrap(), file);
    assert!(unlock_with(&team.place, &mut team.writer).is_err());
}

#[test]
fn who_is_gone_reads_nothing_that_is_written_from_then_on() {
    let mut team = team();
    let (old, mut admin) = (Place::new(), team.place.unlock());
    fs::copy(&team.place.path, &old.path).unwrap();
    let writer = unlock_with(&old, &mut team.writer).unwrap();
    let (user, bundle) = (writer.user(), writer.environments());
    with_founder(&mut admin, |admin, hand| {
        admin.set_role(user, Role::Gone, hand, (NOW, NO_AUDIT()))
    })
    .unwrap();
    put(&mut admin, team.test, "after", "s");
    // The reader reads on, and the old keys open no new epoch.
    let mut reader = unlock_with(&team.place, &mut team.reader).unwrap();
    assert!(names(&reader).contains(&"after".to_owned()));
    drop(reader.put(item(team.test, "no")));
    let members = admin.as_locked().container().membership();
    for environment in bundle {
        let known = &members.environments[&environment];
        assert_eq!((known.epoch(), known.readers.contains(&user)), (2, false));
    }
    let file = fs::read(&team.place.path).unwrap();
    for (name, bytes) in touchkeep_container::tar::read(&file).unwrap() {
        assert!(!name.starts_with(&format!("u/{user}")), "{name}");
        if name.starts_with("k/") {
            let header = String::from_utf8_lossy(bytes);
            let readers = header
                .lines()
                .filter(|line| line.starts_with("-> X25519"))
                .count();
            assert!(readers <= 2, "{name}");
        }
    }
}

#[test]
fn a_copy_of_who_is_gone_is_not_merged_whatever_he_wrote_into_it() {
    let mut team = team();
    let old = Place::new();
    fs::copy(&team.place.path, &old.path).unwrap();
    let mut writer = unlock_with(&old, &mut team.writer).unwrap();
    let user = writer.user();
    let mut admin = team.place.unlock();
    with_founder(&mut admin, |admin, hand| {
        admin.set_role(user, Role::Gone, hand, (NOW, NO_AUDIT()))
    })
    .unwrap();
    put_main(&mut admin, "after", "s");
    let file = fs::read(&team.place.path).unwrap();
    writer.set_setting("policy", "default = \"allow\"").unwrap();
    save(&mut writer);
    assert!(matches!(
        merge_into(&team.place.path, &old.path),
        Err(VaultError::Lapsed)
    ));
    assert_eq!(fs::read(&team.place.path).unwrap(), file);
    // Nor when it is put in the file's place while somebody has it open: who has seen more keeps to that.
    fs::copy(&old.path, &team.place.path).unwrap();
    admin.set_setting("count", "1").unwrap();
    assert!(matches!(
        admin.save(NOW, NO_AUDIT()),
        Err(VaultError::Lapsed)
    ));
}

// The longer branch is what holds until somebody joins the two; who is removed could make his the longer one.
#[test]
fn an_admin_who_is_gone_does_not_go_on_from_an_old_link() {
    let place = Place::new();
    let mut vault = place.create(false);
    let mut card = Card::new();
    let newcomer = Newcomer::new("other".into(), &mut card, false).unwrap();
    let main = vault.environment();
    with_founder(&mut vault, |vault, own| {
        let device = &mut card;
        let auth = Auth::Pin(&pin());
        vault.admit(
            &newcomer,
            (Role::Admin, &[main]),
            own,
            Hand { device, auth },
            (NOW, NO_AUDIT()),
        )
    })
    .unwrap();
    let old = Place::new();
    fs::copy(&place.path, &old.path).unwrap();
    with_founder(&mut vault, |vault, hand| {
        vault.set_role(newcomer.user(), Role::Gone, hand, (NOW, NO_AUDIT()))
    })
    .unwrap();
    let file = fs::read(&place.path).unwrap();

    let mut theirs = unlock_with(&old, &mut card).unwrap();
    for _ in 0..3 {
        let pin = pin();
        let auth = Auth::Pin(&pin);
        let hand = Hand {
            device: &mut card,
            auth,
        };
        let new = NewDevice::Hardware(&mut Card::new(), Auth::Nothing);
        theirs.enroll(new, hand, NOW, NO_AUDIT()).unwrap();
    }
    assert!(matches!(
        merge_into(&place.path, &old.path),
        Err(VaultError::Lapsed)
    ));
    assert_eq!(fs::read(&place.path).unwrap(), file);
}

#[test]
fn a_copy_under_keys_that_were_replaced_is_not_merged() {
    let place = Place::new();
    let mut vault = place.create(false);
    let mut card = Card::new();
    let lost = enrolled(&mut vault, &mut card);
    let old = Place::new();
    fs::copy(&place.path, &old.path).unwrap();
    with_founder(&mut vault, |vault, hand| {
        vault.retire(lost, hand, NOW, NO_AUDIT())
    })
    .unwrap();
    let mut thief = unlock_with(&old, &mut card).unwrap();
    thief.set_setting("policy", "default = \"allow\"").unwrap();
    save(&mut thief);
    assert!(matches!(
        merge_into(&place.path, &old.path),
        Err(VaultError::Lapsed)
    ));
}

#[test]
fn a_change_of_the_membership_that_crossed_another_is_done_again() {
    let place = Place::new();
    let mut here = place.create(false);
    let mut there = place.unlock();
    enrolled(&mut here, &mut Card::new());
    let mut card = Card::new();
    let crossed = with_founder(&mut there, |there, hand| {
        there.enroll(
            NewDevice::Hardware(&mut card, Auth::Nothing),
            hand,
            NOW,
            NO_AUDIT(),
        )
    });
    assert!(matches!(crossed, Err(VaultError::MembersChanged)));
    let mut there = place.unlock();
    enrolled(&mut there, &mut card);
    assert_eq!(there.devices().len(), 3);
}

#[test]
fn a_wrong_passphrase_changes_nothing() {
    let place = Place::new();
    let mut vault = place.create(false);
    let before = fs::read(&place.path).unwrap();
    let (mut own, wrong) = (founder(&vault), Passphrase::new("wrong".into()));
    let hand = Hand {
        device: &mut own,
        auth: Auth::Passphrase(&wrong),
    };
    let refused = vault.enroll(
        NewDevice::Hardware(&mut Card::new(), Auth::Nothing),
        hand,
        NOW,
        NO_AUDIT(),
    );
    assert!(matches!(refused, Err(VaultError::Device(_))));
    assert_eq!(fs::read(&place.path).unwrap(), before);
    assert_eq!(vault.devices().len(), 1);
}

#[test]
fn items_of_two_environments_keep_to_themselves() {
    let place = Place::new();
    let mut vault = place.create(false);
    let test = environment(&mut vault, "testnet");
    put(&mut vault, test, "a", "in test");
    put_main(&mut vault, "b", "in prod");
    let mut moved = vault.find("a").unwrap().clone();
    moved.environment = vault.environment();
    assert!(matches!(vault.put(moved), Err(VaultError::Invalid(_))));
    let vault = place.unlock();
    assert_eq!(vault.environments().len(), 2);
    assert_eq!(vault.environment_name(test), "testnet");
    let [a, b] = ["a", "b"].map(|name| vault.find(name).unwrap());
    assert_eq!((a.environment, b.environment), (test, vault.environment()));
    assert_eq!(
        (&a.secret, &b.secret),
        (&SecretPlace::Stored, &SecretPlace::Stored)
    );
    assert_eq!(vault.secret(a.id).unwrap().expose(), "in test");
}
