//! A PKCS#11 token as a device.

use std::path::PathBuf;

use age_core::{
    format::{FILE_KEY_BYTES, FileKey, Stanza},
    secrecy::ExposeSecret,
};
use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use data_encoding::HEXLOWER;
use touchkeep_core::Pin;
use touchkeep_device::{
    Algorithm, Auth, Demand, Device, DeviceError, DeviceInfo, DeviceKind, KeyInfo, KeyRef,
    Provision, Purpose, SecretDemand, SignatureScheme, TouchPolicy,
    public::{P256Point, scheme_of, tlv, unsigned, verifies},
    stanza,
};

use crate::{
    child::{Host, Launch},
    token::LABEL_PREFIX,
    wire::{
        Generate, Kind, Login, MAX_BODY_BYTES, Reply, Request, Token, TokenChoice, TokenKey, Tries,
        Use,
    },
};

/// Choices of whoever opens a device.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Send a PIN although the token says that it is the last try. A person has to have said so in words.
    pub danger_allow_last_try: bool,
}

/// The tokens that a module sees.
///
/// # Errors
/// [`DeviceError::Middleware`] when the module cannot be loaded or does not answer.
pub fn tokens(launch: &Launch, module: PathBuf) -> Result<Vec<Token>, DeviceError> {
    list(&mut Host::new(launch.clone(), module))
}

fn list(host: &mut Host) -> Result<Vec<Token>, DeviceError> {
    match host.ask(&Request::Tokens, &[], &[])? {
        (Reply::Tokens(tokens), _) => Ok(tokens),
        _ => Err(confused()),
    }
}

/// A token, known by its serial number and label, and by its public keys.
pub struct Pkcs11Device {
    info: DeviceInfo,
    host: Host,
    choice: TokenChoice,
    login: Login,
}

impl Pkcs11Device {
    /// Starts the child that hosts `module`, and reads which of our keys the token has. Asks for no PIN.
    ///
    /// # Errors
    /// [`DeviceError::Removed`] when there is no such token; [`DeviceError::Middleware`] when the module may not or cannot be
    /// loaded.
    pub fn spawn(
        launch: Launch,
        module: PathBuf,
        choice: TokenChoice,
        options: Options,
    ) -> Result<Self, DeviceError> {
        let mut host = Host::new(launch, module);
        let tokens = list(&mut host)?;
        let token = tokens.into_iter().find(|token| token.choice == choice);
        let token = token.ok_or(DeviceError::Removed)?;
        let mut device = Self {
            info: DeviceInfo {
                kind: DeviceKind::Pkcs11,
                label: format!("{} ({})", choice.label, token.model),
                serial: Some(choice.serial.clone()),
                firmware: Some(token.firmware),
                keys: Vec::new(),
            },
            host,
            choice,
            login: Login {
                allow_last_try: options.danger_allow_last_try,
            },
        };
        device.read_keys()?;
        Ok(device)
    }

    fn read_keys(&mut self) -> Result<(), DeviceError> {
        let question = Request::Keys(self.choice.clone());
        let (Reply::Keys(keys), _) = self.host.ask(&question, &[], &[])? else {
            return Err(confused());
        };
        let mut keys: Vec<_> = keys.iter().filter_map(described).collect();
        keys.sort_by(|a, b| (a.purpose, &a.key.0).cmp(&(b.purpose, &b.key.0)));
        self.info.keys = keys;
        Ok(())
    }

    fn known(&self, key: &KeyRef) -> Result<KeyInfo, DeviceError> {
        let mut keys = self.info.keys.iter();
        keys.find(|info| info.key == *key)
            .cloned()
            .ok_or_else(|| DeviceError::NoKey(key.clone()))
    }

    fn use_of(&self, info: &KeyInfo) -> Result<Use, DeviceError> {
        let id = HEXLOWER.decode(info.key.0.as_bytes());
        Ok(Use {
            token: self.choice.clone(),
            login: self.login,
            id: id.map_err(|_| DeviceError::NoKey(info.key.clone()))?,
            kind: kind_of(info.algorithm)?,
        })
    }

