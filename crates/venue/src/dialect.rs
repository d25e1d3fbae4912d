//! What a venue must be able to do: read a request, say what is to be signed, how and where the signature goes, and put it
//! in.

use std::fmt;

use touchkeep_core::UnixMillis;

use crate::{
    Algorithm, Encoding, Json, Operation, Parameter, Request, Unreadable, VenueInfo, form,
};

/// How one venue is spoken to. Holds no secret, no clock and no counter: what those would give is asked for by
/// [`Moment`] and [`Credential`], and the signatures come from outside.
pub trait Venue: Send + Sync {
    /// Its name in paths, items and rules: `kraken`.
    fn id(&self) -> &'static str;

    /// What it is, what it takes, and since when we know.
    fn info(&self) -> VenueInfo;

    /// Reads a request. Drops the client's own authentication.
    ///
    /// # Errors
    /// When it is broken or could be read in two ways.
    fn decode(&self, request: &Request) -> Result<Decoded, Unreadable>;

    /// Puts time, nonce and key in, and says which bytes are to be signed, with what, and where the signature goes.
    ///
    /// # Errors
    /// When the venue has no such key, or something is missing that it needs.
    fn draft(
        &self,
        private: &Private,
        credential: &Credential<'_>,
        moment: &Moment,
    ) -> Result<ToSign, CannotSign>;
}

/// A request that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// Needs no key; sent as it stands here.
    Public(Outgoing),
    /// Is to be judged and signed.
    Private(Box<Private>),
}

/// The public half of a credential, and how its secret half signs.
#[derive(Clone, Copy)]
pub struct Credential<'a> {
    /// The API key, its name, or its id.
    pub key: &'a str,
    /// How it signs.
    pub algorithm: Algorithm,
    /// The passphrase, where the venue wants one with each request.
    pub passphrase: Option<&'a str>,
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("key", &self.key)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// What only the caller can know: the time, the next number of the key's counter, something random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The venue's time.
    pub now: UnixMillis,
    /// How long after that the venue may take the request, where it can be told.
    pub window_ms: u32,
    /// The next number of the key, above all that were used before and stored as used. See [`crate::Counter`].
    pub nonce: Option<u64>,
    /// 16 random bytes, never used before.
    pub unique: Option<[u8; 16]>,
}

/// Why a request cannot be made ready for its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannotSign {
    /// The venue has no keys of this kind.
    #[error(
        "the venue takes no signature of this kind of key for it; touchkeep venue list has the kinds of its keys"
    )]
    Algorithm,
    /// It counts the requests of a key.
    #[error("the venue wants the next number of the key")]
    NoNonce,
    /// It wants something random in each request.
    #[error("the venue wants a random value in each request")]
    NoUnique,
    /// It wants a passphrase with each request.
    #[error(
        "the venue wants the passphrase of the key, and none is stored: touchkeep edit NAME --secret-field passphrase"
    )]
    NoPassphrase,
    /// A key or passphrase that no header can carry.
    #[error("the key or its passphrase has characters that no header can carry")]
    Header,
    /// More or fewer signatures than were asked for, or one of another length.
    #[error("the signature is not of the length that its kind has")]
    Signature,
    /// The endpoint is not in our tables, and its row is needed for what is signed.
    #[error("what is to be signed for this endpoint is not known")]
    Unknown,
    /// The body has values that the venue's way of signing does not know.
    #[error("the request has values that the venue's signature does not know")]
    Values,
}

/// A private request, without authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Private {
    pub(crate) operation: Operation,
    pub(crate) origin: &'static str,
    pub(crate) query: Vec<Slot>,
    pub(crate) body: Body,
    // What the signer needs of the endpoint's row.
    pub(crate) tag: &'static str,
    pub(crate) expires: Option<Expiry>,
}

// Until when the venue may take it, and the header that says so there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expiry {
    pub(crate) header: &'static str,
    pub(crate) at: UnixMillis,
}

// A parameter, by its place among those of the operation, so that what is shown and what is sent are one; or the place where
// the client had one that is ours. The place is kept: Binance signs bytes in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Given(usize),
    Timestamp,
    RecvWindow(Option<u32>),
    Nonce,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Form(Vec<Slot>),
    Json(Json),
}

