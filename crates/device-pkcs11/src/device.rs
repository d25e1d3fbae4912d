//! A PKCS#11 token as a device.

use age_core::format::{FileKey, Stanza};
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use touchkeep_core::{Pin, text::quoted};
use touchkeep_device::{
    Algorithm, Auth, Demand, Device, DeviceError, DeviceInfo, DeviceKind, KeyInfo, KeyRef, Purpose,
    SecretDemand, SignatureScheme, TouchPolicy,
    public::{
        DIGEST_BYTES, P256Point, RsaPublic, mac_bytes, may_go_out, recoverable, scheme_of, tlv,
        unsigned,
    },
    stanza,
};

use crate::{
    child::{Host, Launch},
    keys::LABEL_PREFIX,
    module::{ModuleFile, ModuleHash},
    watch::Watch,
    wire::{
        Beside, How, Kind, Login, MAX_BODY_BYTES, Reply, Request, Standing, Token, TokenChoice,
        TokenKey, Tries, Use, Wanted,
    },
};

/// Choices of whoever opens a device.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Send a PIN although the token says that it is the last try. A person has to have said so in words.
    pub danger_allow_last_try: bool,
    /// Make keys and store secrets although the token does not say that it keeps them (sensitive, never extractable, made in
    /// it). A key database in software, such as NSS's, does not; its keys are worth what its file is.
    pub danger_keys_may_leave: bool,
    /// What enrolment makes to open files with. When nothing is asked for: P-256, or RSA where the token does not agree on
    /// keys or does not let the result be read.
    pub file_keys: Option<Algorithm>,
    /// Have enrolment make a seal key that asks for the PIN at each use. Key agreement has no place for that, so it is RSA.
    pub seal_asks_each_time: bool,
    /// The keys to use, where somebody else made them; then keys are not looked for by label, and none is made.
    pub named: Vec<NamedKey>,
}

/// A key that somebody else made, by its CKA_ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKey {
    /// Its CKA_ID, in hex.
    pub key: KeyRef,
    /// What it is used for.
    pub purpose: Purpose,
    /// It asks for the PIN at each use (CKA_ALWAYS_AUTHENTICATE). One that is said to and does not is not used.
    pub asks_each_time: bool,
}

/// The tokens that a module sees.
///
/// # Errors
/// [`DeviceError::Middleware`] when the module cannot be loaded or does not answer.
pub fn tokens(launch: &Launch, module: impl Into<ModuleFile>) -> Result<Vec<Token>, DeviceError> {
    list(&mut Host::new(launch.clone(), module.into()))
}

fn list(host: &mut Host) -> Result<Vec<Token>, DeviceError> {
    match host.ask(&Request::Tokens, &[], &[])? {
        (Reply::Tokens(tokens), _) => Ok(tokens),
        _ => Err(confused()),
    }
}

/// A token, known by its serial number and label, and by its public keys.
pub struct Pkcs11Device {
    pub(crate) info: DeviceInfo,
    pub(crate) host: Host,
    pub(crate) choice: TokenChoice,
    pub(crate) options: Options,
    pub(crate) keeps: bool,
    asking: Vec<KeyRef>,
    /// HMAC secrets, which the token does not list.
    pub(crate) recalled: Vec<KeyInfo>,
    /// What it has shown before anybody logged in.
    pub(crate) shown: Option<Beside>,
    pad: bool,
    removable: bool,
}

