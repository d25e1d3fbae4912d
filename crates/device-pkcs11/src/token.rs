//! What a module does for us, in the child process. Every operation opens a session, logs in if it must, and closes it, so
//! that nothing is left logged in between two commands.

use std::path::Path;

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::{
        Mechanism,
        elliptic_curve::{EcKdf, Ecdh1DeriveParams},
    },
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::{Slot, TokenInfo},
    types::AuthPin,
};
use touchkeep_device::public::{P256Point, rsa_spki};
use zeroize::Zeroizing;

use crate::wire::{Failure, Generate, Kind, Login, Token, TokenChoice, TokenKey, Tries, Use};

/// Labels of our keys begin with this.
pub(crate) const LABEL_PREFIX: &str = "touchkeep ";

// prime256v1 as CKA_EC_PARAMS: the DER of its object identifier (RFC 5480).
const P256_PARAMS: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const X_BYTES: u64 = 32;

/// A loaded and initialised module.
pub(crate) struct Module(Pkcs11);

impl Module {
    /// Loads it. Once per process: modules seldom survive a second time.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        let module = Pkcs11::new(path).map_err(failed)?;
        let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        module.initialize(arguments).map_err(failed)?;
        Ok(Self(module))
    }

    pub(crate) fn finalize(self) {
        // The process ends now; what a module has to say about that helps nobody.
        let _ = self.0.finalize();
    }

    /// The tokens that are set up.
    pub(crate) fn tokens(&self) -> Result<Vec<Token>, Failure> {
        let all = self.all()?;
        Ok(all.into_iter().map(|(_, info)| described(&info)).collect())
    }

    fn all(&self) -> Result<Vec<(Slot, TokenInfo)>, Failure> {
        let slots = self.0.get_slots_with_token().map_err(failed)?;
        let infos = slots
            .into_iter()
            .map(|slot| Ok((slot, self.0.get_token_info(slot)?)))
            .collect::<Result<Vec<_>, Error>>()
            .map_err(failed)?;
        Ok(infos
            .into_iter()
            .filter(|(_, info)| info.token_initialized())
            .collect())
    }

    fn find(&self, choice: &TokenChoice) -> Result<(Slot, TokenInfo), Failure> {
        let mut all = self.all()?;
        all.retain(|(_, info)| described(info).choice == *choice);
        match (all.pop(), all.is_empty()) {
            (Some(found), true) => Ok(found),
            (Some(_), false) => Err(Failure::Unsupported(
                "two tokens of one serial number and label".into(),
            )),
            (None, _) => Err(Failure::NoToken),
        }
    }

    /// What is known of the PIN's tries. Spends none.
    pub(crate) fn tries(&self, choice: &TokenChoice) -> Result<Tries, Failure> {
        Ok(tries(&self.find(choice)?.1))
    }

    /// Our keys, from their public halves. Needs no PIN.
    pub(crate) fn keys(&self, choice: &TokenChoice) -> Result<Vec<TokenKey>, Failure> {
        let (slot, _) = self.find(choice)?;
        let session = self.0.open_ro_session(slot).map_err(failed)?;
        let template = [
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::Token(true),
        ];
        let objects = session.find_objects(&template).map_err(failed)?;
        let mut keys = Vec::new();
        for object in objects {
            keys.extend(public_key(&session, object)?);
        }
        Ok(keys)
    }

    /// The x-coordinate of the key times `point`.
    pub(crate) fn agree(
        &self,
        what: &Use,
        pin: &[u8],
        point: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let session = self.logged_in(&what.token, what.login, pin, Write::No)?;
        let key = private_key(&session, &what.id)?;
        // The raw point and a generic secret are the one form that every module takes.
        let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), point));
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::ValueLen(X_BYTES.into()),
            Attribute::Token(false),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
        ];
        let secret = session
            .derive_key(&mechanism, key, &template)
            .map_err(failed)?;
        let value = session.get_attributes(secret, &[AttributeType::Value]);
        session.destroy_object(secret).map_err(failed)?;
        match value.map_err(failed)?.pop() {
            Some(Attribute::Value(x)) => Ok(Zeroizing::new(x)),
            _ => Err(Failure::Unsupported(
                "key agreement whose result may be read".into(),
            )),
        }
    }

    /// A signature: for P-256 over a hash, as r and s; for RSA over a message.
    pub(crate) fn sign(&self, what: &Use, pin: &[u8], message: &[u8]) -> Result<Vec<u8>, Failure> {
        let session = self.logged_in(&what.token, what.login, pin, Write::No)?;
        let key = private_key(&session, &what.id)?;
        let mechanism = match what.kind {
            Kind::P256 => Mechanism::Ecdsa,
            Kind::Rsa2048 => Mechanism::Sha256RsaPkcs,
        };
        session.sign(&mechanism, key, message).map_err(failed)
    }

    /// Makes a key pair, and looks whether the token made it itself and keeps it.
    pub(crate) fn generate(&self, what: &Generate, pin: &[u8]) -> Result<TokenKey, Failure> {
        let session = self.logged_in(&what.token, what.login, pin, Write::Yes)?;
        let (public, private) = generate(&session, what).map_err(failed)?;
        let read = public_key(&session, public);
        match (read, kept_by_token(&session, private)) {
            (Ok(Some(key)), Ok(true)) => Ok(key),
            (read, kept) => {
                for object in [public, private] {
                    session.destroy_object(object).map_err(failed)?;
                }
                read?;
                kept.map_err(failed)?;
                let text = "a key that it did not make itself, or would give away";
                Err(Failure::Unexpected(text.into()))
            }
        }
    }

    fn logged_in(
        &self,
        choice: &TokenChoice,
        login: Login,
        pin: &[u8],
        write: Write,
    ) -> Result<Session, Failure> {
        let (slot, info) = self.find(choice)?;
        match tries(&info) {
            Tries::Locked => return Err(Failure::PinLocked),
            Tries::Last if !login.allow_last_try => return Err(Failure::LastTry),
            Tries::Some | Tries::Last => {}
        }
        let session = match write {
            Write::Yes => self.0.open_rw_session(slot),
            Write::No => self.0.open_ro_session(slot),
        };
        let session = session.map_err(failed)?;
        let pin = std::str::from_utf8(pin).map_err(|_| Failure::WrongPin(tries(&info)))?;
        // EXPOSE: the PIN, to the module; closing the last session of the process logs out.
        let refused = match session.login(UserType::User, Some(&AuthPin::from(pin))) {
            Ok(()) => return Ok(session),
            Err(Error::Pkcs11(refused, _)) => refused,
            Err(error) => return Err(failed(error)),
        };
        Err(match refused {
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
                let info = self.0.get_token_info(slot).map_err(failed)?;
                Failure::WrongPin(tries(&info))
            }
            RvError::PinLocked => Failure::PinLocked,
            RvError::UserPinNotInitialized => Failure::Unsupported("a token without a PIN".into()),
            other => Failure::Module(format!("the module refused to log in: {other}")),
        })
    }
}

