//! ATTEST (firmware 4.3 and later): a certificate, signed by the key in slot F9, which says that a key was made on this
//! card, and with which policies.
//!
//! Sources: Yubico's "PIV Attestation OID Arc", and certificates of real keys that their owners published. Slot F9 comes
//! from the factory; here it is made when it is first asked for, because most cards never are and RSA takes its time.

use super::{
    Card, Firmware,
    apdu::Command,
    der::{self, oid},
    key::{Algorithm, Origin, Private, SlotKey},
    memory::Memory,
    policy::{PinPolicy, Policies, TouchPolicy},
    slot::Slot,
    status::Status,
    tlv,
};
use crate::lab::Authority;
use cipher::common::Generate;
use sha2::{Digest, Sha256};

/// The first firmware that attests.
const FIRST: Firmware = (4, 3, 0);
/// The first firmware whose attestations tell serial number and form factor.
const TELLS_SERIAL: Firmware = (5, 0, 0);
/// The object that holds slot F9's certificate.
pub(super) const CERTIFICATE: [u8; 3] = [0x5F, 0xFF, 0x01];
/// A keychain with a USB-A plug.
const FORM_FACTOR: u8 = 0x01;
const SUBJECT: &str = "Touchkeep Practice PIV Attestation";

impl Card {
    pub(super) fn attest(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        if self.memory.firmware < FIRST {
            return Err(Status::UNKNOWN_INSTRUCTION);
        }
        if command.p2 != 0 {
            return Err(Status::BAD_PARAMETERS);
        }
        let slot = Slot::new(command.p1)?.for_use()?;
        let keys = &self.memory.keys;
        // Neither can an empty slot be attested nor a key that came from outside.
        let key = keys
            .get(&slot)
            .filter(|key| key.origin == Origin::Generated)
            .ok_or(Status::BAD_DATA)?;
        let by = keys.get(&Slot::ATTESTATION).ok_or(Status::BAD_DATA)?;
        let object = self
            .memory
            .objects
            .get(CERTIFICATE.as_slice())
            .ok_or(Status::BAD_DATA)?;
        let certificate = tlv::find(&tlv::all(object)?, 0x70)
            .ok_or(Status::BAD_DATA)?
            .to_vec();
        let [issuer, validity] = der::subject_and_validity(&certificate)?;
        let mut number = vec![1];
        number.extend(<[u8; 15]>::try_generate().map_err(|_| Status::INTERNAL)?);
        sign(
            &by.private,
            &[
                &der::integer(&number),
                &signature_algorithm(&by.private)?,
                &issuer,
                &validity,
                &der::name(&format!("{SUBJECT} {:02x}", slot.reference())),
                &key.private.public_key_info(),
                &self.extensions(key.policies),
            ],
        )
    }

    fn extensions(&self, policies: Policies) -> Vec<u8> {
        let memory = &self.memory;
        let mut all = yubico(3, &firmware(memory));
        if memory.firmware >= TELLS_SERIAL {
            all.extend(yubico(7, &der::integer(&memory.serial.to_be_bytes())));
        }
        all.extend(yubico(8, &policies.bytes()));
        if memory.firmware >= TELLS_SERIAL {
            all.extend(yubico(9, &[FORM_FACTOR]));
        }
        extensions(&all)
    }

    /// Before a command that concerns slot F9: makes what the factory would have put there, if nobody asked for it yet.
    pub(super) fn prepare_attestation(&mut self, command: &Command) -> Result<(), Status> {
        if !concerns_attestation(command) {
            return Ok(());
        }
        if self.memory.firmware < FIRST {
            let names_the_slot = matches!(command.ins, 0x47 | 0x87 | 0xF7 | 0xFE);
            return if names_the_slot {
                Err(Status::BAD_SLOT)
            } else {
                Ok(())
            };
        }
        if !self.memory.attestation_made {
            let (key, object) = factory(&self.memory)?;
            self.memory.keys.insert(Slot::ATTESTATION, key);
            self.memory.objects.insert(CERTIFICATE.to_vec(), object);
            self.memory.attestation_made = true;
        }
        Ok(())
    }
}

fn concerns_attestation(command: &Command) -> bool {
    let slot = Slot::ATTESTATION.reference();
    match command.ins {
        0xF9 => true,
        0x47 | 0x87 | 0xF7 | 0xFE => command.p2 == slot,
        0xF6 => command.p1 == slot || command.p2 == slot,
        0xCB | 0xDB => command
            .data
            .strip_prefix(&[0x5C, 3])
            .is_some_and(|rest| rest.starts_with(&CERTIFICATE)),
        _ => false,
    }
}

/// Slot F9 as it leaves the laboratory: its key, and its certificate as an object.
fn factory(memory: &Memory) -> Result<(SlotKey, Vec<u8>), Status> {
    let authority = Authority::of(memory.firmware);
    let by = Private::Rsa(Box::new(authority.key().ok_or(Status::INTERNAL)?));
    let private = Private::generate(Algorithm::Rsa2048)?;
    let number = <[u8; 8]>::try_generate().map_err(|_| Status::INTERNAL)?;
    // CA: true, path length 0.
    let constraints = der::sequence(&[&[0x01, 0x01, 0xFF], &der::integer(&[0])]);
    let mut all = yubico(3, &firmware(memory));
    all.extend(der::extension(oid::BASIC_CONSTRAINTS, true, &constraints));
    let certificate = sign(
        &by,
        &[
            &der::integer(&number),
            &signature_algorithm(&by)?,
            &der::name(authority.name),
            &der::validity(authority.validity),
            &der::name(SUBJECT),
            &private.public_key_info(),
            &extensions(&all),
        ],
    )?;
    let mut object = tlv::element(&[0x70], &certificate);
    object.extend([0x71, 0x01, 0x00, 0xFE, 0x00]);
    let key = SlotKey {
        private,
        policies: Policies {
            pin: PinPolicy::Never,
            touch: TouchPolicy::Never,
        },
        origin: Origin::Generated,
    };
    Ok((key, object))
}

fn firmware(memory: &Memory) -> [u8; 3] {
    let (major, minor, patch) = memory.firmware;
    [major, minor, patch]
}

fn yubico(number: u8, value: &[u8]) -> Vec<u8> {
    der::extension(&[&oid::YUBICO_PIV[..], &[number]].concat(), false, value)
}

fn extensions(all: &[u8]) -> Vec<u8> {
    tlv::element(&[0xA3], &der::sequence(&[all]))
}

/// A version 3 certificate with these fields, signed.
fn sign(by: &Private, fields: &[&[u8]]) -> Result<Vec<u8>, Status> {
    let version = tlv::element(&[0xA0], &der::integer(&[2]));
    let body = der::sequence(&[&version, &fields.concat()]);
    let signature = by.sign_sha256(&Sha256::digest(&body).into())?;
    Ok(der::sequence(&[
        &body,
        &signature_algorithm(by)?,
        &der::bit_string(&signature),
    ]))
}

/// RSA signs as PKCS #1 1.5, curves of NIST as ECDSA, both over SHA-256; nothing else signs attestations.
fn signature_algorithm(by: &Private) -> Result<Vec<u8>, Status> {
    match by {
        Private::Rsa(_) => Ok(der::rsa_algorithm(oid::RSA_SHA256)),
        Private::P256(_) | Private::P384(_) => Ok(der::algorithm(oid::ECDSA_SHA256, None)),
        Private::Ed25519(_) | Private::X25519(_) => Err(Status::BAD_DATA),
    }
}
