//! Which sender signs in which way.

/// A way of signing deliveries.
///
/// Sources, read 2026-11-26: stripe-python `_webhook.py`; docs.github.com "Validating webhook deliveries";
/// coinbase-commerce-node `Webhook.js`; standard-webhooks `spec/standard-webhooks.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `Stripe-Signature: t=…,v1=…`, HMAC-SHA-256 over `t.body`.
    Stripe,
    /// `X-Hub-Signature-256: sha256=…`, HMAC-SHA-256 over the body; no time, and an id that is not signed.
    Github,
    /// `X-CC-Webhook-Signature`, HMAC-SHA-256 over the body; no time.
    CoinbaseCommerce,
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`: HMAC-SHA-256 or Ed25519 over `id.time.body`.
    Standard,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Stripe,
        Self::Github,
        Self::CoinbaseCommerce,
        Self::Standard,
    ];

    /// Its word, as people write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Github => "github",
            Self::CoinbaseCommerce => "coinbase-commerce",
            Self::Standard => "standard",
        }
    }

    /// The one with this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.word() == word)
    }

    /// Whether a delivery says when it was signed, so that an old one is known by that.
    #[must_use]
    pub const fn has_time(self) -> bool {
        matches!(self, Self::Stripe | Self::Standard)
    }
}

/// How far the sender's clock may be from ours, in seconds, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance(u64);

impl Tolerance {
    /// The usual one, of both Stripe's and the standard's own libraries: five minutes.
    pub const USUAL: Self = Self(300);
    /// The longest, in seconds: a day.
    pub const MAX_SECONDS: u64 = 24 * 60 * 60;

    /// So many seconds, from 1 to a day. None has no end, and so none is none.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Option<Self> {
        match seconds {
            1..=Self::MAX_SECONDS => Some(Self(seconds)),
            _ => None,
        }
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0.saturating_mul(1000)
    }
}
