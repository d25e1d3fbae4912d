//! Group commit: whoever comes while the disk is busy waits, and the next commit takes all who wait.
//!
//! # Who writes
//! The first to come does the work in its own thread, so a single caller pays for no hand-over; two context switches an
//! append cost more than everything else but the disk. Where commits take long a task does not hold its thread up with one:
//! then the log's own thread writes. That one also writes what nobody waits for and no commit took along.
//!
//! # Why whoever writes looks round first
//! Those threads whom the commit before has answered come back at once, if they come back. Would the first of them not wait
//! for the others, every second commit would be of few. Where the commit before was of one, nobody is waited for.
//!
//! One task gathers, for the same reason: it lets the tasks that are ready have their turn, and again for as long as more come, until
//! all are there who waited the last time.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use crate::{error::RecordError, row::Seq, writer::Draft};

/// Rows that one transaction takes at most.
const MAX_BATCH: usize = 1024;
/// A thread that looks round waits no longer than this for the next of those who were around the last time.
const LOOK_ROUND: Duration = Duration::from_micros(60);
/// A task that gathers waits no longer than this for the next: those who come back to it are awake.
const LULL: Duration = Duration::from_micros(20);
/// A task does a commit itself while one takes no longer than this.
const QUICK: Duration = Duration::from_millis(1);
/// What nobody waits for is written after this, with others or alone.
const LATER: Duration = Duration::from_millis(2);
/// So many of those are not kept waiting.
const MANY: usize = 64;
/// A reader waits no longer for what was put in before: a disk that hangs must not hide the rows that are there.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) type Answer = Result<Seq, RecordError>;

/// Writes drafts: answers each, in order, or fails for all.
pub(crate) type Write<'a> = &'a dyn Fn(&[Draft]) -> Result<Vec<Answer>, RecordError>;

/// Drafts that wait to be written.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// How many wait, for who looks round.
    here: AtomicUsize,
    /// There may be something to do for the log's own thread.
    work: Condvar,
    /// More was answered, and somebody waits for that.
    settled: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<(Draft, Asker)>,
    busy: bool,
    /// A task gathers, and writes what it has then.
    gathers: bool,
    /// How many waited for the commit before.
    before: usize,
    /// And how many had come when it was done: all of them, if they come back.
    around: usize,
    /// About how long a commit takes; none while there was none.
    takes: Option<Duration>,
    /// Since when something waits that nobody waits for.
    later: Option<Instant>,
    /// The log's own thread: whether it looks at the clock, is to write at once, and is to end.
    looks: bool,
    hurry: bool,
    closing: bool,
    /// Drafts that were put in, and those among them, from the first, that have an answer.
    put: u64,
    answered: u64,
    settling: usize,
}

/// Who is to hear what became of a draft.
enum Asker {
    Waits(Arc<Place>),
    Told(Box<dyn FnOnce(Answer) + Send>),
}

