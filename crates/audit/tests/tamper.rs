//! Whoever owns the file may do with it what he likes; the verifier finds it and names the row (faults ).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;

use data_encoding::HEXLOWER;
use rusqlite::{Connection, types::Value};
use support::{Author, World, at, damage};
use touchkeep_audit::{
    CheckpointSigner, Decision, Event, Head, Kind, Log, OpenError, Verdict, What,
    tree::{Frontier, leaf_hash},
    verify,
};

const COLUMNS: [&str; 10] = [
    "seq",
    "time_ms",
    "kind",
    "decision",
    "session",
    "closes",
    "item_tag",
    "client_tag",
    "hashes",
    "body",
];

#[test]
fn an_untouched_log_is_sound_and_says_how_far_it_is_signed() {
    let (world, head) = World::with_rows();
    assert_eq!(
        world.verify(Some(&head)),
        Verdict::Sound { head, signed: 9 }
    );
    assert_eq!(
        verify(&world.path, &[], &[]).unwrap(),
        Verdict::Sound { head, signed: 0 }
    );
    assert_eq!(
        world.copy().verify(None),
        Verdict::Sound { head, signed: 9 }
    );
}

// Every row, every column, several new values each: NULL or not, another type where SQLite lets it, longer, shorter.
#[test]
fn every_changed_column_of_every_row_is_found_there() {
    let (world, _) = World::with_rows();
    let mut taken = 0;
    for seq in 1..=12u64 {
        for column in &COLUMNS[1..] {
            for change in changes(column) {
                let copy = world.copy();
                let changed = copy.tamper_with(|db| {
                    let sql = format!("UPDATE row SET {column} = {change} WHERE seq = {seq} AND {column} IS NOT {change}");
                    db.execute(&sql, [])
                });
                // A change that the table does not take is none: NULL where there must be a value.
                if changed.is_ok_and(|rows| rows == 1) {
                    taken += 1;
                    let found = copy.damage(None);
                    match found.what {
                        // An upper hash is of all the rows below it.
                        What::Tree { last } => assert_eq!(last, seq, "{column} = {change}"),
                        _ => assert_eq!(found.seq, Some(seq), "{column} = {change}: {found}"),
                    }
                }
            }
        }
    }
    assert!(taken > 300, "{taken}");
}

fn changes(column: &str) -> &'static [&'static str] {
    match column {
        "time_ms" => &["time_ms + 1", "0", "-1"],
        "kind" => &["'locked'", "kind || ' '", "upper(kind)", "''"],
        "decision" => &["'allowed'", "'denied'", "decision || x'00'"],
        "session" => &["session + 1", "session - 1", "99", "-1"],
        "closes" => &["NULL", "0", "1000", "-1"],
        "item_tag" => &[
            "NULL",
            "x''",
            "x'00'",
            "x'00112233445566778899aabbccddeeff'",
        ],
        "client_tag" => &["NULL", "x''", "x'00'", "item_tag"],
        "hashes" => &[
            "x''",
            "zeroblob(length(hashes))",
            "substr(hashes, 2)",
            "CAST(hashes || x'00' AS BLOB)",
            "CAST(hashes || zeroblob(32) AS BLOB)",
            "substr(hashes, 33)",
            "CAST(substr(hashes, 1, length(hashes) - 1) || x'00' AS BLOB)",
        ],
        "body" => &[
            "x''",
            "substr(body, 2)",
            "CAST(body || x'00' AS BLOB)",
            "zeroblob(length(body))",
        ],
        _ => &[],
    }
}

#[test]
fn every_deleted_row_is_missed_and_every_renumbered_one_told() {
    let (world, head) = World::with_rows();
    for seq in 1..=12u64 {
        let copy = world.copy();
        copy.tamper(&format!("DELETE FROM row WHERE seq = {seq}"));
        let expected = if seq == 12 {
            What::Cut { expected: 12 }
        } else {
            What::Missing
        };
        assert_eq!(copy.damage(Some(&head)), at(seq, expected));

        if seq < 12 {
            let copy = world.copy();
            copy.tamper(&format!(
                "DELETE FROM row WHERE seq = {seq}; UPDATE row SET seq = -seq WHERE seq > {seq}; UPDATE row SET seq = -seq - 1 WHERE seq < 0"
            ));
            assert_eq!(copy.damage(None), at(seq, What::Reordered { was: seq + 1 }));
        }

        let copy = world.copy();
        copy.tamper(&format!("UPDATE row SET seq = 1000 WHERE seq = {seq}"));
        assert_eq!(copy.damage(Some(&head)).seq, Some(seq));
    }
}

