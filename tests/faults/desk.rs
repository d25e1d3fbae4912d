//! A bot's desk: a vault with keys of the practice venue, a person, and the ways to see what came of a request.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;
use touchkeep_client::{CallError, Connection};
use touchkeep_tests::{Home, PATIENCE, Person, Venue};
use touchkeep_wire::{
    AddClient, AddItem, AuditFilter, AuditRow, Call, CreateVault, GetStatus, ListAudit, NewDevice,
    NewSecret, SecretText, SetPolicy, UnlockVault, VerifyAudit,
};

const POLICY: &str = r#"
[[rule]]
name = "trading"
kinds = ["trade", "read", "cancel"]
action = "allow"

[[rule]]
name = "withdrawals"
kinds = ["withdraw"]
action = "touch"
"#;

/// What a bot wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// By rule, with an HMAC.
    Order,
    /// By rule, with an HMAC over a number that only rises.
    Numbered,
    /// By a person's yes and passphrase.
    Withdrawal,
}

impl Act {
    pub(crate) const ALL: [Self; 3] = [Self::Order, Self::Numbered, Self::Withdrawal];

    const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Order => ("binance", "/api/v3/order"),
            Self::Numbered => ("kraken", "/0/private/AddOrder"),
            Self::Withdrawal => ("binance", "/sapi/v1/capital/withdraw/apply"),
        }
    }

    // No two are alike, so that the venue's record tells them apart.
    fn body(self, number: u64) -> String {
        let mark = self.mark(number);
        match self {
            Self::Order => format!(
                "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&newClientOrderId=order-{number}&{mark}&timestamp=1&signature=0"
            ),
            Self::Numbered => {
                format!("nonce=1&pair=XBTUSDT&type=buy&ordertype=limit&volume=0.001&{mark}")
            }
            Self::Withdrawal => format!(
                "coin=BTC&network=BTC&address=bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq&{mark}&timestamp=1&signature=0"
            ),
        }
    }

    /// What an order costs: no two of a few thousand cost the same, and none is what the market gives.
    pub(crate) fn price(self, number: u64) -> String {
        (10_000 + number % 20_000).to_string()
    }

    fn mark(self, number: u64) -> String {
        match self {
            Self::Order | Self::Numbered => format!("price={}", self.price(number)),
            Self::Withdrawal => format!("amount=0.01{number:05}"),
        }
    }
}

/// What the venue did with requests, and what the log says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) intents: Vec<AuditRow>,
    pub(crate) outcomes: Vec<AuditRow>,
}

/// The whole desk.
pub(crate) struct Desk {
    pub(crate) home: Home,
    pub(crate) venue: Venue,
    pub(crate) person: Option<Person>,
    pub(crate) token: String,
    proxy: String,
    runtime: tokio::runtime::Runtime,
}

impl Desk {
    pub(crate) fn set(home: Home) -> Self {
        let venue = Venue::open();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let mut desk = Self {
            person: Some(Person::sit_down(&home.paths(), None)),
            home,
            venue,
            token: String::new(),
            proxy: String::new(),
            runtime,
        };
        desk.call(CreateVault {
            path: desk.home.path("v.touchkeep").display().to_string(),
            user: "Zoe".into(),
            environment: "test".into(),
            practice: true,
            device: NewDevice::Software { work_factor: 10 },
        })
        .unwrap();
        let url = desk.venue.url.clone();
        for (venue, class, permissions) in [
            ("binance", "trade", ["read", "trade"]),
            ("kraken", "trade", ["read", "trade"]),
            ("binance", "move-money", ["read", "withdraw"]),
        ] {
            let (api_key, secret) = desk.venue.hmac_key_of(venue, &permissions);
            desk.add_key("main", [venue, class], &api_key, &secret, &url);
        }
        desk.call(SetPolicy {
            text: POLICY.into(),
        })
        .unwrap();
        (desk.proxy, desk.token) = desk.bot("main");
        desk
    }

    /// Lets a bot in: where the proxy is, and its token.
    pub(crate) fn bot(&self, key_set: &str) -> (String, String) {
        let name = format!("bot-{key_set}");
        let added = self.call(AddClient::unbound(name, key_set)).unwrap();
        let base = added.base_url();
        let (proxy, _venue) = base.rsplit_once('/').unwrap();
        (proxy.to_owned(), added.token.into_inner())
    }

    /// Lets another bot in, whose Binance is at that address: its token.
    pub(crate) fn bot_at(&self, url: &str) -> String {
        let key_set = format!("at-{}", url.rsplit_once(':').unwrap().1);
        let secret = "canary-secret-of-another-venue";
        self.add_key(
            &key_set,
            ["binance", "trade"],
            "another-api-key-0123456789",
            secret,
            url,
        );
        self.bot(&key_set).1
    }

