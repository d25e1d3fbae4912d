//! Making and importing keys: GENERATE ASYMMETRIC KEY PAIR, Yubico's IMPORT, MOVE KEY and SET MANAGEMENT KEY.

use super::{
    Card,
    apdu::Command,
    key::{Algorithm, Origin, Private, SlotKey},
    management::{Kind, ManagementKey},
    policy::{Policies, TouchPolicy},
    slot::Slot,
    status::Status,
    tlv,
};

/// Where MOVE KEY moves a key that is to be deleted.
const DELETE: u8 = 0xFF;

impl Card {
    /// Makes a key in a slot. Its policies are fixed from now on.
    pub(super) fn generate(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        self.require_management()?;
        let slot = Slot::new(command.p2)?;
        let elements = tlv::all(tlv::only(0xAC, &command.data)?)?;
        let Some(&[algorithm]) = tlv::find(&elements, 0x80) else {
            return Err(Status::BAD_DATA);
        };
        let algorithm = Algorithm::new(algorithm, self.memory.firmware)?;
        let policies = Policies::read(slot, &elements)?;
        let private = Private::generate(algorithm)?;
        let public = tlv::element(&[0x7F, 0x49], &private.public());
        self.memory.keys.insert(
            slot,
            SlotKey {
                private,
                policies,
                origin: Origin::Generated,
            },
        );
        Ok(public)
    }

    pub(super) fn import(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        self.require_management()?;
        let slot = Slot::new(command.p2)?;
        let elements = tlv::all(&command.data)?;
        let algorithm = Algorithm::new(command.p1, self.memory.firmware)?;
        let private = Private::import(algorithm, &elements)?;
        let policies = Policies::read(slot, &elements)?;
        self.memory.keys.insert(
            slot,
            SlotKey {
                private,
                policies,
                origin: Origin::Imported,
            },
        );
        Ok(Vec::new())
    }

    /// Moves a key to another, empty slot (P1), or deletes it (P1 is `FF`). Its certificate stays where it is.
    pub(super) fn move_key(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        self.require_management()?;
        let from = Slot::new(command.p2).map_err(|_| Status::NO_REFERENCE)?;
        if command.p1 == DELETE {
            return match self.memory.keys.remove(&from) {
                Some(_) => Ok(Vec::new()),
                None => Err(Status::NO_REFERENCE),
            };
        }
        let from = from.for_use()?;
        let to = Slot::new(command.p1)?.for_use()?;
        if self.memory.keys.contains_key(&to) {
            return Err(Status::BAD_SLOT);
        }
        let key = self.memory.keys.remove(&from).ok_or(Status::NO_REFERENCE)?;
        self.memory.keys.insert(to, key);
        Ok(Vec::new())
    }

    /// `FF FF FF` (or `FE` to want a touch from now on), data: algorithm, `9B`, length, key.
    pub(super) fn set_management_key(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        self.require_management()?;
        let touch = match (command.p1, command.p2) {
            (0xFF, 0xFF) => TouchPolicy::Never,
            (0xFF, 0xFE) => TouchPolicy::Always,
            _ => return Err(Status::BAD_PARAMETERS),
        };
        let [algorithm, 0x9B, length, key @ ..] = command.data.as_slice() else {
            return Err(Status::BAD_DATA);
        };
        if usize::from(*length) != key.len() {
            return Err(Status::BAD_DATA);
        }
        let kind = Kind::new(*algorithm, self.memory.firmware)?;
        self.memory.management = ManagementKey::new(kind, key, touch)?;
        Ok(Vec::new())
    }
}
