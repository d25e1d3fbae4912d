//! The card at its command interface, without any reader.

mod algorithms;
mod attest;
mod commands;
mod hostile;
mod keys;
mod memory;
mod pins;
mod profiles;
mod rules;

use super::{Button, Card, FACTORY_PIN, FACTORY_PUK, Memory, StateFile, Times, tlv};
use std::{path::Path, sync::Arc, thread, time::Duration};

pub(super) const OK: u16 = 0x9000;
pub(super) const SERIAL: u32 = 4_000_000_123;
const PIN: &[u8; 8] = b"123456\xFF\xFF";

/// A card and what a host does to it.
pub(super) struct Host {
    pub(super) card: Card,
    pub(super) button: Arc<Button>,
}

pub(super) fn times(touch: Duration, cached_touch: Duration) -> Times {
    Times {
        touch,
        cached_touch,
    }
}

impl Host {
    /// A factory card, PIV selected.
    pub(super) fn new() -> Self {
        Self::with(
            (5, 4, 3),
            times(Duration::ZERO, Duration::from_secs(15)),
            None,
        )
    }

    pub(super) fn with_firmware(firmware: (u8, u8, u8)) -> Self {
        Self::with(
            firmware,
            times(Duration::ZERO, Duration::from_secs(15)),
            None,
        )
    }

    pub(super) fn with(firmware: (u8, u8, u8), times: Times, state: Option<&Path>) -> Self {
        let fresh = Memory::new(SERIAL, firmware, FACTORY_PIN, FACTORY_PUK).unwrap();
        let (file, memory) = match state {
            Some(path) => StateFile::open(path, fresh)
                .map(|(file, memory)| (Some(file), memory))
                .unwrap(),
            None => (None, fresh),
        };
        let button = Arc::new(Button::default());
        let mut host = Self {
            card: Card::new(memory, file, Arc::clone(&button), times),
            button,
        };
        host.select();
        host
    }

    pub(super) fn send(&mut self, cla: u8, head: [u8; 3], data: &[u8]) -> (Vec<u8>, u16) {
        let [ins, p1, p2] = head;
        let mut apdu = vec![cla, ins, p1, p2, u8::try_from(data.len()).unwrap()];
        apdu.extend_from_slice(data);
        let mut answer = self.card.execute(&apdu);
        let status = answer.split_off(answer.len() - 2);
        (answer, u16::from_be_bytes([status[0], status[1]]))
    }

    /// Sends a command in as many parts as it needs, and fetches the whole answer.
    pub(super) fn call(&mut self, head: [u8; 3], data: &[u8]) -> (Vec<u8>, u16) {
        let mut parts: Vec<&[u8]> = data.chunks(255).collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            assert_eq!(self.send(0x10, head, part), (vec![], OK));
        }
        let (mut answer, mut status) = self.send(0x00, head, last);
        while status >> 8 == 0x61 {
            let (more, next) = self.send(0x00, [0xC0, 0, 0], &[]);
            answer.extend(more);
            status = next;
        }
        (answer, status)
    }

    pub(super) fn status(&mut self, head: [u8; 3], data: &[u8]) -> u16 {
        self.call(head, data).1
    }

    pub(super) fn ok(&mut self, head: [u8; 3], data: &[u8]) -> Vec<u8> {
        let (answer, status) = self.call(head, data);
        assert_eq!(status, OK, "{head:02x?}");
        answer
    }

    pub(super) fn select(&mut self) {
        self.ok([0xA4, 0x04, 0x00], &[0xA0, 0x00, 0x00, 0x03, 0x08]);
    }

    pub(super) fn pin(&mut self) {
        self.ok([0x20, 0x00, 0x80], PIN);
    }

    /// Proves the management key.
    pub(super) fn manage(&mut self) {
        assert_eq!(self.try_manage(), OK);
    }

    /// Proves the management key that the card has, with the card's own cipher, in the host's role.
    pub(super) fn try_manage(&mut self) -> u16 {
        let key = self.card.memory.management.clone();
        let head = [0x87, key.kind.byte(), 0x9B];
        let answer = self.ok(head, &[0x7C, 0x02, 0x80, 0x00]);
        let witness = tlv::only(0x80, tlv::only(0x7C, &answer).unwrap())
            .unwrap()
            .to_vec();
        let mut proof = tlv::element(&[0x80], &host_decrypts(&key.bytes, &witness));
        let challenge = vec![7; witness.len()];
        tlv::push(&mut proof, &[0x81], &challenge);
        let (answer, status) = self.call(head, &tlv::element(&[0x7C], &proof));
        if status == OK {
            let response = tlv::only(0x82, tlv::only(0x7C, &answer).unwrap()).unwrap();
            assert_eq!(host_decrypts(&key.bytes, response), challenge);
        }
        status
    }

    /// Makes a key; policies as the two bytes of the wire.
    pub(super) fn generate(&mut self, slot: u8, algorithm: u8, pin: u8, touch: u8) -> Vec<u8> {
        self.manage();
        self.ok(
            [0x47, 0x00, slot],
            &[
                0xAC, 0x09, 0x80, 0x01, algorithm, 0xAA, 0x01, pin, 0xAB, 0x01, touch,
            ],
        )
    }

    pub(super) fn sign(&mut self, slot: u8, digest: &[u8]) -> (Vec<u8>, u16) {
        let mut inner = tlv::element(&[0x82], &[]);
        tlv::push(&mut inner, &[0x81], digest);
        let (answer, status) = self.call([0x87, 0x11, slot], &tlv::element(&[0x7C], &inner));
        let signature = tlv::only(0x7C, &answer).and_then(|inner| tlv::only(0x82, inner));
        (signature.unwrap_or_default().to_vec(), status)
    }

    /// Touches the key as soon as it waits; ends when it did.
    pub(super) fn finger(&self) -> thread::JoinHandle<bool> {
        let button = Arc::clone(&self.button);
        thread::spawn(move || button.touch(Duration::from_secs(20)))
    }
}

/// 3DES keys and AES-192 keys have the same length; the block tells them apart.
fn host_decrypts(key: &[u8], block: &[u8]) -> Vec<u8> {
    fn decrypt<C: cipher::KeyInit + cipher::BlockCipherDecrypt>(
        key: &[u8],
        block: &[u8],
    ) -> Vec<u8> {
        let mut block = cipher::Block::<C>::try_from(block).unwrap();
        C::new_from_slice(key).unwrap().decrypt_block(&mut block);
        block.to_vec()
    }
    match (key.len(), block.len()) {
        (24, 8) => decrypt::<des::TdesEde3>(key, block),
        (16, 16) => decrypt::<aes::Aes128>(key, block),
        (24, 16) => decrypt::<aes::Aes192>(key, block),
        _ => decrypt::<aes::Aes256>(key, block),
    }
}
