//! WebSockets: where they go, and what a client may say over one that knows a key.
//!
//! Whoever is logged in over a socket could trade over it, too. So of what a client says only reading passes; its login is
//! taken away, judged and signed as an operation of kind read, and ours goes in its place; the rest is refused. What cannot be
//! read in one way is refused as well.

use std::sync::OnceLock;

use serde::Deserialize;
use touchkeep_core::UnixMillis;

use crate::{
    Algorithm, CannotSign, Credential, Decoded, Json, Moment, Operation, OperationKind, Outgoing,
    Place, Private, Request, Scheme, ToSign, Unreadable, Venue, VenueInfo,
    dialect::Body,
    drafting::{members, number, scheme_of, text},
    logins,
};

/// The method of the pseudo-request that a login is judged as.
pub const LOGIN: &str = "LOGIN";

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Binance's WebSocket API.
    Binance,
    /// OKX's private and business channels.
    Okx,
    /// Bitget's, which are OKX's.
    Bitget,
    /// Bybit's private channel.
    Bybit,
    /// Kraken's version 2, with a token from REST.
    Kraken,
    /// KuCoin's, with a token from REST.
    KuCoin,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It asks for data: passed on.
    Reads,
    /// A login, to be judged and signed; with what of it the answer must carry.
    Login(LoginAsked),
    /// Refused: the word for what it is.
    Refused(String),
}

/// A client's login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginAsked {
    /// The API key that it shows.
    pub key: String,
    id: Option<Json>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    streams: Vec<[String; 4]>,
}

/// Where a WebSocket of this venue goes.
#[must_use]
pub fn stream(venue: &str, path: &str) -> Option<Stream> {
    static ROWS: OnceLock<Vec<[String; 4]>> = OnceLock::new();
    let rows = ROWS.get_or_init(|| {
        let file: Result<File, _> = toml::from_str(include_str!("../data/streams.toml"));
        #[expect(clippy::panic, reason = "compiled-in data, read by every test")]
        file.unwrap_or_else(|why| panic!("data/streams: {why}"))
            .streams
    });
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@/!".contains(c);
    if !path.chars().all(plain) || path.contains("//") || path.split('/').any(|s| s == "..") {
        return None;
    }
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(beginning) => path.len() > beginning.len() && path.starts_with(beginning),
        None => path == pattern,
    };
    let [_, pattern, origin, how] = rows.iter().find(|[v, p, ..]| v == venue && fits(p))?;
    // Kraken has the same path on two servers.
    let path = match pattern.as_str() {
        "/auth/v2" => "/v2".to_owned(),
        _ => path.to_owned(),
    };
    Some(Stream {
        origin,
        path,
        guard: Guard::named(how),
    })
}

impl Guard {
    fn named(name: &str) -> Option<Self> {
        match name {
            "binance" => Some(Self::Binance),
            "okx" => Some(Self::Okx),
            "bitget" => Some(Self::Bitget),
            "bybit" => Some(Self::Bybit),
            "kraken" => Some(Self::Kraken),
            "kucoin" => Some(Self::KuCoin),
            _ => None,
        }
    }

