//! GENERAL AUTHENTICATE: the one command that uses keys (SP 800-73-4 part 2, section 3.2.4).

use super::{
    Card,
    apdu::Command,
    policy::{PinPolicy, Policies, TouchPolicy},
    session::Proof,
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

    /// Proves the management key, in one or in both directions. A wrong proof, and already asking for a new one, take
    /// away what was proved before.
    fn prove_management_key(
        &mut self,
        algorithm: u8,
        elements: &[tlv::Element<'_>],
    ) -> Result<Vec<u8>, Status> {
        // `00` is the old name of 3DES in SP 800-78.
        let named = self.memory.management.kind.byte();
        if algorithm != named && !(algorithm == 0x00 && named == 0x03) {
            return Err(Status::BAD_DATA);
        }
        let find = |tag| tlv::find(elements, tag);
        match (find(WITNESS), find(CHALLENGE), find(RESPONSE)) {
            (Some([]), None, _) => {
                let witness = self.ask(Proof::Witness)?;
                let sealed = self.memory.management.encrypt(&witness)?;
                Ok(answer(WITNESS, &sealed))
            }
            (None, Some([]), _) => {
                let challenge = self.ask(Proof::Response)?;
                Ok(answer(CHALLENGE, &challenge))
            }
            (Some(presented), Some(challenge), _) => {
                self.require_proof(Proof::Witness, presented)?;
                let response = self.memory.management.encrypt(challenge)?;
                self.require_touch(self.memory.management.touch)?;
                self.session.managed = true;
                Ok(answer(RESPONSE, &response))
            }
            (None, None, Some(presented)) => {
                self.require_proof(Proof::Response, presented)?;
                self.require_touch(self.memory.management.touch)?;
                self.session.managed = true;
                Ok(Vec::new())
            }
            _ => Err(Status::BAD_DATA),
        }
    }

    /// Draws a block that only a host with the management key can answer.
    fn ask(&mut self, proof: Proof) -> Result<Vec<u8>, Status> {
        self.session.managed = false;
        let block = self.memory.management.kind.random_block()?;
        let expected = match proof {
            Proof::Witness => block.clone(),
            Proof::Response => self.memory.management.encrypt(&block)?,
        };
        self.session.proof = Some((proof, expected));
        Ok(block)
    }

    /// A block that was asked for is good for one attempt.
    fn require_proof(&mut self, proof: Proof, presented: &[u8]) -> Result<(), Status> {
        let expected = self.session.proof.take();
        self.session.managed = false;
        if expected.is_some_and(|expected| expected == (proof, presented.to_vec())) {
            Ok(())
        } else {
            Err(Status::NOT_ALLOWED)
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
            return Err(Status::BAD_DATA);
        }
        let policies = key.policies;
        self.require_pin(policies, pin_fresh)?;
        // The first of the two says what is wanted.
        let wanted = elements
            .iter()
            .find(|(tag, _)| [CHALLENGE, POINT].contains(tag));
        let result = match wanted {
            Some((CHALLENGE, input)) => key.private.sign(input),
            Some((_, point)) => key.private.agree(point),
            None => return Err(Status::BAD_DATA),
        };
        // Nothing leaves the card before the touch; what cannot be done is refused without asking for one.
        if result.is_ok() {
            self.require_touch(policies.touch)?;
        }
        if policies.pin != PinPolicy::Never {
            self.session.pin_fresh = false;
        }
        Ok(answer(RESPONSE, &result?))
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
