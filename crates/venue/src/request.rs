//! What a client sent, before anybody has looked at it.

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
}
