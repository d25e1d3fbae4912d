//! The controlling terminal, for what must not be piped: secrets, and a person's word.
//!
//! A line is read in raw mode, one byte at a time, so that it can end when somebody else answers first, and so that Ctrl-C
//! and Esc put the terminal back before they mean no.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::fd::AsFd,
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{
        LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr,
        tcsetattr,
    },
};
use tokio::signal::unix::{SignalKind, signal};
use touchkeep_core::{Code, text::visible};
use touchkeep_wire::{Failure, wiped};
use zeroize::Zeroizing;

use crate::{args::Global, layout};

/// How a line ended. Not `Debug`: it may be a PIN.
pub(crate) enum Line {
    /// With Enter.
    Typed(Zeroizing<String>),
    /// With Esc or Ctrl-C.
    Cancelled,
    /// Because it is not wanted any more, or too late.
    Ended,
    /// With Enter, and more lines came at once: what was pasted is not one line.
    Several,
}

/// Whether what is typed can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    Shown,
    Dots,
    /// As dots, of something that is kept: half of what was pasted is not taken for all of it.
    DotsWhole,
}

/// The longest line.
const MAX_BYTES: usize = 64 * 1024;

/// What comes within this after Enter was pasted, and not typed.
const PASTED: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};
/// How much of that is taken away until it is silent.
const MAX_PASTED: usize = 1 << 20;

/// Columns behind a question: a PIN has up to 8 characters.
const ROOM_FOR_ANSWER: usize = 10;

// Ctrl-C is a key while a line is read, and no signal.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What a shell expects of a program that Ctrl-C has ended: 128 and the number of SIGINT.
const BY_CTRL_C: u8 = 130;

/// How this program ends with a failure.
pub(crate) fn exit_code(failure: &Failure) -> u8 {
    match failure.code {
        Code::Refused if INTERRUPTED.load(Ordering::Relaxed) => BY_CTRL_C,
        code => code.exit_code(),
    }
}

/// The terminal of this session.
pub(crate) struct Terminal {
    file: File,
}

impl Terminal {
    pub(crate) fn open() -> io::Result<Self> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .map(|file| Self { file })
    }

    pub(crate) fn write(&self, text: &str) {
        let _gone = (&self.file)
            .write_all(text.as_bytes())
            .and_then(|()| (&self.file).flush());
    }

    /// Its columns.
    pub(crate) fn width(&self) -> usize {
        layout::width(&self.file).unwrap_or(layout::USUAL_WIDTH)
    }

    // Takes the line away that waits for an answer: it would look as if it still did.
    fn clear_line(&self) {
        self.write(if layout::is_dumb() {
            "\r\n"
        } else {
            "\r\x1b[K"
        });
    }

    /// Writes a question, broken at blanks, with room behind it for the answer.
    pub(crate) fn ask(&self, question: &str) {
        let folded = match layout::width(&self.file) {
            Some(width) => layout::fold(question, width - ROOM_FOR_ANSWER),
            None => question.to_owned(),
        };
        self.write(&folded.replace('\n', "\r\n"));
    }

    /// Asks, and reads a line. `stop` and `until` end it; `tick` is called at once and then about four times a second, and may redraw.
    pub(crate) fn read_line(
        &self,
        question: &str,
        echo: Echo,
        stop: &AtomicBool,
        until: Option<Instant>,
        mut tick: impl FnMut(&Self, usize),
    ) -> io::Result<Line> {
        let _raw = Raw::enter(&self.file)?;
        // What was typed before the question was shown is no answer to it.
        tcflush(&self.file, QueueSelector::IFlush)?;
        // And not before that: whoever answers quickly, as a program does, would be seen by a terminal that still echoes, and not heard.
        self.ask(question);
        tick(self, 0);
        let mut line = Zeroizing::new(Vec::with_capacity(256));
        let mut ended = loop {
            if stop.load(Ordering::Relaxed) || until.is_some_and(|end| Instant::now() >= end) {
                break Line::Ended;
            }
            let mut wanted = [PollFd::new(&self.file, PollFlags::IN)];
            let patience = Timespec {
                tv_sec: 0,
                tv_nsec: 250_000_000,
            };
            match poll(&mut wanted, Some(&patience)) {
                Ok(0) => {
                    tick(self, line.len());
                    continue;
                }
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let mut byte = [0u8; 1];
            if (&self.file).read(&mut byte)? == 0 {
                break Line::Cancelled;
            }
            match byte {
                [b'\r' | b'\n'] => break Line::Typed(text_of(&line)),
                [0x03] => {
                    INTERRUPTED.store(true, Ordering::Relaxed);
                    break Line::Cancelled;
                }
                [0x1b | 0x04] => break Line::Cancelled,
                [0x7f | 0x08] if pop_char(&mut line) => {
                    self.write("\x08 \x08");
                }
                [0x15] => {
                    while pop_char(&mut line) {
                        self.write("\x08 \x08");
                    }
                }
                // Cut short it would be another secret.
                [b] if b >= 0x20 && line.len() == MAX_BYTES => break Line::Cancelled,
                [b] if b >= 0x20 => {
                    wiped::reserve(&mut line, 1);
                    line.push(b);
                    let starts_char = b & 0xc0 != 0x80;
                    match echo {
                        Echo::Dots | Echo::DotsWhole if starts_char => self.write("•"),
                        Echo::Dots | Echo::DotsWhole => {}
                        Echo::Shown => {
                            let _gone = (&self.file).write_all(&byte);
                        }
                    }
                }
                _ => {}
            }
        };
        if echo == Echo::DotsWhole && matches!(ended, Line::Typed(_)) && self.goes_on()? {
            ended = Line::Several;
        }
        match ended {
            Line::Ended => self.clear_line(),
            _ => self.write("\r\n"),
        }
        Ok(ended)
    }

    // Whether more than ends of lines comes at once. It is read here, so that no shell gets it.
    fn goes_on(&self) -> io::Result<bool> {
        let mut more = Zeroizing::new([0u8; 256]);
        let (mut goes_on, mut taken) = (false, 0);
        while taken < MAX_PASTED {
            let mut wanted = [PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut wanted, Some(&PASTED)) {
                Ok(0) => break,
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let count = (&self.file).read(&mut *more)?;
            if count == 0 {
                break;
            }
            taken += count;
            let read = more.get(..count).unwrap_or_default();
            goes_on |= read.iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
        }
        Ok(goes_on)
    }

    /// Waits until the terminal's person does nothing for a moment, so that a key pressed for something else is not an answer.
    pub(crate) fn settle(&self, guard: Duration) {
        thread::sleep(guard);
        let _gone = tcflush(&self.file, QueueSelector::IFlush);
    }
}

/// Asks for a word before something that cannot be taken back.
///
/// # Errors
/// Refused, for every answer but `word`, and where nobody can be asked.
pub(crate) fn confirm(global: &Global, question: &str, word: &str) -> Result<(), Failure> {
    let word = &visible(word);
    let typed = !global.no_interaction
        && Terminal::open().is_ok_and(|terminal| {
            let gap = if question.ends_with('\n') { "" } else { " " };
            let question = format!("{question}{gap}Type {word} to go on: ");
            let line = terminal.read_line(
                &question,
                Echo::Shown,
                &AtomicBool::new(false),
                None,
                |_, _| {},
            );
            matches!(line, Ok(Line::Typed(typed)) if *typed == *word)
        });
    if typed {
        return Ok(());
    }
    Err(Failure::new(
        Code::Refused,
        "nothing was changed",
        format!("Answer with {word}, or add: --yes"),
    ))
}

fn text_of(line: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(String::from_utf8_lossy(line).into_owned())
}

fn pop_char(line: &mut Vec<u8>) -> bool {
    let had = !line.is_empty();
    while let Some(byte) = line.pop() {
        if byte & 0xc0 != 0x80 {
            break;
        }
    }
    had
}

/// Raw mode for input; the old mode comes back on drop, and what was not read does not go to whoever reads next.
struct Raw<'a> {
    file: &'a File,
    before: Termios,
    // How it was before a change that this one is within; none where it is within none.
    outer: Option<Termios>,
}

