//! Deliveries: taken once, whatever comes of the clock, the file and its room.

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use touchkeep_core::ApiSecret;
use touchkeep_webhook::{Key, Presented, Scheme, Tolerance};

use super::*;

const SECRET: &str = "whsec_of_the_test";
const WINDOW: u64 = 300_000;

// Signed at that second.
fn stripe(sent: u64, body: &str) -> Genuine {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, format!("{sent}.{body}").as_bytes());
    let value = format!("t={sent},v1={}", HEXLOWER.encode(signature.as_ref()));
    judged(Scheme::Stripe, &[("Stripe-Signature", &value)], body, sent)
}

fn github(id: &str, body: &str) -> Genuine {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, body.as_bytes());
    let value = format!("sha256={}", HEXLOWER.encode(signature.as_ref()));
    let headers = [("X-Hub-Signature-256", &*value), ("X-GitHub-Delivery", id)];
    judged(Scheme::Github, &headers, body, 0)
}

fn judged(scheme: Scheme, headers: &[(&str, &str)], body: &str, now: u64) -> Genuine {
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
    let key = Key::read(scheme, &ApiSecret::new(SECRET.into())).unwrap();
    Presented::read(scheme, &headers, body.as_bytes())
        .unwrap()
        .judge(&key, Tolerance::USUAL, UnixMillis(now * 1000))
        .unwrap()
}

struct Memory {
    kept: Deliveries,
    item: ItemId,
    _folder: tempfile::TempDir,
}

impl Memory {
    fn of(max: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Deliveries::new(folder.path().join("webhooks.sqlite"));
        kept.max = max;
        Self {
            kept,
            item: ItemId::random(),
            _folder: folder,
        }
    }

    fn take(&self, genuine: &Genuine, now_ms: u64) -> Taken {
        let now = UnixMillis(now_ms);
        let taken = self.kept.take(self.item, genuine, false, now, |_| Ok(()));
        taken.unwrap()
    }

    fn restart(&mut self) {
        let (path, max) = (self.kept.path.clone(), self.kept.max);
        self.kept = Deliveries::new(path);
        self.kept.max = max;
    }

    fn count(&self, table: &str) -> u32 {
        let db = Connection::open(&self.kept.path).unwrap();
        let count = format!("SELECT COUNT(*) FROM {table}");
        db.query_row(&count, [], |row| row.get(0)).unwrap()
    }
}