#[test]
fn swapped_rows_are_told_from_altered_ones() {
    let (world, _) = World::with_rows();
    for (a, b) in [(1, 2), (3, 11), (11, 12), (5, 9)] {
        let copy = world.copy();
        copy.tamper(&format!(
            "UPDATE row SET seq = -1 WHERE seq = {a}; UPDATE row SET seq = {a} WHERE seq = {b}; UPDATE row SET seq = {b} WHERE seq = -1"
        ));
        assert_eq!(copy.damage(None), at(a, What::Reordered { was: b }));
    }
}

#[test]
fn inserted_and_duplicated_rows_are_found() {
    let (world, _) = World::with_rows();
    let insert = |from: u64, to: i64| {
        format!(
            "INSERT INTO row SELECT {to}, time_ms, kind, decision, session, NULL, item_tag, client_tag, hashes, body FROM row WHERE seq = {from}"
        )
    };
    for place in [0, -5] {
        let copy = world.copy();
        copy.tamper(&insert(2, place));
        assert_eq!(copy.damage(None), at(1, What::Inserted));
    }
    let copy = world.copy();
    copy.tamper(&insert(5, 13));
    assert_eq!(copy.damage(None), at(13, What::Inserted));
    for place in 1..=12 {
        let copy = world.copy();
        copy.tamper(&format!(
            "UPDATE row SET seq = -seq WHERE seq >= {place}; UPDATE row SET seq = -seq + 1 WHERE seq < 0; {}",
            insert(if place == 1 { 3 } else { 1 }, place)
        ));
        assert_eq!(copy.damage(None).seq, Some(place as u64));
    }
}

#[test]
fn a_changed_tree_session_or_description_is_found() {
    let (world, _) = World::with_rows();
    for seq in 1..=12u64 {
        for level in 0..=seq.trailing_zeros() {
            let copy = world.copy();
            copy.tamper(&format!(
                "UPDATE row SET hashes = CAST(substr(hashes, 1, 32 * {level}) || zeroblob(32) || substr(hashes, 33 + 32 * {level}) AS BLOB) WHERE seq = {seq}"
            ));
            let expected = match level {
                0 => at(seq, What::Altered),
                _ => at(seq + 1 - (1 << level), What::Tree { last: seq }),
            };
            assert_eq!(copy.damage(None), expected);
        }
    }

    for (change, seq) in [
        (
            "UPDATE session SET key = CAST(key || x'00' AS BLOB) WHERE id = 2",
            Some(6),
        ),
        (
            "UPDATE session SET started_ms = started_ms + 1 WHERE id = 2",
            Some(6),
        ),
        ("DELETE FROM session WHERE id = 2", Some(6)),
        ("UPDATE session SET id = 3 WHERE id = 2", Some(6)),
        ("INSERT INTO session VALUES (3, 0, x'00')", None),
        ("UPDATE log SET recipient = 'age1other'", Some(1)),
        ("UPDATE log SET tag_key = x'00'", Some(1)),
    ] {
        let copy = world.copy();
        copy.tamper(change);
        assert_eq!(copy.damage(None).seq, seq, "{change}");
    }
    // The origin is in the checkpoints too, so these are the first to tell; but row 1 comes before row 4.
    let copy = world.copy();
    copy.tamper("UPDATE log SET origin = origin || 'a'");
    assert_eq!(copy.damage(None), at(1, What::Altered));
}

