//! The certificate in a slot: where a key says what it is for. It vouches for nothing; a vault knows its keys by their
//! public halves.
//!
//! The two keys that files are encrypted to carry the subject and the policy extension of `age-plugin-yubikey`, so that
//! stock `age` finds them. Unknown critical extensions would make it refuse the slot, so there are none.

use touchkeep_device::{
    Algorithm, PinPolicy, Purpose, TouchPolicy,
    public::{tlv, unsigned},
};

use crate::ber;

const AGE_ORGANIZATION: &str = "age-plugin-yubikey";
const OUR_ORGANIZATION: &str = "touchkeep";

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const OCTETS: u8 = 0x04;
const BITS: u8 = 0x03;

// RFC 5280, appendix A.1; RFC 5758; RFC 4055; RFC 8410; Yubico's PIV attestation page.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const POLICY: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xc4, 0x0a, 0x03, 0x08];
// From the first firmware of YubiKey 5 on, without an end (RFC 5280, 4.1.2.5): no clock is asked.
const VALIDITY: [(u8, &[u8]); 2] = [(0x17, b"180101000000Z"), (0x18, b"99991231235959Z")];

/// Where a key was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In the card: nobody has a copy.
    Generated,
    /// Somewhere else: whoever had it then may have it still.
    Imported,
}

impl Origin {
    const fn mark(self) -> &'static str {
        match self {
            Self::Generated => "",
            Self::Imported => " imported",
        }
    }
}

/// What we read of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// What its subject says that the key is for, when it is one of ours.
    pub(crate) purpose: Option<Purpose>,
    /// Whether `age-plugin-yubikey` made it for itself.
    pub(crate) age_plugin: bool,
    /// The common name, as somebody wrote it.
    pub(crate) name: Option<String>,
    pub(crate) spki: Vec<u8>,
    pub(crate) policy: Option<(PinPolicy, TouchPolicy)>,
}

impl Certificate {
    /// From DER; `None` when it is none.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (certificate, _) = ber::expect(SEQUENCE, der)?;
        let (to_sign, _) = ber::expect(SEQUENCE, certificate)?;
        // Version 1 is the one that is not written.
        let rest = ber::expect(0xa0, to_sign).map_or(to_sign, |(_version, rest)| rest);
        let (_serial, rest) = ber::expect(0x02, rest)?;
        let (_algorithm, rest) = ber::expect(SEQUENCE, rest)?;
        let (_issuer, rest) = ber::expect(SEQUENCE, rest)?;
        let (_validity, rest) = ber::expect(SEQUENCE, rest)?;
        let (subject, rest) = ber::expect(SEQUENCE, rest)?;
        let (spki, rest) = ber::expect(SEQUENCE, rest)?;
        let name = |kind| attribute(kind, subject);
        let (organization, common_name) = (name(ORGANIZATION), name(COMMON_NAME));
        let purpose = organization.and_then(|organization| purpose(organization, common_name?));
        Some(Self {
            purpose,
            age_plugin: purpose.is_none() && organization == Some(AGE_ORGANIZATION),
            name: common_name.map(str::to_owned),
            spki: tlv(SEQUENCE, spki),
            policy: ber::find(0xa3, rest).and_then(policy),
        })
    }
}

fn attribute<'a>(kind: &[u8], name: &'a [u8]) -> Option<&'a str> {
    ber::each(name).find_map(|(_, set)| {
        let (pair, _) = ber::expect(SEQUENCE, set)?;
        let (found, rest) = ber::expect(OID, pair)?;
        let (tag, text, _) = ber::read(rest)?;
        let text = std::str::from_utf8(text).ok()?;
        (found == kind && matches!(tag, UTF8 | PRINTABLE)).then_some(text)
    })
}

fn purpose(organization: &str, common_name: &str) -> Option<Purpose> {
    match (organization, common_name) {
        (AGE_ORGANIZATION, "touchkeep unlock") => Some(Purpose::Unlock),
        (AGE_ORGANIZATION, "touchkeep seal") => Some(Purpose::Seal),
        (OUR_ORGANIZATION, "touchkeep sign-vault") => Some(Purpose::SignVault),
        (OUR_ORGANIZATION, name) if name.starts_with("touchkeep request-") => {
            Some(Purpose::Request)
        }
        _ => None,
    }
}

fn policy(extensions: &[u8]) -> Option<(PinPolicy, TouchPolicy)> {
    let (list, _) = ber::expect(SEQUENCE, extensions)?;
    ber::each(list).find_map(|(_, extension)| {
        let (kind, _) = ber::expect(OID, extension)?;
        match (kind == POLICY, ber::find(OCTETS, extension)?) {
            (true, [pin, touch]) => {
                Some((PinPolicy::from_byte(*pin)?, TouchPolicy::from_byte(*touch)?))
            }
            _ => None,
        }
    })
}

/// A certificate that waits for its signature.
pub(crate) struct Unsigned {
    to_sign: Vec<u8>,
    algorithm: Vec<u8>,
}

