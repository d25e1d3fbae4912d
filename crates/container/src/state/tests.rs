//! Tests of what operations add up to.

use std::{collections::HashMap, ops::Range};

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

// A state, and the parts that it is of, to be looked at again.
#[derive(Default)]
struct World {
    state: State,
    texts: HashMap<MemberName, String>,
}

impl World {
    fn add(&mut self, name: MemberName, commit: Hash, text: &str, history: &History) {
        let read = ReadPart::read(name, commit, text.as_bytes(), history).unwrap();
        self.state.add(read);
        self.texts.insert(name, text.to_owned());
    }

    fn told(&self, places: Vec<Place>) -> Vec<Told> {
        let read = |place: Place| {
            let text = self.texts[&place.part].as_bytes();
            let line = place.of(text).unwrap().to_vec();
            Told::read(place, &line).unwrap()
        };
        places.into_iter().map(read).collect()
    }

    fn item<T>(&self, id: ItemId, history: &History, look: impl FnOnce(ItemState<'_>) -> T) -> T {
        look(ItemState::of(&self.told(self.state.places(id)), history).unwrap())
    }

    // All that tells of the items in some parts.
    fn told_of(&self, ids: &[ItemId]) -> Vec<Told> {
        let places = ids.iter().flat_map(|id| self.state.places(*id));
        self.told(places.collect())
    }
}

// Each operation in a segment of its own.
fn of(acts: &[(u8, u64, Act)]) -> World {
    let (mut world, history) = (World::default(), history());
    for (number, (commit, ms, act)) in (0..).zip(acts) {
        world.add(
            name(false, number),
            hash(*commit),
            &text(*ms, act),
            &history,
        );
    }
    world
}

fn shown(world: &World) -> Vec<(String, String)> {
    let told = world.told_of(&[item()]);
    let Some(item) = ItemState::of(&told, &history()) else {
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
    let world = of(&acts);
    assert!(conflicts(&world));
    assert_eq!(shown(&world), [("secret".into(), "sealed:b".into())]);
    acts.push((3, 2, put(SECRET_FIELD, "sealed:d")));
    assert!(!conflicts(&of(&acts)));
}

#[test]
fn a_plain_field_has_one_value_the_last() {
    let state = of(&[(1, 5, put("name", "b")), (2, 3, put("name", "c"))]);
    assert!(!conflicts(&state));
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
    let add = |world: &mut World, commit: u8, act: Act| {
        let number = u32::try_from(world.texts.len()).unwrap();
        let text = text(op::MAX_CLOCK_MS, &act);
        world.add(name(false, number), hash(commit), &text, &history);
    };
    for (first, then, is_there) in [
        (put("name", "z"), put("name", "a"), true),
        (Act::Remove, put("name", "a"), true),
        (put("name", "a"), Act::Remove, false),
    ] {
        let mut world = World::default();
        add(&mut world, 4, then);
        add(&mut world, 9, first);
        world.item(item(), &history, |item| {
            assert_eq!(item.is_there(), is_there);
            let mut fields = item.fields();
            assert_eq!(fields.next().unwrap().1.to_value().expose(), "a");
        });
    }
}

#[test]
fn a_removed_item_comes_back_only_by_a_later_write() {
    let gone = [(0, 1, put(SECRET_FIELD, "stored:a")), (1, 2, Act::Remove)];
    let (world, history) = (of(&gone), history());
    assert!(!is_there(&world));
    let texts = [
        (hash(0), &*text(1, &gone[0].2)),
        (hash(1), &*text(2, &gone[1].2)),
    ];
    let folded = world.state.folded(
        &texts.map(|(c, t)| (c, t.as_str())),
        &world.told_of(&[item()]),
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
    assert!(is_there(&back));
}

#[test]
fn a_stored_secret_is_not_shown_and_found_where_it_stands() {
    let secret = format!("{STORED}line\nwith \"quotes\" and \u{e9}");
    let world = of(&[(0, 1, put(SECRET_FIELD, &secret))]);
    let places = world.state.secret_places(item());
    assert_eq!(places, world.state.places(item()));
    assert_eq!(places[0].part, name(false, 0));
    assert_eq!(shown(&world), [("secret".into(), STORED.into())]);
    world.item(item(), &history(), |item| {
        assert_eq!(
            *item.secret(SECRET_FIELD).unwrap().to_value().expose(),
            secret
        );
    });
    let told = world.told(places);
    let stands_in = |field| Vec::from_iter(parts_with_secret(&told, field));
    assert_eq!(stands_in(SECRET_FIELD), [name(false, 0).to_string()]);
    assert!(stands_in("secret.passphrase").is_empty());
}

// What stands at a place is what stood there when the part was read, or nothing is read.
#[test]
fn what_is_not_the_line_of_an_item_is_not_told_of_it() {
    let world = of(&[(0, 1, put("name", "a"))]);
    let place = world.state.places(item()).remove(0);
    let line = text(1, &put("name", "a"));
    let other = line.replace(&item().to_string(), &ItemId::random().to_string());
    let settings = text(1, &Act::Set("a".into()));
    for bad in [
        "",
        &line[1..],
        &line[..line.len() - 1],
        &format!("{}{}", &*line, &*line),
        &other,
        &settings,
        &format!("{{\"from\":\"{}\"}}\n", hash(0)),
        &line.replace("\"a\"", "\"\\u0061\""),
    ] {
        let told = Told::read(place.clone(), bad.as_bytes());
        assert_eq!(told.err(), Some(BadPart::Changed), "{bad}");
        let alone = ItemState::of_one(&place, bad.as_bytes(), &history());
        assert_eq!(alone.err(), Some(BadPart::Changed), "{bad}");
    }
    assert!(Told::read(place, line.as_bytes()).is_ok());
}

#[test]
fn only_a_snapshot_speaks_for_others_and_only_for_what_came_before() {
    let history = history();
    let speak = |snapshot, by: u8, of: u8| {
        let mut writer = Writer::default();
        writer.from(hash(of));
        writer.op(HybridClock::default(), &Edit::Remove(item()));
        let text = writer.finish();
        ReadPart::read(name(snapshot, 1), hash(by), text.as_bytes(), &history).map(drop)
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

fn is_there(world: &World) -> bool {
    let told = world.told_of(&[item()]);
    ItemState::of(&told, &history()).is_some_and(|item| item.is_there())
}

fn conflicts(world: &World) -> bool {
    let told = world.told_of(&[item()]);
    ItemState::of(&told, &history()).is_some_and(|item| item.is_in_conflict())
}

fn settings(world: &World) -> Vec<String> {
    let history = history();
    let settings = world.state.settings(&history).into_iter();
    settings
        .map(|(_, text)| text.to_value().expose().to_owned())
        .collect()
}

// A line as a second reader has it: JSON, and the bytes between its ends.
struct Plain {
    part: MemberName,
    commit: Hash,
    bytes: Range<u64>,
    json: serde_json::Value,
}

impl Plain {
    fn all(world: &World, commits: &HashMap<MemberName, Hash>) -> Vec<Self> {
        let mut all = Vec::new();
        for (part, text) in &world.texts {
            let (mut commit, mut start) = (commits[part], 0);
            for line in text.split_inclusive('\n') {
                let bytes = start..start + line.len() as u64;
                start = bytes.end;
                let json: serde_json::Value = serde_json::from_str(line).unwrap();
                match json["from"].as_str() {
                    Some(from) => commit = from.parse().unwrap(),
                    None => all.push(Self {
                        part: *part,
                        commit,
                        bytes,
                        json,
                    }),
                }
            }
        }
        all
    }

    fn is_of(&self, id: ItemId) -> bool {
        self.json["item"] == id.to_string()
    }
}

fn other_item() -> ItemId {
    ItemId(Id::from_bytes([9; 16]))
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
            let folded = state.state.folded(&borrowed, &state.told_of(&[item()]), &history, &Replaced::default(), 60);
            for (number, text) in (100..).zip(folded) {
                again.add(name(true, number), hash(3), &text, &history);
            }
            prop_assert_eq!(is_there(&again), is_there(&state));
            prop_assert_eq!(settings(&again), settings(&state));
            if is_there(&state) {
                prop_assert_eq!(shown(&again), shown(&state));
                prop_assert_eq!(conflicts(&again), conflicts(&state));
            }
        }
    }

    // Parts of several lines, of two items, segments and snapshots: each line that tells of an item is found, with the commit that made it,
    // and no other; and the lines that say its secret add up to the same secret as all of its lines.
    #[test]
    fn the_index_finds_what_a_second_reader_finds(
        parts in proptest::collection::vec((any::<bool>(), 0u8..4, proptest::collection::vec((any_act(), any::<bool>(), 0u64..9), 0..8)), 0..6),
    ) {
        let (mut world, history, mut commits) = (World::default(), history(), HashMap::new());
        for (number, (is_snapshot, commit, lines)) in (0..).zip(&parts) {
            let mut whole = String::new();
            for ((of, act), is_other, ms) in lines {
                // Commit 3 speaks for all others.
                if *is_snapshot && *commit == 3 && *of != 3 {
                    whole.push_str(&format!("{{\"from\":\"{}\"}}\n", hash(*of)));
                }
                let line = text(*ms, act);
                let other = other_item().to_string();
                whole.push_str(&if *is_other { line.replace(&item().to_string(), &other) } else { line.to_string() });
            }
            commits.insert(name(*is_snapshot, number), hash(*commit));
            world.add(name(*is_snapshot, number), hash(*commit), &whole, &history);
        }
        let plain = Plain::all(&world, &commits);
        for id in [item(), other_item()] {
            let key = |part: MemberName, start: u64| (part.to_string(), start);
            let mut expected: Vec<_> = plain.iter().filter(|line| line.is_of(id)).map(|l| (key(l.part, l.bytes.start), l.bytes.end, l.commit)).collect();
            expected.sort();
            let mut found: Vec<_> = world.state.places(id).iter().map(|p| (key(p.part, p.bytes.start), p.bytes.end, p.commit)).collect();
            found.sort();
            prop_assert_eq!(world.state.known_items().get(&id).copied().unwrap_or_default(), expected.len());
            prop_assert_eq!(world.state.knows(id), !expected.is_empty());
            prop_assert_eq!(found, expected);
            for place in world.state.places(id) {
                let text = &world.texts[&place.part];
                let kept = world.state.kept(&place);
                prop_assert_eq!(kept.is_none(), text.contains("\"secret"));
                prop_assert!(kept.is_none_or(|kept| Some(kept) == place.of(text.as_bytes())));
            }
            for called in ["stored:a", "sealed:b"] {
                let is_called = |line: &Plain| line.is_of(id) && line.json["set"]["name"] == called;
                prop_assert_eq!(world.state.maybe_named(called).contains(&id), plain.iter().any(is_called));
            }
            let secret = |places: Vec<Place>| {
                let told = world.told(places);
                let state = ItemState::of(&told, &history);
                state.map(|state| [SECRET_FIELD, "secret.passphrase"].map(|field| {
                    let parts = parts_with_secret(&told, field);
                    (state.secret(field).map(|it| it.escaped().to_owned()), parts, state.conflicts().any(|it| it == field))
                }))
            };
            let of_all = secret(world.state.places(id)).unwrap_or_default();
            prop_assert_eq!(&secret(world.state.secret_places(id)).unwrap_or_default(), &of_all);
            for (at, field) in [SECRET_FIELD, "secret.passphrase"].into_iter().enumerate() {
                let places = world.state.places_of_secret(id, field);
                let says_it = |line: &Plain| line.is_of(id) && line.json["set"].get(field).is_some();
                prop_assert_eq!(!places.is_empty(), plain.iter().any(says_it));
                prop_assert_eq!(&secret(places).unwrap_or_default()[at], &of_all[at]);
            }
        }
    }
}

#[test]
fn of_two_secrets_that_one_commit_writes_with_one_reading_the_same_one_is_taken_in_any_order() {
    let acts = ["b", "c", "a"].map(|text| (1, 5, put(SECRET_FIELD, &format!("sealed:{text}"))));
    for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let world = of(&order.map(|at: usize| acts[at].clone()));
        assert_eq!(shown(&world), [("secret".into(), "sealed:c".into())]);
        assert!(!conflicts(&world));
    }
}
