//! Group commit: whoever comes while the disk is busy waits, and the next commit takes all who wait.
//!
//! # Why no writer thread
//! The first to come does the work in its own thread, so a single caller pays for no hand-over; a thread of its own costs
//! two context switches an append, which is more than everything else but the disk.
//!
//! # Why whoever writes looks round first
//! Those whom the commit before has answered come back at once, if they come back. Would the first of them not wait for the
//! others, every second commit would be of few. Where the commit before was of one, nobody is waited for.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use crate::{error::RecordError, row::Seq, writer::Draft};

/// Rows that one transaction takes at most.
const MAX_BATCH: usize = 1024;
/// How long those are waited for who were in the commit before. A small part of what a commit takes.
const LOOK_ROUND: Duration = Duration::from_micros(60);

type Answer = Result<Seq, RecordError>;

/// Drafts that wait to be written.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<(Draft, Arc<Place>)>,
    busy: bool,
    /// How many the commit before took.
    before: usize,
}

/// Where somebody waits for the answer.
struct Place {
    answer: OnceLock<Answer>,
    waiter: Thread,
}

impl Queue {
    /// Has `draft` written by `write`, alone or with others, in this thread or in another's. `write` answers each draft, in
    /// order, or fails for all.
    pub(crate) fn append(
        &self,
        draft: Draft,
        write: impl Fn(&[Draft]) -> Result<Vec<Answer>, RecordError>,
    ) -> Answer {
        let mine = Arc::new(Place {
            answer: OnceLock::new(),
            waiter: thread::current(),
        });
        let mut state = self.lock();
        state.waiting.push((draft, Arc::clone(&mine)));
        loop {
            if let Some(answer) = mine.answer.get() {
                return answer.clone();
            }
            if state.busy {
                drop(state);
                thread::park();
                state = self.lock();
                continue;
            }
            if state.waiting.is_empty() {
                return Err(RecordError::Interrupted);
            }
            state.busy = true;
            let mut batch = Batch {
                queue: self,
                places: Vec::new(),
            };
            state = self.look_round(state);
            let taken = state.waiting.len().min(MAX_BATCH);
            state.before = taken;
            let (drafts, places): (Vec<_>, Vec<_>) = state.waiting.drain(..taken).unzip();
            batch.places = places;
            drop(state);
            batch.answer(write(&drafts));
            drop(batch);
            state = self.lock();
        }
    }

    fn look_round<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let expected = state.before;
        if state.waiting.len() >= expected {
            return state;
        }
        let since = Instant::now();
        while state.waiting.len() < expected && since.elapsed() < LOOK_ROUND {
            drop(state);
            thread::yield_now();
            state = self.lock();
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those whom one commit takes. Also where writing panics they are woken, and have an answer, which refuses.
struct Batch<'a> {
    queue: &'a Queue,
    places: Vec<Arc<Place>>,
}

impl Batch<'_> {
    fn answer(&self, done: Result<Vec<Answer>, RecordError>) {
        let answers = match done {
            Ok(answers) => answers,
            Err(failed) => vec![Err(failed); self.places.len()],
        };
        for (place, answer) in self.places.iter().zip(answers) {
            let _ = place.answer.set(answer); // each place is in one batch
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.busy = false;
        // Whoever came meanwhile sleeps: one of them writes next.
        let next = state.waiting.first().map(|(_, place)| Arc::clone(place));
        drop(state);
        for place in &self.places {
            let _ = place.answer.set(Err(RecordError::Interrupted)); // where there is none
            place.waiter.unpark();
        }
        if let Some(next) = next {
            next.waiter.unpark();
        }
    }
}
