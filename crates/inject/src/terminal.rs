//! A program on a terminal of its own, masked, inside the person's terminal, which it cannot tell apart: colour, size, keys, job
//! control and whatever it draws go through.
//!
//! Three processes: we, on the person's terminal; the [`crate::monitor`], which leads a session on the new one; the program. While
//! the program has the person's attention, their terminal is raw: every key goes to the new terminal, which makes a signal of
//! Ctrl-C and Ctrl-Z there. While it has not (in the background, or where standard input is not the terminal), the person's
//! terminal is left as it is until the program asks for it.

use std::{
    fs::OpenOptions,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, FdFlags, fcntl_setfd},
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    pipe::{PipeFlags, pipe_with},
    process::getpgrp,
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{
        OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr,
        tcsetwinsize,
    },
};

use crate::{
    flow,
    mask::Patterns,
    monitor::{Word, hear, say},
    program::{Ended, Program, StartError},
    sys::{self, Signals, Whole},
};

/// How to start the monitor: a program that calls [`crate::monitor::monitor`] with a control number, `foreground` or
/// `background`, and the words of the program, in this order after these arguments.
#[derive(Debug, Clone, Copy)]
pub struct MonitorCommand<'a> {
    /// This binary.
    pub program: &'a Path,
    /// What makes it the monitor.
    pub arguments: &'a [&'a str],
}

/// Starts a program on a terminal of its own and waits for its end.
///
/// # Errors
/// When it could not be started.
pub fn run(
    program: &Program,
    patterns: &Arc<Patterns>,
    how: MonitorCommand<'_>,
) -> Result<Ended, StartError> {
    let signals = Signals::block().map_err(StartError::io("read signals"))?;
    let outer = Outer::open().map_err(StartError::io("use this terminal"))?;
    let (master, slave) = new_terminal(&outer).map_err(StartError::around("make a terminal"))?;
    let (control, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(StartError::around("make a socket"))?;
    let attended = outer.keys_are_input && outer.is_foreground();
    let (mut monitor, errors) = start(program, &signals, how, &slave, &theirs, attended)?;
    drop((slave, theirs));
    match hear(&control).map_err(StartError::io("start the program"))? {
        Some((Word::Started, _)) => {}
        Some((Word::NotStarted, errno)) => {
            let _reaped = monitor.wait();
            return Err(StartError::of(
                program.name(),
                io::Error::from_raw_os_error(errno),
            ));
        }
        _ => {
            return Err(StartError::io("start the program")(
                io::ErrorKind::UnexpectedEof.into(),
            ));
        }
    }
    let master = Arc::new(master);
    let (is_done, done) =
        pipe_with(PipeFlags::CLOEXEC).map_err(StartError::around("make a pipe"))?;
    let copies = copy(&master, errors, &is_done, patterns)
        .map_err(StartError::io("pass on what the program prints"))?;
    let mut sitting = Sitting {
        outer: Arc::new(outer),
        master,
        control,
        attended: Arc::new(AtomicBool::new(false)),
        was_behind: !attended,
    };
    if attended {
        sitting.attend();
    }
    sitting
        .type_in()
        .map_err(StartError::io("pass on what is typed"))?;
    let ended = sitting.watch(&signals);
    let _reaped = monitor.wait();
    drop(done);
    for copy in copies {
        let _panicked = copy.join();
    }
    sitting.leave();
    ended
}

// The person's terminal.
struct Outer {
    terminal: OwnedFd,
    // Its settings when it was made raw; none while it is not.
    before: Mutex<Option<Termios>>,
    // Standard input is the terminal, so what is typed is meant for the program.
    keys_are_input: bool,
}

impl Outer {
    fn open() -> io::Result<Self> {
        let keys_are_input = isatty(io::stdin());
        let terminal = if keys_are_input {
            io::stdin().as_fd().try_clone_to_owned()?
        } else {
            match OpenOptions::new().read(true).write(true).open("/dev/tty") {
                Ok(terminal) => terminal.into(),
                // Standard output is a terminal, but not this session's: its size is what can be known of it.
                Err(_) => io::stdout().as_fd().try_clone_to_owned()?,
            }
        };
        Ok(Self {
            terminal,
            before: Mutex::new(None),
            keys_are_input,
        })
    }

    fn is_foreground(&self) -> bool {
        tcgetpgrp(&self.terminal).is_ok_and(|group| group == getpgrp())
    }

    // Gives out the settings that it had.
    fn make_raw(&self) -> Option<Termios> {
        let before = tcgetattr(&self.terminal).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&self.terminal, OptionalActions::Drain, &raw).ok()?;
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some(before.clone());
        Some(before)
    }

    fn restore(&self) {
        let before = self
            .before
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(before) = before.filter(|_| self.is_foreground()) {
            let _hung_up = tcsetattr(&self.terminal, OptionalActions::Drain, &before);
        }
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        self.restore();
    }
}

