//! What is done to the vault stands between two rows of its log: that it was begun, and how it went.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use touchkeep_audit::{Decision, Event, Kind, Log, Query, Row, Seq};
use touchkeep_vault::{Locked, Unlocked, VaultError};
use touchkeep_wire::Failure;

use super::{Current, log_id};
use crate::failure;

impl Current {
    /// Does what `event` says, between a row that it was begun and one that says how it went; all of it blocks.
    ///
    /// # Errors
    /// When the first row cannot be written, and nothing was done; when it failed; when it was done, and the log cannot say so.
    pub(crate) fn act<T>(
        &self,
        event: Event,
        act: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let log = self.log().ok_or_else(failure::locked)?;
        let begun = log
            .record_begun(&event)
            .map_err(|error| failure::record(&error))?;
        let done = act();
        let ended = match &done {
            Ok(_) => event,
            Err(failure) => failed(event, format!("It was not done: {}", failure.what)),
        };
        end(log, begun, &ended, done)
    }

    /// Records that `event` was begun, changes the vault, saves it and records how that went; all of it blocks. Of what is not
    /// done nothing stays pending: what was told to have failed must not come with the next save.
    ///
    /// # Errors
    /// When the vault is locked, the change cannot be made or saved, or the log cannot be written: before, and nothing was
    /// changed, or after.
    pub(crate) fn change<T>(
        &self,
        event: Event,
        change: impl FnOnce(&mut Unlocked) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.wait_for_others()?;
        let open = self.open()?;
        let mut vault = open.write();
        let log = self.log().ok_or_else(failure::locked)?;
        let begun = log
            .record_begun(&event)
            .map_err(|error| failure::record(&error))?;
        let before = vault.as_locked().container().heads();
        let done = change(&mut vault).and_then(|done| {
            self.save(&mut vault)?;
            Ok(done)
        });
        if done.is_err() {
            vault.discard();
        }
        let followed = self.follow(&open, &vault, event.kind);
        let kind = event.kind;
        let ended = match &done {
            Ok(_) => event,
            Err(failure) if vault.as_locked().container().heads() == before => {
                failed(event, format!("It was not done: {}", failure.what))
            }
            Err(failure) => {
                let text = format!("It was done, but not as it should be: {}", failure.what);
                failed(event, text)
            }
        };
        let done = end(log, begun, &ended, done);
        // It is saved; that its policy is not in force is told to who sets one.
        match kind {
            Kind::PolicyChanged if done.is_ok() => followed.and(done),
            _ => done,
        }
    }

    /// Waits for who else writes to the file. Until then the vault is not taken: it can be looked at, and locked.
    ///
    /// # Errors
    /// Somebody else does not let go of it.
    pub(super) fn wait_for_others(&self) -> Result<(), Failure> {
        match touchkeep_vault::wait_for_others(self.path()) {
            Err(error @ VaultError::Busy(_)) => Err(failure::vault(&error)),
            // Whatever else is in the way is in that of the save, which tells it.
            _ => Ok(()),
        }
    }
}

fn failed(event: Event, text: String) -> Event {
    let mut event = event.text(text);
    event.decision = Decision::Failed;
    event
}

// The row that says how it went. That it cannot be written is told where all else went well.
fn end<T>(log: &Log, begun: Seq, ended: &Event, done: Result<T, Failure>) -> Result<T, Failure> {
    match (log.record_ended(begun, ended), done) {
        (Err(error), Ok(_)) => Err(failure::unrecorded(&error)),
        (Err(error), Err(failure)) => {
            tracing::warn!(begun, %error, "the log cannot say that it failed");
            Err(failure)
        }
        (Ok(_), done) => done,
    }
}

/// Whether another agent was using the same data when this one began: one that outlived its login has lost the folder by which the
/// next one would have met it. What is unfinished may be that one's.
static BESIDE_ANOTHER: AtomicBool = AtomicBool::new(false);

/// Notes that another agent uses the same data.
pub(crate) fn is_beside_another() {
    BESIDE_ANOTHER.store(true, Ordering::Relaxed);
}