#[test]
fn a_cut_is_found_by_the_signed_checkpoint_and_by_the_vault() {
    let (world, head) = World::with_rows();
    for kept in 0..12u64 {
        let copy = world.copy();
        cut(&copy, kept, false);
        let expected = What::Cut { expected: 12 };
        assert_eq!(copy.damage(Some(&head)), at(kept + 1, expected), "{kept}");
        if kept < 9 {
            assert_eq!(copy.damage(None), at(kept + 1, What::Cut { expected: 9 }));
        } else {
            // What nobody signed, nobody can miss: the honest limit, for which the head goes into every commit.
            assert!(matches!(
                copy.verify(None),
                Verdict::Sound { signed: 9, .. }
            ));
        }
        // With the checkpoints cut off too, the vault alone knows.
        let copy = world.copy();
        cut(&copy, kept, true);
        assert_eq!(
            copy.damage(Some(&head)),
            at(kept + 1, What::Cut { expected: 12 })
        );
    }
}

// Several may know of the same size, and one of them may be wrong.
#[test]
fn heads_of_one_size_are_all_looked_at() {
    let (world, head) = World::with_blocks(600);
    let log = world.open();
    log.checkpoint(&world.author).unwrap();
    log.checkpoint(&Author::new(8)).unwrap();
    log.record(&Event::new(Kind::Locked, Decision::Info))
        .unwrap();
    let keys = [world.author.key(), Author::new(8).key()];
    let known = [head, head, log.head(), log.head()];
    let now = log.head();
    assert_eq!(
        verify(&world.path, &keys, &known).unwrap(),
        Verdict::Sound {
            head: now,
            signed: 600
        }
    );
    let wrong = Head {
        size: 600,
        root: [0; 32],
    };
    for heads in [[wrong, head, now], [head, now, wrong]] {
        assert_eq!(
            verify(&world.path, &keys, &heads).unwrap(),
            Verdict::Damaged(at(600, What::Rewritten { last: 600 }))
        );
    }
}

#[test]
fn a_deleted_file_is_no_sound_log() {
    let (world, _) = World::with_rows();
    fs::remove_file(&world.path).unwrap();
    assert!(verify(&world.path, &[], &[]).is_err());
    let recipient = world.identity.to_public().to_string();
    assert!(matches!(
        Log::open(&world.path, support::VAULT, &recipient),
        Err(OpenError::NotFound(_))
    ));
}

// the past rewritten, and the whole tree made anew over it; without the key the checkpoints stay behind.
#[test]
fn a_rewritten_past_with_a_recomputed_tree_is_found() {
    let (world, head) = World::with_rows();
    for (seq, first) in [(2, 1), (4, 1), (5, 5), (9, 5)] {
        let copy = world.copy();
        copy.tamper(&format!(
            "UPDATE row SET time_ms = time_ms + 1 WHERE seq = {seq}"
        ));
        recompute(&copy);
        let last = if seq <= 4 { 4 } else { 9 };
        assert_eq!(copy.damage(None), at(first, What::Rewritten { last }));
    }
    let copy = world.copy();
    copy.tamper("UPDATE row SET time_ms = time_ms + 1 WHERE seq = 11");
    recompute(&copy);
    assert!(matches!(
        copy.verify(None),
        Verdict::Sound { signed: 9, .. }
    ));
    assert_eq!(
        copy.damage(Some(&head)),
        at(10, What::Rewritten { last: 12 })
    );
}

#[test]
fn a_stranger_cannot_sign_and_a_note_cannot_be_bent() {
    let (world, _) = World::with_rows();
    let copy = world.copy();
    copy.tamper("UPDATE row SET time_ms = time_ms + 1 WHERE seq = 2");
    recompute(&copy);
    copy.tamper("DELETE FROM checkpoint");
    let recipient = world.identity.to_public().to_string();
    let stranger = Author::new(8);
    Log::open(&copy.path, support::VAULT, &recipient)
        .unwrap()
        .checkpoint(&stranger)
        .unwrap();
    assert_eq!(copy.damage(None), at(12, What::Checkpoint));
    // Without any key it can only be said that nothing counts as signed.
    assert!(matches!(
        verify(&copy.path, &[], &[]).unwrap(),
        Verdict::Sound { signed: 0, .. }
    ));

    for change in [
        "note = replace(note, '—', '-')",
        "note = note || '\n'",
        "note = note || substr(note, instr(note, '—'))",
        "note = ''",
        "size = size + 1",
        "size = 0",
        "note = (SELECT note FROM checkpoint ORDER BY id DESC LIMIT 1)",
    ] {
        let copy = world.copy();
        copy.tamper(&format!("UPDATE checkpoint SET {change} WHERE id = 1"));
        if change.contains("substr") {
            continue; // the same signature twice is still a signature
        }
        assert_eq!(copy.damage(None).what, What::Checkpoint, "{change}");
    }
}

