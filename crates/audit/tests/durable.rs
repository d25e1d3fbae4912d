//! What was acknowledged is on disk; what is not on disk was refused (faults ).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests may fail loudly, and one of them talks to its parent"
)]

mod support;

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    pin::pin,
    process::{Command, Stdio},
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use support::{Ticking, VAULT, World};
use touchkeep_audit::{
    Decision, Event, Head, Kind, Log, OpenError, Query, RecordError, Verdict as Found, verify,
};
use touchkeep_core::{RequestId, UnixMillis};
use touchkeep_policy::{Allowed, Asked, History, Policy, Verdict};
use touchkeep_venue::{Operation, OperationKind};

const LOG_OF_CHILD: &str = "TOUCHKEEP_TEST_AUDIT_LOG";
/// How long is waited for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
const ROWS_OF_CHILD: &str = "TOUCHKEEP_TEST_AUDIT_ROWS";

fn event() -> Event {
    Event::new(Kind::Locked, Decision::Info).text("locked")
}

fn intent() -> Event {
    Event::new(Kind::Intent, Decision::Allowed).text("Place order")
}

#[test]
fn eight_threads_make_one_sound_log() {
    let (world, log) = World::new();
    let mut seqs: Vec<_> = thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..200)
                        .map(|_| log.record(&event()).unwrap())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect()
    });
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=1600).collect::<Vec<_>>());
    let head = log.head();
    assert_eq!(world.verify(Some(&head)), Found::Sound { head, signed: 0 });
    drop(log);
    assert_eq!(world.open().head(), head);
}

#[test]
fn two_logs_on_one_file_make_one_sound_log() {
    let (world, log) = World::new();
    drop(log);
    let log = Log::open_locked(&world.path, VAULT).unwrap();
    let other = Log::open_locked(&world.path, VAULT).unwrap();
    thread::scope(|scope| {
        for log in [&log, &other] {
            scope.spawn(move || {
                (0..100).for_each(|_| drop(log.record(&event()).unwrap().to_string()))
            });
        }
    });
    let Found::Sound { head, .. } = world.verify(None) else {
        panic!("damaged")
    };
    assert_eq!(head.size, 200);
    let rows = log
        .list(
            &Query {
                limit: 1000,
                ..Query::default()
            },
            Some(&world.identity),
        )
        .unwrap()
        .rows;
    assert_eq!(rows.len(), 200);
}

/// Waits for it in this thread, as an executor would.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(ready) => return ready,
            Poll::Pending => thread::park(),
        }
    }
}

// As another program sees it.
fn rows_on_disk(path: &Path) -> u64 {
    let db = rusqlite::Connection::open(path).unwrap();
    db.query_one("SELECT count(*) FROM row", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn tasks_and_threads_and_what_nobody_waits_for_make_one_sound_log() {
    let (world, log) = World::new();
    let done = Event::new(Kind::Outcome, Decision::Done);
    let mut seqs: Vec<_> = thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|n| {
                let (log, done, path) = (&log, &done, &world.path);
                scope.spawn(move || {
                    let mut seqs = Vec::new();
                    for _ in 0..100 {
                        let seq = if n % 2 == 0 {
                            wait(log.recording(&intent())).unwrap()
                        } else {
                            log.record(&intent()).unwrap()
                        };
                        assert!(rows_on_disk(path) >= seq, "answered before it was there");
                        log.record_outcome_later(seq, done, |written| assert!(written.is_ok()));
                        seqs.push(seq);
                    }
                    seqs
                })
            })
            .collect();
        writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect()
    });
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), 800, "each has a row of its own");
    assert!(
        log.unfinished().unwrap().is_empty(),
        "a reader waits for outcomes"
    );
    let head = log.head();
    assert_eq!(head.size, 1600);
    assert_eq!(world.verify(Some(&head)), Found::Sound { head, signed: 0 });
}

