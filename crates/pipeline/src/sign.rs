//! Signing: takes what was recorded, by value, and gives the one request that it was recorded for.

use aws_lc_rs::hmac;
use touchkeep_audit::Recorded;
use touchkeep_core::Clock;
use touchkeep_device::{Auth, Device, Purpose, SignatureScheme, public::verifies};
use touchkeep_locked::on_wiped_stack;
use touchkeep_policy::{Mismatch, request_digest};
use touchkeep_venue::{Dialect, Outgoing, Private, SignatureForm};

use crate::{KeyError, KeyHandle, Keys, NotSigned, Settings, Signer};

/// Signs the request that was recorded.
pub(crate) async fn sign(
    recorded: Recorded,
    private: Private,
    key: &KeyHandle,
    dialect: &dyn Dialect,
    keys: &dyn Keys,
    clock: &dyn Clock,
    settings: Settings,
) -> Result<Outgoing, NotSigned> {
    let allowed = recorded.into_allowed();
    let request = allowed.request();
    if request_digest(&private, key.item) != *allowed.digest() {
        return Err(Mismatch::OtherRequest.into());
    }
    match &key.signer {
        Signer::HmacSha256 => {
            let secret = keys.secret(request, key).await?;
            // The time is put in after the touch that the secret may have waited for.
            let window = settings.recv_window_ms;
            let to_sign = dialect.prepare(&private, &key.api_key, clock.now(), window);
            // The key's two halves are computed on the stack.
            let tag = on_wiped_stack(|| {
                // EXPOSE: to the key of this one HMAC.
                let mac_key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
                hmac::sign(&mac_key, to_sign.payload())
            });
            Ok(dialect.finish(to_sign, tag.as_ref(), SignatureForm::Hmac))
        }
        Signer::Device {
            key: info, scheme, ..
        } => {
            let (form, scheme) = match scheme {
                SignatureScheme::RsaPkcs1Sha256 => (SignatureForm::Rsa, *scheme),
                SignatureScheme::Ed25519 => (SignatureForm::Ed25519, *scheme),
                SignatureScheme::EcdsaP256Sha256 => return Err(not_for_requests(key)),
            };
            if info.purpose != Purpose::Request {
                return Err(not_for_requests(key));
            }
            // The device signs the time, and only then waits for the touch.
            let (private, window) = if key.touched_each_use {
                let wide = settings.touch_window_ms;
                (private.with_window_of_at_least(wide), wide)
            } else {
                (private, settings.recv_window_ms)
            };
            let to_sign = dialect.prepare(&private, &key.api_key, clock.now(), window);
            let (message, key_ref) = (to_sign.payload().to_vec(), info.key.clone());
            let job = move |device: &mut dyn Device, auth: Auth<'_>| {
                device.sign(&key_ref, scheme, &message, auth)
            };
            let signature = keys.on_device(request, key, Box::new(job)).await?;
            if !verifies(scheme, &info.spki, to_sign.payload(), &signature) {
                return Err(NotSigned::BadSignature);
            }
            Ok(dialect.finish(to_sign, &signature, form))
        }
    }
}

fn not_for_requests(key: &KeyHandle) -> NotSigned {
    KeyError::NotForRequests(key.name.clone()).into()
}

#[cfg(test)]
mod tests {
    use touchkeep_audit::{Decision, Event, Kind, Log};
    use touchkeep_core::{ApiSecret, ItemId, RequestId, SystemClock, UnixMillis};
    use touchkeep_policy::{Asked, History, Policy, Verdict};
    use touchkeep_venue::{Decoded, KeyClass, Request, binance::Binance};

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
        fn on_device<'a>(
            &'a self,
            _: RequestId,
            _: &'a KeyHandle,
            _: DeviceJob,
        ) -> Answering<'a, Result<Vec<u8>, KeyError>> {
            panic!("the device is not to be touched")
        }
        fn over(&self, _: RequestId) {}
    }

    fn private(query: &str) -> Private {
        let request = Request {
            method: "GET".into(),
            path: "/api/v3/account".into(),
            query: query.into(),
            content_type: None,
            body: Vec::new(),
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
            signer: Signer::HmacSha256,
            touched_each_use: false,
            base_url: None,
        };
        for (query, item) in [("omitZeroBalances=true", key.item), ("", ItemId::random())] {
            let recorded = recorded(&private(""), item);
            let settings = Settings::default();
            let other = private(query);
            let ended = sign(
                recorded,
                other,
                &key,
                &Binance,
                &Untouchable,
                &SystemClock,
                settings,
            );
            assert!(matches!(
                ended.await,
                Err(NotSigned::Mismatch(Mismatch::OtherRequest))
            ));
        }
    }
}