// A new terminal with the size and the settings of the person's.
fn new_terminal(outer: &Outer) -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    if let Ok(settings) = tcgetattr(&outer.terminal) {
        tcsetattr(&slave, OptionalActions::Now, &settings)?;
    }
    if let Ok(size) = tcgetwinsize(&outer.terminal) {
        tcsetwinsize(&slave, size)?;
    }
    Ok((master, slave))
}

// The monitor, with the program's three streams, and the reading end of its standard error where that is no terminal.
fn start(
    program: &Program,
    signals: &Signals,
    how: MonitorCommand<'_>,
    slave: &OwnedFd,
    control: &OwnedFd,
    attended: bool,
) -> Result<(Child, Option<OwnedFd>), StartError> {
    let terminal = || {
        slave
            .try_clone()
            .map(Stdio::from)
            .map_err(StartError::io("start the program"))
    };
    let mut command = Command::new(how.program);
    command
        .args(how.arguments)
        .arg(control.as_raw_fd().to_string())
        .arg(if attended { "foreground" } else { "background" })
        .args(program.words())
        .stdin(if isatty(io::stdin()) {
            terminal()?
        } else {
            Stdio::inherit()
        })
        .stdout(terminal()?)
        .stderr(if isatty(io::stderr()) {
            terminal()?
        } else {
            Stdio::piped()
        });
    program.add_environment(&mut command);
    signals.spare(&mut command);
    fcntl_setfd(control, FdFlags::empty()).map_err(StartError::around("start the program"))?;
    let mut monitor = command
        .spawn()
        .map_err(StartError::io("start the program"))?;
    let errors = monitor.stderr.take().map(OwnedFd::from);
    Ok((monitor, errors))
}

// What comes out of the terminal and, where that is another way out, what the program complains of; each until `done`.
fn copy(
    master: &Arc<OwnedFd>,
    errors: Option<OwnedFd>,
    done: &OwnedFd,
    patterns: &Arc<Patterns>,
) -> io::Result<Vec<thread::JoinHandle<()>>> {
    let mut copies = vec![flow::spawn(
        Arc::clone(master),
        io::stdout().as_fd(),
        Some(done.try_clone()?),
        patterns,
    )?];
    if let Some(errors) = errors {
        copies.push(flow::spawn(
            errors,
            io::stderr().as_fd(),
            Some(done.try_clone()?),
            patterns,
        )?);
    }
    Ok(copies)
}

// A program in front of a person.
struct Sitting {
    outer: Arc<Outer>,
    master: Arc<OwnedFd>,
    control: OwnedFd,
    // Whether what is typed goes to the program.
    attended: Arc<AtomicBool>,
    // Whether it was started behind a shell that reads a line, and never came to the fore so far.
    was_behind: bool,
}

impl Sitting {
    fn attend(&mut self) {
        let settings = self.outer.make_raw();
        // A shell that reads a line has settings of its own, which are none for a program.
        if let (true, Some(settings)) = (std::mem::take(&mut self.was_behind), settings) {
            let _hung_up = tcsetattr(&self.master, OptionalActions::Now, &settings);
        }
        self.attended.store(true, Ordering::SeqCst);
    }

