//! A clock that jumps, to and fro: A-09.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use touchkeep_audit::{Decision, Event, Kind, Log, Query, Verdict};
use touchkeep_core::{Clock, UnixMillis};

use crate::{
    support::{VAULT, World},
    tally::{Draw, Tally, amount},
};

struct Jumping(AtomicU64);

impl Clock for Jumping {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::Relaxed))
    }
}

#[test]
fn a_clock_that_jumps_changes_no_order_and_is_seen() {
    const START: u64 = 1_800_000_000_000;
    let (world, log) = World::new();
    drop(log);
    let clock = Arc::new(Jumping(AtomicU64::new(START)));
    let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let log = Log::open_at(&world.path, VAULT, None, as_clock).unwrap();
    let mut draw = Draw::new("clock");
    let mut tally = Tally::new("A-09", "rows under a clock that jumps");
    let (mut before, mut backwards, mut forwards) = (0, 0, 0);
    for n in 0..amount(400, 20_000) {
        let now = match draw.below(10) {
            0 => draw.below(START as usize) as u64,
            1 => START + draw.below(1 << 41) as u64,
            2 => [0, 1, i64::MAX as u64][draw.below(3)],
            _ => clock
                .0
                .load(Ordering::Relaxed)
                .saturating_add(draw.below(3000) as u64)
                .min(i64::MAX as u64),
        };
        clock.0.store(now, Ordering::Relaxed);
        let seq = log
            .record(&Event::new(Kind::Reminder, Decision::Info).text(n.to_string()))
            .unwrap();
        let page = log
            .list(
                &Query {
                    limit: 2,
                    ..Query::default()
                },
                Some(&world.identity),
            )
            .unwrap()
            .rows;
        let back = now + 2000 < before;
        let told = page[0].seq == seq
            && page[0].time.0 == now
            && page[0].event.as_ref().unwrap().text == n.to_string()
            && (!back || page[1].kind == Kind::ClockBack);
        backwards += usize::from(back);
        forwards += usize::from(now > before + (1 << 32));
        before = now;
        tally.tried(
            || format!("row {seq}, at {now}"),
            told.then_some(())
                .ok_or_else(|| "is not told in order".into()),
        );
    }
    // By times they are found, wherever they stand.
    let late = Query {
        since: Some(UnixMillis(START)),
        limit: 1000,
        ..Query::default()
    };
    let early = Query {
        until: Some(UnixMillis(START - 1)),
        limit: 1000,
        ..Query::default()
    };
    let count = |mut query: Query| {
        let mut rows = 0;
        loop {
            let page = log.list(&query, None).unwrap();
            rows += page.rows.len() as u64;
            query.before = page.next;
            if page.next.is_none() {
                return rows;
            }
        }
    };
    let (late, early) = (count(late), count(early));
    assert_eq!(late + early, log.head().size);
    assert!(late > 0 && early > 0);
    assert!(matches!(world.verify(None), Verdict::Sound { .. }));
    assert!(backwards > 10 && forwards > 10);
    tally.saw(format!("{backwards} jumps back, {forwards} ahead"));
}
