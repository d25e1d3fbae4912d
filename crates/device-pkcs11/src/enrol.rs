//! Making the keys of a token, and having it prove that it holds them.

use age_core::{
    format::{FILE_KEY_BYTES, FileKey},
    secrecy::ExposeSecret,
};
use aws_lc_rs::{digest, rand};
use data_encoding::HEXLOWER;
use touchkeep_core::text::{quoted, shell_word};
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceError, DeviceInfo, HandedKey, KeyInfo, KeyRef, Provision,
    Purpose, TouchPolicy,
    public::{DIGEST_BYTES, scheme_of},
    stanza,
};
use zeroize::Zeroizing;

use crate::{
    device::{Pkcs11Device, confused, described, kind_of, label_of, pin_bytes},
    wire::{Generate, Login, Reply, Request},
};

const PURPOSES: [Purpose; 3] = [Purpose::Unlock, Purpose::Seal, Purpose::SignVault];

impl Provision for Pkcs11Device {
    fn provision(&mut self, auth: Auth<'_>) -> Result<DeviceInfo, DeviceError> {
        self.in_one_session(auth, |device| device.complete(auth))?;
        Ok(self.info.clone())
    }

    fn generate_request_key(
        &mut self,
        algorithm: Algorithm,
        touch: TouchPolicy,
        auth: Auth<'_>,
    ) -> Result<KeyInfo, DeviceError> {
        if touch != TouchPolicy::Never {
            return Err(DeviceError::Unsupported("touch".into()));
        }
        self.request_key(algorithm, false, auth)
    }

    /// Takes P-256, Ed25519 and secp256k1 keys, and HMAC secrets.
    fn import_request_key(
        &mut self,
        key: &HandedKey,
        touch: TouchPolicy,
        auth: Auth<'_>,
    ) -> Result<KeyInfo, DeviceError> {
        if touch != TouchPolicy::Never {
            return Err(DeviceError::Unsupported("touch".into()));
        }
        let mut there = self.info.keys.iter();
        if let Some(there) = there.find(|info| info.spki == key.public()) {
            let text = format!("that key a second time: {} is it", there.key.0);
            return Err(DeviceError::Unsupported(text));
        }
        let name = HEXLOWER.encode(&random::<4>()?);
        let label = format!("{}{name} imported", label_of(Purpose::Request, false));
        self.in_one_session(auth, |device| {
            let what = device.order(Purpose::Request, key.algorithm(), label, false)?;
            // EXPOSE: the secret, to the token that is to keep it.
            let secret = match block_of(key.algorithm()) {
                Some(hash) => as_block(hash, key.expose()),
                None => Zeroizing::new(key.expose().to_vec()),
            };
            let question = Request::Import(what.clone(), key.public().to_vec());
            device.host.ask(&question, &[], &secret)?;
            let info = device.imported(&what, key);
            let proved = info.and_then(|info| device.prove(&info, auth).map(|()| info));
            proved.inspect_err(|_| device.withdraw(&what))
        })
    }
}

impl Pkcs11Device {
    /// Makes a key for requests that asks for the PIN at each use.
    ///
    /// # Errors
    /// Why not; [`DeviceError::Unsupported`] where the token has no such keys.
    pub fn generate_asking_request_key(
        &mut self,
        algorithm: Algorithm,
        auth: Auth<'_>,
    ) -> Result<KeyInfo, DeviceError> {
        self.request_key(algorithm, true, auth)
    }

    fn request_key(
        &mut self,
        algorithm: Algorithm,
        asks: bool,
        auth: Auth<'_>,
    ) -> Result<KeyInfo, DeviceError> {
        let name = HEXLOWER.encode(&random::<4>()?);
        let label =
            label_of(Purpose::Request, asks).replace("request-", &format!("request-{name}"));
        self.in_one_session(auth, |device| {
            let what = device.order(Purpose::Request, algorithm, label, asks)?;
            let made = device.generate(&what)?;
            device.read_keys()?;
            let proved = device.prove(&made, auth);
            proved.map(|()| made).inspect_err(|_| device.discard(&what))
        })
    }

    // A secret has no public half to be listed by; the token proves that it is the one at each first use.
    fn imported(&mut self, what: &Generate, key: &HandedKey) -> Result<KeyInfo, DeviceError> {
        self.recall(&KeyInfo {
            key: KeyRef(HEXLOWER.encode(&what.id)),
            purpose: Purpose::Request,
            algorithm: key.algorithm(),
            spki: key.public().to_vec(),
            touch: TouchPolicy::Never,
            recipient: None,
            identity: None,
            imported: true,
        });
        self.read_keys()?;
        let made = self.info.known(&KeyRef(HEXLOWER.encode(&what.id)))?;
        Ok(made.clone())
    }

