//! Which request keys a device can have for a venue, and why not the others. Pure: what the venue takes and what the device can
//! hold, in; words, out. One table for the list that people see and for the choice of the key that is made.

use touchkeep_core::Code;
use touchkeep_device::{
    Algorithm as KeyAlgorithm, DeviceError, TouchPolicy, attestation::Firmware,
};
use touchkeep_device_piv::limits;
use touchkeep_venue::{Algorithm, KeyClass, VenueInfo};
use touchkeep_wire::Failure;

use crate::failure;

/// What is known of what a device can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Able {
    /// A YubiKey of this firmware.
    Piv(Firmware),
    /// A token, by what it says of itself. Which curves it has, it does not say.
    Token(Vec<KeyAlgorithm>),
    /// A passphrase, or a kit: no request keys.
    Nothing,
    /// Not connected, so that nobody can ask it.
    Away,
}

/// How a key comes to be on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Made on it; its public half goes to the venue.
    Made,
    /// Handed out by the venue and put into it: whoever had it on the way may have it still.
    PutIn,
}

/// One kind of key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Possible {
    pub(crate) algorithm: KeyAlgorithm,
    /// How, or why not.
    pub(crate) way: Result<Way, String>,
}

/// Keys with a public half, the best first: short signatures that every implementation makes alike, then what firmware before
/// 5.7 has.
const PAIRS: [KeyAlgorithm; 4] = [
    KeyAlgorithm::Ed25519,
    KeyAlgorithm::P256,
    KeyAlgorithm::Rsa2048,
    KeyAlgorithm::Secp256k1,
];

/// Every kind of request key, and whether a device can have it for this venue. What can be comes in the order of preference.
pub(crate) fn possible(venue: &VenueInfo, able: &Able) -> Vec<Possible> {
    let schemes = venue.schemes.iter();
    let macs = schemes
        .map(|scheme| kind_for(scheme.algorithm))
        .filter(|algorithm| is_mac(*algorithm));
    let mut kinds: Vec<KeyAlgorithm> = PAIRS.into_iter().chain(macs).collect();
    if !kinds.iter().any(|kind| is_mac(*kind)) {
        kinds.push(KeyAlgorithm::HmacSha256);
    }
    let kinds = kinds.into_iter();
    kinds
        .map(|algorithm| Possible {
            algorithm,
            way: way(venue, able, algorithm),
        })
        .collect()
}

fn way(venue: &VenueInfo, able: &Able, algorithm: KeyAlgorithm) -> Result<Way, String> {
    let mut schemes = venue.schemes.iter();
    if !schemes.any(|scheme| kind_for(scheme.algorithm) == algorithm) {
        return Err(format!("{} does not take it", venue.name));
    }
    holds(able, algorithm)?;
    if !is_mac(algorithm) && venue.public_key.is_some() {
        return Ok(Way::Made);
    }
    if algorithm == KeyAlgorithm::Rsa2048 {
        return Err(format!(
            "{} makes its keys itself, and no RSA key is put into a device",
            venue.name
        ));
    }
    Ok(Way::PutIn)
}

fn holds(able: &Able, algorithm: KeyAlgorithm) -> Result<(), String> {
    match able {
        Able::Piv(firmware) => {
            limits::can_hold(*firmware, algorithm).map_err(|error| match error {
                DeviceError::Unsupported(why) => why,
                other => other.to_string(),
            })
        }
        Able::Token(kinds) if kinds.contains(&algorithm) => Ok(()),
        Able::Token(_) => Err("the token does not say that it can".into()),
        Able::Nothing => Err("it holds no request keys: the secret is stored or sealed".into()),
        Able::Away => Err("connect it, then it can be asked".into()),
    }
}