    const fn member(self) -> &'static str {
        match self {
            Self::Okx | Self::Bitget | Self::Bybit => "op",
            Self::Binance | Self::Kraken => "method",
            Self::KuCoin => "type",
        }
    }

    // The server whose clock a login is held to.
    const fn clock(self) -> &'static str {
        match self {
            Self::Binance => "https://api.binance.com",
            Self::Okx => "https://www.okx.com",
            Self::Bitget => "https://api.bitget.com",
            Self::Bybit => "https://api.bybit.com",
            Self::Kraken => "https://api.kraken.com",
            Self::KuCoin => "https://api.kucoin.com",
        }
    }

    const fn login(self) -> Option<&'static str> {
        match self {
            Self::Okx | Self::Bitget => Some("login"),
            Self::Bybit => Some("auth"),
            Self::Binance => Some("session.logon"),
            Self::Kraken | Self::KuCoin => None,
        }
    }

    const fn reads(self) -> &'static [&'static str] {
        match self {
            Self::Okx | Self::Bitget => &["subscribe", "unsubscribe"],
            Self::Bybit | Self::Kraken | Self::KuCoin => &["subscribe", "unsubscribe", "ping"],
            Self::Binance => &[
                "ping",
                "time",
                "exchangeInfo",
                "depth",
                "trades.recent",
                "trades.aggregate",
                "klines",
                "uiKlines",
                "avgPrice",
                "ticker",
                "ticker.24hr",
                "ticker.price",
                "ticker.book",
                "ticker.tradingDay",
                "session.status",
                "session.logout",
                "session.subscriptions",
                "userDataStream.subscribe",
                "userDataStream.unsubscribe",
            ],
        }
    }

    /// Reads what a client says.
    #[must_use]
    pub fn hears(self, message: &[u8]) -> Heard {
        if message == b"ping" && matches!(self, Self::Okx | Self::Bitget) {
            return Heard::Reads;
        }
        let Ok(json) = Json::read(message) else {
            return Heard::Refused("a message that is not plain JSON".into());
        };
        let word = match json.member(self.member()) {
            Some(Json::Text(word)) => word.as_str(),
            _ => return Heard::Refused("a message without a word for what it wants".into()),
        };
        if self.reads().contains(&word) {
            return Heard::Reads;
        }
        if self.login() == Some(word) {
            return Heard::Login(LoginAsked {
                key: self.key(&json).unwrap_or_default(),
                id: self.id(&json).cloned(),
            });
        }
        Heard::Refused(word.to_owned())
    }

    fn key(self, json: &Json) -> Option<String> {
        let key = match self {
            Self::Okx | Self::Bitget => first(json.member("args")?)?.member("apiKey")?,
            Self::Bybit => first(json.member("args")?)?,
            Self::Binance => json.member("params")?.member("apiKey")?,
            Self::Kraken | Self::KuCoin => return None,
        };
        key.plain().map(str::to_owned)
    }

    fn id(self, json: &Json) -> Option<&Json> {
        match self {
            Self::Bybit | Self::Kraken => json.member("req_id"),
            _ => json.member("id"),
        }
    }

    /// A refusal, in the shape of the venue's own errors; to what a client said, as far as that can be read.
    #[must_use]
    pub fn refusal(self, message: &[u8], words: &str) -> String {
        let json = Json::read(message).unwrap_or(Json::Null);
        let id = self.id(&json).cloned().unwrap_or(Json::Null);
        let word = json.member(self.member()).cloned().unwrap_or(Json::Null);
        let words = text(words);
        let refusal = match self {
            Self::Okx | Self::Bitget => members([
                ("event", text("error")),
                ("id", id),
                ("code", text("60011")),
                ("msg", words),
            ]),
            Self::Bybit => members([
                ("success", Json::Bool(false)),
                ("ret_msg", words),
                ("op", word),
                ("req_id", id),
                ("conn_id", text("")),
            ]),
            Self::Binance => members([
                ("id", id),
                ("status", number(403)),
                (
                    "error",
                    members([("code", Json::Number("-1002".into())), ("msg", words)]),
                ),
            ]),
            Self::Kraken => members([
                ("error", words),
                ("method", word),
                ("success", Json::Bool(false)),
                ("req_id", id),
            ]),
            Self::KuCoin => members([
                ("id", id),
                ("type", text("error")),
                ("code", number(403)),
                ("data", words),
            ]),
        };
        refusal.to_text()
    }

    /// The login to send in place of the client's, from what [`Login`] signed.
    #[must_use]
    pub fn login_message(self, asked: &LoginAsked, signed: &Outgoing) -> Option<String> {
        let of = |name: &str| {
            let mut all = signed.headers.iter();
            let found = all.find(|(known, _)| *known == name)?;
            Some(found.1.clone())
        };
        let with_id = |mut all: Vec<(String, Json)>, name: &str| {
            all.extend(asked.id.clone().map(|id| (name.to_owned(), id)));
            Json::Members(all).to_text()
        };
        let named =
            |pairs: [(&str, Json); 2]| pairs.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Some(match self {
            Self::Okx | Self::Bitget => {
                let argument = members([
                    ("apiKey", text(of("apiKey")?)),
                    ("passphrase", text(of("passphrase")?)),
                    ("timestamp", text(of("timestamp")?)),
                    ("sign", text(of("sign")?)),
                ]);
                let args = Json::List(vec![argument]);
                with_id(named([("op", text("login")), ("args", args)]), "id")
            }
            Self::Bybit => {
                let expires = Json::Number(of("expires")?);
                let args = Json::List(vec![text(of("apiKey")?), expires, text(of("sign")?)]);
                with_id(named([("op", text("auth")), ("args", args)]), "req_id")
            }
            Self::Binance => {
                let params = members([
                    ("apiKey", text(of("apiKey")?)),
                    ("recvWindow", Json::Number(of("recvWindow")?)),
                    ("timestamp", Json::Number(of("timestamp")?)),
                    ("signature", text(of("sign")?)),
                ]);
                with_id(
                    named([("method", text("session.logon")), ("params", params)]),
                    "id",
                )
            }
            Self::Kraken | Self::KuCoin => return None,
        })
    }
}

