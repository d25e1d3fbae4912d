//! The n-th system call of each kind that an append makes fails, or the process dies there.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use touchkeep_audit::{Decision, Event, Head, Kind, Log, Query, Verdict};

use crate::{
    child::{self, BEGINS, ENDS, Said, child},
    support::{VAULT, World},
    tally::{Draw, Tally, soak},
};

const CALLS: [&str; 15] = [
    "openat",
    "read",
    "pread64",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "ftruncate",
    "fallocate",
    "unlink",
    "fcntl",
    "close",
    "newfstatat",
    "statx",
    "mmap",
];
const ERRORS: [&str; 4] = ["ENOSPC", "EIO", "EACCES", "EINTR"];
/// Rows before: the block of 256 becomes full in the middle of what is struck.
const BEFORE: u64 = 253;
/// Intents that the child records, each with its outcome.
const INTENTS: u64 = 3;

#[derive(Debug, Clone, Copy)]
enum Fault {
    Kill,
    Once(&'static str),
    FromThenOn(&'static str),
}

#[derive(Debug, Clone, Copy)]
struct Point {
    call: &'static str,
    nth: usize,
    fault: Fault,
}

#[test]
fn every_call_of_an_append_struck() {
    let (world, before) = World::with_blocks(BEFORE);
    let whole = fs::read(&world.path).unwrap();
    let calls = calls_of(&world, &whole);
    assert!(
        calls.contains_key("fdatasync") && calls.contains_key("pwrite64"),
        "{calls:?}"
    );
    let all = points(&calls);
    let points = match soak() {
        0 => Draw::new("append").some(all, 16),
        _ => all,
    };
    let mut tally = Tally::new(
        "A-06 A-07",
        "record three intents, their outcomes and a checkpoint",
    );
    let (mut lost, mut kept) = (0, 0);
    for (point, (rows, judged)) in points.iter().zip(try_each(&points, &whole, &before)) {
        match rows {
            rows if rows < 2 * INTENTS => lost += 1,
            _ => kept += 1,
        }
        tally.tried(|| format!("{point:?}"), judged);
    }
    tally.saw(format!(
        "{kept} recorded all, {lost} refused or died before"
    ));
    assert!(lost > 0 && kept > 0);
}

// How many rows were acknowledged, and whether it held. Several are tried at a time: SQLite takes a lock that cannot be had for one that
// somebody else holds, and waits for it as long as it may, which nearly every point of `fcntl` comes to.
fn try_each(points: &[Point], whole: &[u8], before: &Head) -> Vec<(u64, Result<(), String>)> {
    const AT_A_TIME: usize = 8;
    let next = AtomicUsize::new(0);
    let tried = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                let world = World::of_file(whole);
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(point) = points.get(n) else { break };
                    let said = strike(&world, whole, *point);
                    let judged = judge(&world, before, &said, *point);
                    let rows = said.acknowledged.len() as u64;
                    tried.lock().unwrap().push((n, (rows, judged)));
                }
            });
        }
    });
    let mut tried = tried.into_inner().unwrap();
    tried.sort_by_key(|(n, _)| *n);
    assert_eq!(tried.len(), points.len());
    tried.into_iter().map(|(_, tried)| tried).collect()
}

fn points(calls: &BTreeMap<&'static str, (usize, usize)>) -> Vec<Point> {
    let mut faults = vec![Fault::Kill];
    faults.extend(ERRORS.map(Fault::Once));
    faults.extend(["ENOSPC", "EIO"].map(Fault::FromThenOn));
    let mut points = Vec::new();
    for (call, (first, last)) in calls {
        for nth in *first..=*last {
            for fault in &faults {
                // strace would leave the file open, and its lock held. Linux closes it whatever it answers.
                if *call != "close" || matches!(fault, Fault::Kill) {
                    points.push(Point {
                        call,
                        nth,
                        fault: *fault,
                    });
                }
            }
        }
    }
    points
}

fn restore(world: &World, whole: &[u8]) {
    for end in ["-wal", "-shm"] {
        let _gone = fs::remove_file(with_end(&world.path, end));
    }
    fs::write(&world.path, whole).unwrap();
}

fn with_end(path: &Path, end: &str) -> std::path::PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}

fn strace(world: &World, more: &[String]) -> Vec<String> {
    let trace = with_end(&world.path, ".trace");
    let mut strace: Vec<String> = [
        "timeout",
        "60",
        "strace",
        "-f",
        "-qq",
        "-e",
        "signal=none",
        "-o",
    ]
    .map(str::to_owned)
    .into();
    strace.push(trace.display().to_string());
    strace.extend_from_slice(more);
    strace
}

// Of each kind, the number of the first call that appending makes, and of the last.
fn calls_of(world: &World, whole: &[u8]) -> BTreeMap<&'static str, (usize, usize)> {
    restore(world, whole);
    let traced = format!("trace=?{}", CALLS.join(",?"));
    let strace = strace(world, &["-e".to_owned(), traced]);
    let output = child(&world.path, INTENTS, &strace)
        .output()
        .expect("strace is installed");
    assert_eq!(
        Said::of(&output.stdout).acknowledged.len() as u64,
        2 * INTENTS
    );
    let trace = fs::read_to_string(with_end(&world.path, ".trace")).unwrap();
    let begins = trace.lines().find(|line| line.contains(BEGINS)).unwrap();
    let own = begins.split_whitespace().next().unwrap();
    let mut calls: BTreeMap<&'static str, (usize, usize)> = BTreeMap::new();
    let mut inside = false;
    for line in trace
        .lines()
        .filter(|line| line.split_whitespace().next() == Some(own))
    {
        inside |= line.contains(BEGINS);
        if line.contains(ENDS) {
            break;
        }
        let rest = line[own.len()..].trim_start();
        let of = |call: &&&str| {
            rest.strip_prefix(**call)
                .is_some_and(|rest| rest.starts_with('('))
        };
        if let Some(call) = CALLS.iter().find(of) {
            let (first, last) = calls.entry(*call).or_insert((0, 0));
            *last += 1;
            if inside && *first == 0 {
                *first = *last;
            }
        }
    }
    calls.retain(|_, (first, _)| *first > 0);
    calls
}