#[test]
fn what_was_begun_is_closed_once_by_a_row_of_its_own_kind_or_found_unfinished() {
    let (world, log) = World::new();
    let added = Event::new(Kind::ItemAdded, Decision::Done).text("Added x.");
    let begun = log.record_begun(&added).unwrap();
    assert_eq!(log.unfinished().unwrap(), [begun]);
    let other = log.record(&added).unwrap();
    let ended = log.record_ended(begun, &added).unwrap();
    assert_eq!(log.outcome_of(begun).unwrap(), Some(ended));
    let twice = log.record_ended(begun, &added);
    assert!(matches!(twice, Err(RecordError::AlreadyClosed(seq)) if seq == begun));
    let not_begun = log.record_ended(other, &added);
    assert!(matches!(not_begun, Err(RecordError::NotAnIntent(seq)) if seq == other));

    // Across blocks, where postings say what is open, beside requests in the same ones.
    let left = log.record_begun(&added).unwrap();
    let request = log.record(&intent()).unwrap();
    for _ in 0..600 {
        let _filler = log.record(&added).unwrap();
    }
    let late = log.record_begun(&added).unwrap();
    assert_eq!(log.unfinished().unwrap(), [left, request, late]);
    drop(log);
    let log = world.open();
    assert_eq!(log.unfinished().unwrap(), [left, request, late]);
    let _ended = log.record_ended(left, &added).unwrap();
    assert_eq!(log.unfinished().unwrap(), [request, late]);
    let rows = log
        .list(&Query::default(), Some(&world.identity))
        .unwrap()
        .rows;
    let row = rows.iter().find(|row| row.seq == late).unwrap();
    let event = row.event.as_ref().unwrap();
    assert_eq!((row.kind, row.decision), (Kind::Begun, Decision::Info));
    assert_eq!(event.text, "Begun: Added x.");
    assert_eq!(
        world.verify(None),
        Found::Sound {
            head: log.head(),
            signed: 0
        }
    );
}

#[test]
fn what_nobody_waits_for_is_written_all_the_same() {
    let (world, log) = World::new();
    let first = log.record(&intent()).unwrap();
    let done = Event::new(Kind::Outcome, Decision::Done);
    let (tell, told) = mpsc::channel();
    let again = tell.clone();
    log.record_outcome_later(first, &done, move |written| tell.send(written).unwrap());
    // Nobody asks for it and nothing else is recorded.
    assert_eq!(told.recv_timeout(PATIENCE).unwrap().unwrap(), 2);
    assert_eq!(rows_on_disk(&world.path), 2);
    log.record_outcome_later(first, &done, move |written| again.send(written).unwrap());
    let twice = told.recv_timeout(PATIENCE).unwrap();
    assert!(
        matches!(twice, Err(RecordError::AlreadyClosed(1))),
        "{twice:?}"
    );

    // A task that goes away, before it was looked after and while it waits.
    drop(log.recording(&event()));
    let mut left = Box::pin(log.recording(&event()));
    let mut context = Context::from_waker(Waker::noop());
    let _maybe = left.as_mut().poll(&mut context);
    drop(left);
    log.settle();
    assert_eq!(rows_on_disk(&world.path), 4);

    let last = log.record(&intent()).unwrap();
    log.record_outcome_later(last, &done, |written| assert!(written.is_ok()));
    drop(log);
    assert_eq!(rows_on_disk(&world.path), 6, "also when the log is closed");
}

// Some go away while they gather for others, and others while they are gathered for.
#[test]
fn whoever_goes_away_takes_nobody_with_it() {
    const ROUNDS: usize = 100;
    let (world, log) = World::new();
    let tasks = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let callers: Vec<_> = (0..12)
        .map(|n| {
            let log = log.clone();
            tasks.spawn(async move {
                for round in 0..ROUNDS {
                    if (n + round) % 3 == 0 {
                        tokio::select! {
                            biased;
                            written = log.recording(&event()) => drop(written.unwrap()),
                            () = tokio::task::yield_now() => {}
                        }
                    } else {
                        let written = tokio::time::timeout(PATIENCE, log.recording(&event()));
                        let _seq = written.await.expect("somebody writes it").unwrap();
                    }
                }
            })
        })
        .collect();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let _seq = log.record(&event()).unwrap();
                }
            });
        }
    });
    for caller in callers {
        tasks.block_on(caller).unwrap();
    }
    log.settle();
    let head = log.head();
    assert_eq!(head.size, 14 * ROUNDS as u64);
    assert_eq!(world.verify(Some(&head)), Found::Sound { head, signed: 0 });
}

#[test]
fn a_task_whose_row_cannot_be_written_is_refused() {
    let (world, log) = World::new();
    let first = log.record(&intent()).unwrap();
    fs::rename(&world.path, world.path.with_extension("moved")).unwrap();
    let refused = wait(log.recording_intent(allowed(), &intent()));
    assert!(matches!(refused, Err(RecordError::Replaced)));
    let (tell, told) = mpsc::channel();
    let done = Event::new(Kind::Outcome, Decision::Done);
    log.record_outcome_later(first, &done, move |written| tell.send(written).unwrap());
    let told = told.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(told, Err(RecordError::Replaced)));
}

