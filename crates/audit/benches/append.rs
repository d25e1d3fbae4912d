//! `cargo bench -p touchkeep-audit`: what a durable row costs beside the bare file, as ratios in one run; what verifying costs
//! beside bare hashing; what a page costs in a log of many rows.
//!
//! Each round measures all contestants once, in turn, so that what else the machine does falls on all of them; the figure
//! is the median over rounds. `TOUCHKEEP_BENCH_ROWS` says how many rows the long log has: 1 000 000 where nothing is said.
//! `-- appends`, `-- verifying` or `-- pages` measures that alone.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    clippy::print_stdout,
    reason = "a measurement may fail loudly, and prints"
)]

use std::{
    fs::{self, File},
    hint::black_box,
    io::Write,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use rusqlite::{Connection, OpenFlags, ToSql};
use touchkeep_audit::{
    CheckpointSigner, Decision, Event, Kind, Log, Query, Seq, Verdict, tree, verify,
};
use touchkeep_container::note::VerifyKey;
use touchkeep_core::{ClientId, ItemId, UnixMillis};

const ROUNDS: usize = 15;
const APPENDS: usize = 200;
const CALLERS: usize = 16;
// As the agent has.
const TASK_THREADS: usize = 2;
// As many are verified.
const VERIFIED_ROWS: u64 = 250_000;
// About what a row takes on the disk.
const ROW_BYTES: usize = 600;
const ROWS: &str = "TOUCHKEEP_BENCH_ROWS";

fn main() {
    // Not the system's temporary folder, which may be memory: what is measured is the disk under the target folder.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let is_asked = |part: &str| asked.is_empty() || asked.iter().any(|one| one == part);
    if is_asked("appends") || is_asked("verifying") {
        appends(folder.path());
    }
    if is_asked("verifying") {
        verifying(folder.path());
    }
    if is_asked("pages") {
        pages(folder.path());
    }
}

fn appends(folder: &Path) {
    let identity = age::x25519::Identity::generate();
    let log = Log::create(
        &folder.join("log.db"),
        "bench",
        &identity.to_public().to_string(),
    )
    .unwrap();
    log.hold_tag_key(&identity).unwrap();
    let mut raw = File::create(folder.join("raw")).unwrap();
    let tasks = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(TASK_THREADS)
        .build()
        .unwrap();
    let mut rounds = [const { Vec::new() }; 4];
    let mut written = [(0, 0); 2];
    for _ in 0..ROUNDS {
        let before = io();
        rounds[0].push(time(|| {
            for _ in 0..APPENDS {
                raw.write_all(&[7; ROW_BYTES]).unwrap();
                raw.sync_data().unwrap();
            }
        }));
        written[0] = since(before);
        let before = io();
        rounds[1].push(time(|| record(&log, APPENDS)));
        written[1] = since(before);
        rounds[2].push(time(|| {
            thread::scope(|scope| {
                for _ in 0..CALLERS {
                    scope.spawn(|| record(&log, APPENDS));
                }
            });
        }));
        rounds[3].push(time(|| {
            let callers: Vec<_> = (0..CALLERS)
                .map(|_| tasks.spawn(recording(log.clone(), APPENDS)))
                .collect();
            callers
                .into_iter()
                .for_each(|caller| tasks.block_on(caller).unwrap());
        }));
        log.checkpoint(&Author::new()).unwrap();
    }
    reading(&log, &identity);
    let spread = spread(&rounds[0]);
    let [raw, one, threads, tasks] =
        rounds.map(|times| median(times).as_secs_f64() / APPENDS as f64);
    let each =
        |(calls, bytes): (u64, u64)| (calls as f64 / APPENDS as f64, bytes as f64 / APPENDS as f64);
    println!(
        "raw append + fdatasync      {:9.1} us   its own spread {:.0} %",
        raw * 1e6,
        spread * 100.0
    );
    println!(
        "one durable row             {:9.1} us   {:.2} x the raw rate; {:.1} writes, {:.0} bytes",
        one * 1e6,
        raw / one,
        each(written[1]).0,
        each(written[1]).1
    );
    for (callers, many) in [("threads", threads), ("tasks", tasks)] {
        let many = many / CALLERS as f64;
        println!(
            "a row of {CALLERS} {callers:<15} {:9.1} us   {:.0} rows/s, {:.1} x one caller",
            many * 1e6,
            1.0 / many,
            one / many
        );
    }
}

// What is decrypted of a page: the same rows without the identity and with it.
fn reading(log: &Log, identity: &age::x25519::Identity) {
    let page = |identity| {
        let times = (0..300).map(|_| {
            time(|| {
                let page = log.list(&Query::default(), identity).unwrap();
                assert_eq!(black_box(page).rows.len(), 100);
            })
        });
        median(times.collect()).as_secs_f64() * 1e6
    };
    println!(
        "newest 100 rows             {:9.1} us   {:.1} us decrypted",
        page(None),
        page(Some(identity))
    );
}

// As the pipeline does it: an intent, then its outcome.
fn record(log: &Log, rows: usize) {
    let outcome = Event::new(Kind::Outcome, Decision::Done).text("The venue answered 200.");
    let event = event();
    for _ in 0..rows / 2 {
        let intent = log.record(&event).unwrap();
        log.record_outcome(intent, &outcome).unwrap();
    }
}

// The same by a task, as it is in the agent.
async fn recording(log: Log, rows: usize) {
    let outcome = Event::new(Kind::Outcome, Decision::Done).text("The venue answered 200.");
    let event = event();
    for _ in 0..rows / 2 {
        let intent = log.recording(&event).await.unwrap();
        log.recording_outcome(intent, &outcome).await.unwrap();
    }
}

fn verifying(folder: &Path) {
    let path = folder.join("log.db");
    let log = Log::open_locked(&path, "bench").unwrap();
    let each = (VERIFIED_ROWS - log.head().size) as usize / CALLERS;
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| record(&log, each));
        }
    });
    drop(log);
    let db = Connection::open(&path).unwrap();
    let (size, bytes): (u64, f64) = db
        .query_row(
            "SELECT count(*), avg(length(body) + 130 + length(kind) + length(decision)) FROM row",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    drop(db);
    let leaf = vec![7; bytes as usize]; // what the leaves of these rows are hashed of
    let keys = [Author::new().key()];
    let mut rounds = [const { Vec::new() }; 2];
    let mut cpu = [0.0; 2];
    for _ in 0..9 {
        let before = cpu_seconds();
        rounds[0].push(time(|| {
            let mut edge = tree::Frontier::default();
            (0..size).for_each(|_| edge.push(tree::leaf_hash(black_box(&leaf)), |_| ()));
            black_box(edge.head());
        }));
        let between = cpu_seconds();
        rounds[1].push(time(|| {
            let verdict = verify(&path, &keys, &[]).unwrap();
            assert!(matches!(verdict, Verdict::Sound { head, .. } if head.size == size));
        }));
        cpu[0] += between - before;
        cpu[1] += cpu_seconds() - between;
    }
    let [hashing, verifying] = rounds.map(|times| median(times).as_secs_f64());
    println!(
        "hashing of {size} rows      {:9.0} rows/s on one thread",
        size as f64 / hashing
    );
    println!(
        "verify {size} rows          {:9.0} rows/s   {:.2} x the hash limit; {:.1} x its CPU time",
        size as f64 / verifying,
        hashing / verifying,
        cpu[1] / cpu[0]
    );
}