fn first(json: &Json) -> Option<&Json> {
    match json {
        Json::List(list) => list.first(),
        _ => None,
    }
}

/// A venue of which nothing but the login of a socket is asked. What is judged is an operation of kind read; what comes out
/// has its values as headers, for [`Guard::login_message`].
#[derive(Clone, Copy)]
pub struct Login {
    guard: Guard,
    venue: &'static dyn Venue,
}

static OKX: Login = Login {
    guard: Guard::Okx,
    venue: &crate::okx::Okx,
};
static BITGET: Login = Login {
    guard: Guard::Bitget,
    venue: &crate::bitget::Bitget,
};
static BYBIT: Login = Login {
    guard: Guard::Bybit,
    venue: &crate::bybit::Bybit,
};
static BINANCE: Login = Login {
    guard: Guard::Binance,
    venue: &crate::binance::Binance,
};

impl Login {
    /// The login of a socket that is read so; none where a token from REST logs in.
    #[must_use]
    pub fn of(guard: Guard) -> Option<&'static Self> {
        match guard {
            Guard::Okx => Some(&OKX),
            Guard::Bitget => Some(&BITGET),
            Guard::Bybit => Some(&BYBIT),
            Guard::Binance => Some(&BINANCE),
            Guard::Kraken | Guard::KuCoin => None,
        }
    }
}

impl Venue for Login {
    fn id(&self) -> &'static str {
        self.venue.id()
    }

    fn info(&self) -> VenueInfo {
        self.venue.info()
    }

    fn decode(&self, request: &Request) -> Result<Decoded, Unreadable> {
        if request.method != LOGIN || !request.query.is_empty() || !request.body.is_empty() {
            return Err(Unreadable::Method);
        }
        let stream = stream(self.id(), &request.path).ok_or(Unreadable::NoOrigin)?;
        if stream.guard != Some(self.guard) {
            return Err(Unreadable::NoOrigin);
        }
        let words = "log in to a private data stream";
        Ok(Decoded::Private(Box::new(Private {
            operation: Operation::new(OperationKind::Read, self.id(), LOGIN, &request.path, words),
            origin: self.guard.clock(),
            query: Vec::new(),
            body: Body::Form(Vec::new()),
            tag: "",
        })))
    }

    fn draft(
        &self,
        private: &Private,
        credential: &Credential<'_>,
        moment: &Moment,
    ) -> Result<ToSign, CannotSign> {
        let schemes = self.venue.info().schemes;
        let scheme = scheme_of(schemes, credential)?;
        let key = ("apiKey", credential.key.to_owned());
        let (payload, headers) = match self.guard {
            Guard::Okx | Guard::Bitget => {
                let passphrase = credential.passphrase.ok_or(CannotSign::NoPassphrase)?;
                let time = (moment.now.0 / 1000).to_string();
                let payload = match self.guard {
                    Guard::Okx => logins::okx_websocket(moment.now),
                    _ => format!("{time}GET/user/verify"),
                };
                let passphrase = ("passphrase", passphrase.to_owned());
                (payload, vec![key, passphrase, ("timestamp", time)])
            }
            Guard::Bybit => {
                let expires = UnixMillis(moment.now.0.saturating_add(u64::from(moment.window_ms)));
                let payload = logins::bybit_websocket(expires);
                (payload, vec![key, ("expires", expires.0.to_string())])
            }
            Guard::Binance => return self.binance(private, scheme, credential, moment),
            Guard::Kraken | Guard::KuCoin => return Err(CannotSign::Unknown),
        };
        // Bybit writes this one in hexadecimal, as its requests; OKX and Bitget theirs as theirs.
        let part = scheme.part(payload, Place::header("sign"));
        Ok(private.to_sign(Vec::new(), Vec::new(), headers, vec![part]))
    }
}