// A-04 (journald CVE-2023-31438): cut, then log on as if nothing were.
#[test]
fn a_log_that_was_cut_is_not_added_to_and_not_signed() {
    let (world, head) = World::with_rows();
    let recipient = world.identity.to_public().to_string();
    let copy = world.copy();
    cut(&copy, 7, false);
    let opened = Log::open(&copy.path, support::VAULT, &recipient);
    let Err(OpenError::Damaged(found)) = opened else {
        panic!("opened")
    };
    assert_eq!(found, at(8, What::Cut { expected: 9 }));

    // With the later checkpoint gone it opens, and the vault's head still tells.
    let copy = world.copy();
    cut(&copy, 7, true);
    let log = Log::open(&copy.path, support::VAULT, &recipient).unwrap();
    for _ in 0..10 {
        log.record(&Event::new(Kind::Locked, Decision::Info))
            .unwrap();
    }
    assert_eq!(
        copy.damage(Some(&head)),
        at(5, What::Rewritten { last: 12 })
    );

    // With the later checkpoint put back over rows of today, it is not opened, and not verified.
    let note: String = query(&world.path, "SELECT note FROM checkpoint WHERE size = 9");
    drop(log);
    copy.tamper_with(|db| {
        db.execute("INSERT INTO checkpoint (size, note) VALUES (9, ?1)", [note])
            .unwrap()
    });
    assert_eq!(copy.damage(None), at(5, What::Rewritten { last: 9 }));
    assert!(matches!(
        Log::open(&copy.path, support::VAULT, &recipient),
        Err(OpenError::Damaged(_))
    ));
}

#[test]
fn a_running_log_notices_that_rows_were_taken_away_or_changed() {
    for sql in [
        "DELETE FROM row WHERE seq = 3",
        "UPDATE row SET hashes = zeroblob(length(hashes)); INSERT INTO row SELECT seq + 1, time_ms, kind, decision, session, closes, item_tag, client_tag, hashes, body FROM row WHERE seq = 3",
    ] {
        let (world, log) = World::new();
        for _ in 0..3 {
            log.record(&Event::new(Kind::Locked, Decision::Info))
                .unwrap();
        }
        let copy = support::Copy::of(&world);
        copy.tamper(sql);
        let refused = log
            .record(&Event::new(Kind::Locked, Decision::Info))
            .unwrap_err();
        assert!(
            matches!(
                refused,
                touchkeep_audit::RecordError::Changed { had: 3, .. }
            ),
            "{refused:?}"
        );
    }
}

#[test]
fn a_fork_of_what_was_signed_is_not_signed() {
    let (world, log) = World::new();
    for _ in 0..5 {
        log.record(&Event::new(Kind::Locked, Decision::Info))
            .unwrap();
    }
    log.checkpoint(&world.author).unwrap();
    log.record(&Event::new(Kind::Locked, Decision::Info))
        .unwrap();
    let copy = support::Copy::of(&world);
    copy.tamper("DELETE FROM checkpoint");
    copy.tamper("UPDATE row SET hashes = zeroblob(length(hashes)) WHERE seq = 4");
    let refused = log.checkpoint(&world.author).unwrap_err();
    assert!(matches!(
        refused,
        touchkeep_audit::CheckpointError::Inconsistent { signed: 5 }
    ));
    let notes: u64 = query(&world.path, "SELECT count(*) FROM checkpoint");
    assert_eq!(notes, 0);
}

