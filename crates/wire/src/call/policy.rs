//! What is signed by rule, what is asked, what is refused.

use serde::{Deserialize, Serialize};

use crate::Done;

calls! {
    /// The policy as text.
    GetPolicy = "policy.get" -> PolicyText {}
    /// Replaces the policy. A touch of the device, or the passphrase.
    SetPolicy = "policy.set" -> Done {
        /// TOML.
        text: String,
    }
}

/// The policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// TOML.
    pub text: String,
    /// Whether it could be read; where not, everything is asked by hand.
    pub readable: bool,
}