fn strike(world: &World, whole: &[u8], point: Point) -> Said {
    restore(world, whole);
    let Point { call, nth, fault } = point;
    let inject = match fault {
        Fault::Kill => format!("inject={call}:signal=SIGKILL:when={nth}"),
        Fault::Once(error) => format!("inject={call}:error={error}:when={nth}"),
        Fault::FromThenOn(error) => format!("inject={call}:error={error}:when={nth}+"),
    };
    let more = [
        "-e".to_owned(),
        format!("trace={call}"),
        "-e".to_owned(),
        inject,
    ];
    let output = child(&world.path, INTENTS, &strace(world, &more))
        .output()
        .unwrap();
    Said::of(&output.stdout)
}

// Whatever was acknowledged is there and can be read; nothing is half there; the next to come goes on.
fn judge(world: &World, before: &Head, said: &Said, point: Point) -> Result<(), String> {
    let size = match world.verify(Some(before)) {
        Verdict::Sound { head, signed } => {
            if said.signed.is_some_and(|size| signed < size) {
                return Err(format!(
                    "it said that it was signed up to {:?}, and is up to {signed}",
                    said.signed
                ));
            }
            head.size
        }
        Verdict::Damaged(damage) => return Err(format!("damaged: {damage}")),
    };
    if let Some(lost) = said.acknowledged.iter().find(|seq| **seq > size) {
        return Err(format!(
            "row {lost} was acknowledged, and the log has {size}"
        ));
    }
    if size > BEFORE + 2 * INTENTS {
        return Err(format!(
            "{size} rows, where at most {} were recorded",
            BEFORE + 2 * INTENTS
        ));
    }
    let log = Log::open_locked(&world.path, VAULT).map_err(|error| error.to_string())?;
    let all = Query {
        limit: 1000,
        ..Query::default()
    };
    let rows = log
        .list(&all, Some(&world.identity))
        .map_err(|error| error.to_string())?
        .rows;
    let whole = |row: &&touchkeep_audit::Row| {
        let text = row.event.as_ref().map_or(0, |event| event.text.len());
        row.seq <= BEFORE || row.kind != Kind::Intent || [20, child::LONG].contains(&text)
    };
    if rows.len() as u64 != size || !rows.iter().all(|row| whole(&row)) {
        return Err("rows cannot be read as they were recorded".to_owned());
    }
    let outcomes = said
        .acknowledged
        .iter()
        .filter(|seq| {
            rows.iter()
                .any(|row| row.seq == **seq && row.closes.is_some())
        })
        .count();
    let unfinished = log.unfinished().map_err(|error| error.to_string())?;
    let closed: Vec<_> = rows.iter().filter_map(|row| row.closes).collect();
    if unfinished.iter().any(|seq| closed.contains(seq)) || (outcomes > 0 && closed.is_empty()) {
        return Err("an outcome is not the outcome of its intent".to_owned());
    }
    let next = log
        .record(&Event::new(Kind::Locked, Decision::Info))
        .map_err(|error| format!("next: {error}"))?;
    if next != size + 1 {
        return Err(format!("the next row is {next} after {size}"));
    }
    drop(log);
    match world.verify(None) {
        Verdict::Sound { .. } => Ok(()),
        Verdict::Damaged(damage) => Err(format!("after the next row: {damage} ({point:?})")),
    }
}

// A limit on the size of a file stands for a disk that is full: at every size at which an append can stop.
#[test]
fn a_disk_that_is_full_at_every_size() {
    let (world, before) = World::with_blocks(BEFORE);
    let whole = fs::read(&world.path).unwrap();
    let mut tally = Tally::new("A-07", "a disk that is full after so many KiB");
    let sizes: Vec<u64> = (0..=400)
        .step_by(if soak() == 0 { 40 } else { 2 })
        .collect();
    let (mut refused, mut recorded) = (0, 0);
    for kib in sizes {
        restore(&world, &whole);
        let limit = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
        let shell = ["bash".to_owned(), "-c".to_owned(), limit];
        let said = Said::of(&child(&world.path, 30, &shell).output().unwrap().stdout);
        refused += usize::from(said.refused > 0);
        recorded += said.acknowledged.len();
        let held = match world.verify(Some(&before)) {
            Verdict::Sound { head, .. } if head.size == BEFORE + said.acknowledged.len() as u64 => {
                Ok(())
            }
            other => Err(format!(
                "{} acknowledged, {other:?}",
                said.acknowledged.len()
            )),
        };
        let held = held.and_then(|()| {
            let log = Log::open_locked(&world.path, VAULT).map_err(|error| error.to_string())?;
            log.record(&Event::new(Kind::Locked, Decision::Info))
                .map(drop)
                .map_err(|error| error.to_string())
        });
        tally.tried(|| format!("{kib} KiB"), held);
    }
    tally.saw(format!("{refused} found it full, {recorded} rows recorded"));
    assert!(refused > 0 && recorded > 0);
}
