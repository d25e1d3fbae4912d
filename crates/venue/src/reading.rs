//! Reading a request by a venue's table. What differs from venue to venue is told by [`Manner`]; the strictness is the same
//! everywhere.

use std::borrow::Cow;

use touchkeep_core::UnixMillis;

use crate::{
    Decoded, Json, Operation, OperationKind, Outgoing, Parameter, Private, Request, Unreadable,
    beside,
    dialect::{Body, Expiry, Slot, with_query},
    form,
    operation::expiry_name,
    said::{Said, matches_anyhow, walk},
    table::{Endpoint, Meaning, Table},
};

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const JSON: &str = "application/json";

/// How the requests of a venue are read.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) id: &'static str,
    pub(crate) table: &'static Table,
    pub(crate) methods: &'static [&'static str],
    /// Parameters that are authentication: the client's are dropped, and ours put in where they stood.
    pub(crate) ours: &'static [(&'static str, Ours)],
    /// Content types of bodies.
    pub(crate) bodies: &'static [&'static str],
    /// Where a query may stand.
    pub(crate) query: Query,
    /// Whether a parameter may stand in query and body alike, with the same value.
    pub(crate) same_in_both: bool,
    /// Parameters that are authentication of a kind that we do not do.
    pub(crate) refused: &'static [&'static str],
    /// The member of a body, by its path, that names the endpoint where one URL serves many: the row is `/exchange#order`.
    pub(crate) row: Option<(&'static str, &'static str)>,
    /// Gets at the parameters inside a body, where they stand in an envelope.
    pub(crate) open: fn(Json, &str) -> Result<Json, Unreadable>,
}

/// Where a query may stand: only where the signature covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Query {
    /// Anywhere.
    Covered,
    /// Beside no body.
    OrBody,
    /// In a GET alone.
    OfGet,
    /// Nowhere.
    Never,
}

/// What becomes of a parameter that is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ours {
    Dropped,
    Time,
    Window,
    Nonce,
}

impl Manner {
    pub(crate) const fn new(id: &'static str, table: &'static Table) -> Self {
        Self {
            id,
            table,
            methods: &["GET", "POST", "PUT", "DELETE"],
            ours: &[],
            bodies: &[JSON],
            query: Query::Covered,
            same_in_both: false,
            refused: &[],
            row: None,
            open: |json, _| Ok(json),
        }
    }

    pub(crate) fn decode(&self, request: &Request) -> Result<Decoded, Unreadable> {
        let method = self.method(&request.method)?;
        let origin = self.origin(&request.path)?;
        let query = form::read(&request.query)?;
        let body = self.body(request, method)?;
        self.each_once(&query, &body)?;
        let found = self.table.find(method, &self.row_of(request, &body)?);
        match found.as_ref().map(|(e, _)| (e.meaning, &e.words)) {
            Some((Meaning::Public, _)) => {
                return Ok(self.public(method, origin, request, &query, &body));
            }
            Some((Meaning::NotServed, why)) => return Err(Unreadable::NotServed(why.clone())),
            _ => {}
        }
        self.query_is_covered(&query, request, method)?;
        let unknown = Endpoint::unknown();
        let (endpoint, places) = found.unwrap_or((unknown, Vec::new()));
        self.markets_are_named(&query, &body)?;
        texts_are_plain(&query, &body)?;
        let operation = self.operation(endpoint, request, method, &query, &body, &places)?;
        let expires = self.expires(request)?;
        let private = self.private(operation, origin, query, body, &endpoint.tag, expires);
        Ok(Decoded::Private(Box::new(private)))
    }

    fn markets_are_named(&self, query: &[Parameter], body: &Given) -> Result<(), Unreadable> {
        let numbers = &self.table.about.numbers_markets;
        match numbers
            .iter()
            .find(|name| body.any_name(query, |said| matches_anyhow(said, name)))
        {
            Some(name) => Err(Unreadable::Numbered(name.clone())),
            None => Ok(()),
        }
    }