// A-05 (journald CVE-2023-31437): a row that is there, but that no list shows.
#[test]
fn a_row_that_its_postings_hide_is_found() {
    let (world, _) = World::with_blocks(600);
    let postings: u64 = query(&world.path, "SELECT count(*) FROM posting");
    assert!(postings > 10);
    // Every posting of both blocks, gone, emptied, or with one row less; and one that is not to be there.
    for change in [
        "DELETE FROM posting",
        "UPDATE posting SET rows = zeroblob(length(rows))",
        "UPDATE posting SET rows = CAST(rows || x'00' AS BLOB)",
        "UPDATE posting SET rows = CAST(substr(rows, 1, length(rows) - 1) || x'5a' AS BLOB)",
        "UPDATE posting SET block = block + 100",
        "UPDATE posting SET word = CAST(word || x'00' AS BLOB)",
    ] {
        for skipped in 0..postings {
            let copy = world.copy();
            let changed = copy.tamper_with(|db| {
                db.execute(
                    &format!("{change} WHERE (word, block) IN (SELECT word, block FROM posting ORDER BY word, block LIMIT 1 OFFSET {skipped})"),
                    [],
                )
            });
            assert_eq!(changed, Ok(1), "{change}");
            let found = copy.damage(None);
            assert!(
                matches!(found.what, What::Hidden { .. }),
                "{change} {skipped}: {found}"
            );
            assert!(found.seq.is_some_and(|seq| seq <= 600));
        }
    }
    let copy = world.copy();
    copy.tamper("INSERT INTO posting VALUES (CAST('kno-such' AS BLOB), 1, zeroblob(32))");
    assert_eq!(copy.damage(None), at(257, What::Hidden { by: "kind" }));
    // The row itself is named.
    let copy = world.copy();
    assert_eq!(hide(&copy), 300);
    assert_eq!(copy.damage(None), at(300, What::Hidden { by: "item" }));
}

// The pages of the table, in the hands of who knows how SQLite stores one: a row's number is changed where it stands only to be found
// by. Whoever reads all rows still gets them.
#[test]
fn a_row_that_is_not_found_by_its_number_is_named() {
    const PAGE: usize = 4096;
    let (world, head) = World::with_blocks(600);
    let root: usize = query(
        &world.path,
        "SELECT rootpage FROM sqlite_schema WHERE name = 'row'",
    );
    let whole = fs::read(&world.path).unwrap();
    let page = (root - 1) * PAGE;
    // An inner page of a table: how many cells at 3, where they are from 12 on; in each the page of a child, and its last row as varint.
    assert_eq!(whole[page], 5);
    let two = |at: usize| usize::from(whole[page + at]) << 8 | usize::from(whole[page + at + 1]);
    let mut copies = Vec::new();
    for cell in (0..two(3)).map(|n| page + two(12 + 2 * n) + 4) {
        let last = u64::from(whole[cell] & 0x7f) << 7 | u64::from(whole[cell + 1]);
        if whole[cell] & 0x80 == 0 || last <= 128 {
            continue; // of one byte
        }
        let mut changed = whole.clone();
        changed[cell] = 0x80 | ((last - 1) >> 7) as u8;
        changed[cell + 1] = (last - 1) as u8 & 0x7f;
        let copy = world.copy();
        fs::write(&copy.path, &changed).unwrap();
        assert_eq!(
            query::<u64>(&copy.path, "SELECT count(hashes) FROM row"),
            600
        );
        let number = "number";
        assert_eq!(
            copy.damage(Some(&head)),
            at(last, What::Hidden { by: number })
        );
        copies.push(copy);
    }
    assert!(copies.len() > 20, "{}", copies.len());
    let mut second = support::second_verifier();
    second.args(["--key", &world.author.key().to_vkey()]);
    let said = second
        .args(copies.iter().map(|copy| &copy.path))
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said, "damaged file\n".repeat(copies.len()));
}