/// The kind of the key that is made on a device for a venue: the one that is wanted, or the best of those that can be.
///
/// # Errors
/// There is none; says why not, and what can be done instead.
pub(crate) fn made(
    venue: &VenueInfo,
    able: &Able,
    wanted: Option<KeyAlgorithm>,
) -> Result<KeyAlgorithm, Failure> {
    let all = possible(venue, able);
    if let Some(wanted) = wanted {
        let found = all.iter().find(|possible| possible.algorithm == wanted);
        return match found.map(|possible| &possible.way) {
            Some(Ok(Way::Made)) => Ok(wanted),
            Some(Ok(Way::PutIn)) => Err(handed_out(venue)),
            Some(Err(why)) => Err(cannot(venue, wanted, why)),
            None => Err(cannot(venue, wanted, "no request key is of that kind")),
        };
    }
    let can = |way: Way| all.iter().find(|possible| possible.way == Ok(way));
    match (can(Way::Made), can(Way::PutIn)) {
        (Some(best), _) => Ok(best.algorithm),
        (None, Some(_)) => Err(handed_out(venue)),
        (None, None) => Err(none(venue, &all)),
    }
}

/// Whether a key that a venue handed out can be put into a device.
///
/// # Errors
/// Why not.
pub(crate) fn put_in(
    venue: &VenueInfo,
    able: &Able,
    algorithm: KeyAlgorithm,
) -> Result<(), Failure> {
    match way(venue, able, algorithm) {
        Ok(_) if algorithm == KeyAlgorithm::Rsa2048 => {
            Err(cannot(venue, algorithm, "no RSA key is put into a device"))
        }
        Ok(_) => Ok(()),
        Err(why) => Err(cannot(venue, algorithm, &why)),
    }
}

/// Whether a key waits for a touch: always where it moves money or makes keys; what trades and looks does so by rule, without a finger.
///
/// # Errors
/// The device has no touch, or somebody wants less than a key of this class may have.
pub(crate) fn touch_of(
    able: &Able,
    class: KeyClass,
    wanted: Option<TouchPolicy>,
) -> Result<TouchPolicy, Failure> {
    let Able::Piv(_) = able else {
        return match wanted {
            None | Some(TouchPolicy::Never) => Ok(TouchPolicy::Never),
            Some(_) => Err(failure::invalid(
                "This device has no touch.",
                "Use a YubiKey for it, or leave --touch out.",
            )),
        };
    };
    match (class, wanted) {
        (KeyClass::MoveMoney | KeyClass::KeyAdmin, None | Some(TouchPolicy::Always)) => {
            Ok(TouchPolicy::Always)
        }
        (KeyClass::MoveMoney | KeyClass::KeyAdmin, Some(_)) => Err(failure::invalid(
            "A key that moves money or makes keys waits for a touch at each signature.",
            "Leave --touch out, or make a key that trades: --class trade",
        )),
        (KeyClass::Read | KeyClass::Trade, wanted) => Ok(wanted.unwrap_or(TouchPolicy::Never)),
    }
}

fn cannot(venue: &VenueInfo, algorithm: KeyAlgorithm, why: &str) -> Failure {
    Failure::new(
        Code::Invalid,
        format!(
            "A key of kind {} for {} on this device cannot be: {why}.",
            name(algorithm),
            venue.name
        ),
        see(venue),
    )
}

fn handed_out(venue: &VenueInfo) -> Failure {
    failure::invalid(
        format!(
            "{} makes its keys itself, so none can be made on a device for it.",
            venue.name
        ),
        "Put the one that it hands out into the device: --into-device",
    )
}

fn none(venue: &VenueInfo, all: &[Possible]) -> Failure {
    let taken: Vec<String> = venue
        .schemes
        .iter()
        .filter_map(|scheme| {
            let kind = kind_for(scheme.algorithm);
            let possible = all.iter().find(|possible| possible.algorithm == kind)?;
            let why = possible.way.as_ref().err()?;
            Some(format!("{}: {why}", name(kind)))
        })
        .collect();
    Failure::new(
        Code::Invalid,
        format!(
            "This device can hold no key for {}. {}.",
            venue.name,
            taken.join(". ")
        ),
        format!(
            "Have the secret sealed (--sealed), or see: touchkeep device keys-for {}",
            venue.id
        ),
    )
}

fn see(venue: &VenueInfo) -> String {
    format!("See: touchkeep device keys-for {}", venue.id)
}

