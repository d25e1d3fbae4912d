//! Making the keys of a token, and having it prove that it holds them.

use age_core::{
    format::{FILE_KEY_BYTES, FileKey},
    secrecy::ExposeSecret,
};
use aws_lc_rs::rand;
use data_encoding::HEXLOWER;
use touchkeep_device::{
    Algorithm, Auth, Device, DeviceError, DeviceInfo, KeyInfo, Provision, Purpose, TouchPolicy,
    public::scheme_of, stanza,
};

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
        let question = Request::Login(self.choice.clone(), login);
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
                let text = format!("with more than one key that is called {label:?}");
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
            let message = random::<32>()?;
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

pub(crate) fn random<const N: usize>() -> Result<[u8; N], DeviceError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| no_randomness())?;
    Ok(bytes)
}

fn no_randomness() -> DeviceError {
    DeviceError::Middleware("no randomness".into())
}