    fn withdraw(&mut self, what: &Generate) {
        self.discard(what);
        let place = HEXLOWER.encode(&what.id);
        self.recalled.retain(|key| key.key.0 != place);
        self.info.keys.retain(|key| key.key.0 != place);
    }

    // One login for all that is made, in a session that can write.
    pub(crate) fn in_one_session<T>(
        &mut self,
        auth: Auth<'_>,
        work: impl FnOnce(&mut Self) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let kept = self.keeps;
        let login = Login {
            keep: true,
            write: true,
            ..self.login(auth)?
        };
        let question = Request::Login(self.choice.clone(), login, self.shown.clone());
        let (Reply::Done, _) = self.host.ask(&question, pin_bytes(auth), &[])? else {
            return Err(confused());
        };
        self.keep_session();
        let outcome = work(self);
        if !kept {
            let ended = self.end_session();
            return outcome.and_then(|done| ended.map(|()| done));
        }
        outcome
    }

    fn complete(&mut self, auth: Auth<'_>) -> Result<(), DeviceError> {
        self.read_keys()?;
        self.are_kept()?;
        for purpose in PURPOSES {
            if self.info.key(purpose).is_none() {
                self.make(purpose, auth)?;
            }
        }
        self.read_keys()?;
        for purpose in PURPOSES {
            let info = self.only(purpose)?;
            self.prove(&info, auth)?;
        }
        Ok(())
    }

    // Of keys that are there already: whoever could write to the token once may have put one there that he has a copy of, and to
    // hold it proves nothing then. One that a person named is used as it is.
    fn are_kept(&mut self) -> Result<(), DeviceError> {
        if self.options.danger_keys_may_leave || !self.options.named.is_empty() {
            return Ok(());
        }
        let found = self.info.keys.iter();
        let found: Vec<_> = found
            .filter(|info| PURPOSES.contains(&info.purpose))
            .cloned()
            .collect();
        for info in found {
            let question = Request::Keeps(self.found(&info)?);
            match self.host.ask(&question, &[], &[])? {
                (Reply::Keeps(true), _) => {}
                (Reply::Keeps(false), _) => return Err(self.not_ours(&info)),
                _ => return Err(confused()),
            }
        }
        Ok(())
    }

    fn not_ours(&self, info: &KeyInfo) -> DeviceError {
        let (label, token) = (
            label_of(info.purpose, false),
            shell_word(&self.choice.label),
        );
        let id = &info.key.0;
        let delete = format!("pkcs11-tool --module … --token-label {token} --login --id {id}");
        DeviceError::Unsupported(format!(
            "the key {} (CKA_ID {id}) was not made in the token or could be taken out of it, so that others may have it; it is \
             not taken for a vault. If you know who put it there, delete both halves of it ({delete} --delete-object --type \
             privkey, and pubkey), and a new one is made; if it is meant all the same, name it in the configuration",
            quoted(&label)
        ))
    }

    // The first kind of key that the token makes and that then does what it is for.
    fn make(&mut self, purpose: Purpose, auth: Auth<'_>) -> Result<(), DeviceError> {
        if !self.options.named.is_empty() {
            let text = format!("anything without a key for {purpose:?}; none was named");
            return Err(DeviceError::Unsupported(text));
        }
        let asks = purpose == Purpose::Seal && self.options.seal_asks_each_time;
        let mut why = DeviceError::Unsupported(format!("a key for {purpose:?}"));
        for algorithm in self.candidates(purpose, asks)? {
            let what = self.order(purpose, algorithm, label_of(purpose, asks), asks)?;
            let proved = self.generate(&what).and_then(|made| {
                self.read_keys()?;
                self.prove(&made, auth).inspect_err(|_| self.discard(&what))
            });
            match proved {
                Err(error @ DeviceError::Unsupported(_)) => why = error,
                done => return done,
            }
        }
        Err(why)
    }

    fn candidates(&self, purpose: Purpose, asks: bool) -> Result<Vec<Algorithm>, DeviceError> {
        let rsa = [Algorithm::Rsa3072, Algorithm::Rsa2048];
        let all = match (purpose, self.options.file_keys) {
            (Purpose::SignVault | Purpose::Request, _) => vec![Algorithm::P256],
            (_, Some(Algorithm::P256)) if asks => {
                let text = "a P-256 seal key that asks each time: key agreement cannot ask";
                return Err(DeviceError::Unsupported(text.into()));
            }
            (_, Some(wished)) => vec![wished],
            (_, None) if asks => rsa.to_vec(),
            (_, None) => [&[Algorithm::P256][..], &rsa].concat(),
        };
        Ok(all)
    }

