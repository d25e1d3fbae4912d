//! What is signed where a connection, and not a request, is signed. Pure text; who opens the connection puts the signature
//! in.
//!
//! Every one of these opens a connection that can then do whatever its key can, so none is a small thing to sign.

use touchkeep_core::UnixMillis;

use crate::Parameter;

/// Binance's WebSocket API: every request, and `session.logon`, which takes Ed25519 alone. Signed are all parameters but the
/// signature, with the API key, in the order of their names, as raw UTF-8 (binance-spot-api-docs, web-socket-api.md).
#[must_use]
pub fn binance_websocket(parameters: &[Parameter]) -> String {
    let mut parameters: Vec<&Parameter> = parameters
        .iter()
        .filter(|p| p.name != "signature")
        .collect();
    parameters.sort_by(|a, b| a.name.cmp(&b.name));
    let pairs: Vec<String> = parameters
        .iter()
        .map(|p| format!("{}={}", p.name, p.value))
        .collect();
    pairs.join("&")
}

/// The parameters of Binance's `session.logon`, but for the signature.
#[must_use]
pub fn binance_session_logon(
    api_key: &str,
    now: UnixMillis,
    recv_window_ms: u32,
) -> Vec<Parameter> {
    let parameter = |name: &str, value: String| Parameter {
        name: name.to_owned(),
        value,
    };
    vec![
        parameter("apiKey", api_key.to_owned()),
        parameter("recvWindow", recv_window_ms.to_string()),
        parameter("timestamp", now.0.to_string()),
    ]
}

/// Binance's FIX `Logon`: message type, sender, target, sequence number and sending time as they stand in its header
/// (fix-api.md).
#[must_use]
pub fn binance_fix(sender: &str, target: &str, sequence: u64, sending_time: &str) -> String {
    format!("A\u{1}{sender}\u{1}{target}\u{1}{sequence}\u{1}{sending_time}")
}

/// Bybit's WebSocket `auth`: valid until `expires`.
#[must_use]
pub fn bybit_websocket(expires: UnixMillis) -> String {
    format!("GET/realtime{}", expires.0)
}

/// OKX's WebSocket `login`: the time in seconds.
#[must_use]
pub fn okx_websocket(now: UnixMillis) -> String {
    format!("{}GET/users/self/verify", now.0 / 1000)
}

/// Deribit's `public/auth` with `client_signature`: time, nonce and data.
#[must_use]
pub fn deribit(now: UnixMillis, nonce: &str, data: &str) -> String {
    format!("{}\n{nonce}\n{data}", now.0)
}
