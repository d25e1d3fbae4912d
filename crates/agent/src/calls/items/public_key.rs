//! The public half of a key on a device, in the form in which its venue takes it.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use data_encoding::HEXLOWER;
use touchkeep_core::text::visible;
use touchkeep_device::{
    Algorithm, KeyInfo,
    public::{P256Point, ed25519_raw, secp256k1_point},
};
use touchkeep_vault::SecretPlace;
use touchkeep_venue::{PublicKeyForm, hyperliquid::address_of, venue};
use touchkeep_wire::{Failure, PublicKey};

use crate::{
    agent::Agent,
    calls::open_vault,
    failure,
    ports::request_key,
    possible::{is_mac, name},
};

/// Characters of a line in PEM (RFC 7468).
const PEM_LINE: usize = 64;

pub(crate) fn public_key(
    agent: &Arc<Agent>,
    item: &str,
    form: Option<&str>,
) -> Result<PublicKey, Failure> {
    let (_, open) = open_vault(agent)?;
    let item = open.item(item)?;
    let SecretPlace::OnDevice { key, .. } = &item.secret else {
        return Err(failure::invalid(
            "This item's key is not on a device, so it has no public half of ours.",
            "Take the public half from where the key was made; or make one on the device: touchkeep add NAME --on-device",
        ));
    };
    let known = request_key(&open.read(), item.id, key).ok_or_else(|| {
        failure::not_found(
            "public key of",
            &item.name,
            "Remove the item and make a new key.",
        )
    })?;
    let info = known.info;
    if is_mac(info.algorithm) {
        return Err(failure::invalid(
            "This is an HMAC secret, which has no public half.",
            "The venue has the secret already. What it calls the key: touchkeep set-api-key ITEM API-KEY",
        ));
    }
    let venue = venue(&item.venue).map(|venue| venue.info());
    let own = venue.as_ref().and_then(|venue| venue.public_key);
    let form = match form {
        Some(word) => of_word(word)?,
        None => own.unwrap_or(PublicKeyForm::Pem),
    };
    let steps = venue.and_then(|venue| venue.public_key_steps);
    let steps = steps.filter(|_| own == Some(form) && !info.imported);
    Ok(PublicKey {
        pem: pem(&info.spki),
        form: word_of(form).to_owned(),
        text: text(&info, form)?,
        steps: steps.map(str::to_owned),
    })
}

/// The word of a form.
pub(crate) const fn word_of(form: PublicKeyForm) -> &'static str {
    match form {
        PublicKeyForm::Pem => "pem",
        PublicKeyForm::Base64 => "base64",
        PublicKeyForm::Hex => "hex",
        PublicKeyForm::Address => "address",
    }
}

fn of_word(word: &str) -> Result<PublicKeyForm, Failure> {
    let all = [
        PublicKeyForm::Pem,
        PublicKeyForm::Base64,
        PublicKeyForm::Hex,
        PublicKeyForm::Address,
    ];
    let mut all = all.into_iter();
    all.find(|form| word_of(*form) == word).ok_or_else(|| {
        failure::not_found("form", &visible(word), "Choose: pem, base64, hex, address")
    })
}

fn text(info: &KeyInfo, form: PublicKeyForm) -> Result<String, Failure> {
    let no = |what: &str| {
        failure::invalid(
            format!("A key of kind {} has no {what}.", name(info.algorithm)),
            "Use --form pem.",
        )
    };
    let bytes = || raw(info).ok_or_else(|| no("bytes of its own that a venue takes"));
    match form {
        PublicKeyForm::Pem => Ok(pem(&info.spki)),
        PublicKeyForm::Base64 => Ok(BASE64_STANDARD.encode(bytes()?)),
        PublicKeyForm::Hex => Ok(HEXLOWER.encode(&bytes()?)),
        PublicKeyForm::Address => {
            let point = secp256k1_point(&info.spki).and_then(|point| point.strip_prefix(&[4]));
            let point = point.and_then(|point| point.try_into().ok());
            point.map(address_of).ok_or_else(|| no("address"))
        }
    }
}

// The key without what stands around it.
fn raw(info: &KeyInfo) -> Option<Vec<u8>> {
    match info.algorithm {
        Algorithm::Ed25519 => ed25519_raw(&info.spki).map(Vec::from),
        Algorithm::P256 => {
            P256Point::from_spki(&info.spki).map(|point| point.uncompressed().to_vec())
        }
        Algorithm::Secp256k1 => secp256k1_point(&info.spki).map(<[u8]>::to_vec),
        _ => None,
    }
}

fn pem(spki: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(spki);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    for line in text.as_bytes().chunks(PEM_LINE) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use touchkeep_device::{KeyRef, Purpose, TouchPolicy, public::ed25519_spki};

    use super::*;

    #[test]
    fn pem_has_lines_of_64() {
        let text = pem(&[7; 100]);
        assert!(text.lines().all(|line| line.len() <= 64));
        assert!(text.starts_with("-----BEGIN PUBLIC KEY-----\nBwcH"));
    }

    #[test]
    fn each_form_is_of_the_key_and_of_no_other_kind() {
        let info = KeyInfo {
            key: KeyRef("85".into()),
            purpose: Purpose::Request,
            algorithm: Algorithm::Ed25519,
            spki: ed25519_spki(&[0xab; 32]),
            touch: TouchPolicy::Never,
            recipient: None,
            identity: None,
            imported: false,
        };
        assert_eq!(text(&info, PublicKeyForm::Hex).unwrap(), "ab".repeat(32));
        let base64 = text(&info, PublicKeyForm::Base64).unwrap();
        assert_eq!(BASE64_STANDARD.decode(base64).unwrap(), [0xab; 32]);
        assert!(text(&info, PublicKeyForm::Address).is_err());
        let rsa = KeyInfo {
            algorithm: Algorithm::Rsa2048,
            ..info
        };
        assert!(text(&rsa, PublicKeyForm::Base64).is_err());
        assert!(of_word("der").is_err());
    }
}