    // Has the token show that it holds the private half. Public objects are made without a PIN: a key with our label may be
    // anybody's, and a vault that is encrypted to it is his.
    fn prove(&mut self, purpose: Purpose, auth: Auth<'_>) -> Result<(), DeviceError> {
        let mut of_purpose = self.info.keys.iter().filter(|info| info.purpose == purpose);
        let (Some(info), None) = (of_purpose.next().cloned(), of_purpose.next()) else {
            let text = format!(
                "with more than one key that is called {:?}",
                label_of(purpose)
            );
            return Err(DeviceError::Unexpected(text));
        };
        let random = |_| DeviceError::Middleware("no randomness".into());
        if purpose == Purpose::SignVault {
            let mut message = [0; 32];
            rand::fill(&mut message).map_err(random)?;
            let scheme = scheme_of(info.algorithm).ok_or_else(confused)?;
            return self.sign(&info.key, scheme, &message, auth).map(drop);
        }
        let riddle =
            FileKey::try_init_with_mut(|bytes: &mut [u8; FILE_KEY_BYTES]| rand::fill(bytes));
        let riddle = riddle.map_err(random)?;
        let wrapped = stanza::recipient(&info)?.wrap_file_key(&riddle);
        let (stanzas, _) = wrapped.map_err(|_| confused())?;
        let answer = self.unwrap_file_key(&info.key, &stanzas, auth)?;
        // EXPOSE: both halves, to their comparison.
        if answer.expose_secret() == riddle.expose_secret() {
            Ok(())
        } else {
            Err(confused())
        }
    }

    fn generate(
        &mut self,
        purpose: Purpose,
        kind: Kind,
        label: String,
        pin: &Pin,
    ) -> Result<KeyInfo, DeviceError> {
        let mut id = vec![0; 16];
        rand::fill(&mut id).map_err(|_| DeviceError::Middleware("no randomness".into()))?;
        let question = Request::Generate(Generate {
            token: self.choice.clone(),
            login: self.login,
            id,
            label,
            kind,
            agrees: matches!(purpose, Purpose::Unlock | Purpose::Seal),
        });
        match self.host.ask(&question, pin_bytes(pin), &[])? {
            (Reply::Made(key), _) => described(&key).ok_or_else(confused),
            _ => Err(confused()),
        }
    }
}

impl Device for Pkcs11Device {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn demand(&mut self, key: &KeyRef) -> Result<Demand, DeviceError> {
        let touch = self.known(key)?.touch;
        let question = Request::Tries(self.choice.clone());
        let (Reply::Tries(tries), _) = self.host.ask(&question, &[], &[])? else {
            return Err(confused());
        };
        let tries_left = match tries {
            Tries::Some => None,
            Tries::Last => Some(1),
            Tries::Locked => Some(0),
        };
        let secret = SecretDemand::Pin { tries_left };
        Ok(Demand { secret, touch })
    }

    fn unwrap_file_key(
        &mut self,
        key: &KeyRef,
        stanzas: &[Stanza],
        auth: Auth<'_>,
    ) -> Result<FileKey, DeviceError> {
        let info = self.known(key)?;
        if !matches!(info.purpose, Purpose::Unlock | Purpose::Seal) {
            return Err(DeviceError::NotForThisKey);
        }
        let stanza = stanza::addressed(&info, stanzas)?;
        let pin = pin_of(auth)?;
        let question = Request::Agree(self.use_of(&info)?);
        let point = stanza.share().uncompressed();
        match self.host.ask(&question, pin_bytes(pin), point)? {
            (Reply::Body, x) => stanza.open(&x),
            _ => Err(confused()),
        }
    }

    fn sign(
        &mut self,
        key: &KeyRef,
        scheme: SignatureScheme,
        message: &[u8],
        auth: Auth<'_>,
    ) -> Result<Vec<u8>, DeviceError> {
        let info = self.known(key)?;
        let signs = matches!(info.purpose, Purpose::SignVault | Purpose::Request);
        if !signs || scheme_of(info.algorithm) != Some(scheme) {
            let text = format!("{scheme:?} with the key {:?}", key.0);
            return Err(DeviceError::Unsupported(text));
        }
        if message.len() > MAX_BODY_BYTES {
            return Err(DeviceError::Unsupported("a message of over 1 MiB".into()));
        }
        let pin = pin_of(auth)?;
        let question = Request::Sign(self.use_of(&info)?);
        let hash = digest(&SHA256, message);
        // Tokens seldom hash for ECDSA, and always for RSA.
        let input = match scheme {
            SignatureScheme::EcdsaP256Sha256 => hash.as_ref(),
            SignatureScheme::RsaPkcs1Sha256 | SignatureScheme::Ed25519 => message,
        };
        let (Reply::Body, signed) = self.host.ask(&question, pin_bytes(pin), input)? else {
            return Err(confused());
        };
        let signature = match scheme {
            SignatureScheme::EcdsaP256Sha256 => ecdsa_der(&signed).ok_or_else(confused)?,
            SignatureScheme::RsaPkcs1Sha256 | SignatureScheme::Ed25519 => signed.to_vec(),
        };
        // A fault in a signature can give the key away, so nobody sees one that is not good.
        if !verifies(scheme, &info.spki, message, &signature) {
            let text = "with a signature that is not its key's";
            return Err(DeviceError::Unexpected(text.into()));
        }
        Ok(signature)
    }
}

