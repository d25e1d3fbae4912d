//! The little DER (X.690) that attestation certificates are written in, and read back from slot F9's certificate.

use super::{status::Status, tlv};

/// The algorithms and attributes that occur, as the contents of an OBJECT IDENTIFIER.
pub(crate) mod oid {
    pub(crate) const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1D, 0x13];
    pub(crate) const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
    pub(crate) const RSA_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B];
    pub(crate) const EC: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
    pub(crate) const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
    pub(crate) const P384: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x22];
    pub(crate) const ED25519: &[u8] = &[0x2B, 0x65, 0x70];
    pub(crate) const X25519: &[u8] = &[0x2B, 0x65, 0x6E];
    pub(crate) const ECDSA_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
    /// 1.3.6.1.4.1.41482.3: Yubico, PIV attestation. One more number follows.
    pub(crate) const YUBICO_PIV: [u8; 9] = [0x2B, 0x06, 0x01, 0x04, 0x01, 0x82, 0xC4, 0x0A, 0x03];
}

const NULL: &[u8] = &[0x05, 0x00];

/// Parts one after the other, in a SEQUENCE.
pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv::element(&[0x30], &parts.concat())
}

/// A non-negative INTEGER from its bytes, most significant first.
pub(crate) fn integer(bytes: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = bytes
        .iter()
        .copied()
        .skip_while(|byte| *byte == 0)
        .collect();
    let mut value = Vec::new();
    if digits.first().is_none_or(|first| first & 0x80 != 0) {
        value.push(0);
    }
    value.extend(digits);
    tlv::element(&[0x02], &value)
}

/// A BIT STRING of whole bytes.
pub(crate) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tlv::element(&[0x03], &[&[0], bytes].concat())
}

/// An AlgorithmIdentifier whose parameter is another object identifier, or absent.
pub(crate) fn algorithm(id: &[u8], parameter: Option<&[u8]>) -> Vec<u8> {
    let parameter = parameter.map(|id| tlv::element(&[0x06], id));
    sequence(&[
        &tlv::element(&[0x06], id),
        parameter.as_deref().unwrap_or_default(),
    ])
}

/// An AlgorithmIdentifier of RSA, which has NULL for a parameter.
pub(crate) fn rsa_algorithm(id: &[u8]) -> Vec<u8> {
    sequence(&[&tlv::element(&[0x06], id), NULL])
}

/// A name that consists of a common name.
pub(crate) fn name(common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[
        &tlv::element(&[0x06], oid::COMMON_NAME),
        &tlv::element(&[0x0C], common_name.as_bytes()),
    ]);
    sequence(&[&tlv::element(&[0x31], &attribute)])
}

/// A Validity; a year has two digits in UTCTime and four in GeneralizedTime.
pub(crate) fn validity(days: [&str; 2]) -> Vec<u8> {
    let time = |text: &str| {
        let tag = if text.len() == "YYMMDDhhmmssZ".len() {
            0x17
        } else {
            0x18
        };
        tlv::element(&[tag], text.as_bytes())
    };
    let [first, last] = days;
    sequence(&[&time(first), &time(last)])
}

/// An extension.
pub(crate) fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[0x01, 0x01, 0xFF] } else { &[] };
    sequence(&[
        &tlv::element(&[0x06], id),
        critical,
        &tlv::element(&[0x04], value),
    ])
}

/// Subject and validity of a certificate, both as they stand there.
pub(crate) fn subject_and_validity(certificate: &[u8]) -> Result<[Vec<u8>; 2], Status> {
    let inside = tlv::only(0x30, certificate)?;
    let ((_, body), _) = tlv::first(inside)?;
    // Version, serial number, signature, issuer, validity, subject.
    let [
        (0xA0, _),
        (0x02, _),
        (0x30, _),
        (0x30, _),
        (0x30, validity),
        (0x30, subject),
        ..,
    ] = *tlv::all(body)?
    else {
        return Err(Status::BAD_DATA);
    };
    Ok([subject, validity].map(|value| tlv::element(&[0x30], value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_never_negative_and_have_no_zeros_to_spare() {
        for (bytes, encoded) in [
            (&[][..], &[2, 1, 0][..]),
            (&[0, 0], &[2, 1, 0]),
            (&[0, 0x7F], &[2, 1, 0x7F]),
            (&[0x80], &[2, 2, 0, 0x80]),
            (&[0, 1, 0], &[2, 2, 1, 0]),
        ] {
            assert_eq!(integer(bytes), encoded);
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_subject() {
        for bytes in [&[][..], &[0x30, 0], &[0x30, 2, 0x30, 0], &[0x53, 0]] {
            assert!(subject_and_validity(bytes).is_err());
        }
    }
}