#[derive(Clone, Copy)]
enum Write {
    Yes,
    No,
}

fn described(info: &TokenInfo) -> Token {
    let firmware = info.firmware_version();
    Token {
        choice: TokenChoice {
            serial: info.serial_number().into(),
            label: info.label().into(),
        },
        model: format!("{} {}", info.manufacturer_id(), info.model()),
        firmware: format!("{}.{}", firmware.major(), firmware.minor()),
    }
}

fn tries(info: &TokenInfo) -> Tries {
    if info.user_pin_locked() {
        Tries::Locked
    } else if info.user_pin_final_try() {
        Tries::Last
    } else {
        Tries::Some
    }
}

fn private_key(session: &Session, id: &[u8]) -> Result<ObjectHandle, Failure> {
    let template = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Token(true),
        Attribute::Id(id.to_vec()),
    ];
    let found = session.find_objects(&template).map_err(failed)?;
    match found[..] {
        [key] => Ok(key),
        _ => Err(Failure::NoKey),
    }
}

/// A public key of ours; `None` when it is somebody else's or of a kind that we do not use.
fn public_key(session: &Session, object: ObjectHandle) -> Result<Option<TokenKey>, Failure> {
    let attributes = [
        AttributeType::Id,
        AttributeType::Label,
        AttributeType::EcParams,
        AttributeType::EcPoint,
        AttributeType::Modulus,
        AttributeType::PublicExponent,
    ];
    let mut read = Parts::default();
    // What a token does not have it leaves out, without saying so.
    for attribute in session
        .get_attributes(object, &attributes)
        .map_err(failed)?
    {
        match attribute {
            Attribute::Id(id) => read.id = id,
            Attribute::Label(label) => read.label = label,
            Attribute::EcParams(params) => read.ec_params = params,
            Attribute::EcPoint(point) => read.ec_point = point,
            Attribute::Modulus(modulus) => read.modulus = modulus,
            Attribute::PublicExponent(exponent) => read.exponent = exponent,
            _ => {}
        }
    }
    Ok(read.key())
}

