//! The n-th call of a kind is made to fail, for n = 1, 2, 3 … until there is no n-th call.
//!
//! A process under `strace` does one operation. What it does before the operation begins is not struck; how many calls of each
//! kind that is, and how many the operation itself makes, is counted in an undisturbed run.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus},
};

use crate::{
    operation::{BEGINS, ENDS, Operation, REFUSED, SAVED},
    oracle::{Side, judge},
    scene::Scene,
    tally::{Draw, Tally, soak},
};

/// Every call by which a save reaches the disk, on any machine; only those that the operation makes are struck.
const CALLS: [&str; 20] = [
    "open",
    "openat",
    "write",
    "pwrite64",
    "writev",
    "read",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "ftruncate",
    "unlink",
    "unlinkat",
    "close",
    "link",
    "linkat",
    "chmod",
    "fchmod",
    "flock",
];

/// What is done to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill,
    /// The call fails with this, once.
    Once(&'static str),
    /// It fails, and so do all that follow.
    FromThenOn(&'static str),
    /// It fails three times and then no more: what is interrupted is tried again.
    Thrice(&'static str),
    /// The kernel says that one byte was taken, and takes none.
    Lie,
}

impl Fault {
    const ALL: [Self; 12] = [
        Self::Kill,
        Self::Once("ENOSPC"),
        Self::Once("EIO"),
        Self::Once("EACCES"),
        Self::Once("EINTR"),
        Self::Once("EMFILE"),
        Self::FromThenOn("ENOSPC"),
        Self::FromThenOn("EIO"),
        Self::FromThenOn("EACCES"),
        Self::FromThenOn("EMFILE"),
        Self::Thrice("EINTR"),
        Self::Lie,
    ];

    fn fits(self, call: &str) -> bool {
        match self {
            Self::Lie => matches!(call, "write" | "pwrite64"),
            Self::Kill => true,
            // strace would leave the file open, and its lock held. Linux closes it whatever it answers.
            _ => call != "close",
        }
    }

    fn injected(self, call: &str, nth: usize) -> String {
        match self {
            Self::Kill => format!("inject={call}:signal=SIGKILL:when={nth}"),
            Self::Once(error) => format!("inject={call}:error={error}:when={nth}"),
            Self::FromThenOn(error) => format!("inject={call}:error={error}:when={nth}+"),
            Self::Thrice(error) => format!("inject={call}:error={error}:when={nth}..{}", nth + 2),
            Self::Lie => format!("inject={call}:retval=1:when={nth}"),
        }
    }
}

/// One place to strike: the n-th call of a kind.
#[derive(Debug, Clone, Copy)]
struct Point {
    call: &'static str,
    nth: usize,
    fault: Fault,
}

/// Strikes an operation: at every point in a soak, else at `few` of them, and with a kill among these wherever names change.
pub(crate) fn campaign(operation: Operation, few: usize) {
    let scene = Scene::new(operation);
    let calls = calls_of(&scene);
    let mut tally = Tally::new("V-01 V-03 V-04 V-11", operation.what());
    let mut sides = Sides::default();
    // Each strike of many items takes seconds, and the calls are those of few.
    if soak() == 0 || operation == Operation::SaveInMany {
        let all = points(&calls);
        let changes_names =
            |point: &Point| point.fault == Fault::Kill && point.call.starts_with("rename");
        let (first, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(changes_names);
        let few = few.saturating_sub(first.len());
        let drawn = Draw::new(&operation.what()).some(rest, few);
        for point in first.into_iter().chain(drawn) {
            strike(&scene, point, &mut tally, &mut sides);
        }
    } else {
        for (call, (first, last)) in &calls {
            for fault in Fault::ALL.into_iter().filter(|fault| fault.fits(call)) {
                // Until there is no n-th call.
                for nth in *first.. {
                    let point = Point { call, nth, fault };
                    if !strike(&scene, point, &mut tally, &mut sides) {
                        assert!(nth > *last, "{point:?} was not there to be struck");
                        break;
                    }
                    assert!(nth < last + 100, "{call} goes on for ever");
                }
            }
        }
    }
    tally.saw(format!("{} old, {} new", sides.old, sides.new));
    assert!(
        sides.old > 0 && sides.new > 0,
        "both sides of the change were seen"
    );
}

#[derive(Default)]
struct Sides {
    old: usize,
    new: usize,
}

fn points(calls: &BTreeMap<&'static str, (usize, usize)>) -> Vec<Point> {
    let mut points = Vec::new();
    for (call, (first, last)) in calls {
        for fault in Fault::ALL.into_iter().filter(|fault| fault.fits(call)) {
            points.extend((*first..=*last).map(|nth| Point { call, nth, fault }));
        }
    }
    points
}

/// Whether there was such a call.
fn strike(scene: &Scene, point: Point, tally: &mut Tally, sides: &mut Sides) -> bool {
    scene.restore();
    let Point { call, nth, fault } = point;
    let mut strace = strace(scene);
    strace.args([
        "-e",
        &format!("trace={call}"),
        "-e",
        &fault.injected(call, nth),
    ]);
    let ended = scene.command(strace).status().expect("strace is installed");
    let killed_before_it_was_written = fault == Fault::Kill && ended.signal() == Some(9);
    if !killed_before_it_was_written && !trace(scene).contains("(INJECTED)") {
        return false;
    }
    let judged = how(ended).and_then(|said_saved| judge(scene, said_saved));
    match judged {
        Ok(Side::Old) => sides.old += 1,
        Ok(Side::New) => sides.new += 1,
        Err(_) => {}
    }
    tally.tried(|| format!("{point:?}"), judged.map(drop));
    true
}

// Whether it said that it had saved. It may be killed, but not crash.
fn how(ended: ExitStatus) -> Result<bool, String> {
    match (ended.code(), ended.signal()) {
        (Some(SAVED), _) => Ok(true),
        (Some(REFUSED), _) | (_, Some(9)) => Ok(false),
        _ => Err(format!("it ended with {ended}")),
    }
}

fn strace(scene: &Scene) -> Command {
    // Longer than any of it takes: what hangs is ended, and is a bad state.
    let mut command = Command::new("timeout");
    command.args(["60", "strace", "-f", "-qq", "-e", "signal=none", "-o"]);
    command.arg(scene.trace());
    command
}

fn trace(scene: &Scene) -> String {
    let path = scene.trace();
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

// Of each kind the first call that the operation makes, and the last.
fn calls_of(scene: &Scene) -> BTreeMap<&'static str, (usize, usize)> {
    scene.restore();
    let mut strace = strace(scene);
    strace.args(["-e", &format!("trace=?{},statx", CALLS.join(",?"))]);
    let ended = scene.command(strace).status().expect("strace is installed");
    assert_eq!(ended.code(), Some(SAVED), "{ended}");
    let trace = trace(scene);
    let begins = trace.lines().find(|line| line.contains(BEGINS)).unwrap();
    let own = begins.split_whitespace().next().unwrap();
    let mut counted: BTreeMap<&'static str, (usize, usize)> = BTreeMap::new();
    let mut inside = false;
    // Calls are counted for each thread by itself; the operation is done by the first.
    for line in trace
        .lines()
        .filter(|line| line.split_whitespace().next() == Some(own))
    {
        inside |= line.contains(BEGINS);
        if line.contains(ENDS) {
            break;
        }
        let rest = line[own.len()..].trim_start();
        let call = CALLS.into_iter().find(|call| {
            rest.strip_prefix(call)
                .is_some_and(|rest| rest.starts_with('('))
        });
        if let Some(call) = call {
            let (first, last) = counted.entry(call).or_insert((0, 0));
            *last += 1;
            if inside && *first == 0 {
                *first = *last;
            }
        }
    }
    counted.retain(|_, (first, _)| *first > 0);
    counted
}
