//! What the tests of the log share: a log with some rows and checkpoints, a signer, and a way in for who tampers.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    slice,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_lc_rs::{
    encoding::AsDer,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use rusqlite::Connection;
use tempfile::TempDir;
use touchkeep_audit::{
    CheckpointSigner, Damage, Decision, Event, Head, Kind, Log, Verdict, What, verify,
};
use touchkeep_container::note::VerifyKey;
use touchkeep_core::{ClientId, Clock, Id, ItemId, UnixMillis};

pub(crate) const VAULT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const ITEM: ItemId = ItemId(Id::from_bytes([1; 16]));
pub(crate) const OTHER_ITEM: ItemId = ItemId(Id::from_bytes([2; 16]));
pub(crate) const CLIENT: ClientId = ClientId(Id::from_bytes([3; 16]));

/// Goes on by a second with each look.
pub(crate) struct Ticking(pub(crate) AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.fetch_add(1000, Ordering::Relaxed))
    }
}

pub(crate) fn ticking() -> Arc<Ticking> {
    Arc::new(Ticking(AtomicU64::new(1_700_000_000_000)))
}

pub(crate) struct Author(Ed25519KeyPair);

impl Author {
    pub(crate) fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap()
    }
}

impl CheckpointSigner for Author {
    fn key(&self) -> VerifyKey {
        VerifyKey::ed25519("touchkeep/author/test", self.public()).unwrap()
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.0.sign(text).as_ref().to_vec())
    }
}

/// A device's key.
pub(crate) struct P256(EcdsaKeyPair);

impl P256 {
    pub(crate) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }
}

impl CheckpointSigner for P256 {
    fn key(&self) -> VerifyKey {
        let spki = self.0.public_key().as_der().unwrap();
        VerifyKey::from_spki("device", spki.as_ref()).unwrap()
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let signed = self.0.sign(&random, text).map_err(|_| "no".to_owned())?;
        Ok(signed.as_ref().to_vec())
    }
}

/// The audit identity of these logs.
pub(crate) fn identity() -> age::x25519::Identity {
    "AGE-SECRET-KEY-1A4D3QQV5HTKE2HT3UV3NL8ZGNC229M4NZREUDCZTQNXPPZJP0UXQ3ZWRYF"
        .parse()
        .unwrap()
}

/// A folder with a log in it, and all that belongs to it.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) path: PathBuf,
    pub(crate) identity: age::x25519::Identity,
    pub(crate) author: Author,
}

impl World {
    pub(crate) fn new() -> (Self, Log) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        let identity = identity();
        let recipient = identity.to_public().to_string();
        let log = Log::create_at(&path, VAULT, &recipient, ticking()).unwrap();
        let author = Author::new(7);
        let world = Self {
            folder,
            path,
            identity,
            author,
        };
        (world, log)
    }

    /// A folder of its own with this log in it, one of [`World::new`]'s.
    pub(crate) fn of_file(whole: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        fs::write(&path, whole).unwrap();
        Self {
            folder,
            path,
            identity: identity(),
            author: Author::new(7),
        }
    }

    /// A closed log of 12 rows, from two sessions, with checkpoints after 4 and 9 and all kinds of rows.
    pub(crate) fn with_rows() -> (Self, Head) {
        let (world, log) = Self::new();
        log.record(&Event::new(Kind::VaultCreated, Decision::Info))
            .unwrap();
        log.record(&item_event()).unwrap();
        let intent = log
            .record(
                &Event::new(Kind::Intent, Decision::Touched)
                    .item(ITEM, "money key")
                    .client(CLIENT, "bot"),
            )
            .unwrap();
        log.record_outcome(
            intent,
            &Event::new(Kind::Outcome, Decision::Done).item(ITEM, "money key"),
        )
        .unwrap();
        log.checkpoint(&world.author).unwrap();
        log.record(&Event::new(Kind::Locked, Decision::Info))
            .unwrap();
        drop(log);

        let log = world.open_locked();
        log.record(&item_event()).unwrap();
        log.hold_tag_key(&world.identity).unwrap();
        log.record(&item_event().client(CLIENT, "bot")).unwrap();
        let intent = log
            .record(&Event::new(Kind::Intent, Decision::Allowed).item(OTHER_ITEM, "trade key"))
            .unwrap();
        log.record_outcome(intent, &Event::new(Kind::Outcome, Decision::Failed))
            .unwrap();
        log.checkpoint(&world.author).unwrap();
        for _ in 0..3 {
            log.record(&Event::new(Kind::Reminder, Decision::Info).item(ITEM, "money key"))
                .unwrap();
        }
        let head = log.head();
        drop(log);
        (world, head)
    }

    /// A closed log of so many rows of all sorts, more than a block of them, with a checkpoint every hundred.
    pub(crate) fn with_blocks(rows: u64) -> (Self, Head) {
        let (world, log) = Self::new();
        log.hold_tag_key(&world.identity).unwrap();
        for n in 1..=rows {
            match n % 4 {
                0 => log.record(&item_event().client(CLIENT, "bot")).unwrap(),
                1 => log
                    .record(
                        &Event::new(Kind::Intent, Decision::Allowed).item(OTHER_ITEM, "trade key"),
                    )
                    .unwrap(),
                2 if n > 250 => log
                    .record_outcome(
                        n - 1,
                        &Event::new(Kind::Outcome, Decision::Done).item(OTHER_ITEM, "trade key"),
                    )
                    .unwrap(),
                _ => log
                    .record(&item_event().item(OTHER_ITEM, "trade key"))
                    .unwrap(),
            };
            if n % 100 == 0 {
                log.checkpoint(&world.author).unwrap();
            }
        }
        let head = log.head();
        drop(log);
        (world, head)
    }

    pub(crate) fn open(&self) -> Log {
        let recipient = self.identity.to_public().to_string();
        Log::open_at(&self.path, VAULT, Some(&recipient), ticking_later()).unwrap()
    }

    pub(crate) fn open_locked(&self) -> Log {
        Log::open_at(&self.path, VAULT, None, ticking_later()).unwrap()
    }

    pub(crate) fn verify(&self, expected: Option<&Head>) -> Verdict {
        verify(
            &self.path,
            &[self.author.key()],
            expected.map_or(&[], slice::from_ref),
        )
        .unwrap()
    }

    /// A copy of the file to damage.
    pub(crate) fn copy(&self) -> Copy {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        fs::copy(&self.path, &path).unwrap();
        Copy {
            folder: Some(folder),
            path,
            key: self.author.key(),
        }
    }
}