#[derive(Default)]
struct Parts {
    id: Vec<u8>,
    label: Vec<u8>,
    ec_params: Vec<u8>,
    ec_point: Vec<u8>,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl Parts {
    fn key(self) -> Option<TokenKey> {
        let label = String::from_utf8(self.label).ok()?;
        if !label.starts_with(LABEL_PREFIX) {
            return None;
        }
        let (kind, spki) = if self.ec_params == P256_PARAMS {
            // A DER OCTET STRING by the standard, the bare point with some modules.
            let point = self.ec_point.strip_prefix(&[0x04, 0x41]);
            let point = P256Point::from_uncompressed(point.unwrap_or(&self.ec_point))?;
            (Kind::P256, point.to_spki())
        } else if self.modulus.len() == 256 {
            (Kind::Rsa2048, rsa_spki(&self.modulus, &self.exponent))
        } else {
            return None;
        };
        Some(TokenKey {
            id: self.id,
            label,
            kind,
            spki,
        })
    }
}

fn generate(session: &Session, what: &Generate) -> Result<(ObjectHandle, ObjectHandle), Error> {
    let named = || {
        vec![
            Attribute::Token(true),
            Attribute::Label(what.label.clone().into_bytes()),
            Attribute::Id(what.id.clone()),
        ]
    };
    let (mut public, mut private) = (named(), named());
    public.push(Attribute::Private(false));
    private.extend([
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(!what.agrees),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
    ]);
    let mechanism = match what.kind {
        Kind::P256 => {
            public.push(Attribute::EcParams(P256_PARAMS.to_vec()));
            private.push(Attribute::Derive(what.agrees));
            Mechanism::EccKeyPairGen
        }
        Kind::Rsa2048 => {
            public.push(Attribute::ModulusBits(2048.into()));
            public.push(Attribute::PublicExponent(vec![1, 0, 1]));
            Mechanism::RsaPkcsKeyPairGen
        }
    };
    session.generate_key_pair(&mechanism, &public, &private)
}

fn kept_by_token(session: &Session, private: ObjectHandle) -> Result<bool, Error> {
    let attributes = [
        AttributeType::Local,
        AttributeType::AlwaysSensitive,
        AttributeType::NeverExtractable,
    ];
    let read = session.get_attributes(private, &attributes)?;
    let kept = [
        Attribute::Local(true),
        Attribute::AlwaysSensitive(true),
        Attribute::NeverExtractable(true),
    ];
    Ok(kept.iter().all(|wanted| read.contains(wanted)))
}

fn failed(error: Error) -> Failure {
    use RvError as R;
    match error {
        Error::Pkcs11(
            R::TokenNotPresent
            | R::TokenNotRecognized
            | R::DeviceRemoved
            | R::SlotIdInvalid
            | R::SessionClosed
            | R::SessionHandleInvalid,
            _,
        ) => Failure::NoToken,
        Error::Pkcs11(
            R::MechanismInvalid
            | R::MechanismParamInvalid
            | R::FunctionNotSupported
            | R::CurveNotSupported
            | R::KeyFunctionNotPermitted
            | R::KeyTypeInconsistent
            | R::TemplateInconsistent,
            _,
        )
        | Error::NotSupported
        | Error::NullFunctionPointer => Failure::Unsupported(error.to_string()),
        other => Failure::Module(other.to_string()),
    }
}
