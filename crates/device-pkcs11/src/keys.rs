//! Key objects of a token: reading, finding, making, in the child process.

use cryptoki::{
    error::{Error, RvError},
    mechanism::Mechanism,
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::Session,
};
use touchkeep_device::public::{P256Point, ed25519_spki, rsa_spki, secp256k1_spki};

use crate::{
    token::failed,
    wire::{Failure, Generate, Kind, TokenKey, Use},
};

/// Labels of our keys begin with this.
pub(crate) const LABEL_PREFIX: &str = "touchkeep ";

// CKA_EC_PARAMS: the DER of an object identifier (RFC 5480, RFC 8410).
const P256_PARAMS: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const SECP256K1_PARAMS: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a];
const ED25519_PARAMS: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];
// The other form of PKCS#11 3.0: a PrintableString.
const ED25519_NAME: &[u8] = b"\x13\x0cedwards25519";

/// Our public keys by their labels, or those of `ids`.
pub(crate) fn listed(session: &Session, ids: &[Vec<u8>]) -> Result<Vec<TokenKey>, Failure> {
    if ids.is_empty() {
        let mut all = public(session, None)?;
        all.retain(|key| key.label.starts_with(LABEL_PREFIX));
        return Ok(all);
    }
    let mut found = Vec::new();
    for id in ids {
        found.extend(public(session, Some(id))?.into_iter().take(1));
    }
    Ok(found)
}

/// Public keys of kinds that we use.
pub(crate) fn public(session: &Session, id: Option<&[u8]>) -> Result<Vec<TokenKey>, Failure> {
    let mut template = vec![
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::Token(true),
    ];
    template.extend(id.map(|id| Attribute::Id(id.to_vec())));
    let mut keys = Vec::new();
    for object in session.find_objects(&template).map_err(failed)? {
        keys.extend(public_key(session, object)?);
    }
    Ok(keys)
}

/// The private key or secret of that CKA_ID.
pub(crate) fn private(session: &Session, what: &Use) -> Result<ObjectHandle, Failure> {
    let class = match what.kind {
        kind if kind.is_secret() => ObjectClass::SECRET_KEY,
        _ => ObjectClass::PRIVATE_KEY,
    };
    let template = [
        Attribute::Class(class),
        Attribute::Token(true),
        Attribute::Id(what.id.clone()),
    ];
    let found = session.find_objects(&template).map_err(failed)?;
    match found[..] {
        [key] => Ok(key),
        _ => Err(Failure::NoKey),
    }
}

pub(crate) fn asks_each_time(session: &Session, key: ObjectHandle) -> Result<bool, Error> {
    let read = session.get_attributes(key, &[AttributeType::AlwaysAuthenticate])?;
    Ok(read.contains(&Attribute::AlwaysAuthenticate(true)))
}

/// A public key; `None` when it is of a kind that we do not use.
pub(crate) fn public_key(
    session: &Session,
    object: ObjectHandle,
) -> Result<Option<TokenKey>, Failure> {
    let attributes = [
        AttributeType::Id,
        AttributeType::Label,
        AttributeType::EcParams,
        AttributeType::EcPoint,
        AttributeType::Modulus,
        AttributeType::PublicExponent,
        AttributeType::Local,
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
            Attribute::Local(local) => read.imported = !local,
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
    imported: bool,
}

impl Parts {
    // By its name, or with all parameters written out, as ykcs11 does; that the point is on this curve is checked anyway.
    fn may_be_p256(&self) -> bool {
        let written_out = self.ec_params.first() == Some(&0x30);
        self.ec_params == P256_PARAMS || written_out
    }

    fn key(self) -> Option<TokenKey> {
        let (kind, spki) = if self.may_be_p256() {
            // A DER OCTET STRING by the standard, the bare point with some modules.
            let point = self.ec_point.strip_prefix(&[0x04, 0x41]);
            let point = P256Point::from_uncompressed(point.unwrap_or(&self.ec_point))?;
            (Kind::P256, point.to_spki())
        } else if self.ec_params == SECP256K1_PARAMS {
            let point = self.ec_point.strip_prefix(&[0x04, 0x41]);
            let spki = secp256k1_spki(point.unwrap_or(&self.ec_point))?;
            (Kind::Secp256k1, spki)
        } else if self.ec_params == ED25519_PARAMS || self.ec_params == ED25519_NAME {
            let point = self.ec_point.strip_prefix(&[0x04, 0x20]);
            let raw = point.unwrap_or(&self.ec_point).try_into().ok()?;
            (Kind::Ed25519, ed25519_spki(raw))
        } else {
            let kind = match self.modulus.iter().skip_while(|byte| **byte == 0).count() {
                256 => Kind::Rsa2048,
                384 => Kind::Rsa3072,
                512 => Kind::Rsa4096,
                _ => return None,
            };
            (kind, rsa_spki(&self.modulus, &self.exponent))
        };
        Some(TokenKey {
            id: self.id,
            label: String::from_utf8(self.label).ok()?,
            kind,
            spki,
            imported: self.imported,
        })
    }
}

/// Makes a key pair, and looks whether the token made it itself, keeps it, and asks where it should.
pub(crate) fn generate(session: &Session, what: &Generate) -> Result<TokenKey, Failure> {
    let (public, private) = generate_pair(session, what).map_err(not_made)?;
    let read = public_key(session, public);
    let kept = is_as_ordered(session, private, what);
    match (read, kept) {
        (Ok(Some(key)), Ok(true)) => Ok(key),
        (read, kept) => {
            for object in [public, private] {
                session.destroy_object(object).map_err(failed)?;
            }
            read?;
            kept.map_err(failed)?;
            let text = "a key that it did not make itself, would give away, or does not ask for";
            Err(Failure::Unexpected(text.into()))
        }
    }
}

// Some say no more than that to a kind of key that they do not have; whoever asked tries the next.
fn not_made(error: Error) -> Failure {
    match error {
        Error::Pkcs11(RvError::GeneralError | RvError::FunctionFailed, _) => {
            Failure::Unsupported(error.to_string())
        }
        other => failed(other),
    }
}

/// CKA_EC_PARAMS of a kind of key on a curve.
pub(crate) const fn curve(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Ed25519 => &ED25519_PARAMS,
        Kind::Secp256k1 => &SECP256K1_PARAMS,
        _ => &P256_PARAMS,
    }
}

