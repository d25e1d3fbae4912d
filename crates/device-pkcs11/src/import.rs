//! Keys that were made elsewhere: stored once, used from then on, never read. Storing them in the child process.

use cryptoki::{
    error::Error,
    object::{Attribute, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use touchkeep_device::public::{P256Point, ed25519_raw, secp256k1_point, tlv};
use zeroize::Zeroize;

use crate::{
    keys::{curve, named, says},
    token::failed,
    wire::{Failure, Generate, Kind},
};

/// Stores a secret or a private key, from which on it does not leave the token; beside a private key its public half.
pub(crate) fn import(
    session: &Session,
    what: &Generate,
    public: &[u8],
    secret: &[u8],
) -> Result<(), Failure> {
    let mut template = named(what);
    match what.kind {
        Kind::HmacSha256 | Kind::HmacSha384 | Kind::HmacSha512 => template.extend([
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Verify(false),
        ]),
        kind => template.extend([
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(on_curve(kind)?),
            Attribute::EcParams(curve(kind).to_vec()),
            Attribute::Derive(false),
        ]),
    }
    template.extend([
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        // EXPOSE: the secret, to the token that keeps it; wiped below.
        Attribute::Value(secret.to_vec()),
    ]);
    let stored = session.create_object(&template);
    for attribute in &mut template {
        if let Attribute::Value(value) = attribute {
            value.zeroize();
        }
    }
    let object = stored.map_err(failed)?;
    let whole = kept(session, object, what).and_then(|()| match what.kind {
        Kind::HmacSha256 | Kind::HmacSha384 | Kind::HmacSha512 => Ok(()),
        _ => public_half(session, what, public),
    });
    if whole.is_err() {
        session.destroy_object(object).map_err(failed)?;
    }
    whole
}

fn kept(session: &Session, object: ObjectHandle, what: &Generate) -> Result<(), Failure> {
    let kept = [Attribute::Sensitive(true), Attribute::Extractable(false)];
    if what.may_leave || says(session, object, &kept).map_err(failed)? {
        return Ok(());
    }
    let text = "a secret that it would give away again";
    Err(Failure::Unexpected(text.into()))
}

fn on_curve(kind: Kind) -> Result<KeyType, Failure> {
    match kind {
        Kind::P256 | Kind::Secp256k1 => Ok(KeyType::EC),
        Kind::Ed25519 => Ok(KeyType::EC_EDWARDS),
        _ => Err(Failure::Unsupported(Error::NotSupported.to_string())),
    }
}

fn public_half(session: &Session, what: &Generate, spki: &[u8]) -> Result<(), Failure> {
    let point = match what.kind {
        Kind::P256 => P256Point::from_spki(spki).map(|point| point.uncompressed().to_vec()),
        Kind::Secp256k1 => secp256k1_point(spki).map(<[u8]>::to_vec),
        _ => ed25519_raw(spki).map(|raw| raw.to_vec()),
    };
    let point = point.ok_or_else(|| Failure::Unexpected("a public key of another kind".into()))?;
    let mut template = named(what);
    template.extend([
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(on_curve(what.kind)?),
        Attribute::Private(false),
        Attribute::EcParams(curve(what.kind).to_vec()),
        Attribute::EcPoint(tlv(0x04, &point)),
    ]);
    session.create_object(&template).map(drop).map_err(failed)
}
