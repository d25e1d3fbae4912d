//! The one way from a request to a signature.
