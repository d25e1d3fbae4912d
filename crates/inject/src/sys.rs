//! The few system calls that no safe crate offers: signals that are read instead of caught, and two steps between fork and exec.
//!
//! A signal that is read says where it came from. A terminal sends to the whole foreground group, so a child in our group has it
//! already; what another process sent to us alone is still to be passed on.

use std::{
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    os::unix::process::CommandExt,
    process::Command,
    ptr,
};

/// A number of a signal (signal(7)).
pub(crate) type Signal = i32;

/// What is passed on to the program.
pub(crate) const FORWARDED: &[Signal] = &[
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTSTP,
    libc::SIGCONT,
    libc::SIGWINCH,
];

/// A signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) signal: Signal,
    /// A terminal sent it to a whole group, not a process to us.
    pub(crate) from_terminal: bool,
}

/// Signals that wait to be read. Made before any thread is started, because a thread takes over what is blocked.
pub(crate) struct Signals {
    fd: OwnedFd,
    // What was blocked before.
    before: libc::sigset_t,
}

impl Signals {
    /// Blocks what is forwarded, and the news of children.
    pub(crate) fn block() -> io::Result<Self> {
        #[expect(
            unsafe_code,
            reason = "signalfd(2) and sigprocmask(2) have no safe form"
        )]
        // SAFETY: the set is initialised by sigemptyset; both calls read it and keep no pointer; the descriptor is new and ours.
        unsafe {
            // Who was started with SIGCHLD ignored would never learn how a child ended.
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            let mut set: libc::sigset_t = mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in FORWARDED.iter().chain(&[libc::SIGCHLD]) {
                libc::sigaddset(&raw mut set, *signal);
            }
            let mut before: libc::sigset_t = mem::zeroed();
            check(libc::pthread_sigmask(
                libc::SIG_BLOCK,
                &raw const set,
                &raw mut before,
            ))?;
            let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self {
                fd: OwnedFd::from_raw_fd(fd),
                before,
            })
        }
    }

    /// Has a child begin with what was blocked before, and no more.
    pub(crate) fn spare(&self, command: &mut Command) {
        let before = self.before;
        let unblock = move || {
            #[expect(unsafe_code, reason = "runs between fork and exec")]
            // SAFETY: sigprocmask is async-signal-safe (signal-safety(7)); the set is a copy in the closure.
            unsafe {
                check(libc::pthread_sigmask(
                    libc::SIG_SETMASK,
                    &raw const before,
                    ptr::null_mut(),
                ))
            }
        };
        #[expect(unsafe_code, reason = "a step between fork and exec")]
        // SAFETY: the closure above says why it may run there.
        unsafe {
            command.pre_exec(unblock);
        }
    }

    /// The next one, where one has come.
    pub(crate) fn next(&self) -> Option<Arrived> {
        // signalfd(2): ssi_signo u32, ssi_errno i32, ssi_code i32, ...
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        let read = rustix::io::read(&self.fd, &mut info).ok()?;
        let word = |at: usize| {
            info.get(at..at + 4)
                .and_then(|four| four.try_into().ok())
                .map(i32::from_ne_bytes)
        };
        (read == info.len()).then_some(Arrived {
            signal: word(0)?,
            from_terminal: word(8)? == libc::SI_KERNEL,
        })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whom a stop is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whole {
    /// This process: the others have had theirs.
    Process,
    /// All that the shell started together.
    Group,
}

/// Stops as `signal` would have done if we did not read it; returns when it goes on. Where nobody could let it go on (an orphaned
/// group), the kernel does not stop it.
pub(crate) fn stop_here(signal: Signal, whole: Whole) {
    let signal = match signal {
        libc::SIGTTIN | libc::SIGTTOU => signal,
        _ => libc::SIGTSTP,
    };
    #[expect(
        unsafe_code,
        reason = "sigprocmask(2) and sigaction(2) have no safe form"
    )]
    // SAFETY: the set is initialised by sigemptyset, no pointer is kept, and SIG_DFL runs no code of ours.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::kill(
            match whole {
                Whole::Process => libc::getpid(),
                Whole::Group => 0,
            },
            signal,
        );
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
        if signal == libc::SIGTSTP {
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
        }
    }
}

/// Starts something, a thread, that no signal is delivered to.
pub(crate) fn out_of_reach<T>(start: impl FnOnce() -> T) -> T {
    #[expect(unsafe_code, reason = "sigprocmask(2) has no safe form")]
    // SAFETY: both sets are initialised before they are read, and no pointer is kept.
    let before = unsafe {
        let mut all: libc::sigset_t = mem::zeroed();
        let mut before: libc::sigset_t = mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    };
    let started = start();
    #[expect(unsafe_code, reason = "sigprocmask(2) has no safe form")]
    // SAFETY: the set is the one that was in force before.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut());
    }
    started
}

/// Sends a signal to a process, or to a group where the number is negative. One that is gone already is no matter.
pub(crate) fn send(to: i32, signal: Signal) {
    #[expect(
        unsafe_code,
        reason = "kill(2) for any number; the safe form knows named signals alone"
    )]
    // SAFETY: kill takes numbers and touches no memory.
    let _gone = unsafe { libc::kill(to, signal) };
}

/// Has the program take the terminal at `terminal` for its group before it runs, so that it is never asked for input too early.
pub(crate) fn take_terminal_first(command: &mut Command, terminal: RawFd) {
    let take = move || {
        #[expect(unsafe_code, reason = "runs between fork and exec")]
        // SAFETY: signal, getpid and tcsetpgrp are async-signal-safe (signal-safety(7)); nothing is allocated.
        unsafe {
            libc::signal(libc::SIGTTOU, libc::SIG_IGN);
            let done = check(libc::tcsetpgrp(terminal, libc::getpid()));
            libc::signal(libc::SIGTTOU, libc::SIG_DFL);
            done
        }
    };
    #[expect(unsafe_code, reason = "a step between fork and exec")]
    // SAFETY: the closure above says why it may run there.
    unsafe {
        command.pre_exec(take);
    }
}

/// Gives the terminal to a group, also from a group that does not have it.
pub(crate) fn give_terminal(terminal: BorrowedFd<'_>, group: i32) -> io::Result<()> {
    #[expect(unsafe_code, reason = "signal(2) has no safe form")]
    // SAFETY: SIG_IGN and SIG_DFL run no code of ours; tcsetpgrp takes numbers.
    unsafe {
        libc::signal(libc::SIGTTOU, libc::SIG_IGN);
        let done = check(libc::tcsetpgrp(terminal.as_raw_fd(), group));
        libc::signal(libc::SIGTTOU, libc::SIG_DFL);
        done
    }
}

/// Takes over a descriptor that our own parent left open for us.
pub(crate) fn take_over(number: RawFd) -> io::Result<OwnedFd> {
    #[expect(unsafe_code, reason = "a descriptor that comes as a number")]
    // SAFETY: fcntl only looks; our parent made it for this process and nothing else here knows the number.
    unsafe {
        check(libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC))?;
        Ok(OwnedFd::from_raw_fd(number))
    }
}

fn check(result: i32) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(()),
        error if error > 0 => Err(io::Error::from_raw_os_error(error)),
        _ => Ok(()),
    }
}