#[test]
fn a_delivery_is_taken_once_over_restarts_and_by_each_item() {
    let mut memory = Memory::of(MAX_KEPT);
    let one = stripe(1_000, r#"{"id":"evt_1"}"#);
    assert_eq!(memory.take(&one, 1_000_000), Taken::Fresh);
    memory.restart();
    assert_eq!(
        memory.take(&one, 1_000_001),
        Taken::Replayed(UnixMillis(1_000_000))
    );
    memory.item = ItemId::random();
    assert_eq!(memory.take(&one, 1_000_002), Taken::Fresh);
}

#[test]
fn a_retry_is_signed_anew_and_taken_where_that_is_wanted() {
    let memory = Memory::of(MAX_KEPT);
    let body = r#"{"id":"evt_1"}"#;
    assert_eq!(memory.take(&stripe(1_000, body), 1_000_000), Taken::Fresh);
    let retry = stripe(5_000, body);
    assert_eq!(
        memory.take(&retry, 5_000_000),
        Taken::Repeated(UnixMillis(1_000_000))
    );
    let now = UnixMillis(5_000_000);
    let wanted = |one| {
        memory
            .kept
            .take(memory.item, one, true, now, |_| Ok(()))
            .unwrap()
    };
    let first = UnixMillis(1_000_000);
    assert_eq!(wanted(&retry), Taken::Retried(first));
    assert_eq!(wanted(&retry), Taken::Replayed(now));
}

#[test]
fn an_id_comes_to_its_end() {
    let memory = Memory::of(MAX_KEPT);
    let body = r#"{"id":"evt_1"}"#;
    assert_eq!(memory.take(&stripe(1_000, body), 1_000_000), Taken::Fresh);
    let end = 1_000_000 + IDS_DAYS * DAY_MS;
    let later = stripe(end / 1000, body);
    let repeated = Taken::Repeated(UnixMillis(1_000_000));
    assert_eq!(memory.take(&later, end - 1), repeated);
    assert_eq!(memory.take(&later, end), Taken::Fresh);
}

#[test]
fn githubs_unsigned_id_and_its_body_are_both_remembered() {
    let memory = Memory::of(MAX_KEPT);
    assert_eq!(memory.take(&github("a", "one"), 1), Taken::Fresh);
    assert_eq!(
        memory.take(&github("b", "one"), 2),
        Taken::Replayed(UnixMillis(1))
    );
    assert_eq!(
        memory.take(&github("a", "two"), 3),
        Taken::Repeated(UnixMillis(1))
    );
    let later = UNTIMED_DAYS * DAY_MS;
    assert_eq!(
        memory.take(&github("b", "one"), later),
        Taken::Replayed(UnixMillis(1))
    );
}

#[test]
fn what_is_forgotten_is_not_taken_when_the_clock_is_turned_back() {
    let memory = Memory::of(MAX_KEPT);
    let (first, second) = (stripe(1_000, "a"), stripe(9_000, "b"));
    assert_eq!(memory.take(&first, 1_000_000), Taken::Fresh);
    // At the window's end it is still remembered; just after it is forgotten, and was refused by its time before.
    assert_eq!(
        memory.take(&first, 1_000_000 + WINDOW),
        Taken::Replayed(UnixMillis(1_000_000))
    );
    assert_eq!(memory.take(&second, 9_000_000), Taken::Fresh);
    assert_eq!(memory.count(MESSAGES), 1);
    assert_eq!(memory.take(&first, 1_000_000), Taken::Forgotten);
    assert_eq!(
        memory.take(&stripe(999, "never seen"), 1_000_000),
        Taken::Forgotten
    );
    assert_eq!(
        memory.take(&stripe(1_001, "never seen"), 1_000_000),
        Taken::Fresh
    );
}

#[test]
fn more_than_is_kept_makes_room_and_lets_no_replay_in() {
    let memory = Memory::of(50);
    let all: Vec<_> = (0..520)
        .map(|n| stripe(1_000 + n / 4, &format!("{n}")))
        .collect();
    let taken = all
        .iter()
        .filter(|one| memory.take(one, 1_150_000) == Taken::Fresh);
    assert_eq!(taken.count(), 520);
    assert!(memory.count(MESSAGES) < 520, "room was made");
    for one in &all {
        assert_ne!(memory.take(one, 1_150_000), Taken::Fresh);
    }
}

#[test]
fn what_cannot_be_recorded_is_not_taken_and_may_come_again() {
    let memory = Memory::of(MAX_KEPT);
    let one = stripe(1_000, "a");
    let full = |_| Err(Failure::new(Code::AuditFailed, "full", "Make room."));
    let now = UnixMillis(1_000_000);
    let taken = memory.kept.take(memory.item, &one, false, now, full);
    assert_eq!(taken.unwrap_err().code, Code::AuditFailed);
    assert_eq!(memory.take(&one, 1_000_000), Taken::Fresh);
    // And one that was seen is not recorded as taken.
    let recorded = |_| panic!("it was not taken");
    let taken = memory.kept.take(memory.item, &one, false, now, recorded);
    assert_eq!(taken.unwrap(), Taken::Replayed(now));
}

#[test]
fn of_ten_at_once_one_is_fresh() {
    let memory = Memory::of(MAX_KEPT);
    let one = stripe(1_000, "a");
    let fresh = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| memory.take(&one, 1_000_000)))
            .collect();
        let taken = threads.into_iter().map(|thread| thread.join().unwrap());
        taken.filter(|taken| *taken == Taken::Fresh).count()
    });
    assert_eq!(fresh, 1);
}

#[test]
fn a_newer_shape_and_a_file_that_is_none_take_nothing() {
    let memory = Memory::of(MAX_KEPT);
    let one = stripe(1_000, "a");
    let take = || {
        memory
            .kept
            .take(memory.item, &one, false, UnixMillis(1), |_| Ok(()))
    };
    let db = Connection::open(&memory.kept.path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    assert_eq!(take().unwrap_err().code, Code::TooNew);
    drop(db);
    std::fs::write(
        &memory.kept.path,
        "not a database, and longer than its header is".repeat(9),
    )
    .unwrap();
    assert_eq!(take().unwrap_err().code, Code::System);
}
