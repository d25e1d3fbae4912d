//! The card's end of the virtual reader: vsmartcard's protocol over TCP, two bytes of length and then the message.
//! Messages of one byte are 0 power off, 1 power on, 2 reset, 4 "your ATR?"; anything longer is a command APDU.

use super::{
    faults::{Fault, Faults},
    presence::{self, Events, Place as Reader},
};
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
/// Where it listens for the card of its second reader.
const SECOND_PORT: u16 = 35964;
/// The driver offers nothing to wait for before it listens, so it is tried this often.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);

/// The length of a status word, with no status word behind it.
const TORN_ANSWER: [u8; 2] = [0, 2];

/// The slot of the reader: whether the card is in it.
pub(super) struct Slot {
    reader: Reader,
    place: Mutex<Place>,
    changed: Condvar,
    button: Arc<Button>,
    faults: Faults,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Up,
    Down,
}

#[derive(Default)]
struct Place {
    inserted: bool,
    line: Option<TcpStream>,
    /// What pcscd had seen when the card was pulled out.
    pulled_at: Option<Events>,
}

impl Slot {
    /// A slot with the card in it.
    pub(super) fn new(reader: Reader, button: Arc<Button>) -> Self {
        Self {
            reader,
            place: Mutex::new(Place {
                inserted: true,
                ..Place::default()
            }),
            changed: Condvar::new(),
            button,
            faults: Faults::default(),
        }
    }

    /// Which of the readers it belongs to.
    pub(super) fn reader(&self) -> Reader {
        self.reader
    }

    /// What goes wrong with the card in it.
    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Is the card in the slot?
    pub(super) fn is_inserted(&self) -> bool {
        self.lock().inserted
    }

    /// Puts the card in.
    pub(super) fn insert(&self) {
        let mut place = self.lock();
        place.inserted = true;
        place.pulled_at = None;
        drop(place);
        self.changed.notify_all();
    }

    /// What pcscd had seen when the card was pulled out; `None` if it was in, or if that pcscd is gone.
    pub(super) fn pulled_at(&self) -> Option<Events> {
        self.lock().pulled_at
    }

    /// A new pcscd knows nothing of what the last one had seen.
    pub(super) fn forget_pcscd(&self) {
        self.lock().pulled_at = None;
    }

    /// Pulls the card out, even while it works or waits for a touch.
    ///
    /// # Why a reset and not an orderly end
    /// The driver takes a connection that ends before the answer for an empty answer. A real reader reports an error, and
    /// so does this driver when the connection is reset in the middle of an answer: so the answer is announced and then
    /// torn off, and closing without lingering is what resets.
    pub(super) fn remove(&self) {
        let pulled_at = presence::events(self.reader);
        let mut place = self.lock();
        // Whoever pulled it out first knows what pcscd had seen before.
        if !place.inserted {
            return;
        }
        place.inserted = false;
        place.pulled_at = pulled_at;
        if let Some(line) = place.line.take() {
            // A line that is down already is as good as cut.
            let _gone = set_socket_linger(&line, Some(Duration::ZERO));
            let _gone = line.shutdown(Shutdown::Read);
        }
        drop(place);
        self.changed.notify_all();
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
                // A line that breaks is no more power for the card.
                if self.converse(line, card).is_err() {
                    card.forget();
                }
            } else {
                thread::sleep(BETWEEN_ATTEMPTS);
            }
        }
    }

    /// `None` while the driver does not listen, or if the card was pulled out in between.
    fn connect(&self) -> Option<TcpStream> {
        let port = match self.reader {
            Reader::First => PORT,
            Reader::Second => SECOND_PORT,
        };
        let line = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        line.set_nodelay(true).ok()?;
        let mut place = self.lock();
        if !place.inserted {
            return None;
        }
        place.line = Some(line.try_clone().ok()?);
        Some(line)
    }

    /// Ends well only if the card itself let go of the line, and keeps its power.
    fn converse(&self, mut line: TcpStream, card: &mut Card) -> io::Result<()> {
        loop {
            let message = receive(&mut line)?;
            match message.as_slice() {
                [4] => send(&mut line, &ATR)?,
                [_] | [] => card.forget(),
                apdu => {
                    if self.answer(&mut line, card, apdu)? == Line::Down {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn answer(&self, line: &mut TcpStream, card: &mut Card, apdu: &[u8]) -> io::Result<Line> {
        let fault = self.faults.arrives(apdu);
        let answer = match fault {
            Some(Fault::RemoveBefore) => {
                self.remove();
                None
            }
            Some(Fault::Delay(time)) => self.stays(time).then(|| card.execute(apdu)),
            Some(Fault::Answer(ref bytes)) => return nonsense(line, bytes),
            Some(Fault::Instead(ref other)) => Some(card.execute(other)),
            Some(Fault::RemoveDuring) => {
                let lost = card.execute(apdu);
                self.remove();
                Some(lost)
            }
            Some(Fault::Reset) => {
                card.forget();
                Some(card.execute(apdu))
            }
            Some(Fault::RemoveAfter) | None => Some(card.execute(apdu)),
        };
        match answer {
            Some(answer) if self.is_inserted() => send(line, &answer)?,
            Some(_) | None => {
                line.write_all(&TORN_ANSWER)?;
                return Err(io::ErrorKind::NotConnected.into());
            }
        }
        if fault == Some(Fault::RemoveAfter) {
            self.remove();
        }
        Ok(Line::Up)
    }

    /// Waits that long, or until the card is pulled out. Is it still there?
    fn stays(&self, time: Duration) -> bool {
        self.changed
            .wait_timeout_while(self.lock(), time, |place| place.inserted)
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .inserted
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The driver cannot take an empty answer: it waits for more, and lets go of the line when that does not come. It reports
/// an empty answer then, and takes the card back when pcscd looks next (every 0.4 s).
fn nonsense(line: &mut TcpStream, bytes: &[u8]) -> io::Result<Line> {
    send(line, bytes)?;
    Ok(if bytes.is_empty() {
        Line::Down
    } else {
        Line::Up
    })
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
