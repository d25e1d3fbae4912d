//! Certificates (RFC 5280), read strictly: DER with nothing left over, version 3, no critical extension that is not known.

use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256,
    UnparsedPublicKey,
};

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const OCTETS: u8 = 0x04;
const NULL: u8 = 0x05;
const OID: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const TIMES: [u8; 2] = [0x17, 0x18];

// RFC 5280, appendix A; RFC 4055; RFC 5758; RFC 5480.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
const RSA_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// A certificate, as far as it matters here; all of it points into its DER.
pub(super) struct Certificate<'a> {
    to_sign: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    /// The whole SubjectPublicKeyInfo.
    pub(super) spki: &'a [u8],
    /// The basic constraints, where there are some.
    pub(super) may_sign: Option<Authority>,
    key_usage: Option<&'a [u8]>,
    extensions: Vec<(&'a [u8], &'a [u8])>,
}

/// Basic constraints (RFC 5280, 4.2.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority {
    /// Whether it may sign certificates.
    pub(super) authority: bool,
    /// How many certificates may stand between those that it signs and the last.
    pub(super) path_length: Option<u8>,
}

impl<'a> Certificate<'a> {
    /// From DER; `None` when it is none, or one that must not be used.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut outer = whole(der, SEQUENCE)?;
        let to_sign = outer.take_with_head(SEQUENCE)?;
        let algorithm = outer.take_with_head(SEQUENCE)?;
        let signature = bits(outer.take(BITS)?)?;
        outer.end()?;

        let mut fields = whole(to_sign, SEQUENCE)?;
        let mut version = Reader(fields.take(VERSION)?);
        (version.take(INTEGER)? == [2]).then_some(())?;
        version.end()?;
        fields.take(INTEGER)?;
        (fields.take_with_head(SEQUENCE)? == algorithm).then_some(())?;
        let issuer = fields.take_with_head(SEQUENCE)?;
        let mut validity = Reader(fields.take(SEQUENCE)?);
        for _ in 0..2 {
            let (tag, _) = validity.next()?;
            TIMES.contains(&tag).then_some(())?;
        }
        validity.end()?;
        let subject = fields.take_with_head(SEQUENCE)?;
        let spki = fields.take_with_head(SEQUENCE)?;
        let mut extensions = Reader(fields.take(EXTENSIONS)?);
        let list = extensions.take(SEQUENCE)?;
        extensions.end()?;
        fields.end()?;

        let mut certificate = Self {
            to_sign,
            algorithm,
            signature,
            issuer,
            subject,
            spki,
            may_sign: None,
            key_usage: None,
            extensions: Vec::new(),
        };
        let mut list = Reader(list);
        while !list.0.is_empty() {
            certificate.extend(list.take(SEQUENCE)?)?;
        }
        Some(certificate)
    }

    fn extend(&mut self, extension: &'a [u8]) -> Option<()> {
        let mut extension = Reader(extension);
        let oid = extension.take(OID)?;
        let critical = match extension.next()? {
            (BOOLEAN, [0xff]) => true,
            (OCTETS, value) => return self.add(oid, false, value, &extension),
            _ => return None,
        };
        let value = extension.take(OCTETS)?;
        self.add(oid, critical, value, &extension)
    }

    fn add(
        &mut self,
        oid: &'a [u8],
        critical: bool,
        value: &'a [u8],
        rest: &Reader<'_>,
    ) -> Option<()> {
        rest.end()?;
        if self.extension(oid).is_some() {
            return None;
        }
        self.extensions.push((oid, value));
        match oid {
            BASIC_CONSTRAINTS => self.may_sign = Some(Authority::read(value)?),
            KEY_USAGE => self.key_usage = Some(bits_with_padding(value)?),
            _ if critical => return None,
            _ => {}
        }
        Some(())
    }

    /// The value of an extension.
    pub(super) fn extension(&self, oid: &[u8]) -> Option<&'a [u8]> {
        let mut found = self.extensions.iter().filter(|(known, _)| *known == oid);
        found.next().map(|(_, value)| *value)
    }

    /// The common name, when the subject is that and nothing else.
    pub(super) fn subject_name(&self) -> Option<&'a str> {
        let mut set = whole(self.subject, SEQUENCE)?;
        let mut pair = Reader(set.take(SET)?);
        set.end()?;
        let mut parts = Reader(pair.take(SEQUENCE)?);
        pair.end()?;
        (parts.take(OID)? == COMMON_NAME).then_some(())?;
        let (tag, text) = parts.next()?;
        parts.end()?;
        let text = std::str::from_utf8(text).ok()?;
        matches!(tag, UTF8 | PRINTABLE).then_some(text)
    }

    /// Whether it may sign a certificate that has `below` others between it and the last.
    pub(super) fn signs_certificates(&self, below: u8) -> bool {
        const KEY_CERT_SIGN: u8 = 0x04;
        let rule = self.may_sign.is_some_and(|rule| {
            rule.authority && rule.path_length.is_none_or(|length| below <= length)
        });
        let usage = self
            .key_usage
            .is_none_or(|usage| usage.first().is_some_and(|byte| byte & KEY_CERT_SIGN != 0));
        rule && usage
    }

    /// Whether the owner of this key signed it.
    pub(super) fn is_signed_by(&self, spki: &[u8]) -> bool {
        let Some(algorithm) = verification(self.algorithm) else {
            return false;
        };
        UnparsedPublicKey::new(algorithm, spki)
            .verify(self.to_sign, self.signature)
            .is_ok()
    }
}

