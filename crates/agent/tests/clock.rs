//! Somebody sets the clock: grants and the lock for idleness go by a clock that nobody can set. libfaketime moves the time of day
//! of the agent, and its log shows that it believed it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use common::{
    Agent, PATIENCE, Person,
    asker::{Asker, asker, vault_with},
    yes,
};
use tempfile::TempDir;
use touchkeep_client::Connection;
use touchkeep_wire::{
    Answer, AuditFilter, AuditRow, GetStatus, ListAudit, ListGrants, Question, Scope, UnlockVault,
};

const DAY: i64 = 86_400;
/// To tomorrow, to yesterday, and by ten years.
const JUMPS: [i64; 4] = [DAY, -DAY, 3_650 * DAY, -3_650 * DAY];
/// What grants and idleness last here.
const LASTS: Duration = Duration::from_secs(3);

/// A clock that a test sets, for what is started with its environment.
struct Clock {
    folder: TempDir,
    library: PathBuf,
}

impl Clock {
    fn new() -> Self {
        let clock = Self {
            folder: tempfile::tempdir().unwrap(),
            library: libfaketime(),
        };
        clock.jump(0);
        clock
    }

    fn offset(&self) -> PathBuf {
        self.folder.path().join("offset")
    }

    // So many seconds off the true time, from the next reading on.
    fn jump(&self, seconds: i64) {
        let new = self.folder.path().join("new");
        fs::write(&new, format!("{seconds:+}")).unwrap();
        fs::rename(&new, self.offset()).unwrap();
    }

    async fn agent(&self, config: &str) -> Agent {
        let offset = self.offset();
        let environment = [
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ];
        Agent::start_with(config, &environment).await
    }
}

// A library of the system, wherever this distribution has it.
fn libfaketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten();
    let inside = |folder: fs::DirEntry| folder.path().join("faketime/libfaketime.so.1");
    let mut found = folders.map(inside).filter(|path| Path::is_file(path));
    found.next().expect("libfaketime, of the package faketime")
}

// Of the true time, within an hour or two.
fn days_off(time_ms: u64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let off = i64::try_from(time_ms / 1000).unwrap() - i64::try_from(now.as_secs()).unwrap();
    (off + 3600).div_euclid(DAY)
}

async fn newest(client: &Connection, kind: &str) -> AuditRow {
    let call = ListAudit {
        before: None,
        limit: 1,
        filter: AuditFilter {
            kinds: vec![kind.into()],
            ..Default::default()
        },
    };
    client.call(call).await.unwrap().rows.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_lasts_what_it_lasts_whatever_the_clock_says() {
    let clock = Clock::new();
    let agent = clock.agent("grant_seconds = 3\n").await;
    let client = agent.client().await;
    let _person = Person::new(&agent, |question: &Question| match question {
        Question::Use(_) => Some(Answer::Allow {
            scope: Scope::Process,
        }),
        other => yes(other),
    })
    .await;
    vault_with(&client, &agent, &[("bot", "trade", false)]).await;
    let mut asker = Asker::start(&asker(), &agent);
    for jump in JUMPS {
        clock.jump(0);
        let given = Instant::now();
        assert_eq!(asker.ask("ask bot").await, "allowed");
        clock.jump(jump);
        assert_eq!(asker.ask("quietly bot").await, "allowed", "{jump} s");
        let left = client.call(ListGrants {}).await.unwrap()[0].seconds_left;
        assert!(left.unwrap() <= LASTS.as_secs(), "{jump} s: {left:?}");
        let row = newest(&client, "grant-given").await;
        assert_eq!(
            days_off(row.time.0),
            jump / DAY,
            "what the agent takes for the time is moved"
        );
        while asker.ask("quietly bot").await == "allowed" {
            assert!(given.elapsed() < PATIENCE, "{jump} s: it does not end");
        }
        assert!(given.elapsed() >= LASTS, "{jump} s: it ended too early");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idleness_is_what_it_is_whatever_the_clock_says() {
    let clock = Clock::new();
    let agent = clock.agent("idle_lock_seconds = 3\n").await;
    let client = agent.client().await;
    let _person = Person::new(&agent, yes).await;
    vault_with(&client, &agent, &[]).await;
    for jump in JUMPS {
        clock.jump(0);
        let used = Instant::now();
        let unlock = UnlockVault {
            path: None,
            device: None,
        };
        client.call(unlock).await.unwrap();
        clock.jump(jump);
        while client.call(GetStatus {}).await.unwrap().unlocked {
            assert!(used.elapsed() < PATIENCE, "{jump} s: it is not locked");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(used.elapsed() >= LASTS, "{jump} s: it locked too early");
    }
    let unlock = UnlockVault {
        path: None,
        device: None,
    };
    client.call(unlock).await.unwrap();
    let row = newest(&client, "locked").await;
    assert_eq!(row.what.as_deref(), Some("Nobody used it for long."));
}