impl Pkcs11Device {
    /// Starts the child that hosts `module`, and reads which of our keys the token has. Asks for no PIN.
    ///
    /// # Errors
    /// [`DeviceError::Removed`] when there is no such token; [`DeviceError::Middleware`] when the module may not or cannot be
    /// loaded.
    pub fn spawn(
        launch: Launch,
        module: impl Into<ModuleFile>,
        choice: TokenChoice,
        options: Options,
    ) -> Result<Self, DeviceError> {
        let mut host = Host::new(launch, module.into());
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
            options,
            keeps: false,
            asking: Vec::new(),
            recalled: Vec::new(),
            shown: None,
            pad: false,
            removable: true,
        };
        let standing = device.standing()?;
        (device.pad, device.removable) = (standing.pad, standing.removable);
        device.read_keys()?;
        if let Some(first) = device.info.keys.first() {
            device.shown = Some(Beside {
                id: id_of(&first.key)?,
                public: first.spki.clone(),
            });
        }
        Ok(device)
    }

    /// What the module is that was loaded: what an enrolment pins (see [`ModuleFile::sha256`]).
    #[must_use]
    pub const fn module_hash(&self) -> Option<ModuleHash> {
        self.host.loaded()
    }

    /// Whether the PIN is typed at the token itself.
    #[must_use]
    pub const fn has_pin_pad(&self) -> bool {
        self.pad
    }

    /// Whether its session may be kept between uses of a key that are apart. Not that of a card: one that has seen the PIN has seen
    /// it for every program that reaches its reader. Nor where the PIN is typed at the token, or the key asks for it each time.
    #[must_use]
    pub fn may_stay(&self, key: &KeyRef) -> bool {
        !self.pad && !self.removable && !self.asking.contains(key)
    }

    /// Keeps the session of the next use with a PIN, until [`Self::end_session`]: what follows needs none
    /// ([`SecretDemand::Nothing`], [`Auth::Nothing`]). A PIN that is given all the same is proved anew, and a wrong one ends the
    /// session. A session that the token lost is opened again once, with the PIN of that use if there is one.
    pub const fn keep_session(&mut self) {
        self.keeps = true;
    }

    /// Logs out, and keeps no session any more.
    ///
    /// # Errors
    /// When the child does not answer; then it was ended, and the session with it.
    pub fn end_session(&mut self) -> Result<(), DeviceError> {
        self.keeps = false;
        match self.host.ask(&Request::Logout, &[], &[])? {
            (Reply::Done, _) => Ok(()),
            _ => Err(confused()),
        }
    }

    /// Which kinds of request keys the token says that it can have. A list of mechanisms is not believed: which keys it has, and on
    /// which curves, shows when one is made.
    ///
    /// # Errors
    /// When the token cannot be asked.
    pub fn kinds(&mut self) -> Result<Vec<Algorithm>, DeviceError> {
        let question = Request::Kinds(self.choice.clone());
        match self.host.ask(&question, &[], &[])? {
            (Reply::Kinds(kinds), _) => Ok(kinds.into_iter().map(algorithm_of).collect()),
            _ => Err(confused()),
        }
    }

    /// What looks whether this token is still there, by a child of its own.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::new(self.host.again(), self.choice.clone())
    }

    fn standing(&mut self) -> Result<Standing, DeviceError> {
        let question = Request::Standing(self.choice.clone());
        match self.host.ask(&question, &[], &[])? {
            (Reply::Standing(standing), _) => Ok(standing),
            _ => Err(confused()),
        }
    }

    pub(crate) fn read_keys(&mut self) -> Result<(), DeviceError> {
        let ids = self.options.named.iter().map(|named| id_of(&named.key));
        let question = Request::Keys(Wanted {
            token: self.choice.clone(),
            ids: ids.collect::<Result<_, _>>()?,
        });
        let (Reply::Keys(found), _) = self.host.ask(&question, &[], &[])? else {
            return Err(confused());
        };
        let mut keys: Vec<_> = found
            .iter()
            .filter_map(|key| described(key, &self.options.named))
            .collect();
        keys.sort_by(|(a, _), (b, _)| (a.purpose, &a.key.0).cmp(&(b.purpose, &b.key.0)));
        let asking = keys.iter().filter(|(_, asks)| *asks);
        self.asking = asking.map(|(info, _)| info.key.clone()).collect();
        let recalled = self.recalled.iter().cloned();
        let listed = keys.into_iter().map(|(info, _)| info);
        self.info.keys = listed.chain(recalled).collect();
        Ok(())
    }

    fn known(&self, key: &KeyRef) -> Result<KeyInfo, DeviceError> {
        let mut keys = self.info.keys.iter();
        keys.find(|info| info.key == *key)
            .cloned()
            .ok_or_else(|| DeviceError::NoKey(key.clone()))
    }

    /// How to log in with what a person gave.
    pub(crate) const fn login(&self, auth: Auth<'_>) -> Result<Login, DeviceError> {
        let how = match auth {
            Auth::Pin(_) => How::Pin,
            Auth::Nothing if self.pad => How::Pad,
            Auth::Nothing if self.keeps => How::Kept,
            Auth::Nothing | Auth::Passphrase(_) => return Err(DeviceError::NeedsSecret),
        };
        Ok(Login {
            how,
            allow_last_try: self.options.danger_allow_last_try,
            keep: self.keeps,
            write: false,
        })
    }

    /// A key that is looked at in the session that is kept, and not used.
    pub(crate) fn found(&self, info: &KeyInfo) -> Result<Use, DeviceError> {
        self.named_use(info, self.login(Auth::Nothing)?)
    }

    fn use_of(&self, info: &KeyInfo, auth: Auth<'_>) -> Result<Use, DeviceError> {
        let login = self.login(auth)?;
        if self.asking.contains(&info.key) && login.how == How::Kept {
            return Err(DeviceError::NeedsSecret);
        }
        self.named_use(info, login)
    }

    fn named_use(&self, info: &KeyInfo, login: Login) -> Result<Use, DeviceError> {
        let kind = kind_of(info.algorithm)?;
        Ok(Use {
            token: self.choice.clone(),
            login,
            id: id_of(&info.key)?,
            kind,
            public: info.spki.clone(),
            asks: self.asking.contains(&info.key),
            beside: self.shown.clone().filter(|_| kind.is_secret()),
        })
    }
}

