//! Trade keys that stay usable while the vault is locked, and the lock that ends them as well.

use serde::{Deserialize, Serialize};

use super::Done;

calls! {
    /// Keeps the trade and read keys usable through an idle and a screen lock. A touch, or the passphrase.
    ArmTradeKeys = "vault.arm" -> Armed {
        /// For how many seconds from now; 0 ends it, and costs nothing.
        seconds: u64,
    }
    /// Forgets every key, armed ones as well.
    LockAll = "vault.lock-all" -> Done {}
}

/// Armed keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    /// Names of the items.
    pub items: Vec<String>,
    /// For how many seconds more.
    pub seconds_left: u64,
}
