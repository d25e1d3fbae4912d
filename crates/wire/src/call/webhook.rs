//! Whether a webhook's delivery is what its sender signed.

use serde::{Deserialize, Serialize};
use touchkeep_core::UnixMillis;

calls! {
    /// Checks a delivery with the secret of an item, and remembers it: the same one is not taken twice.
    VerifyWebhook = "webhook.verify" -> WebhookVerdict {
        /// Name or id of the item that has the secret.
        item: String,
        /// `stripe`, `github`, `coinbase-commerce`, `standard`.
        scheme: String,
        /// The headers as they came, at most [`MAX_WEBHOOK_HEADERS`].
        headers: Vec<(String, String)>,
        /// The body's bytes, in base64; at most [`MAX_WEBHOOK_BYTES`] of them.
        body: String,
        /// How far the sender's clock may be from ours.
        tolerance_seconds: u64,
        /// Takes a delivery that the sender signed anew after it had failed, though its id was seen before.
        retries: bool,
        /// Fail where a person would have to be asked.
        no_interaction: bool,
    }
}

/// The longest body of a delivery.
pub const MAX_WEBHOOK_BYTES: usize = 1024 * 1024;
/// Headers of one delivery.
pub const MAX_WEBHOOK_HEADERS: usize = 100;
/// How far the sender's clock may usually be from ours.
pub const WEBHOOK_TOLERANCE_SECONDS: u64 = 300;

/// What a delivery is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookVerdict {
    /// Whether its sender signed it, in time, and it was not taken before, or is a retry that was to be accepted.
    pub verified: bool,
    /// What the sender calls it, of one that its sender signed.
    pub id: Option<String>,
    /// When it was signed, where the scheme says so, of one that its sender signed.
    pub sent: Option<UnixMillis>,
    /// When it, or its id, was first taken, of one that was seen before.
    pub first_seen: Option<UnixMillis>,
    /// Why it is not taken, in a stable word.
    pub reason: Option<String>,
    /// What it is, in one sentence.
    pub what: String,
}
