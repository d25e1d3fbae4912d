//! The finger of a person: Enter in the terminal, while the key blinks and not before.

use super::presence::Place;
use crate::card::Button;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{QueueSelector, tcflush},
};
use std::{
    fs::File,
    io::{self, Read, Write},
    sync::Arc,
    thread,
    time::Duration,
};

const PROMPT: &[u8] = b"The key is blinking: press Enter to touch it\n";
const SECOND_PROMPT: &[u8] = b"The second key is blinking: press Enter to touch it\n";
/// How soon a wait that ended otherwise (time over, card pulled out) is noticed.
const LOOK_AGAIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Takes touches from the controlling terminal, in a thread of its own. The terminal is read only while the card waits.
pub(super) fn take_touches(button: Arc<Button>, place: Place) -> io::Result<()> {
    let prompt = match place {
        Place::First => PROMPT,
        Place::Second => SECOND_PROMPT,
    };
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    thread::spawn(move || {
        loop {
            button.until_waiting();
            // Without a terminal there is no finger, and the card's own time-out ends the wait.
            if one_wait(&terminal, &button, prompt).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn one_wait(mut terminal: &File, button: &Button, prompt: &[u8]) -> io::Result<()> {
    // An Enter that was pressed before the key blinked is no touch.
    tcflush(terminal, QueueSelector::IFlush)?;
    terminal.write_all(prompt)?;
    while button.is_waiting() {
        let mut ready = [PollFd::new(&terminal, PollFlags::IN)];
        if poll(&mut ready, Some(&LOOK_AGAIN)).is_ok_and(|count| count > 0) {
            let mut typed = [0; 256];
            if terminal.read(&mut typed)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            button.touch(Duration::ZERO);
        }
    }
    Ok(())
}
