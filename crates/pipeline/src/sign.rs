//! Signing: takes what was recorded, by value, and gives the one request that it was recorded for.

use aws_lc_rs::{hmac, rand};
use touchkeep_audit::Recorded;
use touchkeep_core::{ApiSecret, RequestId, UnixMillis};
use touchkeep_device::{
    Auth, Device, Purpose, SignatureScheme,
    public::{may_go_out, raw_ecdsa},
};
use touchkeep_locked::on_small_wiped_stack;
use touchkeep_policy::{Mismatch, request_digest};
use touchkeep_venue::{
    Algorithm, Counter, Credential, Moment, Outgoing, Part, Private, SecretForm, ToSign, Venue,
};
use zeroize::Zeroizing;

use crate::{
    KeyError, KeyHandle, Keys, NotSigned, Settings, Signer,
    kept::Kept,
    private_key,
    turns::{Series, Turn, Turns},
};

/// What signing borrows.
pub(crate) struct Means<'a> {
    pub(crate) keys: &'a dyn Keys,
    /// The venue's time, now.
    pub(crate) clock: &'a (dyn Fn() -> UnixMillis + Sync),
    pub(crate) turns: &'a Turns,
    pub(crate) kept: &'a Kept,
    pub(crate) settings: Settings,
}

/// A signed request. Where the venue counts the requests of a key, nobody else signs with that key until the turn is given
/// back: numbers must reach it in their order.
pub(crate) struct Signed {
    pub(crate) outgoing: Outgoing,
    pub(crate) turn: Option<Turn>,
}

/// Signs the request that was recorded.
pub(crate) async fn sign(
    recorded: Recorded,
    private: Private,
    key: &KeyHandle,
    venue: &dyn Venue,
    means: Means<'_>,
) -> Result<Signed, NotSigned> {
    let allowed = recorded.into_allowed();
    let request = allowed.request();
    if request_digest(&private, key.item) != *allowed.digest() {
        return Err(Mismatch::OtherRequest.into());
    }
    let Means {
        keys,
        clock,
        turns,
        kept,
        settings,
    } = means;
    // Whatever waits for a finger or a person comes before number and time, but for a device, which signs them.
    let secret = match &key.signer {
        Signer::Secret => Some(keys.secret(request, key).await?),
        Signer::Device { .. } => None,
    };
    let passphrase = if key.passphrase {
        Some(keys.passphrase(request, key).await?)
    } else {
        None
    };
    let on_device = secret.is_none();
    let (private, window_ms) = if on_device && key.touched_each_use {
        let wide = settings.touch_window_ms;
        (private.with_window_of_at_least(wide), wide)
    } else {
        (private, settings.recv_window_ms)
    };
    let counter = venue.info().counter;
    let (turn, nonce) = if counter == Counter::Nonce {
        let series = Series::of(venue.info().id, &key.api_key);
        let turn = turns.take(series).await;
        let nonce = keys.next_nonce(key.item, series, clock().0).await?;
        (Some(turn), Some(nonce))
    } else {
        (None, None)
    };
    let moment = Moment {
        now: clock(),
        window_ms,
        nonce,
        unique: random(counter)?,
    };
    if private.expires().is_some_and(|until| until < moment.now) {
        return Err(NotSigned::Expired);
    }
    let credential = Credential {
        key: &key.api_key,
        algorithm: key.scheme.algorithm,
        // EXPOSE: to the header or signature that the venue wants it in.
        passphrase: passphrase.as_ref().map(|text| text.expose().as_str()),
    };
    let to_sign = venue.draft(&private, &credential, &moment)?;
    let signatures = match &secret {
        Some(secret) => {
            let kept = keys.stays(key).then_some(kept);
            with_secret(&to_sign, key, secret, kept)?
        }
        None => Box::pin(with_device(&to_sign, request, key, keys)).await?,
    };
    let outgoing = to_sign.seal(&signatures)?;
    Ok(Signed { outgoing, turn })
}

fn random(counter: Counter) -> Result<Option<[u8; 16]>, NotSigned> {
    if counter != Counter::Unique {
        return Ok(None);
    }
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| NotSigned::Interrupted)?;
    Ok(Some(bytes))
}