/// Pages of a long log. Its rows are put in from beside, as many as are asked for, with bodies that nobody can read: what is
/// measured is how they are found.
fn pages(folder: &Path) {
    let rows: u64 = std::env::var(ROWS).map_or(1_000_000, |rows| rows.parse().unwrap());
    assert!(
        rows >= 100_000,
        "{ROWS}: too few for full pages of every kind"
    );
    let path = folder.join("long.db");
    let identity = age::x25519::Identity::generate();
    let log = Log::create(&path, "bench", &identity.to_public().to_string()).unwrap();
    log.record(&event()).unwrap();
    let made = Instant::now();
    fill(&path, rows);
    println!(
        "{rows} rows put in within {:.0} s",
        made.elapsed().as_secs_f64()
    );
    let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    println!("{:<44}    whole     p99   SQL alone", "");
    let page = |what: &str, words: &[&str], query: &dyn Fn(Seq) -> Query| {
        let (mut times, mut bare) = (Vec::new(), Vec::new());
        for n in 0..1000u64 {
            let query = query(rows / 4 + n * (rows / 2000));
            let mut seqs = Vec::new();
            times.push(time(|| {
                let page = black_box(log.list(&query, None).unwrap());
                assert_eq!(page.rows.len(), query.limit);
                seqs.extend(page.rows.iter().map(|row| row.seq));
            }));
            bare.push(time(|| sql_alone(&db, words, query.until, &seqs)));
        }
        times.sort_unstable();
        let last = times[990];
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        println!(
            "{what:<44}{:7.1} us {:7.1} {:8.1} us",
            us(median(times)),
            us(last),
            us(median(bare))
        );
    };
    let at = |before| Query {
        before: Some(before),
        ..Query::default()
    };
    page("newest 100 rows", &[], &|_| Query::default());
    page("100 rows from the middle", &[], &at);
    page(
        "100 from the middle, of one kind of two",
        &["kintent"],
        &|before| Query {
            kinds: vec![Kind::Intent],
            ..at(before)
        },
    );
    page(
        "100 from the middle, of a kind of 1 in 100",
        &["kreminder"],
        &|before| Query {
            kinds: vec![Kind::Reminder],
            ..at(before)
        },
    );
    page(
        "100 from the middle, of a kind and a decision",
        &["kintent", "koutcome", "ddone"],
        &|before| Query {
            kinds: vec![Kind::Intent, Kind::Outcome],
            decisions: vec![Decision::Done],
            ..at(before)
        },
    );
    page("100 up to a time in the middle", &[], &|before| Query {
        until: Some(UnixMillis(1_700_000_000_000 + before * 1000)),
        ..Query::default()
    });
}

