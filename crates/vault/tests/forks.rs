//! A membership that went on in two ways: what each branch did, what holds, and what is left of the other after the join.

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
    Card, NO_AUDIT, NOW, Place, enrolled, environment, item, names, put_main, unlock_with,
    with_founder,
};
use touchkeep_container::Statement;
use touchkeep_vault::{ReadOnly, Undone, Unlocked, VaultError, merge_into};

#[test]
fn a_membership_that_went_on_in_two_ways_is_read_only_until_an_admin_joins_it() {
    let place = Place::new();
    let mut here = place.create(false);
    put_main(&mut here, "common", "c");
    let elsewhere = Place::new();
    fs::copy(&place.path, &elsewhere.path).unwrap();
    let mut there = elsewhere.unlock();
    let [mut one, mut two] = [(); 2].map(|()| Card::new());
    enrolled(&mut here, &mut one);
    put_main(&mut here, "here", "h");
    enrolled(&mut there, &mut two);
    put_main(&mut there, "there", "t");
    drop((here, there));

    assert!(merge_into(&place.path, &elsewhere.path).unwrap());
    let mut vault = place.unlock();
    assert_eq!(vault.read_only(), Some(ReadOnly::Forked));
    assert_eq!(names(&vault), ["common", "here", "there"]);
    vault.put(item(vault.environment(), "no")).unwrap();
    assert!(matches!(
        vault.save(NOW, NO_AUDIT()),
        Err(VaultError::Forked)
    ));

    let mut vault = place.unlock();
    assert_eq!(
        recipients(&vault, "u/"),
        4,
        "two lists, of two devices each"
    );
    with_founder(&mut vault, |vault, hand| vault.join(hand, NOW, NO_AUDIT())).unwrap();
    assert_eq!(vault.read_only(), None);
    // Stock age does not ask the chain either who may open it.
    assert_eq!((recipients(&vault, "u/"), recipients(&vault, "k/")), (2, 1));
    put_main(&mut vault, "after", "a");
    assert_eq!(names(&place.unlock()).len(), 4);
    // One of the two devices is in, the other has to be enrolled again; nothing is lost.
    assert_eq!(vault.own_devices().count(), 2);
    let opens = [&mut one, &mut two].map(|card| unlock_with(&place, card).is_ok());
    assert_eq!(opens.iter().filter(|opens| **opens).count(), 1);
    assert!(!merge_into(&place.path, &elsewhere.path).unwrap());
}

#[test]
fn an_open_vault_that_takes_in_another_branch_is_read_only_at_once() {
    let place = Place::new();
    let mut here = place.create(false);
    let elsewhere = Place::new();
    fs::copy(&place.path, &elsewhere.path).unwrap();
    let mut there = elsewhere.unlock();
    for vault in [&mut here, &mut there] {
        enrolled(vault, &mut Card::new());
    }
    fs::copy(&elsewhere.path, &place.path).unwrap();
    put_main(&mut here, "key", "value");
    assert_eq!(here.read_only(), Some(ReadOnly::Forked));
    here.set_setting("x", "1").unwrap();
    assert!(matches!(
        here.save(NOW, NO_AUDIT()),
        Err(VaultError::Forked)
    ));
    here.discard();
    with_founder(&mut here, |vault, hand| vault.join(hand, NOW, NO_AUDIT())).unwrap();
    assert_eq!((here.read_only(), names(&here).len()), (None, 1));
}

// To how many keys the members of a name are encrypted, as their headers say.
fn recipients(vault: &Unlocked, name: &str) -> usize {
    let container = vault.as_locked().container();
    let members = container
        .names()
        .filter(|it| it.to_string().starts_with(name));
    let stanzas = members.map(|name| {
        let header = String::from_utf8_lossy(container.member(&name).unwrap());
        let lines = header.lines().take_while(|line| !line.starts_with("---"));
        let mut kinds = lines.filter_map(|line| line.strip_prefix("-> "));
        kinds
            .by_ref()
            .filter(|kind| !kind.contains("-grease"))
            .count()
    });
    stanzas.sum()
}

// Each would have written under keys that the other does not have.
#[test]
fn two_copies_that_each_made_new_keys_are_not_merged_and_each_stays_whole() {
    let place = Place::new();
    let mut here = place.create(false);
    let [mut one, mut two] = [(); 2].map(|()| Card::new());
    let lost = [&mut one, &mut two].map(|card| enrolled(&mut here, card));
    let elsewhere = Place::new();
    fs::copy(&place.path, &elsewhere.path).unwrap();
    let mut there = elsewhere.unlock();
    for ((vault, device), name) in [&mut here, &mut there]
        .into_iter()
        .zip(lost)
        .zip(["h", "t"])
    {
        with_founder(vault, |vault, hand| {
            vault.retire(device, hand, NOW, NO_AUDIT())
        })
        .unwrap();
        put_main(vault, name, "text");
    }
    let [own, other] = [&place, &elsewhere].map(|place| &place.path);
    for (into, from) in [(own, other), (other, own)] {
        assert!(matches!(merge_into(into, from), Err(VaultError::Rekeyed)));
    }
    let whole = fs::read(own).unwrap();
    // Nor by a save that finds the other one in its place.
    fs::copy(other, own).unwrap();
    here.set_setting("x", "1").unwrap();
    assert!(matches!(
        here.save(NOW, NO_AUDIT()),
        Err(VaultError::Rekeyed)
    ));
    assert_eq!(fs::read(own).unwrap(), fs::read(other).unwrap());
    fs::write(own, whole).unwrap();
    assert_eq!(names(&place.unlock()), ["h"]);
    assert_eq!(names(&elsewhere.unlock()), ["t"]);
}

#[test]
fn each_branch_is_told_by_who_did_what_and_what_is_undone_with_it() {
    let place = Place::new();
    let mut here = place.create(false);
    assert_eq!(here.branches().len(), 1);
    assert!(here.branches()[0].holds && here.branches()[0].undone.is_empty());
    let elsewhere = Place::new();
    fs::copy(&place.path, &elsewhere.path).unwrap();
    let mut there = elsewhere.unlock();
    // The longer one holds.
    let kept = [(); 2].map(|()| enrolled(&mut here, &mut Card::new()));
    let given_up = enrolled(&mut there, &mut Card::new());
    let environment = environment(&mut there, "other");
    enrolled(&mut here, &mut Card::new());
    let founder = here.devices().iter().find(|it| it.marked_software).unwrap();
    let by = (here.user(), founder.id);
    merge_into(&place.path, &elsewhere.path).unwrap();

    let vault = place.unlock();
    let [holds, other] = &vault.branches()[..] else {
        panic!("two branches");
    };
    assert_eq!((holds.holds, other.holds), (true, false));
    assert_eq!((holds.links.len(), other.links.len()), (3, 2));
    let mut links = holds.links.iter().chain(&other.links);
    assert!(links.all(|link| link.signers.iter().eq([&by]) && link.time == NOW));
    let states = |branch: &touchkeep_vault::Branch, device| {
        let mut statements = branch.links.iter().flat_map(|link| &link.statements);
        statements.any(|it| matches!(it, Statement::Device { id, .. } if *id == device))
    };
    assert!(
        kept.iter()
            .all(|device| states(holds, *device) && !states(other, *device))
    );
    assert!(states(other, given_up) && other.devices.contains_key(&given_up));
    assert_eq!(
        (holds.undone.as_slice(), other.undone.as_slice()),
        (
            &[][..],
            &[
                Undone::NotEnrolled(given_up),
                Undone::NoEnvironment(environment)
            ][..]
        )
    );
}