fn with_secret(
    to_sign: &ToSign,
    key: &KeyHandle,
    secret: &ApiSecret,
    kept: Option<&Kept>,
) -> Result<Vec<Vec<u8>>, KeyError> {
    let parts = to_sign.parts().iter();
    let signed = parts.map(|part| sign_part(part, key, secret, kept));
    let signed = signed.collect::<Option<Vec<_>>>();
    signed.ok_or_else(|| KeyError::WrongSecret(key.name.clone()))
}

fn sign_part(
    part: &Part,
    key: &KeyHandle,
    secret: &ApiSecret,
    kept: Option<&Kept>,
) -> Option<Vec<u8>> {
    let algorithm = match part.algorithm() {
        Algorithm::HmacSha256 => hmac::HMAC_SHA256,
        Algorithm::HmacSha384 => hmac::HMAC_SHA384,
        Algorithm::HmacSha512 => hmac::HMAC_SHA512,
        other => {
            return match kept {
                Some(kept) => kept.signature(key.item, secret, other, part.bytes()),
                None => private_key::signature(secret, other, part.bytes()),
            };
        }
    };
    // EXPOSE: to the key of this one HMAC, whose two halves are computed on the stack.
    on_small_wiped_stack(|| {
        let text = secret.expose();
        let mac_key = match key.scheme.secret {
            SecretForm::Base64 => {
                let decoded = data_encoding::BASE64.decode(text.trim().as_bytes()).ok()?;
                hmac::Key::new(algorithm, &Zeroizing::new(decoded))
            }
            SecretForm::Text | SecretForm::PrivateKey => hmac::Key::new(algorithm, text.as_bytes()),
        };
        Some(hmac::sign(&mac_key, part.bytes()).as_ref().to_vec())
    })
}

async fn with_device(
    to_sign: &ToSign,
    request: RequestId,
    key: &KeyHandle,
    keys: &dyn Keys,
) -> Result<Vec<Vec<u8>>, NotSigned> {
    let not_for_requests = || KeyError::NotForRequests(key.name.clone());
    let Signer::Device { key: info, .. } = &key.signer else {
        return Err(not_for_requests().into());
    };
    if info.purpose != Purpose::Request {
        return Err(not_for_requests().into());
    }
    let mut signatures = Vec::new();
    for part in to_sign.parts() {
        let scheme = device_scheme(part.algorithm());
        let (message, key_ref) = (part.bytes().to_vec(), info.key.clone());
        let job = move |device: &mut dyn Device, auth: Auth<'_>| {
            device.sign(&key_ref, scheme, &message, auth)
        };
        let signature = keys.on_device(request, key, Box::new(job)).await?;
        if !may_go_out(scheme, &info.spki, part.bytes(), &signature) {
            return Err(NotSigned::BadSignature);
        }
        signatures.push(match scheme {
            SignatureScheme::EcdsaP256Sha256 => raw_ecdsa(&signature)
                .ok_or(NotSigned::BadSignature)?
                .to_vec(),
            _ => signature,
        });
    }
    Ok(signatures)
}

const fn device_scheme(algorithm: Algorithm) -> SignatureScheme {
    match algorithm {
        Algorithm::HmacSha256 => SignatureScheme::HmacSha256,
        Algorithm::HmacSha384 => SignatureScheme::HmacSha384,
        Algorithm::HmacSha512 => SignatureScheme::HmacSha512,
        Algorithm::RsaPkcs1Sha256 => SignatureScheme::RsaPkcs1Sha256,
        Algorithm::Ed25519 => SignatureScheme::Ed25519,
        Algorithm::EcdsaP256Sha256 => SignatureScheme::EcdsaP256Sha256,
        Algorithm::Secp256k1Digest => SignatureScheme::EcdsaSecp256k1Digest,
    }
}