    // In the one form that goes on as it came.
    fn expires(&self, request: &Request) -> Result<Option<Expiry>, Unreadable> {
        let (Some(header), Some(said)) = (&self.table.about.expiry_header, &request.expires) else {
            return Ok(None);
        };
        let at: Option<u64> = said.parse().ok();
        match at.filter(|at| at.to_string() == *said) {
            Some(at) => Ok(Some(Expiry {
                header,
                at: UnixMillis(at),
            })),
            None => Err(Unreadable::Number(header.clone())),
        }
    }

    fn row_of<'a>(&self, request: &'a Request, body: &Given) -> Result<Cow<'a, str>, Unreadable> {
        match (self.row, body) {
            (Some((path, member)), Given::Json(json)) if path == request.path => {
                let name = walk(json, member)?;
                let name = name.ok_or_else(|| Unreadable::Value(member.into()))?;
                Ok(Cow::Owned(format!("{path}#{name}")))
            }
            _ => Ok(Cow::Borrowed(&request.path)),
        }
    }

    fn query_is_covered(
        &self,
        query: &[Parameter],
        request: &Request,
        method: &str,
    ) -> Result<(), Unreadable> {
        let covered = match self.query {
            Query::Covered => true,
            Query::OrBody => request.body.is_empty(),
            Query::OfGet => method == "GET",
            Query::Never => false,
        };
        if covered || query.iter().all(|p| self.ours(&p.name).is_some()) {
            return Ok(());
        }
        Err(Unreadable::Uncovered)
    }

    fn method(&self, given: &str) -> Result<&'static str, Unreadable> {
        let mut known = self.methods.iter();
        let found = known.find(|known| **known == given);
        found.copied().ok_or(Unreadable::Method)
    }

    // The path must be in the one form that every endpoint has: a server that normalises `//`, `..`, `%2e` or case would
    // otherwise see another endpoint than we did.
    fn origin(&self, path: &str) -> Result<&'static str, Unreadable> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/_-.:".contains(&b);
        let dots = |segment: &str| !segment.is_empty() && segment.bytes().all(|b| b == b'.');
        if !path.starts_with('/')
            || (path.ends_with('/') && !self.table.about.trailing_slash)
            || path.contains("//")
            || path.len() > 256
            || path.split('/').any(dots)
            || !path.bytes().all(plain)
        {
            return Err(Unreadable::Path);
        }
        if self.table.differs_only_in_case(path) {
            return Err(Unreadable::PathCase);
        }
        self.table.origin(path).ok_or(Unreadable::NoOrigin)
    }

    fn body(&self, request: &Request, method: &str) -> Result<Given, Unreadable> {
        if request.body.is_empty() {
            return Ok(Given::Form(Vec::new()));
        }
        if method == "GET" {
            return Err(Unreadable::BodyOfGet);
        }
        let kind = content_type(request.content_type.as_deref().unwrap_or_default())?;
        let known = self
            .bodies
            .iter()
            .find(|known| known.eq_ignore_ascii_case(kind));
        match known.copied() {
            Some(FORM) => Ok(Given::Form(form::read(&request.body)?)),
            Some(_) => {
                let json = Json::read(&request.body)?;
                let opened = (self.open)(json, &request.path)?;
                Ok(Given::Json(self.without_ours(opened)?))
            }
            None => Err(Unreadable::ContentType),
        }
    }

    fn without_ours(&self, json: Json) -> Result<Json, Unreadable> {
        let mut members = match json {
            Json::Members(members) => members,
            list @ Json::List(_) => return Ok(list),
            _ => return Err(Unreadable::NoMembers),
        };
        for (name, _) in &members {
            self.exact_case(name)?;
        }
        members.retain(|(name, _)| self.ours(name).is_none());
        Ok(Json::Members(members))
    }

    fn ours(&self, name: &str) -> Option<Ours> {
        let mut ours = self.ours.iter();
        ours.find(|(known, _)| *known == name)
            .map(|(_, what)| *what)
    }

    // `address[]`, `address[0]` and `address.x` are an `address` to some servers.
    fn exact_case(&self, name: &str) -> Result<(), Unreadable> {
        exact_case(name, self.ours.iter().map(|(name, _)| *name))
    }

    fn each_once(&self, query: &[Parameter], body: &Given) -> Result<(), Unreadable> {
        let members: Vec<Parameter>;
        let in_body: &[Parameter] = match body {
            Given::Form(form) => form,
            Given::Json(Json::Members(given)) => {
                let named = |(name, value): &(String, Json)| Parameter {
                    name: name.clone(),
                    value: value.plain().unwrap_or_default().to_owned(),
                };
                members = given.iter().map(named).collect();
                &members
            }
            Given::Json(_) => &[],
        };
        let counts = |parameter: &&Parameter| !self.same_in_both || !query.contains(parameter);
        let in_body = || in_body.iter().filter(counts);
        form::each_once(query.iter().chain(in_body()))?;
        for Parameter { name, .. } in query.iter().chain(in_body()) {
            self.exact_case(name)?;
            if self.refused.iter().any(|r| r.eq_ignore_ascii_case(name)) {
                return Err(Unreadable::Value(name.clone()));
            }
        }
        Ok(())
    }

    fn public(
        &self,
        method: &str,
        origin: &'static str,
        request: &Request,
        query: &[Parameter],
        body: &Given,
    ) -> Decoded {
        let mut bytes = Vec::new();
        for parameter in query.iter().filter(|p| self.ours(&p.name).is_none()) {
            form::append(&mut bytes, &parameter.name, &parameter.value);
        }
        Decoded::Public(Outgoing {
            method: method.to_owned(),
            origin,
            path_and_query: with_query(request.path.clone(), &bytes),
            headers: match body {
                Given::Json(_) => vec![("Content-Type", JSON.to_owned())],
                Given::Form(_) => Vec::new(),
            },
            body: match body {
                Given::Json(json) => json.to_text().into_bytes(),
                Given::Form(_) => Vec::new(),
            },
        })
    }

    fn operation(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        method: &str,
        query: &[Parameter],
        body: &Given,
        places: &[(String, String)],
    ) -> Result<Operation, Unreadable> {
        let kind = match endpoint.meaning {
            Meaning::Private(kind) => kind,
            Meaning::Public => OperationKind::Read,
            Meaning::NotServed => OperationKind::Unknown,
        };
        let mut operation = Operation::new(kind, self.id, method, &request.path, &endpoint.words);
        // Backpack borrows for a withdrawal, too.
        let may = matches!(kind, OperationKind::Trade | OperationKind::Withdraw);
        operation.borrows = may && beside::borrows(&self.table.about, query, body);
        if let Some(shape) = &endpoint.shape {
            let said = Said {
                shape,
                table: self.table,
                query,
                body,
                places,
                ours: self.ours,
            };
            said.describe(&mut operation)?;
        }
        Ok(operation.with_one_name_each())
    }

    fn private(
        &self,
        mut operation: Operation,
        origin: &'static str,
        query: Vec<Parameter>,
        body: Given,
        tag: &'static str,
        expires: Option<Expiry>,
    ) -> Private {
        let said = &mut operation.parameters;
        said.reserve(query.len() + body.len());
        let query = self.slots(query, said);
        let body = match body {
            Given::Form(form) => Body::Form(self.slots(form, said)),
            Given::Json(json) => {
                said.extend(json.flat());
                Body::Json(json)
            }
        };
        // Shown and recorded like what is in the request, behind all of it: the slots are places among these.
        said.extend(expires.map(|Expiry { header, at }| Parameter {
            name: expiry_name(header),
            value: at.0.to_string(),
        }));
        Private {
            operation,
            origin,
            query,
            body,
            tag,
            expires,
        }
    }

    // What the client gave goes to what is said; what is ours leaves a place.
    fn slots(&self, parameters: Vec<Parameter>, said: &mut Vec<Parameter>) -> Vec<Slot> {
        let slot = |parameter: Parameter| match self.ours(&parameter.name) {
            None => {
                said.push(parameter);
                Some(Slot::Given(said.len() - 1))
            }
            Some(Ours::Dropped) => None,
            Some(Ours::Time) => Some(Slot::Timestamp),
            Some(Ours::Window) => Some(Slot::RecvWindow(window(&parameter.value))),
            Some(Ours::Nonce) => Some(Slot::Nonce),
        };
        parameters.into_iter().filter_map(slot).collect()
    }
}

