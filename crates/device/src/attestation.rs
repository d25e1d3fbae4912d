//! Whether a key was made in a YubiKey: what its maker signed about it, checked without I/O and without a clock.
//!
//! A YubiKey signs a certificate for a key that was generated in it ("attestation": firmware, serial number, PIN and touch
//! policy; <https://developers.yubico.com/PIV/Introduction/PIV_attestation.html>, read 2026-11-26) with the key in its slot
//! f9, whose certificate its maker signed. An imported key cannot be attested. What this proves is that the key is in a
//! YubiKey and nowhere else, with these policies; not whose YubiKey it is, nor that it is there now.
//!
//! # Why no dates
//! The dates in these certificates are constants (2016 to 2052, 2024 to 9999), say nothing of when a key was made, and there
//! is no revocation. A wrong clock could only make good keys bad, or be the way to do so. So they are parsed and not compared.
//!
//! # Where this is looser than RFC 5280
//! The maker's older roots signed f9 certificates that a strict reader refuses: those of YubiKey 4 do not say that they may
//! sign, and the roots of 2014 and 2016 say that nothing may be below what they sign. Both are let pass for these roots
//! alone, and the first only where f9 says firmware 4. Everywhere else the path is checked as section 6.1 has it.

mod issuers;
mod statement;
mod x509;

use crate::device::{PinPolicy, TouchPolicy};
use issuers::{ISSUERS, Issuer};
use x509::Certificate;

/// Which roots are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Yubico's.
    Yubico,
    /// Yubico's, and that of the practice card, whose key anybody can read. For practice vaults alone.
    YubicoAndPractice,
}

impl Trust {
    /// What a vault believes that is a practice one, or is not.
    #[must_use]
    pub const fn of(practice: bool) -> Self {
        if practice {
            Self::YubicoAndPractice
        } else {
            Self::Yubico
        }
    }
}

/// The root that a chain ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// `Yubico PIV Root CA Serial 263751`: firmware before 5.7.4.
    YubicoPiv,
    /// `Yubico U2F Root CA Serial 457200631`: some YubiKey 4.
    YubicoU2f,
    /// `Yubico Attestation Root 1`: firmware 5.7.4 and later.
    YubicoAttestation1,
    /// The practice card's lab, in the place of the first. Proves nothing.
    PracticePiv,
    /// The practice card's lab, in the place of the third. Proves nothing.
    PracticeAttestation1,
}

impl Root {
    /// Its common name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::YubicoPiv => "Yubico PIV Root CA Serial 263751",
            Self::YubicoU2f => "Yubico U2F Root CA Serial 457200631",
            Self::YubicoAttestation1 => "Yubico Attestation Root 1",
            Self::PracticePiv => "Touchkeep Practice PIV Root CA",
            Self::PracticeAttestation1 => "Touchkeep Practice Attestation Root 1",
        }
    }

    /// Whether anybody can sign what ends in it.
    #[must_use]
    pub const fn is_practice(self) -> bool {
        matches!(self, Self::PracticePiv | Self::PracticeAttestation1)
    }
}

/// A firmware version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Firmware(pub u8, pub u8, pub u8);

impl std::fmt::Display for Firmware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The shape of a YubiKey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormFactor {
    /// USB-A, for a key ring.
    UsbAKeychain,
    /// USB-A, stays in the port.
    UsbANano,
    /// USB-C, for a key ring.
    UsbCKeychain,
    /// USB-C, stays in the port.
    UsbCNano,
    /// USB-C and Lightning.
    UsbCLightning,
    /// USB-A with a fingerprint reader.
    UsbABio,
    /// USB-C with a fingerprint reader.
    UsbCBio,
}

impl FormFactor {
    /// From the byte of Yubico's device information (without its flags).
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::UsbAKeychain),
            2 => Some(Self::UsbANano),
            3 => Some(Self::UsbCKeychain),
            4 => Some(Self::UsbCNano),
            5 => Some(Self::UsbCLightning),
            6 => Some(Self::UsbABio),
            7 => Some(Self::UsbCBio),
            _ => None,
        }
    }
}

impl std::fmt::Display for FormFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::UsbAKeychain => "USB-A key",
            Self::UsbANano => "USB-A nano",
            Self::UsbCKeychain => "USB-C key",
            Self::UsbCNano => "USB-C nano",
            Self::UsbCLightning => "USB-C and Lightning key",
            Self::UsbABio => "USB-A key with fingerprint reader",
            Self::UsbCBio => "USB-C key with fingerprint reader",
        })
    }
}

/// What the maker's signature says about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// The key: DER of its SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// The slot in which it was when this was asked for.
    pub slot: u8,
    /// The number that is printed on the YubiKey. A few of firmware 4 do not tell it.
    pub serial: Option<u32>,
    /// Its firmware.
    pub firmware: Firmware,
    /// How often the key wants the PIN.
    pub pin_policy: PinPolicy,
    /// Whether it wants a touch.
    pub touch: TouchPolicy,
    /// Its shape, from firmware 5 on.
    pub form_factor: Option<FormFactor>,
    /// Whether it is of the FIPS series.
    pub fips: bool,
    /// Who says so.
    pub chain: Root,
}

