//! The certificates that we carry: roots, and what stands between them and slot f9 but is not on the card.
//! Where they come from: `certificates/README.md`.

use super::Root;

/// A certificate that may stand above slot f9's.
pub(super) struct Issuer {
    pub(super) der: &'static [u8],
    /// For a root: which, and how many certificates may stand between it and the key's.
    pub(super) root: Option<(Root, u8)>,
    pub(super) practice: bool,
}

/// Common names of slot f9's certificate.
pub(super) const F9_NAMES: [&str; 2] = ["Yubico PIV Attestation", "YubiKey PIV Attestation"];
/// The same in the practice card.
pub(super) const PRACTICE_F9_NAME: &str = "Touchkeep Practice PIV Attestation";

macro_rules! carried {
    ($name:literal) => {
        include_bytes!(concat!("../../certificates/", $name, ".der"))
    };
}

pub(super) const ISSUERS: &[Issuer] = &[
    // Published in 2016 with path length 0 and in 2018 with 1; name and key are the same. This is the newer one.
    root(carried!("yubico-piv-root-263751-2018"), Root::YubicoPiv, 1),
    // Its path length is 0, and it signed f9 certificates of YubiKey 4 none the less.
    root(carried!("yubico-u2f-root-457200631"), Root::YubicoU2f, 1),
    root(
        carried!("yubico-attestation-root-1"),
        Root::YubicoAttestation1,
        3,
    ),
    between(carried!("yubico-attestation-intermediate-a-1")),
    between(carried!("yubico-attestation-intermediate-b-1")),
    between(carried!("yubico-piv-attestation-a-1")),
    between(carried!("yubico-piv-attestation-b-1")),
    between(carried!("yubico-piv-attestation-b2-1")),
    root(carried!("practice-piv-root-ca"), Root::PracticePiv, 1),
    root(
        carried!("practice-attestation-root-1"),
        Root::PracticeAttestation1,
        3,
    ),
    practice(carried!("practice-attestation-intermediate-b-1")),
    practice(carried!("practice-piv-attestation-b-1")),
];

const fn root(der: &'static [u8], root: Root, path_length: u8) -> Issuer {
    Issuer {
        der,
        root: Some((root, path_length)),
        practice: root.is_practice(),
    }
}

const fn between(der: &'static [u8]) -> Issuer {
    Issuer {
        der,
        root: None,
        practice: false,
    }
}

const fn practice(der: &'static [u8]) -> Issuer {
    Issuer {
        der,
        root: None,
        practice: true,
    }
}
