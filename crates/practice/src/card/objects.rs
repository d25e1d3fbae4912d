//! Data objects: GET DATA and PUT DATA (SP 800-73-4 part 2, sections 3.1.2 and 3.3.2).

use super::{Card, apdu::Command, status::Status, tlv};

/// Largest object of a real key.
const LARGEST_OBJECT_BYTES: usize = 3063;
/// All objects together; about what a real key has.
const ALL_OBJECTS_BYTES: usize = 50 * 1024;
const DISCOVERY: &[u8] = &[0x7E];
/// Readable only after the PIN: fingerprints, printed information (where hosts keep a management key), face, iris.
const BEHIND_PIN: [[u8; 3]; 4] = [
    [0x5F, 0xC1, 0x03],
    [0x5F, 0xC1, 0x09],
    [0x5F, 0xC1, 0x08],
    [0x5F, 0xC1, 0x21],
];

impl Card {
    pub(super) fn read_object(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        require_object_parameters(command)?;
        let id = tlv::only(0x5C, &command.data)?;
        if id == DISCOVERY {
            return Ok(discovery());
        }
        if BEHIND_PIN.iter().any(|protected| protected == id) && !self.session.pin_verified {
            return Err(Status::NOT_ALLOWED);
        }
        let data = self.memory.objects.get(id).ok_or(Status::NOT_FOUND)?;
        Ok(tlv::element(&[0x53], data))
    }

    /// An empty object deletes.
    pub(super) fn write_object(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        require_object_parameters(command)?;
        self.require_management()?;
        let elements = tlv::all(&command.data)?;
        let &[(0x5C, id @ &[0x5F, _, _]), (0x53, data)] = elements.as_slice() else {
            return Err(Status::BAD_DATA);
        };
        if data.len() > LARGEST_OBJECT_BYTES {
            return Err(Status::NO_SPACE);
        }
        if data.is_empty() {
            self.memory.objects.remove(id);
            return Ok(Vec::new());
        }
        let others: usize = self
            .memory
            .objects
            .iter()
            .filter(|(other, _)| *other != id)
            .map(|(_, data)| data.len())
            .sum();
        if others.saturating_add(data.len()) > ALL_OBJECTS_BYTES {
            return Err(Status::NO_SPACE);
        }
        self.memory.objects.insert(id.to_vec(), data.to_vec());
        Ok(Vec::new())
    }
}

fn require_object_parameters(command: &Command) -> Result<(), Status> {
    if (command.p1, command.p2) == (0x3F, 0xFF) {
        Ok(())
    } else {
        Err(Status::BAD_PARAMETERS)
    }
}

/// The discovery object: this is PIV, and the PIV PIN is the one that counts.
fn discovery() -> Vec<u8> {
    let mut inner = tlv::element(
        &[0x4F],
        &[
            0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00,
        ],
    );
    tlv::push(&mut inner, &[0x5F, 0x2F], &[0x40, 0x00]);
    tlv::element(&[0x7E], &inner)
}
