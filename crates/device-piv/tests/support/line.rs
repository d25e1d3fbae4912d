//! A line to pcscd that writes down what goes over it: where transactions begin and end, and which commands are in them.
//!
//! Only the requests are read, as pcsclite's clients send them (its `winscard_msg.h`, protocol 4): the length of a body and what is
//! asked, each in four bytes of this machine, the body, and behind that of a command to a card the command itself.

use std::{
    io::{self, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

const DISCONNECT: u32 = 0x06;
const BEGIN_TRANSACTION: u32 = 0x07;
const END_TRANSACTION: u32 = 0x08;
const TRANSMIT: u32 = 0x09;
/// Where the length of a command stands in the body of [`TRANSMIT`].
const COMMAND_BYTES: std::ops::Range<usize> = 12..16;

/// What a client asked pcscd for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A transaction. Asked again where another program has one.
    Begin,
    /// The end of it.
    End,
    /// A command to the card: its instruction, and whether it has data. What data is nobody's business here.
    Command(u8, bool),
}

/// What was asked so far: over which of the connections, and what.
type Asked = Arc<Mutex<Vec<(usize, Seen)>>>;

/// The line, for all connections of this process.
pub(crate) struct Line(Asked);

impl Line {
    /// Between a socket that is made here and that of pcscd.
    pub(crate) fn lay(here: &Path, pcscd: PathBuf) -> Self {
        let listener = UnixListener::bind(here).unwrap();
        let asked = Asked::default();
        let line = Self(Arc::clone(&asked));
        thread::spawn(move || {
            for (nth, client) in listener.incoming().enumerate() {
                let (client, server) = (client.unwrap(), UnixStream::connect(&pcscd).unwrap());
                let (mut answers, mut to) =
                    (server.try_clone().unwrap(), client.try_clone().unwrap());
                let asked = Arc::clone(&asked);
                // Who hangs up only ends his own conversation.
                thread::spawn(move || drop(pass_on(nth, client, server, &asked)));
                thread::spawn(move || drop(io::copy(&mut answers, &mut to)));
            }
        });
        line
    }

    /// What was asked since this was called the last time, by connection.
    pub(crate) fn taken(&self) -> Vec<(usize, Seen)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn pass_on(nth: usize, mut from: UnixStream, mut to: UnixStream, asked: &Asked) -> io::Result<()> {
    let passed = (|| {
        loop {
            let mut head = [0; 8];
            from.read_exact(&mut head)?;
            let mut message = head.to_vec();
            let body = read(&mut from, &mut message, number(&head[..4]))?;
            let seen = match number(&head[4..]) {
                BEGIN_TRANSACTION => Some(Seen::Begin),
                END_TRANSACTION | DISCONNECT => Some(Seen::End),
                TRANSMIT => {
                    let length = number(&message[body][COMMAND_BYTES]);
                    let apdu = read(&mut from, &mut message, length)?;
                    let apdu = &message[apdu];
                    Some(Seen::Command(apdu[1], apdu.len() > 5))
                }
                _ => None,
            };
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.extend(seen.map(|seen| (nth, seen)));
            drop(asked);
            to.write_all(&message)?;
        }
    })();
    // The other direction ends with it.
    to.shutdown(std::net::Shutdown::Both)?;
    passed
}

/// Reads so many bytes more into a message; where they are.
fn read(
    from: &mut UnixStream,
    message: &mut Vec<u8>,
    bytes: u32,
) -> io::Result<std::ops::Range<usize>> {
    let start = message.len();
    message.resize(start + bytes as usize, 0);
    from.read_exact(&mut message[start..])?;
    Ok(start..message.len())
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_ne_bytes(bytes.try_into().unwrap())
}
