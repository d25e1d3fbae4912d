//! Whether what a delivery shows is true: signed with the secret, and in time.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, hmac, signature::ParsedPublicKey};
use serde::Deserialize;
use touchkeep_core::UnixMillis;

use crate::{
    Key, Presented, Refusal, Scheme, Tolerance,
    key::Checks,
    presented::{MAX_ID_BYTES, Signature},
};

/// A delivery that its sender signed, and in time. Whether it was seen before is not said. Made by [`Presented::judge`]
/// alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Genuine {
    scheme: Scheme,
    id: Option<String>,
    sent: Option<UnixMillis>,
    message: [u8; 32],
    until: Option<UnixMillis>,
}

impl Genuine {
    /// Which scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What the sender calls it; the same when it is sent again after a failure. GitHub's is not signed.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// When it was signed, where the scheme says so.
    #[must_use]
    pub const fn sent(&self) -> Option<UnixMillis> {
        self.sent
    }

    /// SHA-256 of all that was signed. Only the sender can make another one, so whoever shows the same again replays.
    #[must_use]
    pub const fn message(&self) -> &[u8; 32] {
        &self.message
    }

    /// From when on its own time refuses it, so that it need not be remembered. None where it has no time.
    #[must_use]
    pub const fn until(&self) -> Option<UnixMillis> {
        self.until
    }
}

impl Presented<'_> {
    /// Judges it. Every signature of the secret's kind is compared, in a time that does not depend on where it differs.
    ///
    /// # Errors
    /// When no signature is right, or the time is not.
    pub fn judge(
        &self,
        key: &Key,
        tolerance: Tolerance,
        now: UnixMillis,
    ) -> Result<Genuine, Refusal> {
        if key.scheme != self.scheme {
            return Err(Refusal::NoSignature);
        }
        match &key.checks {
            Checks::Hmac(key) => self.check_hmac(key),
            Checks::Ed25519(key) => self.check_ed25519(key),
        }?;
        let until = self.sent.map(|sent| sent.plus_ms(tolerance.as_ms() + 1));
        if let Some(sent) = self.sent {
            in_time(sent, tolerance, now)?;
        }
        Ok(Genuine {
            scheme: self.scheme,
            id: self.id.clone().or_else(|| self.id_in_body()),
            sent: self.sent,
            message: self.message(),
            until,
        })
    }

    fn check_hmac(&self, key: &hmac::Key) -> Result<(), Refusal> {
        let mut context = hmac::Context::with_key(key);
        context.update(self.before.as_bytes());
        context.update(self.body);
        let expected = context.sign();
        let shown = self.signatures.iter().filter_map(|one| match one {
            Signature::Hmac(bytes) => Some(bytes),
            Signature::Ed25519(_) => None,
        });
        any(shown.map(|bytes| verify_slices_are_equal(expected.as_ref(), bytes).is_ok()))
    }

    fn check_ed25519(&self, key: &ParsedPublicKey) -> Result<(), Refusal> {
        let signed = [self.before.as_bytes(), self.body].concat();
        let shown = self.signatures.iter().filter_map(|one| match one {
            Signature::Ed25519(bytes) => Some(bytes),
            Signature::Hmac(_) => None,
        });
        any(shown.map(|bytes| key.verify_sig(&signed, bytes).is_ok()))
    }

    fn message(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [
            self.scheme.word().as_bytes(),
            b"\n",
            self.before.as_bytes(),
            self.body,
        ] {
            context.update(part);
        }
        let mut message = [0; 32];
        message.copy_from_slice(context.finish().as_ref());
        message
    }

    // Only of a body whose signature is right. One that is not JSON has no id, and is known by its bytes alone.
    fn id_in_body(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Stripe {
            id: String,
        }
        #[derive(Deserialize)]
        struct Coinbase {
            event: Stripe,
        }
        let id = match self.scheme {
            Scheme::Stripe => serde_json::from_slice(self.body)
                .map(|Stripe { id }| id)
                .ok(),
            Scheme::CoinbaseCommerce => serde_json::from_slice(self.body)
                .map(|Coinbase { event }| event.id)
                .ok(),
            Scheme::Github | Scheme::Standard => None,
        };
        id.filter(|id| (1..=MAX_ID_BYTES).contains(&id.len()))
    }
}

// All are looked at, whichever is right.
fn any(verdicts: impl Iterator<Item = bool>) -> Result<(), Refusal> {
    match verdicts.fold(None, |so_far, right| Some(so_far.unwrap_or(false) | right)) {
        None => Err(Refusal::NoSignature),
        Some(false) => Err(Refusal::WrongSignature),
        Some(true) => Ok(()),
    }
}

fn in_time(sent: UnixMillis, tolerance: Tolerance, now: UnixMillis) -> Result<(), Refusal> {
    let (late, early) = (now.since(sent), sent.since(now));
    if late > tolerance.as_ms() {
        return Err(Refusal::TooOld(late / 1000));
    }
    if early > tolerance.as_ms() {
        return Err(Refusal::TooNew(early.div_ceil(1000)));
    }
    Ok(())
}
