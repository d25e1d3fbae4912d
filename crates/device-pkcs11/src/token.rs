//! A loaded module and its tokens, in the child process.

use cryptoki::{
    context::Pkcs11,
    error::{Error, RvError},
    mechanism::MechanismType,
    slot::{Slot, TokenInfo},
};

use crate::{
    confine, keys,
    module::{Image, ModuleHash},
    raw::{self, Raw},
    session::Opened,
    wire::{Failure, Kind, Presence, Standing, Token, TokenChoice, TokenKey, Tries, Wanted},
};

/// A loaded and initialised module, and the one session that may be kept.
pub(crate) struct Module {
    // Some modules look for their own file; it is there as long as they are.
    image: Image,
    pub(crate) context: Pkcs11,
    pub(crate) raw: Raw,
    pub(crate) kept: Option<Opened>,
}

impl Module {
    /// Loads it. Once per process: modules seldom survive a second time.
    pub(crate) fn load(image: Image, argument: Option<&str>) -> Result<Self, Failure> {
        let path = image.path();
        let context = Pkcs11::new(&path).map_err(failed)?;
        let raw = Raw::of(&path).map_err(failed)?;
        raw::initialize(&context, argument).map_err(failed)?;
        Ok(Self {
            image,
            context,
            raw,
            kept: None,
        })
    }

    pub(crate) const fn hash(&self) -> ModuleHash {
        self.image.hash
    }

    pub(crate) fn finalize(mut self) {
        self.kept = None;
        // The process ends now; what a module has to say about that helps nobody.
        let _ = self.context.finalize();
    }

    /// The tokens that are set up.
    pub(crate) fn tokens(&self) -> Result<Vec<Token>, Failure> {
        let all = self.all()?;
        Ok(all.into_iter().map(|(_, info)| described(&info)).collect())
    }

    // A token that is just being taken out, or that the module does not know, hides no other one.
    fn all(&self) -> Result<Vec<(Slot, TokenInfo)>, Failure> {
        let mut all = Vec::new();
        for slot in self.context.get_slots_with_token().map_err(failed)? {
            match self.context.get_token_info(slot).map_err(failed) {
                Ok(info) => all.extend(info.token_initialized().then_some((slot, info))),
                Err(Failure::NoToken) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(all)
    }

    pub(crate) fn find(&self, choice: &TokenChoice) -> Result<(Slot, TokenInfo), Failure> {
        let mut all = self.all()?;
        all.retain(|(_, info)| described(info).choice == *choice);
        match (all.pop(), all.is_empty()) {
            (Some(found), true) => Ok(found),
            (Some(_), false) => Err(Failure::Unsupported(
                "two tokens of one serial number and label".into(),
            )),
            (None, _) => Err(Failure::NoToken),
        }
    }

    /// What is known of the PIN's tries and of the session. Spends none.
    pub(crate) fn standing(&self, choice: &TokenChoice) -> Result<Standing, Failure> {
        let (slot, info) = self.find(choice)?;
        let place = self.context.get_slot_info(slot).map_err(failed)?;
        let kept = self.kept.as_ref().filter(|kept| kept.token == *choice);
        Ok(Standing {
            tries: tries(&info),
            pad: info.protected_authentication_path(),
            removable: place.removable_device(),
            logged_in: kept.is_some_and(|kept| kept.is_logged_in().unwrap_or(false)),
        })
    }

    /// Whether the token is there. What another token has is no error of this one; where this one may be the token that cannot be
    /// asked, nobody knows.
    pub(crate) fn presence(&self, choice: &TokenChoice) -> Result<Presence, Failure> {
        let mut unknown = None;
        let mut there = false;
        for slot in self.context.get_slots_with_token().map_err(failed)? {
            match self.context.get_token_info(slot).map_err(failed) {
                Ok(info) => there |= described(&info).choice == *choice,
                Err(Failure::NoToken) => {}
                Err(failure) => unknown = Some(failure),
            }
        }
        match unknown {
            Some(failure) if !there => Err(failure),
            _ => Ok(Presence {
                there,
                by_socket: confine::has_socket(),
            }),
        }
    }

    /// Which kinds of keys the token says that it makes (secrets: stores) and signs with. It does not say on which curves.
    pub(crate) fn kinds(&self, choice: &TokenChoice) -> Result<Vec<Kind>, Failure> {
        use MechanismType as M;
        let (slot, _) = self.find(choice)?;
        let known = self.context.get_mechanism_list(slot).map_err(failed)?;
        let has = |all: &[M]| all.iter().all(|one| known.contains(one));
        let rsa = [M::RSA_PKCS_KEY_PAIR_GEN, M::SHA256_RSA_PKCS];
        let ecdsa = [M::ECC_KEY_PAIR_GEN, M::ECDSA];
        let eddsa = [M::ECC_EDWARDS_KEY_PAIR_GEN, M::EDDSA];
        let each = [
            (Kind::Rsa2048, &rsa[..]),
            (Kind::P256, &ecdsa),
            (Kind::Secp256k1, &ecdsa),
            (Kind::Ed25519, &eddsa),
            (Kind::HmacSha256, &[M::SHA256_HMAC]),
            (Kind::HmacSha384, &[M::SHA384_HMAC]),
            (Kind::HmacSha512, &[M::SHA512_HMAC]),
        ];
        let kinds = each.into_iter().filter(|(_, wanted)| has(wanted));
        Ok(kinds.map(|(kind, _)| kind).collect())
    }

    /// Public keys. Needs no PIN.
    pub(crate) fn keys(&self, wanted: &Wanted) -> Result<Vec<TokenKey>, Failure> {
        let (slot, _) = self.find(&wanted.token)?;
        let session = self.context.open_ro_session(slot).map_err(failed)?;
        keys::listed(&session, &wanted.ids)
    }
}

fn described(info: &TokenInfo) -> Token {
    let firmware = info.firmware_version();
    Token {
        choice: TokenChoice {
            serial: info.serial_number().into(),
            label: info.label().into(),
        },
        model: format!("{} {}", info.manufacturer_id(), info.model()),
        firmware: format!("{}.{}", firmware.major(), firmware.minor()),
    }
}

pub(crate) fn tries(info: &TokenInfo) -> Tries {
    if info.user_pin_locked() {
        Tries::Locked
    } else if info.user_pin_final_try() {
        Tries::Last
    } else {
        Tries::Some
    }
}

pub(crate) fn failed(error: Error) -> Failure {
    use RvError as R;
    match error {
        Error::Pkcs11(
            R::TokenNotPresent
            | R::TokenNotRecognized
            | R::DeviceRemoved
            | R::SlotIdInvalid
            | R::SessionClosed
            | R::SessionHandleInvalid,
            _,
        ) => Failure::NoToken,
        Error::Pkcs11(R::UserNotLoggedIn, _) => Failure::NotLoggedIn,
        Error::Pkcs11(
            R::MechanismInvalid
            | R::MechanismParamInvalid
            | R::FunctionNotSupported
            | R::CurveNotSupported
            | R::KeyFunctionNotPermitted
            | R::KeyTypeInconsistent
            | R::KeySizeRange
            | R::TemplateInconsistent
            | R::AttributeSensitive
            | R::AttributeTypeInvalid
            | R::AttributeValueInvalid
            | R::ActionProhibited,
            _,
        )
        | Error::NotSupported
        | Error::NullFunctionPointer => Failure::Unsupported(error.to_string()),
        other => Failure::Module(other.to_string()),
    }
}
