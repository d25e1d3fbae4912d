//! What a client sent, before anybody has looked at it, and why it may be refused unread.

use touchkeep_core::Code;

/// A request as it came in, read whole, with the client's own authentication still in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, …, as written.
    pub method: String,
    /// The path after the venue's prefix, without a query: `/api/v3/order`.
    pub path: String,
    /// The raw query, without the `?`.
    pub query: Vec<u8>,
    /// The `Content-Type`, where there is one.
    pub content_type: Option<String>,
    /// The raw body.
    pub body: Vec<u8>,
    /// What stands in the venue's [`crate::VenueInfo::expiry_header`], where there is such a header.
    pub expires: Option<String>,
}

/// Why a request was refused unread: it is broken, or two readers could read it differently. No variant quotes a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// Not a method that the venue has.
    #[error("the method is none that the venue has")]
    Method,
    /// `//`, `..`, `%`, a `/` at the end, or another character that no endpoint has.
    #[error("the path is not in its plain form")]
    Path,
    /// An endpoint's path in other upper and lower case.
    #[error("the path differs from an endpoint's only in upper and lower case")]
    PathCase,
    /// The path belongs to no server of the venue that we know.
    #[error("the path belongs to no known server of the venue")]
    NoOrigin,
    /// A body on a method that has none.
    #[error("a GET request has no body")]
    BodyOfGet,
    /// A body of a kind that the venue does not read, or without a word on its kind.
    #[error("the body is not of the content type that the venue reads")]
    ContentType,
    /// Not JSON, or not JSON that everybody reads alike.
    #[error("the body is not plain JSON")]
    Json,
    /// JSON that holds no members where the endpoint wants members.
    #[error("the body holds no members")]
    NoMembers,
    /// Parameters in the query of a request whose signature covers the body alone.
    #[error("the query has parameters that the signature would not cover")]
    Uncovered,
    /// A body that names another endpoint than the path.
    #[error("the body names another endpoint than the path")]
    OtherEndpoint,
    /// Two parameters that say the same thing in different words.
    #[error("the parameters {0} and {1} say the same thing twice")]
    Either(String, String),
    /// Too long, or too many parameters.
    #[error("the request is too long")]
    TooLong,
    /// Not `name=value&name=value`.
    #[error("the parameters are not of the form name=value&name=value")]
    Syntax,
    /// A `%` that is not followed by two hex digits.
    #[error("a percent sign is not followed by two hex digits")]
    PercentEncoding,
    /// A `+`, `;` or `#`: read in different ways by different readers.
    #[error("a raw '{0}' can be read in two ways, percent-encode it")]
    TwoMeanings(char),
    /// Not UTF-8.
    #[error("a parameter is not UTF-8")]
    NotUtf8,
    /// A control character, raw or encoded.
    #[error("a parameter holds a control character")]
    Control,
    /// A parameter name with other characters than letters, digits, `_`, `-`, `.`, `[` and `]`.
    #[error("a parameter has a name that no endpoint has")]
    Name,
    /// The same parameter twice, in query or body, upper and lower case not minded.
    #[error("the parameter {0} is there twice")]
    Twice(String),
    /// A parameter that we read, in other upper and lower case, or as an array or a part.
    #[error("the parameter {0} is written in another way than the endpoint's")]
    NameCase(String),
    /// Not a plain decimal number above or equal to zero, or below zero where the sign is a side.
    #[error("the parameter {0} is not a plain decimal number")]
    Number(String),
    /// Empty, not one of the words that it may be, or the name of an asset or a market not in its one spelling.
    #[error(
        "what the parameter {0} says is not understood; write it as the venue does, capitals included"
    )]
    Value(String),
    /// The market by its number, which counts before its name: no rule knows which that is.
    #[error("the parameter {0} names the market by a number; send its name alone")]
    Numbered(String),
    /// An endpoint that is not served, and why.
    #[error("{0}")]
    NotServed(String),
    /// An amount in the base asset and another in the quote asset.
    #[error("the order gives two amounts")]
    TwoAmounts,
}

impl Unreadable {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Unreadable
    }
}
