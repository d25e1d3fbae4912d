//! KuCoin's sockets, spot and futures.
//!
//! A signed REST request (`bullet-private`) gives a token and the server to go to. The answer that a client gets is ours: the
//! proxy as the server, and [`KEPT`] as the token. Where it then opens the socket, a token is fetched for that. Over these
//! sockets nothing can be ordered; orders have another (kucoin-universal-sdk of 2025-11, `kucoin` of ccxt.pro 4.5.90, read
//! 2026-11-26).

use crate::{
    Json, Venue,
    drafting::{members, number, text},
    stream::{
        Drafted, Entrance,
        dialect::{
            Asked, Dialect, Heard, KEPT, LoginAsked, Values, by_word, echoed, is_name,
            token_request,
        },
    },
};

const TOKEN: &str = "/api/v1/bullet-private";

/// Both.
pub(crate) struct KuCoin {
    name: &'static str,
    venue: &'static dyn Venue,
    clock: &'static str,
}

impl KuCoin {
    pub(crate) const SPOT: Self = Self {
        name: "kucoin",
        venue: &super::KuCoin,
        clock: "https://api.kucoin.com",
    };
    pub(crate) const FUTURES: Self = Self {
        name: "kucoinfutures",
        venue: &crate::kucoinfutures::KuCoinFutures,
        clock: "https://api-futures.kucoin.com",
    };
}

impl Dialect for KuCoin {
    fn name(&self) -> &'static str {
        self.name
    }

    fn venue(&self) -> &'static dyn Venue {
        self.venue
    }

    fn clock(&self) -> &'static str {
        self.clock
    }

    fn hears(&self, said: &Json, _: Option<&str>) -> Heard {
        by_word(said.member("type"), &["subscribe", "unsubscribe", "ping"])
    }

    fn entered(&self, query: &str) -> Option<LoginAsked> {
        let kept = query.split('&').any(|pair| pair == format!("token={KEPT}"));
        kept.then(|| LoginAsked {
            key: String::new(),
            facts: Json::Null,
            said: Json::Null,
        })
    }

    fn entrance(&self, query: &str, values: &Values) -> Option<Entrance> {
        let origin = values.of("origin")?;
        let token = values
            .of("token")
            .filter(|token| is_name(token, "-_=.+/"))?;
        let id = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("connectId="));
        let id = id.filter(|id| is_name(id, "-_"));
        let id = id.map_or_else(String::new, |id| format!("&connectId={id}"));
        let token = token
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D");
        Some(Entrance {
            origin: Some(origin),
            query: format!("token={token}{id}"),
            headers: Vec::new(),
        })
    }

    fn asks_the_venue(&self) -> bool {
        true
    }

    fn draft(&self, asked: &Asked<'_>) -> Drafted {
        token_request(self.venue, TOKEN, asked)
    }

    fn answered(&self, answer: &Json) -> Option<Values> {
        let data = answer.member("data")?;
        let server = data.member("instanceServers")?.first()?;
        let origin = server_of(server.member("endpoint")?.plain()?)?;
        let token = data.member("token")?.plain()?;
        Some(Values(vec![
            ("origin", origin),
            ("token", token.to_owned()),
        ]))
    }

    // A client is let in by what opened the socket.
    fn message(&self, _: &Json, _: &Values) -> Option<Json> {
        None
    }

    fn token_kept(&self, path: &str, sockets: &str) -> Option<Json> {
        let server = [
            ("endpoint", text(format!("{sockets}/endpoint"))),
            ("encrypt", Json::Bool(false)),
            ("protocol", text("websocket")),
            ("pingInterval", number(18_000)),
            ("pingTimeout", number(10_000)),
        ];
        let data = [
            ("token", text(KEPT)),
            ("instanceServers", Json::List(vec![members(server)])),
        ];
        (path == TOKEN).then(|| members([("code", text("200000")), ("data", members(data))]))
    }

    fn refusal(&self, said: &Json, words: &str) -> Json {
        members([
            ("id", echoed(said, "id")),
            ("type", text("error")),
            ("code", number(403)),
            ("data", text(words)),
        ])
    }
}

// Only a server of the venue gets a token of the venue.
fn server_of(endpoint: &str) -> Option<String> {
    let host = endpoint.strip_prefix("wss://")?.strip_suffix("/endpoint")?;
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let plain = is_name(host, "-.:") && name.ends_with(".kucoin.com");
    plain.then(|| format!("wss://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_the_venues_own_servers_alone() {
        let push = "wss://push-private.kucoin.com";
        assert_eq!(
            server_of("wss://push-private.kucoin.com/endpoint").as_deref(),
            Some(push)
        );
        for other in [
            "ws://push-private.kucoin.com/endpoint",
            "wss://kucoin.com.evil.test/endpoint",
            "wss://evilkucoin.com/endpoint",
            "wss://evil.test/.kucoin.com/endpoint",
            "wss://a@evil.test#.kucoin.com/endpoint",
            "wss://evil.test:443#.kucoin.com/endpoint",
            "wss://push-private.kucoin.com/other",
        ] {
            assert_eq!(server_of(other), None, "{other}");
        }
    }
}