// Takes row 300 out of the posting by which the rows of its item are found. Done as somebody would who means it: the list does
// not show it any more.
fn hide(copy: &support::Copy) -> u64 {
    let shown = |log: &Log, identity| {
        let mut all = touchkeep_audit::Query {
            limit: 1000,
            ..Default::default()
        };
        all.items = vec![support::ITEM];
        log.list(&all, Some(identity))
            .unwrap()
            .rows
            .iter()
            .filter(|row| row.seq == 300)
            .count()
    };
    let identity = support::identity();
    assert_eq!(
        shown(
            &Log::open_locked(&copy.path, support::VAULT).unwrap(),
            &identity
        ),
        1
    );
    copy.tamper_with(|db| {
        let tag: Vec<u8> = db
            .query_row("SELECT item_tag FROM row WHERE seq = 300", [], |row| {
                row.get(0)
            })
            .unwrap();
        let word = [b"i", &tag[..]].concat();
        let mut bits: Vec<u8> = db
            .query_row(
                "SELECT rows FROM posting WHERE word = ?1 AND block = 1",
                [&word],
                |row| row.get(0),
            )
            .unwrap();
        let place = 300 - 257;
        assert_eq!(bits[place / 8] >> (place % 8) & 1, 1);
        bits[place / 8] &= !(1 << (place % 8));
        db.execute(
            "UPDATE posting SET rows = ?1 WHERE word = ?2 AND block = 1",
            (bits, word),
        )
        .unwrap();
    });
    assert_eq!(
        shown(
            &Log::open_locked(&copy.path, support::VAULT).unwrap(),
            &identity
        ),
        0
    );
    300
}

#[test]
fn other_tables_views_indexes_and_missing_guards_are_found() {
    let (world, _) = World::with_rows();
    let recipient = world.identity.to_public().to_string();
    for sql in [
        "DROP TRIGGER row_no_delete",
        "DROP INDEX checkpoint_size",
        "CREATE INDEX row_kind ON row (kind) WHERE seq <> 5",
        "DROP TABLE posting; CREATE TABLE posting (word BLOB NOT NULL, block INTEGER NOT NULL, rows BLOB NOT NULL) STRICT",
        "CREATE TRIGGER quiet AFTER INSERT ON row BEGIN SELECT 1; END",
        "CREATE TABLE extra (a)",
        "CREATE VIEW extra AS SELECT * FROM row",
        "ALTER TABLE row RENAME TO hidden; CREATE VIEW row AS SELECT * FROM hidden",
    ] {
        let copy = world.copy();
        Connection::open(&copy.path)
            .unwrap()
            .execute_batch(sql)
            .unwrap();
        copy.damage(None);
        assert!(
            matches!(
                Log::open(&copy.path, support::VAULT, &recipient),
                Err(OpenError::Damaged(_))
            ),
            "{sql}"
        );
    }
    let copy = world.copy();
    Connection::open(&copy.path)
        .unwrap()
        .execute_batch("DROP TRIGGER row_no_delete")
        .unwrap();
    assert_eq!(copy.damage(None), damage(None, What::Schema));
}

#[test]
fn the_guards_stop_an_accident() {
    let (world, _) = World::with_rows();
    let db = Connection::open(&world.path).unwrap();
    for table in ["log", "session", "row", "checkpoint"] {
        assert!(
            db.execute(&format!("DELETE FROM {table}"), []).is_err(),
            "{table}"
        );
    }
    assert!(db.execute("UPDATE row SET kind = 'x'", []).is_err());
}

// Each byte of a small file, some of them in turn: either the content is the same, or it is found.
#[test]
fn a_flipped_byte_is_found_or_means_nothing() {
    let (world, head) = World::with_rows();
    let copy = world.copy();
    let whole = fs::read(&copy.path).unwrap();
    let content = dump(&copy.path).unwrap();
    let mut found = 0;
    for at in (0..whole.len()).step_by(37) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        fs::write(&copy.path, &bytes).unwrap();
        match verify(&copy.path, &[world.author.key()], &[head]) {
            Ok(Verdict::Damaged(_)) | Err(_) => found += 1,
            Ok(Verdict::Sound { .. }) => {
                assert_eq!(dump(&copy.path).as_ref(), Some(&content), "byte {at}")
            }
        }
    }
    assert!(found > 50, "{found}");
}

fn dump(path: &std::path::Path) -> Option<Vec<Vec<Value>>> {
    let db = Connection::open(path).ok()?;
    let mut rows = Vec::new();
    for (table, width) in [
        ("log", 4),
        ("session", 3),
        ("row", 10),
        ("posting", 3),
        ("checkpoint", 3),
    ] {
        let mut statement = db.prepare(&format!("SELECT * FROM {table}")).ok()?;
        let found = statement
            .query_map([], |row| {
                (0..width)
                    .map(|i| row.get(i))
                    .collect::<Result<Vec<Value>, _>>()
            })
            .ok()?;
        for row in found {
            rows.push(row.ok()?);
        }
    }
    Some(rows)
}