#[test]
fn an_intent_stays_unfinished_until_its_outcome() {
    let (world, log) = World::new();
    let first = log.record(&intent()).unwrap();
    let second = log.record(&intent()).unwrap();
    let done = Event::new(Kind::Outcome, Decision::Done);
    log.record_outcome(first, &done).unwrap();
    assert_eq!(log.unfinished().unwrap(), [second]);
    drop(log);

    let log = world.open_locked();
    assert_eq!(log.unfinished().unwrap(), [second]);
    let unknown = Event::new(Kind::Outcome, Decision::Unknown);
    let row = log.record_outcome(second, &unknown).unwrap();
    assert!(log.unfinished().unwrap().is_empty());
    assert_eq!(
        log.list(&Query::default(), None).unwrap().rows[0].closes,
        Some(second)
    );

    let size = log.head().size;
    assert!(
        matches!(log.record_outcome(second, &unknown), Err(RecordError::AlreadyClosed(seq)) if seq == second)
    );
    assert!(
        matches!(log.record_outcome(row, &unknown), Err(RecordError::NotAnIntent(seq)) if seq == row)
    );
    assert!(matches!(
        log.record_outcome(99, &unknown),
        Err(RecordError::NotAnIntent(99))
    ));
    assert_eq!(log.head().size, size);
    log.record(&event()).unwrap();
    assert!(matches!(world.verify(None), Found::Sound { .. }));
}