fn ticking_later() -> Arc<Ticking> {
    Arc::new(Ticking(AtomicU64::new(1_700_001_000_000)))
}

fn item_event() -> Event {
    Event::new(Kind::ItemAdded, Decision::Info)
        .item(ITEM, "money key")
        .text("Added")
}

/// A log's file, a copy mostly, in the hands of who owns the machine.
pub(crate) struct Copy {
    pub(crate) folder: Option<TempDir>,
    pub(crate) path: PathBuf,
    key: VerifyKey,
}

impl Copy {
    /// The file itself, under a log that is open.
    pub(crate) fn of(world: &World) -> Self {
        Self {
            folder: None,
            path: world.path.clone(),
            key: world.author.key(),
        }
    }

    /// Does `sql` with the guards off, and puts the guards back.
    pub(crate) fn tamper(&self, sql: &str) {
        self.tamper_with(|db| db.execute_batch(sql).unwrap());
    }

    pub(crate) fn tamper_with<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        let db = Connection::open(&self.path).unwrap();
        // These files are for this test alone; many of them are made.
        db.execute_batch("PRAGMA synchronous = OFF").unwrap();
        let guards = guards(&db);
        for (name, _) in &guards {
            db.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
        }
        let done = work(&db);
        for (_, sql) in &guards {
            db.execute_batch(sql).unwrap();
        }
        db.pragma_update(None, "wal_checkpoint", "TRUNCATE").ok();
        done
    }

    pub(crate) fn verify(&self, expected: Option<&Head>) -> Verdict {
        verify(
            &self.path,
            slice::from_ref(&self.key),
            expected.map_or(&[], slice::from_ref),
        )
        .unwrap()
    }

    pub(crate) fn damage(&self, expected: Option<&Head>) -> Damage {
        match self.verify(expected) {
            Verdict::Damaged(damage) => damage,
            sound @ Verdict::Sound { .. } => panic!("not found: {sound:?}"),
        }
    }
}

fn guards(db: &Connection) -> Vec<(String, String)> {
    let mut statement = db
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap();
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

pub(crate) fn at(seq: u64, what: What) -> Damage {
    damage(Some(seq), what)
}

pub(crate) fn damage(seq: Option<u64>, what: What) -> Damage {
    Damage { seq, what }
}

/// The verifier of logs that was written a second time. `TOUCHKEEP_PYTHON` names a Python with `tests/requirements.txt`;
/// `./dev test` makes one.
pub(crate) fn second_verifier() -> Command {
    python(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/verify.py"))
}

/// The same, of bundles.
pub(crate) fn second_verifier_of_bundles() -> Command {
    python(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/verify_bundle.py"
    ))
}

fn python(script: &str) -> Command {
    let python = std::env::var_os("TOUCHKEEP_PYTHON").unwrap_or_else(|| "python3".into());
    let mut python = Command::new(python);
    python.env("PYTHONDONTWRITEBYTECODE", "1").arg(script);
    python
}

/// Bytes of the log's files, as one.
pub(crate) fn bytes_of(path: &Path) -> Vec<u8> {
    let files = ["", "-wal", "-shm"].map(|end| {
        let mut file = path.as_os_str().to_owned();
        file.push(end);
        fs::read(file).unwrap_or_default()
    });
    files.concat()
}
