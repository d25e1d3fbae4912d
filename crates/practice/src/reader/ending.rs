//! How a reader ends: told to (SIGTERM, SIGINT), or because the process that started it is gone. Either way its pcscd
//! goes first and is waited for. If we are killed outright, the kernel kills pcscd (see `rig`).

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::{
    io,
    os::fd::OwnedFd,
    process,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
use tokio::signal::unix::{SignalKind, signal};

/// Shared by everything that may end the reader.
#[derive(Default)]
pub(super) struct Ending {
    wanted: AtomicBool,
    pcscd: OnceLock<OwnedFd>,
}

impl Ending {
    /// Starts listening for SIGTERM and SIGINT, in a thread of its own.
    pub(super) fn on_signals() -> io::Result<Arc<Self>> {
        let ending = Arc::new(Self::default());
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

    /// Remembers pcscd, so that it can be ended. A handle, not a number: numbers are used again.
    pub(super) fn with_pcscd(&self, pcscd: Pid) -> io::Result<()> {
        let handle = pidfd_open(pcscd, PidfdFlags::empty())?;
        // There is one pcscd in the life of a reader.
        self.pcscd.get_or_init(|| handle);
        if self.is_wanted() {
            self.now();
        }
        Ok(())
    }

    /// Ends the reader: kills pcscd, which ends the main thread's wait for it.
    pub(super) fn now(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        if let Some(pcscd) = self.pcscd.get()
            && pidfd_send_signal(pcscd, Signal::KILL).is_err()
        {
            // It is gone already, and with it whatever the main thread waits for.
            process::exit(0);
        }
    }

    /// Was the end asked for?
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }
}
