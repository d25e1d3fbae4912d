//! The management key, which lets its holder make keys and write objects: where it is, and proving that we have it.
//!
//! It is kept on the card, readable with the PIN, in the objects that Yubico's own tools use (docs.yubico.com, "PIN-protected
//! management key": printed information 5FC109 has `88 { 89 key }`, admin data 5FFF00 has `80 { 81 flags }`).

#[expect(
    deprecated,
    reason = "DES is all that management keys can be before firmware 5.4"
)]
use aws_lc_rs::cipher::{
    DES_EDE_FOR_LEGACY_USE_ONLY, DES_EDE3_FOR_LEGACY_USE_ONLY, DES_FOR_LEGACY_USE_ONLY,
};
use aws_lc_rs::{
    cipher::{
        AES_128, AES_192, AES_256, Algorithm, DecryptingKey, DecryptionContext, EncryptingKey,
        UnboundCipherKey,
    },
    constant_time, rand,
};
use touchkeep_device::{DeviceError, attestation::Firmware, public::tlv};
use zeroize::Zeroizing;

use crate::{
    apdu::{Command, OK, unexpected},
    ber,
    card::{self, MANAGEMENT_KEY},
    objects,
    transport::Channel,
};

const PRINTED: [u8; 3] = [0x5f, 0xc1, 0x09];
const ADMIN: [u8; 3] = [0x5f, 0xff, 0x00];
const PROTECTED_FLAG: u8 = 0x02;
const AES_BY_DEFAULT: Firmware = Firmware(5, 7, 0);
const NOT_SATISFIED: u16 = 0x6982;
const FACTORY: [u8; 24] = [
    1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
];

/// Where the management key of a card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// It is the factory's, which everybody knows.
    Factory,
    /// On the card, readable with the PIN.
    Protected,
    /// Somebody has it elsewhere.
    Elsewhere,
}

/// Where the management key is. Asks for nothing.
pub(crate) fn keeping(channel: &mut dyn Channel) -> Result<Keeping, DeviceError> {
    let metadata = card::metadata_of(channel, MANAGEMENT_KEY)?;
    if ber::find(0x05, &metadata) == Some(&[1]) {
        return Ok(Keeping::Factory);
    }
    let flags = objects::object(channel, ADMIN)?;
    let flags = flags.as_ref().and_then(|admin| {
        let data = ber::find(0x80, admin)?;
        ber::find(0x81, data)?.first().copied()
    });
    Ok(match flags {
        Some(flags) if flags & PROTECTED_FLAG != 0 => Keeping::Protected,
        _ => Keeping::Elsewhere,
    })
}

/// What to do about a management key that is kept elsewhere.
pub(crate) fn kept_elsewhere() -> DeviceError {
    DeviceError::Unsupported(
        "a management key that is not kept on the card under the PIN. To keep it there: ykman piv access \
         change-management-key --generate --protect"
            .into(),
    )
}

/// Its cipher, by the card's number for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cipher {
    TripleDes,
    Aes128,
    Aes192,
    Aes256,
}

impl Cipher {
    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x03 => Some(Self::TripleDes),
            0x08 => Some(Self::Aes128),
            0x0a => Some(Self::Aes192),
            0x0c => Some(Self::Aes256),
            _ => None,
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::TripleDes => 0x03,
            Self::Aes128 => 0x08,
            Self::Aes192 => 0x0a,
            Self::Aes256 => 0x0c,
        }
    }

    const fn key_bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    const fn block_bytes(self) -> usize {
        match self {
            Self::TripleDes => 8,
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
        }
    }
}

/// The primitive for a key. Triple DES whose parts are equal is a smaller cipher, and the library wants it called that; the
/// factory's key is one.
#[expect(
    deprecated,
    reason = "DES is all that management keys can be before firmware 5.4"
)]
fn primitive(cipher: Cipher, key: &[u8]) -> Option<(&'static Algorithm, &[u8])> {
    match cipher {
        Cipher::Aes128 => return Some((&AES_128, key)),
        Cipher::Aes192 => return Some((&AES_192, key)),
        Cipher::Aes256 => return Some((&AES_256, key)),
        Cipher::TripleDes => {}
    }
    let (k1, k2, k3) = (key.get(..8)?, key.get(8..16)?, key.get(16..24)?);
    Some(match (k1 == k2, k2 == k3, k1 == k3) {
        (true, ..) => (&DES_FOR_LEGACY_USE_ONLY, k3),
        (_, true, _) => (&DES_FOR_LEGACY_USE_ONLY, k1),
        (_, _, true) => (&DES_EDE_FOR_LEGACY_USE_ONLY, key.get(..16)?),
        _ => (&DES_EDE3_FOR_LEGACY_USE_ONLY, key),
    })
}

/// A management key.
pub(crate) struct ManagementKey {
    cipher: Cipher,
    bytes: Zeroizing<Vec<u8>>,
}