/// The kind of key that signs so.
pub(crate) const fn kind_for(algorithm: Algorithm) -> KeyAlgorithm {
    match algorithm {
        Algorithm::HmacSha256 => KeyAlgorithm::HmacSha256,
        Algorithm::HmacSha384 => KeyAlgorithm::HmacSha384,
        Algorithm::HmacSha512 => KeyAlgorithm::HmacSha512,
        Algorithm::RsaPkcs1Sha256 => KeyAlgorithm::Rsa2048,
        Algorithm::Ed25519 => KeyAlgorithm::Ed25519,
        Algorithm::EcdsaP256Sha256 => KeyAlgorithm::P256,
        Algorithm::Secp256k1Digest => KeyAlgorithm::Secp256k1,
    }
}

pub(crate) const fn is_mac(algorithm: KeyAlgorithm) -> bool {
    matches!(
        algorithm,
        KeyAlgorithm::HmacSha256 | KeyAlgorithm::HmacSha384 | KeyAlgorithm::HmacSha512
    )
}

/// What a person calls a kind of key.
pub(crate) const fn name(algorithm: KeyAlgorithm) -> &'static str {
    match algorithm {
        KeyAlgorithm::P256 => "P-256",
        KeyAlgorithm::Rsa2048 => "RSA-2048",
        KeyAlgorithm::Rsa3072 => "RSA-3072",
        KeyAlgorithm::Rsa4096 => "RSA-4096",
        KeyAlgorithm::Ed25519 => "Ed25519",
        KeyAlgorithm::X25519 => "X25519",
        KeyAlgorithm::Secp256k1 => "secp256k1",
        KeyAlgorithm::HmacSha256 => "HMAC-SHA256",
        KeyAlgorithm::HmacSha384 => "HMAC-SHA384",
        KeyAlgorithm::HmacSha512 => "HMAC-SHA512",
    }
}

#[cfg(test)]
mod tests {
    use touchkeep_venue::{venue, venues};

    use super::*;

    const OLD: Able = Able::Piv(Firmware(5, 4, 3));
    const NEW: Able = Able::Piv(Firmware(5, 7, 1));

    fn info(id: &str) -> VenueInfo {
        venue(id).unwrap().info()
    }

    fn token() -> Able {
        Able::Token(vec![
            KeyAlgorithm::Ed25519,
            KeyAlgorithm::P256,
            KeyAlgorithm::Rsa2048,
            KeyAlgorithm::Secp256k1,
            KeyAlgorithm::HmacSha256,
            KeyAlgorithm::HmacSha384,
            KeyAlgorithm::HmacSha512,
        ])
    }

    // The table of facts of which venue takes what, written down once more by hand.
    #[test]
    fn what_can_be_made_is_what_venue_and_device_have_in_common() {
        use KeyAlgorithm as K;
        for (id, old, new, hsm) in [
            (
                "binance",
                Some(K::Rsa2048),
                Some(K::Ed25519),
                Some(K::Ed25519),
            ),
            (
                "bybit",
                Some(K::Rsa2048),
                Some(K::Rsa2048),
                Some(K::Rsa2048),
            ),
            (
                "bitget",
                Some(K::Rsa2048),
                Some(K::Rsa2048),
                Some(K::Rsa2048),
            ),
            ("htx", None, Some(K::Ed25519), Some(K::Ed25519)),
            ("backpack", None, Some(K::Ed25519), Some(K::Ed25519)),
            ("robinhood", None, Some(K::Ed25519), Some(K::Ed25519)),
            ("revolutx", None, Some(K::Ed25519), Some(K::Ed25519)),
            ("hyperliquid", None, None, Some(K::Secp256k1)),
            ("coinbase", None, None, None),
            ("kraken", None, None, None),
            ("okx", None, None, None),
        ] {
            for (able, best) in [(&OLD, old), (&NEW, new), (&token(), hsm)] {
                assert_eq!(made(&info(id), able, None).ok(), best, "{id} {able:?}");
            }
        }
    }