// a second verifier, written from docs/formats/audit.md with nothing but Python's standard library, agrees.
#[test]
fn an_independent_verifier_says_the_same() {
    let (world, head) = World::with_rows();
    let mut cases: Vec<(String, support::Copy)> = vec![("untouched".into(), world.copy())];
    let mut add = |sql: &str, again: bool| {
        let copy = world.copy();
        let done = copy.tamper_with(|db| db.execute_batch(sql).is_ok());
        if again {
            recompute(&copy);
        }
        if done {
            cases.push((format!("{sql} {again}"), copy));
        }
    };
    for seq in [1, 9, 12] {
        for column in &COLUMNS[1..] {
            for change in changes(column) {
                add(
                    &format!("UPDATE row SET {column} = {change} WHERE seq = {seq}"),
                    false,
                );
            }
            add(
                &format!(
                    "UPDATE row SET {column} = {} WHERE seq = {seq}",
                    changes(column)[0]
                ),
                true,
            );
        }
        add(&format!("DELETE FROM row WHERE seq = {seq}"), false);
        add(&format!("DELETE FROM row WHERE seq >= {seq}"), false);
        add(
            &format!("UPDATE row SET seq = seq + 100 WHERE seq = {seq}"),
            false,
        );
        add(
            &format!(
                "UPDATE row SET hashes = CAST(substr(hashes, 1, length(hashes) - 32) || zeroblob(32) AS BLOB) WHERE seq = {seq}"
            ),
            false,
        );
    }
    add(
        "UPDATE row SET seq = -1 WHERE seq = 3; UPDATE row SET seq = 3 WHERE seq = 8; UPDATE row SET seq = 8 WHERE seq = -1",
        false,
    );
    add(
        "INSERT INTO row SELECT 13, time_ms, kind, decision, session, NULL, item_tag, client_tag, hashes, body FROM row WHERE seq = 12",
        false,
    );
    add(
        "INSERT INTO row SELECT 0, time_ms, kind, decision, session, NULL, item_tag, client_tag, hashes, body FROM row WHERE seq = 12",
        false,
    );
    add(
        "UPDATE checkpoint SET note = replace(note, 'A', 'B')",
        false,
    );
    add("UPDATE checkpoint SET size = size + 1 WHERE id = 2", false);
    add("UPDATE session SET started_ms = 0 WHERE id = 2", false);
    add("DELETE FROM session WHERE id = 1", false);
    add("INSERT INTO session VALUES (3, 0, x'00')", false);
    add("UPDATE log SET origin = 'x'", false);
    for kept in [3, 9, 11] {
        let copy = world.copy();
        cut(&copy, kept, false);
        cases.push((format!("cut to {kept}"), copy));
    }
    let (blocks, _) = World::with_blocks(600);
    for sql in [
        "SELECT 1",
        "DELETE FROM posting WHERE block = 1 AND word = CAST('kintent' AS BLOB)",
        "UPDATE posting SET rows = zeroblob(32) WHERE block = 0 AND word = CAST('dinfo' AS BLOB)",
        "UPDATE posting SET rows = zeroblob(16) WHERE word = CAST('t' AS BLOB)",
        "UPDATE posting SET rows = zeroblob(32) WHERE word > CAST('o' AS BLOB) AND word < CAST('p' AS BLOB)",
        "UPDATE row SET hashes = zeroblob(length(hashes)) WHERE seq = 512",
        "UPDATE row SET time_ms = 5 WHERE seq = 300",
    ] {
        let copy = blocks.copy();
        copy.tamper_with(|db| db.execute_batch(sql).unwrap());
        cases.push((sql.to_owned(), copy));
    }
    assert!(cases.len() > 90, "{}", cases.len());

    let paths = cases.iter().map(|(_, copy)| copy.path.clone());
    let expected = format!("{}:{}", head.size, HEXLOWER.encode(&head.root));
    for head_known in [false, true] {
        let mut python = support::second_verifier();
        python.args(["--key", &world.author.key().to_vkey()]);
        if head_known {
            python.args(["--head", &expected]);
        }
        let output = python
            .args(paths.clone())
            .output()
            .expect("python3 runs the second verifier");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let said = String::from_utf8(output.stdout).unwrap();
        let said: Vec<_> = said.lines().collect();
        assert_eq!(said.len(), cases.len());
        for ((case, copy), said) in cases.iter().zip(said) {
            let ours = match copy.verify(head_known.then_some(&head)) {
                Verdict::Sound { head, signed } => format!("sound {} {signed}", head.size),
                Verdict::Damaged(found) => format!(
                    "damaged {}",
                    found.seq.map_or("file".to_owned(), |seq| seq.to_string())
                ),
            };
            assert_eq!(said, ours, "{case}");
        }
    }
}

