//! Who can read what: lists with and without the identity, pages, filters; and nothing of a body in the clear (fault A-12).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::{
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use support::{CLIENT, ITEM, OTHER_ITEM, VAULT, World, bytes_of};
use touchkeep_audit::{Decision, Event, Kind, Log, Query, ReadError, Row, Seq};
use touchkeep_core::{ClientId, Clock, ItemId, UnixMillis};

fn seqs(rows: &[Row]) -> Vec<Seq> {
    rows.iter().map(|row| row.seq).collect()
}

// 60 rows: every third of ITEM, every fifth of CLIENT, the middle ones recorded while locked.
fn world() -> (World, Log) {
    let (world, log) = World::new();
    for n in 1..=60u64 {
        match n {
            20 => log.drop_tag_key(),
            40 => log.hold_tag_key(&world.identity).unwrap(),
            _ => {}
        }
        let kind = [Kind::Locked, Kind::Unlocked][(n % 2) as usize];
        let mut event = Event::new(kind, Decision::Info).text(format!("row {n}"));
        event = event.item(if n % 3 == 0 { ITEM } else { OTHER_ITEM }, "name");
        if n % 5 == 0 {
            event = event.client(CLIENT, "bot");
        }
        assert_eq!(log.record(&event).unwrap(), n);
    }
    (world, log)
}

#[test]
fn pages_follow_each_other_without_gap_or_overlap() {
    let (world, log) = world();
    let mut query = Query {
        limit: 7,
        ..Query::default()
    };
    let mut all = Vec::new();
    loop {
        let page = log.list(&query, Some(&world.identity)).unwrap().rows;
        let Some(last) = page.last() else { break };
        query.before = Some(last.seq);
        all.extend(page);
    }
    assert_eq!(seqs(&all), (1..=60).rev().collect::<Vec<_>>());
    for row in &all {
        assert_eq!(row.event.as_ref().unwrap().text, format!("row {}", row.seq));
    }
}

#[test]
fn rows_of_an_item_or_client_are_found_also_those_from_locked_times() {
    let (world, log) = world();
    let list = |change: &dyn Fn(&mut Query)| {
        let mut query = Query::default();
        change(&mut query);
        seqs(&log.list(&query, Some(&world.identity)).unwrap().rows)
    };
    let of = |test: &dyn Fn(u64) -> bool| (1..=60).rev().filter(|n| test(*n)).collect::<Vec<_>>();
    assert_eq!(list(&|q| q.items = vec![ITEM]), of(&|n| n % 3 == 0));
    assert_eq!(list(&|q| q.clients = vec![CLIENT]), of(&|n| n % 5 == 0));
    assert_eq!(
        list(&|q| (q.items, q.clients) = (vec![ITEM], vec![CLIENT])),
        of(&|n| n % 15 == 0)
    );
    assert_eq!(
        list(&|q| q.kinds = vec![Kind::Unlocked]),
        of(&|n| n % 2 == 1)
    );
    assert_eq!(
        list(&|q| q.kinds = vec![Kind::Unlocked, Kind::Locked, Kind::Unlocked]),
        of(&|_| true)
    );
    assert_eq!(
        list(&|q| (q.items, q.kinds) = (vec![ITEM], vec![Kind::Locked])),
        of(&|n| n % 6 == 0)
    );
    assert!(list(&|q| q.decisions = vec![Decision::Denied]).is_empty());
    assert!(list(&|q| q.items = vec![ItemId::random()]).is_empty());
    assert_eq!(
        list(&|q| q.items = vec![ItemId::random(), ITEM]),
        of(&|n| n % 3 == 0)
    );
    assert!(list(&|q| q.clients = vec![ClientId::random()]).is_empty());
    assert_eq!(
        list(&|q| q.clients = vec![ClientId::random(), CLIENT]),
        of(&|n| n % 5 == 0)
    );
    assert_eq!(
        list(&|q| (q.items, q.limit) = (vec![ITEM], 3)),
        [60, 57, 54]
    );
    // The pages end in the middle of the rows that have no tag.
    assert_eq!(
        list(&|q| (q.items, q.limit, q.before) = (vec![ITEM], 3, Some(34))),
        [33, 30, 27]
    );
    assert!(list(&|q| q.limit = 0).is_empty());
}

