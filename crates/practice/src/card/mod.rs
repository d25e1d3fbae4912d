//! The practice card: a PIV card emulator that behaves like a YubiKey where a host can tell the difference (PIN
//! counters, policies, touch, what a reset forgets), and says so plainly where it is not one.
//!
//! Sources: NIST SP 800-73-4 part 2; Yubico's PIV extensions; what `yubikey` and `age-plugin-yubikey` send. What no
//! public document says is marked "assumed" in `docs/devices/practice.md`.
//!
//! Read in this order: `apdu` and `tlv` (bytes in), `session` (what a reset forgets), `piv` (the commands), `memory`
//! (what survives), `button` (the touch).

mod apdu;
mod attest;
mod authenticate;
mod button;
mod der;
mod key;
mod keys;
mod ledger;
mod management;
mod memory;
mod metadata;
mod objects;
mod pins;
mod piv;
mod policy;
mod secret;
mod session;
mod slot;
mod status;

#[cfg(test)]
mod tests;
mod tlv;

pub(crate) use button::Button;
pub(crate) use ledger::{Ledger, Seen};
pub(crate) use memory::{FACTORY_PIN, FACTORY_PUK, Memory, StateError, StateFile};

use apdu::Command;
use session::{Applet, Session};
use status::Status;
use std::{sync::Arc, time::Duration};

/// Answer to reset: T=1 first, with the historical bytes of a YubiKey 5.
pub(crate) const ATR: [u8; 23] =
    *b"\x3B\xFD\x13\x00\x00\x81\x31\xFE\x15\x80\x73\xC0\x21\xC0\x57YubiKey\x40";

/// A chained command may not grow beyond this; the largest object of a real key is 3063 bytes.
const LONGEST_COMMAND_BYTES: usize = 3072 + 64;

/// A firmware version.
pub(crate) type Firmware = (u8, u8, u8);

/// How long things take that a real key fixes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// How long the card waits for a touch.
    pub(crate) touch: Duration,
    /// How long a touch counts for keys with the policy "cached".
    pub(crate) cached_touch: Duration,
}

/// The whole device.
pub(crate) struct Card {
    memory: Memory,
    file: Option<StateFile>,
    session: Session,
    /// The command that is being chained, without its last part.
    pending: Option<Command>,
    /// The part of the last answer that was not fetched yet.
    outgoing: Vec<u8>,
    button: Arc<Button>,
    ledger: Arc<Ledger>,
    times: Times,
}

impl Card {
    /// A card with this memory, kept in `file` if there is one.
    pub(crate) fn new(
        memory: Memory,
        file: Option<StateFile>,
        button: Arc<Button>,
        times: Times,
    ) -> Self {
        let ledger = Arc::new(Ledger::default());
        ledger.tries(memory.pin.tries().0, memory.puk.tries().0);
        Self {
            memory,
            file,
            session: Session::default(),
            pending: None,
            outgoing: Vec::new(),
            button,
            ledger,
            times,
        }
    }

    /// The counters, readable while a command runs.
    pub(crate) fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger)
    }

    /// The card's serial number.
    pub(crate) fn serial(&self) -> u32 {
        self.memory.serial
    }

    /// Power lost or card reset: everything that was proved is forgotten.
    pub(crate) fn forget(&mut self) {
        self.session = Session::default();
        self.pending = None;
        self.outgoing.clear();
    }

    /// Answers one command APDU. Never panics, whatever the bytes are.
    pub(crate) fn execute(&mut self, bytes: &[u8]) -> Vec<u8> {
        let (mut answer, status) = match Command::parse(bytes) {
            Ok(command) => self.receive(command),
            Err(status) => (Vec::new(), status),
        };
        answer.extend_from_slice(&status.0.to_be_bytes());
        answer
    }

    /// Puts chained commands together and cuts long answers into pieces.
    fn receive(&mut self, command: Command) -> (Vec<u8>, Status) {
        if command.ins == 0xC0 {
            return self.fetch(command.answer_bytes);
        }
        self.outgoing.clear();
        let bytes = command.answer_bytes;
        let whole = match self.chain(command) {
            Ok(Some(whole)) => whole,
            Ok(None) => return (Vec::new(), Status::OK),
            Err(status) => return (Vec::new(), status),
        };
        let result = self.perform(&whole);
        let status = *result.as_ref().err().unwrap_or(&Status::OK);
        self.note(&whole, status);
        match result {
            Err(status) => (Vec::new(), status),
            Ok(answer) => match self.save() {
                Ok(()) => {
                    self.outgoing = answer;
                    self.fetch(bytes)
                }
                Err(status) => (Vec::new(), status),
            },
        }
    }

    /// `None` while more parts are to come. A part of another command starts anew.
    fn chain(&mut self, command: Command) -> Result<Option<Command>, Status> {
        let pending = self.pending.take();
        let mut whole = match (command.cla, pending) {
            (0x00 | 0x10, Some(begun))
                if (begun.ins, begun.p1, begun.p2) == (command.ins, command.p1, command.p2) =>
            {
                begun
            }
            (0x00 | 0x10, _) => Command {
                data: Vec::new(),
                ..command.clone()
            },
            _ => return Err(Status::UNKNOWN_CLASS),
        };
        if whole.data.len().saturating_add(command.data.len()) > LONGEST_COMMAND_BYTES {
            return Err(Status::NO_SPACE);
        }
        whole.data.extend_from_slice(&command.data);
        if command.cla == 0x10 {
            self.pending = Some(whole);
            return Ok(None);
        }
        Ok(Some(Command { cla: 0, ..whole }))
    }

    fn fetch(&mut self, bytes: usize) -> (Vec<u8>, Status) {
        let rest = self.outgoing.split_off(self.outgoing.len().min(bytes));
        let piece = std::mem::replace(&mut self.outgoing, rest);
        let status = if self.outgoing.is_empty() {
            Status::OK
        } else {
            Status::more(self.outgoing.len())
        };
        (piece, status)
    }

    fn perform(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        match (command.ins, self.session.applet) {
            (0xA4, _) => self.select(command),
            (_, Some(Applet::Piv)) => self.piv(command),
            (_, Some(Applet::Otp)) => self.otp(command),
            (_, Some(Applet::Management) | None) => Err(Status::UNKNOWN_INSTRUCTION),
        }
    }

    /// Counters reach the file before the answer leaves the card, or pulling the plug would give tries back.
    fn save(&mut self) -> Result<(), Status> {
        match &mut self.file {
            Some(file) => file.save(&self.memory).map_err(|_| Status::WRITE_FAILED),
            None => Ok(()),
        }
    }

    fn note(&mut self, command: &Command, status: Status) {
        self.ledger
            .tries(self.memory.pin.tries().0, self.memory.puk.tries().0);
        if self.session.applet != Some(Applet::Piv) {
            return;
        }
        if command.ins == 0x20 && !command.data.is_empty() {
            self.ledger.verified();
        }
        if piv::changes_or_uses(command.ins) {
            self.ledger.performed(command.ins, command.p2, status.0);
        }
    }
}
