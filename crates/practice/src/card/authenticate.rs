//! GENERAL AUTHENTICATE: the one command that uses keys (SP 800-73-4 part 2, section 3.2.4).

use super::{
    Card,
    apdu::Command,
    policy::{PinPolicy, Policies, TouchPolicy},
    slot::Slot,
    status::Status,
    tlv,
};
use std::time::Instant;

const MANAGEMENT_KEY: u8 = 0x9B;
const WITNESS: u8 = 0x80;
const CHALLENGE: u8 = 0x81;
const RESPONSE: u8 = 0x82;
const POINT: u8 = 0x85;
const TEMPLATE: u8 = 0x7C;

impl Card {
    pub(super) fn general_authenticate(
        &mut self,
        command: &Command,
        pin_fresh: bool,
    ) -> Result<Vec<u8>, Status> {
        let elements = tlv::all(tlv::only(TEMPLATE, &command.data)?)?;
        if command.p2 == MANAGEMENT_KEY {
            return self.prove_management_key(command.p1, &elements);
        }
        self.use_key(command, &elements, pin_fresh)
    }

    /// Mutual authentication: the host shows that it can decrypt our witness, we that we can encrypt its challenge.
    fn prove_management_key(
        &mut self,
        algorithm: u8,
        elements: &[tlv::Element<'_>],
    ) -> Result<Vec<u8>, Status> {
        let witness = self.session.witness.take();
        // `00` is the old name of 3DES in SP 800-78.
        let named = self.memory.management.kind.byte();
        if algorithm != named && !(algorithm == 0x00 && named == 0x03) {
            return Err(Status::BAD_PARAMETERS);
        }
        match (tlv::find(elements, WITNESS), tlv::find(elements, CHALLENGE)) {
            (Some([]), None) => {
                let witness = self.memory.management.kind.random_block()?;
                let sealed = self.memory.management.encrypt(&witness)?;
                self.session.witness = Some(witness);
                Ok(answer(WITNESS, &sealed))
            }
            (Some(presented), Some(challenge)) => {
                self.session.managed = false;
                if witness.as_deref() != Some(presented) {
                    return Err(Status::NOT_ALLOWED);
                }
                let response = self.memory.management.encrypt(challenge)?;
                self.require_touch(self.memory.management.touch)?;
                self.session.managed = true;
                Ok(answer(RESPONSE, &response))
            }
            // Single authentication, which hosts of today do not use.
            _ => Err(Status::NOT_EMULATED),
        }
    }

    fn use_key(
        &mut self,
        command: &Command,
        elements: &[tlv::Element<'_>],
        pin_fresh: bool,
    ) -> Result<Vec<u8>, Status> {
        let slot = Slot::new(command.p2)?.for_use()?;
        let key = self.memory.keys.get(&slot).ok_or(Status::NO_REFERENCE)?;
        if command.p1 != key.private.algorithm().byte() {
            return Err(Status::BAD_PARAMETERS);
        }
        self.require_pin(key.policies, pin_fresh)?;
        let result = match (tlv::find(elements, CHALLENGE), tlv::find(elements, POINT)) {
            (Some(input), None) => key.private.sign(input),
            (None, Some(point)) => key.private.agree(point),
            _ => Err(Status::BAD_DATA),
        }?;
        // Nothing leaves the card before the touch; what cannot be done is refused without asking for one.
        self.require_touch(key.policies.touch)?;
        Ok(answer(RESPONSE, &result))
    }

    fn require_pin(&self, policies: Policies, pin_fresh: bool) -> Result<(), Status> {
        let satisfied = match policies.pin {
            PinPolicy::Never => true,
            PinPolicy::Once => self.session.pin_verified,
            PinPolicy::Always => self.session.pin_verified && pin_fresh,
        };
        if satisfied {
            Ok(())
        } else {
            Err(Status::NOT_ALLOWED)
        }
    }

    fn require_touch(&mut self, policy: TouchPolicy) -> Result<(), Status> {
        let cached = self
            .session
            .touched
            .is_some_and(|touched| touched.elapsed() < self.times.cached_touch);
        if policy == TouchPolicy::Never || (policy == TouchPolicy::Cached && cached) {
            return Ok(());
        }
        if !self.button.ask(self.times.touch) {
            return Err(Status::NOT_ALLOWED);
        }
        if policy == TouchPolicy::Cached {
            self.session.touched = Some(Instant::now());
        }
        Ok(())
    }
}

fn answer(tag: u8, value: &[u8]) -> Vec<u8> {
    tlv::element(&[TEMPLATE], &tlv::element(&[tag], value))
}
