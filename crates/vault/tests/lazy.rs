//! One item, read without all others, is what it is among all others: over random histories of two writers, with conflicts,
//! removals, segments and snapshots.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Place, item, save};
use touchkeep_core::{ApiSecret, ItemId};
use touchkeep_vault::{Item, MAX_SEGMENTS, SecretPlace, Unlocked, VaultError};

const NAMES: [&str; 4] = ["a", "trade", "tra\"de\\\n", "tr\u{e4}de"];
const SAVES: u64 = 12;

// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

fn name(dice: &mut Dice) -> String {
    // A name has no control characters.
    NAMES[dice.below(NAMES.len())].replace('\n', " ")
}

fn change(vault: &mut Unlocked, dice: &mut Dice, round: u64) {
    let ids: Vec<ItemId> = vault.items().iter().map(|item| item.id).collect();
    let environment = vault.environment();
    if ids.len() < 3 || dice.below(6) == 0 {
        let new = item(environment, &name(dice));
        let id = new.id;
        vault.put(new).unwrap();
        let secret = ApiSecret::new(format!("first of {id}"));
        return vault.set_secret(id, secret).unwrap();
    }
    let id = ids[dice.below(ids.len())];
    let mut changed = vault.item(id).unwrap().clone();
    match dice.below(6) {
        0 => return vault.remove(id).unwrap(),
        1 => {
            let secret = ApiSecret::new(format!("value {}", dice.below(1000)));
            return vault.seal(id, secret).unwrap();
        }
        2 | 3 => {
            let secret = ApiSecret::new(format!("line\n\"{}\"", dice.below(1000)));
            return vault.set_secret(id, secret).unwrap();
        }
        4 => changed.name = name(dice),
        _ => changed.note = format!("note of round {round}"),
    }
    vault.put(changed).unwrap();
}

// Items by what `find` says of each name, and secrets of all ids that ever were.
type Seen = (
    BTreeMap<String, Result<Item, BTreeSet<ItemId>>>,
    BTreeMap<ItemId, Result<String, &'static str>>,
);

fn seen(vault: &Unlocked, ids: &BTreeSet<ItemId>) -> Seen {
    let names = NAMES.map(|name| name.replace('\n', " "));
    let found = names.map(|name| {
        let found = vault.find(&name).map_err(|error| match error {
            VaultError::NotFound => BTreeSet::new(),
            VaultError::Ambiguous(ids) => ids.into_iter().collect(),
            other => panic!("{other}"),
        });
        (name, found)
    });
    let secrets = ids.iter().map(|id| {
        let secret = vault.secret(*id).map_err(|error| match error {
            VaultError::NotFound => "not found",
            VaultError::NoSecret => "no secret",
            other => panic!("{other}"),
        });
        (*id, secret.map(|secret| secret.expose().clone()))
    });
    (found.into_iter().collect(), secrets.collect())
}

fn history(seed: u64, saves: u64) -> (usize, usize) {
    let (place, mut dice) = (Place::new(), Dice(seed));
    let mut sessions = [place.create(false), place.unlock()];
    let mut ids = BTreeSet::new();
    for round in 0..saves {
        let at = dice.below(2);
        for _ in 0..=dice.below(3) {
            change(&mut sessions[at], &mut dice, round);
        }
        save(&mut sessions[at]);
        ids.extend(sessions[at].items().iter().map(|item| item.id));
    }
    // Both know everything, whoever wrote it.
    sessions.iter_mut().for_each(save);
    let one_by_one = seen(&place.unlock(), &ids);
    let whole = place.unlock();
    let items: Vec<Item> = whole.items().into_iter().cloned().collect();
    assert!(items.iter().any(|item| item.secret == SecretPlace::Stored));
    assert_eq!(one_by_one, seen(&whole, &ids), "history {seed}");
    for session in &sessions {
        assert_eq!(one_by_one, seen(session, &ids), "history {seed}, in memory");
        let shown: Vec<Item> = session.items().into_iter().cloned().collect();
        assert_eq!(shown, items);
        assert_eq!(session.conflicts(), whole.conflicts());
    }
    let conflicts = whole.conflicts().len();
    for id in whole.conflicts() {
        assert!(whole.item(id).is_some());
    }
    (ids.len() - items.len(), conflicts)
}

#[test]
fn an_item_alone_is_what_it_is_among_all() {
    let (mut removed, mut conflicts) = (0, 0);
    for seed in 0..24 {
        let (more_removed, more_conflicts) = history(seed, SAVES);
        removed += more_removed;
        conflicts += more_conflicts;
    }
    // They came about at all.
    assert!(removed > 10 && conflicts > 5, "{removed} {conflicts}");
}

#[test]
fn and_so_it_is_after_segments_were_folded() {
    history(1000, 2 * u64::try_from(MAX_SEGMENTS).unwrap() + 5);
}