impl ManagementKey {
    /// The factory's, for a card that still has it.
    pub(crate) fn factory(channel: &mut dyn Channel) -> Result<Self, DeviceError> {
        Self::new(cipher_of(channel)?, &FACTORY)
    }

    /// A new one, with the cipher that this firmware has by default.
    pub(crate) fn random(firmware: Firmware) -> Result<Self, DeviceError> {
        let mut bytes = Zeroizing::new([0; 24]);
        random(&mut bytes[..])?;
        let cipher = if firmware < AES_BY_DEFAULT {
            Cipher::TripleDes
        } else {
            Cipher::Aes192
        };
        Self::new(cipher, &bytes[..])
    }

    /// The one that the card keeps under its PIN, which was verified in this transaction.
    pub(crate) fn kept(channel: &mut dyn Channel) -> Result<Self, DeviceError> {
        let cipher = cipher_of(channel)?;
        let printed = objects::object(channel, PRINTED)?.ok_or_else(kept_elsewhere)?;
        let key = ber::find(0x88, &printed).and_then(|data| ber::find(0x89, data));
        Self::new(cipher, key.ok_or_else(kept_elsewhere)?)
    }

    fn new(cipher: Cipher, bytes: &[u8]) -> Result<Self, DeviceError> {
        if bytes.len() != cipher.key_bytes() {
            return Err(DeviceError::Unexpected(
                "with a management key of another length than its cipher's".into(),
            ));
        }
        Ok(Self {
            cipher,
            bytes: Zeroizing::new(bytes.to_vec()),
        })
    }

    /// Shows the card that we have it, and has the card show that it does (SP 800-73-4 part 2, A.1).
    pub(crate) fn authenticate(&self, channel: &mut dyn Channel) -> Result<(), DeviceError> {
        let refused = || DeviceError::Unsupported("the management key that it keeps".into());
        let block = self.cipher.block_bytes();
        let asked = tlv(0x7c, &tlv(0x80, &[]));
        let answer = self.send(channel, &asked)?.ok()?;
        let witness = part(&answer, 0x80, block)?;
        let shown = self.decrypted(witness)?;
        let mut challenge = Zeroizing::new(vec![0; block]);
        random(&mut challenge)?;
        let ours = [tlv(0x80, &shown), tlv(0x81, &challenge)].concat();
        let answer = self.send(channel, &tlv(0x7c, &ours))?;
        let answer = match answer.status {
            OK => answer.data,
            NOT_SATISFIED => return Err(refused()),
            status => return Err(unexpected(status)),
        };
        let shown = part(&answer, 0x82, block)?;
        let expected = self.encrypted(&challenge)?;
        constant_time::verify_slices_are_equal(shown, &expected)
            .map_err(|_| DeviceError::Unexpected("without having its own management key".into()))
    }

    fn send(
        &self,
        channel: &mut dyn Channel,
        data: &[u8],
    ) -> Result<crate::apdu::Answer, DeviceError> {
        Command::new(0x87, self.cipher.byte(), MANAGEMENT_KEY, data).send(channel)
    }

    /// Writes it to where it is kept, before [`ManagementKey::set`]: a card that goes in between still has its old key, and one
    /// that goes afterwards keeps the new one where it is found.
    pub(crate) fn keep(&self, channel: &mut dyn Channel) -> Result<(), DeviceError> {
        let printed = objects::object(channel, PRINTED)?;
        if printed.is_some_and(|printed| ber::find(0x88, &printed).is_none()) {
            return Err(DeviceError::Unsupported(
                "keeping the management key: the card has other printed information in that place"
                    .into(),
            ));
        }
        let kept = Zeroizing::new(tlv(0x89, &self.bytes));
        objects::put_object(channel, PRINTED, &Zeroizing::new(tlv(0x88, &kept)))?;
        let admin = objects::object(channel, ADMIN)?;
        let data = admin.as_ref().and_then(|admin| ber::find(0x80, admin));
        let data = data.unwrap_or_default();
        let flags = ber::find(0x81, data).and_then(|flags| flags.first().copied());
        let mut new = tlv(0x81, &[flags.unwrap_or_default() | PROTECTED_FLAG]);
        // A salt belongs to a key that was derived from a PIN, which this one is not.
        for (tag, value) in ber::each(data).filter(|(tag, _)| !matches!(tag, 0x81 | 0x82)) {
            new.extend(tlv(tag, value));
        }
        objects::put_object(channel, ADMIN, &tlv(0x80, &new))
    }

    /// Makes it the card's.
    pub(crate) fn set(&self, channel: &mut dyn Channel) -> Result<(), DeviceError> {
        let length = u8::try_from(self.bytes.len()).unwrap_or_default();
        let head = [self.cipher.byte(), MANAGEMENT_KEY, length];
        let data = Zeroizing::new([&head[..], &self.bytes].concat());
        Command::new(0xff, 0xff, 0xff, &data)
            .send(channel)?
            .ok()
            .map(drop)
    }

