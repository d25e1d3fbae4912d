//! The management key: 3DES (FIPS 46-3) or AES (FIPS 197), proved in both directions by encrypting a block.

use super::{Firmware, policy::TouchPolicy, status::Status};
use cipher::common::Generate;
use cipher::{Block, BlockCipherEncrypt, KeyInit};
use serde::{Deserialize, Serialize};

/// The management key that every key leaves the factory with.
pub(crate) const FACTORY_KEY: [u8; 24] = [
    1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
];

/// Kinds of management key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    TripleDes,
    Aes128,
    Aes192,
    Aes256,
}

impl Kind {
    /// Reads an algorithm byte; AES came with firmware 5.4.2.
    pub(crate) fn new(byte: u8, firmware: Firmware) -> Result<Self, Status> {
        match byte {
            0x03 => Ok(Self::TripleDes),
            0x08 | 0x0A | 0x0C if firmware < (5, 4, 2) => Err(Status::BAD_DATA),
            0x08 => Ok(Self::Aes128),
            0x0A => Ok(Self::Aes192),
            0x0C => Ok(Self::Aes256),
            _ => Err(Status::BAD_DATA),
        }
    }

    /// What a key of this firmware leaves the factory with.
    pub(crate) fn factory(firmware: Firmware) -> Self {
        if firmware >= (5, 7, 0) {
            Self::Aes192
        } else {
            Self::TripleDes
        }
    }

    /// The algorithm byte.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::TripleDes => 0x03,
            Self::Aes128 => 0x08,
            Self::Aes192 => 0x0A,
            Self::Aes256 => 0x0C,
        }
    }

    /// A fresh random block.
    pub(crate) fn random_block(self) -> Result<Vec<u8>, Status> {
        let random = <[u8; 16]>::try_generate().map_err(|_| Status::INTERNAL)?;
        Ok(random.iter().copied().take(self.block_bytes()).collect())
    }

    fn block_bytes(self) -> usize {
        if self == Self::TripleDes { 8 } else { 16 }
    }

    fn key_bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }
}

/// The key itself and whether its use wants a touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ManagementKey {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
    pub(crate) touch: TouchPolicy,
}

impl ManagementKey {
    /// A key of the right length.
    pub(crate) fn new(kind: Kind, bytes: &[u8], touch: TouchPolicy) -> Result<Self, Status> {
        if bytes.len() != kind.key_bytes() {
            return Err(Status::BAD_DATA);
        }
        Ok(Self {
            kind,
            bytes: bytes.to_vec(),
            touch,
        })
    }

    /// The key that a key of this firmware leaves the factory with.
    pub(crate) fn factory(firmware: Firmware) -> Self {
        Self {
            kind: Kind::factory(firmware),
            bytes: FACTORY_KEY.to_vec(),
            touch: TouchPolicy::Never,
        }
    }

    /// Encrypts exactly one block.
    pub(crate) fn encrypt(&self, block: &[u8]) -> Result<Vec<u8>, Status> {
        match self.kind {
            Kind::TripleDes => encrypt::<des::TdesEde3>(&self.bytes, block),
            Kind::Aes128 => encrypt::<aes::Aes128>(&self.bytes, block),
            Kind::Aes192 => encrypt::<aes::Aes192>(&self.bytes, block),
            Kind::Aes256 => encrypt::<aes::Aes256>(&self.bytes, block),
        }
        .ok_or(Status::BAD_DATA)
    }
}

fn encrypt<C: KeyInit + BlockCipherEncrypt>(key: &[u8], block: &[u8]) -> Option<Vec<u8>> {
    let cipher = C::new_from_slice(key).ok()?;
    let mut block = Block::<C>::try_from(block).ok()?;
    cipher.encrypt_block(&mut block);
    Some(block.to_vec())
}
