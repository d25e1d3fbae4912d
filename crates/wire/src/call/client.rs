//! Programs that may use the proxy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use touchkeep_core::{ClientId, UnixMillis};

use crate::{Done, SecretText};

calls! {
    /// Lets a program use a key set through the proxy.
    AddClient = "client.add" -> NewClient {
        /// Display name: `grid-bot`.
        name: String,
        /// The key set that it may use. None where it is empty: it hands over webhooks' deliveries, and nothing else.
        key_set: String,
        /// The venues, by id; all where empty.
        venues: Vec<String>,
        /// The kinds, as rules name them; all where empty.
        kinds: Vec<String>,
    }
    /// Programs that may use the proxy.
    ListClients = "client.list" -> Vec<ClientSummary> {}
    /// Binds a client closer, to fewer of the venues and kinds that it may use. Its token stays.
    BindClient = "client.bind" -> ClientSummary {
        /// Name or id.
        client: String,
        /// The venues, by id; as they were where empty.
        venues: Vec<String>,
        /// The kinds, as rules name them; as they were where empty.
        kinds: Vec<String>,
    }
    /// Lets the calling program in for as long as it runs. Nothing of it is kept in the vault.
    OpenClient = "client.open" -> OpenedClient {
        /// Display name.
        name: String,
        /// The key set that it may use.
        key_set: String,
        /// The venues, by id; all of the key set where empty.
        venues: Vec<String>,
        /// The kinds, as rules name them; all where empty.
        kinds: Vec<String>,
    }
    /// Ends a program's access at once.
    RevokeClient = "client.revoke" -> Done {
        /// Name or id.
        client: String,
    }
}

impl AddClient {
    /// Lets it do all that its key set can.
    #[must_use]
    pub fn unbound(name: impl Into<String>, key_set: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            key_set: key_set.into(),
            venues: Vec::new(),
            kinds: Vec::new(),
        }
    }
}

/// A new client of the proxy. The token is shown this once.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewClient {
    /// Its id.
    pub id: ClientId,
    /// What it shows with every request: as the dummy API key, or in `X-Touchkeep-Token`.
    pub token: SecretText,
    /// The proxy's base address for each venue of its key set, by the venue's id.
    pub base_urls: BTreeMap<String, String>,
    /// Where it hands over deliveries: this, and the item's name.
    pub webhooks: String,
}

impl NewClient {
    /// The first of its addresses.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.base_urls.values().next().cloned().unwrap_or_default()
    }
}

/// A client of the proxy that ends with the program that asked for it.
#[derive(Debug, Serialize, Deserialize)]
pub struct OpenedClient {
    /// Its id.
    pub id: ClientId,
    /// Variables for the program's environment: the token under the names that libraries look for, and addresses.
    pub variables: Vec<Variable>,
}

/// A variable of an environment.
#[derive(Debug, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: SecretText,
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
    /// The only venues that it may use it at; empty where all.
    pub venues: Vec<String>,
    /// The only kinds of operations that it may ask for; empty where all.
    pub kinds: Vec<String>,
    /// When it was let in.
    pub created: UnixMillis,
    /// When it last asked.
    pub last_seen: Option<UnixMillis>,
}