fn allowed() -> Allowed {
    let asked = Asked {
        request: RequestId::random(),
        digest: [0xab; 32],
        client: "bot".into(),
        key_set: "main".into(),
        operation: Operation::new(
            OperationKind::Read,
            "binance",
            "GET",
            "/api/v3/account",
            "account information",
        ),
        now: UnixMillis(0),
    };
    match Policy::starting().decide(asked, &History::default()) {
        Verdict::Allow(allowed) => allowed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_intent_says_what_was_decided_and_not_what_the_caller_says() {
    let (world, log) = World::new();
    let allowed = allowed();
    let (request, rule) = (allowed.request(), allowed.rule().to_owned());
    let mut claim = Event::new(Kind::Reminder, Decision::Refused).text("Nothing of note");
    claim.digest = Some("00".into());
    let recorded = log
        .record_intent(allowed, &claim.detail("key", "trade key"))
        .unwrap();
    assert_eq!((recorded.seq(), recorded.allowed().request()), (1, request));
    assert_eq!(recorded.into_allowed().digest(), &[0xab; 32]);

    let row = log
        .list(&Query::default(), Some(&world.identity))
        .unwrap()
        .rows
        .remove(0);
    assert_eq!((row.kind, row.decision), (Kind::Intent, Decision::Allowed));
    let event = row.event.unwrap();
    assert_eq!(event.digest, Some("ab".repeat(32)));
    assert_eq!((event.request, event.rule), (Some(request), Some(rule)));
    assert_eq!(event.operation.unwrap().path, "/api/v3/account");
    assert_ne!(event.text, "Nothing of note");
    assert_eq!(event.details, [("key".to_owned(), "trade key".to_owned())]);
}

#[test]
fn what_cannot_be_recorded_is_not_allowed_any_more() {
    let (world, log) = World::new();
    fs::rename(&world.path, world.path.with_extension("moved")).unwrap();
    assert!(matches!(
        log.record_intent(allowed(), &intent()),
        Err(RecordError::Replaced)
    ));
}

#[test]
fn a_file_that_was_taken_away_is_not_written_to() {
    let (world, log) = World::new();
    log.record(&event()).unwrap();
    let elsewhere = world.path.with_extension("moved");
    fs::rename(&world.path, &elsewhere).unwrap();
    assert!(matches!(log.record(&event()), Err(RecordError::Replaced)));
    fs::copy(&elsewhere, &world.path).unwrap();
    assert!(matches!(log.record(&event()), Err(RecordError::Replaced)));
    fs::rename(&elsewhere, &world.path).unwrap();
    log.record(&event()).unwrap();
    let mut wal = world.path.clone().into_os_string();
    wal.push("-wal");
    fs::remove_file(wal).unwrap();
    assert!(matches!(log.record(&event()), Err(RecordError::Replaced)));
}

#[test]
fn a_locked_database_refuses_and_recovers_without_a_restart() {
    let (world, log) = World::new();
    log.record(&event()).unwrap();
    let other = rusqlite::Connection::open(&world.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(log.record(&event()), Err(RecordError::Storage(_))));
    assert_eq!(log.head().size, 1);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(log.record(&event()).unwrap(), 2);
    let Found::Sound { head, .. } = world.verify(None) else {
        panic!("damaged")
    };
    assert_eq!(head, log.head());
    assert_eq!(
        log.list(&Query::default(), Some(&world.identity))
            .unwrap()
            .rows
            .len(),
        2
    );
}

// A row number of an append that failed is used again; under the same key that would be the same nonce for another text.
#[test]
fn after_a_failed_append_rows_are_under_a_new_key() {
    let (world, log) = World::new();
    log.record(&event()).unwrap();
    log.record(&event()).unwrap();
    let other = rusqlite::Connection::open(&world.path).unwrap();
    other.execute_batch("CREATE TRIGGER full AFTER INSERT ON row WHEN NEW.seq > 2 BEGIN SELECT RAISE(ABORT, 'full'); END").unwrap();
    assert!(matches!(
        log.record(&event().text("one")),
        Err(RecordError::Storage(_))
    ));
    assert_eq!(log.head().size, 2);
    other.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(log.record(&event().text("other")).unwrap(), 3);
    let mut sessions = other
        .prepare("SELECT session FROM row ORDER BY seq")
        .unwrap();
    let sessions: Vec<u64> = sessions
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(sessions, [1, 1, 2]);
    assert!(matches!(world.verify(None), Found::Sound { .. }));
    let rows = log
        .list(&Query::default(), Some(&world.identity))
        .unwrap()
        .rows;
    assert_eq!(rows[0].event.as_ref().unwrap().text, "other");
}

#[test]
fn a_clock_that_goes_back_is_recorded_and_changes_no_order() {
    let (world, log) = World::new();
    log.record(&event()).unwrap();
    drop(log);
    let earlier = Arc::new(Ticking(1_600_000_000_000.into()));
    let log = Log::open_at(&world.path, VAULT, None, earlier).unwrap();
    assert_eq!(log.record(&event()).unwrap(), 3);
    assert_eq!(log.record(&event()).unwrap(), 4);
    let kinds: Vec<_> = log
        .list(&Query::default(), None)
        .unwrap()
        .rows
        .iter()
        .map(|row| row.kind)
        .collect();
    assert_eq!(
        kinds,
        [Kind::Locked, Kind::Locked, Kind::ClockBack, Kind::Locked]
    );
}

#[test]
fn what_is_no_log_is_refused_and_left_alone() {
    let (world, head) = World::with_rows();
    let recipient = world.identity.to_public().to_string();
    let stranger = age::x25519::Identity::generate().to_public().to_string();
    let open = |path: &Path, vault: &str, recipient: &str| {
        Log::open(path, vault, recipient).map(|log| log.head())
    };
    assert_eq!(open(&world.path, VAULT, &recipient).unwrap(), head);
    assert!(matches!(
        open(&world.path, "bbb", &recipient),
        Err(OpenError::OtherVault)
    ));
    assert!(matches!(
        open(&world.path, VAULT, &stranger),
        Err(OpenError::OtherVault)
    ));
    assert!(matches!(
        open(&world.path, "a/b\n", &recipient),
        Err(OpenError::Invalid)
    ));
    assert!(matches!(
        Log::create(&world.path, VAULT, &recipient),
        Err(OpenError::Exists(_))
    ));
    assert!(matches!(
        Log::create(&world.path.with_extension("new"), VAULT, "age1x"),
        Err(OpenError::Invalid)
    ));

    let foreign = world.path.with_extension("foreign");
    rusqlite::Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE a (b)")
        .unwrap();
    let before = fs::read(&foreign).unwrap();
    assert!(matches!(
        open(&foreign, VAULT, &recipient),
        Err(OpenError::NotALog(_))
    ));
    assert_eq!(fs::read(&foreign).unwrap(), before);

    let copy = world.copy();
    rusqlite::Connection::open(&copy.path)
        .unwrap()
        .pragma_update(None, "user_version", 2)
        .unwrap();
    assert!(matches!(
        open(&copy.path, VAULT, &recipient),
        Err(OpenError::TooNew { found: 2 })
    ));
    assert!(matches!(
        verify(&copy.path, &[], &[]),
        Err(touchkeep_audit::VerifyError::TooNew { found: 2 })
    ));
}

#[test]
fn a_failed_making_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    let path = folder.path().join("no-such-folder/audit.db");
    assert!(matches!(
        Log::create(&path, VAULT, &recipient),
        Err(OpenError::File(_))
    ));
    let path = folder.path().join("audit.db");
    fs::write(&path, "mine").unwrap();
    assert!(matches!(
        Log::create(&path, VAULT, &recipient),
        Err(OpenError::Exists(_))
    ));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn an_exported_copy_verifies_on_a_medium_that_cannot_be_written() {
    let (world, head) = World::with_rows();
    let log = world.open();
    let copy = world.folder.path().join("export dir ü/log #1?.db");
    fs::create_dir(copy.parent().unwrap()).unwrap();
    log.export(&copy).unwrap();
    assert!(log.export(&copy).is_err());
    assert_eq!(
        verify(&copy, &[], &[head]).unwrap(),
        Found::Sound { head, signed: 0 }
    );
}

// Not a test of its own: what the tests below start, to kill it or to starve it.
#[test]
fn child_that_appends() {
    let Some(path) = env::var_os(LOG_OF_CHILD).map(PathBuf::from) else {
        return;
    };
    let rows: u64 = env::var(ROWS_OF_CHILD).unwrap().parse().unwrap();
    let log = Log::open_locked(&path, VAULT).unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..rows {
                    match log.record(&intent().text("x".repeat(2000))) {
                        Ok(seq) => println!("ack {seq}"),
                        Err(error) => println!("refused {error:?}"),
                    }
                }
            });
        }
    });
    println!("head {}", log.head().size);
}

