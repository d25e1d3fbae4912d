//! How the key of an item signs at its venue: said by the venue, and by what kind of secret was given.

use touchkeep_core::{ApiSecret, text::visible};
use touchkeep_device::Algorithm as KeyAlgorithm;
use touchkeep_pipeline::private_key;
use touchkeep_vault::AuthMethod;
use touchkeep_venue::{Algorithm, Scheme, SecretForm, VenueInfo, venue, venues};
use touchkeep_wire::Failure;

use crate::failure;

/// The venue of an exchange key.
///
/// # Errors
/// When there is none of that name; says which there are.
pub(crate) fn venue_of(id: &str) -> Result<VenueInfo, Failure> {
    let known = || {
        let ids: Vec<&str> = venues().iter().map(|venue| venue.id).collect();
        format!("Known: {}. For others: --kind api-key", ids.join(", "))
    };
    venue(id)
        .map(|venue| venue.info())
        .ok_or_else(|| failure::not_found("venue", id, &known()))
}

/// How a key signs at its venue; none where the venue has no such keys.
pub(crate) fn scheme_of(venue_id: &str, auth: AuthMethod) -> Option<Scheme> {
    let info = venue(venue_id)?.info();
    scheme_with(&info, algorithm_of(auth))
}

fn scheme_with(info: &VenueInfo, algorithm: Algorithm) -> Option<Scheme> {
    let mut schemes = info.schemes.iter();
    schemes
        .find(|scheme| scheme.algorithm == algorithm)
        .copied()
}

/// How requests are signed with a secret that was given.
///
/// # Errors
/// When the venue takes no such secret; says which it takes.
pub(crate) fn of_secret(info: &VenueInfo, secret: &ApiSecret) -> Result<AuthMethod, Failure> {
    let no = |what: &str| {
        failure::invalid(
            format!("{what}, and {} does not take that.", info.name),
            format!("It takes {}.", taken(info)),
        )
    };
    if let Some(kind) = private_key::kind_of(secret) {
        let what = format!("The secret is {}", name_of(kind));
        return scheme_with(info, kind)
            .map(|scheme| method_of(scheme.algorithm))
            .ok_or_else(|| no(&what));
    }
    // EXPOSE: to a look at what stands at its beginning.
    if secret.expose().contains("-----BEGIN") {
        return Err(no("The secret is a text in PEM that cannot be read here"));
    }
    let mac = info.schemes.iter().find(|scheme| is_mac(scheme.algorithm));
    if let Some(scheme) = mac {
        if scheme.secret == SecretForm::Base64 && !is_base64(secret) {
            return Err(failure::invalid(
                format!("The secret is not whole: {} gives out base64.", info.name),
                "Copy all of it, with the = at its end.",
            ));
        }
        return Ok(method_of(scheme.algorithm));
    }
    let mut schemes = info.schemes.iter();
    schemes
        .find(|scheme| private_key::signs(secret, scheme.algorithm))
        .map(|scheme| method_of(scheme.algorithm))
        .ok_or_else(|| no("The secret is no private key that can be read here"))
}

/// How requests are signed with a key that lives on a device.
///
/// # Errors
/// When the venue takes no such key.
pub(crate) fn of_device(info: &VenueInfo, key: KeyAlgorithm) -> Result<AuthMethod, Failure> {
    let algorithm = match key {
        KeyAlgorithm::P256 => Some(Algorithm::EcdsaP256Sha256),
        KeyAlgorithm::Ed25519 => Some(Algorithm::Ed25519),
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
            Some(Algorithm::RsaPkcs1Sha256)
        }
        KeyAlgorithm::Secp256k1 => Some(Algorithm::Secp256k1Digest),
        KeyAlgorithm::HmacSha256 => Some(Algorithm::HmacSha256),
        KeyAlgorithm::HmacSha384 => Some(Algorithm::HmacSha384),
        KeyAlgorithm::HmacSha512 => Some(Algorithm::HmacSha512),
        KeyAlgorithm::X25519 => None,
    };
    let scheme = algorithm.and_then(|algorithm| scheme_with(info, algorithm));
    scheme
        .map(|scheme| method_of(scheme.algorithm))
        .ok_or_else(|| {
            failure::invalid(
                format!("{} does not take keys of this kind.", info.name),
                format!("It takes {}.", taken(info)),
            )
        })
}

fn taken(info: &VenueInfo) -> String {
    let names: Vec<&str> = info
        .schemes
        .iter()
        .map(|scheme| name_of(scheme.algorithm))
        .collect();
    names.join(", or ")
}

const fn name_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HmacSha256 | Algorithm::HmacSha384 | Algorithm::HmacSha512 => {
            "a secret that the venue makes (HMAC)"
        }
        Algorithm::RsaPkcs1Sha256 => "an RSA private key",
        Algorithm::Ed25519 => "an Ed25519 private key",
        Algorithm::EcdsaP256Sha256 => "a P-256 private key",
        Algorithm::Secp256k1Digest => "a secp256k1 private key",
    }
}

const fn is_mac(algorithm: Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::HmacSha256 | Algorithm::HmacSha384 | Algorithm::HmacSha512
    )
}

fn is_base64(secret: &ApiSecret) -> bool {
    // EXPOSE: to a decoder whose output is thrown away.
    data_encoding::BASE64
        .decode(secret.expose().trim().as_bytes())
        .map(zeroize::Zeroizing::new)
        .is_ok()
}

const fn method_of(algorithm: Algorithm) -> AuthMethod {
    match algorithm {
        Algorithm::HmacSha256 => AuthMethod::HmacSha256,
        Algorithm::HmacSha384 => AuthMethod::HmacSha384,
        Algorithm::HmacSha512 => AuthMethod::HmacSha512,
        Algorithm::RsaPkcs1Sha256 => AuthMethod::RsaSha256,
        Algorithm::Ed25519 => AuthMethod::Ed25519,
        Algorithm::EcdsaP256Sha256 => AuthMethod::EcdsaP256Sha256,
        Algorithm::Secp256k1Digest => AuthMethod::Secp256k1,
    }
}

const fn algorithm_of(auth: AuthMethod) -> Algorithm {
    match auth {
        AuthMethod::HmacSha256 => Algorithm::HmacSha256,
        AuthMethod::HmacSha384 => Algorithm::HmacSha384,
        AuthMethod::HmacSha512 => Algorithm::HmacSha512,
        AuthMethod::RsaSha256 => Algorithm::RsaPkcs1Sha256,
        AuthMethod::Ed25519 => Algorithm::Ed25519,
        AuthMethod::EcdsaP256Sha256 => Algorithm::EcdsaP256Sha256,
        AuthMethod::Secp256k1 => Algorithm::Secp256k1Digest,
    }
}

/// What a venue wants beside the secret, where it is missing.
pub(crate) fn check_passphrase(info: &VenueInfo, has: bool) -> Result<(), Failure> {
    if !info.passphrase || has {
        return Ok(());
    }
    Err(failure::invalid(
        format!("{} wants a passphrase with each key.", visible(info.name)),
        "Give it, too: --secret-field passphrase",
    ))
}