// What of a page is SQLite: the same rows by the same statements, nothing made of them.
fn sql_alone(db: &Connection, words: &[&str], until: Option<UnixMillis>, seqs: &[Seq]) {
    let step = |sql: &str, values: &[&dyn ToSql]| {
        let mut statement = db.prepare_cached(sql).unwrap();
        let mut rows = statement.query(values).unwrap();
        while let Some(row) = rows.next().unwrap() {
            black_box(row);
        }
    };
    let (newest, oldest) = (seqs[0], seqs[seqs.len() - 1]);
    let block = (newest - 1) / 256;
    db.execute_batch("BEGIN").unwrap();
    step("SELECT seq FROM row ORDER BY seq DESC LIMIT 1", &[]);
    for word in words {
        step(
            "SELECT block, rows FROM posting WHERE word = ?1 AND block BETWEEN ?2 AND ?3 ORDER BY block DESC",
            &[&word.as_bytes(), &((oldest - 1) / 256), &block],
        );
    }
    if until.is_some() {
        let sql = "SELECT seq, time_ms FROM row WHERE seq BETWEEN ?1 AND ?2";
        step(sql, &[&(block * 256 + 1), &(block * 256 + 256)]);
    }
    let select = "SELECT seq, time_ms, kind, decision, session, closes, hashes FROM row WHERE seq";
    if newest - oldest < 4 * seqs.len() as u64 {
        step(
            &format!("{select} BETWEEN ?1 AND ?2 ORDER BY seq DESC"),
            &[&oldest, &newest],
        );
    } else {
        let select = format!("{select} = ?1");
        seqs.iter().for_each(|seq| step(&select, &[seq]));
    }
    db.execute_batch("COMMIT").unwrap();
}

fn fill(path: &Path, rows: u64) {
    let db = Connection::open(path).unwrap();
    db.execute_batch("PRAGMA synchronous = OFF").unwrap();
    let chunk = 100_000;
    for from in (1..rows).step_by(chunk) {
        let last = (from + chunk as u64 - 1).min(rows - 1);
        db.execute(
            "INSERT INTO row
             WITH RECURSIVE n(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM n WHERE n < ?2)
             SELECT n + 1, 1700000000000 + n * 1000,
                 CASE WHEN n % 100 = 0 THEN 'reminder' WHEN n % 2 THEN 'intent' ELSE 'outcome' END,
                 CASE WHEN n % 2 THEN 'allowed' ELSE 'done' END, 1,
                 NULL, zeroblob(16), zeroblob(16), zeroblob(64), randomblob(330) FROM n",
            (from, last),
        )
        .unwrap();
    }
    db.execute(
        "INSERT INTO posting
         WITH RECURSIVE block(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM block WHERE n < ?1 / 256 - 1),
             word(word) AS (VALUES ('kintent'), ('koutcome'), ('dallowed'), ('ddone'))
         SELECT CAST(word AS BLOB), n,
             CASE WHEN word IN ('koutcome', 'ddone') THEN unhex(replace(hex(zeroblob(32)), '00', '55')) ELSE unhex(replace(hex(zeroblob(32)), '00', 'AA')) END
         FROM block, word",
        [rows],
    )
    .unwrap();
    let mut insert = db
        .prepare("INSERT INTO posting VALUES (?1, ?2, ?3)")
        .unwrap();
    db.execute_batch("BEGIN").unwrap();
    for block in 0..rows / 256 {
        let mut bits = [0u8; 32];
        for place in 0..256u64 {
            if (block * 256 + place).is_multiple_of(100) && block + place > 0 {
                bits[(place / 8) as usize] |= 1 << (place % 8);
            }
        }
        insert.execute((b"kreminder", block, bits)).unwrap();
        let time = |row: u64| (1_700_000_000_000 + row * 1000).to_be_bytes();
        let times = [time(block * 256), time(block * 256 + 255)].concat();
        insert.execute((b"t", block, times)).unwrap();
    }
    db.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
}

struct Author(Ed25519KeyPair);

impl Author {
    fn new() -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap())
    }
}

impl CheckpointSigner for Author {
    fn key(&self) -> VerifyKey {
        let public = self.0.public_key().as_ref().try_into().unwrap();
        VerifyKey::ed25519("author", public).unwrap()
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.0.sign(text).as_ref().to_vec())
    }
}

fn event() -> Event {
    Event::new(Kind::Intent, Decision::Allowed)
        .text("Place order: buy 0.5 BTCUSDT on Binance at 61000")
        .item(ItemId::random(), "binance trade key")
        .client(ClientId::random(), "grid-bot")
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

// How far apart the middle half lies, of the median.
fn spread(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = |part: usize| times[times.len() * part / 4].as_secs_f64();
    (at(3) - at(1)) / at(2)
}

// Calls that wrote, and bytes.
fn io() -> (u64, u64) {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    let of = |name: &str| {
        let line = io.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len() + 2..].parse().unwrap()
    };
    (of("syscw"), of("wchar"))
}

fn since(before: (u64, u64)) -> (u64, u64) {
    let now = io();
    (now.0 - before.0, now.1 - before.1)
}

fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}
