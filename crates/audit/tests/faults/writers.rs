//! Ten processes add to one log at once: A-10.

use std::fs;

use touchkeep_audit::{Log, Query, Verdict};

use crate::{
    child::{Said, child},
    support::{VAULT, World},
    tally::{Tally, amount},
};

const PROCESSES: usize = 10;

#[test]
fn ten_processes_make_one_sound_log() {
    let (world, log) = World::new();
    drop(log);
    let intents = amount(20, 500) as u64;
    let mut tally = Tally::new("A-10", "rows of ten processes that append at once");
    let children: Vec<_> = (0..PROCESSES)
        .map(|_| child(&world.path, intents, &[]).spawn().unwrap())
        .collect();
    let (mut acknowledged, mut unclosed) = (Vec::new(), Vec::new());
    let (mut refused, mut unopened) = (0, 0);
    for child in children {
        let said = Said::of(&child.wait_with_output().unwrap().stdout);
        acknowledged.extend(said.acknowledged);
        unclosed.extend(said.unclosed);
        refused += said.refused;
        unopened += usize::from(said.unopened);
    }
    let all = acknowledged.len() as u64;
    acknowledged.sort_unstable();
    // Each number was given once, and no row is there that nobody was told of.
    let mut expected = 1..;
    for seq in &acknowledged {
        let right = expected.next() == Some(*seq);
        tally.tried(
            || format!("row {seq}"),
            right
                .then_some(())
                .ok_or_else(|| "was given twice, or to nobody".into()),
        );
    }
    let found = world.verify(None);
    let sound = matches!(found, Verdict::Sound { head, .. } if head.size == all);
    tally.tried(
        || "the log".into(),
        sound
            .then_some(())
            .ok_or(format!("{found:?}, {all} acknowledged")),
    );
    tally.saw(format!(
        "{} processes, {refused} refusals for want of a turn, as were {unopened} processes",
        PROCESSES - unopened
    ));
    let log = Log::open_locked(&world.path, VAULT).unwrap();
    unclosed.sort_unstable();
    assert_eq!(log.unfinished().unwrap(), unclosed);
    let page = log.list(&Query::default(), Some(&world.identity)).unwrap();
    assert_eq!(page.rows.len(), 100);
    assert!(all > PROCESSES as u64 * intents, "{all}");
    assert!(fs::exists(&world.path).unwrap());
}