    #[test]
    fn what_a_venue_hands_out_is_put_in_where_the_device_has_such_keys() {
        use KeyAlgorithm as K;
        for (id, kind, old, new, hsm) in [
            ("coinbase", K::P256, true, true, true),
            ("coinbase", K::Ed25519, false, true, true),
            ("kraken", K::HmacSha512, false, false, true),
            ("bitfinex", K::HmacSha384, false, false, true),
            ("okx", K::HmacSha256, false, false, true),
            ("okx", K::HmacSha512, false, false, false),
            ("binance", K::Rsa2048, false, false, false),
            ("hyperliquid", K::Secp256k1, false, false, true),
        ] {
            for (able, can) in [(&OLD, old), (&NEW, new), (&token(), hsm)] {
                let put = put_in(&info(id), able, kind);
                assert_eq!(put.is_ok(), can, "{id} {kind:?} {able:?} {put:?}");
            }
        }
        let told = made(&info("coinbase"), &NEW, None).unwrap_err();
        assert!(told.fix.contains("--into-device"), "{told:?}");
    }

    #[test]
    fn why_not_names_who_cannot() {
        let why = |id: &str, able: &Able, kind| {
            let all = possible(&info(id), able);
            let found = all.into_iter().find(|one| one.algorithm == kind).unwrap();
            found.way.unwrap_err()
        };
        let ed = KeyAlgorithm::Ed25519;
        assert!(why("binance", &OLD, ed).contains("5.7 or later, this is 5.4.3"));
        assert!(why("bybit", &NEW, ed).contains("Bybit does not take it"));
        let hmac = why("kraken", &NEW, KeyAlgorithm::HmacSha512);
        assert!(hmac.contains("PIV has no HMAC"), "{hmac}");
        let told = made(&info("kraken"), &NEW, None).unwrap_err();
        assert!(
            told.what.contains("HMAC-SHA512") && told.fix.contains("--sealed"),
            "{told:?}"
        );
        let told = made(&info("binance"), &OLD, Some(ed)).unwrap_err();
        assert!(
            told.what.contains("Ed25519") && told.what.contains("5.7"),
            "{told:?}"
        );
        for able in [Able::Nothing, Able::Away] {
            assert!(made(&info("binance"), &able, None).is_err());
        }
    }

    #[test]
    fn every_venue_is_in_the_table_with_each_kind_once() {
        for info in venues() {
            for able in [OLD, NEW, token(), Able::Nothing, Able::Away] {
                let all = possible(&info, &able);
                let mut names: Vec<_> = all.iter().map(|one| name(one.algorithm)).collect();
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), all.len());
                assert!(
                    all.iter()
                        .filter_map(|one| one.way.as_ref().err())
                        .all(|why| !why.is_empty())
                );
            }
            // A venue that takes a public key has a kind of key with one, and says what to do with it.
            let pair = |algorithm| !is_mac(kind_for(algorithm));
            if info.public_key.is_some() {
                assert!(info.schemes.iter().any(|scheme| pair(scheme.algorithm)));
                assert!(info.public_key_steps.is_some(), "{}", info.id);
            }
        }
    }

    #[test]
    fn money_waits_for_a_finger_and_what_trades_does_not() {
        use TouchPolicy as T;
        for class in [KeyClass::MoveMoney, KeyClass::KeyAdmin] {
            assert_eq!(touch_of(&NEW, class, None).unwrap(), T::Always);
            assert!(touch_of(&NEW, class, Some(T::Cached)).is_err());
            assert!(touch_of(&NEW, class, Some(T::Never)).is_err());
        }
        for class in [KeyClass::Read, KeyClass::Trade] {
            assert_eq!(touch_of(&NEW, class, None).unwrap(), T::Never);
            assert_eq!(touch_of(&NEW, class, Some(T::Always)).unwrap(), T::Always);
            assert!(touch_of(&token(), class, Some(T::Always)).is_err());
        }
        assert_eq!(
            touch_of(&token(), KeyClass::MoveMoney, None).unwrap(),
            T::Never
        );
    }
}