// How the terminal was before it was changed; none while it is not.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

// What is put back in the end. Of a change within another one that is how it was before the outer one.
fn set_before(before: &Termios) -> Termios {
    let mut kept = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    kept.get_or_insert_with(|| before.clone()).clone()
}

fn outer() -> Option<Termios> {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    before.clone()
}

fn forget_before() {
    *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// A terminal that shows nothing of what is typed while it asks nothing: the end of a PIN whose question has just closed. Ctrl-C
/// goes on to be a signal. The old mode comes back on drop, and what was typed goes to no shell.
pub(crate) struct Unechoed {
    terminal: Terminal,
    before: Termios,
}

impl Unechoed {
    /// Until it is dropped.
    pub(crate) fn begin() -> io::Result<Self> {
        let terminal = Terminal::open()?;
        let before = tcgetattr(terminal.file.as_fd())?;
        let before = set_before(&before);
        put_back_at_the_end();
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO;
        tcsetattr(terminal.file.as_fd(), OptionalActions::Now, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Unechoed {
    fn drop(&mut self) {
        put_back(&self.terminal.file, &self.before);
        forget_before();
    }
}

// Not by TCSAFLUSH: that waits until a terminal that somebody has stopped shows everything.
fn put_back(file: &File, before: &Termios) {
    let _gone = tcflush(file, QueueSelector::IFlush);
    let _gone = tcsetattr(file.as_fd(), OptionalActions::Now, before);
}

/// Whoever ends this program while a line is read (`timeout`, a closed window) finds the terminal as it was. Ctrl-C is a key
/// then, and none of these.
fn put_back_at_the_end() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let watching = thread::Builder::new().name("signals".into());
        // Without it the terminal stays as a signal leaves it, and nothing else is worse.
        let _watching = watching.spawn(|| {
            if let Ok(signal) = ended_by() {
                let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
                if let (Some(before), Ok(terminal)) = (&*before, Terminal::open()) {
                    let _gone = tcsetattr(terminal.file.as_fd(), OptionalActions::Now, before);
                }
                std::process::exit(128 + signal.as_raw_value());
            }
        });
    });
}

// Waits for a signal that ends this program.
fn ended_by() -> io::Result<SignalKind> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let mut term = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut quit = signal(SignalKind::quit())?;
        Ok(tokio::select! {
            _ = term.recv() => SignalKind::terminate(),
            _ = hangup.recv() => SignalKind::hangup(),
            _ = quit.recv() => SignalKind::quit(),
        })
    })
}

impl<'a> Raw<'a> {
    fn enter(file: &'a File) -> io::Result<Self> {
        let before = tcgetattr(file.as_fd())?;
        let outer = outer();
        let _first = set_before(&before);
        put_back_at_the_end();
        let mut raw = before.clone();
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(file.as_fd(), OptionalActions::Now, &raw)?;
        Ok(Self {
            file,
            before,
            outer,
        })
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        let Some(outer) = &self.outer else {
            put_back(self.file, &self.before);
            forget_before();
            return;
        };
        // The outer one may have ended in the middle of this line, and had put everything back.
        let now = self::outer().is_some();
        put_back(self.file, if now { &self.before } else { outer });
    }
}
