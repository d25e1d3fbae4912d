//! Whoever owns the file does with it what he likes. What the other tests try by hand, here as campaigns.

use std::{fs, num::NonZero, thread};

use rusqlite::Connection;
use touchkeep_audit::{CheckpointSigner, Head, Verdict, verify};

use crate::{
    support::{Copy, World},
    tally::{Draw, Tally, amount, soak},
};

const ROWS: u64 = 300;

fn tables(path: &std::path::Path) -> Option<Vec<String>> {
    let db = Connection::open(path).ok()?;
    let mut all = Vec::new();
    for table in ["log", "session", "row", "posting", "checkpoint"] {
        let mut statement = db.prepare(&format!("SELECT * FROM {table}")).ok()?;
        let columns = statement.column_count();
        let mut rows = statement.query([]).ok()?;
        while let Some(row) = rows.next().ok()? {
            let values: Vec<rusqlite::types::Value> = (0..columns)
                .map(|at| row.get(at))
                .collect::<Result<_, _>>()
                .ok()?;
            all.push(format!("{table} {values:?}"));
        }
    }
    Some(all)
}

// Every byte of the file: what it says is the same, or it is found.
#[test]
fn every_byte_of_the_file_changed() {
    let (world, head) = World::with_blocks(ROWS);
    let whole = fs::read(&world.path).unwrap();
    let content = tables(&world.path).unwrap();
    let places: Vec<usize> = match soak() {
        0 => Draw::new("bytes").some((0..whole.len()).collect(), 100),
        _ => (0..whole.len()).collect(),
    };
    let mut draw = Draw::new("masks");
    let changes = places.into_iter();
    let changes: Vec<_> = changes.map(|at| (at, 1 + draw.below(255) as u8)).collect();
    let try_share = |share: &[(usize, u8)]| -> Vec<_> {
        let copy = world.copy();
        let held = share.iter().map(|change| {
            let mut bytes = whole.clone();
            bytes[change.0] ^= change.1;
            fs::write(&copy.path, &bytes).unwrap();
            let held = is_found_or_the_same(&copy, (&world, &head), &content);
            for end in ["-wal", "-shm", "-journal"] {
                let _none = fs::remove_file(format!("{}{end}", copy.path.display()));
            }
            held
        });
        held.collect()
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let held: Vec<_> = thread::scope(|scope| {
        let shares = changes.chunks(changes.len().div_ceil(threads));
        let tried: Vec<_> = shares
            .map(|share| scope.spawn(|| try_share(share)))
            .collect();
        tried
            .into_iter()
            .flat_map(|share| share.join().unwrap())
            .collect()
    });
    assert_eq!(held.len(), changes.len());
    let mut tally = Tally::new("A-01", "a log of 300 rows: bytes of the file changed");
    let mut found = 0;
    for ((at, _), held) in changes.iter().zip(held) {
        found += usize::from(held == Ok(true));
        tally.tried(|| format!("byte {at}"), held.map(drop));
    }
    tally.saw(format!("{found} found, the others mean nothing"));
    assert!(found > 20);
}

// Whether it is found; an error where it is not and says something else.
fn is_found_or_the_same(
    copy: &Copy,
    (world, head): (&World, &Head),
    content: &[String],
) -> Result<bool, String> {
    match verify(&copy.path, &[world.author.key()], &[*head]) {
        Ok(Verdict::Damaged(_)) | Err(_) => Ok(true),
        Ok(Verdict::Sound { .. }) if tables(&copy.path).as_deref() == Some(content) => Ok(false),
        Ok(Verdict::Sound { .. }) => {
            Err("it says something else, and is taken for sound".to_owned())
        }
    }
}

/// One thing that is done to a row, in SQL, and which row is to be named.
fn tampering(draw: &mut Draw) -> (String, u64, bool) {
    let seq = 1 + draw.below(ROWS as usize) as u64;
    let other = 1 + draw.below(ROWS as usize) as u64;
    let columns = [
        "time_ms",
        "kind",
        "decision",
        "session",
        "closes",
        "item_tag",
        "client_tag",
        "body",
    ];
    let column = columns[draw.below(columns.len())];
    match draw.below(6) {
        0 => (
            format!(
                "UPDATE row SET {column} = (SELECT {column} FROM row WHERE seq = {other}) WHERE seq = {seq}"
            ),
            seq,
            false,
        ),
        1 => (format!("DELETE FROM row WHERE seq = {seq}"), seq, true),
        2 if seq != other => (
            format!(
                "UPDATE row SET seq = -1 WHERE seq = {seq}; UPDATE row SET seq = {seq} WHERE seq = {other}; UPDATE row SET seq = {other} WHERE seq = -1"
            ),
            seq.min(other),
            true,
        ),
        3 => (
            format!(
                "UPDATE row SET body = CAST(substr(body, 1, 40) || x'00' || substr(body, 42) AS BLOB) WHERE seq = {seq}"
            ),
            seq,
            false,
        ),
        4 => (
            format!(
                "UPDATE row SET time_ms = time_ms + {} WHERE seq = {seq}",
                1 + draw.below(1000)
            ),
            seq,
            true,
        ),
        _ => (
            format!(
                "DELETE FROM row WHERE seq >= {seq}; DELETE FROM checkpoint WHERE size >= {seq}; DELETE FROM posting WHERE block >= {}",
                (seq - 1) / 256
            ),
            seq,
            true,
        ),
    }
}

#[test]
fn rows_changed_swapped_deleted_and_cut() {
    let (world, head) = World::with_blocks(ROWS);
    let mut draw = Draw::new("owner");
    let mut tally = Tally::new(
        "A-01 A-02",
        "rows and columns changed, swapped, deleted, cut",
    );
    for _ in 0..amount(60, 3000) {
        let (sql, row, always) = tampering(&mut draw);
        let copy = world.copy();
        let before = tables(&copy.path);
        let done = copy.tamper_with(|db| db.execute_batch(&sql));
        if done.is_err() || (!always && tables(&copy.path) == before) {
            continue;
        }
        let held = named(&copy, &head, row);
        tally.tried(|| sql, held);
    }
}

fn named(copy: &Copy, head: &Head, row: u64) -> Result<(), String> {
    match copy.verify(Some(head)) {
        Verdict::Damaged(damage) if damage.seq == Some(row) => Ok(()),
        other => Err(format!("row {row} is to be named, and not {other:?}")),
    }
}

// An older file put back, with everything in it that was in it then.
#[test]
fn every_older_file_put_back() {
    let (world, log) = World::new();
    let mut tally = Tally::new(
        "A-02 A-04",
        "an older file put back, and added to as if nothing were",
    );
    let mut older = Vec::new();
    for n in 0..12u64 {
        for _ in 0..30 {
            log.record(&touchkeep_audit::Event::new(
                touchkeep_audit::Kind::Locked,
                touchkeep_audit::Decision::Info,
            ))
            .unwrap();
        }
        log.checkpoint(&world.author).unwrap();
        let kept = world.folder.path().join(format!("{n}.older"));
        log.export(&kept).unwrap();
        older.push((30 * (n + 1), kept));
    }
    let head = log.head();
    drop(log);
    for (size, kept) in older.iter().take(11) {
        let found = verify(kept, &[world.author.key()], &[head]).unwrap();
        let cut = matches!(&found, Verdict::Damaged(damage) if damage.seq == Some(size + 1));
        tally.tried(
            || format!("{size} rows"),
            cut.then_some(()).ok_or(format!("{found:?}")),
        );
        let resumed = touchkeep_audit::Log::open_locked(kept, crate::support::VAULT).unwrap();
        for _ in *size..=head.size {
            resumed
                .record(&touchkeep_audit::Event::new(
                    touchkeep_audit::Kind::Locked,
                    touchkeep_audit::Decision::Info,
                ))
                .unwrap();
        }
        resumed.checkpoint(&world.author).unwrap();
        let found = verify(kept, &[world.author.key()], &[head]).unwrap();
        let rewritten = matches!(&found, Verdict::Damaged(damage) if damage.seq.is_some_and(|seq| seq <= size + 1));
        tally.tried(
            || format!("{size} rows, and on"),
            rewritten.then_some(()).ok_or(format!("{found:?}")),
        );
    }
}
