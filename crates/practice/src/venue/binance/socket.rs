//! Binance's WebSocket API, at `/ws-api/v3`.
//!
//! Source: binance-spot-api-docs `web-socket-api.md` (read 2026-07-21). A request is signed over its parameters without
//! `signature`, sorted by name, as `name=value` joined by `&`, in UTF-8 and not percent-encoded. `session.logon`, with an
//! Ed25519 key only, lets the requests after it leave `apiKey` and `signature` out. An address or a permission that does not
//! fit is refused as over REST; a session ends when its key does.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::account::Owner;
use super::super::credential::{Credential, KeyType};
use super::super::exchange::{Asked, Exchange};
use super::super::faults::Instead;
use super::super::keys::Permission;
use super::super::members::Members;
use super::super::request::{Done, Received, Refused};
use super::super::socket::Socket;
use super::endpoints::{Call, Endpoint};
use super::params::Params;
use super::refusal::Refusal;
use super::signature::{self, Signed, check_time};
use super::{endpoints, find};

/// Methods and the REST endpoints that do the same.
const METHODS: [(&str, &str, &str); 15] = [
    ("ping", "GET", "/api/v3/ping"),
    ("time", "GET", "/api/v3/time"),
    ("exchangeInfo", "GET", "/api/v3/exchangeInfo"),
    ("depth", "GET", "/api/v3/depth"),
    ("ticker.24hr", "GET", "/api/v3/ticker/24hr"),
    ("ticker.price", "GET", "/api/v3/ticker/price"),
    ("order.place", "POST", "/api/v3/order"),
    ("order.test", "POST", "/api/v3/order/test"),
    ("order.status", "GET", "/api/v3/order"),
    ("order.cancel", "DELETE", "/api/v3/order"),
    ("openOrders.status", "GET", "/api/v3/openOrders"),
    ("openOrders.cancelAll", "DELETE", "/api/v3/openOrders"),
    ("account.status", "GET", "/api/v3/account"),
    ("allOrders", "GET", "/api/v3/allOrders"),
    ("myTrades", "GET", "/api/v3/myTrades"),
];

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Members<Value>,
}

struct Session {
    api_key: String,
    since_ms: u64,
}

/// One connection.
#[derive(Default)]
pub(crate) struct BinanceSocket {
    session: Option<Session>,
}

impl Socket for BinanceSocket {
    fn greeting(&self, _: u64) -> Option<Value> {
        None
    }

    fn asked(&self, message: &Received) -> Asked {
        let asked = read(message);
        let named = asked.as_ref().and_then(|asked| asked.params.get("apiKey"));
        let named = named.and_then(Value::as_str).map(ToOwned::to_owned);
        let session = self.session.as_ref().map(|session| session.api_key.clone());
        Asked {
            dialect: "binance",
            endpoint: asked.map_or("unknown method", |asked| name(&asked.method)),
            api_key: named.or(session),
        }
    }

    fn run(
        &mut self,
        exchange: &mut Exchange,
        message: &Received,
        now_us: u64,
    ) -> Result<Done, Refused> {
        let asked = read(message);
        let done = match &asked {
            None => Err(Refusal::Mandatory("method".to_owned())),
            Some(asked) => self.act(exchange, message, asked, now_us),
        };
        let id = asked.map_or(Value::Null, |asked| asked.id);
        match done {
            Ok(done) => Ok(Done {
                body: json!({ "id": id, "status": 200, "result": done.body, "rateLimits": [] }),
                ..done
            }),
            Err(refusal) => Err(refused(&id, refusal)),
        }
    }

    fn instead(&self, message: &Received, instead: Instead, _: u64) -> Refused {
        let id = read(message).map_or(Value::Null, |asked| asked.id);
        refused(&id, Refusal::from(instead))
    }

    fn news(&mut self, _: &mut Exchange, _: u64) -> Vec<Value> {
        Vec::new()
    }
}

impl BinanceSocket {
    fn act(
        &mut self,
        exchange: &mut Exchange,
        message: &Received,
        asked: &Message,
        now_us: u64,
    ) -> Result<Done, Refusal> {
        let params = parameters(asked)?;
        match asked.method.as_str() {
            "session.logon" => return self.log_on(exchange, message, &params, now_us),
            "session.status" => return Ok(self.status(now_us).into()),
            "session.logout" => {
                self.session = None;
                return Ok(self.status(now_us).into());
            }
            _ => {}
        }
        let endpoint = endpoint(&asked.method).ok_or_else(|| Refusal::Path {
            method: "WS".to_owned(),
            path: asked.method.clone(),
        })?;
        let (api_key, owner) = match endpoint.permission {
            None => (String::new(), Owner::Master),
            Some(needed) => self.authenticate(exchange, message, &params, needed, now_us)?,
        };
        let call = Call {
            params: &params,
            api_key: &api_key,
            peer: message.peer,
            owner: &owner,
            now_ms: now_us / 1000,
        };
        (endpoint.run)(exchange, &call)
    }

