//! Uses of a key, in the child process: agreeing, decrypting, signing.

use cryptoki::{
    error::{Error, RvError},
    mechanism::{
        Mechanism, MechanismType,
        eddsa::{EddsaParams, EddsaSignatureScheme},
        elliptic_curve::{EcKdf, Ecdh1DeriveParams},
        rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource},
    },
    object::{Attribute, AttributeType, KeyType, ObjectClass},
};
use touchkeep_device::{MAC_CHECK, stanza::SSH_RSA_LABEL};
use zeroize::Zeroizing;

use crate::{
    keys,
    raw::Raw,
    session::{Entry, Key, Opened},
    token::{Module, failed},
    wire::{Failure, Kind, Reply, Use},
};

const X_BYTES: u64 = 32;

impl Module {
    /// The x-coordinate of the key times `point`.
    pub(crate) fn agree(
        &mut self,
        what: &Use,
        pin: &[u8],
        point: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.within(Entry::of(what, pin), |_, session| {
            let key = session.key(what, |session, _| has_public_half(session, what))?;
            derived(session, key, point)
        })
    }

    /// What is in `sealed`: decrypted by the token with RSA-OAEP, or the block with its padding, where it cannot.
    pub(crate) fn decrypt(
        &mut self,
        what: &Use,
        pin: &[u8],
        sealed: &[u8],
    ) -> Result<(Reply, Zeroizing<Vec<u8>>), Failure> {
        self.within(Entry::of(what, pin), |raw, session| {
            let key = session.key(what, |session, _| has_public_half(session, what))?;
            let consent = |session: &Opened| session.consent(key, what.login.how, pin);
            match with_oaep(raw, session, key, sealed, consent)? {
                Oaep::Opened(text) => return Ok((Reply::Body, text)),
                // A key that asks has been asked, and is not asked twice.
                Oaep::Failed if key.asks => return Err(Failure::NotOpened),
                Oaep::Failed => {
                    session.renew()?;
                    without_padding(raw, session, key, sealed, consent).map_err(|failure| {
                        match failure {
                            Failure::Unsupported(_) | Failure::Module(_) => Failure::NotOpened,
                            lost => lost,
                        }
                    })
                }
                Oaep::Unknown => without_padding(raw, session, key, sealed, consent),
            }
            .map(|block| (Reply::Block, block))
        })
    }

    /// Whether the token made the key itself, and has kept it ever since.
    pub(crate) fn keeps(&mut self, what: &Use, pin: &[u8]) -> Result<bool, Failure> {
        self.within(Entry::of(what, pin), |_, session| {
            let key = session.key(what, |session, _| has_public_half(session, what))?;
            keys::is_kept(&session.inner, key.handle).map_err(failed)
        })
    }

    /// A signature or MAC: for ECDSA over a hash, as r and s; else over a message.
    pub(crate) fn sign(
        &mut self,
        what: &Use,
        pin: &[u8],
        message: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        self.within(Entry::of(what, pin), |raw, session| {
            let key = session.key(what, |session, key| match what.kind {
                Kind::HmacSha256 | Kind::HmacSha384 | Kind::HmacSha512 => {
                    Ok(signed(raw, session, key, what, pin, MAC_CHECK)? == what.public)
                }
                _ => has_public_half(session, what),
            })?;
            signed(raw, session, key, what, pin, message)
        })
    }
}

fn has_public_half(session: &Opened, what: &Use) -> Result<bool, Failure> {
    let found = keys::public(&session.inner, Some(&what.id))?;
    Ok(found.iter().any(|key| key.spki == what.public))
}

