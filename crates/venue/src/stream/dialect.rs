//! How the clients of one venue's sockets speak: what each venue's module says of itself.

use std::fmt;

use crate::{
    CannotSign, Credential, Decoded, Json, Moment, Part, Place, Private, Request, Scheme, ToSign,
    Venue, stream::Drafted,
};

/// What a client is given in place of a token that stays here.
pub(crate) const KEPT: &str = "kept-by-touchkeep";

/// One kind of socket. Nothing here has a state: what a connection must remember is handed in.
pub(crate) trait Dialect: Send + Sync {
    /// Its name in `data/streams.toml`.
    fn name(&self) -> &'static str;

    /// Whose keys log in.
    fn venue(&self) -> &'static dyn Venue;

    /// The server whose clock a login is held to.
    fn clock(&self) -> &'static str;

    /// What a client's message is. What is not known is refused.
    fn hears(&self, said: &Json, noted: Option<&str>) -> Heard;

    /// A message that only keeps the connection, in another form than JSON.
    fn is_ping(&self, _message: &[u8]) -> bool {
        false
    }

    /// What is signed for a login.
    fn draft(&self, login: &Asked<'_>) -> Drafted;

    /// The client's message with our values in it.
    fn message(&self, said: &Json, values: &Values) -> Option<Json>;

    /// A refusal as the venue writes its own.
    fn refusal(&self, said: &Json, words: &str) -> Json;

    /// Whether [`Dialect::told`] does anything.
    fn listens(&self) -> bool {
        false
    }

    /// What becomes of a message of the venue.
    fn told(&self, _message: &str) -> Told {
        Told::Passes
    }

    /// The login that the opening of the socket is itself.
    fn entered(&self, _query: &str) -> Option<LoginAsked> {
        None
    }

    /// How the socket is opened with it.
    fn entrance(&self, _query: &str, _values: &Values) -> Option<Entrance> {
        None
    }

    /// Whether what was signed is a request for a token, to be sent before anything is said.
    fn asks_the_venue(&self) -> bool {
        false
    }

    /// The token in the venue's answer.
    fn answered(&self, _answer: &Json) -> Option<Values> {
        None
    }

    /// What is answered in place of the venue to a client that asks for a token, at this path.
    fn token_kept(&self, _path: &str, _sockets: &str) -> Option<Json> {
        None
    }
}

/// What becomes of a message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It asks for data: passed on.
    Reads,
    /// A login, to be judged and signed.
    Login(LoginAsked),
    /// It names the key and proves nothing yet: passed on with the name of ours.
    Names(LoginAsked),
    /// Refused: the word for what it is.
    Refused(String),
}

/// A client's login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginAsked {
    /// The API key that it shows.
    pub key: String,
    /// What of it is signed, beside time and key: the body of what is judged. Empty where nothing is.
    pub facts: Json,
    pub(crate) said: Json,
}

impl LoginAsked {
    /// What is judged.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        match &self.facts {
            Json::Null => Vec::new(),
            facts => facts.to_text().into_bytes(),
        }
    }
}

/// What becomes of a message of a venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Passed on.
    Passes,
    /// Passed on, and remembered for the login that answers it.
    Noted(String),
    /// This is passed on in its place.
    Instead(String),
    /// Not passed on, and the socket ends: it may hold what no client may have.
    Cut,
}

/// What takes the place of a client's authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Values(pub(crate) Vec<(&'static str, String)>);

impl Values {
    /// The name of a key alone.
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        Self(vec![("apiKey", key.to_owned())])
    }

    pub(crate) fn of(&self, name: &str) -> Option<String> {
        let found = self.0.iter().find(|(known, _)| *known == name)?;
        Some(found.1.clone())
    }

    pub(crate) fn text(&self, name: &str) -> Option<Json> {
        self.of(name).map(Json::Text)
    }

    pub(crate) fn number(&self, name: &str) -> Option<Json> {
        self.of(name).map(Json::Number)
    }
}

// Signatures, tokens and passphrases.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| *name).collect();
        f.debug_tuple("Values").field(&names).finish()
    }
}

/// How a socket is opened by somebody who is logged in by that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// The server that the venue named; none where it is the table's.
    pub origin: Option<String>,
    /// The query of the address.
    pub query: String,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
}

/// A login that is to be signed.
pub(crate) struct Asked<'a> {
    pub(crate) private: &'a Private,
    pub(crate) facts: &'a Json,
    pub(crate) scheme: Scheme,
    pub(crate) credential: &'a Credential<'a>,
    pub(crate) moment: &'a Moment,
    /// Where the socket is: `ws.okx.com:8443`.
    pub(crate) host: &'static str,
}

