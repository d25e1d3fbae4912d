//! Commands on PIN and PUK: VERIFY, CHANGE REFERENCE DATA, RESET RETRY, SET PIN RETRIES, RESET.

use super::{
    Card,
    apdu::Command,
    memory::{FACTORY_PIN, FACTORY_PUK},
    secret::{self, Secret},
    session::Session,
    status::Status,
};

const PIN: u8 = 0x80;
const PUK: u8 = 0x81;

impl Card {
    pub(super) fn verify(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        match (command.p1, command.p2, command.data.as_slice()) {
            (0x00, PIN, []) => self.pin_state(),
            (0xFF, PIN, []) => {
                self.session.pin_verified = false;
                Ok(Vec::new())
            }
            (0x00, PIN, presented) => self.verify_pin(presented),
            _ => Err(Status::BAD_DATA),
        }
    }

    /// An empty VERIFY only asks.
    fn pin_state(&self) -> Result<Vec<u8>, Status> {
        match self.memory.pin.tries() {
            _ if self.session.pin_verified => Ok(Vec::new()),
            (0, _) => Err(Status::BLOCKED),
            (left, _) => Err(Status::tries(left)),
        }
    }

    /// What cannot be a PIN costs no try, but whoever was logged in is not any more.
    fn verify_pin(&mut self, presented: &[u8]) -> Result<Vec<u8>, Status> {
        self.session.pin_verified = false;
        self.session.pin_fresh = false;
        if presented.len() != secret::SECRET_BYTES {
            return Err(Status::BAD_DATA);
        }
        let checked = self.memory.pin.check(presented);
        self.session.pin_verified = checked.is_ok();
        self.session.pin_fresh = checked.is_ok();
        self.after_check(checked)
    }

    /// Changes PIN or PUK. Neither success nor failure changes whether the PIN was proved.
    pub(super) fn change_reference(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        let which = match (command.p1, command.p2) {
            (0x00, PIN) => &mut self.memory.pin,
            (0x00, PUK) => &mut self.memory.puk,
            _ => return Err(Status::NO_REFERENCE),
        };
        let (old, new) = secret::old_and_new(&command.data)?;
        let checked = which.check(old).and_then(|()| which.replace(new));
        self.after_check(checked)
    }

    /// Unblocks the PIN with the PUK.
    pub(super) fn reset_retry(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        if (command.p1, command.p2) != (0x00, PIN) {
            return Err(Status::NO_REFERENCE);
        }
        let (puk, new_pin) = secret::old_and_new(&command.data)?;
        let pin = &mut self.memory.pin;
        let checked = self
            .memory
            .puk
            .check(puk)
            .and_then(|()| pin.replace(new_pin));
        if checked.is_ok() {
            self.session.pin_verified = false;
        }
        self.after_check(checked)
    }

    /// Sets how many tries PIN and PUK have; both go back to their factory values.
    pub(super) fn set_tries(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        self.require_management()?;
        if !self.session.pin_verified {
            return Err(Status::NOT_ALLOWED);
        }
        let secrets = |value: &str, tries: u8| {
            Secret::new(value.as_bytes(), tries)
                .filter(|_| tries > 0)
                .ok_or(Status::BAD_PARAMETERS)
        };
        let (pin, puk) = (
            secrets(FACTORY_PIN, command.p1)?,
            secrets(FACTORY_PUK, command.p2)?,
        );
        self.memory.pin = pin;
        self.memory.puk = puk;
        self.session.pin_verified = false;
        Ok(Vec::new())
    }

    /// Forgets everything, but only once PIN and PUK are both blocked.
    pub(super) fn reset(&mut self) -> Result<Vec<u8>, Status> {
        if self.memory.pin.tries().0 > 0 || self.memory.puk.tries().0 > 0 {
            return Err(Status::CONDITIONS);
        }
        self.memory.wipe().ok_or(Status::INTERNAL)?;
        self.session = Session {
            applet: self.session.applet,
            ..Session::default()
        };
        Ok(Vec::new())
    }

    /// A refused value still has to reach the file, or pulling the plug would give the try back.
    fn after_check(&mut self, checked: Result<(), Status>) -> Result<Vec<u8>, Status> {
        self.save()?;
        checked.map(|()| Vec::new())
    }
}
