//! What operations add up to. The order in which they are taken in makes no difference.
//!
//! Per field the last writer wins, by (clock, commit). For the secret field a write is replaced only by one that knew it:
//! two writes of which neither commit is the other's ancestor both stay, and the item is in conflict until a later write.

use std::collections::BTreeMap;

use touchkeep_core::ItemId;

use crate::{
    hash::Hash,
    history::History,
    op::{Edit, HybridClock, Op, Value},
};

/// The field whose concurrent writes are both kept.
pub const SECRET_FIELD: &str = "secret";

/// When and by which commit something was written. Ordered as writes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// The writer's clock.
    pub at: HybridClock,
    /// The commit that made it.
    pub commit: Hash,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Write {
    stamp: Stamp,
    value: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Register {
    // Ascending. One, but for a secret in conflict.
    writes: Vec<Write>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct ItemState {
    fields: BTreeMap<String, Register>,
    removed: Option<Stamp>,
}

/// The state of one environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    items: BTreeMap<ItemId, ItemState>,
    settings: BTreeMap<String, Register>,
    clock: HybridClock,
}

impl State {
    /// Takes an operation in, which `commit` added to the vault.
    pub fn apply(&mut self, op: &Op, commit: Hash, history: &History) {
        self.take(op, commit, &|earlier, later| {
            history.is_before(earlier, later)
        });
    }

    /// Takes an operation in that its writer made in knowledge of all that is here, under the name `commit`.
    pub fn apply_on_top(&mut self, op: &Op, commit: Hash) {
        self.take(op, commit, &|_, later| later == commit);
    }

    fn take(&mut self, op: &Op, commit: Hash, is_before: &dyn Fn(Hash, Hash) -> bool) {
        self.clock = self.clock.max(op.at);
        let stamp = Stamp {
            at: op.at,
            commit: op.from.unwrap_or(commit),
        };
        match &op.edit {
            Edit::Put { item, field, value } => {
                let value = value.clone();
                let fields = &mut self.items.entry(*item).or_default().fields;
                let register = fields.entry(field.clone()).or_default();
                if field == SECRET_FIELD {
                    register.keep_unseen(Write { stamp, value }, is_before);
                } else {
                    register.keep_last(Write { stamp, value });
                }
            }
            Edit::Remove(item) => {
                let removed = &mut self.items.entry(*item).or_default().removed;
                *removed = (*removed).max(Some(stamp));
            }
            Edit::Set { name, value } => {
                let value = value.clone();
                let register = self.settings.entry(name.clone()).or_default();
                register.keep_last(Write { stamp, value });
            }
        }
    }

    /// The latest clock that was taken in.
    #[must_use]
    pub const fn clock(&self) -> HybridClock {
        self.clock
    }

    /// The items that are there: written after they were removed, or never removed.
    pub fn items(&self) -> impl Iterator<Item = ItemId> {
        self.items
            .iter()
            .filter(|(_, item)| item.is_there())
            .map(|(id, _)| *id)
    }

    /// The fields of an item that are not empty.
    pub fn fields(&self, item: ItemId) -> impl Iterator<Item = (&str, &Value)> {
        let fields = self.items.get(&item).map(|item| item.fields.iter());
        fields
            .into_iter()
            .flatten()
            .filter_map(|(name, register)| Some((name.as_str(), register.value()?)))
    }

    /// Whether two writers gave the item different secrets without knowing of each other.
    #[must_use]
    pub fn is_in_conflict(&self, item: ItemId) -> bool {
        let secret = self
            .items
            .get(&item)
            .and_then(|item| item.fields.get(SECRET_FIELD));
        secret.is_some_and(|register| register.writes.len() > 1)
    }

    /// The settings that are not empty.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.settings
            .iter()
            .filter_map(|(name, register)| Some((name.as_str(), register.value()?)))
    }

    /// Operations that add up to the same, each with the commit that made it. Secrets of removed items are not among them.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Op> {
        let mut ops = Vec::new();
        let op = |stamp: Stamp, edit| Op {
            at: stamp.at,
            edit,
            from: Some(stamp.commit),
        };
        for (id, item) in &self.items {
            for (field, register) in &item.fields {
                if field == SECRET_FIELD && !item.is_there() {
                    continue;
                }
                ops.extend(register.writes.iter().map(|write| {
                    let edit = Edit::Put {
                        item: *id,
                        field: field.clone(),
                        value: write.value.clone(),
                    };
                    op(write.stamp, edit)
                }));
            }
            ops.extend(item.removed.map(|stamp| op(stamp, Edit::Remove(*id))));
        }
        for (name, register) in &self.settings {
            ops.extend(register.writes.iter().map(|write| {
                let edit = Edit::Set {
                    name: name.clone(),
                    value: write.value.clone(),
                };
                op(write.stamp, edit)
            }));
        }
        ops
    }
}

impl ItemState {
    fn is_there(&self) -> bool {
        let written = self.fields.values().flat_map(|register| &register.writes);
        written.map(|write| write.stamp).max() > self.removed
    }
}

impl Register {
    fn value(&self) -> Option<&Value> {
        self.writes.last()?.value.as_ref()
    }

    fn keep_last(&mut self, write: Write) {
        if self
            .writes
            .last()
            .is_none_or(|last| last.stamp < write.stamp)
        {
            self.writes = vec![write];
        }
    }