/// Why an attestation is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    /// There is none: an imported key, or a device that cannot.
    #[error("the key is not attested: it was imported, or the device cannot attest")]
    None,
    /// Not the two certificates that a YubiKey gives, or not certificates as it makes them.
    #[error("the {0} is not what a YubiKey makes")]
    Malformed(&'static str),
    /// Signed by somebody whom we do not believe: no YubiKey, or one whose attestation key was replaced.
    #[error("nobody whom we believe has signed the attestation key of this device")]
    UnknownIssuer,
    /// Signed by the practice card's lab, for somebody who does not practise.
    #[error(
        "it is a practice card: the keys that vouch for it are public, and it protects nothing"
    )]
    Practice,
    /// The statement is good, and of something else than the device says of the key.
    #[error("the attestation is of another {0} than the device says")]
    Differs(&'static str),
    /// A signature is not that of the certificate above it.
    #[error("a signature of the attestation is wrong")]
    Signature,
    /// A certificate in the path may not sign what it signed.
    #[error("a certificate of the attestation may not sign others")]
    NotAllowed,
    /// The maker's signature is good, and the key is not: made by firmware whose RSA keys can be computed (ROCA, CVE-2017-15361).
    #[error("the key was made by firmware whose RSA keys are broken")]
    Broken,
}

/// Checks what [`Device::attest`](crate::Device::attest) gave: the key's certificate, then that of slot f9.
///
/// # Errors
/// Why it is not believed.
pub fn verify(certificates: &[Vec<u8>], trust: Trust) -> Result<Attested, AttestationError> {
    let (leaf, f9) = match certificates {
        [] => return Err(AttestationError::None),
        [leaf, f9] => (
            read(leaf, "certificate of the key")?,
            read(f9, "certificate of slot f9")?,
        ),
        _ => return Err(AttestationError::Malformed("list of certificates")),
    };
    let chain = believed(&f9, trust)?;
    if leaf.issuer != f9.subject || leaf.may_sign.is_some_and(|rule| rule.authority) {
        return Err(AttestationError::NotAllowed);
    }
    if !leaf.is_signed_by(f9.spki) {
        return Err(AttestationError::Signature);
    }
    let attested = statement::read(&leaf, chain);
    let attested = attested.ok_or(AttestationError::Malformed("statement about the key"))?;
    if attested.has_broken_rsa() {
        return Err(AttestationError::Broken);
    }
    Ok(attested)
}

/// Whether what a device would attest may be believed, by the certificate of its slot f9: a look before a key is made, which
/// can tell a device that nobody vouches for. What is good here can still be a copy of another's; [`verify`] finds that.
///
/// # Errors
/// As [`verify`], as far as it is known without a key.
pub fn vouched_for(f9: &[u8], trust: Trust) -> Result<Root, AttestationError> {
    believed(&read(f9, "certificate of slot f9")?, trust)
}

fn believed(f9: &Certificate<'_>, trust: Trust) -> Result<Root, AttestationError> {
    let chain = anchored(f9, 0, trust).map_err(|why| called_by_name(f9, why))?;
    signs_statements(f9, chain)?;
    Ok(chain)
}

fn called_by_name(f9: &Certificate<'_>, why: AttestationError) -> AttestationError {
    match anchored(f9, 0, Trust::YubicoAndPractice) {
        Ok(root) if root.is_practice() => AttestationError::Practice,
        _ => why,
    }
}

impl Attested {
    // Yubico's advisory YSA-2017-01: 4.2.6 to 4.3.4. Their numbers start there because nothing older was sold; we take all of 4.2.
    fn has_broken_rsa(&self) -> bool {
        let broken = Firmware(4, 2, 0)..=Firmware(4, 3, 4);
        broken.contains(&self.firmware) && x509::is_rsa(&self.spki)
    }
}

fn read<'a>(der: &'a [u8], what: &'static str) -> Result<Certificate<'a>, AttestationError> {
    Certificate::read(der).ok_or(AttestationError::Malformed(what))
}

/// Follows the path up from a certificate with `below` others between it and the key's, to a root that is believed.
fn anchored(
    certificate: &Certificate<'_>,
    below: u8,
    trust: Trust,
) -> Result<Root, AttestationError> {
    let mut refusal = AttestationError::UnknownIssuer;
    for issuer in ISSUERS.iter().filter(|issuer| issuer.believed(trust)) {
        let above = read(issuer.der, "certificate that we carry")?;
        if above.subject != certificate.issuer {
            continue;
        }
        if !certificate.is_signed_by(above.spki) {
            refusal = AttestationError::Signature;
            continue;
        }
        let below = below.saturating_add(1);
        match issuer.root {
            // A root is a name and a key; how long a path may be below it stands in our table (RFC 5280, 6.1.1).
            Some((root, path_length)) if below <= path_length => return Ok(root),
            Some(_) => refusal = AttestationError::NotAllowed,
            None if above.signs_certificates(below) => return anchored(&above, below, trust),
            None => refusal = AttestationError::NotAllowed,
        }
    }
    Err(refusal)
}

/// Whether this is the certificate of an attestation key: Yubico's roots sign other things as well.
fn signs_statements(f9: &Certificate<'_>, chain: Root) -> Result<(), AttestationError> {
    let named = f9.subject_name().is_some_and(|name| {
        if chain.is_practice() {
            name == issuers::PRACTICE_F9_NAME
        } else {
            issuers::F9_NAMES.contains(&name)
        }
    });
    let legacy = matches!(chain, Root::YubicoPiv | Root::YubicoU2f)
        && f9.may_sign.is_none()
        && statement::firmware(f9).is_some_and(|firmware| firmware.0 == 4);
    (named && (legacy || f9.signs_certificates(0)))
        .then_some(())
        .ok_or(AttestationError::NotAllowed)
}

impl Issuer {
    fn believed(&self, trust: Trust) -> bool {
        !self.practice || trust == Trust::YubicoAndPractice
    }
}

#[cfg(test)]
mod tests;