    fn leave(&mut self) {
        self.attended.store(false, Ordering::SeqCst);
        self.outer.restore();
    }

    // What is typed, on a thread of its own: the program may not read for a while, and signals have to go on meanwhile. It ends
    // with the process.
    fn type_in(&self) -> io::Result<()> {
        let (outer, master, attended) = (
            Arc::clone(&self.outer),
            Arc::clone(&self.master),
            Arc::clone(&self.attended),
        );
        thread::Builder::new()
            .name("keys".into())
            .spawn(move || pass_keys(&outer, &master, &attended))
            .map(drop)
    }

    fn watch(&mut self, signals: &Signals) -> Result<Ended, StartError> {
        loop {
            let mut wanted = [
                PollFd::new(signals, PollFlags::IN),
                PollFd::new(&self.control, PollFlags::IN),
            ];
            match poll(&mut wanted, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(StartError::around("wait for the program")(error)),
            }
            let told = wanted
                .get(1)
                .is_some_and(|control| !control.revents().is_empty());
            while let Some(arrived) = signals.next() {
                self.pass_on(arrived);
            }
            if !told {
                continue;
            }
            match hear(&self.control) {
                Ok(Some((Word::Stopped, signal))) => self.stopped(signal),
                Ok(Some((Word::Exited, status))) => {
                    return Ok(Ended::Exited(
                        u8::try_from(status & 0xff).unwrap_or_default(),
                    ));
                }
                Ok(Some((Word::Signalled, signal))) => return Ok(Ended::Signalled(signal)),
                Ok(Some(_)) => {}
                // Somebody has killed the monitor, and the kernel has hung up on what it had.
                Ok(None) | Err(_) => return Ok(Ended::Signalled(libc::SIGHUP)),
            }
        }
    }

    fn pass_on(&self, arrived: sys::Arrived) {
        match arrived.signal {
            libc::SIGCHLD | libc::SIGCONT => {}
            libc::SIGWINCH => self.resize(),
            signal => {
                let word = if arrived.from_terminal {
                    Word::SendGroup
                } else {
                    Word::Send
                };
                let _gone = say(&self.control, word, signal);
            }
        }
    }

    fn resize(&self) {
        if let Ok(size) = tcgetwinsize(&self.outer.terminal) {
            let _hung_up = tcsetwinsize(&self.master, size);
        }
    }

    // The program was stopped: because it wants the terminal, or because somebody wants it back.
    fn stopped(&mut self, signal: i32) {
        let wants_terminal = matches!(signal, libc::SIGTTIN | libc::SIGTTOU);
        let was_attended = self.attended.load(Ordering::SeqCst);
        if !(wants_terminal && self.outer.is_foreground()) {
            self.leave();
            sys::stop_here(signal, Whole::Group);
            self.resize();
        }
        if self.outer.is_foreground() && (was_attended || wants_terminal) {
            self.attend();
            let _gone = say(&self.control, Word::Foreground, 0);
        } else {
            let _gone = say(&self.control, Word::Background, 0);
        }
    }
}

// Looked at this often whether the person has come back.
const GLANCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

fn pass_keys(outer: &Outer, master: &OwnedFd, attended: &AtomicBool) {
    let mut keys = [0u8; 4096];
    loop {
        let mut wanted = [PollFd::new(&outer.terminal, PollFlags::IN)];
        let looking = attended.load(Ordering::SeqCst);
        let ready = if looking {
            poll(&mut wanted, Some(&GLANCE))
        } else {
            poll(&mut [], Some(&GLANCE))
        };
        match ready {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) if !attended.load(Ordering::SeqCst) => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        match rustix::io::read(&outer.terminal, &mut keys) {
            Ok(0) => return,
            Ok(count) => {
                if flow::write_all(master.as_fd(), keys.get(..count).unwrap_or_default()).is_err() {
                    return;
                }
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return,
        }
    }
}
