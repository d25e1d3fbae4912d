//! The pen of a log: what writes, those who wait for it, and a thread for what nobody waits for.

use std::{
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    task::{Context, Poll},
    thread::{self, JoinHandle},
};

use touchkeep_core::Clock;

use crate::{
    error::RecordError,
    queue::{Answer, Queue, Waiting},
    row::Seq,
    tree::Head,
    writer::{Draft, Writer},
};

/// The pen.
pub(crate) struct Pen {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Queue,
    writer: Mutex<Writer>,
    head: RwLock<Head>,
    clock: Arc<dyn Clock>,
}

impl Pen {
    pub(crate) fn new(writer: Writer, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Queue::default(),
            head: RwLock::new(writer.head()),
            writer: Mutex::new(writer),
            clock,
        });
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("audit".into())
            .spawn(move || of_thread.serve())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Has a draft written; on disk when this returns.
    pub(crate) fn append(&self, draft: Draft) -> Answer {
        let shared = &self.shared;
        shared.queue.append(draft, &|drafts| shared.write(drafts))
    }

    /// Has a draft written for a task.
    pub(crate) fn appending(&self, draft: Draft) -> Appending {
        Appending(Ok((self.shared.queue.put(draft), Arc::clone(&self.shared))))
    }

    /// Has a draft written in a moment. `told` is called then.
    pub(crate) fn later(&self, draft: Draft, told: impl FnOnce(Answer) + Send + 'static) {
        self.shared.queue.later(draft, told);
    }

    /// Waits for all that was put in before, for two seconds at most.
    pub(crate) fn settle(&self) {
        self.shared.queue.settle();
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.shared.writer()
    }

    pub(crate) fn head(&self) -> Head {
        let head = self.shared.head.read();
        *head.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic in there has been said.
            let _ = thread.join();
        }
    }
}

impl Shared {
    // A panic has been said, and refused what was to be written; what comes after it is written all the same.
    fn serve(&self) {
        let serve = || self.queue.serve(&|drafts| self.write(drafts));
        while catch_unwind(AssertUnwindSafe(serve)).is_err() {}
    }

    fn write(&self, drafts: &[Draft]) -> Result<Vec<Answer>, RecordError> {
        let mut writer = self.writer();
        let answers = writer.append(drafts, self.clock.as_ref())?;
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = writer.head();
        Ok(answers)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A row that is being written: ready once it is on disk, or will not be. It is written also if nobody waits for it any
/// longer.
#[must_use]
pub(crate) struct Appending(Result<(Waiting, Arc<Shared>), RecordError>);

impl From<RecordError> for Appending {
    fn from(why: RecordError) -> Self {
        Self(Err(why))
    }
}

impl Future for Appending {
    type Output = Result<Seq, RecordError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok((waiting, shared)) => {
                waiting.poll(&shared.queue, &|drafts| shared.write(drafts), context)
            }
            Err(why) => Poll::Ready(Err(why.clone())),
        }
    }
}

impl Drop for Appending {
    fn drop(&mut self) {
        if let Ok((waiting, shared)) = &mut self.0 {
            waiting.is_left(&shared.queue);
        }
    }
}
