//! The card's end of the virtual reader: vsmartcard's protocol over TCP, two bytes of length and then the message.
//! Messages of one byte are 0 power off, 1 power on, 2 reset, 4 "your ATR?"; anything longer is a command APDU.

use crate::card::{ATR, Button, Card};
use rustix::net::sockopt::{set_socket_linger, set_tcp_quickack};
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Where libifdvpcd listens for the card of its first reader; in this namespace nobody else does.
const PORT: u16 = 35963;
/// The driver offers nothing to wait for before it listens, so it is tried this often.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);

/// The length of a status word, with no status word behind it.
const TORN_ANSWER: [u8; 2] = [0, 2];

/// The slot of the reader: whether the card is in it.
pub(super) struct Slot {
    place: Mutex<Place>,
    changed: Condvar,
    button: Arc<Button>,
}

#[derive(Default)]
struct Place {
    inserted: bool,
    line: Option<TcpStream>,
}

impl Slot {
    /// A slot with the card in it.
    pub(super) fn new(button: Arc<Button>) -> Self {
        Self {
            place: Mutex::new(Place {
                inserted: true,
                line: None,
            }),
            changed: Condvar::new(),
            button,
        }
    }

    /// Is the card in the slot?
    pub(super) fn is_inserted(&self) -> bool {
        self.lock().inserted
    }

    /// Puts the card in.
    pub(super) fn insert(&self) {
        self.lock().inserted = true;
        self.changed.notify_all();
    }

    /// Pulls the card out, even while it works or waits for a touch.
    ///
    /// # Why a reset and not an orderly end
    /// The driver takes a connection that ends before the answer for an empty answer. A real reader reports an error, and
    /// so does this driver when the connection is reset in the middle of an answer: so the answer is announced and then
    /// torn off, and closing without lingering is what resets.
    pub(super) fn remove(&self) {
        let mut place = self.lock();
        place.inserted = false;
        if let Some(line) = place.line.take() {
            // A line that is down already is as good as cut.
            let _gone = set_socket_linger(&line, Some(Duration::ZERO));
            let _gone = line.shutdown(Shutdown::Read);
        }
        drop(place);
        self.button.give_up();
    }

    /// Runs the card: connects it while it is inserted, answers what the reader asks.
    pub(super) fn serve(&self, card: &mut Card) {
        loop {
            let mut place = self.lock();
            while !place.inserted {
                place = self
                    .changed
                    .wait(place)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            drop(place);
            if let Some(line) = self.connect() {
                // Every end of the line is the same to a card: no more power.
                drop(self.converse(line, card));
                card.forget();
            } else {
                thread::sleep(BETWEEN_ATTEMPTS);
            }
        }
    }

    /// `None` while the driver does not listen, or if the card was pulled out in between.
    fn connect(&self) -> Option<TcpStream> {
        let line = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)).ok()?;
        line.set_nodelay(true).ok()?;
        let mut place = self.lock();
        if !place.inserted {
            return None;
        }
        place.line = Some(line.try_clone().ok()?);
        Some(line)
    }

    fn converse(&self, mut line: TcpStream, card: &mut Card) -> io::Result<()> {
        loop {
            let message = receive(&mut line)?;
            match message.as_slice() {
                [4] => send(&mut line, &ATR)?,
                [_] | [] => card.forget(),
                apdu => {
                    let answer = card.execute(apdu);
                    if !self.is_inserted() {
                        line.write_all(&TORN_ANSWER)?;
                        return Err(io::ErrorKind::NotConnected.into());
                    }
                    send(&mut line, &answer)?;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn receive(line: &mut TcpStream) -> io::Result<Vec<u8>> {
    // Linux falls back to delayed acknowledgements by itself, and those limit a card to some 17 commands a second.
    set_tcp_quickack(&*line, true)?;
    let mut length = [0; 2];
    line.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    set_tcp_quickack(&*line, true)?;
    line.read_exact(&mut message)?;
    Ok(message)
}

fn send(line: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    line.write_all(&framed)
}
