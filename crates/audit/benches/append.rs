//! `cargo bench -p touchkeep-audit`: what a durable row costs beside the bare file, as ratios in one run.
//!
//! Each round measures all contestants once, in turn, so that what else the machine does falls on all of them; the figure
//! is the median over rounds.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    clippy::print_stdout,
    reason = "a measurement may fail loudly, and prints"
)]

use std::{
    fs::File,
    hint::black_box,
    io::Write,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use touchkeep_audit::{Decision, Event, Kind, Log, Query, Verdict, tree, verify};
use touchkeep_core::{ClientId, ItemId};

const ROUNDS: usize = 15;
const APPENDS: usize = 200;
const CALLERS: usize = 16;
// About what a row, its hashes and its index entries take.
const ROW_BYTES: usize = 600;

fn main() {
    // Not the system's temporary folder, which may be memory: what is measured is the disk under the target folder.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    appends(folder.path());
    reading(folder.path());
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
    let event = event();
    let mut raw = File::create(folder.join("raw")).unwrap();
    let mut rounds = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        rounds[0].push(time(|| {
            for _ in 0..APPENDS {
                raw.write_all(&[7; ROW_BYTES]).unwrap();
                raw.sync_data().unwrap();
            }
        }));
        rounds[1].push(time(|| {
            for _ in 0..APPENDS {
                log.record(&event).unwrap();
            }
        }));
        rounds[2].push(time(|| {
            thread::scope(|scope| {
                for _ in 0..CALLERS {
                    scope.spawn(|| {
                        (0..APPENDS).for_each(|_| {
                            log.record(&event).unwrap();
                        })
                    });
                }
            });
        }));
    }
    let [raw, one, many] = rounds.map(|times| median(times).as_secs_f64() / APPENDS as f64);
    let many = many / CALLERS as f64;
    println!("raw append + fdatasync      {:9.1} us", raw * 1e6);
    println!(
        "one durable row             {:9.1} us   {:.2} x the raw rate",
        one * 1e6,
        raw / one
    );
    println!(
        "one of {CALLERS} callers' rows     {:9.1} us   {:.0} rows/s, {:.1} x one caller",
        many * 1e6,
        1.0 / many,
        one / many
    );
}

fn reading(folder: &Path) {
    let path = folder.join("log.db");
    let mut pages = Vec::new();
    let size = {
        let log = Log::open_locked(&path, "bench").unwrap();
        for _ in 0..1000 {
            pages.push(time(|| {
                drop(black_box(log.list(&Query::default(), None).unwrap()))
            }));
        }
        log.head().size
    };
    println!(
        "newest 100 rows, locked     {:9.1} us",
        median(pages).as_secs_f64() * 1e6
    );

    let body = vec![7; 420]; // clear columns and body of one of these rows
    let mut rounds = [const { Vec::new() }; 2];
    for _ in 0..5 {
        rounds[0].push(time(|| {
            let mut edge = tree::Frontier::default();
            (0..size).for_each(|_| edge.push(tree::leaf_hash(black_box(&body)), |_| ()));
            black_box(edge.head());
        }));
        rounds[1].push(time(|| {
            let verdict = verify(&path, &[], &[]).unwrap();
            assert!(matches!(verdict, Verdict::Sound { head, .. } if head.size == size));
        }));
    }
    let [hashing, verifying] = rounds.map(|times| median(times).as_secs_f64());
    println!(
        "verify {size} rows          {:9.0} rows/s   {:.2} x the hash limit",
        size as f64 / verifying,
        hashing / verifying
    );
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
