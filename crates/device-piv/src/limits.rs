//! What firmware cannot do, in words, said before it bites.

use touchkeep_device::{Algorithm, DeviceError, attestation::Firmware};

use crate::card;

/// From there on a key can be attested.
pub(crate) const ATTESTATION: Firmware = Firmware(4, 3, 0);
/// From there on PIV tells the serial number.
pub(crate) const SERIAL: Firmware = Firmware(5, 0, 0);
/// From there on a card says what is in its slots.
pub(crate) const METADATA: Firmware = Firmware(5, 3, 0);
const NEWER_ALGORITHMS: Firmware = Firmware(5, 7, 0);

/// What a YubiKey of this firmware cannot do, or should not be trusted with. One sentence each.
#[must_use]
pub fn limits(firmware: Firmware, fips: bool) -> Vec<String> {
    let mut limits = Vec::new();
    let mut say = |applies: bool, text: &str| {
        if applies {
            limits.push(text.to_owned());
        }
    };
    let before = |major, minor| firmware < Firmware(major, minor, 0);
    say(
        before(4, 3),
        "Firmware before 4.3 cannot attest its keys: nobody else can know that they were made in it.",
    );
    say(
        (Firmware(4, 2, 0)..=Firmware(4, 3, 4)).contains(&firmware),
        "RSA keys made by firmware 4.2.0 to 4.3.4 can be computed from their public half (ROCA, CVE-2017-15361): have this YubiKey replaced.",
    );
    say(
        before(5, 0),
        "Firmware before 5 does not tell its serial number to PIV: Touchkeep cannot tell two of them apart and does not use them.",
    );
    say(
        firmware < METADATA,
        "Firmware before 5.3 cannot say which slots hold keys, nor how they were made: Touchkeep does not use it.",
    );
    say(
        before(5, 4),
        "Firmware before 5.4 has management keys of 3DES only.",
    );
    say(
        firmware < NEWER_ALGORITHMS,
        "Firmware before 5.7 cannot make Ed25519, RSA-3072 and RSA-4096 keys: request keys are RSA-2048 or P-256.",
    );
    say(
        firmware < NEWER_ALGORITHMS,
        "Firmware before 5.7 cannot delete or move one key: only a reset of PIV deletes keys, and it deletes all.",
    );
    say(
        (Firmware(5, 0, 0)..NEWER_ALGORITHMS).contains(&firmware),
        "Who has a YubiKey with firmware before 5.7 in a laboratory, opened, with its PIN, may extract its P-256 keys (YSA-2024-03).",
    );
    say(
        fips,
        "This is of the FIPS series: in its FIPS mode it refuses keys without PIN, X25519 and RSA-1024.",
    );
    limits
}

/// Whether a YubiKey of this firmware holds keys of this kind that sign.
///
/// # Errors
/// [`DeviceError::Unsupported`] with the reason: the firmware that it takes, or that no YubiKey has such keys in PIV.
pub fn can_hold(firmware: Firmware, algorithm: Algorithm) -> Result<(), DeviceError> {
    let needs = match algorithm {
        Algorithm::P256 | Algorithm::Rsa2048 => METADATA,
        Algorithm::Ed25519 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => NEWER_ALGORITHMS,
        Algorithm::X25519 => {
            return Err(DeviceError::Unsupported("signatures with X25519".into()));
        }
        Algorithm::Secp256k1 => {
            let text = "PIV has no secp256k1";
            return Err(DeviceError::Unsupported(text.into()));
        }
        Algorithm::HmacSha256 | Algorithm::HmacSha384 | Algorithm::HmacSha512 => {
            let text = "PIV has no HMAC";
            return Err(DeviceError::Unsupported(text.into()));
        }
    };
    if firmware < METADATA {
        return Err(no_metadata());
    }
    if firmware < needs {
        let name = card::name(algorithm);
        return Err(DeviceError::Unsupported(format!(
            "{name} keys need firmware 5.7 or later, this is {firmware}; it can make RSA-2048 and P-256"
        )));
    }
    Ok(())
}

/// What firmware without GET METADATA answers.
pub(crate) fn no_metadata() -> DeviceError {
    DeviceError::Unsupported(
        "this firmware cannot say which slots hold keys; that needs 5.3 or later".into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(firmware: Firmware) -> String {
        limits(firmware, false).join("\n")
    }

    #[test]
    fn each_limit_ends_with_the_firmware_that_lifted_it() {
        for (below, from, words) in [
            (Firmware(4, 2, 8), Firmware(4, 3, 0), "cannot attest"),
            (Firmware(4, 3, 4), Firmware(4, 3, 5), "ROCA"),
            (Firmware(4, 4, 5), Firmware(5, 0, 1), "serial number"),
            (
                Firmware(5, 2, 7),
                Firmware(5, 3, 0),
                "which slots hold keys",
            ),
            (Firmware(5, 3, 9), Firmware(5, 4, 0), "3DES"),
            (Firmware(5, 6, 4), Firmware(5, 7, 0), "Ed25519"),
            (Firmware(5, 6, 4), Firmware(5, 7, 0), "YSA-2024-03"),
        ] {
            assert!(said(below).contains(words), "{below} {words}");
            assert!(!said(from).contains(words), "{from} {words}");
        }
        assert_eq!(limits(Firmware(5, 7, 4), false), Vec::<String>::new());
        assert!(limits(Firmware(5, 7, 4), true)[0].contains("FIPS"));
        assert!(!said(Firmware(3, 5, 0)).contains("ROCA"));
    }

    #[test]
    fn what_firmware_cannot_make_is_refused_with_the_firmware_it_needs() {
        for algorithm in [Algorithm::Ed25519, Algorithm::Rsa3072, Algorithm::Rsa4096] {
            let refused = can_hold(Firmware(5, 4, 3), algorithm).unwrap_err();
            assert!(refused.to_string().contains("firmware 5.7"));
            can_hold(Firmware(5, 7, 0), algorithm).unwrap();
        }
        can_hold(Firmware(5, 3, 0), Algorithm::Rsa2048).unwrap();
        for never in [
            Algorithm::X25519,
            Algorithm::Secp256k1,
            Algorithm::HmacSha256,
            Algorithm::HmacSha512,
        ] {
            assert!(can_hold(Firmware(9, 9, 9), never).is_err());
        }
        assert!(can_hold(Firmware(5, 2, 0), Algorithm::P256).is_err());
    }
}