/// The longest window that any venue takes, in milliseconds.
pub(crate) const MAX_WINDOW_MS: u32 = 60_000;

// Binance allows fractions of a millisecond as well; nobody needs them, so they get our default.
fn window(value: &str) -> Option<u32> {
    let plain = value.bytes().all(|b| b.is_ascii_digit());
    let window = value.parse().ok().filter(|_| plain)?;
    (1..=MAX_WINDOW_MS).contains(&window).then_some(window)
}

// A body, without an envelope.
pub(crate) enum Given {
    Form(Vec<Parameter>),
    Json(Json),
}

impl Given {
    fn len(&self) -> usize {
        match self {
            Self::Form(form) => form.len(),
            Self::Json(_) => 0,
        }
    }

    /// Whether a parameter in a query or in this has such a name, however deep.
    pub(crate) fn any_name(&self, query: &[Parameter], fits: impl Fn(&str) -> bool) -> bool {
        let of = |parameters: &[Parameter]| parameters.iter().any(|p| fits(&p.name));
        of(query)
            || match self {
                Self::Form(form) => of(form),
                Self::Json(json) => any_member(json, &fits),
            }
    }
}

// A list or members in the text of a parameter are read as strictly as those in a body.
fn texts_are_plain(query: &[Parameter], body: &Given) -> Result<(), Unreadable> {
    let of = |parameters: &[Parameter]| {
        let mut values = parameters.iter().map(|parameter| &parameter.value);
        values.try_for_each(|value| Json::within(value).map(|_| ()))
    };
    of(query)?;
    match body {
        Given::Form(form) => of(form),
        Given::Json(json) => texts_within_are_plain(json),
    }
}