fn child(path: &Path, rows: u64, before: &str) -> Command {
    // The shell sets the limit, with its signal ignored, and becomes the child.
    let mut command = Command::new("sh");
    let this = env::current_exe().unwrap();
    command
        .args(["-c", &format!("{before} exec \"$0\" \"$@\"")])
        .arg(this);
    command.args([
        "--exact",
        "child_that_appends",
        "--nocapture",
        "--test-threads=1",
    ]);
    command
        .env(LOG_OF_CHILD, path)
        .env(ROWS_OF_CHILD, rows.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn ack(line: &str) -> Option<u64> {
    line.split_once("ack ")?.1.trim().parse().ok()
}

#[test]
fn a_killed_process_loses_no_row_that_it_acknowledged() {
    let (world, log) = World::new();
    drop(log);
    let mut all = 0;
    for round in 0..6 {
        let mut child = child(&world.path, 1_000_000, "").spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last = 0;
        let mut killed = false;
        for line in lines {
            last = line.ok().as_deref().and_then(ack).unwrap_or(0).max(last);
            if last > all + 20 + round * 37 && !killed {
                child.kill().unwrap(); // SIGKILL; what it had said by then is still read
                killed = true;
            }
        }
        child.wait().unwrap();
        let Found::Sound {
            head: Head { size, .. },
            ..
        } = world.verify(None)
        else {
            panic!("damaged")
        };
        assert!(
            last > all && size >= last,
            "{size} rows, acknowledged {last}"
        );
        all = size;
    }
    let log = world.open();
    assert_eq!(log.unfinished().unwrap(), (1..=all).collect::<Vec<_>>());
    let rows = log
        .list(
            &Query {
                limit: 1000,
                ..Query::default()
            },
            Some(&world.identity),
        )
        .unwrap()
        .rows;
    assert!(rows.iter().all(|row| {
        row.event
            .as_ref()
            .is_some_and(|event| event.text.len() == 2000)
    }));
}

#[test]
fn a_full_disk_refuses_and_what_was_acknowledged_stays() {
    let (world, log) = World::new();
    log.record(&event()).unwrap();
    drop(log);
    // A limit on the size of a file stands for a disk that is full; in units of 512 bytes or of 1024, after the shell.
    let output = child(&world.path, 200, "trap '' XFSZ; ulimit -f 200;")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let acknowledged: Vec<_> = said.lines().filter_map(ack).collect();
    let refused = said
        .lines()
        .filter(|line| line.contains("refused Storage"))
        .count();
    assert!(acknowledged.len() > 5 && refused > 100, "{said}");
    assert_eq!(acknowledged.len() + refused, 600, "{said}");
    let Found::Sound { head, .. } = world.verify(None) else {
        panic!("damaged")
    };
    assert_eq!(head.size, 1 + acknowledged.len() as u64);
    assert!(said.contains(&format!("head {}", head.size)), "{said}");
    // With room again it goes on, and everything can be read.
    let log = Log::open_locked(&world.path, VAULT).unwrap();
    assert_eq!(log.record(&event()).unwrap(), head.size + 1);
    let rows = log
        .list(
            &Query {
                limit: 1000,
                ..Query::default()
            },
            Some(&world.identity),
        )
        .unwrap()
        .rows;
    assert_eq!(rows.len() as u64, head.size + 1);
}