impl Authority {
    fn read(value: &[u8]) -> Option<Self> {
        let mut fields = whole(value, SEQUENCE)?;
        let mut rule = Self {
            authority: false,
            path_length: None,
        };
        if fields.0.first() == Some(&BOOLEAN) {
            rule.authority = fields.take(BOOLEAN)? == [0xff];
            rule.authority.then_some(())?;
        }
        if !fields.0.is_empty() {
            let [length @ 0..=0x7f] = fields.take(INTEGER)? else {
                return None;
            };
            rule.path_length = Some(*length);
        }
        fields.end()?;
        Some(rule)
    }
}

/// What checks a signature with this AlgorithmIdentifier. Yubico writes that of RSA with its NULL and without.
fn verification(algorithm: &[u8]) -> Option<&'static dyn signature::VerificationAlgorithm> {
    let mut fields = whole(algorithm, SEQUENCE)?;
    let oid = fields.take(OID)?;
    let parameters = match fields.0 {
        [] => false,
        [NULL, 0] => true,
        _ => return None,
    };
    match (oid, parameters) {
        (RSA_SHA256, _) => Some(&RSA_PKCS1_2048_8192_SHA256),
        (ECDSA_SHA256, false) => Some(&ECDSA_P256_SHA256_ASN1),
        (ECDSA_SHA384, false) => Some(&ECDSA_P384_SHA384_ASN1),
        _ => None,
    }
}

/// Whether a SubjectPublicKeyInfo is of an RSA key.
pub(super) fn is_rsa(spki: &[u8]) -> bool {
    let oid = || {
        let mut fields = whole(spki, SEQUENCE)?;
        Reader(fields.take(SEQUENCE)?).take(OID)
    };
    oid() == Some(RSA_KEY)
}

/// One element: tag, value, and what follows. Single-byte tags; the shortest form of the length, below 64 KiB.
pub(super) fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = match rest.split_first()? {
        (short @ 0..=0x7f, rest) => (usize::from(*short), rest),
        (0x81, rest) => match rest.split_first()? {
            (length @ 0x80.., rest) => (usize::from(*length), rest),
            _ => return None,
        },
        (0x82, rest) => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = u16::from_be_bytes(*length);
            (length >= 0x100).then_some((usize::from(length), rest))?
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((*tag, value, rest))
}

fn whole(der: &[u8], tag: u8) -> Option<Reader<'_>> {
    let mut reader = Reader(der);
    let value = reader.take(tag)?;
    reader.end()?;
    Some(Reader(value))
}

// Whole bytes.
fn bits(value: &[u8]) -> Option<&[u8]> {
    let (unused, bits) = value.split_first()?;
    (*unused == 0).then_some(bits)
}

fn bits_with_padding(value: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(value);
    let value = reader.take(BITS)?;
    reader.end()?;
    let (unused, bits) = value.split_first()?;
    let padding = 1u8.checked_shl(u32::from(*unused))?.checked_sub(1)?;
    (*unused < 8 && bits.last()? & padding == 0).then_some(bits)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, value, rest) = element(self.0)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, value) = self.next()?;
        (found == tag).then_some(value)
    }

    fn take_with_head(&mut self, tag: u8) -> Option<&'a [u8]> {
        let before = self.0;
        self.take(tag)?;
        before.get(..before.len().checked_sub(self.0.len())?)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
