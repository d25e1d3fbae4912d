//! What a venue's requests mean, and how they are signed.
//!
//! Pure: bytes in, words and bytes out; no network, no clock, no keys. A request of a client is read once, strictly; what
//! can be read in two ways is refused. The bytes that were read are the bytes that are shown, signed and sent.
//!
//! Read in this order: [`operation`], [`request`].

pub mod operation;
pub mod request;

pub use operation::{KeyClass, Operation, OperationKind, Side};
pub use request::Request;