#[test]
fn without_the_identity_only_the_clear_columns_are_read() {
    let (world, log) = world();
    let rows = log.list(&Query::default(), None).unwrap().rows;
    assert_eq!(rows.len(), 60);
    assert!(rows.iter().all(|row| row.event.is_none()));
    let query = Query {
        items: vec![ITEM],
        ..Query::default()
    };
    assert!(matches!(log.list(&query, None), Err(ReadError::Locked)));
    let stranger = age::x25519::Identity::generate();
    assert!(matches!(
        log.list(&query, Some(&stranger)),
        Err(ReadError::WrongIdentity)
    ));
    assert!(matches!(
        log.list(&Query::default(), Some(&stranger)),
        Err(ReadError::WrongIdentity)
    ));
    assert!(matches!(
        log.hold_tag_key(&stranger),
        Err(ReadError::WrongIdentity)
    ));
    drop(world);
}

#[test]
fn a_body_moved_to_another_row_is_not_shown() {
    let (world, _) = World::with_rows();
    let copy = world.copy();
    copy.tamper("UPDATE row SET body = (SELECT body FROM row WHERE seq = 10) WHERE seq = 11");
    let recipient = world.identity.to_public().to_string();
    let damaged = Log::open(&copy.path, VAULT, &recipient);
    assert!(damaged.is_err());
    let copy = world.copy();
    let log = Log::open(&copy.path, VAULT, &recipient).unwrap();
    copy.tamper("UPDATE row SET decision = 'denied' WHERE seq = 11");
    let read = log.list(&Query::default(), Some(&world.identity));
    assert!(matches!(read, Err(ReadError::Damaged(11))), "{read:?}");
}

#[test]
fn nothing_of_a_body_stands_in_the_files() {
    let (world, log) = World::new();
    let canary = "CANARY-sk_live_51Hx";
    for n in 0..50 {
        let event = Event::new(Kind::SecretRevealed, Decision::Approved)
            .text(canary)
            .item(ITEM, canary)
            .client(CLIENT, canary)
            .detail(canary, format!("{canary}{n}"));
        log.record(&event).unwrap();
    }
    log.checkpoint(&world.author).unwrap();
    let count = |needle: &[u8]| {
        let bytes = bytes_of(&world.path);
        bytes
            .windows(needle.len())
            .filter(|window| *window == needle)
            .count()
    };
    let id = ITEM.to_string();
    let check = || {
        // The search finds what stands in the clear.
        assert!(count(b"secret-revealed") >= 50);
        assert!(count(b"touchkeep/audit/") >= 1);
        for hidden in [
            &b"CANARY"[..],
            b"sk_live",
            id.as_bytes(),
            ITEM.0.as_bytes(),
            CLIENT.0.as_bytes(),
            b"AGE-SECRET-KEY",
        ] {
            assert_eq!(count(hidden), 0);
        }
    };
    check();
    let rows = log
        .list(&Query::default(), Some(&world.identity))
        .unwrap()
        .rows;
    assert_eq!(rows[0].event.as_ref().unwrap().text, canary);
    drop(log);
    check();
    assert_eq!(
        world.path.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_hostile_text_comes_back_as_it_was_and_a_huge_one_is_refused() {
    let (world, log) = World::new();
    let hostile = "\u{1b}[2J\u{202e}</script>\0\n\"\\";
    log.record(&Event::new(Kind::RequestUnreadable, Decision::Denied).text(hostile))
        .unwrap();
    let rows = log
        .list(&Query::default(), Some(&world.identity))
        .unwrap()
        .rows;
    assert_eq!(rows[0].event.as_ref().unwrap().text, hostile);
    let huge = Event::new(Kind::RequestUnreadable, Decision::Denied).text("x".repeat(1 << 20));
    assert!(matches!(
        log.record(&huge),
        Err(touchkeep_audit::RecordError::TooLarge)
    ));
    assert_eq!(log.head().size, 1);
}

/// A clock that is set by hand.
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::Relaxed))
    }
}

struct Recorded {
    seq: Seq,
    time: u64,
    kind: Kind,
    decision: Decision,
    item: Option<ItemId>,
    client: Option<ClientId>,
}

