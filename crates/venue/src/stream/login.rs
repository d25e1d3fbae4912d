//! The login of a socket, as something that is judged and signed like a request.

use crate::{
    CannotSign, Credential, Decoded, Json, Moment, Operation, OperationKind, Private, Request,
    ToSign, Unreadable, Venue, VenueInfo,
    dialect::Body,
    drafting::scheme_of,
    stream::{
        dialect::{Asked, Dialect},
        stream,
    },
};

/// The method of the pseudo-request that a login is judged as.
pub const LOGIN: &str = "LOGIN";

/// A venue of which nothing but the login of a socket is asked. What is judged is an operation of kind read, whose parameters
/// are what of the client's message is signed; what comes out is for [`super::Guard::signed`].
#[derive(Clone, Copy)]
pub struct Login(pub(crate) &'static dyn Dialect);

impl Login {
    /// Whether what is signed is a request for a token, to be sent to the venue before anybody is let in.
    #[must_use]
    pub fn asks_the_venue(&self) -> bool {
        self.0.asks_the_venue()
    }
}

impl Venue for Login {
    fn id(&self) -> &'static str {
        self.0.venue().id()
    }

    fn info(&self) -> VenueInfo {
        self.0.venue().info()
    }

    fn decode(&self, request: &Request) -> Result<Decoded, Unreadable> {
        if request.method != LOGIN || !request.query.is_empty() {
            return Err(Unreadable::Method);
        }
        let stream = stream(self.id(), &request.path).ok_or(Unreadable::NoOrigin)?;
        if stream.guard.map(|guard| guard.login().0.name()) != Some(self.0.name()) {
            return Err(Unreadable::NoOrigin);
        }
        let words = "log in to a private data stream";
        let mut operation =
            Operation::new(OperationKind::Read, self.id(), LOGIN, &request.path, words);
        let body = if request.body.is_empty() {
            Body::Form(Vec::new())
        } else {
            let facts = Json::read(&request.body)?;
            operation.parameters = facts.flat();
            Body::Json(facts)
        };
        Ok(Decoded::Private(Box::new(Private {
            operation,
            origin: self.0.clock(),
            query: Vec::new(),
            body,
            expires: None,
            tag: "",
        })))
    }

    fn draft(
        &self,
        private: &Private,
        credential: &Credential<'_>,
        moment: &Moment,
    ) -> Result<ToSign, CannotSign> {
        let scheme = scheme_of(self.0.venue().info().schemes, credential)?;
        let stream = stream(self.id(), private.path()).ok_or(CannotSign::Unknown)?;
        self.0.draft(&Asked {
            private,
            facts: private.json().unwrap_or(&Json::Null),
            scheme,
            credential,
            moment,
            host: stream.origin.trim_start_matches("wss://"),
        })
    }
}
