//! V-06: bytes changed, lengths cut, members moved, vaults spliced. All of it is refused before a key is asked for.

use std::{
    fs, panic, thread,
    time::{Duration, Instant},
};

use touchkeep_container::{Container, tar};

use crate::tally::{Draw, Tally, amount, soak};

const VAULT: &[u8] = include_bytes!("../../../container/tests/vectors/vault-1.tar");
const TEAM: &[u8] = include_bytes!("../../../container/tests/vectors/team-1.tar");

const LIMIT: Duration = Duration::from_millis(50);

// The processor's time that this thread has had.
fn spent() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

// Nothing of it is a vault; there is then nothing that could be opened. What takes long is tried again by the processor's clock: a
// busy machine is slow once, an expensive file always.
fn refused(bytes: &[u8]) -> Result<(), String> {
    let begun = Instant::now();
    parses(bytes)?;
    if begun.elapsed() <= LIMIT {
        return Ok(());
    }
    let before = spent();
    parses(bytes)?;
    let took = spent() - before;
    (took <= LIMIT)
        .then_some(())
        .ok_or_else(|| format!("it took {took:?}"))
}

fn parses(bytes: &[u8]) -> Result<(), String> {
    match panic::catch_unwind(|| Container::parse(bytes).is_ok()) {
        Err(_) => Err("it panicked".into()),
        Ok(true) => Err("it was taken for a vault".into()),
        Ok(false) => Ok(()),
    }
}

// All of them in a soak, else `few`.
fn some<T>(of: &str, points: Vec<T>, few: usize) -> Vec<T> {
    match soak() {
        0 => Draw::new(of).some(points, few),
        _ => points,
    }
}

// Tries all of these on both cores.
fn all<P: Copy + Send + Sync>(
    tally: &mut Tally,
    points: &[P],
    damage: impl Fn(P) -> Vec<u8> + Sync,
    name: impl Fn(P) -> String,
) {
    let judge = |points: &[P]| -> Vec<Result<(), String>> {
        points
            .iter()
            .map(|point| refused(&damage(*point)))
            .collect()
    };
    let (one, two) = points.split_at(points.len() / 2);
    let held = thread::scope(|scope| {
        let other = scope.spawn(|| judge(two));
        let mut held = judge(one);
        held.extend(other.join().unwrap());
        held
    });
    for (point, held) in points.iter().zip(held) {
        tally.tried(|| name(*point), held);
    }
}

fn flipped(archive: &[u8], at: usize, mask: u8) -> Vec<u8> {
    let mut bytes = archive.to_vec();
    bytes[at] ^= mask;
    bytes
}

const MASKS: [u8; 3] = [0x01, 0xff, 0x20];

// One bit, all bits, and what turns letters into capitals; in a soak each bit for itself, too.
fn flips(archive: &[u8], what: &str, few: usize) {
    Container::parse(archive).unwrap();
    let mut masks = MASKS.to_vec();
    masks.extend(
        (0..8)
            .map(|bit| 1u8 << bit)
            .filter(|mask| soak() > 0 && !MASKS.contains(mask)),
    );
    let mut draw = Draw::new(what);
    let each = (0..archive.len()).flat_map(|at| {
        let count = if soak() > 0 { masks.len() } else { 1 };
        let drawn = draw.some(masks.clone(), count);
        drawn.into_iter().map(move |mask| (at, mask))
    });
    let points = Draw::new(what).some(each.collect(), few);
    let mut tally = Tally::new("V-06", format!("{what}: bytes changed"));
    all(
        &mut tally,
        &points,
        |(at, mask)| flipped(archive, at, mask),
        |(at, mask)| format!("{at} ^ {mask:#x}"),
    );
}

fn cuts(archive: &[u8], what: &str, few: usize) {
    let lengths = some(what, (0..archive.len()).collect(), few);
    let mut tally = Tally::new("V-06", format!("{what}: lengths cut"));
    all(
        &mut tally,
        &lengths,
        |length| archive[..length].to_vec(),
        |length| length.to_string(),
    );
}

#[test]
fn every_changed_byte_is_refused() {
    flips(VAULT, "a vault of one", usize::MAX);
    flips(TEAM, "a vault of a team", amount(250, 2_000_000));
}

#[test]
fn every_cut_is_refused() {
    cuts(VAULT, "a vault of one", usize::MAX);
    cuts(TEAM, "a vault of a team", 2000);
}

// Members of a vault: names and bytes.
fn members(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let read = tar::read(archive).unwrap().into_iter();
    read.map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
        .collect()
}

fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    tar::write(
        members
            .iter()
            .map(|(name, bytes)| (name.as_str(), &**bytes)),
    )
    .unwrap()
}

// One block after the other, each in the one form of the format: what `tar::write` would refuse to write.
fn raw(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for member in members {
        let one = archive(std::slice::from_ref(member));
        bytes.extend_from_slice(&one[..one.len() - 2 * tar::BLOCK_BYTES]);
    }
    bytes.resize(bytes.len() + 2 * tar::BLOCK_BYTES, 0);
    bytes
}

