//! WebSockets: where they go, and what a client may say over one that knows a key.
//!
//! Whoever is logged in over a socket could trade over it, too. So of what a client says only reading passes; its login is
//! taken away, judged and signed as an operation of kind read, and ours goes in its place; the rest is refused. What cannot be
//! read in one way is refused as well. What is a login, and what is signed for it, stands in the venue's own module
//! (`venues/<venue>/socket.rs`).

pub(crate) mod dialect;
mod login;

use std::{fmt, sync::OnceLock};

use serde::Deserialize;

pub use dialect::{Entrance, Heard, LoginAsked, Told, Values};
pub use login::{LOGIN, Login};

use crate::{
    CannotSign, Json, Outgoing, SocketInfo, backpack, binance, bitfinex, bitstamp, bybit, coinbase,
    coinbaseexchange, cryptocom, deribit, gate, gemini, htx, kraken, krakenfutures, kucoin, mexc,
    okx, upbit,
};

/// Where a WebSocket goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// `wss://ws.okx.com:8443`.
    pub origin: &'static str,
    /// The path there.
    pub path: String,
    /// How its messages are read; none where nothing but data can be asked for.
    pub guard: Option<Guard>,
}

/// How the messages of a socket are read.
#[derive(Clone, Copy)]
pub struct Guard(&'static Login);

static ALL: &[Login] = &[
    Login(&backpack::socket::Backpack),
    Login(&binance::socket::Binance),
    Login(&bitfinex::socket::Bitfinex),
    Login(&okx::socket::Okx::BITGET),
    Login(&bitstamp::socket::Bitstamp),
    Login(&bybit::socket::Bybit),
    Login(&coinbase::socket::Coinbase),
    Login(&coinbaseexchange::socket::CoinbaseExchange),
    Login(&cryptocom::socket::CryptoCom),
    Login(&deribit::socket::Deribit),
    Login(&gate::socket::Gate),
    Login(&gemini::socket::Gemini),
    Login(&htx::socket::Spot),
    Login(&htx::socket::Contracts),
    Login(&kraken::socket::Kraken),
    Login(&krakenfutures::socket::KrakenFutures),
    Login(&kucoin::socket::KuCoin::SPOT),
    Login(&kucoin::socket::KuCoin::FUTURES),
    Login(&mexc::socket::Mexc),
    Login(&okx::socket::Okx::OKX),
    Login(&upbit::socket::Upbit),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    streams: Vec<[String; 4]>,
}

fn rows() -> &'static [[String; 4]] {
    static ROWS: OnceLock<Vec<[String; 4]>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let file: Result<File, _> = toml::from_str(include_str!("../data/streams.toml"));
        #[expect(clippy::panic, reason = "compiled-in data, read by every test")]
        file.unwrap_or_else(|why| panic!("data/streams: {why}"))
            .streams
    })
}

/// Where a WebSocket of this venue goes.
#[must_use]
pub fn stream(venue: &str, path: &str) -> Option<Stream> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@/!".contains(c);
    if !path.chars().all(plain) || path.contains("//") || path.split('/').any(|s| s == "..") {
        return None;
    }
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(beginning) => path.len() > beginning.len() && path.starts_with(beginning),
        None => path == pattern,
    };
    let [_, _, server, how] = rows().iter().find(|[v, p, ..]| v == venue && fits(p))?;
    // Some have the same path on two servers; the table then says which path is meant.
    let after = server.find("://").map_or(0, |at| at + 3);
    let slash = server.get(after..)?.find('/').map(|at| at + after);
    let (origin, path) = match slash {
        Some(slash) => (server.get(..slash)?, server.get(slash..)?),
        None => (server.as_str(), path),
    };
    Some(Stream {
        origin,
        path: path.to_owned(),
        guard: Guard::named(how),
    })
}

/// The sockets of a venue that are relayed.
#[must_use]
pub fn sockets(venue: &str) -> Vec<SocketInfo> {
    let of_venue = rows().iter().filter(|[v, ..]| v == venue);
    let all = of_venue.map(|[_, path, server, how]| SocketInfo {
        path,
        server,
        login: Guard::named(how).is_some(),
    });
    all.collect()
}

/// The answer that a client gets in place of a REST request for a token of a socket. The venue is not asked: the token would
/// open sockets past this program, and over Kraken's it could trade. Where the client then logs in with what it got here, the
/// login is ours. `sockets` is the address of this venue's sockets at the proxy.
#[must_use]
pub fn token_kept(venue: &str, method: &str, path: &str, sockets: &str) -> Option<Json> {
    if method != "POST" {
        return None;
    }
    let mut all = ALL.iter().filter(|login| login.0.venue().id() == venue);
    all.find_map(|login| login.0.token_kept(path, sockets))
}

impl Guard {
    fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|login| login.0.name() == name).map(Self)
    }

    /// What is judged and signed where a client logs in.
    #[must_use]
    pub const fn login(self) -> &'static Login {
        self.0
    }

    /// Reads what a client says. `noted` is what was noted of the venue's last word to it, see [`Told::Noted`].
    #[must_use]
    pub fn hears(self, message: &[u8], noted: Option<&str>) -> Heard {
        if self.0.0.is_ping(message) {
            return Heard::Reads;
        }
        match Json::read(message) {
            Ok(said) => self.0.0.hears(&said, noted),
            Err(_) => Heard::Refused("a message that is not plain JSON".into()),
        }
    }

    /// Whether anything that the venue says must be looked at before the client may hear it.
    #[must_use]
    pub fn listens(self) -> bool {
        self.0.0.listens()
    }

    /// What becomes of a message of the venue.
    #[must_use]
    pub fn told(self, message: &str) -> Told {
        self.0.0.told(message)
    }

    /// The login that the opening of the socket is itself, from the query of its address.
    #[must_use]
    pub fn entered(self, query: &str) -> Option<LoginAsked> {
        self.0.0.entered(query)
    }

    /// How the socket is opened with such a login.
    #[must_use]
    pub fn entrance(self, query: &str, values: &Values) -> Option<Entrance> {
        self.0.0.entrance(query, values)
    }

    /// What was signed, as values for the messages. Where [`Login::asks_the_venue`], the venue's answer has them.
    #[must_use]
    pub fn signed(self, signed: &Outgoing) -> Values {
        Values(signed.headers.clone())
    }

    /// The values in the venue's answer to a signed request for a token.
    #[must_use]
    pub fn answered(self, answer: &[u8]) -> Option<Values> {
        self.0.0.answered(&Json::read(answer).ok()?)
    }

    /// The message to send in place of the client's.
    #[must_use]
    pub fn message(self, asked: &LoginAsked, values: &Values) -> Option<String> {
        Some(self.0.0.message(&asked.said, values)?.to_text())
    }

    /// A refusal, in the shape of the venue's own errors; to what a client said, as far as that can be read.
    #[must_use]
    pub fn refusal(self, message: &[u8], words: &str) -> String {
        let said = Json::read(message).unwrap_or(Json::Null);
        self.0.0.refusal(&said, words).to_text()
    }
}

impl PartialEq for Guard {
    fn eq(&self, other: &Self) -> bool {
        self.0.0.name() == other.0.0.name()
    }
}

impl Eq for Guard {}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({})", self.0.0.name())
    }
}

/// What a venue's signer is asked for, where it is a login's.
pub(crate) type Drafted = Result<crate::ToSign, CannotSign>;