impl Unsigned {
    /// For the key in `slot`. `serial` is random, of at most 127 bits.
    pub(crate) fn new(
        purpose: Purpose,
        slot: u8,
        algorithm: Algorithm,
        spki: &[u8],
        (pin, touch): (PinPolicy, TouchPolicy),
        origin: Origin,
        serial: [u8; 16],
    ) -> Self {
        let (organization, common_name) = match purpose {
            Purpose::Unlock => (AGE_ORGANIZATION, "touchkeep unlock".into()),
            Purpose::Seal => (AGE_ORGANIZATION, "touchkeep seal".into()),
            Purpose::SignVault => (OUR_ORGANIZATION, "touchkeep sign-vault".into()),
            Purpose::Request => (
                OUR_ORGANIZATION,
                format!("touchkeep request-{slot:02x}{}", origin.mark()),
            ),
        };
        let name = [
            name_part(ORGANIZATION, organization),
            name_part(COMMON_NAME, &common_name),
        ];
        let name = tlv(SEQUENCE, &name.concat());
        let algorithm = match algorithm {
            Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => {
                [tlv(OID, RSA_SHA256), vec![0x05, 0]].concat()
            }
            Algorithm::Ed25519 => tlv(OID, ED25519),
            _ => tlv(OID, ECDSA_SHA256),
        };
        let algorithm = tlv(SEQUENCE, &algorithm);
        let validity = VALIDITY.map(|(tag, time)| tlv(tag, time)).concat();
        let policy = tlv(OCTETS, &[pin.byte(), touch.byte()]);
        let extension = tlv(SEQUENCE, &[tlv(OID, POLICY), policy].concat());
        let parts = [
            tlv(0xa0, &unsigned(&[2])),
            unsigned(&serial),
            algorithm.clone(),
            name.clone(),
            tlv(SEQUENCE, &validity),
            name,
            spki.to_vec(),
            tlv(0xa3, &tlv(SEQUENCE, &extension)),
        ];
        Self {
            to_sign: tlv(SEQUENCE, &parts.concat()),
            algorithm,
        }
    }

    /// What the key signs.
    pub(crate) fn to_sign(&self) -> &[u8] {
        &self.to_sign
    }

    /// The certificate.
    pub(crate) fn signed(&self, signature: &[u8]) -> Vec<u8> {
        let bits = tlv(BITS, &[&[0], signature].concat());
        tlv(
            SEQUENCE,
            &[&self.to_sign[..], &self.algorithm, &bits].concat(),
        )
    }
}

fn name_part(kind: &[u8], text: &str) -> Vec<u8> {
    let pair = [tlv(OID, kind), tlv(UTF8, text.as_bytes())].concat();
    tlv(SET, &tlv(SEQUENCE, &pair))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use aws_lc_rs::{
        encoding::AsDer,
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
    };
    use proptest::prelude::*;

    use super::*;

    fn made(purpose: Purpose) -> (Vec<u8>, Vec<u8>) {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let spki = AsDer::as_der(key.public_key()).unwrap().as_ref().to_vec();
        let policy = (PinPolicy::Once, TouchPolicy::Always);
        let unsigned = Unsigned::new(
            purpose,
            0x85,
            Algorithm::P256,
            &spki,
            policy,
            Origin::Generated,
            [0x7f; 16],
        );
        let signature = key.sign(&SystemRandom::new(), unsigned.to_sign()).unwrap();
        (unsigned.signed(signature.as_ref()), spki)
    }

    #[test]
    fn what_is_written_is_read() {
        for purpose in [
            Purpose::Unlock,
            Purpose::Seal,
            Purpose::SignVault,
            Purpose::Request,
        ] {
            let (der, spki) = made(purpose);
            let read = Certificate::read(&der).unwrap();
            assert_eq!(read.purpose, Some(purpose));
            assert_eq!(read.spki, spki);
            assert_eq!(read.policy, Some((PinPolicy::Once, TouchPolicy::Always)));
        }
    }

    #[test]
    fn openssl_finds_the_self_signature_good() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.pem");
        let (der, _) = made(Purpose::Seal);
        std::fs::write(dir.path().join("c.der"), der).unwrap();
        let convert = Command::new("openssl")
            .args(["x509", "-inform", "DER", "-in"])
            .arg(dir.path().join("c.der"))
            .arg("-out")
            .arg(&path)
            .status()
            .unwrap();
        assert!(convert.success());
        let verified = Command::new("openssl")
            .args(["verify", "-check_ss_sig", "-CAfile"])
            .args([&path, &path])
            .output()
            .unwrap();
        assert!(verified.status.success(), "{verified:?}");
    }

    #[test]
    fn a_strangers_name_has_no_purpose() {
        assert_eq!(purpose(OUR_ORGANIZATION, "touchkeep unlock"), None);
        assert_eq!(purpose(AGE_ORGANIZATION, "age identity 5e6f"), None);
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_is_read_or_refused(at in 0usize..300, value: u8) {
            let (mut der, _) = made(Purpose::Unlock);
            if let Some(byte) = der.get_mut(at) {
                *byte = value;
            }
            let _ = Certificate::read(&der);
            let _ = Certificate::read(&der[..at.min(der.len())]);
        }
    }
}
