//! Who can read what: lists with and without the identity, pages, filters; and nothing of a body in the clear (fault A-12).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::os::unix::fs::PermissionsExt;

use support::{CLIENT, ITEM, OTHER_ITEM, World, bytes_of};
use touchkeep_audit::{Decision, Event, Kind, Log, Query, ReadError, Row, Seq};
use touchkeep_core::{ClientId, ItemId};

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
    assert_eq!(list(&|q| q.item = Some(ITEM)), of(&|n| n % 3 == 0));
    assert_eq!(list(&|q| q.client = Some(CLIENT)), of(&|n| n % 5 == 0));
    assert_eq!(
        list(&|q| (q.item, q.client) = (Some(ITEM), Some(CLIENT))),
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
        list(&|q| (q.item, q.kinds) = (Some(ITEM), vec![Kind::Locked])),
        of(&|n| n % 6 == 0)
    );
    assert!(list(&|q| q.decisions = vec![Decision::Denied]).is_empty());
    assert!(list(&|q| q.item = Some(ItemId::random())).is_empty());
    assert!(list(&|q| q.client = Some(ClientId::random())).is_empty());
    assert_eq!(list(&|q| (q.item, q.limit) = (Some(ITEM), 3)), [60, 57, 54]);
    // The pages end in the middle of the rows that have no tag.
    assert_eq!(
        list(&|q| (q.item, q.limit, q.before) = (Some(ITEM), 3, Some(34))),
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
        item: Some(ITEM),
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
    let damaged = Log::open(&copy.path, support::VAULT, &recipient);
    assert!(damaged.is_err());
    let copy = world.copy();
    let log = Log::open(&copy.path, support::VAULT, &recipient).unwrap();
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