// Rows of all sorts in six blocks, under a clock that goes to and fro, for some time without the key of the tags.
fn many_sorts(draw: &mut impl FnMut(u64) -> u64) -> (World, Log, Vec<Recorded>) {
    let (world, log) = World::new();
    drop(log);
    let clock = Arc::new(Hand(AtomicU64::new(1_700_000_000_000)));
    let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let log = Log::open_at(&world.path, VAULT, None, as_clock).unwrap();
    let mut rows: Vec<Recorded> = Vec::new();
    for n in 0..1450u64 {
        match n {
            200 | 900 => log.hold_tag_key(&world.identity).unwrap(),
            700 => log.drop_tag_key(),
            _ => {}
        }
        let now = clock.0.load(Ordering::Relaxed);
        let now = match draw(40) {
            0 => now - draw(400_000),
            1 => now + draw(400_000),
            _ => now + draw(1000),
        };
        clock.0.store(now, Ordering::Relaxed);
        let kind = match draw(100) {
            0 => Kind::Reminder,
            1..10 => Kind::Locked,
            10..50 => Kind::Unlocked,
            _ => Kind::ItemChanged,
        };
        let decision = [Decision::Info, Decision::Done, Decision::Denied][draw(3) as usize];
        let item = [None, Some(ITEM), Some(OTHER_ITEM)][draw(3) as usize];
        let client = (draw(30) == 0).then_some(CLIENT);
        let mut event = Event::new(kind, decision);
        (event.item, event.client) = (item, client);
        let seq = log.record(&event).unwrap();
        let before = rows.last().map_or(0, |row| row.seq);
        // What the log writes of itself when the clock has gone back.
        rows.extend((before + 1..seq).map(|seq| Recorded {
            seq,
            time: now,
            kind: Kind::ClockBack,
            decision: Decision::Info,
            item: None,
            client: None,
        }));
        rows.push(Recorded {
            seq,
            time: now,
            kind,
            decision,
            item,
            client,
        });
    }
    (world, log, rows)
}

#[test]
fn every_query_finds_what_looking_at_each_row_finds() {
    let mut state = 1u64;
    let mut draw = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    let (world, log, rows) = many_sorts(&mut draw);
    assert!(rows.iter().any(|row| row.kind == Kind::ClockBack));
    let kinds = [
        vec![],
        vec![Kind::Unlocked],
        vec![Kind::Locked],
        vec![Kind::Reminder],
        vec![Kind::ClockBack],
        vec![Kind::Reminder, Kind::Unlocked],
    ];
    let mut found = 0;
    for _ in 0..150 {
        let near = |draw: &mut dyn FnMut(u64) -> u64| {
            UnixMillis(rows[draw(rows.len() as u64) as usize].time + draw(3) - 1)
        };
        let mut query = Query {
            before: (draw(2) == 0).then(|| draw(1600)),
            limit: [5, 60, 300, 1000][draw(4) as usize],
            kinds: kinds[draw(6) as usize].clone(),
            decisions: [vec![], vec![], vec![Decision::Done]][draw(3) as usize].clone(),
            items: (draw(4) == 0).then_some(ITEM).into_iter().collect(),
            clients: (draw(4) == 0).then_some(CLIENT).into_iter().collect(),
            since: (draw(3) == 0).then(|| near(&mut draw)),
            until: (draw(3) == 0).then(|| near(&mut draw)),
            text: None,
        };
        let expected: Vec<Seq> = rows
            .iter()
            .rev()
            .filter(|row| query.before.is_none_or(|before| row.seq < before))
            .filter(|row| query.kinds.is_empty() || query.kinds.contains(&row.kind))
            .filter(|row| query.decisions.is_empty() || query.decisions.contains(&row.decision))
            .filter(|row| query.items.is_empty() || row.item == Some(ITEM))
            .filter(|row| query.clients.is_empty() || row.client == Some(CLIENT))
            .filter(|row| query.since.is_none_or(|since| row.time >= since.0))
            .filter(|row| query.until.is_none_or(|until| row.time <= until.0))
            .map(|row| row.seq)
            .collect();
        // With the identity and, where that is enough, without.
        let hidden = !query.items.is_empty() || !query.clients.is_empty();
        let identity = (hidden || draw(2) == 0).then_some(&world.identity);
        let asked = format!("{query:?}");
        let mut listed = Vec::new();
        loop {
            let page = log.list(&query, identity).unwrap();
            assert!(page.rows.len() <= query.limit, "{asked}");
            let full = page.rows.len() == query.limit;
            assert!(full || page.next.is_none(), "{asked}");
            listed.extend(seqs(&page.rows));
            query.before = page.next;
            if page.next.is_none() {
                break;
            }
        }
        assert_eq!(listed, expected, "{asked}");
        found += listed.len();
    }
    assert!(found > 5000, "{found}");
}
