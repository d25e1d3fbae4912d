//! Whoever owns the file may do with it what he likes; the verifier finds it and names the row (faults ).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::{fs, process::Command};

use data_encoding::HEXLOWER;
use rusqlite::{Connection, types::Value};
use support::{Author, World, at, damage};
use touchkeep_audit::{
    CheckpointSigner, Decision, Event, Head, Kind, Log, OpenError, Verdict, What,
    tree::{Frontier, leaf_hash},
    verify,
};

const COLUMNS: [&str; 9] = [
    "seq",
    "time_ms",
    "kind",
    "decision",
    "session",
    "closes",
    "item_tag",
    "client_tag",
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
        verify(&world.path, &[], None).unwrap(),
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
                    assert_eq!(found.seq, Some(seq), "{column} = {change}: {found}");
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
        assert_eq!(copy.damage(None), at(seq, expected));

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
            "INSERT INTO row SELECT {to}, time_ms, kind, decision, session, NULL, item_tag, client_tag, body FROM row WHERE seq = {from}"
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
    let nodes: u64 = query(&world.path, "SELECT count(*) FROM node");
    assert_eq!(nodes, 12 + 6 + 3 + 1);
    for id in 0..nodes {
        for change in [
            "UPDATE node SET hash = zeroblob(32)",
            "UPDATE node SET hash = substr(hash, 2)",
            "DELETE FROM node",
            "UPDATE node SET id = id + 1000",
        ] {
            let copy = world.copy();
            copy.tamper(&format!("{change} WHERE id = {id}"));
            copy.damage(None);
        }
    }
    let copy = world.copy();
    copy.tamper("INSERT INTO node VALUES (22, zeroblob(32))");
    assert_eq!(copy.damage(None), at(13, What::Cut { expected: 13 }));

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

#[test]
fn a_deleted_file_is_no_sound_log() {
    let (world, _) = World::with_rows();
    fs::remove_file(&world.path).unwrap();
    assert!(verify(&world.path, &[], None).is_err());
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
        verify(&copy.path, &[], None).unwrap(),
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
        "DELETE FROM row WHERE seq = 3; DELETE FROM node WHERE id > 2",
        "UPDATE node SET hash = zeroblob(32); INSERT INTO row SELECT seq + 1, time_ms, kind, decision, session, closes, item_tag, client_tag, body FROM row WHERE seq = 3",
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
    copy.tamper("UPDATE node SET hash = zeroblob(32) WHERE id = 6");
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
fn a_row_that_an_index_hides_is_found() {
    let (world, _) = World::with_rows();
    for (index, columns) in [
        ("row_kind", "kind TEXT"),
        ("row_item", "item_tag BLOB"),
        ("row_client", "client_tag BLOB"),
        ("row_closes", "closes INTEGER"),
    ] {
        let copy = world.copy();
        let column = columns.split(' ').next().unwrap();
        let seq = copy.tamper_with(|db| hide(db, index, column, columns));
        let found = copy.damage(None);
        assert_eq!(
            (found.seq, &found.what),
            (Some(seq), &What::Hidden { index }),
            "{found}"
        );
    }
}

// An index is a b-tree like a table without row numbers: for a moment it is declared to be one, and edited.
fn hide(db: &Connection, index: &str, column: &str, columns: &str) -> u64 {
    let seq: u64 = db
        .query_row(
            &format!("SELECT max(seq) FROM row WHERE {column} IS NOT NULL"),
            [],
            |row| row.get(0),
        )
        .unwrap();
    let sql: String = db
        .query_row(
            "SELECT sql FROM sqlite_schema WHERE name = ?1",
            [index],
            |row| row.get(0),
        )
        .unwrap();
    let path = db.path().unwrap().to_owned();
    let declare = |kind: &str, table: &str, sql: &str| {
        let db = Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA writable_schema = ON").unwrap();
        db.execute(
            "UPDATE sqlite_schema SET type = ?1, tbl_name = ?2, sql = ?3 WHERE name = ?4",
            (kind, table, sql, index),
        )
        .unwrap();
    };
    declare(
        "table",
        index,
        &format!(
            "CREATE TABLE {index} ({columns}, seq INTEGER, PRIMARY KEY ({column}, seq)) WITHOUT ROWID"
        ),
    );
    let edit = Connection::open(&path).unwrap();
    assert_eq!(
        edit.execute(&format!("DELETE FROM {index} WHERE seq = {seq}"), [])
            .unwrap(),
        1
    );
    drop(edit);
    declare("index", "row", &sql);
    // Done as somebody would who means it: the list does not show the row any more.
    let db = Connection::open(&path).unwrap();
    let shown: u64 = db
        .query_row(&format!("SELECT count(*) FROM row INDEXED BY {index} WHERE {column} IS NOT NULL AND seq = {seq}"), [], |row| row.get(0))
        .unwrap();
    assert_eq!(shown, 0);
    seq
}

#[test]
fn other_tables_views_indexes_and_missing_guards_are_found() {
    let (world, _) = World::with_rows();
    let recipient = world.identity.to_public().to_string();
    for sql in [
        "DROP TRIGGER row_no_delete",
        "DROP INDEX row_kind",
        "DROP INDEX row_kind; CREATE INDEX row_kind ON row (kind) WHERE seq <> 5",
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
    for table in ["log", "session", "row", "node", "checkpoint"] {
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
        match verify(&copy.path, &[world.author.key()], Some(&head)) {
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
        ("row", 9),
        ("node", 2),
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
    for seq in [1, 4, 7, 9, 12] {
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
            &format!("UPDATE node SET hash = zeroblob(32) WHERE id = {seq}"),
            false,
        );
        add(&format!("DELETE FROM node WHERE id = {seq}"), false);
    }
    add(
        "UPDATE row SET seq = -1 WHERE seq = 3; UPDATE row SET seq = 3 WHERE seq = 8; UPDATE row SET seq = 8 WHERE seq = -1",
        false,
    );
    add(
        "INSERT INTO row SELECT 13, time_ms, kind, decision, session, NULL, item_tag, client_tag, body FROM row WHERE seq = 12",
        false,
    );
    add(
        "INSERT INTO row SELECT 0, time_ms, kind, decision, session, NULL, item_tag, client_tag, body FROM row WHERE seq = 12",
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
    let hidden = world.copy();
    hidden.tamper_with(|db| hide(db, "row_kind", "kind", "kind TEXT"));
    cases.push(("hidden".into(), hidden));
    for kept in [3, 9, 11] {
        let copy = world.copy();
        cut(&copy, kept, false);
        cases.push((format!("cut to {kept}"), copy));
    }
    assert!(cases.len() > 150, "{}", cases.len());

    let paths = cases.iter().map(|(_, copy)| copy.path.clone());
    let expected = format!("{}:{}", head.size, HEXLOWER.encode(&head.root));
    for head_known in [false, true] {
        let mut python = Command::new("python3");
        python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/verify.py"));
        python.args([
            "--key",
            &HEXLOWER.encode(&world.author.public()),
            "--name",
            "touchkeep/author/test",
        ]);
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
    let nodes = touchkeep_audit::tree::node_count(kept);
    copy.tamper(&format!(
        "DELETE FROM row WHERE seq > {kept}; DELETE FROM node WHERE id >= {nodes}; DELETE FROM session WHERE id NOT IN (SELECT session FROM row)"
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
        let mut nodes = Vec::new();
        let mut statement = db
            .prepare(
                "SELECT row.*, started_ms, key FROM row JOIN session ON id = session ORDER BY seq",
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
                number(9),
                value(10),
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
                value(8),
            ];
            edge.push(leaf_hash(&leaf.concat()), |id, hash| nodes.push((id, hash)));
        }
        db.execute_batch("DELETE FROM node").unwrap();
        for (id, hash) in nodes {
            db.execute("INSERT INTO node VALUES (?1, ?2)", (id, hash))
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
