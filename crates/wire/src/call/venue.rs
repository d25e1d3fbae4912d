//! Venues that requests are signed for.

use serde::{Deserialize, Serialize};

calls! {
    /// All of them, by name. Needs no vault.
    ListVenues = "venue.list" -> Vec<VenueSummary> {}
}

/// A venue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueSummary {
    /// Its name in paths, items and rules: `kraken`.
    pub id: String,
    /// Its name: `Kraken`.
    pub name: String,
    /// What its keys can be: `hmac-sha512`, `ed25519`, ….
    pub keys: Vec<String>,
    /// Over what we speak to it: `rest`, `web-socket-login`, `fix-logon`.
    pub transports: Vec<String>,
    /// Its WebSockets that the proxy relays.
    pub sockets: Vec<SocketSummary>,
    /// Which classes of key it can tell apart: `read`, `trade`, `move-money`, `key-admin`.
    pub key_classes: Vec<String>,
    /// Whether a passphrase belongs to each key.
    pub passphrase: bool,
    /// Who guards it against a request that is sent again: `time`, `nonce`, `unique`.
    pub counter: String,
    /// How far a request's time may be from the venue's, in milliseconds, where that is known.
    pub time_window_ms: Option<u32>,
    /// How many endpoints are in our table.
    pub endpoints: u32,
    /// When the table was last gone through: `2026-11-20`.
    pub data_date: String,
    /// Where it was read.
    pub source: String,
    /// What a holder of its keys should know.
    pub key_rules: Vec<String>,
}

/// A WebSocket of a venue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketSummary {
    /// Its path at the proxy, after the venue's name. A path that ends in `*` is a beginning.
    pub path: String,
    /// The venue's server, with the path there where it is another.
    pub server: String,
    /// Whether a client is logged in there. Over the others only public data can be had.
    pub login: bool,
}
