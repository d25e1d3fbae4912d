//! GET METADATA (firmware 5.3 and later): what is in a slot, without using it.

use super::{
    Card,
    apdu::Command,
    key::Origin,
    management::FACTORY_KEY,
    memory::{FACTORY_PIN, FACTORY_PUK},
    policy::{PinPolicy, Policies, TouchPolicy},
    secret::Secret,
    slot::Slot,
    status::Status,
    tlv,
};

const ALGORITHM: &[u8] = &[0x01];
const POLICY: &[u8] = &[0x02];
const ORIGIN: &[u8] = &[0x03];
const PUBLIC: &[u8] = &[0x04];
const DEFAULT: &[u8] = &[0x05];
const TRIES: &[u8] = &[0x06];

impl Card {
    pub(super) fn metadata(&self, command: &Command) -> Result<Vec<u8>, Status> {
        if self.memory.firmware < (5, 3, 0) {
            return Err(Status::UNKNOWN_INSTRUCTION);
        }
        match command.p2 {
            0x80 => Ok(of_secret(&self.memory.pin, FACTORY_PIN)),
            0x81 => Ok(of_secret(&self.memory.puk, FACTORY_PUK)),
            0x9B => Ok(self.of_management_key()),
            reference => self.of_slot(Slot::new(reference)?),
        }
    }

    fn of_management_key(&self) -> Vec<u8> {
        let key = &self.memory.management;
        let policies = Policies {
            pin: PinPolicy::Never,
            touch: key.touch,
        };
        let [_, touch] = policies.bytes();
        let mut out = tlv::element(ALGORITHM, &[key.kind.byte()]);
        tlv::push(&mut out, POLICY, &[0, touch]);
        let factory = key.bytes == FACTORY_KEY && key.touch == TouchPolicy::Never;
        tlv::push(&mut out, DEFAULT, &[u8::from(factory)]);
        out
    }

    fn of_slot(&self, slot: Slot) -> Result<Vec<u8>, Status> {
        let key = self.memory.keys.get(&slot).ok_or(Status::NO_REFERENCE)?;
        let origin = match key.origin {
            Origin::Generated => 1,
            Origin::Imported => 2,
        };
        let mut out = tlv::element(ALGORITHM, &[key.private.algorithm().byte()]);
        tlv::push(&mut out, POLICY, &key.policies.bytes());
        tlv::push(&mut out, ORIGIN, &[origin]);
        tlv::push(&mut out, PUBLIC, &key.private.public());
        Ok(out)
    }
}

fn of_secret(secret: &Secret, factory: &str) -> Vec<u8> {
    let (left, full) = secret.tries();
    let mut out = tlv::element(ALGORITHM, &[0xFF]);
    tlv::push(
        &mut out,
        DEFAULT,
        &[u8::from(secret.is(factory.as_bytes()))],
    );
    tlv::push(&mut out, TRIES, &[full, left]);
    out
}