    /// Keeps a key of a set, for one class of what the venue does.
    pub(crate) fn add_key(
        &self,
        key_set: &str,
        [venue, class]: [&str; 2],
        api_key: &str,
        secret: &str,
        url: &str,
    ) {
        let value = SecretText::new(secret.to_owned());
        let add = AddItem::new("exchange-key", format!("{key_set}-{venue}-{class}"))
            .field("venue", venue)
            .field("key-set", key_set)
            .field("class", class)
            .field("api-key", api_key)
            .field("base-url", url)
            .secret("secret", NewSecret::Stored { value });
        self.call(add).unwrap();
    }

    pub(crate) fn call<C: Call>(&self, call: C) -> Result<C::Result, CallError> {
        let socket = self.home.paths().agent_socket();
        self.runtime.block_on(async move {
            let connection = Connection::connect(&socket, "test").await.unwrap();
            connection.call(call).await
        })
    }

    /// The agent has ended: starts another one, under this program, with the person at it and the vault open.
    pub(crate) fn start_again(&mut self, under: &[&str]) {
        self.home.start_agent_under(under);
        self.come_back();
    }

    /// The person at an agent that was started, and the vault open.
    pub(crate) fn come_back(&mut self) {
        self.person = Some(Person::sit_down(&self.home.paths(), None));
        self.open();
        // Where it was, unless it was made to forget that.
        self.proxy = self.call(GetStatus {}).unwrap().proxy.unwrap();
    }

    pub(crate) fn open(&self) {
        let path = Some(self.home.path("v.touchkeep").display().to_string());
        self.call(UnlockVault { path, device: None }).unwrap();
    }

    /// Where the proxy is.
    pub(crate) fn port(&self) -> u16 {
        self.proxy.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// Asks for it: status and body, or nothing where the connection ended without an answer.
    pub(crate) fn ask(&self, act: Act, number: u64) -> Option<(u16, String)> {
        say(self.port(), &self.written_for(act, number, &self.token))
    }

    /// The request of the bot with that token, as bytes.
    pub(crate) fn written_for(&self, act: Act, number: u64, token: &str) -> String {
        let ((venue, path), body) = (act.place(), act.body(number));
        let header = if venue == "kraken" {
            "API-Key"
        } else {
            "X-MBX-APIKEY"
        };
        format!(
            "POST /{venue}{path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n{header}: {token}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.port(),
            body.len(),
        )
    }

    /// Cancels all orders of the bot: what they held is free again.
    pub(crate) fn cancel_all(&self) {
        let port = self.port();
        let request = format!(
            "DELETE /binance/api/v3/openOrders?symbol=BTCUSDT&timestamp=1&signature=0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
             Connection: close\r\nX-MBX-APIKEY: {}\r\n\r\n",
            self.token
        );
        let (status, said) = say(port, &request).unwrap();
        let has_none = status == 400 && said.contains("-2011");
        assert!(status == 200 || has_none, "{status}: {said}");
    }

    /// How often that has arrived, as the venue has it, and how often it was carried out.
    pub(crate) fn arrived(&self, act: Act, number: u64) -> Vec<Value> {
        let (_, path) = act.place();
        let mark = act.mark(number);
        let mut received = self.venue.received(path);
        received.retain(|row| {
            let parameters = format!("{}&{}", row["query"], row["body"]);
            parameters
                .split(['&', '"'])
                .any(|parameter| parameter == mark)
        });
        received
    }

    /// Intents and outcomes after a row.
    pub(crate) fn rows(&self, after: u64) -> Rows {
        let filter = AuditFilter {
            kinds: vec!["intent".into(), "outcome".into()],
            ..AuditFilter::default()
        };
        let list = ListAudit {
            before: None,
            limit: 50,
            filter,
        };
        let mut rows = self.call(list).unwrap().rows;
        rows.retain(|row| row.seq > after);
        let (intents, outcomes) = rows.into_iter().partition(|row| row.kind == "intent");
        Rows { intents, outcomes }
    }

    /// The last row of either kind.
    pub(crate) fn last_row(&self) -> u64 {
        let rows = self.rows(0);
        let all = rows.intents.iter().chain(&rows.outcomes);
        all.map(|row| row.seq).max().unwrap_or(0)
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.call(VerifyAudit { file: None }).unwrap().sound
    }
}

/// Sends bytes to a port of this machine, and reads until the end: status and body, or nothing where there was no answer.
pub(crate) fn say(port: u16, request: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(PATIENCE + Duration::from_secs(60)))
        .ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((status, body.to_owned()))
}