// How long each log was when this process first had it. What was begun later is its own: on its way, or told by itself.
static FOUND: Mutex<BTreeMap<String, Seq>> = Mutex::new(BTreeMap::new());

/// How long a log was when this process made or opened it for the first time.
pub(super) fn found(log: &Log) -> Seq {
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    *found
        .entry(log.origin().to_owned())
        .or_insert_with(|| log.head().size)
}

/// Says of what an earlier agent left without an end what can be known of it. Whether a venue has a request nobody knows;
/// whether a change was saved says the vault's file.
///
/// # Errors
/// When the log cannot be read or written.
pub(super) fn close_unfinished(log: &Log, vault: &Locked) -> Result<(), Failure> {
    let earlier = found(log);
    if BESIDE_ANOTHER.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mut unfinished = log.unfinished().map_err(|error| failure::record(&error))?;
    unfinished.retain(|seq| *seq <= earlier);
    if unfinished.is_empty() {
        return Ok(());
    }
    let stated = stated(log, vault);
    for seq in unfinished {
        let begun = row(log, seq)?.filter(|row| row.kind == Kind::Begun);
        let (decision, text) = match begun {
            Some(begun) if was_saved(log, &begun, &stated)? => (
                Decision::Done,
                "It was saved; nobody was left to say so then.",
            ),
            Some(_) => (
                Decision::Unknown,
                "Nobody was left to say how it went: look whether it is there.",
            ),
            None => (
                Decision::Unknown,
                "State unknown: the agent ended between record and answer.",
            ),
        };
        let event = Event::new(Kind::Outcome, decision).text(text);
        log.record_outcome(seq, &event)
            .map_err(|error| failure::record(&error))?;
        tracing::warn!(seq, %decision, "something was recorded and never finished");
    }
    Ok(())
}

// The sizes of this log that the vault's commits state.
fn stated(log: &Log, vault: &Locked) -> Vec<u64> {
    let id = log_id(log.origin());
    let commits = vault.container().history().commits().values();
    commits
        .filter(|commit| id.is_some() && commit.audit.log == id)
        .map(|commit| commit.audit.size)
        .collect()
}

// A change keeps all others out until it has its end. So the next commit is its own, unless something came between: then the
// log goes on in another session, as it does after an append that failed.
fn was_saved(log: &Log, begun: &Row, stated: &[u64]) -> Result<bool, Failure> {
    let next = stated.iter().copied().filter(|size| *size >= begun.seq);
    let Some(next) = next.min() else {
        return Ok(false);
    };
    Ok(row(log, next)?.is_some_and(|row| row.session == begun.session))
}

fn row(log: &Log, seq: Seq) -> Result<Option<Row>, Failure> {
    let one = Query {
        limit: 1,
        before: Some(seq + 1),
        ..Query::default()
    };
    let page = log.list(&one, None);
    let mut page = page.map_err(|error| failure::read_log(&error))?;
    Ok(page.rows.pop().filter(|row| row.seq == seq))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use touchkeep_core::SystemClock;

    use super::*;

    #[test]
    fn a_commit_that_came_after_a_break_in_the_log_says_nothing_of_what_was_begun_before() {
        let folder = tempfile::tempdir().unwrap();
        let identity = age::x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        let path = folder.path().join("a.sqlite");
        let added = Event::new(Kind::ItemAdded, Decision::Done);
        let log = Log::create_at(&path, "vault", &recipient, Arc::new(SystemClock)).unwrap();
        let _first = log.record(&added).unwrap();
        let begun = log.record_begun(&added).unwrap();
        let beside = log.record(&added).unwrap();
        drop(log);
        let log = Log::open_locked(&path, "vault").unwrap();
        let later = log.record(&added).unwrap();

        let row = row(&log, begun).unwrap().unwrap();
        assert_eq!((row.seq, row.kind), (begun, Kind::Begun));
        let saved = |stated: &[u64]| was_saved(&log, &row, stated).unwrap();
        assert!(saved(&[begun]));
        assert!(
            saved(&[later, beside, 1]),
            "a request was recorded beside it"
        );
        assert!(!saved(&[later]));
        assert!(!saved(&[1, later + 1]), "a log that was cut");
        assert!(!saved(&[]));
    }
}