    fn log_on(
        &mut self,
        exchange: &mut Exchange,
        message: &Received,
        params: &Params,
        now_us: u64,
    ) -> Result<Done, Refusal> {
        let api_key = params.required("apiKey")?.to_owned();
        let key = find(&exchange.keys, &api_key, message.peer)?;
        match key.key_type {
            KeyType::Ed25519 => {}
            KeyType::Hmac => return Err(Refusal::LogonKey("HMAC_SHA256")),
            KeyType::Rsa | KeyType::Es256 => return Err(Refusal::LogonKey("RSA")),
        }
        check(&key.credential, params, now_us)?;
        exchange.keys.used(&api_key, now_us / 1000);
        self.session = Some(Session {
            api_key,
            since_ms: now_us / 1000,
        });
        Ok(self.status(now_us).into())
    }

    fn authenticate(
        &self,
        exchange: &mut Exchange,
        message: &Received,
        params: &Params,
        needed: Permission,
        now_us: u64,
    ) -> Result<(String, Owner), Refusal> {
        let named = params.text("apiKey")?;
        let session = self
            .session
            .as_ref()
            .map(|session| session.api_key.as_str());
        let is_signed = params.text("signature")?.is_some();
        let api_key = match (named, session) {
            (Some(named), _) => named.to_owned(),
            (None, Some(session)) => session.to_owned(),
            (None, None) => return Err(Refusal::Mandatory("apiKey".to_owned())),
        };
        let key = find(&exchange.keys, &api_key, message.peer)?;
        if session == Some(api_key.as_str()) && !is_signed {
            check_time(params, now_us)?;
        } else {
            check(&key.credential, params, now_us)?;
        }
        if !key.may(needed) {
            return Err(Refusal::Key);
        }
        let owner = key.owner.clone();
        exchange.keys.used(&api_key, now_us / 1000);
        Ok((api_key, owner))
    }

    fn status(&self, now_us: u64) -> Value {
        let session = self.session.as_ref();
        json!({
            "apiKey": session.map(|session| &session.api_key),
            "authorizedSince": session.map(|session| session.since_ms),
            "connectedSince": session.map_or(now_us / 1000, |session| session.since_ms),
            "returnRateLimits": false,
            "serverTime": now_us / 1000,
            "userDataStream": false
        })
    }
}

fn read(message: &Received) -> Option<Message> {
    serde_json::from_slice(&message.body).ok()
}

fn endpoint(method: &str) -> Option<&'static Endpoint> {
    let (_, verb, path) = METHODS.iter().find(|(name, ..)| *name == method)?;
    endpoints::endpoint(verb, path)
}

fn name(method: &str) -> &'static str {
    match method {
        "session.logon" => "log on",
        "session.status" => "session status",
        "session.logout" => "log out",
        _ => endpoint(method).map_or("unknown method", |row| row.name),
    }
}

fn parameters(asked: &Message) -> Result<Params, Refusal> {
    let mut all = Vec::new();
    for (name, value) in &asked.params.0 {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(Refusal::Mandatory(name.clone()));
            }
        };
        all.push((name.clone(), text));
    }
    Ok(Params::of(all))
}

fn check(credential: &Credential, params: &Params, now_us: u64) -> Result<(), Refusal> {
    params.required("timestamp")?;
    let signed = Signed {
        signature: params.required("signature")?.to_owned(),
        payload: params.sorted_without("signature").into_bytes(),
    };
    check_time(params, now_us)?;
    signature::check(credential, &signed)
}

fn refused(id: &Value, refusal: Refusal) -> Refused {
    let no = Refused::from(refusal);
    let body = json!({ "id": id, "status": no.status, "error": no.body, "rateLimits": [] });
    Refused { body, ..no }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    const API_KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
    const SENT_US: u64 = 1_645_423_376_532_000;

    fn order(symbol: &str, price: &str, quantity: &str, side: &str, window: u64) -> Value {
        json!({
            "symbol": symbol,
            "side": side,
            "type": "LIMIT",
            "timeInForce": "GTC",
            "price": price,
            "quantity": quantity,
            "apiKey": API_KEY,
            "recvWindow": window,
            "timestamp": SENT_US / 1000
        })
    }

    fn checked(mut params: Value, signature: &str) -> Result<(), Refusal> {
        params["signature"] = signature.into();
        let message = json!({ "id": 1, "method": "order.place", "params": params });
        let message: Message = serde_json::from_value(message).unwrap();
        let key = Credential::Hmac(SECRET.as_bytes().to_vec());
        check(&key, &parameters(&message).unwrap(), SENT_US)
    }

    // binance-spot-api-docs `web-socket-api.md` (read 2026-07-21); the second is not percent-encoded.
    #[test]
    fn published_examples_are_accepted_in_any_order_of_parameters() {
        let plain = order("BTCUSDT", "52000.00", "0.01000000", "SELL", 100);
        let good = "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24";
        assert_eq!(checked(plain, good), Ok(()));
        let wide = order("１２３４５６", "0.10000000", "1.00000000", "BUY", 5000);
        let also = "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd";
        assert_eq!(checked(wide.clone(), also), Ok(()));
        assert_eq!(checked(wide, good), Err(Refusal::Signature));
    }
}