impl Private {
    /// What it does.
    #[must_use]
    pub const fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The venue's server for it.
    #[must_use]
    pub const fn origin(&self) -> &'static str {
        self.origin
    }

    /// Until when, by the venue's clock, it is to be carried out; none where it does not say in a header. What it says of that
    /// in its parameters is the venue's to look at.
    #[must_use]
    pub fn expires(&self) -> Option<UnixMillis> {
        self.expires.map(|expiry| expiry.at)
    }

    /// The query as it will be sent, but for time, window and signature. What a digest and a judgement are over.
    #[must_use]
    pub fn judged_query(&self) -> Vec<u8> {
        self.judged(&self.query)
    }

    /// Lets the venue accept the request for at least `ms` after its time: for a signature that waits for a touch. Not part
    /// of what is judged.
    #[must_use]
    pub fn with_window_of_at_least(mut self, ms: u32) -> Self {
        let in_body = match &mut self.body {
            Body::Form(slots) => slots.as_mut_slice(),
            Body::Json(_) => &mut [],
        };
        for slot in self.query.iter_mut().chain(in_body) {
            if let Slot::RecvWindow(Some(window)) = slot {
                *window = ms.max(*window);
            }
        }
        self
    }

    /// The body as it will be sent, but for time, window, nonce and signature.
    #[must_use]
    pub fn judged_body(&self) -> Vec<u8> {
        match &self.body {
            Body::Form(slots) => self.judged(slots),
            Body::Json(json) => json.to_text().into_bytes(),
        }
    }

    fn judged(&self, slots: &[Slot]) -> Vec<u8> {
        let mut out = Vec::new();
        for Parameter { name, value } in self.given(slots) {
            form::append(&mut out, name, value);
        }
        out
    }

    /// The parameters among some slots, in their order.
    pub(crate) fn given<'a>(&'a self, slots: &'a [Slot]) -> impl Iterator<Item = &'a Parameter> {
        slots.iter().filter_map(|slot| match slot {
            Slot::Given(place) => self.operation.parameters.get(*place),
            Slot::Timestamp | Slot::RecvWindow(_) | Slot::Nonce => None,
        })
    }
}

/// A request that lacks only its signatures.
#[derive(PartialEq, Eq)]
pub struct ToSign {
    pub(crate) method: String,
    pub(crate) origin: &'static str,
    pub(crate) path: String,
    pub(crate) query: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) parts: Vec<Part>,
}

/// Bytes to sign, and what becomes of the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub(crate) bytes: Vec<u8>,
    pub(crate) algorithm: Algorithm,
    pub(crate) encoding: Encoding,
    pub(crate) place: Place,
}

/// Where a signature goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At the end of the query, under this name.
    Query(&'static str),
    /// At the end of the form in the body, under this name.
    Form(&'static str),
    /// Into this header, between these words.
    Header(&'static str, String, String),
    /// Into the body, before its last brace, as this member, a text.
    Member(&'static str),
    /// The same, a JSON text by itself.
    Object(&'static str),
}

impl Part {
    /// The bytes to sign.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// With what.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How the signature is written.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Where it goes.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }
}

impl ToSign {
    /// The bytes to sign: of the request itself, where the venue wants more than one signature.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.parts.first().map_or(&[], Part::bytes)
    }

    /// All that is to be signed, in the order in which [`ToSign::seal`] wants the signatures. KuCoin has two parts: the
    /// request, and the passphrase.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Puts the signatures in. Each is raw: the bytes of an HMAC, of RSA or Ed25519, or r and s of an ECDSA one.
    ///
    /// # Errors
    /// When their number or a length is not that of the parts.
    pub fn seal<S: AsRef<[u8]>>(mut self, signatures: &[S]) -> Result<Outgoing, CannotSign> {
        let parts = std::mem::take(&mut self.parts);
        let fits = |part: &Part, signature: &S| {
            let length = part.algorithm.signature_bytes();
            let given = signature.as_ref().len();
            length.map_or((256..=1024).contains(&given), |length| length == given)
        };
        if parts.len() != signatures.len()
            || !parts.iter().zip(signatures).all(|(part, s)| fits(part, s))
        {
            return Err(CannotSign::Signature);
        }
        for (part, signature) in parts.iter().zip(signatures) {
            let text = part.encoding.text(signature.as_ref());
            self.put(&part.place, &text)?;
        }
        Ok(self.outgoing())
    }

    pub(crate) fn put(&mut self, place: &Place, text: &str) -> Result<(), CannotSign> {
        match place {
            Place::Query(name) => form::append(&mut self.query, name, text),
            Place::Form(name) => form::append(&mut self.body, name, text),
            Place::Header(name, before, after) => {
                self.headers.push((name, format!("{before}{text}{after}")));
            }
            Place::Member(name) => self.put_member(name, &format!("\"{text}\""))?,
            Place::Object(name) => self.put_member(name, text)?,
        }
        Ok(())
    }

    fn put_member(&mut self, name: &str, value: &str) -> Result<(), CannotSign> {
        if self.body.pop() != Some(b'}') {
            return Err(CannotSign::Values);
        }
        self.body
            .extend(format!(",\"{name}\":{value}}}").into_bytes());
        Ok(())
    }

    pub(crate) fn outgoing(self) -> Outgoing {
        Outgoing {
            method: self.method,
            origin: self.origin,
            path_and_query: with_query(self.path, &self.query),
            headers: self.headers,
            body: self.body,
        }
    }
}

pub(crate) fn with_query(path: String, query: &[u8]) -> String {
    if query.is_empty() {
        return path;
    }
    // `form::append` writes ASCII only.
    format!("{path}?{}", String::from_utf8_lossy(query))
}

/// A request as it is sent.
#[derive(Clone, PartialEq, Eq)]
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

// Headers carry passphrases and tokens.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(f, "Outgoing", &self.method, self.origin, &self.headers)
    }
}

impl fmt::Debug for ToSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(f, "ToSign", &self.method, self.origin, &self.headers)
    }
}

fn shown(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    method: &str,
    origin: &str,
    headers: &[(&'static str, String)],
) -> fmt::Result {
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    f.debug_struct(what)
        .field("method", &method)
        .field("origin", &origin)
        .field("headers", &names)
        .finish_non_exhaustive()
}
