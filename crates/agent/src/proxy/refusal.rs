//! What a bot is told when its request goes nowhere: an answer in the venue's own error shape, so that the bot's library
//! raises the error that a person expects, with our words in it.

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, HeaderValue},
};
use touchkeep_core::Code;
use touchkeep_venue::{Reason, refusal};

use super::answer::{Answer, whole};

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
    /// A header that says what the body is, or has the parameters: there twice, or not to be read.
    Header,
    /// No token, or two.
    Token,
    /// A token that nobody has (any more).
    UnknownToken,
    /// The client has as many connections as one may have.
    NoSeat,
    /// This header asks for the venue's demo account.
    Demo(&'static str),
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
            Self::Header | Self::Demo(_) => StatusCode::BAD_REQUEST,
            Self::Token | Self::UnknownToken => StatusCode::UNAUTHORIZED,
            Self::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoSeat => StatusCode::SERVICE_UNAVAILABLE,
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

    const fn reason(&self) -> Reason {
        match self {
            Self::Token | Self::UnknownToken => Reason::Key,
            Self::Locked | Self::NoSeat => Reason::Unavailable,
            Self::StateUnknown(_) => Reason::Unknown,
            Self::Head | Self::Method | Self::Path | Self::Header | Self::Demo(_) | Self::Body => {
                Reason::Malformed
            }
            Self::Host | Self::Browser => Reason::Denied,
            Self::Decided(code, _) => match code {
                Code::Unreadable | Code::Invalid | Code::NotFound | Code::Ambiguous => {
                    Reason::Malformed
                }
                Code::Locked
                | Code::AuditFailed
                | Code::System
                | Code::Damaged
                | Code::Unreachable => Reason::Unavailable,
                _ => Reason::Denied,
            },
        }
    }

    pub(super) fn words(&self) -> String {
        match self {
            Self::Host => "the request names another host than this proxy".into(),
            Self::Browser => "requests of web pages are not served".into(),
            Self::Head => "address and headers are too long".into(),
            Self::Method => "only GET, POST, PUT, PATCH and DELETE are served".into(),
            Self::Path => "the address must be /<venue>/<path>, in plain characters".into(),
            Self::Header => {
                "the header with the content's type or with the parameters is there twice, or cannot be read"
                    .into()
            }
            Self::Token => {
                "the request must show one client token: as the API key, or in X-Touchkeep-Token"
                    .into()
            }
            Self::UnknownToken => {
                "no client has this token; `touchkeep proxy list` names those that are let in"
                    .into()
            }
            Self::NoSeat => "this client has too many connections open; use them again".into(),
            Self::Demo(name) => format!(
                "{name} asks for the venue's demo account, and here it would be real money; switch the demo mode off, or use the demo without Touchkeep"
            ),
            Self::Body => "the body is too long, or did not come in time".into(),
            Self::Locked => "the vault is locked; run: touchkeep unlock".into(),
            Self::Decided(_, why) => why.clone(),
            Self::StateUnknown(why) => format!(
                "{why}; whether the venue has done it is not known: look there before you send it again"
            ),
        }
    }

    /// The answer, in the shape of that venue's errors; in Binance's where the request did not come as far as a venue.
    pub(super) fn response(&self, id: &str) -> Response<Answer> {
        let reason = self.reason();
        let words = format!("Touchkeep: {}", self.words());
        let (status, body) = refusal(id, reason, &words);
        let status = match StatusCode::from_u16(status) {
            // A venue with a status of its own for it.
            Ok(own) if status != refusal("", reason, "").0 => own,
            _ => self.status(),
        };
        let mut response = Response::new(whole(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-touchkeep-refused", HeaderValue::from_static("1"));
        if matches!(self, Self::Body | Self::Host | Self::Browser | Self::NoSeat) {
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
            assert_eq!(refusal.reason(), Reason::Denied);
            assert_eq!(refusal.response("binance").status(), StatusCode::FORBIDDEN);
        }
        assert_eq!(
            Refusal::Locked.response("binance").status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(Refusal::Locked.response("kraken").status(), StatusCode::OK);
        assert_eq!(
            Refusal::Path.response("nobody").status(),
            StatusCode::NOT_FOUND
        );
    }
}
