//! The writer's clock: at its end too, no commit says two things of one field with one reading.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::collections::BTreeMap;

use common::{Place, item, save, write_by_another_program};
use touchkeep_container::{
    HybridClock,
    op::{self, Edit, Line},
};
use touchkeep_core::ApiSecret;
use touchkeep_vault::{SecretPlace, Unlocked};

const LAST: HybridClock = HybridClock {
    ms: op::MAX_CLOCK_MS,
    count: u32::MAX,
};

fn set(vault: &mut Unlocked, id: touchkeep_core::ItemId, text: &str) {
    vault.set_secret(id, ApiSecret::new(text.into())).unwrap();
}

// How often each commit writes each field of each item with each reading.
fn writes(vault: &Unlocked) -> BTreeMap<String, usize> {
    let identity = vault.audit_identity().unwrap();
    let mut writes = BTreeMap::new();
    for part in vault.as_locked().container().parts() {
        let text = age::decrypt(&*identity, part.bytes).unwrap();
        let mut from = part.commit;
        for line in op::lines(std::str::from_utf8(&text).unwrap()) {
            let op = match line.unwrap() {
                Line::Op(op) => op,
                Line::From(commit) => {
                    from = commit;
                    continue;
                }
            };
            let (of, fields) = match &op.edit {
                Edit::Put(id, fields) => (id.to_string(), fields),
                Edit::Set(fields) => ("settings".into(), fields),
                Edit::Remove(_) => continue,
            };
            for (field, _) in fields {
                let key = format!("{from} {of} {field} {:?}", op.at);
                *writes.entry(key).or_default() += 1;
            }
        }
    }
    writes
}

#[test]
fn a_clock_at_its_end_does_not_make_a_vault_that_nobody_can_open() {
    let place = Place::new();
    let mut vault = place.create(false);
    let at = HybridClock {
        ms: op::MAX_CLOCK_MS,
        count: u32::MAX,
    };
    write_by_another_program(&place, &vault, at, &Edit::Set(vec![("x", None)]));
    vault = place.unlock();
    vault.set_setting("y", "z").unwrap();
    save(&mut vault);
    drop(place.unlock());
}

// Who writes with the last reading stops everybody's clock: what one save does to one item must still have one meaning.
#[test]
fn no_commit_writes_a_field_twice_with_one_reading_even_where_the_clock_stands() {
    for stands in [false, true] {
        let place = Place::new();
        let mut vault = place.create(false);
        if stands {
            write_by_another_program(&place, &vault, LAST, &Edit::Set(vec![("x", None)]));
            vault = place.unlock();
        }
        let items = ["kept", "back", "emptied", "gone"].map(|it| item(vault.environment(), it));
        for item in &items {
            vault.put(item.clone()).unwrap();
            set(&mut vault, item.id, "first");
        }
        save(&mut vault);
        set(&mut vault, items[0].id, "second");
        set(&mut vault, items[0].id, "third");
        for removed in &items[1..] {
            vault.remove(removed.id).unwrap();
        }
        for again in &items[1..3] {
            vault.put(again.clone()).unwrap();
        }
        set(&mut vault, items[1].id, "another");
        vault.set_setting("y", "1").unwrap();
        vault.set_setting("y", "2").unwrap();
        save(&mut vault);

        let written = writes(&vault);
        assert!(written.len() > 40, "the walk finds what was written");
        let twice: Vec<_> = written.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
        for vault in [vault, place.unlock()] {
            let text = |at: usize| vault.secret(items[at].id).unwrap().expose().clone();
            assert_eq!((text(0).as_str(), text(1).as_str()), ("third", "another"));
            let emptied = vault.item(items[2].id).unwrap();
            assert_eq!(emptied.secret, SecretPlace::Missing);
            assert!(vault.item(items[3].id).is_none());
            assert_eq!(vault.setting("y"), Some("2"));
            assert!(vault.conflicts().is_empty());
        }
    }
}