fn texts_within_are_plain(json: &Json) -> Result<(), Unreadable> {
    match json {
        Json::Text(text) => Json::within(text).map(|_| ()),
        Json::List(values) => values.iter().try_for_each(texts_within_are_plain),
        Json::Members(members) => {
            let mut values = members.iter().map(|(_, value)| value);
            values.try_for_each(texts_within_are_plain)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
    }
}

fn any_member(json: &Json, fits: &impl Fn(&str) -> bool) -> bool {
    match json {
        Json::Members(members) => members
            .iter()
            .any(|(name, value)| fits(name) || any_member(value, fits)),
        Json::List(values) => values.iter().any(|value| any_member(value, fits)),
        _ => false,
    }
}

fn content_type(given: &str) -> Result<&str, Unreadable> {
    let (kind, parameter) = given.split_once(';').unwrap_or((given, "charset=utf-8"));
    let utf8 = parameter.trim().eq_ignore_ascii_case("charset=utf-8");
    if utf8 {
        Ok(kind.trim())
    } else {
        Err(Unreadable::ContentType)
    }
}

/// Refuses another spelling of one of the names. Readers differ on upper and lower case; those of protocol buffers take
/// `productId` for `product_id`, and where both are there the older ones read the first of the two alone (protobuf.dev,
/// "ProtoJSON"; golang/protobuf, `jsonpb`).
pub(crate) fn exact_case<'a>(
    name: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), Unreadable> {
    let end = name.bytes().position(|b| matches!(b, b'[' | b'.'));
    let plain = end.and_then(|end| name.get(..end)).unwrap_or(name);
    let other = |known: &str| {
        known != name
            && (known.eq_ignore_ascii_case(plain)
                || (is_spelling(known, plain) && !beside::is_of_ccxt(plain)))
    };
    // Some venues have had several spellings themselves.
    if names.clone().any(other) && !names.clone().any(|known| known == name) {
        return Err(Unreadable::NameCase(name.to_owned()));
    }
    Ok(())
}

// The same letters, whatever their case and what parts them.
fn is_spelling(known: &str, name: &str) -> bool {
    fn letters(text: &str) -> impl Iterator<Item = u8> {
        let letters = text.bytes().filter(|b| !matches!(b, b'_' | b'-'));
        letters.map(|b| b.to_ascii_lowercase())
    }
    letters(known).eq(letters(name))
}
