//! Programs that may use the proxy.

use serde::{Deserialize, Serialize};
use touchkeep_core::{ClientId, UnixMillis};

use crate::{Done, SecretText};

calls! {
    /// Lets a program use a key set through the proxy.
    AddClient = "client.add" -> NewClient {
        /// Display name: `grid-bot`.
        name: String,
        /// The key set that it may use.
        key_set: String,
    }
    /// Programs that may use the proxy.
    ListClients = "client.list" -> Vec<ClientSummary> {}
    /// Ends a program's access at once.
    RevokeClient = "client.revoke" -> Done {
        /// Name or id.
        client: String,
    }
}

/// A new client of the proxy. The token is shown this once.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewClient {
    /// Its id.
    pub id: ClientId,
    /// What it shows with every request: as the dummy API key, or in `X-Touchkeep-Token`.
    pub token: SecretText,
    /// The proxy's base address for its venue.
    pub base_url: String,
}

/// A client of the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSummary {
    /// Its id.
    pub id: ClientId,
    /// Its name.
    pub name: String,
    /// The key set that it may use.
    pub key_set: String,
    /// When it was let in.
    pub created: UnixMillis,
    /// When it last asked.
    pub last_seen: Option<UnixMillis>,
}
