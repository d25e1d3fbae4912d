//! The reader ends with the process that started it, however that one ended.
//!
//! # Why not PR_SET_PDEATHSIG
//! It fires when the *thread* that started us ends, and test runners and async programs start processes from threads
//! that do not live long.

use super::ending::Ending;
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, getppid, pidfd_open},
};
use std::{io, process, sync::Arc, thread};

/// Ends this process, and with it its pcscd, as soon as the parent is gone.
pub(super) fn end_with(parent: i32, ending: Arc<Ending>) -> io::Result<()> {
    let Some(parent) = Pid::from_raw(parent) else {
        return Ok(());
    };
    let handle = pidfd_open(parent, PidfdFlags::empty())?;
    // The handle is the parent's only if it still was our parent after opening it: process ids are used again.
    if getppid() != Some(parent) {
        process::exit(0);
    }
    thread::spawn(move || {
        loop {
            let mut waiting = [PollFd::new(&handle, PollFlags::IN)];
            match poll(&mut waiting, None) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => return ending.now(),
            }
        }
    });
    Ok(())
}
