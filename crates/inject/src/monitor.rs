//! The process between us and a program that has a terminal of its own.
//!
//! # Why
//! A program can be stopped (Ctrl-Z) only while somebody of its session, outside its group, could let it go on (POSIX: an
//! orphaned group is not stopped). We are of another session, so the session's leader is this small process: it starts the
//! program in a group of its own, gives the terminal to it or takes it away, and says what becomes of it. It is this same binary,
//! started anew, because a fork of a process with threads may do next to nothing.

use std::{
    ffi::OsString,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    os::unix::process::CommandExt,
    process::Command,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Pid, WaitOptions, getpid, ioctl_tiocsctty, setsid, waitpid},
};

use crate::sys::{self, Signals};

/// What is said over the control socket: a word and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    // From the monitor.
    /// It runs, as this process.
    Started,
    /// It could not be started, for this reason (errno).
    NotStarted,
    /// It was stopped by this signal.
    Stopped,
    /// It ended with this status.
    Exited,
    /// It was ended by this signal.
    Signalled,
    // To the monitor.
    /// Send this to the program.
    Send,
    /// Send this to the program's group.
    SendGroup,
    /// Let it go on with the terminal.
    Foreground,
    /// Let it go on without the terminal.
    Background,
}

impl Word {
    const ALL: [Self; 9] = [
        Self::Started,
        Self::NotStarted,
        Self::Stopped,
        Self::Exited,
        Self::Signalled,
        Self::Send,
        Self::SendGroup,
        Self::Foreground,
        Self::Background,
    ];
}

const MESSAGE_BYTES: usize = 5;

pub(crate) fn say(to: impl AsFd, word: Word, number: i32) -> io::Result<()> {
    let mut message = [0; MESSAGE_BYTES];
    let code = Word::ALL
        .iter()
        .position(|one| *one == word)
        .and_then(|at| u8::try_from(at).ok());
    if let Some((first, rest)) = message.split_first_mut() {
        *first = code.unwrap_or_default();
        rest.copy_from_slice(&number.to_be_bytes());
    }
    // The other side may be gone: then there is nobody to tell, and no SIGPIPE for it.
    rustix::net::send(to, &message, rustix::net::SendFlags::NOSIGNAL)?;
    Ok(())
}

/// What was said; none at the end.
pub(crate) fn hear(from: impl AsFd) -> io::Result<Option<(Word, i32)>> {
    let mut message = [0u8; MESSAGE_BYTES];
    loop {
        match rustix::io::read(&from, &mut message) {
            Ok(MESSAGE_BYTES) => break,
            Ok(_) => return Ok(None),
            // That the other side went without having heard everything is told once, ahead of what it said before.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let [code, number @ ..] = message;
    let word = Word::ALL.get(usize::from(code)).copied();
    Ok(word.map(|word| (word, i32::from_be_bytes(number))))
}

/// Is the monitor: leads a session on the terminal at standard output, runs the program there, and reports over the socket with
/// this number. Ends when the program has.
///
/// # Errors
/// When the terminal cannot be taken, or nobody is there to report to.
pub fn monitor(control: i32, foreground: bool, words: &[OsString]) -> io::Result<()> {
    let control = sys::take_over(control)?;
    let signals = Signals::block()?;
    setsid()?;
    ioctl_tiocsctty(rustix::stdio::stdout())?;
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    signals.spare(&mut command);
    if foreground {
        sys::take_terminal_first(&mut command, rustix::stdio::stdout().as_raw_fd());
    }
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return say(
                &control,
                Word::NotStarted,
                error.raw_os_error().unwrap_or(libc::EIO),
            );
        }
    };
    let child = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(io::ErrorKind::Other)?;
    say(&control, Word::Started, child.as_raw_nonzero().get())?;
    watch(&control, &signals, child)
}

fn watch(control: &OwnedFd, signals: &Signals, child: Pid) -> io::Result<()> {
    let number = child.as_raw_nonzero().get();
    loop {
        let mut wanted = [
            PollFd::new(signals, PollFlags::IN),
            PollFd::new(control, PollFlags::IN),
        ];
        match poll(&mut wanted, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let told = wanted
            .get(1)
            .is_some_and(|control| !control.revents().is_empty());
        while let Some(arrived) = signals.next() {
            // Whoever signals the session's leader means what runs in it.
            if !matches!(
                arrived.signal,
                libc::SIGCHLD | libc::SIGTSTP | libc::SIGCONT | libc::SIGWINCH
            ) {
                sys::send(number, arrived.signal);
            }
        }
        match report(control, child) {
            Ok(true) => return Ok(()),
            Ok(false) if !told || obey(control, number) => {}
            // Whoever started us is gone: it is as if the terminal had been closed.
            Ok(false) | Err(_) => {
                sys::send(-number, libc::SIGHUP);
                sys::send(-number, libc::SIGCONT);
                return Ok(());
            }
        }
    }
}

// Says what has become of the program; whether it has ended.
fn report(control: &OwnedFd, child: Pid) -> io::Result<bool> {
    while let Some((_, status)) = waitpid(Some(child), WaitOptions::NOHANG | WaitOptions::UNTRACED)?
    {
        let (word, number) = if let Some(signal) = status.stopping_signal() {
            (Word::Stopped, signal)
        } else if let Some(signal) = status.terminating_signal() {
            (Word::Signalled, signal)
        } else {
            (Word::Exited, status.exit_status().unwrap_or_default())
        };
        say(control, word, number)?;
        if word != Word::Stopped {
            return Ok(true);
        }
    }
    Ok(false)
}

// Does what was asked; not when nobody is there to ask.
fn obey(control: &OwnedFd, child: i32) -> bool {
    let Ok(Some((word, number))) = hear(control) else {
        return false;
    };
    let terminal = rustix::stdio::stdout();
    match word {
        Word::Send => sys::send(child, number),
        Word::SendGroup => sys::send(-child, number),
        Word::Foreground => {
            let _hung_up = sys::give_terminal(terminal, child);
            sys::send(-child, libc::SIGCONT);
        }
        Word::Background => {
            let _hung_up = sys::give_terminal(terminal, getpid().as_raw_nonzero().get());
            sys::send(-child, libc::SIGCONT);
        }
        _ => {}
    }
    true
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn a_last_word_is_heard_though_its_speaker_did_not_hear_ours() {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let (ours, theirs) = socketpair(family, kind, SocketFlags::CLOEXEC, None).unwrap();
        say(&theirs, Word::Exited, 3).unwrap();
        say(&ours, Word::SendGroup, libc::SIGINT).unwrap();
        drop(theirs);
        assert_eq!(hear(&ours).unwrap(), Some((Word::Exited, 3)));
        assert_eq!(hear(&ours).unwrap(), None);
    }
}