impl Asked<'_> {
    /// The API key, as a value.
    pub(crate) fn key(&self) -> (&'static str, String) {
        ("apiKey", self.credential.key.to_owned())
    }

    /// The passphrase.
    pub(crate) fn passphrase(&self) -> Result<String, CannotSign> {
        let passphrase = self.credential.passphrase;
        Ok(passphrase.ok_or(CannotSign::NoPassphrase)?.to_owned())
    }

    /// Text that was read of the client's message.
    pub(crate) fn fact(&self, name: &str) -> Result<&str, CannotSign> {
        let fact = self.facts.member(name).and_then(Json::plain);
        fact.ok_or(CannotSign::Values)
    }

    /// These bytes signed as `sign`, beside these values.
    pub(crate) fn signs(
        &self,
        payload: impl Into<Vec<u8>>,
        values: Vec<(&'static str, String)>,
    ) -> ToSign {
        self.part(self.scheme.part(payload, Place::header("sign")), values)
    }

    /// The same, where the signature is written in a way of its own.
    pub(crate) fn part(&self, part: Part, values: Vec<(&'static str, String)>) -> ToSign {
        self.private
            .to_sign(Vec::new(), Vec::new(), values, vec![part])
    }
}

/// A message that asks for data by one of these words.
pub(crate) fn by_word(word: Option<&Json>, reads: &[&str]) -> Heard {
    match word {
        Some(Json::Text(word)) if reads.contains(&word.as_str()) => Heard::Reads,
        Some(Json::Text(word)) => Heard::Refused(word.clone()),
        _ => Heard::Refused("a message without a word for what it wants".into()),
    }
}

/// A login that shows this key, over which nothing of the message is signed.
pub(crate) fn login(key: Option<&Json>, said: &Json) -> Heard {
    login_with(key, Json::Null, said)
}

/// A login that shows this key, over which these facts are signed.
pub(crate) fn login_with(key: Option<&Json>, facts: Json, said: &Json) -> Heard {
    Heard::Login(LoginAsked {
        key: shown(key),
        facts,
        said: said.clone(),
    })
}

/// The key that a client shows.
pub(crate) fn shown(key: Option<&Json>) -> String {
    let plain = key.and_then(Json::plain);
    plain.unwrap_or_default().to_owned()
}

/// The message, with these members in the place of its own of the same names, and all others as they are.
pub(crate) fn with(said: &Json, ours: Vec<(&str, Json)>) -> Option<Json> {
    let Json::Members(members) = said else {
        return None;
    };
    let known = |name: &str| ours.iter().any(|(own, _)| *own == name);
    let mut all: Vec<(String, Json)> = members
        .iter()
        .filter(|(name, _)| !known(name))
        .cloned()
        .collect();
    all.extend(
        ours.into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    Some(Json::Members(all))
}

/// Nothing but these members, so that nothing that we do not know goes out with our key.
pub(crate) fn has_only(said: &Json, known: &[&str]) -> bool {
    match said {
        Json::Members(members) => members
            .iter()
            .all(|(name, _)| known.contains(&name.as_str())),
        _ => false,
    }
}

/// The members of an object that is in our own words, and the id that the client gave, where it gave one.
pub(crate) fn and_id(mut all: Vec<(&str, Json)>, name: &'static str, said: &Json) -> Json {
    all.extend(said.member(name).cloned().map(|id| (name, id)));
    let named = all
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Json::Members(named.collect())
}

/// A member of the client's message, or `null`.
pub(crate) fn echoed(said: &Json, name: &str) -> Json {
    said.member(name).cloned().unwrap_or(Json::Null)
}

/// Letters, digits and what stands in names of channels and markets.
pub(crate) fn is_name(text: &str, more: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
    (1..=128).contains(&text.len()) && text.chars().all(plain)
}

/// What is signed for a login where the venue gives out a token for a request without parameters.
pub(crate) fn token_request(venue: &dyn Venue, path: &str, asked: &Asked<'_>) -> Drafted {
    let request = Request {
        method: "POST".into(),
        path: path.into(),
        query: Vec::new(),
        content_type: None,
        body: Vec::new(),
        expires: None,
    };
    match venue.decode(&request) {
        Ok(Decoded::Private(token)) => venue.draft(&token, asked.credential, asked.moment),
        _ => Err(CannotSign::Unknown),
    }
}
