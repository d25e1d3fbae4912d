//! X25519 stanzas (C2SP age v1), opened with a key that opens many.
//!
//! # Why not by the age crate
//! Each part of a vault has one, and the age crate multiplies twice for each: for what is shared, and for its own public key again.
//! That was a tenth of a cold reading. Here there is one multiplication, by the provider, whose code takes half the time. The vectors
//! that judge age judge this (`cctv.rs`).

use age::DecryptError;
use age_core::{
    format::{FILE_KEY_BYTES, FileKey, Stanza},
    primitives::{aead_decrypt, hkdf},
};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use bech32::{Bech32, Hrp, primitives::decode::CheckedHrpstring};
use zeroize::Zeroizing;

const TAG: &str = "X25519";
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";
const KEY_BYTES: usize = 32;
const AEAD_BYTES: usize = 16;
const SECRET_KEY: Hrp = Hrp::parse_unchecked("age-secret-key-");

/// An identity that was read for many files. It is wiped when it is dropped.
pub(crate) struct X25519Identity {
    key: PrivateKey,
    public: [u8; KEY_BYTES],
}

impl X25519Identity {
    /// Reads an `AGE-SECRET-KEY-1…` line.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let decoded = CheckedHrpstring::new::<Bech32>(line).ok()?;
        if decoded.hrp() != SECRET_KEY {
            return None;
        }
        let mut bytes = decoded.byte_iter();
        let mut raw = Zeroizing::new([0; KEY_BYTES]);
        for place in raw.iter_mut() {
            *place = bytes.next()?;
        }
        if bytes.next().is_some() {
            return None;
        }
        // EXPOSE: to the provider, which wipes its copy.
        let key = PrivateKey::from_private_key(&X25519, &raw[..]).ok()?;
        let public = key.compute_public_key().ok()?.as_ref().try_into().ok()?;
        Some(Self { key, public })
    }

    fn open(&self, stanza: &Stanza) -> Result<FileKey, DecryptError> {
        let malformed = || DecryptError::InvalidHeader;
        let [share] = &stanza.args[..] else {
            return Err(malformed());
        };
        let share = BASE64_STANDARD_NO_PAD.decode(share);
        let share: [u8; KEY_BYTES] = share
            .ok()
            .and_then(|share| share.try_into().ok())
            .ok_or_else(malformed)?;
        if stanza.body.len() != FILE_KEY_BYTES + AEAD_BYTES {
            return Err(malformed());
        }
        let mut salt = [0; 2 * KEY_BYTES];
        let (first, second) = salt.split_at_mut(KEY_BYTES);
        first.copy_from_slice(&share);
        second.copy_from_slice(&self.public);
        // A share of small order is refused here: nothing would be shared.
        let peer = UnparsedPublicKey::new(&X25519, share);
        let key = agree(&self.key, peer, malformed(), |shared| {
            Ok(Zeroizing::new(hkdf(&salt, LABEL, shared)))
        })?;
        // It may be another recipient's: a stanza does not say.
        let opened = aead_decrypt(&key, FILE_KEY_BYTES, &stanza.body);
        let opened = Zeroizing::new(opened.map_err(|_| DecryptError::DecryptionFailed)?);
        // EXPOSE: to the type of the age crate, which wipes it.
        Ok(FileKey::init_with_mut(|key| key.copy_from_slice(&opened)))
    }
}

impl age::Identity for X25519Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != TAG {
            return None;
        }
        match self.open(stanza) {
            Err(DecryptError::DecryptionFailed) => None,
            opened => Some(opened),
        }
    }
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret;

    use super::*;

    // What the age crate says of the same stanza, opened or not.
    #[test]
    fn each_stanza_is_as_the_age_crate_finds_it() {
        use age::{Identity as _, Recipient as _};
        let theirs = age::x25519::Identity::generate();
        let ours = X25519Identity::read(theirs.to_string().expose_secret()).unwrap();
        let key = FileKey::init_with_mut(|key| key.copy_from_slice(b"yellow submarine"));
        let mut stanzas = Vec::new();
        for to in [
            theirs.to_public(),
            age::x25519::Identity::generate().to_public(),
        ] {
            let (wrapped, _) = to.wrap_file_key(&key).unwrap();
            let good = wrapped.into_iter().find(|it| it.tag == TAG).unwrap();
            let change = |change: &dyn Fn(&mut Stanza)| {
                let mut stanza = Stanza {
                    tag: good.tag.clone(),
                    args: good.args.clone(),
                    body: good.body.clone(),
                };
                change(&mut stanza);
                stanza
            };
            stanzas.extend([
                change(&|_| ()),
                change(&|it| it.tag = "x25519".into()),
                change(&|it| it.args.clear()),
                change(&|it| it.args.push("AAAA".into())),
                change(&|it| it.args[0].push('=')),
                change(&|it| it.args[0].truncate(42)),
                change(&|it| it.args[0] = BASE64_STANDARD_NO_PAD.encode([0; 32])),
                change(&|it| it.args[0] = BASE64_STANDARD_NO_PAD.encode([7; 31])),
                change(&|it| it.body[3] ^= 1),
                change(&|it| it.body.truncate(31)),
                change(&|it| it.body.clear()),
            ]);
        }
        let said = |said: Option<Result<FileKey, DecryptError>>| {
            said.map(|opened| {
                let opened = opened.map(|key| key.expose_secret().to_vec());
                opened.map_err(|error| error.to_string())
            })
        };
        let mut opened = 0;
        for stanza in &stanzas {
            let (ours, theirs) = (ours.unwrap_stanza(stanza), theirs.unwrap_stanza(stanza));
            let (ours, theirs) = (said(ours), said(theirs));
            assert_eq!(ours, theirs, "{stanza:?}");
            opened += usize::from(matches!(ours, Some(Ok(_))));
        }
        assert_eq!(opened, 1);
    }

    #[test]
    fn no_other_line_is_read() {
        let line = age::x25519::Identity::generate().to_string();
        let line = line.expose_secret();
        let recipient = line.parse::<age::x25519::Identity>().unwrap().to_public();
        assert!(X25519Identity::read(line).is_some());
        for other in [&line[1..], &format!("{line}Q"), "", &recipient.to_string()] {
            assert!(X25519Identity::read(other).is_none(), "{other}");
        }
    }
}