    fn order(
        &self,
        purpose: Purpose,
        algorithm: Algorithm,
        label: String,
        asks: bool,
    ) -> Result<Generate, DeviceError> {
        Ok(Generate {
            token: self.choice.clone(),
            login: Login {
                write: true,
                ..self.login(Auth::Nothing)?
            },
            id: random::<16>()?.to_vec(),
            label,
            kind: kind_of(algorithm)?,
            may_leave: self.options.danger_keys_may_leave,
            opens: matches!(purpose, Purpose::Unlock | Purpose::Seal),
            asks,
        })
    }

    fn generate(&mut self, what: &Generate) -> Result<KeyInfo, DeviceError> {
        match self.host.ask(&Request::Generate(what.clone()), &[], &[])? {
            (Reply::Made(key), _) => described(&key, &[])
                .map(|(info, _)| info)
                .ok_or_else(confused),
            _ => Err(confused()),
        }
    }

    // What cannot be used is not left behind; where that fails too, the reason for it is the one to tell.
    pub(crate) fn discard(&mut self, what: &Generate) {
        if let Err(error) = self.host.ask(&Request::Discard(what.clone()), &[], &[]) {
            tracing::warn!(%error, "a key that cannot be used stays in the token");
        }
    }

    fn only(&self, purpose: Purpose) -> Result<KeyInfo, DeviceError> {
        let mut of_purpose = self.info.keys.iter().filter(|info| info.purpose == purpose);
        match (of_purpose.next(), of_purpose.next()) {
            (Some(info), None) => Ok(info.clone()),
            _ => {
                let label = label_of(purpose, false);
                let text = format!("with more than one key that is called {}", quoted(&label));
                Err(DeviceError::Unexpected(text))
            }
        }
    }

    // Has the token show that it holds the private half. Public objects are made without a PIN: a key with our label may be
    // anybody's, and a vault that is encrypted to it is his.
    fn prove(&mut self, info: &KeyInfo, auth: Auth<'_>) -> Result<(), DeviceError> {
        // The session is open; only a key that asks each time needs the PIN.
        let auth = if self.asks_each_time(&info.key) {
            auth
        } else {
            Auth::Nothing
        };
        if !matches!(info.purpose, Purpose::Unlock | Purpose::Seal) {
            // As long as a digest, for the keys that sign one.
            let message = random::<DIGEST_BYTES>()?;
            let scheme = scheme_of(info.algorithm).ok_or_else(confused)?;
            return self.sign(&info.key, scheme, &message, auth).map(drop);
        }
        let riddle =
            FileKey::try_init_with_mut(|bytes: &mut [u8; FILE_KEY_BYTES]| rand::fill(bytes));
        let riddle = riddle.map_err(|_| no_randomness())?;
        let wrapped = stanza::recipient(info)?.wrap_file_key(&riddle);
        let (stanzas, _) = wrapped.map_err(|_| confused())?;
        let answer = self.unwrap_file_key(&info.key, &stanzas, auth)?;
        // EXPOSE: both halves, to their comparison.
        if answer.expose_secret() == riddle.expose_secret() {
            Ok(())
        } else {
            Err(confused())
        }
    }
}

// The hash of an HMAC.
const fn block_of(algorithm: Algorithm) -> Option<&'static digest::Algorithm> {
    match algorithm {
        Algorithm::HmacSha256 => Some(&digest::SHA256),
        Algorithm::HmacSha384 => Some(&digest::SHA384),
        Algorithm::HmacSha512 => Some(&digest::SHA512),
        _ => None,
    }
}

// As HMAC itself begins (RFC 2104, 2): hashed when it is longer than a block, then filled with zeros. The MAC is the same,
// and tokens that want long secrets take it.
fn as_block(hash: &'static digest::Algorithm, secret: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut block = Zeroizing::new(Vec::with_capacity(hash.block_len().max(secret.len())));
    if secret.len() > hash.block_len() {
        block.extend_from_slice(digest::digest(hash, secret).as_ref());
    } else {
        block.extend_from_slice(secret);
    }
    block.resize(hash.block_len(), 0);
    block
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], DeviceError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| no_randomness())?;
    Ok(bytes)
}

fn no_randomness() -> DeviceError {
    DeviceError::Middleware("no randomness".into())
}