    fn keep_unseen(&mut self, write: Write, is_before: &dyn Fn(Hash, Hash) -> bool) {
        let replaces = |new: Stamp, old: Stamp| {
            if new.commit == old.commit {
                new.at >= old.at
            } else {
                is_before(old.commit, new.commit)
            }
        };
        let mut known = self.writes.iter();
        if known.any(|old| replaces(old.stamp, write.stamp)) {
            return;
        }
        self.writes.retain(|old| !replaces(write.stamp, old.stamp));
        self.writes.push(write);
        self.writes.sort_by_key(|write| write.stamp);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use touchkeep_core::{Id, UnixMillis, UserId, VaultId};
    use zeroize::Zeroizing;

    use super::*;
    use crate::commit::{AuditHead, Commit};

    // A diamond and its tail: 0 before 1 and 2, both before 3.
    fn history() -> History {
        let commit = |parents: &[u8]| Commit {
            vault: VaultId(Id::from_bytes([0; 16])),
            author: UserId(Id::from_bytes([0; 16])),
            members: hash(0),
            parents: parents.iter().copied().map(hash).collect(),
            live_count: 0,
            live: hash(0),
            audit: AuditHead::empty(),
            time: UnixMillis(0),
            added: vec![],
            dropped: vec![],
        };
        let commits = [(0, &[][..]), (1, &[0]), (2, &[0]), (3, &[1, 2])];
        History::of(
            commits
                .iter()
                .map(|(n, p)| (hash(*n), std::sync::Arc::new(commit(p))))
                .collect(),
        )
        .unwrap()
    }

    fn hash(n: u8) -> Hash {
        Hash([n; 32])
    }

    fn value(text: &str) -> Option<Value> {
        Some(Value::new(Zeroizing::new(text.into())))
    }

    fn item() -> ItemId {
        ItemId(Id::from_bytes([1; 16]))
    }

    fn put(ms: u64, field: &str, text: &str) -> Op {
        let edit = Edit::Put {
            item: item(),
            field: field.into(),
            value: value(text),
        };
        Op {
            at: HybridClock { ms, count: 0 },
            edit,
            from: None,
        }
    }

    fn of(ops: &[(u8, Op)]) -> State {
        let (mut state, history) = (State::default(), history());
        for (commit, op) in ops {
            state.apply(op, hash(*commit), &history);
        }
        state
    }

    #[test]
    fn two_secrets_that_did_not_know_each_other_stay_until_one_knows_both() {
        let mut ops = vec![
            (0, put(1, SECRET_FIELD, "a")),
            (1, put(5, SECRET_FIELD, "b")),
            (2, put(3, SECRET_FIELD, "c")),
        ];
        let state = of(&ops);
        assert!(state.is_in_conflict(item()));
        let shown: Vec<_> = state
            .fields(item())
            .map(|(_, v)| v.expose().to_owned())
            .collect();
        assert_eq!(shown, ["b"]);
        ops.push((3, put(2, SECRET_FIELD, "d")));
        assert!(!of(&ops).is_in_conflict(item()));
    }

    #[test]
    fn a_plain_field_has_one_value_the_last() {
        let state = of(&[(1, put(5, "name", "b")), (2, put(3, "name", "c"))]);
        assert!(!state.is_in_conflict(item()));
        assert_eq!(state.fields(item()).next().unwrap().1.expose(), "b");
    }

    #[test]
    fn a_removed_item_comes_back_only_by_a_later_write() {
        let remove = |ms| Op {
            at: HybridClock { ms, count: 0 },
            edit: Edit::Remove(item()),
            from: None,
        };
        let gone = of(&[(0, put(1, SECRET_FIELD, "a")), (1, remove(2))]);
        assert_eq!(gone.items().count(), 0);
        let left = gone.snapshot();
        assert!(left.iter().all(|op| matches!(op.edit, Edit::Remove(_))));
        let back = of(&[
            (0, put(1, "name", "a")),
            (1, remove(2)),
            (2, put(3, "name", "b")),
        ]);
        assert_eq!(back.items().count(), 1);
    }

    fn any_op() -> impl Strategy<Value = (u8, Op)> {
        let field = prop_oneof![Just("name"), Just(SECRET_FIELD)];
        let op = prop_oneof![
            4 => (field, "[ab]").prop_map(|(field, text)| put(0, field, &text).edit),
            1 => Just(Edit::Remove(item())),
            1 => "[ab]".prop_map(|text| Edit::Set { name: "s".into(), value: value(&text) }),
        ];
        (0u8..4, op).prop_map(|(commit, edit)| {
            (
                commit,
                Op {
                    at: HybridClock::default(),
                    edit,
                    from: None,
                },
            )
        })
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_a_snapshot_is_the_same(
            ops in proptest::collection::vec(any_op(), 0..12), clocks in Just((0u64..12).collect::<Vec<_>>()).prop_shuffle(),
            order in Just((0usize..12).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            // Clocks of one author never repeat; here none does.
            let ops: Vec<(u8, Op)> = ops.into_iter().zip(clocks).map(|((c, op), ms)| (c, Op { at: HybridClock { ms, count: 0 }, ..op })).collect();
            let state = of(&ops);
            let shuffled: Vec<_> = order.iter().filter_map(|at| ops.get(*at).cloned()).collect();
            prop_assert_eq!(&of(&shuffled), &state);
            // A snapshot by commit 3, and the segments that it replaced beside it (a copy that still had them).
            let snapshot: Vec<_> = state.snapshot().into_iter().map(|op| (3, op)).collect();
            let again = of(&snapshot);
            prop_assert_eq!(again.snapshot(), state.snapshot());
            prop_assert!(again.items().eq(state.items()));
            let both = [snapshot, ops].concat();
            prop_assert!(of(&both).items().eq(state.items()));
            prop_assert_eq!(of(&both).is_in_conflict(item()), state.is_in_conflict(item()));
        }
    }
}