fn derived(session: &Opened, key: Key, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failure> {
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
    let session = &session.inner;
    let secret = session.derive_key(&mechanism, key.handle, &template);
    let secret = secret.map_err(failed)?;
    let value = session.get_attributes(secret, &[AttributeType::Value]);
    session.destroy_object(secret).map_err(failed)?;
    match value.map_err(failed)?.pop() {
        Some(Attribute::Value(x)) => Ok(Zeroizing::new(x)),
        _ => Err(Failure::Unsupported(
            "key agreement whose result may be read".into(),
        )),
    }
}

enum Oaep {
    Opened(Zeroizing<Vec<u8>>),
    /// It was not opened. Perhaps it is not for the key; perhaps the token does OAEP in its own way (a TPM hashes labels with a
    /// zero behind them). We look ourselves, if it lets us; whoever asks learns the same in either case.
    Failed,
    /// The token does not know this kind of OAEP.
    Unknown,
}

fn with_oaep(
    raw: &Raw,
    session: &Opened,
    key: Key,
    sealed: &[u8],
    consent: impl Fn(&Opened) -> Result<(), Failure>,
) -> Result<Oaep, Failure> {
    let label = PkcsOaepSource::data_specified(SSH_RSA_LABEL);
    let parameters = PkcsOaepParams::new(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, label);
    let mechanism = Mechanism::RsaPkcsOaep(parameters);
    match raw.begin_to_decrypt(&session.inner, &mechanism, key.handle) {
        Err(error) if is_of_the_mechanism(&error) => return Ok(Oaep::Unknown),
        begun => begun.map_err(failed)?,
    }
    consent(session)?;
    match raw.decrypt(&session.inner, sealed) {
        Ok(text) => Ok(Oaep::Opened(text)),
        Err(error) if is_of_the_mechanism(&error) || may_be_of_the_padding(&error) => {
            Ok(Oaep::Failed)
        }
        Err(error) => Err(failed(error)),
    }
}

fn without_padding(
    raw: &Raw,
    session: &Opened,
    key: Key,
    sealed: &[u8],
    consent: impl Fn(&Opened) -> Result<(), Failure>,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let begun = raw.begin_to_decrypt(&session.inner, &Mechanism::RsaX509, key.handle);
    begun.map_err(failed)?;
    consent(session)?;
    let number = match raw.decrypt(&session.inner, sealed) {
        Err(Error::Pkcs11(RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange, _)) => {
            return Err(Failure::NotOpened);
        }
        number => number.map_err(failed)?,
    };
    // Some leave out zeros in front.
    let missing = sealed.len().saturating_sub(number.len());
    let mut block = Zeroizing::new(Vec::with_capacity(sealed.len()));
    block.resize(missing, 0);
    block.extend_from_slice(&number);
    Ok(block)
}

const fn is_of_the_mechanism(error: &Error) -> bool {
    use RvError as R;
    matches!(
        error,
        Error::Pkcs11(
            R::MechanismInvalid
                | R::MechanismParamInvalid
                | R::ArgumentsBad
                | R::FunctionNotSupported,
            _
        ) | Error::NullFunctionPointer
    )
}

// What a token may say of a wrong padding is said in one way, whatever it was: see `NotOpened`.
const fn may_be_of_the_padding(error: &Error) -> bool {
    use RvError as R;
    matches!(
        error,
        Error::Pkcs11(
            R::EncryptedDataInvalid
                | R::EncryptedDataLenRange
                | R::DataInvalid
                | R::DataLenRange
                | R::GeneralError
                | R::FunctionFailed,
            _
        )
    )
}

fn signed(
    raw: &Raw,
    session: &Opened,
    key: Key,
    what: &Use,
    pin: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, Failure> {
    let mechanism = match what.kind {
        Kind::P256 | Kind::Secp256k1 => Mechanism::Ecdsa,
        Kind::Ed25519 => Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)),
        Kind::Rsa2048 | Kind::Rsa3072 | Kind::Rsa4096 => Mechanism::Sha256RsaPkcs,
        Kind::HmacSha256 => Mechanism::Sha256Hmac,
        Kind::HmacSha384 => Mechanism::Sha384Hmac,
        Kind::HmacSha512 => Mechanism::Sha512Hmac,
    };
    let begun = raw.begin_to_sign(&session.inner, &mechanism, key.handle);
    begun.map_err(failed)?;
    session.consent(key, what.login.how, pin)?;
    raw.sign(&session.inner, message).map_err(failed)
}
