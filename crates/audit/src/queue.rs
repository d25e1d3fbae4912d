//! Group commit: whoever comes while the disk is busy waits, and the next commit takes all who wait.
//!
//! # Why no writer thread
//! The first to come does the work in its own thread, so a single caller pays for no hand-over; a thread of its own costs
//! two context switches an append, which is more than everything else but the disk.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::{error::RecordError, row::Seq, writer::Draft};

/// Rows that one transaction takes at most.
const MAX_BATCH: usize = 1024;

type Answer = Result<Seq, RecordError>;

/// Drafts that wait to be written.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<(Draft, Arc<OnceLock<Answer>>)>,
    busy: bool,
}

impl Queue {
    /// Has `draft` written by `write`, alone or with others, in this thread or in another's. `write` answers each draft, in
    /// order, or fails for all.
    pub(crate) fn append(
        &self,
        draft: Draft,
        write: impl Fn(&[Draft]) -> Result<Vec<Answer>, RecordError>,
    ) -> Answer {
        let mine = Arc::new(OnceLock::new());
        let mut state = self.lock();
        state.waiting.push((draft, Arc::clone(&mine)));
        loop {
            if let Some(answer) = mine.get() {
                return answer.clone();
            }
            if state.busy {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            if state.waiting.is_empty() {
                return Err(RecordError::Interrupted);
            }
            let batch = state.waiting.len().min(MAX_BATCH);
            let (drafts, places): (Vec<_>, Vec<_>) = state.waiting.drain(..batch).unzip();
            state.busy = true;
            drop(state);
            let busy = Busy(self);
            answer(&places, write(&drafts));
            drop(busy);
            state = self.lock();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(places: &[Arc<OnceLock<Answer>>], done: Result<Vec<Answer>, RecordError>) {
    let answers = match done {
        Ok(answers) => answers,
        Err(failed) => vec![Err(failed); places.len()],
    };
    for (place, answer) in places.iter().zip(answers) {
        let _ = place.set(answer); // each place is in one batch
    }
}

// Also where writing panics: those who wait are woken and find no answer, which refuses.
struct Busy<'a>(&'a Queue);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.lock().busy = false;
        self.0.changed.notify_all();
    }
}