fn query<T: rusqlite::types::FromSql>(path: &std::path::Path, sql: &str) -> T {
    Connection::open(path)
        .unwrap()
        .query_row(sql, [], |row| row.get(0))
        .unwrap()
}

// Cuts rows and all that belongs to them, as somebody would who knows the format.
fn cut(copy: &support::Copy, kept: u64, checkpoints_too: bool) {
    copy.tamper(&format!(
        "DELETE FROM row WHERE seq > {kept}; DELETE FROM session WHERE id NOT IN (SELECT session FROM row)"
    ));
    if checkpoints_too {
        copy.tamper(&format!("DELETE FROM checkpoint WHERE size > {kept}"));
    }
}

// Makes the whole tree anew over the rows as they are. This is the format written down a second time, in the hands of who
// tampers.
fn recompute(copy: &support::Copy) {
    copy.tamper_with(|db| {
        let field = |field: Option<Vec<u8>>| {
            let length = field.as_ref().map_or(u32::MAX, |field| field.len() as u32);
            [length.to_be_bytes().to_vec(), field.unwrap_or_default()].concat()
        };
        let bytes = |value: Value| match value {
            Value::Null => None,
            Value::Text(text) => Some(text.into_bytes()),
            Value::Blob(blob) => Some(blob),
            other => panic!("{other:?}"),
        };
        let log: [Value; 3] = db
            .query_row("SELECT origin, recipient, tag_key FROM log", [], |row| {
                Ok([row.get(0)?, row.get(1)?, row.get(2)?])
            })
            .unwrap();
        let log = log.map(|value| field(bytes(value))).concat();
        let mut edge = Frontier::default();
        let mut hashes = Vec::new();
        let mut statement = db
            .prepare(
                "SELECT row.*, started_ms, session.key FROM row JOIN session ON id = session ORDER BY seq",
            )
            .unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let number = |at: usize| {
                row.get::<_, Option<i64>>(at)
                    .unwrap()
                    .unwrap_or(0)
                    .to_be_bytes()
                    .to_vec()
            };
            let value = |at: usize| field(bytes(row.get(at).unwrap()));
            let session = [
                b"touchkeep/audit/session/v1\0".to_vec(),
                log.clone(),
                number(4),
                number(10),
                value(11),
            ]
            .concat();
            let session = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &session)
                .as_ref()
                .to_vec();
            let leaf = [
                b"touchkeep/audit/row/v1\0".to_vec(),
                number(0),
                number(1),
                number(4),
                session,
                number(5),
                value(2),
                value(3),
                value(6),
                value(7),
                value(9),
            ];
            let mut completed = Vec::new();
            edge.push(leaf_hash(&leaf.concat()), |hash| completed.extend_from_slice(hash));
            hashes.push((row.get::<_, i64>(0).unwrap(), completed));
        }
        for (seq, hashes) in hashes {
            db.execute("UPDATE row SET hashes = ?1 WHERE seq = ?2", (hashes, seq))
                .unwrap();
        }
    });
}

#[test]
fn the_format_written_down_twice_is_the_same() {
    let (world, head) = World::with_rows();
    let copy = world.copy();
    recompute(&copy);
    assert_eq!(copy.verify(Some(&head)), Verdict::Sound { head, signed: 9 });
    let other = Head {
        size: 12,
        root: [0; 32],
    };
    assert_eq!(
        copy.damage(Some(&other)),
        at(10, What::Rewritten { last: 12 })
    );
}