impl Device for Pkcs11Device {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn demand(&mut self, key: &KeyRef) -> Result<Demand, DeviceError> {
        let touch = self.known(key)?.touch;
        let standing = self.standing()?;
        let asks = self.asking.contains(key);
        let tries_left = match standing.tries {
            Tries::Some => None,
            Tries::Last => Some(1),
            Tries::Locked => Some(0),
        };
        let secret = if self.keeps && standing.logged_in && !asks {
            SecretDemand::Nothing
        } else if standing.pad {
            SecretDemand::PinPad
        } else {
            SecretDemand::Pin { tries_left }
        };
        Ok(Demand { secret, touch })
    }

    fn asks_each_time(&self, key: &KeyRef) -> bool {
        self.asking.contains(key)
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
        if info.algorithm == Algorithm::P256 {
            let stanza = stanza::addressed(&info, stanzas)?;
            let question = Request::Agree(self.use_of(&info, auth)?);
            let point = stanza.share().uncompressed();
            return match self.host.ask(&question, pin_bytes(auth), point)? {
                (Reply::Body, x) => stanza.open(&x),
                _ => Err(confused()),
            };
        }
        let sealed = stanza::addressed_rsa(&info, stanzas)?;
        let question = Request::Decrypt(self.use_of(&info, auth)?);
        match self.host.ask(&question, pin_bytes(auth), sealed)? {
            (Reply::Body, text) => stanza::rsa_file_key(&text),
            (Reply::Block, block) => stanza::rsa_file_key_of_block(&block),
            _ => Err(confused()),
        }
    }

    fn recall(&mut self, key: &KeyInfo) {
        let hmac = scheme_of(key.algorithm).and_then(mac_bytes).is_some();
        if hmac && self.info.known(&key.key).is_err() {
            // What a vault says of it is not enough to take it for more than it is.
            let key = KeyInfo {
                purpose: Purpose::Request,
                touch: TouchPolicy::Never,
                imported: true,
                ..key.clone()
            };
            self.recalled.push(key.clone());
            self.info.keys.push(key);
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
            let text = format!("{scheme:?} with the key {}", quoted(&key.0));
            return Err(DeviceError::Unsupported(text));
        }
        if message.len() > MAX_BODY_BYTES {
            return Err(DeviceError::Unsupported("a message of over 1 MiB".into()));
        }
        if scheme == SignatureScheme::EcdsaSecp256k1Digest && message.len() != DIGEST_BYTES {
            return Err(DeviceError::Unsupported(
                "anything but a digest of 32 bytes".into(),
            ));
        }
        let question = Request::Sign(self.use_of(&info, auth)?);
        let hash = digest(&SHA256, message);
        // Tokens seldom hash for ECDSA, and always for RSA.
        let input = match scheme {
            SignatureScheme::EcdsaP256Sha256 => hash.as_ref(),
            _ => message,
        };
        let (Reply::Body, signed) = self.host.ask(&question, pin_bytes(auth), input)? else {
            return Err(confused());
        };
        let signature = match scheme {
            SignatureScheme::EcdsaP256Sha256 => ecdsa_der(&signed).ok_or_else(confused)?,
            SignatureScheme::EcdsaSecp256k1Digest => recoverable(&info.spki, message, &signed)
                .map(Vec::from)
                .unwrap_or_default(),
            _ => signed.to_vec(),
        };
        // A fault in a signature can give the key away, so nobody sees one that is not good.
        if !may_go_out(scheme, &info.spki, message, &signature) {
            let text = "with a signature that is not its key's";
            return Err(DeviceError::Unexpected(text.into()));
        }
        Ok(signature)
    }
}

/// Ends the label of a key that asks for the PIN at each use. It says what to expect; the token is what says that it is so.
const EACH_TIME: &str = " (PIN each time)";

