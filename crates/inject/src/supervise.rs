//! A program beside us: in our group and on our terminal, with signals passed on, its output masked where that is wanted.
//!
//! Used where standard output is no terminal, and where nothing is masked but something has to be removed at the end.

use std::{io, os::fd::AsFd, process::Stdio, sync::Arc};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Pid, WaitOptions, waitpid},
};

use crate::{
    flow,
    mask::Patterns,
    program::{Ended, Program, StartError},
    sys::{self, Signals, Whole},
};

/// Starts a program and waits for its end and, where its output is masked, for the end of that: as long as anything that it
/// started holds its output, more may come.
///
/// # Errors
/// When it could not be started.
pub fn run(program: &Program, mask: Option<Arc<Patterns>>) -> Result<Ended, StartError> {
    let signals = Signals::block().map_err(StartError::io("read signals"))?;
    let mut command = program.command();
    signals.spare(&mut command);
    if mask.is_some() {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let mut child = command
        .spawn()
        .map_err(|error| StartError::of(program.name(), error))?;
    // The environment with the values stays in the command until then.
    drop(command);
    let mut copies = Vec::new();
    if let Some(patterns) = mask {
        let printed = child
            .stdout
            .take()
            .map(|from| flow::spawn(from, io::stdout().as_fd(), None, &patterns));
        let complained = child
            .stderr
            .take()
            .map(|from| flow::spawn(from, io::stderr().as_fd(), None, &patterns));
        for copy in printed.into_iter().chain(complained) {
            copies.push(copy.map_err(StartError::io("pass on what the program prints"))?);
        }
    }
    let ended =
        wait(&signals, pid_of(&child)?).map_err(StartError::around("wait for the program"))?;
    for copy in copies {
        let _panicked = copy.join();
    }
    Ok(ended)
}

fn pid_of(child: &std::process::Child) -> Result<Pid, StartError> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| StartError::io("start a process")(io::ErrorKind::Other.into()))
}

// The child's end, with signals passed on until then.
fn wait(signals: &Signals, child: Pid) -> rustix::io::Result<Ended> {
    let number = child.as_raw_nonzero().get();
    loop {
        let mut wanted = [PollFd::new(signals, PollFlags::IN)];
        match poll(&mut wanted, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        while let Some(arrived) = signals.next() {
            match arrived.signal {
                libc::SIGCHLD => {}
                libc::SIGTSTP => {
                    if !arrived.from_terminal {
                        sys::send(number, libc::SIGTSTP);
                    }
                    sys::stop_here(libc::SIGTSTP, Whole::Process);
                }
                // A terminal that went tells its session's leader alone, and that may be us.
                libc::SIGHUP => sys::send(number, libc::SIGHUP),
                // A terminal gave it to the program, too.
                _ if arrived.from_terminal => {}
                signal => sys::send(number, signal),
            }
        }
        if let Some((_, status)) = waitpid(Some(child), WaitOptions::NOHANG)?
            && let Some(ended) = Ended::of(status)
        {
            return Ok(ended);
        }
    }
}