#[test]
fn appended_bytes_are_refused() {
    let mut tally = Tally::new("V-06", "bytes appended");
    for vault in [VAULT, TEAM] {
        for length in [1, 2, 511, 512, 513, 1024, 10_240, 1 << 20] {
            for byte in [0u8, 0xff, b'\n'] {
                let longer = [vault, &vec![byte; length]].concat();
                tally.tried(|| format!("{length} times {byte}"), refused(&longer));
            }
        }
        for other in [VAULT, TEAM] {
            tally.tried(
                || "another archive".into(),
                refused(&[vault, other].concat()),
            );
            let bare = &vault[..vault.len() - 2 * tar::BLOCK_BYTES];
            tally.tried(
                || "another archive's members".into(),
                refused(&[bare, other].concat()),
            );
        }
    }
}

#[test]
fn members_swapped_doubled_dropped_and_renamed_are_refused() {
    let mut tally = Tally::new("V-06", "members swapped, doubled, dropped, renamed");
    for vault in [VAULT, TEAM] {
        let all = members(vault);
        assert_eq!(raw(&all), vault);
        for one in 0..all.len() {
            let mut without = all.clone();
            let gone = without.remove(one);
            tally.tried(
                || format!("without {}", gone.0),
                refused(&archive(&without)),
            );
            let mut twice = all.clone();
            twice.insert(one, gone.clone());
            tally.tried(|| format!("{} twice", gone.0), refused(&raw(&twice)));
        }
        let pairs = (0..all.len()).flat_map(|one| (one + 1..all.len()).map(move |two| (one, two)));
        for (one, two) in some("pairs", pairs.collect(), 60) {
            let mut swapped = all.clone();
            swapped.swap(one, two);
            tally.tried(
                || format!("{one} and {two} in each other's place"),
                refused(&raw(&swapped)),
            );
            let (left, right) = (swapped[one].0.clone(), swapped[two].0.clone());
            swapped[one].0 = right;
            swapped[two].0 = left;
            if all[one].1 != all[two].1 {
                tally.tried(
                    || format!("{one} and {two} under each other's name"),
                    refused(&raw(&swapped)),
                );
            }
        }
    }
}

#[test]
fn splices_of_two_vaults_are_refused() {
    let mut tally = Tally::new("V-06", "a member of one vault put into another");
    for (into, from) in [(VAULT, TEAM), (TEAM, VAULT)] {
        let (into, from) = (members(into), members(from));
        let places = (0..from.len()).flat_map(|one| (0..=into.len()).map(move |at| (one, at)));
        for (one, at) in some("splices", places.collect(), 100) {
            let (name, bytes) = &from[one];
            let mut spliced = into.clone();
            let before = spliced.get(at).cloned();
            match spliced.get_mut(at) {
                Some(place) => place.1.clone_from(bytes),
                None => {
                    spliced.retain(|(known, _)| known != name);
                    spliced.push((name.clone(), bytes.clone()));
                }
            }
            if before.is_none_or(|(_, before)| before != *bytes) {
                tally.tried(|| format!("{name} at {at}"), refused(&archive(&spliced)));
            }
        }
        // The whole of both, the first of each name.
        let mut both = into.clone();
        both.extend(
            from.iter()
                .filter(|(name, _)| into.iter().all(|(known, _)| known != name))
                .cloned(),
        );
        tally.tried(|| "both".into(), refused(&archive(&both)));
    }
}

#[test]
fn chunks_moved_inside_a_member_are_refused() {
    // age's payload is chunks of 64 KiB, each with 16 bytes that authenticate it and its place.
    const CHUNK: usize = (64 << 10) + 16;
    let folder = tempfile::tempdir().unwrap();
    let paths = crate::operation::Paths::of(folder.path());
    let mut vault = crate::operation::make(&paths.vault, &paths.pins).unwrap();
    vault.set_setting("size", &"s".repeat(200 << 10)).unwrap();
    crate::operation::save(&mut vault).unwrap();
    let all = members(&fs::read(&paths.vault).unwrap());
    let at = (0..all.len()).max_by_key(|at| all[*at].1.len()).unwrap();
    let identity = vault.audit_identity().unwrap();
    let member = &all[at].1;
    assert!(age::decrypt(&*identity, member).unwrap().len() > 200 << 10);
    // The header, its MAC and the nonce stay.
    let mac = member
        .windows(5)
        .position(|window| window == b"\n--- ")
        .unwrap();
    let payload = mac + 5 + 43 + 1 + 16;
    let chunks: Vec<&[u8]> = member[payload..].chunks(CHUNK).collect();
    assert_eq!(chunks.len(), 4);
    let mut tally = Tally::new("V-06", "chunks of a member swapped, doubled, dropped");
    let mut try_order = |order: &[usize]| {
        let moved: Vec<&[u8]> = order.iter().map(|at| chunks[*at]).collect();
        let moved = [&member[..payload], &moved.concat()].concat();
        let mut spliced = all.clone();
        spliced[at].1.clone_from(&moved);
        // The signed list refuses it; and where somebody who may sign put it there, age does.
        let opened = age::decrypt(&*identity, &moved).is_err();
        let opened = opened
            .then_some(())
            .ok_or_else(|| "age opened it".to_owned());
        tally.tried(
            || format!("{order:?}"),
            refused(&archive(&spliced)).and(opened),
        );
    };
    for one in 0..chunks.len() {
        let whole: Vec<usize> = (0..chunks.len()).collect();
        let mut dropped = whole.clone();
        dropped.remove(one);
        try_order(&dropped);
        let mut doubled = whole.clone();
        doubled.insert(one, one);
        try_order(&doubled);
        for two in one + 1..chunks.len() {
            let mut swapped = whole.clone();
            swapped.swap(one, two);
            try_order(&swapped);
        }
        try_order(&whole[..one]);
    }
}
