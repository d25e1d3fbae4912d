//! The PIV applet: which instruction goes where.

use super::{Card, Firmware, apdu::Command, status::Status};

/// From this firmware on, a fresh PIN is spent by the keys that want one, and by nothing else.
const KEYS_SPEND_FRESHNESS: Firmware = (5, 7, 0);
/// The first firmware that moves and deletes keys.
const MOVES_KEYS: Firmware = (5, 7, 0);

impl Card {
    /// Performs one complete command. Before firmware 5.7, whatever it is, it spends the freshness of the PIN; from then
    /// on only using a key that wants a PIN does.
    pub(super) fn piv(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        let pin_fresh = self.session.pin_fresh;
        if self.memory.firmware < KEYS_SPEND_FRESHNESS {
            self.session.pin_fresh = false;
        }
        if command.data.len() == 1 {
            return Err(Status::BAD_DATA);
        }
        self.prepare_attestation(command)?;
        match command.ins {
            0x20 => self.verify(command),
            0x24 => self.change_reference(command),
            0x2C => self.reset_retry(command),
            0x47 => self.generate(command),
            0x87 => self.general_authenticate(command, pin_fresh),
            0xCB => self.read_object(command),
            0xDB => self.write_object(command),
            0xF6 if self.memory.firmware >= MOVES_KEYS => self.move_key(command),
            0xF7 => self.metadata(command),
            0xF8 if self.memory.firmware >= (5, 0, 0) => {
                Ok(self.memory.serial.to_be_bytes().to_vec())
            }
            0xF9 => self.attest(command),
            0xFA => self.set_tries(command),
            0xFB => self.reset(),
            0xFD => {
                let (major, minor, patch) = self.memory.firmware;
                Ok(vec![major, minor, patch])
            }
            0xFE => self.import(command),
            0xFF => self.set_management_key(command),
            _ => Err(Status::UNKNOWN_INSTRUCTION),
        }
    }

    /// Has the management key been proved?
    pub(super) fn require_management(&self) -> Result<(), Status> {
        if self.session.managed {
            Ok(())
        } else {
            Err(Status::NOT_ALLOWED)
        }
    }
}

/// Instructions that use or change a PIN, a key or an object.
pub(super) fn changes_or_uses(ins: u8) -> bool {
    matches!(
        ins,
        0x24 | 0x2C | 0x47 | 0x87 | 0xDB | 0xF6 | 0xFA | 0xFB | 0xFE | 0xFF
    )
}