    fn unbound(&self) -> Result<UnboundCipherKey, DeviceError> {
        let (algorithm, key) = primitive(self.cipher, &self.bytes).ok_or_else(no_cipher)?;
        UnboundCipherKey::new(algorithm, key).map_err(|_| no_cipher())
    }

    fn encrypted(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        let mut block = Zeroizing::new(block.to_vec());
        let key = EncryptingKey::ecb(self.unbound()?).map_err(|_| no_cipher())?;
        key.encrypt(&mut block).map_err(|_| no_cipher())?;
        Ok(block)
    }

    fn decrypted(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        let mut block = Zeroizing::new(block.to_vec());
        let key = DecryptingKey::ecb(self.unbound()?).map_err(|_| no_cipher())?;
        key.decrypt(&mut block, DecryptionContext::None)
            .map_err(|_| no_cipher())?;
        Ok(block)
    }
}

fn part(answer: &[u8], tag: u8, length: usize) -> Result<&[u8], DeviceError> {
    ber::expect(0x7c, answer)
        .and_then(|(template, _)| ber::find(tag, template))
        .filter(|value| value.len() == length)
        .ok_or_else(|| DeviceError::Unexpected("without its part of the authentication".into()))
}

fn cipher_of(channel: &mut dyn Channel) -> Result<Cipher, DeviceError> {
    let metadata = card::metadata_of(channel, MANAGEMENT_KEY)?;
    let byte = ber::find(0x01, &metadata).and_then(|value| value.first().copied());
    byte.and_then(Cipher::from_byte)
        .ok_or_else(|| DeviceError::Unsupported("the cipher of its management key".into()))
}

/// Fills with randomness of the operating system.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), DeviceError> {
    rand::fill(bytes).map_err(|_| DeviceError::Middleware("no randomness".into()))
}

fn no_cipher() -> DeviceError {
    DeviceError::Middleware("no cipher for management keys".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197, appendix B and C; NIST SP 800-67's example key with the block "The qufc".
    #[test]
    fn the_ciphers_are_those_of_the_standards() {
        let aes = ManagementKey::new(Cipher::Aes192, &(0..24).collect::<Vec<u8>>()).unwrap();
        let plain: Vec<u8> = (0..16).map(|i| i * 0x11).collect();
        let sealed = aes.encrypted(&plain).unwrap();
        assert_eq!(
            sealed[..],
            [
                0xdd, 0xa9, 0x7c, 0xa4, 0x86, 0x4c, 0xdf, 0xe0, 0x6e, 0xaf, 0x70, 0xa0, 0xec, 0x0d,
                0x71, 0x91
            ]
        );
        assert_eq!(aes.decrypted(&sealed).unwrap()[..], plain);

        let key: Vec<u8> = [
            0x0123_4567_89ab_cdef_u64,
            0x2345_6789_abcd_ef01,
            0x4567_89ab_cdef_0123,
        ]
        .iter()
        .flat_map(|part| part.to_be_bytes())
        .collect();
        let des = ManagementKey::new(Cipher::TripleDes, &key).unwrap();
        let sealed = des.encrypted(b"The qufc").unwrap();
        assert_eq!(sealed[..], 0xa826_fd8c_e53b_855f_u64.to_be_bytes());
        assert_eq!(des.decrypted(&sealed).unwrap()[..], *b"The qufc");
    }

    /// Results of `openssl enc -des-ede3 -nopad`.
    #[test]
    fn triple_des_with_equal_parts_works_as_the_factorys_key_is_such() {
        let sealed = |key: &[u8], block: u64| {
            let key = ManagementKey::new(Cipher::TripleDes, key).unwrap();
            let sealed = key.encrypted(&block.to_be_bytes()).unwrap();
            let opened = key.decrypted(&sealed).unwrap();
            assert_eq!(opened[..], block.to_be_bytes());
            u64::from_be_bytes(sealed[..].try_into().unwrap())
        };
        let parts = |k1: u8, k2: u8, k3: u8| [[k1; 8], [k2; 8], [k3; 8]].concat();
        let block = u64::from_be_bytes(*b"8 bytes.");
        assert_eq!(sealed(&FACTORY, 1 << 63), 0x384c_312b_2a80_7fe6);
        assert_eq!(sealed(&parts(7, 2, 7), block), 0x431a_c814_b374_7d27);
        for single in [parts(7, 2, 2), parts(2, 2, 7), parts(7, 7, 7)] {
            assert_eq!(sealed(&single, block), 0xb34b_ee81_c5b6_1e94);
        }
    }

    #[test]
    fn a_key_of_another_length_is_none() {
        for cipher in [Cipher::TripleDes, Cipher::Aes128, Cipher::Aes256] {
            assert!(ManagementKey::new(cipher, &[7; 23]).is_err());
        }
    }
}