pub(crate) fn named(what: &Generate) -> Vec<Attribute> {
    vec![
        Attribute::Token(true),
        Attribute::Label(what.label.clone().into_bytes()),
        Attribute::Id(what.id.clone()),
    ]
}

fn generate_pair(
    session: &Session,
    what: &Generate,
) -> Result<(ObjectHandle, ObjectHandle), Error> {
    let rsa = |bits: u64| (Mechanism::RsaPkcsKeyPairGen, Some(bits));
    let (mechanism, bits) = match what.kind {
        Kind::P256 | Kind::Secp256k1 => (Mechanism::EccKeyPairGen, None),
        Kind::Ed25519 => (Mechanism::EccEdwardsKeyPairGen, None),
        Kind::Rsa2048 => rsa(2048),
        Kind::Rsa3072 => rsa(3072),
        Kind::Rsa4096 => rsa(4096),
        Kind::HmacSha256 | Kind::HmacSha384 | Kind::HmacSha512 => return Err(Error::NotSupported),
    };
    let (mut public, mut private) = (named(what), named(what));
    public.push(Attribute::Private(false));
    private.extend([
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(!what.opens),
        Attribute::Decrypt(what.opens && bits.is_some()),
        Attribute::Unwrap(false),
    ]);
    // Left out where it is not wanted: some tokens do not know it.
    private.extend(what.asks.then_some(Attribute::AlwaysAuthenticate(true)));
    if let Some(bits) = bits {
        public.push(Attribute::ModulusBits(bits.into()));
        public.push(Attribute::PublicExponent(vec![1, 0, 1]));
    } else {
        public.push(Attribute::EcParams(curve(what.kind).to_vec()));
        private.push(Attribute::Derive(what.opens));
    }
    session.generate_key_pair(&mechanism, &public, &private)
}

fn is_as_ordered(session: &Session, private: ObjectHandle, what: &Generate) -> Result<bool, Error> {
    let kept = what.may_leave || is_kept(session, private)?;
    Ok(kept && asks_each_time(session, private)? == what.asks)
}

/// Whether the token says that it made a private key itself and never gave it away.
pub(crate) fn is_kept(session: &Session, private: ObjectHandle) -> Result<bool, Error> {
    let kept = [
        Attribute::Local(true),
        Attribute::AlwaysSensitive(true),
        Attribute::NeverExtractable(true),
    ];
    says(session, private, &kept)
}

pub(crate) fn says(
    session: &Session,
    object: ObjectHandle,
    wanted: &[Attribute],
) -> Result<bool, Error> {
    let types: Vec<_> = wanted.iter().map(Attribute::attribute_type).collect();
    let read = session.get_attributes(object, &types)?;
    Ok(wanted.iter().all(|wanted| read.contains(wanted)))
}

/// Destroys what was made under this CKA_ID and label.
pub(crate) fn discard(session: &Session, what: &Generate) -> Result<(), Failure> {
    for object in session.find_objects(&named(what)).map_err(failed)? {
        session.destroy_object(object).map_err(failed)?;
    }
    Ok(())
}