impl Login {
    fn binance(
        &self,
        private: &Private,
        scheme: Scheme,
        credential: &Credential<'_>,
        moment: &Moment,
    ) -> Result<ToSign, CannotSign> {
        // Other keys sign each request over a socket, and cannot log in.
        if scheme.algorithm != Algorithm::Ed25519 {
            return Err(CannotSign::Algorithm);
        }
        let parameters =
            logins::binance_session_logon(credential.key, moment.now, moment.window_ms);
        let payload = logins::binance_websocket(&parameters);
        let headers = vec![
            ("apiKey", credential.key.to_owned()),
            ("recvWindow", moment.window_ms.to_string()),
            ("timestamp", moment.now.0.to_string()),
        ];
        let part = scheme.part(payload, Place::header("sign"));
        Ok(private.to_sign(Vec::new(), Vec::new(), headers, vec![part]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(guard: Guard, message: &str) -> Heard {
        guard.hears(message.as_bytes())
    }

    #[test]
    fn sockets_go_where_the_table_says_and_nowhere_else() {
        let okx = stream("okx", "/ws/v5/private").unwrap();
        assert_eq!(
            (okx.origin, okx.guard),
            ("wss://ws.okx.com:8443", Some(Guard::Okx))
        );
        let kraken = stream("kraken", "/auth/v2").unwrap();
        assert_eq!(
            (kraken.origin, kraken.path.as_str()),
            ("wss://ws-auth.kraken.com", "/v2")
        );
        let public = stream("binance", "/ws/btcusdt@trade").unwrap();
        assert_eq!(public.guard, None);
        for (venue, path) in [
            ("bybit", "/v5/trade"),
            ("binance", "/ws-fapi/v1"),
            ("binance", "/ws/"),
            ("binance", "/ws/../ws-api/v3"),
            ("binance", "/ws/a b"),
            ("okx", "/ws/v5/private/"),
            ("gemini", "/v1/order/events"),
            ("nobody", "/ws"),
        ] {
            assert_eq!(stream(venue, path), None, "{venue}{path}");
        }
    }

    #[test]
    fn only_reading_passes() {
        let reads = [
            (Guard::Okx, "ping"),
            (
                Guard::Okx,
                r#"{"op":"subscribe","args":[{"channel":"account"}]}"#,
            ),
            (Guard::Bybit, r#"{"op":"subscribe","args":["order"]}"#),
            (
                Guard::Kraken,
                r#"{"method":"subscribe","params":{"channel":"executions","token":"t"}}"#,
            ),
            (
                Guard::Binance,
                r#"{"id":1,"method":"userDataStream.subscribe"}"#,
            ),
            (
                Guard::KuCoin,
                r#"{"id":1,"type":"subscribe","topic":"/account/balance"}"#,
            ),
        ];
        for (guard, message) in reads {
            assert_eq!(word(guard, message), Heard::Reads, "{message}");
        }
        let refused = [
            (Guard::Okx, r#"{"op":"order","args":[{}]}"#),
            (Guard::Okx, r#"{"op":"batch-orders","args":[{}]}"#),
            (Guard::Okx, r#"{"op":"Subscribe"}"#),
            (Guard::Okx, r#"{"op":["subscribe"]}"#),
            (Guard::Okx, r#"{"op":"subscribe","op":"order"}"#),
            (Guard::Okx, r#"{"op":"subscribe","OP":"order"}"#),
            (Guard::Okx, r#"{"args":[]}"#),
            (Guard::Okx, "order"),
            (Guard::Bybit, r#"{"op":"order.create","args":[]}"#),
            (Guard::Bybit, "ping"),
            (Guard::Kraken, r#"{"method":"add_order","params":{}}"#),
            (Guard::Kraken, r#"{"method":"cancel_all"}"#),
            (
                Guard::Binance,
                r#"{"id":1,"method":"order.place","params":{}}"#,
            ),
            (
                Guard::Binance,
                r#"{"id":1,"method":"openOrders.cancelAll","params":{}}"#,
            ),
            (Guard::KuCoin, r#"{"id":1,"type":"order"}"#),
        ];
        for (guard, message) in refused {
            assert!(
                matches!(word(guard, message), Heard::Refused(_)),
                "{message}"
            );
        }
    }

    #[test]
    fn a_refusal_answers_what_was_said() {
        let order = br#"{"id":7,"method":"order.place","params":{}}"#;
        let refusal = Guard::Binance.refusal(order, "no");
        assert_eq!(
            refusal,
            r#"{"id":7,"status":403,"error":{"code":-1002,"msg":"no"}}"#
        );
        let broken = Guard::Bybit.refusal(b"\xff", "no");
        assert!(
            broken.contains(r#""success":false,"ret_msg":"no""#),
            "{broken}"
        );
    }

    #[test]
    fn binance_logs_in_with_ed25519_alone_over_parameters_in_the_order_of_their_names() {
        let login = Login::of(Guard::Binance).unwrap();
        let request = Request {
            method: LOGIN.into(),
            path: "/ws-api/v3".into(),
            query: Vec::new(),
            content_type: None,
            body: Vec::new(),
        };
        let Ok(Decoded::Private(private)) = login.decode(&request) else {
            panic!("a login");
        };
        assert_eq!(private.operation().kind, OperationKind::Read);
        let credential = |algorithm| Credential {
            key: "4yNzx3yWC5bS6YTwEkSRaC0nRmSQIIStAUOh1b6kqaBrTLIhjCpI5lJH8q8R8WNO",
            algorithm,
            passphrase: None,
        };
        let moment = Moment {
            now: UnixMillis(1_649_729_878_532),
            window_ms: 5000,
            nonce: None,
            unique: None,
        };
        let hmac = login.draft(&private, &credential(Algorithm::HmacSha256), &moment);
        assert_eq!(hmac.err(), Some(CannotSign::Algorithm));
        let to_sign = login
            .draft(&private, &credential(Algorithm::Ed25519), &moment)
            .unwrap();
        // As web-socket-api.md writes the payload of a signed request.
        let payload = "apiKey=4yNzx3yWC5bS6YTwEkSRaC0nRmSQIIStAUOh1b6kqaBrTLIhjCpI5lJH8q8R8WNO&recvWindow=5000&timestamp=1649729878532";
        assert_eq!(to_sign.payload(), payload.as_bytes());
        let signed = to_sign.seal(&[[7u8; 64]]).unwrap();
        let Heard::Login(asked) =
            Guard::Binance.hears(br#"{"id":"a","method":"session.logon","params":{"apiKey":"x"}}"#)
        else {
            panic!("a login");
        };
        let ours = Guard::Binance.login_message(&asked, &signed).unwrap();
        assert!(
            ours.starts_with(r#"{"method":"session.logon","params":{"apiKey":"4yNz"#),
            "{ours}"
        );
        assert!(
            ours.ends_with(r#"},"id":"a"}"#) && asked.key == "x",
            "{ours}"
        );
        let other = Request {
            path: "/ws/btcusdt@trade".into(),
            ..request
        };
        assert!(login.decode(&other).is_err());
    }
}