#[cfg(test)]
mod tests {
    use touchkeep_audit::{Decision, Event, Kind, Log};
    use touchkeep_core::{ItemId, UnixMillis};
    use touchkeep_policy::{Asked, History, Policy, Verdict};
    use touchkeep_venue::{Decoded, Encoding, KeyClass, Request, Scheme, binance::Binance};

    use super::*;
    use crate::{Answering, Consent, DeviceJob, Question};

    struct Untouchable;
    impl Keys for Untouchable {
        fn key_for(&self, _: &str, _: &str, _: KeyClass) -> Result<KeyHandle, KeyError> {
            panic!("no key is to be chosen")
        }
        fn base_url(&self, _: &str, _: &str) -> Result<Option<String>, KeyError> {
            panic!("nothing is to be sent")
        }
        fn make_ready<'a>(&'a self, _: &'a Question) -> Answering<'a, Result<(), KeyError>> {
            panic!("nobody is to be asked")
        }
        fn consent<'a>(&'a self, _: &'a Question) -> Answering<'a, Result<Consent, KeyError>> {
            panic!("nobody is to be asked")
        }
        fn secret<'a>(
            &'a self,
            _: RequestId,
            _: &'a KeyHandle,
        ) -> Answering<'a, Result<ApiSecret, KeyError>> {
            panic!("the secret is not to be touched")
        }
        fn passphrase<'a>(
            &'a self,
            _: RequestId,
            _: &'a KeyHandle,
        ) -> Answering<'a, Result<ApiSecret, KeyError>> {
            panic!("the passphrase is not to be touched")
        }
        fn next_nonce(&self, _: ItemId, _: Series, _: u64) -> Answering<'_, Result<u64, KeyError>> {
            panic!("no number is to be spent")
        }
        fn on_device<'a>(
            &'a self,
            _: RequestId,
            _: &'a KeyHandle,
            _: DeviceJob,
        ) -> Answering<'a, Result<Vec<u8>, KeyError>> {
            panic!("the device is not to be touched")
        }
        fn nonce_refused(&self, _: &KeyHandle, _: &str) {}
        fn over(&self, _: RequestId) {}
    }

    fn private(query: &str) -> Private {
        let request = Request {
            method: "GET".into(),
            path: "/api/v3/account".into(),
            query: query.into(),
            content_type: None,
            body: Vec::new(),
            expires: None,
        };
        match Binance.decode(&request) {
            Ok(Decoded::Private(private)) => *private,
            other => panic!("{other:?}"),
        }
    }

    fn recorded(private: &Private, item: ItemId) -> Recorded {
        let folder = tempfile::tempdir().unwrap();
        let recipient = age::x25519::Identity::generate().to_public().to_string();
        let log = Log::create(&folder.path().join("audit.db"), "vault", &recipient).unwrap();
        let asked = Asked {
            request: RequestId::random(),
            digest: request_digest(private, item),
            client: "bot".into(),
            key_set: "main".into(),
            operation: private.operation().clone(),
            now: UnixMillis(0),
        };
        match Policy::starting().decide(asked, &History::default()) {
            Verdict::Allow(allowed) => log
                .record_intent(allowed, &Event::new(Kind::Intent, Decision::Allowed))
                .unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn another_request_or_key_than_the_recorded_one_is_not_signed() {
        let key = KeyHandle {
            item: ItemId::random(),
            name: "key".into(),
            api_key: "api".into(),
            scheme: Scheme {
                algorithm: Algorithm::HmacSha256,
                secret: SecretForm::Text,
                encoding: Encoding::Hex,
            },
            signer: Signer::Secret,
            passphrase: false,
            touched_each_use: false,
            base_url: None,
        };
        for (query, item) in [("omitZeroBalances=true", key.item), ("", ItemId::random())] {
            let recorded = recorded(&private(""), item);
            let means = Means {
                keys: &Untouchable,
                clock: &|| panic!("the time does not matter"),
                turns: &Turns::default(),
                kept: &Kept::default(),
                settings: Settings::default(),
            };
            let ended = sign(recorded, private(query), &key, &Binance, means);
            assert!(matches!(
                ended.await,
                Err(NotSigned::Mismatch(Mismatch::OtherRequest))
            ));
        }
    }
}
