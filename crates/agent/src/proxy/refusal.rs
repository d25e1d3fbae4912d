//! What a bot is told when its request goes nowhere: an answer in the venue's own error shape, so that the bot's library
//! raises the error that a person expects, with our words in it.
//!
//! # Why these codes
//! Binance's error table (developers.binance.com, "Error codes", read 2026-11-22) and what ccxt 4.5.90 makes of it. -2015
//! would be the obvious code for "not permitted", but ccxt reads it as a temporary ban (`DDoSProtection`, which bots answer
//! by trying again) once a private call has succeeded. -1002 UNAUTHORIZED is an `AuthenticationError` always.

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, HeaderValue},
};
use touchkeep_core::Code;

use super::answer::{Answer, whole};

const UNKNOWN: i32 = -1000;
const DISCONNECTED: i32 = -1001;
const UNAUTHORIZED: i32 = -1002;
const TIMEOUT: i32 = -1007;
const ILLEGAL: i32 = -1100;
const BAD_KEY: i32 = -2014;

/// Why a request went nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Another host than ours in the request.
    Host,
    /// It comes from a web page.
    Browser,
    /// Address and headers are longer than what is read.
    Head,
    /// A method that no venue has.
    Method,
    /// A path that is not `/<venue>/…` in plain characters.
    Path,
    /// No token, or two.
    Token,
    /// A token that nobody has (any more).
    UnknownToken,
    /// The body is longer than what is read, or did not come in time.
    Body,
    /// The vault is locked.
    Locked,
    /// Decided against, or not to be decided: the stable code and the sentence for it.
    Decided(Code, String),
    /// Sent, and no answer came: nobody knows whether the venue did it.
    StateUnknown(String),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Browser => StatusCode::FORBIDDEN,
            Self::Head => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Path => StatusCode::NOT_FOUND,
            Self::Token | Self::UnknownToken => StatusCode::UNAUTHORIZED,
            Self::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Locked => StatusCode::SERVICE_UNAVAILABLE,
            Self::StateUnknown(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Decided(code, _) => match code {
                Code::Unreadable | Code::Invalid | Code::NotFound | Code::Ambiguous => {
                    StatusCode::BAD_REQUEST
                }
                Code::Locked | Code::AuditFailed | Code::System | Code::Damaged => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                Code::Unreachable => StatusCode::BAD_GATEWAY,
                _ => StatusCode::FORBIDDEN,
            },
        }
    }

    fn venue_code(&self) -> i32 {
        match self {
            Self::Token | Self::UnknownToken => BAD_KEY,
            Self::Locked => DISCONNECTED,
            Self::StateUnknown(_) => TIMEOUT,
            Self::Head | Self::Method | Self::Path | Self::Body => ILLEGAL,
            Self::Host | Self::Browser => UNAUTHORIZED,
            Self::Decided(..) => match self.status() {
                StatusCode::BAD_REQUEST => ILLEGAL,
                StatusCode::BAD_GATEWAY => DISCONNECTED,
                StatusCode::SERVICE_UNAVAILABLE => UNKNOWN,
                _ => UNAUTHORIZED,
            },
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Host => "the request names another host than this proxy".into(),
            Self::Browser => "requests of web pages are not served".into(),
            Self::Head => "address and headers are too long".into(),
            Self::Method => "only GET, POST, PUT and DELETE are served".into(),
            Self::Path => "the address must be /<venue>/<path>, in plain characters".into(),
            Self::Token => {
                "the request must show one client token: as the API key, or in X-Touchkeep-Token"
                    .into()
            }
            Self::UnknownToken => {
                "no client has this token; `touchkeep proxy list` names those that are let in"
                    .into()
            }
            Self::Body => "the body is too long, or did not come in time".into(),
            Self::Locked => "the vault is locked; run: touchkeep unlock".into(),
            Self::Decided(_, why) => why.clone(),
            Self::StateUnknown(why) => format!(
                "{why}; whether the venue has done it is not known: look there before you send it again"
            ),
        }
    }

    pub(super) fn response(&self) -> Response<Answer> {
        let body = serde_json::json!({
            "code": self.venue_code(),
            "msg": format!("Touchkeep: {}", self.words()),
        });
        let mut response = Response::new(whole(Bytes::from(body.to_string())));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-touchkeep-refused", HeaderValue::from_static("1"));
        if matches!(self, Self::Body | Self::Host | Self::Browser) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_not_read_as_a_temporary_ban() {
        for code in [Code::Denied, Code::Refused, Code::TimedOut, Code::NoTouch] {
            let refusal = Refusal::Decided(code, String::new());
            assert_eq!(refusal.venue_code(), UNAUTHORIZED);
            assert_eq!(refusal.response().status(), StatusCode::FORBIDDEN);
        }
        assert_eq!(
            Refusal::Locked.response().status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
}