/// Where somebody waits for the answer.
#[derive(Default)]
struct Place {
    answer: OnceLock<Answer>,
    waker: Mutex<Option<Waker>>,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Queue {
    /// Has `draft` written, alone or with others, in this thread or in another's.
    pub(crate) fn append(&self, draft: Draft, write: Write<'_>) -> Answer {
        let mine = Arc::new(Place::default());
        mine.wakes(&Waker::from(Arc::new(Unpark(thread::current()))));
        let mut state = self.lock();
        self.put_in(&mut state, draft, Asker::Waits(Arc::clone(&mine)));
        loop {
            if let Some(answer) = mine.answer.get() {
                return answer.clone();
            }
            if state.busy || state.gathers {
                drop(state);
                thread::park();
                // Who has an answer does not queue up for the queue.
                if let Some(answer) = mine.answer.get() {
                    return answer.clone();
                }
            } else if state.waiting.is_empty() {
                return Err(RecordError::Interrupted);
            } else {
                self.lead(state, write, LOOK_ROUND);
            }
            state = self.lock();
        }
    }

    /// Puts `draft` in for a task.
    pub(crate) fn put(&self, draft: Draft) -> Waiting {
        let mine = Arc::new(Place::default());
        let mut state = self.lock();
        self.put_in(&mut state, draft, Asker::Waits(Arc::clone(&mine)));
        Waiting {
            place: mine,
            gathered: None,
        }
    }

    /// Has `draft` written in a moment, and `told` called then.
    pub(crate) fn later(&self, draft: Draft, told: impl FnOnce(Answer) + Send + 'static) {
        let mut state = self.lock();
        self.put_in(&mut state, draft, Asker::Told(Box::new(told)));
        state.later.get_or_insert_with(Instant::now);
        let wakes = !state.looks || state.waiting.len() == MANY;
        drop(state);
        if wakes {
            self.work.notify_one();
        }
    }

    /// Waits for the answers to all that was put in before, for two seconds at most.
    pub(crate) fn settle(&self) {
        let mut state = self.lock();
        let all = state.put;
        if state.answered >= all {
            return;
        }
        state.hurry = true;
        state.settling += 1;
        self.work.notify_one();
        let waited = self
            .settled
            .wait_timeout_while(state, PATIENCE, |state| state.answered < all);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.settling -= 1;
    }

    /// The log's own thread. Ends once it is told to and nothing waits.
    pub(crate) fn serve(&self, write: Write<'_>) {
        let mut state = self.lock();
        loop {
            let idle = state.waiting.is_empty();
            if idle && state.closing {
                return;
            }
            // Somebody else has taken what there was.
            state.hurry &= !idle;
            let now = Instant::now();
            let left = state.left(now);
            if !idle && !state.busy && (left.is_zero() || state.hurry || state.closing) {
                state.hurry = false;
                self.lead(state, write, Duration::ZERO);
                state = self.lock();
                continue;
            }
            if state.later.is_none() && !state.hurry && !state.closing {
                state.looks = false;
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            } else {
                // Somebody else writes, or it is not time yet.
                state.looks = true;
                let left = left.max(LATER / 4);
                let waited = self.work.wait_timeout(state, left);
                (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Tells the log's own thread to write what waits, and to end.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.work.notify_one();
    }

    fn put_in(&self, state: &mut State, draft: Draft, asker: Asker) {
        state.waiting.push((draft, asker));
        state.put += 1;
        self.here.store(state.waiting.len(), Ordering::Relaxed);
    }

    // One commit of those who wait, by whoever is here.
    fn lead<'a>(&'a self, mut state: MutexGuard<'a, State>, write: Write<'_>, patience: Duration) {
        state.busy = true;
        let mut batch = Batch {
            queue: self,
            askers: Vec::new(),
            since: Instant::now(),
        };
        state = self.look_round(state, patience);
        let taken = state.waiting.len().min(MAX_BATCH);
        let (drafts, askers): (Vec<_>, Vec<_>) = state.waiting.drain(..taken).unzip();
        let waits = |asker: &&Asker| matches!(asker, Asker::Waits(_));
        state.before = askers.iter().filter(waits).count();
        self.here.store(state.waiting.len(), Ordering::Relaxed);
        if state.waiting.is_empty() {
            state.later = None;
        }
        batch.askers = askers.into_iter().map(|asker| (asker, None)).collect();
        drop(state);
        batch.since = Instant::now();
        batch.is_done(write(&drafts));
    }

    // Without the lock, which those who come need.
    fn look_round<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        patience: Duration,
    ) -> MutexGuard<'a, State> {
        let expected = if state.before > 1 { state.around } else { 0 };
        if state.waiting.len() >= expected || patience.is_zero() {
            return state;
        }
        drop(state);
        let (mut here, mut since) = (0, Instant::now());
        while here < expected && since.elapsed() < patience {
            thread::yield_now();
            let now = self.here.load(Ordering::Relaxed);
            if now > here {
                (here, since) = (now, Instant::now());
            }
        }
        self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    // One long commit among short ones, when SQLite folds its log into the file, is no slow disk.
    fn took(&mut self, one: Duration) {
        let takes = self.takes.map_or(one, |takes| {
            if one > takes {
                takes + (one - takes) / 8
            } else {
                takes - (takes - one) / 2
            }
        });
        self.takes = Some(takes);
    }

    fn next(&self) -> Option<Arc<Place>> {
        self.waiting.iter().find_map(|(_, asker)| match asker {
            Asker::Waits(place) => Some(Arc::clone(place)),
            Asker::Told(_) => None,
        })
    }

    // How long the log's own thread leaves what waits to others.
    fn left(&self, now: Instant) -> Duration {
        if self.waiting.len() >= MANY {
            return Duration::ZERO;
        }
        let waited = self.later.map(|since| now.saturating_duration_since(since));
        waited.map_or(LATER, |waited| LATER.saturating_sub(waited))
    }
}

/// Those whom one commit takes. Also where writing panics they have an answer, which refuses.
struct Batch<'a> {
    queue: &'a Queue,
    askers: Vec<(Asker, Option<Answer>)>,
    since: Instant,
}

impl Batch<'_> {
    fn is_done(&mut self, done: Result<Vec<Answer>, RecordError>) {
        let answers = match done {
            Ok(answers) => answers,
            Err(failed) => vec![Err(failed); self.askers.len()],
        };
        for ((_, place), answer) in self.askers.iter_mut().zip(answers) {
            *place = Some(answer);
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let askers = std::mem::take(&mut self.askers);
        let taken = u64::try_from(askers.len()).unwrap_or(u64::MAX);
        let mut wakes = Vec::with_capacity(askers.len());
        let mut tells = Vec::new();
        for (asker, answer) in askers {
            let answer = answer.unwrap_or(Err(RecordError::Interrupted));
            match asker {
                Asker::Waits(place) => {
                    let _ = place.answer.set(answer); // each place is in one batch
                    wakes.push(place);
                }
                Asker::Told(told) => tells.push((told, answer)),
            }
        }
        let mut state = self.queue.lock();
        state.busy = false;
        state.around = state.before + state.waiting.len();
        state.took(self.since.elapsed());
        state.answered += taken;
        // Whoever came meanwhile sleeps: one of them writes next.
        wakes.extend(state.next());
        let (settles, hurries) = (state.settling > 0, state.hurry || state.closing);
        drop(state);
        for place in wakes {
            place.wake();
        }
        for (told, answer) in tells {
            told(answer);
        }
        if settles {
            self.queue.settled.notify_all();
        }
        if hurries {
            self.queue.work.notify_one();
        }
    }
}

/// A draft of a task.
pub(crate) struct Waiting {
    place: Arc<Place>,
    /// It gathers: how many there were when somebody came last, and since when.
    gathered: Option<(usize, Instant)>,
}

impl Waiting {
    /// Its answer, once there is one. Where nobody writes, this does, unless that takes long.
    pub(crate) fn poll(
        &mut self,
        queue: &Queue,
        write: Write<'_>,
        context: &Context<'_>,
    ) -> Poll<Answer> {
        loop {
            if let Some(answer) = self.place.answer.get().cloned() {
                self.is_answered(queue);
                return Poll::Ready(answer);
            }
            let mut state = queue.lock();
            let quick = state.takes.is_some_and(|takes| takes <= QUICK);
            let is_mine = !state.gathers || self.gathered.is_some();
            if !state.busy && quick && is_mine && !state.waiting.is_empty() {
                if self.gathers_more(&mut state) {
                    self.place.wakes(context.waker());
                    drop(state);
                    thread::yield_now();
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                self.gathers_no_more(&mut state);
                queue.lead(state, write, Duration::ZERO);
                continue;
            }
            self.place.wakes(context.waker());
            // It may have come while nobody could be woken.
            if self.place.answer.get().is_some() {
                continue;
            }
            if !state.busy && !state.gathers {
                state.hurry = true;
                drop(state);
                queue.work.notify_one();
            }
            return Poll::Pending;
        }
    }

    // Where the commit before was of one, to gather would only delay this one.
    fn gathers_more(&mut self, state: &mut State) -> bool {
        let here = state.waiting.len();
        if state.before <= 1 || here >= MAX_BATCH {
            return false;
        }
        match self.gathered {
            Some((before, since)) if here <= before => {
                here < state.around && since.elapsed() < LULL
            }
            _ => {
                state.gathers = true;
                self.gathered = Some((here, Instant::now()));
                true
            }
        }
    }

    // Somebody else took what it gathered, and those who came after that still wait for it.
    fn is_answered(&mut self, queue: &Queue) {
        if self.gathered.is_none() {
            return;
        }
        let mut state = queue.lock();
        self.gathers_no_more(&mut state);
        let next = state.next().filter(|_| !state.busy);
        drop(state);
        if let Some(next) = next {
            next.wake();
        }
    }

    fn gathers_no_more(&mut self, state: &mut State) {
        if self.gathered.take().is_some() {
            state.gathers = false;
        }
    }

    /// Nobody waits for it any more: it is written all the same.
    pub(crate) fn is_left(&mut self, queue: &Queue) {
        if self.place.answer.get().is_some() {
            self.is_answered(queue);
            return;
        }
        let mut state = queue.lock();
        self.gathers_no_more(&mut state);
        state.hurry = true;
        drop(state);
        queue.work.notify_one();
    }
}

impl Place {
    fn wakes(&self, waker: &Waker) {
        let mut place = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(waker.clone());
    }

    // Who was woken to write, and finds that somebody else does, waits on with the same waker.
    fn wake(&self) {
        let place = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = place.clone();
        drop(place);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
