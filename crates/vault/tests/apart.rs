//! One plain field that two copies changed without knowing of each other: which text a merge sets aside, and that it can be had back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use common::{NOW, Place, item, save};
use touchkeep_core::ItemId;
use touchkeep_vault::{Locked, Unlocked, merge_into};

fn own(vault: &mut Unlocked, id: ItemId, owner: &str) {
    let mut item = vault.item(id).unwrap().clone();
    item.fields.insert("owner".into(), owner.into());
    vault.put(item).unwrap();
    save(vault);
}

fn owner(vault: &Unlocked, id: ItemId) -> Option<String> {
    vault.item(id).unwrap().plain_field("owner")
}

// An item with an owner, and a copy of the vault in which nothing has happened yet.
fn two_copies() -> (Place, Place, ItemId) {
    let (here, there) = (Place::new(), Place::new());
    let mut vault = here.create(false);
    let item = item(vault.environment(), "key");
    let id = item.id;
    vault.put(item).unwrap();
    own(&mut vault, id, "nobody");
    std::fs::copy(&here.path, &there.path).unwrap();
    (here, there, id)
}

#[test]
fn what_a_merge_sets_aside_is_an_earlier_version_of_the_item() {
    let (here, there, id) = two_copies();
    own(&mut here.unlock(), id, "Ada");
    own(&mut there.unlock(), id, "Bob");
    let mut vault = here.unlock();
    let other = Locked::open(&there.path)
        .unwrap()
        .unlock_as(&vault)
        .unwrap();
    let apart = vault.written_apart(&other).unwrap();
    assert_eq!(apart.len(), 1, "{apart:?}");
    let texts = (apart[0].here.as_deref(), apart[0].there.as_deref());
    assert_eq!(
        (&*apart[0].field, texts),
        ("owner", (Some("Ada"), Some("Bob")))
    );

    assert!(merge_into(&here.path, &there.path).unwrap());
    save(&mut vault);
    let kept = vault.keep_set_aside(apart, NOW).unwrap();
    save(&mut vault);
    let vault = here.unlock();
    let holds = owner(&vault, id);
    assert_eq!((kept.len(), &kept[0].holds), (1, &holds));
    let mut both = [holds.unwrap(), kept[0].lost.clone().unwrap()];
    both.sort();
    assert_eq!(both, ["Ada", "Bob"]);
    let version = kept[0].version.unwrap();
    let earlier = |version| vault.plain_at(id, "owner", version).unwrap();
    assert_eq!(earlier(version), kept[0].lost);
    assert_eq!(earlier(version - 1).as_deref(), Some("nobody"));
    let newest = &vault.versions(id).unwrap()[0];
    assert_eq!(newest.number, version + 1);
    assert_eq!(newest.changed, ["owner"]);
}

#[test]
fn what_one_copy_changed_knowing_of_the_other_is_not_set_aside() {
    let (here, there, id) = two_copies();
    own(&mut there.unlock(), id, "Bob");
    // Changed here alone, there alone, and one after the other.
    let mut vault = here.unlock();
    let other = |vault: &Unlocked| {
        let copy = Locked::open(&there.path).unwrap();
        copy.unlock_as(vault).unwrap()
    };
    assert_eq!(vault.written_apart(&other(&vault)).unwrap(), []);
    assert_eq!(other(&vault).written_apart(&vault).unwrap(), []);
    assert!(merge_into(&here.path, &there.path).unwrap());
    save(&mut vault);
    own(&mut vault, id, "Ada");
    assert_eq!(vault.written_apart(&other(&vault)).unwrap(), []);
}
