//! Tests of what operations add up to.

use proptest::prelude::*;
use touchkeep_core::{EnvironmentId, Id, UnixMillis, UserId, VaultId};

use super::*;
use crate::{
    commit::{AuditHead, Commit},
    name::Part,
};

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
    let commits = commits
        .iter()
        .map(|(n, p)| (hash(*n), std::sync::Arc::new(commit(p))));
    History::of(commits.collect(), BTreeMap::new()).unwrap()
}

fn hash(n: u8) -> Hash {
    Hash([n; 32])
}

fn item() -> ItemId {
    ItemId(Id::from_bytes([1; 16]))
}

fn name(snapshot: bool, number: u32) -> MemberName {
    let part = Part {
        environment: EnvironmentId(Id::from_bytes([2; 16])),
        number,
        random: Id::from_bytes([3; 16]),
    };
    if snapshot {
        MemberName::Snapshot(part)
    } else {
        MemberName::Segment(part)
    }
}

#[derive(Debug, Clone)]
enum Act {
    Put(&'static str, String),
    Remove,
    Set(String),
}

fn text(ms: u64, act: &Act) -> Zeroizing<String> {
    let mut writer = Writer::default();
    let at = HybridClock { ms, count: 0 };
    match act {
        Act::Put(field, value) => {
            let fields = vec![(*field, Some(Written::Plain(value)))];
            writer.op(at, &Edit::Put(item(), fields));
        }
        Act::Remove => writer.op(at, &Edit::Remove(item())),
        Act::Set(value) => writer.op(at, &Edit::Set(vec![("s", Some(Written::Plain(value)))])),
    }
    writer.finish()
}

// Each operation in a segment of its own.
fn of(acts: &[(u8, u64, Act)]) -> State {
    let (mut state, history) = (State::default(), history());
    for (number, (commit, ms, act)) in (0..).zip(acts) {
        let text = Zeroizing::new(text(*ms, act).as_bytes().to_vec());
        state.add(ReadPart::read(name(false, number), hash(*commit), text, &history).unwrap());
    }
    state
}

fn shown(state: &State) -> Vec<(String, String)> {
    let Some(item) = state.item(item(), &history()) else {
        return Vec::new();
    };
    let fields = item.fields();
    fields
        .map(|(name, text)| (name.into(), text.to_value().expose().to_owned()))
        .collect()
}

fn put(field: &'static str, value: &str) -> Act {
    Act::Put(field, value.into())
}

#[test]
fn two_secrets_that_did_not_know_each_other_stay_until_one_knows_both() {
    let mut acts = vec![
        (0, 1, put(SECRET_FIELD, "sealed:a")),
        (1, 5, put(SECRET_FIELD, "sealed:b")),
        (2, 3, put(SECRET_FIELD, "sealed:c")),
    ];
    let (state, history) = (of(&acts), history());
    assert!(state.item(item(), &history).unwrap().is_in_conflict());
    assert_eq!(shown(&state), [("secret".into(), "sealed:b".into())]);
    acts.push((3, 2, put(SECRET_FIELD, "sealed:d")));
    assert!(!of(&acts).item(item(), &history).unwrap().is_in_conflict());
}

#[test]
fn a_plain_field_has_one_value_the_last() {
    let state = of(&[(1, 5, put("name", "b")), (2, 3, put("name", "c"))]);
    assert!(!state.item(item(), &history()).unwrap().is_in_conflict());
    assert_eq!(shown(&state), [("name".into(), "b".into())]);
}

// Of its name's hash alone, the second commit would lose.
#[test]
fn nobody_has_the_last_word_by_writing_with_the_last_clock() {
    let parents = [(9, vec![]), (4, vec![hash(9)])];
    let (_, like) = history()
        .commits()
        .first_key_value()
        .map(|(h, c)| (*h, c.clone()))
        .unwrap();
    let commits = parents.into_iter().map(|(n, parents)| {
        let commit = Commit {
            parents,
            ..(*like).clone()
        };
        (hash(n), std::sync::Arc::new(commit))
    });
    let history = History::of(commits.collect(), BTreeMap::new()).unwrap();
    let add = |state: &mut State, commit: u8, act: Act| {
        let number = u32::try_from(state.parts.len()).unwrap();
        let text = Zeroizing::new(text(op::MAX_CLOCK_MS, &act).as_bytes().to_vec());
        state.add(ReadPart::read(name(false, number), hash(commit), text, &history).unwrap());
    };
    for (first, then, is_there) in [
        (put("name", "z"), put("name", "a"), true),
        (Act::Remove, put("name", "a"), true),
        (put("name", "a"), Act::Remove, false),
    ] {
        let mut state = State::default();
        add(&mut state, 4, then);
        add(&mut state, 9, first);
        let item = state.item(item(), &history).unwrap();
        assert_eq!(item.is_there(), is_there);
        let mut fields = item.fields();
        assert_eq!(fields.next().unwrap().1.to_value().expose(), "a");
    }
}

#[test]
fn a_removed_item_comes_back_only_by_a_later_write() {
    let gone = [(0, 1, put(SECRET_FIELD, "stored:a")), (1, 2, Act::Remove)];
    let (state, history) = (of(&gone), history());
    assert!(!state.item(item(), &history).unwrap().is_there());
    let texts = [
        (hash(0), &*text(1, &gone[0].2)),
        (hash(1), &*text(2, &gone[1].2)),
    ];
    let folded = state.folded(
        &texts.map(|(c, t)| (c, t.as_str())),
        &history,
        &Replaced::default(),
        1 << 20,
    );
    assert!(
        folded
            .iter()
            .all(|text| !text.contains("stored") && text.contains("removed"))
    );
    let back = of(&[
        (0, 1, put("name", "a")),
        (1, 2, Act::Remove),
        (2, 3, put("name", "b")),
    ]);
    assert!(back.item(item(), &history).unwrap().is_there());
}

#[test]
fn a_stored_secret_is_nowhere_in_memory_and_found_again_in_its_part() {
    let secret = "line\nwith \"quotes\" and \u{e9}";
    let plain = text(1, &put(SECRET_FIELD, &format!("{STORED}{secret}")));
    let state = of(&[(0, 1, put(SECRET_FIELD, &format!("{STORED}{secret}")))]);
    assert!(state.parts.values().all(|part| {
        let text = String::from_utf8_lossy(&part.text).into_owned();
        text.contains("stored:****") && !text.contains("quotes")
    }));
    let place = state
        .item(item(), &history())
        .unwrap()
        .stored_secret(SECRET_FIELD)
        .unwrap();
    assert_eq!(place.part, name(false, 0));
    let range =
        usize::try_from(place.bytes.start).unwrap()..usize::try_from(place.bytes.end).unwrap();
    let read = Place::read(&plain.as_bytes()[range]).unwrap();
    assert_eq!(read.expose(), secret);
}

#[test]
fn only_a_snapshot_speaks_for_others_and_only_for_what_came_before() {
    let history = history();
    let speak = |snapshot, by: u8, of: u8| {
        let mut writer = Writer::default();
        writer.from(hash(of));
        writer.op(HybridClock::default(), &Edit::Remove(item()));
        let text = Zeroizing::new(writer.finish().as_bytes().to_vec());
        ReadPart::read(name(snapshot, 1), hash(by), text, &history).map(drop)
    };
    assert_eq!(speak(true, 3, 1), Ok(()));
    for (snapshot, by, of) in [
        (false, 3, 1),
        (true, 1, 2),
        (true, 1, 1),
        (true, 1, 3),
        (true, 3, 9),
    ] {
        assert_eq!(speak(snapshot, by, of), Err(BadPart::From));
    }
}

fn any_act() -> impl Strategy<Value = (u8, Act)> {
    let field = prop_oneof![Just("name"), Just(SECRET_FIELD), Just("secret.passphrase")];
    let act = prop_oneof![
        4 => (field, "(stored:|sealed:)[ab]").prop_map(|(field, text)| Act::Put(field, text)),
        1 => Just(Act::Remove),
        1 => "[ab]".prop_map(Act::Set),
    ];
    (0u8..4, act)
}

fn is_there(state: &State) -> bool {
    state
        .item(item(), &history())
        .is_some_and(|item| item.is_there())
}

fn conflicts(state: &State) -> bool {
    state
        .item(item(), &history())
        .is_some_and(|item| item.is_in_conflict())
}

fn settings(state: &State) -> Vec<String> {
    let settings = state.settings(&history()).into_iter();
    settings
        .map(|(_, text)| text.to_value().expose().to_owned())
        .collect()
}

proptest! {
    #[test]
    fn order_does_not_matter_and_what_is_folded_is_the_same(
        acts in proptest::collection::vec(any_act(), 0..12), clocks in Just((0u64..12).collect::<Vec<_>>()).prop_shuffle(),
        order in Just((0usize..12).collect::<Vec<_>>()).prop_shuffle(), some in 0usize..12,
    ) {
        // Clocks of one author never repeat; here none does.
        let acts: Vec<(u8, u64, Act)> = acts.into_iter().zip(clocks).map(|((c, act), ms)| (c, ms, act)).collect();
        let state = of(&acts);
        let shuffled: Vec<_> = order.iter().filter_map(|at| acts.get(*at).cloned()).collect();
        let other = of(&shuffled);
        prop_assert_eq!(shown(&other), shown(&state));
        prop_assert_eq!((is_there(&other), conflicts(&other), settings(&other)), (is_there(&state), conflicts(&state), settings(&state)));
        // Some of the parts are folded by commit 3, and once the parts that it replaced stand beside it (a copy that still had them).
        let (folds, rest) = acts.split_at(some.min(acts.len()));
        let texts: Vec<_> = folds.iter().map(|(c, ms, act)| (hash(*c), text(*ms, act))).collect();
        let borrowed: Vec<_> = texts.iter().map(|(c, t)| (*c, t.as_str())).collect();
        let history = history();
        // Commit 3 speaks for the others; its own operations it would not fold.
        if folds.iter().any(|(c, _, _)| *c == 3) {
            return Ok(());
        }
        for beside in [rest, &acts[..]] {
            let mut again = of(beside);
            for (number, text) in (100..).zip(state.folded(&borrowed, &history, &Replaced::default(), 60)) {
                let text = Zeroizing::new(text.as_bytes().to_vec());
                again.add(ReadPart::read(name(true, number), hash(3), text, &history).unwrap());
            }
            prop_assert_eq!(is_there(&again), is_there(&state));
            prop_assert_eq!(settings(&again), settings(&state));
            if is_there(&state) {
                prop_assert_eq!(shown(&again), shown(&state));
                prop_assert_eq!(conflicts(&again), conflicts(&state));
            }
        }
    }
}