/// The label of a key; request keys have a name behind it.
pub(crate) fn label_of(purpose: Purpose, asks: bool) -> String {
    let name = match purpose {
        Purpose::Unlock => "unlock",
        Purpose::Seal => "seal",
        Purpose::SignVault => "sign-vault",
        Purpose::Request => "request-",
    };
    let end = if asks { EACH_TIME } else { "" };
    format!("{LABEL_PREFIX}{name}{end}")
}

// What a label says a key is for, and whether it asks each time.
fn labelled(label: &str) -> Option<(Purpose, bool)> {
    let name = label.strip_prefix(LABEL_PREFIX)?;
    let (name, asks) = match name.strip_suffix(EACH_TIME) {
        Some(name) => (name, true),
        None => (name, false),
    };
    let purpose = match name {
        "unlock" => Purpose::Unlock,
        "seal" => Purpose::Seal,
        "sign-vault" => Purpose::SignVault,
        name if name.starts_with("request-") => Purpose::Request,
        _ => return None,
    };
    Some((purpose, asks))
}

/// A key as others see it, and whether it asks each time.
pub(crate) fn described(key: &TokenKey, named: &[NamedKey]) -> Option<(KeyInfo, bool)> {
    let place = KeyRef(HEXLOWER.encode(&key.id));
    let (purpose, asks) = match named.iter().find(|named| named.key == place) {
        Some(named) => (named.purpose, named.asks_each_time),
        None if named.is_empty() => labelled(&key.label)?,
        None => return None,
    };
    let files = matches!(purpose, Purpose::Unlock | Purpose::Seal);
    let recipient = match key.kind {
        Kind::P256 => P256Point::from_spki(&key.spki).map(|point| stanza::tag_recipient(&point)),
        _ => RsaPublic::from_spki(&key.spki).map(|public| public.ssh_text()),
    };
    let info = KeyInfo {
        key: place,
        purpose,
        algorithm: algorithm_of(key.kind),
        spki: key.spki.clone(),
        touch: TouchPolicy::Never,
        recipient: recipient.filter(|_| files),
        identity: None,
        imported: key.imported && purpose == Purpose::Request,
    };
    Some((info, asks))
}

const fn algorithm_of(kind: Kind) -> Algorithm {
    match kind {
        Kind::P256 => Algorithm::P256,
        Kind::Secp256k1 => Algorithm::Secp256k1,
        Kind::Ed25519 => Algorithm::Ed25519,
        Kind::Rsa2048 => Algorithm::Rsa2048,
        Kind::Rsa3072 => Algorithm::Rsa3072,
        Kind::Rsa4096 => Algorithm::Rsa4096,
        Kind::HmacSha256 => Algorithm::HmacSha256,
        Kind::HmacSha384 => Algorithm::HmacSha384,
        Kind::HmacSha512 => Algorithm::HmacSha512,
    }
}

pub(crate) fn kind_of(algorithm: Algorithm) -> Result<Kind, DeviceError> {
    match algorithm {
        Algorithm::P256 => Ok(Kind::P256),
        Algorithm::Rsa2048 => Ok(Kind::Rsa2048),
        Algorithm::Rsa3072 => Ok(Kind::Rsa3072),
        Algorithm::Rsa4096 => Ok(Kind::Rsa4096),
        Algorithm::Ed25519 => Ok(Kind::Ed25519),
        Algorithm::Secp256k1 => Ok(Kind::Secp256k1),
        Algorithm::HmacSha256 => Ok(Kind::HmacSha256),
        Algorithm::HmacSha384 => Ok(Kind::HmacSha384),
        Algorithm::HmacSha512 => Ok(Kind::HmacSha512),
        Algorithm::X25519 => Err(DeviceError::Unsupported(format!("{algorithm:?} keys"))),
    }
}

pub(crate) fn id_of(key: &KeyRef) -> Result<Vec<u8>, DeviceError> {
    let id = HEXLOWER.decode(key.0.as_bytes());
    id.map_err(|_| DeviceError::NoKey(key.clone()))
}

pub(crate) fn pin_bytes(auth: Auth<'_>) -> &[u8] {
    match auth {
        // EXPOSE: the PIN, to the pipe of the child that logs in with it.
        Auth::Pin(pin) => Pin::expose(pin).as_bytes(),
        Auth::Nothing | Auth::Passphrase(_) => &[],
    }
}

// PKCS#11 gives r and s side by side; everybody else wants ECDSA-Sig-Value (RFC 3279).
fn ecdsa_der(raw: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = raw.split_at_checked(32)?;
    (s.len() == 32).then(|| tlv(0x30, &[unsigned(r), unsigned(s)].concat()))
}

pub(crate) fn confused() -> DeviceError {
    DeviceError::Middleware("the process of the PKCS#11 module answered something else".into())
}
