//! HMAC secrets that a token keeps: stored once, used from then on, never read.
//!
//! They are no [`Device`](touchkeep_device::Device) keys: they have no public half to know them by. What knows one is a MAC of a
//! constant, which the token is asked for before a secret is used.

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;
use touchkeep_core::secret::SecretBytes;
use touchkeep_device::{Auth, DeviceError, KeyRef};
use zeroize::Zeroizing;

use crate::{
    device::{Pkcs11Device, confused, id_of, pin_bytes},
    enrol::random,
    keys::LABEL_PREFIX,
    wire::{Generate, Kind, Login, MAC_CHECK, MAX_BODY_BYTES, Reply, Request, Use},
};

/// The hash under an HMAC (RFC 2104, FIPS 198-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HmacHash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// Where a token keeps an HMAC secret, and how to know that one; all of it public.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HmacKey {
    /// Its CKA_ID, in hex.
    pub key: KeyRef,
    /// Its hash.
    pub hash: HmacHash,
    /// The MAC of a constant under it, in hex.
    pub check: String,
}

impl Pkcs11Device {
    /// Gives a secret to the token, which from then on uses it and does not give it out. A copy for recovery is the caller's.
    ///
    /// # Errors
    /// Why not; [`DeviceError::Unsupported`] where the token has no such HMAC. Then nothing stays in it.
    pub fn import_hmac_secret(
        &mut self,
        secret: &SecretBytes,
        hash: HmacHash,
        auth: Auth<'_>,
    ) -> Result<HmacKey, DeviceError> {
        // EXPOSE: the secret, to the token that is to keep it.
        let secret = secret.expose();
        let block = hash.as_block(secret);
        let by_us = hmac::sign(&hmac::Key::new(hash.algorithm(), secret), MAC_CHECK);
        let id = random::<16>()?;
        let key = HmacKey {
            key: KeyRef(HEXLOWER.encode(&id)),
            hash,
            check: HEXLOWER.encode(by_us.as_ref()),
        };
        self.in_one_session(auth, |device| {
            let what = Generate {
                token: device.choice.clone(),
                login: Login {
                    write: true,
                    ..device.login(Auth::Nothing)?
                },
                id: id.to_vec(),
                label: format!("{LABEL_PREFIX}request-hmac-{}", HEXLOWER.encode(&id[..4])),
                kind: hash.kind(),
                may_leave: device.options.danger_keys_may_leave,
                opens: false,
                asks: false,
            };
            device
                .host
                .ask(&Request::Import(what.clone()), &[], &block)?;
            // The token compares a MAC of its own with ours before it answers.
            let proved = device.hmac(&key, MAC_CHECK, Auth::Nothing);
            proved.inspect_err(|_| device.discard(&what)).map(drop)
        })?;
        Ok(key)
    }

    /// The MAC of a message.
    ///
    /// # Errors
    /// Why the token did not; [`DeviceError::Unexpected`] when it has another secret in that place.
    pub fn hmac(
        &mut self,
        key: &HmacKey,
        message: &[u8],
        auth: Auth<'_>,
    ) -> Result<Vec<u8>, DeviceError> {
        if message.len() > MAX_BODY_BYTES {
            return Err(DeviceError::Unsupported("a message of over 1 MiB".into()));
        }
        let check = HEXLOWER.decode(key.check.as_bytes());
        let question = Request::Sign(Use {
            token: self.choice.clone(),
            login: self.login(auth)?,
            id: id_of(&key.key)?,
            kind: key.hash.kind(),
            public: check.map_err(|_| DeviceError::NoKey(key.key.clone()))?,
            asks: false,
        });
        match self.host.ask(&question, pin_bytes(auth), message)? {
            (Reply::Body, mac) => Ok(mac.to_vec()),
            _ => Err(confused()),
        }
    }
}

impl HmacHash {
    const fn kind(self) -> Kind {
        match self {
            Self::Sha256 => Kind::HmacSha256,
            Self::Sha384 => Kind::HmacSha384,
            Self::Sha512 => Kind::HmacSha512,
        }
    }

    const fn algorithm(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    // As HMAC itself begins (RFC 2104, 2): hashed when it is longer than a block, then filled with zeros. The MAC is the same,
    // and tokens that want long secrets take it.
    fn as_block(self, secret: &[u8]) -> Zeroizing<Vec<u8>> {
        let hash = self.algorithm().digest_algorithm();
        let mut block = Zeroizing::new(Vec::with_capacity(hash.block_len().max(secret.len())));
        if secret.len() > hash.block_len() {
            block.extend_from_slice(digest::digest(hash, secret).as_ref());
        } else {
            block.extend_from_slice(secret);
        }
        block.resize(hash.block_len(), 0);
        block
    }
}
