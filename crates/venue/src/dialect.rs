//! What a venue must be able to do: read a request, say what is to be signed, and put the signature in.

use touchkeep_core::UnixMillis;

use crate::{Operation, Parameter, Request, Unreadable, form};

/// How one venue is spoken to.
pub trait Dialect: Send + Sync {
    /// Its name in paths, items and rules: `binance`.
    fn venue(&self) -> &'static str;

    /// Reads a request. Drops the client's own authentication.
    ///
    /// # Errors
    /// When it is broken or could be read in two ways.
    fn decode(&self, request: &Request) -> Result<Decoded, Unreadable>;

    /// Puts time and key in, and says which bytes are to be signed.
    fn prepare(
        &self,
        private: &Private,
        api_key: &str,
        now: UnixMillis,
        recv_window_ms: u32,
    ) -> ToSign;

    /// Puts the signature in. `signature` is raw: 32 bytes of an HMAC, the signature of RSA or Ed25519.
    fn finish(&self, to_sign: ToSign, signature: &[u8], form: SignatureForm) -> Outgoing;
}

/// A request that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// Needs no key; sent as it stands here.
    Public(Outgoing),
    /// Is to be judged and signed.
    Private(Box<Private>),
}

/// How a signature is made, as far as its text form depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureForm {
    /// A message authentication code.
    Hmac,
    /// RSASSA-PKCS1-v1_5.
    Rsa,
    /// Ed25519.
    Ed25519,
}

/// A private request, without authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Private {
    pub(crate) operation: Operation,
    pub(crate) origin: &'static str,
    pub(crate) query: Vec<Slot>,
    pub(crate) body: Vec<Slot>,
}

// A parameter, or the place where the client had one that is ours. The place is kept: Binance signs bytes in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    Given(Parameter),
    Timestamp,
    RecvWindow(Option<u32>),
}

impl Private {
    /// What it does.
    #[must_use]
    pub const fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The query as it will be sent, but for time, window and signature. What a digest and a judgement are over.
    #[must_use]
    pub fn judged_query(&self) -> Vec<u8> {
        judged(&self.query)
    }

    /// Lets the venue accept the request for at least `ms` after its time: for a signature that waits for a touch. Not part
    /// of what is judged.
    #[must_use]
    pub fn with_window_of_at_least(mut self, ms: u32) -> Self {
        for slot in self.query.iter_mut().chain(&mut self.body) {
            if let Slot::RecvWindow(Some(window)) = slot {
                *window = ms.max(*window);
            }
        }
        self
    }

    /// The body as it will be sent, but for time, window and signature.
    #[must_use]
    pub fn judged_body(&self) -> Vec<u8> {
        judged(&self.body)
    }
}

fn judged(slots: &[Slot]) -> Vec<u8> {
    let mut out = Vec::new();
    for slot in slots {
        if let Slot::Given(parameter) = slot {
            form::append(&mut out, &parameter.name, &parameter.value);
        }
    }
    out
}

/// A request that lacks only its signature.
#[derive(Debug, PartialEq, Eq)]
pub struct ToSign {
    pub(crate) method: String,
    pub(crate) origin: &'static str,
    pub(crate) path: String,
    pub(crate) query: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) payload: Vec<u8>,
}

impl ToSign {
    /// The bytes to sign.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// A request as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// `GET`, `POST`, ….
    pub method: String,
    /// The venue's server for this path: `https://api.binance.com`. Only a practice vault may put another in its place.
    pub origin: &'static str,
    /// Path, and query where there is one.
    pub path_and_query: String,
    /// Headers; none of the client's.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}
