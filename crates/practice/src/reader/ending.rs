//! How a reader ends: told to (SIGTERM, SIGINT), or because the process that started it is gone. Either way its pcscd
//! goes first and is waited for. If we are killed outright, the kernel kills pcscd (see `pcscd`).

use super::pcscd::Event;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    thread,
};
use tokio::signal::unix::{SignalKind, signal};

/// Shared by everything that may end the reader.
pub(super) struct Ending {
    wanted: AtomicBool,
    pcscd: Mutex<Option<OwnedFd>>,
    /// Wakes the main thread.
    wake: Sender<Event>,
}

impl Ending {
    /// Starts listening for SIGTERM and SIGINT, in a thread of its own.
    pub(super) fn on_signals(wake: Sender<Event>) -> io::Result<Arc<Self>> {
        let ending = Arc::new(Self {
            wanted: AtomicBool::new(false),
            pcscd: Mutex::default(),
            wake,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let (mut terminate, mut interrupt) = {
            let _inside = runtime.enter();
            (
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
            )
        };
        thread::spawn({
            let ending = Arc::clone(&ending);
            move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                    }
                });
                ending.now();
            }
        });
        Ok(ending)
    }

    /// Remembers the pcscd that runs now, so that it can be ended. A handle, not a number: numbers are used again.
    pub(super) fn with_pcscd(&self, pcscd: Pid) -> io::Result<()> {
        let handle = pidfd_open(pcscd, PidfdFlags::empty())?;
        *self.lock() = Some(handle);
        if self.is_wanted() {
            self.now();
        }
        Ok(())
    }

    /// Ends the reader: kills pcscd, which ends the main thread's wait for its cards, and wakes the main thread.
    pub(super) fn now(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        if let Some(pcscd) = &*self.lock() {
            // It may be gone already.
            let _gone = pidfd_send_signal(pcscd, Signal::KILL);
        }
        // The main thread may be ending by itself.
        let _ended = self.wake.send(Event::Look);
    }

    /// Was the end asked for?
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Option<OwnedFd>> {
        self.pcscd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
