//! Bitwarden's export with a password: PBKDF2-SHA-256 or Argon2id, HKDF-Expand into two keys, AES-256-CBC and HMAC-SHA-256.
//!
//! The MAC is checked before anything is decrypted. Costs are those that Bitwarden's own settings allow.

use std::num::NonZeroU32;

use aws_lc_rs::{
    cipher::{
        AES_256, AES_256_KEY_LEN, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
    },
    digest, hkdf, hmac,
    iv::FixedLength,
    pbkdf2,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::{Zeroize, Zeroizing};

use crate::{error::ImportError, json::Node, model::Format};

/// The most that Bitwarden's settings offer.
const MAX_PBKDF2: u64 = 2_000_000;
const MAX_ARGON2_ITERATIONS: u64 = 10;
const MAX_ARGON2_MIB: u64 = 1024;
const MAX_ARGON2_LANES: u64 = 16;
const KEY_BYTES: usize = 32;

type Key = Zeroizing<[u8; KEY_BYTES]>;

/// What is inside.
pub(super) fn open(root: &Node, password: &str) -> Result<Zeroizing<Vec<u8>>, ImportError> {
    let master = derive(root, password)?;
    let (encrypt, mac) = (expand(&master, b"enc")?, expand(&master, b"mac")?);
    // A value that is there to tell a wrong password from a damaged file.
    let check = parts(root.text("encKeyValidation_DO_NOT_EDIT"))?;
    if !check.is_authentic(&mac) {
        return Err(ImportError::WrongPassword);
    }
    let data = parts(root.text("data"))?;
    if !data.is_authentic(&mac) {
        return Err(damaged("it was changed after it was written"));
    }
    data.decrypt(&encrypt)
}

const fn damaged(what: &'static str) -> ImportError {
    ImportError::Damaged {
        format: Format::Bitwarden,
        what,
    }
}

fn derive(root: &Node, password: &str) -> Result<Key, ImportError> {
    let salt = root.text("salt").as_bytes();
    let cost = |name: &str, least: u64, most: u64| match root.number(name) {
        Some(value) if (least..=most).contains(&value) => {
            u32::try_from(value).map_err(|_| ImportError::CostTooHigh)
        }
        Some(_) => Err(ImportError::CostTooHigh),
        None => Err(damaged("a setting of its key is missing")),
    };
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    match root.number("kdfType") {
        Some(0) => {
            let rounds = NonZeroU32::new(cost("kdfIterations", 1, MAX_PBKDF2)?)
                .ok_or(ImportError::CostTooHigh)?;
            pbkdf2::derive(
                pbkdf2::PBKDF2_HMAC_SHA256,
                rounds,
                salt,
                password.as_bytes(),
                &mut *key,
            );
        }
        Some(1) => {
            let rounds = cost("kdfIterations", 1, MAX_ARGON2_ITERATIONS)?;
            let memory = cost("kdfMemory", 1, MAX_ARGON2_MIB)? * 1024;
            let lanes = cost("kdfParallelism", 1, MAX_ARGON2_LANES)?;
            let params = argon2::Params::new(memory, rounds, lanes, Some(KEY_BYTES))
                .map_err(|_| ImportError::CostTooHigh)?;
            let argon2 =
                argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
            let salt = digest::digest(&digest::SHA256, salt);
            argon2
                .hash_password_into(password.as_bytes(), salt.as_ref(), &mut *key)
                .map_err(|_| ImportError::CostTooHigh)?;
        }
        _ => return Err(damaged("its key is made in a way that is not known here")),
    }
    Ok(key)
}

fn expand(master: &Key, info: &[u8]) -> Result<Key, ImportError> {
    let unable = |_| damaged("its keys cannot be made");
    let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &**master);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let info = [info];
    let okm = prk.expand(&info, hkdf::HKDF_SHA256).map_err(unable)?;
    okm.fill(&mut *key).map_err(unable)?;
    Ok(key)
}

/// `2.<iv>|<ciphertext>|<mac>`.
struct Parts {
    iv: [u8; 16],
    ciphertext: Vec<u8>,
    mac: Vec<u8>,
}

fn parts(text: &str) -> Result<Parts, ImportError> {
    let wrong = || damaged("a part of it is not in the form that Bitwarden writes");
    let body = text.strip_prefix("2.").ok_or_else(wrong)?;
    let decoded: Option<Vec<Vec<u8>>> = body
        .split('|')
        .map(|part| BASE64_STANDARD.decode(part).ok())
        .collect();
    let mut decoded = decoded.ok_or_else(wrong)?.into_iter();
    match (
        decoded.next(),
        decoded.next(),
        decoded.next(),
        decoded.next(),
    ) {
        (Some(iv), Some(ciphertext), Some(mac), None) => Ok(Parts {
            iv: iv.try_into().map_err(|_| wrong())?,
            ciphertext,
            mac,
        }),
        _ => Err(wrong()),
    }
}

impl Parts {
    fn is_authentic(&self, key: &Key) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &**key);
        let mut signed = self.iv.to_vec();
        signed.extend_from_slice(&self.ciphertext);
        hmac::verify(&key, &signed, &self.mac).is_ok()
    }

    fn decrypt(self, key: &Key) -> Result<Zeroizing<Vec<u8>>, ImportError> {
        let unable = |_| damaged("it cannot be decrypted");
        let key: &[u8; AES_256_KEY_LEN] = key;
        let key = UnboundCipherKey::new(&AES_256, key).map_err(unable)?;
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(unable)?;
        let mut bytes = Zeroizing::new(self.ciphertext);
        let context = DecryptionContext::Iv128(FixedLength::from(self.iv));
        let length = key.decrypt(&mut bytes, context).map_err(unable)?.len();
        if let Some(padding) = bytes.get_mut(length..) {
            padding.zeroize();
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}
