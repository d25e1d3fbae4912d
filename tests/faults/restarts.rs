//! The agent is killed at any moment while bots send orders, and started again: L-04.

use std::{
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use touchkeep_tests::Home;
use touchkeep_wire::{AuditFilter, AuditRow, GetStatus, ListAudit};

use crate::{
    desk::{Act, Desk},
    tally::{Draw, Tally, amount, soak},
};

/// How soon an agent is to answer, from its start.
const SOON: Duration = Duration::from_millis(500);
/// Bots that send one order after another.
const BOTS: usize = 4;
/// The longest that they do so before the agent is killed.
const LOAD_MS: usize = 120;

#[test]
fn an_agent_that_is_killed_under_load_is_back_soon_and_has_lost_nothing() {
    let mut tally = Tally::new("L-04", "the agent killed while four bots send orders");
    let mut draw = Draw::new("restarts");
    let mut desk = Desk::set(Home::new(None));
    let (next, mut seen, mut waited) = (AtomicU64::new(1), 0, Vec::new());
    let mut answered_in_all = 0;
    for round in 0..amount(12, 1_000) {
        let load = u64::try_from(draw.below(LOAD_MS)).unwrap();
        let answered = orders_until_killed(&mut desk, &next, Duration::from_millis(load));
        let begun = Instant::now();
        // A socket that was left behind would be in its way.
        desk.home.start_agent();
        desk.call(GetStatus {}).unwrap();
        let took = begun.elapsed();
        desk.come_back();
        desk.cancel_all();
        let rows = intents_after(&desk, seen);
        seen = rows.iter().map(|row| row.seq).max().unwrap_or(seen);
        answered_in_all += answered.len();
        waited.push(took);
        tally.tried(
            || format!("kill {round}, after {load} ms"),
            judge(&answered, &rows, took),
        );
        if soak() == 0 || round % 50 == 0 {
            let sound = desk.is_sound().then_some(());
            tally.tried(
                || format!("the log after kill {round}"),
                sound.ok_or_else(|| "it is not sound".to_owned()),
            );
        }
    }
    tally.tried(|| "the venue's record".into(), nothing_twice(&desk));
    waited.sort_unstable();
    let (first, middle) = (waited[0], waited[waited.len() / 2]);
    let last = waited[waited.len() - 1];
    tally.saw(format!(
        "{answered_in_all} orders answered; half of the first answers within {} ms, all within {} ms",
        middle.as_millis(),
        last.as_millis()
    ));
    // A sample may be taken beside a build; a soak judges each.
    assert!(first <= SOON, "none was back within {first:?}");
    assert!(answered_in_all > 0, "there was no load");
}

// Sends orders with all bots until the agent is killed; the numbers of those that were answered.
fn orders_until_killed(desk: &mut Desk, next: &AtomicU64, load: Duration) -> Vec<u64> {
    let answered = Mutex::new(Vec::new());
    let bots = &*desk;
    let pid = bots.home.agent_pid().to_string();
    thread::scope(|scope| {
        for _ in 0..BOTS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    match bots.ask(Act::Order, number) {
                        Some((200, _)) => answered.lock().unwrap().push(number),
                        Some(other) => panic!("{other:?}"),
                        None => break,
                    }
                }
            });
        }
        thread::sleep(load);
        let killed = Command::new("kill").args(["-KILL", &pid]).status();
        assert!(killed.unwrap().success());
    });
    desk.home.kill_agent();
    desk.person = None;
    answered.into_inner().unwrap()
}

fn judge(answered: &[u64], rows: &[AuditRow], took: Duration) -> Result<(), String> {
    for number in answered {
        let said = format!(" at {} on ", Act::Order.price(*number));
        let is_of = |row: &&AuditRow| row.what.as_ref().is_some_and(|what| what.contains(&said));
        match rows.iter().filter(is_of).count() {
            1 => {}
            count => {
                return Err(format!(
                    "order {number} was answered, and the log has {count} rows of it"
                ));
            }
        }
    }
    if soak() > 0 && took > SOON {
        return Err(format!("its first answer took {took:?}"));
    }
    Ok(())
}

fn nothing_twice(desk: &Desk) -> Result<(), String> {
    let mut arrived: Vec<String> = desk
        .venue
        .received("/api/v3/order")
        .iter()
        .map(|row| format!("{}&{}", row["query"], row["body"]))
        .filter_map(|text| {
            let (_, rest) = text.split_once("newClientOrderId=")?;
            Some(rest.split(['&', '"']).next()?.to_owned())
        })
        .collect();
    let count = arrived.len();
    arrived.sort_unstable();
    arrived.dedup();
    (arrived.len() == count)
        .then_some(())
        .ok_or_else(|| format!("of {count} orders {} came twice", count - arrived.len()))
}

// All intents after a row, however many.
fn intents_after(desk: &Desk, seen: u64) -> Vec<AuditRow> {
    let (mut rows, mut before) = (Vec::new(), None);
    loop {
        let filter = AuditFilter {
            kinds: vec!["intent".into()],
            ..AuditFilter::default()
        };
        let list = ListAudit {
            before,
            limit: 100,
            filter,
        };
        let page = desk.call(list).unwrap();
        let is_last = page.rows.iter().any(|row| row.seq <= seen) || page.next.is_none();
        rows.extend(page.rows.into_iter().filter(|row| row.seq > seen));
        if is_last {
            return rows;
        }
        before = page.next;
    }
}