impl Provision for Pkcs11Device {
    fn provision(&mut self, auth: Auth<'_>) -> Result<DeviceInfo, DeviceError> {
        let pin = pin_of(auth)?;
        self.read_keys()?;
        for purpose in [Purpose::Unlock, Purpose::Seal, Purpose::SignVault] {
            if self.info.key(purpose).is_none() {
                self.generate(purpose, Kind::P256, label_of(purpose), pin)?;
            }
        }
        self.read_keys()?;
        for purpose in [Purpose::Unlock, Purpose::Seal, Purpose::SignVault] {
            self.prove(purpose, auth)?;
        }
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
        let pin = pin_of(auth)?;
        let kind = kind_of(algorithm)?;
        let mut suffix = [0; 4];
        rand::fill(&mut suffix).map_err(|_| DeviceError::Middleware("no randomness".into()))?;
        let label = format!("{}{}", label_of(Purpose::Request), HEXLOWER.encode(&suffix));
        let made = self.generate(Purpose::Request, kind, label, pin)?;
        self.read_keys()?;
        Ok(made)
    }
}

fn label_of(purpose: Purpose) -> String {
    let name = match purpose {
        Purpose::Unlock => "unlock",
        Purpose::Seal => "seal",
        Purpose::SignVault => "sign-vault",
        Purpose::Request => "request-",
    };
    format!("{LABEL_PREFIX}{name}")
}

fn described(key: &TokenKey) -> Option<KeyInfo> {
    let purpose = match key.label.strip_prefix(LABEL_PREFIX)? {
        "unlock" => Purpose::Unlock,
        "seal" => Purpose::Seal,
        "sign-vault" => Purpose::SignVault,
        name if name.starts_with("request-") => Purpose::Request,
        _ => return None,
    };
    let files = matches!(purpose, Purpose::Unlock | Purpose::Seal);
    let point = P256Point::from_spki(&key.spki);
    Some(KeyInfo {
        key: KeyRef(HEXLOWER.encode(&key.id)),
        purpose,
        algorithm: match key.kind {
            Kind::P256 => Algorithm::P256,
            Kind::Rsa2048 => Algorithm::Rsa2048,
        },
        spki: key.spki.clone(),
        touch: TouchPolicy::Never,
        recipient: point
            .filter(|_| files)
            .map(|point| stanza::tag_recipient(&point)),
        identity: None,
    })
}

fn kind_of(algorithm: Algorithm) -> Result<Kind, DeviceError> {
    match algorithm {
        Algorithm::P256 => Ok(Kind::P256),
        Algorithm::Rsa2048 => Ok(Kind::Rsa2048),
        _ => {
            Err(DeviceError::Unsupported(format!("{algorithm:?} keys")))
        }
    }
}

fn pin_of<'a>(auth: Auth<'a>) -> Result<&'a Pin, DeviceError> {
    match auth {
        Auth::Pin(pin) => Ok(pin),
        Auth::Nothing | Auth::Passphrase(_) => Err(DeviceError::NeedsSecret),
    }
}

fn pin_bytes(pin: &Pin) -> &[u8] {
    // EXPOSE: the PIN, to the pipe of the child that logs in with it.
    pin.expose().as_bytes()
}

// PKCS#11 gives r and s side by side; everybody else wants ECDSA-Sig-Value (RFC 3279).
fn ecdsa_der(raw: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = raw.split_at_checked(32)?;
    (s.len() == 32).then(|| tlv(0x30, &[unsigned(r), unsigned(s)].concat()))
}

fn confused() -> DeviceError {
    DeviceError::Middleware("the process of the PKCS#11 module answered something else".into())
}
